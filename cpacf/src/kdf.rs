//! Key derivation over HMAC: HKDF (TLS 1.3) and the pseudorandom function of TLS 1.2.
//!
//! CPACF has neither. The few lines of each are software, and counted so by the bytes they derive;
//! the HMAC calls below them are KMAC and have rows of their own. Nothing is allocated.
//!
//! Source: RFC 5869 (HKDF); RFC 5246 section 5 (PRF), hashes of RFC 5288 and RFC 5487.

use core::fmt;

use crate::digest::{Algorithm, MAX_LEN};
use crate::dispatch::Call;
use crate::hmac::{Key, Tag};
use crate::{Error, Function};

const fn hkdf_function(algorithm: Algorithm) -> Function {
    match algorithm {
        Algorithm::Sha256 => Function::HkdfSha256,
        Algorithm::Sha384 => Function::HkdfSha384,
        Algorithm::Sha512 => Function::HkdfSha512,
    }
}

const fn prf_function(algorithm: Algorithm) -> Function {
    match algorithm {
        Algorithm::Sha256 => Function::Tls12PrfSha256,
        Algorithm::Sha384 => Function::Tls12PrfSha384,
        Algorithm::Sha512 => Function::Tls12PrfSha512,
    }
}

/// HKDF-Extract: concentrates `ikm` into a pseudorandom key. No salt means a block of zeros.
///
/// # Errors
/// [`Error::Blocked`] if HKDF is blocked.
pub fn hkdf_extract(algorithm: Algorithm, salt: Option<&[u8]>, ikm: &[u8]) -> Result<Prk, Error> {
    let call = Call::begin(hkdf_function(algorithm))?;
    let zeros = [0; MAX_LEN];
    let salt = salt.unwrap_or(&zeros[..algorithm.output_len()]);
    let prk = Key::start(algorithm, salt).sign(&[ikm]);
    call.done(algorithm.output_len());
    Ok(Prk { key: Key::start(algorithm, prk.as_ref()) })
}

/// A pseudorandom key, from which keys are expanded.
pub struct Prk {
    key: Key,
}

impl Prk {
    /// Takes bytes that already are a pseudorandom key, as the secrets of the TLS 1.3 key schedule.
    ///
    /// # Errors
    /// [`Error::Length`] if there are fewer bytes than a digest has; [`Error::Blocked`] if HKDF is
    /// blocked.
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, Error> {
        let function = hkdf_function(algorithm);
        // Asks the gate only: taking a key is not a call of the function.
        let _ = Call::begin(function)?;
        let (expected, actual) = (algorithm.output_len(), bytes.len());
        if actual < expected {
            return Err(Error::Length { function, what: "pseudorandom key", expected, actual });
        }
        Ok(Self { key: Key::start(algorithm, bytes) })
    }

    /// The hash under this key.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// HKDF-Expand: fills `out` for the concatenation of `info`.
    ///
    /// # Errors
    /// [`Error::Length`] if `out` is longer than 255 digests; [`Error::Blocked`] if HKDF
    /// is blocked.
    pub fn expand(&self, info: &[&[u8]], out: &mut [u8]) -> Result<(), Error> {
        let function = hkdf_function(self.algorithm());
        let call = Call::begin(function)?;
        let (expected, actual) = (255 * self.algorithm().output_len(), out.len());
        if actual > expected {
            return Err(Error::Length { function, what: "output", expected, actual });
        }
        self.key.expand(info, out)?;
        call.corrupt(out);
        call.done(out.len());
        Ok(())
    }
}

impl fmt::Debug for Prk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prk").field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}

/// The TLS 1.2 PRF: fills `out` from `secret`, `label` and the concatenation of `seed`.
///
/// # Errors
/// [`Error::Blocked`] if the function is blocked.
pub fn tls12_prf(
    algorithm: Algorithm,
    secret: &[u8],
    label: &[u8],
    seed: &[&[u8]],
    out: &mut [u8],
) -> Result<(), Error> {
    let call = Call::begin(prf_function(algorithm))?;
    let key = Key::start(algorithm, secret);
    let sign = |front: Option<&Tag>, with_seed: bool| {
        let mut mac = key.begin();
        if let Some(tag) = front {
            mac.update(tag.as_ref());
        }
        if with_seed {
            mac.update(label);
            seed.iter().for_each(|part| mac.update(part));
        }
        mac.finish()
    };
    // A(1) = HMAC(secret, label + seed); A(i) = HMAC(secret, A(i-1)).
    let mut a = sign(None, true);
    for block in out.chunks_mut(algorithm.output_len()) {
        let tag = sign(Some(&a), true);
        block.copy_from_slice(&tag.as_ref()[..block.len()]);
        a = sign(Some(&a), false);
    }
    call.corrupt(out);
    call.done(out.len());
    Ok(())
}
