//! Reads one `[[service]]`.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use toml::de::DeValue;

use super::address;
use super::backend;
use super::client_auth;
use super::labels;
use super::modes;
use super::negotiation;
use super::network;
use super::plain;
use super::reader::{Node, Table};
use super::schema::{
    CertificateFiles, Limits, ProxyProtocol, Server, ServerLimits, ServerName, Service, Timeouts,
};
use super::tls_backend;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// Where the parts of a service stand in the file, for faults found by comparing services and by
/// reading the files they name.
#[derive(Debug)]
pub(super) struct Places {
    /// What faults call the service: `service.NAME` or `service[N]`.
    pub(super) prefix: String,
    pub(super) name: Range<usize>,
    /// One per element of [`Service::listen`].
    pub(super) listen: Vec<Range<usize>>,
    /// One per element of [`Service::backends`].
    pub(super) backends: Vec<Range<usize>>,
    /// `accept_proxy`, or the name where it is not given.
    pub(super) accept_proxy: Range<usize>,
    /// One per element of [`Service::sni`].
    pub(super) sni: Vec<Range<usize>>,
    /// One pair (certificate, key) per element of [`Service::certificates`].
    pub(super) certificates: Vec<(Range<usize>, Range<usize>)>,
    /// One per element of [`Service::labels`].
    pub(super) labels: Vec<Range<usize>>,
    /// Of the files in [`Service::client_auth`].
    pub(super) client_auth: client_auth::Places,
    /// Of the file of CAs in [`Service::tls_backend`].
    pub(super) backend_ca: Option<Range<usize>>,
}

/// Reads the service at `index`. `server` holds what is also said for all of them, `directory` is
/// that of the file.
pub(super) fn read(
    node: &Node<'_>,
    index: usize,
    server: &Server,
    directory: &Path,
) -> Option<(Service, Places)> {
    let prefix = prefix(node, index);
    let table = node.renamed(prefix.clone()).table("service")?;
    let name_node = table.require("name", "give the service a name, e.g. name = \"tn3270\"");
    let name = name_node.as_ref().and_then(service_name).unwrap_or_default();
    let (labels, label_places) = labels::read_labels(&table);
    let (certificates, certificate_places) = certificates(&table, directory);
    let (listen, listen_places) = listen(&table);
    let allow_remote_plaintext = boolean(&table, "allow_remote_plaintext");
    let (tls_backend, tls_ca_place) = tls_backend::read(&table, directory);
    let remote_allowed = allow_remote_plaintext || tls_backend.is_some();
    let (backends, backend_places) = backends(&table, directory, remote_allowed);
    tls_backend::check_names(&table, tls_backend.as_ref(), &backends);
    let Names { sni, places: sni_places, required } = names(&table);
    let (client_auth, client_auth_places) = client_auth::read(&table, directory);
    let versions = negotiation::versions(&table);
    let service = Service {
        name,
        listen,
        tls: plain::read(&table, server),
        backends,
        certificates,
        labels,
        sni,
        sni_required: required,
        alpn: alpn(&table),
        accept_proxy: network::list(&table, "accept_proxy"),
        tls_backend,
        proxy_protocol: proxy_protocol(&table),
        tickets: integer(&table, "tickets", 0..=8).and_then(|n| u8::try_from(n).ok()).unwrap_or(2),
        session_cache: integer(&table, "session_cache", 0..=1_000_000).unwrap_or(4096),
        client_auth,
        versions,
        suites: negotiation::suites(&table, versions, server),
        groups: negotiation::groups(&table),
        timeouts: timeouts(&table, server.drain),
        limits: limits(&table),
        allow_remote_plaintext,
        health: backend::health(&table),
        mode: server.mode.union(&modes::list(&table, "mode")),
        audit: server.audit.union(&modes::list(&table, "audit")),
    };
    let name_span = name_node.map_or_else(|| table.span(), |node| node.span());
    let places = Places {
        prefix,
        accept_proxy: table
            .get("accept_proxy")
            .map_or_else(|| name_span.clone(), |node| node.span()),
        name: name_span,
        listen: listen_places,
        backends: backend_places,
        sni: sni_places,
        certificates: certificate_places,
        labels: label_places,
        client_auth: client_auth_places,
        backend_ca: tls_ca_place,
    };
    Some((service, places))
}

/// What faults call a service: by its name when it has a usable one.
fn prefix(node: &Node<'_>, index: usize) -> String {
    match node.value().get("name").map(toml::Spanned::get_ref) {
        Some(DeValue::String(name)) if is_service_name(name) => format!("service.{name}"),
        _ => format!("service[{index}]"),
    }
}

fn is_service_name(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=64).contains(&name.len()) && name.chars().all(known)
}

fn service_name(node: &Node<'_>) -> Option<String> {
    let name = node.text()?;
    if !is_service_name(name) {
        node.error(
            format!("\"{}\" cannot be the name of a service", name.escape_default()),
            "write 1 to 64 letters, digits, '-', '_' or '.': the name stands in log records",
        );
        return None;
    }
    Some(name.to_owned())
}

fn boolean(table: &Table<'_>, name: &'static str) -> bool {
    table.get(name).and_then(|node| node.boolean()).unwrap_or(false)
}

fn integer(
    table: &Table<'_>,
    name: &'static str,
    range: std::ops::RangeInclusive<usize>,
) -> Option<usize> {
    table.get(name).and_then(|node| node.integer(range))
}

fn listen(table: &Table<'_>) -> (Vec<std::net::SocketAddr>, Vec<Range<usize>>) {
    let remedy = "write the address and port clients connect to, e.g. listen = \"0.0.0.0:992\"";
    let Some(node) = table.require("listen", remedy) else { return Default::default() };
    let elements = node.one_or_more().unwrap_or_default();
    if elements.is_empty() {
        node.error("the list is empty", remedy);
    }
    let read = |node: &Node<'_>| address::listen(table.source, node);
    elements.iter().filter_map(|node| Some((read(node)?, node.span()))).unzip()
}

fn backends(
    table: &Table<'_>,
    directory: &Path,
    remote_allowed: bool,
) -> (Vec<super::schema::Backend>, Vec<Range<usize>>) {
    let remedy = "write where the plain service is, e.g. backend = \"127.0.0.1:23\"";
    let Some(node) = table.require("backend", remedy) else { return Default::default() };
    let elements = node.one_or_more().unwrap_or_default();
    if elements.is_empty() {
        node.error("the list is empty", remedy);
    }
    let read = |node: &Node<'_>| address::backend(table.source, node, directory, remote_allowed);
    elements.iter().filter_map(|node| Some((read(node)?, node.span()))).unzip()
}

type CertificatePlaces = Vec<(Range<usize>, Range<usize>)>;

/// `cert` and `key` as two paths, or `cert` as a list of `{ cert, key }`.
fn certificates(table: &Table<'_>, directory: &Path) -> (Vec<CertificateFiles>, CertificatePlaces) {
    let remedy = "name the PEM file of the certificate chain, e.g. cert = \"tn3270.pem\"";
    let has_label = table.get("label").is_some();
    let cert = if has_label { table.get("cert") } else { table.require("cert", remedy) };
    let key = table.get("key");
    let Some(cert) = cert else {
        if let Some(key) = key.filter(|_| has_label) {
            key.error("there is no `cert` that this could be the key of", "a label has its key");
        }
        return Default::default();
    };
    let is_list = matches!(cert.value(), DeValue::Array(_));
    if is_list && let Some(key) = &key {
        key.error(
            "`key` stands beside a list of certificates, so it is not clear whose it is",
            "name the key inside the list: cert = [{ cert = \"a.pem\", key = \"a.key\" }]",
        );
    }
    let mut files = Vec::new();
    let mut places = Vec::new();
    let mut add = |cert: &Node<'_>, key: &Node<'_>| {
        if let (Some(cert_path), Some(key_path)) = (path(cert, directory), path(key, directory)) {
            files.push(CertificateFiles { cert: cert_path, key: key_path });
            places.push((cert.span(), key.span()));
        }
    };
    if !is_list {
        let key =
            table.require("key", "name the PEM file of the private key, e.g. key = \"a.key\"");
        if let Some(key) = key {
            add(&cert, &key);
        }
        return (files, places);
    }
    let elements = cert.elements().unwrap_or_default();
    if elements.is_empty() {
        cert.error("the list is empty", remedy);
    }
    for element in &elements {
        let Some(pair) = element.table("service.cert") else { continue };
        let (cert, key) = (pair.require("cert", remedy), pair.require("key", "name its key"));
        if let (Some(cert), Some(key)) = (cert, key) {
            add(&cert, &key);
        }
    }
    (files, places)
}

/// A path, completed with the directory of the configuration file.
pub(super) fn path(node: &Node<'_>, directory: &Path) -> Option<std::path::PathBuf> {
    let text = node.text()?;
    if text.is_empty() || text.contains('\0') {
        node.error("this is not a path", "write the path of a file");
        return None;
    }
    Some(directory.join(text))
}

struct Names {
    sni: Vec<ServerName>,
    places: Vec<Range<usize>>,
    required: bool,
}

fn names(table: &Table<'_>) -> Names {
    let mut required = boolean(table, "sni_required");
    let (mut sni, mut places) = (Vec::new(), Vec::new());
    if let Some(node) = table.get("sni") {
        if matches!(node.value(), DeValue::String(text) if text == "required") {
            required = true;
        } else {
            for node in node.one_or_more().unwrap_or_default() {
                if let Some(name) = server_name(&node) {
                    sni.push(name);
                    places.push(node.span());
                }
            }
        }
    }
    Names { sni, places, required }
}

fn server_name(node: &Node<'_>) -> Option<ServerName> {
    let text = node.text()?;
    let lower = text.to_ascii_lowercase();
    let name = lower.strip_suffix('.').unwrap_or(&lower);
    let (host, wildcard) = match name.strip_prefix("*.") {
        Some(parent) => (parent, true),
        None => (name, false),
    };
    let shown = text.escape_default();
    let remedy = if !text.is_ascii() {
        "write the name as it goes over the wire (xn--...)"
    } else if host.contains('*') {
        "a wildcard stands for one whole label in front: \"*.example.com\""
    } else if host.parse::<std::net::IpAddr>().is_ok() {
        "clients send no addresses as server name; leave `sni` out to serve them"
    } else if !is_host_name(host) || (wildcard && !host.contains('.')) {
        "write a host name such as \"mq.example.com\" or \"*.example.com\""
    } else {
        return ServerName::parse(name).ok();
    };
    node.error(format!("\"{shown}\" is not a name a client can ask for"), remedy);
    None
}

/// Letters, digits, hyphens and underscores in labels of 1 to 63 bytes; 253 bytes at most.
fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn alpn(table: &Table<'_>) -> Vec<String> {
    let Some(node) = table.get("alpn") else { return Vec::new() };
    let mut protocols: Vec<String> = Vec::new();
    for node in node.elements().unwrap_or_default() {
        let Some(text) = node.text() else { continue };
        if text.is_empty() || text.len() > 255 {
            node.error("a protocol name has 1 to 255 bytes", "write e.g. \"http/1.1\"");
        } else if protocols.iter().any(|known| known == text) {
            node.error("this protocol is named twice", "remove one of them");
        } else {
            protocols.push(text.to_owned());
        }
    }
    protocols
}

fn proxy_protocol(table: &Table<'_>) -> ProxyProtocol {
    let words =
        [("none", ProxyProtocol::None), ("v1", ProxyProtocol::V1), ("v2", ProxyProtocol::V2)];
    table.get("proxy_protocol").and_then(|node| node.word(&words, &[])).unwrap_or_default()
}

fn timeouts(service: &Table<'_>, drain: Duration) -> Timeouts {
    let default = Timeouts { drain, ..Timeouts::default() };
    let Some(table) = service.get("timeouts").and_then(|node| node.table("service.timeouts"))
    else {
        return default;
    };
    let read = |name, range, default| {
        table.get(name).and_then(|node| node.duration(range)).unwrap_or(default)
    };
    Timeouts {
        handshake: read("handshake", 100 * MILLISECOND..=5 * MINUTE, default.handshake),
        connect: read("connect", 10 * MILLISECOND..=5 * MINUTE, default.connect),
        idle: read("idle", SECOND..=WEEK, default.idle),
        drain: read("drain", Duration::ZERO..=HOUR, default.drain),
    }
}

fn limits(service: &Table<'_>) -> Limits {
    let default = Limits::default();
    let Some(table) = service.get("limits").and_then(|node| node.table("service.limits")) else {
        return default;
    };
    Limits {
        connections: integer(&table, "connections", 1..=1_000_000).unwrap_or(default.connections),
        handshakes: integer(&table, "handshakes", 1..=100_000).unwrap_or(default.handshakes),
        per_peer: integer(&table, "per_peer", 1..=1_000_000),
    }
}

/// Reads `[server] limits`.
pub(super) fn server_limits(server: &Table<'_>) -> ServerLimits {
    let default = ServerLimits::default();
    let Some(table) = server.get("limits").and_then(|node| node.table("server.limits")) else {
        return default;
    };
    ServerLimits {
        connections: integer(&table, "connections", 1..=1_000_000).unwrap_or(default.connections),
        per_peer: integer(&table, "per_peer", 1..=1_000_000),
        hello: integer(&table, "hello", 1..=1_000_000).unwrap_or(default.hello),
    }
}
