//! The directory of a report while it is being filled.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::host::{Host, run};
use super::{Round, Summary, index, privacy, raw_path, trace};
use crate::Failure;

/// Where reports are kept, below the root of the tree.
const REPORTS: &str = "perf-reports";

/// A report that is being written. Raw lines are on disk as soon as they are appended, so that an
/// interrupted run leaves what it has measured.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    kind: String,
    raw: File,
}

impl Directory {
    /// Makes the directory: `out`, or `perf-reports/DATE-SLUG` of the tree.
    ///
    /// # Errors
    /// It exists, or cannot be made, or the list it would be entered in is not there.
    pub fn create(out: Option<&Path>, slug: &str, kind: &str) -> Result<Self, Failure> {
        let path = out.map_or_else(|| in_the_tree(slug), Path::to_path_buf);
        let shown = path.display();
        if let Some(collection) = collection(&path) {
            index::check(&collection.join("README.md"))?;
        }
        if path.exists() {
            let remedy = "move it away, or name another with --out DIR";
            return Err(format!(
                "{shown}: exists already, and a report is never overwritten; {remedy}"
            )
            .into());
        }
        let failed = |e: std::io::Error| {
            format!(
                "{shown}: the report cannot be written there ({e}); name another with --out DIR"
            )
        };
        let raw = path.join(raw_path(kind));
        fs::create_dir_all(path.join("raw")).map_err(failed)?;
        let raw = File::create(raw).map_err(failed)?;
        Ok(Self { path, kind: kind.to_owned(), raw })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of reports it belongs to; none for a trial elsewhere.
    #[must_use]
    pub fn collection(&self) -> Option<&Path> {
        collection(&self.path)
    }

    /// Adds a raw line.
    ///
    /// # Errors
    /// Those of writing.
    pub fn append(&mut self, round: &Round) -> Result<(), Failure> {
        writeln!(self.raw, "{}", serde_json::to_string(round)?)?;
        Ok(())
    }

    /// All raw lines so far.
    ///
    /// # Errors
    /// Those of reading.
    pub fn rounds(&self) -> Result<Vec<Round>, Failure> {
        Round::read_all(&fs::read_to_string(self.path.join(raw_path(&self.kind)))?)
    }

    /// Writes one file.
    ///
    /// # Errors
    /// The text names a directory or the name of this machine, or writing fails.
    pub fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let leaks = privacy::leaks(text);
        if !leaks.is_empty() {
            return Err(format!("{name} would name places of this machine: {leaks:?}").into());
        }
        fs::write(self.path.join(name), text)?;
        Ok(())
    }

    /// Writes `host.json`.
    ///
    /// # Errors
    /// Those of [`Self::write`].
    pub fn write_host(&self, host: &Host) -> Result<(), Failure> {
        self.write("host.json", &pretty(host)?)
    }

    /// Writes `commands.sh`: what to type to have the report again.
    ///
    /// # Errors
    /// Those of [`Self::write`].
    pub fn write_commands(&self, commands: &[String]) -> Result<(), Failure> {
        let mut text = String::from(
            "#!/bin/sh\n# Makes this report again, from the root of the tree at the commit in \
             host.json.\n# The machine should be quiet.\nset -eu\n\n",
        );
        for command in commands {
            text.push_str(command);
            text.push('\n');
        }
        self.write("commands.sh", &text)
    }

    /// Writes `summary.json`.
    ///
    /// # Errors
    /// Those of [`Self::write`].
    pub fn write_summary(&self, summary: &Summary) -> Result<(), Failure> {
        // A line for each cell: a change of one shows as one line.
        let mut cells = Vec::new();
        for cell in &summary.cells {
            cells.push(serde_json::to_string(cell)?);
        }
        let head = pretty(&Summary { cells: Vec::new(), ..summary.clone() })?;
        let cells = format!("\"cells\": [\n    {}\n  ]", cells.join(",\n    "));
        self.write("summary.json", &head.replace("\"cells\": []", &cells))
    }

    /// Looks whether every figure can be traced.
    ///
    /// # Errors
    /// One cannot; the text says which.
    pub fn check(&self) -> Result<(), Failure> {
        let faults = trace::faults(&self.path)?;
        if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
    }
}

fn collection(report: &Path) -> Option<&Path> {
    report.parent().filter(|parent| parent.ends_with(REPORTS))
}

fn pretty(value: &impl serde::Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn in_the_tree(slug: &str) -> PathBuf {
    let root = run("git", &["rev-parse", "--show-toplevel"]).filter(|path| !path.is_empty());
    let root = root.map_or_else(|| PathBuf::from("."), PathBuf::from);
    root.join(REPORTS).join(format!("{}-{slug}", today()))
}

/// Today, as the world's time has it: `YYYY-MM-DD`.
#[must_use]
pub fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    date(since.as_secs() / 86_400)
}

/// The day so many days after 1970-01-01.
fn date(days: u64) -> String {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut rest) = (1970, days);
    while rest >= 365 + u64::from(leap(year)) {
        rest -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(59), "1970-03-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_778), "2026-11-21");
        assert_eq!(date(20_818), "2026-12-31");
    }

    #[test]
    fn a_report_is_never_overwritten() {
        let place = tempfile::TempDir::new().unwrap();
        let error = Directory::create(Some(place.path()), "x", "cost").unwrap_err().to_string();
        assert!(error.contains("exists already") && error.contains("--out"), "{error}");
    }

    #[test]
    fn a_file_that_names_a_directory_of_the_machine_is_refused() {
        let place = tempfile::TempDir::new().unwrap();
        let report = Directory::create(Some(&place.path().join("r")), "x", "cost").unwrap();
        let path = ["see /ho", "me/someone/x"].concat();
        assert!(report.write("report.md", &path).is_err());
        assert!(report.write("report.md", "see perf-reports/x").is_ok());
    }
}
