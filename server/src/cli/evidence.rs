//! `adjunct evidence`: from log files, or from a running daemon.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use engine::compliance::Mode;

use super::args::{self, EvidenceTable};
use super::{complain, deliver, look, print_json};
use crate::admin;
use crate::config::schema::{LogFormat, LogTarget};
use crate::evidence::report::{Reading, Report, Source};
use crate::evidence::since::since;
use crate::evidence::table::{self, Table};
use crate::evidence::{Book, Limits, html, input, text};
use crate::exit::Exit;
use crate::observe::time::rfc3339;

const USAGE: &str = "adjunct: nothing is named to report on; give log files (- is standard input), \
                     --socket of a running daemon, or --config";

pub(super) fn evidence(arguments: &args::Evidence) -> Exit {
    let from = match arguments.since.as_deref().map(|text| since(text, SystemTime::now())) {
        Some(Err(reason)) => {
            complain(&format!("adjunct: --since: {reason}"));
            return Exit::Usage;
        }
        Some(Ok(from)) => Some(from),
        None => None,
    };
    if arguments.form.csv == Some(Some(EvidenceTable::WhatIf)) && arguments.what_if.is_none() {
        complain("adjunct: --csv=what-if: of which mode? add --what-if MODE");
        return Exit::Usage;
    }
    match make(arguments, from) {
        Ok((report, exit)) => match show(&report, &arguments.form) {
            Exit::Ok => exit,
            failed => failed,
        },
        Err(exit) => exit,
    }
}

/// The report, and how the command ends once it is shown.
fn make(arguments: &args::Evidence, since: Option<SystemTime>) -> Result<(Report, Exit), Exit> {
    if !arguments.files.is_empty() {
        return Ok(from_files(&arguments.files, since, arguments.what_if));
    }
    if let Some(socket) = &arguments.socket {
        return ask(socket, since, arguments.what_if).map_err(|error| failed(&error));
    }
    let Some(file) = &arguments.config else {
        complain(USAGE);
        return Err(Exit::Usage);
    };
    let config = look::read(file)?;
    if let Some(socket) = &config.admin_socket {
        match ask(socket, since, arguments.what_if) {
            Err(admin::Error::NoDaemon { .. }) => {}
            answer => return answer.map_err(|error| failed(&error)),
        }
    }
    match (&config.server.log.target, config.server.log.format) {
        (LogTarget::File(path), LogFormat::Json) => {
            complain("adjunct: no daemon answers; this is from its log file.");
            Ok(from_files(std::slice::from_ref(path), since, arguments.what_if))
        }
        _ => {
            complain(&format!(
                "adjunct: {}: no daemon answers at its admin socket, and it writes no JSON log \
                 file; start it with [admin] socket, or name log files",
                file.display()
            ));
            Err(Exit::Unavailable)
        }
    }
}

fn failed(error: &admin::Error) -> Exit {
    complain(&format!("adjunct: {error}"));
    error.exit()
}

fn ask(
    socket: &Path,
    since: Option<SystemTime>,
    what_if: Option<Mode>,
) -> Result<(Report, Exit), admin::Error> {
    let question = what_if.map_or_else(|| "evidence".to_owned(), |mode| format!("evidence {mode}"));
    let mut report: Report = admin::ask(socket, &question)?;
    report.source.names = vec![socket.display().to_string()];
    if let Some(since) = since {
        report.keep_seen_since(&rfc3339(since));
    }
    Ok((report, Exit::Ok))
}

/// A file that cannot be read is told and left out.
fn from_files(
    files: &[PathBuf],
    since: Option<SystemTime>,
    what_if: Option<Mode>,
) -> (Report, Exit) {
    let mut book = Book::new(Limits::FILES);
    let mut reading = Reading::default();
    let mut exits = Vec::new();
    for file in files {
        if let Err(error) = read_file(file, since, &mut book, &mut reading) {
            complain(&format!("adjunct: {}: {error}", file.display()));
            exits.push(match error.kind() {
                io::ErrorKind::InvalidData => Exit::Failure,
                _ => Exit::of_io(&error),
            });
        }
    }
    let usable = reading.connections + reading.events;
    if usable == 0 && reading.lines > 0 {
        complain(
            "adjunct: no line could be used: only logs with log.format = \"json\" can be read, \
             not those in text form",
        );
        exits.push(Exit::Failure);
    }
    let mut report = book.report(what_if);
    report.reading = reading;
    report.source = Source {
        kind: "log".to_owned(),
        names: files.iter().map(|file| file.display().to_string()).collect(),
        counted_from: None,
        since: since.map(rfc3339),
    };
    (report, Exit::of(exits))
}

fn read_file(
    file: &Path,
    since: Option<SystemTime>,
    book: &mut Book,
    reading: &mut Reading,
) -> io::Result<()> {
    if file == Path::new("-") {
        return input::lines(&mut io::stdin().lock(), "standard input", since, book, reading);
    }
    let mut from = BufReader::with_capacity(256 << 10, File::open(file)?);
    input::lines(&mut from, &file.display().to_string(), since, book, reading)
}

fn show(report: &Report, form: &args::EvidenceForm) -> Exit {
    if form.json {
        return print_json(report);
    }
    if form.html {
        return deliver(&html::page(report));
    }
    let Some(wanted) = form.csv else {
        return deliver(&text::text(report));
    };
    let wanted = wanted.map(EvidenceTable::name);
    // CSV has no place for remarks.
    for line in text::limits(report) {
        complain(&format!("adjunct: {line}"));
    }
    let tables = table::tables(report);
    let named = |table: &&Table| wanted.is_none_or(|name| table.name == name);
    tables.iter().find(named).map_or(Exit::Ok, |table| deliver(&table.csv()))
}

impl EvidenceTable {
    fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Clients => "clients",
            Self::Refused => "refused",
            Self::WhatIf => "what-if",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::{EvidenceTable, table};
    use crate::evidence::Report;
    use crate::evidence::report::WhatIf;

    #[test]
    fn every_table_has_its_word() {
        let report = Report { what_if: Some(WhatIf::default()), ..Report::default() };
        let mut words: Vec<_> = EvidenceTable::value_variants().iter().map(|t| t.name()).collect();
        let mut names: Vec<_> = table::tables(&report).iter().map(|table| table.name).collect();
        words.sort_unstable();
        names.sort_unstable();
        assert_eq!(words, names);
    }
}
