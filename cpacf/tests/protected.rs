//! Protected keys: loaded from every container, found on their curve, verified by their public key.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm};
use cpacf::Error;
use cpacf::kdsa::{Curve, ProtectedKey};
use cpacf::verify::{Algorithm, verify};

struct Case {
    curve: Curve,
    signing: &'static EcdsaSigningAlgorithm,
    algorithm: Algorithm,
    point_len: usize,
}

const CASES: [Case; 3] = [
    Case {
        curve: Curve::P256,
        signing: &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        algorithm: Algorithm::EcdsaP256Sha256,
        point_len: 65,
    },
    Case {
        curve: Curve::P384,
        signing: &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        algorithm: Algorithm::EcdsaP384Sha384,
        point_len: 97,
    },
    Case {
        curve: Curve::P521,
        signing: &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
        algorithm: Algorithm::EcdsaP521Sha512,
        point_len: 133,
    },
];

#[test]
fn keys_load_from_pkcs8_and_sec1_and_sign() {
    for case in CASES {
        let pair = EcdsaKeyPair::generate(case.signing).unwrap();
        let pkcs8 = pair.to_pkcs8v1().unwrap().as_ref().to_vec();
        let sec1 = pair.private_key().as_der().unwrap().as_ref().to_vec();
        for der in [pkcs8, sec1] {
            let key = ProtectedKey::load(der.into()).unwrap();
            assert_eq!(key.curve(), case.curve);
            let spki = key.public_key();
            let point = &spki[spki.len() - case.point_len..];
            let signature = key.sign(b"to be signed").unwrap();
            assert_eq!(verify(case.algorithm, point, b"to be signed", &signature), Ok(()));
            let function = case.algorithm.function();
            assert_eq!(
                verify(case.algorithm, point, b"to be sighed", &signature),
                Err(Error::Authentication { function })
            );
            assert_ne!(key.sign(b"to be signed").unwrap(), signature, "fresh randomness");
            assert_eq!(
                format!("{key:?}"),
                format!("ProtectedKey {{ curve: {:?}, .. }}", case.curve)
            );
        }
    }
}

#[test]
fn points_in_another_form_are_no_public_key() {
    let pair = EcdsaKeyPair::generate(CASES[0].signing).unwrap();
    let key = ProtectedKey::load(pair.to_pkcs8v1().unwrap().as_ref().to_vec().into()).unwrap();
    let signature = key.sign(b"m").unwrap();
    let spki = key.public_key();
    let mut hybrid = spki[spki.len() - 65..].to_vec();
    hybrid[0] = 6 | (hybrid[64] & 1);
    let algorithm = Algorithm::EcdsaP256Sha256;
    assert!(matches!(verify(algorithm, &hybrid, b"m", &signature), Err(Error::InvalidKey { .. })));
    assert!(matches!(verify(algorithm, spki, b"m", &signature), Err(Error::Length { .. })));
    let mut compressed = hybrid[..33].to_vec();
    compressed[0] = 2 | (hybrid[64] & 1);
    assert!(matches!(verify(algorithm, &compressed, b"m", &signature), Err(Error::Length { .. })));
}
