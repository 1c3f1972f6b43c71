//! Who is compared: Adjunct in one of its ways, or a peer.

use std::path::PathBuf;

use super::ADJUNCT;
use super::definition::Definition;
use super::scenario::{Scenario, Work};
use super::server::{Peer, Site};
use crate::daemon::{Batches, Cards, Daemon, Setting};
use crate::load::{Cover, KeyKind, Kind};
use crate::{Failure, cpu};

/// A way to run Adjunct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As it is by default: fibers and two simulated cards.
    Standard,
    /// ECDSA keys on the cards instead of the host.
    Cards,
    /// Cards that take one request at a time.
    Single,
    /// No card and no fiber: the host signs in the thread of the event loop.
    Inline,
    /// Without TLS: what a relay costs.
    Plain,
    /// The same under clients that encrypt and decrypt all the same.
    PlainBusy,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Standard, Self::Cards, Self::Single, Self::Inline, Self::Plain, Self::PlainBusy];

    /// Those without TLS: what it adds is the difference to them.
    pub const WITHOUT_TLS: [Self; 2] = [Self::Plain, Self::PlainBusy];

    /// What tables call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => ADJUNCT,
            Self::Cards => "adjunct-cards",
            Self::Single => "adjunct-single",
            Self::Inline => "adjunct-inline",
            Self::Plain => "adjunct-plain",
            Self::PlainBusy => "adjunct-plain-busy",
        }
    }

    /// What it differs in.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Standard => "fibers, keys and simulated cards as by default",
            Self::Cards => "ECDSA keys on cards (`[route] ecdsa = \"cex\"`)",
            Self::Single => "cards that take one request at a time (`engine = \"single\"`)",
            Self::Inline => "`offload = \"inline\"`, cards offline, the host signs",
            Self::Plain => "without TLS (`tls = \"off\"`), clients too: what is left is relaying",
            Self::PlainBusy => {
                "without TLS, but clients seal what goes and comes and throw it away: much of what \
                 clients with TLS cost the server beside them is in it, too"
            }
        }
    }

    /// Whether there is anything to see of it in a scenario.
    fn takes_part(self, scenario: &Scenario) -> bool {
        let full = matches!(scenario.work, Work::Handshake(_, Kind::Full));
        let ecdsa = matches!(scenario.key, KeyKind::P256 | KeyKind::P384);
        match self {
            Self::Standard => true,
            Self::Cards => full && ecdsa,
            Self::Single => full && !ecdsa,
            Self::Inline => full,
            Self::Plain | Self::PlainBusy => matches!(scenario.work, Work::Down | Work::Up),
        }
    }
}

/// A server that takes part.
#[derive(Debug, Clone)]
pub enum Contender {
    /// Adjunct.
    Ours {
        /// How it is run.
        way: Way,
        /// Its program.
        program: PathBuf,
    },
    /// A peer.
    Theirs {
        /// What it is.
        definition: Definition,
        /// Its program.
        program: PathBuf,
    },
}

impl Contender {
    /// What tables call it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Ours { way, .. } => way.name(),
            Self::Theirs { definition, .. } => &definition.name,
        }
    }

    /// Whether it is measured in a scenario.
    #[must_use]
    pub fn takes_part(&self, scenario: &Scenario) -> bool {
        match self {
            Self::Ours { way, .. } => way.takes_part(scenario),
            Self::Theirs { .. } => !scenario.is_load(),
        }
    }

    /// Starts it.
    ///
    /// # Errors
    /// It does not start; the text has what it says about it.
    pub fn start(&self, site: &Site<'_>) -> Result<Running, Failure> {
        Ok(match self {
            Self::Ours { way, program } => {
                Running::Ours(Daemon::start(program, &setting(*way, site))?, *way)
            }
            Self::Theirs { definition, program } => {
                Running::Theirs(Peer::start(definition, program, site)?)
            }
        })
    }
}

/// As many tickets as the peers: two after a full handshake.
const TICKETS: u8 = 2;

/// The configuration of one of our ways.
#[must_use]
pub fn setting<'a>(way: Way, site: &Site<'a>) -> Setting<'a> {
    let mut setting = Setting::new(site.backend, site.issued, site.processors);
    setting.workers = site.workers;
    setting.versions = vec!["1.2", "1.3"];
    setting.tickets = TICKETS;
    setting.ecdsa = "auto";
    match way {
        Way::Standard => {}
        Way::Cards => setting.ecdsa = "cex",
        Way::Single => {
            setting.cards = Cards::Of(vec![("CEX8A", "single"), ("CEX8C", "single")]);
        }
        Way::Plain | Way::PlainBusy => setting.tls = "off",
        Way::Inline => {
            setting.offload = "inline";
            setting.cards = Cards::None;
        }
    }
    setting
}

/// A server that runs.
#[derive(Debug)]
pub enum Running {
    /// Adjunct, in one of its ways.
    Ours(Daemon, Way),
    /// A peer.
    Theirs(Peer),
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        match self {
            Self::Ours(daemon, _) => daemon.address,
            Self::Theirs(peer) => peer.address,
        }
    }

    /// What its clients speak.
    #[must_use]
    pub fn cover(&self) -> Cover {
        match self {
            Self::Ours(_, Way::Plain) => Cover::Clear,
            Self::Ours(_, Way::PlainBusy) => Cover::Mimicked,
            _ => Cover::Tls,
        }
    }

    /// The process that has started all others of it.
    #[must_use]
    pub fn id(&self) -> u32 {
        match self {
            Self::Ours(daemon, _) => daemon.id(),
            Self::Theirs(peer) => peer.id(),
        }
    }

    /// The batches of our cards so far.
    ///
    /// # Errors
    /// It does not answer.
    pub fn batches(&self) -> Result<Option<Batches>, Failure> {
        match self {
            Self::Ours(daemon, _) => daemon.batches(),
            Self::Theirs(_) => Ok(None),
        }
    }

    /// CPU time so far, workers included.
    ///
    /// # Errors
    /// It has gone.
    pub fn usage(&self) -> Result<cpu::Usage, Failure> {
        cpu::usage_of_tree(self.id())
    }
}
