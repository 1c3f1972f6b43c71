//! The command line.
//!
//! Purpose: one definition ([`args`]) from which help and usage errors come, and one function per
//! command. Commands work on plain values and write through `print` and `complain`; a reader
//! that closes the pipe early is no error. Usage errors end with 64, not with clap's 2.

pub mod args;
mod check;
mod ciphers;
mod evidence;
mod explain;
mod integrity;
pub mod keydb;
mod look;
pub mod tables;
mod version;

use std::io::{self, Write as _};
use std::panic;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::exit::Exit;
use args::{Arguments, Command};

/// Runs the command line of this process and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error).into(),
    };
    // A bug must end with its own code; the panic hook has told where it is.
    panic::catch_unwind(|| run(arguments)).unwrap_or(Exit::Internal).into()
}

fn usage(error: &clap::Error) -> Exit {
    // The text has been made; there is nowhere to report that it cannot be shown.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ok,
        _ => Exit::Usage,
    }
}

fn run(arguments: Arguments) -> Exit {
    if arguments.version {
        if arguments.json {
            return print_json(&version::json(arguments.verbose));
        }
        print(&version::text(arguments.verbose));
        return Exit::Ok;
    }
    match arguments.command {
        Some(Command::Run(run)) => check::run(&run, arguments.color),
        Some(Command::Check(check)) => check::check(&check),
        Some(Command::Demo { once }) => crate::demo::run(once, arguments.color.into()),
        Some(Command::Cards(cards)) => look::cards(&cards),
        Some(Command::Crypto(crypto)) => look::crypto(&crypto),
        Some(Command::Members(members)) => look::members(&members),
        Some(Command::Integrity(arguments)) => integrity::integrity(&arguments),
        Some(Command::Keydb(keydb)) => keydb::run(&keydb),
        Some(Command::Ciphers(arguments)) => ciphers::ciphers(&arguments),
        Some(Command::Evidence(evidence)) => evidence::evidence(&evidence),
        Some(Command::Explain { code, json }) => explain::explain(&code.join(" "), json),
        None => {
            complain("no command given; try `adjunct demo`, or `adjunct --help`");
            Exit::Usage
        }
    }
}

/// Writes to standard output; a closed pipe is the reader's choice.
pub(crate) fn print(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// The same for a report that somebody keeps: a disk that is full must not look like success. A
/// reader that has seen enough may leave.
fn deliver(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("adjunct: standard output: {error}"));
            Exit::of_io(&error)
        }
        _ => Exit::Ok,
    }
}

/// Writes a line to standard error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A value as one line of JSON on standard output.
fn print_json(value: &impl serde::Serialize) -> Exit {
    match serde_json::to_string_pretty(value) {
        Ok(text) => deliver(&(text + "\n")),
        Err(error) => {
            complain(&format!("adjunct: cannot be written as JSON: {error}"));
            Exit::Internal
        }
    }
}
