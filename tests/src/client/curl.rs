//! `curl`: with an answer that has no length it takes the close_notify for the end, and calls its
//! absence an error.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::process::{Finished, run};

/// Fetches `/` from `name` at `address`.
#[must_use]
pub fn get(address: SocketAddr, name: &str, roots: &Path, options: &[&str]) -> Finished {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "50"])
        .args(["--resolve", &format!("{name}:{}:{}", address.port(), address.ip()), "--cacert"])
        .arg(roots)
        .args(options)
        .arg(format!("https://{name}:{}/", address.port()));
    run(&mut command, b"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::openssl::Server;
    use crate::pki::{Kind, Leaf, Pki};

    #[test]
    fn the_name_is_checked() {
        let _ = crate::need!("curl");
        let _ = crate::need!("openssl");
        let pki = Pki::new();
        let issued = pki.issue("server", &Leaf::new(Kind::P256, &["a.test"]));
        let server = Server::start(&issued, &[]);
        let _ = get(server.address, "a.test", &pki.bundle(), &[]).success().says("s_server");
        let _ = get(server.address, "b.test", &pki.bundle(), &[]).exit(60);
    }
}
