//! What a signature costs by way of a simulated card.
//!
//! * `raw`: the signature alone, by the same library, in the caller's thread;
//! * `round trip`: one request at a time, the wake-ups of the card's thread and of the caller
//!   included, the filling of batches not;
//! * `bookkeeping`: what the host spends on one request besides: choosing a queue, message, NQAP,
//!   judging the reply. The card is busy meanwhile, so that nobody has to be woken; ECDSA, which
//!   is not verified, so that nothing but bookkeeping is timed.
#![allow(clippy::unwrap_used, reason = "a benchmark with a broken precondition stops")]

use std::time::{Duration, Instant};

use cex::{Cex, Config, Digest, Hash, Key, Port, Scheme, SignRequest};
use criterion::{Criterion, criterion_group, criterion_main};
use engine::pad;
use rcgen::{KeyPair, RsaKeySize, SigningKey};
use zeroize::Zeroizing;

const MESSAGE: &[u8] = b"a transcript";

/// Slots of a queue: as many requests are under way before the first has to wait in a lane.
const DEPTH: u64 = 8;

fn request(key: &Key, scheme: Scheme) -> SignRequest {
    let algorithm = cpacf::digest::Algorithm::Sha256;
    let digest = cpacf::digest::digest(algorithm, MESSAGE).unwrap();
    let block = scheme.is_rsa().then(|| {
        let mut block = vec![0; 256];
        pad::pss(algorithm, digest.as_ref(), 2048, &mut block).unwrap();
        block
    });
    let digest = Digest::new(digest.as_ref()).unwrap();
    SignRequest { block, ..SignRequest::new(key, scheme, digest) }
}

fn round_trip(c: &mut Criterion) {
    let cex = Cex::start(&Config::default()).unwrap();
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let ec = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut group = c.benchmark_group("queue");
    for (name, pair, scheme) in [
        ("RSA-2048", rsa, Scheme::RsaPss(Hash::Sha256)),
        ("ECDSA P-256", ec, Scheme::Ecdsa(Hash::Sha256)),
    ] {
        group.bench_function(format!("{name} raw"), |b| b.iter(|| pair.sign(MESSAGE).unwrap()));
        let key = cex.load_key(Zeroizing::new(pair.serialize_der())).unwrap();
        let request = request(&key, scheme);
        group.bench_function(format!("{name} round trip"), |b| {
            b.iter(|| cex.sign_blocking(request.clone()).result.unwrap());
        });
        if scheme.is_rsa() {
            continue;
        }
        let port = cex.port(|| {});
        group.bench_function("bookkeeping", |b| {
            b.iter_custom(|requests| {
                let rounds = requests.div_ceil(DEPTH - 1);
                let spent: Duration = (0..rounds).map(|_| round(&cex, &port, &request)).sum();
                spent.mul_f64(requests as f64 / (rounds * (DEPTH - 1)) as f64)
            });
        });
    }
    group.finish();
    cex.shutdown();
}

/// Host time of all requests of a full queue but the first, which wakes the card.
fn round(cex: &Cex, port: &Port, request: &SignRequest) -> Duration {
    cex.submit(port, 0, request.clone()).unwrap();
    let requests: Vec<_> = (1..DEPTH).map(|_| request.clone()).collect();
    let begin = Instant::now();
    for (token, request) in (1..).zip(requests) {
        cex.submit(port, token, request).unwrap();
    }
    let submitting = begin.elapsed();
    while cex.snapshot().cards.iter().any(|card| card.pending > 0) {
        std::thread::yield_now();
    }
    // The last reply leaves the queue a moment before it is at the port.
    std::thread::sleep(Duration::from_micros(50));
    let begin = Instant::now();
    let drained = port.drain().filter(|completion| completion.result.is_ok()).count();
    assert_eq!(u64::try_from(drained).unwrap(), DEPTH);
    submitting + begin.elapsed()
}

criterion_group!(benches, round_trip);
criterion_main!(benches);
