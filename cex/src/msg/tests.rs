//! Both message forms: roundtrips, layout, and every way of being cut or damaged.

use super::*;
use crate::request::Hash;
use crate::tests_support::digest_of;

const HANDLE: Handle = Handle(0x0102_0304_0506_0708);

fn schemes() -> Vec<Scheme> {
    let forms = [Scheme::RsaPkcs1, Scheme::RsaPss, Scheme::Ecdsa];
    forms.iter().flat_map(|form| Hash::ALL.map(form)).collect()
}

fn type6_request(scheme: Scheme) -> Vec<u8> {
    type6::encode_request(HANDLE, scheme, &digest_of(scheme.hash()))
}

#[test]
fn a_type_50_request_is_laid_out_as_documented() {
    for (len, key_block, field) in [(100, 1, 128), (256, 2, 256), (384, 3, 512), (512, 3, 512)] {
        let block = vec![0xab; len];
        let message = type50::encode_request(HANDLE, &block).unwrap();
        assert_eq!(message.len(), 24 + field);
        assert_eq!(message[..2], [0, 0x50]);
        assert_eq!(usize::from(message[2]) << 8 | usize::from(message[3]), message.len());
        assert_eq!(message[8..10], [0, 0x10 | key_block]);
        assert_eq!(message[16..24], [1, 2, 3, 4, 5, 6, 7, 8]);
        let Operation::Block { handle, field } = decode_request(&message).unwrap() else {
            panic!("not a block");
        };
        assert_eq!(handle, HANDLE);
        assert!(field[..field.len() - len].iter().all(|byte| *byte == 0));
        assert_eq!(&field[field.len() - len..], block);
    }
    assert!(type50::encode_request(HANDLE, &[]).is_none());
    assert!(type50::encode_request(HANDLE, &[0; 513]).is_none());
}

#[test]
fn a_type_6_request_keeps_scheme_digest_and_handle() {
    for scheme in schemes() {
        let message = type6_request(scheme);
        assert_eq!(&message[0x20..0x22], b"CA");
        assert_eq!(message[0x58..0x5b], [0, 0xdc, 2]);
        assert_eq!(&message[0x5e..0x60], b"T2");
        assert_eq!(&message[0x134..0x136], b"SG");
        let digest = digest_of(scheme.hash());
        let expected = Operation::Sign { handle: HANDLE, scheme, digest };
        assert_eq!(decode_request(&message), Ok(expected));
    }
}

#[test]
fn replies_give_their_results_back() {
    for len in [256, 384, 512] {
        let result: Vec<u8> = (0_u8..=255).cycle().skip(7).take(len).collect();
        assert_eq!(decode_reply(&type50::encode_reply(&result), len), Ok(result));
    }
    let signature = vec![0x30; 71];
    assert_eq!(decode_reply(&type6::encode_reply(&signature), 0), Ok(signature));
    let refusal = decode_reply(&type6::encode_refusal(8, 66), 0);
    assert_eq!(refusal, Err(ReplyFault::Cca { return_code: 8, reason_code: 66 }));
    for code in ReplyCode::ALL {
        assert_eq!(decode_reply(&encode_error(*code), 256), Err(ReplyFault::Code(*code)));
    }
}

#[test]
fn a_type_86_reply_code_is_reported() {
    let mut reply = type6::encode_reply(&[1, 2, 3]);
    reply[4] = 0x90;
    assert_eq!(decode_reply(&reply, 0), Err(ReplyFault::Code(ReplyCode::TRANSPORT_FAIL)));
}

#[test]
fn every_truncation_is_refused() {
    let requests = [type50::encode_request(HANDLE, &[9; 256]).unwrap()]
        .into_iter()
        .chain(schemes().into_iter().map(type6_request));
    for message in requests {
        for cut in 0..message.len() {
            assert!(decode_request(&message[..cut]).is_err(), "cut at {cut}");
        }
        let mut longer = message.clone();
        longer.push(0);
        assert!(decode_request(&longer).is_err());
    }
    for (reply, len) in [(type50::encode_reply(&[9; 256]), 256), (type6::encode_reply(&[9; 70]), 0)]
    {
        for cut in 0..reply.len() {
            assert!(decode_reply(&reply[..cut], len).is_err(), "cut at {cut}");
        }
        let mut longer = reply.clone();
        longer.push(0);
        assert!(decode_reply(&longer, len).is_err());
    }
}

#[test]
fn no_single_damaged_byte_makes_a_panic() {
    let messages = [
        type50::encode_request(HANDLE, &[9; 256]).unwrap(),
        type6_request(Scheme::Ecdsa(Hash::Sha384)),
        type50::encode_reply(&[9; 256]),
        type6::encode_reply(&[9; 70]),
        encode_error(ReplyCode::MACHINE_FAILURE),
    ];
    for message in messages {
        for at in 0..message.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut damaged = message.clone();
                damaged[at] = value;
                let _ = decode_request(&damaged);
                let _ = decode_reply(&damaged, 256);
                let _ = decode_reply(&damaged, 0);
            }
        }
    }
}

#[test]
fn faults_of_a_request_have_their_reply_codes() {
    let good = type50::encode_request(HANDLE, &[9; 256]).unwrap();
    let damaged = |at: usize, value: u8| {
        let mut message = good.clone();
        message[at] = value;
        decode_request(&message).unwrap_err()
    };
    assert_eq!(decode_request(&[]), Err(ReplyCode::MESSAGE_MALFORMED));
    assert_eq!(damaged(1, 0x51), ReplyCode::MESSAGE_TYPE);
    assert_eq!(damaged(3, 0), ReplyCode::INVALID_LENGTH);
    assert_eq!(damaged(5, 1), ReplyCode::RESERVED_FIELD);
    assert_eq!(damaged(12, 1), ReplyCode::RESERVED_FIELD);
    assert_eq!(damaged(9, 0x14), ReplyCode::KEY_TYPE);
    assert_eq!(damaged(9, 0x13), ReplyCode::INVALID_LENGTH);
    let good = type6_request(Scheme::RsaPss(Hash::Sha256));
    let damaged = |at: usize, value: u8| {
        let mut message = good.clone();
        message[at] = value;
        decode_request(&message).unwrap_err()
    };
    assert_eq!(damaged(0x20, b'X'), ReplyCode::MESSAGE_MALFORMED);
    assert_eq!(damaged(0x5a, 3), ReplyCode::MESSAGE_MALFORMED);
    assert_eq!(damaged(0x134, b'X'), ReplyCode::INVALID_COMMAND);
    assert_eq!(damaged(0x138, b'X'), ReplyCode::FORMAT_FIELD);
    assert_eq!(damaged(0x144, b'4'), ReplyCode::FORMAT_FIELD);
}
