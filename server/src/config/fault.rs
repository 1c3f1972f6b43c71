//! What is wrong with a configuration, where, and what to do about it.
//!
//! Invariants: a fault names the file and, whenever there is one, the line, the column and the key;
//! `what` says what is wrong and why, `remedy` what to write instead. Reading never stops at the
//! first fault: [`Source`] collects them all, and the exit code follows from the whole set
//! ([`Exit::of`]).

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::exit::Exit;

/// Whether a fault stops the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The daemon does not start.
    Error,
    /// It starts, but the operator should know.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A place in the configuration file, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Whether it stops the start.
    pub severity: Severity,
    /// The configuration file.
    pub file: PathBuf,
    /// Where in it.
    pub place: Option<Place>,
    /// Full name of the key, e.g. `service.tn3270.cert`; empty when the file itself is meant.
    pub key: String,
    /// What is wrong and why.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// Exit code this fault alone would lead to; [`Exit::Ok`] for a warning.
    pub class: Exit,
}

impl Fault {
    /// A fault of the file as a whole.
    #[must_use]
    pub fn of_file(file: &Path, class: Exit, what: String, remedy: &str) -> Self {
        Self {
            severity: Severity::Error,
            file: file.to_owned(),
            place: None,
            key: String::new(),
            what,
            remedy: remedy.to_owned(),
            class,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(Place { line, column }) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}: ", self.severity.word())?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}\n    remedy: {}", self.what, self.remedy)
    }
}

/// A configuration text with its line starts, and the faults found in it so far.
#[derive(Debug)]
pub(super) struct Source<'s> {
    pub(super) file: &'s Path,
    text: &'s str,
    line_starts: Vec<usize>,
    faults: RefCell<Vec<Fault>>,
}

impl<'s> Source<'s> {
    pub(super) fn new(file: &'s Path, text: &'s str) -> Self {
        let line_starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file, text, line_starts, faults: RefCell::default() }
    }

    /// Line and column of a byte offset.
    pub(super) fn place(&self, offset: usize) -> Place {
        let line = self.line_starts.partition_point(|&start| start <= offset);
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        Place { line, column: before.chars().count() + 1 }
    }

    /// Notes an error of class 78, the usual one.
    pub(super) fn error(&self, span: &Range<usize>, key: &str, what: String, remedy: String) {
        self.report(Severity::Error, Exit::Config, Some(span), key, what, remedy);
    }

    /// Notes something the operator should know.
    pub(super) fn warning(&self, span: &Range<usize>, key: &str, what: String, remedy: String) {
        self.report(Severity::Warning, Exit::Ok, Some(span), key, what, remedy);
    }

    /// Notes a fault.
    pub(super) fn report(
        &self,
        severity: Severity,
        class: Exit,
        span: Option<&Range<usize>>,
        key: &str,
        what: String,
        remedy: String,
    ) {
        self.faults.borrow_mut().push(Fault {
            severity,
            file: self.file.to_owned(),
            place: span.map(|span| self.place(span.start)),
            key: key.to_owned(),
            what,
            remedy,
            class,
        });
    }

    /// Whether no error was noted for the service called `prefix`, nor for what all of them need.
    pub(super) fn is_sound(&self, prefix: &str) -> bool {
        let concerns = |fault: &Fault| {
            let of_a_service = fault.key.starts_with("service");
            let rest = fault.key.strip_prefix(prefix);
            !of_a_service || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let faults = self.faults.borrow();
        !faults.iter().any(|fault| fault.severity == Severity::Error && concerns(fault))
    }

    /// All faults, in the order of the file.
    pub(super) fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| fault.place);
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Source};
    use std::path::Path;

    #[test]
    fn places_count_from_one_and_in_characters() {
        let source = Source::new(Path::new("a.toml"), "ab\ncäd = 1\n");
        assert_eq!(source.place(0), Place { line: 1, column: 1 });
        assert_eq!(source.place(3), Place { line: 2, column: 1 });
        // `ä` is two bytes and one column.
        assert_eq!(source.place(6), Place { line: 2, column: 3 });
        assert_eq!(source.place(12), Place { line: 3, column: 1 });
    }
}
