//! End to end: the daemon as a child process, real sockets, one behaviour per function.
//!
//! Each test starts a daemon of its own on ports that the kernel chose, does one thing to it, and
//! looks at three places: what the client saw, what the backend saw, and what the record says.
//!
//! Source: RFC 8446 §6 (alerts and closing).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests are tests"
)]

mod backends;
mod cards;
mod choice;
mod client_auth;
mod conversation;
mod cpu;
mod ending;
mod faults;
mod flight;
mod handshake;
mod health;
mod hostile;
mod lifecycle;
mod limits;
mod linger;
mod load;
mod modes;
mod plain;
mod provider;
mod proxy;
mod refusal;
mod settings;
mod tls_backends;
mod together;
mod transfer;
mod unix;
