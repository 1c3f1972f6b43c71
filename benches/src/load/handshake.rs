//! Handshakes: connect, agree, ask and check the answer, close.

use std::net::SocketAddr;
use std::time::Duration;

use super::pace::{Moment, Pace, Stop};
use super::shape::Shape;
use crate::Failure;
use crate::outcome::Outcome;

/// Connections one after the other, each with a handshake of a given shape.
#[derive(Debug, Clone)]
pub struct HandshakeLoad {
    /// The endpoint.
    pub address: SocketAddr,
    /// Name for SNI, and for the certificate when it is verified.
    pub server_name: String,
    /// What every handshake has to be.
    pub shape: Shape,
    /// Closed loop or a rate.
    pub pace: Pace,
    /// Clients, that is connections at a time.
    pub clients: usize,
    /// Bytes of the request.
    pub request_bytes: usize,
    /// When it ends.
    pub stop: Stop,
    /// What is done first and not counted.
    pub warmup: Duration,
    /// Where the load runs; anywhere when empty.
    pub processors: Vec<usize>,
}

impl HandshakeLoad {
    /// Full TLS 1.3 handshakes in a closed loop of 64 clients for ten seconds.
    #[must_use]
    pub fn new(address: SocketAddr, shape: Shape) -> Self {
        Self {
            address,
            server_name: crate::pki::NAME.to_owned(),
            shape,
            pace: Pace::Closed,
            clients: 64,
            request_bytes: 64,
            stop: Stop::After(Duration::from_secs(10)),
            warmup: Duration::from_secs(1),
            processors: Vec::new(),
        }
    }

    /// Runs it in this thread.
    ///
    /// # Errors
    /// A handshake of another kind than asked, wrong or missing data, or the system's.
    pub fn run(&self, on: &mut dyn FnMut(Moment)) -> Result<Outcome, Failure> {
        on(Moment::Begin);
        on(Moment::End);
        Err("not built yet".into())
    }
}
