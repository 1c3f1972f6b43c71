//! How a *simulated* card offers the processor to the event loops of the host.
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

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

/// More than the longest burst of an event loop in a storm of handshakes (8 ms).
const PATIENCE: Duration = Duration::from_millis(10);
/// How long no offer is made when one took longer.
const SPELL: Duration = Duration::from_secs(1);

thread_local! {
    /// When this thread may offer again.
    static SILENT_UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Offers the processor to whoever waits for it, unless somebody has kept it for long of late.
pub(crate) fn offer() {
    let begin = Instant::now();
    if SILENT_UNTIL.get().is_some_and(|until| begin < until) {
        return;
    }
    thread::yield_now();
    SILENT_UNTIL.set(silence(begin, Instant::now()));
}

/// Until when no offer is made after one that took from `begin` to `end`.
fn silence(begin: Instant, end: Instant) -> Option<Instant> {
    (end.saturating_duration_since(begin) > PATIENCE).then(|| end + SPELL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_that_was_taken_up_for_long_is_the_last_for_a_while() {
        let begin = Instant::now();
        assert_eq!(silence(begin, begin + PATIENCE), None);
        let end = begin + PATIENCE * 2;
        assert_eq!(silence(begin, end), Some(end + SPELL));
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
}
