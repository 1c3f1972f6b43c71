//! A mode that is only watched refuses nothing and says what it would have refused; and what it
//! says is what the same clients meet when it is enforced.

use std::collections::BTreeMap;

use adjunct_tests::backend::Backend;
use adjunct_tests::client::REQUEST;
use adjunct_tests::client::openssl::s_client;
use adjunct_tests::client::stock::{Client, Offer};
use adjunct_tests::config::{Service, file};
use adjunct_tests::openssl_pki::{Odd, OddPki};
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::record::Record;
use adjunct_tests::scene::NAME;
use adjunct_tests::{adjunct, need};
use engine::compliance::{Mode, ModeSet};
use rustls::crypto::aws_lc_rs::kx_group;
use serde_json::Value;

use super::negotiation::everything;
use super::{line, policy};

/// What a watched mode says in a record.
fn audit(record: &Record, mode: Mode) -> Value {
    let all = record.field("audit").as_array().cloned().unwrap_or_default();
    all.into_iter().find(|entry| entry["mode"] == mode.name()).expect("an entry of the mode")
}

#[test]
fn what_a_watched_mode_foretells_is_what_clients_meet_when_it_is_enforced() {
    let _ = need!("openssl");
    let (pki, backend) = (Pki::new(), Backend::http());
    let leaves = [Kind::Rsa2048, Kind::P256, Kind::P384, Kind::P521];
    let leaves = leaves.map(|kind| pki.issue(&format!("{kind:?}"), &Leaf::new(kind, &[NAME])));
    let start = |server: &str| {
        adjunct!().start(|[at]| {
            let service = Service::with_certs("plain", at, &[backend.address], &leaves.each_ref());
            file(&[service]).replacen("[server]\n", &format!("[server]\n{server}\n"), 1)
        })
    };
    let mut watching = start(&line("audit", &ModeSet::from_iter(Mode::ALL)));
    let mut foretold = BTreeMap::new();
    for only in everything() {
        assert!(only.connect(watching.address(), &pki.bundle()), "{} without a mode", only.name);
        let record = watching.completed();
        assert!(record.field("mode.verdict").is_null(), "no mode is on: {}", record.0);
        for mode in Mode::ALL {
            let entry = audit(&record, mode);
            let could = entry["offer_could"].as_bool().unwrap();
            let approved = only.allowed(&policy(&ModeSet::from_iter([mode]))).is_yes();
            assert_eq!(could, approved, "{} {entry}", only.name);
            assert_eq!(could, entry["missing"].as_array().unwrap().is_empty(), "{entry}");
            // Who could comply and does not today, for instance by a group, meets no refusal.
            let rule = entry["rule"].as_str().filter(|_| !could).unwrap_or_default().to_owned();
            foretold.insert((only.name.clone(), mode), (could, rule));
        }
    }
    watching.stop();
    for mode in Mode::ALL {
        let mut enforcing = start(&line("mode", &ModeSet::from_iter([mode])));
        for only in everything() {
            let served = only.connect(enforcing.address(), &pki.bundle());
            let record = enforcing.record();
            let met = (served, record.text("mode.rule").to_owned());
            assert_eq!(met, foretold[&(only.name.clone(), mode)], "{} in {mode}", only.name);
        }
        enforcing.stop();
    }
}

#[test]
fn a_client_that_prefers_what_is_not_approved_could_comply_if_it_offers_more() {
    let (pki, backend) = (Pki::new(), Backend::http());
    let leaf = pki.issue("a", &Leaf::new(Kind::P256, &[NAME]));
    let watch = line("audit", &ModeSet::from_iter([Mode::Fips1403]));
    let mut daemon = adjunct!()
        .start(|[at]| file(&[Service::new("plain", at, backend.address, &leaf).with(&watch)]));
    let mut meet = |groups: &[&'static dyn rustls::crypto::SupportedKxGroup]| {
        let offer = Offer { groups: groups.to_vec(), ..Offer::default() };
        let tls = Client::offering(&pki, offer).connect(daemon.address(), NAME).unwrap();
        assert!(!tls.talk(REQUEST.as_bytes()).unwrap().is_empty());
        audit(&daemon.completed(), Mode::Fips1403)
    };
    let more = meet(&[kx_group::X25519, kx_group::SECP256R1]);
    assert_eq!(
        (&more["verdict"], &more["rule"]),
        (&"not-approved".into(), &"fips-140-3/group".into())
    );
    assert_eq!((&more["offer_could"], &more["missing"]), (&true.into(), &Value::Array(Vec::new())));
    let only = meet(&[kx_group::X25519]);
    assert_eq!(only["offer_could"], false);
    assert_eq!(only["missing"], serde_json::json!(["group: offers x25519 only"]));
    let good = meet(&[kx_group::SECP256R1]);
    assert_eq!((&good["verdict"], &good["offer_could"]), (&"approved".into(), &true.into()));
    daemon.stop();
}

#[test]
fn a_certificate_that_a_watched_mode_would_stop_the_start_for_is_named() {
    let _ = need!("openssl");
    let (pki, backend) = (OddPki::new(), Backend::http());
    let odd = Odd { key: "RSA:2048", hash: "sha1" };
    let issued = pki.issue(&odd);
    let watch = line("audit", &ModeSet::from_iter(Mode::ALL));
    let mut daemon = adjunct!()
        .start(|[at]| file(&[Service::new("plain", at, backend.address, &issued).with(&watch)]));
    let name = format!("{}.test", odd.label());
    let lax = ["-cipher", "DEFAULT@SECLEVEL=0", "-groups", "P-256"];
    let _ = s_client(daemon.address(), &name, &pki.bundle(), &lax, REQUEST).success();
    let record = daemon.completed();
    let nist = audit(&record, Mode::Nist800131a);
    assert_eq!(nist["verdict"], "not-approved");
    assert_eq!(nist["rule"], "nist-800-131a/certificate-signature");
    let missing = nist["missing"].as_array().unwrap();
    assert!(missing.iter().any(|m| m.as_str().unwrap().starts_with("service: ")), "{nist}");
    daemon.stop();
}

#[test]
fn a_watched_mode_judges_what_a_refused_client_has_shown() {
    let _ = need!("openssl");
    let (odd_pki, pki, backend) = (OddPki::new(), Pki::new(), Backend::http());
    let ours = pki.issue("ours", &Leaf::new(Kind::P256, &[NAME]));
    let shown = odd_pki.issue(&Odd { key: "RSA:1024", hash: "sha256" });
    let ca = odd_pki.bundle();
    let mut daemon = adjunct!().start(|[at]| {
        let auth = format!("client_auth = {{ mode = \"required\", ca = \"{}\" }}", ca.display());
        let watch = line("audit", &ModeSet::from_iter([Mode::Fips1403]));
        let mode = line("mode", &ModeSet::from_iter([Mode::Nist800131a]));
        let service = Service::new("plain", at, backend.address, &ours).with(&auth);
        file(&[service.with(&mode).with(&watch)])
    });
    let (cert, key) = (shown.cert.to_str().unwrap(), shown.key.to_str().unwrap());
    let options = ["-cert", cert, "-key", key, "-cipher", "DEFAULT@SECLEVEL=0"];
    let _ = s_client(daemon.address(), NAME, &pki.bundle(), &options, REQUEST);
    let record = daemon.record();
    record.expect("mode.verdict", "refused").expect("mode.rule", "nist-800-131a/key-strength");
    let entry = audit(&record, Mode::Fips1403);
    assert_eq!((&entry["verdict"], &entry["offer_could"]), (&"refused".into(), &false.into()));
    assert_eq!(entry["rule"], "fips-140-3/key-strength");
    let missing = entry["missing"][0].as_str().unwrap();
    assert!(missing.starts_with("client certificate: the key of"), "{missing}");
    daemon.stop();
}
