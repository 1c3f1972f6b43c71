//! From the checked configuration to what the event loops serve.
//!
//! Invariants: built once, before anything listens; shared by all members and immutable but for
//! its counters.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use engine::backend::BackendTls;
use engine::certs::{self, Authorities, CertFault, Certificate, ClientAuth, RevocationLists};
use engine::compliance::PolicySet;
use engine::crypto::{
    CardConfig, CardType, Crypto, CryptoConfig, EcdsaRoute, EngineChoice, NoCard, Verify,
};
use engine::error::Error;
use engine::handshake::execution::{Execution, FlightPool};
use engine::service::{Service, ServiceSet, ServiceSpec};
use engine::tickets::TicketRing;
use zeroize::Zeroizing;

use crate::admission::{Admission, Peers};
use crate::backend::{self, Target};
use crate::config::read_bounded;
use crate::config::schema::{self, Card, Config, Limits, Network, ProxyProtocol, Route, Timeouts};
use crate::exit::Exit;
use crate::fips::facts::{Facts, module_alone};
use crate::keydb::{Failure, Store, serve};

/// A service with what the sockets need of it.
#[derive(Debug)]
pub struct ServiceRuntime {
    /// Its name.
    pub name: String,
    /// Its TLS side.
    pub tls: Arc<Service>,
    /// Where its connections go, in the order in which they are tried.
    pub targets: Vec<Target>,
    /// What its backends are trusted by, if TLS is spoken with them.
    pub backend_tls: Option<BackendTls>,
    /// Header sent to the backend first.
    pub proxy_protocol: ProxyProtocol,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Limits.
    pub limits: Limits,
    /// Connections open now.
    pub open: AtomicUsize,
    /// Handshakes in flight now.
    pub handshakes: AtomicUsize,
    /// Connections open now, by client; counted only when there is a limit.
    pub peers: Arc<Peers>,
    /// Connections that asked for it since the start.
    pub accepted: AtomicU64,
}

/// A listening address with the services that share it.
#[derive(Debug)]
pub struct Address {
    /// As configured; a port of 0 is replaced when it is bound.
    pub listen: SocketAddr,
    /// Whether an IPv6 socket leaves IPv4 alone.
    pub v6_only: bool,
    /// The TLS side of the services.
    pub set: Arc<ServiceSet>,
    services: Vec<Arc<ServiceRuntime>>,
    /// Peers that must send a PROXY header first.
    accept_proxy: Vec<Network>,
    /// Deadlines of a connection whose service is not known yet.
    pub timeouts: Timeouts,
    connections: Arc<AtomicU64>,
}

impl Address {
    /// The sockets' side of a service.
    #[must_use]
    pub fn runtime(&self, tls: &Arc<Service>) -> Option<Arc<ServiceRuntime>> {
        self.services.iter().find(|s| Arc::ptr_eq(&s.tls, tls)).cloned()
    }

    /// The services of this address.
    #[must_use]
    pub fn services(&self) -> &[Arc<ServiceRuntime>] {
        &self.services
    }

    /// Whether a connection from `peer` must begin with a PROXY header.
    #[must_use]
    pub fn expects_proxy_header(&self, peer: IpAddr) -> bool {
        self.accept_proxy.iter().any(|network| network.contains(peer))
    }

    /// A number for a new connection, unique in this process.
    #[must_use]
    pub fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// What every service is built on.
#[derive(Debug)]
pub struct Base {
    crypto: Arc<Crypto>,
    tickets: Arc<TicketRing>,
    /// The key database, until the services are built.
    store: Option<Store>,
}

impl Base {
    /// Starts the cards and makes the first ticket key.
    ///
    /// # Errors
    ///
    /// When either cannot be had.
    pub fn start(config: &Config) -> Result<Self, Error> {
        let mut crypto = crypto_config(&config.cards, config.route, config.server.members());
        crypto.cex.fifo_depth = config.cex.waiting;
        crypto.cex.fifo_age_max = config.cex.waiting_age;
        crypto.cex.request_timeout = config.cex.reply;
        crypto.modes = config.server.mode.clone();
        crypto.cex.fault_injection = config.server.fault_injection;
        crypto.cex.module_alone = module_alone(&config.modes());
        let crypto = Crypto::start(&crypto)?;
        let tickets =
            TicketRing::new(config.tickets.rotate, config.tickets.lifetime, Instant::now())
                .map_err(|error| Error::Cpacf { what: "making a ticket key", error })?;
        let store = open_keydb(config)?;
        Ok(Self { crypto, tickets, store })
    }

    /// Builds one service.
    ///
    /// # Errors
    ///
    /// When its files cannot be used or leave nothing to negotiate.
    pub fn service(
        &self,
        config: &Config,
        service: &schema::Service,
    ) -> Result<Arc<ServiceRuntime>, Error> {
        service_runtime(config, service, self)
    }

    /// Ends the cards.
    pub fn shutdown(&self) {
        self.crypto.shutdown();
    }
}

/// Everything the event loops share.
#[derive(Debug)]
pub struct Runtime {
    /// The backends of the crypto.
    pub crypto: Arc<Crypto>,
    /// Ticket keys of all members.
    pub tickets: Arc<TicketRing>,
    /// Addresses in the order of the configuration.
    pub addresses: Vec<Arc<Address>>,
    /// What the limits of the process count.
    pub admission: Arc<Admission>,
    /// How members run the flights of handshakes.
    pub execution: Execution,
    /// Most handshakes that may wait for cards in one member.
    pub suspended_max: usize,
    /// What the cryptographic module is, and which modes are enforced.
    pub facts: Facts,
}

impl Runtime {
    /// Loads keys and certificates and builds the services.
    ///
    /// # Errors
    ///
    /// What is wrong with the first thing that cannot be used; `adjunct check` names all of them.
    pub fn build(config: &Config) -> Result<Self, Error> {
        let base = Base::start(config)?;
        let mut by_address: BTreeMap<usize, (SocketAddr, Vec<Arc<ServiceRuntime>>)> =
            BTreeMap::new();
        for service in &config.services {
            let runtime = base.service(config, service)?;
            for listen in &service.listen {
                // A port of 0 means "any", so two of them are two addresses.
                let known = by_address
                    .iter()
                    .find(|(_, (address, _))| address == listen && listen.port() != 0)
                    .map(|(position, _)| *position);
                let position = known.unwrap_or(by_address.len());
                let entry = by_address.entry(position).or_insert_with(|| (*listen, Vec::new()));
                entry.1.push(Arc::clone(&runtime));
            }
        }
        let connections = Arc::new(AtomicU64::new(0));
        let addresses = by_address
            .into_values()
            .map(|(listen, services)| {
                let set = service_set(config, &services);
                Arc::new(Address {
                    listen,
                    v6_only: config.v6_only(listen),
                    set,
                    accept_proxy: accept_proxy(config, listen),
                    timeouts: services.first().map(|s| s.timeouts).unwrap_or_default(),
                    services,
                    connections: Arc::clone(&connections),
                })
            })
            .collect();
        let suspended_max =
            config.services.iter().map(|s| s.limits.handshakes).max().unwrap_or_default();
        let Base { crypto, tickets, .. } = base;
        let execution = execution(config, &crypto)?;
        let admission = Arc::new(Admission::new(config.server.limits, config.server.members()));
        let facts = Facts::of(&config.modes());
        Ok(Self { crypto, tickets, addresses, admission, execution, suspended_max, facts })
    }

    /// Ends the threads that run flights; members and cards have ended before.
    pub fn shut_down_flights(&self) {
        if let Execution::Pool(pool) = &self.execution {
            pool.shut_down();
        }
    }

    /// Every service once.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceRuntime>> {
        let mut seen = Vec::new();
        self.addresses.iter().flat_map(|a| a.services()).filter(move |service| {
            let pointer = Arc::as_ptr(service);
            let new = !seen.contains(&pointer);
            if new {
                seen.push(pointer);
            }
            new
        })
    }
}

/// Most threads of the pool for flights.
const FLIGHT_THREADS_MAX: usize = 256;

/// What `offload` asks for.
fn execution(config: &Config, crypto: &Crypto) -> Result<Execution, Error> {
    Ok(match config.server.offload {
        schema::Offload::Fiber => Execution::Fiber,
        schema::Offload::Inline => Execution::Inline,
        schema::Offload::Pool => {
            // A thread waits with its flight: as many as the queues have places keep every card
            // busy, and one more for each member computes meanwhile.
            let places: usize =
                crypto.cards().cards.iter().map(|card| card.depth * card.queues.len()).sum();
            let threads = (places + config.server.members()).min(FLIGHT_THREADS_MAX);
            let pool = FlightPool::start(threads).map_err(Error::Threads)?;
            Execution::Pool(Arc::new(pool))
        }
    })
}

/// What clients of an address choose from; a service without TLS has it for itself.
fn service_set(config: &Config, services: &[Arc<ServiceRuntime>]) -> Arc<ServiceSet> {
    let is_in_clear = |name: &str| {
        let mut all = config.services.iter();
        all.any(|service| service.name == name && service.tls == schema::Tls::Off)
    };
    match services {
        [only] if is_in_clear(&only.name) => ServiceSet::in_clear(Arc::clone(&only.tls)),
        _ => ServiceSet::new(services.iter().map(|service| Arc::clone(&service.tls)).collect()),
    }
}

/// The peers trusted on an address; its services agree on them.
fn accept_proxy(config: &Config, listen: SocketAddr) -> Vec<Network> {
    let mut services = config.services.iter();
    let service = services.find(|service| service.listen.contains(&listen));
    service.map(|service| service.accept_proxy.clone()).unwrap_or_default()
}

fn service_runtime(
    config: &Config,
    service: &schema::Service,
    base: &Base,
) -> Result<Arc<ServiceRuntime>, Error> {
    let Base { crypto, tickets, store } = base;
    let files = service.certificates.iter();
    let files = files.map(|files| load_certificate(&service.name, files, crypto));
    let labels = service.labels.iter();
    let labels = labels.map(|label| load_label(&service.name, label, store.as_ref(), crypto));
    let certificates = files.chain(labels).collect::<Result<Vec<_>, _>>()?;
    let spec = ServiceSpec {
        name: service.name.clone(),
        sni: service.sni.clone(),
        sni_required: service.sni_required,
        certificates,
        client_auth: load_client_auth(service)?,
        alpn: service.alpn.iter().map(|p| p.clone().into_bytes()).collect(),
        tls12: service.versions.tls12,
        tls13: service.versions.tls13,
        suites: service.suites.iter().map(|s| (*s).to_owned()).collect(),
        groups: service.groups.iter().map(|g| (*g).to_owned()).collect(),
        tickets: usize::from(service.tickets),
        session_cache: service.session_cache,
        session_lifetime: config.tickets.lifetime,
        modes: service.mode.clone(),
        audit: service.audit.clone(),
    };
    Ok(Arc::new(ServiceRuntime {
        name: service.name.clone(),
        tls: Service::new(spec, tickets)?,
        targets: backend::targets(&service.backends, service.health, service.tls_backend.as_ref()),
        backend_tls: load_backend_tls(service)?,
        proxy_protocol: service.proxy_protocol,
        timeouts: service.timeouts,
        limits: service.limits,
        open: AtomicUsize::new(0),
        handshakes: AtomicUsize::new(0),
        peers: Arc::default(),
        accepted: AtomicU64::new(0),
    }))
}

fn load_certificate(
    service: &str,
    files: &schema::CertificateFiles,
    crypto: &Crypto,
) -> Result<Certificate, Error> {
    let cert = read_of_service(service, &files.cert)?;
    let key = read_of_service(service, &files.key)?;
    let label = files.cert.display().to_string();
    load_pem(service, &label, &cert, &key, crypto)
}

/// The key database of the configuration, opened with its stash.
fn open_keydb(config: &Config) -> Result<Option<Store>, Error> {
    let Some(settings) = &config.server.keydb else { return Ok(None) };
    let opened = settings.open(config.modes().any_fips(), SystemTime::now());
    opened.map(Some).map_err(|failure| of_keydb("[server] keydb", failure))
}

fn of_keydb(service: &str, failure: Failure) -> Error {
    let Failure { what, remedy, .. } = failure;
    let fault = CertFault { rule: "keydb-unusable", what, remedy };
    Error::Certificate { service: service.to_owned(), fault }
}

fn load_label(
    service: &str,
    label: &str,
    store: Option<&Store>,
    crypto: &Crypto,
) -> Result<Certificate, Error> {
    let no_database = || Failure::new(Exit::Config, "there is no key database", "name one");
    let found = store
        .ok_or_else(no_database)
        .and_then(|store| Ok((serve::name(store.path(), label), serve::material(store, label)?)));
    let (name, material) = found.map_err(|failure| of_keydb(service, failure))?;
    load_pem(service, &name, material.chain.as_bytes(), material.key.as_bytes(), crypto)
}

fn load_pem(
    service: &str,
    name: &str,
    cert: &[u8],
    key: &[u8],
    crypto: &Crypto,
) -> Result<Certificate, Error> {
    certs::load(crypto, name, cert, key, SystemTime::now())
        .map_err(|faults| first_fault(service, name, "certificate-unusable", faults))
}

fn load_client_auth(service: &schema::Service) -> Result<ClientAuth, Error> {
    let Some(trust) = service.client_auth.trust() else { return Ok(ClientAuth::None) };
    let roots = load_authorities(service, &trust.ca)?;
    let revoked = load_revocation_lists(service, trust, &roots)?;
    Ok(match service.client_auth {
        schema::ClientAuth::Required(_) => ClientAuth::Required { roots, revoked },
        _ => ClientAuth::Optional { roots, revoked },
    })
}

fn load_revocation_lists(
    service: &schema::Service,
    trust: &schema::ClientTrust,
    roots: &Authorities,
) -> Result<Option<RevocationLists>, Error> {
    let mut lists = Vec::new();
    for path in &trust.crl {
        let file = read_of_service(&service.name, path)?;
        let read = certs::load_revocation_lists(&file, roots, trust.rules, SystemTime::now());
        let unreadable = |faults| of_file(&service.name, path, "crl-unreadable", faults);
        lists.extend(read.map_err(unreadable)?);
    }
    Ok(RevocationLists::new(lists, trust.rules))
}

fn load_backend_tls(service: &schema::Service) -> Result<Option<BackendTls>, Error> {
    let Some(tls) = &service.tls_backend else { return Ok(None) };
    let authorities = load_authorities(service, &tls.ca)?;
    let policy = PolicySet::new(&service.mode);
    BackendTls::new(&service.name, &authorities, &policy, &service.audit).map(Some)
}

fn load_authorities(service: &schema::Service, path: &Path) -> Result<Authorities, Error> {
    let pem = read_of_service(&service.name, path)?;
    certs::load_authorities(&pem, SystemTime::now())
        .map_err(|faults| of_file(&service.name, path, "ca-unusable", faults))
}

fn read_of_service(service: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    read_bounded(path).map_err(|error| {
        let fault = CertFault {
            rule: "file-unreadable",
            what: error.to_string(),
            remedy: "run `adjunct check`".to_owned(),
        };
        of_file(service, path, fault.rule, vec![fault])
    })
}

fn of_file(service: &str, path: &Path, rule: &'static str, faults: Vec<CertFault>) -> Error {
    first_fault(service, &path.display().to_string(), rule, faults)
}

/// The first thing that is wrong with what a service loads from `place`, or `rule` where none is
/// named.
fn first_fault(service: &str, place: &str, rule: &'static str, faults: Vec<CertFault>) -> Error {
    let fault = faults.into_iter().next().unwrap_or_else(|| CertFault {
        rule,
        what: "it cannot be used".to_owned(),
        remedy: "run `adjunct check`".to_owned(),
    });
    let fault = CertFault { what: format!("{place}: {}", fault.what), ..fault };
    Error::Certificate { service: service.to_owned(), fault }
}

/// Cards and routes as the engine wants them; without any card there is the default set, with a
/// domain for each of `members`.
#[must_use]
pub fn crypto_config(cards: &[Card], route: Route, members: usize) -> CryptoConfig {
    let cards = if cards.is_empty() {
        default_cards(members)
    } else {
        cards.iter().map(card_config).collect()
    };
    let mut crypto = CryptoConfig::default();
    crypto.cex.cards = cards;
    crypto.cex.verify = match route.verify {
        schema::Verify::Rsa => Verify::Rsa,
        schema::Verify::All => Verify::All,
    };
    crypto.cex.no_card = match route.no_card {
        schema::NoCard::Fail => NoCard::Fail,
        schema::NoCard::Software => NoCard::Software,
    };
    crypto.ecdsa = match route.ecdsa {
        schema::EcdsaRoute::Auto => EcdsaRoute::Auto,
        schema::EcdsaRoute::Cex => EcdsaRoute::Cex,
        schema::EcdsaRoute::Cpacf => EcdsaRoute::Cpacf,
    };
    crypto
}

/// First domain of the cards that are there when none is configured.
pub(crate) const FIRST_DOMAIN: usize = 6;

/// One accelerator and one coprocessor with a domain per pool member, so that RSA and ECDSA both
/// work out of the box.
fn default_cards(members: usize) -> Vec<CardConfig> {
    let domains: Vec<u8> =
        (FIRST_DOMAIN..FIRST_DOMAIN + members).filter_map(|d| u8::try_from(d).ok()).collect();
    [(0, CardType::Cex8A), (1, CardType::Cex8C)]
        .into_iter()
        .map(|(id, kind)| CardConfig {
            id,
            kind,
            domains: domains.clone(),
            engine: EngineChoice::Auto,
        })
        .collect()
}

fn card_config(card: &Card) -> CardConfig {
    CardConfig {
        id: card.id,
        kind: match card.kind {
            schema::CardType::Cex8A => CardType::Cex8A,
            schema::CardType::Cex8C => CardType::Cex8C,
        },
        domains: card.domains.clone(),
        engine: match card.engine {
            schema::CardEngine::Auto => EngineChoice::Auto,
            schema::CardEngine::Single => EngineChoice::Single,
            schema::CardEngine::Batch => EngineChoice::Batch,
        },
    }
}
