//! One non-blocking TLS client.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ClientConnection, Resumption};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::version::TLS13;
use rustls::{CipherSuite, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::Failure;
use crate::pki::NAME;
use crate::provider;

/// A configuration for TLS 1.3 with X25519 that takes any certificate and never resumes.
///
/// # Errors
/// Those of rustls.
pub fn any_certificate() -> Result<Arc<ClientConfig>, Failure> {
    let provider = provider::stock(CipherSuite::TLS13_AES_128_GCM_SHA256);
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
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

/// A connection.
#[derive(Debug)]
pub struct Client {
    socket: TcpStream,
    tls: ClientConnection,
}

impl Client {
    /// Begins to connect.
    ///
    /// # Errors
    /// Those of the system and of rustls.
    pub fn connect(
        address: SocketAddr,
        config: &Arc<ClientConfig>,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, Failure> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let tls = ClientConnection::new(Arc::clone(config), ServerName::try_from(NAME)?)?;
        Ok(Self { socket, tls })
    }

    /// Moves what can be moved; plaintext that came is appended to `plaintext`. False at the end of
    /// the connection.
    ///
    /// # Errors
    /// Those of the socket, and TLS errors as `InvalidData`.
    pub fn advance(&mut self, plaintext: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            let mut moved = false;
            while self.tls.wants_write() {
                match self.tls.write_tls(&mut self.socket) {
                    Ok(_) => moved = true,
                    Err(e) if is_later(&e) => break,
                    Err(e) => return Err(e),
                }
            }
            match self.tls.read_tls(&mut self.socket) {
                Ok(0) => return Ok(false),
                Ok(_) => moved = true,
                Err(e) if is_later(&e) => {}
                Err(e) => return Err(e),
            }
            let state = self
                .tls
                .process_new_packets()
                .map_err(|e| io::Error::new(ErrorKind::InvalidData, e))?;
            let waiting = state.plaintext_bytes_to_read();
            if waiting > 0 {
                let start = plaintext.len();
                plaintext.resize(start + waiting, 0);
                self.tls.reader().read_exact(&mut plaintext[start..])?;
            }
            if !moved {
                return Ok(true);
            }
        }
    }

    /// Puts plaintext into the connection; [`Self::advance`] sends it.
    ///
    /// # Errors
    /// The connection is closed.
    pub fn send(&mut self, plaintext: &[u8]) -> io::Result<()> {
        self.tls.writer().write_all(plaintext)
    }

    /// Whether the handshake is complete and its last flight is sent.
    #[must_use]
    pub fn is_established(&self) -> bool {
        !self.tls.is_handshaking() && !self.tls.wants_write()
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted)
}
