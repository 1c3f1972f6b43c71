//! What the cards are and how they are to be used.

use std::fmt;
use std::time::Duration;

/// Type of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CardType {
    /// Crypto Express 8 as accelerator: clear-key RSA on a padded block, nothing else.
    Cex8A,
    /// Crypto Express 8 as CCA coprocessor: RSA and ECDSA signatures from a digest.
    Cex8C,
}

impl CardType {
    /// Device type that TAPQ reports.
    pub const HARDWARE_TYPE: u8 = 14;

    /// `CEX8A` or `CEX8C`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cex8A => "CEX8A",
            Self::Cex8C => "CEX8C",
        }
    }

    /// The mode as `lszcrypt` prints it.
    pub fn mode(self) -> &'static str {
        match self {
            Self::Cex8A => "Accelerator",
            Self::Cex8C => "CCA-Coproc",
        }
    }

    /// Function bits of TAPQ in the letters of `lszcrypt -V` (`SMCDAXNHFR`, `-` for none).
    pub fn functions(self) -> &'static str {
        match self {
            Self::Cex8A => "SMC-A-N-F-",
            Self::Cex8C => "SMCD--N-F-",
        }
    }
}

impl fmt::Display for CardType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a card executes what is in its queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// Up to four RSA requests of one size together where the processor can do it and a
    /// measurement says that it pays; else one at a time.
    #[default]
    Auto,
    /// One request at a time.
    Single,
    /// Up to four RSA requests of one size together, whatever a measurement says. An error on a
    /// processor that cannot.
    Batch,
}

/// One card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardConfig {
    /// Adapter number.
    pub id: u8,
    /// Type of the card.
    pub kind: CardType,
    /// Usage domains; each gives one queue.
    pub domains: Vec<u8>,
    /// Engine of the card.
    pub engine: EngineChoice,
}

/// Which results are checked with the public key before they are released.
///
/// RSA always is: one wrong result of a CRT exponentiation gives the private key away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// RSA only.
    #[default]
    Rsa,
    /// RSA and ECDSA.
    All,
}

/// What to do when no card can do a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoCard {
    /// Fail the request.
    #[default]
    Fail,
    /// Compute it on the host, in the caller's context.
    Software,
}

/// Configuration of the whole bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The cards; at least one.
    pub cards: Vec<CardConfig>,
    /// Results to check.
    pub verify: Verify,
    /// What to do without a card.
    pub no_card: NoCard,
    /// Most requests that wait in front of the bus, per class of request.
    pub fifo_depth: usize,
    /// Longest time that a request waits in front of the bus.
    pub fifo_age_max: Duration,
    /// Longest time that a queue may give no reply before it is reset.
    pub request_timeout: Duration,
    /// Whether the cryptographic module signs alone: from digests, with its own padding, one
    /// request at a time. Then no accelerator takes a request, for raw RSA is no approved service,
    /// and nothing is computed in vector lanes, which are outside the module.
    pub module_alone: bool,
    /// Whether cards may be broken on purpose ([`crate::Cex::inject`]). Off in production.
    pub fault_injection: bool,
}

impl Default for Config {
    /// One accelerator and one coprocessor, domain 6 each.
    fn default() -> Self {
        let card =
            |id, kind| CardConfig { id, kind, domains: vec![6], engine: EngineChoice::default() };
        Self {
            cards: vec![card(0, CardType::Cex8A), card(1, CardType::Cex8C)],
            verify: Verify::default(),
            no_card: NoCard::default(),
            fifo_depth: 4096,
            fifo_age_max: Duration::from_secs(5),
            request_timeout: Duration::from_millis(1500),
            module_alone: false,
            fault_injection: false,
        }
    }
}
