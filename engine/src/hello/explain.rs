//! What a client lacked, in words.

use super::client::ClientHello;
use crate::iana::{self, Authentication, KeyExchange, Protection, Suite};

/// Suites named in a sentence before the rest is only counted.
const NAMED_SUITES: usize = 3;

/// Why a hello is too old: the newest version it offers.
#[must_use]
pub fn explain_protocol_too_old(hello: &ClientHello) -> String {
    match hello.versions.as_slice() {
        [] => "offers no protocol version we know; needs TLS 1.2 or TLS 1.3".to_owned(),
        [best, ..] => {
            let best = iana::version_name(*best);
            format!("offers {best} at most; needs TLS 1.2 or TLS 1.3")
        }
    }
}

/// Why no cipher suite of the client can be served, and what it needs.
#[must_use]
pub fn explain_no_common_cipher(hello: &ClientHello) -> String {
    let known: Vec<Suite> = hello.suites.iter().filter_map(|id| iana::suite(*id)).collect();
    if known.is_empty() {
        return if hello.suites.is_empty() {
            "offers no cipher suite at all".to_owned()
        } else {
            format!("offers only cipher suites without a name we know ({})", listed(&hello.suites))
        };
    }
    let reachable: Vec<&Suite> = known.iter().filter(|suite| reachable(hello, suite)).collect();
    if reachable.is_empty() {
        return "offers only cipher suites of TLS 1.3 but not the version TLS 1.3".to_owned();
    }
    let servable: Vec<&Suite> =
        reachable.iter().copied().filter(|suite| suite.is_servable()).collect();
    if !servable.is_empty() {
        return lacks_certificate_or_group(hello, &servable);
    }
    let shortcoming = shortcoming(&reachable);
    format!("offers only {shortcoming} ({}); needs {}", listed(&hello.suites), remedy(&reachable))
}

/// Whether the versions offered allow the suite: TLS 1.3 suites belong to TLS 1.3 alone.
fn reachable(hello: &ClientHello, suite: &Suite) -> bool {
    let version = if suite.key_exchange == KeyExchange::Tls13 { iana::TLS13 } else { iana::TLS12 };
    hello.offers_version(version)
}

/// Names the first suites and counts the rest.
fn listed(suites: &[u16]) -> String {
    let named: Vec<_> =
        suites.iter().take(NAMED_SUITES).map(|suite| iana::suite_name(*suite)).collect();
    let mut text = named.join(", ");
    if suites.len() > NAMED_SUITES {
        text.push_str(&format!(" and {} more", suites.len() - NAMED_SUITES));
    }
    text
}

/// The suites would do, so what is missing lies beside them.
fn lacks_certificate_or_group(hello: &ClientHello, servable: &[&Suite]) -> String {
    let needs = |authentication| servable.iter().all(|s| s.authentication == authentication);
    if needs(Authentication::Ecdsa) {
        return "all suites it offers that can be served need an ECDSA certificate".to_owned();
    }
    if needs(Authentication::Rsa) {
        return "all suites it offers that can be served need an RSA certificate".to_owned();
    }
    let groups: Vec<_> = hello.groups.iter().map(|group| iana::group_name(*group)).collect();
    format!(
        "its suites can be served in principle ({}), but not with this service's suites, \
         certificates or groups (its groups: {})",
        listed(&hello.suites),
        if groups.is_empty() { "none".to_owned() } else { groups.join(", ") }
    )
}

/// What all suites have in common that rules them out.
fn shortcoming(suites: &[&Suite]) -> String {
    let all = |test: &dyn Fn(&Suite) -> bool| suites.iter().all(|suite| test(suite));
    if all(&|suite| suite.export) {
        return "export suites".to_owned();
    }
    let mut words: Vec<&str> = Vec::new();
    for suite in suites {
        let word = if suite.protection.is_aead() && !suite.is_servable() {
            key_exchange_words(suite)
        } else {
            suite.protection.word()
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => {
            format!("{} and {last} suites", rest.join(", "))
        }
        _ => format!("{} suites", words.join("")),
    }
}

/// Why a suite with authenticated encryption still cannot be served.
fn key_exchange_words(suite: &Suite) -> &'static str {
    match suite.key_exchange {
        KeyExchange::Rsa => "RSA key transport",
        KeyExchange::Dhe => "finite-field DHE",
        KeyExchange::StaticDh => "static or anonymous Diffie-Hellman",
        KeyExchange::Psk => "pre-shared key",
        KeyExchange::Other => "Kerberos, SRP or password",
        KeyExchange::Tls13 | KeyExchange::Ecdhe => suite.protection.word(),
    }
}

/// What the client must offer instead.
fn remedy(suites: &[&Suite]) -> &'static str {
    let aead = suites
        .iter()
        .any(|suite| matches!(suite.protection, Protection::AesGcm | Protection::ChaCha20));
    if aead {
        "ECDHE key exchange with AES-GCM or ChaCha20-Poly1305, or TLS 1.3"
    } else {
        "an ECDHE suite with AES-GCM or ChaCha20-Poly1305, or TLS 1.3"
    }
}
