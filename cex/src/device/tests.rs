//! What a card answers to messages that are well-formed and still wrong.

use super::*;
use crate::key::Handle;
use crate::msg::ReplyFault;
use crate::request::Hash;
use crate::tests_support::{digest_of, p256_pkcs8, rsa_2048, rsa_3072};
use zeroize::Zeroizing;

fn store() -> Arc<KeyStore> {
    Arc::default()
}

fn fault(kind: CardType, keys: &KeyStore, message: &[u8]) -> ReplyFault {
    match accept(kind, keys, message) {
        Err(reply) => msg::decode_reply(&reply, 256).unwrap_err(),
        Ok(_) => panic!("accepted"),
    }
}

fn code(code: ReplyCode) -> ReplyFault {
    ReplyFault::Code(code)
}

#[test]
fn each_card_type_serves_its_own_messages_only() {
    let keys = store();
    let block = type50::encode_request(Handle(1), &[0; 256]).unwrap();
    let digest = digest_of(Hash::Sha256);
    let sign = type6::encode_request(Handle(1), Scheme::RsaPss(Hash::Sha256), &digest);
    assert_eq!(fault(CardType::Cex8C, &keys, &block), code(ReplyCode::MESSAGE_TYPE));
    assert_eq!(fault(CardType::Cex8A, &keys, &sign), code(ReplyCode::MESSAGE_TYPE));
    assert_eq!(fault(CardType::Cex8A, &keys, &[]), code(ReplyCode::MESSAGE_MALFORMED));
}

#[test]
fn unknown_handles_and_wrong_keys_are_refused() {
    let keys = store();
    let rsa = keys.load(&Zeroizing::new(rsa_2048().pkcs8().to_vec())).unwrap();
    let ec = keys.load(&Zeroizing::new(p256_pkcs8())).unwrap();
    let block = |handle, len: usize| type50::encode_request(handle, &vec![1; len]).unwrap();
    let kind = CardType::Cex8A;
    let unknown = Handle(4711);
    assert_eq!(fault(kind, &keys, &block(unknown, 256)), code(ReplyCode::OPERAND_INVALID));
    assert_eq!(fault(kind, &keys, &block(ec.handle(), 256)), code(ReplyCode::KEY_TYPE));
    assert_eq!(fault(kind, &keys, &block(rsa.handle(), 128)), code(ReplyCode::MESSAGE_LENGTH));
    assert_eq!(fault(kind, &keys, &block(rsa.handle(), 257)), code(ReplyCode::OPERAND_SIZE));
    let digest = digest_of(Hash::Sha256);
    let sign = type6::encode_request(unknown, Scheme::Ecdsa(Hash::Sha256), &digest);
    let refused = ReplyFault::Cca { return_code: 8, reason_code: 66 };
    assert_eq!(fault(CardType::Cex8C, &keys, &sign), refused);
}

#[test]
fn a_scheme_that_does_not_fit_the_key_is_an_operand_fault() {
    let keys = store();
    let ec = keys.load(&Zeroizing::new(p256_pkcs8())).unwrap();
    let digest = digest_of(Hash::Sha256);
    let message = type6::encode_request(ec.handle(), Scheme::RsaPss(Hash::Sha256), &digest);
    let Ok(job) = accept(CardType::Cex8C, &keys, &message) else { panic!("refused") };
    let mut results = Vec::new();
    single::Single.execute(&[job], &mut results);
    assert_eq!(results, [Err(OperandFault)]);
    let reply = answer(CardType::Cex8C, Err(OperandFault));
    let refused = ReplyFault::Cca { return_code: 8, reason_code: 66 };
    assert_eq!(msg::decode_reply(&reply, 0), Err(refused));
}

#[test]
fn blocks_of_one_modulus_length_have_one_shape() {
    let keys = store();
    let load = |der: &[u8]| keys.load(&Zeroizing::new(der.to_vec())).unwrap();
    let (two, three) = (load(rsa_2048().pkcs8()), load(rsa_3072().pkcs8()));
    let shape = |handle, len: usize| {
        let message = type50::encode_request(handle, &vec![1; len]).unwrap();
        accept(CardType::Cex8A, &keys, &message).ok().map(|job| job.shape())
    };
    assert_eq!(shape(two.handle(), 256), Some(256));
    assert_eq!(shape(three.handle(), 384), Some(384));
}
