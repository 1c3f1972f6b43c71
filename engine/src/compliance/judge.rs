//! The modes of one service: which client they refuse, and what they say of a connection.
//!
//! Purpose: [`ServiceModes`] knows what the service could negotiate without a mode and with it, so
//! that a refusal can name the mode where it was the mode; and it judges what was really used,
//! once for the modes that hold and once for each that is only watched.
//!
//! Invariants: judging changes nothing of a connection; without a mode and without a watched one
//! nothing is computed.

use std::time::SystemTime;

use super::facts::{CertificateFacts, Role};
use super::mode::{Mode, ModeSet};
use super::offer::{self, Missing, Offering};
use super::rule::{Kind, RuleId};
use super::set::{Allowed, PolicySet, Violation};
use super::verdict::{AuditVerdict, ComplianceVerdict, NOTE, Verdict};
use crate::hello::ClientHello;
use crate::iana;
use crate::record::{BackendVerdict, Outcome, Refusal};

/// What a connection has used.
#[derive(Debug, Default)]
pub(crate) struct Used {
    pub(crate) version: u16,
    pub(crate) suite: u16,
    /// None where a session of TLS 1.2 was resumed.
    pub(crate) group: Option<u16>,
    /// Of our signature; none where a session was resumed.
    pub(crate) scheme: Option<u16>,
    pub(crate) extended_master_secret: bool,
    /// What the peer has shown, the leaf first.
    pub(crate) peer_chain: Vec<CertificateFacts>,
}

/// The end of a connection, as far as it matters here.
#[derive(Debug)]
pub(crate) struct End<'a> {
    pub(crate) hello: Option<&'a ClientHello>,
    /// None where the handshake was not completed.
    pub(crate) used: Option<&'a Used>,
    /// What a client has shown that was refused for it.
    pub(crate) refused_chain: &'a [CertificateFacts],
    /// TLS with the backend, if it came about.
    pub(crate) backend: Option<&'a BackendVerdict>,
    pub(crate) outcome: Outcome,
    pub(crate) refusal: Option<&'a Refusal>,
}

/// A mode that is only watched.
#[derive(Debug)]
struct Watched {
    mode: Mode,
    policy: PolicySet,
    offering: Offering,
    /// What of the service itself the mode would not let start.
    own: Vec<Violation>,
}

/// The modes of a service.
#[derive(Debug)]
pub(crate) struct ServiceModes {
    policy: PolicySet,
    without: Offering,
    watched: Vec<Watched>,
}

impl ServiceModes {
    /// `without` is what the service has before `policy` takes something away; `chains` are its own
    /// certificates and `anchors` the CAs it trusts.
    pub(crate) fn new(
        policy: PolicySet,
        audit: &ModeSet,
        without: Offering,
        chains: &[&[CertificateFacts]],
        anchors: &[CertificateFacts],
    ) -> Self {
        let with = without.under(&policy);
        let now = SystemTime::now();
        let watch = |mode: &'static super::policy::Policy| {
            let mut only = ModeSet::default();
            only.insert(mode);
            let policy = PolicySet::new(&only);
            let mut own: Vec<_> =
                chains.iter().flat_map(|chain| policy.judge_chain(chain, now)).collect();
            own.extend(policy.judge_anchors(anchors, now));
            Watched { mode: mode.mode(), offering: with.under(&policy), policy, own }
        };
        let watched = audit.policies().map(watch).collect();
        Self { policy, without, watched }
    }

    /// The policies that hold.
    pub(crate) fn policy(&self) -> &PolicySet {
        &self.policy
    }

    /// Whether anything is judged.
    pub(crate) fn judges(&self) -> bool {
        !self.policy.is_empty() || !self.watched.is_empty()
    }

    /// The rule of a mode that refuses this client, which would be served without the mode; and
    /// what it offers.
    pub(crate) fn refuses(&self, hello: &ClientHello) -> Option<(RuleId, String)> {
        if self.policy.is_empty() || !self.without.missing(hello, &self.without).is_empty() {
            return None;
        }
        let missing = self.without.under(&self.policy).missing(hello, &self.without);
        let first = missing.first()?;
        let rule = offer::rule(&self.policy, first)?;
        Some((rule, format!("the client {}", what_it_offers(first, &self.policy))))
    }

    /// What the modes that hold say of a connection.
    pub(crate) fn verdict(&self, end: &End<'_>) -> Option<ComplianceVerdict> {
        if self.policy.is_empty() {
            return None;
        }
        // Also of an established connection: its backend may be refused by a mode.
        let refused_by = end.refusal.and_then(|refusal| RuleId::find(refusal.rule));
        let (verdict, rule) = match (refused_by, end.used) {
            (Some(rule), _) => (Verdict::Refused, Some(rule)),
            (None, Some(used)) => {
                let of_backend = end.backend.and_then(|backend| backend.rule);
                match self.policy.used(used).rule().or(of_backend) {
                    None => (Verdict::Approved, None),
                    Some(rule) => (Verdict::NotApproved, Some(rule)),
                }
            }
            (None, None) if end.outcome == Outcome::Refused => (Verdict::Refused, None),
            (None, None) => return None,
        };
        Some(worded(&self.policy, verdict, rule))
    }

    /// What the modes that are only watched would have said of a connection.
    pub(crate) fn audit(&self, end: &End<'_>) -> Vec<AuditVerdict> {
        let Some(hello) = end.hello else { return Vec::new() };
        if end.used.is_none() && end.outcome != Outcome::Refused {
            return Vec::new();
        }
        self.watched.iter().map(|watched| watched.judge(hello, end, &self.without)).collect()
    }
}

fn worded(policy: &PolicySet, verdict: Verdict, rule: Option<RuleId>) -> ComplianceVerdict {
    ComplianceVerdict {
        modes: policy.modes().to_string(),
        verdict,
        rule,
        policy: policy.short_hash().to_owned(),
        note: NOTE,
    }
}

/// The verdict on a connection that ended before a service was chosen, by the modes that hold for
/// every service it could have been for. No mode has refused it: the rule is an ordinary one.
pub(crate) fn unchosen(policy: &PolicySet, outcome: Outcome) -> Option<ComplianceVerdict> {
    let judged = !policy.is_empty() && outcome == Outcome::Refused;
    judged.then(|| worded(policy, Verdict::Refused, None))
}

/// `offers x25519 only, which fips-140-3 does not approve`.
fn what_it_offers(missing: &Missing, policy: &PolicySet) -> String {
    let modes = policy.modes();
    match missing.kind {
        Kind::ExtendedMasterSecret => {
            format!("speaks TLS 1.2 without the extended master secret, which {modes} demands")
        }
        _ => format!(
            "{} of what this service would serve; {modes} does not approve it",
            missing.offers
        ),
    }
}

impl Watched {
    fn judge(&self, hello: &ClientHello, end: &End<'_>, without: &Offering) -> AuditVerdict {
        let lacks = self.offering.missing(hello, without);
        let chain = end.used.map_or(end.refused_chain, |used| &used.peer_chain);
        let shown = self.policy.chain(chain);
        let mut backends = end.backend.into_iter().flat_map(|backend| &backend.watched);
        let backend = backends.find(|backend| backend.mode == self.mode);
        let mut missing: Vec<String> = lacks.iter().map(Missing::text).collect();
        missing.extend(shown.iter().map(|v| format!("client certificate: {}", v.what)));
        missing.extend(self.own.iter().map(|v| format!("service: {}", v.what)));
        missing.extend(backend.into_iter().flat_map(|backend| backend.missing.iter().cloned()));
        // In the order in which they would be met, which is not that of what was used.
        let refuses = (lacks.first().and_then(|first| offer::rule(&self.policy, first)))
            .or_else(|| shown.first().map(|violation| violation.rule))
            .or_else(|| self.own.first().map(|violation| violation.rule));
        let of_backend = backend.and_then(|backend| backend.rule);
        let (verdict, rule) = match end.used.map(|used| self.policy.used(used).rule()) {
            Some(breaks) => match refuses.or(breaks).or(of_backend) {
                None => (Verdict::Approved, None),
                Some(rule) => (Verdict::NotApproved, Some(rule)),
            },
            None => (Verdict::Refused, refuses),
        };
        let offer_could = missing.is_empty();
        AuditVerdict { mode: self.mode, verdict, rule, offer_could, missing }
    }
}

impl PolicySet {
    /// Whether everything that a connection has used is approved.
    pub(crate) fn used(&self, used: &Used) -> Allowed {
        let tls12 = used.version == iana::TLS12;
        let parts = [
            Some(self.version(used.version)),
            Some(self.suite(used.suite)),
            used.group.map(|group| self.group(group)),
            used.scheme.map(|scheme| self.scheme(scheme)),
            (tls12 && !used.extended_master_secret).then(|| self.without_extended_master_secret()),
        ];
        let broken = parts.into_iter().flatten().find(|allowed| !allowed.is_yes());
        let shown = || self.chain(&used.peer_chain).first().map(|v| Allowed::No(v.rule));
        broken.or_else(shown).unwrap_or(Allowed::Yes)
    }

    /// Everything that a chain breaks which a peer has shown, its validity apart.
    pub(crate) fn chain(&self, chain: &[CertificateFacts]) -> Vec<Violation> {
        let role = |position| if position == 0 { Role::Leaf } else { Role::Issuer };
        let chain = chain.iter().enumerate();
        chain.flat_map(|(position, facts)| self.violations(facts, role(position))).collect()
    }
}

/// The part of what a peer has shown that leads from its leaf upwards: certificates that issued
/// nothing of it do not count.
pub(crate) fn path<D: AsRef<[u8]>>(leaf: &[u8], others: &[D]) -> Vec<CertificateFacts> {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let parse = |der| X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate);
    let Some(leaf) = parse(leaf) else { return Vec::new() };
    let mut rest: Vec<_> = others.iter().filter_map(|der| parse(der.as_ref())).collect();
    let mut path = vec![leaf];
    let mut position = 0;
    // Each round takes certificates out of `rest`, so there are no more than it had.
    while let Some(issued) = path.get(position) {
        let wanted = issued.issuer().as_raw().to_vec();
        let (found, left) =
            rest.into_iter().partition(|other| other.subject().as_raw() == wanted.as_slice());
        rest = left;
        path.extend::<Vec<_>>(found);
        position += 1;
    }
    path.iter().map(CertificateFacts::of).collect()
}
