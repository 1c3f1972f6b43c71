//! Private keys and the handles by which everything else names them.
//!
//! This module is the only holder of private-key bytes. `KeyStore` keeps the private part and
//! the devices find it by the handle in a message; a [`Key`] holds the handle and the *public*
//! part, with which results are checked on the host. Dropping the last [`Key`] removes the
//! private part; aws-lc overwrites its memory when it frees it, and the encoded form is zeroized
//! right after loading. Nothing of it appears in Debug output.
//!
//! Sources: RFC 5958 (PKCS#8), RFC 8017 appendix A.1 (PKCS#1), RFC 5915 (SEC 1 key),
//! FIPS 186-5 section 6.4.1 (how a hash of another length than the curve is used).

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair, ParsedPublicKey, VerificationAlgorithm};
use zeroize::Zeroizing;

use crate::Error;
use crate::der::{self, Encoding};
use crate::device::{batch, raw_rsa};
use crate::request::{Digest, Hash, Scheme};

mod generate;

#[cfg(feature = "fault-injection")]
pub use generate::break_pairs;
pub use generate::{generate, inspect};

/// A NIST curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Curve {
    /// secp256r1.
    P256,
    /// secp384r1.
    P384,
    /// secp521r1.
    P521,
}

impl Curve {
    /// `P-256` and so on.
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    fn signing(self) -> &'static signature::EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::P384 => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            Self::P521 => &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
        }
    }

    /// The hash that the signing algorithm of this curve is tied to in aws-lc-rs.
    fn native_hash(self) -> Hash {
        match self {
            Self::P256 => Hash::Sha256,
            Self::P384 => Hash::Sha384,
            Self::P521 => Hash::Sha512,
        }
    }

    fn verification(self, hash: Hash) -> &'static dyn VerificationAlgorithm {
        match (self, hash) {
            (Self::P256, Hash::Sha256) => &signature::ECDSA_P256_SHA256_ASN1,
            (Self::P256, Hash::Sha384) => &signature::ECDSA_P256_SHA384_ASN1,
            (Self::P256, Hash::Sha512) => &signature::ECDSA_P256_SHA512_ASN1,
            (Self::P384, Hash::Sha256) => &signature::ECDSA_P384_SHA256_ASN1,
            (Self::P384, Hash::Sha384) => &signature::ECDSA_P384_SHA384_ASN1,
            (Self::P384, Hash::Sha512) => &signature::ECDSA_P384_SHA512_ASN1,
            (Self::P521, Hash::Sha256) => &signature::ECDSA_P521_SHA256_ASN1,
            (Self::P521, Hash::Sha384) => &signature::ECDSA_P521_SHA384_ASN1,
            (Self::P521, Hash::Sha512) => &signature::ECDSA_P521_SHA512_ASN1,
        }
    }
}

/// What kind of key a handle stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA with a modulus of this many bits.
    Rsa {
        /// Length of the modulus.
        bits: u32,
    },
    /// Elliptic curve.
    Ec(Curve),
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA-{bits}"),
            Self::Ec(curve) => write!(f, "EC {}", curve.name()),
        }
    }
}

/// Name of a private key inside messages. It is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle(pub(crate) u64);

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A loaded key: handle and public part. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Key(Arc<KeyInner>);

struct KeyInner {
    handle: Handle,
    kind: KeyKind,
    spki: Vec<u8>,
    public: Public,
    store: Arc<KeyStore>,
}

impl fmt::Debug for KeyInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.handle)
    }
}

impl Drop for KeyInner {
    fn drop(&mut self) {
        self.store.remove(self.handle);
    }
}

impl Key {
    /// RSA or curve, with its size.
    pub fn kind(&self) -> KeyKind {
        self.0.kind
    }

    /// The public key as DER `SubjectPublicKeyInfo`.
    pub fn public_key(&self) -> &[u8] {
        &self.0.spki
    }

    /// The handle that messages carry.
    pub fn handle(&self) -> Handle {
        self.0.handle
    }

    /// Length of the modulus in bytes, for an RSA key.
    pub fn modulus_len(&self) -> Option<usize> {
        match &self.0.public {
            Public::Rsa { raw, .. } => Some(raw.modulus_len()),
            Public::Ec { .. } => None,
        }
    }

    /// Whether `signature` is the private operation on the padded `block`.
    pub(crate) fn undoes(&self, signature: &[u8], block: &[u8]) -> bool {
        match &self.0.public {
            Public::Rsa { raw, .. } => raw.undoes(signature, block),
            Public::Ec { .. } => false,
        }
    }

    /// The padded block of a signature: what the coprocessor's own padding made of a digest.
    #[cfg(test)]
    pub(crate) fn block_of(&self, scheme: Scheme, digest: &Digest) -> Option<Vec<u8>> {
        let Public::Rsa { raw, .. } = &self.0.public else { return None };
        let signature = self.0.store.find(self.0.handle)?.sign(scheme, digest).ok()?;
        raw.exponentiate(&signature).ok()
    }

    /// Whether `signature` is a signature of `digest`.
    pub(crate) fn verifies(&self, scheme: Scheme, digest: &Digest, signature: &[u8]) -> bool {
        self.0.public.verifies(self.0.kind, scheme, digest, signature)
    }
}

/// The host's half of a key. Parsed forms are made when first needed: three hashes, two paddings.
pub(crate) enum Public {
    Rsa { raw: raw_rsa::PublicKey, pkcs1: Vec<u8>, parsed: [OnceLock<Option<ParsedPublicKey>>; 6] },
    Ec { point: Vec<u8>, parsed: [OnceLock<Option<ParsedPublicKey>>; 3] },
}

impl Public {
    pub(crate) fn verifies(
        &self,
        kind: KeyKind,
        scheme: Scheme,
        digest: &Digest,
        signature: &[u8],
    ) -> bool {
        let hash = scheme.hash();
        let (cell, algorithm, bytes) = match (self, kind, scheme) {
            (Self::Rsa { pkcs1, parsed, .. }, _, Scheme::RsaPkcs1(_)) => {
                (&parsed[hash.index()], rsa_pkcs1(hash), pkcs1)
            }
            (Self::Rsa { pkcs1, parsed, .. }, _, Scheme::RsaPss(_)) => {
                (&parsed[3 + hash.index()], rsa_pss(hash), pkcs1)
            }
            (Self::Ec { point, parsed }, KeyKind::Ec(curve), Scheme::Ecdsa(_)) => {
                (&parsed[hash.index()], curve.verification(hash), point)
            }
            _ => return false,
        };
        let Some(parsed) = cell.get_or_init(|| ParsedPublicKey::new(algorithm, bytes).ok()) else {
            return false;
        };
        digest
            .import(hash)
            .is_some_and(|digest| parsed.verify_digest_sig(&digest, signature).is_ok())
    }
}

fn rsa_pkcs1(hash: Hash) -> &'static dyn VerificationAlgorithm {
    match hash {
        Hash::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Hash::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
    }
}

fn rsa_pss(hash: Hash) -> &'static dyn VerificationAlgorithm {
    match hash {
        Hash::Sha256 => &signature::RSA_PSS_2048_8192_SHA256,
        Hash::Sha384 => &signature::RSA_PSS_2048_8192_SHA384,
        Hash::Sha512 => &signature::RSA_PSS_2048_8192_SHA512,
    }
}

/// The private half of a key.
pub(crate) enum Private {
    Rsa { pair: RsaKeyPair, raw: raw_rsa::PrivateKey, batch: Option<Box<batch::Prepared>> },
    Ec { curve: Curve, pair: EcdsaKeyPair },
}

/// A private operation that the key cannot do: wrong scheme, length or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsuitable;

impl Private {
    /// Length of the modulus in bytes, for an RSA key.
    pub(crate) fn modulus_len(&self) -> Option<usize> {
        match self {
            Self::Rsa { pair, .. } => Some(pair.public_modulus_len()),
            Self::Ec { .. } => None,
        }
    }

    /// Raw RSA on a block of the length of the modulus.
    pub(crate) fn exponentiate(&self, block: &[u8]) -> Result<Vec<u8>, Unsuitable> {
        match self {
            Self::Rsa { raw, .. } => raw.exponentiate(block).map_err(|_| Unsuitable),
            Self::Ec { .. } => Err(Unsuitable),
        }
    }

    /// A signature of a digest, padded here.
    pub(crate) fn sign(&self, scheme: Scheme, digest: &Digest) -> Result<Vec<u8>, Unsuitable> {
        match (self, scheme) {
            (Self::Rsa { pair, .. }, Scheme::RsaPkcs1(hash) | Scheme::RsaPss(hash)) => {
                let padding = match (scheme, hash) {
                    (Scheme::RsaPss(_), Hash::Sha256) => &signature::RSA_PSS_SHA256,
                    (Scheme::RsaPss(_), Hash::Sha384) => &signature::RSA_PSS_SHA384,
                    (Scheme::RsaPss(_), Hash::Sha512) => &signature::RSA_PSS_SHA512,
                    (_, Hash::Sha256) => &signature::RSA_PKCS1_SHA256,
                    (_, Hash::Sha384) => &signature::RSA_PKCS1_SHA384,
                    (_, Hash::Sha512) => &signature::RSA_PKCS1_SHA512,
                };
                let digest = digest.import(hash).ok_or(Unsuitable)?;
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign_digest(padding, &digest, &mut out).map_err(|_| Unsuitable)?;
                Ok(out)
            }
            (Self::Ec { curve, pair }, Scheme::Ecdsa(hash)) => {
                if digest.as_ref().len() != hash.len() {
                    return Err(Unsuitable);
                }
                let digest = fit(*curve, digest.as_ref()).ok_or(Unsuitable)?;
                Ok(pair.sign_digest(&digest).map_err(|_| Unsuitable)?.as_ref().to_vec())
            }
            _ => Err(Unsuitable),
        }
    }
}

/// The digest in the length that the curve's signing algorithm expects.
///
/// ECDSA takes the leftmost bits of a longer digest and the number that a shorter one is, so
/// cutting at the right or padding with zeros at the left gives the same signature input.
fn fit(curve: Curve, bytes: &[u8]) -> Option<digest::Digest> {
    let hash = curve.native_hash();
    let mut fitted = [0; 64];
    let fitted = fitted.get_mut(..hash.len())?;
    let taken = bytes.len().min(hash.len());
    fitted[hash.len() - taken..].copy_from_slice(&bytes[..taken]);
    digest::Digest::import_less_safe(fitted, hash.algorithm()).ok()
}

/// All private keys of a process, by handle.
#[derive(Default)]
pub(crate) struct KeyStore {
    keys: RwLock<HashMap<Handle, Arc<Private>>>,
    last: AtomicU64,
    /// The vector unit for which RSA keys are prepared, if a card does batches.
    unit: OnceLock<batch::Unit>,
    passed: AtomicU64,
    failed: AtomicU64,
    unfit: AtomicU64,
}

/// RSA keys by what became of them when they were prepared for batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelfTest {
    /// A batch of them agreed with aws-lc.
    pub passed: u64,
    /// A batch of them did not. They are used one at a time.
    pub failed: u64,
    /// Not of a form that batches can do. They are used one at a time.
    pub unfit: u64,
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyStore({} keys)", self.len())
    }
}

impl KeyStore {
    /// The private half behind a handle.
    pub(crate) fn find(&self, handle: Handle) -> Option<Arc<Private>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(&handle).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// From now on RSA keys are prepared for batches on this unit.
    pub(crate) fn prepare_for(&self, unit: batch::Unit) {
        let _ = self.unit.set(unit);
    }

    pub(crate) fn self_test(&self) -> SelfTest {
        SelfTest {
            passed: self.passed.load(Relaxed),
            failed: self.failed.load(Relaxed),
            unfit: self.unfit.load(Relaxed),
        }
    }

    /// Prepares an RSA key for batches and tries it; a key that cannot be used in them is as good
    /// as any other, one at a time.
    fn prepare(&self, private: &mut Private, encoding: &Encoding<'_>) {
        if let (Some(unit), Private::Rsa { raw, batch, .. }, Encoding::Rsa { pkcs1 }) =
            (self.unit.get(), private, encoding)
        {
            let prepared = batch::Prepared::new(*unit, pkcs1, raw);
            let counter = match &prepared {
                Ok(_) => &self.passed,
                Err(batch::Unprepared::Disagrees) => &self.failed,
                Err(batch::Unprepared::Unfit) => &self.unfit,
            };
            counter.fetch_add(1, Relaxed);
            *batch = prepared.ok().map(Box::new);
        }
    }

    fn remove(&self, handle: Handle) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).remove(&handle);
    }

    /// Loads a key and checks that its private and its public part belong together.
    pub(crate) fn load(self: &Arc<Self>, der: &Zeroizing<Vec<u8>>) -> Result<Key, Error> {
        let encoding = der::recognise(der)?;
        let (mut private, kind, spki, public) = match encoding {
            Encoding::Rsa { pkcs1 } => load_rsa(pkcs1)?,
            Encoding::Ec { curve } => load_ec(curve, der)?,
        };
        check_pair(&private, kind, &public)?;
        self.prepare(&mut private, &encoding);
        let handle = Handle(self.last.fetch_add(1, Relaxed) + 1);
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(handle, Arc::new(private));
        drop(keys);
        let store = Arc::clone(self);
        Ok(Key(Arc::new(KeyInner { handle, kind, spki, public, store })))
    }
}

type Parts = (Private, KeyKind, Vec<u8>, Public);

fn load_rsa(pkcs1: &[u8]) -> Result<Parts, Error> {
    let rejected = |what| Error::KeyRejected { what };
    let pair = RsaKeyPair::from_der(pkcs1)
        .map_err(|e| rejected(format!("RSA private key: {}", reason(&e))))?;
    let public = pair.public_key();
    let raw = raw_rsa::PublicKey::from_pkcs1(public.as_ref())
        .map_err(|_| rejected("RSA public part cannot be used".to_owned()))?;
    let bits = raw.modulus_bits();
    check_size(bits)?;
    let spki: PublicKeyX509Der<'_> =
        public.as_der().map_err(|_| rejected("RSA public part cannot be encoded".to_owned()))?;
    let spki = spki.as_ref().to_vec();
    let pkcs1_public = public.as_ref().to_vec();
    let raw_private = raw_rsa::PrivateKey::from_pkcs1(pkcs1)
        .map_err(|_| rejected("RSA private key cannot be used".to_owned()))?;
    let private = Private::Rsa { pair, raw: raw_private, batch: None };
    let public = Public::Rsa { raw, pkcs1: pkcs1_public, parsed: Default::default() };
    Ok((private, KeyKind::Rsa { bits }, spki, public))
}

fn check_size(bits: u32) -> Result<(), Error> {
    if (2048..=4096).contains(&bits) { Ok(()) } else { Err(Error::KeySize { bits }) }
}

fn load_ec(curve: Curve, der: &[u8]) -> Result<Parts, Error> {
    let rejected = |what| Error::KeyRejected { what };
    let pair = EcdsaKeyPair::from_private_key_der(curve.signing(), der).map_err(|e| {
        rejected(format!("EC private key on curve {}: {}", curve.name(), reason(&e)))
    })?;
    let spki: PublicKeyX509Der<'_> = pair
        .public_key()
        .as_der()
        .map_err(|_| rejected("EC public part cannot be encoded".to_owned()))?;
    let spki = spki.as_ref().to_vec();
    let point = pair.public_key().as_ref().to_vec();
    let public = Public::Ec { point, parsed: Default::default() };
    Ok((Private::Ec { curve, pair }, KeyKind::Ec(curve), spki, public))
}

/// aws-lc-rs says `InvalidEncoding`, `TooSmall` and the like; a file's reader needs words.
fn reason(rejected: &aws_lc_rs::error::KeyRejected) -> &'static str {
    match rejected.to_string().as_str() {
        "TooSmall" => "it is smaller than 2048 bits",
        "TooLarge" => "it is larger than 4096 bits; make one of 2048 to 4096 bits",
        "InconsistentComponents" => "private and public part do not belong together",
        _ => "it is damaged, or its private and public parts do not belong together",
    }
}

/// The halves of a key in any of its encodings, without a place in a store.
pub(crate) fn read(der: &[u8]) -> Result<(Private, KeyKind, Public), Error> {
    let (private, kind, _, public) = match der::recognise(der)? {
        Encoding::Rsa { pkcs1 } => load_rsa(pkcs1)?,
        Encoding::Ec { curve } => load_ec(curve, der)?,
    };
    Ok((private, kind, public))
}

/// Uses each private operation that the key has once and checks the result with its public part.
fn check_pair(private: &Private, kind: KeyKind, public: &Public) -> Result<(), Error> {
    // Any digest and any block below the modulus will do.
    let hash = Hash::Sha256;
    let signs = |scheme| {
        Digest::new(&[0x5a; 32]).is_some_and(|digest| {
            let signature = private.sign(scheme, &digest);
            signature.is_ok_and(|signature| public.verifies(kind, scheme, &digest, &signature))
        })
    };
    let matches = match public {
        Public::Rsa { raw, .. } => {
            let mut block = vec![0x5a; raw.modulus_len()];
            block[0] = 0;
            let undone = private.exponentiate(&block).is_ok_and(|power| raw.undoes(&power, &block));
            undone && signs(Scheme::RsaPkcs1(hash))
        }
        Public::Ec { .. } => signs(Scheme::Ecdsa(hash)),
    };
    if matches { Ok(()) } else { Err(Error::KeyMismatch { kind }) }
}

#[cfg(test)]
mod tests;
