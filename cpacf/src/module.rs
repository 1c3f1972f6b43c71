//! The cryptographic module below both backends: what it is, and whether it computes alone.
//!
//! Purpose: facts about the linked library, each by itself, for whoever reports them; and the
//! switch for a FIPS mode with the FIPS module linked (feature `fips`), where nothing outside that
//! module may compute. The fall-backs of this crate are outside, so with [`compute_alone`] there
//! are none: a record that cannot be sealed becomes one that every peer rejects, hashes and HMACs
//! go on in the module whatever the gate says, since they cannot fail there.
//!
//! What it does not do: say whether a module is *validated*. A certificate of the CMVP is for a
//! version, a platform and a way to build it; no program can look that up in itself.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::provider::host::module;

/// The linked module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its name.
    pub name: &'static str,
    /// Its version, as it says itself.
    pub version: &'static str,
    /// Whether it is the FIPS module, in its approved mode.
    pub fips: bool,
}

/// The linked module.
#[must_use]
pub fn linked() -> Module {
    let fips = module::is_fips();
    let name = if fips { "AWS-LC FIPS module" } else { "AWS-LC" };
    Module { name, version: module::version(), fips }
}

/// The module's own known-answer tests failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the known-answer tests of the linked library did not all pass")]
pub struct SelfTestFailed;

/// Runs the module's own known-answer tests again, beside those of [`crate::selftest`].
///
/// # Errors
/// One of them failed. The FIPS module ends the process instead.
pub fn self_test() -> Result<(), SelfTestFailed> {
    module::self_test().map_err(|_| SelfTestFailed)
}

static ALONE: AtomicBool = AtomicBool::new(false);

/// From now on nothing outside the module computes, for the rest of the process.
pub fn compute_alone() {
    ALONE.store(true, Relaxed);
}

/// Whether nothing outside the module computes.
#[must_use]
pub fn is_alone() -> bool {
    ALONE.load(Relaxed)
}
