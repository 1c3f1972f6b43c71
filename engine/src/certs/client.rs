//! The certificate a client has presented, as records, headers for backends and operators see it.
//!
//! Purpose: everything that is said about a client's certificate outside TLS, read once per
//! connection from the leaf that rustls has verified, or that a session carries on.
//!
//! Invariants: nothing here decides whether a client is let in; names are bounded and escaped
//! ([`super::dn`]), since their text comes from whoever wrote the certificate.
//!
//! Source: RFC 5280 §4.1, RFC 4514.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use cpacf::digest;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::dn;
use super::load::time;

/// A client's certificate: the leaf of the chain it presented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Subject as in RFC 4514, most specific part first; bounded.
    pub subject: String,
    /// Issuer, in the same form.
    pub issuer: String,
    /// Serial number, lower-case hexadecimal without leading zeros.
    pub serial: String,
    /// SHA-256 of the certificate, lower-case hexadecimal; empty if SHA-256 is blocked.
    pub fingerprint_sha256: String,
    /// Type and size of its key: `RSA 2048`, `EC P-256`, `Ed25519`; a vocabulary of ours, whatever
    /// the certificate says.
    pub key: Cow<'static, str>,
    /// End of validity.
    pub not_after: SystemTime,
    /// The certificate as it came.
    pub der: Arc<[u8]>,
    /// First common name of the subject, unescaped but bounded.
    pub common_name: Option<String>,
    /// Whether its chain leads to a configured CA and the client has proved to hold its key, now
    /// or in the handshake of the session that was resumed.
    pub verified: bool,
}

impl ClientCertificate {
    /// Reads a certificate; none if it is not X.509.
    #[must_use]
    pub fn read(der: &[u8], verified: bool) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(Self {
            subject: dn::text(certificate.subject()),
            issuer: dn::text(certificate.issuer()),
            serial: serial(certificate.raw_serial()),
            fingerprint_sha256: digest::digest(digest::Algorithm::Sha256, der)
                .map(|digest| hex(digest.as_ref()))
                .unwrap_or_default(),
            key: key_name(certificate.public_key()),
            not_after: time(certificate.validity().not_after.timestamp()),
            der: der.into(),
            common_name: dn::common_name(certificate.subject()),
            verified,
        })
    }
}

/// RFC 5280 §4.1.2.2 allows 20 octets; what is longer is cut, not refused.
const SERIAL_BYTES: usize = 20;

fn serial(raw: &[u8]) -> String {
    let significant = raw.iter().position(|b| *b != 0).unwrap_or(raw.len());
    let raw = &raw[significant..];
    hex(raw.get(..SERIAL_BYTES).unwrap_or(raw))
}

/// Object identifiers of curves (RFC 5480 §2.1.1.1) and of keys that name their curve (RFC 8410).
const KEYS: [(&str, &str); 7] = [
    ("1.2.840.10045.3.1.1", "EC P-192"),
    ("1.3.132.0.33", "EC P-224"),
    ("1.2.840.10045.3.1.7", "EC P-256"),
    ("1.3.132.0.34", "EC P-384"),
    ("1.3.132.0.35", "EC P-521"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
];

fn key_name(key: &SubjectPublicKeyInfo<'_>) -> Cow<'static, str> {
    let known = |oid: String| KEYS.iter().find(|row| row.0 == oid).map(|row| row.1);
    Cow::Borrowed(match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => return Cow::Owned(format!("RSA {}", bits(rsa.modulus))),
        Ok(PublicKey::EC(_)) => {
            let curve = key.algorithm.parameters.as_ref().and_then(|it| it.as_oid().ok());
            curve.and_then(|oid| known(oid.to_id_string())).unwrap_or("EC, other curve")
        }
        Ok(PublicKey::DSA(_)) => "DSA",
        _ => known(key.algorithm.algorithm.to_id_string()).unwrap_or("other"),
    })
}

/// Length of a number in bits.
fn bits(number: &[u8]) -> usize {
    let significant = number.iter().position(|b| *b != 0).unwrap_or(number.len());
    let number = number.get(significant..).unwrap_or_default();
    number.first().map_or(0, |first| 8 * number.len() - first.leading_zeros() as usize)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        // Writing to a String does not fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
