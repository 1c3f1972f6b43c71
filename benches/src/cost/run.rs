//! All rounds of all cells, and the report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::matrix::{self, BASE, Cell, Engine};
use super::measure::{self, Terms, measure};
use super::{page, pictures};
use crate::daemon::{self, Daemon};
use crate::load::{KeyKind, backend, raise_file_limit};
use crate::pki::Issued;
use crate::report::{
    Derived, Directory, Heading, Host, Plan, Ratio, Round, Share, Summary, privacy, record, today,
    update_readme,
};
use crate::spread::Spread;
use crate::table::Table;
use crate::{Failure, clock};

/// A cell that failed so often is not tried again.
const FAILURES_MAX: usize = 2;

/// What is asked of a run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The steps only, with fewer and shorter rounds.
    pub quick: bool,
    /// Directory of the report.
    pub out: Option<PathBuf>,
    /// Program of the daemon.
    pub daemon: Option<String>,
    /// Rounds, other than usual.
    pub rounds: Option<u32>,
    /// Seconds of a round of a cell, other than usual.
    pub seconds: Option<f64>,
    /// These cells and the base; all when empty.
    pub only: Vec<String>,
}

impl Options {
    fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 3 } else { 5 })
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.unwrap_or(if self.quick { 1.2 } else { 3.0 }))
    }

    fn ping_time(&self) -> Duration {
        self.time() / 2
    }

    fn warmup(&self) -> Duration {
        Duration::from_millis(if self.quick { 300 } else { 500 })
    }

    /// Whether a claim may be made of it, and compared with others.
    fn is_usual(&self) -> bool {
        !self.quick && self.rounds.is_none() && self.seconds.is_none()
    }

    /// Cells that were asked for, in the order of the plan.
    fn cells(&self) -> Result<Vec<Cell>, Failure> {
        let mut all = matrix::steps();
        if !self.quick || !self.only.is_empty() {
            all.extend(matrix::crossing());
        }
        for id in &self.only {
            if !all.iter().any(|cell| cell.id == *id) {
                let ids: Vec<&str> = all.iter().map(|cell| cell.id.as_str()).collect();
                return Err(
                    format!("no cell is called `{id}`; there are: {}", ids.join(", ")).into()
                );
            }
        }
        all.retain(|cell| self.only.is_empty() || cell.id == BASE || self.only.contains(&cell.id));
        Ok(all)
    }

    /// What to type to have the same again.
    fn command(&self) -> String {
        let mut command = "target/release/adjunct-bench cost".to_owned();
        if self.quick {
            command.push_str(" --quick");
        }
        if let Some(rounds) = self.rounds {
            command.push_str(&format!(" --rounds {rounds}"));
        }
        if let Some(seconds) = self.seconds {
            command.push_str(&format!(" --seconds {seconds}"));
        }
        if !self.only.is_empty() {
            command.push_str(&format!(" --only {}", self.only.join(",")));
        }
        command
    }
}

/// A finished run.
#[derive(Debug)]
pub struct Done {
    /// Where the report is.
    pub report: PathBuf,
    /// For a person.
    pub table: String,
    /// Cells that failed, each with its first reason.
    pub failed: Vec<String>,
}

/// Runs everything and writes the report; `tell` gets a line of progress now and then.
///
/// # Errors
/// Something is missing before the first round, or the report cannot be written. A cell that fails
/// is none: it stands in the list of failed cells.
pub fn run(options: &Options, tell: &mut dyn FnMut(&str)) -> Result<Done, Failure> {
    let mut cells = options.cells()?;
    let (first, last) = measure::processors()?;
    let program = daemon::find(options.daemon.as_deref())?;
    // Before anything runs here: its load is the machine's own.
    let host = host_of(&program);
    let slug = if options.quick { "cost-quick" } else { "cost" };
    let mut report = Directory::create(options.out.as_deref(), slug, "cost")?;
    raise_file_limit()?;
    clock::pin(&[last])?;
    let terms = Terms {
        program: &program,
        first,
        last,
        backend: backend(&[last])?,
        warmup: options.warmup(),
        time: options.time(),
        ping_time: options.ping_time(),
    };
    let keys = keys(&cells)?;
    let absent = without_absent_engines(&mut cells, &terms, &keys);
    absent.iter().for_each(|reason| tell(reason));
    let mut rounds = Rounds { terms: &terms, keys: &keys, failures: BTreeMap::new() };
    rounds.all(&cells, options.rounds(), &mut report, tell)?;
    let heading = Heading {
        kind: "cost".to_owned(),
        title: "CPU per TLS handshake with and without simulated Crypto Express cards".to_owned(),
        date: today(),
        commit: host.commit.clone(),
        dirty: host.dirty,
        quick: options.quick,
        reference: Some(BASE.to_owned()),
    };
    let plans: Vec<Plan> = cells.iter().map(Cell::plan).collect();
    let summary = Summary::of(heading, &plans, &report.rounds()?, &derived());
    let facts = page::Facts {
        host: &host,
        usual: options.is_usual(),
        rounds: options.rounds(),
        time: terms.time,
        warmup: terms.warmup,
        ping_time: terms.ping_time,
        absent: &absent,
    };
    write(&report, &summary, &facts, &options.command())?;
    let table = table(&summary);
    let failed = summary.failed().map(reason).collect();
    Ok(Done { report: report.path().to_path_buf(), table, failed })
}

/// What is computed from the values of the rounds.
pub(super) fn derived() -> Derived {
    let share = |name: &str, part: &str, rest: &str| Share {
        name: name.to_owned(),
        of: "host_us".to_owned(),
        part: part.to_owned(),
        rest: rest.to_owned(),
        least: measure::TICKS_MIN,
    };
    let (user, system) = ("host_user_ticks", "host_system_ticks");
    Derived {
        ratios: vec![Ratio::new("host_ratio", "host_us"), Ratio::new("total_ratio", "total_us")],
        shares: vec![share("host_user_us", user, system), share("host_system_us", system, user)],
    }
}

fn reason(cell: &crate::report::Cell) -> String {
    let first = cell.failed.first().map_or("not measured", String::as_str);
    format!("{}: {first}", cell.plan.id)
}

/// Writes everything but the raw lines, checks that figures can be traced, and notes the report in
/// its collection when it is a claim.
pub(super) fn write(
    report: &Directory,
    summary: &Summary,
    facts: &page::Facts<'_>,
    command: &str,
) -> Result<(), Failure> {
    report.write_host(facts.host)?;
    report.write_commands(&[
        "cargo build --release -p adjunct".to_owned(),
        "cargo build --release -p adjunct-bench".to_owned(),
        command.to_owned(),
    ])?;
    report.write_summary(summary)?;
    let pictures = pictures::draw(summary);
    for (name, svg) in &pictures {
        report.write(name, svg)?;
    }
    let names: Vec<&str> = pictures.iter().map(|(name, _)| *name).collect();
    report.write("report.md", &page::text(summary, facts, &names))?;
    report.check()?;
    let name = report.path().file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let Some(collection) = report.collection() {
        update_readme(&collection.join("README.md"), name, &page::sentence(summary))?;
        if facts.usual {
            record(&collection.join("trend.jsonl"), name, &facts.host.cpu_model, summary)?;
        }
    }
    Ok(())
}

fn host_of(program: &Path) -> Host {
    let mut host = Host::now();
    let version = program.to_str().and_then(|program| crate::report::host::run(program, &["-V"]));
    host.versions.insert("adjunct".to_owned(), version.unwrap_or("unknown".to_owned()));
    host
}

/// A certificate for each kind of key, made once.
fn keys(cells: &[Cell]) -> Result<Vec<(KeyKind, Issued)>, Failure> {
    let mut keys: Vec<(KeyKind, Issued)> = Vec::new();
    for cell in cells {
        if !keys.iter().any(|(kind, _)| *kind == cell.key) {
            keys.push((cell.key, Issued::new(cell.key)?));
        }
    }
    Ok(keys)
}

fn key(keys: &[(KeyKind, Issued)], kind: KeyKind) -> Result<&Issued, Failure> {
    let found = keys.iter().find(|(of, _)| *of == kind).map(|(_, issued)| issued);
    found.ok_or_else(|| format!("no certificate for {}", kind.word()).into())
}

/// Takes out cells of engines that the daemon has not; what it says about each.
fn without_absent_engines(
    cells: &mut Vec<Cell>,
    terms: &Terms<'_>,
    keys: &[(KeyKind, Issued)],
) -> Vec<String> {
    let Some(probe) = cells.iter().find(|cell| cell.engine == Engine::Batch) else {
        return Vec::new();
    };
    let started = key(keys, probe.key)
        .and_then(|issued| Daemon::start(terms.program, &measure::setting(probe, terms, issued)));
    let Err(why) = started else { return Vec::new() };
    cells.retain(|cell| cell.engine != Engine::Batch);
    let why = privacy::scrubbed(&why.to_string());
    let said = why.lines().find(|line| line.contains("batch")).unwrap_or("it does not start");
    vec![format!("Cells with the batch engine were not measured: {}", said.trim())]
}

/// The rounds of a run.
struct Rounds<'a> {
    terms: &'a Terms<'a>,
    keys: &'a [(KeyKind, Issued)],
    failures: BTreeMap<String, usize>,
}

impl Rounds<'_> {
    fn all(
        &mut self,
        cells: &[Cell],
        count: u32,
        report: &mut Directory,
        tell: &mut dyn FnMut(&str),
    ) -> Result<(), Failure> {
        let begin = Instant::now();
        let all = cells.len() * usize::try_from(count)?;
        let mut done = 0;
        for round in 1..=count {
            let mut order: Vec<&Cell> = cells.iter().collect();
            if round % 2 == 0 {
                order.reverse();
            }
            for cell in order {
                let line = self.one(cell, round, report)?;
                done += 1;
                let left = begin.elapsed().mul_f64((all - done) as f64 / done as f64);
                let left = left.as_secs().div_ceil(60);
                tell(&format!("[{done}/{all}, {left} min left] round {round} {line}"));
            }
        }
        Ok(())
    }

    /// Measures a cell and keeps what came; a line about it.
    fn one(&mut self, cell: &Cell, round: u32, report: &mut Directory) -> Result<String, Failure> {
        let failures = self.failures.entry(cell.id.clone()).or_default();
        if *failures >= FAILURES_MAX {
            return Ok(format!("{}: passed over, it failed {failures} times", cell.id));
        }
        let measured =
            key(self.keys, cell.key).and_then(|issued| measure(cell, self.terms, issued));
        let (raw, line) = match measured {
            Ok(measured) => {
                let value = |name: &str| measured.values.get(name).copied().unwrap_or_default();
                let (rate, host, card) = (value("rate_per_s"), value("host_us"), value("card_us"));
                let line =
                    format!("{}: {rate:.0}/s, host {host:.0} µs, card {card:.0} µs", cell.id);
                (Round { round, ..measured }, line)
            }
            Err(why) => {
                *failures += 1;
                let why = privacy::scrubbed(&why.to_string());
                let line = format!("{} FAILED: {why}", cell.id);
                (Round::failed(&cell.id, round, why), line)
            }
        };
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        report.append(&Round { unix_s, ..raw })?;
        Ok(line)
    }
}

/// The result for a person at a terminal.
fn table(summary: &Summary) -> String {
    let header = [
        "cell",
        "per s",
        "host user",
        "host system",
        "host µs",
        "card µs",
        "total µs",
        "host ×",
        "verdict",
        "hs p99 µs",
        "ping p99 µs",
    ];
    let mut table = Table::new("CPU per handshake in µs, medians of the rounds", &header);
    let base = summary.cell(BASE).and_then(|cell| cell.value("host_us"));
    for cell in &summary.cells {
        let text = |name: &str, digits: usize| {
            cell.median(name).map_or("-".to_owned(), |value| format!("{value:.digits$}"))
        };
        let range = cell.value("host_us").map_or("failed".to_owned(), |f| {
            Spread { low: f.min, median: f.median, high: f.max }.text(0)
        });
        let verdict = base.zip(cell.value("host_us"));
        let verdict = verdict.map(|(base, own)| crate::report::Verdict::of(base, own));
        table.row([
            cell.plan.id.clone(),
            text("rate_per_s", 0),
            text("host_user_us", 0),
            text("host_system_us", 0),
            range,
            text("card_us", 0),
            text("total_us", 0),
            text("host_ratio", 2),
            verdict.map_or("-".to_owned(), |verdict| verdict.to_string()),
            text("handshake_p99_us", 0),
            text("established_p99_us", 0),
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_can_be_chosen_and_a_wrong_name_lists_them() {
        let only = |ids: &[&str]| Options {
            only: ids.iter().map(ToString::to_string).collect(),
            ..Options::default()
        };
        let cells = only(&["x-none-pool-100"]).cells().unwrap();
        let ids: Vec<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
        assert_eq!(ids, [BASE, "x-none-pool-100"]);
        let error = only(&["cards-cex9"]).cells().unwrap_err().to_string();
        assert!(error.contains("`cards-cex9`") && error.contains("cards-cex8c"), "{error}");
    }

    #[test]
    fn a_run_fits_its_time() {
        // Start of the daemon, connections, and what is finished at the end.
        let start = Duration::from_millis(900);
        for (quick, most) in [(true, Duration::from_secs(240)), (false, Duration::from_secs(1560))]
        {
            let options = Options { quick, ..Options::default() };
            let cell = options.time() + options.warmup() + options.ping_time() + start;
            let count = u32::try_from(options.cells().unwrap().len()).unwrap();
            let all = cell * count * options.rounds();
            assert!(all <= most, "{} s", all.as_secs());
        }
    }

    #[test]
    fn rounds_of_another_length_are_not_usual() {
        assert!(Options { only: vec!["resumed".to_owned()], ..Options::default() }.is_usual());
        for other in [
            Options { quick: true, ..Options::default() },
            Options { rounds: Some(1), ..Options::default() },
            Options { seconds: Some(0.2), ..Options::default() },
        ] {
            assert!(!other.is_usual(), "{other:?}");
        }
    }

    #[test]
    fn the_command_is_what_was_asked() {
        let options = Options {
            quick: true,
            rounds: Some(4),
            seconds: Some(2.5),
            only: vec!["tls12".to_owned(), "resumed".to_owned()],
            out: Some(PathBuf::from("elsewhere")),
            ..Options::default()
        };
        assert_eq!(
            options.command(),
            "target/release/adjunct-bench cost --quick --rounds 4 --seconds 2.5 --only \
             tls12,resumed"
        );
    }
}
