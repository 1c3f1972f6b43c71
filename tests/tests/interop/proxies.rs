//! haproxy and nginx in front of the daemon and behind it: the client's address arrives.
//!
//! Each front sends its header to the daemon, which sends one of its own to the service behind; so
//! what the service says has gone through a writer and a reader that others wrote.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use adjunct_tests::backend::Backend;
use adjunct_tests::client::REQUEST;
use adjunct_tests::client::stock::Client;
use adjunct_tests::proxies::{self, NGINX_STREAM, Proxy};
use adjunct_tests::scene::{self, NAME, Scene};
use adjunct_tests::{adjunct, need, skip};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Trust in whoever is on this machine, and a header of `version` to the backend.
fn trusting(version: &str) -> [String; 2] {
    ["accept_proxy = [\"127.0.0.0/8\"]".to_owned(), format!("proxy_protocol = \"{version}\"")]
}

/// Talks through `front` to a service that says who the client is, and compares. A service that is
/// not asked says it by itself.
fn addresses_arrive(
    front: impl Fn(SocketAddr) -> Proxy,
    behind: &Proxy,
    version: &str,
    request: Option<&str>,
) {
    let lines = trusting(version);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), behind.address, &lines);
    let front = front(daemon.address());
    let tls = Client::new(&pki).connect(front.address, NAME).unwrap();
    let client = tls.socket().local_addr().unwrap();
    let answer = match request {
        Some(request) => tls.talk(request.as_bytes()),
        None => tls.read_to_close(),
    };
    let answer = answer.unwrap_or_else(|error| panic!("{version}: {error}\n{}", behind.errors()));
    let answer = String::from_utf8(answer).unwrap();
    let _ = tls.end();
    let named = format!("{}:{}", client.ip(), client.port());
    assert!(answer.contains(&named), "{named} in {answer}\n{}", front.errors());
    let record = daemon.completed();
    record.expect("peer", &client.to_string());
    assert!(record.text("proxied_by").starts_with("127.0.0.1:"), "{}", record.to_text());
}

#[test]
fn addresses_arrive_through_haproxy_in_front_and_behind() {
    let _ = need!("haproxy");
    let behind = proxies::haproxy_behind("%[src]:%[src_port]");
    for option in ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"] {
        for (ip, version) in [(V4, "v1"), (V4, "v2"), (V6, "v1"), (V6, "v2")] {
            addresses_arrive(
                |to| proxies::haproxy_in_front(ip, to, option),
                &behind,
                version,
                Some(REQUEST),
            );
        }
    }
}

#[test]
fn haproxy_behind_reads_the_values_of_version_2() {
    let _ = need!("haproxy");
    let behind = proxies::haproxy_behind("[%[fc_pp_authority]] [%[fc_pp_unique_id]]");
    let Scene { mut daemon, pki } =
        scene::one(&adjunct!(), behind.address, &["proxy_protocol = \"v2\""]);
    let tls = Client::new(&pki).connect(daemon.address(), NAME).unwrap();
    let answer = String::from_utf8(tls.talk(REQUEST.as_bytes()).unwrap()).unwrap();
    let number = daemon.completed().number("conn_id");
    assert!(answer.contains(&format!("[{NAME}] [{number}]")), "{answer}");
}

#[test]
fn addresses_arrive_through_nginx_in_front_and_behind() {
    let _ = need!("nginx");
    if !Path::new(NGINX_STREAM).exists() {
        skip!("nginx has no stream module");
    }
    let behind = proxies::nginx_behind();
    // nginx 1.22 reads headers up to 107 bytes, which ours of version 2 exceed by their values.
    for ip in [V4, V6] {
        addresses_arrive(|to| proxies::nginx_in_front(ip, to), &behind, "v1", None);
    }
}

#[test]
fn a_proxy_that_is_not_trusted_is_refused() {
    let _ = need!("haproxy");
    let backend = Backend::echo();
    let trust = "accept_proxy = [\"192.0.2.0/24\"]";
    let Scene { mut daemon, pki } = scene::one(&adjunct!(), backend.address, &[trust]);
    for option in ["send-proxy", "send-proxy-v2"] {
        let front = proxies::haproxy_in_front(V4, daemon.address(), option);
        assert!(Client::new(&pki).connect(front.address, NAME).is_err());
        daemon.record().expect("rule", "proxy-header").explains("accept_proxy");
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn health_checks_of_haproxy_are_quiet_and_reach_no_backend() {
    let _ = need!("haproxy");
    let backend = Backend::echo();
    let trust = "accept_proxy = [\"127.0.0.1\"]";
    let Scene { mut daemon, .. } = scene::one(&adjunct!(), backend.address, &[trust]);
    let option = "check inter 200ms send-proxy-v2 check-send-proxy";
    let _front = proxies::haproxy_in_front(V4, daemon.address(), option);
    for _ in 0..2 {
        let record = daemon.record();
        assert_eq!(record.text("level"), "debug", "{}", record.to_text());
        assert_eq!(record.outcome(), "abandoned");
    }
    assert_eq!(backend.connections(), 0);
}
