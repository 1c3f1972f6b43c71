//! `adjunct ciphers`: every cipher suite under all its names, and what becomes of it.
//!
//! The rows are those of [`engine::ciphers`]. What is exempt is told apart from what no version of
//! this program can do, as QUERY STATUS DETAILS of the SSL server tells Included from Exempt.

use std::fmt::Write as _;

use engine::ciphers::{Cipher, Code, State, TABLE, by_code};
use engine::compliance::{Kind, PolicySet};
use serde::Serialize;

use super::args::Ciphers;
use super::{print, print_json};
use crate::exit::Exit;

/// One suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    code: String,
    iana: &'static str,
    openssl: Option<&'static str>,
    zvm: Option<&'static str>,
    /// Whether the name of z/VM only follows the pattern of those that were published.
    zvm_derived: bool,
    /// First and last version that has it: `TLSv1.2`, `SSLv3-TLSv1.2`.
    protocol: String,
    key_exchange: String,
    /// `included`, `exempt` or `not-implemented`.
    state: &'static str,
    /// The rule that exempts it.
    rule: Option<String>,
    /// Why it is not implemented.
    reason: Option<String>,
    /// Code of the nearest that works.
    nearest: Option<String>,
}

/// Prints the table.
pub(super) fn ciphers(arguments: &Ciphers) -> Exit {
    let policy = PolicySet::new(&arguments.modes.iter().copied().collect());
    let rows = rows(&policy);
    if arguments.json {
        return print_json(&rows);
    }
    print(&text(&rows));
    Exit::Ok
}

/// The rows; `policy` says what exempts a suite that is implemented.
fn rows(policy: &PolicySet) -> Vec<Row> {
    TABLE.iter().map(|cipher| row(cipher, policy)).collect()
}

fn row(cipher: &Cipher, policy: &PolicySet) -> Row {
    let (first, last) = cipher.protocols();
    let (mut reason, mut nearest, mut exempt) = (None, None, None);
    let state = match (cipher.state(), cipher.code) {
        (State::NotImplemented { reason: why, nearest: code }, _) => {
            reason = Some(why);
            nearest = by_code(code).map(|near| near.code.to_string());
            "not-implemented"
        }
        (State::Implemented, Code::Tls(code)) => {
            let rules = policy.against(Kind::Suite, code);
            let rules: Vec<_> = rules.iter().map(|rule| rule.as_str()).collect();
            exempt = (!rules.is_empty()).then(|| rules.join(", "));
            if exempt.is_some() { "exempt" } else { "included" }
        }
        (State::Implemented, Code::Ssl2(_)) => "included",
    };
    Row {
        code: cipher.code.to_string(),
        iana: cipher.iana,
        openssl: cipher.openssl,
        zvm: cipher.ibm.map(|ibm| ibm.name),
        zvm_derived: cipher.ibm.is_some_and(|ibm| !ibm.shown),
        protocol: if first == last { first.to_owned() } else { format!("{first}-{last}") },
        key_exchange: cipher.key_exchange(),
        state,
        rule: exempt,
        reason,
        nearest,
    }
}

/// One line for each suite: what can be had first.
fn text(rows: &[Row]) -> String {
    let line = |row: [&str; 7]| {
        let [code, protocol, exchange, iana, openssl, zvm, state] = row;
        format!(
            "{code:<7} {protocol:<15} {exchange:<11} {iana:<45} {openssl:<29} {zvm:<29} {state}\n"
        )
    };
    let mut out = line(["CODE", "PROTOCOL", "KEY EXCH", "IANA", "OPENSSL", "Z/VM", "STATE"]);
    for state in ["included", "exempt", "not-implemented"] {
        for row in rows.iter().filter(|row| row.state == state) {
            let zvm = match row.zvm {
                Some(name) if row.zvm_derived => format!("{name}*"),
                name => name.unwrap_or("-").to_owned(),
            };
            let state = match (&row.rule, &row.reason, &row.nearest) {
                (Some(rule), ..) => format!("exempt: {rule}"),
                (None, Some(reason), Some(nearest)) => {
                    format!("not implemented: {reason}; nearest: {nearest}")
                }
                _ => state.to_owned(),
            };
            let openssl = row.openssl.unwrap_or("-");
            let cells = [&row.code, &row.protocol, &row.key_exchange, row.iana, openssl, &zvm];
            let [code, protocol, exchange, iana, openssl, zvm] = cells;
            out.push_str(&line([code, protocol, exchange, iana, openssl, zvm, &state]));
        }
    }
    let count = |state| rows.iter().filter(|row| row.state == state).count();
    // Writing to a String does not fail.
    let _ = write!(
        out,
        "\n{} included, {} exempt, {} not implemented.\n\
         * follows the pattern of the names of the SSL server that were published.\n",
        count("included"),
        count("exempt"),
        count("not-implemented")
    );
    out
}

#[cfg(test)]
mod tests {
    use engine::compliance::Mode;

    use super::*;

    fn under(modes: &[Mode]) -> Vec<Row> {
        rows(&PolicySet::new(&modes.iter().copied().collect()))
    }

    #[test]
    fn what_is_included_comes_first_and_the_rest_says_why() {
        let rows = under(&[Mode::Fips1403]);
        assert_eq!(rows.len(), TABLE.len());
        let text = text(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("CODE    PROTOCOL        KEY EXCH    IANA "), "{text}");
        assert!(lines[1].starts_with("1301    TLSv1.3         any "), "{text}");
        assert!(lines[1..=6].iter().all(|line| line.ends_with(" included")), "{text}");
        assert!(lines[7].starts_with("1303 "), "{text}");
        assert!(lines[7..=9].iter().all(|line| line.ends_with(" exempt: fips-140-3/suite")));
        assert!(lines[10..=TABLE.len()].iter().all(|line| line.contains(" not implemented: ")));
        let rc4 = lines.iter().find(|line| line.starts_with("0005")).expect("RC4_128_SHA");
        assert!(rc4.contains(" RC4-SHA ") && rc4.contains(" RC4_128_SHA "), "{rc4}");
        assert!(rc4.ends_with("RC4 is forbidden (RFC 7465); nearest: C02F"), "{rc4}");
        assert!(text.contains(" ECDHE_RSA_AES_128_GCM_SHA256* "), "{text}");
        assert!(text.contains("\n6 included, 3 exempt, 81 not implemented.\n"), "{text}");
    }

    #[test]
    fn what_several_modes_exempt_names_the_rule_of_each() {
        let rows = under(&[Mode::Nist800131a, Mode::Fips1402]);
        let chacha = rows.iter().find(|row| row.code == "1303").expect("ChaCha20-Poly1305");
        assert_eq!(chacha.rule.as_deref(), Some("fips-140-2/suite, nist-800-131a/suite"));
    }

    #[test]
    fn json_has_every_name_and_the_state() {
        let rows = under(&[]);
        assert!(rows.iter().all(|row| row.state != "exempt"));
        let json = serde_json::to_value(&rows).expect("plain values");
        let find = |code: &str| {
            let all = json.as_array().into_iter().flatten();
            all.into_iter().find(|row| row["code"] == code).cloned().expect(code)
        };
        let gcm = find("C02F");
        assert_eq!(gcm["iana"], "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
        assert_eq!(gcm["openssl"], "ECDHE-RSA-AES128-GCM-SHA256");
        assert_eq!(gcm["zvm"], "ECDHE_RSA_AES_128_GCM_SHA256");
        assert_eq!((&gcm["state"], &gcm["protocol"]), (&"included".into(), &"TLSv1.2".into()));
        let cbc = find("002F");
        assert_eq!(cbc["protocol"], "TLSv1.0-TLSv1.2");
        assert_eq!((&cbc["state"], &cbc["nearest"]), (&"not-implemented".into(), &"C02F".into()));
        assert!(find("SSLv2-3")["reason"].as_str().is_some_and(|why| why.contains("SSL 2.0")));
    }
}
