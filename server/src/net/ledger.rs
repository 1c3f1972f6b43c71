//! What the CPU time of a member's thread went to.
//!
//! Purpose: cost per handshake and per byte as the daemon itself sees it, so that a report need not
//! guess what belongs to the loop around them.
//!
//! How: the CPU clock of a thread is a system call, the clock of the wall is not.
//! [`Ledger::turn`] reads the cheap one where the kind of work changes; [`Ledger::settle`]
//! reads the CPU clock once, at the end of a turn of the event loop. What the wall says of the
//! classes is taken for CPU time as far as the thread has used that much; the rest, the poll
//! above all, is overhead. A thread that was not on the processor for a while is so charged to
//! no class, and a mistake is bounded by the CPU time of one turn.
//!
//! Invariant: the classes add up to the CPU time of the thread, from its very start: what is in
//! no other class is [`Class::Overhead`]. What the thread has used since the last turn ended is
//! in none of them yet.

use std::time::{Duration, Instant};

use engine::member::thread_cpu;

/// What a thread works at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A connection that is not established: fibers, verification of the cards' results, TLS with
    /// a backend.
    Handshake,
    /// Records of an established connection.
    Relay,
    /// Everything else: poll, accept, connect, close, deadlines, logging.
    Overhead,
}

/// CPU time of a member so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// [`Class::Handshake`].
    pub handshake: Duration,
    /// [`Class::Relay`].
    pub relay: Duration,
    /// All classes together.
    pub total: Duration,
}

/// The account of one thread; made and used in this thread.
#[derive(Debug)]
pub struct Ledger {
    spent: Spent,
    class: Class,
    since: Instant,
    /// Wall of this turn since the poll: handshake, relay, all.
    handshake: Duration,
    relay: Duration,
    all: Duration,
}

impl Ledger {
    /// An account whose thread has worked at [`Class::Overhead`] only.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let none = Duration::ZERO;
        let spent = Spent { total: thread_cpu(), ..Spent::default() };
        Self { spent, class: Class::Overhead, since: now, handshake: none, relay: none, all: none }
    }

    /// The poll has returned; what it took on the wall is no work.
    pub fn woke(&mut self, now: Instant) {
        self.since = now;
    }

    /// From now on the thread works at `class`.
    #[inline]
    pub fn turn(&mut self, class: Class) {
        if self.class != class {
            self.lap(Instant::now());
            self.class = class;
        }
    }

    fn lap(&mut self, now: Instant) {
        let lap = now.saturating_duration_since(self.since);
        self.since = now;
        self.all += lap;
        match self.class {
            Class::Handshake => self.handshake += lap,
            Class::Relay => self.relay += lap,
            Class::Overhead => {}
        }
    }

    /// Divides the CPU time of a turn, the poll before it included, and returns the account.
    pub fn settle(&mut self) -> Spent {
        self.settle_at(Instant::now(), thread_cpu())
    }

    fn settle_at(&mut self, now: Instant, cpu: Duration) -> Spent {
        self.lap(now);
        let used = cpu.saturating_sub(self.spent.total);
        self.spent.total += used;
        if !self.all.is_zero() {
            let all = self.all.as_secs_f64();
            let worked = used.min(self.all);
            let share = |part: Duration| worked.mul_f64(part.as_secs_f64() / all);
            self.spent.handshake += share(self.handshake);
            self.spent.relay += share(self.relay);
        }
        (self.handshake, self.relay, self.all) = Default::default();
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A ledger and a pair of clocks that the test moves.
    fn at_zero() -> (Ledger, Instant) {
        let now = Instant::now();
        let mut ledger = Ledger::new(now);
        ledger.spent.total = Duration::ZERO;
        (ledger, now)
    }

    fn close(a: Duration, b: Duration) -> bool {
        a.abs_diff(b) < Duration::from_micros(1)
    }

    #[test]
    fn cpu_time_is_divided_by_the_wall() {
        let (mut ledger, start) = at_zero();
        ledger.class = Class::Relay;
        ledger.lap(start + ms(3));
        ledger.class = Class::Handshake;
        ledger.lap(start + ms(4));
        ledger.class = Class::Overhead;
        // Half of the time another thread had the processor.
        let spent = ledger.settle_at(start + ms(8), ms(4));
        assert_eq!(spent.total, ms(4));
        assert!(close(spent.relay, Duration::from_micros(1500)), "{spent:?}");
        assert!(close(spent.handshake, Duration::from_micros(500)), "{spent:?}");
    }

    #[test]
    fn a_long_poll_takes_nothing_from_the_classes() {
        let (mut ledger, start) = at_zero();
        ledger.class = Class::Handshake;
        let before = ledger.settle_at(start + ms(2), ms(2));
        ledger.class = Class::Overhead;
        ledger.woke(start + ms(8999));
        let after = ledger.settle_at(start + ms(9000), ms(4));
        assert!(close(before.handshake, ms(2)));
        assert_eq!((after.handshake, after.relay), (before.handshake, before.relay));
        assert_eq!(after.total, ms(4));
    }

    #[test]
    fn the_cpu_time_of_a_poll_is_overhead() {
        let (mut ledger, start) = at_zero();
        ledger.woke(start + ms(100));
        ledger.class = Class::Handshake;
        let spent = ledger.settle_at(start + ms(102), ms(5));
        assert!(close(spent.handshake, ms(2)), "{spent:?}");
        assert_eq!((spent.relay, spent.total), (Duration::ZERO, ms(5)));
    }

    #[test]
    fn work_is_charged_to_its_class() {
        let mut ledger = Ledger::new(Instant::now());
        let begin = ledger.settle();
        ledger.turn(Class::Relay);
        let end = thread_cpu() + ms(20);
        while thread_cpu() < end {}
        ledger.turn(Class::Overhead);
        let spent = ledger.settle();
        let (relay, total) = (spent.relay, spent.total - begin.total);
        assert!(relay >= total.mul_f64(0.9) && relay <= total, "{relay:?} of {total:?}");
        assert_eq!(spent.handshake, begin.handshake);
        assert!(spent.total <= thread_cpu());
    }
}
