//! ECDSA with a protected key: KDSA-ECDSA-Sign (protected).
//!
//! On the machine a protected key is a private key encrypted under a wrapping key that programs
//! never see; the instruction unwraps it internally. Provider `host` has no such key: here
//! *protected* means opaque, held inside the library, never given back, overwritten when dropped.
//! It is loaded only when the routing table sends ECDSA to cpacf (`ecdsa = "cpacf"`); otherwise
//! such keys live in a card.
//!
//! The hash follows the curve: SHA-256 for P-256, SHA-384 for P-384, SHA-512 for P-521, as the
//! signature schemes of TLS 1.3 pair them. Every signature has fresh randomness.
//!
//! Source: FIPS 186-5; RFC 5480, 5915, 5958; Principles of Operation, "Compute Digital Signature
//! Authentication".

use core::fmt;

use zeroize::Zeroizing;

use crate::dispatch::Call;
use crate::provider::host::signature::SigningKey;
use crate::{ConditionCode, Error, Function};

/// The curves of a protected key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// NIST P-256 (secp256r1).
    P256,
    /// NIST P-384 (secp384r1).
    P384,
    /// NIST P-521 (secp521r1).
    P521,
}

impl Curve {
    /// Every curve.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The function that signs.
    #[must_use]
    pub const fn function(self) -> Function {
        match self {
            Self::P256 => Function::KdsaEcdsaSignP256,
            Self::P384 => Function::KdsaEcdsaSignP384,
            Self::P521 => Function::KdsaEcdsaSignP521,
        }
    }
}

/// A private key that can be used but not read.
pub struct ProtectedKey {
    curve: Curve,
    key: SigningKey,
}

impl ProtectedKey {
    /// Loads a PKCS #8 or SEC 1 private key; its curve is found in it. `der` is overwritten.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] if it is no ECDSA key on a known curve; [`Error::Blocked`] if signing
    /// on that curve is blocked.
    // Taken by value so that the caller is left without a copy.
    #[allow(clippy::needless_pass_by_value, reason = "ends the life of the caller's key bytes")]
    pub fn load(der: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        for curve in Curve::ALL {
            if let Ok(key) = SigningKey::from_der(curve, &der) {
                // Asks the gate only: loading a key is not a call of the function.
                let _ = Call::begin(curve.function())?;
                return Ok(Self { curve, key });
            }
        }
        let function = Curve::P256.function();
        let reason = "no PKCS #8 or SEC 1 private key on P-256, P-384 or P-521";
        Err(Error::InvalidKey { function, reason })
    }

    /// Takes a known scalar with its point, for known-answer tests.
    pub(crate) fn import(curve: Curve, scalar: &[u8], point: &[u8]) -> Result<Self, Error> {
        let function = curve.function();
        let key = SigningKey::import(curve, scalar, point)
            .map_err(|_| Error::InvalidKey { function, reason: "scalar and point do not match" })?;
        Ok(Self { curve, key })
    }

    /// The curve.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        self.curve
    }

    /// The public key as SubjectPublicKeyInfo DER.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        self.key.public_der()
    }

    /// Digests `message` with the hash of the curve and signs it; the signature is DER.
    ///
    /// # Errors
    /// [`Error::ConditionCode`] if no random data can be had; [`Error::Blocked`] if the function is
    /// blocked.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let function = self.curve.function();
        let call = Call::begin(function)?;
        let signature = self.key.sign(message);
        call.done(message.len());
        let mut signature =
            signature.map_err(|_| Error::ConditionCode { function, cc: ConditionCode::Two })?;
        if call.is_wrong()
            && let Some(last) = signature.last_mut()
        {
            *last ^= 0x01;
        }
        Ok(signature)
    }
}

impl fmt::Debug for ProtectedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedKey").field("curve", &self.curve).finish_non_exhaustive()
    }
}
