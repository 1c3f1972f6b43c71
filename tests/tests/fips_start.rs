//! The start in a FIPS mode: what is checked before anything listens, and what stops it.
//!
//! Each test works on the program in a directory of its own, as in an installation. That
//! nothing listens before the checks is told by the exit code: the address of the service is taken,
//! so a start that came as far as to bind it would end with 69.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use adjunct_tests::adjunct;
use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::Client;
use adjunct_tests::config::{Service, file};
use adjunct_tests::daemon::{Program, assert_no_panic};
use adjunct_tests::pki::{Issued, Kind, Leaf, Pki};
use adjunct_tests::process::{Finished, run};
use adjunct_tests::scene::NAME;
use serde_json::Value;
use tempfile::TempDir;

/// Flips a byte of the vectors of a function; test builds alone read it.
const FLIP: &str = "ADJUNCT_TEST_FLIP_VECTOR";

/// The program, a configuration, and somebody else on the address of its service.
struct Installation {
    directory: TempDir,
    program: PathBuf,
    _pki: Pki,
    leaf: Issued,
    taken: TcpListener,
}

impl Installation {
    /// The program with a value that fits it.
    fn new() -> Self {
        let built = Path::new(env!("CARGO_BIN_EXE_adjunct-under-test"));
        let directory = TempDir::new_in(built.parent().unwrap()).unwrap();
        let program = directory.path().join("adjunct");
        // Not a copy: a child that another test starts meanwhile could hold it open for writing,
        // and what is open for writing cannot be executed.
        std::fs::hard_link(built, &program).unwrap();
        let pki = Pki::new();
        let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let installation = Self { directory, program, _pki: pki, leaf, taken };
        let written = installation.command().run(&["integrity", "--write"]).success();
        assert!(written.stdout.contains("written to"), "{}", written.stdout);
        installation
    }

    fn command(&self) -> Program {
        Program::at(&self.program.to_string_lossy())
    }

    fn value(&self) -> PathBuf {
        self.directory.path().join("adjunct.hmac")
    }

    /// The text of a configuration with `mode` in `[server]`.
    fn config(&self, mode: &str, more: &str) -> String {
        let address = self.taken.local_addr().unwrap();
        let service = Service::new("plain", address, "127.0.0.1:9", &self.leaf).with(more);
        file(&[service]).replacen("[server]\n", &format!("[server]\nmode = {mode}\n"), 1)
    }

    /// Runs `verb` under `mode` with a variable in the environment.
    fn ends(&self, verb: &str, config: &str, variable: Option<(&str, &str)>) -> Finished {
        let path = self.directory.path().join("adjunct.toml");
        std::fs::write(&path, config).unwrap();
        let mut command = self.command().command(&[verb, "-c"]);
        command.arg(&path).envs(variable);
        let finished = run(&mut command, b"");
        assert_no_panic(&finished.stderr);
        finished
    }

    /// Asserts that `run` and `check` refuse a FIPS mode, and what they say.
    #[track_caller]
    fn is_refused(&self, variable: Option<(&str, &str)>, words: &[&str]) {
        for verb in ["run", "check"] {
            let mut done = self.ends(verb, &self.config(FIPS, ""), variable).exit(70);
            for word in words.iter().chain(&["fips-140-3", "nothing is started"]) {
                done = done.says(word);
            }
            assert!(!done.stderr.contains("listening"), "{}", done.stderr);
        }
    }

    /// Asserts that a start passes the checks: it comes as far as the address, which is taken.
    #[track_caller]
    fn comes_to_the_address(&self, config: &str, variable: Option<(&str, &str)>) {
        let _ = self.ends("run", config, variable).exit(69).says("cannot be bound");
    }
}

const FIPS: &str = "[\"fips-140-3\"]";

#[test]
fn a_fips_mode_serves_when_everything_is_in_order_and_says_what_was_checked() {
    let (echo, pki) = (Backend::echo(), Pki::new());
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let socket = pki.path().join("admin.sock");
    let mut daemon = adjunct!().start(|[at]| {
        let text = file(&[Service::new("plain", at, echo.address, &leaf)]);
        let admin = format!("[admin]\nsocket = \"{}\"\n", socket.display());
        text.replacen("[server]\n", &format!("[server]\nmode = {FIPS}\n"), 1) + &admin
    });
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    drop(tls);
    let _ = daemon.completed();
    let log = daemon.log();
    let event = |name: &str| {
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let position = lines.position(|line| line["event"] == name);
        position.unwrap_or_else(|| panic!("no {name} in\n{log}"))
    };
    assert!(event("fips-start") < event("listening"), "{log}");
    assert!(log.contains("functions gave their known answers"), "{log}");

    let ask = |more: &[&str]| {
        let place = socket.display().to_string();
        adjunct!().run(&[&["crypto", "--socket", &place], more].concat()).success().stdout
    };
    let answer: Value = serde_json::from_str(&ask(&["--json"])).unwrap();
    let module = &answer["module"];
    assert_eq!(module["modes"], serde_json::json!(["fips-140-3"]));
    assert_eq!(module["fips_module"], cfg!(feature = "fips"));
    assert!(answer["functions"].as_array().is_some_and(|rows| !rows.is_empty()));
    let table = ask(&[]);
    for line in ["modes         fips-140-3", "validated     ", "module        AWS-LC"] {
        assert!(table.contains(line), "{line:?} is missing in\n{table}");
    }
    daemon.stop();
}

#[test]
fn a_flipped_byte_in_the_stored_digest_stops_a_fips_start() {
    let installation = Installation::new();
    installation.comes_to_the_address(&installation.config(FIPS, ""), None);
    let mut text = std::fs::read(installation.value()).unwrap();
    text[7] = if text[7] == b'0' { b'1' } else { b'0' };
    std::fs::write(installation.value(), &text).unwrap();
    let stored = String::from_utf8_lossy(&text[..64]).into_owned();
    installation.is_refused(None, &[&stored, "HMAC-SHA-256", "adjunct.hmac", "integrity --write"]);
    let _ = installation.command().run(&["integrity"]).exit(70).says(&stored);
    // The remedy is one.
    let _ = installation.command().run(&["integrity", "--write"]).success();
    installation.comes_to_the_address(&installation.config(FIPS, ""), None);
}

#[test]
fn a_flipped_byte_in_the_executable_stops_a_fips_start() {
    let installation = Installation::new();
    // The last byte is in the table of sections, which nobody needs to run the program. The shell
    // writes it, so that this process never has the file open for writing.
    let program = std::fs::read(&installation.program).unwrap();
    let (at, flipped) = (program.len() - 1, program.last().unwrap() ^ 0x01);
    let script = format!(
        "cp adjunct fresh && printf '\\{flipped:03o}' | \
         dd of=fresh bs=1 seek={at} conv=notrunc status=none && mv fresh adjunct"
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(installation.directory.path());
    let _ = run(&mut shell, b"").success();
    let changed = std::fs::read(&installation.program).unwrap();
    assert_eq!(program.iter().zip(&changed).filter(|(a, b)| a != b).count(), 1);
    installation.is_refused(None, &["is not the program that was installed", "adjunct.hmac"]);
    // Without a FIPS mode nobody asks.
    installation.comes_to_the_address(&installation.config("[]", ""), None);
}

#[test]
fn a_missing_and_a_damaged_digest_file_stop_a_fips_start() {
    let installation = Installation::new();
    std::fs::write(installation.value(), "what\n").unwrap();
    installation.is_refused(None, &["adjunct.hmac", "64 hexadecimal digits"]);
    std::fs::remove_file(installation.value()).unwrap();
    installation.is_refused(None, &["there is no ", "adjunct.hmac", "integrity --write"]);
    let _ = installation.command().run(&["integrity"]).exit(66).says("there is no ");
    // Other modes do not ask for it, and nor does none.
    for mode in ["[]", "[\"nist-800-131a\"]"] {
        installation.comes_to_the_address(&installation.config(mode, ""), None);
    }
    // The mode of a service is enough.
    let config = installation.config("[]", &format!("mode = {FIPS}"));
    let _ = installation.ends("run", &config, None).exit(70).says("there is no ");
}

#[test]
fn a_flipped_byte_in_a_known_answer_stops_a_fips_start_and_the_function_is_named() {
    let installation = Installation::new();
    for function in
        ["KMA-GCM-AES-256", "KIMD-SHA-512 (SHA-384)", "CEX-RSA-PKCS1-SIGN", "CEX-ECDSA-SIGN-P256"]
    {
        let why = format!("{function} failed its known-answer test");
        installation.is_refused(Some((FLIP, function)), &[&why, "do not trust this machine"]);
    }
    // All that fail are named.
    let two = "KLMD-SHA-256,CEX-RSA-PSS-SIGN";
    installation.is_refused(Some((FLIP, two)), &["KLMD-SHA-256 failed", "CEX-RSA-PSS-SIGN failed"]);
    installation.comes_to_the_address(&installation.config("[]", ""), Some((FLIP, two)));
}

#[test]
fn a_failed_start_is_told_in_the_log_as_well_as_on_the_terminal() {
    let installation = Installation::new();
    std::fs::remove_file(installation.value()).unwrap();
    let log = installation.directory.path().join("adjunct.log");
    let line = format!("log = {{ target = \"{}\" }}\n", log.display());
    let config =
        installation.config(FIPS, "").replacen("[server]\n", &format!("[server]\n{line}"), 1);
    let _ = installation.ends("run", &config, None).exit(70).says("there is no ");
    let text = std::fs::read_to_string(&log).unwrap();
    let event: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((&event["event"], &event["exit"]), (&"start-failed".into(), &70.into()), "{text}");
}

#[test]
fn a_key_log_is_refused_in_every_mode() {
    let installation = Installation::new();
    let secrets = installation.directory.path().join("secrets");
    let variable = Some(("SSLKEYLOGFILE", secrets.to_str().unwrap()));
    for mode in ["fips-140-2", "nist-800-131a", "fips-140-3"] {
        let config = installation.config(&format!("[\"{mode}\"]"), "");
        for verb in ["run", "check"] {
            let done = installation.ends(verb, &config, variable).exit(78);
            let _ = done.says("SSLKEYLOGFILE").says(mode).says("remedy: unset it");
        }
    }
    installation.comes_to_the_address(&installation.config("[]", ""), variable);
    assert!(!secrets.exists(), "nobody writes secrets");
}

/// With `--features fips` only: the module signs alone, whatever the processor could do.
#[cfg(feature = "fips")]
#[test]
fn with_the_module_only_coprocessors_sign_and_cards_says_why() {
    let (echo, pki) = (Backend::echo(), Pki::new());
    let leaf = pki.issue("leaf", &Leaf::new(Kind::Rsa2048, &[NAME]));
    let socket = pki.path().join("admin.sock");
    let mut daemon = adjunct!().start(|[at]| {
        let text = file(&[Service::new("plain", at, echo.address, &leaf)]);
        let admin = format!("[admin]\nsocket = \"{}\"\n", socket.display());
        text.replacen("[server]\n", &format!("[server]\nmode = {FIPS}\n"), 1) + &admin
    });
    for _ in 0..3 {
        let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
        assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
        drop(tls);
        let _ = daemon.completed();
    }
    let ask = |words: &[&str]| {
        let place = socket.display().to_string();
        adjunct!().run(&[words, &["--socket", &place]].concat()).success().stdout
    };
    let cards: Value = serde_json::from_str(&ask(&["cards", "--json"])).unwrap();
    for card in cards.as_array().unwrap().iter().filter(|row| row["domain"].is_null()) {
        let idle = card["requests"] == 0;
        assert_eq!(idle, card["type"] == "CEX8A", "{card}");
        assert_eq!(card["engine"]["name"], "single", "{card}");
    }
    let _ = ask(&["cards"]).find("the FIPS module signs alone").unwrap();
    let module: Value = serde_json::from_str(&ask(&["crypto", "--json"])).unwrap();
    assert_eq!(module["module"]["module_alone"], true, "{module}");
    daemon.stop();
}

#[test]
fn openssl_makes_the_same_digest_file() {
    let _ = adjunct_tests::need!("openssl");
    let installation = Installation::new();
    let ours = std::fs::read_to_string(installation.value()).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-hmac", engine::integrity::KEY, "-r", "adjunct"]);
    openssl.current_dir(installation.directory.path());
    assert_eq!(run(&mut openssl, b"").success().stdout, ours);
    let shown = installation.command().run(&["integrity", "--json"]).success().stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert!(ours.starts_with(shown["hmac_sha256"].as_str().unwrap()), "{shown}");
}

#[test]
fn the_version_tells_module_validation_and_modes_apart() {
    let text = adjunct!().run(&["--version", "--verbose"]).success().stdout;
    let json = adjunct!().run(&["--version", "--verbose", "--json"]).success().stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let module = &json["module"];
    for fact in ["module", "version", "validated"] {
        let value = module[fact].as_str().unwrap();
        assert!(!value.is_empty() && text.contains(value), "{fact}: {value}\n{text}");
    }
    for line in ["modes known", "FIPS module", "module alone", "outside"] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    let _ = adjunct!().run(&["--json"]).exit(64);
}
