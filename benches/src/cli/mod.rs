//! The commands of `adjunct-bench`: one file each.
//!
//! Standard output carries the result alone, a table or with `--json` one line a run; everything
//! else goes to standard error.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::Failure;

mod backend;
mod bulk;
mod common;
mod cost;
mod count;
mod diff;
mod handshake;
mod idle;
mod latency;
mod modes;
mod peers;
mod profile;
mod storm;

/// What TLS endpoints cost, ours and others.
#[derive(Debug, Parser)]
#[command(name = "adjunct-bench", version)]
pub struct Arguments {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Handshakes, full or resumed, in a closed loop or at a rate
    Handshake(handshake::Options),
    /// As much data as goes, checked at both ends
    Bulk(bulk::Options),
    /// Connections that are held: memory each, CPU of all
    Idle(idle::Options),
    /// Pings on established connections
    Latency(latency::Options),
    /// Pings on established connections while others make handshakes
    Storm(storm::Options),
    /// Instructions of hot paths, counted under valgrind: the same on every machine
    Count(count::Options),
    /// Where time and system calls of our daemon go, by perf and strace
    Profile(profile::Options),
    /// The backend behind the endpoint: echoes, sends and checks; prints its address
    Backend(backend::Options),
    /// Our daemon with and without each of its means, as a report
    Cost(cost::Options),
    /// Compares two reports and says what is noise
    Diff(diff::Options),
    /// Adjunct beside haproxy, nginx, hitch, stunnel: a report with ratios
    Peers(peers::Options),
}

/// The program.
#[must_use]
#[allow(clippy::print_stderr, reason = "the command line prints")]
pub fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("adjunct-bench: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Handshake(options) => handshake::run(options),
        Command::Bulk(options) => bulk::run(options),
        Command::Idle(options) => idle::run(options),
        Command::Latency(options) => latency::run(options),
        Command::Storm(options) => storm::run(options),
        Command::Count(options) => count::run(options),
        Command::Profile(options) => profile::run(options),
        Command::Backend(options) => backend::run(options),
        Command::Cost(options) => cost::run(options),
        Command::Diff(options) => diff::run(options),
        Command::Peers(options) => peers::run(options),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
