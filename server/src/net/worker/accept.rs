//! New connections of an event loop, and those that must go for them.
//!
//! Invariants: a listener is asked until it has no more; who is turned away has a record, too.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::rules::{self, Rule};

use super::{Worker, key_of, token};
use crate::net::dial::client_token;
use crate::net::endpoint::{Endpoint, INTEREST};
use crate::net::session::{Arrival, Session};
use crate::observe::{Event, Level};
use crate::runtime::Address;

/// Time for new connections in a turn beside conversations, see
/// [`Pace`](crate::net::slice::Pace).
const ACCEPT_SLICE: Duration = Duration::from_micros(20);
/// Pause after the system had no descriptor for a new connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Worker {
    /// Takes new connections for a slice of a turn, and at least one.
    pub(super) fn accept(&mut self, now: Instant) {
        if self.listeners.iter().any(|listener| listener.pending) {
            let slice = self.pace.slice(now, ACCEPT_SLICE);
            while self.accept_one(now) && !slice.is_spent() {}
        }
    }

    /// Takes one new connection, of each listener in turn; false when there is none.
    pub(super) fn accept_one(&mut self, now: Instant) -> bool {
        if self.accept_again.is_some_and(|at| now < at) {
            return false;
        }
        self.accept_again = None;
        for _ in 0..self.listeners.len() {
            let position = self.next_listener % self.listeners.len();
            self.next_listener = position + 1;
            let listener = &mut self.listeners[position];
            while listener.pending {
                match listener.socket.accept() {
                    Ok((stream, peer)) => {
                        self.accept_failing = false;
                        let address = Arc::clone(&listener.address);
                        self.take_in(stream, peer, address, now);
                        return true;
                    }
                    Err(e) if e.kind() == ErrorKind::WouldBlock => listener.pending = false,
                    // The client was gone before we came to it.
                    Err(e) if e.kind() == ErrorKind::ConnectionAborted => return true,
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => {
                        self.accept_failed(&e, now);
                        return false;
                    }
                }
            }
        }
        false
    }

    /// Out of descriptors or memory: those that are open go on, and we look again after a pause.
    fn accept_failed(&mut self, error: &io::Error, now: Instant) {
        self.accept_again = Some(now + ACCEPT_PAUSE);
        // One line for as long as it lasts, however often we look.
        if !std::mem::replace(&mut self.accept_failing, true) {
            let text = format!("a connection cannot be accepted: {error}");
            self.log.event(Event::new(Level::Error, "accept-failed", text));
        }
    }

    fn take_in(
        &mut self,
        mut stream: mio::net::TcpStream,
        peer: std::net::SocketAddr,
        address: Arc<Address>,
        now: Instant,
    ) {
        let entry = self.sessions.vacant_entry();
        let key = entry.key();
        let registry = self.watch.common();
        if let Err(error) = registry.register(&mut stream, client_token(key), INTEREST) {
            let text = format!("a connection cannot be watched: {error}");
            self.log.event(Event::new(Level::Error, "accept-failed", text));
            return;
        }
        self.generation += 1;
        let token = token(key, self.generation);
        let (places, too_many) = self.admission.enter();
        let client = Endpoint::accepted(stream);
        let (admission, gauges) = (Arc::clone(&self.admission), Arc::clone(&self.gauges));
        let arrival = Arrival { key, token, client, peer, address, places, admission, gauges };
        let session = entry.insert(Session::new(arrival, now));
        let denial = too_many.or_else(|| session.count_client());
        let awaits_hello = session.awaits_hello();
        if awaits_hello {
            self.hellos.insert(token);
        }
        match denial {
            Some((rule, reason)) => self.turn_away(key, rule, reason, now),
            // What the client has sent already makes an event, too.
            None => {
                self.arm(key);
                if !awaits_hello {
                    self.enqueue(key);
                }
                self.make_room_for_hellos(now);
            }
        }
    }

    fn turn_away(&mut self, key: usize, rule: &'static Rule, reason: String, now: Instant) {
        self.with_session(key, now, |session, turn| {
            session.turn_away(turn, rule, reason);
            session.drive(turn)
        });
    }

    /// Among too many silent clients the oldest goes: a good one speaks within a round trip. Each
    /// new one pushes out one at most, so this is bounded, too.
    fn make_room_for_hellos(&mut self, now: Instant) {
        if let Some(limit) = self.admission.hellos_exceed(self.hellos.len())
            && let Some(oldest) = self.hellos.first().copied()
        {
            let reason = format!(
                "more than {limit} clients (server.limits.hello) had sent no complete ClientHello"
            );
            self.turn_away(key_of(oldest), &rules::TOO_MANY_HELLOS, reason, now);
        }
    }
}
