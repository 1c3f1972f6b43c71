//! The backend: sends back what it gets.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::{Failure, clock};

const LISTENER: Token = Token(usize::MAX);

/// Starts it in a thread of its own on the given processors; it ends with the process.
///
/// # Errors
/// Those of the system.
pub fn echo(processors: &[usize]) -> Result<SocketAddr, Failure> {
    let mut listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    let address = listener.local_addr()?;
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let processors = processors.to_vec();
    std::thread::Builder::new().name("echo".to_owned()).spawn(move || {
        // Not confined is worse, but still a backend.
        let _ = clock::pin(&processors);
        let _ = adjunct::scheduling::short_slices();
        serve(poll, &listener)
    })?;
    Ok(address)
}

fn serve(mut poll: Poll, listener: &TcpListener) -> std::io::Result<()> {
    let mut events = Events::with_capacity(1024);
    let mut connections: Vec<Option<TcpStream>> = Vec::new();
    let mut free = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    let key = free.pop().unwrap_or_else(|| {
                        connections.push(None);
                        connections.len() - 1
                    });
                    poll.registry().register(&mut stream, Token(key), Interest::READABLE)?;
                    stream.set_nodelay(true)?;
                    connections[key] = Some(stream);
                }
                continue;
            }
            let Token(key) = event.token();
            let Some(stream) = connections.get_mut(key).and_then(Option::as_mut) else { continue };
            if !echo_back(stream, &mut buffer) {
                connections[key] = None;
                free.push(key);
            }
        }
    }
}

/// False when the connection has ended.
fn echo_back(stream: &mut TcpStream, buffer: &mut [u8]) -> bool {
    loop {
        let count = match stream.read(buffer) {
            Ok(0) => return false,
            Ok(count) => count,
            Err(e) => return e.kind() == ErrorKind::WouldBlock,
        };
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            match stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                // Pings are small: the buffers of the kernel are never full for long.
                Err(e) if e.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(_) => return false,
            }
        }
    }
}
