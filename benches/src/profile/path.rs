//! The hot paths whose instructions are counted.
//!
//! Invariants: a path does the same work every time, without sockets and without waiting; the part
//! of the server is inside [`server_side`], except where a path says that all of it counts.

use std::sync::Arc;
use std::time::Duration;

use cex::{Cex, Config, Digest, Hash, Scheme, SignRequest};
use corosensei::Coroutine;
use engine::handshake::execution::Execution;
use engine::handshake::stack::HandshakeStack;
use engine::hello::{HelloReader, Progress};
use rustls::CipherSuite;
use rustls::client::{ClientConfig, Resumption};

use super::callgrind::Collect;
use crate::Failure;
use crate::memory::{self, Engine, EngineSetting, server_side};
use crate::pki::{Issued, Kind};
use crate::provider::{client, stock};

const SUITE: CipherSuite = CipherSuite::TLS13_AES_128_GCM_SHA256;
const SUITE_NAME: &str = "TLS_AES_128_GCM_SHA256";
/// Requests beside the one that keeps a card busy: a queue has eight slots.
const BESIDE: u64 = 7;

/// Something that is done for every connection, record or request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// A full handshake, RSA-2048 on the host with the check of the result, in place.
    FullRsa2048,
    /// A full handshake, ECDSA P-256 on the host, in place.
    FullP256,
    /// A resumed handshake with X25519, and the ticket it leaves.
    Resumed,
    /// Sealing a record of 16 KiB by way of the engine.
    Seal16K,
    /// Sealing a record of 1 KiB by way of the engine.
    Seal1K,
    /// Opening a record of 16 KiB by way of the engine.
    Open16K,
    /// Opening a record of 1 KiB by way of the engine.
    Open1K,
    /// Reading a hello.
    Hello,
    /// Choosing a queue, message, NQAP, reply, judging.
    Queue,
    /// Suspending a fiber and resuming it.
    Fiber,
}

impl Path {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::FullRsa2048,
        Self::FullP256,
        Self::Resumed,
        Self::Seal16K,
        Self::Seal1K,
        Self::Open16K,
        Self::Open1K,
        Self::Hello,
        Self::Queue,
        Self::Fiber,
    ];

    /// Its name in tables, in the trend and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FullRsa2048 => "full-rsa2048",
            Self::FullP256 => "full-p256",
            Self::Resumed => "resumed",
            Self::Seal16K => "seal-16k",
            Self::Seal1K => "seal-1k",
            Self::Open16K => "open-16k",
            Self::Open1K => "open-1k",
            Self::Hello => "hello",
            Self::Queue => "queue",
            Self::Fiber => "fiber",
        }
    }

    /// How often it is done: enough to spread what happens now and then (a table grows).
    #[must_use]
    pub fn times(self) -> u64 {
        match self {
            Self::FullRsa2048 | Self::FullP256 | Self::Resumed => 20,
            Self::Seal16K | Self::Open16K => 50,
            Self::Seal1K | Self::Open1K | Self::Hello => 200,
            Self::Queue => 70,
            Self::Fiber => 20_000,
        }
    }

    /// What of it is counted. A stack that is switched inside a function confuses the counter's
    /// idea of when the function ends; the fiber has nothing but the server's part anyway.
    #[must_use]
    pub fn collect(self) -> Collect {
        match self {
            Self::Fiber => Collect::All,
            _ => Collect::Inside("server_side"),
        }
    }

    /// Does it so many times.
    ///
    /// # Errors
    /// Something in it fails.
    pub fn repeat(self, times: u64) -> Result<(), Failure> {
        let times_of_records = usize::try_from(times)?;
        match self {
            Self::FullRsa2048 => handshakes(Kind::Rsa2048, false, times),
            Self::FullP256 => handshakes(Kind::P256, false, times),
            Self::Resumed => handshakes(Kind::P256, true, times),
            Self::Seal16K => records(true, 16 * 1024, times_of_records),
            Self::Seal1K => records(true, 1024, times_of_records),
            Self::Open16K => records(false, 16 * 1024, times_of_records),
            Self::Open1K => records(false, 1024, times_of_records),
            Self::Hello => hellos(times),
            Self::Queue => queue(times),
            Self::Fiber => fiber(times),
        }
    }
}

impl std::str::FromStr for Path {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|path| path.name() == text);
        found.ok_or_else(|| format!("`{text}` is no path; there are {}", names()))
    }
}

/// An engine without fibers and a client for it.
fn ends(kind: Kind, resumed: bool) -> Result<(Engine, Arc<ClientConfig>), Failure> {
    let issued = Issued::new(kind)?;
    let mut config = client(&issued, stock(SUITE))?;
    if resumed {
        config.resumption = Resumption::in_memory_sessions(4);
    }
    let engine = Engine::with(EngineSetting {
        issued: &issued,
        suite: SUITE_NAME,
        execution: Execution::Inline,
        tickets: usize::from(resumed),
    })?;
    Ok((engine, Arc::new(config)))
}

fn handshakes(kind: Kind, resumed: bool, times: u64) -> Result<(), Failure> {
    let (engine, config) = ends(kind, resumed)?;
    // The first brings the ticket of the second, and makes what is made once.
    engine.handshake(&config)?;
    for _ in 0..times {
        let (session, _) = engine.session(&config)?;
        if session.is_resumed() != resumed {
            return Err(format!("a handshake is not as asked (resumed: {resumed})").into());
        }
    }
    Ok(())
}

fn records(seal: bool, size: usize, times: usize) -> Result<(), Failure> {
    let (engine, config) = ends(Kind::P256, false)?;
    let (mut session, _) = engine.session(&config)?;
    let plaintext = vec![0x5a; size];
    if seal { session.seal(&plaintext, times) } else { session.open(&plaintext, times) }
}

fn hellos(times: u64) -> Result<(), Failure> {
    let issued = Issued::new(Kind::P256)?;
    let bytes = memory::hello(&Arc::new(client(&issued, stock(SUITE))?))?;
    for _ in 0..times {
        let progress = server_side(|| HelloReader::default().read(&bytes));
        if !matches!(progress, Progress::Hello(_)) {
            return Err("the hello was not read".into());
        }
    }
    Ok(())
}

/// Requests whose card is busy already, so that nobody has to be woken.
fn queue(times: u64) -> Result<(), Failure> {
    let cex = Cex::start(&Config::default())?;
    let key = cex.load_key(Issued::new(Kind::P256)?.key())?;
    let digest = Digest::new(&[0x5a; 32]).ok_or("a digest")?;
    let request = SignRequest::new(&key, Scheme::Ecdsa(Hash::Sha256), digest);
    let port = cex.port(|| {});
    for _ in 0..times.div_ceil(BESIDE) {
        cex.submit(&port, 0, request.clone()).map_err(|e| format!("{e:?}"))?;
        for token in 1..=BESIDE {
            let request = request.clone();
            server_side(|| cex.submit(&port, token, request)).map_err(|e| format!("{e:?}"))?;
        }
        while cex.snapshot().cards.iter().any(|card| card.pending > 0) {
            std::thread::sleep(Duration::from_millis(1));
        }
        // The last reply leaves the queue a moment before it is at the port.
        std::thread::sleep(Duration::from_millis(1));
        let done = server_side(|| port.drain().filter(|c| c.result.is_ok()).count());
        if u64::try_from(done)? != BESIDE + 1 {
            return Err("not every request was done".into());
        }
    }
    cex.shutdown();
    Ok(())
}

fn fiber(times: u64) -> Result<(), Failure> {
    let mut fiber =
        Coroutine::<(), (), (), _>::with_stack(HandshakeStack::new()?, |yielder, ()| {
            while !std::hint::black_box(false) {
                yielder.suspend(());
            }
        });
    for _ in 0..times {
        let _ = std::hint::black_box(fiber.resume(()));
    }
    // It would never end by itself; its stack has nothing on it that needs to be dropped.
    fiber.force_unwind();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_can_be_gone_and_has_a_name_of_its_own() {
        for path in Path::ALL {
            path.repeat(2).unwrap_or_else(|e| panic!("{}: {e}", path.name()));
            assert_eq!(path.name().parse(), Ok(path));
        }
        assert!("nowhere".parse::<Path>().unwrap_err().contains("full-p256"));
    }
}
