//! What established connections feel of a storm of handshakes, with fibers and in place.
//!
//! Everything of the server is on one processor, everything else on another. Rounds of the modes
//! are run in turn, each with a daemon of its own: pings calm, then the same pings during a closed
//! loop of full RSA-2048 handshakes.
//!
//! A card is hardware and takes no time of the host's processor; a simulated one is a thread, which
//! on the processor of the event loop competes with it. `--cards=apart` puts the cards' threads
//! with the clients, so that the host is alone on its processor.
//!
//! `storm [--daemon=PATH] [--rounds=N] [--seconds=N] [--modes=fiber,inline] [--clients=N]
//! [--cards=same|apart]`
#![allow(clippy::print_stdout, reason = "a benchmark talks to a person")]

use std::path::Path;
use std::time::{Duration, Instant};

use adjunct_bench::daemon::{self, CARD_THREADS, Daemon, Setting};
use adjunct_bench::load::{Pings, Storm, echo, raise_file_limit};
use adjunct_bench::pki::{Issued, Kind};
use adjunct_bench::spread::Spread;
use adjunct_bench::table::Table;
use adjunct_bench::{Failure, clock};

const CONNECTIONS: usize = 8;
/// All pings together: each connection has one every five milliseconds.
const PING_INTERVAL: Duration = Duration::from_micros(625);

struct Options {
    daemon: Option<String>,
    rounds: usize,
    seconds: u64,
    clients: usize,
    modes: Vec<String>,
    cards_apart: bool,
}

/// What one round of one mode came to.
struct Round {
    mode: String,
    calm: [f64; 2],
    storm: [f64; 2],
    rate: f64,
    member_cpu: f64,
    card_cpu: f64,
    turns: Option<[f64; 3]>,
    failures: u64,
}

fn main() -> Result<(), Failure> {
    let options = options()?;
    raise_file_limit()?;
    let processors = clock::processors()?;
    let (Some(&first), Some(&last)) = (processors.first(), processors.last()) else {
        return Err("no processor".into());
    };
    if first == last {
        println!("One processor only: clients and server share it, and latencies say little.");
    }
    clock::pin(&[last])?;
    // The pings are sent by this thread: it must not wait for the slices of the other clients.
    let _ = adjunct::scheduling::short_slices();
    let program = daemon::find(options.daemon.as_deref())?;
    let issued = Issued::new(Kind::Rsa2048)?;
    let backend = echo(&[last])?;
    println!(
        "{CONNECTIONS} connections, 1 KiB pings, {:.0}/s in all; storm: {} clients, closed loop, \
         full TLS 1.3 handshakes, RSA-2048; server on cpu {first}, the rest on cpu {last}, \
         cards on cpu {}.\n",
        1.0 / PING_INTERVAL.as_secs_f64(),
        options.clients,
        if options.cards_apart { last } else { first }
    );
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
        "failed",
    ];
    let mut table = Table::new("Rounds", &header);
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        for mode in &options.modes {
            let setting = Setting { offload: mode, ..Setting::new(backend, &issued, &[first]) };
            let round = round(&program, &setting, &options, last)?;
            table.row(cells(&round));
            rounds.push(round);
        }
    }
    println!("{table}");
    println!("{}", summary(&options.modes, &rounds));
    println!("latency from when a ping was due; CPU by the scheduler's statistics of the threads;");
    println!("turn: CPU time of one turn of the event loop, as the daemon reports it (`members`)");
    Ok(())
}

fn options() -> Result<Options, Failure> {
    let mut options = Options {
        daemon: None,
        rounds: 3,
        seconds: 4,
        clients: 128,
        modes: vec!["fiber".to_owned(), "inline".to_owned()],
        cards_apart: false,
    };
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("--daemon", path)) => options.daemon = Some(path.to_owned()),
            Some(("--rounds", count)) => options.rounds = count.parse()?,
            Some(("--seconds", count)) => options.seconds = count.parse()?,
            Some(("--clients", count)) => options.clients = count.parse()?,
            Some(("--modes", modes)) => {
                options.modes = modes.split(',').map(str::to_owned).collect();
            }
            Some(("--cards", place)) => options.cards_apart = place == "apart",
            _ => return Err(format!("`{argument}` is not known").into()),
        }
    }
    Ok(options)
}

fn round(
    program: &Path,
    setting: &Setting<'_>,
    options: &Options,
    cpu: usize,
) -> Result<Round, Failure> {
    let daemon = Daemon::start(program, setting)?;
    if options.cards_apart {
        clock::pin_threads(daemon.id(), CARD_THREADS, &[cpu])?;
    }
    let mut pings = Pings::connect(daemon.address, CONNECTIONS)?;
    let time = Duration::from_secs(options.seconds);
    let calm = pings.run(PING_INTERVAL, time)?;
    let storm = Storm::start(daemon.address, options.clients, &[cpu])?;
    // The first wave finds cold caches and a full queue of connections.
    std::thread::sleep(Duration::from_millis(500));
    let (before, done, begin) = (daemon.cpu()?, storm.handshakes(), Instant::now());
    let stormy = pings.run(PING_INTERVAL, time)?;
    let handshakes = (storm.handshakes() - done) as f64;
    let (spent, elapsed) = (daemon.cpu()?.since(before), begin.elapsed());
    let turns = daemon.ask("members")?.as_ref().and_then(turns);
    let failures = storm.failures();
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / handshakes.max(1.0);
    let of = |h: &hdrhistogram::Histogram<u64>| [0.5, 0.99].map(|q| h.value_at_quantile(q) as f64);
    Ok(Round {
        mode: setting.offload.to_owned(),
        calm: of(&calm),
        storm: of(&stormy),
        rate: handshakes / elapsed.as_secs_f64(),
        member_cpu: each(spent.members),
        card_cpu: each(spent.cards),
        turns,
        failures,
    })
}

/// CPU of a turn in microseconds: p99, p99.9, largest.
fn turns(answer: &serde_json::Value) -> Option<[f64; 3]> {
    let row = answer.as_array()?.first()?;
    let number = |name: &str| row.get(name)?.as_f64();
    Some([number("turn_cpu_p99_us")?, number("turn_cpu_p999_us")?, number("turn_cpu_max_us")?])
}

fn cells(round: &Round) -> [String; 12] {
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
        round.failures.to_string(),
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
