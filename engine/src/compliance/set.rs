//! Policies that hold together: what all of them approve.

use std::fmt::Write as _;
use std::time::SystemTime;

use super::facts::{CertificateFacts, KeyFacts, RevocationFacts, Role};
use super::mode::ModeSet;
use super::policy::{CardRule, Policy, VerifyRule, sha256};
use super::rule::{Kind, RuleId};
use super::strength::strength_bits;
use crate::certs::CertFault;

/// Whether something may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// It is approved.
    Yes,
    /// It is not, by this rule.
    No(RuleId),
}

impl Allowed {
    /// Whether it may be used.
    #[must_use]
    pub const fn is_yes(self) -> bool {
        matches!(self, Self::Yes)
    }

    /// The rule that forbids it.
    #[must_use]
    pub const fn rule(self) -> Option<RuleId> {
        match self {
            Self::Yes => None,
            Self::No(rule) => Some(rule),
        }
    }
}

/// Something that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: RuleId,
    /// What breaks it.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl From<Violation> for CertFault {
    fn from(violation: Violation) -> Self {
        let Violation { rule, what, remedy } = violation;
        Self { rule: rule.as_str(), what, remedy }
    }
}

/// The policies of all modes that are on; without any, everything is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySet {
    modes: ModeSet,
    hash: String,
}

impl Default for PolicySet {
    /// No mode.
    fn default() -> Self {
        Self::new(&ModeSet::default())
    }
}

impl PolicySet {
    /// The policies of `modes`.
    #[must_use]
    pub fn new(modes: &ModeSet) -> Self {
        let hash = sha256(modes.policies().map(Policy::hash));
        let mut text = String::with_capacity(64);
        for byte in hash {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self { modes: modes.clone(), hash: text }
    }

    /// The modes.
    #[must_use]
    pub fn modes(&self) -> &ModeSet {
        &self.modes
    }

    /// Whether no mode is on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.modes.is_empty()
    }

    /// SHA-256 over the policies, 64 hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The first 16 digits of [`Self::hash`], as records have it.
    #[must_use]
    pub fn short_hash(&self) -> &str {
        self.hash.get(..16).unwrap_or(&self.hash)
    }

    fn all(&self, kind: Kind, approves: impl Fn(&Policy) -> bool) -> Allowed {
        match self.modes.policies().find(|policy| !approves(policy)) {
            None => Allowed::Yes,
            Some(policy) => Allowed::No(RuleId::new(policy.mode(), kind)),
        }
    }

    /// Whether a protocol version may be used.
    #[must_use]
    pub fn version(&self, code: u16) -> Allowed {
        self.all(Kind::Protocol, |policy| policy.versions().contains(&code))
    }

    /// Whether a cipher suite may be used.
    #[must_use]
    pub fn suite(&self, code: u16) -> Allowed {
        self.all(Kind::Suite, |policy| policy.suites().binary_search(&code).is_ok())
    }

    /// Whether a key exchange group may be used.
    #[must_use]
    pub fn group(&self, code: u16) -> Allowed {
        self.all(Kind::Group, |policy| policy.groups().binary_search(&code).is_ok())
    }

    /// Whether a signature of the handshake may be made or accepted by this scheme.
    #[must_use]
    pub fn scheme(&self, code: u16) -> Allowed {
        self.all(Kind::Scheme, |policy| policy.schemes().binary_search(&code).is_ok())
    }

    /// Every rule that forbids a suite or a group, of each mode that does.
    #[must_use]
    pub fn against(&self, kind: Kind, code: u16) -> Vec<RuleId> {
        let forbids = |policy: &&Policy| match kind {
            Kind::Suite => policy.suites().binary_search(&code).is_err(),
            Kind::Group => policy.groups().binary_search(&code).is_err(),
            _ => false,
        };
        let modes = self.modes.policies().filter(forbids).map(Policy::mode);
        modes.map(|mode| RuleId::new(mode, kind)).collect()
    }

    /// Whether TLS 1.2 may be used without the extended master secret.
    #[must_use]
    pub fn without_extended_master_secret(&self) -> Allowed {
        self.all(Kind::ExtendedMasterSecret, |policy| !policy.extended_master_secret())
    }

    /// Whether a cpacf function may be called by itself.
    #[must_use]
    pub fn function(&self, function: cpacf::Function) -> Allowed {
        self.all(Kind::Function, |policy| policy.function(function.name()).0)
    }

    /// Whether a cpacf function may be called as the second half of a hybrid group.
    #[must_use]
    pub fn hybrid_function(&self, function: cpacf::Function) -> Allowed {
        self.all(Kind::Function, |policy| policy.function(function.name()).1)
    }

    /// Whether software may sign when no card is left.
    #[must_use]
    pub fn software_without_card(&self) -> Allowed {
        self.all(Kind::NoCard, |policy| policy.no_card() == CardRule::Any)
    }

    /// Whether results of cards other than RSA may go unverified.
    #[must_use]
    pub fn unverified_results(&self) -> Allowed {
        self.all(Kind::Verify, |policy| policy.verify() == VerifyRule::Any)
    }

    /// Whether keys may come from a database that was not created for FIPS.
    #[must_use]
    pub fn key_database_without_fips(&self) -> Allowed {
        self.all(Kind::KeyDatabase, |policy| !policy.keydb_fips())
    }

    /// Whether a certificate may be used; its validity is [`Self::validity`].
    ///
    /// # Errors
    ///
    /// The first rule that it breaks; [`Self::violations`] has all of them.
    pub fn certificate(&self, facts: &CertificateFacts, role: Role) -> Result<(), Violation> {
        self.violations(facts, role).into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that is wrong with a certificate, each rule of each mode once.
    #[must_use]
    pub fn violations(&self, facts: &CertificateFacts, role: Role) -> Vec<Violation> {
        self.modes.policies().flat_map(|policy| violations(policy, facts, role)).collect()
    }

    /// Everything that is wrong with a revocation list: its signature is held to what holds for
    /// those of certificates.
    #[must_use]
    pub fn revocation_list(&self, facts: &RevocationFacts) -> Vec<Violation> {
        self.modes.policies().flat_map(|policy| list_violations(policy, facts)).collect()
    }

    /// Whether a certificate is within its validity; any mode demands it of whole chains.
    ///
    /// # Errors
    ///
    /// The rule of the first mode.
    pub fn validity(&self, facts: &CertificateFacts, now: SystemTime) -> Result<(), Violation> {
        let Some(mode) = self.modes.iter().next() else { return Ok(()) };
        if (facts.not_before..=facts.not_after).contains(&now) {
            return Ok(());
        }
        let word = if now < facts.not_before { "is not valid yet" } else { "has expired" };
        Err(violation(
            RuleId::new(mode, Kind::Validity),
            format!("the certificate of `{}` {word}, and mode {mode} is on", facts.subject),
        ))
    }
}

fn violation(rule: RuleId, what: String) -> Violation {
    Violation { rule, what, remedy: rule.rule().hint.to_owned() }
}

fn violations(policy: &Policy, facts: &CertificateFacts, role: Role) -> Vec<Violation> {
    let mode = policy.mode();
    let CertificateFacts { subject, key, signature, .. } = facts;
    let mut found = Vec::new();
    let mut breaks = |kind, what: String| found.push(violation(RuleId::new(mode, kind), what));
    let strength = strength_bits(key);
    let least = policy.strength_bits();
    if !policy.keys().iter().any(|known| known == key.type_name()) {
        breaks(
            Kind::KeyType,
            format!(
                "the certificate of `{subject}` has a key ({key}) that {mode} does not approve"
            ),
        );
    }
    if strength < least {
        breaks(
            Kind::KeyStrength,
            format!(
                "the key of `{subject}` ({key}) has a strength of {strength} bits; {mode} demands \
                 {least}"
            ),
        );
    }
    // Nobody verifies what a CA that is trusted for itself says about itself.
    let signature_counts = role == Role::Leaf || (role == Role::Issuer && !facts.self_issued);
    if signature_counts && !policy.certificate_signatures().iter().any(|known| known == signature) {
        breaks(
            Kind::CertificateSignature,
            format!(
                "the certificate of `{subject}` is signed with {signature}, which {mode} does not \
                 approve"
            ),
        );
    }
    let covered = match role {
        Role::Leaf => facts.may_authenticate,
        Role::Issuer | Role::Anchor => facts.may_issue,
    };
    if policy.key_usage() && !covered {
        let wanted = if role == Role::Leaf { "digitalSignature" } else { "keyCertSign" };
        breaks(
            Kind::KeyUsage,
            format!("the key usage of the certificate of `{subject}` lacks {wanted}"),
        );
    }
    found
}

fn list_violations(policy: &Policy, facts: &RevocationFacts) -> Vec<Violation> {
    let (mode, least) = (policy.mode(), policy.strength_bits());
    let RevocationFacts { issuer, signature, .. } = facts;
    let mut found = Vec::new();
    let mut breaks = |kind, what: String| found.push(violation(RuleId::new(mode, kind), what));
    if !policy.certificate_signatures().iter().any(|known| known == signature) {
        breaks(
            Kind::CertificateSignature,
            format!(
                "the revocation list of `{issuer}` is signed with {signature}, which {mode} does \
                 not approve"
            ),
        );
    }
    if let Some(key) = facts.rsa_bits.map(|bits| KeyFacts::Rsa { bits }) {
        let strength = strength_bits(&key);
        if strength < least {
            breaks(
                Kind::KeyStrength,
                format!(
                    "the key ({key}) that signed the revocation list of `{issuer}` has a strength \
                     of {strength} bits; {mode} demands {least}"
                ),
            );
        }
    }
    found
}
