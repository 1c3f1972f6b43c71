//! What many reports have in common: the list in `perf-reports/README.md`, and `trend.jsonl`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Summary, privacy};
use crate::Failure;

/// Below this line of the README stand the reports, newest first.
const MARK: &str = "<!-- reports, newest first; lines are added by adjunct-bench -->";

/// Values that are worth following from commit to commit.
const FOLLOWED: &[&str] = &["host_us", "card_us", "total_us", "rate_per_s"];

/// A line of `trend.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// What was measured, kind first: `cost/base`, `instructions/hello`; with several workers their
    /// number, too: `peers-2w/storm.adjunct`.
    pub scenario: String,
    /// Of the tree that was measured.
    pub commit: String,
    /// Whether the tree had changes besides.
    pub dirty: bool,
    /// The day.
    pub date: String,
    /// Where the raw lines are; empty when the value is all there is.
    pub report: String,
    /// The processor.
    pub cpu_model: String,
    /// The figures, by names that end in their units.
    pub values: BTreeMap<String, f64>,
}

/// Appends a line for each cell of a report to the trend. A commit that was measured before on the
/// same kind of processor gets its new figures in place of the old. Only what was measured as long
/// and as often as usual belongs here: that the caller knows.
///
/// # Errors
/// The file cannot be read or written.
pub fn record(
    trend: &Path,
    report: &str,
    cpu_model: &str,
    summary: &Summary,
) -> Result<(), Failure> {
    let heading = &summary.heading;
    let cells = summary.cells.iter().filter(|cell| cell.rounds > 0).map(|cell| {
        let value = |name: &&str| Some(((*name).to_owned(), rounded(cell.median(name)?)));
        let workers = cell.plan.settings.get("workers").filter(|workers| *workers != "1");
        let workers = workers.map(|workers| format!("-{workers}w")).unwrap_or_default();
        Point {
            scenario: format!("{}{workers}/{}", heading.kind, cell.plan.id),
            commit: heading.commit.clone(),
            dirty: heading.dirty,
            date: heading.date.clone(),
            report: report.to_owned(),
            cpu_model: cpu_model.to_owned(),
            values: FOLLOWED.iter().filter_map(value).collect(),
        }
    });
    append(trend, cells)
}

/// Appends lines to the trend, each in place of one of the same scenario, commit and processor.
///
/// # Errors
/// The file cannot be read or written.
pub fn append(trend: &Path, new: impl IntoIterator<Item = Point>) -> Result<(), Failure> {
    let before = if trend.exists() { fs::read_to_string(trend)? } else { String::new() };
    let mut points: Vec<Point> = Vec::new();
    for line in before.lines().filter(|line| !line.is_empty()) {
        points.push(serde_json::from_str(line)?);
    }
    for point in new {
        let key = |of: &Point| [&of.scenario, &of.commit, &of.cpu_model].map(String::clone);
        points.retain(|old| key(old) != key(&point));
        points.push(point);
    }
    let mut text = String::new();
    for point in &points {
        text.push_str(&serde_json::to_string(point)?);
        text.push('\n');
    }
    fs::write(trend, text)?;
    Ok(())
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Looks whether a report can be entered in the list of the README, before it is made.
///
/// # Errors
/// The README is not there or has lost the mark of the list.
pub(super) fn check(readme: &Path) -> Result<(), Failure> {
    divided(readme).map(|_| ())
}

/// What stands before the list, and the list.
fn divided(readme: &Path) -> Result<(String, String), Failure> {
    let shown = readme.display();
    let text = fs::read_to_string(readme)
        .map_err(|e| format!("{shown}: {e}; reports are listed there, or use --out DIR"))?;
    let (head, list) = text
        .split_once(MARK)
        .ok_or_else(|| format!("{shown}: the line `{MARK}` is missing: put it above the list"))?;
    Ok((head.to_owned(), list.to_owned()))
}

/// Adds a report to the list of the README, newest first.
///
/// # Errors
/// Those of the check of the list, and of writing.
pub fn update_readme(readme: &Path, report: &str, sentence: &str) -> Result<(), Failure> {
    let (head, list) = divided(readme)?;
    let line = format!("- [{report}]({report}/report.md): {}", privacy::scrubbed(sentence));
    let entry = format!("- [{report}](");
    let mut lines: Vec<&str> =
        list.lines().filter(|old| !old.is_empty() && !old.starts_with(&entry)).collect();
    lines.push(&line);
    // Names begin with the day.
    lines.sort_by(|a, b| b.cmp(a));
    fs::write(readme, format!("{head}{MARK}\n\n{}\n", lines.join("\n")))?;
    Ok(())
}
