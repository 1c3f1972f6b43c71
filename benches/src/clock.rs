//! CPU clocks and pinning.
//!
//! Purpose: cost that does not depend on who else runs on the machine. A thread's own CPU clock
//! stands still while others run; the scheduler's statistics tell the same of other processes.
//!
//! Source: `clock_gettime(2)`, `proc(5)` (`/proc/PID/task/TID/schedstat`), `sched_setaffinity(2)`.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// CPU time of the calling thread.
#[must_use]
pub fn thread_cpu() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// CPU time of all threads of this process.
#[must_use]
pub fn process_cpu() -> Duration {
    read(ClockId::ProcessCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// CPU time that `work` takes in this thread.
pub fn cpu_of(work: impl FnOnce()) -> Duration {
    let before = thread_cpu();
    work();
    thread_cpu().saturating_sub(before)
}

/// CPU time of every thread of a process by name, in nanoseconds of the scheduler.
///
/// # Errors
/// The process has gone.
pub fn threads_of(process: u32) -> io::Result<Vec<(String, Duration)>> {
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{process}/task"))? {
        let path = entry?.path();
        // A thread may end while the directory is read.
        let (Ok(name), Ok(stat)) =
            (fs::read_to_string(path.join("comm")), fs::read_to_string(path.join("schedstat")))
        else {
            continue;
        };
        let nanoseconds = stat.split_whitespace().next().and_then(|n| n.parse().ok());
        let spent = Duration::from_nanos(nanoseconds.unwrap_or_default());
        threads.push((name.trim().to_owned(), spent));
    }
    Ok(threads)
}

/// Confines the threads of another process whose names begin with `prefix` to some processors.
///
/// # Errors
/// The process has gone, or the system refuses.
pub fn pin_threads(process: u32, prefix: &str, to: &[usize]) -> io::Result<()> {
    for entry in fs::read_dir(format!("/proc/{process}/task"))? {
        let entry = entry?;
        let name = fs::read_to_string(entry.path().join("comm"))?;
        let id = entry.file_name().to_str().and_then(|id| id.parse().ok()).and_then(Pid::from_raw);
        if let Some(id) = id.filter(|_| name.starts_with(prefix)) {
            sched_setaffinity(Some(id), &set(to))?;
        }
    }
    Ok(())
}

fn set(of: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    of.iter().for_each(|&cpu| set.set(cpu));
    set
}

/// The processors this thread may run on.
///
/// # Errors
/// Those of the system call.
pub fn processors() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect())
}

/// Confines the calling thread, and what it starts from now on, to some processors.
///
/// # Errors
/// Those of the system call.
pub fn pin(to: &[usize]) -> io::Result<()> {
    Ok(sched_setaffinity(None, &set(to))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_works_is_seen_by_its_own_clock_and_by_the_schedulers() {
        let spent = cpu_of(|| {
            let end = thread_cpu() + Duration::from_millis(20);
            while thread_cpu() < end {}
        });
        assert!(spent >= Duration::from_millis(20));
        assert!(process_cpu() >= spent);
        let threads = threads_of(std::process::id()).unwrap();
        assert!(threads.iter().any(|(_, cpu)| *cpu > Duration::ZERO));
    }

    #[test]
    fn pinning_is_what_the_system_reports() {
        let first = processors().unwrap()[0];
        let thread = std::thread::spawn(move || {
            pin(&[first]).unwrap();
            processors().unwrap()
        });
        assert_eq!(thread.join().unwrap(), [first]);
    }
}
