//! The retry loop, fed with outcomes by hand.

use super::*;
use crate::ap::message::{Psmid, Served};
use crate::ap::response::ResponseCode as Rc;
use crate::msg::{ReplyCode, encode_error, type6, type50};
use crate::tests_support::{load, rsa_2048, rsa_request};
use crate::{CardConfig, Cex, Config, EngineChoice, SignRequest};
use std::sync::{Arc, Weak};

/// A bus whose only card is an accelerator, and a ticket that was there so many times.
fn bench(tries: u8) -> (Arc<Cex>, Box<Ticket>) {
    let card =
        CardConfig { id: 0, kind: CardType::Cex8A, domains: vec![6], engine: EngineChoice::Single };
    let cex = Cex::start(&Config { cards: vec![card], ..Config::default() }).unwrap();
    let key = load(&cex, rsa_2048().pkcs8());
    let ticket = ticket(rsa_request(&key), tries);
    (cex, ticket)
}

fn ticket(request: SignRequest, tries: u8) -> Box<Ticket> {
    Box::new(Ticket {
        port: Weak::new(),
        token: 5,
        request,
        submitted: Instant::now(),
        weight: 0,
        place: Some(Place { card: 0, queue: 0 }),
        tries,
        tried: Vec::new(),
        lost: Vec::new(),
        // After whatever the self-test of the card has sent there.
        sent_ms: u64::MAX,
        last_cause: None,
        failed: None,
    })
}

fn reply(bytes: Vec<u8>) -> Outcome {
    let now = Instant::now();
    let served = Served { began: now, ended: now, cpu: Duration::from_micros(3) };
    Outcome::Reply(Reply { psmid: Psmid(1), bytes, checked: false, served })
}

/// Outcome, and the failure if the request ends; `None` if it is tried again.
fn situations() -> Vec<(Outcome, Option<Failure>)> {
    let code = |code| reply(encode_error(ReplyCode(code)));
    let mut table = vec![
        (Outcome::Invalid(Rc::MessageTooBig), Some(Failure::Ap(Rc::MessageTooBig))),
        (Outcome::Invalid(Rc::InvalidDomain), Some(Failure::Ap(Rc::InvalidDomain))),
        (Outcome::Again(Cause::Shed), Some(Failure::Shed)),
        (Outcome::Again(Cause::Shutdown), Some(Failure::Shutdown)),
        // The only queue has lost it.
        (Outcome::Again(Cause::TimedOut), Some(Failure::TimedOut)),
        (Outcome::Again(Cause::Offline), None),
        (code(0x82), Some(Failure::Reply(ReplyCode(0x82)))),
        (code(0x85), Some(Failure::Reply(ReplyCode(0x85)))),
        (code(0x10), None),
        (code(0x20), None),
        (code(0x90), None),
    ];
    // These also take the only queue offline, so nothing is left.
    let wrong = type50::encode_reply(&[1; 256]);
    for bytes in [wrong, vec![], vec![0, 0x80, 0, 4], vec![0, 0x99, 0, 0, 0]] {
        table.push((reply(bytes), Some(Failure::NoCard)));
    }
    table.push((reply(type6::encode_refusal(16, 99)), Some(Failure::NoCard)));
    let invalid = Failure::Cca { return_code: 8, reason_code: 66 };
    table.push((reply(type6::encode_refusal(8, 66)), Some(invalid)));
    table
}

#[test]
fn each_outcome_ends_or_goes_on_as_zcrypt_says() {
    for (outcome, failure) in situations() {
        let text = format!("{outcome:?}");
        let (cex, ticket) = bench(1);
        let end = cex.zcrypt.judge(ticket, outcome);
        assert_eq!(end.map(|c| c.result.unwrap_err()), failure, "{text}");
    }
}

#[test]
fn every_flush_code_is_tried_again_and_reported_in_the_end() {
    for code in Rc::ALL {
        let cause = Cause::Ap(*code);
        let (cex, fresh) = bench(MAX_TRIES - 1);
        assert!(cex.zcrypt.judge(fresh, Outcome::Again(cause)).is_none(), "{code}");
        let (cex, old) = bench(MAX_TRIES);
        let end = cex.zcrypt.judge(old, Outcome::Again(cause)).unwrap();
        assert_eq!(end.result, Err(Failure::Ap(*code)));
        assert_eq!((end.trace.tries, end.trace.last_cause), (MAX_TRIES, Some(cause)));
    }
}

#[test]
fn a_right_result_is_released_with_its_trace() {
    let (cex, ticket) = bench(3);
    let key = cex.zcrypt.keys.find(ticket.request.key.handle()).unwrap();
    let block = ticket.request.block.clone().unwrap();
    let signature = key.exponentiate(&block).unwrap();
    let end = cex.zcrypt.judge(ticket, reply(type50::encode_reply(&signature))).unwrap();
    assert_eq!(end.result.as_ref(), Ok(&signature));
    assert_eq!(end.token, 5);
    assert_eq!((end.trace.tries, end.trace.path), (3, Path::Card));
    assert_eq!(end.trace.card_cpu, Duration::from_micros(3));
    assert_eq!(end.trace.apqn.unwrap().to_string(), "00.0006");
}

#[test]
fn a_signature_of_another_block_is_a_wrong_result() {
    let (cex, ticket) = bench(1);
    let key = cex.zcrypt.keys.find(ticket.request.key.handle()).unwrap();
    let mut other = ticket.request.block.clone().unwrap();
    other[255] ^= 4;
    let signature = key.exponentiate(&other).unwrap();
    let end = cex.zcrypt.judge(ticket, reply(type50::encode_reply(&signature))).unwrap();
    assert_eq!(end.result, Err(Failure::NoCard));
    assert_eq!(end.trace.last_cause, Some(Cause::WrongResult));
    assert_eq!(cex.snapshot().cards[0].queues[0].verify_failures, 1);
}
