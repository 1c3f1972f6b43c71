//! Stands in for `fiber` on targets that the coroutine library does not know (s390x, for one).
//!
//! Purpose: the rest of the engine compiles unchanged. The server refuses `offload = "fiber"` here
//! when the configuration is read, so no flight comes this way; one that did would run in place,
//! where its signer is told that nobody can wait.
//!
//! Invariant: a [`Fiber`] cannot be made, so nothing is ever suspended.

use std::any::Any;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;

use super::blocking;
use super::context::Context;
use super::stack::HandshakeStack;

/// Whether fibers are to be had.
pub(crate) const AVAILABLE: bool = false;

/// What a suspended handshake is woken with.
#[derive(Debug)]
#[allow(dead_code, reason = "the other variants are those of a fiber")]
pub(crate) enum Resume {
    /// First entry.
    Start,
    /// The card's reply.
    Signed(cex::Completion),
    /// What was computed for its key agreement.
    Agreed(Result<cpacf::agreement::Multiplied, cpacf::Error>),
    /// Nobody waits for the handshake any more.
    Cancelled,
}

/// None: the caller does not run on a fiber.
pub(crate) fn suspend() -> Option<Resume> {
    None
}

/// How a start ended.
pub(crate) enum Step<T: 'static> {
    /// Not here.
    #[allow(dead_code, reason = "there are no fibers to be suspended")]
    Suspended(Fiber<T>),
    /// The flight is done; the stack can serve the next one.
    Done(T, HandshakeStack),
    /// The flight panicked; payload of the panic.
    Panicked(Box<dyn Any + Send>),
}

/// Something there is not.
pub(crate) struct Fiber<T: 'static> {
    never: Infallible,
    result: PhantomData<T>,
}

impl<T: 'static> Fiber<T> {
    /// Runs `flight` in place, above a stack that nobody switches to.
    pub(crate) fn start(
        stack: HandshakeStack,
        context: Arc<Context>,
        flight: Box<dyn FnOnce() -> T>,
    ) -> Step<T> {
        match blocking::run(&context, flight) {
            Ok(result) => Step::Done(result, stack),
            Err(payload) => Step::Panicked(payload),
        }
    }

    /// Goes on with what cannot be.
    pub(crate) fn resume(self, _: Resume) -> Step<T> {
        let Self { never, result: PhantomData } = self;
        match never {}
    }
}
