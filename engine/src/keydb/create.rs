//! Making certificates, keys and requests inside a database, and taking answers in.

use std::time::SystemTime;

use cex::{Hash, KeyKind};
use x509_cert::der::{Decode, Encode};
use x509_cert::name::Name;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::X509Certificate;
use x509_parser::x509::X509Name;
use zeroize::Zeroizing;

use super::error::{Class, Error};
use super::issue::{self, Holder, Issuer, Terms};
use super::names::{AltName, Subject};
use super::pkcs12::SealedKey;
use super::signer::Signer;
use super::verify::{self, issued, parse, parse_request};
use super::{Database, Entry, check_label, key_id};

/// A certificate that was made for somebody else's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// DER.
    pub certificate: Vec<u8>,
    /// What its holder may be surprised by.
    pub notices: Vec<String>,
}

impl Database {
    /// Makes a key and a self-signed CA certificate for it.
    ///
    /// # Errors
    ///
    /// When label, subject or terms cannot be used, or no key can be made.
    pub fn create_ca(
        &mut self,
        label: &str,
        kind: KeyKind,
        subject: &Subject,
        terms: &Terms,
        now: SystemTime,
    ) -> Result<(), Error> {
        self.check_free(label)?;
        let name = subject.name()?;
        let (key, signer) = self.new_key(kind)?;
        let public_key = signer.public_key();
        let holder = Holder { name, public_key };
        let certificate = issue::certificate(&signer, None, holder, terms, now)?;
        self.add_made(label, certificate, key, &signer, true)
    }

    /// Makes a key and a certificate for it, signed by a CA of this database. Returns what may
    /// surprise its holder.
    ///
    /// # Errors
    ///
    /// When label, CA, subject or terms cannot be used, or no key can be made.
    pub fn create_signed(
        &mut self,
        label: &str,
        ca: &str,
        kind: KeyKind,
        subject: &Subject,
        terms: &Terms,
        now: SystemTime,
    ) -> Result<Vec<String>, Error> {
        self.check_free(label)?;
        let name = subject.name()?;
        let (ca_signer, issuer, notices) = self.ca(ca, terms, now)?;
        let (key, signer) = self.new_key(kind)?;
        let holder = Holder { name, public_key: signer.public_key() };
        let certificate = issue::certificate(&ca_signer, Some(&issuer), holder, terms, now)?;
        self.add_made(label, certificate, key, &signer, true)?;
        Ok(notices)
    }

    /// Makes a key and a request for it; returns DER of the request (PKCS #10).
    ///
    /// # Errors
    ///
    /// When label, subject or names cannot be used, or no key can be made.
    pub fn create_request(
        &mut self,
        label: &str,
        kind: KeyKind,
        subject: &Subject,
        names: &[AltName],
        hash: Option<Hash>,
    ) -> Result<Vec<u8>, Error> {
        self.check_free(label)?;
        let name = subject.name()?;
        let (key, signer) = self.new_key(kind)?;
        let request = issue::request(&signer, name, names, hash)?;
        self.add(Entry {
            label: label.to_owned(),
            certificate: None,
            key: Some(key),
            key_id: Some(key_id(signer.public_key())?),
            request: Some(request.clone()),
            trusted: true,
        })?;
        Ok(request)
    }

    /// Makes a request for the key and the names that a label has already.
    ///
    /// # Errors
    ///
    /// When it has no certificate or no key.
    pub fn renewal_request(&mut self, label: &str, hash: Option<Hash>) -> Result<Vec<u8>, Error> {
        let certificate = self.with_certificate(label)?.certificate.clone().unwrap_or_default();
        let signer = Signer::load(self.private_key(label)?)?;
        let request = issue::renewal_request(&signer, &certificate, hash)?;
        let entry = self.get_mut(label)?;
        entry.request = Some(request.clone());
        entry.key_id = Some(key_id(signer.public_key())?);
        Ok(request)
    }

    /// Signs somebody's request with a CA of this database. Names given in the terms replace those
    /// that the request asks for.
    ///
    /// # Errors
    ///
    /// When the request or its key cannot be used, or the CA cannot sign.
    pub fn sign_request(
        &self,
        ca: &str,
        request: &[u8],
        terms: &Terms,
        now: SystemTime,
    ) -> Result<Signed, Error> {
        let parsed = parse_request(request)?;
        let info = &parsed.certification_request_info;
        match verify::key_kind(&info.subject_pki) {
            Some(KeyKind::Ec(_)) => {}
            Some(KeyKind::Rsa { bits }) if (2048..=4096).contains(&bits) => {}
            Some(KeyKind::Rsa { bits }) => {
                return Err(Error::new(
                    Class::Policy,
                    format!("the key of the request is RSA of {bits} bits"),
                    "have it made again with 2048 to 4096 bits",
                ));
            }
            None => {
                return Err(Error::data(
                    "the key of the request is of an unsupported type",
                    "have it made again: RSA of 2048 to 4096 bits, or P-256, P-384 or P-521",
                ));
            }
        }
        let name = Name::from_der(info.subject.as_raw()).map_err(|error| {
            Error::data(format!("the subject of the request: {error}"), "have it made again")
        })?;
        let mut terms = terms.clone();
        if terms.names.is_empty() {
            terms.names = requested_names(&parsed)?;
        }
        add_mailboxes(&info.subject, &mut terms.names)?;
        let (signer, issuer, notices) = self.ca(ca, &terms, now)?;
        let holder = Holder { name, public_key: info.subject_pki.raw };
        let certificate = issue::certificate(&signer, Some(&issuer), holder, &terms, now)?;
        Ok(Signed { certificate, notices })
    }

    /// Takes in the answer to a request: a certificate for a key of this database. Returns its
    /// label.
    ///
    /// # Errors
    ///
    /// When no key here is the certificate's.
    pub fn receive(&mut self, certificate: &[u8]) -> Result<String, Error> {
        let parsed = parse(certificate)?;
        let wanted = parsed.public_key().raw;
        let mut found = None;
        for (position, entry) in self.entries.iter().enumerate() {
            let Some(key) = &entry.key else { continue };
            let is_it = match &entry.key_id {
                Some(id) if *id == key_id(wanted)? => true,
                // Another program made up its own id: the key itself must say.
                _ => cex::inspect(&key.open(&self.password)?).is_ok_and(|(_, spki)| spki == wanted),
            };
            // A label that waits goes before one that is served already with the same key.
            if is_it && (found.is_none() || entry.request.is_some()) {
                found = Some(position);
            }
        }
        let Some(position) = found else {
            return Err(Error::data(
                "no key in this database is that of the certificate",
                "receive it where its request was made, or import it as a certificate",
            ));
        };
        let entry = &mut self.entries[position];
        entry.key_id = Some(key_id(wanted)?);
        entry.certificate = Some(certificate.to_vec());
        entry.request = None;
        let label = entry.label.clone();
        // It may have been imported before, without its key: one certificate has one label.
        self.entries
            .retain(|other| other.key.is_some() || other.certificate() != Some(certificate));
        Ok(label)
    }

    /// Signs a certificate of this database again, for the same key and names, with the key of its
    /// issuer. Returns what may surprise its holder.
    ///
    /// # Errors
    ///
    /// When the issuer or its key is not here.
    pub fn renew(
        &mut self,
        label: &str,
        days: Option<u32>,
        hash: Option<Hash>,
        now: SystemTime,
    ) -> Result<Vec<String>, Error> {
        let entry = self.with_certificate(label)?;
        let old = entry.certificate.clone().unwrap_or_default();
        let Some(issuer) = self.issuer_of(entry) else {
            return Err(Error::new(
                Class::Missing,
                format!("the issuer of \"{label}\" is not in this database"),
                "write a request for it: adjunct keydb renew DATABASE LABEL --request FILE",
            ));
        };
        let issuer_label = issuer.label.clone();
        let days = match days {
            Some(days) => days,
            None => days_of(&parse(&old)?),
        };
        let (is_self, mut notices) = (issuer_label == label, Vec::new());
        let (signer, issuer) = if is_self {
            (Signer::load(self.private_key(label)?)?, Issuer::of(&old)?)
        } else {
            let (signer, issuer, more) = self.signing_ca(&issuer_label, days, now)?;
            notices = more;
            (signer, issuer)
        };
        let renewed = issue::renewed(&signer, &issuer, &old, days, hash, now)?;
        let entry = self.get_mut(label)?;
        entry.certificate = Some(renewed);
        Ok(notices)
    }

    /// The labels of an entry's issuer and of itself, for `show`.
    #[must_use]
    pub fn issuer_label(&self, label: &str) -> Option<&str> {
        self.issuer_of(self.find(label)?).map(Entry::label)
    }

    fn check_free(&self, label: &str) -> Result<(), Error> {
        check_label(label)?;
        match self.entries.iter().find(|entry| super::same(&entry.label, label)) {
            Some(taken) => Err(Error::new(
                Class::Policy,
                format!("the label \"{}\" is taken", taken.label),
                "choose another (case makes no difference)",
            )),
            None => Ok(()),
        }
    }

    /// A new key: encrypted, and loaded for one signature.
    fn new_key(&self, kind: KeyKind) -> Result<(SealedKey, Signer), Error> {
        if let KeyKind::Rsa { bits } = kind
            && ![2048, 3072, 4096].contains(&bits)
        {
            return Err(Error::new(
                Class::Policy,
                format!("an RSA key of {bits} bits is not made"),
                "choose 2048, 3072 or 4096 bits: smaller ones are broken, cards take no larger",
            ));
        }
        let der = cex::generate(kind)?;
        let sealed = SealedKey::seal(&der, &self.password)?;
        Ok((sealed, Signer::load(der)?))
    }

    fn add_made(
        &mut self,
        label: &str,
        certificate: Vec<u8>,
        key: SealedKey,
        signer: &Signer,
        trusted: bool,
    ) -> Result<(), Error> {
        let id = key_id(signer.public_key())?;
        self.add(Entry {
            label: label.to_owned(),
            certificate: Some(certificate),
            key: Some(key),
            key_id: Some(id),
            request: None,
            trusted,
        })?;
        // The first key that a server could use is the default one, as in gskkyman.
        let is_ca = parse(self.with_certificate(label)?.certificate().unwrap_or_default())?.is_ca();
        if self.default.is_none() && !is_ca {
            self.default = Some(label.to_owned());
        }
        Ok(())
    }

    /// A CA that is about to sign under these terms.
    fn ca(
        &self,
        label: &str,
        terms: &Terms,
        now: SystemTime,
    ) -> Result<(Signer, Issuer, Vec<String>), Error> {
        let ca = self.signing_ca(label, terms.days, now)?;
        if terms.usage.is_ca() {
            let certificate = self.with_certificate(label)?.certificate().unwrap_or_default();
            let constraints = parse(certificate)?;
            let constraints = constraints.basic_constraints().ok().flatten();
            if constraints.is_some_and(|c| c.value.path_len_constraint == Some(0)) {
                return Err(Error::new(
                    Class::Policy,
                    format!("\"{label}\" may have no CA below it (path length 0)"),
                    "let another CA sign, or renew it without this constraint",
                ));
            }
        }
        Ok(ca)
    }

    fn signing_ca(
        &self,
        label: &str,
        days: u32,
        now: SystemTime,
    ) -> Result<(Signer, Issuer, Vec<String>), Error> {
        let certificate = self.with_certificate(label)?.certificate().unwrap_or_default();
        let parsed = parse(certificate)?;
        let refuse = |why: &str| {
            let what = format!("\"{label}\" cannot sign certificates: {why}");
            Err(Error::new(Class::Policy, what, "name a CA of this database, see `list`"))
        };
        if let Some(why) = verify::not_a_ca(&parsed, 0) {
            return refuse(&why);
        }
        let end = crate::certs::time(parsed.validity().not_after.timestamp());
        if end < now {
            return refuse(&format!("it expired on {}", parsed.validity().not_after));
        }
        let wanted = now + std::time::Duration::from_secs(u64::from(days) * 86_400);
        let mut notices = Vec::new();
        if wanted > end + std::time::Duration::from_secs(60) {
            notices.push(format!(
                "the certificate outlives its CA \"{label}\", which ends on {}: clients refuse it \
                 from then on unless the CA is renewed",
                parsed.validity().not_after
            ));
        }
        let signer = Signer::load(self.private_key(label)?)?;
        if signer.public_key() != parsed.public_key().raw {
            return refuse("its key is not that of its certificate");
        }
        Ok((signer, Issuer::of(certificate)?, notices))
    }

    /// Whether the certificate of an entry is self-signed.
    #[must_use]
    pub fn is_self_signed(&self, entry: &Entry) -> bool {
        let parsed = entry.certificate().and_then(|der| parse(der).ok());
        parsed.is_some_and(|certificate| issued(&certificate, &certificate))
    }
}

/// The length of a certificate's validity.
fn days_of(certificate: &X509Certificate<'_>) -> u32 {
    let validity = certificate.validity();
    let seconds = validity.not_after.timestamp() - validity.not_before.timestamp();
    u32::try_from((seconds + 1) / 86_400).unwrap_or(365).max(1)
}

/// The alternative names that a request asks for.
fn requested_names(
    request: &x509_parser::certification_request::X509CertificationRequest<'_>,
) -> Result<Vec<AltName>, Error> {
    let mut names = Vec::new();
    for extension in request.requested_extensions().into_iter().flatten() {
        let ParsedExtension::SubjectAlternativeName(wanted) = extension else { continue };
        for name in &wanted.general_names {
            names.push(match name {
                GeneralName::DNSName(dns) => AltName::parse(&format!("dns:{dns}"))?,
                GeneralName::RFC822Name(mailbox) => AltName::parse(&format!("email:{mailbox}"))?,
                GeneralName::URI(uri) => AltName::parse(&format!("uri:{uri}"))?,
                GeneralName::IPAddress(bytes) => AltName::Ip(address(bytes)?),
                other => {
                    return Err(Error::data(
                        format!("the request asks for a name of an unsupported kind: {other}"),
                        "give the names yourself with --san",
                    ));
                }
            });
        }
    }
    Ok(names)
}

/// A mailbox in the subject stands among the names as well (RFC 5280 §4.1.2.6).
fn add_mailboxes(subject: &X509Name<'_>, names: &mut Vec<AltName>) -> Result<(), Error> {
    for mailbox in subject.iter_email().filter_map(|mailbox| mailbox.as_str().ok()) {
        let name = AltName::parse(&format!("email:{mailbox}"))?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(())
}

fn address(bytes: &[u8]) -> Result<std::net::IpAddr, Error> {
    let v4 = <[u8; 4]>::try_from(bytes).map(Into::into);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(Into::into)).map_err(|_| {
        Error::data("the request asks for an address of neither 4 nor 16 bytes", "give --san")
    })
}

/// Seals a key that came from outside.
pub(super) fn seal_foreign(
    der: &Zeroizing<Vec<u8>>,
    password: &str,
) -> Result<(SealedKey, Vec<u8>), Error> {
    let (_, spki) = cex::inspect(der)?;
    Ok((SealedKey::seal(&pkcs8(der)?, password)?, spki))
}

/// A key in PKCS #8, whatever it came in: PKCS #12 holds nothing else.
fn pkcs8(der: &Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, Error> {
    use ::pkcs12::safe_bag::{Pkcs8Version, PrivateKeyInfo};
    use x509_cert::der::asn1::OctetString;
    use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

    if is_pkcs8(der) {
        return Ok(der.clone());
    }
    // The algorithm of the public key is that of the private one, curve included.
    let (_, spki) = cex::inspect(der)?;
    let spki = SubjectPublicKeyInfoOwned::from_der(&spki).map_err(Error::internal)?;
    let AlgorithmIdentifierOwned { oid, parameters } = spki.algorithm;
    let info = PrivateKeyInfo {
        version: Pkcs8Version::V0,
        algorithm: AlgorithmIdentifierOwned { oid, parameters },
        private_key: OctetString::new(der.to_vec()).map_err(Error::internal)?,
        attributes: None,
    };
    let wrapped = info.to_der().map(Zeroizing::new).map_err(Error::internal)?;
    // The copy inside is overwritten as well.
    drop(Zeroizing::new(info.private_key.into_bytes()));
    Ok(wrapped)
}

/// SEQUENCE { INTEGER, SEQUENCE .. }; looked at in place, so that no copy of the key is left.
fn is_pkcs8(der: &[u8]) -> bool {
    use x509_cert::der::asn1::AnyRef;
    use x509_cert::der::{Reader, SliceReader, Tag, Tagged};
    let second = AnyRef::from_der(der).ok().and_then(|outer| {
        let mut reader = SliceReader::new(outer.value()).ok()?;
        let _version: AnyRef<'_> = reader.decode().ok()?;
        reader.decode::<AnyRef<'_>>().ok()
    });
    second.is_some_and(|second| second.tag() == Tag::Sequence)
}
