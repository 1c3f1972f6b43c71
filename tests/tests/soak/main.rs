//! The soak: hours of mixed clients while cards fail and come back.
//!
//! `ADJUNCT_SOAK=30m cargo test -p adjunct-tests --test soak -- --nocapture` runs it for as long;
//! without the variable it takes ten seconds, as part of the ordinary suite. `ADJUNCT_SOAK_SEED`
//! repeats the decisions of a run. `ADJUNCT_SOAK_CLIENTS=256` sets how many clients there are at a
//! time, and `ADJUNCT_SOAK_HANDSHAKES=1000000` how many handshakes there must have been at least
//! when it ends.
//!
//! What must hold: each client's result is one that it could expect; each connection has exactly
//! one record, and the record says what happened; memory, descriptors and threads stay flat
//! and return to where they began.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "helpers of tests are tests; the table is for a reader"
)]

mod books;
mod clients;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use adjunct_tests::backend::Backend;
use adjunct_tests::rig::{Plan, Rig};
use adjunct_tests::{adjunct, wait_still, wait_until};
use books::{Books, Sample, judge};
use clients::{Clients, Dice};

/// Clients at once when nobody asks for more.
const CLIENTS: u64 = 16;
/// How long it takes when nobody asks for more.
const SMOKE: Duration = Duration::from_secs(10);
/// How often the daemon is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What the threads of the run share.
struct Run {
    stop: AtomicBool,
    /// Raised at the begin and at the end of each moment without any card; odd: it is dark now.
    darkness: AtomicU64,
    orders: AtomicU64,
    books: Books,
}

impl Run {
    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn darkness(&self) -> u64 {
        self.darkness.load(Ordering::SeqCst)
    }

    /// Sleeps for at most `duration`.
    fn pause(&self, duration: Duration) {
        let until = Instant::now() + duration;
        while !self.stopping() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10).min(duration));
        }
    }
}

#[test]
fn mixed_load_and_failing_cards_leave_nothing_unexplained_and_nothing_behind() {
    let (length, seed) = (length(), seed());
    let clients = number("ADJUNCT_SOAK_CLIENTS").unwrap_or(CLIENTS).max(1);
    let handshakes = number("ADJUNCT_SOAK_HANDSHAKES").unwrap_or_default();
    println!("soak of {length:?} with {clients} clients, ADJUNCT_SOAK_SEED={seed}");
    let echo = Backend::echo();
    let plan = Plan {
        route: "verify = \"all\"",
        tables: "[cex]\nreply = \"500ms\"\n",
        service: &["timeouts = { handshake = \"60s\" }"],
        ..Plan::default()
    };
    let rig = Rig::start(&adjunct!(), echo.address, &plan);
    let run = Run {
        stop: AtomicBool::new(false),
        darkness: AtomicU64::new(0),
        orders: AtomicU64::new(0),
        books: Books::default(),
    };
    // A few first: what they leave is where the daemon begins.
    std::thread::scope(|scope| {
        for number in 1..=clients {
            let clients = Clients::new(&rig.pki, rig.daemon.addresses);
            let (books, mut dice) = (&run.books, Dice::new(seed.wrapping_sub(number)));
            scope.spawn(move || (0..2).for_each(|_| books.note(clients.one(&mut dice, || false))));
        }
    });
    settle(&rig, &run);
    // The last question to the daemon was a connection, too.
    let _ = wait_still(|| rig.daemon.descriptors() as u64);
    let base = Sample::of(&rig);
    let mut samples = Vec::new();
    std::thread::scope(|scope| {
        for number in 1..=clients {
            let clients = Clients::new(&rig.pki, rig.daemon.addresses);
            let (run, mut dice) = (&run, Dice::new(seed.wrapping_add(number)));
            scope.spawn(move || {
                while !run.stopping() {
                    let before = run.darkness();
                    let dark = || before % 2 == 1 || run.darkness() != before;
                    run.books.note(clients.one(&mut dice, dark));
                }
            });
        }
        let injector = scope.spawn(|| break_and_repair(&rig, &run, Dice::new(seed ^ 0xcafe)));
        let until = Instant::now() + length;
        let goes_on = || Instant::now() < until || run.books.handshakes() < handshakes;
        while goes_on() && !injector.is_finished() && run.books.calm() {
            std::thread::sleep(LOOK);
            samples.push(Sample::of(&rig));
            run.books.take(rig.records());
        }
        run.stop.store(true, Ordering::Relaxed);
    });
    settle(&rig, &run);
    wait_until("every descriptor is back", || rig.daemon.descriptors() <= base.descriptors);
    let end = Sample::of(&rig);
    println!("{}", run.books.table());
    let cards: u64 = rig.ask("cards").as_array().unwrap().iter().map(requests).sum();
    if !run.books.calm() {
        println!("cards: {}", rig.ask("cards"));
    }
    println!("{cards} requests to cards, {} orders to them", run.orders.load(Ordering::Relaxed));
    let judgement = judge(&base, &samples, &end);
    println!("{judgement}");
    run.books.assert_explained();
    judgement.assert_flat();
    rig.daemon.stop();
}

/// Waits until every connection has ended and its record is there.
fn settle(rig: &Rig, run: &Run) {
    wait_until("every record is written", || {
        run.books.take(rig.records());
        rig.sum("open") == 0 && run.books.settled()
    });
}

fn requests(row: &serde_json::Value) -> u64 {
    let is_card = row["domain"].is_null();
    if is_card { row["requests"].as_u64().unwrap() } else { 0 }
}

const FAULTS: [&str; 13] = [
    "deconfigured",
    "checkstopped",
    "offline",
    "wrong-result",
    "lost-reply",
    "forgotten",
    "slow 30ms",
    "slow 200ms",
    "queue-full",
    "reset",
    "response 05",
    "error-reply 10",
    "error-reply 90",
];

/// Now and then a card fails, seldom all of them for a moment.
fn break_and_repair(rig: &Rig, run: &Run, mut dice: Dice) {
    let order = |order: &str| {
        rig.order(order);
        run.orders.fetch_add(1, Ordering::Relaxed);
    };
    while !run.stopping() {
        run.pause(dice.millis(200..1500));
        if dice.roll(8) == 0 {
            run.darkness.fetch_add(1, Ordering::SeqCst);
            let fault = ["deconfigured", "error-reply 10", "offline"][dice.roll(3)];
            (0..4).for_each(|card| order(&format!("fault {card:02} {fault}")));
            run.pause(dice.millis(50..300));
            order("repair all");
            // What was under way in the dark has ended its tries by then.
            run.pause(Duration::from_millis(200));
            run.darkness.fetch_add(1, Ordering::SeqCst);
        } else {
            let fault = FAULTS[dice.roll(FAULTS.len())];
            order(&format!("fault {:02}.0006 {fault}", dice.roll(4)));
            run.pause(dice.millis(200..1500));
            order("repair all");
        }
    }
}

/// `ADJUNCT_SOAK`: a whole number with `s`, `m` or `h`.
fn length() -> Duration {
    let Ok(text) = std::env::var("ADJUNCT_SOAK") else { return SMOKE };
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let number: u64 = number.parse().expect("ADJUNCT_SOAK is a number with a unit, as 30m");
    match unit {
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(60 * number),
        "h" => Duration::from_secs(3600 * number),
        _ => panic!("ADJUNCT_SOAK ends with s, m or h"),
    }
}

/// A whole number in the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}")))
}

fn seed() -> u64 {
    number("ADJUNCT_SOAK_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        now.as_secs() % 1_000_000
    })
}
