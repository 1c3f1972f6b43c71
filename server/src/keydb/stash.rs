//! The stash: a password in a file, for a daemon that starts by itself.
//!
//! It is not encrypted, since whatever could decrypt it would have to be beside it; its protection
//! is the mode 0600, and a wider one is refused. The digits only keep a passer-by from reading it.
//!
//! Form: a line that says what it is, then each password as hexadecimal digits; two while the
//! password of a database is being changed.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use engine::keydb::Password;
use zeroize::Zeroizing;

use super::{Failure, files};
use crate::exit::Exit;

const TITLE: &str = "adjunct keydb stash 1";

/// More bytes than two passwords take.
const SIZE_MAX: u64 = 4096;

pub(super) fn write(path: &Path, passwords: &[&Password], database: &Path) -> Result<(), Failure> {
    let mut text = Zeroizing::new(String::with_capacity(4096));
    text.push_str(TITLE);
    for password in passwords {
        text.push('\n');
        for byte in password.bytes() {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(digit), 16));
            }
        }
    }
    text.push('\n');
    files::replace(path, text.as_bytes(), database)
}

pub(super) fn read(path: &Path) -> Result<Vec<Password>, Failure> {
    let fail = |error: &std::io::Error| Failure::of_io(path, "the stash cannot be read", error);
    // Before it is opened: opening a pipe waits for its writer.
    let kind = std::fs::metadata(path).map_err(|error| fail(&error))?;
    if !kind.is_file() {
        return Err(no_stash(path, "it is not a file"));
    }
    let file = File::open(path).map_err(|error| fail(&error))?;
    // Of the file that is open, whatever its name stands for by now.
    let mode = file.metadata().map_err(|error| fail(&error))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Failure::new(
            Exit::Permission,
            format!(
                "{}: the stash has mode {mode:04o}: others than its owner may use it",
                path.display()
            ),
            "chmod 0600, and change the password if somebody may have read it",
        ));
    }
    let mut text = Zeroizing::new(String::with_capacity(4096));
    let read = file.take(SIZE_MAX).read_to_string(&mut text);
    read.map_err(|error| no_stash(path, &error.to_string()))?;
    let mut lines = text.lines();
    match lines.next() {
        Some(TITLE) => {}
        Some(title) if title.starts_with("adjunct keydb stash ") => {
            return Err(Failure::new(
                Exit::Data,
                format!("{}: the stash is of a later version of Adjunct", path.display()),
                "stash the password again: adjunct keydb stash DATABASE",
            ));
        }
        _ => return Err(no_stash(path, "it begins with something else")),
    }
    let passwords: Option<Vec<Password>> = lines.map(password).collect();
    passwords
        .filter(|passwords| !passwords.is_empty())
        .ok_or_else(|| no_stash(path, "it is cut short or damaged"))
}

fn password(digits: &str) -> Option<Password> {
    let mut text = Zeroizing::new(String::with_capacity(digits.len()));
    for pair in digits.as_bytes().chunks(2) {
        let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
        text.push(char::from_u32(digit(0)? << 4 | digit(1)?).filter(char::is_ascii)?);
    }
    (!text.is_empty()).then_some(text)
}

fn no_stash(path: &Path, why: &str) -> Failure {
    Failure::new(
        Exit::Data,
        format!("{}: this is not a stash: {why}", path.display()),
        "stash the password again: adjunct keydb stash DATABASE",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_come_back_and_a_wider_mode_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.stash");
        let word = |text: &str| Zeroizing::new(text.to_owned());
        write(&path, &[&word("pass word ~"), &word("2")], &path).unwrap();
        assert_eq!(read(&path).unwrap(), [word("pass word ~"), word("2")]);
        for mode in [0o640, 0o604, 0o660, 0o610] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).unwrap_err().exit, Exit::Permission, "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_stash_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.stash");
        let stash = |body: &str| format!("{TITLE}\n{body}");
        for text in ["", "secret\n", TITLE, &stash("zz\n"), &stash("616\n"), &stash("c3a4\n")] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(read(&path).unwrap_err().exit, Exit::Data, "{text:?}");
        }
        assert_eq!(read(directory.path()).unwrap_err().exit, Exit::Data);
        assert_eq!(read(&directory.path().join("none")).unwrap_err().exit, Exit::NoInput);
    }
}
