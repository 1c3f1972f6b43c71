//! The engine's own connection: hello reader, fiber, provider and signer, as in the daemon but for
//! the socket.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use engine::buffer::{BUFFER_BYTES, Buffer};
use engine::certs::{self, ClientAuth};
use engine::connection::{Connection, Opened, Progress};
use engine::crypto::{Crypto, CryptoConfig, EcdsaRoute, NoCard};
use engine::handshake::execution::Execution;
use engine::member::Member;
use engine::service::{Service, ServiceSet, ServiceSpec};
use engine::tickets::TicketRing;
use rustls::client::{ClientConfig, ClientConnection};

use super::{ROUNDS_MAX, client, give_to, on_the_clock, sent_by, server_side};
use crate::Failure;
use crate::pki::Issued;

/// What varies between engines.
#[derive(Debug, Clone)]
pub struct EngineSetting<'a> {
    /// Certificate and key.
    pub issued: &'a Issued,
    /// IANA name of the only suite.
    pub suite: &'a str,
    /// Where the flights of a handshake run.
    pub execution: Execution,
    /// Tickets after a handshake.
    pub tickets: usize,
}

/// One service behind an address that is not there.
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
    /// One service with the given suite and X25519, with fibers and without tickets; signatures
    /// are made in the thread of the handshake, on a protected key or, with all cards offline, on
    /// the host.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn new(issued: &Issued, suite: &str) -> Result<Self, Failure> {
        Self::with(EngineSetting { issued, suite, execution: Execution::Fiber, tickets: 0 })
    }

    /// As [`Self::new`], with more to say about it.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn with(setting: EngineSetting<'_>) -> Result<Self, Failure> {
        let EngineSetting { issued, suite, execution, tickets } = setting;
        let config = CryptoConfig {
            cex: cex::Config { no_card: NoCard::Software, ..cex::Config::default() },
            ecdsa: EcdsaRoute::Cpacf,
            ..CryptoConfig::default()
        };
        let crypto = Crypto::start(&config)?;
        for card in &config.cex.cards {
            crypto.cex().set_card_online(card.id, false)?;
        }
        let now = SystemTime::now();
        let key = issued.key_pem.as_bytes();
        let certificate = certs::load(&crypto, "bench", issued.pem.as_bytes(), key, now)
            .map_err(|faults| format!("{faults:?}"))?;
        let lifetime = Duration::from_secs(3600);
        let ring = TicketRing::new(lifetime, lifetime, Instant::now())?;
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
            tickets,
            session_cache: 0,
            client_auth: ClientAuth::default(),
            session_lifetime: lifetime,
            modes: engine::compliance::ModeSet::default(),
            audit: engine::compliance::ModeSet::default(),
        };
        let set = ServiceSet::new(vec![Service::new(spec, &ring)?]);
        let member = Member::new("bench".to_owned(), Arc::clone(&crypto), execution, 8, || {});
        Ok(Self { crypto, member, set })
    }

    /// CPU time of the server in one handshake.
    ///
    /// # Errors
    /// The handshake does not succeed.
    pub fn handshake(&self, client_config: &Arc<ClientConfig>) -> Result<Duration, Failure> {
        self.session(client_config).map(|(_, spent)| spent)
    }

    /// A handshake: both ends, and the server's CPU time.
    ///
    /// # Errors
    /// The handshake does not succeed.
    pub fn session(
        &self,
        client_config: &Arc<ClientConfig>,
    ) -> Result<(Session<'_>, Duration), Failure> {
        let mut client = client(client_config)?;
        let mut spent = Duration::ZERO;
        let mut server = on_the_clock(&mut spent, || Connection::new(Arc::clone(&self.set), 1));
        for _ in 0..ROUNDS_MAX {
            let bytes = sent_by(&mut client)?;
            let progress = on_the_clock(&mut spent, || {
                let space = server.input_space(&self.member).get_mut(..bytes.len())?;
                space.copy_from_slice(&bytes);
                server.received(bytes.len());
                Some(self.advance(&mut server))
            });
            give_to(&mut client, server.output())?;
            server.sent(server.output().len());
            match progress.ok_or("the flight does not fit")? {
                Progress::Established if !client.is_handshaking() => {
                    let data = Buffer::with_capacity(BUFFER_BYTES);
                    return Ok((Session { engine: self, client, server, data }, spent));
                }
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

/// An established connection, both ends of it.
pub struct Session<'a> {
    engine: &'a Engine,
    client: ClientConnection,
    server: Connection,
    /// What the server has opened.
    data: Buffer,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Session<'_> {
    /// Whether it goes on with an earlier session.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.server.is_resumed()
    }

    /// The server seals `count` records, each sent before the next.
    ///
    /// # Errors
    /// The connection breaks.
    pub fn seal(&mut self, plaintext: &[u8], count: usize) -> Result<(), Failure> {
        let Self { engine, server, .. } = self;
        let sealed = server_side(|| {
            (0..count).all(|_| {
                let sealed = server.seal(&engine.member, plaintext);
                server.sent(server.output().len());
                sealed
            })
        });
        if sealed { Ok(()) } else { Err(format!("{:?}", server.refusal()).into()) }
    }

    /// The server opens `count` records of the client with `plaintext`, each come by itself.
    ///
    /// # Errors
    /// The connection breaks, or something else comes out.
    pub fn open(&mut self, plaintext: &[u8], count: usize) -> Result<(), Failure> {
        for _ in 0..count {
            let record = super::sealed_by_client(&mut self.client, plaintext, 1)?;
            let Self { engine, server, data, .. } = self;
            let opened = server_side(|| {
                let space = server.input_space(&engine.member).get_mut(..record.len())?;
                space.copy_from_slice(&record);
                server.received(record.len());
                data.clear();
                Some(server.open_record(data))
            });
            if opened != Some(Opened::Data(plaintext.len())) {
                return Err(format!("{opened:?} instead of a record of data").into());
            }
        }
        Ok(())
    }
}
