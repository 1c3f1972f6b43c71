//! What a caller asks for and what it gets back.
//!
//! The words for failures are the hardware's (response codes, reply codes); turning them into
//! return and reason codes of a callable service is the engine's business, not ours.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest;

use crate::Key;
use crate::ap::Apqn;
pub use crate::zcrypt::error::{Cause, Failure};

/// Hash algorithms of signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// All of them.
    pub const ALL: [Hash; 3] = [Hash::Sha256, Hash::Sha384, Hash::Sha512];

    /// Length of a digest in bytes.
    #[allow(clippy::len_without_is_empty, reason = "a hash is not a collection")]
    pub fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Sha256 => 0,
            Self::Sha384 => 1,
            Self::Sha512 => 2,
        }
    }

    pub(crate) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// A digest of at most 64 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest {
    bytes: [u8; 64],
    len: u8,
}

impl Digest {
    /// A digest that was computed elsewhere; `None` if it is longer than 64 bytes.
    pub fn new(digest: &[u8]) -> Option<Self> {
        let mut bytes = [0; 64];
        bytes.get_mut(..digest.len())?.copy_from_slice(digest);
        Some(Self { bytes, len: u8::try_from(digest.len()).ok()? })
    }

    /// The form that aws-lc-rs signs and verifies; `None` if the length is not the hash's.
    pub(crate) fn import(&self, hash: Hash) -> Option<digest::Digest> {
        digest::Digest::import_less_safe(self.as_ref(), hash.algorithm()).ok()
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({} bytes)", self.len)
    }
}

/// A signature scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(Hash),
    /// RSASSA-PSS, MGF1 with the same hash, salt of the hash's length.
    RsaPss(Hash),
    /// ECDSA; the result is DER.
    Ecdsa(Hash),
}

impl Scheme {
    /// The hash of the scheme.
    pub fn hash(self) -> Hash {
        match self {
            Self::RsaPkcs1(hash) | Self::RsaPss(hash) | Self::Ecdsa(hash) => hash,
        }
    }

    /// Whether it is one of the RSA schemes.
    pub fn is_rsa(self) -> bool {
        !matches!(self, Self::Ecdsa(_))
    }
}

/// One signature to be made.
#[derive(Clone, Debug)]
pub struct SignRequest {
    /// The key.
    pub key: Key,
    /// The scheme.
    pub scheme: Scheme,
    /// Digest of what is signed, of the scheme's hash.
    pub digest: Digest,
    /// The padded block, as long as the modulus. An accelerator takes nothing else; without it
    /// only a coprocessor can do an RSA request.
    pub block: Option<Vec<u8>>,
}

impl SignRequest {
    /// A request without a block: for an RSA key only a coprocessor can do it.
    pub fn new(key: &Key, scheme: Scheme, digest: Digest) -> Self {
        Self { key: key.clone(), scheme, digest, block: None }
    }
}

/// The end of a request.
#[derive(Debug)]
pub struct Completion {
    /// What the caller gave with the request.
    pub token: u64,
    /// The signature, or why there is none.
    pub result: Result<Vec<u8>, Failure>,
    /// Where the time went.
    pub trace: Trace,
}

/// Where and at what cost a request was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Queue that gave the last reply or refusal.
    pub apqn: Option<Apqn>,
    /// Card or host.
    pub path: Path,
    /// From submission until a card began the last try.
    pub queue: Duration,
    /// From then until the reply was there.
    pub service: Duration,
    /// CPU time of the card's thread for the last try (host CPU for [`Path::Software`]).
    pub card_cpu: Duration,
    /// Tries on cards.
    pub tries: u8,
    /// Why the last retry was necessary, if there was one.
    pub last_cause: Option<Cause>,
}

/// Who did the private-key operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Path {
    /// A (simulated) card.
    #[default]
    Card,
    /// The host, because no card could and the configuration allows it.
    Software,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_at_most_64_bytes() {
        assert_eq!(Digest::new(&[7; 64]).unwrap().as_ref(), &[7; 64]);
        assert_eq!(Digest::new(&[7; 65]), None);
        let digest = Digest::new(&[1; 48]).unwrap();
        assert_eq!(digest.as_ref().len(), 48);
        assert!(digest.import(Hash::Sha384).is_some());
        assert!(digest.import(Hash::Sha256).is_none());
        assert_eq!(format!("{digest:?}"), "Digest(48 bytes)");
    }
}
