//! Pings on established connections, each echoed and compared.
//!
//! Invariant: at a rate, the latency of a ping counts from when it was due, sent or not.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Token};

use super::fault::Fault;
use super::lines::{Lines, Target, advance, turn};
use super::pace::{Moment, Pace, Schedule, Stop, Ticker};
use super::tally::Tally;
use super::{pattern, pinned};
use crate::Failure;
use crate::outcome::Outcome;

const TICK: Token = Token(usize::MAX);
const SWEEP: Duration = Duration::from_millis(100);

/// Connections that ping.
#[derive(Debug, Clone)]
pub struct LatencyLoad {
    /// Where to.
    pub target: Target,
    /// Connections; pings go round.
    pub connections: usize,
    /// All connections together, or each a ping as soon as the one before is answered.
    pub pace: Pace,
    /// Bytes of a ping.
    pub bytes: usize,
    /// When it ends.
    pub stop: Stop,
    /// What is done first and not counted.
    pub warmup: Duration,
}

impl LatencyLoad {
    /// Eight connections, 1600 pings of 1 KiB a second in all, ten seconds.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target,
            connections: 8,
            pace: Pace::Rate(1600.0),
            bytes: 1024,
            stop: Stop::After(Duration::from_secs(10)),
            warmup: Duration::from_secs(1),
        }
    }

    /// Runs it in this thread.
    ///
    /// # Errors
    /// A connection breaks, an answer is wrong or late.
    pub fn run(&self, on: &mut dyn FnMut(Moment)) -> Result<Outcome, Failure> {
        pinned(&self.target.processors, || self.prepare()?.run(on))
    }

    /// Connects.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn prepare(&self) -> Result<Pinging<'_>, Failure> {
        if self.connections == 0 || self.bytes == 0 || self.bytes > pattern::SLICE_MAX {
            let most = pattern::SLICE_MAX;
            return Err(format!("pings need a connection and 1 to {most} bytes").into());
        }
        let lines = Lines::connect(&self.target, self.connections, 4 * 1024)?;
        let state = |key| State { seed: pattern::seed(key as u64), ..State::default() };
        let states = (0..self.connections).map(state).collect();
        let tally = Tally::new("latency", "pings")?;
        Ok(Pinging { load: self, lines, states, next: 0, tally, counted_from: None })
    }
}

#[derive(Debug, Default)]
struct State {
    seed: u32,
    sent: u64,
    received: u64,
    /// Pings without an answer, by when they were due.
    due: VecDeque<Instant>,
}

/// Connections that can begin to ping.
#[derive(Debug)]
pub struct Pinging<'a> {
    load: &'a LatencyLoad,
    lines: Lines,
    states: Vec<State>,
    next: usize,
    tally: Tally,
    counted_from: Option<Instant>,
}

impl Pinging<'_> {
    /// One ping on each connection, all answered: they carry data.
    pub(super) fn each(&mut self) -> Result<(), Failure> {
        for key in 0..self.states.len() {
            self.ping(key, Instant::now())?;
        }
        let mut events = Events::with_capacity(256);
        while self.states.iter().any(|state| !state.due.is_empty()) {
            self.turn(&mut None, &mut events)?;
        }
        Ok(())
    }

    /// Warm-up, counted part, last answers.
    ///
    /// # Errors
    /// As [`LatencyLoad::run`].
    pub fn run(mut self, on: &mut dyn FnMut(Moment)) -> Result<Outcome, Failure> {
        let mut clock = match self.load.pace {
            Pace::Closed => None,
            Pace::Rate(rate) => Some((
                Schedule::new(Instant::now(), rate),
                Ticker::new(self.lines.poll.registry(), TICK, rate)?,
            )),
        };
        let warm = Instant::now() + self.load.warmup;
        self.work(&mut clock, Some(warm), u64::MAX)?;
        on(Moment::Begin);
        let begin = Instant::now();
        self.counted_from = Some(begin);
        self.tally.begin();
        let (until, count) = match self.load.stop {
            Stop::After(time) => (Some(begin + time), u64::MAX),
            Stop::Count(count) => (None, count),
        };
        self.work(&mut clock, until, count)?;
        self.tally.end(begin.elapsed());
        on(Moment::End);
        let begun = |state: &State| !state.due.is_empty();
        let mut events = Events::with_capacity(256);
        // What was due in the counted part has its latency, however late.
        while self.states.iter().any(begun) {
            self.turn(&mut clock, &mut events)?;
        }
        self.lines.close();
        let mut outcome = self.tally.outcome();
        outcome.note("address", self.load.target.address.to_string());
        outcome.note("connections", self.load.connections as u64);
        outcome.note("bytes", self.load.bytes as u64);
        outcome.note("pace", self.load.pace.to_string());
        Ok(outcome)
    }

    fn work(
        &mut self,
        clock: &mut Option<(Schedule, Ticker)>,
        until: Option<Instant>,
        count: u64,
    ) -> Result<(), Failure> {
        let mut events = Events::with_capacity(256);
        let mut left = count;
        loop {
            let now = Instant::now();
            let last = until.map_or(now, |until| until.min(now));
            match clock {
                Some((schedule, _)) => {
                    while left > 0
                        && let Some(due) = schedule.take(last)
                    {
                        left -= 1;
                        let key = self.next;
                        self.next = (key + 1) % self.states.len();
                        self.ping(key, due)?;
                    }
                }
                None => {
                    for key in 0..self.states.len() {
                        if left > 0 && self.states[key].due.is_empty() {
                            left -= 1;
                            self.ping(key, Instant::now())?;
                        }
                    }
                }
            }
            let idle = self.states.iter().all(|state| state.due.is_empty());
            if until.is_some_and(|until| now >= until) || (left == 0 && idle) {
                return Ok(());
            }
            self.turn(clock, &mut events)?;
        }
    }

    fn turn(
        &mut self,
        clock: &mut Option<(Schedule, Ticker)>,
        events: &mut Events,
    ) -> Result<(), Failure> {
        turn(&mut self.lines.poll, events, SWEEP)?;
        for event in &*events {
            match event.token() {
                TICK => {
                    clock.iter().for_each(|(_, ticker)| ticker.ticked());
                }
                Token(key) => self.take(key, Some(event))?,
            }
        }
        let oldest = |state: &State| state.due.front().copied();
        let late = self.states.iter().position(|state| {
            oldest(state).is_some_and(|due| due.elapsed() > self.load.target.deadline)
        });
        if let Some(key) = late {
            let State { sent, received, .. } = self.states[key];
            let seconds = self.load.target.deadline.as_secs_f64();
            let text = format!("late: {received} of {sent} bytes came back, {seconds:.1} s on");
            return Err(self.lines.named(key, Fault::Broken(text)).into());
        }
        Ok(())
    }

    fn ping(&mut self, key: usize, due: Instant) -> Result<(), Failure> {
        let (state, wire) = (&mut self.states[key], &mut self.lines.wires[key]);
        let sent = wire.send(pattern::slice(state.seed, state.sent, self.load.bytes));
        state.sent += self.load.bytes as u64;
        state.due.push_back(due);
        sent.map_err(|fault| self.lines.named(key, fault))?;
        self.take(key, None)
    }

    fn take(&mut self, key: usize, event: Option<&Event>) -> Result<(), Failure> {
        let (state, wire) = (&mut self.states[key], &mut self.lines.wires[key]);
        let result = advance(wire, event, |data| {
            pattern::check(state.seed, state.received, data).map_err(Fault::Wrong)?;
            state.received += data.len() as u64;
            if state.received > state.sent {
                return Err(Fault::Wrong("more came back than was sent".to_owned()));
            }
            Ok(())
        });
        result.map_err(|fault| self.lines.named(key, fault))?;
        let bytes = self.load.bytes as u64;
        let state = &mut self.states[key];
        // The oldest ping is answered when so much has come back.
        while state.received + state.due.len() as u64 * bytes >= state.sent + bytes {
            let Some(due) = state.due.pop_front() else { break };
            let timed = self.counted_from.is_some_and(|from| due >= from);
            self.tally.unit(timed, due.elapsed(), None);
        }
        Ok(())
    }
}
