//! `adjunct demo`: everything once, without any set-up.
//!
//! A throwaway CA and certificates (RSA and ECDSA) in a private directory, a plain-text service
//! that knows nothing of TLS, two TLS services in front of it, and the records of what happens. All
//! of it runs in this process through the same [`Daemon`] that `adjunct run` starts, and all of it
//! is gone at the end.

mod breaking;
mod drive;
mod legacy;
mod pki;
mod report;

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crossbeam::channel::Receiver;
use engine::record::Record;

use crate::cli::{complain, print};
use crate::config::schema::ColorChoice;
use crate::config::{self, Config, Look};
use crate::daemon::{self, Daemon, StartError};
use crate::exit::Exit;
use crate::observe::log::Records;
use crate::observe::{Log, text};
use legacy::Legacy;

/// How often the demonstration looks for signals and keeps the daemon going.
const TICK: Duration = Duration::from_millis(200);

/// How long the end waits for the event loop.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the demonstration cannot go on.
type Failure = Box<dyn std::error::Error>;

/// Runs the demonstration; `once` drives the three handshakes by itself and returns.
#[must_use]
pub fn run(once: bool, color: ColorChoice) -> Exit {
    match demonstrate(once, text::Color::choose(color, &io::stdout())) {
        Ok(exit) => exit,
        Err(error) => {
            complain(&format!("adjunct demo: {error}"));
            Exit::Failure
        }
    }
}

fn demonstrate(once: bool, color: text::Color) -> Result<Exit, Failure> {
    // First of all, so that no signal ends the process with the directory left behind.
    let signals = daemon::signals()?;
    let directory = Scratch::create()?;
    let authority = pki::write(directory.path())?;
    let legacy = Legacy::start()?;
    let (log, records) = Log::captured();
    let screen = Screen { records, color };
    let daemon = start(directory.path(), legacy.address(), &log)?;
    print(&introduction(&daemon, &legacy, directory.path()));
    let exit = if once {
        drive::three_handshakes(&daemon, &authority, &screen)?
    } else {
        let admin = breaking::listen(&daemon, directory.path());
        watch(&daemon, &screen, &signals);
        drop(admin);
        Exit::Ok
    };
    daemon.stop_now();
    // The records of connections that ended just now, or are cut by the end.
    let patience = Instant::now() + PATIENCE;
    while !daemon.has_ended() && Instant::now() < patience {
        std::thread::sleep(TICK / 10);
    }
    screen.show_all();
    print(&report::summary(&daemon, &screen.records));
    daemon.stop();
    drop(legacy);
    Ok(exit)
}

/// Where records come from and how they are shown.
struct Screen {
    records: Records,
    color: text::Color,
}

impl Screen {
    fn show_all(&self) {
        while let Some(record) = self.records.next(Duration::ZERO) {
            self.show(&record);
        }
    }

    fn show(&self, record: &Record) {
        print(&format!("\n{}", text::record(record, self.color)));
    }
}

/// A private directory that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn create() -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt as _;
        let parent = std::env::temp_dir();
        let mut attempt = 0;
        loop {
            // A process of the same number may have been killed and left its directory.
            let path = parent.join(format!("adjunct-demo-{}-{attempt}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 100 => {
                    attempt += 1;
                }
                Err(error) => {
                    let text = "set TMPDIR to a directory that may be written";
                    let path = path.display();
                    return Err(format!("{path} cannot be created: {error}; {text}").into());
                }
            }
        }
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed holds throwaway keys only.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Starts the daemon on ports that were free a moment ago; anew if another process was faster.
fn start(directory: &Path, backend: SocketAddr, log: &Log) -> Result<Daemon, Failure> {
    let mut attempts = 5;
    loop {
        attempts -= 1;
        match Daemon::start(&configure(directory, backend)?, log) {
            Err(StartError::Bind { source, .. })
                if source.kind() == io::ErrorKind::AddrInUse && attempts > 0 => {}
            started => return Ok(started?),
        }
    }
}

/// Writes a configuration as an operator would, and reads it as `adjunct run` does.
fn configure(directory: &Path, backend: SocketAddr) -> Result<Config, Failure> {
    let mut text = "[server]\nworkers = 1\n".to_owned();
    // It shows cards at work; and two coprocessors, so that ECDSA too has another card to go to.
    text.push_str("\n[route]\necdsa = \"cex\"\n");
    for (id, kind) in ["CEX8A", "CEX8C", "CEX8C"].into_iter().enumerate() {
        write!(text, "\n[[card]]\nid = {id}\ntype = \"{kind}\"\ndomains = [6]\n")?;
    }
    for service in ["rsa", "ec"] {
        let port = free_port()?;
        write!(
            text,
            "\n[[service]]\nname = \"demo-{service}\"\nlisten = \"127.0.0.1:{port}\"\n\
             backend = \"{backend}\"\ncert = \"{service}.pem\"\nkey = \"{service}.key\"\n"
        )?;
    }
    let file = directory.join("demo.toml");
    std::fs::write(&file, text)?;
    let look = Look { now: SystemTime::now(), inspect: None, log_from_file: true };
    let report = config::load(&file, &look);
    let Some(mut config) = report.config else {
        let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
        return Err(faults.join("\n").into());
    };
    // What no file can say in a normal build.
    config.server.fault_injection = true;
    Ok(config)
}

fn introduction(daemon: &Daemon, legacy: &Legacy, directory: &Path) -> String {
    let mut out = format!(
        "Adjunct demo: TLS in front of a plain-text service on {}.\n\
         Private keys are in simulated Crypto Express cards (threads of this process); symmetric\n\
         work goes through cpacf, which uses this processor's own crypto units.\n\n",
        legacy.address()
    );
    let ca = directory.join("ca.pem");
    for (service, address) in daemon.addresses() {
        let _ = writeln!(out, "{service} on {address}");
        let _ = writeln!(
            out,
            "  openssl s_client -connect {address} -CAfile {} -quiet   (then type: hello)",
            ca.display()
        );
        let _ =
            writeln!(out, "  curl --cacert {} https://localhost:{}/", ca.display(), address.port());
    }
    out
}

/// Shows records until a signal comes.
fn watch(daemon: &Daemon, screen: &Screen, signals: &Receiver<i32>) {
    print("\nConnections are shown below; Ctrl-C ends the demo with a table of what was done.\n");
    loop {
        screen.show_all();
        if signals.recv_timeout(TICK).is_ok() {
            return;
        }
        daemon.tick(Instant::now());
    }
}
