//! `adjunct-bench latency`.

use clap::Args;

use super::common::{self, Asked, Endpoint, Peer, Times};
use crate::Failure;
use crate::load::{Kind, LatencyLoad, Pace, Stop, raise_file_limit};

/// Options of `latency`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    endpoint: Endpoint,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    pings: Pings,
    /// Each connection sends its next ping when it has an answer, instead of a rate
    #[arg(long)]
    closed: bool,
}

/// What pings are like.
#[derive(Debug, Clone, Args)]
pub(super) struct Pings {
    /// Connections that ping
    #[arg(long, default_value_t = 8)]
    pub connections: usize,
    /// Pings a second in all
    #[arg(long, default_value = "1600", value_parser = common::rate)]
    pub ping_rate: f64,
    /// Bytes of a ping
    #[arg(long, default_value_t = 1024)]
    pub bytes: usize,
}

impl Pings {
    /// The load these options describe.
    pub(super) fn load(
        &self,
        address: &str,
        peer: &Peer,
        asked: &Asked,
        times: &Times,
    ) -> Result<LatencyLoad, Failure> {
        Ok(LatencyLoad {
            connections: self.connections,
            pace: Pace::Rate(self.ping_rate),
            bytes: self.bytes,
            stop: Stop::After(times.counted()?),
            warmup: times.warmup()?,
            ..LatencyLoad::new(peer.target(address, asked.shape(Kind::Full))?)
        })
    }
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    raise_file_limit()?;
    let Options { endpoint, asked, times, pings, closed } = options;
    let mut load = pings.load(&endpoint.address, &endpoint.peer, asked, times)?;
    if *closed {
        load.pace = Pace::Closed;
    }
    common::tell(&endpoint.peer, times.seconds(), |on| load.run(on))
}
