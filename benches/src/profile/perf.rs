//! Samples of the CPU time of a process by thread and function.
//!
//! perf samples by the clock of the CPU: every virtual machine has one, and hardware counters it
//! mostly has not. Only the function at the top of the stack counts.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Failure;

/// Samples a second: not a multiple of the timer, nor of anything the loads do.
const HERTZ: &str = "1999";
/// How long a tool may take to write down what it has.
const PATIENCE: Duration = Duration::from_secs(30);

/// Samples in one function of one thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// How many.
    pub count: u64,
    /// Name of the thread.
    pub thread: String,
    /// Program, library or kernel.
    pub object: String,
    /// Function.
    pub symbol: String,
}

/// A recording under way.
#[derive(Debug)]
pub struct Recording(Child);

impl Recording {
    /// Attaches to a process with all of its threads.
    ///
    /// # Errors
    /// perf is not there.
    pub fn start(process: u32, into: &Path) -> Result<Self, Failure> {
        let child = Command::new("perf")
            .args(["record", "-q", "-e", "cpu-clock", "-F", HERTZ, "-p", &process.to_string()])
            .arg("-o")
            .arg(into)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| format!("perf does not start ({e}); install the package `linux-perf`"))?;
        Ok(Self(child))
    }

    /// Ends it; what it has is in its file.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop(mut self) -> Result<(), Failure> {
        interrupt(&mut self.0)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // It has ended in `stop`, unless a run was broken off.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks a tool by INT to write what it has and to end, and waits for that.
///
/// # Errors
/// It does not end, or refused to do what it was started for.
pub(super) fn interrupt(tool: &mut Child) -> Result<(), Failure> {
    let id = i32::try_from(tool.id()).ok().and_then(Pid::from_raw).ok_or("a process has an id")?;
    // One that has ended by itself has failed; its status tells below.
    let ended = kill_process(id, Signal::INT).is_err();
    let deadline = Instant::now() + PATIENCE;
    while tool.try_wait()?.is_none() {
        if Instant::now() > deadline {
            return Err("the tool does not end".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    if ended { Err("the tool has ended before it was told to".into()) } else { Ok(()) }
}

/// Reads a recording.
///
/// # Errors
/// perf cannot read it.
pub fn samples(from: &Path) -> Result<Vec<Sample>, Failure> {
    if !fs::exists(from)? {
        return Err("perf has recorded nothing; may this user sample other processes?".into());
    }
    let output = Command::new("perf")
        .args(["report", "--stdio", "--no-children", "-g", "none", "-q"])
        .args(["-F", "sample,comm,dso,sym", "-t", "|", "-i"])
        .arg(from)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("perf cannot read its recording:\n{said}").into());
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

/// Reads lines `samples|thread|object|[.] function`; others are comments.
#[must_use]
pub fn parse(report: &str) -> Vec<Sample> {
    let sample = |line: &str| {
        let mut fields = line.splitn(4, '|').map(str::trim);
        let count = fields.next()?.parse().ok()?;
        let [thread, object, symbol] = [fields.next()?, fields.next()?, fields.next()?];
        // `[k]` and `[.]` stand for kernel and user mode.
        let symbol = symbol.get(4..).filter(|_| symbol.starts_with('[')).unwrap_or(symbol);
        let (thread, object) = (thread.to_owned(), object.to_owned());
        Some(Sample { count, thread, object, symbol: symbol.trim().to_owned() })
    };
    report.lines().filter_map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_names_that_contain_anything() {
        let report = "# Samples: 1K of event 'cpu-clock'\n#\n\
            \x20     Samples|Command|Shared Object|Symbol\n\
            \x2021         |adj00001|adjunct          |[.] <rustls::A as Or<u8>>::b|c\n\
            3|cex-0 |[kernel.kallsyms]|[k] tcp_sendmsg\n\n";
        let samples = parse(report);
        assert_eq!(samples.len(), 2);
        assert_eq!(samples[0].count, 21);
        assert_eq!(samples[0].thread, "adj00001");
        assert_eq!(samples[0].symbol, "<rustls::A as Or<u8>>::b|c");
        assert_eq!(samples[1].object, "[kernel.kallsyms]");
        assert_eq!(samples[1].symbol, "tcp_sendmsg");
    }
}
