//! The names of modes, and sets of them.
//!
//! Invariants: a name that moves (`fips-140-3`) and the dated name it stands for today are the same
//! policy; a set holds a policy once, in the order of [`Mode::ALL`], however it was written.

use std::fmt;
use std::str::FromStr;

use super::policy::Policy;

/// A mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// `fips-140-2`.
    Fips1402,
    /// `nist-800-131a`.
    Nist800131a,
    /// `fips-140-3`.
    Fips1403,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Fips1402, Self::Nist800131a, Self::Fips1403];

    /// The name that moves with the newest policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fips1402 => "fips-140-2",
            Self::Nist800131a => "nist-800-131a",
            Self::Fips1403 => "fips-140-3",
        }
    }

    /// Whether it is a mode of FIPS 140: self-tests and integrity checks before anything listens.
    #[must_use]
    pub fn is_fips(self) -> bool {
        Policy::of(self).is_fips()
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;

    /// Reads a name, the moving or a dated one.
    fn from_str(name: &str) -> Result<Self, UnknownMode> {
        Policy::find(name).map(Policy::mode).ok_or_else(|| UnknownMode(name.to_owned()))
    }
}

/// No mode has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is not the name of a mode", .0.escape_default())]
pub struct UnknownMode(pub String);

/// Modes that are on together.
#[derive(Clone, Default)]
pub struct ModeSet(Vec<&'static Policy>);

impl ModeSet {
    /// Whether no mode is on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The modes.
    pub fn iter(&self) -> impl Iterator<Item = Mode> + '_ {
        self.0.iter().map(|policy| policy.mode())
    }

    /// The policies behind them.
    pub fn policies(&self) -> impl Iterator<Item = &'static Policy> + '_ {
        self.0.iter().copied()
    }

    /// Whether one of them is a mode of FIPS 140.
    #[must_use]
    pub fn any_fips(&self) -> bool {
        self.policies().any(Policy::is_fips)
    }

    /// Adds a policy.
    pub fn insert(&mut self, policy: &'static Policy) {
        if !self.0.contains(&policy) {
            self.0.push(policy);
            self.0.sort_by_key(|policy| (policy.mode(), policy.dated_name()));
        }
    }

    /// These and those.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        other.policies().for_each(|policy| all.insert(policy));
        all
    }

    /// What stands in these and in those.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.policies().filter(|policy| other.0.contains(policy)).collect())
    }
}

impl FromIterator<Mode> for ModeSet {
    fn from_iter<I: IntoIterator<Item = Mode>>(modes: I) -> Self {
        let mut set = Self::default();
        modes.into_iter().for_each(|mode| set.insert(Policy::of(mode)));
        set
    }
}

impl PartialEq for ModeSet {
    fn eq(&self, other: &Self) -> bool {
        self.policies().eq(other.policies())
    }
}

impl Eq for ModeSet {}

impl fmt::Display for ModeSet {
    /// `fips-140-2+nist-800-131a`; nothing for an empty set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, mode) in self.iter().enumerate() {
            write!(f, "{}{mode}", if position == 0 { "" } else { "+" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for ModeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.policies().map(Policy::dated_name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moving_and_a_dated_name_are_the_same_mode() {
        for mode in Mode::ALL {
            assert_eq!(mode.name().parse(), Ok(mode));
            assert_eq!(Policy::of(mode).dated_name().parse(), Ok(mode));
        }
        for wrong in ["", "fips", "FIPS-140-3", "fips-140-3-2020-01-01", "none"] {
            assert_eq!(wrong.parse::<Mode>(), Err(UnknownMode(wrong.to_owned())));
        }
    }

    #[test]
    fn order_and_repetition_do_not_matter() {
        let set: ModeSet =
            [Mode::Nist800131a, Mode::Fips1402, Mode::Nist800131a].into_iter().collect();
        assert_eq!(set.to_string(), "fips-140-2+nist-800-131a");
        assert_eq!(set, [Mode::Fips1402, Mode::Nist800131a].into_iter().collect());
        assert!(set.any_fips() && !set.is_empty());
        assert!(!ModeSet::from_iter([Mode::Nist800131a]).any_fips());
        assert_eq!(ModeSet::default().to_string(), "");
        assert_eq!(set.union(&set), set);
        let fips = ModeSet::from_iter([Mode::Fips1402, Mode::Fips1403]);
        assert_eq!(set.intersection(&fips).to_string(), "fips-140-2");
        assert!(fips.intersection(&ModeSet::default()).is_empty());
    }
}
