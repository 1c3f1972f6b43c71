//! A TLS-terminating relay that can be told to do wrong, and one of ciphertext.
//!
//! A thread for each connection, which looks at both sides in turn: slow, but simple enough to be
//! believed.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use adjunct_bench::pki::{Issued, Kind};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{NoServerSessionStorage, ServerConfig, ServerConnection};
use rustls_pki_types::PrivateKeyDer;

/// What the relay does wrong, once for each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    Nothing,
    /// One bit of this byte from the backend.
    FlipDown(usize),
    /// One bit of this byte from the client.
    FlipUp(usize),
    /// This byte from the backend is not passed on.
    DropDown(usize),
    /// This byte from the client is not passed on.
    DropUp(usize),
    /// The connection ends before this byte from the backend.
    CutDown(usize),
    /// The backend's data waits so long.
    Late(Duration),
    /// The end of a connection without close_notify.
    Mute,
    /// Once, of all connections together, the data waits so long.
    StallOnce(Duration),
}

/// Sessions the server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sessions {
    No,
    Tickets,
    /// Tickets are given, and never honoured.
    Forgotten,
}

#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    /// PEM of the certificate it has: not one of a CA.
    pub(crate) pem: String,
}

impl Relay {
    pub(crate) fn start(backend: SocketAddr, wrong: Wrong) -> Self {
        Self::with(backend, wrong, Sessions::No)
    }

    pub(crate) fn with(backend: SocketAddr, wrong: Wrong, sessions: Sessions) -> Self {
        let issued = Issued::new(Kind::P256).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let pem = issued.pem.clone();
        let config = Arc::new(config(&issued, sessions));
        let stalled = Arc::new(AtomicBool::new(false));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = match sessions {
                    Sessions::Forgotten => Arc::new(self::config(&issued, sessions)),
                    _ => Arc::clone(&config),
                };
                let stalled = Arc::clone(&stalled);
                // What is wrong with a connection the client says.
                std::thread::spawn(move || relay(stream, backend, config, wrong, &stalled));
            }
        });
        Self { address, pem }
    }
}

fn config(issued: &Issued, sessions: Sessions) -> ServerConfig {
    let key: PrivateKeyDer<'static> = issued.private_key();
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.leaf.clone()], key)
        .unwrap();
    if sessions == Sessions::No {
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    config
}

fn relay(
    mut client: TcpStream,
    backend: SocketAddr,
    config: Arc<ServerConfig>,
    wrong: Wrong,
    stalled: &AtomicBool,
) -> std::io::Result<()> {
    let mut backend = TcpStream::connect(backend)?;
    let mut tls = ServerConnection::new(config).map_err(std::io::Error::other)?;
    for stream in [&client, &backend] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(1)))?;
    }
    let (mut up, mut down) = (0, 0);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = tls.read_tls(&mut client);
        let ended = matches!(read, Ok(0));
        read.map(drop).or_else(later)?;
        let state = tls.process_new_packets();
        if let Err(e) = &state {
            let _ = tls.write_tls(&mut client);
            return Err(std::io::Error::other(e.clone()));
        }
        while let Ok(count @ 1..) = tls.reader().read(&mut buffer) {
            let data = bend(&buffer[..count], &mut up, false, wrong);
            backend.write_all(&data)?;
        }
        if ended || state.is_ok_and(|state| state.peer_has_closed()) {
            if wrong == Wrong::Mute {
                return Ok(());
            }
            tls.send_close_notify();
            tls.write_tls(&mut client)?;
            return Ok(());
        }
        match backend.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                match wrong {
                    Wrong::Late(time) => std::thread::sleep(time),
                    // Far enough into the run to be counted.
                    Wrong::StallOnce(time) if down > 20_000 && !stalled.swap(true, Relaxed) => {
                        std::thread::sleep(time);
                    }
                    _ => {}
                }
                let data = bend(&buffer[..count], &mut down, true, wrong);
                tls.writer().write_all(&data)?;
                if matches!(wrong, Wrong::CutDown(at) if down > at) {
                    tls.send_close_notify();
                    while tls.wants_write() {
                        tls.write_tls(&mut client)?;
                    }
                    return client.shutdown(Shutdown::Both);
                }
            }
            Err(e) => later(e)?,
        }
        while tls.wants_write() {
            tls.write_tls(&mut client)?;
        }
    }
}

/// Does what is wrong to data that begins at a position.
fn bend(data: &[u8], position: &mut usize, downward: bool, wrong: Wrong) -> Vec<u8> {
    let mut data = data.to_vec();
    let start = *position;
    *position += data.len();
    let within = |at: usize| (start..start + data.len()).contains(&at).then(|| at - start);
    match wrong {
        Wrong::FlipDown(at) if downward => within(at).map(|at| data[at] ^= 0x10),
        Wrong::FlipUp(at) if !downward => within(at).map(|at| data[at] ^= 0x10),
        Wrong::DropDown(at) if downward => within(at).map(|at| _ = data.remove(at)),
        Wrong::DropUp(at) if !downward => within(at).map(|at| _ = data.remove(at)),
        Wrong::CutDown(at) if downward => within(at).map(|at| data.truncate(at)),
        _ => None,
    };
    data
}

fn later(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(()),
        _ => Err(error),
    }
}

/// A relay of ciphertext that flips one bit of this byte from the server.
pub(crate) fn flip_ciphertext(server: SocketAddr, at: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(server).unwrap();
            pass(client.try_clone().unwrap(), server.try_clone().unwrap(), None);
            pass(server, client, Some(at));
        }
    });
    address
}

fn pass(mut from: TcpStream, mut to: TcpStream, flip: Option<usize>) {
    std::thread::spawn(move || {
        let (mut buffer, mut position) = (vec![0; 16 * 1024], 0);
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let wrong = flip.map_or(Wrong::Nothing, Wrong::FlipDown);
            if to.write_all(&bend(&buffer[..count], &mut position, true, wrong)).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
