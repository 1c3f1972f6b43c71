//! Breaks functions on purpose, so that a test can prove that a broken function is caught.
//!
//! Only with the feature `fault-injection`, which no default build has. Faults hold for the whole
//! process: tests that inject them belong in a test binary of their own and take turns there.

use core::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::{Function, dispatch};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The result is delivered with a wrong bit; a verification gives the wrong verdict, a random
    /// source delivers zeros.
    WrongResult,
    /// The function ends with condition code 1 and has touched nothing.
    Refuse,
    /// The function fails after it has overwritten its output with zeros (sealing only).
    Destroy,
}

/// Injects a fault into a function, from the next call on.
pub fn inject(function: Function, fault: Fault) {
    dispatch::inject(
        function,
        match fault {
            Fault::WrongResult => dispatch::WRONG_RESULT,
            Fault::Refuse => dispatch::REFUSE,
            Fault::Destroy => dispatch::DESTROY,
        },
    );
}

/// Injects [`Fault::WrongResult`].
pub fn break_function(function: Function) {
    inject(function, Fault::WrongResult);
}

/// Blocks a function as a failed self-test would.
pub fn block(function: Function) {
    dispatch::block(function);
}

/// Takes every fault from a function and its vectors, and the block a failed self-test left.
pub fn repair(function: Function) {
    dispatch::repair(function);
    FLIPPED[function as usize].store(false, Relaxed);
}

static FLIPPED: [AtomicBool; Function::COUNT] = [const { AtomicBool::new(false) }; Function::COUNT];

thread_local! {
    /// Whether the vectors of the self-test that runs in this thread are flipped.
    static FLIPPED_NOW: Cell<bool> = const { Cell::new(false) };
}

/// Flips a byte of each published vector with which the self-test of a function compares. The
/// function itself stays whole. (Random data has no vector.)
pub fn flip_vector(function: Function) {
    FLIPPED[function as usize].store(true, Relaxed);
}

/// The time during which the vectors are those of one function.
pub(crate) struct Turn(());

impl Drop for Turn {
    fn drop(&mut self) {
        FLIPPED_NOW.set(false);
    }
}

/// The self-test of a function begins.
pub(crate) fn vectors_of(function: Function) -> Turn {
    FLIPPED_NOW.set(FLIPPED[function as usize].load(Relaxed));
    Turn(())
}

/// Whether the self-test that runs now is to compare with flipped vectors.
pub(crate) fn vector_is_flipped() -> bool {
    FLIPPED_NOW.get()
}
