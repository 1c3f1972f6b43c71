//! When the next unit of work is due.
//!
//! Invariant: in an open loop each unit is due at a time of its own, fixed when the run begins;
//! latency counts from then, whether or not it could begin then. A server that stalls is charged
//! for all that it delayed (no coordinated omission).

use std::time::{Duration, Instant};

/// How fast the load works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Each client begins anew when it is done: the rate is what the server does.
    Closed,
    /// So many a second in all, whatever the server does.
    Rate(f64),
}

/// When a run ends, the warm-up apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// After this time.
    After(Duration),
    /// After so many units.
    Count(u64),
}

/// Told to the caller of a run exactly when the counted part begins and ends: the place to read
/// CPU clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The warm-up is over.
    Begin,
    /// What is done from now on is not counted.
    End,
}

/// Due times of an open loop.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    begin: Instant,
    interval_ns: f64,
    next: u64,
}

impl Schedule {
    /// The first unit is due one interval after `begin`.
    #[must_use]
    pub fn new(begin: Instant, per_second: f64) -> Self {
        Self { begin, interval_ns: 1e9 / per_second, next: 1 }
    }

    /// When the next unit is due.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and a run of centuries would be needed to overflow"
    )]
    pub fn due(&self) -> Instant {
        self.begin + Duration::from_nanos((self.interval_ns * self.next as f64) as u64)
    }

    /// The unit that is due now or was due before; each is given once.
    pub fn take(&mut self, now: Instant) -> Option<Instant> {
        let due = self.due();
        (due <= now).then(|| {
            self.next += 1;
            due
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stall_delayed_keeps_its_due_times() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(begin, 100.0);
        assert_eq!(schedule.take(begin), None);
        let late = begin + Duration::from_millis(35);
        let due: Vec<_> = std::iter::from_fn(|| schedule.take(late)).collect();
        let expected = [10, 20, 30].map(|ms| begin + Duration::from_millis(ms));
        assert_eq!(due, expected);
        assert_eq!(schedule.due(), begin + Duration::from_millis(40));
    }
}
