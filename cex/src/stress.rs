//! Everything at once: several event loops, faults that come and go, queues taken offline, a
//! housekeeping thread, ports that are dropped, and a shutdown in the middle. Each request ends
//! exactly once and nothing is left over.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use crate::ap::response::ResponseCode as Rc;
use crate::fault::{Fault, Target};
use crate::tests_support::{digest_of, load, p256_pkcs8, rsa_2048, rsa_request};
use crate::{Apqn, CardConfig, CardType, Cex, Config, EngineChoice, Failure, Hash, Port};
use crate::{Scheme, SignRequest, Verify};

const LOOPS: u64 = 4;
const ROUNDS: u64 = 250;
const BURST: u64 = 6;

const FAULTS: [Fault; 10] = [
    Fault::Deconfigured,
    Fault::Checkstopped,
    Fault::Offline,
    Fault::WrongResult,
    Fault::LostReply,
    Fault::Forgotten,
    Fault::Slow(Duration::from_millis(3)),
    Fault::Reset,
    Fault::Response(Rc::Busy),
    Fault::ErrorReply(0x90),
];

fn config() -> Config {
    let card = |id, kind, domains: &[u8]| CardConfig {
        id,
        kind,
        domains: domains.to_vec(),
        engine: EngineChoice::Single,
    };
    Config {
        cards: vec![
            card(0, CardType::Cex8A, &[6, 7]),
            card(1, CardType::Cex8C, &[6, 7]),
            card(2, CardType::Cex8C, &[6]),
        ],
        verify: Verify::All,
        fifo_depth: 64,
        fifo_age_max: Duration::from_millis(500),
        request_timeout: Duration::from_millis(40),
        fault_injection: true,
        ..Config::default()
    }
}

/// A small generator: the schedule of faults differs from run to run, its shape does not.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// What one event loop has seen.
#[derive(Default)]
struct Ledger {
    open: HashSet<u64>,
    good: u64,
    failed: u64,
    refused: u64,
}

impl Ledger {
    fn settle(&mut self, port: &Port, requests: &[SignRequest]) {
        for completion in port.drain() {
            let token = completion.token;
            assert!(self.open.remove(&token), "token {token} completed twice");
            match completion.result {
                Ok(signature) => {
                    let request = &requests[usize::try_from(token).unwrap() % requests.len()];
                    let right = request.key.verifies(request.scheme, &request.digest, &signature);
                    assert!(right, "a wrong result was released: {:?}", completion.trace);
                    self.good += 1;
                }
                Err(_) => self.failed += 1,
            }
        }
    }

    /// Drains until nothing is open; a hang is a failure.
    fn finish(&mut self, cex: &Cex, port: &Port, requests: &[SignRequest]) {
        let begin = Instant::now();
        loop {
            self.settle(port, requests);
            let open = self.open.len();
            if open == 0 {
                break;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "{open} hang: {:#?}",
                cex.snapshot()
            );
            // Only a wake-up, never this limit, may be what lets the loop go on.
            thread::park_timeout(Duration::from_secs(30));
        }
    }
}

fn event_loop(cex: &Arc<Cex>, requests: &[SignRequest], stop: &AtomicBool, seed: u64) -> Ledger {
    let caller = thread::current();
    let port = cex.port(move || caller.unpark());
    let (mut ledger, mut next, mut dice) = (Ledger::default(), 0, Dice(seed));
    for _ in 0..ROUNDS {
        if stop.load(SeqCst) {
            break;
        }
        for _ in 0..BURST {
            let request = requests[usize::try_from(next).unwrap() % requests.len()].clone();
            match cex.submit(&port, next, request) {
                Ok(()) => drop(ledger.open.insert(next)),
                Err(Failure::BadRequest) => panic!("a good request was refused"),
                Err(_) => ledger.refused += 1,
            }
            next += 1;
        }
        // Another loop that goes away with requests under way.
        if dice.roll(20) == 0 {
            let other = cex.port(|| {});
            let _ = cex.submit(&other, 0, requests[0].clone());
        }
        ledger.settle(&port, requests);
        if ledger.open.len() > 40 {
            thread::park_timeout(Duration::from_millis(20));
        }
    }
    ledger.finish(cex, &port, requests);
    assert!(port.drain().next().is_none());
    ledger
}

fn trouble(cex: &Arc<Cex>, stop: &AtomicBool, seed: u64) {
    let mut dice = Dice(seed);
    let targets = [
        Target::Card(0),
        Target::Card(1),
        Target::Card(2),
        Target::Queue(Apqn { card: 0, domain: 7 }),
        Target::Queue(Apqn { card: 1, domain: 6 }),
    ];
    while !stop.load(SeqCst) {
        let target = targets[dice.roll(targets.len())];
        cex.inject(target, FAULTS[dice.roll(FAULTS.len())]).unwrap();
        thread::sleep(Duration::from_millis(1 + dice.roll(4) as u64));
        cex.repair(target).unwrap();
    }
    for card in 0..3 {
        cex.repair(Target::Card(card)).unwrap();
    }
}

/// Runs the loops under trouble; `shut_down_after` ends it all in the middle.
fn run(seed: u64, shut_down_after: Option<Duration>) -> (Arc<Cex>, Vec<Ledger>) {
    let cex = Cex::start(&config()).unwrap();
    let (rsa, ec) = (load(&cex, rsa_2048().pkcs8()), load(&cex, &p256_pkcs8()));
    let digest = digest_of(Hash::Sha256);
    let requests = [
        rsa_request(&rsa),
        SignRequest::new(&ec, Scheme::Ecdsa(Hash::Sha256), digest),
        SignRequest::new(&rsa, Scheme::RsaPkcs1(Hash::Sha256), digest),
        SignRequest::new(&ec, Scheme::Ecdsa(Hash::Sha256), digest),
    ];
    let (done, ticks) = (AtomicBool::new(false), AtomicU64::new(0));
    let ledgers = thread::scope(|scope| {
        let keeper = scope.spawn(|| {
            while !done.load(SeqCst) {
                cex.tick(Instant::now());
                ticks.fetch_add(1, SeqCst);
                thread::sleep(Duration::from_millis(10));
            }
        });
        let demon = scope.spawn(|| trouble(&cex, &done, seed));
        let (cex, requests, done) = (&cex, &requests, &done);
        let loops: Vec<_> = (0..LOOPS)
            .map(|n| scope.spawn(move || event_loop(cex, requests, done, seed + n)))
            .collect();
        if let Some(after) = shut_down_after {
            thread::sleep(after);
            cex.shutdown();
        }
        let ledgers = loops.into_iter().map(|thread| thread.join().unwrap()).collect();
        done.store(true, SeqCst);
        demon.join().unwrap();
        keeper.join().unwrap();
        ledgers
    });
    (cex, ledgers)
}

#[test]
fn every_request_ends_exactly_once_while_faults_come_and_go() {
    for seed in [1, 2] {
        let (cex, ledgers) = run(seed, None);
        assert!(ledgers.iter().map(|ledger| ledger.good).sum::<u64>() > 0);
        // Orphans of dropped ports may still be under way.
        let begin = Instant::now();
        let idle = |cex: &Cex| {
            let snapshot = cex.snapshot();
            snapshot.lanes.iter().all(|lane| lane.waiting == 0)
                && snapshot.cards.iter().all(|card| card.pending == 0 && card.load == 0)
        };
        while !idle(&cex) {
            assert!(begin.elapsed() < Duration::from_secs(30), "{:#?}", cex.snapshot());
            cex.tick(Instant::now());
            thread::sleep(Duration::from_millis(5));
        }
        for card in &cex.snapshot().cards {
            for queue in &card.queues {
                assert_eq!((queue.pending, queue.load), (0, 0), "{queue:?}");
            }
        }
        // Every slot is free again: a queue takes as many requests as it has slots.
        assert!(cex.zcrypt.bus.places().all(|place| cex.zcrypt.bus.queue(place).is_free()));
    }
}

#[test]
fn a_shutdown_in_the_middle_ends_every_request() {
    for milliseconds in [0, 1, 5, 30, 80] {
        let (cex, ledgers) = run(milliseconds + 7, Some(Duration::from_millis(milliseconds)));
        assert_eq!(ledgers.len(), usize::try_from(LOOPS).unwrap());
        for card in &cex.snapshot().cards {
            assert_eq!((card.pending, card.load), (0, 0), "{card:?}");
        }
    }
}
