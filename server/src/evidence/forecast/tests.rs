//! What can be said of a connection under a mode, and what cannot.

use engine::compliance::{Mode, ModeSet, PolicySet};
use engine::iana;

use super::super::book::tests::{old, served};
use super::super::observation::{Audit, Observation, Offer, Shown};
use super::{Outlook, outlooks, place};

const MODE: Mode = Mode::Fips1403;

fn under(seen: &Observation<'_>) -> Outlook {
    outlooks(seen)[place(MODE)].clone()
}

/// TLS 1.3 with P-256 and RSA-PSS: approved by every mode.
fn approved() -> Observation<'static> {
    Observation { group: "secp256r1".into(), ..served(1, 1) }
}

fn undecided(seen: &Observation<'_>) -> String {
    match under(seen) {
        Outlook::Undecided(unsaid) => unsaid.to_string(),
        other => panic!("{other:?}"),
    }
}

fn fails(seen: &Observation<'_>) -> (String, String) {
    match under(seen) {
        Outlook::Fails { rule, missing } => (rule, missing.join("; ")),
        other => panic!("{other:?}"),
    }
}

fn audit(offer_could: bool) -> Vec<Audit> {
    let missing = if offer_could { vec![] } else { vec!["group: offers x25519 only".into()] };
    let rule = "fips-140-3/group".into();
    vec![Audit { mode: MODE.name().into(), rule, offer_could, missing }]
}

#[test]
fn the_audit_of_the_record_comes_first() {
    let could = Observation { audit: audit(true), ..served(1, 1) };
    assert_eq!(under(&could), Outlook::Connects);
    let could_not = Observation { audit: audit(false), ..served(1, 1) };
    let expected = ("fips-140-3/group".into(), "group: offers x25519 only".into());
    assert_eq!(fails(&could_not), expected);
    // That of another mode says nothing.
    let mut other = could;
    other.audit[0].mode = "nist-800-131a".into();
    assert!(matches!(under(&other), Outlook::Undecided(_)));
}

#[test]
fn who_is_refused_without_the_mode_is_refused_with_it() {
    let (rule, missing) = fails(&Observation { audit: audit(true), ..old(1, 1, 0x0301) });
    assert_eq!((rule.as_str(), missing.as_str()), ("protocol-too-old", "refused already: too old"));
    let (_, missing) = fails(&Observation { audit: audit(false), ..old(1, 1, 0x0301) });
    assert_eq!(missing, "group: offers x25519 only; refused already: too old");
    assert_eq!(fails(&old(1, 1, 0x0301)).0, "protocol-too-old");
    assert_eq!(
        fails(&Observation { rule: "of-a-later-version".into(), ..old(1, 1, 0) }).0,
        "of-a-later-version"
    );
}

#[test]
fn what_the_next_attempt_need_not_meet_says_nothing() {
    let offer = Some(Offer {
        versions: vec![iana::TLS13],
        suites: vec![0x1301],
        groups: vec![0x1D, 0x17],
        schemes: vec![0x0403],
        cut: false,
    });
    for rule in ["too-many-handshakes", "handshake-deadline", "signing-failed"] {
        let seen = Observation { rule: rule.into(), offer: offer.clone(), ..old(1, 1, 0) };
        assert_eq!(under(&seen), Outlook::Silent, "{rule}");
        assert_eq!(under(&Observation { audit: audit(true), ..seen.clone() }), Outlook::Silent);
        // Unless its offer would not do either.
        let _ = fails(&Observation { audit: audit(false), ..seen.clone() });
        let x25519 = Offer { groups: vec![0x1D], ..offer.clone().unwrap() };
        let (rule, missing) = fails(&Observation { offer: Some(x25519.clone()), ..seen.clone() });
        assert_eq!(rule, "fips-140-3/group");
        assert_eq!(missing, "group: offers x25519 only");
        // What is cut off could have been what is missing.
        let cut = Observation { offer: Some(Offer { cut: true, ..x25519 }), ..seen };
        assert_eq!(under(&cut), Outlook::Silent);
    }
    let left = Observation {
        outcome: "abandoned".into(),
        rule: "peer-closed".into(),
        offer: None,
        ..old(1, 1, 0)
    };
    assert_eq!(under(&left), Outlook::Silent);
    let noise = Observation { outcome: "noise".into(), rule: "plain-http".into(), ..left };
    assert_eq!(under(&noise), Outlook::Silent);
}

#[test]
fn where_the_mode_is_on_what_happened_is_the_answer() {
    let on =
        |seen: Observation<'static>| Observation { modes: "fips-140-2+fips-140-3".into(), ..seen };
    assert_eq!(under(&on(served(1, 1))), Outlook::Connects);
    let refused = on(Observation { rule: "fips-140-3/group".into(), ..old(1, 1, 0x0304) });
    assert_eq!(fails(&refused).0, "fips-140-3/group");
    let by_the_other = on(Observation { rule: "fips-140-2/group".into(), ..old(1, 1, 0x0304) });
    assert!(undecided(&by_the_other).contains("refused by fips-140-2/group"));
}

#[test]
fn a_refusal_by_another_mode_is_judged_by_the_offer() {
    let by_another = Observation {
        modes: "fips-140-2".into(),
        rule: "fips-140-2/group".into(),
        ..old(1, 1, 0x0304)
    };
    let offer = |groups: &[u16]| {
        Some(Offer {
            versions: vec![0x0304],
            suites: vec![0x1301],
            groups: groups.to_vec(),
            schemes: vec![0x0403],
            cut: false,
        })
    };
    let seen = Observation { offer: offer(&[0x1D]), ..by_another.clone() };
    assert_eq!(fails(&seen).0, "fips-140-3/group");
    let seen = Observation { offer: offer(&[0x1D, 0x17]), ..by_another };
    assert!(undecided(&seen).contains("fips-140-2/group"));
    let could = Observation { audit: audit(true), ..seen.clone() };
    assert!(undecided(&could).contains("fips-140-2/group"), "its certificate was not judged");
    // The other mode has taken away what this one would have let pass.
    let mut could_not = Observation { audit: audit(false), ..seen };
    could_not.audit[0].rule.clear();
    assert_eq!(fails(&could_not).0, "fips-140-2/group");
}

#[test]
fn without_an_audit_what_was_negotiated_answers_where_it_can() {
    assert_eq!(under(&approved()), Outlook::Connects);
    assert!(undecided(&served(1, 1)).contains("fips-140-3/group"));
    let chacha = "TLS_CHACHA20_POLY1305_SHA256";
    let seen = Observation { suite: chacha.into(), ..approved() };
    assert!(undecided(&seen).contains("fips-140-3/suite"));
    let seen = Observation { scheme: "".into(), ..approved() };
    assert!(undecided(&seen).contains("its signature"));
    let shown = Some(Shown { subject: "CN=x".into(), key: "EC P-256".into() });
    assert!(undecided(&Observation { client: shown, ..approved() }).contains("chain"));
    let resumed = Observation { resumed: true, scheme: "".into(), ..approved() };
    assert_eq!(under(&resumed), Outlook::Resumed);
}

#[test]
fn the_extended_master_secret_is_not_guessed() {
    let tls12 = Observation {
        version: "TLSv1.2".into(),
        suite: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".into(),
        ..approved()
    };
    for (at, mode) in Mode::ALL.into_iter().enumerate() {
        let policy = PolicySet::new(&ModeSet::from_iter([mode]));
        let demanded = !policy.without_extended_master_secret().is_yes();
        let guessed = outlooks(&tls12)[at] == Outlook::Connects;
        assert_eq!(guessed, !demanded, "{mode}");
    }
}
