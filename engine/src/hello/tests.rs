//! The reader against hand-made, real, cut and damaged hellos.

use std::sync::Arc;

use super::*;
use crate::alert::Alert;
use crate::iana;

/// A hello put together by hand, every length computed, so that one thing can be made wrong.
struct Builder {
    version: u16,
    session_id: Vec<u8>,
    suites: Vec<u16>,
    extensions: Option<Vec<(u16, Vec<u8>)>>,
}

fn prefixed16(content: &[u8]) -> Vec<u8> {
    let mut out = u16::try_from(content.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(content);
    out
}

fn words(list: &[u16]) -> Vec<u8> {
    list.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn list8(list: &[u16]) -> Vec<u8> {
    let mut out = vec![u8::try_from(list.len() * 2).unwrap()];
    out.extend(words(list));
    out
}

fn sni(name: &[u8]) -> (u16, Vec<u8>) {
    let mut entry = vec![0];
    entry.extend(prefixed16(name));
    (0, prefixed16(&entry))
}

impl Builder {
    fn tls12() -> Self {
        Self {
            version: 0x0303,
            session_id: Vec::new(),
            suites: vec![0xC02F],
            extensions: Some(vec![
                sni(b"Tn3270.Example.COM"),
                (10, prefixed16(&words(&[0x0017]))),
                (13, prefixed16(&words(&[0x0401, 0x0804]))),
            ]),
        }
    }

    fn with(mut self, kind: u16, content: Vec<u8>) -> Self {
        self.extensions.get_or_insert_default().push((kind, content));
        self
    }

    fn suites(mut self, suites: &[u16]) -> Self {
        self.suites = suites.to_vec();
        self
    }

    fn version(mut self, version: u16) -> Self {
        self.version = version;
        self
    }

    fn only(mut self, extensions: Vec<(u16, Vec<u8>)>) -> Self {
        self.extensions = Some(extensions);
        self
    }

    fn message(&self) -> Vec<u8> {
        let mut body = self.version.to_be_bytes().to_vec();
        body.extend([7; 32]);
        body.push(u8::try_from(self.session_id.len()).unwrap());
        body.extend(&self.session_id);
        body.extend(prefixed16(&words(&self.suites)));
        body.extend([1, 0]);
        if let Some(extensions) = &self.extensions {
            let block: Vec<u8> = extensions
                .iter()
                .flat_map(|(kind, content)| [words(&[*kind]), prefixed16(content)].concat())
                .collect();
            body.extend(prefixed16(&block));
        }
        handshake(1, &body)
    }

    fn bytes(&self) -> Vec<u8> {
        records(&self.message(), 1 << 14)
    }
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind], &len[1..], body].concat()
}

fn record(kind: u8, fragment: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &prefixed16(fragment)].concat()
}

fn records(message: &[u8], fragment_len: usize) -> Vec<u8> {
    message.chunks(fragment_len).flat_map(|fragment| record(22, fragment)).collect()
}

fn read(bytes: &[u8]) -> Progress {
    HelloReader::default().read(bytes)
}

fn hello(bytes: &[u8]) -> ClientHello {
    match read(bytes) {
        Progress::Hello(hello) => *hello,
        other => panic!("{other:?}"),
    }
}

fn refused(bytes: &[u8]) -> Refused {
    match read(bytes) {
        Progress::Refuse(refused) => *refused,
        other => panic!("{other:?}"),
    }
}

fn rule_and_alert(bytes: &[u8]) -> (&'static str, Option<u8>) {
    let refused = refused(bytes);
    (refused.rule.name, refused.alert.map(|alert| alert.0))
}

/// First flight of the stock rustls client.
fn rustls_hello(versions: &[&'static rustls::SupportedProtocolVersion]) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = "Service.Example".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_hello_made_by_hand() {
    let bytes = Builder::tls12()
        .suites(&[0x1A1A, 0xC02F, 0x002F, 0x00FF, 0x5600])
        .with(0x2A2A, vec![])
        .with(16, prefixed16(b"\x02h2\x02\x3A\x3A\x03tn\xFF"))
        .with(23, vec![])
        .with(35, vec![9, 9])
        .with(50, prefixed16(&words(&[0x0403])))
        .bytes();
    let hello = hello(&bytes);
    assert_eq!(hello.versions, [0x0303]);
    assert_eq!(hello.suites, [0xC02F, 0x002F]);
    assert_eq!(hello.groups, [0x0017]);
    assert_eq!(hello.sni.as_deref(), Some("tn3270.example.com"));
    assert_eq!(hello.odd_sni, None);
    assert_eq!(hello.alpn, [b"h2".to_vec(), b"tn\xFF".to_vec()]);
    assert_eq!(hello.cert_schemes(), Some(&[0x0403][..]));
    assert_eq!(hello.signature_algorithms.as_deref(), Some(&[0x0401, 0x0804][..]));
    assert!(hello.extended_master_secret && hello.session_ticket && hello.offers_resumption());
    assert!(hello.fallback_scsv && hello.secure_renegotiation);
    assert!(!hello.pre_shared_key && !hello.early_data);
    assert_eq!(hello.len + 5, bytes.len());
    let offer = hello.offer();
    assert_eq!(offer.versions, ["TLSv1.2"]);
    assert_eq!(offer.suites[0], "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
    assert_eq!(offer.groups, ["secp256r1"]);
    assert_eq!(offer.signature_schemes, ["rsa_pkcs1_sha256", "rsa_pss_rsae_sha256"]);
    assert_eq!(offer.alpn, ["h2", "tn\\xff"]);
}

#[test]
fn grease_is_ignored_in_every_list() {
    let shares = [words(&[0x6A6A]), prefixed16(&[0]), words(&[0x001D]), prefixed16(&[1; 32])];
    let bytes = Builder::tls12()
        .only(vec![
            (0xFAFA, vec![1]),
            (10, prefixed16(&words(&[0x0A0A, 0x001D]))),
            (13, prefixed16(&words(&[0x1A1A, 0x0804]))),
            (43, list8(&[0xBABA, 0x0304, 0x0303])),
            (51, prefixed16(&shares.concat())),
        ])
        .bytes();
    let hello = hello(&bytes);
    assert_eq!(hello.versions, [0x0304, 0x0303]);
    assert_eq!(hello.groups, [0x001D]);
    assert_eq!(hello.key_shares, [0x001D]);
    assert_eq!(hello.signature_algorithms.as_deref(), Some(&[0x0804][..]));
}

#[test]
fn the_hello_of_the_stock_rustls_client() {
    let hello_13 = hello(&rustls_hello(rustls::ALL_VERSIONS));
    assert_eq!(hello_13.versions, [0x0304, 0x0303]);
    assert_eq!(hello_13.sni.as_deref(), Some("service.example"));
    assert_eq!(hello_13.alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert!(hello_13.suites.contains(&0x1302) && hello_13.suites.contains(&0xC02F));
    assert!(hello_13.groups.contains(&0x001D) && hello_13.groups.contains(&0x0017));
    assert!(!hello_13.key_shares.is_empty());
    assert!(hello_13.key_shares.iter().all(|group| hello_13.groups.contains(group)));
    assert!(hello_13.signature_algorithms.is_some_and(|list| list.contains(&0x0804)));
    assert!(hello_13.extended_master_secret);
    let hello_12 = hello(&rustls_hello(&[&rustls::version::TLS12]));
    assert_eq!(hello_12.best_version(), iana::TLS12);
    assert!(hello_12.key_shares.is_empty());
}

#[test]
fn cut_at_every_byte_it_asks_for_more_and_never_too_much() {
    for whole in [
        Builder::tls12().bytes(),
        rustls_hello(rustls::ALL_VERSIONS),
        records(&Builder::tls12().message(), 7),
    ] {
        let mut reader = HelloReader::default();
        for len in 0..whole.len() {
            let fresh = read(&whole[..len]);
            let Progress::NeedMore { hint } = reader.read(&whole[..len]) else {
                panic!("decided after {len} of {}", whole.len());
            };
            assert!(hint > 0 && len + hint <= whole.len(), "{len} + {hint}");
            assert!(matches!(fresh, Progress::NeedMore { hint: again } if again == hint));
        }
        assert!(matches!(reader.read(&whole), Progress::Hello(_)));
    }
}

#[test]
fn fragments_of_any_size_give_the_same_hello() {
    let message = Builder::tls12().message();
    let expected = hello(&records(&message, 1 << 14));
    for fragment_len in 1..message.len() {
        assert_eq!(hello(&records(&message, fragment_len)), expected);
    }
}

#[test]
fn what_follows_the_hello_is_left_alone() {
    let message = Builder::tls12().message();
    let mut two_messages = message.clone();
    two_messages.extend(handshake(16, &[1, 2, 3]));
    assert_eq!(hello(&record(22, &two_messages)).len, message.len());
    let early_data = [records(&message, 100), record(20, &[1]), record(23, &[5; 40])].concat();
    assert_eq!(hello(&early_data).len, message.len());
}

#[test]
fn one_byte_changed_never_panics() {
    for whole in [Builder::tls12().bytes(), rustls_hello(rustls::ALL_VERSIONS)] {
        for at in 0..whole.len() {
            // Bodies of key shares are opaque; a few values suffice there.
            let values: &[u8] = if whole.len() > 600 && at > 600 {
                &[0, 0x7F, 0xFF]
            } else {
                &[0, 1, 2, 3, 4, 5, 0x0A, 0x15, 0x16, 0x17, 0x20, 0x7F, 0x80, 0xFE, 0xFF]
            };
            for value in values {
                let mut damaged = whole.clone();
                damaged[at] = *value;
                let _ = read(&damaged);
            }
        }
    }
}

/// Whether rustls' own first look at the hello accepts it.
fn rustls_accepts(mut bytes: &[u8]) -> bool {
    let mut acceptor = rustls::server::Acceptor::default();
    while !bytes.is_empty() {
        if acceptor.read_tls(&mut bytes).is_err() {
            return false;
        }
        match acceptor.accept() {
            Ok(Some(_)) => return true,
            Ok(None) => {}
            Err(_) => return false,
        }
    }
    false
}

#[test]
fn what_is_called_undecodable_is_refused_by_rustls_too() {
    for whole in [Builder::tls12().bytes(), rustls_hello(&[&rustls::version::TLS12])] {
        assert!(rustls_accepts(&whole));
        for at in 0..whole.len() {
            for value in 0..=u8::MAX {
                let mut damaged = whole.clone();
                damaged[at] = value;
                if let Progress::Refuse(refused) = read(&damaged)
                    && refused.rule.name != "protocol-too-old"
                    // rustls does not look into signature_algorithms_cert; we choose by it.
                    && !refused.reason.contains("extension 50 ")
                {
                    assert!(!rustls_accepts(&damaged), "{at} = {value}: {}", refused.reason);
                }
            }
        }
    }
}

#[test]
fn absurd_lengths_are_refused_or_awaited_within_the_limit() {
    let huge = [&[22, 3, 1, 0, 4, 1][..], &[0xFF, 0xFF, 0xFF]].concat();
    assert_eq!(rule_and_alert(&huge), ("hello-too-large", Some(50)));
    assert_eq!(rule_and_alert(&[22, 3, 1, 0x40, 0x01]), ("record-overflow", Some(22)));
    assert_eq!(rule_and_alert(&[22, 3, 1, 0xFF, 0xFF]), ("record-overflow", Some(22)));
    assert!(matches!(read(&[22, 3, 1, 0x40, 0x00]), Progress::NeedMore { hint: 0x4000 }));
    // A small limit: the message says it is larger.
    let bytes = Builder::tls12().bytes();
    let mut small = HelloReader::new(bytes.len() - 1);
    assert!(matches!(small.read(&bytes), Progress::Refuse(refused)
        if refused.rule.name == "hello-too-large"));
    assert!(matches!(HelloReader::new(bytes.len()).read(&bytes), Progress::Hello(_)));
}

#[test]
fn a_flood_of_tiny_records_ends_at_the_limit() {
    let message = handshake(1, &[0; 20_000]);
    let flood = records(&message, 1);
    let mut reader = HelloReader::default();
    let mut read = 0;
    let refused = loop {
        match reader.read(&flood[..read]) {
            Progress::NeedMore { hint } => read += hint,
            other => break other,
        }
        assert!(read <= DEFAULT_MAX_LEN);
    };
    assert!(matches!(refused, Progress::Refuse(refused) if refused.rule.name == "hello-too-large"));
}

#[test]
fn empty_and_misplaced_records() {
    let message = Builder::tls12().message();
    assert_eq!(rule_and_alert(&record(22, &[])), ("undecodable-hello", Some(50)));
    let empty_between = [record(22, &message[..9]), record(22, &[]), record(22, &message[9..])];
    assert_eq!(rule_and_alert(&empty_between.concat()), ("undecodable-hello", Some(50)));
    for kind in [20, 23, 24] {
        assert_eq!(rule_and_alert(&record(kind, &[1])), ("unexpected-message", Some(10)));
        let inside = [record(22, &message[..9]), record(kind, &[1])].concat();
        assert_eq!(rule_and_alert(&inside), ("unexpected-message", Some(10)));
    }
    assert_eq!(rule_and_alert(&record(22, &[2, 0, 0, 0])), ("unexpected-message", Some(10)));
    assert_eq!(rule_and_alert(&record(22, &[16])), ("unexpected-message", Some(10)));
    let then_garbage = [record(22, &message[..9]), b"GET / HTTP/1.1\r\n".to_vec()].concat();
    assert_eq!(rule_and_alert(&then_garbage), ("undecodable-hello", Some(50)));
}

#[test]
fn an_alert_instead_of_a_hello_is_the_clients() {
    let refused = refused(&record(21, &[2, 46]));
    assert_eq!(refused.rule.name, "peer-alert");
    assert_eq!((refused.alert, refused.received), (None, Some(Alert(46))));
    let refusal = refused.refusal();
    assert_eq!(refusal.alert_received, Some(Alert(46)));
    assert_eq!(refusal.gsk.map(|code| code.0), Some(414));
    assert!(matches!(read(&record(21, &[2, 46])[..6]), Progress::NeedMore { hint: 1 }));
    assert_eq!(rule_and_alert(&record(21, &[1])), ("undecodable-hello", Some(50)));
}

#[test]
fn old_versions_are_refused_by_name_and_their_offer_is_kept() {
    for (version, name) in [(0x0300, "SSLv3"), (0x0301, "TLSv1.0"), (0x0302, "TLSv1.1")] {
        let bytes = Builder::tls12().version(version).suites(&[0x002F]).bytes();
        let refused = refused(&bytes);
        assert_eq!((refused.rule.name, refused.alert), ("protocol-too-old", Some(Alert(70))));
        assert!(refused.reason.contains(name), "{}", refused.reason);
        let offer = refused.hello.unwrap().offer();
        assert_eq!(offer.versions, [name]);
        assert_eq!(offer.suites, ["TLS_RSA_WITH_AES_128_CBC_SHA"]);
    }
    // supported_versions counts, whatever the version field says.
    let listed = Builder::tls12().with(43, list8(&[0x0302, 0x0301])).bytes();
    assert_eq!(rule_and_alert(&listed), ("protocol-too-old", Some(70)));
    let newer = Builder::tls12().version(0x0301).with(43, list8(&[0x0304])).bytes();
    assert_eq!(hello(&newer).best_version(), iana::TLS13);
    let unknown = Builder::tls12().with(43, list8(&[0x7F1C])).bytes();
    assert_eq!(rule_and_alert(&unknown), ("protocol-too-old", Some(70)));
    // Without the extension a version above TLS 1.2 means TLS 1.2.
    assert_eq!(hello(&Builder::tls12().version(0x0304).bytes()).versions, [0x0303]);
    let none = Builder { extensions: None, ..Builder::tls12() };
    assert!(hello(&none.bytes()).sni.is_none());
}

#[test]
fn sslv2_hellos_are_recognised_by_name() {
    let suites = [[0, 0, 0x05], [0, 0, 0x0A], [1, 0, 0x80]].concat();
    let lengths = [0, 9, 0, 0, 0, 16];
    let message = [&[1, 3, 1][..], &lengths, &suites, &[7; 16]].concat();
    let bytes = [&[0x80, u8::try_from(message.len()).unwrap()][..], &message].concat();
    let refused = refused(&bytes);
    assert_eq!((refused.rule.name, refused.alert), ("sslv2-hello", Some(Alert(70))));
    assert!(refused.reason.contains("TLSv1.0"), "{}", refused.reason);
    let offer = refused.hello.unwrap().offer();
    assert_eq!(offer.suites, ["TLS_RSA_WITH_RC4_128_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"]);
    for len in 1..bytes.len() {
        assert!(
            matches!(read(&bytes[..len]), Progress::NeedMore { hint } if len + hint <= bytes.len())
        );
    }
    // Lengths that do not agree: refused all the same, without an offer.
    let mut damaged = bytes.clone();
    damaged[5] = 0xFF;
    assert!(matches!(read(&damaged), Progress::Refuse(refused) if refused.hello.is_none()));
    assert_eq!(rule_and_alert(&[0xBF, 0xFF, 1, 0, 2]), ("sslv2-hello", Some(70)));
    assert!(matches!(read(&[0x80, 9, 4, 0, 2]), Progress::NotTls(Preface::Other)));
}

#[test]
fn other_protocols_are_not_tls() {
    let kind = |bytes: &[u8]| match read(bytes) {
        Progress::NotTls(kind) => kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Preface::PlainHttp);
    assert_eq!(kind(b"SSH-2.0-x\r\n"), Preface::Ssh);
    assert_eq!(kind(b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), Preface::Proxy);
    assert_eq!(kind(&[0xFF, 0xFD, 0x18]), Preface::Telnet);
    assert_eq!(kind(&[22, 2, 1, 0, 1]), Preface::Other);
    assert_eq!(kind(&[0, 0, 0]), Preface::Other);
    assert!(matches!(read(b""), Progress::NeedMore { hint: 5 }));
    assert!(matches!(read(b"GE"), Progress::NeedMore { hint: 1 }));
}

#[test]
fn malformed_extensions_are_undecodable() {
    let undecodable = ("undecodable-hello", Some(50));
    let cases: [(u16, Vec<u8>); 12] = [
        (10, vec![0, 3, 0, 23, 0]),
        (10, vec![0, 2, 0, 23, 0]),
        (13, vec![0, 0]),
        (13, vec![]),
        (43, vec![3, 3, 4, 3]),
        (43, vec![0]),
        (51, vec![0, 4, 0, 29, 0, 1]),
        (16, vec![0, 1, 0]),
        (16, vec![0, 3, 9, 1, 1]),
        (0, vec![0, 5, 0, 0, 9, 65, 66]),
        (0, vec![]),
        (50, vec![0, 1, 4]),
    ];
    for (kind, content) in cases {
        let bytes = Builder::tls12().only(vec![(kind, content)]).bytes();
        assert_eq!(rule_and_alert(&bytes), undecodable, "extension {kind}");
        assert!(refused(&bytes).reason.contains(&format!("extension {kind} ")));
    }
    let twice = Builder::tls12().with(23, vec![]).with(23, vec![]).bytes();
    assert_eq!(rule_and_alert(&twice), ("illegal-parameter", Some(47)));
    // Two host names in one list are forbidden (RFC 6066 section 3).
    let names = [&[0][..], &prefixed16(b"a.example"), &[0], &prefixed16(b"b.example")].concat();
    let bytes = Builder::tls12().only(vec![(0, prefixed16(&names))]).bytes();
    assert_eq!(rule_and_alert(&bytes), undecodable);
}

#[test]
fn damaged_fixed_parts_are_undecodable() {
    let undecodable = ("undecodable-hello", Some(50));
    let body = &Builder::tls12().message()[4..];
    let long_session_id = [&body[..34], &[33], &[0; 33][..], &body[35..]].concat();
    assert_eq!(rule_and_alert(&record(22, &handshake(1, &long_session_id))), undecodable);
    let odd_suites = [&body[..35], &[0, 3, 0xC0, 0x2F, 0], &body[39..]].concat();
    assert_eq!(rule_and_alert(&record(22, &handshake(1, &odd_suites))), undecodable);
    let trailing = [body, &[0]].concat();
    assert_eq!(rule_and_alert(&record(22, &handshake(1, &trailing))), undecodable);
    assert_eq!(rule_and_alert(&record(22, &handshake(1, &[]))), undecodable);
    assert_eq!(rule_and_alert(&record(22, &handshake(1, &body[..20]))), undecodable);
}

#[test]
fn odd_server_names_choose_no_service() {
    let named = |name: &[u8]| {
        let hello = hello(&Builder::tls12().only(vec![sni(name)]).bytes());
        (hello.sni, hello.odd_sni)
    };
    assert_eq!(named(b"A.Example."), (Some("a.example".to_owned()), None));
    assert_eq!(named(b"under_score.example"), (Some("under_score.example".to_owned()), None));
    let address = |text: &str| (None, Some(OddName::Address(text.to_owned())));
    assert_eq!(named(b"192.0.2.1"), address("192.0.2.1"));
    assert_eq!(named(b"[2001:db8::1]"), address("[2001:db8::1]"));
    assert_eq!(named(b"2001:db8::1"), address("2001:db8::1"));
    let illegal = |text: &str| (None, Some(OddName::Illegal(text.to_owned())));
    assert_eq!(named(b"a b\n"), illegal("a b\\n"));
    assert_eq!(named(b"*.example"), illegal("*.example"));
    assert_eq!(named(b"\xFF"), illegal("\\xff"));
    assert_eq!(named(b""), illegal(""));
    let (sni, odd) = named(&[b'a'; 5000]);
    assert!(sni.is_none());
    assert!(matches!(odd, Some(OddName::Illegal(text)) if text.len() == 255));
}

#[test]
fn resumption_is_seen_by_every_means() {
    let with_id = Builder { session_id: vec![1; 32], ..Builder::tls12() };
    assert!(hello(&with_id.bytes()).offers_resumption());
    // The same session ID of a TLS 1.3 client is only there for middleboxes.
    let compatible = Builder { session_id: vec![1; 32], ..Builder::tls12() }
        .with(43, list8(&[0x0304, 0x0303]))
        .bytes();
    assert!(!hello(&compatible).offers_resumption());
    let psk = Builder::tls12().with(43, list8(&[0x0304])).with(41, vec![0; 9]).bytes();
    assert!(hello(&psk).pre_shared_key && hello(&psk).offers_resumption());
    assert!(!hello(&Builder::tls12().with(35, vec![]).bytes()).offers_resumption());
}

#[test]
fn what_the_client_lacked_in_words() {
    let lacks =
        |suites: &[u16]| explain_no_common_cipher(&hello(&Builder::tls12().suites(suites).bytes()));
    assert_eq!(
        lacks(&[0x002F, 0xC014, 0x0035, 0x003C]),
        "offers only CBC suites (TLS_RSA_WITH_AES_128_CBC_SHA, \
         TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, TLS_RSA_WITH_AES_256_CBC_SHA and 1 more); needs an \
         ECDHE suite with AES-GCM or ChaCha20-Poly1305, or TLS 1.3"
    );
    assert!(lacks(&[0x0005, 0x0004]).starts_with("offers only RC4 suites ("));
    assert!(lacks(&[0x0005, 0x000A, 0x002F]).starts_with("offers only RC4, 3DES and CBC suites"));
    assert!(lacks(&[0x009C, 0x009D]).starts_with("offers only RSA key transport suites"));
    assert!(lacks(&[0x009E]).starts_with("offers only finite-field DHE suites"));
    assert!(lacks(&[0x009C, 0x002F]).starts_with("offers only RSA key transport and CBC suites"));
    assert!(lacks(&[0x0003, 0x0008]).starts_with("offers only export suites"));
    assert!(lacks(&[0x003B]).starts_with("offers only NULL (unencrypted) suites"));
    assert!(lacks(&[0x1301, 0x1302]).contains("not the version TLS 1.3"));
    assert!(lacks(&[0xC02B]).contains("ECDSA certificate"));
    assert!(lacks(&[0xC02F]).contains("RSA certificate"));
    assert!(lacks(&[0xC02F, 0xC02B]).contains("groups: secp256r1"));
    assert!(lacks(&[0xFE00]).contains("0xFE00"));
    assert!(lacks(&[]).contains("no cipher suite at all"));
}

#[test]
fn one_kind_of_suite_only() {
    let offers = |suites: &[u16]| hello(&Builder::tls12().suites(suites).bytes());
    assert!(offers(&[0x002F, 0x000A]).offers_only_cbc());
    assert!(!offers(&[0x002F, 0xC02F]).offers_only_cbc());
    assert!(offers(&[0x0005, 0xC011]).offers_only_rc4());
    assert!(!offers(&[]).offers_only_rc4());
}
