//! What the server notes for the record of a connection while it lives.
//!
//! A record has room for all that can be said about a connection. Most of it is known to the engine
//! anyway or is never said, so while thousands of connections are idle each keeps this much only.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use engine::record::{BackendSession, Outcome, Record};

/// The server's part of a record, as far as it is known.
#[derive(Debug)]
pub(super) struct Draft {
    /// Number of the connection within this process.
    pub(super) conn_id: u64,
    time: SystemTime,
    /// Address of the client.
    pub(super) peer: Option<SocketAddr>,
    /// The load balancer that connected on the client's behalf.
    pub(super) proxied_by: Option<SocketAddr>,
    local: Option<SocketAddr>,
    /// Backend that serves it.
    pub(super) backend: Option<Arc<str>>,
    /// TLS towards that backend, if it is spoken.
    pub(super) backend_session: Option<Box<BackendSession>>,
    /// What becomes of it.
    pub(super) outcome: Outcome,
    /// Plaintext bytes from the client.
    pub(super) bytes_in: u64,
    /// Plaintext bytes to the client.
    pub(super) bytes_out: u64,
    /// Who ended the connection.
    pub(super) close_by: Option<&'static str>,
}

impl Draft {
    /// For a connection that is accepted now.
    pub(super) fn new(conn_id: u64, peer: SocketAddr, local: Option<SocketAddr>) -> Self {
        Self {
            conn_id,
            time: SystemTime::now(),
            peer: Some(peer),
            proxied_by: None,
            local,
            backend: None,
            backend_session: None,
            outcome: Outcome::default(),
            bytes_in: 0,
            bytes_out: 0,
            close_by: None,
        }
    }

    /// The record of a connection that `member` has served, without what the engine knows; to be
    /// asked for once.
    pub(super) fn finish(&mut self, member: &str) -> Record {
        let mut record = Record::new(self.conn_id, member, self.time);
        record.peer = self.peer;
        record.proxied_by = self.proxied_by;
        record.local = self.local;
        record.backend = self.backend.as_deref().map(str::to_owned);
        record.backend_session = self.backend_session.take().map(|session| *session);
        record.outcome = self.outcome;
        record.bytes_in = self.bytes_in;
        record.bytes_out = self.bytes_out;
        record.close_by = self.close_by;
        record
    }
}
