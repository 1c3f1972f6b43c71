//! Sums, samples and bounds of the book.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use engine::compliance::Mode;

use super::super::observation::{Observation, Offer, Shown};
use super::super::report::Overflow;
use super::rows::SAMPLES;
use super::{Book, Limits};

const SMALL: Limits = Limits { sessions: 3, clients: 4, refused: 4, peers: 4 };

fn peer(last: u8) -> Option<IpAddr> {
    Some(IpAddr::from([192, 0, 2, last]))
}

/// An orderly connection over TLS 1.3 at a second.
pub(crate) fn served(last: u8, at: u64) -> Observation<'static> {
    Observation {
        time: UNIX_EPOCH + Duration::from_secs(at),
        outcome: Cow::Borrowed("completed"),
        established: true,
        in_clear: false,
        service: Cow::Borrowed("mq"),
        peer: peer(last),
        sni: Cow::Borrowed("a.test"),
        version: Cow::Borrowed("TLSv1.3"),
        suite: Cow::Borrowed("TLS_AES_128_GCM_SHA256"),
        group: Cow::Borrowed("x25519"),
        scheme: Cow::Borrowed("rsa_pss_rsae_sha256"),
        resumed: false,
        key: Cow::Borrowed("RSA 2048"),
        client: None,
        bytes_in: 10,
        bytes_out: 100,
        rule: Cow::Borrowed(""),
        reason: Cow::Borrowed(""),
        alert_sent: None,
        offer: None,
        modes: Cow::Borrowed(""),
        verdict: Cow::Borrowed(""),
        audit: Vec::new(),
    }
}

pub(crate) fn old(last: u8, at: u64, version: u16) -> Observation<'static> {
    Observation {
        outcome: Cow::Borrowed("refused"),
        established: false,
        in_clear: false,
        version: Cow::Borrowed(""),
        suite: Cow::Borrowed(""),
        group: Cow::Borrowed(""),
        scheme: Cow::Borrowed(""),
        key: Cow::Borrowed(""),
        bytes_in: 0,
        bytes_out: 0,
        rule: Cow::Borrowed("protocol-too-old"),
        reason: Cow::Borrowed("too old"),
        alert_sent: Some(70),
        offer: Some(Offer {
            versions: vec![version],
            suites: vec![0x0005, 0xC014],
            groups: vec![0x0017],
            ..Offer::default()
        }),
        ..served(last, at)
    }
}

fn noise(last: u8, at: u64) -> Observation<'static> {
    Observation {
        outcome: Cow::Borrowed("noise"),
        service: Cow::Borrowed(""),
        rule: Cow::Borrowed("plain-http"),
        alert_sent: None,
        offer: None,
        ..old(last, at, 0)
    }
}

fn book(limits: Limits, seen: &[Observation<'_>]) -> super::Report {
    let mut book = Book::new(limits);
    for seen in seen {
        book.add(seen);
    }
    book.report(None)
}

#[test]
fn connections_of_one_combination_are_one_row() {
    let resumed = Observation {
        resumed: true,
        scheme: Cow::Borrowed(""),
        key: Cow::Borrowed(""),
        ..served(1, 5)
    };
    let report = book(SMALL, &[served(1, 20), served(2, 10), resumed, served(1, 15)]);
    assert_eq!(report.sessions.len(), 2);
    let row = &report.sessions[0];
    assert_eq!((row.connections, row.resumed, row.failed), (3, 0, 0));
    assert_eq!((row.bytes_in, row.bytes_out), (30, 300));
    assert_eq!(row.first_seen, "1970-01-01T00:00:10.000Z");
    assert_eq!(row.last_seen, "1970-01-01T00:00:20.000Z");
    assert_eq!(row.sample_peers, ["192.0.2.1", "192.0.2.2"]);
    let row = &report.sessions[1];
    assert_eq!((row.connections, row.resumed), (1, 1));
    assert_eq!(row.negotiated.key, "");
    assert_eq!((report.totals.established, report.totals.resumed), (4, 1));
    assert_eq!(report.totals.first_seen, "1970-01-01T00:00:05.000Z");
}

#[test]
fn every_field_of_the_key_makes_a_row_of_its_own() {
    let one = served(1, 0);
    let differing = [
        Observation { service: Cow::Borrowed("b"), ..one.clone() },
        Observation { version: Cow::Borrowed("TLSv1.2"), ..one.clone() },
        Observation { suite: Cow::Borrowed("b"), ..one.clone() },
        Observation { group: Cow::Borrowed("b"), ..one.clone() },
        Observation { scheme: Cow::Borrowed("b"), ..one.clone() },
        Observation { key: Cow::Borrowed("b"), ..one.clone() },
        Observation {
            client: Some(Shown { subject: "CN=a".into(), key: "EC P-256".into() }),
            ..one.clone()
        },
        Observation {
            client: Some(Shown { subject: "CN=a".into(), key: "RSA 2048".into() }),
            ..one.clone()
        },
        Observation {
            client: Some(Shown { subject: "CN=a".into(), key: "".into() }),
            ..one.clone()
        },
        one,
    ];
    let report = book(Limits::DAEMON, &differing);
    assert_eq!(report.sessions.len(), differing.len());
    assert!(report.sessions.iter().any(|row| row.negotiated.client_key == "not recorded"));
}

#[test]
fn who_was_served_is_told_by_address_and_combination() {
    let tls12 = Observation { version: Cow::Borrowed("TLSv1.2"), ..served(9, 7) };
    let shown = Some(Shown { subject: Cow::Borrowed("CN=x"), key: Cow::Borrowed("EC P-256") });
    let named = Observation { client: shown, ..served(2, 9) };
    let report = book(SMALL, &[served(1, 1), served(1, 2), tls12, named]);
    let rows: Vec<(&str, &str, u64)> = (report.clients.iter())
        .map(|row| (row.peer.as_str(), row.negotiated.protocol.as_str(), row.connections))
        .collect();
    // The oldest protocol first.
    let expected = [("192.0.2.9", "TLSv1.2", 1), ("192.0.2.1", "TLSv1.3", 2)];
    assert_eq!(rows[..2], expected);
    assert_eq!(report.clients[2].client_subject, "CN=x");
    assert_eq!(report.clients[2].negotiated.client_key, "EC P-256");
}

#[test]
fn a_refused_client_shows_its_best_offer_ever_and_its_last_reason() {
    let later = Observation { reason: Cow::Borrowed("last"), ..old(1, 30, 0x0300) };
    let report = book(SMALL, &[old(1, 20, 0x0301), later, old(1, 10, 0x0300), old(2, 1, 0x0302)]);
    assert_eq!(report.refused.len(), 2);
    let row = &report.refused[0];
    assert_eq!((row.peer.as_str(), row.connections), ("192.0.2.1", 3));
    assert_eq!((row.best_protocol.as_str(), row.reason.as_str()), ("TLSv1.0", "last"));
    assert_eq!(row.alert_sent, Some(70));
    let suites = ["TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "TLS_RSA_WITH_RC4_128_SHA"];
    assert_eq!(row.best_suites, suites);
    assert_eq!(row.groups, ["secp256r1"]);
    assert_eq!(row.last_seen, "1970-01-01T00:00:30.000Z");
    // Failed handshakes are a row of what was negotiated: nothing.
    assert_eq!((report.sessions[0].failed, report.sessions[0].connections), (4, 0));
    assert!(report.clients.is_empty());
}

#[test]
fn noise_is_told_and_has_negotiated_nothing() {
    let report = book(SMALL, &[noise(1, 1)]);
    assert_eq!((report.totals.noise, report.totals.failed), (1, 0));
    // Nor has who connects and leaves, as load balancers do every other second.
    let check =
        Observation { outcome: "abandoned".into(), rule: "peer-closed".into(), ..noise(1, 1) };
    let heard = Observation { offer: old(1, 1, 0x0303).offer, ..check.clone() };
    let both = book(SMALL, &[check, heard]);
    assert_eq!((both.totals.noise, both.totals.failed, both.sessions.len()), (1, 1, 1));
    // Nor who was served by a service without TLS; one who was not has a reason.
    let plain =
        Observation { in_clear: true, established: false, version: "".into(), ..served(1, 1) };
    let cut = Observation { rule: "idle-deadline".into(), ..plain.clone() };
    let both = book(SMALL, &[plain, cut]);
    assert_eq!((both.totals.noise, both.totals.failed, both.sessions.len()), (2, 0, 0));
    assert_eq!((both.refused.len(), &*both.refused[0].rule), (1, "idle-deadline"));
    assert!(report.sessions.is_empty());
    assert_eq!(report.refused[0].rule, "plain-http");
    assert_eq!(report.refused[0].best_protocol, "");
}

#[test]
fn full_tables_count_what_they_leave_out_and_totals_are_right() {
    let suites = ["a", "b", "c", "d", "e"];
    let seen: Vec<Observation<'_>> = suites
        .iter()
        .map(|suite| Observation { suite: Cow::Borrowed(suite), ..served(1, 1) })
        .chain((0..9).map(|last| Observation { suite: Cow::Borrowed("a"), ..served(last, 2) }))
        .chain((0..9).map(|last| old(last, 2, 0x0301)))
        .collect();
    let report = book(SMALL, &seen);
    assert_eq!((report.sessions.len(), report.clients.len(), report.refused.len()), (3, 4, 4));
    // Two suites have no row, nor has "no suite" of the nine that failed; of the nine clients one
    // was there before, and one more found a place.
    assert_eq!(report.overflow, Overflow { sessions: 2 + 9, clients: 7, refused: 5, what_if: 10 });
    assert_eq!((report.totals.established, report.totals.failed), (14, 9));
    // Rows that are there count on.
    let first = report.sessions.iter().find(|row| row.negotiated.suite == "a").unwrap();
    assert_eq!(first.connections, 10);
    assert_eq!(first.sample_peers.len(), SAMPLES);
}

#[test]
fn scanners_leave_half_of_the_places_to_clients_that_speak_tls() {
    let mut seen: Vec<Observation<'_>> = (0..100).map(|last| noise(last, 1)).collect();
    seen.extend([old(200, 2, 0x0301), old(201, 2, 0x0301)]);
    let report = book(SMALL, &seen);
    let tls = report.refused.iter().filter(|row| row.rule == "protocol-too-old").count();
    assert_eq!((report.refused.len(), tls), (4, 2));
    assert_eq!(report.overflow.refused, 98);
}

#[test]
fn the_order_of_reading_does_not_change_the_report() {
    let seen = [served(3, 1), old(1, 2, 0x0301), served(1, 3), noise(2, 4), old(1, 5, 0x0302)];
    let mut reversed = seen.clone();
    reversed.reverse();
    let (mut a, mut b) = (book(SMALL, &seen), book(SMALL, &reversed));
    for report in [&mut a, &mut b] {
        report.made.clear();
        for row in &mut report.sessions {
            row.sample_peers.sort();
        }
    }
    assert_eq!(a, b);
}

#[test]
fn a_daemon_whose_tables_are_full_can_still_be_asked() {
    let text: &'static str = Box::leak("x".repeat(60).into_boxed_str());
    let mut book = Book::new(Limits::DAEMON);
    let address =
        |n: usize| Some(IpAddr::from([0x2001, 0xdb8, 1, 1, 1, 1, 1, u16::try_from(n).unwrap()]));
    for n in 0..Limits::DAEMON.clients {
        let suite = Cow::Owned(format!("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 {}", n % 1024));
        let shown = Some(Shown { subject: Cow::Borrowed(text), key: Cow::Borrowed("EC P-256") });
        book.add(&Observation {
            peer: address(n),
            sni: Cow::Borrowed(text),
            suite,
            client: shown,
            ..served(1, 1)
        });
        let mut refused = old(1, 1, 0x0301);
        refused.peer = address(n);
        refused.reason = Cow::Borrowed(text);
        refused.sni = Cow::Borrowed(text);
        book.add(&refused);
    }
    let answer = serde_json::to_string(&book.report(Some(Mode::Fips1403))).unwrap();
    assert!(answer.len() < 12 << 20, "{} bytes", answer.len());
}
