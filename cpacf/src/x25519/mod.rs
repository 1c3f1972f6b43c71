//! PCC-Scalar-Multiply-X25519 in eight lanes: what a vector unit makes of eight at once.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `lanes` | eight lanes as a trait; how numbers lie in memory |
//! | `field` | arithmetic modulo 2^255 - 19 and the Montgomery ladder over that trait |
//! | `ifma` | the lanes in AVX-512 registers; the only `unsafe` of this crate |
//! | `portable` | the lanes in ordinary integers, for tests |
//! | `backend` | the kernels on either |
//! | `multiply` | numbers into lanes, ladder, division, numbers out of lanes |
//!
//! Eight cost about as much as two of the library's one by one. Whether that is so on this
//! processor is measured once, when [`standing`] is first asked, after eight results have been
//! compared with the library's; where it is not, where the module is to compute alone, or where
//! the results differ, nobody hears of the lanes again.
//!
//! Invariants: no value decides a branch or an address; numbers in memory, and the stack that the
//! kernels spill to, are overwritten; registers are not. Gates, counts and refusals are those of
//! [`crate::agreement`], which alone calls this.

mod backend;
mod field;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod lanes;
mod multiply;
#[cfg(test)]
mod portable;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use zeroize::{Zeroize, Zeroizing};

use crate::module;
use crate::provider::Failed;
use crate::provider::host::curve::{Curve, Scalar};
use crate::provider::host::random;

pub use lanes::LANES;
pub(crate) use multiply::{LEN, Numbers};

/// Rounds of the measurement.
const ROUNDS: u32 = 24;
/// The u coordinate of the base point.
const BASE: u8 = 9;

/// A vector unit that the kernels can use.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    #[cfg(target_arch = "x86_64")]
    Ifma(ifma::Ifma),
    /// For tests of what is around the kernels; slower than no lanes at all.
    #[cfg(test)]
    Portable,
}

impl Unit {
    /// Asks the processor.
    fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return ifma::Ifma::detect().map(Self::Ifma);
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// Each scalar times the point with each coordinate; zero where the point has small order.
    pub(crate) fn multiply(self, scalars: &Numbers, coordinates: &Numbers) -> Zeroizing<Numbers> {
        let products = match self {
            #[cfg(target_arch = "x86_64")]
            Self::Ifma(backend) => multiply::multiply(backend, scalars, coordinates),
            #[cfg(test)]
            Self::Portable => multiply::multiply(portable::Portable, scalars, coordinates),
        };
        multiply::wipe_stack();
        products
    }

    /// Eight key pairs: scalars and their coordinates.
    pub(crate) fn pairs(self) -> Result<(Zeroizing<Numbers>, Numbers), Failed> {
        let mut scalars = Zeroizing::new([[0; LEN]; LANES]);
        random::fill(scalars.as_flattened_mut())?;
        let mut base = [[0; LEN]; LANES];
        base.iter_mut().for_each(|coordinate| coordinate[0] = BASE);
        let publics = *self.multiply(&scalars, &base);
        Ok((scalars, publics))
    }
}

/// What eight at once gain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gain {
    /// Time of one key pair and one agreement by the library.
    pub single: Duration,
    /// Time of eight multiplications together, however many of them are wanted.
    pub batch: Duration,
}

impl Gain {
    /// How many times cheaper a key pair and an agreement are when eight are wanted.
    #[must_use]
    pub fn factor(&self) -> f64 {
        let batch = self.batch.max(Duration::from_nanos(1)).as_secs_f64();
        self.single.as_secs_f64() * LANES as f64 / (2.0 * batch)
    }

    /// Fewest agreements for which it is cheaper to do them together. Key pairs are always made
    /// eight at a time.
    #[must_use]
    pub fn break_even(&self) -> Option<usize> {
        // A twentieth must be left: the measurement is no better than that.
        let batch = self.batch + self.batch / 20;
        (1..=LANES).zip(1..).find_map(|(count, n): (usize, u32)| {
            (self.single * n > batch + batch * n / 8).then_some(count)
        })
    }
}

/// Whether scalar multiplications are done in lanes, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They are, where there is company; eight agreed with the library.
    Used(Gain),
    /// They could be and are not: the library is as fast.
    Slow(Gain),
    /// The processor has no such unit.
    Absent,
    /// The cryptographic module computes alone.
    ModuleAlone,
    /// Eight results were not those of the library.
    Disagrees,
}

/// Whether scalar multiplications are done in lanes in this process. The first call tests and
/// measures, in about 5 ms.
pub fn standing() -> Standing {
    if module::is_alone() {
        return Standing::ModuleAlone;
    }
    static STANDING: OnceLock<Standing> = OnceLock::new();
    *STANDING.get_or_init(|| match Unit::detect() {
        None => Standing::Absent,
        Some(unit) => try_out(unit).unwrap_or(Standing::Disagrees),
    })
}

/// What has been done in lanes since the start, self-test and key pairs made ahead apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Times that up to eight agreements were done together.
    pub batches: u64,
    /// Agreements.
    pub agreements: u64,
}

static BATCHES: AtomicU64 = AtomicU64::new(0);
static AGREEMENTS: AtomicU64 = AtomicU64::new(0);

/// What has been done in lanes.
#[must_use]
pub fn counts() -> Counts {
    Counts { batches: BATCHES.load(Relaxed), agreements: AGREEMENTS.load(Relaxed) }
}

/// Counts a batch.
pub(crate) fn count(agreements: usize) {
    BATCHES.fetch_add(1, Relaxed);
    AGREEMENTS.fetch_add(agreements as u64, Relaxed);
}

/// The unit, if it is used, and the fewest that are done together.
pub(crate) fn in_force() -> Option<(Unit, usize)> {
    let Standing::Used(gain) = standing() else { return None };
    Unit::detect().zip(gain.break_even())
}

/// Compares eight key pairs and eight agreements with the library's, then measures both.
fn try_out(unit: Unit) -> Option<Standing> {
    let (ours, publics) = unit.pairs().ok()?;
    let (theirs, peers) = unit.pairs().ok()?;
    let secrets = unit.multiply(&ours, &peers);
    let agree = unit.multiply(&theirs, &publics);
    for lane in 0..LANES {
        let scalar = Scalar::import(Curve::X25519, &ours[lane]).ok()?;
        let public = scalar.public().ok()?;
        let secret = scalar.multiply(&peers[lane]).ok()?;
        if public != publics[lane] || secret[..] != secrets[lane] || secret[..] != agree[lane] {
            return None;
        }
    }
    let single = || -> Option<()> {
        let scalar = Scalar::generate(Curve::X25519).ok()?;
        scalar.public().ok()?;
        scalar.multiply(&peers[0]).ok().map(drop)
    };
    let mut gain = Gain { single: Duration::MAX, batch: Duration::MAX };
    for _ in 0..ROUNDS {
        // By turns, and the shortest counts: who else was on the processor must not decide.
        let begin = Instant::now();
        unit.multiply(&ours, &peers).zeroize();
        let middle = Instant::now();
        single()?;
        gain.batch = gain.batch.min(middle - begin);
        gain.single = gain.single.min(middle.elapsed());
    }
    Some(if gain.break_even().is_some() { Standing::Used(gain) } else { Standing::Slow(gain) })
}

#[cfg(test)]
mod tests;
