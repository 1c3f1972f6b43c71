//! Breaks functions on purpose, so that a test can prove that a broken function is caught.
//!
//! Only with the feature `fault-injection`, which no default build has. Faults hold for the whole
//! process: tests that inject them belong in a test binary of their own and take turns there.

use crate::{Function, dispatch};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The result is delivered with a wrong bit; a verification gives the wrong verdict, a random
    /// source delivers zeros.
    WrongResult,
    /// The function ends with condition code 1 and has touched nothing.
    Refuse,
    /// The function fails after it has overwritten its output with zeros (sealing only).
    Destroy,
}

/// Injects a fault into a function, from the next call on.
pub fn inject(function: Function, fault: Fault) {
    dispatch::inject(
        function,
        match fault {
            Fault::WrongResult => dispatch::WRONG_RESULT,
            Fault::Refuse => dispatch::REFUSE,
            Fault::Destroy => dispatch::DESTROY,
        },
    );
}

/// Injects [`Fault::WrongResult`].
pub fn break_function(function: Function) {
    inject(function, Fault::WrongResult);
}

/// Blocks a function as a failed self-test would.
pub fn block(function: Function) {
    dispatch::block(function);
}

/// Takes every fault from a function, and the block a failed self-test left.
pub fn repair(function: Function) {
    dispatch::repair(function);
}
