//! The power-on self-test: known answers for every function, at start and on demand.
//!
//! Invariants: a test calls the same modules, gate and provider as the product, with the fall-backs
//! left out, so that a broken provider cannot hide behind the portable implementation; and a
//! function that fails is blocked for the rest of the process, as `icainfo` shows *blocked*.
//! Whether a failure also stops the program is the caller's policy (in a FIPS mode it does).
//!
//! A test may reach a second function: KIMD ends with KLMD, signing is checked by verifying, and
//! key derivation runs on KMAC. If the second is broken both tests fail, which errs on the safe
//! side.
//!
//! Two functions cannot be given a known answer through the library, because they choose their own
//! random numbers. Signing is tested by verification under a published key; random data by a health
//! test (two draws differ, ones and zeros are balanced). ML-KEM has both: a published vector for
//! decapsulation, and encapsulation checked by decapsulating.
//!
//! A function that the policy of this process does not approve is neither tested nor used.
//!
//! Self-tests count as calls in [`crate::stats`]. Source of the idea: FIPS 140-3 section 7.10; the
//! sources of the vectors stand with them.

mod kat;
mod mlkem;
mod vectors;

use core::fmt;

use crate::approval::{self, Approval};
use crate::{Error, Function, dispatch};

/// Why a self-test failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The function ended normally with a result that is not the published one.
    #[error("wrong result")]
    WrongResult,
    /// The function did not end normally; also that it is blocked since an earlier failure.
    #[error(transparent)]
    Refused(#[from] Error),
}

/// The result of one function's self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// The function.
    pub function: Function,
    /// Where its vectors were published, or which other test it had.
    pub source: &'static str,
    /// `Ok` if it passed. If not, the function is blocked.
    pub outcome: Result<(), Failure>,
}

impl fmt::Display for TestResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            Ok(()) => write!(f, "{}: passed ({})", self.function, self.source),
            Err(failure) => {
                write!(f, "{}: FAILED, blocked ({}): {failure}", self.function, self.source)
            }
        }
    }
}

/// The results of all functions, in table order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    results: Vec<TestResult>,
}

impl Report {
    /// Every result.
    #[must_use]
    pub fn results(&self) -> &[TestResult] {
        &self.results
    }

    /// The results of the functions that failed and are blocked now.
    pub fn failed(&self) -> impl Iterator<Item = &TestResult> {
        self.results.iter().filter(|result| result.outcome.is_err())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.failed().count();
        write!(f, "{} functions tested, {failed} failed", self.results.len())?;
        self.failed().try_for_each(|result| write!(f, "\n{result}"))
    }
}

impl core::error::Error for Report {}

/// Tests every function and blocks those that fail.
///
/// # Errors
/// The report, if any function failed; the others can be used all the same.
pub fn power_on() -> Result<Report, Report> {
    let report = Report { results: Function::ALL.into_iter().map(run).collect() };
    // Lanes have an answer of their own to give: the library's, which has just been tested.
    if !is_blocked(Function::PccScalarMultiplyX25519) {
        crate::x25519::standing();
    }
    if report.failed().next().is_none() { Ok(report) } else { Err(report) }
}

/// Tests one function and blocks it if it fails.
///
/// A function that is blocked already stays so: what has failed once is not trusted again before
/// the process is started anew.
pub fn run(function: Function) -> TestResult {
    let (source, test) = kat::of(function);
    if approval::of(function) != Approval::Full {
        return TestResult { function, source: "not approved, so not called", outcome: Ok(()) };
    }
    #[cfg(any(test, feature = "fault-injection"))]
    let _turn = crate::fault::vectors_of(function);
    let outcome =
        if is_blocked(function) { Err(Error::Blocked { function }.into()) } else { test() };
    if outcome.is_err() {
        dispatch::block(function);
    }
    TestResult { function, source, outcome }
}

/// Whether a failed self-test has blocked the function.
#[must_use]
pub fn is_blocked(function: Function) -> bool {
    dispatch::is_blocked(function)
}

/// Reads a constant of `N` bytes; a mistake in the text stops the compilation.
pub(crate) const fn unhex<const N: usize>(text: &str) -> [u8; N] {
    let text = text.as_bytes();
    assert!(text.len() == 2 * N);
    let mut bytes = [0; N];
    let mut at = 0;
    while at < N {
        bytes[at] = digit(text[2 * at]) << 4 | digit(text[2 * at + 1]);
        at += 1;
    }
    bytes
}

const fn digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => {
            assert!(matches!(digit, b'a'..=b'f'));
            digit - b'a' + 10
        }
    }
}
