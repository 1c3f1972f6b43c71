//! A private key of a database at work: it signs on a (simulated) coprocessor.

use std::fmt;
use std::sync::Arc;

use cex::{
    CardConfig, CardType, Cex, Config, Curve, Digest, EngineChoice, Hash, Key, KeyKind, Scheme,
    SignRequest, Verify,
};
use cpacf::digest::{self, Algorithm};
use x509_cert::der::asn1::{Any, ObjectIdentifier};
use x509_cert::spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use super::error::Error;

/// A key that was loaded into a card of its own.
pub(super) struct Signer {
    cex: Arc<Cex>,
    key: Key,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.key.kind())
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        self.cex.shutdown();
    }
}

impl Signer {
    /// Loads a key (DER of PKCS #8, PKCS #1 or SEC 1).
    pub(super) fn load(der: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        let card = CardConfig {
            id: 0,
            kind: CardType::Cex8C,
            domains: vec![6],
            engine: EngineChoice::Single,
        };
        // What is signed here is kept for years: every result is verified before it is used.
        let config = Config { cards: vec![card], verify: Verify::All, ..Config::default() };
        let cex = Cex::start(&config)?;
        let key = cex.load_key(der)?;
        Ok(Self { cex, key })
    }

    pub(super) fn kind(&self) -> KeyKind {
        self.key.kind()
    }

    /// DER of the SubjectPublicKeyInfo.
    pub(super) fn public_key(&self) -> &[u8] {
        self.key.public_key()
    }

    /// The hash that suits the strength of the key.
    pub(super) fn usual_hash(&self) -> Hash {
        match self.kind() {
            KeyKind::Ec(Curve::P384) => Hash::Sha384,
            KeyKind::Ec(Curve::P521) => Hash::Sha512,
            KeyKind::Ec(Curve::P256) | KeyKind::Rsa { .. } => Hash::Sha256,
        }
    }

    /// How a signature with this hash is named in a certificate.
    pub(super) fn algorithm(&self, hash: Hash) -> AlgorithmIdentifierOwned {
        let (oid, parameters) = match (self.kind(), hash) {
            (KeyKind::Rsa { .. }, Hash::Sha256) => ("1.2.840.113549.1.1.11", Some(Any::null())),
            (KeyKind::Rsa { .. }, Hash::Sha384) => ("1.2.840.113549.1.1.12", Some(Any::null())),
            (KeyKind::Rsa { .. }, Hash::Sha512) => ("1.2.840.113549.1.1.13", Some(Any::null())),
            (KeyKind::Ec(_), Hash::Sha256) => ("1.2.840.10045.4.3.2", None),
            (KeyKind::Ec(_), Hash::Sha384) => ("1.2.840.10045.4.3.3", None),
            (KeyKind::Ec(_), Hash::Sha512) => ("1.2.840.10045.4.3.4", None),
        };
        AlgorithmIdentifierOwned { oid: ObjectIdentifier::new_unwrap(oid), parameters }
    }

    /// Signs a message.
    pub(super) fn sign(&self, hash: Hash, message: &[u8]) -> Result<Vec<u8>, Error> {
        let algorithm = match hash {
            Hash::Sha256 => Algorithm::Sha256,
            Hash::Sha384 => Algorithm::Sha384,
            Hash::Sha512 => Algorithm::Sha512,
        };
        let scheme = match self.kind() {
            KeyKind::Rsa { .. } => Scheme::RsaPkcs1(hash),
            KeyKind::Ec(_) => Scheme::Ecdsa(hash),
        };
        let digest = digest::digest(algorithm, message).map_err(Error::internal)?;
        let digest = Digest::new(digest.as_ref())
            .ok_or_else(|| Error::internal("a digest is longer than 64 bytes"))?;
        let done = self.cex.sign_blocking(SignRequest::new(&self.key, scheme, digest));
        done.result.map_err(|failure| Error::internal(format!("the card refused: {failure}")))
    }
}
