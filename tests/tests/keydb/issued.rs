//! Certificates made with keydb before strict judges: openssl, and the linter pkilint.

use std::path::{Path, PathBuf};

use adjunct_tests::need;

use crate::{Place, tool};

/// A PKI of one kind of key: root, subordinate, server, client, both, and a signed request.
struct Made {
    place: Place,
    root: PathBuf,
    sub: PathBuf,
    leaves: Vec<(PathBuf, &'static str)>,
}

fn made(key: &'static str) -> Made {
    let place = Place::new();
    let with = |arguments: &[&str], cn: &str| {
        let subject = ["--cn", cn, "--org", "Example", "--country", "US"];
        let _ = place.keydb(&[arguments, &subject].concat()).success();
    };
    with(&["ca", "ROOT", "--key", key], "Test root");
    let sub = ["issue", "SUB", "--ca", "ROOT", "--usage", "ca", "--path-len", "0", "--key", key];
    with(&sub, "Test sub");
    let server = ["--san", "www.example.com", "--san", "ip:192.0.2.1"];
    for (label, usage) in [("SERVER", "server"), ("CLIENT", "client"), ("BOTH", "both")] {
        let issue = ["issue", label, "--ca", "SUB", "--usage", usage, "--key", key];
        let names = match usage {
            "client" => &["--san", "email:me@example.com"][..],
            _ => &server[..],
        };
        with(&[&issue[..], names].concat(), "www.example.com");
    }
    let (request, signed) = (place.text("r.pem"), place.text("signed.pem"));
    let ask = ["request", "ASKED", "--key", key, "--output", &request];
    with(&[&ask[..], &server].concat(), "www.example.com");
    let _ = place.keydb(&["sign", &request, "--ca", "SUB", "--output", &signed]).success();
    let _ = place.keydb(&["receive", &signed]).success();
    let leaves = [
        ("SERVER", "sslserver"),
        ("CLIENT", "sslclient"),
        ("BOTH", "sslserver"),
        ("BOTH", "sslclient"),
        ("ASKED", "sslserver"),
    ];
    let mut exported: Vec<(PathBuf, &'static str)> = Vec::new();
    for (label, purpose) in leaves {
        let path = place.path(&format!("{label}.pem"));
        let path = if path.exists() { path } else { place.export(label, &[]) };
        exported.push((path, purpose));
    }
    let (root, sub) = (place.export("ROOT", &[]), place.export("SUB", &[]));
    Made { place, root, sub, leaves: exported }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn strict(key: &'static str) {
    let made = made(key);
    let (root, sub) = (text(&made.root), text(&made.sub));
    let verify = ["verify", "-x509_strict", "-check_ss_sig", "-CAfile", &root];
    let _ = tool("openssl", &[&verify[..], &[&root]].concat()).success();
    let _ = tool("openssl", &[&verify[..], &[&sub]].concat()).success();
    for (leaf, purpose) in &made.leaves {
        let leaf = text(leaf);
        let chain = ["-untrusted", &sub, "-purpose", purpose, &leaf];
        let _ = tool("openssl", &[&verify[..], &chain].concat()).success().says("OK");
    }
    for label in ["SERVER", "CLIENT", "BOTH", "ASKED"] {
        let purpose = if label == "CLIENT" { "client" } else { "server" };
        let _ = made.place.keydb(&["verify", label, "--for", purpose]).success();
    }
    // What they are not for they are refused for.
    let server = text(&made.leaves[0].0);
    let chain = ["-untrusted", &sub, "-purpose", "sslclient", &server];
    let wrong = tool("openssl", &[&verify[..], &chain].concat());
    assert_ne!(wrong.code, Some(0), "{}", wrong.output());
}

#[test]
fn openssl_strictly_verifies_what_rsa_2048_made() {
    let _ = need!("openssl");
    strict("rsa2048");
}

#[test]
fn openssl_strictly_verifies_what_p256_made() {
    let _ = need!("openssl");
    strict("p256");
}

#[test]
fn openssl_strictly_verifies_what_p384_made() {
    let _ = need!("openssl");
    strict("p384");
}

#[test]
fn openssl_strictly_verifies_what_p521_made() {
    let _ = need!("openssl");
    strict("p521");
}

#[test]
fn larger_rsa_keys_and_every_digest_are_made() {
    let _ = need!("openssl");
    let place = Place::new();
    for (label, key, digest) in [("A", "rsa3072", "sha384"), ("B", "rsa4096", "sha512")] {
        let ca = ["ca", label, "--cn", label, "--key", key, "--digest", digest];
        let _ = place.keydb(&ca).success();
        let path = text(&place.export(label, &[]));
        let verify = ["verify", "-x509_strict", "-check_ss_sig", "-CAfile", &path, &path];
        let _ = tool("openssl", &verify).success();
        let info = place.json(&["show", label]);
        assert_eq!(info["public_key_size"].to_string(), &key[3..]);
        assert_eq!(info["signature_algorithm"], format!("{digest}WithRsaEncryption"));
    }
}

#[test]
fn requests_of_openssl_are_signed_those_on_p521_too() {
    let _ = need!("openssl");
    let place = Place::with_server();
    let root = text(&place.export("CA", &[]));
    for curve in ["P-256", "P-384", "P-521"] {
        let (request, key, signed) = (place.text("r"), place.text("k"), place.text(curve));
        let curve = format!("ec_paramgen_curve:{curve}");
        let make = [
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            &curve,
            "-noenc",
            "-keyout",
            &key,
            "-subj",
            "/CN=theirs",
            "-addext",
            "subjectAltName=DNS:theirs.test",
            "-out",
            &request,
        ];
        let _ = tool("openssl", &make).success();
        let _ = place.keydb(&["sign", &request, "--ca", "CA", "--output", &signed]).success();
        let verify = [
            "verify",
            "-x509_strict",
            "-CAfile",
            &root,
            "-verify_hostname",
            "theirs.test",
            &signed,
        ];
        let _ = tool("openssl", &verify).success();
    }
    let weak = place.text("weak");
    let key = place.text("k");
    let make = [
        "req", "-new", "-newkey", "rsa:1024", "-noenc", "-keyout", &key, "-subj", "/CN=weak",
        "-out", &weak,
    ];
    let _ = tool("openssl", &make).success();
    let done = place.keydb(&["sign", &weak, "--ca", "CA"]);
    assert!(matches!(done.code, Some(65 | 78)), "{}", done.output());
}

/// A request of openssl for an EC key.
fn theirs(place: &Place, name: &str, subject: &str, more: &[&str]) -> String {
    let (request, key) = (place.text(&format!("{name}.csr")), place.text("theirs.key"));
    let make = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"];
    let files = ["-keyout", &key, "-out", &request, "-subj", subject];
    let _ = tool("openssl", &[&make[..], &files, more].concat()).success();
    request
}

#[test]
fn requests_without_subject_with_a_mailbox_and_with_any_digest_are_signed_strictly() {
    let _ = need!("openssl");
    let place = Place::with_server();
    let root = text(&place.export("CA", &[]));
    let name = ["-addext", "subjectAltName=DNS:theirs.example.com"];
    let sign = |request: &str, more: &[&str]| {
        let signed = format!("{request}.pem");
        let sign = ["sign", request, "--ca", "CA", "--output", &signed];
        (place.keydb(&[&sign[..], more].concat()), signed)
    };
    for (file, subject, more) in [
        ("nobody", "/", &name[..]),
        ("mailbox", "/CN=theirs/emailAddress=me@example.com", &name),
        ("sha512", "/CN=theirs", &[&name[..], &["-sha512"]].concat()),
    ] {
        let (done, signed) = sign(&theirs(&place, file, subject, more), &[]);
        let _ = done.success();
        let verify = ["verify", "-x509_strict", "-verify_hostname", "theirs.example.com"];
        let _ = tool("openssl", &[&verify[..], &["-CAfile", &root, &signed]].concat()).success();
        let shown = tool("openssl", &["x509", "-in", &signed, "-noout", "-ext", "subjectAltName"]);
        let shown = shown.success().stdout;
        assert_eq!(shown.contains("critical"), file == "nobody", "{shown}");
        assert_eq!(shown.contains("email:me@example.com"), file == "mailbox", "{shown}");
    }
    // Nobody could be told by these.
    let nameless = theirs(&place, "nameless", "/", &[]);
    let _ = sign(&nameless, &["--usage", "client"]).0.exit(65).says("empty subject");
    let named = theirs(&place, "ca", "/", &name);
    let _ = sign(&named, &["--usage", "ca"]).0.exit(65).says("empty subject");
    // A mailbox is no name of a server.
    let mailbox = theirs(&place, "only-a-mailbox", "/CN=no host/emailAddress=me@example.com", &[]);
    let _ = sign(&mailbox, &[]).0.exit(64).says("subject alternative name");
}

#[test]
fn openssl_reads_our_requests() {
    let _ = need!("openssl");
    let place = Place::new();
    for key in ["rsa2048", "p256", "p384", "p521"] {
        let request = place.text(&format!("{key}.pem"));
        let ask =
            ["request", key, "--cn", "a", "--san", "a.test", "--key", key, "--output", &request];
        let _ = place.keydb(&ask).success();
        let read = ["req", "-in", &request, "-verify", "-noout", "-text"];
        let _ = tool("openssl", &read).success().says("DNS:a.test");
    }
}

#[test]
fn the_linter_finds_nothing_to_complain_about() {
    let linter = need!("lint_pkix_cert");
    // Each run starts an interpreter for more than a second. What is in a certificate is made by
    // the same code for every key, so all of them are judged once for RSA and once for EC, and for
    // the other curves the two that differ in key and signature.
    for key in ["rsa2048", "p256", "p384", "p521"] {
        let made = made(key);
        let mut paths: Vec<&PathBuf> = made.leaves.iter().map(|(path, _)| path).collect();
        // One of them is there for both purposes.
        paths.dedup();
        if matches!(key, "p384" | "p521") {
            paths.truncate(1);
        } else {
            paths.push(&made.sub);
        }
        for path in paths.into_iter().chain([&made.root]) {
            let path = text(path);
            // It ends with the number of findings of this severity or above.
            let lint = ["lint", "--severity", "WARNING", &path];
            let _ = tool(&linter, &lint).success();
        }
    }
    // What others ask for is made just as well.
    let place = Place::with_server();
    let name = ["-addext", "subjectAltName=DNS:theirs.example.com"];
    for (file, subject) in [("nobody", "/"), ("mailbox", "/CN=a/emailAddress=me@example.com")] {
        let (request, signed) = (theirs(&place, file, subject, &name), place.text(file));
        let _ = place.keydb(&["sign", &request, "--ca", "CA", "--output", &signed]).success();
        let _ = tool(&linter, &["lint", "--severity", "WARNING", &signed]).success();
    }
}
