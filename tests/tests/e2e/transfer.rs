//! Much data, and peers that do not take it: intact, and in bounded memory.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use adjunct_tests::backend::{Backend, Served};
use adjunct_tests::client::crafted::Crafted;
use adjunct_tests::client::stock::{Client, Offer};
use adjunct_tests::scene::{self, NAME, Scene};
use adjunct_tests::{adjunct, bulk, wait_still, wait_until};
use rustls::ContentType;
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

/// What is on its way in one direction must leave no less room for the other.
#[test]
fn a_backend_is_read_in_large_pieces_while_the_client_sends() {
    const SENT: usize = 16 << 20;
    static RECORD: [u8; 16 * 1024] = [7; 16 * 1024];
    // What is read at once: reads leave no small rests.
    static ANSWER: [u8; 64 * 1024 - 512] = [7; 64 * 1024 - 512];
    // Sends for as long as it receives.
    let backend = Backend::start(|Served { stream, .. }| {
        let all_has_come = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let more = || !all_has_come.load(Ordering::Relaxed);
                while more() && (&stream).write_all(&ANSWER).is_ok() {}
            });
            let come = std::io::copy(&mut (&stream).take(SENT as u64), &mut std::io::sink());
            all_has_come.store(true, Ordering::Relaxed);
            come
        })
        .map(|come| assert_eq!(come, SENT as u64))?;
        stream.shutdown(Shutdown::Write)
    });
    let Scene { daemon, pki } = scene::one(&adjunct!(), backend.address, &["tickets = 0"]);
    for version in [&TLS12, &TLS13] {
        let offer = Offer { versions: vec![version], ..Offer::default() };
        let mut client = Crafted::connect(&Client::offering(&pki, offer), daemon.address(), NAME);
        let seal = |_| client.seal(ContentType::ApplicationData, &RECORD);
        let all: Vec<u8> = (0..SENT / RECORD.len()).flat_map(seal).collect();
        let mut socket = client.socket.try_clone().unwrap();
        let (mut records, mut small) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(move || socket.write_all(&all).unwrap());
            while let Some((ContentType::ApplicationData, data)) = client.receive().unwrap() {
                records += 1;
                small += usize::from(data.len() < 4096);
            }
        });
        show(&format!("{version:?}: {small} of {records} records are small"));
        assert!(records > 64 && small < records / 10, "{small} of {records} records are small");
    }
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
