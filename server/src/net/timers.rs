//! Deadlines of connections: one per connection, moved lazily.
//!
//! A deadline that moves into the future (every byte moves the idle deadline) is left where it is;
//! when its time comes, the connection says whether it is due or gives the new time. So a byte
//! costs nothing here.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Deadlines by time.
#[derive(Debug, Default)]
pub struct Timers {
    by_time: BTreeSet<(Instant, usize)>,
}

impl Timers {
    /// Sets the deadline of `key`; `previous` is what was set before.
    pub fn set(&mut self, key: usize, previous: Option<Instant>, at: Instant) {
        if let Some(previous) = previous {
            self.by_time.remove(&(previous, key));
        }
        self.by_time.insert((at, key));
    }

    /// Forgets the deadline of `key`.
    pub fn clear(&mut self, key: usize, at: Option<Instant>) {
        if let Some(at) = at {
            self.by_time.remove(&(at, key));
        }
    }

    /// Time until the next deadline.
    #[must_use]
    pub fn next_in(&self, now: Instant) -> Option<Duration> {
        self.by_time.first().map(|(at, _)| at.saturating_duration_since(now))
    }

    /// Takes one deadline that has passed.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, usize)> {
        let first = *self.by_time.first()?;
        if first.0 > now {
            return None;
        }
        self.by_time.pop_first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_in_order_and_once() {
        let now = Instant::now();
        let mut timers = Timers::default();
        timers.set(1, None, now + Duration::from_secs(2));
        timers.set(2, None, now + Duration::from_secs(1));
        timers.set(1, Some(now + Duration::from_secs(2)), now + Duration::from_secs(3));
        assert_eq!(timers.next_in(now), Some(Duration::from_secs(1)));
        assert_eq!(timers.pop_due(now), None);
        let later = now + Duration::from_secs(10);
        assert_eq!(timers.pop_due(later).map(|(_, key)| key), Some(2));
        assert_eq!(timers.pop_due(later).map(|(_, key)| key), Some(1));
        assert_eq!(timers.pop_due(later), None);
        timers.set(3, None, now);
        timers.clear(3, Some(now));
        assert_eq!(timers.next_in(now), None);
    }
}
