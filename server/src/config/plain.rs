//! Reads `tls`: whether clients of a service speak TLS.
//!
//! One word takes TLS off a service that is otherwise complete (as `TTLSEnabled Off` of AT-TLS
//! does), and puts it on again. So its certificate stays required, and what only says how TLS would
//! be spoken may stand; what would protect the service, and cannot without TLS, is an error.

use super::reader::{Node, Table};
use super::schema::{Server, Tls};

/// What must not stand beside it, and why.
const PROTECTS: [(&str, &str); 5] = [
    ("mode", "no mode approves data in clear"),
    ("audit", "a mode would have nothing to watch"),
    ("client_auth", "clients have no way to show a certificate"),
    ("sni", "clients have no way to ask for a name"),
    ("sni_required", "clients have no way to ask for a name"),
];

/// Reads it.
pub(super) fn read(table: &Table<'_>, server: &Server) -> Tls {
    let Some(node) = table.get("tls") else { return Tls::On };
    let tls = node.word(&[("on", Tls::On), ("off", Tls::Off)], &[]).unwrap_or_default();
    if tls == Tls::Off {
        for (name, reason) in PROTECTS {
            if let Some(other) = table.get(name) {
                refuse(&other, &format!("`{name}` is given, but TLS is off: {reason}"));
            }
        }
        if !(server.mode.is_empty() && server.audit.is_empty()) {
            refuse(&node, "a mode of [server] holds for every service, and none approves this");
        }
        node.warning(
            "TLS is off: what clients send and get can be read and changed on its way",
            "write tls = \"on\", or leave it out, as soon as it can be",
        );
    }
    tls
}

fn refuse(node: &Node<'_>, what: &str) {
    node.error(what, "write tls = \"on\", or take the other one out");
}

#[cfg(test)]
mod tests {
    use super::super::schema::Tls;
    use super::super::tests::with;

    #[test]
    fn a_service_without_tls_is_warned_of() {
        let report = with("tls = \"off\"");
        let [fault] = report.faults.as_slice() else { panic!("{:?}", report.faults) };
        assert!(fault.what.contains("TLS is off") && fault.remedy.contains("tls = \"on\""));
        assert_eq!(report.config.unwrap().services[0].tls, Tls::Off);
        assert!(with("tls = \"on\"").faults.is_empty());
    }

    #[test]
    fn what_tls_would_do_is_not_left_undone() {
        for (line, reason) in [
            ("mode = [\"fips-140-3\"]", "no mode approves"),
            ("audit = [\"fips-140-3\"]", "nothing to watch"),
            ("client_auth = \"none\"", "no way to show a certificate"),
            ("sni = \"a.example\"", "ask for a name"),
            ("sni_required = true", "ask for a name"),
        ] {
            let report = with(&format!("tls = \"off\"\n{line}"));
            let faults = report.faults.iter().map(|fault| fault.what.as_str());
            assert!(faults.clone().any(|what| what.contains(reason)), "{line}: {faults:?}");
            assert!(report.config.is_none(), "{line}");
        }
    }
}
