//! Faults of the simulated hardware.
//!
//! A fault is a state of a card or of a queue, set and taken back while requests are running; the
//! driver learns of it only through response codes, replies and silence, as with a real card.
//!
//! Invariants: nothing is injected unless [`crate::Config::fault_injection`] says so, which a
//! production daemon never does; while no fault is set, each side of the bus looks at one relaxed
//! flag for each message and at nothing else.

mod words;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::ap::response::ResponseCode;
use crate::ap::{Apqn, Instructions, bus::Place};
use crate::{Cex, Error};
pub use words::{LATENCY_MAX, WORDS, WordError};

/// What a fault is done to. It is written as `lszcrypt` does: `00` or `00.0006`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A card with all its queues.
    Card(u8),
    /// One queue. Faults of the whole card then hit the card that it belongs to.
    Queue(Apqn),
}

/// A fault that can be injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The card leaves the configuration (response code 03).
    Deconfigured,
    /// The card stops after an error of its own (response code 04).
    Checkstopped,
    /// An administrator takes it offline, as `chzcrypt -d`.
    Offline,
    /// One bit of every result is wrong.
    WrongResult,
    /// Requests are swallowed; their slots stay in use.
    LostReply,
    /// Requests are swallowed; their slots are free again ("the card forgot").
    Forgotten,
    /// Every reply comes this much later. Several requests of a queue wait at the same time.
    Slow(Duration),
    /// NQAP finds the queue full.
    QueueFull,
    /// The queue is reset once, with what is in it.
    Reset,
    /// NQAP answers with this response code.
    Response(ResponseCode),
    /// Every request is answered by an error message with this reply code.
    ErrorReply(u8),
}

/// Faults of one hardware queue.
#[derive(Debug, Default)]
pub(crate) struct QueueFaults {
    /// Any of the others is set.
    active: AtomicBool,
    wrong_result: AtomicBool,
    lost: AtomicBool,
    forgotten: AtomicBool,
    full: AtomicBool,
    slow_us: AtomicU64,
    /// A response code; 0 (normal) means no fault.
    response: AtomicU8,
    /// A reply code; 0 means no fault.
    error_reply: AtomicU8,
}

/// What becomes of a request that a faulty queue swallows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swallowed {
    Lost,
    Forgotten,
}

impl QueueFaults {
    /// The faults, if there are any: the one look that a healthy queue costs.
    pub(crate) fn active(&self) -> Option<&Self> {
        self.active.load(Relaxed).then_some(self)
    }

    pub(crate) fn wrong_result(&self) -> bool {
        self.wrong_result.load(Relaxed)
    }

    pub(crate) fn swallowed(&self) -> Option<Swallowed> {
        if self.lost.load(Relaxed) {
            Some(Swallowed::Lost)
        } else if self.forgotten.load(Relaxed) {
            Some(Swallowed::Forgotten)
        } else {
            None
        }
    }

    pub(crate) fn full(&self) -> bool {
        self.full.load(Relaxed)
    }

    pub(crate) fn latency(&self) -> Duration {
        Duration::from_micros(self.slow_us.load(Relaxed))
    }

    pub(crate) fn response(&self) -> Option<ResponseCode> {
        match self.response.load(Relaxed) {
            0 => None,
            number => ResponseCode::from_number(number),
        }
    }

    pub(crate) fn error_reply(&self) -> Option<u8> {
        Some(self.error_reply.load(Relaxed)).filter(|code| *code != 0)
    }

    /// What is set, in the words of an administrator.
    pub(crate) fn list(&self) -> Vec<Fault> {
        let Some(faults) = self.active() else { return Vec::new() };
        let swallowed = faults.swallowed().map(|fate| match fate {
            Swallowed::Lost => Fault::LostReply,
            Swallowed::Forgotten => Fault::Forgotten,
        });
        let slow = Some(faults.latency()).filter(|latency| !latency.is_zero());
        [
            faults.wrong_result().then_some(Fault::WrongResult),
            swallowed,
            slow.map(Fault::Slow),
            faults.full().then_some(Fault::QueueFull),
            faults.response().map(Fault::Response),
            faults.error_reply().map(Fault::ErrorReply),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Sets a fault of the queue; faults of the card or of the driver are not ours.
    pub(crate) fn set(&self, fault: Fault) {
        match fault {
            Fault::WrongResult => self.wrong_result.store(true, Relaxed),
            Fault::LostReply => self.lost.store(true, Relaxed),
            Fault::Forgotten => self.forgotten.store(true, Relaxed),
            Fault::QueueFull => self.full.store(true, Relaxed),
            Fault::Slow(latency) => {
                let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
                self.slow_us.store(micros, Relaxed);
            }
            Fault::Response(code) => self.response.store(code.number(), Relaxed),
            Fault::ErrorReply(code) => self.error_reply.store(code, Relaxed),
            Fault::Deconfigured | Fault::Checkstopped | Fault::Offline | Fault::Reset => return,
        }
        self.active.store(true, Relaxed);
    }

    pub(crate) fn clear(&self) {
        self.active.store(false, Relaxed);
        self.wrong_result.store(false, Relaxed);
        self.lost.store(false, Relaxed);
        self.forgotten.store(false, Relaxed);
        self.full.store(false, Relaxed);
        self.slow_us.store(0, Relaxed);
        self.response.store(0, Relaxed);
        self.error_reply.store(0, Relaxed);
    }
}

impl Cex {
    /// Whether faults may be injected here.
    pub fn injects_faults(&self) -> bool {
        self.zcrypt.config.fault_injection
    }

    fn may_inject(&self) -> Result<(), Error> {
        if self.injects_faults() { Ok(()) } else { Err(Error::NoFaultInjection) }
    }

    /// Breaks a card or a queue. It stays broken until [`Cex::repair`].
    pub fn inject(&self, target: Target, fault: Fault) -> Result<(), Error> {
        self.may_inject()?;
        let (card, queues) = self.resolve(target)?;
        let hw = &self.zcrypt.bus.cards[card].hw;
        match (fault, target) {
            (Fault::Deconfigured, _) => hw.set_configured(false),
            (Fault::Checkstopped, _) => hw.set_checkstopped(true),
            (Fault::Offline, Target::Card(_)) => self.zcrypt.set_card_online(card, false),
            (Fault::Offline, Target::Queue(_)) => {
                queues.for_each(|queue| self.zcrypt.set_online(Place { card, queue }, false));
                return Ok(());
            }
            (Fault::Reset, _) => queues.for_each(|queue| {
                let _ = hw.line(queue).rapq();
            }),
            _ => queues.for_each(|queue| hw.queues[queue].faults.set(fault)),
        }
        // A change of the configuration announces itself; the driver looks at once.
        self.zcrypt.scan();
        self.zcrypt.pump();
        Ok(())
    }

    /// Takes back every fault of a card or a queue and brings it online again.
    pub fn repair(&self, target: Target) -> Result<(), Error> {
        self.may_inject()?;
        let (card, queues) = self.resolve(target)?;
        let hw = &self.zcrypt.bus.cards[card].hw;
        hw.set_configured(true);
        hw.set_checkstopped(false);
        self.zcrypt.set_card_online(card, true);
        for queue in queues {
            hw.queues[queue].faults.clear();
            self.zcrypt.set_online(Place { card, queue }, true);
        }
        self.zcrypt.scan();
        self.zcrypt.pump();
        Ok(())
    }

    /// Takes back every fault of every card.
    pub fn repair_all(&self) -> Result<(), Error> {
        let ids: Vec<u8> = self.zcrypt.bus.cards.iter().map(|card| card.hw.id).collect();
        ids.into_iter().try_for_each(|id| self.repair(Target::Card(id)))
    }

    fn resolve(&self, target: Target) -> Result<(usize, std::ops::Range<usize>), Error> {
        match target {
            Target::Card(id) => {
                let card = self.card_index(id)?;
                Ok((card, 0..self.zcrypt.cards[card].queues.len()))
            }
            Target::Queue(apqn) => {
                let Place { card, queue } = self.place(apqn)?;
                Ok((card, queue..queue + 1))
            }
        }
    }
}

#[cfg(test)]
mod tests;
