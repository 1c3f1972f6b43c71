//! Encoder of the PROXY protocol, version 2 (`haproxy: doc/proxy-protocol.txt`, §2.2).
//!
//! Purpose: turn what is known about a client into the binary header a backend reads ahead of the
//! data. A pure function to bytes; the caller sends them before anything else, in one piece.
//!
//! Invariants: a header is at most [`MAX_LEN`] bytes. A value that is too long for its field is
//! left out, never cut: a backend must not see half a name. Nothing is ever received here: a
//! listener of ours does not accept the header, since any client could then forge its address.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// `\r\n\r\n\0\r\nQUIT\n`, chosen so that no other protocol's server takes it for a request.
const SIGNATURE: [u8; 12] =
    [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

/// Version 2 in the high half; the command in the low one.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

/// Family in the high half, SOCK_STREAM in the low one.
const UNSPEC: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

const TYPE_ALPN: u8 = 0x01;
const TYPE_AUTHORITY: u8 = 0x02;
const TYPE_UNIQUE_ID: u8 = 0x05;
const TYPE_SSL: u8 = 0x20;
const SUBTYPE_SSL_VERSION: u8 = 0x21;
const SUBTYPE_SSL_CIPHER: u8 = 0x23;

/// PP2_CLIENT_SSL: the client connected over TLS. No certificate flag: none is asked for.
const CLIENT_SSL: u8 = 0x01;
/// Not zero: no client certificate was verified.
const NOT_VERIFIED: u32 = 1;

/// ALPN and SNI as their TLS extensions bound them.
const MAX_NAME: usize = 255;
/// Bound of the specification.
const MAX_UNIQUE_ID: usize = 128;
/// Longer than any version or cipher suite name.
const MAX_WORD: usize = 64;

/// Type and length in front of each value.
const TLV_HEAD: usize = 3;

/// The longest header this module makes.
pub const MAX_LEN: usize = 16
    + 36
    + 2 * (TLV_HEAD + MAX_NAME)
    + (TLV_HEAD + MAX_UNIQUE_ID)
    + (TLV_HEAD + 5 + 2 * (TLV_HEAD + MAX_WORD));

/// What the header says. Empty fields are left out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Header<'a> {
    /// Client's address and the local address it connected to; none makes a LOCAL header, which
    /// says that the connection is our own (a health check) and carries nothing else.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// The TLS side of the connection.
    pub tls: Option<Tls<'a>>,
    /// Protocol agreed by ALPN.
    pub alpn: Option<&'a [u8]>,
    /// Server name the client asked for.
    pub authority: Option<&'a str>,
    /// Something that finds the connection again in other logs.
    pub unique_id: Option<&'a [u8]>,
}

/// What the header says about TLS.
#[derive(Debug, Clone, Copy)]
pub struct Tls<'a> {
    /// Protocol version, e.g. `TLSv1.3`.
    pub version: &'a str,
    /// Cipher suite, IANA name.
    pub cipher: &'a str,
}

impl Header<'_> {
    /// The bytes to send.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(MAX_LEN);
        out.extend_from_slice(&SIGNATURE);
        let Some((source, destination)) = self.addresses else {
            out.extend_from_slice(&[LOCAL, UNSPEC, 0, 0]);
            return out;
        };
        out.push(PROXY);
        let length_at = put_addresses(&mut out, source, destination);
        put_tlv(&mut out, TYPE_ALPN, self.alpn, MAX_NAME);
        put_tlv(&mut out, TYPE_AUTHORITY, self.authority.map(str::as_bytes), MAX_NAME);
        if let Some(tls) = &self.tls {
            put_tls(&mut out, tls);
        }
        put_tlv(&mut out, TYPE_UNIQUE_ID, self.unique_id, MAX_UNIQUE_ID);
        patch_length(&mut out, length_at);
        out
    }
}

/// Writes family, room for the length, and both addresses; returns where the length stands.
fn put_addresses(out: &mut Vec<u8>, source: SocketAddr, destination: SocketAddr) -> usize {
    // A dual-stack listener reports IPv4 clients as ::ffff:a.b.c.d; backends want them as IPv4.
    let (from, to) = (source.ip().to_canonical(), destination.ip().to_canonical());
    let length_at = out.len() + 1;
    if let (IpAddr::V4(from), IpAddr::V4(to)) = (from, to) {
        out.extend_from_slice(&[TCP_OVER_IPV4, 0, 0]);
        out.extend_from_slice(&from.octets());
        out.extend_from_slice(&to.octets());
    } else {
        out.extend_from_slice(&[TCP_OVER_IPV6, 0, 0]);
        out.extend_from_slice(&as_v6(from).octets());
        out.extend_from_slice(&as_v6(to).octets());
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
    length_at
}

fn as_v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

fn put_tls(out: &mut Vec<u8>, tls: &Tls<'_>) {
    out.extend_from_slice(&[TYPE_SSL, 0, 0]);
    let length_at = out.len() - 2;
    out.push(CLIENT_SSL);
    out.extend_from_slice(&NOT_VERIFIED.to_be_bytes());
    put_tlv(out, SUBTYPE_SSL_VERSION, Some(tls.version.as_bytes()), MAX_WORD);
    put_tlv(out, SUBTYPE_SSL_CIPHER, Some(tls.cipher.as_bytes()), MAX_WORD);
    patch_length(out, length_at);
}

/// Writes one value unless it is absent, empty or longer than `bound`.
fn put_tlv(out: &mut Vec<u8>, kind: u8, value: Option<&[u8]>, bound: usize) {
    let Some(value) = value.filter(|value| (1..=bound).contains(&value.len())) else { return };
    out.extend_from_slice(&[kind, 0, 0]);
    let length_at = out.len() - 2;
    out.extend_from_slice(value);
    patch_length(out, length_at);
}

/// Sets the length field at `at` to the number of bytes after it.
fn patch_length(out: &mut [u8], at: usize) {
    let Some((head, tail)) = out.split_at_mut_checked(at + 2) else { return };
    // Every part is bounded (see MAX_LEN), so the length fits.
    let length = u16::try_from(tail.len()).unwrap_or(u16::MAX);
    if let Some(field) = head.get_mut(at..) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, MAX_LEN, SIGNATURE, Tls};
    use std::net::SocketAddr;

    fn between(from: &str, to: &str) -> Option<(SocketAddr, SocketAddr)> {
        Some((from.parse().unwrap(), to.parse().unwrap()))
    }

    #[test]
    fn ipv4_addresses_lie_as_specified() {
        let addresses = between("192.0.2.1:49152", "198.51.100.2:992");
        let bytes = Header { addresses, ..Header::default() }.encode();
        let expected = [
            &SIGNATURE[..],
            &[0x21, 0x11, 0, 12],
            &[192, 0, 2, 1, 198, 51, 100, 2],
            &[0xc0, 0x00, 0x03, 0xe0],
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn ipv6_addresses_lie_as_specified() {
        let addresses = between("[2001:db8::1]:1", "[2001:db8::2]:2");
        let bytes = Header { addresses, ..Header::default() }.encode();
        assert_eq!(bytes[12..16], [0x21, 0x21, 0, 36]);
        assert_eq!(bytes[16..20], [0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!((bytes[31], bytes[47]), (1, 2));
        assert_eq!(bytes[48..], [0, 1, 0, 2]);
    }

    #[test]
    fn a_mapped_address_is_given_as_ipv4() {
        let addresses = between("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2");
        let bytes = Header { addresses, ..Header::default() }.encode();
        assert_eq!(bytes[12..20], [0x21, 0x11, 0, 12, 192, 0, 2, 1]);
    }

    #[test]
    fn local_carries_nothing() {
        let header = Header { authority: Some("a.de"), ..Header::default() };
        assert_eq!(header.encode(), [&SIGNATURE[..], &[0x20, 0, 0, 0]].concat());
    }

    #[test]
    fn values_follow_the_addresses() {
        let header = Header {
            addresses: between("192.0.2.1:1", "192.0.2.2:2"),
            tls: Some(Tls { version: "TLSv1.3", cipher: "X" }),
            alpn: Some(b"h2"),
            authority: Some("a.de"),
            unique_id: Some(&[7]),
        };
        let bytes = header.encode();
        let values = [
            &[0x01, 0, 2][..],
            b"h2",
            &[0x02, 0, 4],
            b"a.de",
            // 5 bytes client and verify, 3 + 7 version, 3 + 1 cipher.
            &[0x20, 0, 19, 0x01, 0, 0, 0, 1, 0x21, 0, 7],
            b"TLSv1.3",
            &[0x23, 0, 1],
            b"X",
            &[0x05, 0, 1, 7],
        ]
        .concat();
        assert_eq!(bytes[28..], values);
        assert_eq!(usize::from(u16::from_be_bytes([bytes[14], bytes[15]])), 12 + values.len());
    }

    #[test]
    fn what_is_too_long_is_left_out_and_the_bound_holds() {
        let long = "a".repeat(256);
        let full = "a".repeat(255);
        let word = "w".repeat(64);
        let at = between("[2001:db8::1]:1", "192.0.2.2:2");
        let tls = Some(Tls { version: &word, cipher: &word });
        let header = Header {
            addresses: at,
            tls,
            alpn: Some(full.as_bytes()),
            authority: Some(&full),
            unique_id: Some(&[9; 128]),
        };
        assert_eq!(header.encode().len(), MAX_LEN);
        let without = Header {
            addresses: at,
            tls: None,
            alpn: Some(long.as_bytes()),
            authority: Some(&long),
            unique_id: Some(&[9; 129]),
        };
        assert_eq!(without.encode().len(), 16 + 36);
    }
}
