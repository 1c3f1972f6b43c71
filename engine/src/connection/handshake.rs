//! From the first byte to the end of the handshake.

use std::any::Any;
use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::{HandshakeKind, ProtocolVersion};

use super::{Connection, Phase, Progress, alert_record, known, rule_outcome};
use crate::certs::RefusedClient;
use crate::compliance::judge;
use crate::failure;
use crate::handshake::context::{Notes, SigningFailure};
use crate::handshake::execution::Step;
use crate::handshake::flight::{Flight, FlightEnd, encode_after_failure};
use crate::hello::{self, ClientHello, Preface};
use crate::iana;
use crate::member::{Member, Reply};
use crate::provider;
use crate::record::Refusal;
use crate::rules;
use crate::service::Service;

impl Connection {
    /// Goes on with the bytes that have been received.
    pub fn advance(&mut self, member: &Member) -> Progress {
        match &mut self.phase {
            Phase::Hello(_) => self.measured(member, |connection| connection.read_hello(member)),
            Phase::Waiting(_) if self.wire.input.len() > self.seen => {
                self.measured(member, |connection| connection.run_flight(member))
            }
            Phase::Waiting(_) => Progress::NeedInput,
            Phase::Suspended(_) => Progress::Suspended,
            Phase::Established(_) => Progress::Established,
            Phase::Clear => self.accept_in_clear(),
            Phase::Ended => Progress::Failed,
        }
    }

    /// Goes on with the reply of a card.
    pub fn complete(&mut self, member: &Member, reply: Reply) -> Progress {
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Suspended(pending) => {
                member.count_resumed();
                self.handshake_cpu += reply.host_cpu;
                self.measured(member, |connection| {
                    let step = pending.resume(member, reply.news);
                    connection.take_over(member, step)
                })
            }
            // A reply for a handshake that was ended meanwhile.
            other => {
                self.phase = other;
                self.advance(member)
            }
        }
    }

    /// Adds the CPU time of `work` to that of the handshake.
    fn measured(&mut self, member: &Member, work: impl FnOnce(&mut Self) -> Progress) -> Progress {
        let (progress, cpu) = member.measured(|| work(self));
        self.handshake_cpu += cpu;
        progress
    }

    fn read_hello(&mut self, member: &Member) -> Progress {
        let Phase::Hello(reader) = &mut self.phase else { return Progress::Failed };
        match reader.read(self.wire.input.data()) {
            hello::Progress::NeedMore { .. } => Progress::NeedInput,
            hello::Progress::Hello(hello) => self.accept_hello(member, Arc::from(hello)),
            hello::Progress::Refuse(refused) => {
                let refusal = refused.refusal();
                self.hello = refused.hello.map(Arc::from);
                self.refuse(refusal);
                Progress::Failed
            }
            hello::Progress::NotTls(preface) => {
                let rule = match preface {
                    Preface::PlainHttp => &rules::PLAIN_HTTP,
                    Preface::Proxy => &rules::PROXY_HEADER,
                    Preface::Ssh | Preface::Telnet | Preface::Other => &rules::NOT_TLS,
                };
                let reason = format!("the client sent {} instead of TLS", preface.word());
                self.refuse(rule.refusal(reason));
                Progress::Failed
            }
        }
    }

    /// Refuses in clear, before rustls has seen a byte.
    fn refuse(&mut self, refusal: Refusal) {
        match refusal.alert_sent {
            Some(alert) => self.fail_with_alert(refusal, alert),
            None => {
                let outcome = rule_outcome(&refusal);
                self.fail(refusal, outcome);
            }
        }
    }

    fn accept_hello(&mut self, member: &Member, hello: Arc<ClientHello>) -> Progress {
        self.hello = Some(Arc::clone(&hello));
        let chosen = self.set.choose(hello.sni.as_deref()).map(Arc::clone);
        let refusal = match chosen {
            Err(rule) => Some(rule.refusal(match (&hello.sni, &hello.odd_sni) {
                (Some(name), _) => format!("no service of this address answers to `{name}`"),
                (None, Some(_)) => "the server name of the client is no host name".to_owned(),
                (None, None) => "the client names no server".to_owned(),
            })),
            Ok(service) => {
                let refusal = unsuitable(&hello, &service);
                self.service = Some(service);
                refusal
            }
        };
        if let Some(refusal) = refusal {
            self.refuse(refusal);
            return Progress::Failed;
        }
        let Some(service) = &self.service else { return Progress::Failed };
        match UnbufferedServerConnection::new(Arc::clone(&service.tls)) {
            Ok(tls) => {
                self.context = Some(member.context(hello, self.token));
                self.phase = Phase::Waiting(Box::new(tls));
                Progress::HelloRead
            }
            Err(error) => {
                self.refuse(rules::INTERNAL_ERROR.refusal(error.to_string()));
                Progress::Failed
            }
        }
    }

    fn run_flight(&mut self, member: &Member) -> Progress {
        let Some(context) = self.context.clone() else { return Progress::Failed };
        // A flight after the first one seldom signs, and its client has waited once already.
        if !self.answered && !member.may_start_handshake() {
            let reason = format!("{} handshakes wait for a card already", member.suspended());
            self.end(member, &rules::TOO_MANY_HANDSHAKES, reason);
            return Progress::Failed;
        }
        let Phase::Waiting(tls) = std::mem::replace(&mut self.phase, Phase::Ended) else {
            return Progress::Failed;
        };
        let quick = self.answered || context.hello.offers_resumption();
        let flight = Flight::new(tls, std::mem::take(&mut self.wire.input), self.wire.window);
        let step = member.start(context, quick, flight);
        self.take_over(member, step)
    }

    /// Takes over what a step of a flight leaves.
    fn take_over(&mut self, member: &Member, step: Step) -> Progress {
        match step {
            Step::Pending(pending) => {
                member.count_suspended();
                self.phase = Phase::Suspended(pending);
                Progress::Suspended
            }
            Step::Done(flight) => {
                member.supply_for(&mut self.wire.output, flight.output.len());
                self.land(flight)
            }
            Step::Panicked(payload) => {
                self.fail_panicked(payload.as_ref());
                Progress::Failed
            }
            Step::NoStack(error) => {
                let reason = format!("no stack for the handshake can be had: {error}");
                self.end(member, &rules::TOO_MANY_HANDSHAKES, reason);
                Progress::Failed
            }
        }
    }

    /// Takes over the connection at the end of a flight.
    fn land(&mut self, mut flight: Flight) -> Progress {
        let notes = self.take_notes();
        if let FlightEnd::Failed(error) = &flight.end {
            let error = error.clone();
            if let Some(failure) = notes.failure {
                self.fail_signing(failure);
                return Progress::Failed;
            }
            encode_after_failure(&mut *flight.tls, &mut flight.input, &mut flight.output);
            failure::correct_plaintext_alert(&mut flight.output);
            let mut refusal = match notes.refused_client {
                Some(RefusedClient { refusal, leaf, chain }) => {
                    self.negotiated.client_certificate = leaf.map(Box::new);
                    if let Some((leaf, others)) = chain.split_first() {
                        self.negotiated.refused_chain = judge::path(leaf, others);
                    }
                    refusal
                }
                None => {
                    let modes = self.service.as_deref().map(|service| &*service.modes);
                    failure::refusal(&error, self.hello.as_deref(), modes, self.answered)
                }
            };
            if flight.output.is_empty() {
                refusal.alert_sent = refusal.alert_sent.filter(|_| writes_in_clear(&flight));
                flight.output.extend(refusal.alert_sent.iter().flat_map(|a| alert_record(*a)));
            } else if let Some(alert) = failure::plaintext_alert(&flight.output) {
                refusal.alert_sent = Some(alert);
            }
            self.push_output(&flight.output);
            let outcome = rule_outcome(&refusal);
            self.fail(refusal, outcome);
            return Progress::Failed;
        }
        self.push_output(&flight.output);
        self.wire.input = flight.input;
        self.seen = flight.seen;
        self.wire.window = flight.window;
        if matches!(flight.end, FlightEnd::NeedInput) {
            self.phase = Phase::Waiting(flight.tls);
            return Progress::NeedInput;
        }
        self.note_negotiated(&flight.tls);
        self.handshake_time = self.first_byte.map(|first| first.elapsed());
        self.context = None;
        self.forget_offer();
        self.phase = Phase::Established(flight.tls);
        Progress::Established
    }

    /// Lets go of what only a handshake or a mode asks for, while the connection may be idle.
    fn forget_offer(&mut self) {
        let judged = self.service.as_ref().is_some_and(|service| service.modes.judges());
        if !judged && let Some(hello) = self.hello.as_mut().and_then(Arc::get_mut) {
            hello.forget_lists();
        }
    }

    /// Moves what the flight left in the context to the connection; the rest is returned.
    fn take_notes(&mut self) -> Notes {
        let Some(context) = self.context.as_deref() else { return Notes::default() };
        let mut notes = std::mem::take(&mut *context.notes());
        let negotiated = &mut self.negotiated;
        if let Some(scheme) = notes.scheme {
            negotiated.scheme = Some(u16::from(scheme));
            negotiated.signature_scheme = Some(known(iana::scheme_name(u16::from(scheme))));
        }
        if let Some(certificate) = notes.certificate.take() {
            negotiated.certificate = Some(certificate);
        }
        if let Some(operation) = notes.key_operation.take() {
            negotiated.key_operation = Some(operation);
        }
        notes
    }

    /// No signature: rustls has queued a ServerHello that must not be sent and would send no alert
    /// by itself. The client has seen nothing of this flight, so an alert in clear is in place.
    fn fail_signing(&mut self, failure: SigningFailure) {
        let SigningFailure(icsf) = failure;
        let mut refusal = rules::SIGNING_FAILED.refusal(icsf.to_string());
        if let Some(code) = icsf.code() {
            refusal.hint = code.action.into();
        }
        refusal.icsf = Some(icsf);
        self.refuse(refusal);
    }

    /// Ends a suspended flight and takes its stack back.
    pub(super) fn cancel_flight(&mut self, member: &Member) {
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Suspended(pending) => {
                member.count_resumed();
                pending.cancel(member);
                // What the signer noted about its own end is not the reason of ours, and what it
                // was about to present was never presented.
                if let Some(context) = self.context.as_deref() {
                    drop(std::mem::take(&mut *context.notes()));
                }
            }
            other => self.phase = other,
        }
    }

    pub(super) fn fail_panicked(&mut self, payload: &(dyn Any + Send)) {
        let refusal = match provider::escaped(payload) {
            Some(icsf) => {
                let mut refusal = rules::CRYPTO_FAILED.refusal(icsf.to_string());
                refusal.icsf = Some(icsf);
                refusal
            }
            None => rules::INTERNAL_ERROR.refusal(panic_text(payload)),
        };
        if self.handshake_time.is_none() {
            self.refuse(refusal);
        } else {
            let outcome = rule_outcome(&refusal);
            self.fail(refusal, outcome);
        }
    }
}

/// Whether an alert can be sent where rustls has queued none, which it does not for every error.
/// In a full handshake of TLS 1.2 our side is encrypted from the flight on that completes it.
fn writes_in_clear(flight: &Flight) -> bool {
    let full = [HandshakeKind::Full, HandshakeKind::FullWithHelloRetryRequest];
    flight.tls.protocol_version() == Some(ProtocolVersion::TLSv1_2)
        && flight.tls.handshake_kind().is_some_and(|kind| full.contains(&kind))
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("a panic was contained: {}", text.unwrap_or("no text"))
}

/// What makes a hello useless for a service before rustls needs to see it.
fn unsuitable(hello: &ClientHello, service: &Service) -> Option<Refusal> {
    let common13 = service.tls13 && hello.offers_version(iana::TLS13);
    let common12 = service.tls12 && hello.offers_version(iana::TLS12);
    if !common13 && !common12 {
        if let Some((rule, reason)) = service.modes.refuses(hello) {
            return Some(rule.rule().refusal(reason));
        }
        let served = match (service.tls12, service.tls13) {
            (true, false) => "TLS 1.2 only",
            (false, true) => "TLS 1.3 only",
            _ => "TLS 1.2 and TLS 1.3",
        };
        return Some(rules::PROTOCOL_TOO_OLD.refusal(format!(
            "the client offers {}; the service speaks {served}",
            hello.offer().versions.join(", ")
        )));
    }
    // RFC 7507 §3: a client that fell back although we speak something newer is being attacked,
    // or something on the way is broken.
    if hello.fallback_scsv && service.tls13 && !common13 {
        return Some(
            rules::INAPPROPRIATE_FALLBACK
                .refusal("the client fell back to TLS 1.2 although this service speaks TLS 1.3"),
        );
    }
    None
}
