//! The binary header, version 2 of the PROXY protocol (§2.2).

mod decode;
mod encode;

pub(super) use decode::decode;
pub use encode::{ClientCertificate, Header, MAX_LEN, ServerCertificate, Tls};

/// `\r\n\r\n\0\r\nQUIT\n`, chosen so that no other protocol's server takes it for a request.
pub(super) const SIGNATURE: [u8; 12] =
    [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

/// Signature, version and command, family, length.
const FIXED: usize = 16;

/// Version 2 in the high half; the command in the low one.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

/// Family in the high half, SOCK_STREAM in the low one.
const UNSPEC: u8 = 0x00;
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

const TYPE_ALPN: u8 = 0x01;
const TYPE_AUTHORITY: u8 = 0x02;
const TYPE_CRC32C: u8 = 0x03;
const TYPE_UNIQUE_ID: u8 = 0x05;
const TYPE_SSL: u8 = 0x20;
const SUBTYPE_SSL_VERSION: u8 = 0x21;
const SUBTYPE_SSL_CN: u8 = 0x22;
const SUBTYPE_SSL_CIPHER: u8 = 0x23;
const SUBTYPE_SSL_SIG_ALG: u8 = 0x24;
const SUBTYPE_SSL_KEY_ALG: u8 = 0x25;
// Registered by later revisions of the specification.
const SUBTYPE_SSL_GROUP: u8 = 0x26;
const SUBTYPE_SSL_SIG_SCHEME: u8 = 0x27;
const SUBTYPE_SSL_CLIENT_CERT: u8 = 0x28;

/// Bound of the specification.
const MAX_UNIQUE_ID: usize = 128;

/// Type and length in front of each value.
const TLV_HEAD: usize = 3;
