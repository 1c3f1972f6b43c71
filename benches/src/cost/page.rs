//! The page of a report: method, configuration, tables, pictures, what it means.
//!
//! Invariants: every figure is taken from the summary, in a table by its column and in a sentence
//! by the ids of the cells it names; a sentence calls a difference one only where the rule of noise
//! does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use cpacf::choice;

use super::matrix::{BASE, Engine};
use super::measure::{CLIENTS, CONNECTIONS, PING_BYTES, PINGS_PER_S, REQUEST_BYTES, TICKS_MIN};
use crate::load::handshake::{STRETCH, TURNS};
use crate::report::markdown::{Column, closings, plain, table};
use crate::report::{Cell, Figure, Host, LEAST_DIFFERENCE, Summary, Verdict};

/// A daemon that is less busy at saturation was not the limit.
const BUSY_MIN: f64 = 90.0;
/// Functions with a column of their own.
const FUNCTIONS_MAX: usize = 10;

/// What a page says besides the summary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// The machine.
    pub(super) host: &'a Host,
    /// Whether rounds are as many and as long as usual: only then do they belong in the trend.
    pub(super) usual: bool,
    /// Rounds of each cell.
    pub(super) rounds: u32,
    /// Counted in each.
    pub(super) time: Duration,
    /// Not counted before it.
    pub(super) warmup: Duration,
    /// Of the second run, with pings.
    pub(super) ping_time: Duration,
    /// What was not measured, and why.
    pub(super) absent: &'a [String],
}

const COST: &[Column] = &[
    Column::new("Host user µs", "host_user_us", 0),
    Column::new("Host system µs", "host_system_us", 0),
    Column::new("Host µs", "host_us", 0).with_range(),
    Column::new("Card µs", "card_us", 0),
    Column::new("Total µs", "total_us", 0),
    Column::new("Host × base", "host_ratio", 2).with_range(),
    Column::new("Total × base", "total_ratio", 2),
];
const SERVICE: &[Column] = &[
    Column::new("Handshakes/s", "rate_per_s", 0),
    Column::new("Busy %", "busy_percent", 0),
    Column::new("Handshake p50 µs", "handshake_p50_us", 0),
    Column::new("Handshake p99 µs", "handshake_p99_us", 0),
    Column::new("Established p50 µs", "established_p50_us", 0),
    Column::new("Established p99 µs", "established_p99_us", 0),
];
const CROSSING: &[Column] = &[
    Column::new("Host µs", "host_us", 0).with_range(),
    Column::new("Card µs", "card_us", 0),
    Column::new("Total µs", "total_us", 0),
    Column::new("Host × base", "host_ratio", 2),
    Column::new("Handshakes/s", "rate_per_s", 0),
    Column::new("Handshake p99 µs", "handshake_p99_us", 0),
    Column::new("Established p99 µs", "established_p99_us", 0),
];
const LOOP: &[Column] = &[
    Column::new("Handshake µs", "loop_handshake_us", 0),
    Column::new("Relay µs", "loop_relay_us", 0),
    Column::new("Overhead µs", "loop_overhead_us", 0),
    Column::new("Flight threads µs", "class:flight_us", 0),
    Column::new("Log µs", "class:log_us", 1),
];

/// The whole page.
pub(super) fn text(summary: &Summary, facts: &Facts<'_>, pictures: &[&str]) -> String {
    let group = |name: &str| {
        summary.cells.iter().filter(|cell| cell.plan.group == name).collect::<Vec<_>>()
    };
    let (steps, crossing) = (group("steps"), crossing(summary));
    let mut page = format!("# {}\n\n{}", summary.heading.title, top(summary));
    page.push_str(&method(facts));
    page.push_str(&configuration(summary, facts));
    let _ = writeln!(page, "## Results: one step from the base\n");
    page.push_str(&picture(pictures, "steps.svg", "CPU per handshake by cell: host and card"));
    page.push_str(&picture(pictures, "keys.svg", "CPU per handshake by key: host and card"));
    page.push_str(&table(&steps, COST));
    page.push('\n');
    page.push_str(&picture(pictures, "change.svg", "CPU of the host against the base by cell"));
    let _ = writeln!(page, "The same cells as clients see them:\n");
    page.push_str(&table(&steps, SERVICE));
    if !crossing.is_empty() {
        let _ = writeln!(
            page,
            "\n## Results: engine, mode and rate, RSA-2048\n\nCombinations that are one step from \
             the base were measured once, and stand here as well.\n"
        );
        page.push_str(&picture(pictures, "crossing.svg", "CPU per handshake by engine and mode"));
        page.push_str(&table(&crossing, CROSSING));
    }
    page.push_str(&inside(&steps));
    page.push_str(&failures(summary, facts));
    page.push_str(&meaning(summary));
    page.push_str(&tracing(summary));
    page
}

fn picture(pictures: &[&str], name: &str, what: &str) -> String {
    if pictures.contains(&name) { format!("![{what}]({name})\n\n") } else { String::new() }
}

/// All combinations of engine, mode and rate, in the order of the plan of the crossing; none where
/// it was not measured.
pub(super) fn crossing(summary: &Summary) -> Vec<&Cell> {
    let Some(base) = summary.cell(BASE) else { return Vec::new() };
    let varied = ["engine", "offload", "pace"];
    let is_combination = |cell: &&Cell| {
        let mut settings = cell.plan.settings.iter();
        settings.all(|(name, value)| {
            varied.contains(&name.as_str()) || base.plan.settings.get(name) == Some(value)
        })
    };
    let mut cells: Vec<&Cell> = summary.cells.iter().filter(is_combination).collect();
    if cells.iter().all(|cell| cell.plan.group == "steps") {
        return Vec::new();
    }
    let of = |cell: &Cell, name: &str| cell.plan.settings.get(name).cloned().unwrap_or_default();
    let engines = Engine::ALL.map(Engine::word);
    cells.sort_by_key(|cell| {
        let pace = of(cell, "pace").parse::<u32>().unwrap_or_default();
        (engines.iter().position(|word| *word == of(cell, "engine")), of(cell, "offload"), pace)
    });
    cells
}

/// Two cells against each other.
struct Against {
    own: f64,
    other: f64,
    verdict: Verdict,
}

impl Against {
    fn of(summary: &Summary, own: &str, other: &str, value: &str) -> Option<Self> {
        let figure = |id: &str| summary.cell(id)?.value(value).copied();
        let (a, b): (Figure, Figure) = (figure(own)?, figure(other)?);
        Some(Self { own: a.median, other: b.median, verdict: Verdict::of(&b, &a) })
    }

    /// `46 % less`, `2.3 times as much`, or that it is noise.
    fn words(&self) -> String {
        let ratio = self.own / self.other;
        match self.verdict {
            Verdict::Less => format!("{:.0} % less", (1.0 - ratio) * 100.0),
            Verdict::More if ratio >= 2.0 => format!("{ratio:.1} times as much"),
            Verdict::More => format!("{:.0} % more", (ratio - 1.0) * 100.0),
            Verdict::Noise => "no difference beyond noise".to_owned(),
            Verdict::TooFewRounds => "too few rounds to tell".to_owned(),
        }
    }
}

/// One line for the list of reports.
pub(super) fn sentence(summary: &Summary) -> String {
    let heading = &summary.heading;
    let trial = if heading.quick { " (a trial, no claim)" } else { "" };
    let cells = summary.cells.len();
    let head = Against::of(summary, BASE, "cards-none", "host_us").map_or(String::new(), |a| {
        format!("; CPU of the host with a simulated card against without: {}", a.words())
    });
    format!("{}{trial}, {cells} cells, commit {}{head}", heading.title, heading.commit)
}

fn top(summary: &Summary) -> String {
    let heading = &summary.heading;
    let mut text = format!("{}, commit {}", heading.date, heading.commit);
    if heading.dirty {
        text.push_str(" with changes that are in no commit");
    }
    text.push_str(".\n\n");
    if heading.quick {
        text.push_str("**This is the short form: a trial of the tool, and no claim.**\n\n");
    }
    let host = Against::of(summary, BASE, "cards-none", "host_us");
    let total = Against::of(summary, BASE, "cards-none", "total_us");
    if let (Some(host), Some(total)) = (host, total) {
        let _ = write!(
            text,
            "**CPU time of the host per transaction with a simulated CEX8A, against none: {}** \
             ({:.0} and {:.0} µs; cells `{BASE}` and `cards-none`: a full TLS 1.3 handshake with \
             RSA-2048, request, answer and close, at saturation).\n\nThe cards are simulated: a \
             thread of this host does their work. Its time is counted apart. Host and card \
             together \
             take {:.0} and {:.0} µs: {}. On the machine that is modelled the card's part takes no \
             processor time, here it does: who asks what the daemon costs on *this* machine reads \
             the column Total.\n\n",
            host.words(),
            host.own,
            host.other,
            total.own,
            total.other,
            total.words(),
        );
    }
    text
}

fn method(facts: &Facts<'_>) -> String {
    let Facts { rounds, time, warmup, ping_time, .. } = facts;
    let [time, warmup, ping_time] = [time, warmup, ping_time].map(Duration::as_secs_f64);
    let chance = 200.0 / binomial(2 * *rounds, *rounds);
    format!(
        "## Method\n\n\
         - One daemon, one pool member, all of its threads on the first processor; load and \
         backend \
         on the last.\n\
         - A *transaction* is one connection: TCP, TLS handshake, a request of {REQUEST_BYTES} \
         bytes \
         that the backend sends back and the client checks, close_notify of the client and then \
         of the daemon (what ends otherwise is told below). Version, kind, suite, group and key \
         of each handshake are checked; another one than asked fails the round.\n\
         - *Saturation* is a closed loop of {CLIENTS} clients. A rate is an open loop: each \
         handshake is due at its own time, and latency counts from then.\n\
         - *CPU time* is what the scheduler counts for the daemon's threads (`schedstat`, \
         nanoseconds), read where counting begins and ends. *Card* is the threads of simulated \
         cards \
         (`cex-*`), *host* all others. User and system of the host are divided as its clock ticks \
         (10 ms) are in all rounds together, which is good to a few percent of the host; with \
         fewer \
         than {TICKS_MIN} ticks it is not divided.\n\
         - *Established*: {CONNECTIONS} connections ping {PINGS_PER_S:.0} times a second in all \
         ({PING_BYTES} bytes and back) in a second run of {ping_time:.1} s with the same load, so \
         that \
         no ping is in the CPU time; latency from when a ping was due. The pinging thread runs \
         ahead \
         of the other clients.\n\
         - {rounds} rounds of {time:.1} s after {warmup:.1} s that do not count; at saturation \
         both last longer, until there were as many handshakes as clients and then {TURNS} times \
         as many (at most {STRETCH} times as long), so that what is under way at the edges is \
         small. Each round runs all cells, every other one backwards, each cell with a \
         daemon of its own. *× base* is computed within a round.\n\
         - A figure is the median of its rounds; in parentheses least and greatest. Each column \
         has its own \
         median, so parts need not quite add up. Two cells \
         *differ* when these ranges do not overlap and the medians are at least {:.0} % apart; all \
         else is called noise. Without any difference the ranges of {rounds} and {rounds} rounds \
         fall apart in {chance:.1} % of cases.\n\n",
        LEAST_DIFFERENCE * 100.0,
    )
}

fn binomial(n: u32, k: u32) -> f64 {
    (1..=k).map(|i| f64::from(n - k + i) / f64::from(i)).product()
}

fn configuration(summary: &Summary, facts: &Facts<'_>) -> String {
    let mut text = format!("## Configuration\n\n{}\n", plain(&facts.host.rows()));
    if let Some(base) = summary.cell(BASE) {
        let settings = base.plan.settings.iter().map(|(name, value)| format!("{name} {value}"));
        let _ = write!(
            text,
            "The base: {}. One card with one queue. Every other cell changes what its id says; all \
             settings of a cell stand in `summary.json`. Tickets are off, but two a handshake \
             where \
             sessions are resumed.\n\n",
            settings.collect::<Vec<_>>().join(", ")
        );
    }
    let (variable, mask, meaning) =
        (choice::VARIABLE, choice::PORTABLE_MASK, choice::PORTABLE_MEANING);
    let _ = write!(
        text,
        "- `none`: all cards are offline and the host signs, checking each RSA signature as it \
         does \
         those of a card.\n\
         - `cex8a`, `cex8c`: a simulated accelerator or coprocessor that does one request at a \
         time. \
         An accelerator has no elliptic curves, so ECDSA on a card means a CEX8C.\n\
         - `portable`: the daemon {meaning} (`{variable}={mask}`). It stands for a machine \
         without CPACF.\n\n",
    );
    text
}

/// Where the host's time goes, and operations.
fn inside(steps: &[&Cell]) -> String {
    let mut text = String::new();
    if steps.iter().any(|cell| cell.value("loop_handshake_us").is_some()) {
        text.push_str(
            "\n## Where the host's time goes\n\nThe event loop as the daemon itself accounts for \
             it: work for handshakes (checking the cards' results included), records of \
             established \
             connections, and the rest (poll, accept, connect, close, log). Beside it the threads \
             that run handshakes with `pool`, and the one that writes the log.\n\n",
        );
        text.push_str(&table(steps, LOOP));
    }
    text.push_str(
        "\n## Operations per handshake\n\nRequests to cards, and calls of the functions of cpacf; \
         the most frequent ones. `summary.json` has all. Counters are asked for before the \
         first handshake and after the last, and divided by all between, warm-up included.\n\n",
    );
    let mut columns = vec![Column::new("Card requests", "card_requests", 2)];
    if steps.iter().any(|cell| cell.value("batch_fill").is_some()) {
        columns.push(Column::new("Requests per batch", "batch_fill", 1));
    }
    columns.extend(functions(steps));
    text.push_str(&table(steps, &columns));
    text
}

/// Columns of the functions that are called most in any cell.
fn functions(cells: &[&Cell]) -> Vec<Column> {
    let mut most: BTreeMap<&str, f64> = BTreeMap::new();
    for (name, figure) in cells.iter().flat_map(|cell| &cell.values) {
        if name.starts_with("calls:") {
            let most = most.entry(name).or_default();
            *most = most.max(figure.median);
        }
    }
    let mut order: Vec<(&str, f64)> = most.into_iter().collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    let column = |(name, _): (&str, f64)| {
        Column::named(name.trim_start_matches("calls:").to_owned(), name.to_owned(), 1)
    };
    order.into_iter().take(FUNCTIONS_MAX).map(column).collect()
}

fn failures(summary: &Summary, facts: &Facts<'_>) -> String {
    let mut text = String::new();
    for cell in summary.failed() {
        let reason = cell.failed.first().map_or("not measured", String::as_str);
        let reason = reason.replace('\n', " ");
        let rounds = cell.failed.len();
        let _ = writeln!(text, "- `{}` failed: {reason} (in {rounds} rounds)", cell.plan.id);
    }
    for cell in summary.cells.iter().filter(|cell| is_unsaturated(cell)) {
        let busy = cell.median("busy_percent").unwrap_or_default();
        let _ = writeln!(
            text,
            "- `{}` was not saturated: its daemon was busy for {busy:.0} % of the time. The load, \
             a neighbour on the processor or a wait in the daemon was the limit: read neither its \
             rate nor its latencies as what the daemon can do.",
            cell.plan.id
        );
    }
    text.extend(summary.cells.iter().filter_map(closings));
    for reason in facts.absent {
        let _ = writeln!(text, "- {reason}");
    }
    if text.is_empty() { text } else { format!("\n## What is missing\n\n{text}") }
}

/// Whether a cell at saturation has left its processor idle.
fn is_unsaturated(cell: &Cell) -> bool {
    let saturates = cell.plan.settings.get("pace").is_some_and(|pace| pace == "saturation");
    saturates && cell.median("busy_percent").is_some_and(|busy| busy < BUSY_MIN)
}

/// What is compared: the first cell against the second, and how a reader would ask for it.
const QUESTIONS: &[(&str, &str, &str)] = &[
    ("A CEX8A, RSA-2048", BASE, "cards-none"),
    ("A CEX8A, RSA-3072", "key-rsa3072", "key-rsa3072-none"),
    ("A CEX8A, RSA-4096", "key-rsa4096", "key-rsa4096-none"),
    ("A CEX8C instead of the CEX8A", "cards-cex8c", BASE),
    ("Signatures in batches", "cards-batch", BASE),
    ("P-256 on a card instead of in CPACF", "key-p256-card", "key-p256-cpacf"),
    ("P-384 on a card instead of in CPACF", "key-p384-card", "key-p384-cpacf"),
    ("P-256 in CPACF instead of RSA-2048 on a card", "key-p256-cpacf", BASE),
    ("Handshakes in place instead of on fibers", "mode-inline", BASE),
    ("Handshakes on threads instead of on fibers", "mode-pool", BASE),
    ("No units for AES and SHA", "provider-portable", BASE),
    ("TLS 1.2 instead of 1.3", "tls12", BASE),
    ("Resuming instead of a full handshake", "resumed", BASE),
    ("100 handshakes a second instead of saturation", "rate-100", BASE),
    ("300 handshakes a second instead of saturation", "rate-300", BASE),
];

fn meaning(summary: &Summary) -> String {
    let mut text = "\n## What it means\n\nCPU per handshake, host first, then host and card \
                    together. The sentences are computed from the tables.\n\n"
        .to_owned();
    for (what, own, other) in QUESTIONS {
        let host = Against::of(summary, own, other, "host_us");
        let total = Against::of(summary, own, other, "total_us");
        if let (Some(host), Some(total)) = (host, total) {
            let _ = writeln!(
                text,
                "- {what}: host {} ({:.0} against {:.0} µs), total {} ({:.0} against {:.0} µs). \
                 `{own}` against `{other}`.",
                host.words(),
                host.own,
                host.other,
                total.words(),
                total.own,
                total.other,
            );
        }
    }
    for (mode, own) in [("in place", "mode-inline"), ("on threads", "mode-pool")] {
        if let Some(pings) = Against::of(summary, own, BASE, "established_p99_us") {
            let _ = writeln!(
                text,
                "- Established connections under saturation, p99: handshakes {mode} against fibers \
                 {} ({:.0} against {:.0} µs). `{own}` against `{BASE}`. Latency is time on the \
                 wall; \
                 all of the daemon, simulated card included, shares one processor.",
                pings.words(),
                pings.own,
                pings.other,
            );
        }
    }
    text.push_str(
        "\nA card helps the host with the private-key operation and with nothing else. What it can \
         save is that operation, less what it costs to ask for it and to check the result: more \
         with \
         longer RSA keys, little or less than nothing for ECDSA, nothing where sessions are \
         resumed \
         and for records. Where a sentence above says otherwise, look for the reason before you \
         believe it.\n",
    );
    text
}

fn tracing(summary: &Summary) -> String {
    let raw = crate::report::raw_path(&summary.heading.kind);
    format!(
        "\n## How to trace a figure\n\nThe id in the first column of a table names a cell. Its \
         figures stand under that id in [summary.json](summary.json), under the names below the \
         table, with least, greatest and quartiles; its raw lines are those of [{raw}]({raw}) with \
         the same `cell`, one for each round (`grep '\"cell\":\"{BASE}\"' {raw}`). The tool has \
         checked that the summary follows from the raw lines and the tables from the summary. \
         [commands.sh](commands.sh) repeats the whole; [host.json](host.json) has the machine with \
         all mitigations.\n"
    )
}
