//! TLS alerts by number, name and meaning.
//!
//! Purpose: one place that names every alert, so that records, `explain` and the reference page
//! agree. Deliberately not here: which alert answers which fault (that is [`crate::rules`] for our
//! refusals and [`crate::gsk`] for System SSL codes) and the alert record on the wire.
//!
//! Source: RFC 8446 §6 and B.2, RFC 5246 §7.2, RFC 7507, RFC 6066, RFC 7301, IANA "TLS Alerts".
//! Names are the RFC's; numbers without an RFC name are shown as `alert_NN`.

use std::borrow::Cow;
use std::fmt;

use crate::gsk::{self, GskCode};

/// A TLS alert description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Alert(pub u8);

/// One row of the alert table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The alert.
    pub alert: Alert,
    /// RFC name, e.g. `handshake_failure`.
    pub name: &'static str,
    /// What the sender means by it.
    pub meaning: &'static str,
    /// Whether TLS 1.2 or 1.3 still uses it; reserved ones are known only to be recognised.
    pub current: bool,
}

macro_rules! alerts {
    ($($constant:ident = $number:literal, $name:literal, $current:literal, $meaning:literal;)*) => {
        impl Alert {
            $(
                #[doc = concat!("`", $name, "` (", stringify!($number), "): ", $meaning, ".")]
                pub const $constant: Self = Self($number);
            )*
        }

        /// Every alert that has an RFC name, in order of number.
        pub const TABLE: &[Row] = &[$(
            Row { alert: Alert($number), name: $name, meaning: $meaning, current: $current },
        )*];
    };
}

alerts! {
    CLOSE_NOTIFY = 0, "close_notify", true,
        "the sender will send no more data on this connection";
    UNEXPECTED_MESSAGE = 10, "unexpected_message", true,
        "a message arrived that has no place at this point of the protocol";
    BAD_RECORD_MAC = 20, "bad_record_mac", true,
        "a record failed authentication: altered on the way, or keys differ";
    DECRYPTION_FAILED = 21, "decryption_failed", false,
        "a record could not be decrypted; replaced by bad_record_mac since TLS 1.1";
    RECORD_OVERFLOW = 22, "record_overflow", true,
        "a record is longer than the protocol allows";
    DECOMPRESSION_FAILURE = 30, "decompression_failure", false,
        "compressed data could not be expanded; compression is gone since TLS 1.3";
    HANDSHAKE_FAILURE = 40, "handshake_failure", true,
        "no acceptable set of parameters: usually no common suite, group or signature scheme";
    NO_CERTIFICATE = 41, "no_certificate", false,
        "SSLv3 only: the client has no certificate";
    BAD_CERTIFICATE = 42, "bad_certificate", true,
        "a certificate is corrupt or its signature does not verify";
    UNSUPPORTED_CERTIFICATE = 43, "unsupported_certificate", true,
        "a certificate is of a kind the receiver cannot use";
    CERTIFICATE_REVOKED = 44, "certificate_revoked", true,
        "the signer has revoked a certificate";
    CERTIFICATE_EXPIRED = 45, "certificate_expired", true,
        "a certificate has expired or is not valid yet";
    CERTIFICATE_UNKNOWN = 46, "certificate_unknown", true,
        "a certificate was not accepted for a reason without a number of its own";
    ILLEGAL_PARAMETER = 47, "illegal_parameter", true,
        "a field has a value that the protocol forbids or that contradicts another field";
    UNKNOWN_CA = 48, "unknown_ca", true,
        "the chain leads to no certificate authority the receiver trusts";
    ACCESS_DENIED = 49, "access_denied", true,
        "the certificate is valid, but access control refused its owner";
    DECODE_ERROR = 50, "decode_error", true,
        "a message could not be decoded: a length or a field is out of range";
    DECRYPT_ERROR = 51, "decrypt_error", true,
        "a handshake signature or Finished value did not verify";
    EXPORT_RESTRICTION = 60, "export_restriction", false,
        "export-grade key sizes were violated; of the 1990s only";
    PROTOCOL_VERSION = 70, "protocol_version", true,
        "the protocol version the client offers is recognised but not supported";
    INSUFFICIENT_SECURITY = 71, "insufficient_security", true,
        "the server requires stronger parameters than the client offers";
    INTERNAL_ERROR = 80, "internal_error", true,
        "a failure of the sender that has nothing to do with the peer";
    INAPPROPRIATE_FALLBACK = 86, "inappropriate_fallback", true,
        "the client fell back to an older version although both sides know a newer one";
    USER_CANCELED = 90, "user_canceled", true,
        "the sender gave up the handshake for a reason outside the protocol";
    NO_RENEGOTIATION = 100, "no_renegotiation", false,
        "the sender does not renegotiate (TLS 1.2 and older)";
    MISSING_EXTENSION = 109, "missing_extension", true,
        "an extension that is mandatory for the offered parameters is missing";
    UNSUPPORTED_EXTENSION = 110, "unsupported_extension", true,
        "a message carries an extension that must not be in it";
    CERTIFICATE_UNOBTAINABLE = 111, "certificate_unobtainable", false,
        "a certificate could not be fetched from the URL the client gave";
    UNRECOGNIZED_NAME = 112, "unrecognized_name", true,
        "no service answers to the server name the client asked for";
    BAD_CERTIFICATE_STATUS_RESPONSE = 113, "bad_certificate_status_response", true,
        "the stapled OCSP response is missing or not valid";
    BAD_CERTIFICATE_HASH_VALUE = 114, "bad_certificate_hash_value", false,
        "a certificate does not match the hash the client gave";
    UNKNOWN_PSK_IDENTITY = 115, "unknown_psk_identity", true,
        "the offered pre-shared key is not known";
    CERTIFICATE_REQUIRED = 116, "certificate_required", true,
        "the server wants a client certificate and got none (TLS 1.3)";
    GENERAL_ERROR = 117, "general_error", true,
        "an error without a more specific alert";
    NO_APPLICATION_PROTOCOL = 120, "no_application_protocol", true,
        "client and server have no ALPN protocol in common";
    ECH_REQUIRED = 121, "ech_required", true,
        "the client insists on encrypted ClientHello and the server did not accept it";
}

impl Alert {
    /// The table row, when the number has an RFC name.
    #[must_use]
    pub fn row(self) -> Option<&'static Row> {
        TABLE.binary_search_by_key(&self, |row| row.alert).ok().and_then(|at| TABLE.get(at))
    }

    /// RFC name, or `alert_NN` for a number without one.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        match self.row() {
            Some(row) => Cow::Borrowed(row.name),
            None => Cow::Owned(format!("alert_{}", self.0)),
        }
    }

    /// What the sender means by it.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.row().map_or("an alert number without a published meaning", |row| row.meaning)
    }

    /// The alert with this RFC name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name.eq_ignore_ascii_case(name)).map(|row| row.alert)
    }

    /// The System SSL code a session ends with when this alert was sent or received.
    #[must_use]
    pub fn gsk(self) -> GskCode {
        gsk::of_alert(self)
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "alert {} {}", self.0, self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ascending_and_names_unique() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].alert < pair[1].alert, "{:?}", pair[1]);
        }
        for row in TABLE {
            assert_eq!(Alert::from_name(row.name), Some(row.alert));
            assert_eq!(row.alert.name(), row.name);
            assert!(!row.meaning.ends_with('.'), "{}", row.name);
        }
    }

    #[test]
    fn numbers_of_the_rfc() {
        let pinned = [
            (Alert::CLOSE_NOTIFY, 0),
            (Alert::UNEXPECTED_MESSAGE, 10),
            (Alert::BAD_RECORD_MAC, 20),
            (Alert::RECORD_OVERFLOW, 22),
            (Alert::HANDSHAKE_FAILURE, 40),
            (Alert::DECODE_ERROR, 50),
            (Alert::DECRYPT_ERROR, 51),
            (Alert::PROTOCOL_VERSION, 70),
            (Alert::INTERNAL_ERROR, 80),
            (Alert::UNRECOGNIZED_NAME, 112),
            (Alert::CERTIFICATE_REQUIRED, 116),
            (Alert::NO_APPLICATION_PROTOCOL, 120),
        ];
        for (alert, number) in pinned {
            assert_eq!(alert.0, number);
        }
    }

    #[test]
    fn names_agree_with_rustls() {
        for row in TABLE {
            let theirs = format!("{:?}", rustls::AlertDescription::from(row.alert.0));
            if theirs.contains("(0x") {
                continue;
            }
            let ours = row.name.replace('_', "");
            // rustls shortens some names, spells out one and writes one in British spelling.
            let theirs = theirs
                .to_ascii_lowercase()
                .replace("recognised", "recognized")
                .replace("encryptedclienthello", "ech");
            assert!(ours == theirs || ours.starts_with(&theirs), "{ours} and {theirs}");
        }
    }

    #[test]
    fn a_number_without_a_name_is_still_shown() {
        assert_eq!(Alert(200).to_string(), "alert 200 alert_200");
        assert_eq!(Alert(40).to_string(), "alert 40 handshake_failure");
        assert_eq!(Alert::from_name("nonsense"), None);
    }
}
