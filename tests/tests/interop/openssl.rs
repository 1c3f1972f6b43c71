//! `openssl s_client`: every suite, every classic group, resumption in both versions, server names.

use adjunct_tests::backend::{Backend, HTTP_BODY};
use adjunct_tests::client::REQUEST;
use adjunct_tests::client::openssl::{resumptions, s_client, s_client_command};
use adjunct_tests::config::{Service, file};
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::process::{Finished, Process, run};
use adjunct_tests::record::Record;
use adjunct_tests::scene::{self, NAME, Scene};
use adjunct_tests::{adjunct, need};

/// An HTTP service with an RSA and an EC certificate.
fn http() -> (Backend, Scene<1>) {
    let backend = Backend::http();
    let kinds = [Kind::Rsa2048, Kind::P256];
    let scene = scene::with_kinds(&adjunct!(), backend.address, &kinds, &[]);
    (backend, scene)
}

/// Runs a request with these options and asserts an answer and an orderly close.
#[track_caller]
fn request(scene: &Scene<1>, options: &[&str]) -> Finished {
    s_client(scene.daemon.address(), NAME, &scene.pki.bundle(), options, REQUEST)
        .success()
        .says(HTTP_BODY)
        .says("closed")
}

#[test]
fn tls_1_2_reconnects_are_resumed_as_both_sides_see_it() {
    let _ = need!("openssl");
    let (_backend, mut scene) = http();
    let done = request(&scene, &["-tls1_2", "-reconnect"]);
    assert_eq!(resumptions(&done), 5, "{}", done.output());
    let records: Vec<_> = (0..6).map(|_| scene.daemon.record()).collect();
    assert_eq!(records.iter().filter(|record| record.resumed()).count(), 5);
    assert!(records.iter().all(|record| record.version() == "TLSv1.2"));
    // The last one carries the request; the others are dropped as soon as they stand.
    let served = |r: &&Record| r.outcome() == "completed" && r.number("bytes_in") > 0;
    assert_eq!(records.iter().filter(served).count(), 1);
}

#[test]
fn tls_1_2_resumes_by_session_id_without_tickets() {
    let _ = need!("openssl");
    let (_backend, mut scene) = http();
    let done = request(&scene, &["-tls1_2", "-no_ticket", "-reconnect"]);
    assert_eq!(resumptions(&done), 5, "{}", done.output());
    let resumed = (0..6).filter(|_| scene.daemon.record().resumed()).count();
    assert_eq!(resumed, 5);
}

#[test]
fn tls_1_3_resumes_a_saved_session_as_both_sides_see_it() {
    let _ = need!("openssl");
    let (_backend, mut scene) = http();
    let session = scene.pki.path().join("session");
    let session = session.to_string_lossy().into_owned();
    let first = request(&scene, &["-tls1_3", "-sess_out", &session]);
    assert_eq!(resumptions(&first), 0);
    assert!(!scene.daemon.completed().resumed());
    let second = request(&scene, &["-tls1_3", "-sess_in", &session]);
    assert_eq!(resumptions(&second), 1, "{}", second.output());
    let record = scene.daemon.completed();
    assert!(record.resumed(), "{}", record.0);
    record.expect("tls.protocol.version", "TLSv1.3");
}

#[test]
fn every_offered_suite_completes_a_request() {
    let _ = need!("openssl");
    let (_backend, mut scene) = http();
    for (option, openssl, iana) in [
        ("-ciphersuites", "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
        ("-ciphersuites", "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
        ("-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
        ("-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        ("-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        (
            "-cipher",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ),
        ("-cipher", "ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
        ("-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        ("-cipher", "ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    ] {
        let version = if option == "-cipher" { "-tls1_2" } else { "-tls1_3" };
        let _ = request(&scene, &[version, option, openssl]);
        scene.daemon.completed().expect("tls.cipher", iana);
    }
}

#[test]
fn every_classic_group_completes_a_request_in_both_versions() {
    let _ = need!("openssl");
    let (_backend, mut scene) = http();
    for (openssl, iana) in [
        ("X25519", "x25519"),
        ("P-256", "secp256r1"),
        ("P-384", "secp384r1"),
        ("P-521", "secp521r1"),
    ] {
        for version in ["-tls1_2", "-tls1_3"] {
            // In TLS 1.2 the list also limits the curves of certificates: RSA is asked for.
            let mut options = vec![version, "-groups", openssl];
            if version == "-tls1_2" {
                options.extend(["-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]);
            }
            let _ = request(&scene, &options);
            scene.daemon.completed().expect("tls.curve", iana);
        }
    }
}

#[test]
fn two_server_names_on_one_address_reach_two_services() {
    let _ = need!("openssl");
    let (one, two) = (Backend::named("the first"), Backend::named("the second"));
    let pki = Pki::new();
    let first = pki.issue("first", &Leaf::new(Kind::Rsa2048, &["one.test"]));
    let second = pki.issue("second", &Leaf::new(Kind::P256, &["two.test"]));
    let mut daemon = adjunct!().start(|[at]| {
        file(&[
            Service::new("first", at, one.address, &first).with("sni = \"one.test\""),
            Service::new("second", at, two.address, &second).with("sni = \"two.test\""),
        ])
    });
    for (name, greeting, service, backend) in
        [("one.test", "the first", "first", &one), ("two.test", "the second", "second", &two)]
    {
        let mut client = Process::start(&mut s_client_command(
            daemon.address(),
            name,
            &pki.bundle(),
            &["-no_ign_eof"],
        ));
        client.send(b"hello\n");
        // The greeting of the right backend, and then our own line sent back.
        let echoed = |text: &str| text.contains(&format!("{greeting}\nhello\n")).then_some(());
        assert!(client.stdout.wait(echoed).is_some(), "{}", client.stdout.text());
        client.send(b"Q\n"); // ends the session with close_notify
        let _ = client.finish().success();
        let record = daemon.completed();
        record.expect("service", service).expect("sni", name);
        record.expect("backend", &backend.address.to_string());
    }
}

#[test]
fn an_old_openssl_client_is_refused_with_protocol_version() {
    let _ = need!("openssl");
    let (_backend, mut scene) = http();
    let done = s_client(
        scene.daemon.address(),
        NAME,
        &scene.pki.bundle(),
        &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        REQUEST,
    );
    assert_ne!(done.code, Some(0));
    let _ = done.says("alert protocol version");
    scene.daemon.record().expect("rule", "protocol-too-old");
}

#[test]
fn names_of_suites_are_those_of_openssl() {
    let openssl = need!("openssl");
    let mut command = std::process::Command::new(openssl);
    let _ = command.args(["ciphers", "-V", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]);
    let listed = run(&mut command, b"").success();
    let mut compared = 0;
    // "          0xC0,0x2F - ECDHE-RSA-AES128-GCM-SHA256    TLSv1.2 Kx=ECDH ..."
    for line in listed.stdout.lines() {
        let mut words = line.split_whitespace();
        let code = words.next().unwrap_or_default().replace("0x", "").replace(',', "");
        let Ok(code) = u16::from_str_radix(&code, 16) else { continue };
        let Some(cipher) = engine::ciphers::by_code(code) else { continue };
        assert_eq!(cipher.openssl, words.nth(1), "{line}");
        compared += 1;
    }
    assert!(compared >= 25, "{compared} in\n{}", listed.stdout);
}
