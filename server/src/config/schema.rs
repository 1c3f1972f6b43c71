//! The checked configuration: what the rest of the daemon works with.
//!
//! Invariants: a [`Config`] made by [`super::load`] holds no contradiction. Names are unique,
//! addresses are resolved, paths are complete (relative ones were joined to the directory of the
//! configuration file), every default is filled in, and two services on one address differ in SNI.
//! What this version cannot do is a fault when the file is read and has no value here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use super::client_auth::{ClientAuth, ClientTrust};
pub use super::network::Network;
use engine::backend::BackendName;
pub use engine::certs::NamePattern as ServerName;
use engine::compliance::ModeSet;
pub use engine::crypto::Provider;
use engine::crypto::{CardTarget, CryptoConfig, Fault};

use crate::keydb::serve::KeyDatabase;

/// Everything the daemon needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from; for messages.
    pub file: PathBuf,
    /// `[server]`.
    pub server: Server,
    /// `[cpacf]`.
    pub cpacf: Cpacf,
    /// `[cex]`.
    pub cex: Cex,
    /// `[[fault]]`: what is broken from the start, in a test build.
    pub faults: Vec<InjectedFault>,
    /// `[[card]]`; empty means one CEX8A and one CEX8C with a domain per worker.
    pub cards: Vec<Card>,
    /// `[route]`.
    pub route: Route,
    /// `[admin] socket`; the read-only status socket.
    pub admin_socket: Option<PathBuf>,
    /// `[tickets]`.
    pub tickets: TicketRing,
    /// `[[service]]`, in the order of the file; at least one.
    pub services: Vec<Service>,
}

impl Config {
    /// Every mode that is on anywhere.
    #[must_use]
    pub fn modes(&self) -> ModeSet {
        self.services.iter().fold(self.server.mode.clone(), |all, s| all.union(&s.mode))
    }

    /// Whether the socket for an IPv6 listen address takes IPv6 only. `[::]:992` takes IPv4
    /// clients too, unless the file listens on an IPv4 address with the same port.
    #[must_use]
    pub fn v6_only(&self, address: SocketAddr) -> bool {
        let mut all = self.services.iter().flat_map(|service| &service.listen);
        address.is_ipv6()
            && (!address.ip().is_unspecified()
                || all.any(|other| other.is_ipv4() && other.port() == address.port()))
    }
}

/// `[server]`: the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Modes that hold for every service and for the whole process.
    pub mode: ModeSet,
    /// Modes whose verdict is recorded only.
    pub audit: ModeSet,
    /// Pool members; 0 means one per core ([`Server::members`]).
    pub workers: usize,
    /// How a handshake waits for a card.
    pub offload: Offload,
    /// Where records go.
    pub log: Log,
    /// How long a stop waits for open connections, unless a service says otherwise.
    pub drain: Duration,
    /// Whether cards may be broken on purpose: the demo and test builds.
    pub fault_injection: bool,
    /// Upper limits of the process.
    pub limits: ServerLimits,
    /// Key database, whose labels services may name.
    pub keydb: Option<KeyDatabase>,
    /// Cipher suites that every service offers beside its own; out of [`SUITES`].
    pub enable: Vec<&'static str>,
    /// Cipher suites that no service offers; already taken out of each.
    pub exempt: Vec<&'static str>,
}

/// `[server] limits`: upper limits of all members and services together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections open at once.
    pub connections: usize,
    /// Connections of one client: an IPv4 address or an IPv6 network of 64 bits; none: no limit.
    pub per_peer: Option<usize>,
    /// Connections that have not sent a complete ClientHello.
    pub hello: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self { connections: 50_000, per_peer: None, hello: 4096 }
    }
}

impl Server {
    /// Number of pool members, with 0 resolved to one per core.
    #[must_use]
    pub fn members(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            n => n,
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            mode: ModeSet::default(),
            audit: ModeSet::default(),
            workers: 0,
            offload: Offload::default(),
            log: Log::default(),
            drain: Duration::from_secs(30),
            fault_injection: false,
            limits: ServerLimits::default(),
            keydb: None,
            enable: Vec::new(),
            exempt: Vec::new(),
        }
    }
}

/// How a handshake waits for a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offload {
    /// On a stackful coroutine of its event loop.
    Fiber,
    /// On a thread of a pool that all members share.
    Pool,
    /// On the thread of its event loop, which stands still meanwhile.
    Inline,
}

impl Default for Offload {
    /// The best that this target has.
    fn default() -> Self {
        if engine::handshake::HAS_FIBERS { Self::Fiber } else { Self::Pool }
    }
}

/// `[server] log`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Log {
    /// Form of a record.
    pub format: LogFormat,
    /// Where it goes.
    pub target: LogTarget,
    /// Whether the text form is coloured; from the command line, not from the file.
    pub color: ColorChoice,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Form of a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One JSON object per line.
    #[default]
    Json,
    /// Several aligned lines for a reader.
    Text,
}

/// Where log records go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LogTarget {
    /// Standard error, for a journal.
    #[default]
    Stderr,
    /// A file, appended to and opened again on USR1.
    File(PathBuf),
}

/// `[cpacf]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cpacf {
    /// Who executes the functions.
    pub provider: Provider,
}

/// `[cex]`: bounds of what waits for the cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cex {
    /// Requests of a class that may wait in front of the bus.
    pub waiting: usize,
    /// How long one may wait there.
    pub waiting_age: Duration,
    /// How long a queue may keep a request without a reply.
    pub reply: Duration,
}

impl Default for Cex {
    fn default() -> Self {
        let cex = CryptoConfig::default().cex;
        Self { waiting: cex.fifo_depth, waiting_age: cex.fifo_age_max, reply: cex.request_timeout }
    }
}

/// `[[fault]]`: a card or queue that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InjectedFault {
    /// Which.
    pub target: CardTarget,
    /// How.
    pub fault: Fault,
}

/// `[[card]]`: one simulated Crypto Express card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Card number, the first part of an APQN.
    pub id: u8,
    /// Card type.
    pub kind: CardType,
    /// Domains, the second part of an APQN; ascending, without repetition, at least one.
    pub domains: Vec<u8>,
    /// How the card executes RSA requests.
    pub engine: CardEngine,
}

/// Type of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CardType {
    /// Accelerator: clear-key RSA only.
    Cex8A,
    /// CCA coprocessor: RSA and ECC.
    Cex8C,
}

/// How a card executes RSA requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CardEngine {
    /// Four together where the processor can do it and a measurement says that it pays.
    #[default]
    Auto,
    /// One at a time.
    Single,
    /// Four together.
    Batch,
}

/// `[route]`: which engine does which private-key operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Route {
    /// ECDSA private keys; RSA private keys always go to cex.
    pub ecdsa: EcdsaRoute,
    /// What happens when no card is left.
    pub no_card: NoCard,
    /// Which results of cards are verified before release.
    pub verify: Verify,
}

/// Where ECDSA private keys are held and used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EcdsaRoute {
    /// P-256 in cpacf, as a protected key: such a signature costs less than a way to a card and
    /// back. Other curves in a card.
    #[default]
    Auto,
    /// In a card.
    Cex,
    /// In cpacf, as a protected key.
    Cpacf,
}

/// What happens to a signature when no card is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoCard {
    /// The handshake fails.
    #[default]
    Fail,
    /// Software signs, and the record says so.
    Software,
}

/// Which results of cards are verified on the host before release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// RSA.
    #[default]
    Rsa,
    /// RSA and ECDSA.
    All,
}

/// `[tickets]`: the ring of session ticket keys shared by all members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketRing {
    /// How often a new key is made.
    pub rotate: Duration,
    /// How long a ticket is accepted.
    pub lifetime: Duration,
}

impl Default for TicketRing {
    fn default() -> Self {
        Self { rotate: Duration::from_secs(3600), lifetime: Duration::from_secs(12 * 3600) }
    }
}

/// `[[service]]`: TLS in front of one plain service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Name, unique in the file; stands in every record.
    pub name: String,
    /// Addresses to listen on; at least one.
    pub listen: Vec<SocketAddr>,
    /// Whether clients speak TLS.
    pub tls: Tls,
    /// Backends in the order they are tried; at least one.
    pub backends: Vec<Backend>,
    /// Certificates and keys; at least one pair.
    pub certificates: Vec<CertificateFiles>,
    /// Labels of the key database, after the files.
    pub labels: Vec<String>,
    /// Names this service answers to on its addresses; empty: default of the address.
    pub sni: Vec<ServerName>,
    /// Whether a client must send a name that the service answers to (its `sni`, or when that is
    /// empty the names of its certificates). Otherwise alert 112; by default the first
    /// certificate is presented.
    pub sni_required: bool,
    /// ALPN protocols by preference; empty: ALPN is not negotiated.
    pub alpn: Vec<String>,
    /// Peers that name the client in a PROXY header, and must do so.
    pub accept_proxy: Vec<Network>,
    /// How its backends are known, if TLS is spoken with them.
    pub tls_backend: Option<TlsBackend>,
    /// Header sent to the backend ahead of the data.
    pub proxy_protocol: ProxyProtocol,
    /// TLS 1.3 tickets sent after a full handshake, 0 to 8.
    pub tickets: u8,
    /// Entries of the TLS 1.2 session-ID cache; 0: none.
    pub session_cache: usize,
    /// Whether clients must show a certificate.
    pub client_auth: ClientAuth,
    /// Protocol versions offered.
    pub versions: Versions,
    /// Cipher suites by preference, IANA names out of [`SUITES`].
    pub suites: Vec<&'static str>,
    /// Key exchange groups by preference, IANA names out of [`GROUPS`].
    pub groups: Vec<&'static str>,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Upper limits.
    pub limits: Limits,
    /// Whether a backend may be on another host although the way to it is not encrypted.
    pub allow_remote_plaintext: bool,
    /// When a backend that failed is tried again.
    pub health: HealthPolicy,
    /// Modes that hold: those of the server and its own.
    pub mode: ModeSet,
    /// Modes whose verdict is recorded only: those of the server and its own.
    pub audit: ModeSet,
}

/// Whether clients speak TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tls {
    /// They do.
    #[default]
    On,
    /// Bytes pass as they are.
    Off,
}

/// One backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// As written in the file; for records.
    pub text: String,
    /// Where to connect; a name was resolved once, when the file was read.
    pub addresses: Vec<BackendAddress>,
}

impl Backend {
    /// The host, where it was written as a name.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        if !matches!(self.addresses.first(), Some(BackendAddress::Tcp(_))) {
            return None;
        }
        let (host, _) = self.text.rsplit_once(':')?;
        let address = host.trim_start_matches('[').trim_end_matches(']');
        address.parse::<std::net::IpAddr>().is_err().then_some(host)
    }
}

/// `[[service]] tls_backend`: whom the backends of a service must prove to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsBackend {
    /// CAs that issue their certificates, PEM.
    pub ca: PathBuf,
    /// The name all their certificates are for; else each is known by its own host name.
    pub server_name: Option<BackendName>,
}

impl TlsBackend {
    /// The name that the certificate of `backend` must be for.
    #[must_use]
    pub fn name_of(&self, backend: &Backend) -> Option<BackendName> {
        self.server_name.clone().or_else(|| BackendName::parse(backend.host()?))
    }
}

/// `[[service]] health`: how long a backend that failed is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthPolicy {
    /// After the first failure; doubled by each further one.
    pub retry: Duration,
    /// At most.
    pub retry_max: Duration,
}

impl Default for HealthPolicy {
    fn default() -> Self {
        Self { retry: Duration::from_secs(1), retry_max: Duration::from_secs(60) }
    }
}

/// Where a backend can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendAddress {
    /// Address and port.
    Tcp(SocketAddr),
    /// A Unix stream socket of this host.
    Unix(PathBuf),
}

impl std::fmt::Display for BackendAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Files of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// Chain, leaf first, PEM.
    pub cert: PathBuf,
    /// Private key of the leaf, PEM.
    pub key: PathBuf,
}

/// PROXY protocol towards the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyProtocol {
    /// No header.
    #[default]
    None,
    /// The line of text, version 1.
    V1,
    /// The binary header, version 2.
    V2,
}

/// Protocol versions offered; at least one is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// TLS 1.2.
    pub tls12: bool,
    /// TLS 1.3.
    pub tls13: bool,
}

impl Default for Versions {
    fn default() -> Self {
        Self { tls12: true, tls13: true }
    }
}

/// Deadlines of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From accept to the end of the handshake, whatever arrives meanwhile.
    pub handshake: Duration,
    /// For each attempt to connect to a backend.
    pub connect: Duration,
    /// Without a byte in either direction.
    pub idle: Duration,
    /// For open connections when the daemon stops.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(3600),
            drain: Duration::from_secs(30),
        }
    }
}

/// Upper limits of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once.
    pub connections: usize,
    /// Handshakes in flight at once.
    pub handshakes: usize,
    /// Connections of one client; none: no limit.
    pub per_peer: Option<usize>,
}

impl Limits {
    /// Handshakes in flight up to which clients are let in that resume no session. The last eighth
    /// is for those that do: they cost no signature.
    #[must_use]
    pub fn full_handshakes(&self) -> usize {
        self.handshakes - self.handshakes / 8
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 20_000, handshakes: 4096, per_peer: None }
    }
}

/// A cipher suite this version offers: IANA name and whether it belongs to TLS 1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suite {
    /// IANA name.
    pub name: &'static str,
    /// TLS 1.3 rather than TLS 1.2.
    pub tls13: bool,
}

/// Every cipher suite, in the default order.
pub const SUITES: [Suite; 9] = [
    Suite { name: "TLS_AES_128_GCM_SHA256", tls13: true },
    Suite { name: "TLS_AES_256_GCM_SHA384", tls13: true },
    Suite { name: "TLS_CHACHA20_POLY1305_SHA256", tls13: true },
    Suite { name: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", tls13: false },
    Suite { name: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", tls13: false },
    Suite { name: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", tls13: false },
    Suite { name: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", tls13: false },
    Suite { name: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", tls13: false },
    Suite { name: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", tls13: false },
];

/// Every key exchange group, in the default order.
pub const GROUPS: [&str; 6] =
    ["X25519MLKEM768", "SecP256r1MLKEM768", "x25519", "secp256r1", "secp384r1", "secp521r1"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_configuration_are_what_the_engine_serves_in_its_order() {
        let suites = engine::provider::suite_names();
        assert_eq!(SUITES.map(|suite| suite.name).to_vec(), suites);
        assert_eq!(GROUPS.to_vec(), engine::provider::group_names());
    }
}
