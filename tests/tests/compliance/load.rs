//! What a mode stops when it is loaded: exit code 78, the file and the rule, and nothing listens.

use std::path::Path;

use adjunct_tests::config::{Service, file, in_mode};
use adjunct_tests::daemon::free_address;
use adjunct_tests::openssl_pki::{Odd, OddPki};
use adjunct_tests::pki::{Issued, Kind, Leaf, Pki};
use adjunct_tests::scene::NAME;
use adjunct_tests::{adjunct, need};
use engine::compliance::{Mode, ModeSet};

use super::in_modes;

/// Asserts that `check` and `run` refuse a configuration with 78 and say all of this.
#[track_caller]
fn stopped(text: &str, said: &[&str]) {
    let directory = tempfile::TempDir::new().unwrap();
    let config = directory.path().join("adjunct.toml");
    std::fs::write(&config, in_mode(text)).unwrap();
    for verb in ["check", "run"] {
        let ended = adjunct!().with_file(verb, &config).exit(78);
        for said in said {
            assert!(ended.stderr.contains(said), "{verb} does not say {said:?}:\n{}", ended.stderr);
        }
        assert!(!ended.output().contains("listening"), "{}", ended.output());
    }
}

fn nist() -> ModeSet {
    ModeSet::from_iter([Mode::Nist800131a])
}

fn service(leaf: &Issued) -> Service {
    Service::new("plain", free_address(), "127.0.0.1:1", leaf)
}

#[test]
fn a_weak_or_outdated_certificate_stops_the_start() {
    let _ = need!("openssl");
    let pki = OddPki::new();
    for (key, hash, rule) in [
        ("RSA:1024", "sha256", "[nist-800-131a/key-strength]"),
        ("RSA:2048", "sha1", "[nist-800-131a/certificate-signature]"),
        ("P-192", "sha256", "[nist-800-131a/key-type]"),
    ] {
        let issued = pki.issue(&Odd { key, hash });
        let text = in_modes(&file(&[service(&issued)]), &nist());
        stopped(&text, &[issued.cert.to_str().unwrap(), rule, "service.plain.cert"]);
    }
    let odd = Odd { key: "RSA:2048", hash: "sha256" };
    let wrong_usage = pki.issue_with(&odd, "keyEncipherment");
    let text = in_modes(&file(&[service(&wrong_usage)]), &nist());
    stopped(&text, &["[nist-800-131a/key-usage]", "digitalSignature"]);
}

#[test]
fn a_ca_that_is_too_weak_stops_the_start_wherever_it_is_trusted() {
    let _ = need!("openssl");
    let (pki, odd) = (Pki::new(), OddPki::new());
    let leaf = pki.issue("a", &Leaf::new(Kind::P256, &[NAME]));
    let weak = odd.weak_authority();
    let ca = |path: &Path| format!("ca = \"{}\"", path.display());
    for line in [
        format!("client_auth = {{ mode = \"required\", {} }}", ca(&weak)),
        format!("tls_backend = {{ {}, server_name = \"{NAME}\" }}", ca(&weak)),
    ] {
        let text = in_modes(&file(&[service(&leaf).with(&line)]), &nist());
        stopped(&text, &["[nist-800-131a/key-strength]", weak.to_str().unwrap()]);
        // Without the mode it is taken.
        let directory = tempfile::TempDir::new().unwrap();
        let config = directory.path().join("adjunct.toml");
        std::fs::write(&config, file(&[service(&leaf).with(&line)])).unwrap();
        let _ = adjunct!().with_file("check", &config).success();
    }
}

#[test]
fn a_mode_that_leaves_nothing_to_negotiate_says_which_rule_has_removed_what() {
    let pki = Pki::new();
    let leaf = pki.issue("a", &Leaf::new(Kind::P256, &[NAME]));
    let both = ModeSet::from_iter([Mode::Fips1402, Mode::Fips1403]);
    let chacha = "suites = [\"TLS_CHACHA20_POLY1305_SHA256\", \
                  \"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256\"]";
    for (line, said) in [
        (chacha, "fips-140-2/suite has removed TLS_"),
        ("groups = [\"x25519\"]", "fips-140-2/group has removed x25519"),
        ("groups = [\"X25519MLKEM768\", \"x25519\"]", "has removed X25519MLKEM768, x25519"),
    ] {
        let text = in_modes(&file(&[service(&leaf).with(line)]), &both);
        stopped(&text, &[said, "service.plain", " is left"]);
    }
    // Each mode says what it has removed, of the version that has nothing left; and a remedy names
    // nothing that a mode would remove again.
    let text = in_modes(&file(&[service(&leaf).with(chacha)]), &both);
    let ecdsa = "has removed TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
    stopped(&text, &[&format!("left; fips-140-2/suite {ecdsa}; fips-140-3/suite {ecdsa}\n")]);
    let text = in_modes(&file(&[service(&leaf).with("groups = [\"x25519\"]")]), &both);
    stopped(&text, &["remedy: add secp256r1 or secp384r1 or secp521r1 to `groups`"]);
    let hybrid = in_modes(
        &file(&[service(&leaf).with("groups = [\"X25519MLKEM768\"]")]),
        &ModeSet::from_iter([Mode::Fips1403]),
    );
    stopped(&hybrid, &["add secp256r1 or secp384r1 or secp521r1 to `groups`, or write versions"]);
    // Approved in one of them only, and for TLS 1.3 only.
    let hybrid = "groups = [\"X25519MLKEM768\"]\nversions = [\"1.3\"]";
    let text = file(&[service(&leaf).with(hybrid)]);
    stopped(&in_modes(&text, &both), &["fips-140-2/group has removed X25519MLKEM768"]);
    let directory = tempfile::TempDir::new().unwrap();
    let config = directory.path().join("adjunct.toml");
    let alone = ModeSet::from_iter([Mode::Fips1403]);
    std::fs::write(&config, in_mode(&in_modes(&text, &alone))).unwrap();
    let _ = adjunct!().with_file("check", &config).success();
}

#[test]
fn cards_that_may_be_replaced_or_believed_are_refused_in_a_fips_mode() {
    let pki = Pki::new();
    let leaf = pki.issue("a", &Leaf::new(Kind::P256, &[NAME]));
    let fips = ModeSet::from_iter([Mode::Fips1403]);
    for (route, rule) in [
        ("no_card = \"software\"", "fips-140-3/no-card"),
        ("verify = \"rsa\"", "fips-140-3/verify"),
    ] {
        let text = format!("{}\n[route]\n{route}\n", file(&[service(&leaf)]));
        stopped(&in_modes(&text, &fips), &[rule]);
    }
}

#[test]
fn a_rule_of_a_mode_can_be_explained() {
    for rule in ["fips-140-3/suite", "nist-800-131a/key-strength"] {
        let told = adjunct!().run(&["explain", rule]).success();
        assert!(told.stdout.contains(&format!("rule {rule}")), "{}", told.stdout);
    }
}
