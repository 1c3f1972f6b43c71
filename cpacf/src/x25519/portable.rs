//! The kernels over eight ordinary integers: the same code as the vectors run, on any processor.
//!
//! The reference of the tests, far too slow for work. [`Words`] adds and subtracts with overflow
//! checks: a column that is too small for its sums fails here.

use super::backend::Backend;
use super::field::{self, Element, LIMB_MASK};
use super::lanes::{LANES, LIMB_BITS, Lanes, Row};

/// Eight ordinary integers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words([i64; LANES]);

impl Words {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(i64, i64) -> i64) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

fn product(a: i64, b: i64) -> u128 {
    u128::from(a.cast_unsigned() & LIMB_MASK) * u128::from(b.cast_unsigned() & LIMB_MASK)
}

#[allow(clippy::cast_possible_truncation, reason = "both halves of a product have 52 bits")]
impl Lanes for Words {
    #[inline(never)]
    fn load(row: &Row) -> Self {
        Self(row.0.map(u64::cast_signed))
    }

    #[inline(never)]
    fn store(self, row: &mut Row) {
        row.0 = self.0.map(i64::cast_unsigned);
    }

    #[inline(never)]
    fn splat(value: i64) -> Self {
        Self([value; LANES])
    }

    #[inline(never)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a.checked_add(b).expect("a column overflows"))
    }

    #[inline(never)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a.checked_sub(b).expect("a column overflows"))
    }

    #[inline(never)]
    fn and(self, other: Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    #[inline(never)]
    fn shift_right<const BITS: u32>(self) -> Self {
        Self(self.0.map(|a| a >> BITS))
    }

    #[inline(never)]
    fn add_low(self, a: Self, b: Self) -> Self {
        self.add(a.zip(b, |a, b| ((product(a, b) as u64) & LIMB_MASK).cast_signed()))
    }

    #[inline(never)]
    fn add_high(self, a: Self, b: Self) -> Self {
        self.add(a.zip(b, |a, b| ((product(a, b) >> LIMB_BITS) as u64).cast_signed()))
    }

    #[inline(never)]
    fn double(self) -> Self {
        Self(self.0.map(|a| a << 1))
    }

    #[inline(never)]
    fn top_bit(self) -> Self {
        Self(self.0.map(|a| a >> 63))
    }

    #[inline(never)]
    fn choose(self, yes: Self, no: Self) -> Self {
        let kept = no.zip(self, |no, mask| no & !mask);
        self.and(yes).zip(kept, |a, b| a | b)
    }
}

/// The kernels on ordinary integers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portable;

impl Backend for Portable {
    fn ladder(self, x: &mut Element, z: &mut Element, turns: &[Row; 4]) {
        field::ladder::<Words>(x, z, turns);
    }

    fn power(self, x: &mut Element, times: usize, y: &Element) {
        field::power::<Words>(x, times, y);
    }

    fn finish(self, x: &mut Element, y: &Element) {
        field::finish::<Words>(x, y);
    }
}
