//! What the batch engine keeps of an RSA key: the constants of its moduli, and blinding factors.
//!
//! Invariants: every secret number is overwritten when it is dropped; a blinding factor is used
//! by one lane at a time and is squared after every use, and thrown away after
//! [`BLINDING_USES`]. Keys that the kernels cannot do have no [`BatchKey`].

use std::fmt;
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use super::backend::Backend;
use super::kernel::Modulus;
use super::lanes::{BLOCK, Block, LANES, Row, ZEROS};
use super::number::{self, Number};
use crate::der::RsaParts;
use crate::device::raw_rsa;

/// Squarings of a blinding factor before a new one is drawn. The next factor cannot be told from
/// the last without knowing it, so this bounds what one leaked factor is good for.
const BLINDING_USES: u32 = 256;

/// A modulus with its constants.
pub(super) struct Odd {
    pub(super) m: Number,
    pub(super) k0: Zeroizing<u64>,
    /// `R mod m`.
    pub(super) one: Number,
    /// `R^2 mod m`.
    pub(super) square: Number,
}

impl Odd {
    fn new(bytes: &[u8], limbs: usize) -> Self {
        let m = number::from_bytes(bytes, limbs);
        let one = number::montgomery(&number::one(limbs), &m);
        let square = number::montgomery(&one, &m);
        Self { k0: Zeroizing::new(number::negative_inverse(m[0])), m, one, square }
    }
}

/// One half of a private key.
pub(super) struct Half {
    pub(super) prime: Odd,
    /// `R^3 mod m`.
    pub(super) cube: Number,
    /// The exponent in words of 64 bits, least significant first.
    pub(super) exponent: Zeroizing<Vec<u64>>,
}

impl Half {
    fn new(prime: &[u8], exponent: &[u8], limbs: usize, words: usize) -> Self {
        let prime = Odd::new(prime, limbs);
        let cube = number::montgomery(&prime.square, &prime.m);
        let mut digits = Zeroizing::new(vec![0; words]);
        for (index, byte) in exponent.iter().rev().enumerate() {
            if let Some(word) = digits.get_mut(index / 8) {
                *word |= u64::from(*byte) << (8 * (index % 8));
            }
        }
        Self { prime, cube, exponent: digits }
    }
}

/// A blinding factor `r^e` and what undoes it, `1/r`, both in Montgomery form.
pub(super) struct Blinding {
    pub(super) factor: Number,
    pub(super) undo: Number,
    uses: u32,
}

/// An RSA key in the form of the batch engine.
pub(super) struct BatchKey {
    /// Blocks of a prime: 2, 3 or 4 for moduli of 2048, 3072 and 4096 bits.
    pub(super) blocks: usize,
    pub(super) n: Odd,
    pub(super) p: Half,
    pub(super) q: Half,
    /// `1/q mod p`, in Montgomery form.
    pub(super) q_inverse: Number,
    blinding: Mutex<Vec<Blinding>>,
}

impl fmt::Debug for BatchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BatchKey({} bits)", 1024 * self.blocks)
    }
}

impl BatchKey {
    /// `None` if the kernels cannot do this key: another public exponent than 65537, primes of
    /// different lengths, or another modulus than 2048, 3072 or 4096 bits.
    pub(super) fn new(parts: &RsaParts<'_>) -> Option<Self> {
        let bits = number::bits(parts.n);
        if !matches!(bits, 2048 | 3072 | 4096)
            || number::bits(parts.p) != bits / 2
            || number::bits(parts.q) != bits / 2
            || parts.e.iter().skip_while(|byte| **byte == 0).ne(&[1, 0, 1])
        {
            return None;
        }
        let blocks = bits / 1024;
        let (limbs, words) = (BLOCK * blocks, bits / 128);
        let p = Half::new(parts.p, parts.dp, limbs, words);
        let q_inverse = number::montgomery(&number::from_bytes(parts.q_inverse, limbs), &p.prime.m);
        Some(Self {
            blocks,
            n: Odd::new(parts.n, 2 * limbs),
            q: Half::new(parts.q, parts.dq, limbs, words),
            p,
            q_inverse,
            blinding: Mutex::default(),
        })
    }

    /// Length of the modulus in bits.
    pub(super) fn modulus_bits(&self) -> u32 {
        // 2, 3 or 4 blocks.
        1024 * u32::try_from(self.blocks).unwrap_or(0)
    }

    /// Length of the modulus in bytes.
    pub(super) fn modulus_len(&self) -> usize {
        128 * self.blocks
    }

    /// A blinding factor that nobody else uses. `None` if the library makes none.
    pub(super) fn blinding(
        &self,
        backend: impl Backend,
        raw: &raw_rsa::PrivateKey,
    ) -> Option<Blinding> {
        let kept = self.blinding.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.or_else(|| self.draw(backend, raw))
    }

    /// Takes a squared factor back.
    pub(super) fn give_back(&self, mut blinding: Blinding) {
        blinding.uses += 1;
        if blinding.uses < BLINDING_USES {
            self.blinding.lock().unwrap_or_else(PoisonError::into_inner).push(blinding);
        }
    }

    fn draw(&self, backend: impl Backend, raw: &raw_rsa::PrivateKey) -> Option<Blinding> {
        let drawn = raw.blinding().ok()?;
        let limbs = self.n.m.len();
        let factor = number::from_bytes(&drawn.factor, limbs);
        let undo = number::from_bytes(&drawn.undo, limbs);
        let mut x = rows(limbs, |lane| if lane == 0 { &factor } else { &undo });
        let (m, square) = (rows(limbs, |_| &self.n.m), rows(limbs, |_| &self.n.square));
        let mut t = Zeroizing::new(vec![ZEROS; 2 * x.len()]);
        let modulus = Modulus { m: &m, k0: &Row([*self.n.k0; LANES]) };
        backend.multiply(&mut x, &square, modulus, &mut t);
        Some(Blinding { factor: lane(&x, 0), undo: lane(&x, 1), uses: 0 })
    }
}

/// Numbers of eight lanes. Overwritten when dropped.
pub(super) type Rows = Zeroizing<Vec<Block>>;

/// Numbers of `limbs` limbs, side by side.
pub(super) fn rows<'a>(limbs: usize, number: impl Fn(usize) -> &'a Number) -> Rows {
    let mut rows = Zeroizing::new(vec![ZEROS; limbs / BLOCK]);
    for lane in 0..LANES {
        for (row, limb) in rows.as_flattened_mut().iter_mut().zip(number(lane).iter()) {
            row.0[lane] = *limb;
        }
    }
    rows
}

/// The number of one lane.
pub(super) fn lane(rows: &[Block], lane: usize) -> Number {
    Zeroizing::new(rows.as_flattened().iter().map(|row| row.0[lane]).collect())
}
