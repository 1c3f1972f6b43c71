//! A profile as a report: raw lines, summary and a page of tables.
//!
//! What the figures mean is for a reader to write: the page has the tables, and a place for it that
//! `--notes FILE` fills.

use std::collections::BTreeMap;
use std::path::Path as FilePath;

use serde_json::{Value, json};

use super::callgrind::PerOperation;
use super::class::Class;
use super::count;
use super::daemon::Profile;
use super::path::Path;
use crate::Failure;
use crate::report::markdown::{self, Column};
use crate::report::{
    Derived, Directory, Heading, Host, Plan, Round, Summary, today, update_readme,
};
use crate::table::Table;

/// Classes of the table, and the name of each figure.
const SHARES: [(Class, &str); 16] = [
    (Class::Kernel, "kernel_percent"),
    (Class::Aead, "aead_percent"),
    (Class::KeyExchange, "key_exchange_percent"),
    (Class::Signature, "signature_percent"),
    (Class::Hash, "hash_percent"),
    (Class::OtherCrypto, "other_crypto_percent"),
    (Class::Rustls, "rustls_percent"),
    (Class::Webpki, "webpki_percent"),
    (Class::Engine, "engine_percent"),
    (Class::Cex, "cex_percent"),
    (Class::Cpacf, "cpacf_percent"),
    (Class::Server, "server_percent"),
    (Class::Memory, "memory_percent"),
    (Class::Clock, "clock_percent"),
    (Class::Library, "library_percent"),
    (Class::Other, "unknown_percent"),
];

const COSTS: [Column; 6] = [
    Column::new("host µs", "host_us", 1),
    Column::new("card µs", "card_us", 1),
    Column::new("system calls", "calls", 2),
    Column::new("kernel % of all, clock", "kernel_by_clock_percent", 1),
    Column::new("and samples", "kernel_of_all_percent", 1),
    Column::new("samples", "samples", 0),
];

const OF_HOST: [Column; 8] = [
    Column::new("kernel", "kernel_percent", 1),
    Column::new("AEAD", "aead_percent", 1),
    Column::new("key exchange", "key_exchange_percent", 1),
    Column::new("signature", "signature_percent", 1),
    Column::new("hash, KDF", "hash_percent", 1),
    Column::new("rustls", "rustls_percent", 1),
    Column::new("ours", "ours_percent", 1),
    Column::new("memory", "memory_percent", 1),
];

const OF_OURS: [Column; 8] = [
    Column::new("engine", "engine_percent", 1),
    Column::new("server", "server_percent", 1),
    Column::new("cex", "cex_percent", 1),
    Column::new("cpacf", "cpacf_percent", 1),
    Column::new("clocks", "clock_percent", 1),
    Column::new("libc, std", "library_percent", 1),
    Column::new("other crypto", "other_crypto_percent", 1),
    Column::new("unknown", "unknown_percent", 1),
];

const COUNTS: [Column; 7] = [
    Column::new("instructions", "instructions", 0),
    Column::new("AEAD", "aead_instructions", 0),
    Column::new("key exchange", "key_exchange_instructions", 0),
    Column::new("signature", "signature_instructions", 0),
    Column::new("hash, KDF", "hash_instructions", 0),
    Column::new("rustls", "rustls_instructions", 0),
    Column::new("memory", "memory_instructions", 0),
];

/// A profile as a raw line.
#[must_use]
pub fn of_daemon(profile: &Profile) -> Round {
    let mut values: BTreeMap<String, f64> = SHARES
        .iter()
        .map(|(class, name)| ((*name).to_owned(), profile.share(*class) * 100.0))
        .collect();
    let ours = Class::ALL.into_iter().filter(|class| class.is_ours());
    let ours: f64 = ours.map(|class| profile.share(class)).sum();
    for (name, value) in [
        ("host_us", profile.host_us),
        ("card_us", profile.card_us),
        ("calls", profile.calls_in_all()),
        ("kernel_by_clock_percent", profile.kernel_by_clock * 100.0),
        ("kernel_of_all_percent", profile.kernel_of_all * 100.0),
        ("samples", profile.samples as f64),
        ("ours_percent", ours * 100.0),
    ] {
        values.insert(name.to_owned(), value);
    }
    let functions: Vec<Value> = profile
        .functions
        .iter()
        .map(|(name, share)| json!({ "function": name, "percent": share * 100.0 }))
        .collect();
    let detail = json!({
        "unit": profile.scenario.unit(),
        "calls": profile.calls,
        "functions": functions,
    });
    round(profile.scenario.name().to_owned(), values, detail)
}

/// Instructions of a path as a raw line.
#[must_use]
pub fn of_path(path: Path, per: &PerOperation) -> Round {
    let name = |name: &str| name.replace("_percent", "_instructions");
    let mut values: BTreeMap<String, f64> = SHARES
        .iter()
        .map(|(class, share)| (name(share), per.classes.get(class).copied().unwrap_or_default()))
        .collect();
    values.insert("instructions".to_owned(), per.total);
    round(cell_of(path), values, count::line(path, per))
}

fn cell_of(path: Path) -> String {
    format!("count-{}", path.name())
}

fn round(cell: String, values: BTreeMap<String, f64>, detail: Value) -> Round {
    Round { cell, round: 1, values, detail, ..Round::default() }
}

/// Everything as tables for a terminal.
#[must_use]
pub fn table(profiles: &[Profile]) -> String {
    let mut header = vec!["", "host us", "card us", "calls"];
    let classes = Class::ALL;
    header.extend(classes.iter().map(|class| class.name()));
    let mut table = Table::new("CPU of the host by class, percent", &header);
    for profile in profiles {
        let mut cells = vec![
            format!("{} /{}", profile.scenario.name(), profile.scenario.unit()),
            format!("{:.1}", profile.host_us),
            format!("{:.1}", profile.card_us),
            format!("{:.1}", profile.calls_in_all()),
        ];
        let share = |class: Class| format!("{:.1}", profile.share(class) * 100.0);
        cells.extend(classes.into_iter().map(share));
        table.cells(cells);
    }
    table.to_string()
}

/// Profiles of loads, and instructions of paths.
pub type Measured<'a> = (&'a [Profile], &'a [(Path, PerOperation)]);

/// Writes the report, and enters it in the list of its collection.
///
/// # Errors
/// The directory is there already, or cannot be written.
pub fn write(
    out: Option<&FilePath>,
    command: &str,
    (profiles, counts): Measured<'_>,
    notes: Option<&str>,
) -> Result<Directory, Failure> {
    let host = Host::now();
    let mut directory = Directory::create(out, "profile", "profile")?;
    let of_paths = counts.iter().map(|(path, per)| of_path(*path, per));
    let rounds: Vec<Round> = profiles.iter().map(of_daemon).chain(of_paths).collect();
    for round in &rounds {
        directory.append(round)?;
    }
    let heading = Heading {
        kind: "profile".to_owned(),
        title: "Where time, instructions and system calls go".to_owned(),
        date: today(),
        commit: host.commit.clone(),
        dirty: host.dirty,
        quick: false,
        reference: None,
    };
    let plans: Vec<Plan> = rounds.iter().map(|round| plan(&round.cell)).collect();
    let summary = Summary::of(heading, &plans, &rounds, &Derived::default());
    directory.write_host(&host)?;
    directory.write_commands(&[
        "cargo build --release -p adjunct -p adjunct-bench".to_owned(),
        command.to_owned(),
    ])?;
    directory.write_summary(&summary)?;
    directory.write("report.md", &(page(&summary, profiles) + &meaning(notes)))?;
    directory.check()?;
    if let Some(collection) = directory.collection() {
        let name = directory.path().file_name().and_then(|name| name.to_str()).unwrap_or_default();
        update_readme(&collection.join("README.md"), name, &sentence(&summary))?;
    }
    Ok(directory)
}

/// One line for the list of reports.
fn sentence(summary: &Summary) -> String {
    let Heading { title, commit, .. } = &summary.heading;
    let of = |group: &str| summary.cells.iter().filter(|cell| cell.plan.group == group).count();
    format!("{title}: {} loads, {} hot paths, commit {commit}", of("daemon"), of("instructions"))
}

/// What the reader of the tables has to say.
fn meaning(notes: Option<&str>) -> String {
    let unwritten = "Not written yet. Who reads the tables writes it here, or puts it into a file \
                     that `profile --notes FILE` takes.";
    format!("\n## What it means\n\n{}\n", notes.map_or(unwritten, str::trim))
}

fn plan(cell: &str) -> Plan {
    let group = if cell.starts_with("count-") { "instructions" } else { "daemon" };
    let title = cell.to_owned();
    Plan { id: cell.to_owned(), title, group: group.to_owned(), ..Plan::default() }
}

fn page(summary: &Summary, profiles: &[Profile]) -> String {
    let of = |group: &str| -> Vec<_> {
        summary.cells.iter().filter(|cell| cell.plan.group == group).collect()
    };
    let (daemon, paths) = (of("daemon"), of("instructions"));
    let mut text = format!("# {}\n\n{METHOD}\n", summary.heading.title);
    if !daemon.is_empty() {
        for (title, columns) in
            [(TITLE_COSTS, &COSTS[..]), (TITLE_SHARES, &OF_HOST), (TITLE_REST, &OF_OURS)]
        {
            text += &format!("\n{title}\n\n{}\n", markdown::table(&daemon, columns));
        }
        text += "\n## System calls by name\n\n";
        text += &calls(profiles);
    }
    if !paths.is_empty() {
        text += &format!("\n{TITLE_COUNTS}\n\n{}\n", markdown::table(&paths, &COUNTS));
    }
    text
}

/// One line a load, the most frequent first.
fn calls(profiles: &[Profile]) -> String {
    let line = |profile: &Profile| {
        // Less is what the allocator does now and then, and the tick of every second.
        let mut calls: Vec<_> = profile.calls.iter().filter(|(_, count)| **count > 0.005).collect();
        calls.sort_by(|a, b| b.1.total_cmp(a.1));
        let calls: Vec<String> =
            calls.into_iter().map(|(name, count)| format!("{name} {count:.2}")).collect();
        format!(
            "- {} (a {}): {}\n",
            profile.scenario.name(),
            profile.scenario.unit(),
            calls.join(", ")
        )
    };
    profiles.iter().map(line).collect()
}

const METHOD: &str = "\
## Method

One worker with fibers on the first processor, load and backend on the last; TLS 1.3, X25519,
TLS_AES_128_GCM_SHA256; the standard simulated cards, threads of the host, whose time stands
apart. Shares are samples of perf (`cpu-clock`, the function at the top of the stack) of
everything that is no card, with 16 clients in a closed loop, or one connection that moves data.
CPU times are read meanwhile, so that the interrupts of perf are in them: they are for the shares,
and reports of `cost` and `peers`, where nobody samples, are for what a handshake costs.
Functions are classed by name, in `benches/src/profile/class.rs`. System calls are counted by
strace with one client at a time, as the difference of two runs of which one is twice as long;
they do not depend on who else uses the machine, and microseconds do. Instructions are counted by
callgrind in memory, without sockets; valgrind presents a processor without AVX-512 and SHA
instructions.";
const TITLE_COSTS: &str = "## Cost of a connection, or of a MiB of data";
const TITLE_SHARES: &str = "## Share of the host's CPU time, percent";
const TITLE_REST: &str = "## Ours and the rest, percent of the host's CPU time";
const TITLE_COUNTS: &str = "## Instructions of hot paths, server side";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::daemon::Scenario;

    fn profile(scenario: Scenario) -> Profile {
        Profile {
            scenario,
            host_us: 100.25,
            card_us: 900.0,
            kernel_by_clock: 0.31,
            kernel_of_all: 0.3,
            host: [(Class::Kernel, 0.3), (Class::Engine, 0.2), (Class::Server, 0.5)].into(),
            samples: 1000,
            functions: vec![("rustls::f".to_owned(), 0.5)],
            calls: [("read".to_owned(), 4.0), ("close".to_owned(), 2.5)].into(),
        }
    }

    #[test]
    fn every_class_has_a_figure_of_its_own() {
        let mut names: Vec<_> = SHARES.iter().map(|(_, name)| name).collect();
        names.dedup();
        assert_eq!(names.len(), Class::ALL.len());
        assert!(Class::ALL.iter().all(|class| SHARES.iter().any(|(known, _)| known == class)));
    }

    #[test]
    fn every_figure_of_the_page_can_be_traced_to_a_raw_line() {
        let place = tempfile::TempDir::new().unwrap();
        let collection = place.path().join("perf-reports");
        let mark = "<!-- reports, newest first; lines are added by adjunct-bench -->";
        std::fs::create_dir(&collection).unwrap();
        std::fs::write(collection.join("README.md"), format!("{mark}\n")).unwrap();
        let out = collection.join("2026-11-21-profile");
        let per = PerOperation {
            total: 12_345.0,
            classes: [(Class::Rustls, 12_345.0)].into(),
            functions: Vec::new(),
        };
        let profiles = [profile(Scenario::FullRsa2048), profile(Scenario::BulkUp)];
        // Writing ends with the check.
        let measured = (&profiles[..], &[(Path::Hello, per)][..]);
        let notes = Some("The kernel has a third of it.\n");
        let directory = write(Some(&out), "adjunct-bench profile", measured, notes).unwrap();
        let page = std::fs::read_to_string(directory.path().join("report.md")).unwrap();
        assert!(page.contains("`full-rsa2048`") && page.contains("100.2"), "{page}");
        assert!(page.contains("70.0") && page.contains("12345"), "{page}");
        assert!(page.contains("read 4.00, close 2.50"), "{page}");
        assert!(page.ends_with("## What it means\n\nThe kernel has a third of it.\n"), "{page}");
        assert!(meaning(None).contains("--notes FILE"));
        let list = std::fs::read_to_string(collection.join("README.md")).unwrap();
        assert!(list.contains("- [2026-11-21-profile](2026-11-21-profile/report.md): "), "{list}");
        assert!(list.contains("2 loads, 1 hot paths"), "{list}");
    }
}
