//! A port: the completion queue of one event loop.
//!
//! Card threads put, one loop drains. Who takes the queue from empty to non-empty wakes the loop,
//! behind all it has to put at once: so a loop that drains until there is nothing more never
//! misses a reply, and is not woken for each.
//!
//! `pending` counts arrivals that were announced and not yet taken. A put first makes its
//! arrival visible and then counts it; a pop does it the other way round. The count may be
//! negative for a moment (the wrapping is harmless), but whoever raises it from zero wakes.
//!
//! Dropping a port is safe at any time: tickets hold it weakly and replies for it are dropped.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering::SeqCst};

use crossbeam::queue::SegQueue;

use crate::ap::queue::Outcome;
use crate::request::Completion;
use crate::zcrypt::{Ticket, Zcrypt};

/// What card threads see of a port.
pub(crate) struct PortShared {
    arrivals: SegQueue<(Box<Ticket>, Outcome)>,
    pending: AtomicIsize,
    waker: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for PortShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortShared({} arrivals)", self.arrivals.len())
    }
}

impl PortShared {
    /// Announces an arrival; whether the caller has to wake the loop.
    #[must_use]
    pub(crate) fn put(&self, ticket: Box<Ticket>, outcome: Outcome) -> bool {
        self.arrivals.push((ticket, outcome));
        self.pending.fetch_add(1, SeqCst) == 0
    }

    pub(crate) fn wake(&self) {
        (self.waker)();
    }

    fn pop(&self) -> Option<(Box<Ticket>, Outcome)> {
        let arrival = self.arrivals.pop()?;
        self.pending.fetch_sub(1, SeqCst);
        Some(arrival)
    }
}

/// The completion queue of one event loop.
#[derive(Debug)]
pub struct Port {
    pub(crate) shared: Arc<PortShared>,
    zcrypt: Arc<Zcrypt>,
}

impl Port {
    pub(crate) fn new(zcrypt: Arc<Zcrypt>, waker: Box<dyn Fn() + Send + Sync>) -> Self {
        let shared = PortShared { arrivals: SegQueue::new(), pending: AtomicIsize::new(0), waker };
        Self { shared: Arc::new(shared), zcrypt }
    }

    /// The completions that are there. Results are checked and failed requests are tried again
    /// *here*, in the caller's context.
    ///
    /// Take all of them: whoever stops early is woken again for the rest.
    pub fn drain(&self) -> Drain<'_> {
        Drain { port: self }
    }
}

/// Iterator of [`Port::drain`].
#[derive(Debug)]
pub struct Drain<'a> {
    port: &'a Port,
}

impl Iterator for Drain<'_> {
    type Item = Completion;

    fn next(&mut self) -> Option<Completion> {
        while let Some((ticket, outcome)) = self.port.shared.pop() {
            if let Some(completion) = self.port.zcrypt.judge(ticket, outcome) {
                return Some(completion);
            }
        }
        None
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        if !self.port.shared.arrivals.is_empty() {
            (self.port.shared.waker)();
        }
    }
}

#[cfg(test)]
mod tests;
