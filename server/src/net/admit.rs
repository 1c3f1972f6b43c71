//! What the limits have against a session, and what it counts as.
//!
//! Invariants: whatever is counted here is given back by the session's end, in order or by a panic
//! (its places and `Drop`); every refusal names its rule and the setting.
//!
//! Source: the rules of `[server] limits` and `[[service]] limits`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::rules::{self, Rule};

use super::session::{Session, Stage, Turn};
use crate::admission::Denial;
use crate::runtime::ServiceRuntime;

impl Session {
    /// Applies the limits of the service the client has asked for.
    pub(super) fn admit(&mut self, turn: &mut Turn<'_>) {
        let Some(service) = self.tls.service().and_then(|s| self.address.runtime(s)) else {
            return;
        };
        service.accepted.fetch_add(1, Ordering::Relaxed);
        let open = service.open.fetch_add(1, Ordering::Relaxed) + 1;
        let shaking = service.handshakes.fetch_add(1, Ordering::Relaxed) + 1;
        self.gauges.handshakes.fetch_add(1, Ordering::Relaxed);
        self.service = Some(Arc::clone(&service));
        self.in_handshake = true;
        let denial = self.against(&service, open, shaking);
        if let Some((rule, reason)) = denial {
            self.end_tls(turn, rule, reason);
        }
    }

    /// Counts the connection for its client, once that is known, and says what is against it.
    pub fn count_client(&mut self) -> Option<Denial> {
        let client = self.client_address()?;
        self.admission.enter_peer(&mut self.places, client.ip())
    }

    /// What the limits of a service have against one more handshake; both counts include it.
    fn against(&mut self, service: &ServiceRuntime, open: usize, shaking: usize) -> Option<Denial> {
        let limits = service.limits;
        if open > limits.connections {
            let reason = format!("the service has {} connections open already", open - 1);
            return Some((&rules::TOO_MANY_CONNECTIONS, reason));
        }
        if let (Some(limit), Some(peer)) = (limits.per_peer, self.client_address()) {
            let (place, count) = service.peers.enter(peer.ip());
            self.places.service_peer = Some(place);
            if count > limit {
                let reason = format!(
                    "the client has as many connections as limits.per_peer of the service \
                     allows: {limit}"
                );
                return Some((&rules::TOO_MANY_FROM_PEER, reason));
            }
        }
        // Without TLS there is no handshake that could be too many.
        if self.tls.is_in_clear() {
            return None;
        }
        if shaking > limits.handshakes {
            let reason = format!("the service has {} handshakes in flight already", shaking - 1);
            return Some((&rules::TOO_MANY_HANDSHAKES, reason));
        }
        if shaking > limits.full_handshakes() && !self.tls.offers_resumption() {
            let reason = format!(
                "of {} handshakes that the service allows {} are in flight, and the rest is kept \
                 for clients that resume a session",
                limits.handshakes,
                shaking - 1
            );
            return Some((&rules::RESUMPTION_ONLY, reason));
        }
        None
    }

    /// Refuses a client that has not said anything yet: at the door, or to make room for others.
    /// There is no alert that would have to reach it, so nothing is waited for.
    pub fn turn_away(&mut self, turn: &mut Turn<'_>, rule: &'static Rule, reason: String) {
        self.end_tls(turn, rule, reason);
        self.stage = Stage::Closed;
    }

    /// The handshake is over, one way or the other.
    pub(super) fn leave_handshake(&mut self) {
        if std::mem::take(&mut self.in_handshake)
            && let Some(service) = &self.service
        {
            service.handshakes.fetch_sub(1, Ordering::Relaxed);
            self.gauges.handshakes.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
