//! Who uses TLS 1.2, who negotiated what with which key, who was refused and why.

use adjunct_tests::need;
use serde_json::{Value, json};

use crate::clients::{ANY, COMMON, GNUTLS, Kind, NODE};
use crate::site::{Report, SERVICE, Site};

fn addresses(kinds: &[Kind], wanted: impl Fn(&Kind) -> bool) -> Vec<String> {
    let mut found: Vec<String> =
        kinds.iter().filter(|kind| wanted(kind)).map(|kind| kind.address().to_string()).collect();
    found.sort();
    found
}

/// Everything that a report must say of these kinds.
fn answers(report: &Report, kinds: &[Kind]) {
    for version in ["TLSv1.2", "TLSv1.3"] {
        assert_eq!(
            report.column("clients", &[("protocol", version), ("service", SERVICE)], "peer"),
            addresses(kinds, |kind| kind.used[0] == version),
            "who uses {version}"
        );
    }
    for kind in kinds {
        let peer = kind.address().to_string();
        if kind.is_served() {
            let mut wanted = vec![("peer", peer.as_str())];
            let names = ["protocol", "suite", "group", "key"];
            wanted.extend(names.into_iter().zip(kind.used).filter(|(_, value)| *value != ANY));
            let rows = report.rows("clients", &wanted);
            assert!(!rows.is_empty(), "{}: {:?} is not in {}", kind.name, wanted, report.0);
        } else {
            let wanted = [("peer", peer.as_str()), ("rule", kind.rule)];
            let rows = report.rows("refused", &wanted);
            assert_eq!(rows.len(), 1, "{}: {}", kind.name, report.0["refused"]);
            assert_ne!(rows[0]["reason"], "", "{}", kind.name);
        }
    }
    let best = |kind: &str| {
        let kind = kinds.iter().find(|known| known.name == kind).expect("a kind");
        let row = report.rows("refused", &[("peer", &kind.address().to_string())])[0];
        (row["best_protocol"].clone(), row["alert_sent"].clone())
    };
    assert_eq!(best("TLS 1.0 only"), (json!("TLSv1.0"), json!(70)), "who still needs TLS 1.0");
    assert_eq!(best("TLS 1.1 only"), (json!("TLSv1.1"), json!(70)));
    assert_eq!(best("CBC only"), (json!("TLSv1.2"), json!(40)));
    assert_eq!(best("HTTP in clear text"), (json!(""), Value::Null));
    let cbc = report.rows("refused", &[("rule", "no-common-cipher")])[0];
    assert_eq!(cbc["best_suites"][0], "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA");
    let shown = report.rows("clients", &[("client_subject", "CN=app1,O=Test")]);
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["client_key"], "EC P-256");
    assert_eq!(shown[0]["peer"], "127.0.1.11");
    let shown = report.rows("clients", &[("client_key", "RSA 2048")]);
    assert_eq!((shown.len(), &shown[0]["client_subject"]), (1, &json!("CN=app2,O=Test")));
    sums(report, kinds);
}

fn sums(report: &Report, kinds: &[Kind]) {
    let count = |wanted: fn(&Kind) -> bool| {
        kinds.iter().filter(|kind| wanted(kind)).map(Kind::connections).sum::<u64>()
    };
    let served = count(Kind::is_served);
    assert_eq!(report.total("established"), served);
    assert_eq!(report.total("resumed"), 1);
    assert_eq!(report.total("noise"), count(|kind| !kind.is_tls()));
    assert_eq!(report.total("failed"), count(|kind| !kind.is_served() && kind.is_tls()));
    for table in ["sessions", "clients"] {
        let rows = report.0[table].as_array().unwrap();
        let sum: u64 = rows.iter().filter_map(|row| row["connections"].as_u64()).sum();
        assert_eq!(sum, served, "{table}");
    }
    let bytes: u64 =
        report.rows("sessions", &[]).iter().filter_map(|row| row["bytes_out"].as_u64()).sum();
    assert_eq!(bytes, report.total("bytes_out"));
    assert!(bytes > 0);
    assert_eq!(
        report.0["overflow"],
        json!({ "sessions": 0, "clients": 0, "refused": 0, "what_if": 0 })
    );
}

/// What must be the same in the report of a daemon and in that on its log.
fn tables(report: &Report) -> Value {
    let of = |name: &str| report.0[name].clone();
    json!([of("totals"), of("sessions"), of("clients"), of("refused"), of("overflow")])
}

#[test]
fn a_run_with_many_kinds_of_clients_is_told_by_log_and_daemon_alike() {
    for program in ["openssl", "curl", "python3"] {
        let _ = need!(program);
    }
    let site = Site::start("");
    let served = site.visit(COMMON);
    let expected: Vec<bool> = COMMON.iter().map(Kind::is_served).collect();
    assert_eq!(served, expected);
    let report = site.report();
    answers(&report, COMMON);
    assert_eq!(report.0["reading"]["damaged"], 0);
    assert_eq!(report.0["reading"]["text"], 0);
    assert_eq!(tables(&site.report_of_daemon()), tables(&report));
    // Both halves of a log that was rotated, in the wrong order, are the same log.
    let text = std::fs::read_to_string(site.log()).unwrap();
    let middle = text[..text.len() / 2].rfind('\n').unwrap() + 1;
    let (old, new) = (site.directory.path().join("old"), site.directory.path().join("new"));
    std::fs::write(&old, &text[..middle]).unwrap();
    std::fs::write(&new, &text[middle..]).unwrap();
    let halves = [new.to_string_lossy(), old.to_string_lossy()];
    let rotated = Report::of(&site.evidence(&["--json", &halves[0], &halves[1]]).success());
    assert_eq!(rotated.0["clients"], report.0["clients"]);
    assert_eq!(rotated.0["totals"], report.0["totals"]);
}

#[test]
fn gnutls_and_node_are_told_too() {
    let _ = need!("openssl");
    let _ = need!("gnutls-cli");
    let _ = need!("node");
    let site = Site::start("");
    let kinds = [NODE, GNUTLS];
    assert_eq!(site.visit(&kinds), [true, true]);
    let report = site.report();
    for kind in kinds {
        let peer = kind.address().to_string();
        let rows = report.rows("clients", &[("peer", &peer), ("protocol", "TLSv1.3")]);
        assert_eq!(rows.len(), 1, "{}: {}", kind.name, report.0);
        assert_ne!(rows[0]["signature"], "");
    }
}

#[test]
fn what_is_no_log_of_ours_is_counted_and_never_fatal() {
    let _ = need!("openssl");
    let site = Site::start("");
    let _ = site.visit(&COMMON[2..3]);
    let log = std::fs::read_to_string(site.log()).unwrap();
    let cut = log.trim_end().rsplit('\n').next().unwrap();
    let cut = &cut[..cut.len() / 2];
    let mixed = format!("{log}{cut}\n{{\"of\":\"somebody else\"}}\nclear text\n\u{0}\u{1}\n");
    let done = site.evidence_of(&mixed, &["--json"]).success();
    let report = Report::of(&done);
    assert_eq!(report.total("established"), 1);
    let reading = &report.0["reading"];
    assert_eq!((&reading["damaged"], &reading["foreign"]), (&json!(1), &json!(1)));
    assert_eq!(reading["text"], 2);
    let _ = site.evidence_of(&mixed, &[]).success().says("4 of").says("standard input:");
    // A log in text form is named as what it is.
    let text = "2026-11-21T00:00:00.000Z #1 completed web  192.0.2.1:1 -> 127.0.0.1:443\n";
    let _ = site.evidence_of(text, &[]).exit(1).says("log.format = \"json\"");
    let _ = site.evidence(&["no-such-file"]).exit(66).says("no-such-file");
    let _ = site.evidence(&["--since", "yesterday", "x"]).exit(64).says("24h or 7d");
    let _ = site.evidence(&[]).exit(64).says("standard input");
    // Nobody may take a report that was cut off for a report.
    for form in ["--json", "--csv", "--html", "--color=never"] {
        let _ = site.evidence_to_full_disk(form).exit(71).says("No space left");
    }
}

#[test]
fn a_report_can_begin_later_and_be_asked_for_by_configuration() {
    let _ = need!("openssl");
    let site = Site::start("");
    let _ = site.visit(&COMMON[2..3]);
    let log = site.log().to_string_lossy().into_owned();
    let ago =
        |since: &str| Report::of(&site.evidence(&["--json", "--since", since, &log]).success());
    assert_eq!(ago("1h").total("connections"), 1);
    let later = ago("2099-01-01");
    assert_eq!((later.total("connections"), &later.0["reading"]["before_since"]), (0, &json!(1)));
    // A running daemon answers for its configuration, and its log when it is gone.
    let config = site.daemon.config();
    let config = config.to_string_lossy().into_owned();
    let live = site.evidence(&["--json", "-c", &config]).success();
    assert_eq!(Report::of(&live).0["source"]["kind"], "daemon");
    let since = site.evidence(&["--json", "--since", "2099-01-01", "-c", &config]).success();
    assert_eq!(Report::of(&since).0["clients"], json!([]));
    let kept = site.directory.path().join("kept.toml");
    std::fs::copy(&config, &kept).unwrap();
    let Site { daemon, directory, pki, .. } = &site;
    let _ = (daemon.terminate(), directory, pki);
    adjunct_tests::wait_until("the daemon is gone", || !directory.path().join("socket").exists());
    let dead = site.evidence(&["--json", "-c", &kept.to_string_lossy()]).success();
    assert_eq!(Report::of(&dead).0["source"]["kind"], "log");
    assert_eq!(Report::of(&dead).total("established"), 1);
}

#[test]
fn csv_has_a_line_of_names_and_a_line_for_each_row() {
    let _ = need!("openssl");
    let site = Site::start("");
    let _ = site.visit(&COMMON[..2]);
    let log = site.log().to_string_lossy().into_owned();
    for (argument, first, rows) in [
        ("--csv", "service,protocol", 2),
        ("--csv=clients", "peer,service", 2),
        ("--csv=refused", "peer,", 0),
    ] {
        let done = site.evidence(&[argument, &log]).success();
        let lines: Vec<&str> = done.stdout.split_terminator("\r\n").collect();
        assert!(lines[0].starts_with(first), "{}", done.stdout);
        assert_eq!(lines.len(), rows + 1, "{}", done.stdout);
    }
}
