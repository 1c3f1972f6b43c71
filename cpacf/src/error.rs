//! Why a call of this crate failed.

use crate::{ConditionCode, Function};

/// A failed call. Small and `Copy`: it carries no data of the caller and no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The function failed its known-answer test and refuses all work until the process ends.
    #[error(
        "{function} is blocked: it failed its self-test in this process; restart, and if it fails \
         again do not trust this machine or this build"
    )]
    Blocked {
        /// The function that was called.
        function: Function,
    },
    /// The policy of this process does not approve the function.
    #[error("{function} is not approved in the mode that is on; use an approved function")]
    NotApproved {
        /// The function that was called.
        function: Function,
    },
    /// The provider does not install the function. Provider `host` installs all, so it never says
    /// this; a provider over real instructions does on older machines.
    #[error("{function} is not installed on this machine; use a provider that has it")]
    NotInstalled {
        /// The function that was called.
        function: Function,
    },
    /// The function ended with a condition code other than 0.
    #[error(
        "{function} ended with {cc}: it could not use an operand (PCC: no valid point; PRNO: no \
         random data could be had)"
    )]
    ConditionCode {
        /// The function that was called.
        function: Function,
        /// Its condition code.
        cc: ConditionCode,
    },
    /// A tag or signature does not belong to the data under this key.
    #[error(
        "{function}: tag or signature does not match the data; the peer or the path changed it"
    )]
    Authentication {
        /// The function that was called.
        function: Function,
    },
    /// A key cannot be used for the function.
    #[error("{function}: key not usable: {reason}")]
    InvalidKey {
        /// The function that was called.
        function: Function,
        /// What is wrong with the key, without any of its bytes.
        reason: &'static str,
    },
    /// An operand has a length the function cannot take.
    #[error("{function}: {what} has {actual} bytes, {expected} expected")]
    Length {
        /// The function that was called.
        function: Function,
        /// Which operand.
        what: &'static str,
        /// The length (or the nearest permitted length) the function takes.
        expected: usize,
        /// The length that was given.
        actual: usize,
    },
}

impl Error {
    /// The function that failed.
    #[must_use]
    pub const fn function(&self) -> Function {
        match *self {
            Self::Blocked { function }
            | Self::NotApproved { function }
            | Self::NotInstalled { function }
            | Self::ConditionCode { function, .. }
            | Self::Authentication { function }
            | Self::InvalidKey { function, .. }
            | Self::Length { function, .. } => function,
        }
    }
}
