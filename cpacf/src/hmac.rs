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
use std::sync::OnceLock;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::digest::{Algorithm, MAX_LEN};
use crate::dispatch::Call;
use crate::provider::host::hash::{self, MacKey};
use crate::provider::software::{self, HMAC_BLOCK_LEN, HmacBlock};
use crate::stats::{self, Path};
use crate::{Error, Function, module};

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

impl Tag {
    fn new(bytes: &[u8]) -> Self {
        let mut tag = Self { bytes: [0; MAX_LEN], len: bytes.len() };
        tag.bytes[..bytes.len()].copy_from_slice(bytes);
        tag
    }
}

/// A key, set up once, when it is first used to sign.
pub struct Key {
    algorithm: Algorithm,
    host: OnceLock<MacKey>,
    /// The key as one block, for setting it up and for the portable implementation.
    block: Zeroizing<Block>,
}

/// A key of at most one block, padded with zeros: in words, which are overwritten in a few stores
/// where bytes would take 128.
type Block = [u128; HMAC_BLOCK_LEN / WORD_LEN];

const WORD_LEN: usize = size_of::<u128>();

/// The info of HKDF-Expand in TLS 1.3 is shorter: two lengths, a label, a hash.
const MAX_INFO: usize = 128;

/// The number of the first block of HKDF-Expand, which is the end of its message.
const FIRST: u8 = 1;

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
        let mut block = Zeroizing::new(Block::default());
        if key.len() > algorithm.block_len() {
            let mut digest = Zeroizing::new([0; MAX_LEN]);
            hash::digest(algorithm, key, &mut digest);
            fill(&mut block, &*digest);
        } else {
            fill(&mut block, key);
        }
        Self { algorithm, host: OnceLock::new(), block }
    }

    /// The hash under this key.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The tag of the concatenation of `parts`.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> Tag {
        self.sign_with(parts, Tag::new)
    }

    /// Gives the tag of the concatenation of `parts` to `take`, without a copy of its own.
    pub fn sign_with<T>(&self, parts: &[&[u8]], take: impl FnOnce(&[u8]) -> T) -> T {
        let Some(call) = self.sound_call() else {
            return take(self.sign_in_pieces(parts.iter()).as_ref());
        };
        call.done(parts.iter().map(|part| part.len()).sum());
        self.host().sign(parts, take)
    }

    /// Fills `out` by HKDF-Expand (RFC 5869 section 2.3) with this key. Each block counts as the
    /// signature that it is.
    ///
    /// # Errors
    /// [`Error::Length`] if `out` is longer than 255 digests.
    #[inline]
    pub fn expand(&self, info: &[&[u8]], out: &mut [u8]) -> Result<(), Error> {
        let len = self.algorithm.output_len();
        if out.len() <= len {
            self.first_block_with(info, |block| out.copy_from_slice(&block[..out.len()]));
            return Ok(());
        }
        let (function, expected, actual) = (function(self.algorithm), 255 * len, out.len());
        if actual > expected {
            return Err(Error::Length { function, what: "output", expected, actual });
        }
        let mut previous: Option<Tag> = None;
        for (block, number) in out.chunks_mut(len).zip(FIRST..=255) {
            let tag = match &previous {
                None => self.first_block_with(info, Tag::new),
                Some(previous) => {
                    let mut mac = self.begin();
                    mac.update(previous.as_ref());
                    info.iter().for_each(|part| mac.update(part));
                    mac.update(&[number]);
                    mac.finish()
                }
            };
            block.copy_from_slice(&tag.as_ref()[..block.len()]);
            previous = Some(tag);
        }
        Ok(())
    }

    /// Gives the first block of HKDF-Expand, which is the tag of the concatenation of `info` and
    /// the byte 1, to `take`.
    #[inline]
    pub fn first_block_with<T>(&self, info: &[&[u8]], take: impl FnOnce(&[u8]) -> T) -> T {
        let Some(call) = self.sound_call() else {
            return take(self.sign_in_pieces(info.iter().chain([&&[FIRST][..]])).as_ref());
        };
        call.done(info.iter().map(|part| part.len()).sum::<usize>() + 1);
        // In one piece: one call into the library instead of one per piece.
        let mut message = [0; MAX_INFO];
        match concat(info, &mut message) {
            Some(message) => self.host().sign(&[message], take),
            None => self.host().sign(&[&info.concat(), &[FIRST]], take),
        }
    }

    /// Permission for a call; none if the function refuses, or is broken on purpose, which is not
    /// worth a way of its own.
    fn sound_call(&self) -> Option<Call> {
        Call::begin(function(self.algorithm)).ok().filter(|call| !call.is_wrong())
    }

    fn host(&self) -> &MacKey {
        self.host.get_or_init(|| MacKey::new(self.algorithm, &self.bytes()))
    }

    /// The key, padded to a block.
    fn bytes(&self) -> Zeroizing<HmacBlock> {
        let mut bytes = Zeroizing::new([0; HMAC_BLOCK_LEN]);
        for (bytes, word) in bytes.chunks_exact_mut(WORD_LEN).zip(self.block.iter()) {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    #[cold]
    fn sign_in_pieces<'a>(&self, parts: impl Iterator<Item = &'a &'a [u8]>) -> Tag {
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
            let inner = if module::is_alone() {
                let call = Call::ungated(function(self.algorithm));
                Inner::Host { mac: self.host().begin(), call }
            } else {
                Inner::Software(software::Mac::new(self.algorithm, &self.bytes()))
            };
            Context { algorithm: self.algorithm, len: 0, inner }
        })
    }

    /// The provider's half of [`begin`](Self::begin), which known-answer tests call.
    pub(crate) fn try_begin(&self) -> Result<Context, Error> {
        let call = Call::begin(function(self.algorithm))?;
        let mac = self.host().begin();
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

/// Puts `info` and the number of the first block to the front of `message`; none without room.
fn concat<'a>(info: &[&[u8]], message: &'a mut [u8; MAX_INFO]) -> Option<&'a [u8]> {
    let mut used = 0;
    for part in info.iter().chain([&&[FIRST][..]]) {
        message.get_mut(used..used + part.len())?.copy_from_slice(part);
        used += part.len();
    }
    message.get(..used)
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
