//! Whether four together are cheaper than one after the other, measured on this processor.
//!
//! Vector units differ: the same instructions run on one port or on two. So each size of modulus
//! is measured once in a process, when the first key of that size is loaded: a full batch and a
//! single operation by turns, the shortest of each counts. It takes about 10 ms.

use std::sync::OnceLock;
use std::time::Duration;

use super::operation::REQUESTS;
use crate::device::thread_cpu;

/// Fewest rounds of a measurement.
const ROUNDS_MIN: u32 = 3;
/// Most rounds.
const ROUNDS_MAX: u32 = 16;
/// No further round is begun after this time.
const BUDGET: Duration = Duration::from_millis(10);

/// What a batch of one size of modulus gains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gain {
    /// Length of the modulus.
    pub bits: u32,
    /// Time of one operation by itself.
    pub single: Duration,
    /// Time of a batch, however full it is.
    pub batch: Duration,
}

impl Gain {
    /// How many times cheaper an operation is in a full batch.
    pub fn factor(&self) -> f64 {
        let batch = self.batch.max(Duration::from_nanos(1)).as_secs_f64();
        self.single.as_secs_f64() * REQUESTS as f64 / batch
    }

    /// Fewest requests for which a batch is cheaper; `None` if not even a full one is.
    pub fn break_even(&self) -> Option<usize> {
        // A twentieth must be left: the measurement is no better than that.
        let batch = self.batch + self.batch / 20;
        let mut one_by_one = Duration::ZERO;
        (1..=REQUESTS).find(|_| {
            one_by_one = one_by_one.saturating_add(self.single);
            one_by_one > batch
        })
    }
}

/// The gains measured so far: 2048, 3072 and 4096 bits.
static GAINS: [OnceLock<Gain>; 3] = [const { OnceLock::new() }; 3];

/// The gain of a size, measured now if it has not been.
pub(super) fn gain(bits: u32, single: impl FnMut(), batch: impl FnMut()) -> Option<Gain> {
    let index = usize::try_from(bits / 1024).ok()?.checked_sub(2)?;
    Some(*GAINS.get(index)?.get_or_init(|| measure(bits, single, batch)))
}

/// Whether batches of a size are known to be cheaper.
pub(crate) fn pays(bits: u32) -> bool {
    let index = usize::try_from(bits / 1024).ok().and_then(|index| index.checked_sub(2));
    let gain = index.and_then(|index| GAINS.get(index)).and_then(OnceLock::get);
    gain.is_some_and(|gain| gain.break_even().is_some())
}

/// The gains measured so far.
pub(crate) fn known() -> Vec<Gain> {
    GAINS.iter().filter_map(|gain| gain.get().copied()).collect()
}

fn measure(bits: u32, mut single: impl FnMut(), mut batch: impl FnMut()) -> Gain {
    // CPU time: whoever else was on the processor meanwhile must not decide for the whole process.
    let begin = thread_cpu();
    let mut gain = Gain { bits, single: Duration::MAX, batch: Duration::MAX };
    for round in 0..ROUNDS_MAX {
        if round >= ROUNDS_MIN && thread_cpu().saturating_sub(begin) > BUDGET {
            break;
        }
        let start = thread_cpu();
        single();
        let middle = thread_cpu();
        batch();
        gain.single = gain.single.min(middle.saturating_sub(start));
        gain.batch = gain.batch.min(thread_cpu().saturating_sub(middle));
    }
    gain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_break_even_is_the_first_fill_that_is_cheaper() {
        let gain = |single, batch| Gain {
            bits: 2048,
            single: Duration::from_micros(single),
            batch: Duration::from_micros(batch),
        };
        assert_eq!(gain(277, 390).break_even(), Some(2));
        assert!((gain(277, 390).factor() - 2.84).abs() < 0.01);
        assert_eq!(gain(277, 260).break_even(), Some(1));
        assert_eq!(gain(277, 1050).break_even(), Some(4));
        // Cheaper, but by less than the measurement can tell.
        assert_eq!(gain(277, 1100).break_even(), None);
        assert_eq!(gain(277, 2000).break_even(), None);
    }

    #[test]
    fn a_measurement_takes_the_shortest_of_a_few_rounds() {
        let mut calls = 0;
        let gain = measure(2048, || calls += 1, || ());
        assert!(gain.single < Duration::MAX && gain.batch < Duration::MAX);
        assert!((ROUNDS_MIN..=ROUNDS_MAX).contains(&calls));
    }
}
