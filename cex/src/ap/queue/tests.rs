//! The state machine, step by step, against a scripted AP.

use std::cell::RefCell;

use super::*;
use crate::ap::message::Served;
use ResponseCode as Rc;
use State::{Idle, QueueFull, ResetStart, ResetWait, SetIrqWait, Working};

/// Answers each instruction with what the script says; an instruction that the script does not
/// expect fails the test.
#[derive(Default)]
struct Script {
    answers: RefCell<VecDeque<(&'static str, StatusWord, Option<Reply>)>>,
    sent: RefCell<Vec<Psmid>>,
}

impl Script {
    fn expect(&self, instruction: &'static str, code: Rc) -> &Self {
        self.expect_status(instruction, StatusWord::new(code).with_irq_enabled(true))
    }

    fn expect_status(&self, instruction: &'static str, status: StatusWord) -> &Self {
        self.answers.borrow_mut().push_back((instruction, status, None));
        self
    }

    fn expect_reply(&self, psmid: Psmid) -> &Self {
        self.expect_reply_of(psmid, Instant::now())
    }

    fn expect_reply_of(&self, psmid: Psmid, now: Instant) -> &Self {
        let served = Served { began: now, ended: now, cpu: Duration::ZERO };
        let reply = Reply { psmid, bytes: vec![1], checked: false, served };
        let status = StatusWord::new(Rc::Normal).with_irq_enabled(true);
        self.answers.borrow_mut().push_back(("DQAP", status, Some(reply)));
        self
    }

    fn play(&self, instruction: &str) -> (StatusWord, Option<Reply>) {
        let next = self.answers.borrow_mut().pop_front();
        let (expected, status, reply) = next.unwrap_or_else(|| panic!("unexpected {instruction}"));
        assert_eq!(expected, instruction);
        (status, reply)
    }

    fn finished(&self) {
        assert!(self.answers.borrow().is_empty(), "instructions were left out");
    }
}

impl Instructions for Script {
    fn nqap(&self, psmid: Psmid, _: &[u8]) -> StatusWord {
        self.sent.borrow_mut().push(psmid);
        self.play("NQAP").0
    }
    fn dqap(&self) -> (StatusWord, Option<Reply>) {
        self.play("DQAP")
    }
    fn tapq(&self) -> StatusWord {
        self.play("TAPQ").0
    }
    fn rapq(&self) -> StatusWord {
        self.play("RAPQ").0
    }
    fn aqic(&self) -> StatusWord {
        self.play("AQIC").0
    }
}

/// A queue of depth 3, its script, and what left it.
struct Bench {
    queue: ApQueue<u32>,
    ap: Script,
    out: Vec<Done<u32>>,
    now: Instant,
}

const TIMEOUT: Duration = Duration::from_secs(5);

impl Bench {
    fn new() -> Self {
        let queue = ApQueue::new(Apqn { card: 1, domain: 6 }, 3, TIMEOUT);
        Self { queue, ap: Script::default(), out: Vec::new(), now: Instant::now() }
    }

    /// A queue that has come up.
    fn idle() -> Self {
        let mut bench = Self::new();
        bench.queue.state = Idle;
        bench
    }

    /// A queue with so many requests sent.
    fn working(requests: u32) -> (Self, Vec<Psmid>) {
        let mut bench = Self::idle();
        let psmids = (0..requests).map(|n| bench.push(n)).collect();
        for n in 0..requests {
            if n > 0 {
                bench.ap.expect("DQAP", Rc::QueueFullOrNoReply);
            }
            bench.ap.expect("NQAP", Rc::Normal);
        }
        if requests < 3 {
            bench.ap.expect("DQAP", Rc::QueueFullOrNoReply);
        }
        bench.run(Event::Poll);
        assert!(bench.out.is_empty());
        (bench, psmids)
    }

    fn push(&mut self, private: u32) -> Psmid {
        self.queue.push(vec![0; 16], private, self.now).unwrap()
    }

    fn step(&mut self, event: Event) -> Wait {
        let wait = self.queue.step(&self.ap, event, &mut self.out);
        self.ap.finished();
        wait
    }

    fn run(&mut self, event: Event) -> Wait {
        let wait = self.queue.run(&self.ap, event, &mut self.out);
        self.ap.finished();
        wait
    }

    fn state(&self) -> State {
        self.queue.state
    }

    fn error(&self) -> bool {
        self.queue.device == DeviceState::Error
    }

    /// What left the queue: private part and, if it was given back, why.
    fn left(&mut self) -> Vec<(u32, Option<Cause>)> {
        let entry = |done: Done<u32>| match done.outcome {
            Outcome::Reply(_) => (done.private, None),
            Outcome::Again(cause) => (done.private, Some(cause)),
            Outcome::Invalid(code) => panic!("invalid: {code}"),
        };
        self.out.drain(..).map(entry).collect()
    }
}

/// Codes that this driver does not expect from an instruction, i.e. all but the given ones.
fn other_than(expected: &[Rc]) -> impl Iterator<Item = Rc> {
    Rc::ALL.iter().copied().filter(move |code| !expected.contains(code))
}

#[test]
fn a_queue_comes_up_through_reset_and_interrupt_enabling() {
    let mut bench = Bench::new();
    bench.push(1);
    bench.ap.expect("RAPQ", Rc::Normal);
    assert_eq!((bench.step(Event::Poll), bench.state()), (Wait::LowTimeout, ResetWait));
    bench.ap.expect("TAPQ", Rc::ResetInProgress);
    assert_eq!((bench.step(Event::Poll), bench.state()), (Wait::LowTimeout, ResetWait));
    bench.ap.expect("TAPQ", Rc::Busy);
    assert_eq!((bench.step(Event::Poll), bench.state()), (Wait::LowTimeout, ResetWait));
    bench.ap.expect("TAPQ", Rc::Normal).expect("AQIC", Rc::Normal);
    assert_eq!((bench.step(Event::Poll), bench.state()), (Wait::Again, SetIrqWait));
    bench.ap.expect_status("TAPQ", StatusWord::new(Rc::Normal));
    assert_eq!((bench.step(Event::Poll), bench.state()), (Wait::LowTimeout, SetIrqWait));
    bench.ap.expect("TAPQ", Rc::Normal);
    assert_eq!((bench.step(Event::Poll), bench.state()), (Wait::Again, Idle));
    bench.ap.expect("NQAP", Rc::Normal);
    assert_eq!((bench.step(Event::Poll), bench.state()), (Wait::Again, Working));
    bench.ap.expect("DQAP", Rc::QueueFullOrNoReply);
    assert_eq!((bench.step(Event::Poll), bench.state()), (Wait::Interrupt, Working));
}

#[test]
fn without_interrupts_replies_are_polled_for() {
    let mut bench = Bench::new();
    bench.queue.state = ResetWait;
    bench.push(1);
    bench.ap.expect("TAPQ", Rc::Normal).expect("AQIC", Rc::InvalidAddress);
    assert_eq!((bench.step(Event::Poll), bench.state()), (Wait::Again, Idle));
    bench.ap.expect_status("NQAP", StatusWord::new(Rc::Normal));
    bench.ap.expect_status("DQAP", StatusWord::new(Rc::QueueFullOrNoReply));
    assert_eq!(bench.run(Event::Poll), Wait::HighTimeout);
}

#[test]
fn every_other_code_during_a_reset_is_an_error() {
    let situations: [(State, &str, &[Rc]); 3] = [
        (ResetStart, "RAPQ", &[Rc::Normal, Rc::ResetInProgress]),
        (ResetWait, "TAPQ", &[Rc::Normal, Rc::Busy, Rc::ResetInProgress]),
        (SetIrqWait, "TAPQ", &[Rc::Normal, Rc::QueueFullOrNoReply]),
    ];
    for (state, instruction, expected) in situations {
        for code in other_than(expected) {
            let mut bench = Bench::new();
            bench.queue.state = state;
            bench.push(7);
            bench.ap.expect(instruction, code);
            assert_eq!(bench.step(Event::Poll), Wait::None);
            assert!(bench.error(), "{state:?} {code}");
            assert_eq!(bench.left(), [(7, Some(Cause::Ap(code)))]);
            assert_eq!(bench.queue.last_error(), Some(code));
        }
    }
}

#[test]
fn nqap_fills_the_queue_up_to_its_depth() {
    let (mut bench, _) = Bench::working(3);
    assert_eq!(bench.state(), QueueFull);
    assert_eq!(bench.queue.lengths(), (0, 3));
    bench.push(9);
    bench.ap.expect("DQAP", Rc::QueueFullOrNoReply);
    assert_eq!((bench.run(Event::Poll), bench.state()), (Wait::Interrupt, QueueFull));
    assert_eq!(bench.queue.lengths(), (1, 3));
}

#[test]
fn a_reply_makes_room_for_the_next_request() {
    let (mut bench, psmids) = Bench::working(3);
    let next = bench.push(9);
    bench.ap.expect_reply(psmids[0]).expect("DQAP", Rc::QueueFullOrNoReply);
    bench.ap.expect("NQAP", Rc::Normal);
    assert_eq!((bench.run(Event::Poll), bench.state()), (Wait::Interrupt, QueueFull));
    assert_eq!(bench.left(), [(0, None)]);
    assert_eq!(bench.ap.sent.borrow().last(), Some(&next));
}

#[test]
fn replies_are_matched_by_psmid_in_any_order() {
    let (mut bench, psmids) = Bench::working(3);
    bench.ap.expect_reply(psmids[2]).expect_reply(psmids[0]).expect_reply(psmids[1]);
    bench.ap.expect("DQAP", Rc::QueueFullOrNoReply);
    // After the third reply the queue is idle and asks no more.
    bench.ap.answers.borrow_mut().pop_back();
    assert_eq!((bench.run(Event::Poll), bench.state()), (Wait::None, Idle));
    assert_eq!(bench.left(), [(2, None), (0, None), (1, None)]);
    assert_eq!(bench.queue.oddities().0, 0);
}

#[test]
fn an_unmatched_reply_is_counted_and_dropped() {
    let (mut bench, psmids) = Bench::working(2);
    bench.ap.expect_reply(Psmid(99)).expect("DQAP", Rc::QueueFullOrNoReply);
    // The driver believes one slot free; the second request is still pending.
    assert_eq!(bench.run(Event::Poll), Wait::Interrupt);
    assert!(bench.left().is_empty());
    assert_eq!(bench.queue.oddities().0, 1);
    bench.ap.expect_reply(psmids[1]);
    bench.run(Event::Poll);
    assert_eq!(bench.left(), [(1, None)]);
}

#[test]
fn a_full_queue_is_waited_for() {
    let (mut bench, psmids) = Bench::working(1);
    bench.push(5);
    bench.ap.expect("DQAP", Rc::QueueFullOrNoReply).expect("NQAP", Rc::QueueFullOrNoReply);
    assert_eq!((bench.step(Event::Poll), bench.state()), (Wait::Interrupt, QueueFull));
    bench.ap.expect_reply(psmids[0]).expect("NQAP", Rc::Normal);
    bench.ap.expect("DQAP", Rc::QueueFullOrNoReply);
    assert_eq!((bench.run(Event::Poll), bench.state()), (Wait::Interrupt, Working));
}

#[test]
fn a_queue_full_of_others_gives_the_request_back() {
    let mut bench = Bench::idle();
    bench.push(5);
    bench.ap.expect("NQAP", Rc::QueueFullOrNoReply);
    assert_eq!((bench.run(Event::Poll), bench.state()), (Wait::None, Idle));
    assert_eq!(bench.left(), [(5, Some(Cause::Ap(Rc::QueueFullOrNoReply)))]);
    assert!(!bench.error());
}

#[test]
fn a_reset_behind_our_back_is_waited_for_and_everything_sent_again() {
    let (mut bench, _) = Bench::working(2);
    bench.push(9);
    bench.ap.expect("DQAP", Rc::QueueFullOrNoReply).expect("NQAP", Rc::ResetInProgress);
    assert_eq!((bench.run(Event::Poll), bench.state()), (Wait::LowTimeout, ResetWait));
    let empty = StatusWord::new(Rc::QueueFullOrNoReply).with_queue_empty(true);
    bench.ap.expect("TAPQ", Rc::Normal).expect("AQIC", Rc::Normal).expect("TAPQ", Rc::Normal);
    bench.ap.expect_status("DQAP", empty).expect("NQAP", Rc::Normal);
    bench.ap.expect("DQAP", Rc::QueueFullOrNoReply).expect("NQAP", Rc::Normal);
    bench.ap.expect("DQAP", Rc::QueueFullOrNoReply).expect("NQAP", Rc::Normal);
    assert_eq!((bench.run(Event::Poll), bench.state()), (Wait::Interrupt, QueueFull));
    assert!(bench.left().is_empty());
    // The forgotten ones first, in their order.
    let sent = bench.ap.sent.borrow();
    let numbers: Vec<_> = sent.iter().rev().take(3).rev().map(|p| p.0 & 0xffff).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn three_codes_end_the_request_and_not_the_queue() {
    for code in [Rc::MessageTooBig, Rc::FacilityNotInstalled, Rc::InvalidDomain] {
        let mut bench = Bench::idle();
        bench.push(1);
        bench.push(2);
        bench.ap.expect("NQAP", code).expect("NQAP", Rc::Normal);
        bench.ap.expect("DQAP", Rc::QueueFullOrNoReply);
        bench.run(Event::Poll);
        assert!(!bench.error());
        let [Done { private: 1, outcome: Outcome::Invalid(found) }] = &bench.out[..] else {
            panic!("{:?}", bench.out);
        };
        assert_eq!(*found, code);
        assert_eq!(bench.queue.lengths(), (0, 1));
    }
}

#[test]
fn every_other_code_of_nqap_is_an_error_and_gives_everything_back() {
    let expected = [
        Rc::Normal,
        Rc::QueueFullOrNoReply,
        Rc::ResetInProgress,
        Rc::MessageTooBig,
        Rc::FacilityNotInstalled,
        Rc::InvalidDomain,
    ];
    for code in other_than(&expected) {
        let (mut bench, _) = Bench::working(1);
        bench.push(2);
        bench.ap.expect("DQAP", Rc::QueueFullOrNoReply).expect("NQAP", code);
        assert_eq!(bench.run(Event::Poll), Wait::None);
        assert!(bench.error(), "{code}");
        assert_eq!(bench.left(), [(0, Some(Cause::Ap(code))), (2, Some(Cause::Ap(code)))]);
        assert_eq!(bench.queue.push(vec![], 3, bench.now), Err(3));
    }
}

#[test]
fn every_other_code_of_dqap_is_an_error_and_gives_everything_back() {
    for code in other_than(&[Rc::Normal, Rc::QueueFullOrNoReply]) {
        for requests in [1, 3] {
            let (mut bench, _) = Bench::working(requests);
            bench.ap.expect("DQAP", code);
            assert_eq!(bench.run(Event::Poll), Wait::None);
            assert!(bench.error(), "{code}");
            assert_eq!(bench.left().len(), requests as usize);
        }
    }
}

#[test]
fn a_card_that_forgot_gets_its_work_again() {
    let (mut bench, psmids) = Bench::working(1);
    let empty = StatusWord::new(Rc::QueueFullOrNoReply).with_queue_empty(true);
    bench.ap.expect_status("DQAP", empty.with_irq_enabled(true)).expect("NQAP", Rc::Normal);
    bench.ap.expect("DQAP", Rc::QueueFullOrNoReply);
    assert_eq!((bench.run(Event::Poll), bench.state()), (Wait::Interrupt, Working));
    assert_eq!(*bench.ap.sent.borrow(), [psmids[0], psmids[0]]);
    // It is silent all the same: the deadline is that of the first time.
    assert!(!bench.queue.timed_out(bench.now + TIMEOUT - Duration::from_nanos(1)));
    assert!(bench.queue.timed_out(bench.now + TIMEOUT));
}

#[test]
fn a_silent_card_is_reset_and_its_requests_given_back() {
    for requests in [1, 3] {
        let (mut bench, _) = Bench::working(requests);
        bench.now += TIMEOUT;
        assert!(bench.queue.timed_out(bench.now));
        bench.ap.expect("RAPQ", Rc::Normal);
        assert_eq!((bench.step(Event::Timeout), bench.state()), (Wait::LowTimeout, ResetWait));
        let left = bench.left();
        assert_eq!(left.len(), requests as usize);
        assert!(left.iter().all(|(_, cause)| *cause == Some(Cause::TimedOut)));
        assert!(!bench.queue.timed_out(bench.now + TIMEOUT * 9));
    }
}

#[test]
fn a_request_is_late_however_busy_its_queue_is() {
    let (mut bench, psmids) = Bench::working(2);
    bench.now += TIMEOUT / 2;
    // The card goes on answering others; the reply to the first request was lost.
    bench.ap.expect_reply(psmids[1]).expect("DQAP", Rc::QueueFullOrNoReply);
    bench.run(Event::Poll);
    let third = bench.push(2);
    bench.ap.expect("DQAP", Rc::QueueFullOrNoReply).expect("NQAP", Rc::Normal);
    bench.ap.expect_reply(third).expect("DQAP", Rc::QueueFullOrNoReply);
    bench.run(Event::Poll);
    assert!(!bench.queue.timed_out(bench.now + TIMEOUT / 2 - Duration::from_nanos(1)));
    assert!(bench.queue.timed_out(bench.now + TIMEOUT / 2));
    bench.ap.expect_reply(psmids[0]);
    bench.run(Event::Poll);
    assert!(!bench.queue.timed_out(bench.now + TIMEOUT * 9));
}

#[test]
fn a_card_that_answers_in_order_is_slow_and_not_silent() {
    let (mut bench, psmids) = Bench::working(3);
    let begin = bench.now;
    bench.now += TIMEOUT * 3 / 4;
    bench.ap.expect_reply_of(psmids[0], bench.now).expect("DQAP", Rc::QueueFullOrNoReply);
    bench.run(Event::Poll);
    // The others have been here for as long as the first, and longer than the deadline.
    assert!(!bench.queue.timed_out(begin + TIMEOUT * 3 / 2));
    assert!(bench.queue.timed_out(bench.now + TIMEOUT));
}

/// Takes every message and has forgotten it when asked for the reply.
#[derive(Default)]
struct Forgetful(RefCell<u32>);

impl Instructions for Forgetful {
    fn nqap(&self, _: Psmid, _: &[u8]) -> StatusWord {
        *self.0.borrow_mut() += 1;
        assert!(*self.0.borrow() < 1000, "sends for ever");
        StatusWord::new(Rc::Normal).with_irq_enabled(true)
    }
    fn dqap(&self) -> (StatusWord, Option<Reply>) {
        let status = StatusWord::new(Rc::QueueFullOrNoReply).with_irq_enabled(true);
        (status.with_queue_empty(true), None)
    }
    fn tapq(&self) -> StatusWord {
        StatusWord::new(Rc::Normal)
    }
    fn rapq(&self) -> StatusWord {
        StatusWord::new(Rc::Normal)
    }
    fn aqic(&self) -> StatusWord {
        StatusWord::new(Rc::Normal)
    }
}

#[test]
fn a_card_that_forgets_at_once_is_not_sent_to_for_ever() {
    let mut bench = Bench::idle();
    bench.push(0);
    bench.push(1);
    let ap = Forgetful::default();
    let wait = bench.queue.run(&ap, Event::Poll, &mut bench.out);
    assert_eq!((wait, bench.queue.lengths().0 + bench.queue.lengths().1), (Wait::LowTimeout, 2));
    assert!(bench.queue.timed_out(bench.now + TIMEOUT));
}

#[test]
fn a_reset_that_never_ends_is_an_error() {
    let mut bench = Bench::new();
    bench.push(4);
    bench.ap.expect("RAPQ", Rc::Normal).expect("TAPQ", Rc::ResetInProgress);
    assert_eq!(bench.queue.run(&bench.ap, Event::Poll, &mut bench.out), Wait::LowTimeout);
    assert_eq!(bench.run(Event::Poll), Wait::LowTimeout);
    assert!(bench.queue.timed_out(bench.now + TIMEOUT));
    assert_eq!(bench.run(Event::Timeout), Wait::None);
    assert!(bench.error());
    assert_eq!(bench.left(), [(4, Some(Cause::TimedOut))]);
}

#[test]
fn a_timeout_of_an_idle_queue_means_nothing() {
    let mut bench = Bench::idle();
    assert_eq!((bench.step(Event::Timeout), bench.state()), (Wait::None, Idle));
    assert!(!bench.error());
}

#[test]
fn deconfiguration_and_checkstop_flush_and_their_end_resets() {
    for (configured, checkstopped) in [(false, false), (true, true)] {
        let (mut bench, _) = Bench::working(2);
        assert!(bench.queue.set_card_state(configured, checkstopped));
        bench.queue.flush(Cause::Ap(Rc::Deconfigured), &mut bench.out);
        assert_eq!(bench.left().len(), 2);
        assert!(!bench.queue.usable());
        assert_eq!(bench.run(Event::Poll), Wait::None);
        assert_eq!(bench.queue.push(vec![], 3, bench.now), Err(3));
        assert!(!bench.queue.set_card_state(configured, checkstopped), "flushed only once");
        assert!(!bench.queue.set_card_state(true, false));
        assert!(bench.queue.usable());
        assert_eq!(bench.state(), ResetStart);
    }
}

#[test]
fn a_bus_scan_repairs_an_error_by_a_reset() {
    let mut bench = Bench::idle();
    bench.push(1);
    bench.ap.expect("NQAP", Rc::Busy);
    bench.run(Event::Poll);
    assert!(bench.error());
    assert!(bench.queue.repair());
    assert!(!bench.queue.repair());
    assert_eq!((bench.state(), bench.queue.usable()), (ResetStart, true));
    bench.ap.expect("RAPQ", Rc::Normal);
    assert_eq!(bench.step(Event::Poll), Wait::LowTimeout);
}

#[test]
fn clearing_a_queue_gives_everything_back_and_resets_it() {
    let (mut bench, psmids) = Bench::working(1);
    bench.queue.clear(Cause::Offline, &mut bench.out);
    assert_eq!(bench.left(), [(0, Some(Cause::Offline))]);
    assert_eq!(bench.state(), ResetStart);
    // A late reply of before matches nothing.
    bench.queue.state = Working;
    bench.ap.expect_reply(psmids[0]);
    bench.run(Event::Poll);
    assert_eq!(bench.queue.oddities().0, 1);
}

#[test]
fn a_queue_that_was_shut_down_takes_nothing_and_never_comes_back() {
    let (mut bench, _) = Bench::working(1);
    bench.queue.shut_down(&mut bench.out);
    assert_eq!(bench.left(), [(0, Some(Cause::Shutdown))]);
    assert_eq!(bench.queue.push(vec![], 3, bench.now), Err(3));
    bench.queue.set_card_state(false, false);
    bench.queue.set_card_state(true, false);
    assert!(!bench.queue.repair());
    assert!(!bench.queue.usable());
}

#[test]
fn psmids_name_the_queue_and_never_repeat() {
    let mut bench = Bench::idle();
    let (one, two) = (bench.push(1), bench.push(2));
    assert_eq!((one, two), (Psmid(0x0106 << 48 | 1), Psmid(0x0106 << 48 | 2)));
}
