//! Digests and HMAC of provider `host`.

use aws_lc_rs::{constant_time, digest, hmac};

use crate::digest::Algorithm;

/// A digest in progress. Cloning copies the chaining value and the partial block.
#[derive(Clone)]
pub(crate) struct Hasher(digest::Context);

const fn digest_algorithm(algorithm: Algorithm) -> &'static digest::Algorithm {
    match algorithm {
        Algorithm::Sha256 => &digest::SHA256,
        Algorithm::Sha384 => &digest::SHA384,
        Algorithm::Sha512 => &digest::SHA512,
    }
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self(digest::Context::new(digest_algorithm(algorithm)))
    }

    #[inline]
    pub(crate) fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// Writes the digest to the front of `out`.
    #[inline]
    pub(crate) fn finish(self, out: &mut [u8; 64]) {
        copy(self.0.finish().as_ref(), out);
    }
}

/// Digests `data` in one call.
#[inline]
pub(crate) fn digest(algorithm: Algorithm, data: &[u8], out: &mut [u8; 64]) {
    copy(digest::digest(digest_algorithm(algorithm), data).as_ref(), out);
}

/// An HMAC key with both pads already digested.
pub(crate) struct MacKey(hmac::Key);

/// An HMAC in progress.
pub(crate) struct Mac(hmac::Context);

impl MacKey {
    pub(crate) fn new(algorithm: Algorithm, key: &[u8]) -> Self {
        let algorithm = match algorithm {
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha384 => hmac::HMAC_SHA384,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        };
        Self(hmac::Key::new(algorithm, key))
    }

    #[inline]
    pub(crate) fn begin(&self) -> Mac {
        Mac(hmac::Context::with_key(&self.0))
    }
}

impl Mac {
    #[inline]
    pub(crate) fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// Writes the tag to the front of `out`.
    #[inline]
    pub(crate) fn finish(self, out: &mut [u8; 64]) {
        copy(self.0.sign().as_ref(), out);
    }
}

/// No digest or tag of this crate is longer than 64 bytes.
#[inline]
fn copy(from: &[u8], to: &mut [u8; 64]) {
    to[..from.len()].copy_from_slice(from);
}

/// Compares without a time that depends on where the difference is.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}
