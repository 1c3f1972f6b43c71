//! The rules by which a mode refuses, each with a stable name.
//!
//! The name of a rule is the mode and what it is about: `fips-140-3/suite`. `adjunct explain` and
//! the record of a connection know them as they know every other rule ([`crate::rules`]).

use std::fmt;

use super::mode::Mode;
use crate::alert::Alert;
use crate::gsk::GskCode;
use crate::record::Outcome;
use crate::rules::{Rule, fault};

/// Stable name of a rule of a mode.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(&'static str);

impl RuleId {
    /// The rule of `mode` about `kind`.
    #[must_use]
    pub fn new(mode: Mode, kind: Kind) -> Self {
        Self(rule(mode, kind).name)
    }

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The rule, with code, alert and hint.
    #[must_use]
    pub fn rule(self) -> &'static Rule {
        all().find(|rule| rule.name == self.0).unwrap_or(&crate::rules::INTERNAL_ERROR)
    }

    /// The rule a refusal or a fault names, if it is one of a mode.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        all().find(|rule| rule.name == name).map(|rule| Self(rule.name))
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl fmt::Debug for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

macro_rules! kinds {
    ($($kind:ident $name:literal $fault:ident $gsk:expr, $alert:expr, $meaning:literal
        $hint:literal;)*) => {
        /// What a rule of a mode is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $(#[doc = concat!("`", $name, "`: ", $meaning, ".")] $kind,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];
        }

        kinds!(@mode FIPS_140_2 "fips-140-2" $($name $fault $gsk, $alert, $meaning $hint;)*);
        kinds!(@mode NIST_800_131A "nist-800-131a" $($name $fault $gsk, $alert, $meaning $hint;)*);
        kinds!(@mode FIPS_140_3 "fips-140-3" $($name $fault $gsk, $alert, $meaning $hint;)*);
    };
    (@mode $constant:ident $mode:literal
        $($name:literal $fault:ident $gsk:expr, $alert:expr, $meaning:literal $hint:literal;)*) => {
        static $constant: &[Rule] = &[$(Rule {
            name: concat!($mode, "/", $name),
            fault: fault::$fault,
            outcome: Outcome::Refused,
            meaning: $meaning,
            hint: $hint,
            gsk: $gsk,
            alert: $alert,
        },)*];
    };
}

const NO_CIPHERS: Option<GskCode> = Some(GskCode::ERR_NO_CIPHERS);
const HANDSHAKE_FAILURE: Option<Alert> = Some(Alert::HANDSHAKE_FAILURE);
const VALIDATION: Option<GskCode> = Some(GskCode::ERR_CERT_VALIDATION);
const UNSUPPORTED: Option<Alert> = Some(Alert::UNSUPPORTED_CERTIFICATE);

kinds! {
    Protocol "protocol" POLICY Some(GskCode::ERR_UNSUPPORTED), Some(Alert::PROTOCOL_VERSION),
        "the mode approves no protocol version that both sides speak"
        "the client needs TLS 1.2 or TLS 1.3";
    Suite "suite" POLICY NO_CIPHERS, HANDSHAKE_FAILURE,
        "the mode approves no cipher suite that both sides have"
        "the client needs a suite with AES-GCM; ChaCha20-Poly1305 is approved in no mode";
    Group "group" POLICY NO_CIPHERS, HANDSHAKE_FAILURE,
        "the mode approves no key exchange group that both sides have"
        "the client needs P-256, P-384 or P-521; X25519 alone is approved in no mode";
    Scheme "signature-scheme" POLICY NO_CIPHERS, HANDSHAKE_FAILURE,
        "the mode approves no signature scheme that both sides have"
        "the client needs RSA (PSS or PKCS #1) or ECDSA with SHA-2";
    ExtendedMasterSecret "extended-master-secret" POLICY NO_CIPHERS, HANDSHAKE_FAILURE,
        "the client speaks TLS 1.2 without the extended master secret, which the mode demands"
        "update the client (RFC 7627), or let it speak TLS 1.3";
    KeyType "key-type" CERTIFICATE VALIDATION, UNSUPPORTED,
        "the mode does not approve the type of a certificate's key, or its curve"
        "use RSA, or EC on P-256, P-384 or P-521";
    KeyStrength "key-strength" CERTIFICATE VALIDATION, UNSUPPORTED,
        "a certificate's key, or one that signed a revocation list, has less strength than demanded"
        "use RSA of at least 2048 bits, or EC on P-256, P-384 or P-521";
    CertificateSignature "certificate-signature" CERTIFICATE VALIDATION, UNSUPPORTED,
        "a certificate or revocation list is signed by an algorithm that the mode does not approve"
        "let its CA issue it again with SHA-256 or better";
    KeyUsage "key-usage" CERTIFICATE VALIDATION, UNSUPPORTED,
        "the stated key usage of a certificate does not cover what its key is used for"
        "issue it with keyUsage digitalSignature, a CA with keyCertSign";
    Validity "validity" CERTIFICATE VALIDATION, UNSUPPORTED,
        "a certificate of a chain is outside its validity while the mode is on"
        "renew it, or check the clock of this machine";
    Function "function" DEVICE Some(GskCode::ERR_CRYPTO), Some(Alert::INTERNAL_ERROR),
        "a function was called that the mode does not approve"
        "see `adjunct crypto`; the ICSF codes are 8/BFE";
    NoCard "no-card" CONFIGURATION None, None,
        "software is to sign when no card is left, which the mode forbids"
        "write no_card = \"fail\" in [route], or leave it out";
    Verify "verify" CONFIGURATION None, None,
        "not all results of cards are to be verified, which the mode demands"
        "write verify = \"all\" in [route], or leave it out";
    KeyDatabase "key-database" CONFIGURATION None, None,
        "a key database was not created for FIPS, which the mode demands"
        "create it again for FIPS and import its certificates";
}

fn of_mode(mode: Mode) -> &'static [Rule] {
    match mode {
        Mode::Fips1402 => FIPS_140_2,
        Mode::Nist800131a => NIST_800_131A,
        Mode::Fips1403 => FIPS_140_3,
    }
}

/// The rule of `mode` about `kind`.
fn rule(mode: Mode, kind: Kind) -> &'static Rule {
    of_mode(mode).get(kind as usize).unwrap_or(&crate::rules::INTERNAL_ERROR)
}

/// Every rule of every mode.
pub(crate) fn all() -> impl Iterator<Item = &'static Rule> {
    Mode::ALL.into_iter().flat_map(of_mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_mode_and_kind_and_no_two_are_the_same() {
        assert_eq!(RuleId::new(Mode::Fips1403, Kind::Suite).as_str(), "fips-140-3/suite");
        assert_eq!(
            RuleId::new(Mode::Nist800131a, Kind::KeyUsage).as_str(),
            "nist-800-131a/key-usage"
        );
        let names: Vec<&str> = all().map(|rule| rule.name).collect();
        assert_eq!(names.len(), 3 * Kind::ALL.len());
        for (at, name) in names.iter().enumerate() {
            assert!(!names[at + 1..].contains(name), "{name}");
            assert_eq!(RuleId::find(name).map(|id| id.rule().name), Some(*name));
        }
        assert_eq!(RuleId::find("no-common-cipher"), None);
    }

    #[test]
    fn what_a_mode_refuses_in_a_handshake_is_402_with_alert_40() {
        for kind in [Kind::Suite, Kind::Group, Kind::Scheme, Kind::ExtendedMasterSecret] {
            let rule = RuleId::new(Mode::Fips1402, kind).rule();
            assert_eq!((rule.gsk, rule.alert), (Some(GskCode(402)), Some(Alert(40))));
        }
    }
}
