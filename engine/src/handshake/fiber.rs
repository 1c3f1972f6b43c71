//! The fiber a flight runs on. This file alone names corosensei.
//!
//! Purpose: rustls signs synchronously, cards answer later. A flight of the handshake runs on a
//! stack of its own; the signer suspends it and the event loop resumes it with the card's reply, or
//! the key exchange does, and the event loop computes for several at once.
//! Four functions are the whole seam (start on a stack, resume, suspend, take the stack back), so
//! that a target without stack switching can be given another implementation.
//!
//! Safety rules (each has a reason in ARCHITECTURE.md):
//! - a fiber never leaves its thread (the coroutine is not `Send`);
//! - it is suspended only inside [`suspend`], called by our signer and our key exchange with
//!   nothing but rustls frames below: never with a frame of the C library, never with a lock held;
//! - a suspended fiber is not dropped but resumed with [`Resume::Cancelled`]; dropping one would
//!   unwind its stack, which works too, at sixteen times the price;
//! - a panic on the fiber is caught by the resume that ran it and ends that connection alone.
//!
//! Source: corosensei; ARCHITECTURE.md, safety rules of the fiber.

#![allow(unsafe_code, reason = "the stack of a coroutine, and one dereference of its yielder")]

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;

use corosensei::stack::{Stack, StackPointer};
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::context::{self, Context};
use super::stack::HandshakeStack;

/// What a suspended handshake is woken with.
#[derive(Debug)]
pub(crate) enum Resume {
    /// First entry.
    Start,
    /// The card's reply.
    Signed(cex::Completion),
    /// What was computed for its key agreement.
    Agreed(Result<cpacf::agreement::Multiplied, cpacf::Error>),
    /// Nobody waits for the handshake any more, or not any longer.
    Cancelled,
}

/// Whether fibers are to be had; see `without_fibers`.
pub(crate) const AVAILABLE: bool = true;

// SAFETY: `base` is the page-aligned end and `limit` the lowest byte of a mapping that stays in
// place until `self` is dropped, with a guard region right below what is usable.
unsafe impl Stack for HandshakeStack {
    fn base(&self) -> StackPointer {
        self.end()
    }

    fn limit(&self) -> StackPointer {
        // corosensei expects the guard to be part of the stack and adds nothing of its own.
        self.lowest()
    }
}

type HandshakeYielder = Yielder<Resume, ()>;

thread_local! {
    /// Where the fiber that runs on this thread can be suspended; null while none runs.
    static RUNNING: Cell<*const HandshakeYielder> = const { Cell::new(ptr::null()) };
}

/// Suspends the fiber that calls this until the event loop resumes it.
///
/// None when the caller does not run on a fiber.
pub(crate) fn suspend() -> Option<Resume> {
    let yielder = RUNNING.get();
    if yielder.is_null() {
        return None;
    }
    // SAFETY: the pointer is set at the beginning of a fiber's body and whenever it goes on after
    // a suspension, and cleared by `Fiber::resume` as soon as the fiber stops running. So it is
    // not null only while the body that owns the yielder runs on this thread, and the yielder
    // lives on that body's stack.
    let with = unsafe { (*yielder).suspend(()) };
    RUNNING.set(yielder);
    Some(with)
}

/// How a resume ended.
pub(crate) enum Step<T: 'static> {
    /// The flight waits for a card.
    Suspended(Fiber<T>),
    /// The flight is done; the stack can serve the next one.
    Done(T, HandshakeStack),
    /// The flight panicked; payload of the panic.
    Panicked(Box<dyn Any + Send>),
}

/// A suspended flight that will return a `T`.
pub(crate) struct Fiber<T: 'static> {
    coroutine: Coroutine<Resume, (), T, HandshakeStack>,
    context: Arc<Context>,
}

impl<T: 'static> fmt::Debug for Fiber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fiber").field("context", &self.context).finish_non_exhaustive()
    }
}

impl<T: 'static> Fiber<T> {
    /// Runs `flight` on `stack` until it is done or waits for a card.
    pub(crate) fn start(
        stack: HandshakeStack,
        context: Arc<Context>,
        flight: Box<dyn FnOnce() -> T>,
    ) -> Step<T> {
        // The closure holds one fat pointer: corosensei copies it to the new stack.
        let coroutine = Coroutine::with_stack(stack, move |yielder, _: Resume| {
            RUNNING.set(ptr::from_ref(yielder));
            flight()
        });
        Self { coroutine, context }.resume(Resume::Start)
    }

    /// Goes on where the flight was suspended.
    pub(crate) fn resume(mut self, with: Resume) -> Step<T> {
        let entered = context::enter(&self.context);
        // The fiber's data is reached again only through the value this returns, and after a panic
        // not at all.
        let result = catch_unwind(AssertUnwindSafe(|| self.coroutine.resume(with)));
        RUNNING.set(ptr::null());
        drop(entered);
        match result {
            Ok(CoroutineResult::Yield(())) => Step::Suspended(self),
            Ok(CoroutineResult::Return(result)) => Step::Done(result, self.coroutine.into_stack()),
            Err(payload) => Step::Panicked(payload),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::stack::STACK_BYTES;

    #[test]
    fn a_coroutine_runs_on_a_stack_of_ours() {
        let mut stack = HandshakeStack::new().unwrap();
        stack.paint();
        let mut coroutine = Coroutine::<(), (), (), HandshakeStack>::with_stack(stack, |_, ()| {
            std::hint::black_box([1u8; 20_000]);
        });
        assert!(coroutine.resume(()).as_return().is_some());
        let stack = coroutine.into_stack();
        assert!(stack.used_bytes() >= 20_000, "{}", stack.used_bytes());
        assert!(stack.used_bytes() < STACK_BYTES / 2);
    }

    #[test]
    fn nothing_is_suspended_outside_a_fiber() {
        assert!(suspend().is_none());
    }
}
