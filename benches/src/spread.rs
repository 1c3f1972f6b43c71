//! Medians and quartiles, and rounds of two sides in turn.
//!
//! Means are not used: on a shared machine one round in a hundred is ten times as slow, and says
//! nothing about the program.

use std::fmt;
use std::time::Duration;

/// Median and quartiles of some values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// A quarter of the values is below.
    pub low: f64,
    /// The middle.
    pub median: f64,
    /// A quarter of the values is above.
    pub high: f64,
}

impl Spread {
    /// Of at least one value; zeros of none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |quarters: usize| {
            let last = values.len().saturating_sub(1);
            values.get((last * quarters + 2) / 4).copied().unwrap_or_default()
        };
        Self { low: at(1), median: at(2), high: at(3) }
    }

    /// Each of the three multiplied.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self { low: self.low * factor, median: self.median * factor, high: self.high * factor }
    }

    /// Median with the quartiles behind it, with so many digits after the point.
    #[must_use]
    pub fn text(&self, digits: usize) -> String {
        let Self { low, median, high } = self;
        format!("{median:.digits$} [{low:.digits$} {high:.digits$}]")
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(f.precision().unwrap_or(3)))
    }
}

/// Seconds spent by two sides, and their ratio round by round.
#[derive(Debug, Clone, Copy)]
pub struct Comparison {
    /// Seconds of the first.
    pub ours: Spread,
    /// Seconds of the second.
    pub theirs: Spread,
    /// First over second, within each round.
    pub ratio: Spread,
}

/// Runs both sides in turn, the order reversed every other round: what grows slowly (a warmer
/// processor, a neighbour) falls on both.
pub fn compare(
    rounds: usize,
    mut ours: impl FnMut() -> Duration,
    mut theirs: impl FnMut() -> Duration,
) -> Comparison {
    let mut pairs = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let (a, b);
        if round % 2 == 0 {
            a = ours();
            b = theirs();
        } else {
            b = theirs();
            a = ours();
        }
        pairs.push((a.as_secs_f64(), b.as_secs_f64()));
    }
    Comparison {
        ours: Spread::of(pairs.iter().map(|p| p.0)),
        theirs: Spread::of(pairs.iter().map(|p| p.1)),
        ratio: Spread::of(pairs.iter().filter(|p| p.1 > 0.0).map(|p| p.0 / p.1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_value_moves_no_median() {
        let spread = Spread::of([3.0, 1.0, 2.0, 5.0, 1000.0]);
        assert_eq!(spread, Spread { low: 2.0, median: 3.0, high: 5.0 });
        assert_eq!(spread.text(1), "3.0 [2.0 5.0]");
        assert_eq!(Spread::of([]).median, 0.0);
    }

    #[test]
    fn a_ratio_is_that_of_one_round() {
        let mut slow = 0;
        let times = |n: u64| Duration::from_micros(n);
        // Both sides are ten times as slow in every third round.
        let comparison = compare(
            9,
            || times(200),
            || {
                slow += 1;
                times(if slow % 3 == 0 { 1000 } else { 100 })
            },
        );
        assert!((comparison.ratio.median - 2.0).abs() < 1e-9);
        assert!((comparison.ours.median - 200e-6).abs() < 1e-9);
    }
}
