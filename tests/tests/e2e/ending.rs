//! How connections end: in order, half-closed, truncated, reset.

use std::io::Write;

use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::Client;
use adjunct_tests::scene::{self, NAME, Scene};
use adjunct_tests::{adjunct, wait_until};

#[test]
fn a_client_that_has_finished_writing_still_gets_its_answer() {
    let backend = Backend::answers_after_half_close();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"12345").unwrap(), b"5 bytes\n");
    daemon.completed();
}

#[test]
fn a_backend_that_has_finished_writing_still_gets_everything() {
    let backend = Backend::closes_first();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.read_to_close().unwrap(), b"goodbye\n", "a close_notify comes at once");
    (&mut &tls).write_all(&[7; 100_000]).unwrap();
    tls.end().unwrap();
    wait_until("the backend has everything", || backend.received() == 100_000);
    assert_eq!(daemon.completed().number("bytes_in"), 100_000);
}

#[test]
fn a_fin_without_close_notify_is_reported_as_truncation() {
    let backend = Backend::echo();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    (&mut &tls).write_all(b"hello").unwrap();
    assert_eq!(tls.read_some(5).unwrap(), b"hello");
    tls.truncate().unwrap();
    let record = daemon.record();
    record.expect("outcome", "aborted").expect("rule", "truncated").expect("fault", "peer");
    assert_eq!((record.number("bytes_in"), record.number("bytes_out")), (5, 5));
}

#[test]
fn a_client_that_resets_is_reported_and_harms_nobody() {
    let backend = Backend::echo();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[]);
    let client = Client::new(&pki);
    let other = client.connect(daemon.address(), NAME).unwrap();
    let tls = client.connect(daemon.address(), NAME).unwrap();
    (&mut &tls).write_all(b"hello").unwrap();
    assert_eq!(tls.read_some(5).unwrap(), b"hello");
    tls.reset().unwrap();
    daemon.record().expect("outcome", "aborted").expect("rule", "peer-reset");
    assert_eq!(other.talk(b"still here").unwrap(), b"still here");
    daemon.completed();
    daemon.stop();
}

#[test]
fn an_idle_connection_ends_at_its_deadline() {
    let backend = Backend::echo();
    let lines = ["timeouts = { idle = \"1s\" }"];
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &lines);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    (&mut &tls).write_all(b"hello").unwrap();
    assert_eq!(tls.read_some(5).unwrap(), b"hello");
    let _ = tls.read_to_close();
    daemon.record().expect("outcome", "aborted").expect("rule", "idle-deadline");
}

#[test]
fn an_answer_that_is_cut_at_the_idle_deadline_does_not_look_complete() {
    let backend = Backend::duplex(1, 2, 32 << 20);
    let lines = ["timeouts = { idle = \"1s\" }"];
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &lines);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    // Nothing is read until the daemon has lost patience.
    daemon.record().expect("outcome", "aborted").expect("rule", "idle-deadline");
    assert!(tls.read_to_close().is_err(), "a cut answer must not end in close_notify");
}

#[test]
fn connections_over_the_limit_are_refused() {
    let echo = Backend::echo();
    let Scene { mut daemon, pki } =
        scene::one(&adjunct!(), echo.address, &["limits = { connections = 1 }"]);
    let client = Client::new(&pki);
    let first = client.connect(daemon.address(), NAME).unwrap();
    assert!(client.connect(daemon.address(), NAME).is_err());
    daemon.record().expect("outcome", "refused").expect("rule", "too-many-connections");
    assert_eq!(first.talk(b"hello").unwrap(), b"hello");
    daemon.completed();
}
