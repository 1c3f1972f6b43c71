//! Digests and HMAC of provider `host`.
//!
//! SHA-256, with which nearly all of TLS is hashed, is called by its chaining value
//! ([`sha256`]); the others, and all of them where the FIPS module computes, by what aws-lc-rs
//! offers.

use core::cell::RefCell;
use core::mem;

use aws_lc_rs::{constant_time, digest, hmac};
use zeroize::Zeroizing;

use super::sha256::{self, Pads, Sha256};
use crate::digest::{Algorithm, MAX_LEN};

/// Whether SHA-256 is called by its chaining value.
const BY_CHAINING_VALUE: bool = !cfg!(feature = "fips");

/// A digest in progress. Cloning copies the chaining value and the partial block.
#[derive(Clone)]
pub(crate) enum Hasher {
    Sha256(Sha256),
    Library(digest::Context),
}

const fn digest_algorithm(algorithm: Algorithm) -> &'static digest::Algorithm {
    match algorithm {
        Algorithm::Sha256 => &digest::SHA256,
        Algorithm::Sha384 => &digest::SHA384,
        Algorithm::Sha512 => &digest::SHA512,
    }
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 if BY_CHAINING_VALUE => Self::Sha256(Sha256::new()),
            _ => Self::Library(digest::Context::new(digest_algorithm(algorithm))),
        }
    }

    #[inline]
    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            Self::Sha256(state) => state.update(data),
            Self::Library(context) => context.update(data),
        }
    }

    /// Writes the digest to the front of `out`.
    #[inline]
    pub(crate) fn finish(self, out: &mut [u8; MAX_LEN]) {
        match self {
            Self::Sha256(state) => state.finish(out),
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
pub(crate) enum MacKey {
    Sha256(Pads),
    Library(Slot),
}

/// A key of the library: a vector of exactly one.
///
/// It is more than a kilobyte, a handshake makes and drops fifteen of them, and the general
/// allocator tidies up its small blocks whenever it is asked for one so large. So their memory
/// stays with the thread; the key itself is overwritten by the library when it is dropped.
pub(crate) struct Slot(Vec<hmac::Key>);

/// Slots for keys that a thread keeps.
const SPARE_SLOTS: usize = 16;

thread_local! {
    static SPARE: RefCell<Vec<Vec<hmac::Key>>> =
        const { RefCell::new(Vec::new()) };
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.clear();
        // In a thread that is just ending the slot goes back to the allocator.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE_SLOTS {
                spare.push(mem::take(&mut self.0));
            }
        });
    }
}

impl Slot {
    fn new(algorithm: Algorithm, key: &[u8]) -> Self {
        let algorithm = match algorithm {
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha384 => hmac::HMAC_SHA384,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        };
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop());
        let mut slot = spare.ok().flatten().unwrap_or_else(|| Vec::with_capacity(1));
        slot.push(hmac::Key::new(algorithm, key));
        Self(slot)
    }

    #[inline]
    fn key(&self) -> &hmac::Key {
        &self.0[0]
    }

    /// A message in one piece goes through the library's call for it, which moves the kilobyte of
    /// state less often.
    fn sign<T>(&self, parts: &[&[u8]], take: impl FnOnce(&[u8]) -> T) -> T {
        let mut pieces = parts.iter().filter(|part| !part.is_empty());
        let (first, second) = (pieces.next(), pieces.next());
        if second.is_none() {
            let mut tag = [0; MAX_LEN];
            if let Ok(tag) =
                hmac::sign_to_buffer(self.key(), first.copied().unwrap_or_default(), &mut tag)
            {
                return take(tag);
            }
        }
        let mut context = hmac::Context::with_key(self.key());
        for part in parts {
            context.update(part);
        }
        take(context.sign().as_ref())
    }
}

impl MacKey {
    /// Of a key of at most a block, padded with zeros.
    pub(crate) fn new(algorithm: Algorithm, key: &[u8]) -> Self {
        match (algorithm, key.try_into()) {
            (Algorithm::Sha256, Ok(block)) if BY_CHAINING_VALUE => Self::Sha256(Pads::new(block)),
            _ => Self::Library(Slot::new(algorithm, key)),
        }
    }

    /// Gives the tag of the concatenation of `parts` to `take`.
    #[inline]
    pub(crate) fn sign<T>(&self, parts: &[&[u8]], take: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::Sha256(pads) => {
                let mut mac = pads.begin();
                parts.iter().for_each(|part| mac.update(part));
                let mut tag = Zeroizing::new([0; MAX_LEN]);
                mac.finish(&mut tag);
                take(&tag[..sha256::LEN])
            }
            Self::Library(slot) => slot.sign(parts, take),
        }
    }

    #[inline]
    pub(crate) fn begin(&self) -> Mac {
        match self {
            Self::Sha256(pads) => Mac::Sha256(pads.begin()),
            Self::Library(slot) => Mac::Library(hmac::Context::with_key(slot.key())),
        }
    }
}

/// An HMAC in progress.
#[allow(clippy::large_enum_variant, reason = "lives on the stack; a box would cost an allocation")]
pub(crate) enum Mac {
    Sha256(sha256::Mac),
    Library(hmac::Context),
}

impl Mac {
    #[inline]
    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            Self::Sha256(mac) => mac.update(data),
            Self::Library(context) => context.update(data),
        }
    }

    /// Writes the tag to the front of `out`.
    #[inline]
    pub(crate) fn finish(self, out: &mut [u8; MAX_LEN]) {
        match self {
            Self::Sha256(mac) => mac.finish(out),
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
