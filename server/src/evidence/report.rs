//! A report as plain rows: what travels over the admin socket and what `--json` prints.
//!
//! The rows hold words and numbers only. A text is empty, and an address missing, where nothing is
//! known. Times are RFC 3339 in UTC.

use serde::{Deserialize, Serialize};

/// What was seen, in whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When it was made.
    pub made: String,
    /// From what: log files, or a daemon.
    pub source: Source,
    /// What could be read, and what could not.
    pub reading: Reading,
    /// Sums over everything, whatever found no place in the tables.
    pub totals: Totals,
    /// Who negotiated what: one row for each combination.
    pub sessions: Vec<SessionRow>,
    /// Clients that were served: one row for each address and combination.
    pub clients: Vec<ClientRow>,
    /// Clients that were not: one row for each address and rule.
    pub refused: Vec<RefusedRow>,
    /// What a mode would do, where one was asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what_if: Option<WhatIf>,
    /// Connections that found no row, since a table was full.
    pub overflow: Overflow,
}

impl Report {
    /// Leaves out rows that were not seen from `since` on, a moment as the rows have it.
    pub fn keep_seen_since(&mut self, since: &str) {
        // Of one form and in UTC, so that they sort as texts.
        self.sessions.retain(|row| row.last_seen.as_str() >= since);
        self.clients.retain(|row| row.last_seen.as_str() >= since);
        self.refused.retain(|row| row.last_seen.as_str() >= since);
        if let Some(what_if) = &mut self.what_if {
            what_if.peers.retain(|row| row.last_seen.as_str() >= since);
        }
        self.source.since = Some(since.to_owned());
    }
}

/// Where a report comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// `log` or `daemon`.
    pub kind: String,
    /// Log files, or the socket.
    pub names: Vec<String>,
    /// Since when the daemon counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_from: Option<String>,
    /// What was not seen from then on was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// What became of the lines of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Lines read.
    pub lines: u64,
    /// Connections among them, those before `since` included.
    pub connections: u64,
    /// Connections before `since`.
    pub before_since: u64,
    /// Events of the daemon.
    pub events: u64,
    /// Records that the daemon says it could not write.
    pub lost: u64,
    /// Lines of ours that are damaged.
    pub damaged: u64,
    /// JSON that is not ours.
    pub foreign: u64,
    /// Lines that are no JSON: text format, as a rule.
    pub text: u64,
    /// The first few of these, each with its place and what is wrong.
    pub examples: Vec<String>,
}

/// Sums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Connections, of whatever kind.
    pub connections: u64,
    /// Those whose handshake was complete.
    pub established: u64,
    /// Those of them that resumed a session.
    pub resumed: u64,
    /// Handshakes that failed: refused, broken off, abandoned.
    pub failed: u64,
    /// Connections that never were TLS, those of services without it among them.
    pub noise: u64,
    /// Plaintext bytes from clients.
    pub bytes_in: u64,
    /// Plaintext bytes to clients.
    pub bytes_out: u64,
    /// The first connection.
    pub first_seen: String,
    /// The last one.
    pub last_seen: String,
}

/// What was negotiated.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Negotiated {
    /// Service; empty if the connection ended before one was chosen.
    pub service: String,
    /// Protocol version; empty if the handshake failed before.
    pub protocol: String,
    /// Cipher suite, IANA name.
    pub suite: String,
    /// Key exchange group; empty on a resumed session of TLS 1.2.
    pub group: String,
    /// Scheme of our signature; empty on a resumed session.
    pub signature: String,
    /// Type and size of our certificate's key; empty on a resumed session.
    pub key: String,
    /// Type and size of the key in the client's certificate; empty without one.
    pub client_key: String,
    /// Modes that were on and the verdict under them; empty without a mode.
    pub verdict: String,
}

/// A combination of parameters and how it was used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// The combination.
    #[serde(flatten)]
    pub negotiated: Negotiated,
    /// Connections that were established with it.
    pub connections: u64,
    /// Those of them that resumed a session.
    pub resumed: u64,
    /// Handshakes that failed, with what was negotiated before.
    pub failed: u64,
    /// Plaintext bytes from clients.
    pub bytes_in: u64,
    /// Plaintext bytes to clients.
    pub bytes_out: u64,
    /// The first connection.
    pub first_seen: String,
    /// The last one.
    pub last_seen: String,
    /// Some of the addresses, in the order in which they came.
    pub sample_peers: Vec<String>,
}

/// A client that was served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRow {
    /// Its address, without the port.
    pub peer: String,
    /// What was negotiated with it.
    #[serde(flatten)]
    pub negotiated: Negotiated,
    /// Subject of the certificate it showed last.
    pub client_subject: String,
    /// Server name it asked for last.
    pub sni: String,
    /// Connections.
    pub connections: u64,
    /// The first one.
    pub first_seen: String,
    /// The last one.
    pub last_seen: String,
}

/// A client that was not served.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// Its address, without the port.
    pub peer: String,
    /// Service; empty if none was chosen.
    pub service: String,
    /// Rule that refused it.
    pub rule: String,
    /// The reason, the last time.
    pub reason: String,
    /// Alert it was sent, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_sent: Option<u8>,
    /// Newest protocol version it offered, ever; empty if its hello was not read.
    pub best_protocol: String,
    /// Its best suites, the last time.
    pub best_suites: Vec<String>,
    /// Groups it offered, the last time.
    pub groups: Vec<String>,
    /// Subject of the certificate it showed, the last time.
    pub client_subject: String,
    /// Server name it asked for, the last time.
    pub sni: String,
    /// Connections.
    pub connections: u64,
    /// The first one.
    pub first_seen: String,
    /// The last one.
    pub last_seen: String,
}

/// [`PeerRow::outlook`] of a client that would fail, at least sometimes.
pub const FAILS: &str = "fails";
/// Of one of which the records do not say enough.
pub const UNDECIDED: &str = "undecided";
/// Of one that would connect.
pub const CONNECTS: &str = "connects";

/// What would happen if a mode were enforced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhatIf {
    /// The mode.
    pub mode: String,
    /// Every client that spoke TLS, those that would fail first.
    pub peers: Vec<PeerRow>,
}

/// A client under a mode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRow {
    /// Its address, without the port.
    pub peer: String,
    /// Service; empty if none was chosen.
    pub service: String,
    /// `fails`, `undecided` or `connects`: the worst of its connections.
    pub outlook: String,
    /// Connections that would fail.
    pub failing: u64,
    /// Connections of which the records do not say enough.
    pub undecided: u64,
    /// Connections that would come about.
    pub connecting: u64,
    /// Rules that would refuse it.
    pub rules: Vec<String>,
    /// What is missing, or what the records do not say.
    pub missing: Vec<String>,
    /// The last connection that would fail.
    pub last_failing: String,
    /// The last connection of whatever kind.
    pub last_seen: String,
}

/// Connections that are in the totals and in no row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overflow {
    /// Of the table of sessions; its rows are bounded in number.
    pub sessions: u64,
    /// Of the table of clients.
    pub clients: u64,
    /// Of the table of refused clients.
    pub refused: u64,
    /// Of the tables of what a mode would do.
    pub what_if: u64,
}

impl Overflow {
    /// Whether every connection has its row.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}
