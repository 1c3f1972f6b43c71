//! The modes of a service, held against the certificates of its backends.
//!
//! rustls' verifier walks chain and name; what it accepts is looked at once more for what the modes
//! approve. The rule travels inside the error, so that the failure can name it.

use std::cell::Cell;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use crate::compliance::{PolicySet, RuleId, Violation, judge};

thread_local! {
    /// The scheme of the last signature that came before a verifier on this thread.
    static SCHEME: Cell<Option<u16>> = const { Cell::new(None) };
}

/// What `flight` returns, and by which scheme a backend has signed in it, if one has: rustls tells
/// nobody but the verifier, which serves all connections of its service. A flight is one call.
pub(super) fn noting<T>(flight: impl FnOnce() -> T) -> (T, Option<u16>) {
    SCHEME.set(None);
    let end = flight();
    (end, SCHEME.take())
}

/// A backend's certificate that a mode does not approve.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(super) struct NotApproved {
    pub(super) rule: RuleId,
    what: String,
}

impl NotApproved {
    /// The refusal that an error carries, if it is one of these.
    pub(super) fn of(error: &Error) -> Option<&Self> {
        match error {
            Error::InvalidCertificate(CertificateError::Other(other)) => other.0.downcast_ref(),
            _ => None,
        }
    }
}

impl From<NotApproved> for Error {
    fn from(refused: NotApproved) -> Self {
        CertificateError::Other(OtherError(Arc::new(refused))).into()
    }
}

/// rustls' verifier, and behind it the policy.
#[derive(Debug)]
pub(super) struct Approving {
    inner: Arc<WebPkiServerVerifier>,
    policy: PolicySet,
}

impl Approving {
    pub(super) fn new(inner: Arc<WebPkiServerVerifier>, policy: &PolicySet) -> Arc<Self> {
        Arc::new(Self { inner, policy: policy.clone() })
    }

    fn approve_scheme(&self, signature: &DigitallySignedStruct) -> Result<(), Error> {
        let scheme = u16::from(signature.scheme);
        SCHEME.set(Some(scheme));
        match self.policy.scheme(scheme).rule() {
            None => Ok(()),
            Some(rule) => {
                let name = crate::iana::scheme_name(scheme);
                let what = format!("the backend signs with {name}, which is not approved");
                Err(NotApproved { rule, what }.into())
            }
        }
    }
}

impl ServerCertVerifier for Approving {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, name, ocsp, now)?;
        if self.policy.is_empty() {
            return Ok(verified);
        }
        let broken = self.policy.chain(&judge::path(end_entity, intermediates));
        match broken.into_iter().next() {
            None => Ok(verified),
            Some(Violation { rule, what, .. }) => Err(NotApproved { rule, what }.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.approve_scheme(signature)?;
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.approve_scheme(signature)?;
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.inner.supported_verify_schemes();
        schemes.retain(|scheme| self.policy.scheme(u16::from(*scheme)).is_yes());
        schemes
    }
}
