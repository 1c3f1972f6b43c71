//! What modes say of TLS with backends: enforced, recorded and watched.

use adjunct_tests::client::REQUEST;
use adjunct_tests::client::openssl::Server;
use adjunct_tests::client::stock::{Client, Offer};
use adjunct_tests::config::{Service, file};
use adjunct_tests::openssl_pki::{Odd, OddPki};
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::record::Record;
use adjunct_tests::scene::NAME;
use adjunct_tests::{adjunct, need};
use engine::compliance::{Mode, ModeSet};
use rustls::crypto::aws_lc_rs::kx_group;
use serde_json::{Value, json};

use super::{line, policy};

const GOOD: Odd = Odd { key: "RSA:2048", hash: "sha256" };

/// A backend: its key, its key usage, options and configuration of openssl.
#[derive(Clone, Copy)]
struct Peer<'a> {
    odd: Odd,
    usage: &'a str,
    options: &'a [&'a str],
    configuration: &'a str,
}

impl<'a> Peer<'a> {
    fn with(options: &'a [&'a str]) -> Self {
        Self { odd: GOOD, usage: "digitalSignature", options, configuration: "" }
    }
}

/// Meets a backend through a service with one more line, as a client that uses nothing but what
/// every mode approves.
fn meet(peer: Peer<'_>, more: &str) -> Record {
    let (odd_pki, pki, odd) = (OddPki::new(), Pki::new(), peer.odd);
    let ours = pki.issue("ours", &Leaf::new(Kind::P256, &[NAME]));
    let leaf = odd_pki.issue_with(&odd, peer.usage);
    let configuration = pki.path().join("openssl.cnf");
    std::fs::write(&configuration, peer.configuration).unwrap();
    let backend = Server::configured(&leaf, peer.options, &configuration);
    let mut daemon = adjunct!().start(|[at]| {
        let tls = format!(
            "tls_backend = {{ ca = \"{}\", server_name = \"{}.test\" }}",
            odd_pki.bundle().display(),
            odd.label()
        );
        file(&[Service::new("front", at, backend.address, &ours).with(&tls).with(more)])
    });
    let offer = Offer { groups: vec![kx_group::SECP256R1], ..Offer::default() };
    let answer = Client::offering(&pki, offer)
        .connect(daemon.address(), NAME)
        .and_then(|tls| tls.talk(REQUEST.as_bytes()));
    let record = daemon.record();
    drop(answer);
    daemon.stop();
    record
}

/// What the watched mode says: verdict, rule, whether the offer would do, what is missing.
fn watched(peer: Peer<'_>) -> (Record, [Value; 4]) {
    let record = meet(peer, &line("audit", &ModeSet::from_iter([Mode::Fips1403])));
    record.expect("outcome", "completed");
    let entry = record.field("audit")[0].clone();
    let parts = ["verdict", "rule", "offer_could", "missing"].map(|name| entry[name].clone());
    (record, parts)
}

#[test]
fn what_was_agreed_with_a_backend_stands_in_the_record_and_in_the_verdict() {
    let _ = need!("openssl");
    for modes in super::sets() {
        let record = meet(Peer::with(&[]), &line("mode", &modes));
        super::negotiation::approved(&record, &policy(&modes));
        let tls = record.field("backend_tls");
        let group = tls["curve"].as_str().unwrap_or_default();
        let code = engine::iana::group_code(group).expect("a group");
        assert!(policy(&modes).group(code).is_yes(), "{}", record.0);
        let scheme = tls["signature_scheme"].as_str().unwrap_or_default();
        let code = engine::iana::scheme_code(scheme).expect("a scheme");
        assert!(policy(&modes).scheme(code).is_yes(), "{}", record.0);
    }
}

#[test]
fn a_backend_that_has_nothing_approved_is_not_used() {
    let _ = need!("openssl");
    let modes = ModeSet::from_iter([Mode::Fips1403]);
    let weak = Odd { key: "RSA:1024", hash: "sha256" };
    let weak = Peer { odd: weak, ..Peer::with(&["-cipher", "DEFAULT@SECLEVEL=0"]) };
    let for_transport = Peer { usage: "keyEncipherment", ..Peer::with(&[]) };
    let chacha12 = ["-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"];
    let chacha13 = ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"];
    for (peer, rule, by_mode) in [
        (weak, "fips-140-3/key-strength", true),
        (for_transport, "fips-140-3/key-usage", true),
        (Peer::with(&["-groups", "X25519"]), "backend-alert", false),
        (Peer::with(&chacha12), "backend-alert", false),
        (Peer::with(&chacha13), "backend-alert", false),
    ] {
        let record = meet(peer, &line("mode", &modes));
        let outcome = if by_mode { "refused" } else { "aborted" };
        record.expect("outcome", outcome).expect("rule", rule);
        assert_eq!(record.text("mode.rule") == rule, by_mode, "{}", record.0);
        assert!(record.field("backend_tls").is_null(), "{}", record.0);
    }
}

#[test]
fn a_watched_mode_looks_at_backends_too() {
    let _ = need!("openssl");
    let none = json!([]);
    let (record, said) = watched(Peer::with(&["-groups", "P-256"]));
    let approved = [json!("approved"), Value::Null, json!(true), none.clone()];
    assert_eq!(said, approved, "{}", record.0);
    // Whether it would choose something else is not known.
    let (record, said) = watched(Peer::with(&["-groups", "X25519"]));
    let rule = json!("fips-140-3/group");
    assert_eq!(said, [json!("not-approved"), rule, json!(true), none.clone()], "{}", record.0);
    let chacha = ["-tls1_2", "-groups", "P-256", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305"];
    let (record, said) = watched(Peer::with(&chacha));
    let rule = json!("fips-140-3/suite");
    assert_eq!(said, [json!("not-approved"), rule, json!(true), none], "{}", record.0);
    // What it shows it will show again.
    let peer = Peer { usage: "keyEncipherment", ..Peer::with(&["-groups", "P-256"]) };
    let (record, [verdict, rule, could, missing]) = watched(peer);
    assert_eq!((verdict, rule), (json!("not-approved"), json!("fips-140-3/key-usage")));
    assert_eq!(could, json!(false), "{}", record.0);
    assert!(missing[0].as_str().unwrap().starts_with("backend: the key usage"), "{missing}");
    // Nor will it learn the extended master secret.
    let old = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = system\n\
               [system]\nOptions = -ExtendedMasterSecret\n";
    let options = ["-tls1_2", "-groups", "P-256"];
    let (_, said) = watched(Peer::with(&options));
    assert_eq!(said, approved);
    let (record, said) = watched(Peer { configuration: old, ..Peer::with(&options) });
    let missing = json!(["backend: TLS 1.2 without extended_master_secret"]);
    let rule = json!("fips-140-3/extended-master-secret");
    assert_eq!(said, [json!("not-approved"), rule, json!(false), missing], "{}", record.0);
}
