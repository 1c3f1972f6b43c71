//! The load generator against relays that do wrong: none of it may become a figure.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod relay;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use adjunct_bench::load::{
    BulkLoad, Direction, HandshakeLoad, IdleLoad, KeyKind, Kind, LatencyLoad, Moment, Pace,
    Response, Shape, Stop, StormLoad, Target, Version, backend, handshake,
};
use adjunct_bench::outcome::{BARE, Outcome, RESETS};
use relay::{Relay, Sessions, Wrong, flip_ciphertext};

const PATIENCE: Duration = Duration::from_secs(20);

fn handshakes(address: SocketAddr, shape: Shape) -> HandshakeLoad {
    HandshakeLoad {
        clients: 4,
        stop: Stop::Count(20),
        warmup: Duration::ZERO,
        deadline: PATIENCE,
        ..HandshakeLoad::new(address, shape)
    }
}

fn target(address: SocketAddr) -> Target {
    Target { deadline: PATIENCE, ..Target::new(address) }
}

fn bulk(address: SocketAddr, direction: Direction) -> BulkLoad {
    let (stop, warmup) = (Stop::Count(2), Duration::ZERO);
    BulkLoad { connections: 2, stop, warmup, ..BulkLoad::new(target(address), direction) }
}

fn pings(address: SocketAddr) -> LatencyLoad {
    let (pace, stop) = (Pace::Rate(400.0), Stop::Count(100));
    LatencyLoad { pace, stop, warmup: Duration::ZERO, ..LatencyLoad::new(target(address)) }
}

fn honest(sessions: Sessions) -> Relay {
    Relay::with(backend(&[]).unwrap(), Wrong::Nothing, sessions)
}

fn wrong(wrong: Wrong) -> SocketAddr {
    Relay::start(backend(&[]).unwrap(), wrong).address
}

fn clean(outcome: &Outcome) {
    assert_eq!(outcome.first_error, None, "{outcome}");
    assert_eq!(outcome.missed, 0, "{outcome}");
}

fn refused(load: &HandshakeLoad) -> String {
    load.run(&mut |_| {}).unwrap_err().to_string()
}

#[test]
fn every_shape_of_handshake_is_made_exactly_as_often_as_asked() {
    let relay = honest(Sessions::Tickets);
    for version in [Version::Tls12, Version::Tls13] {
        for kind in [Kind::Full, Kind::Resumed] {
            let shape = Shape { version, kind, key: Some(KeyKind::P256), ..Shape::default() };
            let mut moments = Vec::new();
            let load = handshakes(relay.address, shape);
            let outcome = load.run(&mut |moment| moments.push(moment)).unwrap();
            clean(&outcome);
            assert_eq!(outcome.units, 20, "{shape:?}");
            assert_eq!(outcome.notes[BARE], 0, "{shape:?}");
            assert_eq!(outcome.transaction.unwrap().len(), 20);
            assert_eq!(moments, [Moment::Begin, Moment::End]);
        }
    }
}

#[test]
fn a_connection_that_ends_without_close_notify_is_counted() {
    for version in [Version::Tls12, Version::Tls13] {
        let shape = Shape { version, ..Shape::default() };
        let outcome = handshakes(wrong(Wrong::Mute), shape).run(&mut |_| {}).unwrap();
        clean(&outcome);
        let count = |name: &str| outcome.notes[name].as_u64().unwrap();
        assert_eq!((outcome.units, count(BARE) + count(RESETS)), (20, 20), "{outcome}");
    }
}

/// A unit takes far longer than a thread needs to read a clock: without the extension there would
/// be about ten units for each client.
#[test]
fn a_closed_loop_goes_on_until_its_edges_are_small() {
    let time = Duration::from_millis(500);
    let load = HandshakeLoad {
        stop: Stop::After(time),
        ..handshakes(wrong(Wrong::Late(Duration::from_millis(50))), Shape::default())
    };
    let outcome = load.run(&mut |_| {}).unwrap();
    clean(&outcome);
    let enough = outcome.units >= handshake::TURNS * 4;
    assert!(enough || outcome.elapsed >= time * handshake::STRETCH, "{outcome}");
    let all = outcome.notes[handshake::ALL].as_u64().unwrap();
    assert!(all >= outcome.units + 4, "no warm-up of four: {outcome}");
    let brief = HandshakeLoad { extends: false, ..load };
    let outcome = brief.run(&mut |_| {}).unwrap();
    assert!(outcome.elapsed < time * handshake::STRETCH, "{outcome}");
}

#[test]
fn an_open_loop_makes_what_was_due() {
    let load = HandshakeLoad {
        pace: Pace::Rate(50.0),
        stop: Stop::After(Duration::from_millis(500)),
        ..handshakes(honest(Sessions::No).address, Shape::default())
    };
    let outcome = load.run(&mut |_| {}).unwrap();
    clean(&outcome);
    assert_eq!(outcome.latency.unwrap().len(), 25);
}

#[test]
fn a_flipped_bit_of_an_answer_ends_the_run() {
    let text = refused(&handshakes(wrong(Wrong::FlipDown(40)), Shape::default()));
    assert!(text.starts_with("connection ") && text.contains("wrong data at byte 40"), "{text}");
    let text = pings(wrong(Wrong::FlipUp(5000))).run(&mut |_| {}).unwrap_err().to_string();
    assert!(text.contains("wrong data at byte 5000"), "{text}");
}

#[test]
fn a_flipped_bit_of_ciphertext_ends_the_run() {
    // Behind the flight of the server: its answer.
    let address = flip_ciphertext(honest(Sessions::No).address, 1200);
    let load = HandshakeLoad { request_bytes: 4000, ..handshakes(address, Shape::default()) };
    let text = refused(&load);
    assert!(text.contains("TLS: "), "{text}");
}

/// Whether the first wrong byte is the one at `at`, or one close behind: a byte that is missing
/// shows where the next one is another.
fn wrong_from(text: &str, at: usize) -> bool {
    let behind = text.split_once("wrong data at byte ").map_or("", |(_, behind)| behind);
    let digits = behind.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse::<usize>().is_ok_and(|first| (at..at + 8).contains(&first))
}

#[test]
fn a_dropped_byte_is_missed_or_seen_in_what_follows() {
    let short = HandshakeLoad {
        deadline: Duration::from_secs(1),
        stop: Stop::Count(4),
        ..handshakes(wrong(Wrong::DropDown(63)), Shape::default())
    };
    let outcome = short.run(&mut |_| {}).unwrap();
    assert_eq!((outcome.units, outcome.errors), (0, 4));
    assert!(outcome.first_error.unwrap().contains("late: 63 of 64 bytes"));
    let text = refused(&handshakes(wrong(Wrong::DropDown(10)), Shape::default()));
    assert!(wrong_from(&text, 10), "{text}");
    let text = refused(&handshakes(wrong(Wrong::CutDown(10)), Shape::default()));
    assert!(text.contains("missing data: expected 64 bytes, came 10"), "{text}");
}

#[test]
fn bulk_data_is_checked_at_both_ends() {
    let relay = honest(Sessions::No);
    for direction in [Direction::Down, Direction::Up, Direction::Both] {
        let outcome = bulk(relay.address, direction).run(&mut |_| {}).unwrap();
        clean(&outcome);
        assert!(outcome.units >= 2, "{outcome}");
    }
    let failure = |wrong: Wrong, direction| {
        bulk(self::wrong(wrong), direction).run(&mut |_| {}).unwrap_err().to_string()
    };
    for down in [Wrong::FlipDown(300_000), Wrong::DropDown(300_000)] {
        // A trailer of 16 bytes is before it.
        let text = failure(down, Direction::Down);
        assert!(wrong_from(&text, 299_984), "{text}");
    }
    for up in [Wrong::FlipUp(300_016), Wrong::DropUp(300_016)] {
        for direction in [Direction::Up, Direction::Both] {
            let text = failure(up, direction);
            assert!(text.contains("wrong data at the backend"), "{text}");
        }
    }
}

#[test]
fn a_session_resumed_although_full_handshakes_were_asked_for_ends_the_run() {
    for version in [Version::Tls12, Version::Tls13] {
        let shape = Shape { version, ..Shape::default() };
        let resumes = honest(Sessions::Tickets);
        let load = HandshakeLoad { offer_sessions: true, ..handshakes(resumes.address, shape) };
        let text = refused(&load);
        assert!(text.contains("handshake: expected Full, came Resumed"), "{text}");
        let load = HandshakeLoad {
            offer_sessions: true,
            ..handshakes(honest(Sessions::Forgotten).address, shape)
        };
        clean(&load.run(&mut |_| {}).unwrap());
    }
}

#[test]
fn a_full_handshake_although_resumption_was_asked_for_ends_the_run() {
    let shape = Shape { kind: Kind::Resumed, ..Shape::default() };
    let text = refused(&handshakes(honest(Sessions::No).address, shape));
    assert!(text.contains("the server gave no session to 4 of 4 clients"), "{text}");
    let text = refused(&handshakes(honest(Sessions::Forgotten).address, shape));
    assert!(text.contains("handshake: expected Resumed, came Full"), "{text}");
}

#[test]
fn another_key_or_another_ca_ends_the_run() {
    let relay = honest(Sessions::No);
    let shape = Shape { key: Some(KeyKind::Rsa2048), ..Shape::default() };
    let text = refused(&handshakes(relay.address, shape));
    assert!(text.contains("key: expected Rsa2048, came P256"), "{text}");
    let ca = Some(relay.pem);
    let text = refused(&HandshakeLoad { ca, ..handshakes(relay.address, Shape::default()) });
    assert!(text.contains("certificate: "), "{text}");
}

#[test]
fn a_late_answer_makes_a_run_invalid() {
    let load = HandshakeLoad {
        deadline: Duration::from_millis(300),
        stop: Stop::Count(4),
        ..handshakes(wrong(Wrong::Late(Duration::from_secs(2))), Shape::default())
    };
    let outcome = load.run(&mut |_| {}).unwrap();
    assert_eq!((outcome.units, outcome.errors), (0, 4));
    assert!(outcome.first_error.unwrap().contains("late: 0 of 64 bytes"));
}

/// Half a second of silence at 400 pings a second: as a closed loop would see it, eight pings are
/// slow; in truth all that were due meanwhile are.
#[test]
fn a_stall_is_charged_for_all_it_delays() {
    let address = wrong(Wrong::StallOnce(Duration::from_millis(500)));
    let load = LatencyLoad { connections: 1, stop: Stop::Count(200), ..pings(address) };
    let latency = load.run(&mut |_| {}).unwrap().latency.unwrap();
    let slow = latency.len() - latency.count_between(0, 250_000_000);
    assert!((90..=200).contains(&slow), "{slow} of {} took a quarter of a second", latency.len());
}

#[test]
fn idle_connections_are_held_and_a_storm_has_two_outcomes() {
    let relay = honest(Sessions::No);
    let (target, hold) = (target(relay.address), Duration::from_millis(100));
    let pid = Some(std::process::id());
    let idle = IdleLoad { target, connections: 8, hold, pid }.run(&mut |_| {}).unwrap();
    assert!(idle.notes.contains_key("rss_per_connection_bytes"), "{idle}");
    let stop = Stop::After(Duration::from_millis(300));
    let storm = StormLoad {
        pings: LatencyLoad { stop, ..pings(relay.address) },
        handshakes: HandshakeLoad { stop, ..handshakes(relay.address, Shape::default()) },
    };
    let (pings, handshakes) = storm.run(&mut |_| {}).unwrap();
    clean(&pings);
    clean(&handshakes);
    assert!(pings.units > 0 && handshakes.units > 0, "{pings}{handshakes}");
}

#[test]
fn nobody_at_the_address_is_an_error_and_not_a_loop() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outcome = handshakes(address, Shape::default()).run(&mut |_| {}).unwrap();
    assert_eq!((outcome.units, outcome.errors), (0, 20));
}

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_adjunct-bench")).args(arguments).output().unwrap()
}

/// Ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_command_prints_one_line_of_json_or_says_what_is_wrong() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_adjunct-bench"));
    let command = command.arg("backend").stdout(Stdio::piped());
    let mut backend = Running(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(backend.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let behind: SocketAddr = line.trim().parse().unwrap();
    let arguments = ["--count=10", "--warmup=0", "--clients=2", "--json"];
    let run = |wrong: Wrong| {
        let address = Relay::start(behind, wrong).address.to_string();
        bench(&[&["handshake", &address], &arguments[..]].concat())
    };
    let good = run(Wrong::Nothing);
    let text = String::from_utf8(good.stdout).unwrap();
    assert!(good.status.success() && text.lines().count() == 1, "{text}");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["units"], 10);
    let bad = run(Wrong::FlipDown(3));
    assert!(!bad.status.success() && bad.stdout.is_empty());
    let text = String::from_utf8(bad.stderr).unwrap();
    assert!(text.contains("wrong data at byte 3: expected"), "{text}");
}

#[test]
fn any_answer_will_do_for_openssl() {
    let issued = adjunct_bench::pki::Issued::new(adjunct_bench::pki::Kind::Rsa2048).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("cert.pem"), &issued.pem).unwrap();
    std::fs::write(at("key.pem"), issued.key_pem.as_bytes()).unwrap();
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "127.0.0.1:0", "-rev", "-cert"]).arg(at("cert.pem"));
    command.arg("-key").arg(at("key.pem")).stdout(Stdio::piped()).stdin(Stdio::null());
    command.stderr(Stdio::null());
    let mut server = Running(command.spawn().unwrap());
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| line.unwrap().strip_prefix("ACCEPT ").map(str::to_owned));
    let address: SocketAddr = address.unwrap().parse().unwrap();
    for version in [Version::Tls12, Version::Tls13] {
        for kind in [Kind::Full, Kind::Resumed] {
            let shape = Shape { version, kind, key: Some(KeyKind::Rsa2048), ..Shape::default() };
            // One at a time: it serves one after the other.
            let response = Response::Any;
            let load = HandshakeLoad { clients: 1, response, ..handshakes(address, shape) };
            let outcome = load.run(&mut |_| {}).unwrap();
            clean(&outcome);
            assert_eq!(outcome.units, 20, "{shape:?}");
        }
    }
}
