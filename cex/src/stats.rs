//! Counters of cards and queues, and the snapshot that `cards` prints.
//!
//! A card's own figures have one writer, its thread, and are plain loads and stores. What
//! several callers count uses relaxed additions, once for each private-key operation.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::ap::Apqn;
use crate::ap::bus::Place;
use crate::ap::card::QUEUE_DEPTH;
use crate::ap::queue::{DeviceState, State};
use crate::ap::response::ResponseCode;
use crate::config::CardType;
pub use crate::device::batch::{BatchCounts, Gain};
use crate::device::{Fitted, batch};
use crate::fault::Fault;
use crate::key::SelfTest;
use crate::zcrypt::Zcrypt;
pub use crate::zcrypt::lane::LaneRow;

/// Longest service time that the histogram tells apart: a minute, in nanoseconds.
const SERVICE_MAX_NS: u64 = 60_000_000_000;

/// Counters of one queue.
#[derive(Debug)]
pub(crate) struct QueueStats {
    /// Written by the card's thread only; the lock is contended by a snapshot at most.
    service: Mutex<Option<Histogram<u64>>>,
    busy_ns: AtomicU64,
    batches: AtomicU64,
    batched: AtomicU64,
    pub(crate) verify_failures: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) error_replies: AtomicU64,
    pub(crate) timeouts: AtomicU64,
}

impl Default for QueueStats {
    fn default() -> Self {
        Self {
            service: Mutex::new(Histogram::new_with_bounds(1_000, SERVICE_MAX_NS, 2).ok()),
            busy_ns: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            batched: AtomicU64::new(0),
            verify_failures: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            error_replies: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Addition by the only writer.
fn add(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

impl QueueStats {
    /// The card's thread has made a reply.
    pub(crate) fn record(&self, service: Duration, busy: Duration) {
        add(&self.busy_ns, nanos(busy));
        if let Some(histogram) = self.lock().as_mut() {
            histogram.saturating_record(nanos(service));
        }
    }

    /// The card's thread has executed so many requests together.
    pub(crate) fn count_batch(&self, requests: usize) {
        add(&self.batches, 1);
        add(&self.batched, u64::try_from(requests).unwrap_or(u64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Histogram<u64>>> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn service(&self) -> ServiceTime {
        let guard = self.lock();
        let Some(histogram) = guard.as_ref() else { return ServiceTime::default() };
        let at = |quantile| Duration::from_nanos(histogram.value_at_quantile(quantile));
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a mean of values between 0 and one minute in nanoseconds"
        )]
        let mean = Duration::from_nanos(histogram.mean() as u64);
        ServiceTime {
            count: histogram.len(),
            mean,
            median: at(0.5),
            p99: at(0.99),
            max: Duration::from_nanos(histogram.max()),
        }
    }
}

/// Counters of one card.
#[derive(Debug, Default)]
pub(crate) struct CardStats {
    cpu_ns: AtomicU64,
}

impl CardStats {
    pub(crate) fn set_cpu(&self, cpu: Duration) {
        self.cpu_ns.store(nanos(cpu), Relaxed);
    }
}

/// State of a card or a queue as `lszcrypt` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Takes requests.
    Online,
    /// Taken offline by an administrator, or after a wrong result.
    Offline,
    /// Not in the configuration.
    Deconfigured,
    /// Stopped after an error of its own.
    Checkstopped,
    /// The driver gave the queue up; the next bus scan repairs it.
    Error,
}

impl Status {
    /// `online`, `offline`, `deconfig`, `chkstop`, `error`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Deconfigured => "deconfig",
            Self::Checkstopped => "chkstop",
            Self::Error => "error",
        }
    }
}

/// Service times of a queue, from the begin of work to the reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceTime {
    /// Replies.
    pub count: u64,
    /// Mean.
    pub mean: Duration,
    /// Median.
    pub median: Duration,
    /// 99th percentile.
    pub p99: Duration,
    /// Longest.
    pub max: Duration,
}

/// One queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueRow {
    /// Its address.
    pub apqn: Apqn,
    /// Its state.
    pub status: Status,
    /// Requests since the start; counted when they are enqueued.
    pub requests: u64,
    /// Requests in the driver's queues, sent or not.
    pub pending: usize,
    /// Slots.
    pub depth: usize,
    /// Sum of the speed ratings of what is in flight.
    pub load: u32,
    /// State of the driver's state machine, `IDLE`, `WORKING` ...
    pub state: &'static str,
    /// Response code of the last ERROR.
    pub last_error: Option<ResponseCode>,
    /// Service times.
    pub service: ServiceTime,
    /// Time that the card worked for this queue.
    pub busy: Duration,
    /// `busy` as a share of the time since the start.
    pub utilisation: f64,
    /// Results that the host refused.
    pub verify_failures: u64,
    /// Requests that were tried again after a try here.
    pub retries: u64,
    /// Error replies.
    pub error_replies: u64,
    /// Times that the queue was reset because it was silent.
    pub timeouts: u64,
    /// Resets, the first one at the start included.
    pub resets: u64,
    /// Replies that matched no request.
    pub unmatched: u64,
    /// Executions by the card's engine.
    pub batches: u64,
    /// Requests for each execution; 0 without any.
    pub batch_fill: f64,
    /// Faults that were injected into the queue.
    pub faults: Vec<Fault>,
}

/// The batch engine of a card.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchRow {
    /// What it has done.
    pub counts: BatchCounts,
    /// What it gains, for each size of modulus of which a key has been loaded.
    pub gains: Vec<Gain>,
    /// What became of the keys when they were prepared.
    pub self_test: SelfTest,
}

/// One card.
#[derive(Clone, Debug, PartialEq)]
pub struct CardRow {
    /// Adapter number; `lszcrypt` prints it as two hexadecimal digits.
    pub id: u8,
    /// Type; has the texts of the columns TYPE, MODE and FUNCTIONS.
    pub kind: CardType,
    /// State.
    pub status: Status,
    /// Requests of all queues.
    pub requests: u64,
    /// Pending requests of all queues.
    pub pending: usize,
    /// Column HWTYPE.
    pub hardware_type: u8,
    /// Column QDEPTH.
    pub depth: usize,
    /// Column DRIVER. There is none; it says that the card is simulated.
    pub driver: &'static str,
    /// How requests are executed.
    pub engine: &'static str,
    /// What the engine does together, if it does.
    pub batch: Option<BatchRow>,
    /// Sum of the speed ratings of what is in flight.
    pub load: u32,
    /// CPU time of the card's thread.
    pub cpu: Duration,
    /// The queues.
    pub queues: Vec<QueueRow>,
}

/// Everything that `cards` shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The cards.
    pub cards: Vec<CardRow>,
    /// The queues in front of the bus.
    pub lanes: Vec<LaneRow>,
    /// Keys loaded.
    pub keys: usize,
    /// Requests done by the host because no card could.
    pub software: u64,
    /// Replies whose port was gone.
    pub orphaned: u64,
    /// Time since the start.
    pub uptime: Duration,
}

fn state_name(state: State, device: DeviceState) -> &'static str {
    match (device, state) {
        (DeviceState::Shutdown, _) => "SHUTDOWN",
        (DeviceState::Error, _) => "ERROR",
        (_, State::ResetStart) => "RESET_START",
        (_, State::ResetWait) => "RESET_WAIT",
        (_, State::SetIrqWait) => "SETIRQ_WAIT",
        (_, State::Idle) => "IDLE",
        (_, State::Working) => "WORKING",
        (_, State::QueueFull) => "QUEUE_FULL",
    }
}

impl Zcrypt {
    /// `engines` are those of the cards, in their order.
    pub(crate) fn snapshot(&self, engines: &[Fitted]) -> Snapshot {
        let cards =
            (0..self.cards.len()).map(|card| self.card_row(card, engines.get(card))).collect();
        Snapshot {
            cards,
            lanes: self.lanes.rows(),
            keys: self.keys.len(),
            software: self.software.load(Relaxed),
            orphaned: self.orphaned.load(Relaxed),
            uptime: self.uptime(),
        }
    }

    fn card_row(&self, index: usize, engine: Option<&Fitted>) -> CardRow {
        let (card, hw) = (&self.cards[index], &self.bus.cards[index].hw);
        let queues: Vec<_> = (0..card.queues.len())
            .map(|queue| self.queue_row(Place { card: index, queue }))
            .collect();
        CardRow {
            id: hw.id,
            kind: hw.kind,
            status: self.card_status(index),
            requests: card.requests.load(Relaxed),
            pending: queues.iter().map(|queue| queue.pending).sum(),
            hardware_type: CardType::HARDWARE_TYPE,
            depth: QUEUE_DEPTH,
            driver: "simulated",
            engine: engine.map_or("none", |engine| engine.name),
            batch: engine.and_then(|engine| engine.tally.as_ref()).map(|tally| BatchRow {
                counts: tally.read(),
                gains: batch::gains(),
                self_test: self.keys.self_test(),
            }),
            load: card.load.load(Relaxed),
            cpu: Duration::from_nanos(card.stats.cpu_ns.load(Relaxed)),
            queues,
        }
    }

    pub(crate) fn card_status(&self, index: usize) -> Status {
        match self.bus.cards[index].hw.refusal() {
            Some(ResponseCode::Deconfigured) => Status::Deconfigured,
            Some(_) => Status::Checkstopped,
            None if self.cards[index].online.load(Relaxed) => Status::Online,
            None => Status::Offline,
        }
    }

    fn queue_row(&self, place: Place) -> QueueRow {
        let (queue, bus) = (self.zqueue(place), self.bus.queue(place));
        let (state, device, (waiting, sent), (unmatched, resets), last_error) =
            bus.inspect(|driver| {
                let (state, device) = driver.state();
                (state, device, driver.lengths(), driver.oddities(), driver.last_error())
            });
        let status = match self.card_status(place.card) {
            Status::Online if !queue.online.load(Relaxed) => Status::Offline,
            Status::Online if device == DeviceState::Error => Status::Error,
            other => other,
        };
        let stats = &queue.stats;
        let busy = Duration::from_nanos(stats.busy_ns.load(Relaxed));
        let batches = stats.batches.load(Relaxed);
        #[allow(clippy::cast_precision_loss, reason = "a mean for display")]
        let batch_fill = stats.batched.load(Relaxed) as f64 / batches.max(1) as f64;
        QueueRow {
            apqn: bus.apqn,
            status,
            requests: queue.requests.load(Relaxed),
            pending: waiting + sent,
            depth: QUEUE_DEPTH,
            load: queue.load.load(Relaxed),
            state: state_name(state, device),
            last_error,
            service: stats.service(),
            busy,
            utilisation: busy.as_secs_f64() / self.uptime().as_secs_f64(),
            verify_failures: stats.verify_failures.load(Relaxed),
            retries: stats.retries.load(Relaxed),
            error_replies: stats.error_replies.load(Relaxed),
            timeouts: stats.timeouts.load(Relaxed),
            resets,
            unmatched,
            batches,
            batch_fill,
            faults: self.bus.cards[place.card].hw.queues[place.queue].faults.list(),
        }
    }
}
