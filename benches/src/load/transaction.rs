//! One client of the handshake load, from connect to close.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Registry, Token};
use rustls::client::ClientConfig;
use rustls_pki_types::ServerName;

use super::fault::Fault;
use super::handshake::Response;
use super::pattern;
use super::shape::{Kind, Shape};
use super::trust::{self, Sessions};
use super::wire::{Buffers, Wire};

/// The request where any answer will do. `openssl s_server -rev` and `-www` both answer it.
const ANY_REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

/// What every connection does.
#[derive(Debug)]
pub(super) struct Plan {
    /// Where to.
    pub(super) address: SocketAddr,
    /// Name for SNI.
    pub(super) name: ServerName<'static>,
    /// What the handshake has to be.
    pub(super) shape: Shape,
    /// What must come back.
    pub(super) response: Response,
    /// Bytes of the request.
    pub(super) request_bytes: usize,
    /// From begin to end.
    pub(super) deadline: Duration,
}

/// Times of a connection that did all it had to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Done {
    /// When it was due.
    pub(super) due: Instant,
    /// From then until the handshake was complete.
    pub(super) handshake: Duration,
    /// From then until the answer was checked.
    pub(super) transaction: Duration,
    /// How the server ended the connection after that.
    pub(super) ending: Ending,
    /// It was one to get a session, and counts for nothing.
    pub(super) primed: bool,
}

/// How a server ends a connection of which it was told that the client sends no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With close_notify, as it should.
    Closed,
    /// The stream ends without.
    Bare,
    /// It breaks off.
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Agreeing,
    Asking,
    Closing,
}

/// A client: one connection after the other.
#[derive(Debug)]
pub(super) struct Client {
    config: Arc<ClientConfig>,
    sessions: Option<Arc<Sessions>>,
    resumes: bool,
    /// The connection only has to bring a session.
    pub(super) priming: bool,
    wire: Option<Wire>,
    buffers: Buffers,
    step: Step,
    number: u64,
    began: Instant,
    due: Instant,
    handshake: Duration,
    transaction: Duration,
    received: usize,
}

impl Client {
    /// So many clients, each with sessions of its own or all with none.
    #[must_use]
    pub(super) fn many(
        count: usize,
        config: ClientConfig,
        resumes: bool,
        remember: bool,
    ) -> Vec<Self> {
        let shared = Arc::new(config);
        let now = Instant::now();
        let one = |_| {
            let (config, sessions) = if resumes || remember {
                let (config, sessions) = trust::remembering(&shared);
                (config, Some(sessions))
            } else {
                (Arc::clone(&shared), None)
            };
            Self {
                config,
                sessions,
                resumes,
                priming: resumes,
                wire: None,
                buffers: Buffers::default(),
                step: Step::Agreeing,
                number: 0,
                began: now,
                due: now,
                handshake: Duration::ZERO,
                transaction: Duration::ZERO,
                received: 0,
            }
        };
        (0..count).map(one).collect()
    }

    /// Whether the next handshake can be resumed.
    #[must_use]
    pub(super) fn has_session(&self) -> bool {
        self.sessions.as_ref().is_some_and(|sessions| sessions.any())
    }

    /// Which connection it is, for messages.
    #[must_use]
    pub(super) fn name(&self) -> String {
        let from = self.wire.as_ref().map_or_else(|| "not connected".to_owned(), Wire::local);
        format!("connection {} ({from})", self.number)
    }

    /// Connects.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn begin(
        &mut self,
        plan: &Plan,
        number: u64,
        due: Instant,
        registry: (&Registry, Token),
    ) -> Result<(), Fault> {
        self.number = number;
        if self.resumes && !self.priming && !self.has_session() {
            let text = "the server gave no session with the handshake before: expected to resume";
            return Err(Fault::Wrong(text.to_owned()));
        }
        self.due = due;
        self.began = Instant::now();
        self.step = Step::Agreeing;
        self.received = 0;
        let buffers = std::mem::take(&mut self.buffers);
        let to = (plan.address, &plan.name);
        let wire = Wire::connect(to, Some(&self.config), number, buffers, registry)?;
        self.wire = Some(wire);
        // On loopback the connection is there already.
        self.advance(plan, None).map(drop)
    }

    /// Goes on after an event; what came of it when the connection is over.
    ///
    /// # Errors
    /// It did not do what it had to.
    pub(super) fn advance(
        &mut self,
        plan: &Plan,
        event: Option<&Event>,
    ) -> Result<Option<Done>, Fault> {
        // An event of the connection before.
        let Some(wire) = &mut self.wire else { return Ok(None) };
        if let Some(event) = event {
            wire.ready(event);
        }
        loop {
            match self.pump(plan) {
                Err(Fault::Broken(_)) if self.step == Step::Closing => {
                    return Ok(Some(self.finish(Ending::Reset)));
                }
                result => result?,
            }
            let Some(wire) = &mut self.wire else { return Ok(None) };
            let (peer_closed, ended) = (wire.peer_closed, wire.ended);
            let established = wire.is_established();
            match self.step {
                Step::Agreeing if established => self.agreed(plan)?,
                Step::Agreeing if ended => {
                    return Err(Fault::Broken("closed during the handshake".to_owned()));
                }
                Step::Asking if self.is_answered(plan) => {
                    self.transaction = self.due.elapsed();
                    self.close()?;
                }
                Step::Asking if peer_closed || ended => return Err(self.missing(plan)),
                Step::Closing if peer_closed => return Ok(Some(self.finish(Ending::Closed))),
                Step::Closing if ended => return Ok(Some(self.finish(Ending::Bare))),
                _ => return Ok(None),
            }
        }
    }

    fn pump(&mut self, plan: &Plan) -> Result<(), Fault> {
        let (Some(wire), received) = (&mut self.wire, &mut self.received) else { return Ok(()) };
        let echo = plan.response == Response::Echo;
        let seed = pattern::seed(self.number);
        wire.pump(|data| {
            if echo {
                pattern::check(seed, *received as u64, data).map_err(Fault::Wrong)?;
            }
            *received += data.len();
            if echo && *received > plan.request_bytes {
                let text = "more data than asked for: expected";
                let expected = plan.request_bytes;
                return Err(Fault::Wrong(format!("{text} {expected} bytes, came {received}")));
            }
            Ok(())
        })
    }

    /// The handshake is complete: is it what was asked for? Then asks.
    fn agreed(&mut self, plan: &Plan) -> Result<(), Fault> {
        self.handshake = self.due.elapsed();
        let Some(wire) = &mut self.wire else { return Ok(()) };
        let shape = match self.priming {
            true => Shape { kind: Kind::Full, ..plan.shape },
            false => plan.shape,
        };
        shape.judge(&wire.facts(shape.key.is_some())).map_err(Fault::Wrong)?;
        match plan.response {
            Response::Echo => {
                wire.send(pattern::slice(pattern::seed(self.number), 0, plan.request_bytes))?;
            }
            Response::Any => wire.send(ANY_REQUEST)?,
            Response::None => {}
        }
        self.step = Step::Asking;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.step = Step::Closing;
        self.wire.as_mut().map_or(Ok(()), Wire::close_notify)
    }

    fn is_answered(&self, plan: &Plan) -> bool {
        match plan.response {
            Response::Echo => self.received >= plan.request_bytes,
            Response::Any => self.received > 0,
            Response::None => true,
        }
    }

    fn missing(&self, plan: &Plan) -> Fault {
        let expected = match plan.response {
            Response::Echo => plan.request_bytes,
            Response::Any | Response::None => 1,
        };
        Fault::Wrong(format!(
            "missing data: expected {expected} bytes, came {}, then the end of the connection",
            self.received
        ))
    }

    fn finish(&mut self, ending: Ending) -> Done {
        self.abandon();
        let primed = std::mem::take(&mut self.priming);
        let Self { due, handshake, transaction, .. } = *self;
        Done { due, handshake, transaction, ending, primed }
    }

    /// Gives a connection up; its session is spent, so that the next brings another.
    pub(super) fn fail(&mut self) {
        self.abandon();
        self.priming |= self.resumes;
    }

    /// Closes the connection, if there is one.
    fn abandon(&mut self) {
        if let Some(wire) = self.wire.take() {
            self.buffers = wire.into_buffers();
        }
    }

    /// What is to be said when the deadline has passed.
    #[must_use]
    pub(super) fn overdue(&self, plan: &Plan, now: Instant) -> Option<Fault> {
        let late = self.wire.is_some() && now.duration_since(self.began) > plan.deadline;
        late.then(|| {
            let doing = match self.step {
                Step::Agreeing => "the handshake is not complete".to_owned(),
                Step::Asking => format!(
                    "late: {} of {} bytes of the answer came",
                    self.received, plan.request_bytes
                ),
                Step::Closing => "the server does not close".to_owned(),
            };
            Fault::Broken(format!("{doing} after {:.1} s", plan.deadline.as_secs_f64()))
        })
    }
}
