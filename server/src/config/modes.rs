//! Reads `mode` and `audit`, and holds the modes against `[route]`.
//!
//! A service can add modes to those of the server and take none away: what is written there can
//! only make it stricter.

use engine::compliance::{Allowed, ModeSet, Policy, PolicySet, UnknownMode};

use super::keys;
use super::reader::{Node, Table};
use super::schema::{NoCard, Route, Verify};

/// A list of modes; empty if the key is not given.
pub(super) fn list(table: &Table<'_>, name: &'static str) -> ModeSet {
    let mut modes = ModeSet::default();
    let Some(node) = table.get(name) else { return modes };
    for element in node.elements().unwrap_or_default() {
        let Some(word) = element.text() else { continue };
        match Policy::find(word) {
            Some(policy) => modes.insert(policy),
            None => unknown(&element, word),
        }
    }
    modes
}

fn unknown(node: &Node<'_>, word: &str) {
    let known: Vec<_> = Policy::names().collect();
    let hint = keys::nearest(word, known.iter().copied())
        .map(|near| format!("; did you mean \"{near}\"?"))
        .unwrap_or_default();
    node.error(
        format!("{}{hint}", UnknownMode(word.to_owned())),
        format!("write out of: {}", known.join(", ")),
    );
}

/// What `[route]` says of cards, under all modes of the file. `written` is the table, if it is
/// there.
pub(super) fn hold(route: &mut Route, written: Option<&Table<'_>>, modes: &ModeSet) {
    let policy = PolicySet::new(modes);
    let error = |key: &'static str, what: &str, remedy: &str| {
        if let Some(node) = written.and_then(|table| table.get(key)) {
            node.error(what, remedy);
        }
    };
    if let Allowed::No(rule) = policy.software_without_card()
        && route.no_card == NoCard::Software
    {
        let what = format!("software may not sign in place of a card in this mode [{rule}]");
        error("no_card", &what, "write no_card = \"fail\", or leave it out");
    }
    if let Allowed::No(rule) = policy.unverified_results()
        && route.verify != Verify::All
    {
        // Left out it is what the mode wants, whatever the default is otherwise.
        let what = format!("every result of a card is verified in this mode [{rule}]");
        error("verify", &what, "write verify = \"all\", or leave it out");
        route.verify = Verify::All;
    }
}
