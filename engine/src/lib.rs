//! TLS without sockets: bytes in, bytes out, "waiting for a card".
//!
//! Purpose: everything between the socket and the crypto. A [`connection::Connection`] reads the
//! ClientHello itself, chooses the service, runs the handshake on a fiber that suspends while a
//! card signs, and opens and seals records through cpacf. [`icsf`], [`gsk`], [`alert`] and
//! [`rules`] turn whatever goes wrong into codes an operator can look up; [`record`] keeps what
//! happened.
//!
//! Invariants: no socket, no path, no clock of its own on the data path; private keys are handed to
//! a backend when they are loaded, and handles are all that stays here; only this crate names
//! rustls.
//!
//! The way of a connection through the files: `hello` → `service` → `certs` →
//! `connection::handshake` → `handshake::fiber` → `provider::sign` → `icsf` → (cex) →
//! `connection::traffic` → `record`.

pub mod alert;
pub mod backend;
pub mod buffer;
pub mod certs;
pub mod ciphers;
pub mod compliance;
pub mod connection;
pub mod crypto;
pub mod error;
pub mod explain;
mod failure;
pub mod groups;
pub mod gsk;
pub mod handshake;
pub mod hello;
pub mod iana;
pub mod icsf;
pub mod integrity;
pub mod keydb;
pub mod member;
pub mod pad;
pub mod power_on;
pub mod probe;
pub mod provider;
pub mod record;
mod records;
pub mod rules;
pub mod selftest;
pub mod service;
pub mod tickets;
