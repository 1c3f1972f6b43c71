//! The cells: what is varied, and how.
//!
//! Invariants: ids are unique and never given to another setting, since reports of many months are
//! compared by them; a cell of the crossing that is also a step from the base is measured once.

use std::collections::BTreeMap;

use crate::daemon::Cards;
use crate::load::{KeyKind, Kind, Pace, Version};
use crate::report::Plan;

/// Cells at most; a run must fit between two interruptions of a quiet machine.
pub const CELLS_MAX: usize = 70;
/// The cell that the others are one step away from.
pub const BASE: &str = "base";

/// Who makes the signatures of RSA keys, and of ECDSA keys with route `cex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// No card: the host signs in the thread of the handshake.
    Host,
    /// An accelerator, one request at a time.
    Accelerator,
    /// A coprocessor, one request at a time.
    Coprocessor,
    /// An accelerator that works on several requests at once.
    Batch,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Host, Self::Accelerator, Self::Coprocessor, Self::Batch];

    /// Its part of an id.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Host => "none",
            Self::Accelerator => "cex8a",
            Self::Coprocessor => "cex8c",
            Self::Batch => "batch",
        }
    }

    /// What a picture calls it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Host => "no card",
            Self::Accelerator => "CEX8A",
            Self::Coprocessor => "CEX8C",
            Self::Batch => "CEX8A, batch",
        }
    }

    /// The cards of the configuration. `single` is said and not left to the daemon, so that a cell
    /// keeps its meaning when the default changes.
    #[must_use]
    pub fn cards(self) -> Cards<'static> {
        match self {
            Self::Host => Cards::None,
            Self::Accelerator => Cards::Of(vec![("CEX8A", "single")]),
            Self::Coprocessor => Cards::Of(vec![("CEX8C", "single")]),
            Self::Batch => Cards::Of(vec![("CEX8A", "batch")]),
        }
    }
}

/// What one cell measures.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Short and unique.
    pub id: String,
    /// What a picture calls it.
    pub title: String,
    /// One step from the base, rather than part of the crossing.
    pub is_step: bool,
    /// Who signs.
    pub engine: Engine,
    /// `offload` of the daemon.
    pub mode: &'static str,
    /// `provider` of cpacf.
    pub provider: &'static str,
    /// `ecdsa` of `[route]`.
    pub ecdsa: &'static str,
    /// Key of the certificate.
    pub key: KeyKind,
    /// Version of TLS.
    pub version: Version,
    /// Full or resumed.
    pub kind: Kind,
    /// Saturation or a rate.
    pub pace: Pace,
}

impl Cell {
    fn base() -> Self {
        Self {
            id: BASE.to_owned(),
            title: "base: CEX8A, RSA-2048".to_owned(),
            is_step: true,
            engine: Engine::Accelerator,
            mode: "fiber",
            provider: "host",
            ecdsa: "cex",
            key: KeyKind::Rsa2048,
            version: Version::Tls13,
            kind: Kind::Full,
            pace: Pace::Closed,
        }
    }

    fn step(id: &str, title: &str, change: impl FnOnce(&mut Self)) -> Self {
        let mut cell = Self { id: id.to_owned(), title: title.to_owned(), ..Self::base() };
        change(&mut cell);
        cell
    }

    fn crossed(engine: Engine, mode: &'static str, pace: Pace) -> Self {
        let id = format!("x-{}-{mode}-{}", engine.word(), pace_word(pace));
        let title = format!("{}, {mode}, {}", engine.title(), pace_title(pace));
        Self { id, title, is_step: false, engine, mode, pace, ..Self::base() }
    }

    /// Whether both measure the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let (id, title, is_step) = (other.id.clone(), other.title.clone(), other.is_step);
        Self { id, title, is_step, ..self.clone() } == *other
    }

    /// The cell as a report keeps it.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let settings = [
            ("engine", self.engine.word().to_owned()),
            ("offload", self.mode.to_owned()),
            ("provider", self.provider.to_owned()),
            ("route ecdsa", self.ecdsa.to_owned()),
            ("key", self.key.word().to_owned()),
            ("version", self.version.to_string()),
            ("handshake", self.kind.to_string()),
            // Of all cells alike, see `Shape::fixed`.
            ("cipher", "AES-128-GCM".to_owned()),
            ("group", "X25519".to_owned()),
            ("pace", pace_word(self.pace)),
        ];
        Plan {
            id: self.id.clone(),
            title: self.title.clone(),
            group: if self.is_step { "steps" } else { "crossing" }.to_owned(),
            settings: settings
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<BTreeMap<_, _>>(),
        }
    }
}

fn pace_word(pace: Pace) -> String {
    match pace {
        Pace::Closed => "saturation".to_owned(),
        Pace::Rate(rate) => format!("{rate:.0}"),
    }
}

fn pace_title(pace: Pace) -> String {
    match pace {
        Pace::Closed => "saturation".to_owned(),
        Pace::Rate(rate) => format!("{rate:.0}/s"),
    }
}

/// Rates of the open loops, per second.
const RATES: [f64; 2] = [100.0, 300.0];
/// Ways to run a handshake.
pub const MODES: [&str; 3] = ["fiber", "inline", "pool"];

/// The base and everything that is one step away from it, with the steps from there that a
/// comparison needs (each size of RSA without a card, each curve in both places).
#[must_use]
pub fn steps() -> Vec<Cell> {
    let mut cells = vec![
        Cell::base(),
        Cell::step("cards-none", "no card", |c| c.engine = Engine::Host),
        Cell::step("cards-cex8c", "CEX8C", |c| c.engine = Engine::Coprocessor),
        Cell::step("cards-batch", "CEX8A, batch", |c| c.engine = Engine::Batch),
        Cell::step("mode-inline", "inline", |c| c.mode = "inline"),
        Cell::step("mode-pool", "pool", |c| c.mode = "pool"),
        Cell::step("provider-portable", "CPACF portable", |c| c.provider = "portable"),
        Cell::step("tls12", "TLS 1.2", |c| c.version = Version::Tls12),
        Cell::step("resumed", "resumed", |c| c.kind = Kind::Resumed),
    ];
    for (word, title, key) in
        [("rsa3072", "RSA-3072", KeyKind::Rsa3072), ("rsa4096", "RSA-4096", KeyKind::Rsa4096)]
    {
        cells.push(Cell::step(&format!("key-{word}"), title, |c| c.key = key));
        let (id, title) = (format!("key-{word}-none"), format!("{title}, no card"));
        cells.push(Cell::step(&id, &title, |c| (c.key, c.engine) = (key, Engine::Host)));
    }
    for (word, title, key) in [("p256", "P-256", KeyKind::P256), ("p384", "P-384", KeyKind::P384)] {
        // An accelerator has no elliptic curves.
        let (id, name) = (format!("key-{word}-card"), format!("{title}, CEX8C"));
        cells.push(Cell::step(&id, &name, |c| (c.key, c.engine) = (key, Engine::Coprocessor)));
        let (id, name) = (format!("key-{word}-cpacf"), format!("{title}, CPACF"));
        cells.push(Cell::step(&id, &name, |c| (c.key, c.ecdsa) = (key, "cpacf")));
    }
    for rate in RATES {
        let (id, title) = (format!("rate-{rate:.0}"), format!("{rate:.0} a second"));
        cells.push(Cell::step(&id, &title, |c| c.pace = Pace::Rate(rate)));
    }
    cells
}

/// Engine by mode by rate for RSA-2048, without what the steps have already.
#[must_use]
pub fn crossing() -> Vec<Cell> {
    let steps = steps();
    let mut cells = Vec::new();
    for engine in Engine::ALL {
        for mode in MODES {
            for pace in [Pace::Closed, Pace::Rate(RATES[0]), Pace::Rate(RATES[1])] {
                let cell = Cell::crossed(engine, mode, pace);
                if !steps.iter().any(|step| step.is_same(&cell)) {
                    cells.push(cell);
                }
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::load::Shape;

    #[test]
    fn ids_are_unique_and_cells_few() {
        let cells: Vec<Cell> = steps().into_iter().chain(crossing()).collect();
        let ids: BTreeSet<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
        assert_eq!(ids.len(), cells.len());
        assert!(cells.len() <= CELLS_MAX, "{}", cells.len());
        for (n, cell) in cells.iter().enumerate() {
            assert!(!cell.id.contains(char::is_whitespace), "{}", cell.id);
            let same = cells[n + 1..].iter().find(|other| cell.is_same(other));
            assert!(same.is_none(), "{} and {}", cell.id, same.unwrap().id);
        }
    }

    #[test]
    fn every_combination_of_the_crossing_is_measured_somewhere() {
        let cells: Vec<Cell> = steps().into_iter().chain(crossing()).collect();
        for engine in Engine::ALL {
            for mode in MODES {
                for pace in [Pace::Closed, Pace::Rate(100.0), Pace::Rate(300.0)] {
                    let wanted = Cell::crossed(engine, mode, pace);
                    assert!(cells.iter().any(|cell| cell.is_same(&wanted)), "{}", wanted.id);
                }
            }
        }
    }

    #[test]
    fn what_a_plan_says_of_cipher_and_group_is_asked_of_the_handshakes() {
        for cell in steps() {
            let settings = cell.plan().settings;
            let shape = Shape::fixed(cell.version, cell.kind, cell.key);
            let suite = format!("{:?}", shape.suite.unwrap()).replace('_', "-");
            assert!(suite.contains(&settings["cipher"]), "{}: {suite}", cell.id);
            assert_eq!(format!("{:?}", shape.group.unwrap()), settings["group"], "{}", cell.id);
        }
    }

    #[test]
    fn a_step_changes_no_more_than_its_plan_says() {
        let base = Cell::base().plan().settings;
        let changed = |cell: &Cell| {
            let settings = cell.plan().settings;
            settings.iter().filter(|(name, value)| base.get(*name) != Some(value)).count()
        };
        for cell in steps() {
            let expected = match cell.id.as_str() {
                BASE => 0,
                "key-rsa3072-none" | "key-rsa4096-none" => 2,
                id if id.starts_with("key-p") => 2,
                _ => 1,
            };
            assert_eq!(changed(&cell), expected, "{}", cell.id);
        }
    }
}
