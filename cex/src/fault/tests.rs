//! Each fault under a small load: with another card everything succeeds, alone it fails with the
//! right words, and after the repair the card works again.

use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::ap::response::ResponseCode as Rc;
use crate::request::{Cause, Completion, Failure, Path};
use crate::tests_support::{Load, digest_of, load, p256_pkcs8, rsa_2048, rsa_request};
use crate::{
    CardConfig, CardType, Config, EngineChoice, Hash, Key, NoCard, ReplyCode, Scheme, SignRequest,
    Status, Verify,
};

fn config(ids: &[u8]) -> Config {
    let card = |&id: &u8| CardConfig {
        id,
        kind: CardType::Cex8A,
        domains: vec![6],
        engine: EngineChoice::Auto,
    };
    Config {
        cards: ids.iter().map(card).collect(),
        request_timeout: Duration::from_millis(50),
        fault_injection: true,
        ..Config::default()
    }
}

const FAULTS: [Fault; 14] = [
    Fault::Deconfigured,
    Fault::Checkstopped,
    Fault::Offline,
    Fault::WrongResult,
    Fault::LostReply,
    Fault::Forgotten,
    Fault::Slow(Duration::from_millis(20)),
    Fault::QueueFull,
    Fault::Reset,
    Fault::Response(Rc::Busy),
    Fault::Response(Rc::OtherwiseChanged),
    Fault::ErrorReply(0x10),
    Fault::ErrorReply(0x90),
    Fault::ErrorReply(0x12),
];

#[test]
fn with_another_card_every_fault_goes_unnoticed() {
    // Long enough that a healthy card is not late on a busy machine.
    let config = Config { request_timeout: Duration::from_secs(1), ..config(&[0, 2]) };
    for fault in FAULTS {
        let cex = Cex::start(&config).unwrap();
        let key = load(&cex, rsa_2048().pkcs8());
        let request = rsa_request(&key);
        let mut load = Load::new(&cex);
        load.submit_many(&request, 20);
        cex.inject(Target::Card(0), fault).unwrap();
        load.submit_many(&request, 40);
        for completion in load.finish() {
            let signature = completion.result.as_ref().unwrap_or_else(|e| panic!("{fault:?}: {e}"));
            assert!(key.verifies(request.scheme, &request.digest, signature), "{fault:?}");
        }
        // Back again: the card works, and nothing is left over.
        cex.repair(Target::Card(0)).unwrap();
        let mut after = Load::new(&cex);
        after.submit_many(&request, 30);
        assert!(after.finish().iter().all(|c| c.result.is_ok()), "{fault:?}");
        let snapshot = cex.snapshot();
        let card = &snapshot.cards[0];
        assert_eq!((card.status, card.queues[0].status), (Status::Online, Status::Online));
        assert!(after.completions.iter().any(|c| c.trace.apqn.is_some_and(|a| a.card == 0)));
        for card in &snapshot.cards {
            assert_eq!((card.pending, card.load), (0, 0), "{fault:?}");
        }
        assert!(snapshot.lanes.iter().all(|lane| lane.waiting == 0));
    }
}

/// Fault, failure of a request that meets it, tries, cause of the last retry.
type Alone = (Fault, Failure, u8, Option<Cause>);

#[test]
fn nothing_is_injected_unless_the_configuration_says_so() {
    let cex = Cex::start(&Config { fault_injection: false, ..config(&[0]) }).unwrap();
    for fault in FAULTS {
        assert!(matches!(cex.inject(Target::Card(0), fault), Err(Error::NoFaultInjection)));
    }
    assert!(matches!(cex.repair_all(), Err(Error::NoFaultInjection)));
    assert_eq!(cex.snapshot().cards[0].status, Status::Online);
}

#[test]
fn what_is_set_is_listed_until_the_repair() {
    let cex = Cex::start(&config(&[0])).unwrap();
    let faults = || cex.snapshot().cards[0].queues[0].faults.clone();
    assert_eq!(faults(), []);
    for fault in [Fault::WrongResult, Fault::Slow(Duration::from_millis(20))] {
        cex.inject(Target::Card(0), fault).unwrap();
    }
    assert_eq!(faults(), [Fault::WrongResult, Fault::Slow(Duration::from_millis(20))]);
    cex.repair_all().unwrap();
    assert_eq!(faults(), []);
}

#[test]
fn alone_every_fault_has_its_words() {
    let no_card = Failure::NoCard;
    let full = Rc::QueueFullOrNoReply;
    let table: [Alone; 15] = [
        (Fault::Deconfigured, no_card, 0, None),
        (Fault::Checkstopped, no_card, 0, None),
        (Fault::Offline, no_card, 0, None),
        (Fault::WrongResult, no_card, 1, Some(Cause::WrongResult)),
        (
            Fault::ErrorReply(0x10),
            Failure::Reply(ReplyCode::MACHINE_FAILURE),
            10,
            Some(Cause::Reply(ReplyCode::MACHINE_FAILURE)),
        ),
        (Fault::LostReply, Failure::TimedOut, 1, Some(Cause::TimedOut)),
        (Fault::Forgotten, Failure::TimedOut, 1, Some(Cause::TimedOut)),
        (Fault::QueueFull, Failure::Ap(full), 10, Some(Cause::Ap(full))),
        (Fault::Response(Rc::Busy), Failure::Ap(Rc::Busy), 10, Some(Cause::Ap(Rc::Busy))),
        (Fault::Response(Rc::MessageTooBig), Failure::Ap(Rc::MessageTooBig), 1, None),
        (Fault::Response(Rc::FacilityNotInstalled), Failure::Ap(Rc::FacilityNotInstalled), 1, None),
        (Fault::Response(Rc::InvalidDomain), Failure::Ap(Rc::InvalidDomain), 1, None),
        (Fault::ErrorReply(0x82), Failure::Reply(ReplyCode::OPERAND_INVALID), 1, None),
        (Fault::ErrorReply(0x85), Failure::Reply(ReplyCode::EVEN_MODULUS), 1, None),
        (
            Fault::ErrorReply(0x90),
            Failure::Reply(ReplyCode::TRANSPORT_FAIL),
            10,
            Some(Cause::Reply(ReplyCode::TRANSPORT_FAIL)),
        ),
    ];
    for (fault, failure, tries, cause) in table {
        let cex = Cex::start(&config(&[0])).unwrap();
        let key = load(&cex, rsa_2048().pkcs8());
        cex.inject(Target::Queue(Apqn { card: 0, domain: 6 }), fault).unwrap();
        let completion = cex.sign_blocking(rsa_request(&key));
        assert_eq!(completion.result, Err(failure), "{fault:?}");
        assert_eq!(completion.trace.tries, tries, "{fault:?}");
        assert_eq!(completion.trace.last_cause, cause, "{fault:?}");
        cex.repair(Target::Queue(Apqn { card: 0, domain: 6 })).unwrap();
        assert!(cex.sign_blocking(rsa_request(&key)).result.is_ok(), "{fault:?}");
    }
}

#[test]
fn without_a_card_software_does_it_where_the_configuration_says_so() {
    let config = Config { no_card: NoCard::Software, ..config(&[0]) };
    let cex = Cex::start(&config).unwrap();
    let rsa = load(&cex, rsa_2048().pkcs8());
    let ec = load(&cex, &p256_pkcs8());
    let digest = digest_of(Hash::Sha256);
    let refusing = [Fault::ErrorReply(0x10), Fault::Response(Rc::Busy), Fault::QueueFull];
    let gone = [Fault::Deconfigured, Fault::WrongResult];
    for fault in gone.into_iter().chain(refusing) {
        cex.inject(Target::Card(0), fault).unwrap();
        let completion = cex.sign_blocking(rsa_request(&rsa));
        assert!(rsa.verifies(
            Scheme::RsaPss(Hash::Sha256),
            &digest,
            completion.result.as_ref().unwrap()
        ));
        assert_eq!((completion.trace.path, completion.trace.apqn), (Path::Software, None));
        cex.repair(Target::Card(0)).unwrap();
    }
    // No card of this configuration can do ECDSA at all.
    let completion = cex.sign_blocking(SignRequest::new(&ec, Scheme::Ecdsa(Hash::Sha256), digest));
    assert!(completion.result.is_ok());
    assert_eq!(completion.trace.path, Path::Software);
    assert_eq!(cex.snapshot().software, 6);
}

/// Card 0, which is asked first, loses its requests; card 2 does not.
fn one_of_two_loses() -> (Arc<Cex>, Key) {
    let config = Config { request_timeout: Duration::from_millis(250), ..config(&[0, 2]) };
    let cex = Cex::start(&config).unwrap();
    let key = load(&cex, rsa_2048().pkcs8());
    cex.inject(Target::Card(0), Fault::LostReply).unwrap();
    (cex, key)
}

#[test]
fn a_queue_that_has_lost_requests_is_tried_again_when_the_other_one_fails() {
    let (cex, key) = one_of_two_loses();
    let lost = cex.sign_blocking(rsa_request(&key));
    assert_eq!(lost.result.map(|_| lost.trace.apqn.map(|apqn| apqn.card)), Ok(Some(2)));
    assert_eq!(cex.snapshot().cards[0].queues[0].timeouts, 1, "and is left alone now");
    // The card recovers by itself: nobody has said that it can be used again.
    cex.zcrypt.bus.cards[0].hw.queues[0].faults.clear();
    cex.inject(Target::Card(2), Fault::ErrorReply(0x90)).unwrap();
    for _ in 0..20 {
        let completion = cex.sign_blocking(rsa_request(&key));
        assert!(completion.result.is_ok(), "{completion:?}");
    }
}

/// How each request ended: whether well, on which card, after how many tries.
fn ends(load: &mut Load<'_>) -> Vec<(bool, Option<u8>, u8)> {
    let end =
        |c: &Completion| (c.result.is_ok(), c.trace.apqn.map(|apqn| apqn.card), c.trace.tries);
    load.finish().iter().map(end).collect()
}

#[test]
fn a_request_that_both_cards_have_lost_goes_to_the_one_that_was_repaired() {
    let (cex, key) = one_of_two_loses();
    cex.inject(Target::Card(2), Fault::LostReply).unwrap();
    let mut load = Load::new(&cex);
    load.submit(&rsa_request(&key)).unwrap();
    let lost = |card: usize| cex.snapshot().cards[card].queues[0].timeouts;
    while lost(0) == 0 {
        cex.tick(Instant::now());
        assert!(load.port.drain().next().is_none());
        std::thread::yield_now();
    }
    cex.repair(Target::Card(0)).unwrap();
    assert_eq!((ends(&mut load), lost(1)), (vec![(true, Some(0), 3)], 1));
}

#[test]
fn a_request_that_one_card_has_lost_twice_goes_there_again_when_the_other_one_refuses_it() {
    let (cex, key) = one_of_two_loses();
    cex.inject(Target::Card(2), Fault::ErrorReply(0x10)).unwrap();
    let mut load = Load::new(&cex);
    load.submit(&rsa_request(&key)).unwrap();
    loop {
        cex.tick(Instant::now());
        if cex.snapshot().cards[0].queues[0].timeouts == 2 {
            break;
        }
        assert!(load.port.drain().next().is_none());
        std::thread::yield_now();
    }
    cex.repair(Target::Card(0)).unwrap();
    // Lost, refused three times, lost, done.
    assert_eq!(ends(&mut load), [(true, Some(0), 6)]);
}

#[test]
fn a_request_goes_back_to_a_card_that_has_answered_since_when_there_is_no_other() {
    let (cex, key) = one_of_two_loses();
    let mut lost = Load::new(&cex);
    lost.submit(&rsa_request(&key)).unwrap();
    while !cex.zcrypt.bus.cards[0].hw.queues[0].has_lost() {
        std::thread::yield_now();
    }
    // Times are kept in milliseconds: the next one must come in a later one.
    std::thread::sleep(Duration::from_millis(2));
    // The card recovers by itself, answers another request, and is the last one.
    cex.zcrypt.bus.cards[0].hw.queues[0].faults.clear();
    cex.set_card_online(2, false).unwrap();
    let next = cex.sign_blocking(rsa_request(&key));
    assert_eq!(next.trace.apqn.map(|apqn| apqn.card), Some(0));
    assert_eq!(ends(&mut lost), [(true, Some(0), 2)]);
}

#[test]
fn a_wrong_result_takes_the_queue_offline_and_is_never_released() {
    // No request may be lost meanwhile, on however busy a machine.
    let config = Config { request_timeout: Duration::from_secs(30), ..config(&[0]) };
    let cex = Cex::start(&config).unwrap();
    let key = load(&cex, rsa_2048().pkcs8());
    let apqn = Apqn { card: 0, domain: 6 };
    cex.inject(Target::Card(0), Fault::WrongResult).unwrap();
    let mut load = Load::new(&cex);
    load.submit_many(&rsa_request(&key), 8);
    assert!(load.finish().iter().all(|c| c.result == Err(Failure::NoCard)));
    let row = &cex.snapshot().cards[0].queues[0];
    assert_eq!(row.status, Status::Offline);
    assert!(row.verify_failures >= 1);
    // The administrator may bring it back, as with chzcrypt; a bus scan does not.
    cex.tick(Instant::now());
    assert_eq!(cex.snapshot().cards[0].queues[0].status, Status::Offline);
    cex.set_queue_online(apqn, true).unwrap();
    assert_eq!(cex.snapshot().cards[0].queues[0].status, Status::Online);
}

#[test]
fn wrong_ecdsa_results_are_caught_if_all_is_to_be_verified() {
    let coprocessor =
        CardConfig { id: 1, kind: CardType::Cex8C, domains: vec![6], engine: EngineChoice::Single };
    for (verify, caught) in [(Verify::All, true), (Verify::Rsa, false)] {
        let config = Config { cards: vec![coprocessor.clone()], verify, ..config(&[]) };
        let cex = Cex::start(&config).unwrap();
        let key = load(&cex, &p256_pkcs8());
        cex.inject(Target::Card(1), Fault::WrongResult).unwrap();
        let digest = digest_of(Hash::Sha256);
        let request = SignRequest::new(&key, Scheme::Ecdsa(Hash::Sha256), digest);
        let completion = cex.sign_blocking(request);
        assert_eq!(completion.result.is_err(), caught);
    }
}

#[test]
fn a_slow_card_works_on_several_requests_at_the_same_time() {
    let latency = Duration::from_millis(200);
    let config = Config { request_timeout: Duration::from_secs(5), ..config(&[0]) };
    let cex = Cex::start(&config).unwrap();
    let key = load(&cex, rsa_2048().pkcs8());
    cex.inject(Target::Card(0), Fault::Slow(latency)).unwrap();
    let mut load = Load::new(&cex);
    let begin = Instant::now();
    load.submit_many(&rsa_request(&key), 8);
    load.finish();
    let elapsed = begin.elapsed();
    let traces = load.completions.iter().map(|c| c.trace);
    let served: Duration = traces.clone().map(|t| t.queue + t.service).sum();
    assert!(traces.clone().all(|t| t.queue + t.service >= latency));
    // Eight after each other would take as long as all of them together.
    assert!(elapsed < served, "{elapsed:?} {served:?}");
}

#[test]
fn lanes_are_bounded_in_length_and_age() {
    let config =
        Config { fifo_depth: 4, request_timeout: Duration::from_secs(600), ..config(&[0]) };
    let cex = Cex::start(&config).unwrap();
    let key = load(&cex, rsa_2048().pkcs8());
    let request = rsa_request(&key);
    cex.inject(Target::Card(0), Fault::LostReply).unwrap();
    let mut load = Load::new(&cex);
    load.submit_many(&request, 8 + 4);
    assert_eq!(load.submit(&request), Err(Failure::FifoFull));
    let lane = cex.snapshot().lanes[0];
    assert_eq!((lane.waiting, lane.longest, lane.refused, lane.shed), (4, 4, 1, 0));
    cex.tick(Instant::now());
    assert_eq!(cex.snapshot().lanes[0].waiting, 4);
    // Later: what waits is shed; what the card has is not.
    cex.tick(Instant::now() + config.fifo_age_max + Duration::from_secs(1));
    let done: Vec<_> = load.port.drain().collect();
    assert_eq!(done.len(), 4);
    assert!(done.iter().all(|c| c.result == Err(Failure::Shed)));
    assert_eq!(cex.snapshot().lanes[0].shed, 4);
    assert_eq!(cex.snapshot().cards[0].pending, 8);
}

#[test]
fn waiting_requests_go_to_the_card_that_becomes_free() {
    let config = Config { request_timeout: Duration::from_secs(600), ..config(&[0, 2]) };
    let cex = Cex::start(&config).unwrap();
    let key = load(&cex, rsa_2048().pkcs8());
    let request = rsa_request(&key);
    cex.inject(Target::Card(0), Fault::LostReply).unwrap();
    cex.set_card_online(2, false).unwrap();
    let mut load = Load::new(&cex);
    load.submit_many(&request, 8 + 30);
    cex.set_card_online(2, true).unwrap();
    while load.completions.len() < 30 {
        load.completions.extend(load.port.drain());
        std::thread::yield_now();
    }
    assert!(load.completions.iter().all(|c| c.trace.apqn.is_some_and(|a| a.card == 2)));
    // And the others once their card is taken away.
    cex.set_card_online(0, false).unwrap();
    assert!(load.finish().iter().all(|c| c.result.is_ok()));
}

#[test]
fn a_retry_that_waits_for_another_card_stops_nobody() {
    let config = Config { request_timeout: Duration::from_secs(600), ..config(&[0, 2]) };
    let cex = Cex::start(&config).unwrap();
    let key = load(&cex, rsa_2048().pkcs8());
    let request = rsa_request(&key);
    // Card 2 is full of requests that it never answers.
    cex.inject(Target::Card(2), Fault::LostReply).unwrap();
    cex.set_card_online(0, false).unwrap();
    let mut lost = Load::new(&cex);
    lost.submit_many(&request, 8);
    cex.set_card_online(0, true).unwrap();
    // A request that fails on card 0 once would rather go to card 2.
    cex.inject(Target::Card(0), Fault::ErrorReply(0x90)).unwrap();
    let mut load = Load::new(&cex);
    load.submit(&request).unwrap();
    while cex.snapshot().lanes[0].waiting == 0 {
        assert!(load.port.drain().next().is_none());
        std::thread::yield_now();
    }
    cex.repair(Target::Card(0)).unwrap();
    let mut behind = Load::new(&cex);
    behind.submit_many(&request, 20);
    assert!(behind.finish().iter().all(|c| c.result.is_ok()));
    // It does not wait for card 2 for ever either.
    let traces: Vec<_> = load.finish().iter().map(|c| (c.result.is_ok(), c.trace.tries)).collect();
    assert_eq!(traces, [(true, 2)]);
}

#[test]
fn nothing_goes_online_on_a_card_that_is_not() {
    let cex = Cex::start(&config(&[0])).unwrap();
    let apqn = Apqn { card: 0, domain: 6 };
    let refused = |result| matches!(result, Err(Error::CardNotOnline { card: 0 }));
    cex.set_card_online(0, false).unwrap();
    assert!(refused(cex.set_queue_online(apqn, true)));
    cex.set_card_online(0, true).unwrap();
    cex.set_queue_online(apqn, true).unwrap();
    for fault in [Fault::Deconfigured, Fault::Checkstopped] {
        cex.inject(Target::Card(0), fault).unwrap();
        assert!(refused(cex.set_card_online(0, true)));
        assert!(refused(cex.set_queue_online(apqn, true)));
        cex.repair(Target::Card(0)).unwrap();
    }
}

#[test]
fn an_unknown_card_or_queue_is_an_error() {
    let cex = Cex::start(&config(&[0])).unwrap();
    let error = cex.inject(Target::Card(9), Fault::Reset).unwrap_err();
    assert!(error.to_string().contains("09"));
    let apqn = Apqn { card: 0, domain: 7 };
    assert!(cex.repair(Target::Queue(apqn)).unwrap_err().to_string().contains("00.0007"));
}
