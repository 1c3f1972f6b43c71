//! What modes say of TLS with a backend.
//!
//! The modes that hold have decided what is offered and accepted already; here it is looked at
//! once more, for the record, and modes that are only watched are asked. What a backend would have
//! chosen from a shorter offer nobody knows: a group or a suite that a watched mode does not
//! approve makes its verdict `not-approved`, but only what no other choice would mend (the
//! certificates it shows, its want of the extended master secret) is said to be missing.

use std::time::SystemTime;

use crate::certs::Authorities;
use crate::compliance::judge::Used;
use crate::compliance::{Mode, ModeSet, PolicySet};
use crate::iana;
use crate::record::{BackendVerdict, WatchedBackend};

/// The modes of a service, for the sessions with its backends.
#[derive(Debug)]
pub(super) struct BackendModes {
    policy: PolicySet,
    watched: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    mode: Mode,
    policy: PolicySet,
    /// What of our own side the mode would not let start.
    own: Vec<String>,
}

impl BackendModes {
    pub(super) fn new(policy: &PolicySet, audit: &ModeSet, authorities: &Authorities) -> Self {
        let now = SystemTime::now();
        let watch = |known: &'static crate::compliance::Policy| {
            let mut only = ModeSet::default();
            only.insert(known);
            let policy = PolicySet::new(&only);
            let broken = policy.judge_anchors(&authorities.facts, now);
            let own = broken.into_iter().map(|v| format!("service: {}", v.what)).collect();
            Watched { mode: known.mode(), policy, own }
        };
        Self { policy: policy.clone(), watched: audit.policies().map(watch).collect() }
    }

    /// Whether anything is judged.
    pub(super) fn judges(&self) -> bool {
        !self.policy.is_empty() || !self.watched.is_empty()
    }

    pub(super) fn judge(&self, used: &Used) -> BackendVerdict {
        BackendVerdict {
            rule: self.policy.used(used).rule(),
            watched: self.watched.iter().map(|watched| watched.judge(used)).collect(),
        }
    }
}

impl Watched {
    fn judge(&self, used: &Used) -> WatchedBackend {
        let mut missing = self.own.clone();
        let shown = self.policy.chain(&used.peer_chain);
        missing.extend(shown.iter().map(|violation| format!("backend: {}", violation.what)));
        let without = used.version == iana::TLS12 && !used.extended_master_secret;
        if without && !self.policy.without_extended_master_secret().is_yes() {
            missing.push("backend: TLS 1.2 without extended_master_secret".to_owned());
        }
        WatchedBackend { mode: self.mode, rule: self.policy.used(used).rule(), missing }
    }
}
