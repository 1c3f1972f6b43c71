//! Where the daemon's time and its system calls go.
//!
//! Two runs of each load, apart: one sampled by perf at full load, for shares of CPU time; one
//! traced by strace with one client at a time, twice as long the second time, for system calls of a
//! handshake or of a mebibyte.
//!
//! Invariants: event loops and simulated cards are told apart by their threads, and shares are of
//! the host's time alone: a card is hardware. The key agreement is X25519 and the suite
//! TLS_AES_128_GCM_SHA256 everywhere.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rustls::{CipherSuite, NamedGroup};
use tempfile::TempDir;

use super::class::{Class, classify};
use super::perf::{self, Recording, Sample};
use super::strace::{Calls, Trace, per_unit};
use crate::cpu::{CARD, Usage, usage_of_tree};
use crate::daemon::{CARD_THREADS, Daemon, Setting};
use crate::load::{BulkLoad, Direction, HandshakeLoad, Kind, Moment, Shape, Stop, Target, backend};
use crate::outcome::Outcome;
use crate::pki::{self, Issued};
use crate::{Failure, clock};

/// Clients of the sampled runs: the event loop always has something to do.
const CLIENTS: usize = 16;
/// Functions that are kept of a profile.
const FUNCTIONS: usize = 25;

/// A load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Full handshakes, RSA-2048 on a card.
    FullRsa2048,
    /// Full handshakes, ECDSA P-256 on a card.
    FullP256,
    /// Resumed handshakes with a key agreement.
    Resumed,
    /// Data from backend to client.
    BulkDown,
    /// Data from client to backend.
    BulkUp,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::FullRsa2048, Self::FullP256, Self::Resumed, Self::BulkDown, Self::BulkUp];

    /// Its name in tables and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FullRsa2048 => "full-rsa2048",
            Self::FullP256 => "full-p256",
            Self::Resumed => "resumed",
            Self::BulkDown => "bulk-down",
            Self::BulkUp => "bulk-up",
        }
    }

    /// What a figure is for.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::BulkDown | Self::BulkUp => "MiB",
            _ => "connection",
        }
    }

    fn key(self) -> pki::Kind {
        match self {
            Self::FullRsa2048 => pki::Kind::Rsa2048,
            _ => pki::Kind::P256,
        }
    }

    /// Units of the shorter traced run.
    fn traced_units(self) -> u64 {
        match self {
            Self::BulkDown | Self::BulkUp => 64,
            _ => 200,
        }
    }

    fn shape(self) -> Shape {
        Shape {
            kind: if self == Self::Resumed { Kind::Resumed } else { Kind::Full },
            suite: Some(CipherSuite::TLS13_AES_128_GCM_SHA256),
            group: Some(NamedGroup::X25519),
            ..Shape::default()
        }
    }
}

impl std::str::FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|scenario| scenario.name() == text);
        found.ok_or_else(|| format!("`{text}` is no load; there are {}", names()))
    }
}

/// Where time and calls of a load went.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The load.
    pub scenario: Scenario,
    /// CPU time of event loops and whatever else is no card, a unit, in microseconds.
    pub host_us: f64,
    /// CPU time of simulated cards, a unit, in microseconds.
    pub card_us: f64,
    /// Share of the kernel in the time of all threads, cards too, by the kernel's own clock.
    pub kernel_by_clock: f64,
    /// The same by the samples: one checks the other.
    pub kernel_of_all: f64,
    /// Shares of the host's samples by class.
    pub host: BTreeMap<Class, f64>,
    /// Samples of the host.
    pub samples: u64,
    /// Share of samples of the host by function, the greatest first.
    pub functions: Vec<(String, f64)>,
    /// System calls of a unit by name, all threads.
    pub calls: BTreeMap<String, f64>,
}

impl Profile {
    /// System calls of a unit.
    #[must_use]
    pub fn calls_in_all(&self) -> f64 {
        self.calls.values().sum()
    }

    /// Share of a class in the host's time.
    #[must_use]
    pub fn share(&self, of: Class) -> f64 {
        self.host.get(&of).copied().unwrap_or_default()
    }
}

/// What every run of a profile has in common.
#[derive(Debug)]
pub struct Profiler<'a> {
    /// The release build of the daemon.
    pub program: &'a Path,
    /// How long a load is sampled.
    pub time: Duration,
}

/// A daemon under load and what belongs to it.
struct Bench {
    daemon: Daemon,
    scenario: Scenario,
    load_on: Vec<usize>,
}

impl Profiler<'_> {
    /// Profiles one load.
    ///
    /// # Errors
    /// The daemon, the load or a tool fails.
    pub fn run(&self, scenario: Scenario) -> Result<Profile, Failure> {
        let processors = clock::processors()?;
        let (Some(&first), Some(&last)) = (processors.first(), processors.last()) else {
            return Err("no processor".into());
        };
        let issued = Issued::new(scenario.key())?;
        let mut setting = Setting::new(backend(&[last])?, &issued, &[first]);
        setting.tickets = u8::from(scenario == Scenario::Resumed);
        let daemon = Daemon::start(self.program, &setting)?;
        let bench = Bench { daemon, scenario, load_on: vec![last] };
        let calls = bench.traced()?;
        let (samples, usage, units) = bench.sampled(self.time)?;
        Ok(profile(scenario, &samples, &usage, units, calls))
    }
}

impl Bench {
    /// The load: `clients` at once until `stop`.
    fn load(
        &self,
        clients: usize,
        stop: Stop,
        warmup: Duration,
        on: &mut dyn FnMut(Moment),
    ) -> Result<Outcome, Failure> {
        let (address, shape) = (self.daemon.address, self.scenario.shape());
        let processors = self.load_on.clone();
        let direction = match self.scenario {
            Scenario::BulkDown => Direction::Down,
            Scenario::BulkUp => Direction::Up,
            _ => {
                let load = HandshakeLoad::new(address, shape);
                return HandshakeLoad { clients, stop, warmup, processors, ..load }.run(on);
            }
        };
        let target = Target { shape, processors, ..Target::new(address) };
        // A connection moves as much as many do.
        BulkLoad { stop, warmup, ..BulkLoad::new(target, direction) }.run(on)
    }

    /// System calls of a unit.
    fn traced(&self) -> Result<BTreeMap<String, f64>, Failure> {
        let units = self.scenario.traced_units();
        // What is done the first time is not what a connection costs.
        self.load(1, Stop::Count(20), Duration::ZERO, &mut |_| {})?.sound()?;
        let count = |units: u64| -> Result<Calls, Failure> {
            let directory = TempDir::new()?;
            let into = directory.path().join("calls");
            let trace = Trace::start(self.daemon.id(), &into)?;
            self.load(1, Stop::Count(units), Duration::ZERO, &mut |_| {})?.sound()?;
            trace.stop(&into)
        };
        let (once, twice) = (count(units)?, count(units * 2)?);
        Ok(per_unit(&once, &twice, units))
    }

    /// Samples, CPU time between begin and end, and units.
    fn sampled(&self, time: Duration) -> Result<(Vec<Sample>, Usage, u64), Failure> {
        let directory = TempDir::new()?;
        let into = directory.path().join("perf.data");
        let process = self.daemon.id();
        let mut recording = None;
        let mut usage = Vec::with_capacity(2);
        let outcome =
            self.load(CLIENTS, Stop::After(time), Duration::from_secs(1), &mut |moment| {
                if moment == Moment::Begin {
                    recording = Some(Recording::start(process, &into));
                }
                usage.push(usage_of_tree(process));
            })?;
        outcome.sound()?;
        recording.ok_or("the load never began")??.stop()?;
        let mut usage = usage.into_iter();
        let (Some(before), Some(after)) = (usage.next(), usage.next()) else {
            return Err("the load has told no end".into());
        };
        Ok((perf::samples(&into)?, after?.since(&before?), outcome.units))
    }
}

fn profile(
    scenario: Scenario,
    samples: &[Sample],
    usage: &Usage,
    units: u64,
    calls: BTreeMap<String, f64>,
) -> Profile {
    let count = |of: &dyn Fn(&&Sample) -> bool| -> u64 {
        samples.iter().filter(of).map(|sample| sample.count).sum()
    };
    let kernel = count(&|sample| classify(&sample.object, &sample.symbol) == Class::Kernel);
    let kernel_of_all = kernel as f64 / count(&|_| true).max(1) as f64;
    let of_host: Vec<&Sample> =
        samples.iter().filter(|sample| !sample.thread.starts_with(CARD_THREADS)).collect();
    let total: u64 = of_host.iter().map(|sample| sample.count).sum();
    let share = |count: u64| count as f64 / total.max(1) as f64;
    let mut host = BTreeMap::new();
    let mut functions: BTreeMap<&str, u64> = BTreeMap::new();
    for sample in of_host {
        let class = classify(&sample.object, &sample.symbol);
        *host.entry(class).or_default() += share(sample.count);
        *functions.entry(&sample.symbol).or_default() += sample.count;
    }
    let mut functions: Vec<_> =
        functions.into_iter().map(|(name, count)| (name.to_owned(), share(count))).collect();
    functions.sort_by(|a, b| b.1.total_cmp(&a.1));
    functions.truncate(FUNCTIONS);
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / units as f64;
    let card = usage.class(CARD);
    Profile {
        scenario,
        host_us: each(usage.total().saturating_sub(card)),
        card_us: each(card),
        kernel_by_clock: usage.system.as_secs_f64() / usage.total().as_secs_f64().max(1e-9),
        kernel_of_all,
        host,
        samples: total,
        functions,
        calls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(count: u64, thread: &str, object: &str, symbol: &str) -> Sample {
        let [thread, object, symbol] = [thread, object, symbol].map(str::to_owned);
        Sample { count, thread, object, symbol }
    }

    #[test]
    fn shares_are_of_the_host_and_cards_are_apart() {
        let samples = [
            sample(30, "adj00001", "[kernel.kallsyms]", "tcp_sendmsg"),
            sample(60, "adj00001", "adjunct", "rustls::conn::f"),
            sample(10, "log", "adjunct", "adjunct::observe::log::write"),
            sample(900, "cex-0", "adjunct", "aws_lc_0_39_0_bn_mul_mont"),
        ];
        let calls = [("read".to_owned(), 2.0), ("close".to_owned(), 1.5)].into();
        let profile = profile(Scenario::FullRsa2048, &samples, &Usage::default(), 10, calls);
        assert_eq!(profile.samples, 100);
        assert!((profile.kernel_of_all - 0.03).abs() < 1e-9);
        assert!((profile.share(Class::Kernel) - 0.3).abs() < 1e-9);
        assert!((profile.share(Class::Rustls) - 0.6).abs() < 1e-9);
        assert!((profile.share(Class::Server) - 0.1).abs() < 1e-9);
        assert_eq!(profile.share(Class::Signature), 0.0);
        assert_eq!(profile.functions[0].0, "rustls::conn::f");
        assert!((profile.calls_in_all() - 3.5).abs() < 1e-9);
    }

    #[test]
    fn every_load_has_a_name_of_its_own() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.name().parse(), Ok(scenario));
        }
        assert!("sideways".parse::<Scenario>().unwrap_err().contains("bulk-down"));
    }
}
