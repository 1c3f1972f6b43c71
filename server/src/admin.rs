//! The admin socket: questions to a running daemon, and orders about its cards.
//!
//! Protocol: over a Unix stream socket the client sends one line, a question (`cards`, `crypto`,
//! `evidence`, `module`, `members` or `status`) or an [`Order`], and the daemon answers with one
//! line of JSON and closes. An order can take a card or queue online or offline; in a demo or a
//! test it can also break one on purpose. Nothing else can be changed here: no key, no certificate,
//! no service, no end of the daemon.
//!
//! Invariants: the socket has mode 0600, and only root and the user of the daemon are answered
//! (checked by the credentials of the peer, so that no moment between bind and chmod matters). A
//! live socket of another daemon is never replaced; a stale one is. Questions are at most
//! 64 bytes and get two seconds; one client is served at a time.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::UnixListener;
use mio::{Events, Interest, Poll, Token, Waker};
use serde::de::DeserializeOwned;

use crate::exit::Exit;
use crate::order::{Answer, Order};
use crate::snapshot::Source;

/// Longest question.
const MAX_QUESTION: usize = 64;

/// Longest answer a client reads; the evidence of a daemon whose tables are full has half of it.
const MAX_ANSWER: u64 = 16 << 20;

/// How long one client may take.
const PATIENCE: Duration = Duration::from_secs(2);

const LISTENER: Token = Token(0);
const STOP: Token = Token(1);

/// Why the socket cannot be had, or a question not be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another daemon answers there.
    #[error(
        "{path}: another daemon answers at this socket; stop it or choose another [admin] socket"
    )]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is not a socket is in the way.
    #[error("{path}: this is not a socket and is left alone; choose another [admin] socket")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Nobody listens.
    #[error(
        "{path}: no daemon answers at this socket ({error}); is it running, with [admin] socket?"
    )]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The socket is there and not for this user.
    #[error("{path}: only root and the user of the daemon may ask it; use sudo")]
    NotAllowed {
        /// The socket.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{path}: {error}; look at the directory of [admin] socket and its rights")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The answer is not what this version expects.
    #[error("{path}: the answer is not understood ({reason}); is the daemon of another version?")]
    Answer {
        /// The socket.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// The exit code it leads to.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::InUse { .. } | Self::NoDaemon { .. } | Self::Answer { .. } => Exit::Unavailable,
            Self::NotASocket { .. } => Exit::Config,
            Self::NotAllowed { .. } => Exit::Permission,
            Self::Io { error, .. } => Exit::of_io(error),
        }
    }
}

/// The listening side; removes its socket when dropped.
#[derive(Debug)]
pub struct Admin {
    path: PathBuf,
    /// Device and inode of our own socket: another one at the same path is not ours to remove.
    identity: Option<(u64, u64)>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    /// Listens at `path` and answers from `source`.
    ///
    /// # Errors
    /// The socket is in use, something else is at its place, or the system refuses.
    pub fn start(path: &Path, source: Arc<dyn Source>) -> Result<Self, Error> {
        make_room(path)?;
        let wrap = |error| Error::Io { path: path.to_owned(), error };
        let mut listener = UnixListener::bind(path).map_err(wrap)?;
        let identity = identity(path);
        let start = || -> io::Result<(Waker, JoinHandle<()>)> {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
            let poll = Poll::new()?;
            poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
            let waker = Waker::new(poll.registry(), STOP)?;
            let serve = move || serve(poll, &listener, &*source);
            Ok((waker, std::thread::Builder::new().name("admin".into()).spawn(serve)?))
        };
        match start() {
            Ok((waker, thread)) => {
                Ok(Self { path: path.to_owned(), identity, waker, thread: Some(thread) })
            }
            Err(error) => {
                remove_own(path, identity);
                Err(wrap(error))
            }
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        if self.waker.wake().is_ok()
            && let Some(thread) = self.thread.take()
        {
            // A panic there has already been reported by its hook.
            let _ = thread.join();
        }
        remove_own(&self.path, self.identity);
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|data| (data.dev(), data.ino()))
}

fn remove_own(path: &Path, own: Option<(u64, u64)>) {
    if own.is_some() && identity(path) == own {
        // If it cannot be removed, the next start finds it stale and replaces it.
        let _ = fs::remove_file(path);
    }
}

/// Removes a stale socket; refuses to touch a live one or anything else.
fn make_room(path: &Path) -> Result<(), Error> {
    let Ok(data) = fs::symlink_metadata(path) else { return Ok(()) };
    if !data.file_type().is_socket() {
        return Err(Error::NotASocket { path: path.to_owned() });
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| Error::Io { path: path.to_owned(), error })
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(Error::Io { path: path.to_owned(), error })
        }
        _ => Err(Error::InUse { path: path.to_owned() }),
    }
}

fn serve(mut poll: Poll, listener: &UnixListener, source: &dyn Source) {
    let mut events = Events::with_capacity(4);
    loop {
        match poll.poll(&mut events, None) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        }
        if events.iter().any(|event| event.token() == STOP) {
            return;
        }
        // Edge triggered: accept until there is nothing left.
        while let Ok((stream, _)) = listener.accept() {
            // A client that misbehaves costs its own answer and nothing else.
            let _ = answer(stream, source);
        }
    }
}

fn answer(stream: mio::net::UnixStream, source: &dyn Source) -> io::Result<()> {
    let mut stream = UnixStream::from(stream);
    let peer = rustix::net::sockopt::socket_peercred(&stream)?.uid;
    if !peer.is_root() && peer != rustix::process::geteuid() {
        return Ok(());
    }
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let reply = match read_question(&mut stream)?.as_str() {
        "cards" => serde_json::to_string(&source.cards()),
        "crypto" => serde_json::to_string(&source.functions()),
        "module" => serde_json::to_string(&source.facts()),
        "members" => serde_json::to_string(&source.members()),
        "evidence" => serde_json::to_string(&source.evidence(None)),
        "status" => serde_json::to_string(&source.status()),
        other => match other.strip_prefix("evidence ").map(str::parse) {
            Some(Ok(mode)) => serde_json::to_string(&source.evidence(Some(mode))),
            _ => serde_json::to_string(&obey(source, other)),
        },
    };
    let mut reply = reply.map_err(io::Error::other)?;
    reply.push('\n');
    stream.write_all(reply.as_bytes())
}

fn obey(source: &dyn Source, words: &str) -> Answer {
    let done =
        match Order::read(words) {
            Some(order) => order.and_then(|order| source.obey(&order)),
            None => Err("unknown verb; ask for cards, crypto, evidence, module, members or status"
                .to_owned()),
        };
    done.map_or_else(Answer::Error, Answer::Done)
}

/// Reads up to the end of the line; the deadline holds for the whole question.
fn read_question(stream: &mut UnixStream) -> io::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut question = Vec::with_capacity(MAX_QUESTION);
    while question.len() < MAX_QUESTION {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 || byte == [b'\n'] {
            let text = String::from_utf8_lossy(&question);
            return Ok(text.trim().to_owned());
        }
        question.extend_from_slice(&byte);
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// Asks the daemon at `path`.
///
/// # Errors
/// Nobody listens there, or the answer is not understood.
pub fn ask<T: DeserializeOwned>(path: &Path, verb: &str) -> Result<T, Error> {
    let mut stream = UnixStream::connect(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => Error::NotAllowed { path: path.to_owned() },
        _ => Error::NoDaemon { path: path.to_owned(), error },
    })?;
    let mut exchange = || -> io::Result<String> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{verb}\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new((&stream).take(MAX_ANSWER)).read_line(&mut line)?;
        Ok(line)
    };
    let line = exchange().map_err(|error| Error::Io { path: path.to_owned(), error })?;
    serde_json::from_str(&line)
        .map_err(|error| Error::Answer { path: path.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::sync::Arc;

    use engine::compliance::ModeSet;

    use super::{Admin, Error, ask};
    use crate::exit::Exit;
    use crate::fips::facts::Facts;
    use crate::snapshot::{CardRow, FunctionRow, Source, Status};

    struct Fixed;

    impl Source for Fixed {
        fn cards(&self) -> Vec<CardRow> {
            vec![crate::cli::tables::tests::card(0, Some(6), 3)]
        }
        fn functions(&self) -> Vec<FunctionRow> {
            Vec::new()
        }
        fn facts(&self) -> Facts {
            Facts::of(&ModeSet::default())
        }
        fn status(&self) -> Status {
            Status {
                version: "1".into(),
                pid: 1,
                uptime_s: 2,
                members: 3,
                draining: false,
                services: Vec::new(),
            }
        }
    }

    #[test]
    fn a_question_is_answered_and_the_socket_goes_with_the_daemon() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let admin = Admin::start(&path, Arc::new(Fixed)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(ask::<Vec<CardRow>>(&path, "cards").unwrap(), Fixed.cards());
        assert_eq!(ask::<Status>(&path, "status").unwrap(), Fixed.status());
        let wrong = ask::<Status>(&path, "stop");
        assert!(matches!(wrong, Err(Error::Answer { .. })));
        let second = Admin::start(&path, Arc::new(Fixed)).unwrap_err();
        assert!(matches!(second, Error::InUse { .. }), "{second}");
        assert_eq!(ask::<Status>(&path, "status").unwrap(), Fixed.status(), "still alive");
        drop(admin);
        assert!(!path.exists());
        let gone = ask::<Status>(&path, "status").unwrap_err();
        assert_eq!(gone.exit(), Exit::Unavailable);
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_file_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        drop(UnixListener::bind(&path).unwrap());
        drop(Admin::start(&path, Arc::new(Fixed)).unwrap());
        std::fs::write(&path, "precious").unwrap();
        let error = Admin::start(&path, Arc::new(Fixed)).unwrap_err();
        assert!(matches!(error, Error::NotASocket { .. }));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_long_question_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let admin = Admin::start(&path, Arc::new(Fixed)).unwrap();
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(&[b'x'; 64]).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        assert_eq!(reply, b"");
        drop(admin);
    }
}
