//! The tables of a report, and each of them as aligned text and as CSV.
//!
//! Purpose: one definition of what a table shows, from which text, CSV and HTML follow.
//!
//! Invariant: a cell is data. In CSV it is quoted as RFC 4180 wants, and one that a spreadsheet
//! would take for a formula gets an apostrophe in front; in text it was made printable when it was
//! read ([`super::observation`]).

use super::report::{ClientRow, Negotiated, PeerRow, RefusedRow, Report, SessionRow, WhatIf};

/// How a column is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A number.
    Number,
    /// Bytes: a number, in binary units for a reader.
    Bytes,
    /// A moment; milliseconds are left out for a reader.
    Moment,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Name in CSV, as in JSON.
    pub name: &'static str,
    /// Heading for a reader.
    pub heading: &'static str,
    /// How it is shown.
    pub kind: Kind,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Name, as `--csv` takes it.
    pub name: &'static str,
    /// Heading.
    pub title: &'static str,
    /// What it answers.
    pub caption: &'static str,
    /// Columns.
    pub columns: Vec<Column>,
    /// Cells, as CSV has them.
    pub rows: Vec<Vec<String>>,
}

const fn column(name: &'static str, heading: &'static str, kind: Kind) -> Column {
    Column { name, heading, kind }
}

const NEGOTIATED: [Column; 8] = [
    column("service", "Service", Kind::Text),
    column("protocol", "Protocol", Kind::Text),
    column("suite", "Cipher suite", Kind::Text),
    column("group", "Group", Kind::Text),
    column("signature", "Signature", Kind::Text),
    column("key", "Our key", Kind::Text),
    column("client_key", "Client key", Kind::Text),
    column("verdict", "Verdict", Kind::Text),
];

const SEEN: [Column; 2] = [
    column("first_seen", "First seen", Kind::Moment),
    column("last_seen", "Last seen", Kind::Moment),
];

const CONNECTIONS: Column = column("connections", "Connections", Kind::Number);

/// The tables of a report, in the order in which they are shown.
#[must_use]
pub fn tables(report: &Report) -> Vec<Table> {
    let what_if = report.what_if.iter().map(what_if);
    let rest = [sessions(&report.sessions), clients(&report.clients), refused(&report.refused)];
    what_if.chain(rest).collect()
}

fn negotiated(row: &Negotiated) -> Vec<String> {
    let Negotiated { service, protocol, suite, group, signature, key, client_key, verdict } = row;
    [service, protocol, suite, group, signature, key, client_key, verdict].map(Clone::clone).into()
}

fn sessions(rows: &[SessionRow]) -> Table {
    let mut columns = NEGOTIATED.to_vec();
    columns.extend([
        CONNECTIONS,
        column("resumed", "Resumed", Kind::Number),
        column("failed", "Failed", Kind::Number),
        column("bytes_in", "In", Kind::Bytes),
        column("bytes_out", "Out", Kind::Bytes),
    ]);
    columns.extend(SEEN);
    columns.push(column("sample_peers", "For example", Kind::Text));
    let row = |row: &SessionRow| {
        let counts = [row.connections, row.resumed, row.failed, row.bytes_in, row.bytes_out];
        let mut cells = negotiated(&row.negotiated);
        cells.extend(counts.map(|count| count.to_string()));
        cells.extend([row.first_seen.clone(), row.last_seen.clone(), row.sample_peers.join(" ")]);
        cells
    };
    Table {
        name: "sessions",
        title: "What was negotiated",
        caption: "Each combination of parameters, the most frequent first. Rows without a \
                  protocol are handshakes that failed.",
        columns,
        rows: rows.iter().map(row).collect(),
    }
}

fn clients(rows: &[ClientRow]) -> Table {
    let mut columns = vec![column("peer", "Client", Kind::Text)];
    columns.extend(NEGOTIATED);
    columns.extend([
        column("client_subject", "Client subject", Kind::Text),
        column("sni", "Asked for", Kind::Text),
        CONNECTIONS,
    ]);
    columns.extend(SEEN);
    let row = |row: &ClientRow| {
        let mut cells = vec![row.peer.clone()];
        cells.extend(negotiated(&row.negotiated));
        cells.extend([row.client_subject.clone(), row.sni.clone(), row.connections.to_string()]);
        cells.extend([row.first_seen.clone(), row.last_seen.clone()]);
        cells
    };
    Table {
        name: "clients",
        title: "Who was served",
        caption: "Each client address with each combination it used; the oldest protocol first.",
        columns,
        rows: rows.iter().map(row).collect(),
    }
}

fn refused(rows: &[RefusedRow]) -> Table {
    let mut columns = vec![
        column("peer", "Client", Kind::Text),
        column("service", "Service", Kind::Text),
        column("rule", "Rule", Kind::Text),
        column("reason", "Reason, the last time", Kind::Text),
        column("alert_sent", "Alert", Kind::Number),
        column("best_protocol", "Best protocol", Kind::Text),
        column("best_suites", "Best suites", Kind::Text),
        column("groups", "Groups", Kind::Text),
        column("client_subject", "Client subject", Kind::Text),
        column("sni", "Asked for", Kind::Text),
        CONNECTIONS,
    ];
    columns.extend(SEEN);
    let row = |row: &RefusedRow| {
        vec![
            row.peer.clone(),
            row.service.clone(),
            row.rule.clone(),
            row.reason.clone(),
            row.alert_sent.map_or_else(String::new, |alert| alert.to_string()),
            row.best_protocol.clone(),
            row.best_suites.join(" "),
            row.groups.join(" "),
            row.client_subject.clone(),
            row.sni.clone(),
            row.connections.to_string(),
            row.first_seen.clone(),
            row.last_seen.clone(),
        ]
    };
    Table {
        name: "refused",
        title: "Who was not served, and why",
        caption: "Each client address with the rule that ended its handshake, and the best it \
                  offered. Clients that never spoke TLS are among them.",
        columns,
        rows: rows.iter().map(row).collect(),
    }
}

fn what_if(what_if: &WhatIf) -> Table {
    let columns = vec![
        column("peer", "Client", Kind::Text),
        column("service", "Service", Kind::Text),
        column("outlook", "Outlook", Kind::Text),
        column("failing", "Would fail", Kind::Number),
        column("undecided", "Undecided", Kind::Number),
        column("connecting", "Would connect", Kind::Number),
        column("rules", "Rule", Kind::Text),
        column("missing", "Missing", Kind::Text),
        column("last_failing", "Last failing", Kind::Moment),
        column("last_seen", "Last seen", Kind::Moment),
    ];
    let row = |row: &PeerRow| {
        vec![
            row.peer.clone(),
            row.service.clone(),
            row.outlook.clone(),
            row.failing.to_string(),
            row.undecided.to_string(),
            row.connecting.to_string(),
            row.rules.join(" "),
            row.missing.join("; "),
            row.last_failing.clone(),
            row.last_seen.clone(),
        ]
    };
    Table {
        name: "what-if",
        title: "What the mode would do",
        caption: "Each client that spoke TLS, had the mode been on: first those that would fail, \
                  then those of which the records do not say enough (set audit and look again).",
        columns,
        rows: what_if.peers.iter().map(row).collect(),
    }
}

impl Table {
    /// A cell for a reader; empty where nothing is known.
    #[must_use]
    pub fn shown(column: Column, cell: &str) -> String {
        match column.kind {
            Kind::Text | Kind::Number => cell.to_owned(),
            Kind::Bytes => cell.parse().map_or_else(|_| cell.to_owned(), bytes),
            // `2026-11-21T08:00:00.123Z`
            Kind::Moment => {
                cell.get(..19).map_or_else(|| cell.to_owned(), |it| it.replace('T', " "))
            }
        }
    }

    /// Whether a column holds anything.
    #[must_use]
    pub fn is_used(&self, at: usize) -> bool {
        self.rows.iter().any(|row| row.get(at).is_some_and(|cell| !cell.is_empty()))
    }

    /// Aligned columns; those that hold nothing are left out.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = vec![String::new(); self.rows.len() + 1];
        for (at, column) in self.columns.iter().enumerate().filter(|(at, _)| self.is_used(*at)) {
            let mut cells = vec![column.heading.to_uppercase()];
            cells.extend(self.rows.iter().map(|row| {
                let cell = Self::shown(*column, row.get(at).map_or("", String::as_str));
                if cell.is_empty() { "-".to_owned() } else { cell }
            }));
            let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
            let right = matches!(column.kind, Kind::Number | Kind::Bytes);
            for (line, cell) in lines.iter_mut().zip(cells) {
                let padded =
                    if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
                line.push_str(&padded);
                line.push_str("  ");
            }
        }
        lines.iter().fold(String::new(), |out, line| out + line.trim_end() + "\n")
    }

    /// Comma-separated values with a line of names (RFC 4180).
    #[must_use]
    pub fn csv(&self) -> String {
        let names = self.columns.iter().map(|column| column.name.to_owned()).collect();
        let mut out = String::new();
        for row in std::iter::once(&names).chain(&self.rows) {
            let cells: Vec<String> = row.iter().map(|cell| csv_cell(cell)).collect();
            out.push_str(&cells.join(","));
            out.push_str("\r\n");
        }
        out
    }
}

/// A cell that no reader of CSV takes for two cells, for a second row or for a formula.
fn csv_cell(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains(['"', ',', '\r', '\n', ';']) || cell.starts_with(' ') || cell.ends_with(' ') {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell
}

/// `512 B`, `1.5 KiB`, `20 GiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let unit = usize::try_from(count.ilog2() / 10).unwrap_or(0).min(UNITS.len());
    // Tenths, cut and not rounded: 1023.99 MiB are not 1024.0.
    let tenths = (u128::from(count) * 10) >> (10 * unit);
    let name = UNITS.get(unit - 1).copied().unwrap_or_default();
    match (tenths / 10, tenths % 10) {
        (whole @ 0..=9, part) => format!("{whole}.{part} {name}"),
        (whole, _) => format!("{whole} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Column, Kind, Table, bytes, column, csv_cell, tables};
    use crate::evidence::report::{RefusedRow, Report, WhatIf};

    fn table(rows: &[[&str; 3]]) -> Table {
        let columns: Vec<Column> = vec![
            column("a", "First", Kind::Text),
            column("n", "Number", Kind::Number),
            column("e", "Empty", Kind::Text),
        ];
        let rows = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        Table { name: "t", title: "T", caption: "", columns, rows }
    }

    #[test]
    fn text_is_aligned_and_leaves_empty_columns_out() {
        let text = table(&[["x", "1", ""], ["longer", "1000", ""], ["", "20", ""]]).text();
        let expected = "FIRST   NUMBER\nx            1\nlonger    1000\n-           20\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn csv_keeps_every_cell_one_cell() {
        let csv = table(&[["a,b", "1", "say \"x\"\r\ny"]]).csv();
        assert_eq!(csv, "a,n,e\r\n\"a,b\",1,\"say \"\"x\"\"\r\ny\"\r\n");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for evil in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=HYPERLINK(\"http://x\",\"y\")"] {
            let cell = csv_cell(evil);
            assert!(cell.starts_with('\'') || cell.starts_with("\"'"), "{cell}");
        }
        assert_eq!(csv_cell("CN=app,O=x"), "\"CN=app,O=x\"");
        assert_eq!(csv_cell("TLSv1.3"), "TLSv1.3");
    }

    /// A row in each table.
    fn full() -> Report {
        let mode = "fips-140-3".to_owned();
        Report {
            sessions: vec![Default::default()],
            clients: vec![Default::default()],
            refused: vec![RefusedRow { alert_sent: Some(70), ..Default::default() }],
            what_if: Some(WhatIf { mode, peers: vec![Default::default()] }),
            ..Report::default()
        }
    }

    #[test]
    fn every_row_has_a_cell_for_every_column() {
        for table in tables(&full()) {
            assert_eq!(table.rows[0].len(), table.columns.len(), "{}", table.name);
        }
    }

    #[test]
    fn columns_are_the_fields_of_the_rows() {
        let value = serde_json::to_value(full()).unwrap();
        for table in tables(&full()) {
            let mut names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
            names.sort_unstable();
            let rows = match table.name {
                "what-if" => &value["what_if"]["peers"],
                name => &value[name],
            };
            let row = rows[0].as_object().unwrap();
            let mut fields: Vec<&str> = row.keys().map(String::as_str).collect();
            fields.sort_unstable();
            assert_eq!(names, fields, "{}", table.name);
        }
    }

    #[test]
    fn byte_counts_are_short_and_never_too_high() {
        let shown = [0, 1023, 1024, 1536, 10_239, 10_240, 1 << 20, (1 << 30) - 1, u64::MAX];
        let shown = shown.map(bytes);
        let expected = [
            "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "9.9 KiB", "10 KiB", "1.0 MiB", "1023 MiB",
            "15 EiB",
        ];
        assert_eq!(shown, expected);
    }
}
