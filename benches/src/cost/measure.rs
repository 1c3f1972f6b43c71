//! One cell, once: a daemon of its own, the load, and the difference of its clocks and counters.
//!
//! Invariants: CPU time is read where the load begins and ends to count, and divided by the
//! handshakes counted between. Nothing else is done there: the daemon goes on meanwhile. Its own
//! counters are asked for before the first handshake and after the last, and divided by all there
//! were, warm-up included. Latency of established connections comes from a
//! second run of the same load with pings beside it, so that no ping is in the CPU time.
//!
//! Card is the CPU time of the threads of simulated cards, host that of all others. User and system
//! of the host are divided as the clock ticks of its threads are, in all rounds together: a round
//! has a few dozen.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::matrix::Cell;
use crate::cpu::{self, Usage};
use crate::daemon::{Batches, CARD_THREADS, Daemon, Setting};
use crate::load::{
    HandshakeLoad, Kind, LatencyLoad, Moment, Pace, Shape, Stop, StormLoad, Target, Version,
    handshake,
};
use crate::outcome::Outcome;
use crate::pki::Issued;
use crate::report::Round;
use crate::{Failure, clock};

/// Clients of the closed loop, and at most at once in an open one.
pub const CLIENTS: usize = 64;
/// Bytes of request and answer.
pub const REQUEST_BYTES: usize = 64;
/// Connections that ping during the second run.
pub const CONNECTIONS: usize = 8;
/// Their pings in all.
pub const PINGS_PER_S: f64 = 400.0;
/// Bytes of a ping.
pub const PING_BYTES: usize = 1024;
/// With fewer ticks of the clock in all rounds the host's time is not divided into user and system.
pub const TICKS_MIN: u64 = 50;
/// Part of a rate that has to be done.
const RATE_HELD: f64 = 0.95;
/// Warm-up of the second run.
const AGAIN: Duration = Duration::from_millis(200);

/// Where and how long.
#[derive(Debug, Clone)]
pub struct Terms<'a> {
    /// The daemon's program.
    pub program: &'a Path,
    /// Processor of the daemon.
    pub first: usize,
    /// Processor of everything else.
    pub last: usize,
    /// Where plaintext goes.
    pub backend: SocketAddr,
    /// Not counted.
    pub warmup: Duration,
    /// Counted.
    pub time: Duration,
    /// Of the second run, with pings.
    pub ping_time: Duration,
}

/// The daemon's configuration for a cell.
#[must_use]
pub fn setting<'a>(cell: &Cell, terms: &Terms<'_>, issued: &'a Issued) -> Setting<'a> {
    let base = Setting::new(terms.backend, issued, &[terms.first]);
    let resumes = cell.kind == Kind::Resumed;
    Setting {
        offload: cell.mode,
        provider: cell.provider,
        cards: cell.engine.cards(),
        ecdsa: cell.ecdsa,
        versions: vec![if cell.version == Version::Tls12 { "1.2" } else { "1.3" }],
        tickets: if resumes { 2 } else { 0 },
        ..base
    }
}

/// What is read where counting begins and ends.
#[derive(Debug, Clone, Default)]
struct Reading {
    usage: Usage,
    host_ticks: [u64; 2],
}

impl Reading {
    fn now(process: u32) -> Result<Self, Failure> {
        Ok(Self { usage: cpu::usage_of_tree(process)?, host_ticks: host_ticks(process)? })
    }
}

/// What the daemon says before the first handshake and after the last.
#[derive(Debug, Clone, Default)]
struct Counters {
    functions: BTreeMap<String, f64>,
    requests: f64,
    /// None where no card does batches.
    batches: Option<Batches>,
    loops: BTreeMap<String, f64>,
}

/// Measures a cell.
///
/// # Errors
/// The daemon does not start, a connection or handshake is not as it should be, or a rate was not
/// held.
pub fn measure(cell: &Cell, terms: &Terms<'_>, issued: &Issued) -> Result<Round, Failure> {
    let daemon = Daemon::start(terms.program, &setting(cell, terms, issued))?;
    let load = HandshakeLoad {
        pace: cell.pace,
        clients: CLIENTS,
        request_bytes: REQUEST_BYTES,
        stop: Stop::After(terms.time),
        warmup: terms.warmup,
        processors: vec![terms.last],
        ..HandshakeLoad::new(daemon.address, shape(cell))
    };
    clock::pin(&[terms.last])?;
    let (mut begin, mut end) = (None, None);
    let prepared = load.prepare()?;
    let before = counters(&daemon)?;
    let outcome = prepared.run(&mut |moment| match moment {
        Moment::Begin => begin = Some(Reading::now(daemon.id())),
        Moment::End => end = Some(Reading::now(daemon.id())),
    })?;
    let after = counters(&daemon)?;
    held(cell, &outcome)?;
    let (begin, end) = begin.zip(end).ok_or("the load has not told when it counted")?;
    let mut values = per_transaction(&begin?, &end?, &outcome);
    per_handshake(&mut values, &before, &after, &outcome)?;
    let pings = pings(load, terms)?;
    values.insert("pings".to_owned(), pings.units as f64);
    quantiles(&mut values, "established", &pings);
    let detail = json!({ "handshakes": detail(&outcome)?, "pings": detail(&pings)? });
    // A thousandth of a microsecond is less than any clock here tells.
    values.values_mut().for_each(|value| *value = (*value * 1e3).round() / 1e3);
    Ok(Round { cell: cell.id.clone(), values, detail, ..Round::default() })
}

/// The same load again, with pings on established connections beside it.
fn pings(load: HandshakeLoad, terms: &Terms<'_>) -> Result<Outcome, Failure> {
    // The pings are what ends, and the load has to last as long.
    let handshakes = HandshakeLoad { warmup: AGAIN, stop: Stop::After(terms.ping_time), ..load };
    let target = Target { processors: vec![terms.last], ..Target::new(handshakes.address) };
    let pings = LatencyLoad {
        // Versions are those of the load: the daemon may offer one only.
        target: Target { shape: Shape { kind: Kind::Full, ..handshakes.shape }, ..target },
        connections: CONNECTIONS,
        pace: Pace::Rate(PINGS_PER_S),
        bytes: PING_BYTES,
        warmup: AGAIN,
        stop: Stop::After(terms.ping_time),
    };
    let (pings, handshakes) = StormLoad { pings, handshakes }.run(&mut |_| {})?;
    handshakes.sound()?;
    pings.sound()?;
    Ok(pings)
}

/// What of an outcome is in no value.
fn detail(outcome: &Outcome) -> Result<Value, Failure> {
    let mut all = serde_json::to_value(outcome)?;
    let kept = ["units", "missed", "latency_us", "transaction_us"];
    Ok(kept.into_iter().map(|name| (name.to_owned(), all[name].take())).collect())
}

fn shape(cell: &Cell) -> Shape {
    Shape::fixed(cell.version, cell.kind, cell.key)
}

/// A round in which connections failed, or whose rate was not held, is no figure.
fn held(cell: &Cell, outcome: &Outcome) -> Result<(), Failure> {
    outcome.sound()?;
    if let Pace::Rate(rate) = cell.pace {
        let Outcome { missed, units, .. } = outcome;
        let due = rate * outcome.elapsed.as_secs_f64();
        // Some never began, or too many were still under way at the end.
        if missed * 100 > *units || (*units as f64) < due * RATE_HELD {
            let due = format!("{due:.0} were due, {units} done, {missed} never begun");
            return Err(format!("{rate:.0}/s was not held: {due}").into());
        }
    }
    Ok(())
}

/// User and system ticks of the threads that are no cards.
fn host_ticks(process: u32) -> Result<[u64; 2], Failure> {
    let mut ticks = [0; 2];
    for entry in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end while the directory is read.
        let stat = fs::read_to_string(entry?.path().join("stat")).unwrap_or_default();
        let of_thread = ticks_of_a_host_thread(&stat).unwrap_or_default();
        for (tick, of_thread) in ticks.iter_mut().zip(of_thread) {
            *tick += of_thread;
        }
    }
    Ok(ticks)
}

/// User and system ticks in the `stat` of a thread; none for a thread of a card.
fn ticks_of_a_host_thread(stat: &str) -> Option<[u64; 2]> {
    let (open, close) = (stat.find('(')?, stat.rfind(')')?);
    if stat.get(open + 1..close)?.starts_with(CARD_THREADS) {
        return None;
    }
    // The first field behind the name is the third; utime is the fourteenth.
    let mut fields = stat.get(close + 1..)?.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some([next()?, next()?])
}

fn counters(daemon: &Daemon) -> Result<Counters, Failure> {
    let rows = |question: &str| -> Result<Vec<Value>, Failure> {
        let answer = daemon.ask(question)?;
        let rows = answer.as_ref().and_then(Value::as_array).cloned();
        rows.ok_or_else(|| format!("the daemon does not answer the question `{question}`").into())
    };
    let mut reading = Counters::default();
    for row in rows("crypto")? {
        let name = row["function"].as_str().unwrap_or_default().to_owned();
        reading.functions.insert(name, row["calls"].as_f64().unwrap_or_default());
    }
    for row in rows("cards")?.iter().filter(|row| row["domain"].is_null()) {
        reading.requests += row["requests"].as_f64().unwrap_or_default();
    }
    reading.batches = daemon.batches()?;
    for row in rows("members")? {
        for class in ["handshake", "relay", "overhead"] {
            if let Some(spent) = row[format!("cpu_{class}_us")].as_f64() {
                *reading.loops.entry(class.to_owned()).or_default() += spent;
            }
        }
    }
    Ok(reading)
}

/// The figures of a round by its clocks.
fn per_transaction(begin: &Reading, end: &Reading, outcome: &Outcome) -> BTreeMap<String, f64> {
    let transactions = outcome.units as f64;
    let each_us = |time: Duration| time.as_secs_f64() * 1e6 / transactions;
    let usage = end.usage.since(&begin.usage);
    let (total, card) = (usage.total(), usage.class(cpu::CARD));
    let host = total.saturating_sub(card);
    let elapsed = outcome.elapsed.as_secs_f64();
    let mut values: BTreeMap<String, f64> = [
        ("transactions", transactions),
        ("elapsed_s", elapsed),
        ("rate_per_s", transactions / elapsed),
        ("busy_percent", total.as_secs_f64() / elapsed * 100.0),
        ("host_us", each_us(host)),
        ("card_us", each_us(card)),
        ("total_us", each_us(total)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    for (mode, name) in ["host_user_ticks", "host_system_ticks"].into_iter().enumerate() {
        let ticks = end.host_ticks[mode].saturating_sub(begin.host_ticks[mode]);
        values.insert(name.to_owned(), ticks as f64);
    }
    for (class, spent) in &usage.classes {
        values.insert(format!("class:{class}_us"), each_us(*spent));
    }
    quantiles(&mut values, "handshake", outcome);
    outcome.closings(&mut values);
    values
}

/// The figures of a round by the daemon's counters: over all handshakes there were between.
fn per_handshake(
    values: &mut BTreeMap<String, f64>,
    begin: &Counters,
    end: &Counters,
    outcome: &Outcome,
) -> Result<(), Failure> {
    let all = outcome.notes.get(handshake::ALL).and_then(Value::as_f64);
    let all = all.filter(|all| *all > 0.0).ok_or("the load does not tell its handshakes")?;
    values.insert("card_requests".to_owned(), (end.requests - begin.requests) / all);
    for (class, spent) in &end.loops {
        let before = begin.loops.get(class).copied().unwrap_or_default();
        values.insert(format!("loop_{class}_us"), (spent - before) / all);
    }
    for (function, calls) in &end.functions {
        let each = (calls - begin.functions.get(function).copied().unwrap_or_default()) / all;
        // What happens once in a while is no part of a handshake.
        if each >= 0.005 {
            values.insert(format!("calls:{function}"), each);
        }
    }
    let batches = end.batches.zip(begin.batches);
    if let Some(fill) = batches.and_then(|(after, before)| after.fill(before)) {
        values.insert("batch_fill".to_owned(), fill);
    }
    Ok(())
}

fn quantiles(values: &mut BTreeMap<String, f64>, of: &str, outcome: &Outcome) {
    let Some(latency) = &outcome.latency else { return };
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let latency_us = latency.value_at_quantile(quantile) as f64 / 1e3;
        values.insert(format!("{of}_{name}_us"), latency_us);
    }
}

/// The processors of daemon and load.
///
/// # Errors
/// There is one only.
pub fn processors() -> Result<(usize, usize), Failure> {
    let all = clock::processors()?;
    match (all.first(), all.last()) {
        (Some(&first), Some(&last)) if first != last => Ok((first, last)),
        _ => Err("one processor only: daemon and load would share it, and latencies and rates \
                  would be the load's; run on a machine with two, or widen the affinity (taskset)"
            .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_differences_divided_by_the_handshakes_counted() {
        let clocks =
            [[100, 50], [130, 60]].map(|host_ticks| Reading { host_ticks, ..Reading::default() });
        let begin = Counters {
            functions: [("KDSA".to_owned(), 10.0), ("KM".to_owned(), 1.0)].into(),
            requests: 100.0,
            batches: Batches::of(&json!({ "engine": { "batches": [0, 0, 20] } })),
            loops: [("handshake".to_owned(), 1000.0)].into(),
        };
        let end = Counters {
            functions: [("KDSA".to_owned(), 30.0), ("KM".to_owned(), 1.0)].into(),
            requests: 140.0,
            batches: Batches::of(&json!({ "engine": { "batches": [0, 0, 20, 10] } })),
            loops: [("handshake".to_owned(), 3000.0)].into(),
        };
        let mut outcome = Outcome::new("handshake", "handshakes");
        (outcome.units, outcome.elapsed) = (20, Duration::from_secs(2));
        let mut values = per_transaction(&clocks[0], &clocks[1], &outcome);
        assert!(per_handshake(&mut values, &begin, &end, &outcome).is_err());
        // Warm-up and end have as many again.
        outcome.note(handshake::ALL, 40);
        per_handshake(&mut values, &begin, &end, &outcome).unwrap();
        for (name, expected) in [
            ("rate_per_s", 10.0),
            ("card_requests", 1.0),
            ("batch_fill", 4.0),
            ("calls:KDSA", 0.5),
            ("loop_handshake_us", 50.0),
            ("host_user_ticks", 30.0),
            ("host_system_ticks", 10.0),
        ] {
            assert_eq!(values.get(name), Some(&expected), "{name}");
        }
        assert!(!values.contains_key("calls:KM"));
    }

    #[test]
    fn a_round_with_errors_or_without_its_rate_is_refused() {
        let cells = super::super::matrix::steps();
        let rated = cells.iter().find(|cell| cell.id == "rate-300").unwrap();
        let mut outcome = Outcome::new("handshake", "handshakes");
        assert!(held(rated, &outcome).is_err(), "nothing was done");
        (outcome.units, outcome.elapsed) = (30, Duration::from_secs(1));
        let error = held(rated, &outcome).unwrap_err().to_string();
        assert!(error.contains("300 were due, 30 done"), "{error}");
        outcome.units = 300;
        assert!(held(rated, &outcome).is_ok());
        outcome.missed = 4;
        assert!(held(rated, &outcome).unwrap_err().to_string().contains("300/s was not held"));
        assert!(held(&cells[0], &outcome).is_ok(), "a closed loop has no rate");
        (outcome.errors, outcome.first_error) = (2, Some("reset".to_owned()));
        assert!(held(&cells[0], &outcome).unwrap_err().to_string().contains("reset"));
    }

    #[test]
    fn threads_of_cards_are_no_host() {
        let stat = |name: &str| format!("7 ({name}) S 3 7 7 0 -1 64 92 0 0 0 11 22 33 44 20 0 1");
        assert_eq!(ticks_of_a_host_thread(&stat("adj00001")), Some([11, 22]));
        assert_eq!(ticks_of_a_host_thread(&stat("a) (b")), Some([11, 22]));
        assert_eq!(ticks_of_a_host_thread(&stat("cex-00")), None);
        assert_eq!(ticks_of_a_host_thread(""), None);
    }
}
