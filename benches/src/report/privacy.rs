//! What must not get into a report: directories and the name of the machine.
//!
//! Source: a report is committed, and read by people who have neither the machine nor its paths.

use std::fs;

/// Places whose names mean something on one machine only.
const ROOTS: &[&str] = &["home", "root", "tmp", "usr", "var", "opt", "work", "mnt", "Users"];

/// Shortens every absolute path of a text to its last part, and hides the name of the machine.
#[must_use]
pub fn scrubbed(text: &str) -> String {
    scrubbed_of(text, host_name().as_deref())
}

fn scrubbed_of(text: &str, host: Option<&str>) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = next_path(rest) {
        clean.push_str(&rest[..at]);
        let end = rest[at..].find(is_end_of_path).map_or(rest.len(), |length| at + length);
        let path = rest[at..end].trim_end_matches('/');
        clean.push_str(path.rsplit('/').next().unwrap_or_default());
        rest = &rest[end..];
    }
    clean.push_str(rest);
    match host {
        Some(host) => clean.replace(host, "this-host"),
        None => clean,
    }
}

/// Paths and names in `text` that must not be there.
#[must_use]
pub fn leaks(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = next_path(rest) {
        let end = rest[at..].find(is_end_of_path).map_or(rest.len(), |length| at + length);
        found.push(rest[at..end].to_owned());
        rest = &rest[end..];
    }
    found.extend(host_name().filter(|host| text.contains(host.as_str())));
    found
}

/// Where a path that means something on one machine begins.
fn next_path(text: &str) -> Option<usize> {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '}');
    let root = |at: usize| {
        let end = text[at + 1..].find(|c| c == '/' || is_end_of_path(c));
        &text[at + 1..end.map_or(text.len(), |length| at + 1 + length)]
    };
    let starts = |at: &usize| !text[..*at].ends_with(inside) && ROOTS.contains(&root(*at));
    text.match_indices('/').map(|(at, _)| at).find(starts)
}

fn is_end_of_path(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ':' | ',' | ';' | ')' | '(' | '<' | '>')
}

/// A name that is worth hiding: long enough not to be a word of the text.
fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    let common = ["localhost", "debian", "ubuntu", "linux"];
    (name.len() >= 5 && !common.contains(&name)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shortened_and_a_fraction_is_not() {
        let path = ["/ho", "me/someone/adjunct/target/release/adjunct"].concat();
        let text = format!("{path}: no daemon there; 3 handshakes/s, benches/src, \"{path}\"");
        let clean = scrubbed_of(&text, None);
        assert_eq!(clean, "adjunct: no daemon there; 3 handshakes/s, benches/src, \"adjunct\"");
        assert_eq!(leaks(&text).len(), 2);
        assert!(leaks(&clean).is_empty());
    }

    #[test]
    fn the_name_of_the_machine_is_hidden() {
        assert_eq!(scrubbed_of("on buildbox7: x", Some("buildbox7")), "on this-host: x");
    }
}
