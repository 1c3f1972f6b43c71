//! Pings on established connections at a fixed rate.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::client::{Client, any_certificate};
use crate::Failure;

const TIMER: Token = Token(usize::MAX);
/// Bytes of a ping.
const PING_BYTES: usize = 1024;
/// How long connections may take, and how long the last answers are waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection and the pings it owes an answer for.
#[derive(Debug)]
struct Line {
    client: Client,
    due: VecDeque<Instant>,
    received: Vec<u8>,
}

/// Established connections.
#[derive(Debug)]
pub struct Pings {
    poll: Poll,
    lines: Vec<Line>,
}

impl Pings {
    /// Connects and completes the handshakes.
    ///
    /// # Errors
    /// A connection does not come about.
    pub fn connect(address: SocketAddr, count: usize) -> Result<Self, Failure> {
        let config = any_certificate()?;
        let poll = Poll::new()?;
        let mut pings = Self { poll, lines: Vec::with_capacity(count) };
        // A hundred at a time: the queue of a listener is not what is to be measured.
        while pings.lines.len() < count {
            let until = (pings.lines.len() + 100).min(count);
            for key in pings.lines.len()..until {
                let registry = pings.poll.registry();
                let client = Client::connect(address, &config, registry, Token(key))?;
                let (due, received) = (VecDeque::new(), Vec::new());
                pings.lines.push(Line { client, due, received });
            }
            pings.establish()?;
        }
        Ok(pings)
    }

    /// Until every connection is established, and has been through to the backend and back.
    fn establish(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut latencies = histogram()?;
        let mut events = Events::with_capacity(256);
        while self.lines.iter().any(|line| !line.client.is_established()) {
            self.turn(&mut events, &mut latencies)?;
            if Instant::now() > deadline {
                return Err("connections are not established in time".into());
            }
        }
        Ok(())
    }

    fn turn(
        &mut self,
        events: &mut Events,
        latencies: &mut Histogram<u64>,
    ) -> Result<bool, Failure> {
        let mut ticked = false;
        match self.poll.poll(events, Some(Duration::from_millis(100))) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            result => result?,
        }
        for event in events.iter() {
            match event.token() {
                TIMER => ticked = true,
                Token(key) => {
                    if let Some(line) = self.lines.get_mut(key) {
                        line.take(latencies)?;
                    }
                }
            }
        }
        Ok(ticked)
    }

    /// Sends a ping every `interval` in all, round robin, for `time`; latencies in microseconds
    /// from when each was due.
    ///
    /// # Errors
    /// A connection breaks, or an answer does not come.
    pub fn run(&mut self, interval: Duration, time: Duration) -> Result<Histogram<u64>, Failure> {
        let mut latencies = histogram()?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let fd = timer.as_raw_fd();
        self.poll.registry().register(&mut SourceFd(&fd), TIMER, Interest::READABLE)?;
        let period = Timespec {
            tv_sec: i64::try_from(interval.as_secs())?,
            tv_nsec: i64::from(interval.subsec_nanos()),
        };
        let begin = Instant::now();
        let spec = Itimerspec { it_interval: period, it_value: period };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &spec)?;
        let mut events = Events::with_capacity(256);
        let mut sent: u32 = 0;
        let mut stopped = false;
        loop {
            if self.turn(&mut events, &mut latencies)? {
                let mut expirations = [0; 8];
                rustix::io::read(&timer, &mut expirations)?;
            }
            // However late this thread is: each ping is due at its own time.
            while !stopped && begin + interval * (sent + 1) <= Instant::now() {
                sent += 1;
                let due = begin + interval * sent;
                let key = usize::try_from(sent)? % self.lines.len();
                self.lines[key].ping(due, &mut latencies)?;
            }
            stopped |= begin.elapsed() >= time;
            if stopped && self.lines.iter().all(|line| line.due.is_empty()) {
                break;
            }
            if begin.elapsed() > time + PATIENCE {
                return Err("an answer does not come".into());
            }
        }
        self.poll.registry().deregister(&mut SourceFd(&fd))?;
        Ok(latencies)
    }
}

/// Up to a minute in microseconds.
fn histogram() -> Result<Histogram<u64>, Failure> {
    Ok(Histogram::new_with_max(60_000_000, 3)?)
}

impl Line {
    fn ping(&mut self, due: Instant, latencies: &mut Histogram<u64>) -> Result<(), Failure> {
        self.client.send(&[0x70; PING_BYTES])?;
        self.due.push_back(due);
        self.take(latencies)
    }

    fn take(&mut self, latencies: &mut Histogram<u64>) -> Result<(), Failure> {
        if !self.client.advance(&mut self.received)? {
            return Err("the server has closed a connection".into());
        }
        while self.received.len() >= PING_BYTES {
            self.received.drain(..PING_BYTES);
            let due = self.due.pop_front().ok_or("an answer to nothing")?;
            let latency = u64::try_from(due.elapsed().as_micros())?;
            latencies.saturating_record(latency.max(1));
        }
        Ok(())
    }
}
