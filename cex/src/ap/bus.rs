//! The AP bus: all cards, each with its simulated hardware and the driver's queues.
//!
//! The only place where the state machine of `ap::queue` meets the hardware of `ap::card`. A
//! queue's lock is held for a few instructions, never while a private-key operation runs or a
//! caller is told anything. What a queue needs to be chosen (usable, free slots) is mirrored in
//! atomics, so that selection takes no lock.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::card::{HwCard, QUEUE_DEPTH};
use super::queue::{ApQueue, Done, Event, Wait};
use super::response::ResponseCode;
use super::{Apqn, Instructions};
use crate::config::Config;
use crate::zcrypt::error::Cause;

/// Index of a card and of a queue on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) card: usize,
    pub(crate) queue: usize,
}

/// The driver's queue, with what can be read without its lock.
#[derive(Debug)]
pub(crate) struct Queue<P> {
    pub(crate) apqn: Apqn,
    driver: Mutex<ApQueue<P>>,
    usable: AtomicBool,
    /// Slots promised to requests: never more than the depth, so the driver never piles up work.
    reserved: AtomicUsize,
    wait: AtomicU8,
}

impl<P> Queue<P> {
    fn lock(&self) -> MutexGuard<'_, ApQueue<P>> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `act` on the state machine and publishes what others read without the lock.
    fn with<R>(&self, act: impl FnOnce(&mut ApQueue<P>) -> (R, Option<Wait>)) -> R {
        let mut driver = self.lock();
        let (result, wait) = act(&mut driver);
        self.usable.store(driver.usable(), SeqCst);
        if let Some(wait) = wait {
            self.wait.store(wait as u8, SeqCst);
        }
        result
    }

    /// Requests may be given to this queue.
    pub(crate) fn usable(&self) -> bool {
        self.usable.load(SeqCst)
    }

    /// A slot is free.
    pub(crate) fn has_room(&self) -> bool {
        self.reserved.load(SeqCst) < QUEUE_DEPTH
    }

    /// Promises a slot to a request.
    pub(crate) fn reserve(&self) -> bool {
        self.reserved.fetch_update(SeqCst, SeqCst, |n| (n < QUEUE_DEPTH).then_some(n + 1)).is_ok()
    }

    /// Gives a slot back.
    pub(crate) fn release(&self) {
        self.reserved.fetch_sub(1, SeqCst);
    }

    /// No slot is promised to anybody.
    #[cfg(test)]
    pub(crate) fn is_free(&self) -> bool {
        self.reserved.load(SeqCst) == 0
    }

    /// What the state machine waits for.
    pub(crate) fn wait(&self) -> Wait {
        Wait::from_number(self.wait.load(SeqCst))
    }

    /// A look at the state machine.
    pub(crate) fn inspect<R>(&self, look: impl FnOnce(&ApQueue<P>) -> R) -> R {
        look(&self.lock())
    }
}

/// One card: hardware and driver.
#[derive(Debug)]
pub(crate) struct Card<P> {
    pub(crate) hw: HwCard,
    pub(crate) queues: Box<[Queue<P>]>,
}

/// All cards.
#[derive(Debug)]
pub(crate) struct Bus<P> {
    pub(crate) cards: Box<[Card<P>]>,
}

impl<P> Bus<P> {
    pub(crate) fn new(config: &Config) -> Self {
        let card = |card: &crate::config::CardConfig| {
            let queue = |&domain: &u8| {
                let apqn = Apqn { card: card.id, domain };
                Queue {
                    apqn,
                    driver: Mutex::new(ApQueue::new(apqn, QUEUE_DEPTH, config.request_timeout)),
                    usable: AtomicBool::new(true),
                    reserved: AtomicUsize::new(0),
                    wait: AtomicU8::new(0),
                }
            };
            Card {
                hw: HwCard::new(card.id, card.kind, card.domains.len()),
                queues: card.domains.iter().map(queue).collect(),
            }
        };
        Self { cards: config.cards.iter().map(card).collect() }
    }

    /// The queue at `place`.
    pub(crate) fn queue(&self, place: Place) -> &Queue<P> {
        &self.cards[place.card].queues[place.queue]
    }

    /// Every queue.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + use<P> {
        let counts: Vec<_> = self.cards.iter().map(|card| card.queues.len()).collect();
        counts
            .into_iter()
            .enumerate()
            .flat_map(|(card, count)| (0..count).map(move |queue| Place { card, queue }))
    }

    /// Gives a message to a queue and sends it if possible; returns `private` if the queue is
    /// not usable.
    pub(crate) fn enqueue(
        &self,
        place: Place,
        bytes: Vec<u8>,
        private: P,
        out: &mut Vec<Done<P>>,
    ) -> Result<(), P> {
        let card = &self.cards[place.card];
        let line = card.hw.line(place.queue);
        let now = Instant::now();
        let wait =
            card.queues[place.queue].with(|driver| match driver.push(bytes, private, now) {
                Ok(_) => {
                    let wait = driver.run(&line, Event::Poll, out);
                    (Ok(wait), Some(wait))
                }
                Err(private) => (Err(private), None),
            })?;
        if wait.timer().is_some() {
            card.hw.ring();
        }
        Ok(())
    }

    /// Lets a queue handle an event: the interrupt handler.
    pub(crate) fn event(&self, place: Place, event: Event, out: &mut Vec<Done<P>>) {
        let card = &self.cards[place.card];
        let line = card.hw.line(place.queue);
        let wait = card.queues[place.queue].with(|driver| {
            let wait = driver.run(&line, event, out);
            (wait, Some(wait))
        });
        if wait.timer().is_some() {
            card.hw.ring();
        }
    }

    /// Resets a queue that has kept a request for too long.
    pub(crate) fn check_timeout(&self, place: Place, now: Instant, out: &mut Vec<Done<P>>) -> bool {
        let late = self.queue(place).inspect(|driver| driver.timed_out(now));
        if late {
            self.event(place, Event::Timeout, out);
        }
        late
    }

    /// Bus scan of one queue: takes over the card's state, repairs an ERROR.
    pub(crate) fn scan(&self, place: Place, out: &mut Vec<Done<P>>) {
        let card = &self.cards[place.card];
        let code = card.hw.line(place.queue).tapq().response();
        let configured = code != ResponseCode::Deconfigured;
        let checkstopped = code == ResponseCode::Checkstopped;
        card.queues[place.queue].with(|driver| {
            if driver.set_card_state(configured, checkstopped) {
                driver.flush(Cause::Ap(code), out);
            }
            let repaired = configured && !checkstopped && driver.repair();
            (repaired, None)
        });
        self.event(place, Event::Poll, out);
    }

    /// Gives back everything that a queue holds and resets it.
    pub(crate) fn clear(&self, place: Place, cause: Cause, out: &mut Vec<Done<P>>) {
        self.queue(place).with(|driver| (driver.clear(cause, out), None));
        self.event(place, Event::Poll, out);
    }

    /// Ends a queue for good.
    pub(crate) fn shut_down(&self, place: Place, out: &mut Vec<Done<P>>) {
        self.queue(place).with(|driver| (driver.shut_down(out), None));
    }
}
