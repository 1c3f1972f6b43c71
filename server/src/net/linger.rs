//! The time between our FIN and the end of the connection.
//!
//! What the client still sends is read away, within a bound and a deadline, because closing over
//! unread bytes is a reset that destroys an alert on its way. Behind a client's close_notify or FIN
//! nothing comes (RFC 8446 §6.1), so where both sides have closed nobody lingers.

use super::endpoint::Moved;
use super::session::{Session, Stage, Step, Turn};

/// How much of what a client still sends is read away.
const LINGER_BYTES: usize = 256 * 1024;

impl Session {
    pub(super) fn linger_step(&mut self, turn: &mut Turn<'_>) -> Step {
        let broken = self.flush_client().is_some();
        if broken || self.client.is_gone() {
            self.stage = Stage::Closed;
            return Step::Moved;
        }
        if !self.tls.output().is_empty() {
            return Step::Blocked;
        }
        if self.client_is_done_with() {
            self.stage = Stage::Closed;
            return Step::Moved;
        }
        self.client.shut_write();
        let Stage::Lingering { read_away, .. } = &mut self.stage else { return Step::Blocked };
        match self.client.read(turn.scratch.whole()) {
            Moved::Bytes(count) => {
                *read_away += count;
                if *read_away > LINGER_BYTES {
                    self.stage = Stage::Closed;
                }
            }
            Moved::Blocked => return Step::Blocked,
            Moved::Eof | Moved::Broken(_) => self.stage = Stage::Closed,
        }
        Step::Moved
    }
}
