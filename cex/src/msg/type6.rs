//! Type 6 and 86: digital signature generate on a CCA coprocessor.
//!
//! ```text
//! request   0  type-6 header, 58h bytes: {0, 6, ..}, offset of the CPRBX @10h, agent "CA" @20h,
//!              "to card" length @38h
//!         58h  CPRBX, DCh bytes: length u16, version 2, function id "T2" @6, parameter length @0Ch
//!        134h  parameters: function "SG", rule array (length u16, keywords of 8 bytes),
//!              digest (length u16, bytes), key (length u16, handle u64)
//! reply     0  type-86 header {0, 86h, 2, 0, reply code, 0, 0, 0}, extension of 28h bytes
//!         30h  CPRBX with return code and reason code of the service
//!        10Ch  parameters: function "SG", empty rule array, signature (length u16, bytes)
//! ```
//!
//! Rule array: one of `PKCS-1.1`, `PKCS-PSS`, `ECDSA`, then the hash. Length, version and names
//! follow the manual; the offset of the codes inside the CPRBX is this program's own.
//!
//! Source: IBM *Common Cryptographic Architecture Application Programmer's Guide*, CSNDDSG.

use super::{Operation, Reader, ReplyCode, ReplyFault, len16};
use crate::key::Handle;
use crate::request::{Digest, Hash, Scheme};

pub(crate) const REQUEST: u8 = 0x06;
pub(crate) const REPLY: u8 = 0x86;

const HEADER: usize = 0x58;
const CPRBX: usize = 0xdc;
const REPLY_HEADER: usize = 0x30;
const FUNCTION: &[u8; 2] = b"SG";
/// Where the CPRBX has its return code; the reason code follows.
const CODES_AT: usize = 0x70;

/// A rule-array keyword and the scheme that it makes of a hash.
type Method = (&'static [u8; 8], fn(Hash) -> Scheme);

const KEYWORDS: [Method; 3] =
    [(b"PKCS-1.1", Scheme::RsaPkcs1), (b"PKCS-PSS", Scheme::RsaPss), (b"ECDSA   ", Scheme::Ecdsa)];

const HASHES: [(&[u8; 8], Hash); 3] =
    [(b"SHA-256 ", Hash::Sha256), (b"SHA-384 ", Hash::Sha384), (b"SHA-512 ", Hash::Sha512)];

fn keywords(scheme: Scheme) -> [&'static [u8; 8]; 2] {
    let method = match scheme {
        Scheme::RsaPkcs1(_) => KEYWORDS[0].0,
        Scheme::RsaPss(_) => KEYWORDS[1].0,
        Scheme::Ecdsa(_) => KEYWORDS[2].0,
    };
    [method, HASHES[scheme.hash().index()].0]
}

fn cprbx(parameters: usize, return_code: u16, reason_code: u16) -> [u8; CPRBX] {
    let mut block = [0; CPRBX];
    block[..2].copy_from_slice(&len16(CPRBX));
    block[2] = 2;
    block[6..8].copy_from_slice(b"T2");
    block[14..16].copy_from_slice(&len16(parameters));
    block[CODES_AT..CODES_AT + 2].copy_from_slice(&return_code.to_be_bytes());
    block[CODES_AT + 2..CODES_AT + 4].copy_from_slice(&reason_code.to_be_bytes());
    block
}

/// A request to sign a digest.
pub(crate) fn encode_request(handle: Handle, scheme: Scheme, digest: &Digest) -> Vec<u8> {
    let digest = digest.as_ref();
    let parameters = 2 + 2 + 16 + 2 + digest.len() + 2 + 8;
    let mut message = Vec::with_capacity(HEADER + CPRBX + parameters);
    message.resize(HEADER, 0);
    message[1] = REQUEST;
    message[0x12..0x14].copy_from_slice(&len16(HEADER));
    message[0x20..0x22].copy_from_slice(b"CA");
    message[0x3a..0x3c].copy_from_slice(&len16(CPRBX + parameters));
    message.extend_from_slice(&cprbx(parameters, 0, 0));
    message.extend_from_slice(FUNCTION);
    message.extend_from_slice(&len16(2 + 16));
    for keyword in keywords(scheme) {
        message.extend_from_slice(keyword);
    }
    message.extend_from_slice(&len16(2 + digest.len()));
    message.extend_from_slice(digest);
    message.extend_from_slice(&len16(2 + 8));
    message.extend_from_slice(&handle.0.to_be_bytes());
    message
}

pub(super) fn decode_request(message: &[u8]) -> Result<Operation<'_>, ReplyCode> {
    let malformed = ReplyCode::MESSAGE_MALFORMED;
    let mut reader = Reader::new(message);
    let mut header = Reader::new(reader.take(HEADER).ok_or(malformed)?);
    header.take(0x10).ok_or(malformed)?;
    let offset = header.u32().ok_or(malformed)?;
    header.take(0x0c).ok_or(malformed)?;
    let agent = header.take(2).ok_or(malformed)?;
    if offset != 0x58 || agent != b"CA" {
        return Err(malformed);
    }
    let parameters = read_cprbx(&mut reader).ok_or(malformed)?.parameters;
    let parameters = reader.take(parameters).ok_or(ReplyCode::INVALID_LENGTH)?;
    if !reader.is_empty() {
        return Err(ReplyCode::INVALID_LENGTH);
    }
    read_parameters(parameters).ok_or(malformed)?
}

/// `None` for what is too short, `Some(Err(..))` for what is understood and wrong.
fn read_parameters(bytes: &[u8]) -> Option<Result<Operation<'_>, ReplyCode>> {
    let mut reader = Reader::new(bytes);
    if reader.take(2)? != FUNCTION {
        return Some(Err(ReplyCode::INVALID_COMMAND));
    }
    let mut rules = Reader::new(read_sized(&mut reader)?);
    let (method, hash) = (rules.take(8)?, rules.take(8)?);
    let method = KEYWORDS.iter().find(|(word, _)| &word[..] == method);
    let hash = HASHES.iter().find(|(word, _)| &word[..] == hash);
    let digest = read_sized(&mut reader)?;
    let mut key = Reader::new(read_sized(&mut reader)?);
    let handle = Handle(key.u64()?);
    let (Some((_, scheme)), Some((_, hash))) = (method, hash) else {
        return Some(Err(ReplyCode::FORMAT_FIELD));
    };
    if digest.len() != hash.len() || !rules.is_empty() || !key.is_empty() || !reader.is_empty() {
        return Some(Err(ReplyCode::INVALID_LENGTH));
    }
    let digest = Digest::new(digest)?;
    Some(Ok(Operation::Sign { handle, scheme: scheme(*hash), digest }))
}

/// A field whose first two bytes say how long it is, themselves included.
fn read_sized<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let len = usize::from(reader.u16()?).checked_sub(2)?;
    reader.take(len)
}

struct Cprbx {
    parameters: usize,
    return_code: u16,
    reason_code: u16,
}

fn read_cprbx(reader: &mut Reader<'_>) -> Option<Cprbx> {
    let block = reader.take(CPRBX)?;
    let mut head = Reader::new(block);
    let (length, version) = (head.u16()?, head.take(2)?);
    head.take(2)?;
    let function = head.take(2)?;
    head.take(4)?;
    let parameters = usize::try_from(head.u32()?).ok()?;
    let mut codes = Reader::new(block.get(CODES_AT..)?);
    let known = usize::from(length) == CPRBX && version[0] == 2 && function == b"T2";
    known.then_some(Cprbx { parameters, return_code: codes.u16()?, reason_code: codes.u16()? })
}

fn reply(return_code: u16, reason_code: u16, signature: &[u8]) -> Vec<u8> {
    let parameters = 2 + 2 + 2 + signature.len();
    let mut message = Vec::with_capacity(REPLY_HEADER + CPRBX + parameters);
    message.resize(REPLY_HEADER, 0);
    message[1] = REPLY;
    message[2] = 2;
    message[0x0e..0x10].copy_from_slice(&len16(CPRBX + parameters));
    message[0x12..0x14].copy_from_slice(&len16(REPLY_HEADER));
    message.extend_from_slice(&cprbx(parameters, return_code, reason_code));
    message.extend_from_slice(FUNCTION);
    message.extend_from_slice(&len16(2));
    message.extend_from_slice(&len16(2 + signature.len()));
    message.extend_from_slice(signature);
    message
}

/// A reply with a signature.
pub(crate) fn encode_reply(signature: &[u8]) -> Vec<u8> {
    reply(0, 0, signature)
}

/// A reply of the service that there is no signature.
pub(crate) fn encode_refusal(return_code: u16, reason_code: u16) -> Vec<u8> {
    reply(return_code, reason_code, &[])
}

pub(super) fn decode_reply(message: &[u8]) -> Result<Vec<u8>, ReplyFault> {
    let mut reader = Reader::new(message);
    let header = reader.take(REPLY_HEADER).ok_or(ReplyFault::Malformed)?;
    match header.get(4) {
        Some(0) => {}
        Some(code) => return Err(ReplyFault::Code(ReplyCode(*code))),
        None => return Err(ReplyFault::Malformed),
    }
    let cprbx = read_cprbx(&mut reader).ok_or(ReplyFault::Malformed)?;
    if cprbx.return_code != 0 {
        let Cprbx { return_code, reason_code, .. } = cprbx;
        return Err(ReplyFault::Cca { return_code, reason_code });
    }
    let parameters = reader.take(cprbx.parameters).ok_or(ReplyFault::Malformed)?;
    read_signature(parameters).filter(|_| reader.is_empty()).ok_or(ReplyFault::Malformed)
}

fn read_signature(parameters: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(parameters);
    let function = reader.take(2)?;
    read_sized(&mut reader)?;
    let signature = read_sized(&mut reader)?;
    let whole = function == FUNCTION && !signature.is_empty() && reader.is_empty();
    whole.then(|| signature.to_vec())
}
