//! Handshakes and records without sockets.
//!
//! Only calls of the server are timed. The client is the same stock one for both sides of a
//! comparison; it makes what the server reads and reads what the server makes, off the clock.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use engine::certs;
use engine::certs::ClientAuth;
use engine::connection::{Connection, Progress};
use engine::crypto::{Crypto, CryptoConfig, EcdsaRoute};
use engine::handshake::execution::Execution;
use engine::member::Member;
use engine::service::{Service, ServiceSet, ServiceSpec};
use engine::tickets::TicketRing;
use rustls::client::{ClientConfig, ClientConnection};
use rustls::server::{ServerConfig, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls_pki_types::ServerName;

use crate::Failure;
use crate::clock::thread_cpu;
use crate::pki::{Issued, NAME};

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

/// The engine's own connection: hello reader, fiber, provider and signer, as in the daemon but for
/// the socket.
pub struct Engine {
    crypto: Arc<Crypto>,
    member: Member,
    set: Arc<ServiceSet>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("member", &self.member).finish_non_exhaustive()
    }
}

impl Engine {
    /// One service with the given suite and X25519; signatures are made in the thread of the
    /// handshake, on a protected key or, with all cards offline, on the host.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn new(issued: &Issued, suite: &str) -> Result<Self, Failure> {
        let no_card = engine::crypto::NoCard::Software;
        let config = CryptoConfig {
            cex: cex::Config { no_card, ..cex::Config::default() },
            ecdsa: EcdsaRoute::Cpacf,
        };
        let crypto = Crypto::start(&config)?;
        for card in &config.cex.cards {
            crypto.cex().set_card_online(card.id, false)?;
        }
        let now = std::time::SystemTime::now();
        let key = issued.key_pem.as_bytes();
        let certificate = certs::load(&crypto, "bench", issued.pem.as_bytes(), key, now)
            .map_err(|faults| format!("{faults:?}"))?;
        let lifetime = Duration::from_secs(3600);
        let ring = TicketRing::new(lifetime, lifetime, std::time::Instant::now())?;
        let spec = ServiceSpec {
            name: "bench".to_owned(),
            sni: Vec::new(),
            sni_required: false,
            certificates: vec![certificate],
            alpn: Vec::new(),
            tls12: false,
            tls13: true,
            suites: vec![suite.to_owned()],
            groups: vec!["x25519".to_owned()],
            tickets: 0,
            session_cache: 0,
            client_auth: ClientAuth::default(),
            session_lifetime: lifetime,
        };
        let set = ServiceSet::new(vec![Service::new(spec, &ring)?]);
        let member =
            Member::new("bench".to_owned(), Arc::clone(&crypto), Execution::Fiber, 8, || {});
        Ok(Self { crypto, member, set })
    }

    /// CPU time of the server in one full handshake.
    ///
    /// # Errors
    /// The handshake does not succeed.
    pub fn handshake(&self, client_config: &Arc<ClientConfig>) -> Result<Duration, Failure> {
        let mut client = client(client_config)?;
        let before = thread_cpu();
        let mut server = Connection::new(Arc::clone(&self.set), 1);
        let mut spent = thread_cpu().saturating_sub(before);
        for _ in 0..ROUNDS_MAX {
            let bytes = sent_by(&mut client)?;
            let before = thread_cpu();
            let space = server.input_space(&self.member);
            space.get_mut(..bytes.len()).ok_or("the flight does not fit")?.copy_from_slice(&bytes);
            server.received(bytes.len());
            let progress = self.advance(&mut server);
            spent += thread_cpu().saturating_sub(before);
            give_to(&mut client, server.output())?;
            server.sent(server.output().len());
            match progress {
                Progress::Established if !client.is_handshaking() => return Ok(spent),
                Progress::Failed => return Err(format!("{:?}", server.refusal()).into()),
                _ => {}
            }
        }
        Err("the handshake does not end".into())
    }

    fn advance(&self, server: &mut Connection) -> Progress {
        let mut progress = server.advance(&self.member);
        loop {
            match progress {
                Progress::HelloRead => progress = server.advance(&self.member),
                Progress::Suspended => {
                    // Without a card the answer is there at once.
                    for reply in self.member.replies(Duration::MAX) {
                        progress = server.complete(&self.member, reply);
                    }
                }
                other => return other,
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.crypto.shutdown();
    }
}
