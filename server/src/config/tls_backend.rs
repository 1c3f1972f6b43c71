//! Reads `tls_backend` of a service.

use std::ops::Range;
use std::path::Path;

use engine::backend::BackendName;
use toml::de::DeValue;

use super::reader::{Node, Table};
use super::schema::{Backend, TlsBackend};
use super::service::path;

/// What the setting looks like.
const EXAMPLE: &str = "write tls_backend = { ca = \"ca.pem\", server_name = \"mq.example\" }";

/// The setting, and where its file of CAs is named.
pub(super) fn read(
    service: &Table<'_>,
    directory: &Path,
) -> (Option<TlsBackend>, Option<Range<usize>>) {
    let Some(node) = service.get("tls_backend") else { return Default::default() };
    if !matches!(node.value(), DeValue::Table(_)) {
        if node.boolean() == Some(true) {
            node.error("TLS with backends needs to know which CAs to trust", EXAMPLE);
        }
        return Default::default();
    }
    let Some(table) = node.table("service.tls_backend") else { return Default::default() };
    let ca = table.require("ca", EXAMPLE);
    let name_node = table.get("server_name");
    let server_name = name_node.as_ref().and_then(server_name);
    let Some(file) = ca.as_ref().and_then(|ca| path(ca, directory)) else {
        return Default::default();
    };
    (Some(TlsBackend { ca: file, server_name }), ca.map(|ca| ca.span()))
}

fn server_name(node: &Node<'_>) -> Option<BackendName> {
    let text = node.text()?;
    let name = BackendName::parse(text);
    if name.is_none() {
        node.error(
            format!("\"{}\" can be no name in a certificate", text.escape_default()),
            "write the host name, or the address, that the backend's certificate is for",
        );
    }
    name
}

/// Every backend must have a name that its certificate can be for.
pub(super) fn check_names(service: &Table<'_>, tls: Option<&TlsBackend>, backends: &[Backend]) {
    let (Some(tls), Some(node)) = (tls, service.get("tls_backend")) else { return };
    if node.value().get("server_name").is_some() {
        return;
    }
    if let Some(backend) = backends.iter().find(|backend| tls.name_of(backend).is_none()) {
        node.error(
            format!("\"{}\" is no host name, so its certificate needs one", backend.text),
            EXAMPLE,
        );
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::{Report, parse};

    /// A service with one more line, which is the seventh.
    fn with(backend: &str, line: &str) -> Report {
        let text = format!(
            "[[service]]\nname = \"a\"\nlisten = \"127.0.0.1:992\"\nbackend = \"{backend}\"\n\
             cert = \"a.pem\"\nkey = \"a.key\"\n{line}\n"
        );
        parse(Path::new("/etc/adjunct/adjunct.toml"), &text)
    }

    #[test]
    fn backends_are_known_by_a_ca_and_a_name() {
        let read = |backend: &str, line: &str| {
            let service = with(backend, line).config.unwrap().services.remove(0);
            let tls = service.tls_backend.unwrap();
            assert_eq!(tls.ca, PathBuf::from("/etc/adjunct/ca.pem"));
            tls.name_of(&service.backends[0]).unwrap().to_string()
        };
        assert_eq!(read("localhost:9", "tls_backend = { ca = \"ca.pem\" }"), "localhost");
        let named = "tls_backend = { ca = \"ca.pem\", server_name = \"mq.example\" }";
        for backend in ["localhost:9", "127.0.0.1:9", "[::1]:9", "unix:/run/a.sock"] {
            assert_eq!(read(backend, named), "mq.example");
        }
        assert_eq!(read("192.0.2.1:9", named), "mq.example", "no allow_remote_plaintext");
        let plain = with("127.0.0.1:9", "tls_backend = false");
        assert_eq!(plain.config.unwrap().services[0].tls_backend, None);
    }

    #[test]
    fn every_wrong_form_is_refused_where_it_stands() {
        for (backend, setting, key, said) in [
            ("localhost:9", "true", "", "which CAs to trust"),
            ("localhost:9", "\"yes\"", "", "text"),
            ("localhost:9", "{ server_name = \"a\" }", ".ca", "missing"),
            ("localhost:9", "{ ca = \"\" }", ".ca", "not a path"),
            ("127.0.0.1:9", "{ ca = \"a\" }", "", "no host name"),
            ("[::1]:9", "{ ca = \"a\" }", "", "no host name"),
            ("unix:/run/a", "{ ca = \"a\" }", "", "no host name"),
            ("127.0.0.1:9", "{ ca = \"a\", server_name = \"a b\" }", ".server_name", "no name"),
            ("localhost:9", "{ ca = \"a\", cert = \"c\" }", ".cert", "not in this version"),
            ("localhost:9", "{ ca = \"a\", key = \"k\" }", ".key", "not in this version"),
            ("localhost:9", "{ ca = \"a\", verify = false }", ".verify", "unknown key"),
        ] {
            let report = with(backend, &format!("tls_backend = {setting}"));
            assert_eq!(report.faults.len(), 1, "{setting}: {:#?}", report.faults);
            let fault = &report.faults[0];
            assert_eq!(fault.place.map(|place| place.line), Some(7), "{setting}");
            assert_eq!(fault.key, format!("service.a.tls_backend{key}"), "{setting}");
            assert!(fault.what.contains(said), "{setting}: {}", fault.what);
        }
    }
}
