//! Client certificates: who is let in, what the others are told, and what a session carries on.
//!
//! The clients here are rustls with its stock provider; those that others wrote are in the suite of
//! interoperability.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use adjunct_tests::backend::Backend;
use adjunct_tests::client::stock::{Client, Offer, signing_key};
use adjunct_tests::client_pki::{By, ClientPki, Flaw};
use adjunct_tests::config::{Service, file};
use adjunct_tests::hello::{self, Hello, Reply};
use adjunct_tests::pki::{Issued, Kind, Leaf, Pki};
use adjunct_tests::record::Record;
use adjunct_tests::scene::{self, NAME, Scene};
use adjunct_tests::{adjunct, wait_until};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

fn client(pki: &Pki, version: &'static SupportedProtocolVersion) -> Client {
    Client::offering(pki, Offer { versions: vec![version], ..Offer::default() })
}

/// Sends a word and gets it back, or the number of the alert that came instead.
fn talk(client: &Client, address: SocketAddr) -> Result<bool, u8> {
    let alert = |error: io::Error| {
        let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::AlertReceived(alert)) => u8::from(*alert),
            _ => panic!("no alert came, but: {error:?}"),
        }
    };
    let tls = client.connect(address, NAME).map_err(alert)?;
    assert_eq!(tls.talk(b"hello").map_err(alert)?, b"hello");
    Ok(tls.is_resumed())
}

/// Asserts a refusal, as the client and the record see it.
#[track_caller]
fn refused(client: &Client, scene: &mut Scene<1>, rule: &str, alert: u8) -> Record {
    assert_eq!(talk(client, scene.daemon.address()), Err(alert), "{rule}");
    let record = scene.daemon.record();
    record.expect("outcome", "refused").expect("rule", rule);
    assert_eq!(record.alert_sent(), Some(u64::from(alert)), "{}", record.0);
    assert!(record.number("gsk") > 0, "{}", record.0);
    record
}

fn demanding(mode: &str) -> (Backend, Scene<1>, ClientPki) {
    let (echo, clients) = (Backend::echo(), ClientPki::new());
    let scene = scene::one(&adjunct!(), echo.address, &[&clients.line(mode)]);
    (echo, scene, clients)
}

fn chain(issued: &Issued) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(&issued.cert).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_right_certificate_of_every_kind_is_let_in_and_named_in_the_record() {
    let (_echo, mut scene, clients) = demanding("required");
    for kind in Kind::ALL {
        for by in [By::Ca, By::Intermediate] {
            let issued = clients.issue(&format!("{kind:?} {by:?}"), kind, by, Flaw::None);
            for version in VERSIONS {
                let client = client(&scene.pki, version).showing(&issued);
                assert_eq!(talk(&client, scene.daemon.address()), Ok(false), "{kind:?} {by:?}");
                let record = scene.daemon.completed();
                record.expect("client.subject", &format!("CN={kind:?} {by:?},O=Test"));
                assert!(record.text("client.issuer").starts_with("CN=Client test CA"));
                assert_eq!(record.text("client.fingerprint_sha256").len(), 64);
                assert_eq!(record.field("client.verified").as_bool(), Some(true));
            }
        }
    }
    scene.daemon.stop();
}

#[test]
fn every_wrong_certificate_has_its_rule_and_its_alert_in_both_modes_and_versions() {
    let cases = [
        (By::IntermediateUnsent, Flaw::None, "client-cert-untrusted", 48),
        (By::Stranger, Flaw::None, "client-cert-untrusted", 48),
        (By::Impostor, Flaw::None, "client-cert-bad-signature", 42),
        (By::Itself, Flaw::None, "client-cert-self-signed", 48),
        (By::Ca, Flaw::Expired, "client-cert-expired", 45),
        (By::Ca, Flaw::NotYetValid, "client-cert-not-yet-valid", 45),
        (By::Ca, Flaw::ForServers, "client-cert-wrong-usage", 43),
        (By::Ca, Flaw::StrangeExtension, "client-cert-unsupported", 43),
    ];
    for mode in ["required", "optional"] {
        let (echo, mut scene, clients) = demanding(mode);
        for (number, (by, flaw, rule, alert)) in cases.into_iter().enumerate() {
            let label = format!("wrong {number}");
            let issued = clients.issue(&label, Kind::P256, by, flaw);
            for version in VERSIONS {
                let client = client(&scene.pki, version).showing(&issued);
                let record = refused(&client, &mut scene, rule, alert);
                record.expect("client.subject", &format!("CN={label},O=Test")).explains(&label);
                assert_eq!(record.field("client.verified").as_bool(), Some(false));
                record.expect("fault", "certificate");
            }
        }
        assert_eq!(echo.connections(), 0, "none of them reaches the backend");
        let good = client(&scene.pki, &TLS13).showing(&clients.good("good", Kind::P256));
        assert_eq!(talk(&good, scene.daemon.address()), Ok(false));
        scene.daemon.completed();
        scene.daemon.stop();
    }
}

#[test]
fn a_client_without_a_certificate_is_refused_only_where_one_is_required() {
    let (echo, mut scene, _clients) = demanding("required");
    for (version, alert) in [(&TLS12, 40), (&TLS13, 116)] {
        let client = client(&scene.pki, version);
        let record = refused(&client, &mut scene, "client-cert-missing", alert);
        assert_eq!(record.number("gsk"), 403);
        assert!(record.field("client.subject").is_null(), "{}", record.0);
    }
    assert_eq!(echo.connections(), 0);
    let (_echo, mut scene, _clients) = demanding("optional");
    for version in VERSIONS {
        let client = client(&scene.pki, version);
        for resumed in [false, true] {
            assert_eq!(talk(&client, scene.daemon.address()), Ok(resumed));
            assert!(scene.daemon.completed().field("client.subject").is_null());
        }
    }
}

#[test]
fn a_client_that_does_not_hold_the_key_is_refused() {
    let (echo, mut scene, clients) = demanding("required");
    for kind in [Kind::P256, Kind::Rsa2048] {
        let victim = clients.good("victim", kind);
        // Keys of one kind of RSA are shared in a test process; another size signs as well.
        let other = clients.good("thief", if kind.is_rsa() { Kind::Rsa3072 } else { kind });
        for version in VERSIONS {
            let thief =
                client(&scene.pki, version).showing_chain(chain(&victim), signing_key(&other));
            let record = refused(&thief, &mut scene, "client-cert-unproven", 51);
            record.expect("client.subject", "CN=victim,O=Test").expect("fault", "peer");
            assert_eq!(record.field("client.verified").as_bool(), Some(false));
        }
    }
    assert_eq!(echo.connections(), 0);
}

#[test]
fn hostile_certificate_messages_are_refused_or_bounded() {
    let (echo, mut scene, clients) = demanding("required");
    let good = clients.good("good", Kind::P256);
    let key = signing_key(&good);
    let leaf = chain(&good).remove(0);
    let huge = clients.issue("huge", Kind::P256, By::Ca, Flaw::Padded(40_000));
    let huge = chain(&huge).remove(0);
    let cut = CertificateDer::from(leaf[..leaf.len() - 1].to_vec());
    let cases = [
        ("garbage", vec![CertificateDer::from(vec![0xff; 300])], "client-cert-malformed", 42_u8),
        ("cut", vec![cut], "client-cert-malformed", 42),
        ("a CA", vec![clients.ca_der()], "client-cert-self-signed", 48),
    ];
    for (what, chain, rule, alert) in cases {
        for version in VERSIONS {
            let hostile = client(&scene.pki, version).showing_chain(chain.clone(), key.clone());
            assert_eq!(talk(&hostile, scene.daemon.address()), Err(alert), "{what}");
            let record = scene.daemon.record();
            record.expect("outcome", "refused").expect("rule", rule);
            assert_eq!(record.alert_sent(), Some(u64::from(alert)), "{what}: {}", record.0);
        }
    }
    for version in VERSIONS {
        let chain = vec![huge.clone(), huge.clone()];
        let hostile = client(&scene.pki, version).showing_chain(chain, key.clone());
        assert!(
            hostile.connect(scene.daemon.address(), NAME).and_then(|tls| tls.talk(b"")).is_err()
        );
        let record = scene.daemon.record();
        record.expect("outcome", "refused").expect("rule", "malformed-message");
        // rustls has no alert for it, and in TLS 1.3 only rustls could encrypt one.
        let in_clear = (version.version == TLS12.version).then_some(50);
        assert_eq!(record.alert_sent(), in_clear, "{}", record.0);
    }
    assert_eq!(echo.connections(), 0);
    // A chain of a hundred is long, but right: the leaf leads to the CA. Garbage after it is no
    // part of the way either.
    let mut long = vec![leaf.clone()];
    long.resize(100, clients.intermediate());
    let mut littered = vec![leaf];
    littered.resize(20, CertificateDer::from(vec![0xff; 300]));
    for chain in [long, littered] {
        for version in VERSIONS {
            let client = client(&scene.pki, version).showing_chain(chain.clone(), key.clone());
            assert_eq!(talk(&client, scene.daemon.address()), Ok(false), "{}", chain.len());
            scene.daemon.completed().expect("client.subject", "CN=good,O=Test");
        }
    }
    let client = client(&scene.pki, &TLS13).showing(&good);
    assert_eq!(talk(&client, scene.daemon.address()), Ok(false));
    scene.daemon.stop();
}

/// The answer to a handshake message in the place of the client's certificate, in TLS 1.2, where it
/// can be written by hand.
fn after_the_hello(address: SocketAddr, message: &[u8]) -> Reply {
    const HELLO_DONE: &[u8] = &[14, 0, 0, 0];
    let mut stream = hello::connect(address);
    stream.write_all(&Hello::of(hello::TLS12, hello::AEAD).to(NAME).record()).unwrap();
    let mut flight = Vec::new();
    while !flight.ends_with(HELLO_DONE) {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "the daemon asks for a certificate");
        flight.extend_from_slice(&piece[..count]);
    }
    let mut record = vec![22, 3, 3];
    record.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
    stream.write_all(&[&record, message].concat()).unwrap();
    hello::collect(&mut stream)
}

#[test]
fn a_certificate_message_of_any_bytes_is_refused() {
    let (echo, mut scene, clients) = demanding("optional");
    let mut messages: Vec<(Vec<u8>, u8)> = vec![
        (vec![11, 0, 0, 0], 50),
        (vec![11, 0, 0, 3, 0, 0, 5], 50),
        (vec![11, 0, 0, 6, 0, 0, 3, 0, 0, 255], 50),
        (vec![11, 0, 0, 7, 0, 0, 3, 0, 0, 0, 9], 50),
        (vec![11, 255, 255, 255, 0, 0, 0], 50),
        // A certificate of no bytes is one that cannot be read.
        (vec![11, 0, 0, 6, 0, 0, 3, 0, 0, 0], 42),
        // CertificateVerify and ClientKeyExchange where the certificate should be.
        (vec![15, 0, 0, 4, 8, 4, 0, 0], 10),
        (vec![16, 0, 0, 2, 1, 0], 10),
    ];
    let mut state = 1_u32;
    for length in [1_u8, 5, 40, 200] {
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        let body: Vec<u8> = noise.take(usize::from(length)).collect();
        let list = [&[11, 0, 0, length + 6, 0, 0, length + 3, 0, 0, length][..], &body].concat();
        messages.push((list, 42));
        messages.push(([&[11, 0, 0, length, 0, 1, 0][..], &body[1..]].concat(), 50));
    }
    for (message, alert) in messages {
        let reply = after_the_hello(scene.daemon.address(), &message);
        let last = reply.alerts().last().copied();
        let record = scene.daemon.record();
        assert_eq!(last, Some((2, alert)), "{message:?} {}", record.0);
        record.expect("outcome", "refused");
        assert_eq!(record.alert_sent(), Some(u64::from(alert)), "{message:?} {}", record.0);
    }
    assert_eq!(echo.connections(), 0);
    let good = client(&scene.pki, &TLS12).showing(&clients.good("good", Kind::P256));
    assert_eq!(talk(&good, scene.daemon.address()), Ok(false));
    scene.daemon.stop();
}

#[test]
fn a_resumed_connection_is_still_that_of_its_client() {
    for lines in [&[][..], &["tickets = 0"]] {
        let (echo, clients) = (Backend::echo(), ClientPki::new());
        let demand = clients.line("required");
        let lines: Vec<&str> = lines.iter().copied().chain([demand.as_str()]).collect();
        let mut scene = scene::one(&adjunct!(), echo.address, &lines);
        for version in VERSIONS {
            if lines.len() > 1 && version.version == TLS13.version {
                continue; // without tickets TLS 1.3 resumes nothing
            }
            let issued = clients.issue("me", Kind::P256, By::Intermediate, Flaw::None);
            let client = client(&scene.pki, version).showing(&issued);
            for resumed in [false, true, true] {
                assert_eq!(talk(&client, scene.daemon.address()), Ok(resumed), "{version:?}");
                let record = scene.daemon.completed();
                record.expect("client.subject", "CN=me,O=Test");
                assert_eq!(record.resumed(), resumed);
                assert_eq!(record.field("client.verified").as_bool(), Some(true));
            }
        }
    }
}

#[test]
fn a_chain_too_long_for_a_ticket_gives_a_full_handshake_each_time() {
    let (_echo, mut scene, clients) = demanding("required");
    let issued = clients.issue("long", Kind::P256, By::Ca, Flaw::Padded(9000));
    for version in VERSIONS {
        let client = client(&scene.pki, version).showing(&issued);
        for _ in 0..2 {
            assert_eq!(talk(&client, scene.daemon.address()), Ok(false), "{version:?}");
            scene.daemon.completed().expect("client.subject", "CN=long,O=Test");
        }
    }
}

#[test]
fn a_session_ends_with_the_certificate_of_its_client() {
    let (echo, clients, pki) = (Backend::echo(), ClientPki::new(), Pki::new());
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let demand = clients.line("required");
    let daemon = adjunct!().start(|at: [_; 2]| {
        let service = |name, at| Service::new(name, at, echo.address, &leaf).with(&demand);
        file(&[service("tickets", at[0]), service("cache", at[1]).with("tickets = 0")])
    });
    let life = Duration::from_secs(10);
    let issued = clients.issue("short", Kind::P256, By::Ca, Flaw::Ends(life));
    let end = SystemTime::now() + life;
    let cases = [(&TLS12, 0), (&TLS13, 0), (&TLS12, 1)];
    let clients = cases.map(|(version, port)| {
        let client = client(&pki, version).showing(&issued);
        let address = daemon.addresses[port];
        for resumed in [false, true] {
            assert_eq!(talk(&client, address), Ok(resumed), "{version:?} {port}");
        }
        (client, address)
    });
    let since = |moment: SystemTime| moment.duration_since(UNIX_EPOCH).unwrap().as_secs();
    wait_until("the certificate has ended", || since(SystemTime::now()) > since(end) + 1);
    for (client, address) in &clients {
        assert_eq!(talk(client, *address), Err(45), "a session outlived its certificate");
    }
    wait_until("it is logged", || daemon.log().contains("client-cert-expired"));
}

#[test]
fn a_ticket_carries_no_client_past_another_demand() {
    let (echo, pki) = (Backend::echo(), Pki::new());
    let ours = ClientPki::new();
    let stranger = ours.stranger();
    let theirs = format!("client_auth = {{ mode = \"required\", ca = {stranger:?} }}");
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let mut daemon = adjunct!().start(|at: [_; 4]| {
        let service = |name, at| Service::new(name, at, echo.address, &leaf);
        file(&[
            service("open", at[0]),
            service("optional", at[1]).with(&ours.line("optional")),
            service("required", at[2]).with(&ours.line("required")),
            service("other-ca", at[3]).with(&theirs),
        ])
    });
    let issued = ours.good("me", Kind::P256);
    for version in VERSIONS {
        // rustls files sessions by name alone: the ticket of one port is offered at the next.
        let named = client(&pki, version).showing(&issued);
        for (port, subject) in [(0, ""), (1, "CN=me,O=Test"), (2, "CN=me,O=Test")] {
            assert_eq!(talk(&named, daemon.addresses[port]), Ok(false), "{version:?} {port}");
            daemon.completed().expect("client.subject", subject);
        }
        assert_eq!(talk(&named, daemon.addresses[3]), Err(48), "a ticket passed another CA");
        daemon.record().expect("rule", "client-cert-untrusted");
        let nobody = client(&pki, version);
        let missing = if version.version == TLS12.version { 40 } else { 116 };
        assert_eq!(talk(&nobody, daemon.addresses[1]), Ok(false));
        daemon.completed();
        assert_eq!(talk(&nobody, daemon.addresses[2]), Err(missing), "a ticket passed a demand");
        daemon.record().expect("rule", "client-cert-missing");
    }
}
