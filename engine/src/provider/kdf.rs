//! HKDF (TLS 1.3) and the PRF (TLS 1.2), both over cpacf's HMAC.
//!
//! rustls offers both on top of an `Hmac`. Its PRF serves; HKDF is here, because the key schedule
//! of TLS 1.3 expands some twenty times and a key that knows it is for that spares boxes, copies
//! and set-ups. Every step is a call of the counted function, but what every full handshake begins
//! with: it is the same each time, so it is computed once.
//!
//! Source: RFC 5869, RFC 8446 §7.1; RFC 5246 §5.

use std::sync::{Arc, OnceLock};

use cpacf::digest::{Algorithm, MAX_LEN};
use cpacf::hmac::Key;
use rustls::crypto::hmac::Tag;
use rustls::crypto::tls12::PrfUsingHmac;
use rustls::crypto::tls13::{Hkdf, HkdfExpander, OkmBlock, OutputLengthError};

use super::hmac;

pub(super) static HKDF_SHA256: HkdfSha =
    HkdfSha { algorithm: Algorithm::Sha256, beginning: OnceLock::new() };
pub(super) static HKDF_SHA384: HkdfSha =
    HkdfSha { algorithm: Algorithm::Sha384, beginning: OnceLock::new() };
pub(super) static PRF_SHA256: PrfUsingHmac<'static> = PrfUsingHmac(&hmac::SHA256);
pub(super) static PRF_SHA384: PrfUsingHmac<'static> = PrfUsingHmac(&hmac::SHA384);

/// HKDF with one hash function.
pub(super) struct HkdfSha {
    algorithm: Algorithm,
    beginning: OnceLock<Arc<Beginning>>,
}

impl HkdfSha {
    fn extract(&self, salt: &[u8], secret: &[u8]) -> Key {
        let key = Key::start(self.algorithm, salt);
        key.sign_with(&[secret], |prk| Key::start(self.algorithm, prk))
    }
}

impl Hkdf for HkdfSha {
    fn extract_from_zero_ikm(&self, salt: Option<&[u8]>) -> Box<dyn HkdfExpander> {
        let zeros = &[0; MAX_LEN][..self.algorithm.output_len()];
        match salt {
            Some(salt) => Box::new(Expander(self.extract(salt, zeros))),
            None => Box::new(Early(Arc::clone(self.beginning.get_or_init(|| {
                let early_secret = self.extract(zeros, zeros);
                Arc::new(Beginning { early_secret, derived: OnceLock::new() })
            })))),
        }
    }

    fn extract_from_secret(&self, salt: Option<&[u8]>, secret: &[u8]) -> Box<dyn HkdfExpander> {
        let zeros = [0; MAX_LEN];
        let salt = salt.unwrap_or(&zeros[..self.algorithm.output_len()]);
        Box::new(Expander(self.extract(salt, secret)))
    }

    fn expander_for_okm(&self, okm: &OkmBlock) -> Box<dyn HkdfExpander> {
        Box::new(Expander(Key::start(self.algorithm, okm.as_ref())))
    }

    fn hmac_sign(&self, key: &OkmBlock, message: &[u8]) -> Tag {
        Key::start(self.algorithm, key.as_ref()).sign_with(&[message], Tag::new)
    }
}

/// What the key schedule begins with where there is no PSK (RFC 8446 §7.1): no secret at all.
struct Beginning {
    early_secret: Key,
    /// The block that was first asked for, by its info.
    derived: OnceLock<(Vec<u8>, OkmBlock)>,
}

/// The early secret of a handshake without a PSK.
struct Early(Arc<Beginning>);

impl HkdfExpander for Early {
    fn expand_slice(&self, info: &[&[u8]], output: &mut [u8]) -> Result<(), OutputLengthError> {
        self.0.early_secret.expand(info, output).map_err(|_| OutputLengthError)
    }

    fn expand_block(&self, info: &[&[u8]]) -> OkmBlock {
        let block = || self.0.early_secret.first_block_with(info, OkmBlock::new);
        let (asked, derived) = self.0.derived.get_or_init(|| (info.concat(), block()));
        if is_concatenation(asked, info) { derived.clone() } else { block() }
    }

    fn hash_len(&self) -> usize {
        self.0.early_secret.algorithm().output_len()
    }
}

/// Whether `parts` put together are `whole`.
fn is_concatenation(whole: &[u8], parts: &[&[u8]]) -> bool {
    let rest = parts.iter().try_fold(whole, |rest, part| rest.strip_prefix(*part));
    rest.is_some_and(<[u8]>::is_empty)
}

/// A pseudorandom key.
struct Expander(Key);

impl HkdfExpander for Expander {
    fn expand_slice(&self, info: &[&[u8]], output: &mut [u8]) -> Result<(), OutputLengthError> {
        self.0.expand(info, output).map_err(|_| OutputLengthError)
    }

    fn expand_block(&self, info: &[&[u8]]) -> OkmBlock {
        self.0.first_block_with(info, OkmBlock::new)
    }

    fn hash_len(&self) -> usize {
        self.0.algorithm().output_len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_computed_once_is_what_would_be_computed_each_time() {
        for hkdf in [&HKDF_SHA256, &HKDF_SHA384] {
            let zeros = &[0; MAX_LEN][..hkdf.algorithm.output_len()];
            let (once, each) =
                (hkdf.extract_from_zero_ikm(None), hkdf.extract_from_secret(Some(zeros), zeros));
            assert_eq!(once.hash_len(), each.hash_len());
            let infos: [&[&[u8]]; 5] =
                [&[b"der", b"ived"], &[b"derived"], &[b"der"], &[b"other"], &[]];
            for info in infos {
                assert_eq!(once.expand_block(info).as_ref(), each.expand_block(info).as_ref());
                let mut slices = [[0; 100]; 2];
                for (expander, slice) in [&once, &each].into_iter().zip(&mut slices) {
                    assert!(expander.expand_slice(info, slice).is_ok());
                }
                assert_eq!(slices[0], slices[1]);
            }
        }
    }

    #[test]
    fn the_early_secret_is_that_of_rfc_8448() {
        // Section 3: "derived" of the early secret, with the hash of nothing.
        let hash = cpacf::digest::digest(Algorithm::Sha256, b"").unwrap();
        let info = [&[0, 32, 13][..], b"tls13 derived", &[32], hash.as_ref()];
        let derived = HKDF_SHA256.extract_from_zero_ikm(None).expand_block(&info);
        let expected = [
            0x6f, 0x26, 0x15, 0xa1, 0x08, 0xc7, 0x02, 0xc5, 0x67, 0x8f, 0x54, 0xfc, 0x9d, 0xba,
            0xb6, 0x97, 0x16, 0xc0, 0x76, 0x18, 0x9c, 0x48, 0x25, 0x0c, 0xeb, 0xea, 0xc3, 0x57,
            0x6c, 0x36, 0x11, 0xba,
        ];
        assert_eq!(derived.as_ref(), expected);
    }
}
