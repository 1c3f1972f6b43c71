//! The cipher suites we offer: AEAD with ephemeral key agreement only (RFC 9325 §4.2).

use cpacf::aead::{Algorithm, Sealer};
use cpacf::approval::{self, Approval};
use rustls::crypto::{CipherSuiteCommon, KeyExchangeAlgorithm};
use rustls::{
    CipherSuite, SignatureScheme, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite,
};

use super::aead::{Tls12ChaCha, Tls12Gcm, Tls13Aead};
use super::{hash, kdf};

/// Records under one AES-GCM key (RFC 8446 §5.5); rustls updates the key before.
const GCM_CONFIDENTIALITY_LIMIT: u64 = 1 << 24;

static ECDSA_SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
];

static RSA_SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

macro_rules! tls13 {
    ($suite:ident, $hash:ident, $hkdf:ident, $aead:ident, $limit:expr) => {
        SupportedCipherSuite::Tls13(&Tls13CipherSuite {
            common: CipherSuiteCommon {
                suite: CipherSuite::$suite,
                hash_provider: &hash::$hash,
                confidentiality_limit: $limit,
            },
            hkdf_provider: &kdf::$hkdf,
            aead_alg: &Tls13Aead(Algorithm::$aead),
            quic: None,
        })
    };
}

macro_rules! tls12 {
    ($suite:ident, $hash:ident, $prf:ident, $schemes:ident, $aead:expr, $limit:expr) => {
        SupportedCipherSuite::Tls12(&Tls12CipherSuite {
            common: CipherSuiteCommon {
                suite: CipherSuite::$suite,
                hash_provider: &hash::$hash,
                confidentiality_limit: $limit,
            },
            kx: KeyExchangeAlgorithm::ECDHE,
            sign: $schemes,
            aead_alg: &$aead,
            prf_provider: &kdf::$prf,
        })
    };
}

/// Whether the policy of this process does not approve the cipher of a suite.
pub(super) fn is_restricted(suite: &SupportedCipherSuite) -> bool {
    approval::of(aead(suite).function()) != Approval::Full
}

fn aead(suite: &SupportedCipherSuite) -> Algorithm {
    match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => Algorithm::Aes128Gcm,
        CipherSuite::TLS13_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => Algorithm::Aes256Gcm,
        _ => Algorithm::ChaCha20Poly1305,
    }
}

/// Whether none of the functions a suite needs is blocked.
pub(super) fn is_available(suite: &SupportedCipherSuite) -> bool {
    let aead = aead(suite);
    let hash = match aead {
        Algorithm::Aes256Gcm => cpacf::digest::Algorithm::Sha384,
        Algorithm::Aes128Gcm | Algorithm::ChaCha20Poly1305 => cpacf::digest::Algorithm::Sha256,
    };
    // Setting a function up asks whether it is blocked. A refusal by policy would be counted.
    !is_restricted(suite)
        && Sealer::new(aead, &[0; 32][..super::aead::key_len(aead)]).is_ok()
        && cpacf::digest::digest(hash, &[]).is_ok()
        && cpacf::hmac::Key::new(hash, &[0; 32]).is_ok()
}

/// All suites in our order of preference: what the CPACF functions do first, software last.
pub(super) static ALL: &[SupportedCipherSuite] = &[
    tls13!(TLS13_AES_128_GCM_SHA256, SHA256, HKDF_SHA256, Aes128Gcm, GCM_CONFIDENTIALITY_LIMIT),
    tls13!(TLS13_AES_256_GCM_SHA384, SHA384, HKDF_SHA384, Aes256Gcm, GCM_CONFIDENTIALITY_LIMIT),
    tls13!(TLS13_CHACHA20_POLY1305_SHA256, SHA256, HKDF_SHA256, ChaCha20Poly1305, u64::MAX),
    tls12!(
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        SHA256,
        PRF_SHA256,
        ECDSA_SCHEMES,
        Tls12Gcm(Algorithm::Aes128Gcm),
        GCM_CONFIDENTIALITY_LIMIT
    ),
    tls12!(
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        SHA256,
        PRF_SHA256,
        RSA_SCHEMES,
        Tls12Gcm(Algorithm::Aes128Gcm),
        GCM_CONFIDENTIALITY_LIMIT
    ),
    tls12!(
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        SHA384,
        PRF_SHA384,
        ECDSA_SCHEMES,
        Tls12Gcm(Algorithm::Aes256Gcm),
        GCM_CONFIDENTIALITY_LIMIT
    ),
    tls12!(
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        SHA384,
        PRF_SHA384,
        RSA_SCHEMES,
        Tls12Gcm(Algorithm::Aes256Gcm),
        GCM_CONFIDENTIALITY_LIMIT
    ),
    tls12!(
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        SHA256,
        PRF_SHA256,
        ECDSA_SCHEMES,
        Tls12ChaCha,
        u64::MAX
    ),
    tls12!(
        TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        SHA256,
        PRF_SHA256,
        RSA_SCHEMES,
        Tls12ChaCha,
        u64::MAX
    ),
];
