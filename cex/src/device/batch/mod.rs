//! The engine that does up to four RSA requests of one size together, in vector lanes.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `lanes` | eight lanes as a trait; how numbers lie in memory |
//! | `kernel` | Montgomery multiplication, squaring, table look-up over that trait |
//! | `ifma` | the lanes in AVX-512 registers; the only `unsafe` here |
//! | `portable` | the lanes in ordinary integers, for tests |
//! | `backend` | the kernels on either |
//! | `number` | single numbers: bytes, constants of a modulus |
//! | `key` | what is kept of a key; blinding factors |
//! | `operation` | blind, split, exponentiate, join, unblind, verify |
//! | `gain` | the measurement that decides whether it pays |
//! | `trial` | operations without a card, for benchmarks |
//!
//! Invariants:
//! * A result is released only if the public exponent gave the block back. One that does not is
//!   counted and computed again by aws-lc, once; its neighbours are not held up.
//! * What does not fit (other sizes, exponents or unequal primes) and what is below the measured
//!   break-even goes to aws-lc, one after the other.
//! * There is no timer: whoever waits for company waits in vain at low load, and at high load the
//!   queue has filled while the last batch ran.
//! * A key is used in batches only after a batch of it has agreed with aws-lc.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "no unit for it"))]

mod backend;
mod gain;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod kernel;
mod key;
mod lanes;
mod number;
mod operation;
#[cfg(test)]
mod portable;
mod trial;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use gain::Gain;
pub(crate) use gain::{known as gains, pays};
#[cfg(target_arch = "x86_64")]
pub(crate) use ifma::Ifma;
pub(crate) use operation::REQUESTS;
pub use trial::Trial;

use super::single::Single;
use super::{Engine, Job, OperandFault, Output, Results, Work, pad, raw_rsa};
use crate::der;
use crate::key::Private;
use key::BatchKey;
use operation::{Miss, Request};

/// A vector unit that the kernels can use.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    #[cfg(target_arch = "x86_64")]
    Ifma(Ifma),
    /// For tests of what is around the kernels; slower than no batch at all.
    #[cfg(test)]
    Portable,
    /// For tests: the half modulo q of the second request is always wrong.
    #[cfg(test)]
    Disturbed,
}

impl Unit {
    /// Asks the processor.
    pub(crate) fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        return Ifma::detect().map(Self::Ifma);
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    fn execute(self, requests: &[Request<'_>]) -> Vec<Result<Vec<u8>, Miss>> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Ifma(backend) => operation::execute(backend, requests, None),
            #[cfg(test)]
            Self::Portable => operation::execute(portable::Portable, requests, None),
            #[cfg(test)]
            Self::Disturbed => {
                let disturb = |halves: &mut [lanes::Block]| halves[0][0].0[5] ^= 1;
                operation::execute(portable::Portable, requests, Some(&disturb))
            }
        }
    }
}

/// A key that may be used in batches.
#[derive(Debug)]
pub(crate) struct Prepared {
    key: BatchKey,
    gain: Option<Gain>,
}

/// Why a key is not used in batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unprepared {
    /// The kernels do not do keys of this form.
    Unfit,
    /// A batch of it did not agree with aws-lc.
    Disagrees,
}

impl Prepared {
    /// Prepares a key, tries a full batch against aws-lc, and measures the gain if its size has
    /// not been measured yet.
    pub(crate) fn new(
        unit: Unit,
        pkcs1: &[u8],
        raw: &raw_rsa::PrivateKey,
    ) -> Result<Self, Unprepared> {
        let key = der::rsa_parts(pkcs1).and_then(|parts| BatchKey::new(&parts));
        let key = key.ok_or(Unprepared::Unfit)?;
        // Any block below the modulus will do.
        let mut block = vec![0x5a; key.modulus_len()];
        block[0] = 0;
        let requests = [Request { key: &key, raw, block: &block }; REQUESTS];
        let expected = raw.exponentiate(&block).map_err(|_| Unprepared::Disagrees)?;
        let agrees = |result: &Result<Vec<u8>, Miss>| result.as_ref() == Ok(&expected);
        if !unit.execute(&requests).iter().all(agrees) {
            return Err(Unprepared::Disagrees);
        }
        let single = || drop(raw.exponentiate(&block));
        let batch = || drop(unit.execute(&requests));
        let gain = match unit {
            // What is measured is kept for the whole process.
            #[cfg(test)]
            Unit::Portable | Unit::Disturbed => None,
            #[cfg(target_arch = "x86_64")]
            Unit::Ifma(_) => gain::gain(key.modulus_bits(), single, batch),
        };
        Ok(Self { key, gain })
    }
}

/// What a full batch makes of four times the same block; none if a request finds no result.
pub(crate) fn known_answer(
    unit: Unit,
    pkcs1: &[u8],
    raw: &raw_rsa::PrivateKey,
    block: &[u8],
) -> Option<Vec<Vec<u8>>> {
    let key = der::rsa_parts(pkcs1).and_then(|parts| BatchKey::new(&parts))?;
    let requests = [Request { key: &key, raw, block }; REQUESTS];
    unit.execute(&requests).into_iter().map(Result::ok).collect()
}

/// What the engine has done. Written by the card's thread only.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Executions of 1 to 4 RSA requests.
    fills: [AtomicU64; REQUESTS],
    /// RSA requests that were done one after the other.
    alone: AtomicU64,
    /// Results that did not undo to their block.
    refused: AtomicU64,
}

/// What the batch engine of a card has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchCounts {
    /// Executions of 1, 2, 3 and 4 RSA requests.
    pub fills: [u64; REQUESTS],
    /// Of them, requests that were done by the library, one after the other: below the
    /// break-even, or of a key that does not fit.
    pub alone: u64,
    /// Results of lanes that failed verification. They were computed again, not released.
    pub refused: u64,
}

impl BatchCounts {
    /// Executions.
    pub fn batches(&self) -> u64 {
        self.fills.iter().sum()
    }

    /// RSA requests executed.
    pub fn requests(&self) -> u64 {
        self.fills.iter().zip(1..).map(|(batches, fill)| batches * fill).sum()
    }
}

impl Tally {
    pub(crate) fn read(&self) -> BatchCounts {
        BatchCounts {
            fills: std::array::from_fn(|fill| self.fills[fill].load(Relaxed)),
            alone: self.alone.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }
}

/// Up to four at a time.
#[derive(Debug)]
pub(crate) struct Batch {
    unit: Unit,
    /// Run full batches even of a size that gains nothing.
    always: bool,
    tally: Arc<Tally>,
}

impl Batch {
    pub(crate) fn new(unit: Unit, always: bool) -> Self {
        Self { unit, always, tally: Arc::default() }
    }

    /// Fewest jobs of this key's size that are done together.
    fn threshold(&self, prepared: &Prepared) -> usize {
        let measured = prepared.gain.and_then(|gain| gain.break_even());
        measured.unwrap_or(if self.always { REQUESTS } else { usize::MAX })
    }

    /// Executes a group of jobs that fit, up to four.
    fn together(&self, group: &[Fit<'_>], all: &mut [Option<Outcome>]) {
        if let Some(batches) = group.len().checked_sub(1).and_then(|at| self.tally.fills.get(at)) {
            batches.fetch_add(1, Relaxed);
        }
        let requests: Vec<_> = group.iter().map(Fit::request).collect();
        for (fit, result) in group.iter().zip(self.unit.execute(&requests)) {
            if result == Err(Miss::Wrong) {
                self.tally.refused.fetch_add(1, Relaxed);
            }
            let result = result.map(|bytes| Output { bytes, checked: true });
            let result =
                result.or_else(|_| fit.raw.exponentiate(&fit.block).map(Output::unchecked));
            all[fit.index] = Some(result.map_err(|_| OperandFault));
        }
    }
}

type Outcome = Result<Output, OperandFault>;

/// A job that can be executed in a batch.
struct Fit<'a> {
    /// Its place among all jobs.
    index: usize,
    key: &'a BatchKey,
    raw: &'a raw_rsa::PrivateKey,
    block: Cow<'a, [u8]>,
}

impl Fit<'_> {
    fn request(&self) -> Request<'_> {
        Request { key: self.key, raw: self.raw, block: &self.block }
    }
}

/// What was prepared of the key of a job, if it was.
fn prepared(job: &Job) -> Option<(&Prepared, &raw_rsa::PrivateKey)> {
    match &*job.key {
        Private::Rsa { raw, batch: Some(prepared), .. } => Some((prepared, raw)),
        _ => None,
    }
}

/// The block of a job; padded here if the job came as a digest.
fn block<'a>(job: &'a Job, prepared: &Prepared) -> Option<Cow<'a, [u8]>> {
    match &job.work {
        Work::Block(block) => Some(Cow::Borrowed(block)),
        Work::Sign(scheme, digest) => {
            pad::pad(*scheme, digest, prepared.key.modulus_len()).map(Cow::Owned)
        }
    }
}

impl Engine for Batch {
    fn name(&self) -> &'static str {
        "batch"
    }

    fn batch(&self) -> usize {
        REQUESTS
    }

    fn tally(&self) -> Option<Arc<Tally>> {
        Some(Arc::clone(&self.tally))
    }

    fn execute(&mut self, jobs: &[Job], results: &mut Results) {
        let mut all: Vec<Option<Outcome>> = jobs.iter().map(|_| None).collect();
        let threshold = jobs.iter().filter_map(prepared).map(|(key, _)| self.threshold(key)).max();
        // One by itself is not padded here in vain.
        if threshold.is_some_and(|threshold| jobs.len() >= threshold) {
            let fits = jobs.iter().enumerate().filter_map(|(index, job)| {
                let (prepared, raw) = prepared(job)?;
                Some(Fit { index, key: &prepared.key, raw, block: block(job, prepared)? })
            });
            let fits: Vec<_> = fits.collect();
            let enough = |group: &&[Fit<'_>]| Some(group.len()) >= threshold;
            for group in fits.chunks(REQUESTS).filter(enough) {
                self.together(group, &mut all);
            }
        }
        results.extend(jobs.iter().zip(all).map(|(job, done)| {
            done.unwrap_or_else(|| {
                if job.shape() > 0 {
                    self.tally.alone.fetch_add(1, Relaxed);
                    self.tally.fills[0].fetch_add(1, Relaxed);
                }
                Single::execute_one(job)
            })
        }));
    }
}

#[cfg(test)]
mod tests;
