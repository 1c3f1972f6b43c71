//! Certificates of clients that were revoked, with lists made by `openssl ca`.

use std::path::{Path, PathBuf};

use adjunct_tests::backend::Backend;
use adjunct_tests::client::openssl::s_client;
use adjunct_tests::client::{REQUEST, curl};
use adjunct_tests::config::{Service, file};
use adjunct_tests::daemon::{Daemon, free_address};
use adjunct_tests::pki::{Issued, Kind, Leaf, Pki};
use adjunct_tests::record::Record;
use adjunct_tests::revocation_pki::{Ca, RevocationPki};
use adjunct_tests::scene::NAME;
use adjunct_tests::{adjunct, need};
use engine::compliance::{Mode, ModeSet};

use super::{in_modes, line};

/// A daemon whose service has this line, and what its clients need.
struct Scene {
    pki: Pki,
    daemon: Daemon<1>,
    _backend: Backend,
}

impl Scene {
    fn new(line: &str) -> Self {
        let (pki, backend) = (Pki::new(), Backend::http());
        let leaf = pki.issue("ours", &Leaf::new(Kind::P256, &[NAME]));
        let daemon = adjunct!()
            .start(|[at]| file(&[Service::new("plain", at, backend.address, &leaf).with(line)]));
        Self { pki, daemon, _backend: backend }
    }

    /// Comes as `client`, in both versions: what openssl said, and the record.
    fn come(&mut self, client: &Issued) -> Vec<(String, Record)> {
        let (cert, key) = (client.cert.to_str().unwrap(), client.key.to_str().unwrap());
        let mut met = Vec::new();
        for version in ["-tls1_2", "-tls1_3"] {
            // openssl takes the certificates behind the first of `-cert` from `-cert_chain` only.
            let options = [version, "-cert", cert, "-key", key, "-cert_chain", cert];
            let said = s_client(self.daemon.address(), NAME, &self.pki.bundle(), &options, REQUEST);
            met.push((said.output(), self.daemon.record()));
        }
        met
    }

    #[track_caller]
    fn serves(&mut self, client: &Issued) {
        for (said, record) in self.come(client) {
            assert_eq!(record.outcome(), "completed", "{said}\n{}", record.0);
            assert!(said.contains("HTTP/1.1 200"), "{said}");
        }
    }

    #[track_caller]
    fn refuses(&mut self, client: &Issued, rule: &str, gsk: u64, alert: u64) {
        for (said, record) in self.come(client) {
            record.expect("outcome", "refused").expect("rule", rule);
            assert_eq!((record.number("gsk"), record.alert_sent()), (gsk, Some(alert)));
            assert!(said.contains(&format!("alert number {alert}")), "{said}");
            assert!(record.text("client.subject").starts_with("CN="), "{}", record.0);
        }
    }
}

#[test]
fn a_revoked_client_gets_alert_44_and_the_others_are_served() {
    let _ = (need!("openssl"), need!("curl"));
    let pki = RevocationPki::new(2048);
    let (good, bad) = (pki.issue("good", Ca::Root), pki.issue("bad", Ca::Root));
    let (near, gone) = (pki.issue("near", Ca::Department), pki.issue("gone", Ca::Department));
    pki.revoke("bad", Ca::Root);
    pki.revoke("gone", Ca::Department);
    let lists = [pki.list(Ca::Root, "root.crl", &[]), pki.list(Ca::Department, "dep.crl", &[])];
    // One in PEM, one in DER.
    let mut scene = Scene::new(&pki.line(&[&lists[0], &pki.der(&lists[1])], ""));
    for client in [&good, &near] {
        scene.serves(client);
    }
    for client in [&bad, &gone] {
        scene.refuses(client, "client-cert-revoked", 431, 44);
    }
    let fetch = |scene: &Scene, client: &Issued| {
        let (cert, key) = (client.cert.to_str().unwrap(), client.key.to_str().unwrap());
        let options = ["--cert", cert, "--key", key];
        curl::get(scene.daemon.address(), NAME, &scene.pki.bundle(), &options)
    };
    let _ = fetch(&scene, &good).success();
    assert_eq!(scene.daemon.record().outcome(), "completed");
    let refused = fetch(&scene, &bad);
    assert_ne!(refused.code, Some(0));
    let record = scene.daemon.record();
    record.expect("rule", "client-cert-revoked").explains("revoked");
    scene.daemon.stop();
}

#[test]
fn the_whole_chain_is_looked_up_unless_the_leaf_alone_is_asked_for() {
    let _ = need!("openssl");
    let pki = RevocationPki::new(2048);
    let near = pki.issue("near", Ca::Department);
    pki.revoke("department", Ca::Root);
    let lists = [pki.list(Ca::Root, "root.crl", &[]), pki.list(Ca::Department, "dep.crl", &[])];
    let lists = [&lists[0], &lists[1]];
    let mut whole = Scene::new(&pki.line(&lists, ""));
    whole.refuses(&near, "client-cert-revoked", 431, 44);
    whole.daemon.stop();
    let mut leaf = Scene::new(&pki.line(&lists, ", crl_depth = \"leaf\""));
    leaf.serves(&near);
    leaf.daemon.stop();
}

#[test]
fn a_certificate_no_list_covers_is_refused_unless_that_is_accepted() {
    let _ = need!("openssl");
    let pki = RevocationPki::new(2048);
    let (near, bad) = (pki.issue("near", Ca::Department), pki.issue("bad", Ca::Root));
    pki.revoke("bad", Ca::Root);
    let list = pki.list(Ca::Root, "root.crl", &[]);
    let mut strict = Scene::new(&pki.line(&[&list], ""));
    strict.refuses(&near, "client-cert-status-unknown", 8, 46);
    strict.daemon.stop();
    let mut lax = Scene::new(&pki.line(&[&list], ", crl_unknown = \"accept\""));
    lax.serves(&near);
    lax.refuses(&bad, "client-cert-revoked", 431, 44);
    lax.daemon.stop();
}

const OLD: [&str; 4] = ["-crl_lastupdate", "20250101000000Z", "-crl_nextupdate", "20250201000000Z"];

/// Asserts that `check` and `run` end with this code, and say all of this of the file.
#[track_caller]
fn stopped(text: &str, code: i32, list: &Path, said: &[&str]) {
    let directory = tempfile::TempDir::new().unwrap();
    let config = directory.path().join("adjunct.toml");
    std::fs::write(&config, text).unwrap();
    for verb in ["check", "run"] {
        let ended = adjunct!().with_file(verb, &config).exit(code);
        for said in said.iter().chain(&[list.to_str().unwrap(), "client_auth.crl"]) {
            assert!(ended.stderr.contains(said), "{verb} does not say {said:?}:\n{}", ended.stderr);
        }
        assert!(!ended.output().contains("listening"), "{}", ended.output());
    }
}

fn with_lists(pki: &RevocationPki, lists: &[&PathBuf], more: &str) -> (Pki, String) {
    let ours = Pki::new();
    let leaf = ours.issue("ours", &Leaf::new(Kind::P256, &[NAME]));
    let service = Service::new("plain", free_address(), "127.0.0.1:1", &leaf);
    (ours, file(&[service.with(&pki.line(lists, more))]))
}

#[test]
fn a_list_that_cannot_be_used_stops_the_start() {
    let _ = need!("openssl");
    let (pki, other) = (RevocationPki::new(2048), RevocationPki::new(2048));
    let old = pki.list(Ca::Root, "old.crl", &OLD);
    let foreign = other.list(Ca::Root, "foreign.crl", &[]);
    let sha1 = pki.list(Ca::Root, "sha1.crl", &["-md", "sha1"]);
    for (list, rule) in [
        (&old, "[crl-expired-at-start]"),
        (&foreign, "[crl-foreign-signature]"),
        (&sha1, "[crl-signature-unsupported]"),
        (&pki.root(), "[crl-missing]"),
    ] {
        let (_ours, text) = with_lists(&pki, &[list], "");
        stopped(&text, 65, list, &[rule]);
    }
    let (_ours, text) = with_lists(&pki, &[&pki.root().with_extension("none")], "");
    stopped(&text, 66, &pki.root().with_extension("none"), &["does not exist"]);
    // An old one can be told to count, and what it revokes is revoked.
    let bad = pki.issue("bad", Ca::Root);
    pki.revoke("bad", Ca::Root);
    let old = pki.list(Ca::Root, "old.crl", &OLD);
    let mut scene = Scene::new(&pki.line(&[&old], ", crl_expired = \"accept\""));
    scene.refuses(&bad, "client-cert-revoked", 431, 44);
    scene.daemon.stop();
}

#[test]
fn a_ca_without_a_list_is_pointed_out() {
    let _ = need!("openssl");
    let pki = RevocationPki::new(2048);
    let list = pki.list(Ca::Department, "dep.crl", &[]);
    let directory = tempfile::TempDir::new().unwrap();
    let config = directory.path().join("adjunct.toml");
    for (more, warned) in [("", true), (", crl_unknown = \"accept\"", false)] {
        let (_ours, text) = with_lists(&pki, &[&list], more);
        std::fs::write(&config, text).unwrap();
        let told = adjunct!().with_file("check", &config).success();
        assert_eq!(told.output().contains("[crl-none-for-ca]"), warned, "{}", told.output());
    }
}

#[test]
fn a_mode_judges_lists_as_it_judges_certificates() {
    let _ = need!("openssl");
    let pki = RevocationPki::new(1024);
    let sha1 = pki.list(Ca::Root, "sha1.crl", &["-md", "sha1"]);
    let weak = pki.list(Ca::Department, "weak.crl", &[]);
    let good = pki.list(Ca::Root, "root.crl", &[]);
    let nist = ModeSet::from_iter([Mode::Nist800131a]);
    for (list, rule, what) in [
        (&sha1, "[nist-800-131a/certificate-signature]", "RSA-SHA1"),
        (&weak, "[nist-800-131a/key-strength]", "RSA 1024"),
    ] {
        let (_ours, text) = with_lists(&pki, &[&good, list], "");
        stopped(&in_modes(&text, &nist), 78, list, &[rule, what, "revocation list of `CN="]);
        assert!(!line("mode", &nist).is_empty());
    }
}
