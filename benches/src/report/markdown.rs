//! Tables of a page, each figure of which can be looked up.
//!
//! A table of figures has a cell's id in its first column and below it one sentence that says which
//! value of `summary.json` each column is; [`super::trace`] reads both back.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{Cell, Figure};
use crate::outcome::{BARE, RESETS};

/// A column of figures.
#[derive(Debug, Clone)]
pub struct Column {
    /// What stands above it.
    pub header: Cow<'static, str>,
    /// Name of the value in `summary.json`.
    pub value: Cow<'static, str>,
    /// Digits after the point.
    pub digits: usize,
    /// Whether the range of the rounds stands behind the median.
    pub range: bool,
}

impl Column {
    /// A column of medians.
    #[must_use]
    pub const fn new(header: &'static str, value: &'static str, digits: usize) -> Self {
        let (header, value) = (Cow::Borrowed(header), Cow::Borrowed(value));
        Self { header, value, digits, range: false }
    }

    /// A column whose name is found at run time.
    #[must_use]
    pub fn named(header: String, value: String, digits: usize) -> Self {
        Self { header: header.into(), value: value.into(), digits, range: false }
    }

    /// With the range of the rounds.
    #[must_use]
    pub const fn with_range(mut self) -> Self {
        self.range = true;
        self
    }

    fn text(&self, figure: &Figure) -> String {
        let Self { digits, .. } = self;
        let Figure { median, min, max, .. } = figure;
        if self.range {
            format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
        } else {
            format!("{median:.digits$}")
        }
    }
}

/// What is to be said of a server that did not close all connections as TLS wants it.
#[must_use]
pub fn closings(cell: &Cell) -> Option<String> {
    let most = |name: &str| cell.value(name).map_or(0.0, |figure| figure.max);
    let (bare, resets) = (most(BARE), most(RESETS));
    let id = &cell.plan.id;
    (bare + resets > 0.0).then(|| {
        format!(
            "- `{id}` did not close all connections with close_notify: in a round up to {bare:.0} \
             ended without, and {resets:.0} were reset (`{BARE}`, `{RESETS}`).\n"
        )
    })
}

/// How the sentence below a table begins.
pub(super) const LEGEND: &str = "Columns in `summary.json`: ";

/// A table of cells, with its legend.
#[must_use]
pub fn table(cells: &[&Cell], columns: &[Column]) -> String {
    let mut rows = vec![vec!["Cell".to_owned()]];
    rows[0].extend(columns.iter().map(|column| column.header.to_string()));
    for cell in cells {
        let mut row = vec![format!("`{}`", cell.plan.id)];
        row.extend(columns.iter().map(|column| match cell.value(&column.value) {
            Some(figure) => column.text(figure),
            None if cell.rounds == 0 => "failed".to_owned(),
            None => "–".to_owned(),
        }));
        rows.push(row);
    }
    let mut text = aligned(&rows, "---:");
    let legend: Vec<String> =
        columns.iter().map(|column| format!("{} = `{}`", column.header, column.value)).collect();
    let _ = writeln!(text, "\n{LEGEND}{}.", legend.join("; "));
    text
}

/// A table of words; the first row is the header.
#[must_use]
pub fn plain(rows: &[Vec<String>]) -> String {
    aligned(rows, "---")
}

fn aligned(rows: &[Vec<String>], others: &str) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let mut text = String::new();
    for (n, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if n == 0 {
            let rule: Vec<&str> =
                (0..columns).map(|c| if c == 0 { "---" } else { others }).collect();
            let _ = writeln!(text, "|{}|", rule.join("|"));
        }
    }
    text
}
