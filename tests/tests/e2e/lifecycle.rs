//! Start, second start, drain and its deadline.

use std::io::Write;
use std::net::TcpStream;

use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::Client;
use adjunct_tests::scene::{self, NAME, Scene};
use adjunct_tests::{adjunct, wait_until};

#[test]
fn a_second_instance_on_the_same_port_is_refused() {
    let echo = Backend::echo();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), echo.address, &[]);
    let second = adjunct!().with_file("run", &daemon.config()).exit(69);
    let _ = second.says(&daemon.address().to_string());
    // The first one is not disturbed.
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    daemon.completed();
    daemon.stop();
}

#[test]
fn a_drain_serves_what_is_open_and_accepts_nothing_new() {
    let echo = Backend::echo();
    let Scene { daemon, pki } = scene::one(&adjunct!(), echo.address, &[]);
    let address = daemon.address();
    let tls = Client::new(&pki).connect(address, NAME).unwrap();
    (&mut &tls).write_all(b"before").unwrap();
    assert_eq!(tls.read_some(6).unwrap(), b"before");
    daemon.terminate();
    wait_until("the listeners are closed", || TcpStream::connect(address).is_err());
    (&mut &tls).write_all(b"during").unwrap();
    assert_eq!(tls.read_some(6).unwrap(), b"during");
    assert_eq!(tls.talk(b"").unwrap(), b"");
    let _ = daemon.wait().exit(0).says("\"outcome\":\"completed\"");
}

#[test]
fn a_drain_ends_at_its_deadline_and_says_so() {
    let echo = Backend::echo();
    let lines = ["timeouts = { drain = \"1s\" }"];
    let Scene { daemon, pki } = scene::one(&adjunct!(), echo.address, &lines);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    (&mut &tls).write_all(b"hello").unwrap();
    assert_eq!(tls.read_some(5).unwrap(), b"hello");
    daemon.terminate();
    let _ = daemon.wait().exit(75).says("\"rule\":\"shutdown\"");
}

#[test]
fn a_second_signal_ends_a_drain_at_once() {
    let echo = Backend::echo();
    let Scene { daemon, pki } = scene::one(&adjunct!(), echo.address, &[]);
    let address = daemon.address();
    let tls = Client::new(&pki).connect(address, NAME).unwrap();
    (&mut &tls).write_all(b"hello").unwrap();
    assert_eq!(tls.read_some(5).unwrap(), b"hello");
    daemon.terminate();
    wait_until("the listeners are closed", || TcpStream::connect(address).is_err());
    daemon.terminate();
    let _ = daemon.wait().exit(75).says("\"rule\":\"shutdown\"");
}

#[test]
fn an_idle_daemon_stops_at_once_and_in_order() {
    let echo = Backend::echo();
    scene::one(&adjunct!(), echo.address, &[]).daemon.stop();
}

#[test]
fn the_demo_shows_a_full_a_resumed_and_a_refused_handshake_without_any_set_up() {
    let done = adjunct!().run(&["demo", "--once"]).success();
    let _ = done.says("resumed").says("refused").says("KMA-GCM-AES").says("CEX8");
}
