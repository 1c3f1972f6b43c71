//! The kernels over AVX-512 registers with the 52-bit multiplier (IFMA). The only file of this
//! crate with `unsafe`.
//!
//! Invariants:
//! * [`Ifma`] exists only where the processor has the instructions ([`Ifma::detect`]).
//! * [`Zmm`] is private and is named only inside the functions below that enable the
//!   instructions, so its methods, which are inlined, are executed nowhere else.
//! * Masks of secret bits are vectors that the compiler cannot see through: it would otherwise
//!   make masked loads of a choice, whose accesses depend on the secret.
#![allow(unsafe_code, reason = "vector instructions outside the baseline of the target")]

use std::arch::asm;
use std::arch::x86_64::*;

use super::backend::Backend;
use super::field::{self, Element};
use super::lanes::{Lanes, Row};

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
    fn splat(value: i64) -> Self {
        // SAFETY: the second invariant of the module.
        Self(unsafe { _mm512_set1_epi64(value) })
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: the second invariant of the module.
        Self(unsafe { _mm512_add_epi64(self.0, other.0) })
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: the second invariant of the module.
        Self(unsafe { _mm512_sub_epi64(self.0, other.0) })
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: the second invariant of the module.
        Self(unsafe { _mm512_and_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn shift_right<const BITS: u32>(self) -> Self {
        // SAFETY: the second invariant of the module.
        Self(unsafe { _mm512_srai_epi64::<BITS>(self.0) })
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
    fn double(self) -> Self {
        self.add(self)
    }

    #[inline(always)]
    fn top_bit(self) -> Self {
        // SAFETY: the second invariant of the module.
        Self(unsafe { top_bit(self.0) })
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
fn top_bit(a: __m512i) -> __m512i {
    let mut mask = _mm512_srai_epi64::<63>(a);
    // SAFETY: there is no instruction; the compiler only cannot know what the register holds.
    unsafe {
        asm!("/* {0} */", inout(zmm_reg) mask, options(pure, nomem, nostack, preserves_flags));
    }
    mask
}

// One function for each kernel, never inlined: a test looks at them by name.

#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma")]
fn x25519_ladder(x: &mut Element, z: &mut Element, turns: &[Row; 4]) {
    field::ladder::<Zmm>(x, z, turns);
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma")]
fn x25519_power(x: &mut Element, times: usize, y: &Element) {
    field::power::<Zmm>(x, times, y);
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512ifma")]
fn x25519_finish(x: &mut Element, y: &Element) {
    field::finish::<Zmm>(x, y);
}

impl Backend for Ifma {
    fn ladder(self, x: &mut Element, z: &mut Element, turns: &[Row; 4]) {
        // SAFETY: the first invariant of the module.
        unsafe { x25519_ladder(x, z, turns) }
    }

    fn power(self, x: &mut Element, times: usize, y: &Element) {
        // SAFETY: the first invariant of the module.
        unsafe { x25519_power(x, times, y) }
    }

    fn finish(self, x: &mut Element, y: &Element) {
        // SAFETY: the first invariant of the module.
        unsafe { x25519_finish(x, y) }
    }
}
