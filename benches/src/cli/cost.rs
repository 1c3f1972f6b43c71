//! `adjunct-bench cost`.

use std::path::PathBuf;

use clap::Args;

use crate::{Failure, cost};

/// Options of `cost`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The steps from the base only, in fewer and shorter rounds: a trial, no claim
    #[arg(long)]
    quick: bool,
    /// Directory of the report [default: perf-reports/DATE-cost in the tree]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Release build of the daemon [default: beside this program]
    #[arg(long, value_name = "PATH")]
    daemon: Option<String>,
    /// Rounds [default: 5, or 3 with --quick]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// Seconds that each cell is counted in a round [default: 3, or 1.2 with --quick]
    #[arg(long, value_parser = seconds)]
    seconds: Option<f64>,
    /// Only these cells, and the base
    #[arg(long, value_name = "ID,ID", value_delimiter = ',')]
    only: Vec<String>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    if (0.1..=600.0).contains(&seconds) { Ok(seconds) } else { Err("0.1 to 600".to_owned()) }
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line prints")]
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let Options { quick, out, daemon, rounds, seconds, only } = options.clone();
    let options = cost::Options { quick, out, daemon, rounds, seconds, only };
    let done = cost::run(&options, &mut |line| eprintln!("{line}"))?;
    println!("{}", done.table);
    println!("report: {}", done.report.join("report.md").display());
    if done.failed.is_empty() {
        return Ok(());
    }
    let failed = done.failed.join("\n  ");
    Err(format!("some cells failed; the report says so, too:\n  {failed}").into())
}
