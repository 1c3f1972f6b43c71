//! A TLS client of our own, for the self-test at start and for the demonstration.
//!
//! It runs on the same provider as the server, so it says nothing about interoperability; the tests
//! with clients nobody here wrote do. Sessions are kept, so a second exchange resumes.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ClientConnection, ResolvesClientCert};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    DigitallySignedStruct, Error, HandshakeKind, NamedGroup, RootCertStore, SignatureScheme,
};

use crate::iana;
use crate::provider;

/// What an exchange came to.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Protocol version.
    pub version: String,
    /// Cipher suite.
    pub suite: String,
    /// Whether the session was resumed.
    pub resumed: bool,
    /// What the server answered, up to its close_notify.
    pub response: Vec<u8>,
}

/// A client with a memory for sessions.
#[derive(Debug, Clone)]
pub struct Probe {
    config: Arc<ClientConfig>,
}

impl Probe {
    /// A client that trusts one CA (DER).
    ///
    /// # Errors
    ///
    /// When the certificate cannot be used as a trust anchor.
    pub fn trusting(ca: &[u8]) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(ca.to_vec()))?;
        let config = ClientConfig::builder_with_provider(provider::full_provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }

    /// A client for the self-test: it takes any certificate whose key signs with one of `schemes`,
    /// because the chain of a service need not lead to anything this machine trusts. Without a
    /// `group` it offers all of them; `certificate` is what it shows when it is asked.
    pub(crate) fn for_self_test(
        tls13: bool,
        group: Option<NamedGroup>,
        schemes: &'static [SignatureScheme],
        certificate: Option<Arc<dyn ResolvesClientCert>>,
    ) -> Result<Self, Error> {
        let mut groups = provider::available_groups();
        groups.retain(|g| group.is_none_or(|group| g.name() == group));
        let provider = provider::provider(provider::available_suites(), groups);
        let verifier = AnyCertificate { provider: Arc::clone(&provider), schemes };
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[if tls13 { &TLS13 } else { &TLS12 }])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match certificate {
            Some(certificate) => config.with_client_cert_resolver(certificate),
            None => config.with_no_client_auth(),
        };
        Ok(Self { config: Arc::new(config) })
    }

    pub(crate) fn connection(&self, name: &str) -> Result<ClientConnection, Error> {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| Error::General(format!("`{name}` is not a host name")))?;
        ClientConnection::new(Arc::clone(&self.config), name)
    }

    /// Connects over `stream`, sends `request`, ends its direction and reads the answer to its
    /// orderly end.
    ///
    /// # Errors
    ///
    /// Those of the stream, and TLS errors as `InvalidData`.
    pub fn exchange(
        &self,
        stream: &mut (impl Read + Write),
        name: &str,
        request: &[u8],
    ) -> io::Result<Exchange> {
        let mut tls = self.connection(name).map_err(io::Error::other)?;
        let mut response = Vec::new();
        let mut session = rustls::Stream::new(&mut tls, stream);
        session.write_all(request)?;
        session.conn.send_close_notify();
        session.flush()?;
        session.read_to_end(&mut response)?;
        let version = tls.protocol_version().map_or(0, u16::from);
        let suite = tls.negotiated_cipher_suite().map_or(0, |s| u16::from(s.suite()));
        Ok(Exchange {
            version: iana::version_name(version).into_owned(),
            suite: iana::suite_name(suite).into_owned(),
            resumed: tls.handshake_kind() == Some(HandshakeKind::Resumed),
            response,
        })
    }
}

/// Accepts any certificate, but checks that its key made the signature.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
    schemes: &'static [SignatureScheme],
}

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
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.to_vec()
    }
}
