//! The numbers of the table, pinned.

use std::collections::HashSet;

use super::table::*;
use super::{Origin, ReasonCode, ReturnCode, ServiceFailure, from_ap, from_cpacf};

/// Every number ever published: a row may be added at the end of its part, none may change.
const PINNED: &[(u32, u32, &str)] = &[
    (0, 0x0, "success"),
    (0, 0x2, "key-parity-tss"),
    (0, 0x4, "key-parity"),
    (4, 0x1F40, "verification-failed"),
    (4, 0x1F44, "mac-mismatch"),
    (4, 0x2AF8, "signature-mismatch"),
    (8, 0xC, "token-altered"),
    (8, 0x16, "id-field"),
    (8, 0x17, "offset-length"),
    (8, 0x18, "master-key-unknown"),
    (8, 0x19, "length-range"),
    (8, 0x2F, "source-token"),
    (8, 0x3D, "key-type-keyword"),
    (8, 0x48, "length-invalid"),
    (8, 0x9B, "key-form-conflict"),
    (8, 0xB5, "token-form"),
    (8, 0x2FA, "key-value-structure"),
    (8, 0x7DC, "rule-count"),
    (8, 0x7E0, "rule-keyword"),
    (8, 0x7EC, "wrapped-key"),
    (8, 0x7F8, "key-kind"),
    (8, 0x806, "oaep-parameters"),
    (8, 0x807, "rsa-key-too-small"),
    (8, 0x829, "kek-algorithm"),
    (8, 0x82F, "key-form-type"),
    (8, 0x841, "token-payload"),
    (8, 0x85D, "key-verification-pattern"),
    (8, 0x86A, "key-type-function"),
    (8, 0x86E, "key-pair-mismatch"),
    (8, 0xBBB, "output-too-short"),
    (8, 0xBC1, "template-inconsistent"),
    (8, 0xBCB, "token-handle"),
    (8, 0xBD3, "session-handle"),
    (8, 0xBD5, "attribute-type"),
    (8, 0xBD6, "attribute-value"),
    (8, 0xBD9, "template-incomplete"),
    (8, 0xBDA, "attribute-read-only"),
    (8, 0xBDB, "attribute-read-only-2"),
    (8, 0xBDE, "key-usage"),
    (8, 0xBDF, "key-type-mechanism"),
    (8, 0xBE1, "key-not-wrappable"),
    (8, 0xBE3, "key-handle"),
    (8, 0xBE5, "key-not-extractable"),
    (8, 0xBF7, "token-not-authorized"),
    (8, 0xBFE, "not-approved"),
    (8, 0xCFE, "date-range"),
    (8, 0xD00, "archive-prohibited"),
    (8, 0xD01, "date-order"),
    (8, 0xD05, "date-invalid"),
    (8, 0xD08, "metadata-length"),
    (8, 0xD0E, "record-not-active"),
    (8, 0xD0F, "record-deactivated"),
    (8, 0xD10, "record-archived"),
    (8, 0xD12, "record-update"),
    (8, 0x2714, "master-key-not-installed"),
    (8, 0x271C, "label-not-found"),
    (8, 0x2734, "key-invalid"),
    (8, 0x2738, "key-version"),
    (8, 0x2740, "key-type-service"),
    (8, 0x278C, "key-not-exportable"),
    (8, 0x278E, "rule-conflict"),
    (8, 0x2AF8, "length-or-hardware"),
    (8, 0x2B00, "key-value-invalid"),
    (8, 0x2B04, "key-flags"),
    (8, 0x2B14, "signature-invalid"),
    (8, 0x2B20, "padding-method"),
    (8, 0x2B30, "pka-token-length"),
    (8, 0x3E80, "service-not-authorized"),
    (8, 0x3E84, "key-not-authorized"),
    (8, 0x3E98, "token-invalid"),
    (8, 0x3EA0, "label-syntax"),
    (8, 0x3EA4, "record-exists"),
    (12, 0x0, "not-available"),
    (12, 0x4, "data-set-disabled"),
    (12, 0x8, "not-on-hardware"),
    (12, 0xC, "exit-failed"),
    (12, 0x10, "service-not-found"),
    (12, 0x1C, "asynchronous-processor-failed"),
    (12, 0x28, "callable-service"),
    (12, 0x1790, "extra-data-1790"),
    (12, 0x2738, "extra-data-2738"),
    (12, 0x273C, "extra-data-273c"),
    (12, 0x2740, "extra-data-2740"),
    (12, 0x3EB8, "coprocessor-failed"),
    (12, 0xAD00, "no-card"),
    (12, 0xAD01, "queue-full"),
    (12, 0xAD02, "fifo-full"),
    (12, 0xAD03, "shed"),
    (12, 0xAD04, "timed-out"),
    (12, 0xAD05, "tries-exhausted"),
    (12, 0xAD06, "queue-not-available"),
    (12, 0xAD07, "reset-in-progress"),
    (12, 0xAD08, "deconfigured"),
    (16, 0xAD09, "checkstopped"),
    (12, 0xAD0A, "busy"),
    (12, 0xAD0B, "state-change"),
    (12, 0xAD0C, "binding"),
    (12, 0xAD0D, "offline"),
    (12, 0xAD0E, "nothing-pending"),
    (8, 0xAD0F, "message-too-long"),
    (8, 0xAD10, "message-rejected"),
    (12, 0xAD11, "domain-not-valid"),
    (12, 0xAD12, "transport-failed"),
    (12, 0xAD13, "reply-truncated"),
    (16, 0xAD14, "wrong-result"),
    (12, 0xAD15, "facility-not-installed"),
    (12, 0xAD16, "interrupt-setup"),
    (12, 0xAD17, "reply-unknown"),
    (12, 0xAD18, "preempted"),
    (12, 0xAD19, "coprocessor-service"),
    (16, 0xAD20, "self-test-failed"),
    (16, 0xAD21, "condition-code"),
    (16, 0xAD22, "random-failed"),
    (8, 0xAD23, "point-invalid"),
    (8, 0xAD30, "key-not-in-card"),
    (8, 0xAD31, "not-routed"),
    (12, 0xAD32, "cancelled"),
    (12, 0xAD33, "shutting-down"),
    (16, 0xAD34, "worker-failed"),
    (12, 0xAD35, "no-fiber"),
    (16, 0xAD3F, "unclassified"),
];

#[test]
fn numbers_never_change() {
    let table: Vec<_> =
        TABLE.iter().map(|row| (row.return_code.0, row.reason_code.0, row.name)).collect();
    assert_eq!(table, PINNED);
}

#[test]
fn pairs_and_names_are_unique() {
    for (at, row) in TABLE.iter().enumerate() {
        for other in &TABLE[at + 1..] {
            assert_ne!(row.name, other.name);
            assert_ne!((row.return_code, row.reason_code), (other.return_code, other.reason_code));
        }
        assert!(ReturnCode::ALL.contains(&row.return_code), "{}", row.name);
        assert!(!row.meaning.ends_with('.') && !row.action.ends_with('.'), "{}", row.name);
    }
}

#[test]
fn our_own_numbers_lie_in_our_range_and_only_they() {
    for row in TABLE {
        assert_eq!(row.reason_code.is_ours(), row.origin == Origin::Adjunct, "{}", row.name);
    }
}

#[test]
fn the_anchors_of_the_mainframe() {
    assert_eq!(KEY_VALUE_INVALID.short(), "8/2B00");
    assert_eq!(NOT_APPROVED.reason_code.0, 3070);
    assert_eq!(LENGTH_OR_HARDWARE.reason_code.0, 11000);
    assert_eq!(SERVICE_NOT_AUTHORIZED.reason_code.0, 16000);
}

#[test]
fn extra_data_in_the_high_halfword_is_ignored_for_return_code_12() {
    let with_data = find(ReturnCode(12), ReasonCode(0x0004_2738));
    assert_eq!(with_data, Some(&EXTRA_DATA_2738));
    assert_eq!(find(ReturnCode(8), ReasonCode(0x0004_2738)), None);
}

/// Everything that some mapping or the signer can report, by the inputs they can be given.
fn reportable() -> HashSet<&'static str> {
    use cex::{Cause, Failure, ReplyCode, ResponseCode};
    use cpacf::{ConditionCode, Error, Function};

    let cards = [
        Failure::MalformedReply,
        Failure::WrongResult,
        Failure::TimedOut,
        Failure::NoCard,
        Failure::FifoFull,
        Failure::Shed,
        Failure::BadRequest,
        Failure::Shutdown,
    ];
    let cca = |return_code, reason_code| Failure::Cca { return_code, reason_code };
    let cca = [cca(8, 65), cca(8, 72), cca(8, 770), cca(0, 0), cca(16, 99)];
    let mut names: HashSet<_> = cards.iter().chain(&cca).map(|f| from_ap::code(f).name).collect();
    names.extend(ResponseCode::ALL.iter().map(|code| from_ap::response(*code).name));
    names.extend((0..=u8::MAX).map(|code| from_ap::reply(ReplyCode(code)).name));
    names.insert(from_ap::cause(&Cause::Offline).name);
    let keys = [
        cex::Error::KeyEncoding,
        cex::Error::KeyAlgorithm,
        cex::Error::KeySize { bits: 1024 },
        cex::Error::KeyMismatch { kind: cex::KeyKind::Rsa { bits: 2048 } },
    ];
    let keys = keys.iter().filter_map(from_ap::key_load);
    names.extend(keys.filter_map(|failure| failure.code()).map(|code| code.name));
    for function in Function::ALL {
        let cc = |cc| Error::ConditionCode { function, cc };
        let errors = [
            Error::Blocked { function },
            Error::NotApproved { function },
            Error::NotInstalled { function },
            cc(ConditionCode::One),
            cc(ConditionCode::Two),
            Error::Authentication { function },
            Error::InvalidKey { function, reason: "test" },
            Error::Length { function, what: "key", expected: 1, actual: 2 },
        ];
        names.extend(errors.iter().map(|error| from_cpacf::code(error).name));
    }
    // provider::sign: a wait that was given up, or that was not possible.
    names.extend([CANCELLED.name, NO_FIBER.name]);
    // No failure, and so the only one that nothing raises.
    names.insert(SUCCESS.name);
    names
}

#[test]
fn exactly_the_codes_that_can_be_reported_are_marked_so() {
    let reportable = reportable();
    for row in TABLE {
        assert_eq!(row.reported, reportable.contains(row.name), "{}", row.name);
    }
}

#[test]
fn text_form_of_the_mainframe() {
    let failure = ServiceFailure::new(super::Service::CSFPPKS, &KEY_VALUE_INVALID);
    assert_eq!(
        failure.to_string(),
        "ICSF service failure: CSFPPKS retCode = 0x8, rsnCode = 0x2b00"
    );
    assert_eq!(failure.code(), Some(&KEY_VALUE_INVALID));
}
