//! What a pool member shows of itself while it runs.
//!
//! Purpose: the row of `adjunct members`. Written by the member once in a turn, read by the status
//! socket.
//!
//! Invariants: bounded memory (the histogram has a fixed range and precision); a turn costs a
//! few stores and a lock that nobody else holds but for the moment of a question.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::ledger::Spent;
use crate::snapshot::MemberRow;

/// Longest turn that is told apart from longer ones, in nanoseconds.
const LONGEST_NS: u64 = 10_000_000_000;
/// Precision of the histogram in decimal digits.
const DIGITS: u8 = 2;

/// The gauges of one member.
#[derive(Debug)]
pub struct Gauges {
    member: String,
    connections: AtomicUsize,
    /// Handshakes in flight, counted by the sessions.
    pub handshakes: AtomicUsize,
    suspended: AtomicUsize,
    stacks: AtomicUsize,
    turns: AtomicU64,
    /// CPU time of the thread in nanoseconds: handshakes, relay, all.
    spent: [AtomicU64; 3],
    /// CPU time of turns in nanoseconds; none if the range were not a valid one.
    cpu: Option<Mutex<Histogram<u64>>>,
}

/// What a member knows at the end of a turn.
#[derive(Debug, Clone, Copy)]
pub struct TurnEnd {
    /// CPU time of the thread since the end of the last turn.
    pub cpu: Duration,
    /// CPU time of the thread so far.
    pub spent: Spent,
    /// Connections it has.
    pub connections: usize,
    /// Handshakes that wait for a card.
    pub suspended: usize,
    /// Stacks it has mapped.
    pub stacks: usize,
}

impl Gauges {
    /// Gauges for a member, all at zero.
    #[must_use]
    pub fn new(member: &str) -> Self {
        Self {
            member: member.to_owned(),
            connections: AtomicUsize::new(0),
            handshakes: AtomicUsize::new(0),
            suspended: AtomicUsize::new(0),
            stacks: AtomicUsize::new(0),
            turns: AtomicU64::new(0),
            spent: Default::default(),
            cpu: Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).ok().map(Mutex::new),
        }
    }

    /// Name of the member.
    #[must_use]
    pub fn member(&self) -> &str {
        &self.member
    }

    fn histogram(&self) -> Option<MutexGuard<'_, Histogram<u64>>> {
        self.cpu.as_ref().map(|cpu| cpu.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the figures of a turn.
    pub fn note(&self, turn: TurnEnd) {
        self.connections.store(turn.connections, Ordering::Relaxed);
        self.suspended.store(turn.suspended, Ordering::Relaxed);
        self.stacks.store(turn.stacks, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
        let Spent { handshake, relay, total } = turn.spent;
        for (gauge, spent) in self.spent.iter().zip([handshake, relay, total]) {
            gauge.store(u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        if let Some(mut histogram) = self.histogram() {
            histogram.saturating_record(u64::try_from(turn.cpu.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// Forgets the turns so far, so that a benchmark can look at a part of a run.
    pub fn forget_turns(&self) {
        self.turns.store(0, Ordering::Relaxed);
        if let Some(mut histogram) = self.histogram() {
            histogram.reset();
        }
    }

    /// Everything as a row; `stack_bytes` is what the deepest handshake uses of a stack.
    #[must_use]
    pub fn row(&self, stack_bytes: usize) -> MemberRow {
        let histogram = self.histogram();
        let micros = |ns: u64| Duration::from_nanos(ns).as_secs_f64() * 1e6;
        let quantile =
            |q: f64| micros(histogram.as_ref().map_or(0, |cpu| cpu.value_at_quantile(q)));
        // Stored one after the other: the total may be that of a turn before.
        let [handshake, relay, total] =
            [0, 1, 2].map(|class| self.spent[class].load(Ordering::Relaxed) / 1000);
        let overhead = total.saturating_sub(handshake + relay);
        MemberRow {
            member: self.member.clone(),
            connections: self.connections.load(Ordering::Relaxed) as u64,
            handshakes: self.handshakes.load(Ordering::Relaxed) as u64,
            suspended: self.suspended.load(Ordering::Relaxed) as u64,
            stacks: self.stacks.load(Ordering::Relaxed) as u64,
            stack_bytes: stack_bytes as u64,
            turns: self.turns.load(Ordering::Relaxed),
            turn_cpu_p50_us: quantile(0.5),
            turn_cpu_p99_us: quantile(0.99),
            turn_cpu_p999_us: quantile(0.999),
            turn_cpu_max_us: micros(histogram.as_ref().map_or(0, |cpu| cpu.max())),
            cpu_handshake_us: handshake,
            cpu_relay_us: relay,
            cpu_overhead_us: overhead,
            cpu_total_us: handshake + relay + overhead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_the_last_figures_and_all_turns() {
        let gauges = Gauges::new("ADJ00001");
        for n in 1..=1000 {
            let cpu = Duration::from_micros(if n == 1000 { 5000 } else { 100 });
            let spent = Spent { handshake: 3 * cpu, relay: 2 * cpu, total: 6 * cpu };
            gauges.note(TurnEnd { cpu, spent, connections: n, suspended: 3, stacks: 4 });
        }
        let row = gauges.row(28_672);
        assert_eq!((row.member.as_str(), row.turns), ("ADJ00001", 1000));
        assert_eq!((row.connections, row.suspended, row.stacks), (1000, 3, 4));
        assert!((99.0..102.0).contains(&row.turn_cpu_p999_us), "{row:?}");
        assert!((4950.0..5100.0).contains(&row.turn_cpu_max_us), "{row:?}");
        assert_eq!((row.cpu_handshake_us, row.cpu_relay_us), (15_000, 10_000));
        assert_eq!((row.cpu_overhead_us, row.cpu_total_us), (5000, 30_000));
        gauges.forget_turns();
        let row = gauges.row(0);
        assert_eq!((row.turns, row.cpu_total_us), (0, 30_000), "only the turns are forgotten");
    }

    #[test]
    fn a_turn_longer_than_the_range_is_counted_as_the_longest() {
        let gauges = Gauges::new("ADJ00001");
        let cpu = Duration::from_secs(1000);
        let spent = Spent::default();
        gauges.note(TurnEnd { cpu, spent, connections: 0, suspended: 0, stacks: 0 });
        assert_eq!(gauges.row(0).turns, 1);
        assert!(gauges.row(0).turn_cpu_max_us >= 9_900_000.0);
    }
}
