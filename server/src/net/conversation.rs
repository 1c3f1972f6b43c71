//! Connections that go on for a while wake their event loop at once, and its turns are short then.
//!
//! A short one, which ends after a request and its answer, is not worth the move from one epoll
//! instance to the other ([`Watch`]).

use std::io;

use engine::rules;

use super::dial::{backend_token, client_token};
use super::endpoint::INTEREST;
use super::session::{Session, Turn};
use super::watch::Watch;

/// Steps with data after which a connection is taken for a conversation; a request and its answer
/// take four at most.
const CONVERSATION: u8 = 8;

impl Session {
    /// A connection that goes on for a while is a conversation: from then on its bytes wake the
    /// event loop at once.
    pub(super) fn count_round(&mut self, turn: &mut Turn<'_>) {
        if self.converses() {
            return;
        }
        self.rounds += 1;
        if self.converses()
            && self.is_relaying()
            && let Err(error) = self.watch_urgently(turn.watch)
        {
            let reason = format!("the connection cannot be watched: {error}");
            self.end_relay(turn, &rules::INTERNAL_ERROR, reason);
        }
    }

    /// Whether it is one.
    pub(super) fn converses(&self) -> bool {
        self.rounds == CONVERSATION
    }

    fn watch_urgently(&mut self, watch: &Watch) -> io::Result<()> {
        let client = (client_token(self.key), Some(&mut self.client));
        let backend = (backend_token(self.key), self.backend.as_mut());
        for (token, endpoint) in [client, backend] {
            let Some(endpoint) = endpoint else { continue };
            watch.common().deregister(endpoint.source())?;
            watch.urgent().register(endpoint.source(), token, INTEREST)?;
        }
        Ok(())
    }
}
