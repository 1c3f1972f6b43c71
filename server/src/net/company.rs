//! Tickets wait for company on their way to the client.
//!
//! In TLS 1.3 the last thing a handshake has for the client is its session tickets. The client
//! wants them for its next connection, and its data soon: sent together they cost one segment, one
//! system call and one wake-up of the client instead of two, some 7 µs of the host.
//!
//! Invariants: nothing but tickets is ever held back, for [`PATIENCE`] at most; whatever is queued
//! behind them, or ends the relay, takes them along.

use std::time::{Duration, Instant};

use super::session::Session;

/// How long tickets wait. A backend that answers later has them sent alone; a client that opens
/// its next connection sooner makes a full handshake there.
const PATIENCE: Duration = Duration::from_millis(20);

/// Output that may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeldBack {
    /// Bytes of it: when there are more, the company has come.
    bytes: usize,
    /// Until when it waits.
    pub(super) until: Instant,
}

impl Session {
    /// Holds back what the last flight of a handshake has left for the client, if it can wait.
    pub(super) fn hold_back_tickets(&mut self, now: Instant) {
        if self.tls.output_is_tickets() {
            let bytes = self.tls.output().len();
            self.held_back = Some(HeldBack { bytes, until: now + PATIENCE });
        }
    }

    /// Whether the output waits for company.
    pub(super) fn holds_back(&self) -> bool {
        !self.is_closing()
            && self.held_back.is_some_and(|held| held.bytes == self.tls.output().len())
    }

    /// Lets the output go that has waited until `now`; whether there was any.
    pub(super) fn let_go(&mut self, now: Instant) -> bool {
        let is_due = self.held_back.is_some_and(|held| held.until <= now);
        if is_due {
            self.held_back = None;
        }
        is_due
    }
}
