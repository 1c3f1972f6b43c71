//! A non-blocking socket (TCP or Unix) with what epoll has said about it.
//!
//! Invariants: edge-triggered. A readiness bit is set by an event and cleared by the system call
//! that says "would block", so that no wake-up is lost. A write that takes less than it was given,
//! and a read of a *client* that brings less than there is room for, say the same (`epoll(7)`):
//! what comes later makes an event of its own, a FIN too unless an event has told of it already. A
//! backend is read until the system says so: what it sends as urgent data ends a read early (a
//! client that does so, for which TLS has no use, may delay itself until it sends more). A read of
//! nothing because there is no room is never mistaken for the end of the stream. The kernel tells
//! of a reset once, to whatever call comes first, and from then on makes it look like the end of
//! the stream; so the first error is kept, and a stream that was cut never ends in [`Moved::Eof`].
//!
//! A Unix socket has no reset. What comes near it: a peer that closes over bytes it has not read
//! leaves `ECONNRESET` behind, and that is taken for a cut. A peer that had read everything and
//! dies looks like one that has finished, as a process that ends does over TCP. `EPIPE` says only
//! that the peer reads no more: it may still be talking, and how it ended shows when it is read.
//! In the other direction nothing can be marked as cut: closing is all there is
//! ([`Endpoint::reset_on_close`]).

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::path::Path;
use std::time::Duration;

use mio::event::Event;
use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use rustix::io::Errno;

/// How a read or write ended.
#[derive(Debug)]
pub enum Moved {
    /// This many bytes.
    Bytes(usize),
    /// Nothing now; an event will tell.
    Blocked,
    /// The peer sends no more.
    Eof,
    /// The connection is broken.
    Broken(io::Error),
}

/// What is below.
#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The same call on either kind of socket.
macro_rules! either {
    ($stream:expr, $socket:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($socket) => $call,
            Stream::Unix($socket) => $call,
        }
    };
}

/// One side of a relay.
#[derive(Debug)]
pub struct Endpoint {
    stream: Stream,
    readable: bool,
    writable: bool,
    /// A read that brings less than there is room for has brought all.
    short_reads_empty: bool,
    /// epoll reported the peer's FIN, or worse.
    read_closed: bool,
    /// epoll reported an error or a hang-up of both directions.
    gone: bool,
    eof: bool,
    write_shut: bool,
    /// The first error the kernel told of.
    failure: Option<Errno>,
}

impl Endpoint {
    /// The socket of a client. What it has sent is told by an event; writing is tried at once.
    #[must_use]
    pub fn accepted(stream: TcpStream) -> Self {
        Self { writable: true, short_reads_empty: true, ..Self::over_tcp(stream) }
    }

    fn over_tcp(stream: TcpStream) -> Self {
        // A record or a keystroke must not wait for the next one; failure costs latency alone.
        let _ = stream.set_nodelay(true);
        Self::over(Stream::Tcp(stream))
    }

    fn over(stream: Stream) -> Self {
        Self {
            stream,
            readable: false,
            writable: false,
            short_reads_empty: false,
            read_closed: false,
            gone: false,
            eof: false,
            write_shut: false,
            failure: None,
        }
    }

    /// A socket whose connect to `address` is under way.
    ///
    /// # Errors
    ///
    /// When the system has no socket, or knows at once that nobody answers.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::over_tcp(TcpStream::connect(address)?))
    }

    /// A socket connected to the one at `path`: for Unix sockets that is done at once.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`]; `WouldBlock` when the queue of the listener is full, of whose end no
    /// event tells.
    pub fn connect_unix(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        Ok(Self { writable: true, ..Self::over(Stream::Unix(stream)) })
    }

    /// The socket, for registering.
    pub fn source(&mut self) -> &mut dyn Source {
        either!(&mut self.stream, socket => socket)
    }

    /// Our own address; a Unix socket has none that means anything.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.stream {
            Stream::Tcp(socket) => socket.local_addr().ok(),
            Stream::Unix(_) => None,
        }
    }

    /// Takes in what epoll reported.
    pub fn on_event(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
        self.read_closed |= event.is_read_closed() || event.is_error();
        self.gone |= event.is_error() || (event.is_read_closed() && event.is_write_closed());
        if event.is_error()
            && let Ok(Some(error)) = either!(&self.stream, socket => socket.take_error())
        {
            self.fail(&error);
        }
    }

    /// Keeps the first error; what was received before it can still be read.
    fn fail(&mut self, error: &io::Error) {
        let is_unix = matches!(self.stream, Stream::Unix(_));
        if self.failure.is_none() || (is_unix && self.failed_after_fin()) {
            self.failure = Errno::from_io_error(error);
        }
        self.writable = false;
        self.readable = true;
        self.read_closed = true;
    }

    /// Why nothing can be written any more: the peer has reset the connection.
    #[must_use]
    pub fn failure(&self) -> Option<io::Error> {
        self.failure.map(io::Error::from)
    }

    /// Whether the peer takes no more, although nothing says that what it sends was cut: over TCP
    /// it had ended its direction before it reset, over a Unix socket it has stopped reading.
    #[must_use]
    pub fn failed_after_fin(&self) -> bool {
        self.failure == Some(Errno::PIPE)
    }

    /// Whether a read may bring something.
    #[must_use]
    pub fn may_read(&self) -> bool {
        self.readable && !self.eof
    }

    /// Whether the peer is gone in both directions.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone || self.failure.is_some()
    }

    /// Whether the peer has sent its FIN and everything before it was read.
    #[must_use]
    pub fn has_eof(&self) -> bool {
        self.eof
    }

    /// Reads into `space`.
    pub fn read(&mut self, space: &mut [u8]) -> Moved {
        if space.is_empty() || !self.may_read() {
            return Moved::Blocked;
        }
        loop {
            match either!(&mut self.stream, socket => socket.read(space)) {
                Ok(0) => {
                    return match self.failure() {
                        Some(error) if !self.failed_after_fin() => Moved::Broken(error),
                        _ => {
                            self.eof = true;
                            Moved::Eof
                        }
                    };
                }
                Ok(count) => {
                    if count < space.len() && self.short_reads_empty {
                        self.readable = self.read_closed;
                    }
                    return Moved::Bytes(count);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Moved::Blocked;
                }
                Err(e) => {
                    self.fail(&e);
                    return Moved::Broken(e);
                }
            }
        }
    }

    /// Writes what `bytes` holds, as much as the socket takes at once.
    pub fn write(&mut self, bytes: &[u8]) -> Moved {
        if let Some(error) = self.failure() {
            return Moved::Broken(error);
        }
        if bytes.is_empty() || !self.writable {
            return Moved::Blocked;
        }
        loop {
            match either!(&mut self.stream, socket => socket.write(bytes)) {
                Ok(count) => {
                    self.writable = count == bytes.len();
                    return Moved::Bytes(count);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    self.writable = false;
                    return Moved::Blocked;
                }
                Err(e) => {
                    self.fail(&e);
                    return Moved::Broken(e);
                }
            }
        }
    }

    /// Sends a FIN behind everything written.
    pub fn shut_write(&mut self) {
        if !self.write_shut {
            self.write_shut = true;
            // The only failure is a peer that is gone already.
            let _ = either!(&self.stream, socket => socket.shutdown(Shutdown::Write));
        }
    }

    /// Whether [`Self::shut_write`] was called.
    #[must_use]
    pub fn write_is_shut(&self) -> bool {
        self.write_shut
    }

    /// Makes the coming close a reset, so that the peer cannot take a cut stream for a whole one.
    /// Over a Unix socket the peer sees the end of the stream, and `EPIPE` when it writes.
    pub fn reset_on_close(&self) {
        if let Stream::Tcp(socket) = &self.stream {
            let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }

    /// Outcome of a connect: none while it is under way.
    pub fn connect_result(&mut self) -> Option<io::Result<()>> {
        if let Some(error) = self.failure() {
            return Some(Err(error));
        }
        if !self.writable {
            return None;
        }
        let Stream::Tcp(socket) = &self.stream else { return Some(Ok(())) };
        match socket.take_error() {
            Ok(Some(error)) | Err(error) => return Some(Err(error)),
            Ok(None) => {}
        }
        match socket.peer_addr() {
            Ok(_) => Some(Ok(())),
            Err(e) if e.kind() == ErrorKind::NotConnected => {
                self.writable = false;
                None
            }
            Err(e) => Some(Err(e)),
        }
    }
}
