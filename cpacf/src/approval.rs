//! Which functions may be called at all: the policy of whoever runs this process.
//!
//! Purpose: a rule set above this crate names the functions it approves; calls of the others are
//! refused at the gate like those of a function that failed its self-test, and counted with them,
//! but with an error of their own ([`crate::Error::NotApproved`]).
//!
//! Invariants: approval is only ever taken away, for the rest of the process; a function that a
//! self-test has blocked stays blocked whatever the policy says; what a call costs does not change.
//!
//! Deliberately not here: any rule set. This crate does not know why a function is not approved.

use crate::{Function, dispatch};

/// What a function may be called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Anything.
    Full,
    /// The second half of a hybrid key agreement, whose other half is approved; not by itself.
    Hybrid,
    /// Nothing.
    None,
}

/// Takes approval away from a function; what it lost before it does not get back.
pub fn restrict(function: Function, approval: Approval) {
    match approval {
        Approval::Full => {}
        Approval::Hybrid => dispatch::restrict(function, dispatch::HYBRID_ONLY),
        Approval::None => dispatch::restrict(function, dispatch::FORBIDDEN),
    }
}

/// What a function may be called for.
#[must_use]
pub fn of(function: Function) -> Approval {
    let state = dispatch::restrictions(function);
    if state & dispatch::FORBIDDEN != 0 {
        Approval::None
    } else if state & dispatch::HYBRID_ONLY != 0 {
        Approval::Hybrid
    } else {
        Approval::Full
    }
}
