//! Fiber, pool and inline: the same handshakes with the same records.
//!
//! The other files of this suite run in each mode by `ADJUNCT_TEST_OFFLOAD`; here the modes stand
//! side by side.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use adjunct::daemon::Joined;
use adjunct::snapshot::MemberRow;
use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::Client;
use adjunct_tests::config::{Service, file, offload, workers};
use adjunct_tests::daemon::free_address;
use adjunct_tests::hello::{AEAD, Hello, TLS12, TLS13, connect, exchange};
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::scene::NAME;
use adjunct_tests::{adjunct, wait_until};
use cex::fault::{Fault, Target};
use engine::record::Record;

use crate::faults::{Inside, ON_CARDS, hello};

const MODES: [&str; 3] = ["fiber", "pool", "inline"];

/// A daemon in this process in a mode of its own.
fn in_mode(mode: &str, backend: &Backend, kind: Kind, names: &[&str]) -> Inside {
    let pki = Pki::new();
    let leaf = pki.issue("leaf", &Leaf::new(kind, names));
    let address = free_address();
    let text = file(&[Service::new("plain", address, backend.address, &leaf)]) + ON_CARDS;
    let (own, all) = (format!("{mode:?}"), format!("{:?}", offload()));
    Inside::with(
        &text.replace(&format!("offload = {all}"), &format!("offload = {own}")),
        pki,
        address,
    )
}

/// What a record says, but for times, addresses and the files of the scene.
fn essence(record: &Record) -> String {
    let refusal = record.refusal.as_ref();
    let operation = record.key_operation.as_ref();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {} {:?} {:?} {:?}",
        record.outcome,
        record.version,
        record.suite,
        record.group,
        record.signature_scheme,
        record.certificate.is_some(),
        record.resumed,
        operation.map(|operation| (operation.path, operation.tries)),
        refusal.map(|r| (r.rule, r.reason.clone(), r.hint.clone(), r.alert_sent, r.gsk)),
        refusal.and_then(|r| r.icsf).map(|failure| failure.to_string()),
    )
}

/// The records of good handshakes, of handshakes without a card, with a card that lies, and again
/// of good ones.
fn story(mode: &str, kind: Kind) -> Vec<String> {
    let echo = Backend::echo();
    let inside = in_mode(mode, &echo, kind, &[NAME]);
    let client = Client::new(&inside.pki);
    let mut story = Vec::new();
    for _ in 0..2 {
        let tls = client.connect(inside.address, NAME).unwrap();
        assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
        story.push(essence(&inside.record()));
    }
    for fault in [Fault::Deconfigured, Fault::WrongResult] {
        // A wrong ECDSA signature is noticed by the client, in its own time.
        if matches!((kind, fault), (Kind::P256, Fault::WrongResult)) {
            continue;
        }
        inside.break_cards(fault);
        for version in [TLS12, TLS13] {
            exchange(inside.address, &hello(version)).is_fatal(80);
            story.push(essence(&inside.record()));
        }
        inside.repair_cards();
    }
    let tls = Client::new(&inside.pki).connect(inside.address, NAME).unwrap();
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    story.push(essence(&inside.record()));
    assert_eq!((inside.in_flight(), inside.end()), (0, Joined::default()));
    story
}

#[test]
fn the_modes_differ_in_nothing_that_a_record_says() {
    for kind in [Kind::P256, Kind::Rsa2048] {
        let [fiber, pool, inline] = MODES.map(|mode| story(mode, kind));
        assert_eq!(fiber, pool);
        assert_eq!(fiber, inline);
        assert!(fiber[2].contains("signing-failed"), "{fiber:#?}");
    }
}

#[test]
fn a_panic_below_rustls_ends_its_connection_and_no_other() {
    const DOOMED: &str = "doomed.test";
    engine::handshake::fault::panic_for(DOOMED);
    let echo = Backend::echo();
    for mode in MODES {
        let inside = in_mode(mode, &echo, Kind::P256, &[NAME, DOOMED]);
        let open = Client::new(&inside.pki).connect(inside.address, NAME).unwrap();
        // More often than the pool has threads that take such flights.
        for _ in 0..40 {
            exchange(inside.address, &Hello::of(TLS12, AEAD).to(DOOMED).record()).is_fatal(80);
            let refusal = inside.record().refusal.unwrap();
            assert_eq!(refusal.rule, "internal-error", "{mode}");
            assert!(refusal.reason.contains("a fault was injected"), "{refusal:?}");
        }
        assert_eq!(open.talk(b"still here").unwrap(), b"still here", "{mode}");
        let _ = inside.record();
        inside.serves();
        assert_eq!((inside.in_flight(), inside.end()), (0, Joined::default()), "{mode}");
    }
}

#[test]
fn a_client_that_leaves_takes_its_flight_from_the_pool_with_it() {
    let echo = Backend::echo();
    let inside = in_mode("pool", &echo, Kind::P256, &[NAME]);
    // Far longer than the test: who waited for the card would not end in time.
    let cex = inside.daemon().runtime().crypto.cex();
    cex.inject(Target::Card(1), Fault::Slow(Duration::from_secs(600))).unwrap();
    let clients = 100;
    let streams: Vec<TcpStream> = (1..=clients)
        .map(|n| {
            let mut stream = connect(inside.address);
            stream.write_all(&hello(TLS12)).unwrap();
            wait_until("the handshake is in flight", || inside.in_flight() == n);
            stream
        })
        .collect();
    drop(streams);
    for _ in 0..clients {
        assert!(inside.record().refusal.is_some());
    }
    cex.repair(Target::Card(1)).unwrap();
    inside.serves();
    assert_eq!((inside.in_flight(), inside.end()), (0, Joined::default()));
}

#[test]
fn stacks_go_back_to_the_system_after_a_storm() {
    const CLIENTS: usize = 400;
    let echo = Backend::echo();
    let inside = in_mode("fiber", &echo, Kind::P256, &[NAME]);
    let rows = || -> Vec<MemberRow> {
        inside.daemon().gauges().iter().map(|gauges| gauges.row(0)).collect()
    };
    let stacks = || rows().iter().map(|row| row.stacks).sum::<u64>();
    inside.break_cards(Fault::Slow(Duration::from_millis(600)));
    let streams: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut stream = connect(inside.address);
            stream.write_all(&hello(TLS12)).unwrap();
            stream
        })
        .collect();
    wait_until("all are suspended", || stacks() >= CLIENTS as u64);
    assert_eq!(rows().iter().map(|row| row.handshakes).sum::<u64>(), CLIENTS as u64);
    inside.repair_cards();
    for mut stream in streams {
        let mut first = [0; 6];
        stream.read_exact(&mut first).unwrap();
        assert_eq!((first[0], first[5]), (22, 2), "a ServerHello");
    }
    for _ in 0..CLIENTS {
        let _ = inside.record();
    }
    inside.serves();
    wait_until("most stacks are unmapped", || stacks() <= 64 * workers() as u64);
    assert_eq!((inside.in_flight(), inside.end()), (0, Joined::default()));
}

#[test]
fn members_are_shown_with_their_turns() {
    let (echo, pki) = (Backend::echo(), Pki::new());
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let socket = pki.path().join("admin.sock");
    let daemon = adjunct!().start(|[at]| {
        let admin = format!("[admin]\nsocket = \"{}\"\n", socket.display());
        file(&[Service::new("plain", at, echo.address, &leaf)]) + &admin
    });
    let open = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    let ask = |more: &[&str]| {
        let place = socket.display().to_string();
        let arguments = [&["members", "--socket", place.as_str()], more].concat();
        adjunct!().run(&arguments).success().stdout.clone()
    };
    let rows = || serde_json::from_str::<Vec<MemberRow>>(&ask(&["--json"])).unwrap();
    wait_until("a member shows the connection", || rows().iter().any(|row| row.connections == 1));
    let shown = rows();
    assert_eq!(shown.len(), workers());
    assert_eq!(shown[0].member, "ADJ00001");
    for row in &shown {
        assert!(row.turn_cpu_p50_us <= row.turn_cpu_p99_us, "{row:?}");
        assert!(row.turn_cpu_p999_us <= row.turn_cpu_max_us, "{row:?}");
        assert_eq!((row.handshakes, row.suspended), (0, 0), "{row:?}");
        assert_eq!(row.stack_bytes > 0, offload() == "fiber", "{row:?}");
    }
    assert!(shown.iter().map(|row| row.turns).sum::<u64>() >= 4, "{shown:?}");
    let table = ask(&[]);
    assert_eq!(table.matches("ADJ00001").count(), 2, "turns and CPU time: {table}");
    assert_eq!(open.talk(b"hello").unwrap(), b"hello");
    let nobody = adjunct!().run(&["members"]);
    assert_eq!(nobody.code, Some(64), "{nobody:?}");
    daemon.stop();
}
