//! What a PKCS #12 file cannot say: FIPS flag, end of the password, trust, default key, pending
//! requests; and an HMAC-SHA-256 over the file, since the derivation of PKCS #12's own MAC key is
//! not an approved one.
//!
//! A sidecar holds one *state*, or two while a database is being replaced: the old one and the new
//! one. The state of a file is the one whose HMAC is right over that file. So the pair of files can
//! be replaced one after the other, and whatever moment a writer is killed at, the database that is
//! there has its state beside it.
//!
//! Invariants: the HMAC of a state covers the flags and the HMAC of the file. A database whose
//! sidecar says FIPS is opened with a right state only. One that does not may have been changed by
//! another program, which is said; what it still has keeps its trust.
//!
//! Source: NIST SP 800-132 (PBKDF2), FIPS 198-1.

use cpacf::digest::Algorithm;
use cpacf::{hmac, prno};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::{Class, Error};
use super::pkcs12::{ITERATIONS, ITERATIONS_MAX};

const FORMAT: &str = "adjunct key database";
const VERSION: u32 = 1;
/// The old one and the new one.
const STATES_MAX: usize = 2;
/// Goes ahead of everything that is authenticated, so that no HMAC stands for anything else.
const DOMAIN: &[u8] = b"adjunct key database 1\0";

/// The whole sidecar.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    version: u32,
    states: Vec<Signed>,
}

/// A state with the HMAC over it, in hexadecimal digits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signed {
    state: State,
    mac: String,
}

/// What is known about one version of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    salt: String,
    iterations: u32,
    file_mac: String,
    facts: Facts,
}

/// What the owner of a database decided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Facts {
    pub(super) fips: bool,
    /// Seconds since 1970.
    pub(super) password_ends: Option<u64>,
    pub(super) default: Option<String>,
    pub(super) entries: Vec<EntryFacts>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryFacts {
    pub(super) label: String,
    pub(super) trusted: bool,
    /// DER of a pending request, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<String>,
}

/// What a sidecar says about a file.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) facts: Facts,
    /// The state as it stands in the sidecar, for the next replacement.
    pub(super) signed: Signed,
    /// Whether the file is the one that the state was written for.
    pub(super) file_unchanged: bool,
}

/// Makes the state of `file` under `password`.
pub(super) fn sign(facts: Facts, file: &[u8], password: &str) -> Result<Signed, Error> {
    let mut salt = [0; 20];
    prno::fill(&mut salt).map_err(Error::internal)?;
    let key = Key::derive(password, &salt, ITERATIONS)?;
    let file_mac = hex(key.mac(b"file", file).as_ref());
    let state = State { salt: hex(&salt), iterations: ITERATIONS, file_mac, facts };
    let mac = hex(key.mac(b"state", &encode(&state)?).as_ref());
    Ok(Signed { state, mac })
}

/// The bytes of a sidecar with these states.
pub(super) fn write(states: Vec<Signed>) -> Result<Vec<u8>, Error> {
    let file = File { format: FORMAT.to_owned(), version: VERSION, states };
    let mut text = serde_json::to_vec_pretty(&file).map_err(Error::internal)?;
    text.push(b'\n');
    Ok(text)
}

/// Finds the state of `file`; none if no state was made under this password.
///
/// That a state is right also says that the password is: so a FIPS database that was changed can be
/// told from a wrong password, which the file's own MAC cannot do.
pub(super) fn read(bytes: &[u8], file: &[u8], password: &str) -> Result<Option<Verified>, Error> {
    let mut changed = None;
    for signed in parse(bytes)?.states {
        let Some(key) = signed.key(password)? else { continue };
        let state = encode(&signed.state)?;
        let right = |what: &[u8], of: &[u8], mac: &str| {
            unhex(mac).is_some_and(|mac| key.verifies(what, of, &mac))
        };
        if !right(b"state", &state, &signed.mac) {
            continue;
        }
        let file_unchanged = right(b"file", file, &signed.state.file_mac);
        let verified = Verified { facts: signed.state.facts.clone(), signed, file_unchanged };
        if file_unchanged {
            return Ok(Some(verified));
        }
        changed = Some(verified);
    }
    if changed.as_ref().is_some_and(|verified| verified.facts.fips) {
        return Err(Error::new(
            Class::Integrity,
            "the integrity check of the FIPS key database failed: the HMAC-SHA-256 in its sidecar \
             is not that of the file, so the file was changed",
            "restore both files from one copy",
        ));
    }
    Ok(changed)
}

/// What to say when the password is right, by the file, and no state was made under it.
pub(super) fn foreign() -> Error {
    Error::new(
        Class::Integrity,
        "the sidecar was changed, or belongs to another database or password: its HMAC-SHA-256 \
         does not fit",
        "restore it from a copy; without it (move it away) certificates keep their labels, while \
         trust, default key and pending requests are lost",
    )
}

/// Whether the sidecar claims a FIPS database; before a password is known, so not yet verified.
pub(super) fn claims_fips(bytes: &[u8]) -> Result<bool, Error> {
    Ok(parse(bytes)?.states.iter().any(|signed| signed.state.facts.fips))
}

fn parse(bytes: &[u8]) -> Result<File, Error> {
    let damaged = |error: serde_json::Error| {
        Error::data(format!("the sidecar is damaged: {error}"), "restore it from a copy")
    };
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(damaged)?;
    if value.get("format").and_then(serde_json::Value::as_str) != Some(FORMAT) {
        return Err(Error::data(
            "the sidecar is not that of a key database",
            "move it away, or restore it from a copy",
        ));
    }
    let version = value.get("version").and_then(serde_json::Value::as_u64);
    if version != Some(u64::from(VERSION)) {
        let version = version.map_or_else(|| "no number".to_owned(), |v| v.to_string());
        return Err(Error::new(
            Class::Future,
            format!("the sidecar has format version {version}; this program reads {VERSION}"),
            "use the version of Adjunct that wrote it",
        ));
    }
    let file: File = serde_json::from_value(value).map_err(damaged)?;
    // Each costs a key derivation.
    if file.states.len() > STATES_MAX {
        return Err(Error::data("the sidecar has too many states", "restore it from a copy"));
    }
    Ok(file)
}

impl Signed {
    /// The key of the state; none if its numbers cannot be ours.
    fn key(&self, password: &str) -> Result<Option<Key>, Error> {
        let sane = (1000..=ITERATIONS_MAX).contains(&self.state.iterations);
        let salt = unhex(&self.state.salt).filter(|salt| sane && salt.len() >= 16);
        salt.map(|salt| Key::derive(password, &salt, self.state.iterations)).transpose()
    }
}

/// The key of a state, from the password.
struct Key(hmac::Key);

impl Key {
    fn derive(password: &str, salt: &[u8], iterations: u32) -> Result<Self, Error> {
        let mut key = Zeroizing::new([0; 32]);
        pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password.as_bytes(), salt, iterations, &mut *key);
        hmac::Key::new(Algorithm::Sha256, &*key).map(Self).map_err(Error::internal)
    }

    fn mac(&self, what: &[u8], of: &[u8]) -> hmac::Tag {
        self.0.sign(&[DOMAIN, what, b"\0", of])
    }

    fn verifies(&self, what: &[u8], of: &[u8], mac: &[u8]) -> bool {
        self.0.verify(&[DOMAIN, what, b"\0", of], mac).is_ok()
    }
}

/// The same bytes for the same state: fields in their order, no map, no float.
fn encode(state: &State) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(state).map_err(Error::internal)
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |d: u8| char::from_digit(u32::from(d), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes of hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8], file: &[u8], password: &str) -> Verified {
        read(bytes, file, password).unwrap().expect("a state")
    }

    fn facts(fips: bool) -> Facts {
        let entry = EntryFacts { label: "A".into(), trusted: true, request: None };
        Facts { fips, entries: vec![entry], ..Facts::default() }
    }

    #[test]
    fn each_of_two_files_finds_its_own_state() {
        let old = sign(facts(true), b"old", "secret").unwrap();
        let mut later = facts(true);
        later.default = Some("A".into());
        let new = sign(later.clone(), b"new", "changed").unwrap();
        let bytes = write(vec![old, new]).unwrap();
        assert_eq!(found(&bytes, b"old", "secret").facts, facts(true));
        let of_new = found(&bytes, b"new", "changed");
        assert_eq!(of_new.facts, later);
        // With its state alone it is the same.
        let bytes = write(vec![of_new.signed]).unwrap();
        assert!(found(&bytes, b"new", "changed").file_unchanged);
    }

    #[test]
    fn no_byte_of_a_fips_database_or_its_sidecar_may_change() {
        let bytes = write(vec![sign(facts(true), b"file", "secret").unwrap()]).unwrap();
        let error = read(&bytes, b"filf", "secret").unwrap_err();
        assert!(error.what.contains("integrity check"), "{error}");
        assert!(read(&bytes, b"file", "other").unwrap().is_none());
        let text = String::from_utf8(bytes).unwrap();
        for (from, to) in [
            ("\"trusted\": true", "\"trusted\": false"),
            ("\"label\": \"A\"", "\"label\": \"B\""),
            ("\"fips\": true", "\"fips\": false"),
            ("\"password_ends\": null", "\"password_ends\": 1"),
        ] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text, "{from}");
            assert!(read(changed.as_bytes(), b"file", "secret").unwrap().is_none(), "{from}");
        }
    }

    #[test]
    fn another_program_may_change_a_database_that_is_not_fips() {
        let bytes = write(vec![sign(facts(false), b"file", "secret").unwrap()]).unwrap();
        let verified = found(&bytes, b"changed", "secret");
        assert!(!verified.file_unchanged);
        assert_eq!(verified.facts, facts(false));
        assert!(read(&bytes, b"changed", "other").unwrap().is_none());
    }

    #[test]
    fn a_later_format_is_told_from_damage() {
        let bytes = write(vec![sign(facts(false), b"file", "secret").unwrap()]).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let later = text.replace("\"version\": 1", "\"version\": 2");
        assert_eq!(read(later.as_bytes(), b"file", "x").unwrap_err().class, Class::Future);
        let cut = &text[..text.len() / 2];
        assert_eq!(read(cut.as_bytes(), b"file", "x").unwrap_err().class, Class::Data);
    }

    #[test]
    fn hexadecimal_digits_go_both_ways() {
        assert_eq!(hex(&[0, 0xaf, 0x10]), "00af10");
        assert_eq!(unhex("00AF10"), Some(vec![0, 0xaf, 0x10]));
        assert_eq!((unhex("0"), unhex("0g"), unhex("é")), (None, None, None));
    }
}
