//! Certificates and requests: what is written into them, and signing them.
//!
//! A certificate made here has version 3, a random serial number of 16 bytes, key identifiers by
//! SHA-256 (RFC 7093), critical key usage, and nothing that its usage does not need. A server's
//! key signs only: no suite that is served transports keys.
//!
//! Source: RFC 5280 §4, RFC 2986, RFC 7093.

use std::time::{Duration, SystemTime};

use cex::Hash;
use cpacf::{digest, prno};
use x509_cert::certificate::{Certificate, TbsCertificate, Version};
use x509_cert::der::asn1::{BitString, GeneralizedTime, ObjectIdentifier, OctetString, UtcTime};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
    SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::name::Name;
use x509_cert::request::{CertReq, CertReqInfo, ExtensionReq};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::{Time, Validity};

use super::error::Error;
use super::names::AltName;
use super::signer::Signer;

const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// Longest validity; notAfter must stay below the year 10000.
const DAYS_MAX: u32 = 36_525;

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// To sign certificates and CRLs, with at most so many CAs below it.
    Ca {
        /// pathLenConstraint.
        path_len: Option<u8>,
    },
    /// A TLS server.
    Server,
    /// A TLS client.
    Client,
    /// Both.
    Both,
}

impl Usage {
    /// Whether it is a CA.
    #[must_use]
    pub fn is_ca(self) -> bool {
        matches!(self, Self::Ca { .. })
    }

    fn is_server(self) -> bool {
        matches!(self, Self::Server | Self::Both)
    }
}

/// What the issuer decides about a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What it is for.
    pub usage: Usage,
    /// Days of validity, from the moment of signing.
    pub days: u32,
    /// Hash of the signature; by the issuer's key if not given.
    pub hash: Option<Hash>,
    /// Subject alternative names.
    pub names: Vec<AltName>,
}

/// Who signs, from its certificate; a self-signed certificate has none.
pub(super) struct Issuer {
    pub(super) name: Name,
    pub(super) key_id: Vec<u8>,
}

impl Issuer {
    /// From DER of the CA's certificate.
    pub(super) fn of(certificate: &[u8]) -> Result<Self, Error> {
        let parsed = decode(certificate)?;
        let tbs = &parsed.tbs_certificate;
        let stated = tbs.get::<SubjectKeyIdentifier>().ok().flatten();
        let key_id = match stated {
            Some((_, id)) => id.0.as_bytes().to_vec(),
            None => key_id(&tbs.subject_public_key_info)?,
        };
        // Clients compare names as bytes, so ours must be those of the CA.
        let name = tbs.subject.clone();
        let raw = x509_subject(certificate)?;
        if name.to_der().map_err(Error::internal)? != raw {
            return Err(Error::data(
                "the subject of the CA is not encoded in DER, so no certificate can name it",
                "renew the CA's certificate",
            ));
        }
        Ok(Self { name, key_id })
    }
}

fn x509_subject(certificate: &[u8]) -> Result<Vec<u8>, Error> {
    let parsed = super::verify::parse(certificate)?;
    Ok(parsed.subject().as_raw().to_vec())
}

pub(super) fn decode(certificate: &[u8]) -> Result<Certificate, Error> {
    Certificate::from_der(certificate).map_err(|error| {
        Error::data(
            format!("the certificate is not valid X.509: {error}"),
            "write it again from its source",
        )
    })
}

/// The subject and the public key that a certificate is made for.
pub(super) struct Holder<'a> {
    pub(super) name: Name,
    /// DER of the SubjectPublicKeyInfo.
    pub(super) public_key: &'a [u8],
}

/// Makes and signs a certificate; `issuer` is none for a self-signed one.
pub(super) fn certificate(
    signer: &Signer,
    issuer: Option<&Issuer>,
    holder: Holder<'_>,
    terms: &Terms,
    now: SystemTime,
) -> Result<Vec<u8>, Error> {
    let spki = public_key(holder.public_key)?;
    let own_id = key_id(&spki)?;
    let mut extensions = vec![extension(&SubjectKeyIdentifier(octets(&own_id)?), false)?];
    extensions.push(authority(issuer.map_or(&own_id, |issuer| &issuer.key_id))?);
    extensions.extend(of_usage(terms.usage)?);
    let is_nameless = holder.name.0.is_empty();
    check_names(terms, is_nameless)?;
    if !terms.names.is_empty() {
        // RFC 5280 §4.2.1.6: where there is no subject, nobody may pass over the names.
        extensions.push(alternative_names(&terms.names, is_nameless)?);
    }
    let validity = validity(now, terms.days)?;
    let issuer_name = issuer.map_or_else(|| holder.name.clone(), |issuer| issuer.name.clone());
    sign(signer, terms.hash, |signature| {
        Ok(TbsCertificate {
            version: Version::V3,
            serial_number: serial_number()?,
            signature,
            issuer: issuer_name,
            validity,
            subject: holder.name,
            subject_public_key_info: spki,
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: Some(extensions),
        })
    })
}

/// Whoever gets a certificate must be told by something in it.
fn check_names(terms: &Terms, is_nameless: bool) -> Result<(), Error> {
    let is_mailbox = |name: &AltName| matches!(name, AltName::Email(_));
    if terms.usage.is_server() && terms.names.iter().all(is_mailbox) {
        return Err(Error::argument(
            "a server certificate needs a subject alternative name: no client looks at the common \
             name any more",
            "give the name that clients connect to, e.g. --san www.example.com",
        ));
    }
    if is_nameless && (terms.usage.is_ca() || terms.names.is_empty()) {
        let needs = if terms.usage.is_ca() { "" } else { " or a subject alternative name" };
        return Err(Error::data(
            format!("the request has an empty subject, and this certificate needs one{needs}"),
            "have the request made again with a subject, at least a common name",
        ));
    }
    Ok(())
}

/// The same certificate again, with a new serial number and validity.
pub(super) fn renewed(
    signer: &Signer,
    issuer: &Issuer,
    old: &[u8],
    days: u32,
    hash: Option<Hash>,
    now: SystemTime,
) -> Result<Vec<u8>, Error> {
    let mut tbs = decode(old)?.tbs_certificate;
    tbs.version = Version::V3;
    tbs.serial_number = serial_number()?;
    tbs.validity = validity(now, days)?;
    tbs.issuer = issuer.name.clone();
    let extensions = tbs.extensions.get_or_insert_default();
    extensions.retain(|extension| extension.extn_id != AuthorityKeyIdentifier::OID);
    extensions.push(authority(&issuer.key_id)?);
    sign(signer, hash, |signature| {
        tbs.signature = signature;
        Ok(tbs)
    })
}

fn sign(
    signer: &Signer,
    hash: Option<Hash>,
    make: impl FnOnce(x509_cert::spki::AlgorithmIdentifierOwned) -> Result<TbsCertificate, Error>,
) -> Result<Vec<u8>, Error> {
    let hash = hash.unwrap_or_else(|| signer.usual_hash());
    let signature_algorithm = signer.algorithm(hash);
    let tbs_certificate = make(signature_algorithm.clone())?;
    let message = tbs_certificate.to_der().map_err(Error::internal)?;
    let signature = signer.sign(hash, &message)?;
    let signature = BitString::from_bytes(&signature).map_err(Error::internal)?;
    let certificate = Certificate { tbs_certificate, signature_algorithm, signature };
    certificate.to_der().map_err(Error::internal)
}

/// Makes and signs a request (PKCS #10).
pub(super) fn request(
    signer: &Signer,
    subject: Name,
    names: &[AltName],
    hash: Option<Hash>,
) -> Result<Vec<u8>, Error> {
    let mut attributes = x509_cert::attr::Attributes::new();
    if !names.is_empty() {
        let wanted = ExtensionReq(vec![alternative_names(names, false)?]);
        let wanted = wanted.try_into().map_err(encoding)?;
        attributes.insert(wanted).map_err(encoding)?;
    }
    request_with(signer, subject, attributes, hash)
}

/// A request for what a certificate has already.
pub(super) fn renewal_request(
    signer: &Signer,
    certificate: &[u8],
    hash: Option<Hash>,
) -> Result<Vec<u8>, Error> {
    let tbs = decode(certificate)?.tbs_certificate;
    let mut attributes = x509_cert::attr::Attributes::new();
    let names: Vec<Extension> = tbs
        .extensions
        .unwrap_or_default()
        .into_iter()
        .filter(|extension| extension.extn_id == SubjectAltName::OID)
        .collect();
    if !names.is_empty() {
        attributes.insert(ExtensionReq(names).try_into().map_err(encoding)?).map_err(encoding)?;
    }
    request_with(signer, tbs.subject, attributes, hash)
}

fn request_with(
    signer: &Signer,
    subject: Name,
    attributes: x509_cert::attr::Attributes,
    hash: Option<Hash>,
) -> Result<Vec<u8>, Error> {
    let hash = hash.unwrap_or_else(|| signer.usual_hash());
    let info = CertReqInfo {
        version: x509_cert::request::Version::V1,
        subject,
        public_key: public_key(signer.public_key())?,
        attributes,
    };
    let message = info.to_der().map_err(encoding)?;
    let signature = BitString::from_bytes(&signer.sign(hash, &message)?).map_err(encoding)?;
    CertReq { info, algorithm: signer.algorithm(hash), signature }.to_der().map_err(encoding)
}

#[allow(clippy::needless_pass_by_value, reason = "given to map_err")]
fn encoding(error: x509_cert::der::Error) -> Error {
    Error::internal(error)
}

fn public_key(spki: &[u8]) -> Result<SubjectPublicKeyInfoOwned, Error> {
    SubjectPublicKeyInfoOwned::from_der(spki).map_err(Error::internal)
}

/// RFC 7093 §2, method 1: the first 160 bits of SHA-256 over the key.
fn key_id(spki: &SubjectPublicKeyInfoOwned) -> Result<Vec<u8>, Error> {
    let bits = spki.subject_public_key.raw_bytes();
    let digest = digest::digest(digest::Algorithm::Sha256, bits).map_err(Error::internal)?;
    Ok(digest.as_ref().iter().copied().take(20).collect())
}

fn octets(bytes: &[u8]) -> Result<OctetString, Error> {
    OctetString::new(bytes.to_vec()).map_err(Error::internal)
}

fn extension<T: Encode + AssociatedOid>(value: &T, critical: bool) -> Result<Extension, Error> {
    let extn_value = octets(&value.to_der().map_err(Error::internal)?)?;
    Ok(Extension { extn_id: T::OID, critical, extn_value })
}

fn authority(key_id: &[u8]) -> Result<Extension, Error> {
    let key_identifier = Some(octets(key_id)?);
    extension(&AuthorityKeyIdentifier { key_identifier, ..Default::default() }, false)
}

fn alternative_names(names: &[AltName], critical: bool) -> Result<Extension, Error> {
    let names = names.iter().map(AltName::general_name).collect::<Result<Vec<_>, _>>()?;
    extension(&SubjectAltName(names), critical)
}

fn of_usage(usage: Usage) -> Result<Vec<Extension>, Error> {
    let purposes = match usage {
        Usage::Ca { path_len } => {
            return Ok(vec![
                extension(&BasicConstraints { ca: true, path_len_constraint: path_len }, true)?,
                extension(&KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign), true)?,
            ]);
        }
        Usage::Server => vec![SERVER_AUTH],
        Usage::Client => vec![CLIENT_AUTH],
        Usage::Both => vec![SERVER_AUTH, CLIENT_AUTH],
    };
    Ok(vec![
        extension(&KeyUsage(KeyUsages::DigitalSignature.into()), true)?,
        extension(&ExtendedKeyUsage(purposes), false)?,
    ])
}

/// From now on, to the second before the same time of day so many days later: both ends count.
fn validity(now: SystemTime, days: u32) -> Result<Validity, Error> {
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(Error::argument(
            format!("{days} days cannot be a validity"),
            format!("write 1 to {DAYS_MAX} days"),
        ));
    }
    let end = now + Duration::from_secs(u64::from(days) * 86_400 - 1);
    Ok(Validity { not_before: time_of(now)?, not_after: time_of(end)? })
}

/// RFC 5280 §4.1.2.5: UTCTime as long as its two digits of a year do.
fn time_of(moment: SystemTime) -> Result<Time, Error> {
    let short = UtcTime::from_system_time(moment).map(Time::UtcTime);
    let time = short.or_else(|_| GeneralizedTime::from_system_time(moment).map(Time::GeneralTime));
    time.map_err(Error::internal)
}

/// 126 random bits, always of 16 bytes and positive.
fn serial_number() -> Result<SerialNumber, Error> {
    let mut bytes = [0; 16];
    prno::fill(&mut bytes).map_err(Error::internal)?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    SerialNumber::new(&bytes).map_err(Error::internal)
}
