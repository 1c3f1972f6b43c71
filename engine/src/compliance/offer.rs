//! What a client offers, against what a service has: could the two meet?
//!
//! Purpose: the same question is asked of a service without a mode, with it, and with one that is
//! only watched. Where a client could have been served without the mode, it is the mode that has
//! refused it; where a mode is watched, the answers say who would be refused and for want of what.
//!
//! Invariants: the order of the questions is that in which rustls negotiates, so the first answer
//! is what it would refuse; nothing here decides what is negotiated.
//!
//! Source: RFC 8446 §4.1.1, RFC 5246 §7.4.1, RFC 8422 §4.

use rustls::SignatureScheme;

use super::rule::{Kind, RuleId};
use super::set::{Allowed, PolicySet};
use crate::hello::ClientHello;
use crate::iana::{self, Authentication, KeyExchange};

/// What a service can negotiate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Offering {
    /// Whether TLS 1.2 is on.
    pub(crate) tls12: bool,
    /// Whether TLS 1.3 is on.
    pub(crate) tls13: bool,
    /// Suites by preference.
    pub(crate) suites: Vec<u16>,
    /// Groups by preference.
    pub(crate) groups: Vec<u16>,
    /// Schemes that the keys of its certificates sign with, one list for each.
    pub(crate) schemes: Vec<Vec<u16>>,
    /// Whether TLS 1.2 needs the extended master secret.
    pub(crate) extended_master_secret: bool,
}

/// Something that client and service do not have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// What it is about.
    pub(crate) kind: Kind,
    /// What the client offers instead.
    pub(crate) offers: String,
    /// Of what they would have in common, what a mode has taken away.
    pub(crate) taken: Vec<u16>,
}

impl Missing {
    /// `group: offers x25519 only`.
    pub(crate) fn text(&self) -> String {
        let what = match self.kind {
            Kind::Protocol => "protocol",
            Kind::Suite => "suite",
            Kind::Group => "group",
            Kind::Scheme => "signature scheme",
            _ => "extension",
        };
        format!("{what}: {}", self.offers)
    }
}

impl Offering {
    /// What is left of it under a policy.
    pub(crate) fn under(&self, policy: &PolicySet) -> Self {
        let keep = |codes: &[u16], allowed: &dyn Fn(u16) -> Allowed| {
            codes.iter().copied().filter(|code| allowed(*code).is_yes()).collect()
        };
        Self {
            tls12: self.tls12 && policy.version(iana::TLS12).is_yes(),
            tls13: self.tls13 && policy.version(iana::TLS13).is_yes(),
            suites: keep(&self.suites, &|code| policy.suite(code)),
            groups: keep(&self.groups, &|code| policy.group(code)),
            schemes: self.schemes.iter().map(|s| keep(s, &|code| policy.scheme(code))).collect(),
            extended_master_secret: self.extended_master_secret
                || !policy.without_extended_master_secret().is_yes(),
        }
    }

    /// The version that is negotiated with a client.
    fn version(&self, hello: &ClientHello) -> Option<u16> {
        if self.tls13 && hello.lists_versions && hello.offers_version(iana::TLS13) {
            Some(iana::TLS13)
        } else if self.tls12 && hello.offers_version(iana::TLS12) {
            Some(iana::TLS12)
        } else {
            None
        }
    }

    /// What keeps a client from being served; nothing if it can be. `without` is the same service
    /// before a policy took something away from it.
    pub(crate) fn missing(&self, hello: &ClientHello, without: &Self) -> Vec<Missing> {
        let Some(version) = self.version(hello) else {
            let best = iana::version_name(hello.best_version());
            let taken = without.version(hello).into_iter().collect();
            return vec![Missing {
                kind: Kind::Protocol,
                offers: format!("offers {best} at most"),
                taken,
            }];
        };
        let mut missing = Vec::new();
        let offered_schemes = hello.signature_algorithms.as_deref().unwrap_or_default();
        // As they could be negotiated at all, whatever the policy says.
        let reach = |service: &Self| Reach::of(service, hello, version);
        let (has, had) = (reach(self), reach(without));
        let taken = |had: &[u16], has: &[u16]| {
            had.iter().copied().filter(|code| !has.contains(code)).collect::<Vec<_>>()
        };
        if has.suites.is_empty() {
            missing.push(Missing {
                kind: Kind::Suite,
                offers: only(&hello.suites, &had.suites, iana::suite_name),
                taken: taken(&had.suites, &has.suites),
            });
        }
        if has.groups.is_empty() {
            missing.push(Missing {
                kind: Kind::Group,
                offers: only(&hello.groups, &had.groups, iana::group_name),
                taken: taken(&had.groups, &has.groups),
            });
        }
        if has.schemes.is_empty() {
            missing.push(Missing {
                kind: Kind::Scheme,
                offers: only(offered_schemes, &had.schemes, iana::scheme_name),
                taken: taken(&had.schemes, &has.schemes),
            });
        }
        let ems = self.extended_master_secret && !hello.extended_master_secret;
        if version == iana::TLS12 && ems {
            missing.push(Missing {
                kind: Kind::ExtendedMasterSecret,
                offers: "TLS 1.2 without extended_master_secret".to_owned(),
                taken: Vec::new(),
            });
        }
        missing
    }
}

/// What client and service have in common in one version.
struct Reach {
    suites: Vec<u16>,
    groups: Vec<u16>,
    schemes: Vec<u16>,
}

impl Reach {
    fn of(service: &Offering, hello: &ClientHello, version: u16) -> Self {
        let tls13 = version == iana::TLS13;
        let offered = hello.signature_algorithms.as_deref().unwrap_or_default();
        let mut schemes: Vec<u16> = service.schemes.iter().flatten().copied().collect();
        schemes.retain(|scheme| offered.contains(scheme) && (!tls13 || !is_pkcs1(*scheme)));
        let suites = service.suites.iter().copied().filter(|code| {
            hello.suites.contains(code)
                && iana::suite(*code).is_some_and(|suite| {
                    (suite.key_exchange == KeyExchange::Tls13) == tls13
                        && (tls13 || service.schemes.iter().any(|s| signs(suite.authentication, s)))
                })
        });
        // The hybrids are for TLS 1.3 alone.
        let hybrid = |code: u16| iana::group_name(code).contains("MLKEM");
        let groups = service.groups.iter().copied();
        let groups = groups.filter(|code| hello.groups.contains(code) && (tls13 || !hybrid(*code)));
        Self { suites: suites.collect(), groups: groups.collect(), schemes }
    }
}

/// RFC 8446 §4.2.3: in TLS 1.3 these are for certificates only.
fn is_pkcs1(scheme: u16) -> bool {
    matches!(
        SignatureScheme::from(scheme),
        SignatureScheme::RSA_PKCS1_SHA256
            | SignatureScheme::RSA_PKCS1_SHA384
            | SignatureScheme::RSA_PKCS1_SHA512
    )
}

/// Whether a key that signs with these schemes goes with a suite of TLS 1.2.
fn signs(authentication: Authentication, schemes: &[u16]) -> bool {
    let is_rsa = |scheme: &u16| iana::scheme_name(*scheme).starts_with("rsa");
    match authentication {
        Authentication::Rsa => schemes.iter().any(is_rsa),
        Authentication::Ecdsa => schemes.iter().any(|scheme| !is_rsa(scheme)),
        _ => false,
    }
}

/// Names of this many codes stand in a sentence.
const NAMED: usize = 4;

/// `offers A, B only`: what would have been in common if there is something, else all of it.
fn only(
    offered: &[u16],
    in_common: &[u16],
    name: fn(u16) -> std::borrow::Cow<'static, str>,
) -> String {
    let list = if in_common.is_empty() { offered } else { in_common };
    if list.is_empty() {
        return "offers none".to_owned();
    }
    let mut names: Vec<_> = list.iter().take(NAMED).map(|code| name(*code)).collect();
    if list.len() > NAMED {
        names.push(format!("{} more", list.len() - NAMED).into());
    }
    format!("offers {} only", names.join(", "))
}

/// The rule by which a policy took away what is missing, if it was the policy.
pub(crate) fn rule(policy: &PolicySet, missing: &Missing) -> Option<RuleId> {
    let first = |allowed: fn(&PolicySet, u16) -> Allowed| {
        missing.taken.iter().find_map(|code| allowed(policy, *code).rule())
    };
    match missing.kind {
        Kind::Protocol => first(PolicySet::version),
        Kind::Suite => first(PolicySet::suite),
        Kind::Group => first(PolicySet::group),
        Kind::Scheme => first(PolicySet::scheme),
        Kind::ExtendedMasterSecret => policy.without_extended_master_secret().rule(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compliance::{Mode, ModeSet};

    fn service() -> Offering {
        Offering {
            tls12: true,
            tls13: true,
            suites: vec![0x1301, 0x1303, 0xC02F, 0xCCA8],
            groups: vec![0x11EC, 29, 23],
            schemes: vec![vec![0x0804, 0x0401]],
            extended_master_secret: false,
        }
    }

    fn hello(versions: &[u16], suites: &[u16], groups: &[u16]) -> ClientHello {
        ClientHello {
            versions: versions.to_vec(),
            lists_versions: true,
            suites: suites.to_vec(),
            groups: groups.to_vec(),
            signature_algorithms: Some(vec![0x0804, 0x0401]),
            extended_master_secret: true,
            ..ClientHello::default()
        }
    }

    /// Texts of what is missing without and with the mode, and the rule of the first.
    fn judge(mode: Mode, hello: &ClientHello) -> (usize, Vec<String>, Option<RuleId>) {
        let policy = PolicySet::new(&ModeSet::from_iter([mode]));
        let without = service();
        let missing = without.under(&policy).missing(hello, &without);
        let rule = missing.first().and_then(|first| rule(&policy, first));
        let texts = missing.iter().map(Missing::text).collect();
        (without.missing(hello, &without).len(), texts, rule)
    }

    #[test]
    fn a_mode_refuses_who_would_have_been_served() {
        let rule = |kind| Some(RuleId::new(Mode::Fips1403, kind));
        let chacha = hello(&[0x0304], &[0x1303], &[23]);
        let expected = vec!["suite: offers TLS_CHACHA20_POLY1305_SHA256 only".to_owned()];
        assert_eq!(judge(Mode::Fips1403, &chacha), (0, expected, rule(Kind::Suite)));
        let x25519 = hello(&[0x0304, 0x0303], &[0x1301, 0xC02F], &[29, 30]);
        let expected = vec!["group: offers x25519 only".to_owned()];
        assert_eq!(judge(Mode::Fips1403, &x25519), (0, expected, rule(Kind::Group)));
        let mut old = hello(&[0x0303], &[0xC02F], &[23]);
        assert_eq!(judge(Mode::Fips1403, &old), (0, vec![], None));
        old.extended_master_secret = false;
        let (without, missing, by) = judge(Mode::Fips1403, &old);
        assert_eq!((without, missing.len(), by), (0, 1, rule(Kind::ExtendedMasterSecret)));
        assert_eq!(judge(Mode::Fips1402, &old), (0, vec![], None));
    }

    #[test]
    fn a_mode_does_not_refuse_who_could_not_be_served_anyway() {
        let rc4 = hello(&[0x0303], &[0x0005], &[23]);
        let (without, missing, rule) = judge(Mode::Fips1402, &rc4);
        assert_eq!((without, rule), (1, None));
        assert_eq!(missing, ["suite: offers TLS_RSA_WITH_RC4_128_SHA only"]);
        let tls10 = ClientHello { lists_versions: false, ..hello(&[0x0301], &[0xC02F], &[23]) };
        let (without, missing, rule) = judge(Mode::Fips1402, &tls10);
        assert_eq!((without, rule), (1, None));
        assert_eq!(missing, ["protocol: offers TLSv1.0 at most"]);
    }

    #[test]
    fn the_hybrid_is_approved_where_its_policy_says_so() {
        let hybrid = hello(&[0x0304], &[0x1301], &[0x11EC]);
        assert_eq!(judge(Mode::Fips1403, &hybrid).1.len(), 0);
        assert_eq!(judge(Mode::Fips1402, &hybrid).1.len(), 1);
        let tls12 = hello(&[0x0303], &[0xC02F], &[0x11EC]);
        assert_eq!(
            judge(Mode::Fips1403, &tls12),
            (1, vec!["group: offers X25519MLKEM768 only".to_owned()], None,)
        );
    }
}
