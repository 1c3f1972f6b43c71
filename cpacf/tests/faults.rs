//! Functions broken on purpose: each is caught at start, blocked, counted, and survived where a
//! call must not fail.
//!
//! Faults hold for the whole process, so the tests of this file take turns.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use cpacf::agreement::Group;
use cpacf::digest::Algorithm as Hash;
use cpacf::fault::{self, Fault};
use cpacf::selftest::{self, Failure};
use cpacf::stats::{self, Row};
use cpacf::{ConditionCode, Error, Function, aead, agreement, digest, hmac, kdf, prno};

/// The turn of one test; every function is whole again when it ends.
struct Turn(#[allow(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

fn turn() -> Turn {
    static TURN: Mutex<()> = Mutex::new(());
    Turn(TURN.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Drop for Turn {
    fn drop(&mut self) {
        Function::ALL.into_iter().for_each(fault::repair);
    }
}

fn row(function: Function) -> Row {
    stats::snapshot()[function as usize]
}

const KEY: [u8; 32] = [0x42; 32];
const NONCE: [u8; 12] = [7; 12];
const AAD: &[u8] = b"header";
const TEXT: &[u8] = b"attack at dawn, bring \0\0\0 coffee";

const CIPHERS: [aead::Algorithm; 3] =
    [aead::Algorithm::Aes128Gcm, aead::Algorithm::Aes256Gcm, aead::Algorithm::ChaCha20Poly1305];

const HASHES: [Hash; 3] = [Hash::Sha256, Hash::Sha384, Hash::Sha512];

fn sealer(algorithm: aead::Algorithm) -> aead::Sealer {
    aead::Sealer::new(algorithm, &KEY[..algorithm.key_len()]).unwrap()
}

/// Ciphertext and tag of [`TEXT`], in place.
fn seal(sealer: &aead::Sealer) -> Vec<u8> {
    let mut record = TEXT.to_vec();
    let tag = sealer.seal(&NONCE, AAD, &mut record);
    record.extend_from_slice(&tag);
    record
}

#[test]
fn each_broken_function_is_caught_by_its_own_test() {
    let _turn = turn();
    for function in Function::ALL {
        fault::break_function(function);
        let result = selftest::run(function);
        assert!(result.outcome.is_err(), "{function} is broken and passed");
        assert!(selftest::is_blocked(function), "{function}");
        assert!(result.to_string().contains("FAILED, blocked"), "{result}");
        fault::repair(function);
        assert_eq!(selftest::run(function).outcome, Ok(()), "{function} does not recover");
    }
}

#[test]
fn a_flipped_byte_in_a_published_vector_is_noticed() {
    let _turn = turn();
    // Random data has no vector.
    for function in Function::ALL.into_iter().filter(|it| *it != Function::PrnoSha512Drng) {
        fault::flip_vector(function);
        let outcome = selftest::run(function).outcome;
        assert!(outcome.is_err(), "{function} passes with a flipped vector");
        fault::repair(function);
        assert_eq!(selftest::run(function).outcome, Ok(()), "{function} does not recover");
    }
}

#[test]
fn each_refusing_function_is_caught_in_spite_of_the_fall_backs() {
    let _turn = turn();
    for function in Function::ALL {
        fault::inject(function, Fault::Refuse);
        let outcome = selftest::run(function).outcome;
        assert!(matches!(outcome, Err(Failure::Refused(_))), "{function}: {outcome:?}");
        fault::repair(function);
    }
}

#[test]
fn power_on_names_the_broken_function_and_goes_on_with_the_others() {
    let _turn = turn();
    fault::break_function(Function::KmaGcmAes256);
    let report = selftest::power_on().unwrap_err();
    let failed: Vec<_> = report.failed().map(|result| result.function).collect();
    assert_eq!(failed, [Function::KmaGcmAes256]);
    assert_eq!(report.results().len(), Function::COUNT);
    assert!(report.to_string().contains("KMA-GCM-AES-256: FAILED"), "{report}");

    let key = &KEY;
    let refused = aead::Sealer::new(aead::Algorithm::Aes256Gcm, key).unwrap_err();
    assert_eq!(refused, Error::Blocked { function: Function::KmaGcmAes256 });
    assert!(aead::Sealer::new(aead::Algorithm::ChaCha20Poly1305, key).is_ok());
}

#[test]
fn a_blocked_function_stays_blocked_when_tested_again() {
    let _turn = turn();
    let function = Function::KlmdSha384;
    fault::block(function);
    let again = selftest::run(function).outcome;
    assert_eq!(again, Err(Failure::Refused(Error::Blocked { function })));
    assert!(selftest::is_blocked(function));
}

#[test]
fn blocked_calls_are_errors_and_are_counted() {
    let _turn = turn();
    let call = |function: Function, call: &dyn Fn() -> Option<Error>| {
        fault::block(function);
        let before = row(function);
        assert_eq!(call(), Some(Error::Blocked { function }));
        let after = row(function);
        assert_eq!(after.blocked - before.blocked, 1, "{function}");
        assert_eq!(after.calls - before.calls, 1, "{function}");
        assert_eq!(after.hardware, before.hardware, "{function}");
        fault::repair(function);
    };
    call(Function::KlmdSha256, &|| digest::digest(Hash::Sha256, TEXT).err());
    call(Function::KimdSha512, &|| digest::Context::new(Hash::Sha512).err());
    call(Function::PrnoSha512Drng, &|| prno::fill(&mut [0; 8]).err());
    call(Function::KmacHmacSha256, &|| hmac::Key::new(Hash::Sha256, TEXT).err());
    call(Function::HkdfSha384, &|| kdf::hkdf_extract(Hash::Sha384, None, TEXT).err());
    call(Function::PccScalarMultiplyP256, &|| agreement::Ephemeral::generate(Group::P256).err());
}

#[test]
fn sealing_survives_a_block_and_a_refusal_and_counts_as_software() {
    let _turn = turn();
    for algorithm in CIPHERS {
        let function = algorithm.function();
        let sealer = sealer(algorithm);
        let opener = aead::Opener::new(algorithm, &KEY[..algorithm.key_len()]).unwrap();
        let healthy = seal(&sealer);

        for fall_back in [fault::block, |function| fault::inject(function, Fault::Refuse)] {
            fall_back(function);
            let before = row(function);
            assert_eq!(seal(&sealer), healthy, "{function}: the same record either way");
            let mut apart = vec![0; TEXT.len() + aead::TAG_LEN];
            let (front, back) = TEXT.split_at(20);
            sealer.seal_into(&NONCE, AAD, front, back, &mut apart).unwrap();
            assert_eq!(apart, healthy, "{function}");
            let after = row(function);
            assert_eq!(after.software - before.software, 2, "{function}");
            assert_eq!(after.hardware, before.hardware, "{function}");
            assert_eq!(after.bytes - before.bytes, 2 * TEXT.len() as u64, "{function}");
            fault::repair(function);
        }

        let mut record = healthy.clone();
        assert_eq!(opener.open(&NONCE, AAD, &mut record).unwrap(), TEXT);
        fault::block(function);
        let refused = opener.open(&NONCE, AAD, &mut healthy.clone()).unwrap_err();
        assert_eq!(refused, Error::Blocked { function });
        let mut apart = [1; TEXT.len()];
        let refused = opener.open_into(&NONCE, AAD, &healthy, &mut apart).unwrap_err();
        assert_eq!((refused, apart), (Error::Blocked { function }, [1; TEXT.len()]));
        fault::repair(function);
    }
}

#[test]
fn a_record_destroyed_half_way_is_rejected_by_the_peer() {
    let _turn = turn();
    for algorithm in CIPHERS {
        let function = algorithm.function();
        let sealer = sealer(algorithm);
        let opener = aead::Opener::new(algorithm, &KEY[..algorithm.key_len()]).unwrap();
        let healthy = seal(&sealer);
        fault::inject(function, Fault::Destroy);

        // In place the plaintext is gone: nothing of it may go out, and nothing false be accepted.
        let mut lost = seal(&sealer);
        assert!(lost.iter().all(|&byte| byte == 0), "{function}");
        let rejected = opener.open(&NONCE, AAD, &mut lost).unwrap_err();
        assert_eq!(rejected, Error::Authentication { function });

        // Out of place it is still there.
        let mut apart = vec![0; TEXT.len() + aead::TAG_LEN];
        sealer.seal_into(&NONCE, AAD, TEXT, b"", &mut apart).unwrap();
        assert_eq!(apart, healthy, "{function}");
        fault::repair(function);
    }
}

#[test]
fn hmac_survives_a_block() {
    let _turn = turn();
    for (hash, function) in HASHES.into_iter().zip([
        Function::KmacHmacSha256,
        Function::KmacHmacSha384,
        Function::KmacHmacSha512,
    ]) {
        for secret in [&b""[..], b"short", &[0xaa; 64], &[0xaa; 128], &[0xaa; 131]] {
            let key = hmac::Key::new(hash, secret).unwrap();
            let healthy = key.sign(&[TEXT, AAD]);
            let block = key.first_block_with(&[TEXT, AAD], <[u8]>::to_vec);
            fault::block(function);
            let before = row(function);
            assert_eq!(key.first_block_with(&[TEXT, AAD], <[u8]>::to_vec), block, "{hash:?}");
            assert_eq!(key.sign(&[TEXT, AAD]).as_ref(), healthy.as_ref(), "{hash:?}");
            let late = hmac::Key::start(hash, secret).sign(&[TEXT, AAD]);
            assert_eq!(late.as_ref(), healthy.as_ref(), "{hash:?}");
            assert_eq!(row(function).software - before.software, 3, "{hash:?}");
            fault::repair(function);
            fault::inject(function, Fault::WrongResult);
            assert_ne!(key.first_block_with(&[TEXT, AAD], <[u8]>::to_vec), block, "{hash:?}");
            fault::repair(function);
        }
    }
}

#[test]
fn a_transcript_survives_a_block() {
    let _turn = turn();
    for hash in HASHES {
        let healthy = digest::digest(hash, TEXT).unwrap();
        fault::block(hash.intermediate());
        let before = row(hash.intermediate());
        let mut context = digest::Context::start(hash);
        let (front, back) = TEXT.split_at(3);
        context.update(front);
        let mut fork = context.clone();
        context.update(back);
        fork.update(back);
        assert_eq!(context.finish().as_ref(), healthy.as_ref(), "{hash:?}");
        assert_eq!(fork.finish().as_ref(), healthy.as_ref(), "{hash:?}");
        assert_eq!(row(hash.intermediate()).software - before.software, 3, "{hash:?}");
        fault::repair(hash.intermediate());
    }
}

#[test]
fn key_derivation_outlives_the_block_of_the_hmac_below_it() {
    let _turn = turn();
    let derive = || {
        let mut out = [0; 100];
        let prk = kdf::hkdf_extract(Hash::Sha256, Some(AAD), &KEY).unwrap();
        prk.expand(&[b"info"], &mut out).unwrap();
        out
    };
    let healthy = derive();
    fault::block(Function::KmacHmacSha256);
    assert_eq!(derive(), healthy);
}

#[test]
fn a_refusal_that_cannot_be_healed_is_a_condition_code() {
    let _turn = turn();
    let function = Function::PrnoSha512Drng;
    prno::fill_public(&mut [0; 8]).unwrap();
    fault::inject(function, Fault::Refuse);
    // Not even what was drawn before is handed out.
    assert!(prno::fill_public(&mut [0; 8]).is_err());
    let refused = prno::fill(&mut [0; 8]).unwrap_err();
    assert_eq!(refused, Error::ConditionCode { function, cc: ConditionCode::One });
    assert_eq!(refused.function(), function);
}

#[test]
fn ordinary_work_is_counted_by_who_did_it() {
    let _turn = turn();
    let count = |function: Function, work: &dyn Fn()| {
        let before = row(function);
        work();
        let after = row(function);
        let (hardware, software) =
            (after.hardware - before.hardware, after.software - before.software);
        assert_eq!(after.calls, after.hardware + after.software + after.blocked);
        (hardware, software, after.bytes - before.bytes)
    };
    let aes = sealer(aead::Algorithm::Aes128Gcm);
    let work = || drop(seal(&aes));
    assert_eq!(count(Function::KmaGcmAes128, &work), (1, 0, TEXT.len() as u64));
    let chacha = sealer(aead::Algorithm::ChaCha20Poly1305);
    let work = || drop(seal(&chacha));
    assert_eq!(count(Function::ChaCha20Poly1305, &work), (0, 1, TEXT.len() as u64));
    let work = || drop(agreement::Ephemeral::generate(Group::X25519MlKem768).unwrap());
    assert_eq!(count(Function::MlKem768, &work), (0, 1, 0));
    assert_eq!(count(Function::PccScalarMultiplyX25519, &work), (1, 0, 0));
    let work = || prno::fill(&mut [0; 40]).unwrap();
    assert_eq!(count(Function::PrnoSha512Drng, &work), (1, 0, 40));
    let key = hmac::Key::new(Hash::Sha256, &KEY).unwrap();
    let work = || key.first_block_with(&[TEXT, AAD], |block| assert_eq!(block.len(), 32));
    let signed = (TEXT.len() + AAD.len() + 1) as u64;
    assert_eq!(count(Function::KmacHmacSha256, &work), (1, 0, signed), "as the signature it is");
}
