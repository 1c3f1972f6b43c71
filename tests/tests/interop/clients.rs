//! curl, Python, GnuTLS, Node: a request and an orderly close, over TLS 1.2 and 1.3.

use adjunct_tests::backend::{Backend, HTTP_BODY};
use adjunct_tests::client::{REQUEST, curl, gnutls, node, python};
use adjunct_tests::pki::Kind;
use adjunct_tests::scene::{self, NAME, Scene};
use adjunct_tests::{adjunct, need};

fn in_front_of(backend: &Backend) -> Scene<1> {
    scene::with_kinds(&adjunct!(), backend.address, &[Kind::Rsa2048, Kind::P256], &[])
}

#[test]
fn curl_gets_a_page_that_ends_with_the_connection() {
    let _ = need!("curl");
    let http = Backend::http();
    let Scene { mut daemon, pki } = in_front_of(&http);
    for (options, version) in [
        (&["--tls-max", "1.2"][..], "TLSv1.2"),
        (&["--tlsv1.3"], "TLSv1.3"),
        (&["--tlsv1.3", "--http1.0"], "TLSv1.3"),
    ] {
        let done = curl::get(daemon.address(), NAME, &pki.bundle(), options).success();
        assert_eq!(done.stdout, HTTP_BODY);
        daemon.completed().expect("tls.protocol.version", version).expect("sni", NAME);
    }
}

#[test]
fn python_talks_to_a_web_and_to_an_echo_service() {
    let _ = need!("python3");
    let (http, echo) = (Backend::http(), Backend::named("hello from behind"));
    let Scene { mut daemon, pki } = in_front_of(&http);
    let done = python::talk(daemon.address(), NAME, &pki.bundle(), REQUEST).success();
    let _ = done.says(HTTP_BODY).says("closed in order");
    daemon.completed();
    let Scene { mut daemon, pki } = in_front_of(&echo);
    // Python cannot half-close: the greeting is what it can be sure to get before it leaves.
    let lines = "import socket, ssl, sys\n\
        context = ssl.create_default_context(cafile=sys.argv[3])\n\
        raw = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=50)\n\
        tls = context.wrap_socket(raw, server_hostname='a.test')\n\
        tls.sendall(b'ping\\n')\n\
        got = tls.makefile('rb')\n\
        print(got.readline(), got.readline())\n\
        tls.unwrap()\n\
        print('closed in order')\n";
    let address = daemon.address();
    let mut command = std::process::Command::new("python3");
    command.args(["-c", lines, &address.ip().to_string(), &address.port().to_string()]);
    let done = adjunct_tests::process::run(command.arg(pki.bundle()), b"").success();
    let _ = done.says("hello from behind").says("ping").says("closed in order");
    daemon.completed();
}

#[test]
fn gnutls_completes_a_request_and_an_orderly_close() {
    let program = need!("gnutls-cli");
    let http = Backend::http();
    let Scene { mut daemon, pki } = in_front_of(&http);
    for (priority, version) in
        [("NORMAL:-VERS-ALL:+VERS-TLS1.2", "TLSv1.2"), ("NORMAL:-VERS-ALL:+VERS-TLS1.3", "TLSv1.3")]
    {
        let address = daemon.address();
        let done = gnutls::talk(&program, address, NAME, &pki.bundle(), priority, REQUEST);
        let _ = done.success().says(HTTP_BODY).says(gnutls::CLOSED);
        daemon.completed().expect("tls.protocol.version", version);
    }
}

#[test]
fn node_completes_a_request_and_an_orderly_close() {
    let program = need!("node");
    let (http, named) = (Backend::http(), Backend::closes_first());
    let Scene { mut daemon, pki } = in_front_of(&http);
    let done = node::talk(&program, daemon.address(), NAME, &pki.bundle(), REQUEST).success();
    let _ = done.says(HTTP_BODY).says("ended");
    daemon.completed().expect("tls.protocol.version", "TLSv1.3");
    let Scene { mut daemon, pki } = in_front_of(&named);
    let done = node::talk(&program, daemon.address(), NAME, &pki.bundle(), "ping").success();
    let _ = done.says("goodbye").says("ended");
    daemon.completed();
}
