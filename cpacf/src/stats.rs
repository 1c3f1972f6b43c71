//! Counters per function: calls, bytes, and who did the work.
//!
//! Each thread counts in a block of its own with plain loads and stores, so that counting costs no
//! locked instruction on the data path; [`snapshot`] sums the blocks of all threads. A thread that
//! ends folds its block into the totals, so nothing is lost. The reader may see a call's bytes a
//! moment before its count; each number by itself never goes back.
//!
//! Hardware and software follow `icastats`: *hardware* is a function that CPACF has, done by the
//! provider (on provider `host` by the units which [`crate::units`] names); *software* is a
//! function CPACF does not have, every call that fell back to the portable implementation, and with
//! provider `portable` every call.

use core::cell::OnceCell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Function;

/// The counters of one function, over all threads since the process began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The function.
    pub function: Function,
    /// All calls: `hardware + software + blocked`.
    pub calls: u64,
    /// Bytes of text, message or random data of the calls that did work; 0 for functions on points
    /// and keys.
    pub bytes: u64,
    /// Calls done as a CPACF function.
    pub hardware: u64,
    /// Calls done in software: CPACF lacks the function, or it fell back.
    pub software: u64,
    /// Calls refused because the function is blocked.
    pub blocked: u64,
}

/// Who did a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    Hardware,
    Software,
    Blocked,
}

struct Counters {
    bytes: AtomicU64,
    hardware: AtomicU64,
    software: AtomicU64,
    blocked: AtomicU64,
}

impl Counters {
    const fn new() -> Self {
        const fn zero() -> AtomicU64 {
            AtomicU64::new(0)
        }
        Self { bytes: zero(), hardware: zero(), software: zero(), blocked: zero() }
    }

    fn of(&self, path: Path) -> &AtomicU64 {
        match path {
            Path::Hardware => &self.hardware,
            Path::Software => &self.software,
            Path::Blocked => &self.blocked,
        }
    }

    fn row(&self, function: Function) -> Row {
        let [bytes, hardware, software, blocked] =
            [&self.bytes, &self.hardware, &self.software, &self.blocked].map(|c| c.load(Relaxed));
        let calls = hardware + software + blocked;
        Row { function, calls, bytes, hardware, software, blocked }
    }

    /// Adds `other`; for blocks that several threads write.
    fn absorb(&self, other: &Self) {
        self.bytes.fetch_add(other.bytes.load(Relaxed), Relaxed);
        self.hardware.fetch_add(other.hardware.load(Relaxed), Relaxed);
        self.software.fetch_add(other.software.load(Relaxed), Relaxed);
        self.blocked.fetch_add(other.blocked.load(Relaxed), Relaxed);
    }
}

/// One thread's counters, on cache lines that no other thread writes.
#[repr(align(128))]
struct Block([Counters; Function::COUNT]);

impl Block {
    const fn new() -> Self {
        Self([const { Counters::new() }; Function::COUNT])
    }
}

/// Blocks of living threads. The lock is taken when a thread begins, when it ends, and by readers.
static LIVE: Mutex<Vec<Arc<Block>>> = Mutex::new(Vec::new());

/// What threads that have ended counted, and what is counted while thread-locals are torn down.
static ENDED: Block = Block::new();

fn live() -> MutexGuard<'static, Vec<Arc<Block>>> {
    // A panic while holding the lock cannot leave the vector half-changed.
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers the thread's block at first use and folds it into [`ENDED`] when the thread ends.
struct Local(OnceCell<Arc<Block>>);

impl Local {
    fn block(&self) -> &Block {
        self.0.get_or_init(|| {
            let block = Arc::new(Block::new());
            live().push(Arc::clone(&block));
            block
        })
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let Some(block) = self.0.take() else { return };
        // Under the lock, so that a reader sees the block either here or there, never twice.
        let mut live = live();
        for (total, counters) in ENDED.0.iter().zip(&block.0) {
            total.absorb(counters);
        }
        live.retain(|other| !Arc::ptr_eq(other, &block));
    }
}

thread_local! {
    static LOCAL: Local = const { Local(OnceCell::new()) };
}

/// Counts one call.
#[inline]
pub(crate) fn count(function: Function, path: Path, bytes: usize) {
    let counted = LOCAL.try_with(|local| {
        let counters = &local.block().0[function as usize];
        bump(counters.of(path), 1);
        bump(&counters.bytes, bytes as u64);
    });
    if counted.is_err() {
        let counters = &ENDED.0[function as usize];
        counters.of(path).fetch_add(1, Relaxed);
        counters.bytes.fetch_add(bytes as u64, Relaxed);
    }
}

/// Only the owning thread writes, so load and store need not be one atomic operation.
#[inline]
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

/// The counters of every function, in table order, rows without a call included.
#[must_use]
pub fn snapshot() -> Vec<Row> {
    let live = live();
    let sum = Block::new();
    for block in live.iter().map(Arc::as_ref).chain([&ENDED]) {
        for (total, counters) in sum.0.iter().zip(&block.0) {
            total.absorb(counters);
        }
    }
    Function::ALL.iter().zip(&sum.0).map(|(&function, counters)| counters.row(function)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // No other unit test uses these two functions through this module.
    fn row(function: Function) -> Row {
        snapshot()[function as usize]
    }

    #[test]
    fn threads_are_summed_and_outlive_themselves() {
        let function = Function::Tls12PrfSha512;
        let before = row(function);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || {
                    for _ in 0..1000 {
                        count(function, Path::Software, 3);
                    }
                    count(function, Path::Blocked, 0);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let after = row(function);
        assert_eq!(after.software - before.software, 4000);
        assert_eq!(after.blocked - before.blocked, 4);
        assert_eq!(after.bytes - before.bytes, 12_000);
        assert_eq!(after.calls, after.hardware + after.software + after.blocked);
    }

    #[test]
    fn a_living_thread_is_seen_before_it_ends() {
        let function = Function::HkdfSha512;
        let (to_main, from_thread) = std::sync::mpsc::channel();
        let (to_thread, from_main) = std::sync::mpsc::channel::<()>();
        let before = row(function).hardware;
        let thread = std::thread::spawn(move || {
            count(function, Path::Hardware, 1);
            to_main.send(()).unwrap();
            from_main.recv().unwrap();
        });
        from_thread.recv().unwrap();
        assert_eq!(row(function).hardware - before, 1);
        to_thread.send(()).unwrap();
        thread.join().unwrap();
        assert_eq!(row(function).hardware - before, 1, "counted once, not lost and not twice");
    }
}
