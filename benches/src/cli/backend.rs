//! `adjunct-bench backend`.

use std::io::Write as _;
use std::net::SocketAddr;

use clap::Args;

use crate::load::{Backend, raise_file_limit};
use crate::{Failure, clock};

/// Options of `backend`.
#[derive(Debug, Args)]
pub struct Options {
    /// Where to listen; port 0 lets the kernel choose
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Processors it may run on, by number; all when not given
    #[arg(long, value_delimiter = ',')]
    processors: Vec<usize>,
}

/// Prints the address, then serves until it is ended.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    raise_file_limit()?;
    if !options.processors.is_empty() {
        clock::pin(&options.processors)?;
    }
    let backend =
        Backend::listen(options.listen).map_err(|e| format!("--listen {}: {e}", options.listen))?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", backend.address()?)?;
    out.flush()?;
    Ok(backend.serve()?)
}
