//! `adjunct-bench diff`.

use std::path::PathBuf;

use clap::Args;

use crate::Failure;
use crate::report::diff;

/// Options of `diff`.
#[derive(Debug, Args)]
pub struct Options {
    /// The report to compare with: its directory, or its summary.json
    before: PathBuf,
    /// The report that is compared
    after: PathBuf,
    /// One JSON object instead of the table
    #[arg(long)]
    json: bool,
    /// Pass over cells that only one of them has, instead of calling that an error
    #[arg(long)]
    common: bool,
}

#[allow(clippy::print_stdout, reason = "the command line prints")]
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let difference = diff::reports(&options.before, &options.after)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&difference)?);
    } else {
        print!("{difference}");
    }
    if options.common || difference.unmatched.is_empty() {
        return Ok(());
    }
    let cells = difference.unmatched.join("\n  ");
    Err(format!("cells that cannot be compared (--common passes over them):\n  {cells}").into())
}
