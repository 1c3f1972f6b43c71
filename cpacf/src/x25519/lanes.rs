//! Eight 64-bit lanes: the vocabulary in which the kernels are written.
//!
//! A kernel is written once over [`Lanes`] and compiled twice: over AVX-512 registers (`ifma`),
//! and over eight ordinary integers (`portable`), the reference of the tests. Numbers lie in
//! memory limb by limb: [`Row`] `i` holds limb `i` of eight numbers.
//!
//! The trait is a sibling of the one in cex's batch engine, not the same: signed differences and
//! shifts instead of table look-ups. The two crates know nothing of each other.
//!
//! Invariant: no method branches on or indexes by the value of a lane.

use zeroize::Zeroize;

/// Bits of a limb: what the multiplier of AVX-512 IFMA takes.
pub(super) const LIMB_BITS: u32 = 52;
/// Multiplications that are done together.
pub const LANES: usize = 8;

/// The same limb of eight numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Row(pub(super) [u64; LANES]);

impl Zeroize for Row {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// Eight lanes in registers. Sums and differences are those of signed integers.
pub(super) trait Lanes: Copy {
    fn load(row: &Row) -> Self;
    fn store(self, row: &mut Row);
    fn splat(value: i64) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    /// Shift by `BITS` that keeps the sign.
    fn shift_right<const BITS: u32>(self) -> Self;
    /// `self` + the low 52 bits of the product of the low 52 bits of `a` and `b`.
    fn add_low(self, a: Self, b: Self) -> Self;
    /// `self` + the bits of that product from the 52nd on.
    fn add_high(self, a: Self, b: Self) -> Self;
    /// Twice `self`, the top bit dropped.
    fn double(self) -> Self;
    /// All ones where the top bit is set, all zeros elsewhere. The compiler does not know that it
    /// is one of the two.
    fn top_bit(self) -> Self;
    /// Bits of `yes` where `self` has ones, of `no` elsewhere.
    fn choose(self, yes: Self, no: Self) -> Self;
}
