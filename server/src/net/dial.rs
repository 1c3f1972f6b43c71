//! Connecting to a backend.
//!
//! The backends of a service are tried in the order of the configuration, each address of each,
//! every attempt with a deadline of its own. The first that accepts serves the connection. Nothing
//! has been sent to a backend that did not accept, so trying the next one cannot repeat anything.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use engine::rules;
use mio::net::TcpStream;
use mio::{Interest, Token};

use super::endpoint::Endpoint;
use super::session::{Session, Stage, Step, Turn};
use crate::config::schema::ProxyProtocol;
use crate::proxy_protocol::v2;

/// Attempts of one session.
#[derive(Debug)]
pub struct Dial {
    /// Position in the targets of the service of what is tried next.
    next: usize,
    current: Option<Arc<str>>,
    deadline: Instant,
    /// What was tried, for the record.
    failures: Vec<String>,
    timed_out: bool,
    /// Whether any attempt was answered, if only by a refusal.
    answered: bool,
}

impl Dial {
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// Which backends were last seen refusing connections; a change is worth an event in the log.
#[derive(Debug, Default)]
pub struct BackendHealth {
    down: HashSet<(String, String)>,
    changes: Vec<BackendChange>,
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

impl BackendHealth {
    fn failed(&mut self, service: &str, backend: &str, error: &str) {
        if self.down.insert((service.to_owned(), backend.to_owned())) {
            self.changes.push(BackendChange {
                service: service.to_owned(),
                backend: backend.to_owned(),
                error: Some(error.to_owned()),
            });
        }
    }

    fn works(&mut self, service: &str, backend: &str) {
        if !self.down.is_empty() && self.down.remove(&(service.to_owned(), backend.to_owned())) {
            self.changes.push(BackendChange {
                service: service.to_owned(),
                backend: backend.to_owned(),
                error: None,
            });
        }
    }

    /// Changes since the last call.
    pub fn take_changes(&mut self) -> Vec<BackendChange> {
        std::mem::take(&mut self.changes)
    }
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
        self.stage = Stage::Dialing(Dial {
            next: 0,
            current: None,
            deadline: turn.now + self.timeouts().connect,
            failures: Vec::new(),
            timed_out: false,
            answered: false,
        });
    }

    pub(super) fn dial_step(&mut self, turn: &mut Turn<'_>) -> Step {
        // Tickets and the like.
        let _ = self.flush_client();
        if self.client.is_gone() {
            self.end_tls(turn, &rules::PEER_RESET, "the client went away".to_owned());
            return Step::Moved;
        }
        let Some(backend) = &mut self.backend else { return self.dial_next(turn) };
        match backend.connect_result() {
            None => Step::Blocked,
            Some(Ok(_)) => {
                self.begin_relay(turn);
                Step::Moved
            }
            Some(Err(error)) => {
                self.dial_failed(turn, &error.to_string());
                Step::Moved
            }
        }
    }

    fn dial_next(&mut self, turn: &mut Turn<'_>) -> Step {
        let connect = self.timeouts().connect;
        let Stage::Dialing(dial) = &mut self.stage else { return Step::Moved };
        if std::mem::take(&mut dial.timed_out)
            && let Some(current) = dial.current.take()
        {
            let error = format!("no answer within {connect:?}");
            dial.failures.push(format!("{current}: {error}"));
            if let Some(service) = &self.service {
                turn.backends.failed(&service.name, &current, &error);
            }
        }
        let target = self.service.as_ref().and_then(|service| service.targets.get(dial.next));
        let Some((name, address)) = target else {
            let reason = format!("no backend accepts connections ({})", dial.failures.join("; "));
            let rule = match dial.answered {
                true => &rules::BACKEND_UNREACHABLE,
                false => &rules::CONNECT_DEADLINE,
            };
            self.end_tls(turn, rule, reason);
            return Step::Moved;
        };
        let address = *address;
        dial.current = Some(Arc::clone(name));
        dial.next += 1;
        dial.deadline = turn.now + connect;
        let key = self.key();
        match connect_to(address, key, turn) {
            Ok(endpoint) => self.backend = Some(endpoint),
            Err(error) => self.dial_failed(turn, &error.to_string()),
        }
        Step::Moved
    }

    fn dial_failed(&mut self, turn: &mut Turn<'_>, error: &str) {
        self.backend = None;
        let Stage::Dialing(dial) = &mut self.stage else { return };
        let Some(current) = dial.current.take() else { return };
        dial.answered = true;
        dial.failures.push(format!("{current}: {error}"));
        if let Some(service) = &self.service {
            turn.backends.failed(&service.name, &current, error);
        }
    }

    /// The attempt has had its time; the next step goes on to the next candidate.
    pub(super) fn dial_timed_out(&mut self) {
        self.backend = None;
        if let Stage::Dialing(dial) = &mut self.stage {
            dial.timed_out = true;
        }
    }

    fn begin_relay(&mut self, turn: &mut Turn<'_>) {
        let Stage::Dialing(dial) = std::mem::replace(&mut self.stage, Stage::Relay) else { return };
        if let (Some(service), Some(current)) = (&self.service, dial.current) {
            turn.backends.works(&service.name, &current);
            self.record.backend = Some(current.to_string());
        }
        self.active = turn.now;
        if self.service.as_ref().is_some_and(|s| s.proxy_protocol == ProxyProtocol::V2) {
            let header = self.proxy_header();
            turn.member.supply(&mut self.to_backend);
            self.to_backend.append(&header);
        }
    }

    /// Who the client is, for the backend.
    fn proxy_header(&self) -> Vec<u8> {
        let (version, cipher) = self.tls.version_and_suite();
        let addresses = self.record.peer.zip(self.record.local);
        v2::Header {
            addresses,
            tls: version.zip(cipher).map(|(version, cipher)| v2::Tls { version, cipher }),
            alpn: self.tls.alpn().map(str::as_bytes),
            authority: self.tls.server_name(),
            unique_id: None,
        }
        .encode()
    }
}

fn connect_to(address: SocketAddr, key: usize, turn: &Turn<'_>) -> io::Result<Endpoint> {
    let mut endpoint = Endpoint::connecting(TcpStream::connect(address)?);
    turn.registry.register(
        endpoint.stream_mut(),
        backend_token(key),
        Interest::READABLE | Interest::WRITABLE,
    )?;
    Ok(endpoint)
}
