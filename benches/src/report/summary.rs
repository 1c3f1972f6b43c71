//! What the rounds of a report come to: `summary.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Round;
use crate::spread::Spread;

/// Of the layout of `summary.json`; a reader of another number must not go on.
const SCHEMA: u32 = 1;

/// What a report is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heading {
    /// `cost`, `peers`: the command that made it, and the name of its raw file.
    pub kind: String,
    /// The first line of the page.
    pub title: String,
    /// Day it was made, `YYYY-MM-DD`.
    pub date: String,
    /// Commit of the tree, short.
    pub commit: String,
    /// Whether the tree had changes that are in no commit.
    pub dirty: bool,
    /// Whether it is the short form, which is a trial and no claim.
    pub quick: bool,
    /// Id of the cell that others are compared with.
    pub reference: Option<String>,
}

/// A cell as it was planned.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Short, unique, without spaces: how the page names the cell.
    pub id: String,
    /// What a picture calls it.
    pub title: String,
    /// Cells of a group are shown together.
    pub group: String,
    /// What was set, by name.
    pub settings: BTreeMap<String, String>,
}

/// A value that is computed within each round against the reference cell in the same round: what
/// slows the whole machine for a while falls out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratio {
    /// Name of the result.
    pub name: String,
    /// Value that is divided by that of the reference.
    pub of: String,
}

impl Ratio {
    /// `name` is `of` over the reference's.
    #[must_use]
    pub fn new(name: &str, of: &str) -> Self {
        Self { name: name.to_owned(), of: of.to_owned() }
    }
}

/// A part of a value, divided as two counters are over all rounds together: for counters that are
/// too coarse to divide one round by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Name of the result.
    pub name: String,
    /// Value that is divided.
    pub of: String,
    /// Counter of this part.
    pub part: String,
    /// Counter of the rest.
    pub rest: String,
    /// With a smaller sum of both there is no result.
    pub least: u64,
}

/// What is computed from the values of the rounds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Derived {
    /// Against the reference.
    #[serde(default)]
    pub ratios: Vec<Ratio>,
    /// Parts.
    #[serde(default)]
    pub shares: Vec<Share>,
}

/// Median, quartiles and range of a value over the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The middle.
    pub median: f64,
    /// A quarter of the rounds is below.
    pub low: f64,
    /// A quarter of the rounds is above.
    pub high: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Over how many rounds.
    pub rounds: u32,
}

impl Figure {
    /// Of some values; none of none.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let Spread { low, median, high } = Spread::of(values.iter().copied());
        let min = values.iter().copied().min_by(f64::total_cmp)?;
        let max = values.iter().copied().max_by(f64::total_cmp)?;
        let rounds = u32::try_from(values.len()).unwrap_or(u32::MAX);
        Some(Self { median, low, high, min, max, rounds })
    }
}

/// What the rounds of a cell come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The cell.
    #[serde(flatten)]
    pub plan: Plan,
    /// Rounds with figures.
    pub rounds: u32,
    /// Reasons of the rounds without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
    /// Figures by name.
    pub values: BTreeMap<String, Figure>,
}

impl Cell {
    /// The figure of that name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Figure> {
        self.values.get(name)
    }

    /// The median of that name.
    #[must_use]
    pub fn median(&self, name: &str) -> Option<f64> {
        self.value(name).map(|figure| figure.median)
    }
}

/// A whole report in figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Layout of the file.
    pub schema: u32,
    /// What it is about.
    #[serde(flatten)]
    pub heading: Heading,
    /// What is computed from the values of the rounds.
    #[serde(flatten)]
    pub derived: Derived,
    /// Cells in the order of the plan.
    pub cells: Vec<Cell>,
}

impl Summary {
    /// Of all rounds of the planned cells.
    #[must_use]
    pub fn of(heading: Heading, plans: &[Plan], rounds: &[Round], derived: &Derived) -> Self {
        let reference: BTreeMap<u32, &Round> = rounds
            .iter()
            .filter(|round| Some(&round.cell) == heading.reference.as_ref())
            .map(|round| (round.round, round))
            .collect();
        let cells = plans.iter().map(|plan| cell(plan, rounds, &reference, derived)).collect();
        Self { schema: SCHEMA, heading, derived: derived.clone(), cells }
    }

    /// The cell of that id.
    #[must_use]
    pub fn cell(&self, id: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.plan.id == id)
    }

    /// Cells that have rounds without figures.
    pub fn failed(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|cell| !cell.failed.is_empty() || cell.rounds == 0)
    }

    /// Whether this program understands the file.
    #[must_use]
    pub fn is_understood(&self) -> bool {
        self.schema == SCHEMA
    }
}

fn cell(
    plan: &Plan,
    rounds: &[Round],
    reference: &BTreeMap<u32, &Round>,
    derived: &Derived,
) -> Cell {
    let mut collected: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut failed = Vec::new();
    let mut good = 0;
    for round in rounds.iter().filter(|round| round.cell == plan.id) {
        if let Some(reason) = &round.failed {
            failed.push(reason.clone());
            continue;
        }
        good += 1;
        for (name, value) in &round.values {
            collected.entry(name.clone()).or_default().push(*value);
        }
        for ratio in &derived.ratios {
            let base = reference.get(&round.round).and_then(|base| base.values.get(&ratio.of));
            if let (Some(value), Some(base)) = (round.values.get(&ratio.of), base)
                && *base > 0.0
            {
                collected.entry(ratio.name.clone()).or_default().push(value / base);
            }
        }
    }
    for share in &derived.shares {
        let sum = |name: &str| collected.get(name).map_or(0.0, |values| values.iter().sum::<f64>());
        let (part, rest) = (sum(&share.part), sum(&share.rest));
        let whole = part + rest;
        if whole > 0.0 && whole >= share.least as f64 {
            let of = collected.get(&share.of).cloned().unwrap_or_default();
            let divided = of.iter().map(|value| value * part / whole).collect();
            collected.insert(share.name.clone(), divided);
        }
    }
    let values = collected
        .into_iter()
        .filter_map(|(name, values)| Figure::of(&values).map(|figure| (name, figure)))
        .collect();
    Cell { plan: plan.clone(), rounds: good, failed, values }
}
