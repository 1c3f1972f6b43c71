//! Peers that break the rules, and peers that vanish at the wrong moment.
//!
//! Source: RFC 8446 §4.6.3, §5.1, §6; RFC 5246 §7.2.2.

mod garbage;
mod hellos;
mod moments;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use adjunct_tests::backend::{Backend, Served};
use adjunct_tests::client::crafted::{Crafted, KEY_UPDATE, KEY_UPDATE_REQUESTED};
use adjunct_tests::client::stock::{Client, Offer, Tls};
use adjunct_tests::config::{Service, file};
use adjunct_tests::daemon::Daemon;
use adjunct_tests::hello::{AEAD, Hello, TLS12 as TLS12_NUMBER};
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::scene::{self, NAME, Scene};
use adjunct_tests::{adjunct, bulk, wait_still, wait_until};
use rustls::ContentType;
use rustls::version::{TLS12, TLS13};
use socket2::SockRef;

use moments::up_to_second_flight;

/// A service that greets and, when it is told to, says `last_words` and leaves.
struct Leaving {
    backend: Backend,
    go: Arc<AtomicBool>,
    gone: Arc<AtomicBool>,
}

impl Leaving {
    fn new(last_words: &'static [u8], reset: bool) -> Self {
        let (go, gone) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (told, tell) = (Arc::clone(&go), Arc::clone(&gone));
        let backend = Backend::start(move |Served { mut stream, .. }| {
            stream.write_all(b"hello")?;
            wait_until("the backend may leave", || told.load(Ordering::Relaxed));
            stream.write_all(last_words)?;
            if reset {
                SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO))?;
            }
            drop(stream);
            tell.store(true, Ordering::Relaxed);
            Ok(())
        });
        Self { backend, go, gone }
    }

    /// Tells it, and waits until it has gone.
    fn leave(&self) {
        self.go.store(true, Ordering::Relaxed);
        wait_until("the backend has gone", || self.gone.load(Ordering::Relaxed));
    }
}

#[test]
fn a_reset_that_shows_itself_while_writing_is_no_orderly_end() {
    for last_words in [&b""[..], b"sorry"] {
        let leaving = Leaving::new(last_words, true);
        let Scene { mut daemon, pki } = scene::one(&adjunct!(), leaving.backend.address, &[]);
        let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
        assert_eq!(tls.read_some(5).unwrap(), b"hello");
        daemon.frozen(|| {
            leaving.leave();
            (&mut &tls).write_all(b"is this on?").unwrap();
        });
        assert_eq!(tls.read_some(last_words.len()).unwrap(), last_words);
        assert!(tls.read_to_close().is_err(), "the client takes the cut answer for complete");
        daemon.record().expect("outcome", "aborted").expect("rule", "backend-reset");
    }
}

#[test]
fn a_backend_that_answers_and_leaves_is_heard_although_the_client_still_talks() {
    let leaving = Leaving::new(b"enough", false);
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), leaving.backend.address, &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.read_some(5).unwrap(), b"hello");
    daemon.frozen(|| {
        leaving.leave();
        // The first of these records makes the backend's kernel reset, the next one meets it.
        for _ in 0..4 {
            (&mut &tls).write_all(b"and another thing").unwrap();
        }
    });
    assert_eq!(tls.read_to_close().unwrap(), b"enough");
    daemon.completed();
}

#[test]
fn a_client_that_resets_is_noticed_although_its_data_cannot_be_passed_on() {
    let never = Arc::new(AtomicBool::new(false));
    let backend = Backend::reads_late(1, Arc::clone(&never));
    let lines = ["timeouts = { idle = \"5s\" }"];
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &lines);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    let socket = tls.socket().try_clone().unwrap();
    let sent = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while (&mut &tls).write_all(&[7; 16 << 10]).is_ok() {
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
        wait_still(|| sent.load(Ordering::Relaxed));
        SockRef::from(&socket).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        socket.shutdown(Shutdown::Both).unwrap();
    });
    drop(socket);
    tls.reset().unwrap();
    daemon.record().expect("outcome", "aborted").expect("rule", "peer-reset");
    never.store(true, Ordering::Relaxed);
}

#[test]
fn a_lack_of_descriptors_is_said_once_and_passes() {
    let echo = Backend::echo();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), echo.address, &[]);
    let spare = 20;
    daemon.limit_descriptors(daemon.descriptors() as u64 + spare);
    let crowd: Vec<TcpStream> =
        (0..spare + 10).map(|_| TcpStream::connect(daemon.address()).unwrap()).collect();
    let said = |log: String| log.matches("\"accept-failed\"").count();
    wait_until("the daemon says what it lacks", || said(daemon.log()) > 0);
    let sent = wait_still(|| said(daemon.log()) as u64);
    assert!(sent <= 2, "once for each member, but: {}", daemon.log());
    drop(crowd);
    for _ in 0..spare + 10 {
        daemon.record().expect("outcome", "abandoned");
    }
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    daemon.completed();
    daemon.stop();
}

/// A handshake in one version, and then a client that may do anything.
fn crafted(scene: &Scene<1>, version: &'static rustls::SupportedProtocolVersion) -> Crafted {
    let offer = Offer { versions: vec![version], ..Offer::default() };
    Crafted::connect(&Client::offering(&scene.pki, offer), scene.daemon.address(), NAME)
}

/// The same, when the daemon has seen the end of the handshake and reached the backend.
fn crafted_and_echoed(
    scene: &Scene<1>,
    version: &'static rustls::SupportedProtocolVersion,
) -> Crafted {
    let mut client = crafted(scene, version);
    client.send(ContentType::ApplicationData, b"hello").unwrap();
    let echo = (ContentType::ApplicationData, b"hello".to_vec());
    assert_eq!(client.receive().unwrap(), Some(echo));
    client
}

/// A service that echoes and gives no tickets.
fn bare_echo(backend: &Backend) -> Scene<1> {
    scene::one(&adjunct!(), backend.address, &["tickets = 0"])
}

/// The fatal alert at the end of what arrived before the FIN; none when the end came without one.
#[track_caller]
fn fatal_alert(client: &mut Crafted) -> Option<u64> {
    let all = client.receive_all().expect("records, then FIN");
    match all.last()? {
        (ContentType::Alert, alert) if alert.len() == 2 && alert[0] == 2 => Some(alert[1].into()),
        _ => None,
    }
}

#[test]
fn floods_after_the_handshake_are_refused() {
    let echo = Backend::echo();
    let mut scene = bare_echo(&echo);
    let hello = Hello::of(TLS12_NUMBER, AEAD).to(NAME);
    let hello = &hello.record()[5..];
    for (what, version, kind, contents, rule) in [
        ("KeyUpdate", &TLS13, ContentType::Handshake, KEY_UPDATE_REQUESTED, "record-flood"),
        ("empty data", &TLS13, ContentType::ApplicationData, &[][..], "record-flood"),
        ("empty data", &TLS12, ContentType::ApplicationData, &[], "record-flood"),
        ("user_canceled", &TLS13, ContentType::Alert, &[1, 90], "record-flood"),
        ("warnings", &TLS12, ContentType::Alert, &[1, 100], "record-flood"),
        ("renegotiation", &TLS12, ContentType::Handshake, hello, "renegotiation"),
    ] {
        let mut client = crafted_and_echoed(&scene, version);
        let flood: Vec<u8> = (0..2_000).flat_map(|_| client.seal(kind, contents)).collect();
        // It may be cut off in the middle, and then by a reset: what is sent is not read any more.
        let _ = client.socket.write_all(&flood);
        let record = scene.daemon.record();
        assert_eq!(record.text("rule"), rule, "{what} {version:?}: {}", record.0);
        record.expect("outcome", "aborted").expect("fault", "peer");
    }
    let tls = Client::new(&scene.pki).connect(scene.daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    scene.daemon.completed();
}

#[test]
fn a_client_that_takes_turns_between_floods_is_refused() {
    let echo = Backend::echo();
    let mut scene = bare_echo(&echo);
    let empty = (ContentType::ApplicationData, &[][..]);
    let mut client = crafted_and_echoed(&scene, &TLS13);
    // Each kind stays below the bound of rustls, which the other kind sets back.
    for turn in 0..200 {
        let kinds = [(ContentType::Handshake, KEY_UPDATE), empty, empty];
        for (kind, contents) in kinds {
            let _ = client.send(kind, contents);
        }
        // Data pays: who moves some may go on.
        if turn < 50 {
            client.send(ContentType::ApplicationData, &[7; 4096]).unwrap();
            let echo = (ContentType::ApplicationData, vec![7; 4096]);
            assert_eq!(client.receive().unwrap(), Some(echo));
        }
    }
    let record = scene.daemon.record();
    record.expect("outcome", "aborted").expect("rule", "record-flood");
    assert_eq!(record.number("bytes_in"), 5 + 50 * 4096);
    scene.daemon.stop();
}

#[test]
fn an_answer_to_a_key_update_stands_in_front_of_the_data_behind_it() {
    let echo = Backend::echo();
    let scene = bare_echo(&echo);
    let mut client = crafted_and_echoed(&scene, &TLS13);
    for length in [1, 100, 16_384, 50_000] {
        let sent: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
        client.send(ContentType::Handshake, KEY_UPDATE_REQUESTED).unwrap();
        for data in sent.chunks(16_384) {
            client.send(ContentType::ApplicationData, data).unwrap();
        }
        let answer = (ContentType::Handshake, KEY_UPDATE.to_vec());
        assert_eq!(client.receive().unwrap(), Some(answer));
        let mut echoed = Vec::new();
        while echoed.len() < sent.len() {
            let (kind, data) = client.receive().unwrap().unwrap();
            assert_eq!(kind, ContentType::ApplicationData);
            echoed.extend(data);
        }
        assert_eq!(echoed, sent);
    }
    drop(client);
    scene.daemon.stop();
}

#[test]
fn what_a_client_breaks_right_behind_its_finished_is_no_refused_handshake() {
    let echo = Backend::echo();
    let mut scene = bare_echo(&echo);
    for version in [&TLS12, &TLS13] {
        let offer = Offer { versions: vec![version], ..Offer::default() };
        let client = Client::offering(&scene.pki, offer);
        let (mut socket, mut flight) = up_to_second_flight(scene.daemon.address(), &client);
        flight.extend([23, 3, 3, 0, 40]);
        flight.extend([7; 40]);
        socket.write_all(&flight).unwrap();
        let record = scene.daemon.record();
        record.expect("outcome", "aborted").expect("rule", "bad-record");
        assert!(record.field("handshake_ms").is_number(), "it was complete: {}", record.0);
    }
    scene.daemon.stop();
}

#[test]
fn after_our_close_notify_a_bad_record_is_recorded_and_not_answered() {
    let closing = Backend::closes_first();
    let mut scene = bare_echo(&closing);
    for version in [&TLS12, &TLS13] {
        let mut client = crafted(&scene, version);
        let goodbye = (ContentType::ApplicationData, b"goodbye\n".to_vec());
        assert_eq!(client.receive().unwrap(), Some(goodbye));
        assert_eq!(client.receive().unwrap(), Some((ContentType::Alert, vec![1, 0])));
        client.send(ContentType::ApplicationData, b"still talking").unwrap();
        client.socket.write_all(&[&[23, 3, 3, 0, 40][..], &[7; 40]].concat()).unwrap();
        assert_eq!(client.receive().unwrap(), None, "nothing follows a close_notify");
        let record = scene.daemon.record();
        record.expect("outcome", "aborted").expect("rule", "bad-record");
        assert_eq!(record.alert_sent(), None, "{}", record.0);
    }
    scene.daemon.stop();
}

#[test]
fn broken_records_after_the_handshake_are_answered_with_the_alert_of_the_record() {
    let echo = Backend::echo();
    let mut scene = bare_echo(&echo);
    for version in [&TLS12, &TLS13] {
        for (what, bytes, alert, rule) in [
            ("text", b"GET / HTTP/1.1\r\n\r\n".to_vec(), 50, "malformed-record"),
            ("oversized", [&[23, 3, 3, 0x48, 1][..], &[0; 0x4801]].concat(), 50, "record-overflow"),
            ("forged", [&[23, 3, 3, 0, 40][..], &[7; 40]].concat(), 20, "bad-record"),
            ("unknown type", vec![99, 3, 3, 0, 1, 0], 50, "malformed-record"),
            ("wrong version", vec![23, 9, 9, 0, 1, 0], 50, "malformed-record"),
            ("too short", vec![23, 3, 3, 0, 1, 0], 20, "bad-record"),
            ("empty", vec![23, 3, 3, 0, 0], 20, "bad-record"),
            ("alert in clear", vec![21, 3, 3, 0, 2, 2, 40], 20, "bad-record"),
            ("hello in clear", vec![22, 3, 3, 0, 5, 1, 0, 0, 1, 0], 20, "bad-record"),
        ] {
            let mut client = crafted_and_echoed(&scene, version);
            // A second time: after the first error nothing is looked at.
            client.socket.write_all(&[bytes.clone(), bytes].concat()).unwrap();
            assert_eq!(fatal_alert(&mut client), Some(alert), "{what} {version:?}");
            let record = scene.daemon.record();
            record.expect("outcome", "aborted").expect("rule", rule);
            assert_eq!(record.alert_sent(), Some(alert), "{what} {version:?}: {}", record.0);
        }
    }
    scene.daemon.stop();
}

/// A service that sends `length` bytes of a pattern for every byte it gets.
fn repeats(length: u64) -> Backend {
    Backend::start(move |Served { mut stream, .. }| {
        let mut one = [0];
        while stream.read(&mut one)? == 1 {
            bulk::send(&mut stream, one[0].into(), length, |_| {})?;
        }
        stream.shutdown(Shutdown::Write)
    })
}

/// Reads `length` bytes of the pattern `seed`, whatever their records are.
#[track_caller]
fn read_pattern(client: &mut Crafted, seed: u64, length: u64) {
    let mut pattern = bulk::Pattern::new(seed);
    while pattern.position() < length {
        match client.receive().unwrap() {
            Some((ContentType::ApplicationData, data)) => pattern.check(&data),
            other => panic!("not data: {other:?}"),
        }
    }
}

#[test]
fn data_flows_while_a_message_of_the_client_is_incomplete() {
    const LENGTH: u64 = 300_000;
    let backend = repeats(LENGTH);
    let mut scene = bare_echo(&backend);
    let hello = Hello::of(TLS12_NUMBER, AEAD).to(NAME).record()[5..].to_vec();
    for version in [&TLS12, &TLS13] {
        let mut client = crafted(&scene, version);
        // A record of which the end comes later.
        client.send(ContentType::ApplicationData, &[1]).unwrap();
        let record = client.seal(ContentType::ApplicationData, &[2]);
        client.socket.write_all(&record[..10]).unwrap();
        read_pattern(&mut client, 1, LENGTH);
        client.socket.write_all(&record[10..]).unwrap();
        read_pattern(&mut client, 2, LENGTH);
        // Data in front of a handshake message that is not complete: a KeyUpdate, or the hello of a
        // renegotiation.
        let message = if *version == TLS13 { KEY_UPDATE_REQUESTED } else { &hello };
        client.send(ContentType::ApplicationData, &[3]).unwrap();
        for piece in [&message[..2], &message[2..3]] {
            client.send(ContentType::Handshake, piece).unwrap();
        }
        read_pattern(&mut client, 3, LENGTH);
        client.send(ContentType::Handshake, &message[3..]).unwrap();
        if *version == TLS12 {
            let refused = (ContentType::Alert, vec![1, 100]);
            assert_eq!(client.receive().unwrap(), Some(refused), "no_renegotiation");
            client.send(ContentType::ApplicationData, &[4]).unwrap();
            read_pattern(&mut client, 4, LENGTH);
        }
        client.socket.shutdown(Shutdown::Write).unwrap();
        let _ = client.receive_all();
        scene.daemon.record().expect("rule", "truncated");
    }
    scene.daemon.stop();
}

#[test]
fn a_message_that_is_interleaved_with_data_is_refused() {
    let echo = Backend::echo();
    let mut scene = bare_echo(&echo);
    let mut client = crafted_and_echoed(&scene, &TLS13);
    client.send(ContentType::Handshake, &KEY_UPDATE_REQUESTED[..3]).unwrap();
    client.send(ContentType::ApplicationData, b"hello").unwrap();
    assert_eq!(fatal_alert(&mut client), None, "rustls sends none for this");
    let record = scene.daemon.record();
    record.expect("outcome", "aborted").expect("rule", "illegal-parameter");
    assert_eq!(record.alert_sent(), None);
    scene.daemon.stop();
}

#[test]
fn data_that_comes_with_the_last_handshake_message_is_passed_on() {
    let backend = Backend::answers_after_half_close();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[]);
    for version in [&TLS12, &TLS13] {
        let offer = Offer { versions: vec![version], ..Offer::default() };
        let client = Client::offering(&pki, offer);
        // Full, then resumed: there the client's Finished comes first in TLS 1.2, too.
        for _ in 0..2 {
            let tls = daemon_sees_at_once(&daemon, &client, &[9; 40_000]);
            assert_eq!(tls.read_to_close().unwrap(), b"40000 bytes\n");
            assert_eq!(daemon.completed().number("bytes_in"), 40_000);
        }
    }
}

/// Connects and lets the daemon find all that follows the handshake in one piece.
fn daemon_sees_at_once(daemon: &Daemon<1>, client: &Client, data: &[u8]) -> Tls {
    let tls = client.connect(daemon.address(), NAME).unwrap();
    daemon.frozen(|| {
        (&mut &tls).write_all(data).unwrap();
        tls.end().unwrap();
    });
    tls
}

#[test]
fn connections_at_rest_cost_no_cpu() {
    let never = Arc::new(AtomicBool::new(false));
    let silent = Backend::reads_late(1, Arc::clone(&never));
    let closing = Backend::closes_first();
    let pki = Pki::new();
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let daemon = adjunct!().start(|at: [_; 2]| {
        file(&[
            Service::new("silent", at[0], silent.address, &leaf),
            Service::new("closing", at[1], closing.address, &leaf),
        ])
    });
    let [to_silent, to_closing] = daemon.addresses;
    let client = Client::new(&pki);
    // No hello, half a hello, an idle connection, each half-closed by one side, and back-pressure.
    let _no_hello = TcpStream::connect(to_silent).unwrap();
    let mut half = TcpStream::connect(to_silent).unwrap();
    half.write_all(&Hello::of(TLS12_NUMBER, AEAD).record()[..30]).unwrap();
    let _idle = client.connect(to_silent, NAME).unwrap();
    let by_client = client.connect(to_silent, NAME).unwrap();
    by_client.end().unwrap();
    let by_backend = client.connect(to_closing, NAME).unwrap();
    assert_eq!(by_backend.read_to_close().unwrap(), b"goodbye\n");
    let pressed = client.connect(to_silent, NAME).unwrap();
    pressed.socket().set_nonblocking(true).unwrap();
    while (&mut &pressed).write_all(&[7; 16 << 10]).is_ok() {}
    let refused = TcpStream::connect(to_silent).unwrap();
    (&refused).write_all(b"GET / HTTP/1.0\r\n").unwrap();
    let busy = wait_still(|| daemon.cpu_ticks());
    std::thread::sleep(std::time::Duration::from_secs(1));
    let used = daemon.cpu_ticks() - busy;
    assert!(used <= 20, "{used} hundredths of a second of CPU for nothing");
    never.store(true, Ordering::Relaxed);
}

#[test]
fn a_thousand_connections_leave_nothing_behind() {
    let echo = Backend::echo();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), echo.address, &[]);
    let client = Client::new(&pki);
    let base = {
        let tls = client.connect(daemon.address(), NAME).unwrap();
        assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
        daemon.completed();
        wait_still(|| daemon.descriptors() as u64)
    };
    let half: Vec<_> = (0..1000).map(|_| TcpStream::connect(daemon.address()).unwrap()).collect();
    for (n, mut stream) in half.iter().enumerate() {
        let hello = Hello::of(TLS12_NUMBER, AEAD).to(NAME).record();
        stream.write_all(&hello[..n % hello.len()]).unwrap();
    }
    // Meanwhile good clients are served.
    let tls = client.connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    drop(tls);
    for (n, stream) in half.into_iter().enumerate() {
        if n % 2 == 0 {
            SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        }
    }
    let mut completed = 0;
    let mut ids: Vec<u64> = (0..1001)
        .map(|_| {
            let record = daemon.record();
            completed += usize::from(record.outcome() == "completed");
            record.number("conn_id")
        })
        .collect();
    assert_eq!(completed, 1);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1001, "each connection leaves one record");
    wait_until("its descriptors are closed", || daemon.descriptors() as u64 <= base);
    daemon.stop();
}

#[test]
fn halves_of_hellos_cost_little_memory() {
    const CROWD: usize = 1_000;
    let echo = Backend::echo();
    let Scene { daemon, pki } = scene::one(&adjunct!(), echo.address, &[]);
    let hello = Client::new(&pki).first_flight(NAME);
    let come = || -> Vec<TcpStream> {
        let one = |_| {
            let mut stream = TcpStream::connect(daemon.address()).unwrap();
            stream.write_all(&hello[..hello.len() / 2]).unwrap();
            stream
        };
        (0..CROWD).map(one).collect()
    };
    // The first crowd brings the daemon to its size, the second one must fit in it, all but.
    drop(come());
    let base = wait_still(|| daemon.resident_kib());
    let crowd = come();
    let grown = wait_still(|| daemon.resident_kib()).saturating_sub(base);
    assert!(grown < 16 * CROWD as u64, "{grown} KiB for {CROWD} halves of hellos");
    drop(crowd);
    daemon.stop();
}
