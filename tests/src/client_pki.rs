//! Throwaway certificates of clients, right ones and wrong ones.
//!
//! Invariants: nothing made here outlives its temporary directory; each wrong certificate is wrong
//! in exactly one way.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use tempfile::TempDir;

use crate::pki::{Issued, Kind};
use crate::process::run;

/// Who signs a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The CA that services trust.
    Ca,
    /// A CA below it, whose certificate the client sends along.
    Intermediate,
    /// The CA below, whose certificate the client keeps to itself.
    IntermediateUnsent,
    /// A CA nobody knows.
    Stranger,
    /// A CA with the trusted one's name and a key of its own.
    Impostor,
    /// Its own key.
    Itself,
}

/// What is wrong with a certificate apart from who signed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// Its validity has ended.
    Expired,
    /// Its validity has not begun.
    NotYetValid,
    /// It ends that much time from now, in whole seconds.
    Ends(Duration),
    /// It is for servers.
    ForServers,
    /// Its key is for key agreement, not for signatures. Only modes mind.
    ForAgreement,
    /// It has a critical extension nobody knows.
    StrangeExtension,
    /// It carries extensions that make it this many bytes longer.
    Padded(usize),
}

/// The authorities of clients and a directory for what they issue.
#[derive(Debug)]
pub struct ClientPki {
    directory: TempDir,
    ca: Authority,
    intermediate: Authority,
    stranger: Authority,
    impostor: Authority,
}

#[derive(Debug)]
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

const CA_NAME: &str = "Client test CA";

impl Authority {
    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    fn root(name: &str) -> Self {
        let (params, key) = (Self::params(name), Kind::P256.fresh());
        let certificate = params.self_signed(&key).expect("a CA");
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::new(params, key), pem, der }
    }

    fn below(above: &Self, name: &str) -> Self {
        let (params, key) = (Self::params(name), Kind::P384.fresh());
        let certificate = params.signed_by(&key, &above.issuer).expect("a CA");
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::new(params, key), pem, der }
    }
}

impl Default for ClientPki {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientPki {
    /// New authorities in a new directory, with the trusted one in [`Self::ca`].
    #[must_use]
    pub fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let ca = Authority::root(CA_NAME);
        let intermediate = Authority::below(&ca, "Client test CA, department");
        let (stranger, impostor) = (Authority::root("Another CA"), Authority::root(CA_NAME));
        let pki = Self { directory, ca, intermediate, stranger, impostor };
        pki.write("ca.pem", &pki.ca.pem);
        pki.write("stranger.pem", &pki.stranger.pem);
        pki
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).expect("a writable directory");
        path
    }

    /// The file of the trusted CA.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The file of the CA that services do not trust.
    #[must_use]
    pub fn stranger(&self) -> PathBuf {
        self.directory.path().join("stranger.pem")
    }

    /// The file of a CA whose validity has ended.
    #[must_use]
    pub fn expired_ca(&self) -> PathBuf {
        let mut params = Authority::params("Old CA");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        let certificate = params.self_signed(&Kind::P256.fresh()).expect("a CA");
        self.write("old-ca.pem", &certificate.pem())
    }

    /// The line of a service's configuration.
    #[must_use]
    pub fn line(&self, mode: &str) -> String {
        format!("client_auth = {{ mode = \"{mode}\", ca = \"{}\" }}", self.ca().display())
    }

    /// A right certificate for `CN=label,O=Test`.
    #[must_use]
    pub fn good(&self, label: &str, kind: Kind) -> Issued {
        self.issue(label, kind, By::Ca, Flaw::None)
    }

    /// Issues a certificate for `CN=label,O=Test` into `label.pem` and `label.key`.
    #[must_use]
    pub fn issue(&self, label: &str, kind: Kind, by: By, flaw: Flaw) -> Issued {
        let key = kind.key();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Test");
        params.distinguished_name.push(DnType::CommonName, label);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2099, 1, 1);
        match flaw {
            Flaw::None => {}
            Flaw::Expired => params.not_after = date_time_ymd(2021, 1, 1),
            Flaw::NotYetValid => params.not_before = date_time_ymd(2098, 1, 1),
            Flaw::Ends(after) => params.not_after = (SystemTime::now() + after).into(),
            Flaw::ForServers => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }
            Flaw::ForAgreement => params.key_usages = vec![KeyUsagePurpose::KeyAgreement],
            Flaw::StrangeExtension => {
                let mut strange = CustomExtension::from_oid_content(&[1, 3, 9999, 1], vec![5, 0]);
                strange.set_criticality(true);
                params.custom_extensions.push(strange);
            }
            Flaw::Padded(bytes) => {
                let padding = CustomExtension::from_oid_content(&[1, 3, 9999, 2], vec![0; bytes]);
                params.custom_extensions.push(padding);
            }
        }
        let (authority, sent) = match by {
            By::Ca => (Some(&self.ca), ""),
            By::Intermediate => (Some(&self.intermediate), self.intermediate.pem.as_str()),
            By::IntermediateUnsent => (Some(&self.intermediate), ""),
            By::Stranger => (Some(&self.stranger), ""),
            By::Impostor => (Some(&self.impostor), ""),
            By::Itself => (None, ""),
        };
        let certificate = match authority {
            Some(authority) => params.signed_by(&key, &authority.issuer),
            None => params.self_signed(&key),
        };
        let leaf = certificate.expect("a certificate").pem();
        Issued {
            cert: self.write(&format!("{label}.pem"), &format!("{leaf}{sent}")),
            key: self.write(&format!("{label}.key"), &key.serialize_pem()),
        }
    }

    /// The certificate of the CA below the trusted one.
    #[must_use]
    pub fn intermediate(&self) -> CertificateDer<'static> {
        self.intermediate.der.clone()
    }

    /// The certificate of the trusted CA.
    #[must_use]
    pub fn ca_der(&self) -> CertificateDer<'static> {
        self.ca.der.clone()
    }

    /// `issued` as a PKCS #12 file with the password `changeit`, made by openssl.
    #[must_use]
    pub fn pkcs12(&self, issued: &Issued) -> PathBuf {
        let out = issued.cert.with_extension("p12");
        let mut command = Command::new("openssl");
        command.args(["pkcs12", "-export", "-passout", "pass:changeit", "-name", "client", "-in"]);
        command.arg(&issued.cert).arg("-inkey").arg(&issued.key).arg("-out").arg(&out);
        let _ = run(&mut command, b"").success();
        out
    }
}
