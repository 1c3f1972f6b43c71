//! The backend: echoes, sends and checks, and costs as little as it can.
//!
//! One loop, edge by edge; what it sends are slices of a table, what it gets is compared with the
//! table. See [`super::protocol`] for what it understands. It does not pace what it sends: the
//! timers would run on the processor of the server and be charged to it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;

use adjunct::pacing;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::pattern;
use super::protocol::{HEAD_BYTES, Request, Trailer};
use crate::{Failure, clock};

const LISTENER: Token = Token(usize::MAX);
/// Bytes read at a time.
const READ_BYTES: usize = 256 * 1024;
/// Writes and reads of a connection before it is another's turn.
const TURN_STEPS: usize = 16;

/// A backend that listens.
#[derive(Debug)]
pub struct Backend {
    poll: Poll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// Connections that were interrupted for the sake of others.
    again: Vec<usize>,
    buffer: Vec<u8>,
}

/// Starts one in a thread of its own on the given processors; it ends with the process.
///
/// # Errors
/// Those of the system.
pub fn backend(processors: &[usize]) -> Result<SocketAddr, Failure> {
    let backend = Backend::listen("127.0.0.1:0".parse()?)?;
    let address = backend.address()?;
    let processors = processors.to_vec();
    std::thread::Builder::new().name("backend".to_owned()).spawn(move || {
        // Not confined is worse, but still a backend.
        let _ = clock::pin(&processors);
        // What it answers must not wait for the slices of the clients beside it.
        let _ = adjunct::scheduling::short_slices();
        backend.serve()
    })?;
    Ok(address)
}

impl Backend {
    /// Listens.
    ///
    /// # Errors
    /// Those of the system.
    pub fn listen(on: SocketAddr) -> Result<Self, Failure> {
        let mut listener = TcpListener::bind(on)?;
        pacing::stop_on_loopback(&listener, on.ip());
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            connections: Vec::new(),
            free: Vec::new(),
            again: Vec::new(),
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Where.
    ///
    /// # Errors
    /// Those of the system.
    pub fn address(&self) -> Result<SocketAddr, Failure> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves without end.
    ///
    /// # Errors
    /// Those of the poll.
    pub fn serve(mut self) -> std::io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            let timeout = (!self.again.is_empty()).then_some(std::time::Duration::ZERO);
            match self.poll.poll(&mut events, timeout) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    Token(key) => self.advance(key),
                }
            }
            for key in std::mem::take(&mut self.again) {
                self.advance(key);
            }
        }
    }

    fn accept(&mut self) -> std::io::Result<()> {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let key = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(key), interest)?;
            self.connections[key] = Some(Connection::new(stream));
        }
        Ok(())
    }

    fn advance(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key).and_then(Option::as_mut) else {
            return;
        };
        match connection.advance(&mut self.buffer) {
            Ok(Turn::Waits) => {}
            Ok(Turn::Goes) if self.again.contains(&key) => {}
            Ok(Turn::Goes) => self.again.push(key),
            Ok(Turn::Ends) | Err(_) => {
                self.connections[key] = None;
                self.free.push(key);
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The kernel has nothing more for it.
    Waits,
    /// It could go on.
    Goes,
    Ends,
}

#[derive(Debug)]
enum Task {
    /// The first bytes decide.
    Unknown,
    Echo,
    Bulk(Bulk),
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    task: Task,
    /// The beginning of a request, or what the kernel has not taken yet.
    pending: Vec<u8>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self { stream, task: Task::Unknown, pending: Vec::new() }
    }

    fn advance(&mut self, buffer: &mut [u8]) -> std::io::Result<Turn> {
        for _ in 0..TURN_STEPS {
            let waits = match &mut self.task {
                Task::Unknown | Task::Echo => {
                    if matches!(self.task, Task::Echo) && !self.flush()? {
                        return Ok(Turn::Waits);
                    }
                    match read(&mut self.stream, buffer)? {
                        None => true,
                        Some(0) => return Ok(Turn::Ends),
                        Some(count) => {
                            self.take(&buffer[..count])?;
                            // A short read has taken all; the end makes an event of its own,
                            // unless it is here already, which the next read tells.
                            false
                        }
                    }
                }
                Task::Bulk(bulk) => {
                    let received = read(&mut self.stream, buffer)?;
                    if received == Some(0) {
                        return Ok(Turn::Ends);
                    }
                    let count = received.unwrap_or_default();
                    bulk.take(&buffer[..count], &mut self.pending);
                    let sent = bulk.give(&mut self.stream, &mut self.pending)?;
                    received.is_none() && !sent
                }
            };
            if waits {
                return Ok(Turn::Waits);
            }
        }
        Ok(Turn::Goes)
    }

    fn take(&mut self, data: &[u8]) -> std::io::Result<()> {
        if matches!(self.task, Task::Unknown) {
            if self.pending.is_empty() && data.first() != Some(&0) {
                self.task = Task::Echo;
            } else {
                self.pending.extend_from_slice(data);
                let Some((head, rest)) = self.pending.split_first_chunk::<HEAD_BYTES>() else {
                    return Ok(());
                };
                self.task = match Request::decode(head) {
                    Some(request) => {
                        self.stream.set_nodelay(true)?;
                        let (mut bulk, mut out) = (Bulk::new(request), Vec::new());
                        bulk.take(rest, &mut out);
                        self.pending = out;
                        Task::Bulk(bulk)
                    }
                    None => Task::Echo,
                };
                return Ok(());
            }
        }
        let mut sent = 0;
        while self.pending.is_empty() && sent < data.len() {
            match self.stream.write(&data[sent..]) {
                Ok(count) => sent += count,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        self.pending.extend_from_slice(&data[sent..]);
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<bool> {
        flush(&mut self.stream, &mut self.pending)
    }
}

fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> std::io::Result<Option<usize>> {
    match stream.read(buffer) {
        Ok(count) => Ok(Some(count)),
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(e) => Err(e),
    }
}

/// False when the kernel takes no more.
fn flush(stream: &mut TcpStream, pending: &mut Vec<u8>) -> std::io::Result<bool> {
    let mut sent = 0;
    let mut full = false;
    while sent < pending.len() {
        match stream.write(&pending[sent..]) {
            Ok(count) => sent += count,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                full = true;
                break;
            }
            Err(e) => return Err(e),
        }
    }
    pending.drain(..sent);
    Ok(!full)
}

/// State of a connection for bulk data.
#[derive(Debug)]
struct Bulk {
    request: Request,
    /// Bytes that came up and were right.
    right: u64,
    wrong: bool,
    /// Trailers given.
    blocks: u64,
    /// Bytes of data that went down.
    sent: u64,
}

impl Bulk {
    fn new(request: Request) -> Self {
        Self { request, right: 0, wrong: false, blocks: 0, sent: 0 }
    }

    fn trailer(&self) -> [u8; HEAD_BYTES] {
        Trailer { right: self.right, wrong: self.wrong }.encode()
    }

    /// Checks what came up.
    fn take(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let Request { down, up, seed, block, .. } = self.request;
        if self.wrong || !up {
            return;
        }
        self.wrong = pattern::check(seed, self.right, data).is_err();
        if !self.wrong {
            self.right += data.len() as u64;
        }
        if !down {
            while self.wrong || self.right >= (self.blocks + 1) * u64::from(block) {
                self.blocks += 1;
                out.extend_from_slice(&self.trailer());
                if self.wrong {
                    break;
                }
            }
        }
    }

    /// Sends what goes down; false when the kernel takes no more, or nothing is to.
    fn give(&mut self, stream: &mut TcpStream, pending: &mut Vec<u8>) -> std::io::Result<bool> {
        if !flush(stream, pending)? || !self.request.down {
            return Ok(false);
        }
        let Request { seed, block, .. } = self.request;
        let left = (self.blocks + 1) * u64::from(block) - self.sent;
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        match stream.write(pattern::slice(seed, self.sent, left)) {
            Ok(count) => {
                self.sent += count as u64;
                if count == left {
                    self.blocks += 1;
                    pending.extend_from_slice(&self.trailer());
                }
                Ok(true)
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(e),
        }
    }
}
