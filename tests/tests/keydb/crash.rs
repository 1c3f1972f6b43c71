//! Writers that are stopped, that meet each other, that find no room: nothing is lost.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use adjunct::keydb::{Access, Circumstances, Store};
use adjunct_tests::process::{Process, run};
use adjunct_tests::skip;
use engine::keydb::Password;
use tempfile::TempDir;

use crate::{PASSWORD, Place};

/// Somebody who is not root.
const NOBODY: u32 = 65_534;

/// Random enough to spread moments.
fn random(below: u128) -> u128 {
    u128::from(RandomState::new().hash_one(0)) % below.max(1)
}

/// The labels, read in this process: a FIPS database, its integrity check included.
fn labels(path: &Path) -> BTreeSet<String> {
    let circumstances = Circumstances { fips: true, now: std::time::SystemTime::now() };
    let password = || Ok(vec![Password::new(PASSWORD.to_owned())]);
    let store = Store::open(path, Access::Read, circumstances, password)
        .unwrap_or_else(|failure| panic!("the database is lost: {failure:?}"));
    store.database.entries().iter().map(|entry| entry.label().to_owned()).collect()
}

#[test]
fn a_hundred_writers_that_are_killed_lose_nothing() {
    let place = Place::empty();
    let mode = ["--mode", "fips-140-3"];
    let _ = place.keydb(&[&["create", "--fips"][..], &mode].concat()).success();
    let ca = ["ca", "CA", "--cn", "ca", "--key", "p256"];
    let _ = place.keydb(&[&ca[..], &mode].concat()).success();
    let (one, two) = (BTreeSet::from(["CA".to_owned()]), BTreeSet::from(["CB".to_owned()]));
    let writer = |from: &str, to: &str| {
        let mut command = place.command(&[&["rename", from, to][..], &mode].concat());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let began = Instant::now();
    assert!(writer("CA", "CB").status().unwrap().success());
    let whole = began.elapsed();
    let (mut changed, mut kept) = (0, 0);
    for trial in 0..100 {
        let before = labels(&place.database());
        let (from, to) = if before == one { ("CA", "CB") } else { ("CB", "CA") };
        assert!(before == one || before == two, "{before:?}");
        let state = place.path("a.p12.state");
        let inode = |path: &Path| fs::metadata(path).map_or(0, |data| data.ino());
        let untouched = inode(&state);
        let mut child = writer(from, to).spawn().unwrap();
        if trial % 2 == 0 {
            // Any moment of the whole run.
            let wait = random(whole.as_nanos());
            std::thread::sleep(Duration::from_nanos(u64::try_from(wait).unwrap()));
        } else {
            // Any moment between the first rename and a little after the last.
            let deadline = Instant::now() + Duration::from_secs(60);
            while inode(&state) == untouched && child.try_wait().unwrap().is_none() {
                assert!(Instant::now() < deadline, "the writer writes nothing");
                std::thread::sleep(Duration::from_micros(50));
            }
            let wait = random(3_000_000);
            std::thread::sleep(Duration::from_nanos(u64::try_from(wait).unwrap()));
        }
        let _ = child.kill();
        let _ = child.wait();
        let after = labels(&place.database());
        assert!(after == one || after == two, "{after:?}");
        if after == before { kept += 1 } else { changed += 1 }
    }
    // If one of these were 0, the moments would not have been where something happens.
    assert!(changed > 0 && kept > 0, "changed {changed}, kept {kept}");
    let _ = place.keydb(&[&["list"][..], &mode].concat()).success();
}

#[test]
fn writers_at_once_all_have_their_way() {
    let place = Place::new();
    let other = Place::with_server();
    let root = other.export("CA", &[]).to_string_lossy().into_owned();
    let requests =
        (0..4).map(|n| place.command(&["request", &format!("R{n}"), "--cn", "x", "--key", "p256"]));
    let import = place.command(&["import", &root, "--label", "CA"]);
    let mut commands: Vec<Command> = requests.chain([import]).collect();
    let writers: Vec<Process> = commands.iter_mut().map(Process::start).collect();
    // Readers meanwhile see a whole database each time.
    for _ in 0..5 {
        let _ = place.labels();
    }
    for (writer, command) in writers.into_iter().zip(&mut commands) {
        let done = writer.finish();
        // On a machine that has much else to do patience may end; to try again is the remedy.
        if done.code == Some(71) {
            let _ = done.says("another process is changing it").says("try again");
            let _ = run(command, b"").success();
        } else {
            let _ = done.success();
        }
    }
    let found: BTreeSet<String> = place.labels().into_iter().collect();
    let wanted = (0..4).map(|n| format!("R{n}")).chain(["CA".to_owned()]);
    assert_eq!(found, wanted.collect());
}

#[test]
fn a_writer_does_not_wait_for_ever_for_another() {
    let place = Place::with_server();
    let lock = fs::File::open(place.path("a.p12.lock")).unwrap();
    lock.lock().unwrap();
    // A stash must not be written meanwhile either: it could be that of the password before.
    let waiting = [&["rename", "WWW", "W"][..], &["stash"]]
        .map(|command| Process::start(&mut place.command(command)));
    for writer in waiting {
        let _ = writer.finish().exit(71).says("another process");
    }
    assert!(!place.path("a.p12.stash").exists());
    let _ = place.keydb(&["list"]).success();
    drop(lock);
    let _ = place.keydb(&["rename", "WWW", "W"]).success();
}

#[test]
fn a_full_disk_leaves_the_old_database() {
    let place = Place::with_server();
    let before = fs::read(place.database()).unwrap();
    let command = place.command(&["rename", "WWW", "W"]);
    let limited = |blocks: usize| {
        // A limit of the size of files stands for a disk without room; the signal that comes with
        // it would say nothing.
        let mut shell = Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        shell.arg("-c").arg(script).arg(command.get_program()).args(command.get_args());
        run(&mut shell, b"")
    };
    for blocks in [0, 1, 2] {
        let done = limited(blocks).exit(71).says("nothing was lost");
        assert!(done.stderr.contains("a.p12"), "{}", done.stderr);
        assert_eq!(fs::read(place.database()).unwrap(), before, "{blocks}");
        assert_eq!(place.labels(), ["CA", "WWW"]);
        assert!(!place.path("a.p12.new").exists());
    }
    let _ = limited(1000).success();
    assert_eq!(place.labels(), ["CA", "W"]);
}

#[test]
fn a_database_that_root_changes_stays_that_of_its_owner() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        skip!("only root can change what belongs to somebody else");
    }
    let place = Place::with_server();
    for file in ["a.p12", "a.p12.state"] {
        chown(place.path(file), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    fs::remove_file(place.path("a.p12.lock")).unwrap();
    let _ = place.keydb(&["rename", "WWW", "W"]).success();
    let _ = place.keydb(&["stash"]).success();
    for file in ["a.p12", "a.p12.state", "a.p12.lock", "a.p12.stash"] {
        let data = fs::metadata(place.path(file)).unwrap();
        assert_eq!((data.uid(), data.gid()), (NOBODY, NOBODY), "{file}");
        assert_eq!(data.permissions().mode() & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_directory_that_may_not_be_written_is_named() {
    let place = Place::with_server();
    let directory = place.directory.path();
    // Permissions mean nothing to root: somebody else has to try.
    let am_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if am_root {
        for file in fs::read_dir(directory).unwrap().flatten() {
            chown(file.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        chown(directory, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    fs::remove_file(place.path("a.p12.lock")).unwrap();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o555)).unwrap();
    // Where nobody else may look into the directory of the build, a copy will do.
    let elsewhere = TempDir::new().unwrap();
    fs::set_permissions(elsewhere.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = elsewhere.path().join("adjunct");
    if am_root {
        fs::copy(env!("CARGO_BIN_EXE_adjunct-under-test"), &copy).unwrap();
    }
    let attempt = |arguments: &[&str]| {
        let ours = place.command(arguments);
        if !am_root {
            let mut ours = ours;
            return run(&mut ours, b"");
        }
        let mut command = Command::new(&copy);
        command.args(ours.get_args()).uid(NOBODY).gid(NOBODY);
        for name in ["ADJUNCT_CONFIG", "ADJUNCT_MODE"] {
            command.env_remove(name);
        }
        run(&mut command, b"")
    };
    let _ = attempt(&["rename", "WWW", "W"]).exit(77).says("a.p12").says("Permission denied");
    let _ = attempt(&["list"]).success().says("WWW");
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    let _ = attempt(&["rename", "WWW", "W"]).success();
}
