//! Backends that are down, that reset, that want to know who is calling.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use adjunct_tests::backend::{Backend, Nowhere, Served};
use adjunct_tests::client::stock::Client;
use adjunct_tests::config::{Service, file};
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::scene::{self, NAME, Scene};
use adjunct_tests::{adjunct, wait_until};

#[test]
fn the_next_backend_is_used_when_one_is_down() {
    let (down, up) = (Nowhere::default(), Backend::named("up"));
    let pki = Pki::new();
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let mut daemon = adjunct!().start(|[at]| {
        file(&[Service::with_certs("plain", at, &[down.address, up.address], &[&leaf])])
    });
    for _ in 0..3 {
        let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
        assert_eq!(tls.talk(b"").unwrap(), b"up\n");
        daemon.completed().expect("backend", &up.address.to_string());
    }
}

#[test]
fn a_service_whose_backends_are_all_down_says_so() {
    let down = Nowhere::default();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), down.address, &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME);
    let read = tls.and_then(|tls| tls.read_to_close());
    assert!(read.is_err(), "an absent backend must not look like an orderly end");
    let record = daemon.record();
    record.expect("outcome", "aborted").expect("rule", "backend-unreachable");
    record.expect("fault", "backend").explains("backend");
    let named = record.to_text();
    assert!(named.contains(&down.address.to_string()), "{named}");
}

#[test]
fn a_backend_that_resets_does_not_look_like_an_orderly_end() {
    let backend = Backend::resets();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert!(tls.talk(b"hello").is_err());
    let record = daemon.record();
    record.expect("outcome", "aborted").expect("rule", "backend-reset");
    record.expect("fault", "backend").expect("backend", &backend.address.to_string());
}

#[test]
fn the_proxy_header_names_the_client() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let backend = Backend::start(move |Served { mut stream, .. }| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        *kept.lock().unwrap() = all;
        Ok(())
    });
    let Scene { mut daemon, pki } =
        scene::one(&adjunct!(), backend.address, &["proxy_protocol = \"v2\""]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"payload").unwrap(), b"");
    let record = daemon.completed();
    wait_until("the backend has everything", || !seen.lock().unwrap().is_empty());
    let all = seen.lock().unwrap().clone();
    let (header, rest) = all.split_at(28);
    assert_eq!(&header[..14], b"\r\n\r\n\0\r\nQUIT\n\x21\x11", "version 2, PROXY, TCP over IPv4");
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    assert_eq!(&rest[length - 12..], b"payload", "addresses and TLVs, then the data");
    assert_eq!(header[16..20], [127, 0, 0, 1]);
    let peer: SocketAddr = record.text("peer").parse().unwrap();
    assert_eq!(u16::from_be_bytes([header[24], header[25]]), peer.port());
    let local = daemon.address().port();
    assert_eq!(u16::from_be_bytes([header[26], header[27]]), local);
}

#[test]
fn the_next_backend_is_used_when_one_does_not_answer() {
    // A listener whose queue is full: the kernel drops what else knocks.
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let silent = full.local_addr().unwrap().as_socket().unwrap();
    let fillers: Vec<_> = (0..4)
        .map(|_| {
            let filler =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&silent.into());
            filler
        })
        .collect();
    let up = Backend::named("up");
    let pki = Pki::new();
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let mut daemon = adjunct!().start(|[at]| {
        let service = Service::with_certs("plain", at, &[silent, up.address], &[&leaf]);
        file(&[service.with("timeouts = { connect = \"1s\" }")])
    });
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"").unwrap(), b"up\n");
    daemon.completed().expect("backend", &up.address.to_string());
    assert!(daemon.log().contains("no answer within 1s"), "{}", daemon.log());
    drop(fillers);
}

#[test]
fn a_backend_that_closes_at_once_is_an_orderly_end() {
    let backend = Backend::start(|Served { stream, .. }| {
        drop(stream);
        Ok(())
    });
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[]);
    for _ in 0..20 {
        let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
        assert_eq!(tls.read_to_close().unwrap(), b"");
        tls.end().unwrap();
        daemon.completed().expect("close_by", "backend");
    }
}
