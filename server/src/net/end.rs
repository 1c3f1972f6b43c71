//! How a session ends: by a rule, or in order.
//!
//! Invariants: the first reason counts and stands in the one record; a client is not told that it
//! has everything when it does not, and a backend neither.

use std::time::Duration;

use engine::record::Outcome;
use engine::rules::{self, Rule};

use super::endpoint::Endpoint;
use super::ledger::Class;
use super::session::{Session, Stage, Turn};

/// How long we read away what a client still sends after our FIN.
const LINGER: Duration = Duration::from_secs(2);

impl Session {
    /// Ends the session by a rule while its TLS side can still say why.
    pub(super) fn end_tls(&mut self, turn: &mut Turn<'_>, rule: &'static Rule, reason: String) {
        self.tls.end(turn.member, rule, reason);
        self.finish(turn, closer(rule));
    }

    /// Ends an established connection by a rule. The client is told that it has everything only
    /// when nothing was on its way.
    pub(super) fn end_relay(&mut self, turn: &mut Turn<'_>, rule: &'static Rule, reason: String) {
        let more_comes = self.backend.as_ref().is_some_and(Endpoint::may_read)
            || self.backend_tls.as_ref().is_some_and(|tls| tls.holds_input());
        if (self.tls.output().is_empty() || self.holds_back()) && !more_comes {
            self.tls.send_close_notify(turn.member);
        }
        self.note(rule, reason);
        self.finish(turn, closer(rule));
    }

    /// Remembers what went wrong outside TLS; the first word counts.
    pub(super) fn note(&mut self, rule: &'static Rule, reason: String) {
        if self.note.is_none() {
            let mut refusal = rule.refusal(reason);
            refusal.alert_sent = None;
            self.note = Some(Box::new(refusal));
            self.record.outcome = rule.outcome;
        }
    }

    /// Writes the record, drops the backend and starts the orderly end of the client's side.
    pub(super) fn finish(&mut self, turn: &mut Turn<'_>, close_by: &'static str) {
        if matches!(self.stage, Stage::Lingering { .. } | Stage::Closed) {
            return;
        }
        turn.ledger.turn(Class::Overhead);
        self.leave_handshake();
        self.places.leave_hello();
        if let Some(backend) = self.backend.take() {
            // A backend that was not told of an orderly end must not take the data for complete.
            if !backend.write_is_shut() || self.pending_to_backend() > 0 {
                backend.reset_on_close();
            }
        }
        self.to_backend.clear();
        self.backend_tls = None;
        let mut record = Box::new(self.record.finish(turn.member.name()));
        record.refusal = self.note.take().map(|note| *note);
        self.tls.describe(&mut record);
        record.duration = self.accepted.elapsed();
        record.close_by = Some(close_by);
        if record.outcome == Outcome::Noise {
            record.offer = None;
        }
        let has_all = self.backend_done && self.tls.output().is_empty();
        let is_cut = self.tls.is_in_clear() && record.refusal.is_some() && !has_all;
        self.recorded = Some(record);
        self.stage = Stage::Lingering { until: turn.now + LINGER, read_away: 0 };
        if is_cut {
            // Without close_notify and alerts a FIN would say that this was everything.
            self.client.reset_on_close();
            self.stage = Stage::Closed;
        }
    }
}

/// Who ended a connection that ends by this rule.
pub(super) fn closer(rule: &Rule) -> &'static str {
    match rule.fault {
        rules::fault::PEER => "client",
        rules::fault::BACKEND => "backend",
        _ => "us",
    }
}
