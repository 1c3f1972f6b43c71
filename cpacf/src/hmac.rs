//! HMAC with SHA-2: KMAC-HMAC.
//!
//! The machine has these functions from message-security-assist extension 11 on; earlier ones build
//! HMAC from KIMD and KLMD. Provider `host` models the later machine.
//!
//! Signing cannot fail, because nobody who derives keys with it could go on: where the function
//! refuses, the portable implementation computes the same tag and the call counts as software.
//!
//! Source: FIPS 198-1; RFC 2104; Principles of Operation, "Compute Message Authentication Code".

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::digest::{Algorithm, MAX_LEN};
use crate::dispatch::Call;
use crate::provider::host::hash::{self, MacKey};
use crate::provider::software::{self, HMAC_BLOCK_LEN, HmacBlock};
use crate::stats::{self, Path};
use crate::{Error, Function};

const fn function(algorithm: Algorithm) -> Function {
    match algorithm {
        Algorithm::Sha256 => Function::KmacHmacSha256,
        Algorithm::Sha384 => Function::KmacHmacSha384,
        Algorithm::Sha512 => Function::KmacHmacSha512,
    }
}

/// A tag. It may be a derived key, so it is overwritten when dropped and shows nothing in `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Tag {
    bytes: [u8; MAX_LEN],
    len: usize,
}

impl AsRef<[u8]> for Tag {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tag").field("len", &self.len).finish_non_exhaustive()
    }
}

/// A key, set up once.
pub struct Key {
    algorithm: Algorithm,
    host: MacKey,
    /// The key as one block, for the portable implementation.
    block: Zeroizing<Block>,
}

/// A key of at most one block, padded with zeros: in words, which are overwritten in a few stores
/// where bytes would take 128.
type Block = [u128; HMAC_BLOCK_LEN / WORD_LEN];

const WORD_LEN: usize = size_of::<u128>();

impl Key {
    /// Sets up a key of any length.
    ///
    /// # Errors
    /// [`Error::Blocked`] if the function is blocked.
    pub fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, Error> {
        // Asks the gate only: setting up a key is not a call of the function.
        let _ = Call::begin(function(algorithm))?;
        Ok(Self::set_up(algorithm, key))
    }

    /// Sets up a key whatever the state of the function; signing then finds its own way.
    #[must_use]
    pub fn start(algorithm: Algorithm, key: &[u8]) -> Self {
        Self::set_up(algorithm, key)
    }

    fn set_up(algorithm: Algorithm, key: &[u8]) -> Self {
        let host = MacKey::new(algorithm, key);
        let mut block = Zeroizing::new(Block::default());
        if key.len() > algorithm.block_len() {
            let mut digest = Zeroizing::new([0; MAX_LEN]);
            let mut hasher = software::Hasher::new(algorithm);
            hasher.update(key);
            hasher.finish(&mut digest);
            fill(&mut block, &*digest);
        } else {
            fill(&mut block, key);
        }
        Self { algorithm, host, block }
    }

    /// The hash under this key.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The tag of the concatenation of `parts`.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> Tag {
        self.sign_with(parts, |bytes| {
            let mut tag = Tag { bytes: [0; MAX_LEN], len: bytes.len() };
            tag.bytes[..bytes.len()].copy_from_slice(bytes);
            tag
        })
    }

    /// Gives the tag of the concatenation of `parts` to `take`, without a copy of its own.
    pub fn sign_with<T>(&self, parts: &[&[u8]], take: impl FnOnce(&[u8]) -> T) -> T {
        let function = function(self.algorithm);
        let call = match Call::begin(function) {
            Ok(call) if !call.is_wrong() => call,
            // Refused, or broken on purpose: not worth a way of its own.
            _ => return take(self.sign_in_pieces(parts).as_ref()),
        };
        call.done(parts.iter().map(|part| part.len()).sum());
        self.host.sign(parts, take)
    }

    #[cold]
    fn sign_in_pieces(&self, parts: &[&[u8]]) -> Tag {
        let mut context = self.begin();
        for part in parts {
            context.update(part);
        }
        context.finish()
    }

    /// Begins a message that comes in pieces.
    #[must_use]
    pub fn begin(&self) -> Context {
        self.try_begin().unwrap_or_else(|_| {
            let mut block: Zeroizing<HmacBlock> = Zeroizing::new([0; HMAC_BLOCK_LEN]);
            for (bytes, word) in block.chunks_exact_mut(WORD_LEN).zip(self.block.iter()) {
                bytes.copy_from_slice(&word.to_ne_bytes());
            }
            let mac = software::Mac::new(self.algorithm, &block);
            Context { algorithm: self.algorithm, len: 0, inner: Inner::Software(mac) }
        })
    }

    /// The provider's half of [`begin`](Self::begin), which known-answer tests call.
    pub(crate) fn try_begin(&self) -> Result<Context, Error> {
        let call = Call::begin(function(self.algorithm))?;
        let mac = self.host.begin();
        Ok(Context { algorithm: self.algorithm, len: 0, inner: Inner::Host { mac, call } })
    }

    /// Compares the tag of `parts` with `tag`, in a time that does not depend on the difference.
    ///
    /// # Errors
    /// [`Error::Authentication`] if they differ, or if `tag` is cut short.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> Result<(), Error> {
        if hash::equal(self.sign(parts).as_ref(), tag) {
            Ok(())
        } else {
            Err(Error::Authentication { function: function(self.algorithm) })
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Puts `key`, at most a block long, to the front of `block`.
fn fill(block: &mut Block, key: &[u8]) {
    for (word, bytes) in block.iter_mut().zip(key.chunks(WORD_LEN)) {
        let mut padded = [0; WORD_LEN];
        padded[..bytes.len()].copy_from_slice(bytes);
        *word = u128::from_ne_bytes(padded);
    }
}

/// A message in progress.
pub struct Context {
    algorithm: Algorithm,
    len: usize,
    inner: Inner,
}

#[allow(clippy::large_enum_variant, reason = "lives on the stack; a box would cost an allocation")]
enum Inner {
    Host { mac: hash::Mac, call: Call },
    Software(software::Mac),
}

impl Context {
    /// Takes more of the message.
    pub fn update(&mut self, data: &[u8]) {
        self.len += data.len();
        match &mut self.inner {
            Inner::Host { mac, .. } => mac.update(data),
            Inner::Software(mac) => mac.update(data),
        }
    }

    /// Ends the message.
    #[must_use]
    pub fn finish(self) -> Tag {
        let mut tag = Tag { bytes: [0; MAX_LEN], len: self.algorithm.output_len() };
        match self.inner {
            Inner::Host { mac, call } => {
                mac.finish(&mut tag.bytes);
                call.corrupt(&mut tag.bytes);
                call.done(self.len);
            }
            Inner::Software(mac) => {
                mac.finish(&mut tag.bytes);
                stats::count(function(self.algorithm), Path::Software, self.len);
            }
        }
        tag
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
