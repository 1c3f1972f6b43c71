//! Client certificates as openssl, curl, Python and Java show them: the right one, none, and wrong
//! ones, over TLS 1.2 and 1.3. Each refused client names the alert it got.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use adjunct_tests::backend::{Backend, HTTP_BODY};
use adjunct_tests::client::openssl::{resumptions, s_client};
use adjunct_tests::client::{REQUEST, curl, java};
use adjunct_tests::client_pki::{By, ClientPki, Flaw};
use adjunct_tests::config::{Service, file};
use adjunct_tests::pki::{Issued, Kind, Leaf, Pki};
use adjunct_tests::process::{Finished, run};
use adjunct_tests::scene::{self, NAME, Scene};
use adjunct_tests::{adjunct, need};

const REQUIRED: &str = "required";
const VERSIONS: [&str; 2] = ["TLSv1.2", "TLSv1.3"];

/// An HTTP service behind a demand for certificates.
struct Door {
    _http: Backend,
    scene: Scene<1>,
    clients: ClientPki,
}

impl Door {
    fn new(mode: &str) -> Self {
        let (http, clients) = (Backend::http(), ClientPki::new());
        let kinds = [Kind::Rsa2048, Kind::P256];
        let lines = [clients.line(mode)];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let scene = scene::with_kinds(&adjunct!(), http.address, &kinds, &lines);
        Self { _http: http, scene, clients }
    }

    fn address(&self) -> SocketAddr {
        self.scene.daemon.address()
    }

    /// Asserts that the client in `done` was served as `CN=label`.
    #[track_caller]
    fn served(&mut self, done: Finished, version: &str, label: &str) {
        let _ = done.success().says(HTTP_BODY);
        let record = self.scene.daemon.completed();
        let subject = if label.is_empty() { String::new() } else { format!("CN={label},O=Test") };
        record.expect("client.subject", &subject).expect("tls.protocol.version", version);
    }

    /// Asserts that the client in `done` was refused by `rule`, and that it says one of `words`.
    #[track_caller]
    fn refused(&mut self, done: &Finished, rule: &str, words: &[&str]) {
        assert_ne!(done.code, Some(0), "{rule}: {}", done.output());
        let said = done.output().to_lowercase();
        assert!(words.iter().any(|word| said.contains(word)), "{words:?}: {said}");
        let record = self.scene.daemon.record();
        record.expect("outcome", "refused").expect("rule", rule);
    }
}

/// Wrong certificates, the rule of each, and what clients call the alert.
const WRONG: [(By, Flaw, &str, &[&str]); 5] = [
    (By::Stranger, Flaw::None, "client-cert-untrusted", &["unknown ca", "unknown_ca"]),
    (By::Itself, Flaw::None, "client-cert-self-signed", &["unknown ca", "unknown_ca"]),
    (By::Ca, Flaw::Expired, "client-cert-expired", EXPIRED),
    (By::Ca, Flaw::NotYetValid, "client-cert-not-yet-valid", EXPIRED),
    (
        By::Impostor,
        Flaw::None,
        "client-cert-bad-signature",
        &["bad certificate", "bad_certificate"],
    ),
];
/// curl has one sentence of its own for everything with "certificate expired" in it.
const EXPIRED: &[&str] =
    &["certificate expired", "certificate_expired", "ssl certificate verification failed"];
/// TLS 1.2 has no word for it.
const MISSING: [&[&str]; 2] = [
    &["handshake failure", "handshake_failure"],
    &["certificate required", "certificate_required"],
];

/// Shows a client all kinds of demands: `ask` runs it with a version and a certificate.
fn every_case(ask: impl Fn(&Door, &str, Option<&Issued>) -> Finished) {
    let mut door = Door::new(REQUIRED);
    for (kind, by) in
        [(Kind::Rsa2048, By::Ca), (Kind::P256, By::Ca), (Kind::P256, By::Intermediate)]
    {
        let right = door.clients.issue("right", kind, by, Flaw::None);
        for version in VERSIONS {
            let done = ask(&door, version, Some(&right));
            door.served(done, version, "right");
        }
    }
    for (by, flaw, rule, words) in WRONG {
        let wrong = door.clients.issue("wrong", Kind::P256, by, flaw);
        for version in VERSIONS {
            let done = ask(&door, version, Some(&wrong));
            door.refused(&done, rule, words);
        }
    }
    for (version, words) in VERSIONS.into_iter().zip(MISSING) {
        let done = ask(&door, version, None);
        door.refused(&done, "client-cert-missing", words);
    }
    let mut door = Door::new("optional");
    for version in VERSIONS {
        let done = ask(&door, version, None);
        door.served(done, version, "");
    }
}

#[test]
fn openssl_shows_its_certificate_and_is_told_what_is_wrong_with_it() {
    let _ = need!("openssl");
    every_case(|door, version, shown| {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let mut options = vec![if version == "TLSv1.2" { "-tls1_2" } else { "-tls1_3" }.to_owned()];
        if let Some(Issued { cert, key }) = shown {
            let (cert, key) = (path(cert), path(key));
            let chain = ["-cert_chain".to_owned(), cert.clone()];
            options.extend(["-cert".to_owned(), cert, "-key".to_owned(), key]);
            options.extend(chain);
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        s_client(door.address(), NAME, &door.scene.pki.bundle(), &options, REQUEST)
    });
}

#[test]
fn curl_shows_its_certificate_and_is_told_what_is_wrong_with_it() {
    let _ = need!("curl");
    every_case(|door, version, shown| {
        let number = version.trim_start_matches("TLSv");
        let (lowest, path) = (format!("--tlsv{number}"), |path: &Path| path.display().to_string());
        let mut options = vec![lowest, "--tls-max".to_owned(), number.to_owned()];
        if let Some(Issued { cert, key }) = shown {
            options.extend(["--cert".to_owned(), path(cert), "--key".to_owned(), path(key)]);
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        curl::get(door.address(), NAME, &door.scene.pki.bundle(), &options)
    });
}

const PYTHON: &str = r#"
import socket, ssl, sys
host, port, name, roots, version = sys.argv[1:6]
context = ssl.create_default_context(cafile=roots)
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
if len(sys.argv) > 6:
    context.load_cert_chain(sys.argv[6], sys.argv[7])
raw = socket.create_connection((host, int(port)), timeout=50)
with context.wrap_socket(raw, server_hostname=name, suppress_ragged_eofs=False) as tls:
    tls.sendall(sys.stdin.buffer.read())
    while piece := tls.recv(4096):
        print(piece.decode())
"#;

#[test]
fn python_shows_its_certificate_and_is_told_what_is_wrong_with_it() {
    let _ = need!("python3");
    every_case(|door, version, shown| {
        let address = door.address();
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON, &address.ip().to_string(), &address.port().to_string(), NAME]);
        command.arg(door.scene.pki.bundle());
        command.arg(if version == "TLSv1.2" { "TLSv1_2" } else { "TLSv1_3" });
        if let Some(Issued { cert, key }) = shown {
            command.arg(cert).arg(key);
        }
        run(&mut command, REQUEST.as_bytes())
    });
}

#[test]
fn java_shows_its_certificate_and_is_told_what_is_wrong_with_it() {
    let _ = need!("javac");
    let _ = need!("openssl");
    let mut door = Door::new(REQUIRED);
    let cases = [
        (Some((Kind::Rsa2048, By::Ca, Flaw::None)), ""),
        (Some((Kind::P256, By::Intermediate, Flaw::None)), ""),
        (Some((Kind::P256, By::Ca, Flaw::Expired)), "client-cert-expired"),
        (Some((Kind::P256, By::Impostor, Flaw::None)), "client-cert-bad-signature"),
        // The names of the CAs keep Java from showing this one.
        (Some((Kind::P256, By::Stranger, Flaw::None)), "client-cert-missing"),
        (None, "client-cert-missing"),
    ];
    for (shown, rule) in cases {
        let shown = shown.map(|(kind, by, flaw)| {
            let issued = door.clients.issue("mine", kind, by, flaw);
            door.clients.pkcs12(&issued)
        });
        for (version, missing) in VERSIONS.into_iter().zip(MISSING) {
            let roots = door.scene.pki.bundle();
            let done = java::talk(door.address(), NAME, &roots, version, shown.as_deref(), REQUEST);
            match rule {
                "" => door.served(done, version, "mine"),
                "client-cert-missing" => door.refused(&done, rule, missing),
                "client-cert-expired" => door.refused(&done, rule, EXPIRED),
                _ => door.refused(&done, rule, &["bad certificate", "bad_certificate"]),
            }
        }
    }
}

#[test]
fn a_session_of_an_open_name_opens_no_name_that_asks_for_a_certificate() {
    let _ = need!("openssl");
    let (http, pki, clients) = (Backend::http(), Pki::new(), ClientPki::new());
    let leaf = pki.issue("both", &Leaf::new(Kind::P256, &["open.test", "closed.test"]));
    let mut daemon = adjunct!().start(|[at]| {
        let service = |name: &str| {
            Service::new(name, at, http.address, &leaf).with(&format!("sni = \"{name}.test\""))
        };
        file(&[service("open"), service("closed").with(&clients.line(REQUIRED))])
    });
    for version in ["-tls1_2", "-tls1_3"] {
        let session = pki.path().join(version).to_string_lossy().into_owned();
        let ask = |name, options: [&str; 3]| {
            s_client(daemon.address(), name, &pki.bundle(), &options, REQUEST)
        };
        let _ = ask("open.test", [version, "-sess_out", &session]).success().says(HTTP_BODY);
        let again = ask("open.test", [version, "-sess_in", &session]).success();
        assert_eq!(resumptions(&again), 1, "the session is good where it was made");
        let crossed = ask("closed.test", [version, "-sess_in", &session]);
        assert_ne!(crossed.code, Some(0), "{}", crossed.output());
        assert!(!crossed.output().contains(HTTP_BODY), "{}", crossed.output());
        for _ in 0..2 {
            daemon.completed().expect("service", "open");
        }
        daemon.record().expect("service", "closed").expect("rule", "client-cert-missing");
    }
}
