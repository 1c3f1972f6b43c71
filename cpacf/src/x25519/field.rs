//! The arithmetic that takes the time: eight elements of the field of 2^255 - 19 at once.
//!
//! Radix 2^52, five limbs, so that a product of limbs falls into two columns just as the
//! multiplier of AVX-512 IFMA delivers it. 2^260 is 608 modulo p, 2^255 is 19.
//!
//! An element has one of two forms:
//! * [`Columns`]: what a multiplication leaves. Columns 0 to 3 are below 2^58, column 4 below 2^47
//!   (so the element is below 2^255 + 2^215). They can be added and subtracted.
//! * [`Limbs`]: after one pass of carries. The low 52 bits of each are the limb; above them is
//!   what was carried on, and the multiplier does not look at it. The element is below 2^257. They
//!   can be multiplied.
//!
//! So carries are made once between two multiplications, after the sum rather than before it, and
//! nothing is masked.
//!
//! Invariants: no value of a lane decides a branch or an address. `#[inline(always)]`, because the
//! code must be compiled into the function that enables the vector instructions.
//!
//! Source: RFC 7748 section 5; S. Gueron and V. Krasnov, Software implementation of modular
//! exponentiation using advanced vector instructions (2012), for the multiplier.

#![allow(clippy::needless_range_loop, reason = "limbs of several numbers are walked together")]

use super::lanes::{LIMB_BITS, Lanes, Row};

/// Limbs of an element.
pub(super) const LIMBS: usize = 5;
/// Bits of the top limb below 2^255.
pub(super) const TOP_BITS: u32 = 255 - 4 * LIMB_BITS;
/// The bits of a limb.
pub(super) const LIMB_MASK: u64 = (1 << LIMB_BITS) - 1;
/// The bits of the top limb.
pub(super) const TOP_MASK: u64 = (1 << TOP_BITS) - 1;

/// 2^255 modulo p.
const FOLD_TOP: i64 = 19;
/// 2^260 modulo p.
const FOLD: i64 = 19 << 5;
/// (A + 2) / 4 of curve25519, A = 486662.
const A24: i64 = 121_666;

/// An element in memory.
pub(super) type Element = [Row; LIMBS];

/// An element that can be multiplied.
#[derive(Clone, Copy)]
pub(super) struct Limbs<V>([V; LIMBS]);

/// An element that can be added.
#[derive(Clone, Copy)]
pub(super) struct Columns<V>([V; LIMBS]);

impl<V: Lanes> Limbs<V> {
    #[inline(always)]
    pub(super) fn load(element: &Element) -> Self {
        Self(std::array::from_fn(|i| V::load(&element[i])))
    }

    #[inline(always)]
    pub(super) fn store(self, element: &mut Element) {
        for (limb, row) in self.0.into_iter().zip(element) {
            limb.store(row);
        }
    }

    #[inline(always)]
    pub(super) fn choose(mask: V, yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|i| mask.choose(yes.0[i], no.0[i])))
    }

    /// 50 products of limbs.
    #[inline(always)]
    pub(super) fn times(self, other: Self) -> Columns<V> {
        let (a, b) = (self.0, other.0);
        let mut sums = [V::splat(0); 2 * LIMBS];
        for j in 0..LIMBS {
            for i in 0..LIMBS {
                sums[i + j] = sums[i + j].add_low(a[i], b[j]);
                sums[i + j + 1] = sums[i + j + 1].add_high(a[i], b[j]);
            }
        }
        fold(sums)
    }

    /// 30 products of limbs: those of different limbs once, and doubled.
    #[inline(always)]
    pub(super) fn square(self) -> Columns<V> {
        let a = self.0;
        let mut sums = [V::splat(0); 2 * LIMBS];
        for j in 0..LIMBS {
            for i in 0..j {
                sums[i + j] = sums[i + j].add_low(a[i], a[j]);
                sums[i + j + 1] = sums[i + j + 1].add_high(a[i], a[j]);
            }
        }
        for sum in &mut sums[1..2 * LIMBS - 1] {
            *sum = sum.add(*sum);
        }
        for i in 0..LIMBS {
            sums[2 * i] = sums[2 * i].add_low(a[i], a[i]);
            sums[2 * i + 1] = sums[2 * i + 1].add_high(a[i], a[i]);
        }
        fold(sums)
    }

    /// `addend` + (A + 2) / 4 times the element.
    #[inline(always)]
    fn times_a24_plus(self, addend: Columns<V>) -> Columns<V> {
        let a24 = V::splat(A24);
        let mut sums = addend.0;
        for i in 0..LIMBS {
            sums[i] = sums[i].add_low(self.0[i], a24);
        }
        for i in 0..LIMBS - 1 {
            sums[i + 1] = sums[i + 1].add_high(self.0[i], a24);
        }
        let beyond = V::splat(0).add_high(self.0[LIMBS - 1], a24);
        sums[0] = sums[0].add_low(beyond, V::splat(FOLD));
        Columns(fold_top(sums))
    }
}

impl<V: Lanes> Columns<V> {
    /// A small number.
    #[inline(always)]
    fn small(value: i64) -> Self {
        Self(std::array::from_fn(|i| V::splat(if i == 0 { value } else { 0 })))
    }

    #[inline(always)]
    fn load(element: &Element) -> Self {
        Self(Limbs::load(element).0)
    }

    /// What is carried out of a limb stays in it as well; the multiplier ignores it.
    #[inline(always)]
    pub(super) fn carried(self) -> Limbs<V> {
        let mut limbs = self.0;
        for i in 1..LIMBS {
            limbs[i] = limbs[i].add(limbs[i - 1].shift_right::<LIMB_BITS>());
        }
        Limbs(limbs)
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Limbs<V> {
        Self(std::array::from_fn(|i| self.0[i].add(other.0[i]))).carried()
    }

    /// The difference and 2p, so that it is positive.
    #[inline(always)]
    fn minus(self, other: Self) -> Limbs<V> {
        let mut columns: [V; LIMBS] = std::array::from_fn(|i| self.0[i].sub(other.0[i]));
        columns[0] = columns[0].sub(V::splat(2 * FOLD_TOP));
        columns[LIMBS - 1] = columns[LIMBS - 1].add(V::splat(2 << TOP_BITS));
        Self(columns).carried()
    }

    /// The one number below p, with limbs of 52 bits and nothing above.
    #[inline(always)]
    pub(super) fn canonical(self) -> Limbs<V> {
        // Below 2p, so p is to be subtracted once or not at all: once if 19 more reach 2^255.
        let mut more = self.0;
        more[0] = more[0].add(V::splat(FOLD_TOP));
        let above = Self(more).carried().0[LIMBS - 1].shift_right::<TOP_BITS>();
        let mut columns = self.0;
        columns[0] = columns[0].add_low(above, V::splat(FOLD_TOP));
        let mut limbs = Self(columns).carried().0;
        for (i, limb) in limbs.iter_mut().enumerate() {
            let mask = if i == LIMBS - 1 { TOP_MASK } else { LIMB_MASK };
            *limb = limb.and(V::splat(mask.cast_signed()));
        }
        Limbs(limbs)
    }
}

/// Ten columns below 2^57 of a product below 2^514 become five.
#[inline(always)]
fn fold<V: Lanes>(mut sums: [V; 2 * LIMBS]) -> Columns<V> {
    for i in LIMBS + 1..2 * LIMBS {
        sums[i] = sums[i].add(sums[i - 1].shift_right::<LIMB_BITS>());
    }
    let factor = V::splat(FOLD);
    let mut columns: [V; LIMBS] = std::array::from_fn(|i| sums[i]);
    let beyond = V::splat(0).add_high(sums[2 * LIMBS - 1], factor);
    for i in 0..LIMBS {
        columns[i] = columns[i].add_low(sums[i + LIMBS], factor);
    }
    for i in 0..LIMBS - 1 {
        columns[i + 1] = columns[i + 1].add_high(sums[i + LIMBS], factor);
    }
    columns[0] = columns[0].add_low(beyond, factor);
    Columns(fold_top(columns))
}

/// What is above 2^255 in the top column goes to the lowest.
#[inline(always)]
fn fold_top<V: Lanes>(mut columns: [V; LIMBS]) -> [V; LIMBS] {
    let above = columns[LIMBS - 1].shift_right::<TOP_BITS>();
    columns[LIMBS - 1] = columns[LIMBS - 1].and(V::splat(TOP_MASK.cast_signed()));
    columns[0] = columns[0].add_low(above, V::splat(FOLD_TOP));
    columns
}

/// A point by its u coordinate, X / Z.
#[derive(Clone, Copy)]
struct Point<V> {
    x: Columns<V>,
    z: Columns<V>,
}

/// Doubles `near` or `far`, and adds the two, whose difference is `u`.
///
/// Exchanging the points would exchange the two products of the sum, which are only added and,
/// before a squaring, subtracted: so what is chosen is just the point that is doubled.
#[inline(always)]
fn step<V: Lanes>(near: Point<V>, far: Point<V>, mask: V, u: Limbs<V>) -> (Point<V>, Point<V>) {
    let (a, b) = (near.x.plus(near.z), near.x.minus(near.z));
    let (c, d) = (far.x.plus(far.z), far.x.minus(far.z));
    let (da, cb) = (d.times(a), c.times(b));
    let aa = Limbs::choose(mask, c, a).square();
    let bb = Limbs::choose(mask, d, b).square();
    let e = aa.minus(bb);
    let doubled =
        Point { x: aa.carried().times(bb.carried()), z: e.times(e.times_a24_plus(bb).carried()) };
    let sum = Point { x: da.plus(cb).square(), z: da.minus(cb).square().carried().times(u) };
    (doubled, sum)
}

/// The Montgomery ladder: `x` and `z` of `scalar` times the point with coordinate `u`.
///
/// `turns` has one bit for each bit of the scalar, the top one in the top bit of row 0: whether it
/// differs from the one before it. `u` is overwritten with `x`.
#[inline(always)]
pub(super) fn ladder<V: Lanes>(x: &mut Element, z: &mut Element, turns: &[Row; 4]) {
    let u = Columns::load(x);
    let (one, zero) = (Columns::small(1), Columns::small(0));
    let mut near = Point { x: one, z: zero };
    let mut far = Point { x: u, z: one };
    let u = u.carried();
    for row in turns {
        let mut bits = V::load(row);
        for _ in 0..u64::BITS {
            (near, far) = step(near, far, bits.top_bit(), u);
            bits = bits.double();
        }
    }
    near.x.carried().store(x);
    near.z.carried().store(z);
}

/// `x` squared `times` times, then times `y`.
#[inline(always)]
pub(super) fn power<V: Lanes>(x: &mut Element, times: usize, y: &Element) {
    let mut power = Limbs::<V>::load(x);
    for _ in 0..times {
        power = power.square().carried();
    }
    power.times(Limbs::load(y)).carried().store(x);
}

/// `x * y`, below p.
#[inline(always)]
pub(super) fn finish<V: Lanes>(x: &mut Element, y: &Element) {
    Limbs::<V>::load(x).times(Limbs::load(y)).canonical().store(x);
}
