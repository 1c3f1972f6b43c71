//! The load: light clients, non-blocking, hundreds in a thread.
//!
//! Invariants: latency of pings is counted from the moment at which a ping was *due*, sent or not,
//! so that a server that stalls is charged for the pings that could not be sent meanwhile (no
//! coordinated omission); the storm is a closed loop, so that its rate is what the server does.
//!
//! The clients check signatures but trust any certificate: a chain is the client's cost, not the
//! server's.

mod client;
mod echo;
pub mod handshake;
pub mod pace;
mod ping;
pub mod shape;
mod storm;

pub use client::{Client, any_certificate};
pub use echo::echo;
pub use handshake::HandshakeLoad;
pub use pace::{Moment, Pace, Stop};
pub use ping::Pings;
pub use shape::{KeyKind, Kind, Shape, Version};
pub use storm::Storm;

use crate::Failure;

/// Raises the limit of open files to what the system allows, and returns it.
///
/// # Errors
/// Those of the system call.
pub fn raise_file_limit() -> Result<u64, Failure> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(maximum.unwrap_or(u64::MAX))
}
