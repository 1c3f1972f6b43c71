//! The configuration file: read, checked, typed.
//!
//! Purpose: turn a TOML file into a [`Config`] or into the complete list of what is wrong with it.
//! The file is read over `toml`'s spanned tables rather than by deserializing into structs, since a
//! deserializer stops at its first error; an operator wants them all, each with its line.
//!
//! Invariants: nothing that is written in the file is ignored. A key or word of a later version is
//! an error that says so. If the file is not TOML at all, only its syntax errors are reported:
//! whatever follows them would be guesses. Does not bind sockets and does not connect.

mod address;
mod backend;
mod build;
mod cex;
mod client_auth;
mod fault;
mod files;
mod keys;
mod labels;
mod modes;
mod negotiation;
mod network;
mod plain;
mod reader;
mod relations;
pub mod schema;
mod service;
mod targets;
#[cfg(test)]
mod tests;
mod tls_backend;

use std::path::Path;
use std::time::SystemTime;

use engine::compliance::Mode;
use toml::de::DeTable;

pub use fault::{Fault, Place, Severity};
pub use files::{BuildFault, CertFault, CertSummary, CheckedCertificate, Inspect, read_bounded};
pub use keys::{KEYS, Key, LATER, REQUIRED};
pub use schema::Config;

pub(crate) use reader::parse_duration;

use crate::exit::Exit;
use fault::Source;

/// What reading a configuration led to.
#[derive(Debug, Clone)]
pub struct Report {
    /// The configuration; none if there was an error.
    pub config: Option<Config>,
    /// Errors and warnings in the order of the file.
    pub faults: Vec<Fault>,
    /// Certificates that are in order, those of faulty services included.
    pub certificates: Vec<CheckedCertificate>,
}

impl Report {
    /// The exit code the faults lead to; [`Exit::Ok`] if there are only warnings.
    #[must_use]
    pub fn exit(&self) -> Exit {
        Exit::of(self.faults.iter().map(|fault| fault.class))
    }

    fn failed(fault: Fault) -> Self {
        Self { config: None, faults: vec![fault], certificates: Vec::new() }
    }
}

/// How far [`load`] looks.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "the judge may be a closure")]
pub struct Look<'a> {
    /// Moment at which certificates must be valid.
    pub now: SystemTime,
    /// Judge of certificates and services; without it they are only looked at from outside.
    pub inspect: Option<&'a dyn Inspect>,
    /// Whether `log.target` will be used, or something else stands on the command line.
    pub log_from_file: bool,
}

/// Reads and checks a configuration file and the files it names.
#[must_use]
pub fn load(file: &Path, look: &Look<'_>) -> Report {
    with_text(file, |text| check_text(file, text, Some(look)))
}

/// The provider that a configuration file asks for: known before anything is started. Where it
/// cannot be read, the checks say why.
#[must_use]
pub fn provider_of(file: &Path) -> schema::Provider {
    let asked = || {
        let bytes = read_bounded(file).ok()?;
        let document = DeTable::parse(std::str::from_utf8(&bytes).ok()?).ok()?;
        let provider = document.get_ref().get("cpacf")?.get_ref().get("provider")?;
        Some(provider.get_ref().as_str()? == schema::Provider::Portable.name())
    };
    match asked() {
        Some(true) => schema::Provider::Portable,
        _ => schema::Provider::Host,
    }
}

/// The modes that a configuration file asks for, for commands that need nothing else of it.
///
/// # Errors
///
/// What is wrong with the file, or with the first mode that is none.
pub fn modes_of(file: &Path) -> Result<Vec<Mode>, String> {
    let name = file.display();
    let bytes = read_bounded(file).map_err(|error| format!("{name}: {error}"))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| format!("{name}: {error}"))?;
    let document = DeTable::parse(text).map_err(|error| format!("{name}: {}", error.message()))?;
    let modes = document.get_ref().get("server").and_then(|server| server.get_ref().get("mode"));
    let Some(modes) = modes.and_then(|modes| modes.get_ref().as_array()) else {
        return Ok(Vec::new());
    };
    let read = |mode: &toml::Spanned<toml::de::DeValue<'_>>| {
        let text = mode.get_ref().as_str().unwrap_or_default();
        text.parse::<Mode>().map_err(|error| format!("{name}: {error}"))
    };
    modes.iter().map(read).collect()
}

/// Reads and checks a configuration file, but not the files it names.
#[must_use]
pub fn load_without_files(file: &Path) -> Report {
    with_text(file, |text| parse(file, text))
}

fn with_text(file: &Path, check: impl FnOnce(&str) -> Report) -> Report {
    let bytes = match read_bounded(file) {
        Ok(bytes) => bytes,
        Err(error) => return Report::failed(unreadable(file, &error)),
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) => check(text),
        Err(error) => Report::failed(Fault::of_file(
            file,
            Exit::Config,
            format!("the file is not UTF-8 text (byte {})", error.valid_up_to()),
            "save it as UTF-8",
        )),
    }
}

/// Checks a configuration text as if it stood in `file`, without looking at the files it names.
#[must_use]
pub fn parse(file: &Path, text: &str) -> Report {
    check_text(file, text, None)
}

fn unreadable(file: &Path, error: &std::io::Error) -> Fault {
    let remedy = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "name the file with --config or ADJUNCT_CONFIG; `adjunct demo` needs none"
        }
        std::io::ErrorKind::PermissionDenied => "give this user the right to read it",
        _ => "name a TOML file of less than 1 MiB",
    };
    let class = match error.kind() {
        std::io::ErrorKind::IsADirectory
        | std::io::ErrorKind::FileTooLarge
        | std::io::ErrorKind::InvalidInput => Exit::Config,
        _ => Exit::of_io(error),
    };
    let what = format!("the configuration cannot be read: {error}");
    Fault::of_file(file, class, what, remedy)
}

fn check_text(file: &Path, text: &str, look: Option<&Look<'_>>) -> Report {
    let source = Source::new(file, text);
    let (document, syntax) = DeTable::parse_recoverable(text);
    for error in &syntax {
        source.error(
            &error.span().unwrap_or(0..0),
            "",
            format!("this is not TOML: {}", error.message()),
            "correct the syntax; the other checks come after it".to_owned(),
        );
    }
    if !syntax.is_empty() {
        return Report { config: None, faults: source.into_faults(), certificates: Vec::new() };
    }
    let draft = build::read(&source, document.get_ref());
    relations::check(&source, &draft.config.services, &draft.places);
    let mut certificates = Vec::new();
    if let Some(&Look { now, inspect, log_from_file }) = look {
        let services = &draft.config.services;
        let store = labels::open(&source, &draft.config, draft.keydb.as_ref(), now);
        let store = store.as_ref();
        certificates = files::check(&source, services, &draft.places, now, inspect, store);
        targets::check(&source, &draft, log_from_file);
        // A database that cannot be opened has been reported where it is named.
        let opened = draft.config.server.keydb.is_none() || store.is_some();
        if let Some(inspect) = inspect.filter(|_| opened) {
            build_services(&source, &draft, inspect);
        }
    }
    let faults = source.into_faults();
    let sound = faults.iter().all(|fault| fault.severity == Severity::Warning);
    Report { config: sound.then_some(draft.config), faults, certificates }
}

/// Builds what is in order so far, so that `check` finds what `run` would refuse.
fn build_services(source: &Source<'_>, draft: &build::Draft, inspect: &dyn Inspect) {
    let sound = |(_, place): &(usize, &service::Places)| source.is_sound(&place.prefix);
    let services: Vec<usize> =
        draft.places.iter().enumerate().filter(sound).map(|(index, _)| index).collect();
    if services.is_empty() {
        return;
    }
    for BuildFault { service, class, what, remedy } in inspect.build(&draft.config, &services) {
        let place = service.and_then(|index| draft.places.get(index));
        let (span, key) = match place {
            Some(place) => (place.name.clone(), place.prefix.as_str()),
            None => (0..0, "card"),
        };
        source.report(Severity::Error, class, Some(&span), key, what, remedy);
    }
}
