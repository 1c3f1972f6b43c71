//! ClientHello messages of real clients, taken apart and put together wrongly.
//!
//! Purpose: a hello that differs from a good one in exactly what a test is about. What is not
//! changed would have been served.
//!
//! Source: RFC 8446 §4.1.2, §4.2.

use std::io::Read;
use std::net::TcpListener;
use std::process::Command;

use crate::process::{PATIENCE, Process};

/// Extension numbers (IANA).
#[allow(missing_docs, reason = "the names are those of the registry")]
pub mod extension {
    pub const SERVER_NAME: u16 = 0;
    pub const GROUPS: u16 = 10;
    pub const SIGNATURES: u16 = 13;
    pub const ALPN: u16 = 16;
    pub const PADDING: u16 = 21;
    pub const SESSION_TICKET: u16 = 35;
    pub const PRE_SHARED_KEY: u16 = 41;
    pub const EARLY_DATA: u16 = 42;
    pub const VERSIONS: u16 = 43;
    pub const PSK_MODES: u16 = 45;
    pub const KEY_SHARE: u16 = 51;
}

/// A ClientHello in parts. Lengths are written as they are, unless a part says otherwise.
#[derive(Debug, Clone)]
pub struct Wild {
    /// Legacy version and random.
    pub head: Vec<u8>,
    /// Session id.
    pub session: Vec<u8>,
    /// Cipher suites.
    pub suites: Vec<u8>,
    /// Compression methods.
    pub compression: Vec<u8>,
    /// Extensions, numbered, in their order.
    pub extensions: Vec<(u16, Vec<u8>)>,
    /// Bytes behind the last extension, inside its block.
    pub rest: Vec<u8>,
}

impl Wild {
    /// Takes the first flight of a client apart.
    #[must_use]
    pub fn of(flight: &[u8]) -> Self {
        let message: Vec<u8> = records(flight).concat();
        let mut rest = &message[4..];
        let mut take = |count: usize| {
            let (taken, left) = rest.split_at(count);
            rest = left;
            taken.to_vec()
        };
        let head = take(34);
        let count = take(1)[0].into();
        let session = take(count);
        let count = number(&take(2));
        let suites = take(count);
        let count = take(1)[0].into();
        let compression = take(count);
        let mut left = number(&take(2));
        let mut extensions = Vec::new();
        while left > 0 {
            let (kind, count) = (number(&take(2)), number(&take(2)));
            extensions.push((u16::try_from(kind).expect("two bytes"), take(count)));
            left -= 4 + count;
        }
        Self { head, session, suites, compression, extensions, rest: Vec::new() }
    }

    /// The same with an extension replaced, or put in front when it was not there.
    #[must_use]
    pub fn with(mut self, kind: u16, content: &[u8]) -> Self {
        self = self.without(kind);
        self.extensions.insert(0, (kind, content.to_vec()));
        self
    }

    /// The same with an extension at the end, where RFC 8446 wants `pre_shared_key`.
    #[must_use]
    pub fn ending_with(mut self, kind: u16, content: &[u8]) -> Self {
        self.extensions.push((kind, content.to_vec()));
        self
    }

    /// The same without an extension.
    #[must_use]
    pub fn without(mut self, kind: u16) -> Self {
        self.extensions.retain(|(other, _)| *other != kind);
        self
    }

    /// The same for another server name, whatever its bytes.
    #[must_use]
    pub fn to(self, name: &[u8]) -> Self {
        self.with(extension::SERVER_NAME, &vector16(&host_name(name)))
    }

    /// The handshake message.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let mut body = self.head.clone();
        body.extend(vector8(&self.session));
        body.extend(vector16(&self.suites));
        body.extend(vector8(&self.compression));
        let mut block = Vec::new();
        for (kind, content) in &self.extensions {
            block.extend(kind.to_be_bytes());
            block.extend(vector16(content));
        }
        block.extend(&self.rest);
        body.extend(vector16(&block));
        let length = u32::try_from(body.len()).expect("below 16 MiB").to_be_bytes();
        [&[1], &length[1..], &body].concat()
    }

    /// The message in records of at most `piece` bytes.
    #[must_use]
    pub fn fragments(&self, piece: usize) -> Vec<u8> {
        self.message().chunks(piece).flat_map(|part| record(22, part)).collect()
    }

    /// The message in as few records as it takes.
    #[must_use]
    pub fn records(&self) -> Vec<u8> {
        self.fragments(1 << 14)
    }
}

/// One entry of a list of server names.
#[must_use]
pub fn host_name(name: &[u8]) -> Vec<u8> {
    [&[0][..], &vector16(name)].concat()
}

/// A record in clear.
#[must_use]
pub fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &vector16(content)].concat()
}

/// Bytes behind their length of one byte.
#[must_use]
pub fn vector8(content: &[u8]) -> Vec<u8> {
    [&[u8::try_from(content.len()).expect("short")][..], content].concat()
}

/// Bytes behind their length of two bytes.
#[must_use]
pub fn vector16(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("below 64 KiB");
    [&length.to_be_bytes()[..], content].concat()
}

/// A hello of OpenSSL's own making.
#[must_use]
pub fn openssl_hello(name: &str, options: &[&str]) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address, "-servername", name]).args(options);
    let _client = Process::start(&mut command);
    let (mut stream, _) = listener.accept().expect("a client");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut header = [0; 5];
    stream.read_exact(&mut header).expect("a record");
    let mut payload = vec![0; number(&header[3..])];
    stream.read_exact(&mut payload).expect("a record");
    [&header[..], &payload].concat()
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// The contents of the records of a flight.
fn records(mut flight: &[u8]) -> Vec<&[u8]> {
    let mut contents = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = flight {
        let (content, behind) = rest.split_at(number(&[*high, *low]));
        contents.push(content);
        flight = behind;
    }
    contents
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::stock::Client;
    use crate::pki::Pki;

    #[test]
    fn a_hello_that_is_not_changed_is_the_same() {
        let _ = crate::need!("openssl");
        let rustls = Client::new(&Pki::new()).first_flight("a.test");
        assert_eq!(Wild::of(&rustls).records()[5..], rustls[5..]);
        let openssl = openssl_hello("a.test", &[]);
        assert_eq!(Wild::of(&openssl).records()[5..], openssl[5..]);
    }
}
