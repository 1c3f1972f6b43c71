//! Plain-text services of good and of bad manners.
//!
//! Invariants: each listens on a port the kernel chose on loopback; each connection has a thread of
//! its own and a read deadline; the service ends with its handle.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use socket2::{Domain, SockRef, Socket, Type};

use crate::bulk;
use crate::process::PATIENCE;

/// What the HTTP service answers with.
pub const HTTP_BODY: &str = "a plain service says hello\n";

/// A service with a thread per connection.
#[derive(Debug)]
pub struct Backend {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    stopping: AtomicBool,
    connections: AtomicUsize,
    sent: AtomicU64,
    received: AtomicU64,
}

/// One connection as a service sees it, with the counters that a test can read meanwhile.
#[derive(Debug)]
pub struct Served {
    /// The connection.
    pub stream: TcpStream,
    state: Arc<State>,
}

impl Served {
    /// Notes how many bytes have been sent on this connection.
    pub fn sent(&self, total: u64) {
        self.state.sent.store(total, Ordering::Relaxed);
    }

    /// Notes how many bytes have been received on this connection.
    pub fn received(&self, total: u64) {
        self.state.received.store(total, Ordering::Relaxed);
    }
}

impl Backend {
    /// A service that treats each connection as `serve` says. Its errors end the connection only.
    pub fn start<F>(serve: F) -> Self
    where
        F: Fn(Served) -> io::Result<()> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State::default());
        let (shared, serve) = (Arc::clone(&state), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopping.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let _ = stream.set_read_timeout(Some(PATIENCE));
                let served = Served { stream, state: Arc::clone(&shared) };
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(served));
            }
        });
        Self { address, state }
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Bytes sent so far, for services that count.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::Relaxed)
    }

    /// Bytes received so far, for services that count.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.state.received.load(Ordering::Relaxed)
    }

    /// Answers one request and closes; the answer has no length, so that its end is the close.
    #[must_use]
    pub fn http() -> Self {
        Self::start(|Served { mut stream, .. }| {
            read_until(&mut stream, b"\r\n\r\n")?;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";
            stream.write_all(format!("{head}{HTTP_BODY}").as_bytes())?;
            stream.shutdown(Shutdown::Write)
        })
    }

    /// Sends back what arrives; ends its direction when the other one ends.
    #[must_use]
    pub fn echo() -> Self {
        Self::start(|Served { mut stream, .. }| {
            io::copy(&mut stream.try_clone()?, &mut stream)?;
            stream.shutdown(Shutdown::Write)
        })
    }

    /// Sends `greeting` and `b"\n"`, then behaves as [`Backend::echo`]; tells backends apart.
    #[must_use]
    pub fn named(greeting: &'static str) -> Self {
        Self::start(move |Served { mut stream, .. }| {
            stream.write_all(format!("{greeting}\n").as_bytes())?;
            io::copy(&mut stream.try_clone()?, &mut stream)?;
            stream.shutdown(Shutdown::Write)
        })
    }

    /// Says nothing until the other side has ended its direction, then answers with the number of
    /// bytes it got.
    #[must_use]
    pub fn answers_after_half_close() -> Self {
        Self::start(|Served { mut stream, .. }| {
            let mut all = Vec::new();
            stream.read_to_end(&mut all)?;
            stream.write_all(format!("{} bytes\n", all.len()).as_bytes())?;
            stream.shutdown(Shutdown::Write)
        })
    }

    /// Ends its own direction at once and counts what still arrives.
    #[must_use]
    pub fn closes_first() -> Self {
        Self::start(|served| {
            (&served.stream).write_all(b"goodbye\n")?;
            served.stream.shutdown(Shutdown::Write)?;
            let mut total = 0;
            let mut buffer = [0; 4096];
            while let n @ 1.. = (&served.stream).read(&mut buffer)? {
                total += n as u64;
                served.received(total);
            }
            Ok(())
        })
    }

    /// Resets the connection after the first bytes have arrived.
    #[must_use]
    pub fn resets() -> Self {
        Self::start(|Served { mut stream, .. }| {
            let _ = stream.read(&mut [0; 1])?;
            SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO))
        })
    }

    /// Sends one stream and checks another, both at once, to the end of both.
    #[must_use]
    pub fn duplex(seed_out: u64, seed_in: u64, length: u64) -> Self {
        Self::start(move |served| {
            std::thread::scope(|scope| {
                scope.spawn(|| -> io::Result<()> {
                    bulk::send(&mut &served.stream, seed_out, length, |n| served.sent(n))?;
                    served.stream.shutdown(Shutdown::Write)
                });
                bulk::receive(&mut &served.stream, seed_in, |n| served.received(n)).map(|_| ())
            })
        })
    }

    /// Reads nothing until `go` is set, then checks the stream to its end and says how much it was.
    #[must_use]
    pub fn reads_late(seed: u64, go: Arc<AtomicBool>) -> Self {
        Self::start(move |served| {
            crate::wait_until("the backend may read", || go.load(Ordering::Relaxed));
            let total = bulk::receive(&mut &served.stream, seed, |n| served.received(n))?;
            (&served.stream).write_all(format!("{total} bytes\n").as_bytes())?;
            served.stream.shutdown(Shutdown::Write)
        })
    }
}

/// An address at which nothing listens, kept from others as long as this lives.
#[derive(Debug)]
pub struct Nowhere {
    /// The address.
    pub address: SocketAddr,
    bound: Socket,
}

impl Nowhere {
    /// Somebody listens from now on. The same socket does: one that another test's child has
    /// inherited, until it begins its own program, would keep a second one from the address.
    #[must_use]
    pub fn repaired(self) -> TcpListener {
        self.bound.listen(128).expect("a bound socket can listen");
        self.bound.into()
    }
}

impl Default for Nowhere {
    fn default() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).expect("a free port");
        let address = socket.local_addr().ok().and_then(|a| a.as_socket()).expect("bound");
        Self { address, bound: socket }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.state.stopping.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// Reads until `end` has arrived, or the stream ends, or too much came without it.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    let mut buffer = [0; 1024];
    while !read.windows(end.len()).any(|w| w == end) && read.len() < 64 << 10 {
        match stream.read(&mut buffer)? {
            0 => break,
            n => read.extend_from_slice(&buffer[..n]),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(backend: &Backend, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(backend.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request)?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn the_polite_services_answer_as_they_should() {
        let http = talk(&Backend::http(), b"GET / HTTP/1.0\r\n\r\n").unwrap();
        assert!(http.ends_with(HTTP_BODY.as_bytes()));
        let echo = Backend::echo();
        assert_eq!(talk(&echo, b"abc").unwrap(), b"abc");
        assert_eq!(echo.connections(), 1);
        assert_eq!(talk(&Backend::named("one"), b"abc").unwrap(), b"one\nabc");
        let late = talk(&Backend::answers_after_half_close(), b"abcd").unwrap();
        assert_eq!(late, b"4 bytes\n");
    }

    #[test]
    fn the_service_that_closes_first_still_counts() {
        let backend = Backend::closes_first();
        assert_eq!(talk(&backend, b"abc").unwrap(), b"goodbye\n");
        crate::wait_until("the bytes arrive", || backend.received() == 3);
    }

    #[test]
    fn the_rude_service_resets() {
        let error = talk(&Backend::resets(), b"abc").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn nobody_listens_nowhere_until_it_is_repaired() {
        let nowhere = Nowhere::default();
        let address = nowhere.address;
        assert!(TcpStream::connect(address).is_err());
        let _listener = nowhere.repaired();
        assert!(TcpStream::connect(address).is_ok());
    }

    #[test]
    fn both_directions_of_the_duplex_service_are_checked() {
        let backend = Backend::duplex(1, 2, 100_000);
        let stream = TcpStream::connect(backend.address).unwrap();
        bulk::send(&mut &stream, 2, 100_000, |_| {}).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(bulk::receive(&mut &stream, 1, |_| {}).unwrap(), 100_000);
        crate::wait_until("the bytes arrive", || backend.received() == 100_000);
    }
}
