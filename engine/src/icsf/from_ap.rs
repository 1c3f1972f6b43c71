//! From a failure of a card or queue to a return code and a reason code.
//!
//! cex speaks the hardware's words: response codes of the AP instructions, reply codes of a card,
//! return and reason code of a coprocessor's own service. Each has its row here; nothing is
//! guessed, and a code that must not occur is reported as one that must not occur.
//!
//! A coprocessor's code is passed through where ICSF has the same pair, as ICSF does itself.
//!
//! Source: `ap.h` and `zcrypt_error.h` of the Linux kernel for the codes; IBM "z/OS ICSF
//! Application Programmer's Guide" for what they become.

use cex::{Cause, Failure, ReplyCode, ResponseCode};

use super::{Code, ReasonCode, ReturnCode, Service, ServiceFailure, table};

/// A signature that could not be made, in ICSF's words.
#[must_use]
pub fn failure(failure: &Failure) -> ServiceFailure {
    ServiceFailure::new(Service::CSFPPKS, code(failure))
}

/// The code of a request's end.
#[must_use]
pub fn code(failure: &Failure) -> &'static Code {
    match *failure {
        Failure::Ap(code) => response(code),
        Failure::Reply(code) => reply(code),
        Failure::Cca { return_code, reason_code } => coprocessor(return_code, reason_code),
        Failure::MalformedReply => &table::REPLY_TRUNCATED,
        Failure::WrongResult => &table::WRONG_RESULT,
        Failure::TimedOut => &table::TIMED_OUT,
        Failure::NoCard => &table::NO_CARD,
        Failure::FifoFull => &table::FIFO_FULL,
        Failure::Shed => &table::SHED,
        Failure::BadRequest => &table::KEY_TYPE_MECHANISM,
        Failure::Shutdown => &table::SHUTTING_DOWN,
    }
}

/// The code of one try on one queue, for a request that was retried.
#[must_use]
pub fn cause(cause: &Cause) -> &'static Code {
    match *cause {
        Cause::Ap(code) => response(code),
        Cause::Reply(code) => reply(code),
        Cause::Cca { return_code, reason_code } => coprocessor(return_code, reason_code),
        Cause::MalformedReply => &table::REPLY_TRUNCATED,
        Cause::WrongResult => &table::WRONG_RESULT,
        Cause::TimedOut => &table::TIMED_OUT,
        Cause::Offline => &table::OFFLINE,
        Cause::NoCard => &table::NO_CARD,
        Cause::Shed => &table::SHED,
        Cause::Shutdown => &table::SHUTTING_DOWN,
    }
}

/// A key that could not be loaded into the cards; none for what is no matter of a key.
#[must_use]
pub fn key_load(error: &cex::Error) -> Option<ServiceFailure> {
    let code = match error {
        cex::Error::KeyEncoding | cex::Error::KeyRejected { .. } => &table::KEY_INVALID,
        cex::Error::KeyAlgorithm | cex::Error::NoCardForKey { .. } => &table::KEY_TYPE_FUNCTION,
        cex::Error::KeyCurve | cex::Error::KeySize { .. } => &table::LENGTH_INVALID,
        cex::Error::KeyMismatch { .. } => &table::KEY_PAIR_MISMATCH,
        // Configuration and resources, and what may be added there.
        _ => return None,
    };
    Some(ServiceFailure::new(Service::CSFPTRC, code))
}

/// A response code of an AP instruction.
#[must_use]
pub fn response(code: ResponseCode) -> &'static Code {
    use ResponseCode as R;
    match code {
        // No failure, so it must not end a request.
        R::Normal => &table::UNCLASSIFIED,
        R::QueueNotAvailable | R::IndexTooBig => &table::QUEUE_NOT_AVAILABLE,
        R::ResetInProgress => &table::RESET_IN_PROGRESS,
        R::Deconfigured => &table::DECONFIGURED,
        R::Checkstopped => &table::CHECKSTOPPED,
        R::Busy => &table::BUSY,
        R::InvalidAddress | R::InvalidGisa => &table::INTERRUPT_SETUP,
        R::OtherwiseChanged | R::StateChangeInProgress => &table::STATE_CHANGE,
        R::BoundToOther
        | R::NotBound
        | R::BindError
        | R::NotAvailableForAssociation
        | R::NotEmpty
        | R::BindLimitExceeded
        | R::InvalidAssociationSecret
        | R::SecretNotUnique
        | R::AssociationFailed => &table::BINDING,
        // "No reply" is no end of a request either, so here it is the full queue.
        R::QueueFullOrNoReply => &table::QUEUE_FULL,
        R::NoFirstPart => &table::MESSAGE_REJECTED,
        R::MessageTooBig => &table::MESSAGE_TOO_LONG,
        R::FacilityNotInstalled => &table::FACILITY_NOT_INSTALLED,
        R::InvalidDomain => &table::DOMAIN_NOT_VALID,
    }
}

/// A reply code of a card.
#[must_use]
pub fn reply(code: ReplyCode) -> &'static Code {
    match code {
        ReplyCode::MACHINE_FAILURE => &table::COPROCESSOR_FAILED,
        ReplyCode::PREEMPT_FAILURE | ReplyCode::CHECKPOINT_FAILURE => &table::PREEMPTED,
        ReplyCode::MESSAGE_TYPE
        | ReplyCode::INVALID_COMM_CODE
        | ReplyCode::MESSAGE_MALFORMED
        | ReplyCode::INVALID_LENGTH
        | ReplyCode::RESERVED_FIELD
        | ReplyCode::FORMAT_FIELD
        | ReplyCode::INVALID_COMMAND
        | ReplyCode::MALFORMED_SPECIAL
        | ReplyCode::INVALID_SPECIAL
        | ReplyCode::RESERVED_FIELD_OLD
        | ReplyCode::WORD_ALIGNMENT
        | ReplyCode::RESERVED_FIELD_88
        | ReplyCode::PACKET_TRUNCATED
        | ReplyCode::ZERO_BUFFER_LENGTH => &table::MESSAGE_REJECTED,
        ReplyCode::KEY_TYPE => &table::KEY_TYPE_FUNCTION,
        ReplyCode::MESSAGE_LENGTH | ReplyCode::OPERAND_SIZE => &table::LENGTH_INVALID,
        ReplyCode::OPERAND_INVALID | ReplyCode::EVEN_MODULUS => &table::KEY_VALUE_INVALID,
        ReplyCode::INVALID_DOMAIN_PENDING | ReplyCode::FILTERED_BY_HYPERVISOR => {
            &table::DOMAIN_NOT_VALID
        }
        ReplyCode::TRANSPORT_FAIL => &table::TRANSPORT_FAILED,
        // A byte has 256 values; the test sees to it that none of the table lands here.
        _ => &table::REPLY_UNKNOWN,
    }
}

/// Return and reason code of a coprocessor's own service (CCA, decimal in its manuals).
#[must_use]
pub fn coprocessor(return_code: u16, reason_code: u16) -> &'static Code {
    match (return_code, reason_code) {
        // The value or the key is not valid for the service.
        (8, 65 | 66) => &table::KEY_VALUE_INVALID,
        // The key token is bad, or not operational.
        (8, 770) | (12, 769) => &table::KEY_INVALID,
        // A zero return code is no failure, so it must not end a request.
        (0, _) => &table::UNCLASSIFIED,
        _ => {
            let pair = (ReturnCode(return_code.into()), ReasonCode(reason_code.into()));
            table::find(pair.0, pair.1).unwrap_or(&table::COPROCESSOR_SERVICE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every response code of `ap.h` with the pair it is documented to lead to.
    const RESPONSES: &[(u8, &str)] = &[
        (0x00, "16/AD3F"),
        (0x01, "12/AD06"),
        (0x02, "12/AD07"),
        (0x03, "12/AD08"),
        (0x04, "16/AD09"),
        (0x05, "12/AD0A"),
        (0x06, "12/AD16"),
        (0x07, "12/AD0B"),
        (0x08, "12/AD16"),
        (0x09, "12/AD0C"),
        (0x0A, "12/AD0B"),
        (0x0B, "12/AD0C"),
        (0x10, "12/AD01"),
        (0x11, "12/AD06"),
        (0x13, "8/AD10"),
        (0x15, "8/AD0F"),
        (0x16, "12/AD15"),
        (0x30, "12/AD0C"),
        (0x31, "12/AD0C"),
        (0x32, "12/AD0C"),
        (0x33, "12/AD0C"),
        (0x34, "12/AD0C"),
        (0x35, "12/AD0C"),
        (0x36, "12/AD0C"),
        (0x42, "12/AD11"),
    ];

    /// Every reply code of a card with the pair it is documented to lead to.
    const REPLIES: &[(u8, &str)] = &[
        (0x10, "12/3EB8"),
        (0x12, "12/AD18"),
        (0x14, "12/AD18"),
        (0x20, "8/AD10"),
        (0x21, "8/AD10"),
        (0x22, "8/AD10"),
        (0x23, "8/AD10"),
        (0x24, "8/AD10"),
        (0x29, "8/AD10"),
        (0x30, "8/AD10"),
        (0x34, "8/86A"),
        (0x40, "8/AD10"),
        (0x41, "8/AD10"),
        (0x50, "8/AD10"),
        (0x60, "8/AD10"),
        (0x80, "8/48"),
        (0x82, "8/2B00"),
        (0x84, "8/48"),
        (0x85, "8/2B00"),
        (0x88, "8/AD10"),
        (0x8A, "12/AD11"),
        (0x8B, "12/AD11"),
        (0x90, "12/AD12"),
        (0xA0, "8/AD10"),
        (0xB0, "8/AD10"),
    ];

    #[test]
    fn every_response_code_leads_to_the_documented_pair() {
        let documented: Vec<_> = RESPONSES.iter().map(|(number, _)| *number).collect();
        let numbers: Vec<_> = ResponseCode::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers, documented);
        for (code, (_, pair)) in ResponseCode::ALL.iter().zip(RESPONSES) {
            assert_eq!(super::code(&Failure::Ap(*code)).short(), *pair, "{code}");
            assert_eq!(cause(&Cause::Ap(*code)).short(), *pair, "{code}");
        }
    }

    #[test]
    fn every_reply_code_leads_to_the_documented_pair() {
        let documented: Vec<_> = REPLIES.iter().map(|(number, _)| *number).collect();
        let numbers: Vec<_> = ReplyCode::ALL.iter().map(|code| code.0).collect();
        assert_eq!(numbers, documented);
        for (code, (_, pair)) in ReplyCode::ALL.iter().zip(REPLIES) {
            assert_eq!(super::code(&Failure::Reply(*code)).short(), *pair, "{code}");
            assert_eq!(cause(&Cause::Reply(*code)).short(), *pair, "{code}");
        }
        for number in 0..=u8::MAX {
            let unknown = reply(ReplyCode(number)) == &table::REPLY_UNKNOWN;
            assert_eq!(unknown, !documented.contains(&number), "{number:02X}");
        }
    }

    #[test]
    fn codes_of_the_coprocessor() {
        let documented = [
            (8, 65, "8/2B00"),
            (8, 66, "8/2B00"),
            (8, 72, "8/48"),
            (8, 770, "8/2734"),
            (12, 769, "8/2734"),
            // The same pair in ICSF is passed through.
            (8, 2012, "8/7DC"),
            (12, 8, "12/8"),
            (4, 9999, "12/AD19"),
            (16, 99, "12/AD19"),
            (0, 0, "16/AD3F"),
        ];
        for (return_code, reason_code, pair) in documented {
            assert_eq!(coprocessor(return_code, reason_code).short(), pair);
            let failure = Failure::Cca { return_code, reason_code };
            assert_eq!(code(&failure).short(), pair);
        }
    }

    #[test]
    fn every_other_end_of_a_request() {
        let documented = [
            (Failure::MalformedReply, "12/AD13"),
            (Failure::WrongResult, "16/AD14"),
            (Failure::TimedOut, "12/AD04"),
            (Failure::NoCard, "12/AD00"),
            (Failure::FifoFull, "12/AD02"),
            (Failure::Shed, "12/AD03"),
            (Failure::BadRequest, "8/BDF"),
            (Failure::Shutdown, "12/AD33"),
        ];
        for (end, pair) in documented {
            assert_eq!(code(&end).short(), pair, "{end}");
            assert_eq!(failure(&end).service, "CSFPPKS");
        }
        assert_eq!(cause(&Cause::Offline).short(), "12/AD0D");
        // A cause and the failure it ends in say the same; only "offline" becomes "no card".
        for cause in [
            Cause::MalformedReply,
            Cause::WrongResult,
            Cause::TimedOut,
            Cause::NoCard,
            Cause::Shed,
            Cause::Shutdown,
        ] {
            assert_eq!(super::cause(&cause), code(&Failure::from(cause)));
        }
    }

    #[test]
    fn keys_that_cannot_be_loaded() {
        let pair = |error: &cex::Error| key_load(error).map(|failure| failure.to_string());
        assert_eq!(
            pair(&cex::Error::KeySize { bits: 1024 }).as_deref(),
            Some("ICSF service failure: CSFPTRC retCode = 0x8, rsnCode = 0x48")
        );
        assert!(pair(&cex::Error::KeyEncoding).is_some_and(|text| text.ends_with("0x2734")));
        assert!(pair(&cex::Error::KeyAlgorithm).is_some_and(|text| text.ends_with("0x86a")));
        let kind = cex::KeyKind::Ec(cex::Curve::P256);
        let no_card = pair(&cex::Error::NoCardForKey { kind });
        assert!(no_card.is_some_and(|text| text.ends_with("0x86a")));
        assert_eq!(pair(&cex::Error::NoCards), None);
    }

    #[test]
    fn every_code_is_marked_as_reported() {
        let responses = ResponseCode::ALL.iter().map(|code| response(*code));
        let replies = ReplyCode::ALL.iter().map(|code| reply(*code));
        for code in responses.chain(replies) {
            assert!(code.reported, "{}", code.name);
        }
    }
}
