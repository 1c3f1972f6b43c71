//! A whole report from made-up rounds: complete, traceable, without places of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::matrix::{self, BASE, Engine};
use super::page::Facts;
use super::run::{derived, write};
use crate::report::{Directory, Heading, Host, Plan, Round, Summary, diff, privacy, trace};

const FUNCTIONS: &[&str] = &["KMA-GCM-AES-128", "KMAC-HMAC-SHA-256", "KLMD-SHA-256", "PCC-X25519"];

/// Figures that look like those of a real run.
fn made_up(cell: &matrix::Cell, n: usize, round: u32) -> Round {
    let wobble = 1.0 + f64::from(round) * 0.004;
    let signing = match cell.key.word() {
        "rsa2048" => 560.0,
        "rsa3072" => 1_700.0,
        "rsa4096" => 3_900.0,
        _ => 60.0,
    };
    let (own, card) =
        if cell.engine == Engine::Host { (signing, 0.0) } else { (18.0, signing + 22.0) };
    let (user, system) = (185.0 + own + n as f64, 70.0);
    let mut values: BTreeMap<String, f64> = [
        ("host_user_ticks", user),
        ("host_system_ticks", system),
        ("host_us", user + system),
        ("card_us", card),
        ("total_us", user + system + card),
        ("rate_per_s", 1e6 / (user + system + card)),
        ("busy_percent", if cell.id == "resumed" { 60.0 } else { 99.0 }),
        ("closed_without_notify", if cell.id == "tls12" { 7.0 } else { 0.0 }),
        ("resets", 0.0),
        ("handshake_p50_us", 60_000.0),
        ("handshake_p99_us", 80_000.0),
        ("established_p50_us", 900.0),
        ("established_p99_us", 3_000.0),
        ("card_requests", if card > 0.0 { 1.0 } else { 0.0 }),
        ("loop_handshake_us", user),
        ("loop_relay_us", 20.0),
        ("loop_overhead_us", 40.0),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value * wobble))
    .collect();
    values.extend(FUNCTIONS.iter().map(|name| (format!("calls:{name}"), 4.0)));
    Round { cell: cell.id.clone(), round, values, ..Round::default() }
}

/// A report in `place`, with one cell failed.
fn report(place: &TempDir, name: &str) -> std::path::PathBuf {
    let path = place.path().join("perf-reports").join(name);
    let mut report = Directory::create(Some(&path), "cost", "cost").unwrap();
    let cells: Vec<_> = matrix::steps().into_iter().chain(matrix::crossing()).collect();
    for round in 1..=5 {
        for (n, cell) in cells.iter().enumerate() {
            let why = format!("{}: gone", ["/ho", "me/someone/adjunct"].concat());
            let made = match cell.id.as_str() {
                "mode-pool" => Round::failed(&cell.id, round, privacy::scrubbed(&why)),
                _ => made_up(cell, n, round),
            };
            report.append(&made).unwrap();
        }
    }
    let host = Host::now();
    let heading = Heading {
        kind: "cost".to_owned(),
        title: "CPU per handshake".to_owned(),
        date: "2026-11-21".to_owned(),
        commit: "0123456789".to_owned(),
        dirty: false,
        quick: false,
        reference: Some(BASE.to_owned()),
    };
    let plans: Vec<Plan> = cells.iter().map(matrix::Cell::plan).collect();
    let summary = Summary::of(heading, &plans, &report.rounds().unwrap(), &derived());
    let facts = Facts {
        host: &host,
        usual: true,
        rounds: 5,
        time: Duration::from_secs(4),
        warmup: Duration::from_millis(700),
        ping_time: Duration::from_secs(2),
        absent: &["Cells of another engine were not measured: it is not there".to_owned()],
    };
    write(&report, &summary, &facts, "target/release/adjunct-bench cost").unwrap();
    path
}

fn collection() -> TempDir {
    let place = TempDir::new().unwrap();
    let mark = "<!-- reports, newest first; lines are added by adjunct-bench -->";
    fs::create_dir(place.path().join("perf-reports")).unwrap();
    fs::write(place.path().join("perf-reports/README.md"), format!("# Reports\n\n{mark}\n"))
        .unwrap();
    place
}

#[test]
fn a_report_is_complete_and_names_no_place_of_this_machine() {
    let place = collection();
    let path = report(&place, "2026-11-21-cost");
    let mut names: Vec<String> = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "change.svg",
        "commands.sh",
        "crossing.svg",
        "host.json",
        "keys.svg",
        "raw",
        "report.md",
        "steps.svg",
        "summary.json",
    ];
    assert_eq!(names, expected);
    names.retain(|name| name != "raw");
    names.push("raw/cost.jsonl".to_owned());
    for name in &names {
        let text = fs::read_to_string(path.join(name)).unwrap();
        assert!(privacy::leaks(&text).is_empty(), "{name}");
        // The machine's own temporary and working directories, whatever they are called.
        assert!(!text.contains(place.path().to_str().unwrap()), "{name}");
        assert!(!text.contains(std::env::current_dir().unwrap().to_str().unwrap()), "{name}");
    }
}

#[test]
fn a_page_reads_as_a_report() {
    let place = collection();
    let path = report(&place, "2026-11-21-cost");
    let page = fs::read_to_string(path.join("report.md")).unwrap();
    for part in [
        "## Method",
        "## Configuration",
        "## Results: one step from the base",
        "## Results: engine, mode and rate",
        "## Operations per handshake",
        "## What is missing",
        "## What it means",
        "## How to trace a figure",
        "against none: 67 % less",
        "`mode-pool` failed: adjunct: gone (in 5 rounds)",
        "The cards are simulated",
        "`resumed` was not saturated: its daemon was busy for 61 % of the time",
        "`tls12` did not close all connections with close_notify: in a round up to 7 ended",
        "fall apart in 0.8 % of cases",
        "Cells of another engine were not measured",
        "![CPU per handshake by cell: host and card](steps.svg)",
        "PCC-X25519 = `calls:PCC-X25519`",
    ] {
        assert!(page.contains(part), "`{part}` is missing in\n{page}");
    }
    for target in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(path.join(target).exists(), "the link to {target} leads nowhere");
    }
}

#[test]
fn every_figure_of_a_page_can_be_traced_and_a_forged_one_is_found() {
    let place = collection();
    let path = report(&place, "2026-11-21-cost");
    assert_eq!(trace::faults(&path).unwrap(), Vec::<String>::new());
    let page = fs::read_to_string(path.join("report.md")).unwrap();
    let row = page.lines().find(|line| line.starts_with("| `base` |")).unwrap();
    let forged = row.replacen("27", "26", 1);
    assert_ne!(row, forged);
    fs::write(path.join("report.md"), page.replacen(row, &forged, 1)).unwrap();
    assert_eq!(trace::faults(&path).unwrap().len(), 1);
    fs::write(path.join("report.md"), page).unwrap();
    let raw = fs::read_to_string(path.join("raw/cost.jsonl")).unwrap();
    let without: Vec<&str> = raw.lines().filter(|line| !line.contains("\"tls12\"")).collect();
    fs::write(path.join("raw/cost.jsonl"), without.join("\n")).unwrap();
    let faults = trace::faults(&path).unwrap();
    assert!(faults.iter().any(|fault| fault.contains("tls12")), "{faults:?}");
}

#[test]
fn a_report_is_listed_and_joins_the_trend() {
    let place = collection();
    let first = report(&place, "2026-11-21-cost");
    let second = report(&place, "2026-11-22-cost");
    let readme = fs::read_to_string(place.path().join("perf-reports/README.md")).unwrap();
    let (newest, oldest) = (readme.find("- [2026-11-22-cost]"), readme.find("- [2026-11-21-cost]"));
    assert!(newest.unwrap() < oldest.unwrap(), "{readme}");
    let trend = fs::read_to_string(place.path().join("perf-reports/trend.jsonl")).unwrap();
    let cells = matrix::steps().len() + matrix::crossing().len();
    assert_eq!(
        trend.lines().count(),
        cells - 1,
        "one line per scenario and commit, failed ones none"
    );
    assert!(trend.lines().all(|line| line.contains("2026-11-22-cost")));
    let difference = diff::reports(&first, &second).unwrap();
    assert!(difference.rows.iter().all(|row| !row.verdict.is_difference()));
    assert_eq!(difference.unmatched.len(), 2, "the failed cell, on both sides");
}
