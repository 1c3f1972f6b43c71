//! `adjunct run`: the pool members and their supervision.
//!
//! Purpose: bring everything up in an order in which nothing listens before all of it is sound
//! (self-tests, keys, services, stacks, addresses), keep the once-a-second work going, and take it
//! down in order. The demo runs the same [`Daemon`] inside its own process.
//!
//! Invariants: a start that fails leaves nothing behind; every thread is joined.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use engine::compliance::{Policy, PolicySet};
use engine::crypto::Provider;
use mio::Waker;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::admin::{self, Admin};
use crate::config::Config;
use crate::config::schema::{InjectedFault, LogTarget};
use crate::exit::Exit;
use crate::fips::{self, facts::Facts};
use crate::net::gauges::Gauges;
use crate::net::listener;
use crate::net::worker::{Command, Ended, Worker};
use crate::observe::{Event, Level, Log};
use crate::provider;
use crate::runtime::{Address, Runtime};
use crate::scheduling;
use crate::status::Running;

/// How often cards, tickets and the like are looked after.
const TICK: Duration = Duration::from_secs(1);

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] engine::error::Error),
    /// An address cannot be bound.
    #[error("{address} cannot be bound for service `{service}`: {source}; {remedy}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The first service on it.
        service: String,
        /// What the system said.
        source: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// The status socket cannot be had.
    #[error(transparent)]
    Admin(#[from] admin::Error),
    /// The log file cannot be opened.
    #[error("the log {path} cannot be opened: {source}; write `stderr` or a path in a directory \
             that exists and may be written", path = path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A FIPS mode is on, and what it demands before anything is done does not hold.
    #[error("mode {modes} is on and nothing is started: {failure}")]
    Fips {
        /// The modes.
        modes: String,
        /// What does not hold.
        failure: Box<fips::Failure>,
    },
    /// The system refused a thread, epoll or a socket.
    #[error("{what}: {source}")]
    System {
        /// What was wanted.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl StartError {
    /// The exit code it leads to.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Engine(error) => Self::exit_of_engine(error),
            Self::Bind { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Exit::Permission
            }
            Self::Bind { .. } => Exit::Unavailable,
            Self::Admin(error) => error.exit(),
            Self::Log { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Exit::Permission,
                io::ErrorKind::NotFound | io::ErrorKind::IsADirectory => Exit::Config,
                _ => Exit::OsError,
            },
            Self::Fips { .. } => Exit::Internal,
            Self::System { .. } => Exit::OsError,
        }
    }

    /// The exit code of an error of the engine.
    #[must_use]
    pub fn exit_of_engine(error: &engine::error::Error) -> Exit {
        use engine::error::Error;
        match error {
            Error::Certificate { fault, .. } if fault.is_of_configuration() => Exit::Config,
            Error::Certificate { .. } => Exit::Data,
            Error::Service { .. } => Exit::Config,
            _ => Exit::Internal,
        }
    }
}

fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
    let what = what.into();
    move |source| StartError::System { what, source }
}

struct Pooled {
    gauges: Arc<Gauges>,
    commands: Sender<Command>,
    waker: Arc<Waker>,
    thread: JoinHandle<io::Result<Ended>>,
}

/// How the members ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Joined {
    /// Connections that had to be cut.
    pub cut: usize,
    /// Members that ended by a fault of their own.
    pub failed: usize,
}

/// A running set of pool members.
pub struct Daemon {
    runtime: Arc<Runtime>,
    members: Vec<Pooled>,
    addresses: Vec<(String, SocketAddr)>,
    /// Stack that the deepest handshake of the self-test has used.
    stack_bytes: usize,
    draining: Arc<AtomicBool>,
    log: Log,
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daemon").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl Daemon {
    /// Brings everything up.
    ///
    /// # Errors
    ///
    /// The first thing that is not sound; nothing listens then.
    pub fn start(config: &Config, log: &Log) -> Result<Self, StartError> {
        if let Some(passed) = self_tests(config)? {
            log.event(passed_event(config, passed));
        }
        let runtime = Arc::new(Runtime::build(config)?);
        for failed in runtime.crypto.self_test().failed() {
            let function = failed.function.name();
            if config.modes().any_fips() {
                return Err(refused_by_fips(config, fips::failed_since(function)));
            }
            let text = format!(
                "{function} failed its known-answer test and is blocked; services do without it: \
                 do not trust this machine"
            );
            log.event(
                Event::new(Level::Error, "self-test-failed", text).with("function", function),
            );
        }
        let mut tested = engine::selftest::Tested::default();
        let mut stack_bytes = 0;
        for service in runtime.services() {
            let found = engine::selftest::handshakes(
                &runtime.crypto,
                &runtime.execution,
                &service.tls,
                &mut tested,
            )?;
            stack_bytes = stack_bytes.max(found.bytes_max);
        }
        for InjectedFault { target, fault } in &config.faults {
            let injected = runtime.crypto.cex().inject(*target, *fault);
            injected.map_err(engine::error::Error::Cards)?;
            let text = format!("simulated: {target} has the fault {fault} from the start");
            log.event(Event::new(Level::Warn, "fault-injected", text));
        }
        let workers = config.server.members();
        let mut per_worker: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
        let mut addresses = Vec::new();
        for address in &runtime.addresses {
            let sockets = bind(address, workers)?;
            let bound = sockets.first().and_then(|s| s.local_addr().ok());
            for service in address.services() {
                addresses.push((service.name.clone(), bound.unwrap_or(address.listen)));
            }
            for (sockets_of_worker, socket) in per_worker.iter_mut().zip(sockets) {
                sockets_of_worker.push((socket, Arc::clone(address)));
            }
        }
        let mut daemon = Self {
            runtime,
            members: Vec::with_capacity(workers),
            addresses,
            stack_bytes,
            draining: Arc::default(),
            log: log.clone(),
        };
        for (position, sockets) in per_worker.into_iter().enumerate() {
            let name = format!("ADJ{:05}", position + 1);
            match start_member(Arc::new(Gauges::new(&name)), &daemon.runtime, sockets, log) {
                Ok(member) => daemon.members.push(member),
                Err(source) => {
                    daemon.stop();
                    return Err(StartError::System { what: format!("member {name}"), source });
                }
            }
        }
        Ok(daemon)
    }

    /// Services and the addresses they listen on.
    #[must_use]
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// A view of the counters for the status socket.
    #[must_use]
    pub fn status(&self) -> Running {
        let (runtime, draining) = (Arc::clone(&self.runtime), Arc::clone(&self.draining));
        Running::new(runtime, self.gauges(), self.stack_bytes, draining, self.log.clone())
    }

    /// Figures of the members.
    #[must_use]
    pub fn gauges(&self) -> Vec<Arc<Gauges>> {
        self.members.iter().map(|member| Arc::clone(&member.gauges)).collect()
    }

    /// What the members share.
    #[must_use]
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// The work of once a second.
    pub fn tick(&self, now: Instant) {
        self.runtime.crypto.tick(now);
        if let Err(error) = self.runtime.tickets.rotate(now) {
            let text = format!("no new ticket key can be made: {error}");
            self.log.event(Event::new(Level::Error, "ticket-key", text));
        }
    }

    fn command(&self, command: Command) {
        for member in &self.members {
            // A member that is gone already needs no command.
            let _ = member.commands.send(command);
            let _ = member.waker.wake();
        }
    }

    /// Takes no new connections and lets the others end.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.command(Command::Drain);
    }

    /// Cuts every connection.
    pub fn stop_now(&self) {
        self.command(Command::Stop);
    }

    /// Whether every member has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.members.iter().all(|m| m.thread.is_finished())
    }

    /// Whether any member has ended.
    #[must_use]
    fn has_lost_a_member(&self) -> bool {
        self.members.iter().any(|m| m.thread.is_finished())
    }

    /// Waits for the members, ends the cards and says how it went.
    pub fn join(self) -> Joined {
        let mut joined = Joined::default();
        for member in self.members {
            let text = match member.thread.join() {
                Ok(Ok(ended)) => {
                    joined.cut += ended.cut;
                    continue;
                }
                Ok(Err(error)) => format!("member {} failed: {error}", member.gauges.member()),
                Err(_) => format!("member {} ended in a panic", member.gauges.member()),
            };
            joined.failed += 1;
            self.log.event(Event::new(Level::Error, "member-failed", text));
        }
        self.runtime.crypto.shutdown();
        self.runtime.shut_down_flights();
        joined
    }

    /// Cuts every connection and waits for the members.
    pub fn stop(self) -> Joined {
        self.stop_now();
        self.join()
    }
}

/// What a FIPS mode demands before anything is done; none where none is on. Once in a process.
///
/// # Errors
/// What does not hold.
pub fn self_tests(config: &Config) -> Result<Option<&'static fips::Passed>, StartError> {
    if !config.modes().any_fips() {
        return Ok(None);
    }
    fips::start().map(Some).map_err(|failure| refused_by_fips(config, failure))
}

fn refused_by_fips(config: &Config, failure: fips::Failure) -> StartError {
    StartError::Fips { modes: config.modes().to_string(), failure: Box::new(failure) }
}

fn passed_event(config: &Config, passed: &fips::Passed) -> Event {
    let modes = config.modes();
    let facts = Facts::of(&modes);
    let text = format!(
        "mode {modes}: {} functions gave their known answers, the integrity of {} is in order",
        passed.functions,
        passed.program.display()
    );
    Event::new(Level::Info, "fips-start", text)
        .with("modes", modes.to_string())
        .with("module", format!("{} {}", facts.module, facts.version))
        .with("validated", facts.validated)
        .with("module_alone", facts.module_alone)
}

fn bind(address: &Address, workers: usize) -> Result<Vec<mio::net::TcpListener>, StartError> {
    listener::bind(address.listen, address.v6_only, workers).map_err(|source| {
        let remedy = match source.kind() {
            io::ErrorKind::AddrInUse => "another process listens there: stop it or change `listen`",
            io::ErrorKind::AddrNotAvailable => "no interface of this machine has that address",
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need CAP_NET_BIND_SERVICE: grant it or choose a higher port"
            }
            _ => "see what the system said",
        };
        let service = address.services().first().map(|s| s.name.clone()).unwrap_or_default();
        StartError::Bind { address: address.listen, service, source, remedy }
    })
}

fn start_member(
    gauges: Arc<Gauges>,
    runtime: &Arc<Runtime>,
    sockets: Vec<(mio::net::TcpListener, Arc<Address>)>,
    log: &Log,
) -> io::Result<Pooled> {
    // The member is made on its own thread: it cannot be moved between threads.
    let (commands, from_supervisor) = unbounded();
    let (tell, told) = bounded(1);
    let (runtime, log, its_gauges) = (Arc::clone(runtime), log.clone(), Arc::clone(&gauges));
    let name = gauges.member().to_lowercase();
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        // Where the system refuses, established connections feel handshakes more.
        let _ = scheduling::short_slices();
        let (worker, waker) = match Worker::new(its_gauges, &runtime, sockets, from_supervisor, log)
        {
            Ok(made) => made,
            Err(error) => {
                let _ = tell.send(None);
                return Err(error);
            }
        };
        let _ = tell.send(Some(waker));
        worker.run()
    })?;
    match told.recv() {
        Ok(Some(waker)) => Ok(Pooled { gauges, commands, waker, thread }),
        _ => match thread.join() {
            Ok(Err(error)) => Err(error),
            _ => Err(io::Error::other("the member's thread ended at once")),
        },
    }
}

/// Serves until a signal ends it.
#[must_use]
pub fn run(config: &Config) -> Exit {
    with_log(config, |log| serve(config, log))
}

/// Says in the log and to whoever started it why it does not serve.
#[must_use]
pub fn refuse(config: &Config, error: &StartError) -> Exit {
    with_log(config, |log| {
        start_failed(config, log, error);
        Ok(error.exit())
    })
}

fn with_log(config: &Config, work: impl FnOnce(&Log) -> Result<Exit, StartError>) -> Exit {
    let (log, writer) = match Log::start(&config.server.log) {
        Ok(started) => started,
        Err(source) => {
            let error = match &config.server.log.target {
                LogTarget::File(path) => StartError::Log { path: path.clone(), source },
                LogTarget::Stderr => system("the log cannot be started")(source),
            };
            crate::cli::complain(&format!("adjunct: {error}"));
            return error.exit();
        }
    };
    let exit = work(&log).unwrap_or_else(|error| {
        start_failed(config, &log, &error);
        error.exit()
    });
    writer.finish();
    exit
}

fn start_failed(config: &Config, log: &Log, error: &StartError) {
    let text = format!("{}: {error}", config.file.display());
    // Whoever started it looks at the terminal, not into the log.
    if config.server.log.target != LogTarget::Stderr {
        crate::cli::complain(&format!("adjunct: {text}"));
    }
    let event = Event::new(Level::Error, "start-failed", text);
    log.event(event.with("exit", error.exit().code()));
}

fn serve(config: &Config, log: &Log) -> Result<Exit, StartError> {
    log.event(
        Event::new(Level::Info, "start", "adjunct starts")
            .with("version", env!("CARGO_PKG_VERSION"))
            .with("config", config.file.display().to_string())
            .with("pid", std::process::id())
            .with("provider", Provider::in_force().name()),
    );
    provider::report(log);
    report_modes(config, log);
    raise_descriptor_limit();
    let signals = signals().map_err(system("signals cannot be watched"))?;
    let daemon = Daemon::start(config, log)?;
    let admin = config
        .admin_socket
        .as_deref()
        .map(|path| Admin::start(path, Arc::new(daemon.status())))
        .transpose()?;
    for (service, address) in daemon.addresses() {
        let text = format!("service {service} listens on {address}");
        let event = Event::new(Level::Info, "listening", text).with("service", service.clone());
        log.event(event.with("address", address.to_string()));
    }
    log.event(Event::new(Level::Info, "ready", "every address is bound"));
    supervise(&daemon, log, &signals);
    drop(admin);
    let Joined { cut, failed } = daemon.join();
    log.event(
        Event::new(Level::Info, "stop", format!("adjunct stops; connections cut: {cut}"))
            .with("cut", cut),
    );
    Ok(match (failed, cut) {
        (1.., _) => Exit::Internal,
        (0, 1..) => Exit::DrainDeadline,
        (0, 0) => Exit::Ok,
    })
}

/// The policies that hold for each service, by their dated names: records have their hash alone.
fn report_modes(config: &Config, log: &Log) {
    for service in config.services.iter().filter(|service| !service.mode.is_empty()) {
        let policy = PolicySet::new(&service.mode);
        let dated: Vec<_> = service.mode.policies().map(Policy::dated_name).collect();
        let text = format!("service {} is held to {}", service.name, dated.join(" and "));
        let event = Event::new(Level::Info, "mode", text).with("service", service.name.clone());
        let event = event.with("mode.names", service.mode.to_string());
        log.event(event.with("mode.policy", policy.short_hash()));
    }
}

/// A connection takes two descriptors; the soft limit that shells and systemd set (1024) is there
/// for programs that use `select`, and a program may raise it to the hard one by itself.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it fewer connections are possible, and `accept-failed` will say so.
    let _ = setrlimit(Resource::Nofile, limit);
}

pub(crate) fn signals() -> io::Result<Receiver<i32>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1])?;
    let (send, receive) = unbounded();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if send.send(signal).is_err() {
                return;
            }
        }
    })?;
    Ok(receive)
}

/// Once-a-second work and signals, until every member has ended.
fn supervise(daemon: &Daemon, log: &Log, signals: &Receiver<i32>) {
    let mut draining = false;
    while !daemon.has_ended() {
        let wait = if draining { Duration::from_millis(20) } else { TICK };
        match signals.recv_timeout(wait) {
            Ok(SIGTERM | SIGINT | SIGQUIT) if draining => {
                log.event(Event::new(Level::Warn, "stop-now", "second signal: not waiting"));
                daemon.stop_now();
            }
            Ok(SIGTERM | SIGINT | SIGQUIT) => {
                log.event(Event::new(Level::Info, "drain", "no new connections are taken"));
                draining = true;
                daemon.drain();
            }
            Ok(SIGUSR1) => log.reopen(),
            Ok(_) => {
                let text = "reload (HUP) is not in this version: restart to change the settings";
                log.event(Event::new(Level::Warn, "reload", text));
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        daemon.tick(Instant::now());
        if !draining && daemon.has_lost_a_member() {
            let text =
                "a member has ended by itself; the others drain, so that all can be restarted";
            log.event(Event::new(Level::Error, "member-failed", text));
            draining = true;
            daemon.drain();
        }
    }
}
