//! Loading, refusing, and the signatures that loaded keys make.

use super::*;
use crate::tests_support::{digest_of, ec_pkcs8, p256_pkcs8, rsa_2048, rsa_3072, rsa_4096};
use aws_lc_rs::encoding::EcPrivateKeyRfc5915Der;

fn store() -> Arc<KeyStore> {
    Arc::default()
}

fn load(store: &Arc<KeyStore>, der: &[u8]) -> Result<Key, Error> {
    store.load(&Zeroizing::new(der.to_vec()))
}

#[test]
fn rsa_keys_load_from_both_encodings() {
    let store = store();
    for (key, bits) in [(rsa_2048(), 2048), (rsa_3072(), 3072), (rsa_4096(), 4096)] {
        for der in [key.pkcs8(), key.pkcs1()] {
            let loaded = load(&store, der).unwrap();
            assert_eq!(loaded.kind(), KeyKind::Rsa { bits });
            assert_eq!(loaded.modulus_len(), Some(bits as usize / 8));
            // The SPKI ends with the PKCS#1 public key.
            assert!(loaded.public_key().ends_with(key.public_pkcs1()));
        }
    }
}

#[test]
fn ec_keys_load_from_both_encodings() {
    let store = store();
    for curve in [Curve::P256, Curve::P384, Curve::P521] {
        let pkcs8 = ec_pkcs8(curve.signing());
        let pair = EcdsaKeyPair::from_pkcs8(curve.signing(), &pkcs8).unwrap();
        let sec1: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
        for der in [&pkcs8[..], sec1.as_ref()] {
            let key = load(&store, der).unwrap();
            assert_eq!(key.kind(), KeyKind::Ec(curve));
            assert!(key.public_key().ends_with(pair.public_key().as_ref()));
            assert_eq!(key.modulus_len(), None);
        }
    }
}

#[test]
fn every_curve_signs_every_hash() {
    let store = store();
    for curve in [Curve::P256, Curve::P384, Curve::P521] {
        let key = load(&store, &ec_pkcs8(curve.signing())).unwrap();
        let private = store.find(key.handle()).unwrap();
        for hash in Hash::ALL {
            let (scheme, digest) = (Scheme::Ecdsa(hash), digest_of(hash));
            let signature = private.sign(scheme, &digest).unwrap();
            assert!(key.verifies(scheme, &digest, &signature), "{curve:?} {hash:?}");
            let other = Digest::new(&[0xa5; 64][..hash.len()]).unwrap();
            assert!(!key.verifies(scheme, &other, &signature));
        }
    }
}

#[test]
fn every_rsa_scheme_signs_and_verifies() {
    let store = store();
    let key = load(&store, rsa_2048().pkcs8()).unwrap();
    let private = store.find(key.handle()).unwrap();
    for hash in Hash::ALL {
        let digest = digest_of(hash);
        for scheme in [Scheme::RsaPkcs1(hash), Scheme::RsaPss(hash)] {
            let mut signature = private.sign(scheme, &digest).unwrap();
            assert!(key.verifies(scheme, &digest, &signature));
            assert!(!key.verifies(Scheme::Ecdsa(hash), &digest, &signature));
            signature[100] ^= 1;
            assert!(!key.verifies(scheme, &digest, &signature));
        }
        // A digest of another hash.
        let wrong = Digest::new(&[1; 20]).unwrap();
        assert!(private.sign(Scheme::RsaPss(hash), &wrong).is_err());
        assert!(private.sign(Scheme::Ecdsa(hash), &digest).is_err());
    }
}

#[test]
fn sizes_outside_2048_to_4096_are_refused() {
    for bits in [1024, 2047, 4097, 8192] {
        let error = check_size(bits).unwrap_err();
        assert!(error.to_string().contains(&format!("{bits} bits")), "{error}");
    }
    for bits in [2048, 3072, 4096] {
        assert!(check_size(bits).is_ok());
    }
}

#[test]
fn a_public_part_that_does_not_belong_to_the_key_is_refused() {
    let store = store();
    let (mut one, two) = (p256_pkcs8(), p256_pkcs8());
    // The public point is the last 64 bytes.
    let at = one.len() - 64;
    one[at..].copy_from_slice(&two[at..]);
    let error = load(&store, &one).unwrap_err();
    assert!(error.to_string().contains("belong together"), "{error}");
    // The modulus of another key.
    let mut rsa = rsa_2048().pkcs8().to_vec();
    let n = rsa.windows(4).position(|w| w == [0x02, 0x82, 0x01, 0x01]).unwrap() + 20;
    rsa[n] ^= 1;
    let error = load(&store, &rsa).unwrap_err();
    assert!(error.to_string().contains("belong together"), "{error}");
    assert_eq!(store.len(), 0);
}

#[test]
fn dropping_the_last_clone_removes_the_private_part() {
    let store = store();
    let key = load(&store, &p256_pkcs8()).unwrap();
    let (clone, handle) = (key.clone(), key.handle());
    drop(key);
    assert!(store.find(handle).is_some());
    drop(clone);
    assert!(store.find(handle).is_none());
    assert_eq!(store.len(), 0);
}

#[test]
fn handles_are_never_reused() {
    let store = store();
    let der = p256_pkcs8();
    let first = load(&store, &der).unwrap().handle();
    let second = load(&store, &der).unwrap().handle();
    assert_ne!(first, second);
}

#[test]
fn debug_output_shows_no_key() {
    let store = store();
    let key = load(&store, &p256_pkcs8()).unwrap();
    assert_eq!(format!("{key:?}"), "Key(EC P-256 0000000000000001)");
    assert_eq!(format!("{store:?}"), "KeyStore(1 keys)");
}
