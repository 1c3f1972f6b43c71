//! The bounded queues in front of the bus: one for each class of request.
//!
//! A lane fills only while every queue that could do its requests is full, or all those that a
//! retry waits for. It is bounded in length (a new request is refused) and in age (waiting requests
//! are shed by `tick`). Requests of one lane can all be done by the same cards, so none blocks what
//! could go on; a retry that waits for certain queues is looked past.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Ticket;
use crate::request::{Failure, SignRequest};

/// Class of a request, by the cards that can do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// RSA with a padded block: accelerator or coprocessor.
    RsaBlock,
    /// RSA from a digest: coprocessor.
    RsaDigest,
    /// ECDSA: coprocessor.
    Ec,
}

impl Lane {
    /// All lanes.
    pub const ALL: [Lane; 3] = [Lane::RsaBlock, Lane::RsaDigest, Lane::Ec];

    /// The lane of a request.
    pub(crate) fn of(request: &SignRequest) -> Self {
        match (request.scheme.is_rsa(), &request.block) {
            (false, _) => Self::Ec,
            (true, Some(_)) => Self::RsaBlock,
            (true, None) => Self::RsaDigest,
        }
    }

    /// Name for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::RsaBlock => "RSA block",
            Self::RsaDigest => "RSA digest",
            Self::Ec => "EC",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::RsaBlock => 0,
            Self::RsaDigest => 1,
            Self::Ec => 2,
        }
    }
}

/// Most requests of a lane that are looked at to find one that may go on. More than these wait
/// behind retries only where a card fails faster than the others work, and then for a moment.
const LOOK_PAST: usize = 64;

#[derive(Debug, Default)]
struct Fifo {
    tickets: Mutex<VecDeque<(Instant, Box<Ticket>)>>,
    /// Length, readable without the lock.
    len: AtomicUsize,
    longest: AtomicUsize,
    shed: AtomicU64,
    refused: AtomicU64,
}

type Tickets = VecDeque<(Instant, Box<Ticket>)>;

impl Fifo {
    fn lock(&self) -> MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, tickets: &Tickets) {
        self.len.store(tickets.len(), SeqCst);
        self.longest.fetch_max(tickets.len(), Relaxed);
    }
}

/// Counters of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneRow {
    /// Which lane.
    pub lane: Lane,
    /// Requests waiting now.
    pub waiting: usize,
    /// Most requests that ever waited at once.
    pub longest: usize,
    /// Requests that waited too long.
    pub shed: u64,
    /// Requests that found the lane full.
    pub refused: u64,
}

/// All lanes.
#[derive(Debug)]
pub(crate) struct Lanes {
    fifos: [Fifo; 3],
    depth: usize,
    age_max: Duration,
    closed: AtomicBool,
}

impl Lanes {
    pub(crate) fn new(depth: usize, age_max: Duration) -> Self {
        Self { fifos: Default::default(), depth, age_max, closed: AtomicBool::new(false) }
    }

    /// Requests wait in this lane.
    pub(crate) fn waiting(&self, lane: Lane) -> bool {
        self.fifos[lane.index()].len.load(SeqCst) > 0
    }

    /// Puts a request at the end; at the front and without limit if it has been under way
    /// already, with the time since when it waits. New ones are refused meanwhile, so a lane never
    /// holds more than its depth and the slots of all queues together.
    pub(crate) fn push(
        &self,
        lane: Lane,
        ticket: Box<Ticket>,
        since: Option<Instant>,
    ) -> Result<(), (Box<Ticket>, Failure)> {
        let fifo = &self.fifos[lane.index()];
        let mut tickets = fifo.lock();
        if self.closed.load(SeqCst) {
            return Err((ticket, Failure::Shutdown));
        }
        if let Some(since) = since {
            // In order of age, so that shedding may stop at the first young one.
            let since = tickets.front().map_or(since, |(first, _)| since.min(*first));
            tickets.push_front((since, ticket));
        } else if tickets.len() < self.depth {
            tickets.push_back((Instant::now(), ticket));
        } else {
            fifo.refused.fetch_add(1, Relaxed);
            return Err((ticket, Failure::FifoFull));
        }
        fifo.publish(&tickets);
        Ok(())
    }

    /// Takes out the first request that may go on, as `go` says, and since when it waited.
    ///
    /// Requests that were never tried are alike: if one has to wait, all behind it have to. One
    /// that was tried may be waiting for a certain queue, so it is looked past.
    pub(crate) fn pop_if(
        &self,
        lane: Lane,
        mut go: impl FnMut(&Ticket) -> bool,
    ) -> Option<(Instant, Box<Ticket>)> {
        let fifo = &self.fifos[lane.index()];
        let mut tickets = fifo.lock();
        let mut at = None;
        for (index, (_, ticket)) in tickets.iter().enumerate().take(LOOK_PAST) {
            if go(ticket) {
                at = Some(index);
            }
            if at.is_some() || ticket.tries == 0 {
                break;
            }
        }
        let taken = tickets.remove(at?);
        fifo.publish(&tickets);
        taken
    }

    /// Takes out what has waited too long.
    #[allow(clippy::vec_box, reason = "tickets move between queues by pointer")]
    pub(crate) fn shed(&self, now: Instant) -> Vec<Box<Ticket>> {
        let mut old = Vec::new();
        for fifo in &self.fifos {
            let mut tickets = fifo.lock();
            let before = old.len();
            while let Some((since, _)) = tickets.front() {
                if now.saturating_duration_since(*since) <= self.age_max {
                    break;
                }
                old.extend(tickets.pop_front().map(|(_, ticket)| ticket));
            }
            fifo.publish(&tickets);
            fifo.shed.fetch_add(u64::try_from(old.len() - before).unwrap_or(u64::MAX), Relaxed);
        }
        old
    }

    /// Takes out everything; nothing can be put in afterwards.
    #[allow(clippy::vec_box, reason = "tickets move between queues by pointer")]
    pub(crate) fn close(&self) -> Vec<Box<Ticket>> {
        self.closed.store(true, SeqCst);
        let mut all = Vec::new();
        for fifo in &self.fifos {
            let mut tickets = fifo.lock();
            all.extend(tickets.drain(..).map(|(_, ticket)| ticket));
            fifo.publish(&tickets);
        }
        all
    }

    pub(crate) fn rows(&self) -> Vec<LaneRow> {
        let row = |(lane, fifo): (Lane, &Fifo)| LaneRow {
            lane,
            waiting: fifo.len.load(SeqCst),
            longest: fifo.longest.load(Relaxed),
            shed: fifo.shed.load(Relaxed),
            refused: fifo.refused.load(Relaxed),
        };
        Lane::ALL.into_iter().zip(&self.fifos).map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;
    use crate::tests_support::{digest_of, load, p256_pkcs8};
    use crate::{Cex, Config, Hash, Scheme};

    #[test]
    fn a_request_that_lost_its_slot_to_another_keeps_its_age() {
        let cex = Cex::start(&Config::default()).unwrap();
        let key = load(&cex, &p256_pkcs8());
        let ticket = || {
            Box::new(Ticket {
                port: Weak::new(),
                token: 0,
                request: SignRequest::new(
                    &key,
                    Scheme::Ecdsa(Hash::Sha256),
                    digest_of(Hash::Sha256),
                ),
                submitted: Instant::now(),
                weight: 0,
                place: None,
                tries: 0,
                tried: Vec::new(),
                lost: Vec::new(),
                sent_ms: 0,
                last_cause: None,
                failed: None,
            })
        };
        let age = Duration::from_secs(5);
        let lanes = Lanes::new(4, age);
        lanes.push(Lane::Ec, ticket(), None).unwrap();
        let (since, first) = lanes.pop_if(Lane::Ec, |_| true).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        lanes.push(Lane::Ec, first, Some(since)).unwrap();
        let late = since + age + Duration::from_millis(1);
        assert_eq!(lanes.shed(late).len(), 1);
        // A young one at the front does not keep an old one behind it alive.
        lanes.push(Lane::Ec, ticket(), None).unwrap();
        lanes.push(Lane::Ec, ticket(), Some(late)).unwrap();
        assert_eq!(lanes.shed(late + age).len(), 2);
    }
}
