//! The rows of the book: what was negotiated, who was served, who was not.

use std::borrow::Cow;
use std::net::IpAddr;

use engine::iana;

use super::super::best;
use super::super::observation::{Observation, Offer};
use super::super::report::{ClientRow, Negotiated, RefusedRow, SessionRow};
use super::{Span, address};

/// Addresses kept as examples with each combination of parameters.
pub(super) const SAMPLES: usize = 4;

/// What was negotiated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SessionKey<'a> {
    service: Cow<'a, str>,
    version: Cow<'a, str>,
    suite: Cow<'a, str>,
    group: Cow<'a, str>,
    scheme: Cow<'a, str>,
    key: Cow<'a, str>,
    client: Cow<'a, str>,
    modes: Cow<'a, str>,
    verdict: Cow<'a, str>,
}

impl<'a> SessionKey<'a> {
    pub(super) fn of(seen: &'a Observation<'_>) -> Self {
        // A client that was refused has negotiated nothing it can be held to.
        let client = seen.client.as_ref().filter(|_| seen.established);
        Self {
            service: Cow::Borrowed(&seen.service),
            version: Cow::Borrowed(&seen.version),
            suite: Cow::Borrowed(&seen.suite),
            group: Cow::Borrowed(&seen.group),
            scheme: Cow::Borrowed(&seen.scheme),
            key: Cow::Borrowed(&seen.key),
            // A log of an older version has the certificate and not the type of its key.
            client: client.map_or(Cow::Borrowed(""), |client| match client.key.as_ref() {
                "" => Cow::Borrowed("not recorded"),
                key => Cow::Borrowed(key),
            }),
            modes: Cow::Borrowed(&seen.modes),
            verdict: Cow::Borrowed(&seen.verdict),
        }
    }

    pub(super) fn into_owned(self) -> SessionKey<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        SessionKey {
            service: own(self.service),
            version: own(self.version),
            suite: own(self.suite),
            group: own(self.group),
            scheme: own(self.scheme),
            key: own(self.key),
            client: own(self.client),
            modes: own(self.modes),
            verdict: own(self.verdict),
        }
    }

    pub(super) fn negotiated(&self) -> Negotiated {
        Negotiated {
            service: self.service.to_string(),
            protocol: self.version.to_string(),
            suite: self.suite.to_string(),
            group: self.group.to_string(),
            signature: self.scheme.to_string(),
            key: self.key.to_string(),
            client_key: self.client.to_string(),
            verdict: match (self.modes.as_ref(), self.verdict.as_ref()) {
                ("", verdict) => verdict.to_owned(),
                (modes, verdict) => format!("{verdict} ({modes})"),
            },
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Session {
    connections: u64,
    resumed: u64,
    failed: u64,
    bytes_in: u64,
    bytes_out: u64,
    seen: Span,
    samples: Vec<IpAddr>,
}

impl Session {
    pub(super) fn add(&mut self, seen: &Observation<'_>) {
        if seen.established {
            self.connections += 1;
            self.resumed += u64::from(seen.resumed);
        } else {
            self.failed += 1;
        }
        self.bytes_in = self.bytes_in.saturating_add(seen.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(seen.bytes_out);
        self.seen.add(seen.time);
        if let Some(peer) = seen.peer
            && self.samples.len() < SAMPLES
            && !self.samples.contains(&peer)
        {
            self.samples.push(peer);
        }
    }

    pub(super) fn row(&self, negotiated: Negotiated) -> SessionRow {
        SessionRow {
            negotiated,
            connections: self.connections,
            resumed: self.resumed,
            failed: self.failed,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            first_seen: self.seen.first(),
            last_seen: self.seen.last(),
            sample_peers: self.samples.iter().map(ToString::to_string).collect(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Client {
    connections: u64,
    seen: Span,
    subject: String,
    sni: String,
}

impl Client {
    pub(super) fn add(&mut self, seen: &Observation<'_>) {
        self.connections += 1;
        if self.seen.is_latest(seen.time) {
            set(&mut self.sni, &seen.sni);
            set(&mut self.subject, seen.client.as_ref().map_or("", |client| &client.subject));
        }
        self.seen.add(seen.time);
    }

    pub(super) fn row(&self, peer: String, negotiated: Negotiated) -> ClientRow {
        ClientRow {
            peer,
            negotiated,
            client_subject: self.subject.clone(),
            sni: self.sni.clone(),
            connections: self.connections,
            first_seen: self.seen.first(),
            last_seen: self.seen.last(),
        }
    }
}

/// Overwrites a text; the same one again, which is the rule, costs nothing.
fn set(text: &mut String, new: &str) {
    if text != new {
        new.clone_into(text);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RefusedKey<'a> {
    service: Cow<'a, str>,
    rule: Cow<'a, str>,
    pub(super) peer: Option<IpAddr>,
}

impl<'a> RefusedKey<'a> {
    pub(super) fn of(seen: &'a Observation<'_>) -> Self {
        Self {
            service: Cow::Borrowed(&seen.service),
            rule: Cow::Borrowed(&seen.rule),
            peer: seen.peer,
        }
    }

    pub(super) fn into_owned(self) -> RefusedKey<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        RefusedKey { service: own(self.service), rule: own(self.rule), peer: self.peer }
    }
}

#[derive(Debug, Default)]
pub(super) struct Refused {
    connections: u64,
    seen: Span,
    /// Newest version that was ever offered.
    best_version: Option<u16>,
    offer: Option<Offer>,
    reason: String,
    alert: Option<u8>,
    subject: String,
    sni: String,
}

impl Refused {
    pub(super) fn add(&mut self, seen: &Observation<'_>) {
        self.connections += 1;
        let offered = seen.offer.as_ref().and_then(best::version);
        self.best_version = best::newer(self.best_version, offered);
        if self.seen.is_latest(seen.time) {
            if self.offer != seen.offer {
                self.offer.clone_from(&seen.offer);
            }
            self.alert = seen.alert_sent;
            set(&mut self.reason, &seen.reason);
            set(&mut self.sni, &seen.sni);
            set(&mut self.subject, seen.client.as_ref().map_or("", |client| &client.subject));
        }
        self.seen.add(seen.time);
    }

    pub(super) fn row(&self, key: &RefusedKey<'_>) -> RefusedRow {
        RefusedRow {
            peer: address(key.peer),
            service: key.service.to_string(),
            rule: key.rule.to_string(),
            reason: self.reason.clone(),
            alert_sent: self.alert,
            best_protocol: (self.best_version)
                .map_or_else(String::new, |version| iana::version_name(version).into_owned()),
            best_suites: self.offer.as_ref().map(best::suites).unwrap_or_default(),
            groups: self.offer.as_ref().map(best::groups).unwrap_or_default(),
            client_subject: self.subject.clone(),
            sni: self.sni.clone(),
            connections: self.connections,
            first_seen: self.seen.first(),
            last_seen: self.seen.last(),
        }
    }
}
