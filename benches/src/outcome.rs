//! What a run of the load came to: a table for people, a line of JSON for programs.
//!
//! Invariants: latencies are recorded in nanoseconds and shown in microseconds; a run with wrong
//! data or a wrong kind of handshake has no outcome, but a [`Failure`].

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::Failure;
use crate::table::Table;

/// Longest latency that is told apart.
const LATENCY_MAX: Duration = Duration::from_secs(120);

/// Note: connections that the server closed without close_notify, when all else was done.
pub const BARE: &str = "closed_without_notify";
/// Note: connections that the server broke off, when all else was done.
pub const RESETS: &str = "resets";

/// An empty histogram of nanoseconds.
///
/// # Errors
/// None in practice: the bounds are constants.
pub fn histogram() -> Result<Histogram<u64>, Failure> {
    Ok(Histogram::new_with_max(u64::try_from(LATENCY_MAX.as_nanos())?, 3)?)
}

/// Records a latency in nanoseconds.
pub fn record(into: &mut Histogram<u64>, latency: Duration) {
    let latency = latency.min(LATENCY_MAX).as_nanos();
    into.saturating_record(u64::try_from(latency).unwrap_or(u64::MAX).max(1));
}

/// What a run came to.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// What was run, in a word: `handshake`, `bulk down`.
    pub scenario: String,
    /// What is counted: `handshakes`, `MiB`, `pings`.
    pub unit: &'static str,
    /// So many of them between begin and end.
    pub units: u64,
    /// From begin to end.
    #[serde(rename = "elapsed_s", serialize_with = "seconds")]
    pub elapsed: Duration,
    /// Units per second.
    pub rate: f64,
    /// Connections that were refused, broke or were late. Any makes the run invalid.
    pub errors: u64,
    /// The first of them in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_error: Option<String>,
    /// Units due in an open loop that were never begun: the rate was not held.
    pub missed: u64,
    /// Of a unit, in nanoseconds: of a handshake from when it was due (or began, in a closed loop)
    /// until it was complete; of a ping until the answer was there.
    #[serde(rename = "latency_us", serialize_with = "quantiles")]
    pub latency: Option<Histogram<u64>>,
    /// Of a handshake with request and checked answer, in nanoseconds.
    #[serde(rename = "transaction_us", serialize_with = "quantiles")]
    pub transaction: Option<Histogram<u64>>,
    /// Whatever else belongs to the run: what was asked, CPU, memory.
    #[serde(flatten)]
    pub notes: BTreeMap<String, Value>,
}

impl Outcome {
    /// Of a run that has not begun.
    #[must_use]
    pub fn new(scenario: &str, unit: &'static str) -> Self {
        Self {
            scenario: scenario.to_owned(),
            unit,
            units: 0,
            elapsed: Duration::ZERO,
            rate: 0.0,
            errors: 0,
            first_error: None,
            missed: 0,
            latency: None,
            transaction: None,
            notes: BTreeMap::new(),
        }
    }

    /// Adds what belongs to the run under a name.
    pub fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.notes.insert(name.to_owned(), value.into());
    }

    /// Adds to the values of a round how connections were ended that should have been closed.
    pub fn closings(&self, into: &mut BTreeMap<String, f64>) {
        for name in [BARE, RESETS] {
            let count = self.notes.get(name).and_then(Value::as_f64).unwrap_or_default();
            into.insert(name.to_owned(), count);
        }
    }

    /// Whether it may become a figure: with one bad connection nobody knows what else was wrong.
    ///
    /// # Errors
    /// A connection was broken, or nothing was done.
    pub fn sound(&self) -> Result<(), Failure> {
        let Self { scenario, errors, units, unit, first_error, elapsed, .. } = self;
        if *errors > 0 {
            let first = first_error.as_deref().unwrap_or("not told why");
            let text = format!("{errors} errors beside {units} {unit}; the first: {first}");
            return Err(format!("{scenario}: {text}").into());
        }
        match units {
            0 => Err(format!("{scenario}: no {unit} in {elapsed:?}").into()),
            _ => Ok(()),
        }
    }

    /// One line of JSON.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn json(&self) -> Result<String, Failure> {
        Ok(serde_json::to_string(self)?)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&self.scenario, &[self.unit, &self.units.to_string()]);
        let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
        row("seconds", format!("{:.3}", self.elapsed.as_secs_f64()));
        row(&format!("{}/s", self.unit), format!("{:.1}", self.rate));
        for (name, of) in [("latency", &self.latency), ("transaction", &self.transaction)] {
            let Some(of) = of else { continue };
            let Quantiles { p50, p90, p99, p999, max, .. } = Quantiles::of(of);
            let values = [("p50", p50), ("p90", p90), ("p99", p99), ("p99.9", p999), ("max", max)];
            for (quantile, value) in values {
                row(&format!("{name} {quantile} us"), format!("{value:.1}"));
            }
        }
        row("broken", self.errors.to_string());
        row("missed", self.missed.to_string());
        for (name, value) in &self.notes {
            match value {
                Value::Object(values) => {
                    values
                        .iter()
                        .for_each(|(key, value)| row(&format!("{name} {key}"), text(value)));
                }
                Value::Null => {}
                value => row(name, text(value)),
            }
        }
        write!(f, "{table}")
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            format!("{:.3}", number.as_f64().unwrap_or_default())
        }
        value => value.to_string(),
    }
}

fn seconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64())
}

/// Quantiles in microseconds, and how many values are behind them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many values there are.
    pub count: u64,
    /// Their mean: for sums, not to judge by.
    pub mean: f64,
    /// Half of them are below.
    pub p50: f64,
    /// 90 % are below.
    pub p90: f64,
    /// 99 % are below.
    pub p99: f64,
    /// 99.9 % are below.
    pub p999: f64,
    /// The largest.
    pub max: f64,
}

impl Quantiles {
    /// Of a histogram of nanoseconds.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            count: histogram.len(),
            mean: histogram.mean() / 1e3,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max() as f64 / 1e3,
        }
    }
}

fn quantiles<S: Serializer>(of: &Option<Histogram<u64>>, to: S) -> Result<S::Ok, S::Error> {
    of.as_ref().map(Quantiles::of).serialize(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broken_connection_or_nothing_done_makes_no_figure() {
        let mut outcome = Outcome::new("handshake", "handshakes");
        assert!(outcome.sound().unwrap_err().to_string().contains("no handshakes"));
        outcome.units = 10;
        assert!(outcome.sound().is_ok());
        (outcome.errors, outcome.first_error) = (1, Some("connection reset".to_owned()));
        let text = outcome.sound().unwrap_err().to_string();
        assert!(text.contains("1 errors beside 10 handshakes; the first: connection reset"));
    }

    #[test]
    fn latencies_are_told_in_microseconds_and_notes_beside_them() {
        let mut outcome = Outcome::new("latency", "pings");
        let mut latency = histogram().unwrap();
        record(&mut latency, Duration::from_millis(5));
        record(&mut latency, Duration::from_secs(1000));
        outcome.latency = Some(latency);
        outcome.note("pid", 5);
        let line: Value = serde_json::from_str(&outcome.json().unwrap()).unwrap();
        let p50 = line["latency_us"]["p50"].as_f64().unwrap();
        assert!((p50 - 5000.0).abs() < 10.0, "{p50}");
        let max = line["latency_us"]["max"].as_f64().unwrap();
        assert!(max > 100e6, "{max}");
        assert_eq!((&line["pid"], &line["transaction_us"]), (&Value::from(5), &Value::Null));
        assert!(outcome.to_string().contains("latency p99.9 us"));
    }
}
