//! Private-key cryptography in the shape of Crypto Express cards behind AP queues.
//!
//! The cards are *simulated*: each is a thread of this process, whose CPU time is counted apart
//! from the host's. Everything in front of it is a mirror of the Linux zcrypt driver.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`ap`] | addresses, instructions, response codes; hardware; queues; the bus |
//! | `zcrypt` | selection by cost, lanes in front of full queues, check and retry, error mapping |
//! | [`msg`] | type 50/80 and type 6/86 messages, reply codes |
//! | `device` | the card's thread and its engine; raw RSA |
//! | [`key`] | the only holder of private keys; handles |
//! | [`port`] | completion queue of one event loop |
//! | [`request`] | what is asked for and what comes back |
//! | [`selftest`] | known answers of the private-key operations |
//! | [`stats`], [`fault`] | snapshots; injected faults |
//!
//! A request is submitted without waiting, travels to a card as a message, and its completion is
//! drained from the port:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use cex::{Cex, Config, Digest, Hash, Scheme, SignRequest};
//!
//! let cex = Cex::start(&Config::default())?;
//! let key = cex.load_key(std::fs::read("key.der")?.into())?;
//! let digest = Digest::new(&[0x5a; 32]).ok_or("longer than 64 bytes")?;
//! let request = SignRequest::new(&key, Scheme::RsaPss(Hash::Sha256), digest);
//! let port = cex.port(|| { /* wake the event loop */ });
//! cex.submit(&port, 1, request)?;
//! for completion in port.drain() {
//!     println!("{} {:?}", completion.token, completion.trace);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! It does not know TLS, sockets, files or the callable services' return codes, and it neither
//! hashes nor pads: digest and padded block come from the caller, as on the real machine.

pub mod ap;
mod config;
mod der;
mod device;
pub mod fault;
pub mod key;
pub mod msg;
pub mod port;
pub mod request;
pub mod selftest;
pub mod stats;
#[cfg(test)]
mod stress;
#[cfg(test)]
mod tests_support;
mod zcrypt;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

pub use ap::Apqn;
pub use ap::response::ResponseCode;
pub use config::{CardConfig, CardType, Config, EngineChoice, NoCard, Verify};
pub use device::batch::{BatchCounts, Gain, Trial};
#[cfg(feature = "fault-injection")]
pub use key::break_pairs;
pub use key::{Curve, Handle, Key, KeyKind, SelfTest, generate, inspect};
pub use msg::ReplyCode;
pub use port::Port;
pub use request::{Cause, Completion, Digest, Failure, Hash, Path, Scheme, SignRequest, Trace};
pub use stats::{BatchRow, CardRow, LaneRow, QueueRow, ServiceTime, Snapshot, Status};
pub use zcrypt::Lane;

use ap::bus::Place;
use zcrypt::Zcrypt;

/// What can go wrong outside a request. A request's own end is a [`Failure`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Configuration.
    /// No card.
    #[error("no card is configured; give at least one [[card]]")]
    NoCards,
    /// Two cards with one id.
    #[error("card {card:02x} is configured twice; give each card its own id")]
    DuplicateCard {
        /// The id.
        card: u8,
    },
    /// A card without a domain, or with one twice.
    #[error("card {card:02x} needs at least one domain, and each only once")]
    Domains {
        /// The card.
        card: u8,
    },
    /// The batch engine is asked for by name where it cannot run.
    #[error(
        "card {card:02x}: engine = \"batch\" needs a processor with AVX-512 IFMA, which this one \
         is not; use \"auto\" or \"single\""
    )]
    NoBatchEngine {
        /// The card.
        card: u8,
    },
    /// The batch engine is asked for by name where the module is to compute alone.
    #[error(
        "card {card:02x}: engine = \"batch\" computes outside the cryptographic module, which is \
         to compute alone in a FIPS mode; use \"auto\" or \"single\""
    )]
    BatchOutsideModule {
        /// The card.
        card: u8,
    },
    /// There is no such card or queue.
    #[error("there is no card or queue {name}; see `cards`")]
    NoSuchDevice {
        /// The name as given.
        name: String,
    },
    /// A queue is to go online whose card is not, or a card that cannot.
    #[error("card {card:02x} is not online; bring the card back first, see `cards`")]
    CardNotOnline {
        /// The card.
        card: u8,
    },
    /// A fault is to be injected where none may be.
    #[error("these cards do not fail on purpose; start them with fault injection allowed")]
    NoFaultInjection,
    // Keys.
    /// Neither PKCS#8, PKCS#1 nor SEC 1.
    #[error(
        "private key is not DER of PKCS#8, PKCS#1 or SEC 1; \
         an encrypted key has to be decrypted first"
    )]
    KeyEncoding,
    /// Neither RSA nor EC.
    #[error("private key is neither RSA nor EC; use RSA 2048-4096 or P-256, P-384, P-521")]
    KeyAlgorithm,
    /// Another curve, or none named.
    #[error("private key is not on a named curve P-256, P-384 or P-521")]
    KeyCurve,
    /// RSA modulus of another length.
    #[error("RSA key has {bits} bits; cards take 2048 to 4096")]
    KeySize {
        /// Length of the modulus.
        bits: u32,
    },
    /// The library refused it.
    #[error("private key was refused: {what}")]
    KeyRejected {
        /// What and why.
        what: String,
    },
    /// A signature of it does not verify.
    #[error("private and public part of the {kind} key do not belong together")]
    KeyMismatch {
        /// Kind of the key.
        kind: KeyKind,
    },
    /// No key pair could be made.
    #[error("no {kind} key could be generated: the library has no random data or no memory")]
    Generation {
        /// Kind of the key.
        kind: KeyKind,
    },
    /// A key pair that was just made does not verify its own signature.
    #[error(
        "CEX-KEY-GENERATE failed its pairwise consistency test: the public part of a new {kind} \
         key does not verify what the private part signed, so the key was thrown away"
    )]
    PairwiseTest {
        /// Kind of the key.
        kind: KeyKind,
    },
    /// No card of the configuration does this kind of key.
    #[error(
        "none of the configured cards can use an {kind} key; add a card of type CEX8C, \
         route ecdsa to cpacf, or allow no_card = \"software\""
    )]
    NoCardForKey {
        /// Kind of the key.
        kind: KeyKind,
    },
    // Resources.
    /// A card's thread could not be started.
    #[error("thread of card {card:02x} could not be started: {source}")]
    Thread {
        /// The card.
        card: u8,
        /// Why.
        source: std::io::Error,
    },
}

/// The cards, their keys and their queues.
#[derive(Debug)]
pub struct Cex {
    zcrypt: Arc<Zcrypt>,
    engines: Vec<device::Fitted>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// How long [`Cex::sign_blocking`] sleeps between two looks at timeouts.
const BLOCKING_TICK: Duration = Duration::from_millis(250);

impl Cex {
    /// Starts the cards' threads and brings the queues up. Requests may be submitted at once.
    pub fn start(config: &Config) -> Result<Arc<Self>, Error> {
        check(config)?;
        let unit = device::batch::Unit::detect().filter(|_| !config.module_alone);
        let engines: Vec<_> =
            config.cards.iter().map(|card| device::engine(card, unit)).collect::<Result<_, _>>()?;
        let mut config = config.clone();
        for (card, engine) in config.cards.iter_mut().zip(&engines) {
            let batches = engine.tally().is_some();
            card.engine = if batches { EngineChoice::Batch } else { EngineChoice::Single };
        }
        let cex = Self {
            zcrypt: Arc::new(Zcrypt::new(&config)),
            engines: engines.iter().map(|engine| (&**engine).into()).collect(),
            threads: Mutex::default(),
        };
        if let Some(unit) = unit.filter(|_| engines.iter().any(|engine| engine.tally().is_some())) {
            cex.zcrypt.keys.prepare_for(unit);
        }
        for (card, engine) in engines.into_iter().enumerate() {
            let thread = device::worker::start(&cex.zcrypt, card, engine)?;
            cex.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        cex.zcrypt.scan();
        Ok(Arc::new(cex))
    }

    /// Whether this processor can do several RSA requests together ([`EngineChoice::Batch`]).
    pub fn batches() -> bool {
        device::batch::Unit::detect().is_some()
    }

    /// Loads a private key: DER of PKCS#8, PKCS#1 or SEC 1, told apart by content. The bytes are
    /// zeroized. Private and public part are checked against each other, and that there is a card
    /// for the key, so that a configuration that cannot work fails here and not at a handshake.
    #[allow(clippy::needless_pass_by_value, reason = "the bytes must end here, zeroized")]
    pub fn load_key(&self, der: Zeroizing<Vec<u8>>) -> Result<Key, Error> {
        let key = self.zcrypt.keys.load(&der)?;
        let kind = key.kind();
        if self.zcrypt.serves(kind) { Ok(key) } else { Err(Error::NoCardForKey { kind }) }
    }

    /// Whether the module signs alone ([`Config::module_alone`]).
    pub fn module_is_alone(&self) -> bool {
        self.zcrypt.config.module_alone
    }

    /// A completion queue. `waker` is called, by any thread, only when the queue goes from empty
    /// to non-empty; it must not block.
    pub fn port(&self, waker: impl Fn() + Send + Sync + 'static) -> Port {
        Port::new(Arc::clone(&self.zcrypt), Box::new(waker))
    }

    /// Submits a request; never blocks. Its completion arrives at `port` under `token`.
    pub fn submit(&self, port: &Port, token: u64, request: SignRequest) -> Result<(), Failure> {
        self.zcrypt.submit(&port.shared, token, request)
    }

    /// Does one request and waits for it.
    pub fn sign_blocking(&self, request: SignRequest) -> Completion {
        let caller = thread::current();
        let port = self.port(move || caller.unpark());
        if let Err(failure) = self.submit(&port, 0, request) {
            return Completion { token: 0, result: Err(failure), trace: Trace::default() };
        }
        loop {
            if let Some(completion) = port.drain().next() {
                return completion;
            }
            thread::park_timeout(BLOCKING_TICK);
            self.tick(Instant::now());
        }
    }

    /// Housekeeping, about once a second: resets silent queues, scans the bus (which repairs
    /// queues in ERROR), sheds requests that waited too long.
    pub fn tick(&self, now: Instant) {
        self.zcrypt.tick(now);
    }

    /// Figures of all cards and queues.
    pub fn snapshot(&self) -> Snapshot {
        self.zcrypt.snapshot(&self.engines)
    }

    /// Takes a card online or offline, as `chzcrypt -e` and `-d`. A card that is deconfigured or
    /// checkstopped cannot go online.
    pub fn set_card_online(&self, card: u8, online: bool) -> Result<(), Error> {
        let index = self.card_index(card)?;
        if online && !self.zcrypt.bus.cards[index].hw.operational() {
            return Err(Error::CardNotOnline { card });
        }
        self.zcrypt.set_card_online(index, online);
        Ok(())
    }

    /// Takes one queue online or offline. It can go online only if its card is.
    pub fn set_queue_online(&self, apqn: Apqn, online: bool) -> Result<(), Error> {
        let place = self.place(apqn)?;
        if online && self.zcrypt.card_status(place.card) != Status::Online {
            return Err(Error::CardNotOnline { card: apqn.card });
        }
        self.zcrypt.set_online(place, online);
        Ok(())
    }

    /// Takes a card or a queue online or offline.
    pub fn set_online(&self, target: fault::Target, online: bool) -> Result<(), Error> {
        match target {
            fault::Target::Card(card) => self.set_card_online(card, online),
            fault::Target::Queue(apqn) => self.set_queue_online(apqn, online),
        }
    }

    fn card_index(&self, id: u8) -> Result<usize, Error> {
        let mut cards = self.zcrypt.bus.cards.iter();
        let found = cards.position(|card| card.hw.id == id);
        found.ok_or_else(|| Error::NoSuchDevice { name: format!("{id:02x}") })
    }

    fn place(&self, apqn: Apqn) -> Result<Place, Error> {
        let mut places = self.zcrypt.bus.places();
        let found = places.find(|place| self.zcrypt.bus.queue(*place).apqn == apqn);
        found.ok_or_else(|| Error::NoSuchDevice { name: apqn.to_string() })
    }

    /// Ends everything: requests under way complete with [`Failure::Shutdown`], threads are
    /// joined. Calling it again does nothing.
    pub fn shutdown(&self) {
        self.zcrypt.shut_down();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A card's thread catches its own panics.
            let _ = thread.join();
        }
    }
}

impl Drop for Cex {
    fn drop(&mut self) {
        self.shutdown();
    }
}

fn check(config: &Config) -> Result<(), Error> {
    if config.cards.is_empty() {
        return Err(Error::NoCards);
    }
    for (index, card) in config.cards.iter().enumerate() {
        if config.cards[..index].iter().any(|other| other.id == card.id) {
            return Err(Error::DuplicateCard { card: card.id });
        }
        let mut domains = card.domains.clone();
        domains.sort_unstable();
        domains.dedup();
        if domains.is_empty() || domains.len() != card.domains.len() {
            return Err(Error::Domains { card: card.id });
        }
        if config.module_alone && card.engine == EngineChoice::Batch {
            return Err(Error::BatchOutsideModule { card: card.id });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
