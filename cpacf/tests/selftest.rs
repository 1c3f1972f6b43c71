//! The power-on self-test of an undamaged library passes, and says what it did.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use cpacf::{Function, selftest};

#[test]
fn every_function_passes_its_power_on_test() {
    let report = selftest::power_on().unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(report.results().len(), Function::COUNT);
    for (result, function) in report.results().iter().zip(Function::ALL) {
        assert_eq!(result.function, function);
        assert!(!result.source.is_empty());
        assert!(!selftest::is_blocked(function));
    }
    assert_eq!(report.to_string(), format!("{} functions tested, 0 failed", Function::COUNT));
}

#[test]
fn a_function_can_be_tested_again_on_demand() {
    for function in Function::ALL {
        assert_eq!(selftest::run(function).outcome, Ok(()), "{function}");
    }
}
