//! From what rustls reports to the rule that ended the connection.
//!
//! Purpose: rustls says what it did not like; the operator needs to know which rule refused the
//! client, what the client lacked and what to change. Our own reading of the hello supplies the
//! particulars.
//!
//! Source: RFC 8446 §6.2, RFC 5246 §7.2.2; rules in [`crate::rules`].

use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};

use crate::alert::Alert;
use crate::compliance::judge::ServiceModes;
use crate::hello::{self, ClientHello};
use crate::record::Refusal;
use crate::rules::{self, Rule};

/// The refusal that stands for an error of rustls during the handshake; `answered` says whether the
/// hello was found good. Where the modes of the service keep it from what client and service have
/// in common otherwise, the rule is the mode's.
pub(crate) fn refusal(
    error: &Error,
    hello: Option<&ClientHello>,
    modes: Option<&ServiceModes>,
    answered: bool,
) -> Refusal {
    if let (Error::PeerIncompatible(_), Some(hello), Some(modes)) = (error, hello, modes)
        && let Some((rule, reason)) = modes.refuses(hello)
    {
        return rule.rule().refusal(reason);
    }
    let rule = match (rule(error), hello) {
        // A client with key transport only offers no groups; what it lacks is a suite.
        (rule, Some(hello))
            if *rule == rules::NO_COMMON_GROUP && !hello.offers_servable_suite() =>
        {
            &rules::NO_COMMON_CIPHER
        }
        (rule, _) if answered && *rule == rules::UNDECODABLE_HELLO => &rules::MALFORMED_MESSAGE,
        (rule, _) => rule,
    };
    with_alerts(rule.refusal(reason(error, rule, hello)), error)
}

/// The refusal that stands for an error of rustls after the handshake.
pub(crate) fn traffic_refusal(error: &Error) -> Refusal {
    let rule = match rule(error) {
        rule if *rule == rules::UNDECODABLE_HELLO => &rules::MALFORMED_RECORD,
        rule => rule,
    };
    with_alerts(rule.refusal(sentence(error)), error)
}

/// Notes the alert that came, and the one that rustls sends where it is not that of the rule.
fn with_alerts(mut refusal: Refusal, error: &Error) -> Refusal {
    match error {
        Error::AlertReceived(alert) => refusal.alert_received = Some(Alert(u8::from(*alert))),
        Error::InvalidMessage(_) => refusal.alert_sent = Some(Alert::DECODE_ERROR),
        Error::PeerMisbehaved(
            PeerMisbehaved::KeyEpochWithPendingFragment
            | PeerMisbehaved::IllegalMiddleboxChangeCipherSpec,
        ) => refusal.alert_sent = Some(Alert::UNEXPECTED_MESSAGE),
        _ => {}
    }
    refusal
}

fn reason(error: &Error, rule: &'static Rule, hello: Option<&ClientHello>) -> String {
    let Some(hello) = hello else { return sentence(error) };
    if *rule == rules::NO_COMMON_CIPHER {
        hello::explain_no_common_cipher(hello)
    } else if *rule == rules::NO_COMMON_GROUP {
        format!("the client offers only these groups: {}", list(&hello.offer().groups))
    } else if *rule == rules::NO_COMMON_SIGNATURE {
        let schemes = list(&hello.offer().signature_schemes);
        format!("the client verifies only these signature schemes: {schemes}")
    } else if *rule == rules::ALPN_MISMATCH {
        let offered = hello.offer().alpn;
        // Placeholders that clients send to keep servers tolerant (RFC 8701) are not in it.
        let names = if offered.is_empty() { "none".to_owned() } else { offered.join(", ") };
        format!("the client offers only these protocols: {names}")
    } else {
        sentence(error)
    }
}

fn list(names: &[std::borrow::Cow<'static, str>]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn sentence(error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => format!(
            "the client sent alert {} ({})",
            u8::from(*alert),
            Alert(u8::from(*alert)).name()
        ),
        Error::PeerMisbehaved(why) => format!("the client broke the protocol: {}", words(why)),
        Error::PeerIncompatible(why) => format!("the client does not fit: {}", words(why)),
        other => other.to_string(),
    }
}

/// rustls names its reasons in one word without blanks; `NoEcPointFormats` reads better apart.
fn words(why: &impl std::fmt::Debug) -> String {
    let name = format!("{why:?}");
    let mut out = String::with_capacity(name.len() + 8);
    let mut before = None;
    for c in name.chars() {
        if c.is_ascii_uppercase() && before.is_some_and(|b: char| b.is_ascii_lowercase()) {
            out.push(' ');
        }
        out.push(c.to_ascii_lowercase());
        before = Some(c);
    }
    out
}

fn rule(error: &Error) -> &'static Rule {
    match error {
        Error::PeerIncompatible(why) => incompatible(why),
        Error::PeerMisbehaved(PeerMisbehaved::TooManyRenegotiationRequests) => {
            &rules::RENEGOTIATION
        }
        Error::PeerMisbehaved(
            PeerMisbehaved::TooManyKeyUpdateRequests
            | PeerMisbehaved::TooManyEmptyFragments
            | PeerMisbehaved::TooManyWarningAlertsReceived,
        ) => &rules::RECORD_FLOOD,
        Error::PeerMisbehaved(_) => &rules::ILLEGAL_PARAMETER,
        Error::InvalidMessage(InvalidMessage::MessageTooLarge) | Error::PeerSentOversizedRecord => {
            &rules::RECORD_OVERFLOW
        }
        Error::InvalidMessage(_) => &rules::UNDECODABLE_HELLO,
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            &rules::UNEXPECTED_MESSAGE
        }
        Error::NoApplicationProtocol => &rules::ALPN_MISMATCH,
        Error::DecryptError => &rules::BAD_RECORD,
        Error::AlertReceived(AlertDescription::CloseNotify) => &rules::PEER_CLOSED,
        Error::AlertReceived(_) => &rules::PEER_ALERT,
        Error::NoCertificatesPresented => &rules::CLIENT_CERT_MISSING,
        Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => {
            &rules::CLIENT_CERT_UNACCEPTABLE
        }
        Error::FailedToGetRandomBytes | Error::EncryptError => &rules::CRYPTO_FAILED,
        _ => &rules::INTERNAL_ERROR,
    }
}

fn incompatible(why: &PeerIncompatible) -> &'static Rule {
    match why {
        PeerIncompatible::NoCipherSuitesInCommon => &rules::NO_COMMON_CIPHER,
        PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NamedGroupsExtensionRequired
        | PeerIncompatible::NoEcPointFormatsInCommon
        | PeerIncompatible::UncompressedEcPointsRequired => &rules::NO_COMMON_GROUP,
        PeerIncompatible::NoSignatureSchemesInCommon => &rules::NO_COMMON_SIGNATURE,
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::SupportedVersionsExtensionRequired => &rules::PROTOCOL_TOO_OLD,
        PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::KeyShareExtensionRequired
        | PeerIncompatible::ExtendedMasterSecretExtensionRequired => &rules::MISSING_EXTENSION,
        _ => &rules::ILLEGAL_PARAMETER,
    }
}

/// The description in a plaintext alert record at the end of `output`, if there is one.
///
/// rustls does not tell which alert it queued; before keys are set up the bytes do.
pub(crate) fn plaintext_alert(output: &[u8]) -> Option<Alert> {
    match output {
        [.., 21, 3, _, 0, 2, _level, description] => Some(Alert(*description)),
        _ => None,
    }
}

/// RFC 5246 has no certificate_required: there a client without a certificate gets
/// handshake_failure (§7.4.6). rustls sends the alert of TLS 1.3 in both versions; in TLS 1.3 it
/// is encrypted at this point, so one that can be read is of TLS 1.2.
pub(crate) fn correct_plaintext_alert(output: &mut [u8]) {
    if plaintext_alert(output) == Some(Alert::CERTIFICATE_REQUIRED)
        && let Some(description) = output.last_mut()
    {
        *description = Alert::HANDSHAKE_FAILURE.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_rustls_lead_to_the_rule_an_operator_can_look_up() {
        let cases: [(Error, &str); 8] = [
            (PeerIncompatible::NoCipherSuitesInCommon.into(), "no-common-cipher"),
            (PeerIncompatible::NoKxGroupsInCommon.into(), "no-common-group"),
            (PeerIncompatible::Tls12NotOfferedOrEnabled.into(), "protocol-too-old"),
            (PeerMisbehaved::InvalidKeyShare.into(), "illegal-parameter"),
            (Error::NoApplicationProtocol, "alpn-mismatch"),
            (Error::DecryptError, "bad-record"),
            (Error::AlertReceived(AlertDescription::UnknownCA), "peer-alert"),
            (Error::General("what".to_owned()), "internal-error"),
        ];
        for (error, rule) in cases {
            assert_eq!(refusal(&error, None, None, false).rule, rule, "{error:?}");
        }
    }

    #[test]
    fn the_alert_is_the_one_that_rustls_sends() {
        let too_long = Error::InvalidMessage(InvalidMessage::MessageTooLarge);
        let refused = traffic_refusal(&too_long);
        assert_eq!((refused.rule, refused.alert_sent), ("record-overflow", Some(Alert(50))));
        let corrupt = Error::InvalidMessage(InvalidMessage::InvalidContentType);
        assert_eq!(traffic_refusal(&corrupt).rule, "malformed-record");
        assert_eq!(refusal(&corrupt, None, None, false).rule, "undecodable-hello");
        assert_eq!(refusal(&corrupt, None, None, true).rule, "malformed-message");
    }

    #[test]
    fn reasons_are_words() {
        let refusal =
            refusal(&PeerMisbehaved::ServerNameMustContainOneHostName.into(), None, None, false);
        let expected = "the client broke the protocol: server name must contain one host name";
        assert_eq!(refusal.reason, expected);
    }

    #[test]
    fn a_client_with_key_transport_only_lacks_a_suite_not_a_group() {
        let no_group = PeerIncompatible::NoKxGroupsInCommon.into();
        let key_transport = ClientHello { suites: vec![0x009C], ..ClientHello::default() };
        assert_eq!(refusal(&no_group, Some(&key_transport), None, false).rule, "no-common-cipher");
        let ephemeral = ClientHello { suites: vec![0xC02F], ..ClientHello::default() };
        assert_eq!(refusal(&no_group, Some(&ephemeral), None, false).rule, "no-common-group");
    }

    #[test]
    fn a_received_alert_is_named() {
        let refusal =
            refusal(&Error::AlertReceived(AlertDescription::UnknownCA), None, None, false);
        assert_eq!(refusal.alert_received, Some(Alert(48)));
        assert!(refusal.reason.contains("unknown_ca"), "{}", refusal.reason);
    }

    #[test]
    fn tls_1_2_knows_no_certificate_required() {
        let mut output = [21, 3, 3, 0, 2, 2, 116];
        correct_plaintext_alert(&mut output);
        assert_eq!(plaintext_alert(&output), Some(Alert(40)));
        let mut other = [21, 3, 3, 0, 2, 2, 48];
        correct_plaintext_alert(&mut other);
        assert_eq!(plaintext_alert(&other), Some(Alert(48)));
    }

    #[test]
    fn an_alert_in_clear_is_read_off_the_wire() {
        assert_eq!(plaintext_alert(&[21, 3, 3, 0, 2, 2, 40]), Some(Alert(40)));
        assert_eq!(plaintext_alert(&[23, 3, 3, 0, 2, 2, 40]), None);
        assert_eq!(plaintext_alert(&[]), None);
    }
}
