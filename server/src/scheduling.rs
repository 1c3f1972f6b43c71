//! What a thread asks of the scheduler.
//!
//! A member sleeps until something comes and then works for a tenth of a millisecond at a time; the
//! threads of simulated cards, of the log and of whoever else is on the processor work for
//! milliseconds. A thread that wakes up waits for the *slice* of the one that runs, 3 ms as a rule,
//! and so do all connections of the member. A thread that asks for short slices has the earlier
//! deadline, and runs as soon as it wakes and has had no more than its share. This costs no
//! privilege and takes no time from others: the share stays what it was.
//!
//! Kernels before 6.12 ignore the length; there members run as any other thread does.
//!
//! Source: `sched_setattr(2)`; Linux, "EEVDF Scheduler" (Documentation/scheduler/sched-eevdf.rst).

#![allow(unsafe_code)]

use std::io;
use std::time::Duration;

/// The shortest slice the kernel grants.
const SHORT: Duration = Duration::from_micros(100);

/// Asks for short slices for the calling thread. A thread under another policy than the normal one
/// was put there by somebody who knows why, and is left alone.
///
/// # Errors
/// Those of the system calls. A caller can go on: latencies under load are longer then.
pub fn short_slices() -> io::Result<()> {
    let mut attributes = attributes()?;
    if i32::try_from(attributes.sched_policy) != Ok(libc::SCHED_OTHER) {
        return Ok(());
    }
    attributes.sched_runtime = u64::try_from(SHORT.as_nanos()).unwrap_or(u64::MAX);
    // SAFETY: the pointer is to a whole `sched_attr` whose `size` says how long it is; the kernel
    // reads it during the call and keeps nothing. 0 is the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Those of the calling thread; what is not changed is written back as it was.
fn attributes() -> io::Result<libc::sched_attr> {
    let mut attributes = libc::sched_attr {
        size: u32::try_from(size_of::<libc::sched_attr>()).unwrap_or(u32::MAX),
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    let (size, none) = (attributes.size, 0);
    // SAFETY: the pointer is to a `sched_attr` of `size` bytes that is ours alone; the kernel
    // writes no more than that. Any bytes are a valid `sched_attr`.
    let result =
        unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, none) };
    if result == 0 { Ok(attributes) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kernels that know slices report the one in force; older ones report 0.
    #[test]
    fn the_kernel_grants_the_slice_and_nothing_else_changes() {
        let [before, after] = std::thread::spawn(|| {
            rustix::process::nice(3).unwrap();
            let before = attributes().unwrap();
            short_slices().unwrap();
            [before, attributes().unwrap()]
        })
        .join()
        .unwrap();
        assert!(before.sched_nice >= 3, "{}", before.sched_nice);
        assert_eq!(after.sched_nice, before.sched_nice);
        assert_eq!(after.sched_policy, before.sched_policy);
        let granted = Duration::from_nanos(after.sched_runtime);
        if i32::try_from(before.sched_policy) == Ok(libc::SCHED_OTHER) {
            assert!(granted == SHORT || before.sched_runtime == 0, "{granted:?}");
        } else {
            assert_eq!(after.sched_runtime, before.sched_runtime, "left alone");
        }
    }
}
