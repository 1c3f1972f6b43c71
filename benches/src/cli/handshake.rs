//! `adjunct-bench handshake`.

use clap::Args;

use super::common::{self, Asked, Endpoint, Times};
use crate::Failure;
use crate::load::{HandshakeLoad, Kind, Pace, Response, Stop, raise_file_limit};

/// Options of `handshake`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    endpoint: Endpoint,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    times: Times,
    #[command(flatten)]
    pub(super) how: How,
    /// Exactly so many handshakes instead of a time
    #[arg(long)]
    count: Option<u64>,
}

/// How handshakes are made.
#[derive(Debug, Clone, Args)]
pub(super) struct How {
    /// full or resumed
    #[arg(long, default_value = "full")]
    pub kind: Kind,
    /// Open loop: so many handshakes a second; without it every client begins anew when it is done
    #[arg(long, value_parser = common::rate)]
    pub rate: Option<f64>,
    /// Connections at a time; 64 unless the command has its own
    #[arg(long)]
    pub clients: Option<usize>,
    /// Bytes of the request
    #[arg(long, default_value_t = 64)]
    pub request_bytes: usize,
    /// What must come back: echo (from our backend), any (to a request of HTTP), none
    #[arg(long, default_value = "echo")]
    pub response: Response,
    /// Offer the session of the connection before although full handshakes are asked for
    #[arg(long)]
    pub offer_sessions: bool,
}

impl How {
    /// The load these options describe.
    pub(super) fn load(
        &self,
        address: &str,
        peer: &common::Peer,
        asked: &Asked,
        times: &Times,
    ) -> Result<HandshakeLoad, Failure> {
        Ok(HandshakeLoad {
            server_name: peer.server_name.clone(),
            ca: peer.ca()?,
            offer_sessions: self.offer_sessions,
            pace: self.rate.map_or(Pace::Closed, Pace::Rate),
            clients: self.clients.unwrap_or(64),
            request_bytes: self.request_bytes,
            response: self.response,
            stop: Stop::After(times.counted()?),
            warmup: times.warmup()?,
            deadline: peer.deadline()?,
            processors: peer.processors()?,
            ..HandshakeLoad::new(common::resolve(address)?, asked.shape(self.kind))
        })
    }
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    raise_file_limit()?;
    let Options { endpoint, asked, times, how, count } = options;
    let mut load = how.load(&endpoint.address, &endpoint.peer, asked, times)?;
    if let Some(count) = *count {
        load.stop = Stop::Count(count);
    }
    common::tell(&endpoint.peer, times.seconds(), |on| load.run(on))
}
