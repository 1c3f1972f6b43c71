//! The storm over our own daemon in several modes, round by round.
//!
//! Everything of the server is on one processor, everything else on another. Rounds of the modes
//! are run in turn, each with a daemon of its own: pings calm, then the same pings during a closed
//! loop of full RSA-2048 handshakes.
//!
//! A card is hardware and takes no time of the host's processor; a simulated one is a thread, which
//! on the processor of the event loop competes with it. `--cards apart` puts the cards' threads
//! with the clients, so that the host is alone on its processor.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line prints")]

use std::net::SocketAddr;
use std::path::Path;

use clap::{Args, ValueEnum};
use hdrhistogram::Histogram;

use super::storm;
use crate::cpu::{self, Usage};
use crate::daemon::{self, CARD_THREADS, Daemon, Setting};
use crate::load::{Moment, backend};
use crate::pki::{Issued, Kind};
use crate::spread::Spread;
use crate::table::Table;
use crate::{Failure, clock};

/// Clients of the storm unless told otherwise.
const CLIENTS: usize = 128;
/// Seconds of each part of a round unless told otherwise.
const SECONDS: f64 = 4.0;

/// Options of the comparison.
#[derive(Debug, Clone, Args)]
pub(super) struct Comparison {
    /// Our daemon; beside this program when not given
    #[arg(long, value_name = "PATH", conflicts_with = "address")]
    daemon: Option<String>,
    /// Rounds of each mode
    #[arg(long, default_value_t = 3, conflicts_with = "address")]
    rounds: usize,
    /// Modes of `offload` that are compared
    #[arg(long, value_delimiter = ',', default_value = "fiber,inline", conflicts_with = "address")]
    modes: Vec<String>,
    /// Where the threads of simulated cards are
    #[arg(long, default_value = "same", conflicts_with = "address")]
    cards: Cards,
    /// What the simulated cards compute with: auto, single or batch
    #[arg(long, default_value = "auto", conflicts_with = "address")]
    engine: String,
}

/// Where the threads of simulated cards are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Cards {
    /// On the processor of the daemon
    Same,
    /// With the clients
    Apart,
}

/// What one round of one mode came to; times in microseconds.
struct Round {
    mode: String,
    calm: [f64; 2],
    storm: [f64; 2],
    rate: f64,
    member_cpu: f64,
    card_cpu: f64,
    turns: Option<[f64; 3]>,
}

pub(super) fn run(options: &storm::Options) -> Result<(), Failure> {
    let processors = clock::processors()?;
    let (Some(&first), Some(&last)) = (processors.first(), processors.last()) else {
        return Err("no processor".into());
    };
    if first == last {
        eprintln!("One processor only: clients and server share it, and latencies say little.");
    }
    let mut options = options.clone();
    options.peer.processors = vec![last];
    options.how.clients.get_or_insert(CLIENTS);
    options.times.seconds.get_or_insert(SECONDS);
    let options = &options;
    let program = daemon::find(options.own.daemon.as_deref())?;
    let issued = Issued::new(Kind::Rsa2048)?;
    let backend = backend(&[last])?;
    print_method(options, first, last);
    let header = [
        "mode",
        "calm p50 us",
        "calm p99",
        "storm p50 us",
        "storm p99",
        "hs/s",
        "loop us/hs",
        "card us/hs",
        "turn p99 us",
        "turn p99.9",
        "turn max",
    ];
    let engine = options.own.engine.as_str();
    let cards = daemon::Cards::Of(vec![("CEX8A", engine), ("CEX8C", engine)]);
    let mut table = Table::new("Rounds", &header);
    let mut rounds = Vec::new();
    for _ in 0..options.own.rounds {
        for mode in &options.own.modes {
            let setting = Setting {
                offload: mode,
                cards: cards.clone(),
                ..Setting::new(backend, &issued, &[first])
            };
            let round = round(&program, &setting, options, last)
                .map_err(|e| format!("offload = \"{mode}\": {e}"))?;
            table.row(cells(&round));
            rounds.push(round);
        }
    }
    println!("{table}");
    println!("{}", summary(&options.own.modes, &rounds));
    println!("latency from when a ping was due; CPU by the scheduler's statistics of the threads;");
    println!("turn: CPU time of one turn of the event loop, as the daemon reports it (`members`)");
    Ok(())
}

fn print_method(options: &storm::Options, first: usize, last: usize) {
    let storm::Options { pings, how, own, .. } = options;
    println!(
        "{} connections, {} B pings, {:.0}/s in all; storm: {} clients, {}, full TLS 1.3 \
         handshakes, RSA-2048; server on cpu {first}, the rest on cpu {last}, cards (engine {}) on \
         cpu {}.\n",
        pings.connections,
        pings.bytes,
        pings.ping_rate,
        how.clients.unwrap_or(CLIENTS),
        how.rate.map_or("closed loop".to_owned(), |rate| format!("{rate}/s")),
        own.engine,
        if own.cards == Cards::Apart { last } else { first }
    );
}

fn round(
    program: &Path,
    setting: &Setting<'_>,
    options: &storm::Options,
    cpu: usize,
) -> Result<Round, Failure> {
    let daemon = Daemon::start(program, setting)?;
    if options.own.cards == Cards::Apart {
        clock::pin_threads(daemon.id(), CARD_THREADS, &[cpu])?;
    }
    let address: SocketAddr = daemon.address;
    let load = options.load(&address.to_string())?;
    let calm = load.calm(&mut |_| {})?;
    calm.sound()?;
    let mut usage: Vec<Result<Usage, Failure>> = Vec::new();
    let (stormy, handshakes) = load.run(&mut |_: Moment| {
        usage.push(cpu::usage_of_tree(daemon.id()));
    })?;
    stormy.sound()?;
    handshakes.sound()?;
    let mut usage = usage.into_iter();
    let (Some(before), Some(after)) = (usage.next(), usage.next()) else {
        return Err("a run had no begin or no end".into());
    };
    let spent = after?.since(&before?);
    let turns = daemon.ask("members")?.as_ref().and_then(turns);
    let each = |class| spent.class(class).as_secs_f64() * 1e6 / handshakes.units as f64;
    let of = |h: &Option<Histogram<u64>>| {
        [0.5, 0.99].map(|q| h.as_ref().map_or(0.0, |h| h.value_at_quantile(q) as f64 / 1e3))
    };
    Ok(Round {
        mode: setting.offload.to_owned(),
        calm: of(&calm.latency),
        storm: of(&stormy.latency),
        rate: handshakes.rate,
        member_cpu: each(cpu::HOST),
        card_cpu: each(cpu::CARD),
        turns,
    })
}

/// CPU of a turn in microseconds: p99, p99.9, largest.
fn turns(answer: &serde_json::Value) -> Option<[f64; 3]> {
    let row = answer.as_array()?.first()?;
    let number = |name: &str| row.get(name)?.as_f64();
    Some([number("turn_cpu_p99_us")?, number("turn_cpu_p999_us")?, number("turn_cpu_max_us")?])
}

fn cells(round: &Round) -> [String; 11] {
    let whole = |value: f64| format!("{value:.0}");
    let turn = |at: usize| round.turns.map_or("-".to_owned(), |turns| whole(turns[at]));
    [
        round.mode.clone(),
        whole(round.calm[0]),
        whole(round.calm[1]),
        whole(round.storm[0]),
        whole(round.storm[1]),
        whole(round.rate),
        whole(round.member_cpu),
        whole(round.card_cpu),
        turn(0),
        turn(1),
        turn(2),
    ]
}

fn summary(modes: &[String], rounds: &[Round]) -> Table {
    let title = "Medians of the rounds (targets: p99 with fibers at most 0.33 of inline, \
                 turn p99.9 at most 300 us)";
    let header = ["mode", "calm p99 us", "storm p50 us", "storm p99 us", "hs/s", "p99 to inline"];
    let mut table = Table::new(title, &header);
    let median = |mode: &str, value: fn(&Round) -> f64| {
        Spread::of(rounds.iter().filter(|r| r.mode == mode).map(value)).median
    };
    let inline = median("inline", |r| r.storm[1]);
    for mode in modes {
        let p99 = median(mode, |r| r.storm[1]);
        let ratio = if inline > 0.0 { format!("{:.3}", p99 / inline) } else { "-".to_owned() };
        table.row([
            mode.clone(),
            format!("{:.0}", median(mode, |r| r.calm[1])),
            format!("{:.0}", median(mode, |r| r.storm[0])),
            format!("{p99:.0}"),
            format!("{:.0}", median(mode, |r| r.rate)),
            ratio,
        ]);
    }
    table
}
