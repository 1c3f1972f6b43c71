//! Key agreement of provider `host`: scalar multiplication and ML-KEM-768.

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::kem::{self, DecapsulationKey, EncapsulationKey};
use zeroize::Zeroizing;

use crate::provider::Failed;

/// The curves of PCC-Scalar-Multiply that TLS uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
    X25519,
}

impl Curve {
    const fn algorithm(self) -> &'static agreement::Algorithm {
        match self {
            Self::P256 => &agreement::ECDH_P256,
            Self::P384 => &agreement::ECDH_P384,
            Self::P521 => &agreement::ECDH_P521,
            Self::X25519 => &agreement::X25519,
        }
    }
}

/// A private scalar. The library overwrites it when it is dropped.
pub(crate) struct Scalar(PrivateKey);

impl Scalar {
    pub(crate) fn generate(curve: Curve) -> Result<Self, Failed> {
        PrivateKey::generate(curve.algorithm()).map(Self).map_err(|_| Failed)
    }

    pub(crate) fn import(curve: Curve, bytes: &[u8]) -> Result<Self, Failed> {
        PrivateKey::from_private_key(curve.algorithm(), bytes).map(Self).map_err(|_| Failed)
    }

    /// The public point: uncompressed, or the u coordinate of X25519.
    pub(crate) fn public(&self) -> Result<Vec<u8>, Failed> {
        let public = self.0.compute_public_key().map_err(|_| Failed)?;
        Ok(public.as_ref().to_vec())
    }

    /// Fails on a point off the curve, on one of another curve, and on an all-zero result.
    pub(crate) fn multiply(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let peer = UnparsedPublicKey::new(self.0.algorithm(), peer);
        agreement::agree(&self.0, peer, Failed, |secret| Ok(Zeroizing::new(secret.to_vec())))
    }
}

/// The private half of an ML-KEM-768 key pair. The library overwrites it when it is dropped.
pub(crate) struct Decapsulator(DecapsulationKey);

impl Decapsulator {
    pub(crate) fn generate() -> Result<Self, Failed> {
        DecapsulationKey::generate(&kem::ML_KEM_768).map(Self).map_err(|_| Failed)
    }

    pub(crate) fn import(bytes: &[u8]) -> Result<Self, Failed> {
        DecapsulationKey::new(&kem::ML_KEM_768, bytes).map(Self).map_err(|_| Failed)
    }

    /// The encapsulation key; not available from an imported key.
    pub(crate) fn public(&self) -> Result<Vec<u8>, Failed> {
        let public = self.0.encapsulation_key().map_err(|_| Failed)?;
        Ok(public.key_bytes().map_err(|_| Failed)?.as_ref().to_vec())
    }

    pub(crate) fn decapsulate(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failed> {
        let secret = self.0.decapsulate(ciphertext.into()).map_err(|_| Failed)?;
        Ok(Zeroizing::new(secret.as_ref().to_vec()))
    }
}

/// Encapsulates to a peer's ML-KEM-768 key: ciphertext and secret.
pub(crate) fn encapsulate(public: &[u8]) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), Failed> {
    let key = EncapsulationKey::new(&kem::ML_KEM_768, public).map_err(|_| Failed)?;
    let (ciphertext, secret) = key.encapsulate().map_err(|_| Failed)?;
    Ok((ciphertext.as_ref().to_vec(), Zeroizing::new(secret.as_ref().to_vec())))
}
