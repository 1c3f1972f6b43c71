//! The daemon as a child process.
//!
//! Invariants: it is the binary of this very package, built from the tree under test. It listens on
//! ports that the kernel has found free and keeps for us; should another process hold one all the
//! same, the start is repeated with others. Readiness is read from the kernel's tables of
//! sockets, since a probing connection would leave a record of its own. Whatever a test does, a
//! panic of the daemon fails it.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::Permissions;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::config::in_mode;
use crate::process::{Finished, PATIENCE, Process, run};
use crate::record::Record;
use crate::wait_until;

/// The program under test; evaluated in an integration test, where Cargo says where it is.
#[macro_export]
macro_rules! adjunct {
    () => {
        $crate::daemon::Program::installed(env!("CARGO_BIN_EXE_adjunct-under-test"))
    };
}

/// The program that runs ours in this run of the tests (`ADJUNCT_TEST_RUNNER`), if one does.
///
/// `qemu-x86_64` is a processor without AVX. Whatever it is, nothing fast is expected of ours then:
/// no batches, and a tenth of the signatures a second.
#[must_use]
pub fn runner() -> Option<OsString> {
    std::env::var_os("ADJUNCT_TEST_RUNNER").filter(|runner| !runner.is_empty())
}

/// A loopback address that nobody listens at, and that nobody is given but who asks for it by name.
///
/// Who lets the kernel choose, another test's backend for one, would else be given it in the moment
/// between here and the daemon's start. A connection in TIME_WAIT, which ends first on the side of
/// the address, keeps it from that for a minute; a listener with `SO_REUSEADDR` does not mind.
#[must_use]
pub fn free_address() -> SocketAddr {
    let reserved = || {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let mut far = TcpStream::connect(address)?;
        far.set_read_timeout(Some(PATIENCE))?;
        drop(listener.accept()?);
        far.read_to_end(&mut Vec::new())?;
        io::Result::Ok(address)
    };
    reserved().expect("a free port")
}

/// The program, not yet started.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
}

impl Program {
    /// The program at `path`.
    #[must_use]
    pub fn at(path: &str) -> Self {
        Self { path: PathBuf::from(path) }
    }

    /// The program at `path` with its integrity file beside it, as after an installation: a start
    /// in a FIPS mode asks for it.
    #[must_use]
    pub fn installed(path: &str) -> Self {
        static WRITTEN: OnceLock<Mutex<HashSet<PathBuf>>> = OnceLock::new();
        let program = Self::at(path);
        let mut written = WRITTEN.get_or_init(Mutex::default).lock().unwrap();
        // Once for each test process, whatever is there: Cargo may have put back an older build.
        if written.insert(program.path.clone()) {
            let _ = program.run(&["integrity", "--write"]).success();
        }
        drop(written);
        program
    }

    /// A command line, with the environment of a test run kept away from it.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match runner() {
            None => Command::new(&self.path),
            Some(runner) => {
                let mut command = Command::new(runner);
                command.arg(&self.path);
                command
            }
        };
        command.args(arguments).env("NO_COLOR", "1");
        for name in ["ADJUNCT_CONFIG", "ADJUNCT_LOG", "ADJUNCT_LOG_FORMAT", "SSLKEYLOGFILE"] {
            command.env_remove(name);
        }
        command
    }

    /// One file that runs it, for who starts a program by its path alone: a script in `directory`
    /// where a [`runner`] runs it.
    #[must_use]
    pub fn executable(&self, directory: &Path) -> PathBuf {
        let Some(runner) = runner() else {
            return self.path.clone();
        };
        let script = directory.join("adjunct");
        let text =
            format!("#!/bin/sh\nexec '{}' '{}' \"$@\"\n", runner.display(), self.path.display());
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, Permissions::from_mode(0o700)).unwrap();
        script
    }

    /// Runs a command that ends by itself.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Finished {
        let finished = run(&mut self.command(arguments), b"");
        assert_no_panic(&finished.stderr);
        finished
    }

    /// Runs `check` or `run` with a configuration that must be refused.
    #[must_use]
    pub fn with_file(&self, verb: &str, config: &Path) -> Finished {
        self.run(&[verb, "-c", &config.to_string_lossy()])
    }

    /// Starts the daemon with the configuration that `write` makes for `N` free addresses, and
    /// waits until it listens on all of them.
    #[must_use]
    pub fn start<const N: usize>(&self, write: impl Fn([SocketAddr; N]) -> String) -> Daemon<N> {
        for _ in 0..5 {
            let addresses = [(); N].map(|()| free_address());
            if let Some(daemon) = self.try_start(addresses, &in_mode(&write(addresses))) {
                return daemon;
            }
        }
        panic!("five times in a row a free port was taken by someone else");
    }

    /// None when an address was in use.
    fn try_start<const N: usize>(&self, at: [SocketAddr; N], text: &str) -> Option<Daemon<N>> {
        let directory = TempDir::new().expect("a temporary directory");
        let config = directory.path().join("adjunct.toml");
        std::fs::write(&config, text).expect("a writable directory");
        let mut command = self.command(&["run", "-c"]);
        let mut process = Process::start(command.arg(&config));
        let mut ended = None;
        // The status socket is made a moment after the addresses listen.
        let orders = status_socket(text);
        wait_until("the daemon listens", || {
            ended = process.status();
            let listens = || at.iter().all(|at| listens(process.id(), at));
            let takes_orders = || orders.as_deref().is_none_or(listening_at);
            ended.is_some() || (listens() && takes_orders())
        });
        if let Some(status) = ended {
            let errors = process.finish().stderr;
            assert_eq!(status.code(), Some(69), "the daemon does not start:\n{errors}\n{text}");
            return None;
        }
        Some(Daemon { addresses: at, process: Some(process), directory, taken: 0 })
    }
}

/// Whether the process of that id listens at `address`, from the kernel's tables. That somebody
/// does would not do: a client would take a stranger for the daemon.
pub(crate) fn listens(process: u32, address: &SocketAddr) -> bool {
    const LISTEN: &str = "0A";
    let port = format!(":{:04X}", address.port());
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(std::fs::read_to_string);
    let sockets: Vec<String> = (tables.iter().flatten().flat_map(|table| table.lines()))
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|field| field.len() > 9 && field[1].ends_with(&port) && field[3] == LISTEN)
        .map(|field| format!("socket:[{}]", field[9]))
        .collect();
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten();
    let names = open.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
    names.filter_map(|name| name.into_os_string().into_string().ok()).any(|n| sockets.contains(&n))
}

/// Whether a Unix socket listens at `path`, from the kernel's table.
fn listening_at(path: &str) -> bool {
    const ACCEPTS: &str = "00010000";
    let text = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    text.lines().any(|line| line.ends_with(path) && line.split_whitespace().nth(3) == Some(ACCEPTS))
}

/// Where the daemon of a configuration takes orders, if it does.
fn status_socket(text: &str) -> Option<String> {
    let table = text.parse::<toml::Table>().ok()?;
    table.get("admin")?.get("socket")?.as_str().map(str::to_owned)
}

/// A running daemon with `N` addresses.
#[derive(Debug)]
pub struct Daemon<const N: usize> {
    /// Its addresses.
    pub addresses: [SocketAddr; N],
    process: Option<Process>,
    directory: TempDir,
    /// How many records have been taken.
    taken: usize,
}

impl<const N: usize> Daemon<N> {
    /// Its first address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// The configuration file it runs with.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("adjunct.toml")
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("taken by `stop` only")
    }

    /// Everything it wrote to its standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process().stderr.text()
    }

    /// Waits for the next connection record.
    #[track_caller]
    pub fn record(&mut self) -> Record {
        let taken = self.taken;
        let found = self.process().stderr.wait(|log| connections(log).nth(taken));
        self.taken += 1;
        found.unwrap_or_else(|| panic!("record {taken} is missing in:\n{}", self.log()))
    }

    /// Waits for the next record of an orderly connection.
    #[track_caller]
    pub fn completed(&mut self) -> Record {
        let record = self.record();
        assert_eq!(record.outcome(), "completed", "{}", record.0);
        record
    }

    /// The connection records that stand in the log behind `offset`, and the offset behind them.
    #[must_use]
    pub fn records_from(&self, offset: usize) -> (Vec<Record>, usize) {
        let new = self.process().stderr.lines_from(offset);
        (connections(&new).collect(), offset + new.len())
    }

    /// Memory in use, in KiB.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// Threads it has.
    #[must_use]
    pub fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    fn status(&self, name: &str) -> u64 {
        let status = format!("/proc/{}/status", self.process().id());
        let text = std::fs::read_to_string(status).expect("a running daemon");
        let line = text.lines().find(|line| line.starts_with(name)).expect("a known line");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process().id()
    }

    /// What the system tells of the threads of one name in the file `of` of each.
    fn of_threads(&self, name: &str, of: &str) -> Vec<String> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id()));
        let told = |thread: std::fs::DirEntry| {
            let read = |file| std::fs::read_to_string(thread.path().join(file)).ok();
            if read("comm")?.trim() == name { read(of) } else { None }
        };
        threads.expect("a running daemon").flatten().filter_map(told).collect()
    }

    /// CPU time of the threads of one name, as the scheduler counts it.
    #[must_use]
    pub fn thread_cpu(&self, name: &str) -> Duration {
        let spent =
            |text: &String| text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos);
        self.of_threads(name, "schedstat").iter().filter_map(spent).sum()
    }

    /// The system calls that threads of one name sleep in, by number; those that run have none.
    #[must_use]
    pub fn thread_calls(&self, name: &str) -> Vec<i64> {
        let call = |text: &String| text.split_whitespace().next()?.parse().ok();
        self.of_threads(name, "syscall").iter().filter_map(call).collect()
    }

    /// File descriptors it has open.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        let directory = format!("/proc/{}/fd", self.process().id());
        std::fs::read_dir(directory).expect("a running daemon").count()
    }

    /// Lets it open at most `count` file descriptors from now on.
    pub fn limit_descriptors(&self, count: u64) {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let pid = i32::try_from(self.process().id()).ok().and_then(Pid::from_raw);
        let limit = Rlimit { current: Some(count), maximum: Some(count) };
        prlimit(pid, Resource::Nofile, limit).expect("a child of ours");
    }

    /// Most file descriptors it may open.
    #[must_use]
    pub fn descriptor_limit(&self) -> u64 {
        let limits = format!("/proc/{}/limits", self.process().id());
        let text = std::fs::read_to_string(limits).expect("a running daemon");
        let line = text.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
        line.split_whitespace().nth(3).and_then(|soft| soft.parse().ok()).expect("a number")
    }

    /// CPU time it has used so far, in clock ticks (hundredths of a second).
    #[must_use]
    pub fn cpu_ticks(&self) -> u64 {
        let stat = format!("/proc/{}/stat", self.process().id());
        let text = std::fs::read_to_string(stat).expect("a running daemon");
        let after_name = text.rsplit(')').next().unwrap_or_default();
        let fields = after_name.split_whitespace().skip(11).take(2);
        fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    }

    /// Runs `meanwhile` while the daemon stands still, so that it finds everything that happened at
    /// once, in one turn of its event loops.
    pub fn frozen<T>(&self, meanwhile: impl FnOnce() -> T) -> T {
        self.process().signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.process().id());
        wait_until("the daemon stands still", || {
            let text = std::fs::read_to_string(&stat).unwrap_or_default();
            text.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        });
        let result = meanwhile();
        // Loopback delivers within the call that sends; nothing is on its way any more.
        self.process().signal(Signal::CONT);
        result
    }

    /// Asks it to drain.
    pub fn terminate(&self) {
        self.process().signal(Signal::TERM);
    }

    /// Waits for its end after [`Daemon::terminate`].
    #[must_use]
    pub fn wait(mut self) -> Finished {
        let finished = self.process.take().expect("not taken before").finish();
        assert_no_panic(&finished.stderr);
        finished
    }

    /// Ends it and asserts that it drained in order.
    #[track_caller]
    pub fn stop(self) {
        self.terminate();
        let _ = self.wait().success();
    }
}

impl<const N: usize> Drop for Daemon<N> {
    fn drop(&mut self) {
        if let Some(process) = &self.process
            && !std::thread::panicking()
        {
            assert_no_panic(&process.stderr.text());
        }
    }
}

/// The connection records in a log.
fn connections(log: &str) -> impl Iterator<Item = Record> + '_ {
    let complete = log.rfind('\n').map_or("", |end| &log[..end]);
    complete
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok().map(Record))
        .filter(Record::is_connection)
}

/// Fails when a program's errors show that one of its threads panicked.
#[track_caller]
pub fn assert_no_panic(errors: &str) {
    for word in ["panicked at", "overflowed its stack", "RUST_BACKTRACE"] {
        assert!(!errors.contains(word), "the program panicked:\n{errors}");
    }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn the_sockets_of_a_process_are_told_from_those_of_another_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stranger = Process::start(Command::new("sleep").arg("600"));
        assert!(!listens(stranger.id(), &address));
        assert!(listens(std::process::id(), &address));
        // One that no other test of this process can be given.
        assert!(!listens(std::process::id(), &free_address()));
    }

    #[test]
    fn no_port_is_given_twice() {
        let given: HashSet<_> = (0..50).map(|_| free_address()).collect();
        assert_eq!(given.len(), 50);
    }

    #[test]
    fn a_free_address_is_kept_for_who_asks_for_it_by_name() {
        let address = free_address();
        let bound = |by_name: bool| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_reuse_address(by_name).unwrap();
            socket.bind(&address.into())
        };
        // What is refused here is what the kernel does not choose either.
        assert_eq!(bound(false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        bound(true).unwrap();
    }

    #[test]
    fn only_whole_lines_with_a_connection_are_records() {
        let log = "starting\n{\"event\":\"listening\"}\n{\"conn_id\":1,\"outcome\":\"completed\"}\n\
                   {\"conn_id\":2,\"outcome\":\"com";
        assert_eq!(connections(log).count(), 1);
    }

    #[test]
    #[should_panic(expected = "the program panicked")]
    fn a_panic_of_the_program_fails_the_test() {
        assert_no_panic("thread 'x' (1) panicked at src/a.rs:1:1:\n");
    }
}
