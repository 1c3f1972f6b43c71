//! Key exchange groups under their names, and what becomes of each here.
//!
//! Purpose: who configures a service has the name of a group from a manual or another server:
//! `P-256`, `prime256v1`, `ffdhe2048`, `group14`. [`find`] knows them all; a group we do not serve
//! has a reason and a nearest one that works.
//!
//! Deliberately not here: numbers as names. System SSL writes the number of a curve in decimal
//! (`0023` is secp256r1), TLS in hexadecimal (`0017`), and `0024` would be two groups.
//!
//! Source: IANA "TLS Supported Groups"; RFC 7919, RFC 3526, RFC 5114; openssl-genpkey(1).

use crate::iana;

/// Names beside those of IANA.
const ALIASES: &[(&str, u16)] = &[
    ("P-192", 0x0013),
    ("prime192v1", 0x0013),
    ("P-224", 0x0015),
    ("P-256", 0x0017),
    ("prime256v1", 0x0017),
    ("P-384", 0x0018),
    ("P-521", 0x0019),
    ("curve25519", 0x001D),
    ("curve448", 0x001E),
    ("dh2048", 0x0100),
    ("dh3072", 0x0101),
    ("dh4096", 0x0102),
    ("dh6144", 0x0103),
    ("dh8192", 0x0104),
    ("P256MLKEM768", 0x11EB),
    ("P384MLKEM1024", 0x11ED),
];

/// Finite-field groups that TLS cannot name (a server sends their numbers in full), with their
/// bits: as RFC 3526 and RFC 5114 are called in OpenSSL and in configurations of IKE.
const UNNAMED: &[(&str, u16)] = &[
    ("modp768", 768),
    ("group1", 768),
    ("dh1024", 1024),
    ("modp1024", 1024),
    ("group2", 1024),
    ("modp1536", 1536),
    ("modp_1536", 1536),
    ("group5", 1536),
    ("modp2048", 2048),
    ("modp_2048", 2048),
    ("group14", 2048),
    ("modp3072", 3072),
    ("modp_3072", 3072),
    ("group15", 3072),
    ("modp4096", 4096),
    ("modp_4096", 4096),
    ("group16", 4096),
    ("modp6144", 6144),
    ("modp_6144", 6144),
    ("group17", 6144),
    ("modp8192", 8192),
    ("modp_8192", 8192),
    ("group18", 8192),
    ("dh_1024_160", 1024),
    ("group22", 1024),
    ("dh_2048_224", 2048),
    ("group23", 2048),
    ("dh_2048_256", 2048),
    ("group24", 2048),
];

/// What becomes of a group here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is served under this IANA name.
    Implemented(&'static str),
    /// It is known and never served.
    NotImplemented {
        /// Why.
        reason: &'static str,
        /// IANA name of the nearest group that is served.
        nearest: &'static str,
    },
}

/// What becomes of the group that is meant by a name; letters may be of either case. None for a
/// name that no group has.
#[must_use]
pub fn find(text: &str) -> Option<State> {
    let text = text.trim();
    if let Some((_, bits)) = UNNAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Some(finite_field(*bits));
    }
    let alias = ALIASES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    let registered = || {
        let mut names = iana::group_names();
        names.find(|name| name.eq_ignore_ascii_case(text)).and_then(iana::group_code)
    };
    alias.map(|(_, number)| *number).or_else(registered).map(state)
}

/// Every name that [`find`] knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    let others = ALIASES.iter().map(|(name, _)| *name);
    iana::group_names().chain(others).chain(UNNAMED.iter().map(|(name, _)| *name))
}

/// What becomes of a group.
#[must_use]
pub fn state(number: u16) -> State {
    let refused = |reason, nearest| State::NotImplemented { reason, nearest };
    match number {
        0x0017 => State::Implemented("secp256r1"),
        0x0018 => State::Implemented("secp384r1"),
        0x0019 => State::Implemented("secp521r1"),
        0x001D => State::Implemented("x25519"),
        0x11EB => State::Implemented("SecP256r1MLKEM768"),
        0x11EC => State::Implemented("X25519MLKEM768"),
        0x0100 => finite_field(2048),
        0x0101 => finite_field(3072),
        0x0102 => finite_field(4096),
        0x0103 => finite_field(6144),
        0x0104 => finite_field(8192),
        0x001E => refused("x448 is not implemented", "secp521r1"),
        0x001A | 0x001F => refused(BRAINPOOL, "secp256r1"),
        0x001B | 0x0020 => refused(BRAINPOOL, "secp384r1"),
        0x001C | 0x0021 => refused(BRAINPOOL, "secp521r1"),
        0x0001..=0x0014 | 0x0016 => refused(OLD_CURVE, "secp256r1"),
        0x0015 => refused("secp224r1 was removed from TLS (RFC 8422)", "secp256r1"),
        0x0029 => refused("curveSM2 is not implemented", "secp256r1"),
        0x0200..=0x0202 => {
            refused("ML-KEM is served with a classic half beside it", "SecP256r1MLKEM768")
        }
        0x11ED => refused("ML-KEM-1024 is not implemented", "SecP256r1MLKEM768"),
        0x6399 => refused("the draft form of Kyber was replaced by ML-KEM", "X25519MLKEM768"),
        0xFF01 | 0xFF02 => refused("a curve of the peer's own is never accepted", "secp256r1"),
        _ => refused("it is not implemented", "secp256r1"),
    }
}

const BRAINPOOL: &str = "Brainpool curves are not implemented, and approved by no mode";
const OLD_CURVE: &str = "this curve was removed from TLS (RFC 8422)";

/// The curve that is as strong (RFC 7919 appendix A), or stronger.
fn finite_field(bits: u16) -> State {
    let reason = match bits {
        0..2048 => "finite-field Diffie-Hellman below 2048 bits is broken or nearly so",
        _ => {
            "finite-field Diffie-Hellman is not implemented: its suites (DHE) are not served, and \
             TLS 1.3 has faster groups as strong"
        }
    };
    let nearest = if bits <= 3072 { "secp256r1" } else { "secp384r1" };
    State::NotImplemented { reason, nearest }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::provider;

    #[test]
    fn what_is_served_is_what_the_provider_implements() {
        let served: HashSet<&str> = (0..=u16::MAX)
            .filter_map(|number| match state(number) {
                State::Implemented(name) => Some(name),
                State::NotImplemented { .. } => None,
            })
            .collect();
        let implemented = provider::group_names();
        assert_eq!(served, implemented.iter().map(AsRef::as_ref).collect());
        for name in served {
            assert_eq!(find(name), Some(State::Implemented(name)));
        }
    }

    #[test]
    fn every_name_is_found_and_stands_once() {
        let mut seen = HashSet::new();
        for name in names() {
            assert!(seen.insert(name.to_ascii_lowercase()), "{name}");
            let state = find(name);
            if let Some(State::NotImplemented { reason, nearest }) = state {
                assert!(!reason.is_empty(), "{name}");
                assert_eq!(find(nearest), Some(State::Implemented(nearest)), "{name}");
            }
            assert!(state.is_some(), "{name}");
        }
        assert_eq!(find("secp999"), None);
        assert_eq!(find("0023"), None, "decimal with System SSL, hexadecimal in TLS");
    }

    #[test]
    fn groups_of_other_servers_have_a_nearest_as_strong() {
        let nearest = |name| match find(name) {
            Some(State::NotImplemented { nearest, .. }) => nearest,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(nearest("ffdhe2048"), "secp256r1");
        assert_eq!(nearest("FFDHE3072"), "secp256r1");
        assert_eq!(nearest("ffdhe4096"), "secp384r1");
        assert_eq!(nearest("ffdhe8192"), "secp384r1");
        assert_eq!(nearest("group14"), "secp256r1");
        assert_eq!(nearest("x448"), "secp521r1");
        assert_eq!(nearest("brainpoolP384r1"), "secp384r1");
        assert_eq!(nearest("SecP384r1MLKEM1024"), "SecP256r1MLKEM768");
        assert_eq!(find("prime256v1"), Some(State::Implemented("secp256r1")));
        assert_eq!(find("p-521"), Some(State::Implemented("secp521r1")));
    }
}
