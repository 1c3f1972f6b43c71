//! Certificates that a configuration names by label: `keydb`, `stash` and `label`.

use std::ops::Range;
use std::path::Path;
use std::time::SystemTime;

use engine::certs::CertFault;
use engine::compliance::PolicySet;

use super::fault::{Severity, Source};
use super::files::{CheckedCertificate, Inspect, class, warn_if_ending};
use super::reader::Table;
use super::schema::{Config, Service};
use super::service::{Places, path};
use crate::exit::Exit;
use crate::keydb::serve::{self, KeyDatabase};
use crate::keydb::{Failure, Store};

/// `keydb` and `stash` of `[server]`, and where the former stands.
pub(super) fn read_database(server: &Table<'_>, directory: &Path) -> Option<KeyDatabase> {
    let stash = server.get("stash");
    let Some(keydb) = server.get("keydb") else {
        if let Some(stash) = stash {
            stash.error("there is no key database that this could be the stash of", "add `keydb`");
        }
        return None;
    };
    let stash = stash.and_then(|node| path(&node, directory));
    Some(KeyDatabase { path: path(&keydb, directory)?, stash })
}

/// `label` of a service: one or several, each with its place.
pub(super) fn read_labels(service: &Table<'_>) -> (Vec<String>, Vec<Range<usize>>) {
    let Some(node) = service.get("label") else { return Default::default() };
    let elements = node.one_or_more().unwrap_or_default();
    if elements.is_empty() {
        node.error("the list is empty", "name a label of the key database");
    }
    let mut labels: Vec<String> = Vec::new();
    let mut places = Vec::new();
    for element in elements {
        let Some(label) = element.text() else { continue };
        if labels.iter().any(|known| known == label) {
            element.error("this label is named twice", "remove one of them");
            continue;
        }
        labels.push(label.to_owned());
        places.push(element.span());
    }
    (labels, places)
}

/// Labels without a database lead nowhere.
pub(super) fn check_database(source: &Source<'_>, config: &Config, places: &[Places]) {
    if config.server.keydb.is_some() {
        return;
    }
    for place in places {
        if let Some(span) = place.labels.first() {
            source.error(
                span,
                &format!("{}.label", place.prefix),
                "there is no key database that this could be a label of".to_owned(),
                "name one: [server] keydb = \"FILE\", with its password in a stash".to_owned(),
            );
        }
    }
}

/// The key database of a configuration, opened; its faults are reported where it is named.
pub(super) fn open(
    source: &Source<'_>,
    config: &Config,
    place: Option<&Range<usize>>,
    now: SystemTime,
) -> Option<Store> {
    let settings = config.server.keydb.as_ref()?;
    match settings.open(config.modes().any_fips(), now) {
        Ok(store) => {
            if let Some(end) = store.database.password_ends()
                && end.duration_since(now).is_ok_and(|left| left < super::files::SOON)
            {
                let what = format!("{}: its password expires soon", settings.path.display());
                let remedy = "change it: adjunct keydb passwd, then stash it".to_owned();
                let at = (Severity::Warning, Exit::Ok);
                source.report(at.0, at.1, place, "server.keydb", what, remedy);
            }
            Some(store)
        }
        Err(Failure { exit, what, remedy }) => {
            source.report(Severity::Error, exit, place, "server.keydb", what, remedy);
            None
        }
    }
}

/// Looks into the certificates of a service's labels.
pub(super) fn check(
    source: &Source<'_>,
    (index, service, place): (usize, &Service, &Places),
    store: Option<&Store>,
    now: SystemTime,
    inspect: Option<&dyn Inspect>,
) -> Vec<CheckedCertificate> {
    let mut checked = Vec::new();
    let Some(store) = store else { return checked };
    let policy = PolicySet::new(&service.mode);
    for (nth, (label, span)) in service.labels.iter().zip(&place.labels).enumerate() {
        let name = serve::name(store.path(), label);
        let key = format!("{}.label", place.prefix);
        let report = |severity, exit, what: String, remedy: String| {
            source.report(severity, exit, Some(span), &key, what, remedy);
        };
        let material = match serve::material(store, label) {
            Ok(material) => material,
            Err(Failure { exit, what, remedy }) => {
                report(Severity::Error, exit, what, remedy);
                continue;
            }
        };
        let (chain, private) = (material.chain.as_bytes(), material.key.as_bytes());
        let of_certificate = |fault: CertFault| {
            let what = format!("{name}: {} [{}]", fault.what, fault.rule);
            report(Severity::Error, class(&fault), what, fault.remedy);
        };
        let judged = policy.judge_chain_file(chain, now);
        let sound = judged.is_empty();
        judged.into_iter().for_each(of_certificate);
        let Some(inspect) = inspect else { continue };
        match inspect.certificate(chain, private, now) {
            Ok(_) if !sound => {}
            Ok(mut summary) => {
                if complete(store, label) {
                    summary.advice.retain(|advice| advice.rule != "intermediate-missing");
                }
                for CertFault { rule, what, remedy } in &summary.advice {
                    let what = format!("{name}: {what} [{rule}]");
                    report(Severity::Warning, Exit::Ok, what, remedy.clone());
                }
                if let Some(what) = warn_if_ending(&summary, now) {
                    let remedy = "renew it: adjunct keydb renew".to_owned();
                    report(Severity::Warning, Exit::Ok, format!("{name}: {what}"), remedy);
                }
                let index_of = service.certificates.len() + nth;
                checked.push(CheckedCertificate { service: index, index: index_of, summary });
            }
            Err(faults) => faults.into_iter().for_each(of_certificate),
        }
    }
    checked
}

/// Whether the chain of a label ends with a root: a root is not sent, and nothing is missing then.
fn complete(store: &Store, label: &str) -> bool {
    let chain = store.database.chain(label).unwrap_or_default();
    chain.last().is_some_and(|last| store.database.is_self_signed(last))
}
