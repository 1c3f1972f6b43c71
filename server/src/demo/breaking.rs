//! The admin socket of a running demonstration, and the lines that break and repair its cards.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use crate::admin::Admin;
use crate::cli::{complain, print};
use crate::daemon::Daemon;

/// Listens in the private directory and prints what can be pasted into another terminal. Without
/// a socket (a path that is too long) the rest of the demonstration goes on.
pub(super) fn listen(daemon: &Daemon, directory: &Path) -> Option<Admin> {
    let socket = directory.join("admin.sock");
    match Admin::start(&socket, Arc::new(daemon.status())) {
        Ok(admin) => {
            print(&lines(daemon, directory, &socket));
            Some(admin)
        }
        Err(error) => {
            complain(&format!("adjunct demo: no cards can be broken: {error}"));
            None
        }
    }
}

fn lines(daemon: &Daemon, directory: &Path, socket: &Path) -> String {
    let program = std::env::current_exe();
    let program = program.map_or_else(|_| "adjunct".to_owned(), |p| p.display().to_string());
    let ca = directory.join("ca.pem").display().to_string();
    let ports = daemon.addresses().iter().map(|(_, address)| address.port());
    let shake: Vec<String> =
        ports.map(|port| format!("curl --cacert {ca} https://localhost:{port}/")).collect();
    let [rsa, ec] = shake.as_slice() else { return String::new() };
    let mut out =
        "\nBreak the simulated cards; each line can be pasted into another terminal:\n".to_owned();
    for line in [
        format!("export ADJUNCT_SOCKET={}", socket.display()),
        format!("{program} cards"),
        format!("{program} cards fault 00.0006 wrong-result"),
        format!("{rsa}   # another card signs: 2 tries"),
        format!("{program} cards fault 01 deconfigured"),
        format!("{ec}   # card 02 signs"),
        format!("{program} cards fault 02 checkstopped"),
        format!("{ec}   # no card is left: alert 80"),
        format!("{program} cards repair all"),
    ] {
        // Writing to a String does not fail.
        let _ = writeln!(out, "  {line}");
    }
    out
}
