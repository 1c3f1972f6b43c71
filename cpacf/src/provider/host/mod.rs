//! Provider `host`: aws-lc-rs on this machine's own AES, SHA, carry-less-multiply and integer
//! units.
//!
//! What it simulates: one call of this provider stands for the whole loop of an instruction over
//! its operands, always ending with condition code 0, 1 or 2. It does not simulate parameter
//! blocks, partial completion or wrapped keys: a *protected key* is a private key inside the
//! library, opaque to callers, not one encrypted under a machine's wrapping key. PRNO is the
//! library's own DRBG (AES-256 CTR_DRBG of SP 800-90A), not the SHA-512 DRNG of the instruction.

pub(crate) mod cipher;
pub(crate) mod curve;
pub(crate) mod hash;
pub(crate) mod module;
pub(crate) mod random;
#[cfg(not(feature = "fips"))]
mod sha256;
pub(crate) mod signature;
