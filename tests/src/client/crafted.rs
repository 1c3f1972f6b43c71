//! A client that may break the rules after the handshake.
//!
//! Purpose: no stock client sends an endless KeyUpdate flood, half a handshake message or records
//! without contents. rustls makes the handshake; its keys are then taken out, and every record
//! after that is sealed here, with whatever type, contents and order a test asks for.
//!
//! Invariants: rustls's own record protection is used, so a record that is refused is refused for
//! what it says, not for how it was sealed. No tickets are expected: the service under test is
//! configured with `tickets = 0`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::crypto::cipher::{
    InboundOpaqueMessage, MessageDecrypter, MessageEncrypter, OutboundChunks, OutboundPlainMessage,
};
use rustls::{
    ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite,
};
use rustls_pki_types::ServerName;

use super::stock::Client;
use crate::process::PATIENCE;

/// KeyUpdate that asks for one in return (RFC 8446 §4.6.3).
pub const KEY_UPDATE_REQUESTED: &[u8] = &[24, 0, 0, 1, 1];

/// What came in one record: its type, and its contents in clear.
pub type Arrived = (ContentType, Vec<u8>);

/// An established connection whose records are made by hand.
pub struct Crafted {
    /// The socket, for bytes that are no record at all.
    pub socket: TcpStream,
    version: ProtocolVersion,
    sealer: Box<dyn MessageEncrypter>,
    opener: Box<dyn MessageDecrypter>,
    sent: u64,
    received: u64,
}

impl std::fmt::Debug for Crafted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crafted").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Crafted {
    /// Connects and completes the handshake as `client` would.
    #[must_use]
    pub fn connect(client: &Client, address: SocketAddr, name: &str) -> Self {
        let mut config = client.config().clone();
        config.enable_secret_extraction = true;
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let mut tls = ClientConnection::new(Arc::new(config), name).expect("a client");
        let mut socket = TcpStream::connect(address).expect("a listener");
        socket.set_nodelay(true).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        socket.set_write_timeout(Some(PATIENCE)).expect("a socket");
        while tls.is_handshaking() || tls.wants_write() {
            tls.complete_io(&mut socket).expect("a handshake");
        }
        let suite = tls.negotiated_cipher_suite().expect("complete");
        let secrets = tls.dangerous_extract_secrets().expect("enabled");
        let (sent, tx) = secrets.tx;
        let (received, rx) = secrets.rx;
        let (sealer, opener) = protection(suite, tx, rx);
        // Records of TLS 1.3 carry the number of TLS 1.2.
        let version = ProtocolVersion::TLSv1_2;
        let mut client = Self { socket, version, sealer, opener, sent: 0, received };
        // aws-lc takes the first nonce it sees for the one of record 0.
        while client.sent < sent {
            client.seal(ContentType::ApplicationData, &[]);
        }
        client
    }

    /// Seals a record without sending it.
    pub fn seal(&mut self, kind: ContentType, contents: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ: kind,
            version: self.version,
            payload: OutboundChunks::Single(contents),
        };
        let sealed = self.sealer.encrypt(message, self.sent).expect("a record");
        self.sent += 1;
        sealed.encode()
    }

    /// Sends a record.
    ///
    /// # Errors
    ///
    /// As the socket's.
    pub fn send(&mut self, kind: ContentType, contents: &[u8]) -> io::Result<()> {
        let record = self.seal(kind, contents);
        self.socket.write_all(&record)
    }

    /// Receives a record; none at the end of the stream.
    ///
    /// # Errors
    ///
    /// As the socket's.
    pub fn receive(&mut self) -> io::Result<Option<Arrived>> {
        let mut header = [0; 5];
        match self.socket.read_exact(&mut header) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            done => done?,
        }
        let mut payload = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        self.socket.read_exact(&mut payload)?;
        let kind = ContentType::from(header[0]);
        let sealed = InboundOpaqueMessage::new(kind, self.version, &mut payload);
        let opened = self.opener.decrypt(sealed, self.received).map_err(io::Error::other)?;
        self.received += 1;
        Ok(Some((opened.typ, opened.payload.to_vec())))
    }

    /// Receives to the end of the stream.
    ///
    /// # Errors
    ///
    /// As the socket's.
    pub fn receive_all(&mut self) -> io::Result<Vec<Arrived>> {
        let mut all = Vec::new();
        while let Some(record) = self.receive()? {
            all.push(record);
        }
        Ok(all)
    }
}

fn protection(
    suite: SupportedCipherSuite,
    tx: ConnectionTrafficSecrets,
    rx: ConnectionTrafficSecrets,
) -> (Box<dyn MessageEncrypter>, Box<dyn MessageDecrypter>) {
    let parts = |secrets| match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv),
        _ => panic!("a suite this client does not know"),
    };
    let ((tx_key, tx_iv), (rx_key, rx_iv)) = (parts(tx), parts(rx));
    match suite {
        SupportedCipherSuite::Tls13(suite) => {
            (suite.aead_alg.encrypter(tx_key, tx_iv), suite.aead_alg.decrypter(rx_key, rx_iv))
        }
        // AES-GCM: four bytes of salt, and the rest is the part that each record carries.
        SupportedCipherSuite::Tls12(suite) => (
            suite.aead_alg.encrypter(tx_key, &tx_iv.as_ref()[..4], &tx_iv.as_ref()[4..]),
            suite.aead_alg.decrypter(rx_key, &rx_iv.as_ref()[..4]),
        ),
    }
}
