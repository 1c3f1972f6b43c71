//! What X25519 costs when several handshakes have it done together: a server's key pair and its
//! agreement, in batches of 1 to 8 against the library, in turn.
//!
//! Key pairs are made eight at a time whatever the fill is; their share is in the figures.
#![allow(clippy::unwrap_used, reason = "a benchmark with a broken precondition stops")]
#![allow(clippy::print_stdout, reason = "a benchmark talks to whoever started it")]

use std::hint::black_box;
use std::time::Duration;

use adjunct_bench::clock::thread_cpu;
use adjunct_bench::spread::{Spread, compare};
use adjunct_bench::table::Table;
use cpacf::agreement::{Ephemeral, Group, PeerPoint, Response, Together};
use cpacf::x25519::{LANES, standing};

/// Batches between two readings of the clock: as many as make eight key pairs of each fill come
/// out even.
const BATCHES: usize = LANES;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let rounds = if quick { 30 } else { 300 };
    println!("{:?}", standing());
    let Some(mut together) = Together::new() else {
        println!("X25519 is not done in lanes here: there is nothing to measure");
        return;
    };
    let points: Vec<PeerPoint> = (0..LANES)
        .map(|_| {
            let client = Ephemeral::generate(Group::X25519).unwrap();
            Response::begin(Group::X25519, client.public()).unwrap().point().clone()
        })
        .collect();
    let title = "X25519 key pair and agreement, CPU us each";
    let mut table = Table::new(title, &["fill", "together", "library", "gain"]);
    for fill in 1..=LANES {
        let points = &points[..fill];
        let comparison = compare(
            rounds,
            || time(|| together.multiply(points).into_iter().all(|result| result.is_ok())),
            || time(|| points.iter().all(|point| point.multiply().is_ok())),
        );
        let each = 1e6 / (fill * BATCHES) as f64;
        let Spread { low, median, high } = comparison.ratio;
        let gain = Spread { low: 1.0 / high, median: 1.0 / median, high: 1.0 / low };
        table.row([
            fill.to_string(),
            comparison.ours.times(each).text(1),
            comparison.theirs.times(each).text(1),
            gain.text(2),
        ]);
    }
    println!("{table}");
}

fn time(mut batch: impl FnMut() -> bool) -> Duration {
    let begin = thread_cpu();
    for _ in 0..BATCHES {
        assert!(black_box(batch()));
    }
    thread_cpu() - begin
}
