//! The three handshakes of `demo --once`: full, resumed, refused.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use engine::alert::Alert;
use engine::probe::Probe;
use engine::record::{Outcome, Record};

use super::{Failure, Screen, pki};
use crate::cli::print;
use crate::daemon::Daemon;
use crate::exit::Exit;

/// No step of the demonstration takes anywhere near as long.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn three_handshakes(
    daemon: &Daemon,
    authority: &[u8],
    screen: &Screen,
) -> Result<Exit, Failure> {
    let address = daemon.addresses().first().ok_or("no service listens")?.1;
    let probe = Probe::trusting(authority)?;
    full(address, &probe, screen)?;
    resumed(address, &probe, screen)?;
    refused(address, screen)?;
    Ok(Exit::Ok)
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn full(address: SocketAddr, probe: &Probe, screen: &Screen) -> Result<(), Failure> {
    print("\n1. A full handshake: the card signs.\n");
    let record = exchange(address, probe, screen)?;
    expect(!record.resumed && record.key_operation.is_some(), "the handshake was not full")
}

fn resumed(address: SocketAddr, probe: &Probe, screen: &Screen) -> Result<(), Failure> {
    print("\n2. A resumed handshake: the ticket spares the card.\n");
    let record = exchange(address, probe, screen)?;
    expect(record.resumed && record.key_operation.is_none(), "the session was not resumed")
}

fn exchange(address: SocketAddr, probe: &Probe, screen: &Screen) -> Result<Record, Failure> {
    let mut stream = connect(address)?;
    let answer = probe.exchange(&mut stream, pki::SERVER_NAME, b"hello from the client\n")?;
    drop(stream);
    let said = String::from_utf8_lossy(&answer.response);
    print(&format!("   the legacy service answered: {}", said.trim_end()));
    let record = shown(screen)?;
    expect(said == "HELLO FROM THE CLIENT\n", "the answer is not the expected one")?;
    expect(record.outcome == Outcome::Completed, "the connection did not end in order")?;
    Ok(record)
}

fn refused(address: SocketAddr, screen: &Screen) -> Result<(), Failure> {
    print("\n3. A client of 1999 (TLS 1.0, RC4) is refused, and told why.\n");
    let mut stream = connect(address)?;
    stream.write_all(&OLD_HELLO)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    drop(stream);
    print(&format!("   the client received {}", alert(&answer)));
    let record = shown(screen)?;
    expect(answer == [21, 3, 3, 0, 2, 2, 70], "the client did not get alert 70")?;
    expect(record.outcome == Outcome::Refused, "the record does not say that it was refused")
}

/// What a refused client got, in words if it is a fatal alert in a record of its own.
fn alert(answer: &[u8]) -> String {
    match answer {
        [21, 3, _, 0, 2, 2, number] => {
            format!("the fatal alert {number} ({}), then the end", Alert(*number).name())
        }
        other => format!("{} bytes that are no fatal alert: {other:02x?}", other.len()),
    }
}

/// Waits for the next record, shows it and hands it out.
fn shown(screen: &Screen) -> Result<Record, Failure> {
    let record = screen.records.next(PATIENCE).ok_or("no connection record came")?;
    screen.show(&record);
    Ok(record)
}

fn expect(holds: bool, what: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// A ClientHello that no current client sends: TLS 1.0, RC4 and triple DES, no extensions.
const OLD_HELLO: [u8; 52] = {
    let mut hello = [0x5A; 52];
    // Record: handshake, TLS 1.0, 47 bytes. Message: ClientHello, 43 bytes, TLS 1.0.
    let head = [22, 3, 1, 0, 47, 1, 0, 0, 43, 3, 1];
    // After 32 bytes of random: no session ID, two suites, no compression.
    let tail = [0, 0, 4, 0x00, 0x05, 0x00, 0x0A, 1, 0];
    let mut at = 0;
    while at < head.len() {
        hello[at] = head[at];
        at += 1;
    }
    at = 0;
    while at < tail.len() {
        hello[hello.len() - tail.len() + at] = tail[at];
        at += 1;
    }
    hello
};
