//! Encoder of the binary header.
//!
//! Purpose: turn what is known about a client into the header a backend reads ahead of the data. A
//! pure function to bytes; the caller sends them before anything else, in one piece.
//!
//! Invariants: a header is at most [`MAX_LEN`] bytes. A value that is too long for its field is
//! left out, never cut: a backend must not see half a name. The client's certificate is last in its
//! TLV and left out when it does not fit into the 64 KiB that a header can have; the flags and the
//! common name stay.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::{
    FIXED, LOCAL, MAX_UNIQUE_ID, PROXY, SIGNATURE, SUBTYPE_SSL_CIPHER, SUBTYPE_SSL_CLIENT_CERT,
    SUBTYPE_SSL_CN, SUBTYPE_SSL_GROUP, SUBTYPE_SSL_KEY_ALG, SUBTYPE_SSL_SIG_ALG,
    SUBTYPE_SSL_SIG_SCHEME, SUBTYPE_SSL_VERSION, TCP_OVER_IPV4, TCP_OVER_IPV6, TLV_HEAD, TYPE_ALPN,
    TYPE_AUTHORITY, TYPE_SSL, TYPE_UNIQUE_ID, UNSPEC,
};
use crate::proxy_protocol::Ends;

/// PP2_CLIENT_SSL: the client connected over TLS.
const CLIENT_SSL: u8 = 0x01;
/// PP2_CLIENT_CERT_CONN: it gave a certificate over this connection.
const CLIENT_CERT_CONN: u8 = 0x02;
/// PP2_CLIENT_CERT_SESS: it gave one when the session began, which this connection may resume.
const CLIENT_CERT_SESS: u8 = 0x04;
const VERIFIED: u32 = 0;
const NOT_VERIFIED: u32 = 1;

/// ALPN and SNI as their TLS extensions bound them.
const MAX_NAME: usize = 255;
/// RFC 5280: 64 characters, in UTF-8 of at most 4 bytes each.
const MAX_COMMON_NAME: usize = 256;
/// Longer than any name of a version, suite, group or algorithm.
const MAX_WORD: usize = 64;

/// The longest header: what its length field can say.
pub const MAX_LEN: usize = FIXED + u16::MAX as usize;

/// What the header says. Empty fields are left out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Header<'a> {
    /// Both ends of the client's connection; none makes a LOCAL header, which says that the
    /// connection is our own (a health check) and carries nothing else.
    pub ends: Option<Ends>,
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
#[derive(Debug, Clone, Copy, Default)]
pub struct Tls<'a> {
    /// Protocol version, e.g. `TLSv1.3`.
    pub version: &'a str,
    /// Cipher suite, IANA name.
    pub cipher: &'a str,
    /// Key exchange group.
    pub group: Option<&'a str>,
    /// Scheme of our signature in the handshake.
    pub signature_scheme: Option<&'a str>,
    /// The certificate we presented.
    pub server: Option<ServerCertificate<'a>>,
    /// The certificate the client presented.
    pub client: Option<ClientCertificate<'a>>,
}

/// The certificate that was presented to the client, in OpenSSL's words, as haproxy sends them.
#[derive(Debug, Clone, Copy)]
pub struct ServerCertificate<'a> {
    /// How its issuer signed it, e.g. `RSA-SHA256`.
    pub signature: Option<&'a str>,
    /// Its own key, e.g. `RSA2048` or `EC256`.
    pub key: &'a str,
}

/// The client's certificate.
#[derive(Debug, Clone, Copy)]
pub struct ClientCertificate<'a> {
    /// The leaf, DER.
    pub der: &'a [u8],
    /// Common name of its subject.
    pub common_name: Option<&'a str>,
    /// Whether its chain was verified.
    pub verified: bool,
    /// Whether the session is a resumed one, so that the certificate came over an earlier
    /// connection.
    pub resumed: bool,
}

impl Header<'_> {
    /// The bytes to send.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(&SIGNATURE);
        let Some(Ends { source, destination }) = self.ends else {
            out.extend_from_slice(&[LOCAL, UNSPEC, 0, 0]);
            return out;
        };
        out.push(PROXY);
        let length_at = put_addresses(&mut out, source, destination);
        put_tlv(&mut out, TYPE_ALPN, self.alpn, MAX_NAME);
        put_tlv(&mut out, TYPE_AUTHORITY, self.authority.map(str::as_bytes), MAX_NAME);
        put_tlv(&mut out, TYPE_UNIQUE_ID, self.unique_id, MAX_UNIQUE_ID);
        if let Some(tls) = &self.tls {
            put_tls(&mut out, tls);
        }
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
    let given = match tls.client {
        None => 0,
        Some(client) if client.resumed => CLIENT_CERT_SESS,
        Some(_) => CLIENT_CERT_CONN | CLIENT_CERT_SESS,
    };
    let verified = tls.client.is_some_and(|client| client.verified);
    let verify = if verified { VERIFIED } else { NOT_VERIFIED };
    out.push(CLIENT_SSL | given);
    out.extend_from_slice(&verify.to_be_bytes());
    let words = [
        (SUBTYPE_SSL_VERSION, Some(tls.version)),
        (SUBTYPE_SSL_CIPHER, Some(tls.cipher)),
        (SUBTYPE_SSL_SIG_ALG, tls.server.and_then(|server| server.signature)),
        (SUBTYPE_SSL_KEY_ALG, tls.server.map(|server| server.key)),
        (SUBTYPE_SSL_GROUP, tls.group),
        (SUBTYPE_SSL_SIG_SCHEME, tls.signature_scheme),
    ];
    for (kind, word) in words {
        put_tlv(out, kind, word.map(str::as_bytes), MAX_WORD);
    }
    if let Some(client) = tls.client {
        put_tlv(out, SUBTYPE_SSL_CN, client.common_name.map(str::as_bytes), MAX_COMMON_NAME);
        let room = MAX_LEN.saturating_sub(out.len() + TLV_HEAD);
        put_tlv(out, SUBTYPE_SSL_CLIENT_CERT, Some(client.der), room);
    }
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
    use super::super::SIGNATURE;
    use super::{ClientCertificate, Header, MAX_LEN, ServerCertificate, Tls};
    use crate::proxy_protocol::Ends;

    fn between(from: &str, to: &str) -> Option<Ends> {
        Some(Ends { source: from.parse().unwrap(), destination: to.parse().unwrap() })
    }

    fn length(header: &[u8]) -> usize {
        usize::from(u16::from_be_bytes([header[14], header[15]]))
    }

    #[test]
    fn ipv4_addresses_lie_as_specified() {
        let ends = between("192.0.2.1:49152", "198.51.100.2:992");
        let bytes = Header { ends, ..Header::default() }.encode();
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
        let ends = between("[2001:db8::1]:1", "[2001:db8::2]:2");
        let bytes = Header { ends, ..Header::default() }.encode();
        assert_eq!(bytes[12..16], [0x21, 0x21, 0, 36]);
        assert_eq!(bytes[16..20], [0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!((bytes[31], bytes[47]), (1, 2));
        assert_eq!(bytes[48..], [0, 1, 0, 2]);
    }

    #[test]
    fn a_mapped_address_is_given_as_ipv4() {
        let ends = between("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2");
        let bytes = Header { ends, ..Header::default() }.encode();
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
            ends: between("192.0.2.1:1", "192.0.2.2:2"),
            tls: Some(Tls { version: "TLSv1.3", cipher: "X", ..Tls::default() }),
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
            &[0x05, 0, 1, 7],
            // 5 bytes client and verify, 3 + 7 version, 3 + 1 cipher.
            &[0x20, 0, 19, 0x01, 0, 0, 0, 1, 0x21, 0, 7],
            b"TLSv1.3",
            &[0x23, 0, 1],
            b"X",
        ]
        .concat();
        assert_eq!(bytes[28..], values);
        assert_eq!(length(&bytes), 12 + values.len());
    }

    #[test]
    fn the_clients_certificate_stands_behind_the_words() {
        let mut client = ClientCertificate {
            der: &[0x30, 0],
            common_name: Some("tn-operator"),
            verified: true,
            resumed: false,
        };
        let values = |client| {
            let server = Some(ServerCertificate { signature: Some("S"), key: "EC256" });
            let (group, signature_scheme) = (Some("g"), Some("s"));
            let tls = Tls { version: "V", cipher: "C", group, signature_scheme, server, client };
            let ends = between("192.0.2.1:1", "192.0.2.2:2");
            Header { ends, tls: Some(tls), ..Header::default() }.encode()[28..].to_vec()
        };
        let words = [
            &[0x21, 0, 1, b'V', 0x23, 0, 1, b'C', 0x24, 0, 1, b'S', 0x25, 0, 5][..],
            b"EC256",
            &[0x26, 0, 1, b'g', 0x27, 0, 1, b's'],
        ]
        .concat();
        let certificate = [&[0x22, 0, 11][..], b"tn-operator", &[0x28, 0, 2, 0x30, 0]].concat();
        let expected = [&[0x20, 0, 52, 0x07, 0, 0, 0, 0][..], &words, &certificate].concat();
        assert_eq!(values(Some(client)), expected);
        client.resumed = true;
        client.verified = false;
        assert_eq!(values(Some(client))[3..8], [0x05, 0, 0, 0, 1], "SSL and CERT_SESS");
        assert_eq!(values(None)[3..8], [0x01, 0, 0, 0, 1]);
    }

    #[test]
    fn what_is_too_long_is_left_out_and_the_bound_holds() {
        let long = "a".repeat(256);
        let full = "a".repeat(255);
        let ends = between("[2001:db8::1]:1", "192.0.2.2:2");
        let with = |len| {
            let der = &vec![1; len];
            let (common_name, verified, resumed) = (Some("n"), true, false);
            let client = Some(ClientCertificate { der, common_name, verified, resumed });
            let tls = Some(Tls { version: "V", cipher: "C", client, ..Tls::default() });
            let (alpn, authority) = (Some(full.as_bytes()), Some(full.as_str()));
            Header { ends, tls, alpn, authority, unique_id: Some(&[9; 128]) }.encode()
        };
        let without_der = with(0).len();
        let most = MAX_LEN - without_der - 3;
        let whole = with(most);
        assert_eq!((whole.len(), length(&whole)), (MAX_LEN, usize::from(u16::MAX)));
        assert_eq!(with(most + 1).len(), without_der, "left out, not cut");
        let without = Header {
            ends,
            alpn: Some(long.as_bytes()),
            authority: Some(&long),
            unique_id: Some(&[9; 129]),
            tls: None,
        };
        assert_eq!(without.encode().len(), 16 + 36);
    }
}
