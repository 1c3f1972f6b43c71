//! Connecting to a backend.
//!
//! The backends of a service are tried in the order of the configuration, each address of each,
//! every attempt with a deadline of its own. The first that accepts serves the connection. Nothing
//! has been sent to a backend that did not accept, so trying the next one cannot repeat anything.
//!
//! Where TLS is spoken with backends, its handshake belongs to the attempt (`backend_tls`).
//!
//! Those that failed lately ([`crate::backend`]) are passed over, and tried at last if nothing else
//! works.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::backend::{BackendConnection, BackendFailure};
use engine::rules::{self, Rule};
use mio::Token;
use rustix::io::Errno;

use super::endpoint::{Endpoint, INTEREST};
use super::session::{Session, Stage, Step, Turn};
use crate::backend::Target;
use crate::config::schema::{BackendAddress, ProxyProtocol};
use crate::proxy_protocol::{v1, v2};

/// Pause before a Unix socket whose queue was full is tried again: no event tells when it has room.
const QUEUE_PAUSE: Duration = Duration::from_millis(10);

/// Attempts of one session.
#[derive(Debug)]
pub struct Dial {
    /// Position in the targets of the service of what is looked at next.
    next: usize,
    /// Positions of those that failed lately.
    passed_over: VecDeque<usize>,
    /// Position of the one that is being tried.
    current: Option<usize>,
    /// End of the current attempt.
    deadline: Instant,
    /// When a listener whose queue is full is asked again.
    again: Option<Instant>,
    /// What was tried, for the record.
    failures: Vec<String>,
    timed_out: bool,
    /// Whether any attempt was answered, if only by a refusal.
    answered: bool,
    /// Why the last backend that accepted was not accepted by us.
    refused: Option<&'static Rule>,
}

impl Dial {
    fn new(deadline: Instant) -> Self {
        Self {
            next: 0,
            passed_over: VecDeque::new(),
            current: None,
            deadline,
            again: None,
            failures: Vec::new(),
            timed_out: false,
            answered: false,
            refused: None,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.again.map_or(self.deadline, |again| again.min(self.deadline))
    }

    /// What to try next: those in good health in their order, then the others.
    fn next_target(&mut self, targets: &[Target], now: Instant) -> Option<usize> {
        while let Some(target) = targets.get(self.next) {
            let position = self.next;
            self.next += 1;
            if target.health.may_try(now) {
                return Some(position);
            }
            self.passed_over.push_back(position);
        }
        self.passed_over.pop_front()
    }
}

/// A backend that went down or came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendChange {
    /// The service.
    pub service: String,
    /// The backend, as configured.
    pub backend: String,
    /// Why it cannot be reached; none when it can again.
    pub error: Option<String>,
}

/// Token of the backend's socket of a session.
#[must_use]
pub fn backend_token(key: usize) -> Token {
    Token(key * 2 + 1)
}

/// Token of the client's socket of a session.
#[must_use]
pub fn client_token(key: usize) -> Token {
    Token(key * 2)
}

impl Session {
    pub(super) fn begin_dialing(&mut self, turn: &Turn<'_>) {
        self.leave_handshake();
        self.stage = Stage::Dialing(Box::new(Dial::new(turn.now + self.timeouts().connect)));
    }

    pub(super) fn dial_step(&mut self, turn: &mut Turn<'_>) -> Step {
        // Tickets and the like.
        let _ = self.flush_client();
        if self.client.is_gone() {
            self.end_tls(turn, &rules::PEER_RESET, "the client went away".to_owned());
            return Step::Moved;
        }
        if self.backend_tls.is_some() {
            return self.backend_handshake_step(turn);
        }
        let Some(backend) = &mut self.backend else { return self.dial_next(turn) };
        match backend.connect_result() {
            None => Step::Blocked,
            Some(Ok(())) => {
                self.backend_accepted(turn);
                Step::Moved
            }
            Some(Err(error)) => {
                self.dial_failed(turn, &error);
                Step::Moved
            }
        }
    }

    fn dial_next(&mut self, turn: &mut Turn<'_>) -> Step {
        let connect = self.timeouts().connect;
        let Some(service) = self.service.clone() else { return Step::Blocked };
        let Stage::Dialing(dial) = &mut self.stage else { return Step::Moved };
        if std::mem::take(&mut dial.timed_out) {
            self.attempt_failed(turn, &format!("no answer within {connect:?}"), true);
            return Step::Moved;
        }
        if dial.again.is_some_and(|again| turn.now < again) {
            return Step::Blocked;
        }
        let asked_again = dial.again.take().and(dial.current);
        let Some(position) = asked_again.or_else(|| dial.next_target(&service.targets, turn.now))
        else {
            let reason = format!("no backend can be used ({})", dial.failures.join("; "));
            let rule = match (dial.refused, dial.answered) {
                (Some(rule), _) => rule,
                (None, true) => &rules::BACKEND_UNREACHABLE,
                (None, false) => &rules::CONNECT_DEADLINE,
            };
            self.end_tls(turn, rule, reason);
            return Step::Moved;
        };
        if asked_again.is_none() {
            dial.current = Some(position);
            dial.deadline = turn.now + connect;
        }
        let Some(target) = service.targets.get(position) else { return Step::Moved };
        let data_waits = service.proxy_protocol != ProxyProtocol::None
            || service.backend_tls.is_some()
            || self.tls.holds_record();
        match connect_to(&target.address, data_waits, self.key(), turn) {
            Ok(endpoint) => self.backend = Some(endpoint),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if let Stage::Dialing(dial) = &mut self.stage {
                    dial.again = Some(turn.now + QUEUE_PAUSE);
                }
                return Step::Blocked;
            }
            Err(error) => self.dial_failed(turn, &error),
        }
        Step::Moved
    }

    fn dial_failed(&mut self, turn: &mut Turn<'_>, error: &io::Error) {
        if let Stage::Dialing(dial) = &mut self.stage {
            dial.answered = true;
        }
        self.attempt_failed(turn, &error.to_string(), !is_shortage(error));
    }

    /// The backend accepts connections, but TLS with it came to nothing.
    pub(super) fn backend_refused(&mut self, turn: &mut Turn<'_>, failure: &BackendFailure) {
        if let Stage::Dialing(dial) = &mut self.stage {
            dial.refused = Some(failure.rule);
        }
        self.attempt_failed(turn, &failure.reason, failure.is_of_backend());
    }

    /// Notes how an attempt ended; `by_backend` when that says something about the backend.
    fn attempt_failed(&mut self, turn: &mut Turn<'_>, error: &str, by_backend: bool) {
        self.forget_attempt();
        let Stage::Dialing(dial) = &mut self.stage else { return };
        let Some(service) = &self.service else { return };
        let Some(target) = dial.current.take().and_then(|at| service.targets.get(at)) else {
            return;
        };
        dial.failures.push(format!("{}: {error}", target.name));
        if by_backend && target.health.failed(turn.now) {
            turn.backends.push(BackendChange {
                service: service.name.clone(),
                backend: target.name.to_string(),
                error: Some(error.to_owned()),
            });
        }
    }

    /// The deadline of the stage has come. If it is that of the attempt, the next step goes on to
    /// the next candidate.
    pub(super) fn dial_timed_out(&mut self, now: Instant) {
        if let Stage::Dialing(dial) = &mut self.stage
            && dial.deadline <= now
        {
            dial.timed_out = true;
            dial.again = None;
            self.forget_attempt();
        }
    }

    fn forget_attempt(&mut self) {
        self.backend = None;
        self.backend_tls = None;
        self.to_backend.clear();
    }

    fn backend_accepted(&mut self, turn: &mut Turn<'_>) {
        let Stage::Dialing(dial) = &self.stage else { return };
        let Some(service) = &self.service else { return };
        let target = dial.current.and_then(|at| service.targets.get(at));
        match (&service.backend_tls, target.and_then(|target| target.tls_name.as_ref())) {
            (None, _) => {
                self.header_waits = self.queue_proxy_header(turn);
                self.begin_relay(turn);
            }
            (Some(trust), Some(name)) => {
                self.backend_tls = Some(Box::new(BackendConnection::new(trust, name)));
                // In clear and at once: the backend reads it before it starts TLS.
                self.queue_proxy_header(turn);
            }
            // The configuration has none without a name; it would not be spoken to in clear.
            (Some(_), None) => self.attempt_failed(turn, "no name to verify it by", false),
        }
    }

    pub(super) fn begin_relay(&mut self, turn: &mut Turn<'_>) {
        let Stage::Dialing(dial) = std::mem::replace(&mut self.stage, Stage::Relay) else { return };
        if let Some(service) = &self.service
            && let Some(target) = dial.current.and_then(|at| service.targets.get(at))
        {
            if target.health.works() {
                turn.backends.push(BackendChange {
                    service: service.name.clone(),
                    backend: target.name.to_string(),
                    error: None,
                });
            }
            self.record.backend = Some(Arc::clone(&target.name));
        }
        self.active = turn.now;
        let session = self.backend_tls.as_ref().and_then(|tls| tls.session());
        self.record.backend_session = session.map(Box::new);
    }

    /// Whether there is a header for the backend.
    fn queue_proxy_header(&mut self, turn: &Turn<'_>) -> bool {
        let header = match self.service.as_ref().map(|service| service.proxy_protocol) {
            None | Some(ProxyProtocol::None) => return false,
            Some(ProxyProtocol::V1) => v1::encode(self.ends),
            Some(ProxyProtocol::V2) => self.proxy_header(),
        };
        self.queue_for_backend(turn.member, &header);
        true
    }

    /// Who the client is, for the backend.
    fn proxy_header(&self) -> Vec<u8> {
        let (version, cipher) = self.tls.version_and_suite();
        let (group, signature_scheme) = self.tls.group_and_signature_scheme();
        let server = self.tls.certificate().map(|certificate| v2::ServerCertificate {
            signature: certificate.signature_name,
            key: certificate.short_key_name(),
        });
        let client = self.tls.client_certificate().map(|certificate| v2::ClientCertificate {
            der: &certificate.der,
            common_name: certificate.common_name.as_deref(),
            verified: certificate.verified,
            resumed: self.tls.is_resumed(),
        });
        let tls = version.zip(cipher).map(|(version, cipher)| v2::Tls {
            version,
            cipher,
            group,
            signature_scheme,
            server,
            client,
        });
        v2::Header {
            ends: self.ends,
            tls,
            alpn: self.tls.alpn().map(str::as_bytes),
            authority: self.tls.server_name(),
            unique_id: Some(self.record.conn_id.to_string().as_bytes()),
        }
        .encode()
    }
}

fn connect_to(
    address: &BackendAddress,
    data_waits: bool,
    key: usize,
    turn: &Turn<'_>,
) -> io::Result<Endpoint> {
    let mut endpoint = match address {
        BackendAddress::Tcp(address) => Endpoint::connect(*address, data_waits)?,
        BackendAddress::Unix(path) => Endpoint::connect_unix(path)?,
    };
    turn.watch.common().register(endpoint.source(), backend_token(key), INTEREST)?;
    Ok(endpoint)
}

/// Whether this host lacked something (descriptors, memory, local ports), which is no word about
/// the backend.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL];
    Errno::from_io_error(error).is_some_and(|errno| shortages.contains(&errno))
}
