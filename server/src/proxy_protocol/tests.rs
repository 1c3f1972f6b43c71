//! Both versions against themselves, cut, damaged, and with anything behind them.

use std::net::{IpAddr, SocketAddr};

use super::crc32c::crc32c;
use super::{Ends, Header, MAX_HEADER, Malformed, Origin, Progress, decode, v1, v2};

/// xorshift64*, so that a failure repeats.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn address(&mut self, v6: bool) -> SocketAddr {
        let ip: IpAddr = if v6 {
            // Runs of zero groups, which text forms shorten.
            let groups: [u16; 8] = std::array::from_fn(|_| match self.next() % 3 {
                0 => self.next().to_be_bytes()[..2].try_into().map(u16::from_be_bytes).unwrap(),
                _ => 0,
            });
            IpAddr::from(groups).to_canonical()
        } else {
            IpAddr::from(self.next().to_be_bytes().first_chunk::<4>().copied().unwrap())
        };
        SocketAddr::new(ip, u16::from_be_bytes(self.next().to_be_bytes()[..2].try_into().unwrap()))
    }

    /// Ends of one family.
    fn ends(&mut self) -> Ends {
        let v6 = self.next().is_multiple_of(2);
        loop {
            let (source, destination) = (self.address(v6), self.address(v6));
            if source.is_ipv4() == destination.is_ipv4() {
                return Ends { source, destination };
            }
        }
    }
}

fn sequence() -> Sequence {
    Sequence(0x9E37_79B9_7F4A_7C15)
}

fn header(origin: Origin, len: usize) -> Progress {
    Progress::Header(Header { origin, unique_id: None, len })
}

fn ends(from: &str, to: &str) -> Ends {
    Ends { source: from.parse().unwrap(), destination: to.parse().unwrap() }
}

/// A version 2 header of these parts.
fn v2_header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&v2::SIGNATURE[..], &[command, family], &len, body].concat()
}

/// A version 2 header from 192.0.2.1:1 with these values.
fn with_values(values: &[u8]) -> Vec<u8> {
    v2_header(0x21, 0x11, &[&[192, 0, 2, 1, 192, 0, 2, 2, 0, 1, 0, 2], values].concat())
}

/// The header with the right checksum in a value at its end.
fn with_checksum(values: &[u8]) -> Vec<u8> {
    let mut header = with_values(&[values, &[0x03, 0, 4, 0, 0, 0, 0]].concat());
    let sum = crc32c(header.iter().copied());
    let at = header.len() - 4;
    header[at..].copy_from_slice(&sum.to_be_bytes());
    header
}

/// Asserts that no proper prefix of a header is taken or refused, and that what follows it does not
/// matter.
fn assert_whole(bytes: &[u8], expected: &Progress) {
    for end in 0..bytes.len() {
        match decode(&bytes[..end]) {
            Progress::NeedMore { hint } => {
                assert!((1..=bytes.len() - end).contains(&hint), "{hint} at {end} of {bytes:?}");
            }
            other => panic!("{other:?} after {end} bytes of {bytes:?}"),
        }
    }
    assert_eq!(decode(bytes), *expected);
    for follow in [&b"\x16\x03\x01"[..], b"PROXY ", b"\n", &[0xFF; 200], &v2::SIGNATURE] {
        assert_eq!(decode(&[bytes, follow].concat()), *expected);
    }
}

#[test]
fn what_was_encoded_is_decoded_and_no_prefix_of_it_is_taken() {
    let mut sequence = sequence();
    for _ in 0..300 {
        let ends = sequence.ends();
        let line = v1::encode(Some(ends));
        assert!(line.len() <= v1::MAX_LINE);
        assert_whole(&line, &header(Origin::Client(ends), line.len()));
        let id = sequence.next().to_be_bytes();
        let binary = v2::Header {
            ends: Some(ends),
            tls: Some(v2::Tls { version: "TLSv1.3", cipher: "X", ..v2::Tls::default() }),
            alpn: Some(b"h2"),
            authority: Some("a.test"),
            unique_id: Some(&id),
        };
        let binary = binary.encode();
        let expected = Progress::Header(Header {
            origin: Origin::Client(ends),
            unique_id: Some(id.to_vec()),
            len: binary.len(),
        });
        assert_whole(&binary, &expected);
    }
    let local = v2::Header::default().encode();
    assert_whole(&local, &header(Origin::Local, 16));
    let unknown = v1::encode(None);
    assert_whole(&unknown, &header(Origin::Unknown, 15));
}

#[test]
fn the_lines_of_the_specification_are_read() {
    let longest6 = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let line6 = format!("PROXY TCP6 {longest6} {longest6} 65535 65535\r\n");
    assert_eq!(line6.len(), 104);
    let at6 = format!("[{longest6}]:65535");
    assert_whole(line6.as_bytes(), &header(Origin::Client(ends(&at6, &at6)), 104));
    let line4 = b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n";
    let at4 = "255.255.255.255:65535";
    assert_whole(line4, &header(Origin::Client(ends(at4, at4)), 56));
    let unknown = format!("PROXY UNKNOWN {longest6} {longest6} 65535 65535\r\n");
    assert_eq!(unknown.len(), v1::MAX_LINE);
    assert_whole(unknown.as_bytes(), &header(Origin::Unknown, v1::MAX_LINE));
    let unread = b"PROXY UNKNOWN \xFF\n\r anything\r\n";
    assert_whole(unread, &header(Origin::Unknown, unread.len()));
    let short = b"PROXY TCP6 ::1 ::2 0 0\r\n";
    assert_whole(short, &header(Origin::Client(ends("[::1]:0", "[::2]:0")), short.len()));
}

#[test]
fn families_of_no_use_leave_the_addresses_of_the_connection() {
    for (family, addresses) in [(0x12, 12), (0x22, 36), (0x31, 216), (0x32, 216)] {
        let bytes = v2_header(0x21, family, &vec![7; addresses]);
        assert_whole(&bytes, &header(Origin::Unknown, bytes.len()));
    }
    for family in [0x00, 0x01, 0x02, 0x10, 0x20, 0x30] {
        let bytes = v2_header(0x21, family, &[9; 5]);
        assert_whole(&bytes, &header(Origin::Unknown, 21));
    }
    for family in [0x00, 0x11, 0xFF] {
        let bytes = v2_header(0x20, family, &[9; 5]);
        assert_whole(&bytes, &header(Origin::Local, 21));
    }
}

#[test]
fn values_are_walked_over_and_the_checksum_is_checked() {
    let client = Origin::Client(ends("192.0.2.1:1", "192.0.2.2:2"));
    // NOOP, an AWS value, an empty one.
    let values = [4, 0, 2, 0, 0, 0xEA, 0, 1, 1, 0x04, 0, 0];
    let plain = with_values(&values);
    assert_whole(&plain, &header(client, plain.len()));
    let checked = with_checksum(&values);
    assert_whole(&checked, &header(client, checked.len()));
    // A checksum that damage has turned into another value checks nothing any more.
    let kind = checked.len() - 7;
    for at in (16..checked.len()).filter(|at| *at != kind) {
        let mut damaged = checked.clone();
        damaged[at] ^= 0x10;
        assert!(matches!(decode(&damaged), Progress::Refuse(_)), "damage at {at} is not seen");
    }
}

/// Every reason with bytes that bring it about.
fn malformed() -> Vec<(Malformed, Vec<u8>)> {
    use Malformed as M;
    let line = |text: &str| text.as_bytes().to_vec();
    let mut twice = with_checksum(&[]);
    twice = with_checksum(&twice.split_off(28));
    vec![
        (M::NoHeader, vec![0x16, 3, 1, 2, 0, 1]),
        (M::NoHeader, line("GET / HTTP/1.1\r\n")),
        (M::NoHeader, line("proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n")),
        (M::NoHeader, line("PROXY\tTCP4 192.0.2.1 192.0.2.2 1 2\r\n")),
        (M::NoHeader, b"\r\n\r\n\0\r\nQUIT\r".to_vec()),
        (M::LineTooLong, [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 94]].concat()),
        (M::LineTooLong, [b"PROXY TCP4 ".to_vec(), vec![b' '; 97]].concat()),
        (M::LineEnd, line("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n")),
        (M::LineEnd, line("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rX")),
        (M::LineEnd, line("PROXY TCP4 192.0.2.1\n192.0.2.2 1 2\r\n")),
        (M::Family1, line("PROXY \r\n")),
        (M::Family1, line("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n")),
        (M::Family1, line("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n")),
        (M::Family1, line("PROXY UNKNOWNS\r\n")),
        (M::Fields, line("PROXY TCP4\r\n")),
        (M::Fields, line("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n")),
        (M::Fields, line("PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n")),
        (M::Fields, line("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n")),
        (M::Fields, line("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n")),
        (M::Fields, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 \xFF\r\n".to_vec()),
        (M::SourceAddress, line("PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n")),
        (M::SourceAddress, line("PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n")),
        (M::SourceAddress, line("PROXY TCP4 ::1 ::2 1 2\r\n")),
        (M::SourceAddress, line("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n")),
        (M::SourceAddress, line("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n")),
        (M::SourceAddress, line("PROXY TCP6 fe80::1%1 ::1 1 2\r\n")),
        (M::DestinationAddress, line("PROXY TCP4 192.0.2.1 192.0.2 1 2\r\n")),
        (M::DestinationAddress, line("PROXY TCP6 ::1 192.0.2.2 1 2\r\n")),
        (M::SourcePort, line("PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n")),
        (M::SourcePort, line("PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n")),
        (M::DestinationPort, line("PROXY TCP4 192.0.2.1 192.0.2.2 1 02\r\n")),
        (M::DestinationPort, line("PROXY TCP4 192.0.2.1 192.0.2.2 1 -2\r\n")),
        (M::Version, v2_header(0x11, 0x11, &[])),
        (M::Version, v2_header(0x31, 0x11, &[])),
        (M::Command, v2_header(0x22, 0x11, &[])),
        (M::Command, v2_header(0x2F, 0x11, &[])),
        (M::Family2, v2_header(0x21, 0x41, &[])),
        (M::Transport, v2_header(0x21, 0x13, &[])),
        (M::TooLong, v2_header(0x21, 0x11, &vec![0; MAX_HEADER - 15])),
        (M::TooLong, [&v2::SIGNATURE[..], &[0x20, 0, 0xFF, 0xFF]].concat()),
        (M::AddressesCut, v2_header(0x21, 0x11, &[0; 11])),
        (M::AddressesCut, v2_header(0x21, 0x21, &[0; 35])),
        (M::AddressesCut, v2_header(0x21, 0x31, &[0; 215])),
        (M::ValueHeadCut, with_values(&[4])),
        (M::ValueHeadCut, with_values(&[4, 0, 0, 4, 0])),
        (M::ValueCut, with_values(&[4, 0, 1])),
        (M::ValueCut, with_values(&[4, 0xFF, 0xFF, 0])),
        (M::ChecksumLength, with_values(&[3, 0, 3, 0, 0, 0])),
        (M::ChecksumLength, with_values(&[3, 0, 5, 0, 0, 0, 0, 0])),
        (M::ChecksumTwice, twice),
        (M::Checksum, with_values(&[3, 0, 4, 0, 0, 0, 0])),
        (M::UniqueId, with_values(&[&[5, 0, 129][..], &[1; 129]].concat())),
        (M::UniqueIdTwice, with_values(&[5, 0, 1, 1, 5, 0, 1, 1])),
    ]
}

#[test]
fn every_malformed_form_has_its_own_name() {
    let forms = malformed();
    for (reason, bytes) in &forms {
        assert_eq!(decode(bytes), Progress::Refuse(*reason), "{}", bytes.escape_ascii());
        let follow = [bytes.as_slice(), &[0x16; 300]].concat();
        assert_eq!(decode(&follow), Progress::Refuse(*reason), "with data behind it");
        // Piece by piece the verdict is the same, and it comes once.
        let verdict = (0..=bytes.len()).map(|end| decode(&bytes[..end]));
        let first = verdict.into_iter().find(|p| !matches!(p, Progress::NeedMore { .. }));
        assert_eq!(first, Some(Progress::Refuse(*reason)));
    }
    for reason in Malformed::ALL {
        assert!(forms.iter().any(|(known, _)| known == reason), "no sample of {reason}");
        let same = Malformed::ALL.iter().filter(|other| other.name() == reason.name());
        assert_eq!(same.count(), 1, "{reason}");
    }
}

#[test]
fn version_1_says_unknown_where_it_cannot_say_more() {
    let mixed = Ends {
        source: "192.0.2.1:1".parse().unwrap(),
        destination: "[2001:db8::1]:2".parse().unwrap(),
    };
    assert_eq!(v1::encode(Some(mixed)), b"PROXY UNKNOWN\r\n");
    let mapped = ends("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2");
    assert_eq!(v1::encode(Some(mapped)), b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
    // An address that Rust writes with dots.
    let dotted = ends("[::192.0.2.1]:1", "[2001:db8::1]:2");
    let line = v1::encode(Some(dotted));
    assert_eq!(decode(&line), header(Origin::Client(dotted), line.len()));
}
