//! `[cex]`, `[[fault]]` and the permission for faults: what the cards do under load and on purpose.
//!
//! Invariant: a build without the feature `fault-injection` reads no fault, so no configuration can
//! break the cards of a production daemon.

use std::time::Duration;

use engine::crypto::{CardTarget, FAULT_WORDS, Fault, LATENCY_MAX};

use super::reader::Node;
use super::schema::{Card, Cex, InjectedFault, Server};
use crate::runtime::FIRST_DOMAIN;

/// Reads `[cex]`.
pub(super) fn read(node: &Node<'_>) -> Option<Cex> {
    let range = Duration::from_millis(100)..=Duration::from_secs(600);
    let table = node.table("cex")?;
    let default = Cex::default();
    let duration = |name| table.get(name).and_then(|node| node.duration(range.clone()));
    Some(Cex {
        waiting: table
            .get("waiting")
            .and_then(|node| node.integer(1..=1_000_000))
            .unwrap_or(default.waiting),
        waiting_age: duration("waiting_age").unwrap_or(default.waiting_age),
        reply: duration("reply").unwrap_or(default.reply),
    })
}

/// Reads `[server] fault_injection`.
pub(super) fn permission(node: &Node<'_>) -> Option<bool> {
    let wanted = node.boolean()?;
    if wanted && !cfg!(feature = "fault-injection") {
        node.error(
            "this build does not inject faults, so that nothing can break the cards of production",
            "remove it; `adjunct demo` injects faults, and so does a build with \
             `--features fault-injection`",
        );
    }
    Some(wanted)
}

/// Reads the elements of `[[fault]]`.
pub(super) fn read_faults(
    nodes: &[Node<'_>],
    server: &Server,
    cards: &[Card],
) -> Vec<InjectedFault> {
    let read = |(index, node): (usize, &Node<'_>)| {
        let node = node.renamed(format!("fault[{index}]"));
        if !server.fault_injection {
            node.error(
                "a fault is injected only where faults are allowed",
                "remove it, or in a test build add fault_injection = true to [server]",
            );
        }
        read_fault(&node, |target| is_there(target, cards, server.members()))
    };
    nodes.iter().enumerate().filter_map(read).collect()
}

fn read_fault(node: &Node<'_>, there: impl Fn(CardTarget) -> bool) -> Option<InjectedFault> {
    let table = node.table("fault")?;
    let at = table.require("at", "name a card (\"00\") or a queue (\"00.0006\")");
    let target = at.and_then(|at| match at.text()?.parse() {
        Ok(target) if there(target) => Some(target),
        Ok(target) => {
            at.error(
                format!("there is no card or queue {target}"),
                "name one that [[card]] makes, both numbers hexadecimal",
            );
            None
        }
        Err(error) => {
            at.error(format!("{error}"), "write at = \"00\" or at = \"00.0006\"");
            None
        }
    });
    let what = table.require("what", "name the fault, e.g. what = \"wrong-result\"")?;
    let latency = table.get("latency");
    let code = table.get("code");
    let read = match (what.text()?, &latency) {
        ("slow", Some(node)) => {
            Ok(Fault::Slow(node.duration(Duration::from_millis(1)..=LATENCY_MAX)?))
        }
        (word, _) => Fault::from_words(word, code.as_ref().and_then(Node::text)),
    };
    let fault = match read {
        Ok(fault) => fault,
        Err(error) => {
            what.error(error.to_string(), format!("write one of: {}", FAULT_WORDS.join(", ")));
            return None;
        }
    };
    let misplaced = match fault {
        Fault::Slow(_) => code.map(|node| (node, "slow has a latency and no code")),
        _ => latency.map(|node| (node, "only slow has a latency")),
    };
    if let Some((node, what)) = misplaced {
        node.error(what, "remove it");
    }
    target.map(|target| InjectedFault { target, fault })
}

/// Whether the configuration, or the default set, has this card or queue.
fn is_there(target: CardTarget, cards: &[Card], members: usize) -> bool {
    let (id, domain) = match target {
        CardTarget::Card(card) => (card, None),
        CardTarget::Queue(apqn) => (apqn.card, Some(apqn.domain)),
    };
    if cards.is_empty() {
        let domains = FIRST_DOMAIN..FIRST_DOMAIN + members;
        return id < 2 && domain.is_none_or(|domain| domains.contains(&usize::from(domain)));
    }
    cards.iter().any(|card| card.id == id && domain.is_none_or(|d| card.domains.contains(&d)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Fault, Report, parse};

    fn read(lines: &str) -> Report {
        let service = "[[service]]\nname = \"a\"\nlisten = \"127.0.0.1:992\"\n\
                       backend = \"127.0.0.1:23\"\ncert = \"a.pem\"\nkey = \"a.key\"\n";
        parse(Path::new("/etc/adjunct/adjunct.toml"), &format!("{service}{lines}"))
    }

    fn only(report: &Report) -> &Fault {
        assert_eq!(report.faults.len(), 1, "{:#?}", report.faults);
        &report.faults[0]
    }

    #[test]
    fn cards_are_broken_by_a_test_build_only() {
        let allowed = "[server]\nworkers = 1\nfault_injection = true\n";
        let fault = "[[fault]]\nat = \"00.0006\"\nwhat = \"slow\"\nlatency = \"20ms\"\n";
        let report = read(fault);
        assert!(only(&report).what.contains("only where faults are allowed"));
        let report = read(&format!("{allowed}{fault}"));
        if !cfg!(feature = "fault-injection") {
            let fault = only(&report);
            assert_eq!(fault.key, "server.fault_injection");
            assert!(fault.what.contains("does not inject faults") && fault.remedy.contains("demo"));
            return;
        }
        assert_eq!(report.faults, []);
        let faults = report.config.unwrap().faults;
        assert_eq!(faults[0].target.to_string(), "00.0006");
        assert_eq!(faults[0].fault.to_string(), "slow 20ms");
        for (wrong, key) in [
            ("at = \"02\"\nwhat = \"reset\"", "fault[0].at"),
            ("at = \"00.0007\"\nwhat = \"reset\"", "fault[0].at"),
            ("at = \"00\"\nwhat = \"slow\"", "fault[0].what"),
            ("at = \"00\"\nwhat = \"tired\"", "fault[0].what"),
            ("at = \"00\"\nwhat = \"response\"\ncode = \"00\"", "fault[0].what"),
            ("at = \"00\"\nwhat = \"reset\"\nlatency = \"1s\"", "fault[0].latency"),
            ("at = \"00\"\nwhat = \"slow\"\nlatency = \"1s\"\ncode = \"05\"", "fault[0].code"),
        ] {
            let report = read(&format!("{allowed}[[fault]]\n{wrong}\n"));
            assert_eq!(only(&report).key, key, "{wrong}");
        }
    }
}
