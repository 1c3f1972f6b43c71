//! What a mode says of a connection.

use super::mode::Mode;
use super::rule::RuleId;

/// Stands with every verdict, so that nobody takes it for more than it is.
pub const NOTE: &str = "approved algorithm, implementation not validated";

/// The judgement on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verdict {
    /// No mode is on.
    #[default]
    None,
    /// Everything that was used is approved.
    Approved,
    /// Something was used that is not approved.
    NotApproved,
    /// No connection came about; the rule says whether the mode refused it.
    Refused,
}

impl Verdict {
    /// The word in records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Approved => "approved",
            Self::NotApproved => "not-approved",
            Self::Refused => "refused",
        }
    }
}

/// The verdict of the modes that are on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComplianceVerdict {
    /// The modes, `fips-140-2+nist-800-131a`.
    pub modes: String,
    /// What they say.
    pub verdict: Verdict,
    /// The rule that refused the connection, or that what was used breaks.
    pub rule: Option<RuleId>,
    /// Hash of the policies, 16 hexadecimal digits.
    pub policy: String,
    /// What the verdict does not say.
    pub note: &'static str,
}

/// What a mode that is not on would have said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditVerdict {
    /// The mode.
    pub mode: Mode,
    /// On what was used.
    pub verdict: Verdict,
    /// The rule that would have refused it; where none would, the first that what was used breaks.
    pub rule: Option<RuleId>,
    /// Whether the client could have been served all the same: it offers enough besides.
    pub offer_could: bool,
    /// What would stand in the way, e.g. `group: offers x25519 only`.
    pub missing: Vec<String>,
}
