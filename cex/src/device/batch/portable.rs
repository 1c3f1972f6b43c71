//! The kernels over eight ordinary integers: the same code as the vectors run, on any processor.
//!
//! The reference of the tests, far too slow for work. A multiplication sums whole 104-bit products
//! in columns of 64 bits, so [`Words`] adds with overflow checks: a column that is too small for
//! its sums fails here.

use super::backend::Backend;
use super::kernel::{self, Modulus, Shelf};
use super::lanes::{Block, LANES, LIMB_BITS, LIMB_MASK, Lanes, Row};

/// Eight ordinary integers. Its operations are calls: the kernels are unrolled for a vector unit,
/// and eight multiplications in each of their thousands of places would take minutes to compile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words([u64; LANES]);

impl Words {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

#[inline(always)]
fn product(a: u64, b: u64) -> u128 {
    u128::from(a & LIMB_MASK) * u128::from(b & LIMB_MASK)
}

#[allow(clippy::cast_possible_truncation, reason = "both halves of a product have 52 bits")]
impl Lanes for Words {
    #[inline(never)]
    fn load(row: &Row) -> Self {
        Self(row.0)
    }

    #[inline(never)]
    fn store(self, row: &mut Row) {
        row.0 = self.0;
    }

    #[inline(never)]
    fn splat(value: u64) -> Self {
        Self([value; LANES])
    }

    #[inline(never)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a.checked_add(b).expect("a column overflows"))
    }

    #[inline(never)]
    fn and(self, other: Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    #[inline(never)]
    fn carry_out(self) -> Self {
        Self(self.0.map(|a| a >> LIMB_BITS))
    }

    #[inline(never)]
    fn add_low(self, a: Self, b: Self) -> Self {
        self.add(a.zip(b, |a, b| product(a, b) as u64 & LIMB_MASK))
    }

    #[inline(never)]
    fn add_high(self, a: Self, b: Self) -> Self {
        self.add(a.zip(b, |a, b| (product(a, b) >> LIMB_BITS) as u64))
    }

    #[inline(never)]
    fn equal(self, other: Self) -> Self {
        // The top bit of d | -d says whether d is not 0.
        self.zip(other, |a, b| {
            let d = a ^ b;
            std::hint::black_box(((d | d.wrapping_neg()) >> 63).wrapping_sub(1))
        })
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
    fn product(self, t: &mut [Block], a: &[Block], b: &[Block]) {
        kernel::product::<Words>(t, a, b);
    }

    fn reduce(self, x: &mut [Block], t: &mut [Block], modulus: Modulus<'_>) {
        kernel::reduce::<Words>(x, t, modulus);
    }

    fn multiply(self, x: &mut [Block], y: &[Block], modulus: Modulus<'_>, t: &mut [Block]) {
        kernel::multiply::<Words>(x, y, modulus, t);
    }

    fn square(self, x: &mut [Block], modulus: Modulus<'_>, t: &mut [Block]) {
        kernel::square::<Words>(x, modulus, t);
    }

    fn select(self, x: &mut [Block], table: &[Shelf], digit: &Row) {
        kernel::select::<Words>(x, table, digit);
    }
}
