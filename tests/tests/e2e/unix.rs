//! Backends behind Unix sockets.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixListener;

use adjunct_tests::adjunct;
use adjunct_tests::bulk;
use adjunct_tests::client::stock::Client;
use adjunct_tests::scene::{self, NAME, Scene};
use adjunct_tests::unix::UnixBackend;

/// Where a socket can be made.
fn place() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    (directory, path)
}

#[test]
fn both_directions_of_a_unix_backend_arrive_intact() {
    let (_directory, path) = place();
    let length = bulk::size();
    let backend = UnixBackend::duplex(&path, 1, 2, length);
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), &backend, &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            bulk::send(&mut &tls, 2, length, |_| {}).unwrap();
            tls.end().unwrap();
        });
        assert_eq!(bulk::receive(&mut &tls, 1, |_| {}).unwrap(), length);
    });
    let record = daemon.completed();
    assert_eq!((record.number("bytes_in"), record.number("bytes_out")), (length, length));
    record.expect("backend", &backend.to_string());
    daemon.stop();
}

#[test]
fn a_unix_backend_answers_after_a_half_close() {
    let (_directory, path) = place();
    let backend = UnixBackend::answers_after_half_close(&path);
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), &backend, &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"12345").unwrap(), b"5 bytes\n");
    daemon.completed();
}

#[test]
fn a_unix_backend_that_finishes_first_still_gets_everything() {
    let (_directory, path) = place();
    let (tell, told) = std::sync::mpsc::channel();
    let backend = UnixBackend::start(&path, move |mut stream| {
        stream.write_all(b"goodbye\n")?;
        stream.shutdown(Shutdown::Write)?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        let _ = tell.send(all.len());
        Ok(())
    });
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), &backend, &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.read_to_close().unwrap(), b"goodbye\n");
    (&mut &tls).write_all(&[7; 100_000]).unwrap();
    tls.end().unwrap();
    assert_eq!(told.recv().unwrap(), 100_000);
    daemon.completed();
}

#[test]
fn a_unix_backend_that_reads_no_more_can_still_answer() {
    let (_directory, path) = place();
    let backend = UnixBackend::start(&path, |mut stream| {
        stream.read_exact(&mut [0; 5])?;
        stream.shutdown(Shutdown::Read)?;
        // The daemon has met the closed door by then.
        std::thread::sleep(std::time::Duration::from_millis(100));
        stream.write_all(b"enough\n")?;
        stream.shutdown(Shutdown::Write)
    });
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), &backend, &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    (&mut &tls).write_all(b"12345").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    (&mut &tls).write_all(&[7; 1000]).unwrap();
    assert_eq!(tls.read_to_close().unwrap(), b"enough\n");
    tls.end().unwrap();
    daemon.completed();
}

#[test]
fn a_unix_backend_that_leaves_without_reading_does_not_look_like_an_orderly_end() {
    let (_directory, path) = place();
    let backend = UnixBackend::start(&path, |mut stream| {
        // One byte of several is left unread, which the kernel tells the other side.
        stream.read_exact(&mut [0; 1])
    });
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), &backend, &[]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert!(tls.talk(b"hello").is_err());
    daemon.record().expect("outcome", "aborted").expect("rule", "backend-reset");
}

#[test]
fn a_unix_backend_may_start_later() {
    let (_directory, path) = place();
    let name = format!("unix:{}", path.display());
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), &name, &[]);
    let client = Client::new(&pki);
    let read = client.connect(daemon.address(), NAME).and_then(|tls| tls.read_to_close());
    assert!(read.is_err(), "an absent backend must not look like an orderly end");
    let record = daemon.record();
    record.expect("outcome", "aborted").expect("rule", "backend-unreachable");
    assert!(record.text("reason").contains(&name), "{}", record.0);
    // A socket whose service has gone.
    drop(UnixListener::bind(&path).unwrap());
    let read = client.connect(daemon.address(), NAME).and_then(|tls| tls.read_to_close());
    assert!(read.is_err());
    daemon.record().expect("rule", "backend-unreachable").explains("refused");
    std::fs::remove_file(&path).unwrap();
    let backend = UnixBackend::echo(&path);
    let tls = client.connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    daemon.completed();
    assert_eq!(backend.connections(), 1);
    let log = daemon.log();
    assert_eq!(log.matches("backend-down").count(), 1, "{log}");
    assert_eq!(log.matches("backend-up").count(), 1, "{log}");
}

#[test]
fn a_full_queue_of_a_unix_backend_is_waited_for_until_the_deadline() {
    use socket2::{Domain, SockAddr, Socket, Type};
    let (_directory, path) = place();
    let address = SockAddr::unix(&path).unwrap();
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&address).unwrap();
    listener.listen(0).unwrap();
    let filler = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    filler.connect(&address).unwrap();
    let lines = ["timeouts = { connect = \"1s\" }"];
    let name = format!("unix:{}", path.display());
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), &name, &lines);
    let client = Client::new(&pki);
    let read = client.connect(daemon.address(), NAME).and_then(|tls| tls.read_to_close());
    assert!(read.is_err());
    daemon.record().expect("rule", "connect-deadline").explains("no answer within 1s");
    // Room is made while the next client waits.
    let tls = client.connect(daemon.address(), NAME).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    drop((accepted, filler));
    let (mut served, _) = listener.accept().unwrap();
    served.write_all(b"late\n").unwrap();
    drop(served);
    assert_eq!(tls.read_to_close().unwrap(), b"late\n");
    tls.end().unwrap();
    daemon.completed();
}
