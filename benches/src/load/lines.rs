//! Established connections, watched by one poll.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token};
use rustls_pki_types::ServerName;

use super::fault::Fault;
use super::shape::Shape;
use super::trust;
use super::wire::{Buffers, Wire};
use crate::Failure;

/// Of a hundred at a time: the queue of a listener is not what is to be measured.
const WAVE: usize = 100;

/// What is around the bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cover {
    /// TLS.
    #[default]
    Tls,
    /// Nothing.
    Clear,
    /// Nothing, but clients seal what they send and get, so that a server is compared with itself
    /// under much the same load.
    Mimicked,
}

/// Where to, with which handshake, and what is expected of it.
#[derive(Debug, Clone)]
pub struct Target {
    /// The endpoint.
    pub address: SocketAddr,
    /// Name for SNI, and for the certificate when it is verified.
    pub server_name: String,
    /// CAs as PEM; without them any certificate is trusted.
    pub ca: Option<String>,
    /// What is around the bytes that go.
    pub cover: Cover,
    /// What every handshake has to be: full ones only.
    pub shape: Shape,
    /// How long a handshake, an answer or a block of data may take.
    pub deadline: Duration,
    /// Where the load runs; anywhere when empty.
    pub processors: Vec<usize>,
}

impl Target {
    /// Any full TLS 1.3 handshake, ten seconds of patience.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            server_name: crate::pki::NAME.to_owned(),
            ca: None,
            cover: Cover::default(),
            shape: Shape::default(),
            deadline: Duration::from_secs(10),
            processors: Vec::new(),
        }
    }
}

/// The connections.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) poll: Poll,
    pub(super) wires: Vec<Wire>,
}

impl Lines {
    /// Connects, completes the handshakes and judges them; each reads `room` bytes at a time.
    pub(super) fn connect(target: &Target, count: usize, room: usize) -> Result<Self, Failure> {
        let tls = Arc::new(trust::configuration(&target.shape, target.ca.as_deref())?);
        let config = (target.cover == Cover::Tls).then_some(&tls);
        let name = ServerName::try_from(target.server_name.clone())?;
        let mut lines = Self { poll: Poll::new()?, wires: Vec::with_capacity(count) };
        while lines.wires.len() < count {
            let first = lines.wires.len();
            for key in first..(first + WAVE).min(count) {
                let registry = (lines.poll.registry(), Token(key));
                let to = (target.address, &name);
                let buffers = Buffers::of(room);
                let wire = Wire::connect(to, config, key as u64, buffers, registry);
                let wire = match target.cover {
                    Cover::Mimicked => wire.and_then(Wire::mimicking),
                    Cover::Tls | Cover::Clear => wire,
                };
                lines.wires.push(wire.map_err(|fault| fault.of(&format!("connection {key}")))?);
            }
            lines.establish(target, first)?;
        }
        Ok(lines)
    }

    fn establish(&mut self, target: &Target, first: usize) -> Result<(), Failure> {
        let deadline = Instant::now() + target.deadline;
        let mut events = Events::with_capacity(256);
        while let Some(waits) = self.wires[first..].iter().position(|w| !w.is_established()) {
            if Instant::now() > deadline {
                let seconds = target.deadline.as_secs_f64();
                let text = format!("the handshake is not complete after {seconds:.1} s");
                return Err(self.named(first + waits, Fault::Broken(text)).into());
            }
            turn(&mut self.poll, &mut events, Duration::from_millis(100))?;
            for event in &events {
                let Token(key) = event.token();
                let early = |_: &[u8]| Err(Fault::Wrong("data that nobody asked for".to_owned()));
                let result = advance(&mut self.wires[key], Some(event), early);
                result.map_err(|fault| self.named(key, fault))?;
            }
        }
        for key in (first..self.wires.len()).filter(|_| target.cover == Cover::Tls) {
            let facts = self.wires[key].facts(target.shape.key.is_some());
            let judged = target.shape.judge(&facts).map_err(Fault::Wrong);
            judged.map_err(|fault| self.named(key, fault))?;
        }
        Ok(())
    }

    /// A fault with the connection it is of.
    pub(super) fn named(&self, key: usize, fault: Fault) -> Fault {
        fault.of(&format!("connection {key} ({})", self.wires[key].local()))
    }

    /// Says goodbye; what still comes is not looked at.
    pub(super) fn close(mut self) {
        for wire in &mut self.wires {
            // A connection that is gone is closed.
            let _ = wire.close_notify().and_then(|()| wire.pump(|_| Ok(())));
        }
    }
}

/// Waits for events.
pub(super) fn turn(poll: &mut Poll, events: &mut Events, time: Duration) -> Result<(), Failure> {
    match poll.poll(events, Some(time.max(Duration::from_millis(1)))) {
        Err(e) if e.kind() == std::io::ErrorKind::Interrupted => Ok(()),
        result => Ok(result?),
    }
}

/// Moves a connection that has no reason to end.
pub(super) fn advance(
    wire: &mut Wire,
    event: Option<&Event>,
    on_data: impl FnMut(&[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if let Some(event) = event {
        wire.ready(event);
    }
    wire.pump(on_data)?;
    if wire.peer_closed || wire.ended {
        return Err(Fault::Wrong("missing data: the server has closed the connection".to_owned()));
    }
    Ok(())
}
