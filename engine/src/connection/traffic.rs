//! Application data of a client: opening and sealing records.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rustls::server::UnbufferedServerConnection;

use super::wire::{Broken, Opened, Outgoing};
use super::{Connection, Phase};
use crate::buffer::Buffer;
use crate::failure;
use crate::member::Member;
use crate::record::Outcome;
use crate::rules;

impl Connection {
    /// Opens the next record and appends its plaintext to `into`.
    pub fn open_record(&mut self, into: &mut Buffer) -> Opened {
        if matches!(self.phase, Phase::Clear) {
            return self.take_in_clear(into);
        }
        if let Some(opened) = self.wire.after_close() {
            return opened;
        }
        let open = |connection: &mut Self, tls: &mut UnbufferedServerConnection| {
            let opened = connection.wire.open(tls, into);
            opened.unwrap_or_else(|broken| {
                connection.fail_traffic(tls, &broken);
                Opened::Failed
            })
        };
        self.guarded(open).unwrap_or(Opened::Failed)
    }

    /// Whether a record of the client has come and waits to be opened.
    #[must_use]
    pub fn holds_record(&self) -> bool {
        self.wire.window.has_more(self.wire.input.data())
    }

    /// Plaintext that [`Self::seal`] surely takes without growing the output.
    #[must_use]
    pub fn seal_room(&self) -> usize {
        self.wire.seal_room()
    }

    /// Seals plaintext for the client into the output. False when the connection is broken.
    pub fn seal(&mut self, member: &Member, plaintext: &[u8]) -> bool {
        if matches!(self.phase, Phase::Clear) {
            return self.pass_in_clear(member, plaintext);
        }
        if plaintext.is_empty() {
            return self.is_established();
        }
        self.send(member, Outgoing::Data(plaintext))
    }

    /// Queues close_notify: no more data for the client. Without TLS the FIN alone says so.
    pub fn send_close_notify(&mut self, member: &Member) -> bool {
        if !self.close_notify_sent && !self.is_in_clear() {
            self.close_notify_sent = self.send(member, Outgoing::CloseNotify);
        }
        self.close_notify_sent
    }

    /// Whether the client has sent close_notify.
    #[must_use]
    pub fn peer_has_closed(&self) -> bool {
        self.wire.peer_has_closed()
    }

    /// Whether close_notify was exchanged: neither side sends anything more.
    #[must_use]
    pub fn is_closed_both_ways(&self) -> bool {
        self.close_notify_sent && self.wire.peer_has_closed()
    }

    /// Runs `work` on the rustls connection; a panic ends this connection alone.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &mut UnbufferedServerConnection) -> T,
    ) -> Option<T> {
        let Phase::Established(mut tls) = std::mem::replace(&mut self.phase, Phase::Ended) else {
            return None;
        };
        // After a panic neither the TLS state nor the buffers are used again: `fail_panicked`
        // clears the input, and the phase stays ended.
        match catch_unwind(AssertUnwindSafe(|| work(self, &mut tls))) {
            Ok(result) => {
                // A failure inside has set a refusal; the connection then stays ended.
                if self.refusal.is_none() {
                    self.phase = Phase::Established(tls);
                }
                Some(result)
            }
            Err(payload) => {
                self.fail_panicked(payload.as_ref());
                None
            }
        }
    }

    fn send(&mut self, member: &Member, outgoing: Outgoing<'_>) -> bool {
        member.supply(&mut self.wire.output);
        let send = |connection: &mut Self, tls: &mut UnbufferedServerConnection| {
            let sent = connection.wire.send(tls, outgoing);
            sent.unwrap_or_else(|broken| {
                connection.fail_traffic(tls, &broken);
                false
            })
        };
        self.guarded(send).unwrap_or(false)
    }

    /// Ends the connection on an error of rustls, with the alert it has queued, or on a flood.
    fn fail_traffic(&mut self, tls: &mut UnbufferedServerConnection, broken: &Broken) {
        let error = match broken {
            Broken::Tls(error) => error,
            Broken::Flood(count) => {
                let reason = format!("{count} records without data");
                let rule = &rules::RECORD_FLOOD;
                self.fail(rule.refusal(reason), rule.outcome);
                return;
            }
        };
        // Behind our close_notify nothing is sent any more, not even an alert (RFC 8446 §6.1).
        let alerted = !self.close_notify_sent && self.wire.push_alert(tls);
        let mut refusal = failure::traffic_refusal(error);
        if !alerted {
            refusal.alert_sent = None;
        }
        // Rules of the handshake refuse; here it had succeeded.
        self.fail(refusal, Outcome::Aborted);
    }
}
