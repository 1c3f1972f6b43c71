//! Verification of the peer's signatures over `cpacf::verify` (KDSA; RSA in software).
//!
//! Source: RFC 8446 §4.4.3, RFC 4055 and RFC 5758 for the algorithm identifiers.

use cpacf::verify::{self, Algorithm};
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

/// One pair of public key type and signature algorithm.
#[derive(Debug)]
struct Verifier {
    algorithm: Algorithm,
    public_key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
}

impl SignatureVerificationAlgorithm for Verifier {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        verify::verify(self.algorithm, public_key, message, signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.public_key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

macro_rules! verifier {
    ($name:ident, $algorithm:ident, $key:ident, $signature:ident) => {
        static $name: Verifier = Verifier {
            algorithm: Algorithm::$algorithm,
            public_key: alg_id::$key,
            signature: alg_id::$signature,
        };
    };
}

verifier!(ECDSA_P256_SHA256, EcdsaP256Sha256, ECDSA_P256, ECDSA_SHA256);
verifier!(ECDSA_P256_SHA384, EcdsaP256Sha384, ECDSA_P256, ECDSA_SHA384);
verifier!(ECDSA_P256_SHA512, EcdsaP256Sha512, ECDSA_P256, ECDSA_SHA512);
verifier!(ECDSA_P384_SHA256, EcdsaP384Sha256, ECDSA_P384, ECDSA_SHA256);
verifier!(ECDSA_P384_SHA384, EcdsaP384Sha384, ECDSA_P384, ECDSA_SHA384);
verifier!(ECDSA_P384_SHA512, EcdsaP384Sha512, ECDSA_P384, ECDSA_SHA512);
verifier!(ECDSA_P521_SHA256, EcdsaP521Sha256, ECDSA_P521, ECDSA_SHA256);
verifier!(ECDSA_P521_SHA384, EcdsaP521Sha384, ECDSA_P521, ECDSA_SHA384);
verifier!(ECDSA_P521_SHA512, EcdsaP521Sha512, ECDSA_P521, ECDSA_SHA512);
verifier!(RSA_PKCS1_SHA256, RsaPkcs1Sha256, RSA_ENCRYPTION, RSA_PKCS1_SHA256);
verifier!(RSA_PKCS1_SHA384, RsaPkcs1Sha384, RSA_ENCRYPTION, RSA_PKCS1_SHA384);
verifier!(RSA_PKCS1_SHA512, RsaPkcs1Sha512, RSA_ENCRYPTION, RSA_PKCS1_SHA512);
verifier!(RSA_PSS_SHA256, RsaPssSha256, RSA_ENCRYPTION, RSA_PSS_SHA256);
verifier!(RSA_PSS_SHA384, RsaPssSha384, RSA_ENCRYPTION, RSA_PSS_SHA384);
verifier!(RSA_PSS_SHA512, RsaPssSha512, RSA_ENCRYPTION, RSA_PSS_SHA512);

/// Everything webpki may use, and which of it a TLS signature scheme names.
pub(crate) static SUPPORTED: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        &ECDSA_P256_SHA256,
        &ECDSA_P256_SHA384,
        &ECDSA_P256_SHA512,
        &ECDSA_P384_SHA256,
        &ECDSA_P384_SHA384,
        &ECDSA_P384_SHA512,
        &ECDSA_P521_SHA256,
        &ECDSA_P521_SHA384,
        &ECDSA_P521_SHA512,
        &RSA_PKCS1_SHA256,
        &RSA_PKCS1_SHA384,
        &RSA_PKCS1_SHA512,
        &RSA_PSS_SHA256,
        &RSA_PSS_SHA384,
        &RSA_PSS_SHA512,
    ],
    // TLS 1.2 lets a scheme name only the hash, TLS 1.3 the curve too: the first entry decides
    // for TLS 1.3, all of them are tried for TLS 1.2.
    mapping: &[
        (
            SignatureScheme::ECDSA_NISTP384_SHA384,
            &[&ECDSA_P384_SHA384, &ECDSA_P256_SHA384, &ECDSA_P521_SHA384],
        ),
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[&ECDSA_P256_SHA256, &ECDSA_P384_SHA256, &ECDSA_P521_SHA256],
        ),
        (SignatureScheme::ECDSA_NISTP521_SHA512, &[&ECDSA_P521_SHA512]),
        (SignatureScheme::RSA_PSS_SHA512, &[&RSA_PSS_SHA512]),
        (SignatureScheme::RSA_PSS_SHA384, &[&RSA_PSS_SHA384]),
        (SignatureScheme::RSA_PSS_SHA256, &[&RSA_PSS_SHA256]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[&RSA_PKCS1_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[&RSA_PKCS1_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[&RSA_PKCS1_SHA256]),
    ],
};
