//! Python's `ssl`, with ragged ends made an error.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::process::{Finished, run};

const SCRIPT: &str = r#"
import socket, ssl, sys
host, port, name, roots = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=roots)
raw = socket.create_connection((host, port), timeout=50)
with context.wrap_socket(raw, server_hostname=name, suppress_ragged_eofs=False) as tls:
    print(tls.version(), tls.cipher()[0])
    tls.sendall(sys.stdin.buffer.read())
    answer = b""
    while piece := tls.recv(4096):
        answer += piece
    print(answer.decode())
    tls.unwrap()
    print("closed in order")
"#;

/// Sends `input` and reads to the close_notify; says "closed in order" after it.
#[must_use]
pub fn talk(address: SocketAddr, name: &str, roots: &Path, input: &str) -> Finished {
    let mut command = Command::new("python3");
    command
        .args(["-c", SCRIPT, &address.ip().to_string(), &address.port().to_string(), name])
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
    fn the_answer_and_the_close_are_reported() {
        let _ = crate::need!("python3");
        let _ = crate::need!("openssl");
        let pki = Pki::new();
        let issued = pki.issue("server", &Leaf::new(Kind::P256, &["a.test"]));
        let server = Server::start(&issued, &[]);
        let good = talk(server.address, "a.test", &pki.bundle(), REQUEST).success();
        let _ = good.says("s_server").says("closed in order");
        assert_ne!(talk(server.address, "b.test", &pki.bundle(), REQUEST).code, Some(0));
    }
}
