//! Key agreements of several handshakes, gathered to be computed together.
//!
//! Purpose: a vector unit does eight scalar multiplications of X25519 for the price of two. A
//! flight that comes to its key agreement while others are waiting for their turn leaves its
//! point here and suspends; the event loop has the points multiplied, by itself, as soon as there
//! are eight of them, or nobody is left who could bring another one, or somebody would lose time.
//!
//! Invariants: nobody waits for company but where that is already in a queue of the loop, for
//! [`TURNS_MAX`] turns at most, or where cards have so much to sign before it that its own
//! signature is not made any later ([`AHEAD`]), and in any case for [`PATIENCE`] at most; the lock
//! is never held across a suspension, and on an event loop it is always free.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cpacf::Error;
use cpacf::agreement::{Multiplied, PeerPoint, Together};

use super::fiber;

/// As many as are computed together.
const FULL: usize = cpacf::x25519::LANES;
/// Sessions with work that let a first one expect company. Some of them have other work to do, and
/// one that waits in vain has paid for two switches.
const COMPANY: usize = 3;
/// Turns of the loop that anybody waits at most: in a storm that is time for eight to come.
const TURNS_MAX: usize = 16;
/// Signatures that this loop waits for of cards which make a handshake last longer than company
/// for its key agreement: four full batches.
pub(crate) const AHEAD: usize = 16;
/// The longest that anybody waits: turns may be long, and cards may lose what they are to sign.
const PATIENCE: Duration = Duration::from_millis(5);

/// What the points of an event loop's handshakes wait in.
pub(crate) struct Gathering {
    waiting: Mutex<Waiting>,
    /// Sessions with work, apart from the one that is running.
    others: AtomicUsize,
    /// Handshakes that wait for cards.
    signing: AtomicUsize,
}

struct Waiting {
    together: Together,
    /// Tokens of the connections, and what is to be multiplied.
    points: Vec<(u64, PeerPoint)>,
    /// Turns that the first of them has waited, and since when.
    turns: usize,
    since: Instant,
}

impl fmt::Debug for Gathering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathering").field("waiting", &self.len()).finish_non_exhaustive()
    }
}

impl Gathering {
    /// None where it would be no cheaper.
    pub(crate) fn new() -> Option<Self> {
        if !fiber::AVAILABLE {
            return None;
        }
        let points = Vec::with_capacity(FULL);
        let together = Together::new()?;
        let waiting = Mutex::new(Waiting { together, points, turns: 0, since: Instant::now() });
        Some(Self { waiting, others: AtomicUsize::new(0), signing: AtomicUsize::new(0) })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Points that wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting().points.len()
    }

    /// Says how many sessions have work, apart from the one that runs next, and how many handshakes
    /// wait for cards.
    pub(crate) fn note(&self, others: usize, signing: usize) {
        self.others.store(others, Relaxed);
        self.signing.store(signing, Relaxed);
    }

    /// Takes a point if it can expect company. The flight that left it is to be suspended then.
    pub(crate) fn join(&self, token: u64, point: &PeerPoint) -> bool {
        let mut waiting = self.waiting();
        let first = waiting.points.is_empty();
        let expected =
            !first || self.others.load(Relaxed) >= COMPANY || self.signing.load(Relaxed) >= AHEAD;
        if expected {
            if first {
                (waiting.turns, waiting.since) = (0, Instant::now());
            }
            waiting.points.push((token, point.clone()));
        }
        expected
    }

    /// When what has been gathered is computed at the latest, if something has and no session has
    /// work; from `now` on.
    pub(crate) fn due_in(&self, signing: usize, now: Instant) -> Option<Duration> {
        let waiting = self.waiting();
        let due = if signing >= AHEAD { waiting.since + PATIENCE } else { now };
        (!waiting.points.is_empty()).then(|| due.saturating_duration_since(now))
    }

    /// Computes what has been gathered, if there is enough of it or nobody to wait for; to be
    /// called once in a turn, with the numbers of sessions that have work and of handshakes that
    /// wait for cards.
    pub(crate) fn compute(
        &self,
        others: usize,
        signing: usize,
        now: Instant,
    ) -> Vec<(u64, Result<Multiplied, Error>)> {
        let mut waiting = self.waiting();
        let Waiting { together, points, turns, since } = &mut *waiting;
        *turns += 1;
        let worth_it = (others > 0 && *turns < TURNS_MAX) || signing >= AHEAD;
        let waits = points.len() < FULL && worth_it && now < *since + PATIENCE;
        if points.is_empty() || waits {
            return Vec::new();
        }
        let (tokens, points): (Vec<_>, Vec<_>) = points.drain(..).unzip();
        tokens.into_iter().zip(together.multiply(&points)).collect()
    }
}

#[cfg(test)]
mod tests {
    use cpacf::agreement::{Ephemeral, Group, Response};

    use super::*;

    fn point() -> PeerPoint {
        let client = Ephemeral::generate(Group::X25519).unwrap();
        Response::begin(Group::X25519, client.public()).unwrap().point().clone()
    }

    #[test]
    fn nobody_waits_without_company_in_sight() {
        let Some(gathering) = Gathering::new() else { return };
        let (point, now) = (point(), Instant::now());
        gathering.note(COMPANY - 1, AHEAD - 1);
        assert!(!gathering.join(1, &point));
        assert_eq!(gathering.due_in(0, now), None);
        gathering.note(COMPANY, 0);
        assert!(gathering.join(1, &point));
        // The first one is company for the second.
        gathering.note(0, 0);
        assert!(gathering.join(2, &point));
        assert!(gathering.compute(1, 0, now).is_empty(), "somebody may still come");
        assert_eq!(gathering.due_in(AHEAD - 1, now), Some(Duration::ZERO));
        let computed = gathering.compute(0, AHEAD - 1, now);
        let tokens: Vec<u64> = computed.into_iter().map(|(token, _)| token).collect();
        assert_eq!((tokens, gathering.len()), (vec![1, 2], 0));
    }

    #[test]
    fn who_would_wait_for_cards_anyway_waits_for_company_but_not_for_ever() {
        let Some(gathering) = Gathering::new() else { return };
        gathering.note(0, AHEAD);
        assert!(gathering.join(1, &point()));
        let now = Instant::now();
        for _ in 0..2 * TURNS_MAX {
            assert!(gathering.compute(0, AHEAD, now).is_empty());
        }
        assert!(gathering.due_in(AHEAD, now).is_some_and(|rest| !rest.is_zero()));
        let late = now + PATIENCE;
        assert_eq!(gathering.due_in(AHEAD, late), Some(Duration::ZERO));
        assert_eq!(gathering.compute(0, AHEAD, late).len(), 1);
        // As soon as the cards are done sooner.
        assert!(gathering.join(2, &point()));
        assert_eq!(gathering.compute(0, AHEAD - 1, Instant::now()).len(), 1);
    }

    #[test]
    fn eight_are_enough_and_turns_are_counted() {
        let Some(gathering) = Gathering::new() else { return };
        let (point, now) = (point(), Instant::now());
        gathering.note(100, 0);
        for token in 0..8 {
            assert!(gathering.compute(100, 0, now).is_empty());
            assert!(gathering.join(token, &point));
        }
        let computed = gathering.compute(100, 0, now);
        assert!(computed.len() == 8 && computed.iter().all(|(_, result)| result.is_ok()));
        assert!(gathering.join(9, &point));
        let turns = (1..).find(|_| !gathering.compute(100, 0, now).is_empty());
        assert_eq!(turns, Some(TURNS_MAX));
        // Turns may be long: nobody waits beyond the time.
        assert!(gathering.join(10, &point));
        let now = Instant::now();
        assert!(gathering.compute(100, 0, now).is_empty());
        assert_eq!(gathering.compute(100, 0, now + PATIENCE).len(), 1);
    }
}
