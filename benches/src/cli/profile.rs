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
    #[arg(long, default_value_t = 8.0)]
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
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
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
    let command = "target/release/adjunct-bench profile --out";
    let directory = page::write(out.as_deref(), command, &profiles, &counts)?;
    eprintln!("{}", directory.path().display());
    Ok(())
}
