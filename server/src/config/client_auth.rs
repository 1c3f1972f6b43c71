//! Reads `client_auth` of a service.
//!
//! Source: the modes are those of z/VM's CLIENTCERT (NONE, PREFERRED, REQUIRED) and of AT-TLS'
//! `ClientAuthType` (Full, Required), under the names that most servers use.

use std::ops::Range;
use std::path::{Path, PathBuf};

use engine::certs::{Leniency, RevocationDepth, RevocationRules};
use toml::de::DeValue;

use super::reader::{Node, Table, Word};
use super::service::path;

/// Whether clients must show a certificate, and by what it is judged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// They are not asked for one.
    #[default]
    None,
    /// They are asked, and go on without.
    Optional(ClientTrust),
    /// They are asked, and do not go on without.
    Required(ClientTrust),
}

/// By what a client's certificate is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTrust {
    /// PEM file of the CAs that may have issued it.
    pub ca: PathBuf,
    /// Files of revocation lists, PEM or DER; none if revocation is not checked.
    pub crl: Vec<PathBuf>,
    /// How these are applied.
    pub rules: RevocationRules,
}

impl ClientAuth {
    /// By what certificates are judged.
    #[must_use]
    pub fn trust(&self) -> Option<&ClientTrust> {
        match self {
            Self::None => None,
            Self::Optional(trust) | Self::Required(trust) => Some(trust),
        }
    }
}

#[derive(Clone, Copy)]
enum Mode {
    None,
    Optional,
    Required,
}

const MODES: [Word<Mode>; 3] =
    [("none", Mode::None), ("optional", Mode::Optional), ("required", Mode::Required)];

/// Where the setting stands as a table, this is what it looks like.
const EXAMPLE: &str = "write client_auth = { mode = \"required\", ca = \"clients-ca.pem\" }";

/// Where the files of the setting are named.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Of the file of CAs.
    pub(super) ca: Option<Range<usize>>,
    /// One per file of revocation lists.
    pub(super) crl: Vec<Range<usize>>,
}

/// The setting, and where its files are named.
pub(super) fn read(service: &Table<'_>, directory: &Path) -> (ClientAuth, Places) {
    let Some(node) = service.get("client_auth") else { return Default::default() };
    if !matches!(node.value(), DeValue::Table(_)) {
        read_word(&node);
        return Default::default();
    }
    let Some(table) = node.table("service.client_auth") else { return Default::default() };
    let mode = table.require("mode", EXAMPLE).and_then(|node| node.word(&MODES, &[]));
    match mode {
        None => Default::default(),
        Some(Mode::None) => {
            for name in ["ca", "crl", "crl_depth", "crl_unknown", "crl_expired"] {
                if let Some(node) = table.get(name) {
                    node.error(
                        format!("`{name}` is given, but clients are not asked for a certificate"),
                        format!("write mode = \"optional\" or \"required\", or take `{name}` out"),
                    );
                }
            }
            Default::default()
        }
        Some(mode) => {
            let Some(node) = table.require("ca", EXAMPLE) else { return Default::default() };
            let (crl, places) = lists(&table, directory);
            let rules = rules(&table);
            let Some(ca) = path(&node, directory) else { return Default::default() };
            let trust = ClientTrust { ca, crl, rules };
            let read = match mode {
                Mode::Required => ClientAuth::Required(trust),
                _ => ClientAuth::Optional(trust),
            };
            (read, Places { ca: Some(node.span()), crl: places })
        }
    }
}

/// The files of revocation lists.
fn lists(table: &Table<'_>, directory: &Path) -> (Vec<PathBuf>, Vec<Range<usize>>) {
    let Some(node) = table.get("crl") else { return Default::default() };
    let elements = node.elements().unwrap_or_default();
    let read = |node: &Node<'_>| Some((path(node, directory)?, node.span()));
    elements.iter().filter_map(read).unzip()
}

/// How the lists are applied; without any, that would be a wish nobody fulfils.
fn rules(table: &Table<'_>) -> RevocationRules {
    let has_lists = table.get("crl").is_some_and(|node| match node.value() {
        DeValue::Array(files) => !files.is_empty(),
        _ => true,
    });
    for name in ["crl_depth", "crl_unknown", "crl_expired"] {
        if let Some(node) = table.get(name).filter(|_| !has_lists) {
            node.error(
                format!("`{name}` is given, but there is no revocation list"),
                "name the files of the lists: crl = [\"ca.crl\"]",
            );
        }
    }
    let lenient = |name| {
        let words = [("refuse", Leniency::Refuse), ("accept", Leniency::Accept)];
        table.get(name).and_then(|node| node.word(&words, &[])).unwrap_or_default()
    };
    let depths = [("chain", RevocationDepth::Chain), ("leaf", RevocationDepth::Leaf)];
    let depth = table.get("crl_depth").and_then(|node| node.word(&depths, &[]));
    RevocationRules {
        depth: depth.unwrap_or_default(),
        unknown: lenient("crl_unknown"),
        expired: lenient("crl_expired"),
    }
}

/// Only `none` can stand alone: the other modes need to be told whom to trust.
fn read_word(node: &Node<'_>) {
    if let Some(Mode::Optional | Mode::Required) = node.word(&MODES, &[]) {
        node.error("this mode needs to know which CAs to trust", EXAMPLE);
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::{Report, parse};
    use engine::certs::{Leniency, RevocationDepth, RevocationRules};

    use super::{ClientAuth, ClientTrust};

    /// A service with one more line, which is the seventh.
    fn with(line: &str) -> Report {
        let text = format!(
            "[[service]]\nname = \"a\"\nlisten = \"127.0.0.1:992\"\nbackend = \"127.0.0.1:23\"\n\
             cert = \"a.pem\"\nkey = \"a.key\"\n{line}\n"
        );
        parse(Path::new("/etc/adjunct/adjunct.toml"), &text)
    }

    #[test]
    fn client_certificates_need_a_mode_and_a_file_of_cas() {
        let read = |line: &str| with(line).config.unwrap().services.remove(0).client_auth;
        let trust = ClientTrust {
            ca: PathBuf::from("/etc/adjunct/clients.pem"),
            crl: Vec::new(),
            rules: RevocationRules::default(),
        };
        for none in ["client_auth = \"none\"", "client_auth = { mode = \"none\" }"] {
            assert_eq!(read(none), ClientAuth::None);
        }
        let and = |more: &str| {
            format!("client_auth = {{ mode = \"required\", ca = \"clients.pem\", {more} }}")
        };
        let of = |mode| format!("client_auth = {{ mode = \"{mode}\", ca = \"clients.pem\" }}");
        assert_eq!(read(&of("optional")), ClientAuth::Optional(trust.clone()));
        assert_eq!(read(&of("required")), ClientAuth::Required(trust));
        for (line, key, said) in [
            ("client_auth = \"required\"", "", "which CAs to trust"),
            ("client_auth = { mode = \"required\" }", ".ca", "missing"),
            ("client_auth = { mode = \"optional\", ca = \"\" }", ".ca", "not a path"),
            ("client_auth = { ca = \"clients.pem\" }", ".mode", "missing"),
            (&of("none"), ".ca", "not asked"),
            (&of("requird"), ".mode", "did you mean \"required\""),
            ("client_auth = { mode = \"none\", crl = [\"a\"] }", ".crl", "not asked"),
            ("client_auth = { mode = \"none\", ocsp = true }", ".ocsp", "unknown key"),
            (&and("crl = \"a\""), ".crl", "a list"),
            (&and("crl = [\"\"]"), ".crl", "not a path"),
            (&and("crl_depth = \"leaf\""), ".crl_depth", "no revocation list"),
            (&and("crl = [], crl_unknown = \"accept\""), ".crl_unknown", "no revocation list"),
            (&and("crl = [\"a\"], crl_expired = \"ignore\""), ".crl_expired", "not a word"),
            ("client_auth = true", "", "text"),
        ] {
            let report = with(line);
            assert_eq!(report.faults.len(), 1, "{:#?}", report.faults);
            let fault = &report.faults[0];
            assert_eq!(fault.place.map(|place| place.line), Some(7), "{line}");
            assert_eq!(fault.key, format!("service.a.client_auth{key}"), "{line}");
            assert!(fault.what.contains(said), "{line}: {}", fault.what);
        }
    }

    #[test]
    fn revocation_is_checked_strictly_unless_said_otherwise() {
        let read = |more: &str| {
            let line =
                format!("client_auth = {{ mode = \"optional\", ca = \"clients.pem\", {more} }}");
            let auth = with(&line).config.unwrap().services.remove(0).client_auth;
            let trust = auth.trust().unwrap().clone();
            (trust.crl, trust.rules)
        };
        let files = ["a.crl", "b.pem"].map(|name| Path::new("/etc/adjunct").join(name)).to_vec();
        let (crl, rules) = read("crl = [\"a.crl\", \"b.pem\"]");
        assert_eq!((crl, rules), (files, RevocationRules::default()));
        let strict = RevocationRules {
            depth: RevocationDepth::Chain,
            unknown: Leniency::Refuse,
            expired: Leniency::Refuse,
        };
        assert_eq!(rules, strict);
        let (_, rules) = read(
            "crl = [\"a\"], crl_depth = \"leaf\", crl_unknown = \"accept\", \
             crl_expired = \"accept\"",
        );
        let lax = RevocationRules {
            depth: RevocationDepth::Leaf,
            unknown: Leniency::Accept,
            expired: Leniency::Accept,
        };
        assert_eq!(rules, lax);
    }
}
