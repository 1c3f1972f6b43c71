//! The load: light clients, non-blocking, hundreds in a thread, and the backend they reach.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`handshake`] | handshakes of a given shape, one connection after the other |
//! | [`bulk`] | as much data as goes, down, up or both |
//! | [`latency`] | pings on established connections |
//! | [`idle`] | connections that are held |
//! | [`storm`] | handshakes and pings at once |
//! | [`mod@backend`] | echoes, sends and checks, behind the endpoint |
//! | [`shape`], [`pace`] | what is asked for, and when |
//!
//! Invariants: what is not as asked for (other data, less data, another kind of handshake) ends the
//! run with an error and makes no figure; latency at a rate counts from the moment at which a unit
//! was *due*, begun or not, so that a server that stalls is charged for all it delayed (no
//! coordinated omission); nothing waits without a deadline.
//!
//! The clients check signatures but trust any certificate unless they are given a CA: a chain is
//! the client's cost, not the server's.

pub mod backend;
pub mod bulk;
pub mod fault;
pub mod handshake;
pub mod idle;
pub mod latency;
mod lines;
mod mimic;
pub mod pace;
pub mod pattern;
pub mod protocol;
pub mod shape;
pub mod storm;
mod tally;
mod transaction;
pub mod trust;
pub mod wire;

pub use backend::{Backend, backend};
pub use bulk::{BulkLoad, Direction};
pub use handshake::{HandshakeLoad, Response};
pub use idle::IdleLoad;
pub use latency::LatencyLoad;
pub use lines::{Cover, Target};
pub use pace::{Moment, Pace, Stop};
pub use shape::{KeyKind, Kind, Shape, Version};
pub use storm::StormLoad;

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
