//! `adjunct-bench handshake`.

use std::net::SocketAddr;

use clap::Args;

use crate::Failure;
use crate::load::{HandshakeLoad, Shape};

/// Options of `handshake`.
#[derive(Debug, Args)]
pub struct Options {
    /// The endpoint, HOST:PORT
    pub address: SocketAddr,
}

#[allow(clippy::print_stdout, reason = "the command line prints")]
pub(super) fn run(options: Options) -> Result<(), Failure> {
    let outcome = HandshakeLoad::new(options.address, Shape::default()).run(&mut |_| {})?;
    println!("{outcome}");
    Ok(())
}
