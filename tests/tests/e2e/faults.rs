//! Cards that fail, are slow or lose a reply while clients wait for them.
//!
//! The daemon runs inside the test here: faults are injected by calls into cex, and its counters
//! are read without asking.
//!
//! Source: RFC 8446 §6.2 (internal_error).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use adjunct::config;
use adjunct::daemon::{Daemon, Joined};
use adjunct::observe::Log;
use adjunct::observe::log::Records;
use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::Client;
use adjunct_tests::config::{Service, file, loops_stand_still, workers};
use adjunct_tests::daemon::free_address;
use adjunct_tests::hello::{AEAD, Hello, TLS12, TLS13, collect, connect, exchange};
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::process::PATIENCE;
use adjunct_tests::scene::NAME;
use adjunct_tests::wait_until;
use cex::fault::{Fault, Target};
use engine::alert::Alert;
use engine::record::{KeyPath, Outcome, Record};
use socket2::SockRef;
use tempfile::TempDir;

/// Every signature is made by a card.
pub(crate) const ON_CARDS: &str = "[route]\necdsa = \"cex\"\n";

/// A daemon in this process, with its work of once a second.
pub(crate) struct Inside {
    pub(crate) daemon: Option<Arc<Daemon>>,
    pub(crate) records: Records,
    pub(crate) address: SocketAddr,
    pub(crate) pki: Pki,
    stop: Arc<AtomicBool>,
    ticks: Option<JoinHandle<()>>,
}

impl Inside {
    /// One service with one certificate in front of `backend`, and more lines for it.
    pub(crate) fn start(backend: &Backend, kind: Kind, lines: &[&str]) -> Self {
        let pki = Pki::new();
        let leaf = pki.issue("leaf", &Leaf::new(kind, &[NAME]));
        let address = free_address();
        let service = Service::new("plain", address, backend.address, &leaf);
        let text = file(&[lines.iter().fold(service, |service, line| service.with(line))]);
        Self::with(&format!("{text}{ON_CARDS}"), pki, address)
    }

    /// The services of a configuration, the first of which listens at `address`.
    pub(crate) fn with(text: &str, pki: Pki, address: SocketAddr) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("adjunct.toml");
        std::fs::write(&path, text).unwrap();
        let report = config::load_without_files(&path);
        let (log, records) = Log::captured();
        let mut config = report.config.unwrap_or_else(|| panic!("{:?}", report.faults));
        config.server.fault_injection = true;
        let daemon = Arc::new(Daemon::start(&config, &log).unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let (ticking, stopped) = (Arc::clone(&daemon), Arc::clone(&stop));
        let ticks = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                ticking.tick(Instant::now());
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self { daemon: Some(daemon), records, address, pki, stop, ticks: Some(ticks) }
    }

    pub(crate) fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    /// Both default cards have the fault from now on.
    pub(crate) fn break_cards(&self, fault: Fault) {
        for card in [0, 1] {
            self.daemon().runtime().crypto.cex().inject(Target::Card(card), fault).unwrap();
        }
    }

    pub(crate) fn repair_cards(&self) {
        for card in [0, 1] {
            self.daemon().runtime().crypto.cex().repair(Target::Card(card)).unwrap();
        }
    }

    #[track_caller]
    pub(crate) fn record(&self) -> Record {
        self.records.next(PATIENCE).expect("a record")
    }

    /// A good client is served.
    #[track_caller]
    pub(crate) fn serves(&self) {
        let tls = Client::new(&self.pki).connect(self.address, NAME).unwrap();
        assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
        let record = self.record();
        assert_eq!(record.outcome, Outcome::Completed, "{record:?}");
    }

    /// Handshakes in flight.
    pub(crate) fn in_flight(&self) -> usize {
        let services = self.daemon().runtime().services();
        services.map(|service| service.handshakes.load(Ordering::Relaxed)).sum()
    }

    /// Ends it; all members must go.
    pub(crate) fn end(mut self) -> Joined {
        self.stop.store(true, Ordering::Relaxed);
        self.ticks.take().unwrap().join().unwrap();
        let daemon = Arc::into_inner(self.daemon.take().unwrap()).expect("the last handle");
        daemon.stop()
    }
}

/// A hello that makes the daemon sign. Ours has no key share, so a stock client makes that of
/// TLS 1.3.
pub(crate) fn hello(version: u16) -> Vec<u8> {
    if version == TLS13 {
        Client::new(&Pki::new()).first_flight(NAME)
    } else {
        Hello::of(TLS12, AEAD).to(NAME).record()
    }
}

#[test]
fn without_a_card_the_client_is_told_in_clear_and_the_record_has_the_codes() {
    let echo = Backend::echo();
    for kind in [Kind::P256, Kind::Rsa2048] {
        let inside = Inside::start(&echo, kind, &[]);
        inside.serves();
        let open = Client::new(&inside.pki).connect(inside.address, NAME).unwrap();
        assert!(open.is_full());
        inside.break_cards(Fault::Deconfigured);
        for version in [TLS12, TLS13] {
            exchange(inside.address, &hello(version)).is_fatal(80);
            let record = inside.record();
            let refusal = record.refusal.clone().unwrap();
            assert_eq!((record.outcome, refusal.rule), (Outcome::Refused, "signing-failed"));
            assert_eq!(refusal.alert_sent, Some(Alert::INTERNAL_ERROR));
            assert_eq!(refusal.icsf.map(|failure| failure.service), Some("CSFPPKS"));
        }
        assert!(Client::new(&inside.pki).connect(inside.address, NAME).is_err());
        assert_eq!(inside.record().refusal.unwrap().rule, "signing-failed");
        assert_eq!(open.talk(b"still here").unwrap(), b"still here");
        assert_eq!(inside.record().outcome, Outcome::Completed);
        inside.repair_cards();
        inside.serves();
        assert_eq!((inside.in_flight(), inside.end()), (0, Joined::default()));
    }
}

#[test]
fn a_client_that_leaves_while_a_card_works_is_let_go() {
    let echo = Backend::echo();
    let inside = Inside::start(&echo, Kind::P256, &[]);
    inside.break_cards(Fault::Slow(Duration::from_millis(700)));
    for reset in [true, false] {
        let mut stream = TcpStream::connect(inside.address).unwrap();
        stream.write_all(&hello(TLS12)).unwrap();
        wait_until("the handshake is in flight", || inside.in_flight() == 1);
        if reset {
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(stream);
        let record = inside.record();
        let rule = record.refusal.map(|refusal| refusal.rule);
        let expected = if reset { ["peer-reset"; 2] } else { ["peer-closed", "peer-reset"] };
        assert!(expected.contains(&rule.unwrap()), "{rule:?}");
    }
    // The replies that nobody waits for any more do no harm.
    inside.serves();
    assert_eq!((inside.in_flight(), inside.end()), (0, Joined::default()));
}

#[test]
fn many_handshakes_wait_for_slow_cards_at_once() {
    const CLIENTS: usize = 120;
    let echo = Backend::echo();
    // In place they wait one after the other: 12 s on an idle machine.
    let lines = ["timeouts = { handshake = \"60s\" }"];
    let inside = Inside::start(&echo, Kind::P256, &lines);
    inside.break_cards(Fault::Slow(Duration::from_millis(100)));
    let streams: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut stream = connect(inside.address);
            stream.write_all(&hello(TLS12)).unwrap();
            stream
        })
        .collect();
    for mut stream in streams {
        let mut first = [0; 6];
        stream.read_exact(&mut first).unwrap();
        assert_eq!((first[0], first[5]), (22, 2), "a ServerHello");
    }
    for _ in 0..CLIENTS {
        let rule = inside.record().refusal.unwrap().rule;
        assert!(["peer-closed", "peer-reset"].contains(&rule), "{rule}");
    }
    inside.repair_cards();
    inside.serves();
    assert_eq!((inside.in_flight(), inside.end()), (0, Joined::default()));
}

#[test]
fn a_lost_reply_is_made_up_for_by_another_card() {
    let echo = Backend::echo();
    let inside = Inside::start(&echo, Kind::Rsa2048, &[]);
    let cex = inside.daemon().runtime().crypto.cex();
    cex.inject(Target::Card(0), Fault::LostReply).unwrap();
    inside.serves();
    cex.repair(Target::Card(0)).unwrap();
    cex.inject(Target::Card(0), Fault::WrongResult).unwrap();
    cex.inject(Target::Card(1), Fault::WrongResult).unwrap();
    exchange(inside.address, &hello(TLS12)).is_fatal(80);
    assert_eq!(inside.record().refusal.unwrap().rule, "signing-failed");
    inside.repair_cards();
    inside.serves();
    let _ = inside.end();
}

#[test]
fn deadline_and_limit_hold_for_handshakes_that_wait_for_a_card() {
    let echo = Backend::echo();
    if loops_stand_still() {
        return a_loop_that_stood_still_sees_the_deadline_afterwards(&echo);
    }
    let lines = ["timeouts = { handshake = \"1s\" }", "limits = { handshakes = 2 }"];
    let inside = Inside::start(&echo, Kind::P256, &lines);
    inside.break_cards(Fault::Slow(Duration::from_secs(3)));
    let waiting: Vec<TcpStream> = (1..=2)
        .map(|n| {
            let mut stream = connect(inside.address);
            stream.write_all(&hello(TLS12)).unwrap();
            wait_until("the handshake is in flight", || inside.in_flight() == n);
            stream
        })
        .collect();
    assert!(exchange(inside.address, &hello(TLS12)).bytes.is_empty());
    assert_eq!(inside.record().refusal.unwrap().rule, "too-many-handshakes");
    for mut stream in waiting {
        collect(&mut stream).is_fatal(80);
        let record = inside.record();
        let refusal = record.refusal.unwrap();
        assert_eq!((refusal.rule, refusal.fault), ("signing-deadline", "device"));
        assert!(refusal.icsf.unwrap().to_string().contains("0xad04"));
        assert_eq!((record.signature_scheme, record.certificate), (None, None));
        assert_eq!(record.key_operation.map(|operation| operation.path), None::<KeyPath>);
    }
    assert_eq!((inside.in_flight(), inside.end()), (0, Joined::default()));
}

/// What holds instead with `offload = "inline"`: the card is waited for, and then the deadline is
/// found to have passed, with the signature made.
fn a_loop_that_stood_still_sees_the_deadline_afterwards(echo: &Backend) {
    let inside = Inside::start(echo, Kind::P256, &["timeouts = { handshake = \"1s\" }"]);
    inside.break_cards(Fault::Slow(Duration::from_millis(1_200)));
    let reply = exchange(inside.address, &hello(TLS12));
    assert_eq!(reply.bytes.first(), Some(&22), "a ServerHello: {reply:?}");
    let record = inside.record();
    assert_eq!(record.refusal.unwrap().rule, "handshake-deadline");
    assert_eq!(record.key_operation.map(|operation| operation.path), Some(KeyPath::Cex));
    assert_eq!((inside.in_flight(), inside.end()), (0, Joined::default()));
}

#[test]
fn a_drain_waits_for_a_card_and_a_stop_does_not() {
    let echo = Backend::echo();
    for stop in [false, true] {
        let inside = Inside::start(&echo, Kind::P256, &[]);
        inside.break_cards(Fault::Slow(Duration::from_secs(1)));
        let (address, client) = (inside.address, Client::new(&inside.pki));
        let served = std::thread::spawn(move || {
            client.connect(address, NAME).and_then(|tls| tls.talk(b"hello"))
        });
        wait_until("the handshake is in flight", || inside.in_flight() == 1);
        inside.daemon().drain();
        if stop {
            inside.daemon().stop_now();
        }
        wait_until("the members have ended", || inside.daemon().has_ended());
        let (served, record) = (served.join().unwrap(), inside.record());
        if stop {
            assert!(served.is_err());
            assert_eq!(record.refusal.unwrap().rule, "shutdown");
        } else {
            assert_eq!(served.unwrap(), b"hello");
            assert_eq!(record.outcome, Outcome::Completed);
        }
        assert_eq!(inside.end(), Joined { cut: usize::from(stop), failed: 0 });
    }
}

#[test]
fn a_handshake_that_has_its_signature_needs_no_place_at_the_cards() {
    let echo = Backend::echo();
    let pki = Pki::new();
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let at = [free_address(), free_address()];
    let one_place = "limits = { handshakes = 1 }";
    let service = |n: usize| Service::new(&format!("s{n}"), at[n], echo.address, &leaf);
    let text = file(&[service(0).with(one_place), service(1).with(one_place)]);
    // With one worker, the two services share a member.
    let text = text.replace(&format!("workers = {}", workers()), "workers = 1");
    let inside = Inside::with(&text, pki, at[0]);
    let mut tls = Client::new(&inside.pki).connection(NAME);
    let mut socket = connect(at[0]);
    tls.write_tls(&mut socket).unwrap();
    while tls.is_handshaking() {
        tls.read_tls(&mut socket).unwrap();
        tls.process_new_packets().unwrap();
    }
    // The other service takes the only place; then our last flight arrives.
    inside.break_cards(Fault::Slow(Duration::from_millis(1_200)));
    let mut other = connect(at[1]);
    other.write_all(&hello(TLS12)).unwrap();
    wait_until("both handshakes are in flight", || inside.in_flight() == 2);
    tls.writer().write_all(b"hello").unwrap();
    tls.send_close_notify();
    let mut answer = Vec::new();
    rustls::Stream::new(&mut tls, &mut socket).read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"hello");
    drop(socket);
    assert_eq!(inside.record().outcome, Outcome::Completed);
    assert_eq!(inside.end(), Joined { cut: 1, failed: 0 });
}
