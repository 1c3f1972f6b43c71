//! Records and events for a reader at a terminal: a first line with what happened, then one aligned
//! line per subject.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::Duration;

use engine::compliance::{AuditVerdict, ComplianceVerdict};
use engine::record::{KeyPath, Offer, Record, Refusal};

use super::escape::{printable, shortened};
use super::event::{Event, Level};
use super::json;
use super::time::rfc3339;
use crate::config::schema::ColorChoice;

/// Suites, groups and schemes shown of an offer; JSON has them all.
const SHOWN: usize = 8;

/// Whether lines are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Color {
    /// Plain text.
    #[default]
    Off,
    /// ANSI colours.
    On,
}

impl Color {
    /// What was asked for; if that is left to us, colour on a terminal unless `NO_COLOR` is set.
    #[must_use]
    pub fn choose(choice: ColorChoice, stream: &impl IsTerminal) -> Self {
        let wanted = || std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        match choice {
            ColorChoice::Always => Self::On,
            ColorChoice::Never => Self::Off,
            ColorChoice::Auto if stream.is_terminal() && wanted() => Self::On,
            ColorChoice::Auto => Self::Off,
        }
    }

    fn paint(self, level: Level, text: &str) -> String {
        let code = match level {
            Level::Debug => "2",
            Level::Info => "32",
            Level::Warn => "33",
            Level::Error => "31",
        };
        match self {
            Self::Off => text.to_owned(),
            Self::On => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

/// The record as several lines, the last one with its end.
#[must_use]
pub fn record(record: &Record, color: Color) -> String {
    let mut out = String::with_capacity(512);
    let outcome = json::outcome(record.outcome);
    // Writing to a String does not fail, here and below.
    let _ = writeln!(
        out,
        "{} #{} {} {}{}",
        rfc3339(record.time),
        record.conn_id,
        color.paint(Level::of_record(record), outcome),
        record.service.as_deref().unwrap_or("-"),
        way(record),
    );
    line(&mut out, "tls", &tls(record));
    line(&mut out, "name", &name(record));
    line(&mut out, "client", &client(record));
    line(&mut out, "backend", &backend(record));
    line(&mut out, "key", &key(record));
    line(&mut out, "time", &times(record));
    let closed = record.close_by.map(|who| format!(", closed by {who}")).unwrap_or_default();
    line(&mut out, "bytes", &format!("in {}, out {}{closed}", record.bytes_in, record.bytes_out));
    if let Some(refusal) = &record.refusal {
        why(&mut out, refusal);
    }
    modes(&mut out, record);
    if let Some(offer) = &record.offer {
        offered(&mut out, offer);
    }
    out
}

/// The event as one line with its end.
#[must_use]
pub fn event(event: &Event, color: Color) -> String {
    let name = color.paint(event.level, event.name);
    let mut out = format!("{} {name} {}", rfc3339(event.time), printable(&event.message));
    for (name, value) in &event.fields {
        let _ = write!(out, " {name}={}", printable(&value.to_string()));
    }
    out.push('\n');
    out
}

fn line(out: &mut String, subject: &str, text: &str) {
    if !text.is_empty() {
        let _ = writeln!(out, "    {subject:<9}{text}");
    }
}

/// Client, local address and backend, as far as they are known.
fn way(record: &Record) -> String {
    let mut way = String::new();
    if let Some(peer) = record.peer {
        let _ = write!(way, "  {peer}");
    }
    if let Some(proxy) = record.proxied_by {
        let _ = write!(way, " via {proxy}");
    }
    if let Some(local) = record.local {
        let _ = write!(way, " -> {local}");
    }
    if let Some(backend) = &record.backend {
        let _ = write!(way, " -> {backend}");
    }
    way
}

fn tls(record: &Record) -> String {
    if record.in_clear {
        return json::NO_TLS.to_owned();
    }
    let parts = [record.version, record.suite, record.group, record.signature_scheme];
    let mut words: Vec<&str> = parts.into_iter().flatten().collect();
    if record.version.is_some() {
        words.push(if record.resumed { "resumed" } else { "full handshake" });
    }
    words.join(", ")
}

fn name(record: &Record) -> String {
    let parts = [
        record.sni.as_deref().map(|sni| format!("sni {}", shortened(sni))),
        record.alpn.as_deref().map(|alpn| format!("alpn {}", shortened(alpn))),
        record.certificate.as_deref().map(|label| format!("certificate {label}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn backend(record: &Record) -> String {
    let Some(session) = &record.backend_session else { return String::new() };
    let kind = if session.resumed { "resumed" } else { "full handshake" };
    let subject = session.subject.as_deref().map(|name| format!(", {}", shortened(name)));
    let group = session.group.as_deref().map(|name| format!(", {name}")).unwrap_or_default();
    let scheme = session.signature_scheme.as_deref().map(|name| format!(", {name}"));
    format!(
        "{}, {}{group}{}, {kind}{}",
        session.version,
        session.suite,
        scheme.unwrap_or_default(),
        subject.unwrap_or_default()
    )
}

fn client(record: &Record) -> String {
    let Some(certificate) = &record.client_certificate else { return String::new() };
    format!(
        "{}, issued by {}, serial {}{}",
        certificate.subject,
        certificate.issuer,
        certificate.serial,
        if certificate.verified { "" } else { ", not accepted" },
    )
}

fn key(record: &Record) -> String {
    let Some(op) = &record.key_operation else { return String::new() };
    let place = match (op.path, &op.apqn) {
        (KeyPath::Cex, Some(apqn)) => format!("card {apqn} (simulated)"),
        (path, _) => json::path(path).to_owned(),
    };
    let tries = if op.tries == 1 { "try" } else { "tries" };
    format!(
        "{place}, queue {}, service {}, card CPU {}, {} {tries}",
        short(op.queue),
        short(op.service),
        short(op.card_cpu),
        op.tries
    )
}

fn times(record: &Record) -> String {
    let mut text = format!("total {}", short(record.duration));
    if let Some(handshake) = record.handshake {
        let _ = write!(text, ", handshake {}", short(handshake));
    }
    if let Some(cpu) = record.handshake_cpu {
        let _ = write!(text, ", host CPU of the handshake {}", short(cpu));
    }
    text
}

fn why(out: &mut String, refusal: &Refusal) {
    let rule = format!("{} [{}: {}]", printable(&refusal.reason), refusal.fault, refusal.rule);
    line(out, "reason", &rule);
    let icsf = refusal.icsf.as_ref().map(|failure| {
        format!(
            "ICSF service failure: {} retCode = {:#x}, rsnCode = {:#x}",
            failure.service, failure.return_code.0, failure.reason_code.0
        )
    });
    let codes = [
        refusal.gsk.map(|code| format!("GSK {}", code.0)),
        refusal.alert_sent.map(|alert| format!("alert {} sent", alert.0)),
        refusal.alert_received.map(|alert| format!("alert {} received", alert.0)),
        icsf,
    ];
    line(out, "codes", &codes.into_iter().flatten().collect::<Vec<_>>().join(", "));
    line(out, "hint", &printable(&refusal.hint));
}

fn modes(out: &mut String, record: &Record) {
    if let Some(verdict) = &record.verdict {
        let rule = verdict.rule.map(|rule| format!(" by {rule}")).unwrap_or_default();
        let ComplianceVerdict { modes, policy, note, .. } = verdict;
        let word = verdict.verdict.word();
        line(out, "mode", &format!("{modes}: {word}{rule} (policy {policy}; {note})"));
    }
    for AuditVerdict { mode, verdict, rule, offer_could, missing } in &record.audit {
        let rule = rule.map(|rule| format!(" by {rule}")).unwrap_or_default();
        let could = match (offer_could, missing.as_slice()) {
            (true, _) => "; the client's offer would do".to_owned(),
            (false, missing) => format!("; missing: {}", printable(&missing.join("; "))),
        };
        line(out, "audit", &format!("{mode}: {}{rule}{could}", verdict.word()));
    }
}

fn offered(out: &mut String, offer: &Offer) {
    let some = |names: &[std::borrow::Cow<'static, str>]| {
        let mut text = names.iter().take(SHOWN).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
        if names.len() > SHOWN {
            let _ = write!(text, ", and {} more", names.len() - SHOWN);
        }
        text
    };
    let alpn: Vec<_> = offer.alpn.iter().take(SHOWN).map(|name| shortened(name)).collect();
    for (what, text) in [
        ("versions", some(&offer.versions)),
        ("suites", some(&offer.suites)),
        ("groups", some(&offer.groups)),
        ("schemes", some(&offer.signature_schemes)),
        ("alpn", alpn.join(", ")),
    ] {
        if !text.is_empty() {
            line(out, "offered", &format!("{what}: {text}"));
        }
    }
}

/// A duration with a unit that suits its size.
fn short(duration: Duration) -> String {
    if duration < Duration::from_millis(1) {
        format!("{:.0} us", json::micros(duration))
    } else if duration < Duration::from_secs(1) {
        format!("{:.1} ms", json::millis(duration))
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{Event, Level};
    use super::super::json::tests::{completed, refused};
    use super::{Color, event, record};

    #[test]
    fn a_completed_connection_reads_line_by_line() {
        let text = record(&completed(), Color::Off);
        let expected = "\
1970-01-01T00:00:01.500Z #17 completed tn3270  192.0.2.7:51000 via \
             192.0.2.3:4711 -> 192.0.2.1:992 -> 127.0.0.1:23
    tls      TLSv1.3, TLS_AES_256_GCM_SHA384, X25519MLKEM768, rsa_pss_rsae_sha256, full handshake
    name     sni tn\\u{a}.example, certificate /etc/a.pem
    backend  TLSv1.2, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, secp256r1, rsa_pss_rsae_sha256, \
             full handshake, CN=mq
    key      card 00.0006 (simulated), queue 12 us, service 730 us, card CPU 720 us, 1 try
    time     total 20.1 ms, handshake 3.2 ms, host CPU of the handshake 812 us
    bytes    in 12, out 0, closed by client
    mode     nist-800-131a: not-approved by nist-800-131a/group (policy 0123456789abcdef; \
             approved algorithm, implementation not validated)
    audit    fips-140-3: approved; the client's offer would do
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_refusal_ends_with_what_to_do_and_what_was_offered() {
        let text = record(&refused(), Color::Off);
        assert!(text.contains("reason   no cipher suite in common [peer: no-common-cipher]"));
        assert!(
            text.contains("GSK 402, alert 40 sent, ICSF service failure: CSFPPKS retCode = 0x8")
        );
        assert!(text.contains("offered  suites: TLS_RSA_WITH_RC4_128_SHA"));
        assert!(!text.contains('\u{1b}'), "an escape of the peer came through");
    }

    #[test]
    fn a_connection_without_tls_says_so() {
        let mut plain = completed();
        plain.in_clear = true;
        assert!(record(&plain, Color::Off).contains("\n    tls      off\n"));
    }

    #[test]
    fn colour_is_only_used_when_asked_for() {
        let on = event(&Event::new(Level::Error, "stop", "a\nb"), Color::On);
        assert!(on.contains("\u{1b}[31mstop\u{1b}[0m a\\u{a}b"));
        assert_eq!(on.lines().count(), 1);
    }
}
