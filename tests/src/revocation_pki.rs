//! Authorities that revoke what they have issued, kept with `openssl ca`.
//!
//! Purpose: revocation lists as operators get them, written by the command that most private CAs
//! use, with its database of what was issued.
//!
//! Invariants: nothing made here outlives its temporary directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::pki::Issued;
use crate::process::run;

/// Who issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ca {
    /// The one that services trust.
    Root,
    /// One below it, whose certificate clients send along.
    Department,
}

impl Ca {
    const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Department => "department",
        }
    }
}

/// A root, an authority below it, and a directory for what they issue.
#[derive(Debug)]
pub struct RevocationPki {
    directory: TempDir,
}

impl RevocationPki {
    /// New authorities; that of the department has a key of this size.
    #[must_use]
    pub fn new(department_bits: u32) -> Self {
        let pki = Self { directory: TempDir::new().expect("a temporary directory") };
        for ca in [Ca::Root, Ca::Department] {
            pki.write(ca, "index", "");
            pki.write(ca, "index.attr", "unique_subject = no\n");
            pki.write(ca, "number", "01\n");
            pki.write(ca, "cnf", &pki.configuration(ca));
        }
        pki.make_key("root", 2048);
        let (key, cert, config) = (pki.at("root.key"), pki.at("root.pem"), pki.at("root.cnf"));
        pki.openssl(&[
            "req",
            "-config",
            &config,
            "-x509",
            "-new",
            "-sha256",
            "-days",
            "30",
            "-subj",
            "/CN=root",
            "-extensions",
            "authority",
            "-key",
            &key,
            "-out",
            &cert,
        ]);
        pki.make_key("department", department_bits);
        pki.sign("department", Ca::Root, "authority");
        pki
    }

    fn configuration(&self, ca: Ca) -> String {
        let name = ca.name();
        let at = |extension: &str| self.at(&format!("{name}.{extension}"));
        format!(
            "[req]\ndistinguished_name = subject\n[subject]\n\
             [authority]\nbasicConstraints = critical, CA:TRUE\n\
             keyUsage = critical, keyCertSign, cRLSign\n\
             [client]\nbasicConstraints = CA:FALSE\nkeyUsage = critical, digitalSignature\n\
             extendedKeyUsage = clientAuth\n\
             [ca]\ndefault_ca = this\n\
             [this]\ndatabase = {}\ncrlnumber = {}\ncertificate = {}\nprivate_key = {}\n\
             new_certs_dir = {}\nrand_serial = yes\ndefault_md = sha256\ndefault_days = 30\n\
             default_crl_days = 30\npolicy = any\ncrl_extensions = list\n\
             [any]\ncommonName = supplied\n[list]\nauthorityKeyIdentifier = keyid\n",
            at("index"),
            at("number"),
            at("pem"),
            at("key"),
            self.directory.path().display(),
        )
    }

    fn at(&self, name: &str) -> String {
        let path = self.directory.path().join(name);
        path.to_str().expect("a path of ours").to_owned()
    }

    fn write(&self, ca: Ca, extension: &str, text: &str) {
        let path = self.at(&format!("{}.{extension}", ca.name()));
        std::fs::write(path, text).expect("a writable directory");
    }

    fn openssl(&self, arguments: &[&str]) {
        let _ = run(Command::new("openssl").args(arguments), b"").success();
    }

    fn make_key(&self, name: &str, bits: u32) {
        let (size, out) = (format!("rsa_keygen_bits:{bits}"), self.at(&format!("{name}.key")));
        self.openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", &size, "-out", &out]);
    }

    fn sign(&self, name: &str, by: Ca, extensions: &str) {
        let at = |extension: &str| self.at(&format!("{name}.{extension}"));
        let (config, subject) = (self.at(&format!("{}.cnf", by.name())), format!("/CN={name}"));
        let (key, request, cert) = (at("key"), at("csr"), at("pem"));
        self.openssl(&[
            "req", "-config", &config, "-new", "-subj", &subject, "-key", &key, "-out", &request,
        ]);
        self.openssl(&[
            "ca",
            "-batch",
            "-notext",
            "-config",
            &config,
            "-extensions",
            extensions,
            "-in",
            &request,
            "-out",
            &cert,
        ]);
    }

    /// Issues a certificate for the client `CN=name`; the department's goes along with its own.
    #[must_use]
    pub fn issue(&self, name: &str, by: Ca) -> Issued {
        self.make_key(name, 2048);
        self.sign(name, by, "client");
        let leaf = PathBuf::from(self.at(&format!("{name}.pem")));
        let cert = PathBuf::from(self.at(&format!("{name}-chain.pem")));
        let mut chain = std::fs::read_to_string(&leaf).expect("made above");
        if by == Ca::Department {
            chain += &std::fs::read_to_string(self.at("department.pem")).expect("made before");
        }
        std::fs::write(&cert, chain).expect("a writable directory");
        Issued { cert, key: PathBuf::from(self.at(&format!("{name}.key"))) }
    }

    /// Revokes what is called `name`.
    pub fn revoke(&self, name: &str, by: Ca) {
        let (config, cert) =
            (self.at(&format!("{}.cnf", by.name())), self.at(&format!("{name}.pem")));
        self.openssl(&["ca", "-config", &config, "-revoke", &cert]);
    }

    /// Writes the list of an authority into `file`.
    #[must_use]
    pub fn list(&self, by: Ca, file: &str, options: &[&str]) -> PathBuf {
        let (config, out) = (self.at(&format!("{}.cnf", by.name())), self.at(file));
        let fixed = ["ca", "-config", &config, "-gencrl", "-out", &out];
        self.openssl(&[&fixed, options].concat());
        PathBuf::from(out)
    }

    /// The same list in DER.
    #[must_use]
    pub fn der(&self, list: &Path) -> PathBuf {
        let out = list.with_extension("der");
        let (from, to) = (list.to_str().expect("ours"), out.to_str().expect("ours"));
        self.openssl(&["crl", "-in", from, "-outform", "DER", "-out", to]);
        out
    }

    /// The file of the root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        PathBuf::from(self.at("root.pem"))
    }

    /// The line of a service's configuration.
    #[must_use]
    pub fn line(&self, lists: &[&PathBuf], more: &str) -> String {
        let lists: Vec<String> = lists.iter().map(|p| format!("\"{}\"", p.display())).collect();
        format!(
            "client_auth = {{ mode = \"required\", ca = \"{}\", crl = [{}]{more} }}",
            self.root().display(),
            lists.join(", ")
        )
    }
}
