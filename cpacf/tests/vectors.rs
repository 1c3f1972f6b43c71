//! Published vectors beside those of the power-on self-test, as small tables.
//!
//! GCM specification (SP 800-38D), FIPS 180, RFC 4231, RFC 5869, RFC 8448.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use cpacf::digest::{self, Algorithm as Hash};
use cpacf::{aead, hmac, kdf};

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Key length, zero bytes of text, ciphertext and tag: test cases 1, 2, 13 and 14, all-zero inputs.
const GCM: [(usize, usize, &str); 4] = [
    (16, 0, "58e2fccefa7e3061367f1d57a4e7455a"),
    (16, 16, "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf"),
    (32, 0, "530f8afbc74536b9a963b4f1c4cb738b"),
    (32, 16, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"),
];

#[test]
fn gcm_specification() {
    for (key_len, text_len, sealed) in GCM {
        let algorithm =
            if key_len == 16 { aead::Algorithm::Aes128Gcm } else { aead::Algorithm::Aes256Gcm };
        let key = vec![0; key_len];
        let mut record = vec![0; text_len];
        let tag = aead::Sealer::new(algorithm, &key).unwrap().seal(&[0; 12], b"", &mut record);
        record.extend_from_slice(&tag);
        assert_eq!(record, hex(sealed));
        let opener = aead::Opener::new(algorithm, &key).unwrap();
        assert_eq!(opener.open(&[0; 12], b"", &mut record).unwrap(), vec![0; text_len]);
    }
}

/// Digests of nothing, and of a million times "a".
const FIPS_180: [(Hash, &str, &str); 3] = [
    (
        Hash::Sha256,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    ),
    (
        Hash::Sha384,
        "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51a\
         d2f14898b95b",
        "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b07b8b3dc38ecc4ebae97\
         ddd87f3d8985",
    ),
    (
        Hash::Sha512,
        "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff83\
         18d2877eec2f63b931bd47417a81a538327af927da3e",
        "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0\
         432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b",
    ),
];

#[test]
fn fips_180() {
    for (hash, empty, million) in FIPS_180 {
        assert_eq!(digest::digest(hash, b"").unwrap().as_ref(), hex(empty));
        assert_eq!(digest::Context::new(hash).unwrap().finish().as_ref(), hex(empty));
        let mut context = digest::Context::new(hash).unwrap();
        for _ in 0..1000 {
            context.update(&[b'a'; 1000]);
        }
        assert_eq!(context.finish().as_ref(), hex(million));
        assert_eq!(digest::digest(hash, &[b'a'; 1_000_000]).unwrap().as_ref(), hex(million));
    }
}

/// Tags of test cases 1 and 3.
const RFC_4231: [(Hash, &str, &str); 3] = [
    (
        Hash::Sha256,
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        Hash::Sha384,
        "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af1\
         52e8b2fa9cb6",
        "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3a\
         b6e101a34f27",
    ),
    (
        Hash::Sha512,
        "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b\
         274eaea3f4e4be9d914eeb61f1702e696c203a126854",
        "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39bf3e848279a722c806b4\
         85a47e67c807b946a337bee8942674278859e13292fb",
    ),
];

#[test]
fn rfc_4231() {
    for (hash, case_1, case_3) in RFC_4231 {
        let key = hmac::Key::new(hash, &[0x0b; 20]).unwrap();
        assert_eq!(key.sign(&[b"Hi", b" ", b"There"]).as_ref(), hex(case_1));
        assert_eq!(key.verify(&[b"Hi There"], &hex(case_1)), Ok(()));
        let key = hmac::Key::new(hash, &[0xaa; 20]).unwrap();
        assert_eq!(key.sign(&[&[0xdd; 50]]).as_ref(), hex(case_3));
        assert!(key.verify(&[&[0xdd; 50]], &hex(case_1)).is_err());
    }
}

#[test]
fn rfc_5869() {
    let bytes = |range: core::ops::Range<u8>| range.collect::<Vec<_>>();
    let mut out = [0; 82];
    let prk = kdf::hkdf_extract(Hash::Sha256, Some(&bytes(0x60..0xb0)), &bytes(0..0x50)).unwrap();
    let info = (0xb0..=0xff).collect::<Vec<u8>>();
    prk.expand(&[&info], &mut out).unwrap();
    let published = "\
         b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac78272\
         71cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f\
         1d87";
    assert_eq!(out[..], hex(published), "A.2");

    let mut out = [0; 42];
    let prk = kdf::hkdf_extract(Hash::Sha256, None, &[0x0b; 22]).unwrap();
    prk.expand(&[], &mut out).unwrap();
    let published = "\
         8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a\
         96c8";
    assert_eq!(out[..], hex(published), "A.3");

    let too_long = &mut vec![0; 255 * 32 + 1];
    assert!(matches!(prk.expand(&[], too_long), Err(cpacf::Error::Length { .. })));
    assert_eq!(prk.expand(&[], &mut too_long[1..]), Ok(()));
    assert_eq!(prk.expand(&[], &mut []), Ok(()));
}

/// However the provider gets at it, for keys and infos of all lengths.
#[test]
fn the_first_block_of_an_expansion_is_the_signature_it_should_be() {
    for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
        for key_len in [0, 20, 32, 48, 64, 65, 128, 131, 200] {
            let key = hmac::Key::new(hash, &vec![0xaa; key_len]).unwrap();
            for info_len in [0, 1, 50, 79, 80, 81, 126, 127, 128, 300] {
                let info = vec![0x55; info_len];
                let (front, back) = info.split_at(info_len / 3);
                let block = key.first_block_with(&[front, back], <[u8]>::to_vec);
                let signature = key.sign(&[&info, &[1]]);
                assert_eq!(block, signature.as_ref(), "{hash:?} {key_len} {info_len}");
            }
        }
    }
}

/// The first two steps of the TLS 1.3 key schedule without a pre-shared key.
#[test]
fn rfc_8448() {
    let early = kdf::hkdf_extract(Hash::Sha256, None, &[0; 32]).unwrap();
    let empty = digest::digest(Hash::Sha256, b"").unwrap();
    let mut derived = [0; 32];
    early.expand(&[&[0, 32, 13], b"tls13 derived", &[32], empty.as_ref()], &mut derived).unwrap();
    let published = "6f2615a108c702c5678f54fc9dbab69716c076189c48250cebeac3576c3611ba";
    assert_eq!(derived[..], hex(published));

    // The same early secret, given as bytes.
    let secret = hex("33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a");
    let mut again = [0; 32];
    kdf::Prk::from_bytes(Hash::Sha256, &secret)
        .unwrap()
        .expand(&[&[0, 32, 13], b"tls13 derived", &[32], empty.as_ref()], &mut again)
        .unwrap();
    assert_eq!(again, derived);
    let short = kdf::Prk::from_bytes(Hash::Sha256, &secret[1..]);
    assert!(matches!(short, Err(cpacf::Error::Length { .. })));
}

/// Our PRF against the library's own, which the product does not use: all output lengths.
#[test]
fn tls12_prf_agrees_with_the_library() {
    use aws_lc_rs::tls_prf;
    for (hash, theirs) in [
        (Hash::Sha256, &tls_prf::P_SHA256),
        (Hash::Sha384, &tls_prf::P_SHA384),
        (Hash::Sha512, &tls_prf::P_SHA512),
    ] {
        for len in 1..=150 {
            let mut out = vec![0; len];
            kdf::tls12_prf(hash, b"secret", b"key expansion", &[b"a", b"b"], &mut out).unwrap();
            let secret = tls_prf::Secret::new(theirs, b"secret").unwrap();
            let derived = secret.derive(b"key expansion", b"ab", len).unwrap();
            assert_eq!(out, derived.as_ref());
        }
    }
}
