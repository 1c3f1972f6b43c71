//! Which provider executes the functions in this process.
//!
//! `host` uses the units of this processor. `portable` is the same library without them: an
//! environment variable, which the library reads in a constructor before `main`, masks the
//! processor's features for AES, carry-less multiplication, SHA and their vector forms. It stands
//! for a machine that has no such instructions, so that their share in a cost can be measured.
//!
//! Invariants: the choice is the environment's and is made once; setting the variable in a running
//! process has no effect, so whoever wants `portable` starts the program again with it. Code for
//! RSA, elliptic curves and ML-KEM is that of `host`: no bit of its features is in the mask.
//!
//! Source: `crypto/fipsmodule/cpucap/cpu_intel.c` of AWS-LC: `~` in front of a number takes its
//! bits away, the first number is leaf 1 (ECX above EDX), the second leaf 7 (ECX above EBX).

use std::sync::OnceLock;

/// The variable that the library reads.
pub const VARIABLE: &str = "OPENSSL_ia32cap";

/// What it has to say for [`Provider::Portable`]: without PCLMULQDQ (bit 33) and AES (57); SHA
/// (29), VAES (41) and VPCLMULQDQ (42).
pub const PORTABLE_MASK: &str = "~0x200000200000000:~0x60020000000";

/// What the mask stands for, in words for people.
pub const PORTABLE_MEANING: &str = "without the units for AES, PCLMUL, VAES, VPCLMUL and SHA: \
    50 to 60 times the CPU time for AES-GCM and 4 times for SHA-256; RSA and elliptic curves are \
    as fast as ever";

/// Whether this architecture has the provider `portable`.
pub const HAS_PORTABLE: bool = cfg!(target_arch = "x86_64");

/// Who executes the functions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// This host, with its units for AES, SHA and carry-less multiplication.
    #[default]
    Host,
    /// This host without these units.
    Portable,
}

impl Provider {
    /// The provider of this process.
    #[inline]
    #[must_use]
    pub fn in_force() -> Self {
        static CHOICE: OnceLock<Provider> = OnceLock::new();
        *CHOICE.get_or_init(|| Self::of(std::env::var(VARIABLE).ok().as_deref()))
    }

    fn of(variable: Option<&str>) -> Self {
        match variable {
            Some(PORTABLE_MASK) if HAS_PORTABLE => Self::Portable,
            _ => Self::Host,
        }
    }

    /// The word of the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Portable => "portable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_mask_is_portable() {
        let portable = if HAS_PORTABLE { Provider::Portable } else { Provider::Host };
        assert_eq!(Provider::of(Some(PORTABLE_MASK)), portable);
        for other in [None, Some(""), Some("~0x200000200000000"), Some("0x0")] {
            assert_eq!(Provider::of(other), Provider::Host, "{other:?}");
        }
    }

    #[test]
    fn the_mask_takes_the_units_it_names_and_no_other() {
        let parts: Vec<u64> = PORTABLE_MASK
            .split(':')
            .map(|part| u64::from_str_radix(part.strip_prefix("~0x").unwrap(), 16).unwrap())
            .collect();
        assert_eq!(parts, [1 << 33 | 1 << 57, 1 << 29 | 1 << 41 | 1 << 42]);
    }
}
