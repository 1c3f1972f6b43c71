//! The library itself: which it is, and its own self-test.

use crate::provider::Failed;

/// Version of the linked library, e.g. `5.12.0`.
pub(crate) fn version() -> &'static str {
    aws_lc_rs::awslc_version()
}

/// Whether the library says of itself that it is a FIPS module in its approved mode.
pub(crate) fn is_fips() -> bool {
    aws_lc_rs::try_fips_mode().is_ok()
}

/// The known-answer tests of the library, again; a FIPS module that fails one ends the process.
pub(crate) fn self_test() -> Result<(), Failed> {
    aws_lc_rs::try_fips_self_test().map_err(|_| Failed)
}
