//! The header that tells the next hop who the client is (the PROXY protocol, versions 1 and 2).
//!
//! Purpose: a load balancer in front of us is the TCP peer of every connection, and we are that of
//! every connection of a backend. Each says in a header ahead of the data on whose behalf it
//! connects. [`decode`] reads such a header, [`v1::encode`] and [`v2::Header`] write one; all are
//! pure functions between bytes and addresses.
//!
//! Invariants:
//! - every proper prefix of a header is [`Progress::NeedMore`], whatever may follow the header, and
//!   the verdict on bytes that were given once never changes when more come;
//! - bytes that cannot become a header are refused as early as that is certain, by a [`Malformed`]
//!   with a name;
//! - a reader never needs more than [`MAX_HEADER`] bytes.
//!
//! What it does not do: decide whom to believe (`accept_proxy`, the caller's), or look at what
//! follows the header.
//!
//! Source: `haproxy: doc/proxy-protocol.txt`, §2.

use std::net::SocketAddr;

pub mod crc32c;
pub mod v1;
pub mod v2;

/// The longest header that is read. The text of version 1 needs 107 bytes; version 2 could announce
/// 64 KiB, of which the longest value anybody sends is a client's certificate.
pub const MAX_HEADER: usize = 16 * 1024;

/// `PROXY UNKNOWN` and its CRLF.
const SHORTEST: usize = 15;

/// Both ends of a connection, as the one who accepted it saw them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The client.
    pub source: SocketAddr,
    /// What the client connected to.
    pub destination: SocketAddr,
}

/// On whose behalf a connection was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client's.
    Client(Ends),
    /// The sender's own: a health check. The addresses of the TCP connection count.
    Local,
    /// Somebody's whose address does not fit in here (a Unix socket, a datagram, `UNKNOWN`). The
    /// addresses of the TCP connection count.
    Unknown,
}

/// A header that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// On whose behalf the connection was made.
    pub origin: Origin,
    /// What the sender calls the connection.
    pub unique_id: Option<Vec<u8>>,
    /// Bytes the header takes; the client's data begins behind them.
    pub len: usize,
}

/// What is known after some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// At least `hint` more bytes are needed.
    NeedMore {
        /// Never 0.
        hint: usize,
    },
    /// A whole header.
    Header(Header),
    /// No header, and none can come of it.
    Refuse(Malformed),
}

macro_rules! malformed {
    ($($variant:ident $name:literal $meaning:literal;)*) => {
        /// Why bytes are no PROXY header.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Malformed {
            $(#[doc = concat!($meaning, ".")] $variant,)*
        }

        impl Malformed {
            /// All of them, in the order in which a header can meet them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Stable name, for searches in logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What is wrong, as the end of a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

malformed! {
    NoHeader "no-header" "the first bytes begin no PROXY header";
    LineTooLong "v1-line-too-long" "no CRLF within 107 bytes";
    LineEnd "v1-line-end" "a CR or LF that does not belong to the CRLF at the end";
    Family1 "v1-family" "the family is none of TCP4, TCP6 and UNKNOWN";
    Fields "v1-fields" "not exactly two addresses and two ports, one space apart";
    SourceAddress "v1-source-address" "the source address is not one of the family";
    DestinationAddress "v1-destination-address" "the destination address is not one of the family";
    SourcePort "v1-source-port" "the source port is no number from 0 to 65535";
    DestinationPort "v1-destination-port" "the destination port is no number from 0 to 65535";
    Version "v2-version" "the signature is followed by another version than 2";
    Command "v2-command" "the command is neither LOCAL nor PROXY";
    Family2 "v2-family" "the address family is unassigned";
    Transport "v2-transport" "the transport protocol is unassigned";
    TooLong "v2-too-long" "the header is longer than the 16 KiB we read";
    AddressesCut "v2-addresses-cut" "the header ends within the addresses of its family";
    ValueHeadCut "v2-tlv-head-cut" "the header ends within the head of a TLV";
    ValueCut "v2-tlv-cut" "a TLV is longer than the rest of the header";
    ChecksumLength "v2-crc32c-length" "the CRC32c has not 4 bytes";
    ChecksumTwice "v2-crc32c-twice" "there is more than one CRC32c";
    Checksum "v2-crc32c" "the CRC32c is not that of the header";
    UniqueId "v2-unique-id" "the unique id is longer than 128 bytes";
    UniqueIdTwice "v2-unique-id-twice" "there is more than one unique id";
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.meaning(), self.name())
    }
}

/// Reads the header at the front of `bytes`, which is everything the sender has sent so far.
#[must_use]
pub fn decode(bytes: &[u8]) -> Progress {
    if bytes.is_empty() {
        return Progress::NeedMore { hint: SHORTEST };
    }
    let begins = |start: &[u8]| bytes.iter().zip(start).all(|(a, b)| a == b);
    if begins(&v2::SIGNATURE) {
        return v2::decode(bytes);
    }
    if begins(v1::START) {
        return v1::decode(bytes);
    }
    Progress::Refuse(Malformed::NoHeader)
}

#[cfg(test)]
mod tests;
