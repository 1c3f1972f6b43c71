//! The pool with work of a few lines in place of flights.

use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use super::*;
use crate::crypto::{Crypto, CryptoConfig, Offload};
use crate::handshake::context::Waiting;
use crate::hello::ClientHello;

const PATIENCE: Duration = Duration::from_secs(30);

/// A pool with a place to land, and what it takes to make a context.
struct Bench {
    pool: Pool<u32>,
    landings: Arc<Landings<u32>>,
    woken: Receiver<()>,
    offload: Arc<Offload>,
}

impl Bench {
    fn new(threads: usize) -> Self {
        let crypto = Crypto::start(&CryptoConfig::default()).unwrap();
        let port = crypto.cex().port(|| {});
        let (wake, woken) = channel();
        let wake = Mutex::new(wake);
        let waker = move || {
            let _ = wake.lock().unwrap().send(());
        };
        Self {
            pool: Pool::start(threads).unwrap(),
            landings: Arc::new(Landings::new(Arc::new(waker))),
            woken,
            offload: Arc::new(Offload { crypto, port, gathering: None }),
        }
    }

    fn context(&self, token: u64) -> Arc<Context> {
        let waiting = Waiting::Blocks(Arc::default());
        Context::new(Arc::new(ClientHello::default()), Arc::clone(&self.offload), token, waiting)
    }

    fn submit(&self, token: u64, quick: bool, work: impl FnOnce() -> u32 + Send + 'static) {
        self.pool.submit(&self.context(token), quick, Box::new(work), &self.landings);
    }

    fn landed(&self) -> Landed<u32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(landed) = self.landings.pop() {
                return landed;
            }
            self.woken.recv_timeout(deadline - Instant::now()).expect("a landing");
        }
    }

    /// Blocks a thread until the sender is dropped or sends.
    fn blocked(&self, token: u64) -> std::sync::mpsc::Sender<()> {
        let (go, gone) = channel();
        let (begin, begun) = channel();
        self.submit(token, false, move || {
            begin.send(()).unwrap();
            let _ = gone.recv();
            0
        });
        begun.recv_timeout(PATIENCE).expect("a thread takes it");
        go
    }
}

#[test]
fn flights_land_with_their_token_and_the_loop_is_woken() {
    let bench = Bench::new(2);
    bench.submit(7, true, || 1);
    let landed = bench.landed();
    assert_eq!((landed.token, landed.result.unwrap()), (7, 1));
    assert_eq!(bench.pool.threads(), 2);
}

#[test]
fn a_panic_lands_and_its_thread_goes_on() {
    let bench = Bench::new(2);
    for round in 0..4 {
        bench.submit(round, false, || std::panic::resume_unwind(Box::new("boom")));
        let payload = bench.landed().result.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"boom"));
    }
    bench.submit(9, false, || 3);
    assert_eq!(bench.landed().result.unwrap(), 3);
}

#[test]
fn a_flight_that_hardly_signs_finds_a_thread_while_the_others_wait_for_cards() {
    let bench = Bench::new(2);
    // One of the two threads takes flights that sign; it is busy, and a second one waits.
    let go = bench.blocked(1);
    bench.submit(2, false, || 2);
    bench.submit(3, true, || 3);
    assert_eq!(bench.landed().token, 3);
    assert_eq!(bench.pool.waiting(), 1);
    drop(go);
    assert_eq!(bench.landed().token, 1);
    assert_eq!(bench.landed().token, 2);
}

#[test]
fn what_is_withdrawn_leaves_the_queue_or_is_dropped_where_it_ends() {
    let bench = Bench::new(2);
    let go = bench.blocked(1);
    let held = Arc::new(());
    let (waiting, in_it) = (bench.context(2), Arc::clone(&held));
    let work = Box::new(move || u32::try_from(Arc::strong_count(&in_it)).unwrap());
    bench.pool.submit(&waiting, false, work, &bench.landings);
    bench.pool.withdraw(&waiting);
    assert_eq!((bench.pool.waiting(), Arc::strong_count(&held)), (0, 1));
    drop(go);
    assert_eq!(bench.landed().token, 1);

    let (begin, begun) = channel();
    let running = bench.context(3);
    let its_bell = Arc::clone(&running);
    let work = Box::new(move || {
        begin.send(()).unwrap();
        while !its_bell.is_cancelled() {
            thread::yield_now();
        }
        0
    });
    bench.pool.submit(&running, false, work, &bench.landings);
    begun.recv_timeout(PATIENCE).unwrap();
    bench.pool.withdraw(&running);
    // It ends, and does not land.
    bench.submit(4, false, || 4);
    assert_eq!(bench.landed().token, 4);
    assert!(bench.landings.pop().is_none());
}

#[test]
fn a_pool_that_ends_drops_what_waits_and_joins_its_threads() {
    let bench = Bench::new(3);
    bench.submit(1, false, || 1);
    let _ = bench.landed();
    bench.pool.shut_down();
    assert_eq!((bench.pool.threads(), bench.pool.waiting()), (0, 0));
}
