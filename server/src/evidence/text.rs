//! A report for a reader at a terminal: a summary in sentences, then the tables.

use std::fmt::Write as _;

use super::report::{CONNECTS, FAILS, Overflow, Report, UNDECIDED, WhatIf};
use super::table::{Table, bytes, tables};

/// The whole report; of one that was asked what a mode would do, that answer alone.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut out = summary(report).join("\n") + "\n";
    let Some(what_if) = &report.what_if else {
        tables(report).iter().for_each(|table| push(&mut out, table));
        return out;
    };
    // Those that would connect are counted in the summary.
    let mut some = Report::default();
    let peers = what_if.peers.iter().filter(|row| row.outlook != CONNECTS).cloned().collect();
    some.what_if = Some(WhatIf { mode: what_if.mode.clone(), peers });
    tables(&some).iter().take(1).for_each(|table| push(&mut out, table));
    out
}

/// How many clients would fail under the mode that was asked about.
fn outlook(what_if: &WhatIf) -> String {
    let count = |word: &str| what_if.peers.iter().filter(|row| row.outlook == word).count();
    let undecided = match count(UNDECIDED) {
        0 => "none is undecided".to_owned(),
        some => format!("of {some} the records do not say enough"),
    };
    format!(
        "With {} enforced: {} of {} clients would fail, {} would connect, {undecided}",
        what_if.mode,
        count(FAILS),
        what_if.peers.len(),
        count(CONNECTS),
    )
}

fn push(out: &mut String, table: &Table) {
    // Writing to a String does not fail.
    let _ = writeln!(out, "\n{}", table.title);
    if table.rows.is_empty() {
        out.push_str("  nobody\n");
        return;
    }
    for line in table.text().lines() {
        let _ = writeln!(out, "  {line}");
    }
}

/// What the report is about, in sentences: source, sums, and everything that limits it.
#[must_use]
pub fn summary(report: &Report) -> Vec<String> {
    let totals = &report.totals;
    let names = report.source.names.join(", ");
    let mut lines = Vec::new();
    lines.push(match (&report.source.counted_from, report.source.kind.as_str()) {
        (Some(from), "daemon") => format!("Evidence of the daemon at {names}, counted from {from}"),
        (_, "daemon") => format!("Evidence of the daemon at {names}"),
        _ => format!("Evidence from {names}"),
    });
    if totals.connections == 0 {
        lines.push("No connection was seen.".to_owned());
    } else {
        lines.push(format!(
            "{} connections from {} to {}: {} established ({} resumed), {} failed handshakes, \
             {} without TLS; {} in, {} out",
            totals.connections,
            totals.first_seen,
            totals.last_seen,
            totals.established,
            totals.resumed,
            totals.failed,
            totals.noise,
            bytes(totals.bytes_in),
            bytes(totals.bytes_out),
        ));
    }
    lines.extend(report.what_if.as_ref().map(outlook));
    lines.extend(limits(report));
    lines
}

/// What the reader must know before relying on it.
#[must_use]
pub fn limits(report: &Report) -> Vec<String> {
    let reading = &report.reading;
    let mut lines = Vec::new();
    match (&report.source.since, report.source.kind.as_str()) {
        (Some(since), "daemon") => lines.push(format!(
            "A daemon keeps sums: rows not seen since {since} are left out, the figures of the \
             others and the totals are from its start."
        )),
        (Some(since), _) => lines
            .push(format!("{} connections before {since} were left out.", reading.before_since)),
        (None, _) => {}
    }
    let unusable = reading.damaged + reading.foreign + reading.text;
    if unusable > 0 {
        lines.push(format!(
            "{unusable} of {} lines could not be used: {} damaged, {} of something else, {} no \
             JSON.",
            reading.lines, reading.damaged, reading.foreign, reading.text
        ));
        lines.extend(reading.examples.iter().map(|example| format!("  {example}")));
    }
    if reading.lost > 0 {
        lines.push(format!(
            "{} records were lost before they could be written: the log did not keep up.",
            reading.lost
        ));
    }
    if !report.overflow.is_none() {
        let Overflow { sessions, clients, refused, what_if } = report.overflow;
        lines.push(format!(
            "The tables are full: {sessions} connections are missing in what was negotiated, \
             {clients} in who was served, {refused} in who was not, {what_if} in what a mode would \
             do; the totals have them."
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::evidence::report::{
        CONNECTS, FAILS, Overflow, PeerRow, Report, SessionRow, UNDECIDED, WhatIf,
    };

    #[test]
    fn an_empty_report_says_so() {
        let mut report = Report::default();
        report.source.names = vec!["a.log".into()];
        let text = text(&report);
        assert!(text.starts_with("Evidence from a.log\nNo connection was seen.\n"), "{text}");
        assert!(text.contains("What was negotiated\n  nobody\n"), "{text}");
    }

    #[test]
    fn everything_that_limits_it_is_said() {
        let mut report = Report { sessions: vec![SessionRow::default()], ..Report::default() };
        report.source.since = Some("2026-11-21T00:00:00.000Z".into());
        report.reading.lines = 10;
        report.reading.before_since = 3;
        report.reading.damaged = 1;
        report.reading.text = 2;
        report.reading.lost = 7;
        report.reading.examples = vec!["a.log:4: damaged: x".into()];
        report.overflow = Overflow { sessions: 1, clients: 2, refused: 3, what_if: 4 };
        let text = text(&report);
        for part in [
            "3 connections before 2026-11-21T00:00:00.000Z were left out",
            "3 of 10 lines could not be used: 1 damaged, 0 of something else, 2 no JSON",
            "  a.log:4: damaged: x",
            "7 records were lost",
            "2 in who was served, 3 in who was not, 4 in what",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[test]
    fn what_a_mode_would_do_is_told_without_those_it_leaves_alone() {
        let peer = |peer: &str, outlook: &str| PeerRow {
            peer: peer.into(),
            outlook: outlook.into(),
            ..PeerRow::default()
        };
        let peers = vec![
            peer("192.0.2.1", FAILS),
            peer("192.0.2.2", UNDECIDED),
            peer("192.0.2.3", CONNECTS),
            peer("192.0.2.4", CONNECTS),
        ];
        let what_if = Some(WhatIf { mode: "fips-140-3".into(), peers });
        let text = text(&Report { what_if, ..Report::default() });
        let summary = "With fips-140-3 enforced: 1 of 4 clients would fail, 2 would connect, of 1 \
                       the records do not say enough";
        assert!(text.contains(summary), "{text}");
        assert!(text.contains("192.0.2.1") && text.contains("192.0.2.2"));
        assert!(!text.contains("192.0.2.3") && !text.contains("Who was served"));
    }
}
