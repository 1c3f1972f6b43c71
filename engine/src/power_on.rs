//! Everything that has a known answer, tested together: what a FIPS mode demands before it serves.
//!
//! Purpose: one list of the functions of cpacf, the private-key operations of the cards and the
//! linked library's own tests, each with its outcome and a name an operator can quote. A start
//! without a FIPS mode tests cpacf alone and does without what fails ([`crate::crypto::Crypto`]).
//!
//! A function that fails is blocked from then on, as ever. Whether the program stops is up to the
//! caller.

use cex::selftest::Test;

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The function, e.g. `KMA-GCM-AES-256` or `CEX-RSA-PKCS1-SIGN`.
    pub function: &'static str,
    /// Where the answer was published, or which other test it had.
    pub source: &'static str,
    /// What was wrong, if it failed.
    pub failure: Option<String>,
}

/// Tests everything.
#[must_use]
pub fn known_answers() -> Vec<Answer> {
    let (Ok(report) | Err(report)) = cpacf::selftest::power_on();
    let functions = report.results().iter().map(|result| Answer {
        function: result.function.name(),
        source: result.source,
        failure: result.outcome.err().map(|failure| failure.to_string()),
    });
    let cards = Test::ALL.into_iter().map(|test| Answer {
        function: test.name(),
        source: test.source(),
        failure: (!test.passes()).then(|| "wrong result".to_owned()),
    });
    let library = Answer {
        function: cpacf::module::linked().name,
        source: "the library's own tests",
        failure: cpacf::module::self_test().err().map(|failure| failure.to_string()),
    };
    functions.chain(cards).chain([library]).collect()
}

/// Flips a byte of the published vector of a function, so that its test fails; false if no function
/// has the name. Only in builds with `fault-injection`.
#[cfg(feature = "fault-injection")]
#[must_use]
pub fn flip_vector(function: &str) -> bool {
    let of_cpacf = cpacf::Function::ALL.into_iter().find(|it| it.name() == function);
    let of_cex = Test::ALL.into_iter().find(|test| test.name() == function);
    if let Some(function) = of_cpacf {
        cpacf::fault::flip_vector(function);
    }
    if let Some(test) = of_cex {
        cex::selftest::flip_vector(test);
    }
    of_cpacf.is_some() || of_cex.is_some()
}

/// Breaks every key pair that is generated from now on, so that its pairwise consistency test
/// fails. Only in builds with `fault-injection`.
#[cfg(feature = "fault-injection")]
pub fn break_pairs() {
    cex::break_pairs();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_and_private_key_operation_has_an_answer_of_its_own() {
        let answers = known_answers();
        assert_eq!(answers.len(), cpacf::Function::ALL.len() + Test::ALL.len() + 1);
        let mut names: Vec<&str> = answers.iter().map(|answer| answer.function).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), answers.len());
        let failed: Vec<_> = answers.iter().filter(|answer| answer.failure.is_some()).collect();
        assert!(failed.is_empty(), "{failed:?}");
    }
}
