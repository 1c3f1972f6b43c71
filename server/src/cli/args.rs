//! Definition of the command line; help, usage errors and environment variables follow from it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use engine::compliance::{Mode, Policy, UnknownMode};
use engine::crypto::CardTarget;

use crate::config::schema::{ColorChoice, LogFormat};

const EXAMPLES: &str = "\
Examples:
  adjunct demo                          everything once, nothing to set up
  adjunct check -c adjunct.toml         every fault at once, with line and remedy
  adjunct run -c adjunct.toml           serve until TERM or INT";

const SIGNALS_AND_CODES: &str = "\
Signals to `run`:
  TERM, INT, QUIT   drain: no new connections, wait for open ones; a second one exits at once
  USR1              open the log file again
  HUP               ignored with a warning: reload is not in this version

Exit codes:
   0  everything in order
   1  unspecified failure
  64  wrong command line
  65  certificate or key data not usable
  66  input file missing
  69  address not available, name not resolved, or no daemon at the admin socket
  70  internal error, or a failed self-test or integrity check
  71  the operating system refused something
  75  drain deadline passed with connections open
  77  file may not be read or written
  78  configuration or policy violation

A flag wins over its environment variable, that over the file, the file over the default.";

/// TLS in front of services that cannot do it themselves.
#[derive(Debug, Parser)]
#[command(
    name = "adjunct",
    before_help = EXAMPLES,
    after_help = SIGNALS_AND_CODES,
    disable_version_flag = true,
    disable_help_subcommand = true
)]
pub struct Arguments {
    /// Print the version; with --verbose also commit, features, crypto module and limits
    #[arg(long, short = 'V')]
    pub version: bool,
    /// With --version: say what a bug report needs
    #[arg(long, short = 'v')]
    pub verbose: bool,
    /// With --version: print JSON
    #[arg(long, requires = "version")]
    pub json: bool,
    /// Colour the text form of records
    #[arg(long, value_enum, default_value = "auto", global = true)]
    pub color: Color,
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object per line
    Json,
    /// Several aligned lines for a reader
    Text,
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Text => Self::Text,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until a signal ends it
    Run(Run),
    /// Say everything that is wrong with a configuration and the files it names
    Check(Check),
    /// Show everything once: throwaway certificates, a plain service, TLS in front of it
    Demo {
        /// Drive a full, a resumed and a refused handshake, then exit
        #[arg(long)]
        once: bool,
    },
    /// List cards and queues as lszcrypt does (they are simulated)
    Cards(Cards),
    /// List the functions of cpacf with their counters, and what the cryptographic module is
    Crypto(Crypto),
    /// List the pool members of a running daemon with the CPU time of their turns
    Members(Members),
    /// Check the program against the file beside it, as every start in a FIPS mode does
    Integrity(Integrity),
    /// Keep certificates and keys in a key database
    Keydb(Box<super::keydb::args::Keydb>),
    /// List cipher suites under all their names: IANA, OpenSSL, code, z/VM; and which are served
    Ciphers(Ciphers),
    /// Report who negotiated what and who was refused, from logs or from a running daemon
    Evidence(Evidence),
    /// Say what a code means: 8/2B00, 402, "alert 40", CSFPPKS, or the name of a rule
    Explain {
        /// The code; several words are taken as one
        #[arg(required = true)]
        code: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `adjunct run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Configuration file
    #[arg(long, short, value_name = "FILE", env = "ADJUNCT_CONFIG")]
    pub config: PathBuf,
    /// Where records go instead of log.target: `stderr` or a file
    #[arg(long, value_name = "TARGET", env = "ADJUNCT_LOG")]
    pub log: Option<String>,
    /// Form of records instead of log.format
    #[arg(long, value_enum, value_name = "FORM", env = "ADJUNCT_LOG_FORMAT")]
    pub log_format: Option<Format>,
}

/// `adjunct check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Configuration file
    #[arg(long, short, value_name = "FILE", env = "ADJUNCT_CONFIG")]
    pub config: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Where a snapshot comes from.
#[derive(Debug, Args)]
pub struct Where {
    /// Configuration file: its admin socket is asked, else its cards are started
    #[arg(long, short, value_name = "FILE", env = "ADJUNCT_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// Admin socket of a running daemon
    #[arg(long, value_name = "PATH", env = "ADJUNCT_SOCKET", global = true)]
    pub socket: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `adjunct cards`.
#[derive(Debug, Args)]
#[command(subcommand_help_heading = "Orders to a running daemon", subcommand_value_name = "ORDER")]
pub struct Cards {
    /// What a running daemon is told to do with a card or queue
    #[command(subcommand)]
    pub order: Option<CardsOrder>,
    /// More columns: pending, hardware type, depth, functions, driver
    #[arg(long, short = 'V')]
    pub verbose: bool,
    /// Where from.
    #[command(flatten)]
    pub place: Where,
}

/// `adjunct cards ORDER`.
#[derive(Debug, Subcommand)]
pub enum CardsOrder {
    /// Let it take requests again, as chzcrypt -e
    Online {
        /// Card (00) or queue (00.0006), hexadecimal
        #[arg(value_name = "CARD|APQN")]
        target: CardTarget,
    },
    /// Let it take no more requests, as chzcrypt -d; those under way go to others
    Offline {
        /// Card (00) or queue (00.0006), hexadecimal
        #[arg(value_name = "CARD|APQN")]
        target: CardTarget,
    },
    /// Break it on purpose: demo and test builds only
    Fault {
        /// Card (00) or queue (00.0006), hexadecimal
        #[arg(value_name = "CARD|APQN")]
        target: CardTarget,
        /// deconfigured, checkstopped, offline, wrong-result, lost-reply, forgotten, queue-full,
        /// reset, slow, response or error-reply
        fault: String,
        /// For slow a latency (20ms), for response and error-reply a code (05)
        detail: Option<String>,
    },
    /// Take back every fault: demo and test builds only
    Repair {
        /// Card (00), queue (00.0006) or all
        #[arg(value_name = "CARD|APQN|all")]
        target: String,
    },
}

/// `adjunct crypto`.
#[derive(Debug, Args)]
pub struct Crypto {
    /// Where from.
    #[command(flatten)]
    pub place: Where,
}

/// `adjunct integrity`.
#[derive(Debug, Args)]
pub struct Integrity {
    /// Write the file instead: a step of the build or the installation
    #[arg(long)]
    pub write: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A mode by its name, or what the names are.
fn mode(name: &str) -> Result<Mode, String> {
    name.parse().map_err(|unknown: UnknownMode| {
        let known: Vec<_> = Policy::names().collect();
        format!("{unknown}; write one of {}", known.join(", "))
    })
}

/// `adjunct ciphers`.
#[derive(Debug, Args)]
pub struct Ciphers {
    /// Show what this mode exempts: fips-140-2, nist-800-131a or fips-140-3; several hold together
    #[arg(long = "mode", value_name = "MODE", value_delimiter = ',', value_parser = mode)]
    pub modes: Vec<Mode>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `adjunct members`.
#[derive(Debug, Args)]
pub struct Members {
    /// Configuration file: its admin socket is asked
    #[arg(long, short, value_name = "FILE", env = "ADJUNCT_CONFIG")]
    pub config: Option<PathBuf>,
    /// Admin socket of a running daemon
    #[arg(long, value_name = "PATH", env = "ADJUNCT_SOCKET")]
    pub socket: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `adjunct evidence`.
#[derive(Debug, Args)]
pub struct Evidence {
    /// JSON logs, in any order; - is standard input. They go before --socket and --config
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Admin socket of a running daemon
    #[arg(long, value_name = "PATH", env = "ADJUNCT_SOCKET")]
    pub socket: Option<PathBuf>,
    /// Configuration file: its admin socket is asked, or its log read if no daemon answers
    #[arg(long, short, value_name = "FILE", env = "ADJUNCT_CONFIG")]
    pub config: Option<PathBuf>,
    /// Only what was seen from then on: 2026-11-21T08:00:00Z, 2026-11-21, 24h, 7d
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// List the clients that would fail if this mode were enforced, and what they lack
    #[arg(long, value_name = "MODE", value_parser = mode)]
    pub what_if: Option<Mode>,
    /// Form of the report
    #[command(flatten)]
    pub form: EvidenceForm,
}

/// Form of a report; a text for a reader unless one is asked for.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct EvidenceForm {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Print one table as CSV: the first one if none is named
    #[arg(long, value_enum, value_name = "TABLE", num_args = 0..=1, require_equals = true)]
    pub csv: Option<Option<EvidenceTable>>,
    /// Print one HTML page that needs nothing beside it
    #[arg(long)]
    pub html: bool,
}

/// Tables of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EvidenceTable {
    /// What was negotiated
    Sessions,
    /// Who was served
    Clients,
    /// Who was not, and why
    Refused,
    /// What the mode of --what-if would do
    WhatIf,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::{Arguments, Command, EvidenceTable, SIGNALS_AND_CODES};
    use crate::exit::Exit;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_leads_with_examples_and_lists_every_exit_code() {
        let help = Arguments::command().render_help().to_string();
        assert!(help.starts_with("Examples:\n  adjunct demo"), "{help}");
        for exit in Exit::ALL {
            let line = format!("{:>4}  {}", exit.code(), exit.meaning());
            assert!(SIGNALS_AND_CODES.contains(&line), "{line}");
        }
    }

    #[test]
    fn commands_are_read() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        let run = parse("adjunct run -c a.toml --log-format text").unwrap();
        assert!(matches!(run.command, Some(Command::Run(run)) if run.log_format.is_some()));
        let explain = parse("adjunct explain alert 40").unwrap();
        let Some(Command::Explain { code, .. }) = explain.command else { panic!("not explain") };
        assert_eq!(code, ["alert", "40"]);
        assert!(parse("adjunct --version --verbose").unwrap().version);
        assert!(parse("adjunct nonsense").is_err());
        let csv = |line: &str| match parse(line).unwrap().command {
            Some(Command::Evidence(evidence)) => (evidence.files.len(), evidence.form.csv),
            other => panic!("{other:?}"),
        };
        assert_eq!(csv("adjunct evidence --csv a.log"), (1, Some(None)));
        assert_eq!(
            csv("adjunct evidence --csv=refused a b"),
            (2, Some(Some(EvidenceTable::Refused)))
        );
        assert!(parse("adjunct evidence --csv --html a.log").is_err());
    }
}
