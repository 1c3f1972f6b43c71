//! What a mode would do is what it does: the same clients before and after it is switched on.

use adjunct_tests::need;

use crate::clients::{COMMON, Kind};
use crate::site::{Report, Site};

const MODES: [&str; 3] = ["fips-140-2", "nist-800-131a", "fips-140-3"];

fn has_tools() -> bool {
    ["openssl", "curl", "python3"].into_iter().all(|tool| need::tool(tool).is_some())
}

fn peers<'a>(report: &'a Report, kind: &Kind) -> Vec<&'a serde_json::Value> {
    let rows = report.0["what_if"]["peers"].as_array().expect("an answer");
    rows.iter().filter(|row| row["peer"] == kind.address().to_string()).collect()
}

fn outlook<'a>(report: &'a Report, kind: &Kind) -> &'a str {
    match peers(report, kind).as_slice() {
        [] => "",
        [row] => row["outlook"].as_str().expect("a word"),
        more => panic!("{}: {more:?}", kind.name),
    }
}

/// Asserts that every prediction from records with an audit came true in `enforced`.
fn came_true(mode: &str, audited: &Report, enforced: &Report, served: &[bool]) {
    for (kind, served) in COMMON.iter().zip(served) {
        let predicted = outlook(audited, kind);
        if !kind.is_tls() {
            assert_eq!((predicted, *served), ("", false), "{}", kind.name);
            continue;
        }
        let met = if *served { "connects" } else { "fails" };
        assert_eq!(predicted, met, "{}, {mode}: {}", kind.name, audited.0["what_if"]);
        if *served {
            continue;
        }
        let row = peers(audited, kind)[0];
        assert_ne!(row["missing"][0], "", "{}", kind.name);
        assert_ne!(row["last_failing"], "", "{}", kind.name);
        let address = kind.address().to_string();
        let refused = enforced.rows("refused", &[("peer", &address)]);
        assert_eq!(refused.len(), 1, "{}: {}", kind.name, enforced.0["refused"]);
        let rules = row["rules"].as_array().expect("rules");
        assert!(rules.contains(&refused[0]["rule"]), "{}: {rules:?}, {}", kind.name, refused[0]);
        // And with the mode on, the same question has the same answer.
        assert_eq!(outlook(enforced, kind), "fails", "{}", kind.name);
    }
}

#[test]
fn what_a_mode_would_do_is_what_it_does() {
    if !has_tools() {
        adjunct_tests::skip!("openssl, curl or python3 is not installed");
    }
    let watched = MODES.map(|mode| format!("\"{mode}\"")).join(", ");
    let site = Site::start(&format!("audit = [{watched}]"));
    let _ = site.visit(COMMON);
    let plain = Site::start("");
    let _ = plain.visit(COMMON);
    for mode in MODES {
        let audited = site.report_if(mode);
        assert_eq!(audited.0["what_if"], site.report_of_daemon_if(mode).0["what_if"]);
        let enforced = Site::start(&format!("mode = [\"{mode}\"]"));
        let served = enforced.visit(COMMON);
        let enforced = enforced.report_if(mode);
        came_true(mode, &audited, &enforced, &served);
        assert!(
            served.contains(&true) && served.iter().zip(COMMON).any(|(s, k)| k.is_served() && !s)
        );
        // Without an audit less is known, and nothing that is wrong.
        let guessed = plain.report_if(mode);
        for (kind, served) in COMMON.iter().zip(&served) {
            let met = if *served { "connects" } else { "fails" };
            let outlook = outlook(&guessed, kind);
            assert!([met, "undecided", ""].contains(&outlook), "{}: {outlook}", kind.name);
        }
        let decided = COMMON.iter().filter(|kind| outlook(&guessed, kind) == "connects").count();
        assert!(decided > 0, "{mode}: {}", guessed.0["what_if"]);
    }
}

#[test]
fn of_several_modes_each_is_asked_and_their_order_means_nothing() {
    if !has_tools() {
        adjunct_tests::skip!("openssl, curl or python3 is not installed");
    }
    // One minds a group that the other approves, and the other the extended master secret.
    let pair = ["fips-140-2", "fips-140-3"];
    let site = Site::start(&format!("audit = {pair:?}"));
    let _ = site.visit(COMMON);
    let asked = pair.map(|mode| site.report_if(mode));
    let mut verdicts = Vec::new();
    for order in [pair, [pair[1], pair[0]]] {
        let enforced = Site::start(&format!("mode = {order:?}"));
        let served = enforced.visit(COMMON);
        for (kind, served) in COMMON.iter().zip(served) {
            let fails = asked.iter().any(|report| outlook(report, kind) == "fails");
            assert_eq!(served, kind.is_tls() && !fails, "{}, {order:?}", kind.name);
        }
        verdicts.push(enforced.report().column("sessions", &[], "verdict"));
    }
    assert_eq!(verdicts[0], verdicts[1]);
}

#[test]
fn the_question_can_be_put_in_every_form() {
    let _ = need!("openssl");
    let site = Site::start("audit = [\"fips-140-3\"]");
    let kinds = COMMON.iter().filter(|kind| ["X25519 only", "P-256 only"].contains(&kind.name));
    let _ = site.visit(&kinds.copied().collect::<Vec<_>>());
    let log = site.log().to_string_lossy().into_owned();
    let ask = |more: &[&str]| {
        site.evidence(&[&["--what-if", "fips-140-3", &log], more].concat()).success()
    };
    let _ = ask(&[]).says("1 of 2 clients would fail, 1 would connect").says("offers x25519 only");
    let csv = ask(&["--csv"]).stdout;
    assert!(csv.starts_with("peer,service,outlook,") && csv.contains("127.0.1.7,web,fails,1,"));
    assert!(ask(&["--html"]).stdout.contains("What the mode would do"));
    let _ = site.evidence(&["--what-if", "fips", &log]).exit(64).says("not the name of a mode");
    let _ = site.evidence(&["--csv=what-if", &log]).exit(64).says("--what-if MODE");
}
