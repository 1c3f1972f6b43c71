//! A flight that blocks its thread until the card has answered.
//!
//! Purpose: what the modes `pool` and `inline` have in common. Requests take the same way through
//! lanes, queues and retries as those of a fiber; only the reply comes to a completion queue of
//! this one request, and results are judged by the thread that waits for them.
//!
//! Invariants: the wait ends with the card's reply, with its time limit (the request timeout of
//! cex, driven from outside this thread), or at once when the connection has ended; a panic in the
//! flight is caught here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use cex::{Completion, Failure, SignRequest};

use super::context::{self, Context};

/// What a blocked thread listens to.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Quiet,
    /// A reply has come.
    Rung,
    /// No reply is wanted any more; this does not change again.
    Cancelled,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        let mut state = self.lock();
        if *state == State::Quiet {
            *state = State::Rung;
            self.changed.notify_one();
        }
    }

    pub(crate) fn cancel(&self) {
        *self.lock() = State::Cancelled;
        self.changed.notify_one();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        *self.lock() == State::Cancelled
    }

    /// Blocks until it rings; false when it was cancelled.
    fn wait(&self) -> bool {
        let mut state = self.lock();
        loop {
            match *state {
                State::Quiet => {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                State::Rung => {
                    *state = State::Quiet;
                    return true;
                }
                State::Cancelled => return false,
            }
        }
    }
}

/// Sends a request to the cards and blocks for the answer; none when nobody wants it any more.
pub(crate) fn ask(
    context: &Context,
    bell: &Arc<Bell>,
    request: SignRequest,
) -> Result<Option<Completion>, Failure> {
    let cex = context.offload.crypto.cex();
    let rings = Arc::clone(bell);
    // A port of its own for each request: what comes after a cancellation goes with the port.
    let port = cex.port(move || rings.ring());
    cex.submit(&port, context.token, request)?;
    loop {
        if let Some(completion) = port.drain().next() {
            return Ok(Some(completion));
        }
        if !bell.wait() {
            return Ok(None);
        }
    }
}

/// Runs a flight on this thread from its beginning to its end.
pub(crate) fn run<T>(context: &Arc<Context>, flight: impl FnOnce() -> T) -> thread::Result<T> {
    let entered = context::enter(context);
    // After a panic nothing of the flight is used again.
    let result = catch_unwind(AssertUnwindSafe(flight));
    drop(entered);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_rung_before_the_wait_is_heard_and_a_cancelled_one_stays_so() {
        let bell = Bell::default();
        bell.ring();
        bell.ring();
        assert!(bell.wait());
        bell.cancel();
        bell.ring();
        assert!(!bell.wait());
        assert!(!bell.wait());
        assert!(bell.is_cancelled());
    }

    #[test]
    fn a_cancellation_ends_a_wait() {
        let bell = Arc::new(Bell::default());
        let waiting = Arc::clone(&bell);
        let waiter = thread::spawn(move || waiting.wait());
        bell.cancel();
        assert!(!waiter.join().unwrap());
    }
}
