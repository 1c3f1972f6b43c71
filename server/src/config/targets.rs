//! What the daemon writes to: can the log file and the status socket be had where they are wanted,
//! and is a service behind the Unix sockets of the backends?
//!
//! A backend may start later, or make its socket anew, so nothing about its path is more than a
//! warning: one service that is late must not keep the others from being served.
//!
//! Nothing is created here, so that `check` leaves no trace. A socket that is in use is no fault: a
//! running daemon may have its configuration checked.

use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::fs::{Access, access};

use super::build::Draft;
use super::fault::{Severity, Source};
use super::schema::{BackendAddress, LogTarget};
use crate::exit::Exit;

/// Longest path of a Unix socket, its terminating zero included (`sun_path` of unix(7)).
pub(super) const SOCKET_PATH_MAX: usize = 108;

pub(super) fn check(source: &Source<'_>, draft: &Draft, log_from_file: bool) {
    if let (LogTarget::File(path), Some(span)) = (&draft.config.server.log.target, &draft.log)
        && log_from_file
    {
        report(source, span, "server.log.target", path, log_file(path));
    }
    if let (Some(path), Some(span)) = (&draft.config.admin_socket, &draft.admin) {
        report(source, span, "admin.socket", path, socket(path));
    }
    for (service, place) in draft.config.services.iter().zip(&draft.places) {
        for (backend, span) in service.backends.iter().zip(&place.backends) {
            for address in &backend.addresses {
                if let BackendAddress::Unix(path) = address
                    && let Some((what, remedy)) = backend_socket(path)
                {
                    let what = format!("{}: {what}", path.display());
                    let key = format!("{}.backend", place.prefix);
                    source.warning(span, &key, what, remedy.to_owned());
                }
            }
        }
    }
}

/// Why nobody can be reached at this path now.
fn backend_socket(path: &Path) -> Option<(String, &'static str)> {
    match std::fs::metadata(path) {
        Ok(data) if !data.file_type().is_socket() => {
            let what = "this is not a socket; connections fail as long as it is there";
            Some((what.into(), "correct the path, or remove what is there and start the service"))
        }
        Ok(_) => match access(path, Access::WRITE_OK) {
            Ok(()) => None,
            Err(error) => {
                let what = format!("it may not be connected to: {}", io::Error::from(error));
                Some((what, "give the user Adjunct runs as write permission on the socket"))
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let what = "there is no socket yet; connections fail until the service has made it";
            Some((what.into(), "start the service, or correct the path"))
        }
        Err(error) => {
            let what = format!("the socket cannot be looked at: {error}");
            Some((what, "look at the directories of the path and their rights"))
        }
    }
}

type Finding = Option<(Exit, String, &'static str)>;

fn report(source: &Source<'_>, span: &Range<usize>, key: &str, path: &Path, found: Finding) {
    if let Some((class, what, remedy)) = found {
        let what = format!("{}: {what}", path.display());
        source.report(Severity::Error, class, Some(span), key, what, remedy.to_owned());
    }
}

/// Why the log cannot be appended to this file.
fn log_file(path: &Path) -> Finding {
    match std::fs::metadata(path) {
        Ok(data) if data.is_dir() => {
            Some((Exit::Config, "this is a directory".into(), "name a file in it"))
        }
        Ok(_) => writable(path, "give the user Adjunct runs as the right to write it"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => in_directory(path),
        Err(error) => Some((Exit::of_io(&error), error.to_string(), "look into the file system")),
    }
}

/// Why no socket can be made at this path.
fn socket(path: &Path) -> Finding {
    if path.as_os_str().as_bytes().len() >= SOCKET_PATH_MAX {
        let what = format!("the path of a socket has less than {SOCKET_PATH_MAX} bytes");
        return Some((Exit::Config, what, "choose a shorter path"));
    }
    match std::fs::symlink_metadata(path) {
        Ok(data) if !data.file_type().is_socket() => Some((
            Exit::Config,
            "this is not a socket and is left alone".into(),
            "choose a path where nothing is",
        )),
        _ => in_directory(path),
    }
}

/// Why nothing can be created in the directory of `path`.
fn in_directory(path: &Path) -> Finding {
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !directory.is_dir() {
        let what = format!("the directory {} does not exist", directory.display());
        return Some((Exit::Config, what, "create it, or name another one"));
    }
    writable(directory, "give the user Adjunct runs as the right to write into that directory")
}

fn writable(path: &Path, remedy: &'static str) -> Finding {
    match access(path, Access::WRITE_OK) {
        Ok(()) => None,
        Err(error) => {
            let error = io::Error::from(error);
            Some((Exit::of_io(&error), format!("it may not be written: {error}"), remedy))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{backend_socket, log_file, socket};
    use crate::exit::Exit;

    #[test]
    fn a_target_must_have_a_directory_and_be_of_the_right_kind() {
        let directory = tempfile::tempdir().unwrap();
        let here = |name: &str| directory.path().join(name);
        assert_eq!(log_file(&here("a.log")), None);
        assert_eq!(socket(&here("a.sock")), None);
        assert!(!here("a.log").exists() && !here("a.sock").exists(), "a check leaves no trace");
        std::fs::write(here("file"), "x").unwrap();
        assert_eq!(log_file(&here("file")), None);
        let found = |found: super::Finding| found.map(|(class, what, _)| (class, what)).unwrap();
        let (class, what) = found(socket(&here("file")));
        assert!(class == Exit::Config && what.contains("not a socket"), "{what}");
        let (class, what) = found(log_file(directory.path()));
        assert!(class == Exit::Config && what.contains("directory"), "{what}");
        for target in [log_file, socket] {
            let (class, what) = found(target(Path::new("/nonexistent/a")));
            assert!(class == Exit::Config && what.contains("/nonexistent does not exist"));
        }
        assert!(found(socket(&here(&"x".repeat(120)))).1.contains("108 bytes"));
    }

    #[test]
    fn a_backend_must_be_a_socket_that_may_be_connected_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let what = |path: &Path| backend_socket(path).map(|(what, _)| what).unwrap_or_default();
        assert!(what(&path).contains("no socket yet"));
        std::fs::write(&path, "x").unwrap();
        assert!(what(&path).contains("not a socket"));
        std::fs::remove_file(&path).unwrap();
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(what(&path), "");
        drop(listener);
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(what(&link), "", "a link that leads to a socket is one");
    }
}
