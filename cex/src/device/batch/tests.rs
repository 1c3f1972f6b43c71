//! The batch against aws-lc, the vector unit against ordinary integers.
//!
//! Where the processor has no vector unit for the kernels, the same tests run on the portable
//! lanes, with fewer rounds, and say so.

use std::io::Write;
use std::sync::LazyLock;

use aws_lc_rs::rand;
use aws_lc_rs::rsa::KeySize;

use super::backend::Backend;
use super::kernel::{ENTRIES, Modulus, Shelf};
use super::key::{lane, rows};
use super::lanes::{BLOCK, Block, LANES, LIMB_MASK, Row, ZEROS};
use super::number::Number;
use super::portable::Portable;
use super::*;
use crate::der::RsaParts;
use crate::key::KeyStore;
use crate::request::{Hash, Scheme};
use crate::tests_support::{RsaKey, digest_of, rsa_2048, rsa_3072, rsa_4096};
use zeroize::Zeroizing;

/// A key in all its forms.
struct Forms {
    key: BatchKey,
    raw: raw_rsa::PrivateKey,
    public: raw_rsa::PublicKey,
    n: Vec<u8>,
}

impl Forms {
    fn of(key: &RsaKey) -> Self {
        let parts = der::rsa_parts(key.pkcs1()).unwrap();
        Self {
            key: BatchKey::new(&parts).unwrap(),
            raw: raw_rsa::PrivateKey::from_pkcs1(key.pkcs1()).unwrap(),
            public: raw_rsa::PublicKey::from_pkcs1(key.public_pkcs1()).unwrap(),
            n: parts.n.strip_prefix(&[0]).unwrap().to_vec(),
        }
    }

    fn request<'a>(&'a self, block: &'a [u8]) -> Request<'a> {
        Request { key: &self.key, raw: &self.raw, block }
    }
}

/// Numbers that need not be secret, from a seed that a failure names.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let mut seed = [0; 8];
        rand::fill(&mut seed).unwrap();
        Self(u64::from_le_bytes(seed) | 1)
    }

    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit as u64).unwrap()
    }

    fn block(&mut self, len: usize) -> Vec<u8> {
        let mut block: Vec<u8> = (0..len).map(|_| self.roll().to_le_bytes()[0]).collect();
        block[0] &= 0x7f;
        block
    }
}

/// Not eprintln!: the test harness would swallow it.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Steps back behind the cards of other tests, whose threads give way to everything: these tests
/// would make them late.
fn give_way() {
    let _ = rustix::process::nice(19);
}

/// As the engine does it: groups of four.
fn run<B: Backend>(backend: B, requests: &[Request<'_>]) -> Vec<Result<Vec<u8>, Miss>> {
    requests.chunks(REQUESTS).flat_map(|group| operation::execute(backend, group, None)).collect()
}

/// Signs `count` random blocks with random ones of the keys, 1 to 8 at a time, and checks each
/// result with the public key. As `s^e = c` has one solution below the modulus, that is as good as
/// comparing bytes; every tenth group is compared with aws-lc's as well.
fn differ<B: Backend>(backend: B, keys: &[Forms], count: usize) {
    let mut dice = Dice::new();
    let seed = dice.0;
    let (mut done, mut group) = (0, 0);
    while done < count {
        let fill = 1 + dice.below(8);
        let chosen: Vec<&Forms> = (0..fill).map(|_| &keys[dice.below(keys.len())]).collect();
        let blocks: Vec<_> = chosen.iter().map(|key| dice.block(key.n.len())).collect();
        let requests: Vec<_> =
            chosen.iter().zip(&blocks).map(|(key, block)| key.request(block)).collect();
        for ((result, key), block) in run(backend, &requests).iter().zip(&chosen).zip(&blocks) {
            let result = result.as_ref().unwrap_or_else(|miss| panic!("{miss:?}, seed {seed}"));
            assert!(key.public.undoes(result, block), "seed {seed}, group {group}");
            if group % 10 == 0 {
                assert_eq!(result, &key.raw.exponentiate(block).unwrap(), "seed {seed}");
            }
        }
        (done, group) = (done + fill, group + 1);
    }
}

/// Runs the test on the vector unit, or a hundredth of it on the portable lanes.
macro_rules! on_unit {
    ($backend:ident, $share:ident, $body:block) => {
        match Unit::detect() {
            #[cfg(target_arch = "x86_64")]
            Some(Unit::Ifma($backend)) => {
                let $share = 1;
                $body
            }
            _ => {
                say("no AVX-512 IFMA here: on portable lanes, and less of it");
                let ($backend, $share) = (Portable, 100);
                $body
            }
        }
    };
}

static KEYS: LazyLock<Vec<Forms>> =
    LazyLock::new(|| (0..4).map(|_| Forms::of(&RsaKey::generate(KeySize::Rsa2048))).collect());

/// `tests/batch.rs` makes a hundred thousand.
#[test]
fn mixed_keys_agree_with_the_library() {
    give_way();
    on_unit!(backend, share, { differ(backend, &KEYS, 1_000 / share) });
}

#[test]
fn portable_lanes_agree_with_the_library() {
    give_way();
    for key in [rsa_2048(), rsa_3072(), rsa_4096()] {
        differ(Portable, &[Forms::of(key)], 8);
    }
}

fn full(dice: &mut Dice, blocks: usize) -> Vec<Block> {
    // All ones now and then: the largest sums.
    let ones = dice.below(3) == 0;
    let mut limb = || if ones { LIMB_MASK } else { dice.roll() & LIMB_MASK };
    (0..blocks).map(|_| std::array::from_fn(|_| Row(std::array::from_fn(|_| limb())))).collect()
}

#[test]
fn both_kinds_of_lanes_compute_the_same_limbs() {
    give_way();
    let Some(unit) = Unit::detect() else {
        say("SKIPPED: no AVX-512 IFMA here to compare with");
        return;
    };
    let mut dice = Dice::new();
    for round in 0..60 {
        let k = [2, 3, 4, 6, 8][round % 5];
        let (x, y, mut m) = (full(&mut dice, k), full(&mut dice, k), full(&mut dice, k));
        // Two bits are left free above the modulus.
        m[k - 1][BLOCK - 1].0.iter_mut().for_each(|limb| *limb >>= 2);
        m[0][0].0.iter_mut().for_each(|limb| *limb |= 1);
        let k0 = Row(m[0][0].0.map(number::negative_inverse));
        let table: Vec<Shelf> = (0..k * BLOCK)
            .map(|_| std::array::from_fn(|_| Row(std::array::from_fn(|_| dice.roll()))))
            .collect();
        let digit = Row(std::array::from_fn(|_| dice.below(ENTRIES) as u64));
        let work = |backend: &dyn Fn(&mut Sums<'_>)| {
            let modulus = Modulus { m: &m, k0: &k0 };
            let mut work = Sums {
                x: x.clone(),
                t: vec![ZEROS; 2 * k],
                y: &y,
                modulus,
                found: x.clone(),
                table: &table,
                digit: &digit,
            };
            backend(&mut work);
            (work.x, work.t, work.found)
        };
        let expected = work(&|w| w.run(Portable));
        let Unit::Ifma(ifma) = unit else { unreachable!() };
        assert_eq!(work(&|w| w.run(ifma)), expected, "round {round}");
        for (index, found) in expected.2.as_flattened().iter().enumerate() {
            for lane in 0..LANES {
                let entry = usize::try_from(digit.0[lane]).unwrap();
                assert_eq!(found.0[lane], table[index][entry].0[lane]);
            }
        }
    }
}

/// Operands and results of one round of all kernels.
struct Sums<'a> {
    x: Vec<Block>,
    t: Vec<Block>,
    found: Vec<Block>,
    y: &'a [Block],
    modulus: Modulus<'a>,
    table: &'a [Shelf],
    digit: &'a Row,
}

impl Sums<'_> {
    fn run<B: Backend>(&mut self, backend: B) {
        backend.multiply(&mut self.x, self.y, self.modulus, &mut self.t);
        backend.square(&mut self.x, self.modulus, &mut self.t);
        backend.product(&mut self.t, &self.x, self.y);
        backend.select(&mut self.found, self.table, self.digit);
    }
}

#[test]
fn a_square_is_a_product_with_itself() {
    give_way();
    let mut dice = Dice::new();
    let m: Number = number::from_bytes(&[0xfd; 128], 20);
    let m = rows(20, |_| &m);
    let k0 = Row(m[0][0].0.map(number::negative_inverse));
    let modulus = Modulus { m: &m, k0: &k0 };
    let mut t = vec![ZEROS; 4];
    for _ in 0..20 {
        let mut x = full(&mut dice, 2);
        // Below the modulus.
        x[1][9].0 = [0; LANES];
        let (y, mut z) = (x.clone(), x.clone());
        Portable.multiply(&mut x, &y, modulus, &mut t);
        Portable.square(&mut z, modulus, &mut t);
        assert_eq!(x, z);
    }
}

/// Zero, one, the largest, and what is not below the modulus.
#[test]
fn edge_inputs_are_exact_and_too_large_ones_are_left_out() {
    give_way();
    on_unit!(backend, _share, {
        for key in [rsa_2048(), rsa_3072(), rsa_4096()] {
            let key = Forms::of(key);
            let len = key.n.len();
            let mut least = key.n.clone();
            *least.last_mut().unwrap() -= 1;
            let (zero, mut one) = (vec![0; len], vec![0; len]);
            one[len - 1] = 1;
            let inputs = [&zero[..], &one, &key.n, &least];
            let requests = inputs.map(|block| key.request(block));
            let results = run(backend, &requests);
            let whole = |block: &Vec<u8>| Ok(block.clone());
            // n - 1 is -1, and the exponent is odd.
            let expected = [whole(&zero), whole(&one), Err(Miss::Unfit), whole(&least)];
            assert_eq!(results, expected);
            let short = [key.request(&one[1..]), key.request(&one)];
            assert_eq!(run(backend, &short), [Err(Miss::Unfit), whole(&one)]);
        }
    });
}

#[test]
fn a_wrong_lane_is_held_back_and_its_neighbours_are_not() {
    give_way();
    on_unit!(backend, _share, {
        let mut dice = Dice::new();
        let keys: Vec<&Forms> = KEYS.iter().take(4).collect();
        for wrong in 0..LANES {
            let blocks: Vec<_> = keys.iter().map(|key| dice.block(key.n.len())).collect();
            let requests: Vec<_> =
                keys.iter().zip(&blocks).map(|(key, block)| key.request(block)).collect();
            let limb = dice.below(19);
            let disturb =
                move |halves: &mut [Block]| halves.as_flattened_mut()[limb].0[wrong] ^= 0x20;
            let results = operation::execute(backend, &requests, Some(&disturb));
            for (index, (result, block)) in results.into_iter().zip(&blocks).enumerate() {
                if index == wrong % REQUESTS {
                    assert_eq!(result, Err(Miss::Wrong));
                } else {
                    assert_eq!(result, Ok(keys[index].raw.exponentiate(block).unwrap()));
                }
            }
        }
    });
}

#[test]
fn keys_of_another_form_are_left_to_the_library() {
    let key = rsa_2048();
    let parts = der::rsa_parts(key.pkcs1()).unwrap();
    assert!(BatchKey::new(&parts).is_some());
    assert!(BatchKey::new(&RsaParts { e: &[3], ..parts }).is_none());
    assert!(BatchKey::new(&RsaParts { p: &parts.p[..100], ..parts }).is_none());
    assert!(BatchKey::new(&RsaParts { q: &parts.q[..100], ..parts }).is_none());
    assert!(BatchKey::new(&RsaParts { n: &parts.n[1..200], ..parts }).is_none());
    assert!(der::rsa_parts(&key.pkcs1()[..100]).is_none());
}

#[test]
fn a_blinding_factor_is_squared_with_what_undoes_it() {
    give_way();
    let key = Forms::of(rsa_2048());
    let one = |blinding: &key::Blinding| {
        // factor^d times 1/r is 1: sign what the factor is, in plain form.
        let n = rows(40, |_| &key.key.n.m);
        let k0 = Row([*key.key.n.k0; LANES]);
        let modulus = Modulus { m: &n, k0: &k0 };
        let mut t = vec![ZEROS; 8];
        let mut x = rows(40, |_| &blinding.factor);
        let unit = number::one(40);
        let plain = rows(40, |_| &unit);
        Portable.multiply(&mut x, &plain, modulus, &mut t);
        operation::canonical(&mut x, &n);
        let limbs = lane(&x, 0);
        let bytes = number::to_bytes(256, |at| limbs.get(at).copied().unwrap_or(0));
        let power = number::from_bytes(&key.raw.exponentiate(&bytes).unwrap(), 40);
        let mut x = rows(40, |_| &power);
        Portable.multiply(&mut x, &rows(40, |_| &blinding.undo), modulus, &mut t);
        operation::canonical(&mut x, &n);
        lane(&x, 0)
    };
    let first = key.key.blinding(Portable, &key.raw).unwrap();
    assert_eq!(*one(&first), *number::one(40));
    let before = first.factor.clone();
    key.key.give_back(first);
    let block = vec![1; 256];
    run(Portable, &[key.request(&block)]).remove(0).unwrap();
    let second = key.key.blinding(Portable, &key.raw).unwrap();
    assert_ne!(*second.factor, *before);
    assert_eq!(*one(&second), *number::one(40));
    // A second lane of the same key has one of its own.
    let third = key.key.blinding(Portable, &key.raw).unwrap();
    assert_ne!(*third.factor, *second.factor);
}

/// Jobs of one key, in digest form.
fn jobs(keys: &Arc<KeyStore>, key: &crate::Key, count: usize) -> Vec<Job> {
    let private = keys.find(key.handle()).unwrap();
    let job = |_| Job {
        key: Arc::clone(&private),
        work: Work::Sign(Scheme::RsaPkcs1(Hash::Sha256), digest_of(Hash::Sha256)),
    };
    (0..count).map(job).collect()
}

fn loaded(unit: Unit) -> (Arc<KeyStore>, crate::Key) {
    let keys = Arc::new(KeyStore::default());
    keys.prepare_for(unit);
    let key = keys.load(&Zeroizing::new(rsa_2048().pkcs8().to_vec())).unwrap();
    (keys, key)
}

#[test]
fn an_engine_fills_batches_and_gives_the_same_answers() {
    give_way();
    let unit = Unit::detect().unwrap_or(Unit::Portable);
    let (keys, key) = loaded(unit);
    assert_eq!(keys.self_test().passed, 1);
    let mut engine = Batch::new(unit, true);
    let expected = Single::execute_one(&jobs(&keys, &key, 1)[0]).unwrap();
    assert!(!expected.checked);
    let mut checked = 0;
    for fill in 1..=8 {
        let mut results = Vec::new();
        engine.execute(&jobs(&keys, &key, fill), &mut results);
        assert_eq!(results.len(), fill);
        let outputs: Vec<_> = results.into_iter().map(Result::unwrap).collect();
        assert!(outputs.iter().all(|output| output.bytes == expected.bytes), "{fill}");
        checked += outputs.iter().filter(|output| output.checked).count();
    }
    let counts = engine.tally().unwrap().read();
    assert_eq!(checked as u64, counts.requests() - counts.alone);
    assert_eq!(counts.requests(), 36);
    // Whatever was measured, full batches ran: one for each of 4 to 7, two for 8.
    assert_eq!(counts.fills[3], 6);
    assert_eq!(counts.refused, 0);
}

#[test]
fn a_refused_lane_is_computed_again_and_counted() {
    give_way();
    let (keys, key) = loaded(Unit::Portable);
    let mut engine = Batch::new(Unit::Disturbed, true);
    let mut results = Vec::new();
    engine.execute(&jobs(&keys, &key, 4), &mut results);
    let expected = Single::execute_one(&jobs(&keys, &key, 1)[0]).unwrap().bytes;
    let outputs: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    assert!(outputs.iter().all(|output| output.bytes == expected));
    // The one that aws-lc has computed again is for the host to check.
    assert_eq!(outputs.iter().map(|o| o.checked).collect::<Vec<_>>(), [true, false, true, true]);
    assert_eq!(engine.tally().unwrap().read().refused, 1);
}

#[test]
fn a_key_whose_batch_is_wrong_is_used_one_at_a_time() {
    give_way();
    let (keys, key) = loaded(Unit::Disturbed);
    assert_eq!(keys.self_test().failed, 1);
    let mut engine = Batch::new(Unit::Disturbed, true);
    let mut results = Vec::new();
    engine.execute(&jobs(&keys, &key, 4), &mut results);
    assert!(results.iter().all(Result::is_ok));
    let counts = engine.tally().unwrap().read();
    assert_eq!((counts.fills, counts.alone), ([4, 0, 0, 0], 4));
}
