//! Verification of signatures: KDSA for ECDSA and Ed25519; RSA in software, since CPACF has none.
//!
//! The bytes of the message go in, not a digest: the hash is part of the algorithm. RSA keys have
//! 2048 to 8192 bits; PSS has MGF1 with the same hash and a salt as long as the digest.
//!
//! Keys, messages and signatures come from a peer and may be anything: no input panics.
//!
//! Source: FIPS 186-5; RFC 8017; RFC 8446 section 4.2.3; Principles of Operation, "Compute Digital
//! Signature Authentication".

use crate::dispatch::Call;
use crate::provider::host::signature::{self, Rejected};
use crate::{Error, Function};

/// Key type, padding and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each name says it all: key type, padding or curve, hash")]
pub enum Algorithm {
    RsaPkcs1Sha256,
    RsaPkcs1Sha384,
    RsaPkcs1Sha512,
    RsaPssSha256,
    RsaPssSha384,
    RsaPssSha512,
    EcdsaP256Sha256,
    EcdsaP256Sha384,
    EcdsaP256Sha512,
    EcdsaP384Sha256,
    EcdsaP384Sha384,
    EcdsaP384Sha512,
    EcdsaP521Sha256,
    EcdsaP521Sha384,
    EcdsaP521Sha512,
    Ed25519,
}

impl Algorithm {
    /// The function that does the work.
    #[must_use]
    pub const fn function(self) -> Function {
        match self {
            Self::RsaPkcs1Sha256 | Self::RsaPkcs1Sha384 | Self::RsaPkcs1Sha512 => {
                Function::RsaPkcs1Verify
            }
            Self::RsaPssSha256 | Self::RsaPssSha384 | Self::RsaPssSha512 => Function::RsaPssVerify,
            Self::EcdsaP256Sha256 | Self::EcdsaP256Sha384 | Self::EcdsaP256Sha512 => {
                Function::KdsaEcdsaVerifyP256
            }
            Self::EcdsaP384Sha256 | Self::EcdsaP384Sha384 | Self::EcdsaP384Sha512 => {
                Function::KdsaEcdsaVerifyP384
            }
            Self::EcdsaP521Sha256 | Self::EcdsaP521Sha384 | Self::EcdsaP521Sha512 => {
                Function::KdsaEcdsaVerifyP521
            }
            Self::Ed25519 => Function::KdsaEddsaVerifyEd25519,
        }
    }

    /// The length of a public key where the algorithm fixes it: an uncompressed point, or
    /// Ed25519's.
    const fn public_key_len(self) -> Option<usize> {
        match self.function() {
            Function::KdsaEcdsaVerifyP256 => Some(65),
            Function::KdsaEcdsaVerifyP384 => Some(97),
            Function::KdsaEcdsaVerifyP521 => Some(133),
            Function::KdsaEddsaVerifyEd25519 => Some(32),
            _ => None,
        }
    }
}

/// Verifies `signature` over `message`.
///
/// `public_key` is what the BIT STRING of a SubjectPublicKeyInfo holds: an uncompressed point, the
/// DER of an RSAPublicKey, or the 32 bytes of Ed25519. An ECDSA signature is DER.
///
/// # Errors
/// [`Error::Authentication`] if the signature is not one of this key over this message;
/// [`Error::InvalidKey`] or [`Error::Length`] if there is no usable key; [`Error::Blocked`] if the
/// function is blocked.
pub fn verify(
    algorithm: Algorithm,
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), Error> {
    let function = algorithm.function();
    let call = Call::begin(function)?;
    check_form(algorithm, public_key)?;
    let verdict = signature::verify(algorithm, public_key, message, signature);
    call.done(message.len());
    match verdict {
        Ok(()) if call.is_wrong() => Err(Error::Authentication { function }),
        Ok(()) => Ok(()),
        Err(Rejected::Signature) if call.is_wrong() => Ok(()),
        Err(Rejected::Signature) => Err(Error::Authentication { function }),
        Err(Rejected::Key) => {
            Err(Error::InvalidKey { function, reason: "not a public key of this algorithm" })
        }
    }
}

/// Refuses what the library would take beyond an uncompressed point: other forms of a point, and a
/// whole SubjectPublicKeyInfo.
fn check_form(algorithm: Algorithm, public_key: &[u8]) -> Result<(), Error> {
    let function = algorithm.function();
    let Some(expected) = algorithm.public_key_len() else { return Ok(()) };
    let actual = public_key.len();
    if actual != expected {
        return Err(Error::Length { function, what: "public key", expected, actual });
    }
    if algorithm != Algorithm::Ed25519 && public_key.first() != Some(&4) {
        return Err(Error::InvalidKey { function, reason: "not an uncompressed point" });
    }
    Ok(())
}
