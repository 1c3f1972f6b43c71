//! What several commands share: where to, which handshake, for how long, and how to tell.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line prints")]

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rustls::{CipherSuite, NamedGroup};

use crate::cpu::{self, Usage};
use crate::load::{KeyKind, Kind, Moment, Shape, Target, Version, shape};
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
    pub(super) fn ca(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.ca else { return Ok(None) };
        let text = std::fs::read_to_string(path);
        text.map(Some).map_err(|e| format!("--ca {}: {e}", path.display()).into())
    }

    /// Whom established connections are with.
    pub(super) fn target(&self, address: &str, shape: Shape) -> Result<Target, Failure> {
        Ok(Target {
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
    let mut meter = Meter::new(peer.pid, seconds);
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

/// CPU of a process tree around the counted part of a run, and the progress of the run.
pub(super) struct Meter {
    pid: Option<u32>,
    readings: Vec<Result<Usage, Failure>>,
    /// On standard error, and only when that is a terminal.
    pub(super) bar: ProgressBar,
    seconds: f64,
}

impl Meter {
    pub(super) fn new(pid: Option<u32>, seconds: f64) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        bar.set_message("warming up");
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { pid, readings: Vec::new(), bar, seconds }
    }

    pub(super) fn take(&mut self, moment: Moment) {
        if let Some(pid) = self.pid {
            self.readings.push(cpu::usage_of_tree(pid));
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
    pub(super) fn note(&mut self, outcome: &mut Outcome) -> Result<(), Failure> {
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
}
