//! Listening sockets: one per address and worker.
//!
//! The kernel spreads connections over sockets that share an address (`SO_REUSEPORT`). It would
//! also let a second daemon share it, silently; so each address is first bound once without that
//! option, which fails when anyone else listens there.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use crate::pacing;

/// Connections the kernel keeps for us before they are accepted.
const BACKLOG: i32 = 4096;

fn socket(address: SocketAddr, v6_only: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier instance in TIME_WAIT must not keep us from starting.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(v6_only)?;
    }
    Ok(socket)
}

/// Binds `address` for `workers` event loops; a port of 0 is replaced by the kernel's choice, the
/// same for all of them. `v6_only` keeps an IPv6 socket from taking IPv4 clients too.
///
/// # Errors
///
/// When the address is in use or not ours.
pub fn bind(address: SocketAddr, v6_only: bool, workers: usize) -> io::Result<Vec<TcpListener>> {
    let probe = socket(address, v6_only)?;
    probe.bind(&address.into())?;
    // Binding is enough to collide with a socket that listens; a probe that listened itself could
    // be handed a connection.
    let address = probe.local_addr()?.as_socket().unwrap_or(address);
    drop(probe);
    let mut listeners = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = socket(address, v6_only)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        // What is accepted inherits it, which spares a call for each connection.
        socket.set_tcp_nodelay(true)?;
        pacing::stop_on_loopback(&socket, address.ip());
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        listeners.push(TcpListener::from_std(socket.into()));
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use std::net;

    use socket2::SockRef;

    use super::*;

    #[test]
    fn all_workers_share_the_port_and_a_second_instance_is_refused() {
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let first = bind(any, false, 2).unwrap();
        let address = first[0].local_addr().unwrap();
        assert_eq!(first[1].local_addr().unwrap(), address);
        let error = bind(address, false, 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn connections_over_the_loopback_are_not_paced() {
        let listeners = bind(([127, 0, 0, 1], 0).into(), false, 1).unwrap();
        let _client = net::TcpStream::connect(listeners[0].local_addr().unwrap()).unwrap();
        SockRef::from(&listeners[0]).set_nonblocking(false).unwrap();
        let (connection, _) = listeners[0].accept().unwrap();
        let algorithm = SockRef::from(&connection).tcp_congestion().unwrap();
        assert!(!algorithm.starts_with(b"bbr"), "{}", String::from_utf8_lossy(&algorithm));
    }
}
