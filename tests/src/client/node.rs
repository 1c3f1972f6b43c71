//! Node's `tls`; not on every machine. It does not tell a close_notify from a bare FIN.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::process::{Finished, run};

const SCRIPT: &str = r#"
const fs = require("fs"), tls = require("tls");
const [host, port, servername, roots] = process.argv.slice(1);
const input = fs.readFileSync(0);
const options = { host, port: Number(port), servername, ca: fs.readFileSync(roots) };
const socket = tls.connect(options, () => {
  console.log(socket.getProtocol(), socket.getCipher().standardName);
  socket.write(input);
});
socket.setTimeout(50000, () => socket.destroy(new Error("timeout")));
socket.on("data", (piece) => process.stdout.write(piece));
socket.on("error", (error) => { console.error(error.message); process.exitCode = 1; });
socket.on("end", () => console.log("\nended"));
"#;

/// Sends `input` and reads to the end.
#[must_use]
pub fn talk(
    program: &Path,
    address: SocketAddr,
    name: &str,
    roots: &Path,
    input: &str,
) -> Finished {
    let mut command = Command::new(program);
    command
        .args(["-e", SCRIPT, "--", &address.ip().to_string(), &address.port().to_string(), name])
        .arg(roots);
    run(&mut command, input.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::REQUEST;
    use crate::client::openssl::Server;
    use crate::pki::{Kind, Leaf, Pki};

    #[test]
    fn the_answer_and_the_end_are_reported() {
        let _ = crate::need!("openssl");
        let program = crate::need!("node");
        let pki = Pki::new();
        let issued = pki.issue("server", &Leaf::new(Kind::P256, &["a.test"]));
        let server = Server::start(&issued, &[]);
        let done = talk(&program, server.address, "a.test", &pki.bundle(), REQUEST);
        let _ = done.success().says("s_server").says("ended");
        let wrong = talk(&program, server.address, "b.test", &pki.bundle(), REQUEST);
        assert_ne!(wrong.code, Some(0));
    }
}
