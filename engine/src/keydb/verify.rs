//! Signatures, issuers and chains within a database.
//!
//! Signatures are verified by `cpacf::verify`, which knows P-521 too. The chain is walked here, so
//! that each certificate that stands in the way can be named by its label; what is left to judge of
//! a server's or client's path (name constraints, critical extensions) webpki judges, as it will in
//! a handshake.
//!
//! Source: RFC 5280 §6.1.

use std::time::SystemTime;

use cex::{Curve, KeyKind};
use cpacf::verify::{self, Algorithm};
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::error::Error;
use super::{Database, Entry};
use crate::certs::time;
use crate::provider::SUPPORTED;

/// Reads DER of exactly one certificate.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Error> {
    let again = "write it again from its source";
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(Error::data("more bytes follow the certificate", again)),
        Err(error) => {
            Err(Error::data(format!("the certificate is not valid X.509: {error}"), again))
        }
    }
}

/// Reads DER of a request and checks that it was signed with the key that it is for.
pub(super) fn parse_request(der: &[u8]) -> Result<X509CertificationRequest<'_>, Error> {
    let Ok(([], request)) = X509CertificationRequest::from_der(der) else {
        return Err(Error::data(
            "this is not a certificate request (PKCS #10)",
            "name the file that `adjunct keydb request` or openssl req wrote",
        ));
    };
    let info = &request.certification_request_info;
    let signature = &request.signature_value.data;
    if !signed_with(&info.subject_pki, &request.signature_algorithm, info.raw, signature) {
        return Err(Error::data(
            "the request was not signed with the key that it is for, or in a way that is not \
             supported",
            "have it made again; RSA PKCS #1 and ECDSA with SHA-256, 384 or 512 are supported",
        ));
    }
    Ok(request)
}

/// Whether this key made this signature.
fn signed_with(
    key: &SubjectPublicKeyInfo<'_>,
    algorithm: &AlgorithmIdentifier<'_>,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let curve = match key_kind(key) {
        Some(KeyKind::Ec(curve)) => Some(curve),
        Some(KeyKind::Rsa { .. }) => None,
        None => return false,
    };
    let algorithm = match (algorithm.algorithm.to_id_string().as_str(), curve) {
        ("1.2.840.113549.1.1.11", None) => Algorithm::RsaPkcs1Sha256,
        ("1.2.840.113549.1.1.12", None) => Algorithm::RsaPkcs1Sha384,
        ("1.2.840.113549.1.1.13", None) => Algorithm::RsaPkcs1Sha512,
        ("1.2.840.10045.4.3.2", Some(Curve::P256)) => Algorithm::EcdsaP256Sha256,
        ("1.2.840.10045.4.3.2", Some(Curve::P384)) => Algorithm::EcdsaP384Sha256,
        ("1.2.840.10045.4.3.2", Some(Curve::P521)) => Algorithm::EcdsaP521Sha256,
        ("1.2.840.10045.4.3.3", Some(Curve::P256)) => Algorithm::EcdsaP256Sha384,
        ("1.2.840.10045.4.3.3", Some(Curve::P384)) => Algorithm::EcdsaP384Sha384,
        ("1.2.840.10045.4.3.3", Some(Curve::P521)) => Algorithm::EcdsaP521Sha384,
        ("1.2.840.10045.4.3.4", Some(Curve::P256)) => Algorithm::EcdsaP256Sha512,
        ("1.2.840.10045.4.3.4", Some(Curve::P384)) => Algorithm::EcdsaP384Sha512,
        ("1.2.840.10045.4.3.4", Some(Curve::P521)) => Algorithm::EcdsaP521Sha512,
        _ => return false,
    };
    verify::verify(algorithm, &key.subject_public_key.data, message, signature).is_ok()
}

/// What kind of key it is; none for one that neither a card nor cpacf knows.
pub(super) fn key_kind(key: &SubjectPublicKeyInfo<'_>) -> Option<KeyKind> {
    if let Ok(PublicKey::RSA(rsa)) = key.parsed() {
        return Some(KeyKind::Rsa { bits: u32::try_from(rsa.key_size()).ok()? });
    }
    let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
    Some(KeyKind::Ec(match curve.to_id_string().as_str() {
        "1.2.840.10045.3.1.7" => Curve::P256,
        "1.3.132.0.34" => Curve::P384,
        "1.3.132.0.35" => Curve::P521,
        _ => return None,
    }))
}

/// Whether `issuer` issued `certificate`, by name and signature.
pub(super) fn issued(issuer: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> bool {
    issuer.subject().as_raw() == certificate.issuer().as_raw()
        && signed_with(
            issuer.public_key(),
            &certificate.signature_algorithm,
            certificate.tbs_certificate.as_ref(),
            &certificate.signature_value.data,
        )
}

/// What a chain is verified for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be shown to clients.
    Server,
    /// To be shown to servers.
    Client,
    /// To issue certificates, or no matter what for.
    Any,
}

/// One certificate of a verified chain.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Link {
    /// Its label.
    pub label: String,
    /// Its subject.
    pub subject: String,
    /// What is wrong with it.
    pub faults: Vec<String>,
}

/// How far a chain holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Verdict {
    /// Leaf first.
    pub chain: Vec<Link>,
    /// What is wrong with the chain as a whole.
    pub faults: Vec<String>,
}

impl Verdict {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.faults.is_empty() && self.chain.iter().all(|link| link.faults.is_empty())
    }
}

impl Database {
    /// The certificate with this label and those above it, as far as they are in the database; the
    /// last may be self-signed.
    ///
    /// # Errors
    ///
    /// When there is no certificate with this label.
    pub fn chain(&self, label: &str) -> Result<Vec<&Entry>, Error> {
        let mut chain = vec![self.with_certificate(label)?];
        while let Some(above) = chain.last().and_then(|last| self.issuer_of(last)) {
            if chain.iter().any(|entry| entry.label() == above.label()) {
                break;
            }
            chain.push(above);
        }
        Ok(chain)
    }

    /// The issuer of an entry's certificate; itself if self-signed. Of two certificates of one CA
    /// a trusted one, and of two such the one that lasts longer.
    pub(super) fn issuer_of(&self, entry: &Entry) -> Option<&Entry> {
        let certificate = parse(entry.certificate()?).ok()?;
        let candidates = self.entries().iter().filter_map(|candidate| {
            let issuer = parse(candidate.certificate()?).ok()?;
            let end = issuer.validity().not_after.timestamp();
            issued(&issuer, &certificate).then_some((candidate.is_trusted(), end, candidate))
        });
        let best = candidates.max_by_key(|(trusted, end, _)| (*trusted, *end));
        best.map(|(_, _, candidate)| candidate)
    }

    /// Verifies the chain above a certificate at a moment.
    ///
    /// # Errors
    ///
    /// When there is no certificate with this label; a chain that does not hold is a verdict.
    pub fn verify(&self, label: &str, purpose: Purpose, now: SystemTime) -> Result<Verdict, Error> {
        let entries = self.chain(label)?;
        let mut chain = Vec::new();
        for (depth, entry) in entries.iter().enumerate() {
            let certificate = parse(entry.certificate().unwrap_or_default())?;
            let mut faults = out_of_date(&certificate, now);
            if depth > 0 {
                faults.extend(not_a_ca(&certificate, depth - 1));
            } else {
                faults.extend(wrong_purpose(&certificate, purpose));
            }
            let subject = crate::certs::dn_text(certificate.subject());
            chain.push(Link { label: entry.label().to_owned(), subject, faults });
        }
        let mut verdict = Verdict { chain, faults: Vec::new() };
        if let Some(last) = entries.last() {
            verdict.faults.extend(self.not_anchored(last)?);
        }
        if verdict.holds() && purpose != Purpose::Any {
            verdict.faults.extend(refused_by_webpki(&entries, purpose, now));
        }
        Ok(verdict)
    }

    fn not_anchored(&self, last: &Entry) -> Result<Option<String>, Error> {
        let certificate = parse(last.certificate().unwrap_or_default())?;
        let issuer = crate::certs::dn_text(certificate.issuer());
        Ok(if !issued(&certificate, &certificate) {
            Some(format!("the issuer of {} is not in the database: {issuer}", last.label()))
        } else if last.is_trusted() {
            None
        } else {
            Some(format!("{} ends the chain and is not trusted", last.label()))
        })
    }
}

fn out_of_date(certificate: &X509Certificate<'_>, now: SystemTime) -> Vec<String> {
    let validity = certificate.validity();
    let mut faults = Vec::new();
    if now < time(validity.not_before.timestamp()) {
        faults.push(format!("valid only from {} on", validity.not_before));
    }
    if now > time(validity.not_after.timestamp()) {
        faults.push(format!("expired on {}", validity.not_after));
    }
    faults
}

/// Why it may not sign certificates, with `below` CAs between it and the leaf.
pub(super) fn not_a_ca(certificate: &X509Certificate<'_>, below: usize) -> Option<String> {
    let Some(constraints) = certificate.basic_constraints().ok().flatten() else {
        return Some("not a CA: it has no basic constraints".to_owned());
    };
    if !constraints.value.ca {
        return Some("not a CA by its basic constraints".to_owned());
    }
    if constraints.value.path_len_constraint.is_some_and(|most| below > most as usize) {
        return Some("its path length constraint allows fewer CAs below it".to_owned());
    }
    let usage = certificate.key_usage().ok().flatten();
    usage
        .is_some_and(|usage| !usage.value.key_cert_sign())
        .then(|| "its key usage does not allow it to sign certificates".to_owned())
}

fn wrong_purpose(certificate: &X509Certificate<'_>, purpose: Purpose) -> Option<String> {
    let extended = certificate.extended_key_usage().ok().flatten()?;
    let (allowed, who) = match purpose {
        Purpose::Server => (extended.value.server_auth, "a server"),
        Purpose::Client => (extended.value.client_auth, "a client"),
        Purpose::Any => return None,
    };
    (!allowed && !extended.value.any)
        .then(|| format!("its extended key usage does not allow it to be {who}'s"))
}

fn refused_by_webpki(entries: &[&Entry], purpose: Purpose, now: SystemTime) -> Option<String> {
    let ders: Vec<CertificateDer<'_>> = entries
        .iter()
        .map(|entry| CertificateDer::from(entry.certificate().unwrap_or_default()))
        .collect();
    let (leaf, above) = ders.split_first()?;
    let (root, middle) = above.split_last()?;
    let usage = match purpose {
        Purpose::Client => KeyUsage::client_auth(),
        Purpose::Server | Purpose::Any => KeyUsage::server_auth(),
    };
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let verified = EndEntityCert::try_from(leaf).and_then(|leaf| {
        let anchors = [anchor_from_trusted_cert(root)?];
        let time = UnixTime::since_unix_epoch(since);
        leaf.verify_for_usage(SUPPORTED.all, &anchors, middle, time, usage, None, None).map(drop)
    });
    verified.err().map(|error| format!("the path is not valid: {error}"))
}
