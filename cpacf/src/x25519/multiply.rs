//! Eight scalar multiplications: numbers into lanes, ladder, division, numbers out of lanes.
//!
//! Source: RFC 7748 section 5. The exponent p - 2 of the division by the addition chain that
//! D. J. Bernstein's implementations use.

use zeroize::{Zeroize, Zeroizing};

use super::backend::Backend;
use super::field::{Element, LIMB_MASK, LIMBS, TOP_MASK};
use super::lanes::{LANES, LIMB_BITS, Row};

/// Bytes of a scalar and of a coordinate.
pub(crate) const LEN: usize = 32;

/// Scalars or coordinates of eight lanes.
pub(crate) type Numbers = [[u8; LEN]; LANES];

/// The powers of z that the division needs: `slots[to] = slots[from]^(2^squarings) * slots[by]`.
/// Slot 0 is z, slot 1 is z^2.
const CHAIN: [(usize, usize, usize, usize); 11] = [
    (1, 2, 0, 2),   // 9
    (2, 0, 1, 3),   // 11
    (3, 1, 2, 4),   // 2^5 - 1
    (4, 5, 4, 5),   // 2^10 - 1
    (5, 10, 5, 6),  // 2^20 - 1
    (6, 20, 6, 2),  // 2^40 - 1
    (2, 10, 5, 5),  // 2^50 - 1
    (5, 50, 5, 6),  // 2^100 - 1
    (6, 100, 6, 6), // 2^200 - 1
    (6, 50, 5, 5),  // 2^250 - 1
    (5, 5, 3, 0),   // 2^255 - 21
];
const SLOTS: usize = 7;

/// Each scalar, clamped, times the point with each coordinate.
///
/// A coordinate of small order gives zero. It is for the caller to refuse that.
pub(super) fn multiply<B: Backend>(
    backend: B,
    scalars: &Numbers,
    coordinates: &Numbers,
) -> Zeroizing<Numbers> {
    let turns = Zeroizing::new(turns(scalars));
    let mut x = Zeroizing::new(limbs(coordinates));
    let mut slots = Zeroizing::new([[Row::default(); LIMBS]; SLOTS]);
    backend.ladder(&mut x, &mut slots[0], &turns);
    invert(backend, &mut slots);
    backend.finish(&mut x, &slots[0]);
    bytes(&x)
}

/// Divides 1 by slot 0; zero gives zero.
fn invert<B: Backend>(backend: B, slots: &mut [Element; SLOTS]) {
    let mut one = [Row::default(); LIMBS];
    one[0] = Row([1; LANES]);
    let mut power = Zeroizing::new(slots[0]);
    backend.power(&mut power, 1, &one);
    slots[1] = *power;
    for (from, squarings, by, to) in CHAIN {
        *power = slots[from];
        backend.power(&mut power, squarings, &slots[by]);
        slots[to] = *power;
    }
}

/// The words of eight numbers, the lowest first.
fn words(numbers: &Numbers) -> Zeroizing<[Row; 4]> {
    let mut words = Zeroizing::new([Row::default(); 4]);
    for (lane, number) in numbers.iter().enumerate() {
        for (row, word) in words.iter_mut().zip(number.as_chunks::<8>().0) {
            row.0[lane] = u64::from_le_bytes(*word);
        }
    }
    words
}

/// For each bit of the clamped scalars whether it differs from the one above; the top word first.
fn turns(scalars: &Numbers) -> [Row; 4] {
    let mut words = words(scalars);
    for lane in 0..LANES {
        words[0].0[lane] &= !7;
        words[3].0[lane] &= u64::MAX >> 1;
        words[3].0[lane] |= 1 << 62;
    }
    std::array::from_fn(|i| {
        let row = 3 - i;
        Row(std::array::from_fn(|lane| {
            let word = words[row].0[lane];
            let above = words.get(row + 1).map_or(0, |row| row.0[lane]);
            word ^ (word >> 1 | above << 63)
        }))
    })
}

/// The low 255 bits of eight numbers as limbs.
fn limbs(numbers: &Numbers) -> Element {
    let words = words(numbers);
    std::array::from_fn(|i| {
        let bit = i * LIMB_BITS as usize;
        let (row, shift) = (bit / 64, bit % 64);
        let mask = if i == LIMBS - 1 { TOP_MASK } else { LIMB_MASK };
        Row(std::array::from_fn(|lane| {
            let above = words.get(row + 1).map_or(0, |row| row.0[lane]);
            let wide = u128::from(above) << 64 | u128::from(words[row].0[lane]);
            low(wide >> shift) & mask
        }))
    })
}

/// Limbs without anything above their 52 bits as bytes.
fn bytes(limbs: &Element) -> Zeroizing<Numbers> {
    let mut numbers = Zeroizing::new([[0; LEN]; LANES]);
    for (lane, number) in numbers.iter_mut().enumerate() {
        for (i, word) in number.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let bit = i * 64;
            let (limb, shift) = (bit / LIMB_BITS as usize, bit % LIMB_BITS as usize);
            let at = |limb: usize| limbs.get(limb).map_or(0, |row| u128::from(row.0[lane]));
            let wide = at(limb) | at(limb + 1) << LIMB_BITS | at(limb + 2) << (2 * LIMB_BITS);
            *word = low(wide >> shift).to_le_bytes();
        }
    }
    numbers
}

#[allow(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low(wide: u128) -> u64 {
    wide as u64
}

/// Overwrites the part of the stack that the kernels have spilled to.
#[inline(never)]
pub(super) fn wipe_stack() {
    let mut burnt = [Row::default(); 64];
    burnt.zeroize();
    std::hint::black_box(&mut burnt);
}
