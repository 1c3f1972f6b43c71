//! Two reports against each other, cell by cell.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use serde::Serialize;

use super::{Host, Summary, Verdict};
use crate::Failure;
use crate::table::Table;

/// Values that are compared, where both cells have them: what a claim is made of.
pub const COMPARED: &[&str] = &[
    "host_us",
    "card_us",
    "total_us",
    "rate_per_s",
    "batch_fill",
    "rss_kib",
    "p50_us",
    "p99_us",
    "handshake_p50_us",
    "handshake_p99_us",
    "established_p50_us",
    "established_p99_us",
    "calm_p50_us",
    "calm_p99_us",
    "storm_p50_us",
    "storm_p99_us",
];

/// One value of one cell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Id of the cell.
    pub cell: String,
    /// Name of the value.
    pub value: String,
    /// Median in the first report.
    pub before: f64,
    /// Median in the second report.
    pub after: f64,
    /// Second over first; none when the first is zero.
    pub ratio: Option<f64>,
    /// Whether it is a difference.
    pub verdict: Verdict,
}

/// What two reports differ in.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Difference {
    /// Facts of the machines that make figures incomparable.
    pub hosts: Vec<String>,
    /// Cells that only one of the reports has, or that were set differently.
    pub unmatched: Vec<String>,
    /// Values of the cells that both have.
    pub rows: Vec<Row>,
}

/// Compares two report directories, or their `summary.json` files.
///
/// # Errors
/// One cannot be read, or they are of different kinds.
pub fn reports(before: &Path, after: &Path) -> Result<Difference, Failure> {
    let mut difference = summaries(&summary(before)?, &summary(after)?)?;
    if let (Some(before), Some(after)) = (host(before), host(after)) {
        difference.hosts = before.differences(&after);
    }
    Ok(difference)
}

/// Compares two summaries.
///
/// # Errors
/// They are of different kinds.
pub fn summaries(before: &Summary, after: &Summary) -> Result<Difference, Failure> {
    let kinds = [&before.heading.kind, &after.heading.kind];
    if kinds[0] != kinds[1] {
        let [a, b] = kinds;
        return Err(format!("the first is a report of kind `{a}`, the second of `{b}`").into());
    }
    let mut difference =
        Difference { unmatched: unmatched(before, after), ..Difference::default() };
    for cell in &before.cells {
        let Some(other) = after.cell(&cell.plan.id) else { continue };
        if other.plan.settings != cell.plan.settings {
            continue;
        }
        for name in COMPARED {
            let (Some(a), Some(b)) = (cell.value(name), other.value(name)) else { continue };
            difference.rows.push(Row {
                cell: cell.plan.id.clone(),
                value: (*name).to_owned(),
                before: a.median,
                after: b.median,
                ratio: (a.median != 0.0).then(|| b.median / a.median),
                verdict: Verdict::of(a, b),
            });
        }
    }
    Ok(difference)
}

/// Cells that cannot be compared, each with why.
fn unmatched(before: &Summary, after: &Summary) -> Vec<String> {
    let ids = |summary: &Summary| -> BTreeSet<String> {
        summary.cells.iter().map(|cell| cell.plan.id.clone()).collect()
    };
    let (ours, theirs) = (ids(before), ids(after));
    let mut found: Vec<String> =
        ours.difference(&theirs).map(|id| format!("{id}: only in the first")).collect();
    found.extend(theirs.difference(&ours).map(|id| format!("{id}: only in the second")));
    for cell in &before.cells {
        let Some(other) = after.cell(&cell.plan.id) else { continue };
        if other.plan.settings != cell.plan.settings {
            found.push(format!("{}: measured with other settings", cell.plan.id));
        }
        for (cell, which) in [(cell, "first"), (other, "second")] {
            if cell.rounds == 0 {
                found.push(format!("{}: failed in the {which}", cell.plan.id));
            }
        }
    }
    found
}

fn summary(report: &Path) -> Result<Summary, Failure> {
    let path = if report.is_dir() { report.join("summary.json") } else { report.to_path_buf() };
    let shown = path.display();
    let text = fs::read_to_string(&path).map_err(|e| {
        format!("{shown}: {e}; give the directory of a report, such as one below perf-reports")
    })?;
    let summary: Summary = serde_json::from_str(&text)
        .map_err(|e| format!("{shown}: not a summary of a report: {e}"))?;
    if !summary.is_understood() {
        let schema = summary.schema;
        return Err(format!("{shown}: layout {schema} is not one this program knows").into());
    }
    Ok(summary)
}

/// None where it is not kept: an older report, or a bare summary.
fn host(report: &Path) -> Option<Host> {
    serde_json::from_str(&fs::read_to_string(report.join("host.json")).ok()?).ok()
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for host in &self.hosts {
            writeln!(f, "The machines differ in {host}")?;
        }
        if !self.hosts.is_empty() {
            writeln!(f, "Figures of different machines say nothing about the program.\n")?;
        }
        let header = ["cell", "value", "before", "after", "ratio", "verdict"];
        let mut table = Table::new("Medians", &header);
        for row in &self.rows {
            table.row([
                row.cell.clone(),
                row.value.clone(),
                format!("{:.1}", row.before),
                format!("{:.1}", row.after),
                row.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}")),
                row.verdict.to_string(),
            ]);
        }
        writeln!(f, "{table}")?;
        let count = |wanted: Verdict| self.rows.iter().filter(|r| r.verdict == wanted).count();
        let differ = count(Verdict::Less) + count(Verdict::More);
        let (noise, unsaid) = (count(Verdict::Noise), count(Verdict::TooFewRounds));
        write!(f, "{differ} of {} values differ; {noise} are noise", self.rows.len())?;
        if unsaid > 0 {
            write!(f, "; of {unsaid} nothing can be said: too few rounds")?;
        }
        writeln!(f, ".")?;
        write!(
            f,
            "A difference: the ranges of the rounds do not overlap, and the medians are at "
        )?;
        let floor = super::LEAST_DIFFERENCE * 100.0;
        writeln!(f, "least {floor:.0} % apart.")
    }
}
