//! A daemon whose cards can be broken from outside, as an operator would do it.
//!
//! Purpose: tests of failing cards and of long load need the same things: two services (RSA and
//! ECDSA), cards of their own, an admin socket, and a log that is read as it grows.
//!
//! Invariants: orders go through the command line, so what a user can paste is what is tested; each
//! record of the log is handed out exactly once.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::config::{self, Service, file};
use crate::daemon::{Daemon, Program};
use crate::pki::{Kind, Leaf, Pki};
use crate::process::PATIENCE;
use crate::record::Record;
use crate::scene::NAME;

/// What a rig is to be like.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// Type and domains of the cards, numbered from 0.
    pub cards: &'a [(&'a str, &'a [u8])],
    /// Further lines of `[route]`; ECDSA signs on cards.
    pub route: &'a str,
    /// Further tables.
    pub tables: &'a str,
    /// Lines of each service.
    pub service: &'a [&'a str],
    /// Event loops; those of this run of the tests when it does not matter.
    pub workers: Option<usize>,
}

impl Default for Plan<'_> {
    /// Two accelerators and two coprocessors with a domain each.
    fn default() -> Self {
        const CARDS: [(&str, &[u8]); 4] =
            [("CEX8A", &[6]), ("CEX8A", &[6]), ("CEX8C", &[6]), ("CEX8C", &[6])];
        Self { cards: &CARDS, route: "", tables: "", service: &[], workers: None }
    }
}

/// The daemon with its surroundings.
#[derive(Debug)]
pub struct Rig {
    /// The daemon: first address RSA, second address ECDSA.
    pub daemon: Daemon<2>,
    /// The authorities.
    pub pki: Pki,
    program: Program,
    directory: TempDir,
    log: Mutex<Tail>,
}

impl Rig {
    /// Starts it in front of `backend`.
    #[must_use]
    pub fn start(program: &Program, backend: SocketAddr, plan: &Plan<'_>) -> Self {
        let pki = Pki::new();
        let rsa = pki.issue("rsa", &Leaf::new(Kind::Rsa2048, &[NAME]));
        let ec = pki.issue("ec", &Leaf::new(Kind::P256, &[NAME]));
        let directory = TempDir::new().expect("a temporary directory");
        let log = directory.path().join("adjunct.log");
        let daemon = program.start(|[rsa_at, ec_at]| {
            let service = |name, at: SocketAddr, leaf| {
                let service = Service::new(name, at, backend, leaf);
                plan.service.iter().fold(service, |service, line| service.with(line))
            };
            let text = file(&[service("rsa", rsa_at, &rsa), service("ec", ec_at, &ec)]);
            let server = format!(
                "[server]\nfault_injection = true\nlog = {{ target = \"{}\" }}\n",
                log.display()
            );
            let text = text.replacen("[server]\n", &server, 1);
            let workers = plan.workers.unwrap_or_else(config::workers);
            let of_this_run = format!("workers = {}\n", config::workers());
            let text = text.replacen(&of_this_run, &format!("workers = {workers}\n"), 1);
            let cards = plan.cards.iter().enumerate().map(|(id, (kind, domains))| {
                let engine = config::engine();
                format!(
                    "[[card]]\nid = {id}\ntype = \"{kind}\"\ndomains = {domains:?}\n\
                     engine = \"{engine}\"\n"
                )
            });
            let cards: String = cards.collect();
            let socket = directory.path().join("admin.sock");
            format!(
                "{text}\n{cards}\n[admin]\nsocket = \"{}\"\n[route]\necdsa = \"cex\"\n{}\n{}\n",
                socket.display(),
                plan.route,
                plan.tables
            )
        });
        let tail = Tail { path: log, ..Tail::default() };
        Self { daemon, pki, program: program.clone(), directory, log: Mutex::new(tail) }
    }

    /// Where RSA signs.
    #[must_use]
    pub fn rsa(&self) -> SocketAddr {
        self.daemon.addresses[0]
    }

    /// Where ECDSA signs.
    #[must_use]
    pub fn ec(&self) -> SocketAddr {
        self.daemon.addresses[1]
    }

    /// The admin socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("admin.sock")
    }

    /// `adjunct cards ORDER`.
    #[track_caller]
    pub fn order(&self, order: &str) {
        let socket = self.socket();
        let mut line = vec!["cards"];
        line.extend(order.split(' '));
        line.extend(["--socket", socket.to_str().expect("a path of ours")]);
        let _ = self.program.run(&line).success();
    }

    /// What the daemon answers to a question.
    #[must_use]
    pub fn ask(&self, question: &str) -> Value {
        adjunct::admin::ask(&self.socket(), question).expect("a running daemon")
    }

    /// A column of `cards` for a queue.
    #[must_use]
    pub fn queue(&self, apqn: &str, column: &str) -> Value {
        let rows = self.ask("cards");
        let found = rows.as_array().expect("rows").iter().find(|row| {
            row["domain"].as_u64().is_some_and(|domain| {
                apqn == format!("{:02x}.{domain:04x}", row["card"].as_u64().unwrap_or_default())
            })
        });
        found.unwrap_or_else(|| panic!("{apqn} is missing in {rows}"))[column].clone()
    }

    /// Requests that a queue has taken so far.
    #[must_use]
    pub fn requests(&self, apqn: &str) -> u64 {
        self.queue(apqn, "requests").as_u64().expect("a number")
    }

    /// A number of all services together: `open`, `handshakes`, `accepted`.
    #[must_use]
    pub fn sum(&self, column: &str) -> u64 {
        let status = self.ask("status");
        let services = status["services"].as_array().expect("services");
        services.iter().filter_map(|service| service[column].as_u64()).sum()
    }

    /// A column of `members` for the only event loop.
    #[must_use]
    pub fn member(&self, column: &str) -> u64 {
        self.ask("members")[0][column].as_u64().expect("a number")
    }

    /// The records that have been written since the last call.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.log.lock().unwrap().take()
    }

    /// Waits until `count` more records have been written.
    #[track_caller]
    pub fn wait_records(&self, count: usize) -> Vec<Record> {
        let deadline = Instant::now() + PATIENCE;
        let mut records = self.records();
        while records.len() < count {
            assert!(Instant::now() < deadline, "{} of {count} records came", records.len());
            std::thread::sleep(Duration::from_millis(10));
            records.extend(self.records());
        }
        records
    }
}

/// A log file that is read as it grows.
#[derive(Debug, Default)]
struct Tail {
    path: PathBuf,
    position: u64,
    rest: Vec<u8>,
}

impl Tail {
    fn take(&mut self) -> Vec<Record> {
        let Ok(mut log) = File::open(&self.path) else { return Vec::new() };
        log.seek(SeekFrom::Start(self.position)).expect("a file");
        let read = log.read_to_end(&mut self.rest).expect("a file of ours");
        self.position += read as u64;
        let complete = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.rest.drain(..complete).collect();
        lines
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok().map(Record))
            .filter(Record::is_connection)
            .collect()
    }
}
