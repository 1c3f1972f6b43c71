//! The ways to run a flight: on a fiber, on a thread of a pool, or in place.
//!
//! Purpose: one seam for all of them. A member starts a flight and gets a `Step`; a pending one
//! goes on with the `News` that the member's queues bring for it, or is cancelled. The connection
//! above and rustls, provider and cards below are the same in each.
//!
//! Invariants: while a flight is pending nothing touches its connection; a pending flight that is
//! dropped or cancelled leaves nothing behind but, for a moment, a thread that drops the rest.

use std::any::Any;
use std::sync::Arc;
use std::thread;

use super::blocking;
use super::context::{Context, Waiting};
use super::fiber::{self, Fiber, Resume};
use super::flight::Flight;
use super::pool::Pool;
use crate::member::Member;

/// How the members of a process run flights.
#[derive(Debug, Clone, Default)]
pub enum Execution {
    /// On a stackful coroutine of the event loop.
    #[default]
    Fiber,
    /// On a thread of a pool, shared by all members.
    Pool(Arc<FlightPool>),
    /// On the event loop's own thread, which stands still until the card has answered. For
    /// comparison only.
    Inline,
}

/// The threads of [`Execution::Pool`].
#[derive(Debug)]
pub struct FlightPool(Pool<Flight>);

impl FlightPool {
    /// Starts `threads` threads. A thread waits with its flight, so more of them than the queues
    /// of the cards have places add nothing.
    ///
    /// # Errors
    ///
    /// When the system refuses a thread.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        Pool::start(threads).map(Self)
    }

    /// Flights that no thread has begun.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.waiting()
    }

    /// Threads that were started.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.0.threads()
    }

    /// Ends the threads; to be called after the members and the cards have ended.
    pub fn shut_down(&self) {
        self.0.shut_down();
    }
}

/// What a pending flight goes on with.
pub(crate) enum News {
    /// The card's reply, for a fiber.
    Signed(cex::Completion),
    /// What was computed for its key agreement, for a fiber.
    Agreed(Result<cpacf::agreement::Multiplied, cpacf::Error>),
    /// A thread has ended the flight.
    Landed(thread::Result<Flight>),
}

/// How a start or a resume ended.
pub(crate) enum Step {
    /// The flight goes on later.
    Pending(Pending),
    /// The flight is done.
    Done(Flight),
    /// The flight panicked; payload of the panic.
    Panicked(Box<dyn Any + Send>),
    /// There is no memory for it.
    NoStack(std::io::Error),
}

impl Step {
    fn of_thread(result: thread::Result<Flight>) -> Self {
        match result {
            Ok(flight) => Self::Done(flight),
            Err(payload) => Self::Panicked(payload),
        }
    }

    fn of_fiber(step: fiber::Step<Flight>, member: &Member) -> Self {
        match step {
            fiber::Step::Suspended(fiber) => Self::Pending(Pending::Fiber(fiber)),
            fiber::Step::Done(flight, stack) => {
                member.give_back_stack(stack);
                Self::Done(flight)
            }
            fiber::Step::Panicked(payload) => Self::Panicked(payload),
        }
    }
}

/// A flight that waits for a card, or for a thread.
pub(crate) enum Pending {
    Fiber(Fiber<Flight>),
    Pool(Airborne),
}

/// A flight in the hands of the pool, which gives it up when this is dropped.
pub(crate) struct Airborne {
    pool: Arc<FlightPool>,
    /// None when it has landed.
    context: Option<Arc<Context>>,
}

impl Drop for Airborne {
    fn drop(&mut self) {
        if let Some(context) = &self.context {
            self.pool.0.withdraw(context);
        }
    }
}

impl Pending {
    /// Goes on with news that came for the connection.
    pub(crate) fn resume(self, member: &Member, news: News) -> Step {
        match (self, news) {
            (Self::Fiber(fiber), News::Signed(completion)) => {
                Step::of_fiber(fiber.resume(Resume::Signed(completion)), member)
            }
            (Self::Fiber(fiber), News::Agreed(result)) => {
                Step::of_fiber(fiber.resume(Resume::Agreed(result)), member)
            }
            (Self::Pool(mut airborne), News::Landed(result)) => {
                airborne.context = None;
                Step::of_thread(result)
            }
            // News for an earlier flight of the connection.
            (pending, _) => Step::Pending(pending),
        }
    }

    /// Ends the flight; what it still does is no longer of interest.
    pub(crate) fn cancel(self, member: &Member) {
        match self {
            Self::Fiber(fiber) => {
                if let fiber::Step::Done(_, stack) = fiber.resume(Resume::Cancelled) {
                    member.give_back_stack(stack);
                }
            }
            Self::Pool(airborne) => drop(airborne),
        }
    }
}

impl Execution {
    /// How signers of this mode wait.
    pub(crate) fn waiting(&self) -> Waiting {
        match self {
            Self::Fiber => Waiting::Suspends,
            Self::Pool(_) | Self::Inline => Waiting::Blocks(Arc::default()),
        }
    }

    /// Starts a flight; `quick` says that it will hardly sign.
    pub(crate) fn start(
        &self,
        member: &Member,
        context: Arc<Context>,
        quick: bool,
        flight: Flight,
    ) -> Step {
        match self {
            Self::Fiber => match member.take_stack() {
                Ok(stack) => {
                    let step = Fiber::start(stack, context, Box::new(move || flight.run()));
                    Step::of_fiber(step, member)
                }
                Err(error) => Step::NoStack(error),
            },
            Self::Pool(pool) => {
                let work = Box::new(move || flight.run());
                pool.0.submit(&context, quick, work, member.landings());
                let airborne = Airborne { pool: Arc::clone(pool), context: Some(context) };
                Step::Pending(Pending::Pool(airborne))
            }
            Self::Inline => Step::of_thread(blocking::run(&context, || flight.run())),
        }
    }
}
