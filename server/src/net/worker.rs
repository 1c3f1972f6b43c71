//! A pool member: one thread, one event loop.
//!
//! Order of a turn: data of established connections, then replies of cards, key agreements that
//! handshakes have left, other work of sessions (handshakes above all), deadlines, new connections.
//! Each has a slice of time, and the turn has an end; what is left is taken in the next turn, which
//! then does not wait. At least one item of each kind is done, so nothing starves, and an
//! established connection waits for a bounded time, whatever the storm.
//!
//! Invariants: nothing is shared with other members but what [`Runtime`] counts; a panic while a
//! session runs ends that session alone; no turn ends with work queued and a poll that waits.

mod accept;

use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;
use engine::buffer::Buffer;
use engine::member::{Member, Reply};
use mio::net::TcpListener;
use mio::{Interest, Token, Waker};
use slab::Slab;

use super::dial::{BackendChange, client_token};
use super::gauges::{Gauges, TurnEnd};
use super::ledger::{Class, Ledger, Spent};
use super::queues::RunQueues;
use super::session::{Next, Session, Turn};
use super::slice::Pace;
use super::streams::Streams;
use super::timers::Timers;
use super::watch::{News, Watch};
use crate::admission::Admission;
use crate::observe::{Event, Level, Log};
use crate::runtime::{Address, Runtime};

// Each of these is for a turn beside conversations, see [`Pace`].

/// Time for data of established connections in a turn.
const DATA_SLICE: Duration = Duration::from_micros(100);
/// Time for replies of cards in a turn: their results are verified here.
const REPLY_SLICE: Duration = Duration::from_micros(30);
/// Time for handshakes, dialing and closing in a turn; about half of a full handshake's work on the
/// host.
const OTHERS_SLICE: Duration = Duration::from_micros(50);
/// Time for deadlines in a turn.
const DEADLINE_SLICE: Duration = Duration::from_micros(20);
/// How long a poll looks at what is urgent only while cards have much to sign; a full batch of
/// RSA-2048 takes about as long.
const SIGNING_MOMENT: Duration = Duration::from_micros(500);
/// New connections that a listener which is about to be closed has taken already.
const LAST_ACCEPTS: usize = 1024;
/// How often a draining member looks at its deadlines.
const DRAIN_CHECK: Duration = Duration::from_millis(50);
/// Plaintext sealed, or sent to a backend, in one go; the cipher needs a little more to open it.
const SCRATCH_BYTES: usize = 64 * 1024 + 512;

const WAKER: Token = Token(Watch::LAST_TOKEN);
/// Listeners count down from here; sessions count up from 0.
const FIRST_LISTENER: usize = Watch::LAST_TOKEN - 1;

/// What the supervisor tells a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Take no new connections; end when the last one is gone or has had its time.
    Drain,
    /// End now.
    Stop,
}

/// How a member ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// Connections that had to be cut.
    pub cut: usize,
}

struct Listening {
    socket: TcpListener,
    address: Arc<Address>,
    pending: bool,
}

/// One pool member.
pub struct Worker {
    watch: Watch,
    member: Member,
    listeners: Vec<Listening>,
    sessions: Slab<Session>,
    /// Distinguishes sessions that had the same slab key.
    generation: u64,
    /// Sessions with work.
    queues: RunQueues,
    /// Tokens of the sessions whose ClientHello is not complete: the oldest one first.
    hellos: BTreeSet<u64>,
    /// The listener whose turn it is.
    next_listener: usize,
    admission: Arc<Admission>,
    gauges: Arc<Gauges>,
    /// What the CPU time of the thread goes to.
    ledger: Ledger,
    /// The same at the end of the last turn.
    spent: Spent,
    timers: Timers,
    pace: Pace,
    streams: Streams,
    scratch: Buffer,
    backends: Vec<BackendChange>,
    log: Log,
    commands: Receiver<Command>,
    draining: Option<Instant>,
    accept_again: Option<Instant>,
    /// Whether the last attempt failed and was reported.
    accept_failing: bool,
    ended: Ended,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("member", &self.member)
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

/// A slab key and the generation of its session, as cards answer to it.
fn token(key: usize, generation: u64) -> u64 {
    (generation << 32) | (key as u64 & 0xFFFF_FFFF)
}

fn key_of(token: u64) -> usize {
    usize::try_from(token & 0xFFFF_FFFF).unwrap_or(usize::MAX)
}

impl Worker {
    /// A member over its listening sockets, and what wakes it.
    ///
    /// # Errors
    ///
    /// When the system has no epoll for it.
    pub fn new(
        gauges: Arc<Gauges>,
        runtime: &Runtime,
        sockets: Vec<(TcpListener, Arc<Address>)>,
        commands: Receiver<Command>,
        log: Log,
    ) -> io::Result<(Self, Arc<Waker>)> {
        let watch = Watch::new()?;
        let waker = Arc::new(Waker::new(watch.urgent(), WAKER)?);
        let for_cards = Arc::clone(&waker);
        let (crypto, execution) = (Arc::clone(&runtime.crypto), runtime.execution.clone());
        let name = gauges.member().to_owned();
        let member = Member::new(name, crypto, execution, runtime.suspended_max, move || {
            // A failed wake-up means that the loop is gone.
            let _ = for_cards.wake();
        });
        let mut listeners = Vec::new();
        for (mut socket, address) in sockets {
            let token = Token(FIRST_LISTENER - listeners.len());
            watch.common().register(&mut socket, token, Interest::READABLE)?;
            listeners.push(Listening { socket, address, pending: true });
        }
        let worker = Self {
            watch,
            member,
            listeners,
            sessions: Slab::new(),
            generation: 0,
            queues: RunQueues::default(),
            hellos: BTreeSet::new(),
            next_listener: 0,
            admission: Arc::clone(&runtime.admission),
            gauges,
            ledger: Ledger::new(Instant::now()),
            spent: Spent::default(),
            timers: Timers::default(),
            pace: Pace::default(),
            streams: Streams::default(),
            scratch: Buffer::with_capacity(SCRATCH_BYTES),
            backends: Vec::new(),
            log,
            commands,
            draining: None,
            accept_again: None,
            accept_failing: false,
            ended: Ended::default(),
        };
        Ok((worker, waker))
    }

    /// Serves until told to end.
    ///
    /// # Errors
    ///
    /// When epoll fails, which leaves nothing to do but to end.
    pub fn run(mut self) -> io::Result<Ended> {
        let mut news = News::with_room();
        self.spent = self.ledger.settle();
        self.member.note_cpu(self.spent.total);
        loop {
            let timeout = self.timeout();
            let for_streams = self.streams.moment();
            let moment = for_streams.unwrap_or_else(|| self.signing_moment());
            let something_came = self.watch.wait(&mut news, timeout, moment)?;
            if for_streams.is_some() && timeout != Some(Duration::ZERO) {
                self.streams.note_poll(something_came);
            }
            let now = Instant::now();
            self.ledger.woke(now);
            self.take_events(&news);
            self.take_commands(now);
            self.run_data(now);
            self.take_replies(now);
            self.run_agreements(now);
            self.run_others(now);
            self.run_deadlines(now);
            self.accept(now);
            self.report_backends();
            self.note_turn();
            if self.draining.is_some() && self.sessions.is_empty() {
                return Ok(self.ended);
            }
        }
    }

    /// The poll that ends a turn is part of the next one.
    fn note_turn(&mut self) {
        let spent = self.ledger.settle();
        self.gauges.note(TurnEnd {
            cpu: spent.total.saturating_sub(self.spent.total),
            spent,
            connections: self.sessions.len(),
            suspended: self.member.suspended(),
            stacks: self.member.stacks(),
        });
        self.spent = spent;
        self.member.note_cpu(spent.total);
    }

    fn timeout(&self) -> Option<Duration> {
        let more = !self.queues.is_empty()
            || (self.accept_again.is_none() && self.listeners.iter().any(|l| l.pending));
        if more {
            return Some(Duration::ZERO);
        }
        let now = Instant::now();
        let accept = self.accept_again.map(|at| at.saturating_duration_since(now));
        let drain = self.draining.map(|_| DRAIN_CHECK);
        let agreements = self.member.agreements_in(now);
        // epoll counts in milliseconds and mio rounds up, so a deadline has passed when it wakes.
        [self.timers.next_in(now), accept, drain, agreements].into_iter().flatten().min()
    }

    /// How long the poll that ends a turn without streams looks at what is urgent only.
    fn signing_moment(&self) -> Duration {
        if self.member.has_much_to_sign() { SIGNING_MOMENT } else { Duration::ZERO }
    }

    fn take_events(&mut self, news: &News) {
        for event in news.events() {
            let Token(number) = event.token();
            if event.token() == WAKER {
                continue;
            }
            if let Some(listener) = FIRST_LISTENER
                .checked_sub(number)
                .and_then(|position| self.listeners.get_mut(position))
            {
                listener.pending = true;
                continue;
            }
            let key = number / 2;
            let Some(session) = self.sessions.get_mut(key) else { continue };
            let is_news = if event.token() == client_token(key) {
                session.client_mut().on_event(event)
            } else {
                session.backend_mut().is_some_and(|backend| backend.on_event(event))
            };
            if is_news {
                self.enqueue(key);
            }
        }
    }

    fn take_commands(&mut self, now: Instant) {
        while let Ok(command) = self.commands.try_recv() {
            // Closing a listener resets the connections that the kernel has taken for it.
            for listener in &mut self.listeners {
                listener.pending = true;
            }
            for _ in 0..LAST_ACCEPTS {
                if !self.accept_one(now) {
                    break;
                }
            }
            self.listeners.clear();
            self.accept_again = None;
            self.draining.get_or_insert(now);
            if command == Command::Stop {
                self.cut_sessions(now, |_, _| true);
                // And those that linger after it: nobody waits for their clients any more.
                self.cut_sessions(now, |_, _| true);
            }
        }
        if let Some(since) = self.draining {
            self.cut_sessions(now, |session, now| now >= since + session.drain_time());
        }
    }

    /// Ends the sessions that `due` names.
    fn cut_sessions(&mut self, now: Instant, due: impl Fn(&Session, Instant) -> bool) {
        let keys: Vec<usize> =
            self.sessions.iter().filter(|(_, s)| due(s, now)).map(|(key, _)| key).collect();
        for key in keys {
            let counts = self.sessions.get(key).is_some_and(|s| !s.is_closing());
            self.ended.cut += usize::from(counts);
            self.with_session(key, now, |session, turn| {
                session.shut_down(turn);
                session.drive(turn)
            });
        }
    }

    fn take_replies(&mut self, now: Instant) {
        if self.member.suspended() > 0 {
            self.ledger.turn(Class::Handshake);
        }
        for reply in self.member.replies(self.pace.length(now, REPLY_SLICE)) {
            self.deliver(reply);
        }
        self.ledger.turn(Class::Overhead);
    }

    fn deliver(&mut self, reply: Reply) {
        let key = key_of(reply.token());
        if let Some(session) = self.sessions.get_mut(key)
            && session.token() == reply.token()
        {
            session.deliver(reply);
            self.enqueue(key);
        }
    }

    fn run_agreements(&mut self, now: Instant) {
        if self.member.agreements_in(now).is_none() {
            return;
        }
        self.ledger.turn(Class::Handshake);
        for reply in self.member.agreements(self.queues.others_len(), now) {
            self.deliver(reply);
        }
        self.ledger.turn(Class::Overhead);
    }

    fn enqueue(&mut self, key: usize) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.mark_queued() {
            self.queues.push(session.kind(), key);
        }
    }

    fn run_data(&mut self, now: Instant) {
        if self.queues.data_len() == 0 {
            return;
        }
        let slice = self.pace.slice(now, DATA_SLICE);
        for _ in 0..self.queues.data_len() {
            let Some(key) = self.queues.pop_data() else { break };
            self.with_session(key, now, Session::drive);
            if slice.is_spent() {
                break;
            }
        }
    }

    fn run_others(&mut self, now: Instant) {
        let slice = self.pace.slice(now, OTHERS_SLICE);
        for _ in 0..self.queues.others_len() {
            let Some(key) = self.queues.pop_other() else { return };
            self.member.note_others(self.queues.others_len());
            self.with_session(key, now, Session::drive);
            if slice.is_spent() {
                return;
            }
        }
    }

    fn run_deadlines(&mut self, now: Instant) {
        let mut slice = None;
        while let Some((_, key)) = self.timers.pop_due(now) {
            // Mostly nothing is due, and a look at the clock has its price, too.
            let slice = slice.get_or_insert_with(|| self.pace.slice(now, DEADLINE_SLICE));
            let Some(session) = self.sessions.get_mut(key) else { continue };
            *session.deadline_set() = None;
            if session.deadline() > now {
                self.arm(key);
                continue;
            }
            self.with_session(key, now, |session, turn| {
                session.expire(turn);
                session.drive(turn)
            });
            if slice.is_spent() {
                return;
            }
        }
    }

    /// Runs `work` on a session and does with it what comes out.
    fn with_session(
        &mut self,
        key: usize,
        now: Instant,
        work: impl FnOnce(&mut Session, &mut Turn<'_>) -> Next,
    ) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.unmark_queued();
        let awaited_hello = session.awaits_hello();
        let mut turn = Turn {
            member: &self.member,
            watch: &self.watch,
            scratch: &mut self.scratch,
            now,
            backends: &mut self.backends,
            ledger: &mut self.ledger,
        };
        let next = catch_unwind(AssertUnwindSafe(|| work(session, &mut turn)));
        let next = next.unwrap_or_else(|_| {
            // What is left of the session may panic again; the member must survive that, too.
            let _ = catch_unwind(AssertUnwindSafe(|| session.panicked(&mut turn)));
            Next::Finished
        });
        self.ledger.turn(Class::Overhead);
        // What comes beside streams must not wait for all of them either.
        if session.has_gone_on() {
            self.pace.note_conversation(now);
        }
        if let Some(seen) = session.as_stream() {
            self.streams.note(seen);
        }
        if let Some(record) = session.take_record() {
            self.log.record(record);
        }
        if awaited_hello && (!session.awaits_hello() || next == Next::Finished) {
            self.hellos.remove(&session.token());
        }
        match next {
            Next::Wait => self.arm(key),
            Next::Again => {
                self.arm(key);
                self.enqueue(key);
            }
            Next::Finished => {
                let set = *session.deadline_set();
                self.timers.clear(key, set);
                self.sessions.remove(key).give_up_memory(&self.member);
            }
        }
    }

    /// Sets the deadline of a session; one that only moved back stays until it comes up.
    fn arm(&mut self, key: usize) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let deadline = session.deadline();
        let set = *session.deadline_set();
        if set.is_none_or(|set| deadline < set) {
            self.timers.set(key, set, deadline);
            *session.deadline_set() = Some(deadline);
        }
    }

    fn report_backends(&mut self) {
        for change in self.backends.drain(..) {
            let event = match change.error {
                Some(error) => Event::new(
                    Level::Warn,
                    "backend-down",
                    format!("backend {} cannot be reached: {error}", change.backend),
                ),
                None => Event::new(
                    Level::Info,
                    "backend-up",
                    format!("backend {} accepts connections again", change.backend),
                ),
            };
            self.log.event(event.with("service", change.service).with("backend", change.backend));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_carries_its_key_and_differs_for_the_next_session() {
        let first = token(7, 1);
        assert_eq!(key_of(first), 7);
        assert_ne!(first, token(7, 2));
    }
}
