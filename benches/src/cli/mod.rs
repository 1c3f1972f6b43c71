//! The commands of `adjunct-bench`: one file each.
//!
//! Standard output carries the result alone, a table or with `--json` one line a run; everything
//! else goes to standard error.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::Failure;

mod backend;
mod common;
mod handshake;

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
    /// The backend behind the endpoint: echoes, sends and checks; prints its address
    Backend(backend::Options),
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
        Command::Backend(options) => backend::run(options),
    }
}
