//! Handshakes that wait for a card without holding up their event loop.
//!
//! A flight runs on a fiber (`fiber`) with a stack of our own ([`stack`]); the signer finds the
//! handshake it belongs to through `context`, queues the request and suspends. The event loop
//! does other work until the reply is there. Where fibers are not to be had a flight runs on a
//! thread (`pool`) and blocks there; [`execution`] is the seam between these.

pub(crate) mod blocking;
pub(crate) mod context;
pub mod execution;
#[cfg(feature = "fault-injection")]
pub mod fault;
pub(crate) mod fiber;
pub(crate) mod flight;
pub(crate) mod pool;
pub mod stack;
