//! What a peer can send: every malformed operand is an error of the right kind, never a panic.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use cpacf::agreement::{Ephemeral, Group, respond};
use cpacf::kdsa::{Curve, ProtectedKey};
use cpacf::verify::{Algorithm, verify};
use cpacf::{ConditionCode, Error, aead, prno};

const GROUPS: [Group; 6] = [
    Group::P256,
    Group::P384,
    Group::P521,
    Group::X25519,
    Group::X25519MlKem768,
    Group::P256MlKem768,
];

fn cc2(group: Group) -> Error {
    Error::ConditionCode { function: group.function(), cc: ConditionCode::Two }
}

#[test]
fn two_sides_agree_in_every_group() {
    for group in GROUPS {
        let client = Ephemeral::generate(group).unwrap();
        assert_eq!(client.public().len(), group.client_share_len(), "{group:?}");
        let (share, servers) = respond(group, client.public()).unwrap();
        assert_eq!(share.len(), group.server_share_len(), "{group:?}");
        let clients = client.agree(&share).unwrap();
        assert_eq!(clients.as_ref(), servers.as_ref(), "{group:?}");
    }
}

#[test]
fn the_classic_half_of_a_hybrid_pair_can_be_used_alone() {
    let client = Ephemeral::generate(Group::X25519MlKem768).unwrap();
    let (group, share) = client.hybrid_component().unwrap();
    assert_eq!(group, Group::X25519);
    assert_eq!(share, &client.public()[1184..]);
    let (answer, servers) = respond(group, share).unwrap();
    let clients = client.agree_hybrid_component(&answer).unwrap();
    assert_eq!(clients.as_ref(), servers.as_ref());

    let client = Ephemeral::generate(Group::P256MlKem768).unwrap();
    let (group, share) = client.hybrid_component().unwrap();
    assert_eq!((group, share), (Group::P256, &client.public()[..65]));

    let classic = Ephemeral::generate(Group::X25519).unwrap();
    assert!(classic.hybrid_component().is_none());
    assert!(matches!(classic.agree_hybrid_component(&[9; 32]), Err(Error::InvalidKey { .. })));
}

#[test]
fn shares_of_every_wrong_length_are_refused() {
    for group in GROUPS {
        for wrong in [
            0, 1, 31, 33, 64, 66, 96, 132, 134, 1088, 1119, 1121, 1152, 1154, 1184, 1215, 1217,
            1248, 1250,
        ] {
            let share = vec![4; wrong];
            assert!(matches!(respond(group, &share), Err(Error::Length { .. })), "{group:?}");
            let key = Ephemeral::generate(group).unwrap();
            assert!(matches!(key.agree(&share), Err(Error::Length { .. })), "{group:?} {wrong}");
        }
    }
}

#[test]
fn points_off_the_curve_are_condition_code_2() {
    for group in [Group::P256, Group::P384, Group::P521] {
        let valid = Ephemeral::generate(group).unwrap().public().to_vec();
        let mut moved = valid.clone();
        *moved.last_mut().unwrap() ^= 1;
        let mut infinity = vec![0; valid.len()];
        infinity[0] = 4;
        let mut prefix = valid.clone();
        prefix[0] = 5;
        let mut hybrid_form = valid.clone();
        hybrid_form[0] = 6 | (valid.last().unwrap() & 1);
        let mut beyond_field = vec![0xff; valid.len()];
        beyond_field[0] = 4;
        for share in [&moved, &infinity, &prefix, &beyond_field, &hybrid_form] {
            assert_eq!(respond(group, share).unwrap_err(), cc2(group), "{:02x?}", &share[..2]);
        }
    }
}

#[test]
fn points_of_small_order_are_condition_code_2() {
    let mut order_8 = [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ];
    let mut one = [0; 32];
    one[0] = 1;
    for share in [[0; 32], one, order_8] {
        assert_eq!(respond(Group::X25519, &share).unwrap_err(), cc2(Group::X25519));
    }
    // The same inside a hybrid share.
    let client = Ephemeral::generate(Group::X25519MlKem768).unwrap();
    let mut share = client.public().to_vec();
    share[1184..].copy_from_slice(&order_8);
    assert_eq!(respond(Group::X25519MlKem768, &share).unwrap_err(), cc2(Group::X25519));
    order_8[31] |= 0x80; // The top bit is ignored (RFC 7748 section 5).
    assert_eq!(respond(Group::X25519, &order_8).unwrap_err(), cc2(Group::X25519));
}

#[test]
fn an_encapsulation_key_beyond_the_modulus_is_refused() {
    let client = Ephemeral::generate(Group::X25519MlKem768).unwrap();
    let mut share = client.public().to_vec();
    share[..3].fill(0xff);
    assert!(matches!(
        respond(Group::X25519MlKem768, &share),
        Err(Error::InvalidKey { function: cpacf::Function::MlKem768, .. })
    ));
    let client = Ephemeral::generate(Group::P256MlKem768).unwrap();
    let mut share = client.public().to_vec();
    share[65..68].fill(0xff);
    assert!(matches!(
        respond(Group::P256MlKem768, &share),
        Err(Error::InvalidKey { function: cpacf::Function::MlKem768, .. })
    ));
}

#[test]
fn a_bad_point_in_a_hybrid_share_is_condition_code_2() {
    let client = Ephemeral::generate(Group::P256MlKem768).unwrap();
    let mut share = client.public().to_vec();
    share[64] ^= 1;
    assert_eq!(respond(Group::P256MlKem768, &share).unwrap_err(), cc2(Group::P256MlKem768));
    share[64] ^= 1;
    share[0] = 6 | (share[64] & 1);
    assert_eq!(respond(Group::P256MlKem768, &share).unwrap_err(), cc2(Group::P256MlKem768));
    let (mut answer, _) = respond(Group::P256MlKem768, client.public()).unwrap();
    answer[64] ^= 1;
    assert_eq!(client.agree(&answer).unwrap_err(), cc2(Group::P256MlKem768));
}

#[test]
fn a_changed_ciphertext_gives_another_secret_and_no_error() {
    let client = Ephemeral::generate(Group::X25519MlKem768).unwrap();
    let (mut share, servers) = respond(Group::X25519MlKem768, client.public()).unwrap();
    share[0] ^= 1;
    let clients = client.agree(&share).unwrap();
    assert_ne!(clients.as_ref()[..32], servers.as_ref()[..32]);
    assert_eq!(clients.as_ref()[32..], servers.as_ref()[32..]);

    let client = Ephemeral::generate(Group::P256MlKem768).unwrap();
    let (mut share, servers) = respond(Group::P256MlKem768, client.public()).unwrap();
    share[65] ^= 1;
    let clients = client.agree(&share).unwrap();
    assert_eq!(clients.as_ref()[..32], servers.as_ref()[..32]);
    assert_ne!(clients.as_ref()[32..], servers.as_ref()[32..]);
}

#[test]
fn records_too_short_or_changed_are_refused() {
    for algorithm in
        [aead::Algorithm::Aes128Gcm, aead::Algorithm::Aes256Gcm, aead::Algorithm::ChaCha20Poly1305]
    {
        let function = algorithm.function();
        let key = vec![1; algorithm.key_len()];
        let opener = aead::Opener::new(algorithm, &key).unwrap();
        for len in 0..aead::TAG_LEN {
            let error = opener.open(&[0; 12], b"", &mut vec![0; len]).unwrap_err();
            assert!(matches!(error, Error::Length { .. }), "{len}: {error}");
            let error = opener.open_into(&[0; 12], b"", &vec![0; len], &mut []).unwrap_err();
            assert!(matches!(error, Error::Length { .. }), "{len}: {error}");
        }
        let sealer = aead::Sealer::new(algorithm, &key).unwrap();
        let mut record = [0; 5 + aead::TAG_LEN];
        sealer.seal_into(&[0; 12], b"aad", b"hell", b"o", &mut record).unwrap();
        for at in 0..record.len() {
            let mut changed = record;
            changed[at] ^= 0x10;
            let mut apart = [1; 5];
            let error = opener.open_into(&[0; 12], b"aad", &changed, &mut apart).unwrap_err();
            assert_eq!(error, Error::Authentication { function });
            assert_eq!(apart, [0; 5], "nothing of what was not authentic is left");
            let error = opener.open(&[0; 12], b"aad", &mut changed).unwrap_err();
            assert_eq!(error, Error::Authentication { function });
        }
        let error = opener.open(&[0; 12], b"AAD", &mut record.clone()).unwrap_err();
        assert_eq!(error, Error::Authentication { function });
        let mut apart = [0; 5];
        opener.open_into(&[0; 12], b"aad", &record, &mut apart).unwrap();
        assert_eq!(&apart, b"hello");
        let error = opener.open_into(&[0; 12], b"aad", &record, &mut [0; 4]).unwrap_err();
        assert!(matches!(error, Error::Length { .. }), "{error}");
        assert_eq!(opener.open(&[0; 12], b"aad", &mut record).unwrap(), b"hello");
        for wrong in [0, 15, 17, 31, 33] {
            let error = aead::Sealer::new(algorithm, &vec![0; wrong]).unwrap_err();
            assert!(matches!(error, Error::Length { .. }), "{error}");
        }
        let mut short = [0; 20];
        let error = sealer.seal_into(&[0; 12], b"", b"hello", b"", &mut short).unwrap_err();
        assert!(matches!(error, Error::Length { .. }), "{error}");
    }
}

#[test]
fn keys_and_signatures_of_garbage_are_errors() {
    let all = [
        Algorithm::RsaPkcs1Sha256,
        Algorithm::RsaPssSha512,
        Algorithm::EcdsaP256Sha256,
        Algorithm::EcdsaP384Sha384,
        Algorithm::EcdsaP521Sha512,
        Algorithm::Ed25519,
    ];
    for algorithm in all {
        for len in [0, 1, 32, 33, 64, 65, 97, 133, 270, 294] {
            let mut garbage = vec![0; len];
            prno::fill(&mut garbage).unwrap();
            assert!(verify(algorithm, &garbage, b"message", &garbage).is_err(), "{algorithm:?}");
            garbage.fill(4);
            assert!(verify(algorithm, &garbage, b"message", b"").is_err(), "{algorithm:?}");
        }
    }
}

#[test]
fn protected_keys_that_are_none_are_refused() {
    for bytes in [&b""[..], b"\x30\x00", &[0x30; 200], b"-----BEGIN PRIVATE KEY-----"] {
        let error = ProtectedKey::load(bytes.to_vec().into()).unwrap_err();
        assert!(matches!(error, Error::InvalidKey { .. }), "{error}");
    }
    assert_eq!(Curve::ALL.map(|curve| curve.function().key_bits()), [256, 384, 521].map(Some));
}
