//! Key databases as files: reading, locking, replacing.
//!
//! A database at `PATH` is the PKCS #12 file `PATH`, its sidecar `PATH.state`, and, while somebody
//! has written it, the empty `PATH.lock`. `PATH.stash` may hold its password.
//!
//! Invariants: all files are made with mode 0600. A database is replaced, never written into: the
//! sidecar learns the new state, then the new file takes the place of the old one, then the sidecar
//! forgets the old state; each step is a new file, flushed to the disk, renamed, and its directory
//! flushed. Whoever is stopped at any moment leaves a database with its state. One writer at a time
//! holds the lock; readers need none, since they read the sidecar before and after the file.
//!
//! A FIPS database is changed only while a FIPS mode is on, and a database that is not FIPS is not
//! opened then.

mod files;
pub mod serve;
mod stash;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use engine::keydb::{Class, Database, Error, Password};

use crate::exit::Exit;

/// What stands in the way of a command, or of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code it leads to.
    pub exit: Exit,
    /// What is wrong, with the file.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Failure {
    /// A failure of this class.
    pub fn new(exit: Exit, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit, what: what.into(), remedy: remedy.into() }
    }

    /// A fault of a file's content.
    #[must_use]
    pub fn of(path: &Path, error: Error) -> Self {
        Self { what: format!("{}: {}", path.display(), error.what), ..Self::from(error) }
    }

    /// An error of the operating system.
    #[must_use]
    pub fn of_io(path: &Path, doing: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let remedy = match error.kind() {
            Kind::NotFound => "correct the path",
            Kind::PermissionDenied => "give this user the right to it",
            Kind::ReadOnlyFilesystem => "mount the file system for writing",
            Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
                "make room; nothing was lost, the old database is as it was"
            }
            Kind::InvalidInput | Kind::IsADirectory => "name a regular file",
            _ => "look into the file system",
        };
        let exit = match error.kind() {
            Kind::ReadOnlyFilesystem => Exit::Permission,
            _ => Exit::of_io(error),
        };
        Self::new(exit, format!("{}: {doing}: {error}", path.display()), remedy)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.class {
            Class::Argument => Exit::Usage,
            Class::Password | Class::Data | Class::Integrity | Class::Future => Exit::Data,
            Class::Missing => Exit::NoInput,
            Class::Policy => Exit::Config,
            Class::Internal => Exit::Internal,
        };
        Self { exit, what: error.what, remedy: error.remedy }
    }
}

/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To look.
    Read,
    /// To stash its password: nothing in it changes, and its password must not change meanwhile.
    Stash,
    /// To change it.
    Change,
    /// To change its password, which may have expired.
    Password,
}

impl Access {
    fn changes(self) -> bool {
        matches!(self, Self::Change | Self::Password)
    }

    /// The lock that goes with it.
    fn lock(self, path: &Path) -> Result<Option<files::Lock>, Failure> {
        match (self, files::Lock::take(path)) {
            // Where no lock may be made there is no writer either: a database on a medium that is
            // read only can have a stash elsewhere.
            (Self::Stash, Err(failure)) if failure.exit == Exit::Permission => Ok(None),
            (_, taken) => taken.map(Some),
        }
    }
}

/// Circumstances of opening.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// Whether a FIPS mode is on.
    pub fips: bool,
    /// Now.
    pub now: SystemTime,
}

impl Circumstances {
    /// What a fault of a database leads to. In a FIPS mode an integrity check that fails ends the
    /// program as every other self-test does.
    fn failure(self, path: &Path, error: Error) -> Failure {
        let is_self_test = self.fips && error.class == Class::Integrity;
        let failure = Failure::of(path, error);
        if is_self_test { Failure { exit: Exit::Internal, ..failure } } else { failure }
    }
}

/// An open database with its place.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    /// What is in it.
    pub database: Database,
    /// Held while it may be changed.
    _lock: Option<files::Lock>,
}

impl Store {
    /// Makes a database that is not there yet.
    ///
    /// # Errors
    ///
    /// When there is one, or it cannot be written.
    pub fn create(path: &Path, database: Database) -> Result<Self, Failure> {
        let path = files::real_path_of_new(path)?;
        let lock = files::Lock::take(&path)?;
        if std::fs::symlink_metadata(&path).is_ok() {
            return Err(Failure::new(
                Exit::Config,
                format!("{}: there is a file already, and it is left alone", path.display()),
                "name another, or move that one away with its .state file",
            ));
        }
        let store = Self { path, database, _lock: Some(lock) };
        store.commit()?;
        Ok(store)
    }

    /// Opens a database with the first of several passwords that fits.
    ///
    /// # Errors
    ///
    /// When it cannot be read or locked, no password fits, its integrity check fails, its password
    /// has expired, or the mode forbids it.
    pub fn open(
        path: &Path,
        access: Access,
        circumstances: Circumstances,
        passwords: impl FnOnce() -> Result<Vec<Password>, Failure>,
    ) -> Result<Self, Failure> {
        let path = files::real_path(path)?;
        let lock = if access == Access::Read { None } else { access.lock(&path)? };
        let pair = files::read_pair(&path)?;
        let sidecar = files::with_suffix(&path, files::SIDECAR);
        let claims_fips = match &pair.sidecar {
            Some(bytes) => {
                Database::claims_fips(bytes).map_err(|error| Failure::of(&sidecar, error))?
            }
            None => false,
        };
        allowed(&path, access, circumstances, claims_fips)?;
        let mut failed = None;
        for password in passwords()? {
            let sidecar = pair.sidecar.as_ref().map(|bytes| bytes.as_slice());
            match Database::open(&pair.file, sidecar, password) {
                Ok(database) => {
                    // Now verified; a claim that was false ends here.
                    allowed(&path, access, circumstances, database.is_fips())?;
                    if access != Access::Password {
                        let end = database.check_password_end(circumstances.now);
                        end.map_err(|error| Failure::of(&path, error))?;
                    }
                    return Ok(Self { path, database, _lock: lock });
                }
                Err(error) if error.class == Class::Password => failed = Some(error),
                Err(error) => return Err(circumstances.failure(&path, error)),
            }
        }
        Err(match failed {
            Some(error) => Failure::of(&path, error),
            None => Failure::new(Exit::Data, "there is no password in the stash", "stash it again"),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its password is stashed unless a configuration says otherwise.
    #[must_use]
    pub fn stash_path(path: &Path) -> PathBuf {
        // Beside the file, not beside a link to it.
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        files::with_suffix(&real, files::STASH)
    }

    /// Writes what was changed.
    ///
    /// # Errors
    ///
    /// When a file cannot be written; the old database is then still there.
    pub fn commit(&self) -> Result<(), Failure> {
        let saved = self.database.save().map_err(|error| Failure::of(&self.path, error))?;
        if saved.file.len() >= files::FILE_MAX {
            return Err(Failure::new(
                Exit::Data,
                format!("{}: the database would be larger than 1 MiB", self.path.display()),
                "delete what is not needed, or begin a second database",
            ));
        }
        let sidecar = files::with_suffix(&self.path, files::SIDECAR);
        files::replace(&sidecar, &saved.sidecar_meanwhile, &self.path)?;
        files::replace(&self.path, &saved.file, &self.path)?;
        // The change has happened: a sidecar that also keeps the old state goes with it as well.
        let _ = files::replace(&sidecar, &saved.sidecar, &self.path);
        Ok(())
    }

    /// Stashes the password, and says where.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn stash(&self, at: Option<&Path>) -> Result<PathBuf, Failure> {
        let at = at.map_or_else(|| Self::stash_path(&self.path), Path::to_path_buf);
        stash::write(&at, &[self.database.password()], &self.path)?;
        Ok(at)
    }

    /// Changes the password, in the stash too if there is one. While the database is being
    /// replaced the stash holds both.
    ///
    /// # Errors
    ///
    /// When the new password is not good enough, or a file cannot be written.
    pub fn change_password(
        &mut self,
        password: Password,
        ends: Option<SystemTime>,
        stash: Option<&Path>,
    ) -> Result<bool, Failure> {
        let old = self.database.password().clone();
        let changed = self.database.change_password(password, ends);
        changed.map_err(|error| Failure::of(&self.path, error))?;
        let stash = stash.map_or_else(|| Self::stash_path(&self.path), Path::to_path_buf);
        let stashed = std::fs::symlink_metadata(&stash).is_ok();
        if stashed {
            stash::write(&stash, &[&old, self.database.password()], &self.path)?;
        }
        self.commit()?;
        if stashed {
            stash::write(&stash, &[self.database.password()], &self.path)?;
        }
        Ok(stashed)
    }
}

/// The passwords of a stash.
///
/// # Errors
///
/// When it cannot be read, is no stash, or others than its owner may read it.
pub fn read_stash(path: &Path) -> Result<Vec<Password>, Failure> {
    stash::read(path)
}

/// Reads a file of less than a mebibyte, a password or a certificate.
///
/// # Errors
///
/// Those of the file system.
pub fn read_file(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, Failure> {
    crate::config::read_bounded(path)
        .map_err(|error| Failure::of_io(path, "the file cannot be read", &error))
}

/// Writes a new file that only its owner can read.
///
/// # Errors
///
/// When there is one already, or it cannot be written.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    files::write_new(path, bytes)
}

fn allowed(
    path: &Path,
    access: Access,
    circumstances: Circumstances,
    is_fips: bool,
) -> Result<(), Failure> {
    let refuse = |what: &str, remedy: &str| {
        Err(Failure::new(Exit::Config, format!("{}: {what}", path.display()), remedy))
    };
    match (circumstances.fips, is_fips) {
        (true, false) => refuse(
            "this is not a FIPS key database, and a FIPS mode is on",
            "make one with `adjunct keydb create --fips` and import what you need",
        ),
        (false, true) if access.changes() => refuse(
            "a FIPS key database is read-only while no FIPS mode is on",
            "give --mode fips-140-3 or fips-140-2",
        ),
        _ => Ok(()),
    }
}
