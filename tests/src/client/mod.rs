//! TLS clients: rustls in this process, the others as commands.
//!
//! Invariants: each verifies the certificate against the throwaway authorities and the name, and
//! each tells an orderly close (close_notify) from a truncation, or says that it cannot.

pub mod crafted;
pub mod curl;
pub mod gnutls;
pub mod java;
pub mod node;
pub mod openssl;
pub mod python;
pub mod stock;

/// The request that every client sends to the HTTP backend.
pub const REQUEST: &str = "GET / HTTP/1.0\r\nHost: a.test\r\n\r\n";
