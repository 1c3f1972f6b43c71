//! `adjunct-bench bulk`.

use clap::Args;

use super::common::{self, Asked, Endpoint, Times};
use crate::Failure;
use crate::load::{BulkLoad, Direction, Kind, Stop, raise_file_limit};

/// Options of `bulk`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    endpoint: Endpoint,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    times: Times,
    /// down, up or both
    #[arg(long, default_value = "down")]
    direction: Direction,
    /// Connections at once
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Bytes that the client encrypts at a time
    #[arg(long, default_value_t = 16 * 1024)]
    chunk: usize,
    /// So many MiB in all instead of a time
    #[arg(long)]
    mib: Option<u64>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    raise_file_limit()?;
    let Options { endpoint, asked, times, direction, connections, chunk, mib } = options;
    let load = BulkLoad {
        connections: *connections,
        chunk: *chunk,
        stop: match *mib {
            Some(mib) => Stop::Count(mib),
            None => Stop::After(times.counted()?),
        },
        warmup: times.warmup()?,
        ..BulkLoad::new(
            endpoint.peer.target(&endpoint.address, asked.shape(Kind::Full))?,
            *direction,
        )
    };
    common::tell(&endpoint.peer, times.seconds(), |on| load.run(on))
}
