//! The gate in front of every call: blocked or not, and the count of what was done.
//!
//! Invariant: no module of this crate calls a provider without a [`Call`] in hand, and a self-test
//! runs the same modules. So what a self-test proves is what the product uses.
//!
//! The state of a function is one byte. A call reads it once, relaxed; everything else is off the
//! hot path. Nobody needs an order between a block and other memory: a call that began before the
//! block may still complete.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crate::choice::Provider;
use crate::stats::{self, Path};
use crate::{ConditionCode, Error, Function};

const BLOCKED: u8 = 0x01;
/// The result is corrupted after the provider delivered it.
pub(crate) const WRONG_RESULT: u8 = 0x02;
/// The provider refuses before it touches any operand.
pub(crate) const REFUSE: u8 = 0x04;
/// The provider fails after it has overwritten its output operand with zeros.
pub(crate) const DESTROY: u8 = 0x08;

/// The policy of this process approves no call.
pub(crate) const FORBIDDEN: u8 = 0x10;
/// The policy of this process approves calls within a hybrid key agreement only.
pub(crate) const HYBRID_ONLY: u8 = 0x20;

static STATE: [AtomicU8; Function::COUNT] = [const { AtomicU8::new(0) }; Function::COUNT];

/// Permission for one call of one function.
#[derive(Clone, Copy)]
#[must_use = "a call must be counted by done()"]
pub(crate) struct Call {
    function: Function,
    state: u8,
}

impl Call {
    /// Asks the gate. A refusal is counted here.
    #[inline]
    pub(crate) fn begin(function: Function) -> Result<Self, Error> {
        Self::pass(function, BLOCKED | REFUSE | FORBIDDEN | HYBRID_ONLY)
    }

    /// Asks the gate for a call within a hybrid key agreement.
    pub(crate) fn begin_in_hybrid(function: Function) -> Result<Self, Error> {
        Self::pass(function, BLOCKED | REFUSE | FORBIDDEN)
    }

    #[inline]
    fn pass(function: Function, refused: u8) -> Result<Self, Error> {
        let state = STATE[function as usize].load(Relaxed);
        if state & refused != 0 {
            return Err(refuse(function, state));
        }
        Ok(Self { function, state })
    }

    /// Permission without a question, where the alternative to the module would be to stop.
    pub(crate) fn ungated(function: Function) -> Self {
        Self { function, state: 0 }
    }

    /// Counts the call as done by the provider.
    #[inline]
    pub(crate) fn done(self, bytes: usize) {
        let hardware = self.function.is_cpacf() && Provider::in_force() == Provider::Host;
        let path = if hardware { Path::Hardware } else { Path::Software };
        stats::count(self.function, path, bytes);
    }

    /// Flips a bit of `output` if the function has been broken on purpose.
    #[inline]
    pub(crate) fn corrupt(self, output: &mut [u8]) {
        if self.is_wrong()
            && let Some(byte) = output.first_mut()
        {
            *byte ^= 0x01;
        }
    }

    /// Whether the function has been broken on purpose. Constant without fault injection.
    #[inline]
    pub(crate) fn is_wrong(self) -> bool {
        cfg!(any(test, feature = "fault-injection")) && self.state & WRONG_RESULT != 0
    }

    /// Whether the provider is to fail half-way. Constant without fault injection.
    #[inline]
    pub(crate) fn is_destructive(self) -> bool {
        cfg!(any(test, feature = "fault-injection")) && self.state & DESTROY != 0
    }
}

#[cold]
fn refuse(function: Function, state: u8) -> Error {
    if state & BLOCKED != 0 {
        stats::count(function, Path::Blocked, 0);
        Error::Blocked { function }
    } else if state & (FORBIDDEN | HYBRID_ONLY) != 0 {
        stats::count(function, Path::Blocked, 0);
        Error::NotApproved { function }
    } else {
        Error::ConditionCode { function, cc: ConditionCode::One }
    }
}

/// Blocks a function for the rest of the process.
pub(crate) fn block(function: Function) {
    STATE[function as usize].fetch_or(BLOCKED, Relaxed);
}

/// Whether a function is blocked.
pub(crate) fn is_blocked(function: Function) -> bool {
    STATE[function as usize].load(Relaxed) & BLOCKED != 0
}

/// Takes approval away from a function for the rest of the process.
pub(crate) fn restrict(function: Function, restriction: u8) {
    STATE[function as usize].fetch_or(restriction, Relaxed);
}

/// What the policy of this process refuses of a function.
pub(crate) fn restrictions(function: Function) -> u8 {
    STATE[function as usize].load(Relaxed) & (FORBIDDEN | HYBRID_ONLY)
}

/// Adds a fault to a function.
#[cfg(any(test, feature = "fault-injection"))]
pub(crate) fn inject(function: Function, fault: u8) {
    STATE[function as usize].fetch_or(fault, Relaxed);
}

/// Takes all faults and the block from a function.
#[cfg(any(test, feature = "fault-injection"))]
pub(crate) fn repair(function: Function) {
    STATE[function as usize].fetch_and(FORBIDDEN | HYBRID_ONLY, Relaxed);
}
