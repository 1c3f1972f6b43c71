//! What it costs not to wait for a card: switching fibers, the books of the queues, wake-ups.
//!
//! CPU time by the clocks of threads. The switch and the books are what every operation costs on
//! the event loop (target: 2 us together). Wake-ups come on top and are reported apart: how many
//! there are depends on how many requests are under way at once.
#![allow(clippy::print_stdout, reason = "a benchmark talks to a person")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use adjunct_bench::Failure;
use adjunct_bench::clock::{cpu_of, pin, process_cpu, processors, thread_cpu};
use adjunct_bench::pki::{Issued, Kind};
use adjunct_bench::spread::Spread;
use adjunct_bench::table::Table;
use cex::{Cex, Config, Digest, Hash, Port, Scheme, SignRequest};
use corosensei::{Coroutine, CoroutineResult};
use engine::handshake::stack::{HandshakeStack, StackPool};
use mio::{Events, Poll, Token, Waker};

/// Operations between two readings of the clock.
const BATCH: u32 = 1000;
/// Requests submitted while a card is busy: its queue has eight slots, one is taken.
const BESIDE: u64 = 7;

fn main() -> Result<(), Failure> {
    let cpus = processors()?;
    println!("CPU time in microseconds per operation, median [quartiles].\n");
    pin(&cpus[..1])?;
    let mut table = Table::new("On the event loop (target: 2 us together)", &["", "us"]);
    let switch = switches(200)?;
    table.row(["suspend and resume".into(), switch.text(3)]);
    let fiber = fibers(200)?;
    table.row(["fiber: stack of the pool, start, suspend, resume, end".into(), fiber.text(3)]);
    pin(&cpus)?;
    let cex = Cex::start(&Config::default())?;
    let request = request(&cex)?;
    let books = books(&cex, &request, 400)?;
    table.row(["queue: choose, message, NQAP, reply, judge".into(), books.text(3)]);
    table.row(["together".into(), format!("{:.3}", fiber.median + books.median)]);
    println!("{table}");
    let header = ["depth", "loop us", "of it wake-ups", "card besides signing us", "wakes per op"];
    let mut table = Table::new("A loop with requests under way, ECDSA P-256", &header);
    for depth in [1, 4, 16] {
        let [looped, card, wakes] = in_flight(&cex, &request, depth, 40)?;
        table.row([
            depth.to_string(),
            looped.text(2),
            format!("{:.2}", looped.median - books.median),
            card.text(2),
            wakes.text(2),
        ]);
    }
    println!("{table}");
    println!("The loop waits in epoll and is woken by an eventfd, as in the daemon. The card is a");
    println!(
        "thread: what it spends besides signing is its own wake-up and the queue's interrupt."
    );
    cex.shutdown();
    Ok(())
}

type Fiber = Coroutine<(), (), (), HandshakeStack>;
type Flight = dyn FnOnce(&corosensei::Yielder<(), ()>);

fn switches(rounds: usize) -> Result<Spread, Failure> {
    let mut fiber = Fiber::with_stack(HandshakeStack::new()?, |yielder, ()| {
        while !black_box(false) {
            yielder.suspend(());
        }
    });
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / f64::from(BATCH);
    let batch = || {
        each(cpu_of(|| {
            for _ in 0..BATCH {
                let _ = black_box(fiber.resume(()));
            }
        }))
    };
    let spread = Spread::of(std::iter::repeat_with(batch).take(rounds).collect::<Vec<_>>());
    // It would never end by itself; its stack has nothing on it that needs to be dropped.
    fiber.force_unwind();
    Ok(spread)
}

fn fibers(rounds: usize) -> Result<Spread, Failure> {
    let mut pool = StackPool::new(4);
    let mut values = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let before = thread_cpu();
        for _ in 0..BATCH {
            // As for a flight: what runs is behind a box, and it is suspended once.
            let flight: Box<Flight> = Box::new(|yielder| yielder.suspend(()));
            let mut fiber = Fiber::with_stack(pool.take()?, move |yielder, ()| flight(yielder));
            while let CoroutineResult::Yield(()) = fiber.resume(()) {}
            pool.give_back(fiber.into_stack());
        }
        let spent = thread_cpu().saturating_sub(before);
        values.push(spent.as_secs_f64() * 1e6 / f64::from(BATCH));
    }
    Ok(Spread::of(values))
}

/// An ECDSA request: its result is not verified, so that nothing but books is timed.
fn request(cex: &Cex) -> Result<SignRequest, Failure> {
    let key = cex.load_key(Issued::new(Kind::P256)?.key())?;
    let digest = Digest::new(&[0x5a; 32]).ok_or("a digest")?;
    Ok(SignRequest::new(&key, Scheme::Ecdsa(Hash::Sha256), digest))
}

/// Host CPU of a request whose card is busy already, so that nobody has to be woken.
fn books(cex: &Cex, request: &SignRequest, rounds: usize) -> Result<Spread, Failure> {
    let port = cex.port(|| {});
    let mut values = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let requests: Vec<_> = (0..BESIDE).map(|_| request.clone()).collect();
        cex.submit(&port, 0, request.clone()).map_err(|e| format!("{e:?}"))?;
        let mut refused = 0;
        let mut spent = cpu_of(|| {
            for (token, request) in (1..).zip(requests) {
                refused += usize::from(cex.submit(&port, token, request).is_err());
            }
        });
        while cex.snapshot().cards.iter().any(|card| card.pending > 0) {
            std::thread::yield_now();
        }
        // The last reply leaves the queue a moment before it is at the port.
        std::thread::sleep(Duration::from_micros(50));
        let mut done = 0;
        spent += cpu_of(|| done = port.drain().filter(|c| c.result.is_ok()).count());
        if refused > 0 || done != usize::try_from(BESIDE)? + 1 {
            return Err("not every request was done".into());
        }
        values.push(spent.as_secs_f64() * 1e6 / BESIDE as f64);
    }
    Ok(Spread::of(values))
}

/// Per operation with `depth` requests under way: CPU of the loop, CPU of cards besides signing,
/// wake-ups of the loop.
fn in_flight(
    cex: &Cex,
    request: &SignRequest,
    depth: u64,
    rounds: usize,
) -> Result<[Spread; 3], Failure> {
    let mut poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), Token(0))?;
    let wakes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&wakes);
    let port = cex.port(move || {
        counted.fetch_add(1, Relaxed);
        // A failed wake-up means that the loop is gone.
        let _ = waker.wake();
    });
    let mut events = Events::with_capacity(16);
    let mut values = Vec::with_capacity(rounds);
    for token in 0..depth {
        cex.submit(&port, token, request.clone()).map_err(|e| format!("{e:?}"))?;
    }
    for _ in 0..rounds {
        let (own, all, woken) = (thread_cpu(), process_cpu(), wakes.load(Relaxed));
        let (mut done, mut signing) = (0, Duration::ZERO);
        while done < BATCH {
            poll.poll(&mut events, None)?;
            let (count, cpu) = turn(cex, &port, request)?;
            done += count;
            signing += cpu;
        }
        let own = thread_cpu().saturating_sub(own);
        let cards = process_cpu().saturating_sub(all).saturating_sub(own).saturating_sub(signing);
        let per = |spent: Duration| spent.as_secs_f64() * 1e6 / f64::from(done);
        let woken = (wakes.load(Relaxed) - woken) as f64 / f64::from(done);
        values.push([per(own), per(cards), woken]);
    }
    Ok([0, 1, 2].map(|at| Spread::of(values.iter().map(|value| value[at]))))
}

/// Takes what has come and submits as much again; how many, and what the cards spent on signing.
fn turn(cex: &Cex, port: &Port, request: &SignRequest) -> Result<(u32, Duration), Failure> {
    let (mut count, mut signing) = (0, Duration::ZERO);
    for completion in port.drain() {
        completion.result.map_err(|e| format!("{e:?}"))?;
        signing += completion.trace.card_cpu;
        count += 1;
        let request = request.clone();
        cex.submit(port, completion.token, request).map_err(|e| format!("{e:?}"))?;
    }
    Ok((count, signing))
}
