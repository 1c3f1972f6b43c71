//! A hundred thousand signatures of the vector unit against the library.
//!
//! A binary of its own, so that it starves no card's thread, which gives way to all others. Where
//! the processor has no vector unit the unit tests run the same kernels on portable lanes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a broken precondition ends the test")]

use std::io::Write;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use cex::Trial;
use zeroize::Zeroizing;

/// Requests of one batch.
const BATCH: usize = 4;

/// Numbers that need not be secret, from a seed that a failure names.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit as u64).unwrap()
    }

    /// A block below every modulus of its length.
    fn block(&mut self, len: usize) -> Vec<u8> {
        let mut block: Vec<u8> = (0..len).map(|_| self.roll().to_le_bytes()[0]).collect();
        block[0] &= 0x7f;
        block
    }
}

/// Signs random blocks with random ones of `keys` fresh keys, 1 to 8 at a time (more than four are
/// two batches), and compares each result with the library's, byte by byte.
fn differ(size: KeySize, keys: usize, count: usize) {
    let der = |_| {
        let pair = KeyPair::generate(size).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        Zeroizing::new(der.as_ref().to_vec())
    };
    let Some(trial) = Trial::new(&(0..keys).map(der).collect::<Vec<_>>()).unwrap() else {
        // Not eprintln!: the test harness would swallow it.
        let _ = writeln!(std::io::stderr(), "SKIPPED: this processor has no AVX-512 IFMA");
        return;
    };
    let mut seed = [0; 8];
    rand::fill(&mut seed).unwrap();
    let mut dice = Dice(u64::from_le_bytes(seed) | 1);
    let (mut done, mut group) = (0, 0);
    while done < count {
        let fill = 1 + dice.below(2 * BATCH);
        let jobs: Vec<_> =
            (0..fill).map(|_| (dice.below(keys), dice.block(trial.block_len()))).collect();
        let borrowed: Vec<_> = jobs.iter().map(|(key, block)| (*key, &block[..])).collect();
        let results: Vec<_> =
            borrowed.chunks(BATCH).flat_map(|batch| trial.together(batch)).collect();
        assert_eq!(results.len(), fill, "seed {seed:?}, group {group}");
        for (result, (key, block)) in results.into_iter().zip(&borrowed) {
            let result = result.unwrap_or_else(|| panic!("refused: seed {seed:?}, group {group}"));
            assert_eq!(Some(result), trial.alone(*key, block), "seed {seed:?}, group {group}");
        }
        (done, group) = (done + fill, group + 1);
    }
}

#[test]
fn ninety_thousand_signatures_of_2048_bits_agree_with_the_library() {
    differ(KeySize::Rsa2048, 24, 92_000);
}

#[test]
fn signatures_of_3072_bits_agree_with_the_library() {
    differ(KeySize::Rsa3072, 8, 6_000);
}

#[test]
fn signatures_of_4096_bits_agree_with_the_library() {
    differ(KeySize::Rsa4096, 4, 2_000);
}
