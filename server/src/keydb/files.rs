//! The files of a database: their names, the lock, reading them together, replacing one.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::Failure;
use crate::config::read_bounded;
use crate::exit::Exit;

pub(super) const SIDECAR: &str = ".state";
pub(super) const STASH: &str = ".stash";
const LOCK: &str = ".lock";
const NEW: &str = ".new";

/// What [`read_bounded`] reads; a database must not grow beyond it.
pub(super) const FILE_MAX: usize = 1 << 20;

/// How long a writer waits for another one.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_STEP: Duration = Duration::from_millis(20);

/// How often a reader begins again because a writer came between.
const READ_TRIES: usize = 50;

/// A path with something after its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The path without symbolic links: a rename must replace the file, not a link to it.
pub(super) fn real_path(path: &Path) -> Result<PathBuf, Failure> {
    fs::canonicalize(path)
        .map_err(|error| Failure::of_io(path, "the key database cannot be opened", &error))
}

/// The same for a file that is not there yet.
pub(super) fn real_path_of_new(path: &Path) -> Result<PathBuf, Failure> {
    let Some(name) = path.file_name() else {
        let what = format!("{}: this is not the name of a file", path.display());
        return Err(Failure::new(Exit::Usage, what, "name the new database, e.g. tn3270.p12"));
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = fs::canonicalize(directory);
    directory
        .map(|directory| directory.join(name))
        .map_err(|error| Failure::of_io(path, "its directory cannot be opened", &error))
}

/// The right to change a database; given back when dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for other writers, but not for ever.
    pub(super) fn take(database: &Path) -> Result<Self, Failure> {
        let path = with_suffix(database, LOCK);
        let fail = |error: io::Error| Failure::of_io(&path, "the lock cannot be taken", &error);
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).mode(0o600).open(&path);
        let file = file.map_err(fail)?;
        // Whoever could open it can lock it, whose it may be.
        let _ = give_to_owner(&file, database);
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    thread::sleep(LOCK_STEP);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Failure::new(
                        Exit::OsError,
                        format!("{}: another process is changing it", database.display()),
                        "try again when it has finished",
                    ));
                }
                Err(TryLockError::Error(error)) => return Err(fail(error)),
            }
        }
    }
}

/// A database and its sidecar, of one moment.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) file: Zeroizing<Vec<u8>>,
    pub(super) sidecar: Option<Zeroizing<Vec<u8>>>,
}

/// Reads both. A sidecar never returns to what it was before, so if it is the same before and after
/// the file was read, the file is one that it has a state of.
pub(super) fn read_pair(path: &Path) -> Result<Pair, Failure> {
    let fail = |at: &Path, error: &io::Error| Failure::of_io(at, "it cannot be read", error);
    let beside = with_suffix(path, SIDECAR);
    let sidecar = || match read_bounded(&beside) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fail(&beside, &error)),
    };
    let mut before = sidecar()?;
    for _ in 0..READ_TRIES {
        let file = read_bounded(path).map_err(|error| fail(path, &error))?;
        let after = sidecar()?;
        if before == after {
            return Ok(Pair { file, sidecar: after });
        }
        before = after;
    }
    Err(Failure::new(
        Exit::OsError,
        format!("{}: it is being changed all the time", path.display()),
        "try again later",
    ))
}

/// Puts bytes in the place of a file of a database, such that at any moment one of both is there as
/// a whole. The new file belongs to whom the database belongs.
pub(super) fn replace(path: &Path, bytes: &[u8], database: &Path) -> Result<(), Failure> {
    let new = with_suffix(path, NEW);
    let written = write_and_rename(path, &new, bytes, database);
    written.map_err(|error| {
        // What is left of it is in nobody's way, so neither is a failure to remove it.
        let _ = fs::remove_file(&new);
        Failure::of_io(path, "it cannot be written", &error)
    })
}

fn write_and_rename(path: &Path, new: &Path, bytes: &[u8], database: &Path) -> io::Result<()> {
    // Of a writer that was killed; only the holder of the lock writes here.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write_durably(new, bytes, Some(database))?;
    fs::rename(new, path)?;
    sync_directory(path)
}

fn write_durably(path: &Path, bytes: &[u8], database: Option<&Path>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    if let Some(database) = database {
        give_to_owner(&file, database)?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives a file to the owner of the database, if there is one yet: when root changes the database
/// of the daemon's user, that user must be able to read it afterwards.
fn give_to_owner(file: &File, database: &Path) -> io::Result<()> {
    let Ok(owner) = fs::metadata(database) else { return Ok(()) };
    let made = file.metadata()?;
    if (made.uid(), made.gid()) == (owner.uid(), owner.gid()) {
        return Ok(());
    }
    let given = fchown(file, Some(owner.uid()), Some(owner.gid()));
    // Nobody but the owner may use it, so the group alone does not matter.
    given.or_else(|error| if made.uid() == owner.uid() { Ok(()) } else { Err(error) }).map_err(
        |error| {
            let what = format!("the database belongs to another user, who must own it ({error})");
            io::Error::new(error.kind(), what)
        },
    )
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// Writes a file that is not there yet.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    write_durably(path, bytes, None).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            return Failure::new(
                Exit::Config,
                format!("{}: there is a file already, and it is left alone", path.display()),
                "name another, or move that one away",
            );
        }
        let _ = fs::remove_file(path);
        Failure::of_io(path, "it cannot be written", &error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_with_mode_0600() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(with_suffix(&path, NEW), "left by a writer that was killed").unwrap();
        for text in ["one", "two"] {
            replace(&path, text.as_bytes(), &path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!with_suffix(&path, NEW).exists());
        assert!(write_new(&path, b"three").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    }

    #[test]
    fn a_link_is_followed_to_the_file_that_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real"), directory.path().join("link"));
        fs::write(&real, "x").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(real_path(&link).unwrap(), fs::canonicalize(&real).unwrap());
        assert!(real_path_of_new(Path::new("..")).is_err());
    }

    #[test]
    fn two_writers_do_not_hold_the_lock_together() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let first = Lock::take(&path).unwrap();
        let other = thread::spawn({
            let path = path.clone();
            move || Lock::take(&path).is_ok()
        });
        thread::sleep(LOCK_STEP);
        assert!(!other.is_finished());
        drop(first);
        assert!(other.join().unwrap());
    }
}
