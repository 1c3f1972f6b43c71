//! Which service, which certificate, which application protocol.

use adjunct_tests::backend::Backend;
use adjunct_tests::client::openssl::s_client;
use adjunct_tests::client::stock::{Client, Offer};
use adjunct_tests::config::{Service, file};
use adjunct_tests::hello::{AEAD, Hello, SERVER_HELLO, TLS12, answer, exchange};
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::scene::{self, NAME, Scene};
use adjunct_tests::{adjunct, need};

#[test]
fn two_names_on_one_address_are_two_services() {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let pki = Pki::new();
    let first = pki.issue("first", &Leaf::new(Kind::P256, &["one.test"]));
    let second = pki.issue("second", &Leaf::new(Kind::Rsa2048, &["two.test", "*.two.test"]));
    let mut daemon = adjunct!().start(|[at]| {
        file(&[
            Service::new("first", at, one.address, &first).with("sni = [\"one.test\"]"),
            Service::new("second", at, two.address, &second)
                .with("sni = [\"two.test\", \"*.two.test\"]"),
        ])
    });
    for (name, service, greeting) in [
        ("one.test", "first", "one\n"),
        ("two.test", "second", "two\n"),
        ("x.two.test", "second", "two\n"),
        ("ONE.test", "first", "one\n"),
    ] {
        let tls = Client::new(&pki).connect(daemon.address(), name).unwrap();
        assert_eq!(tls.talk(b"").unwrap(), greeting.as_bytes(), "{name}");
        daemon.completed().expect("service", service);
    }
}

#[test]
fn an_unknown_name_gets_the_default_certificate_unless_a_name_is_required() {
    let echo = Backend::echo();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), echo.address, &[]);
    let hello = Hello::of(TLS12, AEAD).to("unknown.test");
    assert_eq!(answer(daemon.address(), &hello.record()), Some(SERVER_HELLO));
    // A verifying client refuses the certificate, and the record names its alert.
    assert!(Client::new(&pki).connect(daemon.address(), "unknown.test").is_err());
    let refused = [daemon.record(), daemon.record()]
        .into_iter()
        .find(|record| record.number("alert_received") != 0);
    assert!(refused.is_some(), "{}", daemon.log());

    let Scene { mut daemon, .. } = scene::one(&adjunct!(), echo.address, &["sni = \"required\""]);
    exchange(daemon.address(), &hello.record()).is_fatal(112);
    daemon.record().expect("outcome", "refused").expect("rule", "unknown-sni");
    exchange(daemon.address(), &Hello::of(TLS12, AEAD).record()).is_fatal(112);
    daemon.record().expect("outcome", "refused").expect("rule", "missing-sni");
}

#[test]
fn the_certificate_is_one_that_the_client_can_verify() {
    let _ = need!("openssl");
    let http = Backend::http();
    let kinds = [Kind::Rsa2048, Kind::P256];
    let Scene { mut daemon, pki } = scene::with_kinds(&adjunct!(), http.address, &kinds, &[]);
    for version in ["-tls1_2", "-tls1_3"] {
        for (schemes, prefix) in
            [("rsa_pss_rsae_sha256:RSA+SHA256", "rsa_p"), ("ECDSA+SHA256", "ecdsa_")]
        {
            let done = s_client(
                daemon.address(),
                NAME,
                &pki.bundle(),
                &[version, "-sigalgs", schemes],
                adjunct_tests::client::REQUEST,
            );
            let _ = done.success();
            let record = daemon.completed();
            let scheme = record.text("tls.signature_scheme");
            assert!(scheme.starts_with(prefix), "{version} {schemes}: {scheme}");
        }
    }
}

#[test]
fn an_application_protocol_is_agreed_or_refused() {
    let echo = Backend::echo();
    let Scene { mut daemon, pki } =
        scene::one(&adjunct!(), echo.address, &["alpn = [\"tn3270\", \"mqtt\"]"]);
    let offering = |names: &[&str]| {
        let alpn = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        Client::offering(&pki, Offer { alpn, ..Offer::default() })
    };
    let tls = offering(&["x", "mqtt"]).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.alpn().as_deref(), Some(&b"mqtt"[..]));
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    daemon.completed().expect("alpn", "mqtt");
    // A client that knows nothing of ALPN is served.
    let tls = offering(&[]).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    assert_eq!(daemon.completed().text("alpn"), "");
    assert!(offering(&["x"]).connect(daemon.address(), NAME).is_err());
    let record = daemon.record();
    record.expect("outcome", "refused").expect("rule", "alpn-mismatch");
    assert_eq!(record.alert_sent(), Some(120));
}

#[test]
fn a_certificate_without_a_suite_of_the_service_is_not_chosen() {
    let echo = Backend::echo();
    let lines = ["versions = [\"1.2\"]", "suites = [\"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\"]"];
    // The client could verify either; ECDSA is preferred wherever a suite allows it.
    let kinds = [Kind::P256, Kind::Rsa2048];
    let Scene { mut daemon, pki } = scene::with_kinds(&adjunct!(), echo.address, &kinds, &lines);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    daemon.completed().expect("tls.cipher", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
}

#[test]
fn a_service_limited_by_each_spelling_serves_the_same_suite() {
    let echo = Backend::echo();
    for text in [
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE_ECDSA_AES_256_GCM_SHA384",
        "C02C",
    ] {
        let suites = format!("suites = [\"{text}\"]");
        let lines = ["versions = [\"TLSV1_2\"]", suites.as_str()];
        let Scene { mut daemon, pki } = scene::one(&adjunct!(), echo.address, &lines);
        let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
        assert_eq!(tls.talk(b"hello").unwrap(), b"hello", "{text}");
        daemon.completed().expect("tls.cipher", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
        daemon.stop();
    }
}

#[test]
fn what_is_exempt_is_not_negotiated_whoever_enables_it() {
    let echo = Backend::echo();
    // The client of rustls likes TLS_AES_256_GCM_SHA384 best; the order of the service decides.
    let lines = ["suites = [\"1302\", \"C02C\"]", "enable = [\"1301\"]", "exempt = [\"1302\"]"];
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), echo.address, &lines);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    assert_eq!(tls.talk(b"hello").unwrap(), b"hello");
    daemon.completed().expect("tls.cipher", "TLS_AES_128_GCM_SHA256");
}
