//! Which queue gets a request: the cheapest, as in the Linux zcrypt driver.
//!
//! cost of a card  = its load + speed rating of the request + 1000 for each vain try there
//! cost of a queue = its load + speed rating of the request + 10000 for each vain try there
//!
//! zcrypt remembers the last try only; a request would then go to and fro between two failing
//! queues until its tries are used up, while a third one could do it.
//!
//! The lowest cost wins, a tie goes to the smaller number of requests so far. Cards are compared
//! first, then the queues of the winner. While a request is in flight its rating is part of the
//! load of card and queue. Full queues are passed over; that all are full is an answer of its own.
//! A retry rather waits for a full queue than goes back to one that has failed it more often, as
//! long as it is patient, but not for one that has lost it and is silent since.
//!
//! Beyond zcrypt: an accelerator that does RSA in batches is rated at a quarter, for a request that
//! joins a batch costs next to nothing and one sent elsewhere spoils it: the first four go to the
//! accelerator, and of more one in five to a coprocessor, until the accelerator is full.
//!
//! Beyond zcrypt, too: a queue that lost its last requests costs more than all others until its
//! silence is over, so that a dead card makes one client wait and not each of them; and a request
//! that was lost in a queue does not go back to it, so that it fails, or is done by the host, while
//! its client still waits, unless the queue has answered others since. Both end for a request that
//! is [desperate](History::is_desperate): a queue that was silent a moment ago may work again, and
//! the one that always works may be broken now.

use crate::config::CardType;
use crate::key::{Curve, KeyKind};

use super::Lane;

/// Indices of a card and of one of its queues.
type Position = (usize, usize);

/// Added to the cost of a card for each vain try.
pub(crate) const CARD_PENALTY: u32 = 1_000;
/// Added to the cost of a queue for each vain try.
pub(crate) const QUEUE_PENALTY: u32 = 10_000;

/// Added to the cost of a queue that is silent, and of a card all of whose queues are.
pub(crate) const SILENT_PENALTY: u32 = 1_000_000;

/// Refusals after which a request no longer spares the queues that have lost something.
const DESPERATE_AFTER: usize = 3;

/// A try that was never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) place: Position,
    /// When the request was sent there, in milliseconds since the start.
    pub(crate) sent_ms: u64,
}

/// What a request has met so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct History<'a> {
    /// Card and queue of each vain try.
    pub(crate) tried: &'a [Position],
    /// Those among them where it found no answer at all.
    pub(crate) lost: &'a [Loss],
    /// It may wait for a full queue that has failed it less often than another.
    pub(crate) patient: bool,
}

impl History<'_> {
    fn vain_tries(&self, at: impl Fn(&Position) -> bool) -> u32 {
        self.tried.iter().filter(|place| at(place)).map(|_| 1).sum()
    }

    /// Refused so often by queues that answer that it takes its chance with one that may not.
    fn is_desperate(&self) -> bool {
        let is_lost = |place: &Position| self.lost.iter().any(|loss| loss.place == *place);
        self.tried.iter().filter(|place| !is_lost(place)).count() >= DESPERATE_AFTER
    }

    /// Whether that queue is closed to it. There is a second chance where the queue has answered
    /// others since the request was sent there, for a loss is noticed late; two for a desperate
    /// request, which is lost with the others whenever a slow card is reset; and never more.
    fn is_barred(&self, place: Position, queue: &impl QueueView) -> bool {
        let mut losses = self.lost.iter().filter(|loss| loss.place == place);
        match (losses.next(), losses.count()) {
            (None, _) => false,
            (Some(_), 0 | 1) if self.is_desperate() => false,
            (Some(loss), 0) => queue.answered_ms() <= loss.sent_ms,
            _ => true,
        }
    }
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) lane: Lane,
    pub(crate) kind: KeyKind,
}

/// Speed rating of a request on a card type, lower is faster; `None` if the card cannot do it.
///
/// RSA figures are those of zcrypt for CRT keys: up to 256 bytes "2k", above "4k". zcrypt rates
/// no ECDSA; ours are of the same scale (an RSA-2048 signature is 64): P-256 is several times
/// cheaper than RSA-2048, P-384 comes near it, P-521 is a little above.
pub(crate) fn speed_rating(card: CardType, demand: Demand) -> Option<u32> {
    match (card, demand.lane, demand.kind) {
        (CardType::Cex8A, Lane::RsaBlock, KeyKind::Rsa { bits: ..=2048 }) => Some(54),
        (CardType::Cex8A, Lane::RsaBlock, KeyKind::Rsa { .. }) => Some(362),
        (CardType::Cex8C, Lane::RsaBlock | Lane::RsaDigest, KeyKind::Rsa { bits: ..=2048 }) => {
            Some(64)
        }
        (CardType::Cex8C, Lane::RsaBlock | Lane::RsaDigest, KeyKind::Rsa { .. }) => Some(376),
        (CardType::Cex8C, Lane::Ec, KeyKind::Ec(curve)) => Some(match curve {
            Curve::P256 => 12,
            Curve::P384 => 50,
            Curve::P521 => 80,
        }),
        _ => None,
    }
}

/// Requests that a batching accelerator does for about the price of one.
const BATCH_SHARE: u32 = 4;

/// The rating of a request on this card.
fn rating<C: CardView>(card: &C, demand: Demand) -> Option<u32> {
    let rating = speed_rating(card.kind(), demand)?;
    let shared = match demand.kind {
        KeyKind::Rsa { bits } => card.kind() == CardType::Cex8A && card.batches(bits),
        KeyKind::Ec(_) => false,
    };
    Some(if shared { rating / BATCH_SHARE } else { rating })
}

/// A queue as the selection sees it.
pub(crate) trait QueueView {
    /// Online and able to take requests.
    fn usable(&self) -> bool;
    fn has_room(&self) -> bool;
    /// It lost the requests it had last, and it is too early to try it again.
    fn silent(&self) -> bool;
    /// When it answered last, or somebody took care of it, in milliseconds since the start.
    fn answered_ms(&self) -> u64;
    fn load(&self) -> u32;
    fn requests(&self) -> u64;
}

/// A card as the selection sees it.
pub(crate) trait CardView {
    fn kind(&self) -> CardType;
    /// Does RSA requests of this size together, and gains by it.
    fn batches(&self, bits: u32) -> bool;
    /// Taken online by the administrator.
    fn online(&self) -> bool;
    fn load(&self) -> u32;
    fn requests(&self) -> u64;
    fn queues(&self) -> impl Iterator<Item = impl QueueView>;
}

/// Result of a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// This queue of this card (indices), at this speed rating.
    Queue { card: usize, queue: usize, weight: u32 },
    /// There are queues that could do it, all full, or those are that a retry rather waits for.
    AllFull,
    /// No queue can do it.
    None,
}

/// Chooses a queue.
pub(crate) fn select<C: CardView>(
    cards: impl Iterator<Item = C>,
    demand: Demand,
    history: History<'_>,
) -> Choice {
    let mut best: Option<((u32, u64), Choice)> = None;
    let mut candidates = false;
    // Vain tries of the queue that failed it least: of those that answer and have room, and of
    // those that are full.
    let (mut with_room, mut full) = (u32::MAX, u32::MAX);
    for (card, view) in cards.enumerate() {
        let Some(weight) = rating(&view, demand).filter(|_| view.online()) else {
            continue;
        };
        let mut penalty = CARD_PENALTY * history.vain_tries(|place| place.0 == card);
        let mut silent = true;
        let queues = view.queues().enumerate().filter(|(_, view)| view.usable());
        let open = |(queue, view): &(usize, _)| !history.is_barred((card, *queue), view);
        for (queue, view) in queues.filter(open) {
            let is_silent = view.silent();
            candidates = true;
            silent &= is_silent;
            if !history.patient {
                continue;
            }
            let vain = history.vain_tries(|place| *place == (card, queue));
            match (view.has_room(), is_silent) {
                (true, false) => with_room = with_room.min(vain),
                (true, true) => {}
                // One that has lost it and is silent holds others for ever, not for a while.
                (false, true) if vain > 0 => {}
                (false, _) => full = full.min(vain),
            }
        }
        if silent && !history.is_desperate() {
            penalty += SILENT_PENALTY;
        }
        let cost = (view.load().saturating_add(weight + penalty), view.requests());
        if best.is_some_and(|(lowest, _)| cost >= lowest) {
            continue;
        }
        if let Some(queue) = select_queue(card, view.queues(), weight, history) {
            best = Some((cost, Choice::Queue { card, queue, weight }));
        }
    }
    match best {
        Some((_, Choice::Queue { card, queue, .. }))
            if full < with_room.min(history.vain_tries(|at| *at == (card, queue))) =>
        {
            Choice::AllFull
        }
        Some((_, choice)) => choice,
        None if candidates => Choice::AllFull,
        None => Choice::None,
    }
}

fn select_queue<Q: QueueView>(
    card: usize,
    queues: impl Iterator<Item = Q>,
    weight: u32,
    history: History<'_>,
) -> Option<usize> {
    let cost = |index, queue: &Q| {
        let vain = history.vain_tries(|place| *place == (card, index));
        let heeded = queue.silent() && !history.is_desperate();
        let penalty = QUEUE_PENALTY * vain + if heeded { SILENT_PENALTY } else { 0 };
        (queue.load().saturating_add(weight + penalty), queue.requests())
    };
    queues
        .enumerate()
        .filter(|(index, queue)| {
            queue.usable() && queue.has_room() && !history.is_barred((card, *index), queue)
        })
        .min_by_key(|(index, queue)| cost(*index, queue))
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests;
