//! Every key of the configuration file, its type and its default.
//!
//! The reader knows a key only if it stands here, and the reference page
//! (`docs/reference/config.md`) is compared with this table by a test; so neither can fall behind.

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Table it stands in, `""` for the top of the file; `service.timeouts` for a nested one.
    pub table: &'static str,
    /// Name.
    pub name: &'static str,
    /// Type and range, as in the reference page.
    pub kind: &'static str,
    /// Default, as in the reference page; [`REQUIRED`] or [`LATER`] where there is none.
    pub default: &'static str,
}

/// Marks a key that must be given.
pub const REQUIRED: &str = "required";

/// Marks a key that is known but belongs to a later version: giving it is an error, never ignored.
pub const LATER: &str = "not in this version";

const fn key(
    table: &'static str,
    name: &'static str,
    kind: &'static str,
    default: &'static str,
) -> Key {
    Key { table, name, kind, default }
}

/// All keys, in the order of the reference page.
pub const KEYS: &[Key] = &[
    key("", "server", "table", "see [server]"),
    key("", "cpacf", "table", "see [cpacf]"),
    key("", "card", "list of tables", "one CEX8A and one CEX8C"),
    key("", "route", "table", "see [route]"),
    key("", "admin", "table", "see [admin]"),
    key("", "tickets", "table", "see [tickets]"),
    key("", "service", "list of tables", REQUIRED),
    key("", "cex", "table", "see [cex]"),
    key("", "fault", "list of tables", "none"),
    key("server", "workers", "integer 0..256", "0"),
    key("server", "mode", "list of modes", "[]"),
    key("server", "audit", "list of modes", "[]"),
    key("server", "offload", "\"fiber\", \"pool\" or \"inline\"", "\"fiber\""),
    key("server", "log", "table", "see [server] log"),
    key("server", "drain", "duration 0s..1h", "\"30s\""),
    key("server", "fault_injection", "boolean", "false"),
    key("server", "limits", "table", "see [server] limits"),
    key("server", "keydb", "path", "none"),
    key("server", "stash", "path", "keydb with .stash after it"),
    key("server", "enable", "list of names", "[]"),
    key("server", "exempt", "list of names", "[]"),
    key("server.log", "format", "\"json\" or \"text\"", "\"json\""),
    key("server.log", "target", "\"stderr\" or path", "\"stderr\""),
    key("server.limits", "connections", "integer 1..1000000", "50000"),
    key("server.limits", "per_peer", "integer 1..1000000", "no limit"),
    key("server.limits", "hello", "integer 1..1000000", "4096"),
    key("cpacf", "provider", "\"host\" or \"portable\"", "\"host\""),
    key("card", "id", "integer 0..255", REQUIRED),
    key("card", "type", "\"CEX8A\" or \"CEX8C\"", REQUIRED),
    key("card", "domains", "list of integers 0..255", REQUIRED),
    key("card", "engine", "\"auto\", \"single\" or \"batch\"", "\"auto\""),
    key("route", "rsa", "\"cex\"", "\"cex\""),
    key("route", "ecdsa", "\"auto\", \"cex\" or \"cpacf\"", "\"auto\""),
    key("route", "no_card", "\"fail\" or \"software\"", "\"fail\""),
    key("route", "verify", "\"rsa\" or \"all\"", "\"rsa\""),
    key("admin", "socket", "path", "none"),
    key("cex", "waiting", "integer 1..1000000", "4096"),
    key("cex", "waiting_age", "duration 100ms..10m", "\"5s\""),
    key("cex", "reply", "duration 100ms..10m", "\"1500ms\""),
    key("fault", "at", "text", REQUIRED),
    key("fault", "what", "word", REQUIRED),
    key("fault", "latency", "duration 1ms..1h", "only with slow"),
    key("fault", "code", "two hexadecimal digits", "only with response and error-reply"),
    key("tickets", "rotate", "duration 1m..7d", "\"1h\""),
    key("tickets", "lifetime", "duration 1m..7d", "\"12h\""),
    key("service", "name", "text", REQUIRED),
    key("service", "listen", "address or list", REQUIRED),
    key("service", "backend", "address or list", REQUIRED),
    key("service", "tls", "\"on\" or \"off\"", "\"on\""),
    key("service", "cert", "path or list of { cert, key }", "required without label"),
    key("service", "key", "path", "required with a single cert"),
    key("service", "sni", "name or list, or \"required\"", "[]"),
    key("service", "sni_required", "boolean", "false"),
    key("service", "alpn", "list of text", "[]"),
    key("service", "tls_backend", "false or { ca, server_name }", "false"),
    key("service", "client_auth", "\"none\" or { mode, ca, crl, .. }", "\"none\""),
    key("service", "accept_proxy", "list of networks", "[]"),
    key("service", "proxy_protocol", "\"none\", \"v1\" or \"v2\"", "\"none\""),
    key("service", "tickets", "integer 0..8", "2"),
    key("service", "session_cache", "integer 0..1000000", "4096"),
    key("service", "versions", "list of \"1.2\", \"1.3\"", "[\"1.2\", \"1.3\"]"),
    key("service", "suites", "list of names", "all"),
    key("service", "enable", "list of names", "[]"),
    key("service", "exempt", "list of names", "[]"),
    key("service", "groups", "list of names", "all"),
    key("service", "timeouts", "table", "see [[service]] timeouts"),
    key("service", "limits", "table", "see [[service]] limits"),
    key("service", "allow_remote_plaintext", "boolean", "false"),
    key("service", "health", "table", "see [[service]] health"),
    key("service", "mode", "list of modes", "mode of [server]"),
    key("service", "audit", "list of modes", "audit of [server]"),
    key("service", "label", "text or list", "none"),
    key("service.cert", "cert", "path", REQUIRED),
    key("service.cert", "key", "path", REQUIRED),
    key("service.client_auth", "mode", "\"none\", \"optional\" or \"required\"", REQUIRED),
    key("service.client_auth", "ca", "path", "required unless mode is \"none\""),
    key("service.client_auth", "crl", "list of paths", "[]"),
    key("service.client_auth", "crl_depth", "\"chain\" or \"leaf\"", "\"chain\""),
    key("service.client_auth", "crl_unknown", "\"refuse\" or \"accept\"", "\"refuse\""),
    key("service.client_auth", "crl_expired", "\"refuse\" or \"accept\"", "\"refuse\""),
    key("service.tls_backend", "ca", "path", REQUIRED),
    key("service.tls_backend", "server_name", "name", "host name of the backend"),
    key("service.tls_backend", "cert", "path", LATER),
    key("service.tls_backend", "key", "path", LATER),
    key("service.timeouts", "handshake", "duration 100ms..5m", "\"10s\""),
    key("service.timeouts", "connect", "duration 10ms..5m", "\"5s\""),
    key("service.timeouts", "idle", "duration 1s..7d", "\"1h\""),
    key("service.timeouts", "drain", "duration 0s..1h", "drain of [server]"),
    key("service.health", "retry", "duration 100ms..10m", "\"1s\""),
    key("service.health", "retry_max", "duration 100ms..1h", "\"1m\""),
    key("service.limits", "connections", "integer 1..1000000", "20000"),
    key("service.limits", "handshakes", "integer 1..100000", "4096"),
    key("service.limits", "per_peer", "integer 1..1000000", "no limit"),
];

/// The keys of one table.
pub(super) fn of_table(table: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.table == table)
}

/// The word of `candidates` that was probably meant by `word`.
pub(super) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    /// Below this likeness a suggestion confuses more than it helps.
    const ENOUGH: f64 = 0.75;
    let wanted = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&wanted, &known.to_ascii_lowercase()), known))
        .filter(|(likeness, _)| *likeness >= ENOUGH)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::{KEYS, nearest, of_table};

    #[test]
    fn a_key_stands_once_in_its_table() {
        for key in KEYS {
            let same = KEYS.iter().filter(|k| (k.table, k.name) == (key.table, key.name));
            assert_eq!(same.count(), 1, "{}.{}", key.table, key.name);
        }
    }

    #[test]
    fn a_typing_error_finds_its_key() {
        let service = || of_table("service").map(|key| key.name);
        assert_eq!(nearest("backends", service()), Some("backend"));
        assert_eq!(nearest("certificate", service()), Some("cert"));
        assert_eq!(nearest("lisen", service()), Some("listen"));
        assert_eq!(nearest("zzz", service()), None);
    }
}
