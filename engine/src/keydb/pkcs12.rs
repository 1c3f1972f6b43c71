//! PKCS #12 as openssl and keytool write and read it.
//!
//! Written: one safe of certificates (PBES2: AES-256-CBC, PBKDF2 with HMAC-SHA-256), one of private
//! keys (each shrouded by the same scheme with a salt of its own), and a MAC with SHA-256.
//! `friendlyName` is the label, `localKeyId` ties a key to its certificate. A certificate without
//! key that is trusted carries Oracle's attribute, without which keytool does not list it.
//!
//! Read: whatever of this form another program made. Obsolete encryption (RC2, triple DES) and MACs
//! with SHA-1 are refused with the command that converts the file.
//!
//! Private keys stay encrypted in memory until one is used: a rewrite carries the shrouded bytes
//! over. All counts of iterations are bounded, since they come from the file.
//!
//! Source: RFC 7292, RFC 8018, RFC 9579 (PBES2 in PKCS #12).

use ::pkcs12::authenticated_safe::AuthenticatedSafe;
use ::pkcs12::cert_type::CertBag;
use ::pkcs12::digest_info::DigestInfo;
use ::pkcs12::kdf::{Pkcs12KeyType, derive_key_utf8};
use ::pkcs12::mac_data::MacData;
use ::pkcs12::pbe_params::EncryptedPrivateKeyInfo;
use ::pkcs12::pfx::{Pfx, Version};
use ::pkcs12::safe_bag::{PrivateKeyInfo, SafeBag, SafeContents};
use ::pkcs12::{
    PKCS_12_CERT_BAG_OID, PKCS_12_KEY_BAG_OID, PKCS_12_PKCS8_KEY_BAG_OID, PKCS_12_X509_CERT_OID,
};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::encrypted_data::EncryptedData;
use cms::enveloped_data::EncryptedContentInfo;
use cpacf::digest::Algorithm;
use cpacf::{hmac, prno};
use pkcs5::EncryptionScheme;
use pkcs5::pbes2::{self, Kdf};
use x509_cert::attr::Attribute;
use x509_cert::der::asn1::{
    Any, AnyRef, BmpString, ContextSpecific, ObjectIdentifier, OctetString, SetOfVec,
};
use x509_cert::der::{Decode, Encode, Reader, SliceReader};
use x509_cert::spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use super::error::{Class, Error};

const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
const FRIENDLY_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.20");
const LOCAL_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.21");
const PBMAC1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.14");
const SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
/// Oracle's "trusted key usage", and the usage that stands for all.
const TRUSTED_USAGE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("2.16.840.1.113894.746875.1.1");
const ANY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// Iterations of every key derivation that is written: ten times keytool's, fifty times openssl's.
/// Opening a database costs three derivations, writing it three more.
pub(super) const ITERATIONS: u32 = 100_000;

/// More iterations than any program writes; a file that asks for more would keep us busy for ever.
pub(super) const ITERATIONS_MAX: u32 = 10_000_000;

const CONVERT: &str = "convert it: openssl pkcs12 -legacy -in FILE -nodes | openssl pkcs12 -export";

/// A private key, encrypted with the password of its database (DER of an
/// EncryptedPrivateKeyInfo).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SealedKey(Vec<u8>);

impl SealedKey {
    /// Encrypts a PKCS #8 key.
    pub(super) fn seal(pkcs8: &[u8], password: &str) -> Result<Self, Error> {
        let (encryption_algorithm, encrypted) = encrypt(pkcs8, password)?;
        let info = EncryptedPrivateKeyInfo {
            encryption_algorithm,
            encrypted_data: OctetString::new(encrypted).map_err(unencodable)?,
        };
        Ok(Self(info.to_der().map_err(unencodable)?))
    }

    /// Decrypts it.
    pub(super) fn open(&self, password: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let info = EncryptedPrivateKeyInfo::from_der(&self.0).map_err(damaged)?;
        decrypt(&info.encryption_algorithm, info.encrypted_data.as_bytes(), password)
    }
}

/// One object of the file.
#[derive(Debug, Clone)]
pub(super) struct Bag {
    pub(super) label: Option<String>,
    pub(super) key_id: Option<Vec<u8>>,
    /// Whether it carries Oracle's attribute.
    pub(super) trusted: bool,
    pub(super) content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    /// DER of a certificate.
    Certificate(Vec<u8>),
    Key(SealedKey),
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) bags: Vec<Bag>,
    /// Objects of other kinds (CRLs, secret keys), which are not kept.
    pub(super) others: usize,
}

/// Reads a file.
pub(super) fn read(bytes: &[u8], password: &str) -> Result<Read, Error> {
    check_outside(bytes)?;
    let pfx = Pfx::from_der(bytes).map_err(damaged)?;
    let safe = content(&pfx.auth_safe)?;
    let mac = pfx.mac_data.ok_or_else(|| {
        Error::new(
            Class::Future,
            "the file has no MAC, so nothing shows whether it was changed",
            "make it with a password: openssl pkcs12 -export",
        )
    })?;
    verify_mac(&mac, safe.as_bytes(), password)?;
    let mut found = Read::default();
    for part in AuthenticatedSafe::from_der(safe.as_bytes()).map_err(damaged)? {
        let bags = if part.content_type == ENCRYPTED_DATA {
            let data: EncryptedData = part.content.decode_as().map_err(damaged)?;
            let info = data.enc_content_info;
            let encrypted = info.encrypted_content.as_ref().map_or(&[][..], OctetString::as_bytes);
            decrypt(&info.content_enc_alg, encrypted, password)?
        } else {
            Zeroizing::new(content(&part)?.as_bytes().to_vec())
        };
        for bag in SafeContents::from_der(&bags).map_err(damaged)? {
            match read_bag(&bag, password)? {
                Some(bag) => found.bags.push(bag),
                None => found.others += 1,
            }
        }
    }
    Ok(found)
}

/// Tells what is no PKCS #12, what was cut and what a later version made, before a parser that
/// knows one version only says "not valid".
fn check_outside(bytes: &[u8]) -> Result<(), Error> {
    if bytes.is_empty() {
        return Err(Error::data("the file is empty", RESTORE));
    }
    let Ok(outer) = AnyRef::from_der(bytes) else {
        let what = if bytes.first() == Some(&0x30) {
            "the file is cut short or damaged: its length is not the one it announces"
        } else {
            "the file is not PKCS #12"
        };
        return Err(Error::data(what, RESTORE));
    };
    let version = SliceReader::new(outer.value()).and_then(|mut reader| reader.decode::<u64>());
    match version {
        Ok(3) => Ok(()),
        Ok(other) => Err(Error::new(
            Class::Future,
            format!("the file is PKCS #12 of version {other}, and this program reads version 3"),
            "use the version of Adjunct that made it",
        )),
        Err(_) => Err(Error::data("the file is not PKCS #12", RESTORE)),
    }
}

const RESTORE: &str = "name a key database, or restore it from a copy";

fn content(info: &ContentInfo) -> Result<OctetString, Error> {
    if info.content_type != DATA {
        return Err(Error::new(
            Class::Future,
            format!("the file uses content of type {}, which is not supported", info.content_type),
            "export it with a password: openssl pkcs12 -export",
        ));
    }
    info.content.decode_as().map_err(damaged)
}

fn verify_mac(mac: &MacData, message: &[u8], password: &str) -> Result<(), Error> {
    let (algorithm, key) = match mac.mac.algorithm.oid {
        SHA_256 => (Algorithm::Sha256, mac_key::<sha2::Sha256>(mac, password, 32)?),
        SHA_384 => (Algorithm::Sha384, mac_key::<sha2::Sha384>(mac, password, 48)?),
        SHA_512 => (Algorithm::Sha512, mac_key::<sha2::Sha512>(mac, password, 64)?),
        SHA_1 => return Err(obsolete("a MAC with SHA-1")),
        PBMAC1 => {
            return Err(Error::new(
                Class::Future,
                "the MAC of the file is PBMAC1 (RFC 9879), which this version does not read",
                "export it without -pbmac1_pbkdf2",
            ));
        }
        other => {
            return Err(Error::new(
                Class::Future,
                format!("the MAC of the file uses the hash {other}, which is not supported"),
                "export it with -macalg SHA256",
            ));
        }
    };
    hmac::Key::new(algorithm, &key)
        .and_then(|key| key.verify(&[message], mac.mac.digest.as_bytes()))
        .map_err(|_| {
            Error::new(
                Class::Password,
                "the password is wrong, or the file was changed",
                "give the password of this database; if it is right, restore the file from a copy",
            )
        })
}

fn mac_key<D>(mac: &MacData, password: &str, len: usize) -> Result<Zeroizing<Vec<u8>>, Error>
where
    D: sha2::Digest + sha2::digest::FixedOutputReset + sha2::digest::core_api::BlockSizeUser,
{
    let iterations = u32::try_from(mac.iterations).unwrap_or(0);
    if !(1..=ITERATIONS_MAX).contains(&iterations) || mac.mac_salt.as_bytes().is_empty() {
        return Err(too_much_work());
    }
    let salt = mac.mac_salt.as_bytes();
    derive_key_utf8::<D>(password, salt, Pkcs12KeyType::Mac, mac.iterations, len)
        .map(Zeroizing::new)
        .map_err(|_| {
            Error::new(
                Class::Password,
                "the password has characters that PKCS #12 cannot express",
                "use characters of the Basic Multilingual Plane",
            )
        })
}

fn read_bag(bag: &SafeBag, password: &str) -> Result<Option<Bag>, Error> {
    let content = match bag.bag_id {
        PKCS_12_CERT_BAG_OID => {
            let inner: ContextSpecific<CertBag> = inner(bag)?;
            if inner.value.cert_id != PKCS_12_X509_CERT_OID {
                return Ok(None);
            }
            Content::Certificate(inner.value.cert_value.as_bytes().to_vec())
        }
        PKCS_12_PKCS8_KEY_BAG_OID => {
            let inner: ContextSpecific<EncryptedPrivateKeyInfo> = inner(bag)?;
            Content::Key(SealedKey(inner.value.to_der().map_err(unencodable)?))
        }
        PKCS_12_KEY_BAG_OID => {
            let inner: ContextSpecific<PrivateKeyInfo> = inner(bag)?;
            let der = Zeroizing::new(inner.value.to_der().map_err(unencodable)?);
            Content::Key(SealedKey::seal(&der, password)?)
        }
        _ => return Ok(None),
    };
    let attribute = |oid| {
        let attributes = bag.bag_attributes.as_ref()?;
        attributes.iter().find(|attribute| attribute.oid == oid)?.values.get(0)
    };
    let label = attribute(FRIENDLY_NAME)
        .and_then(|value| value.decode_as::<BmpString>().ok())
        .map(|name| name.chars().collect());
    let key_id = attribute(LOCAL_KEY_ID)
        .and_then(|value| value.decode_as::<OctetString>().ok())
        .map(|id| id.as_bytes().to_vec());
    Ok(Some(Bag { label, key_id, trusted: attribute(TRUSTED_USAGE).is_some(), content }))
}

fn inner<'a, T: Decode<'a>>(bag: &'a SafeBag) -> Result<T, Error> {
    T::from_der(&bag.bag_value).map_err(damaged)
}

/// Writes a file.
pub(super) fn write(bags: &[Bag], password: &str) -> Result<Vec<u8>, Error> {
    let (mut certificates, mut keys) = (SafeContents::new(), SafeContents::new());
    for bag in bags {
        match &bag.content {
            Content::Certificate(der) => certificates.push(write_bag(
                bag,
                PKCS_12_CERT_BAG_OID,
                CertBag {
                    cert_id: PKCS_12_X509_CERT_OID,
                    cert_value: OctetString::new(der.clone()).map_err(unencodable)?,
                }
                .to_der(),
            )?),
            Content::Key(sealed) => {
                keys.push(write_bag(bag, PKCS_12_PKCS8_KEY_BAG_OID, Ok(sealed.0.clone()))?);
            }
        }
    }
    let (content_enc_alg, encrypted) =
        encrypt(&certificates.to_der().map_err(unencodable)?, password)?;
    let certificates = EncryptedData {
        version: CmsVersion::V0,
        enc_content_info: EncryptedContentInfo {
            content_type: DATA,
            content_enc_alg,
            encrypted_content: Some(OctetString::new(encrypted).map_err(unencodable)?),
        },
        unprotected_attrs: None,
    };
    let mut safe = AuthenticatedSafe::new();
    safe.push(ContentInfo {
        content_type: ENCRYPTED_DATA,
        content: Any::encode_from(&certificates).map_err(unencodable)?,
    });
    if !keys.is_empty() {
        safe.push(data(keys.to_der().map_err(unencodable)?)?);
    }
    let safe = safe.to_der().map_err(unencodable)?;
    let mac_data = Some(make_mac(&safe, password)?);
    Pfx { version: Version::V3, auth_safe: data(safe)?, mac_data }.to_der().map_err(unencodable)
}

fn data(bytes: Vec<u8>) -> Result<ContentInfo, Error> {
    let octets = OctetString::new(bytes).map_err(unencodable)?;
    Ok(ContentInfo { content_type: DATA, content: Any::encode_from(&octets).map_err(unencodable)? })
}

fn write_bag(
    bag: &Bag,
    bag_id: ObjectIdentifier,
    value: x509_cert::der::Result<Vec<u8>>,
) -> Result<SafeBag, Error> {
    let mut attributes = SetOfVec::new();
    let mut add = |oid, value: x509_cert::der::Result<Any>| {
        let values = SetOfVec::try_from(vec![value.map_err(unencodable)?]).map_err(unencodable)?;
        attributes.insert(Attribute { oid, values }).map_err(unencodable)
    };
    if let Some(label) = &bag.label {
        let name = BmpString::from_utf8(label).map_err(unencodable)?;
        add(FRIENDLY_NAME, Any::encode_from(&name))?;
    }
    if let Some(id) = &bag.key_id {
        let id = OctetString::new(id.clone()).map_err(unencodable)?;
        add(LOCAL_KEY_ID, Any::encode_from(&id))?;
    }
    if bag.trusted {
        add(TRUSTED_USAGE, Any::encode_from(&ANY_USAGE))?;
    }
    let bag_attributes = (!attributes.is_empty()).then_some(attributes);
    Ok(SafeBag { bag_id, bag_value: value.map_err(unencodable)?, bag_attributes })
}

fn make_mac(message: &[u8], password: &str) -> Result<MacData, Error> {
    let mut salt = [0; 20];
    prno::fill(&mut salt).map_err(Error::internal)?;
    let algorithm = AlgorithmIdentifierOwned { oid: SHA_256, parameters: Some(Any::null()) };
    let octets = |bytes: &[u8]| OctetString::new(bytes.to_vec()).map_err(unencodable);
    let mut mac = MacData {
        mac: DigestInfo { algorithm, digest: octets(&[])? },
        mac_salt: octets(&salt)?,
        iterations: i32::try_from(ITERATIONS).map_err(Error::internal)?,
    };
    let key = mac_key::<sha2::Sha256>(&mac, password, 32)?;
    let key = hmac::Key::new(Algorithm::Sha256, &key).map_err(Error::internal)?;
    mac.mac.digest = octets(key.sign(&[message]).as_ref())?;
    Ok(mac)
}

fn encrypt(plain: &[u8], password: &str) -> Result<(AlgorithmIdentifierOwned, Vec<u8>), Error> {
    let (mut salt, mut iv) = ([0; 20], [0; 16]);
    prno::fill(&mut salt).map_err(Error::internal)?;
    prno::fill(&mut iv).map_err(Error::internal)?;
    let scheme = pbes2::Parameters::pbkdf2_sha256_aes256cbc(ITERATIONS, &salt, &iv)
        .map_err(Error::internal)?;
    let encrypted = scheme.encrypt(password, plain).map_err(Error::internal)?;
    let scheme = EncryptionScheme::from(scheme).to_der().map_err(unencodable)?;
    let algorithm = AlgorithmIdentifierOwned::from_der(&scheme).map_err(unencodable)?;
    Ok((algorithm, encrypted))
}

fn decrypt(
    algorithm: &AlgorithmIdentifierOwned,
    encrypted: &[u8],
    password: &str,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let der = algorithm.to_der().map_err(unencodable)?;
    let Ok(EncryptionScheme::Pbes2(scheme)) = EncryptionScheme::from_der(&der) else {
        return Err(obsolete(&format!("encryption with {}", algorithm.oid)));
    };
    match &scheme.kdf {
        Kdf::Pbkdf2(kdf) if kdf.iteration_count <= ITERATIONS_MAX => {}
        Kdf::Pbkdf2(_) => return Err(too_much_work()),
        _ => return Err(obsolete("scrypt")),
    }
    scheme.decrypt(password, encrypted).map(Zeroizing::new).map_err(|_| {
        Error::data(
            "a part of the file cannot be decrypted, though its MAC is right",
            "it was encrypted with another password or scheme; export it again from its source",
        )
    })
}

fn obsolete(what: &str) -> Error {
    Error::new(Class::Future, format!("the file uses {what}, which is not supported"), CONVERT)
}

fn too_much_work() -> Error {
    Error::data(
        format!("the file wants no or more than {ITERATIONS_MAX} iterations of key derivation"),
        "export it again with fewer, e.g. openssl pkcs12 -export -iter 100000",
    )
}

#[allow(clippy::needless_pass_by_value, reason = "given to map_err")]
fn damaged(error: x509_cert::der::Error) -> Error {
    Error::data(format!("the file is damaged: {error}"), RESTORE)
}

#[allow(clippy::needless_pass_by_value, reason = "given to map_err")]
fn unencodable(error: x509_cert::der::Error) -> Error {
    Error::internal(format!("the database cannot be encoded: {error}"))
}
