//! What a FIPS mode demands before anything listens, and the facts that go with it.
//!
//! Purpose: known-answer tests of everything that computes, then the integrity of the program
//! ([`integrity`]), then a service. What fails is named, and the program ends with 70: there is no
//! service in an error state. [`facts`] says what the linked module is and what is enforced, each
//! by itself. A key log is refused wherever a mode is on ([`key_log`]).
//!
//! Invariants: done once in a process, before a private key is read; the function that the
//! integrity check computes with has passed its own test before.
//!
//! What it does not do: validate anything. These are the tests that FIPS 140-3 asks of a module,
//! made by a program that is none.
//!
//! Source: FIPS 140-3 sections 7.5 and 7.10, and its Implementation Guidance 10.3.A.

pub mod facts;
pub mod integrity;

use std::path::PathBuf;
use std::sync::OnceLock;

use engine::compliance::ModeSet;
use engine::power_on::{self, Answer};

use crate::config::{Config, Fault};
use crate::exit::Exit;

/// Why there is no start in a FIPS mode.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something computes wrongly.
    #[error(
        "{functions}; do not trust this machine or this program: compare with another machine, and \
         install the program again if it fails there, too"
    )]
    KnownAnswers {
        /// The functions, with what was wrong.
        functions: String,
    },
    /// The program is not the one that was installed.
    #[error(transparent)]
    Integrity(#[from] integrity::Error),
}

/// What was tested.
#[derive(Debug)]
pub struct Passed {
    /// Functions that gave their known answers.
    pub functions: usize,
    /// The program whose integrity was checked.
    pub program: PathBuf,
}

/// Tests everything; again in the same process it costs nothing.
///
/// # Errors
/// What failed. Nothing may be served then.
pub fn start() -> Result<&'static Passed, Failure> {
    static PASSED: OnceLock<Passed> = OnceLock::new();
    if let Some(passed) = PASSED.get() {
        return Ok(passed);
    }
    #[cfg(feature = "fault-injection")]
    break_for_a_test();
    let answers = power_on::known_answers();
    let failed: Vec<String> = answers.iter().filter_map(wrong).collect();
    if !failed.is_empty() {
        return Err(Failure::KnownAnswers { functions: failed.join(", ") });
    }
    let program = integrity::Program::running()?;
    program.check()?;
    Ok(PASSED.get_or_init(|| Passed { functions: answers.len(), program: program.path }))
}

fn wrong(answer: &Answer) -> Option<String> {
    let Answer { function, source, failure } = answer;
    let failure = failure.as_ref()?;
    Some(format!("{function} failed its known-answer test ({source}): {failure}"))
}

/// A function that was in order a moment ago and is not any more.
#[must_use]
pub fn failed_since(functions: &str) -> Failure {
    let functions = format!("{functions} failed its known-answer test when it was made again");
    Failure::KnownAnswers { functions }
}

/// Flips a byte of the vectors that a test names in the environment of a test build, and breaks
/// the key pairs that are generated from then on.
#[cfg(feature = "fault-injection")]
fn break_for_a_test() {
    const VARIABLE: &str = "ADJUNCT_TEST_FLIP_VECTOR";
    let names = std::env::var(VARIABLE).unwrap_or_default();
    for name in names.split(',').filter(|name| !name.is_empty()) {
        assert!(power_on::flip_vector(name), "{VARIABLE}: there is no function {name}");
    }
    if std::env::var_os("ADJUNCT_TEST_BREAK_PAIRS").is_some() {
        power_on::break_pairs();
    }
}

/// Where programs that write session secrets find out where to.
const KEY_LOG: &str = "SSLKEYLOGFILE";

/// A key log is asked for although a mode is on. Adjunct writes none; whoever set the variable
/// believes that something does, and a mode does not leave that open.
#[must_use]
pub fn key_log(config: &Config) -> Option<Fault> {
    let modes = config.modes();
    let asked = !modes.is_empty() && std::env::var_os(KEY_LOG).is_some();
    asked.then(|| key_log_fault(config, &modes))
}

fn key_log_fault(config: &Config, modes: &ModeSet) -> Fault {
    let what = format!(
        "{KEY_LOG} is set in the environment, which asks for the secrets of sessions to be \
         written to a file; with mode {modes} nothing is started under it"
    );
    let remedy = "unset it for this program: look at the unit file, the shell and the container";
    Fault::of_file(&config.file, Exit::Config, what, remedy)
}
