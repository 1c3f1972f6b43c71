//! One TLS connection without sockets: bytes in, bytes out, "waiting for a card".
//!
//! Purpose: the state machine between accept and close. It reads the hello itself, chooses the
//! service, runs the flights of the handshake on fibers, and afterwards opens and seals records in
//! the buffers of the event loop.
//!
//! Invariants:
//! - one rustls connection per client, created only after our reader has accepted its hello;
//! - while suspended the connection touches nothing: rustls' state and the input are with the
//!   flight, on a fiber or on another thread;
//! - everything rustls queues is moved to the output, whoever caused it;
//! - after a failure no further input is processed, and the output holds at most one alert;
//! - a panic below ends this connection alone and is recorded as a fault of ours.
//!
//! What it does not do: sockets, deadlines, backends (the server's), choosing certificates
//! ([`crate::certs`]).
//!
//! Source: RFC 8446, RFC 5246.

mod clear;
mod handshake;
mod traffic;
pub(crate) mod wire;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::HandshakeKind;
use rustls::server::UnbufferedServerConnection;

use crate::alert::Alert;
use crate::certs::{Certificate, ClientCertificate};
use crate::compliance::CertificateFacts;
use crate::compliance::judge::{self, End, Used};
use crate::handshake::context::Context;
use crate::handshake::execution::Pending;
use crate::hello::{ClientHello, HelloReader};
use crate::iana;
use crate::icsf::{self, ServiceFailure};
use crate::member::Member;
use crate::record::{KeyOperation, Outcome, Record, Refusal};
use crate::rules::{self, Rule};
use crate::service::{Service, ServiceSet};

use wire::Wire;

pub use wire::{Opened, RECORD_PLAINTEXT};

/// Most that is read at once where there are no records.
const CLEAR_BYTES: usize = 4 * RECORD_PLAINTEXT;

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More bytes from the client are needed.
    NeedInput,
    /// The hello is read and the service chosen; the next [`Connection::advance`] starts the
    /// handshake. This is the place to refuse it by a limit.
    HelloRead,
    /// A card is at work; [`Connection::complete`] goes on.
    Suspended,
    /// The handshake is complete: records can be opened and sealed.
    Established,
    /// The connection is refused or broken; send the output, then close.
    Failed,
}

enum Phase {
    /// Reading the hello.
    Hello(HelloReader),
    /// Between two flights.
    Waiting(Box<UnbufferedServerConnection>),
    /// A flight waits for a card.
    Suspended(Pending),
    /// Application data.
    Established(Box<UnbufferedServerConnection>),
    /// Data of a service without TLS.
    Clear,
    /// Nothing more will be processed.
    Ended,
}

/// What was negotiated.
#[derive(Debug, Default)]
struct Negotiated {
    version: Option<&'static str>,
    suite: Option<&'static str>,
    group: Option<&'static str>,
    signature_scheme: Option<&'static str>,
    /// The number of that scheme.
    scheme: Option<u16>,
    /// What modes judge; none before the handshake is complete, or where nothing is judged.
    used: Option<Box<Used>>,
    /// What the client has shown and was refused for.
    refused_chain: Vec<CertificateFacts>,
    resumed: bool,
    alpn: Option<String>,
    certificate: Option<String>,
    client_certificate: Option<Box<ClientCertificate>>,
    key_operation: Option<KeyOperation>,
}

/// One connection.
pub struct Connection {
    token: u64,
    set: Arc<ServiceSet>,
    service: Option<Arc<Service>>,
    hello: Option<Arc<ClientHello>>,
    phase: Phase,
    wire: Wire,
    /// Between two flights, the bytes of the input that the last one has left: more must come.
    seen: usize,
    /// Whether the client was sent anything.
    answered: bool,
    close_notify_sent: bool,
    context: Option<Arc<Context>>,
    negotiated: Negotiated,
    refusal: Option<Box<Refusal>>,
    outcome: Option<Outcome>,
    first_byte: Option<Instant>,
    handshake_time: Option<Duration>,
    handshake_cpu: Duration,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let phase = match self.phase {
            Phase::Hello(_) => "Hello",
            Phase::Waiting(_) => "Waiting",
            Phase::Suspended(_) => "Suspended",
            Phase::Established(_) => "Established",
            Phase::Clear => "Clear",
            Phase::Ended => "Ended",
        };
        f.debug_struct("Connection")
            .field("token", &self.token)
            .field("phase", &phase)
            .field("input", &self.wire.input.len())
            .field("output", &self.wire.output.len())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection accepted on the address of `set`. Replies of cards carry `token`.
    #[must_use]
    pub fn new(set: Arc<ServiceSet>, token: u64) -> Self {
        let in_clear = set.is_in_clear();
        Self {
            token,
            set,
            service: None,
            hello: None,
            phase: if in_clear { Phase::Clear } else { Phase::Hello(HelloReader::default()) },
            wire: Wire::default(),
            seen: 0,
            answered: false,
            close_notify_sent: false,
            context: None,
            negotiated: Negotiated::default(),
            refusal: None,
            outcome: None,
            first_byte: None,
            handshake_time: None,
            handshake_cpu: Duration::ZERO,
        }
    }

    /// Where to put bytes from the client; empty while a card is at work, after a failure, or when
    /// the buffer is full.
    pub fn input_space(&mut self, member: &Member) -> &mut [u8] {
        match self.phase {
            Phase::Suspended(_) | Phase::Ended => return &mut [],
            Phase::Hello(_) | Phase::Waiting(_) if !self.wire.input.has_memory() => {
                member.supply_for(&mut self.wire.input, 1);
            }
            Phase::Hello(_) | Phase::Waiting(_) if self.wire.input.room() > 0 => {}
            _ => member.supply(&mut self.wire.input),
        }
        let space = self.wire.input.space();
        // Four records' worth leave in one write; a little more would be a small one behind it.
        let most = if matches!(self.phase, Phase::Clear) { CLEAR_BYTES } else { usize::MAX };
        let length = space.len().min(most);
        &mut space[..length]
    }

    /// Says that `count` bytes were put into [`Self::input_space`].
    pub fn received(&mut self, count: usize) {
        if count > 0 && self.first_byte.is_none() {
            self.first_byte = Some(Instant::now());
        }
        self.wire.input.filled(count);
    }

    /// Bytes for the client.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.wire.output.data()
    }

    /// Whether the output is what a handshake leaves at its very end: tickets, for which the client
    /// does not wait. In TLS 1.2 it is our Finished, for which it does.
    #[must_use]
    pub fn output_is_tickets(&self) -> bool {
        let tls13 = self.negotiated.version == Some(known(iana::version_name(iana::TLS13)));
        self.is_established() && tls13 && !self.wire.output.is_empty()
    }

    /// Says that `count` bytes of [`Self::output`] were sent.
    pub fn sent(&mut self, count: usize) {
        self.wire.output.consume(count);
    }

    /// Gives buffers that hold nothing back to the member.
    pub fn release_idle_memory(&mut self, member: &Member) {
        self.wire.release_idle_memory(member);
    }

    /// Gives all buffers back to the member, with what they hold: the connection is over.
    pub fn give_up_memory(&mut self, member: &Member) {
        self.wire.forget_input();
        self.wire.output.clear();
        self.wire.release_idle_memory(member);
    }

    /// Whether a card is at work for this connection.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        matches!(self.phase, Phase::Suspended(_))
    }

    /// Whether the handshake is complete and the connection is sound.
    #[must_use]
    pub fn is_established(&self) -> bool {
        matches!(self.phase, Phase::Established(_))
    }

    /// Whether the client has sent a complete hello, or need not send one.
    #[must_use]
    pub fn has_hello(&self) -> bool {
        self.hello.is_some() || self.is_in_clear()
    }

    /// Whether the client offers to resume a session.
    #[must_use]
    pub fn offers_resumption(&self) -> bool {
        self.hello.as_deref().is_some_and(ClientHello::offers_resumption)
    }

    /// Whether the next [`Self::advance`] begins a handshake that will need a signature.
    #[must_use]
    pub fn begins_full_handshake(&self) -> bool {
        matches!(self.phase, Phase::Waiting(_)) && !self.answered && !self.offers_resumption()
    }

    /// Whether any byte came from the client.
    #[must_use]
    pub fn has_heard(&self) -> bool {
        self.first_byte.is_some()
    }

    /// The service, once it is chosen.
    #[must_use]
    pub fn service(&self) -> Option<&Arc<Service>> {
        self.service.as_ref()
    }

    /// The server name the client asked for.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.hello.as_deref().and_then(|h| h.sni.as_deref())
    }

    /// Protocol agreed by ALPN.
    #[must_use]
    pub fn alpn(&self) -> Option<&str> {
        self.negotiated.alpn.as_deref()
    }

    /// Protocol version and cipher suite, for the backend's PROXY header.
    #[must_use]
    pub fn version_and_suite(&self) -> (Option<&'static str>, Option<&'static str>) {
        (self.negotiated.version, self.negotiated.suite)
    }

    /// The certificate the client has presented, once the handshake is complete; on a resumed
    /// connection that of the session. After a refusal it is the one that was refused, and not
    /// `verified`.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.negotiated.client_certificate.as_deref()
    }

    /// Whether the session is one that an earlier connection began.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.negotiated.resumed
    }

    /// Key exchange group and the scheme of our signature, for the backend's PROXY header.
    #[must_use]
    pub fn group_and_signature_scheme(&self) -> (Option<&'static str>, Option<&'static str>) {
        (self.negotiated.group, self.negotiated.signature_scheme)
    }

    /// The certificate that was presented in this handshake; none when it was resumed.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        // One that was chosen is presented only together with a signature.
        self.negotiated.signature_scheme?;
        let label = self.negotiated.certificate.as_deref()?;
        let service = self.service.as_deref()?;
        service.certificates().iter().find(|certificate| certificate.label == label)
    }

    /// Why the connection was refused or broke, if it did.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_deref()
    }

    /// Ends a handshake that was not complete within `limit`, as [`Self::end`] would, by the rule
    /// of what did not happen in that time.
    pub fn expire(&mut self, member: &Member, limit: Duration) -> &'static Rule {
        let (rule, what, icsf) = if !self.has_hello() {
            (&rules::HELLO_DEADLINE, "no complete ClientHello came", None)
        } else if self.is_suspended() && !self.answered {
            let failure = ServiceFailure::new(icsf::Service::CSFPPKS, &icsf::table::TIMED_OUT);
            (&rules::SIGNING_DEADLINE, "no signature was made", Some(failure))
        } else {
            (&rules::HANDSHAKE_DEADLINE, "the handshake was not complete", None)
        };
        let refusal = Refusal { icsf, ..rule.refusal(format!("{what} within {limit:?}")) };
        self.end_with(member, refusal, rule);
        rule
    }

    /// Ends the connection by a rule of the server (deadline, limit, shutdown).
    ///
    /// A suspended handshake is resumed with an error, so that its stack unwinds in order and goes
    /// back to the pool. No alert is sent unless the rule has one and the client can read it.
    pub fn end(&mut self, member: &Member, rule: &'static Rule, reason: String) {
        self.end_with(member, rule.refusal(reason), rule);
    }

    fn end_with(&mut self, member: &Member, mut refusal: Refusal, rule: &'static Rule) {
        self.cancel_flight(member);
        match rule.alert {
            Some(alert) if self.has_hello() && !self.answered => {
                self.fail_with_alert(refusal, alert);
            }
            _ => {
                refusal.alert_sent = None;
                self.fail(refusal, rule.outcome);
            }
        }
    }

    /// Fills in everything the engine knows about the connection. A refusal of the server's may
    /// stand there already; one of the engine's goes before it.
    pub fn describe(&self, record: &mut Record) {
        record.service = self.service.as_ref().map(|s| s.name.clone());
        record.sni = self.hello.as_deref().and_then(ClientHello::asked_name).map(str::to_owned);
        record.in_clear = self.is_in_clear();
        record.version = self.negotiated.version;
        record.suite = self.negotiated.suite;
        record.group = self.negotiated.group;
        record.signature_scheme = self.negotiated.signature_scheme;
        record.resumed = self.negotiated.resumed;
        record.alpn.clone_from(&self.negotiated.alpn);
        // One that was chosen is presented only together with a signature.
        if self.negotiated.signature_scheme.is_some() {
            record.certificate.clone_from(&self.negotiated.certificate);
        }
        record.certificate_key = self.certificate().map(Certificate::key_name);
        record.client_certificate = self.client_certificate().cloned();
        record.key_operation.clone_from(&self.negotiated.key_operation);
        record.handshake = self.handshake_time;
        if self.hello.is_some() {
            record.handshake_cpu = Some(self.handshake_cpu);
        }
        if let Some(outcome) = self.outcome {
            record.outcome = outcome;
        }
        if let Some(refusal) = self.refusal() {
            record.refusal = Some(refusal.clone());
            if self.handshake_time.is_none() {
                record.offer = self.hello.as_deref().map(ClientHello::offer);
            }
        }
        self.judge(record);
    }

    /// What modes say, also of a refusal that stands in the record already, and of a session with a
    /// backend that does.
    fn judge(&self, record: &mut Record) {
        let hello = self.hello.as_deref();
        // A hello that was refused for itself has chosen no service, but it says which it wants.
        let wanted = || self.set.choose(hello?.sni.as_deref()).ok();
        let Some(service) = self.service.as_ref().or_else(wanted) else {
            record.verdict = judge::unchosen(self.set.policy(), record.outcome);
            return;
        };
        if !service.modes.judges() {
            return;
        }
        let end = End {
            hello,
            used: self.negotiated.used.as_deref(),
            refused_chain: &self.negotiated.refused_chain,
            backend: record.backend_session.as_ref().and_then(|session| session.verdict.as_ref()),
            outcome: record.outcome,
            refusal: record.refusal.as_ref(),
        };
        let (verdict, audit) = (service.modes.verdict(&end), service.modes.audit(&end));
        (record.verdict, record.audit) = (verdict, audit);
    }

    /// Records what ended the connection; the first word counts.
    fn fail(&mut self, refusal: Refusal, outcome: Outcome) {
        if self.refusal.is_none() {
            self.refusal = Some(Box::new(refusal));
            self.outcome = Some(outcome);
        }
        self.phase = Phase::Ended;
        self.wire.forget_input();
    }

    /// As [`Self::fail`], with a fatal alert in clear for the client, if it speaks TLS.
    fn fail_with_alert(&mut self, mut refusal: Refusal, alert: Alert) {
        let outcome = rule_outcome(&refusal);
        refusal.alert_sent = Some(alert).filter(|_| !self.is_in_clear());
        if refusal.alert_sent.is_some() {
            self.push_output(&alert_record(alert));
        }
        self.fail(refusal, outcome);
    }

    /// Appends to the output.
    fn push_output(&mut self, bytes: &[u8]) {
        self.answered |= !bytes.is_empty();
        self.wire.push(bytes);
    }

    fn note_negotiated(&mut self, tls: &UnbufferedServerConnection) {
        let negotiated = &mut self.negotiated;
        negotiated.version =
            tls.protocol_version().map(|v| known(iana::version_name(u16::from(v))));
        negotiated.suite =
            tls.negotiated_cipher_suite().map(|s| known(iana::suite_name(u16::from(s.suite()))));
        negotiated.group = tls
            .negotiated_key_exchange_group()
            .map(|g| known(iana::group_name(u16::from(g.name()))));
        negotiated.resumed = tls.handshake_kind() == Some(HandshakeKind::Resumed);
        negotiated.alpn = tls.alpn_protocol().map(|p| p.escape_ascii().to_string());
        if self.service.as_ref().is_some_and(|service| service.modes.judges()) {
            let used = used(tls, self.hello.as_deref(), negotiated.scheme);
            negotiated.used = Some(Box::new(used));
        }
        // rustls keeps only what it has verified.
        negotiated.client_certificate = tls
            .peer_certificates()
            .and_then(|chain| chain.first())
            .and_then(|leaf| ClientCertificate::read(leaf, true))
            .map(Box::new);
    }
}

/// What a mode judges of an established connection.
fn used(
    tls: &UnbufferedServerConnection,
    hello: Option<&ClientHello>,
    scheme: Option<u16>,
) -> Used {
    Used {
        version: tls.protocol_version().map(u16::from).unwrap_or_default(),
        suite: tls.negotiated_cipher_suite().map(|s| u16::from(s.suite())).unwrap_or_default(),
        group: tls.negotiated_key_exchange_group().map(|g| u16::from(g.name())),
        scheme,
        // It is used wherever a client offers it.
        extended_master_secret: hello.is_some_and(|hello| hello.extended_master_secret),
        peer_chain: match tls.peer_certificates() {
            Some([leaf, others @ ..]) => judge::path(leaf, others),
            _ => Vec::new(),
        },
    }
}

/// A fatal alert in clear (RFC 8446 §6, §5.1).
fn alert_record(alert: Alert) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, alert.0]
}

/// The name of something we negotiated ourselves; the tables know all of it.
fn known(name: impl Into<Cow<'static, str>>) -> &'static str {
    match name.into() {
        Cow::Borrowed(name) => name,
        Cow::Owned(_) => "unknown",
    }
}

/// What becomes of a connection by the rule of its refusal.
fn rule_outcome(refusal: &Refusal) -> Outcome {
    rules::find(refusal.rule).map_or(Outcome::Refused, |rule| rule.outcome)
}
