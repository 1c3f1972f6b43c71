//! `gnutls-cli`; not on every machine.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::process::{Finished, Process};

/// What it says after a close_notify.
pub const CLOSED: &str = "Peer has closed the GnuTLS connection";

/// Sends `input` and stays until the other side closes.
#[must_use]
pub fn talk(
    program: &Path,
    address: SocketAddr,
    name: &str,
    roots: &Path,
    priority: &str,
    input: &str,
) -> Finished {
    let mut command = Command::new(program);
    command
        .args(["--sni-hostname", name, "--verify-hostname", name, "--priority", priority])
        .args(["--port", &address.port().to_string(), "--x509cafile"])
        .arg(roots)
        .arg(address.ip().to_string());
    let mut process = Process::start(&mut command);
    process.send(input.as_bytes());
    // Its standard input stays open until the other side has closed: at the end of input it would
    // close first.
    process.stdout.wait(|text| text.contains(CLOSED).then_some(()));
    process.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::REQUEST;
    use crate::client::openssl::Server;
    use crate::pki::{Kind, Leaf, Pki};

    #[test]
    fn the_answer_and_the_close_are_reported() {
        let _ = crate::need!("openssl");
        let program = crate::need!("gnutls-cli");
        let pki = Pki::new();
        let issued = pki.issue("server", &Leaf::new(Kind::P256, &["a.test"]));
        let server = Server::start(&issued, &[]);
        let done = talk(&program, server.address, "a.test", &pki.bundle(), "NORMAL", REQUEST);
        let _ = done.success().says("s_server").says(CLOSED);
        let wrong = talk(&program, server.address, "b.test", &pki.bundle(), "NORMAL", REQUEST);
        assert_ne!(wrong.code, Some(0));
    }
}
