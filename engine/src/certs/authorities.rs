//! The CAs that a service trusts to issue certificates to its clients.
//!
//! Purpose: read them from PEM, say everything that is wrong with the file at once, and give the
//! set a name (a hash) by which tickets tell one set from another.
//!
//! Invariants: a set has at least one CA; each of them may sign certificates and was valid when it
//! was read. Order and repetition in the file do not matter. A CA that expires later is not looked
//! at again: the certificates it issued are, each time.
//!
//! Source: RFC 5280 §4.2.1.3, §4.2.1.9; RFC 8446 §4.2.4 and RFC 5246 §7.4.4 (names as hints).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use cpacf::digest;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::dn;
use super::load::{CertFault, LoadRule, rule, time};
use crate::compliance::CertificateFacts;

/// Every rule a file of CAs can break.
pub static AUTHORITY_LOADING: &[LoadRule] = &[
    rule("ca-empty", "the CA file is empty", "put the CA certificates there in PEM form"),
    rule(
        "ca-not-pem",
        "the CA file is damaged or not PEM",
        "convert it: openssl x509 -inform DER -in FILE -out FILE.pem",
    ),
    rule(
        "ca-missing",
        "the CA file has no CERTIFICATE section",
        "name the PEM file of the CA that issues the clients' certificates",
    ),
    rule(
        "ca-unreadable",
        "a certificate of the CA file is not valid X.509",
        "write the certificate again from its source",
    ),
    rule(
        "ca-not-a-ca",
        "a certificate of the CA file may not sign certificates",
        "name the CA that issued the clients' certificates, not the certificates themselves",
    ),
    rule(
        "ca-expired",
        "the validity of a certificate of the CA file has ended",
        "take it out, or put the renewed one there",
    ),
    rule(
        "ca-not-yet-valid",
        "the validity of a certificate of the CA file has not begun",
        "wait, or check the clock of this machine",
    ),
    rule(
        "ca-unusable",
        "a certificate of the CA file cannot be a trust anchor",
        "use an X.509 version 3 certificate with an RSA key, or an EC key on a NIST curve",
    ),
];

/// Bytes of names that are sent as hints; a larger set is not announced. The message that carries
/// them goes to every client, and its format ends at 64 KiB.
const HINT_BYTES_MAX: usize = 16 * 1024;

/// A set of CAs.
#[derive(Debug, Clone)]
pub struct Authorities {
    pub(crate) roots: Arc<RootCertStore>,
    /// As they stand in the file, each once.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    subjects: Vec<String>,
    hint_bytes: usize,
    /// What policies judge.
    pub(crate) facts: Vec<CertificateFacts>,
    /// SHA-256 over the sorted SHA-256 of the certificates.
    pub(crate) digest: Vec<u8>,
}

impl Authorities {
    /// Subjects of the CAs, as in RFC 4514.
    #[must_use]
    pub fn subjects(&self) -> &[String] {
        &self.subjects
    }

    /// Whether their names are few enough to be sent to every client as a hint.
    pub(crate) fn are_announced(&self) -> bool {
        self.hint_bytes <= HINT_BYTES_MAX
    }
}

/// Reads a set of CAs.
///
/// # Errors
///
/// Everything that is wrong with the file.
pub fn load_authorities(pem: &[u8], now: SystemTime) -> Result<Authorities, Vec<CertFault>> {
    Authorities::of(sections(pem).map_err(|fault| vec![fault])?, now)
}

impl Authorities {
    /// The set of these certificates.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them.
    pub(crate) fn of(
        certificates: Vec<CertificateDer<'static>>,
        now: SystemTime,
    ) -> Result<Self, Vec<CertFault>> {
        let mut faults = Vec::new();
        let mut roots = RootCertStore::empty();
        let (mut subjects, mut kept) = (Vec::new(), Vec::new());
        let mut facts = Vec::new();
        let mut hint_bytes = 0;
        let mut digests = BTreeMap::new();
        for (position, der) in certificates.into_iter().enumerate() {
            let digest = match digest::digest(digest::Algorithm::Sha256, &der) {
                Ok(digest) => digest.as_ref().to_vec(),
                Err(error) => return Err(vec![blocked(&error)]),
            };
            if digests.insert(digest, ()).is_some() {
                continue;
            }
            match check(&der, position + 1, now) {
                Ok((subject, bytes)) => {
                    subjects.push(subject);
                    hint_bytes += bytes;
                    facts.extend(CertificateFacts::read(&der));
                    kept.push(der.clone());
                    if let Err(error) = roots.add(der) {
                        faults.push(unusable(position + 1, &error));
                    }
                }
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let all: Vec<u8> = digests.into_keys().flatten().collect();
        let digest =
            digest::digest(digest::Algorithm::Sha256, &all).map_err(|e| vec![blocked(&e)])?;
        let digest = digest.as_ref().to_vec();
        let roots = Arc::new(roots);
        Ok(Self { roots, certificates: kept, subjects, hint_bytes, facts, digest })
    }
}

fn sections(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertFault> {
    if pem.trim_ascii().is_empty() {
        return Err(CertFault::new(
            "ca-empty",
            "the CA file is empty",
            "put the CA certificates there in PEM form",
        ));
    }
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|e| {
        CertFault::new(
            "ca-not-pem",
            format!("the CA file is not valid PEM: {e}"),
            "convert it: openssl x509 -inform DER -in FILE -out FILE.pem",
        )
    })?;
    if all.is_empty() {
        return Err(CertFault::new(
            "ca-missing",
            "the CA file holds no CERTIFICATE section",
            "name the PEM file of the CA that issues the clients' certificates",
        ));
    }
    Ok(all)
}

/// Subject of a CA, and the length of its name in a message.
fn check(der: &[u8], number: usize, now: SystemTime) -> Result<(String, usize), CertFault> {
    let Ok(([], certificate)) = X509Certificate::from_der(der) else {
        return Err(CertFault::new(
            "ca-unreadable",
            format!("certificate {number} of the CA file is not valid X.509"),
            "write the certificate again from its source",
        ));
    };
    let subject = dn::text(certificate.subject());
    let validity = certificate.validity();
    if !may_sign(&certificate) {
        return Err(CertFault::new(
            "ca-not-a-ca",
            format!("certificate {number} of the CA file, `{subject}`, may not sign certificates"),
            "name the CA that issued the clients' certificates, not the certificates themselves",
        ));
    }
    if now > time(validity.not_after.timestamp()) {
        let ended = validity.not_after;
        return Err(CertFault::new(
            "ca-expired",
            format!("certificate {number} of the CA file, `{subject}`, expired on {ended}"),
            "take it out, or put the renewed one there",
        ));
    }
    if now < time(validity.not_before.timestamp()) {
        let begins = validity.not_before;
        return Err(CertFault::new(
            "ca-not-yet-valid",
            format!("certificate {number} of the CA file, `{subject}`, is valid from {begins} on"),
            "wait, or check the clock of this machine",
        ));
    }
    // Two bytes of length stand before each name.
    Ok((subject, certificate.subject().as_raw().len() + 2))
}

/// Whether the certificate says that it is a CA's, and that its key signs certificates.
fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    let is_ca = certificate.basic_constraints().ok().flatten().is_some_and(|b| b.value.ca);
    let usage = certificate.key_usage();
    is_ca && usage.is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()))
}

fn unusable(number: usize, error: &rustls::Error) -> CertFault {
    CertFault::new(
        "ca-unusable",
        format!("certificate {number} of the CA file cannot be a trust anchor: {error}"),
        "use an X.509 version 3 certificate with an RSA key, or an EC key on a NIST curve",
    )
}

fn blocked(error: &cpacf::Error) -> CertFault {
    CertFault::new(
        "ca-unusable",
        format!("the CA file cannot be hashed: {error}"),
        "`adjunct crypto` shows which functions are blocked",
    )
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose};

    use super::*;

    fn pem(change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    fn load(pem: &str) -> Result<Authorities, Vec<&'static str>> {
        let rules = |faults: Vec<CertFault>| faults.into_iter().map(|fault| fault.rule).collect();
        load_authorities(pem.as_bytes(), SystemTime::now()).map_err(rules)
    }

    #[test]
    fn order_and_repetition_are_no_matter_and_another_ca_is() {
        let (a, b, c) = (pem(|_| {}), pem(|_| {}), pem(|_| {}));
        let digest = |text: &str| load(text).unwrap().digest;
        assert_eq!(digest(&format!("{a}{b}")), digest(&format!("{b}{a}{b}")));
        assert_eq!(load(&format!("{a}{a}")).unwrap().subjects().len(), 1);
        assert_ne!(digest(&format!("{a}{b}")), digest(&format!("{a}{c}")));
        assert_ne!(digest(&a), digest(&format!("{a}{b}")));
    }

    #[test]
    fn a_certificate_that_may_not_sign_is_no_ca() {
        let no_ca = pem(|params| params.is_ca = IsCa::ExplicitNoCa);
        let crl_only = pem(|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
        for text in [no_ca, crl_only] {
            assert_eq!(load(&text).unwrap_err(), ["ca-not-a-ca"]);
        }
        let young = pem(|params| params.not_before = rcgen::date_time_ymd(2098, 1, 1));
        let old = pem(|params| params.not_after = rcgen::date_time_ymd(2000, 1, 1));
        assert_eq!(load(&format!("{young}{old}")).unwrap_err(), ["ca-not-yet-valid", "ca-expired"]);
        assert_eq!(load("").unwrap_err(), ["ca-empty"]);
        assert_eq!(load("x").unwrap_err(), ["ca-missing"]);
    }

    #[test]
    fn a_large_set_is_not_announced() {
        let some = pem(|_| {});
        assert!(load(&some).unwrap().are_announced());
        let long = |params: &mut CertificateParams| {
            params.distinguished_name.push(rcgen::DnType::OrganizationName, "x".repeat(9000));
        };
        assert!(!load(&format!("{}{}", pem(long), pem(long))).unwrap().are_announced());
    }

    #[test]
    fn every_rule_of_this_file_can_be_explained() {
        let source = include_str!("authorities.rs");
        let (source, _) = source.split_once("#[cfg(test)]").unwrap_or_default();
        let named = source.split("CertFault::new(").skip(1).filter_map(|rest| {
            let rest = rest.trim_start().strip_prefix('"')?;
            rest.split('"').next()
        });
        let named: Vec<&str> = named.collect();
        assert!(named.len() >= AUTHORITY_LOADING.len(), "{named:?}");
        for name in named {
            assert!(AUTHORITY_LOADING.iter().any(|rule| rule.name == name), "{name}");
        }
    }
}
