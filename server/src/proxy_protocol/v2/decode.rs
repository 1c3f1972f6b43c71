//! Reader of the binary header.
//!
//! Invariants: nothing but the fixed part is looked at before the whole header is there; families
//! that are valid and of no use to us fall back to the addresses of the TCP connection, as the
//! specification wants; a LOCAL header is skipped unread, its family included. Values that are not
//! used are skipped, whatever their type, but their lengths must add up.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{FIXED, MAX_UNIQUE_ID, SIGNATURE, TLV_HEAD, TYPE_CRC32C, TYPE_UNIQUE_ID};
use crate::proxy_protocol::crc32c::crc32c;
use crate::proxy_protocol::{Ends, Header, MAX_HEADER, Malformed, Origin, Progress};

const VERSION: u8 = 2;
const COMMAND_LOCAL: u8 = 0;
const COMMAND_PROXY: u8 = 1;

const INET: u8 = 1;
const INET6: u8 = 2;
const UNIX: u8 = 3;
const STREAM: u8 = 1;
const DGRAM: u8 = 2;

/// Reads a header; `bytes` begin as [`SIGNATURE`], as far as they go.
pub(in crate::proxy_protocol) fn decode(bytes: &[u8]) -> Progress {
    let mut fixed = bytes.iter().skip(SIGNATURE.len());
    let command = match fixed.next() {
        None => return Progress::NeedMore { hint: FIXED - bytes.len() },
        Some(byte) if byte >> 4 != VERSION => return Progress::Refuse(Malformed::Version),
        Some(byte) => byte & 0x0F,
    };
    if !matches!(command, COMMAND_LOCAL | COMMAND_PROXY) {
        return Progress::Refuse(Malformed::Command);
    }
    let (family, transport) = match fixed.next() {
        None => return Progress::NeedMore { hint: FIXED - bytes.len() },
        Some(byte) => (byte >> 4, byte & 0x0F),
    };
    if command == COMMAND_PROXY && family > UNIX {
        return Progress::Refuse(Malformed::Family2);
    }
    if command == COMMAND_PROXY && transport > DGRAM {
        return Progress::Refuse(Malformed::Transport);
    }
    let (Some(high), Some(low)) = (fixed.next(), fixed.next()) else {
        return Progress::NeedMore { hint: FIXED - bytes.len() };
    };
    let len = FIXED + usize::from(u16::from_be_bytes([*high, *low]));
    if len > MAX_HEADER {
        return Progress::Refuse(Malformed::TooLong);
    }
    let Some(header) = bytes.get(..len) else {
        return Progress::NeedMore { hint: len - bytes.len() };
    };
    let content = match command {
        COMMAND_LOCAL => Ok((Origin::Local, None)),
        _ => proxied(header, family, transport),
    };
    match content {
        Ok((origin, unique_id)) => Progress::Header(Header { origin, unique_id, len }),
        Err(malformed) => Progress::Refuse(malformed),
    }
}

/// Reads what follows the fixed part of a PROXY header.
fn proxied(
    header: &[u8],
    family: u8,
    transport: u8,
) -> Result<(Origin, Option<Vec<u8>>), Malformed> {
    let addresses = match (family, transport) {
        (INET, STREAM | DGRAM) => 12,
        (INET6, STREAM | DGRAM) => 36,
        (UNIX, STREAM | DGRAM) => 216,
        // Where its values would begin is not defined.
        _ => return Ok((Origin::Unknown, None)),
    };
    let body = header.get(FIXED..).unwrap_or_default();
    let (addresses, values) = body.split_at_checked(addresses).ok_or(Malformed::AddressesCut)?;
    let ends = match (family, transport) {
        (INET, STREAM) => inet(addresses),
        (INET6, STREAM) => inet6(addresses),
        _ => None,
    };
    let unique_id = read_values(header, values)?;
    Ok((ends.map_or(Origin::Unknown, Origin::Client), unique_id))
}

fn inet(bytes: &[u8]) -> Option<Ends> {
    let (from, rest) = bytes.split_first_chunk::<4>()?;
    let (to, rest) = rest.split_first_chunk::<4>()?;
    let (from_port, to_port) = ports(rest)?;
    Some(Ends {
        source: SocketAddr::new(Ipv4Addr::from(*from).into(), from_port),
        destination: SocketAddr::new(Ipv4Addr::from(*to).into(), to_port),
    })
}

fn inet6(bytes: &[u8]) -> Option<Ends> {
    let (from, rest) = bytes.split_first_chunk::<16>()?;
    let (to, rest) = rest.split_first_chunk::<16>()?;
    let (from_port, to_port) = ports(rest)?;
    Some(Ends {
        source: SocketAddr::new(Ipv6Addr::from(*from).into(), from_port),
        destination: SocketAddr::new(Ipv6Addr::from(*to).into(), to_port),
    })
}

fn ports(bytes: &[u8]) -> Option<(u16, u16)> {
    let (from, rest) = bytes.split_first_chunk::<2>()?;
    let (to, _) = rest.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*from), u16::from_be_bytes(*to)))
}

/// Walks over the values, checks the checksum of the whole header if there is one, and returns the
/// unique id.
fn read_values(header: &[u8], mut values: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    let mut checksum = None;
    let mut unique_id = None;
    while !values.is_empty() {
        let (&[kind, high, low], rest) =
            values.split_first_chunk::<TLV_HEAD>().ok_or(Malformed::ValueHeadCut)?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(len).ok_or(Malformed::ValueCut)?;
        match kind {
            TYPE_CRC32C => {
                let sum: [u8; 4] = value.try_into().map_err(|_| Malformed::ChecksumLength)?;
                // The last one read is what would be checked, and the other one be damage.
                if checksum.is_some() {
                    return Err(Malformed::ChecksumTwice);
                }
                let at = header.len() - rest.len() - sum.len();
                checksum = Some((u32::from_be_bytes(sum), at..at + sum.len()));
            }
            TYPE_UNIQUE_ID if value.len() > MAX_UNIQUE_ID => return Err(Malformed::UniqueId),
            TYPE_UNIQUE_ID if unique_id.is_some() => return Err(Malformed::UniqueIdTwice),
            TYPE_UNIQUE_ID => unique_id = Some(value.to_vec()),
            _ => {}
        }
        values = rest;
    }
    if let Some((sum, place)) = checksum {
        // Over the whole header, with the field itself taken for zeros.
        let bytes = header.iter().enumerate();
        let found = crc32c(bytes.map(|(at, byte)| if place.contains(&at) { 0 } else { *byte }));
        if found != sum {
            return Err(Malformed::Checksum);
        }
    }
    Ok(unique_id)
}
