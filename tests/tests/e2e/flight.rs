//! Two thousand handshakes in flight at once.
//!
//! Source: acceptance of the third issue, item 1.

use std::time::{Duration, Instant};

use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::Client;
use adjunct_tests::process::PATIENCE;
use adjunct_tests::rig::{Plan, Rig};
use adjunct_tests::scene::NAME;
use adjunct_tests::swarm::Swarm;
use adjunct_tests::{adjunct, wait_until};

const CLIENTS: usize = 2000;
/// How many of them must have been seen in flight at one moment.
const AT_ONCE: u64 = 1900;

#[test]
fn two_thousand_handshakes_in_flight_at_once_all_complete() {
    raise_descriptor_limit();
    let echo = Backend::echo();
    let rig = Rig::start(
        &adjunct!(),
        echo.address,
        &Plan {
            cards: &[("CEX8A", &[6, 7]), ("CEX8C", &[6])],
            service: &["limits = { handshakes = 2500 }", "timeouts = { handshake = \"60s\" }"],
            tables: "[cex]\nwaiting_age = \"60s\"\nreply = \"60s\"\n",
            workers: 1,
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

    let mut resting = Vec::new();
    for _ in 0..2 {
        let (in_flight, peak) = wave(&rig, &client);
        wait_until("every descriptor is back", || rig.daemon.descriptors() == descriptors);
        assert_eq!((rig.sum("open"), rig.sum("handshakes")), (0, 0));
        let (after, grown) = (rig.daemon.resident_kib(), peak.saturating_sub(memory));
        println!(
            "{in_flight} handshakes in flight: RSS {memory} KiB -> {peak} KiB, {} bytes each; \
             afterwards {after} KiB",
            grown * 1024 / in_flight,
        );
        assert!(after < memory + grown / 2, "stacks and buffers are back: {after} KiB");
        resting.push((after, grown));
    }
    // What stays is the allocator's store, and the second wave lives on it.
    let [(first, grown), (second, _)] = resting[..] else { panic!("two waves") };
    assert!(second < first + grown / 8, "{first} KiB, then {second} KiB: memory is lost");
    rig.daemon.stop();
}

/// Lets all of them wait for the cards at once, and then be served; returns how many were seen in
/// flight and the memory of the daemon meanwhile.
fn wave(rig: &Rig, client: &Client) -> (u64, u64) {
    // No reply comes before all have asked: a host that is slow to take hellos in must not make
    // the test easier. From then on the cards are late by 20 ms.
    rig.order("fault 00 slow 60s");
    let mut swarm = Swarm::connect(client, NAME, &[rig.rsa()], CLIENTS).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let (mut in_flight, mut peak) = (0, 0);
    while in_flight < CLIENTS as u64 && Instant::now() < deadline {
        swarm.run(Duration::from_millis(50));
        in_flight = rig.sum("handshakes");
        peak = peak.max(rig.daemon.resident_kib());
    }
    assert!(in_flight >= AT_ONCE, "{in_flight} handshakes were in flight at once");
    rig.order("fault 00 slow 20ms");
    rig.order("fault 00 reset");
    swarm.run(PATIENCE);
    assert_eq!(swarm.failures(), Vec::<String>::new());
    drop(swarm);
    let records = rig.wait_records(CLIENTS);
    assert_eq!(records.len(), CLIENTS, "one record for each");
    assert!(records.iter().all(|record| record.outcome() == "completed"));
    for apqn in ["00.0006", "00.0007"] {
        let by = records.iter().filter(|record| record.text("key_op.apqn") == apqn).count();
        assert!(by > CLIENTS / 4, "{by} signatures by {apqn}");
    }
    (in_flight, peak)
}

/// The clients' half of the connections is in this process.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}
