//! Symmetric cryptography in the shape of the z/Architecture CPACF instructions.
//!
//! Everything a TLS connection needs except the private key of a certificate: record encryption
//! ([`aead`]), hashes ([`digest`](mod@digest), [`hmac`], [`kdf`]), random data ([`prno`]),
//! ephemeral key agreement ([`agreement`]), verification of signatures ([`verify`]), and, where the
//! routing table says so, ECDSA with a protected key ([`kdsa`]). All of it is synchronous and never
//! blocks on a device.
//!
//! The way of one call: a product module asks the gate for the function (blocked?), the provider
//! does the work, the gate counts who did it ([`stats`]). [`selftest`] proves every function by
//! published vectors before it is used and blocks the ones that fail, [`approval`] those that the
//! policy of this process does not approve. [`Function`] and [`query`]
//! show what there is under its hardware name, [`units`] which unit of this machine does it.
//!
//! Invariants:
//! - A call fails with a hardware word ([`Error`], [`ConditionCode`]); return and reason codes are
//!   made elsewhere.
//! - No input from a peer panics. No secret is shown by `Debug`; secrets are overwritten when
//!   dropped.
//! - Sealing a record, hashing a transcript and signing with HMAC have a second, portable
//!   implementation to fall back to, because their callers cannot go on without a result.
//! - No lock, no locked instruction and no allocation per record.
//!
//! Which provider executes them is the [`choice`] of the environment, and which library is below it
//! a fact of the [`module`](mod@module).
//!
//! What is simulated: provider `host` runs on aws-lc-rs and the units of this machine's processor,
//! not on CPACF. Names, codes and masks are those of the real functions; condition code 3,
//! parameter blocks and wrapped keys do not occur. CPACF itself has no ML-KEM, ChaCha20-Poly1305,
//! RSA or key derivation: these are *software* on every machine and counted so.
//!
//! Source: IBM z/Architecture Principles of Operation, chapters on the message-security assist.

pub mod aead;
pub mod agreement;
pub mod approval;
pub mod choice;
mod condition;
pub mod digest;
mod dispatch;
mod error;
#[cfg(any(test, feature = "fault-injection"))]
pub mod fault;
mod function;
pub mod hmac;
pub mod kdf;
pub mod kdsa;
pub mod module;
pub mod prno;
mod provider;
pub mod selftest;
pub mod stats;
pub mod units;
pub mod verify;
pub mod x25519;

pub use condition::ConditionCode;
pub use error::Error;
pub use function::{Function, Instruction, Mask, query};

/// What the TLS library asks of the types it is given.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<aead::Sealer>();
    shared::<aead::Opener>();
    shared::<digest::Context>();
    shared::<hmac::Key>();
    shared::<hmac::Context>();
    shared::<kdf::Prk>();
    shared::<agreement::Ephemeral>();
    shared::<agreement::Secret>();
    shared::<kdsa::ProtectedKey>();
};
