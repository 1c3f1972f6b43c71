//! Passwords and answers: from files, a stash, standard input or the terminal.
//!
//! Invariants: a password is never taken from the command line or the environment, and never shown;
//! the terminal is put back into order whatever happens between. Nothing is asked when there is no
//! terminal: the error names the flag.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::path::Path;

use engine::keydb::Password;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use super::args::How;
use crate::exit::Exit;
use crate::keydb::{Failure, Store, read_stash};

/// Longer lines are no passwords or names.
const LINE_MAX: usize = 1024;

/// The key that interrupts.
const INTERRUPT: u8 = 3;

/// The passwords by which to open a database: one, or all of a stash.
pub(super) fn passwords(how: &How, database: &Path) -> Result<Vec<Password>, Failure> {
    if let Some(path) = &how.password_file {
        return from_file(path).map(|password| vec![password]);
    }
    if let Some(path) = &how.stash_file {
        return read_stash(path);
    }
    if how.stashed {
        return read_stash(&Store::stash_path(database));
    }
    let prompt = format!("Password of {}: ", database.display());
    hidden(&prompt, "--password-file, --stash or --stash-file").map(|password| vec![password])
}

/// A password for something new: from a file, or twice from the terminal.
pub(super) fn new_password(
    file: Option<&Path>,
    what: &str,
    flag: &str,
) -> Result<Password, Failure> {
    if let Some(path) = file {
        return from_file(path);
    }
    let first = hidden(&format!("{what}: "), flag)?;
    if first != hidden("Again: ", flag)? {
        let what = "the two passwords differ";
        return Err(Failure::new(Exit::Usage, what, "try again"));
    }
    Ok(first)
}

/// A password that exists already: from a file, or once from the terminal.
pub(super) fn password(file: Option<&Path>, what: &str, flag: &str) -> Result<Password, Failure> {
    match file {
        Some(path) => from_file(path),
        None => hidden(&format!("{what}: "), flag),
    }
}

/// The first line of a file; `-` is standard input.
fn from_file(path: &Path) -> Result<Password, Failure> {
    let fail = |error: &io::Error| Failure::of_io(path, "the password cannot be read", error);
    if path == Path::new("-") {
        return line(&mut io::stdin().lock()).map_err(|error| fail(&error));
    }
    // A pipe is as good as a file here: `--password-file <(command)`.
    let mut file = File::open(path).map_err(|error| fail(&error))?;
    line(&mut file).map_err(|error| fail(&error))
}

/// A line without its end.
fn line(source: &mut impl Read) -> io::Result<Password> {
    until(source, b"\n").map(|(line, _)| line)
}

/// What comes before one of these bytes, and which it was; none at the end. Read byte by byte: what
/// follows belongs to the next question.
fn until(source: &mut impl Read, stops: &[u8]) -> io::Result<(Password, Option<u8>)> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LINE_MAX));
    let mut byte = [0];
    let mut stop = None;
    while bytes.len() < LINE_MAX && stop.is_none() {
        match source.read(&mut byte) {
            Ok(0) => break,
            Ok(_) if stops.contains(&byte[0]) => stop = Some(byte[0]),
            Ok(_) => bytes.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok((Zeroizing::new(text.to_owned()), stop)),
        Err(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text")),
    }
}

/// A line from the terminal that is not shown while it is typed.
fn hidden(prompt: &str, flag: &str) -> Result<Password, Failure> {
    let no_terminal = || {
        Failure::new(
            Exit::Usage,
            "there is no password, and no terminal to ask for it",
            format!("give {flag}"),
        )
    };
    if !io::stdin().is_terminal() {
        return Err(no_terminal());
    }
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    let terminal = terminal.map_err(|_| no_terminal())?;
    let fail = |error: io::Error| {
        Failure::new(Exit::OsError, format!("the terminal: {error}"), format!("give {flag}"))
    };
    // Before the prompt: whoever sees it can already type without being seen.
    let hush = Hush::begin(&terminal).map_err(fail)?;
    let asked = (&terminal).write_all(prompt.as_bytes());
    let typed = asked.and_then(|()| until(&mut &terminal, &[b'\n', INTERRUPT]));
    drop(hush);
    let _ = (&terminal).write_all(b"\n");
    match typed.map_err(fail)? {
        (typed, Some(b'\n')) => Ok(typed),
        _ => Err(Failure::new(Exit::Failure, "interrupted", "nothing was changed")),
    }
}

/// While it lives the terminal does not show what is typed. An interrupt then is a character that
/// ends the line, not a signal that would leave the terminal mute.
struct Hush<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Hush<'a> {
    fn begin(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ISIG;
        quiet.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hush<'_> {
    fn drop(&mut self) {
        // There is nobody to tell and nothing else to try.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Whether questions can be asked.
pub(super) fn interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// A value from its flag, or from the terminal; an empty answer is none.
pub(super) fn optional(given: Option<&String>, question: &str) -> Result<Option<String>, Failure> {
    if let Some(given) = given {
        return Ok(Some(given.clone()));
    }
    if !interactive() {
        return Ok(None);
    }
    let mut stderr = io::stderr().lock();
    let asked = stderr.write_all(format!("  {question}: ").as_bytes());
    let answer = asked.and_then(|()| line(&mut io::stdin().lock()));
    let answer = answer.map_err(|error| {
        Failure::new(Exit::OsError, format!("the terminal: {error}"), "give it as a flag")
    })?;
    Ok(Some(answer.trim().to_owned()).filter(|answer| !answer.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_where_the_next_begins() {
        let mut source: &[u8] = b"one\r\ntwo\nthree";
        for expected in ["one", "two", "three", ""] {
            assert_eq!(*line(&mut source).unwrap(), expected);
        }
        assert!(line(&mut &b"\xff\n"[..]).is_err());
        assert_eq!(line(&mut &[b'x'; 5000][..]).unwrap().len(), LINE_MAX);
    }

    #[test]
    fn a_password_comes_from_the_first_line_of_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        std::fs::write(&path, "pass word\nsecond line\n").unwrap();
        assert_eq!(*from_file(&path).unwrap(), "pass word");
        assert_eq!(from_file(&directory.path().join("none")).unwrap_err().exit, Exit::NoInput);
    }
}
