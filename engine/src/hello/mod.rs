//! Our own passive reader of the ClientHello.
//!
//! Purpose: read what the client offers before rustls sees a byte, so that the service can be
//! chosen by name, admission control has its input, an old or malformed hello is refused by a rule
//! with a name, and the record can say what the client lacked. The same bytes are then fed to a
//! fresh rustls connection.
//!
//! Invariants: never decides crypto, never changes a byte, never panics, reads each byte once
//! however the client cuts its records, and holds at most the configured number of bytes. GREASE
//! values are ignored wherever they appear (RFC 8701).
//!
//! Deliberately not here: choosing a suite, group or certificate; the alert record on the wire;
//! sockets. Checks that need the whole protocol (order of extensions, key share contents) are left
//! to rustls.
//!
//! Source: RFC 8446 §4.1.2, §4.2, §5.1, D.4; RFC 5246 §7.4.1.2, E.2 (SSLv2 hello); RFC 6066 §3
//! (SNI); RFC 7301 (ALPN).

mod client;
mod decode;
mod explain;
mod preface;
mod reader;
#[cfg(test)]
mod tests;
mod wire;

pub use client::{ClientHello, OddName};
pub use explain::{explain_no_common_cipher, explain_protocol_too_old};
pub use preface::Preface;
pub use reader::{HelloReader, Progress, Refused};

/// The longest hello we read by default, record headers included. rustls takes handshake messages
/// up to 65535 bytes; real hellos have 200 to 2500.
pub const DEFAULT_MAX_LEN: usize = 64 * 1024;
