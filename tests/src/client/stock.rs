//! rustls as its users have it: the stock aws-lc-rs provider, nothing of ours.
//!
//! Purpose: the one client at hand that offers X25519MLKEM768, and the one whose every step a test
//! can decide: a half-close, a missing close_notify, two directions at once.
//!
//! Invariants: only the thread that writes emits bytes, so records leave in the order in which they
//! were made; the lock is never held while a socket blocks.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::pki::{Issued, Pki};
use crate::process::PATIENCE;

/// What a client offers.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Protocol versions.
    pub versions: Vec<&'static rustls::SupportedProtocolVersion>,
    /// Groups by preference.
    pub groups: Vec<&'static dyn SupportedKxGroup>,
    /// ALPN protocols.
    pub alpn: Vec<Vec<u8>>,
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            versions: rustls::ALL_VERSIONS.to_vec(),
            // As the feature `prefer-post-quantum` orders them: the hybrid first.
            groups: vec![
                kx_group::X25519MLKEM768,
                kx_group::X25519,
                kx_group::SECP256R1,
                kx_group::SECP384R1,
            ],
            alpn: Vec::new(),
        }
    }
}

/// A client with a memory for sessions.
#[derive(Debug, Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
}

impl Client {
    /// A client that trusts `pki` and offers everything.
    #[must_use]
    pub fn new(pki: &Pki) -> Self {
        Self::offering(pki, Offer::default())
    }

    /// A client that offers what it is told to.
    #[must_use]
    pub fn offering(pki: &Pki, offer: Offer) -> Self {
        Self::trusting(&pki.roots(), offer)
    }

    /// A client that trusts these authorities and offers what it is told to.
    #[must_use]
    pub fn trusting(authorities: &[CertificateDer<'static>], offer: Offer) -> Self {
        let mut roots = RootCertStore::empty();
        for root in authorities {
            roots.add(root.clone()).expect("an authority");
        }
        let provider = CryptoProvider { kx_groups: offer.groups, ..aws_lc_rs::default_provider() };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&offer.versions)
            .expect("versions and suites that fit")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = offer.alpn;
        Self { config: Arc::new(config) }
    }

    /// The same client, showing a certificate when it is asked for one.
    #[must_use]
    pub fn showing(self, issued: &Issued) -> Self {
        let chain = CertificateDer::pem_file_iter(&issued.cert).expect("a file");
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("a chain");
        self.showing_chain(chain, signing_key(issued))
    }

    /// The same client, showing any chain and signing with any key.
    #[must_use]
    pub fn showing_chain(
        mut self,
        chain: Vec<CertificateDer<'static>>,
        key: Arc<dyn SigningKey>,
    ) -> Self {
        let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
        Arc::make_mut(&mut self.config).client_auth_cert_resolver = Arc::new(shown);
        self
    }

    /// The same without its memory: every handshake is a full one.
    #[must_use]
    pub fn forgetful(mut self) -> Self {
        Arc::make_mut(&mut self.config).resumption = rustls::client::Resumption::disabled();
        self
    }

    /// What it offers and trusts.
    pub(super) fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// A connection that has no socket yet.
    #[must_use]
    pub fn connection(&self, name: &str) -> ClientConnection {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        ClientConnection::new(Arc::clone(&self.config), name).expect("a client")
    }

    /// The bytes of its first flight.
    #[must_use]
    pub fn first_flight(&self, name: &str) -> Vec<u8> {
        let mut tls = self.connection(name);
        let mut wire = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut wire).expect("a vector takes everything");
        }
        wire
    }

    /// Connects and completes the handshake.
    ///
    /// # Errors
    ///
    /// What the socket or rustls reports.
    pub fn connect(&self, address: SocketAddr, name: &str) -> io::Result<Tls> {
        self.shake_hands(TcpStream::connect(address)?, name)
    }

    /// Completes the handshake on a socket that is connected.
    ///
    /// # Errors
    ///
    /// What the socket or rustls reports.
    pub fn shake_hands(&self, socket: TcpStream, name: &str) -> io::Result<Tls> {
        self.connect_behind(socket, name, b"", usize::MAX)
    }

    /// Completes the handshake over `socket`. `header` goes out ahead of the ClientHello, both in
    /// pieces of `piece` bytes.
    ///
    /// # Errors
    ///
    /// What the socket or rustls reports.
    pub fn connect_behind(
        &self,
        mut socket: TcpStream,
        name: &str,
        header: &[u8],
        piece: usize,
    ) -> io::Result<Tls> {
        let mut tls = self.connection(name);
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut first = header.to_vec();
        while tls.wants_write() {
            tls.write_tls(&mut first)?;
        }
        for piece in first.chunks(piece) {
            socket.write_all(piece)?;
        }
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        while tls.wants_write() {
            tls.write_tls(&mut socket)?;
        }
        Ok(Tls { socket, state: Mutex::new(tls), wire: Mutex::default() })
    }
}

/// The private key of `issued`.
#[must_use]
pub fn signing_key(issued: &Issued) -> Arc<dyn SigningKey> {
    let key = PrivateKeyDer::from_pem_file(&issued.key).expect("a key");
    aws_lc_rs::sign::any_supported_type(&key).expect("a key that signs")
}

/// An established connection that two threads may use, one for each direction.
#[derive(Debug)]
pub struct Tls {
    socket: TcpStream,
    state: Mutex<ClientConnection>,
    /// Bytes off the socket that rustls has not taken yet; used by the reading thread only.
    wire: Mutex<Vec<u8>>,
}

impl Tls {
    /// The socket below, for what TLS knows nothing of.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Whether the handshake was a full one.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let kind = self.state.lock().unwrap().handshake_kind();
        matches!(kind, Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest))
    }

    /// Whether the session was resumed.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.state.lock().unwrap().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The group agreed on, in rustls's words.
    #[must_use]
    pub fn group(&self) -> String {
        let state = self.state.lock().unwrap();
        state.negotiated_key_exchange_group().map(|g| format!("{:?}", g.name())).unwrap_or_default()
    }

    /// The first certificate that was presented.
    #[must_use]
    pub fn leaf(&self) -> Vec<u8> {
        let state = self.state.lock().unwrap();
        state.peer_certificates().and_then(|c| c.first()).map(|c| c.to_vec()).unwrap_or_default()
    }

    /// The ALPN protocol agreed on.
    #[must_use]
    pub fn alpn(&self) -> Option<Vec<u8>> {
        self.state.lock().unwrap().alpn_protocol().map(<[u8]>::to_vec)
    }

    /// Ends our direction in order: close_notify, then FIN.
    ///
    /// # Errors
    ///
    /// As the socket's.
    pub fn end(&self) -> io::Result<()> {
        self.state.lock().unwrap().send_close_notify();
        self.flush_tls()?;
        self.socket.shutdown(Shutdown::Write)
    }

    /// Ends our direction with FIN alone, as an attacker who truncates would.
    ///
    /// # Errors
    ///
    /// As the socket's.
    pub fn truncate(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Drops the connection with a reset.
    ///
    /// # Errors
    ///
    /// As the socket's.
    pub fn reset(self) -> io::Result<()> {
        socket2::SockRef::from(&self.socket).set_linger(Some(std::time::Duration::ZERO))
    }

    /// Reads to the close_notify of the other side.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the other side ended without one.
    pub fn read_to_close(&self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        (&mut &*self).read_to_end(&mut all)?;
        Ok(all)
    }

    /// Reads exactly `length` bytes.
    ///
    /// # Errors
    ///
    /// As [`Read::read_exact`].
    pub fn read_some(&self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        (&mut &*self).read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Sends `request`, ends our direction and reads to the close_notify.
    ///
    /// # Errors
    ///
    /// What the socket or rustls reports.
    pub fn talk(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        (&mut &*self).write_all(request)?;
        self.end()?;
        self.read_to_close()
    }

    fn flush_tls(&self) -> io::Result<()> {
        let mut wire = Vec::new();
        let mut state = self.state.lock().unwrap();
        while state.wants_write() {
            state.write_tls(&mut wire)?;
        }
        drop(state);
        (&self.socket).write_all(&wire)
    }
}

impl Read for &Tls {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.wire.lock().unwrap();
        loop {
            match self.state.lock().unwrap().reader().read(out) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            if wire.is_empty() {
                wire.resize(32 << 10, 0);
                let got = (&self.socket).read(&mut wire);
                wire.truncate(*got.as_ref().unwrap_or(&0));
                got?;
            }
            let mut state = self.state.lock().unwrap();
            let mut rest = wire.as_slice();
            state.read_tls(&mut rest)?; // no bytes tell rustls of the FIN
            let taken = wire.len() - rest.len();
            wire.drain(..taken);
            state.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

impl Write for &Tls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.state.lock().unwrap().writer().write(bytes)?;
        self.flush_tls()?;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::REQUEST;
    use crate::client::openssl::Server;
    use crate::pki::{Kind, Leaf};

    #[test]
    fn a_full_and_a_resumed_session_are_told_apart() {
        let _ = crate::need!("openssl");
        let pki = Pki::new();
        let issued = pki.issue("server", &Leaf::new(Kind::P256, &["a.test"]));
        let server = Server::start(&issued, &[]);
        let client = Client::new(&pki);
        let first = client.connect(server.address, "a.test").unwrap();
        (&mut &first).write_all(REQUEST.as_bytes()).unwrap();
        let answer = String::from_utf8(first.read_to_close().unwrap()).unwrap();
        assert!(answer.contains("s_server") && first.is_full() && !first.group().is_empty());
        drop(first); // s_server serves one at a time
        let second = client.connect(server.address, "a.test").unwrap();
        assert!(second.is_resumed());
        drop(second);
        let wrong = client.connect(server.address, "b.test").unwrap_err();
        assert!(wrong.to_string().contains("certificate"), "{wrong}");
    }
}
