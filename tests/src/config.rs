//! Configurations, written as an operator would.
//!
//! Purpose: a test says what it varies and nothing else. The text is TOML by hand, not serialised
//! from the daemon's own types: a test must notice when the daemon stops reading what users wrote.

use std::fmt::{Display, Write};

use crate::pki::Issued;

/// One `[[service]]`.
#[derive(Debug, Clone)]
pub struct Service {
    text: String,
}

impl Service {
    /// The five lines that must do.
    #[must_use]
    pub fn new(name: &str, listen: impl Display, backend: impl Display, leaf: &Issued) -> Self {
        Self::with_certs(name, listen, &[backend], &[leaf])
    }

    /// Several backends and several certificates.
    #[must_use]
    pub fn with_certs(
        name: &str,
        listen: impl Display,
        backends: &[impl Display],
        leaves: &[&Issued],
    ) -> Self {
        let backends: Vec<String> = backends.iter().map(|b| format!("\"{b}\"")).collect();
        let pair = |l: &&Issued| {
            format!("{{ cert = \"{}\", key = \"{}\" }}", l.cert.display(), l.key.display())
        };
        let certs: Vec<String> = leaves.iter().map(pair).collect();
        let text = format!(
            "[[service]]\nname = \"{name}\"\nlisten = \"{listen}\"\nbackend = [{}]\ncert = [{}]\n",
            backends.join(", "),
            certs.join(", ")
        );
        Self { text }
    }

    /// One more line.
    #[must_use]
    pub fn with(mut self, line: &str) -> Self {
        self.text.push_str(line);
        self.text.push('\n');
        self
    }
}

/// How this run of the tests wants daemons to make handshakes (`ADJUNCT_TEST_OFFLOAD`).
#[must_use]
pub fn offload() -> String {
    let asked = std::env::var("ADJUNCT_TEST_OFFLOAD").unwrap_or_default();
    let known = ["fiber", "pool", "inline"].into_iter().find(|word| *word == asked);
    assert!(asked.is_empty() || known.is_some(), "ADJUNCT_TEST_OFFLOAD: {asked}?");
    known.unwrap_or("fiber").to_owned()
}

/// Whether the event loops of this run stand still while a card works.
#[must_use]
pub fn loops_stand_still() -> bool {
    offload() == "inline"
}

/// How many workers this run of the tests wants (`ADJUNCT_TEST_WORKERS`). Two unless it says so,
/// so that two members share what must be shared.
#[must_use]
pub fn workers() -> usize {
    match std::env::var("ADJUNCT_TEST_WORKERS") {
        Ok(count) => count.parse().expect("ADJUNCT_TEST_WORKERS: a number"),
        Err(_) => 2,
    }
}

/// The engine of the cards of a [`crate::rig::Rig`] in this run of the tests
/// (`ADJUNCT_TEST_ENGINE`): `single` stands for a processor without vector unit.
#[must_use]
pub fn engine() -> String {
    std::env::var("ADJUNCT_TEST_ENGINE").unwrap_or_else(|_| "auto".to_owned())
}

/// The text of a configuration file with the given services.
#[must_use]
pub fn file(services: &[Service]) -> String {
    let mut text = "[server]\n\n".to_owned();
    for service in services {
        let _ = writeln!(text, "{}", service.text);
    }
    in_mode(&text)
}

/// A configuration with the workers and the offload of this run, where it does not say them itself.
#[must_use]
pub fn in_mode(text: &str) -> String {
    let Ok(table) = text.parse::<toml::Table>() else { return text.to_owned() };
    let mut lines = String::new();
    for (key, value) in
        [("workers", workers().to_string()), ("offload", format!("{:?}", offload()))]
    {
        if table.get("server").is_none_or(|server| server.get(key).is_none()) {
            let _ = writeln!(lines, "{key} = {value}");
        }
    }
    match text.split_once("[server]\n") {
        Some((before, after)) => format!("{before}[server]\n{lines}{after}"),
        None => format!("{text}\n[server]\n{lines}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_is_written_is_toml() {
        let leaf = Issued { cert: PathBuf::from("a.pem"), key: PathBuf::from("a.key") };
        let service = Service::with_certs("a", "127.0.0.1:1", &["b:1", "c:1"], &[&leaf, &leaf]);
        let table: toml::Table = file(&[service.with("tickets = 0")]).parse().unwrap();
        let service = &table["service"][0];
        assert_eq!(service["backend"].as_array().map(Vec::len), Some(2));
        assert_eq!(service["cert"][1]["key"].as_str(), Some("a.key"));
        assert_eq!(service["tickets"].as_integer(), Some(0));
    }

    #[test]
    fn the_mode_of_the_run_stands_in_every_file_that_does_not_say_its_own() {
        for text in ["", "[server]\ndrain = \"1s\"\n", "[server]\noffload = \"pool\"\n"] {
            let table: toml::Table = in_mode(text).parse().unwrap();
            let server = &table["server"];
            let count = server["workers"].as_integer().and_then(|n| usize::try_from(n).ok());
            assert_eq!(count, Some(workers()));
            let said = if text.contains("pool") { "pool".to_owned() } else { offload() };
            assert_eq!(server["offload"].as_str(), Some(said.as_str()));
        }
    }
}
