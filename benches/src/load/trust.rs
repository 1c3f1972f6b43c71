//! What the clients offer, trust and remember.
//!
//! The stock provider of rustls, narrowed to what is asked for. Signatures are verified, but any
//! certificate is trusted unless there is a CA: a chain is the client's cost, not the server's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientConfig, ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::version::{TLS12, TLS13};
use rustls::{DigitallySignedStruct, Error, NamedGroup, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::shape::{Shape, Version};
use crate::Failure;

/// Tickets of TLS 1.3 that are kept; servers give one or two at a time.
const TICKETS_MAX: usize = 4;

/// A configuration that offers exactly what `shape` asks for and remembers no session; with PEM
/// text of CAs it verifies the chain.
///
/// # Errors
/// Version and suite do not go together, or the text has no certificate.
pub fn configuration(shape: &Shape, ca: Option<&str>) -> Result<ClientConfig, Failure> {
    let mut provider = default_provider();
    if let Some(suite) = shape.suite {
        provider.cipher_suites.retain(|s| s.suite() == suite);
    }
    if let Some(group) = shape.group {
        provider.kx_groups.retain(|g| g.name() == group);
    }
    let version = match shape.version {
        Version::Tls12 => &TLS12,
        Version::Tls13 => &TLS13,
    };
    let provider = Arc::new(provider);
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .map_err(|e| format!("TLS {} with {:?}: {e}", shape.version, shape.suite))?;
    let mut config = match ca {
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate?)?;
            }
            builder.with_root_certificates(roots)
        }
        None => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        }
    }
    .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The same configuration with sessions of its own, for one client.
#[must_use]
pub fn remembering(config: &ClientConfig) -> (Arc<ClientConfig>, Arc<Sessions>) {
    let sessions = Arc::new(Sessions::default());
    let mut config = config.clone();
    config.resumption = Resumption::store(Arc::clone(&sessions) as Arc<dyn ClientSessionStore>);
    (Arc::new(config), sessions)
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What one client remembers of one server.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    tickets: VecDeque<Tls13ClientSessionValue>,
    session: Option<Tls12ClientSessionValue>,
    group: Option<NamedGroup>,
}

impl Sessions {
    /// Whether the next handshake can offer a session.
    #[must_use]
    pub fn any(&self) -> bool {
        let inside = self.inside();
        !inside.tickets.is_empty() || inside.session.is_some()
    }

    fn inside(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.inside().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.inside().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.inside().session = Some(value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.inside().session.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.inside().session = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut inside = self.inside();
        if inside.tickets.len() == TICKETS_MAX {
            inside.tickets.pop_front();
        }
        inside.tickets.push_back(value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.inside().tickets.pop_front()
    }
}
