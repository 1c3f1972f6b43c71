//! The load generator and the definitions of peers against real servers: what a comparison says it
//! has measured is what happened.
//!
//! Few handshakes and little data: nothing is timed here.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken precondition ends the test")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use adjunct_bench::load::{
    BulkLoad, Cover, Direction, HandshakeLoad, KeyKind, Kind, Response, Shape, Stop, Target,
    Version, backend,
};
use adjunct_bench::outcome::Outcome;
use adjunct_bench::peers::contender::{Contender, Running, Way};
use adjunct_bench::peers::definition::{self, Definition};
use adjunct_bench::peers::rounds::{self, Arena, RATIO};
use adjunct_bench::peers::scenario::{Effort, FILL, Scenario, TOTAL};
use adjunct_bench::peers::server::{self, Site};
use adjunct_bench::pki::Issued;
use adjunct_bench::report::Round;
use adjunct_bench::{Failure, clock};
use adjunct_tests::skip;

/// Handshakes of each kind.
const HANDSHAKES: u64 = 12;
/// MiB each way.
const MEBIBYTES: u64 = 4;
/// Generous: debug builds of everything, on a machine that does something else, too.
const PATIENCE: Duration = Duration::from_secs(60);

fn daemon() -> Contender {
    ours(Way::Standard)
}

fn ours(way: Way) -> Contender {
    Contender::Ours { way, program: PathBuf::from(env!("CARGO_BIN_EXE_adjunct-under-test")) }
}

fn built_in(name: &str) -> Definition {
    let mut all = definition::built_in().unwrap().into_iter();
    all.find(|peer| peer.name == name).unwrap()
}

/// The peer with its program, or why it is not there.
fn installed(definition: Definition) -> Result<Contender, String> {
    let program = definition.find()?;
    Ok(Contender::Theirs { definition, program })
}

fn handshakes(address: std::net::SocketAddr, shape: Shape, response: Response) -> Outcome {
    let mut load = HandshakeLoad::new(address, shape);
    load.clients = 3;
    load.warmup = Duration::ZERO;
    load.stop = Stop::Count(HANDSHAKES);
    load.response = response;
    load.deadline = PATIENCE;
    let what = format!("{} {}", shape.version, shape.kind);
    let outcome = load.run(&mut |_| {}).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!((outcome.errors, &outcome.first_error), (0, &None), "{what}");
    assert!(outcome.units >= HANDSHAKES, "{what}: {}", outcome.units);
    outcome
}

/// Full and resumed handshakes of both versions; every one is judged by the load.
fn shapes(key: KeyKind) -> [Shape; 4] {
    let shape = |version, kind| Shape { version, kind, key: Some(key), ..Shape::default() };
    [
        shape(Version::Tls13, Kind::Full),
        shape(Version::Tls13, Kind::Resumed),
        shape(Version::Tls12, Kind::Full),
        shape(Version::Tls12, Kind::Resumed),
    ]
}

fn moves_data(server: &Running, direction: Direction) {
    let mut target = Target::new(server.address());
    target.cover = server.cover();
    target.deadline = PATIENCE;
    let mut load = BulkLoad::new(target, direction);
    load.connections = 2;
    load.warmup = Duration::ZERO;
    load.stop = Stop::Count(MEBIBYTES);
    let outcome = load.run(&mut |_| {}).unwrap_or_else(|e| panic!("{direction:?}: {e}"));
    assert_eq!((outcome.errors, &outcome.first_error), (0, &None), "{direction:?}");
    assert!(outcome.units >= MEBIBYTES, "{direction:?}: {}", outcome.units);
    let mimicked = outcome.notes.get("mimicked_bytes").and_then(serde_json::Value::as_u64);
    let all = mimicked.map(|bytes| bytes >= MEBIBYTES << 20);
    let expected = (server.cover() == Cover::Mimicked).then_some(true);
    assert_eq!(all, expected, "{direction:?}: {mimicked:?}");
}

/// Everything a comparison does, once with each kind of key and number of workers.
fn does_the_work(contender: &Contender) {
    let processors = clock::processors().unwrap();
    let backend = backend(&[]).unwrap();
    for (key, workers) in [(KeyKind::Rsa2048, 1), (KeyKind::P256, 2)] {
        let issued = Issued::new(key).unwrap();
        let site = Site { issued: &issued, backend, workers, processors: &processors };
        let server = contender.start(&site).unwrap();
        for shape in shapes(key) {
            handshakes(server.address(), shape, Response::Echo);
        }
        moves_data(&server, Direction::Down);
        moves_data(&server, Direction::Up);
        assert!(server.usage().unwrap().total() > Duration::ZERO);
        if let (Running::Theirs(peer), Contender::Theirs { definition, program }) =
            (&server, contender)
        {
            let libraries = peer.libraries().unwrap();
            assert!(libraries.iter().any(|library| library.contains("OpenSSL")), "{libraries:?}");
            assert!(!server::version(definition, program).unwrap().is_empty());
            let directory = std::env::temp_dir().display().to_string();
            assert!(peer.files().iter().all(|(_, text)| !text.contains(&directory)));
        }
    }
}

fn works_if_installed(definition: Definition) {
    match installed(definition) {
        Ok(contender) => does_the_work(&contender),
        Err(reason) => skip!("{reason}"),
    }
}

#[test]
fn haproxy_does_the_work() {
    works_if_installed(built_in("haproxy"));
}

#[test]
fn nginx_does_the_work() {
    works_if_installed(built_in("nginx"));
}

#[test]
fn hitch_does_the_work() {
    works_if_installed(built_in("hitch"));
}

#[test]
fn stunnel_does_the_work() {
    works_if_installed(built_in("stunnel"));
}

#[test]
fn a_peer_of_ones_own_does_the_work() {
    works_if_installed(example());
}

fn example() -> Definition {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../benches/peers/example.toml");
    definition::read(&path, &definition::built_in().unwrap()).unwrap()
}

#[test]
fn the_daemon_does_the_work() {
    does_the_work(&daemon());
}

#[test]
fn the_daemon_without_tls_moves_data() {
    let processors = clock::processors().unwrap();
    let issued = Issued::new(KeyKind::P256).unwrap();
    let backend = backend(&[]).unwrap();
    let site = Site { issued: &issued, backend, workers: 1, processors: &processors };
    for (way, cover) in Way::WITHOUT_TLS.into_iter().zip([Cover::Clear, Cover::Mimicked]) {
        let server = ours(way).start(&site).unwrap();
        assert_eq!(server.cover(), cover);
        moves_data(&server, Direction::Down);
        moves_data(&server, Direction::Up);
    }
}

#[test]
fn batches_are_as_full_as_the_load_makes_them() {
    let runs = run("load-1", Effort::LEAST, &[daemon(), ours(Way::Single), ours(Way::Inline)]);
    let fills: Vec<_> = runs.iter().map(|run| run.values.get(FILL).copied()).collect();
    assert!(runs.iter().all(|run| run.failed.is_none()), "{runs:?}");
    // One client is never in company; a processor without a vector unit has no batches.
    let expected = engine::crypto::Cards::batches().then_some(1.0);
    assert_eq!(fills[0], expected, "{fills:?}");
    assert_eq!(fills[1..], [None, None]);
}

#[test]
fn a_server_that_passes_nothing_on_takes_handshakes() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("s_server.toml");
    std::fs::write(
        &path,
        "name = \"s_server\"\nprogram = \"openssl\"\nversion = [\"version\"]\nworkers = false\n\
         start = [\"s_server\", \"-accept\", \"{listen}\", \"-cert\", \"{cert}\", \"-key\", \
         \"{key}\", \"-www\"]\n",
    )
    .unwrap();
    let contender = match installed(definition::read(&path, &[]).unwrap()) {
        Ok(contender) => contender,
        Err(reason) => skip!("{reason}"),
    };
    let issued = Issued::new(KeyKind::Rsa2048).unwrap();
    let processors = clock::processors().unwrap();
    let backend = backend(&[]).unwrap();
    let site = Site { issued: &issued, backend, workers: 1, processors: &processors };
    let server = contender.start(&site).unwrap();
    for shape in shapes(KeyKind::Rsa2048) {
        handshakes(server.address(), shape, Response::Any);
    }
}

fn run(scenario: &str, effort: Effort, contenders: &[Contender]) -> Vec<Round> {
    let scenario: Scenario = scenario.parse().unwrap();
    let processors = clock::processors().unwrap();
    let arena = Arena {
        certificates: Arena::certificates(&[scenario]).unwrap(),
        backend: backend(&[]).unwrap(),
        workers: 1,
        server_processors: processors.clone(),
        load_processors: processors,
        effort,
    };
    let mut runs = Vec::new();
    let tell = &mut |run| -> Result<(), Failure> {
        runs.push(run);
        Ok(())
    };
    rounds::run(&arena, &scenario, contenders, tell).unwrap();
    runs
}

#[test]
fn a_server_that_fails_has_a_reason_and_no_figure() {
    let mut definition = built_in("haproxy");
    definition.name = "broken".to_owned();
    definition.program = "sh".to_owned();
    definition.start = ["-c", "echo out of order; exit 3"].map(str::to_owned).to_vec();
    let broken = installed(definition).unwrap();
    let effort = Effort { rounds: 3, time: Duration::from_secs(1), ..Effort::LEAST };
    let runs = run("full13-p256", effort, &[daemon(), ours(Way::Cards), broken]);
    let of = |name: &str| runs.iter().filter(|run| run.cell.ends_with(name)).collect::<Vec<_>>();
    let failed = of(".broken");
    // Once more, and then no further.
    assert_eq!(failed.len(), 2);
    for run in failed {
        let reason = run.failed.clone().unwrap();
        assert!(reason.contains("out of order") && reason.contains('3'), "{reason}");
        assert!(run.values.is_empty());
    }
    let (ours, cards) = (of(".adjunct"), of(".adjunct-cards"));
    assert_eq!((ours.len(), cards.len()), (3, 3));
    for (ours, cards) in ours.iter().zip(&cards) {
        assert_eq!((&ours.failed, &cards.failed), (&None, &None));
        let ratio = ours.values[TOTAL] / cards.values[TOTAL];
        assert!((cards.values[RATIO] - ratio).abs() < 1e-9);
        assert!(cards.values["card_us"] > 0.0 && ours.values["card_us"] < cards.values["card_us"]);
    }
    // The order is rotated.
    assert!(runs[0].cell.ends_with(".adjunct") && runs[3].cell.ends_with(".adjunct-cards"));
}

#[test]
fn every_other_scenario_has_its_figure() {
    for id in ["bulk-down", "bulk-up", "idle", "storm"] {
        let scenario: Scenario = id.parse().unwrap();
        // A busy machine may not complete a single handshake of a storm in a short time.
        let times = [1, 4, 16].map(Duration::from_secs);
        let run = |time| run(id, Effort { time, ..Effort::LEAST }, &[daemon()]).remove(0);
        let is_decided =
            |run: &Round| run.failed.as_ref().is_none_or(|why| !why.starts_with("no "));
        let run = times.into_iter().map(run).find(is_decided).expect("something in 16 s");
        assert_eq!(run.failed, None, "{id}");
        let figure = run.values[scenario.figure];
        // A few idle connections may fit into memory that the server has had from the start.
        assert!(figure > 0.0 || (id == "idle" && figure == 0.0), "{id}: {:?}", run.values);
    }
}
