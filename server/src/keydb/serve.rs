//! What the daemon takes from a key database.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::{Access, Circumstances, Failure, Store, read_stash};

/// `keydb` and `stash` of `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDatabase {
    /// The PKCS #12 file.
    pub path: PathBuf,
    /// The stash; by default the one beside it.
    pub stash: Option<PathBuf>,
}

impl KeyDatabase {
    /// The file that holds the password.
    #[must_use]
    pub fn stash(&self) -> PathBuf {
        self.stash.clone().unwrap_or_else(|| Store::stash_path(&self.path))
    }

    /// Opens it to read.
    ///
    /// # Errors
    ///
    /// When database or stash cannot be used, or the mode forbids it.
    pub fn open(&self, fips: bool, now: SystemTime) -> Result<Store, Failure> {
        let circumstances = Circumstances { fips, now };
        Store::open(&self.path, Access::Read, circumstances, || read_stash(&self.stash()))
    }
}

/// What a service shows and signs with, in the form that a file would have.
#[derive(Debug)]
pub struct Material {
    /// PEM, leaf first, without the root.
    pub chain: String,
    /// PEM of PKCS #8.
    pub key: Zeroizing<String>,
}

/// The certificate and key of a label.
///
/// # Errors
///
/// When the database has no such label, or no key for it.
pub fn material(store: &Store, label: &str) -> Result<Material, Failure> {
    let of = |error| Failure::of(store.path(), error);
    let chain = store.database.served_chain(label).map_err(of)?;
    Ok(Material { chain, key: store.database.key_pem(label).map_err(of)? })
}

/// How faults and records name a certificate of a database.
#[must_use]
pub fn name(database: &Path, label: &str) -> String {
    format!("{} label \"{label}\"", database.display())
}
