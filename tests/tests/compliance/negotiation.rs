//! Every suite, group and scheme, one at a time, against every mode.
//!
//! What is expected is computed from the policy data: a client that offers something approved gets
//! it, and its record says so; one that offers only what is not gets alert 40, GSK 402 and the
//! rule.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use adjunct_tests::backend::Backend;
use adjunct_tests::client::REQUEST;
use adjunct_tests::client::openssl::s_client;
use adjunct_tests::client::stock::{Client, Offer};
use adjunct_tests::config::{Service, file};
use adjunct_tests::daemon::Daemon;
use adjunct_tests::hello::{AEAD, Hello, TLS12, exchange};
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::record::Record;
use adjunct_tests::scene::NAME;
use adjunct_tests::{adjunct, need};
use engine::compliance::{Allowed, Kind as RuleKind, Mode, ModeSet, PolicySet, RuleId};
use engine::iana;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::kx_group;

use super::{in_modes, line, policy, sets};

/// A certificate of each type of key that signs with a scheme of its own.
const KINDS: [Kind; 4] = [Kind::Rsa2048, Kind::P256, Kind::P384, Kind::P521];

/// One thing that a client offers alone.
#[derive(Debug, Clone)]
pub(super) struct Only {
    pub(super) name: String,
    what: What,
    version: u16,
    options: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Suite(u16),
    Group(u16),
    Scheme(u16),
}

impl Only {
    fn new(what: What, version: u16, options: &[&str]) -> Self {
        let name = match what {
            What::Suite(code) => iana::suite_name(code),
            What::Group(code) => iana::group_name(code),
            What::Scheme(code) => iana::scheme_name(code),
        };
        let protocol = if version == TLS12 { "-tls1_2" } else { "-tls1_3" };
        let options = [&[protocol], options].concat().into_iter().map(str::to_owned).collect();
        Self { name: format!("{name} {}", &protocol[1..]), what, version, options }
    }

    pub(super) fn allowed(&self, policy: &PolicySet) -> Allowed {
        match self.what {
            What::Suite(code) => policy.suite(code),
            What::Group(code) => policy.group(code),
            What::Scheme(code) => policy.scheme(code),
        }
    }

    /// Asserts that the connection used it.
    fn was_used(&self, record: &Record) {
        let (field, name) = match self.what {
            What::Suite(code) => ("tls.cipher", iana::suite_name(code)),
            What::Group(code) => ("tls.curve", iana::group_name(code)),
            What::Scheme(code) => ("tls.signature_scheme", iana::scheme_name(code)),
        };
        record
            .expect(field, &name)
            .expect("tls.protocol.version", &iana::version_name(self.version));
    }

    /// Connects with openssl; whether it was served.
    pub(super) fn connect(&self, address: SocketAddr, roots: &Path) -> bool {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        s_client(address, NAME, roots, &options, REQUEST).code == Some(0)
    }
}

/// OpenSSL's names of the suites of TLS 1.2.
fn openssl_suite(code: u16) -> String {
    let name = iana::suite_name(code).replace("TLS_", "").replace("_WITH", "");
    let name = name.replace("AES_128_GCM", "AES128-GCM").replace("AES_256_GCM", "AES256-GCM");
    name.replace("_POLY1305_SHA256", "-POLY1305").replace('_', "-")
}

/// Everything this program implements that openssl can offer alone.
pub(super) fn everything() -> Vec<Only> {
    let mut all = Vec::new();
    for name in engine::provider::suite_names() {
        let code = iana::suite_code(&name).unwrap();
        all.push(if name.contains("_WITH_") {
            Only::new(What::Suite(code), TLS12, &["-cipher", &openssl_suite(code)])
        } else {
            Only::new(What::Suite(code), iana::TLS13, &["-ciphersuites", &name])
        });
    }
    for name in engine::provider::group_names() {
        let code = iana::group_code(&name).unwrap();
        // The hybrids are for rustls, below.
        let Some(openssl) = openssl_group(&name) else { continue };
        for version in [TLS12, iana::TLS13] {
            all.push(Only::new(What::Group(code), version, &["-groups", openssl]));
        }
    }
    for (name, in_tls13) in SCHEMES {
        let code = iana::scheme_code(name).unwrap();
        let versions = if in_tls13 { &[TLS12, iana::TLS13][..] } else { &[TLS12] };
        for version in versions {
            all.push(Only::new(What::Scheme(code), *version, &["-sigalgs", name]));
        }
    }
    all
}

fn openssl_group(name: &str) -> Option<&'static str> {
    Some(match name {
        "x25519" => "X25519",
        "secp256r1" => "P-256",
        "secp384r1" => "P-384",
        "secp521r1" => "P-521",
        _ => return None,
    })
}

/// Schemes our keys sign with, and whether they are for TLS 1.3 too.
const SCHEMES: [(&str, bool); 9] = [
    ("rsa_pss_rsae_sha256", true),
    ("rsa_pss_rsae_sha384", true),
    ("rsa_pss_rsae_sha512", true),
    ("rsa_pkcs1_sha256", false),
    ("rsa_pkcs1_sha384", false),
    ("rsa_pkcs1_sha512", false),
    ("ecdsa_secp256r1_sha256", true),
    ("ecdsa_secp384r1_sha384", true),
    ("ecdsa_secp521r1_sha512", true),
];

fn start(pki: &Pki, backend: SocketAddr, server: &str) -> Daemon<1> {
    let issue = |kind: &Kind| pki.issue(&format!("{kind:?}"), &Leaf::new(*kind, &[NAME]));
    let leaves: Vec<_> = KINDS.iter().map(issue).collect();
    let leaves: Vec<_> = leaves.iter().collect();
    adjunct!().start(|[at]| {
        let text = file(&[Service::with_certs("plain", at, &[backend], &leaves)]);
        text.replacen("[server]\n", &format!("[server]\n{server}\n"), 1)
    })
}

/// Asserts a record of a client that was served under a policy.
pub(super) fn approved(record: &Record, policy: &PolicySet) {
    record.expect("outcome", "completed").expect("mode.verdict", "approved");
    record.expect("mode.names", &policy.modes().to_string());
    record.expect("mode.policy", policy.short_hash());
    record.expect("mode.note", "approved algorithm, implementation not validated");
    assert!(record.field("mode.rule").is_null(), "{}", record.0);
}

/// Asserts a record of a client that a mode has refused in the handshake.
pub(super) fn refused(record: &Record, policy: &PolicySet, rule: RuleId) {
    record.expect("outcome", "refused").expect("rule", rule.as_str()).expect("fault", "policy");
    record.expect("mode.verdict", "refused").expect("mode.rule", rule.as_str());
    record.expect("mode.policy", policy.short_hash());
    assert_eq!((record.number("gsk"), record.alert_sent()), (402, Some(40)), "{}", record.0);
    record.explains("approve");
}

#[test]
fn each_suite_group_and_scheme_alone_against_each_mode_from_openssl() {
    let _ = need!("openssl");
    let (pki, backend) = (Pki::new(), Backend::http());
    let mut approvals = [0, 0];
    for modes in sets() {
        let policy = policy(&modes);
        let mut daemon = start(&pki, backend.address, &line("mode", &modes));
        for only in everything() {
            let served = only.connect(daemon.address(), &pki.bundle());
            let record = daemon.record();
            match only.allowed(&policy) {
                Allowed::Yes => {
                    assert!(served, "{} in {modes}: {}", only.name, record.0);
                    approved(&record, &policy);
                    only.was_used(&record);
                    approvals[0] += 1;
                }
                Allowed::No(rule) => {
                    assert!(!served, "{} in {modes}", only.name);
                    refused(&record, &policy, rule);
                    approvals[1] += 1;
                }
            }
        }
        daemon.stop();
    }
    assert!(approvals.iter().all(|count| *count >= 20), "{approvals:?}");
}

/// A handshake of the stock client: the number of the alert that came instead of it.
fn shake(client: &Client, address: SocketAddr) -> Result<(), u8> {
    let alert =
        |error: io::Error| match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::AlertReceived(alert)) => u8::from(*alert),
            _ => panic!("no alert came, but: {error:?}"),
        };
    let tls = client.connect(address, NAME).map_err(alert)?;
    assert!(!tls.talk(REQUEST.as_bytes()).map_err(alert)?.is_empty());
    Ok(())
}

#[test]
fn each_group_and_version_alone_against_each_mode_from_rustls() {
    let (pki, backend) = (Pki::new(), Backend::http());
    let groups: [&'static dyn SupportedKxGroup; 5] = [
        kx_group::X25519MLKEM768,
        kx_group::SECP256R1MLKEM768,
        kx_group::X25519,
        kx_group::SECP256R1,
        kx_group::SECP384R1,
    ];
    for modes in sets() {
        let policy = policy(&modes);
        let mut daemon = start(&pki, backend.address, &line("mode", &modes));
        for group in groups {
            for version in rustls::ALL_VERSIONS {
                if !group.usable_for_version(version.version) {
                    continue;
                }
                let offer =
                    Offer { versions: vec![version], groups: vec![group], ..Offer::default() };
                let shaken = shake(&Client::offering(&pki, offer), daemon.address());
                let record = daemon.record();
                match policy.group(u16::from(group.name())) {
                    Allowed::Yes => {
                        assert_eq!(shaken, Ok(()), "{group:?} in {modes}: {}", record.0);
                        approved(&record, &policy);
                    }
                    Allowed::No(rule) => {
                        assert_eq!(shaken, Err(40), "{group:?} in {modes}");
                        refused(&record, &policy, rule);
                    }
                }
            }
        }
        daemon.stop();
    }
}

#[test]
fn a_client_of_today_meets_every_mode_and_resumes_in_it() {
    let (pki, backend) = (Pki::new(), Backend::http());
    for modes in sets() {
        let policy = policy(&modes);
        let mut daemon = start(&pki, backend.address, &line("mode", &modes));
        for version in rustls::ALL_VERSIONS {
            let client =
                Client::offering(&pki, Offer { versions: vec![version], ..Offer::default() });
            for round in 0..2 {
                assert_eq!(shake(&client, daemon.address()), Ok(()));
                let record = daemon.record();
                approved(&record, &policy);
                assert_eq!(record.resumed(), round == 1, "{}", record.0);
            }
        }
        daemon.stop();
    }
}

#[test]
fn without_the_extended_master_secret_tls_1_2_ends_in_the_mode_that_demands_it() {
    let (pki, backend) = (Pki::new(), Backend::http());
    let hello = Hello::of(TLS12, AEAD).to(NAME);
    for modes in sets() {
        let policy = policy(&modes);
        let mut daemon = start(&pki, backend.address, &line("mode", &modes));
        match policy.without_extended_master_secret() {
            Allowed::Yes => {
                let answer = adjunct_tests::hello::answer(daemon.address(), &hello.record());
                assert_eq!(answer, Some(adjunct_tests::hello::SERVER_HELLO));
            }
            Allowed::No(rule) => {
                exchange(daemon.address(), &hello.record()).is_fatal(40);
                let record = daemon.record();
                record.expect("rule", rule.as_str()).expect("mode.verdict", "refused");
                assert_eq!((record.number("gsk"), record.alert_sent()), (402, Some(40)));
                record.explains("extended master secret");
            }
        }
        drop(daemon);
    }
}

#[test]
fn who_could_not_be_served_anyway_is_not_refused_by_the_mode() {
    let _ = need!("openssl");
    let (pki, backend) = (Pki::new(), Backend::http());
    let modes = ModeSet::from_iter([Mode::Fips1402]);
    let mut daemon = start(&pki, backend.address, &line("mode", &modes));
    // Approved by the policy, but not offered by this program.
    for suite in ["AES128-GCM-SHA256", "DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256"] {
        let options = ["-tls1_2", "-cipher", suite];
        let client = s_client(daemon.address(), NAME, &pki.bundle(), &options, REQUEST);
        assert_ne!(client.code, Some(0));
        let record = daemon.record();
        record.expect("rule", "no-common-cipher").expect("mode.verdict", "refused");
        assert!(record.field("mode.rule").is_null(), "{}", record.0);
    }
    daemon.stop();
}

#[test]
fn a_service_can_be_stricter_than_the_server_and_the_others_stay_as_they_are() {
    let _ = need!("openssl");
    let (pki, backend) = (Pki::new(), Backend::http());
    let leaf = pki.issue("both", &Leaf::new(Kind::Rsa2048, &["strict.test", "lax.test"]));
    let strict = ModeSet::from_iter([Mode::Nist800131a, Mode::Fips1403]);
    let nist = ModeSet::from_iter([Mode::Nist800131a]);
    let mut daemon = adjunct!().start(|[at]| {
        let service = |name: &str| {
            let service = Service::new(name, at, backend.address, &leaf);
            service.with(&format!("sni = \"{name}.test\""))
        };
        let only = "mode = [\"fips-140-3\"]";
        in_modes(&file(&[service("strict").with(only), service("lax")]), &nist)
    });
    let address = daemon.address();
    let mut connect = |name: &str, modes: &ModeSet| {
        let hello = Hello::of(TLS12, AEAD).to(name);
        let first = adjunct_tests::hello::answer(address, &hello.record());
        let tls = Client::new(&pki).connect(address, name).unwrap();
        assert!(!tls.talk(REQUEST.as_bytes()).unwrap().is_empty());
        let mut records = [daemon.record(), daemon.record()];
        records.sort_by_key(|record| record.outcome() == "completed");
        approved(&records[1], &policy(modes));
        (first, records[0].text("mode.rule").to_owned())
    };
    // Without the extended master secret, in TLS 1.2.
    let alert = Some((21, 2));
    assert_eq!(connect("strict.test", &strict).0, alert);
    let (first, rule) = connect("lax.test", &nist);
    assert_eq!((first, rule.as_str()), (Some(adjunct_tests::hello::SERVER_HELLO), ""));
    let by = RuleId::new(Mode::Fips1403, RuleKind::ExtendedMasterSecret);
    assert_eq!(connect("strict.test", &strict).1, by.as_str());
    daemon.stop();
}
