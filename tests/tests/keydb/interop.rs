//! openssl and keytool: they open what we write, we open what they write.

use std::fs;

use adjunct_tests::need;
use adjunct_tests::process::Finished;

use crate::{Place, tool};

fn openssl(place: &Place, arguments: &[&str]) -> Finished {
    let password = format!("file:{}", place.text("password"));
    let full: Vec<&str> =
        arguments.iter().map(|a| if *a == "PASSWORD" { password.as_str() } else { *a }).collect();
    tool("openssl", &full)
}

#[test]
fn openssl_opens_our_database_and_finds_the_same_keys() {
    let _ = need!("openssl");
    let place = Place::with_server();
    let _ = place.keydb(&["request", "REQ", "--cn", "req", "--key", "p384"]).success();
    let database = place.text("a.p12");
    let shown = ["pkcs12", "-in", &database, "-passin", "PASSWORD", "-info", "-noenc"];
    let shown = openssl(&place, &shown).success();
    for word in [
        "MAC: sha256, Iteration 100000",
        "PBES2, PBKDF2, AES-256-CBC, Iteration 100000, PRF hmacWithSHA256",
        "friendlyName: CA",
        "friendlyName: WWW",
        "friendlyName: REQ",
    ] {
        assert!(shown.output().contains(word), "{word:?} is not in\n{}", shown.output());
    }
    assert_eq!(shown.stdout.matches("BEGIN PRIVATE KEY").count(), 3);
    assert_eq!(shown.stdout.matches("BEGIN CERTIFICATE").count(), 2);
    let _ = openssl(&place, &["pkcs12", "-in", &database, "-passin", "pass:wrong"]).exit(1);
    // A key as we export it is the one that openssl sees.
    let exported = fs::read_to_string(place.export("WWW", &["--key"])).unwrap();
    let key = exported.split("-----BEGIN PRIVATE KEY-----\n").nth(1).unwrap();
    assert!(shown.stdout.replace("\r\n", "\n").contains(key.lines().next().unwrap()));
    let empty = Place::new();
    let database = empty.text("a.p12");
    let _ = openssl(&empty, &["pkcs12", "-in", &database, "-passin", "PASSWORD"]).success();
}

#[test]
fn a_file_of_openssl_is_a_database() {
    let _ = need!("openssl");
    let place = Place::with_server();
    let (chain, database) = (place.export("WWW", &["--chain", "--key"]), place.text("b.p12"));
    let chain = chain.to_string_lossy();
    let export = [
        "pkcs12", "-export", "-in", &chain, "-inkey", &chain, "-name", "theirs", "-passout",
        "PASSWORD", "-out", &database,
    ];
    let _ = openssl(&place, &export).success();
    fs::rename(place.path("b.p12"), place.database()).unwrap();
    fs::remove_file(place.path("a.p12.state")).unwrap();
    // The CA has no name in the file of openssl: it gets that of its subject.
    assert_eq!(place.labels(), ["theirs", "ca"]);
    let list = place.json(&["list"]);
    assert_eq!(list["entries"][0]["private_key"], true);
    assert_eq!(list["entries"][1]["trusted"], false, "nobody said so");
    let _ = place.keydb(&["verify", "theirs"]).exit(65).says("not trusted");
    let _ = place.keydb(&["trust", "ca", "yes"]).success();
    let _ = place.keydb(&["verify", "theirs", "--for", "server"]).success();
    // And still one for openssl.
    let database = place.text("a.p12");
    let again = ["pkcs12", "-in", &database, "-passin", "PASSWORD", "-nokeys"];
    let _ = openssl(&place, &again).success().says("friendlyName: theirs");
}

#[test]
fn keys_and_certificates_of_openssl_are_imported_in_every_encoding() {
    let _ = need!("openssl");
    let place = Place::new();
    for (label, algorithm) in [
        ("RSA", ["-newkey", "rsa:2048", "-sha256"]),
        ("EC", ["-newkey", "ec", "-pkeyopt=ec_paramgen_curve:P-384"]),
    ] {
        let (key, cert) = (place.text("k.pem"), place.text("c.pem"));
        let mut make = vec!["req", "-x509", "-noenc", "-subj", "/CN=x", "-keyout", &key];
        make.extend(["-out", &cert, "-days", "3"]);
        for word in algorithm {
            make.extend(word.split('='));
        }
        let _ = tool("openssl", &make).success();
        let (old, der) = (place.text("old.pem"), place.text("c.der"));
        // PKCS #1 and SEC 1.
        let _ = tool("openssl", &["pkey", "-in", &key, "-traditional", "-out", &old]).success();
        let _ = tool("openssl", &["x509", "-in", &cert, "-outform", "der", "-out", &der]).success();
        for (form, key) in [("8", &key), ("1", &old)] {
            let label = format!("{label}{form}");
            let import = ["import", &der, "--key", key, "--label", &label];
            let _ = place.keydb(&import).success();
            let exported = place.export(&label, &["--key"]).to_string_lossy().into_owned();
            let public = |file: &str| tool("openssl", &["pkey", "-in", file, "-pubout"]).stdout;
            assert_eq!(public(&exported), public(key));
            let _ = place.keydb(&["delete", &label]).success();
        }
    }
    let encrypted = place.text("encrypted.pem");
    let _ = openssl(
        &place,
        &["genpkey", "-algorithm", "rsa", "-aes256", "-pass", "PASSWORD", "-out", &encrypted],
    )
    .success();
    let _ = place.keydb(&["import", &encrypted]).exit(65).says("pkcs12 -export");
}

#[test]
fn obsolete_encryption_is_refused_with_the_way_to_convert_it() {
    let _ = need!("openssl");
    let place = Place::with_server();
    let (chain, old) = (place.export("WWW", &["--key"]), place.text("old.p12"));
    let chain = chain.to_string_lossy();
    let base = ["pkcs12", "-export", "-in", &chain, "-passout", "PASSWORD", "-out", &old];
    for more in [
        &["-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES"][..],
        &["-macalg", "SHA1"],
        &["-nomac"],
    ] {
        let _ = openssl(&place, &[&base[..], more].concat()).success();
        let password = place.text("password");
        let import = ["import", &old, "--file-password-file", &password, "--label", "OLD"];
        let _ = place.keydb(&import).exit(65).says("openssl pkcs12");
    }
    // Another hash of the MAC is none the worse.
    let _ = openssl(&place, &[&base[..], &["-macalg", "SHA512"]].concat()).success();
    let password = place.text("password");
    let _ = place.keydb(&["import", &old, "--file-password-file", &password]).success();
}

fn keytool(place: &Place, arguments: &[&str]) -> Finished {
    let password = place.text("password");
    let common = ["-storetype", "PKCS12", "-storepass:file", &password];
    tool("keytool", &[arguments, &common].concat())
}

#[test]
fn keytool_lists_and_changes_our_database() {
    let _ = need!("keytool");
    let place = Place::with_server();
    let other = Place::with_server();
    let root = other.export("CA", &[]).to_string_lossy().into_owned();
    let _ = place.keydb(&["import", &root, "--label", "Their CA"]).success();
    let database = place.text("a.p12");
    let listed = keytool(&place, &["-list", "-v", "-keystore", &database]).success();
    for word in [
        "contains 3 entries",
        "Alias name: www\n",
        "Entry type: PrivateKeyEntry",
        "Certificate chain length: 2",
        "Alias name: their ca\n",
        "Entry type: trustedCertEntry",
    ] {
        assert!(listed.stdout.contains(word), "{word:?} is not in\n{}", listed.stdout);
    }
    let _ = keytool(
        &place,
        &[
            "-genkeypair",
            "-keystore",
            &database,
            "-alias",
            "java",
            "-keyalg",
            "EC",
            "-dname",
            "CN=java",
            "-validity",
            "9",
        ],
    )
    .success();
    let labels = place.keydb(&["list"]).success().says("written by another program");
    for label in ["ca (", "www (", "java (", "their ca ("] {
        assert!(labels.stdout.to_lowercase().contains(label), "{label}\n{}", labels.output());
    }
    let _ = place.keydb(&["rename", "java", "JAVA"]).success();
    let _ = keytool(&place, &["-list", "-keystore", &database]).success().says("java");
}

#[test]
fn a_store_of_keytool_is_a_database_and_its_requests_are_signed() {
    let _ = need!("keytool");
    let place = Place::empty();
    let (database, request) = (place.text("a.p12"), place.text("java.csr"));
    let _ = keytool(
        &place,
        &[
            "-genkeypair",
            "-keystore",
            &database,
            "-alias",
            "java",
            "-keyalg",
            "RSA",
            "-keysize",
            "2048",
            "-dname",
            "CN=java,O=Test,C=DE",
            "-validity",
            "9",
        ],
    )
    .success();
    assert_eq!(place.labels(), ["java"]);
    let info = place.json(&["show", "java"]);
    assert_eq!(info["subject"], "CN=java,O=Test,C=DE");
    let _ = keytool(
        &place,
        &[
            "-certreq",
            "-keystore",
            &database,
            "-alias",
            "java",
            "-file",
            &request,
            "-ext",
            "san=dns:java.test",
        ],
    )
    .success();
    let ca = Place::with_server();
    let answer = place.text("answer.pem");
    let _ = ca.keydb(&["sign", &request, "--ca", "CA", "--output", &answer]).success();
    let root = ca.export("CA", &[]).to_string_lossy().into_owned();
    let _ = keytool(
        &place,
        &["-importcert", "-noprompt", "-keystore", &database, "-alias", "root", "-file", &root],
    )
    .success();
    let _ = keytool(
        &place,
        &["-importcert", "-noprompt", "-keystore", &database, "-alias", "java", "-file", &answer],
    )
    .success();
    let _ = place.keydb(&["verify", "java", "--for", "server"]).success();
    // The same by our own hand.
    let again = Place::empty();
    let _ = again.keydb(&["create"]).success();
    let _ = again.keydb(&["request", "R", "--cn", "r", "--key", "p256"]).success();
    let _ = again.keydb(&["receive", &answer]).exit(65).says("no key in this database");
}
