//! Digests, HMAC and the expansion of HKDF of provider `host`.

use core::cell::RefCell;
use core::mem;

use aws_lc_rs::{constant_time, digest, hkdf, hmac};

use crate::digest::Algorithm;
use crate::provider::Failed;

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

/// An HMAC key with both pads already digested: a vector of exactly one.
///
/// The library's key is more than a kilobyte. A handshake makes and drops fifteen of them, and the
/// general allocator tidies up its small blocks whenever it is asked for one so large. So their
/// memory stays with the thread; the key itself is overwritten by the library when it is dropped.
pub(crate) struct MacKey(Vec<hmac::Key>);

/// Slots for keys that a thread keeps.
const SPARE_SLOTS: usize = 16;

thread_local! {
    static SPARE: RefCell<Vec<Vec<hmac::Key>>> =
        const { RefCell::new(Vec::new()) };
}

impl Drop for MacKey {
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

/// An HMAC in progress.
pub(crate) struct Mac(hmac::Context);

impl MacKey {
    pub(crate) fn new(algorithm: Algorithm, key: &[u8]) -> Self {
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

    /// Gives the tag of the concatenation of `parts` to `take`.
    ///
    /// A message in one piece goes through the library's call for it, which moves the kilobyte of
    /// state less often.
    #[inline]
    pub(crate) fn sign<T>(&self, parts: &[&[u8]], take: impl FnOnce(&[u8]) -> T) -> T {
        let mut pieces = parts.iter().filter(|part| !part.is_empty());
        let (first, second) = (pieces.next(), pieces.next());
        if second.is_none() {
            let mut tag = [0; 64];
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

    #[inline]
    pub(crate) fn begin(&self) -> Mac {
        Mac(hmac::Context::with_key(self.key()))
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

/// The longest key that the library takes for an expansion.
const MAX_EXPANDER_KEY_LEN: usize = 64;

/// An HMAC key from which blocks are expanded. The library overwrites it when it is dropped.
///
/// Here the key is digested again for each block, but nothing is copied. Where the processor has
/// instructions for the hash, that is cheaper than to copy the kilobyte of a [`MacKey`]; where it
/// has none, it is not.
pub(crate) struct Expander(hkdf::Prk);

/// The length of a block.
struct BlockLen(usize);

impl hkdf::KeyType for BlockLen {
    fn len(&self) -> usize {
        self.0
    }
}

impl Expander {
    /// None for the hashes of which processors have no instructions, or hardly any, and for a key
    /// of unusual length.
    pub(crate) fn new(algorithm: Algorithm, key: &[u8]) -> Option<Self> {
        let fits = algorithm == Algorithm::Sha256 && key.len() <= MAX_EXPANDER_KEY_LEN;
        fits.then(|| Self(hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, key)))
    }

    /// Fills `block`, at most a tag long, with the first block of HKDF-Expand: the tag of the
    /// concatenation of `info` and the byte 1.
    #[inline]
    pub(crate) fn first_block(&self, info: &[&[u8]], block: &mut [u8]) -> Result<(), Failed> {
        let okm = self.0.expand(info, BlockLen(block.len())).map_err(|_| Failed)?;
        okm.fill(block).map_err(|_| Failed)
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
