//! A daemon under attack, with good clients all the while.
//!
//! Purpose: what every attack must leave alone is asserted in one place. Good clients make full
//! handshakes and are echoed before, during and after; each connection leaves exactly one record
//! with a rule that the attack may have; then descriptors and threads are as many as before. The
//! attack is then repeated: it finds the memory that its first run has brought the daemon to, and
//! must not need more.
//!
//! Invariant: good clients are told from the others by their server name, never by luck.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::backend::Backend;
use crate::client::stock::Client;
use crate::config::{Service, file};
use crate::daemon::{Daemon, Program};
use crate::pki::{Kind, Leaf, Pki};
use crate::record::Record;
use crate::scene::NAME;
use crate::{wait_still, wait_until};

/// The name that only good clients ask for.
const GOOD: &str = "good.test";

/// How much the second run of an attack may add: what an allocator keeps, not what a connection
/// costs. The attacks make hundreds of connections and more.
/// Repetitions of an attack until memory must have stopped growing.
const REPEATS_MAX: usize = 4;
const GROWTH_KIB: u64 = 4 * 1024;

/// A daemon, its backend, and what it needs at rest.
#[derive(Debug)]
pub struct Siege {
    daemon: Daemon<1>,
    backend: Backend,
    pki: Pki,
    descriptors: usize,
    threads: u64,
    /// Bytes of the log that have been looked at.
    read: usize,
}

impl Siege {
    /// A service that echoes, with more lines of configuration.
    #[must_use]
    pub fn start(program: &Program, lines: &[&str]) -> Self {
        let (backend, pki) = (Backend::echo(), Pki::new());
        let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME, GOOD]));
        let daemon = program.start(|[at]| {
            let service = Service::new("plain", at, backend.address, &leaf);
            file(&[lines.iter().fold(service, |service, line| service.with(line))])
        });
        let mut siege = Self { daemon, backend, pki, descriptors: 0, threads: 0, read: 0 };
        siege.serve_one();
        siege.records(1);
        siege.descriptors = usize::try_from(wait_still(|| siege.daemon.descriptors() as u64))
            .expect("a count of descriptors");
        siege.threads = siege.daemon.threads();
        siege
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.daemon.address()
    }

    /// The authorities it is trusted by.
    #[must_use]
    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    /// The daemon itself.
    #[must_use]
    pub fn daemon(&self) -> &Daemon<1> {
        &self.daemon
    }

    /// Runs an attack until it costs no more memory. It returns how many connections it has made,
    /// each of which must leave a record with one of `rules`; `completed` stands for none. The
    /// records of the last run.
    #[track_caller]
    pub fn attack(&mut self, rules: &[&str], attack: impl Fn(&Self) -> usize) -> Vec<Record> {
        let _ = self.run(rules, &attack);
        let mut memory = vec![wait_still(|| self.daemon.resident_kib())];
        // Threads share out what the allocator keeps, so that it takes more than one run to have
        // asked for all of it; a leak grows with every one.
        for _ in 0..REPEATS_MAX {
            let before = memory.last().copied().unwrap_or_default();
            let records = self.run(rules, &attack);
            let after = wait_still(|| self.daemon.resident_kib());
            if after < before + GROWTH_KIB {
                return records;
            }
            memory.push(after);
        }
        panic!("every run takes memory: {memory:?} KiB");
    }

    #[track_caller]
    fn run(&mut self, rules: &[&str], attack: &impl Fn(&Self) -> usize) -> Vec<Record> {
        let over = AtomicBool::new(false);
        let (made, good) = std::thread::scope(|scope| {
            let siege = &*self;
            let good = scope.spawn(|| {
                let mut served = 0;
                loop {
                    // The last one comes after the attack.
                    let last = over.load(Ordering::Relaxed);
                    siege.serve_one();
                    served += 1;
                    if last {
                        return served;
                    }
                }
            });
            // Also when the attack fails, or its test would wait for ever.
            let told = OnDrop(|| over.store(true, Ordering::Relaxed));
            let made = attack(siege);
            drop(told);
            (made, good.join().expect("good clients are served"))
        });
        let (served, attacked): (Vec<_>, Vec<_>) =
            self.records(made + good).into_iter().partition(|record| record.text("sni") == GOOD);
        assert_eq!((served.len(), attacked.len()), (good, made), "one record for each connection");
        for record in &served {
            record.expect("outcome", "completed");
        }
        for record in &attacked {
            let rule = record.field("rule").as_str().unwrap_or_else(|| record.outcome());
            assert!(rules.contains(&rule), "{rule} is none of {rules:?}: {}", record.0);
        }
        let (daemon, descriptors, threads) = (&self.daemon, self.descriptors, self.threads);
        wait_until("its descriptors are closed", || daemon.descriptors() <= descriptors);
        assert_eq!(daemon.threads(), threads, "threads");
        attacked
    }

    /// A full handshake and an echo.
    #[track_caller]
    fn serve_one(&self) {
        let tls = Client::new(&self.pki).connect(self.address(), GOOD).expect("a handshake");
        assert!(tls.is_full());
        assert_eq!(tls.talk(b"hello").expect("an echo"), b"hello");
    }

    /// The next `count` records, and no more.
    #[track_caller]
    fn records(&mut self, count: usize) -> Vec<Record> {
        let mut records = Vec::new();
        wait_until("every connection has left its record", || {
            let (found, read) = self.daemon.records_from(self.read);
            self.read = read;
            records.extend(found);
            records.len() >= count
        });
        records
    }

    /// Ends it: nothing is left to be recorded, and the backend has seen none but who was let in.
    #[track_caller]
    pub fn end(mut self) {
        let rest = self.records(0);
        assert!(rest.is_empty(), "more than one record for a connection: {rest:?}");
        assert!(self.backend.connections() > 0);
        self.daemon.stop();
    }
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
