//! Who would fail if a mode were enforced.
//!
//! Purpose: nobody dares to switch a mode on without knowing whom it shuts out. A connection is
//! judged by the first of these that is there:
//!
//! 1. the record's own `audit` of the mode: the engine knew the whole offer and the whole chain;
//! 2. the record's `mode`, where the mode was enforced already: what happened is the answer;
//! 3. what was negotiated and, where the client was refused, what it offered, by the policies of
//!    `engine::compliance`. Often that is not enough, and then the answer is that it is not.
//!
//! Invariants: no rule of a policy stands here; an answer "would connect" or "would fail" is given
//! only where the record proves it. A mode never lets anybody in whom the service refuses without
//! it, so whoever was refused by another rule stays refused.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use engine::compliance::{Allowed, Mode, ModeSet, PolicySet, RuleId};
use engine::iana;
use engine::rules::{self, fault};

use super::codes;
use super::observation::{Audit, Observation, Offer};
use crate::observe::json;

/// Number of modes.
pub(super) const MODES: usize = Mode::ALL.len();

/// What is known of a connection under a mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outlook {
    /// It would come about.
    Connects,
    /// It would not.
    Fails {
        /// The rule that would refuse it.
        rule: String,
        /// What is missing.
        missing: Vec<String>,
    },
    /// The record does not say enough.
    Undecided(Unsaid),
    /// A resumed session says nothing; the handshake that began it does.
    Resumed,
    /// Nothing that had to do with TLS parameters.
    Silent,
}

/// What a record does not say. Every connection of a daemon is asked, so no text is made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsaid {
    /// What it offers besides what it used, which breaks this rule.
    Besides(RuleId),
    /// This parameter.
    Parameter(&'static str),
    /// Whether it has the extended master secret.
    ExtendedMasterSecret,
    /// The chain of its certificate.
    Chain,
    /// How it would have fared without the rule of another mode.
    Without(RuleId),
}

impl fmt::Display for Unsaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Besides(rule) => {
                write!(f, "what it used breaks {rule}; not recorded: what else it offers")
            }
            Self::Parameter(name) => write!(f, "not recorded: its {name}"),
            Self::ExtendedMasterSecret => {
                f.write_str("not recorded: whether it has the extended master secret")
            }
            Self::Chain => f.write_str("not recorded: the chain of its certificate"),
            Self::Without(rule) => write!(f, "it was refused by {rule}, of a mode that was on"),
        }
    }
}

/// The place of a mode in arrays of [`MODES`].
pub(super) fn place(mode: Mode) -> usize {
    Mode::ALL.iter().position(|known| *known == mode).unwrap_or(0)
}

/// What a connection would have met under each mode.
pub(super) fn outlooks(seen: &Observation<'_>) -> [Outlook; MODES] {
    static POLICIES: LazyLock<[PolicySet; MODES]> =
        LazyLock::new(|| Mode::ALL.map(|mode| PolicySet::new(&ModeSet::from_iter([mode]))));
    let used = Used::of(seen);
    std::array::from_fn(|at| {
        let judged = (Mode::ALL.get(at).zip(POLICIES.get(at)))
            .map(|(mode, policy)| outlook(seen, &used, *mode, policy));
        judged.unwrap_or(Outlook::Silent)
    })
}

fn outlook(seen: &Observation<'_>, used: &Used, mode: Mode, policy: &PolicySet) -> Outlook {
    if seen.is_noise() {
        return Outlook::Silent;
    }
    if let Some(audit) = seen.audit.iter().find(|audit| audit.mode == mode.name()) {
        return audited(seen, audit);
    }
    let enforced = seen.modes.split('+').any(|name| name.parse().is_ok_and(|on: Mode| on == mode));
    match (seen.established, enforced) {
        (true, true) => Outlook::Connects,
        (true, false) => negotiated(seen, used, policy),
        // Of several modes that are on it may be another one that has refused it.
        (false, _) => refused(seen, mode, policy),
    }
}

/// By what the engine has found.
fn audited(seen: &Observation<'_>, audit: &Audit) -> Outlook {
    let mut missing = audit.missing.clone();
    // What a mode that is on has taken away needs no rule of this one.
    let rule = if audit.rule.is_empty() { seen.rule.to_string() } else { audit.rule.clone() };
    if seen.established {
        return match audit.offer_could {
            true => Outlook::Connects,
            false => Outlook::Fails { rule, missing },
        };
    }
    match (RuleId::find(&seen.rule), refused_already(seen)) {
        (None, Some(Outlook::Fails { rule: already, missing: reason })) => {
            missing.extend(reason);
            Outlook::Fails { rule: already, missing }
        }
        _ if !audit.offer_could => Outlook::Fails { rule, missing },
        // The offer would do; what else it has met, its certificate as a rule, nobody has judged.
        (Some(by_another), _) => Outlook::Undecided(Unsaid::Without(by_another)),
        _ => Outlook::Silent,
    }
}

/// What was negotiated, in numbers.
struct Used([Option<u16>; 4]);

impl Used {
    const NAMES: [&'static str; 4] = ["protocol", "suite", "group", "signature"];

    fn of(seen: &Observation<'_>) -> Self {
        let Observation { version, suite, group, scheme, .. } = seen;
        Self([
            codes::version(version),
            codes::suite(suite),
            codes::group(group),
            codes::scheme(scheme),
        ])
    }

    fn is_tls12(&self) -> bool {
        self.0[0] == Some(iana::TLS12)
    }
}

/// By what was negotiated.
fn negotiated(seen: &Observation<'_>, used: &Used, policy: &PolicySet) -> Outlook {
    let allowed =
        [PolicySet::version, PolicySet::suite, PolicySet::group, PolicySet::scheme].into_iter();
    let broken = (used.0.iter().zip(allowed))
        .find_map(|(code, allowed)| code.and_then(|code| allowed(policy, code).rule()));
    if let Some(rule) = broken {
        return Outlook::Undecided(Unsaid::Besides(rule));
    }
    if seen.resumed {
        return Outlook::Resumed;
    }
    if let Some((_, name)) = used.0.iter().zip(Used::NAMES).find(|(code, _)| code.is_none()) {
        return Outlook::Undecided(Unsaid::Parameter(name));
    }
    if used.is_tls12() && !policy.without_extended_master_secret().is_yes() {
        return Outlook::Undecided(Unsaid::ExtendedMasterSecret);
    }
    if seen.client.is_some() {
        return Outlook::Undecided(Unsaid::Chain);
    }
    Outlook::Connects
}

/// By what a client offered that was refused.
fn refused(seen: &Observation<'_>, mode: Mode, policy: &PolicySet) -> Outlook {
    let by_mode = RuleId::find(&seen.rule).filter(|rule| !is_of(*rule, mode));
    if by_mode.is_none()
        && let Some(already) = refused_already(seen)
    {
        return already;
    }
    if let Some((rule, missing)) = seen.offer.as_ref().and_then(|offer| lacks(offer, policy)) {
        return Outlook::Fails { rule: rule.to_string(), missing };
    }
    by_mode.map_or(Outlook::Silent, |rule| Outlook::Undecided(Unsaid::Without(rule)))
}

/// What of an offer the policy leaves nothing of.
fn lacks(offer: &Offer, policy: &PolicySet) -> Option<(RuleId, Vec<String>)> {
    type NameOf = fn(u16) -> Cow<'static, str>;
    type AllowedBy = fn(&PolicySet, u16) -> Allowed;
    let served = |code: &&u16| iana::suite(**code).is_some_and(|suite| suite.is_servable());
    let suites: Vec<u16> = offer.suites.iter().filter(served).copied().collect();
    let parts: [(&str, &[u16], NameOf, AllowedBy); 4] = [
        ("protocol", &offer.versions, iana::version_name, PolicySet::version),
        ("suite", &suites, iana::suite_name, PolicySet::suite),
        ("group", &offer.groups, iana::group_name, PolicySet::group),
        ("signature scheme", &offer.schemes, iana::scheme_name, PolicySet::scheme),
    ];
    // Something that was cut off could have been what is missing.
    let known = parts.into_iter().filter(|part| !offer.cut && !part.1.is_empty());
    let mut first = None;
    let mut missing = Vec::new();
    for (what, codes, name, allowed) in known {
        let verdicts = || codes.iter().map(|code| allowed(policy, *code));
        if verdicts().any(Allowed::is_yes) {
            continue;
        }
        first = first.or_else(|| verdicts().find_map(Allowed::rule));
        let names: Vec<Cow<'_, str>> = codes.iter().take(4).map(|code| name(*code)).collect();
        missing.push(format!("{what}: offers {} only", names.join(", ")));
    }
    first.map(|rule| (rule, missing))
}

fn is_of(rule: RuleId, mode: Mode) -> bool {
    rule.as_str().split_once('/').is_some_and(|(name, _)| name == mode.name())
}

/// The same refusal as now, unless it was one that the next attempt need not meet.
fn refused_already(seen: &Observation<'_>) -> Option<Outlook> {
    let rule = rules::find(&seen.rule);
    let passing = match rule {
        Some(rule) if RuleId::find(rule.name).is_some() => false,
        Some(rule) if *rule == rules::HANDSHAKE_DEADLINE => true,
        Some(rule) => {
            !matches!(rule.fault, fault::PEER | fault::CERTIFICATE | fault::CONFIGURATION)
        }
        None => false,
    };
    let was_refused = seen.outcome == json::outcome(engine::record::Outcome::Refused);
    (was_refused && !passing).then(|| Outlook::Fails {
        rule: seen.rule.to_string(),
        missing: vec![format!("refused already: {}", seen.reason)],
    })
}

#[cfg(test)]
mod tests;
