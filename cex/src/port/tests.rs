//! Wake-ups: exactly on empty to non-empty, and none is lost.

use std::sync::atomic::AtomicUsize;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::*;
use crate::tests_support::{digest_of, load, p256_pkcs8, rsa_2048, rsa_request};
use crate::zcrypt::error::Cause;
use crate::{Cex, Config, Hash, Scheme, SignRequest};

fn ticket(request: &SignRequest, port: &Arc<PortShared>, token: u64) -> Box<Ticket> {
    Box::new(Ticket {
        port: Arc::downgrade(port),
        token,
        request: request.clone(),
        submitted: Instant::now(),
        weight: 0,
        place: None,
        tries: 0,
        tried: Vec::new(),
        lost: Vec::new(),
        sent_ms: 0,
        last_cause: None,
        failed: None,
    })
}

fn shared(waker: impl Fn() + Send + Sync + 'static) -> Arc<PortShared> {
    Arc::new(PortShared {
        arrivals: SegQueue::new(),
        pending: AtomicIsize::new(0),
        waker: Box::new(waker),
    })
}

fn push(port: &Arc<PortShared>, request: &SignRequest, token: u64) {
    if port.put(ticket(request, port, token), Outcome::Again(Cause::NoCard)) {
        port.wake();
    }
}

fn any_request() -> (Arc<Cex>, SignRequest) {
    let cex = Cex::start(&Config::default()).unwrap();
    let key = load(&cex, &p256_pkcs8());
    let digest = digest_of(Hash::Sha256);
    let request = SignRequest::new(&key, Scheme::Ecdsa(Hash::Sha256), digest);
    (cex, request)
}

#[test]
fn the_waker_is_called_on_empty_to_non_empty_only() {
    let (_cex, request) = any_request();
    let wakes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&wakes);
    let port = shared(move || {
        count.fetch_add(1, SeqCst);
    });
    for round in 1..=3 {
        for token in 0..5 {
            push(&port, &request, token);
            assert_eq!(wakes.load(SeqCst), round);
        }
        while port.pop().is_some() {}
    }
}

#[test]
fn no_wake_up_is_lost_under_stress() {
    const PRODUCERS: u64 = 3;
    const EACH: u64 = 4_000;
    let (_cex, request) = any_request();
    let bell = Arc::new((Mutex::new(false), Condvar::new()));
    let ring = Arc::clone(&bell);
    let port = shared(move || {
        *ring.0.lock().unwrap() = true;
        ring.1.notify_one();
    });
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| {
            let (port, request) = (Arc::clone(&port), request.clone());
            std::thread::spawn(move || {
                for n in 0..EACH {
                    let token = producer * EACH + n;
                    push(&port, &request, token);
                    if n % 7 == 0 {
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let mut seen = Vec::new();
    while seen.len() < usize::try_from(PRODUCERS * EACH).unwrap() {
        let rung = bell.0.lock().unwrap();
        let limit = Duration::from_secs(30);
        let (mut rung, waited) = bell.1.wait_timeout_while(rung, limit, |rung| !*rung).unwrap();
        assert!(!waited.timed_out(), "a wake-up was lost after {}", seen.len());
        *rung = false;
        drop(rung);
        while let Some((ticket, _)) = port.pop() {
            seen.push(ticket.token);
        }
    }
    for producer in producers {
        producer.join().unwrap();
    }
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..PRODUCERS * EACH));
}

#[test]
fn who_stops_draining_early_is_woken_for_the_rest() {
    let (cex, _) = any_request();
    let wakes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&wakes);
    let port = cex.port(move || {
        count.fetch_add(1, SeqCst);
    });
    let key = load(&cex, rsa_2048().pkcs8());
    let request = rsa_request(&key);
    for token in 0..4 {
        cex.submit(&port, token, request.clone()).unwrap();
    }
    let begin = Instant::now();
    while port.shared.arrivals.len() < 4 || wakes.load(SeqCst) == 0 {
        assert!(begin.elapsed() < Duration::from_secs(30));
        std::thread::yield_now();
    }
    assert_eq!(wakes.load(SeqCst), 1);
    assert!(port.drain().next().is_some());
    assert_eq!(wakes.load(SeqCst), 2);
    assert_eq!(port.drain().count(), 3);
    assert_eq!(wakes.load(SeqCst), 2);
}

#[test]
fn dropping_a_port_with_requests_under_way_is_safe() {
    let (cex, _) = any_request();
    let key = load(&cex, rsa_2048().pkcs8());
    let request = rsa_request(&key);
    let port = cex.port(|| {});
    for token in 0..20 {
        cex.submit(&port, token, request.clone()).unwrap();
    }
    drop(port);
    drop((key, request));
    let begin = Instant::now();
    while cex.snapshot().cards.iter().any(|card| card.pending > 0)
        || cex.snapshot().lanes.iter().any(|lane| lane.waiting > 0)
    {
        assert!(begin.elapsed() < Duration::from_secs(30));
        std::thread::yield_now();
    }
    assert!(cex.snapshot().cards.iter().all(|card| card.load == 0));
}
