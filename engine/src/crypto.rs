//! The two backends, started, tested and routed to.
//!
//! Purpose: one value that holds what all event loops share: the cards, the routing table
//! and the result of the power-on self-test. Each event loop has an `Offload` of its
//! own: its completion queue.
//!
//! Invariants: no private key is loaded before every function was tested, and no function that
//! failed is used; key bytes handed in are zeroized before the call returns.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use cex::{Cex, KeyKind, Port};
use cpacf::kdsa::{Curve, ProtectedKey};
use zeroize::Zeroizing;

use crate::compliance::{ModeSet, PolicySet};
use crate::error::Error;
use crate::handshake::gathering::Gathering;
use crate::icsf::{self, ServiceFailure};

pub use cex::fault::{Fault, LATENCY_MAX, Target as CardTarget, WORDS as FAULT_WORDS, WordError};
pub use cex::{
    CardConfig, CardRow as CardStatus, CardType, Cex as Cards, EngineChoice, Error as CardError,
    Gain, NoCard, SelfTest, Snapshot, Status, Verify,
};
pub use cpacf::choice::{HAS_PORTABLE, PORTABLE_MASK, PORTABLE_MEANING, Provider, VARIABLE};
pub use cpacf::module::{Module, linked as linked_module};
pub use cpacf::stats::Row as FunctionCounters;
pub use cpacf::units::host_unit;
pub use cpacf::x25519::{self as lanes, Standing as LanesStanding};
pub use cpacf::{Function, Instruction};

/// Where private ECDSA keys live and work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EcdsaRoute {
    /// Where it costs less: P-256 in cpacf, where a signature takes no more than the way to a card
    /// and back; P-384 and P-521, which would hold up an event loop, on a coprocessor.
    #[default]
    Auto,
    /// On a coprocessor.
    Cex,
    /// In cpacf as protected keys (KDSA).
    Cpacf,
}

/// How the backends are set up.
#[derive(Debug, Clone, Default)]
pub struct CryptoConfig {
    /// Cards, domains, limits and what happens when no card is left.
    pub cex: cex::Config,
    /// Route of ECDSA keys; RSA keys always go to cards.
    pub ecdsa: EcdsaRoute,
    /// Modes that hold for the whole process: what they do not approve refuses every call.
    pub modes: ModeSet,
}

/// A private key that could not be loaded, with the codes of the service that refused it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// By the cards.
    #[error("{0}{codes}", codes = codes(icsf::from_ap::key_load(.0)))]
    Card(#[source] cex::Error),
    /// By cpacf, where the routing table sends it. It is not sent elsewhere instead.
    #[error("{0}{codes}", codes = codes(Some(icsf::from_cpacf::failure(.0))))]
    Protected(#[source] cpacf::Error),
}

fn codes(failure: Option<ServiceFailure>) -> String {
    failure.map(|failure| format!(" ({failure})")).unwrap_or_default()
}

/// The backends.
#[derive(Debug)]
pub struct Crypto {
    cex: Arc<Cex>,
    ecdsa: EcdsaRoute,
    self_test: cpacf::selftest::Report,
}

impl Crypto {
    /// Runs the power-on self-test of cpacf and brings the cards up.
    ///
    /// A function that fails its known-answer test is blocked: services do without it, or do not
    /// start when they cannot. [`Self::self_test`] names it.
    ///
    /// # Errors
    ///
    /// When no card can be started.
    pub fn start(config: &CryptoConfig) -> Result<Arc<Self>, Error> {
        if config.cex.module_alone {
            cpacf::module::compute_alone();
        }
        let (Ok(self_test) | Err(self_test)) = cpacf::selftest::power_on();
        PolicySet::new(&config.modes).restrict_functions();
        let cex = Cex::start(&config.cex).map_err(Error::Cards)?;
        Ok(Arc::new(Self { cex, ecdsa: config.ecdsa, self_test }))
    }

    /// The cards.
    #[must_use]
    pub fn cex(&self) -> &Arc<Cex> {
        &self.cex
    }

    /// Whether nothing outside the cryptographic module computes: neither vector lanes nor
    /// fall-backs, and no accelerator takes raw RSA.
    #[must_use]
    pub fn module_is_alone(&self) -> bool {
        self.cex.module_is_alone()
    }

    /// What the power-on self-test found.
    #[must_use]
    pub fn self_test(&self) -> &cpacf::selftest::Report {
        &self.self_test
    }

    /// Loads a private key (PKCS #8, PKCS #1 or SEC 1 DER) where its kind is routed to.
    ///
    /// # Errors
    ///
    /// When the bytes are no key, or one that the backend of its kind does not take.
    pub fn load_key(&self, der: Zeroizing<Vec<u8>>) -> Result<PrivateKey, KeyError> {
        if self.ecdsa != EcdsaRoute::Cex {
            match ProtectedKey::load(Zeroizing::new(der.to_vec())) {
                Ok(key) if self.ecdsa == EcdsaRoute::Cpacf || key.curve() == Curve::P256 => {
                    return Ok(PrivateKey::Protected(Arc::new(key)));
                }
                // No ECDSA key at all, or one of another curve: cards may know it.
                Ok(_) | Err(cpacf::Error::InvalidKey { .. }) => {}
                Err(error) => return Err(KeyError::Protected(error)),
            }
        }
        self.cex.load_key(der).map(PrivateKey::Card).map_err(KeyError::Card)
    }

    /// Cards and queues at this moment.
    #[must_use]
    pub fn cards(&self) -> Snapshot {
        self.cex.snapshot()
    }

    /// What each cpacf function has done so far, in the order of the function table.
    #[must_use]
    pub fn functions(&self) -> Vec<FunctionCounters> {
        cpacf::stats::snapshot()
    }

    /// Bus scan, request timeouts; to be called about once a second.
    pub fn tick(&self, now: Instant) {
        self.cex.tick(now);
    }

    /// Ends the card threads; what was pending fails.
    pub fn shutdown(&self) {
        self.cex.shutdown();
    }
}

/// A private key: a handle to where its bytes are.
#[derive(Clone)]
pub enum PrivateKey {
    /// In cex.
    Card(cex::Key),
    /// In cpacf.
    Protected(Arc<ProtectedKey>),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self {
            Self::Card(_) => "Card",
            Self::Protected(_) => "Protected",
        };
        f.debug_tuple(place).field(&self.kind()).finish()
    }
}

impl PrivateKey {
    /// RSA or the curve, with the size.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        match self {
            Self::Card(key) => key.kind(),
            Self::Protected(key) => KeyKind::Ec(match key.curve() {
                Curve::P256 => cex::Curve::P256,
                Curve::P384 => cex::Curve::P384,
                Curve::P521 => cex::Curve::P521,
            }),
        }
    }

    /// The public half as SubjectPublicKeyInfo DER.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        match self {
            Self::Card(key) => key.public_key(),
            Self::Protected(key) => key.public_key(),
        }
    }
}

/// Where the requests of one event loop's handshakes go and come back.
#[derive(Debug)]
pub(crate) struct Offload {
    pub(crate) crypto: Arc<Crypto>,
    pub(crate) port: Port,
    /// Where key agreements wait for each other; none where they do not.
    pub(crate) gathering: Option<Gathering>,
}
