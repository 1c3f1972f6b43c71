//! What does a record cost: sealing and opening by suite and size, and hashing.
#![allow(clippy::unwrap_used, reason = "a benchmark with a broken precondition stops")]

use std::hint::black_box;

use adjunct_bench::RECORD_SIZES;
use cpacf::aead::{Algorithm, Opener, Sealer};
use cpacf::digest;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// What TLS 1.3 authenticates beside the content: the record's header.
const HEADER: [u8; 5] = [23, 3, 3, 0x40, 0x11];
const NONCE: [u8; 12] = [7; 12];
const KEY: [u8; 32] = [9; 32];
/// A block, a flight of a handshake, a full record.
const HASH_SIZES: [usize; 3] = [64, 1400, 16_384];
const SUITES: [Algorithm; 3] =
    [Algorithm::Aes128Gcm, Algorithm::Aes256Gcm, Algorithm::ChaCha20Poly1305];

fn seal(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal");
    for algorithm in SUITES {
        let sealer = Sealer::new(algorithm, &KEY[..algorithm.key_len()]).unwrap();
        for size in RECORD_SIZES {
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new(format!("{algorithm:?}"), size), |b| {
                let mut record = vec![0; size];
                b.iter(|| black_box(sealer.seal(&NONCE, &HEADER, black_box(&mut record))));
            });
        }
    }
    group.finish();
}

fn open(c: &mut Criterion) {
    let mut group = c.benchmark_group("open");
    for algorithm in SUITES {
        let sealer = Sealer::new(algorithm, &KEY[..algorithm.key_len()]).unwrap();
        let opener = Opener::new(algorithm, &KEY[..algorithm.key_len()]).unwrap();
        for size in RECORD_SIZES {
            let mut sealed = vec![0; size];
            let tag = sealer.seal(&NONCE, &HEADER, &mut sealed);
            sealed.extend(tag);
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new(format!("{algorithm:?}"), size), |b| {
                b.iter_batched_ref(
                    || sealed.clone(),
                    |record| opener.open(&NONCE, &HEADER, record).unwrap().len(),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

fn hash(c: &mut Criterion) {
    let mut group = c.benchmark_group("hash");
    for algorithm in
        [digest::Algorithm::Sha256, digest::Algorithm::Sha384, digest::Algorithm::Sha512]
    {
        for size in HASH_SIZES {
            let data = vec![0; size];
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new(format!("{algorithm:?}"), size), |b| {
                b.iter(|| digest::digest(algorithm, black_box(&data)).unwrap());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, seal, open, hash);
criterion_main!(benches);
