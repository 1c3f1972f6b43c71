//! Signatures of provider `host`: verification, and ECDSA with a key held here.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, UnparsedPublicKey, VerificationAlgorithm,
};

use crate::kdsa::Curve;
use crate::provider::Failed;
use crate::verify::Algorithm;

/// Which part of a verification failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    Key,
    Signature,
}

fn verification(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        Algorithm::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RsaPkcs1Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RsaPkcs1Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::RsaPssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::RsaPssSha384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::RsaPssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::EcdsaP256Sha256 => &signature::ECDSA_P256_SHA256_ASN1,
        Algorithm::EcdsaP256Sha384 => &signature::ECDSA_P256_SHA384_ASN1,
        Algorithm::EcdsaP256Sha512 => &signature::ECDSA_P256_SHA512_ASN1,
        Algorithm::EcdsaP384Sha256 => &signature::ECDSA_P384_SHA256_ASN1,
        Algorithm::EcdsaP384Sha384 => &signature::ECDSA_P384_SHA384_ASN1,
        Algorithm::EcdsaP384Sha512 => &signature::ECDSA_P384_SHA512_ASN1,
        Algorithm::EcdsaP521Sha256 => &signature::ECDSA_P521_SHA256_ASN1,
        Algorithm::EcdsaP521Sha384 => &signature::ECDSA_P521_SHA384_ASN1,
        Algorithm::EcdsaP521Sha512 => &signature::ECDSA_P521_SHA512_ASN1,
        Algorithm::Ed25519 => &signature::ED25519,
    }
}

pub(crate) fn verify(
    algorithm: Algorithm,
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), Rejected> {
    let key = UnparsedPublicKey::new(verification(algorithm), public_key);
    let key = key.parse().map_err(|_| Rejected::Key)?;
    key.verify_sig(message, signature).map_err(|_| Rejected::Signature)
}

const fn signing(curve: Curve) -> &'static EcdsaSigningAlgorithm {
    match curve {
        Curve::P256 => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        Curve::P384 => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        Curve::P521 => &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
    }
}

/// An ECDSA private key. The library overwrites it when it is dropped.
pub(crate) struct SigningKey {
    pair: EcdsaKeyPair,
    public_der: Vec<u8>,
}

impl SigningKey {
    /// Reads a PKCS #8 or SEC 1 private key of `curve`.
    pub(crate) fn from_der(curve: Curve, der: &[u8]) -> Result<Self, Failed> {
        let pair = EcdsaKeyPair::from_private_key_der(signing(curve), der).map_err(|_| Failed)?;
        Self::new(pair)
    }

    /// Takes the scalar and the uncompressed point that belongs to it.
    pub(crate) fn import(curve: Curve, scalar: &[u8], point: &[u8]) -> Result<Self, Failed> {
        EcdsaKeyPair::from_private_key_and_public_key(signing(curve), scalar, point)
            .map_err(|_| Failed)
            .and_then(Self::new)
    }

    fn new(pair: EcdsaKeyPair) -> Result<Self, Failed> {
        let public_der = pair.public_key().as_der().map_err(|_| Failed)?.as_ref().to_vec();
        Ok(Self { pair, public_der })
    }

    /// The SubjectPublicKeyInfo.
    pub(crate) fn public_der(&self) -> &[u8] {
        &self.public_der
    }

    /// Digests `message` with the hash of the curve and signs it; DER.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failed> {
        let signature = self.pair.sign(&SystemRandom::new(), message).map_err(|_| Failed)?;
        Ok(signature.as_ref().to_vec())
    }
}
