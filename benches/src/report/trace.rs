//! Whether every figure of a report can be traced to a raw line.
//!
//! Two steps: `summary.json` is computed again from the raw lines, and each figure in a table of
//! `report.md` is looked up in `summary.json` by the id in its row and the legend below the table.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::markdown::LEGEND;
use super::{Figure, Plan, Round, Summary, privacy, raw_path};
use crate::Failure;

/// Files a report is not one without.
const FILES: &[&str] = &["report.md", "host.json", "commands.sh", "summary.json"];

/// What cannot be traced; empty for a sound report.
///
/// # Errors
/// A file is missing or cannot be read.
pub fn faults(report: &Path) -> Result<Vec<String>, Failure> {
    let read = |name: &str| {
        let text = fs::read_to_string(report.join(name));
        text.map_err(|e| format!("{}: {e}", report.join(name).display()))
    };
    let summary: Summary = serde_json::from_str(&read("summary.json")?)?;
    let raw = read(&raw_path(&summary.heading.kind))?;
    let mut faults = untraced_summary(&summary, &Round::read_all(&raw)?);
    faults.extend(untraced_page(&read("report.md")?, &summary));
    for name in FILES {
        let leaks = privacy::leaks(&read(name)?);
        faults.extend(leaks.into_iter().map(|leak| format!("{name} names {leak}")));
    }
    Ok(faults)
}

/// Figures of a summary that the raw lines do not yield.
#[must_use]
pub fn untraced_summary(summary: &Summary, rounds: &[Round]) -> Vec<String> {
    let plans: Vec<Plan> = summary.cells.iter().map(|cell| cell.plan.clone()).collect();
    let again = Summary::of(summary.heading.clone(), &plans, rounds, &summary.derived);
    let mut faults = Vec::new();
    for (cell, again) in summary.cells.iter().zip(&again.cells) {
        let id = &cell.plan.id;
        if cell.rounds + u32::try_from(cell.failed.len()).unwrap_or(u32::MAX) == 0 {
            faults.push(format!("{id}: no raw line"));
        }
        if cell.rounds != again.rounds {
            faults.push(format!("{id}: {} raw lines, not {}", again.rounds, cell.rounds));
        }
        for (name, figure) in &cell.values {
            if again.value(name).is_none_or(|again| !is_same(figure, again)) {
                faults.push(format!("{id}: {name} does not follow from the raw lines"));
            }
        }
    }
    faults
}

fn is_same(a: &Figure, b: &Figure) -> bool {
    // JSON keeps doubles to the last bit or so.
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
    a.rounds == b.rounds && near(a.median, b.median) && near(a.min, b.min) && near(a.max, b.max)
}

/// Figures in tables of a page that `summary` does not have.
#[must_use]
pub fn untraced_page(page: &str, summary: &Summary) -> Vec<String> {
    let mut faults = Vec::new();
    let mut table: Vec<(usize, Vec<String>)> = Vec::new();
    for (n, line) in page.lines().enumerate() {
        if line.starts_with('|') {
            let cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
            table.push((n + 1, cells.collect()));
        } else if let Some(legend) = line.strip_prefix(LEGEND) {
            faults.extend(untraced_table(&table, &columns(legend), summary));
            table.clear();
        } else if !line.is_empty() {
            faults.extend(unexplained(&table));
            table.clear();
        }
    }
    faults.extend(unexplained(&table));
    faults
}

/// A table whose rows are cells needs a legend.
fn unexplained(table: &[(usize, Vec<String>)]) -> Option<String> {
    let (line, header) = table.first()?;
    let of_cells = header.first().is_some_and(|first| first == "Cell");
    of_cells.then(|| format!("line {line}: a table of cells without a legend"))
}

/// Header to name of the value.
fn columns(legend: &str) -> BTreeMap<String, String> {
    let pairs = legend.trim_end_matches('.').split("; ").filter_map(|part| part.rsplit_once(" = "));
    pairs.map(|(header, value)| (header.to_owned(), value.trim_matches('`').to_owned())).collect()
}

fn untraced_table(
    table: &[(usize, Vec<String>)],
    columns: &BTreeMap<String, String>,
    summary: &Summary,
) -> Vec<String> {
    let Some(((_, header), rows)) = table.split_first() else {
        return vec!["a legend without a table".to_owned()];
    };
    let mut faults = Vec::new();
    for (line, row) in rows.iter().skip(1) {
        let id = row.first().map(|id| id.trim_matches('`')).unwrap_or_default();
        let Some(cell) = summary.cell(id) else {
            faults.push(format!("line {line}: no cell is called {id}"));
            continue;
        };
        for (header, text) in header.iter().zip(row).skip(1) {
            if !text.contains(|c: char| c.is_ascii_digit()) {
                continue;
            }
            let name = columns.get(header).map(String::as_str).unwrap_or_default();
            if !cell.value(name).is_some_and(|figure| says(text, figure)) {
                faults.push(format!("line {line}: {id}: {header} {text} is not in summary.json"));
            }
        }
    }
    faults
}

/// Whether a text is a median, or a median with its range, to the digits it has.
fn says(text: &str, figure: &Figure) -> bool {
    let numbers: Vec<&str> =
        text.split(['(', ')', '–', ' ']).filter(|part| !part.is_empty()).collect();
    let rounds_to = |text: &str, value: f64| {
        let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len());
        format!("{value:.digits$}") == text
    };
    match numbers[..] {
        [median] => rounds_to(median, figure.median),
        [median, min, max] => {
            rounds_to(median, figure.median)
                && rounds_to(min, figure.min)
                && rounds_to(max, figure.max)
        }
        _ => false,
    }
}
