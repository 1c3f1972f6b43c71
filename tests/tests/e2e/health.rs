//! Backends that are down are left alone for a while.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use adjunct_tests::backend::{Backend, Nowhere, Served};
use adjunct_tests::client::stock::Client;
use adjunct_tests::config::{Service, file};
use adjunct_tests::daemon::Daemon;
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::scene::NAME;
use adjunct_tests::{adjunct, wait_until};
use serde_json::Value;

fn start(pki: &Pki, backends: &[SocketAddr], lines: &[&str]) -> Daemon<1> {
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let socket = pki.path().join("admin.sock");
    adjunct!().start(|[at]| {
        let service = Service::with_certs("plain", at, backends, &[&leaf]);
        let service = lines.iter().fold(service, |service, line| service.with(line));
        format!("{}[admin]\nsocket = \"{}\"\n", file(&[service]), socket.display())
    })
}

/// The backends of the only service, as the status socket shows them.
fn rows(pki: &Pki) -> Vec<Value> {
    use std::io::{Read as _, Write as _};
    let socket = pki.path().join("admin.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    stream.write_all(b"status\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status: Value = serde_json::from_str(&answer).unwrap();
    status["services"][0]["backends"].as_array().cloned().unwrap()
}

#[test]
fn a_backend_that_is_down_is_not_asked_again_before_its_time() {
    let (down, up) = (Nowhere::default(), Backend::named("up"));
    let pki = Pki::new();
    let lines = ["health = { retry = \"10m\", retry_max = \"1h\" }"];
    let mut daemon = start(&pki, &[down.address, up.address], &lines);
    let client = Client::new(&pki);
    let talk = |daemon: &mut Daemon<1>| {
        let tls = client.connect(daemon.address(), NAME).unwrap();
        assert_eq!(tls.talk(b"").unwrap(), b"up\n");
        daemon.completed().expect("backend", &up.address.to_string());
    };
    assert!(rows(&pki).iter().all(|row| row["state"] == "up" && row["failures"] == 0));
    talk(&mut daemon);
    // It is there again, and counts who comes.
    let repaired = down.repaired();
    repaired.set_nonblocking(true).unwrap();
    for _ in 0..10 {
        talk(&mut daemon);
    }
    assert!(repaired.accept().is_err(), "nobody may come before the back-off is over");
    let rows = rows(&pki);
    assert_eq!((rows[0]["state"].as_str(), rows[0]["failures"].as_u64()), (Some("down"), Some(1)));
    assert!(rows[0]["next_try_ms"].as_u64().is_some_and(|ms| ms > 60_000), "{rows:?}");
    assert_eq!(rows[1]["state"].as_str(), Some("up"));
    assert_eq!(daemon.log().matches("backend-down").count(), 1, "one event for both members");
    daemon.stop();
}

#[test]
fn a_backend_that_was_repaired_is_found_again() {
    let (down, up) = (Nowhere::default(), Backend::named("second"));
    let pki = Pki::new();
    let lines = ["health = { retry = \"100ms\", retry_max = \"200ms\" }"];
    let daemon = start(&pki, &[down.address, up.address], &lines);
    let client = Client::new(&pki);
    let answer = || client.connect(daemon.address(), NAME).unwrap().talk(b"").unwrap();
    assert_eq!(answer(), b"second\n");
    let address = down.address;
    let listener = down.repaired();
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let repaired = std::thread::spawn(move || {
        for stream in listener.incoming() {
            if stopping.load(Ordering::Relaxed) {
                return;
            }
            use std::io::{Read as _, Write as _};
            let mut stream = stream.unwrap();
            stream.write_all(b"first\n").unwrap();
            let _ = stream.read(&mut [0]);
        }
    });
    wait_until("the first backend is used again", || answer() == b"first\n");
    assert!(rows(&pki).iter().all(|row| row["state"] == "up"));
    wait_until("the log says so", || daemon.log().contains("backend-up"));
    stop.store(true, Ordering::Relaxed);
    drop(std::net::TcpStream::connect(address));
    repaired.join().unwrap();
    daemon.stop();
}

#[test]
fn backends_that_are_all_down_are_all_tried() {
    let pki = Pki::new();
    let (one, two) = (Nowhere::default(), Nowhere::default());
    let lines = ["health = { retry = \"10m\", retry_max = \"1h\" }"];
    let mut daemon = start(&pki, &[one.address, two.address], &lines);
    let client = Client::new(&pki);
    for _ in 0..2 {
        let read = client.connect(daemon.address(), NAME).and_then(|tls| tls.read_to_close());
        assert!(read.is_err());
        let record = daemon.record();
        record.expect("rule", "backend-unreachable").explains(&one.address.to_string());
        record.explains(&two.address.to_string());
    }
    // Either works at once when it is back, whatever its back-off says.
    let address = two.address;
    let listener = two.repaired();
    let tls = client.connect(daemon.address(), NAME).unwrap();
    drop(listener.accept().unwrap());
    assert_eq!(tls.read_to_close().unwrap(), b"");
    tls.end().unwrap();
    daemon.completed().expect("backend", &address.to_string());
    daemon.stop();
}

#[test]
fn a_backend_that_closes_connections_it_took_is_up() {
    let backend = Backend::start(|Served { stream, .. }| {
        drop(stream);
        Ok(())
    });
    let pki = Pki::new();
    let mut daemon = start(&pki, &[backend.address], &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.read_to_close().unwrap(), b"");
    tls.end().unwrap();
    daemon.completed();
    assert_eq!(rows(&pki)[0]["state"].as_str(), Some("up"));
    daemon.stop();
}
