//! The PROXY header of a trusted peer, ahead of everything else.
//!
//! Invariants: from a peer that `accept_proxy` names nothing of TLS is looked at before its header
//! is complete and sound; a header that is missing, malformed or cut ends the connection by a rule;
//! the handshake deadline runs meanwhile. What came behind the header in the same segment is the
//! beginning of TLS. Afterwards the record and the backend's header speak of the client, and of the
//! peer as the one who connected for it.
//!
//! What it does not do: read the header ([`crate::proxy_protocol`]), decide who is trusted
//! ([`crate::runtime::Address::expects_proxy_header`]).

use std::net::SocketAddr;

use engine::rules::{self, Rule};

use super::endpoint::Moved;
use super::session::{Session, Step, Turn};
use crate::proxy_protocol::{Ends, Header, Malformed, Origin, Progress, decode};

/// What is read at first: a header with a ClientHello behind it, as most balancers send them.
const FIRST_READ: usize = 2048;

/// A header that is awaited.
#[derive(Debug, Default)]
pub(super) struct Front {
    /// What came so far, bounded by the reader and [`FIRST_READ`].
    received: Vec<u8>,
    /// Bytes the header needs at least.
    missing: usize,
}

impl Session {
    /// The client's address, for limits that count by it. None while the PROXY header that names
    /// it is awaited, and where it names nobody (LOCAL, UNKNOWN, a Unix socket): a load balancer
    /// is no client.
    #[must_use]
    pub fn client_address(&self) -> Option<SocketAddr> {
        let known = self.record.proxied_by.is_some() || !self.is_of_balancer();
        self.record.peer.filter(|_| known)
    }

    /// Whether the TCP peer is one that must send a PROXY header.
    fn is_of_balancer(&self) -> bool {
        let peer = self.record.proxied_by.or(self.record.peer);
        peer.is_some_and(|peer| self.address.expects_proxy_header(peer.ip()))
    }

    /// Reads on in the header.
    pub(super) fn front_step(&mut self, turn: &mut Turn<'_>) -> Step {
        let Some(front) = &mut self.front else { return Step::Moved };
        let space = turn.scratch.whole();
        let room = front.missing.max(FIRST_READ).min(space.len());
        match self.client.read(&mut space[..room]) {
            Moved::Bytes(count) => front.received.extend_from_slice(&space[..count]),
            Moved::Blocked => return Step::Blocked,
            Moved::Eof => {
                let (rule, reason) = cut(front.received.len());
                self.end_tls(turn, rule, reason);
                return Step::Moved;
            }
            Moved::Broken(error) => {
                self.client_reset(turn, &error);
                return Step::Moved;
            }
        }
        match decode(&front.received) {
            Progress::NeedMore { hint } => front.missing = hint,
            Progress::Header(header) => self.leave_front(turn, &header),
            Progress::Refuse(malformed) => {
                let (rule, reason) = refused(malformed);
                self.end_tls(turn, rule, reason);
            }
        }
        Step::Moved
    }

    /// Ends the handshake of a client that has reset. Balancers end their health checks so; from a
    /// trusted peer that has said nothing yet but a header, a reset is no worse than a FIN.
    pub(super) fn client_reset(&mut self, turn: &mut Turn<'_>, error: &std::io::Error) {
        let began = self.front.as_ref().is_some_and(|front| !front.received.is_empty());
        let rule = if self.is_of_balancer() && !began && !self.tls.has_heard() {
            &rules::PEER_CLOSED
        } else {
            &rules::PEER_RESET
        };
        self.end_tls(turn, rule, error.to_string());
    }

    /// Takes the header at its word and gives TLS what came behind it.
    fn leave_front(&mut self, turn: &mut Turn<'_>, header: &Header) {
        let Some(front) = self.front.take() else { return };
        if let Origin::Client(Ends { source, destination }) = header.origin {
            let source = SocketAddr::new(source.ip().to_canonical(), source.port());
            self.record.proxied_by = self.record.peer.replace(source);
            self.ends = Some(Ends { source, destination });
        }
        if let Some((rule, reason)) = self.count_client() {
            return self.end_tls(turn, rule, reason);
        }
        let mut rest = front.received.get(header.len..).unwrap_or_default();
        while !rest.is_empty() {
            let space = self.tls.input_space(turn.member);
            let count = rest.len().min(space.len());
            if count == 0 {
                let reason = "what came behind the PROXY header fills our buffer".to_owned();
                return self.end_tls(turn, &rules::RECORD_OVERFLOW, reason);
            }
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            self.tls.received(count);
        }
    }
}

/// The connection ends before the header does.
fn cut(received: usize) -> (&'static Rule, String) {
    if received == 0 {
        return (&rules::PEER_CLOSED, "the client closed the connection without a word".to_owned());
    }
    let reason = format!("the connection ends after {received} bytes of a PROXY header");
    (&rules::PROXY_HEADER_MALFORMED, reason)
}

fn refused(malformed: Malformed) -> (&'static Rule, String) {
    match malformed {
        Malformed::NoHeader => (
            &rules::PROXY_HEADER_MISSING,
            "the first bytes of a peer in `accept_proxy` begin no PROXY header".to_owned(),
        ),
        other => (&rules::PROXY_HEADER_MALFORMED, format!("the PROXY header is refused: {other}")),
    }
}
