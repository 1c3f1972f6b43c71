//! What does it cost to find out what a client wants: reading its hello, choosing the service and
//! the certificate by the name it asks for.
//!
//! A name is looked for among 1, 100 and 10,000; it is the last one, and one that nobody has.
#![allow(clippy::unwrap_used, reason = "a benchmark with a broken precondition stops")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use adjunct_bench::memory;
use adjunct_bench::pki::{Issued, Kind};
use adjunct_bench::provider::{client, stock};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::certs::{self, Certificate, ClientAuth, ClientNeeds, NamePattern, choose};
use engine::crypto::{Crypto, CryptoConfig};
use engine::hello::{ClientHello, HelloReader, Progress};
use engine::service::{Service, ServiceSet, ServiceSpec};
use engine::tickets::TicketRing;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{CipherSuite, NamedGroup};

const COUNTS: [usize; 3] = [1, 100, 10_000];
const ABSENT: &str = "nobody.test";

/// A hello with one key share of 32 bytes, and one with a hybrid share of 1,216 bytes.
fn hellos(issued: &Issued) -> [(&'static str, Vec<u8>); 2] {
    let short = client(issued, stock(CipherSuite::TLS13_AES_128_GCM_SHA256)).unwrap();
    let mut hybrid = default_provider();
    hybrid.kx_groups.retain(|group| group.name() == NamedGroup::X25519MLKEM768);
    let long = client(issued, Arc::new(hybrid)).unwrap();
    [("X25519", short), ("X25519MLKEM768", long)]
        .map(|(name, config)| (name, memory::hello(&Arc::new(config)).unwrap()))
}

fn read(bytes: &[u8]) -> Box<ClientHello> {
    match HelloReader::default().read(bytes) {
        Progress::Hello(hello) => hello,
        other => unreachable!("a client's hello is a hello, not {other:?}"),
    }
}

fn parse(c: &mut Criterion) {
    let issued = Issued::new(Kind::P256).unwrap();
    let mut group = c.benchmark_group("hello");
    for (name, bytes) in hellos(&issued) {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::new("whole", name), |b| {
            b.iter(|| read(black_box(&bytes)));
        });
        // As some clients and all tests of patience do.
        group.bench_function(BenchmarkId::new("byte by byte", name), |b| {
            b.iter(|| {
                let mut reader = HelloReader::default();
                (1..=bytes.len()).map(|end| reader.read(black_box(&bytes[..end]))).last()
            });
        });
    }
    group.finish();
}

fn name(number: usize) -> String {
    format!("host-{number:05}.bench.test")
}

fn set(crypto: &Arc<Crypto>, issued: &Issued, count: usize) -> Arc<ServiceSet> {
    let hour = Duration::from_secs(3600);
    let ring = TicketRing::new(hour, hour, Instant::now()).unwrap();
    let certificate = load(crypto, issued);
    let service = |number| {
        let spec = ServiceSpec {
            name: name(number),
            sni: vec![NamePattern::parse(&name(number)).unwrap()],
            sni_required: false,
            certificates: vec![certificate.clone()],
            alpn: Vec::new(),
            tls12: true,
            tls13: true,
            suites: Vec::new(),
            groups: Vec::new(),
            tickets: 0,
            session_cache: 0,
            client_auth: ClientAuth::default(),
            session_lifetime: hour,
            modes: engine::compliance::ModeSet::default(),
            audit: engine::compliance::ModeSet::default(),
        };
        Service::new(spec, &ring).unwrap()
    };
    ServiceSet::new((0..count).map(service).collect())
}

fn load(crypto: &Crypto, issued: &Issued) -> Certificate {
    let (pem, key) = (issued.pem.as_bytes(), issued.key_pem.as_bytes());
    certs::load(crypto, "bench", pem, key, SystemTime::now()).unwrap()
}

fn by_name(c: &mut Criterion) {
    let crypto = Crypto::start(&CryptoConfig::default()).unwrap();
    let issued = Issued::new(Kind::P256).unwrap();
    let mut group = c.benchmark_group("service");
    for count in COUNTS {
        let set = set(&crypto, &issued, count);
        let last = name(count - 1);
        assert_eq!(set.choose(Some(&last)).unwrap().name, last);
        for (what, wanted) in [("last", last.as_str()), ("absent", ABSENT)] {
            group.bench_function(BenchmarkId::new(what, count), |b| {
                b.iter(|| set.choose(black_box(Some(wanted))).map(Arc::as_ptr).is_ok());
            });
        }
    }
    group.finish();
    let mut group = c.benchmark_group("certificate");
    let template = load(&crypto, &issued);
    let [(_, hello), _] = hellos(&issued);
    let hello = read(&hello);
    for count in COUNTS {
        let named = |number| {
            let mut certificate = template.clone();
            certificate.names = vec![NamePattern::parse(&name(number)).unwrap()];
            certificate
        };
        let certificates: Vec<_> = (0..count).map(named).collect();
        let last = name(count - 1);
        for (what, wanted) in [("last", last.as_str()), ("absent", ABSENT)] {
            let needs = ClientNeeds {
                server_name: Some(wanted),
                signature_schemes: hello.signature_algorithms.as_deref().unwrap(),
                certificate_schemes: hello.signature_algorithms.as_deref().unwrap(),
                tls13: true,
                cipher_suites: &hello.suites,
                served_suites: &[],
                groups: &hello.groups,
            };
            group.bench_function(BenchmarkId::new(what, count), |b| {
                b.iter(|| choose(black_box(&certificates), &needs).is_some());
            });
        }
    }
    group.finish();
    crypto.shutdown();
}

criterion_group!(benches, parse, by_name);
criterion_main!(benches);
