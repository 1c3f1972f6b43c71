//! ICSF return and reason codes: what a failed crypto operation is called.
//!
//! Purpose: cpacf and cex speak the hardware's words (condition codes, AP response codes, reply
//! codes). Here alone they become a callable service with a return code and a reason code, the form
//! an operator of the mainframe searches for: `ICSF service failure: CSFPPKS retCode = 0x8, rsnCode
//! = 0x2b00`.
//!
//! Invariants: the numbers of [`table::TABLE`] never change (a test pins them); every pair this
//! product can report has a row there; what IBM does not publish lies in the Adjunct range
//! 0xAD00-0xADFF and nowhere else.
//!
//! Deliberately not here: System SSL codes ([`crate::gsk`]), alerts ([`crate::alert`]), the choice
//! what to do about a failure.
//!
//! Source: IBM "z/OS ICSF Application Programmer's Guide", return and reason codes.

use std::fmt;

pub mod from_ap;
pub mod from_cpacf;
pub mod reference;
pub mod service;
pub mod table;

pub use service::Service;
pub use table::{Code, Origin};

/// An ICSF return code: 0, 4, 8, 12 or 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReturnCode(pub u32);

impl ReturnCode {
    /// Done; the reason code may carry information.
    pub const SUCCESS: Self = Self(0);
    /// Done, with a minor event: a verification or comparison failed.
    pub const WARNING: Self = Self(4);
    /// Refused: a parameter, key or authority problem of the caller.
    pub const ERROR: Self = Self(8);
    /// Not processed: the environment or a device was not able to.
    pub const ENVIRONMENT: Self = Self(12);
    /// A serious failure of the environment or of a coprocessor.
    pub const SEVERE: Self = Self(16);

    /// All return codes, in order.
    pub const ALL: [Self; 5] =
        [Self::SUCCESS, Self::WARNING, Self::ERROR, Self::ENVIRONMENT, Self::SEVERE];

    /// What the return code says by itself.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self.0 {
            0 => "done; the reason code may carry information",
            4 => "done, with a minor event: a verification or comparison failed",
            8 => "refused: a parameter, key or authority problem; nothing was changed",
            12 => "not processed: the environment, a device or a queue was not able to",
            16 => "a serious failure of the environment or of a coprocessor",
            _ => "not a return code of ICSF",
        }
    }
}

impl fmt::Display for ReturnCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// An ICSF reason code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReasonCode(pub u32);

impl ReasonCode {
    /// Whether the number lies in the range we document ourselves.
    #[must_use]
    pub fn is_ours(self) -> bool {
        table::ADJUNCT_RANGE.contains(&self.0)
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A failed callable service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServiceFailure {
    /// Callable service, e.g. `CSFPPKS`.
    pub service: &'static str,
    /// Return code.
    pub return_code: ReturnCode,
    /// Reason code.
    pub reason_code: ReasonCode,
}

impl ServiceFailure {
    /// The failure of `service` with a code of the table.
    #[must_use]
    pub const fn new(service: Service, code: &Code) -> Self {
        Self { service: service.name, return_code: code.return_code, reason_code: code.reason_code }
    }

    /// The row of the table, when the pair is known.
    #[must_use]
    pub fn code(&self) -> Option<&'static Code> {
        table::find(self.return_code, self.reason_code)
    }
}

impl fmt::Display for ServiceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ICSF service failure: {} retCode = {}, rsnCode = {}",
            self.service, self.return_code, self.reason_code
        )
    }
}

impl std::error::Error for ServiceFailure {}

#[cfg(test)]
mod tests;
