//! Reads `client_auth` of a service.
//!
//! Source: the modes are those of z/VM's CLIENTCERT (NONE, PREFERRED, REQUIRED) and of AT-TLS'
//! `ClientAuthType` (Full, Required), under the names that most servers use.

use std::ops::Range;
use std::path::Path;

use toml::de::DeValue;

use super::reader::{Node, Table, Word};
use super::schema::ClientAuth;
use super::service::path;

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

/// The setting, and where its file of CAs is named.
pub(super) fn read(service: &Table<'_>, directory: &Path) -> (ClientAuth, Option<Range<usize>>) {
    let Some(node) = service.get("client_auth") else { return Default::default() };
    if !matches!(node.value(), DeValue::Table(_)) {
        read_word(&node);
        return Default::default();
    }
    let Some(table) = node.table("service.client_auth") else { return Default::default() };
    let mode = table.require("mode", EXAMPLE).and_then(|node| node.word(&MODES, &[]));
    let ca = table.get("ca");
    match mode {
        None => Default::default(),
        Some(Mode::None) => {
            if let Some(ca) = ca {
                ca.error(
                    "`ca` is given, but clients are not asked for a certificate",
                    "write mode = \"optional\" or \"required\", or take `ca` out",
                );
            }
            Default::default()
        }
        Some(mode) => {
            let Some(ca) = ca.or_else(|| table.require("ca", EXAMPLE)) else {
                return Default::default();
            };
            let Some(file) = path(&ca, directory) else { return Default::default() };
            let read = match mode {
                Mode::Required => ClientAuth::Required(file),
                _ => ClientAuth::Optional(file),
            };
            (read, Some(ca.span()))
        }
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
    use super::ClientAuth;

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
        let ca = PathBuf::from("/etc/adjunct/clients.pem");
        for none in ["client_auth = \"none\"", "client_auth = { mode = \"none\" }"] {
            assert_eq!(read(none), ClientAuth::None);
        }
        let of = |mode| format!("client_auth = {{ mode = \"{mode}\", ca = \"clients.pem\" }}");
        assert_eq!(read(&of("optional")), ClientAuth::Optional(ca.clone()));
        assert_eq!(read(&of("required")), ClientAuth::Required(ca));
        for (line, key, said) in [
            ("client_auth = \"required\"", "", "which CAs to trust"),
            ("client_auth = { mode = \"required\" }", ".ca", "missing"),
            ("client_auth = { mode = \"optional\", ca = \"\" }", ".ca", "not a path"),
            ("client_auth = { ca = \"clients.pem\" }", ".mode", "missing"),
            (&of("none"), ".ca", "not asked"),
            (&of("requird"), ".mode", "did you mean \"required\""),
            ("client_auth = { mode = \"none\", crl = \"a\" }", ".crl", "unknown key"),
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
}
