//! `adjunct-bench count`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line prints")]

use std::path::PathBuf;

use clap::Args;

use crate::Failure;
use crate::profile::callgrind::PerOperation;
use crate::profile::count;
use crate::profile::path::Path;

/// Options of `count`.
#[derive(Debug, Args)]
pub struct Options {
    /// Paths to count; all when none is named
    #[arg(value_name = "PATH")]
    paths: Vec<Path>,
    /// Lines of JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Adds the counts to a trend (perf-reports/trend.jsonl)
    #[arg(long, value_name = "FILE")]
    trend: Option<PathBuf>,
    /// Goes the path so many times and counts nothing: what runs under valgrind
    #[arg(long, hide = true)]
    times: Option<u64>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let paths = if options.paths.is_empty() { &Path::ALL[..] } else { &options.paths };
    if let Some(times) = options.times {
        return paths.iter().try_for_each(|path| path.repeat(times));
    }
    let counts = measured(paths)?;
    if options.json {
        counts.iter().for_each(|(path, per)| println!("{}", count::line(*path, per)));
    } else {
        print!("{}", count::table(&counts));
    }
    match &options.trend {
        Some(trend) => count::record(trend, &counts),
        None => Ok(()),
    }
}

/// Every path.
pub(super) fn all() -> Result<Vec<(Path, PerOperation)>, Failure> {
    measured(&Path::ALL)
}

fn measured(paths: &[Path]) -> Result<Vec<(Path, PerOperation)>, Failure> {
    let program = std::env::current_exe()?;
    let arguments = |path: Path, times: u64| {
        vec!["count".to_owned(), path.name().to_owned(), format!("--times={times}")]
    };
    let one = |&path: &Path| {
        eprintln!("{}: {} and {} times", path.name(), path.times(), path.times() * 2);
        Ok((path, count::measure(&program, path, arguments)?))
    };
    paths.iter().map(one).collect()
}
