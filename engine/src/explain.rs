//! `explain CODE`: what a number or name from a record, a log or a manual means.
//!
//! Purpose: one question, every table. An input may be a return/reason pair, a reason code alone, a
//! System SSL or AT-TLS code, a CMS status, an alert, a callable service or a rule, as a number, a
//! name or the whole log line; every reading that a table confirms is answered.
//!
//! Deliberately not here: text for a terminal (server) and the reference page
//! ([`crate::icsf::reference`]), which is made from the same tables.

use std::fmt;

use crate::alert::{self, Alert};
use crate::certs::{ADVICE, AUTHORITY_LOADING, LOADING, LoadRule, REVOCATION_LOADING};
use crate::compliance;
use crate::gsk::{self, CmsStatus, GskCode, Standing};
use crate::icsf::{Code, Origin, ReasonCode, ReturnCode, Service, table};
use crate::rules::{self, Rule};

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The code in full, e.g. `ICSF 8/2B00 key-value-invalid`.
    pub title: String,
    /// What it means.
    pub meaning: String,
    /// What to do.
    pub action: String,
    /// Where the number comes from.
    pub source: &'static str,
}

/// The input is in none of our tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCode {
    /// What was asked.
    pub input: String,
    /// Codes and names that look like it, best first.
    pub near: Vec<String>,
}

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no code we know", self.input)?;
        if self.near.is_empty() {
            write!(
                f,
                "; try a return and reason code (8/2B00), a System SSL code (402), an alert \
                 (alert 40) or a rule (no-common-cipher)"
            )
        } else {
            write!(f, "; near it: {}", self.near.join(", "))
        }
    }
}

impl std::error::Error for UnknownCode {}

/// Explains a code in any of the forms the module names.
///
/// # Errors
/// [`UnknownCode`] with near matches when no table knows it.
pub fn explain(input: &str) -> Result<Vec<Explanation>, UnknownCode> {
    let text = input.trim();
    let mut found = Vec::new();
    if let Some(pair) = icsf_pair(text) {
        found.extend(pair.into_iter().map(of_icsf));
    } else if let Some(rest) = text.to_ascii_lowercase().strip_prefix("alert ") {
        let word = rest.split_whitespace().next().unwrap_or_default();
        let alert = word.parse().ok().map(Alert).or_else(|| Alert::from_name(word));
        found.extend(alert.map(of_alert));
    } else if let Some(number) = after_family(text) {
        let number = number.split_whitespace().next().and_then(|word| word.parse().ok());
        found.extend(number.map(GskCode).and_then(of_gsk));
    } else {
        numbers(text, &mut found);
        names(text, &mut found);
    }
    if found.is_empty() {
        return Err(UnknownCode { input: text.to_owned(), near: near(text) });
    }
    Ok(found)
}

/// What follows `GSK` or `AT-TLS`, as records print a code.
fn after_family(text: &str) -> Option<&str> {
    ["GSK ", "AT-TLS "].into_iter().find_map(|family| {
        let (start, rest) = text.split_at_checked(family.len())?;
        start.eq_ignore_ascii_case(family).then_some(rest)
    })
}

/// Every code that a bare number may stand for.
fn numbers(text: &str, found: &mut Vec<Explanation>) {
    let decimal: Option<u32> = text.parse().ok();
    let hexadecimal = hex(text);
    if let Some(code) = decimal.and_then(|number| u16::try_from(number).ok()) {
        found.extend(of_gsk(GskCode(code)));
    }
    if let Some(alert) = decimal.and_then(|number| u8::try_from(number).ok()).map(Alert) {
        found.extend(alert.row().map(|row| of_alert(row.alert)));
    }
    if let Some(number) = hexadecimal {
        found.extend(CmsStatus(number).meaning().map(|meaning| of_cms(CmsStatus(number), meaning)));
        found.extend(gsk_internal(number).and_then(of_gsk));
        found.extend(pkcs11_vendor(number).map(of_icsf));
    }
    // As a reason code: hexadecimal as the messages print it, else decimal as the manuals list it.
    // Small numbers are left to the other tables.
    let reason = |number: Option<u32>| {
        number.filter(|number| *number > 0xFF).into_iter().flat_map(|number| {
            table::with_reason(ReasonCode(number)).map(of_icsf).collect::<Vec<_>>()
        })
    };
    let before = found.len();
    found.extend(reason(hexadecimal));
    if found.len() == before {
        found.extend(reason(decimal));
    }
}

/// The number `gsk_strerror` prints: a fixed high part and the code.
fn gsk_internal(number: u32) -> Option<GskCode> {
    const BASE: u32 = 0x134C_C000;
    number.checked_sub(BASE).and_then(|code| u16::try_from(code).ok()).map(GskCode)
}

/// A PKCS #11 vendor error: 0xC0000000, return code and reason code in one number.
fn pkcs11_vendor(number: u32) -> Option<&'static Code> {
    if number >> 24 != 0xC0 {
        return None;
    }
    table::find(ReturnCode((number >> 16) & 0xFF), ReasonCode(number & 0xFFFF))
}

fn names(text: &str, found: &mut Vec<Explanation>) {
    // Hyphens, underscores and blanks are the same to someone who types a name from memory.
    let dashed = text.replace(['_', ' '], "-");
    let underscored = text.replace(['-', ' '], "_");
    found.extend(rules::find(&dashed).map(of_rule));
    found.extend(load_rules().find(|rule| rule.name.eq_ignore_ascii_case(&dashed)).map(at_load));
    found.extend(table::by_name(&dashed).map(of_icsf));
    found.extend(Alert::from_name(&underscored).map(of_alert));
    found.extend(GskCode::from_name(&underscored).and_then(of_gsk));
    found.extend(Service::from_name(text).map(of_service));
}

/// A number with or without `0x`.
fn hex(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    // from_str_radix would accept a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

/// `8/2B00`, `0x8/0x2b00`, or a log line with `retCode = 0x8, rsnCode = 0x2b00`. None when the
/// text has not that form; an empty list when it has and the pair is unknown.
fn icsf_pair(text: &str) -> Option<Vec<&'static Code>> {
    let lower = text.to_ascii_lowercase();
    let after = |key: &str| {
        let rest = lower.split_once(key)?.1.trim_start_matches(['=', ' ', ':', '"']);
        rest.split([',', ' ', ')', '"']).next()
    };
    let pair = |code: &str, reason: &str| after(code).zip(after(reason));
    // A record in JSON has "rc":"0x8","rsn":"0x2b00"; some copy only the two numbers.
    let (code, reason) = pair("retcode", "rsncode")
        .or_else(|| pair("rc", "rsn"))
        .or_else(|| lower.split_once('/'))
        .or_else(|| lower.split_once(' ').filter(|(code, _)| code.starts_with("0x")))?;
    let return_code = return_code(code.trim())?;
    let reason = reason.trim();
    let exact = hex(reason).and_then(|number| table::find(return_code, ReasonCode(number)));
    let decimal = || {
        let number = reason.parse().ok()?;
        table::find(return_code, ReasonCode(number))
    };
    Some(exact.or_else(decimal).into_iter().collect())
}

/// A return code; `12`, `0xC` and `C` are the same, and so are `16`, `0x10`.
fn return_code(text: &str) -> Option<ReturnCode> {
    let decimal = text.parse().ok().map(ReturnCode);
    decimal
        .filter(|code| ReturnCode::ALL.contains(code))
        .or_else(|| hex(text).map(ReturnCode).filter(|code| ReturnCode::ALL.contains(code)))
}

fn of_icsf(code: &Code) -> Explanation {
    Explanation {
        title: format!("ICSF {} {}", code.short(), code.name),
        meaning: format!("{} (return code {}: {})", code.meaning, code.return_code.0, {
            code.return_code.meaning()
        }),
        action: code.action.to_owned(),
        source: match code.origin {
            Origin::Published => "ICSF return and reason codes",
            Origin::ReturnCodeAssumed => "ICSF reason codes; the return code is our reading",
            Origin::Adjunct => "Adjunct range: assigned by this program, not by IBM",
        },
    }
}

fn of_gsk(code: GskCode) -> Option<Explanation> {
    let row = code.row()?;
    let by_rule: Vec<_> = rules::ALL.iter().filter(|rule| rule.gsk == Some(code)).collect();
    let action = match by_rule.as_slice() {
        [rule] => format!("rule {}: {}", rule.name, rule.hint),
        [] => row.action.to_owned(),
        several => {
            let names: Vec<&str> = several.iter().map(|rule| rule.name).collect();
            let names = names.join(", ");
            format!("{}; the record names the rule, explain that: {names}", row.action)
        }
    };
    let mut meaning = row.meaning.to_owned();
    if let Some(alert) = code.alert() {
        meaning.push_str(&format!(" (goes with {alert})"));
    }
    if !row.occurs {
        meaning.push_str("; this program does not report it");
    }
    Some(Explanation {
        title: code.to_string(),
        meaning,
        action,
        source: match (row.standing, code.is_attls()) {
            (Standing::Published, false) => "System SSL function return codes",
            (Standing::Published, true) => "AT-TLS return codes",
            (Standing::Recalled, _) => "general knowledge; in no text we could read",
        },
    })
}

fn of_cms(status: CmsStatus, meaning: &str) -> Explanation {
    let action = if status == CmsStatus::ICSF_SERVICE_FAILURE {
        "look for the ICSF return and reason code next to it and explain that"
    } else {
        "see the System SSL code next to it"
    };
    Explanation {
        title: status.to_string(),
        meaning: meaning.to_owned(),
        action: action.to_owned(),
        source: "System SSL CMS status codes",
    }
}

fn of_alert(alert: Alert) -> Explanation {
    let by_rule: Vec<_> =
        rules::ALL.iter().filter(|rule| rule.alert == Some(alert)).map(|rule| rule.name).collect();
    let action = if by_rule.is_empty() {
        format!("ends a session with {}", alert.gsk())
    } else {
        format!("ends a session with {}; sent by rule {}", alert.gsk(), by_rule.join(", "))
    };
    let current = alert.row().is_none_or(|row| row.current);
    Explanation {
        title: format!("TLS {alert}"),
        meaning: alert.meaning().to_owned(),
        action,
        source: if current { "RFC 8446 section 6" } else { "TLS 1.2 or older; reserved today" },
    }
}

fn of_rule(rule: &Rule) -> Explanation {
    let mut meaning = format!("{} (fault: {}", rule.meaning, rule.fault);
    if let Some(code) = rule.gsk {
        meaning.push_str(&format!(", {code}"));
    }
    if let Some(alert) = rule.alert {
        meaning.push_str(&format!(", we send {alert}"));
    }
    meaning.push(')');
    Explanation {
        title: format!("rule {}", rule.name),
        meaning,
        action: rule.hint.to_owned(),
        source: "rules of this program",
    }
}

/// The rules of every kind of file.
fn load_rules() -> impl Iterator<Item = &'static LoadRule> {
    LOADING.iter().chain(AUTHORITY_LOADING).chain(REVOCATION_LOADING).chain(ADVICE)
}

fn at_load(rule: &LoadRule) -> Explanation {
    Explanation {
        title: format!("rule {}", rule.name),
        meaning: format!("{} (found by `check` and at start)", rule.meaning),
        action: rule.action.to_owned(),
        source: "rules of this program",
    }
}

fn of_service(service: Service) -> Explanation {
    Explanation {
        title: format!("callable service {}", service.name),
        meaning: service.meaning.to_owned(),
        action: match service.used_for {
            Some(used_for) => format!("here it stands for {used_for}"),
            None => "this program does not report it".to_owned(),
        },
        source: "ICSF callable services",
    }
}

/// Most suggestions given.
const MAX_NEAR: usize = 6;

/// Names and codes that share their beginning, or a word, with what was typed.
fn near(text: &str) -> Vec<String> {
    let wanted = text.to_ascii_lowercase().replace(['_', ' '], "-");
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut ranked: Vec<(u8, String)> = candidates()
        .filter_map(|name| {
            let plain = name.to_ascii_lowercase().replace(['_', ' '], "-");
            rank(&wanted, &plain).map(|rank| (rank, name))
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.truncate(MAX_NEAR);
    ranked.into_iter().map(|(_, name)| name).collect()
}

fn candidates() -> impl Iterator<Item = String> {
    let names = rules::ALL.iter().map(|rule| rule.name);
    let names = names.chain(compliance::rules().map(|rule| rule.name));
    let names = names.chain(load_rules().map(|rule| rule.name)).map(str::to_owned);
    names
        .chain(alert::TABLE.iter().map(|row| row.name.to_owned()))
        .chain(table::TABLE.iter().map(|code| code.name.to_owned()))
        .chain(gsk::TABLE.iter().map(|row| row.name.to_owned()))
        .chain(Service::ALL.iter().map(|service| service.name.to_owned()))
        .chain(table::TABLE.iter().map(Code::short))
        .chain(gsk::TABLE.iter().map(|row| row.code.0.to_string()))
        .chain(gsk::CMS_TABLE.iter().map(|(status, _)| format!("{:08X}", status.0)))
}

/// How near a candidate is: 0 one begins with the other, 1 one contains the other, 2 they share a
/// word, 3 they share a beginning of four letters.
fn rank(wanted: &str, candidate: &str) -> Option<u8> {
    let long = |text: &str| text.len() >= 3;
    if candidate.starts_with(wanted) || (long(candidate) && wanted.starts_with(candidate)) {
        return Some(0);
    }
    if (long(wanted) && candidate.contains(wanted))
        || (long(candidate) && wanted.contains(candidate))
    {
        return Some(1);
    }
    let words = |text: &str| {
        text.split(['-', '/']).filter(|word| word.len() >= 4).map(str::to_owned).collect::<Vec<_>>()
    };
    let theirs = words(candidate);
    if words(wanted).iter().any(|word| theirs.contains(word)) {
        return Some(2);
    }
    let beginning = wanted.get(..4)?;
    candidate.starts_with(beginning).then_some(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(input: &str) -> Vec<String> {
        match explain(input) {
            Ok(found) => found.into_iter().map(|explanation| explanation.title).collect(),
            Err(unknown) => panic!("{unknown}"),
        }
    }

    #[test]
    fn pairs_in_every_spelling() {
        let expected = ["ICSF 8/2B00 key-value-invalid"];
        for input in [
            "8/2B00",
            "8/2b00",
            "0x8/0x2b00",
            " 8 / 2B00 ",
            "8/11008",
            "ICSF service failure: CSFPPKS retCode = 0x8, rsnCode = 0x2b00",
            "retCode=0x8 rsnCode=0x2b00",
            "\"rc\":\"0x8\",\"rsn\":\"0x2b00\"",
            "rc 0x8 rsn 0x2b00",
            "0x8 0x2b00",
            "0xC0082B00",
        ] {
            assert_eq!(titles(input), expected, "{input}");
        }
        assert_eq!(titles("8/BFE"), ["ICSF 8/BFE not-approved"]);
        assert_eq!(titles("C/8"), ["ICSF 12/8 not-on-hardware"]);
        assert_eq!(titles("12/AD04"), ["ICSF 12/AD04 timed-out"]);
        assert_eq!(titles("0x10/0xAD09"), ["ICSF 16/AD09 checkstopped"]);
    }

    #[test]
    fn system_ssl_codes_by_number_and_name() {
        assert_eq!(titles("402"), ["GSK 402 GSK_ERR_NO_CIPHERS"]);
        assert_eq!(titles("GSK_ERR_NO_CIPHERS"), ["GSK 402 GSK_ERR_NO_CIPHERS"]);
        assert_eq!(titles("GSK 402 GSK_ERR_NO_CIPHERS"), ["GSK 402 GSK_ERR_NO_CIPHERS"]);
        assert_eq!(titles("0x134CC19E"), ["GSK 414 GSK_ERR_BAD_CERT"]);
        assert_eq!(titles("5003"), ["AT-TLS 5003 ATTLS_CLEAR_TEXT"]);
        assert_eq!(titles("03353084"), ["CMS 03353084"]);
    }

    #[test]
    fn alerts_by_number_and_name() {
        assert_eq!(titles("alert 40"), ["TLS alert 40 handshake_failure"]);
        assert_eq!(titles("Alert 40"), ["TLS alert 40 handshake_failure"]);
        assert_eq!(titles("handshake_failure"), ["TLS alert 40 handshake_failure"]);
        assert_eq!(titles("handshake failure"), ["TLS alert 40 handshake_failure"]);
        assert_eq!(titles("alert 40 handshake_failure").len(), 1);
    }

    #[test]
    fn rules_services_and_reason_codes_alone() {
        assert_eq!(titles("no-common-cipher"), ["rule no-common-cipher"]);
        assert_eq!(titles("CSFPPKS"), ["callable service CSFPPKS"]);
        assert_eq!(titles("2B00"), ["ICSF 8/2B00 key-value-invalid"]);
        assert_eq!(titles("0x2AF8").len(), 2);
        assert_eq!(titles("3070"), ["ICSF 8/BFE not-approved"]);
    }

    #[test]
    fn a_number_in_two_tables_gets_two_answers() {
        assert_eq!(titles("10"), ["GSK 10 GSK_ERR_ASN", "TLS alert 10 unexpected_message"]);
    }

    #[test]
    fn every_row_of_every_table_can_be_explained() {
        for code in table::TABLE {
            assert_eq!(titles(&code.short()).len(), 1, "{}", code.short());
        }
        for row in gsk::TABLE.iter().chain(gsk::ATTLS_TABLE) {
            let title = row.code.to_string();
            for input in [row.name.to_owned(), row.code.0.to_string(), title.clone()] {
                assert!(titles(&input).contains(&title), "{input}");
            }
        }
        let of_modes = compliance::rules().map(|rule| rule.name);
        let names = rules::ALL.iter().map(|r| r.name).chain(load_rules().map(|r| r.name));
        for name in names.chain(of_modes) {
            assert_eq!(titles(name)[0], format!("rule {name}"));
        }
    }

    #[test]
    fn unknown_input_gets_near_matches() {
        let near = |input: &str| explain(input).map_err(|unknown| unknown.near);
        assert!(near("no-common").is_err_and(|near| near[0] == "no-common-cipher"));
        assert!(
            near("common-ciphers").is_err_and(|near| near.contains(&"no-common-cipher".into()))
        );
        assert!(near("8/2B").is_err_and(|near| near.contains(&"8/2B00".into())));
        assert!(near("40").is_ok());
        assert!(near("zzzz").is_err_and(|near| near.is_empty()));
        for odd in ["", "/", "//", "alert", "alert 999", "0x", "é", "gsk ", "-1", "99999999999"] {
            let message = explain(odd).map_err(|unknown| unknown.to_string());
            assert!(message.is_err_and(|message| message.contains("no code we know")), "{odd}");
        }
    }
}
