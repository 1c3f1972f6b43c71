//! What a policy needs to know of a certificate.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use x509_parser::der_parser::oid;
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::AlgorithmIdentifier;

use crate::certs::{dn_text, time};

/// What a certificate is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It proves who an end of a connection is: ours, a client's or a backend's.
    Leaf,
    /// It issued another one of its chain.
    Issuer,
    /// It is trusted by configuration; its own signature proves nothing to anybody.
    Anchor,
}

/// Type and size of a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyFacts {
    /// RSA.
    Rsa {
        /// Of the modulus.
        bits: u32,
    },
    /// DSA.
    Dsa {
        /// Of the modulus.
        bits: u32,
    },
    /// On an elliptic curve.
    Ec {
        /// `P-256`, `brainpoolP256r1`, or the object identifier.
        curve: Cow<'static, str>,
        /// Of the field.
        bits: u32,
    },
    /// Ed25519.
    Ed25519,
    /// Ed448.
    Ed448,
    /// Something else.
    Other {
        /// Object identifier of the algorithm.
        oid: String,
    },
}

impl KeyFacts {
    /// Of the key in a certificate.
    pub(crate) fn of(certificate: &X509Certificate<'_>) -> Self {
        key(certificate)
    }

    /// What policies call it: `RSA`, `DSA`, a curve, `Ed25519`.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Rsa { .. } => "RSA",
            Self::Dsa { .. } => "DSA",
            Self::Ec { curve, .. } => curve,
            Self::Ed25519 => "Ed25519",
            Self::Ed448 => "Ed448",
            Self::Other { oid } => oid,
        }
    }
}

impl fmt::Display for KeyFacts {
    /// `RSA 1024`, `EC P-256`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::Dsa { bits } => write!(f, "DSA {bits}"),
            Self::Ec { curve, .. } => write!(f, "EC {curve}"),
            other => f.write_str(other.type_name()),
        }
    }
}

/// A certificate as a policy sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Subject as in RFC 4514; bounded.
    pub subject: String,
    /// Its key.
    pub key: KeyFacts,
    /// How its issuer signed it, in OpenSSL's words with the hash: `RSA-SHA256`,
    /// `RSASSA-PSS-SHA256`, `ecdsa-with-SHA256`; else the object identifier.
    pub signature: Cow<'static, str>,
    /// Whether subject and issuer are the same.
    pub self_issued: bool,
    /// Start of validity.
    pub not_before: SystemTime,
    /// End of validity.
    pub not_after: SystemTime,
    /// Whether its key may make signatures in handshakes; also where nothing is said.
    pub may_authenticate: bool,
    /// Whether it may issue certificates.
    pub may_issue: bool,
}

impl CertificateFacts {
    /// Reads a certificate; none if it is not X.509.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(Self::of(&certificate))
    }

    /// Of a certificate that was parsed.
    #[must_use]
    pub(crate) fn of(certificate: &X509Certificate<'_>) -> Self {
        let usage = certificate.key_usage().ok().flatten();
        let is_ca = certificate.basic_constraints().ok().flatten().is_some_and(|b| b.value.ca);
        Self {
            subject: dn_text(certificate.subject()),
            key: key(certificate),
            signature: signature_name(&certificate.signature_algorithm),
            self_issued: certificate.subject().as_raw() == certificate.issuer().as_raw(),
            not_before: time(certificate.validity().not_before.timestamp()),
            not_after: time(certificate.validity().not_after.timestamp()),
            may_authenticate: usage.as_ref().is_none_or(|usage| usage.value.digital_signature()),
            may_issue: is_ca && usage.is_none_or(|usage| usage.value.key_cert_sign()),
        }
    }
}

/// A certificate revocation list as a policy sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationFacts {
    /// Who has issued it, as in RFC 4514; bounded.
    pub issuer: String,
    /// How it is signed, in the words of [`CertificateFacts::signature`].
    pub signature: Cow<'static, str>,
    /// Length of the signature where it is RSA, which is that of the issuer's key.
    pub rsa_bits: Option<u32>,
    /// When it was issued.
    pub this_update: SystemTime,
    /// When there will be another one.
    pub next_update: Option<SystemTime>,
}

fn bits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX).saturating_mul(8)
}

/// Bits of a number without its leading zeros.
fn significant_bits(number: &[u8]) -> u32 {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let zeros = number.get(start).map_or(0, |byte| byte.leading_zeros());
    bits(number.len() - start).saturating_sub(zeros)
}

fn key(certificate: &X509Certificate<'_>) -> KeyFacts {
    let spki = certificate.public_key();
    let algorithm = &spki.algorithm.algorithm;
    if *algorithm == oid!(1.3.101.112) {
        return KeyFacts::Ed25519;
    }
    if *algorithm == oid!(1.3.101.113) {
        return KeyFacts::Ed448;
    }
    match spki.parsed() {
        Ok(PublicKey::RSA(key)) => KeyFacts::Rsa { bits: significant_bits(key.modulus) },
        // The length of the public value: its modulus stands in parameters that may be missing.
        Ok(PublicKey::DSA(value)) => KeyFacts::Dsa { bits: significant_bits(value) },
        Ok(PublicKey::EC(_)) => curve(certificate),
        _ => KeyFacts::Other { oid: algorithm.to_id_string() },
    }
}

/// Curves by their object identifiers.
fn curve(certificate: &X509Certificate<'_>) -> KeyFacts {
    let parameters = certificate.public_key().algorithm.parameters.as_ref();
    let Some(named) = parameters.and_then(|parameters| parameters.as_oid().ok()) else {
        return KeyFacts::Other { oid: "EC with explicit parameters".to_owned() };
    };
    let known: &[(Oid<'_>, &'static str, u32)] = &[
        (oid!(1.2.840.10045.3.1.1), "P-192", 192),
        (oid!(1.3.132.0.33), "P-224", 224),
        (oid!(1.2.840.10045.3.1.7), "P-256", 256),
        (oid!(1.3.132.0.34), "P-384", 384),
        (oid!(1.3.132.0.35), "P-521", 521),
        (oid!(1.3.132.0.10), "secp256k1", 256),
        (oid!(1.3.36.3.3.2.8.1.1.7), "brainpoolP256r1", 256),
        (oid!(1.3.36.3.3.2.8.1.1.11), "brainpoolP384r1", 384),
        (oid!(1.3.36.3.3.2.8.1.1.13), "brainpoolP512r1", 512),
    ];
    match known.iter().find(|(oid, ..)| *oid == named) {
        Some((_, name, bits)) => KeyFacts::Ec { curve: Cow::Borrowed(name), bits: *bits },
        // The size of a curve nobody names is not guessed; no policy lists it.
        None => KeyFacts::Ec { curve: Cow::Owned(named.to_id_string()), bits: 0 },
    }
}

/// The name of an algorithm of a signature with its hash.
pub(crate) fn signature_name(algorithm: &AlgorithmIdentifier<'_>) -> Cow<'static, str> {
    let id = algorithm.algorithm.to_id_string();
    let pss = |hash: String| match hash.as_str() {
        "1.3.14.3.2.26" => "RSASSA-PSS-SHA1",
        "2.16.840.1.101.3.4.2.4" => "RSASSA-PSS-SHA224",
        "2.16.840.1.101.3.4.2.1" => "RSASSA-PSS-SHA256",
        "2.16.840.1.101.3.4.2.2" => "RSASSA-PSS-SHA384",
        "2.16.840.1.101.3.4.2.3" => "RSASSA-PSS-SHA512",
        _ => "RSASSA-PSS",
    };
    Cow::Borrowed(match id.as_str() {
        "1.2.840.113549.1.1.4" => "RSA-MD5",
        "1.2.840.113549.1.1.5" => "RSA-SHA1",
        "1.2.840.113549.1.1.14" => "RSA-SHA224",
        "1.2.840.113549.1.1.11" => "RSA-SHA256",
        "1.2.840.113549.1.1.12" => "RSA-SHA384",
        "1.2.840.113549.1.1.13" => "RSA-SHA512",
        "1.2.840.113549.1.1.10" => match SignatureAlgorithm::try_from(algorithm) {
            Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => {
                pss(parameters.hash_algorithm_oid().to_id_string())
            }
            _ => "RSASSA-PSS",
        },
        "1.2.840.10045.4.1" => "ecdsa-with-SHA1",
        "1.2.840.10045.4.3.1" => "ecdsa-with-SHA224",
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4" => "ecdsa-with-SHA512",
        "1.2.840.10040.4.3" => "dsa-with-SHA1",
        "2.16.840.1.101.3.4.3.2" => "dsa-with-SHA256",
        "1.3.101.112" => "ED25519",
        "1.3.101.113" => "ED448",
        _ => return Cow::Owned(id),
    })
}
