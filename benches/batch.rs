//! What RSA signatures cost four at a time, and whether the time tells something about a secret.
//!
//! * fills: CPU time per operation in batches of 1 to 4 against one by itself, in turn;
//! * timing: Welch's t-test between two classes of batches (O. Reparaz, J. Balasch, I. Verbauwhede,
//!   Dude, is my code constant time?, 2017).
#![allow(clippy::unwrap_used, reason = "a benchmark with a broken precondition stops")]
#![allow(clippy::print_stdout, reason = "a benchmark talks to whoever started it")]

use std::hint::black_box;
use std::time::Instant;

use adjunct_bench::clock::thread_cpu;
use adjunct_bench::spread::{Spread, compare};
use adjunct_bench::table::Table;
use cex::Trial;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use zeroize::Zeroizing;

/// Above it a difference is not chance.
const T_SUSPICIOUS: f64 = 4.5;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (rounds, batches) = if quick { (30, 2_000) } else { (200, 30_000) };
    let mut fills = Table::new(
        "RSA private operation, CPU us each, verification and blinding included",
        &["", "alone", "1", "2", "3", "4", "gain at 2", "3", "4"],
    );
    for (name, size) in [
        ("RSA-2048", RsaKeySize::_2048),
        ("RSA-3072", RsaKeySize::_3072),
        ("RSA-4096", RsaKeySize::_4096),
    ] {
        let Some(trial) = trial(size) else {
            println!("this processor has no AVX-512 IFMA: there are no batches to measure");
            return;
        };
        fill(&mut fills, name, &trial, rounds);
    }
    println!("{fills}");
    timing(&trial(RsaKeySize::_2048).unwrap(), batches);
}

/// Four keys of a size.
fn trial(size: RsaKeySize) -> Option<Trial> {
    let key = |_| {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).unwrap();
        Zeroizing::new(pair.serialize_der())
    };
    Trial::new(&(0..4).map(key).collect::<Vec<_>>()).unwrap()
}

fn fill(table: &mut Table, name: &str, trial: &Trial, rounds: usize) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let blocks: Vec<_> = (0..4).map(|_| dice.block(trial.block_len())).collect();
    let (mut alone, mut each, mut gains) = (Vec::new(), Vec::new(), Vec::new());
    for fill in 1..=4 {
        let jobs: Vec<_> = blocks.iter().map(Vec::as_slice).enumerate().take(fill).collect();
        let results = trial.together(&jobs);
        assert!(results.iter().zip(&jobs).all(|(result, (key, block))| {
            result.as_ref().is_some_and(|result| trial.undoes(*key, result, block))
        }));
        let comparison = compare(
            rounds,
            || {
                let begin = thread_cpu();
                black_box(trial.together(&jobs));
                thread_cpu() - begin
            },
            || {
                let begin = thread_cpu();
                for (key, block) in &jobs {
                    black_box(trial.alone(*key, block));
                }
                thread_cpu() - begin
            },
        );
        each.push(comparison.ours.times(1e6 / fill as f64));
        alone.push(comparison.theirs.times(1e6 / fill as f64));
        let Spread { low, median, high } = comparison.ratio;
        gains.push(Spread { low: 1.0 / high, median: 1.0 / median, high: 1.0 / low });
    }
    table.row([
        name.to_owned(),
        alone[3].text(0),
        each[0].text(0),
        each[1].text(0),
        each[2].text(0),
        each[3].text(1),
        gains[1].text(2),
        gains[2].text(2),
        gains[3].text(2),
    ]);
}

/// What decides a class is drawn anew for each batch, so that drift of the machine hits both.
fn timing(trial: &Trial, batches: usize) {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let len = trial.block_len();
    let fixed = dice.block(len);
    let mut table = Table::new(
        "Time of full RSA-2048 batches, Welch's t between two classes",
        &["", "batches", "t", "t below the 90th percentile", "t below the 50th"],
    );
    let mut row = |name: &str, samples: &[(bool, f64)]| {
        let t = |percent| {
            let t = welch(samples, percent);
            format!("{t:.2}{}", if t.abs() > T_SUSPICIOUS { " !" } else { "" })
        };
        table.row([name.to_owned(), samples.len().to_string(), t(100), t(90), t(50)]);
    };
    let inputs: Vec<_> = (0..batches)
        .map(|_| {
            let class = dice.roll() & 1 == 1;
            // Drawn for both classes, so that both find the same caches.
            let random = dice.block(len);
            let block = if class { &fixed } else { &random };
            (class, time(|| trial.together(&[0, 1, 2, 3].map(|key| (key, block.as_slice())))))
        })
        .collect();
    row("fixed against random input", &inputs);
    let exponents: Vec<_> = (0..batches)
        .map(|_| {
            let class = dice.roll() & 1;
            let key = usize::from(class == 1);
            let block = dice.block(len);
            (class == 1, time(|| trial.together(&[(key, block.as_slice()); 4])))
        })
        .collect();
    row("one key against another", &exponents);
    println!("{table}");
}

fn time<T>(work: impl FnOnce() -> T) -> f64 {
    let begin = Instant::now();
    black_box(work());
    begin.elapsed().as_secs_f64()
}

/// Welch's t of the samples that are among the fastest `percent` of all.
fn welch(samples: &[(bool, f64)], percent: usize) -> f64 {
    let mut times: Vec<f64> = samples.iter().map(|sample| sample.1).collect();
    times.sort_by(f64::total_cmp);
    let limit = times.get(times.len() * percent / 100).copied().unwrap_or(f64::INFINITY);
    let [a, b] = [false, true].map(|class| {
        let of = samples.iter().filter(|(of, time)| *of == class && *time <= limit);
        let times: Vec<f64> = of.map(|sample| sample.1).collect();
        let n = times.len() as f64;
        let mean = times.iter().sum::<f64>() / n;
        let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance / n)
    });
    (a.0 - b.0) / (a.1 + b.1).sqrt()
}

/// Numbers that need not be secret.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A block below any modulus of its length.
    fn block(&mut self, len: usize) -> Vec<u8> {
        let mut block: Vec<u8> = (0..len).map(|_| self.roll().to_le_bytes()[0]).collect();
        block[0] &= 0x7f;
        block
    }
}
