//! One non-blocking TLS connection of a client; without TLS, if it is told so, to see what that
//! costs.
//!
//! Invariants: the socket is watched edge by edge, so that [`Wire::pump`] goes on until the kernel
//! has nothing more; plaintext is handed over where rustls has it, without another copy; buffers
//! outlive the connection and serve the next one.
//!
//! Source addresses: a port of the closing side is blocked for a minute, and 28,000 ports last ten
//! seconds at 3,000 connections a second. To a loopback address each connection comes from the next
//! of 250 loopback addresses.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use adjunct::pacing;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::client::{ClientConfig, UnbufferedClientConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls_pki_types::{CertificateDer, ServerName};
use socket2::{Domain, Protocol, Socket, Type};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::fault::Fault;
use super::mimic::Mimic;
use super::shape::{Facts, KeyKind};

/// A record and its neighbour's head: what an idle connection grows to at most.
const RECORD_ROOM: usize = 17 * 1024;
/// First size of the buffer for what comes.
const FIRST_ROOM: usize = 4 * 1024;
/// What encryption adds to a record, with room to spare.
const OVERHEAD: usize = 64;

/// Memory of a connection that the next one goes on with.
#[derive(Debug, Default)]
pub struct Buffers {
    inbox: Vec<u8>,
    outbox: Vec<u8>,
}

impl Buffers {
    /// Reads so many bytes at a time: for bulk data.
    #[must_use]
    pub fn of(room: usize) -> Self {
        Self { inbox: vec![0; room], outbox: Vec::new() }
    }
}

/// A connection.
pub struct Wire {
    socket: TcpStream,
    /// None where bytes go as they are.
    tls: Option<UnbufferedClientConnection>,
    /// What is done to them then all the same.
    mimic: Option<Box<Mimic>>,
    buffers: Buffers,
    /// What of the inbox is not processed.
    head: usize,
    tail: usize,
    /// How much of the outbox is sent.
    sent: usize,
    /// The kernel had no more when it was asked last.
    drained: bool,
    /// The end is among what is to be read.
    ending: bool,
    established: bool,
    /// The server said that it sends no more.
    pub peer_closed: bool,
    /// The stream has ended.
    pub ended: bool,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Wire {
    /// Begins to connect, as the connection of this number; without a configuration in clear.
    ///
    /// # Errors
    /// Those of the system and of rustls.
    pub fn connect(
        to: (SocketAddr, &ServerName<'static>),
        config: Option<&Arc<ClientConfig>>,
        number: u64,
        buffers: Buffers,
        registry: (&Registry, Token),
    ) -> Result<Self, Fault> {
        let mut socket = socket(to.0, number)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.0.register(&mut socket, registry.1, interest)?;
        let tls = config.map(|c| UnbufferedClientConnection::new(Arc::clone(c), to.1.clone()));
        let tls = tls.transpose()?;
        let mut buffers = buffers;
        buffers.outbox.clear();
        Ok(Self {
            socket,
            tls,
            mimic: None,
            buffers,
            head: 0,
            tail: 0,
            sent: 0,
            drained: false,
            ending: false,
            established: false,
            peer_closed: false,
            ended: false,
        })
    }

    /// Has it work, without TLS, as it would with it.
    ///
    /// # Errors
    /// It has no cipher to work with.
    pub fn mimicking(mut self) -> Result<Self, Fault> {
        let mimic = Mimic::new().map_err(|e| Fault::Broken(format!("no cipher: {e}")))?;
        self.mimic = Some(Box::new(mimic));
        Ok(self)
    }

    /// Takes note of what the poll says.
    pub fn ready(&mut self, event: &Event) {
        self.drained = false;
        self.ending |= event.is_read_closed() || event.is_error();
    }

    /// Moves what can be moved; plaintext that came is handed to `on_data`.
    ///
    /// # Errors
    /// Those of socket, TLS and `on_data`.
    pub fn pump(
        &mut self,
        mut on_data: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        loop {
            self.process(&mut on_data)?;
            self.flush()?;
            if !self.fill()? {
                return Ok(());
            }
        }
    }

    fn process(
        &mut self,
        on_data: &mut impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let Some(tls) = &mut self.tls else {
            self.established = true;
            let incoming = &self.buffers.inbox[self.head..self.tail];
            if let Some(mimic) = &mut self.mimic {
                mimic.work(incoming);
            }
            (self.head, self.tail) = (0, 0);
            return if incoming.is_empty() { Ok(()) } else { on_data(incoming) };
        };
        loop {
            let incoming = &mut self.buffers.inbox[self.head..self.tail];
            let UnbufferedStatus { mut discard, state } = tls.process_tls_records(incoming);
            let mut again = true;
            match state? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        on_data(record.payload)?;
                    }
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    append(&mut self.buffers.outbox, FIRST_ROOM, |room| match data.encode(room) {
                        Err(EncodeError::InsufficientSize(size)) => Err(Some(size.required_size)),
                        result => result.map_err(|_| None),
                    })?;
                }
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.peer_closed = true,
                ConnectionState::WriteTraffic(_) => {
                    self.established = true;
                    again = false;
                }
                _ => again = false,
            }
            self.head += discard;
            if self.head == self.tail {
                (self.head, self.tail) = (0, 0);
            }
            if !again {
                return Ok(());
            }
        }
    }

    fn flush(&mut self) -> Result<(), Fault> {
        while self.sent < self.buffers.outbox.len() {
            match self.socket.write(&self.buffers.outbox[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(e) if is_later(e.kind()) => return Ok(()),
                Err(e) => return Err(e.into()),
            }
        }
        self.buffers.outbox.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads once; true when something came.
    fn fill(&mut self) -> Result<bool, Fault> {
        if self.ended || (self.drained && !self.ending) {
            return Ok(false);
        }
        let inbox = &mut self.buffers.inbox;
        if self.tail == inbox.len() {
            inbox.copy_within(self.head..self.tail, 0);
            self.tail -= self.head;
            self.head = 0;
            if self.tail == inbox.len() {
                let room = if inbox.is_empty() { FIRST_ROOM } else { RECORD_ROOM };
                inbox.resize(room.max(inbox.len() + FIRST_ROOM), 0);
            }
        }
        match self.socket.read(&mut inbox[self.tail..]) {
            Ok(0) => {
                self.ended = true;
                Ok(false)
            }
            Ok(count) => {
                self.tail += count;
                self.drained = self.tail < inbox.len();
                Ok(true)
            }
            Err(e) if is_later(e.kind()) => {
                self.drained = true;
                Ok(false)
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Encrypts plaintext; [`Self::pump`] sends it.
    ///
    /// # Errors
    /// The handshake is not complete, or the connection is closed.
    pub fn send(&mut self, plaintext: &[u8]) -> Result<(), Fault> {
        let Some(tls) = &mut self.tls else {
            if let Some(mimic) = &mut self.mimic {
                mimic.work(plaintext);
            }
            self.buffers.outbox.extend_from_slice(plaintext);
            return Ok(());
        };
        let room = plaintext.len() + (plaintext.len() / 16_000 + 1) * OVERHEAD;
        let state = tls.process_tls_records(&mut self.buffers.inbox[self.head..self.tail]);
        match state.state? {
            ConnectionState::WriteTraffic(mut traffic) => {
                append(&mut self.buffers.outbox, room, |out| {
                    wanted(traffic.encrypt(plaintext, out))
                })
            }
            other => Err(Fault::Broken(format!("nothing can be sent: {other:?}"))),
        }
    }

    /// Says that nothing more is sent; [`Self::pump`] sends it.
    ///
    /// # Errors
    /// The handshake is not complete.
    pub fn close_notify(&mut self) -> Result<(), Fault> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        let state = tls.process_tls_records(&mut self.buffers.inbox[self.head..self.tail]);
        match state.state? {
            ConnectionState::WriteTraffic(mut traffic) => {
                append(&mut self.buffers.outbox, OVERHEAD, |out| {
                    wanted(traffic.queue_close_notify(out))
                })
            }
            other => Err(Fault::Broken(format!("nothing can be closed: {other:?}"))),
        }
    }

    /// Bytes that were sealed in vain.
    #[must_use]
    pub fn mimicked(&self) -> u64 {
        self.mimic.as_ref().map_or(0, |mimic| mimic.sealed)
    }

    /// Encrypted bytes that the kernel has not taken.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.buffers.outbox.len() - self.sent
    }

    /// Whether the handshake is complete on this side.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.established
    }

    /// What the handshake came to, nothing where there was none; the key of the certificate only
    /// when `with_key`.
    #[must_use]
    pub fn facts(&self, with_key: bool) -> Facts {
        let Some(tls) = &self.tls else { return Facts::default() };
        let leaf = tls.peer_certificates().and_then(<[_]>::first).filter(|_| with_key);
        Facts {
            version: tls.protocol_version(),
            kind: tls.handshake_kind(),
            suite: tls.negotiated_cipher_suite().map(|suite| suite.suite()),
            group: tls.negotiated_key_exchange_group().map(|group| group.name()),
            key: leaf.and_then(key_of),
        }
    }

    /// Closes the socket; the buffers are for the next connection.
    #[must_use]
    pub fn into_buffers(self) -> Buffers {
        self.buffers
    }

    /// From where the connection comes, for messages.
    #[must_use]
    pub fn local(&self) -> String {
        self.socket.local_addr().map_or_else(|_| "no address".to_owned(), |a| a.to_string())
    }
}

fn wanted(result: Result<usize, EncryptError>) -> Result<usize, Option<usize>> {
    match result {
        Err(EncryptError::InsufficientSize(size)) => Err(Some(size.required_size)),
        result => result.map_err(|_| None),
    }
}

/// Lets `write` append to a buffer; it says when it wants more room.
fn append(
    buffer: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
) -> Result<(), Fault> {
    let start = buffer.len();
    let mut room = room;
    // Twice: the size asked for is enough.
    for _ in 0..2 {
        buffer.resize(start + room, 0);
        match write(&mut buffer[start..]) {
            Ok(count) => {
                buffer.truncate(start + count);
                return Ok(());
            }
            Err(Some(required)) => room = required,
            Err(None) => break,
        }
    }
    buffer.truncate(start);
    Err(Fault::Broken("TLS: a record cannot be written".to_owned()))
}

fn socket(to: SocketAddr, number: u64) -> Result<TcpStream, Fault> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(to), kind, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    pacing::stop_on_loopback(&socket, to.ip());
    if to.ip().is_loopback() && to.is_ipv4() {
        let last = u8::try_from(number % 250).unwrap_or_default() + 1;
        let source = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 1, last)), 0);
        socket.bind(&source.into())?;
    }
    match socket.connect(&to.into()) {
        Err(e) if e.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
            Err(e.into())
        }
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

fn is_later(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted)
}

fn key_of(leaf: &CertificateDer<'static>) -> Option<KeyKind> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let kind = match certificate.public_key().parsed().ok()? {
        PublicKey::RSA(key) => match key.key_size() {
            2048 => KeyKind::Rsa2048,
            3072 => KeyKind::Rsa3072,
            4096 => KeyKind::Rsa4096,
            _ => return None,
        },
        PublicKey::EC(point) => match point.key_size() {
            256 => KeyKind::P256,
            384 => KeyKind::P384,
            _ => return None,
        },
        _ => return None,
    };
    Some(kind)
}
