//! `adjunct keydb`: the commands on a key database.
//!
//! Each command opens the database, does one thing, writes it, and answers with a text or, with
//! `--json`, a value. What it wants to be known beside the answer goes to standard error.

pub mod args;
mod ask;
mod exchange;
mod keep;
mod look;
mod make;

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{complain, print, print_json};
use crate::config;
use crate::exit::Exit;
use crate::fips;
use crate::keydb::{Access, Circumstances, Failure, Store, write_file};
use args::{Command, How, Place};

/// What a command answers.
struct Answer {
    text: String,
    value: Value,
    exit: Exit,
}

impl Answer {
    fn new(text: impl Into<String>, value: Value) -> Self {
        Self { text: text.into(), value, exit: Exit::Ok }
    }
}

type Outcome = Result<Answer, Failure>;

/// Does what the command line asks for.
pub(super) fn run(arguments: &args::Keydb) -> Exit {
    let (outcome, json) = match &arguments.command {
        Command::Create(command) => (make::create(command), command.place.how.json),
        Command::Passwd(command) => (keep::passwd(command), command.place.how.json),
        Command::Stash(command) => (keep::stash(command), command.place.how.json),
        Command::List(place) => (look::list(place), place.how.json),
        Command::Show(command) => (look::show(command), command.place.how.json),
        Command::Ca(command) => (make::ca(command), command.place.how.json),
        Command::Issue(command) => (make::issue(command), command.place.how.json),
        Command::Request(command) => (make::request(command), command.place.how.json),
        Command::Sign(command) => (make::sign(command), command.place.how.json),
        Command::Receive(command) => (make::receive(command), command.place.how.json),
        Command::Renew(command) => (make::renew(command), command.place.how.json),
        Command::Import(command) => (exchange::import(command), command.place.how.json),
        Command::Export(command) => (exchange::export(command), command.place.how.json),
        Command::Rename(command) => (keep::rename(command), command.place.how.json),
        Command::Default(command) => (keep::default(command), command.place.how.json),
        Command::Trust(command) => (keep::trust(command), command.place.how.json),
        Command::Delete(command) => (keep::delete(command), command.place.how.json),
        Command::Verify(command) => (look::verify(command), command.place.how.json),
        Command::Check(command) => (look::check(command), command.place.how.json),
    };
    match outcome {
        Ok(answer) if json => match print_json(&answer.value) {
            Exit::Ok => answer.exit,
            failed => failed,
        },
        Ok(answer) => {
            print(&answer.text);
            answer.exit
        }
        Err(Failure { exit, what, remedy }) => {
            if json {
                let fault = json!({ "what": what, "remedy": remedy, "exit": exit.code() });
                let _ = print_json(&json!({ "error": fault }));
            }
            complain(&format!("adjunct keydb: {what}\n  remedy: {remedy}"));
            exit
        }
    }
}

/// Opens the database of a command.
fn open(place: &Place, access: Access) -> Result<Store, Failure> {
    let circumstances = circumstances(&place.how)?;
    let store = Store::open(&place.database, access, circumstances, || {
        ask::passwords(&place.how, &place.database)
    })?;
    if store.database.was_changed_outside() {
        complain(&format!(
            "note: {} was written by another program since Adjunct last did; trust and default \
             key are those of the labels that are still there",
            store.path().display()
        ));
    }
    Ok(store)
}

/// Opens a database, changes it, and writes it.
fn change<T>(
    place: &Place,
    change: impl FnOnce(&mut Store) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut store = open(place, Access::Change)?;
    let done = change(&mut store)?;
    store.commit()?;
    Ok(done)
}

fn circumstances(how: &How) -> Result<Circumstances, Failure> {
    let mut fips = how.modes.iter().any(|mode| mode.is_fips());
    if let Some(file) = &how.config {
        let modes = config::modes_of(file).map_err(|what| {
            Failure::new(Exit::Config, what, "run `adjunct check`, or give --mode instead")
        })?;
        fips |= modes.iter().any(|mode| mode.is_fips());
    }
    if fips {
        self_tests()?;
    }
    Ok(Circumstances { fips, now: SystemTime::now() })
}

/// What a FIPS mode demands before a key is made or used: known answers and the integrity of the
/// program.
fn self_tests() -> Result<(), Failure> {
    let failed = |failure: fips::Failure| {
        let remedy = "nothing is done in a FIPS mode before that is mended";
        Failure::new(Exit::Internal, failure.to_string(), remedy)
    };
    fips::start().map(drop).map_err(failed)
}

/// When a password that lasts so many days ends.
fn end_of_days(days: Option<u32>) -> Option<SystemTime> {
    days.map(|days| SystemTime::now() + Duration::from_secs(u64::from(days) * 86_400))
}

/// Writes what is no secret to a file, or into the answer.
fn deliver(text: &str, output: Option<&Path>, what: &str, mut value: Value) -> Outcome {
    let Some(path) = output else {
        value["pem"] = text.into();
        return Ok(Answer::new(text, value));
    };
    write_file(path, text.as_bytes())?;
    value["file"] = path.display().to_string().into();
    Ok(Answer::new(format!("{what} written to {}\n", path.display()), value))
}

/// A secret must not scroll past on a terminal.
fn refuse_terminal(output: Option<&Path>) -> Result<(), Failure> {
    if output.is_none() && std::io::stdout().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "a private key is not written to a terminal",
            "give --output FILE",
        ));
    }
    Ok(())
}

fn tell(notices: &[String]) {
    for notice in notices {
        complain(&format!("note: {notice}"));
    }
}
