//! When two medians are different, and when it is noise.
//!
//! The rule: two cells differ when the ranges of their rounds (least to greatest) do not overlap
//! and the medians differ by at least [`LEAST_DIFFERENCE`]. Everything else is noise.
//!
//! Without a real difference, two times `n` rounds fall apart like this by chance in 2 of
//! `(2n)!/(n!)²` cases: 10 % with three rounds each, 0.8 % with five. Fewer than [`LEAST_ROUNDS`]
//! say nothing. The floor is there because a daemon started anew differs from itself by a percent
//! or so (where its memory lies), steadily within one session.

use std::fmt;

use super::Figure;

/// Medians closer than this part of each other are the same.
pub const LEAST_DIFFERENCE: f64 = 0.02;
/// With fewer rounds on either side nothing is said.
pub const LEAST_ROUNDS: u32 = 3;

/// What a second figure is against a first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Below it.
    Less,
    /// Above it.
    More,
    /// Not to be told apart.
    Noise,
    /// Too few rounds to say.
    TooFewRounds,
}

impl Verdict {
    /// Of the second against the first.
    #[must_use]
    pub fn of(first: &Figure, second: &Figure) -> Self {
        if first.rounds.min(second.rounds) < LEAST_ROUNDS {
            return Self::TooFewRounds;
        }
        let floor = LEAST_DIFFERENCE * first.median.abs();
        if (second.median - first.median).abs() < floor {
            Self::Noise
        } else if second.max < first.min {
            Self::Less
        } else if second.min > first.max {
            Self::More
        } else {
            Self::Noise
        }
    }

    /// Whether it is a difference.
    #[must_use]
    pub fn is_difference(self) -> bool {
        matches!(self, Self::Less | Self::More)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "less",
            Self::More => "more",
            Self::Noise => "noise",
            Self::TooFewRounds => "too few rounds",
        })
    }
}
