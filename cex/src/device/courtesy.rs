//! How *simulated* cards share processors with each other and with the event loops of the host.
//!
//! The kernel lets in a thread that wakes up only if that has had no more than its share; else it
//! waits for a tick, or for whoever runs to offer. A real card would not keep an event loop waiting
//! at all, so a simulated one offers before a request and within long ones.
//!
//! An offer has a price: at the card's low priority it forfeits what is left of a slice that
//! counts for some 100 ms (`sched_yield`, Linux 6.18). An event loop is done in a millisecond or
//! two; where somebody else keeps the processor busy, a batch would wait for that several times. So
//! an offer that was taken up for long is the last one for a while, and the card works on at what
//! priority it has.
//!
//! And it is meant for event loops. Another card that were let in would only drive the tables of
//! this one out of the caches, so no more cards compute at a time than there are [`Processors`].

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// More than the longest burst of an event loop in a storm of handshakes (8 ms).
const PATIENCE: Duration = Duration::from_millis(10);
/// How long no offer is made when one took longer.
const SPELL: Duration = Duration::from_secs(1);
/// How long a card computes before it offers again.
const STRETCH: Duration = Duration::from_micros(120);

thread_local! {
    /// When this thread may offer again.
    static SILENT_UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Offers the processor to whoever waits for it, unless it has been offered a moment ago, or
/// somebody has kept it for long of late.
pub(crate) fn offer() {
    let begin = Instant::now();
    if SILENT_UNTIL.get().is_some_and(|until| begin < until) {
        return;
    }
    thread::yield_now();
    SILENT_UNTIL.set(Some(silence(begin, Instant::now())));
}

/// Until when no offer is made after one that took from `begin` to `end`.
fn silence(begin: Instant, end: Instant) -> Instant {
    let long = end.saturating_duration_since(begin) > PATIENCE;
    end + if long { SPELL } else { STRETCH }
}

/// The processors that cards compute on, handed out in the order in which they are asked for: a
/// card with much to do leaves no other behind.
#[derive(Debug)]
pub(crate) struct Processors {
    line: Mutex<Line>,
    moved: Condvar,
}

#[derive(Debug)]
struct Line {
    free: usize,
    /// Number of the card that is next, and of the one that comes to the line next.
    next: u64,
    last: u64,
}

/// A processor that a card computes on; it is another card's turn when this is dropped.
pub(crate) struct Processor<'a>(&'a Processors);

impl Processors {
    /// As many as this process may run on.
    pub(crate) fn available() -> Self {
        Self::new(thread::available_parallelism().map_or(1, usize::from))
    }

    fn new(free: usize) -> Self {
        Self { line: Mutex::new(Line { free, next: 0, last: 0 }), moved: Condvar::new() }
    }

    /// Nothing that is done under the lock can leave it half done.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a processor.
    pub(crate) fn take(&self) -> Processor<'_> {
        let mut line = self.line();
        let number = line.last;
        line.last += 1;
        let waiting = self.moved.wait_while(line, |line| line.free == 0 || line.next != number);
        let mut line = waiting.unwrap_or_else(PoisonError::into_inner);
        line.free -= 1;
        line.next += 1;
        // Who is next now may find another one free.
        if line.free > 0 && line.next != line.last {
            self.moved.notify_all();
        }
        Processor(self)
    }
}

impl Drop for Processor<'_> {
    fn drop(&mut self) {
        let mut line = self.0.line();
        line.free += 1;
        if line.next != line.last {
            self.0.moved.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    #[test]
    fn an_offer_that_was_taken_up_for_long_is_the_last_for_a_while() {
        let begin = Instant::now();
        assert_eq!(silence(begin, begin + PATIENCE), begin + PATIENCE + STRETCH);
        let end = begin + PATIENCE * 2;
        assert_eq!(silence(begin, end), end + SPELL);
    }

    #[test]
    fn who_is_silent_makes_no_offer_until_that_is_over() {
        let until = Some(Instant::now() + Duration::from_secs(3600));
        SILENT_UNTIL.set(until);
        offer();
        assert_eq!(SILENT_UNTIL.get(), until);
        let over = Some(Instant::now());
        SILENT_UNTIL.set(over);
        offer();
        assert_ne!(SILENT_UNTIL.get(), over, "it offered, and judged anew");
    }

    #[test]
    fn no_more_compute_at_a_time_than_there_are_processors() {
        let processors = Processors::new(2);
        let (computing, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), 200);
        thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| {
                    for _ in 0..done {
                        let _processor = processors.take();
                        most.fetch_max(computing.fetch_add(1, SeqCst) + 1, SeqCst);
                        thread::yield_now();
                        computing.fetch_sub(1, SeqCst);
                    }
                });
            }
        });
        assert!((1..=2).contains(&most.load(SeqCst)));
        let line = processors.line();
        assert_eq!((line.free, line.next, line.last), (2, 1000, 1000));
    }

    #[test]
    fn who_came_first_is_first() {
        let processors = Processors::new(1);
        let held = processors.take();
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for number in 0..4_u64 {
                let (processors, order) = (&processors, &order);
                scope.spawn(move || {
                    let _processor = processors.take();
                    order.lock().unwrap().push(number);
                });
                let arrived = Instant::now();
                while processors.line().last != number + 2 {
                    assert!(arrived.elapsed() < Duration::from_secs(60), "nobody came");
                    thread::yield_now();
                }
            }
            drop(held);
        });
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_card_that_panics_gives_its_processor_back() {
        let processors = Processors::new(1);
        let card = || {
            let _processor = processors.take();
            panic!("checkstop");
        };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(card)).is_err());
        drop(processors.take());
    }
}
