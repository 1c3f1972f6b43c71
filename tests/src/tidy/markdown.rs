//! Checks on the documents: links that resolve, promises that name their test.
//!
//! Purpose: a document that points at nothing is worse than none; a promise without a test is a
//! wish.
//!
//! Invariants: fenced code is not searched for links. A promise is a row of a table in
//! SPECIFICATION.md; its last cell either names functions that exist in the tree (in backquotes),
//! links to a report, or says "pending".

use std::collections::BTreeSet;
use std::path::Path;

use super::{Fault, File, Tree};

/// Relative links that lead nowhere.
#[must_use]
pub fn broken_links(file: &File, tree: &Tree) -> Vec<Fault> {
    let here = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    links(&file.text)
        .into_iter()
        .filter(|(_, target)| !target.contains("://") && !target.starts_with("mailto:"))
        .filter(|(_, target)| !resolves(file, here, target, tree))
        .map(|(n, target)| Fault::new(&file.path, n, format!("link leads nowhere: {target}")))
        .collect()
}

/// Promises that name neither an existing test, nor a report, nor "pending".
#[must_use]
pub fn unproven_promises(specification: &File, functions: &BTreeSet<String>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (n, row) in rows(&specification.text) {
        let proof = row.last().copied().unwrap_or_default();
        let named: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
        let has_report = !links(proof).is_empty();
        if named.is_empty() && !has_report && !proof.to_lowercase().contains("pending") {
            let message = "a promise names its test or report in the last cell, or says pending";
            faults.push(Fault::new(&specification.path, n, message));
        }
        for name in named {
            let function = name.rsplit("::").next().unwrap_or(name).trim_end_matches("()");
            if !functions.contains(function) {
                let message = format!("no test is called {function}");
                faults.push(Fault::new(&specification.path, n, message));
            }
        }
    }
    faults
}

/// The names of all functions in a Rust file.
pub fn functions(file: &File) -> impl Iterator<Item = String> + '_ {
    file.text.split("fn ").skip(1).map(|rest| {
        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    })
}

/// The data rows of all tables: no header, no rule below it.
fn rows(text: &str) -> Vec<(usize, Vec<&str>)> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_rule = |line: &str| {
        line.starts_with('|') && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '))
    };
    let is_header = |n: usize| lines.get(n + 1).is_some_and(|next| is_rule(next));
    (0..lines.len())
        .filter(|&n| lines[n].starts_with('|') && !is_rule(lines[n]) && !is_header(n))
        .map(|n| (n + 1, lines[n].trim_matches('|').split('|').map(str::trim).collect()))
        .collect()
}

/// Every `](target)` outside fenced code, with its line.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (n, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for part in line.split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap_or_default();
            found.push((n + 1, target.to_owned()));
        }
    }
    found
}

fn resolves(file: &File, here: &Path, target: &str, tree: &Tree) -> bool {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    if path.is_empty() {
        return has_heading(&file.text, anchor);
    }
    let place = tree.root.join(here).join(path);
    let exists = place.exists();
    if !exists || anchor.is_empty() || !path.ends_with(".md") {
        return exists;
    }
    std::fs::read_to_string(place).is_ok_and(|text| has_heading(&text, anchor))
}

fn has_heading(text: &str, anchor: &str) -> bool {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| slug(line.trim_start_matches('#').trim()) == anchor)
}

/// The anchor that code hosts derive from a heading.
fn slug(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || matches!(c, '-' | '_') => Some(c),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree::read()
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let text = "# A heading, here\n[a](Cargo.toml) [b](nowhere.md)\n[c](#a-heading-here) \
                    [d](#nowhere)\n[e](https://a.example/x)\n```\n[f](nowhere)\n```\n";
        let faults = broken_links(&File::sample("README.md", text), &tree());
        let found: Vec<&str> = faults.iter().map(|f| f.message.as_str()).collect();
        assert_eq!(found, ["link leads nowhere: nowhere.md", "link leads nowhere: #nowhere"]);
    }

    #[test]
    fn a_link_is_resolved_from_the_place_of_its_document() {
        let file = File::sample("tests/README.md", "[a](../Cargo.toml) [b](tests)\n");
        assert!(broken_links(&file, &tree()).is_empty());
    }

    #[test]
    fn a_promise_without_proof_is_found() {
        let known = BTreeSet::from(["it_holds".to_owned()]);
        let text = "| promise | proof |\n|---|---|\n| a | `e2e::it_holds` |\n| b | pending |\n\
                    | c | `no_such_test` |\n| d | sure |\n| e | [r](perf-reports/r.md) |\n";
        let faults = unproven_promises(&File::sample("SPECIFICATION.md", text), &known);
        assert_eq!(faults.iter().map(|f| f.line).collect::<Vec<_>>(), [5, 6]);
    }

    #[test]
    fn functions_are_found_by_name() {
        let file = File::sample("a.rs", "fn one() {}\npub fn two_three<T>() {}\n");
        assert_eq!(functions(&file).collect::<Vec<_>>(), ["one", "two_three"]);
    }
}
