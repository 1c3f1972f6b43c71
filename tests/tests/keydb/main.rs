//! Key databases: `adjunct keydb` from outside, with the programs that exchange files with it.
//!
//! Each test has a directory of its own. Passwords are in files, as in a script.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod crash;
mod document;
mod fips;
mod interop;
mod issued;
mod refused;
mod serve;
mod terminal;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use adjunct_tests::adjunct;
use adjunct_tests::process::{Finished, run};
use tempfile::TempDir;

/// Long enough for a FIPS database.
const PASSWORD: &str = "a password of a test";

/// A directory with a database.
struct Place {
    directory: TempDir,
}

impl Place {
    /// An empty directory with the password in a file.
    fn empty() -> Self {
        let place = Self { directory: TempDir::new().unwrap() };
        let password = place.write("password", &format!("{PASSWORD}\n"));
        fs::set_permissions(password, fs::Permissions::from_mode(0o600)).unwrap();
        place
    }

    /// A database that was just made.
    fn new() -> Self {
        let place = Self::empty();
        let _ = place.keydb(&["create"]).success();
        place
    }

    /// A database with a CA and a server certificate of it, EC since that is made fast.
    fn with_server() -> Self {
        let place = Self::new();
        let _ = place.keydb(&["ca", "CA", "--cn", "ca", "--key", "p256"]).success();
        let _ = place.issue("WWW", &["--cn", "www", "--san", "www.test", "--key", "p256"]);
        place
    }

    /// A certificate signed by `CA`.
    fn issue(&self, label: &str, more: &[&str]) -> Finished {
        self.keydb(&[&["issue", label, "--ca", "CA"][..], more].concat()).success()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn database(&self) -> PathBuf {
        self.path("a.p12")
    }

    /// The command `adjunct keydb COMMAND DATABASE ARGUMENTS` with the password.
    fn command(&self, arguments: &[&str]) -> Command {
        let (database, password) = (self.text("a.p12"), self.text("password"));
        let (verb, more) = arguments.split_first().expect("a command");
        let mut command = adjunct!().command(&["keydb", verb, &database]);
        command.args(more).args(["--password-file", &password]).env_remove("ADJUNCT_MODE");
        command
    }

    fn keydb(&self, arguments: &[&str]) -> Finished {
        let finished = run(&mut self.command(arguments), b"");
        assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
        finished
    }

    /// What a command answers.
    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let done = self.keydb(&[arguments, &["--json"]].concat()).success();
        serde_json::from_str(&done.stdout).expect("JSON")
    }

    fn labels(&self) -> Vec<String> {
        let list = self.json(&["list"]);
        let entries = list["entries"].as_array().expect("entries").iter();
        entries.map(|entry| entry["label"].as_str().unwrap().to_owned()).collect()
    }

    /// Exports a certificate as PEM, with more flags, and returns its path.
    fn export(&self, label: &str, more: &[&str]) -> PathBuf {
        let path = self.path(&format!("{}{}.pem", label.replace(' ', "-"), more.concat()));
        let output = path.to_string_lossy().into_owned();
        let _ = self.keydb(&[&["export", label, "--output", &output], more].concat()).success();
        path
    }
}

/// Runs another program.
fn tool(program: impl AsRef<Path>, arguments: &[&str]) -> Finished {
    run(Command::new(program.as_ref()).args(arguments), b"")
}
