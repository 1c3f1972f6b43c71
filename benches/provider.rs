//! Our provider against the stock aws-lc-rs provider of rustls: records and full handshakes.
//!
//! Same rustls, same unbuffered interface, same suite and group, no tickets; both sides in turn in
//! one thread, CPU time of the server alone. `--quick` makes fewer rounds, `--handshakes` leaves
//! the records out, `--only=ours|stock|engine` repeats handshakes of one side for a profiler.
#![allow(clippy::print_stdout, reason = "a benchmark talks to a person")]

use std::sync::Arc;

use adjunct_bench::memory::{self, Engine};
use adjunct_bench::pki::{Issued, Kind};
use adjunct_bench::provider::{client, our_server, stock, stock_server};
use adjunct_bench::spread::{Comparison, compare};
use adjunct_bench::table::Table;
use adjunct_bench::{Failure, clock};
use rustls::CipherSuite;

const SUITES: [(CipherSuite, &str, &str); 2] = [
    (CipherSuite::TLS13_AES_128_GCM_SHA256, "AES-128-GCM", "TLS_AES_128_GCM_SHA256"),
    (CipherSuite::TLS13_AES_256_GCM_SHA384, "AES-256-GCM", "TLS_AES_256_GCM_SHA384"),
];

/// Record size and records of a batch: about a megabyte, so that a reading of the clock is nothing.
const BATCHES: [(usize, usize); 2] = [(16 * 1024, 64), (1024, 512)];

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    if let Some(side) = arguments.iter().find_map(|a| a.strip_prefix("--only=")) {
        return only(side);
    }
    // One processor for all of it: a migration in the middle of a round would fall on one side.
    clock::pin(&clock::processors()?[..1])?;
    println!("CPU time of the server's thread; rounds in turn; median [quartiles].");
    println!("Ratios are ours to stock: throughput above 1 is faster, CPU below 1 is cheaper.\n");
    if !arguments.iter().any(|argument| argument == "--handshakes") {
        records(if quick { 100 } else { 600 })?;
    }
    handshakes(if quick { 100 } else { 1000 })
}

/// Handshakes of one side and nothing else, for a profiler.
fn only(side: &str) -> Result<(), Failure> {
    let (suite, _, iana) = SUITES[0];
    let issued = Issued::new(Kind::P256)?;
    let config = Arc::new(client(&issued, stock(suite))?);
    let server = match side {
        "ours" => our_server(&issued, suite)?,
        _ => stock_server(&issued, suite)?,
    };
    // An instruction counter is fifty times slower and needs no repetition.
    let count = if std::env::var_os("VALGRIND").is_some() { 50 } else { 20_000 };
    let engine = if side == "engine" { Some(Engine::new(&issued, iana)?) } else { None };
    for _ in 0..count {
        match &engine {
            Some(engine) => drop(engine.handshake(&config)?),
            None => drop(memory::handshake(&config, &server)?),
        }
    }
    Ok(())
}

fn records(rounds: usize) -> Result<(), Failure> {
    let title = "Records, TLS 1.3 (targets: 16 KiB 0.97, 1 KiB 0.93)";
    let header = ["", "bytes", "ours GB/s", "stock GB/s", "throughput ratio"];
    let mut table = Table::new(title, &header);
    let issued = Issued::new(Kind::P256)?;
    for (suite, name, _) in SUITES {
        let config = Arc::new(client(&issued, stock(suite))?);
        let our_config = our_server(&issued, suite)?;
        let stock_config = stock_server(&issued, suite)?;
        for (size, count) in BATCHES {
            let plaintext = vec![0x5a; size];
            let (mut our_client, mut ours, _) = memory::handshake(&config, &our_config)?;
            let (mut stock_client, mut theirs, _) = memory::handshake(&config, &stock_config)?;
            let sealed = compare(
                rounds,
                || must(ours.seal(&plaintext, count)),
                || must(theirs.seal(&plaintext, count)),
            );
            row(&mut table, &format!("seal {name}"), size, count, &sealed);
            let opened = compare(
                rounds,
                || {
                    let sealed = memory::sealed_by_client(&mut our_client, &plaintext, count);
                    must(ours.open(&mut must(sealed), size * count))
                },
                || {
                    let sealed = memory::sealed_by_client(&mut stock_client, &plaintext, count);
                    must(theirs.open(&mut must(sealed), size * count))
                },
            );
            row(&mut table, &format!("open {name}"), size, count, &opened);
        }
    }
    println!("{table}");
    Ok(())
}

fn row(table: &mut Table, name: &str, size: usize, count: usize, comparison: &Comparison) {
    let bytes = (size * count) as f64;
    let rate = |seconds: f64| format!("{:.2}", bytes / seconds / 1e9);
    // Throughput is the inverse of time.
    let ratio = comparison.ratio;
    let (low, high) = (1.0 / ratio.high, 1.0 / ratio.low);
    table.row([
        name.to_owned(),
        size.to_string(),
        rate(comparison.ours.median),
        rate(comparison.theirs.median),
        format!("{:.3} [{low:.3} {high:.3}]", 1.0 / ratio.median),
    ]);
}

fn handshakes(rounds: usize) -> Result<(), Failure> {
    let title = "Full handshakes, TLS 1.3, X25519, CPU of the server \
                 (targets: ECDSA 1.02, RSA with its check 1.07)";
    let mut table = Table::new(title, &["", "ours us", "stock us", "CPU ratio"]);
    for kind in [Kind::P256, Kind::Rsa2048] {
        let issued = Issued::new(kind)?;
        for (suite, name, iana) in SUITES {
            let config = Arc::new(client(&issued, stock(suite))?);
            let our_config = our_server(&issued, suite)?;
            let stock_config = stock_server(&issued, suite)?;
            let one = |server| memory::handshake(&config, server).map(|(_, _, spent)| spent);
            let provider = compare(rounds, || must(one(&our_config)), || must(one(&stock_config)));
            let engine = Engine::new(&issued, iana)?;
            let whole =
                compare(rounds, || must(engine.handshake(&config)), || must(one(&stock_config)));
            for (what, comparison) in [("provider", provider), ("engine", whole)] {
                table.row([
                    format!("{what}, {}, {name}", kind.name()),
                    comparison.ours.times(1e6).text(1),
                    comparison.theirs.times(1e6).text(1),
                    comparison.ratio.text(3),
                ]);
            }
        }
    }
    println!("{table}");
    println!("provider: rustls alone with our provider and a signer that works in place");
    println!("engine:   the same behind our hello reader, on a fiber, through the AP queues' host");
    println!("          side with all cards offline; compared with bare rustls, stock");
    Ok(())
}

/// A comparison with a broken precondition stops.
#[allow(clippy::panic, reason = "a figure of a broken run would be worse than none")]
fn must<T>(result: Result<T, Failure>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}
