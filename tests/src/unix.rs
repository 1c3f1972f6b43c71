//! Plain-text services behind Unix sockets.
//!
//! Invariants: as those of [`crate::backend`]; the socket's path lies in a temporary directory and
//! goes away with the service.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::bulk;
use crate::process::PATIENCE;

/// A service with a thread per connection; displayed as the configuration names it.
#[derive(Debug)]
pub struct UnixBackend {
    /// Its socket.
    pub path: PathBuf,
    stopping: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
}

impl fmt::Display for UnixBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix:{}", self.path.display())
    }
}

impl UnixBackend {
    /// A service at `path` that treats each connection as `serve` says.
    pub fn start<F>(path: &Path, serve: F) -> Self
    where
        F: Fn(UnixStream) -> io::Result<()> + Send + Sync + 'static,
    {
        let listener = UnixListener::bind(path).expect("a path that is free");
        let (stopping, connections) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (stop, count, serve) =
            (Arc::clone(&stopping), Arc::clone(&connections), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                let _ = stream.set_read_timeout(Some(PATIENCE));
                let serve = Arc::clone(&serve);
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { path: path.to_owned(), stopping, connections }
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Sends back what arrives; ends its direction when the other one ends.
    #[must_use]
    pub fn echo(path: &Path) -> Self {
        Self::start(path, |mut stream| {
            io::copy(&mut stream.try_clone()?, &mut stream)?;
            stream.shutdown(Shutdown::Write)
        })
    }

    /// Says nothing until the other side has ended its direction, then answers with the number of
    /// bytes it got.
    #[must_use]
    pub fn answers_after_half_close(path: &Path) -> Self {
        Self::start(path, |mut stream| {
            let mut all = Vec::new();
            stream.read_to_end(&mut all)?;
            stream.write_all(format!("{} bytes\n", all.len()).as_bytes())?;
            stream.shutdown(Shutdown::Write)
        })
    }

    /// Sends one stream and checks another, both at once, to the end of both.
    #[must_use]
    pub fn duplex(path: &Path, seed_out: u64, seed_in: u64, length: u64) -> Self {
        Self::start(path, move |stream| {
            std::thread::scope(|scope| {
                scope.spawn(|| -> io::Result<()> {
                    bulk::send(&mut &stream, seed_out, length, |_| {})?;
                    stream.shutdown(Shutdown::Write)
                });
                bulk::receive(&mut &stream, seed_in, |_| {}).map(|_| ())
            })
        })
    }
}

impl Drop for UnixBackend {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        let _ = UnixStream::connect(&self.path);
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_found_at_its_path_and_goes_away_with_its_handle() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let backend = UnixBackend::answers_after_half_close(&path);
        assert_eq!(backend.to_string(), format!("unix:{}", path.display()));
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"abc").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!((answer.as_str(), backend.connections()), ("3 bytes\n", 1));
        drop(backend);
        assert!(UnixStream::connect(&path).is_err());
    }
}
