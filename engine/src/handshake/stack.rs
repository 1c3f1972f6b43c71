//! The stack a handshake runs on.
//!
//! Purpose: a stack type of our own for the fibers. 256 KiB of address space, of which about
//! 28 KiB are touched by a release build, above a guard region of 128 KiB.
//!
//! Why not the default one: the default guard is a single page, and aws-lc has C functions with
//! frames of up to 109 KiB that are compiled without stack probes. Such a function can step over
//! one page and damage the neighbour; it cannot step over 128 KiB (largest single frame found:
//! ML-DSA-87 signing, which this product does not call). An overflow is a fault at the guard, never
//! silent damage.
//!
//! Invariants: allocation reports an error and never asserts; a stack is given back to the pool
//! only by a coroutine that has finished.
//!
//! Source: `mmap(2)`, corosensei `stack::Stack`.

#![allow(unsafe_code, reason = "memory mapping for stacks; see the SAFETY comments")]

use std::num::NonZeroUsize;
use std::ptr;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

/// Usable bytes of a stack.
pub const STACK_BYTES: usize = 256 * 1024;

/// Bytes below the stack that fault when touched.
pub const GUARD_BYTES: usize = 128 * 1024;

/// What a painted stack is filled with; a byte that differs was used.
const PAINT: u8 = 0xA5;

/// Memory for one handshake.
#[derive(Debug)]
pub struct HandshakeStack {
    /// Lowest address of the mapping, which is the guard region.
    mapping: NonZeroUsize,
}

impl HandshakeStack {
    const MAPPING_BYTES: usize = STACK_BYTES + GUARD_BYTES;

    /// Maps a new stack.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the memory or the number of mappings
    /// (`vm.max_map_count`, two per stack).
    pub fn new() -> std::io::Result<Self> {
        // SAFETY: an anonymous mapping at an address of the kernel's choosing touches no memory
        // that anything else owns.
        let base = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                Self::MAPPING_BYTES,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::STACK,
            )?
        };
        let Some(mapping) = NonZeroUsize::new(base as usize) else {
            return Err(std::io::Error::other("the kernel mapped a stack at address zero"));
        };
        let stack = Self { mapping };
        // SAFETY: the range lies inside the mapping just made, and nothing else knows of it yet.
        // On failure `stack` is dropped and unmaps it.
        unsafe {
            mprotect(
                base.wrapping_byte_add(GUARD_BYTES),
                STACK_BYTES,
                MprotectFlags::READ | MprotectFlags::WRITE,
            )?;
        }
        Ok(stack)
    }

    /// End of the stack, where it begins to grow from: a multiple of the page size.
    #[allow(dead_code, reason = "asked for by fibers, which not every target has")]
    pub(super) fn end(&self) -> NonZeroUsize {
        self.mapping.saturating_add(Self::MAPPING_BYTES)
    }

    /// Lowest address of the guard region.
    #[allow(dead_code, reason = "asked for by fibers, which not every target has")]
    pub(super) fn lowest(&self) -> NonZeroUsize {
        self.mapping
    }

    fn lowest_usable(&self) -> *mut u8 {
        (self.mapping.get() + GUARD_BYTES) as *mut u8
    }

    /// Fills the stack with a pattern, so that [`Self::used_bytes`] can tell how deep it was used.
    pub fn paint(&mut self) {
        // SAFETY: the usable range is mapped readable and writable, owned by `self`, and no
        // coroutine runs on it while we hold it exclusively.
        unsafe { ptr::write_bytes(self.lowest_usable(), PAINT, STACK_BYTES) }
    }

    /// Bytes between the top and the deepest byte that no longer shows the paint.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        // SAFETY: as for `paint`; the slice lives only for this call and nobody writes meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts(self.lowest_usable(), STACK_BYTES) };
        let untouched = bytes.iter().take_while(|&&b| b == PAINT).count();
        STACK_BYTES - untouched
    }
}

impl Drop for HandshakeStack {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `new` mapped; the coroutine that used it is gone, since
        // it owned this value. A failure can only mean a wrong range and would leak, not corrupt.
        let _ = unsafe { munmap(self.mapping.get() as *mut _, Self::MAPPING_BYTES) };
    }
}

/// Finished stacks, kept for the next handshake (last in, first out: it is still in the cache).
#[derive(Debug)]
pub struct StackPool {
    free: Vec<HandshakeStack>,
    kept_max: usize,
}

impl StackPool {
    /// A pool that keeps at most `kept_max` idle stacks.
    #[must_use]
    pub fn new(kept_max: usize) -> Self {
        Self { free: Vec::new(), kept_max }
    }

    /// A stack from the pool, or a new one.
    ///
    /// # Errors
    ///
    /// As [`HandshakeStack::new`].
    pub fn take(&mut self) -> std::io::Result<HandshakeStack> {
        match self.free.pop() {
            Some(stack) => Ok(stack),
            None => HandshakeStack::new(),
        }
    }

    /// Gives a stack back; it is unmapped when enough are kept.
    pub fn give_back(&mut self, stack: HandshakeStack) {
        if self.free.len() < self.kept_max {
            self.free.push(stack);
        }
    }

    /// Bytes used of the painted stack that was given back last.
    #[must_use]
    pub fn last_used_bytes(&self) -> usize {
        self.free.last().map_or(0, HandshakeStack::used_bytes)
    }

    /// Idle stacks in the pool.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_shows_how_deep_it_was_used() {
        let mut stack = HandshakeStack::new().unwrap();
        assert_eq!(stack.end().get() - stack.lowest().get(), STACK_BYTES + GUARD_BYTES);
        stack.paint();
        assert_eq!(stack.used_bytes(), 0);
    }

    #[test]
    fn the_pool_keeps_no_more_than_it_was_told() {
        let mut pool = StackPool::new(1);
        let (a, b) = (pool.take().unwrap(), pool.take().unwrap());
        pool.give_back(a);
        pool.give_back(b);
        assert_eq!(pool.idle(), 1);
    }
}
