//! Clients that leave, stop or stall at a chosen moment, and what they do after the handshake.
//!
//! Source: RFC 8446 §4.1.4, §4.6, §6.1; RFC 5246 §7.2.1.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use adjunct_tests::client::crafted::{Crafted, KEY_UPDATE_REQUESTED};
use adjunct_tests::client::stock::{Client, Offer};
use adjunct_tests::hello::{Reply, collect, connect};
use adjunct_tests::scene::NAME;
use adjunct_tests::siege::Siege;
use adjunct_tests::wild::{Wild, extension, record, vector16};
use adjunct_tests::{adjunct, wait_still};
use rustls::ContentType;
use rustls::version::{TLS12, TLS13};
use socket2::SockRef;

fn reset(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

fn client(siege: &Siege, version: &'static rustls::SupportedProtocolVersion) -> Client {
    let offer = Offer { versions: vec![version], ..Offer::default() };
    Client::offering(siege.pki(), offer)
}

/// The second flight of a client, not sent yet.
pub(super) fn up_to_second_flight(address: SocketAddr, client: &Client) -> (TcpStream, Vec<u8>) {
    let mut tls = client.connection(NAME);
    let mut socket = connect(address);
    tls.write_tls(&mut socket).unwrap();
    while !tls.wants_write() {
        tls.read_tls(&mut socket).unwrap();
        tls.process_new_packets().unwrap();
    }
    let mut flight = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut flight).unwrap();
    }
    (socket, flight)
}

#[test]
fn a_reset_at_any_byte_of_the_second_flight_is_recorded() {
    let mut siege = Siege::start(&adjunct!(), &[]);
    // With the whole flight sent the handshake may be complete: then a backend is dialed, or data
    // is awaited.
    siege.attack(&["peer-reset"], |siege| {
        let mut count = 0;
        for version in [&TLS12, &TLS13] {
            let client = client(siege, version);
            let (socket, flight) = up_to_second_flight(siege.address(), &client);
            reset(&socket);
            count += 1;
            for end in (0..=flight.len()).step_by(3).chain([flight.len()]) {
                let (mut socket, flight) = up_to_second_flight(siege.address(), &client);
                socket.write_all(&flight[..end.min(flight.len())]).unwrap();
                reset(&socket);
                count += 1;
            }
        }
        count
    });
    siege.end();
}

#[test]
fn a_reset_with_data_under_way_both_ways_is_recorded() {
    let mut siege = Siege::start(&adjunct!(), &[]);
    siege.attack(&["peer-reset"], |siege| {
        let client = Client::new(siege.pki());
        for n in 1..=40_usize {
            let tls = client.connect(siege.address(), NAME).unwrap();
            // What is echoed and not read fills both directions, the more the later the reset is.
            tls.socket().set_nonblocking(true).unwrap();
            for _ in 0..n * 4 {
                if (&mut &tls).write(&[7; 16 << 10]).is_err() {
                    break;
                }
            }
            // The middle of a record.
            let _ = tls.socket().write(&[23, 3, 3, 0x40, 0, 1, 2, 3]);
            tls.reset().unwrap();
        }
        40
    });
    siege.end();
}

#[test]
fn silence_after_the_handshake_ends_at_the_idle_deadline() {
    let mut siege = Siege::start(&adjunct!(), &["timeouts = { idle = \"2s\" }"]);
    siege.attack(&["idle-deadline"], |siege| {
        let client = Client::new(siege.pki());
        let silent: Vec<_> =
            (0..100).map(|_| client.connect(siege.address(), NAME).unwrap()).collect();
        for tls in &silent {
            assert_eq!(tls.read_to_close().unwrap(), b"", "an orderly end");
        }
        silent.len()
    });
    siege.end();
}

#[test]
fn clients_that_never_read_cost_bounded_memory() {
    let mut siege =
        Siege::start(&adjunct!(), &["timeouts = { handshake = \"3s\", idle = \"3s\" }"]);
    let hello = Client::new(siege.pki()).first_flight(NAME);
    let rules = ["handshake-deadline", "idle-deadline", "peer-reset", "peer-closed"];
    siege.attack(&rules, |siege| {
        let client = Client::new(siege.pki());
        let before = siege.daemon().resident_kib();
        let mute: Vec<TcpStream> = (0..200)
            .map(|_| {
                let mut stream = connect(siege.address());
                SockRef::from(&stream).set_recv_buffer_size(4096).unwrap();
                stream.write_all(&hello).unwrap();
                stream
            })
            .collect();
        let stuffed: Vec<_> = (0..20)
            .map(|_| {
                let tls = client.connect(siege.address(), NAME).unwrap();
                tls.socket().set_nonblocking(true).unwrap();
                while (&mut &tls).write(&[7; 16 << 10]).is_ok() {}
                tls
            })
            .collect();
        let grown = wait_still(|| siege.daemon().resident_kib()).saturating_sub(before);
        // Two buffers of 68 KiB for who has data under way, a few KiB for who shakes hands.
        assert!(grown < 20 * 300 + 200 * 40 + 4_000, "{grown} KiB");
        mute.len() + stuffed.len()
    });
    siege.end();
}

/// A handshake, an echo, and then whatever a test wants.
fn established(siege: &Siege, version: &'static rustls::SupportedProtocolVersion) -> Crafted {
    let mut crafted = Crafted::connect(&client(siege, version), siege.address(), NAME);
    crafted.send(ContentType::ApplicationData, b"hello").unwrap();
    let echo = (ContentType::ApplicationData, b"hello".to_vec());
    assert_eq!(crafted.receive().unwrap(), Some(echo));
    crafted
}

#[test]
fn messages_that_have_no_place_after_the_handshake_are_refused() {
    let mut siege = Siege::start(&adjunct!(), &["tickets = 0"]);
    let short = |kind: u8| vec![kind, 0, 0, 0];
    let rules = ["unexpected-message", "malformed-record", "illegal-parameter", "record-flood"];
    siege.attack(&rules, |siege| {
        let mut count = 0;
        for version in [&TLS12, &TLS13] {
            // HelloRequest, ServerHello, NewSessionTicket, Certificate, CertificateRequest,
            // Finished, an unknown one; ClientHello is a renegotiation in TLS 1.2.
            for kind in [0_u8, 2, 4, 11, 13, 20, 99] {
                let mut crafted = established(siege, version);
                for _ in 0..100 {
                    let _ = crafted.send(ContentType::Handshake, &short(kind));
                }
                let _ = crafted.receive_all();
                count += 1;
            }
            for (kind, contents) in [
                (ContentType::ChangeCipherSpec, &[1][..]),
                (ContentType::Heartbeat, &[1, 0xff, 0xff]),
                (ContentType::Alert, &[]),
                (ContentType::Alert, &[1, 90, 1, 90]),
                (ContentType::Handshake, &[]),
            ] {
                let mut crafted = established(siege, version);
                for _ in 0..100 {
                    let _ = crafted.send(kind, contents);
                }
                let _ = crafted.receive_all();
                count += 1;
            }
        }
        count
    });
    siege.end();
}

#[test]
fn change_cipher_spec_in_clear_after_the_handshake_is_refused() {
    let mut siege = Siege::start(&adjunct!(), &["tickets = 0"]);
    siege.attack(&["unexpected-message", "bad-record", "illegal-parameter"], |siege| {
        for version in [&TLS12, &TLS13] {
            let mut crafted = established(siege, version);
            let _ = crafted.socket.write_all(&record(20, &[1]).repeat(1_000));
            let _ = crafted.receive_all();
        }
        2
    });
    siege.end();
}

#[test]
fn what_follows_a_close_notify_is_ignored() {
    let mut siege = Siege::start(&adjunct!(), &["tickets = 0"]);
    let records = siege.attack(&["completed"], |siege| {
        for version in [&TLS12, &TLS13] {
            let mut crafted = established(siege, version);
            crafted.send(ContentType::Alert, &[1, 0]).unwrap();
            for _ in 0..20 {
                let _ = crafted.send(ContentType::ApplicationData, b"one more thing");
            }
            let _ = crafted.socket.write_all(b"and noise");
            // Who goes on talking may find the door closed.
            let _ = crafted.socket.shutdown(Shutdown::Write);
            let _ = crafted.receive_all();
        }
        2
    });
    for record in records {
        assert_eq!(record.number("bytes_in"), 5, "{}", record.0);
    }
    siege.end();
}

#[test]
fn answers_to_key_updates_do_not_pile_up() {
    let mut siege = Siege::start(&adjunct!(), &["tickets = 0"]);
    siege.attack(&["completed", "peer-reset", "truncated"], |siege| {
        let mut crafted = established(siege, &TLS13);
        // Each is paid for with data, and nothing is read: what is echoed must fit in the sockets.
        let mut flood = || {
            for _ in 0..2_000 {
                crafted.send(ContentType::Handshake, KEY_UPDATE_REQUESTED).unwrap();
                crafted.send(ContentType::ApplicationData, b"x").unwrap();
            }
            wait_still(|| siege.daemon().resident_kib())
        };
        // The first flood brings the daemon to its size.
        let before = flood();
        let grown = flood().saturating_sub(before);
        // Good clients are served meanwhile, and each pool member grows to its own size.
        assert!(grown < 4 * 1024, "{grown} KiB");
        crafted.socket.shutdown(Shutdown::Write).unwrap();
        1
    });
    siege.end();
}

/// The answer to a hello that makes the daemon ask for another one, and to that other one.
fn retried(siege: &Siege, first: &Wild, second: &Wild) -> Reply {
    let mut stream = connect(siege.address());
    stream.write_all(&first.records()).unwrap();
    let mut header = [0; 5];
    stream.read_exact(&mut header).unwrap();
    assert_eq!(header[0], 22, "HelloRetryRequest");
    let mut message = vec![0; u16::from_be_bytes([header[3], header[4]]).into()];
    stream.read_exact(&mut message).unwrap();
    // It may bring the ChangeCipherSpec of compatibility mode before or after our hello.
    let _ = stream.write_all(&second.records());
    let _ = stream.shutdown(Shutdown::Write);
    collect(&mut stream)
}

#[test]
fn a_second_hello_that_differs_is_refused() {
    use extension::{ALPN, GROUPS, KEY_SHARE, VERSIONS};
    let mut siege = Siege::start(&adjunct!(), &[]);
    let good = Wild::of(&Client::new(siege.pki()).first_flight(NAME));
    let x25519 = good.clone().with(GROUPS, &vector16(&[0, 0x1d]));
    let entry = [&[0, 0x1d][..], &vector16(&[9; 32])].concat();
    let right = x25519.clone().with(KEY_SHARE, &vector16(&entry));
    let first = x25519.with(KEY_SHARE, &[0, 0]);
    let refused = [
        ("the same again", first.clone()),
        ("another share", {
            let entry = [&[0, 0x17][..], &vector16(&[4; 65])].concat();
            right.clone().with(KEY_SHARE, &vector16(&entry))
        }),
        ("another name", right.clone().to(b"evil.test")),
        ("other suites", Wild { suites: vec![0x13, 0x09], ..right.clone() }),
        ("an older version", right.clone().with(VERSIONS, &[2, 3, 3])),
        ("a shorter one", right.clone().without(GROUPS)),
    ];
    let rules = [
        "illegal-parameter",
        "missing-extension",
        "no-common-cipher",
        "no-common-group",
        "protocol-too-old",
        "unexpected-message",
        "undecodable-hello",
    ];
    siege.attack(&rules, |siege| {
        for (what, second) in &refused {
            let reply = retried(siege, &first, second);
            let goes_on = reply.records().iter().any(|(kind, _)| [22, 23].contains(kind));
            assert!(!goes_on, "{what}: {reply:?}");
        }
        refused.len()
    });
    let served =
        [("right", right.clone()), ("other protocols", right.with(ALPN, &[0, 3, 2, 104, 50]))];
    siege.attack(&["peer-closed", "peer-reset"], |siege| {
        for (what, second) in &served {
            let reply = retried(siege, &first, second);
            let goes_on = reply.records().iter().any(|(kind, _)| *kind == 22);
            assert!(goes_on, "{what}: {reply:?}");
        }
        served.len()
    });
    siege.end();
}
