//! The header as a line of text, version 1 of the PROXY protocol (§2.1).
//!
//! Invariants: the line is read as strictly as it is specified, since what one reader takes for an
//! octal number another takes for a decimal one; nothing is decoded before the CRLF is there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Ends, Header, Malformed, Origin, Progress};

/// How every line begins.
pub(super) const START: &[u8] = b"PROXY ";

/// How a line begins whose rest says nothing.
const UNKNOWN: &[u8] = b"PROXY UNKNOWN";

const CRLF: &[u8] = b"\r\n";

/// The longest line, CRLF included.
pub const MAX_LINE: usize = 107;

/// The line for a connection between `ends`. Families that differ, or ends that are not known, are
/// said to be so: version 1 cannot express them.
#[must_use]
pub fn encode(ends: Option<Ends>) -> Vec<u8> {
    let line = ends.and_then(|Ends { source, destination }| {
        let (from, to) = (source.ip().to_canonical(), destination.ip().to_canonical());
        let family = match (from, to) {
            (IpAddr::V4(_), IpAddr::V4(_)) => "TCP4",
            (IpAddr::V6(_), IpAddr::V6(_)) => "TCP6",
            _ => return None,
        };
        let (from, to) = (hexadecimal(from), hexadecimal(to));
        let (from_port, to_port) = (source.port(), destination.port());
        Some(format!("PROXY {family} {from} {to} {from_port} {to_port}\r\n").into_bytes())
    });
    line.unwrap_or_else(|| b"PROXY UNKNOWN\r\n".to_vec())
}

/// An address without dots in IPv6 (`::1.2.3.4`), which the line does not allow.
fn hexadecimal(ip: IpAddr) -> String {
    let text = ip.to_string();
    match ip {
        IpAddr::V6(ip) if text.contains('.') => {
            let groups: Vec<String> = ip.segments().iter().map(|g| format!("{g:x}")).collect();
            groups.join(":")
        }
        _ => text,
    }
}

/// Reads a line; `bytes` begin as [`START`], as far as they go.
pub(super) fn decode(bytes: &[u8]) -> Progress {
    let head = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let silent = head.starts_with(UNKNOWN);
    let end = head.windows(CRLF.len()).position(|window| window == CRLF);
    let line = head.get(..end.unwrap_or(head.len())).unwrap_or_default();
    // A CR at the end of what is here may still get its LF.
    let inside = match end {
        None => line.strip_suffix(b"\r").unwrap_or(line),
        Some(_) => line,
    };
    if !silent && inside.iter().any(|byte| CRLF.contains(byte)) {
        return Progress::Refuse(Malformed::LineEnd);
    }
    match end {
        None if head.len() == MAX_LINE => Progress::Refuse(Malformed::LineTooLong),
        None => Progress::NeedMore { hint: if line.ends_with(b"\r") { 1 } else { 2 } },
        Some(end) => match parse(line) {
            Ok(origin) => {
                Progress::Header(Header { origin, unique_id: None, len: end + CRLF.len() })
            }
            Err(malformed) => Progress::Refuse(malformed),
        },
    }
}

/// Reads the line without its end.
fn parse(line: &[u8]) -> Result<Origin, Malformed> {
    let rest = line.strip_prefix(START).ok_or(Malformed::NoHeader)?;
    let (family, rest) = match rest.iter().position(|byte| *byte == b' ') {
        Some(space) => rest.split_at(space),
        None => (rest, &[][..]),
    };
    let v6 = match family {
        b"UNKNOWN" => return Ok(Origin::Unknown),
        b"TCP4" => false,
        b"TCP6" => true,
        _ => return Err(Malformed::Family1),
    };
    let rest = std::str::from_utf8(rest).map_err(|_| Malformed::Fields)?;
    let mut fields = rest.split(' ').skip(1);
    let mut field = || fields.next().filter(|field| !field.is_empty()).ok_or(Malformed::Fields);
    let texts = [field()?, field()?, field()?, field()?];
    if fields.next().is_some() {
        return Err(Malformed::Fields);
    }
    let [from, to, from_port, to_port] = texts;
    let from = address(from, v6).ok_or(Malformed::SourceAddress)?;
    let to = address(to, v6).ok_or(Malformed::DestinationAddress)?;
    let from_port = port(from_port).ok_or(Malformed::SourcePort)?;
    let to_port = port(to_port).ok_or(Malformed::DestinationPort)?;
    Ok(Origin::Client(Ends {
        source: SocketAddr::new(from, from_port),
        destination: SocketAddr::new(to, to_port),
    }))
}

fn address(text: &str, v6: bool) -> Option<IpAddr> {
    if v6 {
        // Ipv6Addr would take dots as well.
        let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
        text.parse::<Ipv6Addr>().ok().filter(|_| plain).map(IpAddr::V6)
    } else {
        // Ipv4Addr takes neither leading zeros nor fewer than four numbers.
        text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    }
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    text.parse().ok().filter(|_| digits && !leading_zero)
}
