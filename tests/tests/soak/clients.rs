//! The clients of the soak: good, slow, old, rude and mad ones.
//!
//! Each is a function that makes one connection and says what the daemon's record of it may say.
//! What a client could not foresee is an error of the run.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use adjunct_tests::bulk;
use adjunct_tests::client::stock::{Client, Offer, Tls};
use adjunct_tests::hello::{AEAD, Hello, RC4, TLS10, TLS12, collect};
use adjunct_tests::pki::Pki;
use adjunct_tests::scene::NAME;
use socket2::SockRef;

/// A small generator (xorshift64*): the whole run follows from its seed.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or(0) % sides
    }

    pub(crate) fn millis(&mut self, range: std::ops::Range<usize>) -> Duration {
        let millis = range.start + self.roll(range.end - range.start);
        Duration::from_millis(millis as u64)
    }
}

/// The ports of a connection: the client's and the daemon's.
pub(crate) type Ports = (u16, u16);

/// What one connection came to, seen from the client.
#[derive(Debug)]
pub(crate) struct Story {
    /// By which the record is found.
    pub(crate) ports: Ports,
    pub(crate) kind: &'static str,
    /// Words of which the record must have one: the rule, or the outcome where there is none.
    pub(crate) allowed: &'static [&'static str],
    /// What the client did not expect.
    pub(crate) unexpected: Option<String>,
}

impl Story {
    /// Whether the record may have this word.
    pub(crate) fn allows(&self, word: &str) -> bool {
        self.allowed.contains(&word)
    }
}

/// A kind of client, and how often it comes in a hundred.
type Kind = (usize, &'static str, fn(&Clients, &mut Dice, TcpStream) -> io::Result<Words>);

/// Words that the record may have.
type Words = &'static [&'static str];

const SERVED: Words = &["completed"];
/// A reset may be seen as a reset, or as an end, or after everything has been said.
const LEFT: Words = &["peer-reset", "peer-closed", "truncated", "completed"];

const KINDS: [Kind; 10] = [
    (24, "full", Clients::full),
    (20, "resumed", Clients::resumed),
    (6, "bulk", Clients::bulk),
    (12, "idle", Clients::idle),
    (6, "old protocol", Clients::old_protocol),
    (6, "no common cipher", Clients::no_common_cipher),
    (6, "aborted at once", Clients::aborted_at_once),
    (7, "half a hello", Clients::half_a_hello),
    (7, "aborted later", Clients::aborted_later),
    (6, "garbage", Clients::garbage),
];

/// The clients of one thread.
pub(crate) struct Clients {
    addresses: [SocketAddr; 2],
    full: Client,
    /// One per version, each with a memory for sessions.
    resuming: [Client; 2],
}

impl Clients {
    pub(crate) fn new(pki: &Pki, addresses: [SocketAddr; 2]) -> Self {
        let only =
            |version| Client::offering(pki, Offer { versions: vec![version], ..Offer::default() });
        Self {
            addresses,
            full: Client::new(pki).forgetful(),
            resuming: [only(&rustls::version::TLS12), only(&rustls::version::TLS13)],
        }
    }

    /// Makes one connection. `dark` tells whether no card worked at some moment since its
    /// beginning; a full handshake may then be refused.
    pub(crate) fn one(&self, dice: &mut Dice, dark: impl Fn() -> bool) -> Result<Story, String> {
        let mut draw = dice.roll(100);
        let mut kinds = KINDS.iter();
        let (_, kind, run) = loop {
            let Some(kind) = kinds.next() else { return Err("the shares are not 100".to_owned()) };
            match draw.checked_sub(kind.0) {
                Some(rest) => draw = rest,
                None => break *kind,
            }
        };
        let address = self.addresses[dice.roll(2)];
        let socket = TcpStream::connect(address).map_err(|e| format!("{kind}: connect: {e}"))?;
        let ports = (socket.local_addr().map_err(|e| e.to_string())?.port(), address.port());
        let (allowed, unexpected) = match run(self, dice, socket) {
            Ok(allowed) => (allowed, None),
            Err(error) if dark() && error.to_string().contains("InternalError") => {
                (&["signing-failed"][..], None)
            }
            Err(error) => (&[][..], Some(error.to_string())),
        };
        Ok(Story { ports, kind, allowed, unexpected })
    }

    fn full(&self, _: &mut Dice, socket: TcpStream) -> io::Result<Words> {
        let tls = self.full.shake_hands(socket, NAME)?;
        expect(tls.is_full() && tls.talk(b"a full handshake")? == b"a full handshake")?;
        Ok(SERVED)
    }

    fn resumed(&self, dice: &mut Dice, socket: TcpStream) -> io::Result<Words> {
        let tls = self.resuming[dice.roll(2)].shake_hands(socket, NAME)?;
        expect(tls.talk(b"again")? == b"again")?;
        Ok(SERVED)
    }

    fn bulk(&self, dice: &mut Dice, socket: TcpStream) -> io::Result<Words> {
        let (seed, length) = (dice.roll(1 << 30) as u64, dice.roll(2 << 20) as u64);
        let tls = self.full.shake_hands(socket, NAME)?;
        let sent = std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                bulk::send(&mut &tls, seed, length, |_| {})?;
                tls.end()
            });
            let received = bulk::receive(&mut &tls, seed, |_| {});
            sender.join().map_err(|_| io::Error::other("the sender panicked"))??;
            received
        })?;
        expect(sent == length)?;
        Ok(SERVED)
    }

    fn idle(&self, dice: &mut Dice, socket: TcpStream) -> io::Result<Words> {
        let tls = self.full.shake_hands(socket, NAME)?;
        let mut both = |text: &[u8]| -> io::Result<()> {
            (&mut &tls).write_all(text)?;
            std::thread::sleep(dice.millis(50..1500));
            expect(tls.read_some(text.len())? == text)
        };
        both(b"still")?;
        both(b"here")?;
        expect(tls.talk(b"")?.is_empty())?;
        Ok(SERVED)
    }

    fn old_protocol(&self, _: &mut Dice, socket: TcpStream) -> io::Result<Words> {
        refused(socket, &Hello::of(TLS10, AEAD).to(NAME).record(), 70)?;
        Ok(&["protocol-too-old"])
    }

    fn no_common_cipher(&self, _: &mut Dice, socket: TcpStream) -> io::Result<Words> {
        refused(socket, &Hello::of(TLS12, RC4).to(NAME).record(), 40)?;
        Ok(&["no-common-cipher"])
    }

    fn aborted_at_once(&self, _: &mut Dice, socket: TcpStream) -> io::Result<Words> {
        reset(socket)?;
        Ok(LEFT)
    }

    fn half_a_hello(&self, dice: &mut Dice, mut socket: TcpStream) -> io::Result<Words> {
        let hello = self.full.first_flight(NAME);
        socket.write_all(&hello[..1 + dice.roll(hello.len() - 1)])?;
        std::thread::sleep(dice.millis(0..20));
        match dice.roll(3) {
            0 => reset(socket)?,
            1 => drop(socket),
            _ => {
                socket.shutdown(Shutdown::Write)?;
                let _ = collect(&mut socket);
            }
        }
        Ok(LEFT)
    }

    /// The whole hello, and then a reset: before the card is done, before our last flight, or in
    /// the middle of the data.
    fn aborted_later(&self, dice: &mut Dice, mut socket: TcpStream) -> io::Result<Words> {
        if dice.roll(2) == 0 {
            socket.write_all(&self.full.first_flight(NAME))?;
            std::thread::sleep(dice.millis(0..8));
            reset(socket)?;
            // No card may have been left when it came.
            return Ok(&["peer-reset", "peer-closed", "signing-failed"]);
        }
        let tls: Tls = self.full.shake_hands(socket, NAME)?;
        (&mut &tls).write_all(&vec![7; dice.roll(100_000)])?;
        std::thread::sleep(dice.millis(0..8));
        tls.reset()?;
        Ok(LEFT)
    }

    fn garbage(&self, dice: &mut Dice, mut socket: TcpStream) -> io::Result<Words> {
        let mut bytes: Vec<u8> = (0..1 + dice.roll(400)).map(|_| dice.roll(256) as u8).collect();
        if dice.roll(3) == 0 {
            bytes = b"GET / HTTP/1.0\r\n\r\n".to_vec();
        } else {
            // Not the first byte of a record or of an SSL 2.0 hello.
            bytes[0] = 0x40;
        }
        socket.write_all(&bytes)?;
        let _ = socket.shutdown(Shutdown::Write);
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        expect(collect(&mut socket).bytes.is_empty())?;
        Ok(&["not-tls", "plain-http"])
    }
}

fn expect(holds: bool) -> io::Result<()> {
    if holds { Ok(()) } else { Err(io::Error::other("the answer is not the expected one")) }
}

#[allow(clippy::needless_pass_by_value, reason = "the reset goes out when the socket is dropped")]
fn reset(socket: TcpStream) -> io::Result<()> {
    SockRef::from(&socket).set_linger(Some(Duration::ZERO))
}

/// Sends a hello and wants the fatal alert with this number and nothing else.
fn refused(mut socket: TcpStream, hello: &[u8], alert: u8) -> io::Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(20)))?;
    socket.write_all(hello)?;
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => return Err(error),
        _ => {}
    }
    match answer[..] {
        [21, 3, _, 0, 2, 2, number] if number == alert => Ok(()),
        _ => Err(io::Error::other(format!("no alert {alert}: {answer:02x?}"))),
    }
}
