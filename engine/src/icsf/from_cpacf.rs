//! From a refusal of a CPACF function to a callable service, a return code and a reason code.
//!
//! The service follows from the function and the kind of failure: only opening a record can fail
//! authentication, so that is CSFPSKD; everything else of the same function is CSFPSKE.

use cpacf::{ConditionCode, Error, Function};

use super::{Code, Service, ServiceFailure, table};

/// The failure of a call into cpacf, in ICSF's words.
#[must_use]
pub fn failure(error: &Error) -> ServiceFailure {
    ServiceFailure::new(service(error), code(error))
}

/// What a function is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Cipher,
    Hash,
    Hmac,
    Random,
    Agreement,
    Derivation,
    Prf,
    Verification,
    Signature,
}

fn used_for(function: Function) -> Use {
    use Function as F;
    match function {
        F::KmaGcmAes128 | F::KmaGcmAes256 | F::ChaCha20Poly1305 => Use::Cipher,
        F::KimdSha256
        | F::KimdSha384
        | F::KimdSha512
        | F::KlmdSha256
        | F::KlmdSha384
        | F::KlmdSha512 => Use::Hash,
        F::KmacHmacSha256 | F::KmacHmacSha384 | F::KmacHmacSha512 => Use::Hmac,
        F::PrnoSha512Drng => Use::Random,
        F::PccScalarMultiplyP256
        | F::PccScalarMultiplyP384
        | F::PccScalarMultiplyP521
        | F::PccScalarMultiplyX25519
        | F::MlKem768 => Use::Agreement,
        F::HkdfSha256 | F::HkdfSha384 | F::HkdfSha512 => Use::Derivation,
        F::Tls12PrfSha256 | F::Tls12PrfSha384 | F::Tls12PrfSha512 => Use::Prf,
        F::KdsaEcdsaVerifyP256
        | F::KdsaEcdsaVerifyP384
        | F::KdsaEcdsaVerifyP521
        | F::KdsaEddsaVerifyEd25519
        | F::RsaPkcs1Verify
        | F::RsaPssVerify => Use::Verification,
        F::KdsaEcdsaSignP256 | F::KdsaEcdsaSignP384 | F::KdsaEcdsaSignP521 => Use::Signature,
    }
}

/// The callable service that stands for the failed call.
fn service(error: &Error) -> Service {
    let authentication = matches!(error, Error::Authentication { .. });
    match used_for(error.function()) {
        Use::Cipher if authentication => Service::CSFPSKD,
        Use::Cipher => Service::CSFPSKE,
        Use::Hash => Service::CSFPOWH,
        Use::Hmac if authentication => Service::CSFPHMV,
        Use::Hmac => Service::CSFPHMG,
        Use::Random => Service::CSNBRNG,
        Use::Agreement | Use::Derivation => Service::CSFPDVK,
        Use::Prf => Service::CSFPPRF,
        Use::Verification => Service::CSFPPKV,
        Use::Signature => Service::CSFPPKS,
    }
}

/// The code of a failed call.
#[must_use]
pub fn code(error: &Error) -> &'static Code {
    let used_for = used_for(error.function());
    match error {
        Error::Blocked { .. } => &table::SELF_TEST_FAILED,
        Error::NotApproved { .. } => &table::NOT_APPROVED,
        Error::NotInstalled { .. } => &table::NOT_ON_HARDWARE,
        Error::ConditionCode { cc, .. } => condition_code(used_for, *cc),
        Error::Authentication { .. } => match used_for {
            Use::Cipher => &table::MAC_MISMATCH,
            _ => &table::VERIFICATION_FAILED,
        },
        Error::InvalidKey { .. } => match used_for {
            Use::Verification | Use::Signature => &table::KEY_VALUE_INVALID,
            Use::Agreement => &table::POINT_INVALID,
            _ => &table::KEY_INVALID,
        },
        Error::Length { .. } => &table::LENGTH_INVALID,
        // The enum may grow; a new variant shall be seen, not guessed.
        _ => &table::UNCLASSIFIED,
    }
}

/// Condition codes 1 and 2 mean different things for different functions (cpacf's own table).
fn condition_code(used_for: Use, cc: ConditionCode) -> &'static Code {
    match (used_for, cc) {
        // The peer's point; CC 1 has nothing to do with what the peer sent.
        (Use::Agreement, ConditionCode::Two) => &table::POINT_INVALID,
        (Use::Random, ConditionCode::One | ConditionCode::Two) => &table::RANDOM_FAILED,
        (Use::Verification, ConditionCode::One | ConditionCode::Two) => &table::VERIFICATION_FAILED,
        // Sealing, hashing and signing have no data-dependent failure, and "done" or "partial" is
        // no failure at all: whoever reports these has a fault of its own.
        _ => &table::CONDITION_CODE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every function with every kind of error, in the order of the columns below.
    fn pairs(function: Function) -> Vec<(&'static str, String)> {
        let length = Error::Length { function, what: "key", expected: 16, actual: 5 };
        let cc = |cc| Error::ConditionCode { function, cc };
        [
            Error::Blocked { function },
            Error::NotApproved { function },
            Error::NotInstalled { function },
            cc(ConditionCode::One),
            cc(ConditionCode::Two),
            cc(ConditionCode::Partial),
            Error::Authentication { function },
            Error::InvalidKey { function, reason: "test" },
            length,
        ]
        .iter()
        .map(|error| (failure(error).service, code(error).short()))
        .collect()
    }

    /// Use, services without and with authentication failure, codes of CC 1 and 2, authentication,
    /// invalid key.
    const DOCUMENTED: &[(Use, &str, &str, [&str; 4])] = &[
        (Use::Cipher, "CSFPSKE", "CSFPSKD", ["16/AD21", "16/AD21", "4/1F44", "8/2734"]),
        (Use::Hash, "CSFPOWH", "CSFPOWH", ["16/AD21", "16/AD21", "4/1F40", "8/2734"]),
        (Use::Hmac, "CSFPHMG", "CSFPHMV", ["16/AD21", "16/AD21", "4/1F40", "8/2734"]),
        (Use::Random, "CSNBRNG", "CSNBRNG", ["16/AD22", "16/AD22", "4/1F40", "8/2734"]),
        (Use::Agreement, "CSFPDVK", "CSFPDVK", ["16/AD21", "8/AD23", "4/1F40", "8/AD23"]),
        (Use::Derivation, "CSFPDVK", "CSFPDVK", ["16/AD21", "16/AD21", "4/1F40", "8/2734"]),
        (Use::Prf, "CSFPPRF", "CSFPPRF", ["16/AD21", "16/AD21", "4/1F40", "8/2734"]),
        (Use::Verification, "CSFPPKV", "CSFPPKV", ["4/1F40", "4/1F40", "4/1F40", "8/2B00"]),
        (Use::Signature, "CSFPPKS", "CSFPPKS", ["16/AD21", "16/AD21", "4/1F40", "8/2B00"]),
    ];

    #[test]
    fn every_function_and_error_leads_to_the_documented_codes() {
        for function in Function::ALL {
            let kind = used_for(function);
            let (_, plain, authentication, [one, two, tag, key]) =
                DOCUMENTED.iter().find(|row| row.0 == kind).unwrap();
            let codes = ["16/AD20", "8/BFE", "12/8", one, two, "16/AD21", tag, key, "8/48"];
            for (at, (pair, code)) in pairs(function).into_iter().zip(codes).enumerate() {
                let service = if at == 6 { authentication } else { plain };
                assert_eq!((pair.0, pair.1.as_str()), (*service, code), "{function:?} {at}");
            }
        }
    }

    #[test]
    fn every_code_is_marked_as_reported() {
        for function in Function::ALL {
            for (_, short) in pairs(function) {
                let row = table::TABLE.iter().find(|row| row.short() == short);
                assert!(row.is_some_and(|row| row.reported), "{short}");
            }
        }
    }
}
