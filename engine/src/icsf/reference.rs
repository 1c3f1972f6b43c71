//! The reference page of all codes, generated from the tables.
//!
//! `server/docs/reference/codes.md` is this text; a test of another package compares them, so the
//! page cannot fall behind the program.

use std::fmt::Write as _;

use super::service::Service;
use super::table::{self, ADJUNCT_RANGE, Origin};
use super::{Code, ReturnCode};
use crate::alert;
use crate::compliance::{Kind, Mode, RuleId};
use crate::gsk::{self, AlertLink, Standing};
use crate::rules::{self, Rule};

/// The whole page as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(INTRODUCTION);
    return_codes(&mut page);
    reason_codes(&mut page);
    services(&mut page);
    system_ssl(&mut page);
    alerts(&mut page);
    refusal_rules(&mut page);
    mode_rules(&mut page);
    page
}

const INTRODUCTION: &str = "\
# Codes

<!-- Generated from engine/src: icsf/table.rs, gsk/codes.rs, alert.rs, rules.rs and
     compliance/rule.rs; do not edit. -->

Every failure of a crypto operation carries a callable service, a return code and a reason code,
as ICSF has them. Above it stand a System SSL code, the TLS alert and the name of the rule that
refused the connection. `adjunct explain CODE` prints the rows below. Rows in **bold** are those
this program can report; the others are known so that they can be explained.

";

/// A cell: a vertical bar would end it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn emphasis(text: &str, bold: bool) -> String {
    if bold { format!("**{text}**") } else { text.to_owned() }
}

fn return_codes(page: &mut String) {
    page.push_str("## Return codes\n\n| RC | Meaning |\n| --- | --- |\n");
    for code in ReturnCode::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| {} | {} |", code.0, cell(code.meaning()));
    }
    page.push('\n');
}

fn reason_codes(page: &mut String) {
    let _ = writeln!(
        page,
        "## Reason codes\n\nReason codes {:#X} to {:#X} are the *Adjunct range*: IBM publishes no \
         number for these events, so they are documented here and nowhere else. Numbers never \
         change. A return code in parentheses is our reading of a text that gives none.\n",
        ADJUNCT_RANGE.start(),
        ADJUNCT_RANGE.end()
    );
    page.push_str("| RC/RSN | Decimal | Name | Meaning | Action |\n");
    page.push_str("| --- | --- | --- | --- | --- |\n");
    for code in table::TABLE {
        let _ = writeln!(
            page,
            "| {} | {} | `{}` | {} | {} |",
            emphasis(&pair(code), code.reported),
            code.reason_code.0,
            code.name,
            cell(code.meaning),
            cell(code.action)
        );
    }
    page.push('\n');
}

fn pair(code: &Code) -> String {
    match code.origin {
        Origin::ReturnCodeAssumed => {
            format!("({})/{:X}", code.return_code.0, code.reason_code.0)
        }
        Origin::Published | Origin::Adjunct => code.short(),
    }
}

fn services(page: &mut String) {
    page.push_str(
        "## Callable services\n\n| Service | What it does | Here it stands for |\n\
         | --- | --- | --- |\n",
    );
    for service in Service::ALL {
        let _ = writeln!(
            page,
            "| {} | {} | {} |",
            emphasis(service.name, service.used_for.is_some()),
            service.meaning,
            service.used_for.unwrap_or("")
        );
    }
    page.push('\n');
}

fn system_ssl(page: &mut String) {
    page.push_str(
        "## System SSL and AT-TLS codes\n\nAn asterisk marks number, name and meaning that are \
         general knowledge and stand in no text we could read.\n\n\
         | Code | Name | Meaning | Action | Alert |\n| --- | --- | --- | --- | --- |\n",
    );
    for row in gsk::TABLE.iter().chain(gsk::ATTLS_TABLE) {
        let doubt = if row.standing == Standing::Recalled { "*" } else { "" };
        let alert = match row.alert {
            AlertLink::Both(alert) | AlertLink::Sends(alert) => {
                format!("{} {}", alert.0, alert.name())
            }
            AlertLink::None => String::new(),
        };
        let _ = writeln!(
            page,
            "| {}{} | `{}` | {} | {} | {} |",
            emphasis(&row.code.0.to_string(), row.occurs),
            doubt,
            row.name,
            cell(row.meaning),
            cell(row.action),
            alert
        );
    }
    page.push_str("\n## CMS status codes\n\n| Code | Meaning |\n| --- | --- |\n");
    for (status, meaning) in gsk::CMS_TABLE {
        let _ = writeln!(page, "| {:08X} | {} |", status.0, cell(meaning));
    }
    page.push('\n');
}

fn alerts(page: &mut String) {
    page.push_str(
        "## TLS alerts\n\n| Alert | Name | Meaning | System SSL |\n| --- | --- | --- | --- |\n",
    );
    for row in alert::TABLE {
        let _ = writeln!(
            page,
            "| {} | `{}` | {} | {} |",
            row.alert.0,
            row.name,
            cell(row.meaning),
            row.alert.gsk().0
        );
    }
    page.push('\n');
}

fn refusal_rules(page: &mut String) {
    page.push_str(
        "## Rules\n\nThe name a connection record gives under `rule`.\n\n\
         | Rule | Fault | Meaning | Hint | Code | Alert |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for rule in rules::ALL {
        row_of_rule(page, rule.name, rule);
    }
    page.push('\n');
}

/// The rules of modes; all modes have the same kinds, so those of one stand for all.
fn mode_rules(page: &mut String) {
    let names: Vec<&str> = Mode::ALL.map(Mode::name).to_vec();
    let _ = writeln!(
        page,
        "## Rules of modes\n\nThe name begins with the mode ({}), for instance \
         `fips-140-3/suite`. What a mode refuses when certificates are loaded has no alert on the \
         wire.\n\n| Rule | Fault | Meaning | Hint | Code | Alert |\n\
         | --- | --- | --- | --- | --- | --- |",
        names.join(", ")
    );
    for kind in Kind::ALL {
        let rule = RuleId::new(Mode::Fips1403, *kind).rule();
        let name = rule.name.replace(Mode::Fips1403.name(), "MODE");
        row_of_rule(page, &name, rule);
    }
}

fn row_of_rule(page: &mut String, name: &str, rule: &Rule) {
    let _ = writeln!(
        page,
        "| `{name}` | {} | {} | {} | {} | {} |",
        rule.fault,
        cell(rule.meaning),
        cell(rule.hint),
        rule.gsk.map(|code| code.0.to_string()).unwrap_or_default(),
        rule.alert.map(|alert| alert.0.to_string()).unwrap_or_default()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_on_the_page() {
        let page = reference();
        for code in table::TABLE {
            assert!(page.contains(&format!("`{}`", code.name)), "{}", code.name);
        }
        for rule in rules::ALL {
            assert!(page.contains(&format!("| `{}` |", rule.name)), "{}", rule.name);
        }
        assert!(page.contains("| **8/2B00** | 11008 | `key-value-invalid` |"));
        assert!(page.contains("| **402** | `GSK_ERR_NO_CIPHERS` |"));
    }

    #[test]
    fn every_table_row_has_the_columns_of_its_header() {
        let page = reference();
        let mut columns = 0;
        for line in page.lines() {
            let bars = line.replace("\\|", "").matches('|').count();
            if line.starts_with("| ---") {
                columns = bars;
            } else if line.starts_with('|') && columns != 0 {
                assert_eq!(bars, columns, "{line}");
            } else {
                columns = 0;
            }
        }
    }
}
