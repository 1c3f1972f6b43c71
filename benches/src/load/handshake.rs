//! Handshakes: connect, agree, ask and check the answer, close; then again.
//!
//! Invariants: every counted handshake has been judged against the [`Shape`] asked for, and every
//! answer byte by byte. With [`Pace::Rate`] latency counts from when a handshake was due, begun or
//! not. What is under way at the end is finished, not counted; a fault of it still is one.
//!
//! CPU time is read at two instants, and a unit counts where it ends: what is under way at either
//! instant has cost partly within and partly without. A closed loop for a time therefore *extends*:
//! the warm-up lasts until as many have ended as there are clients, so that the loop is in its
//! stride, and the counted part until [`TURNS`] times as many have. Then at most 5 % of the units
//! have an edge in them. Both have a bound: the deadline of a connection beyond the warm-up, and
//! [`STRETCH`] times the time asked for. The note `edge_percent` says what was reached.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use rustls_pki_types::ServerName;

use super::fault::Fault;
use super::pace::{Moment, Pace, Schedule, Stop, Ticker};
use super::shape::{Kind, Shape};
use super::tally::Tally;
use super::transaction::{Client, Done, Ending, Plan};
use super::{pinned, trust};
use crate::Failure;
use crate::outcome::Outcome;

/// Note of an outcome: handshakes of the run, warm-up and end included.
pub const ALL: &str = "handshakes_in_all";

const TICK: Token = Token(usize::MAX);
/// So many units for each client make the edges of the counted part small.
pub const TURNS: u64 = 20;
/// The counted part takes at most so many times the time asked for.
pub const STRETCH: u32 = 4;
/// How often deadlines are looked at.
const SWEEP: Duration = Duration::from_millis(100);

/// What is sent on an established connection, and what must come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    /// The request is the pattern, and comes back.
    Echo,
    /// The request is one of HTTP, and anything comes back: for servers without our backend.
    Any,
    /// Nothing is asked.
    None,
}

impl std::str::FromStr for Response {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "echo" => Ok(Self::Echo),
            "any" => Ok(Self::Any),
            "none" => Ok(Self::None),
            _ => Err(format!("`{text}` is no response: echo, any or none")),
        }
    }
}

/// Connections one after the other, each with a handshake of a given shape.
#[derive(Debug, Clone)]
pub struct HandshakeLoad {
    /// The endpoint.
    pub address: SocketAddr,
    /// Name for SNI, and for the certificate when it is verified.
    pub server_name: String,
    /// CAs as PEM; without them any certificate is trusted.
    pub ca: Option<String>,
    /// What every handshake has to be.
    pub shape: Shape,
    /// Offer the session of the connection before even when full handshakes are asked for: a
    /// server that is not to resume then fails if it does.
    pub offer_sessions: bool,
    /// Closed loop or a rate.
    pub pace: Pace,
    /// Clients, that is connections at a time.
    pub clients: usize,
    /// Bytes of the request.
    pub request_bytes: usize,
    /// What must come back.
    pub response: Response,
    /// When it ends.
    pub stop: Stop,
    /// What is done first and not counted.
    pub warmup: Duration,
    /// In a closed loop for a time: go on until there are enough units for the clients.
    pub extends: bool,
    /// How long a connection may take from its begin to its end.
    pub deadline: Duration,
    /// Where the load runs; anywhere when empty.
    pub processors: Vec<usize>,
}

impl HandshakeLoad {
    /// A closed loop of 64 clients for ten seconds.
    #[must_use]
    pub fn new(address: SocketAddr, shape: Shape) -> Self {
        Self {
            address,
            server_name: crate::pki::NAME.to_owned(),
            ca: None,
            shape,
            offer_sessions: false,
            pace: Pace::Closed,
            clients: 64,
            request_bytes: 64,
            response: Response::Echo,
            stop: Stop::After(Duration::from_secs(10)),
            warmup: Duration::from_secs(1),
            extends: true,
            deadline: Duration::from_secs(10),
            processors: Vec::new(),
        }
    }

    /// Runs it in this thread.
    ///
    /// # Errors
    /// A handshake of another kind than asked, wrong or missing data, or the system's.
    pub fn run(&self, on: &mut dyn FnMut(Moment)) -> Result<Outcome, Failure> {
        pinned(&self.processors, || self.prepare()?.run(on))
    }

    /// Opens what a run needs; for resumption every client makes its first, full handshake.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn prepare(&self) -> Result<Running<'_>, Failure> {
        let plan = Plan {
            address: self.address,
            name: ServerName::try_from(self.server_name.clone())?,
            shape: self.shape,
            response: self.response,
            request_bytes: self.request_bytes,
            deadline: self.deadline,
        };
        let config = trust::configuration(&self.shape, self.ca.as_deref())?;
        let resumes = self.shape.kind == Kind::Resumed;
        let poll = Poll::new()?;
        let mut running = Running {
            load: self,
            plan,
            clients: Client::many(self.clients.max(1), config, resumes, self.offer_sessions),
            free: (0..self.clients.max(1)).rev().collect(),
            poll,
            events: Some(Events::with_capacity(1024)),
            tally: Tally::new("handshake", "handshakes")?,
            number: 0,
            completed: 0,
            swept: Instant::now(),
        };
        if resumes {
            running.prime()?;
        }
        Ok(running)
    }
}

/// How much of a run may begin, and what counts.
#[derive(Debug, Clone, Copy, Default)]
struct Phase {
    /// Nothing begins that is due from here on.
    until: Option<Instant>,
    /// And `until` is not over before so many have ended in all, or this moment has come.
    enough: Option<(u64, Instant)>,
    /// So many may begin.
    budget: u64,
    /// What was due from here on counts.
    counts: Option<Instant>,
    /// Ends when nothing is under way and nothing may begin, instead of at `until`.
    drains: bool,
    /// Ends here in any case.
    latest: Option<Instant>,
}

impl Phase {
    fn is_over(&self, completed: u64, now: Instant) -> bool {
        let enough =
            self.enough.is_none_or(|(enough, latest)| completed >= enough || now >= latest);
        enough && self.until.is_some_and(|until| now >= until)
    }
}

/// A run that can begin.
#[derive(Debug)]
pub struct Running<'a> {
    load: &'a HandshakeLoad,
    plan: Plan,
    clients: Vec<Client>,
    free: Vec<usize>,
    poll: Poll,
    /// Always there between turns.
    events: Option<Events>,
    tally: Tally,
    number: u64,
    /// Connections that did all they had to, those to get a session left out.
    completed: u64,
    swept: Instant,
}

impl Running<'_> {
    /// Every client's first handshake, which gives it a session.
    fn prime(&mut self) -> Result<(), Failure> {
        let count = self.clients.len() as u64;
        let mut schedule = None;
        self.work(&mut schedule, Phase { budget: count, drains: true, ..Phase::default() })?;
        self.tally.must_be_clean("the first handshakes, which give sessions")?;
        match self.clients.iter().filter(|client| !client.has_session()).count() {
            0 => {}
            none => {
                let text = "resumed handshakes were asked for, but the server gave no session to";
                return Err(
                    format!("{text} {none} of {count} clients: no tickets, no cache").into()
                );
            }
        }
        Ok(())
    }

    /// Warm-up, the counted part, and the end of what is then under way.
    ///
    /// # Errors
    /// As [`HandshakeLoad::run`].
    pub fn run(mut self, on: &mut dyn FnMut(Moment)) -> Result<Outcome, Failure> {
        let mut schedule = match self.load.pace {
            Pace::Closed => None,
            Pace::Rate(rate) => Some((
                Schedule::new(Instant::now(), rate),
                Ticker::new(self.poll.registry(), TICK, rate)?,
            )),
        };
        let counted = matches!(self.load.stop, Stop::Count(_));
        let extends = self.load.extends && schedule.is_none() && !counted;
        let clients = self.clients.len() as u64;
        let warm = Instant::now() + self.load.warmup;
        let (until, budget) = (Some(warm), u64::MAX);
        let enough = extends.then(|| (clients, warm + self.load.deadline));
        self.work(&mut schedule, Phase { until, enough, budget, ..Phase::default() })?;
        if counted {
            // Exactly so many, from the first to the last: nothing else is under way.
            self.drain(&mut schedule, None, until)?;
        }
        on(Moment::Begin);
        let begin = Instant::now();
        let (until, budget) = match self.load.stop {
            Stop::After(time) => (Some(begin + time), u64::MAX),
            Stop::Count(count) => (None, count),
        };
        let counts = Some(begin);
        let enough = match self.load.stop {
            Stop::After(time) if extends => {
                Some((self.completed + TURNS * clients, begin + time * STRETCH))
            }
            _ => None,
        };
        self.tally.begin();
        let drains = counted;
        self.work(&mut schedule, Phase { until, enough, budget, counts, drains, latest: None })?;
        self.tally.end(begin.elapsed());
        on(Moment::End);
        self.drain(&mut schedule, counts, until)?;
        if let (Some((schedule, _)), Some(until)) = (&mut schedule, until) {
            let now = Instant::now();
            while let Some(due) = schedule.take(until) {
                self.tally.missed(now.saturating_duration_since(due));
            }
        }
        let mut outcome = self.tally.outcome();
        outcome.note(ALL, self.completed);
        if self.load.pace == Pace::Closed && !counted && outcome.units > 0 {
            outcome.note("edge_percent", clients as f64 / outcome.units as f64 * 100.0);
        }
        self.load.describe(&mut outcome);
        Ok(outcome)
    }

    /// Finishes what is under way; in an open loop also begins what was due before `until`.
    fn drain(
        &mut self,
        schedule: &mut Option<(Schedule, Ticker)>,
        counts: Option<Instant>,
        until: Option<Instant>,
    ) -> Result<(), Failure> {
        let latest = Some(Instant::now() + self.load.deadline);
        let budget = if schedule.is_some() && until.is_some() { u64::MAX } else { 0 };
        let drains = true;
        self.work(schedule, Phase { until, enough: None, budget, counts, drains, latest })
    }

    fn work(
        &mut self,
        schedule: &mut Option<(Schedule, Ticker)>,
        mut phase: Phase,
    ) -> Result<(), Failure> {
        loop {
            let now = Instant::now();
            if phase.is_over(self.completed, now) && !phase.drains {
                return Ok(());
            }
            let may_begin = phase.latest.is_none_or(|latest| now < latest);
            let more = may_begin && self.begin_due(schedule, &mut phase, now)?;
            if phase.drains && !more && self.free.len() == self.clients.len() {
                return Ok(());
            }
            self.turn(schedule.as_ref(), &phase)?;
        }
    }

    /// Begins what is due; false when nothing will be due in this phase any more.
    fn begin_due(
        &mut self,
        schedule: &mut Option<(Schedule, Ticker)>,
        phase: &mut Phase,
        now: Instant,
    ) -> Result<bool, Failure> {
        let Some((schedule, _)) = schedule else {
            let over = phase.is_over(self.completed, now);
            while !over && phase.budget > 0 {
                let Some(key) = self.free.pop() else { break };
                phase.budget -= 1;
                self.begin(key, Instant::now(), phase)?;
            }
            return Ok(!over && phase.budget > 0);
        };
        let last = phase.until.map_or(now, |until| until.min(now));
        while phase.budget > 0 && !self.free.is_empty() {
            let Some(due) = schedule.take(last) else { break };
            let Some(key) = self.free.pop() else { break };
            phase.budget -= 1;
            self.begin(key, due, phase)?;
        }
        Ok(phase.budget > 0 && phase.until.is_none_or(|until| schedule.due() <= until))
    }

    fn begin(&mut self, key: usize, due: Instant, phase: &Phase) -> Result<(), Failure> {
        self.number += 1;
        let (client, registry) = (&mut self.clients[key], self.poll.registry());
        match client.begin(&self.plan, self.number, due, (registry, Token(key))) {
            Ok(()) => Ok(()),
            Err(fault) => self.ended(key, Err(fault), phase),
        }
    }

    fn turn(
        &mut self,
        schedule: Option<&(Schedule, Ticker)>,
        phase: &Phase,
    ) -> Result<(), Failure> {
        let Some(mut events) = self.events.take() else { return Ok(()) };
        let timeout = phase
            .until
            .map_or(SWEEP, |until| SWEEP.min(until.saturating_duration_since(Instant::now())));
        // Who waits for enough units is woken by them.
        let timeout = if phase.enough.is_some() && timeout.is_zero() { SWEEP } else { timeout };
        match self.poll.poll(&mut events, Some(timeout.max(Duration::from_millis(1)))) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            result => result?,
        }
        for event in &events {
            let key = match event.token() {
                TICK => {
                    schedule.inspect(|(_, ticker)| ticker.ticked());
                    continue;
                }
                Token(key) => key,
            };
            match self.clients[key].advance(&self.plan, Some(event)) {
                Ok(None) => {}
                Ok(Some(done)) => self.ended(key, Ok(done), phase)?,
                Err(fault) => self.ended(key, Err(fault), phase)?,
            }
        }
        self.events = Some(events);
        if self.swept.elapsed() >= SWEEP {
            self.swept = Instant::now();
            for key in 0..self.clients.len() {
                if let Some(fault) = self.clients[key].overdue(&self.plan, self.swept) {
                    self.ended(key, Err(fault), phase)?;
                }
            }
        }
        Ok(())
    }

    /// Takes note of a connection that is over; its client is free again.
    fn ended(
        &mut self,
        key: usize,
        end: Result<Done, Fault>,
        phase: &Phase,
    ) -> Result<(), Failure> {
        self.free.push(key);
        match end {
            Ok(done) if done.primed => Ok(()),
            Ok(done) => {
                self.completed += 1;
                match done.ending {
                    Ending::Closed => {}
                    Ending::Bare => self.tally.bare += 1,
                    Ending::Reset => self.tally.resets += 1,
                }
                let timed = match self.load.pace {
                    // What ends while it is counted is a unit, wherever it began.
                    Pace::Closed => self.tally.is_counting(),
                    Pace::Rate(_) => phase.counts.is_some_and(|from| done.due >= from),
                };
                self.tally.unit(timed, done.handshake, Some(done.transaction));
                Ok(())
            }
            Err(fault) => {
                let name = self.clients[key].name();
                self.clients[key].fail();
                self.tally.fault(fault.of(&name))
            }
        }
    }
}

impl HandshakeLoad {
    fn describe(&self, outcome: &mut Outcome) {
        let Shape { version, kind, suite, group, key } = &self.shape;
        outcome.note("address", self.address.to_string());
        outcome.note("version", version.to_string());
        outcome.note("kind", kind.to_string());
        outcome.note("suite", suite.map(|suite| format!("{suite:?}")));
        outcome.note("group", group.map(|group| format!("{group:?}")));
        outcome.note("key", key.map(|key| key.word()));
        outcome.note("clients", self.clients as u64);
        outcome.note("request_bytes", self.request_bytes as u64);
        outcome.note("pace", self.pace.to_string());
    }
}
