//! What several commands share: where to, which handshake, for how long, and how to tell.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line prints")]

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rustls::{CipherSuite, NamedGroup};

use crate::cpu::{self, Account, Usage};
use crate::daemon::account_at;
use crate::load::{Cover, KeyKind, Kind, Moment, Shape, Target, Version, shape};
use crate::outcome::Outcome;
use crate::{Failure, clock, pki};

/// Where to.
#[derive(Debug, Clone, Args)]
pub(super) struct Endpoint {
    /// The endpoint, HOST:PORT
    #[arg(value_name = "HOST:PORT")]
    pub address: String,
    #[command(flatten)]
    pub peer: Peer,
}

/// Who is at the endpoint.
#[derive(Debug, Clone, Args)]
pub(super) struct Peer {
    /// Name for SNI, and of the certificate when it is verified
    #[arg(long, default_value = pki::NAME)]
    pub server_name: String,
    /// Verify the certificate against the CAs of this file (PEM); otherwise any is trusted
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// How long a connection may take where it has an end, in seconds
    #[arg(long, default_value_t = 10.0)]
    pub deadline: f64,
    /// Processors of the load, by number; the last one of those allowed when not given
    #[arg(long, value_delimiter = ',')]
    pub processors: Vec<usize>,
    /// Server whose CPU and memory are told: it and all its children
    #[arg(long)]
    pub pid: Option<u32>,
    /// Status socket of our own daemon of that --pid: what it says its CPU time went to is told,
    /// too, and must agree with the scheduler's count
    #[arg(long, value_name = "SOCKET", requires = "pid")]
    pub admin: Option<PathBuf>,
    /// One line of JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// The first address of a name.
pub(super) fn resolve(address: &str) -> Result<SocketAddr, Failure> {
    let advice = "expected HOST:PORT, as 127.0.0.1:8443";
    let mut all = address.to_socket_addrs().map_err(|e| format!("`{address}`: {e}; {advice}"))?;
    all.next().ok_or_else(|| format!("`{address}` has no address; {advice}").into())
}

impl Peer {
    /// Whose CPU is told.
    pub(super) fn server(&self) -> Option<Server<'_>> {
        self.pid.map(|pid| Server { pid, admin: self.admin.as_deref() })
    }

    pub(super) fn ca(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.ca else { return Ok(None) };
        let text = std::fs::read_to_string(path);
        text.map(Some).map_err(|e| format!("--ca {}: {e}", path.display()).into())
    }

    /// Whom established connections are with.
    pub(super) fn target(&self, address: &str, shape: Shape) -> Result<Target, Failure> {
        Ok(Target {
            cover: Cover::Tls,
            server_name: self.server_name.clone(),
            ca: self.ca()?,
            shape,
            deadline: self.deadline()?,
            processors: self.processors()?,
            ..Target::new(resolve(address)?)
        })
    }

    pub(super) fn deadline(&self) -> Result<Duration, Failure> {
        seconds("--deadline", self.deadline)
    }

    pub(super) fn processors(&self) -> Result<Vec<usize>, Failure> {
        if !self.processors.is_empty() {
            return Ok(self.processors.clone());
        }
        Ok(clock::processors()?.last().copied().into_iter().collect())
    }
}

/// A time of the command line.
pub(super) fn seconds(option: &str, value: f64) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(value).map_err(|e| format!("{option} {value}: {e}").into())
}

/// A rate of the command line.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("expected a number above 0, at most 1000000".to_owned()),
    }
}

/// Which handshake.
#[derive(Debug, Clone, Args)]
pub(super) struct Asked {
    /// Version of TLS: 1.2 or 1.3
    #[arg(long = "tls", default_value = "1.3", value_name = "VERSION")]
    pub version: Version,
    /// Cipher suite, the only one offered: TLS_AES_128_GCM_SHA256 ...
    #[arg(long, value_parser = shape::suite)]
    pub suite: Option<CipherSuite>,
    /// Group of the key agreement, the only one offered: x25519, p256, p384, x25519mlkem768
    #[arg(long, value_parser = shape::group)]
    pub group: Option<NamedGroup>,
    /// Key the certificate must have: rsa2048, rsa3072, rsa4096, p256 or p384
    #[arg(long)]
    pub key: Option<KeyKind>,
}

impl Asked {
    pub(super) fn shape(&self, kind: Kind) -> Shape {
        let Self { version, suite, group, key } = *self;
        Shape { version, kind, suite, group, key }
    }
}

/// How long.
#[derive(Debug, Clone, Args)]
pub(super) struct Times {
    /// Counted part, in seconds; 10 unless the command has its own
    #[arg(long)]
    pub seconds: Option<f64>,
    /// What is not counted before it, in seconds
    #[arg(long, default_value_t = 1.0)]
    pub warmup: f64,
}

impl Times {
    pub(super) fn seconds(&self) -> f64 {
        self.seconds.unwrap_or(10.0)
    }

    pub(super) fn counted(&self) -> Result<Duration, Failure> {
        seconds("--seconds", self.seconds())
    }

    pub(super) fn warmup(&self) -> Result<Duration, Failure> {
        seconds("--warmup", self.warmup)
    }
}

/// Runs a load with a progress bar, reads CPU around its counted part, tells what it came to.
pub(super) fn tell(
    peer: &Peer,
    seconds: f64,
    run: impl FnOnce(&mut dyn FnMut(Moment)) -> Result<Outcome, Failure>,
) -> Result<(), Failure> {
    let mut meter = Meter::new(peer.server(), seconds)?;
    let result = run(&mut |moment| meter.take(moment));
    meter.bar.finish_and_clear();
    let mut outcome = result?;
    meter.note(&mut outcome)?;
    print(peer.json, &outcome)?;
    valid(&outcome)
}

pub(super) fn print(json: bool, outcome: &Outcome) -> Result<(), Failure> {
    if json {
        println!("{}", outcome.json()?);
    } else {
        println!("{outcome}");
    }
    Ok(())
}

/// # Errors
/// A connection was broken: the figures stand, but not for what was asked.
pub(super) fn valid(outcome: &Outcome) -> Result<(), Failure> {
    let Some(first) = &outcome.first_error else { return Ok(()) };
    let (errors, scenario) = (outcome.errors, &outcome.scenario);
    Err(format!("{scenario}: {errors} broken connections make the run invalid; first: {first}")
        .into())
}

/// A server whose CPU is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Server<'a> {
    pub(super) pid: u32,
    /// Status socket, when it is our own daemon.
    pub(super) admin: Option<&'a Path>,
}

impl Server<'_> {
    /// What the daemon says its CPU time went to, beside what the scheduler counts.
    fn account(self) -> Result<Option<(Usage, Account)>, Failure> {
        let Some(admin) = self.admin else { return Ok(None) };
        let account = account_at(admin).map_err(|e| format!("--admin {}: {e}", admin.display()))?;
        Ok(Some((cpu::usage_of_tree(self.pid)?, account)))
    }
}

/// With less CPU time the two clocks need not agree: the daemon's account lacks its last poll.
const ACCOUNT_LEAST: Duration = Duration::from_secs(1);
/// So far they may be apart.
const ACCOUNT_APART: f64 = 0.05;

/// What an account of our daemon has of the scheduler's count of its event loops.
///
/// # Errors
/// They are too far apart: one of both is wrong.
fn agree(account: &Account, used: &Usage) -> Result<(), Failure> {
    let (ours, counted) = (account.host().as_secs_f64(), used.class(cpu::HOST).as_secs_f64());
    let too_little = ours.max(counted) < ACCOUNT_LEAST.as_secs_f64();
    if too_little || (ours - counted).abs() <= counted * ACCOUNT_APART {
        return Ok(());
    }
    Err(format!(
        "--admin: the daemon accounts for {ours:.3} s of its event loops, the scheduler for \
         {counted:.3} s: more than 5 % apart; is it the daemon of --pid?"
    )
    .into())
}

/// CPU of a process tree around the counted part of a run, and the progress of the run.
pub(super) struct Meter<'a> {
    server: Option<Server<'a>>,
    /// Before the load: the daemon is not asked while it counts.
    before: Option<(Usage, Account)>,
    readings: Vec<Result<Usage, Failure>>,
    /// On standard error, and only when that is a terminal.
    pub(super) bar: ProgressBar,
    seconds: f64,
}

impl<'a> Meter<'a> {
    pub(super) fn new(server: Option<Server<'a>>, seconds: f64) -> Result<Self, Failure> {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        bar.set_message("warming up");
        bar.enable_steady_tick(Duration::from_millis(250));
        let before = server.map_or(Ok(None), Server::account)?;
        Ok(Self { server, before, readings: Vec::new(), bar, seconds })
    }

    pub(super) fn take(&mut self, moment: Moment) {
        if let Some(server) = self.server {
            self.readings.push(cpu::usage_of_tree(server.pid));
        }
        if moment == Moment::Begin {
            let text = format!("{{spinner}} {{elapsed}} of {:.0}s", self.seconds);
            if let Ok(style) = ProgressStyle::with_template(&text) {
                self.bar.set_style(style);
            }
            self.bar.reset_elapsed();
        }
    }

    /// What was used, in seconds and for each unit in microseconds.
    ///
    /// # Errors
    /// A process has gone, or our daemon's own account is wrong.
    pub(super) fn note(&mut self, outcome: &mut Outcome) -> Result<(), Failure> {
        self.note_account(outcome)?;
        let mut readings = self.readings.drain(..);
        let (Some(before), Some(after)) = (readings.next(), readings.next()) else {
            return Ok(());
        };
        let used = after?.since(&before?);
        outcome.note("cpu_user_s", used.user.as_secs_f64());
        outcome.note("cpu_system_s", used.system.as_secs_f64());
        outcome.note("cpu_total_s", used.total().as_secs_f64());
        let each = |time: Duration| time.as_secs_f64() * 1e6 / outcome.units as f64;
        if outcome.units > 0 && outcome.unit != "connections" {
            let (user, system, total) = (each(used.user), each(used.system), each(used.total()));
            outcome.note("cpu_user_us_per_unit", user);
            outcome.note("cpu_system_us_per_unit", system);
            outcome.note("cpu_total_us_per_unit", total);
        }
        let classes = used.classes.iter().map(|(name, time)| (name.clone(), time.as_secs_f64()));
        let classes: BTreeMap<String, f64> = classes.collect();
        outcome.note("cpu_classes_s", serde_json::to_value(classes)?);
        Ok(())
    }

    /// The daemon's own account of the whole run, warm-up included.
    fn note_account(&mut self, outcome: &mut Outcome) -> Result<(), Failure> {
        let after = self.server.map_or(Ok(None), Server::account)?;
        let Some((before, after)) = self.before.take().zip(after) else { return Ok(()) };
        let (used, account) = (after.0.since(&before.0), after.1.since(&before.1));
        let classes = [
            ("handshake", account.handshake),
            ("relay", account.relay),
            ("overhead", account.overhead),
            ("card", account.card),
            ("scheduler_host", used.class(cpu::HOST)),
        ];
        let classes: BTreeMap<&str, f64> =
            classes.map(|(name, time)| (name, time.as_secs_f64())).into();
        outcome.note("account_of_all_s", serde_json::to_value(classes)?);
        agree(&account, &used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_the_scheduler_does_not_confirm_is_an_error() {
        let used = |ms: u64| {
            let mut used = Usage::default();
            used.classes.insert(cpu::HOST.to_owned(), Duration::from_millis(ms));
            used
        };
        let account = |ms: u64| Account {
            handshake: Duration::from_millis(ms / 2),
            relay: Duration::from_millis(ms / 2),
            // Hardware, and no part of the event loops.
            card: Duration::from_secs(9),
            ..Account::default()
        };
        assert!(agree(&account(1960), &used(2000)).is_ok());
        let error = agree(&account(1800), &used(2000)).unwrap_err().to_string();
        assert!(error.contains("1.800 s") && error.contains("2.000 s"), "{error}");
        assert!(agree(&account(2200), &used(2000)).is_err());
        assert!(agree(&account(100), &used(900)).is_ok(), "too little to tell");
        assert!(agree(&account(2000), &used(0)).is_err(), "of another process");
    }
}
