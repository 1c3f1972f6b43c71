//! The load: light clients, non-blocking, hundreds in a thread.
//!
//! Invariants: latency of pings is counted from the moment at which a ping was *due*, sent or not,
//! so that a server that stalls is charged for the pings that could not be sent meanwhile (no
//! coordinated omission); the storm is a closed loop, so that its rate is what the server does.
//!
//! The clients check signatures but trust any certificate: a chain is the client's cost, not the
//! server's.

pub mod backend;
mod client;
mod echo;
pub mod fault;
pub mod handshake;
pub mod pace;
pub mod pattern;
mod ping;
pub mod protocol;
pub mod shape;
mod storm;
mod tally;
mod transaction;
pub mod trust;
pub mod wire;

pub use backend::{Backend, backend};
pub use client::{Client, any_certificate};
pub use echo::echo;
pub use handshake::{HandshakeLoad, Response};
pub use pace::{Moment, Pace, Stop};
pub use ping::Pings;
pub use shape::{KeyKind, Kind, Shape, Version};
pub use storm::Storm;

use crate::{Failure, clock};

/// Does something with this thread on some processors, and lets it go where it was before.
fn pinned<T>(
    processors: &[usize],
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    if processors.is_empty() {
        return work();
    }
    let before = clock::processors()?;
    clock::pin(processors)?;
    let result = work();
    clock::pin(&before)?;
    result
}

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
