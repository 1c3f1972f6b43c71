//! The driver's state machine for one AP queue.
//!
//! ```text
//! RESET_START -> RESET_WAIT -> SETIRQ_WAIT -> IDLE <-> WORKING <-> QUEUE_FULL
//! ```
//!
//! `requestq` holds what is not sent yet, `pendingq` what the card has. There is no clock and no
//! thread in here: the caller passes the AP instructions and the time, and the returned [`Wait`]
//! says what to wait for before the next event. So every situation can be tested step by step.
//!
//! Invariants: a message is in exactly one of the two queues until it leaves as [`Done`]; every
//! [`Wait::Again`] has made progress, and a card that forgets is sent to at most twice in a row,
//! so [`ApQueue::run`] ends; replies are matched by psmid alone, and one that matches nothing is
//! counted and dropped; both queues are in order of arrival.
//!
//! Deviations from the Linux driver, all for the sake of requests that must not hang:
//! * on ERROR both queues are given back at once, not at the next bus scan;
//! * the timeout is that of each request, from its arrival in the queue: Linux starts its timer
//!   anew at every reply, so one lost among many would never be missed;
//! * after a timeout everything is given back, nothing is sent to the silent card again;
//! * a queue that says "full" while it has none of our requests gives the next one back.
//!
//! Source: the state machine of the Linux AP bus, as facts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::message::{Message, Psmid, Reply};
use super::response::{ResponseCode, StatusWord};
use super::{Apqn, Instructions};
use crate::zcrypt::error::Cause;

/// State of the queue as the driver sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    ResetStart,
    ResetWait,
    SetIrqWait,
    Idle,
    Working,
    QueueFull,
}

/// State of the device behind the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceState {
    Operating,
    Shutdown,
    Error,
}

/// What drives the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// An interrupt, a timer or a new request: look what can be done.
    Poll,
    /// The card gave no reply in time.
    Timeout,
}

/// What to wait for before the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Wait {
    /// Nothing to wait for.
    None = 0,
    /// More can be done right now.
    Again = 1,
    /// An interrupt will come.
    Interrupt = 2,
    /// Poll again after [`Wait::HIGH`].
    HighTimeout = 3,
    /// Poll again after [`Wait::LOW`].
    LowTimeout = 4,
}

impl Wait {
    /// Interval of the high-frequency timer (waiting for a reply without interrupts).
    pub(crate) const HIGH: Duration = Duration::from_micros(250);
    /// Interval of the low-frequency timer (waiting for a reset or for interrupts to be enabled).
    pub(crate) const LOW: Duration = Duration::from_millis(40);

    /// How long to wait, if a timer is to be set.
    pub(crate) fn timer(self) -> Option<Duration> {
        match self {
            Self::HighTimeout => Some(Self::HIGH),
            Self::LowTimeout => Some(Self::LOW),
            Self::None | Self::Again | Self::Interrupt => None,
        }
    }

    pub(crate) fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Again,
            2 => Self::Interrupt,
            3 => Self::HighTimeout,
            4 => Self::LowTimeout,
            _ => Self::None,
        }
    }
}

/// How a message left the queue.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The card's reply.
    Reply(Reply),
    /// `EAGAIN`: not done here; another queue may do it.
    Again(Cause),
    /// `EINVAL`: this message will not be taken by any queue.
    Invalid(ResponseCode),
}

/// A message that left the queue.
#[derive(Debug)]
pub(crate) struct Done<P> {
    pub(crate) private: P,
    pub(crate) outcome: Outcome,
}

/// The driver's half of one queue.
#[derive(Debug)]
pub(crate) struct ApQueue<P> {
    state: State,
    device: DeviceState,
    depth: usize,
    use_interrupts: bool,
    configured: bool,
    checkstopped: bool,
    request_timeout: Duration,
    requestq: VecDeque<Message<P>>,
    pendingq: VecDeque<Message<P>>,
    /// Messages that the card has, as far as we know.
    queue_count: usize,
    /// Upper 16 bits of every psmid of this queue.
    apqn: Apqn,
    last_psmid: u64,
    last_error: Option<ResponseCode>,
    /// When the card made its last reply.
    answered: Option<Instant>,
    unmatched: u64,
    resets: u64,
    /// Times that the card forgot what it had.
    forgotten: u64,
}

/// How often in a row what the card forgot is sent again at once.
const RESENDS: u64 = 2;

impl<P> ApQueue<P> {
    pub(crate) fn new(apqn: Apqn, depth: usize, request_timeout: Duration) -> Self {
        Self {
            state: State::ResetStart,
            device: DeviceState::Operating,
            depth,
            use_interrupts: true,
            configured: true,
            checkstopped: false,
            request_timeout,
            requestq: VecDeque::with_capacity(depth),
            pendingq: VecDeque::with_capacity(depth),
            queue_count: 0,
            apqn,
            last_psmid: 0,
            last_error: None,
            answered: None,
            unmatched: 0,
            resets: 0,
            forgotten: 0,
        }
    }

    /// Requests may be put into this queue.
    pub(crate) fn usable(&self) -> bool {
        self.device == DeviceState::Operating && self.configured && !self.checkstopped
    }

    /// State and device state.
    pub(crate) fn state(&self) -> (State, DeviceState) {
        (self.state, self.device)
    }

    /// Lengths of `requestq` and `pendingq`.
    pub(crate) fn lengths(&self) -> (usize, usize) {
        (self.requestq.len(), self.pendingq.len())
    }

    /// Replies that matched no request, and resets so far.
    pub(crate) fn oddities(&self) -> (u64, u64) {
        (self.unmatched, self.resets)
    }

    /// The response code that led to the last ERROR.
    pub(crate) fn last_error(&self) -> Option<ResponseCode> {
        self.last_error
    }

    /// Appends a message; gives `private` back if the queue is not usable.
    pub(crate) fn push(&mut self, bytes: Vec<u8>, private: P, now: Instant) -> Result<Psmid, P> {
        if !self.usable() {
            return Err(private);
        }
        self.last_psmid += 1;
        let psmid = Psmid(u64::from(self.apqn.number()) << 48 | self.last_psmid);
        self.requestq.push_back(Message { psmid, bytes, since: now, overtaken: false, private });
        Ok(psmid)
    }

    /// Handles `event` and everything that can be done right after it.
    pub(crate) fn run(
        &mut self,
        ap: &impl Instructions,
        event: Event,
        out: &mut Vec<Done<P>>,
    ) -> Wait {
        let forgotten = self.forgotten;
        let mut wait = self.step(ap, event, out);
        while wait == Wait::Again {
            if self.forgotten - forgotten >= RESENDS {
                return Wait::LowTimeout;
            }
            wait = self.step(ap, Event::Poll, out);
        }
        wait
    }

    /// Handles one event.
    pub(crate) fn step(
        &mut self,
        ap: &impl Instructions,
        event: Event,
        out: &mut Vec<Done<P>>,
    ) -> Wait {
        if !self.usable() {
            return Wait::None;
        }
        match (event, self.state) {
            (Event::Timeout, State::Working | State::QueueFull) => {
                self.flush(Cause::TimedOut, out);
                self.reset(ap, out)
            }
            (Event::Timeout, State::Idle) => Wait::None,
            (Event::Timeout, _) => {
                self.flush(Cause::TimedOut, out);
                self.device = DeviceState::Error;
                self.last_error = Some(ResponseCode::ResetInProgress);
                Wait::None
            }
            (Event::Poll, State::ResetStart) => self.reset(ap, out),
            (Event::Poll, State::ResetWait) => self.reset_wait(ap, out),
            (Event::Poll, State::SetIrqWait) => self.set_irq_wait(ap, out),
            (Event::Poll, State::Idle) => self.write(ap, out),
            (Event::Poll, State::Working) => {
                // Whichever of the two has more to do decides; both must run.
                let read = self.read(ap, out);
                if !self.usable() || self.state == State::ResetWait {
                    return read;
                }
                let write = self.write(ap, out);
                if self.usable() { soonest(read, write) } else { write }
            }
            (Event::Poll, State::QueueFull) => self.read(ap, out),
        }
    }

    /// A request has been here for too long, and it is not that the card has so much to do: its
    /// reply was lost, since one that came later has been answered; or the card has been silent for
    /// that long. A card whose thread gets little of a busy processor is slow, not silent.
    pub(crate) fn timed_out(&self, now: Instant) -> bool {
        let late = |since: Instant| now.saturating_duration_since(since) >= self.request_timeout;
        let silent = self.answered.is_none_or(late);
        let first = self.pendingq.front();
        let oldest = first.into_iter().chain(self.requestq.front());
        first.is_some_and(|message| message.overtaken && late(message.since))
            || (silent && oldest.map(|message| message.since).min().is_some_and(late))
    }

    /// The card's place in the configuration and its checkstop state, as a bus scan found them.
    /// Returns whether the queue has to be flushed.
    pub(crate) fn set_card_state(&mut self, configured: bool, checkstopped: bool) -> bool {
        let was = self.configured && !self.checkstopped;
        self.configured = configured;
        self.checkstopped = checkstopped;
        let is = configured && !checkstopped;
        if is && !was {
            self.restart();
        }
        was && !is
    }

    /// Gives back every message and begins anew, so that the card drops what it had.
    pub(crate) fn clear(&mut self, cause: Cause, out: &mut Vec<Done<P>>) {
        self.flush(cause, out);
        if self.device == DeviceState::Operating {
            self.restart();
        }
    }

    /// Begins anew after an ERROR: the bus scan's repair. Returns whether there was one.
    pub(crate) fn repair(&mut self) -> bool {
        let broken = self.device == DeviceState::Error;
        if broken {
            self.restart();
        }
        broken
    }

    /// Ends the queue for good.
    pub(crate) fn shut_down(&mut self, out: &mut Vec<Done<P>>) {
        self.flush(Cause::Shutdown, out);
        self.device = DeviceState::Shutdown;
    }

    /// Gives back every message.
    pub(crate) fn flush(&mut self, cause: Cause, out: &mut Vec<Done<P>>) {
        self.give_back_pending(cause, out);
        let messages = self.requestq.drain(..);
        out.extend(messages.map(|m| Done { private: m.private, outcome: Outcome::Again(cause) }));
    }

    fn restart(&mut self) {
        if self.device != DeviceState::Shutdown {
            self.device = DeviceState::Operating;
            self.state = State::ResetStart;
        }
    }

    fn give_back_pending(&mut self, cause: Cause, out: &mut Vec<Done<P>>) {
        let messages = self.pendingq.drain(..);
        out.extend(messages.map(|m| Done { private: m.private, outcome: Outcome::Again(cause) }));
        self.queue_count = 0;
    }

    fn fail(&mut self, code: ResponseCode, out: &mut Vec<Done<P>>) -> Wait {
        self.device = DeviceState::Error;
        self.last_error = Some(code);
        self.flush(Cause::Ap(code), out);
        Wait::None
    }

    fn reset(&mut self, ap: &impl Instructions, out: &mut Vec<Done<P>>) -> Wait {
        match ap.rapq().response() {
            ResponseCode::Normal | ResponseCode::ResetInProgress => {
                self.resets += 1;
                self.state = State::ResetWait;
                Wait::LowTimeout
            }
            code => self.fail(code, out),
        }
    }

    fn reset_wait(&mut self, ap: &impl Instructions, out: &mut Vec<Done<P>>) -> Wait {
        match ap.tapq().response() {
            ResponseCode::Normal => {
                if self.use_interrupts && ap.aqic().response() == ResponseCode::Normal {
                    self.state = State::SetIrqWait;
                } else {
                    self.settle();
                }
                Wait::Again
            }
            ResponseCode::Busy | ResponseCode::ResetInProgress => Wait::LowTimeout,
            code => self.fail(code, out),
        }
    }

    fn set_irq_wait(&mut self, ap: &impl Instructions, out: &mut Vec<Done<P>>) -> Wait {
        let status = ap.tapq();
        match status.response() {
            ResponseCode::Normal | ResponseCode::QueueFullOrNoReply if status.irq_enabled() => {
                self.settle();
                Wait::Again
            }
            ResponseCode::Normal | ResponseCode::QueueFullOrNoReply => Wait::LowTimeout,
            code => self.fail(code, out),
        }
    }

    fn settle(&mut self) {
        self.state = if self.queue_count > 0 { State::Working } else { State::Idle };
    }

    /// Fetches one reply.
    fn read(&mut self, ap: &impl Instructions, out: &mut Vec<Done<P>>) -> Wait {
        let (status, reply) = ap.dqap();
        match status.response() {
            ResponseCode::Normal => {
                if let Some(reply) = reply {
                    self.receive(reply, out);
                }
                self.settle();
                Wait::Again
            }
            ResponseCode::QueueFullOrNoReply => {
                if status.queue_empty() && self.queue_count > 0 {
                    self.send_again();
                    return Wait::Again;
                }
                if self.queue_count > 0 {
                    return awaiting(status);
                }
                self.settle();
                if self.requestq.is_empty() { Wait::None } else { Wait::Again }
            }
            code => self.fail(code, out),
        }
    }

    fn receive(&mut self, reply: Reply, out: &mut Vec<Done<P>>) {
        self.queue_count = self.queue_count.saturating_sub(1);
        match self.pendingq.iter().position(|m| m.psmid == reply.psmid) {
            Some(at) => {
                self.answered = Some(reply.served.ended);
                if let Some(message) = self.pendingq.remove(at) {
                    // A card takes the requests of a queue in order.
                    if let Some(first) = self.pendingq.front_mut().filter(|_| at > 0) {
                        first.overtaken = true;
                    }
                    let outcome = Outcome::Reply(reply);
                    out.push(Done { private: message.private, outcome });
                }
            }
            None => self.unmatched += 1,
        }
    }

    /// The card says that it has nothing, but it had: everything goes out once more, in order.
    fn send_again(&mut self) {
        while let Some(mut message) = self.pendingq.pop_back() {
            message.overtaken = false;
            self.requestq.push_front(message);
        }
        self.forgotten += 1;
        self.queue_count = 0;
        self.state = State::Idle;
    }

    /// Sends one request.
    fn write(&mut self, ap: &impl Instructions, out: &mut Vec<Done<P>>) -> Wait {
        let Some(message) = self.requestq.front() else { return Wait::None };
        let status = ap.nqap(message.psmid, &message.bytes);
        match status.response() {
            ResponseCode::Normal => {
                self.pendingq.extend(self.requestq.pop_front());
                self.queue_count += 1;
                if self.queue_count < self.depth {
                    self.state = State::Working;
                    return Wait::Again;
                }
                self.state = State::QueueFull;
                awaiting(status)
            }
            code @ ResponseCode::QueueFullOrNoReply if self.queue_count == 0 => {
                self.state = State::Idle;
                let message = self.requestq.pop_front();
                let outcome = Outcome::Again(Cause::Ap(code));
                out.extend(message.map(|m| Done { private: m.private, outcome }));
                Wait::Again
            }
            ResponseCode::QueueFullOrNoReply => {
                self.state = State::QueueFull;
                awaiting(status)
            }
            ResponseCode::ResetInProgress => {
                self.state = State::ResetWait;
                Wait::LowTimeout
            }
            code @ (ResponseCode::MessageTooBig
            | ResponseCode::FacilityNotInstalled
            | ResponseCode::InvalidDomain) => {
                let message = self.requestq.pop_front();
                let outcome = Outcome::Invalid(code);
                out.extend(message.map(|m| Done { private: m.private, outcome }));
                Wait::Again
            }
            code => self.fail(code, out),
        }
    }
}

/// How a reply announces itself.
fn awaiting(status: StatusWord) -> Wait {
    if status.irq_enabled() { Wait::Interrupt } else { Wait::HighTimeout }
}

/// Of two waits the one that ends first.
fn soonest(a: Wait, b: Wait) -> Wait {
    let rank = |wait| match wait {
        Wait::Again => 0,
        Wait::HighTimeout => 1,
        Wait::LowTimeout => 2,
        Wait::Interrupt => 3,
        Wait::None => 4,
    };
    if rank(a) <= rank(b) { a } else { b }
}

#[cfg(test)]
mod tests;
