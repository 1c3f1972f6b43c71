//! The one record each connection leaves behind.
//!
//! Purpose: say what was used, what it cost and, when the connection was refused, what the client
//! lacked and which rule refused it. The record is plain data: the engine fills in what happened
//! inside TLS, the server adds addresses, byte counts and times, and the server alone turns it into
//! text or JSON (field names follow OpenTelemetry's TLS registry where it has one).
//!
//! Invariants: no key material, no ticket, no payload ever enters a record; every connection that
//! was accepted leaves exactly one.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::alert::Alert;
use crate::certs::ClientCertificate;
use crate::compliance::{AuditVerdict, ComplianceVerdict, Mode, RuleId};
use crate::gsk::GskCode;
use crate::icsf::ServiceFailure;

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// Handshake completed and both directions ended in order.
    #[default]
    Completed,
    /// Refused before or during the handshake; [`Record::refusal`] says by which rule.
    Refused,
    /// Handshake completed, but the connection ended out of order (reset, truncation, deadline).
    Aborted,
    /// The peer left before it had said enough to be refused or served.
    Abandoned,
    /// Bytes that never were a TLS handshake: scanners, health checks, plain HTTP. Counted quietly.
    Noise,
}

/// Which engine made the signature of the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPath {
    /// A card behind an AP queue (simulated: a thread of this host).
    Cex,
    /// A protected key in cpacf (`ecdsa = "cpacf"`).
    Cpacf,
    /// The software path taken when no card was left and the configuration allows it.
    Software,
}

/// The private-key operation of a handshake.
#[derive(Debug, Clone)]
pub struct KeyOperation {
    /// Where it was done.
    pub path: KeyPath,
    /// Card and domain, as `00.0006`; none on the other paths.
    pub apqn: Option<String>,
    /// Time between asking and the start of the work.
    pub queue: Duration,
    /// Time the card worked on it.
    pub service: Duration,
    /// CPU time of the card thread, reported apart from the host's.
    pub card_cpu: Duration,
    /// How many queues were tried.
    pub tries: u8,
}

/// What the client offered, in the field's names; kept when it was refused, and on request.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    /// Protocol versions, highest first, e.g. `TLSv1.3`.
    pub versions: Vec<Cow<'static, str>>,
    /// Cipher suites in the client's order, IANA names (or `0xNNNN`).
    pub suites: Vec<Cow<'static, str>>,
    /// Named groups.
    pub groups: Vec<Cow<'static, str>>,
    /// Signature schemes.
    pub signature_schemes: Vec<Cow<'static, str>>,
    /// ALPN protocols.
    pub alpn: Vec<String>,
}

/// Why a connection was refused or failed.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Whose fault: `peer`, `certificate`, `policy`, `device`, `configuration`, `backend`, `bug`.
    pub fault: &'static str,
    /// Stable name of the rule, e.g. `no-common-cipher`.
    pub rule: &'static str,
    /// What happened, one sentence.
    pub reason: Cow<'static, str>,
    /// What to do: the setting to change or what the client lacks.
    pub hint: Cow<'static, str>,
    /// System SSL code.
    pub gsk: Option<GskCode>,
    /// ICSF service, return code and reason code, when a crypto service failed.
    pub icsf: Option<ServiceFailure>,
    /// Alert sent to the client.
    pub alert_sent: Option<Alert>,
    /// Alert received from the client.
    pub alert_received: Option<Alert>,
}

/// TLS towards the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendSession {
    /// Protocol version, e.g. `TLSv1.3`.
    pub version: Cow<'static, str>,
    /// Cipher suite, IANA name.
    pub suite: Cow<'static, str>,
    /// Whether the session was resumed.
    pub resumed: bool,
    /// Key exchange group; none where a session of TLS 1.2 was resumed.
    pub group: Option<Cow<'static, str>>,
    /// Signature scheme of the backend; none where a session was resumed.
    pub signature_scheme: Option<Cow<'static, str>>,
    /// Subject of the backend's certificate.
    pub subject: Option<String>,
    /// What modes say of it; none without one, on or watched.
    pub verdict: Option<BackendVerdict>,
}

/// What modes say of TLS towards the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendVerdict {
    /// The rule of a mode that is on which it breaks.
    pub rule: Option<RuleId>,
    /// What each mode that is only watched would have said.
    pub watched: Vec<WatchedBackend>,
}

/// What a mode that is not on would have said of TLS towards the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedBackend {
    /// The mode.
    pub mode: Mode,
    /// The first rule that what was used breaks.
    pub rule: Option<RuleId>,
    /// What would stand in the way whatever else the backend could choose.
    pub missing: Vec<String>,
}

/// Everything that is known about one connection at its end.
#[derive(Debug, Clone)]
pub struct Record {
    /// Number of the connection within this process.
    pub conn_id: u64,
    /// When it was accepted.
    pub time: SystemTime,
    /// Name of the pool member that served it (`ADJ00001`).
    pub member: String,
    /// Service, once it was chosen.
    pub service: Option<String>,
    /// Address of the client.
    pub peer: Option<SocketAddr>,
    /// The load balancer that connected on the client's behalf and named it in a PROXY header.
    pub proxied_by: Option<SocketAddr>,
    /// Local address the client connected to.
    pub local: Option<SocketAddr>,
    /// Backend that served it.
    pub backend: Option<String>,
    /// TLS towards that backend, if it was spoken.
    pub backend_session: Option<BackendSession>,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether its service is one without TLS.
    pub in_clear: bool,
    /// Protocol version, e.g. `TLSv1.3`.
    pub version: Option<&'static str>,
    /// Cipher suite, IANA name.
    pub suite: Option<&'static str>,
    /// Key exchange group.
    pub group: Option<&'static str>,
    /// Signature scheme of our signature; none when resumed.
    pub signature_scheme: Option<&'static str>,
    /// Whether the session was resumed.
    pub resumed: bool,
    /// Server name the client asked for.
    pub sni: Option<String>,
    /// Protocol agreed by ALPN.
    pub alpn: Option<String>,
    /// Label or file of the certificate that was presented, or that a signature was asked for.
    pub certificate: Option<String>,
    /// Type and size of that certificate's key: `RSA 2048`, `EC P-256`.
    pub certificate_key: Option<Cow<'static, str>>,
    /// The client's certificate: that of a verified client, or the one that was refused.
    pub client_certificate: Option<ClientCertificate>,
    /// Plaintext bytes from the client.
    pub bytes_in: u64,
    /// Plaintext bytes to the client.
    pub bytes_out: u64,
    /// From accept to the end.
    pub duration: Duration,
    /// From the first byte to the end of the handshake.
    pub handshake: Option<Duration>,
    /// CPU time of the handshake on the host, cards not included.
    pub handshake_cpu: Option<Duration>,
    /// The private-key operation, when there was one.
    pub key_operation: Option<KeyOperation>,
    /// Who ended the connection: `client`, `backend`, `us`.
    pub close_by: Option<&'static str>,
    /// Why it was refused or failed.
    pub refusal: Option<Refusal>,
    /// What the client offered; filled when it was refused.
    pub offer: Option<Offer>,
    /// What the modes that are on say; none without one, or where nothing was asked for.
    pub verdict: Option<ComplianceVerdict>,
    /// What modes that are only watched would have said.
    pub audit: Vec<AuditVerdict>,
}

impl Record {
    /// An empty record for a connection that was accepted at `time`.
    #[must_use]
    pub fn new(conn_id: u64, member: &str, time: SystemTime) -> Self {
        Self {
            conn_id,
            time,
            member: member.to_owned(),
            service: None,
            peer: None,
            proxied_by: None,
            local: None,
            backend: None,
            backend_session: None,
            outcome: Outcome::default(),
            in_clear: false,
            version: None,
            suite: None,
            group: None,
            signature_scheme: None,
            resumed: false,
            sni: None,
            alpn: None,
            certificate: None,
            certificate_key: None,
            client_certificate: None,
            bytes_in: 0,
            bytes_out: 0,
            duration: Duration::ZERO,
            handshake: None,
            handshake_cpu: None,
            key_operation: None,
            close_by: None,
            refusal: None,
            offer: None,
            verdict: None,
            audit: Vec::new(),
        }
    }
}
