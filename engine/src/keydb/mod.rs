//! The key database: certificates, private keys and pending requests under labels, as `gskkyman`
//! keeps them for System SSL.
//!
//! Purpose: the format ([`Database::open`], [`Database::save`]) and everything that is done with
//! what is in it: making certificates, chains, import and export. A database is a PKCS #12 file
//! that openssl and keytool open, and a sidecar with what PKCS #12 cannot say.
//!
//! Invariants: labels are unique, whatever their case, since keytool does not tell cases apart. A
//! private key is kept encrypted, also in memory, and is decrypted for one operation only. A
//! certificate beside a key is of that key. No path, file, lock or clock is known here.
//!
//! What it is not: encrypted by a validated module. PBES2 is computed by RustCrypto; the HMAC over
//! the file and all signatures by cpacf and cex.
//!
//! Source: z/OS Cryptographic Services System SSL Programming, "Certificate/Key management".

mod create;
mod error;
mod exchange;
mod info;
mod issue;
mod names;
mod pem;
mod pkcs12;
mod sidecar;
mod signer;
#[cfg(test)]
mod tests;
mod verify;

use std::fmt;
use std::time::{Duration, SystemTime};

use cpacf::digest;
use zeroize::Zeroizing;

pub use cex::{Curve, Hash, KeyKind};
pub use create::Signed as SignedCertificate;
pub use error::{Class, Error};
pub use exchange::{
    Content, Imported, certificate_pem, private_key, request_pem, single_certificate,
};
pub use info::{CertificateInfo, Extension, of_certificate, of_request};
pub use issue::{Terms, Usage};
pub use names::{AltName, Subject};
pub use verify::{Link, Purpose, Verdict};

use pkcs12::{Bag, SealedKey};
use sidecar::{EntryFacts, Facts};

/// Longest label.
const LABEL_MAX: usize = 64;

/// Shortest password of a FIPS database: 112 bits in bytes, which is where PBKDF2 of a FIPS module
/// begins to be approved.
pub const FIPS_PASSWORD_MIN: usize = 14;

/// Longest password.
const PASSWORD_MAX: usize = 128;

/// A password.
pub type Password = Zeroizing<String>;

/// One label with what it stands for.
#[derive(Clone)]
pub struct Entry {
    label: String,
    /// DER.
    certificate: Option<Vec<u8>>,
    key: Option<SealedKey>,
    /// What ties the key to its certificate in the file.
    key_id: Option<Vec<u8>>,
    /// DER of a request that was not answered yet.
    request: Option<Vec<u8>>,
    trusted: bool,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({})", self.label)
    }
}

impl Entry {
    /// Its label.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// DER of its certificate; none while a request waits for one.
    #[must_use]
    pub fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// Whether its private key is here.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// DER of a request that was not answered yet.
    #[must_use]
    pub fn request(&self) -> Option<&[u8]> {
        self.request.as_deref()
    }

    /// Whether its certificate is trusted.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }
}

/// A database, open.
pub struct Database {
    entries: Vec<Entry>,
    default: Option<String>,
    fips: bool,
    password_ends: Option<SystemTime>,
    password: Password,
    /// The state of the file that was read.
    base: Option<sidecar::Signed>,
    changed_outside: bool,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({} entries)", self.entries.len())
    }
}

/// The bytes of a database.
#[derive(Debug)]
pub struct Saved {
    /// The PKCS #12 file.
    pub file: Vec<u8>,
    /// The sidecar that goes with the old file and with this one; to be written first.
    pub sidecar_meanwhile: Vec<u8>,
    /// The sidecar that goes with this file; to be written last.
    pub sidecar: Vec<u8>,
}

impl Database {
    /// An empty database.
    ///
    /// # Errors
    ///
    /// When the password is not good enough.
    pub fn new(
        password: Password,
        fips: bool,
        password_ends: Option<SystemTime>,
    ) -> Result<Self, Error> {
        check_password(&password, fips)?;
        Ok(Self {
            entries: Vec::new(),
            default: None,
            fips,
            password_ends,
            password,
            base: None,
            changed_outside: false,
        })
    }

    /// Reads a database from its file and sidecar; a PKCS #12 file of another program has none.
    ///
    /// # Errors
    ///
    /// When the password is wrong, a file is damaged or from a later version, or the integrity
    /// check of a FIPS database fails.
    pub fn open(file: &[u8], sidecar: Option<&[u8]>, password: Password) -> Result<Self, Error> {
        let verified = match sidecar {
            Some(sidecar) => Some(sidecar::read(sidecar, file, &password)?),
            None => None,
        };
        let read = pkcs12::read(file, &password)?;
        if read.others > 0 {
            return Err(Error::new(
                Class::Future,
                format!(
                    "the file holds {} objects (CRLs, secret keys) that a key database does not \
                     keep: the next change would lose them",
                    read.others
                ),
                "create a database of its own and import this file into it",
            ));
        }
        let mut database = Self {
            entries: exchange::entries(read.bags, &password)?,
            default: None,
            fips: false,
            password_ends: None,
            password,
            base: None,
            changed_outside: false,
        };
        if let Some(verified) = verified {
            let verified = verified.ok_or_else(sidecar::foreign)?;
            database.apply(verified.facts)?;
            database.base = Some(verified.signed);
            database.changed_outside = !verified.file_unchanged;
        }
        Ok(database)
    }

    /// Whether a sidecar claims to be that of a FIPS database. Not verified: for refusing a
    /// database before its password is asked for, never for admitting one.
    ///
    /// # Errors
    ///
    /// When it is no sidecar of this version.
    pub fn claims_fips(sidecar: &[u8]) -> Result<bool, Error> {
        sidecar::claims_fips(sidecar)
    }

    fn apply(&mut self, facts: Facts) -> Result<(), Error> {
        self.fips = facts.fips;
        self.password_ends =
            facts.password_ends.map(|end| SystemTime::UNIX_EPOCH + Duration::from_secs(end));
        for known in facts.entries {
            let Some(entry) = self.entries.iter_mut().find(|e| same(&e.label, &known.label)) else {
                continue;
            };
            entry.trusted = known.trusted;
            // Other programs may write a label in small letters.
            known.label.clone_into(&mut entry.label);
            entry.request = known
                .request
                .map(|digits| sidecar::unhex(&digits))
                .map(|der| der.ok_or_else(|| Error::data("a request is damaged", "delete it")))
                .transpose()?;
        }
        self.default = facts.default.filter(|label| self.find(label).is_some());
        Ok(())
    }

    /// The bytes to write.
    ///
    /// # Errors
    ///
    /// When no random data can be had.
    pub fn save(&self) -> Result<Saved, Error> {
        let file = pkcs12::write(&self.bags()?, &self.password)?;
        let seconds = |end: SystemTime| end.duration_since(SystemTime::UNIX_EPOCH).ok();
        let facts = Facts {
            fips: self.fips,
            password_ends: self.password_ends.and_then(seconds).map(|since| since.as_secs()),
            default: self.default.clone(),
            entries: self.entries.iter().map(facts_of).collect(),
        };
        let state = sidecar::sign(facts, &file, &self.password)?;
        let both = self.base.iter().cloned().chain([state.clone()]).collect();
        Ok(Saved {
            sidecar_meanwhile: sidecar::write(both)?,
            sidecar: sidecar::write(vec![state])?,
            file,
        })
    }

    /// What goes into the file. Of several entries with one key each has an id of its own there, or
    /// nobody could tell which certificate goes with which label.
    fn bags(&self) -> Result<Vec<Bag>, Error> {
        let (mut bags, mut taken) = (Vec::new(), Vec::new());
        for entry in &self.entries {
            let mut id = entry.key.as_ref().and(entry.key_id.clone());
            if let Some(id) = &mut id {
                if taken.contains(id) {
                    *id = key_id(&[id, entry.label.as_bytes()].concat())?;
                }
                taken.push(id.clone());
            }
            bags.extend(bags_of(entry, id.as_ref()));
        }
        Ok(bags)
    }

    /// All entries, in the order in which they came.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether it is a FIPS database.
    #[must_use]
    pub fn is_fips(&self) -> bool {
        self.fips
    }

    /// When its password ends.
    #[must_use]
    pub fn password_ends(&self) -> Option<SystemTime> {
        self.password_ends
    }

    /// Label of the default key.
    #[must_use]
    pub fn default_label(&self) -> Option<&str> {
        self.default.as_deref()
    }

    /// The password it was opened with.
    #[must_use]
    pub fn password(&self) -> &Password {
        &self.password
    }

    /// Whether another program wrote the file since Adjunct last did.
    #[must_use]
    pub fn was_changed_outside(&self) -> bool {
        self.changed_outside
    }

    /// Fails when the password has ended.
    ///
    /// # Errors
    ///
    /// With the date.
    pub fn check_password_end(&self, now: SystemTime) -> Result<(), Error> {
        match self.password_ends {
            Some(end) if end <= now => Err(Error::new(
                Class::Password,
                "the password of the key database has expired",
                "change it: adjunct keydb passwd DATABASE",
            )),
            _ => Ok(()),
        }
    }

    /// The entry with this label.
    #[must_use]
    pub fn find(&self, label: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.label == label)
    }

    /// The entry with this label.
    ///
    /// # Errors
    ///
    /// When there is none; a label that differs only in case is named.
    pub fn get(&self, label: &str) -> Result<&Entry, Error> {
        self.position(label).map(|position| &self.entries[position])
    }

    fn position(&self, label: &str) -> Result<usize, Error> {
        if let Some(position) = self.entries.iter().position(|entry| entry.label == label) {
            return Ok(position);
        }
        let near = self.entries.iter().find(|entry| same(&entry.label, label));
        let remedy = match near {
            Some(entry) => format!("did you mean \"{}\"?", entry.label),
            None => "see `adjunct keydb list`".to_owned(),
        };
        let what = format!("there is no label \"{}\" in the database", label.escape_debug());
        Err(Error::new(Class::Missing, what, remedy))
    }

    fn get_mut(&mut self, label: &str) -> Result<&mut Entry, Error> {
        self.position(label).map(|position| &mut self.entries[position])
    }

    fn with_certificate(&self, label: &str) -> Result<&Entry, Error> {
        let entry = self.get(label)?;
        if entry.certificate.is_none() {
            return Err(Error::new(
                Class::Missing,
                format!("\"{label}\" is a request that was not answered yet: no certificate"),
                "receive its certificate first: adjunct keydb receive DATABASE FILE",
            ));
        }
        Ok(entry)
    }

    /// The private key of an entry, decrypted: DER of PKCS #8.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be decrypted.
    pub fn private_key(&self, label: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let entry = self.get(label)?;
        let Some(key) = &entry.key else {
            return Err(Error::new(
                Class::Missing,
                format!("\"{label}\" has no private key in this database"),
                "name a label with a key, see `adjunct keydb list`, or import the key",
            ));
        };
        key.open(&self.password)
    }

    fn add(&mut self, entry: Entry) -> Result<(), Error> {
        check_label(&entry.label)?;
        if let Some(taken) = self.entries.iter().find(|e| same(&e.label, &entry.label)) {
            return Err(Error::new(
                Class::Policy,
                format!("the label \"{}\" is taken", taken.label),
                "choose another, or rename or delete that one (case makes no difference)",
            ));
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Gives a label another name.
    ///
    /// # Errors
    ///
    /// When there is no such label, or the new one is taken or cannot be one.
    pub fn rename(&mut self, label: &str, to: &str) -> Result<(), Error> {
        check_label(to)?;
        let position = self.position(label)?;
        let mut others = self.entries.iter().enumerate().filter(|(at, _)| *at != position);
        if let Some((_, taken)) = others.find(|(_, entry)| same(&entry.label, to)) {
            let what = format!("the label \"{}\" is taken", taken.label);
            return Err(Error::new(Class::Policy, what, "choose another"));
        }
        if self.default.as_deref() == Some(label) {
            self.default = Some(to.to_owned());
        }
        to.clone_into(&mut self.entries[position].label);
        Ok(())
    }

    /// Makes the key of a label the default one.
    ///
    /// # Errors
    ///
    /// When it has no key or no certificate.
    pub fn set_default(&mut self, label: &str) -> Result<(), Error> {
        if !self.with_certificate(label)?.has_key() {
            return Err(Error::new(
                Class::Policy,
                format!("\"{label}\" has no private key, so it cannot be the default"),
                "name a label with a key, see `adjunct keydb list`",
            ));
        }
        self.default = Some(label.to_owned());
        Ok(())
    }

    /// Sets the trust status of a certificate.
    ///
    /// # Errors
    ///
    /// When there is no such certificate.
    pub fn set_trust(&mut self, label: &str, trusted: bool) -> Result<(), Error> {
        self.with_certificate(label)?;
        self.get_mut(label)?.trusted = trusted;
        Ok(())
    }

    /// The labels that depend on this one: certificates it issued.
    #[must_use]
    pub fn dependents(&self, label: &str) -> Vec<&str> {
        let depends = |entry: &&Entry| {
            entry.label != label && self.issuer_of(entry).is_some_and(|by| by.label == label)
        };
        self.entries.iter().filter(depends).map(Entry::label).collect()
    }

    /// Deletes a label with everything it stands for.
    ///
    /// # Errors
    ///
    /// Unless forced: when it is the default, waits for its certificate, or issued others.
    pub fn delete(&mut self, label: &str, force: bool) -> Result<(), Error> {
        let position = self.position(label)?;
        let dependents = self.dependents(label);
        let why = if !dependents.is_empty() {
            Some(format!("it issued {}", dependents.join(", ")))
        } else if self.default.as_deref() == Some(label) {
            Some("it is the default key".to_owned())
        } else if self.entries[position].request.is_some() {
            Some("its request was not answered yet, and the answer needs its key".to_owned())
        } else {
            None
        };
        if let Some(why) = why.filter(|_| !force) {
            return Err(Error::new(
                Class::Policy,
                format!("\"{label}\" is not deleted: {why}"),
                "give --force if you mean it",
            ));
        }
        self.entries.remove(position);
        self.default.take_if(|default| default == label);
        Ok(())
    }

    /// Encrypts everything under another password.
    ///
    /// # Errors
    ///
    /// When it is not good enough, or a key cannot be decrypted.
    pub fn change_password(
        &mut self,
        password: Password,
        ends: Option<SystemTime>,
    ) -> Result<(), Error> {
        check_password(&password, self.fips)?;
        if password == self.password {
            return Err(Error::new(
                Class::Password,
                "the new password is the old one",
                "choose another password",
            ));
        }
        let mut sealed = Vec::new();
        for entry in &self.entries {
            let key = entry.key.as_ref().map(|key| key.open(&self.password)).transpose()?;
            sealed.push(key.map(|key| SealedKey::seal(&key, &password)).transpose()?);
        }
        for (entry, key) in self.entries.iter_mut().zip(sealed) {
            entry.key = key;
        }
        self.password = password;
        self.password_ends = ends;
        Ok(())
    }
}

fn bags_of(entry: &Entry, key_id: Option<&Vec<u8>>) -> Vec<Bag> {
    let bag = |content, trusted| Bag {
        label: Some(entry.label.clone()),
        key_id: key_id.cloned(),
        trusted,
        content,
    };
    let alone = entry.key.is_none();
    let certificate = entry.certificate.clone().map(pkcs12::Content::Certificate);
    let key = entry.key.clone().map(pkcs12::Content::Key);
    let certificate = certificate.map(|content| bag(content, entry.trusted && alone));
    certificate.into_iter().chain(key.map(|content| bag(content, false))).collect()
}

fn facts_of(entry: &Entry) -> EntryFacts {
    EntryFacts {
        label: entry.label.clone(),
        trusted: entry.trusted,
        request: entry.request.as_deref().map(sidecar::hex),
    }
}

/// Whether keytool would take them for one alias.
fn same(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

fn check_label(label: &str) -> Result<(), Error> {
    let length = label.chars().count();
    let basic = label.chars().all(|c| u32::from(c) < 0xffff && !c.is_control());
    if length == 0 || length > LABEL_MAX || !basic || label.trim() != label {
        return Err(Error::argument(
            format!("\"{}\" cannot be a label", label.escape_debug()),
            format!(
                "write 1 to {LABEL_MAX} printable characters of the Basic Multilingual Plane, \
                 without blanks at the ends"
            ),
        ));
    }
    Ok(())
}

/// Printable ASCII alone: PKCS #12 puts a password into UTF-8 for the encryption and into UTF-16
/// for the MAC, and programs differ in what they take for the first.
fn check_password(password: &str, fips: bool) -> Result<(), Error> {
    let weak = |what: String, remedy: &str| Err(Error::new(Class::Password, what, remedy));
    if password.is_empty() {
        return weak("the password is empty".into(), "choose one");
    }
    if password.len() > PASSWORD_MAX || !password.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return weak(
            format!("the password is longer than {PASSWORD_MAX} characters or not printable ASCII"),
            "choose letters, digits and punctuation: other programs encode the rest differently",
        );
    }
    if fips && password.len() < FIPS_PASSWORD_MIN {
        return weak(
            format!(
                "the password of a FIPS database needs {FIPS_PASSWORD_MIN} characters, this one \
                 has {}",
                password.len()
            ),
            "choose a longer one",
        );
    }
    Ok(())
}

/// What ties a key to its certificate in the file: taken from the public key, so that an answer to
/// a request is found without decrypting any private key.
fn key_id(spki: &[u8]) -> Result<Vec<u8>, Error> {
    let digest = digest::digest(digest::Algorithm::Sha256, spki).map_err(Error::internal)?;
    Ok(digest.as_ref().iter().copied().take(20).collect())
}
