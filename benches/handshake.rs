//! What does the server's half of a key agreement cost, by group.
#![allow(clippy::unwrap_used, reason = "a benchmark with a broken precondition stops")]

use std::hint::black_box;

use cpacf::agreement::{Ephemeral, Group, respond};
use criterion::{Criterion, criterion_group, criterion_main};

fn agreement(c: &mut Criterion) {
    let mut group = c.benchmark_group("respond");
    for name in [
        Group::X25519MlKem768,
        Group::P256MlKem768,
        Group::X25519,
        Group::P256,
        Group::P384,
        Group::P521,
    ] {
        let client = Ephemeral::generate(name).unwrap();
        group.bench_function(format!("{name:?}"), |b| {
            b.iter(|| respond(name, black_box(client.public())).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, agreement);
criterion_main!(benches);
