//! Keys and signatures of certificates against every mode: ours when they are loaded and served,
//! the clients' and the backends' when they are shown.

use std::process::Command;
use std::sync::Arc;

use adjunct_tests::backend::Backend;
use adjunct_tests::client::REQUEST;
use adjunct_tests::client::openssl::{Server, s_client};
use adjunct_tests::client::stock::{Client, Offer, signing_key};
use adjunct_tests::config::{Service, file};
use adjunct_tests::openssl_pki::{Odd, OddPki};
use adjunct_tests::pki::{Issued, Kind, Leaf, Pki};
use adjunct_tests::process::{Finished, run};
use adjunct_tests::record::Record;
use adjunct_tests::scene::NAME;
use adjunct_tests::{adjunct, need};
use engine::compliance::{CertificateFacts, Mode, ModeSet, PolicySet, Role, RuleId, strength_bits};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::negotiation::approved;
use super::{in_modes, policy, sets};

fn chain(issued: &Issued) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(&issued.cert).unwrap().collect::<Result<_, _>>().unwrap()
}

/// The rules that a certificate breaks in some modes, from the policy data.
fn broken(policy: &PolicySet, issued: &Issued) -> Vec<RuleId> {
    let facts = CertificateFacts::read(&chain(issued)[0]).expect("a certificate");
    policy.violations(&facts, Role::Leaf).into_iter().map(|violation| violation.rule).collect()
}

/// Every certificate of the matrix.
fn everything(pki: &OddPki) -> Vec<(Odd, Issued)> {
    Odd::all().into_iter().map(|odd| (odd, pki.issue(&odd))).collect()
}

/// One service for each certificate, told apart by name.
fn services(all: &[(Odd, Issued)], at: std::net::SocketAddr, backend: &Backend) -> String {
    let service = |(odd, issued): &(Odd, Issued)| {
        let label = odd.label();
        let service = Service::new(&label, at, backend.address, issued);
        service.with(&format!("sni = \"{label}.test\""))
    };
    file(&all.iter().map(service).collect::<Vec<_>>())
}

fn check(text: &str) -> Finished {
    let directory = tempfile::TempDir::new().unwrap();
    let config = directory.path().join("adjunct.toml");
    std::fs::write(&config, text).unwrap();
    adjunct!().with_file("check", &config)
}

#[test]
fn each_of_our_own_certificates_against_each_mode() {
    let _ = need!("openssl");
    let (pki, backend) = (OddPki::new(), Backend::http());
    let all = everything(&pki);
    for modes in sets() {
        let policy = policy(&modes);
        let free = adjunct_tests::daemon::free_address();
        let checked = check(&in_modes(&services(&all, free, &backend), &modes));
        assert_eq!(checked.code, Some(78), "a policy forbids some: {}", checked.output());
        let faults: Vec<&str> = checked.stderr.lines().collect();
        for (odd, issued) in &all {
            let file = issued.cert.to_str().unwrap();
            for rule in RULES {
                let named = RuleId::find(rule).expect("a rule");
                let said =
                    faults.iter().any(|l| l.contains(file) && l.contains(&format!("[{rule}")));
                let expected = broken(&policy, issued).contains(&named);
                assert_eq!(
                    said,
                    expected,
                    "{} {rule} in {modes}:\n{}",
                    odd.label(),
                    checked.stderr
                );
            }
        }
        let good: Vec<_> = all
            .iter()
            .filter(|(odd, issued)| odd.is_usable() && broken(&policy, issued).is_empty())
            .cloned()
            .collect();
        let expected = if modes.iter().all(|mode| mode == Mode::Fips1402) { 18 } else { 12 };
        assert_eq!(good.len(), expected, "{modes}");
        serve(&pki, &backend, &good, &modes);
    }
}

/// Names of the rules that a leaf of the matrix can break, in every mode.
const RULES: [&str; 9] = [
    "fips-140-2/key-type",
    "fips-140-2/key-strength",
    "fips-140-2/certificate-signature",
    "nist-800-131a/key-type",
    "nist-800-131a/key-strength",
    "nist-800-131a/certificate-signature",
    "fips-140-3/key-type",
    "fips-140-3/key-strength",
    "fips-140-3/certificate-signature",
];

/// What a mode has let in is served to openssl, and to rustls where that verifies the signature.
fn serve(pki: &OddPki, backend: &Backend, good: &[(Odd, Issued)], modes: &ModeSet) {
    let policy = policy(modes);
    let mut daemon = adjunct!().start(|[at]| in_modes(&services(good, at, backend), modes));
    let roots = CertificateDer::pem_file_iter(pki.bundle()).unwrap();
    let roots = roots.collect::<Result<Vec<_>, _>>().unwrap();
    for (odd, _) in good {
        let name = format!("{}.test", odd.label());
        // Else openssl itself refuses SHA-1.
        let lax = ["-cipher", "DEFAULT@SECLEVEL=0"];
        let _ = s_client(daemon.address(), &name, &pki.bundle(), &lax, REQUEST).success();
        approved(&daemon.record(), &policy);
        if odd.hash != "sha1" {
            let client = Client::trusting(&roots, Offer::default());
            let tls = client.connect(daemon.address(), &name).unwrap();
            assert!(!tls.talk(REQUEST.as_bytes()).unwrap().is_empty());
            approved(&daemon.record(), &policy);
        }
    }
    daemon.stop();
}

#[test]
fn each_client_certificate_against_each_mode() {
    let _ = need!("openssl");
    let (odd_pki, pki, backend) = (OddPki::new(), Pki::new(), Backend::http());
    let all = everything(&odd_pki);
    let ours = pki.issue("ours", &Leaf::new(Kind::P256, &[NAME]));
    // Signs for certificates whose keys rustls does not take: the chain is judged before.
    let other = signing_key(&ours);
    let auth =
        format!("client_auth = {{ mode = \"required\", ca = \"{}\" }}", odd_pki.bundle().display());
    for modes in sets() {
        let policy = policy(&modes);
        let mut daemon = adjunct!().start(|[at]| {
            let service = Service::new("plain", at, backend.address, &ours).with(&auth);
            in_modes(&file(&[service]), &modes)
        });
        for (odd, issued) in &all {
            let key = if odd.is_usable() { signing_key(issued) } else { Arc::clone(&other) };
            let client = Client::new(&pki).showing_chain(chain(issued), key);
            let served = client
                .connect(daemon.address(), NAME)
                .and_then(|tls| tls.talk(REQUEST.as_bytes()))
                .is_ok_and(|answer| !answer.is_empty());
            let record = daemon.record();
            judge(odd, &broken(&policy, issued), &record, served, &policy);
            if served {
                let (cert, key) = (issued.cert.to_str().unwrap(), issued.key.to_str().unwrap());
                let options = ["-cert", cert, "-key", key];
                let roots = pki.bundle();
                let _ = s_client(daemon.address(), NAME, &roots, &options, REQUEST).success();
                approved(&daemon.record(), &policy);
            }
        }
        daemon.stop();
    }
}

/// What becomes of a client with such a certificate.
fn judge(odd: &Odd, broken: &[RuleId], record: &Record, served: bool, policy: &PolicySet) {
    let modes = policy.modes();
    if odd.hash == "sha1" {
        // No signature with SHA-1 is verified here, mode or not.
        assert!(!served);
        record.expect("outcome", "refused").expect("rule", "client-cert-unsupported");
    } else if let Some(rule) = broken.first() {
        assert!(!served, "{} in {modes}", odd.label());
        record.expect("outcome", "refused").expect("rule", rule.as_str());
        record.expect("mode.verdict", "refused").expect("mode.rule", rule.as_str());
        record.expect("client.subject", &format!("CN={}", odd.label()));
        assert_eq!((record.number("gsk"), record.alert_sent()), (8, Some(43)), "{}", record.0);
    } else if odd.is_usable() {
        assert!(served, "{} in {modes}: {}", odd.label(), record.0);
        approved(record, policy);
    } else {
        // P-224: approved, and nothing here verifies it.
        assert!(!served);
        record.expect("outcome", "refused").expect("mode.verdict", "refused");
        assert!(record.field("mode.rule").is_null(), "{}", record.0);
    }
}

#[test]
fn keys_and_signatures_are_read_as_openssl_writes_them() {
    let _ = need!("openssl");
    let directory = tempfile::TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let openssl = |line: &str| {
        let _ = run(Command::new("openssl").args(line.split(' ')), b"").success();
    };
    let pss = "-sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest";
    for (key, signed, expected, signature, strength) in [
        ("RSA -pkeyopt rsa_keygen_bits:2048", pss, "RSA 2048", "RSASSA-PSS-SHA384", 112),
        ("RSA -pkeyopt rsa_keygen_bits:1024", "-md5", "RSA 1024", "RSA-MD5", 80),
        ("EC -pkeyopt ec_paramgen_curve:P-224", "-sha224", "EC P-224", "ecdsa-with-SHA224", 112),
        (
            "EC -pkeyopt ec_paramgen_curve:brainpoolP256r1",
            "-sha512",
            "EC brainpoolP256r1",
            "ecdsa-with-SHA512",
            128,
        ),
        ("ED25519", "-sha256", "Ed25519", "ED25519", 128),
        ("ED448", "-sha256", "Ed448", "ED448", 192),
    ] {
        let (file, cert) = (at("key"), at("cert"));
        openssl(&format!("genpkey -algorithm {key} -out {file}"));
        openssl(&format!("req -x509 -new -subj /CN=x -days 3 -key {file} {signed} -out {cert}"));
        let der = CertificateDer::from_pem_file(&cert).unwrap();
        let facts = CertificateFacts::read(&der).unwrap();
        assert_eq!((facts.key.to_string().as_str(), &*facts.signature), (expected, signature));
        assert_eq!(strength_bits(&facts.key), strength, "{expected}");
        assert!(facts.self_issued && facts.subject == "CN=x");
    }
}

#[test]
fn a_backend_is_judged_as_we_are() {
    let _ = need!("openssl");
    let (odd_pki, pki) = (OddPki::new(), Pki::new());
    let ours = pki.issue("ours", &Leaf::new(Kind::P256, &[NAME]));
    let modes = ModeSet::from_iter([Mode::Nist800131a]);
    for (key, options, rule) in [
        ("RSA:1024", &["-cipher", "DEFAULT@SECLEVEL=0"][..], "nist-800-131a/key-strength"),
        ("RSA:2048", &["-groups", "X25519"], "backend-alert"),
        ("RSA:2048", &[], ""),
    ] {
        let odd = Odd { key, hash: "sha256" };
        let backend = Server::start(&odd_pki.issue(&odd), options);
        let mut daemon = adjunct!().start(|[at]| {
            let service = Service::new("front", at, backend.address, &ours).with(&format!(
                "tls_backend = {{ ca = \"{}\", server_name = \"{}.test\" }}",
                odd_pki.bundle().display(),
                odd.label()
            ));
            in_modes(&file(&[service]), &modes)
        });
        let tls = Client::new(&pki).connect(daemon.address(), NAME);
        let answer = tls.and_then(|tls| tls.talk(REQUEST.as_bytes()));
        assert_eq!(
            answer.is_ok_and(|answer| !answer.is_empty()),
            rule.is_empty(),
            "{key} {options:?}"
        );
        let record = daemon.record();
        record.expect("rule", rule);
        if rule.starts_with("nist") {
            record.expect("mode.rule", rule).expect("mode.verdict", "refused");
        } else {
            record.expect("mode.verdict", "approved");
        }
        daemon.stop();
    }
}
