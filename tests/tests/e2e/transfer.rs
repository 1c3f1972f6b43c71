//! Much data, and peers that do not take it: intact, and in bounded memory.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::{Client, Offer};
use adjunct_tests::scene::{self, NAME, Scene};
use adjunct_tests::{adjunct, bulk, wait_still, wait_until};
use rustls::version::{TLS12, TLS13};

/// What is sent to a peer that does not read.
const UNREAD: u64 = 128 << 20;
/// Most of it that may be under way: socket buffers of two connections, and ours.
const UNDER_WAY_MAX: u64 = 64 << 20;
/// Most by which the daemon may grow meanwhile.
const GROWTH_MAX_KIB: u64 = 16 << 10;

/// Says it past the test harness, which keeps the output of tests that pass.
fn show(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn both_directions_at_once(version: &'static rustls::SupportedProtocolVersion) {
    let length = bulk::size();
    let backend = Backend::duplex(1, 2, length);
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[]);
    let offer = Offer { versions: vec![version], ..Offer::default() };
    let tls = Client::offering(&pki, offer).connect(daemon.address(), NAME).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            bulk::send(&mut &tls, 2, length, |_| {}).unwrap();
            tls.end().unwrap();
        });
        assert_eq!(bulk::receive(&mut &tls, 1, |_| {}).unwrap(), length);
    });
    wait_until("the backend has everything", || backend.received() == length);
    let record = daemon.completed();
    assert_eq!((record.number("bytes_in"), record.number("bytes_out")), (length, length));
    let mib = length >> 20;
    show(&format!("{mib} MiB each way over {version:?}: {} KiB resident", daemon.resident_kib()));
    daemon.stop();
}

#[test]
fn a_bulk_transfer_in_both_directions_at_once_arrives_intact_over_tls_1_3() {
    both_directions_at_once(&TLS13);
}

#[test]
fn a_bulk_transfer_in_both_directions_at_once_arrives_intact_over_tls_1_2() {
    both_directions_at_once(&TLS12);
}

#[test]
fn a_client_that_does_not_read_costs_no_memory() {
    let backend = Backend::duplex(1, 2, UNREAD);
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    let before = daemon.resident_kib();
    let under_way = wait_still(|| backend.sent());
    let grown = daemon.resident_kib().saturating_sub(before);
    show(&format!("client does not read: {under_way} bytes under way, grown by {grown} KiB"));
    assert!(under_way > 0 && under_way < UNDER_WAY_MAX, "{under_way} bytes were taken");
    assert!(grown < GROWTH_MAX_KIB, "grown by {grown} KiB");
    tls.end().unwrap();
    assert_eq!(bulk::receive(&mut &tls, 1, |_| {}).unwrap(), UNREAD);
    assert_eq!(daemon.completed().number("bytes_out"), UNREAD);
}

#[test]
fn a_backend_that_does_not_read_costs_no_memory() {
    let go = Arc::new(AtomicBool::new(false));
    let backend = Backend::reads_late(3, Arc::clone(&go));
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    let before = daemon.resident_kib();
    let sent = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            bulk::send(&mut &tls, 3, UNREAD, |n| sent.store(n, Ordering::Relaxed)).unwrap();
            tls.end().unwrap();
        });
        let under_way = wait_still(|| sent.load(Ordering::Relaxed));
        let grown = daemon.resident_kib().saturating_sub(before);
        show(&format!("backend does not read: {under_way} bytes under way, grown by {grown} KiB"));
        go.store(true, Ordering::Relaxed);
        assert!(under_way > 0 && under_way < UNDER_WAY_MAX, "{under_way} bytes were taken");
        assert!(grown < GROWTH_MAX_KIB, "grown by {grown} KiB");
    });
    assert_eq!(tls.read_to_close().unwrap(), format!("{UNREAD} bytes\n").as_bytes());
    assert_eq!(daemon.completed().number("bytes_in"), UNREAD);
}
