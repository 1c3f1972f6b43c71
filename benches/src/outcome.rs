//! What a run of the load came to: a table for people, a line of JSON for programs.
//!
//! Invariants: latencies are recorded in nanoseconds and shown in microseconds; a run with wrong
//! data or a wrong kind of handshake has no outcome, but a [`Failure`](crate::Failure).

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

/// An empty histogram of nanoseconds.
///
/// # Errors
/// None in practice: the bounds are constants.
pub fn histogram() -> Result<Histogram<u64>, Failure> {
    let mut histogram = Histogram::new_with_max(1_000_000, 3)?;
    histogram.auto(true);
    Ok(histogram)
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
        let mut table = Table::new(&self.scenario, &["", ""]);
        let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
        row(self.unit, self.units.to_string());
        row("seconds", format!("{:.3}", self.elapsed.as_secs_f64()));
        row(&format!("{}/s", self.unit), format!("{:.1}", self.rate));
        for (name, of) in [("latency", &self.latency), ("transaction", &self.transaction)] {
            let Some(of) = of.as_ref().filter(|of| !of.is_empty()) else { continue };
            for (quantile, value) in summary(of) {
                if !matches!(quantile, "count" | "mean") {
                    row(&format!("{name} {quantile} us"), format!("{value:.1}"));
                }
            }
        }
        row("broken", self.errors.to_string());
        row("missed", self.missed.to_string());
        for (name, value) in &self.notes {
            match value {
                Value::Null => {}
                Value::String(text) => row(name, text.clone()),
                Value::Number(number) if number.is_f64() => {
                    row(name, format!("{:.3}", number.as_f64().unwrap_or_default()));
                }
                value => row(name, value.to_string()),
            }
        }
        write!(f, "{table}")
    }
}

fn seconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_secs_f64())
}

/// Quantiles in microseconds with the count behind them.
#[must_use]
pub fn summary(of: &Histogram<u64>) -> BTreeMap<&'static str, f64> {
    let at = |quantile: f64| of.value_at_quantile(quantile) as f64 / 1e3;
    BTreeMap::from([
        ("count", of.len() as f64),
        ("mean", of.mean() / 1e3),
        ("p50", at(0.5)),
        ("p90", at(0.9)),
        ("p99", at(0.99)),
        ("p999", at(0.999)),
        ("max", of.max() as f64 / 1e3),
    ])
}

fn quantiles<S: Serializer>(of: &Option<Histogram<u64>>, to: S) -> Result<S::Ok, S::Error> {
    of.as_ref().map(summary).serialize(to)
}
