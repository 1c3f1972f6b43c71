//! Tests of summaries, the rule of noise, comparison and tracing, on made-up rounds.

use std::collections::BTreeMap;
use std::fs;

use tempfile::TempDir;

use super::markdown::{Column, table};
use super::*;

fn heading() -> Heading {
    Heading {
        kind: "cost".to_owned(),
        title: "Cost".to_owned(),
        date: "2026-11-21".to_owned(),
        commit: "0123456789".to_owned(),
        dirty: false,
        quick: false,
        reference: Some("base".to_owned()),
    }
}

fn plan(id: &str) -> Plan {
    Plan { id: id.to_owned(), title: id.to_owned(), ..Plan::default() }
}

fn round(cell: &str, round: u32, host_us: f64) -> Round {
    let values = BTreeMap::from([("host_us".to_owned(), host_us)]);
    Round { cell: cell.to_owned(), round, values, ..Round::default() }
}

fn rounds_of(cell: &str, values: &[f64]) -> Vec<Round> {
    (1..).zip(values).map(|(n, value)| round(cell, n, *value)).collect()
}

fn summary_of(rounds: &[Round], ids: &[&str]) -> Summary {
    let plans: Vec<Plan> = ids.iter().map(|id| plan(id)).collect();
    let ratios = vec![Ratio::new("host_ratio", "host_us")];
    Summary::of(heading(), &plans, rounds, &Derived { ratios, ..Derived::default() })
}

#[test]
fn a_ratio_is_taken_within_a_round() {
    // The machine is twice as slow in the second round.
    let mut rounds = rounds_of("base", &[100.0, 200.0, 100.0]);
    rounds.extend(rounds_of("pool", &[150.0, 300.0, 150.0]));
    let summary = summary_of(&rounds, &["base", "pool"]);
    let ratio = summary.cell("pool").unwrap().value("host_ratio").unwrap();
    assert_eq!((ratio.median, ratio.min, ratio.max), (1.5, 1.5, 1.5));
    assert_eq!(summary.cell("base").unwrap().median("host_ratio"), Some(1.0));
}

#[test]
fn a_share_is_that_of_all_rounds_together() {
    let share = Share {
        name: "system_us".to_owned(),
        of: "host_us".to_owned(),
        part: "system_ticks".to_owned(),
        rest: "user_ticks".to_owned(),
        least: 40,
    };
    let mut rounds = rounds_of("base", &[100.0, 104.0, 108.0]);
    // Round by round a third, none and a half would be system.
    for (round, ticks) in rounds.iter_mut().zip([[5.0, 10.0], [0.0, 10.0], [5.0, 5.0]]) {
        round.values.insert("system_ticks".to_owned(), ticks[0]);
        round.values.insert("user_ticks".to_owned(), ticks[1]);
    }
    let summary = |rounds: &[Round], least: u64| {
        let derived = Derived { shares: vec![Share { least, ..share.clone() }], ratios: vec![] };
        Summary::of(heading(), &[plan("base")], rounds, &derived)
    };
    let with = summary(&rounds, 35);
    let figure = with.cells[0].value("system_us").unwrap();
    assert!((figure.median - 104.0 * 10.0 / 35.0).abs() < 1e-9, "{figure:?}");
    assert!(trace::untraced_summary(&with, &rounds).is_empty());
    assert!(summary(&rounds, 36).cells[0].value("system_us").is_none(), "too few ticks");
}

#[test]
fn a_round_that_failed_is_told_and_not_counted() {
    let mut rounds = rounds_of("base", &[100.0, 102.0]);
    rounds.push(Round::failed("base", 3, "the daemon has ended".to_owned()));
    rounds.push(Round::failed("pool", 1, "no such engine".to_owned()));
    let summary = summary_of(&rounds, &["base", "pool", "never"]);
    let base = summary.cell("base").unwrap();
    assert_eq!((base.rounds, base.failed.len()), (2, 1));
    assert_eq!(base.value("host_us").unwrap().rounds, 2);
    let failed: Vec<&str> = summary.failed().map(|cell| cell.plan.id.as_str()).collect();
    assert_eq!(failed, ["base", "pool", "never"]);
}

#[test]
fn ranges_that_overlap_and_small_differences_are_noise() {
    let figure = |values: &[f64]| Figure::of(values).unwrap();
    let base = figure(&[100.0, 101.0, 104.0]);
    for (values, verdict) in [
        (&[90.0, 91.0, 99.0][..], Verdict::Less),
        (&[105.0, 106.0, 107.0], Verdict::More),
        // One round reaches into the range.
        (&[90.0, 91.0, 100.5], Verdict::Noise),
        // Apart, but by less than the floor.
        (&[99.5, 99.6, 99.9], Verdict::Noise),
        (&[10.0, 11.0], Verdict::TooFewRounds),
    ] {
        assert_eq!(Verdict::of(&base, &figure(values)), verdict, "{values:?}");
    }
}

#[test]
fn a_comparison_names_what_differs_and_what_has_no_counterpart() {
    let before = {
        let mut rounds = rounds_of("base", &[100.0, 101.0, 102.0]);
        rounds.extend(rounds_of("gone", &[1.0, 1.0, 1.0]));
        rounds.extend(rounds_of("same", &[50.0, 51.0, 52.0]));
        summary_of(&rounds, &["base", "gone", "same"])
    };
    let after = {
        let mut rounds = rounds_of("base", &[80.0, 81.0, 82.0]);
        rounds.extend(rounds_of("new", &[1.0, 1.0, 1.0]));
        rounds.extend(rounds_of("same", &[50.5, 51.0, 53.0]));
        summary_of(&rounds, &["base", "new", "same"])
    };
    let difference = diff::summaries(&before, &after).unwrap();
    assert_eq!(difference.unmatched, ["gone: only in the first", "new: only in the second"]);
    let verdicts: Vec<_> = difference.rows.iter().map(|r| (r.cell.as_str(), r.verdict)).collect();
    assert_eq!(verdicts, [("base", Verdict::Less), ("same", Verdict::Noise)]);
    assert!((difference.rows[0].ratio.unwrap() - 81.0 / 101.0).abs() < 1e-12);
    let text = difference.to_string();
    assert!(text.contains("0.802") && text.contains("1 of 2 values differ"), "{text}");
}

#[test]
fn cells_of_other_settings_and_other_kinds_are_not_compared() {
    let before = summary_of(&rounds_of("base", &[1.0, 1.0, 1.0]), &["base"]);
    let mut after = before.clone();
    after.cells[0].plan.settings.insert("key".to_owned(), "P-256".to_owned());
    let difference = diff::summaries(&before, &after).unwrap();
    assert_eq!(difference.unmatched, ["base: measured with other settings"]);
    assert!(difference.rows.is_empty());
    after.heading.kind = "peers".to_owned();
    assert!(diff::summaries(&before, &after).unwrap_err().to_string().contains("`peers`"));
}

#[test]
fn a_comparison_reads_directories_and_says_what_is_none() {
    let place = TempDir::new().unwrap();
    let error = diff::reports(place.path(), place.path()).unwrap_err().to_string();
    assert!(error.contains("summary.json"), "{error}");
    let summary = summary_of(&rounds_of("base", &[1.0, 1.0, 1.0]), &["base"]);
    let text = serde_json::to_string(&summary).unwrap();
    fs::write(place.path().join("summary.json"), &text).unwrap();
    assert_eq!(diff::reports(place.path(), place.path()).unwrap().rows.len(), 1);
    let other = text.replace("\"schema\":1", "\"schema\":7");
    fs::write(place.path().join("summary.json"), other).unwrap();
    let error = diff::reports(place.path(), place.path()).unwrap_err().to_string();
    assert!(error.contains("layout 7"), "{error}");
}

const COLUMNS: &[Column] =
    &[Column::new("Host µs", "host_us", 1).with_range(), Column::new("Ratio", "host_ratio", 3)];

#[test]
fn a_figure_that_is_changed_by_hand_is_found() {
    let mut rounds = rounds_of("base", &[100.0, 101.0, 102.25]);
    rounds.extend(rounds_of("pool", &[150.0, 151.5, 153.0]));
    let summary = summary_of(&rounds, &["base", "pool"]);
    let cells: Vec<&Cell> = summary.cells.iter().collect();
    let page = format!("# Cost\n\n{}\nText.\n", table(&cells, COLUMNS));
    assert_eq!(trace::untraced_page(&page, &summary), Vec::<String>::new());
    for (good, bad) in
        [("151.5", "141.5"), ("102.2", "102.4"), ("1.500", "1.400"), ("`pool`", "`poll`")]
    {
        let changed = page.replacen(good, bad, 1);
        assert_ne!(page, changed, "{good} is not on the page:\n{page}");
        assert_eq!(trace::untraced_page(&changed, &summary).len(), 1, "{good}: {page}");
    }
    let without = page.replace(markdown::LEGEND, "");
    assert!(!trace::untraced_page(&without, &summary).is_empty());
}

#[test]
fn a_summary_that_the_raw_lines_do_not_yield_is_found() {
    let rounds = rounds_of("base", &[100.0, 101.0, 102.0]);
    let summary = summary_of(&rounds, &["base"]);
    // By way of the files, as a reader would.
    let text = serde_json::to_string(&summary).unwrap();
    let summary: Summary = serde_json::from_str(&text).unwrap();
    assert!(trace::untraced_summary(&summary, &rounds).is_empty());
    assert!(!trace::untraced_summary(&summary, &rounds[..2]).is_empty());
    let mut changed = rounds.clone();
    changed[1].values.insert("host_us".to_owned(), 101.5);
    assert_eq!(trace::untraced_summary(&summary, &changed).len(), 1);
    let empty = summary_of(&[], &["base"]);
    assert_eq!(trace::untraced_summary(&empty, &[]), ["base: no raw line"]);
}

#[test]
fn raw_lines_are_read_back_and_a_broken_one_is_named() {
    let mut one = round("base", 1, 0.1 + 0.2);
    one.detail = serde_json::json!({ "units": 3 });
    let text = format!("{}\n", serde_json::to_string(&one).unwrap());
    assert_eq!(Round::read_all(&text).unwrap(), [one]);
    let error = Round::read_all(&format!("{text}nonsense\n")).unwrap_err().to_string();
    assert!(error.starts_with("line 2"), "{error}");
}

#[test]
fn a_commit_has_one_line_per_scenario_in_the_trend() {
    let place = TempDir::new().unwrap();
    let trend = place.path().join("trend.jsonl");
    let mut summary = summary_of(&rounds_of("base", &[100.0, 101.0, 102.0]), &["base", "none"]);
    record(&trend, "2026-11-21-cost", "cpu", &summary).unwrap();
    record(&trend, "2026-11-21-cost-2", "cpu", &summary).unwrap();
    summary.heading.commit = "abcdef".to_owned();
    record(&trend, "2026-11-22-cost", "cpu", &summary).unwrap();
    let text = fs::read_to_string(trend).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.lines().next().unwrap().contains("cost/base"), "{text}");
    assert!(text.contains("2026-11-21-cost-2") && text.contains("101.0"), "{text}");
}

#[test]
fn other_machines_and_other_numbers_of_workers_have_lines_of_their_own() {
    let place = TempDir::new().unwrap();
    let trend = place.path().join("trend.jsonl");
    let mut summary = summary_of(&rounds_of("base", &[100.0, 101.0, 102.0]), &["base"]);
    record(&trend, "here", "cpu", &summary).unwrap();
    record(&trend, "there", "another cpu", &summary).unwrap();
    for workers in ["1", "2"] {
        let settings = &mut summary.cells[0].plan.settings;
        settings.insert("workers".to_owned(), workers.to_owned());
        record(&trend, "again", "cpu", &summary).unwrap();
    }
    let text = fs::read_to_string(trend).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("\"cost-2w/base\"") && !text.contains("\"here\""), "{text}");
}

#[test]
fn the_list_of_reports_has_the_newest_first_and_each_once() {
    let place = TempDir::new().unwrap();
    let readme = place.path().join("README.md");
    fs::write(&readme, "# Reports\n").unwrap();
    assert!(update_readme(&readme, "a", "b").unwrap_err().to_string().contains("missing"));
    let mark = "<!-- reports, newest first; lines are added by adjunct-bench -->";
    fs::write(&readme, format!("# Reports\n\n{mark}\n")).unwrap();
    for (report, sentence) in
        [("2026-11-21-cost", "old words"), ("2026-12-01-cost", "b"), ("2026-11-21-cost", "a")]
    {
        update_readme(&readme, report, sentence).unwrap();
    }
    let text = fs::read_to_string(&readme).unwrap();
    let list: Vec<&str> = text.lines().filter(|line| line.starts_with("- ")).collect();
    assert_eq!(
        list,
        [
            "- [2026-12-01-cost](2026-12-01-cost/report.md): b",
            "- [2026-11-21-cost](2026-11-21-cost/report.md): a"
        ]
    );
}

#[test]
fn two_machines_are_told_apart() {
    let here = Host::now();
    assert!(here.differences(&here).is_empty());
    let mut there = here.clone();
    there.cpu_model = "another".to_owned();
    there.flags.insert("aes".to_owned(), !here.flags["aes"]);
    assert_eq!(here.differences(&there).len(), 2);
    let text = serde_json::to_string(&here).unwrap();
    assert_eq!(serde_json::from_str::<Host>(&text).unwrap(), here);
    assert!(privacy::leaks(&text).is_empty(), "{text}");
}
