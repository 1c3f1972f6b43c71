//! Interoperability: clients that others wrote, against an HTTP and an echo backend.
//!
//! Each test asserts the client's own view (it exits in order, and it says so where it can tell)
//! and the daemon's view (the record). openssl, curl and python3 are on every machine that builds
//! this; the others are skipped with their reason, or required by `ADJUNCT_REQUIRE_ALL=1`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod client_certs;
mod clients;
mod openssl;
mod proxies;
