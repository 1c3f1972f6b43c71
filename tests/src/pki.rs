//! Throwaway certificates, made when a test asks for them.
//!
//! Invariants: nothing made here outlives its temporary directory. RSA leaves are signed by an RSA
//! authority and EC leaves by an EC authority, so that a client without one of the two algorithms
//! can verify a whole path. RSA keys are shared within a test process, since making a 4096-bit
//! key takes seconds.

use std::collections::HashMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, RsaKeySize, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use tempfile::TempDir;

/// Kind and size of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// RSA, 2048 bits.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits.
    Rsa4096,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::P256, Self::P384, Self::P521];

    /// Whether it is RSA.
    #[must_use]
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }

    pub(crate) fn fresh(self) -> KeyPair {
        let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size);
        match self {
            Self::Rsa2048 => rsa(RsaKeySize::_2048),
            Self::Rsa3072 => rsa(RsaKeySize::_3072),
            Self::Rsa4096 => rsa(RsaKeySize::_4096),
            Self::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Self::P384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Self::P521 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
        }
        .expect("a key")
    }

    pub(crate) fn key(self) -> KeyPair {
        static MADE: OnceLock<Mutex<HashMap<Kind, String>>> = OnceLock::new();
        if !self.is_rsa() {
            return self.fresh();
        }
        let mut made = MADE.get_or_init(Mutex::default).lock().unwrap();
        let pem = made.entry(self).or_insert_with(|| self.fresh().serialize_pem());
        KeyPair::from_pem(pem).expect("a key made above")
    }
}

/// What a leaf certificate shall look like.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Key.
    pub kind: Kind,
    /// Subject alternative names.
    pub names: Vec<String>,
    /// Whether its validity has passed.
    pub expired: bool,
}

impl Leaf {
    /// A valid leaf.
    #[must_use]
    pub fn new(kind: Kind, names: &[&str]) -> Self {
        Self { kind, names: names.iter().map(ToString::to_string).collect(), expired: false }
    }

    /// The same, but expired.
    #[must_use]
    pub fn expired(mut self) -> Self {
        self.expired = true;
        self
    }
}

/// Files of an issued certificate.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Chain, leaf first.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Two authorities and a directory for what they issue.
#[derive(Debug)]
pub struct Pki {
    directory: TempDir,
    rsa: Authority,
    ec: Authority,
}

#[derive(Debug)]
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    fn new(name: &str, key: KeyPair) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("a CA");
        Self {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }
}

impl Default for Pki {
    fn default() -> Self {
        Self::new()
    }
}

impl Pki {
    /// New authorities in a new directory.
    #[must_use]
    pub fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let rsa = Authority::new("Adjunct test CA (RSA)", Kind::Rsa2048.key());
        let ec = Authority::new("Adjunct test CA (EC)", Kind::P256.key());
        let bundle = format!("{}{}", rsa.pem, ec.pem);
        std::fs::write(directory.path().join("ca.pem"), bundle).expect("a writable directory");
        Self { directory, rsa, ec }
    }

    /// The directory of all files.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A PEM file with both authorities.
    #[must_use]
    pub fn bundle(&self) -> PathBuf {
        self.path().join("ca.pem")
    }

    /// Both authorities.
    #[must_use]
    pub fn roots(&self) -> Vec<CertificateDer<'static>> {
        vec![self.rsa.der.clone(), self.ec.der.clone()]
    }

    /// Issues `leaf` into the files `label.pem` and `label.key`.
    pub fn issue(&self, label: &str, leaf: &Leaf) -> Issued {
        let key = leaf.kind.key();
        let mut params = CertificateParams::new(leaf.names.clone()).expect("names");
        params.distinguished_name.push(DnType::CommonName, label);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(if leaf.expired { 2021 } else { 2099 }, 1, 1);
        let authority = if leaf.kind.is_rsa() { &self.rsa } else { &self.ec };
        let certificate = params.signed_by(&key, &authority.issuer).expect("a certificate");
        let issued = Issued {
            cert: self.path().join(format!("{label}.pem")),
            key: self.path().join(format!("{label}.key")),
        };
        let chain = format!("{}{}", certificate.pem(), authority.pem);
        std::fs::write(&issued.cert, chain).expect("a writable directory");
        write_secret(&issued.key, &key.serialize_pem());
        issued
    }
}

/// Writes a file that only its owner may read.
fn write_secret(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a writable directory");
    let private = Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).expect("our own file");
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::process::run;

    #[test]
    fn openssl_accepts_every_kind_of_leaf_and_finds_the_expired_one() {
        let _ = crate::need!("openssl");
        let pki = Pki::new();
        let verify = |cert: &Path| {
            run(
                Command::new("openssl")
                    .args(["verify", "-verify_hostname", "a.test", "-CAfile"])
                    .arg(pki.bundle())
                    .arg(cert),
                b"",
            )
        };
        for kind in Kind::ALL {
            let issued = pki.issue(&format!("{kind:?}"), &Leaf::new(kind, &["a.test"]));
            verify(&issued.cert).success();
        }
        let expired = pki.issue("expired", &Leaf::new(Kind::P256, &["a.test"]).expired());
        verify(&expired.cert).exit(2).says("expired");
    }
}
