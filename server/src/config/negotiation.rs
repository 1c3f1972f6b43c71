//! Reads what a service negotiates: protocol versions, cipher suites, groups.
//!
//! A suite may be written in every spelling that [`engine::ciphers`] knows. What a service offers
//! is `suites` (all that are served, unless given), then what `enable` of the server and of the
//! service add, without what `exempt` of either takes away: `exempt` wins wherever it stands, so
//! that a service may be stricter than the server and never laxer.

use engine::ciphers::{self, Code, Found};
use engine::groups;

use super::keys;
use super::reader::{Node, Table};
use super::schema::{GROUPS, SUITES, Server, Suite, Versions};

/// Reads `versions`; the level names of the SSL server's `PROTOCOL` are understood too.
pub(super) fn versions(table: &Table<'_>) -> Versions {
    let Some(node) = table.get("versions") else { return Versions::default() };
    let mut versions = Versions { tls12: false, tls13: false };
    let elements = node.elements().unwrap_or_default();
    if elements.is_empty() {
        node.error("no protocol version is left", "write [\"1.2\", \"1.3\"]");
    }
    for element in elements {
        let Some(text) = element.text() else { continue };
        match level(text).as_str() {
            "1.2" => versions.tls12 = true,
            "1.3" => versions.tls13 = true,
            "1.0" | "1.1" | "3.0" | "2.0" => element.error(
                "this protocol version is deprecated (RFC 8996) and never offered",
                "write \"1.2\" or \"1.3\"; clients below are refused with a reason in the record",
            ),
            _ => element.error(
                format!("\"{}\" is not a protocol version", text.escape_default()),
                "write \"1.2\" or \"1.3\"",
            ),
        }
    }
    versions
}

/// `TLSV1_2`, `TLSv1.2` and `1.2` are `1.2`; `SSLV3` is `3.0`.
fn level(text: &str) -> String {
    let upper = text.to_ascii_uppercase().replace('_', ".");
    match upper.strip_prefix("TLSV").or_else(|| upper.strip_prefix("SSLV")) {
        Some(number) if number.contains('.') => number.to_owned(),
        Some(number) => format!("{number}.0"),
        None => upper,
    }
}

/// The elements of a list of suites.
#[derive(Debug, Default)]
struct Names<'a> {
    /// Those that are served, each once, in the order of the file.
    served: Vec<(&'static Suite, Node<'a>)>,
    /// Whether an element was wrong, so that no conclusion can be drawn from the rest.
    faulty: bool,
}

impl Names<'_> {
    fn suites(&self) -> impl Iterator<Item = &'static Suite> {
        self.served.iter().map(|(suite, _)| *suite)
    }

    fn has(&self, suite: &Suite) -> bool {
        self.suites().any(|known| known == suite)
    }
}

/// Reads `enable` or `exempt` of `[server]`.
pub(super) fn rule(table: &Table<'_>, name: &'static str) -> Vec<&'static str> {
    let names = table.get(name).map(|node| list(&node, name == "exempt")).unwrap_or_default();
    names.suites().map(|suite| suite.name).collect()
}

/// Reads a list of suites. One that is not served may be exempt: that is what it is anyway.
fn list<'a>(node: &Node<'a>, exempt: bool) -> Names<'a> {
    let mut names = Names::default();
    let Some(elements) = node.elements() else { return Names { faulty: true, ..names } };
    for element in elements {
        let Some(text) = element.text() else {
            names.faulty = true;
            continue;
        };
        let found = ciphers::find(text);
        match found.and_then(|found| SUITES.iter().find(|suite| suite.name == found.iana)) {
            Some(suite) if names.has(suite) => {
                element.error(format!("{} is named twice", suite.name), "remove one of them");
                names.faulty = true;
            }
            Some(suite) => names.served.push((suite, element)),
            None if exempt && found.is_some() => {}
            None => {
                refuse_suite(&element, text, found);
                names.faulty = true;
            }
        }
    }
    names
}

/// Says why a suite is not served and what comes nearest, in the spelling it was written in; or
/// what was probably meant.
fn refuse_suite(element: &Node<'_>, text: &str, found: Option<Found>) {
    let shown = text.escape_default();
    let Some(found) = found else {
        let known = ciphers::TABLE.iter().flat_map(ciphers::Cipher::names);
        let hint = did_you_mean(text, known);
        return element.error(
            format!("\"{shown}\" is the name of no cipher suite{hint}"),
            "`adjunct ciphers` lists every suite under the names of IANA, OpenSSL and z/VM",
        );
    };
    let ciphers::State::NotImplemented { reason, nearest } = found.state() else {
        return element.error(
            format!("{} is not offered by this version", found.iana),
            "`adjunct ciphers` lists what is",
        );
    };
    let nearest = ciphers::by_code(nearest).map_or_else(String::new, |cipher| {
        let code = match found.spelling {
            ciphers::Spelling::Code => cipher.iana.to_owned(),
            _ => cipher.code.to_string(),
        };
        format!("the nearest that works is \"{}\" ({code})", cipher.name(found.spelling))
    });
    let also = match (found.code, found.spelling) {
        (Code::Tls(code), ciphers::Spelling::Iana) => format!("{code:04X}"),
        (_, ciphers::Spelling::Code) => found.iana.to_owned(),
        (code, _) => format!("{code}, {}", found.iana),
    };
    element
        .error(format!("\"{shown}\" ({also}) is not offered by this version: {reason}"), nearest);
}

fn did_you_mean(text: &str, known: impl Iterator<Item = &'static str>) -> String {
    keys::nearest(text, known).map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default()
}

/// Reads `suites`, `enable` and `exempt` of a service, and joins them with those of the server.
pub(super) fn suites(table: &Table<'_>, versions: Versions, server: &Server) -> Vec<&'static str> {
    let offered = |suite: &Suite| if suite.tls13 { versions.tls13 } else { versions.tls12 };
    let read = |name| table.get(name).map(|node| list(&node, name == "exempt"));
    let given = read("suites");
    let (enable, exempt) = (read("enable").unwrap_or_default(), read("exempt").unwrap_or_default());
    let mut chosen: Vec<&'static Suite> = match &given {
        Some(names) => names.suites().collect(),
        None => SUITES.iter().filter(|suite| offered(suite)).collect(),
    };
    let by_server = |suite: &&Suite| server.enable.contains(&suite.name);
    for suite in SUITES.iter().filter(by_server).chain(enable.suites()) {
        if offered(suite) && !chosen.contains(&suite) {
            chosen.push(suite);
        }
    }
    let bar = |suite: &Suite| match suite {
        _ if server.exempt.contains(&suite.name) => Some("`exempt` of [server]"),
        _ if exempt.has(suite) => Some("`exempt`"),
        _ => None,
    };
    let written = given.iter().flat_map(|names| &names.served).chain(&enable.served);
    for (suite, node) in written {
        if let Some(bar) = bar(suite) {
            node.warning(
                format!("{} is not offered: it stands in {bar}, which wins", suite.name),
                "take it out of one of the two",
            );
        }
    }
    chosen.retain(|suite| bar(suite).is_none());
    let faulty = given.as_ref().is_some_and(|names| names.faulty) || enable.faulty || exempt.faulty;
    match table.get("suites") {
        Some(node) if given.is_some_and(|names| names.served.is_empty()) && !faulty => {
            node.error("the list is empty: no client could connect", "leave the key out for all");
        }
        _ if faulty => {}
        _ => each_version_has_a_suite(table, versions, &chosen),
    }
    chosen.iter().map(|suite| suite.name).collect()
}

/// A version that is offered without a suite of its own would fail every client.
fn each_version_has_a_suite(table: &Table<'_>, versions: Versions, chosen: &[&Suite]) {
    let place = table.get("suites").or_else(|| table.get("exempt")).or_else(|| table.get("name"));
    let offered = [(versions.tls12, false, "1.2"), (versions.tls13, true, "1.3")];
    for (_, tls13, version) in offered.into_iter().filter(|(on, ..)| *on) {
        if chosen.iter().any(|suite| suite.tls13 == tls13) {
            continue;
        }
        if let Some(node) = &place {
            node.error(
                format!("no suite of TLS {version} is left, but that version is offered"),
                format!("add a suite of TLS {version}, or take {version} out of `versions`"),
            );
        }
    }
}

/// Reads `groups`.
pub(super) fn groups(table: &Table<'_>) -> Vec<&'static str> {
    let Some(node) = table.get("groups") else { return GROUPS.to_vec() };
    let mut chosen = Vec::new();
    let elements = node.elements().unwrap_or_default();
    if elements.is_empty() {
        node.error("the list is empty: no client could connect", "leave the key out for all");
    }
    for element in elements {
        let Some(text) = element.text() else { continue };
        match groups::find(text) {
            Some(groups::State::Implemented(name)) if chosen.contains(&name) => {
                element.error(format!("{name} is named twice"), "remove one of them");
            }
            Some(groups::State::Implemented(name)) => chosen.push(name),
            Some(groups::State::NotImplemented { reason, nearest }) => element.error(
                format!("\"{text}\" is not offered by this version: {reason}"),
                format!("the nearest that works is \"{nearest}\""),
            ),
            None => {
                let hint = did_you_mean(text, groups::names());
                element.error(
                    format!("\"{}\" is the name of no group{hint}", text.escape_default()),
                    format!("write out of: {}", GROUPS.join(", ")),
                );
            }
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Report, Severity, parse};

    const SERVICE: &str = "\
[[service]]
name = \"a\"
listen = \"127.0.0.1:992\"
backend = \"127.0.0.1:23\"
cert = \"a.pem\"
key = \"a.key\"
";

    /// What a service with `lines` makes of its lists, with `server` in front.
    fn read(server: &str, lines: &str) -> Report {
        parse(Path::new("/etc/adjunct.toml"), &format!("{server}\n{SERVICE}{lines}\n"))
    }

    fn suites(server: &str, lines: &str) -> Vec<&'static str> {
        let report = read(server, lines);
        report.config.unwrap_or_else(|| panic!("{:#?}", report.faults)).services[0].suites.clone()
    }

    /// What and remedy of the only fault.
    fn fault(server: &str, lines: &str) -> (String, String) {
        let report = read(server, lines);
        assert_eq!(report.faults.len(), 1, "{:#?}", report.faults);
        (report.faults[0].what.clone(), report.faults[0].remedy.clone())
    }

    #[test]
    fn a_suite_may_be_written_in_every_spelling() {
        for text in [
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "ECDHE-RSA-AES256-GCM-SHA384",
            "ECDHE_RSA_AES_256_GCM_SHA384",
            "ecdhe_rsa_aes_256_gcm_sha384",
            "C030",
            "0xc030",
        ] {
            let lines = format!("versions = [\"TLSV1_2\"]\nsuites = [\"{text}\"]");
            assert_eq!(suites("", &lines), ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"], "{text}");
        }
        let (what, _) = fault("", "versions = [\"1.2\"]\nsuites = [\"C030\", \"c030\"]");
        assert!(what.contains("named twice"), "{what}");
    }

    #[test]
    fn a_suite_that_is_not_served_has_a_reason_and_the_nearest_in_its_spelling() {
        for (text, reason, nearest) in [
            ("RSA_AES_128", "(002F, TLS_RSA_WITH_AES_128_CBC_SHA)", "ECDHE_RSA_AES_128_GCM_SHA256"),
            ("DHE-RSA-AES256-GCM-SHA384", "finite-field", "ECDHE-RSA-AES256-GCM-SHA384"),
            ("TLS_RSA_WITH_RC4_128_SHA", "RC4 is forbidden", "TLS_ECDHE_RSA_WITH_AES_128_GCM"),
            ("C024", "CBC with a MAC", "C02C"),
            ("RC2_128_MD5", "(SSLv2-3,", "ECDHE_RSA_AES_128_GCM_SHA256"),
            ("1304", "AES-CCM", "1301"),
        ] {
            for key in ["suites", "enable"] {
                let (what, remedy) = fault("", &format!("{key} = [\"{text}\"]"));
                assert!(what.contains(reason), "{text}: {what}");
                assert!(remedy.contains(&format!("\"{nearest}")), "{text}: {remedy}");
            }
            let (what, _) = fault(&format!("[server]\nenable = [\"{text}\"]"), "");
            assert!(what.contains(reason), "{text}: {what}");
        }
    }

    #[test]
    fn an_unknown_suite_is_an_error_with_what_was_meant() {
        for key in ["suites", "enable", "exempt"] {
            let (what, remedy) = fault("", &format!("{key} = [\"ECDHE_RSA_AES128_GCM_SHA256\"]"));
            assert!(what.contains("did you mean \"ECDHE_RSA_AES_128_GCM_SHA256\"?"), "{what}");
            assert!(remedy.contains("adjunct ciphers"), "{remedy}");
        }
    }

    #[test]
    fn what_is_exempt_is_not_offered_wherever_it_is_enabled() {
        let chacha = "TLS_CHACHA20_POLY1305_SHA256";
        assert!(suites("", "").contains(&chacha));
        for (server, lines) in [
            ("", "exempt = [\"1303\"]"),
            ("[server]\nexempt = [\"1303\"]", ""),
            ("[server]\nenable = [\"1303\"]", "exempt = [\"1303\"]"),
            ("[server]\nexempt = [\"1303\"]", "enable = [\"1303\"]"),
            ("[server]\nexempt = [\"1303\"]", "suites = [\"1303\", \"1301\", \"C02F\"]"),
            ("", "enable = [\"1303\"]\nexempt = [\"TLS_CHACHA20_POLY1305_SHA256\"]"),
        ] {
            assert!(!suites(server, lines).contains(&chacha), "{server} {lines}");
        }
        // Where both stand in what binds the service, the operator is told.
        let report = read("[server]\nexempt = [\"1303\"]", "enable = [\"1303\"]");
        assert_eq!(report.faults[0].severity, Severity::Warning);
        assert!(report.faults[0].what.contains("`exempt` of [server], which wins"));
    }

    #[test]
    fn enable_adds_behind_the_list_of_the_service() {
        let lines = "versions = [\"1.2\"]\nsuites = [\"C030\"]\nenable = [\"C02F\"]";
        let expected = [
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ];
        // The server's enable in our order, that of TLS 1.3 for services that offer it.
        assert_eq!(suites("[server]\nenable = [\"1301\", \"C02B\"]", lines), expected);
    }

    #[test]
    fn weak_suites_may_be_exempt_by_their_old_names_which_changes_nothing() {
        let all = suites("", "");
        let weak = "exempt = [\"RC4_128_SHA\", \"RSA_AES_128\", \"NULL\", \"RC2_128_MD5\"]";
        assert_eq!(suites(&format!("[server]\n{weak}"), weak), all);
    }

    #[test]
    fn a_version_without_a_suite_is_an_error() {
        let all13 = "[server]\nexempt = [\"1301\", \"1302\", \"1303\"]";
        let (what, remedy) = fault(all13, "");
        assert!(what.contains("no suite of TLS 1.3 is left"), "{what}");
        assert!(remedy.contains("take 1.3 out"), "{remedy}");
        assert_eq!(suites(all13, "versions = [\"1.2\"]").len(), 6);
    }

    #[test]
    fn levels_of_the_ssl_server_are_versions() {
        let versions = |text: &str| {
            let report = read("", &format!("versions = [\"{text}\"]"));
            report.config.map(|config| config.services[0].versions)
        };
        for text in ["1.2", "TLSV1_2", "TLSv1.2"] {
            assert!(versions(text).is_some_and(|on| on.tls12 && !on.tls13), "{text}");
        }
        assert!(versions("TLSV1_3").is_some_and(|on| on.tls13 && !on.tls12));
        for text in ["TLSV1_1", "TLSV1_0", "SSLV3", "SSLV2"] {
            let (what, _) = fault("", &format!("versions = [\"{text}\"]"));
            assert!(what.contains("deprecated"), "{text}: {what}");
        }
        let (what, _) = fault("", "versions = [\"-TLSV1_1\"]");
        assert!(what.contains("not a protocol version"), "{what}");
    }

    #[test]
    fn groups_of_other_servers_are_refused_with_the_nearest() {
        let report = read("", "groups = [\"P-256\", \"p256mlkem768\", \"X448\"]");
        let (what, remedy) = (&report.faults[0].what, &report.faults[0].remedy);
        assert!(what.contains("\"X448\" is not offered by this version"), "{what}");
        assert!(remedy.contains("\"secp521r1\""), "{remedy}");
        let (what, remedy) = fault("", "groups = [\"ffdhe2048\"]");
        assert!(what.contains("finite-field Diffie-Hellman"), "{what}");
        assert!(remedy.contains("\"secp256r1\""), "{remedy}");
        let (what, _) = fault("", "groups = [\"x25591\"]");
        assert!(what.contains("did you mean \"x25519\"?"), "{what}");
        let config = read("", "groups = [\"prime256v1\", \"P256MLKEM768\"]").config;
        let groups = config.map(|config| config.services[0].groups.clone());
        assert_eq!(groups, Some(vec!["secp256r1", "SecP256r1MLKEM768"]));
    }
}
