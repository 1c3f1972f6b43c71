//! Import and export: what comes from other programs, and what goes to them.
//!
//! Forms are told apart by content, never by the name of a file: PEM by its lines, DER of a
//! certificate, a request or a key by its first fields, PKCS #12 by its version number.

use rustls::pki_types::pem::SectionKind;
use zeroize::Zeroizing;

use super::create::seal_foreign;
use super::error::{Class, Error};
use super::pkcs12::{self, Bag, SealedKey};
use super::verify::{parse, parse_request};
use super::{Database, Entry, LABEL_MAX, Password, check_label, key_id, pem, same};

/// What a file holds.
#[derive(Debug)]
pub enum Content {
    /// Certificates (DER), and the key of the first one if it is there.
    Certificates {
        /// In the order of the file.
        certificates: Vec<Vec<u8>>,
        /// PKCS #8, PKCS #1 or SEC 1.
        key: Option<Zeroizing<Vec<u8>>>,
    },
    /// A certificate request (DER).
    Request(Vec<u8>),
    /// A PKCS #12 file: a password is needed.
    Pkcs12,
}

impl Content {
    /// Recognises what a file holds.
    ///
    /// # Errors
    ///
    /// When it is nothing that a key database takes.
    pub fn of(bytes: &[u8]) -> Result<Self, Error> {
        if pem::is_pem(bytes) {
            return Self::of_pem(bytes);
        }
        if parse(bytes).is_ok() {
            return Ok(Self::Certificates { certificates: vec![bytes.to_vec()], key: None });
        }
        if parse_request(bytes).is_ok() {
            return Ok(Self::Request(bytes.to_vec()));
        }
        // SEQUENCE { INTEGER 3, SEQUENCE .. }; the length of the outer one takes 1 to 5 bytes.
        let version = (2..=6).any(|at| bytes.get(at..at + 4) == Some(&[2, 1, 3, 0x30]));
        if bytes.first() == Some(&0x30) && version {
            return Ok(Self::Pkcs12);
        }
        Err(Error::data(
            "the file holds no certificate, request or PKCS #12 that could be read",
            "give PEM, DER or PKCS #12; convert others with openssl",
        ))
    }

    fn of_pem(bytes: &[u8]) -> Result<Self, Error> {
        // keytool writes the older name of the section.
        let text = String::from_utf8_lossy(bytes).replace(" NEW CERTIFICATE", " CERTIFICATE");
        let text = Zeroizing::new(text);
        let (mut certificates, mut key) = (Vec::new(), None);
        for section in pem::read(text.as_bytes())? {
            match section.kind {
                SectionKind::Certificate => certificates.push(section.der.to_vec()),
                SectionKind::Csr => return Ok(Self::Request(section.der.to_vec())),
                SectionKind::PrivateKey
                | SectionKind::RsaPrivateKey
                | SectionKind::EcPrivateKey => {
                    let earlier = key.replace(section.der);
                    if earlier.is_some() {
                        return Err(Error::data(
                            "the file holds two private keys, so it is not clear whose they are",
                            "import them one by one",
                        ));
                    }
                }
                _ => {}
            }
        }
        if certificates.is_empty() && text.contains("ENCRYPTED") {
            return Err(Error::data(
                "the file holds an encrypted private key and no certificate",
                "put both into a PKCS #12: openssl pkcs12 -export -inkey KEY -in CERT",
            ));
        }
        if certificates.is_empty() {
            let what = if key.is_some() { "a private key and no" } else { "no" };
            return Err(Error::data(
                format!("the file holds {what} certificate"),
                "a key comes with its certificate: put both into one PEM file",
            ));
        }
        Ok(Self::Certificates { certificates, key })
    }
}

/// What an import added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// New labels.
    pub added: Vec<String>,
    /// Labels that had the same certificate already.
    pub known: Vec<String>,
}

impl Database {
    /// Takes certificates in, and the key of the first one. The first gets the label, others one
    /// after their common names.
    ///
    /// # Errors
    ///
    /// When a certificate or the key cannot be used, or a label is taken.
    pub fn import(
        &mut self,
        label: Option<&str>,
        certificates: &[Vec<u8>],
        key: Option<&Zeroizing<Vec<u8>>>,
        trusted: bool,
    ) -> Result<Imported, Error> {
        let mut imported = Imported::default();
        let mut key = key.map(|key| seal_foreign(key, &self.password)).transpose()?;
        if let (Some(first), Some((_, spki))) = (certificates.first(), &key)
            && parse(first)?.public_key().raw != *spki
        {
            return Err(Error::data(
                "the private key does not belong to the first certificate",
                "put the certificate of the key first, then those of its issuers",
            ));
        }
        for (index, certificate) in certificates.iter().enumerate() {
            let name = match label.filter(|_| index == 0) {
                Some(label) => label.to_owned(),
                None => self.free_label(&name_of(certificate)),
            };
            let mut entry = bare(name, certificate.clone(), trusted);
            if let Some((sealed, spki)) = key.take() {
                entry.key_id = Some(key_id(&spki)?);
                entry.key = Some(sealed);
            }
            self.admit(entry, &mut imported)?;
        }
        Ok(imported)
    }

    /// Takes in all that a PKCS #12 file holds, with its labels.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or a label is taken.
    pub fn import_pkcs12(
        &mut self,
        label: Option<&str>,
        file: &[u8],
        password: &Password,
        trusted: bool,
    ) -> Result<Imported, Error> {
        let mut found = entries(pkcs12::read(file, password)?.bags, password)?;
        if found.is_empty() {
            return Err(Error::data("the file holds no certificate and no key", "name another"));
        }
        // Keys first, then what is above them: the one label that is given is the first key's.
        found.sort_by_key(|entry| entry.key.is_none());
        let mut imported = Imported::default();
        for (index, mut entry) in found.into_iter().enumerate() {
            match label.filter(|_| index == 0) {
                Some(label) => label.clone_into(&mut entry.label),
                None if self.get(&entry.label).is_ok() => {
                    entry.label = self.free_label(&entry.label);
                }
                None => {}
            }
            if let Some(sealed) = &entry.key {
                let (sealed, spki) = seal_foreign(&sealed.open(password)?, &self.password)?;
                entry.key = Some(sealed);
                entry.key_id = Some(key_id(&spki)?);
            }
            entry.trusted = trusted;
            self.admit(entry, &mut imported)?;
        }
        Ok(imported)
    }

    /// Adds an entry, unless its certificate is here; a key joins the certificate that was alone.
    fn admit(&mut self, entry: Entry, imported: &mut Imported) -> Result<(), Error> {
        let certificate = entry.certificate.as_ref();
        if let Some(certificate) = certificate {
            parse(certificate)?;
        }
        let known = self
            .entries
            .iter_mut()
            .find(|known| certificate.is_some() && known.certificate.as_ref() == certificate);
        if let Some(known) = known {
            if known.key.is_none() && entry.key.is_some() {
                known.key = entry.key;
                known.key_id = entry.key_id;
                imported.added.push(known.label.clone());
            } else {
                imported.known.push(known.label.clone());
            }
            return Ok(());
        }
        let label = entry.label.clone();
        self.add(entry)?;
        imported.added.push(label);
        Ok(())
    }

    /// A label like this one that is not taken.
    fn free_label(&self, wanted: &str) -> String {
        let taken = |label: &str| self.entries.iter().any(|entry| same(&entry.label, label));
        numbered(wanted, taken)
    }

    /// PEM of a certificate, with those above it if asked for, and with its private key (PKCS #8)
    /// if asked for.
    ///
    /// # Errors
    ///
    /// When there is no certificate, or no key.
    pub fn export_pem(
        &self,
        label: &str,
        chain: bool,
        key: bool,
    ) -> Result<Zeroizing<String>, Error> {
        let mut text = String::new();
        let mut sections = Vec::new();
        for entry in self.exported(label, chain)? {
            sections.push(pem::write("CERTIFICATE", entry.certificate().unwrap_or_default())?);
        }
        if key {
            sections.push(pem::write("PRIVATE KEY", &self.private_key(label)?)?);
        }
        // Allocated once: a string that grows would leave copies of a key behind.
        text.reserve_exact(sections.iter().map(|section| section.len()).sum());
        for section in &sections {
            text.push_str(section);
        }
        Ok(Zeroizing::new(text))
    }

    /// DER of one certificate.
    ///
    /// # Errors
    ///
    /// When there is no certificate, or more was asked for than DER can hold.
    pub fn export_der(&self, label: &str, chain: bool, key: bool) -> Result<Vec<u8>, Error> {
        if chain || key {
            return Err(Error::argument(
                "DER holds one certificate and nothing else",
                "choose PEM or PKCS #12 for a chain or a key",
            ));
        }
        Ok(self.with_certificate(label)?.certificate().unwrap_or_default().to_vec())
    }

    /// A PKCS #12 file under its own password.
    ///
    /// # Errors
    ///
    /// When there is no certificate, or no key.
    pub fn export_pkcs12(
        &self,
        label: &str,
        chain: bool,
        key: bool,
        password: &Password,
    ) -> Result<Vec<u8>, Error> {
        super::check_password(password, false)?;
        let mut bags = Vec::new();
        for (index, entry) in self.exported(label, chain)?.into_iter().enumerate() {
            let with_key = key && index == 0;
            let mut exported = bare(
                entry.label.clone(),
                entry.certificate.clone().unwrap_or_default(),
                entry.trusted,
            );
            if with_key {
                let der = self.private_key(label)?;
                let (sealed, spki) = seal_foreign(&der, password)?;
                exported.key = Some(sealed);
                exported.key_id = Some(key_id(&spki)?);
            }
            bags.extend(super::bags_of(&exported, exported.key_id.as_ref()));
        }
        pkcs12::write(&bags, password)
    }

    /// The certificates of an export, leaf first.
    fn exported(&self, label: &str, chain: bool) -> Result<Vec<&Entry>, Error> {
        if chain { self.chain(label) } else { Ok(vec![self.with_certificate(label)?]) }
    }

    /// What a server shows: PEM of the certificate and of those above it, without a self-signed
    /// root, which clients have or do not trust.
    ///
    /// # Errors
    ///
    /// When there is no certificate with this label.
    pub fn served_chain(&self, label: &str) -> Result<String, Error> {
        let mut text = String::new();
        for (depth, entry) in self.chain(label)?.into_iter().enumerate() {
            if depth == 0 || !self.is_self_signed(entry) {
                text += &pem::write("CERTIFICATE", entry.certificate().unwrap_or_default())?;
            }
        }
        Ok(text)
    }

    /// PEM of a private key (PKCS #8).
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn key_pem(&self, label: &str) -> Result<Zeroizing<String>, Error> {
        pem::write("PRIVATE KEY", &self.private_key(label)?)
    }
}

/// PEM of a certificate that is in no database.
///
/// # Errors
///
/// None that could be met.
pub fn certificate_pem(der: &[u8]) -> Result<String, Error> {
    pem::write("CERTIFICATE", der).map(|text| text.to_string())
}

/// PEM of a request.
///
/// # Errors
///
/// None that could be met.
pub fn request_pem(der: &[u8]) -> Result<String, Error> {
    pem::write("CERTIFICATE REQUEST", der).map(|text| text.to_string())
}

fn bare(label: String, certificate: Vec<u8>, trusted: bool) -> Entry {
    Entry { label, certificate: Some(certificate), key: None, key_id: None, request: None, trusted }
}

/// Ties keys to certificates, and gives everything a label. Trusted is what a key is here for, and
/// what says so itself.
pub(super) fn entries(bags: Vec<Bag>, password: &str) -> Result<Vec<Entry>, Error> {
    let mut keys: Vec<(Bag, SealedKey)> = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    let mut ids: Vec<Option<Vec<u8>>> = Vec::new();
    for bag in bags {
        match bag.content.clone() {
            pkcs12::Content::Key(key) => keys.push((bag, key)),
            pkcs12::Content::Certificate(der) => {
                parse(&der)?;
                let label = usable(bag.label.as_deref());
                // keytool writes a CA once by itself and once in each chain.
                let known = entries.iter().position(|entry| entry.certificate() == Some(&*der));
                if let Some(known) = known {
                    entries[known].trusted |= bag.trusted;
                    // That of a key goes before that of a link in a chain.
                    if let Some(label) = label
                        && (ids[known].is_none() || bag.key_id.is_some())
                    {
                        entries[known].label = label;
                    }
                    if ids[known].is_none() {
                        ids[known] = bag.key_id;
                    }
                    continue;
                }
                ids.push(bag.key_id);
                let label = label.unwrap_or_else(|| name_of(&der));
                entries.push(bare(label, der, bag.trusted));
            }
        }
    }
    give_keys(&mut entries, &ids, keys, password)?;
    for position in 1..entries.len() {
        let (before, rest) = entries.split_at_mut(position);
        if let Some(entry) = rest.first_mut() {
            entry.label =
                numbered(&entry.label, |label| before.iter().any(|e| same(&e.label, label)));
        }
    }
    Ok(entries)
}

/// Gives each key to its certificate; `ids` are those of the certificates. A key without one
/// becomes an entry of its own.
fn give_keys(
    entries: &mut Vec<Entry>,
    ids: &[Option<Vec<u8>>],
    keys: Vec<(Bag, SealedKey)>,
    password: &str,
) -> Result<(), Error> {
    // One key may have several certificates: the one with its label goes first.
    let has_label = |entry: &Entry, bag: &Bag| {
        usable(bag.label.as_deref()).is_some_and(|label| same(&label, &entry.label))
    };
    let tied = |entries: &[Entry], bag: &Bag, by_label: bool| {
        ids.iter().zip(entries).position(|(id, entry)| {
            id.is_some()
                && *id == bag.key_id
                && entry.key.is_none()
                && (!by_label || has_label(entry, bag))
        })
    };
    let mut others = Vec::new();
    for (bag, key) in keys {
        match tied(entries, &bag, true).and_then(|position| entries.get_mut(position)) {
            Some(entry) => take_key(entry, bag, key),
            None => others.push((bag, key)),
        }
    }
    for (bag, key) in others {
        let position = match tied(entries, &bag, false) {
            Some(position) => Some(position),
            None => holder(entries, &key, &bag, password)?,
        };
        if let Some(entry) = position.and_then(|position| entries.get_mut(position)) {
            take_key(entry, bag, key);
        } else {
            let label = usable(bag.label.as_deref()).unwrap_or_else(|| "key".to_owned());
            let mut entry = Entry { certificate: None, ..bare(label, Vec::new(), true) };
            take_key(&mut entry, bag, key);
            entries.push(entry);
        }
    }
    Ok(())
}

/// What has a key is trusted, and has the key's label.
fn take_key(entry: &mut Entry, bag: Bag, key: SealedKey) {
    if let Some(label) = usable(bag.label.as_deref()) {
        entry.label = label;
    }
    entry.key = Some(key);
    entry.key_id = bag.key_id;
    entry.trusted = true;
}

/// The certificate of a key that no id ties to one. A key with our own id that has no certificate
/// waits for one, and need not be decrypted to know that.
fn holder(
    entries: &[Entry],
    key: &SealedKey,
    bag: &Bag,
    password: &str,
) -> Result<Option<usize>, Error> {
    let free = |entry: &&Entry| entry.key.is_none() && entry.certificate.is_some();
    let ours = bag.key_id.as_ref().is_some_and(|id| id.len() == KEY_ID_LEN);
    if ours || !entries.iter().any(|entry| free(&entry)) {
        return Ok(None);
    }
    let (_, spki) = cex::inspect(&key.open(password)?)?;
    let is_it = |entry: &Entry| {
        let certificate = entry.certificate.as_deref().and_then(|der| parse(der).ok());
        certificate.is_some_and(|certificate| certificate.public_key().raw == spki)
    };
    Ok(entries.iter().position(|entry| free(&entry) && is_it(entry)))
}

/// Length of our ids, and of openssl's. A wrong guess at whose it is only leaves a key without
/// certificate, and `receive` looks into it.
const KEY_ID_LEN: usize = 20;

fn usable(label: Option<&str>) -> Option<String> {
    let label: String = label?.trim().chars().filter(|c| !c.is_control()).take(LABEL_MAX).collect();
    check_label(&label).is_ok().then_some(label)
}

/// A label after the common name, or the whole subject.
fn name_of(certificate: &[u8]) -> String {
    let Ok(parsed) = parse(certificate) else { return "certificate".to_owned() };
    let name = crate::certs::common_name(parsed.subject())
        .unwrap_or_else(|| crate::certs::dn_text(parsed.subject()));
    usable(Some(&name)).unwrap_or_else(|| "certificate".to_owned())
}

fn numbered(wanted: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(wanted) {
        return wanted.to_owned();
    }
    let stem: String = wanted.chars().take(LABEL_MAX - 6).collect();
    let stem = stem.trim_end();
    // As many candidates as a file of a mebibyte can have certificates, and more.
    let mut candidates = (2..100_000_u32).map(|n| format!("{stem}-{n}"));
    candidates.find(|label| !taken(label)).unwrap_or_else(|| wanted.to_owned())
}

/// DER of the one certificate of a file.
///
/// # Errors
///
/// When it holds something else.
pub fn single_certificate(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    match Content::of(bytes)? {
        Content::Certificates { mut certificates, .. } => Ok(certificates.swap_remove(0)),
        Content::Request(_) | Content::Pkcs12 => Err(Error::new(
            Class::Data,
            "the file holds no certificate",
            "name the certificate that the CA sent back",
        )),
    }
}

/// DER of the private key of a file: PEM, or DER of PKCS #8, PKCS #1 or SEC 1.
///
/// # Errors
///
/// When it holds none, or an encrypted one.
pub fn private_key(bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    if !pem::is_pem(bytes) {
        let der = Zeroizing::new(bytes.to_vec());
        cex::inspect(&der)?;
        return Ok(der);
    }
    let is_key = |kind: &SectionKind| {
        let kinds =
            [SectionKind::PrivateKey, SectionKind::RsaPrivateKey, SectionKind::EcPrivateKey];
        kinds.contains(kind)
    };
    let key = pem::read(bytes)?.into_iter().find(|section| is_key(&section.kind));
    key.map(|section| section.der).ok_or_else(|| {
        Error::data(
            "the file holds no private key that is not encrypted",
            "put key and certificate into a PKCS #12: openssl pkcs12 -export -inkey KEY -in CERT",
        )
    })
}
