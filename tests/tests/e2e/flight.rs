//! Two thousand handshakes in flight at once.

use std::time::{Duration, Instant};

use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::Client;
use adjunct_tests::config::loops_stand_still;
use adjunct_tests::process::PATIENCE;
use adjunct_tests::rig::{Plan, Rig};
use adjunct_tests::scene::NAME;
use adjunct_tests::swarm::Swarm;
use adjunct_tests::{adjunct, daemon, wait_until};

const CLIENTS: usize = 2000;
/// Stacks that a pool member keeps for the next handshakes.
const STACKS_KEPT: u64 = 64;
/// How many of them must have been seen waiting for a card at one moment.
const AT_ONCE: u64 = 1900;

#[test]
fn two_thousand_handshakes_in_flight_at_once_all_complete() {
    raise_descriptor_limit();
    let echo = Backend::echo();
    let time = format!("{}s", time().as_secs());
    let handshake = format!("timeouts = {{ handshake = \"{time}\" }}");
    let rig = Rig::start(
        &adjunct!(),
        echo.address,
        &Plan {
            cards: &[("CEX8A", &[6, 7]), ("CEX8C", &[6])],
            service: &["limits = { handshakes = 2500 }", &handshake],
            tables: &format!("[cex]\nwaiting_age = \"{time}\"\nreply = \"{time}\"\n"),
            workers: Some(1),
            ..Plan::default()
        },
    );
    // Only the accelerator may sign for RSA, in its two domains.
    rig.order("offline 01");
    let client = Client::new(&rig.pki).forgetful();
    client.connect(rig.rsa(), NAME).and_then(|tls| tls.talk(b"warm")).unwrap();
    let _ = rig.wait_records(1);
    wait_until("nothing is open", || rig.sum("open") == 0);
    let (memory, descriptors) = (rig.daemon.resident_kib(), rig.daemon.descriptors());

    let stacks = rig.member("stacks");
    let mut resting = Vec::new();
    for _ in 0..2 {
        let (waiting, peak) = wave(&rig, &client);
        wait_until("every descriptor is back", || rig.daemon.descriptors() <= descriptors);
        assert_eq!((rig.sum("open"), rig.sum("handshakes")), (0, 0));
        let kept = rig.member("stacks");
        assert!(kept <= stacks + STACKS_KEPT, "{kept} stacks are still mapped");
        let (after, grown) = (rig.daemon.resident_kib(), peak.saturating_sub(memory));
        println!(
            "{waiting} handshakes waited for a card at once: RSS {memory} KiB -> {peak} KiB, {} \
             bytes each; afterwards {after} KiB and {kept} stacks",
            grown * 1024 / waiting.max(1),
        );
        resting.push((after, grown));
    }
    // What stays is the allocator's store, and the second wave lives on it.
    let [(first, grown), (second, _)] = resting[..] else { panic!("two waves") };
    assert!(
        second <= first + grown / 8 + 4 * 1024,
        "{first} KiB, then {second} KiB: memory is lost"
    );
    rig.daemon.stop();
}

/// How long it may take two thousand handshakes to complete.
fn time() -> Duration {
    if daemon::runner().is_some() { 5 * PATIENCE } else { PATIENCE }
}

/// Lets all of them wait for the cards at once, and then be served; returns how many were seen
/// waiting, and the memory of the daemon at that moment.
fn wave(rig: &Rig, client: &Client) -> (u64, u64) {
    // A loop that stands still has one handshake in flight, whatever comes.
    let count = if loops_stand_still() { CLIENTS / 20 } else { CLIENTS };
    // No reply comes before all have asked: a host that is slow to take hellos in must not make
    // the test easier. From then on the cards are late by 20 ms.
    let first = if loops_stand_still() { "20ms" } else { "60s" };
    rig.order(&format!("fault 00 slow {first}"));
    let mut swarm = Swarm::connect(client, NAME, &[rig.rsa()], count).unwrap();
    let (mut waiting, mut peak) = (0, rig.daemon.resident_kib());
    if !loops_stand_still() {
        let deadline = Instant::now() + PATIENCE / 2;
        while waiting < CLIENTS as u64 && Instant::now() < deadline {
            swarm.run(Duration::from_millis(50));
            waiting = rig.member("suspended");
            peak = peak.max(rig.daemon.resident_kib());
        }
        assert!(waiting >= AT_ONCE, "{waiting} handshakes waited at once");
    }
    rig.order("fault 00 slow 20ms");
    rig.order("fault 00 reset");
    swarm.run(time());
    let failures = swarm.failures();
    drop(swarm);
    let records = rig.wait_records(count);
    let failed = records.iter().find(|record| record.outcome() != "completed");
    assert!(failed.is_none(), "of {} the first: {}", failures.len(), failed.unwrap().to_text());
    assert_eq!((failures, records.len()), (Vec::new(), count), "one record for each");
    for apqn in ["00.0006", "00.0007"] {
        let by = records.iter().filter(|record| record.text("key_op.apqn") == apqn).count();
        assert!(by > count / 4, "{by} signatures by {apqn}");
    }
    (waiting, peak)
}

/// The clients' half of the connections is in this process.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}
