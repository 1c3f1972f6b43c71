//! SHA-256 as a chaining value with the rest of a block: what the machine's KIMD works on.
//!
//! Purpose: aws-lc-rs has the same, behind an object on the heap that is made, copied and freed for
//! each digest, and behind a kilobyte for each HMAC. A TLS handshake hashes its transcript to some
//! ten points and expands some twenty keys; with the chaining value at hand a copy is 112 bytes
//! and an HMAC under a known key two blocks.
//!
//! Invariants:
//! * A state is made, and until it is overwritten changed, by the library alone.
//! * Nothing is on the heap and nothing needs to be freed; states are overwritten when dropped,
//!   since those of an HMAC stand for its key.
//!
//! Not used where the FIPS module computes: there an HMAC has to be made inside of it.
//!
//! Source: FIPS 180-4; FIPS 198-1; `openssl/sha.h` of AWS-LC.
#![allow(unsafe_code, reason = "aws-lc-rs does not give out the chaining value of a digest")]

use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{self, Ordering};

use aws_lc_sys::{SHA256_CTX, SHA256_Final, SHA256_Init, SHA256_Update};
use zeroize::Zeroizing;

use crate::digest::MAX_LEN;

/// Bytes of a digest.
pub(crate) const LEN: usize = 32;
/// Bytes of a block of the compression function.
pub(crate) const BLOCK_LEN: usize = 64;

/// A digest in progress. A clone continues from the same point.
#[derive(Clone)]
pub(crate) struct Sha256(SHA256_CTX);

impl Sha256 {
    pub(crate) fn new() -> Self {
        let mut state = MaybeUninit::zeroed();
        // SAFETY: the function writes the whole state, and only that.
        unsafe { SHA256_Init(state.as_mut_ptr()) };
        // SAFETY: it is written; besides, zeros are a value of each of its fields.
        Self(unsafe { state.assume_init() })
    }

    #[inline]
    pub(crate) fn update(&mut self, data: &[u8]) {
        // SAFETY: the state was made by SHA256_Init; `data.len()` bytes are read, none is kept.
        unsafe { SHA256_Update(&raw mut self.0, data.as_ptr().cast(), data.len()) };
    }

    /// Writes the digest to the front of `out`; nothing but to drop the state is left to do.
    #[inline]
    pub(crate) fn finish(&mut self, out: &mut [u8; MAX_LEN]) {
        // SAFETY: the state was made by SHA256_Init, whose digests are shorter than `out`.
        unsafe { SHA256_Final(out.as_mut_ptr(), &raw mut self.0) };
    }
}

impl Drop for Sha256 {
    /// In a few wide stores; a byte at a time would take longer than a block takes to digest.
    fn drop(&mut self) {
        // SAFETY: the state is ours and plain numbers, of which zero is a value each.
        unsafe { ptr::write_volatile(&raw mut self.0, MaybeUninit::zeroed().assume_init()) };
        atomic::compiler_fence(Ordering::SeqCst);
    }
}

/// A key of HMAC: both pads, digested (FIPS 198-1, section 4).
pub(crate) struct Pads {
    inner: Sha256,
    outer: Sha256,
}

impl Pads {
    /// Of a key of at most a block.
    pub(crate) fn new(key: &[u8]) -> Self {
        let digested = |pad: u8| {
            let mut block = Zeroizing::new([pad; BLOCK_LEN]);
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let mut state = Sha256::new();
            state.update(&*block);
            state
        };
        Self { inner: digested(0x36), outer: digested(0x5c) }
    }

    #[inline]
    pub(crate) fn begin(&self) -> Mac {
        Mac { inner: self.inner.clone(), outer: self.outer.clone() }
    }
}

/// An HMAC in progress.
pub(crate) struct Mac {
    inner: Sha256,
    outer: Sha256,
}

impl Mac {
    #[inline]
    pub(crate) fn update(&mut self, data: &[u8]) {
        self.inner.update(data);
    }

    /// Writes the tag to the front of `out`.
    #[inline]
    pub(crate) fn finish(&mut self, out: &mut [u8; MAX_LEN]) {
        self.inner.finish(out);
        self.outer.update(&out[..LEN]);
        self.outer.finish(out);
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{digest, hmac};

    use super::*;

    fn message(length: usize) -> Vec<u8> {
        (0..=u8::MAX).cycle().take(length).collect()
    }

    #[test]
    fn a_digest_is_the_library_s_whatever_its_pieces_and_copies_are() {
        for length in (0..=3 * BLOCK_LEN).chain([1000, 70_000]) {
            let message = message(length);
            let expected = digest::digest(&digest::SHA256, &message);
            for at in [0, 1, length / 2, length.saturating_sub(1), length] {
                let (front, back) = message.split_at(at.min(length));
                let mut state = Sha256::new();
                state.update(front);
                // A copy that goes another way changes nothing.
                let (mut other, mut out) = (state.clone(), [0; MAX_LEN]);
                other.update(b"other");
                other.finish(&mut out);
                let elsewhere = digest::digest(&digest::SHA256, &[front, b"other"].concat());
                assert_eq!(&out[..LEN], elsewhere.as_ref(), "{length} bytes, cut at {at}");
                state.update(back);
                state.finish(&mut out);
                assert_eq!(&out[..LEN], expected.as_ref(), "{length} bytes, cut at {at}");
            }
        }
    }

    #[test]
    fn an_hmac_is_the_library_s_and_its_key_serves_again() {
        for length in 0..=BLOCK_LEN {
            let key = message(length);
            let mut block = [0; BLOCK_LEN];
            block[..length].copy_from_slice(&key);
            let pads = Pads::new(&block);
            for text in [0, 1, 55, 56, 64, 119, 120, 1000].map(message) {
                let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &text);
                let (mut mac, mut out) = (pads.begin(), [0; MAX_LEN]);
                mac.update(&text);
                mac.finish(&mut out);
                assert_eq!(&out[..LEN], expected.as_ref(), "key {length}, text {}", text.len());
            }
        }
    }

    #[test]
    fn nothing_is_left_of_a_state() {
        let mut state = core::mem::ManuallyDrop::new(Sha256::new());
        state.update(b"secret");
        // SAFETY: it is dropped here alone.
        unsafe { core::mem::ManuallyDrop::drop(&mut state) };
        // Plain numbers: they can be looked at after the drop, which has written them.
        let SHA256_CTX { h, data, num, .. } = state.0;
        assert_eq!((h, data, num), ([0; 8], [0; 64], 0));
    }
}
