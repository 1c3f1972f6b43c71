//! One policy: the rules of a mode, read from its dated file.
//!
//! Invariants: the files are part of the program and parsed once; a name in them that the
//! registries do not know is a fault that a test finds, so parsing cannot fail in the field.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use cpacf::digest::{Algorithm, Context};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::mode::Mode;
use super::strength;
use crate::iana;

const TEXTS: [(Mode, &str); 3] = [
    (Mode::Fips1402, include_str!("../../policies/fips-140-2-2026-11-21.toml")),
    (Mode::Nist800131a, include_str!("../../policies/nist-800-131a-2026-11-21.toml")),
    (Mode::Fips1403, include_str!("../../policies/fips-140-3-2026-11-21.toml")),
];

/// Which policy a moving name stands for.
const ALIASES: &str = include_str!("../../policies/aliases.toml");

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    date: String,
    title: String,
    fips: bool,
    strength_bits: u32,
    protocols: Protocols,
    suites: Names,
    groups: Names,
    signatures: Signatures,
    certificates: Certificates,
    cpacf: Functions,
    cards: Cards,
    keydb: KeyDb,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Protocols {
    versions: Vec<String>,
    extended_master_secret: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    names: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signatures {
    handshake: Vec<String>,
    certificates: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Certificates {
    keys: Vec<String>,
    key_usage: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Functions {
    approved: Vec<String>,
    hybrid: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cards {
    no_card: CardRule,
    verify: VerifyRule,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyDb {
    fips: bool,
}

/// What happens when no card is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CardRule {
    /// What `[route] no_card` says.
    Any,
    /// The handshake fails.
    Fail,
}

/// Which results of cards are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyRule {
    /// What `[route] verify` says.
    Any,
    /// All of them.
    All,
}

/// The rules of a mode.
#[derive(Debug)]
pub struct Policy {
    mode: Mode,
    dated_name: String,
    hash: [u8; 32],
    file: File,
    versions: Vec<u16>,
    suites: Vec<u16>,
    groups: Vec<u16>,
    schemes: Vec<u16>,
}

static POLICIES: LazyLock<Vec<Policy>> =
    LazyLock::new(|| TEXTS.iter().map(|(mode, text)| Policy::read(*mode, text)).collect());

static NAMES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| parse(ALIASES));

#[allow(clippy::expect_used, reason = "the text is part of the program, and a test parses it")]
pub(super) fn parse<T: DeserializeOwned>(text: &'static str) -> T {
    toml::from_str(text).expect("a policy file")
}

impl Policy {
    /// All policies there are, the dated ones of the past included.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        POLICIES.iter()
    }

    /// The newest policy of a mode.
    #[must_use]
    #[allow(clippy::expect_used, reason = "the table of names is complete, and a test says so")]
    pub fn of(mode: Mode) -> &'static Self {
        Self::find(mode.name()).expect("an alias for every mode")
    }

    /// The policy of this name, a moving or a dated one.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        let dated = NAMES.get(name).map_or(name, String::as_str);
        Self::all().find(|policy| policy.dated_name == dated)
    }

    /// Every name a mode can be called by: the moving ones, then the dated ones.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let dated = POLICIES.iter().map(|policy| policy.dated_name.as_str());
        NAMES.keys().map(String::as_str).chain(dated)
    }

    fn read(mode: Mode, text: &'static str) -> Self {
        let file: File = parse(text);
        let codes = |names: &[String], code: fn(&str) -> Option<u16>| {
            let mut codes: Vec<u16> = names.iter().filter_map(|name| code(name)).collect();
            codes.sort_unstable();
            codes
        };
        Self {
            mode,
            dated_name: format!("{}-{}", file.name, file.date),
            hash: sha256([text, strength::text()]),
            versions: codes(&file.protocols.versions, iana::version_code),
            suites: codes(&file.suites.names, iana::suite_code),
            groups: codes(&file.groups.names, iana::group_code),
            schemes: codes(&file.signatures.handshake, iana::scheme_code),
            file,
        }
    }

    /// The mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Its name with the date, `fips-140-3-2026-11-21`.
    #[must_use]
    pub fn dated_name(&self) -> &str {
        &self.dated_name
    }

    /// What it is about, in a line.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.file.title
    }

    /// SHA-256 over the text of its file and of the table of strengths.
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Whether it is a mode of FIPS 140.
    #[must_use]
    pub fn is_fips(&self) -> bool {
        self.file.fips
    }

    /// Least strength of a key, in bits.
    #[must_use]
    pub fn strength_bits(&self) -> u32 {
        self.file.strength_bits
    }

    /// Whether TLS 1.2 needs the extended master secret.
    #[must_use]
    pub fn extended_master_secret(&self) -> bool {
        self.file.protocols.extended_master_secret
    }

    /// Approved protocol versions, ascending.
    #[must_use]
    pub fn versions(&self) -> &[u16] {
        &self.versions
    }

    /// Approved cipher suites, ascending.
    #[must_use]
    pub fn suites(&self) -> &[u16] {
        &self.suites
    }

    /// Approved groups, ascending.
    #[must_use]
    pub fn groups(&self) -> &[u16] {
        &self.groups
    }

    /// Approved schemes for signatures of the handshake, ascending.
    #[must_use]
    pub fn schemes(&self) -> &[u16] {
        &self.schemes
    }

    /// Approved signatures inside certificates, in OpenSSL's names.
    #[must_use]
    pub fn certificate_signatures(&self) -> &[String] {
        &self.file.signatures.certificates
    }

    /// Approved types of keys: `RSA`, `Ed25519`, and curves by their names.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.file.certificates.keys
    }

    /// Whether a stated key usage is held against a certificate.
    #[must_use]
    pub fn key_usage(&self) -> bool {
        self.file.certificates.key_usage
    }

    /// Whether a cpacf function is approved for direct calls, and whether it is as the second half
    /// of a hybrid group.
    #[must_use]
    pub fn function(&self, name: &str) -> (bool, bool) {
        let Functions { approved, hybrid } = &self.file.cpacf;
        let direct = approved.iter().any(|known| known == name);
        (direct, direct || hybrid.iter().any(|known| known == name))
    }

    /// What happens when no card is left.
    #[must_use]
    pub fn no_card(&self) -> CardRule {
        self.file.cards.no_card
    }

    /// Which results of cards are verified.
    #[must_use]
    pub fn verify(&self) -> VerifyRule {
        self.file.cards.verify
    }

    /// Whether a key database must be one that was created for FIPS.
    #[must_use]
    pub fn keydb_fips(&self) -> bool {
        self.file.keydb.fips
    }
}

impl PartialEq for Policy {
    /// The dated name is a policy's identity.
    fn eq(&self, other: &Self) -> bool {
        self.dated_name == other.dated_name
    }
}

impl Eq for Policy {}

/// In software where the function is blocked: a hash of data that is public either way.
pub(super) fn sha256<'t>(texts: impl IntoIterator<Item = impl AsRef<[u8]> + 't>) -> [u8; 32] {
    let mut context = Context::start(Algorithm::Sha256);
    texts.into_iter().for_each(|text| context.update(text.as_ref()));
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    hash
}
