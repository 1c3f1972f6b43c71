//! Tables of `adjunct cards`, `adjunct crypto` and `adjunct members`.
//!
//! `cards` has the layout of lszcrypt (s390-tools): same columns, widths and words, so that scripts
//! written for it work. `crypto` follows icastats in what it counts.

use std::fmt::Write as _;

use crate::snapshot::{CardRow, FunctionRow, MemberRow};

/// Cards and queues as `lszcrypt`, or `lszcrypt -V` when `wide`.
#[must_use]
pub fn cards(rows: &[CardRow], wide: bool) -> String {
    let mut head = format!(
        "{:<8} {:<5} {:<11} {:<10} {:>8}",
        "CARD.DOM", "TYPE", "MODE", "STATUS", "REQUESTS"
    );
    if wide {
        // Writing to a String does not fail, here and below.
        let _ = write!(
            head,
            " {:>8} {:>6} {:>6} {:<10} {:<11}",
            "PENDING", "HWTYPE", "QDEPTH", "FUNCTIONS", "DRIVER"
        );
    }
    // A column of our own, and only while something is broken on purpose.
    let faulty = rows.iter().any(|row| !row.fault.is_empty());
    if faulty {
        head.push_str("  FAULT");
    }
    let mut out = format!("{head}\n{}\n", "-".repeat(head.len()));
    for row in rows {
        let name = match row.domain {
            Some(domain) => format!("{:02x}.{domain:04x}", row.card),
            None => format!("{:02x}", row.card),
        };
        let mut line = format!(
            "{name:<8} {:<5} {:<11} {:<10} {:>8}",
            row.kind, row.mode, row.status, row.requests
        );
        if wide {
            let depth = format!("{:02}", row.qdepth);
            let _ = write!(
                line,
                " {:>8} {:>6} {depth:>6} {:<10} {:<11}",
                row.pending, row.hwtype, row.functions, row.driver
            );
        }
        if faulty {
            let _ = write!(line, "  {}", row.fault);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// How each card executes requests; empty without a card.
#[must_use]
pub fn engines(rows: &[CardRow]) -> String {
    let mut out = String::new();
    for row in rows {
        let Some(engine) = &row.engine else { continue };
        let _ = write!(out, "{:02x}  engine {}", row.card, engine.name);
        let Some(test) = engine.self_test else {
            out.push_str(": one request after the other\n");
            if !engine.why.is_empty() {
                let _ = writeln!(out, "    {}", engine.why);
            }
            continue;
        };
        let counts: Vec<String> = engine.batches.iter().map(ToString::to_string).collect();
        let _ = writeln!(
            out,
            "\n    batches of 1/2/3/4 {}, mean {:.2}; {} alone; refused results {}\n    \
             self-test of RSA keys: {} passed, {} failed, {} of a form for single use",
            counts.join("/"),
            engine.fill,
            engine.alone,
            engine.refused,
            test.passed,
            test.failed,
            test.unfit
        );
        for gain in &engine.gains {
            let _ = write!(
                out,
                "    RSA-{}: {:.0} us by itself, {:.0} us in a full batch, gain {:.2}; ",
                gain.bits,
                gain.single_us,
                gain.batch_us / 4.0,
                gain.factor
            );
            let _ = match gain.break_even {
                Some(fill) => writeln!(out, "together from {fill} on"),
                None => writeln!(out, "batches do not pay here"),
            };
        }
    }
    out
}

/// The function table with its counters.
#[must_use]
pub fn functions(rows: &[FunctionRow]) -> String {
    let width = rows.iter().map(|row| row.function.len()).max().unwrap_or(0).max(8);
    let head = format!(
        "{:<width$} {:<9} {:>4} {:>10} {:>10} {:>10} {:>10} {:>14}  {}",
        "FUNCTION",
        "INSTR/FC",
        "BITS",
        "HARDWARE",
        "SOFTWARE",
        "BLOCKED",
        "CALLS",
        "BYTES",
        "HOST UNIT"
    );
    let mut out = format!("{head}\n{}\n", "-".repeat(head.len()));
    for row in rows {
        let instruction = match (&row.instruction, row.code) {
            (Some(name), Some(code)) => format!("{name}/{code}"),
            (Some(name), None) => name.clone(),
            _ => "-".to_owned(),
        };
        let bits = row.key_bits.map_or_else(|| "-".to_owned(), |bits| bits.to_string());
        let line = format!(
            "{:<width$} {instruction:<9} {bits:>4} {:>10} {:>10} {:>10} {:>10} {:>14}  {}",
            row.function,
            row.hardware,
            row.software,
            row.blocked,
            row.calls,
            row.bytes,
            row.host_unit
        );
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// What is done together, below the table of functions.
#[must_use]
pub fn lanes(rows: &[FunctionRow]) -> String {
    let mut out = String::new();
    for (row, lanes) in rows.iter().filter_map(|row| row.lanes.as_ref().map(|lanes| (row, lanes))) {
        let used = if lanes.used { "used" } else { "not used" };
        // Writing to a String does not fail.
        let _ = writeln!(out, "\n{} in eight vector lanes: {used} ({})", row.function, lanes.why);
        if let (Some(single), Some(together), Some(factor)) =
            (lanes.single_us, lanes.together_us, lanes.factor)
        {
            let _ = writeln!(
                out,
                "    key pair and agreement: {single:.1} us alone, {together:.1} us of eight, \
                 gain {factor:.2}{}",
                lanes.break_even.map(|n| format!("; together from {n} on")).unwrap_or_default()
            );
        }
        if lanes.used {
            let mean = lanes.agreements as f64 / lanes.batches.max(1) as f64;
            let _ = writeln!(
                out,
                "    {} agreements in {} batches, mean {mean:.2}",
                lanes.agreements, lanes.batches
            );
        }
    }
    out
}

/// The members of a pool, and below what their CPU time went to. Times of turns are in
/// microseconds.
#[must_use]
pub fn members(rows: &[MemberRow]) -> String {
    format!("{}\n{}", turns(rows), classes(rows))
}

/// CPU time since the start by class.
fn classes(rows: &[MemberRow]) -> String {
    let head = format!(
        "{:<8} {:>13} {:>16} {:>12} {:>15}",
        "MEMBER", "CPU TOTAL MS", "CPU HANDSHAKE MS", "CPU RELAY MS", "CPU OVERHEAD MS"
    );
    let mut out = format!("{head}\n{}\n", "-".repeat(head.len()));
    let ms = |us: u64| us as f64 / 1000.0;
    for row in rows {
        // Writing to a String does not fail.
        let _ = writeln!(
            out,
            "{:<8} {:>13.1} {:>16.1} {:>12.1} {:>15.1}",
            row.member,
            ms(row.cpu_total_us),
            ms(row.cpu_handshake_us),
            ms(row.cpu_relay_us),
            ms(row.cpu_overhead_us)
        );
    }
    out
}

fn turns(rows: &[MemberRow]) -> String {
    let head = format!(
        "{:<8} {:>11} {:>10} {:>9} {:>6} {:>9} {:>12} {:>8} {:>8} {:>8} {:>9}",
        "MEMBER",
        "CONNECTIONS",
        "HANDSHAKES",
        "SUSPENDED",
        "STACKS",
        "STACK KIB",
        "TURNS",
        "P50 US",
        "P99 US",
        "P999 US",
        "MAX US"
    );
    let mut out = format!("{head}\n{}\n", "-".repeat(head.len()));
    for row in rows {
        let _ = writeln!(
            out,
            "{:<8} {:>11} {:>10} {:>9} {:>6} {:>9} {:>12} {:>8.1} {:>8.1} {:>8.1} {:>9.1}",
            row.member,
            row.connections,
            row.handshakes,
            row.suspended,
            row.stacks,
            row.stack_bytes.div_ceil(1024),
            row.turns,
            row.turn_cpu_p50_us,
            row.turn_cpu_p99_us,
            row.turn_cpu_p999_us,
            row.turn_cpu_max_us
        );
    }
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{cards, functions};
    use crate::snapshot::{CardRow, FunctionRow};

    pub(crate) fn card(card: u8, domain: Option<u8>, requests: u64) -> CardRow {
        CardRow {
            cpu_us: None,
            card,
            domain,
            kind: "CEX8A".into(),
            mode: "Accelerator".into(),
            status: "online".into(),
            requests,
            pending: 2,
            hwtype: 14,
            qdepth: 8,
            functions: "-MC-A-NF-".into(),
            driver: "simulated".into(),
            engine: None,
            fault: String::new(),
        }
    }

    #[test]
    fn the_short_table_is_that_of_lszcrypt() {
        let expected = "\
CARD.DOM TYPE  MODE        STATUS     REQUESTS
----------------------------------------------
00       CEX8A Accelerator online         1042
00.0006  CEX8A Accelerator online         1042
1a.00ff  CEX8A Accelerator online            0
";
        let rows = [card(0, None, 1042), card(0, Some(6), 1042), card(0x1a, Some(255), 0)];
        assert_eq!(cards(&rows, false), expected);
    }

    #[test]
    fn a_fault_has_a_column_while_there_is_one() {
        let broken = CardRow { fault: "slow 20ms".into(), ..card(0, Some(6), 3) };
        let expected = "\
CARD.DOM TYPE  MODE        STATUS     REQUESTS  FAULT
-----------------------------------------------------
00       CEX8A Accelerator online            3
00.0006  CEX8A Accelerator online            3  slow 20ms
";
        assert_eq!(cards(&[card(0, None, 3), broken], false), expected);
    }

    #[test]
    fn the_wide_table_adds_its_columns() {
        let table = cards(&[card(0, Some(6), 1)], true);
        let expected = "\
CARD.DOM TYPE  MODE        STATUS     REQUESTS  PENDING HWTYPE QDEPTH FUNCTIONS  DRIVER     ";
        assert_eq!(table.lines().next(), Some(expected));
        let row = "\
00.0006  CEX8A Accelerator online            1        2     14     08 -MC-A-NF-  simulated";
        assert_eq!(table.lines().nth(2), Some(row));
    }

    #[test]
    fn functions_are_aligned_and_software_has_no_instruction() {
        let row = |function: &str, instruction: Option<&str>| FunctionRow {
            function: function.into(),
            instruction: instruction.map(Into::into),
            code: instruction.map(|_| 20),
            key_bits: Some(256),
            hardware: 3,
            software: 0,
            blocked: 1,
            calls: 4,
            bytes: 4096,
            host_unit: "AES-NI".into(),
            lanes: None,
            provider: "host".into(),
        };
        let table = functions(&[row("KMA-GCM-AES-256", Some("KMA")), row("ChaCha20", None)]);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[2].starts_with("KMA-GCM-AES-256 KMA/20     256 "), "{table}");
        assert!(lines[3].starts_with("ChaCha20        -          256 "), "{table}");
        assert!(lines[2].ends_with("          1          4           4096  AES-NI"), "{table}");
    }
}
