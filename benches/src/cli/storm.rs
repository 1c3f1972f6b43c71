//! `adjunct-bench storm`: what established connections feel of handshakes.
//!
//! With an endpoint both loads run once. Without one our daemon is started in several modes, and
//! [`super::modes`] compares them.

use clap::Args;

use super::common::{self, Asked, Meter, Peer, Times};
use super::handshake::How;
use super::latency::Pings;
use super::modes;
use crate::Failure;
use crate::load::{StormLoad, raise_file_limit};

/// Options of `storm`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The endpoint; our own daemon is started, and its modes compared, when not given
    #[arg(value_name = "HOST:PORT")]
    address: Option<String>,
    #[command(flatten)]
    pub(super) peer: Peer,
    #[command(flatten)]
    pub(super) asked: Asked,
    #[command(flatten)]
    pub(super) times: Times,
    #[command(flatten)]
    pub(super) pings: Pings,
    #[command(flatten)]
    pub(super) how: How,
    #[command(flatten)]
    pub(super) own: modes::Comparison,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    raise_file_limit()?;
    let Some(address) = &options.address else { return modes::run(options) };
    let Options { peer, times, .. } = options;
    let load = options.load(address)?;
    let mut meter = Meter::new(peer.server(), times.seconds())?;
    let result = load.run(&mut |moment| meter.take(moment));
    meter.bar.finish_and_clear();
    let (pings, mut handshakes) = result?;
    meter.note(&mut handshakes)?;
    common::print(peer.json, &pings)?;
    common::print(peer.json, &handshakes)?;
    common::valid(&pings)?;
    common::valid(&handshakes)
}

impl Options {
    /// Both loads against an endpoint.
    pub(super) fn load(&self, address: &str) -> Result<StormLoad, Failure> {
        let Self { peer, asked, times, pings, how, .. } = self;
        Ok(StormLoad {
            pings: pings.load(address, peer, asked, times)?,
            handshakes: how.load(address, peer, asked, times)?,
        })
    }
}
