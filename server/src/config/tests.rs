//! The configuration as an operator writes it, right and wrong.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::schema::{
    BackendAddress, Card, CardEngine, CardType, Cex, EcdsaRoute, HealthPolicy, LogFormat,
    LogTarget, NoCard, ProxyProtocol, ServerName, Verify,
};
use super::{
    BuildFault, CertFault, CertSummary, Config, Fault, Inspect, KEYS, LATER, Look, REQUIRED,
    Report, Severity, load, parse,
};
use crate::exit::Exit;

const MINIMAL: &str = r#"
[[service]]
name = "tn3270"
listen = "0.0.0.0:992"
backend = "127.0.0.1:23"
cert = "tn3270.pem"
key = "tn3270.key"
"#;

fn read(text: &str) -> Report {
    parse(Path::new("/etc/adjunct/adjunct.toml"), text)
}

/// The faults of `MINIMAL` with more lines in its service.
pub(super) fn with(lines: &str) -> Report {
    read(&format!("{MINIMAL}{lines}\n"))
}

/// The only fault of a report, as (line, key, what, remedy).
pub(super) fn only(report: &Report) -> (usize, &str, &str, &str) {
    assert_eq!(report.faults.len(), 1, "{:#?}", report.faults);
    assert!(report.config.is_none());
    let Fault { place, key, what, remedy, .. } = &report.faults[0];
    (place.unwrap().line, key, what, remedy)
}

#[test]
fn five_lines_do() {
    let report = read(MINIMAL);
    assert_eq!(report.faults, []);
    let config = report.config.unwrap();
    let service = &config.services[0];
    assert_eq!(service.listen, ["0.0.0.0:992".parse::<SocketAddr>().unwrap()]);
    assert_eq!(service.certificates[0].cert, PathBuf::from("/etc/adjunct/tn3270.pem"));
    assert_eq!(service.tickets, 2);
    assert_eq!(service.suites.len(), 9);
    assert_eq!(service.groups[0], "X25519MLKEM768");
    assert_eq!(service.timeouts.handshake, Duration::from_secs(10));
    assert_eq!(service.limits.connections, 20_000);
    assert_eq!(config.server.log.format, LogFormat::Json);
    assert!(!service.sni_required && config.cards.is_empty() && config.admin_socket.is_none());
}

#[test]
fn the_whole_vocabulary_is_read() {
    let config = read(include_str!("../../docs/examples/full.toml"));
    assert_eq!(config.faults, []);
    let config = config.config.unwrap();
    assert_eq!(config.server.workers, 4);
    assert_eq!(config.server.log.target, LogTarget::File("/var/log/adjunct/adjunct.log".into()));
    assert_eq!(config.server.drain, Duration::from_secs(60));
    let card = |id, kind, domains: &[u8]| Card {
        id,
        kind,
        domains: domains.to_vec(),
        engine: CardEngine::Auto,
    };
    let expected = [card(0, CardType::Cex8A, &[6, 7]), card(1, CardType::Cex8C, &[6])];
    assert_eq!(config.cards, expected);
    assert_eq!(config.route.ecdsa, EcdsaRoute::Cpacf);
    assert_eq!(config.route.no_card, NoCard::Software);
    assert_eq!(config.route.verify, Verify::All);
    let cex = Cex { waiting: 8192, waiting_age: Duration::from_secs(3), ..Cex::default() };
    assert_eq!((config.cex, config.faults.len()), (cex, 0));
    assert_eq!(config.admin_socket.as_deref(), Some(Path::new("/run/adjunct/admin.sock")));
    let mq = &config.services[1];
    assert_eq!(mq.certificates.len(), 2);
    assert_eq!(mq.sni, [ServerName::Exact("mq.example.com".into())]);
    assert_eq!(mq.proxy_protocol, ProxyProtocol::V2);
    assert_eq!(mq.backends.len(), 2);
    assert_eq!(mq.timeouts.drain, Duration::from_secs(60), "the server's default");
    assert_eq!(config.services[2].sni, [ServerName::Wildcard(".mq.example.com".into())]);
    assert!(config.services[2].sni_required);
}

#[test]
fn all_faults_come_at_once_and_in_order() {
    let report = read(
        r#"
[server]
workrs = 2
offload = "threads"
mode = ["fips-140-1"]
[[service]]
name = "a b"
listen = "localhost:992"
backend = ["unix:", "127.0.0.1"]
tickets = 9
timeouts = { idle = "1w" }
"#,
    );
    let lines: Vec<usize> = report.faults.iter().map(|f| f.place.unwrap().line).collect();
    assert_eq!(lines, [3, 4, 5, 6, 7, 8, 9, 9, 10, 11], "{:#?}", report.faults);
    assert_eq!(report.exit(), Exit::Config);
    assert!(report.faults.iter().all(|fault| !fault.remedy.is_empty()));
}

#[test]
fn an_unknown_key_is_an_error_with_a_suggestion() {
    let report = with("backends = \"127.0.0.1:24\"");
    let (line, key, what, _) = only(&report);
    assert_eq!((line, key), (8, "service.tn3270.backends"));
    assert_eq!(what, "unknown key; did you mean `backend`?");
    let report = with("handshake = \"3s\"");
    assert!(only(&report).3.contains("`handshake` is a key of [service.timeouts]"));
    assert_eq!(report.faults[0].place.unwrap().column, 1);
}

#[test]
fn a_provider_is_one_of_the_two_that_there_are() {
    let report = with("[cpacf]\nprovider = \"portable\"");
    if engine::crypto::HAS_PORTABLE {
        assert_eq!(report.faults, []);
        assert_eq!(report.config.unwrap().cpacf.provider, engine::crypto::Provider::Portable);
    } else {
        assert!(only(&report).2.contains("portable is for x86-64"));
    }
    let report = with("[cpacf]\nprovider = \"portible\"");
    let (_, key, what, remedy) = only(&report);
    assert_eq!(key, "cpacf.provider");
    assert!(what.contains("did you mean \"portable\"?"), "{what}");
    assert!(remedy.contains("\"host\""), "{remedy}");
}

#[test]
fn the_batch_engine_is_refused_where_the_processor_cannot() {
    let card = "[[card]]\nid = 0\ntype = \"CEX8A\"\ndomains = [1]\nengine = \"batch\"";
    let report = with(card);
    if engine::crypto::Cards::batches() {
        assert_eq!(report.faults, []);
        assert_eq!(report.config.unwrap().cards[0].engine, CardEngine::Batch);
    } else {
        let (_, key, what, remedy) = only(&report);
        assert_eq!(key, "card[0].engine");
        assert!(what.contains("AVX-512 IFMA") && remedy.contains("auto"));
    }
}

#[test]
fn what_this_version_lacks_is_said_and_never_ignored() {
    let report = with("[cpacf]\nprovider = \"s390x\"");
    let (_, key, what, _) = only(&report);
    assert_eq!(key, "cpacf.provider");
    assert!(what.contains("not in this version"), "{what}");
    assert_eq!(report.exit(), Exit::Config);
}

#[test]
fn words_and_types_are_checked() {
    for (line, what, remedy) in [
        (
            "[route]\nno_card = \"softwear\"",
            "did you mean \"software\"?",
            "\"fail\" or \"software\"",
        ),
        ("[server]\nworkers = \"2\"", "text where an integer is expected", "write an integer"),
        ("[server]\nworkers = -1", "-1 is out of range", "from 0 to 256"),
        ("tickets = 9", "9 is out of range", "from 0 to 8"),
        ("versions = [\"1.1\"]", "deprecated (RFC 8996)", "1.2"),
        ("suites = [\"TLS_RSA_WITH_RC4_128_SHA\"]", "not offered by this version", "TLS_ECDHE_RSA"),
        ("groups = [\"x25519\", \"X25519\"]", "x25519 is named twice", "remove"),
        ("suites = [\"TLS_AES_128_GCM_SHA256\"]", "no suite of TLS 1.2 is left", "take 1.2 out"),
        ("timeouts = { connect = \"1h\" }", "1h is out of range", "write \"10ms\" to \"5m\""),
        ("timeouts = { connect = 5 }", "an integer where a duration", "\"10s\""),
        ("sni = [\"10.0.0.1\"]", "not a name a client can ask for", "leave `sni` out"),
        ("sni = \"*.com\"", "not a name a client can ask for", "*.example.com"),
        ("sni = \"a.*.com\"", "not a name a client can ask for", "one whole label"),
        ("sni = [\"A.de\", \"a.de.\"]", "a.de is named twice", "remove"),
        ("alpn = [\"\"]", "1 to 255 bytes", "http/1.1"),
        ("[tickets]\nrotate = \"2h\"\nlifetime = \"1h\"", "tickets would die", "at least"),
        ("[service.x]", "unknown key", "keys known here"),
    ] {
        let report = with(line);
        let (_, _, found, cure) = only(&report);
        assert!(found.contains(what), "{line}: {found}");
        assert!(cure.contains(remedy), "{line}: {cure}");
    }
}

fn two(first: &str, second: &str) -> Report {
    let rest = "backend = \"127.0.0.1:23\"\ncert = \"a.pem\"\nkey = \"a.key\"\n";
    read(&format!(
        "[[service]]\nname = \"a\"\n{rest}{first}\n[[service]]\nname = \"b\"\n{rest}{second}\n"
    ))
}

#[test]
fn services_on_one_address_must_be_told_apart() {
    let on = |sni: &str| format!("listen = \"127.0.0.1:992\"\n{sni}");
    let plain = two(&on(""), &on(""));
    let (line, key, what, remedy) = only(&plain);
    assert_eq!((line, key), (13, "service.b.listen"));
    assert!(what.contains("\"a\" (line 2)") && what.contains("(line 9)"), "{what}");
    assert!(remedy.contains("sni"));
    let same = two(&on("sni = \"x.de\""), &on("sni = [\"y.de\", \"X.de\"]"));
    assert!(only(&same).2.contains("server name x.de belongs to \"a\" (line 2)"));
    assert_eq!(two(&on("sni = \"x.de\""), &on("sni = \"*.de.de\"")).faults, []);
    assert_eq!(two(&on(""), &on("sni = \"x.de\"")).faults, [], "one default is right");
    let required = two(&on("sni = \"required\""), &on(""));
    assert!(only(&required).2.contains("two default services"), "`required` names nothing");
}

#[test]
fn addresses_that_cannot_both_be_bound_are_named() {
    let listen = |at: &str| format!("listen = {at}");
    let report = two(&listen("\"0.0.0.0:992\""), &listen("\"127.0.0.1:992\""));
    assert!(only(&report).2.contains("127.0.0.1:992 and 0.0.0.0:992 (line 6)"));
    let report = two(&listen("[\"[::1]:1\", \"[::1]:1\"]"), &listen("\"127.0.0.1:2\""));
    assert!(report.faults.iter().any(|fault| fault.what.contains("named twice")));
    let both = two(&listen("\"0.0.0.0:992\""), &listen("\"[::]:992\"")).config.unwrap();
    assert!(both.v6_only("[::]:992".parse().unwrap()), "IPv4 is taken by the other");
    let one = two(&listen("\"[::]:993\""), &listen("\"127.0.0.1:992\"")).config.unwrap();
    assert!(!one.v6_only("[::]:993".parse().unwrap()));
}

#[test]
fn names_are_unique_and_nobody_connects_to_itself() {
    let at = |port: u16| format!("listen = \"127.0.0.1:{port}\"");
    let text = two(&at(1), &at(2));
    assert_eq!(text.faults, []);
    let twice = format!("{MINIMAL}{}", MINIMAL.replace("992", "993"));
    let report = read(&twice);
    assert!(only(&report).2.contains("already taken by the service at line 3"));
    let report = two(&at(23), &at(2));
    assert_eq!(report.faults.len(), 2, "both use it as backend");
    assert!(report.faults[0].what.contains("a loop"));
}

#[test]
fn a_plaintext_backend_is_local_unless_allowed() {
    let remote = MINIMAL.replace("127.0.0.1:23", "192.0.2.1:23");
    let report = read(&remote);
    let (line, _, what, remedy) = only(&report);
    assert_eq!(line, 5);
    assert!(what.contains("not on this host"));
    assert!(remedy.contains("allow_remote_plaintext"));
    assert!(read(&format!("{remote}allow_remote_plaintext = true")).config.is_some());
    let nowhere = read(&MINIMAL.replace("127.0.0.1:23", "0.0.0.0:23"));
    assert!(only(&nowhere).2.contains("not an address one can connect to"));
    let name = read(&MINIMAL.replace("127.0.0.1:23", "no-such-host.invalid:23"));
    assert_eq!((name.exit(), only(&name).0), (Exit::Unavailable, 5));
}

#[test]
fn a_unix_socket_is_a_path_that_fits() {
    let backend = |text: &str| read(&MINIMAL.replace("127.0.0.1:23", text));
    let config = backend("unix:app.sock").config.unwrap();
    let path = PathBuf::from("/etc/adjunct/app.sock");
    assert_eq!(config.services[0].backends[0].addresses, [BackendAddress::Unix(path)]);
    assert_eq!(config.services[0].backends[0].text, "unix:app.sock");
    let long = format!("unix:/run/{}", "x".repeat(110));
    for (text, words) in [
        ("unix:", "there is no path"),
        ("unix:@app", "abstract sockets are not served"),
        (long.as_str(), "less than 108"),
    ] {
        let report = backend(text);
        let (line, key, what, _) = only(&report);
        assert_eq!((line, key), (5, "service.tn3270.backend"));
        assert!(what.contains(words), "{what}");
    }
    let list = "[\"127.0.0.1:23\", \"unix:/run/app.sock\"]";
    let config = read(&MINIMAL.replace("\"127.0.0.1:23\"", list)).config.unwrap();
    assert_eq!(config.services[0].backends.len(), 2);
}

#[test]
fn a_unix_socket_that_is_not_there_yet_is_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("adjunct.toml");
    std::fs::write(&file, MINIMAL.replace("127.0.0.1:23", "unix:app.sock")).unwrap();
    let report = load(&file, &look(None));
    let fault = report.faults.iter().find(|f| f.key == "service.tn3270.backend").unwrap();
    assert_eq!(fault.severity, Severity::Warning);
    assert!(fault.what.contains("app.sock: there is no socket yet"), "{}", fault.what);
}

#[test]
fn the_back_off_of_a_backend_is_read() {
    let health = |lines: &str| with(lines).config.unwrap().services[0].health;
    assert_eq!(health(""), HealthPolicy::default());
    let (retry, retry_max) = (Duration::from_secs(2), Duration::from_secs(20));
    let given = health("health = { retry = \"2s\", retry_max = \"20s\" }");
    assert_eq!(given, HealthPolicy { retry, retry_max });
    let long = health("health = { retry = \"5m\" }");
    assert_eq!(long.retry_max, Duration::from_secs(300), "the default is no shorter than retry");
    for (line, words) in [
        ("health = { retry = \"10s\", retry_max = \"5s\" }", "is shorter than retry"),
        ("health = { retry = \"1ms\" }", "1ms"),
        ("health = { every = \"1s\" }", "unknown key"),
        ("health = true", "table"),
    ] {
        let report = with(line);
        let (at, _, what, remedy) = only(&report);
        assert_eq!(at, 8);
        assert!(what.contains(words) || remedy.contains(words), "{line}: {what}: {remedy}");
    }
}

#[test]
fn missing_keys_and_missing_services_are_named() {
    let report = read("[[service]]\n");
    let keys: Vec<&str> = report.faults.iter().map(|fault| fault.key.as_str()).collect();
    let expected =
        ["service[0].name", "service[0].cert", "service[0].listen", "service[0].backend"];
    assert_eq!(keys, expected);
    assert!(only(&read("")).2.contains("there is no service"));
    assert!(only(&read("[service]\nname = \"a\"")).3.contains("[[service]]"));
    let report = read(&MINIMAL.replace("key =", "# key ="));
    assert_eq!(only(&report).1, "service.tn3270.key");
}

#[test]
fn only_the_syntax_is_reported_when_it_is_wrong() {
    let report = read("[[service]\nname = \nworkers = 3");
    assert!(!report.faults.is_empty());
    assert!(report.faults.iter().all(|fault| fault.what.starts_with("this is not TOML")));
    assert_eq!(report.exit(), Exit::Config);
}

fn in_order(_: &[u8], _: &[u8], now: SystemTime) -> Result<CertSummary, Vec<CertFault>> {
    Ok(CertSummary {
        subject: "CN=a".into(),
        names: vec!["*.example.com".into()],
        key: "RSA 2048".into(),
        not_before: now,
        not_after: now + Duration::from_secs(86_400 * 3),
        advice: Vec::new(),
    })
}

const CERT: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";

fn look(inspect: Option<&dyn Inspect>) -> Look<'_> {
    Look { now: SystemTime::now(), inspect, log_from_file: true }
}

/// Loads `MINIMAL` plus `lines` with these certificate and key files.
fn load_with(lines: &str, cert: Option<&str>, key: Option<&str>) -> Report {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let file = write("adjunct.toml", &format!("{MINIMAL}{lines}\n"));
    cert.map(|text| write("tn3270.pem", text));
    key.map(|text| write("tn3270.key", text));
    load(&file, &look(Some(&in_order)))
}

#[test]
fn files_are_looked_into() {
    for (cert, key, exit, words) in [
        (None, Some(KEY), Exit::NoInput, "does not exist"),
        (Some(" \n"), Some(KEY), Exit::Data, "the file is empty"),
        (Some("\x30\x01"), Some(KEY), Exit::Data, "not PEM"),
        (Some(KEY), Some(KEY), Exit::Data, "there is no certificate in the file"),
        (Some(CERT), Some(CERT), Exit::Data, "there is no private key in the file"),
        (
            Some(CERT),
            Some("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"),
            Exit::Data,
            "encrypted with a passphrase",
        ),
    ] {
        let report = load_with("", cert, key);
        let (line, name, what, _) = only(&report);
        assert!(what.contains(words), "{what}");
        assert!(what.contains("tn3270."), "names the file: {what}");
        assert_eq!(report.exit(), exit);
        assert_eq!(line, if name.ends_with("key") { 7 } else { 6 });
    }
}

#[test]
fn certificates_that_end_soon_or_cover_nothing_are_warned_of() {
    let report = load_with("sni = [\"a.example.com\", \"b.de\"]", Some(CERT), Some(KEY));
    assert!(report.config.is_some(), "{:#?}", report.faults);
    assert_eq!(report.exit(), Exit::Ok);
    assert_eq!(report.certificates.len(), 1);
    let what: Vec<&str> = report.faults.iter().map(|fault| fault.what.as_str()).collect();
    assert_eq!(what.len(), 2, "{what:?}");
    assert!(what[0].contains("ends in 2 days") || what[0].contains("ends in 3 days"));
    assert_eq!(what[1], "b.de is in no certificate of this service");
    assert!(report.faults.iter().all(|fault| fault.severity == Severity::Warning));
}

#[test]
fn what_the_engine_finds_in_a_certificate_is_reported() {
    let mismatch = |_: &[u8], _: &[u8], _| {
        Err(vec![CertFault {
            rule: "key-mismatch",
            what: "the key does not belong to the certificate".into(),
            remedy: "name the key the certificate was made for".into(),
        }])
    };
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [("a.toml", MINIMAL), ("tn3270.pem", CERT), ("tn3270.key", KEY)] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let report = load(&directory.path().join("a.toml"), &look(Some(&mismatch)));
    assert_eq!(report.exit(), Exit::Data);
    let errors = report.faults.iter().filter(|fault| fault.severity == Severity::Error);
    assert!(errors.map(|fault| &fault.what).all(|what| what.contains("key-mismatch")));
}

/// Finds every certificate in order and refuses every service.
struct Builder;

impl Inspect for Builder {
    fn certificate(
        &self,
        cert: &[u8],
        key: &[u8],
        now: SystemTime,
    ) -> Result<CertSummary, Vec<CertFault>> {
        in_order(cert, key, now)
    }

    fn build(&self, _: &Config, services: &[usize]) -> Vec<BuildFault> {
        let refused = |index: &usize| BuildFault {
            service: Some(*index),
            class: Exit::Config,
            what: "cannot be built".into(),
            remedy: "x".into(),
        };
        services.iter().map(refused).collect()
    }
}

#[test]
fn services_that_are_in_order_are_built_whatever_is_wrong_with_others() {
    let directory = tempfile::tempdir().unwrap();
    let second = MINIMAL.replace("name = \"tn3270\"", "name = \"tn\"").replace("992", "x");
    let text = format!("{MINIMAL}{second}");
    for (name, text) in [("a.toml", &*text), ("tn3270.pem", CERT), ("tn3270.key", KEY)] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let report = load(&directory.path().join("a.toml"), &look(Some(&Builder)));
    let found = |what: &str| {
        let fault = report.faults.iter().find(|fault| fault.what.contains(what)).unwrap();
        (fault.key.as_str(), fault.place.unwrap().line)
    };
    assert_eq!(found("cannot be built"), ("service.tn3270", 3));
    assert_eq!(found("is not an address"), ("service.tn.listen", 11));
    let built = report.faults.iter().filter(|fault| fault.what == "cannot be built");
    assert_eq!(built.count(), 1, "the second is not in order");
}

#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("a.toml");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let report = load(&pipe, &look(None));
    assert_eq!(report.exit(), Exit::Config);
    assert!(report.faults[0].what.contains("a pipe"), "{}", report.faults[0]);
    assert_eq!(load(directory.path(), &look(None)).exit(), Exit::Config);
}

#[test]
fn a_list_without_services_is_no_service() {
    let report = read("service = []");
    assert!(only(&report).2.contains("there is no service"));
}

#[test]
fn an_address_of_no_interface_is_found_before_it_is_bound() {
    let report = read(&MINIMAL.replace("0.0.0.0:992", "192.0.2.9:992"));
    assert!(only(&report).2.contains("no interface of this machine"));
    assert_eq!(report.exit(), Exit::Unavailable);
}

#[test]
fn records_never_go_to_standard_output() {
    let report = with("[server]\nlog = { target = \"stdout\" }");
    assert_eq!(only(&report).1, "server.log.target");
}

#[test]
fn a_configuration_that_is_not_there_is_66() {
    let report = load(Path::new("/nonexistent/adjunct.toml"), &look(None));
    assert_eq!(report.exit(), Exit::NoInput);
    assert!(report.faults[0].to_string().starts_with("/nonexistent/adjunct.toml: error: "));
}

/// (table, key, type, default) of every row of the reference page.
fn documented() -> Vec<(String, String, String, String)> {
    let mut rows = Vec::new();
    let mut table = String::new();
    for line in include_str!("../../docs/reference/config.md").lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let name = heading.split_once('(').map_or(heading, |(name, _)| name);
            table = name.trim().replace(['[', ']', '`'], "").replace(' ', ".");
            if table == "top.level" {
                table.clear();
            }
        }
        let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
        if let [name, kind, default, _] = cells.as_slice()
            && let Some(name) = name.strip_prefix("| `").and_then(|name| name.strip_suffix('`'))
        {
            let plain = |cell: &str| cell.replace('`', "");
            rows.push((table.clone(), name.to_owned(), plain(kind), plain(default)));
        }
    }
    rows
}

#[test]
fn the_reference_page_has_exactly_the_keys_the_reader_knows() {
    let own = |text: &str| text.to_owned();
    let known: Vec<_> =
        KEYS.iter().map(|k| (own(k.table), own(k.name), own(k.kind), own(k.default))).collect();
    let documented = documented();
    for row in &known {
        assert!(documented.contains(row), "not in config.md: {row:?}");
    }
    for row in &documented {
        assert!(known.contains(row), "in config.md, but not known: {row:?}");
    }
}

#[test]
fn defaults_and_requirements_of_the_table_of_keys_are_true() {
    for key in KEYS.iter().filter(|key| key.table == "service" && key.default == REQUIRED) {
        let without: String = MINIMAL
            .lines()
            .filter(|l| !l.starts_with(key.name))
            .map(|l| format!("{l}\n"))
            .collect();
        assert!(read(&without).config.is_none(), "{} is not required", key.name);
    }
    for key in KEYS.iter().filter(|key| key.table == "service" && key.default == LATER) {
        assert!(with(&format!("{} = 1", key.name)).config.is_none(), "{}", key.name);
    }
}
