//! Looking into a database: `list`, `show`, `verify`, `check`.

use std::fmt::Write as _;
use std::time::SystemTime;

use engine::compliance::{CertificateFacts, ModeSet, PolicySet, Role};
use engine::keydb::{Database, Entry, Purpose};
use serde_json::{Value, json};

use super::args::{self, Place, PurposeName};
use super::{Answer, Outcome, open};
use crate::exit::Exit;
use crate::keydb::Access;
use crate::observe::time::rfc3339;

pub(super) fn list(place: &Place) -> Outcome {
    let store = open(place, Access::Read)?;
    let database = &store.database;
    let ends = database.password_ends().map(rfc3339);
    let kind = if database.is_fips() { "FIPS" } else { "not FIPS" };
    let never = || "never".to_owned();
    let mut text = format!("Database: {}\n", store.path().display());
    let _ = writeln!(text, "Password expires: {}", ends.clone().unwrap_or_else(never));
    let _ = writeln!(text, "Type: {kind}\n");
    let mut entries = Vec::new();
    for (index, entry) in database.entries().iter().enumerate() {
        let (line, value) = row(database, entry)?;
        let _ = writeln!(text, "{:>4} - {line}", index + 1);
        entries.push(value);
    }
    if entries.is_empty() {
        text.push_str("   no labels\n");
    }
    let value = json!({
        "database": store.path().display().to_string(),
        "fips": database.is_fips(),
        "password_ends": ends,
        "default": database.default_label(),
        "changed_by_another_program": database.was_changed_outside(),
        "entries": entries,
    });
    Ok(Answer::new(text, value))
}

fn row(database: &Database, entry: &Entry) -> Result<(String, Value), crate::keydb::Failure> {
    let mut marks = vec![if entry.has_key() { "key" } else { "certificate" }];
    if database.default_label() == Some(entry.label()) {
        marks.push("default");
    }
    if !entry.is_trusted() {
        marks.push("not trusted");
    }
    if entry.request().is_some() {
        marks.push("request pending");
    }
    let mut value = json!({
        "label": entry.label(),
        "trusted": entry.is_trusted(),
        "private_key": entry.has_key(),
        "default": database.default_label() == Some(entry.label()),
        "request_pending": entry.request().is_some(),
    });
    let mut line = format!("{} ({})", entry.label(), marks.join(", "));
    if entry.certificate().is_some() {
        let info = database.info(entry.label())?;
        let _ = write!(line, ": {}, until {}", info.subject, info.expiration);
        value["subject"] = info.subject.into();
        value["issuer"] = info.issuer.into();
        value["expiration"] = info.expiration.into();
    }
    Ok((line, value))
}

pub(super) fn show(command: &args::Show) -> Outcome {
    let store = open(&command.place, Access::Read)?;
    let database = &store.database;
    let entry = database.get(&command.label)?;
    if let (None, Some(request)) = (entry.certificate(), entry.request()) {
        let (subject, _, names) = engine::keydb::of_request(request)?;
        let pem = engine::keydb::request_pem(request)?;
        let text = format!(
            "Request Information\n\n         Label: {}\n  Subject name: {subject}\n         \
             Names: {}\n\n{pem}",
            entry.label(),
            names.join(", ")
        );
        let value =
            json!({ "label": entry.label(), "subject": subject, "names": names, "request": pem });
        return Ok(Answer::new(text, value));
    }
    let info = database.info(&command.label)?;
    Ok(Answer::new(info.text(), json!(info)))
}

pub(super) fn verify(command: &args::Verify) -> Outcome {
    let store = open(&command.place, Access::Read)?;
    let purpose = match command.purpose {
        PurposeName::Server => Purpose::Server,
        PurposeName::Client => Purpose::Client,
        PurposeName::Any => Purpose::Any,
    };
    let verdict = store.database.verify(&command.label, purpose, SystemTime::now())?;
    let mut text = String::new();
    for (depth, link) in verdict.chain.iter().enumerate() {
        let _ = writeln!(text, "{}{}: {}", "  ".repeat(depth), link.label, link.subject);
        for fault in &link.faults {
            let _ = writeln!(text, "{}! {fault}", "  ".repeat(depth + 1));
        }
    }
    for fault in &verdict.faults {
        let _ = writeln!(text, "! {fault}");
    }
    let holds = verdict.holds();
    text.push_str(if holds { "The chain holds.\n" } else { "The chain does not hold.\n" });
    let value = json!({ "holds": holds, "chain": verdict.chain, "faults": verdict.faults });
    let exit = if holds { Exit::Ok } else { Exit::Data };
    Ok(Answer { text, value, exit })
}

pub(super) fn check(command: &args::Check) -> Outcome {
    let store = open(&command.place, Access::Read)?;
    let database = &store.database;
    let modes: ModeSet = command.against.iter().copied().collect();
    let policies = PolicySet::new(&modes);
    let labels: Vec<&str> = match &command.label {
        Some(label) => vec![database.get(label)?.label()],
        None => database.entries().iter().map(Entry::label).collect(),
    };
    let (mut text, mut found) = (String::new(), Vec::new());
    if modes.any_fips() && !database.is_fips() {
        let rule = policies.key_database_without_fips().rule();
        let rule = rule.map(|rule| rule.to_string()).unwrap_or_default();
        let what = "this is not a FIPS key database";
        let remedy = "make one with `adjunct keydb create --fips` and import what you need";
        let _ = writeln!(text, "{}: {what} [{rule}]\n  remedy: {remedy}", store.path().display());
        found.push(json!({ "rule": rule, "what": what, "remedy": remedy }));
    }
    for label in labels {
        for violation in violations(database, label, &policies)? {
            let rule = violation.rule.to_string();
            let (what, remedy) = (violation.what, violation.remedy);
            let _ = writeln!(text, "{label}: {what} [{rule}]\n  remedy: {remedy}");
            found.push(json!({ "label": label, "rule": rule, "what": what, "remedy": remedy }));
        }
    }
    let exit = if found.is_empty() { Exit::Ok } else { Exit::Config };
    if found.is_empty() {
        let _ = writeln!(text, "Nothing here breaks a rule of {modes}.");
    }
    let value = json!({
        "modes": modes.to_string(),
        "policy": policies.hash(),
        "allowed": found.is_empty(),
        "violations": found,
    });
    Ok(Answer { text, value, exit })
}

fn violations(
    database: &Database,
    label: &str,
    policies: &PolicySet,
) -> Result<Vec<engine::compliance::Violation>, crate::keydb::Failure> {
    let entry = database.get(label)?;
    let facts = entry.certificate().and_then(CertificateFacts::read);
    let Some(facts) = facts else { return Ok(Vec::new()) };
    let role = match (facts.may_issue, database.is_self_signed(entry)) {
        (true, true) => Role::Anchor,
        (true, false) => Role::Issuer,
        (false, _) => Role::Leaf,
    };
    Ok(policies.violations(&facts, role))
}
