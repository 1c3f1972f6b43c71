//! Configurations, right and wrong, and the commands that need no daemon.
//!
//! Each wrong one is given to `check` and to `run`: both name the file, the line or the label, the
//! reason and the remedy, and both end with the documented exit code.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use adjunct_tests::adjunct;
use adjunct_tests::client_pki::ClientPki;
use adjunct_tests::pki::{Issued, Kind, Leaf, Pki};
use adjunct_tests::tidy::Tree;

const LISTEN: &str = "127.0.0.1:10992";

/// A directory with a PKI, one good leaf, and the configuration file.
struct Place {
    pki: Pki,
    good: Issued,
    config: PathBuf,
}

impl Place {
    fn new() -> Self {
        let pki = Pki::new();
        let good = pki.issue("good", &Leaf::new(Kind::P256, &["a.test"]));
        let config = pki.path().join("adjunct.toml");
        Self { pki, good, config }
    }

    /// A service with these lines in place of the usual ones.
    fn service(&self, name: &str, listen: &str, issued: &Issued, more: &str) -> String {
        format!(
            "[[service]]\nname = \"{name}\"\nlisten = \"{listen}\"\nbackend = \"127.0.0.1:10023\"\n\
             cert = \"{}\"\nkey = \"{}\"\n{more}\n",
            issued.cert.display(),
            issued.key.display()
        )
    }

    fn good(&self, more: &str) -> String {
        self.service("plain", LISTEN, &self.good, more)
    }

    /// Asserts how `check` and `run` end with this text, and that they say each of `words`.
    #[track_caller]
    fn refuses(&self, text: &str, code: i32, words: &[&str]) {
        std::fs::write(&self.config, text).unwrap();
        for verb in ["check", "run"] {
            let mut done = adjunct!().with_file(verb, &self.config).exit(code);
            for word in words.iter().chain(&["adjunct.toml", "remedy:"]) {
                done = done.says(word);
            }
        }
    }
}

#[test]
fn a_good_configuration_passes_the_check() {
    let place = Place::new();
    std::fs::write(&place.config, place.good("")).unwrap();
    let _ = adjunct!().with_file("check", &place.config).success();
}

#[test]
fn the_configuration_of_the_readme_passes_the_check() {
    let tree = Tree::read();
    let readme = &tree.file("README.md").expect("README.md at the root").text;
    let block = readme
        .split("```toml")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .find(|block| block.contains("[[service]]"))
        .expect("a configuration in README.md");
    let place = Place::new();
    let table: toml::Table = block.parse().unwrap();
    for service in table["service"].as_array().unwrap() {
        let (cert, key) = (service["cert"].as_str().unwrap(), service["key"].as_str().unwrap());
        std::fs::copy(&place.good.cert, place.pki.path().join(cert)).unwrap();
        std::fs::copy(&place.good.key, place.pki.path().join(key)).unwrap();
    }
    std::fs::write(&place.config, block).unwrap();
    let _ = adjunct!().with_file("check", &place.config).success();
}

#[test]
fn a_missing_configuration_file_is_named() {
    let place = Place::new();
    for verb in ["check", "run"] {
        let done = adjunct!().with_file(verb, &place.config).exit(66);
        let _ = done.says("adjunct.toml").says("No such file").says("remedy:");
    }
}

#[test]
fn a_missing_certificate_or_key_file_is_named() {
    let place = Place::new();
    let missing = Issued { cert: place.pki.path().join("none.pem"), ..place.good.clone() };
    let text = place.service("plain", LISTEN, &missing, "");
    place.refuses(&text, 66, &["none.pem", "adjunct.toml:5:"]);
    let missing = Issued { key: place.pki.path().join("none.key"), ..place.good.clone() };
    let text = place.service("plain", LISTEN, &missing, "");
    place.refuses(&text, 66, &["none.key", "adjunct.toml:6:"]);
}

#[test]
fn a_key_that_does_not_match_is_named() {
    let place = Place::new();
    for kind in [Kind::P256, Kind::Rsa2048, Kind::P384] {
        let other = place.pki.issue("other", &Leaf::new(kind, &["a.test"]));
        let mixed = Issued { cert: place.good.cert.clone(), key: other.key };
        let text = place.service("plain", LISTEN, &mixed, "");
        place.refuses(&text, 65, &["other.key", "good.pem"]);
    }
}

#[test]
fn an_expired_certificate_is_named_with_its_date() {
    let place = Place::new();
    let old = place.pki.issue("old", &Leaf::new(Kind::P256, &["a.test"]).expired());
    let text = place.service("plain", LISTEN, &old, "");
    place.refuses(&text, 65, &["old.pem", "expired", "2021"]);
}

#[test]
fn files_that_hold_something_else_are_named() {
    let place = Place::new();
    let bad = Issued { cert: place.pki.path().join("bad.pem"), ..place.good.clone() };
    let text = place.service("plain", LISTEN, &bad, "");
    std::fs::write(&bad.cert, "").unwrap();
    place.refuses(&text, 65, &["bad.pem", "empty"]);
    std::fs::write(&bad.cert, [0x30, 0x82, 0xff, 0xfe]).unwrap();
    place.refuses(&text, 65, &["bad.pem", "PEM"]);
    let label = ["-----BEGIN ", "CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"].concat();
    std::fs::write(&bad.cert, label).unwrap();
    place.refuses(&text, 65, &["bad.pem"]);
    std::fs::copy(&place.good.key, &bad.cert).unwrap();
    place.refuses(&text, 65, &["bad.pem", "no certificate"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let place = Place::new();
    // A directory: unreadable for root too, under whom the permissions of a file mean nothing.
    let unreadable = Issued { cert: place.pki.path().to_owned(), ..place.good.clone() };
    std::fs::write(&place.config, place.service("plain", LISTEN, &unreadable, "")).unwrap();
    for verb in ["check", "run"] {
        let done = adjunct!().with_file(verb, &place.config);
        assert!(matches!(done.code, Some(65 | 66 | 71 | 77)), "{:?}\n{}", done.code, done.output());
        let _ = done.says("remedy:").says(&place.pki.path().to_string_lossy());
    }
}

#[test]
fn an_unknown_key_is_an_error_with_line_and_suggestion() {
    let place = Place::new();
    let text = place.good("ticket = 1");
    place.refuses(&text, 78, &["adjunct.toml:7:1", "unknown key", "tickets"]);
    place.refuses(&format!("[sever]\n{text}"), 78, &["adjunct.toml:1:", "server"]);
}

#[test]
fn a_bad_address_is_named() {
    let place = Place::new();
    for listen in ["127.0.0.1", "127.0.0.1:99999", "nowhere", "300.0.0.1:1", ""] {
        let text = place.service("plain", listen, &place.good, "");
        place.refuses(&text, 78, &["adjunct.toml:3:", "plain.listen"]);
    }
}

#[test]
fn a_remote_plaintext_backend_is_refused_unless_allowed() {
    let place = Place::new();
    let remote = place.good("").replace("127.0.0.1:10023", "192.0.2.1:23");
    place.refuses(&remote, 78, &["adjunct.toml:4:", "allow_remote_plaintext"]);
    std::fs::write(&place.config, format!("{remote}allow_remote_plaintext = true\n")).unwrap();
    let _ = adjunct!().with_file("check", &place.config).success();
}

#[test]
fn two_services_on_one_address_must_differ_in_their_names() {
    let place = Place::new();
    let two = |sni: &str| {
        let service = |name| place.service(name, LISTEN, &place.good, sni);
        format!("{}{}", service("one"), service("two"))
    };
    place.refuses(&two(""), 78, &["one", "two", LISTEN, "sni"]);
    place.refuses(&two("sni = \"a.test\""), 78, &["one", "two", "a.test"]);
}

#[test]
fn an_empty_configuration_is_refused() {
    let place = Place::new();
    place.refuses("", 78, &["service"]);
    place.refuses("# nothing\n", 78, &["service"]);
    place.refuses("[[service\n", 78, &["adjunct.toml:1:"]);
}

#[test]
fn what_no_client_could_use_is_found_by_the_check_too() {
    let place = Place::new();
    let suites = "suites = [\"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\"]";
    let text = place.good(&format!("versions = [\"1.2\"]\n{suites}"));
    place.refuses(&text, 78, &["adjunct.toml:2:", "suites", "TLS_ECDHE_ECDSA"]);
    let text = place.good("versions = [\"1.2\"]\ngroups = [\"X25519MLKEM768\"]");
    place.refuses(&text, 78, &["adjunct.toml:2:", "groups", "secp256r1"]);
    let card = "[[card]]\nid = 0\ntype = \"CEX8A\"\ndomains = [6]\n";
    let text = format!("{card}{}", place.good(""));
    let on_cards = format!("[route]\necdsa = \"cex\"\n{text}");
    place.refuses(&on_cards, 78, &["good.pem", "CEX8A", "CEX8C"]);
    std::fs::write(&place.config, text).unwrap();
    let _ = adjunct!().with_file("check", &place.config).success();
}

#[test]
fn a_target_that_cannot_be_written_is_named() {
    let place = Place::new();
    let log = |target: &str| format!("[server]\nlog.target = \"{target}\"\n{}", place.good(""));
    place.refuses(&log("none/a.log"), 78, &["adjunct.toml:2:", "none", "does not exist"]);
    place.refuses(&log("."), 78, &["adjunct.toml:2:", "directory"]);
    let socket = |at: &str| format!("[admin]\nsocket = \"{at}\"\n{}", place.good(""));
    place.refuses(&socket("none/a.sock"), 78, &["adjunct.toml:2:", "none", "does not exist"]);
    place.refuses(&socket("good.pem"), 78, &["adjunct.toml:2:", "not a socket"]);
}

#[test]
fn an_address_of_no_interface_is_named() {
    let place = Place::new();
    let text = place.service("plain", "192.0.2.9:992", &place.good, "");
    place.refuses(&text, 69, &["adjunct.toml:3:", "192.0.2.9"]);
}

#[test]
fn all_faults_are_reported_at_once() {
    let place = Place::new();
    let old = place.pki.issue("old", &Leaf::new(Kind::P256, &["a.test"]).expired());
    let missing = Issued { cert: place.pki.path().join("none.pem"), ..place.good.clone() };
    let text = [
        place.service("one", "127.0.0.1:10001", &old, "tickts = 1"),
        place.service("two", "127.0.0.1", &missing, ""),
    ]
    .concat();
    place.refuses(&text, 78, &["tickts", "two.listen", "none.pem", "old.pem"]);
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    for arguments in [&["frobnicate"][..], &["run", "--no-such-flag"], &["check", "-c"]] {
        let _ = adjunct!().run(arguments).exit(64);
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [&["--help"][..], &["run", "--help"], &["--version"]] {
        let done = adjunct!().run(arguments).success();
        assert!(done.stdout.contains("adjunct"), "{}", done.output());
    }
}

#[test]
fn cipher_suites_are_listed_under_all_names_with_what_a_mode_exempts() {
    let list = adjunct!().run(&["ciphers"]).success();
    let list = list.says("ECDHE-RSA-AES128-GCM-SHA256").says("ECDHE_RSA_AES_128_GCM_SHA256");
    assert!(!list.says("nearest: C02F").output().contains("exempt: "));
    let exempt = adjunct!().run(&["ciphers", "--mode", "fips-140-3", "--json"]).success();
    let rows: serde_json::Value = serde_json::from_str(&exempt.stdout).unwrap();
    let chacha = rows.as_array().unwrap().iter().find(|row| row["code"] == "1303").unwrap();
    assert_eq!(chacha["state"], "exempt");
    assert_eq!(chacha["rule"], "fips-140-3/suite");
    let both = ["ciphers", "--mode", "fips-140-2,nist-800-131a"];
    let _ = adjunct!().run(&both).success().says("exempt: fips-140-2/suite");
    let _ = adjunct!().run(&["ciphers", "--mode", "strict"]).exit(64).says("strict");
}

#[test]
fn codes_functions_and_cards_are_explained_without_a_daemon() {
    let _ = adjunct!().run(&["explain", "no-common-cipher"]).success().says("ECDHE");
    let _ = adjunct!().run(&["explain", "40"]).success().says("handshake");
    assert_ne!(adjunct!().run(&["explain", "no-such-thing"]).code, Some(0));
    let _ = adjunct!().run(&["crypto"]).success().says("KMA").says("256");
}

#[test]
fn a_file_of_client_cas_is_judged_like_a_certificate() {
    let place = Place::new();
    let clients = ClientPki::new();
    let write = |name: &str, text: &str| {
        let path = place.pki.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let ca = std::fs::read_to_string(clients.ca()).unwrap();
    let leaf = std::fs::read_to_string(clients.good("leaf", Kind::P256).cert).unwrap();
    let expired = std::fs::read_to_string(clients.expired_ca()).unwrap();
    let damaged = ca.replacen("MII", "***", 1);
    for (path, code, words) in [
        (place.pki.path().join("nowhere.pem"), 66, ["does not exist", "client_auth.ca"]),
        (write("empty.pem", " "), 65, ["the file is empty", "client_auth.ca"]),
        (write("noise.pem", "what"), 65, ["not PEM", "client_auth.ca"]),
        (
            write("key.pem", &std::fs::read_to_string(&place.good.key).unwrap()),
            65,
            ["no certificate in the file", "client_auth.ca"],
        ),
        (write("damaged.pem", &damaged), 65, ["[ca-", "client_auth.ca"]),
        (write("leaf.pem", &leaf), 65, ["[ca-not-a-ca]", "certificate 1"]),
        (write("old.pem", &format!("{ca}{expired}")), 65, ["[ca-expired]", "certificate 2"]),
        (write("two.pem", &format!("{leaf}{expired}")), 65, ["[ca-not-a-ca]", "[ca-expired]"]),
    ] {
        let line = format!("client_auth = {{ mode = \"required\", ca = {path:?} }}");
        place.refuses(&place.good(&line), code, &words);
    }
    // Order and repetition do not matter.
    let twice = write("twice.pem", &format!("{ca}{ca}"));
    let line = format!("client_auth = {{ mode = \"optional\", ca = {twice:?} }}");
    std::fs::write(&place.config, place.good(&line)).unwrap();
    let _ = adjunct!().with_file("check", &place.config).success();
}

#[test]
fn check_warns_of_chains_that_real_clients_refuse() {
    let place = Place::new();
    let check = |leaf: &Issued| {
        std::fs::write(&place.config, place.service("a", "127.0.0.1:10001", leaf, "")).unwrap();
        adjunct!().with_file("check", &place.config).success()
    };
    let ordinary = check(&place.good);
    assert!(!ordinary.output().contains("warning"), "{}", ordinary.output());

    let issued = |kind| place.pki.issue(&format!("{kind:?}"), &Leaf::new(kind, &["a.test"]));
    let _ = check(&issued(Kind::P521)).says("warning").says("[curve-not-offered]");
    let unnamed = place.pki.issue("unnamed", &Leaf::new(Kind::P256, &[]));
    let _ = check(&unnamed).says("service.a.cert").says("[name-missing]");

    let chain = std::fs::read_to_string(&place.good.cert).unwrap();
    let end = chain.find("-----END CERTIFICATE-----\n").unwrap() + 26;
    let alone = Issued { cert: place.pki.path().join("alone.pem"), ..place.good.clone() };
    std::fs::write(&alone.cert, &chain[..end]).unwrap();
    let _ = check(&alone).says("[intermediate-missing]").says("append the certificates");
    let _ = adjunct!().run(&["explain", "intermediate-missing"]).success().says("append");
}
