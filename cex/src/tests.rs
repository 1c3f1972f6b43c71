//! The whole way: load, submit, drain, shut down; and that others agree with our signatures.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;
use crate::fault::{Fault, Target};
use crate::tests_support::rsa_request;
use crate::tests_support::{
    Load, digest_of, ec_pkcs8, load, p256_pkcs8, padded, rsa_2048, rsa_3072, rsa_4096,
};
use aws_lc_rs::signature;

fn ec_keys(cex: &Arc<Cex>) -> [Key; 3] {
    [
        &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
    ]
    .map(|algorithm| load(cex, &ec_pkcs8(algorithm)))
}

/// Every scheme with every key, and the card type that has to do it.
fn requests(cex: &Arc<Cex>) -> Vec<(SignRequest, u8)> {
    let mut all = Vec::new();
    for hash in Hash::ALL {
        let digest = digest_of(hash);
        for rsa in [rsa_2048(), rsa_3072(), rsa_4096()] {
            let key = load(cex, rsa.pkcs8());
            for scheme in [Scheme::RsaPkcs1(hash), Scheme::RsaPss(hash)] {
                all.push((padded(&key, scheme, digest), 0));
                all.push((SignRequest::new(&key, scheme, digest), 1));
            }
        }
        for key in ec_keys(cex) {
            all.push((padded(&key, Scheme::Ecdsa(hash), digest), 1));
        }
    }
    all
}

#[test]
fn every_scheme_is_signed_by_the_card_that_can() {
    let cex = Cex::start(&Config::default()).unwrap();
    for (request, card) in requests(&cex) {
        let completion = cex.sign_blocking(request.clone());
        let signature = completion.result.unwrap();
        assert!(request.key.verifies(request.scheme, &request.digest, &signature), "{request:?}");
        assert_eq!(completion.trace.apqn, Some(Apqn { card, domain: 6 }), "{request:?}");
        assert_eq!((completion.trace.tries, completion.trace.path), (1, Path::Card));
    }
}

#[test]
fn many_requests_are_spread_over_the_domains_and_all_counted() {
    let mut config = Config::default();
    config.cards[0].domains = vec![6, 7, 8];
    config.verify = Verify::All;
    let cex = Cex::start(&config).unwrap();
    let (rsa, ec) = (load(&cex, rsa_2048().pkcs8()), load(&cex, &p256_pkcs8()));
    let digest = digest_of(Hash::Sha256);
    let mut load = Load::new(&cex);
    for _ in 0..60 {
        load.submit(&rsa_request(&rsa)).unwrap();
        load.submit(&SignRequest::new(&ec, Scheme::Ecdsa(Hash::Sha256), digest)).unwrap();
    }
    assert!(load.finish().iter().all(|c| c.result.is_ok()));
    let snapshot = cex.snapshot();
    assert_eq!(snapshot.cards.iter().map(|card| card.requests).sum::<u64>(), 120);
    for card in &snapshot.cards {
        assert_eq!(card.requests, card.queues.iter().map(|queue| queue.requests).sum::<u64>());
        for queue in &card.queues {
            assert!(queue.requests > 0, "{queue:?}");
            assert_eq!(queue.service.count, queue.requests);
            let executed = queue.batches as f64 * queue.batch_fill;
            assert!((executed - queue.requests as f64).abs() < 0.1, "{queue:?}");
            assert!(queue.service.max >= queue.service.mean && !queue.busy.is_zero());
        }
        assert!(!card.cpu.is_zero());
    }
}

#[test]
fn a_request_that_does_not_fit_together_is_refused_at_once() {
    let cex = Cex::start(&Config::default()).unwrap();
    let (rsa, ec) = (load(&cex, rsa_2048().pkcs8()), load(&cex, &p256_pkcs8()));
    let digest = digest_of(Hash::Sha256);
    let port = cex.port(|| {});
    let rsa_scheme = Scheme::RsaPss(Hash::Sha256);
    for request in [
        SignRequest::new(&rsa, Scheme::Ecdsa(Hash::Sha256), digest),
        SignRequest::new(&ec, rsa_scheme, digest),
        SignRequest::new(&rsa, Scheme::RsaPss(Hash::Sha384), digest),
        SignRequest { block: Some(vec![0; 255]), ..SignRequest::new(&rsa, rsa_scheme, digest) },
        SignRequest {
            block: Some(vec![0; 256]),
            ..SignRequest::new(&ec, Scheme::Ecdsa(Hash::Sha256), digest)
        },
    ] {
        assert_eq!(cex.submit(&port, 1, request), Err(Failure::BadRequest));
    }
    // As long as the modulus, and not less than it: the card refuses it.
    let block = Some(vec![0xff; 256]);
    let completion =
        cex.sign_blocking(SignRequest { block, ..SignRequest::new(&rsa, rsa_scheme, digest) });
    assert_eq!(completion.result, Err(Failure::Reply(ReplyCode::OPERAND_INVALID)));
}

#[test]
fn wrong_configurations_are_refused_with_the_card() {
    let card =
        |id| CardConfig { id, kind: CardType::Cex8A, domains: vec![6], engine: EngineChoice::Auto };
    let start = |cards| Cex::start(&Config { cards, ..Config::default() }).unwrap_err();
    assert!(matches!(start(vec![]), Error::NoCards));
    assert!(matches!(start(vec![card(3), card(3)]), Error::DuplicateCard { card: 3 }));
    let none = CardConfig { domains: vec![], ..card(4) };
    assert!(matches!(start(vec![none]), Error::Domains { card: 4 }));
    let twice = CardConfig { domains: vec![6, 7, 6], ..card(4) };
    assert!(matches!(start(vec![twice]), Error::Domains { card: 4 }));
    let batch = CardConfig { engine: EngineChoice::Batch, ..card(5) };
    if device::batch::Unit::detect().is_none() {
        let error = start(vec![card(0), batch.clone()]);
        assert!(error.to_string().contains("card 05") && error.to_string().contains("single"));
    }
    let error = device::engine(&batch, None).err().unwrap();
    assert!(matches!(error, Error::NoBatchEngine { card: 5 }));
}

#[test]
fn a_key_that_no_card_can_use_is_refused_when_it_is_loaded() {
    let mut config = Config::default();
    config.cards.truncate(1);
    let der = p256_pkcs8();
    for verify in [Verify::Rsa, Verify::All] {
        let cex = Cex::start(&Config { verify, ..config.clone() }).unwrap();
        let error = cex.load_key(der.clone().into()).unwrap_err();
        assert!(matches!(error, Error::NoCardForKey { kind: KeyKind::Ec(Curve::P256) }));
        assert!(error.to_string().contains("CEX8C") && error.to_string().contains("software"));
        assert_eq!(cex.snapshot().keys, 0);
        assert!(cex.load_key(rsa_2048().pkcs8().to_vec().into()).is_ok());
    }
    // A card that is offline may come back: that is no matter of the configuration.
    let cex = Cex::start(&Config::default()).unwrap();
    cex.set_card_online(1, false).unwrap();
    assert!(cex.load_key(der.clone().into()).is_ok());
    let software = Config { no_card: NoCard::Software, ..config };
    assert!(Cex::start(&software).unwrap().load_key(der.into()).is_ok());
}

#[test]
fn shutdown_ends_every_request_and_every_thread() {
    let cex = Cex::start(&Config { fault_injection: true, ..Config::default() }).unwrap();
    let key = load(&cex, rsa_2048().pkcs8());
    let request = rsa_request(&key);
    for card in [0, 1] {
        cex.inject(Target::Card(card), Fault::Slow(Duration::from_secs(3600))).unwrap();
    }
    let mut load = Load::new(&cex);
    load.submit_many(&request, 30);
    assert_eq!(cex.snapshot().lanes[0].waiting, 30 - 16);
    cex.shutdown();
    assert_eq!(load.submit(&request), Err(Failure::Shutdown));
    assert!(load.finish().iter().all(|c| c.result == Err(Failure::Shutdown)));
    assert_eq!(cex.sign_blocking(request).result, Err(Failure::Shutdown));
    cex.shutdown();
    assert!(cex.threads.lock().unwrap().is_empty());
}

/// How often the threads of this name have run so far; `None` where the system does not tell.
fn runs(name: &str) -> Option<u64> {
    let mut runs = None;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let task = task.ok()?.path();
        let Ok(comm) = std::fs::read_to_string(task.join("comm")) else { continue };
        if comm.trim_end() == name {
            let stat = std::fs::read_to_string(task.join("schedstat")).ok()?;
            runs = Some(runs.unwrap_or(0) + stat.split_whitespace().nth(2)?.parse::<u64>().ok()?);
        }
    }
    runs
}

#[test]
fn an_idle_card_sleeps_through_every_tick() {
    let mut config = Config::default();
    // No other test has a card, and so a thread, of this number.
    config.cards.truncate(1);
    config.cards[0].id = 0xe7;
    config.cards[0].domains = vec![6, 7, 8];
    let cex = Cex::start(&config).unwrap();
    let key = load(&cex, rsa_2048().pkcs8());
    let request = rsa_request(&key);
    for _ in 0..20 {
        assert!(cex.sign_blocking(request.clone()).result.is_ok());
    }
    // Until the thread has gone to sleep behind the last reply.
    let begin = Instant::now();
    let mut before = runs("cex-e7");
    loop {
        thread::sleep(Duration::from_millis(100));
        let now = runs("cex-e7");
        if now == before {
            break;
        }
        before = now;
        assert!(begin.elapsed() < Duration::from_secs(30), "never sleeps");
    }
    for _ in 0..20 {
        cex.tick(Instant::now());
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(runs("cex-e7"), before);
}

#[test]
fn a_panic_of_an_engine_is_a_checkstop() {
    struct Broken;
    impl device::Engine for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }
        fn batch(&self) -> usize {
            1
        }
        fn execute(&mut self, _: &[device::Job], _: &mut device::Results) {
            panic!("on purpose")
        }
    }
    let config = Config { request_timeout: Duration::from_millis(100), ..Config::default() };
    let zcrypt = Arc::new(Zcrypt::new(&config));
    let threads = vec![
        device::worker::start(&zcrypt, 0, Box::new(Broken)).unwrap(),
        device::worker::start(&zcrypt, 1, Box::new(device::single::Single)).unwrap(),
    ];
    let cex = Arc::new(Cex { zcrypt, engines: vec![], threads: threads.into() });
    let key = load(&cex, rsa_2048().pkcs8());
    let mut load = Load::new(&cex);
    load.submit_many(&rsa_request(&key), 20);
    assert!(load.finish().iter().all(|c| c.result.is_ok()));
    // The thread that panicked may still be printing; its end makes the checkstop.
    cex.threads.lock().unwrap().remove(0).join().unwrap();
    assert_eq!(cex.snapshot().cards[0].status, Status::Checkstopped);
}

#[test]
fn a_batching_engine_gets_requests_of_one_size_together() {
    struct Batching(Arc<Mutex<Vec<usize>>>);
    impl device::Engine for Batching {
        fn name(&self) -> &'static str {
            "batching"
        }
        fn batch(&self) -> usize {
            4
        }
        fn execute(&mut self, jobs: &[device::Job], results: &mut device::Results) {
            self.0.lock().unwrap().push(jobs.len());
            thread::sleep(Duration::from_millis(2));
            device::single::Single.execute(jobs, results);
        }
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut config = Config::default();
    config.cards.truncate(1);
    let zcrypt = Arc::new(Zcrypt::new(&config));
    let engine = Batching(Arc::clone(&seen));
    let threads = vec![device::worker::start(&zcrypt, 0, Box::new(engine)).unwrap()];
    let cex = Arc::new(Cex { zcrypt, engines: vec![], threads: threads.into() });
    cex.tick(Instant::now());
    let (two, three) = (load(&cex, rsa_2048().pkcs8()), load(&cex, rsa_3072().pkcs8()));
    let mut load = Load::new(&cex);
    for _ in 0..20 {
        load.submit(&rsa_request(&two)).unwrap();
        load.submit(&rsa_request(&three)).unwrap();
    }
    assert!(load.finish().iter().all(|c| c.result.is_ok()));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.iter().sum::<usize>(), 40);
    assert!(seen.iter().all(|n| (1..=4).contains(n)) && seen.iter().any(|n| *n > 1), "{seen:?}");
    let row = &cex.snapshot().cards[0].queues[0];
    assert_eq!(row.batches, seen.len() as u64);
    assert!(row.batch_fill > 1.0);
}

/// A file that is gone afterwards.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("cex-test-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Whether it succeeded, and its output; `None` without an openssl command.
fn openssl(arguments: &str) -> Option<(bool, Vec<u8>)> {
    let mut command = Command::new("openssl");
    let output = command.args(arguments.split(' ')).stderr(Stdio::null()).output().ok()?;
    Some((output.status.success(), output.stdout))
}

#[test]
fn openssl_accepts_our_signatures() {
    if std::env::temp_dir().to_string_lossy().contains(' ') {
        return;
    }
    let cex = Cex::start(&Config::default()).unwrap();
    for (index, (request, _)) in requests(&cex).into_iter().enumerate() {
        let signature = cex.sign_blocking(request.clone()).result.unwrap();
        let public = TempFile::new(&format!("{index}.pub"), request.key.public_key());
        let sig = TempFile::new(&format!("{index}.sig"), &signature);
        let digest = TempFile::new(&format!("{index}.dgst"), request.digest.as_ref());
        let mut arguments = format!(
            "pkeyutl -verify -pubin -keyform DER \
             -inkey {} -sigfile {} -in {} -pkeyopt digest:sha{}",
            public.0.display(),
            sig.0.display(),
            digest.0.display(),
            request.scheme.hash().len() * 8,
        );
        if matches!(request.scheme, Scheme::RsaPss(_)) {
            arguments += " -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest";
        }
        let Some((accepted, _)) = openssl(&arguments) else { return };
        assert!(accepted, "{request:?}");
    }
}

#[test]
fn a_small_rsa_key_is_refused_with_the_remedy() {
    let cex = Cex::start(&Config::default()).unwrap();
    let make = "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -outform DER";
    let Some((true, der)) = openssl(make) else { return };
    let error = cex.load_key(Zeroizing::new(der)).unwrap_err().to_string();
    assert!(error.contains("2048"), "{error}");
}

#[test]
fn only_coprocessors_sign_and_nothing_is_batched_where_the_module_is_alone() {
    let alone = Config { module_alone: true, ..Config::default() };
    let cex = Cex::start(&alone).unwrap();
    assert!(cex.module_is_alone());
    for (request, _) in requests(&cex) {
        let completion = cex.sign_blocking(request.clone());
        let signature = completion.result.unwrap();
        assert!(request.key.verifies(request.scheme, &request.digest, &signature), "{request:?}");
        assert_eq!(completion.trace.apqn, Some(Apqn { card: 1, domain: 6 }), "{request:?}");
    }
    let cards = cex.snapshot().cards;
    assert!(cards.iter().all(|card| card.engine == "single" && card.batch.is_none()), "{cards:?}");
    cex.shutdown();

    // Accelerators alone are no cards for it, and batches by name are refused.
    let mut accelerator = alone.clone();
    accelerator.cards.truncate(1);
    let cex = Cex::start(&accelerator).unwrap();
    let refused = cex.load_key(rsa_2048().pkcs8().to_vec().into()).unwrap_err();
    assert!(matches!(refused, Error::NoCardForKey { .. }), "{refused}");
    let mut batch = alone;
    batch.cards[0].engine = EngineChoice::Batch;
    let refused = Cex::start(&batch).unwrap_err();
    assert!(matches!(refused, Error::BatchOutsideModule { card: 0 }), "{refused}");
}
