//! Throwaway certificates that no careful CA issues any more, made by the openssl command.
//!
//! Purpose: RSA keys of 1024 bits, curves of 192 and 224 bits and signatures with SHA-1, which the
//! library behind [`crate::pki`] rightly refuses to make.
//!
//! Invariants: nothing made here outlives its temporary directory; each key is made once and shared
//! by the certificates that differ in their signature only.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::pki::Issued;
use crate::process::run;

/// Kind and size of a key, and how its certificate is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Odd {
    /// In openssl's words: `RSA:1024`, `P-192`.
    pub key: &'static str,
    /// `sha1`, `sha256`, `sha384`.
    pub hash: &'static str,
}

impl Odd {
    /// Every combination that is tried.
    #[must_use]
    pub fn all() -> Vec<Self> {
        const KEYS: [&str; 9] = [
            "RSA:1024", "RSA:2048", "RSA:3072", "RSA:4096", "P-192", "P-224", "P-256", "P-384",
            "P-521",
        ];
        let hashes = ["sha1", "sha256", "sha384"];
        KEYS.into_iter().flat_map(|key| hashes.map(|hash| Self { key, hash })).collect()
    }

    /// A name for files, services and hosts.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}-{}", self.key.replace([':', '-'], "").to_lowercase(), self.hash)
    }

    /// Whether the key is RSA.
    #[must_use]
    pub fn is_rsa(&self) -> bool {
        self.key.starts_with("RSA")
    }

    /// Bits of an RSA key.
    #[must_use]
    pub fn rsa_bits(&self) -> Option<u32> {
        self.key.strip_prefix("RSA:")?.parse().ok()
    }

    /// Whether this program has what it takes to use the key.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.rsa_bits().map_or(["P-256", "P-384", "P-521"].contains(&self.key), |bits| bits >= 2048)
    }
}

/// An RSA and an EC authority, and a directory for what they issue.
#[derive(Debug)]
pub struct OddPki {
    directory: TempDir,
}

impl Default for OddPki {
    fn default() -> Self {
        Self::new()
    }
}

impl OddPki {
    /// New authorities; their own certificates are as they should be.
    #[must_use]
    pub fn new() -> Self {
        let pki = Self { directory: TempDir::new().expect("a temporary directory") };
        // Else extensions of the machine's own configuration come in besides.
        let bare = "[req]\ndistinguished_name = dn\n[dn]\n";
        std::fs::write(pki.at("req", "cnf"), bare).expect("a writable directory");
        for (name, key) in [("ca-rsa", "RSA:2048"), ("ca-ec", "P-256")] {
            pki.make_key(name, key);
            pki.openssl(&[
                "req",
                "-config",
                &pki.at("req", "cnf"),
                "-x509",
                "-new",
                "-sha256",
                "-days",
                "30",
                "-subj",
                &format!("/CN={name}"),
                "-key",
                &pki.at(name, "key"),
                "-out",
                &pki.at(name, "pem"),
                "-addext",
                "keyUsage=critical,keyCertSign,cRLSign",
                "-addext",
                "basicConstraints=critical,CA:TRUE",
            ]);
        }
        let authority = |name| std::fs::read_to_string(pki.at(name, "pem")).expect("made above");
        let both = authority("ca-rsa") + &authority("ca-ec");
        std::fs::write(pki.bundle(), both).expect("a writable directory");
        pki
    }

    /// A PEM file with both authorities.
    #[must_use]
    pub fn bundle(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The file of an authority with an RSA key of 1024 bits.
    #[must_use]
    pub fn weak_authority(&self) -> PathBuf {
        let key = self.make_key("key-RSA1024", "RSA:1024");
        let cert = self.at("ca-weak", "pem");
        self.openssl(&[
            "req",
            "-config",
            &self.at("req", "cnf"),
            "-x509",
            "-new",
            "-sha256",
            "-days",
            "30",
            "-subj",
            "/CN=ca-weak",
            "-key",
            &key,
            "-out",
            &cert,
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
        ]);
        PathBuf::from(cert)
    }

    fn at(&self, name: &str, extension: &str) -> String {
        let path = self.directory.path().join(format!("{name}.{extension}"));
        path.to_str().expect("a path of ours").to_owned()
    }

    fn openssl(&self, arguments: &[&str]) {
        let _ = run(Command::new("openssl").args(arguments), b"").success();
    }

    fn make_key(&self, name: &str, key: &str) -> String {
        let file = self.at(name, "key");
        if !Path::new(&file).exists() {
            let (algorithm, parameter) = match key.strip_prefix("RSA:") {
                Some(bits) => ("RSA", format!("rsa_keygen_bits:{bits}")),
                None => ("EC", format!("ec_paramgen_curve:{key}")),
            };
            let options = ["genpkey", "-algorithm", algorithm, "-pkeyopt", &parameter];
            self.openssl(&[&options[..], &["-out", &file]].concat());
        }
        file
    }

    /// Issues a certificate for `LABEL.test`, good for servers and clients.
    #[must_use]
    pub fn issue(&self, odd: &Odd) -> Issued {
        self.issue_with(odd, "digitalSignature")
    }

    /// The same with another key usage.
    #[must_use]
    pub fn issue_with(&self, odd: &Odd, usage: &str) -> Issued {
        let label = format!("{}{}", odd.label(), usage.replace("digitalSignature", ""));
        let key = self.make_key(&format!("key-{}", odd.key.replace(':', "")), odd.key);
        let authority = if odd.is_rsa() { "ca-rsa" } else { "ca-ec" };
        let cert = self.at(&label, "pem");
        self.openssl(&[
            "req",
            "-config",
            &self.at("req", "cnf"),
            "-x509",
            "-new",
            &format!("-{}", odd.hash),
            "-days",
            "30",
            "-subj",
            &format!("/CN={label}"),
            "-key",
            &key,
            "-out",
            &cert,
            "-CA",
            &self.at(authority, "pem"),
            "-CAkey",
            &self.at(authority, "key"),
            "-addext",
            &format!("subjectAltName=DNS:{}.test", odd.label()),
            "-addext",
            &format!("keyUsage=critical,{usage}"),
            "-addext",
            "extendedKeyUsage=serverAuth,clientAuth",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]);
        Issued { cert: PathBuf::from(cert), key: PathBuf::from(key) }
    }
}
