//! Connections of a service without TLS: their bytes pass as they are.
//!
//! They take the course of all others, through the same buffers, and are copied where those are
//! opened and sealed. So what TLS costs is the difference, and whatever holds for connections
//! (limits, PROXY headers, health of backends) holds for them.
//!
//! Invariant: nothing of TLS is read or written, not even an alert.

use std::sync::Arc;

use super::wire::{Opened, RECORD_PLAINTEXT};
use super::{Connection, Phase, Progress};
use crate::buffer::Buffer;
use crate::member::Member;

impl Connection {
    /// Whether it has no TLS.
    #[must_use]
    pub fn is_in_clear(&self) -> bool {
        self.set.is_in_clear()
    }

    /// The client need not say anything: there is one service, and no handshake.
    pub(super) fn accept_in_clear(&mut self) -> Progress {
        if self.service.is_some() {
            return Progress::Established;
        }
        match self.set.choose(None).map(Arc::clone) {
            Ok(service) => {
                self.service = Some(service);
                Progress::HelloRead
            }
            Err(rule) => {
                let refusal = rule.refusal("the client cannot name a server without TLS");
                self.fail(refusal, rule.outcome);
                Progress::Failed
            }
        }
    }

    /// Appends what has come, as much at a time as a record would hold.
    pub(super) fn take_in_clear(&mut self, into: &mut Buffer) -> Opened {
        let data = self.wire.input.data();
        let count = data.len().min(RECORD_PLAINTEXT);
        if count == 0 {
            return Opened::NeedInput;
        }
        into.grow_to(into.len() + count);
        into.append(&data[..count]);
        self.wire.input.consume(count);
        Opened::Data(count)
    }

    /// Puts data for the client into the output.
    pub(super) fn pass_in_clear(&mut self, member: &Member, data: &[u8]) -> bool {
        member.supply(&mut self.wire.output);
        self.push_output(data);
        matches!(self.phase, Phase::Clear)
    }
}
