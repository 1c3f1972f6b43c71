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

/// Has a client refused, runs `then` with its alert in front of it and not read, and waits until
/// it is forgotten.
fn when_refused(then: impl FnOnce(&rig::Rig, &mut TcpStream)) {
    let backend = Backend::echo();
    let plan = rig::Plan { workers: Some(1), ..rig::Plan::default() };
    let rig = rig::Rig::start(&adjunct!(), backend.address, &plan);
    let mut stream = connect(rig.ec());
    stream.write_all(&Hello::of(TOO_OLD, AEAD).to(NAME).record()).unwrap();
    assert!(stream.peek(&mut [0; 7]).unwrap() > 0);
    assert_eq!(rig.wait_records(1).len(), 1, "it is recorded when our last word is said");
    then(&rig, &mut stream);
    drop(stream);
    has_left(&rig);
    assert!(rig.records().is_empty(), "one record for each connection");
    rig.daemon.stop();
}

fn has_left(rig: &rig::Rig) {
    wait_until("nobody is connected", || rig.member("connections") == 0);
}

#[test]
fn an_alert_reaches_a_client_that_goes_on_sending() {
    when_refused(|_, stream| {
        stream.write_all(&vec![0; READ_AWAY / 2]).unwrap();
        collect(stream).is_fatal(PROTOCOL_VERSION);
    });
}

#[test]
fn a_client_that_sends_without_end_is_cut_off() {
    when_refused(|rig, stream| {
        let piece = [0; 16 * 1024];
        let sent = (0..ENOUGH).step_by(piece.len()).find(|_| stream.write_all(&piece).is_err());
        assert!(sent.is_some_and(|sent| sent > READ_AWAY), "{sent:?}");
        has_left(rig);
    });
}

#[test]
fn a_client_that_keeps_its_direction_open_is_let_go() {
    when_refused(|rig, stream| {
        has_left(rig);
        collect(stream).is_fatal(PROTOCOL_VERSION);
    });
}
