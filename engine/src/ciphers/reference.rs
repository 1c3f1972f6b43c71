//! The reference page of cipher suites and groups, generated from the tables.
//!
//! `server/docs/reference/ciphers.md` is this text; a test of another package compares them, so the
//! page cannot fall behind the program.

use std::fmt::Write as _;

use super::{Cipher, State, TABLE, by_code};
use crate::groups;

/// The whole page as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(INTRODUCTION);
    page.push_str("## Served\n\n| Code | IANA | OpenSSL | z/VM | Protocol |\n");
    page.push_str("| --- | --- | --- | --- | --- |\n");
    for cipher in TABLE.iter().filter(|cipher| cipher.state() == State::Implemented) {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(page, "| {} | {} |", names(cipher), protocol(cipher));
    }
    page.push_str("\n## Known and not served\n\n");
    page.push_str("| Code | IANA | OpenSSL | z/VM | Protocol | Nearest | Why not |\n");
    page.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
    for cipher in TABLE {
        let State::NotImplemented { reason, nearest } = cipher.state() else { continue };
        let nearest = by_code(nearest).map_or_else(String::new, |near| near.code.to_string());
        let names = names(cipher);
        let _ = writeln!(page, "| {names} | {} | {nearest} | {reason} |", protocol(cipher));
    }
    page.push_str(GROUPS);
    for name in groups::names() {
        match groups::find(name) {
            Some(groups::State::Implemented(served)) if served == name => {
                let _ = writeln!(page, "| `{name}` | served | |");
            }
            Some(groups::State::Implemented(served)) => {
                let _ = writeln!(page, "| `{name}` | another name of `{served}` | |");
            }
            Some(groups::State::NotImplemented { reason, nearest }) => {
                let _ = writeln!(page, "| `{name}` | {reason} | `{nearest}` |");
            }
            None => {}
        }
    }
    page
}

const INTRODUCTION: &str = "\
# Cipher suites and groups

<!-- Generated from engine/src/ciphers and engine/src/groups.rs; do not edit. -->

`suites`, `enable` and `exempt` of the [configuration](config.md) take a suite in every spelling:
the IANA name, OpenSSL's, the four hexadecimal digits of its code (`C02F`, `0xC02F`; two where the
first byte is 00), and that of IBM's SSL server for z/VM (`ECDHE_RSA_AES_128_GCM_SHA256`). Letters
may be of either case. `adjunct ciphers` prints this table, and with `--json` for a program.

A suite that is not served is refused in `suites` and `enable` with the reason and the nearest that
works, in the spelling it was written in; suites of the registry that are not on this page, by IANA
name and code. In `exempt` it may stand: it is never offered.

An asterisk marks names of z/VM that follow the pattern of the others: no text we could read shows
them.

";

const GROUPS: &str = "
## Groups

Names that `groups` knows; letters may be of either case. Numbers are not taken: System SSL writes
them in decimal and TLS in hexadecimal.

| Name | What becomes of it | Nearest |
| --- | --- | --- |
";

fn names(cipher: &Cipher) -> String {
    // As code: underscores of a name must not become emphasis.
    let quoted = |name: Option<&str>| name.map(|name| format!("`{name}`")).unwrap_or_default();
    let derived = if cipher.ibm.is_some_and(|ibm| !ibm.shown) { "\\*" } else { "" };
    let (openssl, zvm) = (quoted(cipher.openssl), quoted(cipher.ibm.map(|ibm| ibm.name)));
    format!("{} | `{}` | {openssl} | {zvm}{derived}", cipher.code, cipher.iana)
}

fn protocol(cipher: &Cipher) -> String {
    let (first, last) = cipher.protocols();
    if first == last { first.to_owned() } else { format!("{first} to {last}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_and_every_group_is_on_the_page() {
        let page = reference();
        for cipher in TABLE {
            assert!(page.contains(&format!("| {} | `{}` |", cipher.code, cipher.iana)));
        }
        for name in groups::names() {
            assert!(page.contains(&format!("| `{name}` |")), "{name}");
        }
        assert!(page.contains("| `ECDHE_ECDSA_AES_128_SHA256` |"), "a sample shows this one");
        assert!(page.contains("| `ECDHE_RSA_AES_128_GCM_SHA256`\\* |"));
    }
}
