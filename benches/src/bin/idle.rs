//! What established connections cost while nobody says anything: memory each, CPU in all.
//!
//! `idle [--daemon=PATH] [--connections=N] [--seconds=N]`
#![allow(clippy::print_stdout, reason = "a benchmark talks to a person")]

use std::time::{Duration, Instant};

use adjunct_bench::daemon::{self, Daemon, Setting};
use adjunct_bench::load::{Pings, echo, raise_file_limit};
use adjunct_bench::pki::{Issued, Kind};
use adjunct_bench::table::Table;
use adjunct_bench::{Failure, clock};

fn main() -> Result<(), Failure> {
    let (mut path, mut connections, mut seconds) = (None, 5000, 10);
    for argument in std::env::args().skip(1) {
        match argument.split_once('=') {
            Some(("--daemon", told)) => path = Some(told.to_owned()),
            Some(("--connections", count)) => connections = count.parse()?,
            Some(("--seconds", count)) => seconds = count.parse()?,
            _ => return Err(format!("`{argument}` is not known").into()),
        }
    }
    let files = raise_file_limit()?;
    if files < 2 * u64::try_from(connections)? + 100 {
        println!("{files} open files are allowed: the daemon needs two for each connection");
    }
    let processors = clock::processors()?;
    let backend = echo(&processors)?;
    // The cheaper key: the handshakes are not what is measured.
    let issued = Issued::new(Kind::P256)?;
    let setting = Setting::new(backend, &issued, &processors);
    let daemon = Daemon::start(&daemon::find(path.as_deref())?, &setting)?;
    // What the first connections bring with them (pools, buffers) is no cost of each.
    let mut warm = Pings::connect(daemon.address, 64)?;
    warm.run(Duration::from_millis(1), Duration::from_millis(500))?;
    drop(warm);
    std::thread::sleep(Duration::from_secs(1));
    let empty = idle(&daemon, seconds)?;
    let base = daemon.resident_bytes()?;
    let mut pings = Pings::connect(daemon.address, connections)?;
    // Each has carried data both ways before it falls silent.
    let interval = Duration::from_micros(200);
    pings.run(interval, interval * u32::try_from(connections)?)?;
    std::thread::sleep(Duration::from_secs(1));
    let used = daemon.resident_bytes()?;
    let full = idle(&daemon, seconds)?;
    let each = used.saturating_sub(base) as f64 / connections as f64;
    let title = format!("Idle, {connections} connections, one worker");
    let mut table = Table::new(&title, &["", "measured", "target"]);
    table.row(["RSS per connection, KiB".into(), format!("{:.1}", each / 1024.0), "12".into()]);
    table.row(["RSS before, MiB".into(), mebibytes(base), String::new()]);
    table.row(["RSS with them, MiB".into(), mebibytes(used), String::new()]);
    table.row(["CPU without them, %".into(), format!("{empty:.3}"), "0.1".into()]);
    table.row(["CPU with them, %".into(), format!("{full:.3}"), "0.1".into()]);
    println!("{table}");
    println!("CPU: all threads of the daemon over {seconds} s, as the scheduler counts it");
    Ok(())
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1024.0 / 1024.0)
}

/// Percent of one processor that the daemon uses while nothing happens.
fn idle(daemon: &Daemon, seconds: u64) -> Result<f64, Failure> {
    let (before, begin) = (daemon.cpu()?, Instant::now());
    std::thread::sleep(Duration::from_secs(seconds));
    let spent = daemon.cpu()?.since(before).all;
    Ok(spent.as_secs_f64() / begin.elapsed().as_secs_f64() * 100.0)
}
