//! Handshakes and records without sockets.
//!
//! Only calls of the server are timed. The client is the same stock one for both sides of a
//! comparison; it makes what the server reads and reads what the server makes, off the clock.
//!
//! Invariant: whatever the server of [`Engine`] does is done inside [`server_side`], the frame by
//! which an instruction counter knows what to count; nothing of the client is.

use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{ClientConfig, ClientConnection};
use rustls::server::{ServerConfig, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls_pki_types::ServerName;

use crate::Failure;
use crate::clock::thread_cpu;
use crate::pki::NAME;

mod engine;

pub use self::engine::{Engine, EngineSetting, Session};

/// Rounds of a handshake; a real one needs three.
const ROUNDS_MAX: usize = 8;

/// A client about to say hello.
///
/// # Errors
/// Those of rustls.
pub fn client(config: &Arc<ClientConfig>) -> Result<ClientConnection, Failure> {
    let mut client = ClientConnection::new(Arc::clone(config), ServerName::try_from(NAME)?)?;
    client.set_buffer_limit(None);
    Ok(client)
}

/// The first flight of a client.
///
/// # Errors
/// Those of rustls.
pub fn hello(config: &Arc<ClientConfig>) -> Result<Vec<u8>, Failure> {
    sent_by(&mut client(config)?)
}

/// The frame in which a server works: an instruction counter counts from its entry to its end.
#[inline(never)]
pub fn server_side<T>(work: impl FnOnce() -> T) -> T {
    // The call must return here: without a use of its result it would become a jump.
    black_box(work())
}

/// The server's work with its CPU time.
fn on_the_clock<T>(spent: &mut Duration, work: impl FnOnce() -> T) -> T {
    let before = thread_cpu();
    let result = server_side(work);
    *spent += thread_cpu().saturating_sub(before);
    result
}

/// What the client wants to send.
fn sent_by(client: &mut ClientConnection) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes)?;
    }
    Ok(bytes)
}

fn give_to(client: &mut ClientConnection, mut bytes: &[u8]) -> Result<(), Failure> {
    while !bytes.is_empty() {
        client.read_tls(&mut bytes)?;
        client.process_new_packets()?;
    }
    Ok(())
}

/// A server of the unbuffered interface.
pub struct Server {
    tls: UnbufferedServerConnection,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("input", &self.input.len()).finish_non_exhaustive()
    }
}

impl Server {
    fn new(config: &Arc<ServerConfig>) -> Result<Self, Failure> {
        let tls = UnbufferedServerConnection::new(Arc::clone(config))?;
        Ok(Self { tls, input: Vec::new(), output: Vec::new() })
    }

    /// Goes on with what is in the input; true when the handshake is complete.
    #[inline(never)] // a frame that a profiler can start at
    fn drive(&mut self) -> Result<bool, Failure> {
        loop {
            let UnbufferedStatus { discard, state } = self.tls.process_tls_records(&mut self.input);
            let mut established = None;
            match state? {
                ConnectionState::EncodeTlsData(mut data) => {
                    let needed = match data.encode(&mut []) {
                        Err(EncodeError::InsufficientSize(size)) => size.required_size,
                        _ => 0,
                    };
                    let end = self.output.len();
                    self.output.resize(end + needed, 0);
                    data.encode(&mut self.output[end..])?;
                }
                ConnectionState::TransmitTlsData(sent) => sent.done(),
                ConnectionState::BlockedHandshake => established = Some(false),
                ConnectionState::WriteTraffic(_) => established = Some(true),
                _ => return Err("a state that no handshake has".into()),
            }
            self.input.drain(..discard);
            if let Some(established) = established {
                return Ok(established);
            }
        }
    }

    /// CPU time for sealing `count` records of `plaintext` into one buffer.
    ///
    /// # Errors
    /// Those of rustls.
    pub fn seal(&mut self, plaintext: &[u8], count: usize) -> Result<Duration, Failure> {
        self.output.resize((plaintext.len() + 64) * count, 0);
        let before = thread_cpu();
        let ConnectionState::WriteTraffic(mut traffic) =
            self.tls.process_tls_records(&mut []).state?
        else {
            return Err("an established server can write".into());
        };
        let mut used = 0;
        for _ in 0..count {
            match traffic.encrypt(plaintext, &mut self.output[used..]) {
                Ok(written) => used += written,
                Err(EncryptError::InsufficientSize(_)) => return Err("the buffer is full".into()),
                Err(error) => return Err(error.into()),
            }
        }
        let spent = thread_cpu().saturating_sub(before);
        self.output.truncate(used);
        Ok(spent)
    }

    /// CPU time for opening everything in `records`, in place.
    ///
    /// # Errors
    /// Those of rustls, and when it is not as much as expected.
    pub fn open(&mut self, records: &mut [u8], expected: usize) -> Result<Duration, Failure> {
        let before = thread_cpu();
        let (mut at, mut opened) = (0, 0);
        while at < records.len() {
            let UnbufferedStatus { mut discard, state } =
                self.tls.process_tls_records(&mut records[at..]);
            let ConnectionState::ReadTraffic(mut traffic) = state? else {
                return Err("a state that no transfer has".into());
            };
            while let Some(record) = traffic.next_record() {
                let record = record?;
                opened += record.payload.len();
                discard += record.discard;
            }
            at += discard;
        }
        let spent = thread_cpu().saturating_sub(before);
        if opened == expected { Ok(spent) } else { Err("not everything was opened".into()) }
    }
}

/// A full handshake: both ends, and the server's CPU time.
///
/// # Errors
/// Those of rustls.
pub fn handshake(
    client_config: &Arc<ClientConfig>,
    server_config: &Arc<ServerConfig>,
) -> Result<(ClientConnection, Server, Duration), Failure> {
    let mut client = client(client_config)?;
    let mut bytes = sent_by(&mut client)?;
    let before = thread_cpu();
    let mut server = Server::new(server_config)?;
    let mut spent = thread_cpu().saturating_sub(before);
    for _ in 0..ROUNDS_MAX {
        server.input.append(&mut bytes);
        let before = thread_cpu();
        let established = server.drive()?;
        spent += thread_cpu().saturating_sub(before);
        give_to(&mut client, &std::mem::take(&mut server.output))?;
        if established && !client.is_handshaking() {
            return Ok((client, server, spent));
        }
        bytes = sent_by(&mut client)?;
    }
    Err("the handshake does not end".into())
}

/// Records that a client sends: `count` of `plaintext`.
///
/// # Errors
/// Those of rustls.
pub fn sealed_by_client(
    client: &mut ClientConnection,
    plaintext: &[u8],
    count: usize,
) -> Result<Vec<u8>, Failure> {
    let mut records = Vec::with_capacity((plaintext.len() + 64) * count);
    for _ in 0..count {
        client.writer().write_all(plaintext)?;
        while client.wants_write() {
            client.write_tls(&mut records)?;
        }
    }
    Ok(records)
}
