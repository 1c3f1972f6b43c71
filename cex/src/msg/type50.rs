//! Type 50 and 80: RSA on an accelerator.
//!
//! ```text
//! request  0  {0, 50h, length u16, 0, 0, 0, 0}
//!          8  key-block type u16 (CRB1 0011h, CRB2 0012h, CRB3 0013h), 6 reserved bytes
//!         16  key handle u64              (the real form: p, q, dp, dq, u)
//!         24  message field of 128, 256 or 512 bytes, right-justified, padded with zeros
//! reply    0  {0, 80h, length u16, 0, ...} 16 bytes
//!         16  result field of the same length; the result is its last n bytes
//! ```

use super::{Operation, Reader, ReplyCode, ReplyFault, len16};
use crate::key::Handle;

pub(crate) const REQUEST: u8 = 0x50;
pub(crate) const REPLY: u8 = 0x80;

const HEADER: usize = 24;
const REPLY_HEADER: usize = 16;

/// Key-block type and length of the message field for a block of `len` bytes.
fn key_block(len: usize) -> Option<(u16, usize)> {
    match len {
        1..=128 => Some((0x0011, 128)),
        129..=256 => Some((0x0012, 256)),
        257..=512 => Some((0x0013, 512)),
        _ => None,
    }
}

/// A request; `None` if the block is empty or longer than 512 bytes.
pub(crate) fn encode_request(handle: Handle, block: &[u8]) -> Option<Vec<u8>> {
    let (key_block, field) = key_block(block.len())?;
    let mut message = Vec::with_capacity(HEADER + field);
    message.extend_from_slice(&[0, REQUEST]);
    message.extend_from_slice(&len16(HEADER + field));
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&key_block.to_be_bytes());
    message.extend_from_slice(&[0; 6]);
    message.extend_from_slice(&handle.0.to_be_bytes());
    message.resize(HEADER + field - block.len(), 0);
    message.extend_from_slice(block);
    Some(message)
}

pub(super) fn decode_request(message: &[u8]) -> Result<Operation<'_>, ReplyCode> {
    let mut reader = Reader::new(message);
    let malformed = ReplyCode::MESSAGE_MALFORMED;
    reader.take(2).ok_or(malformed)?;
    let length = reader.u16().ok_or(malformed)?;
    if usize::from(length) != message.len() {
        return Err(ReplyCode::INVALID_LENGTH);
    }
    let reserved = reader.u32().ok_or(malformed)?;
    let key_block = reader.u16().ok_or(malformed)?;
    let more = reader.take(6).ok_or(malformed)?;
    if reserved != 0 || more.iter().any(|byte| *byte != 0) {
        return Err(ReplyCode::RESERVED_FIELD);
    }
    let handle = Handle(reader.u64().ok_or(malformed)?);
    let field = match key_block {
        0x0011 => 128,
        0x0012 => 256,
        0x0013 => 512,
        _ => return Err(ReplyCode::KEY_TYPE),
    };
    let field = reader.take(field).ok_or(ReplyCode::INVALID_LENGTH)?;
    if reader.is_empty() {
        Ok(Operation::Block { handle, field })
    } else {
        Err(ReplyCode::INVALID_LENGTH)
    }
}

/// A reply; results are never longer than 512 bytes.
pub(crate) fn encode_reply(result: &[u8]) -> Vec<u8> {
    let field = key_block(result.len()).map_or(result.len(), |(_, field)| field);
    let mut message = Vec::with_capacity(REPLY_HEADER + field);
    message.extend_from_slice(&[0, REPLY]);
    message.extend_from_slice(&len16(REPLY_HEADER + field));
    message.resize(REPLY_HEADER + field - result.len(), 0);
    message.extend_from_slice(result);
    message
}

pub(super) fn decode_reply(message: &[u8], result_len: usize) -> Result<Vec<u8>, ReplyFault> {
    let mut reader = Reader::new(message);
    reader.take(2).ok_or(ReplyFault::Malformed)?;
    let length = reader.u16().ok_or(ReplyFault::Malformed)?;
    reader.take(REPLY_HEADER - 4).ok_or(ReplyFault::Malformed)?;
    let field = message.len() - REPLY_HEADER;
    if usize::from(length) != message.len() || result_len == 0 || field < result_len {
        return Err(ReplyFault::Malformed);
    }
    reader.take(field - result_len).ok_or(ReplyFault::Malformed)?;
    reader.take(result_len).map(<[u8]>::to_vec).ok_or(ReplyFault::Malformed)
}
