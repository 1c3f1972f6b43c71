//! Throwaway certificates: a CA, one RSA and one ECDSA server certificate.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm,
};

use super::Failure;

/// Name in both certificates.
pub(super) const SERVER_NAME: &str = "localhost";

/// Writes `ca.pem`, `rsa.pem`, `rsa.key`, `ec.pem` and `ec.key`; returns the CA as DER.
pub(super) fn write(directory: &Path) -> Result<Vec<u8>, Failure> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Adjunct demo CA (throwaway)");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let authority = params.self_signed(&key)?;
    put(&directory.join("ca.pem"), &authority.pem())?;
    let issuer = Issuer::new(params, key);
    let kinds: [(&str, &SignatureAlgorithm); 2] =
        [("rsa", &PKCS_RSA_SHA256), ("ec", &PKCS_ECDSA_P256_SHA256)];
    for (name, algorithm) in kinds {
        let key = KeyPair::generate_for(algorithm)?;
        let names = vec![SERVER_NAME.to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, format!("Adjunct demo {name}"));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &issuer)?;
        put(&directory.join(format!("{name}.pem")), &certificate.pem())?;
        put(&directory.join(format!("{name}.key")), &key.serialize_pem())?;
    }
    Ok(authority.der().to_vec())
}

fn put(path: &Path, text: &str) -> std::io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(text.as_bytes())
}
