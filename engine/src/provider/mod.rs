//! The rustls `CryptoProvider` over cpacf and cex.
//!
//! Purpose: every primitive rustls asks for is routed by operation: records, hashes,
//! key derivation, key agreement, random numbers and signature verification go to `cpacf`;
//! signatures of our own go to `cex` (or to a cpacf protected key).
//!
//! Invariants: this module is the only one that knows both rustls' traits and the backends'
//! calls. Nothing in it suspends a fiber except `sign`. Some rustls traits cannot report an
//! error. Hash, HMAC and what is built on them go on in software when their function is blocked
//! while connections are open; setting up a record key with a blocked function unwinds quietly with
//! the ICSF codes as its payload, and the handshake turns that into its record (see `escape`).
//!
//! What it does not do: choose certificates, hold private keys, know sockets.
//!
//! Source: rustls 0.23 `rustls::crypto`; file names follow the provider crates of rustls.

mod aead;
pub(crate) mod direct;
mod hash;
mod hmac;
mod kdf;
mod kx;
pub(crate) mod sign;
mod suites;
mod verify;

pub(crate) use verify::SUPPORTED;

use std::borrow::Cow;
use std::sync::Arc;

use rustls::crypto::{
    CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, SupportedKxGroup,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{Error, SupportedCipherSuite};

use crate::iana;
use crate::icsf::{self, ServiceFailure};

/// The suites whose functions have passed their self-tests, in our order of preference.
#[must_use]
pub fn available_suites() -> Vec<SupportedCipherSuite> {
    suites::ALL.iter().filter(|s| suites::is_available(s)).copied().collect()
}

/// The suites that work as far as this machine goes, those included that the policy of this process
/// does not approve.
pub(crate) fn working_suites() -> Vec<SupportedCipherSuite> {
    suites::ALL
        .iter()
        .filter(|s| suites::is_restricted(s) || suites::is_available(s))
        .copied()
        .collect()
}

/// The groups that work as far as this machine goes, as [`working_suites`].
pub(crate) fn working_groups() -> Vec<&'static dyn SupportedKxGroup> {
    kx::ALL.iter().filter(|g| kx::is_restricted(g.name()) || g.start().is_ok()).copied().collect()
}

/// The groups whose functions have passed their self-tests, in our order of preference.
#[must_use]
pub fn available_groups() -> Vec<&'static dyn SupportedKxGroup> {
    kx::ALL.iter().filter(|g| !kx::is_restricted(g.name()) && g.start().is_ok()).copied().collect()
}

/// IANA names of all suites we implement, in our order of preference.
#[must_use]
pub fn suite_names() -> Vec<Cow<'static, str>> {
    suites::ALL.iter().map(|s| iana::suite_name(u16::from(s.suite()))).collect()
}

/// IANA names of all groups we implement, in our order of preference.
#[must_use]
pub fn group_names() -> Vec<Cow<'static, str>> {
    kx::ALL.iter().map(|g| iana::group_name(u16::from(g.name()))).collect()
}

/// A provider restricted to the given suites and groups, in the given order.
#[must_use]
pub fn provider(
    cipher_suites: Vec<SupportedCipherSuite>,
    kx_groups: Vec<&'static dyn SupportedKxGroup>,
) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites,
        kx_groups,
        signature_verification_algorithms: SUPPORTED,
        secure_random: &Random,
        key_provider: &CardOnly,
    })
}

/// Everything that works, in our order of preference.
#[must_use]
pub fn full_provider() -> Arc<CryptoProvider> {
    provider(available_suites(), available_groups())
}

/// Random numbers from PRNO. What rustls asks for its peer gets to see (hellos, session numbers,
/// ages and nonces of tickets); none of it is a key, those are made elsewhere (`kx`).
#[derive(Debug)]
struct Random;

impl SecureRandom for Random {
    fn fill(&self, buf: &mut [u8]) -> Result<(), GetRandomFailed> {
        cpacf::prno::fill_public(buf).map_err(|_| GetRandomFailed)
    }
}

/// rustls may not load a private key: keys live in cex (or in cpacf, as protected keys) only.
#[derive(Debug)]
struct CardOnly;

impl KeyProvider for CardOnly {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("private keys are loaded into cex, not into rustls".to_owned()))
    }
}

/// Leaves a rustls trait that cannot report an error.
///
/// Unwinds without running the panic hook; the payload is the [`ServiceFailure`]. Only reached
/// when a function is blocked by a failed self-test while connections are open.
fn escape(error: &cpacf::Error) -> ! {
    std::panic::resume_unwind(Box::new(icsf::from_cpacf::failure(error)))
}

/// The ICSF codes of a failure that left through [`escape`], if that is what `payload` is.
pub(crate) fn escaped(payload: &(dyn std::any::Any + Send)) -> Option<ServiceFailure> {
    payload.downcast_ref::<ServiceFailure>().copied()
}
