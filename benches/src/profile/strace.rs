//! System calls of a process by name, counted by strace.
//!
//! A traced process is many times slower, so its time means nothing; its calls do, with one client
//! at a time: nothing then depends on how much has come while it was stopped.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::perf::interrupt;
use crate::Failure;

/// Calls by name.
pub type Calls = BTreeMap<String, u64>;

/// How long attaching may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// strace at work.
#[derive(Debug)]
pub struct Trace(Child);

impl Trace {
    /// Attaches to a process with all of its threads.
    ///
    /// # Errors
    /// strace is not there, or may not attach.
    pub fn start(process: u32, into: &Path) -> Result<Self, Failure> {
        let child = Command::new("strace")
            .args(["-c", "-f", "-p", &process.to_string(), "-o"])
            .arg(into)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("strace does not start ({e}); install the package `strace`"))?;
        let mut trace = Self(child);
        let deadline = Instant::now() + PATIENCE;
        while !all_traced(process)? {
            if let Some(status) = trace.0.try_wait()? {
                return Err(format!("strace cannot attach ({status}): may this user trace?").into());
            }
            if Instant::now() > deadline {
                return Err("strace does not attach".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(trace)
    }

    /// Detaches, and reads what was counted.
    ///
    /// # Errors
    /// It does not end, or has written nothing.
    pub fn stop(mut self, from: &Path) -> Result<Calls, Failure> {
        interrupt(&mut self.0)?;
        parse(&fs::read_to_string(from)?)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // It has ended in `stop`, unless a run was broken off. The traced process goes on.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether every thread has a tracer.
fn all_traced(process: u32) -> Result<bool, Failure> {
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // One that has ended needs none.
        let Ok(status) = fs::read_to_string(thread?.path().join("status")) else { continue };
        if status.lines().any(|line| line.split_whitespace().eq(["TracerPid:", "0"])) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads the table of `strace -c`: share, seconds, each, calls, errors if any, name.
///
/// # Errors
/// A row is not of that form.
pub fn parse(table: &str) -> Result<Calls, Failure> {
    let mut calls = Calls::new();
    for line in table.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_row = fields.first().is_some_and(|share| share.parse::<f64>().is_ok());
        match (is_row, fields.as_slice()) {
            (true, [.., "total"]) | (false, _) => {}
            (true, [_, _, _, count, .., name]) => {
                let count: u64 = count.parse().map_err(|e| format!("`{line}`: {e}"))?;
                *calls.entry((*name).to_owned()).or_default() += count;
            }
            _ => return Err(format!("strace: `{line}` is not understood").into()),
        }
    }
    Ok(calls)
}

/// Calls of one unit: the difference of a run of twice the units and one of `units`.
#[must_use]
pub fn per_unit(once: &Calls, twice: &Calls, units: u64) -> BTreeMap<String, f64> {
    let of = |calls: &Calls, name: &String| calls.get(name).copied().unwrap_or_default() as f64;
    let names = once.keys().chain(twice.keys());
    let per = |name: &String| (of(twice, name) - of(once, name)) / units.max(1) as f64;
    names.map(|name| (name.clone(), per(name))).filter(|(_, per)| *per != 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 45.10    0.000210           2        88         4 read
  0.00    0.000000           0        20           close
------ ----------- ----------- --------- --------- ----------------
100.00    0.000210           1       108         4 total
";

    #[test]
    fn calls_are_read_with_and_without_errors_and_without_the_total() {
        let calls = parse(TABLE).unwrap();
        assert_eq!(calls, [("read".to_owned(), 88), ("close".to_owned(), 20)].into());
        assert!(parse(" 1.00 0.1 2 many read\n").is_err());
        assert!(parse(" 1.00 0.1\n").is_err());
    }

    #[test]
    fn calls_that_both_runs_make_do_not_belong_to_a_unit() {
        let once = [("read".to_owned(), 50), ("brk".to_owned(), 3)].into();
        let twice = [("read".to_owned(), 90), ("brk".to_owned(), 3), ("close".to_owned(), 5)];
        let per = per_unit(&once, &twice.into(), 10);
        assert_eq!(per, [("read".to_owned(), 4.0), ("close".to_owned(), 0.5)].into());
    }
}
