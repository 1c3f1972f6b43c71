//! A certificate chain and its key, read from PEM and checked.
//!
//! Purpose: say everything that is wrong with the two files at once, in words an operator can act
//! on, and hand the private key to its backend (its bytes are zeroized before this returns).
//!
//! It does not build paths or check revocation: the chain is sent as it is in the file, leaf first.
//!
//! Source: RFC 5280 §4.1.2, RFC 7468, RFC 8446 §4.4.2.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cex::{Curve, KeyKind};
use rustls::SignatureScheme;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::{Zeroize, Zeroizing};

use super::advice::advise;
use super::names::NamePattern;
use crate::compliance::{CertificateFacts, PolicySet, RuleId};
use crate::crypto::{Crypto, KeyError, PrivateKey};
use crate::provider::sign::{RoutedKey, schemes};

/// One thing wrong with a certificate or key file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertFault {
    /// Stable name, e.g. `key-mismatch`.
    pub rule: &'static str,
    /// What is wrong, naming the file or label.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// A rule that a certificate or key file can break, for `explain`.
#[derive(Debug, Clone, Copy)]
pub struct LoadRule {
    /// [`CertFault::rule`].
    pub name: &'static str,
    /// When it applies.
    pub meaning: &'static str,
    /// What to do.
    pub action: &'static str,
}

pub(super) const fn rule(
    name: &'static str,
    meaning: &'static str,
    action: &'static str,
) -> LoadRule {
    LoadRule { name, meaning, action }
}

/// Every rule a [`CertFault`] can name.
pub static LOADING: &[LoadRule] = &[
    rule(
        "certificate-empty",
        "the certificate file is empty",
        "put the chain there in PEM form, leaf first",
    ),
    rule(
        "certificate-not-pem",
        "the certificate file is damaged or not PEM",
        "convert it: openssl x509 -inform DER -in FILE -out FILE.pem",
    ),
    rule(
        "certificate-missing",
        "the certificate file has no CERTIFICATE section",
        "name the file of the chain; the key goes into its own setting",
    ),
    rule(
        "certificate-unreadable",
        "the first certificate is not valid X.509",
        "write the certificate again from its source",
    ),
    rule("certificate-expired", "the validity of the certificate has ended", "renew it"),
    rule(
        "certificate-not-yet-valid",
        "the validity of the certificate has not begun",
        "wait, or check the clock of this machine",
    ),
    rule(
        "chain-unreadable",
        "a later certificate of the chain is not valid X.509",
        "write the chain again: leaf first, then its issuer, and so on",
    ),
    rule(
        "chain-order",
        "a certificate of the chain did not issue the one before it",
        "order the file: leaf first, then its issuer, and so on",
    ),
    rule("key-empty", "the key file is empty", "put the private key there in PEM form"),
    rule(
        "key-not-pem",
        "the key file is damaged or not PEM",
        "convert it: openssl pkey -in FILE -out FILE.pem",
    ),
    rule(
        "key-missing",
        "the key file holds no private key",
        "name a PEM file with a PRIVATE KEY section",
    ),
    rule(
        "key-encrypted",
        "the private key is encrypted, and no passphrase can be given",
        "decrypt it (openssl pkey) and protect the file by its mode, 0600",
    ),
    rule(
        "key-unsupported",
        "neither a card nor cpacf takes the private key",
        "use RSA of 2048 to 4096 bits, or EC on P-256, P-384 or P-521",
    ),
    rule(
        "key-mismatch",
        "the private key does not belong to the certificate",
        "compare: openssl x509 -in CERT -noout -pubkey  and  openssl pkey -in KEY -pubout",
    ),
];

/// The rule of a key that is sound but that no configured card takes.
const NO_CARD_FOR_KEY: &str = "no-card-for-key";

impl CertFault {
    /// Whether the files are in order and the configuration does not fit them.
    #[must_use]
    pub fn is_of_configuration(&self) -> bool {
        self.rule == NO_CARD_FOR_KEY || self.is_of_mode()
    }

    /// Whether a mode refuses what is sound otherwise.
    #[must_use]
    pub fn is_of_mode(&self) -> bool {
        RuleId::find(self.rule).is_some()
    }

    pub(super) fn new(
        rule: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { rule, what: what.into(), remedy: remedy.into() }
    }
}

/// A certificate that can be served.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// File or label it came from.
    pub label: String,
    /// Subject of the leaf.
    pub subject: String,
    /// Names it is good for.
    pub names: Vec<NamePattern>,
    /// Type and size of the key.
    pub kind: KeyKind,
    /// How its issuer signed it, in OpenSSL's words: `RSA-SHA256`, `ecdsa-with-SHA256`.
    pub signature_name: Option<&'static str>,
    /// Start of validity.
    pub not_before: SystemTime,
    /// End of validity.
    pub not_after: SystemTime,
    /// What a client must be able to verify to accept the chain, one set of alternatives per
    /// signature (self-signed certificates do not count: nobody verifies them by signature).
    pub(crate) chain_schemes: Vec<&'static [SignatureScheme]>,
    /// What policies judge, the leaf first.
    pub(crate) facts: Vec<CertificateFacts>,
    /// What its key signs with, by preference.
    pub(crate) schemes: Vec<SignatureScheme>,
    key: PrivateKey,
    pub(crate) certified: Arc<CertifiedKey>,
    /// What real clients may stumble over; see [`super::ADVICE`].
    pub advice: Vec<CertFault>,
}

impl Certificate {
    /// What policies judge: each certificate of the chain, the leaf first.
    #[must_use]
    pub fn facts(&self) -> &[CertificateFacts] {
        &self.facts
    }

    /// The same, signing only as a policy approves.
    pub(crate) fn under(mut self, policy: &PolicySet) -> Self {
        self.schemes.retain(|scheme| policy.scheme(u16::from(*scheme)).is_yes());
        let key = RoutedKey { key: self.key.clone(), schemes: self.schemes.clone() };
        self.certified = Arc::new(CertifiedKey::new(self.certified.cert.clone(), Arc::new(key)));
        self
    }

    /// `RSA 2048`, `EC P-256`.
    #[must_use]
    pub fn key_name(&self) -> Cow<'static, str> {
        key_name(self.kind)
    }

    /// `RSA2048`, `EC256`: as haproxy names a key in a PROXY header.
    #[must_use]
    pub fn short_key_name(&self) -> &'static str {
        match self.kind {
            KeyKind::Rsa { bits: 2048 } => "RSA2048",
            KeyKind::Rsa { bits: 3072 } => "RSA3072",
            KeyKind::Rsa { bits: 4096 } => "RSA4096",
            KeyKind::Rsa { .. } => "RSA",
            KeyKind::Ec(Curve::P256) => "EC256",
            KeyKind::Ec(Curve::P384) => "EC384",
            KeyKind::Ec(Curve::P521) => "EC521",
        }
    }

    /// Whether its key is an EC key.
    #[must_use]
    pub fn is_ec(&self) -> bool {
        matches!(self.kind, KeyKind::Ec(_))
    }
}

fn key_name(kind: KeyKind) -> Cow<'static, str> {
    let name = match kind {
        KeyKind::Rsa { bits: 2048 } => "RSA 2048",
        KeyKind::Rsa { bits: 3072 } => "RSA 3072",
        KeyKind::Rsa { bits: 4096 } => "RSA 4096",
        KeyKind::Rsa { bits } => return Cow::Owned(format!("RSA {bits}")),
        KeyKind::Ec(Curve::P256) => "EC P-256",
        KeyKind::Ec(Curve::P384) => "EC P-384",
        KeyKind::Ec(Curve::P521) => "EC P-521",
    };
    Cow::Borrowed(name)
}

/// Reads and checks a chain and its key.
///
/// # Errors
///
/// Everything that is wrong with them.
pub fn load(
    crypto: &Crypto,
    label: &str,
    cert_pem: &[u8],
    key_pem: &[u8],
    now: SystemTime,
) -> Result<Certificate, Vec<CertFault>> {
    let mut faults = Vec::new();
    let chain = read_chain(cert_pem).unwrap_or_else(|fault| {
        faults.push(fault);
        Vec::new()
    });
    let key = match read_key(key_pem) {
        Ok(der) => crypto.load_key(der).map_err(|e| unusable_key(&e)),
        Err(fault) => Err(fault),
    };
    let key = key.map_err(|fault| faults.push(fault)).ok();
    let mut loaded = None;
    if let Some(leaf) = chain.first() {
        match X509Certificate::from_der(leaf) {
            Ok((_, leaf)) => {
                check_validity(&leaf, now, &mut faults);
                if let Some(key) = &key {
                    check_key(&leaf, key, &mut faults);
                }
                let rest = check_chain(&chain, &mut faults);
                loaded = Some((describe(&leaf), rest));
            }
            Err(e) => faults.push(CertFault::new(
                "certificate-unreadable",
                format!("the first certificate is not valid X.509: {e}"),
                "write the certificate again from its source",
            )),
        }
    }
    match (loaded, key) {
        (Some((leaf, chain_schemes)), Some(key)) if faults.is_empty() => Ok(Certificate {
            label: label.to_owned(),
            subject: leaf.subject,
            names: leaf.names,
            kind: key.kind(),
            signature_name: leaf.signature_name,
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            chain_schemes,
            advice: advise(&chain),
            facts: chain.iter().filter_map(|der| CertificateFacts::read(der)).collect(),
            schemes: schemes(key.kind()).to_vec(),
            certified: Arc::new(CertifiedKey::new(chain, Arc::new(RoutedKey::new(key.clone())))),
            key,
        }),
        _ => Err(faults),
    }
}

fn unusable_key(error: &KeyError) -> CertFault {
    match error {
        KeyError::Card(cex::Error::NoCardForKey { kind: kind @ KeyKind::Rsa { .. } }) => {
            CertFault::new(
                NO_CARD_FOR_KEY,
                format!(
                    "no configured card can use an {kind} key: the FIPS module signs alone, from \
                     digests, and a CEX8A (accelerator) takes padded blocks only"
                ),
                "add a [[card]] of type CEX8C",
            )
        }
        KeyError::Card(cex::Error::NoCardForKey { kind }) => CertFault::new(
            NO_CARD_FOR_KEY,
            format!(
                "no configured card can use an {kind} key: a CEX8A (accelerator) takes RSA only"
            ),
            "add a [[card]] of type CEX8C, or write ecdsa = \"cpacf\" in [route]",
        ),
        other => CertFault::new(
            "key-unsupported",
            format!("the private key cannot be used: {other}"),
            "use RSA of 2048 to 4096 bits, or EC on P-256, P-384 or P-521",
        ),
    }
}

fn read_chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertFault> {
    if text.trim_ascii().is_empty() {
        return Err(CertFault::new(
            "certificate-empty",
            "the certificate file is empty",
            "put the certificate chain there in PEM form, leaf first",
        ));
    }
    let chain = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>().map_err(
        |e: pem::Error| {
            CertFault::new(
                "certificate-not-pem",
                format!("the certificate file is not valid PEM: {e}"),
                "convert it: openssl x509 -inform DER -in FILE -out FILE.pem",
            )
        },
    )?;
    if chain.is_empty() {
        return Err(CertFault::new(
            "certificate-missing",
            "the certificate file holds no CERTIFICATE section",
            "give a PEM file with the certificate chain; the key goes into its own setting",
        ));
    }
    Ok(chain)
}

fn read_key(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, CertFault> {
    if text.trim_ascii().is_empty() {
        return Err(CertFault::new(
            "key-empty",
            "the key file is empty",
            "put the private key there in PEM form (PKCS #8, PKCS #1 or SEC 1)",
        ));
    }
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(mut key) => {
            let der = Zeroizing::new(key.secret_der().to_vec());
            key.zeroize();
            Ok(der)
        }
        Err(_) if contains(text, b"ENCRYPTED") => Err(CertFault::new(
            "key-encrypted",
            "the private key is encrypted and no passphrase can be given",
            "decrypt it: openssl pkey -in FILE -out FILE.plain, and protect the file by its mode",
        )),
        Err(pem::Error::NoItemsFound) => Err(CertFault::new(
            "key-missing",
            "the key file holds no private key",
            "give a PEM file with a PRIVATE KEY section",
        )),
        Err(e) => Err(CertFault::new(
            "key-not-pem",
            format!("the key file is not valid PEM: {e}"),
            "convert it: openssl pkey -in FILE -out FILE.pem",
        )),
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn check_validity(leaf: &X509Certificate<'_>, now: SystemTime, faults: &mut Vec<CertFault>) {
    let validity = leaf.validity();
    if now > time(validity.not_after.timestamp()) {
        faults.push(CertFault::new(
            "certificate-expired",
            format!("the certificate expired on {}", validity.not_after),
            "renew it",
        ));
    }
    if now < time(validity.not_before.timestamp()) {
        faults.push(CertFault::new(
            "certificate-not-yet-valid",
            format!("the certificate is valid from {} on", validity.not_before),
            "wait, or check the clock of this machine",
        ));
    }
}

pub(crate) fn time(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

fn check_key(leaf: &X509Certificate<'_>, key: &PrivateKey, faults: &mut Vec<CertFault>) {
    if leaf.public_key().raw != key.public_key() {
        faults.push(CertFault::new(
            "key-mismatch",
            format!(
                "the private key ({}) does not belong to the certificate ({})",
                key_name(key.kind()),
                leaf.subject()
            ),
            "compare: openssl x509 -in CERT -noout -pubkey  and  openssl pkey -in KEY -pubout",
        ));
    }
}

/// Checks that each certificate was issued by the next, and says what signed them.
fn check_chain(
    chain: &[CertificateDer<'static>],
    faults: &mut Vec<CertFault>,
) -> Vec<&'static [SignatureScheme]> {
    let mut schemes = Vec::new();
    let mut issuer_wanted: Option<(Vec<u8>, String)> = None;
    for (position, der) in chain.iter().enumerate() {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else {
            faults.push(CertFault::new(
                "chain-unreadable",
                format!("certificate {} of the chain is not valid X.509", position + 1),
                "write the chain again: leaf first, then its issuer, and so on",
            ));
            return schemes;
        };
        if let Some((wanted, name)) = &issuer_wanted
            && certificate.subject().as_raw() != wanted.as_slice()
        {
            faults.push(CertFault::new(
                "chain-order",
                format!(
                    "certificate {} of the chain is `{}`, but `{name}` issued the one before",
                    position + 1,
                    certificate.subject()
                ),
                "order the file: leaf first, then its issuer, and so on",
            ));
        }
        let issuer = certificate.issuer();
        issuer_wanted = Some((issuer.as_raw().to_vec(), issuer.to_string()));
        if certificate.subject().as_raw() != issuer.as_raw() {
            schemes.push(schemes_that_verify(&certificate));
        }
    }
    schemes
}

/// The TLS schemes of which one must be known to whoever verifies this signature.
fn schemes_that_verify(certificate: &X509Certificate<'_>) -> &'static [SignatureScheme] {
    match certificate.signature_algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.11" => &[SignatureScheme::RSA_PKCS1_SHA256],
        "1.2.840.113549.1.1.12" => &[SignatureScheme::RSA_PKCS1_SHA384],
        "1.2.840.113549.1.1.13" => &[SignatureScheme::RSA_PKCS1_SHA512],
        "1.2.840.113549.1.1.10" => &[
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
        ],
        "1.2.840.10045.4.3.2" => &[SignatureScheme::ECDSA_NISTP256_SHA256],
        "1.2.840.10045.4.3.3" => &[SignatureScheme::ECDSA_NISTP384_SHA384],
        "1.2.840.10045.4.3.4" => &[SignatureScheme::ECDSA_NISTP521_SHA512],
        "1.2.840.113549.1.1.5" => &[SignatureScheme::RSA_PKCS1_SHA1],
        "1.2.840.10045.4.1" => &[SignatureScheme::ECDSA_SHA1_Legacy],
        "1.3.101.112" => &[SignatureScheme::ED25519],
        _ => &[],
    }
}

/// The signature algorithm of a certificate as OpenSSL abbreviates it.
fn signature_name(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    Some(match certificate.signature_algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.11" => "RSA-SHA256",
        "1.2.840.113549.1.1.12" => "RSA-SHA384",
        "1.2.840.113549.1.1.13" => "RSA-SHA512",
        "1.2.840.113549.1.1.10" => "RSASSA-PSS",
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4" => "ecdsa-with-SHA512",
        "1.2.840.113549.1.1.5" => "RSA-SHA1",
        "1.2.840.10045.4.1" => "ecdsa-with-SHA1",
        "1.3.101.112" => "ED25519",
        _ => return None,
    })
}

struct Leaf {
    signature_name: Option<&'static str>,
    subject: String,
    names: Vec<NamePattern>,
    not_before: SystemTime,
    not_after: SystemTime,
}

fn describe(leaf: &X509Certificate<'_>) -> Leaf {
    let names = leaf.subject_alternative_name().ok().flatten().map_or_else(Vec::new, |san| {
        san.value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(dns) => NamePattern::parse(dns).ok(),
                _ => None,
            })
            .collect()
    });
    Leaf {
        signature_name: signature_name(leaf),
        subject: leaf.subject().to_string(),
        names,
        not_before: time(leaf.validity().not_before.timestamp()),
        not_after: time(leaf.validity().not_after.timestamp()),
    }
}

#[cfg(test)]
mod tests {
    use super::LOADING;

    #[test]
    fn every_rule_of_this_file_can_be_explained() {
        let (source, _) = include_str!("load.rs").split_once("#[cfg(test)]").unwrap_or_default();
        let named = source.split("CertFault::new(").skip(1).filter_map(|rest| {
            let rest = rest.trim_start().strip_prefix('"')?;
            rest.split('"').next()
        });
        let named: Vec<&str> = named.collect();
        assert!(named.len() >= LOADING.len(), "{named:?}");
        for name in named {
            assert!(LOADING.iter().any(|rule| rule.name == name), "{name}");
        }
    }
}
