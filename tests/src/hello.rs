//! ClientHello messages that no client makes any more, and the answers to them.
//!
//! Purpose: old, broken and hostile clients cannot be installed, so their first flight is written
//! by hand.
//!
//! Source: RFC 8446 §4.1.2, RFC 5246 §7.4.1.2, RFC 6101 appendix E (the SSL 2.0 form).

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Number of TLS 1.0 on the wire.
pub const TLS10: u16 = 0x0301;
/// Number of TLS 1.1 on the wire.
pub const TLS11: u16 = 0x0302;
/// Number of TLS 1.2 on the wire.
pub const TLS12: u16 = 0x0303;
/// Number of TLS 1.3 on the wire.
pub const TLS13: u16 = 0x0304;

/// TLS_RSA_WITH_RC4_128_SHA and _MD5, and TLS_ECDHE_RSA_WITH_RC4_128_SHA.
pub const RC4: &[u16] = &[0x0005, 0x0004, 0xc011];
/// CBC suites: ECDHE and RSA key transport with AES, 3DES.
pub const CBC: &[u16] = &[0xc014, 0xc013, 0xc028, 0xc027, 0x0035, 0x002f, 0x000a];
/// RSA key transport with AES-GCM.
pub const RSA_TRANSPORT: &[u16] = &[0x009d, 0x009c];
/// ECDHE with AES-GCM, for RSA and for ECDSA certificates.
pub const AEAD: &[u16] = &[0xc030, 0xc02f, 0xc02c, 0xc02b];

/// Content type and first byte of a ServerHello; see [`answer`].
pub const SERVER_HELLO: (u8, u8) = (22, 2);

/// A ClientHello before it is written down.
#[derive(Debug, Clone)]
pub struct Hello {
    /// `legacy_version`: the highest version up to TLS 1.2.
    pub version: u16,
    /// `supported_versions`; none leaves the extension out.
    pub versions: Option<Vec<u16>>,
    /// Cipher suites.
    pub suites: Vec<u16>,
    /// Server name; none leaves the extension out.
    pub name: Option<String>,
    /// Named groups; empty leaves the extension out.
    pub groups: Vec<u16>,
    /// Signature schemes; empty leaves the extension out.
    pub schemes: Vec<u16>,
}

impl Hello {
    /// A hello of a client of `version` with these suites, and otherwise usual for its time.
    #[must_use]
    pub fn of(version: u16, suites: &[u16]) -> Self {
        Self {
            version,
            versions: None,
            suites: suites.to_vec(),
            name: None,
            groups: vec![0x0017, 0x0018],
            schemes: if version >= TLS12 { vec![0x0401, 0x0403, 0x0201] } else { Vec::new() },
        }
    }

    /// The same with a server name.
    #[must_use]
    pub fn to(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// The handshake message.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([0x5a; 32]);
        body.push(0); // no session id
        body.extend(length16(&words(&self.suites)));
        body.extend([1, 0]); // no compression
        let mut extensions = Vec::new();
        let mut add = |kind: u16, content: &[u8]| {
            extensions.extend(kind.to_be_bytes());
            extensions.extend(length16(content));
        };
        if let Some(name) = &self.name {
            let entry = [&[0][..], &length16(name.as_bytes())].concat();
            add(0, &length16(&entry));
        }
        if !self.groups.is_empty() {
            add(10, &length16(&words(&self.groups)));
            add(11, &[1, 0]);
        }
        if !self.schemes.is_empty() {
            add(13, &length16(&words(&self.schemes)));
        }
        if let Some(versions) = &self.versions {
            add(43, &length8(&words(versions)));
        }
        body.extend(length16(&extensions));
        handshake(&body)
    }

    /// The message in one record.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        record(&self.message())
    }

    /// The message cut into records of at most `piece` bytes.
    #[must_use]
    pub fn fragments(&self, piece: usize) -> Vec<u8> {
        self.message().chunks(piece).flat_map(record).collect()
    }

    /// A hello whose list of extensions claims to be longer than the message.
    #[must_use]
    pub fn with_a_lying_length(&self) -> Vec<u8> {
        let mut message = self.message();
        let fixed = 4 + 2 + 32 + 1 + 2 + 2 * self.suites.len() + 2;
        message[fixed] = 0x7f;
        record(&message)
    }
}

/// The hello of SSL 2.0, as clients sent that could also speak `version`.
#[must_use]
pub fn ssl2(version: u16) -> Vec<u8> {
    let mut body = vec![1];
    body.extend(version.to_be_bytes());
    body.extend([0, 6, 0, 0, 0, 16]); // two suites, no session id, 16 bytes of challenge
    body.extend([0x01, 0x00, 0x80, 0x00, 0x00, 0x05]);
    body.extend([0x5a; 16]);
    let length = u8::try_from(body.len()).expect("a short hello");
    [&[0x80, length][..], &body].concat()
}

fn words(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

fn length8(content: &[u8]) -> Vec<u8> {
    [&[u8::try_from(content.len()).expect("short")][..], content].concat()
}

fn length16(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("below 64 KiB");
    [&length.to_be_bytes()[..], content].concat()
}

fn handshake(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("below 16 MiB").to_be_bytes();
    [&[1], &length[1..], body].concat()
}

fn record(content: &[u8]) -> Vec<u8> {
    [&[22, 3, 1][..], &length16(content)].concat()
}

/// How the other side ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// FIN.
    Fin,
    /// RST.
    Reset,
    /// Not at all within the time given.
    Open,
}

/// Everything that came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How it ended.
    pub end: End,
}

impl Reply {
    /// Content types and contents of the records in it.
    #[must_use]
    pub fn records(&self) -> Vec<(u8, &[u8])> {
        let mut records = Vec::new();
        let mut rest = self.bytes.as_slice();
        while let [kind, _, _, high, low, tail @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some((content, after)) = tail.split_at_checked(length) else { break };
            records.push((*kind, content));
            rest = after;
        }
        records
    }

    /// The plaintext alerts in it: level and description.
    #[must_use]
    pub fn alerts(&self) -> Vec<(u8, u8)> {
        self.records()
            .into_iter()
            .filter_map(|(kind, content)| match (kind, content) {
                (21, [level, description]) => Some((*level, *description)),
                _ => None,
            })
            .collect()
    }

    /// Asserts that it is one fatal alert and then an orderly FIN.
    #[track_caller]
    pub fn is_fatal(&self, description: u8) {
        assert_eq!(self.alerts(), [(2, description)], "{self:?}");
        assert_eq!(self.records().len(), 1, "nothing but the alert: {self:?}");
        assert_eq!(self.end, End::Fin, "the alert must not be lost to a reset");
    }
}

/// Sends raw bytes and collects what comes back until the other side ends.
#[must_use]
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = connect(address);
    stream.write_all(bytes).expect("sent");
    collect(&mut stream)
}

/// Sends raw bytes and reads the beginning of the answer: content type and first byte of content.
///
/// The connection is then dropped; our direction stays open until the answer is there, since a
/// server may stop working for a client that has left.
#[must_use]
pub fn answer(address: SocketAddr, bytes: &[u8]) -> Option<(u8, u8)> {
    let mut stream = connect(address);
    stream.write_all(bytes).expect("sent");
    let mut first = [0; 6];
    stream.read_exact(&mut first).ok().map(|()| (first[0], first[5]))
}

/// The same as [`exchange`], ending our direction after the bytes.
#[must_use]
pub fn exchange_and_end(address: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = connect(address);
    stream.write_all(bytes).expect("sent");
    let _ = stream.shutdown(Shutdown::Write);
    collect(&mut stream)
}

/// A connection with a deadline for reading.
#[must_use]
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a listener");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a deadline");
    stream
}

/// Collects what comes back until the other side ends.
#[must_use]
pub fn collect(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let end = match stream.read_to_end(&mut bytes) {
        Ok(_) => End::Fin,
        Err(e) if e.kind() == ErrorKind::ConnectionReset => End::Reset,
        Err(_) => End::Open,
    };
    Reply { bytes, end }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::openssl::Server;
    use crate::pki::{Kind, Leaf, Pki};

    #[test]
    fn a_stock_server_understands_our_hello_and_refuses_the_lying_one() {
        let _ = crate::need!("openssl");
        let pki = Pki::new();
        let issued = pki.issue("server", &Leaf::new(Kind::P256, &["a.test"]));
        let server = Server::start(&issued, &["-tls1_2"]);
        let good = Hello::of(TLS12, AEAD).to("a.test");
        for bytes in [good.record(), good.fragments(40)] {
            assert_eq!(answer(server.address, &bytes), Some(SERVER_HELLO));
        }
        exchange(server.address, &good.with_a_lying_length()).is_fatal(50);
        exchange(server.address, &Hello::of(TLS12, RC4).record()).is_fatal(40);
        exchange(server.address, &Hello::of(TLS10, AEAD).record()).is_fatal(70);
    }

    #[test]
    fn an_alert_is_read_and_what_is_cut_off_after_it_is_not() {
        let reply = Reply { bytes: vec![21, 3, 3, 0, 2, 2, 70, 21, 3, 3, 0, 9], end: End::Fin };
        assert_eq!(reply.alerts(), [(2, 70)]);
    }

    #[test]
    #[should_panic(expected = "must not be lost")]
    fn a_reset_after_the_alert_is_noticed() {
        Reply { bytes: vec![21, 3, 3, 0, 2, 2, 70], end: End::Reset }.is_fatal(70);
    }
}
