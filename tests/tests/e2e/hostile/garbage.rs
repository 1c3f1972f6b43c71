//! Before a hello is there: bytes that are none, hellos that stop, and clients that say nothing.
//!
//! Source: RFC 8446 §5.1, RFC 5246 §6.2.1, §7.2.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use adjunct_tests::adjunct;
use adjunct_tests::bulk::Pattern;
use adjunct_tests::client::stock::{Client, Offer};
use adjunct_tests::hello::{AEAD, Hello, TLS12, TLS13, connect};
use adjunct_tests::need;
use adjunct_tests::scene::NAME;
use adjunct_tests::siege::Siege;
use adjunct_tests::wild::{Wild, openssl_hello, record};
use socket2::SockRef;

use super::hellos::{Case, judge};

/// Sends bytes; the daemon may have had enough of them before the last.
fn send(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(address);
    let _ = stream.write_all(bytes);
    stream
}

/// Ends our direction and waits for the end of the other one.
fn finish(mut stream: TcpStream) {
    let _ = stream.shutdown(Shutdown::Write);
    wait_for_end(&mut stream);
}

fn wait_for_end(stream: &mut TcpStream) {
    let mut away = [0; 4096];
    loop {
        match stream.read(&mut away) {
            Ok(1..) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => panic!("the daemon does not end it"),
            _ => return,
        }
    }
}

fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// First flights of real clients: small, usual, and with the large share of X25519MLKEM768.
fn real_hellos() -> Vec<Vec<u8>> {
    let pki = adjunct_tests::pki::Pki::new();
    let small = Offer { versions: vec![&rustls::version::TLS12], ..Offer::default() };
    vec![
        Client::offering(&pki, small).first_flight(NAME),
        openssl_hello(NAME, &[]),
        Client::new(&pki).first_flight(NAME),
    ]
}

#[test]
fn garbage_of_any_length_is_refused() {
    let mut siege = Siege::start(&adjunct!(), &[]);
    let rules = [
        "not-tls",
        "plain-http",
        "proxy-header",
        "sslv2-hello",
        "undecodable-hello",
        "hello-too-large",
        "record-overflow",
        "unexpected-message",
        "illegal-parameter",
        "peer-alert",
        "peer-closed",
        "protocol-too-old",
    ];
    siege.attack(&rules, |siege| {
        for seed in 0..400_u16 {
            let mut bytes = vec![0; usize::from(seed) * 5 + 1];
            Pattern::new(seed.into()).fill(&mut bytes);
            // Every other one begins as a record, and every fourth as a hello.
            let front: &[u8] = match seed % 4 {
                1 => &[22, 3, 1],
                3 => &[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3],
                _ => &[],
            };
            bytes.splice(0..0, front.iter().copied());
            finish(send(siege.address(), &bytes));
        }
        400
    });
    siege.end();
}

#[test]
fn a_hello_cut_at_any_byte_harms_nobody() {
    let _ = need!("openssl");
    let hellos = real_hellos();
    let cuts: Vec<&[u8]> =
        hellos.iter().flat_map(|hello| (0..hello.len()).map(|end| &hello[..end])).collect();
    let mut siege = Siege::start(&adjunct!(), &[]);
    siege.attack(&["peer-closed"], |siege| {
        cuts.iter().for_each(|cut| finish(send(siege.address(), cut)));
        cuts.len()
    });
    siege.attack(&["peer-reset"], |siege| {
        cuts.iter().for_each(|cut| reset(send(siege.address(), cut)));
        cuts.len()
    });
    siege.end();
}

#[test]
fn a_hello_cut_at_any_byte_and_then_silence_ends_at_the_deadline() {
    let _ = need!("openssl");
    let hellos = real_hellos();
    let mut siege = Siege::start(&adjunct!(), &["timeouts = { handshake = \"2s\" }"]);
    let records = siege.attack(&["hello-deadline"], |siege| {
        let cut = |hello: &Vec<u8>, end: usize| send(siege.address(), &hello[..end]);
        let silent: Vec<_> =
            hellos.iter().flat_map(|hello| (0..hello.len()).map(move |n| (hello, n))).collect();
        let silent: Vec<_> = silent.into_iter().map(|(hello, end)| cut(hello, end)).collect();
        let count = silent.len();
        for mut stream in silent {
            wait_for_end(&mut stream);
        }
        count
    });
    assert!(records.iter().all(|record| record.alert_sent().is_none()));
    siege.end();
}

#[test]
fn two_thousand_half_open_connections_hinder_nobody() {
    const CROWD: usize = 2_000;
    let mut siege = Siege::start(&adjunct!(), &[]);
    let hello = Client::new(siege.pki()).first_flight(NAME);
    siege.attack(&["peer-closed", "peer-reset"], |siege| {
        let one = |n: usize| send(siege.address(), &hello[..n % 2 * hello.len() / 2]);
        let crowd: Vec<_> = (0..CROWD).map(one).collect();
        for (n, stream) in crowd.into_iter().enumerate() {
            if n % 3 == 0 {
                reset(stream);
            }
        }
        CROWD
    });
    siege.end();
}

#[test]
fn bytes_that_drip_do_not_move_the_deadline() {
    let mut siege = Siege::start(&adjunct!(), &["timeouts = { handshake = \"1500ms\" }"]);
    let whole = Client::new(siege.pki()).first_flight(NAME);
    let in_records = Wild::of(&whole).fragments(1);
    // A complete hello, and then a second flight that never gets anywhere.
    let mut behind = Hello::of(TLS12, AEAD).to(NAME).record();
    let hello = behind.len();
    behind.extend(record(22, &[16, 0, 0x40, 0]));
    behind.extend((0..4_000).flat_map(|_| record(22, &[7])));
    siege.attack(&["hello-deadline", "handshake-deadline"], |siege| {
        let plans = [(&whole, 0), (&in_records, 0), (&behind, hello)];
        let mut drips: Vec<_> = plans
            .iter()
            .flat_map(|plan| [*plan; 10])
            .map(|(bytes, sent)| {
                let stream = send(siege.address(), &bytes[..sent]);
                stream.set_nonblocking(true).unwrap();
                (stream, bytes, sent)
            })
            .collect();
        let count = drips.len();
        while !drips.is_empty() {
            drips.retain_mut(|(stream, bytes, sent)| {
                assert!(*sent < bytes.len(), "the deadline has moved");
                *sent += stream.write(&bytes[*sent..=*sent]).unwrap_or(0);
                let mut away = [0; 4096];
                !matches!(stream.read(&mut away), Ok(0))
                    && !matches!(stream.take_error(), Ok(Some(_)))
            });
            std::thread::sleep(Duration::from_millis(5));
        }
        count
    });
    siege.end();
}

#[test]
fn records_that_carry_no_hello_are_refused_by_a_rule() {
    let whole = Hello::of(TLS12, AEAD).to(NAME);
    let message = whole.message();
    let (first, second) = message.split_at(50);
    let in_two = |between: &[u8]| [&record(22, first), between, &record(22, second)].concat();
    let versioned = |major: u8, minor: u8| {
        let mut bytes = whole.record();
        (bytes[1], bytes[2]) = (major, minor);
        bytes
    };
    let claims = |version: u16| Hello::of(version, AEAD).to(NAME).record();
    let case = |what, bytes, rule| Case { what, bytes, rule };
    let mut siege = Siege::start(&adjunct!(), &[]);
    judge(
        &mut siege,
        &[
            case("as it is", whole.record(), "served"),
            case("in two", in_two(&[]), "served"),
            case("in bytes", whole.fragments(1), "served"),
            case("oversized", [&[22, 3, 1, 0x40, 1][..], &[1; 0x4001]].concat(), "record-overflow"),
            case("most", vec![22, 3, 1, 0xff, 0xff, 1], "record-overflow"),
            case("empty handshake", record(22, &[]), "undecodable-hello"),
            case("empty between", in_two(&record(22, &[])), "undecodable-hello"),
            case("empty data", record(23, &[]), "unexpected-message"),
            case("empty alert", record(21, &[]), "undecodable-hello"),
            case("data first", record(23, b"hello"), "unexpected-message"),
            case("data between", in_two(&record(23, b"hello")), "unexpected-message"),
            case("alert between", in_two(&record(21, &[1, 90])), "peer-alert"),
            case("alert first", record(21, &[2, 40]), "peer-alert"),
            case("CCS first", [record(20, &[1]), whole.record()].concat(), "unexpected-message"),
            case("CCS between", in_two(&record(20, &[1])), "unexpected-message"),
            case("heartbeat", record(24, &[1, 0xff, 0xff]), "unexpected-message"),
            case("HelloRequest", record(22, &[0, 0, 0, 0]), "unexpected-message"),
            case("ServerHello", record(22, &[2, 0, 0, 38]), "unexpected-message"),
            case("Finished", record(22, &[20, 0, 0, 12]), "unexpected-message"),
            case("record of SSL 3.0", versioned(3, 0), "served"),
            case("record of TLS 1.3", versioned(3, 4), "served"),
            case("record of nothing", versioned(3, 99), "served"),
            case("record of 4.0", versioned(4, 0), "not-tls"),
            case("hello of SSL 3.0", claims(0x0300), "protocol-too-old"),
            case("hello of 1.3 in the old field", claims(TLS13), "served"),
            case("hello of version 0", claims(0), "protocol-too-old"),
        ],
    );
    siege.end();
}

#[test]
fn other_protocols_are_noise() {
    let case = |what, bytes: &[u8], rule| Case { what, bytes: bytes.to_vec(), rule };
    let proxy2 =
        [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &[127, 0, 0, 1, 127, 0, 0, 1]].concat();
    let mut siege = Siege::start(&adjunct!(), &[]);
    judge(
        &mut siege,
        &[
            case("HTTP", b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "plain-http"),
            case("HTTP CONNECT", b"CONNECT a.test:443 HTTP/1.1\r\n\r\n", "plain-http"),
            case("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "plain-http"),
            case("SSH", b"SSH-2.0-OpenSSH_9.9\r\n", "not-tls"),
            case("SMTP", b"EHLO a.test\r\n", "not-tls"),
            case("RDP", b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0", "not-tls"),
            case("SOCKS 5", b"\x05\x01\0", "not-tls"),
            case("SOCKS 4", b"\x04\x01\x01\xbb\x7f\0\0\x01\0", "not-tls"),
            case("Telnet", b"\xff\xfb\x18\xff\xfd\x19", "not-tls"),
            case("LDAP", b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\0\x80\0", "not-tls"),
            case("PostgreSQL", b"\0\0\0\x08\x04\xd2\x16\x2f", "not-tls"),
            case("MQTT", b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0", "not-tls"),
            case("PROXY v1", b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n", "proxy-header"),
            case("PROXY v2", &proxy2, "proxy-header"),
        ],
    );
    siege.end();
}
