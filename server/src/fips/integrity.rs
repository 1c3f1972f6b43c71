//! The file with the value of the program, beside the program.
//!
//! Purpose: `adjunct` is checked against `adjunct.hmac` in the same directory. The file is written
//! by a build or install step: `adjunct integrity --write`, or `openssl dgst` where the program
//! cannot run. How the value is made is [`engine::integrity`]'s business.
//!
//! Invariants: what is read is the file that this process was started from, not one that has its
//! name by now; a value is replaced as a whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use engine::integrity::{self, Mac};

use crate::exit::Exit;

/// The program of this process, as the kernel knows it.
const RUNNING: &str = "/proc/self/exe";

/// A value is a line; more is something else.
const FILE_BYTES_MAX: u64 = 4096;

/// What to do about a value that is missing or does not fit.
macro_rules! remedy {
    () => {
        "install the program again, or, if you have just built or changed it yourself, run \
         `adjunct integrity --write`"
    };
}

/// Why the integrity of the program is not established, or its value not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program cannot be found or read.
    #[error(
        "the program itself cannot be read ({path}: {error}); is /proc mounted?",
        path = path.display()
    )]
    Program {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        error: integrity::Error,
    },
    /// There is no value.
    #[error(
        "the integrity of {program} cannot be checked: there is no {file}; {remedy}",
        program = program.display(), file = file.display(), remedy = remedy!()
    )]
    Missing {
        /// The program.
        program: PathBuf,
        /// Its file.
        file: PathBuf,
    },
    /// There is a file, and it cannot be read.
    #[error(
        "the integrity of the program cannot be checked: {file}: {error}; give the user of the \
         daemon the right to read it", file = file.display()
    )]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is a file, and it is no value.
    #[error(
        "the integrity of the program cannot be checked: {file}: {error}; {remedy}",
        file = file.display(), remedy = remedy!()
    )]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Why.
        error: integrity::Malformed,
    },
    /// The program is another one.
    #[error(
        "{program} is not the program that was installed: its HMAC-SHA-256 is {found}, and {file} \
         says {expected}; {remedy}",
        program = program.display(), file = file.display(), remedy = remedy!()
    )]
    Differs {
        /// The program.
        program: PathBuf,
        /// Its file.
        file: PathBuf,
        /// The value of the program.
        found: Mac,
        /// The value of the file.
        expected: Mac,
    },
    /// The value cannot be written.
    #[error(
        "{file} cannot be written: {error}; run this as the user who owns the directory",
        file = file.display()
    )]
    Unwritable {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl Error {
    /// The exit code of `adjunct integrity`. A start in a FIPS mode ends with 70 for all of them.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Missing { .. } => Exit::NoInput,
            Self::Unreadable { error, .. } | Self::Unwritable { error, .. } => Exit::of_io(error),
            Self::Program { .. } => Exit::OsError,
            Self::Malformed { .. } | Self::Differs { .. } => Exit::Internal,
        }
    }
}

/// The program of this process.
#[derive(Debug)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// Where its value is.
    pub file: PathBuf,
}

impl Program {
    /// Finds it.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn running() -> Result<Self, Error> {
        let unknown =
            |error| Error::Program { path: RUNNING.into(), error: io::Error::into(error) };
        Ok(Self::at(std::env::current_exe().map_err(unknown)?))
    }

    fn at(path: PathBuf) -> Self {
        let mut file = OsString::from(&path);
        file.push(".hmac");
        Self { path, file: file.into() }
    }

    /// The value of the program.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn mac(&self) -> Result<Mac, Error> {
        self.mac_of(Path::new(RUNNING))
    }

    fn mac_of(&self, program: &Path) -> Result<Mac, Error> {
        let failed = |error| Error::Program { path: self.path.clone(), error };
        let file = File::open(program).map_err(|error| failed(error.into()))?;
        Mac::of(file).map_err(failed)
    }

    /// Compares the program with its value.
    ///
    /// # Errors
    /// There is no value, or another one.
    pub fn check(&self) -> Result<Mac, Error> {
        let expected = self.expected()?;
        let found = self.mac()?;
        self.compare(found, expected)
    }

    fn compare(&self, found: Mac, expected: Mac) -> Result<Mac, Error> {
        if found == expected {
            return Ok(found);
        }
        let (program, file) = (self.path.clone(), self.file.clone());
        Err(Error::Differs { program, file, found, expected })
    }

    /// The value that stands beside the program.
    fn expected(&self) -> Result<Mac, Error> {
        let file = || self.file.clone();
        let unreadable = |error| Error::Unreadable { file: file(), error };
        let mut text = String::new();
        match File::open(&self.file) {
            Ok(open) => {
                let read = open.take(FILE_BYTES_MAX).read_to_string(&mut text);
                if let Err(error) = read
                    && error.kind() != io::ErrorKind::InvalidData
                {
                    return Err(unreadable(error));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Missing { program: self.path.clone(), file: file() });
            }
            Err(error) => return Err(unreadable(error)),
        }
        text.parse().map_err(|error| Error::Malformed { file: file(), error })
    }

    /// Writes the value of the program beside it.
    ///
    /// # Errors
    /// The program cannot be read, or the file not be written; it is then as it was.
    pub fn write(&self) -> Result<Mac, Error> {
        let mac = self.mac()?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.replace(&mac.file(&name))
            .map_err(|error| Error::Unwritable { file: self.file.clone(), error })?;
        Ok(mac)
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        let mut beside = OsString::from(&self.file);
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        let write = || {
            let mut file = File::create_new(&beside)?;
            // Whoever may run the program may check it.
            file.set_permissions(fs::Permissions::from_mode(0o644))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &self.file)
        };
        let written = write();
        if let Err(error) = &written
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            // What went wrong before matters more than a file left behind.
            let _ = fs::remove_file(&beside);
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(directory: &Path, content: &[u8]) -> Program {
        let path = directory.join("adjunct");
        fs::write(&path, content).unwrap();
        Program::at(path)
    }

    #[test]
    fn a_value_fits_its_program_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let program = program(directory.path(), b"a program");
        assert!(matches!(program.expected(), Err(Error::Missing { .. })));
        let mac = program.mac_of(&program.path).unwrap();
        program.replace(&mac.file("adjunct")).unwrap();
        assert_eq!(program.expected().unwrap(), mac);
        let mode = fs::metadata(&program.file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left behind");

        fs::write(&program.path, b"b program").unwrap();
        let found = program.mac_of(&program.path).unwrap();
        let error = program.compare(found, mac).unwrap_err();
        assert_eq!(error.exit(), Exit::Internal);
        let text = error.to_string();
        for word in ["adjunct.hmac", &found.to_string(), &mac.to_string(), "integrity --write"] {
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn what_is_no_value_is_said_to_be_none() {
        let directory = tempfile::tempdir().unwrap();
        let program = program(directory.path(), b"a program");
        for wrong in [&b""[..], b"xyz", &[0xff; 70], &[b'0'; 5000]] {
            fs::write(&program.file, wrong).unwrap();
            let error = program.expected().unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{error}");
        }
        fs::remove_file(&program.file).unwrap();
        fs::create_dir(&program.file).unwrap();
        assert!(matches!(program.expected(), Err(Error::Unreadable { .. })));
        let mac = program.mac_of(&program.path).unwrap();
        assert!(program.replace(&mac.file("adjunct")).is_err(), "a directory is in the way");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left behind");
    }
}
