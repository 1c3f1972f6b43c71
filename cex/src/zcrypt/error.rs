//! What a refusal means: try elsewhere, give up, or also take the queue offline.
//!
//! The one place where response codes, reply codes and return codes of the coprocessor are
//! judged. The table is that of the Linux zcrypt driver; where it says `EAGAIN` the request is
//! tried on another queue, where it says `EINVAL` it is not.

use thiserror::Error;

use crate::ap::response::ResponseCode;
use crate::msg::{ReplyCode, ReplyFault};

/// Why one try on one queue gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Cause {
    /// The queue refused or flushed the request.
    #[error("{0}")]
    Ap(ResponseCode),
    /// The card answered with an error reply.
    #[error("{0}")]
    Reply(ReplyCode),
    /// The coprocessor's service ended with these codes.
    #[error("coprocessor return code {return_code}, reason code {reason_code}")]
    Cca {
        /// Return code.
        return_code: u16,
        /// Reason code.
        reason_code: u16,
    },
    /// The reply was too short or of an unknown type.
    #[error("malformed reply")]
    MalformedReply,
    /// The result did not pass the check with the public key.
    #[error("wrong result")]
    WrongResult,
    /// No reply in time; the queue was reset.
    #[error("no reply in time")]
    TimedOut,
    /// The queue was taken offline.
    #[error("queue offline")]
    Offline,
    /// No card could do it.
    #[error("no card")]
    NoCard,
    /// It waited too long in front of the bus.
    #[error("waited too long")]
    Shed,
    /// The bus is shutting down.
    #[error("shutting down")]
    Shutdown,
}

/// Why a request has no signature, in the words of the hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// Last refusal of a queue.
    #[error("{0}")]
    Ap(ResponseCode),
    /// Last error reply of a card.
    #[error("{0}")]
    Reply(ReplyCode),
    /// The coprocessor's service ended with these codes.
    #[error("coprocessor return code {return_code}, reason code {reason_code}")]
    Cca {
        /// Return code.
        return_code: u16,
        /// Reason code.
        reason_code: u16,
    },
    /// Every reply was too short or of an unknown type.
    #[error("malformed reply from the card")]
    MalformedReply,
    /// Every result failed the check with the public key.
    #[error("wrong result from the card; it was not released")]
    WrongResult,
    /// No reply in time.
    #[error("no reply from the card in time")]
    TimedOut,
    /// No card is there, online and able to do this request.
    #[error("no card can do this request; see `cards` for their state")]
    NoCard,
    /// Too many requests wait in front of the bus.
    #[error("too many requests wait for a card")]
    FifoFull,
    /// The request waited too long in front of the bus.
    #[error("request waited too long for a card")]
    Shed,
    /// Key, scheme, digest and block do not fit together.
    #[error("key, scheme, digest and block of the request do not fit together")]
    BadRequest,
    /// The bus is shutting down.
    #[error("the card bus is shutting down")]
    Shutdown,
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Ap(code) => Self::Ap(code),
            Cause::Reply(code) => Self::Reply(code),
            Cause::Cca { return_code, reason_code } => Self::Cca { return_code, reason_code },
            Cause::MalformedReply => Self::MalformedReply,
            Cause::WrongResult => Self::WrongResult,
            Cause::TimedOut => Self::TimedOut,
            Cause::Offline | Cause::NoCard => Self::NoCard,
            Cause::Shed => Self::Shed,
            Cause::Shutdown => Self::Shutdown,
        }
    }
}

/// What to do about a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// `EAGAIN`: another queue may do it.
    Retry,
    /// `EAGAIN`, and the queue goes offline until an administrator or a repair brings it back.
    RetryOffline,
    /// `EINVAL`: the request itself is wrong.
    Invalid,
}

/// Judges an error reply.
pub(crate) fn judge(fault: ReplyFault) -> (Cause, Verdict) {
    match fault {
        ReplyFault::Code(code) => (Cause::Reply(code), judge_code(code)),
        ReplyFault::Cca { return_code, reason_code } => {
            let verdict = match (return_code, reason_code) {
                (8, 65 | 66 | 72 | 770) | (12, 769) => Verdict::Invalid,
                _ => Verdict::RetryOffline,
            };
            (Cause::Cca { return_code, reason_code }, verdict)
        }
        ReplyFault::Malformed => (Cause::MalformedReply, Verdict::RetryOffline),
    }
}

fn judge_code(code: ReplyCode) -> Verdict {
    match code.0 {
        0x22 | 0x23 | 0x24 | 0x29 | 0x34 | 0x40 | 0x41 | 0x80 | 0x82 | 0x84 | 0x85 | 0x8A
        | 0x8B | 0xA0 => Verdict::Invalid,
        _ => Verdict::Retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reply_codes_are_judged_as_zcrypt_does() {
        let invalid =
            [0x22, 0x23, 0x24, 0x29, 0x34, 0x40, 0x41, 0x80, 0x82, 0x84, 0x85, 0x8A, 0x8B, 0xA0];
        for code in ReplyCode::ALL {
            let expected =
                if invalid.contains(&code.0) { Verdict::Invalid } else { Verdict::Retry };
            assert_eq!(judge(ReplyFault::Code(*code)), (Cause::Reply(*code), expected));
        }
        assert_eq!(judge_code(ReplyCode(0x77)), Verdict::Retry);
    }

    #[test]
    fn coprocessor_codes_outside_the_table_take_the_queue_offline() {
        let cca = |return_code, reason_code| judge(ReplyFault::Cca { return_code, reason_code }).1;
        for (rc, rs) in [(8, 65), (8, 66), (8, 72), (8, 770), (12, 769)] {
            assert_eq!(cca(rc, rs), Verdict::Invalid);
        }
        assert_eq!(cca(8, 67), Verdict::RetryOffline);
        assert_eq!(cca(16, 99), Verdict::RetryOffline);
        assert_eq!(judge(ReplyFault::Malformed).1, Verdict::RetryOffline);
    }
}
