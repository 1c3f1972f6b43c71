//! Threads that run flights in place of fibers.
//!
//! Purpose: on a target without stack switching, under Miri and under sanitizers the whole flight
//! moves to a thread, whose signer blocks for the card. One pool serves all members of the process:
//! a thread that waits for a card is the scarce thing here, and a burst at one member may use all.
//!
//! Two queues: flights that will hardly sign (a later flight, a hello that offers to resume) go
//! first, and a few threads take nothing else, so that a handshake that has its signature does not
//! wait behind hundreds that have none. A client can claim to resume; so the others have their
//! share whatever comes.
//!
//! Invariants: the queues hold only what a connection waits for, so they are bounded by the caps on
//! handshakes in flight; a flight that is withdrawn is dropped at once, or stopped where it waits;
//! a panic ends its flight and not its thread; every thread is joined by [`Pool::shut_down`].
//!
//! What it costs: two thread switches per flight, and no more handshakes at the cards than there
//! are threads.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::blocking;
use super::context::Context;
use crate::member::thread_cpu;

/// One thread in this many takes no flights that are likely to sign.
const RESERVE: usize = 8;

/// Quick flights in a row while others wait and may be begun.
const QUICK_PER_OTHER: usize = 4;

/// A flight that has ended on a thread.
pub(crate) struct Landed<T> {
    /// The connection.
    pub(crate) token: u64,
    /// Its flight, or the payload of a panic.
    pub(crate) result: thread::Result<T>,
    /// CPU time of the thread.
    pub(crate) cpu: Duration,
}

/// Where flights land for one event loop.
pub(crate) struct Landings<T> {
    arrived: Mutex<VecDeque<Landed<T>>>,
    waker: Arc<dyn Fn() + Send + Sync>,
}

impl<T> Landings<T> {
    pub(crate) fn new(waker: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { arrived: Mutex::default(), waker }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Landed<T>>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, landed: Landed<T>) {
        let mut arrived = self.lock();
        arrived.push_back(landed);
        let first = arrived.len() == 1;
        drop(arrived);
        if first {
            (self.waker)();
        }
    }

    pub(crate) fn pop(&self) -> Option<Landed<T>> {
        self.lock().pop_front()
    }

    /// Wakes the loop again if it stopped before the last one.
    pub(crate) fn wake_for_the_rest(&self) {
        if !self.lock().is_empty() {
            (self.waker)();
        }
    }
}

type Work<T> = Box<dyn FnOnce() -> T + Send>;

struct Job<T> {
    context: Arc<Context>,
    work: Work<T>,
    to: Arc<Landings<T>>,
}

struct Queues<T> {
    /// Flights that will hardly sign.
    quick: VecDeque<Job<T>>,
    others: VecDeque<Job<T>>,
    /// Threads that work on one of the others.
    busy_with_others: usize,
    /// Quick flights taken since the last of the others.
    quick_in_a_row: usize,
    closed: bool,
}

struct Shared<T> {
    queues: Mutex<Queues<T>>,
    changed: Condvar,
    /// Most threads that may work on flights that are likely to sign.
    others_max: usize,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Queues<T>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a flight; whether it is one of the others. None when the pool is closed.
    fn next(&self) -> Option<(Job<T>, bool)> {
        let mut queues = self.lock();
        loop {
            if queues.closed {
                return None;
            }
            let may_take_other = queues.busy_with_others < self.others_max;
            let others_turn = may_take_other
                && !queues.others.is_empty()
                && queues.quick_in_a_row >= QUICK_PER_OTHER;
            if !others_turn && let Some(job) = queues.quick.pop_front() {
                queues.quick_in_a_row += 1;
                return Some((job, false));
            }
            if may_take_other && let Some(job) = queues.others.pop_front() {
                queues.busy_with_others += 1;
                queues.quick_in_a_row = 0;
                return Some((job, true));
            }
            queues = self.changed.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn serve(&self) {
        while let Some((Job { context, work, to }, other)) = self.next() {
            let before = thread_cpu();
            let result = blocking::run(&context, work);
            let cpu = thread_cpu().saturating_sub(before);
            // What nobody waits for is dropped here, a connection with its buffers perhaps.
            if !context.is_cancelled() {
                to.push(Landed { token: context.token, result, cpu });
            }
            if other {
                self.lock().busy_with_others -= 1;
            }
        }
    }
}

/// The threads.
pub(crate) struct Pool<T> {
    shared: Arc<Shared<T>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("others_max", &self.shared.others_max).finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Pool<T> {
    /// Starts `count` threads, at least two.
    pub(crate) fn start(count: usize) -> std::io::Result<Self> {
        let count = count.max(2);
        let queues = Queues {
            quick: VecDeque::new(),
            others: VecDeque::new(),
            busy_with_others: 0,
            quick_in_a_row: 0,
            closed: false,
        };
        let pool = Self {
            shared: Arc::new(Shared {
                queues: Mutex::new(queues),
                changed: Condvar::new(),
                others_max: count - count.div_ceil(RESERVE),
            }),
            threads: Mutex::default(),
        };
        for number in 1..=count {
            let shared = Arc::clone(&pool.shared);
            let builder = thread::Builder::new().name(format!("flight-{number}"));
            // On failure the pool is dropped, which ends those that run.
            let thread = builder.spawn(move || shared.serve())?;
            pool.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(pool)
    }

    /// Queues a flight; `quick` says that it will hardly sign.
    pub(crate) fn submit(
        &self,
        context: &Arc<Context>,
        quick: bool,
        work: Work<T>,
        to: &Arc<Landings<T>>,
    ) {
        let job = Job { context: Arc::clone(context), work, to: Arc::clone(to) };
        let mut queues = self.shared.lock();
        if quick {
            queues.quick.push_back(job);
        } else {
            queues.others.push_back(job);
        }
        drop(queues);
        self.shared.changed.notify_one();
    }

    /// Nobody waits for the flight of `context` any more.
    pub(crate) fn withdraw(&self, context: &Arc<Context>) {
        context.cancel();
        let mut guard = self.shared.lock();
        let queues = &mut *guard;
        let found = [&mut queues.quick, &mut queues.others].into_iter().find_map(|queue| {
            let at = queue.iter().position(|job| Arc::ptr_eq(&job.context, context))?;
            queue.remove(at)
        });
        // What it holds is dropped outside the lock.
        drop(guard);
        drop(found);
    }

    /// Flights that no thread has begun.
    pub(crate) fn waiting(&self) -> usize {
        let queues = self.shared.lock();
        queues.quick.len() + queues.others.len()
    }

    /// Threads that were started.
    pub(crate) fn threads(&self) -> usize {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl<T> Pool<T> {
    /// Ends the threads; a flight that waits for a card is waited for, so connections and cards
    /// are to be ended before.
    pub(crate) fn shut_down(&self) {
        let mut queues = self.shared.lock();
        queues.closed = true;
        let left = (std::mem::take(&mut queues.quick), std::mem::take(&mut queues.others));
        drop(queues);
        drop(left);
        self.shared.changed.notify_all();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // Panics were caught in the flight; there is nothing to report.
            let _ = thread.join();
        }
    }
}

impl<T> Drop for Pool<T> {
    fn drop(&mut self) {
        self.shut_down();
    }
}

#[cfg(test)]
mod tests;
