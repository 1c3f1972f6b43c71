//! Who executes a function: the `host` provider, and the portable second implementation.
//!
//! `host` and `software` are the only places of this crate that name a cryptographic library. They
//! know nothing of gates, counters or faults, and answer a failure with [`Failed`] alone, because
//! the library does not say more; the caller knows which operand can be at fault.

pub(crate) mod host;
pub(crate) mod software;

/// The provider could not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;
