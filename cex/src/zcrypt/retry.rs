//! What becomes of a reply: the loop of zcrypt, run in the caller's context.
//!
//! Decoding, checking and retrying are host work and are done in the thread that drains the
//! port, so that they are counted there and the card's thread only makes replies. A request
//! that is tried again gives no completion yet.
//!
//! Invariant: no RSA result leaves without having been checked with the public exponent; one
//! wrong CRT result would give the private key away.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::error::{self, Cause, Verdict};
use super::select::Loss;
use super::{Ticket, Zcrypt};
use crate::ap::bus::Place;
use crate::ap::message::Reply;
use crate::ap::queue::Outcome;
use crate::ap::response::ResponseCode;
use crate::config::{CardType, NoCard, Verify};
use crate::device::thread_cpu;
use crate::msg;
use crate::request::{Completion, Failure, Path, Trace};

/// Most tries of one request.
pub(crate) const MAX_TRIES: u8 = 10;

/// How a reply was judged.
enum Judgement {
    Signature(Vec<u8>),
    Again(Cause),
    Invalid(Cause),
}

impl Zcrypt {
    /// Judges what came back. `None`: the request is on its way again.
    pub(crate) fn judge(&self, mut ticket: Box<Ticket>, outcome: Outcome) -> Option<Completion> {
        let mut trace = Trace {
            apqn: ticket.place.map(|place| self.bus.queue(place).apqn),
            ..Trace::default()
        };
        let judgement = match outcome {
            Outcome::Reply(reply) => {
                trace.queue = reply.served.began.saturating_duration_since(ticket.submitted);
                trace.service = reply.served.ended.saturating_duration_since(reply.served.began);
                trace.card_cpu = reply.served.cpu;
                self.judge_reply(&ticket, &reply)
            }
            Outcome::Again(cause) => Judgement::Again(cause),
            Outcome::Invalid(code) => Judgement::Invalid(Cause::Ap(code)),
        };
        match judgement {
            Judgement::Signature(signature) => Some(ticket.finish(Ok(signature), trace)),
            Judgement::Invalid(cause) => Some(ticket.finish(Err(cause.into()), trace)),
            Judgement::Again(cause) => {
                // "No card" and the like is no fault of a queue; the cause before it says more.
                if !matches!(cause, Cause::NoCard | Cause::Shed | Cause::Shutdown) {
                    ticket.last_cause = Some(cause);
                    ticket.failed = Some(Instant::now());
                    let place = ticket.place.map(|place| (place.card, place.queue));
                    ticket.tried.extend(place);
                    if cause == Cause::TimedOut {
                        let sent_ms = ticket.sent_ms;
                        ticket.lost.extend(place.map(|place| Loss { place, sent_ms }));
                    }
                }
                self.again(ticket, cause, trace)
            }
        }
    }

    fn judge_reply(&self, ticket: &Ticket, reply: &Reply) -> Judgement {
        let Some(place) = ticket.place else { return Judgement::Again(Cause::MalformedReply) };
        let result_len = ticket.request.key.modulus_len().unwrap_or(0);
        match msg::decode_reply(&reply.bytes, result_len) {
            Ok(signature) if self.verified(ticket, place, &signature, reply.checked) => {
                Judgement::Signature(signature)
            }
            Ok(_) => {
                self.zqueue(place).stats.verify_failures.fetch_add(1, Relaxed);
                self.set_online(place, false);
                Judgement::Again(Cause::WrongResult)
            }
            Err(fault) => {
                self.zqueue(place).stats.error_replies.fetch_add(1, Relaxed);
                let (cause, verdict) = error::judge(fault);
                match verdict {
                    Verdict::Invalid => Judgement::Invalid(cause),
                    Verdict::Retry => Judgement::Again(cause),
                    Verdict::RetryOffline => {
                        self.set_online(place, false);
                        Judgement::Again(cause)
                    }
                }
            }
        }
    }

    /// The check with the public key. An RSA result is `checked` when the engine of its card has
    /// seen to it; else an accelerator's must give the block back, and a coprocessor's, which
    /// padded by itself, is verified as a signature.
    fn verified(&self, ticket: &Ticket, place: Place, signature: &[u8], checked: bool) -> bool {
        let request = &ticket.request;
        match &request.block {
            _ if checked => true,
            Some(block) if self.bus.cards[place.card].hw.kind == CardType::Cex8A => {
                request.key.undoes(signature, block)
            }
            _ if request.scheme.is_rsa() || self.config.verify == Verify::All => {
                request.key.verifies(request.scheme, &request.digest, signature)
            }
            _ => true,
        }
    }

    fn again(&self, ticket: Box<Ticket>, cause: Cause, trace: Trace) -> Option<Completion> {
        if matches!(cause, Cause::Shed | Cause::Shutdown) || self.stopping() {
            let failure = if cause == Cause::Shed { Failure::Shed } else { Failure::Shutdown };
            return Some(ticket.finish(Err(failure), trace));
        }
        if ticket.tries >= MAX_TRIES {
            // Cards that refuse it ten times are as good as none.
            return Some(match self.config.no_card {
                NoCard::Software => self.in_software(*ticket),
                NoCard::Fail => ticket.finish(Err(cause.into()), trace),
            });
        }
        let tried = ticket.place;
        match self.dispatch(ticket) {
            Ok(()) => {
                if let Some(place) = tried {
                    self.zqueue(place).stats.retries.fetch_add(1, Relaxed);
                }
                None
            }
            Err((ticket, Failure::NoCard)) if self.config.no_card == NoCard::Software => {
                Some(self.in_software(*ticket))
            }
            Err((ticket, Failure::NoCard)) => {
                let failure = none_left(&ticket);
                Some(ticket.finish(Err(failure), trace))
            }
            Err((ticket, failure)) => Some(ticket.finish(Err(failure), trace)),
        }
    }

    /// The host does it, here and now, with the same check.
    fn in_software(&self, ticket: Ticket) -> Completion {
        let (began, cpu) = (Instant::now(), thread_cpu());
        let request = &ticket.request;
        let result = self.keys.find(request.key.handle()).ok_or(Failure::NoCard);
        let result = result.and_then(|key| {
            key.sign(request.scheme, &request.digest).map_err(|_| Failure::BadRequest)
        });
        let must_check = request.scheme.is_rsa() || self.config.verify == Verify::All;
        let result = result.and_then(|signature| {
            let right =
                !must_check || request.key.verifies(request.scheme, &request.digest, &signature);
            if right { Ok(signature) } else { Err(Failure::WrongResult) }
        });
        self.software.fetch_add(1, Relaxed);
        let trace = Trace {
            path: Path::Software,
            queue: began.saturating_duration_since(ticket.submitted),
            service: began.elapsed(),
            card_cpu: thread_cpu().checked_sub(cpu).unwrap_or(Duration::ZERO),
            ..Trace::default()
        };
        ticket.finish(result, trace)
    }
}

/// Why nothing is left for a request. That the queues which are there have lost it, or are being
/// repaired after what they answered, says more than that there is none.
fn none_left(ticket: &Ticket) -> Failure {
    match ticket.last_cause {
        _ if !ticket.lost.is_empty() => Failure::TimedOut,
        Some(Cause::Ap(code)) if !gone(code) => Failure::Ap(code),
        _ => Failure::NoCard,
    }
}

/// Whether the code says that the card itself is not there.
fn gone(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::Deconfigured | ResponseCode::Checkstopped)
}

#[cfg(test)]
mod tests;
