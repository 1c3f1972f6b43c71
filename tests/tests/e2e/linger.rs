//! After our FIN: what a client still sends is read away, within a bound and a deadline.
//!
//! Source: RFC 8446 §6.1; RFC 1122 §4.2.2.13 (closing over unread bytes is a reset).

use std::io::Write;
use std::net::TcpStream;

use adjunct_tests::backend::Backend;
use adjunct_tests::hello::{AEAD, Hello, collect, connect};
use adjunct_tests::scene::NAME;
use adjunct_tests::{adjunct, rig, wait_until};

/// What is read away of a client.
const READ_AWAY: usize = 256 * 1024;
/// What a client may send in vain before this test gives up: bound and socket buffers are less.
const ENOUGH: usize = 64 << 20;
/// TLS 1.0, which is refused by an alert.
const TOO_OLD: u16 = 0x0301;
const PROTOCOL_VERSION: u8 = 70;

fn a_rig(backend: &Backend) -> rig::Rig {
    let plan = rig::Plan { workers: Some(1), ..rig::Plan::default() };
    rig::Rig::start(&adjunct!(), backend.address, &plan)
}

/// A client that has its alert in front of it, and has not read it.
fn refused(rig: &rig::Rig) -> TcpStream {
    let mut stream = connect(rig.ec());
    stream.write_all(&Hello::of(TOO_OLD, AEAD).to(NAME).record()).unwrap();
    assert!(stream.peek(&mut [0; 7]).unwrap() > 0);
    assert_eq!(rig.wait_records(1).len(), 1, "it is recorded when our last word is said");
    stream
}

fn all_have_left(rig: &rig::Rig) {
    wait_until("nobody is connected", || rig.member("connections") == 0);
    assert!(rig.records().is_empty(), "one record for each connection");
}

#[test]
fn an_alert_reaches_a_client_that_goes_on_sending() {
    let backend = Backend::echo();
    let rig = a_rig(&backend);
    let mut stream = refused(&rig);
    stream.write_all(&vec![0; READ_AWAY / 2]).unwrap();
    collect(&mut stream).is_fatal(PROTOCOL_VERSION);
    drop(stream);
    all_have_left(&rig);
    rig.daemon.stop();
}

#[test]
fn a_client_that_sends_without_end_is_cut_off() {
    let backend = Backend::echo();
    let rig = a_rig(&backend);
    let mut stream = refused(&rig);
    let piece = [0; 16 * 1024];
    let sent = (0..ENOUGH).step_by(piece.len()).find(|_| stream.write_all(&piece).is_err());
    assert!(sent.is_some_and(|sent| sent > READ_AWAY), "{sent:?}");
    all_have_left(&rig);
    rig.daemon.stop();
}

#[test]
fn a_client_that_keeps_its_direction_open_is_let_go() {
    let backend = Backend::echo();
    let rig = a_rig(&backend);
    let mut stream = refused(&rig);
    all_have_left(&rig);
    collect(&mut stream).is_fatal(PROTOCOL_VERSION);
    rig.daemon.stop();
}
