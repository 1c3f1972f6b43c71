//! Authenticated encryption of provider `host`.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::aead::{Algorithm, NONCE_LEN, TAG_LEN};
use crate::provider::Failed;

/// An expanded key. The library overwrites it when it is dropped.
pub(crate) struct Cipher(LessSafeKey);

impl Cipher {
    #[inline]
    pub(crate) fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, Failed> {
        let algorithm = match algorithm {
            Algorithm::Aes128Gcm => &aead::AES_128_GCM,
            Algorithm::Aes256Gcm => &aead::AES_256_GCM,
            Algorithm::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| Failed)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// On failure the library has overwritten `in_out` with zeros.
    #[inline]
    pub(crate) fn seal(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; TAG_LEN], Failed> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), in_out);
        tag.map_err(|_| Failed)?.as_ref().try_into().map_err(|_| Failed)
    }

    /// `out` takes `plaintext` encrypted; `trailer_and_tag` takes `trailer` encrypted and the tag.
    #[inline]
    pub(crate) fn seal_into(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        (plaintext, trailer): (&[u8], &[u8]),
        (out, trailer_and_tag): (&mut [u8], &mut [u8]),
    ) -> Result<(), Failed> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = Aad::from(aad);
        self.0
            .seal_out_of_place_scatter(nonce, aad, plaintext, out, trailer, trailer_and_tag)
            .map_err(|_| Failed)
    }

    #[inline]
    pub(crate) fn open<'a>(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        in_out: &'a mut [u8],
    ) -> Result<&'a mut [u8], Failed> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0.open_in_place(nonce, Aad::from(aad), in_out).map_err(|_| Failed)
    }

    /// `out` takes the plaintext of `ciphertext`; on failure the library has filled it with zeros.
    #[inline]
    pub(crate) fn open_into(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        (ciphertext, tag): (&[u8], &[u8]),
        out: &mut [u8],
    ) -> Result<(), Failed> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let aad = Aad::from(aad);
        self.0.open_separate_gather(nonce, aad, ciphertext, tag, out).map_err(|_| Failed)
    }
}
