//! Faults of the simulated hardware.
//!
//! A fault is a state of a card or of a queue, set and taken back while requests are running; the
//! driver learns of it only through response codes, replies and silence, as with a real card.
//! The methods that set faults exist in test builds and with the feature `fault-injection` only;
//! without them the switches below stay off for ever.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::ap::response::ResponseCode;
#[cfg(any(test, feature = "fault-injection"))]
use crate::ap::{Apqn, Instructions, bus::Place};
#[cfg(any(test, feature = "fault-injection"))]
use crate::{Cex, Error};

/// What a fault is done to.
#[cfg(any(test, feature = "fault-injection"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A card with all its queues.
    Card(u8),
    /// One queue. Faults of the whole card then hit the card that it belongs to.
    Queue(Apqn),
}

/// A fault that can be injected.
#[cfg(any(test, feature = "fault-injection"))]
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

    /// Sets a fault of the queue; faults of the card or of the driver are not ours.
    #[cfg(any(test, feature = "fault-injection"))]
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
            Fault::Deconfigured | Fault::Checkstopped | Fault::Offline | Fault::Reset => {}
        }
    }

    #[cfg(any(test, feature = "fault-injection"))]
    pub(crate) fn clear(&self) {
        self.wrong_result.store(false, Relaxed);
        self.lost.store(false, Relaxed);
        self.forgotten.store(false, Relaxed);
        self.full.store(false, Relaxed);
        self.slow_us.store(0, Relaxed);
        self.response.store(0, Relaxed);
        self.error_reply.store(0, Relaxed);
    }
}

#[cfg(any(test, feature = "fault-injection"))]
impl Cex {
    /// Breaks a card or a queue. It stays broken until [`Cex::repair`].
    pub fn inject(&self, target: Target, fault: Fault) -> Result<(), Error> {
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
