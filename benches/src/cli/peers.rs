//! `adjunct-bench peers`.

use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr as _;

use clap::Args;

use crate::load::{backend, raise_file_limit};
use crate::peers::contender::{Contender, Way};
use crate::peers::definition::{self, Definition};
use crate::peers::page::{self, Introduction, Story};
use crate::peers::rounds::{self, Arena};
use crate::peers::scenario::{self, Effort, Scenario};
use crate::peers::server::{self, Site};
use crate::peers::{ADJUNCT, contender, group};
use crate::report::{
    Derived, Directory, Heading, Host, Plan, Summary, record, today, update_readme,
};
use crate::table::Table;
use crate::{Failure, clock, daemon};

/// Options of `peers`.
#[derive(Debug, Args)]
pub struct Options {
    /// Fewer scenarios, fewer and shorter rounds: a trial, and no claim
    #[arg(long)]
    pub quick: bool,
    /// Only these servers, by name; Adjunct always takes part
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub only: Vec<String>,
    /// Workers of each server: 1 on the first processor, or 2 on both
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub workers: u8,
    /// Only these scenarios
    #[arg(long, value_delimiter = ',', value_name = "ID", value_parser = Scenario::from_str)]
    pub scenario: Vec<Scenario>,
    /// Rounds through all servers [default: 5, or 3 with --quick]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: Option<u32>,
    /// Where the report goes; perf-reports/DATE-peers by default
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Another server: the file that describes it; may be given several times
    #[arg(long, value_name = "FILE")]
    pub peer: Vec<PathBuf>,
    /// The daemon; the release build beside this program by default
    #[arg(long, value_name = "PATH")]
    pub daemon: Option<String>,
    /// Say which servers and scenarios there are, and measure nothing
    #[arg(long)]
    pub list: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let (present, mut missing) = peers(options)?;
    if options.list {
        return list(&present, &missing);
    }
    for (definition, reason) in &missing {
        tell_left_out(definition, reason);
    }
    end_servers_on_signals()?;
    raise_file_limit()?;
    let host = Host::now();
    let scenarios = scenarios(options);
    let mut contenders = contenders(options, &present)?;
    // Before any server is started: a report that cannot be written is known at once.
    let mut directory = Directory::create(options.out.as_deref(), &slug(options), KIND)?;
    let arena = arena(options, &scenarios)?;
    let introductions = introductions(&arena, &scenarios, &mut contenders, &mut missing)?;
    directory.write_host(&host)?;
    directory.write_commands(&commands(options))?;
    for (n, scenario) in scenarios.iter().enumerate() {
        progress(&format!("{} ({} of {})", scenario.id, n + 1, scenarios.len()));
        rounds::run(&arena, scenario, &contenders, &mut |round| {
            if let Some(reason) = &round.failed {
                progress(&format!("  {}, round {}: {reason}", round.cell, round.round));
            }
            directory.append(&round)
        })?;
    }
    let heading = Heading {
        kind: KIND.to_owned(),
        title: title(options, &contenders),
        date: today(),
        commit: host.commit.clone(),
        dirty: host.dirty,
        quick: options.quick,
        reference: None,
    };
    let plans = plans(&scenarios, &contenders, options);
    let summary = Summary::of(heading, &plans, &directory.rounds()?, &Derived::default());
    directory.write_summary(&summary)?;
    let story = Story {
        servers: &introductions,
        missing: &missing,
        scenarios: &scenarios,
        effort: arena.effort,
        workers: arena.workers,
        processors: (&arena.server_processors, &arena.load_processors),
    };
    page::write(&directory, &story, &summary, &host)?;
    directory.check()?;
    enter(&directory, &summary, &host)?;
    print_summary(&scenarios, &contenders, &summary);
    progress(&format!("report: {}", directory.path().join("report.md").display()));
    ours_worked(&summary)
}

/// Two workers are another comparison, with a report of its own.
fn slug(options: &Options) -> String {
    let workers = if options.workers == 1 { "" } else { "-2w" };
    let quick = if options.quick { "-quick" } else { "" };
    format!("{KIND}{workers}{quick}")
}

/// Puts a report of the tree into the list of reports, and one that is no trial into the trend.
fn enter(directory: &Directory, summary: &Summary, host: &Host) -> Result<(), Failure> {
    let Some(collection) = directory.collection() else { return Ok(()) };
    let name = directory.path().file_name().and_then(|name| name.to_str()).unwrap_or_default();
    update_readme(&collection.join("README.md"), name, &page::sentence(summary))?;
    if !summary.heading.quick {
        record(&collection.join("trend.jsonl"), name, &host.cpu_model, summary)?;
    }
    Ok(())
}

/// That a peer cannot do something is a result; that we cannot is a fault.
fn ours_worked(summary: &Summary) -> Result<(), Failure> {
    let ours = summary.failed().filter(|cell| cell.plan.title.starts_with(ADJUNCT));
    let told: Vec<String> =
        ours.map(|cell| format!("{}: {}", cell.plan.id, cell.failed.join("; "))).collect();
    if told.is_empty() {
        return Ok(());
    }
    Err(format!("the report is complete, but Adjunct failed:\n  {}", told.join("\n  ")).into())
}

/// The kind of report, and the name of its raw file.
const KIND: &str = "peers";

/// Peers that are installed, and those that are not with the reason.
type Peers = (Vec<(Definition, PathBuf)>, Vec<(Definition, String)>);

fn peers(options: &Options) -> Result<Peers, Failure> {
    let mut known = definition::built_in()?;
    for path in &options.peer {
        let peer = definition::read(path, &known)?;
        known.push(peer);
    }
    for name in &options.only {
        if name != ADJUNCT && !known.iter().any(|peer| &peer.name == name) {
            let names: Vec<&str> = known.iter().map(|peer| peer.name.as_str()).collect();
            let names = names.join(", ");
            return Err(format!(
                "--only {name}: there is no such server; there are {ADJUNCT}, {names}, and what \
                 --peer adds"
            )
            .into());
        }
    }
    let (mut present, mut missing) = (Vec::new(), Vec::new());
    for peer in known {
        if !options.only.is_empty() && !options.only.contains(&peer.name) {
            continue;
        }
        match peer.find() {
            Ok(program) => present.push((peer, program)),
            Err(reason) => missing.push((peer, reason)),
        }
    }
    Ok((present, missing))
}

fn scenarios(options: &Options) -> Vec<Scenario> {
    let wanted = |scenario: &Scenario| match (&*options.scenario, options.quick) {
        ([], true) => scenario.quick,
        ([], false) => true,
        (named, _) => named.contains(scenario),
    };
    scenario::ALL.into_iter().filter(wanted).collect()
}

fn contenders(
    options: &Options,
    present: &[(Definition, PathBuf)],
) -> Result<Vec<Contender>, Failure> {
    let program = daemon::find(options.daemon.as_deref())?;
    let ours = Way::ALL.map(|way| Contender::Ours { way, program: program.clone() });
    let theirs = present.iter().map(|(definition, program)| Contender::Theirs {
        definition: definition.clone(),
        program: program.clone(),
    });
    Ok(ours.into_iter().chain(theirs).collect())
}

/// Servers on the first processor, clients and backend on the last; two workers on both.
fn arena(options: &Options, scenarios: &[Scenario]) -> Result<Arena, Failure> {
    let processors = clock::processors()?;
    let (Some(&first), Some(&last)) = (processors.first(), processors.last()) else {
        return Err("the system names no processor".into());
    };
    if first == last {
        progress("one processor only: clients and servers share it, and rates say little");
    }
    clock::pin(&[last])?;
    let two = if first == last { vec![first] } else { vec![first, last] };
    Ok(Arena {
        certificates: Arena::certificates(scenarios)?,
        backend: backend(&[last])?,
        workers: usize::from(options.workers),
        server_processors: if options.workers == 1 { vec![first] } else { two },
        load_processors: vec![last],
        effort: effort(options),
    })
}

fn effort(options: &Options) -> Effort {
    let usual = if options.quick { Effort::QUICK } else { Effort::FULL };
    Effort { rounds: options.rounds.unwrap_or(usual.rounds), ..usual }
}

/// Said before anything is measured: who wants the server installs it and begins again.
fn tell_left_out(definition: &Definition, reason: &str) {
    progress(&format!("{} is left out: {reason}", definition.name));
}

/// Starts every server once. A peer that does not start is one of those missing, with what it says.
fn introductions(
    arena: &Arena,
    scenarios: &[Scenario],
    contenders: &mut Vec<Contender>,
    missing: &mut Vec<(Definition, String)>,
) -> Result<Vec<Introduction>, Failure> {
    let key = scenarios.first().ok_or("no scenario is left to run")?.key;
    let issued = arena.certificates.get(key.word()).ok_or("no certificate of that kind")?;
    let (backend, workers) = (arena.backend, arena.workers);
    let site = Site { issued, backend, workers, processors: &arena.server_processors };
    let (mut introduced, mut fit) = (Vec::new(), Vec::new());
    for contender in contenders.drain(..) {
        if !scenarios.iter().any(|scenario| contender.takes_part(scenario)) {
            continue;
        }
        match (introduce(&contender, &site), &contender) {
            (Ok(introduction), _) => {
                introduced.push(introduction);
                fit.push(contender);
            }
            (Err(reason), Contender::Theirs { definition, .. }) => {
                let reason = rounds::told(&reason.to_string());
                tell_left_out(definition, &reason);
                missing.push((definition.clone(), reason));
            }
            (Err(reason), Contender::Ours { .. }) => return Err(reason),
        }
    }
    *contenders = fit;
    Ok(introduced)
}

fn introduce(contender: &Contender, site: &Site<'_>) -> Result<Introduction, Failure> {
    let name = contender.name().to_owned();
    match contender {
        Contender::Ours { way, program } => {
            let setting = contender::setting(*way, site);
            let mut version = server::answer(Command::new(program).arg("--version"))?;
            version.push(way.description().to_owned());
            Ok(Introduction {
                name,
                version,
                libraries: vec!["aws-lc-rs, rustls (linked in)".to_owned()],
                workers: site.workers.to_string(),
                files: vec![("adjunct.toml".to_owned(), setting.configuration(site.backend))],
            })
        }
        Contender::Theirs { definition, program } => {
            let server = server::Peer::start(definition, program, site)?;
            let workers = if definition.workers {
                site.workers.to_string()
            } else {
                "no such setting".to_owned()
            };
            Ok(Introduction {
                name,
                version: server::version(definition, program)?,
                libraries: server.libraries()?,
                workers,
                files: server.files(),
            })
        }
    }
}

fn plans(scenarios: &[Scenario], contenders: &[Contender], options: &Options) -> Vec<Plan> {
    let plan = |scenario: &Scenario, contender: &Contender| Plan {
        id: rounds::cell(scenario, contender),
        title: contender.name().to_owned(),
        group: scenario.id.to_owned(),
        settings: [
            ("server", contender.name().to_owned()),
            ("scenario", scenario.id.to_owned()),
            ("key", scenario.key.word().to_owned()),
            ("workers", options.workers.to_string()),
        ]
        .map(|(name, text)| (name.to_owned(), text))
        .into(),
    };
    let of = |scenario| {
        let taking_part = contenders.iter().filter(move |c| c.takes_part(scenario));
        taking_part.map(move |contender| plan(scenario, contender))
    };
    scenarios.iter().flat_map(of).collect()
}

fn title(options: &Options, contenders: &[Contender]) -> String {
    let theirs = contenders.iter().filter(|c| matches!(c, Contender::Theirs { .. }));
    let names: Vec<&str> = theirs.map(Contender::name).collect();
    let workers = if options.workers == 1 { "one worker" } else { "two workers" };
    match names.as_slice() {
        [] => format!("Adjunct by itself, {workers}"),
        names => format!("Adjunct beside {}, {workers}", names.join(", ")),
    }
}

/// What to type to have it again; a file of a peer by its name alone.
fn commands(options: &Options) -> Vec<String> {
    let mut again = "./target/release/adjunct-bench peers".to_owned();
    if options.quick {
        again.push_str(" --quick");
    }
    if options.workers != 1 {
        again.push_str(" --workers 2");
    }
    if !options.only.is_empty() {
        again.push_str(&format!(" --only {}", options.only.join(",")));
    }
    if !options.scenario.is_empty() {
        let ids: Vec<&str> = options.scenario.iter().map(|scenario| scenario.id).collect();
        again.push_str(&format!(" --scenario {}", ids.join(",")));
    }
    if let Some(rounds) = options.rounds {
        again.push_str(&format!(" --rounds {rounds}"));
    }
    for path in &options.peer {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        again.push_str(&format!(" --peer {name}"));
    }
    vec![
        "cargo build --release -p adjunct".to_owned(),
        "cargo build --release -p adjunct-bench --bin adjunct-bench".to_owned(),
        again,
    ]
}

#[allow(clippy::print_stdout, reason = "the command line prints")]
fn list(
    present: &[(Definition, PathBuf)],
    missing: &[(Definition, String)],
) -> Result<(), Failure> {
    let mut table = Table::new("Servers", &["name", "what there is"]);
    table.row([ADJUNCT.to_owned(), "ourselves".to_owned()]);
    for (peer, program) in present {
        let version = server::version(peer, program)?;
        table.row([peer.name.clone(), version.first().cloned().unwrap_or_default()]);
    }
    for (peer, reason) in missing {
        table.row([peer.name.clone(), reason.clone()]);
    }
    println!("{table}");
    let mut table = Table::new("Scenarios", &["id", "what is done"]);
    for scenario in scenario::ALL {
        table.row([scenario.id.to_owned(), scenario.title.to_owned()]);
    }
    println!("{table}");
    Ok(())
}

#[allow(clippy::print_stdout, reason = "the command line prints")]
fn print_summary(scenarios: &[Scenario], contenders: &[Contender], summary: &Summary) {
    for scenario in scenarios {
        let header = ["server", scenario.figure, "least", "most", "adjunct / this"];
        let mut table = Table::new(scenario.title, &header);
        for contender in contenders.iter().filter(|contender| contender.takes_part(scenario)) {
            let Some(cell) = summary.cell(&rounds::cell(scenario, contender)) else { continue };
            let name = contender.name().to_owned();
            let Some(figure) = cell.value(scenario.figure) else {
                let reason = cell.failed.first().cloned().unwrap_or_default();
                table.row([name, "failed".to_owned(), reason, String::new(), String::new()]);
                continue;
            };
            let number = |value: f64| format!("{value:.1}");
            let ratio = cell.median(rounds::RATIO).map(|ratio| format!("{ratio:.3}"));
            table.row([
                name,
                number(figure.median),
                number(figure.min),
                number(figure.max),
                ratio.unwrap_or_default(),
            ]);
        }
        println!("{table}");
    }
}

#[allow(clippy::print_stderr, reason = "the command line prints")]
fn progress(text: &str) {
    eprintln!("{text}");
}

/// A server in a process group of its own does not get the Ctrl-C of the terminal: it is ended
/// before this process is.
fn end_servers_on_signals() -> Result<(), Failure> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            group::end_all();
            // As if it had not been caught: by the signal.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Arguments;

    fn options(line: &str) -> Options {
        let words = ["adjunct-bench", "peers"].into_iter().chain(line.split_whitespace());
        match Arguments::try_parse_from(words).unwrap().command {
            crate::cli::Command::Peers(options) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_short_form_has_fewer_scenarios_and_names_have_precedence() {
        assert_eq!(scenarios(&options("")).len(), scenario::ALL.len());
        assert!(scenarios(&options("--quick")).len() < scenario::ALL.len());
        let named = scenarios(&options("--quick --scenario idle,bulk-up"));
        assert_eq!(named.iter().map(|s| s.id).collect::<Vec<_>>(), ["bulk-up", "idle"]);
    }

    #[test]
    fn a_server_that_does_not_exist_is_told_with_those_that_do() {
        let fault = peers(&options("--only pound")).unwrap_err().to_string();
        assert!(fault.contains("adjunct, haproxy, nginx, hitch, stunnel"), "{fault}");
        let (present, missing) = peers(&options("--only adjunct")).unwrap();
        assert!(present.is_empty() && missing.is_empty());
    }

    #[test]
    fn the_command_of_a_report_is_the_one_that_was_typed() {
        let line = "--quick --workers 2 --only nginx --scenario storm --rounds 7 \
                    --peer some/where/mine.toml";
        let again = commands(&options(line)).pop().unwrap();
        let end = "peers --quick --workers 2 --only nginx --scenario storm --rounds 7 \
                   --peer mine.toml";
        assert!(again.ends_with(end), "{again}");
    }

    #[test]
    fn rounds_are_those_asked_for_and_nothing_else_changes() {
        assert_eq!(effort(&options("")), Effort::FULL);
        assert_eq!(effort(&options("--quick")), Effort::QUICK);
        assert_eq!(effort(&options("--rounds 15")), Effort { rounds: 15, ..Effort::FULL });
        for wrong in ["0", "101", "many"] {
            let words = ["adjunct-bench", "peers", "--rounds", wrong];
            assert!(Arguments::try_parse_from(words).is_err(), "{wrong}");
        }
    }

    #[test]
    fn two_workers_have_a_report_of_their_own() {
        assert_eq!(slug(&options("")), "peers");
        assert_eq!(slug(&options("--workers 2")), "peers-2w");
        assert_eq!(slug(&options("--quick --workers 2")), "peers-2w-quick");
    }

    #[test]
    fn a_cell_is_planned_for_all_who_take_part() {
        let program = PathBuf::from("adjunct");
        let ours = Way::ALL.map(|way| Contender::Ours { way, program: program.clone() });
        let plans = plans(&scenario::ALL, &ours, &options(""));
        let ids: Vec<&str> = plans.iter().map(|plan| plan.id.as_str()).collect();
        assert!(ids.contains(&"full13-p256.adjunct-cards"));
        assert!(!ids.contains(&"full13-rsa2048.adjunct-cards"));
        assert!(ids.contains(&"full13-rsa4096.adjunct-inline"));
        assert!(ids.contains(&"idle.adjunct") && !ids.contains(&"idle.adjunct-inline"));
    }
}
