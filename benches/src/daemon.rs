//! The daemon under test: a release build as a child process.
//!
//! Invariants: it is started with a configuration of its own in a temporary directory, confined to
//! given processors with all of its threads, on a port of the kernel's choosing, and ended by its
//! own id when the handle goes away.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::pki::Issued;
use crate::{Failure, clock};

/// How long a start may take: the self-tests of a slow machine included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the release build of the daemon is: as told, or beside the program that asks.
///
/// # Errors
/// It is not there.
pub fn find(told: Option<&str>) -> Result<PathBuf, Failure> {
    let path = match told {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe()?.with_file_name("adjunct"),
    };
    if path.is_file() {
        return Ok(path);
    }
    let path = path.display();
    Err(format!("{path}: no daemon there; build it with `cargo build --release -p adjunct`").into())
}

/// How the names of the threads of simulated cards begin.
pub const CARD_THREADS: &str = "cex-";

/// What varies between the configurations of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// `offload` of `[server]`.
    pub offload: &'a str,
    /// Where plaintext goes.
    pub backend: SocketAddr,
    /// The certificate to serve with.
    pub issued: &'a Issued,
    /// Processors of all threads of the daemon.
    pub processors: &'a [usize],
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    directory: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Daemon {
    /// Starts it with one worker and one service, and waits until it listens.
    ///
    /// # Errors
    /// It does not start; the text has what it says about it.
    pub fn start(program: &Path, setting: &Setting<'_>) -> Result<Self, Failure> {
        let directory = TempDir::new()?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let at = directory.path();
        fs::write(at.join("cert.pem"), &setting.issued.pem)?;
        fs::write(at.join("key.pem"), setting.issued.key_pem.as_bytes())?;
        fs::write(at.join("adjunct.toml"), configuration(address, setting))?;
        let before = clock::processors()?;
        clock::pin(setting.processors)?;
        let child = Command::new(program)
            .args(["run", "-c"])
            .arg(at.join("adjunct.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(at.join("errors"))?)
            .spawn();
        clock::pin(&before)?;
        let mut daemon = Self { child: child?, directory, address };
        daemon.wait_until_it_listens()?;
        Ok(daemon)
    }

    fn wait_until_it_listens(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                let errors = fs::read_to_string(self.directory.path().join("errors"))?;
                return Err(format!("the daemon does not start ({status}):\n{errors}").into());
            }
            if Instant::now() > deadline {
                return Err("the daemon does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Memory in use.
    ///
    /// # Errors
    /// The daemon has gone.
    pub fn resident_bytes(&self) -> Result<u64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?;
        Ok(kib.parse::<u64>()? * 1024)
    }

    /// CPU time so far of its event loop and of the threads of the simulated cards.
    ///
    /// # Errors
    /// The daemon has gone.
    pub fn cpu(&self) -> Result<Cpu, Failure> {
        let mut cpu = Cpu::default();
        for (name, spent) in clock::threads_of(self.id())? {
            cpu.all += spent;
            if name.starts_with("adj0") {
                cpu.members += spent;
            } else if name.starts_with(CARD_THREADS) {
                cpu.cards += spent;
            }
        }
        Ok(cpu)
    }

    /// What the status socket answers to a question; none when it does not know it.
    ///
    /// # Errors
    /// The socket does not answer.
    pub fn ask(&self, question: &str) -> Result<Option<serde_json::Value>, Failure> {
        let mut socket = UnixStream::connect(self.directory.path().join("admin"))?;
        writeln!(socket, "{question}")?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(serde_json::from_str(&answer).ok())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time by role.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    /// All threads.
    pub all: Duration,
    /// Event loops.
    pub members: Duration,
    /// Simulated cards: hardware, on the real machine.
    pub cards: Duration,
}

impl Cpu {
    /// What was spent since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            all: self.all.saturating_sub(before.all),
            members: self.members.saturating_sub(before.members),
            cards: self.cards.saturating_sub(before.cards),
        }
    }
}

fn configuration(address: SocketAddr, setting: &Setting<'_>) -> String {
    let Setting { offload, backend, .. } = setting;
    format!(
        "[server]\nworkers = 1\noffload = \"{offload}\"\nlog = {{ target = \"log\" }}\n\n\
         [admin]\nsocket = \"admin\"\n\n\
         [[service]]\nname = \"bench\"\nlisten = \"{address}\"\nbackend = \"{backend}\"\n\
         cert = \"cert.pem\"\nkey = \"key.pem\"\ntickets = 0\nversions = [\"1.3\"]\n"
    )
}
