//! Eight 64-bit lanes: the vocabulary in which the kernels are written.
//!
//! A kernel is written once over [`Lanes`] and compiled twice: over AVX-512 registers (`ifma`),
//! and over eight ordinary integers (`portable`), the reference of the tests. Numbers lie in
//! memory limb by limb: [`Row`] `i` holds limb `i`, 52 bits, of eight numbers.
//!
//! Invariant: no method branches on or indexes by the value of a lane.

use zeroize::Zeroize;

/// Bits of a limb: what the multiplier of AVX-512 IFMA takes.
pub(super) const LIMB_BITS: u32 = 52;
/// The bits of a limb.
pub(super) const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;
/// Lanes of a vector.
pub(super) const LANES: usize = 8;
/// Limbs that a kernel handles together: as many as leave room for 20 sums in 32 registers.
pub(super) const BLOCK: usize = 10;

/// The same limb of eight numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Row(pub(super) [u64; LANES]);

impl Zeroize for Row {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// Ten limbs of eight numbers.
pub(super) type Block = [Row; BLOCK];

/// A block of zeros.
pub(super) const ZEROS: Block = [Row([0; LANES]); BLOCK];

/// Eight lanes in registers.
pub(super) trait Lanes: Copy {
    fn load(row: &Row) -> Self;
    fn store(self, row: &mut Row);
    fn splat(value: u64) -> Self;
    fn add(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    /// Logical shift by [`LIMB_BITS`].
    fn carry_out(self) -> Self;
    /// `self` + the low 52 bits of the product of the low 52 bits of `a` and `b`.
    fn add_low(self, a: Self, b: Self) -> Self;
    /// `self` + the bits of that product from the 52nd on.
    fn add_high(self, a: Self, b: Self) -> Self;
    /// All ones where the lanes are equal, all zeros elsewhere. The compiler does not know that
    /// it is one of the two.
    fn equal(self, other: Self) -> Self;
    /// Bits of `yes` where `self` has ones, of `no` elsewhere.
    fn choose(self, yes: Self, no: Self) -> Self;
}
