//! Policy between callers and the bus: selection, the queue in front of the bus, retry.
//!
//! * [`select`]: which queue gets a request;
//! * [`retry`]: what becomes of a reply, run in the caller's context;
//! * [`error`]: what a refusal means.
//!
//! The way of a request: `submit`, a lane if all queues are full, `send`, NQAP, the card, DQAP in
//! the card's thread (`interrupt`, `settle`), the port's completion queue, `judge` in the
//! caller's thread; then its completion, or `send` again.
//!
//! Invariant: a [`Ticket`] is in exactly one place at a time (lane, driver queue, port), and each
//! of these places is emptied on shutdown, so every request ends exactly once.

pub(crate) mod error;
pub(crate) mod lane;
pub(crate) mod retry;
pub(crate) mod select;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::ap::bus::{Bus, Place, Queue};
use crate::ap::queue::{Done, Event, Outcome};
use crate::config::{CardConfig, CardType, Config, EngineChoice, NoCard};
use crate::device::batch;
use crate::device::courtesy::Processors;
use crate::key::{KeyKind, KeyStore};
use crate::msg::{type6, type50};
use crate::port::PortShared;
use crate::request::{Completion, Failure, SignRequest, Trace};
use crate::stats::{CardStats, QueueStats};
use error::Cause;
pub use lane::Lane;
use lane::Lanes;
use select::{CardView, Choice, Demand, History, Loss, QueueView, select, speed_rating};

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) port: Weak<PortShared>,
    pub(crate) token: u64,
    pub(crate) request: SignRequest,
    pub(crate) submitted: Instant,
    /// Rating that the present try adds to the load of card and queue.
    pub(crate) weight: u32,
    /// Queue of the present or last try.
    pub(crate) place: Option<Place>,
    pub(crate) tries: u8,
    /// Indices of card and queue of each vain try.
    pub(crate) tried: Vec<(usize, usize)>,
    /// Those of them that gave no answer at all.
    pub(crate) lost: Vec<Loss>,
    /// When it was sent to its place, in milliseconds since the start.
    pub(crate) sent_ms: u64,
    pub(crate) last_cause: Option<Cause>,
    /// When the last try failed.
    pub(crate) failed: Option<Instant>,
}

/// How long a request waits after its first vain try for a full queue that has failed it less often
/// than others, before it also goes back to these. It doubles with each of the next three tries:
/// other cards that are slow, not stuck, then have the time they need before the tries are used up,
/// and the request is not yet too old to wait ([`Config::fifo_age_max`]).
const RETRY_PATIENCE: Duration = Duration::from_millis(250);

impl Ticket {
    fn is_patient(&self) -> bool {
        let doubled = u32::from(self.tries.saturating_sub(1)).min(3);
        self.failed.is_some_and(|failed| failed.elapsed() < RETRY_PATIENCE * (1 << doubled))
    }

    pub(crate) fn demand(&self) -> Demand {
        Demand { lane: Lane::of(&self.request), kind: self.request.key.kind() }
    }

    pub(crate) fn finish(self, result: Result<Vec<u8>, Failure>, trace: Trace) -> Completion {
        let trace = Trace { tries: self.tries, last_cause: self.last_cause, ..trace };
        Completion { token: self.token, result, trace }
    }
}

/// Policy state of one queue.
#[derive(Debug)]
pub(crate) struct ZQueue {
    pub(crate) online: AtomicBool,
    pub(crate) load: AtomicU32,
    pub(crate) requests: AtomicU64,
    pub(crate) stats: QueueStats,
    silence: Silence,
}

/// First time that a queue which lost requests is left alone; it doubles with each time.
const SILENCE_MIN: Duration = Duration::from_secs(1);
/// Longest such time.
const SILENCE_MAX: Duration = Duration::from_secs(64);

/// Whether a queue has stopped to answer, for the selection. A lost update costs one request the
/// wait for a card that is known to be silent; nothing is decided by it but an order.
#[derive(Debug, Default)]
struct Silence {
    /// Times in a row that the queue lost what it had.
    times: AtomicU32,
    /// When it may be tried again, in milliseconds since the start.
    until_ms: AtomicU64,
    /// When it answered last, or somebody took care of it, in milliseconds since the start.
    ended_ms: AtomicU64,
}

impl Silence {
    fn begin(&self, now_ms: u64) {
        let times = self.times.fetch_add(1, Relaxed).min(6);
        let time = (SILENCE_MIN * (1 << times)).min(SILENCE_MAX);
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.until_ms.store(now_ms.saturating_add(time_ms), Relaxed);
    }

    fn end(&self, now_ms: u64) {
        self.ended_ms.store(now_ms, Relaxed);
        if self.times.load(Relaxed) != 0 {
            self.times.store(0, Relaxed);
            self.until_ms.store(0, Relaxed);
        }
    }

    fn lasts(&self, now_ms: impl FnOnce() -> u64) -> bool {
        let until_ms = self.until_ms.load(Relaxed);
        // The clock is read only when there is something to compare it with.
        until_ms != 0 && now_ms() < until_ms
    }
}

/// Policy state of one card.
#[derive(Debug)]
pub(crate) struct ZCard {
    /// Its engine does RSA requests of one size together.
    batches: bool,
    pub(crate) online: AtomicBool,
    pub(crate) load: AtomicU32,
    pub(crate) requests: AtomicU64,
    pub(crate) stats: CardStats,
    pub(crate) queues: Box<[ZQueue]>,
}

/// Everything that ports, card threads and the administrator share.
#[derive(Debug)]
pub(crate) struct Zcrypt {
    pub(crate) config: Config,
    pub(crate) bus: Bus<Box<Ticket>>,
    pub(crate) cards: Box<[ZCard]>,
    pub(crate) lanes: Lanes,
    pub(crate) keys: Arc<KeyStore>,
    /// What simulated cards compute on.
    pub(crate) processors: Processors,
    pub(crate) started: Instant,
    /// Requests done by the host because no card could.
    pub(crate) software: AtomicU64,
    /// Replies whose port was gone.
    pub(crate) orphaned: AtomicU64,
    stopping: AtomicBool,
}

/// A card for the selection: bus and policy side by side.
struct View<'a> {
    bus: &'a crate::ap::bus::Card<Box<Ticket>>,
    card: &'a ZCard,
    started: Instant,
}

struct ViewQueue<'a> {
    bus: &'a Queue<Box<Ticket>>,
    queue: &'a ZQueue,
    started: Instant,
}

impl CardView for View<'_> {
    fn kind(&self) -> CardType {
        self.bus.hw.kind
    }

    fn batches(&self, bits: u32) -> bool {
        self.card.batches && batch::pays(bits)
    }

    fn online(&self) -> bool {
        self.card.online.load(Relaxed)
    }

    fn load(&self) -> u32 {
        self.card.load.load(Relaxed)
    }

    fn requests(&self) -> u64 {
        self.card.requests.load(Relaxed)
    }

    fn queues(&self) -> impl Iterator<Item = impl QueueView> {
        let started = self.started;
        let queues = self.bus.queues.iter().zip(&self.card.queues);
        queues.map(move |(bus, queue)| ViewQueue { bus, queue, started })
    }
}

impl QueueView for ViewQueue<'_> {
    fn usable(&self) -> bool {
        self.queue.online.load(Relaxed) && self.bus.usable()
    }

    fn has_room(&self) -> bool {
        self.bus.has_room()
    }

    fn silent(&self) -> bool {
        self.queue.silence.lasts(|| elapsed_ms(self.started))
    }

    fn answered_ms(&self) -> u64 {
        self.queue.silence.ended_ms.load(Relaxed)
    }

    fn load(&self) -> u32 {
        self.queue.load.load(Relaxed)
    }

    fn requests(&self) -> u64 {
        self.queue.requests.load(Relaxed)
    }
}

/// How often a request waiting for a slot is looked at again when others took it first.
const RACES: usize = 4;

impl Zcrypt {
    /// The engines of `config` are those that run: not `auto`.
    pub(crate) fn new(config: &Config) -> Self {
        let bus = Bus::new(config);
        let queue = |_: &Queue<Box<Ticket>>| ZQueue {
            online: AtomicBool::new(true),
            load: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            stats: QueueStats::default(),
            silence: Silence::default(),
        };
        let card = |(card, config): (&crate::ap::bus::Card<Box<Ticket>>, &CardConfig)| ZCard {
            batches: config.engine == EngineChoice::Batch,
            online: AtomicBool::new(true),
            load: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            stats: CardStats::default(),
            queues: card.queues.iter().map(queue).collect(),
        };
        let cards = bus.cards.iter().zip(&config.cards).map(card).collect();
        Self {
            config: config.clone(),
            bus,
            cards,
            lanes: Lanes::new(config.fifo_depth, config.fifo_age_max),
            keys: Arc::default(),
            processors: Processors::available(),
            started: Instant::now(),
            software: AtomicU64::new(0),
            orphaned: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        }
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(SeqCst)
    }

    pub(crate) fn zqueue(&self, place: Place) -> &ZQueue {
        &self.cards[place.card].queues[place.queue]
    }

    fn choose(&self, ticket: &Ticket) -> Choice {
        let started = self.started;
        let cards = self.bus.cards.iter().zip(&self.cards);
        let views = cards.map(|(bus, card)| View { bus, card, started });
        let history =
            History { tried: &ticket.tried, lost: &ticket.lost, patient: ticket.is_patient() };
        select(views, ticket.demand(), history)
    }

    /// Whether any card of the configuration, or the host in its place, can use such a key.
    pub(crate) fn serves(&self, kind: KeyKind) -> bool {
        let lane = match kind {
            KeyKind::Rsa { .. } if self.config.module_alone => Lane::RsaDigest,
            KeyKind::Rsa { .. } => Lane::RsaBlock,
            KeyKind::Ec(_) => Lane::Ec,
        };
        let rated = |card: &CardConfig| speed_rating(card.kind, Demand { lane, kind }).is_some();
        self.config.no_card == NoCard::Software || self.config.cards.iter().any(rated)
    }

    /// A new request. Never blocks.
    pub(crate) fn submit(
        &self,
        port: &Arc<PortShared>,
        token: u64,
        mut request: SignRequest,
    ) -> Result<(), Failure> {
        if !fits(&request) {
            return Err(Failure::BadRequest);
        }
        if self.config.module_alone {
            // The module pads by itself: only a coprocessor can do it.
            request.block = None;
        }
        let ticket = Box::new(Ticket {
            port: Arc::downgrade(port),
            token,
            request,
            submitted: Instant::now(),
            weight: 0,
            place: None,
            tries: 0,
            tried: Vec::new(),
            lost: Vec::new(),
            sent_ms: 0,
            last_cause: None,
            failed: None,
        });
        match self.dispatch(ticket) {
            Ok(()) => Ok(()),
            Err((ticket, Failure::NoCard)) if self.config.no_card == NoCard::Software => {
                self.deliver(ticket, Outcome::Again(Cause::NoCard));
                Ok(())
            }
            Err((_, failure)) => Err(failure),
        }
    }

    /// Sends a request to the best queue, or lets it wait in its lane if all are full.
    pub(crate) fn dispatch(&self, mut ticket: Box<Ticket>) -> Result<(), (Box<Ticket>, Failure)> {
        let lane = Lane::of(&ticket.request);
        let retried = ticket.tries > 0;
        let mut rescanned = false;
        for _ in 0..RACES {
            if self.stopping() {
                return Err((ticket, Failure::Shutdown));
            }
            // Who was here first goes first.
            if !retried && self.lanes.waiting(lane) {
                break;
            }
            match self.choose(&ticket) {
                Choice::Queue { card, queue, weight } => {
                    match self.send(Place { card, queue }, weight, ticket) {
                        Ok(()) => return Ok(()),
                        Err(back) => ticket = back,
                    }
                }
                Choice::AllFull => break,
                Choice::None if rescanned => return Err((ticket, Failure::NoCard)),
                Choice::None => {
                    rescanned = true;
                    self.scan();
                }
            }
        }
        self.lanes.push(lane, ticket, retried.then(Instant::now))?;
        // A slot may have become free between the look at the queues and the push.
        self.pump();
        Ok(())
    }

    /// Gives a request to a queue; gives it back if the slot or the queue is gone.
    fn send(&self, place: Place, weight: u32, mut ticket: Box<Ticket>) -> Result<(), Box<Ticket>> {
        let queue = self.bus.queue(place);
        if !queue.reserve() {
            return Err(ticket);
        }
        let handle = ticket.request.key.handle();
        let message = match (self.bus.cards[place.card].hw.kind, &ticket.request.block) {
            (CardType::Cex8A, Some(block)) => type50::encode_request(handle, block),
            (CardType::Cex8A, None) => None,
            (CardType::Cex8C, _) => {
                let SignRequest { scheme, digest, .. } = &ticket.request;
                Some(type6::encode_request(handle, *scheme, digest))
            }
        };
        let Some(message) = message else {
            queue.release();
            return Err(ticket);
        };
        let before = (ticket.weight, ticket.place);
        ticket.weight = weight;
        ticket.place = Some(place);
        ticket.sent_ms = elapsed_ms(self.started);
        ticket.tries = ticket.tries.saturating_add(1);
        let (card, zqueue) = (&self.cards[place.card], self.zqueue(place));
        card.load.fetch_add(weight, Relaxed);
        zqueue.load.fetch_add(weight, Relaxed);
        let mut done = Vec::new();
        let sent = self.bus.enqueue(place, message, ticket, &mut done);
        let sent = sent.map_err(|mut ticket| {
            self.discharge(place, weight);
            ticket.tries -= 1;
            (ticket.weight, ticket.place) = before;
            ticket
        });
        if sent.is_ok() {
            card.requests.fetch_add(1, Relaxed);
            zqueue.requests.fetch_add(1, Relaxed);
        }
        self.settle(place, done);
        sent
    }

    fn discharge(&self, place: Place, weight: u32) {
        self.cards[place.card].load.fetch_sub(weight, Relaxed);
        self.zqueue(place).load.fetch_sub(weight, Relaxed);
        self.bus.queue(place).release();
    }

    /// Hands what left a queue to the ports.
    ///
    /// Each is woken behind the last of it: a loop that shares the processor with the card would
    /// go before it at the first reply of a batch, and be asleep again at the second.
    fn settle(&self, place: Place, done: Vec<Done<Box<Ticket>>>) {
        let mut to_wake: Vec<Arc<PortShared>> = Vec::new();
        if done.iter().any(|done| matches!(done.outcome, Outcome::Reply(_))) {
            self.zqueue(place).silence.end(elapsed_ms(self.started));
        }
        for Done { private: ticket, outcome } in done {
            self.discharge(place, ticket.weight);
            if let Some(port) = self.put(ticket, outcome)
                && !to_wake.iter().any(|other| Arc::ptr_eq(other, &port))
            {
                to_wake.push(port);
            }
        }
        for port in to_wake {
            port.wake();
        }
    }

    fn deliver(&self, ticket: Box<Ticket>, outcome: Outcome) {
        if let Some(port) = self.put(ticket, outcome) {
            port.wake();
        }
    }

    /// Puts what became of a request where it was asked; the port that is to be woken, if any.
    fn put(&self, ticket: Box<Ticket>, outcome: Outcome) -> Option<Arc<PortShared>> {
        let Some(port) = ticket.port.upgrade() else {
            self.orphaned.fetch_add(1, Relaxed);
            return None;
        };
        port.put(ticket, outcome).then_some(port)
    }

    /// The interrupt handler of a queue, run by the card's thread.
    pub(crate) fn interrupt(&self, place: Place) {
        let mut done = Vec::new();
        self.bus.event(place, Event::Poll, &mut done);
        self.settle(place, done);
        self.pump();
    }

    /// Moves waiting requests into free slots. Requests that no queue can do any more go back
    /// to their port, where they fail or are done in software.
    pub(crate) fn pump(&self) {
        for lane in Lane::ALL {
            while self.lanes.waiting(lane) {
                let mut target = None;
                let front = self.lanes.pop_if(lane, |ticket| {
                    match self.choose(ticket) {
                        Choice::Queue { card, queue, weight } => {
                            target = Some((Place { card, queue }, weight));
                        }
                        Choice::AllFull => return false,
                        Choice::None => {}
                    }
                    true
                });
                let Some((since, ticket)) = front else { break };
                let Some((place, weight)) = target else {
                    self.deliver(ticket, Outcome::Again(Cause::NoCard));
                    continue;
                };
                if let Err(ticket) = self.send(place, weight, ticket) {
                    // The slot went to somebody else; the next turn looks again.
                    if let Err((ticket, _)) = self.lanes.push(lane, ticket, Some(since)) {
                        self.deliver(ticket, Outcome::Again(Cause::Shutdown));
                    }
                }
            }
        }
    }

    /// Bus scan: takes over the state of every card and repairs queues in ERROR.
    pub(crate) fn scan(&self) {
        for place in self.bus.places() {
            let mut done = Vec::new();
            self.bus.scan(place, &mut done);
            self.settle(place, done);
        }
    }

    /// Housekeeping: silent cards, bus scan, requests that waited too long.
    pub(crate) fn tick(&self, now: Instant) {
        for place in self.bus.places() {
            let mut done = Vec::new();
            if self.bus.check_timeout(place, now, &mut done) {
                self.zqueue(place).stats.timeouts.fetch_add(1, Relaxed);
                self.zqueue(place).silence.begin(elapsed_ms(self.started));
            }
            self.settle(place, done);
        }
        self.scan();
        for ticket in self.lanes.shed(now) {
            self.deliver(ticket, Outcome::Again(Cause::Shed));
        }
        self.pump();
    }

    /// Takes a queue online or offline; what it holds is tried elsewhere.
    pub(crate) fn set_online(&self, place: Place, online: bool) {
        self.zqueue(place).silence.end(elapsed_ms(self.started));
        let was = self.zqueue(place).online.swap(online, SeqCst);
        if was && !online {
            self.clear(place, Cause::Offline);
        }
        self.pump();
    }

    /// Takes a whole card online or offline.
    pub(crate) fn set_card_online(&self, card: usize, online: bool) {
        let now_ms = elapsed_ms(self.started);
        self.cards[card].queues.iter().for_each(|queue| queue.silence.end(now_ms));
        let was = self.cards[card].online.swap(online, SeqCst);
        if was && !online {
            for queue in 0..self.cards[card].queues.len() {
                self.clear(Place { card, queue }, Cause::Offline);
            }
        }
        self.pump();
    }

    fn clear(&self, place: Place, cause: Cause) {
        let mut done = Vec::new();
        self.bus.clear(place, cause, &mut done);
        self.settle(place, done);
    }

    /// Ends every request; returns with nothing in flight.
    pub(crate) fn shut_down(&self) {
        self.stopping.store(true, SeqCst);
        for place in self.bus.places() {
            let mut done = Vec::new();
            self.bus.shut_down(place, &mut done);
            self.settle(place, done);
        }
        for ticket in self.lanes.close() {
            self.deliver(ticket, Outcome::Again(Cause::Shutdown));
        }
        for card in &self.bus.cards {
            card.hw.ring();
        }
    }

    /// Time since the start, never zero.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed().max(Duration::from_nanos(1))
    }
}

fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Key, scheme, digest and block belong together.
fn fits(request: &SignRequest) -> bool {
    let kind = match request.key.kind() {
        KeyKind::Rsa { .. } => request.scheme.is_rsa(),
        KeyKind::Ec(_) => !request.scheme.is_rsa() && request.block.is_none(),
    };
    let digest = request.digest.as_ref().len() == request.scheme.hash().len();
    let block = request.block.as_ref().is_none_or(|b| Some(b.len()) == request.key.modulus_len());
    kind && digest && block
}
