//! Modes: which algorithms, keys and certificates may be used, and what was used.
//!
//! Purpose: a *mode* (`fips-140-2`, `nist-800-131a`, `fips-140-3`) is a rule set this program
//! enforces. Its rules are dated, immutable data in `engine/policies/`; where several modes are on,
//! what all of them approve holds ([`PolicySet`]). The set is asked when certificates and keys are
//! loaded, when a service is built, when a peer shows its chain, and at last for the record of each
//! connection, whose [`ComplianceVerdict`] is made from what was really negotiated.
//!
//! Invariants: a rule has a stable name such as `fips-140-3/suite` ([`RuleId`]), which `adjunct
//! explain` knows; a policy file never changes its meaning, its hash stands in every record; a
//! second mode never allows what the first refuses.
//!
//! What it does not do: say that a module was validated. A verdict is about algorithms, and its
//! note says so. Known-answer tests and the integrity of the program are the daemon's start.
//!
//! Source: NIST SP 800-131A rev. 2, SP 800-57 part 1 rev. 5, FIPS 140-2, FIPS 140-3 and its
//! Implementation Guidance; z/VM TCP/IP Planning and Customization, `MODE` of the SSL server.

mod facts;
pub(crate) mod judge;
mod load;
mod mode;
pub(crate) mod offer;
mod policy;
mod rule;
mod set;
mod strength;
mod verdict;

pub use facts::{CertificateFacts, KeyFacts, RevocationFacts, Role};
pub use mode::{Mode, ModeSet, UnknownMode};
pub use policy::{CardRule, Policy, VerifyRule};
pub use rule::{Kind, RuleId};
pub use set::{Allowed, PolicySet, Violation};
pub use strength::strength_bits;
pub use verdict::{AuditVerdict, ComplianceVerdict, NOTE, Verdict};

pub(crate) use facts::signature_name;
pub(crate) use rule::all as rules;
