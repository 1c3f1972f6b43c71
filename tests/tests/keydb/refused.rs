//! What is refused: wrong passwords, damaged files, later formats, modes, what others depend on.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use adjunct::keydb::{Access, Circumstances, Store};
use engine::keydb::Password;

use crate::{PASSWORD, Place};

#[test]
fn a_wrong_password_is_said_and_changes_nothing() {
    let place = Place::with_server();
    let before = fs::read(place.database()).unwrap();
    place.write("password", "another\n");
    for command in [&["list"][..], &["rename", "WWW", "W"], &["export", "WWW"]] {
        let _ = place.keydb(command).exit(65).says("password is wrong").says("remedy:");
    }
    assert_eq!(fs::read(place.database()).unwrap(), before);
}

#[test]
fn a_file_that_was_cut_or_is_none_is_said() {
    let place = Place::with_server();
    let whole = fs::read(place.database()).unwrap();
    for (length, word) in [
        (0, "empty"),
        (1, "cut short"),
        (whole.len() / 2, "cut short"),
        (whole.len() - 1, "cut short"),
    ] {
        fs::write(place.database(), &whole[..length]).unwrap();
        let _ = place.keydb(&["list"]).exit(65).says(word).says("a.p12");
    }
    place.write("a.p12", "-----BEGIN CERTIFICATE-----\n");
    let _ = place.keydb(&["list"]).exit(65).says("not PKCS #12");
    fs::remove_file(place.database()).unwrap();
    let _ = place.keydb(&["list"]).exit(66).says("a.p12");
    // The sidecar alone is in nobody's way.
    let _ = place.keydb(&["create"]).success();
    let _ = place.keydb(&["create"]).exit(78).says("left alone");
}

#[test]
fn a_later_format_is_said() {
    let place = Place::with_server();
    let state = fs::read_to_string(place.path("a.p12.state")).unwrap();
    place.write("a.p12.state", &state.replace("\"version\": 1", "\"version\": 9"));
    let _ = place.keydb(&["list"]).exit(65).says("format version 9").says("use the version");
    place.write("a.p12.state", &state[..state.len() / 2]);
    let _ = place.keydb(&["list"]).exit(65).says("sidecar is damaged");
    place.write("a.p12.state", &state);
    let mut file = fs::read(place.database()).unwrap();
    let version = file.windows(3).position(|bytes| bytes == [2, 1, 3]).unwrap() + 2;
    file[version] = 7;
    fs::write(place.database(), file).unwrap();
    let _ = place.keydb(&["list"]).exit(65).says("version 7").says("use the version");
}

#[test]
fn no_byte_of_a_fips_database_can_be_changed_unseen() {
    let place = Place::empty();
    let mode = ["--mode", "fips-140-2"];
    let fips = |arguments: &[&str]| place.keydb(&[arguments, &mode].concat());
    let _ = fips(&["create", "--fips"]).success();
    let _ = fips(&["ca", "CA", "--cn", "ca", "--key", "p256"]).success();
    let state = fs::read_to_string(place.path("a.p12.state")).unwrap();
    for (from, to) in
        [("\"trusted\": true", "\"trusted\": false"), ("\"fips\": true", "\"fips\": false")]
    {
        place.write("a.p12.state", &state.replace(from, to));
        let done = place.keydb(&["list"]);
        assert_ne!(done.code, Some(0), "{from}\n{}", done.output());
    }
    // Another database with the same password, under this sidecar.
    place.write("a.p12.state", &state);
    let other = Place::new();
    fs::copy(other.database(), place.database()).unwrap();
    let _ = place.keydb(&["list"]).exit(65).says("integrity check");
    // Without its sidecar it is no FIPS database, and a FIPS mode refuses it.
    fs::remove_file(place.path("a.p12.state")).unwrap();
    let _ = fips(&["list"]).exit(78).says("not a FIPS key database");
}

#[test]
fn modes_decide_who_may_change_what() {
    let place = Place::empty();
    let mode = ["--mode", "fips-140-3"];
    let _ = place.keydb(&[&["create"][..], &mode].concat()).exit(78).says("--fips");
    let _ = place.keydb(&["create", "--fips"]).success();
    let ca = ["ca", "CA", "--cn", "ca", "--key", "p256"];
    let _ = place.keydb(&ca).exit(78).says("read-only while no FIPS mode is on");
    let other = [&ca[..], &["--mode", "nist-800-131a"]].concat();
    let _ = place.keydb(&other).exit(78).says("read-only");
    let _ = place.keydb(&[&ca[..], &mode].concat()).success();
    let _ = place.keydb(&["show", "CA"]).success();
    let _ = place.keydb(&["list", "--mode", "strict"]).exit(64).says("strict");
    // From a configuration file.
    let text = "[server]\nmode = [\"fips-140-2\"]\n";
    let config = place.write("a.toml", text).to_string_lossy().into_owned();
    let _ = place.keydb(&["rename", "CA", "C", "--config", &config]).success();
    let plain = Place::new();
    let _ = plain.keydb(&["list", "--config", &config]).exit(78).says("not a FIPS key database");
    let short = plain.write("short", "too short\n").to_string_lossy().into_owned();
    let other = plain.text("b.p12");
    let create = ["keydb", "create", &other, "--fips", "--password-file", &short];
    let _ = adjunct_tests::adjunct!().run(&create).exit(65).says("14 characters");
}

#[test]
fn an_expired_password_lets_nobody_in_but_to_change_it() {
    let place = Place::empty();
    let _ = place.keydb(&["create", "--expire-days", "1"]).success();
    let end = place.json(&["list"])["password_ends"].as_str().unwrap().to_owned();
    assert!(end.starts_with("20") && end.ends_with('Z'), "{end}");
    let open = |access, days: u64| {
        let now = SystemTime::now() + Duration::from_secs(days * 86_400);
        let circumstances = Circumstances { fips: false, now };
        let password = || Ok(vec![Password::new(PASSWORD.to_owned())]);
        Store::open(&place.database(), access, circumstances, password)
    };
    assert!(open(Access::Change, 0).is_ok());
    for access in [Access::Read, Access::Change] {
        let refused = open(access, 2).unwrap_err();
        assert!(refused.what.contains("expired") && refused.remedy.contains("passwd"));
    }
    assert!(open(Access::Password, 2).is_ok());
    let _ = place.keydb(&["create", "--expire-days", "0"]).exit(64);
}

#[test]
fn a_stash_is_for_its_owner_alone() {
    let place = Place::with_server();
    let (database, stash) = (place.text("a.p12"), place.path("a.p12.stash"));
    let _ = place.keydb(&["stash"]).success().says("a.p12.stash");
    let list = || adjunct_tests::adjunct!().run(&["keydb", "list", &database, "--stash"]);
    let _ = list().success();
    assert_eq!(fs::metadata(&stash).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&stash).unwrap().contains(PASSWORD));
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(&stash, fs::Permissions::from_mode(mode)).unwrap();
        let _ = list().exit(77).says("chmod 0600");
    }
    fs::set_permissions(&stash, fs::Permissions::from_mode(0o600)).unwrap();
    let new = place.write("new", "the next password\n").to_string_lossy().into_owned();
    let _ =
        place.keydb(&["passwd", "--new-password-file", &new]).success().says("in the stash too");
    let _ = list().success();
    let _ = place.keydb(&["list"]).exit(65);
    for file in ["a.p12", "a.p12.state", "a.p12.lock"] {
        let mode = fs::metadata(place.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn what_others_depend_on_is_not_deleted_by_mistake() {
    let place = Place::with_server();
    let _ = place.keydb(&["request", "REQ", "--cn", "r", "--key", "p256"]).success();
    let _ = place.keydb(&["delete", "CA"]).exit(78).says("issued WWW").says("--force");
    let _ = place.keydb(&["delete", "WWW"]).exit(78).says("default key");
    let _ = place.keydb(&["delete", "REQ"]).exit(78).says("not answered");
    let _ = place.keydb(&["delete", "none"]).exit(66).says("no label");
    assert_eq!(place.labels(), ["CA", "WWW", "REQ"]);
    let _ = place.keydb(&["delete", "CA", "--force"]).success();
    assert_eq!(place.labels(), ["WWW", "REQ"]);
}

#[test]
fn weak_keys_hashes_and_nameless_servers_are_not_made() {
    let place = Place::with_server();
    let issue = ["issue", "X", "--ca", "CA", "--key", "p256"];
    let more = |more: &[&str]| place.keydb(&[&issue[..], more].concat());
    let _ = more(&["--cn", "no host name"]).exit(64).says("subject alternative name");
    let _ = more(&["--cn", "x", "--digest", "sha1"]).exit(64);
    let _ = more(&["--cn", "x", "--days", "0"]).exit(64).says("days");
    let _ = more(&["--cn", "x", "--country", "USA"]).exit(64).says("ISO 3166");
    let _ = more(&["--cn", "x", "--san", "a_b"]).exit(64).says("underscore");
    let weak = ["issue", "X", "--ca", "CA", "--cn", "x", "--key", "rsa1024"];
    let _ = place.keydb(&weak).exit(64).says("rsa2048");
    let _ = place.keydb(&["issue", "X", "--ca", "WWW", "--cn", "x"]).exit(78).says("cannot sign");
    let _ = place.keydb(&["ca", "www", "--cn", "x", "--key", "p256"]).exit(78).says("taken");
}
