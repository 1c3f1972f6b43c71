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

#[cfg(test)]
mod tests {
    use super::super::schema::Verify;
    use super::super::tests::{only, with};
    use crate::exit::Exit;

    #[test]
    fn a_service_adds_to_the_modes_of_the_server() {
        let text = "[server]\nmode = [\"nist-800-131a\"]\naudit = [\"fips-140-3-2026-11-21\"]";
        let config = with(text).config.unwrap();
        assert_eq!(config.services[0].mode.to_string(), "nist-800-131a");
        assert_eq!(config.services[0].audit.to_string(), "fips-140-3");
        assert_eq!(config.route.verify, Verify::Rsa, "SP 800-131A leaves it to the operator");
        let config = with("mode = [\"fips-140-2\", \"fips-140-3\"]").config.unwrap();
        assert!(config.server.mode.is_empty());
        assert_eq!(config.modes().to_string(), "fips-140-2+fips-140-3");
        assert_eq!(config.route.verify, Verify::All, "a FIPS mode of any service wants it");
    }

    #[test]
    fn a_mode_is_called_by_its_name() {
        let report = with("[server]\nmode = [\"fips-140-4\"]");
        let (_, key, what, remedy) = only(&report);
        assert_eq!(key, "server.mode");
        assert!(what.contains("not the name of a mode; did you mean \"fips-140-"), "{what}");
        assert!(remedy.contains("nist-800-131a-2026-11-21"), "{remedy}");
        assert!(only(&with("audit = [\"strict\"]")).2.contains("not the name of a mode"));
    }

    #[test]
    fn a_fips_mode_does_not_let_cards_be_replaced_or_believed() {
        for (line, rule) in [
            ("no_card = \"software\"", "[fips-140-3/no-card]"),
            ("verify = \"rsa\"", "[fips-140-3/verify]"),
        ] {
            let fips = format!("[server]\nmode = [\"fips-140-3\"]\n[route]\n{line}");
            let report = with(&fips);
            assert!(only(&report).2.contains(rule), "{report:?}");
            assert_eq!(report.exit(), Exit::Config);
            assert!(with(&fips.replace("fips-140-3", "nist-800-131a")).config.is_some());
        }
    }
}
