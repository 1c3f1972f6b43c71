//! Handshakes that wait for a card without holding up their event loop.
//!
//! A flight runs on a fiber (`fiber`) with a stack of our own ([`stack`]); the signer finds the
//! handshake it belongs to through `context`, queues the request and suspends. The event loop
//! does other work until the reply is there.

pub(crate) mod context;
pub(crate) mod fiber;
pub(crate) mod flight;
pub mod stack;
