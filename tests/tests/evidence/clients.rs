//! The kinds of clients, and what each of them is to be recorded as.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use adjunct_tests::backend::HTTP_BODY;
use adjunct_tests::client::openssl::s_client;
use adjunct_tests::client::{REQUEST, curl};
use adjunct_tests::need::tool;
use adjunct_tests::process::{PATIENCE, run};
use adjunct_tests::scene::NAME;
use socket2::{Domain, Socket, Type};

use crate::site::Site;

/// How a client talks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Talk {
    /// `openssl s_client` with these options.
    OpenSsl(&'static [&'static str]),
    /// The same, showing the first or second certificate of the site.
    Certified(usize, &'static [&'static str]),
    /// Twice, the second time with the session of the first.
    Resuming(&'static [&'static str]),
    /// `curl`.
    Curl,
    /// Python's `ssl`.
    Python,
    /// Node's `tls`.
    Node,
    /// `gnutls-cli`; it cannot choose its address.
    Gnutls,
    /// Python's `ssl` with TLS 1.2, without the extended master secret.
    PythonOfOld,
    /// HTTP in clear text.
    Http,
    /// Connects and leaves, as load balancers do to see whether somebody is there.
    Check,
}

/// A kind of client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// What it is.
    pub(crate) name: &'static str,
    /// Last part of its address.
    pub(crate) host: u8,
    /// How it talks.
    pub(crate) talk: Talk,
    /// Protocol, suite, group, and key of ours, as the report has them; of the rest nothing is
    /// negotiated, or it is the client's choice.
    pub(crate) used: [&'static str; 4],
    /// Rule that refuses it; empty if it is served.
    pub(crate) rule: &'static str,
}

const fn served(name: &'static str, host: u8, talk: Talk, used: [&'static str; 4]) -> Kind {
    Kind { name, host, talk, used, rule: "" }
}

const fn refused(name: &'static str, host: u8, talk: Talk, rule: &'static str) -> Kind {
    Kind { name, host, talk, used: [""; 4], rule }
}

/// What a test does not look at.
pub(crate) const ANY: &str = "*";

const AES128: &str = "TLS_AES_128_GCM_SHA256";
const AES256: &str = "TLS_AES_256_GCM_SHA384";
const CHACHA: &str = "TLS_CHACHA20_POLY1305_SHA256";
const OLD: &str = "ALL:@SECLEVEL=0";

/// Kinds whose tools are on every machine that builds this.
pub(crate) const COMMON: &[Kind] = &[
    served(
        "TLS 1.2, RSA only",
        1,
        Talk::OpenSsl(&["-tls1_2", "-cipher", "ECDHE-RSA-AES256-GCM-SHA384", "-groups", "P-256"]),
        ["TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "secp256r1", "RSA 2048"],
    ),
    served(
        "TLS 1.2, ECDSA only",
        2,
        Talk::OpenSsl(&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"]),
        ["TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "x25519", "EC P-256"],
    ),
    served(
        "TLS 1.3, AES-128",
        3,
        Talk::OpenSsl(&["-tls1_3", "-ciphersuites", AES128]),
        ["TLSv1.3", AES128, "x25519", "EC P-256"],
    ),
    served(
        "TLS 1.3, AES-256 and P-384",
        4,
        Talk::OpenSsl(&["-tls1_3", "-ciphersuites", AES256, "-groups", "P-384"]),
        ["TLSv1.3", AES256, "secp384r1", "EC P-256"],
    ),
    served(
        "TLS 1.3, ChaCha20 only",
        5,
        Talk::OpenSsl(&["-tls1_3", "-ciphersuites", CHACHA, "-groups", "P-256"]),
        ["TLSv1.3", CHACHA, "secp256r1", "EC P-256"],
    ),
    served(
        "TLS 1.2, ChaCha20 only",
        6,
        Talk::OpenSsl(&["-tls1_2", "-cipher", "ECDHE-RSA-CHACHA20-POLY1305", "-groups", "P-256"]),
        ["TLSv1.2", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "secp256r1", "RSA 2048"],
    ),
    served(
        "X25519 only",
        7,
        Talk::OpenSsl(&["-groups", "X25519"]),
        ["TLSv1.3", AES128, "x25519", "EC P-256"],
    ),
    served(
        "P-256 only",
        8,
        Talk::OpenSsl(&["-groups", "P-256"]),
        ["TLSv1.3", AES128, "secp256r1", "EC P-256"],
    ),
    served("curl", 9, Talk::Curl, ["TLSv1.3", AES128, "x25519", "EC P-256"]),
    served("Python", 10, Talk::Python, ["TLSv1.3", AES128, "x25519", "EC P-256"]),
    served(
        "with a certificate",
        11,
        Talk::Certified(0, &["-tls1_3", "-groups", "P-256"]),
        ["TLSv1.3", AES128, "secp256r1", "EC P-256"],
    ),
    served(
        "with a certificate that modes mind",
        18,
        Talk::Certified(1, &["-tls1_3", "-groups", "P-256"]),
        ["TLSv1.3", AES128, "secp256r1", "EC P-256"],
    ),
    served(
        "a session resumed, P-256",
        12,
        Talk::Resuming(&["-tls1_3", "-groups", "P-256"]),
        ["TLSv1.3", AES128, "secp256r1", ANY],
    ),
    refused("TLS 1.0 only", 13, Talk::OpenSsl(&["-tls1", "-cipher", OLD]), "protocol-too-old"),
    refused("TLS 1.1 only", 14, Talk::OpenSsl(&["-tls1_1", "-cipher", OLD]), "protocol-too-old"),
    refused(
        "CBC only",
        15,
        Talk::OpenSsl(&["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"]),
        "no-common-cipher",
    ),
    refused("HTTP in clear text", 16, Talk::Http, "plain-http"),
    // Its group is one that modes mind as well, but it offers others.
    served(
        "TLS 1.2 without the extended master secret",
        19,
        Talk::PythonOfOld,
        ["TLSv1.2", ANY, "x25519", "EC P-256"],
    ),
    refused("a check of a load balancer", 20, Talk::Check, "peer-closed"),
];

/// Node, which is not on every machine.
pub(crate) const NODE: Kind = served("Node", 17, Talk::Node, ["TLSv1.3", ANY, ANY, "EC P-256"]);

/// GnuTLS, which is not on every machine.
pub(crate) const GNUTLS: Kind = Kind { name: "GnuTLS", host: 0, talk: Talk::Gnutls, ..NODE };

impl Kind {
    /// Its address.
    pub(crate) fn address(&self) -> IpAddr {
        match self.talk {
            Talk::Gnutls => IpAddr::from([127, 0, 0, 1]),
            _ => IpAddr::from([127, 0, 1, self.host]),
        }
    }

    /// Whether it is served where no mode is on.
    pub(crate) fn is_served(&self) -> bool {
        self.rule.is_empty()
    }

    /// Whether it speaks TLS at all.
    pub(crate) fn is_tls(&self) -> bool {
        !matches!(self.talk, Talk::Http | Talk::Check)
    }

    /// Connections it makes.
    pub(crate) fn connections(&self) -> u64 {
        if matches!(self.talk, Talk::Resuming(_)) { 2 } else { 1 }
    }

    /// Fetches the page from `site`; whether the client got it, each time.
    pub(crate) fn talk(&self, site: &Site) -> bool {
        let said = match self.talk {
            Talk::OpenSsl(options) => self.openssl(site, options, &[]),
            Talk::Certified(at, options) => {
                let shown = &site.client[at];
                let (cert, key) = (text(&shown.cert), text(&shown.key));
                self.openssl(site, options, &["-cert", &cert, "-key", &key])
            }
            Talk::Resuming(options) => {
                let session = text(&site.pki.path().join(format!("session-{}", self.host)));
                let first = self.openssl(site, options, &["-sess_out", &session]);
                if !first.contains(HTTP_BODY) {
                    return false;
                }
                self.openssl(site, options, &["-sess_in", &session])
            }
            Talk::Curl => {
                let (at, from) = (site.address(), self.address().to_string());
                curl::get(at, NAME, &site.pki.bundle(), &["--interface", &from]).output()
            }
            Talk::Python => self.script("python3", &["-c", PYTHON], site),
            Talk::PythonOfOld => {
                self.script("python3", &["-c", &format!("OLD = True\n{PYTHON}")], site)
            }
            Talk::Node => self.script("node", &["-e", NODE_JS, "--"], site),
            Talk::Gnutls => {
                let program = tool("gnutls-cli").expect("asked for with need!");
                let (at, roots) = (site.address(), site.pki.bundle());
                adjunct_tests::client::gnutls::talk(&program, at, NAME, &roots, "NORMAL", REQUEST)
                    .output()
            }
            Talk::Http => self.clear_text(site.address(), REQUEST),
            Talk::Check => self.clear_text(site.address(), ""),
        };
        said.contains(HTTP_BODY)
    }

    fn openssl(&self, site: &Site, options: &[&str], more: &[&str]) -> String {
        let from = format!("{}:0", self.address());
        let options = [options, more, &["-bind", &from]].concat();
        s_client(site.address(), NAME, &site.pki.bundle(), &options, REQUEST).output()
    }

    fn script(&self, program: &str, arguments: &[&str], site: &Site) -> String {
        let at = site.address();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args([at.ip().to_string(), at.port().to_string(), self.address().to_string()])
            .arg(NAME)
            .arg(site.pki.bundle());
        run(&mut command, REQUEST.as_bytes()).output()
    }

    fn clear_text(&self, at: SocketAddr, request: &str) -> String {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::new(self.address(), 0).into()).expect("a loopback address");
        socket.connect(&at.into()).expect("a listener");
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.write_all(request.as_bytes()).expect("a socket");
        if request.is_empty() {
            return String::new();
        }
        let mut answer = Vec::new();
        // It may be reset instead of closed: what came is what counts.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn text(path: &Path) -> String {
    PathBuf::from(path).to_string_lossy().into_owned()
}

const PYTHON: &str = r#"
import socket, ssl, sys
host, port, source, name, roots = sys.argv[1:6]
context = ssl.create_default_context(cafile=roots)
if globals().get("OLD"):
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.options |= 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET
raw = socket.create_connection((host, int(port)), timeout=50, source_address=(source, 0))
with context.wrap_socket(raw, server_hostname=name) as tls:
    tls.sendall(sys.stdin.buffer.read())
    answer = b""
    while piece := tls.recv(4096):
        answer += piece
    print(answer.decode())
    tls.unwrap()
"#;

const NODE_JS: &str = r#"
const fs = require("fs"), tls = require("tls"), net = require("net");
const [host, port, localAddress, servername, roots] = process.argv.slice(1);
const input = fs.readFileSync(0);
const raw = net.connect({ host, port: Number(port), localAddress });
const socket = tls.connect({ socket: raw, servername, ca: fs.readFileSync(roots) }, () => {
  socket.write(input);
});
socket.setTimeout(50000, () => socket.destroy(new Error("timeout")));
for (const one of [raw, socket]) {
  one.on("error", (error) => { console.error(error.message); process.exitCode = 1; });
}
socket.on("data", (piece) => process.stdout.write(piece));
"#;
