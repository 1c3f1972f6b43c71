//! Connections that go on for a while: conversations wake their event loop at once, streams do not.
//!
//! A short one, which ends after a request and its answer, is not worth the move from one epoll
//! instance to the other ([`Watch`]). Nor has a stream anything that is waited for at its other
//! end: what comes while the loop waits for a moment is read and sent in larger pieces, and a
//! sleep and a waking are spared.

use std::io;

use engine::rules;

use super::dial::{backend_token, client_token};
use super::endpoint::INTEREST;
use super::session::{Session, Turn};
use super::watch::Watch;

/// Turns with data after which a connection is taken for a conversation; a request and its answer
/// take four at most.
const CONVERSATION: u8 = 8;

/// What a client has sent more than its backend has answered, when it is taken for a stream.
const STREAM_BYTES: u64 = 1024 * 1024;

/// What an answer takes from that at least: who hears nothing for so long does not wait for every
/// piece to arrive.
const ANSWER_BYTES: u64 = 128 * 1024;

/// What a connection has shown itself to be.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Turns in which data was relayed, as far as they count.
    rounds: u8,
    /// Bytes from the client, less what the answers take from them.
    ahead: u64,
    /// Whether the client sends a stream.
    is_stream: bool,
    /// In which window it was seen flowing ([`Streams`](super::streams::Streams)).
    seen: u32,
    /// Whether its sockets are watched by the urgent instance.
    is_urgent: bool,
}

impl Flow {
    /// Notes what a turn has relayed from the client and from the backend.
    fn note(&mut self, from_client: u64, from_backend: u64) {
        self.rounds = CONVERSATION.min(self.rounds + 1);
        self.ahead = STREAM_BYTES.min(self.ahead + from_client);
        self.is_stream |= self.ahead == STREAM_BYTES;
        if from_backend > 0 {
            self.ahead = self.ahead.saturating_sub(from_backend.max(ANSWER_BYTES));
        }
        self.is_stream &= self.ahead >= ANSWER_BYTES;
    }
}

impl Session {
    /// Notes what a turn has relayed from the client and from the backend, and has the connection
    /// watched as befits what it shows itself to be.
    pub(super) fn note_flow(&mut self, turn: &mut Turn<'_>, from_client: u64, from_backend: u64) {
        self.flow.note(from_client, from_backend);
        let is_urgent = self.has_gone_on() && !self.flow.is_stream;
        if is_urgent != self.flow.is_urgent
            && self.is_relaying()
            && let Err(error) = self.watch_from(turn.watch, is_urgent)
        {
            let reason = format!("the connection cannot be watched: {error}");
            self.end_relay(turn, &rules::INTERNAL_ERROR, reason);
        }
    }

    /// Whether it has gone on for a while, as a conversation or as a stream.
    pub(super) fn has_gone_on(&self) -> bool {
        self.flow.rounds == CONVERSATION
    }

    /// Where it is a stream: in which window it was seen flowing.
    pub(super) fn as_stream(&mut self) -> Option<&mut u32> {
        (self.flow.is_stream && self.is_relaying()).then_some(&mut self.flow.seen)
    }

    /// Has both sockets watched by the urgent instance, or by the common one.
    fn watch_from(&mut self, watch: &Watch, is_urgent: bool) -> io::Result<()> {
        let (old, new) = if is_urgent {
            (watch.common(), watch.urgent())
        } else {
            (watch.urgent(), watch.common())
        };
        let client = (client_token(self.key), Some(&mut self.client));
        let backend = (backend_token(self.key), self.backend.as_mut());
        for (token, endpoint) in [client, backend] {
            let Some(endpoint) = endpoint else { continue };
            old.deregister(endpoint.source())?;
            new.register(endpoint.source(), token, INTEREST)?;
        }
        self.flow.is_urgent = is_urgent;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: u64 = STREAM_BYTES / 16;

    #[test]
    fn who_hears_little_of_what_it_sends_is_a_stream() {
        let mut flow = Flow::default();
        for _ in 0..16 {
            assert!(!flow.is_stream);
            flow.note(PIECE, 0);
        }
        assert!(flow.is_stream && flow.rounds == CONVERSATION);
        for _ in 0..100 {
            (0..3).for_each(|_| flow.note(PIECE, 0));
            flow.note(0, 1);
            assert!(flow.is_stream, "a short word after 192 KiB");
        }
    }

    #[test]
    fn a_stream_ends_when_there_are_answers() {
        let mut flow = Flow::default();
        let stream = |flow: &mut Flow| (0..16).for_each(|_| flow.note(PIECE, 0));
        stream(&mut flow);
        for left in (0..8).rev() {
            flow.note(1, 1);
            assert_eq!(flow.is_stream, left > 0);
        }
        stream(&mut flow);
        assert!(flow.is_stream);
        flow.note(0, STREAM_BYTES);
        assert!(!flow.is_stream, "a long one");
    }

    #[test]
    fn what_is_answered_often_or_goes_the_other_way_is_no_stream() {
        let mut flow = Flow::default();
        for (from_client, from_backend) in [(PIECE, 1), (PIECE, PIECE), (0, PIECE)] {
            for _ in 0..100 {
                flow.note(from_client, from_backend);
                assert!(!flow.is_stream, "{from_client} {from_backend}");
            }
        }
    }
}
