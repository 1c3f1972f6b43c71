//! SHA-256, SHA-384 and SHA-512: KIMD while data comes, KLMD for the last block.
//!
//! [`digest()`] is one KLMD call. A [`Context`] is one KIMD call per update and one KLMD call to
//! finish, and is counted so; bytes stand with the call that brought them.
//!
//! A context cannot fail once it exists. If the function is blocked later, it still finishes with
//! the provider it began with. A caller who cannot take a refusal at all (a TLS transcript) begins
//! with [`Context::start`], which falls back to the portable implementation.
//!
//! Source: FIPS 180-4; Principles of Operation, "Compute Intermediate/Last Message Digest".

use core::fmt;

use crate::dispatch::Call;
use crate::provider::{host, software};
use crate::stats::{self, Path};
use crate::{Error, Function, module};

/// The longest digest, SHA-512.
pub const MAX_LEN: usize = 64;

/// The hash functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Bytes of a digest.
    #[must_use]
    pub const fn output_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Bytes of a block of the compression function.
    #[must_use]
    pub const fn block_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 | Self::Sha512 => 128,
        }
    }

    /// The function that takes data: KIMD.
    #[must_use]
    pub const fn intermediate(self) -> Function {
        match self {
            Self::Sha256 => Function::KimdSha256,
            Self::Sha384 => Function::KimdSha384,
            Self::Sha512 => Function::KimdSha512,
        }
    }

    /// The function that finishes: KLMD.
    #[must_use]
    pub const fn last(self) -> Function {
        match self {
            Self::Sha256 => Function::KlmdSha256,
            Self::Sha384 => Function::KlmdSha384,
            Self::Sha512 => Function::KlmdSha512,
        }
    }
}

/// A finished digest.
#[derive(Clone, Copy)]
pub struct Digest {
    bytes: [u8; MAX_LEN],
    algorithm: Algorithm,
}

impl Digest {
    /// The algorithm that made it.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.algorithm.output_len()]
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:", self.algorithm)?;
        self.as_ref().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Digests `data` in one call.
///
/// # Errors
/// [`Error::Blocked`] if the function is blocked.
pub fn digest(algorithm: Algorithm, data: &[u8]) -> Result<Digest, Error> {
    let call = Call::begin(algorithm.last())?;
    let mut bytes = [0; MAX_LEN];
    host::hash::digest(algorithm, data, &mut bytes);
    call.corrupt(&mut bytes);
    call.done(data.len());
    Ok(Digest { bytes, algorithm })
}

/// A digest in progress; a clone continues from the same point.
#[derive(Clone)]
pub struct Context {
    algorithm: Algorithm,
    inner: Inner,
}

#[derive(Clone)]
enum Inner {
    Host { hasher: host::hash::Hasher, intermediate: Call, last: Call },
    Software(Box<software::Hasher>),
}

impl Context {
    /// Begins a digest.
    ///
    /// # Errors
    /// [`Error::Blocked`] if KIMD or KLMD is blocked for this algorithm.
    pub fn new(algorithm: Algorithm) -> Result<Self, Error> {
        let intermediate = Call::begin(algorithm.intermediate())?;
        let last = Call::begin(algorithm.last())?;
        let hasher = host::hash::Hasher::new(algorithm);
        Ok(Self { algorithm, inner: Inner::Host { hasher, intermediate, last } })
    }

    /// Begins a digest, in software if the function refuses; in the module all the same, where it
    /// computes alone.
    #[must_use]
    pub fn start(algorithm: Algorithm) -> Self {
        Self::new(algorithm).unwrap_or_else(|_| {
            let inner = if module::is_alone() {
                Inner::Host {
                    hasher: host::hash::Hasher::new(algorithm),
                    intermediate: Call::ungated(algorithm.intermediate()),
                    last: Call::ungated(algorithm.last()),
                }
            } else {
                Inner::Software(Box::new(software::Hasher::new(algorithm)))
            };
            Self { algorithm, inner }
        })
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Takes more of the message.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.inner {
            Inner::Host { hasher, intermediate, .. } => {
                hasher.update(data);
                if intermediate.is_wrong() {
                    hasher.update(&[0]);
                }
                intermediate.done(data.len());
            }
            Inner::Software(hasher) => {
                hasher.update(data);
                stats::count(self.algorithm.intermediate(), Path::Software, data.len());
            }
        }
    }

    /// Ends the message.
    #[must_use]
    pub fn finish(self) -> Digest {
        let mut bytes = [0; MAX_LEN];
        match self.inner {
            Inner::Host { hasher, last, .. } => {
                hasher.finish(&mut bytes);
                last.corrupt(&mut bytes);
                last.done(0);
            }
            Inner::Software(hasher) => {
                hasher.finish(&mut bytes);
                stats::count(self.algorithm.last(), Path::Software, 0);
            }
        }
        Digest { bytes, algorithm: self.algorithm }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
