//! Records and events as JSON, one object per line; absent fields are left out.
//!
//! Names: OpenTelemetry's TLS registry (`tls.protocol.version`, `tls.cipher`, `tls.curve`,
//! `tls.resumed`) where it has one, ours otherwise. Units are last in a name. Return and reason
//! codes are hexadecimal text, as ICSF prints them and as `adjunct explain` takes them.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use engine::certs::ClientCertificate;
use engine::compliance::{AuditVerdict, ComplianceVerdict, RuleId};
use engine::record::{BackendSession, KeyOperation, KeyPath, Offer, Outcome, Record, Refusal};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::escape::{printable, shortened};
use super::event::{Event, Level};
use super::time::rfc3339;

/// TLS towards the backend.
#[derive(Debug, Serialize)]
struct BackendTls<'a> {
    version: &'a str,
    cipher: &'a str,
    resumed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    curve: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature_scheme: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Cow<'a, str>>,
}

fn backend_tls(session: &BackendSession) -> BackendTls<'_> {
    BackendTls {
        version: &session.version,
        cipher: &session.suite,
        resumed: session.resumed,
        curve: session.group.as_deref(),
        signature_scheme: session.signature_scheme.as_deref(),
        subject: session.subject.as_deref().map(shortened),
    }
}

/// One connection; see [`record`].
#[derive(Debug, Serialize)]
struct Connection<'a> {
    time: String,
    level: Level,
    event: &'static str,
    conn_id: u64,
    member: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxied_by: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend_tls: Option<BackendTls<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sni: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpn: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<&'static str>,
    #[serde(rename = "tls.protocol.version", skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(rename = "tls.cipher", skip_serializing_if = "Option::is_none")]
    cipher: Option<&'static str>,
    #[serde(rename = "tls.curve", skip_serializing_if = "Option::is_none")]
    curve: Option<&'static str>,
    #[serde(rename = "tls.signature_scheme", skip_serializing_if = "Option::is_none")]
    signature_scheme: Option<&'static str>,
    #[serde(rename = "tls.resumed", skip_serializing_if = "Option::is_none")]
    resumed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<&'a str>,
    #[serde(rename = "certificate.key", skip_serializing_if = "Option::is_none")]
    certificate_key: Option<&'a str>,
    #[serde(flatten)]
    client: Option<Client<'a>>,
    bytes_in: u64,
    bytes_out: u64,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshake_cpu_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_op: Option<KeyOp<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crypto_path: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close_by: Option<&'static str>,
    #[serde(flatten)]
    refusal: Option<Failure<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offered: Option<Offered<'a>>,
    #[serde(flatten)]
    mode: Option<Mode<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    audit: Vec<Audit<'a>>,
}

/// What `tls` says of a connection to a service without it.
pub const NO_TLS: &str = "off";

/// What the modes that hold say.
#[derive(Debug, Serialize)]
struct Mode<'a> {
    #[serde(rename = "mode.names")]
    names: &'a str,
    #[serde(rename = "mode.verdict")]
    verdict: &'static str,
    #[serde(rename = "mode.rule", skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    #[serde(rename = "mode.policy")]
    policy: &'a str,
    #[serde(rename = "mode.note")]
    note: &'static str,
}

/// What a mode that is only watched would have said.
#[derive(Debug, Serialize)]
struct Audit<'a> {
    mode: &'static str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    offer_could: bool,
    missing: &'a [String],
}

#[derive(Debug, Serialize)]
struct Client<'a> {
    #[serde(rename = "client.subject")]
    subject: &'a str,
    #[serde(rename = "client.issuer")]
    issuer: &'a str,
    #[serde(rename = "client.serial")]
    serial: &'a str,
    #[serde(rename = "client.fingerprint_sha256")]
    fingerprint: &'a str,
    #[serde(rename = "client.key")]
    key: &'a str,
    #[serde(rename = "client.verified")]
    verified: bool,
}

#[derive(Debug, Serialize)]
struct KeyOp<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    apqn: Option<&'a str>,
    queue_us: f64,
    service_us: f64,
    card_cpu_us: f64,
    tries: u8,
}

#[derive(Debug, Serialize)]
struct Failure<'a> {
    fault: &'static str,
    rule: &'static str,
    reason: Cow<'a, str>,
    hint: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callable_service: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rsn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gsk: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert_sent: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert_received: Option<u8>,
}

#[derive(Debug, Serialize)]
struct Offered<'a> {
    versions: &'a [Cow<'static, str>],
    suites: &'a [Cow<'static, str>],
    groups: &'a [Cow<'static, str>],
    signature_schemes: &'a [Cow<'static, str>],
    alpn: Vec<Cow<'a, str>>,
}

/// The record as one line without its end.
///
/// # Errors
/// None is known: the record holds nothing that JSON cannot express.
pub fn record(record: &Record) -> serde_json::Result<String> {
    let refusal = record.refusal.as_ref();
    serde_json::to_string(&Connection {
        time: rfc3339(record.time),
        level: Level::of_record(record),
        event: "connection",
        conn_id: record.conn_id,
        member: &record.member,
        outcome: outcome(record.outcome),
        service: record.service.as_deref(),
        peer: record.peer,
        proxied_by: record.proxied_by,
        local: record.local,
        backend: record.backend.as_deref(),
        backend_tls: record.backend_session.as_ref().map(backend_tls),
        sni: record.sni.as_deref().map(shortened),
        alpn: record.alpn.as_deref().map(shortened),
        tls: record.in_clear.then_some(NO_TLS),
        version: record.version,
        cipher: record.suite,
        curve: record.group,
        signature_scheme: record.signature_scheme,
        // Says nothing before a version was agreed.
        resumed: record.version.map(|_| record.resumed),
        certificate: record.certificate.as_deref(),
        certificate_key: record.certificate_key.as_deref(),
        client: record.client_certificate.as_ref().map(client),
        bytes_in: record.bytes_in,
        bytes_out: record.bytes_out,
        duration_ms: millis(record.duration),
        handshake_ms: record.handshake.map(millis),
        handshake_cpu_us: record.handshake_cpu.map(micros),
        key_op: record.key_operation.as_ref().map(key_op),
        crypto_path: record.key_operation.as_ref().map(|op| path(op.path)),
        close_by: record.close_by,
        refusal: refusal.map(failure),
        offered: record.offer.as_ref().map(offered),
        mode: record.verdict.as_ref().map(mode),
        audit: record.audit.iter().map(audit).collect(),
    })
}

fn mode(verdict: &ComplianceVerdict) -> Mode<'_> {
    Mode {
        names: &verdict.modes,
        verdict: verdict.verdict.word(),
        rule: verdict.rule.map(RuleId::as_str),
        policy: &verdict.policy,
        note: verdict.note,
    }
}

fn audit(verdict: &AuditVerdict) -> Audit<'_> {
    Audit {
        mode: verdict.mode.name(),
        verdict: verdict.verdict.word(),
        rule: verdict.rule.map(RuleId::as_str),
        offer_could: verdict.offer_could,
        missing: &verdict.missing,
    }
}

fn client(certificate: &ClientCertificate) -> Client<'_> {
    Client {
        // The engine has escaped them, in the way of RFC 4514, which a reader can take apart again.
        subject: &certificate.subject,
        issuer: &certificate.issuer,
        serial: &certificate.serial,
        fingerprint: &certificate.fingerprint_sha256,
        key: &certificate.key,
        verified: certificate.verified,
    }
}

/// The event as one line without its end.
///
/// # Errors
/// None is known.
pub fn event(event: &Event) -> serde_json::Result<String> {
    struct Line<'a>(&'a Event);
    impl Serialize for Line<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry("time", &rfc3339(self.0.time))?;
            map.serialize_entry("level", &self.0.level)?;
            map.serialize_entry("event", self.0.name)?;
            map.serialize_entry("message", &self.0.message)?;
            for (name, value) in &self.0.fields {
                map.serialize_entry(name, value)?;
            }
            map.end()
        }
    }
    serde_json::to_string(&Line(event))
}

/// `completed`, `refused`, ...
#[must_use]
pub const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Refused => "refused",
        Outcome::Aborted => "aborted",
        Outcome::Abandoned => "abandoned",
        Outcome::Noise => "noise",
    }
}

/// `cex`, `cpacf` or `software`.
#[must_use]
pub const fn path(path: KeyPath) -> &'static str {
    match path {
        KeyPath::Cex => "cex",
        KeyPath::Cpacf => "cpacf",
        KeyPath::Software => "software",
    }
}

fn key_op(op: &KeyOperation) -> KeyOp<'_> {
    KeyOp {
        apqn: op.apqn.as_deref(),
        queue_us: micros(op.queue),
        service_us: micros(op.service),
        card_cpu_us: micros(op.card_cpu),
        tries: op.tries,
    }
}

fn failure(refusal: &Refusal) -> Failure<'_> {
    let icsf = refusal.icsf.as_ref();
    Failure {
        fault: refusal.fault,
        rule: refusal.rule,
        reason: printable(&refusal.reason),
        hint: printable(&refusal.hint),
        callable_service: icsf.map(|failure| failure.service),
        rc: icsf.map(|failure| format!("{:#x}", failure.return_code.0)),
        rsn: icsf.map(|failure| format!("{:#x}", failure.reason_code.0)),
        gsk: refusal.gsk.map(|code| code.0),
        alert_sent: refusal.alert_sent.map(|alert| alert.0),
        alert_received: refusal.alert_received.map(|alert| alert.0),
    }
}

fn offered(offer: &Offer) -> Offered<'_> {
    Offered {
        versions: &offer.versions,
        suites: &offer.suites,
        groups: &offer.groups,
        signature_schemes: &offer.signature_schemes,
        alpn: offer.alpn.iter().map(|name| shortened(name)).collect(),
    }
}

/// Milliseconds with three decimals.
pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Microseconds with one decimal.
pub(super) fn micros(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e7).round() / 10.0
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use engine::alert::Alert;
    use engine::compliance::{AuditVerdict, ComplianceVerdict, Kind, Mode, NOTE, RuleId, Verdict};
    use engine::gsk::GskCode;
    use engine::icsf::{ReasonCode, ReturnCode, ServiceFailure};
    use engine::record::{BackendSession, KeyOperation, KeyPath, Offer, Outcome, Record, Refusal};
    use serde_json::{Value, json};

    use super::super::event::{Event, Level};

    pub(crate) fn completed() -> Record {
        let mut record = Record::new(17, "ADJ00001", UNIX_EPOCH + Duration::from_millis(1500));
        record.service = Some("tn3270".into());
        record.peer = Some("192.0.2.7:51000".parse().unwrap());
        record.proxied_by = Some("192.0.2.3:4711".parse().unwrap());
        record.local = Some("192.0.2.1:992".parse().unwrap());
        record.backend = Some("127.0.0.1:23".into());
        record.backend_session = Some(BackendSession {
            version: "TLSv1.2".into(),
            suite: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".into(),
            resumed: false,
            group: Some("secp256r1".into()),
            signature_scheme: Some("rsa_pss_rsae_sha256".into()),
            subject: Some("CN=mq".into()),
            verdict: None,
        });
        record.version = Some("TLSv1.3");
        record.suite = Some("TLS_AES_256_GCM_SHA384");
        record.group = Some("X25519MLKEM768");
        record.signature_scheme = Some("rsa_pss_rsae_sha256");
        record.certificate = Some("/etc/a.pem".into());
        record.certificate_key = Some("RSA 2048".into());
        record.sni = Some("tn\n.example".into());
        record.bytes_in = 12;
        record.duration = Duration::from_micros(20_125);
        record.handshake = Some(Duration::from_micros(3_200));
        record.handshake_cpu = Some(Duration::from_nanos(812_340));
        record.key_operation = Some(KeyOperation {
            path: KeyPath::Cex,
            apqn: Some("00.0006".into()),
            queue: Duration::from_micros(12),
            service: Duration::from_micros(730),
            card_cpu: Duration::from_micros(720),
            tries: 1,
        });
        record.close_by = Some("client");
        record.verdict = Some(ComplianceVerdict {
            modes: "nist-800-131a".into(),
            verdict: Verdict::NotApproved,
            rule: Some(RuleId::new(Mode::Nist800131a, Kind::Group)),
            policy: "0123456789abcdef".into(),
            note: NOTE,
        });
        record.audit = vec![AuditVerdict {
            mode: Mode::Fips1403,
            verdict: Verdict::Approved,
            rule: None,
            offer_could: true,
            missing: Vec::new(),
        }];
        record
    }

    pub(crate) fn refused() -> Record {
        let mut record = Record::new(18, "ADJ00001", UNIX_EPOCH);
        record.outcome = Outcome::Refused;
        record.refusal = Some(Refusal {
            fault: "peer",
            rule: "no-common-cipher",
            reason: "no cipher suite in common".into(),
            hint: "the client offers RC4 only".into(),
            gsk: Some(GskCode(402)),
            icsf: Some(ServiceFailure {
                service: "CSFPPKS",
                return_code: ReturnCode(8),
                reason_code: ReasonCode(0x2b00),
            }),
            alert_sent: Some(Alert(40)),
            alert_received: None,
        });
        record.offer = Some(Offer {
            versions: vec!["TLSv1.2".into()],
            suites: vec!["TLS_RSA_WITH_RC4_128_SHA".into()],
            alpn: vec!["h2\u{1b}".into()],
            ..Offer::default()
        });
        record
    }

    #[test]
    fn a_completed_connection_has_these_fields_and_no_others() {
        let line = super::record(&completed()).unwrap();
        assert!(!line.contains('\n'));
        assert!(line.starts_with("{\"time\":\"1970-01-01T00:00:01.500Z\",\"level\":\"info\""));
        let value: Value = serde_json::from_str(&line).unwrap();
        let expected = json!({
            "time": "1970-01-01T00:00:01.500Z", "level": "info", "event": "connection",
            "conn_id": 17, "member": "ADJ00001", "outcome": "completed", "service": "tn3270",
            "peer": "192.0.2.7:51000", "proxied_by": "192.0.2.3:4711",
            "local": "192.0.2.1:992", "backend": "127.0.0.1:23",
            "backend_tls": { "version": "TLSv1.2", "resumed": false, "subject": "CN=mq",
                             "curve": "secp256r1", "signature_scheme": "rsa_pss_rsae_sha256",
                             "cipher": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" },
            "sni": "tn\\u{a}.example", "tls.protocol.version": "TLSv1.3",
            "tls.cipher": "TLS_AES_256_GCM_SHA384", "tls.curve": "X25519MLKEM768",
            "tls.signature_scheme": "rsa_pss_rsae_sha256", "tls.resumed": false,
            "certificate": "/etc/a.pem", "certificate.key": "RSA 2048",
            "bytes_in": 12, "bytes_out": 0, "duration_ms": 20.125, "handshake_ms": 3.2,
            "handshake_cpu_us": 812.3, "crypto_path": "cex", "close_by": "client",
            "key_op": { "apqn": "00.0006", "queue_us": 12.0, "service_us": 730.0,
                        "card_cpu_us": 720.0, "tries": 1 },
            "mode.names": "nist-800-131a", "mode.verdict": "not-approved",
            "mode.rule": "nist-800-131a/group", "mode.policy": "0123456789abcdef",
            "mode.note": "approved algorithm, implementation not validated",
            "audit": [{ "mode": "fips-140-3", "verdict": "approved", "offer_could": true,
                        "missing": [] }],
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn a_refusal_says_who_why_and_what_was_offered() {
        let value: Value = serde_json::from_str(&super::record(&refused()).unwrap()).unwrap();
        assert_eq!(value["level"], "warn");
        assert_eq!(value["rule"], "no-common-cipher");
        assert_eq!((&value["rc"], &value["rsn"]), (&json!("0x8"), &json!("0x2b00")));
        assert_eq!(value["gsk"], 402);
        assert_eq!(value["alert_sent"], 40);
        assert_eq!(value["offered"]["suites"][0], "TLS_RSA_WITH_RC4_128_SHA");
        assert_eq!(value["offered"]["alpn"][0], "h2\\u{1b}");
        assert!(value.get("alert_received").is_none() && value.get("tls.resumed").is_none());
    }

    #[test]
    fn the_reference_page_names_every_field() {
        let page = include_str!("../../docs/reference/log.md");
        let plain = Record { in_clear: true, ..completed() };
        for record in [completed(), refused(), plain] {
            let value: Value = serde_json::from_str(&super::record(&record).unwrap()).unwrap();
            for field in value.as_object().unwrap().keys() {
                assert!(page.contains(&format!("`{field}`")), "{field}");
            }
        }
    }

    #[test]
    fn the_fault_class_decides_the_level() {
        let mut record = refused();
        record.outcome = Outcome::Noise;
        assert_eq!(Level::of_record(&record), Level::Debug);
        if let Some(refusal) = &mut record.refusal {
            refusal.fault = "device";
        }
        assert_eq!(Level::of_record(&record), Level::Error);
    }

    #[test]
    fn events_keep_the_order_of_their_fields() {
        let mut event = Event::new(Level::Info, "listening", "on 0.0.0.0:992").with("zz", 1);
        event = event.with("aa", "x");
        event.time = UNIX_EPOCH;
        assert_eq!(
            super::event(&event).unwrap(),
            "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\",\"event\":\"listening\",\
             \"message\":\"on 0.0.0.0:992\",\"zz\":1,\"aa\":\"x\"}"
        );
    }
}
