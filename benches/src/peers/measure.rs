//! One run: a server under one load.
//!
//! Invariants: CPU time is read exactly where the counted part of the load begins and ends; a run
//! with a connection that failed, wrong data or another kind of handshake than asked is a failure
//! with a reason, never a figure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::contender::Running;
use super::scenario::{
    BULK_CONNECTIONS, BUSY, Effort, FILL, HOST, PINGING, PINGS_PER_SECOND, RESIDENT, Scenario,
    TOTAL, Work,
};
use crate::Failure;
use crate::cpu::{self, Usage};
use crate::load::{
    BulkLoad, Direction, HandshakeLoad, IdleLoad, LatencyLoad, Moment, Pace, Stop, StormLoad,
    Target,
};
use crate::outcome::Outcome;

/// Bytes of a ping.
const PING_BYTES: usize = 1024;

/// What a run came to.
#[derive(Debug, Default)]
pub struct Measured {
    /// Figures by name; the unit is the end of the name.
    pub values: BTreeMap<String, f64>,
    /// What they were computed from.
    pub detail: Value,
}

/// Runs a scenario against a server.
///
/// # Errors
/// It does not do what the scenario asks, or the system's.
pub fn measure(
    server: &Running,
    scenario: &Scenario,
    effort: &Effort,
    processors: &[usize],
) -> Result<Measured, Failure> {
    match scenario.work {
        Work::Handshake(..) => handshakes(server, scenario, effort, processors),
        Work::Down | Work::Up => bulk(server, scenario, effort, processors),
        Work::Idle => idle(server, scenario, effort, processors),
        Work::Storm => storm(server, scenario, effort, processors),
    }
}

/// Reads the CPU time of a server where the load says.
struct Clock<'a> {
    server: &'a Running,
    begin: Option<Usage>,
    spent: Option<Usage>,
    fault: Option<Failure>,
}

impl<'a> Clock<'a> {
    fn new(server: &'a Running) -> Self {
        Self { server, begin: None, spent: None, fault: None }
    }

    fn at(&mut self, moment: Moment) {
        match (self.server.usage(), moment) {
            (Ok(now), Moment::Begin) => self.begin = Some(now),
            (Ok(now), Moment::End) => {
                self.spent = self.begin.as_ref().map(|begin| now.since(begin));
            }
            (Err(fault), _) => self.fault = Some(fault),
        }
    }

    fn spent(self) -> Result<Usage, Failure> {
        match self.fault {
            Some(fault) => Err(fault),
            None => self.spent.ok_or_else(|| "the load has not said when it began".into()),
        }
    }
}

fn handshakes(
    server: &Running,
    scenario: &Scenario,
    effort: &Effort,
    processors: &[usize],
) -> Result<Measured, Failure> {
    let mut load = HandshakeLoad::new(server.address(), scenario.shape());
    load.clients = scenario.clients;
    load.stop = Stop::After(effort.time);
    load.warmup = effort.warmup;
    load.processors = processors.to_vec();
    let mut clock = Clock::new(server);
    let before = server.batches()?;
    let outcome = load.run(&mut |moment| clock.at(moment))?;
    let mut measured = per_unit(&outcome, &clock.spent()?)?;
    outcome.closings(&mut measured.values);
    if let Some(fill) = server.batches()?.zip(before).and_then(|(after, before)| after.fill(before))
    {
        measured.values.insert(FILL.to_owned(), fill);
    }
    Ok(measured)
}

/// CPU time over units, and what the load saw.
fn per_unit(outcome: &Outcome, spent: &Usage) -> Result<Measured, Failure> {
    outcome.sound()?;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / outcome.units as f64;
    let card = spent.class(cpu::CARD);
    let total = spent.total();
    let mut values = BTreeMap::from([
        (TOTAL.to_owned(), each(total)),
        (HOST.to_owned(), each(total.saturating_sub(card))),
        ("card_us".to_owned(), each(card)),
        ("user_us".to_owned(), each(spent.user)),
        ("system_us".to_owned(), each(spent.system)),
        ("rate_per_s".to_owned(), outcome.rate),
    ]);
    if !outcome.elapsed.is_zero() {
        // Of one processor; of two workers up to two.
        let busy = total.as_secs_f64() / outcome.elapsed.as_secs_f64();
        values.insert(BUSY.to_owned(), busy);
    }
    values.extend(quantiles(outcome).into_iter().map(|(name, value)| (name.to_owned(), value)));
    let classes: BTreeMap<&String, f64> =
        spent.classes.iter().map(|(name, time)| (name, time.as_secs_f64())).collect();
    Ok(Measured { values, detail: json!({ "load": outcome, "cpu_s": classes }) })
}

/// Where the scenario's connections go, and what each handshake of them has to be.
fn target(server: &Running, scenario: &Scenario, processors: &[usize]) -> Target {
    let mut target = Target::new(server.address());
    target.cover = server.cover();
    target.shape = scenario.shape();
    target.processors = processors.to_vec();
    target
}

fn bulk(
    server: &Running,
    scenario: &Scenario,
    effort: &Effort,
    processors: &[usize],
) -> Result<Measured, Failure> {
    let direction = if scenario.work == Work::Up { Direction::Up } else { Direction::Down };
    let mut load = BulkLoad::new(target(server, scenario, processors), direction);
    load.connections = BULK_CONNECTIONS;
    load.stop = Stop::After(effort.time);
    load.warmup = effort.warmup;
    let mut clock = Clock::new(server);
    let outcome = load.run(&mut |moment| clock.at(moment))?;
    per_unit(&outcome, &clock.spent()?)
}

fn idle(
    server: &Running,
    scenario: &Scenario,
    effort: &Effort,
    processors: &[usize],
) -> Result<Measured, Failure> {
    let load = IdleLoad {
        target: target(server, scenario, processors),
        connections: effort.connections,
        hold: Duration::ZERO,
        pid: Some(server.id()),
    };
    let outcome = load.run(&mut |_| {})?;
    outcome.sound()?;
    let each = outcome.notes.get("rss_per_connection_bytes").and_then(Value::as_f64);
    let each = each.ok_or("the load does not tell the memory of a connection")? / 1024.0;
    let values = BTreeMap::from([(RESIDENT.to_owned(), each)]);
    Ok(Measured { values, detail: json!({ "load": outcome }) })
}

fn storm(
    server: &Running,
    scenario: &Scenario,
    effort: &Effort,
    processors: &[usize],
) -> Result<Measured, Failure> {
    let pings = LatencyLoad {
        connections: PINGING,
        pace: Pace::Rate(PINGS_PER_SECOND),
        bytes: PING_BYTES,
        stop: Stop::After(effort.time),
        warmup: effort.warmup,
        ..LatencyLoad::new(target(server, scenario, processors))
    };
    let mut handshakes = HandshakeLoad::new(server.address(), scenario.shape());
    handshakes.clients = scenario.clients;
    handshakes.stop = pings.stop;
    handshakes.warmup = pings.warmup;
    handshakes.processors = processors.to_vec();
    let load = StormLoad { pings, handshakes };
    let calm = load.calm(&mut |_| {})?;
    calm.sound()?;
    let (stormy, handshakes) = load.run(&mut |_| {})?;
    stormy.sound()?;
    handshakes.sound()?;
    let mut values = BTreeMap::from([("rate_per_s".to_owned(), handshakes.rate)]);
    for (when, outcome) in [("calm", &calm), ("storm", &stormy)] {
        for (name, value) in quantiles(outcome) {
            values.insert(format!("{when}_{name}"), value);
        }
    }
    let detail = json!({ "calm": calm, "storm": stormy, "handshakes": handshakes });
    Ok(Measured { values, detail })
}

/// Median and 99th percentile in microseconds.
fn quantiles(outcome: &Outcome) -> BTreeMap<&'static str, f64> {
    let at = |quantile: f64| {
        outcome.latency.as_ref().map(|l| l.value_at_quantile(quantile) as f64 / 1e3)
    };
    [("p50_us", at(0.5)), ("p99_us", at(0.99))]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(units: u64) -> Outcome {
        let mut outcome = Outcome::new("handshake", "handshakes");
        outcome.units = units;
        outcome.elapsed = Duration::from_secs(1);
        outcome
    }

    #[test]
    fn one_broken_connection_makes_a_run_a_failure() {
        let spent = Usage::default();
        assert!(per_unit(&outcome(10), &spent).is_ok());
        let none = per_unit(&outcome(0), &spent).unwrap_err().to_string();
        assert!(none.contains("no handshakes"), "{none}");
        let mut broken = outcome(10);
        broken.errors = 1;
        broken.first_error = Some("connection reset".to_owned());
        let text = per_unit(&broken, &spent).unwrap_err().to_string();
        assert!(text.contains("1 errors beside 10 handshakes; the first: connection reset"));
    }

    #[test]
    fn cards_are_in_the_total_and_not_in_the_hosts_part() {
        let classes = [(cpu::HOST, 3), (cpu::CARD, 1)]
            .map(|(name, ms)| (name.to_owned(), Duration::from_millis(ms)));
        let mut spent = Usage::default();
        spent.classes.extend(classes);
        let values = per_unit(&outcome(10), &spent).unwrap().values;
        assert_eq!((values[TOTAL], values[HOST], values["card_us"]), (400.0, 300.0, 100.0));
        assert_eq!(values[BUSY], 0.004);
    }
}
