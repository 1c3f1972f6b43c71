//! `adjunct check`, and the same checks ahead of `adjunct run`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::SystemTime;

use engine::compliance::PolicySet;
use serde_json::{Value, json};

use super::args::{self, Color};
use super::{complain, print, print_json};
use crate::config::schema::{LogTarget, Service, Tls};
use crate::config::{self, CheckedCertificate, Config, Fault, Inspect, Look, Report, Severity};
use crate::daemon;
use crate::exit::Exit;
use crate::fips;
use crate::glue;
use crate::observe::time::rfc3339;
use crate::provider;

/// Checks the configuration, then serves.
pub(super) fn run(arguments: &args::Run, color: Color) -> Exit {
    // Before the first thread; the checks start cards.
    if let Err(error) = provider::enter(config::provider_of(&arguments.config)) {
        complain(&format!("adjunct: {error}"));
        return Exit::OsError;
    }
    if let Some(exit) = refuse_untested(arguments, color) {
        return exit;
    }
    let report = load(&arguments.config, arguments.log.is_none());
    complain_about(&report);
    let exit = report.exit();
    let Some(config) = report.config else {
        return exit;
    };
    daemon::run(&as_asked(config, arguments, color))
}

/// In a FIPS mode nothing is done with a key before everything is tested. What is wrong with the
/// file is said later, with everything else.
fn refuse_untested(arguments: &args::Run, color: Color) -> Option<Exit> {
    let config = config::load_without_files(&arguments.config).config?;
    let failure = daemon::self_tests(&config).err()?;
    Some(daemon::refuse(&as_asked(config, arguments, color), &failure))
}

/// The configuration with what the command line says instead.
fn as_asked(mut config: Config, arguments: &args::Run, color: Color) -> Config {
    let log = &mut config.server.log;
    log.color = color.into();
    if let Some(target) = &arguments.log {
        log.target = match target.as_str() {
            "stderr" => LogTarget::Stderr,
            path => LogTarget::File(path.into()),
        };
    }
    if let Some(format) = arguments.log_format {
        log.format = format.into();
    }
    config
}

/// Says everything that is wrong, or what would be served.
pub(super) fn check(arguments: &args::Check) -> Exit {
    let report = load(&arguments.config, true);
    let exit = report.exit();
    if arguments.json {
        let printed = print_json(&as_json(&arguments.config, &report));
        return if printed == Exit::Ok { exit } else { printed };
    }
    complain_about(&report);
    if let Some(config) = &report.config {
        print(&overview(config, &report.certificates));
    }
    exit
}

fn load(file: &Path, log_from_file: bool) -> Report {
    let inspector = glue::Inspector::start();
    if let Err(error) = &inspector {
        complain(&format!("adjunct: certificates are not looked into: {error}"));
    }
    let inspect = inspector.as_ref().ok().map(|inspector| inspector as &dyn Inspect);
    let mut report = config::load(file, &Look { now: SystemTime::now(), inspect, log_from_file });
    if let Some(config) = &report.config {
        let faults: Vec<Fault> = refusals(config).collect();
        if !faults.is_empty() {
            report.config = None;
        }
        report.faults.extend(faults);
    }
    report
}

/// What a mode refuses that does not stand in the file.
fn refusals(config: &Config) -> impl Iterator<Item = Fault> {
    let untested = daemon::self_tests(config).err().map(|error| {
        let remedy = "nothing is served before that is mended";
        Fault::of_file(&config.file, error.exit(), error.to_string(), remedy)
    });
    fips::key_log(config).into_iter().chain(untested)
}

/// All faults on standard error, then their number.
pub(super) fn complain_about(report: &Report) {
    for fault in &report.faults {
        complain(&fault.to_string());
    }
    let errors = report.faults.iter().filter(|f| f.severity == Severity::Error).count();
    if errors > 0 {
        let plural = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        let warnings = report.faults.len() - errors;
        let (errors, warnings) = (plural(errors, "error"), plural(warnings, "warning"));
        let exit = report.exit();
        complain(&format!("{errors}, {warnings}; exit {} ({})", exit.code(), exit.meaning()));
    }
}

/// What the configuration would serve.
fn overview(config: &Config, certificates: &[CheckedCertificate]) -> String {
    let mut out = format!("{}: in order\n", config.file.display());
    for (index, service) in config.services.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = writeln!(out, "  {}: {}", service.name, way(service));
        if !service.mode.is_empty() {
            let policy = PolicySet::new(&service.mode);
            let _ = writeln!(out, "    mode {}, policy {}", service.mode, policy.short_hash());
        }
        for certificate in certificates.iter().filter(|c| c.service == index) {
            let files = service.certificates.get(certificate.index);
            let label = certificate.index.checked_sub(service.certificates.len());
            let label = label.and_then(|nth| service.labels.get(nth));
            let name = match (files, label) {
                (Some(files), _) => files.cert.display().to_string(),
                (None, Some(label)) => format!("label \"{label}\""),
                (None, None) => String::new(),
            };
            let summary = &certificate.summary;
            let _ = writeln!(
                out,
                "    {name}: {}, {}, until {}",
                summary.subject,
                summary.key,
                rfc3339(summary.not_after),
            );
        }
    }
    out
}

/// `0.0.0.0:992 (a.example) -> 127.0.0.1:23`, or `0.0.0.0:992 without TLS -> 127.0.0.1:23`.
fn way(service: &Service) -> String {
    let listen: Vec<String> = service.listen.iter().map(ToString::to_string).collect();
    let names: Vec<String> = service.sni.iter().map(ToString::to_string).collect();
    let backends: Vec<&str> = service.backends.iter().map(|b| b.text.as_str()).collect();
    let names = match names.as_slice() {
        _ if service.tls == Tls::Off => " without TLS".to_owned(),
        [] => String::new(),
        names => format!(" ({})", names.join(", ")),
    };
    format!("{}{names} -> {}", listen.join(", "), backends.join(", "))
}

fn as_json(file: &Path, report: &Report) -> Value {
    let fault = |fault: &Fault| {
        json!({
            "severity": fault.severity.word(),
            "file": fault.file.display().to_string(),
            "line": fault.place.map(|place| place.line),
            "column": fault.place.map(|place| place.column),
            "key": fault.key,
            "what": fault.what,
            "remedy": fault.remedy,
            "exit": fault.class.code(),
        })
    };
    let certificate = |certificate: &CheckedCertificate| {
        let summary = &certificate.summary;
        json!({
            "service": certificate.service,
            "certificate": certificate.index,
            "subject": summary.subject,
            "names": summary.names,
            "key": summary.key,
            "not_before": rfc3339(summary.not_before),
            "not_after": rfc3339(summary.not_after),
        })
    };
    json!({
        "file": file.display().to_string(),
        "exit": report.exit().code(),
        "faults": report.faults.iter().map(fault).collect::<Vec<_>>(),
        "certificates": report.certificates.iter().map(certificate).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{as_json, overview};
    use crate::config::parse;

    const TEXT: &str = "[[service]]\nname = \"a\"\nlisten = \"127.0.0.1:992\"\n\
        backend = \"127.0.0.1:23\"\ncert = \"a.pem\"\nkey = \"a.key\"\nsni = \"a.de\"\n";

    #[test]
    fn the_overview_names_what_is_served() {
        let config = parse(Path::new("a.toml"), TEXT).config.unwrap();
        let expected = "a.toml: in order\n  a: 127.0.0.1:992 (a.de) -> 127.0.0.1:23\n";
        assert_eq!(overview(&config, &[]), expected);
    }

    #[test]
    fn the_overview_names_the_modes_that_hold() {
        let text = format!("{TEXT}mode = [\"fips-140-3\"]\n");
        let config = parse(Path::new("a.toml"), &text).config.unwrap();
        assert!(overview(&config, &[]).contains("\n    mode fips-140-3, policy "));
    }

    #[test]
    fn json_has_place_remedy_and_exit_code_of_each_fault() {
        let report = parse(Path::new("a.toml"), &format!("{TEXT}lisen = 1\n"));
        let value = as_json(Path::new("a.toml"), &report);
        assert_eq!(value["exit"], 78);
        assert_eq!(value["faults"][0]["line"], 8);
        assert_eq!(value["faults"][0]["key"], "service.a.lisen");
        assert_eq!(value["faults"][0]["severity"], "error");
    }
}
