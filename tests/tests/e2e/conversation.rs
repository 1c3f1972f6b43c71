//! Connections that go on for a while, and what wakes an event loop for them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::{Client, Tls};
use adjunct_tests::daemon::{self, Daemon};
use adjunct_tests::scene::NAME;
use adjunct_tests::{adjunct, rig, wait_until};

/// Sockets that wake the only event loop at once: those in the epoll instance that another one
/// watches (`/proc/PID/fdinfo`). Its waker is not counted.
fn urgent(daemon: &Daemon<2>) -> usize {
    let directory = format!("/proc/{}/fd", daemon.id());
    let is_epoll = |entry: &std::fs::DirEntry| {
        std::fs::read_link(entry.path()).is_ok_and(|to| to.ends_with("anon_inode:[eventpoll]"))
    };
    let watched: Vec<(u32, Vec<u32>)> = std::fs::read_dir(directory)
        .unwrap()
        .map(Result::unwrap)
        .filter(is_epoll)
        .map(|entry| {
            let number = entry.file_name();
            let number = number.to_str().unwrap();
            let info = format!("/proc/{}/fdinfo/{number}", daemon.id());
            let info = std::fs::read_to_string(info).unwrap();
            let target = |line: &str| {
                line.strip_prefix("tfd:")?.split_whitespace().next()?.parse::<u32>().ok()
            };
            (number.parse().unwrap(), info.lines().filter_map(target).collect())
        })
        .collect();
    let inner =
        |(own, _): &&(u32, Vec<u32>)| watched.iter().any(|(_, others)| others.contains(own));
    watched.iter().filter(inner).map(|(_, sockets)| sockets.len() - 1).sum()
}

fn ping(tls: &Tls) {
    let mut stream = tls;
    stream.write_all(b"ping").unwrap();
    assert_eq!(tls.read_some(4).unwrap(), b"ping");
}

#[test]
fn a_conversation_wakes_its_event_loop_at_once_and_a_short_request_does_not() {
    let backend = Backend::echo();
    let plan = rig::Plan { workers: Some(1), ..rig::Plan::default() };
    let rig = rig::Rig::start(&adjunct!(), backend.address, &plan);
    let client = Client::new(&rig.pki);
    let tls = client.connect(rig.ec(), NAME).unwrap();
    ping(&tls);
    assert_eq!(urgent(&rig.daemon), 0, "one request may have been all");
    (0..8).for_each(|_| ping(&tls));
    assert_eq!(urgent(&rig.daemon), 2, "its socket and that of its backend");
    let short = client.connect(rig.ec(), NAME).unwrap();
    ping(&short);
    assert_eq!(urgent(&rig.daemon), 2);
    assert_eq!(short.talk(b"").unwrap(), b"");
    assert_eq!(tls.talk(b"bye").unwrap(), b"bye");
    wait_until("nobody is left to be watched", || urgent(&rig.daemon) == 0);
    rig.daemon.stop();
}

/// Pings after which a connection is surely a conversation.
const PINGS: usize = 9;

/// A service that is an echo for so many pings, says nothing of the `silent` bytes behind them, and
/// is an echo again.
fn echo_around(pings: usize, silent: u64) -> Backend {
    Backend::start(move |served| {
        let mut stream = &served.stream;
        let mut word = [0; 4];
        for _ in 0..pings {
            stream.read_exact(&mut word)?;
            stream.write_all(&word)?;
        }
        let (mut space, mut total) = (vec![0; 64 * 1024], 0);
        while total < silent {
            match stream.read(&mut space)? {
                0 => return Ok(()),
                count => total += count as u64,
            }
            served.received(total);
        }
        std::io::copy(&mut stream.try_clone()?, &mut stream).map(drop)
    })
}

#[test]
fn a_stream_does_not_wake_its_event_loop_at_once_until_it_is_answered() {
    const SILENT: usize = 8 << 20;
    let backend = echo_around(PINGS, SILENT as u64);
    let plan = rig::Plan { workers: Some(1), ..rig::Plan::default() };
    let rig = rig::Rig::start(&adjunct!(), backend.address, &plan);
    let tls = Client::new(&rig.pki).connect(rig.ec(), NAME).unwrap();
    let converse = || {
        (0..PINGS).for_each(|_| ping(&tls));
        assert_eq!(urgent(&rig.daemon), 2, "it is a conversation");
    };
    converse();
    (&tls).write_all(&vec![0x5A; SILENT]).unwrap();
    wait_until("all has arrived", || backend.received() == SILENT as u64);
    assert_eq!(urgent(&rig.daemon), 0, "nobody has answered");
    converse();
    assert_eq!(tls.talk(b"bye").unwrap(), b"bye");
    rig.daemon.stop();
}

/// Clients that send without end, for as long as this lives. They pause for a moment after every
/// piece: where all processors are busy, each would send for milliseconds while no other one does,
/// and an event loop that is never done has nothing to let gather.
struct Uploads {
    end: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Uploads {
    fn begin(rig: &rig::Rig, clients: usize) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let pause = Duration::from_millis(if daemon::runner().is_some() { 50 } else { 1 });
        let begin = |_| {
            let tls = Client::new(&rig.pki).connect(rig.ec(), NAME).unwrap();
            let end = Arc::clone(&end);
            std::thread::spawn(move || {
                while !end.load(Ordering::Relaxed) && (&tls).write_all(&[0x5A; 64 * 1024]).is_ok() {
                    std::thread::sleep(pause);
                }
            })
        };
        let clients = (0..clients).map(begin).collect();
        Self { end, clients }
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            let _ = client.join();
        }
    }
}

#[test]
fn several_streams_are_let_gather_and_one_is_not() {
    let backend = echo_around(0, u64::MAX);
    let plan = rig::Plan { workers: Some(1), ..rig::Plan::default() };
    let rig = rig::Rig::start(&adjunct!(), backend.address, &plan);
    // The poll that lets them gather is another system call than the one that does not.
    let calls = || rig.daemon.thread_calls("adj00001");
    wait_until("it sleeps, and we may know where", || !calls().is_empty());
    let lets_gather = || calls().contains(&libc::SYS_ppoll);
    let one = Uploads::begin(&rig, 1);
    wait_until("it is a stream", || backend.received() > 8 << 20);
    let times = (0..2000).filter(|_| lets_gather()).count();
    assert_eq!(times, 0, "a single stream would only be held up");
    let others = Uploads::begin(&rig, 3);
    wait_until("streams are let gather", || (0..100).any(|_| lets_gather()));
    drop((one, others));
    rig.daemon.stop();
}

/// Turns that the only event loop takes for a hundred clients that come all at once, and leave
/// without a word.
fn turns_for_a_crowd(rig: &rig::Rig) -> u64 {
    let (before, here) = (rig.member("turns"), rig.member("connections"));
    let crowd: Vec<TcpStream> =
        rig.daemon.frozen(|| (0..100).map(|_| TcpStream::connect(rig.ec()).unwrap()).collect());
    wait_until("all are accepted", || rig.member("connections") == here + crowd.len() as u64);
    let turns = rig.member("turns") - before;
    drop(crowd);
    wait_until("all have left", || rig.member("connections") == here);
    turns
}

#[test]
fn a_crowd_takes_fewer_turns_where_nobody_converses() {
    let backend = Backend::echo();
    let plan = rig::Plan { workers: Some(1), ..rig::Plan::default() };
    // What a turn has time for is up to the machine: a disturbed one is asked again.
    let is_felt = |_| {
        let rig = rig::Rig::start(&adjunct!(), backend.address, &plan);
        let alone = turns_for_a_crowd(&rig);
        let tls = Client::new(&rig.pki).connect(rig.ec(), NAME).unwrap();
        (0..8).for_each(|_| ping(&tls));
        let beside = turns_for_a_crowd(&rig);
        println!("{alone} turns alone, {beside} beside a conversation");
        assert_eq!(tls.talk(b"bye").unwrap(), b"bye");
        rig.daemon.stop();
        2 * alone < beside
    };
    assert!((0..5).any(is_felt), "turns are as short, or as long, with and without a conversation");
}
