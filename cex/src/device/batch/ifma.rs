//! The kernels over AVX-512 registers with the 52-bit multiplier (IFMA). The other file of this
//! crate with `unsafe`.
//!
//! Invariants:
//! * [`Ifma`] exists only where the processor has the instructions ([`Ifma::detect`]).
//! * [`Zmm`] is private and is named only inside the functions below that enable the
//!   instructions, so its methods, which are inlined, are executed nowhere else.
//! * The selection out of the table is arithmetic on masks that the compiler cannot see through:
//!   it would otherwise turn it into loads under a mask, whose accesses depend on the secret.
//!
//! What is left in registers after an operation is not overwritten; the next one does that.
#![allow(unsafe_code, reason = "vector instructions outside the baseline of the target")]

use std::arch::asm;
use std::arch::x86_64::*;

use super::backend::Backend;
use super::kernel::{self, Modulus, Shelf};
use super::lanes::{Block, LIMB_BITS, Lanes, Row};

/// Proof that the processor has AVX-512 F and IFMA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ifma(());

impl Ifma {
    /// Asks the processor.
    pub(crate) fn detect() -> Option<Self> {
        let there = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma");
        there.then_some(Self(()))
    }
}

#[derive(Clone, Copy)]
struct Zmm(__m512i);

impl Lanes for Zmm {
    #[inline(always)]
    fn load(row: &Row) -> Self {
        // SAFETY: a row is 64 bytes, aligned to 64; the second invariant of the module.
        Self(unsafe { _mm512_load_si512(row.0.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store(self, row: &mut Row) {
        // SAFETY: a row is 64 bytes, aligned to 64; the second invariant of the module.
        unsafe { _mm512_store_si512(row.0.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn splat(value: u64) -> Self {
        // SAFETY: the second invariant of the module.
        Self(unsafe { _mm512_set1_epi64(value.cast_signed()) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: the second invariant of the module.
        Self(unsafe { _mm512_add_epi64(self.0, other.0) })
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: the second invariant of the module.
        Self(unsafe { _mm512_and_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn carry_out(self) -> Self {
        // SAFETY: the second invariant of the module.
        Self(unsafe { _mm512_srli_epi64::<LIMB_BITS>(self.0) })
    }

    #[inline(always)]
    fn add_low(self, a: Self, b: Self) -> Self {
        // SAFETY: the second invariant of the module.
        Self(unsafe { _mm512_madd52lo_epu64(self.0, a.0, b.0) })
    }

    #[inline(always)]
    fn add_high(self, a: Self, b: Self) -> Self {
        // SAFETY: the second invariant of the module.
        Self(unsafe { _mm512_madd52hi_epu64(self.0, a.0, b.0) })
    }

    #[inline(always)]
    fn equal(self, other: Self) -> Self {
        // SAFETY: the second invariant of the module.
        Self(unsafe { equal(self.0, other.0) })
    }

    #[inline(always)]
    fn choose(self, yes: Self, no: Self) -> Self {
        // The truth table of `if a { b } else { c }`.
        const IF_THEN_ELSE: i32 = 0xca;
        // SAFETY: the second invariant of the module.
        Self(unsafe { _mm512_ternarylogic_epi64::<IF_THEN_ELSE>(self.0, yes.0, no.0) })
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn equal(a: __m512i, b: __m512i) -> __m512i {
    let mut mask = _mm512_maskz_set1_epi64(_mm512_cmpeq_epi64_mask(a, b), -1);
    // SAFETY: there is no instruction; the compiler only cannot know what the register holds.
    unsafe {
        asm!("/* {0} */", inout(zmm_reg) mask, options(pure, nomem, nostack, preserves_flags));
    }
    mask
}

// One function for each kernel, never inlined: a test looks at them by name. The parts of the
// modulus are handed over one by one, so that no general register ever reads through a pointer.

#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma")]
fn ifma_product(t: &mut [Block], a: &[Block], b: &[Block]) {
    kernel::product::<Zmm>(t, a, b);
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma")]
fn ifma_reduce(x: &mut [Block], t: &mut [Block], m: &[Block], k0: &Row) {
    kernel::reduce::<Zmm>(x, t, Modulus { m, k0 });
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma")]
fn ifma_multiply(x: &mut [Block], y: &[Block], m: &[Block], k0: &Row, t: &mut [Block]) {
    kernel::multiply::<Zmm>(x, y, Modulus { m, k0 }, t);
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma")]
fn ifma_square(x: &mut [Block], m: &[Block], k0: &Row, t: &mut [Block]) {
    kernel::square::<Zmm>(x, Modulus { m, k0 }, t);
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma")]
fn ifma_select(x: &mut [Block], table: &[Shelf], digit: &Row) {
    kernel::select::<Zmm>(x, table, digit);
}

impl Backend for Ifma {
    fn product(self, t: &mut [Block], a: &[Block], b: &[Block]) {
        // SAFETY: the first invariant of the module.
        unsafe { ifma_product(t, a, b) }
    }

    fn reduce(self, x: &mut [Block], t: &mut [Block], modulus: Modulus<'_>) {
        // SAFETY: the first invariant of the module.
        unsafe { ifma_reduce(x, t, modulus.m, modulus.k0) }
    }

    fn multiply(self, x: &mut [Block], y: &[Block], modulus: Modulus<'_>, t: &mut [Block]) {
        // SAFETY: the first invariant of the module.
        unsafe { ifma_multiply(x, y, modulus.m, modulus.k0, t) }
    }

    fn square(self, x: &mut [Block], modulus: Modulus<'_>, t: &mut [Block]) {
        // SAFETY: the first invariant of the module.
        unsafe { ifma_square(x, modulus.m, modulus.k0, t) }
    }

    fn select(self, x: &mut [Block], table: &[Shelf], digit: &Row) {
        // SAFETY: the first invariant of the module.
        unsafe { ifma_select(x, table, digit) }
    }
}
