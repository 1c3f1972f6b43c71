//! HKDF (TLS 1.3) and the PRF (TLS 1.2), both over cpacf's HMAC.
//!
//! rustls offers both on top of an `Hmac`. Its PRF serves; HKDF is here, because the key schedule
//! of TLS 1.3 expands some twenty times and a key that knows it is for that spares boxes, copies
//! and set-ups. Every step is a call of the counted function.
//!
//! Source: RFC 5869, RFC 8446 §7.1; RFC 5246 §5.

use cpacf::digest::{Algorithm, MAX_LEN};
use cpacf::hmac::Key;
use rustls::crypto::hmac::Tag;
use rustls::crypto::tls12::PrfUsingHmac;
use rustls::crypto::tls13::{Hkdf, HkdfExpander, OkmBlock, OutputLengthError};

use super::hmac;

pub(super) static HKDF_SHA256: HkdfSha = HkdfSha(Algorithm::Sha256);
pub(super) static HKDF_SHA384: HkdfSha = HkdfSha(Algorithm::Sha384);
pub(super) static PRF_SHA256: PrfUsingHmac<'static> = PrfUsingHmac(&hmac::SHA256);
pub(super) static PRF_SHA384: PrfUsingHmac<'static> = PrfUsingHmac(&hmac::SHA384);

/// HKDF with one hash function.
#[derive(Debug)]
pub(super) struct HkdfSha(Algorithm);

impl Hkdf for HkdfSha {
    fn extract_from_zero_ikm(&self, salt: Option<&[u8]>) -> Box<dyn HkdfExpander> {
        self.extract_from_secret(salt, &[0; MAX_LEN][..self.0.output_len()])
    }

    fn extract_from_secret(&self, salt: Option<&[u8]>, secret: &[u8]) -> Box<dyn HkdfExpander> {
        let zeros = [0; MAX_LEN];
        let salt = salt.unwrap_or(&zeros[..self.0.output_len()]);
        let key = Key::start(self.0, salt).sign_with(&[secret], |prk| Key::start(self.0, prk));
        Box::new(Expander(key))
    }

    fn expander_for_okm(&self, okm: &OkmBlock) -> Box<dyn HkdfExpander> {
        Box::new(Expander(Key::start(self.0, okm.as_ref())))
    }

    fn hmac_sign(&self, key: &OkmBlock, message: &[u8]) -> Tag {
        Key::start(self.0, key.as_ref()).sign_with(&[message], Tag::new)
    }
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
