//! Situations of the selection, each with the queue that has to win.

use super::*;

#[derive(Clone)]
struct Q {
    usable: bool,
    room: bool,
    silent: bool,
    answered_ms: u64,
    load: u32,
    requests: u64,
}

struct C {
    kind: CardType,
    batches: bool,
    online: bool,
    load: u32,
    requests: u64,
    queues: Vec<Q>,
}

impl QueueView for &Q {
    fn usable(&self) -> bool {
        self.usable
    }
    fn has_room(&self) -> bool {
        self.room
    }
    fn silent(&self) -> bool {
        self.silent
    }
    fn answered_ms(&self) -> u64 {
        self.answered_ms
    }
    fn load(&self) -> u32 {
        self.load
    }
    fn requests(&self) -> u64 {
        self.requests
    }
}

impl CardView for &C {
    fn kind(&self) -> CardType {
        self.kind
    }
    fn batches(&self, _: u32) -> bool {
        self.batches
    }
    fn online(&self) -> bool {
        self.online
    }
    fn load(&self) -> u32 {
        self.load
    }
    fn requests(&self) -> u64 {
        self.requests
    }
    fn queues(&self) -> impl Iterator<Item = impl QueueView> {
        self.queues.iter()
    }
}

fn q(load: u32, requests: u64) -> Q {
    Q { usable: true, room: true, silent: false, answered_ms: 5, load, requests }
}

fn card(kind: CardType, load: u32, requests: u64, queues: &[Q]) -> C {
    C { kind, batches: false, online: true, load, requests, queues: queues.to_vec() }
}

fn a(load: u32, requests: u64) -> C {
    card(CardType::Cex8A, load, requests, &[q(load, requests)])
}

fn c(load: u32, requests: u64) -> C {
    card(CardType::Cex8C, load, requests, &[q(load, requests)])
}

const RSA_2K: Demand = Demand { lane: Lane::RsaBlock, kind: KeyKind::Rsa { bits: 2048 } };
const RSA_4K: Demand = Demand { lane: Lane::RsaBlock, kind: KeyKind::Rsa { bits: 4096 } };
const RSA_DIGEST: Demand = Demand { lane: Lane::RsaDigest, kind: KeyKind::Rsa { bits: 2048 } };
const EC: Demand = Demand { lane: Lane::Ec, kind: KeyKind::Ec(Curve::P256) };

fn history<'a>(tried: &'a [Position], lost: &'a [Loss]) -> History<'a> {
    History { tried, lost, patient: true }
}

/// Sent after the last reply of the queues here.
fn lost_at(places: &[Position]) -> Vec<Loss> {
    places.iter().map(|place| Loss { place: *place, sent_ms: 6 }).collect()
}

fn won(cards: &[C], demand: Demand, last: Option<(usize, usize)>) -> Option<(usize, usize)> {
    match select(cards.iter(), demand, history(last.as_slice(), &[])) {
        Choice::Queue { card, queue, .. } => Some((card, queue)),
        _ => None,
    }
}

fn won_impatiently(cards: &[C], demand: Demand, last: (usize, usize)) -> Option<(usize, usize)> {
    match select(cards.iter(), demand, History { tried: &[last], lost: &[], patient: false }) {
        Choice::Queue { card, queue, .. } => Some((card, queue)),
        _ => None,
    }
}

#[test]
fn ratings_are_those_of_zcrypt() {
    let rsa = |bits| Demand { lane: Lane::RsaBlock, kind: KeyKind::Rsa { bits } };
    for (kind, bits, rating) in [
        (CardType::Cex8A, 2048, 54),
        (CardType::Cex8A, 3072, 362),
        (CardType::Cex8A, 4096, 362),
        (CardType::Cex8C, 2048, 64),
        (CardType::Cex8C, 2056, 376),
        (CardType::Cex8C, 4096, 376),
    ] {
        assert_eq!(speed_rating(kind, rsa(bits)), Some(rating), "{kind} {bits}");
    }
    assert_eq!(speed_rating(CardType::Cex8A, EC), None);
    assert_eq!(speed_rating(CardType::Cex8A, RSA_DIGEST), None);
    assert_eq!(speed_rating(CardType::Cex8C, RSA_DIGEST), Some(64));
    let ec = |curve| Demand { lane: Lane::Ec, kind: KeyKind::Ec(curve) };
    let ratings = [Curve::P256, Curve::P384, Curve::P521]
        .map(|curve| speed_rating(CardType::Cex8C, ec(curve)).unwrap());
    assert!(ratings.is_sorted(), "{ratings:?}");
}

#[test]
fn the_lowest_cost_wins() {
    // The accelerator is faster, until its load makes up for it.
    assert_eq!(won(&[c(0, 0), a(0, 0)], RSA_2K, None), Some((1, 0)));
    assert_eq!(won(&[c(0, 0), a(9, 0)], RSA_2K, None), Some((1, 0)));
    assert_eq!(won(&[c(0, 0), a(11, 0)], RSA_2K, None), Some((0, 0)));
    assert_eq!(won(&[c(0, 0), a(13, 0)], RSA_4K, None), Some((1, 0)));
    assert_eq!(won(&[c(0, 0), a(15, 0)], RSA_4K, None), Some((0, 0)));
}

#[test]
fn a_batching_accelerator_gets_four_requests_before_a_coprocessor_gets_one() {
    let batching = |load| C { batches: true, ..a(load, 0) };
    for demand in [RSA_2K, RSA_4K] {
        let Choice::Queue { weight, .. } =
            select([&batching(0)].into_iter(), demand, history(&[], &[]))
        else {
            panic!("an idle accelerator takes {demand:?}")
        };
        let goes = |sent| won(&[c(0, 0), batching(sent * weight)], demand, None);
        assert_eq!((0..6).map(goes).filter(|to| *to == Some((1, 0))).count(), 4, "{demand:?}");
    }
    // A coprocessor's rating is for all it does, and stays.
    let coprocessor = C { batches: true, ..c(0, 0) };
    let choice = select([&coprocessor].into_iter(), RSA_DIGEST, history(&[], &[]));
    assert!(matches!(choice, Choice::Queue { weight: 64, .. }));
}

#[test]
fn a_tie_goes_to_the_smaller_number_of_requests() {
    assert_eq!(won(&[a(10, 7), a(10, 6)], RSA_2K, None), Some((1, 0)));
    assert_eq!(won(&[a(10, 6), a(10, 7)], RSA_2K, None), Some((0, 0)));
    assert_eq!(won(&[c(0, 1), a(10, 0)], RSA_2K, None), Some((1, 0)));
    let two = card(CardType::Cex8A, 0, 0, &[q(5, 9), q(5, 8), q(6, 0)]);
    assert_eq!(won(&[two], RSA_2K, None), Some((0, 1)));
}

#[test]
fn cards_are_compared_first_and_then_the_winners_queues() {
    let busy_queue = card(CardType::Cex8A, 0, 0, &[q(500, 0), q(400, 0)]);
    let idle_queue = card(CardType::Cex8A, 1, 0, &[q(0, 0)]);
    assert_eq!(won(&[busy_queue, idle_queue], RSA_2K, None), Some((0, 1)));
}

#[test]
fn only_cards_that_can_do_it_are_candidates() {
    assert_eq!(won(&[a(0, 0), c(900, 9)], EC, None), Some((1, 0)));
    assert_eq!(won(&[a(0, 0), c(900, 9)], RSA_DIGEST, None), Some((1, 0)));
    assert_eq!(select([a(0, 0)].iter(), EC, history(&[], &[])), Choice::None);
    let offline = C { online: false, ..c(0, 0) };
    assert_eq!(select([offline].iter(), EC, history(&[], &[])), Choice::None);
    let broken = card(CardType::Cex8C, 0, 0, &[Q { usable: false, ..q(0, 0) }]);
    assert_eq!(select([broken].iter(), EC, history(&[], &[])), Choice::None);
    assert_eq!(select(std::iter::empty::<&C>(), EC, history(&[], &[])), Choice::None);
}

#[test]
fn full_queues_are_passed_over() {
    let full = Q { room: false, ..q(0, 0) };
    let half = card(CardType::Cex8A, 0, 0, &[full.clone(), q(300, 3)]);
    assert_eq!(won(&[half], RSA_2K, None), Some((0, 1)));
    let card_full = card(CardType::Cex8A, 0, 0, std::slice::from_ref(&full));
    assert_eq!(won(&[card_full, c(800, 0)], RSA_2K, None), Some((1, 0)));
    let all = [card(CardType::Cex8A, 0, 0, std::slice::from_ref(&full))];
    assert_eq!(select(all.iter(), RSA_2K, history(&[], &[])), Choice::AllFull);
    assert_eq!(select(all.iter(), EC, history(&[], &[])), Choice::None);
}

#[test]
fn the_last_card_and_queue_are_avoided() {
    let (load, last) = (0, Some((0, 0)));
    assert_eq!(won(&[a(load, 0), a(load + 999, 0)], RSA_2K, last), Some((1, 0)));
    assert_eq!(won(&[a(load, 0), a(load + 1001, 0)], RSA_2K, last), Some((0, 0)));
    // On the same card the other queue wins, unless it is far more loaded.
    let two = |other| card(CardType::Cex8A, 0, 0, &[q(0, 0), q(other, 0)]);
    assert_eq!(won(&[two(9_999)], RSA_2K, last), Some((0, 1)));
    assert_eq!(won(&[two(10_001)], RSA_2K, last), Some((0, 0)));
    // APQN 00.0000 is penalised like any other; Linux takes it for "none".
    assert_eq!(won(&[two(0)], RSA_2K, last), Some((0, 1)));
    // The only one is taken again.
    assert_eq!(won(&[a(0, 0)], RSA_2K, last), Some((0, 0)));
}

#[test]
fn every_vain_try_is_remembered() {
    let cards = [a(0, 0), a(0, 0), c(900, 0)];
    let won = |tried: &[_]| match select(cards.iter(), RSA_2K, history(tried, &[])) {
        Choice::Queue { card, queue, .. } => (card, queue),
        other => panic!("{other:?}"),
    };
    assert_eq!(won(&[(0, 0)]), (1, 0));
    assert_eq!(won(&[(0, 0), (1, 0)]), (2, 0), "not back to the first");
    assert_eq!(won(&[(0, 0), (1, 0), (2, 0), (0, 0)]), (1, 0), "the least tried one");
}

#[test]
fn a_retry_waits_for_a_full_queue_rather_than_go_back() {
    let full = Q { room: false, ..q(500, 0) };
    let cards = [a(0, 0), card(CardType::Cex8A, 500, 0, std::slice::from_ref(&full))];
    assert_eq!(won(&cards, RSA_2K, None), Some((0, 0)));
    assert_eq!(select(cards.iter(), RSA_2K, history(&[(0, 0)], &[])), Choice::AllFull);
    let one_card = [card(CardType::Cex8A, 0, 0, &[q(0, 0), full.clone()])];
    assert_eq!(select(one_card.iter(), RSA_2K, history(&[(0, 0)], &[])), Choice::AllFull);
    // Not for ever.
    assert_eq!(won_impatiently(&cards, RSA_2K, (0, 0)), Some((0, 0)));
    assert_eq!(won_impatiently(&one_card, RSA_2K, (0, 0)), Some((0, 0)));
    // A queue that is not usable is not waited for.
    let gone = Q { usable: false, ..full };
    let cards = [a(0, 0), card(CardType::Cex8A, 0, 0, &[gone])];
    assert_eq!(won(&cards, RSA_2K, Some((0, 0))), Some((0, 0)));
}

#[test]
fn a_queue_that_failed_it_less_often_is_worth_waiting_for() {
    let full = Q { room: false, answered_ms: 7, ..q(96, 0) };
    let cards = [c(0, 0), card(CardType::Cex8C, 96, 0, &[full])];
    let chosen = |tried: &[_]| select(cards.iter(), EC, history(tried, &lost_at(&[(1, 0)])));
    let refused = Choice::Queue { card: 0, queue: 0, weight: 12 };
    assert_eq!(chosen(&[(1, 0)]), refused, "a queue without a fault has room");
    assert_eq!(chosen(&[(1, 0), (0, 0)]), refused, "one is as good as the other");
    assert_eq!(chosen(&[(1, 0), (0, 0), (0, 0)]), Choice::AllFull);
    // Another one with room that is as good is taken, even if it costs more.
    let cards = [&cards[0], &cards[1], &c(5_000, 0)];
    let chosen = |tried: &[_]| select(cards.into_iter(), EC, history(tried, &lost_at(&[(1, 0)])));
    assert_ne!(chosen(&[(1, 0), (0, 0), (0, 0), (2, 0)]), Choice::AllFull);
    // But a silent one is not: it would have the request lost.
    let mut dead = c(0, 0);
    dead.queues[0].silent = true;
    let cards = [cards[0], cards[1], &dead];
    let chosen = |tried: &[_]| select(cards.into_iter(), EC, history(tried, &lost_at(&[(1, 0)])));
    assert_eq!(chosen(&[(1, 0), (0, 0), (0, 0)]), Choice::AllFull);
}

#[test]
fn a_full_queue_that_lost_it_and_is_silent_is_not_waited_for() {
    let silent = Q { room: false, silent: true, ..q(96, 0) };
    let cards = [c(0, 0), card(CardType::Cex8C, 96, 0, &[silent])];
    let chosen = |tried: &[_], lost: &[_]| select(cards.iter(), EC, history(tried, lost));
    let refused = Choice::Queue { card: 0, queue: 0, weight: 12 };
    let tried = [(1, 0), (0, 0), (0, 0), (0, 0)];
    assert_eq!(chosen(&tried, &lost_at(&[(1, 0)])), refused);
    // It may be slow to one that has not been there.
    assert_eq!(chosen(&tried[1..], &[]), Choice::AllFull);
}

#[test]
fn the_weight_is_the_rating_alone() {
    let choice = select([a(70, 1)].iter(), RSA_2K, history(&[(0, 0)], &[]));
    assert_eq!(choice, Choice::Queue { card: 0, queue: 0, weight: 54 });
}

#[test]
fn a_silent_queue_is_used_when_there_is_no_other() {
    let silent = Q { silent: true, ..q(0, 0) };
    let dead = card(CardType::Cex8A, 0, 0, std::slice::from_ref(&silent));
    assert_eq!(won(&[dead, c(5_000, 9)], RSA_2K, None), Some((1, 0)));
    let half = card(CardType::Cex8A, 0, 0, &[silent.clone(), q(700, 9)]);
    assert_eq!(won(&[half, c(5_000, 9)], RSA_2K, None), Some((0, 1)));
    let dead = card(CardType::Cex8A, 0, 0, &[silent]);
    assert_eq!(won(&[dead], RSA_2K, None), Some((0, 0)));
}

#[test]
fn a_request_does_not_go_back_to_a_queue_that_has_lost_it() {
    let cards = [a(0, 0), c(5_000, 9)];
    let chosen = |lost: &[_]| select(cards.iter(), RSA_2K, history(lost, &lost_at(lost)));
    assert_eq!(chosen(&[(0, 0)]), Choice::Queue { card: 1, queue: 0, weight: 64 });
    assert_eq!(chosen(&[(0, 0), (1, 0)]), Choice::None);
}

#[test]
fn a_request_goes_back_once_to_a_queue_that_answers_others_again() {
    let answers = Q { answered_ms: 7, ..q(0, 0) };
    let cards = [card(CardType::Cex8C, 0, 0, &[answers]), c(0, 0)];
    let chosen = |lost: &[_]| select(cards.iter(), EC, history(lost, &lost_at(lost)));
    assert_eq!(chosen(&[(0, 0), (1, 0)]), Choice::Queue { card: 0, queue: 0, weight: 12 });
    assert_eq!(chosen(&[(0, 0), (1, 0), (0, 0)]), Choice::None);
}

#[test]
fn who_is_refused_again_and_again_tries_a_silent_queue() {
    let silent = Q { silent: true, ..q(0, 0) };
    let cards = [card(CardType::Cex8C, 0, 0, std::slice::from_ref(&silent)), c(500, 9)];
    assert_eq!(won(&cards, EC, Some((1, 0))), Some((1, 0)), "one refusal is an accident");
    let chosen = |tried: &[_]| select(cards.iter(), EC, history(tried, &[]));
    assert_eq!(chosen(&[(1, 0); 2]), Choice::Queue { card: 1, queue: 0, weight: 12 });
    assert_eq!(chosen(&[(1, 0); 3]), Choice::Queue { card: 0, queue: 0, weight: 12 });
    // The same between queues of one card.
    let one = [card(CardType::Cex8C, 0, 0, &[silent, q(500, 9)])];
    let chosen = |tried: &[_]| select(one.iter(), EC, history(tried, &[]));
    assert_eq!(chosen(&[(0, 1); 2]), Choice::Queue { card: 0, queue: 1, weight: 12 });
    assert_eq!(chosen(&[(0, 1); 3]), Choice::Queue { card: 0, queue: 0, weight: 12 });
}

#[test]
fn a_queue_that_has_lost_a_request_gets_it_twice_more_if_the_others_refuse_it() {
    let cards = [c(0, 0), c(500, 9)];
    let chosen =
        |tried: &[_], lost: &[_]| match select(cards.iter(), EC, history(tried, &lost_at(lost))) {
            Choice::Queue { card, .. } => Some(card),
            _ => None,
        };
    let refused = [(0, 0), (1, 0), (1, 0), (1, 0)];
    assert_eq!(chosen(&refused[..3], &[(0, 0)]), Some(1));
    assert_eq!(chosen(&refused, &[(0, 0)]), Some(0));
    assert_eq!(
        chosen(&[(0, 0), (0, 0), (1, 0), (1, 0)], &[(0, 0); 2]),
        Some(1),
        "not refused often"
    );
    let twice = [&[(0, 0)], &refused[..]].concat();
    assert_eq!(chosen(&twice, &[(0, 0); 2]), Some(0));
    let thrice = [&[(0, 0)], &twice[..]].concat();
    assert_eq!(chosen(&thrice, &[(0, 0); 3]), Some(1));
}
