//! Clients that are refused before a service serves them: what modes say of those.

use std::net::SocketAddr;

use adjunct_tests::adjunct;
use adjunct_tests::backend::Backend;
use adjunct_tests::config::{Service, file};
use adjunct_tests::hello::{AEAD, Hello, TLS11, TLS12, exchange};
use adjunct_tests::pki::{Kind, Leaf, Pki};
use adjunct_tests::record::Record;
use engine::compliance::{Mode, ModeSet, PolicySet};

use super::{in_modes, policy};

/// A refusal that no mode has caused, under these modes.
#[track_caller]
fn refused(record: &Record, rule: &str, policy: &PolicySet) {
    record.expect("outcome", "refused").expect("rule", rule).expect("mode.verdict", "refused");
    record.expect("mode.names", &policy.modes().to_string());
    record.expect("mode.policy", policy.short_hash());
    assert!(record.field("mode.rule").is_null(), "{}", record.0);
}

#[test]
fn a_client_refused_before_its_service_is_chosen_has_the_verdict_of_the_address() {
    let (pki, backend) = (Pki::new(), Backend::http());
    let leaf = pki.issue("both", &Leaf::new(Kind::P256, &["strict.test", "lax.test"]));
    let nist = ModeSet::from_iter([Mode::Nist800131a]);
    let strict = ModeSet::from_iter([Mode::Nist800131a, Mode::Fips1403]);
    let mut daemon = adjunct!().start(|[at]| {
        let service = |name: &str| {
            let service = Service::new(name, at, backend.address, &leaf);
            service.with(&format!("sni = \"{name}.test\"\nsni_required = true"))
        };
        let more = "mode = [\"fips-140-3\"]\naudit = [\"fips-140-2\"]";
        in_modes(&file(&[service("strict").with(more), service("lax")]), &nist)
    });
    let address: SocketAddr = daemon.address();
    let hello = |version: u16| Hello::of(version, AEAD);

    // It says which service it wants, so the modes of that one count, also the watched one.
    exchange(address, &hello(TLS11).to("strict.test").record()).is_fatal(70);
    let record = daemon.record();
    refused(&record, "protocol-too-old", &policy(&strict));
    let audit = &record.field("audit")[0];
    assert_eq!((&audit["mode"], &audit["verdict"]), (&"fips-140-2".into(), &"refused".into()));
    assert_eq!(audit["missing"], serde_json::json!(["protocol: offers TLSv1.1 at most"]));
    exchange(address, &hello(TLS11).to("lax.test").record()).is_fatal(70);
    refused(&daemon.record(), "protocol-too-old", &policy(&nist));

    // It wants none of them: what holds for all counts.
    exchange(address, &hello(TLS12).to("other.test").record()).is_fatal(112);
    refused(&daemon.record(), "unknown-sni", &policy(&nist));
    exchange(address, &hello(TLS12).record()).is_fatal(112);
    refused(&daemon.record(), "missing-sni", &policy(&nist));
    exchange(address, &hello(TLS12).with_a_lying_length()).is_fatal(50);
    refused(&daemon.record(), "undecodable-hello", &policy(&nist));

    // Nothing was asked for in TLS, so there is nothing to judge.
    drop(exchange(address, b"GET / HTTP/1.1\r\n\r\n"));
    let noise = daemon.record();
    noise.expect("outcome", "noise").expect("rule", "plain-http");
    assert!(noise.field("mode.verdict").is_null(), "{}", noise.0);
    daemon.stop();
}
