//! A peer as a running server.
//!
//! Invariants: everything it reads lies in a directory of its own that goes with it; it listens on
//! a loopback port of the kernel's choosing; it is confined to its processors from its first
//! instruction, because it inherits them; what it is and what it is linked with is asked of the
//! program and of its memory map, not of a package manager.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, geteuid, getrlimit};
use tempfile::TempDir;

use super::definition::{Definition, render};
use super::group::Group;
use crate::pki::Issued;
use crate::{Failure, clock};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a program may take to tell its version.
const PATIENCE_VERSION: Duration = Duration::from_secs(10);
/// How often another port is tried when somebody else has taken the first.
const ATTEMPTS: usize = 3;
/// More connections than any scenario has.
const CONNECTIONS_MAX: u64 = 20_000;
/// Descriptors that are no connections: listeners, logs, pipes, epoll.
const DESCRIPTORS_BESIDE: u64 = 200;
/// How libraries are called whose version matters.
const LIBRARIES: [&str; 5] = ["libssl", "libcrypto", "libgnutls", "libwolfssl", "libmbedtls"];
/// How a library of the OpenSSL family begins to tell its version.
const VERSION_MARK: &[u8] = b"OpenSSL ";

/// Where and with what a server runs.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// Its certificate.
    pub issued: &'a Issued,
    /// Where plaintext goes.
    pub backend: SocketAddr,
    /// Threads or processes that work.
    pub workers: usize,
    /// Processors of all of it.
    pub processors: &'a [usize],
}

/// A running peer; it ends with its handle.
#[derive(Debug)]
pub struct Peer {
    // Before the directory: the server goes first.
    group: Group,
    directory: TempDir,
    files: Vec<(String, String)>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Peer {
    /// Starts it and waits until it accepts connections.
    ///
    /// # Errors
    /// It does not; the text has what it says about it.
    pub fn start(peer: &Definition, program: &Path, site: &Site<'_>) -> Result<Self, Failure> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            match Self::start_at(address, peer, program, site) {
                Err(failure) if failure.to_string().contains("in use") => last = Some(failure),
                result => return result,
            }
        }
        Err(last.unwrap_or_else(|| "no port".into()))
    }

    fn start_at(
        address: SocketAddr,
        peer: &Definition,
        program: &Path,
        site: &Site<'_>,
    ) -> Result<Self, Failure> {
        let directory = TempDir::new()?;
        let at = directory.path();
        write_private(&at.join("cert.pem"), &site.issued.pem)?;
        write_private(&at.join("key.pem"), &site.issued.key_pem)?;
        let pem = zeroize::Zeroizing::new(format!("{}{}", site.issued.pem, &*site.issued.key_pem));
        write_private(&at.join("both.pem"), &pem)?;
        let values = Values::new(address, at, site)?;
        let mut files = Vec::new();
        for file in &peer.files {
            let text = render(&file.text, |name| values.of(name))?;
            fs::write(at.join(&file.name), &text)?;
            files.push((file.name.clone(), text));
        }
        let mut command = Command::new(program);
        for argument in &peer.start {
            command.arg(render(argument, |name| values.of(name))?);
        }
        let said = File::create(at.join("said"))?;
        command.envs(&peer.environment).current_dir(at).stdin(Stdio::null());
        command.stdout(said.try_clone()?).stderr(said);
        let before = clock::processors()?;
        clock::pin(site.processors)?;
        let group = Group::start(&mut command);
        clock::pin(&before)?;
        let group = group.map_err(|e| format!("{} does not start: {e}", peer.name))?;
        let mut running = Self { group, directory, files, address };
        running.wait_until_it_listens(&peer.name)?;
        Ok(running)
    }

    fn wait_until_it_listens(&mut self, name: &str) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.group.status()? {
                return Err(format!("{name} does not start ({status}):\n{}", self.said()).into());
            }
            if Instant::now() > deadline {
                let said = self.said();
                return Err(format!("{name} does not listen after {PATIENCE:?}:\n{said}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The first process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.group.id()
    }

    /// What it has written to its standard output and error so far.
    #[must_use]
    pub fn said(&self) -> String {
        let text = fs::read(self.directory.path().join("said")).unwrap_or_default();
        self.without_directory(&String::from_utf8_lossy(&text))
    }

    /// The files it was started with, as it read them but for the name of their directory.
    #[must_use]
    pub fn files(&self) -> Vec<(String, String)> {
        let text = |(name, text): &(String, String)| (name.clone(), self.without_directory(text));
        self.files.iter().map(text).collect()
    }

    fn without_directory(&self, text: &str) -> String {
        match self.directory.path().to_str() {
            Some(path) => text.replace(path, "DIRECTORY"),
            None => text.to_owned(),
        }
    }

    /// The libraries of TLS it runs with: file and what the file says it is.
    ///
    /// # Errors
    /// It has gone.
    pub fn libraries(&self) -> Result<Vec<String>, Failure> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.id()))?;
        let mut paths: Vec<PathBuf> = maps
            .lines()
            .filter_map(|line| line.split_once('/'))
            .map(|(_, path)| PathBuf::from(format!("/{path}")))
            .filter(|path| LIBRARIES.iter().any(|name| file_name(path).starts_with(name)))
            .collect();
        paths.sort();
        paths.dedup();
        if paths.is_empty() {
            // Linked into the program.
            paths.push(fs::read_link(format!("/proc/{}/exe", self.id()))?);
        }
        Ok(paths.iter().map(|path| described(path)).collect())
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The name of a library and the first version text in it.
fn described(path: &Path) -> String {
    let name = file_name(path);
    match fs::read(path).ok().as_deref().and_then(version_in) {
        Some(version) => format!("{name} ({version})"),
        None => name,
    }
}

/// "OpenSSL 3.0.19 27 Jan 2026" out of a binary: mark, digit, and so on to the end of the string.
fn version_in(binary: &[u8]) -> Option<String> {
    binary.windows(VERSION_MARK.len() + 1).enumerate().find_map(|(at, window)| {
        let digit = window.strip_prefix(VERSION_MARK)?.first()?;
        if !digit.is_ascii_digit() {
            return None;
        }
        let text = binary[at..].split(|byte| *byte == 0).next()?;
        let text = std::str::from_utf8(text).ok()?.trim();
        (text.len() < 80).then(|| text.to_owned())
    })
}

/// What a peer says about its version: the lines that its definition wants.
///
/// # Errors
/// Those of [`answer`].
pub fn version(peer: &Definition, program: &Path) -> Result<Vec<String>, Failure> {
    let mut command = Command::new(program);
    let lines = answer(command.args(&peer.version).envs(&peer.environment))?;
    let marks = &peer.version_lines;
    let wanted = |line: &String| {
        marks.is_empty() || marks.iter().any(|mark| line.starts_with(mark.as_str()))
    };
    Ok(lines.into_iter().filter(wanted).collect())
}

/// What a command writes to its standard output and error, line by line.
///
/// # Errors
/// It cannot be started, or does not end in time.
pub fn answer(command: &mut Command) -> Result<Vec<String>, Failure> {
    let directory = TempDir::new()?;
    let path = directory.path().join("said");
    let said = File::create(&path)?;
    command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
    let mut group = Group::start(command.current_dir(directory.path()))?;
    let deadline = Instant::now() + PATIENCE_VERSION;
    while group.status()?.is_none() {
        if Instant::now() > deadline {
            let program = file_name(Path::new(command.get_program()));
            return Err(format!("{program} does not tell its version in time").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// A file that nobody else reads: servers refuse keys that others may read.
fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(())
}

/// What the placeholders stand for.
struct Values<'a> {
    listen: SocketAddr,
    directory: &'a Path,
    site: &'a Site<'a>,
    connections: u64,
    user: String,
}

impl<'a> Values<'a> {
    fn new(listen: SocketAddr, directory: &'a Path, site: &'a Site<'a>) -> Result<Self, Failure> {
        // The limit that the server inherits; the benchmark raises it to what it may.
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let connections = (files.saturating_sub(DESCRIPTORS_BESIDE) / 2).min(CONNECTIONS_MAX);
        Ok(Self { listen, directory, site, connections, user: user()? })
    }

    fn of(&self, name: &str) -> Option<String> {
        let path = |file: &str| self.directory.join(file).display().to_string();
        let backend = self.site.backend;
        Some(match name {
            "listen" => self.listen.to_string(),
            "host" => self.listen.ip().to_string(),
            "port" => self.listen.port().to_string(),
            "backend" => backend.to_string(),
            "backend_host" => backend.ip().to_string(),
            "backend_port" => backend.port().to_string(),
            "cert" => path("cert.pem"),
            "key" => path("key.pem"),
            "pem" => path("both.pem"),
            "directory" => self.directory.display().to_string(),
            "workers" => self.site.workers.to_string(),
            "connections" => self.connections.to_string(),
            "descriptors" => (self.connections * 2).to_string(),
            "user" => self.user.clone(),
            _ => return None,
        })
    }
}

/// The name of the user that runs this.
fn user() -> Result<String, Failure> {
    let id = geteuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd")?;
    let mut names = users.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, _, user) = (fields.next()?, fields.next()?, fields.next()?);
        (user == id).then(|| name.to_owned())
    });
    names.next().ok_or_else(|| format!("user {id} has no name in the file of users").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::definition::PLACEHOLDERS;
    use crate::pki::Kind;

    #[test]
    fn every_placeholder_has_a_value() {
        let issued = Issued::new(Kind::P256).unwrap();
        let address = "127.0.0.1:4711".parse().unwrap();
        let site = Site { issued: &issued, backend: address, workers: 2, processors: &[0] };
        let values = Values::new(address, Path::new("there"), &site).unwrap();
        for (name, _) in PLACEHOLDERS {
            assert!(values.of(name).is_some_and(|value| !value.is_empty()), "{name}");
        }
        assert_eq!(values.of("pem").unwrap(), "there/both.pem");
        assert_eq!(values.of("prot"), None);
    }

    #[test]
    fn a_version_is_found_in_a_binary() {
        let binary = b"\x7fELF\0OpenSSL %s\0OpenSSL 3.0.19 27 Jan 2026\0rest";
        assert_eq!(version_in(binary).unwrap(), "OpenSSL 3.0.19 27 Jan 2026");
        assert_eq!(version_in(b"\x7fELF\0nothing"), None);
    }
}
