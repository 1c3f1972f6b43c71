//! The private operation on up to four blocks at once.
//!
//! Lane `i` works on the half of request `i` modulo p, lane `i + 4` on the half modulo q. Keys may
//! differ as long as their moduli have one size; idle lanes repeat the last request.
//!
//! 1. blind: `c r^e`; 2. split: Montgomery forms modulo p and q; 3. exponentiate, four bits of the
//!    exponent at a time, reading the whole table every time; 4. join by the Chinese remainder
//!    theorem (Garner); 5. unblind; 6. raise to 65537 and compare with what came.
//!
//! Invariants: a result leaves only if step 6 gave its own input back; no secret decides a branch
//! or an address; every buffer is overwritten when it is dropped.
//!
//! Source: RFC 8017 section 5.1.2; D. Boneh, R. DeMillo, R. Lipton, On the importance of checking
//! cryptographic protocols for faults (1997).

use zeroize::Zeroizing;

use super::backend::Backend;
use super::kernel::{ENTRIES, Modulus, Shelf};
use super::key::{BatchKey, Blinding, Half, Rows, lane, rows};
use super::lanes::{BLOCK, Block, LANES, LIMB_BITS, LIMB_MASK, Row, ZEROS};
use super::number::{self, Number};
use crate::device::{courtesy, raw_rsa};

/// Most requests of one batch.
pub(crate) const REQUESTS: usize = LANES / 2;

/// Bits of the exponent that are consumed together.
const WINDOW: usize = 4;

/// How much of the exponentiation is done before the processor is offered to others: windows times
/// the square of the limbs, some 50 us.
const TURN: usize = 32 * 20 * 20;

/// One request: a block of the length of the modulus.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) key: &'a BatchKey,
    pub(super) raw: &'a raw_rsa::PrivateKey,
    pub(super) block: &'a [u8],
}

/// Why a request has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// The kernels do not do it: the block is not below the modulus, or no blinding was to be had.
    Unfit,
    /// The result did not undo to the block. It was not released.
    Wrong,
}

/// Moduli of eight lanes.
struct Moduli {
    m: Rows,
    k0: Row,
}

impl Moduli {
    fn as_ref(&self) -> Modulus<'_> {
        Modulus { m: &self.m, k0: &self.k0 }
    }
}

impl Drop for Moduli {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.k0);
    }
}

/// A batch under way.
struct Batch<'a, B> {
    backend: B,
    requests: [Request<'a>; REQUESTS],
    /// Limbs of a prime; twice as many in a modulus.
    limbs: usize,
    primes: Moduli,
    n: Moduli,
    /// The blocks as numbers, in lanes 0 to 3.
    inputs: [Number; REQUESTS],
    /// Columns of products.
    t: Rows,
}

/// What a test does to the halves of the results before they are joined.
pub(super) type Disturb<'a> = &'a dyn Fn(&mut [Block]);

/// Executes 1 to 4 requests whose keys have one size. One answer for each request.
pub(super) fn execute<B: Backend>(
    backend: B,
    requests: &[Request<'_>],
    disturb: Option<Disturb<'_>>,
) -> Vec<Result<Vec<u8>, Miss>> {
    let fits: Vec<_> = requests.iter().copied().filter(below_modulus).collect();
    let mut done = match fits.split_last() {
        Some((last, _)) => {
            let all = std::array::from_fn(|i| *fits.get(i).unwrap_or(last));
            Batch::new(backend, all).run(fits.len(), disturb)
        }
        None => Vec::new(),
    }
    .into_iter();
    let answer =
        |request| below_modulus(request).then(|| done.next()).flatten().unwrap_or(Err(Miss::Unfit));
    requests.iter().map(answer).collect()
}

/// The block is public, as is what becomes of it.
fn below_modulus(request: &Request<'_>) -> bool {
    let n = &request.key.n.m;
    request.block.len() == request.key.modulus_len()
        && number::from_bytes(request.block, n.len()).iter().rev().lt(n.iter().rev())
}

impl<'a, B: Backend> Batch<'a, B> {
    fn new(backend: B, requests: [Request<'a>; REQUESTS]) -> Self {
        let limbs = BLOCK * requests[0].key.blocks;
        let half = |lane| half(&requests, lane);
        let key = |lane: usize| requests[lane % REQUESTS].key;
        Self {
            backend,
            limbs,
            primes: Moduli {
                m: rows(limbs, |lane| &half(lane).prime.m),
                k0: Row(std::array::from_fn(|lane| *half(lane).prime.k0)),
            },
            n: Moduli {
                m: rows(2 * limbs, |lane| &key(lane).n.m),
                k0: Row(std::array::from_fn(|lane| *key(lane).n.k0)),
            },
            inputs: requests.map(|r| number::from_bytes(r.block, 2 * limbs)),
            t: Zeroizing::new(vec![ZEROS; 4 * limbs / BLOCK]),
            requests,
        }
    }

    fn run(&mut self, count: usize, disturb: Option<Disturb<'_>>) -> Vec<Result<Vec<u8>, Miss>> {
        let Some(blindings) = self.blindings(count) else { return Vec::new() };
        let blinding = |lane: usize| {
            let pair = &blindings[(lane % REQUESTS).min(count - 1)];
            if lane < REQUESTS { &pair.factor } else { &pair.undo }
        };
        let mut factors = rows(2 * self.limbs, blinding);
        let mut blinded = rows(2 * self.limbs, |lane| &self.inputs[lane % REQUESTS]);
        self.backend.multiply(&mut blinded, &factors, self.n.as_ref(), &mut self.t);
        spread(&mut blinded, 0);
        let mut halves = self.exponentiate(&blinded);
        if let Some(disturb) = disturb {
            disturb(&mut halves);
        }
        let mut results = self.join(&halves);
        spread(&mut results, 0);
        self.backend.multiply(&mut results, &factors, self.n.as_ref(), &mut self.t);
        spread(&mut results, REQUESTS);
        self.backend.square(&mut factors, self.n.as_ref(), &mut self.t);
        canonical(&mut results, &self.n.m);
        let undone = self.undo(&results);
        let released: Vec<_> =
            (0..count).map(|index| self.release(index, &results, &undone)).collect();
        for (index, mut pair) in blindings.into_iter().enumerate() {
            // A pair that may be what was wrong is not used again.
            if released[index].is_ok() {
                pair.factor = lane(&factors, index);
                pair.undo = lane(&factors, index + REQUESTS);
                self.requests[index].key.give_back(pair);
            }
        }
        released
    }

    fn blindings(&self, count: usize) -> Option<Vec<Blinding>> {
        self.requests[..count].iter().map(|r| r.key.blinding(self.backend, r.raw)).collect()
    }

    /// `c^dp mod p` and `c^dq mod q`, not above the prime.
    fn exponentiate(&mut self, blinded: &[Block]) -> Rows {
        let (backend, blocks) = (self.backend, self.limbs / BLOCK);
        let requests = self.requests;
        let half = |lane| half(&requests, lane);
        // c / R, then times R^3 / R: the Montgomery form.
        let mut base: Rows = Zeroizing::new(vec![ZEROS; blocks]);
        self.t[..2 * blocks].copy_from_slice(blinded);
        let (m, t) = (self.primes.as_ref(), &mut self.t[..2 * blocks]);
        backend.reduce(&mut base, t, m);
        let cubes = rows(self.limbs, |lane| &half(lane).cube);
        backend.multiply(&mut base, &cubes, m, t);

        let mut power = rows(self.limbs, |lane| &half(lane).prime.one);
        let mut table = Zeroizing::new(vec![[Row::default(); ENTRIES]; self.limbs]);
        put(&mut table, 0, &power);
        power.copy_from_slice(&base);
        for entry in 1..ENTRIES {
            put(&mut table, entry, &power);
            backend.multiply(&mut power, &base, m, t);
        }

        let words = half(0).exponent.len();
        let turn = (TURN / (self.limbs * self.limbs)).max(1);
        let mut factor: Rows = Zeroizing::new(vec![ZEROS; blocks]);
        let mut digit = Zeroizing::new(Row::default());
        for window in (0..words * 64 / WINDOW).rev() {
            if window % turn == 0 {
                courtesy::offer();
            }
            let (word, shift) = (window * WINDOW / 64, window * WINDOW % 64);
            for (lane, digit) in digit.0.iter_mut().enumerate() {
                *digit = half(lane).exponent[word] >> shift & (ENTRIES as u64 - 1);
            }
            if window == words * 64 / WINDOW - 1 {
                backend.select(&mut power, &table, &digit);
                continue;
            }
            for _ in 0..WINDOW {
                backend.square(&mut power, m, t);
            }
            backend.select(&mut factor, &table, &digit);
            backend.multiply(&mut power, &factor, m, t);
        }
        let one = number::one(self.limbs);
        backend.multiply(&mut power, &rows(self.limbs, |_| &one), m, t);
        power
    }

    /// `m2 + q ((m1 - m2) / q mod p)` in lanes 0 to 3; below `2n + 2q`.
    fn join(&mut self, halves: &[Block]) -> Rows {
        let (backend, blocks) = (self.backend, self.limbs / BLOCK);
        let requests = self.requests;
        let nothing: Number = Zeroizing::new(Vec::new());
        let low = |number: fn(&BatchKey) -> &Number| {
            rows(self.limbs, |lane| requests.get(lane).map_or(&nothing, |r| number(r.key)))
        };
        let mut quotient = difference(halves, &self.primes.m);
        let t = &mut self.t[..2 * blocks];
        backend.multiply(&mut quotient, &low(|k| &k.q_inverse), self.primes.as_ref(), t);
        backend.product(t, &quotient, &low(|k| &k.q.prime.m));
        let mut joined: Rows = Zeroizing::new(vec![ZEROS; 2 * blocks]);
        let halves = halves.as_flattened();
        for lane in 0..REQUESTS {
            let mut carry = 0;
            let columns = t.as_flattened().iter().zip(joined.as_flattened_mut());
            for (index, (column, limb)) in columns.enumerate() {
                let addend = halves.get(index).map_or(0, |row| row.0[lane + REQUESTS]);
                let sum = column.0[lane] + addend + carry;
                limb.0[lane] = sum & LIMB_MASK;
                carry = sum >> LIMB_BITS;
            }
        }
        joined
    }

    /// `s^65537 mod n`, for `s` below `n`.
    fn undo(&mut self, results: &[Block]) -> Rows {
        let requests = self.requests;
        let mut power: Rows = Zeroizing::new(results.to_vec());
        let squares = rows(2 * self.limbs, |lane| &requests[lane % REQUESTS].key.n.square);
        let (n, t) = (self.n.as_ref(), &mut self.t);
        self.backend.multiply(&mut power, &squares, n, t);
        for _ in 0..16 {
            self.backend.square(&mut power, n, t);
        }
        // Times plain s, which leaves the Montgomery form behind.
        self.backend.multiply(&mut power, results, n, t);
        canonical(&mut power, &self.n.m);
        power
    }

    fn release(&self, index: usize, results: &[Block], undone: &[Block]) -> Result<Vec<u8>, Miss> {
        let undone = undone.as_flattened().iter().map(|row| &row.0[index]);
        if !undone.eq(self.inputs[index].iter()) {
            return Err(Miss::Wrong);
        }
        let results = results.as_flattened();
        let limb = |at: usize| results.get(at).map_or(0, |row| row.0[index]);
        Ok(number::to_bytes(self.requests[index].key.modulus_len(), limb))
    }
}

fn half<'a>(requests: &[Request<'a>; REQUESTS], lane: usize) -> &'a Half {
    let key = requests[lane % REQUESTS].key;
    if lane < REQUESTS { &key.p } else { &key.q }
}

/// Writes an entry of the table of powers.
fn put(table: &mut [Shelf], entry: usize, power: &[Block]) {
    for (shelf, limb) in table.iter_mut().zip(power.as_flattened()) {
        shelf[entry] = *limb;
    }
}

/// Gives the four lanes from `first` on to the other four.
fn spread(rows: &mut [Block], first: usize) {
    for row in rows.as_flattened_mut() {
        for index in 0..REQUESTS {
            row.0[LANES - REQUESTS - first + index] = row.0[first + index];
        }
    }
}

/// `m1 - m2 + 2p` in lanes 0 to 3, zeros in the others. Not negative: `m2` is at most `q`, and `q`
/// is as long as `p`.
#[allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "limbs of 52 bits")]
fn difference(halves: &[Block], primes: &[Block]) -> Rows {
    let mut difference: Rows = Zeroizing::new(vec![ZEROS; halves.len()]);
    for lane in 0..REQUESTS {
        let mut carry = 0i64;
        let limbs = halves.as_flattened().iter().zip(primes.as_flattened());
        for ((half, prime), out) in limbs.zip(difference.as_flattened_mut()) {
            let (m1, m2) = (half.0[lane] as i64, half.0[lane + REQUESTS] as i64);
            let sum = m1 - m2 + 2 * prime.0[lane] as i64 + carry;
            out.0[lane] = sum as u64 & LIMB_MASK;
            carry = sum >> LIMB_BITS;
        }
    }
    difference
}

/// Subtracts the modulus from lanes that are not below it. They are below twice the modulus.
pub(super) fn canonical(x: &mut [Block], m: &[Block]) {
    let mut reduced: Rows = Zeroizing::new(x.to_vec());
    let mut borrow = [0; LANES];
    for (row, m) in reduced.as_flattened_mut().iter_mut().zip(m.as_flattened()) {
        for (lane, borrow) in borrow.iter_mut().enumerate() {
            let limb = row.0[lane].wrapping_sub(m.0[lane]).wrapping_sub(*borrow);
            *borrow = limb >> 63;
            row.0[lane] = limb & LIMB_MASK;
        }
    }
    let keep = borrow.map(|borrow| std::hint::black_box(borrow.wrapping_neg()));
    for (x, reduced) in x.as_flattened_mut().iter_mut().zip(reduced.as_flattened()) {
        for (lane, keep) in keep.iter().enumerate() {
            x.0[lane] = (x.0[lane] & keep) | (reduced.0[lane] & !keep);
        }
    }
}
