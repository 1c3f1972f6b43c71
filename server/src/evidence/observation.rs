//! One connection as evidence sees it: from a record of this process, or from a line of its log.
//!
//! Purpose: both ways lead to the same value, so that a daemon and its log files give the same
//! report. A log may have been written by an older version (fields are missing) or have been
//! tampered with (fields are of any length): every field is optional but time, and texts are cut
//! and made printable ([`shortened`]) before anything is kept.
//!
//! Invariant: [`Observation::of`] and [`read`] of the line that `observe::json` writes of the same
//! record are equal.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use engine::compliance::AuditVerdict;
use engine::record::{Outcome, Record};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::codes;
use crate::observe::escape::shortened;
use crate::observe::json;
use crate::observe::time::parse_rfc3339;

/// Suites, groups and schemes kept of an offer, each. Stock clients offer at most 60 suites.
pub const OFFER_MAX: usize = 128;

/// Modes that a record is read for.
const AUDITS_MAX: usize = 8;

/// Missing items kept of each.
const MISSING_MAX: usize = 8;

/// What a client offered, as numbers of the IANA registries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Offer {
    /// Protocol versions.
    pub versions: Vec<u16>,
    /// Cipher suites in the client's order.
    pub suites: Vec<u16>,
    /// Named groups.
    pub groups: Vec<u16>,
    /// Signature schemes.
    pub schemes: Vec<u16>,
    /// Whether it was longer than what is kept, or had a name that we do not know.
    pub cut: bool,
}

/// The certificate a client has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown<'a> {
    /// Subject, as in RFC 4514.
    pub subject: Cow<'a, str>,
    /// Type and size of its key.
    pub key: Cow<'a, str>,
}

/// What a mode that was only watched would have said.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Audit {
    /// The mode.
    pub mode: String,
    /// The first rule that the connection breaks; empty if it breaks none.
    #[serde(default)]
    pub rule: String,
    /// Whether what the client offers and shows would do.
    pub offer_could: bool,
    /// What would not.
    #[serde(default)]
    pub missing: Vec<String>,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation<'a> {
    /// When it was accepted.
    pub time: SystemTime,
    /// What became of it, in the word of the log.
    pub outcome: Cow<'a, str>,
    /// Whether the handshake was complete.
    pub established: bool,
    /// Whether its service is one without TLS.
    pub in_clear: bool,
    /// Service; empty before one was chosen, as all texts below are where nothing is known.
    pub service: Cow<'a, str>,
    /// Address of the client, without its port.
    pub peer: Option<IpAddr>,
    /// Server name the client asked for.
    pub sni: Cow<'a, str>,
    /// Protocol version, e.g. `TLSv1.3`.
    pub version: Cow<'a, str>,
    /// Cipher suite, IANA name.
    pub suite: Cow<'a, str>,
    /// Key exchange group.
    pub group: Cow<'a, str>,
    /// Scheme of our signature.
    pub scheme: Cow<'a, str>,
    /// Whether the session was resumed.
    pub resumed: bool,
    /// Type and size of our certificate's key.
    pub key: Cow<'a, str>,
    /// The client's certificate.
    pub client: Option<Shown<'a>>,
    /// Plaintext bytes from the client.
    pub bytes_in: u64,
    /// Plaintext bytes to the client.
    pub bytes_out: u64,
    /// Rule that refused or ended it.
    pub rule: Cow<'a, str>,
    /// The rule's reason in this case.
    pub reason: Cow<'a, str>,
    /// Alert that was sent.
    pub alert_sent: Option<u8>,
    /// What the client offered.
    pub offer: Option<Offer>,
    /// Modes that were on, `fips-140-2+nist-800-131a`.
    pub modes: Cow<'a, str>,
    /// Their verdict.
    pub verdict: Cow<'a, str>,
    /// What modes that were only watched would have said.
    pub audit: Vec<Audit>,
}

impl<'a> Observation<'a> {
    /// What a record of this process says.
    #[must_use]
    pub fn of(record: &'a Record) -> Self {
        let text = |text: Option<&'a str>| text.map_or(Cow::Borrowed(""), shortened);
        let refusal = record.refusal.as_ref();
        Self {
            // As the log has it: whole milliseconds.
            time: whole_millis(record.time),
            outcome: Cow::Borrowed(json::outcome(record.outcome)),
            established: record.handshake.is_some(),
            in_clear: record.in_clear,
            service: text(record.service.as_deref()),
            peer: record.peer.map(|peer| peer.ip().to_canonical()),
            sni: text(record.sni.as_deref()),
            version: text(record.version),
            suite: text(record.suite),
            group: text(record.group),
            scheme: text(record.signature_scheme),
            resumed: record.version.is_some() && record.resumed,
            key: text(record.certificate_key.as_deref()),
            client: record.client_certificate.as_ref().map(|certificate| Shown {
                subject: shortened(&certificate.subject),
                key: shortened(&certificate.key),
            }),
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            rule: text(refusal.map(|refusal| refusal.rule)),
            reason: refusal.map_or_else(Cow::default, |it| shortened(&it.reason)),
            alert_sent: refusal.and_then(|refusal| refusal.alert_sent).map(|alert| alert.0),
            offer: record.offer.as_ref().map(|offer| {
                let lists = [&offer.versions, &offer.suites, &offer.groups];
                offer_of(lists.map(Vec::as_slice), &offer.signature_schemes)
            }),
            modes: text(record.verdict.as_ref().map(|verdict| verdict.modes.as_str())),
            verdict: text(record.verdict.as_ref().map(|verdict| verdict.verdict.word())),
            audit: record.audit.iter().take(AUDITS_MAX).map(audit).collect(),
        }
    }

    /// Whether it never was TLS: clients of a service without it, scanners, plain HTTP, and checks
    /// of load balancers, which connect and leave.
    #[must_use]
    pub fn is_noise(&self) -> bool {
        let left = self.outcome == json::outcome(Outcome::Abandoned);
        self.in_clear
            || self.outcome == json::outcome(Outcome::Noise)
            || (left && !self.established && self.offer.is_none())
    }
}

fn audit(verdict: &AuditVerdict) -> Audit {
    let AuditVerdict { mode, rule, offer_could, missing, .. } = verdict;
    let audit = Audit {
        mode: mode.name().to_owned(),
        rule: rule.map_or_else(String::new, |rule| rule.to_string()),
        offer_could: *offer_could,
        missing: missing.clone(),
    };
    bounded_audit(audit)
}

fn bounded_audit(audit: Audit) -> Audit {
    let own = |text: String| shortened(&text).into_owned();
    Audit {
        mode: own(audit.mode),
        rule: own(audit.rule),
        offer_could: audit.offer_could,
        missing: audit.missing.into_iter().take(MISSING_MAX).map(own).collect(),
    }
}

fn whole_millis(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let finer = u64::from(since.subsec_nanos() % 1_000_000);
    time.checked_sub(std::time::Duration::from_nanos(finer)).unwrap_or(time)
}

fn offer_of(lists: [&[Cow<'_, str>]; 3], schemes: &[Cow<'_, str>]) -> Offer {
    let mut cut = false;
    let mut numbers = |names: &[Cow<'_, str>], number: fn(&str) -> Option<u16>| {
        cut |= names.len() > OFFER_MAX;
        let known = names.iter().take(OFFER_MAX).filter_map(|name| {
            let found = number(name);
            cut |= found.is_none();
            found
        });
        known.collect::<Vec<u16>>()
    };
    let [versions, suites, groups] = lists;
    let versions = numbers(versions, codes::version);
    let suites = numbers(suites, codes::suite);
    let groups = numbers(groups, codes::group);
    let schemes = numbers(schemes, codes::scheme);
    Offer { versions, suites, groups, schemes, cut }
}

/// What a line of a log is.
#[derive(Debug, Clone, PartialEq)]
pub enum Line<'a> {
    /// A connection.
    Connection(Box<Observation<'a>>),
    /// An event of the daemon; how many records it says were lost.
    Event {
        /// `lost` of a `log-lost`, else 0.
        lost: u64,
    },
    /// JSON, but no line of ours.
    Foreign(String),
    /// The rest of a JSON object, cut off or overwritten.
    Damaged(String),
    /// No JSON object at all; text format, as a rule.
    Text,
}

/// Reads one line, without its end.
#[must_use]
pub fn read(line: &[u8]) -> Line<'_> {
    if line.trim_ascii_start().first() != Some(&b'{') {
        return Line::Text;
    }
    let raw: Raw<'_> = match serde_json::from_slice(line) {
        Ok(raw) => raw,
        Err(error) if error.is_data() => return other_than_connection(line, &error),
        Err(error) => return Line::Damaged(error.to_string()),
    };
    match raw.event.as_ref() {
        "connection" => Line::Connection(Box::new(raw.into())),
        "log-lost" => Line::Event { lost: raw.lost.unwrap_or(0) },
        _ => Line::Event { lost: 0 },
    }
}

/// An event may use the name of a field for something else.
fn other_than_connection<'a>(line: &[u8], error: &serde_json::Error) -> Line<'a> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        event: Cow<'a, str>,
        #[serde(rename = "time", deserialize_with = "moment")]
        _time: SystemTime,
    }
    match serde_json::from_slice::<Named<'_>>(line) {
        Ok(named) if named.event != "connection" => Line::Event { lost: 0 },
        Ok(_) => Line::Damaged(error.to_string()),
        Err(error) => Line::Foreign(error.to_string()),
    }
}

/// The fields of a line as they stand there.
#[derive(Debug, Deserialize)]
struct Raw<'a> {
    #[serde(deserialize_with = "moment")]
    time: SystemTime,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(default)]
    lost: Option<u64>,
    #[serde(default, borrow)]
    outcome: Cow<'a, str>,
    #[serde(default, borrow)]
    service: Cow<'a, str>,
    #[serde(default, deserialize_with = "address")]
    peer: Option<IpAddr>,
    #[serde(default, borrow)]
    sni: Cow<'a, str>,
    #[serde(default, borrow)]
    tls: Cow<'a, str>,
    #[serde(default, borrow, rename = "tls.protocol.version")]
    version: Cow<'a, str>,
    #[serde(default, borrow, rename = "tls.cipher")]
    suite: Cow<'a, str>,
    #[serde(default, borrow, rename = "tls.curve")]
    group: Cow<'a, str>,
    #[serde(default, borrow, rename = "tls.signature_scheme")]
    scheme: Cow<'a, str>,
    #[serde(default, rename = "tls.resumed")]
    resumed: bool,
    #[serde(default, borrow, rename = "certificate.key")]
    key: Cow<'a, str>,
    #[serde(default, borrow, rename = "client.subject")]
    subject: Option<Cow<'a, str>>,
    #[serde(default, borrow, rename = "client.key")]
    client_key: Cow<'a, str>,
    #[serde(default)]
    bytes_in: u64,
    #[serde(default)]
    bytes_out: u64,
    #[serde(default)]
    handshake_ms: Option<f64>,
    #[serde(default, borrow)]
    rule: Cow<'a, str>,
    #[serde(default, borrow)]
    reason: Cow<'a, str>,
    #[serde(default)]
    alert_sent: Option<u8>,
    #[serde(default, borrow)]
    offered: Option<Offered<'a>>,
    #[serde(default, borrow, rename = "mode.names")]
    modes: Cow<'a, str>,
    #[serde(default, borrow, rename = "mode.verdict")]
    verdict: Cow<'a, str>,
    #[serde(default)]
    audit: Vec<Audit>,
}

#[derive(Debug, Deserialize)]
struct Offered<'a> {
    #[serde(default, borrow)]
    versions: Vec<Cow<'a, str>>,
    #[serde(default, borrow)]
    suites: Vec<Cow<'a, str>>,
    #[serde(default, borrow)]
    groups: Vec<Cow<'a, str>>,
    #[serde(default, borrow)]
    signature_schemes: Vec<Cow<'a, str>>,
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    parse_rfc3339(&text).ok_or_else(|| D::Error::custom("`time` is no time of RFC 3339"))
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IpAddr>, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    let address: SocketAddr =
        text.parse().map_err(|_| D::Error::custom("`peer` is no address with port"))?;
    Ok(Some(address.ip().to_canonical()))
}

impl<'a> From<Raw<'a>> for Observation<'a> {
    fn from(raw: Raw<'a>) -> Self {
        Self {
            time: raw.time,
            outcome: bounded(raw.outcome),
            established: raw.handshake_ms.is_some(),
            in_clear: raw.tls == json::NO_TLS,
            service: bounded(raw.service),
            peer: raw.peer,
            sni: bounded(raw.sni),
            version: bounded(raw.version),
            suite: bounded(raw.suite),
            group: bounded(raw.group),
            scheme: bounded(raw.scheme),
            resumed: raw.resumed,
            key: bounded(raw.key),
            client: raw
                .subject
                .map(|subject| Shown { subject: bounded(subject), key: bounded(raw.client_key) }),
            bytes_in: raw.bytes_in,
            bytes_out: raw.bytes_out,
            rule: bounded(raw.rule),
            reason: bounded(raw.reason),
            alert_sent: raw.alert_sent,
            offer: raw.offered.map(|offered| {
                let lists = [&offered.versions, &offered.suites, &offered.groups];
                offer_of(lists.map(Vec::as_slice), &offered.signature_schemes)
            }),
            modes: bounded(raw.modes),
            verdict: bounded(raw.verdict),
            audit: raw.audit.into_iter().take(AUDITS_MAX).map(bounded_audit).collect(),
        }
    }
}

/// Our own log is printable and short already; a line that somebody forged need not be.
fn bounded(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => shortened(text),
        Cow::Owned(text) => Cow::Owned(shortened(&text).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use engine::certs::ClientCertificate;
    use engine::iana;

    use super::{Line, OFFER_MAX, Observation, read};
    use crate::observe::json;
    use crate::observe::json::tests::{completed, refused};

    #[test]
    fn a_record_and_its_line_are_the_same_observation() {
        let mut with_client = completed();
        with_client.time += Duration::from_nanos(1_999_999);
        with_client.client_certificate = Some(ClientCertificate {
            subject: format!("CN={}\\2C x", "y".repeat(500)),
            issuer: "CN=ca".into(),
            serial: "1".into(),
            fingerprint_sha256: String::new(),
            key: "EC P-256".into(),
            not_after: SystemTime::UNIX_EPOCH,
            der: Arc::from([]),
            common_name: None,
            verified: true,
        });
        let mut odd = refused();
        odd.peer = Some("[::ffff:192.0.2.9]:1".parse().unwrap());
        if let Some(refusal) = &mut odd.refusal {
            refusal.reason = "line\nbreak \u{202e}".into();
        }
        let mut plain = completed();
        (plain.in_clear, plain.handshake, plain.version) = (true, None, None);
        assert!(Observation::of(&plain).is_noise());
        for record in [completed(), refused(), with_client, odd, plain] {
            let line = json::record(&record).unwrap();
            let read = read(line.as_bytes());
            assert_eq!(read, Line::Connection(Box::new(Observation::of(&record))), "{line}");
        }
    }

    #[test]
    fn an_offer_is_kept_as_numbers_up_to_a_limit() {
        let mut record = refused();
        let Some(offer) = &mut record.offer else { panic!("no offer") };
        offer.groups = vec!["x25519".into(), "0x2A2B".into()];
        let kept = Observation::of(&record).offer.unwrap();
        assert_eq!((kept.versions, kept.suites), (vec![iana::TLS12], vec![5]));
        assert_eq!((kept.groups, kept.cut), (vec![0x1D, 0x2A2B], false));
        let Some(offer) = &mut record.offer else { panic!("no offer") };
        offer.suites = vec!["TLS_AES_128_GCM_SHA256".into(); OFFER_MAX + 1];
        let kept = Observation::of(&record).offer.unwrap();
        assert_eq!((kept.suites.len(), kept.cut), (OFFER_MAX, true));
    }

    #[test]
    fn lines_that_are_no_connection_are_told_apart() {
        let lost = r#"{"time":"2026-11-21T00:00:00Z","event":"log-lost","lost":7}"#;
        assert_eq!(read(lost.as_bytes()), Line::Event { lost: 7 });
        // A field of another type than a connection's.
        let event = r#"{"time":"2026-11-21T00:00:00Z","event":"x","peer":[1]}"#;
        assert_eq!(read(event.as_bytes()), Line::Event { lost: 0 });
        assert_eq!(read(b"2026-11-21T00:00:00.000Z #1 completed a"), Line::Text);
        assert_eq!(read(b""), Line::Text);
        assert_eq!(read(&[0xFF; 9]), Line::Text);
        assert!(matches!(read(br#"{"msg":"of somebody else"}"#), Line::Foreign(_)));
        assert!(matches!(read(br#"{"time":"2026-11-21T00:00:00Z","ev"#), Line::Damaged(_)));
        let wrong = r#"{"time":"2026-11-21T00:00:00Z","event":"connection","bytes_in":-1}"#;
        assert!(matches!(read(wrong.as_bytes()), Line::Damaged(_)));
    }

    #[test]
    fn a_forged_line_cannot_drive_a_terminal_or_fill_the_memory() {
        let long = "x".repeat(100_000);
        let forged = r#""event":"connection","sni":"\u001b[2J","service":""#;
        let line = format!("{{\"time\":\"2026-11-21T00:00:00Z\",{forged}{long}\"}}");
        let Line::Connection(seen) = read(line.as_bytes()) else { panic!("no connection") };
        assert!(seen.service.len() < 300, "{}", seen.service.len());
        assert_eq!(seen.sni, "\\u{1b}[2J");
    }
}
