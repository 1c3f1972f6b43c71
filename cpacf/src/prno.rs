//! Random data: PRNO.
//!
//! Provider `host` answers with the library's DRBG (AES-256 CTR_DRBG of SP 800-90A, seeded by the
//! operating system and reseeded by the library), under the name of the function a program on the
//! machine would use, PRNO-SHA-512-DRNG.
//!
//! Source: NIST SP 800-90A; Principles of Operation, "Perform Random Number Operation".

use crate::dispatch::Call;
use crate::provider::Failed;
use crate::provider::host::random;
use crate::{ConditionCode, Error, Function};

/// Fills `out` with random data.
///
/// # Errors
/// [`Error::ConditionCode`] if no random data can be had; [`Error::Blocked`] if the function is
/// blocked. `out` must not be used then.
pub fn fill(out: &mut [u8]) -> Result<(), Error> {
    fill_with(out, random::fill)
}

/// Fills `out` with random data that the peer gets to see: salts, the random of a hello.
///
/// Little comes from what the thread has drawn ahead, since a draw of 4 bytes costs the generator
/// as much as one of 200; the call counts as one of its own all the same. Nothing is handed out
/// twice, and what was handed out is overwritten. Keys, and nonces that must not repeat even when a
/// snapshot of the machine is resumed twice, are drawn when they are made: by [`fill`].
///
/// # Errors
/// As [`fill`].
pub fn fill_public(out: &mut [u8]) -> Result<(), Error> {
    fill_with(out, random::fill_ahead)
}

fn fill_with(
    out: &mut [u8],
    draw: impl FnOnce(&mut [u8]) -> Result<(), Failed>,
) -> Result<(), Error> {
    let function = Function::PrnoSha512Drng;
    let call = Call::begin(function)?;
    draw(out).map_err(|_| Error::ConditionCode { function, cc: ConditionCode::One })?;
    if call.is_wrong() {
        // A stuck source, the fault that health tests of SP 800-90B look for.
        out.fill(0);
    }
    call.done(out.len());
    Ok(())
}
