//! The PROXY protocol in front and behind, byte by byte, with every way to get it wrong.
//!
//! Source: `haproxy: doc/proxy-protocol.txt`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use adjunct_tests::backend::{Backend, Served};
use adjunct_tests::client::openssl;
use adjunct_tests::client::stock::Client;
use adjunct_tests::process::PATIENCE;
use adjunct_tests::scene::{self, NAME, Scene};
use adjunct_tests::{adjunct, need, wait_until};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair,
};
use tempfile::TempDir;

const TRUST: &str = "accept_proxy = [\"127.0.0.0/8\", \"::1\"]";

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

const LINE4: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 49152 992\r\n";
const LINE6: &[u8] = b"PROXY TCP6 2001:db8::1 2001:db8::2 49152 992\r\n";

/// A header of version 2, written by hand.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &len, body].concat()
}

/// 192.0.2.1:49152 to 198.51.100.2:992, and values.
fn v2_inet(values: &[u8]) -> Vec<u8> {
    let addresses = [192, 0, 2, 1, 198, 51, 100, 2, 0xC0, 0, 0x03, 0xE0];
    v2(0x21, 0x11, &[&addresses, values].concat())
}

fn v2_inet6() -> Vec<u8> {
    let ip = |last| [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    v2(0x21, 0x21, &[&ip(1)[..], &ip(2), &[0xC0, 0, 0x03, 0xE0]].concat())
}

/// A backend that keeps what each connection brought.
fn recorder() -> (Backend, Arc<Mutex<Vec<Vec<u8>>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let backend = Backend::start(move |Served { mut stream, .. }| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        kept.lock().unwrap().push(all);
        Ok(())
    });
    (backend, seen)
}

#[test]
fn the_client_of_the_header_is_who_record_and_backend_are_told_of() {
    let (backend, seen) = recorder();
    let lines = [TRUST, "proxy_protocol = \"v1\""];
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &lines);
    let client = Client::new(&pki);
    let four = ("192.0.2.1:49152", LINE4);
    let six = ("[2001:db8::1]:49152", LINE6);
    for (header, (peer, line)) in
        [(LINE4.to_vec(), four), (LINE6.to_vec(), six), (v2_inet(&[]), four), (v2_inet6(), six)]
    {
        // Header and ClientHello in one segment, a few bytes at a time, and byte by byte.
        for piece in [usize::MAX, 7, 1] {
            let socket = TcpStream::connect(daemon.address()).unwrap();
            let proxy = socket.local_addr().unwrap();
            let tls = client.connect_behind(socket, NAME, &header, piece).unwrap();
            assert_eq!(tls.talk(b"payload").unwrap(), b"");
            let record = daemon.completed();
            record.expect("peer", peer).expect("proxied_by", &proxy.to_string());
            record.expect("local", &daemon.address().to_string());
            wait_until("the backend has everything", || !seen.lock().unwrap().is_empty());
            let got = seen.lock().unwrap().pop().unwrap();
            assert_eq!(got, [line, b"payload"].concat(), "{}", got.escape_ascii());
        }
    }
}

#[test]
fn a_header_that_names_nobody_leaves_the_addresses_of_the_connection() {
    let backend = Backend::echo();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[TRUST]);
    let client = Client::new(&pki);
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(),
        v2(0x20, 0, &[]),
        v2(0x20, 0x11, &[1; 12]),
        v2(0x21, 0, &[]),
        v2(0x21, 0x31, &[b'/'; 216]),
        v2(0x21, 0x12, &[1; 12]),
    ] {
        let socket = TcpStream::connect(daemon.address()).unwrap();
        let peer = socket.local_addr().unwrap();
        let tls = client.connect_behind(socket, NAME, &header, usize::MAX).unwrap();
        assert_eq!(tls.talk(b"abc").unwrap(), b"abc");
        let record = daemon.completed();
        record.expect("peer", &peer.to_string()).expect("proxied_by", "");
    }
}

/// Sends bytes, ends the direction, and reads to the end of the connection.
fn knock(address: SocketAddr, bytes: &[u8]) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // The other side may have refused already.
    let _ = socket.write_all(bytes);
    let _ = socket.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert_eq!(answer, b"", "nothing is said to one who has not said for whom");
}

#[test]
fn a_header_from_an_address_that_is_not_trusted_is_refused() {
    let backend = Backend::echo();
    let trust = "accept_proxy = [\"192.0.2.0/24\", \"2001:db8::/32\"]";
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[trust]);
    for header in [LINE4.to_vec(), v2_inet(&[]), v2(0x20, 0, &[])] {
        knock(daemon.address(), &header);
        let record = daemon.record();
        record.expect("outcome", "refused").expect("rule", "proxy-header");
        record.explains("accept_proxy");
        assert!(record.text("peer").starts_with("127.0.0.1:"), "{}", record.to_text());
    }
    assert_eq!(backend.connections(), 0);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"abc").unwrap(), b"abc", "without a header it is an ordinary client");
    daemon.completed().expect("proxied_by", "");
}

#[test]
fn a_health_check_is_quiet() {
    let backend = Backend::echo();
    let Scene { mut daemon, .. } = scene::one(&adjunct!(), backend.address, &[TRUST]);
    for bytes in [v2(0x20, 0, &[]), Vec::new(), LINE4.to_vec()] {
        knock(daemon.address(), &bytes);
        let record = daemon.record();
        record.expect("outcome", "abandoned").expect("rule", "peer-closed");
        record.expect("level", "debug");
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn a_header_cut_at_any_byte_reaches_no_backend() {
    let backend = Backend::echo();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[TRUST]);
    for header in [LINE4.to_vec(), v2_inet(&[0x04, 0, 2, 0, 0])] {
        for end in 1..header.len() {
            knock(daemon.address(), &header[..end]);
            let record = daemon.record();
            record.expect("rule", "proxy-header-malformed").expect("outcome", "refused");
            record.explains(&format!("after {end} bytes"));
        }
    }
    assert_eq!(backend.connections(), 0);
    let socket = TcpStream::connect(daemon.address()).unwrap();
    let tls = Client::new(&pki).connect_behind(socket, NAME, LINE4, 1).unwrap();
    assert_eq!(tls.talk(b"abc").unwrap(), b"abc", "good ones are served as before");
    assert_eq!(backend.connections(), 1);
}

/// Headers that are none, each with the name of what is wrong with it.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let mut forms: Vec<(&str, Vec<u8>)> = [
        ("v1-line-too-long", &*format!("PROXY UNKNOWN {}\r\n", "x".repeat(93))),
        ("v1-line-end", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"),
        ("v1-line-end", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r"),
        ("v1-line-end", "PROXY TCP4 192.0.2.1\r192.0.2.2 1 2\r\n"),
        ("v1-family", "PROXY \r\n"),
        ("v1-family", "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n"),
        ("v1-family", "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n"),
        ("v1-family", "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n"),
        ("v1-family", "PROXY UNKNOWN4\r\n"),
        ("v1-fields", "PROXY TCP4\r\n"),
        ("v1-fields", "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n"),
        ("v1-fields", "PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n"),
        ("v1-fields", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"),
        ("v1-source-address", "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n"),
        ("v1-source-address", "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n"),
        ("v1-source-address", "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"),
        ("v1-source-address", "PROXY TCP6 :::1 ::1 1 2\r\n"),
        ("v1-destination-address", "PROXY TCP4 192.0.2.1 ::1 1 2\r\n"),
        ("v1-destination-address", "PROXY TCP6 ::1 ::ffff:192.0.2.2 1 2\r\n"),
        ("v1-source-port", "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n"),
        ("v1-source-port", "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n"),
        ("v1-destination-port", "PROXY TCP4 192.0.2.1 192.0.2.2 1 02\r\n"),
    ]
    .map(|(name, line)| (name, line.as_bytes().to_vec()))
    .into();
    forms.extend([
        ("v2-version", v2(0x11, 0x11, &[0; 12])),
        ("v2-version", v2(0x31, 0x11, &[0; 12])),
        ("v2-command", v2(0x22, 0x11, &[0; 12])),
        ("v2-family", v2(0x21, 0x41, &[0; 12])),
        ("v2-transport", v2(0x21, 0x13, &[0; 12])),
        ("v2-too-long", v2(0x21, 0x11, &[0; 0x4000])),
        ("v2-addresses-cut", v2(0x21, 0x11, &[0; 11])),
        ("v2-addresses-cut", v2(0x21, 0x21, &[0; 35])),
        ("v2-addresses-cut", v2(0x21, 0x31, &[0; 215])),
        ("v2-tlv-head-cut", v2_inet(&[4, 0])),
        ("v2-tlv-cut", v2_inet(&[4, 0, 2, 0])),
        ("v2-crc32c-length", v2_inet(&[3, 0, 2, 0, 0])),
        ("v2-crc32c-twice", v2_inet(&[3, 0, 4, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0])),
        ("v2-crc32c)", v2_inet(&[3, 0, 4, 1, 2, 3, 4])),
        ("v2-unique-id", v2_inet(&[&[5, 0, 129][..], &[7; 129]].concat())),
        ("v2-unique-id-twice", v2_inet(&[5, 0, 1, 1, 5, 0, 1, 1])),
    ]);
    forms
}

#[test]
fn no_malformed_header_reaches_a_backend() {
    let backend = Backend::echo();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[TRUST]);
    let hello = Client::new(&pki).first_flight(NAME);
    let forms = malformed();
    assert!(forms.len() >= 30);
    for (name, header) in forms {
        knock(daemon.address(), &[&*header, &hello].concat());
        let record = daemon.record();
        record.expect("rule", "proxy-header-malformed").explains(name);
    }
    for (rule, bytes) in [
        ("proxy-header-missing", hello.clone()),
        ("proxy-header-missing", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("proxy-header-missing", [b"proxy".to_vec(), LINE4[5..].to_vec()].concat()),
        ("proxy-header-missing", [&SIGNATURE[..11], b"X"].concat()),
        ("not-tls", [LINE4, b"\0garbage"].concat()),
        ("plain-http", [LINE4, b"GET / HTTP/1.1\r\n\r\n"].concat()),
        ("proxy-header", [LINE4, &v2_inet(&[])].concat()),
        ("proxy-header", [&*v2_inet(&[]), LINE4].concat()),
    ] {
        knock(daemon.address(), &bytes);
        daemon.record().expect("rule", rule);
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn the_handshake_deadline_covers_the_wait_for_a_header() {
    let backend = Backend::echo();
    let lines = [TRUST, "timeouts = { handshake = \"300ms\" }"];
    let Scene { mut daemon, .. } = scene::one(&adjunct!(), backend.address, &lines);
    for bytes in [&b""[..], &LINE4[..20], SIGNATURE] {
        let mut socket = TcpStream::connect(daemon.address()).unwrap();
        socket.write_all(bytes).unwrap();
        let record = daemon.record();
        record.expect("rule", "proxy-header-deadline").expect("outcome", "abandoned");
        drop(socket);
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn a_backend_that_speaks_first_gets_the_header_before_the_client_speaks() {
    let backend = Backend::start(|Served { mut stream, .. }| {
        let mut header = [0; 16];
        stream.read_exact(&mut header)?;
        stream.write_all(b"greeting")?;
        std::io::copy(&mut stream, &mut std::io::sink())?;
        stream.shutdown(Shutdown::Write)
    });
    for version in ["v1", "v2"] {
        let line = format!("proxy_protocol = \"{version}\"");
        let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[&line]);
        let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
        assert_eq!(tls.read_some(8).unwrap(), b"greeting");
        assert_eq!(tls.talk(b"").unwrap(), b"");
        daemon.completed();
    }
}

/// The values of a header of version 2 from `at` on.
fn values(mut bytes: &[u8]) -> BTreeMap<u8, Vec<u8>> {
    let mut found = BTreeMap::new();
    while let [kind, high, low, rest @ ..] = bytes {
        let (value, after) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        found.insert(*kind, value.to_vec());
        bytes = after;
    }
    found
}

/// An authority for clients, and the certificate and key of one, as files.
fn client_certificate(directory: &Path) -> Vec<u8> {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name = DistinguishedName::new();
    leaf.distinguished_name.push(DnType::CommonName, "operator 7");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    std::fs::write(directory.join("clients.pem"), root.pem()).unwrap();
    std::fs::write(directory.join("client.pem"), leaf.pem()).unwrap();
    std::fs::write(directory.join("client.key"), key.serialize_pem()).unwrap();
    leaf.der().to_vec()
}

#[test]
fn the_client_certificate_is_revealed_to_the_backend() {
    let _ = need!("openssl");
    let files = TempDir::new().unwrap();
    let der = client_certificate(files.path());
    let (backend, seen) = recorder();
    let file = |name| files.path().join(name).display().to_string();
    let auth = format!("client_auth = {{ mode = \"optional\", ca = \"{}\" }}", file("clients.pem"));
    let lines = ["proxy_protocol = \"v2\"", &*auth];
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &lines);
    let (cert, key, session) = (file("client.pem"), file("client.key"), file("session"));
    let with = ["-cert", &*cert, "-key", &*key];
    let new = ["-tls1_2", "-sess_out", &*session];
    let again = ["-tls1_2", "-sess_in", &*session];
    for (options, flags, verify) in [
        (&[][..], 0x01, 1),
        (&with[..], 0x07, 0),
        (&[&with[..], &new].concat(), 0x07, 0),
        (&[&with[..], &again].concat(), 0x05, 0),
    ] {
        let options = [options, &["-no_ign_eof"]].concat();
        openssl::s_client(daemon.address(), NAME, &pki.bundle(), &options, "Q\n").success();
        let record = daemon.completed();
        wait_until("the backend has everything", || !seen.lock().unwrap().is_empty());
        let all = seen.lock().unwrap().pop().unwrap();
        let length = usize::from(u16::from_be_bytes([all[14], all[15]]));
        let top = values(&all[28..16 + length]);
        assert_eq!(top[&0x05], record.number("conn_id").to_string().as_bytes());
        let ssl = &top[&0x20];
        assert_eq!(ssl[..5], [flags, 0, 0, 0, verify], "{options:?}");
        let inner = values(&ssl[5..]);
        assert_eq!(inner[&0x21], record.version().as_bytes());
        assert_eq!(inner[&0x23], record.suite().as_bytes());
        let resumed = record.resumed();
        assert_eq!(inner.get(&0x25).map(Vec::as_slice), (!resumed).then_some(&b"EC256"[..]));
        let presented = flags > 1;
        assert_eq!(inner.get(&0x22).map(Vec::as_slice), presented.then_some(&b"operator 7"[..]));
        assert_eq!(inner.get(&0x28), presented.then_some(&der));
    }
}
