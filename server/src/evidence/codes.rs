//! Numbers of the names in a record: found by hash, since every connection asks.
//!
//! The registry tables of `engine::iana` are made to be asked by number.

use std::collections::HashMap;
use std::sync::LazyLock;

use engine::iana;

/// A cipher suite by its IANA name.
pub(super) fn suite(name: &str) -> Option<u16> {
    static SUITES: LazyLock<HashMap<&'static str, u16>> = LazyLock::new(|| {
        let row = |code| Some((iana::suite(code)?.name, code));
        (0..=u16::MAX).filter_map(row).collect()
    });
    SUITES.get(name).copied().or_else(|| iana::suite_code(name)).or_else(|| unnamed(name))
}

/// A protocol version.
pub(super) fn version(name: &str) -> Option<u16> {
    iana::version_code(name).or_else(|| unnamed(name))
}

/// A named group.
pub(super) fn group(name: &str) -> Option<u16> {
    static GROUPS: LazyLock<HashMap<&'static str, u16>> =
        LazyLock::new(|| numbered(iana::group_names(), iana::group_code));
    GROUPS.get(name).copied().or_else(|| unnamed(name))
}

/// A signature scheme.
pub(super) fn scheme(name: &str) -> Option<u16> {
    static SCHEMES: LazyLock<HashMap<&'static str, u16>> =
        LazyLock::new(|| numbered(iana::scheme_names(), iana::scheme_code));
    SCHEMES.get(name).copied().or_else(|| unnamed(name))
}

fn numbered(
    names: impl Iterator<Item = &'static str>,
    number: fn(&str) -> Option<u16>,
) -> HashMap<&'static str, u16> {
    names.filter_map(|name| Some((name, number(name)?))).collect()
}

/// `0xNNNN`, as a number without a name is written.
fn unnamed(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use engine::iana;

    use super::{group, scheme, suite, version};

    #[test]
    fn every_name_leads_back_to_its_number() {
        for number in (0..=u16::MAX).step_by(7).chain(0x1300..0x1310).chain(0xC000..0xC0FF) {
            assert_eq!(suite(&iana::suite_name(number)), Some(number), "{number:04X}");
            assert_eq!(group(&iana::group_name(number)), Some(number), "{number:04X}");
            assert_eq!(scheme(&iana::scheme_name(number)), Some(number), "{number:04X}");
        }
        for number in 0x0300..=0x0304 {
            assert_eq!(version(&iana::version_name(number)), Some(number), "{number:04X}");
        }
        for name in ["", "0x", "0x+12", "0x12345", "TLS_NO_SUCH", "x25519 "] {
            assert_eq!(suite(name).or(group(name)).or(scheme(name)).or(version(name)), None);
        }
    }
}
