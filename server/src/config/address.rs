//! Addresses to listen on and to connect to.
//!
//! A listen address is always numeric: which interface is served must not depend on a name server.
//! A backend may be a name; it is resolved once, when the file is read. A plaintext backend must be
//! on this host unless the service says `allow_remote_plaintext`; a Unix socket always is.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::fault::Severity;
use super::fault::Source;
use super::reader::Node;
use super::schema::{Backend, BackendAddress};
use super::targets::SOCKET_PATH_MAX;
use crate::exit::Exit;

/// Reads one element of `listen`.
pub(super) fn listen(source: &Source<'_>, node: &Node<'_>) -> Option<SocketAddr> {
    let text = node.text()?;
    if let Ok(address) = text.parse::<SocketAddr>() {
        if address.port() == 0 {
            node.error("port 0 would listen on any free port", "write the port clients connect to");
            return None;
        }
        if !address.ip().is_unspecified() && !is_local(address.ip()) {
            source.report(
                Severity::Error,
                Exit::Unavailable,
                Some(&node.span()),
                &node.key,
                format!("no interface of this machine has the address {}", address.ip()),
                "write an address of this machine, or \"0.0.0.0:PORT\" for all of them".to_owned(),
            );
            return None;
        }
        return Some(address);
    }
    let shown = text.escape_default();
    node.error(format!("\"{shown}\" is not an address"), listen_remedy(text));
    None
}

fn listen_remedy(text: &str) -> String {
    const FORM: &str = "\"0.0.0.0:992\", \"192.0.2.1:992\" or \"[::]:992\"";
    let port = text.trim_start_matches(['*', ':']);
    if !port.is_empty() && port.parse::<u16>().is_ok() {
        return format!("write \"0.0.0.0:{port}\" or \"[::]:{port}\"");
    }
    if text.parse::<IpAddr>().is_ok() {
        return format!("add the port: {FORM}");
    }
    let number = text.rsplit_once(':').and_then(|(_, port)| port.parse::<u64>().ok());
    if number.is_some_and(|port| port > u64::from(u16::MAX)) {
        return "write a port of at most 65535".to_owned();
    }
    format!("write a numeric address and a port: {FORM}")
}

/// Reads one element of `backend`.
pub(super) fn backend(
    source: &Source<'_>,
    node: &Node<'_>,
    directory: &Path,
    remote_allowed: bool,
) -> Option<Backend> {
    let text = node.text()?;
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(node, text, path, directory);
    }
    let addresses = resolve(source, node, text)?;
    let mut usable = true;
    for address in &addresses {
        if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
            node.error(
                format!("{address} is not an address one can connect to"),
                "write the address and port of the service, e.g. \"127.0.0.1:23\"",
            );
            usable = false;
        } else if !remote_allowed && !is_local(address.ip()) {
            node.error(
                format!("{} is not on this host, and the way to it is not encrypted", address.ip()),
                "run Adjunct on the host of the service, or write \
                 allow_remote_plaintext = true if that network is trusted",
            );
            usable = false;
        }
    }
    let addresses = addresses.into_iter().map(BackendAddress::Tcp).collect();
    usable.then(|| Backend { text: text.to_owned(), addresses })
}

/// The socket a service of this host listens on, at a path relative to the configuration file.
fn unix(node: &Node<'_>, text: &str, path: &str, directory: &Path) -> Option<Backend> {
    const FORM: &str = "write the path of the service's socket, e.g. \"unix:/run/app.sock\"";
    if path.is_empty() || path.contains('\0') {
        node.error("there is no path behind unix:", FORM);
        return None;
    }
    if path.starts_with('@') {
        let what = "abstract sockets are not served: any user of the host can take their name";
        node.error(what, FORM);
        return None;
    }
    let path = directory.join(path);
    let length = path.as_os_str().as_bytes().len();
    if length >= SOCKET_PATH_MAX {
        node.error(
            format!(
                "{} has {length} bytes; the path of a socket has less than {SOCKET_PATH_MAX}",
                path.display()
            ),
            "let the service listen at a shorter path, or write a shorter one that leads there",
        );
        return None;
    }
    Some(Backend { text: text.to_owned(), addresses: vec![BackendAddress::Unix(path)] })
}

fn resolve(source: &Source<'_>, node: &Node<'_>, text: &str) -> Option<Vec<SocketAddr>> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(vec![address]);
    }
    let shown = text.escape_default();
    let name = text.rsplit_once(':').filter(|(host, port)| {
        !host.is_empty() && !host.contains([':', '/', ' ']) && port.parse::<u16>().is_ok()
    });
    if name.is_none() {
        node.error(
            format!("\"{shown}\" is not an address with a port"),
            "write \"127.0.0.1:23\", \"[::1]:23\", \"localhost:23\" or \"unix:/run/app.sock\"",
        );
        return None;
    }
    let (reason, class) = match text.to_socket_addrs() {
        Ok(found) => {
            let mut addresses: Vec<SocketAddr> = Vec::new();
            for address in found {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            if !addresses.is_empty() {
                return Some(addresses);
            }
            ("it has no address".to_owned(), Exit::Unavailable)
        }
        Err(error) => (error.to_string(), Exit::Unavailable),
    };
    source.report(
        Severity::Error,
        class,
        Some(&node.span()),
        &node.key,
        format!("the name in \"{shown}\" cannot be resolved: {reason}"),
        "write a numeric address, or make the name known (hosts file, name server)".to_owned(),
    );
    None
}

/// Whether an address belongs to this host: loopback, or one of its interfaces (the system lets
/// only those be bound).
fn is_local(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

/// Whether two listen addresses cannot be bound side by side although they differ: same port, same
/// family, one of them the wildcard.
pub(super) fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    a != b
        && a.port() == b.port()
        && a.is_ipv4() == b.is_ipv4()
        && (a.ip().is_unspecified() || b.ip().is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::{is_local, listen_remedy, overlap};

    #[test]
    fn loopback_is_local_and_a_documentation_address_is_not() {
        assert!(is_local("127.0.0.53".parse().unwrap()));
        assert!(is_local("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!is_local("192.0.2.77".parse().unwrap()));
    }

    #[test]
    fn a_wildcard_overlaps_within_its_family() {
        let overlap = |a: &str, b: &str| overlap(a.parse().unwrap(), b.parse().unwrap());
        assert!(overlap("0.0.0.0:992", "127.0.0.1:992"));
        assert!(!overlap("0.0.0.0:992", "127.0.0.1:993"));
        assert!(!overlap("[::]:992", "127.0.0.1:992"));
        assert!(!overlap("0.0.0.0:992", "0.0.0.0:992"), "that is the same address");
    }

    #[test]
    fn the_remedy_fits_what_was_written() {
        assert_eq!(listen_remedy(":992"), "write \"0.0.0.0:992\" or \"[::]:992\"");
        assert_eq!(listen_remedy("*:992"), "write \"0.0.0.0:992\" or \"[::]:992\"");
        assert!(listen_remedy("192.0.2.1").starts_with("add the port"));
        assert!(listen_remedy("127.0.0.1:70000").contains("65535"));
        assert!(listen_remedy("localhost:992").starts_with("write a numeric address"));
    }
}
