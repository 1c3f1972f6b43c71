//! What does it cost to load 10,000 certificates with their keys, as at a start with as many
//! services: reading PEM, loading the key into its backend, checking that they belong together.
//!
//! The certificates are made once, with P-256 keys; the keys go to simulated cards or to cpacf.
#![allow(clippy::unwrap_used, reason = "a benchmark with a broken precondition stops")]

use std::hint::black_box;
use std::time::SystemTime;

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use engine::certs::{self, Certificate};
use engine::crypto::{Crypto, CryptoConfig, EcdsaRoute};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use zeroize::Zeroizing;

const COUNT: usize = 10_000;

struct Pem {
    certificate: String,
    key: Zeroizing<String>,
}

/// Certificates of one CA, each with a key and a name of its own.
fn made(count: usize) -> Vec<Pem> {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::new(ca, KeyPair::generate().unwrap());
    let one = |number| {
        let key = KeyPair::generate().unwrap();
        let name = format!("host-{number:05}.bench.test");
        let leaf = CertificateParams::new(vec![name]).unwrap();
        let certificate = leaf.signed_by(&key, &issuer).unwrap().pem();
        Pem { certificate, key: Zeroizing::new(key.serialize_pem()) }
    };
    (0..count).map(one).collect()
}

fn load(crypto: &Crypto, pems: &[Pem], now: SystemTime) -> Vec<Certificate> {
    let one = |pem: &Pem| {
        let (certificate, key) = (pem.certificate.as_bytes(), pem.key.as_bytes());
        certs::load(crypto, "bench", certificate, key, now).unwrap()
    };
    pems.iter().map(one).collect()
}

fn loading(c: &mut Criterion) {
    let pems = made(COUNT);
    let now = SystemTime::now();
    let mut group = c.benchmark_group("load");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(COUNT as u64));
    for (name, ecdsa) in [("cex", EcdsaRoute::Cex), ("cpacf", EcdsaRoute::Cpacf)] {
        let crypto = Crypto::start(&CryptoConfig { ecdsa, ..CryptoConfig::default() }).unwrap();
        group.bench_function(BenchmarkId::new(name, COUNT), |b| {
            // What was loaded is dropped off the clock.
            b.iter_with_large_drop(|| load(&crypto, black_box(&pems), now));
        });
        crypto.shutdown();
    }
    group.finish();
}

criterion_group!(benches, loading);
criterion_main!(benches);
