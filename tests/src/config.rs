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

/// The text of a configuration file with two workers (so that two members share what must be
/// shared) and the given services.
#[must_use]
pub fn file(services: &[Service]) -> String {
    let mut text = "[server]\nworkers = 2\n\n".to_owned();
    for service in services {
        let _ = writeln!(text, "{}", service.text);
    }
    text
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
}
