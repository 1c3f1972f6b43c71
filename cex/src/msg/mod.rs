//! Messages between host and card, as bytes.
//!
//! `type50` is the accelerator's form (request type 50, reply type 80), `type6` the
//! coprocessor's (request type 6 with a CPRBX, reply type 86). Both carry a key *handle* where
//! the real form carries key fields: the one stated deviation, so that private keys stay behind
//! the bus. Error replies have type 82 or 88 and a reply code.
//!
//! Invariants: all numbers are big-endian; decoding reads through `Reader`, which cannot leave
//! the message; it never panics, whatever the bytes are. The two ends share no other state.

pub(crate) mod type50;
pub(crate) mod type6;

use std::fmt;

use crate::key::Handle;
use crate::request::{Digest, Scheme};

/// A request as a card understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    /// Raw RSA on a right-justified block field.
    Block { handle: Handle, field: &'a [u8] },
    /// A signature of a digest.
    Sign { handle: Handle, scheme: Scheme, digest: Digest },
}

/// Why a reply holds no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyFault {
    /// The card answered with a reply code.
    Code(ReplyCode),
    /// The coprocessor's service answered with return code and reason code.
    Cca { return_code: u16, reason_code: u16 },
    /// The reply is too short or of an unknown type.
    Malformed,
}

macro_rules! reply_codes {
    ($($value:literal $name:ident $text:literal,)*) => {
        /// Reply code of a card.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct ReplyCode(pub u8);

        impl ReplyCode {
            $(#[doc = $text] pub const $name: Self = Self($value);)*

            /// Every code of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What the code says, in a few words.
            pub fn text(self) -> &'static str {
                match self.0 {
                    $($value => $text,)*
                    _ => "unknown reply code",
                }
            }
        }
    };
}

reply_codes! {
    0x10 MACHINE_FAILURE "machine or module failure",
    0x12 PREEMPT_FAILURE "preempt failure",
    0x14 CHECKPOINT_FAILURE "checkpoint failure",
    0x20 MESSAGE_TYPE "message type not supported",
    0x21 INVALID_COMM_CODE "invalid communication code",
    0x22 MESSAGE_MALFORMED "message malformed",
    0x23 INVALID_LENGTH "invalid message length",
    0x24 RESERVED_FIELD "reserved field not zero",
    0x29 FORMAT_FIELD "invalid format field",
    0x30 INVALID_COMMAND "invalid command",
    0x34 KEY_TYPE "invalid key type",
    0x40 MALFORMED_SPECIAL "malformed special command",
    0x41 INVALID_SPECIAL "invalid special command",
    0x50 RESERVED_FIELD_OLD "reserved field not zero (old form)",
    0x60 WORD_ALIGNMENT "word alignment",
    0x80 MESSAGE_LENGTH "message length does not fit the key",
    0x82 OPERAND_INVALID "operand or key invalid",
    0x84 OPERAND_SIZE "operand size invalid",
    0x85 EVEN_MODULUS "modulus is even",
    0x88 RESERVED_FIELD_88 "reserved field not zero (type 88)",
    0x8A INVALID_DOMAIN_PENDING "invalid domain pending",
    0x8B FILTERED_BY_HYPERVISOR "filtered by the hypervisor",
    0x90 TRANSPORT_FAIL "transport failure",
    0xA0 PACKET_TRUNCATED "packet truncated",
    0xB0 ZERO_BUFFER_LENGTH "zero buffer length",
}

impl fmt::Debug for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplyCode({:02X})", self.0)
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reply code {:02X} ({})", self.0, self.text())
    }
}

/// Decodes a request, whichever of the two types it is. The error is the reply code to send.
pub(crate) fn decode_request(message: &[u8]) -> Result<Operation<'_>, ReplyCode> {
    match message.get(1) {
        Some(&type50::REQUEST) => type50::decode_request(message),
        Some(&type6::REQUEST) => type6::decode_request(message),
        Some(_) => Err(ReplyCode::MESSAGE_TYPE),
        None => Err(ReplyCode::MESSAGE_MALFORMED),
    }
}

/// Decodes a reply of either type. `result_len` is the length of the modulus in bytes for type
/// 80, whose result is right-justified in a larger field.
pub(crate) fn decode_reply(message: &[u8], result_len: usize) -> Result<Vec<u8>, ReplyFault> {
    match message.get(1) {
        Some(&type50::REPLY) => type50::decode_reply(message, result_len),
        Some(&type6::REPLY) => type6::decode_reply(message),
        Some(&ERROR_82 | &ERROR_88) => {
            let code = message.get(ERROR_CODE_AT).ok_or(ReplyFault::Malformed)?;
            Err(ReplyFault::Code(ReplyCode(*code)))
        }
        _ => Err(ReplyFault::Malformed),
    }
}

/// Whether the bytes are a well-formed request, or a reply with a result. For fuzzing.
pub fn is_well_formed(message: &[u8]) -> bool {
    decode_request(message).is_ok() || decode_reply(message, 256).is_ok()
}

const ERROR_82: u8 = 0x82;
const ERROR_88: u8 = 0x88;
const ERROR_CODE_AT: usize = 4;

/// An error reply: type 82 for failures of the card, 88 for what is wrong with the message.
pub(crate) fn encode_error(code: ReplyCode) -> Vec<u8> {
    let kind = if code == ReplyCode::MACHINE_FAILURE { ERROR_82 } else { ERROR_88 };
    vec![0, kind, 0, 16, code.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// Bounds-checked reading of big-endian fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A length field of 16 bits. No message of ours is longer (the queue takes 12 KiB at most); a
/// longer one would get a length that its receiver refuses.
pub(crate) fn len16(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests;
