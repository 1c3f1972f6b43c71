//! Databases in memory: what is kept, what is made, what is refused.

use std::time::{Duration, SystemTime};

use super::*;

const PASSWORD: &str = "a password of a database";
const P256: KeyKind = KeyKind::Ec(Curve::P256);
const CA: Usage = Usage::Ca { path_len: None };

fn word(text: &str) -> Password {
    Zeroizing::new(text.to_owned())
}

fn empty() -> Database {
    Database::new(word(PASSWORD), false, None).unwrap()
}

fn now() -> SystemTime {
    SystemTime::now()
}

fn subject(name: &str) -> Subject {
    Subject { common_name: name.into(), country: Some("US".into()), ..Subject::default() }
}

fn terms(usage: Usage, days: u32, names: &[&str]) -> Terms {
    let names = names.iter().map(|name| AltName::parse(name).unwrap()).collect();
    Terms { usage, days, hash: None, names }
}

/// A database with a CA and a server certificate of it.
fn with_server() -> Database {
    let mut database = empty();
    database.create_ca("CA", P256, &subject("ca"), &terms(CA, 730, &[]), now()).unwrap();
    let server = terms(Usage::Server, 365, &["www.example.com"]);
    database.create_signed("WWW", "CA", P256, &subject("www"), &server, now()).unwrap();
    database
}

fn again(database: &Database) -> Database {
    let saved = database.save().unwrap();
    Database::open(&saved.file, Some(&saved.sidecar), database.password().clone()).unwrap()
}

#[test]
fn what_is_written_is_read_again() {
    let mut database = with_server();
    database.create_request("REQ", P256, &subject("req"), &[], None).unwrap();
    database.set_trust("WWW", false).unwrap();
    let read = again(&database);
    for (ours, theirs) in database.entries().iter().zip(read.entries()) {
        assert_eq!(ours.label, theirs.label);
        assert_eq!(ours.certificate, theirs.certificate);
        assert_eq!(ours.request, theirs.request);
        assert_eq!((ours.trusted, ours.has_key()), (theirs.trusted, theirs.has_key()));
        let key = |database: &Database| database.private_key(ours.label()).unwrap();
        assert_eq!(key(&database), key(&read));
    }
    assert_eq!(read.entries().len(), 3);
    assert_eq!(read.default_label(), Some("WWW"));
    // Again, without any key having been decrypted.
    assert_eq!(again(&read).entries().len(), 3);
}

#[test]
fn a_file_without_a_sidecar_is_a_database_that_trusts_its_own_keys() {
    let saved = with_server().save().unwrap();
    let read = Database::open(&saved.file, None, word(PASSWORD)).unwrap();
    assert!(read.entries().iter().all(Entry::is_trusted));
    assert!(!read.is_fips());
}

#[test]
fn wrong_passwords_and_damaged_files_are_told_apart() {
    let saved = with_server().save().unwrap();
    let class = |file: &[u8], password| {
        Database::open(file, Some(&saved.sidecar), word(password)).unwrap_err().class
    };
    assert_eq!(class(&saved.file, "wrong"), Class::Password);
    assert_eq!(class(&[], PASSWORD), Class::Data);
    assert_eq!(class(b"not PKCS #12", PASSWORD), Class::Data);
    for cut in [1, 3, 20, saved.file.len() / 2, saved.file.len() - 1] {
        assert_eq!(class(&saved.file[..cut], PASSWORD), Class::Data, "{cut}");
    }
    let mut later = saved.file.clone();
    let version = later.windows(3).position(|w| w == [2, 1, 3]).unwrap() + 2;
    later[version] = 4;
    assert_eq!(class(&later, PASSWORD), Class::Future);
}

#[test]
fn a_byte_changed_anywhere_never_panics_and_is_never_taken() {
    let saved = with_server().save().unwrap();
    // Each trial costs a key derivation: a sample that meets every part of the file.
    for at in (0..saved.file.len()).step_by(saved.file.len() / 40) {
        let mut changed = saved.file.clone();
        changed[at] ^= 0x55;
        let opened = Database::open(&changed, Some(&saved.sidecar), word(PASSWORD));
        assert!(opened.is_err(), "byte {at} of {}", saved.file.len());
    }
}

#[test]
fn a_fips_database_needs_its_sidecar_and_a_long_password() {
    assert!(Database::new(word("thirteen char"), true, None).is_err());
    let mut database = Database::new(word(PASSWORD), true, None).unwrap();
    database.create_ca("CA", P256, &subject("ca"), &terms(CA, 1, &[]), now()).unwrap();
    let saved = database.save().unwrap();
    assert!(Database::claims_fips(&saved.sidecar).unwrap());
    let open = |file: &[u8], sidecar| Database::open(file, sidecar, word(PASSWORD));
    assert!(open(&saved.file, Some(&saved.sidecar)).unwrap().is_fips());
    // A byte that was changed is not taken for a wrong password.
    let mut flipped = saved.file.clone();
    flipped[saved.file.len() / 2] ^= 1;
    let error = open(&flipped, Some(&saved.sidecar)).unwrap_err();
    assert!(error.what.contains("integrity check"), "{error}");
    // Another file of the same password is not the one that the sidecar is for.
    let other = Database::new(word(PASSWORD), false, None).unwrap().save().unwrap();
    assert_eq!(open(&other.file, Some(&saved.sidecar)).unwrap_err().class, Class::Integrity);
    // Without its sidecar it is no FIPS database any more.
    assert!(!open(&saved.file, None).unwrap().is_fips());
}

#[test]
fn while_a_database_is_replaced_both_files_open() {
    let before = with_server();
    let first = before.save().unwrap();
    let mut after = again(&before);
    after.change_password(word("another password"), None).unwrap();
    after.rename("WWW", "WEB").unwrap();
    let second = after.save().unwrap();
    let open = |file: &[u8], password| {
        Database::open(file, Some(&second.sidecar_meanwhile), word(password))
    };
    // The second was not made from bytes of the first, but from another save of it.
    assert!(open(&second.file, "another password").unwrap().find("WEB").is_some());
    let base = Database::open(&first.file, Some(&first.sidecar), word(PASSWORD)).unwrap();
    let both = base.save().unwrap().sidecar_meanwhile;
    assert!(Database::open(&first.file, Some(&both), word(PASSWORD)).is_ok());
}

#[test]
fn every_kind_of_key_makes_a_chain_that_holds() {
    let kinds = [P256, KeyKind::Ec(Curve::P384), KeyKind::Ec(Curve::P521)];
    for kind in kinds.into_iter().chain([KeyKind::Rsa { bits: 2048 }]) {
        let mut database = empty();
        database.create_ca("ROOT", kind, &subject("root"), &terms(CA, 30, &[]), now()).unwrap();
        let middle = Usage::Ca { path_len: Some(0) };
        let middle = terms(middle, 20, &[]);
        database.create_signed("SUB", "ROOT", kind, &subject("sub"), &middle, now()).unwrap();
        for (label, usage, purpose) in [
            ("S", Usage::Server, Purpose::Server),
            ("C", Usage::Client, Purpose::Client),
            ("B", Usage::Both, Purpose::Client),
        ] {
            let terms = terms(usage, 10, &["a.example"]);
            database.create_signed(label, "SUB", kind, &subject(label), &terms, now()).unwrap();
            let verdict = database.verify(label, purpose, now()).unwrap();
            assert!(verdict.holds(), "{kind:?} {label}: {verdict:#?}");
            let labels: Vec<_> = verdict.chain.iter().map(|link| link.label.as_str()).collect();
            assert_eq!(labels, [label, "SUB", "ROOT"]);
        }
        assert!(!database.verify("S", Purpose::Client, now()).unwrap().holds());
        // Below a CA with path length 0 there is no other.
        let below = terms(CA, 1, &[]);
        let refused = database.create_signed("X", "SUB", kind, &subject("x"), &below, now());
        assert_eq!(refused.unwrap_err().class, Class::Policy);
    }
}

#[test]
fn every_digest_on_every_curve_makes_a_chain_that_holds() {
    for curve in [Curve::P256, Curve::P384, Curve::P521] {
        for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let (kind, hash) = (KeyKind::Ec(curve), Some(hash));
            let mut database = empty();
            let root = Terms { hash, ..terms(CA, 730, &[]) };
            database.create_ca("CA", kind, &subject("ca"), &root, now()).unwrap();
            let server = Terms { hash, ..terms(Usage::Server, 365, &["www.example.com"]) };
            database.create_signed("WWW", "CA", kind, &subject("www"), &server, now()).unwrap();
            let verdict = database.verify("WWW", Purpose::Server, now()).unwrap();
            assert!(verdict.holds(), "{curve:?} {hash:?} {verdict:?}");
            assert_eq!(verdict.chain.len(), 2);
        }
    }
}

#[test]
fn what_is_wrong_with_a_chain_is_named() {
    let mut database = with_server();
    let faults = |database: &Database, at| {
        let verdict = database.verify("WWW", Purpose::Server, at).unwrap();
        assert!(!verdict.holds());
        let of_links = verdict.chain.into_iter().flat_map(|link| link.faults);
        of_links.chain(verdict.faults).collect::<Vec<_>>().join("; ")
    };
    let day = Duration::from_secs(86_400);
    assert!(faults(&database, now() + 366 * day).contains("expired"));
    assert!(faults(&database, now() - day).contains("valid only from"));
    database.set_trust("CA", false).unwrap();
    assert!(faults(&database, now()).contains("not trusted"));
    database.delete("CA", true).unwrap();
    assert!(faults(&database, now()).contains("is not in the database"));
}

#[test]
fn a_request_goes_to_a_ca_and_comes_back() {
    for kind in [P256, KeyKind::Ec(Curve::P521), KeyKind::Rsa { bits: 2048 }] {
        let ca = with_server();
        let mut ours = empty();
        let names = [AltName::parse("x.example").unwrap(), AltName::parse("192.0.2.7").unwrap()];
        let request = ours.create_request("X", kind, &subject("x"), &names, None).unwrap();
        assert_eq!(of_request(&request).unwrap().2, ["dns:x.example", "ip:192.0.2.7"]);
        let signed = ca.sign_request("CA", &request, &terms(Usage::Server, 9, &[]), now()).unwrap();
        let mut ours = again(&ours);
        assert_eq!(ours.receive(&signed.certificate).unwrap(), "X");
        assert_eq!(ours.get("X").unwrap().request(), None);
        let info = ours.info("X").unwrap();
        let san = info.extensions.iter().find(|e| e.name == "subjectAltName").unwrap();
        assert_eq!(san.value, "dns:x.example, ip:192.0.2.7");
        let root = ca.get("CA").unwrap().certificate().unwrap().to_vec();
        ours.import(Some("their CA"), &[root], None, true).unwrap();
        assert!(ours.verify("X", Purpose::Server, now()).unwrap().holds());
        // Nobody else has the key.
        assert_eq!(empty().receive(&signed.certificate).unwrap_err().class, Class::Data);
        // A request that was changed is not signed.
        let mut changed = request.clone();
        let last = changed.len() - 1;
        changed[last] ^= 1;
        assert!(ca.sign_request("CA", &changed, &terms(Usage::Server, 9, &[]), now()).is_err());
    }
}

#[test]
fn renewals_keep_key_and_names() {
    let mut database = with_server();
    let old = database.info("WWW").unwrap();
    database.renew("WWW", None, None, now()).unwrap();
    let new = database.info("WWW").unwrap();
    assert_ne!(old.serial_number, new.serial_number);
    assert_eq!(old.public_key, new.public_key);
    let names = |info: &CertificateInfo| {
        let mut extensions = info.extensions.clone();
        extensions.sort_by(|a, b| a.name.cmp(&b.name));
        extensions
    };
    assert_eq!(names(&old), names(&new));
    // The CA too, and what it issued still hangs below it.
    database.renew("CA", Some(3000), None, now()).unwrap();
    assert!(database.verify("WWW", Purpose::Server, now()).unwrap().holds());
    // By request: the certificate stays until the answer is there.
    let request = database.renewal_request("WWW", None).unwrap();
    let answer = database.sign_request("CA", &request, &terms(Usage::Server, 5, &[]), now());
    assert_eq!(database.receive(&answer.unwrap().certificate).unwrap(), "WWW");
    assert!(database.verify("WWW", Purpose::Server, now()).unwrap().holds());
}

#[test]
fn only_a_ca_with_its_key_signs() {
    let mut database = with_server();
    let server = terms(Usage::Server, 10, &["a.example"]);
    let sign = |database: &mut Database, ca: &str, at| {
        database.create_signed("A", ca, P256, &subject("a"), &server, at).unwrap_err().class
    };
    assert_eq!(sign(&mut database, "WWW", now()), Class::Policy);
    assert_eq!(sign(&mut database, "none", now()), Class::Missing);
    let later = now() + Duration::from_secs(731 * 86_400);
    assert_eq!(sign(&mut database, "CA", later), Class::Policy);
    let root = database.get("CA").unwrap().certificate().unwrap().to_vec();
    let mut other = empty();
    other.import(Some("CA"), &[root], None, true).unwrap();
    assert_eq!(sign(&mut other, "CA", now()), Class::Missing);
    // A certificate that outlives its CA is made, and said.
    let long = terms(Usage::Client, 1000, &[]);
    let notices = database.create_signed("L", "CA", P256, &subject("l"), &long, now()).unwrap();
    assert!(notices[0].contains("outlives"), "{notices:?}");
    // A server without a name is not.
    let nameless = terms(Usage::Server, 1, &[]);
    let refused = database.create_signed("N", "CA", P256, &subject("n"), &nameless, now());
    assert_eq!(refused.unwrap_err().class, Class::Argument);
}

#[test]
fn labels_are_unique_whatever_their_case() {
    let mut database = with_server();
    assert_eq!(database.rename("WWW", "ca").unwrap_err().class, Class::Policy);
    database.rename("WWW", "www").unwrap();
    assert_eq!(database.default_label(), Some("www"));
    assert!(database.get("WWW").unwrap_err().remedy.contains("\"www\""));
    for bad in ["", " a", "a ", "a\nb", "\u{1f600}", &"x".repeat(65)] {
        assert_eq!(database.rename("www", bad).unwrap_err().class, Class::Argument, "{bad:?}");
    }
    let again = database.create_ca("Ca", P256, &subject("x"), &terms(CA, 1, &[]), now());
    assert_eq!(again.unwrap_err().class, Class::Policy);
}

#[test]
fn what_others_depend_on_is_deleted_by_force_only() {
    let mut database = with_server();
    database.create_request("REQ", P256, &subject("req"), &[], None).unwrap();
    assert_eq!(database.dependents("CA"), ["WWW"]);
    for label in ["CA", "WWW", "REQ"] {
        assert_eq!(database.delete(label, false).unwrap_err().class, Class::Policy, "{label}");
        database.delete(label, true).unwrap();
    }
    assert_eq!(database.default_label(), None);
    assert!(database.entries().is_empty());
    assert!(again(&database).entries().is_empty());
}

#[test]
fn exports_come_back_by_import() {
    let database = with_server();
    let pem = database.export_pem("WWW", true, true).unwrap();
    let Content::Certificates { certificates, key } = Content::of(pem.as_bytes()).unwrap() else {
        panic!("not certificates");
    };
    assert_eq!(certificates.len(), 2);
    let mut other = empty();
    let imported = other.import(Some("A"), &certificates, key.as_ref(), true).unwrap();
    assert_eq!(imported.added, ["A", "ca"]);
    assert!(other.verify("A", Purpose::Server, now()).unwrap().holds());
    let imported = other.import(Some("B"), &certificates, None, true).unwrap();
    assert_eq!((imported.added.len(), imported.known.len()), (0, 2));

    let file = database.export_pkcs12("WWW", true, true, &word("other")).unwrap();
    assert!(matches!(Content::of(&file), Ok(Content::Pkcs12)));
    let mut other = empty();
    other.import_pkcs12(None, &file, &word("other"), true).unwrap();
    assert_eq!(other.private_key("WWW").unwrap(), database.private_key("WWW").unwrap());
    assert!(other.verify("WWW", Purpose::Server, now()).unwrap().holds());

    let der = database.get("CA").unwrap().certificate().unwrap();
    assert!(matches!(Content::of(der), Ok(Content::Certificates { key: None, .. })));
    assert!(Content::of(b"anything else").is_err());
    assert!(!database.served_chain("WWW").unwrap().contains("PRIVATE"));
    assert_eq!(database.served_chain("WWW").unwrap().matches("BEGIN").count(), 1);
}

#[test]
fn a_key_joins_the_certificate_that_was_alone_and_no_other() {
    let database = with_server();
    let certificate = database.get("WWW").unwrap().certificate().unwrap().to_vec();
    let mut other = empty();
    other.import(Some("A"), std::slice::from_ref(&certificate), None, true).unwrap();
    let wrong = database.private_key("CA").unwrap();
    let certificates = [certificate];
    assert!(other.import(None, &certificates, Some(&wrong), true).is_err());
    let right = database.private_key("WWW").unwrap();
    let imported = other.import(None, &certificates, Some(&right), true).unwrap();
    assert_eq!(imported.added, ["A"]);
    assert!(other.get("A").unwrap().has_key());
}

#[test]
fn certificates_of_one_key_keep_their_labels_and_each_its_key() {
    let mut database = with_server();
    let key = database.private_key("WWW").unwrap();
    // Renewed elsewhere, for the same key, and imported under labels of their own.
    let server = terms(Usage::Server, 30, &["www.example.com"]);
    for label in ["AGAIN", "ONCE MORE"] {
        let request = issue::request(
            &signer::Signer::load(key.clone()).unwrap(),
            subject("www").name().unwrap(),
            &[],
            None,
        );
        let signed = database.sign_request("CA", &request.unwrap(), &server, now()).unwrap();
        database.import(Some(label), &[signed.certificate], Some(&key), true).unwrap();
    }
    let certificates: Vec<_> = database.entries().iter().map(|e| e.certificate.clone()).collect();
    // Twice: what was read is what is written.
    let read = again(&again(&database));
    for (label, certificate) in ["CA", "WWW", "AGAIN", "ONCE MORE"].iter().zip(certificates) {
        assert_eq!(read.get(label).unwrap().certificate, certificate, "{label}");
        assert!(read.private_key(label).is_ok(), "{label}");
    }
    assert_eq!(read.entries().len(), 4);
    // A key alone beside them does not take a certificate away.
    let mut database = read;
    let request = database.renewal_request("AGAIN", None).unwrap();
    let answer = database.sign_request("CA", &request, &server, now()).unwrap().certificate;
    assert_eq!(again(&database).receive(&answer).unwrap(), "AGAIN", "it is the one that waits");
}

#[test]
fn a_certificate_that_was_imported_before_it_is_received_has_one_label() {
    let mut database = with_server();
    let request = database.create_request("REQ", P256, &subject("r"), &[], None).unwrap();
    let server = terms(Usage::Server, 30, &["r.example.com"]);
    let answer = database.sign_request("CA", &request, &server, now()).unwrap().certificate;
    database.import(Some("TOO EARLY"), std::slice::from_ref(&answer), None, true).unwrap();
    assert_eq!(database.receive(&answer).unwrap(), "REQ");
    let read = again(&database);
    let labels: Vec<&str> = read.entries().iter().map(Entry::label).collect();
    assert_eq!(labels, ["CA", "WWW", "REQ"]);
    assert!(read.private_key("REQ").is_ok());
}

#[test]
fn a_certificate_that_keytool_wrote_twice_is_one() {
    let der = with_server().get("CA").unwrap().certificate().unwrap().to_vec();
    let bag = |label: Option<&str>, trusted| Bag {
        label: label.map(str::to_owned),
        key_id: None,
        trusted,
        content: pkcs12::Content::Certificate(der.clone()),
    };
    let file = pkcs12::write(&[bag(None, false), bag(Some("root"), true)], PASSWORD).unwrap();
    let read = Database::open(&file, None, word(PASSWORD)).unwrap();
    assert_eq!(read.entries().len(), 1);
    assert!(read.get("root").unwrap().is_trusted());
}

#[test]
fn passwords_are_printable_ascii_and_end() {
    for bad in ["", "päss", "tab\t", &"x".repeat(129)] {
        assert_eq!(Database::new(word(bad), false, None).unwrap_err().class, Class::Password);
    }
    let end = now() + Duration::from_secs(10);
    let database = again(&Database::new(word("x"), false, Some(end)).unwrap());
    assert!(database.check_password_end(now()).is_ok());
    let late = database.check_password_end(now() + Duration::from_secs(11));
    assert_eq!(late.unwrap_err().class, Class::Password);
    let mut database = with_server();
    assert!(database.change_password(word(PASSWORD), None).is_err());
}

#[test]
fn information_is_shown_as_gskkyman_shows_it() {
    let database = with_server();
    let text = database.info("WWW").unwrap().text();
    for line in [
        "                 Label: WWW",
        "             Record ID: 2",
        "      Issuer Record ID: 1",
        "               Trusted: Yes",
        "               Version: 3",
        "          Subject name: CN=www,C=US",
        "   Signature algorithm: ecdsaWithSha256",
        "       Public key size: 256 (P-256)",
        "  Number of extensions: 5",
        "subjectAltName",
        "dns:www.example.com",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn debug_output_shows_no_key_and_no_password() {
    let database = with_server();
    let shown = format!("{:?}", database.entries());
    assert_eq!(shown, "[Entry(CA), Entry(WWW)]");
    assert!(!format!("{database:?}").contains(PASSWORD));
}
