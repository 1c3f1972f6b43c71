//! FIPS databases: self-tests before anything is made, service in a FIPS mode, reading otherwise.

use std::fs;
use std::path::{Path, PathBuf};

use adjunct_tests::backend::Backend;
use adjunct_tests::client::{REQUEST, openssl};
use adjunct_tests::daemon::Program;
use adjunct_tests::process::{Finished, run};
use adjunct_tests::{adjunct, need};
use tempfile::TempDir;

use crate::Place;
use crate::serve::config;

const MODE: [&str; 2] = ["--mode", "fips-140-3"];

fn in_mode(place: &Place, arguments: &[&str]) -> Finished {
    place.keydb(&[arguments, &MODE].concat())
}

/// The same of a program that a test has broken by a variable in its environment.
fn broken(place: &Place, arguments: &[&str], variable: &str, value: &str) -> Finished {
    run(place.command(&[arguments, &MODE].concat()).env(variable, value), b"")
}

/// A FIPS database with a CA and a server certificate, and its stash elsewhere.
fn served() -> (Place, PathBuf) {
    let place = Place::empty();
    let _ = place.keydb(&["create", "--fips"]).success();
    let _ = in_mode(&place, &["ca", "CA", "--cn", "ca", "--key", "p256"]).success();
    let issue = ["issue", "WWW", "--ca", "CA", "--cn", "a.test", "--key", "p256"];
    let _ = in_mode(&place, &issue).success();
    let stash = place.path("elsewhere.stash");
    let _ = place.keydb(&["stash", "--to", &stash.to_string_lossy()]).success();
    (place, stash)
}

fn text(place: &Place, stash: &Path, mode: &str, at: &str, backend: &str) -> String {
    let lines = format!("[server]\nmode = {mode}\nstash = \"{}\"\n", stash.display());
    config(place, at, backend, "label = \"WWW\"").replacen("[server]\n", &lines, 1)
}

#[test]
fn self_tests_come_before_a_fips_database_is_made_changed_or_read_in_a_fips_mode() {
    let place = Place::empty();
    let fails = |arguments: &[&str]| {
        let done = broken(&place, arguments, "ADJUNCT_TEST_FLIP_VECTOR", "KLMD-SHA-256").exit(70);
        let _ = done.says("KLMD-SHA-256 failed its known-answer test").says("remedy:");
    };
    fails(&["create", "--fips"]);
    assert!(!place.database().exists() && !place.path("a.p12.state").exists());
    let _ = place.keydb(&["create", "--fips"]).success();
    let _ = in_mode(&place, &["ca", "CA", "--cn", "ca", "--key", "p256"]).success();
    let before = fs::read(place.database()).unwrap();
    for command in [
        &["ca", "X", "--cn", "x", "--key", "p256"][..],
        &["request", "X", "--cn", "x", "--key", "p256"],
        &["rename", "CA", "X"],
        &["list"],
    ] {
        fails(command);
    }
    assert_eq!(fs::read(place.database()).unwrap(), before);
    let _ = in_mode(&place, &["list"]).success().says("CA");

    // A program without its digest file makes none either. A link, as in an installation.
    let built = Path::new(env!("CARGO_BIN_EXE_adjunct-under-test"));
    let directory = TempDir::new_in(built.parent().unwrap()).unwrap();
    let program = directory.path().join("adjunct");
    fs::hard_link(built, &program).unwrap();
    let (other, password) = (place.text("b.p12"), place.text("password"));
    let create = ["keydb", "create", &other, "--fips", "--password-file", &password];
    let program = Program::at(&program.to_string_lossy());
    let _ = program.run(&create).exit(70).says("adjunct.hmac").says("integrity --write");
    assert!(!place.path("b.p12").exists());
    let _ = program.run(&["integrity", "--write"]).success();
    let _ = program.run(&create).success();
}

#[test]
fn a_new_key_that_fails_its_pairwise_test_ends_the_command_and_is_thrown_away() {
    let place = Place::empty();
    let _ = place.keydb(&["create", "--fips"]).success();
    let _ = in_mode(&place, &["ca", "CA", "--cn", "ca", "--key", "p256"]).success();
    let before = fs::read(place.database()).unwrap();
    for command in [
        &["ca", "X", "--cn", "x", "--key", "rsa2048"][..],
        &["ca", "X", "--cn", "x", "--key", "p256"],
        &["issue", "X", "--ca", "CA", "--cn", "x.test", "--key", "p384"],
        &["request", "X", "--cn", "x", "--key", "p521"],
    ] {
        let done = broken(&place, command, "ADJUNCT_TEST_BREAK_PAIRS", "1").exit(70);
        let _ = done.says("CEX-KEY-GENERATE failed its pairwise consistency test").says("remedy:");
        assert_eq!(fs::read(place.database()).unwrap(), before, "{command:?}");
    }
    let _ = in_mode(&place, &["request", "X", "--cn", "x", "--key", "p521"]).success();
}

#[test]
fn a_fips_database_is_served_to_openssl_in_a_fips_mode_and_without_one() {
    let _ = need!("openssl");
    let (place, stash) = served();
    let root = place.export("CA", &[]);
    let backend = Backend::http();
    let backend = backend.address.to_string();
    for (mode, verdict) in [("[\"fips-140-3\"]", Some("approved")), ("[]", None)] {
        let mut daemon =
            adjunct!().start(|[at]| text(&place, &stash, mode, &at.to_string(), &backend));
        for options in [
            &["-tls1_3", "-groups", "P-256"][..],
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
        ] {
            let at = daemon.address();
            let done = openssl::s_client(at, "a.test", &root, options, REQUEST).success();
            assert!(done.stdout.contains("Verify return code: 0"), "{}", done.output());
            let record = daemon.completed();
            let shown = record.0["certificate"].as_str().unwrap();
            assert!(shown.ends_with("a.p12 label \"WWW\""), "{shown}");
            assert_eq!(record.field("mode.verdict").as_str(), verdict, "{}", record.0);
        }
        daemon.stop();
    }
    // No FIPS mode is on: it may be looked at and served, and not changed.
    let before = fs::read(place.database()).unwrap();
    let _ = place.keydb(&["list"]).success();
    for command in [
        &["ca", "X", "--cn", "x", "--key", "p256"][..],
        &["rename", "WWW", "W"],
        &["trust", "WWW", "no"],
        &["delete", "WWW", "--force"],
        &["renew", "WWW"],
    ] {
        let _ = place.keydb(command).exit(78).says("read-only while no FIPS mode is on");
    }
    assert_eq!(fs::read(place.database()).unwrap(), before);
}

#[test]
fn a_fips_mode_refuses_a_database_that_is_not_fips() {
    let place = Place::with_server();
    let _ = place.keydb(&["stash"]).success();
    let stash = place.path("a.p12.stash");
    for mode in ["fips-140-2", "fips-140-3"] {
        let mode = format!("[\"{mode}\"]");
        let file = place.write(
            "adjunct.toml",
            &text(&place, &stash, &mode, "127.0.0.1:10992", "127.0.0.1:10023"),
        );
        for verb in ["check", "run"] {
            let done = adjunct!().with_file(verb, &file).exit(78);
            let _ = done.says("not a FIPS key database").says("create --fips");
        }
    }
    // SP 800-131A alone asks for no FIPS database.
    let nist = text(&place, &stash, "[\"nist-800-131a\"]", "127.0.0.1:10992", "127.0.0.1:10023");
    let _ = adjunct!().with_file("check", &place.write("adjunct.toml", &nist)).success();
}

#[test]
fn a_changed_byte_of_a_fips_database_stops_the_start() {
    let (place, stash) = served();
    let listen = adjunct_tests::daemon::free_address().to_string();
    let whole = fs::read(place.database()).unwrap();
    let state = fs::read_to_string(place.path("a.p12.state")).unwrap();
    // In a FIPS mode it is a self-test that fails, otherwise a file that cannot be used.
    for (mode, exit) in [("[\"fips-140-3\"]", 70), ("[]", 65)] {
        let text = text(&place, &stash, mode, &listen, "127.0.0.1:10023");
        let file = place.write("adjunct.toml", &text);
        let refused = |words: &[&str]| {
            for verb in ["check", "run"] {
                let mut done = adjunct!().with_file(verb, &file).exit(exit);
                for word in words.iter().chain(&["a.p12", "HMAC-SHA-256"]) {
                    done = done.says(word);
                }
                assert!(!done.stderr.contains("listening"), "{}", done.stderr);
            }
        };
        let _ = adjunct!().with_file("check", &file).success();
        for at in [40, whole.len() / 2, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(place.database(), changed).unwrap();
            refused(&["integrity check of the FIPS key database failed"]);
        }
        fs::write(place.database(), &whole).unwrap();
        let untrusted = state.replacen("\"trusted\": true", "\"trusted\": false", 1);
        assert_ne!(untrusted, state);
        place.write("a.p12.state", &untrusted);
        refused(&["the sidecar was changed"]);
        place.write("a.p12.state", &state);
    }
}
