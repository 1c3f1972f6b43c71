//! The certificate a client has presented, as records, headers for backends and operators see it.
//!
//! Purpose: everything that is said about a client's certificate outside TLS, read once per
//! connection from the leaf that rustls has verified, or that a session carries on.
//!
//! Invariants: nothing here decides whether a client is let in; names are bounded and escaped
//! ([`super::dn`]), since their text comes from whoever wrote the certificate.
//!
//! Source: RFC 5280 §4.1, RFC 4514.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use cpacf::digest;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::dn;
use super::load::time;
use crate::compliance::KeyFacts;

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
    /// Type and size of its key: `RSA 2048`, `EC P-256`, `Ed25519`; else an object identifier;
    /// bounded.
    pub key: String,
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
            key: key_name(&certificate),
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

/// Longest name of a key: what nobody knows has its object identifier, which can be of any length.
const KEY_CHARS: usize = 40;

fn key_name(certificate: &X509Certificate<'_>) -> String {
    KeyFacts::of(certificate).to_string().chars().take(KEY_CHARS).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        // Writing to a String does not fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
