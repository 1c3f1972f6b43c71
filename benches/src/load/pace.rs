//! When the next unit of work is due.
//!
//! Invariant: in an open loop each unit is due at a time of its own, fixed when the run begins;
//! latency counts from then, whether or not it could begin then. A server that stalls is charged
//! for all that it delayed (no coordinated omission).

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::Failure;

/// Most a ticker wakes up: below this distance several units are begun at a time.
const TICK_MIN: Duration = Duration::from_micros(100);
const TICK_MAX: Duration = Duration::from_millis(50);

/// How fast the load works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Each client begins anew when it is done: the rate is what the server does.
    Closed,
    /// So many a second in all, whatever the server does.
    Rate(f64),
}

impl std::fmt::Display for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => f.write_str("closed loop"),
            Self::Rate(rate) => write!(f, "{rate}/s"),
        }
    }
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

/// Wakes a poll as often as units are due: a poll's own timeout counts whole milliseconds.
#[derive(Debug)]
pub struct Ticker(OwnedFd);

impl Ticker {
    /// Ticks for so many units a second.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new(registry: &Registry, token: Token, per_second: f64) -> Result<Self, Failure> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let distance = (1.0 / per_second).clamp(TICK_MIN.as_secs_f64(), TICK_MAX.as_secs_f64());
        let period = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(Duration::from_secs_f64(distance).subsec_nanos()),
        };
        let spec = Itimerspec { it_interval: period, it_value: period };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &spec)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self(timer))
    }

    /// Takes note of a tick; how many there were does not matter, what is due says the schedule.
    pub fn ticked(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
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
