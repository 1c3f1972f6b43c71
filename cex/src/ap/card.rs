//! The *simulated* hardware: a card with one queue of eight slots for each domain.
//!
//! Two sides meet here and never wait for each other: the driver issues AP instructions
//! ([`Line`] implements them), the device (see `device::worker`) takes requests and puts replies.
//!
//! Invariants:
//! * `occupied` counts every slot in use: waiting, in service, lost, or answered and not fetched.
//!   It never exceeds [`QUEUE_DEPTH`], so `put` always finds room.
//! * A reset raises `generation`; work that was begun before is discarded, never answered.
//! * Nothing here reads a message. Faults are part of the hardware and of nothing else.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::thread::Thread;
use std::time::Instant;

use crossbeam::queue::ArrayQueue;

use super::Instructions;
use super::message::{Psmid, Reply};
use super::response::{ResponseCode, StatusWord};
use crate::config::CardType;
use crate::fault::QueueFaults;

/// Slots of a queue (QD + 1 of TAPQ; 8 in practice).
pub(crate) const QUEUE_DEPTH: usize = 8;

/// Largest message (ML = 0 means 12 KiB).
pub(crate) const MAX_MESSAGE: usize = 12 * 1024;

/// A request as the device sees it.
#[derive(Debug)]
pub(crate) struct HwRequest {
    pub(crate) psmid: Psmid,
    pub(crate) bytes: Vec<u8>,
    pub(crate) generation: u32,
    pub(crate) arrived: Instant,
}

/// One hardware queue.
#[derive(Debug)]
pub(crate) struct HwQueue {
    pub(crate) faults: QueueFaults,
    requests: ArrayQueue<HwRequest>,
    replies: ArrayQueue<Reply>,
    occupied: AtomicUsize,
    /// Slots whose request was swallowed; only a reset frees them.
    lost: AtomicUsize,
    generation: AtomicU32,
    resetting: AtomicBool,
    irq: AtomicBool,
}

impl HwQueue {
    fn new() -> Self {
        Self {
            faults: QueueFaults::default(),
            requests: ArrayQueue::new(QUEUE_DEPTH),
            replies: ArrayQueue::new(QUEUE_DEPTH),
            occupied: AtomicUsize::new(0),
            lost: AtomicUsize::new(0),
            generation: AtomicU32::new(0),
            resetting: AtomicBool::new(false),
            irq: AtomicBool::new(false),
        }
    }

    /// Device side: takes the next request.
    pub(crate) fn take(&self) -> Option<HwRequest> {
        self.requests.pop()
    }

    /// Device side: whether requests wait.
    pub(crate) fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Device side: puts a reply, unless a reset made it stale.
    pub(crate) fn put(&self, reply: Reply, generation: u32) {
        if generation != self.generation.load(SeqCst) || self.replies.push(reply).is_err() {
            self.release(1);
        }
    }

    /// Device side: the request is dropped and its slot is free again ("the card forgot").
    pub(crate) fn forget(&self) {
        self.release(1);
    }

    /// Device side: the request is dropped, its slot stays in use until the next reset.
    pub(crate) fn lose(&self, generation: u32) {
        if generation == self.generation.load(SeqCst) {
            self.lost.fetch_add(1, SeqCst);
        } else {
            self.release(1);
        }
    }

    /// Whether a request was swallowed since the last reset.
    #[cfg(test)]
    pub(crate) fn has_lost(&self) -> bool {
        self.lost.load(SeqCst) > 0
    }

    /// Device side: a reset has been asked for and is not finished.
    pub(crate) fn reset_wanted(&self) -> bool {
        self.resetting.load(SeqCst)
    }

    /// Device side: ends a reset. The caller has dropped what it held of this queue.
    pub(crate) fn finish_reset(&self) {
        while self.requests.pop().is_some() {
            self.release(1);
        }
        while self.replies.pop().is_some() {
            self.release(1);
        }
        self.release(self.lost.swap(0, SeqCst));
        self.resetting.store(false, SeqCst);
    }

    fn release(&self, slots: usize) {
        self.occupied.fetch_sub(slots, SeqCst);
    }

    fn start_reset(&self) {
        self.irq.store(false, SeqCst);
        self.generation.fetch_add(1, SeqCst);
        self.resetting.store(true, SeqCst);
    }

    fn status(&self, code: ResponseCode) -> StatusWord {
        let occupied = self.occupied.load(SeqCst);
        StatusWord::new(code)
            .with_queue_empty(occupied == 0)
            .with_replies_waiting(!self.replies.is_empty())
            .with_queue_full(occupied >= QUEUE_DEPTH)
            .with_irq_enabled(self.irq.load(SeqCst))
    }

    fn occupy(&self) -> bool {
        self.occupied.fetch_update(SeqCst, SeqCst, |n| (n < QUEUE_DEPTH).then_some(n + 1)).is_ok()
    }
}

/// One simulated card.
#[derive(Debug)]
pub(crate) struct HwCard {
    pub(crate) id: u8,
    pub(crate) kind: CardType,
    pub(crate) queues: Box<[HwQueue]>,
    configured: AtomicBool,
    checkstopped: AtomicBool,
    /// The card's thread is gone: a checkstop that nothing repairs.
    dead: AtomicBool,
    doorbell: OnceLock<Thread>,
}

impl HwCard {
    pub(crate) fn new(id: u8, kind: CardType, queues: usize) -> Self {
        let queues = (0..queues).map(|_| HwQueue::new()).collect();
        Self {
            id,
            kind,
            queues,
            configured: AtomicBool::new(true),
            checkstopped: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            doorbell: OnceLock::new(),
        }
    }

    /// The card's thread says where it can be woken.
    pub(crate) fn attach(&self, thread: Thread) {
        // A card has one thread for its whole life; a second call changes nothing.
        let _ = self.doorbell.set(thread);
    }

    /// Wakes the card's thread.
    pub(crate) fn ring(&self) {
        if let Some(thread) = self.doorbell.get() {
            thread.unpark();
        }
    }

    /// The card can work at all.
    pub(crate) fn operational(&self) -> bool {
        self.refusal().is_none()
    }

    /// Puts the card into or out of the configuration.
    pub(crate) fn set_configured(&self, on: bool) {
        self.configured.store(on, SeqCst);
    }

    /// The card's thread ends after a panic.
    pub(crate) fn die(&self) {
        self.dead.store(true, SeqCst);
    }

    /// Stops the card after an error of its own, or clears that state.
    pub(crate) fn set_checkstopped(&self, on: bool) {
        self.checkstopped.store(on, SeqCst);
    }

    /// The instructions of one queue of this card.
    pub(crate) fn line(&self, queue: usize) -> Line<'_> {
        Line { card: self, queue: &self.queues[queue] }
    }

    /// The code with which a card that is out of order refuses every instruction.
    pub(crate) fn refusal(&self) -> Option<ResponseCode> {
        if !self.configured.load(SeqCst) {
            Some(ResponseCode::Deconfigured)
        } else if self.checkstopped.load(SeqCst) || self.dead.load(SeqCst) {
            Some(ResponseCode::Checkstopped)
        } else {
            None
        }
    }
}

/// The AP instructions of the simulated hardware, addressed to one queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    card: &'a HwCard,
    queue: &'a HwQueue,
}

impl Line<'_> {
    fn refusal(&self) -> Option<ResponseCode> {
        self.card
            .refusal()
            .or_else(|| self.queue.resetting.load(SeqCst).then_some(ResponseCode::ResetInProgress))
    }
}

impl Instructions for Line<'_> {
    fn nqap(&self, psmid: Psmid, message: &[u8]) -> StatusWord {
        let queue = self.queue;
        let faults = queue.faults.active();
        if let Some(code) = self.refusal().or_else(|| faults.and_then(QueueFaults::response)) {
            return queue.status(code);
        }
        if message.len() > MAX_MESSAGE {
            return queue.status(ResponseCode::MessageTooBig);
        }
        if faults.is_some_and(QueueFaults::full) || !queue.occupy() {
            return queue.status(ResponseCode::QueueFullOrNoReply).with_queue_full(true);
        }
        let request = HwRequest {
            psmid,
            bytes: message.to_vec(),
            generation: queue.generation.load(SeqCst),
            arrived: Instant::now(),
        };
        if queue.requests.push(request).is_err() {
            queue.release(1);
            return queue.status(ResponseCode::QueueFullOrNoReply).with_queue_full(true);
        }
        self.card.ring();
        queue.status(ResponseCode::Normal)
    }

    fn dqap(&self) -> (StatusWord, Option<Reply>) {
        let queue = self.queue;
        if let Some(code) = self.refusal() {
            return (queue.status(code), None);
        }
        match queue.replies.pop() {
            Some(reply) => {
                queue.release(1);
                (queue.status(ResponseCode::Normal), Some(reply))
            }
            None => (queue.status(ResponseCode::QueueFullOrNoReply), None),
        }
    }

    fn tapq(&self) -> StatusWord {
        self.queue.status(self.refusal().unwrap_or(ResponseCode::Normal))
    }

    fn rapq(&self) -> StatusWord {
        if let Some(code) = self.card.refusal() {
            return self.queue.status(code);
        }
        self.queue.start_reset();
        self.card.ring();
        self.queue.status(ResponseCode::Normal)
    }

    fn aqic(&self) -> StatusWord {
        if let Some(code) = self.refusal() {
            return self.queue.status(code);
        }
        self.queue.irq.store(true, SeqCst);
        self.queue.status(ResponseCode::Normal)
    }
}
