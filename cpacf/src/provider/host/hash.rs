//! Digests and HMAC of provider `host`.
//!
//! A digest or HMAC in progress with SHA-256, with which nearly all of TLS is hashed, is a chaining
//! value ([`sha256`]); everything else is what aws-lc-rs offers, and with the feature `fips`
//! SHA-256 is, too, so that an HMAC is made inside of the module.

use aws_lc_rs::{constant_time, digest, hmac};
use zeroize::Zeroizing;

#[cfg(not(feature = "fips"))]
use super::sha256;
use crate::digest::{Algorithm, MAX_LEN};
use crate::provider::software::HmacBlock;

/// A digest in progress. Cloning copies the chaining value and the partial block.
#[derive(Clone)]
pub(crate) enum Hasher {
    #[cfg(not(feature = "fips"))]
    Sha256(sha256::Sha256),
    Library(digest::Context),
}

const fn digest_algorithm(algorithm: Algorithm) -> &'static digest::Algorithm {
    match algorithm {
        Algorithm::Sha256 => &digest::SHA256,
        Algorithm::Sha384 => &digest::SHA384,
        Algorithm::Sha512 => &digest::SHA512,
    }
}

const fn mac_algorithm(algorithm: Algorithm) -> hmac::Algorithm {
    match algorithm {
        Algorithm::Sha256 => hmac::HMAC_SHA256,
        Algorithm::Sha384 => hmac::HMAC_SHA384,
        Algorithm::Sha512 => hmac::HMAC_SHA512,
    }
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            #[cfg(not(feature = "fips"))]
            Algorithm::Sha256 => Self::Sha256(sha256::Sha256::new()),
            _ => Self::Library(digest::Context::new(digest_algorithm(algorithm))),
        }
    }

    #[inline]
    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            #[cfg(not(feature = "fips"))]
            Self::Sha256(state) => state.update(data),
            Self::Library(context) => context.update(data),
        }
    }

    /// Writes the digest to the front of `out`.
    #[inline]
    pub(crate) fn finish(self, out: &mut [u8; MAX_LEN]) {
        match self {
            #[cfg(not(feature = "fips"))]
            Self::Sha256(mut state) => state.finish(out),
            Self::Library(context) => copy(context.finish().as_ref(), out),
        }
    }
}

/// Digests `data` in one call.
#[inline]
pub(crate) fn digest(algorithm: Algorithm, data: &[u8], out: &mut [u8; MAX_LEN]) {
    copy(digest::digest(digest_algorithm(algorithm), data).as_ref(), out);
}

/// An HMAC key with both pads already digested.
#[allow(clippy::large_enum_variant, reason = "the large one is the one that nearly all keys are")]
pub(crate) enum MacKey {
    #[cfg(not(feature = "fips"))]
    Sha256(sha256::Pads),
    /// More than a kilobyte.
    Library(Box<hmac::Key>),
}

impl MacKey {
    /// Of a key that is padded with zeros, if need be to more than a block of the hash.
    pub(crate) fn new(algorithm: Algorithm, key: &HmacBlock) -> Self {
        match algorithm {
            #[cfg(not(feature = "fips"))]
            Algorithm::Sha256 => Self::Sha256(sha256::Pads::new(&key[..sha256::BLOCK_LEN])),
            _ => {
                let key = &key[..algorithm.block_len()];
                Self::Library(Box::new(hmac::Key::new(mac_algorithm(algorithm), key)))
            }
        }
    }

    /// Gives the tag of the concatenation of `parts` to `take`.
    #[inline]
    pub(crate) fn sign<T>(&self, parts: &[&[u8]], take: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            #[cfg(not(feature = "fips"))]
            Self::Sha256(pads) => {
                let (mut mac, mut tag) = (pads.begin(), Zeroizing::new([0; MAX_LEN]));
                parts.iter().for_each(|part| mac.update(part));
                mac.finish(&mut tag);
                take(&tag[..sha256::LEN])
            }
            Self::Library(key) => sign_by_library(key, parts, take),
        }
    }

    #[inline]
    pub(crate) fn begin(&self) -> Mac {
        match self {
            #[cfg(not(feature = "fips"))]
            Self::Sha256(pads) => Mac::Sha256(pads.begin()),
            Self::Library(key) => Mac::Library(hmac::Context::with_key(key)),
        }
    }
}

/// A message in one piece goes through the library's call for it, which moves the kilobyte of
/// state less often.
fn sign_by_library<T>(key: &hmac::Key, parts: &[&[u8]], take: impl FnOnce(&[u8]) -> T) -> T {
    let mut pieces = parts.iter().filter(|part| !part.is_empty());
    let (first, second) = (pieces.next(), pieces.next());
    if second.is_none() {
        let mut tag = Zeroizing::new([0; MAX_LEN]);
        let message = first.copied().unwrap_or_default();
        if let Ok(tag) = hmac::sign_to_buffer(key, message, &mut *tag) {
            return take(tag);
        }
    }
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    take(context.sign().as_ref())
}

/// An HMAC in progress.
#[allow(clippy::large_enum_variant, reason = "lives on the stack; a box would cost an allocation")]
pub(crate) enum Mac {
    #[cfg(not(feature = "fips"))]
    Sha256(sha256::Mac),
    Library(hmac::Context),
}

impl Mac {
    #[inline]
    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            #[cfg(not(feature = "fips"))]
            Self::Sha256(mac) => mac.update(data),
            Self::Library(context) => context.update(data),
        }
    }

    /// Writes the tag to the front of `out`.
    #[inline]
    pub(crate) fn finish(self, out: &mut [u8; MAX_LEN]) {
        match self {
            #[cfg(not(feature = "fips"))]
            Self::Sha256(mut mac) => mac.finish(out),
            Self::Library(context) => copy(context.sign().as_ref(), out),
        }
    }
}

/// No digest or tag of this crate is longer than 64 bytes.
#[inline]
fn copy(from: &[u8], to: &mut [u8; MAX_LEN]) {
    to[..from.len()].copy_from_slice(from);
}

/// Compares without a time that depends on where the difference is.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}
