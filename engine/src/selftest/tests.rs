//! The self-test finds what it is for; its two ends in memory serve other tests, too.

use std::time::SystemTime;

use cpacf::Function;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use super::*;
use crate::certs;
use crate::crypto::CryptoConfig;
use crate::service::ServiceSpec;
use crate::tickets::TicketRing;

fn calls(function: Function) -> u64 {
    let rows = cpacf::stats::snapshot();
    rows.iter().find(|row| row.function == function).map_or(0, |row| row.calls)
}

/// A service with a certificate of its own (P-256), which asks clients for `client_auth`.
fn a_service(crypto: &Crypto, client_auth: fn(&str) -> ClientAuth) -> Arc<Service> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let key_pem = key.serialize_pem();
    let now = SystemTime::now();
    let leaf = certs::load(crypto, "a", pem.as_bytes(), key_pem.as_bytes(), now).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap().pem();
    let spec = ServiceSpec {
        name: "a".to_owned(),
        sni: Vec::new(),
        sni_required: false,
        certificates: vec![leaf],
        client_auth: client_auth(&ca),
        alpn: Vec::new(),
        tls12: true,
        tls13: true,
        suites: Vec::new(),
        groups: Vec::new(),
        tickets: 2,
        session_cache: 16,
        session_lifetime: PATIENCE,
        modes: crate::compliance::ModeSet::default(),
        audit: crate::compliance::ModeSet::default(),
    };
    let ring = TicketRing::new(PATIENCE, PATIENCE, Instant::now()).unwrap();
    Service::new(spec, &ring).unwrap()
}

/// Runs `test` on a client and a server that have made their handshake, as a self-test makes it.
pub(crate) fn with_established(
    tls13: bool,
    test: impl FnOnce(&Member, ClientConnection, Connection),
) {
    let crypto = Crypto::start(&CryptoConfig::default()).unwrap();
    let service = a_service(&crypto, |_| ClientAuth::None);
    let (member, woken) = a_member(&crypto, &Execution::Fiber);
    let schemes = schemes(service.certificates()[0].kind);
    let probe = Probe::for_self_test(tls13, None, schemes, None).unwrap();
    let handshake = Handshake { member: &member, woken: &woken, service: &service };
    let (client, server) = handshake.run(&probe).unwrap();
    assert!(server.is_established());
    test(&member, client, server);
    crypto.shutdown();
}

#[test]
fn a_service_that_asks_for_certificates_passes_its_self_test() {
    let crypto = Crypto::start(&CryptoConfig::default()).unwrap();
    let service = a_service(&crypto, |ca| {
        let roots = certs::load_authorities(ca.as_bytes(), SystemTime::now()).unwrap();
        ClientAuth::Required { roots, revoked: None }
    });
    let verified = [Function::RsaPssVerify, Function::KdsaEcdsaVerifyP521];
    let before = verified.map(calls);
    let mut tested = Tested::default();
    let found = handshakes(&crypto, &Execution::Fiber, &service, &mut tested).unwrap();
    let ordinary = crate::provider::available_groups().len() + 1;
    assert_eq!(found.handshakes, ordinary + 2 * client::CHAINS.len());
    assert!(found.bytes_max > 0 && found.bytes_max <= STACK_BYTES / 2, "{found:?}");
    for (function, before) in verified.into_iter().zip(before) {
        assert!(calls(function) > before, "{function:?} was not counted");
    }
    assert_eq!(
        handshakes(&crypto, &Execution::Fiber, &service, &mut tested).unwrap(),
        StackUse::default()
    );
    crypto.shutdown();
}

#[test]
fn a_handshake_that_needs_more_stack_than_allowed_is_refused() {
    let crypto = Crypto::start(&CryptoConfig::default()).unwrap();
    let service = a_service(&crypto, |_| ClientAuth::None);
    let within = |stack_max| {
        let tested = &mut Tested::default();
        handshakes_within(stack_max, &crypto, &Execution::Fiber, &service, tested)
    };
    let used = within(STACK_BYTES / 2).unwrap().bytes_max;
    // Another run may go some calls deeper, but not to twice the depth, and not half as deep.
    assert!(within(2 * used).is_ok());
    let refused = within(used / 2).unwrap_err();
    assert!(matches!(&refused, Error::StackSelfTest { .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("service `a`") && text.contains("bytes of stack"), "{text}");
    crypto.shutdown();
}
