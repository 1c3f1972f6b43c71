//! TLS towards the backend: whom we accept, what goes through, and how it ends.
//!
//! The peers are Python's `ssl` and `openssl s_server`.

use std::fmt::Display;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use adjunct_tests::backend::{Backend, Served};
use adjunct_tests::client::openssl::Server;
use adjunct_tests::client::stock::Client;
use adjunct_tests::client::{REQUEST, curl};
use adjunct_tests::client_pki::ClientPki;
use adjunct_tests::config::{Service, file};
use adjunct_tests::daemon::Daemon;
use adjunct_tests::pki::{Issued, Kind, Leaf, Pki};
use adjunct_tests::record::Record;
use adjunct_tests::scene::NAME;
use adjunct_tests::tls_backend::TlsBackend;
use adjunct_tests::{adjunct, bulk, need, wait_until};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

/// The name that the backends' certificates are for.
const BACKEND: &str = "backend.test";
/// Bytes of a transfer, each way.
const BULK: u64 = 16 << 20;

/// Our certificate, and one for a backend.
fn leaves(pki: &Pki) -> (Issued, Issued) {
    let ours = pki.issue("ours", &Leaf::new(Kind::P256, &[NAME]));
    (ours, pki.issue("theirs", &Leaf::new(Kind::Rsa2048, &[BACKEND])))
}

/// A daemon that trusts the CAs in the file `ca` in backends that are called [`BACKEND`].
fn front(ours: &Issued, ca: &Path, backends: &[&dyn Display], lines: &[&str]) -> Daemon<1> {
    adjunct!().start(|[at]| {
        let service = Service::with_certs("secret", at, backends, &[ours]).with(&format!(
            "tls_backend = {{ ca = \"{}\", server_name = \"{BACKEND}\" }}",
            ca.display()
        ));
        file(&[lines.iter().fold(service, |service, line| service.with(line))])
    })
}

/// What becomes of a client when its only backend is not accepted.
fn refused(daemon: &mut Daemon<1>, pki: &Pki, rule: &str) -> Record {
    let tls = Client::new(pki).connect(daemon.address(), NAME);
    let read = tls.and_then(|tls| tls.read_to_close());
    assert!(read.is_err(), "no backend must not look like an orderly end");
    let record = daemon.record();
    record.expect("outcome", "aborted").expect("rule", rule).expect("close_by", "backend");
    assert_eq!(record.number("bytes_in") + record.number("bytes_out"), 0);
    record
}

#[test]
fn openssl_answers_through_both_layers() {
    let _ = (need!("openssl"), need!("curl"));
    let pki = Pki::new();
    let (ours, theirs) = leaves(&pki);
    for (option, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let server = Server::start(&theirs, &[option]);
        let mut daemon = front(&ours, &pki.bundle(), &[&server.address], &[]);
        let _ = curl::get(daemon.address(), NAME, &pki.bundle(), &[]).success().says("s_server");
        let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
        let answer = tls.talk(REQUEST.as_bytes()).unwrap();
        assert!(String::from_utf8_lossy(&answer).contains("s_server"));
        let _ = daemon.completed();
        let record = daemon.completed();
        record.expect("backend_tls.version", version).expect("backend_tls.subject", "CN=theirs");
        assert!(record.text("backend_tls.cipher").starts_with("TLS_"), "{}", record.to_text());
        daemon.stop();
    }
}

fn bulk_both_ways(version: &str) {
    let pki = Pki::new();
    let (ours, theirs) = leaves(&pki);
    let backend = TlsBackend::start(&theirs, version, "echo", "");
    let mut daemon = front(&ours, &pki.bundle(), &[&backend.address], &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            bulk::send(&mut &tls, 7, BULK, |_| {}).unwrap();
            tls.end().unwrap();
        });
        assert_eq!(bulk::receive(&mut &tls, 7, |_| {}).unwrap(), BULK);
    });
    backend.says("closed in order");
    let record = daemon.completed();
    assert_eq!((record.number("bytes_in"), record.number("bytes_out")), (BULK, BULK));
    daemon.stop();
}

#[test]
fn bulk_arrives_intact_both_ways_over_tls_1_2() {
    let _ = need!("python3");
    bulk_both_ways("TLSv1_2");
}

#[test]
fn bulk_arrives_intact_both_ways_over_tls_1_3() {
    let _ = need!("python3");
    bulk_both_ways("TLSv1_3");
}

#[test]
fn the_second_connection_resumes_the_session_of_the_first() {
    let _ = need!("python3");
    let pki = Pki::new();
    let (ours, theirs) = leaves(&pki);
    for version in ["TLSv1_2", "TLSv1_3"] {
        let backend = TlsBackend::start(&theirs, version, "echo", "hello\n");
        let mut daemon = front(&ours, &pki.bundle(), &[&backend.address], &[]);
        for resumed in [false, true] {
            let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
            assert_eq!(tls.talk(b"data").unwrap(), b"hello\ndata");
            let record = daemon.completed();
            assert_eq!(record.field("backend_tls.resumed"), resumed, "{}", record.to_text());
        }
        backend.says("resumed");
        daemon.stop();
    }
}

#[test]
fn the_end_of_the_client_reaches_the_backend_and_its_answer_comes_back() {
    let _ = need!("python3");
    let pki = Pki::new();
    let (ours, theirs) = leaves(&pki);
    for version in ["TLSv1_2", "TLSv1_3"] {
        let backend = TlsBackend::start(&theirs, version, "count", "");
        let mut daemon = front(&ours, &pki.bundle(), &[&backend.address], &[]);
        let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
        assert_eq!(tls.talk(&[7; 100_000]).unwrap(), b"100000 bytes\n");
        backend.says("closed in order");
        let _ = daemon.completed();
        daemon.stop();
    }
}

/// Says goodbye, ends its own direction in order, and counts what still arrives until the other
/// one ends in order.
fn closes_first(theirs: &Issued) -> Backend {
    let chain = CertificateDer::pem_file_iter(&theirs.cert).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&theirs.key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    Backend::start(move |served| {
        let mut socket = &served.stream;
        let mut tls = ServerConnection::new(Arc::clone(&config)).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        tls.writer().write_all(b"goodbye\n")?;
        tls.send_close_notify();
        while tls.wants_write() {
            tls.write_tls(&mut socket)?;
        }
        let mut total = 0;
        let mut buffer = [0; 4096];
        while let n @ 1.. = Stream::new(&mut tls, &mut socket).read(&mut buffer)? {
            total += n as u64;
        }
        served.received(total);
        Ok(())
    })
}

#[test]
fn a_backend_that_has_finished_still_gets_everything() {
    let pki = Pki::new();
    let (ours, theirs) = leaves(&pki);
    let backend = closes_first(&theirs);
    let mut daemon = front(&ours, &pki.bundle(), &[&backend.address], &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.read_to_close().unwrap(), b"goodbye\n");
    (&mut &tls).write_all(&[7; 200_000]).unwrap();
    tls.end().unwrap();
    wait_until("the backend has everything, and its end", || backend.received() == 200_000);
    daemon.completed().expect("close_by", "backend");
}

#[test]
fn a_client_that_is_cut_is_not_told_to_the_backend_as_complete() {
    let _ = need!("python3");
    let pki = Pki::new();
    let (ours, theirs) = leaves(&pki);
    let backend = TlsBackend::start(&theirs, "any", "count", "hello\n");
    let mut daemon = front(&ours, &pki.bundle(), &[&backend.address], &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    (&mut &tls).write_all(b"half a").unwrap();
    assert_eq!(tls.read_some(6).unwrap(), b"hello\n");
    tls.truncate().unwrap();
    backend.says("ended by SSLEOFError");
    daemon.record().expect("rule", "truncated");
    assert!(!backend.process.stdout.text().contains("closed in order"));
}

#[test]
fn a_backend_that_is_cut_is_not_told_to_the_client_as_complete() {
    let _ = need!("python3");
    let pki = Pki::new();
    let (ours, theirs) = leaves(&pki);
    let backend = TlsBackend::start(&theirs, "any", "truncate", "half a");
    let mut daemon = front(&ours, &pki.bundle(), &[&backend.address], &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    (&mut &tls).write_all(b"x").unwrap();
    assert_eq!(tls.read_some(6).unwrap(), b"half a");
    let error = tls.read_to_close().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "no close_notify, no reset");
    let record = daemon.record();
    record.expect("rule", "backend-truncated").expect("outcome", "aborted");
    assert_eq!(record.number("gsk"), 420);
}

#[test]
fn a_backend_that_resets_is_reported_wherever_it_does() {
    let _ = need!("python3");
    let pki = Pki::new();
    let (ours, theirs) = leaves(&pki);
    let early = TlsBackend::start(&theirs, "any", "reset-handshake", "");
    let mut daemon = front(&ours, &pki.bundle(), &[&early.address], &[]);
    let record = refused(&mut daemon, &pki, "backend-tls");
    record.explains("reset");
    assert_eq!(record.number("gsk"), 415);
    let late = TlsBackend::start(&theirs, "any", "reset", "");
    let mut daemon = front(&ours, &pki.bundle(), &[&late.address], &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert!(tls.talk(b"hello").is_err());
    daemon.record().expect("rule", "backend-reset").expect("outcome", "aborted");
}

#[test]
fn only_a_valid_certificate_of_a_trusted_ca_for_the_right_name_is_accepted() {
    let _ = need!("openssl");
    let (pki, others) = (Pki::new(), ClientPki::new());
    let (ours, theirs) = leaves(&pki);
    let wrong = pki.issue("wrong", &Leaf::new(Kind::P256, &["other.test"]));
    let expired = pki.issue("expired", &Leaf::new(Kind::P256, &[BACKEND]).expired());
    for (leaf, trusted, rule, gsk, word) in [
        (&wrong, pki.bundle(), "backend-name", 8, BACKEND),
        (&expired, pki.bundle(), "backend-expired", 401, "expired"),
        (&theirs, others.ca(), "backend-ca", 435, "tls_backend.ca"),
    ] {
        for version in ["-tls1_2", "-tls1_3"] {
            let server = Server::start(leaf, &[version]);
            let mut daemon = front(&ours, &trusted, &[&server.address], &[]);
            let record = refused(&mut daemon, &pki, rule);
            record.expect("fault", "backend").explains(word).explains(&server.address.to_string());
            assert_eq!(record.number("gsk"), gsk);
        }
    }
}

#[test]
fn a_certificate_that_is_not_for_servers_is_not_accepted() {
    let _ = need!("openssl");
    let (pki, clients) = (Pki::new(), ClientPki::new());
    let (ours, _) = leaves(&pki);
    let server = Server::start(&clients.good("client", Kind::P256), &[]);
    let mut daemon = front(&ours, &clients.ca(), &[&server.address], &[]);
    let record = refused(&mut daemon, &pki, "backend-certificate");
    assert_eq!(record.number("gsk"), 414);
}

#[test]
fn a_backend_without_a_common_suite_answers_with_an_alert() {
    let _ = need!("openssl");
    let pki = Pki::new();
    let (ours, theirs) = leaves(&pki);
    let options = ["-tls1_2", "-cipher", "AES128-SHA"];
    let server = Server::start(&theirs, &options);
    let mut daemon = front(&ours, &pki.bundle(), &[&server.address], &[]);
    let record = refused(&mut daemon, &pki, "backend-alert");
    assert_eq!(record.number("gsk"), 439);
    record.explains("handshake_failure");
}

#[test]
fn a_backend_in_clear_text_gets_no_data() {
    let backend = Backend::start(|Served { mut stream, .. }| {
        stream.write_all(b"220 ready\r\n")?;
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).map(|_| ())
    });
    let pki = Pki::new();
    let (ours, _) = leaves(&pki);
    let mut daemon = front(&ours, &pki.bundle(), &[&backend.address], &[]);
    let record = refused(&mut daemon, &pki, "backend-not-tls");
    record.explains("clear text").explains("TLS port");
}

#[test]
fn a_silent_backend_is_given_up_and_the_next_one_serves() {
    let _ = need!("python3");
    let silent = Backend::start(|Served { mut stream, .. }| {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).map(|_| ())
    });
    let pki = Pki::new();
    let (ours, theirs) = leaves(&pki);
    let limit = "timeouts = { connect = \"300ms\" }";
    let mut daemon = front(&ours, &pki.bundle(), &[&silent.address], &[limit]);
    refused(&mut daemon, &pki, "connect-deadline").explains("no answer within 300ms");
    daemon.stop();
    let wrong = pki.issue("wrong", &Leaf::new(Kind::P256, &["other.test"]));
    let wrong = TlsBackend::start(&wrong, "any", "echo", "wrong\n");
    let up = TlsBackend::start(&theirs, "any", "echo", "up\n");
    let all: [&dyn Display; 3] = [&silent.address, &wrong.address, &up.address];
    let mut daemon = front(&ours, &pki.bundle(), &all, &[limit]);
    for _ in 0..3 {
        let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
        assert_eq!(tls.talk(b"data").unwrap(), b"up\ndata");
        daemon.completed().expect("backend", &up.address.to_string());
    }
    let told = || daemon.log().contains("is not for `backend.test`");
    wait_until("the wrong backend is reported as down", told);
}

#[test]
fn a_proxy_header_goes_ahead_in_clear() {
    let _ = need!("python3");
    let pki = Pki::new();
    let (ours, theirs) = leaves(&pki);
    let backend = TlsBackend::start(&theirs, "any", "behind-header", "hello\n");
    let header = "proxy_protocol = \"v1\"";
    let mut daemon = front(&ours, &pki.bundle(), &[&backend.address], &[header]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"data").unwrap(), b"hello\ndata");
    let record = daemon.completed();
    let port = record.text("peer").rsplit(':').next().unwrap_or_default().to_owned();
    backend.says(&format!("PROXY TCP4 127.0.0.1 127.0.0.1 {port} "));
}

#[test]
fn check_looks_into_the_file_of_cas() {
    let pki = Pki::new();
    let (ours, _) = leaves(&pki);
    let ca = pki.path().join("damaged.pem");
    std::fs::write(&ca, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let config = pki.path().join("adjunct.toml");
    let service = Service::new("secret", "127.0.0.1:1992", "localhost:9", &ours);
    let line = format!("tls_backend = {{ ca = \"{}\" }}", ca.display());
    std::fs::write(&config, file(&[service.with(&line)])).unwrap();
    let finished = adjunct!().with_file("check", &config).exit(65);
    let _ = finished.says("tls_backend.ca").says("ca-unreadable");
}
