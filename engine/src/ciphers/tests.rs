//! The table against the names of the SSL server, the registry and the provider.

use std::collections::HashMap;

use super::*;
use crate::provider;

/// The rows of the SSL server's QUERY STATUS DETAILS, Included then Exempt, without those of SSL
/// 2.0.
const SSL_SERVER: &[(&str, u16)] = &[
    ("RSA_AES_128_GCM_SHA256", 0x009C),
    ("RSA_AES_256_GCM_SHA384", 0x009D),
    ("DHE_RSA_AES_128_GCM_SHA256", 0x009E),
    ("DHE_RSA_AES_256_GCM_SHA384", 0x009F),
    ("DHE_DSS_AES_128_GCM_SHA256", 0x00A2),
    ("DHE_DSS_AES_256_GCM_SHA384", 0x00A3),
    ("RSA_AES_128_SHA256", 0x003C),
    ("RSA_AES_256_SHA256", 0x003D),
    ("DHE_DSS_AES_128_SHA256", 0x0040),
    ("DHE_RSA_AES_128_SHA256", 0x0067),
    ("DHE_DSS_AES_256_SHA256", 0x006A),
    ("DHE_RSA_AES_256_SHA256", 0x006B),
    ("RSA_AES_256", 0x0035),
    ("DHE_DSS_AES_256", 0x0038),
    ("DHE_RSA_AES_256", 0x0039),
    ("RSA_AES_128", 0x002F),
    ("DHE_DSS_AES_128", 0x0032),
    ("DHE_RSA_AES_128", 0x0033),
    ("3DES_168_SHA", 0x000A),
    ("DHE_RSA_3DES", 0x0016),
    ("DHE_DSS_3DES", 0x0013),
    ("DES_56_SHA", 0x0009),
    ("DHE_RSA_DES", 0x0015),
    ("DHE_DSS_DES", 0x0012),
    ("DH_RSA_AES_128_GCM_SHA256", 0x00A0),
    ("DH_RSA_AES_256_GCM_SHA384", 0x00A1),
    ("DH_DSS_AES_128_GCM_SHA256", 0x00A4),
    ("DH_DSS_AES_256_GCM_SHA384", 0x00A5),
    ("DH_DSS_AES_128_SHA256", 0x003E),
    ("DH_RSA_AES_128_SHA256", 0x003F),
    ("DH_DSS_AES_256_SHA256", 0x0068),
    ("DH_RSA_AES_256_SHA256", 0x0069),
    ("DH_DSS_AES_256", 0x0036),
    ("DH_RSA_AES_256", 0x0037),
    ("DH_DSS_AES_128", 0x0030),
    ("DH_RSA_AES_128", 0x0031),
    ("DH_RSA_3DES", 0x0010),
    ("DH_DSS_3DES", 0x000D),
    ("DH_RSA_DES", 0x000F),
    ("DH_DSS_DES", 0x000C),
    ("RC4_128_SHA", 0x0005),
    ("RC4_128_MD5", 0x0004),
    ("RC4_40_MD5", 0x0003),
    ("RC2_40_MD5", 0x0006),
    ("NULL_SHA256", 0x003B),
    ("NULL_SHA", 0x0002),
    ("NULL_MD5", 0x0001),
    ("NULL", 0x0000),
];

/// The suites with elliptic curves, by the part of the name behind the key exchange; codes for
/// `ECDH_ECDSA`, `ECDHE_ECDSA`, `ECDH_RSA` and `ECDHE_RSA`.
const ELLIPTIC: &[(&str, [u16; 4])] = &[
    ("NULL", [0xC001, 0xC006, 0xC00B, 0xC010]),
    ("RC4", [0xC002, 0xC007, 0xC00C, 0xC011]),
    ("3DES", [0xC003, 0xC008, 0xC00D, 0xC012]),
    ("AES_128", [0xC004, 0xC009, 0xC00E, 0xC013]),
    ("AES_256", [0xC005, 0xC00A, 0xC00F, 0xC014]),
    ("AES_128_SHA256", [0xC025, 0xC023, 0xC029, 0xC027]),
    ("AES_256_SHA384", [0xC026, 0xC024, 0xC02A, 0xC028]),
    ("AES_128_GCM_SHA256", [0xC02D, 0xC02B, 0xC031, 0xC02F]),
    ("AES_256_GCM_SHA384", [0xC02E, 0xC02C, 0xC032, 0xC030]),
];

fn ibm(name: &str) -> Option<Code> {
    find(name).filter(|found| found.spelling == Spelling::Ibm).map(|found| found.code)
}

#[test]
fn every_name_of_the_ssl_server_is_known_under_its_code() {
    for (name, code) in SSL_SERVER {
        assert_eq!(ibm(name), Some(Code::Tls(*code)), "{name}");
    }
    assert_eq!(ibm("RC2_128_MD5"), Some(Code::Ssl2(3)));
    let exchanges = ["ECDH_ECDSA", "ECDHE_ECDSA", "ECDH_RSA", "ECDHE_RSA"];
    for (suffix, codes) in ELLIPTIC {
        for (exchange, code) in exchanges.into_iter().zip(codes) {
            let name = format!("{exchange}_{suffix}");
            assert_eq!(ibm(&name), Some(Code::Tls(*code)), "{name}");
        }
    }
    let named = TABLE.iter().filter(|cipher| cipher.ibm.is_some()).count();
    assert_eq!(named, SSL_SERVER.len() + 1 + 4 * ELLIPTIC.len());
    let shown = TABLE.iter().filter(|cipher| cipher.ibm.is_some_and(|ibm| ibm.shown)).count();
    assert_eq!(shown, SSL_SERVER.len() + 2, "the sample and the one report of a session");
}

#[test]
fn codes_ascend_and_have_the_names_of_the_registry() {
    for pair in TABLE.windows(2) {
        if let (Code::Tls(first), Code::Tls(second)) = (pair[0].code, pair[1].code) {
            assert!(first < second, "{}", pair[1].iana);
        }
    }
    for cipher in TABLE {
        if let Code::Tls(code) = cipher.code {
            assert_eq!(iana::suite_name(code), cipher.iana);
        }
    }
}

#[test]
fn a_name_belongs_to_one_suite() {
    let mut owners: HashMap<&str, Code> = HashMap::new();
    for cipher in TABLE {
        for name in cipher.names() {
            assert_eq!(owners.insert(name, cipher.code), None, "{name}");
            assert_eq!(find(name).map(|found| found.code), Some(cipher.code), "{name}");
        }
    }
}

#[test]
fn what_is_served_is_what_the_provider_implements() {
    let mut served: Vec<&str> = TABLE
        .iter()
        .filter(|cipher| cipher.state() == State::Implemented)
        .map(|cipher| cipher.iana)
        .collect();
    served.sort_unstable();
    let mut implemented = provider::suite_names();
    implemented.sort_unstable();
    assert_eq!(served, implemented);
}

#[test]
fn a_suite_that_is_not_served_has_a_reason_and_a_nearest_that_is() {
    for code in 0..=u16::MAX {
        let Some(suite) = iana::suite(code) else { continue };
        let State::NotImplemented { reason, nearest } = state(Code::Tls(code)) else { continue };
        assert!(!reason.is_empty(), "{}", suite.name);
        let nearest = by_code(nearest).expect("in the table");
        assert_eq!(nearest.state(), State::Implemented, "{}", suite.name);
        let tls13 = |protocols: (&str, &str)| protocols.1 == "TLSv1.3";
        let same = suite.key_exchange == KeyExchange::Tls13;
        assert_eq!(tls13(nearest.protocols()), same, "{}", suite.name);
    }
}

#[test]
fn every_spelling_of_one_suite_is_found() {
    for (text, spelling) in [
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Spelling::Iana),
        ("tls_ecdhe_rsa_with_aes_128_gcm_sha256", Spelling::Iana),
        ("ECDHE-RSA-AES128-GCM-SHA256", Spelling::OpenSsl),
        ("ECDHE_RSA_AES_128_GCM_SHA256", Spelling::Ibm),
        ("TLS1.2_ECDHE_RSA_AES_128_GCM_SHA256", Spelling::Ibm),
        ("C02F", Spelling::Code),
        ("c02f", Spelling::Code),
        ("0xC02F", Spelling::Code),
    ] {
        let found = find(text).expect(text);
        assert_eq!((found.code, found.spelling), (Code::Tls(0xC02F), spelling), "{text}");
        let name = by_code(0xC02F).map(|cipher| cipher.name(spelling));
        assert!(name.is_some_and(|name| find(&name) == Some(found)), "{text}");
    }
    assert_eq!(find("2F").map(|found| found.code), Some(Code::Tls(0x002F)));
    let edh = |name| find(name).map(|found| (found.code, found.spelling));
    assert_eq!(edh("EDH-RSA-DES-CBC3-SHA"), Some((Code::Tls(0x0016), Spelling::OpenSsl)));
    assert_eq!(edh("DHE-RSA-DES-CBC-SHA"), Some((Code::Tls(0x0015), Spelling::OpenSsl)));
    for none in ["", "F", "ECDHE", "ECDHE_RSA-AES_128", "+C02F", "FFFE", "00FF", "C02F0"] {
        assert_eq!(find(none), None, "{none}");
    }
}

#[test]
fn suites_outside_the_table_are_known_by_the_registry() {
    let found = find("TLS_RSA_WITH_CAMELLIA_128_CBC_SHA").expect("registered");
    assert_eq!((found.code, found.spelling), (Code::Tls(0x0041), Spelling::Iana));
    assert!(matches!(found.state(), State::NotImplemented { nearest: 0xC02F, .. }));
    let ccm = find("1304").expect("registered");
    let State::NotImplemented { reason, nearest } = ccm.state() else { panic!("served") };
    assert_eq!((reason.as_str(), nearest), ("AES-CCM is not implemented", 0x1301));
}

#[test]
fn reasons_name_what_is_wrong() {
    for (name, words, nearest) in [
        ("RSA_AES_256", ["RSA key transport", "CBC"], 0xC030),
        ("DHE_DSS_AES_128_GCM_SHA256", ["finite-field", "DSA"], 0xC02F),
        ("DH_RSA_DES", ["fixed in the certificate", "56 bits"], 0xC02F),
        ("RC4_40_MD5", ["RSA key transport", "40 bits"], 0xC02F),
        ("ECDHE_ECDSA_AES_256_SHA384", ["CBC", "AEAD"], 0xC02C),
        ("NULL_SHA", ["encrypts", "nothing"], 0xC02F),
        ("RC2_128_MD5", ["SSL 2.0", "RFC 6176"], 0xC02F),
    ] {
        let found = find(name).expect(name);
        let State::NotImplemented { reason, nearest: next } = found.state() else {
            panic!("{name} is served")
        };
        assert!(words.iter().all(|word| reason.contains(word)), "{name}: {reason}");
        assert_eq!(next, nearest, "{name}");
    }
}

#[test]
fn protocols_and_key_exchange_of_each_kind() {
    let of = |name: &str| {
        let found = find(name).expect(name);
        let cipher = TABLE.iter().find(|cipher| cipher.code == found.code).expect("in the table");
        let (first, last) = cipher.protocols();
        format!("{first} {last} {}", cipher.key_exchange())
    };
    assert_eq!(of("1301"), "TLSv1.3 TLSv1.3 any");
    assert_eq!(of("C02B"), "TLSv1.2 TLSv1.2 ECDHE-ECDSA");
    assert_eq!(of("RSA_AES_128_SHA256"), "TLSv1.2 TLSv1.2 RSA");
    assert_eq!(of("DHE_DSS_AES_128"), "TLSv1.0 TLSv1.2 DHE-DSS");
    assert_eq!(of("ECDH_RSA_3DES"), "TLSv1.0 TLSv1.2 ECDH-RSA");
    assert_eq!(of("DH_RSA_DES"), "SSLv3 TLSv1.1 DH-RSA");
    assert_eq!(of("RC4_40_MD5"), "SSLv3 TLSv1.0 RSA");
    assert_eq!(of("RC2_128_MD5"), "SSLv2 SSLv2 RSA");
    assert_eq!(of("NULL"), "SSLv3 TLSv1.2 none");
}
