//! Instructions by function, counted by callgrind.
//!
//! What is counted is what the process executes itself, in user mode. valgrind presents a processor
//! of its own (3.19: AVX2 without AVX-512, no SHA instructions), and libraries choose their code by
//! it; so counts are comparable between machines, and of one version with another, but a share of
//! a class is not the share of the time on a newer processor.
//!
//! Source: the callgrind format specification in the manual of valgrind.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::class::{Class, classify};
use crate::Failure;

/// Instructions of each function by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instructions {
    /// By object and function.
    pub functions: BTreeMap<(String, String), u64>,
}

impl Instructions {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.functions.values().sum()
    }

    /// By class.
    #[must_use]
    pub fn classes(&self) -> BTreeMap<Class, u64> {
        let mut classes = BTreeMap::new();
        for ((object, function), count) in &self.functions {
            *classes.entry(classify(object, function)).or_default() += count;
        }
        classes
    }

    /// What callgrind has written, with names in full (`--compress-strings=no`).
    ///
    /// # Errors
    /// The text is not in the format.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut found = Self::default();
        let (mut object, mut function) = (String::new(), String::new());
        let mut inclusive = false;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("ob=") {
                name.clone_into(&mut object);
            } else if let Some(name) = line.strip_prefix("fn=") {
                // Callgrind numbers the levels of a recursion.
                name.split('\'').next().unwrap_or(name).clone_into(&mut function);
            } else if line.starts_with("calls=") {
                inclusive = true;
            } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
                // The line behind `calls=` is the cost of the function that is called.
                if !std::mem::take(&mut inclusive) {
                    let cost = line.split_whitespace().nth(1).and_then(|cost| cost.parse().ok());
                    let cost: u64 =
                        cost.ok_or_else(|| format!("callgrind: no cost in `{line}`"))?;
                    *found.functions.entry((object.clone(), function.clone())).or_default() += cost;
                }
            }
        }
        Ok(found)
    }
}

/// What of a run is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collect {
    /// From entry to end of functions with this in their name.
    Inside(&'static str),
    /// Everything from start to end.
    All,
}

/// Runs a program with arguments under callgrind.
///
/// # Errors
/// valgrind is not there, or the program fails: the text says what it wrote.
pub fn count(program: &Path, arguments: &[String], what: Collect) -> Result<Instructions, Failure> {
    let directory = TempDir::new()?;
    let out = directory.path().join("callgrind.out");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    if let Collect::Inside(part) = what {
        command.arg("--collect-atstart=no").arg(format!("--toggle-collect=*{part}*"));
    }
    let output =
        command.arg(program).args(arguments).stdin(Stdio::null()).output().map_err(|e| {
            format!("valgrind does not start ({e}); install the package `valgrind`")
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("under valgrind, {}:\n{said}", output.status).into());
    }
    Instructions::parse(&fs::read_to_string(out)?)
}

/// What one operation costs: the difference of a run with twice the operations and one with
/// `times`. What both do besides (loading, keys, the first time) is not in it.
#[must_use]
pub fn per_operation(once: &Instructions, twice: &Instructions, times: u64) -> PerOperation {
    let per = |before: u64, after: u64| (after as f64 - before as f64) / times.max(1) as f64;
    let (before, after) = (once.classes(), twice.classes());
    let of = |counts: &BTreeMap<Class, u64>, class| counts.get(&class).copied().unwrap_or_default();
    let classes = Class::ALL
        .into_iter()
        .map(|class| (class, per(of(&before, class), of(&after, class))))
        .filter(|(_, count)| *count != 0.0)
        .collect();
    let count = |key: &(String, String)| once.functions.get(key).copied().unwrap_or_default();
    let mut functions: Vec<(String, f64)> = twice
        .functions
        .iter()
        .map(|(key, after)| (key.1.clone(), per(count(key), *after)))
        .filter(|(_, count)| *count > 0.0)
        .collect();
    functions.sort_by(|a, b| b.1.total_cmp(&a.1));
    PerOperation { total: per(once.total(), twice.total()), classes, functions }
}

/// Instructions of one operation.
#[derive(Debug, Clone, PartialEq)]
pub struct PerOperation {
    /// All of them.
    pub total: f64,
    /// By class.
    pub classes: BTreeMap<Class, f64>,
    /// By function, the most expensive first.
    pub functions: Vec<(String, f64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: &str = "# callgrind format\nversion: 1\npositions: line\nevents: Ir\n\
        summary: 100\n\nob=/bin/adjunct\nfl=a.rs\nfn=rustls::f\n242 11\n+69 3\n\
        cob=/lib/libc.so.6\ncfi=m.c\ncfn=malloc\ncalls=2 70\n* 900\n5 6\n\n\
        ob=/lib/libc.so.6\nfl=m.c\nfn=malloc'2\n7 40\nfi=n.c\n8 2\n\
        ob=/bin/adjunct\nfn=rustls::f\n9 1\ntotals: 63\n";

    #[test]
    fn costs_of_a_function_are_its_own_without_those_of_what_it_calls() {
        let found = Instructions::parse(OUT).unwrap();
        let classes = found.classes();
        assert_eq!(classes[&Class::Rustls], 11 + 3 + 6 + 1);
        assert_eq!(classes[&Class::Memory], 42);
        assert_eq!(found.total(), 63);
    }

    #[test]
    fn a_line_without_a_cost_is_an_error_and_not_a_zero() {
        assert!(Instructions::parse("fn=f\n12\n").is_err());
    }

    #[test]
    fn an_operation_is_what_twice_as_many_cost_more() {
        let counts = |of_rustls, of_malloc| Instructions {
            functions: [
                (("bin".into(), "rustls::f".into()), of_rustls),
                (("libc.so.6".into(), "malloc".into()), of_malloc),
            ]
            .into(),
        };
        let per = per_operation(&counts(1100, 500), &counts(2100, 500), 10);
        assert_eq!(per.total, 100.0);
        assert_eq!(per.classes, [(Class::Rustls, 100.0)].into());
        assert_eq!(per.functions, [("rustls::f".to_owned(), 100.0)]);
    }

    #[test]
    fn a_program_that_fails_has_no_count() {
        let error = count(Path::new("/nonexistent"), &[], Collect::All).unwrap_err().to_string();
        assert!(error.contains("valgrind"), "{error}");
    }
}
