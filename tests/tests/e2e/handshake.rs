//! Full and resumed handshakes: what is agreed, who signs, and what the record says of it.

use adjunct_tests::adjunct;
use adjunct_tests::backend::Backend;
use adjunct_tests::client::crafted::Crafted;
use adjunct_tests::client::stock::{Client, Offer};
use adjunct_tests::config::{Service, file};
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::scene::{self, NAME, Scene};
use rustls::ContentType;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::version::{TLS12, TLS13};

/// First byte of the message (RFC 8446 §4).
const NEW_SESSION_TICKET: u8 = 4;

fn only(version: &'static rustls::SupportedProtocolVersion) -> Offer {
    Offer { versions: vec![version], ..Offer::default() }
}

#[test]
fn every_kind_of_key_signs_on_a_card_in_both_versions() {
    every_kind_signs("[route]\necdsa = \"cex\"\n", |_| "cex");
}

#[test]
fn p256_signs_in_cpacf_by_default_and_every_other_kind_on_a_card() {
    every_kind_signs("", |kind| if kind == Kind::P256 { "cpacf" } else { "cex" });
}

#[test]
fn every_curve_signs_in_cpacf_where_the_route_says_so() {
    let path = |kind: Kind| if kind.is_rsa() { "cex" } else { "cpacf" };
    every_kind_signs("[route]\necdsa = \"cpacf\"\n", path);
}

/// Each kind of key takes its path with both versions.
fn every_kind_signs(route: &str, path: impl Fn(Kind) -> &'static str) {
    let echo = Backend::echo();
    let pki = Pki::new();
    let leaves = Kind::ALL.map(|kind| pki.issue(&format!("{kind:?}"), &Leaf::new(kind, &[NAME])));
    let mut daemon = adjunct!().start(|at: [_; 6]| {
        let service = |n: usize| Service::new(&format!("s{n}"), at[n], echo.address, &leaves[n]);
        file(&[0, 1, 2, 3, 4, 5].map(service)) + route
    });
    for (n, kind) in Kind::ALL.into_iter().enumerate() {
        for (version, word) in [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3")] {
            let client = Client::offering(&pki, only(version));
            let tls = client.connect(daemon.addresses[n], NAME).unwrap();
            assert_eq!(tls.talk(b"hello").unwrap(), b"hello", "{kind:?} {word}");
            let record = daemon.completed();
            record.expect("tls.protocol.version", word).expect("crypto_path", path(kind));
            let scheme = if kind.is_rsa() { "rsa_p" } else { "ecdsa_" };
            assert!(record.text("tls.signature_scheme").starts_with(scheme), "{}", record.0);
            if path(kind) == "cex" {
                assert!(record.text("key_op.apqn").contains('.'), "{}", record.0);
            }
            assert_eq!((record.number("bytes_in"), record.number("bytes_out")), (5, 5));
        }
    }
    daemon.stop();
}

#[test]
fn the_hybrid_group_is_taken_when_the_client_prefers_it() {
    let echo = Backend::echo();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), echo.address, &[]);
    // The order of the client decides; rustls puts the hybrid last unless told otherwise, and then
    // sends a share for it and one for its classic half.
    let groups = vec![kx_group::X25519MLKEM768, kx_group::X25519];
    let client = Client::offering(&pki, Offer { groups, ..Offer::default() });
    let tls = client.connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.group(), "X25519MLKEM768");
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    daemon.completed().expect("tls.curve", "X25519MLKEM768");
    let groups = vec![kx_group::SECP256R1MLKEM768, kx_group::SECP256R1];
    let client = Client::offering(&pki, Offer { groups, ..Offer::default() });
    let tls = client.connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.group(), "secp256r1MLKEM768", "as rustls spells it");
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    daemon.completed().expect("tls.curve", "SecP256r1MLKEM768");
}

#[test]
fn every_group_works_alone_and_after_a_hello_retry() {
    let echo = Backend::echo();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), echo.address, &[]);
    for (group, name) in [
        (kx_group::X25519MLKEM768, "X25519MLKEM768"),
        (kx_group::SECP256R1MLKEM768, "SecP256r1MLKEM768"),
        (kx_group::X25519, "x25519"),
        (kx_group::SECP256R1, "secp256r1"),
        (kx_group::SECP384R1, "secp384r1"),
    ] {
        let client = Client::offering(&pki, Offer { groups: vec![group], ..Offer::default() });
        let tls = client.connect(daemon.address(), NAME).unwrap();
        assert_eq!(tls.talk(b"hello").unwrap(), b"hello", "{name}");
        daemon.completed().expect("tls.curve", name);
    }
    let Scene { mut daemon, pki } =
        scene::one(&adjunct!(), echo.address, &["groups = [\"secp384r1\"]"]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    daemon.completed().expect("tls.curve", "secp384r1");
    let hybrid = ["versions = [\"1.3\"]", "groups = [\"SecP256r1MLKEM768\"]"];
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), echo.address, &hybrid);
    let groups = vec![kx_group::X25519, kx_group::SECP256R1MLKEM768];
    let client = Client::offering(&pki, Offer { groups, ..Offer::default() });
    let tls = client.connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    daemon.completed().expect("tls.curve", "SecP256r1MLKEM768");
}

#[test]
fn a_second_connection_is_resumed_without_a_card_in_both_versions() {
    let echo = Backend::echo();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), echo.address, &[]);
    for version in [&TLS12, &TLS13] {
        let client = Client::offering(&pki, only(version));
        for resumed in [false, true, true] {
            let tls = client.connect(daemon.address(), NAME).unwrap();
            assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
            assert_eq!(tls.is_resumed(), resumed, "{version:?}");
            let record = daemon.completed();
            assert_eq!(record.resumed(), resumed, "{}", record.0);
            assert_eq!(record.field("key_op").is_null(), resumed, "{}", record.0);
        }
    }
}

#[test]
fn a_service_without_tickets_and_cache_resumes_nothing() {
    let echo = Backend::echo();
    let lines = ["tickets = 0", "session_cache = 0", "versions = [\"1.3\"]"];
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), echo.address, &lines);
    let client = Client::new(&pki);
    for _ in 0..2 {
        let tls = client.connect(daemon.address(), NAME).unwrap();
        assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
        assert!(tls.is_full() && !daemon.completed().resumed());
    }
}

#[test]
fn tickets_come_although_nobody_speaks() {
    let echo = Backend::echo();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), echo.address, &["tickets = 1"]);
    let client = Client::offering(&pki, only(&TLS13));
    let mut client = Crafted::connect(&client, daemon.address(), NAME);
    let (kind, contents) = client.receive().unwrap().unwrap();
    assert_eq!((kind, contents[0]), (ContentType::Handshake, NEW_SESSION_TICKET));
    client.send(ContentType::Alert, &[1, 0]).unwrap();
    daemon.completed();
}

#[test]
fn a_ticket_of_one_service_gives_a_full_handshake_at_another() {
    let echo = Backend::echo();
    let pki = Pki::new();
    let leaf = pki.issue("leaf", &Leaf::new(Kind::P256, &[NAME]));
    let mut daemon = adjunct!().start(|at: [_; 2]| {
        file(&[
            Service::new("a", at[0], echo.address, &leaf),
            Service::new("b", at[1], echo.address, &leaf),
        ])
    });
    for version in [&TLS12, &TLS13] {
        // rustls files sessions by name alone: the ticket of one port is offered at the other.
        let client = Client::offering(&pki, only(version));
        for (service, port, resumed) in [("a", 0, false), ("b", 1, false), ("b", 1, true)] {
            let tls = client.connect(daemon.addresses[port], NAME).unwrap();
            assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
            assert_eq!(tls.is_resumed(), resumed, "{service} {version:?}");
            let record = daemon.completed();
            assert_eq!((record.service(), record.resumed()), (service, resumed));
        }
    }
}

#[test]
fn twenty_clients_at_once_are_all_served() {
    let echo = Backend::echo();
    let Scene { mut daemon, pki } =
        scene::with_kinds(&adjunct!(), echo.address, &[Kind::Rsa2048], &[]);
    let address = daemon.address();
    std::thread::scope(|scope| {
        for n in 0..20_u8 {
            let client = Client::new(&pki);
            scope.spawn(move || {
                let tls = client.connect(address, NAME).unwrap();
                assert_eq!(tls.talk(&[n; 100]).unwrap(), [n; 100]);
            });
        }
    });
    let mut ids: Vec<u64> = (0..20).map(|_| daemon.completed().number("conn_id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20, "each connection leaves a record of its own");
    daemon.stop();
}
