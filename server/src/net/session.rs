//! One client from accept to close.
//!
//! Stages: handshake → dialing a backend → relay → lingering → closed. Each stage is a step
//! function that moves what can be moved and says whether it moved anything; [`Session::drive`]
//! repeats steps within a bound, so that one busy connection cannot hold its event loop.
//!
//! Invariants:
//! - every step that returns "blocked" waits for a readiness bit that is down, a card, or a
//!   deadline: no turn ends with bytes pending and nobody to wake us;
//! - a failure leaves exactly one record;
//! - what was queued for the client, an alert above all, is sent before the FIN, and what the
//!   client still sends is read away for a bounded time, because closing over unread bytes is a
//!   reset that destroys the alert on its way.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use engine::backend::BackendConnection;
use engine::buffer::Buffer;
use engine::connection::{Connection, Progress};
use engine::member::{Member, Reply};
use engine::record::{Record, Refusal};
use engine::rules;

use super::company::HeldBack;
use super::conversation::Flow;
use super::dial::Dial;
use super::draft::Draft;
use super::end::closer;
use super::endpoint::{Endpoint, Moved};
use super::front::Front;
use super::gauges::Gauges;
use super::ledger::{Class, Ledger};
use super::queues::Kind;
use super::watch::Watch;
use crate::admission::{Admission, Places};
use crate::proxy_protocol::Ends;
use crate::runtime::{Address, ServiceRuntime};

/// Steps of one session in one turn of the event loop.
const STEPS_PER_TURN: usize = 16;

/// Bytes a session moves in one turn before others come first. A step more may be moved, which is
/// at most as much again.
const BYTES_PER_TURN: u64 = 128 * 1024;

/// A client that has been accepted.
#[derive(Debug)]
pub struct Arrival {
    /// Number the event loop knows the session by.
    pub key: usize,
    /// What cards answer to.
    pub token: u64,
    /// Its socket.
    pub client: Endpoint,
    /// Its address.
    pub peer: SocketAddr,
    /// Where it was accepted.
    pub address: Arc<Address>,
    /// What it counts as.
    pub places: Places,
    /// Where it is counted.
    pub admission: Arc<Admission>,
    /// Figures of its member.
    pub gauges: Arc<Gauges>,
}

/// What a step needs of its event loop.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The pool member.
    pub member: &'a Member,
    /// For registering sockets.
    pub watch: &'a Watch,
    /// Memory for plaintext on its way; who uses it empties it before.
    pub scratch: &'a mut Buffer,
    /// Start of the turn.
    pub now: Instant,
    /// Backends that went down or came back, for the log.
    pub backends: &'a mut Vec<super::dial::BackendChange>,
    /// Where CPU time is charged.
    pub ledger: &'a mut Ledger,
}

/// What the event loop does next with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Wait for an event, a card or the deadline.
    Wait,
    /// There is more to do in a later turn.
    Again,
    /// Forget it.
    Finished,
}

/// Whether a step got anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Moved,
    Blocked,
}

/// What a read from the client came to.
pub(super) enum Received {
    /// Bytes, or the end of the session by a rule: go on.
    Taken,
    /// Nothing now.
    Nothing,
    /// The client sends no more.
    Eof,
    /// The connection is broken.
    Broken(io::Error),
}

#[derive(Debug)]
pub(super) enum Stage {
    Handshake,
    Dialing(Box<Dial>),
    Relay,
    Lingering { until: Instant, read_away: usize },
    Closed,
}

/// One client connection.
#[derive(Debug)]
pub struct Session {
    pub(super) key: usize,
    token: u64,
    queued: bool,
    pub(super) address: Arc<Address>,
    pub(super) service: Option<Arc<ServiceRuntime>>,
    pub(super) client: Endpoint,
    /// The PROXY header that must come first, while it is awaited.
    pub(super) front: Option<Box<Front>>,
    /// Who the client is and what it connected to, as the backend is told.
    pub(super) ends: Option<Ends>,
    pub(super) tls: Connection,
    pub(super) backend: Option<Endpoint>,
    /// TLS with the backend, where the service wants it.
    pub(super) backend_tls: Option<Box<BackendConnection>>,
    pub(super) to_backend: Buffer,
    /// A PROXY header stands in `to_backend` that may still wait for the first data.
    pub(super) header_waits: bool,
    /// What the relayed data shows the connection to be.
    pub(super) flow: Flow,
    /// No more bytes will come from the client.
    pub(super) client_done: bool,
    /// No more bytes will come from the backend.
    pub(super) backend_done: bool,
    pub(super) stage: Stage,
    pub(super) active: Instant,
    pub(super) accepted: Instant,
    pub(super) in_handshake: bool,
    pub(super) places: Places,
    pub(super) admission: Arc<Admission>,
    pub(super) gauges: Arc<Gauges>,
    reply: Option<Reply>,
    pub(super) record: Draft,
    /// What went wrong outside TLS.
    pub(super) note: Option<Box<Refusal>>,
    pub(super) recorded: Option<Box<Record>>,
    deadline_set: Option<Instant>,
    /// Output for the client that waits for company.
    pub(super) held_back: Option<HeldBack>,
}

impl Session {
    /// A session for a client that has been accepted.
    #[must_use]
    pub fn new(arrival: Arrival, now: Instant) -> Self {
        let Arrival { key, token, client, peer, address, mut places, admission, gauges } = arrival;
        let tls = Connection::new(Arc::clone(&address.set), token);
        if tls.is_in_clear() {
            client.keep_urgent_data();
        }
        // The system is asked only where the listener's address does not say it.
        let listen = Some(address.listen).filter(|listen| !listen.ip().is_unspecified());
        let local = listen.or_else(|| client.local_addr());
        let record = Draft::new(address.next_connection(), peer, local);
        let front = address.expects_proxy_header(peer.ip()).then(Box::default);
        if tls.is_in_clear() && front.is_none() {
            places.leave_hello();
        }
        Self {
            key,
            token,
            queued: false,
            tls,
            address,
            service: None,
            client,
            front,
            ends: local.map(|destination| Ends { source: peer, destination }),
            backend: None,
            backend_tls: None,
            to_backend: Buffer::default(),
            header_waits: false,
            flow: Flow::default(),
            client_done: false,
            backend_done: false,
            stage: Stage::Handshake,
            active: now,
            accepted: now,
            in_handshake: false,
            places,
            admission,
            gauges,
            reply: None,
            record,
            note: None,
            recorded: None,
            deadline_set: None,
            held_back: None,
        }
    }

    /// What cards answer to.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Notes that the event loop has the session in a queue; false if it had already.
    pub fn mark_queued(&mut self) -> bool {
        !std::mem::replace(&mut self.queued, true)
    }

    /// Notes that the event loop has taken the session out of its queue.
    pub fn unmark_queued(&mut self) {
        self.queued = false;
    }

    /// How long the session may go on when the program stops.
    #[must_use]
    pub fn drain_time(&self) -> Duration {
        self.timeouts().drain
    }

    /// Whether the connection is over but for the last bytes.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        matches!(self.stage, Stage::Lingering { .. } | Stage::Closed)
    }

    /// The reply of a card; the next [`Self::drive`] goes on with it.
    pub fn deliver(&mut self, reply: Reply) {
        self.reply = Some(reply);
    }

    /// The client's side, for events.
    pub fn client_mut(&mut self) -> &mut Endpoint {
        &mut self.client
    }

    /// The backend's side, for events.
    pub fn backend_mut(&mut self) -> Option<&mut Endpoint> {
        self.backend.as_mut()
    }

    /// What it has to do next.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.stage {
            Stage::Relay => Kind::Data,
            Stage::Handshake if self.tls.begins_full_handshake() => Kind::Full,
            _ => Kind::Small,
        }
    }

    /// What its next step is charged to.
    fn class(&self) -> Class {
        match self.stage {
            Stage::Handshake => Class::Handshake,
            Stage::Dialing(_) if self.backend_tls.is_some() => Class::Handshake,
            Stage::Relay => Class::Relay,
            Stage::Dialing(_) | Stage::Lingering { .. } | Stage::Closed => Class::Overhead,
        }
    }

    /// Whether the ClientHello is still waited for, or the PROXY header ahead of it. Without TLS
    /// neither need come, and the backend may be the first to speak.
    #[must_use]
    pub fn awaits_hello(&self) -> bool {
        self.places.awaits_hello()
    }

    /// Number the event loop knows the session by.
    #[must_use]
    pub fn key(&self) -> usize {
        self.key
    }

    /// The record, once, when there is nothing to add to it.
    pub fn take_record(&mut self) -> Option<Box<Record>> {
        self.recorded.take()
    }

    /// The deadline that is set in the event loop's timers.
    pub fn deadline_set(&mut self) -> &mut Option<Instant> {
        &mut self.deadline_set
    }

    /// When something must have happened.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let deadline = match &self.stage {
            Stage::Handshake => self.accepted + self.timeouts().handshake,
            Stage::Dialing(dial) => dial.deadline(),
            Stage::Relay => self.active + self.timeouts().idle,
            Stage::Lingering { until, .. } => *until,
            Stage::Closed => self.active,
        };
        self.held_back.map_or(deadline, |held| held.until.min(deadline))
    }

    pub(super) fn timeouts(&self) -> &crate::config::schema::Timeouts {
        self.service.as_ref().map_or(&self.address.timeouts, |service| &service.timeouts)
    }

    /// Moves whatever can be moved.
    pub fn drive(&mut self, turn: &mut Turn<'_>) -> Next {
        let kind = self.kind();
        let (bytes_in, bytes_out) = (self.record.bytes_in, self.record.bytes_out);
        let next = self.advance(turn, kind, bytes_in + bytes_out);
        let from_client = self.record.bytes_in - bytes_in;
        let from_backend = self.record.bytes_out - bytes_out;
        if kind == Kind::Data && from_client + from_backend > 0 {
            self.note_flow(turn, from_client, from_backend);
        }
        next
    }

    /// Goes on with work of this kind; `before` bytes had been moved at the begin.
    fn advance(&mut self, turn: &mut Turn<'_>, kind: Kind, before: u64) -> Next {
        for _ in 0..STEPS_PER_TURN {
            turn.ledger.turn(self.class());
            let step = match &self.stage {
                Stage::Handshake => self.handshake_step(turn),
                Stage::Dialing(_) => self.dial_step(turn),
                Stage::Relay => self.relay_step(turn),
                Stage::Lingering { .. } => self.linger_step(turn),
                Stage::Closed => return Next::Finished,
            };
            let moved = self.record.bytes_in + self.record.bytes_out - before;
            match step {
                Step::Blocked => {
                    self.release_idle_memory(turn.member);
                    return Next::Wait;
                }
                Step::Moved if matches!(self.stage, Stage::Closed) => return Next::Finished,
                // What comes next has a queue of its own, or others come first.
                Step::Moved if self.kind() != kind || moved >= BYTES_PER_TURN => {
                    return Next::Again;
                }
                Step::Moved => {}
            }
        }
        Next::Again
    }

    fn release_idle_memory(&mut self, member: &Member) {
        self.tls.release_idle_memory(member);
        member.reclaim(&mut self.to_backend);
        if let Some(tls) = &mut self.backend_tls {
            tls.release_idle_memory(member);
        }
    }

    /// Gives all memory of its buffers back: the session is over.
    pub fn give_up_memory(&mut self, member: &Member) {
        self.tls.give_up_memory(member);
        self.to_backend.clear();
        member.reclaim(&mut self.to_backend);
    }

    /// The deadline has come.
    pub fn expire(&mut self, turn: &mut Turn<'_>) {
        if self.let_go(turn.now) {
            return;
        }
        match &self.stage {
            Stage::Handshake => {
                let limit = self.timeouts().handshake;
                if self.front.is_some() {
                    let reason = format!("no complete PROXY header came within {limit:?}");
                    self.end_tls(turn, &rules::PROXY_HEADER_DEADLINE, reason);
                } else {
                    let rule = self.tls.expire(turn.member, limit);
                    self.finish(turn, closer(rule));
                }
            }
            Stage::Dialing(_) => self.dial_timed_out(turn.now),
            Stage::Relay => {
                let limit = self.timeouts().idle;
                self.end_relay(turn, &rules::IDLE_DEADLINE, format!("no byte for {limit:?}"));
            }
            Stage::Lingering { .. } => self.stage = Stage::Closed,
            Stage::Closed => {}
        }
    }

    /// The program stops and waits no longer.
    pub fn shut_down(&mut self, turn: &mut Turn<'_>) {
        let reason = "the program was told to stop".to_owned();
        match &self.stage {
            Stage::Handshake | Stage::Dialing(_) => self.end_tls(turn, &rules::SHUTDOWN, reason),
            Stage::Relay => self.end_relay(turn, &rules::SHUTDOWN, reason),
            Stage::Lingering { .. } | Stage::Closed => self.stage = Stage::Closed,
        }
    }

    /// A panic in our own code was caught while this session ran.
    pub fn panicked(&mut self, turn: &mut Turn<'_>) {
        self.end_tls(turn, &rules::INTERNAL_ERROR, "a panic was contained".to_owned());
        self.finish(turn, "us");
        self.stage = Stage::Closed;
    }

    fn handshake_step(&mut self, turn: &mut Turn<'_>) -> Step {
        if self.front.is_some() {
            return self.front_step(turn);
        }
        if let Some(reply) = self.reply.take() {
            let progress = self.tls.complete(turn.member, reply);
            return self.after(turn, progress);
        }
        if self.tls.is_suspended() {
            if self.client.is_gone() {
                let reason = "the client went away while a card was at work".to_owned();
                self.end_tls(turn, &rules::PEER_RESET, reason);
                return Step::Moved;
            }
            return Step::Blocked;
        }
        let progress = self.tls.advance(turn.member);
        self.after(turn, progress)
    }

    fn after(&mut self, turn: &mut Turn<'_>, progress: Progress) -> Step {
        if progress == Progress::Established {
            self.hold_back_tickets(turn.now);
        }
        let broken = self.flush_client();
        if self.tls.has_hello() {
            self.places.leave_hello();
        }
        match progress {
            Progress::HelloRead => self.admit(turn),
            Progress::Suspended => return Step::Blocked,
            Progress::Established => self.begin_dialing(turn),
            Progress::Failed => self.finish(turn, "us"),
            Progress::NeedInput => match broken {
                Some(error) => self.client_reset(turn, &error),
                None => return self.read_handshake(turn),
            },
        }
        Step::Moved
    }

    /// Reads from the client into its TLS side; a buffer that is full of one message ends it.
    pub(super) fn receive(&mut self, turn: &mut Turn<'_>) -> Received {
        let space = self.tls.input_space(turn.member);
        if space.is_empty() {
            let reason = "a handshake message fills our buffer".to_owned();
            self.end_tls(turn, &rules::RECORD_OVERFLOW, reason);
            return Received::Taken;
        }
        match self.client.read(space) {
            Moved::Bytes(count) => {
                self.tls.received(count);
                Received::Taken
            }
            Moved::Blocked => Received::Nothing,
            Moved::Eof => Received::Eof,
            Moved::Broken(error) => Received::Broken(error),
        }
    }

    fn read_handshake(&mut self, turn: &mut Turn<'_>) -> Step {
        match self.receive(turn) {
            Received::Taken => Step::Moved,
            Received::Nothing => Step::Blocked,
            Received::Eof => {
                let when = if self.tls.has_heard() {
                    "the client closed the connection in the middle of the handshake"
                } else {
                    "the client closed the connection without a word"
                };
                self.end_tls(turn, &rules::PEER_CLOSED, when.to_owned());
                Step::Moved
            }
            Received::Broken(error) => {
                self.client_reset(turn, &error);
                Step::Moved
            }
        }
    }

    /// Whether nothing is left to wait for: the client has said that it sends no more, and nothing
    /// of it is unread, which closing would answer with a reset. Closing then is all that is to be
    /// done; it sends our FIN.
    pub(super) fn client_is_done_with(&self) -> bool {
        let nothing_unread = !self.client.may_read() || self.client.end_is_next();
        let has_closed = self.tls.is_closed_both_ways() && nothing_unread;
        self.tls.output().is_empty() && (self.client.has_eof() || has_closed)
    }

    /// Sends what waits for the client; the error when the client is gone.
    pub(super) fn flush_client(&mut self) -> Option<io::Error> {
        if self.holds_back() {
            return None;
        }
        self.held_back = None;
        // Where all of it is taken the stream is ended at once, by `shut_write` or a close.
        let is_last = match self.stage {
            Stage::Relay => self.backend_done,
            Stage::Lingering { .. } => true,
            _ => false,
        };
        while !self.tls.output().is_empty() {
            let output = self.tls.output();
            let moved =
                if is_last { self.client.write_last(output) } else { self.client.write(output) };
            match moved {
                Moved::Bytes(count) => self.tls.sent(count),
                Moved::Blocked | Moved::Eof => return None,
                Moved::Broken(error) => return Some(error),
            }
        }
        None
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Of what was not ended in order, by a failure of the loop itself, nobody may think so.
        if self.tls.is_in_clear() && !self.is_closing() {
            self.client.reset_on_close();
        }
        self.leave_handshake();
        if let Some(service) = &self.service {
            service.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
