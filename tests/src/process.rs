//! Child processes with bounded waits.
//!
//! Invariants: output is collected from the start, so a child never blocks on a full pipe; every
//! wait has a deadline; a child that is still there when its handle goes away is ended by its own
//! id.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long any single wait may take. Generous: it bounds a hang, it does not measure anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes that another thread is still collecting.
#[derive(Debug, Clone, Default)]
pub struct Collected(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
}

impl Collected {
    fn from(mut source: impl Read + Send + 'static) -> Self {
        let collected = Self::default();
        let shared = collected.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = source.read(&mut buffer) {
                shared.0.0.lock().unwrap().bytes.extend_from_slice(&buffer[..n]);
                shared.0.1.notify_all();
            }
            shared.0.0.lock().unwrap().ended = true;
            shared.0.1.notify_all();
        });
        collected
    }

    /// What has arrived so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.0.lock().unwrap().bytes).into_owned()
    }

    /// The complete lines behind `offset`.
    #[must_use]
    pub fn lines_from(&self, offset: usize) -> String {
        let state = self.0.0.lock().unwrap();
        let new = &state.bytes[offset..];
        let end = new.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        String::from_utf8(new[..end].to_vec()).expect("a log in UTF-8")
    }

    /// Waits until `look` finds something in what has arrived; none at the end of the stream or
    /// of patience.
    pub fn wait<T>(&self, mut look: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.0.0.lock().unwrap();
        loop {
            if let Some(found) = look(&String::from_utf8_lossy(&state.bytes)) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            state = self.0.1.wait_timeout(state, left).unwrap().0;
        }
    }
}

/// A running child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    /// Its standard output.
    pub stdout: Collected,
    /// Its standard error.
    pub stderr: Collected,
}

impl Process {
    /// Starts `command` with all three streams connected.
    pub fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {name}: {e}"));
        let input = child.stdin.take();
        let stdout = Collected::from(child.stdout.take().expect("piped"));
        let stderr = Collected::from(child.stderr.take().expect("piped"));
        Self { name, child, input, stdout, stderr }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input; a child that has gone already is no error here.
    pub fn send(&mut self, bytes: &[u8]) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(bytes).and_then(|()| input.flush());
        }
    }

    /// Ends its standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        kill_process(Pid::from_raw(id).expect("not zero"), signal).expect("our own child");
    }

    /// Whether it has ended.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child")
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Finished {
        self.close_input();
        let code = self.wait_exit();
        let everything = |stream: &Collected| {
            stream.wait(|_| None::<()>);
            stream.text()
        };
        Finished {
            name: self.name.clone(),
            code,
            stdout: everything(&self.stdout),
            stderr: everything(&self.stderr),
        }
    }

    /// Waits until the child is gone and returns its exit code, none after a signal.
    fn wait_exit(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.status() {
                return status.code();
            }
            assert!(
                Instant::now() < deadline,
                "{} does not end\nstdout: {}\nstderr: {}",
                self.name,
                self.stdout.text(),
                self.stderr.text()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A child that has ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The program.
    pub name: String,
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// All it wrote to standard output.
    pub stdout: String,
    /// All it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// Both streams, for messages and searches.
    #[must_use]
    pub fn output(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// Asserts exit code 0.
    #[track_caller]
    pub fn success(self) -> Self {
        self.exit(0)
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn exit(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{} ended wrongly:\n{}", self.name, self.output());
        self
    }

    /// Asserts that a text was printed.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let output = self.output();
        assert!(output.contains(text), "{} does not say {text:?}:\n{output}", self.name);
        self
    }
}

/// Runs a command to its end with `input` on its standard input.
pub fn run(command: &mut Command, input: &[u8]) -> Finished {
    let mut process = Process::start(command);
    process.send(input);
    process.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_output_and_exit_code_of_a_child_arrive() {
        let finished = run(Command::new("sh").args(["-c", "cat; echo no >&2; exit 3"]), b"yes");
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("yes", "no\n"));
        finished.exit(3).says("yes").says("no");
    }

    #[test]
    fn a_child_that_is_forgotten_is_ended() {
        let process = Process::start(Command::new("sleep").arg("600"));
        let place = format!("/proc/{}", process.id());
        drop(process);
        assert!(!std::path::Path::new(&place).exists());
    }

    #[test]
    fn waiting_ends_with_the_stream() {
        let process = Process::start(Command::new("echo").arg("a"));
        assert_eq!(process.stdout.wait(|text| text.contains('a').then_some(1)), Some(1));
        assert_eq!(process.stdout.wait(|text| text.contains('b').then_some(1)), None);
        process.finish().success();
    }

    #[test]
    #[should_panic(expected = "ended wrongly")]
    fn a_wrong_exit_code_is_noticed() {
        let _ = run(&mut Command::new("false"), b"").success();
    }
}
