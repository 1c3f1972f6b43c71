//! Limits: each refuses by its own rule, and gives back what it counted.
//!
//! Source: the rules of `[server] limits` and `[[service]] limits`.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use adjunct::daemon::Joined;
use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::Client;
use adjunct_tests::config::{Service, file, loops_stand_still, workers};
use adjunct_tests::hello::{AEAD, Hello, TLS12, connect, exchange};
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::scene::{NAME, Scene};
use adjunct_tests::{adjunct, scene, wait_until};
use cex::fault::Fault;
use engine::record::Outcome;
use socket2::{Domain, SockRef, Socket, Type};

use crate::faults::Inside;

/// One service behind a daemon with a line for `[server]`.
fn with_server_line(backend: SocketAddr, line: &str) -> Scene<1> {
    let pki = Pki::new();
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let daemon = adjunct!().start(|[at]| {
        let text = file(&[Service::new("plain", at, backend, &leaf)]);
        text.replacen("[server]\n", &format!("[server]\n{line}\n"), 1)
    });
    Scene { daemon, pki }
}

/// Connects from another address of this host.
fn connect_from(from: &str, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from: SocketAddr = format!("{from}:0").parse().unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

/// Whether the daemon has closed a connection on which nothing was said; a reset is a way, too.
fn is_turned_away(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    match stream.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// `limits` lets two connections of this client in. The third is refused by `rule`, and when one
/// has gone there is room again.
fn two_and_no_more(scene: Scene<1>, rule: &str, setting: &str) {
    let Scene { mut daemon, pki } = scene;
    let client = Client::new(&pki);
    let held = [(); 2].map(|()| client.connect(daemon.address(), NAME).unwrap());
    let third = exchange(daemon.address(), &Hello::of(TLS12, AEAD).to(NAME).record());
    assert!(third.bytes.is_empty(), "{third:?}");
    daemon.record().expect("rule", rule).expect("outcome", "refused").explains(setting);
    let [first, second] = held;
    assert_eq!(first.talk(b"hello").unwrap(), b"hello");
    daemon.completed();
    wait_until("there is room again", || match client.connect(daemon.address(), NAME) {
        Ok(tls) => tls.talk(b"hello").is_ok(),
        Err(_) => false,
    });
    assert_eq!(second.talk(b"hello").unwrap(), b"hello");
    daemon.stop();
}

#[test]
fn the_process_has_a_limit_of_connections() {
    let echo = Backend::echo();
    let scene = with_server_line(echo.address, "limits = { connections = 2 }");
    two_and_no_more(scene, "too-many-connections", "server.limits.connections");
}

#[test]
fn a_client_has_a_limit_of_connections_and_others_are_served_meanwhile() {
    let echo = Backend::echo();
    let scene = with_server_line(echo.address, "limits = { per_peer = 2 }");
    // Members take them in as they come to it, so that any of the three can be the one too many.
    let mut held: Vec<TcpStream> =
        (0..3).map(|_| connect_from("127.0.0.9", scene.daemon.address())).collect();
    wait_until("one is turned away", || {
        held.retain_mut(|stream| !is_turned_away(stream));
        held.len() < 3
    });
    assert_eq!(held.len(), 2);
    let Scene { mut daemon, pki } = scene;
    daemon.record().expect("rule", "too-many-from-peer").explains("server.limits.per_peer");
    drop(held);
    for _ in 0..2 {
        daemon.record().expect("rule", "peer-closed");
    }
    two_and_no_more(Scene { daemon, pki }, "too-many-from-peer", "server.limits.per_peer");
}

#[test]
fn a_service_has_a_limit_for_each_client() {
    let echo = Backend::echo();
    let scene = scene::one(&adjunct!(), echo.address, &["limits = { per_peer = 2 }"]);
    two_and_no_more(scene, "too-many-from-peer", "limits.per_peer");
}

#[test]
fn silent_clients_make_room_for_each_other_and_not_for_good_ones() {
    const SILENT: usize = 300;
    const LIMIT: usize = 40;
    let echo = Backend::echo();
    let line = format!("limits = {{ hello = {LIMIT} }}");
    let Scene { mut daemon, pki } = with_server_line(echo.address, &line);
    let client = Client::new(&pki);
    let (mut silent, mut served) = (Vec::new(), 0);
    for n in 0..SILENT {
        silent.push(TcpStream::connect(daemon.address()).unwrap());
        if n % 50 == 0 {
            let tls = client.connect(daemon.address(), NAME).unwrap();
            assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
            served += 1;
        }
    }
    // One that has begun to speak is silent still.
    silent.last().unwrap().write_all(&[22, 3, 1]).unwrap();
    let mut rules = std::collections::BTreeMap::new();
    let mut count = |daemon: &mut adjunct_tests::daemon::Daemon<1>, records: usize| {
        for _ in 0..records {
            let record = daemon.record();
            let rule = record.text("rule").to_owned();
            if rule == "too-many-hellos" {
                record.expect("outcome", "refused").explains("server.limits.hello");
            }
            *rules.entry(rule).or_insert(0) += 1;
        }
        rules.clone()
    };
    // A member with less than its share keeps what it has, so a few more than the limit may stay.
    let kept_at_most = LIMIT + LIMIT / workers() * (workers() - 1);
    let _ = count(&mut daemon, SILENT - kept_at_most);
    drop(silent);
    let rules = count(&mut daemon, served + kept_at_most);
    assert_eq!(rules[""], served, "{rules:?}");
    let pushed_out = rules["too-many-hellos"];
    assert!((SILENT - kept_at_most..=SILENT - LIMIT).contains(&pushed_out), "{rules:?}");
    assert_eq!(rules["peer-closed"], SILENT - pushed_out, "{rules:?}");
    daemon.stop();
}

#[test]
fn near_the_limit_of_handshakes_only_those_that_resume_are_let_in() {
    const FULL: usize = 7;
    let echo = Backend::echo();
    let lines = ["limits = { handshakes = 8 }", "timeouts = { handshake = \"30s\" }"];
    let inside = Inside::start(&echo, Kind::P256, &lines);
    let client = Client::new(&inside.pki);
    let first = client.connect(inside.address, NAME).unwrap();
    assert_eq!(first.talk(b"hello").unwrap(), b"hello");
    let _ = inside.record();
    let hello = Hello::of(TLS12, AEAD).to(NAME).record();
    if loops_stand_still() {
        // A loop that stands still has one handshake in flight, so the limit is never near.
        inside.break_cards(Fault::Slow(Duration::from_millis(20)));
        for _ in 0..FULL + 2 {
            let mut stream = connect(inside.address);
            stream.write_all(&hello).unwrap();
            let mut first = [0];
            stream.read_exact(&mut first).unwrap();
            assert_eq!(first, [22], "a ServerHello");
            drop(stream);
            let rule = inside.record().refusal.unwrap().rule;
            assert!(["peer-closed", "peer-reset"].contains(&rule), "{rule}");
        }
        assert_eq!((inside.in_flight(), inside.end()), (0, Joined::default()));
        return;
    }
    inside.break_cards(Fault::Slow(Duration::from_secs(3)));
    let waiting: Vec<TcpStream> = (1..=FULL)
        .map(|n| {
            let mut stream = connect(inside.address);
            stream.write_all(&hello).unwrap();
            wait_until("the handshake is in flight", || inside.in_flight() == n);
            stream
        })
        .collect();
    assert!(exchange(inside.address, &hello).bytes.is_empty());
    let refusal = inside.record().refusal.unwrap();
    assert_eq!(refusal.rule, "resumption-only");
    assert!(refusal.hint.contains("limits.handshakes"), "{refusal:?}");
    // Its ticket saves the signature, so it does not wait for the cards either.
    let resumed = client.connect(inside.address, NAME).unwrap();
    assert!(!resumed.is_full());
    assert_eq!(resumed.talk(b"again").unwrap(), b"again");
    let record = inside.record();
    assert_eq!((record.outcome, record.resumed), (Outcome::Completed, true));
    assert_eq!(inside.in_flight(), FULL, "the full ones still wait");
    drop(waiting);
    for _ in 0..FULL {
        assert!(inside.record().refusal.is_some());
    }
    inside.repair_cards();
    inside.serves();
    assert_eq!((inside.in_flight(), inside.end()), (0, Joined::default()));
}

/// What the daemon counts: connections, hellos, peers, connections and handshakes of services.
fn counts(inside: &Inside) -> [usize; 5] {
    let runtime = inside.daemon().runtime();
    let service = runtime.services().next().unwrap();
    let load = |counter: &std::sync::atomic::AtomicUsize| {
        counter.load(std::sync::atomic::Ordering::Relaxed)
    };
    let admission = &runtime.admission;
    [
        admission.connections.now(),
        admission.hellos.now(),
        service.peers.len(),
        load(&service.open),
        load(&service.handshakes),
    ]
}

#[test]
fn however_a_connection_ends_its_places_are_given_back() {
    let echo = Backend::echo();
    let inside = Inside::start(&echo, Kind::P256, &["limits = { per_peer = 1000 }"]);
    let hello = Hello::of(TLS12, AEAD).to(NAME).record();
    let reset = |stream: TcpStream| {
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    };
    drop(TcpStream::connect(inside.address).unwrap());
    reset(TcpStream::connect(inside.address).unwrap());
    let _ = exchange(inside.address, b"GET / HTTP/1.0\r\n\r\n");
    let _ = exchange(inside.address, &Hello::of(0x0301, AEAD).record());
    let _ = exchange(inside.address, &hello);
    let mut cut = connect(inside.address);
    cut.write_all(&hello[..hello.len() / 2]).unwrap();
    reset(cut);
    for _ in 0..6 {
        let _ = inside.record();
    }
    inside.serves();
    inside.break_cards(Fault::Slow(Duration::from_millis(300)));
    let mut waiting = connect(inside.address);
    waiting.write_all(&hello).unwrap();
    wait_until("the handshake is in flight", || inside.in_flight() == 1);
    reset(waiting);
    let _ = inside.record();
    inside.repair_cards();
    let open = Client::new(&inside.pki).connect(inside.address, NAME).unwrap();
    wait_until("it is counted", || counts(&inside) == [1, 0, 1, 1, 0]);
    open.reset().unwrap();
    let _ = inside.record();
    wait_until("everything is given back", || counts(&inside) == [0; 5]);
    assert_eq!(inside.end(), Joined::default());
}

#[test]
fn behind_a_load_balancer_the_client_is_counted_and_not_the_balancer() {
    let echo = Backend::echo();
    let pki = Pki::new();
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let mut daemon = adjunct!().start(|[at]| {
        let service = Service::new("plain", at, echo.address, &leaf);
        let text = file(&[service.with("accept_proxy = [\"127.0.0.0/8\"]")]);
        text.replacen("[server]\n", "[server]\nlimits = { per_peer = 1 }\n", 1)
    });
    let hello = Hello::of(TLS12, AEAD).to(NAME).record();
    let client = |address: &str| {
        let header = format!("PROXY TCP4 {address} 192.0.2.99 40000 443\r\n");
        let mut stream = connect(daemon.address());
        stream.write_all(&[header.as_bytes(), &hello].concat()).unwrap();
        stream
    };
    let answered = |mut stream: TcpStream| {
        let mut first = [0];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(first, [22], "a ServerHello");
        stream
    };
    let first = answered(client("192.0.2.1"));
    let other = answered(client("192.0.2.2"));
    let mut third = client("192.0.2.1");
    wait_until("it is turned away", || is_turned_away(&mut third));
    daemon.record().expect("rule", "too-many-from-peer").expect("peer", "192.0.2.1:40000");
    drop((first, other));
}
