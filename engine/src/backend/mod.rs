//! TLS towards backends, where we are the client.
//!
//! Purpose: what a service needs to trust its backends ([`BackendTls`]), and one connection to one
//! of them ([`BackendConnection`]). Chain and name are verified by rustls over cpacf; no key of
//! ours takes part, so a handshake needs no card and runs where it is called, without a fiber.
//!
//! Invariants:
//! - nothing can be sealed before the backend's chain, its name and its signature were verified;
//! - sessions are resumed within one service and for one name only, from a bounded memory, so that
//!   a resumed session was verified against the same CAs and the same name;
//! - records are opened and sealed by the code that serves clients ([`crate::connection`]);
//! - a panic below ends this connection alone.
//!
//! What it does not do: client certificates towards the backend, ALPN, revocation; sockets and
//! deadlines are the server's.
//!
//! Source: RFC 8446, RFC 5246, RFC 5280 §6, RFC 6125.

mod connection;
mod failure;
mod modes;
mod server_hello;
mod verifier;

use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};

use crate::certs::{Authorities, CertFault};
use crate::compliance::{ModeSet, PolicySet};
use crate::error::Error;
use crate::provider;

use modes::BackendModes;

pub use connection::{BackendConnection, Progress};
pub use failure::BackendFailure;

/// Names of backends whose sessions a service remembers.
const SESSIONS: usize = 256;

/// The name a backend's certificate must be for: a host name or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendName(ServerName<'static>);

impl BackendName {
    /// The name, if it can be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        ServerName::try_from(text.to_owned()).ok().map(Self)
    }
}

impl std::fmt::Display for BackendName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_str())
    }
}

/// What a service trusts its backends by.
#[derive(Debug)]
pub struct BackendTls {
    config: Arc<ClientConfig>,
    modes: Arc<BackendModes>,
}

impl BackendTls {
    /// For the service called `service`, whose backends have certificates of `authorities`. The
    /// modes of `policy` hold, those of `audit` are only asked.
    ///
    /// # Errors
    ///
    /// When no suite or group is left, because all functions are blocked; when a mode does not
    /// approve one of the CAs.
    pub fn new(
        service: &str,
        authorities: &Authorities,
        policy: &PolicySet,
        audit: &ModeSet,
    ) -> Result<Self, Error> {
        let broken = policy.judge_anchors(&authorities.facts, SystemTime::now());
        if let Some(violation) = broken.into_iter().next() {
            let fault = CertFault::from(violation);
            return Err(Error::Certificate { service: service.to_owned(), fault });
        }
        let fail = |what: String| Error::Service {
            service: service.to_owned(),
            what: format!("TLS towards its backends cannot be set up: {what}"),
            remedy: "`adjunct crypto` shows functions that are blocked".to_owned(),
        };
        let mut suites = provider::available_suites();
        suites.retain(|suite| policy.suite(u16::from(suite.suite())).is_yes());
        let mut groups = provider::available_groups();
        groups.retain(|group| policy.group(u16::from(group.name())).is_yes());
        let provider = provider::provider(suites, groups);
        let roots = Arc::clone(&authorities.roots);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|error| fail(error.to_string()))?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions(policy))
            .map_err(|error| fail(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier::Approving::new(verifier, policy))
            .with_no_client_auth();
        config.require_ems = !policy.without_extended_master_secret().is_yes();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        let modes = Arc::new(BackendModes::new(policy, audit, authorities));
        Ok(Self { config: Arc::new(config), modes })
    }
}

fn versions(policy: &PolicySet) -> Vec<&'static SupportedProtocolVersion> {
    let approved = |v: &&SupportedProtocolVersion| policy.version(u16::from(v.version)).is_yes();
    [&TLS13, &TLS12].into_iter().filter(approved).collect()
}
