//! `adjunct-bench idle`: what established connections cost while nobody says anything.
//!
//! Without an endpoint it starts our daemon, whose memory and CPU it tells.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line prints")]

use std::time::Duration;

use clap::Args;

use super::common::{self, Asked, Meter, Peer, Server};
use crate::daemon::{self, Daemon, Setting};
use crate::load::{IdleLoad, Kind, Moment, Target, backend, raise_file_limit};
use crate::outcome::Outcome;
use crate::pki::{self, Issued};
use crate::table::Table;
use crate::{Failure, clock};

/// Options of `idle`.
#[derive(Debug, Args)]
pub struct Options {
    /// The endpoint; our own daemon is started when not given
    #[arg(value_name = "HOST:PORT")]
    address: Option<String>,
    #[command(flatten)]
    peer: Peer,
    #[command(flatten)]
    asked: Asked,
    /// Connections that are held
    #[arg(long, default_value_t = 5000)]
    connections: usize,
    /// How long nothing happens, in seconds
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Our daemon; beside this program when not given
    #[arg(long, value_name = "PATH", conflicts_with = "address")]
    daemon: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let files = raise_file_limit()?;
    let Options { address, peer, asked, connections, seconds, daemon } = options;
    if files < 2 * u64::try_from(*connections)? + 100 {
        eprintln!("{files} open files are allowed: a server needs two for each connection");
    }
    let hold = common::seconds("--seconds", *seconds)?;
    if let Some(address) = address {
        let target = peer.target(address, asked.shape(Kind::Full))?;
        let load = IdleLoad { target, connections: *connections, hold, pid: peer.pid };
        return common::tell(peer, *seconds, |on| load.run(on));
    }
    let processors = clock::processors()?;
    // The cheaper key: the handshakes are not what is measured.
    let issued = Issued::new(pki::Kind::P256)?;
    let setting = Setting::new(backend(&processors)?, &issued, &processors);
    let daemon = Daemon::start(&daemon::find(daemon.as_deref())?, &setting)?;
    let (pid, socket) = (Some(daemon.id()), daemon.socket());
    let server = Some(Server { pid: daemon.id(), admin: Some(&socket) });
    // It has been asked for nothing yet.
    let mut before = Meter::new(server, *seconds)?;
    before.take(Moment::Begin);
    std::thread::sleep(hold);
    before.take(Moment::End);
    let mut outcome_before = Outcome::new("idle without connections", "connections");
    outcome_before.elapsed = hold;
    before.note(&mut outcome_before)?;
    let target = Target { deadline: peer.deadline()?, ..Target::new(daemon.address) };
    let mut meter = Meter::new(server, *seconds)?;
    let load = IdleLoad { target, connections: *connections, hold, pid };
    let result = load.run(&mut |moment| meter.take(moment));
    meter.bar.finish_and_clear();
    let mut outcome = result?;
    meter.note(&mut outcome)?;
    if peer.json {
        common::print(true, &outcome_before)?;
        return common::print(true, &outcome);
    }
    println!("{}", table(&outcome_before, &outcome, hold));
    println!("CPU: all threads of the daemon over {seconds} s, as the scheduler counts it");
    Ok(())
}

fn table(before: &Outcome, outcome: &Outcome, hold: Duration) -> Table {
    let note = |of: &Outcome, name: &str| {
        of.notes.get(name).and_then(serde_json::Value::as_f64).unwrap_or_default()
    };
    let percent = |of: &Outcome| note(of, "cpu_total_s") / hold.as_secs_f64().max(1e-9) * 100.0;
    let bytes = |name: &str, unit: f64| format!("{:.1}", note(outcome, name) / unit);
    let title = format!("Idle, {} connections, one worker", outcome.units);
    let mut table = Table::new(&title, &["", "measured", "target"]);
    let mut row = |name: &str, value: String, target: &str| {
        table.row([name.to_owned(), value, target.to_owned()]);
    };
    row("RSS per connection, KiB", bytes("rss_per_connection_bytes", 1024.0), "12");
    row("RSS before, MiB", bytes("rss_before_bytes", 1024.0 * 1024.0), "");
    row("RSS with them, MiB", bytes("rss_with_them_bytes", 1024.0 * 1024.0), "");
    row("CPU without them, %", format!("{:.3}", percent(before)), "0.1");
    row("CPU with them, %", format!("{:.3}", percent(outcome)), "0.1");
    table
}
