//! Counts of a run, and what it makes of faults.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::fault::Fault;
use crate::Failure;
use crate::outcome::{BARE, Outcome, RESETS, histogram, record};

/// With so many broken connections a run is ended: it measures nothing any more.
const ERRORS_MAX: u64 = 1000;

/// What has been counted so far.
#[derive(Debug)]
pub(super) struct Tally {
    outcome: Outcome,
    counting: bool,
    latency: Histogram<u64>,
    transaction: Histogram<u64>,
    /// Connections that the server broke off after all was done.
    pub(super) resets: u64,
    /// Connections that the server closed without close_notify.
    pub(super) bare: u64,
}

impl Tally {
    /// Of nothing yet.
    ///
    /// # Errors
    /// None in practice.
    pub(super) fn new(scenario: &str, unit: &'static str) -> Result<Self, Failure> {
        Ok(Self {
            outcome: Outcome::new(scenario, unit),
            counting: false,
            latency: histogram()?,
            transaction: histogram()?,
            resets: 0,
            bare: 0,
        })
    }

    /// From now on units count.
    pub(super) fn begin(&mut self) {
        self.counting = true;
    }

    /// Whether they do.
    pub(super) fn is_counting(&self) -> bool {
        self.counting
    }

    /// From now on they do not; what was due before still has a latency.
    pub(super) fn end(&mut self, elapsed: Duration) {
        self.counting = false;
        self.outcome.elapsed = elapsed;
    }

    /// A unit is done. Its latency counts when `timed`.
    pub(super) fn unit(&mut self, timed: bool, latency: Duration, transaction: Option<Duration>) {
        self.outcome.units += u64::from(self.counting);
        if timed {
            record(&mut self.latency, latency);
            if let Some(transaction) = transaction {
                record(&mut self.transaction, transaction);
            }
        }
    }

    /// Units are counted by the caller: these are all.
    pub(super) fn units(&mut self, all: u64) {
        self.outcome.units = all;
    }

    /// A unit was due and never begun; so long it had waited.
    pub(super) fn missed(&mut self, waited: Duration) {
        self.outcome.missed += 1;
        record(&mut self.latency, waited);
        record(&mut self.transaction, waited);
    }

    /// Takes note of a broken connection.
    ///
    /// # Errors
    /// What is not only broken but wrong ends the run, and so do too many broken ones.
    pub(super) fn fault(&mut self, fault: Fault) -> Result<(), Failure> {
        let Fault::Broken(what) = fault else { return Err(fault.into()) };
        self.outcome.errors += 1;
        if self.outcome.errors >= ERRORS_MAX {
            return Err(format!("{ERRORS_MAX} connections are broken, the last: {what}").into());
        }
        self.outcome.first_error.get_or_insert(what);
        Ok(())
    }

    /// # Errors
    /// There was a broken connection.
    pub(super) fn must_be_clean(&self, doing: &str) -> Result<(), Failure> {
        match &self.outcome.first_error {
            Some(first) => Err(format!("{doing}: {first}").into()),
            None => Ok(()),
        }
    }

    /// What it all came to.
    #[must_use]
    pub(super) fn outcome(self) -> Outcome {
        let mut outcome = self.outcome;
        outcome.rate = outcome.units as f64 / outcome.elapsed.as_secs_f64().max(1e-9);
        outcome.latency = Some(self.latency).filter(|h| !h.is_empty());
        outcome.transaction = Some(self.transaction).filter(|h| !h.is_empty());
        outcome.note(RESETS, self.resets);
        outcome.note(BARE, self.bare);
        outcome
    }
}
