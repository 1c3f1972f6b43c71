//! Backends that speak TLS, of Python's making.
//!
//! Invariants: ragged ends are errors in the server, and it says on its output how each connection
//! ended; it listens on a port the kernel chose and ends with its handle.

use std::net::SocketAddr;
use std::process::Command;

use crate::pki::Issued;
use crate::process::Process;

const SCRIPT: &str = r#"
import socket, ssl, struct, sys, threading
cert, key, version, mode, greeting = sys.argv[1:6]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
if version != "any":
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]

def reset(raw):
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()

def serve(raw):
    if mode == "reset-handshake":
        raw.recv(1)
        return reset(raw)
    if mode == "behind-header":
        line = b""
        while not line.endswith(b"\r\n"):
            line += raw.recv(1)
        print(line.decode().strip(), flush=True)
    tls = context.wrap_socket(raw, server_side=True, suppress_ragged_eofs=False)
    print(tls.version(), "resumed" if tls.session_reused else "full", flush=True)
    tls.sendall(greeting.encode())
    if mode == "truncate":
        tls.recv(1)
        raw = socket.socket(fileno=tls.detach())
        raw.shutdown(socket.SHUT_WR)
        return raw.recv(1)
    if mode == "reset":
        tls.recv(1)
        return reset(tls)
    total = 0
    while piece := tls.recv(65536):
        total += len(piece)
        if mode != "count":
            tls.sendall(piece)
    if mode == "count":
        tls.sendall(b"%d bytes\n" % total)
    tls.unwrap().close()
    print("closed in order", flush=True)

def guarded(raw):
    try:
        serve(raw)
    except Exception as error:
        print("ended by", repr(error), flush=True)

listener = socket.create_server(("127.0.0.1", 0))
print("port", listener.getsockname()[1], flush=True)
while True:
    raw, _ = listener.accept()
    raw.settimeout(50)
    threading.Thread(target=guarded, args=(raw,), daemon=True).start()
"#;

/// A server that treats all its connections alike.
#[derive(Debug)]
pub struct TlsBackend {
    /// Where it listens.
    pub address: SocketAddr,
    /// The process, with what it has to say.
    pub process: Process,
}

impl TlsBackend {
    /// Starts one: `version` is `any`, `TLSv1_2` or `TLSv1_3`; `mode` is `echo`, `count`,
    /// `truncate`, `reset`, `reset-handshake` or `behind-header`; `greeting` is sent first.
    #[must_use]
    pub fn start(leaf: &Issued, version: &str, mode: &str, greeting: &str) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", SCRIPT]).arg(&leaf.cert).arg(&leaf.key);
        let process = Process::start(command.args([version, mode, greeting]));
        let port = process.stdout.wait(|text| {
            let (line, _) = text.split_once('\n')?;
            line.strip_prefix("port ")?.trim().parse::<u16>().ok()
        });
        let port = port.unwrap_or_else(|| panic!("it does not start: {}", process.stderr.text()));
        Self { address: SocketAddr::from(([127, 0, 0, 1], port)), process }
    }

    /// Waits until it has said `word` somewhere.
    pub fn says(&self, word: &str) {
        let said = self.process.stdout.wait(|text| text.contains(word).then_some(()));
        assert!(said.is_some(), "{word:?} is not in {}", self.process.stdout.text());
    }
}
