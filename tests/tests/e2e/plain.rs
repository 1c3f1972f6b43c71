//! A service that TLS is switched off for: bytes pass as they are, and everything else holds.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use adjunct_tests::backend::{Backend, Nowhere};
use adjunct_tests::client::stock::Client;
use adjunct_tests::config::{Service, file};
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::process::PATIENCE;
use adjunct_tests::scene::{self, NAME, Scene};
use adjunct_tests::tls_backend::TlsBackend;
use adjunct_tests::{adjunct, bulk, need, wait_until};

const OFF: &str = "tls = \"off\"";

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Sends `request`, ends the direction, and reads to the end.
fn talk(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut socket = connect(address);
    socket.write_all(request).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    answer
}

#[test]
fn without_tls_bytes_pass_as_they_are_both_ways_at_once() {
    let length = 8 << 20;
    let backend = Backend::duplex(1, 2, length);
    let Scene { mut daemon, .. } = scene::one(&adjunct!(), backend.address, &[OFF]);
    let socket = connect(daemon.address());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            bulk::send(&mut &socket, 2, length, |_| {}).unwrap();
            socket.shutdown(Shutdown::Write).unwrap();
        });
        assert_eq!(bulk::receive(&mut &socket, 1, |_| {}).unwrap(), length);
    });
    wait_until("the backend has everything", || backend.received() == length);
    let record = daemon.completed();
    assert_eq!((record.number("bytes_in"), record.number("bytes_out")), (length, length));
    record.expect("tls", "off").expect("rule", "").expect("service", "plain");
    daemon.stop();
}

#[test]
fn what_looks_like_tls_is_no_more_than_bytes() {
    let backend = Backend::echo();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[OFF]);
    let hello = Client::new(&pki).first_flight(NAME);
    for request in [&b""[..], b"GET / HTTP/1.0\r\n\r\n", &hello, &[0; 100_000]] {
        assert_eq!(talk(daemon.address(), request), request);
        let record = daemon.completed();
        assert_eq!(record.number("bytes_in"), request.len() as u64);
    }
}

#[test]
fn a_backend_that_speaks_first_is_heard_and_half_closes_are_passed_on() {
    let backend = Backend::named("hello");
    let Scene { mut daemon, .. } = scene::one(&adjunct!(), backend.address, &[OFF]);
    let mut socket = connect(daemon.address());
    let mut greeting = [0; 6];
    socket.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"hello\n");
    drop(socket);
    daemon.completed();
    let backend = Backend::answers_after_half_close();
    let Scene { daemon, .. } = scene::one(&adjunct!(), backend.address, &[OFF]);
    assert_eq!(talk(daemon.address(), b"12345"), b"5 bytes\n");
}

#[test]
fn a_client_without_tls_is_told_by_a_reset_that_something_is_missing() {
    let is_reset = |mut socket: TcpStream| {
        let result = socket.read_to_end(&mut Vec::new());
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionReset);
    };
    let backend = Backend::resets();
    let Scene { mut daemon, .. } = scene::one(&adjunct!(), backend.address, &[OFF]);
    let mut socket = connect(daemon.address());
    socket.write_all(b"x").unwrap();
    is_reset(socket);
    daemon.record().expect("outcome", "aborted").expect("rule", "backend-reset");
    let nowhere = Nowhere::default();
    let Scene { mut daemon, .. } = scene::one(&adjunct!(), nowhere.address, &[OFF]);
    is_reset(connect(daemon.address()));
    let record = daemon.record();
    record.expect("outcome", "aborted").expect("rule", "backend-unreachable");
    record.expect("alert_sent", "");
    daemon.stop();
    let backend = Backend::echo();
    let lines = [OFF, "timeouts = { idle = \"1s\" }"];
    let Scene { mut daemon, .. } = scene::one(&adjunct!(), backend.address, &lines);
    is_reset(connect(daemon.address()));
    daemon.record().expect("outcome", "aborted").expect("rule", "idle-deadline");
    let lines = [OFF, "timeouts = { drain = \"0s\" }"];
    let Scene { daemon, .. } = scene::one(&adjunct!(), backend.address, &lines);
    let socket = connect(daemon.address());
    wait_until("the backend is reached", || backend.connections() == 2);
    daemon.terminate();
    is_reset(socket);
    let _ = daemon.wait();
}

#[test]
fn an_urgent_byte_of_telnet_is_passed_on_without_tls() {
    let backend = Backend::echo();
    let Scene { mut daemon, .. } = scene::one(&adjunct!(), backend.address, &[OFF]);
    let mut socket = connect(daemon.address());
    socket.write_all(b"\xff").unwrap();
    socket2::SockRef::from(&socket).send_out_of_band(b"\xf2").unwrap();
    socket.write_all(b"go on").unwrap();
    let mut answer = [0; 7];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"\xff\xf2go on");
    drop(socket);
    assert_eq!(daemon.record().number("bytes_in"), 7);
    daemon.stop();
}

#[test]
fn limits_and_headers_hold_without_tls() {
    let backend = Backend::echo();
    let lines = [
        OFF,
        "limits = { connections = 1 }",
        "accept_proxy = [\"127.0.0.1\"]",
        "proxy_protocol = \"v1\"",
    ];
    let Scene { mut daemon, .. } = scene::one(&adjunct!(), backend.address, &lines);
    let header = b"PROXY TCP4 192.0.2.1 198.51.100.2 49152 992\r\n";
    let request = [header, &b"payload"[..]].concat();
    // The header is ours again; what stood behind the client's one is data.
    assert_eq!(talk(daemon.address(), &request), request);
    daemon.completed().expect("peer", "192.0.2.1:49152");
    let mut first = connect(daemon.address());
    first.write_all(&request).unwrap();
    first.read_exact(&mut vec![0; request.len()]).unwrap();
    let mut second = connect(daemon.address());
    second.write_all(&request).unwrap();
    let end = second.read_to_end(&mut Vec::new());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    daemon.record().expect("outcome", "refused").expect("rule", "too-many-connections");
    drop(first);
    daemon.completed();
}

#[test]
fn nobody_waits_for_a_hello_that_will_not_come() {
    let backend = Backend::named("hello");
    let pki = Pki::new();
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let daemon = adjunct!().start(|[at]| {
        let service = Service::new("plain", at, backend.address, &leaf).with(OFF);
        let text = file(&[service.with("limits = { handshakes = 1 }")]);
        text.replacen("[server]\n", "[server]\nlimits = { hello = 1 }\n", 1)
    });
    // All of them come to be accepted in one turn.
    let sockets = daemon.frozen(|| [(); 9].map(|()| connect(daemon.address())));
    for mut socket in sockets {
        let mut greeting = [0; 6];
        socket.read_exact(&mut greeting).unwrap();
    }
    daemon.stop();
}

#[test]
fn a_client_without_tls_is_carried_on_with_tls() {
    let _ = need!("python3");
    let pki = Pki::new();
    let ours = pki.issue("ours", &Leaf::new(Kind::P256, &[NAME]));
    let theirs = pki.issue("theirs", &Leaf::new(Kind::Rsa2048, &["backend.test"]));
    let backend = TlsBackend::start(&theirs, "any", "echo", "");
    let trust = format!(
        "tls_backend = {{ ca = \"{}\", server_name = \"backend.test\" }}",
        pki.bundle().display()
    );
    let mut daemon = adjunct!().start(|[at]| {
        file(&[Service::new("outward", at, backend.address, &ours).with(OFF).with(&trust)])
    });
    assert_eq!(talk(daemon.address(), b"to be encrypted"), b"to be encrypted");
    let record = daemon.completed();
    record.expect("backend_tls.version", "TLSv1.3").expect("tls", "off");
    backend.says("closed in order");
    daemon.stop();
}

#[test]
fn who_checks_a_configuration_without_tls_is_told() {
    let pki = Pki::new();
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let config = pki.path().join("adjunct.toml");
    let check = |services: &[Service]| {
        std::fs::write(&config, file(services)).unwrap();
        adjunct!().with_file("check", &config)
    };
    let plain = |name| Service::new(name, "127.0.0.1:1", "127.0.0.1:2", &leaf).with(OFF);
    let told = check(&[plain("a")]).success().output();
    assert!(told.contains("TLS is off") && told.contains("127.0.0.1:1 without TLS"), "{told}");
    let other = Service::new("b", "127.0.0.1:1", "127.0.0.1:2", &leaf).with("sni = \"b.example\"");
    let _ = check(&[plain("a"), other]).exit(78).says("no client says which of the two it wants");
}
