//! The load generator of the benchmarks in front of the daemon: every kind of load, nothing wrong.
//!
//! What it makes of servers that do wrong is tested where it is made (`benches/tests`).

use std::time::Duration;

use adjunct_bench::load::{
    BulkLoad, Direction, HandshakeLoad, IdleLoad, KeyKind, Kind, LatencyLoad, Shape, Stop, Target,
    Version, backend,
};
use adjunct_bench::outcome::Outcome;
use adjunct_tests::adjunct;
use adjunct_tests::rig::{Plan, Rig};
use adjunct_tests::scene::NAME;

const PATIENCE: Duration = Duration::from_secs(30);
const COUNT: u64 = 30;

fn clean(outcome: &Outcome) {
    assert_eq!(outcome.first_error, None, "{outcome}");
    assert!(outcome.units > 0, "{outcome}");
}

#[test]
fn every_kind_of_load_runs_against_the_daemon() {
    let rig = Rig::start(&adjunct!(), backend(&[]).unwrap(), &Plan::default());
    for version in [Version::Tls12, Version::Tls13] {
        for kind in [Kind::Full, Kind::Resumed] {
            let key = Some(KeyKind::Rsa2048);
            let load = HandshakeLoad {
                server_name: NAME.to_owned(),
                clients: 8,
                stop: Stop::Count(COUNT),
                warmup: Duration::ZERO,
                deadline: PATIENCE,
                ..HandshakeLoad::new(rig.rsa(), Shape { version, kind, key, ..Shape::default() })
            };
            let outcome = load.run(&mut |_| {}).unwrap();
            clean(&outcome);
            assert_eq!(outcome.units, COUNT, "{outcome}");
        }
    }
    let target =
        Target { server_name: NAME.to_owned(), deadline: PATIENCE, ..Target::new(rig.ec()) };
    for direction in [Direction::Down, Direction::Up, Direction::Both] {
        let (stop, warmup) = (Stop::Count(4), Duration::ZERO);
        let load = BulkLoad { stop, warmup, ..BulkLoad::new(target.clone(), direction) };
        clean(&load.run(&mut |_| {}).unwrap());
    }
    let stop = Stop::Count(100);
    let pings = LatencyLoad { stop, warmup: Duration::ZERO, ..LatencyLoad::new(target.clone()) };
    clean(&pings.run(&mut |_| {}).unwrap());
    let (hold, pid) = (Duration::from_millis(100), Some(rig.daemon.id()));
    let idle = IdleLoad { target, connections: 20, hold, pid };
    clean(&idle.run(&mut |_| {}).unwrap());
}
