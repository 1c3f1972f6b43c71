//! `openssl s_client`, and `openssl s_server` to prove the other clients with.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::daemon::free_address;
use crate::pki::Issued;
use crate::process::{Finished, Process, run};

/// Runs `openssl s_client` to the end of the connection, sending `input`. It ends with code 0 and
/// says `closed` only after a close_notify.
#[must_use]
pub fn s_client(
    address: SocketAddr,
    name: &str,
    roots: &Path,
    options: &[&str],
    input: &str,
) -> Finished {
    run(&mut s_client_command(address, name, roots, options), input.as_bytes())
}

/// The command of [`s_client`], for a conversation. With `-no_ign_eof` among the options a line
/// that starts with `Q` ends the session in order.
#[must_use]
pub fn s_client_command(
    address: SocketAddr,
    name: &str,
    roots: &Path,
    options: &[&str],
) -> Command {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-ign_eof", "-verify_return_error", "-connect", &address.to_string()])
        .args(["-servername", name, "-verify_hostname", name, "-CAfile"])
        .arg(roots)
        .args(options);
    command
}

/// How often the client, before the answer arrives, reports a session that was resumed.
#[must_use]
pub fn resumptions(finished: &Finished) -> usize {
    let before = finished.stdout.split("HTTP/1.").next().unwrap_or_default();
    before.lines().filter(|line| line.starts_with("Reused, ")).count()
}

/// `openssl s_server -www`: answers HTTP requests and closes in order.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    _process: Process,
}

impl Server {
    /// Starts it on a free port.
    #[must_use]
    pub fn start(leaf: &Issued, options: &[&str]) -> Self {
        Self::launch(leaf, options, Command::new("openssl"))
    }

    /// The same with a configuration of openssl's own.
    #[must_use]
    pub fn configured(leaf: &Issued, options: &[&str], configuration: &Path) -> Self {
        let mut command = Command::new("openssl");
        command.env("OPENSSL_CONF", configuration);
        Self::launch(leaf, options, command)
    }

    fn launch(leaf: &Issued, options: &[&str], mut command: Command) -> Self {
        let address = free_address();
        command
            .args(["s_server", "-www", "-accept", &address.to_string(), "-cert"])
            .arg(&leaf.cert)
            .arg("-key")
            .arg(&leaf.key)
            .args(options);
        let process = Process::start(&mut command);
        let ready = process.stdout.wait(|text| text.contains("ACCEPT").then_some(()));
        assert!(ready.is_some(), "s_server does not start: {}", process.stderr.text());
        Self { address, _process: process }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::REQUEST;
    use crate::pki::{Kind, Leaf, Pki};

    #[test]
    fn a_full_a_resumed_and_a_failed_session_are_told_apart() {
        let _ = crate::need!("openssl");
        let pki = Pki::new();
        let issued = pki.issue("server", &Leaf::new(Kind::Rsa2048, &["a.test"]));
        let server = Server::start(&issued, &[]);
        let session = pki.path().join("session");
        let session = session.to_string_lossy();
        let client =
            |options: &[&str]| s_client(server.address, "a.test", &pki.bundle(), options, REQUEST);
        let first = client(&["-tls1_3", "-sess_out", &session]).success().says("closed");
        assert_eq!(resumptions(&first), 0);
        let second = client(&["-tls1_3", "-sess_in", &session]).success();
        assert_eq!(resumptions(&second), 1);
        let old = client(&["-tls1_2", "-reconnect"]).success();
        assert_eq!(resumptions(&old), 5);
        let wrong = s_client(server.address, "b.test", &pki.bundle(), &[], REQUEST);
        assert_ne!(wrong.code, Some(0), "{}", wrong.output());
    }
}
