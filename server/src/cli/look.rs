//! `adjunct cards` and `adjunct crypto`: from a running daemon, or from a set started here; and
//! `adjunct members`, from a running daemon.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use engine::compliance::ModeSet;
use engine::crypto::{Fault, Provider, WordError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::args::{Cards, CardsOrder, Crypto, Members, Where};
use super::{check, complain, print, print_json, tables};
use crate::admin;
use crate::config::{self, Config};
use crate::exit::Exit;
use crate::fips::facts::Facts;
use crate::glue;
use crate::order::{Answer, Order};
use crate::provider;
use crate::snapshot::{CardRow, FunctionRow, MemberRow, Source, Status};

pub(super) fn cards(arguments: &Cards) -> Exit {
    if let Some(order) = &arguments.order {
        return give(order, &arguments.place);
    }
    let wide = arguments.verbose;
    let exit = look(
        &arguments.place,
        "cards",
        |set| set.cards(),
        |rows: &[CardRow]| format!("{}\n{}", tables::cards(rows, wide), tables::engines(rows)),
    );
    if exit == Exit::Ok && !arguments.place.json {
        // Apart from the table, so that its form stays that of lszcrypt.
        complain("These cards are simulated: each is a thread of this host.");
    }
    exit
}

/// Gives an order to the running daemon and says what came of it.
fn give(order: &CardsOrder, place: &Where) -> Exit {
    let order = match order.order() {
        Ok(order) => order,
        Err(error) => {
            complain(&format!("adjunct: {error}"));
            return Exit::Usage;
        }
    };
    let socket = match &place.socket {
        Some(socket) => Some(socket.clone()),
        None => match place.config.as_deref().map(read).transpose() {
            Ok(config) => config.and_then(|config| config.admin_socket),
            Err(exit) => return exit,
        },
    };
    let Some(socket) = socket else {
        complain(
            "adjunct: an order needs a running daemon: name its socket with --socket, or with -c \
             a configuration that has [admin] socket",
        );
        return Exit::Usage;
    };
    match admin::ask(&socket, &order.to_string()) {
        Ok(Answer::Done(done)) => {
            print(&format!("{done}\n"));
            Exit::Ok
        }
        Ok(Answer::Error(reason)) => {
            complain(&format!("adjunct: {reason}"));
            Exit::Config
        }
        Err(error) => {
            complain(&format!("adjunct: {error}"));
            error.exit()
        }
    }
}

impl CardsOrder {
    fn order(&self) -> Result<Order, WordError> {
        Ok(match self {
            Self::Online { target } => Order::Online(*target),
            Self::Offline { target } => Order::Offline(*target),
            Self::Fault { target, fault, detail } => {
                Order::Fault(*target, Fault::from_words(fault, detail.as_deref())?)
            }
            Self::Repair { target } if target == "all" => Order::RepairAll,
            Self::Repair { target } => Order::Repair(target.parse()?),
        })
    }
}

pub(super) fn crypto(arguments: &Crypto) -> Exit {
    let asked = |place: &Place| -> Result<CryptoAnswer, Exit> {
        Ok(CryptoAnswer {
            module: place.ask("module", |set| set.facts())?,
            functions: place.ask("crypto", |set| set.functions())?,
        })
    };
    match find(&arguments.place).and_then(|place| asked(&place)) {
        Ok(answer) if arguments.place.json => print_json(&answer),
        Ok(answer) => {
            let (table, lanes) =
                (tables::functions(&answer.functions), tables::lanes(&answer.functions));
            print(&format!("{table}{lanes}{}", answer.remarks()));
            Exit::Ok
        }
        Err(exit) => exit,
    }
}

/// What `adjunct crypto --json` prints.
#[derive(Serialize)]
struct CryptoAnswer {
    module: Facts,
    functions: Vec<FunctionRow>,
}

impl CryptoAnswer {
    /// What stands below the table.
    fn remarks(&self) -> String {
        let mut out = "\n".to_owned();
        for (name, value) in self.module.rows() {
            // Writing to a String does not fail.
            let _ = writeln!(out, "{name:<14}{value}");
        }
        let portable = self.functions.iter().any(|row| row.provider == Provider::Portable.name());
        if let Some(remark) = provider::remark(Provider::Portable).filter(|_| portable) {
            let _ = writeln!(out, "\n{remark}");
        }
        out
    }
}

/// Only a running daemon has members.
pub(super) fn members(arguments: &Members) -> Exit {
    match ask_members(arguments) {
        Ok(rows) if arguments.json => print_json(&rows),
        Ok(rows) => {
            print(&tables::members(&rows));
            Exit::Ok
        }
        Err(exit) => exit,
    }
}

fn ask_members(arguments: &Members) -> Result<Vec<MemberRow>, Exit> {
    let config = match (&arguments.socket, &arguments.config) {
        (None, Some(file)) => Some(read(file)?),
        _ => None,
    };
    let configured = config.as_ref().and_then(|config| config.admin_socket.as_ref());
    let Some(socket) = arguments.socket.as_ref().or(configured) else {
        complain(
            "adjunct: no daemon is named; give --socket, or --config with [admin] socket in the \
             file",
        );
        return Err(Exit::Usage);
    };
    admin::ask(socket, "members").map_err(|error| {
        complain(&format!("adjunct: {error}"));
        error.exit()
    })
}

/// Gets rows and prints them.
fn look<Row: Serialize + DeserializeOwned>(
    place: &Where,
    verb: &str,
    rows: fn(&dyn Source) -> Vec<Row>,
    table: impl FnOnce(&[Row]) -> String,
) -> Exit {
    match find(place).and_then(|found| found.ask(verb, rows)) {
        Ok(rows) if place.json => print_json(&rows),
        Ok(rows) => {
            print(&table(&rows));
            Exit::Ok
        }
        Err(exit) => exit,
    }
}

/// What answers: a daemon, or a set of this process.
enum Place {
    Daemon(PathBuf),
    Here(Box<dyn Source>),
}

impl Place {
    fn ask<T: DeserializeOwned>(&self, verb: &str, get: fn(&dyn Source) -> T) -> Result<T, Exit> {
        match self {
            Self::Daemon(socket) => admin::ask(socket, verb).map_err(fail),
            Self::Here(set) => Ok(get(&**set)),
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "a function for map_err")]
fn fail(error: admin::Error) -> Exit {
    complain(&format!("adjunct: {error}"));
    error.exit()
}

/// A socket named on the command line must answer; that of the configuration may be absent.
fn find(place: &Where) -> Result<Place, Exit> {
    if let Some(socket) = &place.socket {
        return Ok(Place::Daemon(socket.clone()));
    }
    let config = place.config.as_deref().map(read).transpose()?;
    // Should a set be started here, it is that of the configuration.
    let wanted = config.as_ref().map_or(Provider::Host, |config| config.cpacf.provider);
    provider::enter(wanted).map_err(|reason| {
        complain(&format!("adjunct: {reason}"));
        Exit::OsError
    })?;
    if let Some(socket) = config.as_ref().and_then(|config| config.admin_socket.as_ref()) {
        match admin::ask::<Status>(socket, "status") {
            Ok(_) => return Ok(Place::Daemon(socket.clone())),
            Err(admin::Error::NoDaemon { .. }) => {
                complain("No daemon is running; the set of the configuration was started anew.");
            }
            Err(error) => return Err(fail(error)),
        }
    }
    let fresh = match &config {
        Some(config) => {
            let modes = config.modes();
            glue::fresh(&config.cards, config.route, config.server.members(), &modes)
        }
        None => glue::fresh(&[], config::schema::Route::default(), 1, &ModeSet::default()),
    };
    fresh.map(Place::Here).map_err(|reason| {
        complain(&format!("adjunct: {reason}"));
        Exit::Unavailable
    })
}

/// The configuration; certificates do not matter here.
pub(super) fn read(file: &Path) -> Result<Config, Exit> {
    let report = config::load_without_files(file);
    check::complain_about(&report);
    let exit = report.exit();
    report.config.ok_or(exit)
}
