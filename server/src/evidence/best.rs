//! The best a client had to offer, which is what decides whether an update of its settings or only
//! one of the client itself will let it in.
//!
//! The order is one of classes, from RFC 8446 and RFC 9325 (recommendations for the secure use of
//! TLS), and permits nothing: what a mode allows is the policies' to say.

use engine::iana::{self, KeyExchange, Protection, Suite};

use super::observation::Offer;

/// Suites shown.
const SUITES: usize = 3;

/// Groups shown.
const GROUPS: usize = 4;

/// The newest protocol version.
pub(super) fn version(offer: &Offer) -> Option<u16> {
    offer.versions.iter().copied().fold(None, |best, next| newer(best, Some(next)))
}

/// The newer of two versions; drafts are older than what became of them, SSL 2.0 is oldest.
pub(super) fn newer(a: Option<u16>, b: Option<u16>) -> Option<u16> {
    let age = |version: u16| match version {
        0x0200 => 2,
        0x7F00..=0x7FFF => 0x0303,
        0x0002..=0x0304 => version,
        _ => 0,
    };
    a.into_iter().chain(b).max_by_key(|version| age(*version))
}

/// The best suites, best first; among equals the client's order.
pub(super) fn suites(offer: &Offer) -> Vec<String> {
    let mut known: Vec<(u8, u16)> = (offer.suites.iter())
        .filter(|id| !iana::is_signalling(**id))
        .map(|id| (iana::suite(*id).map_or(u8::MAX, |suite| class(&suite)), *id))
        .collect();
    known.sort_by_key(|(class, _)| *class);
    known.into_iter().take(SUITES).map(|(_, id)| iana::suite_name(id).into_owned()).collect()
}

/// The first groups the client names.
pub(super) fn groups(offer: &Offer) -> Vec<String> {
    offer.groups.iter().take(GROUPS).map(|id| iana::group_name(*id).into_owned()).collect()
}

/// Lower is better.
fn class(suite: &Suite) -> u8 {
    let ephemeral = matches!(suite.key_exchange, KeyExchange::Ecdhe | KeyExchange::Dhe);
    match (suite.key_exchange, suite.protection) {
        _ if suite.export => 9,
        (KeyExchange::Tls13, _) => 0,
        (KeyExchange::Ecdhe, _) if suite.protection.is_aead() => 1,
        (KeyExchange::Dhe, _) if suite.protection.is_aead() => 2,
        (_, _) if suite.protection.is_aead() => 3,
        (_, Protection::Cbc) if ephemeral => 4,
        (_, Protection::Cbc) => 5,
        (_, Protection::TripleDes) => 6,
        (_, Protection::Rc4) => 7,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use engine::iana;

    use super::{newer, suites, version};
    use crate::evidence::observation::Offer;

    #[test]
    fn a_draft_is_older_than_the_standard_and_ssl_2_is_oldest() {
        let offer = |versions: &[u16]| Offer { versions: versions.to_vec(), ..Offer::default() };
        assert_eq!(version(&offer(&[0x7F1C, 0x0304, 0x0303])), Some(0x0304));
        assert_eq!(version(&offer(&[0x0002, 0x0300])), Some(0x0300));
        assert_eq!(version(&offer(&[])), None);
        assert_eq!(newer(Some(0x0301), None), Some(0x0301));
    }

    #[test]
    fn the_best_suites_come_first_and_signals_are_no_suites() {
        let names = [
            "TLS_RSA_EXPORT_WITH_RC4_40_MD5",
            "TLS_RSA_WITH_RC4_128_SHA",
            "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
            "TLS_EMPTY_RENEGOTIATION_INFO_SCSV",
            "TLS_RSA_WITH_AES_128_CBC_SHA",
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
            "TLS_RSA_WITH_AES_128_GCM_SHA256",
        ];
        let numbers = names.iter().filter_map(|name| iana::suite_code(name)).collect();
        let best = suites(&Offer { suites: numbers, ..Offer::default() });
        assert_eq!(best, [names[6], names[5], names[4]]);
    }
}
