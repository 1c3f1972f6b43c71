//! Condition codes, the only answer an instruction gives besides its result.

use core::fmt;

/// The condition code an instruction leaves in the PSW.
///
/// What codes 1 and 2 mean depends on the function; the texts name the meanings that this crate
/// reports. Provider `host` completes every call, so it never reports [`ConditionCode::Partial`]:
/// the vocabulary is here because a provider that executes the real instructions must loop on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ConditionCode {
    /// 0: normal completion.
    Done = 0,
    /// 1: a parameter is not usable (KDSA), or the wrapping-key verification pattern of a protected
    /// key does not match (functions with an encrypted key).
    One = 1,
    /// 2: the point is not on the curve or the result is the point at infinity (PCC), or the random
    /// number is not usable (KDSA signing).
    Two = 2,
    /// 3: partial completion; the instruction stopped after an amount of work that the CPU chose,
    /// has advanced its address and length registers, and is to be executed again.
    Partial = 3,
}

impl ConditionCode {
    /// The number, 0 to 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for ConditionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CC {}", self.number())
    }
}
