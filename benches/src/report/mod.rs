//! A measurement as a directory that somebody else can check and repeat.
//!
//! `perf-reports/YYYY-MM-DD-slug/` holds what was measured (`raw/*.jsonl`, one line per round of a
//! cell), what it comes to (`summary.json`), on what machine (`host.json`), how to do it again
//! (`commands.sh`), pictures, and a page to read (`report.md`).
//!
//! Invariants: every figure of the page stands in `summary.json`, and every figure there can be
//! computed again from the raw lines of its cell; [`trace::faults`] checks both, before a report is
//! called complete. A figure is a median and stands with the range of its rounds. No file names a
//! directory or the name of the machine it was made on.
//!
//! Deliberately not here: what is measured and what it means. That is the business of the command
//! that fills a report, such as [`crate::cost`].

pub mod chart;
pub mod diff;
mod directory;
pub mod host;
mod index;
pub mod markdown;
mod noise;
pub mod privacy;
mod round;
mod summary;
pub mod trace;

pub use directory::{Directory, today};
pub use host::Host;
pub use index::{Point, append, record, update_readme};
pub use noise::{LEAST_DIFFERENCE, LEAST_ROUNDS, Verdict};
pub use round::Round;
pub use summary::{Cell, Derived, Figure, Heading, Plan, Ratio, Share, Summary};

/// Name of the raw file of a kind of report, below the directory of the report.
#[must_use]
pub fn raw_path(kind: &str) -> String {
    format!("raw/{kind}.jsonl")
}

#[cfg(test)]
mod tests;
