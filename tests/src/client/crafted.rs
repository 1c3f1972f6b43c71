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

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, Iv, MessageDecrypter, MessageEncrypter, OutboundChunks,
    OutboundPlainMessage,
};
use rustls::kernel::KernelConnection;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::{
    ClientConfig, ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite,
};
use rustls_pki_types::ServerName;

use super::stock::Client;
use crate::process::PATIENCE;

/// KeyUpdate that asks for nothing in return (RFC 8446 §4.6.3).
pub const KEY_UPDATE: &[u8] = &[24, 0, 0, 1, 0];

/// KeyUpdate that asks for one in return (RFC 8446 §4.6.3).
pub const KEY_UPDATE_REQUESTED: &[u8] = &[24, 0, 0, 1, 1];

/// What came in one record: its type, and its contents in clear.
pub type Arrived = (ContentType, Vec<u8>);

/// An established connection whose records are made by hand.
pub struct Crafted {
    /// The socket, for bytes that are no record at all.
    pub socket: TcpStream,
    /// What came behind the handshake and was not looked at yet.
    arrived: Vec<u8>,
    version: ProtocolVersion,
    keys: Keys,
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
        let mut socket = TcpStream::connect(address).expect("a listener");
        socket.set_nodelay(true).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        socket.set_write_timeout(Some(PATIENCE)).expect("a socket");
        let (tls, arrived) = handshake(config, name, &mut socket);
        let (secrets, keys) = tls.dangerous_into_kernel_connection().expect("enabled");
        let (sent, tx) = secrets.tx;
        let (received, rx) = secrets.rx;
        let (sealer, opener) = (sealer(&keys, tx), opener(&keys, rx));
        // Records of TLS 1.3 carry the number of TLS 1.2.
        let version = ProtocolVersion::TLSv1_2;
        let mut client = Self { socket, arrived, version, keys, sealer, opener, sent: 0, received };
        // aws-lc takes the first nonce it sees for the one of record 0.
        while client.sent < sent {
            client.seal(ContentType::ApplicationData, &[]);
        }
        client
    }

    /// Seals a record without sending it. What follows a KeyUpdate is sealed with the next keys.
    pub fn seal(&mut self, kind: ContentType, contents: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ: kind,
            version: self.version,
            payload: OutboundChunks::Single(contents),
        };
        let sealed = self.sealer.encrypt(message, self.sent).expect("a record");
        self.sent += 1;
        if kind == ContentType::Handshake && [KEY_UPDATE, KEY_UPDATE_REQUESTED].contains(&contents)
        {
            let (sent, tx) = self.keys.update_tx_secret().expect("TLS 1.3");
            (self.sent, self.sealer) = (sent, sealer(&self.keys, tx));
        }
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
        let mut wire = io::Cursor::new(std::mem::take(&mut self.arrived)).chain(&self.socket);
        match wire.read_exact(&mut header) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            done => done?,
        }
        let mut payload = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        wire.read_exact(&mut payload)?;
        let (earlier, _) = wire.into_inner();
        let read = usize::try_from(earlier.position()).expect("in memory");
        self.arrived = earlier.into_inner().split_off(read);
        let kind = ContentType::from(header[0]);
        let sealed = InboundOpaqueMessage::new(kind, self.version, &mut payload);
        let opened = self.opener.decrypt(sealed, self.received).map_err(io::Error::other)?;
        self.received += 1;
        let arrived = (opened.typ, opened.payload.to_vec());
        if arrived == (ContentType::Handshake, KEY_UPDATE.to_vec()) {
            let (received, rx) = self.keys.update_rx_secret().expect("TLS 1.3");
            (self.received, self.opener) = (received, opener(&self.keys, rx));
        }
        Ok(Some(arrived))
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

/// Completes the handshake; what came behind it is given back.
fn handshake(
    config: ClientConfig,
    name: ServerName<'static>,
    socket: &mut TcpStream,
) -> (UnbufferedClientConnection, Vec<u8>) {
    let mut tls = UnbufferedClientConnection::new(Arc::new(config), name).expect("a client");
    let (mut input, mut output) = (Vec::new(), Vec::new());
    loop {
        let UnbufferedStatus { discard, state, .. } = tls.process_tls_records(&mut input);
        let (mut blocked, mut complete) = (false, false);
        match state.expect("a handshake") {
            ConnectionState::EncodeTlsData(mut data) => {
                let end = output.len();
                output.resize(end + (64 << 10), 0);
                let written = data.encode(&mut output[end..]).expect("room");
                output.truncate(end + written);
            }
            ConnectionState::TransmitTlsData(sent) => {
                socket.write_all(&output).expect("a socket");
                output.clear();
                sent.done();
            }
            ConnectionState::BlockedHandshake => blocked = true,
            ConnectionState::WriteTraffic(_) => complete = true,
            other => panic!("not in a handshake: {other:?}"),
        }
        input.drain(..discard);
        if complete {
            return (tls, input);
        }
        if blocked {
            // One record and no more: what follows the last of the handshake is not for rustls.
            let mut record = vec![0; 5];
            socket.read_exact(&mut record).expect("the daemon stays to the end of the handshake");
            let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
            record.resize(5 + length, 0);
            socket.read_exact(&mut record[5..]).expect("a whole record");
            input.extend_from_slice(&record);
        }
    }
}

type Keys = KernelConnection<ClientConnectionData>;

fn parts(secrets: ConnectionTrafficSecrets) -> (AeadKey, Iv) {
    match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv),
        _ => panic!("a suite this client does not know"),
    }
}

fn sealer(keys: &Keys, tx: ConnectionTrafficSecrets) -> Box<dyn MessageEncrypter> {
    let (key, iv) = parts(tx);
    match keys.negotiated_cipher_suite() {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
        // AES-GCM: four bytes of salt, and the rest is the part that each record carries.
        SupportedCipherSuite::Tls12(suite) => {
            suite.aead_alg.encrypter(key, &iv.as_ref()[..4], &iv.as_ref()[4..])
        }
    }
}

fn opener(keys: &Keys, rx: ConnectionTrafficSecrets) -> Box<dyn MessageDecrypter> {
    let (key, iv) = parts(rx);
    match keys.negotiated_cipher_suite() {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.decrypter(key, iv),
        SupportedCipherSuite::Tls12(suite) => suite.aead_alg.decrypter(key, &iv.as_ref()[..4]),
    }
}
