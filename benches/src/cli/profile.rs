//! `adjunct-bench profile`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line prints")]

use std::path::PathBuf;

use clap::Args;

use super::common::seconds;
use super::count;
use crate::profile::daemon::{Profiler, Scenario};
use crate::profile::page;
use crate::{Failure, daemon};

/// Options of `profile`.
#[derive(Debug, Args)]
pub struct Options {
    /// Loads to profile; all when none is named
    #[arg(value_name = "LOAD")]
    loads: Vec<Scenario>,
    /// The daemon; the one beside this program when not given
    #[arg(long, value_name = "PATH")]
    daemon: Option<String>,
    /// How long each load is sampled, in seconds
    #[arg(long, default_value_t = SECONDS)]
    seconds: f64,
    /// Leave out the instructions of the hot paths, which take minutes
    #[arg(long)]
    no_count: bool,
    /// Lines of JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Write a report: perf-reports/DATE-profile of the tree, or the directory named
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    out: Option<Option<PathBuf>>,
    /// What the figures mean, as Markdown: goes into the report
    #[arg(long, value_name = "FILE", requires = "out")]
    notes: Option<PathBuf>,
}

/// Seconds of sampling unless told otherwise.
const SECONDS: f64 = 8.0;

impl Options {
    /// What to type to have the same again; of a file the name alone.
    fn command(&self) -> String {
        let mut command = "target/release/adjunct-bench profile".to_owned();
        for load in &self.loads {
            command.push_str(&format!(" {}", load.name()));
        }
        if self.seconds != SECONDS {
            command.push_str(&format!(" --seconds {}", self.seconds));
        }
        if self.no_count {
            command.push_str(" --no-count");
        }
        if let Some(notes) = &self.notes {
            let name = notes.file_name().unwrap_or_default().to_string_lossy();
            command.push_str(&format!(" --notes {name}"));
        }
        command + " --out"
    }

    /// Read before anything is measured.
    fn notes(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.notes else { return Ok(None) };
        let text = std::fs::read_to_string(path);
        text.map(Some).map_err(|e| format!("--notes {}: {e}", path.display()).into())
    }
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let notes = options.notes()?;
    let program = daemon::find(options.daemon.as_deref())?;
    let time = seconds("--seconds", options.seconds)?;
    let profiler = Profiler { program: &program, time };
    let loads = if options.loads.is_empty() { &Scenario::ALL[..] } else { &options.loads };
    let mut profiles = Vec::new();
    for &load in loads {
        eprintln!("{}: system calls, then samples for {} s", load.name(), options.seconds);
        let profile = profiler.run(load).map_err(|e| format!("{}: {e}", load.name()))?;
        if options.json {
            println!("{}", serde_json::to_string(&page::of_daemon(&profile))?);
        }
        profiles.push(profile);
    }
    if !options.json {
        print!("{}", page::table(&profiles));
    }
    let Some(out) = &options.out else { return Ok(()) };
    let counts = if options.no_count { Vec::new() } else { count::all()? };
    let measured = (&profiles[..], &counts[..]);
    let directory = page::write(out.as_deref(), &options.command(), measured, notes.as_deref())?;
    eprintln!("{}", directory.path().display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Arguments;

    #[test]
    fn the_command_of_a_report_is_the_one_that_was_typed() {
        let command = |line: &str| {
            let words = ["adjunct-bench", "profile"].into_iter().chain(line.split_whitespace());
            match Arguments::try_parse_from(words).unwrap().command {
                crate::cli::Command::Profile(options) => options.command(),
                other => panic!("{other:?}"),
            }
        };
        let program = "target/release/adjunct-bench profile";
        assert_eq!(command("--out"), format!("{program} --out"));
        assert_eq!(
            command("bulk-up resumed --out x --seconds 2.5 --no-count --notes some/where.md"),
            format!("{program} bulk-up resumed --seconds 2.5 --no-count --notes where.md --out")
        );
    }
}
