//! Services: what a client is given once it has said which one it wants.
//!
//! Purpose: a [`Service`] holds everything the engine needs to serve one kind of client
//! (certificates, versions, suites, groups, ALPN, tickets); a [`ServiceSet`] holds the services
//! that share one address and picks one by the server name of the hello.
//!
//! Invariants: a service of a set always answers unless it, or all of them, insist on a name; what
//! separates the tickets of services is derived here and nowhere else.
//!
//! Source: RFC 6066 §3 (server names).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::server::{NoServerSessionStorage, ServerConfig, StoresServerSessions};
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion, Tls12CipherSuite};

use crate::certs::{CertFault, Certificate, ClientAuth, NameMatch, NamePattern, Resolver};
use crate::compliance::judge::ServiceModes;
use crate::compliance::offer::Offering;
use crate::compliance::{Kind, ModeSet, PolicySet, RuleId};
use crate::error::Error;
use crate::iana;
use crate::provider::{self, sign::schemes};
use crate::rules::{self, Rule};
use crate::tickets::{ServiceTicketer, SessionCache, TicketRing};

/// What the operator wants of a service.
#[derive(Debug, Clone)]
pub struct ServiceSpec {
    /// Unique name.
    pub name: String,
    /// Names it answers to; empty makes it the default of its address.
    pub sni: Vec<NamePattern>,
    /// Whether a client must ask for one of its names.
    pub sni_required: bool,
    /// Certificates, the default one first.
    pub certificates: Vec<Certificate>,
    /// Whether clients must show a certificate, and whose.
    pub client_auth: ClientAuth,
    /// ALPN protocols in order of preference.
    pub alpn: Vec<Vec<u8>>,
    /// Whether TLS 1.2 is on.
    pub tls12: bool,
    /// Whether TLS 1.3 is on.
    pub tls13: bool,
    /// IANA names of the suites in order of preference; empty means all.
    pub suites: Vec<String>,
    /// Names of the groups in order of preference; empty means all.
    pub groups: Vec<String>,
    /// TLS 1.3 tickets per handshake; none turns tickets off.
    pub tickets: usize,
    /// Sessions in the TLS 1.2 session-ID cache; none turns it off.
    pub session_cache: usize,
    /// How long a session can be resumed.
    pub session_lifetime: Duration,
    /// Modes that hold.
    pub modes: ModeSet,
    /// Modes whose verdict is recorded only.
    pub audit: ModeSet,
}

/// A service, ready for connections.
#[derive(Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    sni: Vec<NamePattern>,
    sni_required: bool,
    certificates: Arc<Resolver>,
    client_auth: ClientAuth,
    pub(crate) tls12: bool,
    pub(crate) tls13: bool,
    pub(crate) modes: Arc<ServiceModes>,
    pub(crate) tls: Arc<ServerConfig>,
}

impl Service {
    /// Builds the service.
    ///
    /// # Errors
    ///
    /// When nothing could be negotiated, naming the setting or the rule that removes it; when a
    /// mode does not approve one of its certificates.
    pub fn new(mut spec: ServiceSpec, ring: &Arc<TicketRing>) -> Result<Arc<Self>, Error> {
        let fail = |what: String, remedy: &str| Error::Service {
            service: spec.name.clone(),
            what,
            remedy: remedy.to_owned(),
        };
        if spec.certificates.is_empty() {
            return Err(fail("it has no certificate".to_owned(), "give it `cert` and `key`"));
        }
        let policy = PolicySet::new(&spec.modes);
        certificates_approved(&spec, &policy)?;
        let modes = modes(&spec, &policy);
        spec.tls12 &= policy.version(iana::TLS12).is_yes();
        spec.tls13 &= policy.version(iana::TLS13).is_yes();
        let versions = versions(spec.tls12, spec.tls13);
        let suites = suites(&spec, &policy)?;
        let groups = groups(&spec, &policy)?;
        let rules_of_service = rules_of(&spec, &policy, &suites, &groups);
        meets_in_tls12(&spec, &suites, &groups, &policy)?;
        let tls12_suites = suites.iter().filter(|s| s.tls13().is_none());
        let tls12_suites = tls12_suites.map(|s| u16::from(s.suite())).collect();
        let certificates = spec.certificates.into_iter().map(|c| c.under(&policy)).collect();
        let resolver = Arc::new(Resolver::new(certificates, spec.tls13, tls12_suites));
        let provider = provider::provider(suites, groups);
        let mut tls = tls_config(provider, &versions, &spec.client_auth, &resolver, &policy)
            .map_err(|e| Error::Service {
                service: spec.name.clone(),
                what: format!("its versions and suites do not fit together: {e}"),
                remedy: "add a suite for each version, or remove the version".to_owned(),
            })?;
        tls.alpn_protocols = spec.alpn;
        tls.ignore_client_order = true;
        tls.send_tls13_tickets = spec.tickets;
        tls.session_storage = if spec.session_cache == 0 {
            Arc::new(NoServerSessionStorage {})
        } else {
            SessionCache::new(spec.session_cache, spec.session_lifetime)
                as Arc<dyn StoresServerSessions>
        };
        if spec.tickets > 0 {
            tls.ticketer = ServiceTicketer::new(Arc::clone(ring), &spec.name, &rules_of_service)
                .map_err(|error| Error::Cpacf { what: "setting up tickets", error })?;
        }
        Ok(Arc::new(Self {
            name: spec.name,
            sni: spec.sni,
            sni_required: spec.sni_required,
            certificates: resolver,
            client_auth: spec.client_auth,
            tls12: spec.tls12,
            tls13: spec.tls13,
            modes: Arc::new(modes),
            tls: Arc::new(tls),
        }))
    }

    /// The modes that hold for it.
    #[must_use]
    pub fn policy(&self) -> &PolicySet {
        self.modes.policy()
    }

    /// The certificates, the default one first.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        self.certificates.certificates()
    }

    /// Whether clients must show a certificate, and whose.
    #[must_use]
    pub fn client_auth(&self) -> &ClientAuth {
        &self.client_auth
    }

    /// The same service with other demands on its clients; for the self-test, which has no
    /// certificate of the CAs that are configured.
    pub(crate) fn with_client_auth(
        &self,
        client_auth: ClientAuth,
    ) -> Result<Arc<Self>, rustls::Error> {
        let provider = Arc::clone(self.tls.crypto_provider());
        let versions = versions(self.tls12, self.tls13);
        let policy = self.modes.policy();
        let mut tls = tls_config(provider, &versions, &client_auth, &self.certificates, policy)?;
        tls.alpn_protocols.clone_from(&self.tls.alpn_protocols);
        tls.ignore_client_order = self.tls.ignore_client_order;
        tls.send_tls13_tickets = self.tls.send_tls13_tickets;
        tls.ticketer = Arc::clone(&self.tls.ticketer);
        Ok(Arc::new(Self {
            name: self.name.clone(),
            sni: self.sni.clone(),
            sni_required: self.sni_required,
            certificates: Arc::clone(&self.certificates),
            client_auth,
            tls12: self.tls12,
            tls13: self.tls13,
            modes: Arc::clone(&self.modes),
            tls: Arc::new(tls),
        }))
    }

    /// Whether a client of TLS 1.2 can be served with this certificate.
    pub(crate) fn serves_tls12(&self, certificate: &Certificate) -> bool {
        self.tls12 && serves_tls12(&self.tls.crypto_provider().cipher_suites, certificate)
    }

    /// The suites and groups that are on, by IANA name.
    #[must_use]
    pub fn offers(&self) -> (Vec<String>, Vec<String>) {
        let provider = self.tls.crypto_provider();
        let suites = provider.cipher_suites.iter().map(|s| suite_name(*s)).collect();
        let groups = provider
            .kx_groups
            .iter()
            .map(|g| iana::group_name(u16::from(g.name())).into_owned())
            .collect();
        (suites, groups)
    }

    /// A name this service answers to; for the self-test.
    pub(crate) fn a_name(&self) -> String {
        let names = self.sni.iter().chain(self.certificates().iter().flat_map(|c| &c.names));
        names.map(NamePattern::example).next().unwrap_or_else(|| "localhost".to_owned())
    }

    fn is_default(&self) -> bool {
        self.sni.is_empty()
    }

    /// Names that count when the service insists on one: its own, else those of its certificates.
    fn accepts_name(&self, name: &str) -> bool {
        if !self.sni.is_empty() {
            return NamePattern::best(&self.sni, name) > NameMatch::None;
        }
        self.certificates().iter().any(|c| NamePattern::best(&c.names, name) > NameMatch::None)
    }
}

fn tls_config(
    provider: Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    client_auth: &ClientAuth,
    resolver: &Arc<Resolver>,
    policy: &PolicySet,
) -> Result<ServerConfig, rustls::Error> {
    let verifier = client_auth.verifier(&provider, policy)?;
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let builder = builder.with_client_cert_verifier(verifier);
    let mut tls = builder.with_cert_resolver(Arc::clone(resolver) as _);
    tls.require_ems = !policy.without_extended_master_secret().is_yes();
    Ok(tls)
}

/// Refuses a certificate, a trusted CA or a revocation list that a mode does not approve.
fn certificates_approved(spec: &ServiceSpec, policy: &PolicySet) -> Result<(), Error> {
    let now = SystemTime::now();
    let chains = spec.certificates.iter().flat_map(|certificate| {
        let broken = policy.judge_chain(certificate.facts(), now).into_iter();
        broken.map(|violation| (certificate.label.as_str(), violation))
    });
    let anchors = spec.client_auth.roots().into_iter().flat_map(|roots| {
        policy.judge_anchors(&roots.facts, now).into_iter().map(|v| ("the CAs of its clients", v))
    });
    let lists = spec.client_auth.revoked().into_iter().flat_map(|lists| {
        let broken = lists.facts().flat_map(|facts| policy.revocation_list(facts));
        broken.map(|violation| ("the lists of its clients' CAs", violation))
    });
    let Some((whose, violation)) = chains.chain(anchors).chain(lists).next() else { return Ok(()) };
    let mut fault = CertFault::from(violation);
    fault.what = format!("{whose}: {}", fault.what);
    Err(Error::Certificate { service: spec.name.clone(), fault })
}

/// What the service could negotiate without a mode, and what its modes make of it.
fn modes(spec: &ServiceSpec, policy: &PolicySet) -> ServiceModes {
    let schemes = |certificate: &Certificate| {
        certificate.schemes.iter().map(|scheme| u16::from(*scheme)).collect()
    };
    let without = Offering {
        tls12: spec.tls12,
        tls13: spec.tls13,
        suites: wanted_suites(spec).iter().map(|suite| u16::from(suite.suite())).collect(),
        groups: wanted_groups(spec).iter().map(|group| u16::from(group.name())).collect(),
        schemes: spec.certificates.iter().map(schemes).collect(),
        extended_master_secret: false,
    };
    let chains: Vec<_> = spec.certificates.iter().map(Certificate::facts).collect();
    let anchors = spec.client_auth.roots().map(|roots| roots.facts.as_slice()).unwrap_or_default();
    ServiceModes::new(policy.clone(), &spec.audit, without, &chains, anchors)
}

/// What the rules of modes have removed, for a sentence; nothing if they removed nothing.
fn removed(codes: &[u16], policy: &PolicySet, kind: Kind, name: NameOf) -> String {
    let mut by_rule: BTreeMap<RuleId, Vec<Cow<'static, str>>> = BTreeMap::new();
    for code in codes {
        for rule in policy.against(kind, *code) {
            by_rule.entry(rule).or_default().push(name(*code));
        }
    }
    let sentence = |(rule, names): (&RuleId, &Vec<Cow<'_, str>>)| {
        format!("; {rule} has removed {}", names.join(", "))
    };
    by_rule.iter().map(sentence).collect()
}

type NameOf = fn(u16) -> Cow<'static, str>;

fn versions(tls12: bool, tls13: bool) -> Vec<&'static SupportedProtocolVersion> {
    let mut versions = Vec::with_capacity(2);
    if tls13 {
        versions.push(&TLS13);
    }
    if tls12 {
        versions.push(&TLS12);
    }
    versions
}

fn suite_name(suite: SupportedCipherSuite) -> String {
    iana::suite_name(u16::from(suite.suite())).into_owned()
}

/// The suites of the configuration that work, whatever its modes say.
fn wanted_suites(spec: &ServiceSpec) -> Vec<SupportedCipherSuite> {
    let usable = |s: &SupportedCipherSuite| match s {
        SupportedCipherSuite::Tls13(_) => spec.tls13,
        SupportedCipherSuite::Tls12(_) => spec.tls12,
    };
    let all: Vec<_> = provider::working_suites().into_iter().filter(usable).collect();
    if spec.suites.is_empty() {
        return all;
    }
    let find = |name: &String| all.iter().find(|s| suite_name(**s) == *name).copied();
    spec.suites.iter().filter_map(find).collect()
}

fn suites(spec: &ServiceSpec, policy: &PolicySet) -> Result<Vec<SupportedCipherSuite>, Error> {
    let wanted = wanted_suites(spec);
    let removed = |tls13: bool| {
        let of_version = wanted.iter().filter(|suite| suite.tls13().is_some() == tls13);
        let codes: Vec<u16> = of_version.map(|suite| u16::from(suite.suite())).collect();
        removed(&codes, policy, Kind::Suite, iana::suite_name)
    };
    let removed = [removed(false), removed(true)];
    let approved = |suite: &SupportedCipherSuite| policy.suite(u16::from(suite.suite())).is_yes();
    let chosen: Vec<_> = wanted.into_iter().filter(approved).collect();
    let has = |tls13: bool| chosen.iter().any(|suite| suite.tls13().is_some() == tls13);
    for (version, on, tls13) in [("1.2", spec.tls12, false), ("1.3", spec.tls13, true)] {
        let removed = &removed[usize::from(tls13)];
        if on && !has(tls13) && !removed.is_empty() {
            return Err(Error::Service {
                service: spec.name.clone(),
                what: format!("no cipher suite of TLS {version} is left{removed}"),
                remedy: format!(
                    "let one with AES-GCM stand in `suites` and in no `exempt`, or take {version} \
                     out of `versions`"
                ),
            });
        }
    }
    if chosen.is_empty() {
        return Err(Error::Service {
            service: spec.name.clone(),
            what: "no cipher suite is left for the versions it serves".to_owned(),
            remedy: "add to `suites`, or leave it out for all of them; `adjunct crypto` shows \
                     functions that are blocked"
                .to_owned(),
        });
    }
    Ok(chosen)
}

/// The groups of the configuration that work, whatever its modes say.
fn wanted_groups(spec: &ServiceSpec) -> Vec<&'static dyn SupportedKxGroup> {
    let name = |g: &dyn SupportedKxGroup| iana::group_name(u16::from(g.name())).into_owned();
    let all = provider::working_groups();
    if spec.groups.is_empty() {
        return all;
    }
    let find =
        |wanted: &String| all.iter().find(|g| name(**g).eq_ignore_ascii_case(wanted)).copied();
    spec.groups.iter().filter_map(find).collect()
}

fn groups(
    spec: &ServiceSpec,
    policy: &PolicySet,
) -> Result<Vec<&'static dyn SupportedKxGroup>, Error> {
    let mut chosen = wanted_groups(spec);
    let codes: Vec<u16> = chosen.iter().map(|group| u16::from(group.name())).collect();
    let removed = removed(&codes, policy, Kind::Group, iana::group_name);
    chosen.retain(|group| policy.group(u16::from(group.name())).is_yes());
    let tls12 = chosen.iter().any(|g| g.usable_for_version(ProtocolVersion::TLSv1_2));
    if chosen.is_empty() || (spec.tls12 && !tls12 && !removed.is_empty()) {
        let version = if chosen.is_empty() { "" } else { " for TLS 1.2" };
        return Err(Error::Service {
            service: spec.name.clone(),
            what: format!("no key exchange group is left{version}{removed}"),
            remedy: format!(
                "add {} to `groups`, or leave `groups` out for all of them",
                groups_to_add(policy, spec.tls12)
            ),
        });
    }
    Ok(chosen)
}

/// Groups that work and that the modes approve, for a remedy.
fn groups_to_add(policy: &PolicySet, tls12: bool) -> String {
    let mut groups = provider::working_groups();
    groups.retain(|group| policy.group(u16::from(group.name())).is_yes());
    groups.retain(|group| !tls12 || group.usable_for_version(ProtocolVersion::TLSv1_2));
    let names = groups.iter().map(|group| iana::group_name(u16::from(group.name())).into_owned());
    names.collect::<Vec<_>>().join(" or ")
}

/// Refuses what rustls would accept and every client of TLS 1.2 would fail on: there the suite
/// binds the type of the key, and no group is hybrid.
fn meets_in_tls12(
    spec: &ServiceSpec,
    suites: &[SupportedCipherSuite],
    groups: &[&'static dyn SupportedKxGroup],
    policy: &PolicySet,
) -> Result<(), Error> {
    if !spec.tls12 {
        return Ok(());
    }
    let fail = |what: &str, remedy: String| Error::Service {
        service: spec.name.clone(),
        what: what.to_owned(),
        remedy,
    };
    if !groups.iter().any(|g| g.usable_for_version(ProtocolVersion::TLSv1_2)) {
        return Err(fail(
            "TLS 1.2 is on, but all of its `groups` are for TLS 1.3 only",
            format!(
                "add {} to `groups`, or write versions = [\"1.3\"]",
                groups_to_add(policy, true)
            ),
        ));
    }
    if !spec.certificates.iter().any(|c| serves_tls12(suites, c)) {
        let ec = spec.certificates.iter().any(Certificate::is_ec);
        let (has, wants) = if ec { ("ECDSA", "RSA") } else { ("RSA", "ECDSA") };
        return Err(fail(
            "TLS 1.2 is on, but none of its `suites` goes with the type of its certificates",
            format!(
                "add a suite TLS_ECDHE_{has}_..., give it an {wants} certificate as well, or \
                 write versions = [\"1.3\"]"
            ),
        ));
    }
    Ok(())
}

/// Whether TLS 1.2 has a suite for the key of this certificate.
fn serves_tls12(suites: &[SupportedCipherSuite], certificate: &Certificate) -> bool {
    let schemes = schemes(certificate.kind);
    let fits = |suite: &Tls12CipherSuite| suite.sign.iter().any(|s| schemes.contains(s));
    suites.iter().any(|suite| matches!(suite, SupportedCipherSuite::Tls12(s) if fits(s)))
}

/// What a ticket of this service vouches for, in a stable form: a change of any of it must not be
/// survived by an old ticket.
fn rules_of(
    spec: &ServiceSpec,
    policy: &PolicySet,
    suites: &[SupportedCipherSuite],
    groups: &[&'static dyn SupportedKxGroup],
) -> Vec<u8> {
    let mut rules = vec![u8::from(spec.tls12), u8::from(spec.tls13)];
    for suite in suites {
        rules.extend_from_slice(&u16::from(suite.suite()).to_be_bytes());
    }
    // Keeps the last suite from being read as the first group.
    rules.extend_from_slice(&[0, 0]);
    for group in groups {
        rules.extend_from_slice(&u16::from(group.name()).to_be_bytes());
    }
    rules.extend(spec.client_auth.rules());
    if !policy.is_empty() {
        rules.extend_from_slice(policy.hash().as_bytes());
    }
    rules
}

/// The services that share one address.
#[derive(Debug)]
pub struct ServiceSet {
    services: Vec<Arc<Service>>,
    /// What holds for all of them.
    policy: PolicySet,
    in_clear: bool,
}

impl ServiceSet {
    /// A set of at least one service.
    #[must_use]
    pub fn new(services: Vec<Arc<Service>>) -> Arc<Self> {
        Self::of(services, false)
    }

    fn of(services: Vec<Arc<Service>>, in_clear: bool) -> Arc<Self> {
        let modes = |service: &Arc<Service>| service.policy().modes().clone();
        let common = services.iter().map(modes).reduce(|all, one| all.intersection(&one));
        let policy = PolicySet::new(&common.unwrap_or_default());
        Arc::new(Self { services, policy, in_clear })
    }

    /// One service that is reached without TLS. There is nothing by which clients could tell it
    /// from another one of the same address.
    #[must_use]
    pub fn in_clear(service: Arc<Service>) -> Arc<Self> {
        Self::of(vec![service], true)
    }

    /// Whether its clients do not speak TLS.
    #[must_use]
    pub fn is_in_clear(&self) -> bool {
        self.in_clear
    }

    /// The modes that hold whichever of the services a client wants.
    #[must_use]
    pub fn policy(&self) -> &PolicySet {
        &self.policy
    }

    /// The services in the order of the configuration.
    #[must_use]
    pub fn services(&self) -> &[Arc<Service>] {
        &self.services
    }

    /// The service for a client that asked for `name` (in lower case).
    ///
    /// The best match wins; a client that no name fits gets the default service of the address, or
    /// the first one, because a certificate it can complain about is better than silence.
    ///
    /// # Errors
    ///
    /// The rule that refuses it, when that service insists on a name.
    pub fn choose(&self, name: Option<&str>) -> Result<&Arc<Service>, &'static Rule> {
        let matching = name.and_then(|name| {
            self.services
                .iter()
                .map(|s| (NamePattern::best(&s.sni, name), s))
                .filter(|(fit, _)| *fit > NameMatch::None)
                // `max_by_key` keeps the last of equals; the first one configured shall win.
                .rev()
                .max_by_key(|(fit, _)| *fit)
                .map(|(_, service)| service)
        });
        if let Some(service) = matching {
            return Ok(service);
        }
        let fallback = self
            .services
            .iter()
            .find(|s| s.is_default())
            .or_else(|| self.services.iter().find(|s| !s.sni_required))
            .or_else(|| self.services.first());
        match (fallback, name) {
            (Some(service), _) if !service.sni_required => Ok(service),
            (Some(service), Some(name)) if service.is_default() && service.accepts_name(name) => {
                Ok(service)
            }
            (_, None) => Err(&rules::MISSING_SNI),
            (_, Some(_)) => Err(&rules::UNKNOWN_SNI),
        }
    }
}
