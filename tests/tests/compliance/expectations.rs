//! What the sources say, written by hand and held against the policy data.
//!
//! Each line has the mark of its source: `S` read in the text, `K` general knowledge, `D` derived,
//! and `ours` where this program is stricter than the source on purpose. Sources: the fact sheets
//! on System SSL and ICSF (FIPS levels, algorithms, NIST transitions) and on the z/VM SSL server
//! (cipher suites, MODE).

use engine::compliance::{KeyFacts, Mode, ModeSet, PolicySet, strength_bits};
use engine::iana;

/// What is asked of a policy.
enum Ask {
    Version(u16),
    Suite(&'static str),
    Group(&'static str),
    Scheme(&'static str),
    Rsa(u32),
    Curve(&'static str, u32),
    Ed25519,
    Signature(&'static str),
    NoExtendedMasterSecret,
    SoftwareWithoutCard,
    UnverifiedResults,
    AnyKeyDatabase,
    Function(Function),
    HybridFunction(Function),
}

use Ask as A;
use Mode::{Fips1402 as F2, Fips1403 as F3, Nist800131a as N};
use cpacf::Function;

const ALL: &[Mode] = &[F2, N, F3];
const NONE: &[Mode] = &[];

/// Mark, question, and the modes that approve.
#[rustfmt::skip]
const EXPECTED: &[(&str, Ask, &[Mode])] = &[
    // Protocols.
    ("S", A::Version(0x0300), NONE),            // no SSL V3 in FIPS mode
    ("ours", A::Version(0x0301), NONE),         // IBM's FIPS-140-2 begins with TLS 1.0
    ("S", A::Version(0x0302), NONE),            // NIST-800-131A needs TLS 1.2
    ("S", A::Version(0x0303), ALL),
    ("K", A::Version(0x0304), ALL),             // with 140-2 a documented deviation
    ("S", A::NoExtendedMasterSecret, &[F2, N]), // IG D.Q, for modules of 140-3
    // Suites of TLS 1.3.
    ("K", A::Suite("TLS_AES_128_GCM_SHA256"), ALL),
    ("K", A::Suite("TLS_AES_256_GCM_SHA384"), ALL),
    ("S", A::Suite("TLS_CHACHA20_POLY1305_SHA256"), NONE), // 8/BFE in the source documents
    ("K", A::Suite("TLS_AES_128_CCM_SHA256"), ALL),
    // Suites of TLS 1.2.
    ("K", A::Suite("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), ALL),
    ("K", A::Suite("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"), ALL),
    ("K", A::Suite("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"), ALL),
    ("K", A::Suite("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"), NONE),
    ("S", A::Suite("TLS_RSA_WITH_AES_256_CBC_SHA"), &[F2]), // F column; key transport ended 2023
    ("S", A::Suite("TLS_RSA_WITH_3DES_EDE_CBC_SHA"), &[F2]), // F column; TDEA ended 2023
    ("S", A::Suite("TLS_ECDH_RSA_WITH_AES_128_CBC_SHA"), &[F2]), // F column
    ("S", A::Suite("TLS_DHE_DSS_WITH_AES_128_CBC_SHA"), &[F2]), // F column; DSA ended 2024
    ("D", A::Suite("TLS_RSA_WITH_AES_128_GCM_SHA256"), &[F2]),
    ("K", A::Suite("TLS_DHE_RSA_WITH_AES_256_GCM_SHA384"), ALL),
    ("S", A::Suite("TLS_RSA_WITH_RC4_128_SHA"), NONE),
    ("S", A::Suite("TLS_RSA_WITH_RC4_128_MD5"), NONE),
    ("S", A::Suite("TLS_RSA_WITH_DES_CBC_SHA"), NONE),
    ("S", A::Suite("TLS_RSA_EXPORT_WITH_RC4_40_MD5"), NONE),
    ("S", A::Suite("TLS_RSA_WITH_NULL_SHA256"), NONE),
    ("K", A::Suite("TLS_DH_anon_WITH_AES_128_GCM_SHA256"), NONE),
    ("K", A::Suite("TLS_RSA_WITH_CAMELLIA_128_GCM_SHA256"), NONE),
    ("K", A::Suite("TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256"), NONE),
    // Groups.
    ("S", A::Group("secp256r1"), ALL),
    ("S", A::Group("secp384r1"), ALL),
    ("S", A::Group("secp521r1"), ALL),
    ("S", A::Group("x25519"), NONE),            // SP 800-56A rev. 3
    ("S", A::Group("x448"), NONE),
    ("D", A::Group("secp224r1"), &[F2, N]),     // 112 bits; not in today's list for 140-3
    ("S", A::Group("secp192r1"), NONE),
    ("S", A::Group("brainpoolP256r1"), NONE),
    ("S", A::Group("ffdhe2048"), ALL),
    ("K", A::Group("SecP256r1MLKEM768"), &[N, F3]),
    ("K", A::Group("X25519MLKEM768"), &[F3]),
    // Signatures of the handshake.
    ("K", A::Scheme("rsa_pss_rsae_sha256"), ALL),
    ("K", A::Scheme("rsa_pkcs1_sha384"), ALL),
    ("K", A::Scheme("ecdsa_secp521r1_sha512"), ALL),
    ("S", A::Scheme("rsa_pkcs1_sha1"), NONE),   // generation disallowed
    ("S", A::Scheme("ecdsa_sha1"), NONE),
    ("S", A::Scheme("rsa_pkcs1_md5"), NONE),
    ("S", A::Scheme("dsa_sha256"), NONE),       // 186-5
    ("S", A::Scheme("ed25519"), &[N, F3]),      // 186-5, younger than 140-2
    // Certificates.
    ("ours", A::Rsa(1024), NONE),               // IBM's FIPS-140-2 takes 1024
    ("S", A::Rsa(2047), NONE),
    ("S", A::Rsa(2048), ALL),
    ("S", A::Rsa(3072), ALL),
    ("S", A::Rsa(4096), ALL),
    ("S", A::Curve("P-192", 192), NONE),
    ("D", A::Curve("P-224", 224), &[F2, N]),
    ("S", A::Curve("P-256", 256), ALL),
    ("S", A::Curve("P-384", 384), ALL),
    ("S", A::Curve("P-521", 521), ALL),
    ("S", A::Curve("brainpoolP256r1", 256), NONE),
    ("K", A::Ed25519, &[N, F3]),
    ("S", A::Signature("RSA-MD5"), NONE),
    ("S", A::Signature("RSA-SHA1"), &[F2]),     // SP 800-131A: SHA-2; verification is legacy
    ("S", A::Signature("ecdsa-with-SHA1"), &[F2]),
    ("S", A::Signature("RSA-SHA256"), ALL),
    ("S", A::Signature("ecdsa-with-SHA384"), ALL),
    ("K", A::Signature("RSASSA-PSS-SHA256"), ALL),
    // Cards, keys, functions.
    ("K", A::SoftwareWithoutCard, &[N]),
    ("K", A::UnverifiedResults, &[N]),
    ("S", A::AnyKeyDatabase, &[N]),             // "must be created in FIPS mode"; 800-131A: none
    ("S", A::Function(Function::ChaCha20Poly1305), NONE),
    ("S", A::Function(Function::PccScalarMultiplyX25519), NONE),
    ("K", A::HybridFunction(Function::PccScalarMultiplyX25519), &[F3]),
    ("K", A::Function(Function::MlKem768), &[F3]),
    ("K", A::Function(Function::KmaGcmAes256), ALL),
    ("K", A::Function(Function::KlmdSha256), ALL),
];

fn approves(policy: &PolicySet, ask: &Ask) -> bool {
    let code = |code: Option<u16>| code.expect("a name of the registry");
    let key = |key: KeyFacts| {
        let only = policy.modes().policies().next().unwrap();
        only.keys().iter().any(|name| name == key.type_name())
            && strength_bits(&key) >= only.strength_bits()
    };
    match ask {
        A::Version(version) => policy.version(*version).is_yes(),
        A::Suite(name) => policy.suite(code(iana::suite_code(name))).is_yes(),
        A::Group(name) => policy.group(code(iana::group_code(name))).is_yes(),
        A::Scheme(name) => policy.scheme(code(iana::scheme_code(name))).is_yes(),
        A::Rsa(bits) => key(KeyFacts::Rsa { bits: *bits }),
        A::Curve(curve, bits) => key(KeyFacts::Ec { curve: (*curve).into(), bits: *bits }),
        A::Ed25519 => key(KeyFacts::Ed25519),
        A::Signature(name) => {
            let only = policy.modes().policies().next().unwrap();
            only.certificate_signatures().iter().any(|known| known == name)
        }
        A::NoExtendedMasterSecret => policy.without_extended_master_secret().is_yes(),
        A::SoftwareWithoutCard => policy.software_without_card().is_yes(),
        A::UnverifiedResults => policy.unverified_results().is_yes(),
        A::AnyKeyDatabase => policy.key_database_without_fips().is_yes(),
        A::Function(function) => policy.function(*function).is_yes(),
        A::HybridFunction(function) => policy.hybrid_function(*function).is_yes(),
    }
}

fn words(ask: &Ask) -> String {
    match ask {
        A::Version(version) => iana::version_name(*version).into_owned(),
        A::Suite(name) | A::Group(name) | A::Scheme(name) | A::Signature(name) => {
            (*name).to_owned()
        }
        A::Rsa(bits) => format!("RSA {bits}"),
        A::Curve(curve, _) => (*curve).to_owned(),
        A::Ed25519 => "Ed25519".to_owned(),
        A::NoExtendedMasterSecret => "no extended master secret".to_owned(),
        A::SoftwareWithoutCard => "software without a card".to_owned(),
        A::UnverifiedResults => "unverified results".to_owned(),
        A::AnyKeyDatabase => "any key database".to_owned(),
        A::Function(function) => function.name().to_owned(),
        A::HybridFunction(function) => format!("{} in a hybrid", function.name()),
    }
}

#[test]
fn the_policies_say_what_the_sources_say() {
    assert!(EXPECTED.len() >= 40);
    let mut wrong = Vec::new();
    for (mark, ask, approved) in EXPECTED {
        assert!(["S", "K", "D", "ours"].contains(mark));
        for mode in ALL {
            let policy = PolicySet::new(&ModeSet::from_iter([*mode]));
            if approves(&policy, ask) != approved.contains(mode) {
                wrong.push(format!("{} in {mode} [{mark}]", words(ask)));
            }
        }
    }
    assert!(wrong.is_empty(), "otherwise than expected: {wrong:#?}");
}

#[test]
fn together_they_approve_what_each_of_them_approves() {
    let both = PolicySet::new(&ModeSet::from_iter([F2, N]));
    for code in 0..=u16::MAX {
        let each = [F2, N].map(engine::compliance::Policy::of);
        let suite = each.iter().all(|policy| policy.suites().contains(&code));
        let group = each.iter().all(|policy| policy.groups().contains(&code));
        assert_eq!(both.suite(code).is_yes(), suite, "{}", iana::suite_name(code));
        assert_eq!(both.group(code).is_yes(), group, "{}", iana::group_name(code));
    }
    assert_ne!(both.hash(), PolicySet::new(&ModeSet::from_iter([F2])).hash());
    assert!(PolicySet::default().suite(0x0005).is_yes(), "without a mode nothing is forbidden");
}
