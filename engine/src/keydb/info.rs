//! "Certificate Information": what a certificate says, in gskkyman's words.

use std::fmt::Write as _;

use cpacf::digest;
use serde::Serialize;
use x509_parser::extensions::{GeneralName, ParsedExtension, X509Extension};
use x509_parser::prelude::X509Certificate;
use x509_parser::time::ASN1Time;

use super::error::Error;
use super::sidecar::hex;
use super::verify::{key_kind, parse, parse_request};
use super::{Database, KeyKind};
use crate::certs::dn_text;

/// Everything about one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateInfo {
    /// Label.
    pub label: String,
    /// Number in the list.
    pub record_id: usize,
    /// Number of its issuer, if that is in the database.
    pub issuer_record_id: Option<usize>,
    /// Trust status.
    pub trusted: bool,
    /// Whether its private key is here.
    pub private_key: bool,
    /// Whether it is the default key.
    pub default: bool,
    /// X.509 version.
    pub version: u32,
    /// Hexadecimal digits.
    pub serial_number: String,
    /// RFC 4514.
    pub issuer: String,
    /// RFC 4514.
    pub subject: String,
    /// RFC 3339.
    pub effective: String,
    /// RFC 3339.
    pub expiration: String,
    /// `sha512WithRsaEncryption`, or an OID.
    pub signature_algorithm: String,
    /// Hexadecimal digits.
    pub issuer_unique_id: Option<String>,
    /// Hexadecimal digits.
    pub subject_unique_id: Option<String>,
    /// `rsaEncryption`, `ecPublicKey`, or an OID.
    pub public_key_algorithm: String,
    /// Bits.
    pub public_key_size: usize,
    /// Curve of an EC key.
    pub curve: Option<&'static str>,
    /// Hexadecimal digits.
    pub public_key: String,
    /// SHA-256 of the certificate.
    pub fingerprint_sha256: String,
    /// Extensions in their order.
    pub extensions: Vec<Extension>,
}

/// One extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Extension {
    /// `subjectKeyIdentifier`, or an OID.
    pub name: String,
    /// Whether who does not know it must refuse.
    pub critical: bool,
    /// What it says.
    pub value: String,
}

impl Database {
    /// What the certificate of a label says.
    ///
    /// # Errors
    ///
    /// When there is no certificate with this label.
    pub fn info(&self, label: &str) -> Result<CertificateInfo, Error> {
        let entry = self.with_certificate(label)?;
        let der = entry.certificate().unwrap_or_default();
        let position = |label| self.entries().iter().position(|e| e.label() == label);
        let mut info = of_certificate(der)?;
        label.clone_into(&mut info.label);
        info.record_id = position(label).map_or(0, |at| at + 1);
        info.issuer_record_id = self.issuer_label(label).and_then(position).map(|at| at + 1);
        info.trusted = entry.is_trusted();
        info.private_key = entry.has_key();
        info.default = self.default_label() == Some(label);
        Ok(info)
    }
}

/// What a certificate in no database says.
///
/// # Errors
///
/// When it is none.
pub fn of_certificate(der: &[u8]) -> Result<CertificateInfo, Error> {
    let parsed = parse(der)?;
    let key = parsed.public_key();
    let kind = key_kind(key);
    let bits = key.subject_public_key.data.len() * 8;
    let digest = digest::digest(digest::Algorithm::Sha256, der).map_err(Error::internal)?;
    Ok(CertificateInfo {
        label: String::new(),
        record_id: 0,
        issuer_record_id: None,
        trusted: false,
        private_key: false,
        default: false,
        version: parsed.version().0 + 1,
        serial_number: hex(parsed.raw_serial()),
        issuer: dn_text(parsed.issuer()),
        subject: dn_text(parsed.subject()),
        effective: rfc3339(parsed.validity().not_before),
        expiration: rfc3339(parsed.validity().not_after),
        signature_algorithm: signature_algorithm(&parsed),
        issuer_unique_id: parsed.issuer_uid.as_ref().map(|id| hex(id.0.as_ref())),
        subject_unique_id: parsed.subject_uid.as_ref().map(|id| hex(id.0.as_ref())),
        public_key_algorithm: match key.algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.1" => "rsaEncryption".to_owned(),
            "1.2.840.10045.2.1" => "ecPublicKey".to_owned(),
            oid => oid.to_owned(),
        },
        public_key_size: match kind {
            Some(KeyKind::Rsa { bits }) => bits as usize,
            Some(KeyKind::Ec(curve)) => curve_bits(curve),
            None => bits,
        },
        curve: match kind {
            Some(KeyKind::Ec(curve)) => Some(curve.name()),
            _ => None,
        },
        public_key: hex(&key.subject_public_key.data),
        fingerprint_sha256: hex(digest.as_ref()),
        extensions: parsed.extensions().iter().map(extension).collect(),
    })
}

/// What a request asks for: subject, key, names.
///
/// # Errors
///
/// When it is none, or was not signed with its own key.
pub fn of_request(der: &[u8]) -> Result<(String, Option<KeyKind>, Vec<String>), Error> {
    let parsed = parse_request(der)?;
    let info = &parsed.certification_request_info;
    let mut names = Vec::new();
    for wanted in parsed.requested_extensions().into_iter().flatten() {
        if let ParsedExtension::SubjectAlternativeName(wanted) = wanted {
            names.extend(wanted.general_names.iter().map(general_name));
        }
    }
    Ok((dn_text(&info.subject), key_kind(&info.subject_pki), names))
}

fn curve_bits(curve: super::Curve) -> usize {
    match curve {
        super::Curve::P256 => 256,
        super::Curve::P384 => 384,
        super::Curve::P521 => 521,
    }
}

fn rfc3339(time: ASN1Time) -> String {
    let time = time.to_datetime();
    let (date, clock) = (time.date(), time.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}

fn signature_algorithm(certificate: &X509Certificate<'_>) -> String {
    let oid = certificate.signature_algorithm.algorithm.to_id_string();
    let name = match oid.as_str() {
        "1.2.840.113549.1.1.5" => "sha1WithRsaEncryption",
        "1.2.840.113549.1.1.14" => "sha224WithRsaEncryption",
        "1.2.840.113549.1.1.11" => "sha256WithRsaEncryption",
        "1.2.840.113549.1.1.12" => "sha384WithRsaEncryption",
        "1.2.840.113549.1.1.13" => "sha512WithRsaEncryption",
        "1.2.840.113549.1.1.10" => "rsassaPss",
        "1.2.840.10045.4.1" => "ecdsaWithSha1",
        "1.2.840.10045.4.3.1" => "ecdsaWithSha224",
        "1.2.840.10045.4.3.2" => "ecdsaWithSha256",
        "1.2.840.10045.4.3.3" => "ecdsaWithSha384",
        "1.2.840.10045.4.3.4" => "ecdsaWithSha512",
        "1.3.101.112" => "ed25519",
        _ => return oid,
    };
    name.to_owned()
}

fn extension(extension: &X509Extension<'_>) -> Extension {
    let raw = || hex(extension.value);
    let (name, value) = match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => ("subjectKeyIdentifier", hex(id.0)),
        ParsedExtension::AuthorityKeyIdentifier(id) => {
            ("authorityKeyIdentifier", id.key_identifier.as_ref().map_or_else(raw, |id| hex(id.0)))
        }
        ParsedExtension::KeyUsage(usage) => ("keyUsage", usage.to_string()),
        ParsedExtension::BasicConstraints(constraints) => ("basicConstraints", {
            let length = constraints.path_len_constraint;
            let length = length.map_or_else(String::new, |most| format!(", path length {most}"));
            format!("{}{length}", if constraints.ca { "CA" } else { "not a CA" })
        }),
        ParsedExtension::ExtendedKeyUsage(usage) => ("extendedKeyUsage", purposes(usage)),
        ParsedExtension::SubjectAlternativeName(names) => {
            let names: Vec<String> = names.general_names.iter().map(general_name).collect();
            ("subjectAltName", names.join(", "))
        }
        ParsedExtension::NameConstraints(_) => ("nameConstraints", raw()),
        ParsedExtension::CertificatePolicies(_) => ("certificatePolicies", raw()),
        ParsedExtension::CRLDistributionPoints(_) => ("cRLDistributionPoints", raw()),
        ParsedExtension::AuthorityInfoAccess(_) => ("authorityInfoAccess", raw()),
        _ => {
            let name = extension.oid.to_id_string();
            return Extension { name, critical: extension.critical, value: raw() };
        }
    };
    Extension { name: name.to_owned(), critical: extension.critical, value }
}

fn purposes(usage: &x509_parser::extensions::ExtendedKeyUsage<'_>) -> String {
    let known = [
        (usage.any, "any"),
        (usage.server_auth, "server authentication"),
        (usage.client_auth, "client authentication"),
        (usage.code_signing, "code signing"),
        (usage.email_protection, "email protection"),
        (usage.time_stamping, "time stamping"),
        (usage.ocsp_signing, "OCSP signing"),
    ];
    let known = known.iter().filter(|(set, _)| *set).map(|(_, name)| (*name).to_owned());
    let others = usage.other.iter().map(x509_parser::der_parser::oid::Oid::to_id_string);
    known.chain(others).collect::<Vec<_>>().join(", ")
}

/// A name with its kind; control characters of a hostile one are escaped.
fn general_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(dns) => format!("dns:{}", dns.escape_debug()),
        GeneralName::RFC822Name(mailbox) => format!("email:{}", mailbox.escape_debug()),
        GeneralName::URI(uri) => format!("uri:{}", uri.escape_debug()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(v4) => format!("ip:{}", std::net::Ipv4Addr::from(v4)),
            Err(_) => match <[u8; 16]>::try_from(*bytes) {
                Ok(v6) => format!("ip:{}", std::net::Ipv6Addr::from(v6)),
                Err(_) => format!("ip:#{}", hex(bytes)),
            },
        },
        GeneralName::DirectoryName(name) => format!("dn:{}", dn_text(name)),
        other => other.to_string().escape_debug().to_string(),
    }
}

impl CertificateInfo {
    /// As gskkyman shows it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = "Certificate Information\n\n".to_owned();
        let number = |id: usize| if id == 0 { "None".to_owned() } else { id.to_string() };
        let yes = |value: bool| if value { "Yes" } else { "No" }.to_owned();
        let or_none = |id: &Option<String>| id.clone().unwrap_or_else(|| "None".to_owned());
        let size = match self.curve {
            Some(curve) => format!("{} ({curve})", self.public_key_size),
            None => self.public_key_size.to_string(),
        };
        for (name, value) in [
            ("Label", self.label.clone()),
            ("Record ID", number(self.record_id)),
            ("Issuer Record ID", number(self.issuer_record_id.unwrap_or(0))),
            ("Trusted", yes(self.trusted)),
            ("Private key", yes(self.private_key)),
            ("Default key", yes(self.default)),
            ("Version", self.version.to_string()),
            ("Serial number", self.serial_number.clone()),
            ("Issuer name", self.issuer.clone()),
            ("Subject name", self.subject.clone()),
            ("Effective date", self.effective.clone()),
            ("Expiration date", self.expiration.clone()),
            ("Signature algorithm", self.signature_algorithm.clone()),
            ("Issuer unique ID", or_none(&self.issuer_unique_id)),
            ("Subject unique ID", or_none(&self.subject_unique_id)),
            ("Public key algorithm", self.public_key_algorithm.clone()),
            ("Public key size", size),
        ] {
            // Writing to a String does not fail.
            let _ = writeln!(out, "{name:>22}: {value}");
        }
        for (line, digits) in self.public_key.as_bytes().chunks(32).enumerate() {
            let name = if line == 0 { "Public key:" } else { "" };
            let pairs = digits.chunks(2).map(String::from_utf8_lossy);
            let pairs = pairs.collect::<Vec<_>>().join(" ").to_uppercase();
            let _ = writeln!(out, "{name:>23} {pairs}");
        }
        let _ = writeln!(out, "{:>22}: {}", "SHA-256 fingerprint", self.fingerprint_sha256);
        let _ = writeln!(out, "{:>22}: {}", "Number of extensions", self.extensions.len());
        for (index, extension) in self.extensions.iter().enumerate() {
            let critical = if extension.critical { " (critical)" } else { "" };
            let _ = writeln!(out, "\n{:>4} - {}{critical}", index + 1, extension.name);
            let _ = writeln!(out, "       {}", extension.value);
        }
        out
    }
}
