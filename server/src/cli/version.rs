//! `adjunct --version`, and with `--verbose` what a bug report should say.

use std::fmt::Write as _;

use engine::compliance::{Mode, ModeSet};
use serde_json::{Map, Value, json};

use crate::config::schema::{Limits, TicketRing};
use crate::fips::facts::Facts;

/// What the program is, apart from its module and modes.
fn build() -> Vec<(&'static str, String)> {
    let on = |on: bool| if on { "on" } else { "off" };
    let limits = Limits::default();
    vec![
        ("commit", option_env!("ADJUNCT_COMMIT").unwrap_or("not recorded").to_owned()),
        ("target", format!("{} {}", std::env::consts::ARCH, std::env::consts::OS)),
        (
            "features",
            format!(
                "fault-injection {}, fips {}",
                on(cfg!(feature = "fault-injection")),
                on(cfg!(feature = "fips"))
            ),
        ),
        ("cards", "simulated: threads of this host".to_owned()),
        (
            "limits",
            format!(
                "{} connections, {} handshakes per service by default; tickets live {} s",
                limits.connections,
                limits.handshakes,
                TicketRing::default().lifetime.as_secs()
            ),
        ),
    ]
}

/// The facts of the program by itself: which modes are enforced is up to a configuration.
fn facts() -> Facts {
    Facts::of(&ModeSet::default())
}

pub(super) fn text(verbose: bool) -> String {
    let mut out = format!("adjunct {}\n", env!("CARGO_PKG_VERSION"));
    if !verbose {
        return out;
    }
    let known = Mode::ALL.map(Mode::name).join(", ");
    let can = ("modes known", format!("{known}; enforced where a configuration says so"));
    let facts = facts().rows().into_iter().filter(|(name, _)| *name != "modes");
    for (name, value) in build().into_iter().chain(facts).chain([can]) {
        // Writing to a String does not fail.
        let _ = writeln!(out, "  {name:<14}{value}");
    }
    out
}

pub(super) fn json(verbose: bool) -> Value {
    let mut all = Map::new();
    all.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
    if verbose {
        all.extend(build().into_iter().map(|(name, value)| (name.to_owned(), value.into())));
        all.insert("module".to_owned(), json!(facts()));
        all.insert("modes_known".to_owned(), json!(Mode::ALL.map(Mode::name)));
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::{json, text};

    #[test]
    fn the_short_form_is_one_line() {
        assert_eq!(text(false), format!("adjunct {}\n", env!("CARGO_PKG_VERSION")));
        assert_eq!(json(false).as_object().map(serde_json::Map::len), Some(1));
    }

    #[test]
    fn module_validation_and_modes_are_separate_facts_in_both_forms() {
        let (text, json) = (text(true), json(true));
        let fips = cfg!(feature = "fips");
        assert_eq!(json["module"]["fips_module"], fips);
        assert_eq!(json["module"]["modes"].as_array().map(Vec::len), Some(0));
        assert_eq!(json["modes_known"][2], "fips-140-3");
        for fact in ["module", "version", "validated"] {
            let value = json["module"][fact].as_str().unwrap();
            assert!(text.contains(value), "{fact}: {value} is missing in\n{text}");
        }
        assert_eq!(text.contains("  validated     no\n"), !fips, "{text}");
        assert!(text.contains("  modes known   fips-140-2, nist-800-131a, fips-140-3;"), "{text}");
    }
}
