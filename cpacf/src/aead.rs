//! Authenticated encryption of records: KMA-GCM-AES, and ChaCha20-Poly1305 in software.
//!
//! A key is set up once per direction; sealing and opening then work in place, without allocation
//! or lock.
//!
//! Invariant: **sealing does not fail once a key is set up.** Where the provider refuses (blocked
//! after the key was set up, condition code) the record is sealed by the portable implementation
//! and counted as software. One case cannot be healed: a provider that fails *after* it began to
//! overwrite the record in place has destroyed the plaintext. Then the record goes out as zeros
//! with a zero tag, which the peer rejects; nothing is ever sent in the clear and no wrong data is
//! ever accepted. [`Sealer::seal_into`] reads its plaintext from elsewhere and so survives that
//! too; it and [`Opener::open_into`] save the record layer copies. Where the cryptographic module
//! computes alone ([`crate::module`]) there is no portable implementation, and zeros go out in both
//! cases.
//!
//! Opening may fail; that is an ordinary event (the peer sent garbage) and closes the connection.
//!
//! Not done here: nonces, sequence numbers and limits on the use of a key belong to the caller.
//!
//! Source: NIST SP 800-38D; RFC 8439; Principles of Operation, "Cipher Message with
//! Authentication".

use core::fmt;

use zeroize::Zeroizing;

use crate::dispatch::Call;
use crate::provider::host::cipher::Cipher;
use crate::provider::software;
use crate::stats::{self, Path};
use crate::{ConditionCode, Error, Function, module};

/// Bytes of a nonce, for every algorithm.
pub const NONCE_LEN: usize = 12;
/// Bytes of a tag, for every algorithm.
pub const TAG_LEN: usize = 16;

const MAX_KEY_LEN: usize = 32;

/// The record ciphers of TLS 1.2 and 1.3 with which this crate seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// AES-128 in Galois/Counter Mode.
    Aes128Gcm,
    /// AES-256 in Galois/Counter Mode.
    Aes256Gcm,
    /// ChaCha20 with Poly1305; CPACF has none.
    ChaCha20Poly1305,
}

impl Algorithm {
    /// Bytes of a key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    /// The function that does the work.
    #[must_use]
    pub const fn function(self) -> Function {
        match self {
            Self::Aes128Gcm => Function::KmaGcmAes128,
            Self::Aes256Gcm => Function::KmaGcmAes256,
            Self::ChaCha20Poly1305 => Function::ChaCha20Poly1305,
        }
    }

    #[inline]
    fn set_up(self, key: &[u8]) -> Result<Cipher, Error> {
        let function = self.function();
        // Asks the gate only: setting up a key is not a call of the function.
        let _ = Call::begin(function)?;
        if key.len() != self.key_len() {
            let (expected, actual) = (self.key_len(), key.len());
            return Err(Error::Length { function, what: "key", expected, actual });
        }
        Cipher::new(self, key)
            .map_err(|_| Error::InvalidKey { function, reason: "not accepted by the provider" })
    }
}

/// Why the provider did not seal, and what that did to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealFailure {
    /// The record is as it was.
    Untouched(Error),
    /// The plaintext is lost.
    Destroyed(Error),
}

/// The sending half: encrypts and authenticates.
pub struct Sealer {
    algorithm: Algorithm,
    cipher: Cipher,
    /// Kept for the portable implementation, which sets up its own key schedule when needed.
    key: Zeroizing<[u8; MAX_KEY_LEN]>,
}

impl Sealer {
    /// Sets up a key.
    ///
    /// # Errors
    /// [`Error::Length`] for a key of another length than [`Algorithm::key_len`];
    /// [`Error::Blocked`] if the function is blocked.
    #[inline]
    pub fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, Error> {
        let cipher = algorithm.set_up(key)?;
        let mut kept = Zeroizing::new([0; MAX_KEY_LEN]);
        kept[..key.len()].copy_from_slice(key);
        Ok(Self { algorithm, cipher, key: kept })
    }

    /// The algorithm of the key.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Encrypts `in_out` in place and returns the tag. Never fails; see the module text.
    ///
    /// The caller must never use a nonce twice with one key.
    #[inline]
    #[must_use]
    pub fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], in_out: &mut [u8]) -> [u8; TAG_LEN] {
        match self.try_seal(nonce, aad, in_out) {
            Ok(tag) => tag,
            Err(SealFailure::Untouched(_)) => self.seal_in_software(nonce, aad, in_out),
            Err(SealFailure::Destroyed(_)) => self.give_up(in_out),
        }
    }

    /// Encrypts `plaintext`, then `trailer`, to the front of `out` and puts the tag behind them.
    ///
    /// In TLS 1.3 the trailer is the content type. Once the lengths fit, this never fails.
    ///
    /// # Errors
    /// [`Error::Length`] if `out` is not exactly as long as plaintext, trailer and tag together.
    pub fn seal_into(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        trailer: &[u8],
        out: &mut [u8],
    ) -> Result<(), Error> {
        let text_len = plaintext.len() + trailer.len();
        if out.len() != text_len + TAG_LEN {
            let (expected, actual) = (text_len + TAG_LEN, out.len());
            let function = self.algorithm.function();
            return Err(Error::Length { function, what: "output", expected, actual });
        }
        if self.try_seal_into(nonce, aad, plaintext, trailer, out).is_err() {
            let (text, tag) = out.split_at_mut(text_len);
            text[..plaintext.len()].copy_from_slice(plaintext);
            text[plaintext.len()..].copy_from_slice(trailer);
            tag.copy_from_slice(&self.seal_in_software(nonce, aad, text));
        }
        Ok(())
    }

    /// The provider's half of [`seal`](Self::seal), which known-answer tests call: a fall-back must
    /// not hide a broken function.
    #[inline]
    pub(crate) fn try_seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; TAG_LEN], SealFailure> {
        let call = Call::begin(self.algorithm.function()).map_err(SealFailure::Untouched)?;
        if call.is_destructive() {
            in_out.fill(0);
            return Err(SealFailure::Destroyed(self.cc1()));
        }
        let sealed = self.cipher.seal(nonce, aad, in_out);
        let mut tag = sealed.map_err(|_| SealFailure::Destroyed(self.cc1()))?;
        call.corrupt(&mut tag);
        call.done(in_out.len());
        Ok(tag)
    }

    #[inline]
    fn try_seal_into(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        plaintext: &[u8],
        trailer: &[u8],
        out: &mut [u8],
    ) -> Result<(), Error> {
        let call = Call::begin(self.algorithm.function())?;
        if call.is_destructive() {
            out.fill(0);
            return Err(self.cc1());
        }
        let (text, rest) = out.split_at_mut(plaintext.len());
        self.cipher
            .seal_into(nonce, aad, (plaintext, trailer), (text, &mut *rest))
            .map_err(|_| self.cc1())?;
        call.corrupt(&mut rest[trailer.len()..]);
        call.done(plaintext.len() + trailer.len());
        Ok(())
    }

    #[cold]
    fn seal_in_software(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        in_out: &mut [u8],
    ) -> [u8; TAG_LEN] {
        if module::is_alone() {
            return self.give_up(in_out);
        }
        let key = &self.key[..self.algorithm.key_len()];
        match software::seal(self.algorithm, key, nonce, aad, in_out) {
            Ok(tag) => {
                stats::count(self.algorithm.function(), Path::Software, in_out.len());
                tag
            }
            // The key has the right length, so this is a text of more than 64 GiB: no record.
            Err(_) => self.give_up(in_out),
        }
    }

    /// Makes the record one that any peer rejects.
    #[cold]
    fn give_up(&self, in_out: &mut [u8]) -> [u8; TAG_LEN] {
        in_out.fill(0);
        stats::count(self.algorithm.function(), Path::Blocked, 0);
        [0; TAG_LEN]
    }

    fn cc1(&self) -> Error {
        Error::ConditionCode { function: self.algorithm.function(), cc: ConditionCode::One }
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The receiving half: checks and decrypts.
pub struct Opener {
    algorithm: Algorithm,
    cipher: Cipher,
}

impl Opener {
    /// Sets up a key.
    ///
    /// # Errors
    /// As [`Sealer::new`].
    #[inline]
    pub fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, Error> {
        Ok(Self { algorithm, cipher: algorithm.set_up(key)? })
    }

    /// The algorithm of the key.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Checks and decrypts `in_out`, ciphertext followed by the tag, and returns the plaintext.
    ///
    /// # Errors
    /// [`Error::Length`] if there is no room for a tag; [`Error::Authentication`] if the
    /// tag does not match, `in_out` then holds nothing of use; [`Error::Blocked`] if the function
    /// is blocked.
    #[inline]
    pub fn open<'a>(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        in_out: &'a mut [u8],
    ) -> Result<&'a mut [u8], Error> {
        let function = self.algorithm.function();
        let call = Call::begin(function)?;
        let actual = in_out.len();
        let Some(text_len) = actual.checked_sub(TAG_LEN) else {
            return Err(Error::Length { function, what: "record", expected: TAG_LEN, actual });
        };
        let opened = self.cipher.open(nonce, aad, in_out);
        call.done(text_len);
        let plaintext = opened.map_err(|_| Error::Authentication { function })?;
        call.corrupt(plaintext);
        Ok(plaintext)
    }

    /// Checks `sealed`, ciphertext followed by the tag, and decrypts it to `out`.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Error::Length`] if `out` is not exactly as long as the
    /// plaintext. After [`Error::Authentication`] it holds nothing of use.
    #[inline]
    pub fn open_into(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<(), Error> {
        let function = self.algorithm.function();
        let call = Call::begin(function)?;
        let (expected, actual) = (out.len() + TAG_LEN, sealed.len());
        if actual != expected {
            return Err(Error::Length { function, what: "record", expected, actual });
        }
        let opened = self.cipher.open_into(nonce, aad, sealed.split_at(out.len()), out);
        call.done(out.len());
        opened.map_err(|_| Error::Authentication { function })?;
        call.corrupt(out);
        Ok(())
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
