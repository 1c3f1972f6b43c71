//! EMSA-PKCS1-v1_5 and EMSA-PSS: from a digest to the block an accelerator raises to its power.
//!
//! Purpose: a CEX8A knows modular exponentiation only, so the padding is made here, with hash and
//! salt from cpacf. A CEX8C pads inside the card and needs nothing of this.
//!
//! Invariants: the salt is as long as the digest, as TLS 1.3 requires; the block is as long as the
//! modulus, with a leading zero byte where the encoded message is shorter.
//!
//! Deliberately not here: the exponentiation, and decoding (cpacf verifies).
//!
//! Source: RFC 8017 §9.1.1 (EMSA-PSS), §9.2 (EMSA-PKCS1-v1_5), B.2.1 (MGF1); RFC 8446 §4.2.3.

use cpacf::digest::{self, Algorithm};
use cpacf::prno;

/// Why a block could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The digest is not one of the algorithm.
    #[error("a digest of {actual} bytes, {expected} expected")]
    DigestLength {
        /// Bytes the algorithm gives.
        expected: usize,
        /// Bytes given.
        actual: usize,
    },
    /// The modulus is too short for padding and digest, or the block is not as long as it.
    #[error("a block of {block_len} bytes does not fit a modulus of {modulus_bits} bits")]
    BlockLength {
        /// Bytes of the block.
        block_len: usize,
        /// Bits of the modulus.
        modulus_bits: usize,
    },
    /// The salt is longer than any digest.
    #[error("a salt of {0} bytes")]
    SaltLength(usize),
    /// Hash or random numbers failed.
    #[error(transparent)]
    Crypto(#[from] cpacf::Error),
}

/// DER of `DigestInfo` up to the digest (RFC 8017 §9.2, note 1).
fn digest_info(algorithm: Algorithm) -> [u8; 19] {
    let (hash, len) = match algorithm {
        Algorithm::Sha256 => (1, 0x20),
        Algorithm::Sha384 => (2, 0x30),
        Algorithm::Sha512 => (3, 0x40),
    };
    [
        0x30,
        0x11 + len,
        0x30,
        0x0D,
        0x06,
        0x09,
        0x60,
        0x86,
        0x48,
        0x01,
        0x65,
        0x03,
        0x04,
        0x02,
        hash,
        0x05,
        0x00,
        0x04,
        len,
    ]
}

/// Shortest run of 0xFF bytes in a PKCS #1 v1.5 block.
const MIN_PADDING_LEN: usize = 8;

fn check_digest(algorithm: Algorithm, digest: &[u8]) -> Result<(), Error> {
    let expected = algorithm.output_len();
    if digest.len() == expected {
        Ok(())
    } else {
        Err(Error::DigestLength { expected, actual: digest.len() })
    }
}

/// Fills `block`, as long as the modulus, with the PKCS #1 v1.5 encoding of `digest`.
///
/// # Errors
/// [`Error::DigestLength`], or [`Error::BlockLength`] when the block cannot hold the digest.
pub fn pkcs1(algorithm: Algorithm, digest: &[u8], block: &mut [u8]) -> Result<(), Error> {
    check_digest(algorithm, digest)?;
    let info = digest_info(algorithm);
    let too_short = Error::BlockLength { block_len: block.len(), modulus_bits: block.len() * 8 };
    let tail_len = info.len() + digest.len();
    let padding_len = block.len().checked_sub(tail_len + 3).ok_or(too_short)?;
    if padding_len < MIN_PADDING_LEN {
        return Err(too_short);
    }
    let (head, tail) = block.split_at_mut(padding_len + 3);
    head.fill(0xFF);
    if let [zero, one, .., end] = head {
        (*zero, *one, *end) = (0, 1, 0);
    }
    let (prefix, place) = tail.split_at_mut(info.len());
    prefix.copy_from_slice(&info);
    place.copy_from_slice(digest);
    Ok(())
}

/// Fills `block`, as long as the modulus, with the PSS encoding of `digest` and a fresh salt of the
/// digest's length.
///
/// # Errors
/// As [`pss_with_salt`], and [`Error::Crypto`] when no random salt can be had.
pub fn pss(
    algorithm: Algorithm,
    digest: &[u8],
    modulus_bits: usize,
    block: &mut [u8],
) -> Result<(), Error> {
    let mut salt = [0; digest::MAX_LEN];
    let (salt, _) = salt.split_at_mut(algorithm.output_len());
    prno::fill_public(salt)?;
    pss_with_salt(algorithm, digest, salt, modulus_bits, block)
}

/// As [`pss`], with a salt of the caller's: for known-answer tests.
///
/// # Errors
/// [`Error::DigestLength`], [`Error::SaltLength`], [`Error::BlockLength`] when block and modulus do
/// not agree or are too short, [`Error::Crypto`] when hashing fails.
pub fn pss_with_salt(
    algorithm: Algorithm,
    digest: &[u8],
    salt: &[u8],
    modulus_bits: usize,
    block: &mut [u8],
) -> Result<(), Error> {
    check_digest(algorithm, digest)?;
    if salt.len() > digest::MAX_LEN {
        return Err(Error::SaltLength(salt.len()));
    }
    let wrong_block = Error::BlockLength { block_len: block.len(), modulus_bits };
    if modulus_bits < 8 || block.len() != modulus_bits.div_ceil(8) {
        return Err(wrong_block);
    }
    // emBits = modBits - 1, so that the encoded message is less than the modulus.
    let encoded_bits = modulus_bits - 1;
    let (lead, encoded) = block.split_at_mut(block.len() - encoded_bits.div_ceil(8));
    lead.fill(0);
    let hash_len = algorithm.output_len();
    let db_len = encoded.len().checked_sub(hash_len + 1).ok_or(wrong_block)?;
    let padding_len = db_len.checked_sub(salt.len() + 1).ok_or(wrong_block)?;

    // H = Hash(eight zero bytes || mHash || salt)
    let mut context = digest::Context::new(algorithm)?;
    context.update(&[0; 8]);
    context.update(digest);
    context.update(salt);
    let hash = context.finish();

    // EM = maskedDB || H || 0xBC with DB = zeros || 0x01 || salt
    let (db, tail) = encoded.split_at_mut(db_len);
    let (padding, rest) = db.split_at_mut(padding_len);
    padding.fill(0);
    if let Some((one, place)) = rest.split_first_mut() {
        *one = 1;
        place.copy_from_slice(salt);
    }
    mask(algorithm, hash.as_ref(), db)?;
    if let Some(first) = db.first_mut() {
        // The bits above emBits are zero.
        *first &= 0xFF >> (db_and_tail_bits(db_len, hash_len) - encoded_bits);
    }
    if let Some((end, place)) = tail.split_last_mut() {
        *end = 0xBC;
        place.copy_from_slice(hash.as_ref());
    }
    Ok(())
}

/// Bits of the whole encoded message.
const fn db_and_tail_bits(db_len: usize, hash_len: usize) -> usize {
    8 * (db_len + hash_len + 1)
}

/// XORs MGF1 of `seed` over `data`.
fn mask(algorithm: Algorithm, seed: &[u8], data: &mut [u8]) -> Result<(), Error> {
    let mut seeded = digest::Context::new(algorithm)?;
    seeded.update(seed);
    for (counter, chunk) in (0_u32..).zip(data.chunks_mut(algorithm.output_len())) {
        let mut context = seeded.clone();
        context.update(&counter.to_be_bytes());
        for (byte, mask) in chunk.iter_mut().zip(context.finish().as_ref()) {
            *byte ^= mask;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_RSA_SHA256};
    use rustls::SignatureScheme as Scheme;

    use super::*;

    const ALGORITHMS: [Algorithm; 3] = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];

    /// Unsigned numbers of 32-bit limbs, lowest first: just enough for s^65537 mod n.
    mod number {
        pub(super) fn from_bytes(bytes: &[u8]) -> Vec<u32> {
            bytes.rchunks(4).map(|c| c.iter().fold(0, |a, b| a << 8 | u32::from(*b))).collect()
        }

        pub(super) fn to_bytes(number: &[u32]) -> Vec<u8> {
            number.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect()
        }

        fn less(a: &[u32], b: &[u32]) -> bool {
            a.iter().rev().lt(b.iter().rev())
        }

        /// 2a + b mod n, for a and b below n.
        fn double_add(a: &mut [u32], b: &[u32], n: &[u32]) {
            for addend in [a.to_vec(), b.to_vec()] {
                let mut carry = 0;
                for (limb, other) in a.iter_mut().zip(&addend) {
                    let sum = u64::from(*limb) + u64::from(*other) + carry;
                    (*limb, carry) = (u32::try_from(sum & 0xFFFF_FFFF).unwrap(), sum >> 32);
                }
                if carry == 1 || !less(a, n) {
                    let mut borrow = 0;
                    for (limb, other) in a.iter_mut().zip(n) {
                        let (first, one) = limb.overflowing_sub(*other);
                        let (second, two) = first.overflowing_sub(borrow);
                        (*limb, borrow) = (second, u32::from(one | two));
                    }
                }
            }
        }

        fn multiply(a: &[u32], b: &[u32], n: &[u32]) -> Vec<u32> {
            let mut product = vec![0; n.len()];
            let zero = vec![0; n.len()];
            for limb in b.iter().rev() {
                for bit in (0..32).rev() {
                    let addend = if limb >> bit & 1 == 1 { a } else { &zero };
                    double_add(&mut product, addend, n);
                }
            }
            product
        }

        pub(super) fn power_65537(base: &[u32], n: &[u32]) -> Vec<u32> {
            let mut power = base.to_vec();
            for _ in 0..16 {
                power = multiply(&power, &power, n);
            }
            multiply(&power, base, n)
        }
    }

    /// A throwaway RSA-2048 key of another implementation, and its modulus.
    struct Rsa {
        key: std::sync::Arc<dyn rustls::sign::SigningKey>,
        modulus: Vec<u8>,
    }

    impl Rsa {
        fn new() -> Self {
            let pair = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
            // RSAPublicKey of 2048 bits: SEQUENCE, INTEGER with a leading zero, exponent 65537.
            let public = pair.public_key_raw();
            assert_eq!(public[public.len() - 5..], [2, 3, 1, 0, 1]);
            let modulus = public[9..265].to_vec();
            let der = rustls_pki_types::PrivatePkcs8KeyDer::from(pair.serialize_der());
            let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der.into()).unwrap();
            Self { key, modulus }
        }

        /// The block the other implementation signed.
        fn encoded(&self, scheme: Scheme, message: &[u8]) -> Vec<u8> {
            let signature = self.key.choose_scheme(&[scheme]).unwrap().sign(message).unwrap();
            let modulus = number::from_bytes(&self.modulus);
            let power = number::power_65537(&number::from_bytes(&signature), &modulus);
            number::to_bytes(&power)
        }
    }

    #[test]
    fn an_accelerator_makes_valid_signatures_of_our_blocks() {
        use cex::{CardConfig, CardType, Cex, Config, Hash, SignRequest};
        use cpacf::verify::Algorithm as Verified;

        let cards = Config::default().cards;
        let accelerators = cards.into_iter().filter(|card| card.kind == CardType::Cex8A);
        let cards: Vec<CardConfig> = accelerators.collect();
        let cex = Cex::start(&Config { cards, ..Config::default() }).unwrap();
        let pair = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let key = cex.load_key(pair.serialize_der().into()).unwrap();
        let rows = [
            (Hash::Sha256, Verified::RsaPkcs1Sha256, Verified::RsaPssSha256),
            (Hash::Sha384, Verified::RsaPkcs1Sha384, Verified::RsaPssSha384),
            (Hash::Sha512, Verified::RsaPkcs1Sha512, Verified::RsaPssSha512),
        ];
        for (algorithm, (hash, pkcs1_verified, pss_verified)) in ALGORITHMS.into_iter().zip(rows) {
            let digest = digest::digest(algorithm, b"message").unwrap();
            let mut blocks = [[0; 256]; 2];
            pkcs1(algorithm, digest.as_ref(), &mut blocks[0]).unwrap();
            pss(algorithm, digest.as_ref(), 2048, &mut blocks[1]).unwrap();
            let schemes = [cex::Scheme::RsaPkcs1(hash), cex::Scheme::RsaPss(hash)];
            let verified = [pkcs1_verified, pss_verified];
            for ((block, scheme), verified) in blocks.iter().zip(schemes).zip(verified) {
                let digest = cex::Digest::new(digest.as_ref()).unwrap();
                let mut request = SignRequest::new(&key, scheme, digest);
                request.block = Some(block.to_vec());
                let signature = cex.sign_blocking(request).result.unwrap();
                let public = pair.public_key_raw();
                cpacf::verify::verify(verified, public, b"message", &signature).unwrap();
            }
        }
        cex.shutdown();
    }

    #[test]
    fn pkcs1_blocks_agree_with_another_implementation() {
        let rsa = Rsa::new();
        let schemes =
            [Scheme::RSA_PKCS1_SHA256, Scheme::RSA_PKCS1_SHA384, Scheme::RSA_PKCS1_SHA512];
        for (algorithm, scheme) in ALGORITHMS.into_iter().zip(schemes) {
            let digest = digest::digest(algorithm, b"message").unwrap();
            let mut block = [0xAA; 256];
            pkcs1(algorithm, digest.as_ref(), &mut block).unwrap();
            assert_eq!(block[..], rsa.encoded(scheme, b"message")[..], "{algorithm:?}");
        }
    }

    #[test]
    fn pss_blocks_agree_with_another_implementation_for_the_same_salt() {
        let rsa = Rsa::new();
        let schemes = [Scheme::RSA_PSS_SHA256, Scheme::RSA_PSS_SHA384, Scheme::RSA_PSS_SHA512];
        for (algorithm, scheme) in ALGORITHMS.into_iter().zip(schemes) {
            let theirs = rsa.encoded(scheme, b"message");
            let salt = salt_of(algorithm, &theirs, 2048);
            let digest = digest::digest(algorithm, b"message").unwrap();
            let mut block = [0xAA; 256];
            pss_with_salt(algorithm, digest.as_ref(), &salt, 2048, &mut block).unwrap();
            assert_eq!(block[..], theirs[..], "{algorithm:?}");
        }
    }

    /// Unmasks DB and checks its form (RFC 8017 §9.1.2); the salt is as long as the hash.
    fn salt_of(algorithm: Algorithm, block: &[u8], modulus_bits: usize) -> Vec<u8> {
        let hash_len = algorithm.output_len();
        let encoded = &block[block.len() - (modulus_bits - 1).div_ceil(8)..];
        let (db, tail) = encoded.split_at(encoded.len() - hash_len - 1);
        assert_eq!(tail[hash_len], 0xBC);
        let mut db = db.to_vec();
        mask(algorithm, &tail[..hash_len], &mut db).unwrap();
        let unused = 8 * encoded.len() - (modulus_bits - 1);
        assert_eq!(u32::from(encoded[0]) >> (8 - unused), 0, "bits above emBits");
        db[0] &= 0xFF >> unused;
        let (padding, salt) = db.split_at(db.len() - hash_len);
        let (one, zeros) = padding.split_last().unwrap();
        assert!(*one == 1 && zeros.iter().all(|byte| *byte == 0));
        salt.to_vec()
    }

    #[test]
    fn a_fresh_salt_every_time_and_any_size_of_modulus() {
        // 2041 bits: the encoded message is a byte shorter than the modulus.
        for modulus_bits in [2048_usize, 3072, 4096, 2047, 2042, 2041] {
            for algorithm in ALGORITHMS {
                let digest = digest::digest(algorithm, b"m").unwrap();
                let mut blocks = [vec![0xAA; modulus_bits.div_ceil(8)], vec![]];
                blocks[1] = blocks[0].clone();
                for block in &mut blocks {
                    pss(algorithm, digest.as_ref(), modulus_bits, block).unwrap();
                }
                let salts = blocks.each_ref().map(|block| salt_of(algorithm, block, modulus_bits));
                assert_ne!(salts[0], salts[1]);
                if modulus_bits % 8 == 1 {
                    assert_eq!(blocks[0][0], 0);
                }
                let mut again = vec![0; blocks[0].len()];
                pss_with_salt(algorithm, digest.as_ref(), &salts[0], modulus_bits, &mut again)
                    .unwrap();
                assert_eq!(again, blocks[0]);
            }
        }
    }

    #[test]
    fn structure_of_a_pkcs1_block() {
        let mut block = [0; 62];
        pkcs1(Algorithm::Sha256, &[0x11; 32], &mut block).unwrap();
        assert_eq!(block[..2], [0, 1]);
        assert_eq!(block[2..10], [0xFF; 8]);
        assert_eq!(block[10], 0);
        assert_eq!(block[11..15], [0x30, 0x31, 0x30, 0x0D]);
        assert_eq!(block[30..], [0x11; 32]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let short = pkcs1(Algorithm::Sha256, &[0; 32], &mut [0; 61]);
        assert!(matches!(short, Err(Error::BlockLength { block_len: 61, .. })));
        assert!(pkcs1(Algorithm::Sha512, &[0; 64], &mut []).is_err());
        let digest = pkcs1(Algorithm::Sha256, &[0; 31], &mut [0; 256]);
        assert_eq!(digest, Err(Error::DigestLength { expected: 32, actual: 31 }));
        let pss = |bits, len: usize| {
            pss(Algorithm::Sha512, &[0; 64], bits, &mut vec![0; len]).map_err(|_| ())
        };
        assert_eq!(pss(2048, 256), Ok(()));
        assert_eq!(pss(2048, 255), Err(()));
        assert_eq!(pss(1034, 130), Ok(()));
        assert_eq!(pss(1033, 130), Err(()));
        assert_eq!(pss(0, 0), Err(()));
        let salt = [0; 65];
        let long = pss_with_salt(Algorithm::Sha256, &[0; 32], &salt, 2048, &mut [0; 256]);
        assert_eq!(long, Err(Error::SaltLength(65)));
    }
}
