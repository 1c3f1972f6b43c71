//! Bulk data, checked at both ends.
//!
//! Invariant: only bytes that were compared count: what comes down when it is here, what goes up
//! when the backend has said that it was right (see [`super::protocol`]).

use std::fmt;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Token};

use super::fault::Fault;
use super::lines::{Lines, Target, advance, turn};
use super::pace::{Moment, Stop};
use super::protocol::{HEAD_BYTES, Request, Trailer};
use super::tally::Tally;
use super::wire::Wire;
use super::{pattern, pinned};
use crate::Failure;
use crate::outcome::Outcome;

/// Bytes of data between trailers.
const BLOCK: u32 = 256 * 1024;
/// Bytes read at a time.
const ROOM: usize = 256 * 1024;
/// What may be encrypted ahead of the kernel.
const AHEAD: usize = 256 * 1024;
const MIB: u64 = 1024 * 1024;
const SWEEP: Duration = Duration::from_millis(100);

/// Where data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the backend to the client.
    Down,
    /// From the client to the backend.
    Up,
    /// Both at once.
    Both,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "down",
            Self::Up => "up",
            Self::Both => "both",
        })
    }
}

impl std::str::FromStr for Direction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "down" => Ok(Self::Down),
            "up" => Ok(Self::Up),
            "both" => Ok(Self::Both),
            _ => Err(format!("`{text}` is no direction: down, up or both")),
        }
    }
}

/// Connections that move as much as they can.
#[derive(Debug, Clone)]
pub struct BulkLoad {
    /// Where to.
    pub target: Target,
    /// Which way.
    pub direction: Direction,
    /// Connections at once.
    pub connections: usize,
    /// Bytes a client encrypts at a time.
    pub chunk: usize,
    /// When it ends: a count is of MiB in all.
    pub stop: Stop,
    /// What is done first and not counted.
    pub warmup: Duration,
}

impl BulkLoad {
    /// One connection for ten seconds.
    #[must_use]
    pub fn new(target: Target, direction: Direction) -> Self {
        Self {
            target,
            direction,
            connections: 1,
            chunk: 16 * 1024,
            stop: Stop::After(Duration::from_secs(10)),
            warmup: Duration::from_secs(1),
        }
    }

    /// Runs it in this thread.
    ///
    /// # Errors
    /// Data is wrong or missing, a connection breaks or stands still.
    pub fn run(&self, on: &mut dyn FnMut(Moment)) -> Result<Outcome, Failure> {
        pinned(&self.target.processors, || {
            if self.connections == 0 || self.chunk == 0 {
                return Err("bulk data needs a connection and a chunk".into());
            }
            let lines = Lines::connect(&self.target, self.connections, ROOM)?;
            let flows = (0..self.connections).map(|key| Flow::new(self.direction, key)).collect();
            Moving { load: self, lines, flows, finishing: false }.run(on)
        })
    }
}

/// One connection.
#[derive(Debug)]
struct Flow {
    request: Request,
    /// Data that came down and was right.
    down: u64,
    /// Data that was encrypted to go up.
    up: u64,
    /// Of it, what the backend found right.
    right: u64,
    trailer: [u8; HEAD_BYTES],
    /// Bytes of a trailer that have come.
    partial: usize,
}

impl Flow {
    fn new(direction: Direction, key: usize) -> Self {
        let request = Request {
            down: direction != Direction::Up,
            up: direction != Direction::Down,
            seed: pattern::seed(key as u64),
            block: BLOCK,
        };
        Self { request, down: 0, up: 0, right: 0, trailer: [0; HEAD_BYTES], partial: 0 }
    }

    /// Checks what came down: blocks of data with trailers, or trailers alone.
    fn take(&mut self, mut data: &[u8]) -> Result<(), Fault> {
        while !data.is_empty() {
            let in_block = self.down % u64::from(BLOCK);
            let boundary = in_block == 0 && (self.down > 0 || !self.request.down);
            // Between blocks there is a trailer; `partial` is full when it is behind us.
            if boundary && self.partial < HEAD_BYTES {
                let count = data.len().min(HEAD_BYTES - self.partial);
                self.trailer[self.partial..self.partial + count].copy_from_slice(&data[..count]);
                self.partial += count;
                data = &data[count..];
                if self.partial == HEAD_BYTES {
                    self.heed()?;
                    if !self.request.down {
                        self.partial = 0;
                    }
                }
                continue;
            }
            let left = usize::try_from(u64::from(BLOCK) - in_block).unwrap_or(usize::MAX);
            let (now, rest) = data.split_at(data.len().min(left));
            pattern::check(self.request.seed, self.down, now).map_err(Fault::Wrong)?;
            self.down += now.len() as u64;
            self.partial = 0;
            data = rest;
        }
        Ok(())
    }

    fn heed(&mut self) -> Result<(), Fault> {
        let Some(Trailer { right, wrong }) = Trailer::decode(&self.trailer) else {
            let text =
                format!("wrong data where the backend tells what it got: {:02x?}", self.trailer);
            return Err(Fault::Wrong(text));
        };
        if wrong || right > self.up || right < self.right {
            let sent = self.up;
            let text =
                format!("wrong data at the backend at byte {right} of {sent} that were sent");
            return Err(Fault::Wrong(text));
        }
        self.right = right;
        Ok(())
    }

    fn checked(&self) -> u64 {
        self.down + self.right
    }

    fn is_confirmed(&self) -> bool {
        self.right == self.up
    }
}

/// Watches that data moves, on each connection and in each direction that was asked for: others do
/// not excuse one that stands still.
#[derive(Debug)]
struct Watch(Vec<[(u64, Instant); 2]>);

impl Watch {
    fn new(flows: &[Flow], now: Instant) -> Self {
        Self(flows.iter().map(|flow| [(flow.down, now), (flow.right, now)]).collect())
    }

    /// A connection on which something has stood still for longer than `patience`. When it is only
    /// finished, what the backend confirms is all that counts, and who waits for none is done.
    fn stalled(
        &mut self,
        flows: &[Flow],
        finishing: bool,
        now: Instant,
        patience: Duration,
    ) -> Option<usize> {
        let mut stalled = None;
        for (key, (flow, seen)) in flows.iter().zip(&mut self.0).enumerate() {
            let Request { down, up, .. } = flow.request;
            let awaited = [down && !finishing, up && !(finishing && flow.is_confirmed())];
            let moved = [flow.down, flow.right];
            for ((seen, moved), awaited) in seen.iter_mut().zip(moved).zip(awaited) {
                if moved > seen.0 {
                    *seen = (moved, now);
                } else if awaited && now.saturating_duration_since(seen.1) > patience {
                    stalled = stalled.or(Some(key));
                }
            }
        }
        stalled
    }
}

struct Moving<'a> {
    load: &'a BulkLoad,
    lines: Lines,
    flows: Vec<Flow>,
    /// Nothing more goes up than the block that was begun.
    finishing: bool,
}

impl Moving<'_> {
    fn run(mut self, on: &mut dyn FnMut(Moment)) -> Result<Outcome, Failure> {
        for key in 0..self.flows.len() {
            let sent = self.lines.wires[key].send(&self.flows[key].request.encode());
            sent.map_err(|fault| self.lines.named(key, fault))?;
            self.advance(key, None)?;
        }
        self.work(Some(Instant::now() + self.load.warmup), u64::MAX)?;
        let mut tally = Tally::new(&format!("bulk {}", self.load.direction), "MiB")?;
        on(Moment::Begin);
        let (begin, before) = (Instant::now(), self.sums());
        match self.load.stop {
            Stop::After(time) => self.work(Some(begin + time), u64::MAX)?,
            Stop::Count(count) => self.work(None, self.checked() + count * MIB)?,
        }
        let elapsed = begin.elapsed();
        let after = self.sums();
        on(Moment::End);
        self.finish()?;
        let mimicked = self.lines.wires.iter().map(Wire::mimicked).sum::<u64>();
        self.lines.close();
        let (down, up) = (after.0 - before.0, after.1 - before.1);
        tally.units((down + up) / MIB);
        tally.end(elapsed);
        let mut outcome = tally.outcome();
        outcome.rate = (down + up) as f64 / MIB as f64 / elapsed.as_secs_f64().max(1e-9);
        outcome.note("down_bytes", down);
        outcome.note("up_bytes", up);
        outcome.note("address", self.load.target.address.to_string());
        outcome.note("connections", self.load.connections as u64);
        outcome.note("chunk", self.load.chunk as u64);
        if mimicked > 0 {
            outcome.note("mimicked_bytes", mimicked);
        }
        Ok(outcome)
    }

    fn sums(&self) -> (u64, u64) {
        let add = |sum: (u64, u64), flow: &Flow| (sum.0 + flow.down, sum.1 + flow.right);
        self.flows.iter().fold((0, 0), add)
    }

    fn checked(&self) -> u64 {
        self.flows.iter().map(Flow::checked).sum()
    }

    fn work(&mut self, until: Option<Instant>, goal: u64) -> Result<(), Failure> {
        self.turns(until, |flows| flows.iter().map(Flow::checked).sum::<u64>() >= goal)
    }

    /// What went up is not right before the backend has said so.
    fn finish(&mut self) -> Result<(), Failure> {
        self.finishing = true;
        for key in 0..self.flows.len() {
            self.advance(key, None)?;
        }
        self.turns(None, |flows| flows.iter().all(Flow::is_confirmed))
    }

    fn turns(
        &mut self,
        until: Option<Instant>,
        done: impl Fn(&[Flow]) -> bool,
    ) -> Result<(), Failure> {
        let mut events = Events::with_capacity(256);
        let mut watch = Watch::new(&self.flows, Instant::now());
        while !done(&self.flows) && until.is_none_or(|until| Instant::now() < until) {
            let time = until.map_or(SWEEP, |u| u.saturating_duration_since(Instant::now()));
            turn(&mut self.lines.poll, &mut events, time.min(SWEEP))?;
            for event in &events {
                let Token(key) = event.token();
                self.advance(key, Some(event))?;
            }
            let (now, patience) = (Instant::now(), self.load.target.deadline);
            if let Some(key) = watch.stalled(&self.flows, self.finishing, now, patience) {
                return Err(self.stands_still(key));
            }
        }
        Ok(())
    }

    fn stands_still(&self, key: usize) -> Failure {
        let Flow { down, up, right, .. } = self.flows[key];
        let text = format!(
            "data stands still for {:.1} s: {down} bytes came down; of {up} that went up {right} \
             are confirmed",
            self.load.target.deadline.as_secs_f64()
        );
        self.lines.named(key, Fault::Broken(text)).into()
    }

    fn advance(&mut self, key: usize, event: Option<&Event>) -> Result<(), Failure> {
        let (flow, wire) = (&mut self.flows[key], &mut self.lines.wires[key]);
        let mut result = advance(wire, event, |data| flow.take(data));
        // As long as the kernel takes it all at once.
        let mut filled = 0;
        while result.is_ok() && flow.request.up && wire.unsent() == 0 && filled < AHEAD {
            let mut length = self.load.chunk;
            if self.finishing {
                let block = u64::from(BLOCK);
                let left = usize::try_from((block - flow.up % block) % block);
                length = length.min(left.unwrap_or_default());
                if length == 0 {
                    break;
                }
            }
            let chunk = pattern::slice(flow.request.seed, flow.up, length);
            flow.up += chunk.len() as u64;
            filled += chunk.len();
            result = wire.send(chunk).and_then(|()| advance(wire, None, |data| flow.take(data)));
        }
        result.map_err(|fault| self.lines.named(key, fault).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether something is found to stand still when only `moves` has happened for a second.
    fn stalled(direction: Direction, finishing: bool, moves: fn(&mut [Flow])) -> Option<usize> {
        let mut flows = [0, 1].map(|key| Flow { up: 9, ..Flow::new(direction, key) });
        let begin = Instant::now();
        let mut watch = Watch::new(&flows, begin);
        moves(&mut flows);
        let (patience, later) = (Duration::from_millis(900), Duration::from_secs(1));
        watch.stalled(&flows, finishing, begin + later, patience)
    }

    #[test]
    fn one_connection_does_not_excuse_another() {
        assert_eq!(stalled(Direction::Down, false, |flows| flows[0].down = 5), Some(1));
        assert_eq!(stalled(Direction::Down, false, |_| {}), Some(0));
        let all = |flows: &mut [Flow]| flows.iter_mut().for_each(|flow| flow.down = 5);
        assert_eq!(stalled(Direction::Down, false, all), None);
    }

    #[test]
    fn one_direction_does_not_excuse_the_other() {
        let down = |flows: &mut [Flow]| flows.iter_mut().for_each(|flow| flow.down = 5);
        assert_eq!(stalled(Direction::Both, false, down), Some(0));
        assert_eq!(stalled(Direction::Up, false, down), Some(0));
        let both = |flows: &mut [Flow]| {
            flows.iter_mut().for_each(|flow| (flow.down, flow.right) = (5, 1));
        };
        assert_eq!(stalled(Direction::Both, false, both), None);
    }

    #[test]
    fn at_the_end_only_confirmations_count() {
        let down = |flows: &mut [Flow]| {
            flows.iter_mut().for_each(|flow| flow.down = 5);
            flows[0].right = 9;
        };
        assert_eq!(stalled(Direction::Both, true, down), Some(1));
        let confirmed = |flows: &mut [Flow]| flows.iter_mut().for_each(|flow| flow.right = 9);
        assert_eq!(stalled(Direction::Both, true, confirmed), None);
    }
}
