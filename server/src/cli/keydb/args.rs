//! Command line of `adjunct keydb`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use engine::keydb::{AltName, Curve, Hash, KeyKind};

const EXAMPLES: &str = "\
Examples:
  adjunct keydb create tn.p12 --expire-days 365
  adjunct keydb stash  tn.p12
  adjunct keydb ca     tn.p12 ZVMCA --cn zvmca --org ITC --country US
  adjunct keydb issue  tn.p12 SMBSSI --ca ZVMCA --cn smbssi --san smbssi.example.com
  adjunct keydb show   tn.p12 SMBSSI
All steps, and how to be your own certificate authority: docs/keydb.md";

const AFTER: &str = "\
A password is asked for on the terminal, or read from a file, a stash or standard input; never
given on the command line. A FIPS database is read-only unless --mode names a FIPS mode, and a
database that is not FIPS is refused then.";

/// `adjunct keydb`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES, after_help = AFTER, subcommand_value_name = "COMMAND")]
pub struct Keydb {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands of `adjunct keydb`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an empty database
    Create(Create),
    /// Change the password of a database, and of its stash
    Passwd(Passwd),
    /// Store the password in a file of mode 0600, for the daemon
    Stash(Stash),
    /// List labels
    List(Place),
    /// Show certificate information
    Show(Show),
    /// Make a self-signed CA certificate and its key
    Ca(Ca),
    /// Make a certificate and its key, signed by a CA of the database
    Issue(Issue),
    /// Make a key and a certificate request for it
    Request(Request),
    /// Sign somebody's certificate request with a CA of the database
    Sign(Sign),
    /// Take in the certificate that answers a request
    Receive(Receive),
    /// Renew a certificate, or make a request for its renewal
    Renew(Renew),
    /// Import certificates and keys: PEM, DER or PKCS #12
    Import(Import),
    /// Export a certificate: PEM, DER or PKCS #12, with or without chain and key
    Export(Export),
    /// Change a label
    Rename(Rename),
    /// Say which key is the default one, or choose it
    Default(DefaultKey),
    /// Set the trust status of a certificate
    Trust(Trust),
    /// Delete a label with its certificate and key
    Delete(Delete),
    /// Verify the chain above a certificate
    Verify(Verify),
    /// Say what a mode would refuse
    Check(Check),
}

/// Which database, and how to open it.
#[derive(Debug, Args)]
pub struct Place {
    /// The key database, a PKCS #12 file
    #[arg(value_name = "DATABASE")]
    pub database: PathBuf,
    /// How to open it.
    #[command(flatten)]
    pub how: How,
}

/// How to open a database, and how to answer.
#[derive(Debug, Args)]
pub struct How {
    /// File whose first line is the password; `-` for standard input
    #[arg(long, value_name = "FILE", group = "source")]
    pub password_file: Option<PathBuf>,
    /// Take the password from the stash beside the database
    #[arg(long = "stash", group = "source")]
    pub stashed: bool,
    /// Take the password from this stash
    #[arg(long, value_name = "FILE", group = "source")]
    pub stash_file: Option<PathBuf>,
    /// Mode that is on: fips-140-2, nist-800-131a or fips-140-3; may be repeated
    #[arg(long = "mode", value_name = "MODE", env = "ADJUNCT_MODE", value_delimiter = ',')]
    pub modes: Vec<engine::compliance::Mode>,
    /// Configuration file whose server.mode is on
    #[arg(long, short, value_name = "FILE", env = "ADJUNCT_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// Make a FIPS database: its own HMAC over everything, changed in a FIPS mode only
    #[arg(long)]
    pub fips: bool,
    /// Days until its password expires; never if not given
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub expire_days: Option<u32>,
}

/// `passwd`.
#[derive(Debug, Args)]
pub struct Passwd {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// File whose first line is the new password; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub new_password_file: Option<PathBuf>,
    /// Days until the new password expires; never if not given
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub expire_days: Option<u32>,
}

/// `stash`.
#[derive(Debug, Args)]
pub struct Stash {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// Where, instead of DATABASE.stash
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

/// `show`.
#[derive(Debug, Args)]
pub struct Show {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// Label
    #[arg(value_name = "LABEL")]
    pub label: String,
}

/// The parts of a subject.
#[derive(Debug, Args)]
pub struct Subject {
    /// Common name
    #[arg(long, value_name = "NAME")]
    pub cn: Option<String>,
    /// Organizational unit
    #[arg(long, value_name = "NAME")]
    pub ou: Option<String>,
    /// Organization
    #[arg(long, value_name = "NAME")]
    pub org: Option<String>,
    /// City or locality
    #[arg(long, value_name = "NAME")]
    pub locality: Option<String>,
    /// State or province
    #[arg(long, value_name = "NAME")]
    pub state: Option<String>,
    /// Country, two letters
    #[arg(long, value_name = "CC")]
    pub country: Option<String>,
}

/// Subject alternative names.
#[derive(Debug, Args)]
pub struct Names {
    /// Subject alternative name: dns:NAME, ip:ADDRESS, email:MAILBOX, uri:URI, or a bare name or
    /// address; may be repeated
    #[arg(long = "san", value_name = "NAME", value_parser = alternative_name)]
    pub names: Vec<AltName>,
}

fn alternative_name(text: &str) -> Result<AltName, engine::keydb::Error> {
    AltName::parse(text)
}

/// Key to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Key {
    /// RSA, 2048 bits
    Rsa2048,
    /// RSA, 3072 bits
    Rsa3072,
    /// RSA, 4096 bits
    Rsa4096,
    /// EC on P-256
    P256,
    /// EC on P-384
    P384,
    /// EC on P-521, which browsers do not accept
    P521,
}

impl From<Key> for KeyKind {
    fn from(key: Key) -> Self {
        match key {
            Key::Rsa2048 => Self::Rsa { bits: 2048 },
            Key::Rsa3072 => Self::Rsa { bits: 3072 },
            Key::Rsa4096 => Self::Rsa { bits: 4096 },
            Key::P256 => Self::Ec(Curve::P256),
            Key::P384 => Self::Ec(Curve::P384),
            Key::P521 => Self::Ec(Curve::P521),
        }
    }
}

/// Digest of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DigestName {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

impl From<DigestName> for Hash {
    fn from(digest: DigestName) -> Self {
        match digest {
            DigestName::Sha256 => Self::Sha256,
            DigestName::Sha384 => Self::Sha384,
            DigestName::Sha512 => Self::Sha512,
        }
    }
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UsageName {
    /// A TLS server
    Server,
    /// A TLS client
    Client,
    /// A TLS server and client
    Both,
    /// A certificate authority
    Ca,
}

/// `ca`.
#[derive(Debug, Args)]
pub struct Ca {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// Label
    #[arg(value_name = "LABEL")]
    pub label: String,
    /// Key to make
    #[arg(long, value_enum, default_value = "rsa2048")]
    pub key: Key,
    /// Digest of the signature; by default one that suits the key
    #[arg(long, value_enum)]
    pub digest: Option<DigestName>,
    /// Days of validity
    #[arg(long, default_value_t = 3650)]
    pub days: u32,
    /// Most CAs below this one
    #[arg(long, value_name = "COUNT")]
    pub path_len: Option<u8>,
    /// Whose.
    #[command(flatten)]
    pub subject: Subject,
}

/// `issue`.
#[derive(Debug, Args)]
pub struct Issue {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// Label
    #[arg(value_name = "LABEL")]
    pub label: String,
    /// Label of the CA that signs
    #[arg(long, value_name = "LABEL")]
    pub ca: String,
    /// What the certificate is for
    #[arg(long, value_enum, default_value = "server")]
    pub usage: UsageName,
    /// Key to make
    #[arg(long, value_enum, default_value = "rsa2048")]
    pub key: Key,
    /// Digest of the signature; by default one that suits the key of the CA
    #[arg(long, value_enum)]
    pub digest: Option<DigestName>,
    /// Days of validity
    #[arg(long, default_value_t = 365)]
    pub days: u32,
    /// Most CAs below it, for a CA
    #[arg(long, value_name = "COUNT")]
    pub path_len: Option<u8>,
    /// Whose.
    #[command(flatten)]
    pub subject: Subject,
    /// Names.
    #[command(flatten)]
    pub names: Names,
}

/// `request`.
#[derive(Debug, Args)]
pub struct Request {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// Label
    #[arg(value_name = "LABEL")]
    pub label: String,
    /// File for the request (PEM); standard output if not given
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Key to make
    #[arg(long, value_enum, default_value = "rsa2048")]
    pub key: Key,
    /// Digest of the signature; by default one that suits the key
    #[arg(long, value_enum)]
    pub digest: Option<DigestName>,
    /// Whose.
    #[command(flatten)]
    pub subject: Subject,
    /// Names.
    #[command(flatten)]
    pub names: Names,
}

/// `sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// File with the request, PEM or DER
    #[arg(value_name = "REQUEST")]
    pub request: PathBuf,
    /// Label of the CA that signs
    #[arg(long, value_name = "LABEL")]
    pub ca: String,
    /// File for the certificate (PEM); standard output if not given
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What the certificate is for
    #[arg(long, value_enum, default_value = "server")]
    pub usage: UsageName,
    /// Digest of the signature; by default one that suits the key of the CA
    #[arg(long, value_enum)]
    pub digest: Option<DigestName>,
    /// Days of validity
    #[arg(long, default_value_t = 365)]
    pub days: u32,
    /// Most CAs below it, for a CA
    #[arg(long, value_name = "COUNT")]
    pub path_len: Option<u8>,
    /// Names, instead of those that the request asks for.
    #[command(flatten)]
    pub names: Names,
}

/// `receive`.
#[derive(Debug, Args)]
pub struct Receive {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// File with the certificate, PEM or DER
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `renew`.
#[derive(Debug, Args)]
pub struct Renew {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// Label
    #[arg(value_name = "LABEL")]
    pub label: String,
    /// Do not sign it here: write a request for its renewal (PEM) into this file
    #[arg(long, value_name = "FILE", conflicts_with = "days")]
    pub request: Option<PathBuf>,
    /// Days of validity; as many as before if not given
    #[arg(long)]
    pub days: Option<u32>,
    /// Digest of the signature; by default one that suits the key that signs
    #[arg(long, value_enum)]
    pub digest: Option<DigestName>,
}

/// `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// File with certificates: PEM, DER or PKCS #12
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Label of the first certificate; by default its name in the file, or its common name
    #[arg(long)]
    pub label: Option<String>,
    /// File with the private key (PEM), if it is not in the same file
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Take it in without trusting it
    #[arg(long)]
    pub untrusted: bool,
    /// File whose first line is the password of a PKCS #12 file; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub file_password_file: Option<PathBuf>,
}

/// Form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Base64 with lines BEGIN and END
    Pem,
    /// Binary, one certificate
    Der,
    /// PKCS #12, with a password of its own
    Pkcs12,
}

/// `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// Label
    #[arg(value_name = "LABEL")]
    pub label: String,
    /// File to write; PEM without a key goes to standard output if not given
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Form
    #[arg(long, value_enum, default_value = "pem")]
    pub form: Form,
    /// With the certificates above it
    #[arg(long)]
    pub chain: bool,
    /// With its private key
    #[arg(long)]
    pub key: bool,
    /// File whose first line is the password of the PKCS #12 file; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub file_password_file: Option<PathBuf>,
}

/// `rename`.
#[derive(Debug, Args)]
pub struct Rename {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// Label
    #[arg(value_name = "LABEL")]
    pub label: String,
    /// New label
    #[arg(value_name = "NEW")]
    pub to: String,
}

/// `default`.
#[derive(Debug, Args)]
pub struct DefaultKey {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// Label of the key that is to be the default one
    #[arg(value_name = "LABEL")]
    pub label: Option<String>,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum YesNo {
    /// Trusted
    Yes,
    /// Not trusted
    No,
}

/// `trust`.
#[derive(Debug, Args)]
pub struct Trust {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// Label
    #[arg(value_name = "LABEL")]
    pub label: String,
    /// Trust status
    #[arg(value_enum)]
    pub trusted: YesNo,
}

/// `delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// Label
    #[arg(value_name = "LABEL")]
    pub label: String,
    /// Also when others depend on it, it is the default, or its request is not answered
    #[arg(long)]
    pub force: bool,
}

/// What a chain is verified for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PurposeName {
    /// To be shown to clients
    Server,
    /// To be shown to servers
    Client,
    /// No matter what for
    Any,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// Label
    #[arg(value_name = "LABEL")]
    pub label: String,
    /// What the certificate is to be used for
    #[arg(long = "for", value_enum, default_value = "any")]
    pub purpose: PurposeName,
}

/// `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Which.
    #[command(flatten)]
    pub place: Place,
    /// Mode to check against; may be repeated
    #[arg(long = "against", value_name = "MODE", required = true, value_delimiter = ',')]
    pub against: Vec<engine::compliance::Mode>,
    /// Label; all if not given
    #[arg(value_name = "LABEL")]
    pub label: Option<String>,
}
