//! The arithmetic that takes the time: eight Montgomery multiplications at once.
//!
//! *Almost* Montgomery: factors and results are below `2m`, not `m`, and nothing is subtracted in
//! between. With `R = 2^(52 n)` that needs `4m <= R`. Every multiplication first sums the whole
//! product in 2n columns of 64 bits, then clears the n lower columns one after the other by
//! adding multiples of `m`, then carries. A column never reaches 2^62 for n up to 80.
//!
//! Everything moves in blocks of ten limbs: a tile of ten by ten products has 20 sums and ten
//! factors in registers and loads one factor per ten products. A square computes the products off
//! the diagonal once and doubles their sums when it stores them.
//!
//! Invariants: the sizes are public; no value of a lane decides a branch or an address; loops run
//! over blocks only, everything inside a block is unrolled. `#[inline(always)]`, because the code
//! must be compiled into the function that enables the vector instructions.
//!
//! Sources: P. L. Montgomery, Modular multiplication without trial division (1985); S. Gueron and
//! V. Krasnov, Software implementation of modular exponentiation using advanced vector
//! instructions (2012).

#![allow(clippy::absurd_extreme_comparisons, reason = "indices of unrolled loops are constants")]

use super::lanes::{BLOCK, Block, LIMB_MASK, Lanes, Row};

/// Entries of the table of powers: four bits of the exponent at a time.
pub(super) const ENTRIES: usize = 16;

/// One limb of all entries of the table.
pub(super) type Shelf = [Row; ENTRIES];

/// Modulus of each lane.
#[derive(Clone, Copy)]
pub(super) struct Modulus<'a> {
    /// The moduli, odd, at least two blocks.
    pub(super) m: &'a [Block],
    /// `-1/m mod 2^52`.
    pub(super) k0: &'a Row,
}

/// Repeats the body with a constant from 0 to 9.
macro_rules! ten {
    ($i:ident, $body:expr) => {{
        ten!(@ $i, $body, 0 1 2 3 4 5 6 7 8 9);
    }};
    (@ $i:ident, $body:expr, $($n:literal)*) => {
        $({
            const $i: usize = $n;
            $body
        })*
    };
}

/// Sums of 20 neighbouring columns.
type Sums<V> = [V; 2 * BLOCK];

#[inline(always)]
fn zero<V: Lanes>() -> V {
    V::splat(0)
}

#[inline(always)]
fn load<V: Lanes>(block: &Block) -> [V; BLOCK] {
    std::array::from_fn(|i| V::load(&block[i]))
}

/// Adds the products of all limbs of one block with all limbs of another.
#[inline(always)]
fn tile<V: Lanes>(sums: &mut Sums<V>, held: &[V; BLOCK], other: &Block) {
    ten!(J, {
        let factor = V::load(&other[J]);
        ten!(I, sums[I + J] = sums[I + J].add_low(held[I], factor));
        ten!(I, sums[I + J + 1] = sums[I + J + 1].add_high(held[I], factor));
    });
}

/// Adds the products of different limbs of one block, each pair once.
#[inline(always)]
fn triangle<V: Lanes>(sums: &mut Sums<V>, held: &[V; BLOCK]) {
    ten!(J, {
        ten!(I, {
            if I < J {
                sums[I + J] = sums[I + J].add_low(held[I], held[J]);
                sums[I + J + 1] = sums[I + J + 1].add_high(held[I], held[J]);
            }
        });
    });
}

/// Forgets the lower ten columns: the upper ones take their place.
#[inline(always)]
fn slide<V: Lanes>(sums: &mut Sums<V>) {
    ten!(I, {
        sums[I] = sums[I + BLOCK];
        sums[I + BLOCK] = zero();
    });
}

/// `t = a * b`, columns not carried. `t` has twice as many blocks as each factor.
#[inline(always)]
pub(super) fn product<V: Lanes>(t: &mut [Block], a: &[Block], b: &[Block]) {
    let top = a.len() - 1;
    let mut sums = [zero::<V>(); 2 * BLOCK];
    for (column, out) in t.iter_mut().enumerate() {
        // The last block of columns has no tile of its own.
        let low = column.saturating_sub(top);
        let high = column.min(top);
        for i in low..=high {
            tile(&mut sums, &load(&a[i]), &b[column - i]);
        }
        ten!(I, sums[I].store(&mut out[I]));
        slide(&mut sums);
    }
}

/// Stores ten columns of a square: twice the sum, and the square of limb `c / 2` in the columns
/// `c` and `c + 1`.
#[inline(always)]
fn store_doubled<V: Lanes>(sums: &mut Sums<V>, limbs: &[Row; BLOCK / 2], out: &mut Block) {
    ten!(I, {
        let limb = V::load(&limbs[I / 2]);
        let doubled = sums[I].add(sums[I]);
        let sum = if I.is_multiple_of(2) {
            doubled.add_low(limb, limb)
        } else {
            doubled.add_high(limb, limb)
        };
        sum.store(&mut out[I]);
    });
    slide(sums);
}

/// The tiles of a square in one block of columns, without the one on the diagonal.
#[inline(always)]
fn cross<V: Lanes>(sums: &mut Sums<V>, a: &[Block], column: usize) {
    let low = (column + 1).saturating_sub(a.len());
    for i in low..column.div_ceil(2) {
        tile(sums, &load(&a[i]), &a[column - i]);
    }
}

/// `t = a * a`, columns not carried.
#[inline(always)]
pub(super) fn squares<V: Lanes>(t: &mut [Block], a: &[Block]) {
    let mut sums = [zero::<V>(); 2 * BLOCK];
    for (i, (limbs, out)) in a.iter().zip(t.as_chunks_mut::<2>().0).enumerate() {
        let [lower, upper] = limbs.as_chunks::<{ BLOCK / 2 }>().0 else { return };
        cross(&mut sums, a, 2 * i);
        triangle(&mut sums, &load(limbs));
        store_doubled(&mut sums, lower, &mut out[0]);
        cross(&mut sums, a, 2 * i + 1);
        store_doubled(&mut sums, upper, &mut out[1]);
    }
}

/// Clears ten columns with the lower 20 limbs of the modulus; gives the multiples of it.
///
/// The carry out of a cleared column needs no product: the column becomes 0 modulo 2^52, so what
/// is carried is the column divided by 2^52, rounded up.
#[inline(always)]
fn clear<V: Lanes>(t: &mut [Block; 3], m: &[Block; 2], k0: V) -> [V; BLOCK] {
    let mut w: [V; 3 * BLOCK] = [zero(); 3 * BLOCK];
    ten!(I, {
        w[I] = V::load(&t[0][I]);
        w[I + BLOCK] = V::load(&t[1][I]);
    });
    let mut multiples = [zero::<V>(); BLOCK];
    let (round, m0) = (V::splat(LIMB_MASK), V::load(&m[0][0]));
    ten!(J, {
        w[J + 2 * BLOCK] = V::load(&t[2][J]);
        let multiple = zero::<V>().add_low(w[J], k0);
        multiples[J] = multiple;
        let carry = w[J].add(round).carry_out();
        // Two sums, to have the next multiple soon.
        let mut next = carry;
        w[J + 1] = w[J + 1].add_high(multiple, m0);
        ten!(I, {
            if I > 0 {
                let limb = V::load(&m[0][I]);
                if I == 1 {
                    next = next.add_low(multiple, limb);
                    w[J + 1] = w[J + 1].add(next);
                } else {
                    w[J + I] = w[J + I].add_low(multiple, limb);
                }
                w[J + I + 1] = w[J + I + 1].add_high(multiple, limb);
            }
        });
        ten!(I, {
            let limb = V::load(&m[1][I]);
            w[J + I + BLOCK] = w[J + I + BLOCK].add_low(multiple, limb);
            w[J + I + BLOCK + 1] = w[J + I + BLOCK + 1].add_high(multiple, limb);
        });
    });
    ten!(I, {
        w[I + BLOCK].store(&mut t[1][I]);
        w[I + 2 * BLOCK].store(&mut t[2][I]);
    });
    multiples
}

/// `x = t / R mod m`, below `2m` if `t` is below `mR`. `t` is used up.
#[inline(always)]
pub(super) fn reduce<V: Lanes>(x: &mut [Block], t: &mut [Block], modulus: Modulus<'_>) {
    let k0 = V::load(modulus.k0);
    let Some((low, high)) = modulus.m.split_first_chunk::<2>() else { return };
    for row in 0..modulus.m.len() {
        let Some((head, tail)) = t[row..].split_first_chunk_mut::<3>() else { return };
        let multiples = clear(head, low, k0);
        if high.is_empty() {
            continue;
        }
        let mut sums = [zero::<V>(); 2 * BLOCK];
        ten!(I, sums[I] = V::load(&head[2][I]));
        let mut out = &mut head[2];
        for (limbs, next) in high.iter().zip(tail) {
            ten!(I, sums[I + BLOCK] = V::load(&next[I]));
            tile(&mut sums, &multiples, limbs);
            ten!(I, sums[I].store(&mut out[I]));
            slide(&mut sums);
            out = next;
        }
        ten!(I, sums[I].store(&mut out[I]));
    }
    carry::<V>(x, &t[modulus.m.len()..]);
}

/// `x = t` with limbs of 52 bits. What is carried out of the last limb is dropped.
#[inline(always)]
pub(super) fn carry<V: Lanes>(x: &mut [Block], t: &[Block]) {
    let mask = V::splat(LIMB_MASK);
    let mut carry = zero::<V>();
    for (x, t) in x.iter_mut().zip(t) {
        ten!(I, {
            let sum = V::load(&t[I]).add(carry);
            sum.and(mask).store(&mut x[I]);
            carry = sum.carry_out();
        });
    }
}

/// `x = x * y / R mod m`.
#[inline(always)]
pub(super) fn multiply<V: Lanes>(
    x: &mut [Block],
    y: &[Block],
    modulus: Modulus<'_>,
    t: &mut [Block],
) {
    product::<V>(t, x, y);
    reduce::<V>(x, t, modulus);
}

/// `x = x * x / R mod m`.
#[inline(always)]
pub(super) fn square<V: Lanes>(x: &mut [Block], modulus: Modulus<'_>, t: &mut [Block]) {
    squares::<V>(t, x);
    reduce::<V>(x, t, modulus);
}

/// Takes from the table the entry that each lane of `digit` (0 to 15) names. Every entry is read.
#[inline(always)]
pub(super) fn select<V: Lanes>(x: &mut [Block], table: &[Shelf], digit: &Row) {
    let digit = V::load(digit);
    let wanted: [V; ENTRIES] = std::array::from_fn(|entry| digit.equal(V::splat(entry as u64)));
    for (limb, shelf) in x.as_flattened_mut().iter_mut().zip(table) {
        let mut found = zero::<V>();
        for (wanted, entry) in wanted.iter().zip(shelf) {
            found = wanted.choose(V::load(entry), found);
        }
        found.store(limb);
    }
}
