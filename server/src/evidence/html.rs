//! A report as one HTML page.
//!
//! Purpose: a page that can be kept, mailed and printed: everything is in it, nothing is fetched
//! from anywhere. Without scripts it has all figures, with them its tables sort and filter.
//!
//! Invariants: every text goes through [`escape`]. Beside that a content security policy allows
//! exactly the style and the script of this page, by their hashes, and nothing else: a text that
//! should ever get through could not run.

use std::fmt::Write as _;

use super::chart::{self, Bar};
use super::report::Report;
use super::table::{Column, Kind, Table, bytes, tables};
use super::text;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Rows of a table that a page shows; a browser is no database.
const ROWS_MAX: usize = 5000;

/// Label of connections without a client certificate.
const NO_CERTIFICATE: &str = "no certificate";

/// Label of connections without a verdict.
const NO_MODE: &str = "no mode";

/// SHA-256 of the style and of the script in Base64. A test of the repository computes them.
const HASHES: [&str; 2] = [
    "CkmyIirKxoTNHqGI2JZnTiJVOXSJP6T5wpSmGdPtYsU=",
    "ZZThbsXvFK4tjZdZqiHAm+VGqGxGr/4Ztv7aK2p8bcs=",
];

/// The whole page.
#[must_use]
pub fn page(report: &Report) -> String {
    let [style, script] = HASHES;
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'sha256-{style}'; script-src 'sha256-{script}'; base-uri 'none'; \
         form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Evidence of TLS connections</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    );
    head(&mut out, report);
    out.push_str("<main>\n");
    tiles(&mut out, report);
    charts(&mut out, report);
    for table in tables(report) {
        section(&mut out, &table);
    }
    // Writing to a String does not fail.
    let _ = write!(
        out,
        "</main>\n<footer><p>Made {} by adjunct {}. Cards are simulated; a mode is enforced, not \
         validated.</p></footer>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        escape(&report.made),
        env!("CARGO_PKG_VERSION")
    );
    out
}

fn head(out: &mut String, report: &Report) {
    out.push_str("<header>\n<h1>Evidence of TLS connections</h1>\n");
    let limits = text::limits(report);
    let summary = text::summary(report);
    for line in summary.iter().take(summary.len() - limits.len()) {
        let _ = writeln!(out, "<p>{}</p>", escape(line));
    }
    if !limits.is_empty() {
        out.push_str("<div class=\"limits\" role=\"note\">\n");
        for line in &limits {
            let _ = writeln!(out, "<p>{}</p>", escape(line));
        }
        out.push_str("</div>\n");
    }
    out.push_str("</header>\n");
}

fn tiles(out: &mut String, report: &Report) {
    let totals = &report.totals;
    let tiles = [
        ("Established", totals.established.to_string(), false),
        ("of them resumed", totals.resumed.to_string(), false),
        ("Failed handshakes", totals.failed.to_string(), totals.failed > 0),
        ("No TLS at all", totals.noise.to_string(), false),
        ("From clients", bytes(totals.bytes_in), false),
        ("To clients", bytes(totals.bytes_out), false),
    ];
    out.push_str("<dl class=\"tiles\">\n");
    for (name, value, bad) in tiles {
        let class = if bad { " class=\"bad\"" } else { "" };
        let _ = writeln!(out, "<div{class}><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
    }
    out.push_str("</dl>\n");
}

fn charts(out: &mut String, report: &Report) {
    let sessions = |pick: fn(&super::report::Negotiated) -> &str, resumed: &str| {
        chart::sum(report.sessions.iter().filter(|row| row.connections > 0).map(|row| {
            let word = pick(&row.negotiated);
            (if word.is_empty() { resumed } else { word }, row.connections)
        }))
    };
    let refused = chart::sum(report.refused.iter().map(|row| {
        let rule = if row.rule.is_empty() { "no rule" } else { &row.rule };
        (rule, row.connections)
    }));
    let outlooks = report.what_if.iter().flat_map(|what_if| &what_if.peers);
    let outlooks = chart::sum(outlooks.map(|row| (row.outlook.as_str(), 1)));
    let charts: [(&str, Vec<Bar>, bool); 8] = [
        ("Clients if the mode were enforced", outlooks, false),
        ("Connections by protocol", sessions(|n| &n.protocol, "not recorded"), false),
        ("Connections by cipher suite", sessions(|n| &n.suite, "not recorded"), false),
        ("Connections by group", sessions(|n| &n.group, "none (resumed)"), false),
        ("Connections by our key", sessions(|n| &n.key, "none (resumed)"), false),
        ("Connections by client key", sessions(|n| &n.client_key, NO_CERTIFICATE), false),
        ("Connections by verdict", sessions(|n| &n.verdict, NO_MODE), false),
        ("Not served, by rule", refused, true),
    ];
    out.push_str("<section class=\"charts\" aria-label=\"Charts\">\n");
    for (title, bars, bad) in charts {
        // Where nobody shows a certificate and no mode is on, there is nothing to be compared.
        let idle = |bar: &Bar| [NO_CERTIFICATE, NO_MODE].contains(&bar.label.as_str());
        if !bars.iter().all(idle) {
            let _ = writeln!(
                out,
                "<figure><figcaption>{}</figcaption>\n{}</figure>",
                escape(title),
                chart::bars(title, &bars, bad)
            );
        }
    }
    out.push_str("</section>\n");
}

fn section(out: &mut String, table: &Table) {
    let (id, title) = (escape(table.name), escape(table.title));
    let _ = write!(out, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n");
    if table.rows.is_empty() {
        out.push_str("<p>Nobody.</p>\n</section>\n");
        return;
    }
    if table.rows.len() > ROWS_MAX {
        let _ = writeln!(
            out,
            "<p class=\"limits\">The first {ROWS_MAX} of {} rows; <code>--csv={id}</code> has \
             all.</p>",
            table.rows.len()
        );
    }
    let used: Vec<(usize, Column)> =
        table.columns.iter().copied().enumerate().filter(|(at, _)| table.is_used(*at)).collect();
    let _ = write!(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"{id}\">\n<table>\n\
         <caption>{}</caption>\n<thead><tr>",
        escape(table.caption)
    );
    for (_, column) in &used {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(column.heading));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in table.rows.iter().take(ROWS_MAX) {
        out.push_str("<tr>");
        for (place, (at, column)) in used.iter().enumerate() {
            cell(out, *column, row.get(*at).map_or("", String::as_str), place == 0);
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n</section>\n");
}

fn cell(out: &mut String, column: Column, raw: &str, first: bool) {
    let shown = Table::shown(column, raw);
    let shown = escape(if shown.is_empty() { "–" } else { &shown });
    let _ = match column.kind {
        _ if first => write!(out, "<th scope=\"row\">{shown}</th>"),
        Kind::Number | Kind::Bytes => {
            write!(out, "<td class=\"n\" data-v=\"{}\">{shown}</td>", escape(raw))
        }
        Kind::Text if raw.chars().count() > 40 => write!(out, "<td class=\"wide\">{shown}</td>"),
        _ => write!(out, "<td>{shown}</td>"),
    };
}

/// A text that is a text wherever it stands: between tags and in a quoted attribute.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{ROWS_MAX, escape, page};
    use crate::evidence::report::{
        ClientRow, Negotiated, PeerRow, RefusedRow, Report, SessionRow, Source, WhatIf,
    };

    const EVIL: &str = "\"'><img src=x onerror=alert(1)></script><b>&amp;";

    #[test]
    fn what_a_client_chose_is_text_everywhere() {
        let evil = || EVIL.to_owned();
        let negotiated = Negotiated {
            service: evil(),
            protocol: evil(),
            suite: evil(),
            group: evil(),
            signature: evil(),
            key: evil(),
            client_key: evil(),
            verdict: evil(),
        };
        let mut report = Report {
            made: evil(),
            source: Source { kind: evil(), names: vec![evil()], ..Source::default() },
            sessions: vec![SessionRow {
                negotiated: negotiated.clone(),
                connections: 1,
                first_seen: evil(),
                sample_peers: vec![evil()],
                ..Default::default()
            }],
            clients: vec![ClientRow {
                peer: evil(),
                negotiated,
                client_subject: evil(),
                sni: evil(),
                ..Default::default()
            }],
            refused: vec![RefusedRow {
                peer: evil(),
                service: evil(),
                rule: evil(),
                reason: evil(),
                best_protocol: evil(),
                best_suites: vec![evil()],
                groups: vec![evil()],
                client_subject: evil(),
                sni: evil(),
                ..Default::default()
            }],
            ..Report::default()
        };
        let peer = PeerRow {
            peer: evil(),
            service: evil(),
            outlook: evil(),
            rules: vec![evil()],
            missing: vec![evil()],
            ..PeerRow::default()
        };
        report.what_if = Some(WhatIf { mode: evil(), peers: vec![peer] });
        report.source.since = Some(evil());
        report.reading.damaged = 1;
        report.reading.examples = vec![evil()];
        report.totals.connections = 1;
        report.totals.first_seen = evil();
        let page = page(&report);
        assert!(!page.contains("<img") && !page.contains("<b>") && !page.contains("\"'>"));
        assert_eq!(page.matches("</script>").count(), 1);
        assert!(page.contains(&escape(EVIL)));
    }

    #[test]
    fn headings_belong_to_columns_and_rows() {
        let clients =
            vec![ClientRow { peer: "192.0.2.1".into(), connections: 7, ..Default::default() }];
        let page = page(&Report { clients, ..Report::default() });
        assert!(page.contains("<th scope=\"col\">Client</th>"));
        assert!(page.contains("<th scope=\"row\">192.0.2.1</th>"));
        assert!(page.contains("<td class=\"n\" data-v=\"7\">7</td>"));
        assert!(!page.contains("Client subject"), "a column that holds nothing is left out");
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        let page = page(&Report::default());
        for word in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn a_table_too_long_for_a_browser_is_cut_and_says_so() {
        let clients =
            vec![ClientRow { peer: "192.0.2.1".into(), ..Default::default() }; ROWS_MAX + 1];
        let page = page(&Report { clients, ..Report::default() });
        assert_eq!(page.matches("<tr><th scope=\"row\">").count(), ROWS_MAX);
        assert!(page.contains("--csv=clients"));
    }
}
