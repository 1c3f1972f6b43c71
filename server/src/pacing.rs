//! Connections that need no pacing.
//!
//! BBR sends when timers of the kernel say so, to fill a link and no more. On the loopback there is
//! no link, and a timer interrupt costs more than the copy that it delays: on a host whose default
//! it is, bulk data cost a relay an eighth more than without, and once a fifth. The timers of one
//! end even run on the processor of the other, when its acknowledgement is what lets the next
//! segment go.
//!
//! Source: `tcp(7)`, `TCP_CONGESTION`; Linux, `tcp_bbr.c`; RFC 5681.

use std::net::IpAddr;

use socket2::SockRef;

/// How the names of the algorithms begin that pace: `bbr`, and what comes after it.
const PACING: &[u8] = b"bbr";

/// The algorithm that every system has, and as a rule lets everybody use.
const UNPACED: &[u8] = b"reno";

/// Keeps a connection over the loopback from being paced, or what a listener there will accept:
/// connections inherit it. To be called before the connection is there. Any other algorithm, and
/// any other address than one of the loopback, is left as the system has it.
///
/// This is a matter of cost alone: where the system does not let us, nothing is lost.
pub fn stop_on_loopback<'a>(socket: impl Into<SockRef<'a>>, address: IpAddr) {
    if !address.to_canonical().is_loopback() {
        return;
    }
    let socket = socket.into();
    if socket.tcp_congestion().is_ok_and(|name| name.starts_with(PACING)) {
        let _ = socket.set_tcp_congestion(UNPACED);
    }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// The algorithm of a socket that has asked for `name`, before and after. A system may have
    /// none of that name, or keep it to itself; the socket then has the default.
    fn asked_for(name: &[u8], address: IpAddr) -> [String; 2] {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let _ = socket.set_tcp_congestion(name);
        let now = || {
            let name = socket.tcp_congestion().unwrap();
            String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned()
        };
        let before = now();
        stop_on_loopback(&socket, address);
        [before, now()]
    }

    #[test]
    fn what_paces_is_replaced_on_the_loopback_and_nothing_else_is() {
        let [before, after] = asked_for(b"bbr", LOOPBACK);
        let paces = before.starts_with("bbr");
        assert_eq!(after, if paces { "reno" } else { before.as_str() });
        assert_eq!(asked_for(b"reno", LOOPBACK), ["reno", "reno"]);
        let mapped = "::ffff:127.0.0.1".parse().unwrap();
        assert_eq!(asked_for(b"bbr", mapped)[1], after);
        let [before, after] = asked_for(b"bbr", "192.0.2.1".parse().unwrap());
        assert_eq!(after, before);
    }

    #[test]
    fn what_a_listener_accepts_inherits_that_it_is_not_paced() {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // Whatever the default is; a system without it has nothing that could be inherited.
        let _ = listener.set_tcp_congestion(b"bbr");
        stop_on_loopback(&listener, LOOPBACK);
        listener.bind(&std::net::SocketAddr::new(LOOPBACK, 0).into()).unwrap();
        listener.listen(1).unwrap();
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.connect(&listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let name = accepted.tcp_congestion().unwrap();
        assert_eq!(name, listener.tcp_congestion().unwrap());
        assert!(!name.starts_with(PACING));
    }
}
