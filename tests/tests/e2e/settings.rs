//! The daemon as benchmarks start it: every setting of theirs serves, and is what it says.

use std::time::Duration;

use adjunct_bench::daemon::{Cards, Daemon, Setting};
use adjunct_bench::load::{LatencyLoad, Stop, Target, backend};
use adjunct_bench::pki::{Issued, Kind};
use adjunct_tests::adjunct;
use rustix::thread::{CpuSet, sched_getaffinity};
use serde_json::Value;
use tempfile::TempDir;

/// Starts it, makes a connection that carries data, and returns it for questions.
fn served(setting: &Setting<'_>) -> Daemon {
    let directory = TempDir::new().unwrap();
    let daemon = Daemon::start(&adjunct!().executable(directory.path()), setting)
        .unwrap_or_else(|error| panic!("{setting:?}: {error}"));
    let (stop, warmup) = (Stop::Count(4), Duration::ZERO);
    let target = Target::new(daemon.address);
    let pings = LatencyLoad { connections: 1, stop, warmup, ..LatencyLoad::new(target) };
    pings.run(&mut |_| {}).unwrap();
    daemon
}

fn rows(daemon: &Daemon, question: &str) -> Vec<Value> {
    daemon.ask(question).unwrap().unwrap().as_array().unwrap().clone()
}

fn processors() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap();
    (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()
}

#[test]
fn cards_are_those_that_a_setting_names() {
    let (rsa, backend) = (Issued::new(Kind::Rsa2048).unwrap(), backend(&processors()).unwrap());
    let base = Setting::new(backend, &rsa, &processors());
    for kind in ["CEX8A", "CEX8C"] {
        let daemon = served(&Setting { workers: 2, cards: Cards::one(kind), ..base.clone() });
        let cards = rows(&daemon, "cards");
        assert!(cards.iter().all(|row| row["type"] == kind), "{cards:?}");
        assert_eq!(cards.len(), 3, "a card with a queue for each worker");
        assert!(cards[0]["requests"].as_u64() > Some(0), "{cards:?}");
        let account = daemon.account().unwrap();
        let parts = [account.handshake, account.relay, account.overhead, account.card];
        assert!(parts.iter().all(|part| !part.is_zero()), "{account:?}");
    }
}

#[test]
fn without_cards_the_host_signs_whatever_the_offload() {
    let (rsa, backend) = (Issued::new(Kind::Rsa2048).unwrap(), backend(&processors()).unwrap());
    let base = Setting::new(backend, &rsa, &processors());
    for offload in ["fiber", "pool", "inline"] {
        let daemon = served(&Setting { offload, cards: Cards::None, ..base.clone() });
        let cards = rows(&daemon, "cards");
        assert!(cards.iter().all(|row| row["status"] == "offline"), "{offload}: {cards:?}");
    }
}

#[test]
fn ecdsa_certificates_and_both_versions_are_served_by_cpacf() {
    let (ec, backend) = (Issued::new(Kind::P256).unwrap(), backend(&processors()).unwrap());
    let base = Setting::new(backend, &ec, &processors());
    let versions = vec!["1.2", "1.3"];
    let cards = Cards::one("CEX8A");
    let daemon = served(&Setting { ecdsa: "cpacf", versions, cards, tickets: 2, ..base });
    let signs = |row: &&Value| row["function"] == "KDSA-ECDSA-Sign-P256 (protected)";
    let functions = rows(&daemon, "crypto");
    assert!(functions.iter().find(signs).unwrap()["calls"].as_u64() > Some(0), "{functions:?}");
}
