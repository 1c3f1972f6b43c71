//! The daemon serves keys of a database to real clients.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use adjunct_tests::adjunct;
use adjunct_tests::backend::Backend;
use adjunct_tests::client::{REQUEST, curl, openssl};
use adjunct_tests::need;

use crate::{PASSWORD, Place};

/// A configuration with these labels.
pub(crate) fn config(place: &Place, listen: &str, backend: &str, more: &str) -> String {
    format!(
        "[server]\nkeydb = \"{}\"\n\n[[service]]\nname = \"a\"\nlisten = \"{listen}\"\n\
         backend = \"{backend}\"\n{more}\n",
        place.text("a.p12")
    )
}

#[test]
fn labels_are_served_with_their_chains_and_clients_are_known_by_their_certificates() {
    let _ = need!("openssl");
    let _ = need!("curl");
    let place = Place::new();
    let _ = place.keydb(&["ca", "ROOT", "--cn", "root", "--key", "rsa2048"]).success();
    let sub = ["issue", "SUB", "--ca", "ROOT", "--usage", "ca", "--cn", "sub"];
    let _ = place.keydb(&sub).success();
    let _ = place.keydb(&["ca", "ECROOT", "--cn", "ecroot", "--key", "p256"]).success();
    for (label, ca, key, usage) in [
        ("RSA", "SUB", "rsa2048", "server"),
        ("EC", "ECROOT", "p256", "server"),
        ("ME", "SUB", "rsa2048", "client"),
    ] {
        let issue = ["issue", label, "--ca", ca, "--key", key, "--usage", usage, "--cn", "a.test"];
        let _ = place.keydb(&issue).success();
    }
    let _ = place.keydb(&["stash"]).success();
    let root = place.export("ROOT", &[]);
    let ec_root = place.export("ECROOT", &[]);
    let both = place.path("roots.pem");
    let text = |path| fs::read_to_string(path).unwrap();
    fs::write(&both, format!("{}{}", text(&root), text(&ec_root))).unwrap();
    let me = place.export("ME", &["--chain", "--key"]);
    let backend = Backend::http();
    let mut daemon = adjunct!().start(|[at, demands]| {
        let backend = backend.address.to_string();
        let ca = root.display();
        let plain = config(&place, &at.to_string(), &backend, "label = [\"EC\", \"RSA\"]");
        format!(
            "{plain}[[service]]\nname = \"b\"\nlisten = \"{demands}\"\nbackend = \"{backend}\"\n\
             label = \"RSA\"\nclient_auth = {{ mode = \"required\", ca = \"{ca}\" }}\n"
        )
    });
    let [at, demands] = daemon.addresses;
    for (options, roots, label) in [
        (&["-tls1_3", "-sigalgs", "ECDSA+SHA256"][..], &ec_root, "EC"),
        (&["-tls1_3", "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"][..], &root, "RSA"),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"][..], &ec_root, "EC"),
        (&["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"][..], &root, "RSA"),
    ] {
        let done = openssl::s_client(at, "a.test", roots, options, REQUEST).success();
        assert!(done.stdout.contains("Verify return code: 0"), "{label}\n{}", done.output());
        let record = daemon.completed();
        let shown = record.0["certificate"].as_str().unwrap();
        assert!(shown.ends_with(&format!("a.p12 label \"{label}\"")), "{shown}");
    }
    let _ = curl::get(at, "a.test", &both, &[]).success();
    let _ = daemon.completed();
    let me = me.to_string_lossy();
    let _ = curl::get(demands, "a.test", &root, &["--cert", &me]).success();
    let record = daemon.completed();
    assert!(record.0.to_string().contains("CN=a.test"), "{}", record.0);
    let refused = curl::get(demands, "a.test", &root, &[]);
    assert_ne!(refused.code, Some(0));
}

#[test]
fn check_and_run_name_database_label_and_reason() {
    let place = Place::with_server();
    let file = place.path("adjunct.toml");
    let refuses = |text: &str, code: i32, words: &[&str]| {
        fs::write(&file, text).unwrap();
        for verb in ["check", "run"] {
            let mut done = adjunct!().with_file(verb, &file).exit(code);
            for word in words.iter().chain(&["adjunct.toml", "remedy:"]) {
                done = done.says(word);
            }
        }
    };
    let with = |more: &str| config(&place, "127.0.0.1:10992", "127.0.0.1:10023", more);
    refuses(&with("label = \"WWW\""), 66, &["adjunct.toml:2:", "a.p12.stash"]);
    let _ = place.keydb(&["stash"]).success();
    fs::write(&file, with("label = \"WWW\"")).unwrap();
    let good = adjunct!().with_file("check", &file).success();
    assert!(good.stdout.contains("label \"WWW\": CN=www"), "{}", good.output());
    // A root is not sent, so nothing is missing; where the issuer is not here that is said.
    assert!(!good.stderr.contains("[intermediate-missing]"), "{}", good.output());
    let root = place.export("CA", &[]).to_string_lossy().into_owned();
    let _ = place.keydb(&["delete", "CA", "--force"]).success();
    let _ = adjunct!().with_file("check", &file).success().says("[intermediate-missing]");
    let _ = place.keydb(&["import", &root, "--label", "CA"]).success();
    refuses(&with("label = \"none\""), 66, &["adjunct.toml:8:", "no label \"none\""]);
    refuses(&with("label = \"www\""), 66, &["did you mean \"WWW\""]);
    refuses(&with("label = []"), 78, &["the list is empty"]);
    refuses(&with("label = [\"WWW\", \"WWW\"]"), 78, &["named twice"]);
    refuses(&with(""), 78, &["cert"]);
    let _ = place.keydb(&["request", "REQ", "--cn", "r", "--key", "p256"]).success();
    refuses(&with("label = \"REQ\""), 66, &["not answered"]);
    let without = with("label = \"WWW\"").replacen("keydb", "# keydb", 1);
    refuses(&without, 78, &["no key database", "a.label"]);
    let mode = "[server]\nmode = [\"fips-140-3\"]\n";
    let fips = with("label = \"WWW\"").replacen("[server]\n", mode, 1);
    refuses(&fips, 78, &["adjunct.toml:3:", "not a FIPS key database"]);
    let stash = place.path("a.p12.stash");
    fs::set_permissions(&stash, fs::Permissions::from_mode(0o644)).unwrap();
    refuses(&with("label = \"WWW\""), 77, &["a.p12.stash", "chmod 0600"]);
    fs::set_permissions(&stash, fs::Permissions::from_mode(0o600)).unwrap();
    let whole = fs::read(place.database()).unwrap();
    fs::write(place.database(), &whole[..whole.len() - 9]).unwrap();
    refuses(&with("label = \"WWW\""), 65, &["a.p12", "cut short"]);
    fs::remove_file(place.database()).unwrap();
    refuses(&with("label = \"WWW\""), 66, &["a.p12"]);
    assert!(!fs::read_to_string(&file).unwrap().contains(PASSWORD));
}
