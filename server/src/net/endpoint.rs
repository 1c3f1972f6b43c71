//! A non-blocking socket (TCP or Unix) with what epoll has said about it.
//!
//! Invariants: edge-triggered. A readiness bit is set by an event and cleared by the system call
//! that says "would block", so that no wake-up is lost. A write that takes less than it was given,
//! and a read that brings less than there is room for, say the same (`epoll(7)`): what comes later
//! makes an event of its own, a FIN too unless an event has told of it already. Two peers are read
//! until the system says so, since a read may end early: one that sends urgent data, which an event
//! tells before or with the data behind it, and a Unix socket, whose reads end at descriptors. A
//! read of nothing because there is no room is never mistaken for the end of the stream. The kernel
//! tells of a reset once, to whatever call comes first, and from then on makes it look like the end
//! of the stream; so the first error is kept, and a stream that was cut never ends in
//! [`Moved::Eof`].
//!
//! A Unix socket has no reset. What comes near it: a peer that closes over bytes it has not read
//! leaves `ECONNRESET` behind, and that is taken for a cut. A peer that had read everything and
//! dies looks like one that has finished, as a process that ends does over TCP. `EPIPE` says only
//! that the peer reads no more: it may still be talking, and how it ended shows when it is read.
//! In the other direction nothing can be marked as cut: closing is all there is
//! ([`Endpoint::reset_on_close`]).

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr};
use std::path::Path;
use std::time::Duration;

use mio::Interest;
use mio::event::Event;
use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// What a segment holds at least in any network (RFC 9293 §3.7.1). As nothing has been sent
/// before it, a first write of so much is not held back by Nagle's algorithm (RFC 9293 §3.7.4).
const FIRST_WRITE_BYTES: usize = 536;

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

/// What epoll is asked for. It tells of the end of a stream and of errors unasked.
pub const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);

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
    /// The last read was one of these, and no event has told of more since.
    drained: bool,
    /// epoll reported the peer's FIN, or worse.
    read_closed: bool,
    /// epoll reported an error or a hang-up of both directions.
    gone: bool,
    eof: bool,
    write_shut: bool,
    /// Nagle's algorithm is on, and a write of so many bytes leaves at once all the same.
    nagle: Option<usize>,
    /// The first error the kernel told of.
    failure: Option<Errno>,
}

impl Endpoint {
    /// The socket of a client. What it has sent is told by an event; writing is tried at once.
    #[must_use]
    pub fn accepted(stream: TcpStream) -> Self {
        // It has `TCP_NODELAY` from the listener.
        Self { writable: true, ..Self::over(Stream::Tcp(stream)) }
    }

    /// An urgent byte stands in line with all others: telnet marks its DM so (RFC 854, Synch), and
    /// whoever passes the rest on must not lose it.
    pub fn keep_urgent_data(&self) {
        if let Stream::Tcp(socket) = &self.stream {
            // Without it the byte is missing, as it always was.
            let _ = SockRef::from(socket).set_out_of_band_inline(true);
        }
    }

    fn over(stream: Stream) -> Self {
        Self {
            short_reads_empty: matches!(stream, Stream::Tcp(_)),
            stream,
            drained: false,
            readable: false,
            writable: false,
            read_closed: false,
            gone: false,
            eof: false,
            write_shut: false,
            nagle: None,
            failure: None,
        }
    }

    /// A socket whose connect to `address` is under way.
    ///
    /// With `data_waits` the system leaves the acknowledgement of the peer's SYN to the first data:
    /// a segment less, some 5 µs for us, and the peer finds connection and data at once. Data must
    /// wait indeed, since without any the peer knows of its connection 200 ms later. The same is
    /// haproxy's `tcp-smart-connect`.
    ///
    /// # Errors
    ///
    /// When the system has no socket, or knows at once that nobody answers.
    pub fn connect(address: SocketAddr, data_waits: bool) -> io::Result<Self> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
        if data_waits {
            // Without it the acknowledgement comes early, which is all.
            let _ = socket.set_tcp_quickack(false);
        }
        match socket.connect(&address.into()) {
            Err(e) if Errno::from_io_error(&e) != Some(Errno::INPROGRESS) => return Err(e),
            _ => {}
        }
        let stream = Stream::Tcp(TcpStream::from_std(socket.into()));
        let endpoint = Self { nagle: Some(FIRST_WRITE_BYTES), ..Self::over(stream) };
        endpoint.keep_urgent_data();
        Ok(endpoint)
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

    /// Takes in what epoll reported; whether that is news. Events tell again what they have told,
    /// and the first one of a client that it can be written to.
    #[must_use]
    pub fn on_event(&mut self, event: &Event) -> bool {
        let before = (self.readable, self.writable, self.read_closed, self.gone);
        self.short_reads_empty &= !event.is_priority();
        self.drained &= !event.is_readable() && !event.is_error();
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
        self.read_closed |= event.is_read_closed() || event.is_error();
        self.gone |= event.is_error() || (event.is_read_closed() && event.is_write_closed());
        if event.is_error()
            && let Ok(Some(error)) = either!(&self.stream, socket => socket.take_error())
        {
            self.fail(&error);
        }
        event.is_error() || before != (self.readable, self.writable, self.read_closed, self.gone)
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

    /// Whether the next read finds the end of the stream: an event had told of the FIN before the
    /// last read, and that has brought all there was.
    #[must_use]
    pub fn end_is_next(&self) -> bool {
        self.read_closed && self.drained && self.failure.is_none()
    }

    /// Reads into `space`.
    pub fn read(&mut self, space: &mut [u8]) -> Moved {
        if space.is_empty() || !self.may_read() {
            return Moved::Blocked;
        }
        if self.end_is_next() {
            // It needs no system call to be found.
            self.eof = true;
            return Moved::Eof;
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
                    self.drained = count < space.len() && self.short_reads_empty;
                    self.readable = !self.drained || self.read_closed;
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
        self.write_with(bytes, SendFlags::empty())
    }

    /// As [`Self::write`], when nothing comes behind `bytes` but the end of the stream: that then
    /// leaves in the same segment, which spares the peer a wake-up and both sides some 5 µs. The
    /// caller ends the stream in this turn, by [`Self::shut_write`] or a close.
    pub fn write_last(&mut self, bytes: &[u8]) -> Moved {
        self.write_with(bytes, SendFlags::MORE)
    }

    fn write_with(&mut self, bytes: &[u8], flags: SendFlags) -> Moved {
        if let Some(error) = self.failure() {
            return Moved::Broken(error);
        }
        if bytes.is_empty() || !self.writable {
            return Moved::Blocked;
        }
        self.leave_nagle(bytes.len());
        loop {
            let flags = flags | SendFlags::NOSIGNAL;
            let sent = either!(&self.stream, socket => send(socket, bytes, flags));
            match sent.map_err(io::Error::from) {
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

    /// A record or a keystroke must not wait for the one before it. Many connections write once,
    /// and their first write has none before it: they are spared the call.
    fn leave_nagle(&mut self, bytes: usize) {
        let Some(free) = self.nagle else { return };
        if bytes <= free {
            self.nagle = Some(0);
            return;
        }
        self.nagle = None;
        if let Stream::Tcp(socket) = &self.stream {
            // Failure costs latency alone.
            let _ = socket.set_nodelay(true);
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
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }

    /// Outcome of a connect: none while it is under way.
    ///
    /// A socket that connects is not reported writable before it is connected, and one whose
    /// connect has failed is reported with an error, which is kept: the events say it all.
    pub fn connect_result(&self) -> Option<io::Result<()>> {
        match self.failure() {
            Some(error) => Some(Err(error)),
            None => self.writable.then_some(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net;
    use std::time::Instant;

    use mio::{Events, Poll, Token};

    use super::*;

    /// An endpoint as a relay has it, its peer, and the epoll that watches it.
    fn pair() -> (Endpoint, net::TcpStream, Poll) {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        peer.set_nodelay(true).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut endpoint = Endpoint::accepted(TcpStream::from_std(stream));
        let poll = Poll::new().unwrap();
        poll.registry().register(endpoint.source(), Token(0), INTEREST).unwrap();
        (endpoint, peer, poll)
    }

    /// Waits for an event; whether it was news.
    fn next_event(endpoint: &mut Endpoint, poll: &mut Poll) -> bool {
        let mut events = Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
        events.iter().next().is_some_and(|event| endpoint.on_event(event))
    }

    fn read_all(endpoint: &mut Endpoint, into: &mut Vec<u8>) {
        let mut space = [0; 64];
        while let Moved::Bytes(count) = endpoint.read(&mut space) {
            into.extend_from_slice(&space[..count]);
        }
    }

    #[test]
    fn what_stands_behind_urgent_data_is_read() {
        let (mut endpoint, mut peer, mut poll) = pair();
        peer.write_all(b"before").unwrap();
        SockRef::from(&peer).send_out_of_band(b"!").unwrap();
        peer.write_all(b" and behind").unwrap();
        let (mut read, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(10));
        while read != b"before and behind" {
            assert!(Instant::now() < deadline, "{:?}", String::from_utf8_lossy(&read));
            next_event(&mut endpoint, &mut poll);
            read_all(&mut endpoint, &mut read);
        }
        endpoint.keep_urgent_data();
        SockRef::from(&peer).send_out_of_band(b"!").unwrap();
        peer.write_all(b" and kept").unwrap();
        while !read.ends_with(b"! and kept") {
            assert!(Instant::now() < deadline, "{:?}", String::from_utf8_lossy(&read));
            next_event(&mut endpoint, &mut poll);
            read_all(&mut endpoint, &mut read);
        }
    }

    #[test]
    fn an_event_is_news_when_something_can_be_done_that_could_not_before() {
        let (mut endpoint, mut peer, mut poll) = pair();
        assert!(!next_event(&mut endpoint, &mut poll), "it can be written to");
        for part in [b"one", b"two"] {
            peer.write_all(part).unwrap();
            assert!(next_event(&mut endpoint, &mut poll));
            let mut read = Vec::new();
            read_all(&mut endpoint, &mut read);
            assert_eq!(read, part);
        }
        peer.write_all(b"three").unwrap();
        assert!(next_event(&mut endpoint, &mut poll));
        peer.write_all(b"four").unwrap();
        assert!(!next_event(&mut endpoint, &mut poll), "there is something to read already");
        drop(peer);
        assert!(next_event(&mut endpoint, &mut poll), "the end of the stream");
    }

    #[test]
    fn an_end_behind_what_was_read_needs_no_read_and_data_behind_it_does() {
        let (mut endpoint, mut peer, mut poll) = pair();
        let mut space = [0; 64];
        peer.write_all(b"one").unwrap();
        assert!(next_event(&mut endpoint, &mut poll));
        assert!(matches!(endpoint.read(&mut space), Moved::Bytes(3)));
        // The event of the FIN tells of these, too.
        peer.write_all(b"more").unwrap();
        drop(peer);
        while !endpoint.read_closed {
            next_event(&mut endpoint, &mut poll);
        }
        assert!(!endpoint.end_is_next());
        assert!(matches!(endpoint.read(&mut space), Moved::Bytes(4)));
        assert!(endpoint.end_is_next() && !endpoint.has_eof());
        assert!(matches!(endpoint.read(&mut space), Moved::Eof));
        assert!(endpoint.has_eof());
    }
}
