//! haproxy and nginx, passing TCP on in front of the daemon or answering behind it.
//!
//! Invariants: each runs in the foreground as our own child, with a configuration in a directory of
//! its own, on a port that is free on 127.0.0.1; it ends with its handle.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::daemon::{free_address, listens};
use crate::process::Process;
use crate::wait_until;

/// Where Debian keeps the module of nginx that passes TCP on.
pub const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    process: Process,
    _directory: TempDir,
}

impl Proxy {
    fn start(
        ip: IpAddr,
        config: impl Fn(SocketAddr, &Path) -> String,
        command: impl Fn(&Path) -> Command,
    ) -> Self {
        for _ in 0..5 {
            let address = SocketAddr::new(ip, free_address().port());
            let directory = TempDir::new().expect("a temporary directory");
            let file = directory.path().join("proxy.conf");
            std::fs::write(&file, config(address, directory.path())).expect("a writable directory");
            let mut process = Process::start(&mut command(&file));
            let mut ended = false;
            wait_until("the proxy listens", || {
                ended = process.status().is_some();
                ended || listens(process.id(), &address)
            });
            if !ended {
                return Self { address, process, _directory: directory };
            }
            let output = process.finish().output();
            assert!(output.contains("in use"), "the proxy does not start:\n{output}");
        }
        panic!("five times in a row a free port was taken by someone else");
    }

    /// What it has said so far.
    #[must_use]
    pub fn errors(&self) -> String {
        self.process.stderr.text()
    }
}

fn haproxy(ip: IpAddr, sections: impl Fn(SocketAddr) -> String) -> Proxy {
    let defaults = "global\n    maxconn 100\ndefaults\n    timeout connect 10s\n    \
                    timeout client 60s\n    timeout server 60s\n";
    Proxy::start(
        ip,
        |at, _| format!("{defaults}{}\n", sections(at)),
        |file| {
            let mut command = Command::new("haproxy");
            command.arg("-db").arg("-f").arg(file);
            command
        },
    )
}

/// haproxy on `ip` that passes TCP on to `to`; `option` is the kind of header, e.g. `send-proxy`.
#[must_use]
pub fn haproxy_in_front(ip: IpAddr, to: SocketAddr, option: &str) -> Proxy {
    haproxy(ip, |at| {
        format!("listen front\n    mode tcp\n    bind {at}\n    server adjunct {to} {option}")
    })
}

/// haproxy that takes a header and answers an HTTP request with `format`.
#[must_use]
pub fn haproxy_behind(format: &str) -> Proxy {
    haproxy(IpAddr::from([127, 0, 0, 1]), |at| {
        format!(
            "frontend behind\n    mode http\n    bind {at} accept-proxy\n    http-request return \
             status 200 content-type text/plain lf-string \"{format}\""
        )
    })
}

fn nginx(ip: IpAddr, server: impl Fn(SocketAddr) -> String) -> Proxy {
    Proxy::start(
        ip,
        |at, directory| {
            format!(
                "load_module {NGINX_STREAM};\ndaemon off;\nmaster_process off;\npid {}/pid;\n\
                 error_log stderr;\nevents {{}}\nstream {{ server {{ {} }} }}\n",
                directory.display(),
                server(at)
            )
        },
        |file| {
            let mut command = Command::new("nginx");
            command.args(["-e", "stderr", "-c"]).arg(file);
            command
        },
    )
}

/// nginx on `ip` that passes TCP on to `to` with a header of version 1.
#[must_use]
pub fn nginx_in_front(ip: IpAddr, to: SocketAddr) -> Proxy {
    nginx(ip, |at| format!("listen {at}; proxy_pass {to}; proxy_protocol on;"))
}

/// nginx that takes a header, and says whom it names and closes.
#[must_use]
pub fn nginx_behind() -> Proxy {
    let says = "return \"$proxy_protocol_addr:$proxy_protocol_port\\n\";";
    nginx(IpAddr::from([127, 0, 0, 1]), |at| format!("listen {at} proxy_protocol; {says}"))
}
