//! A daemon with an RSA and an ECDSA certificate, its log, and the reports on it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use adjunct_tests::adjunct;
use adjunct_tests::backend::Backend;
use adjunct_tests::client_pki::{By, ClientPki, Flaw};
use adjunct_tests::config::{Service, file};
use adjunct_tests::daemon::{Daemon, Program};
use adjunct_tests::pki::{self, Issued, Leaf, Pki};
use adjunct_tests::process::{Finished, run};
use adjunct_tests::scene::NAME;
use adjunct_tests::wait_until;
use serde_json::Value;
use tempfile::TempDir;

use crate::clients::Kind;

/// Name of the service.
pub(crate) const SERVICE: &str = "web";

/// Everything that outlives a daemon: authorities, certificates, backend, directory.
pub(crate) struct Site {
    pub(crate) daemon: Daemon<1>,
    pub(crate) pki: Pki,
    /// A right certificate of a client, and one that says its key makes no signatures.
    pub(crate) client: [Issued; 2],
    pub(crate) directory: TempDir,
    program: Program,
    _clients: ClientPki,
    _http: Backend,
}

impl Site {
    /// Starts it with more lines in `[server]`.
    pub(crate) fn start(server: &str) -> Self {
        let (program, http) = (adjunct!(), Backend::http());
        let (pki, clients) = (Pki::new(), ClientPki::new());
        let rsa = pki.issue("rsa", &Leaf::new(pki::Kind::Rsa2048, &[NAME]));
        let ec = pki.issue("ec", &Leaf::new(pki::Kind::P256, &[NAME]));
        let client = [
            clients.good("app1", pki::Kind::P256),
            clients.issue("app2", pki::Kind::Rsa2048, By::Ca, Flaw::ForAgreement),
        ];
        let directory = TempDir::new().expect("a temporary directory");
        let (log, socket) = (directory.path().join("log"), directory.path().join("socket"));
        let daemon = program.start(|[at]| {
            let service = Service::with_certs(SERVICE, at, &[http.address], &[&rsa, &ec]);
            let text = file(&[service.with(&clients.line("optional"))]);
            let server =
                format!("[server]\nlog = {{ target = \"{}\" }}\n{server}\n", log.display());
            let text = text.replacen("[server]\n", &server, 1);
            format!("{text}\n[admin]\nsocket = \"{}\"\n", socket.display())
        });
        Self { daemon, pki, client, directory, program, _clients: clients, _http: http }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.daemon.address()
    }

    /// The log file.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Lets clients of each kind talk; whether each was served.
    pub(crate) fn visit(&self, kinds: &[Kind]) -> Vec<bool> {
        let served: Vec<bool> = kinds.iter().map(|kind| kind.talk(self)).collect();
        // Who is refused does not come again for the session.
        let made = |(kind, served): (&Kind, &bool)| if *served { kind.connections() } else { 1 };
        let expected: u64 = kinds.iter().zip(&served).map(made).sum();
        wait_until("every connection has left its record", || {
            let text = std::fs::read_to_string(self.log()).unwrap_or_default();
            let seen = text.lines().filter(|line| line.contains("\"event\":\"connection\""));
            seen.count() as u64 >= expected
        });
        served
    }

    /// `adjunct evidence` with these arguments.
    pub(crate) fn evidence(&self, arguments: &[&str]) -> Finished {
        self.program.run(&[&["evidence"], arguments].concat())
    }

    /// `adjunct evidence` with a text on its standard input.
    pub(crate) fn evidence_of(&self, input: &str, arguments: &[&str]) -> Finished {
        let arguments = [&["evidence"], arguments, &["-"]].concat();
        run(&mut self.program.command(&arguments), input.as_bytes())
    }

    /// `adjunct evidence` in this form of its log, written where there is no space.
    pub(crate) fn evidence_to_full_disk(&self, form: &str) -> Finished {
        let daemon = self.program.command(&[]);
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$0\" evidence \"$1\" \"$2\" >/dev/full"]);
        run(shell.arg(daemon.get_program()).arg(form).arg(self.log()), b"")
    }

    /// The report on its log.
    pub(crate) fn report(&self) -> Report {
        let log = self.log();
        Report::of(&self.evidence(&["--json", &log.to_string_lossy()]).success())
    }

    /// The same with what a mode would do.
    pub(crate) fn report_if(&self, mode: &str) -> Report {
        let log = self.log();
        let arguments = ["--json", "--what-if", mode, &log.to_string_lossy()];
        Report::of(&self.evidence(&arguments).success())
    }

    /// What the daemon itself says that a mode would do.
    pub(crate) fn report_of_daemon_if(&self, mode: &str) -> Report {
        let socket = self.directory.path().join("socket");
        let arguments = ["--json", "--what-if", mode, "--socket", &socket.to_string_lossy()];
        Report::of(&self.evidence(&arguments).success())
    }

    /// The report of the daemon itself.
    pub(crate) fn report_of_daemon(&self) -> Report {
        let socket = self.directory.path().join("socket");
        Report::of(&self.evidence(&["--json", "--socket", &socket.to_string_lossy()]).success())
    }
}

/// A report as JSON.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report(pub(crate) Value);

impl Report {
    pub(crate) fn of(finished: &Finished) -> Self {
        Self(serde_json::from_str(&finished.stdout).expect("JSON"))
    }

    /// The rows of a table in which all these fields have these values.
    pub(crate) fn rows(&self, table: &str, wanted: &[(&str, &str)]) -> Vec<&Value> {
        let rows = self.0[table].as_array().expect("a table");
        rows.iter().filter(|row| wanted.iter().all(|(name, value)| row[*name] == *value)).collect()
    }

    /// The values of a column in these rows, sorted.
    pub(crate) fn column(&self, table: &str, wanted: &[(&str, &str)], column: &str) -> Vec<String> {
        let rows = self.rows(table, wanted);
        let mut values: Vec<String> =
            rows.iter().filter_map(|row| row[column].as_str()).map(str::to_owned).collect();
        values.sort();
        values.dedup();
        values
    }

    /// A sum.
    pub(crate) fn total(&self, name: &str) -> u64 {
        self.0["totals"][name].as_u64().expect("a number")
    }
}
