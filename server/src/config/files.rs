//! Reads the certificate and key files a configuration names and reports what is wrong with them.
//!
//! What is decided here needs a file system only: missing, unreadable, empty, too large, no PEM, no
//! block of the wanted kind, a key the whole host can read. Everything inside a certificate is
//! judged by `engine::certs`, handed in as [`Inspect`]. Key bytes are zeroized when dropped.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub use engine::certs::CertFault;
use engine::certs::{
    Authorities, NameMatch, advise_revocation, load_authorities, load_revocation_lists,
};
use engine::compliance::PolicySet;
use zeroize::Zeroizing;

use super::fault::{Severity, Source};
use super::labels;
use super::schema::{Config, ServerName, Service};
use super::service::Places;
use crate::exit::Exit;
use crate::keydb::Store;

/// No chain or key is anywhere near this size; a larger file is a mistake.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A certificate that ends sooner gets a warning.
pub(super) const SOON: Duration = Duration::from_secs(21 * 86_400);

/// What a certificate says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertSummary {
    /// Subject.
    pub subject: String,
    /// DNS names it is valid for, wildcards as `*.example.com`.
    pub names: Vec<String>,
    /// Kind and size of its key, e.g. `RSA 2048`.
    pub key: String,
    /// First moment of validity.
    pub not_before: SystemTime,
    /// Last moment of validity.
    pub not_after: SystemTime,
    /// What real clients may stumble over.
    pub advice: Vec<CertFault>,
}

/// Judges what cannot be told from the text and the file system alone.
pub trait Inspect {
    /// Looks into a certificate chain (PEM) and its key (PEM) at a moment.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    fn certificate(
        &self,
        cert: &[u8],
        key: &[u8],
        now: SystemTime,
    ) -> Result<CertSummary, Vec<CertFault>>;

    /// Builds the services with these numbers as `run` would, and says what is in the way.
    fn build(&self, _config: &Config, _services: &[usize]) -> Vec<BuildFault> {
        Vec::new()
    }
}

impl<F> Inspect for F
where
    F: Fn(&[u8], &[u8], SystemTime) -> Result<CertSummary, Vec<CertFault>>,
{
    fn certificate(
        &self,
        cert: &[u8],
        key: &[u8],
        now: SystemTime,
    ) -> Result<CertSummary, Vec<CertFault>> {
        self(cert, key, now)
    }
}

/// Why a service, or what all of them need, cannot be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFault {
    /// Number of the service; none if it is the cards or the functions.
    pub service: Option<usize>,
    /// Exit code it leads to.
    pub class: Exit,
    /// What is wrong and why.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// One certificate that was found in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedCertificate {
    /// Index of its service.
    pub service: usize,
    /// Index within the service.
    pub index: usize,
    /// What it says about itself.
    pub summary: CertSummary,
}

/// Reads a file of bounded size into memory that is overwritten when dropped.
///
/// # Errors
/// Those of the file system, `FileTooLarge` beyond one mebibyte, and `InvalidInput` for a pipe or a
/// device, where reading could wait for ever.
pub fn read_bounded(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Before it is opened: opening a pipe waits for its writer.
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        let what = "this is a pipe, a socket or a device, not a file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let file = File::open(path)?;
    // Allocated once: a vector that grows would leave copies of a key behind.
    let bound = usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX).saturating_add(1);
    let mut bytes = Zeroizing::new(vec![0_u8; bound]);
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match (&file).read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if filled == bound {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// Checks the files of all services.
pub(super) fn check(
    source: &Source<'_>,
    services: &[Service],
    places: &[Places],
    now: SystemTime,
    inspect: Option<&dyn Inspect>,
    store: Option<&Store>,
) -> Vec<CheckedCertificate> {
    let mut checked = Vec::new();
    for (service_index, (service, place)) in services.iter().zip(places).enumerate() {
        let before = checked.len();
        let policy = PolicySet::new(&service.mode);
        check_authorities(source, service, place, &policy, now);
        for (index, files) in service.certificates.iter().enumerate() {
            let Some((cert_span, key_span)) = place.certificates.get(index) else { continue };
            let cert_at = At { source, place, name: "cert", span: cert_span, path: &files.cert };
            let key_at = At { source, place, name: "key", span: key_span, path: &files.key };
            let cert = cert_at.read(&["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"]);
            let key = key_at.read(&["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"]);
            key_at.warn_if_readable_by_all();
            let judged = cert.as_ref().map(|cert| policy.judge_chain_file(cert, now));
            let judged = judged.unwrap_or_default();
            report(&judged, &cert_at, &key_at);
            let (Some(cert), Some(key), Some(inspect)) = (cert, key, inspect) else { continue };
            match inspect.certificate(&cert, &key, now) {
                Ok(_) if !judged.is_empty() => {}
                Ok(summary) => {
                    if let Some(what) = warn_if_ending(&summary, now) {
                        cert_at.fault(Exit::Ok, &what, "renew it");
                    }
                    for CertFault { rule, what, remedy } in &summary.advice {
                        cert_at.fault(Exit::Ok, &format!("{what} [{rule}]"), remedy);
                    }
                    checked.push(CheckedCertificate { service: service_index, index, summary });
                }
                Err(faults) => report(&faults, &cert_at, &key_at),
            }
        }
        let of_labels = labels::check(source, (service_index, service, place), store, now, inspect);
        checked.extend(of_labels);
        let wanted = service.certificates.len() + service.labels.len();
        let complete = checked.len() - before == wanted;
        if complete && inspect.is_some() {
            warn_if_not_covered(source, service, place, &checked[before..]);
        }
    }
    checked
}

/// Reads the CAs of clients and backends, with every fault of the files.
fn check_authorities(
    source: &Source<'_>,
    service: &Service,
    place: &Places,
    policy: &PolicySet,
    now: SystemTime,
) {
    let backend_ca = service.tls_backend.as_ref().map(|tls| &tls.ca);
    let client_ca = service.client_auth.trust().map(|trust| &trust.ca);
    for (name, path, span) in [
        ("client_auth.ca", client_ca, &place.client_auth.ca),
        ("tls_backend.ca", backend_ca, &place.backend_ca),
    ] {
        let (Some(path), Some(span)) = (path, span) else { continue };
        let at = At { source, place, name, span, path };
        let labels = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
        let Some(bytes) = at.read(&labels) else { continue };
        let (authorities, unsound) = match load_authorities(&bytes, now) {
            Ok(authorities) => (Some(authorities), Vec::new()),
            Err(faults) => (None, faults),
        };
        for fault in unsound.into_iter().chain(policy.judge_anchor_file(&bytes, now)) {
            at.fault(class(&fault), &format!("{} [{}]", fault.what, fault.rule), &fault.remedy);
        }
        if let (Some(authorities), "client_auth.ca") = (authorities, name) {
            check_revocation(source, service, place, policy, (&authorities, now));
        }
    }
}

/// Reads the revocation lists of clients, with every fault of the files.
fn check_revocation(
    source: &Source<'_>,
    service: &Service,
    place: &Places,
    policy: &PolicySet,
    (authorities, now): (&Authorities, SystemTime),
) {
    let Some(trust) = service.client_auth.trust() else { return };
    let (mut lists, mut complete) = (Vec::new(), true);
    let files = || trust.crl.iter().map(PathBuf::as_path).zip(&place.client_auth.crl);
    let at = |(path, span)| At { source, place, name: "client_auth.crl", span, path };
    for file in files() {
        let at = at(file);
        let bytes = match read_bounded(at.path) {
            Ok(bytes) => bytes,
            Err(error) => {
                at.report_io(&error);
                complete = false;
                continue;
            }
        };
        let unsound = match load_revocation_lists(&bytes, authorities, trust.rules, now) {
            Ok(read) => {
                lists.extend(read);
                Vec::new()
            }
            Err(faults) => faults,
        };
        complete &= unsound.is_empty();
        for fault in unsound.into_iter().chain(policy.judge_revocation_file(&bytes)) {
            at.fault(class(&fault), &format!("{} [{}]", fault.what, fault.rule), &fault.remedy);
        }
    }
    if let (true, Some(file)) = (complete, files().next()) {
        for CertFault { rule, what, remedy } in advise_revocation(&lists, authorities, trust.rules)
        {
            at(file).fault(Exit::Ok, &format!("{what} [{rule}]"), &remedy);
        }
    }
}

/// One file named in the configuration.
struct At<'a> {
    source: &'a Source<'a>,
    place: &'a Places,
    name: &'static str,
    span: &'a Range<usize>,
    path: &'a Path,
}

impl At<'_> {
    fn fault(&self, class: Exit, what: &str, remedy: &str) {
        let severity = if class == Exit::Ok { Severity::Warning } else { Severity::Error };
        self.source.report(
            severity,
            class,
            Some(self.span),
            &format!("{}.{}", self.place.prefix, self.name),
            format!("{}: {what}", self.path.display()),
            remedy.to_owned(),
        );
    }

    /// Reads the file and makes sure that it has a PEM block with one of `labels`.
    fn read(&self, labels: &[&str]) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = match read_bounded(self.path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.report_io(&error);
                return None;
            }
        };
        let what = if self.name == "key" { "private key" } else { "certificate" };
        let found = pem_labels(&bytes);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            self.fault(Exit::Data, "the file is empty", &format!("put the {what} there, as PEM"));
        } else if found.is_empty() {
            self.fault(
                Exit::Data,
                "the file is not PEM (no -----BEGIN line)",
                "convert it, e.g. openssl x509 -inform der or openssl pkcs12 -nodes",
            );
        } else if self.name == "key" && found.iter().any(|label| label.contains("ENCRYPTED")) {
            self.fault(
                Exit::Data,
                "the private key is encrypted with a passphrase",
                "decrypt it (openssl pkey) and protect the file by its mode, 0600",
            );
        } else if !found.iter().any(|label| labels.contains(&label.as_str())) {
            self.fault(
                Exit::Data,
                &format!("there is no {what} in the file, only: {}", found.join(", ")),
                &format!("name the PEM file that holds the {what}; are cert and key swapped?"),
            );
        } else {
            return Some(bytes);
        }
        None
    }

    fn report_io(&self, error: &io::Error) {
        let (class, what, remedy) = match error.kind() {
            io::ErrorKind::NotFound => (
                Exit::NoInput,
                "the file does not exist".to_owned(),
                "correct the path; relative ones start at the directory of this file",
            ),
            io::ErrorKind::PermissionDenied => (
                Exit::Permission,
                "the file may not be read".to_owned(),
                "give the user Adjunct runs as the right to read it",
            ),
            io::ErrorKind::IsADirectory => {
                (Exit::Data, "this is a directory".to_owned(), "name a file in it")
            }
            io::ErrorKind::FileTooLarge => {
                (Exit::Data, "the file is larger than 1 MiB".to_owned(), "name a PEM file")
            }
            io::ErrorKind::InvalidInput => (Exit::Data, error.to_string(), "name a PEM file"),
            _ => (Exit::OsError, error.to_string(), "look into the file system"),
        };
        self.fault(class, &what, remedy);
    }

    fn warn_if_readable_by_all(&self) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(self.path).map_or(0, |data| data.permissions().mode());
        if mode & 0o004 != 0 {
            self.fault(Exit::Ok, "every user can read this private key", "chmod 0600 or 0640");
        }
    }
}

/// Said of a certificate that ends soon.
pub(super) fn warn_if_ending(summary: &CertSummary, now: SystemTime) -> Option<String> {
    let left = summary.not_after.duration_since(now).ok().filter(|left| *left < SOON)?;
    let days = left.as_secs() / 86_400;
    Some(format!("the certificate of {} ends in {days} days", summary.subject))
}

/// What a mode forbids is a matter of the configuration; everything else of the file.
pub(super) fn class(fault: &CertFault) -> Exit {
    if fault.is_of_mode() { Exit::Config } else { Exit::Data }
}

/// Each fault at the file it is about; a pair that does not match names both.
fn report(faults: &[CertFault], cert: &At<'_>, key: &At<'_>) {
    for fault in faults {
        let CertFault { rule, what, remedy } = fault;
        let (at, other) = match *rule {
            "key-mismatch" => (key, format!("; certificate {}", cert.path.display())),
            rule if rule.starts_with("key-") => (key, String::new()),
            _ => (cert, String::new()),
        };
        at.fault(class(fault), &format!("{what} [{rule}{other}]"), remedy);
    }
}

/// A service whose own name is in none of its certificates will be refused by its clients.
fn warn_if_not_covered(
    source: &Source<'_>,
    service: &Service,
    place: &Places,
    checked: &[CheckedCertificate],
) {
    let covers = |wanted: &ServerName, name: &str| match (wanted, ServerName::parse(name)) {
        (ServerName::Exact(host), Ok(pattern)) => pattern.matches(host) > NameMatch::None,
        (wildcard, Ok(pattern)) => *wildcard == pattern,
        (_, Err(_)) => false,
    };
    for (wanted, span) in service.sni.iter().zip(&place.sni) {
        let covered =
            checked.iter().any(|c| c.summary.names.iter().any(|name| covers(wanted, name)));
        if !covered && !checked.is_empty() {
            source.warning(
                span,
                &format!("{}.sni", place.prefix),
                format!("{wanted} is in no certificate of this service"),
                "clients that check names will refuse; add a certificate with this name".to_owned(),
            );
        }
    }
}

/// The labels of the PEM blocks in a file.
fn pem_labels(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let line = line.trim_ascii().strip_prefix(b"-----BEGIN ")?;
            let label = line.strip_suffix(b"-----")?;
            Some(String::from_utf8_lossy(label.get(..label.len().min(40))?).into_owned())
        })
        .take(64)
        .collect()
}
