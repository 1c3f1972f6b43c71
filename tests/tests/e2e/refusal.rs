//! Hellos that are refused: the alert arrives, and the record says what the client lacked.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use adjunct_tests::adjunct;
use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::{Client, Offer};
use adjunct_tests::hello::{
    AEAD, CBC, End, Hello, RC4, RSA_TRANSPORT, SERVER_HELLO, TLS10, TLS11, TLS12, TLS13, answer,
    exchange, exchange_and_end, ssl2,
};
use adjunct_tests::scene::{self, NAME, Scene};
use rustls::crypto::aws_lc_rs::kx_group;

/// Sends `bytes` and asserts alert, rule, and that something is explained.
fn refused<const N: usize>(cases: [(&str, Vec<u8>, u8, &str, &str); N]) {
    let echo = Backend::echo();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), echo.address, &[]);
    for (what, bytes, alert, rule, explained) in cases {
        let reply = exchange(daemon.address(), &bytes);
        assert_eq!(reply.alerts(), [(2, alert)], "{what}: {reply:?}");
        reply.is_fatal(alert);
        let record = daemon.record();
        record.expect("outcome", "refused").expect("rule", rule).explains(explained);
        record.expect("fault", "peer");
        assert_eq!(record.alert_sent(), Some(u64::from(alert)), "{what}: {}", record.0);
        assert!(record.number("gsk") > 0, "{what}: {}", record.0);
        assert!(!record.text("peer").is_empty(), "{what}: {}", record.0);
    }
    // After all that the service is as good as before.
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    daemon.completed();
    assert_eq!(echo.connections(), 1, "a refused client never reaches the backend");
    daemon.stop();
}

#[test]
fn old_versions_are_refused_with_protocol_version() {
    let old =
        |versions: &[u16]| Hello { versions: Some(versions.to_vec()), ..Hello::of(TLS12, AEAD) };
    refused([
        ("1.0", Hello::of(TLS10, CBC).record(), 70, "protocol-too-old", "1.2"),
        ("1.1", Hello::of(TLS11, CBC).record(), 70, "protocol-too-old", "1.2"),
        ("1.0 with AEAD", Hello::of(TLS10, AEAD).record(), 70, "protocol-too-old", "1.2"),
        ("SSL 3.0", Hello::of(0x0300, RC4).record(), 70, "protocol-too-old", "1.2"),
        ("by extension", old(&[TLS11, TLS10]).record(), 70, "protocol-too-old", "1.2"),
        ("SSL 2.0 form", ssl2(TLS10), 70, "sslv2-hello", "SSLv2"),
    ]);
}

#[test]
fn old_suites_are_refused_with_handshake_failure() {
    refused([
        ("RC4", Hello::of(TLS12, RC4).record(), 40, "no-common-cipher", "GCM"),
        ("CBC", Hello::of(TLS12, CBC).record(), 40, "no-common-cipher", "GCM"),
        ("RSA", Hello::of(TLS12, RSA_TRANSPORT).record(), 40, "no-common-cipher", "ECDHE"),
    ]);
}

#[test]
fn broken_hellos_are_refused_with_decode_error() {
    let hello = Hello::of(TLS12, AEAD).to(NAME);
    let mut huge = vec![22, 3, 1, 0x40, 0x00, 1, 0xff, 0xff, 0xff];
    huge.resize(5 + 0x4000, 0);
    refused([
        ("lying length", hello.with_a_lying_length(), 50, "undecodable-hello", "ClientHello"),
        ("16 MiB announced", huge, 50, "hello-too-large", "hello"),
    ]);
}

#[test]
fn the_record_keeps_what_the_refused_client_offered() {
    let echo = Backend::echo();
    let Scene { mut daemon, .. } = scene::one(&adjunct!(), echo.address, &[]);
    exchange(daemon.address(), &Hello::of(TLS12, RC4).to(NAME).record()).is_fatal(40);
    let record = daemon.record();
    record.expect("sni", NAME).expect("service", "plain");
    let suites = record.field("offered.suites").to_string();
    assert!(suites.contains("RC4_128_SHA"), "{}", record.0);
    assert!(!record.field("offered.versions").to_string().contains("1.3"), "{}", record.0);
}

#[test]
fn a_client_without_a_common_group_is_told_so() {
    let echo = Backend::echo();
    let Scene { mut daemon, pki } =
        scene::one(&adjunct!(), echo.address, &["groups = [\"secp384r1\"]"]);
    let offer = Offer { groups: vec![kx_group::X25519], ..Offer::default() };
    assert!(Client::offering(&pki, offer).connect(daemon.address(), NAME).is_err());
    let record = daemon.record();
    record.expect("outcome", "refused").expect("rule", "no-common-group");
    assert_eq!(record.alert_sent(), Some(40), "{}", record.0);
}

#[test]
fn a_hello_in_pieces_is_understood() {
    let echo = Backend::echo();
    let Scene { daemon, .. } = scene::one(&adjunct!(), echo.address, &[]);
    let hello = Hello::of(TLS12, AEAD).to(NAME);
    for piece in [1, 3, 40] {
        assert_eq!(
            answer(daemon.address(), &hello.fragments(piece)),
            Some(SERVER_HELLO),
            "{piece}"
        );
    }
    let mut stream = TcpStream::connect(daemon.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in hello.record() {
        stream.write_all(&[byte]).unwrap();
    }
    let mut first = [0];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(first, [22]);
}

#[test]
fn what_is_no_tls_is_noise_and_gets_no_alert() {
    let echo = Backend::echo();
    let Scene { mut daemon, .. } = scene::one(&adjunct!(), echo.address, &[]);
    for (bytes, rule) in [
        (&b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"[..], "plain-http"),
        (&b"\x00\x01\x02\x03 what is this\r\n\r\n"[..], "not-tls"),
        (&b"SSH-2.0-OpenSSH_9.9\r\n"[..], "not-tls"),
    ] {
        let reply = exchange(daemon.address(), bytes);
        assert_eq!((reply.alerts().len(), reply.end), (0, End::Fin), "{rule}: {reply:?}");
        daemon.record().expect("outcome", "noise").expect("rule", rule);
    }
}

#[test]
fn a_peer_that_leaves_before_its_hello_is_complete_is_abandoned() {
    let echo = Backend::echo();
    let Scene { mut daemon, .. } = scene::one(&adjunct!(), echo.address, &[]);
    let whole = Hello::of(TLS13, AEAD).record();
    for part in [&[][..], &whole[..3], &whole[..whole.len() - 1]] {
        let _ = exchange_and_end(daemon.address(), part);
        daemon.record().expect("outcome", "abandoned").expect("rule", "peer-closed");
    }
}

#[test]
fn a_drip_of_bytes_does_not_extend_the_handshake_deadline() {
    let echo = Backend::echo();
    let lines = ["timeouts = { handshake = \"1s\" }"];
    let Scene { mut daemon, .. } = scene::one(&adjunct!(), echo.address, &lines);
    let mut stream = TcpStream::connect(daemon.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let hello = Hello::of(TLS12, AEAD).fragments(1);
    // Far more bytes than the deadline leaves time for; ends when the daemon hangs up.
    let hung_up = hello.iter().any(|byte| {
        let sent = stream.write_all(&[*byte]);
        let gone = |e: &std::io::Error| {
            !matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
        };
        sent.is_err() || stream.read(&mut [0; 64]).as_ref().map_or_else(gone, |n| *n == 0)
    });
    assert!(hung_up, "the whole drip was waited for");
    daemon.record().expect("rule", "hello-deadline");
}
