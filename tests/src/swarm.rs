//! Thousands of TLS clients in one thread.
//!
//! Purpose: hold as many handshakes in flight as a test wants, without a thread for each. Every
//! client is a stock rustls connection on a socket that never blocks; it shakes hands, sends a few
//! bytes, wants them back, and ends in order.
//!
//! Invariants: an error ends one client and is kept; the whole has a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustls::ClientConnection;

use crate::client::stock::Client;

/// What each client sends and wants to get back.
const WORD: &[u8] = b"one of many\n";

struct One {
    socket: TcpStream,
    tls: ClientConnection,
    asked: bool,
    answer: Vec<u8>,
    result: Option<Result<(), String>>,
}

impl One {
    /// Moves what can be moved; true at the end.
    fn drive(&mut self) -> io::Result<bool> {
        loop {
            while self.tls.wants_write() {
                match self.tls.write_tls(&mut self.socket) {
                    Ok(_) => {}
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) if e.kind() == ErrorKind::NotConnected => return Ok(false),
                    Err(e) => return Err(e),
                }
            }
            if !self.tls.is_handshaking() && !self.asked {
                self.asked = true;
                self.tls.writer().write_all(WORD)?;
                continue;
            }
            match self.tls.read_tls(&mut self.socket) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            }
            let state = self.tls.process_new_packets().map_err(io::Error::other)?;
            let mut bytes = vec![0; state.plaintext_bytes_to_read()];
            self.tls.reader().read_exact(&mut bytes)?;
            self.answer.extend(bytes);
            if self.answer.len() >= WORD.len() {
                self.tls.send_close_notify();
                while self.tls.wants_write() {
                    self.tls.write_tls(&mut self.socket)?;
                }
                let right = self.answer == WORD;
                return if right { Ok(true) } else { Err(io::Error::other("a wrong answer")) };
            }
        }
    }
}

/// Many clients.
pub struct Swarm {
    poll: Poll,
    clients: Vec<One>,
    open: usize,
}

impl std::fmt::Debug for Swarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Swarm").field("open", &self.open).finish_non_exhaustive()
    }
}

impl Swarm {
    /// `count` clients that begin to connect now, in turn to each of `addresses`.
    ///
    /// # Errors
    ///
    /// The system has no sockets left.
    pub fn connect(
        client: &Client,
        name: &str,
        addresses: &[SocketAddr],
        count: usize,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut clients = Vec::with_capacity(count);
        for (index, address) in addresses.iter().cycle().take(count).enumerate() {
            let mut socket = TcpStream::connect(*address)?;
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut socket, Token(index), interest)?;
            let tls = client.connection(name);
            clients.push(One { socket, tls, asked: false, answer: Vec::new(), result: None });
        }
        Ok(Self { poll, open: clients.len(), clients })
    }

    /// Clients that have not ended.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open
    }

    /// Moves what can be moved for `duration`.
    pub fn run(&mut self, duration: Duration) {
        let until = Instant::now() + duration;
        let mut events = Events::with_capacity(1024);
        while self.open > 0 && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            match self.poll.poll(&mut events, Some(left.min(Duration::from_millis(50)))) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                result => result.expect("epoll"),
            }
            for event in &events {
                let one = &mut self.clients[event.token().0];
                if one.result.is_some() {
                    continue;
                }
                let result = match one.drive() {
                    Ok(false) => continue,
                    Ok(true) => Ok(()),
                    Err(error) => Err(error.to_string()),
                };
                one.result = Some(result);
                self.open -= 1;
                let _ = self.poll.registry().deregister(&mut one.socket);
            }
        }
    }

    /// What became of the clients; those that have not ended count as hanging.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let failure = |one: &One| match &one.result {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(error.clone()),
            None => Some("hangs".to_owned()),
        };
        self.clients.iter().filter_map(failure).collect()
    }
}
