//! The module computes alone: no fall-back is outside it, and nothing goes out that it did not
//! seal.
//!
//! The switch holds for the whole process, so this is a test of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cpacf::digest::Algorithm as Hash;
use cpacf::fault::{self, Fault};
use cpacf::{Function, aead, digest, hmac, module, selftest, stats};

fn in_software(function: Function) -> u64 {
    stats::snapshot()[function as usize].software
}

#[test]
fn nothing_outside_the_module_computes_once_it_is_alone() {
    let linked = module::linked();
    assert_eq!(linked.fips, cfg!(feature = "fips"), "{linked:?}");
    assert!(linked.version.split('.').all(|part| part.parse::<u32>().is_ok()), "{linked:?}");
    module::self_test().unwrap();

    module::compute_alone();
    assert!(module::is_alone());
    assert!(selftest::power_on().is_ok());

    let sealer = aead::Sealer::new(aead::Algorithm::Aes128Gcm, &[1; 16]).unwrap();
    let right = digest::digest(Hash::Sha256, b"abc").unwrap();
    let mac = hmac::Key::start(Hash::Sha256, &[2; 200]).sign(&[b"abc"]);
    for function in [
        Function::KmaGcmAes128,
        Function::KimdSha256,
        Function::KlmdSha256,
        Function::KmacHmacSha256,
    ] {
        fault::inject(function, Fault::Refuse);
    }
    let before =
        [Function::KmaGcmAes128, Function::KlmdSha256, Function::KmacHmacSha256].map(in_software);

    // A record that cannot be sealed is one that no peer takes, and not in clear.
    let mut record = *b"attack at dawn";
    assert_eq!(sealer.seal(&[7; 12], b"", &mut record), [0; 16]);
    assert_eq!(record, [0; 14]);
    let mut out = [0x5a; 14 + 1 + 16];
    sealer.seal_into(&[7; 12], b"", b"attack at dawn", &[23], &mut out).unwrap();
    assert_eq!(out, [0; 31]);

    // What cannot fail goes on in the module, with the right result.
    let mut context = digest::Context::start(Hash::Sha256);
    context.update(b"abc");
    assert_eq!(context.finish().as_ref(), right.as_ref());
    let again = hmac::Key::start(Hash::Sha256, &[2; 200]).sign(&[b"abc"]);
    assert_eq!(again.as_ref(), mac.as_ref());

    let after =
        [Function::KmaGcmAes128, Function::KlmdSha256, Function::KmacHmacSha256].map(in_software);
    assert_eq!(before, after, "the portable implementation has computed");
}
