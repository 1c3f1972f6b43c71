//! Single numbers in limbs of 52 bits: from and to bytes, and the constants of a modulus.
//!
//! Used once for each key and at the edges of a batch, never inside an exponentiation. The values
//! may be secret: sizes decide the loops, values decide nothing.

use zeroize::Zeroizing;

use super::lanes::{LIMB_BITS, LIMB_MASK};

/// A number, least significant limb first. Overwritten when dropped.
pub(super) type Number = Zeroizing<Vec<u64>>;

/// Reads big-endian bytes into `limbs` limbs. Bits that do not fit are dropped.
pub(super) fn from_bytes(bytes: &[u8], limbs: usize) -> Number {
    let mut number = Zeroizing::new(vec![0; limbs]);
    for (index, byte) in bytes.iter().rev().enumerate() {
        let (limb, shift) = (8 * index / 52, 8 * index % 52);
        // A byte may lie across two limbs.
        let bits = u64::from(*byte) << shift;
        if let Some(low) = number.get_mut(limb) {
            *low |= bits & LIMB_MASK;
        }
        if let Some(high) = number.get_mut(limb + 1) {
            *high |= bits >> LIMB_BITS;
        }
    }
    number
}

/// Writes `len` big-endian bytes of the number that `limb` gives limb by limb.
pub(super) fn to_bytes(len: usize, limb: impl Fn(usize) -> u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (index, byte) in bytes.iter_mut().rev().enumerate() {
        let (at, shift) = (8 * index / 52, 8 * index % 52);
        let mut bits = limb(at) >> shift;
        if shift > 44 {
            bits |= limb(at + 1) << (52 - shift);
        }
        *byte = bits.to_le_bytes()[0];
    }
    bytes
}

/// `-1/m mod 2^52` for an odd `m`, by Newton's iteration.
pub(super) fn negative_inverse(m: u64) -> u64 {
    // Right in the lowest three bits; each round doubles their count.
    let mut inverse = m;
    for _ in 0..5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(m.wrapping_mul(inverse)));
    }
    inverse.wrapping_neg() & LIMB_MASK
}

/// `x * 2^times mod m`, for `x < m`.
pub(super) fn double(x: &mut Number, m: &[u64], times: usize) {
    let mut reduced = Zeroizing::new(vec![0; m.len()]);
    for _ in 0..times {
        let (mut carry, mut borrow) = (0, 0);
        for ((x, m), reduced) in x.iter_mut().zip(m).zip(reduced.iter_mut()) {
            let doubled = (*x << 1) | carry;
            carry = doubled >> LIMB_BITS;
            *x = doubled & LIMB_MASK;
            let difference = x.wrapping_sub(*m).wrapping_sub(borrow);
            borrow = difference >> 63;
            *reduced = difference & LIMB_MASK;
        }
        // The difference counts unless it borrowed more than was carried.
        let keep = std::hint::black_box((borrow & !carry & 1).wrapping_neg());
        for (x, reduced) in x.iter_mut().zip(reduced.iter()) {
            *x = (*x & keep) | (*reduced & !keep);
        }
    }
}

/// The number in Montgomery form: `x R mod m` with `R = 2^(52 n)`.
pub(super) fn montgomery(x: &Number, m: &[u64]) -> Number {
    let mut form = x.clone();
    double(&mut form, m, 52 * m.len());
    form
}

/// The number 1 in `limbs` limbs.
pub(super) fn one(limbs: usize) -> Number {
    let mut one = Zeroizing::new(vec![0; limbs]);
    if let Some(first) = one.first_mut() {
        *first = 1;
    }
    one
}

/// Length in bits of big-endian bytes.
pub(super) fn bits(bytes: &[u8]) -> usize {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    match bytes.get(zeros) {
        Some(first) => 8 * (bytes.len() - zeros) - first.leading_zeros() as usize,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_through_limbs_and_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let number = from_bytes(&bytes, 40);
        assert!(number.iter().all(|limb| *limb <= LIMB_MASK));
        let limb = |at| number.get(at).copied().unwrap_or(0);
        assert_eq!(to_bytes(256, limb), bytes);
        assert_eq!(bits(&bytes), 8 * 254 + 1);
        assert_eq!(bits(&[0, 0]), 0);
    }

    #[test]
    fn constants_of_a_modulus_are_right() {
        for m in [1u64, 3, 0xf_ffff_ffff_ffff, 0x8_1234_5678_9abd] {
            assert_eq!(m.wrapping_mul(negative_inverse(m)) & LIMB_MASK, LIMB_MASK);
            let wide = u128::from(m);
            let form = montgomery(&one(1), &[m]);
            assert_eq!(u128::from(form[0]) % wide, (1u128 << 52) % wide);
            let square = montgomery(&form, &[m]);
            assert_eq!(u128::from(square[0]) % wide, (1u128 << 104) % wide);
        }
    }
}
