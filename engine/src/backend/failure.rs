//! From what went wrong with a backend's TLS to the rule that says so.

use rustls::{CertificateError, Error};

use super::verifier::NotApproved;
use crate::compliance::RuleId;
use crate::connection::wire::Broken;
use crate::icsf::ServiceFailure;
use crate::rules::{self, Rule};

/// Why a backend was not accepted, or was lost.
#[derive(Debug, Clone)]
pub struct BackendFailure {
    /// The rule.
    pub rule: &'static Rule,
    /// What happened, without the backend's name.
    pub reason: String,
}

impl BackendFailure {
    pub(super) fn new(rule: &'static Rule, reason: impl Into<String>) -> Self {
        Self { rule, reason: reason.into() }
    }

    /// Whether it says something about the backend, rather than about us.
    #[must_use]
    pub fn is_of_backend(&self) -> bool {
        self.rule.fault == rules::fault::BACKEND || RuleId::find(self.rule.name).is_some()
    }

    pub(super) fn of_function(failure: ServiceFailure) -> Self {
        Self::new(&rules::CRYPTO_FAILED, failure.to_string())
    }

    pub(super) fn of_wire(broken: &Broken, name: &str) -> Self {
        match broken {
            Broken::Tls(error) => Self::of_tls(error, name),
            Broken::Flood(count) => {
                Self::new(&rules::BACKEND_TLS, format!("{count} records without data"))
            }
        }
    }

    /// Of an error of rustls on a connection to the backend that shall be `name`.
    pub(super) fn of_tls(error: &Error, name: &str) -> Self {
        let rule = rule(error);
        let reason = match error {
            Error::AlertReceived(alert) => {
                let alert = crate::alert::Alert(u8::from(*alert));
                format!("the backend sent alert {alert}")
            }
            _ if *rule == rules::BACKEND_NAME => {
                format!("the backend's certificate is not for `{name}`")
            }
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                "no CA of tls_backend.ca has issued the backend's certificate".to_owned()
            }
            Error::InvalidCertificate(CertificateError::Other(other)) => {
                format!("the backend's certificate is refused: {}", other.0)
            }
            other => other.to_string(),
        };
        Self::new(rule, reason)
    }
}

fn rule(error: &Error) -> &'static Rule {
    use CertificateError as E;
    if let Some(refused) = NotApproved::of(error) {
        return refused.rule.rule();
    }
    match error {
        Error::AlertReceived(_) => &rules::BACKEND_ALERT,
        Error::InvalidCertificate(why) => match why {
            E::NotValidForName | E::NotValidForNameContext { .. } => &rules::BACKEND_NAME,
            E::UnknownIssuer => &rules::BACKEND_CA,
            E::Expired | E::ExpiredContext { .. } => &rules::BACKEND_EXPIRED,
            E::NotValidYet | E::NotValidYetContext { .. } => &rules::BACKEND_EXPIRED,
            _ => &rules::BACKEND_CERTIFICATE,
        },
        Error::NoCertificatesPresented => &rules::BACKEND_CERTIFICATE,
        Error::FailedToGetRandomBytes | Error::EncryptError => &rules::CRYPTO_FAILED,
        _ => &rules::BACKEND_TLS,
    }
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, InvalidMessage};

    use super::*;

    #[test]
    fn each_error_has_the_rule_an_operator_looks_for() {
        let certificate = |error: CertificateError| Error::InvalidCertificate(error);
        for (error, rule, said) in [
            (certificate(CertificateError::NotValidForName), "backend-name", "`a.test`"),
            (certificate(CertificateError::UnknownIssuer), "backend-ca", "tls_backend.ca"),
            (certificate(CertificateError::Expired), "backend-expired", "xpired"),
            (certificate(CertificateError::NotValidYet), "backend-expired", "Yet"),
            (certificate(CertificateError::InvalidPurpose), "backend-certificate", "Purpose"),
            (Error::AlertReceived(AlertDescription::HandshakeFailure), "backend-alert", "40"),
            (InvalidMessage::InvalidContentType.into(), "backend-tls", "ontent"),
            (Error::EncryptError, "crypto-failed", "encrypt"),
        ] {
            let failure = BackendFailure::of_tls(&error, "a.test");
            assert_eq!(failure.rule.name, rule, "{error:?}");
            assert!(failure.reason.contains(said), "{}", failure.reason);
        }
    }
}
