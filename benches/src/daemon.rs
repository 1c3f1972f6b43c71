//! The daemon under test: a release build as a child process.
//!
//! Invariants: it is started with a configuration of its own in a temporary directory, confined to
//! given processors with all of its threads, on a port of the kernel's choosing, and ended by its
//! own id when the handle goes away.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cpu::Account;
use crate::pki::Issued;
use crate::{Failure, clock};

/// How long a start may take: the self-tests of a slow machine included.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the status socket may be silent: it is asked between loads, and answers at once.
const ANSWER: Duration = Duration::from_secs(5);

/// Where the release build of the daemon is: as told, or beside the program that asks.
///
/// # Errors
/// It is not there.
pub fn find(told: Option<&str>) -> Result<PathBuf, Failure> {
    let path = match told {
        Some(path) => PathBuf::from(path),
        None => std::env::current_exe()?.with_file_name("adjunct"),
    };
    if path.is_file() {
        return Ok(path);
    }
    let path = path.display();
    Err(format!("{path}: no daemon there; build it with `cargo build --release -p adjunct`").into())
}

/// How the names of the threads of simulated cards begin.
pub const CARD_THREADS: &str = "cex-";

/// What varies between the configurations of a comparison. Words are those of the configuration
/// file and go there as they are, so that the daemon judges them.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// `workers` of `[server]`.
    pub workers: usize,
    /// `offload` of `[server]`.
    pub offload: &'a str,
    /// `provider` of `[cpacf]`.
    pub provider: &'a str,
    /// The simulated cards.
    pub cards: Cards<'a>,
    /// `ecdsa` of `[route]`; RSA always goes to the cards.
    pub ecdsa: &'a str,
    /// `tls` of the service.
    pub tls: &'a str,
    /// `versions` of the service.
    pub versions: Vec<&'a str>,
    /// `tickets` of the service.
    pub tickets: u8,
    /// `session_cache` of the service: what resumes TLS 1.2 without tickets.
    pub session_cache: usize,
    /// Where plaintext goes.
    pub backend: SocketAddr,
    /// The certificates to serve with; at least one.
    pub issued: Vec<&'a Issued>,
    /// Processors of all threads of the daemon.
    pub processors: Vec<usize>,
}

/// Which simulated cards there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cards<'a> {
    /// What the daemon has by default: one CEX8A and one CEX8C.
    #[default]
    Standard,
    /// None that works: all are taken offline after the start, and the host signs in their place
    /// (`no_card = "software"`), checking each RSA signature as it does those of cards.
    None,
    /// One of each type and engine (`[[card]]`), with a queue for each worker.
    Of(Vec<(&'a str, &'a str)>),
}

impl<'a> Cards<'a> {
    /// One card of a type, with the engine that the daemon chooses.
    #[must_use]
    pub fn one(kind: &'a str) -> Self {
        Self::Of(vec![(kind, "auto")])
    }
}

impl<'a> Setting<'a> {
    /// One worker with fibers and the standard cards; TLS 1.3 without resumption.
    #[must_use]
    pub fn new(backend: SocketAddr, issued: &'a Issued, processors: &[usize]) -> Self {
        Self {
            workers: 1,
            offload: "fiber",
            provider: "host",
            cards: Cards::Standard,
            ecdsa: "cex",
            tls: "on",
            versions: vec!["1.3"],
            tickets: 0,
            session_cache: 0,
            backend,
            issued: vec![issued],
            processors: processors.to_vec(),
        }
    }

    /// The configuration file, beside which the certificates stand as `certificate_files` names
    /// them.
    #[must_use]
    pub fn configuration(&self, address: SocketAddr) -> String {
        let mut text = format!(
            "[server]\nworkers = {}\noffload = \"{}\"\nlog = {{ target = \"log\" }}\n\n\
             [admin]\nsocket = \"admin\"\n\n[cpacf]\nprovider = \"{}\"\n\n\
             [route]\necdsa = \"{}\"\nno_card = \"{}\"\n\n",
            self.workers,
            self.offload,
            self.provider,
            self.ecdsa,
            if self.cards == Cards::None { "software" } else { "fail" },
        );
        if let Cards::Of(cards) = &self.cards {
            let domains: Vec<usize> = (FIRST_DOMAIN..FIRST_DOMAIN + self.workers).collect();
            for (id, (kind, engine)) in cards.iter().enumerate() {
                // Writing to a String does not fail.
                let _ = writeln!(
                    text,
                    "[[card]]\nid = {id}\ntype = \"{kind}\"\ndomains = {domains:?}\n\
                     engine = \"{engine}\"\n"
                );
            }
        }
        let certificates: Vec<String> = (0..self.issued.len())
            .map(certificate_files)
            .map(|(cert, key)| format!("{{ cert = \"{cert}\", key = \"{key}\" }}"))
            .collect();
        text + &format!(
            "[[service]]\nname = \"bench\"\nlisten = \"{address}\"\nbackend = \"{}\"\n\
             tls = \"{}\"\ncert = [{}]\ntickets = {}\nsession_cache = {}\nversions = {:?}\n",
            self.backend,
            self.tls,
            certificates.join(", "),
            self.tickets,
            self.session_cache,
            self.versions,
        )
    }
}

/// First domain of a card; any would do.
const FIRST_DOMAIN: usize = 6;

/// Names of the files of a certificate: chain and key.
fn certificate_files(index: usize) -> (String, String) {
    (format!("cert{index}.pem"), format!("key{index}.pem"))
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    directory: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Daemon {
    /// Starts it with one service and waits until it listens and its cards are as they should be.
    ///
    /// # Errors
    /// It does not start; the text has what it says about it.
    pub fn start(program: &Path, setting: &Setting<'_>) -> Result<Self, Failure> {
        let directory = TempDir::new()?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let at = directory.path();
        for (index, issued) in setting.issued.iter().enumerate() {
            let (cert, key) = certificate_files(index);
            fs::write(at.join(cert), &issued.pem)?;
            fs::write(at.join(key), issued.key_pem.as_bytes())?;
        }
        fs::write(at.join("adjunct.toml"), setting.configuration(address))?;
        let before = clock::processors()?;
        clock::pin(&setting.processors)?;
        let child = Command::new(program)
            .args(["run", "-c"])
            .arg(at.join("adjunct.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(at.join("errors"))?)
            .spawn();
        clock::pin(&before)?;
        let mut daemon = Self { child: child?, directory, address };
        daemon.wait_until_it_answers()?;
        if setting.cards == Cards::None {
            daemon.take_cards_offline()?;
        }
        Ok(daemon)
    }

    /// The status socket comes after the addresses, and asking it leaves no connection record.
    fn wait_until_it_answers(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while !matches!(self.ask("status"), Ok(Some(_))) {
            if let Some(status) = self.child.try_wait()? {
                let errors = fs::read_to_string(self.directory.path().join("errors"))?;
                return Err(format!("the daemon does not start ({status}):\n{errors}").into());
            }
            if Instant::now() > deadline {
                return Err("the daemon does not answer at its status socket".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn take_cards_offline(&self) -> Result<(), Failure> {
        let rows = self.ask("cards")?.ok_or("the daemon does not tell its cards")?;
        for row in rows.as_array().into_iter().flatten().filter(|row| row["domain"].is_null()) {
            let order = format!("offline {:02x}", row["card"].as_u64().unwrap_or_default());
            let answer = self.ask(&order)?.unwrap_or_default();
            if answer.get("done").is_none() {
                return Err(format!("{order}: {answer}").into());
            }
        }
        Ok(())
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it says its CPU time went to.
    ///
    /// # Errors
    /// It does not answer, or does not know.
    pub fn account(&self) -> Result<Account, Failure> {
        account_at(&self.socket())
    }

    /// What its cards have done in batches; none where no card works so.
    ///
    /// # Errors
    /// It does not answer.
    pub fn batches(&self) -> Result<Option<Batches>, Failure> {
        let answer = self.ask("cards")?.ok_or("the daemon does not tell its cards")?;
        let cards = answer.as_array().into_iter().flatten().filter(|row| row["domain"].is_null());
        Ok(cards.filter_map(Batches::of).reduce(Batches::and))
    }

    /// What the status socket answers to a question; none when it does not know it.
    ///
    /// # Errors
    /// The socket does not answer.
    pub fn ask(&self, question: &str) -> Result<Option<serde_json::Value>, Failure> {
        ask(&self.socket(), question)
    }

    /// Its status socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("admin")
    }
}

/// Batches of cards, and the requests in them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Batches {
    batches: f64,
    requests: f64,
}

impl Batches {
    /// Those of a card, which tells batches of one, two and so on requests.
    #[must_use]
    pub fn of(card: &serde_json::Value) -> Option<Self> {
        let by_size = card["engine"]["batches"].as_array()?;
        let counts = by_size.iter().map(|count| count.as_f64().unwrap_or_default());
        let sums = (1_u32..).zip(counts).map(|(size, count)| (count, count * f64::from(size)));
        let sum = sums.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Some(Self { batches: sum.0, requests: sum.1 })
    }

    /// Those of two cards together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { batches: self.batches + other.batches, requests: self.requests + other.requests }
    }

    /// Requests in a batch since `before`; none where there was no batch.
    #[must_use]
    pub fn fill(self, before: Self) -> Option<f64> {
        let (batches, requests) = (self.batches - before.batches, self.requests - before.requests);
        (batches > 0.0).then(|| requests / batches)
    }
}

/// What the daemon behind a status socket says its CPU time went to.
///
/// # Errors
/// It does not answer, or does not know.
pub fn account_at(socket: &Path) -> Result<Account, Failure> {
    let answer = |question| ask(socket, question).map(Option::unwrap_or_default);
    Account::read(&answer("members")?, &answer("cards")?)
}

/// What a status socket answers to a question; none when it is not understood.
fn ask(socket: &Path, question: &str) -> Result<Option<serde_json::Value>, Failure> {
    ask_within(ANSWER, socket, question)
}

fn ask_within(
    patience: Duration,
    socket: &Path,
    question: &str,
) -> Result<Option<serde_json::Value>, Failure> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    writeln!(stream, "{question}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|e| {
        format!("the status socket does not answer `{question}` within {patience:?} ({e})")
    })?;
    Ok(serde_json::from_str(&answer).ok())
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Kind;

    #[test]
    fn a_status_socket_that_does_not_answer_is_an_error_and_not_a_wait() {
        let place = TempDir::new().unwrap();
        let path = place.path().join("admin");
        // Nobody accepts: the question goes into the backlog.
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let patience = Duration::from_millis(50);
        let error = ask_within(patience, &path, "members").unwrap_err().to_string();
        assert!(error.contains("`members`"), "{error}");
    }

    #[test]
    fn the_fill_is_of_the_batches_since_then() {
        let card = |counts: [u64; 4]| {
            Batches::of(&serde_json::json!({ "engine": { "batches": counts } })).unwrap()
        };
        let before = card([10, 0, 0, 5]).and(card([1, 0, 0, 0]));
        let after = card([11, 0, 0, 6]).and(card([1, 1, 0, 0]));
        assert_eq!(after.fill(before), Some(7.0 / 3.0));
        assert_eq!(before.fill(before), None);
        assert_eq!(Batches::of(&serde_json::json!({ "engine": "single" })), None);
    }

    #[test]
    fn everything_that_varies_stands_in_the_configuration() {
        let rsa = Issued::new(Kind::P256).unwrap();
        let address = "127.0.0.1:1".parse().unwrap();
        let base = Setting::new(address, &rsa, &[0]);
        let text = base.configuration(address);
        assert!(!text.contains("[[card]]") && text.contains("no_card = \"fail\""), "{text}");
        let varied = Setting {
            workers: 2,
            offload: "pool",
            provider: "portable",
            cards: Cards::Of(vec![("CEX8A", "single"), ("CEX8C", "auto")]),
            ecdsa: "cpacf",
            tls: "off",
            versions: vec!["1.2", "1.3"],
            tickets: 2,
            issued: vec![&rsa, &rsa],
            ..base.clone()
        };
        let text = varied.configuration(address);
        for line in [
            "workers = 2",
            "offload = \"pool\"",
            "provider = \"portable\"",
            "ecdsa = \"cpacf\"",
            "id = 1\ntype = \"CEX8C\"\ndomains = [6, 7]\nengine = \"auto\"",
            "type = \"CEX8A\"\ndomains = [6, 7]\nengine = \"single\"",
            "{ cert = \"cert1.pem\", key = \"key1.pem\" }]",
            "versions = [\"1.2\", \"1.3\"]",
            "tickets = 2\n",
            "tls = \"off\"",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        let none = Setting { cards: Cards::None, ..base };
        assert!(none.configuration(address).contains("no_card = \"software\""));
    }
}
