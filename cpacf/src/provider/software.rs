//! The portable second implementation (RustCrypto) of the calls that must not fail.
//!
//! A record layer cannot go back when sealing fails, and a transcript hash or an HMAC has no way to
//! report a failure either. So these calls, and only these, have another implementation to fall
//! back to. It is slow to set up on purpose: a key is expanded at each call, because nothing is
//! spent on it while the provider works.

use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit};
use chacha20poly1305::ChaCha20Poly1305;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::aead::{Algorithm as Aead, NONCE_LEN, TAG_LEN};
use crate::digest::{Algorithm as Hash, MAX_LEN};
use crate::provider::Failed;

/// Fails only on a key of the wrong length and on a text of more than 64 GiB; `in_out` is then as
/// it was.
pub(crate) fn seal(
    algorithm: Aead,
    key: &[u8],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    in_out: &mut [u8],
) -> Result<[u8; TAG_LEN], Failed> {
    match algorithm {
        Aead::Aes128Gcm => seal_with::<Aes128Gcm>(key, nonce, aad, in_out),
        Aead::Aes256Gcm => seal_with::<Aes256Gcm>(key, nonce, aad, in_out),
        Aead::ChaCha20Poly1305 => seal_with::<ChaCha20Poly1305>(key, nonce, aad, in_out),
    }
}

fn seal_with<A: AeadInPlace + KeyInit>(
    key: &[u8],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    in_out: &mut [u8],
) -> Result<[u8; TAG_LEN], Failed> {
    let cipher = A::new_from_slice(key).map_err(|_| Failed)?;
    let nonce = aes_gcm::aead::Nonce::<A>::from_slice(nonce);
    let tag = cipher.encrypt_in_place_detached(nonce, aad, in_out).map_err(|_| Failed)?;
    tag.as_slice().try_into().map_err(|_| Failed)
}

/// A digest in progress.
#[derive(Clone)]
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    pub(crate) fn new(algorithm: Hash) -> Self {
        match algorithm {
            Hash::Sha256 => Self::Sha256(Sha256::new()),
            Hash::Sha384 => Self::Sha384(Sha384::new()),
            Hash::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(data),
            Self::Sha384(hash) => hash.update(data),
            Self::Sha512(hash) => hash.update(data),
        }
    }

    /// Writes the digest to the front of `out`.
    pub(crate) fn finish(self, out: &mut [u8; MAX_LEN]) {
        match self {
            Self::Sha256(hash) => out[..32].copy_from_slice(&hash.finalize()),
            Self::Sha384(hash) => out[..48].copy_from_slice(&hash.finalize()),
            Self::Sha512(hash) => out.copy_from_slice(&hash.finalize()),
        }
    }
}

/// An HMAC in progress.
pub(crate) enum Mac {
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl Mac {
    /// `key` is at most one block of the hash; a longer one has been digested before.
    pub(crate) fn new(algorithm: Hash, key: &HmacBlock) -> Self {
        match algorithm {
            Hash::Sha256 => Self::Sha256(hmac::Mac::new(key[..64].into())),
            Hash::Sha384 => Self::Sha384(hmac::Mac::new(key.into())),
            Hash::Sha512 => Self::Sha512(hmac::Mac::new(key.into())),
        }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            Self::Sha256(mac) => mac.update(data),
            Self::Sha384(mac) => mac.update(data),
            Self::Sha512(mac) => mac.update(data),
        }
    }

    /// Writes the tag to the front of `out`.
    pub(crate) fn finish(self, out: &mut [u8; MAX_LEN]) {
        match self {
            Self::Sha256(mac) => out[..32].copy_from_slice(&mac.finalize().into_bytes()),
            Self::Sha384(mac) => out[..48].copy_from_slice(&mac.finalize().into_bytes()),
            Self::Sha512(mac) => out.copy_from_slice(&mac.finalize().into_bytes()),
        }
    }
}

/// A key padded with zeros to the longest block of a hash; SHA-256 uses the first 64 bytes.
pub(crate) type HmacBlock = [u8; HMAC_BLOCK_LEN];

/// Bytes of the longest block of a hash.
pub(crate) const HMAC_BLOCK_LEN: usize = 128;
