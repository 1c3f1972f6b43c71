//! Key agreements of several handshakes, gathered to be computed together.
//!
//! Purpose: a vector unit does eight scalar multiplications of X25519 for the price of two. A
//! flight that comes to its key agreement while others are waiting for their turn leaves its
//! point here and suspends; the event loop has the points multiplied, by itself, as soon as there
//! are eight of them, or nobody is left who could bring another one.
//!
//! Invariants: nobody waits for company that is not already in a queue of the loop, nor longer than
//! [`TURNS_MAX`] turns; there is no timer; the lock is never held across a suspension, and on an
//! event loop it is always free.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// What the points of an event loop's handshakes wait in.
pub(crate) struct Gathering {
    waiting: Mutex<Waiting>,
    /// Sessions with work, apart from the one that is running.
    others: AtomicUsize,
}

struct Waiting {
    together: Together,
    /// Tokens of the connections, and what is to be multiplied.
    points: Vec<(u64, PeerPoint)>,
    /// Turns that the first of them has waited.
    turns: usize,
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
        let waiting = Waiting { together: Together::new()?, points, turns: 0 };
        Some(Self { waiting: Mutex::new(waiting), others: AtomicUsize::new(0) })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Points that wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting().points.len()
    }

    /// Says how many sessions have work, apart from the one that runs next.
    pub(crate) fn note_others(&self, others: usize) {
        self.others.store(others, Relaxed);
    }

    /// Takes a point if it can expect company. The flight that left it is to be suspended then.
    pub(crate) fn join(&self, token: u64, point: &PeerPoint) -> bool {
        let mut waiting = self.waiting();
        let expected = !waiting.points.is_empty() || self.others.load(Relaxed) >= COMPANY;
        if expected {
            waiting.points.push((token, point.clone()));
        }
        expected
    }

    /// Computes what has been gathered, if there is enough of it or nobody to wait for; to be
    /// called once in a turn, with the number of sessions that have work.
    pub(crate) fn compute(&self, others: usize) -> Vec<(u64, Result<Multiplied, Error>)> {
        let mut waiting = self.waiting();
        let Waiting { together, points, turns } = &mut *waiting;
        *turns += usize::from(!points.is_empty());
        if points.len() < FULL && others > 0 && *turns < TURNS_MAX {
            return Vec::new();
        }
        *turns = 0;
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
        let point = point();
        gathering.note_others(COMPANY - 1);
        assert!(!gathering.join(1, &point));
        gathering.note_others(COMPANY);
        assert!(gathering.join(1, &point));
        // The first one is company for the second.
        gathering.note_others(0);
        assert!(gathering.join(2, &point));
        assert!(gathering.compute(1).is_empty(), "somebody may still come");
        let tokens: Vec<u64> = gathering.compute(0).into_iter().map(|(token, _)| token).collect();
        assert_eq!((tokens, gathering.len()), (vec![1, 2], 0));
    }

    #[test]
    fn eight_are_enough_and_turns_are_counted() {
        let Some(gathering) = Gathering::new() else { return };
        let point = point();
        gathering.note_others(100);
        for token in 0..8 {
            assert!(gathering.compute(100).is_empty());
            assert!(gathering.join(token, &point));
        }
        let computed = gathering.compute(100);
        assert!(computed.len() == 8 && computed.iter().all(|(_, result)| result.is_ok()));
        assert!(gathering.join(9, &point));
        let turns = (1..).find(|_| !gathering.compute(100).is_empty());
        assert_eq!(turns, Some(TURNS_MAX));
    }
}
