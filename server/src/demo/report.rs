//! What was done by which function and card, at what cost.

use std::fmt::Write as _;
use std::time::Duration;

use engine::record::Record;

use crate::cli::tables;
use crate::daemon::Daemon;
use crate::observe::log::Records;
use crate::snapshot::Source as _;

pub(super) fn summary(daemon: &Daemon, records: &Records) -> String {
    let status = daemon.status();
    let used: Vec<_> = status.functions().into_iter().filter(|f| f.calls > 0).collect();
    let mut out = String::from("\nWork of cpacf (self-tests at start included)\n\n");
    out.push_str(&tables::functions(&used));
    out.push_str("\nWork of the cards (simulated: threads of this host)\n\n");
    out.push_str(&tables::cards(&status.cards(), false));
    out.push_str(
        "\nCost of one handshake, mean CPU time: of this host, and of the simulated card\n\n",
    );
    let _ = writeln!(out, "{:<8} {:>6} {:>12} {:>12}", "KIND", "COUNT", "HOST us", "CARD us");
    let _ = writeln!(out, "{}", "-".repeat(41));
    for (kind, resumed) in [("full", false), ("resumed", true)] {
        let seen = records.seen();
        let of_kind: Vec<&Record> =
            seen.iter().filter(|r| r.version.is_some() && r.resumed == resumed).collect();
        let host = mean(of_kind.iter().filter_map(|r| r.handshake_cpu));
        let card =
            mean(of_kind.iter().filter_map(|r| r.key_operation.as_ref()).map(|k| k.card_cpu));
        let _ = writeln!(out, "{kind:<8} {:>6} {host:>12} {card:>12}", of_kind.len());
    }
    out
}

/// Mean in microseconds.
fn mean(times: impl Iterator<Item = Duration>) -> u128 {
    let times: Vec<Duration> = times.collect();
    let count = u32::try_from(times.len()).unwrap_or(u32::MAX).max(1);
    (times.iter().sum::<Duration>() / count).as_micros()
}
