//! The report: page, pictures, and the configuration files that were used.

use std::fmt::Write as _;

use super::definition::Definition;
use super::rounds::{ADDS, HOST_RATIO, RATIO, told};
use super::scenario::{
    BUSY, Effort, FILL, IDLE_KIB, RESIDENT, STORM_P99, Scenario, TARGETS, TLS_ADDS_US, TOTAL,
    Target, Work,
};
use super::{ADJUNCT, contender::Way};
use crate::Failure;
use crate::load::handshake::{STRETCH, TURNS};
use crate::report::markdown::{self, Column};
use crate::report::{Cell, Directory, Figure, Host, Summary, chart};

/// A server that is less busy was not the limit.
const BUSY_MIN: f64 = 0.9;
/// With fewer rounds there is no verdict.
const ROUNDS_MIN: u32 = 3;

/// What is known about a server before it is measured.
#[derive(Debug, Clone)]
pub struct Introduction {
    /// Its name.
    pub name: String,
    /// What it says it is.
    pub version: Vec<String>,
    /// What it is linked with.
    pub libraries: Vec<String>,
    /// How it is told the number of workers.
    pub workers: String,
    /// Name and text of the files it is started with.
    pub files: Vec<(String, String)>,
}

/// Everything the page tells beside figures.
#[derive(Debug)]
pub struct Story<'a> {
    /// Who takes part.
    pub servers: &'a [Introduction],
    /// Who does not, and why.
    pub missing: &'a [(Definition, String)],
    /// What was run.
    pub scenarios: &'a [Scenario],
    /// How much.
    pub effort: Effort,
    /// Workers of a server.
    pub workers: usize,
    /// Where servers and clients ran.
    pub processors: (&'a [usize], &'a [usize]),
}

const COST: [Column; 9] = [
    Column::new("CPU, µs", TOTAL, 1).with_range(),
    Column::new("host, µs", "host_us", 1),
    Column::new("card, µs", "card_us", 1),
    Column::new("user, µs", "user_us", 1),
    Column::new("system, µs", "system_us", 1),
    Column::new("units/s", "rate_per_s", 0),
    Column::new("busy", BUSY, 2),
    Column::new("Adjunct / this", RATIO, 3).with_range(),
    Column::new("host only", HOST_RATIO, 3),
];
/// The row of the table with most clients.
const MOST: &str = "full13-rsa2048";
const LATENCY: [Column; 2] =
    [Column::new("p50, µs", "p50_us", 0), Column::new("p99, µs", "p99_us", 0)];
const IDLE: [Column; 2] = [
    Column::new("RSS, KiB", RESIDENT, 1).with_range(),
    Column::new("Adjunct / this", RATIO, 3).with_range(),
];
const STORM: [Column; 6] = [
    Column::new("calm p50, µs", "calm_p50_us", 0),
    Column::new("calm p99, µs", "calm_p99_us", 0),
    Column::new("storm p50, µs", "storm_p50_us", 0),
    Column::new("storm p99, µs", STORM_P99, 0).with_range(),
    Column::new("handshakes/s", "rate_per_s", 0),
    Column::new("Adjunct / this", RATIO, 3).with_range(),
];

fn columns(work: Work) -> Vec<Column> {
    match work {
        Work::Handshake(..) => COST.into_iter().chain(LATENCY).collect(),
        Work::Down | Work::Up => COST.to_vec(),
        Work::Idle => IDLE.to_vec(),
        Work::Storm => STORM.to_vec(),
    }
}

/// Writes page, pictures and configuration files.
///
/// # Errors
/// Those of writing and drawing.
pub fn write(
    directory: &Directory,
    story: &Story<'_>,
    summary: &Summary,
    host: &Host,
) -> Result<(), Failure> {
    for server in story.servers {
        for (name, text) in &server.files {
            directory.write(&file_name(&server.name, name), text)?;
        }
    }
    let mut page = head(story, summary);
    page.push_str(&markdown::plain(&host.rows()));
    page.push('\n');
    page.push_str(&servers(story));
    for scenario in story.scenarios.iter().filter(|scenario| !scenario.is_load()) {
        page.push_str(&section(directory, scenario, summary, story.workers)?);
    }
    page.push_str(&loads(directory, story.scenarios, summary)?);
    page.push_str(&targets(summary));
    page.push_str(LIMITS);
    directory.write("report.md", &page)
}

/// What the list of reports says of this one: the first row that has a ratio.
#[must_use]
pub fn sentence(summary: &Summary) -> String {
    let ratio = |cell: &Cell| {
        let median = cell.median(RATIO).filter(|_| !cell.plan.title.starts_with(ADJUNCT))?;
        Some((cell.plan.clone(), median))
    };
    let kind = if summary.heading.quick { "A trial. " } else { "" };
    let title = &summary.heading.title;
    match summary.cells.iter().find_map(ratio) {
        None => format!("{kind}{title}."),
        Some((plan, ratio)) => {
            let (row, server) = (&plan.group, &plan.title);
            format!("{kind}{title}; `{row}`: {ratio:.2} of what {server} costs.")
        }
    }
}

/// Name of a copied configuration file: directories would make it longer, not clearer.
fn file_name(server: &str, file: &str) -> String {
    format!("config-{server}-{file}")
}

fn head(story: &Story<'_>, summary: &Summary) -> String {
    let Story { effort, workers, processors: (server, load), .. } = story;
    let heading = &summary.heading;
    let mut text = format!("# {}\n\n", heading.title);
    if heading.quick {
        text.push_str(
            "**A trial (`--quick`): few and short rounds. No claim may be made from it.**\n\n",
        );
    }
    if heading.dirty {
        text.push_str("**The tree had changes that are in no commit.**\n\n");
    }
    let both = if workers > &1 {
        " With two workers servers, clients and backend share the processors: the CPU time of a \
         unit of work still counts, rates and latencies do not."
    } else {
        ""
    };
    let _ = writeln!(
        text,
        "{date}, commit {commit}. Cost is CPU time of all processes and threads of a server per \
         unit of work, between the first and the last unit that count. One server lives at a time, \
         with {workers} worker(s) on processor(s) {server:?}; clients and backend are on {load:?}. \
         The same certificates, the same clients, the same backend. {rounds} rounds of {time:?} \
         each ({warmup:?} before are not counted; a closed loop of handshakes extends both, until \
         there were as many as clients and then {TURNS} times as many, at most {STRETCH} times as \
         long), all servers in each, their order rotated; a figure is the median of \
         the rounds, in parentheses the least and the greatest. \
         \"Adjunct / this\" is computed within each round: below 1, Adjunct costs less.{both}\n\n\
         **Adjunct's cards are simulated:** threads on the same processor. Their time is in every \
         total; \"host\" is without it.\n\n\
         How to repeat it: `commands.sh`. Every run: `raw/{kind}.jsonl`. All figures: \
         `summary.json`.\n\n## Machine\n",
        date = heading.date,
        commit = heading.commit,
        rounds = effort.rounds,
        time = effort.time,
        warmup = effort.warmup,
        kind = heading.kind,
    );
    text
}

fn servers(story: &Story<'_>) -> String {
    let mut text = "## Servers\n\n".to_owned();
    let header = ["Server", "Version", "TLS library", "Workers", "Configuration"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for server in story.servers {
        let link = |(name, _): &(String, String)| {
            let file = file_name(&server.name, name);
            format!("[{name}]({file})")
        };
        rows.push(vec![
            server.name.clone(),
            server.version.join("; "),
            server.libraries.join(", "),
            server.workers.clone(),
            server.files.iter().map(link).collect::<Vec<_>>().join(", "),
        ]);
    }
    text.push_str(&markdown::plain(&rows));
    text.push('\n');
    for (definition, reason) in story.missing {
        text.push_str(&not_measured(&definition.name, reason));
    }
    text.push_str(
        "Why each setting is as it is stands in the files. All servers speak TLS 1.2 and 1.3, \
         X25519 first, AES-128-GCM first; clients resume by ticket, of which each server sends two \
         after a full handshake; none writes an access log, but Adjunct a record per \
         connection.\n\n",
    );
    text
}

fn section(
    directory: &Directory,
    scenario: &Scenario,
    summary: &Summary,
    workers: usize,
) -> Result<String, Failure> {
    let prefix = format!("{}.", scenario.id);
    let cells: Vec<&Cell> =
        summary.cells.iter().filter(|cell| cell.plan.id.starts_with(&prefix)).collect();
    let mut text = format!("## {}\n\n", scenario.title);
    text.push_str(&markdown::table(&cells, &columns(scenario.work)));
    text.push('\n');
    text.push_str(&reasons(&cells));
    let idle: Vec<&&Cell> = cells.iter().filter(|cell| is_unsaturated(cell, workers)).collect();
    for cell in &idle {
        let (id, busy) = (&cell.plan.id, cell.median(BUSY).unwrap_or_default() * 100.0);
        let _ = writeln!(
            text,
            "- `{id}` was not saturated: the server was busy for {busy:.0} % of the time. Its CPU \
             time counts; its rate and its latencies are those of the clients or the backend."
        );
    }
    let closings: Vec<String> = cells.iter().filter_map(|cell| markdown::closings(cell)).collect();
    text.push_str(&closings.concat());
    if !idle.is_empty() || !closings.is_empty() || cells.iter().any(|cell| !cell.failed.is_empty())
    {
        text.push('\n');
    }
    if let Some(svg) = picture(scenario, &cells)? {
        let file = format!("{}.svg", scenario.id);
        directory.write(&file, &svg)?;
        let _ = writeln!(text, "![{}]({file})\n", scenario.title);
    }
    Ok(text)
}

/// A server that is missing: the reason names a path of this machine where a file is.
fn not_measured(name: &str, reason: &str) -> String {
    format!("Not measured: {name} ({}).\n\n", told(reason))
}

/// Why cells have failed.
fn reasons(cells: &[&Cell]) -> String {
    let mut text = String::new();
    for cell in cells {
        let mut reasons = cell.failed.clone();
        reasons.sort();
        reasons.dedup();
        if !reasons.is_empty() {
            let (id, times) = (&cell.plan.id, cell.failed.len());
            let _ = writeln!(text, "- `{id}` failed {times} times: {}", reasons.join("; "));
        }
    }
    text
}

/// Adjunct with batches, without, and without cards, by the number of clients.
fn loads(
    directory: &Directory,
    scenarios: &[Scenario],
    summary: &Summary,
) -> Result<String, Failure> {
    let mut scenarios: Vec<&Scenario> =
        scenarios.iter().filter(|scenario| scenario.is_load() || scenario.id == MOST).collect();
    scenarios.sort_by_key(|scenario| scenario.clients);
    let of =
        |scenario: &Scenario, way: Way| summary.cell(&format!("{}.{}", scenario.id, way.name()));
    let cells: Vec<(usize, Way, &Cell)> = scenarios
        .iter()
        .flat_map(|scenario| {
            let ways = [Way::Standard, Way::Single, Way::Inline].into_iter();
            ways.filter_map(|way| Some((scenario.clients, way, of(scenario, way)?)))
        })
        .collect();
    if !scenarios.iter().any(|scenario| scenario.is_load()) || cells.is_empty() {
        return Ok(String::new());
    }
    let mut text = format!(
        "## Load, batches and cost: TLS 1.3, RSA-2048\n\nClients in a closed loop, from one \
         (`load-1`) to 64, and as many as above (`{MOST}`). `{}` has cards that take up to four \
         requests together, `{}` the same cards with one at a time, `{}` none. A batch is as full \
         as the queue was when the card was free: no card waits for company. The fill is that of \
         the whole run, with what is not counted before.\n\n",
        Way::Standard.name(),
        Way::Single.name(),
        Way::Inline.name()
    );
    let rows: Vec<&Cell> = cells.iter().map(|(_, _, cell)| *cell).collect();
    let fill = Column::new("batch fill", FILL, 2);
    let columns: Vec<Column> = [fill].into_iter().chain(COST).chain(LATENCY).collect();
    text.push_str(&markdown::table(&rows, &columns));
    text.push('\n');
    text.push_str(&reasons(&rows));
    let label = |clients: usize, way: Way| format!("{clients} clients, {}", way.name());
    let cost = cells.iter().filter(|(_, _, cell)| cell.rounds > 0).map(|(clients, way, cell)| {
        let part = |value: &str| cell.median(value).unwrap_or_default();
        // The colours go by place, as in the other pictures.
        let parts = vec![0.0, 0.0, part("host_us"), part("card_us")];
        chart::Bar { label: label(*clients, *way), parts, total: part(TOTAL) }
    });
    let fill = cells.iter().filter_map(|(clients, way, cell)| {
        let fill = cell.median(FILL)?;
        Some(chart::Bar { label: label(*clients, *way), parts: vec![fill], total: fill })
    });
    let pictures = [
        (
            "load",
            "CPU time of a handshake by load, µs",
            vec!["", "", "host", "cards"],
            cost.collect(),
        ),
        ("fill", "Requests in a batch by load", vec!["requests"], fill.collect::<Vec<_>>()),
    ];
    for (name, title, parts, bars) in pictures {
        if !bars.is_empty() {
            let file = format!("{name}.svg");
            directory.write(&file, &chart::stacked(title, title, &parts, &bars)?)?;
            let _ = writeln!(text, "![{title}]({file})\n");
        }
    }
    Ok(text)
}

/// Whether a server has left its processor idle: it was not what limits the rate. Several workers
/// share their processors with the load, and the page says that of all of them.
fn is_unsaturated(cell: &Cell, workers: usize) -> bool {
    workers == 1 && cell.median(BUSY).is_some_and(|busy| busy < BUSY_MIN)
}

/// A bar for each server; none when there is nothing to draw.
fn picture(scenario: &Scenario, cells: &[&Cell]) -> Result<Option<String>, Failure> {
    let (unit, parts): (&str, Vec<(&str, &str)>) = match scenario.work {
        Work::Handshake(..) => {
            // The colours of a chart go by place: those of user and system are left out.
            let parts = vec![("", ""), ("", ""), ("host", "host_us"), ("cards", "card_us")];
            ("CPU time of a handshake, µs", parts)
        }
        Work::Down | Work::Up => {
            ("CPU time of a MiB, µs", vec![("user", "user_us"), ("system", "system_us")])
        }
        Work::Idle => ("resident memory of a connection, KiB", vec![("RSS", RESIDENT)]),
        Work::Storm => ("p99 of a ping in the storm, µs", vec![("p99", STORM_P99)]),
    };
    let costs_cpu = !matches!(scenario.work, Work::Idle | Work::Storm);
    let bars: Vec<chart::Bar> = cells
        .iter()
        .filter(|cell| cell.rounds > 0)
        .map(|cell| {
            let of = |value: &str| cell.median(value).unwrap_or_default().max(0.0);
            let parts: Vec<f64> = parts.iter().map(|(_, value)| of(value)).collect();
            // What the table says: a median of sums is not quite the sum of medians.
            let whole = costs_cpu.then(|| cell.median(TOTAL)).flatten();
            let total = whole.unwrap_or_else(|| parts.iter().sum());
            chart::Bar { label: cell.plan.title.clone(), parts, total }
        })
        .collect();
    if bars.is_empty() {
        return Ok(None);
    }
    let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
    chart::stacked(scenario.title, unit, &names, &bars).map(Some)
}

fn targets(summary: &Summary) -> String {
    let header = ["Row", "Against", "Value", "Measured", "Range", "Must", "Aim", "Verdict"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for target in TARGETS {
        let Target { scenario, against, host_only, must, aim } = target;
        let cell = format!("{scenario}.{against}");
        let value = if host_only { HOST_RATIO } else { RATIO };
        let Some(measured) = summary.cell(&cell).and_then(|cell| cell.value(value)) else {
            continue;
        };
        rows.push(target_row([&cell, against, value], measured, Some((must, aim)), 3));
    }
    let idle = format!("idle.{ADJUNCT}");
    if let Some(measured) = summary.cell(&idle).and_then(|cell| cell.value(RESIDENT)) {
        rows.push(target_row([&idle, "–", RESIDENT], measured, Some(IDLE_KIB), 1));
    }
    for scenario in ["bulk-down", "bulk-up"] {
        for plain in Way::WITHOUT_TLS.map(Way::name) {
            let cell = format!("{scenario}.{plain}");
            if let Some(measured) = summary.cell(&cell).and_then(|cell| cell.value(ADDS)) {
                // The limit was set beside a relay whose clients do not encrypt.
                let is_limited = plain == Way::Plain.name();
                let limits = is_limited.then_some((TLS_ADDS_US, TLS_ADDS_US));
                rows.push(target_row([&cell, plain, ADDS], measured, limits, 1));
            }
        }
    }
    if rows.len() == 1 {
        return String::new();
    }
    let mut text = "## Against the targets\n\nOurs over theirs; `".to_owned();
    let _ = writeln!(
        text,
        "{}` is our own daemon without cards and fibers, `{}` is it without TLS, `{}` the same \
         under clients that encrypt all the same, and `{ADDS}` what TLS adds to either. A verdict \
         needs {ROUNDS_MIN} rounds, all of them on one side: *reached* when the greatest is no \
         more than the limit, *missed* when the least is more.\n",
        Way::Inline.name(),
        Way::Plain.name(),
        Way::PlainBusy.name()
    );
    text.push_str(&markdown::plain(&rows));
    text.push('\n');
    text
}

fn target_row(
    [cell, against, value]: [&str; 3],
    measured: &Figure,
    limits: Option<(f64, f64)>,
    digits: usize,
) -> Vec<String> {
    let Figure { median, min, max, rounds, .. } = *measured;
    let verdict = match limits {
        None => "no limit",
        Some(_) if rounds < ROUNDS_MIN => "too few rounds",
        Some((_, aim)) if max <= aim => "aim reached",
        Some((must, _)) if max <= must => "reached",
        Some((must, _)) if min > must => "missed",
        Some(_) => "within noise",
    };
    let limit = |of: fn((f64, f64)) -> f64| limits.map_or("–".to_owned(), |l| of(l).to_string());
    vec![
        format!("`{cell}`"),
        against.to_owned(),
        format!("`{value}`"),
        format!("{median:.digits$}"),
        format!("{min:.digits$}–{max:.digits$}"),
        limit(|(must, _)| must),
        limit(|(_, aim)| aim),
        verdict.to_owned(),
    ]
}

const LIMITS: &str = "\
## What this does not say

- Loopback: no network card, no interrupts of one, no congestion. The kernel's part is that of a \
loopback connection.
- The load is not paced, nor is what Adjunct sends its clients, since it listens on a loopback \
address; what the peers send theirs has the congestion control of the system (row TCP of the table \
of the machine).
- The work of the kernel for a connection that is done in the context of the client or of the \
backend is charged to them, for all servers alike.
- Memory is resident memory: pages that processes of a server share are counted for each, before \
and after.
- Versions are those of the distribution unless the table of servers says otherwise; newer ones, \
and other TLS libraries, can be added by a file (`--peer`).
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Plan;

    #[test]
    fn a_verdict_needs_all_of_enough_rounds_on_one_side() {
        for (values, verdict) in [
            (&[0.30, 0.31, 0.33][..], "aim reached"),
            (&[0.30, 0.31, 0.36], "reached"),
            (&[0.30, 0.31, 0.41], "within noise"),
            (&[0.39, 0.45, 0.46], "within noise"),
            (&[0.41, 0.45, 0.46], "missed"),
            (&[0.10, 0.10], "too few rounds"),
        ] {
            let figure = Figure::of(values).unwrap();
            let row = target_row(["row", "haproxy", RATIO], &figure, Some((0.40, 0.34)), 3);
            assert_eq!(row.last().map(String::as_str), Some(verdict), "{values:?}");
        }
        let figure = Figure::of(&[9.0, 9.0, 9.0]).unwrap();
        let row = target_row(["row", "adjunct-plain-busy", ADDS], &figure, None, 1);
        assert_eq!(row[5..], ["–", "–", "no limit"]);
    }

    #[test]
    fn what_is_not_installed_is_told_without_places() {
        let path = ["", "usr", "lib", "stream.so"].join("/");
        let text = not_measured("nginx", &format!("{path} is not installed"));
        assert_eq!(text, "Not measured: nginx (stream.so is not installed).\n\n");
    }

    #[test]
    fn a_server_that_was_idle_is_told() {
        let cell = |busy: f64| {
            let figure = Figure::of(&[busy]).unwrap();
            let values = [(BUSY.to_owned(), figure)].into();
            Cell { plan: Plan::default(), rounds: 1, failed: Vec::new(), values }
        };
        assert!(is_unsaturated(&cell(0.6), 1));
        assert!(!is_unsaturated(&cell(0.97), 1));
        assert!(!is_unsaturated(&cell(0.6), 2));
    }
}
