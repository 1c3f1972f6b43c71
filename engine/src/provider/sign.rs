//! Our own signatures: the one place where a handshake waits for a card.
//!
//! Purpose: a `SigningKey` that holds a handle, not a key. `sign` hashes the message in cpacf,
//! pads RSA blocks, queues the request to the AP queues (ICSF service CSFPPKS), suspends the fiber
//! (or blocks its thread, where flights run on threads) and returns what the card answered. A key
//! routed to cpacf is used there and then.
//!
//! Invariants: no lock is held and no frame of the C library is below when the fiber suspends;
//! where it went, what it cost and why it failed is left in the handshake's context.
//!
//! Source: RFC 8446 §4.4.3, RFC 5246 §7.4.3; ICSF Writing PKCS #11 Applications (CSFPPKS).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cex::{Completion, Failure, Hash, KeyKind, Path, Scheme, SignRequest};
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use crate::crypto::PrivateKey;
use crate::handshake::blocking;
use crate::handshake::context::{self, Context, SigningFailure, Waiting};
use crate::handshake::fiber::{self, Resume};
use crate::icsf::{self, Service, ServiceFailure};
use crate::pad;
use crate::record::{KeyOperation, KeyPath};

/// RSA schemes in our order of preference; the cheapest hash first, PSS before PKCS #1 v1.5.
const RSA_SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

/// The schemes a key of this kind can sign with.
pub(crate) fn schemes(kind: KeyKind) -> &'static [SignatureScheme] {
    match kind {
        KeyKind::Rsa { .. } => RSA_SCHEMES,
        KeyKind::Ec(cex::Curve::P256) => &[SignatureScheme::ECDSA_NISTP256_SHA256],
        KeyKind::Ec(cex::Curve::P384) => &[SignatureScheme::ECDSA_NISTP384_SHA384],
        KeyKind::Ec(cex::Curve::P521) => &[SignatureScheme::ECDSA_NISTP521_SHA512],
    }
}

/// How a TLS scheme is asked of a card.
fn card_scheme(scheme: SignatureScheme) -> Option<Scheme> {
    Some(match scheme {
        SignatureScheme::RSA_PSS_SHA256 => Scheme::RsaPss(Hash::Sha256),
        SignatureScheme::RSA_PSS_SHA384 => Scheme::RsaPss(Hash::Sha384),
        SignatureScheme::RSA_PSS_SHA512 => Scheme::RsaPss(Hash::Sha512),
        SignatureScheme::RSA_PKCS1_SHA256 => Scheme::RsaPkcs1(Hash::Sha256),
        SignatureScheme::RSA_PKCS1_SHA384 => Scheme::RsaPkcs1(Hash::Sha384),
        SignatureScheme::RSA_PKCS1_SHA512 => Scheme::RsaPkcs1(Hash::Sha512),
        SignatureScheme::ECDSA_NISTP256_SHA256 => Scheme::Ecdsa(Hash::Sha256),
        SignatureScheme::ECDSA_NISTP384_SHA384 => Scheme::Ecdsa(Hash::Sha384),
        SignatureScheme::ECDSA_NISTP521_SHA512 => Scheme::Ecdsa(Hash::Sha512),
        _ => return None,
    })
}

fn digest_algorithm(hash: Hash) -> cpacf::digest::Algorithm {
    match hash {
        Hash::Sha256 => cpacf::digest::Algorithm::Sha256,
        Hash::Sha384 => cpacf::digest::Algorithm::Sha384,
        Hash::Sha512 => cpacf::digest::Algorithm::Sha512,
    }
}

/// A private key as rustls sees it: what it can sign, and a handle.
#[derive(Debug)]
pub(crate) struct RoutedKey {
    pub(crate) key: PrivateKey,
    /// What it signs with, by preference.
    pub(crate) schemes: Vec<SignatureScheme>,
}

impl RoutedKey {
    /// A key that signs with everything its kind can.
    pub(crate) fn new(key: PrivateKey) -> Self {
        Self { schemes: schemes(key.kind()).to_vec(), key }
    }
}

impl SigningKey for RoutedKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        self.schemes
            .iter()
            .copied()
            .find(|scheme| offered.contains(scheme))
            .map(|scheme| Box::new(RoutedSigner { key: self.key.clone(), scheme }) as Box<_>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.key.kind() {
            KeyKind::Rsa { .. } => SignatureAlgorithm::RSA,
            KeyKind::Ec(_) => SignatureAlgorithm::ECDSA,
        }
    }
}

struct RoutedSigner {
    key: PrivateKey,
    scheme: SignatureScheme,
}

impl fmt::Debug for RoutedSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutedSigner").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

impl Signer for RoutedSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let Some(context) = context::current() else {
            return Err(Error::General("a signature was asked for outside a handshake".to_owned()));
        };
        context.notes().scheme = Some(self.scheme);
        #[cfg(feature = "fault-injection")]
        crate::handshake::fault::strike(&context);
        let result = match &self.key {
            PrivateKey::Protected(key) => sign_in_cpacf(&context, key, message),
            PrivateKey::Card(key) => sign_on_card(&context, key, self.scheme, message),
        };
        result.map_err(|failure| {
            context.notes().failure = Some(failure);
            // rustls sends no alert for this error; the connection does.
            Error::General(failure.0.to_string())
        })
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

/// KDSA with a protected key: done before it returns.
fn sign_in_cpacf(
    context: &Context,
    key: &Arc<cpacf::kdsa::ProtectedKey>,
    message: &[u8],
) -> Result<Vec<u8>, SigningFailure> {
    let signature = key.sign(message).map_err(|e| SigningFailure(icsf::from_cpacf::failure(&e)))?;
    context.notes().key_operation = Some(KeyOperation {
        path: KeyPath::Cpacf,
        apqn: None,
        queue: Duration::ZERO,
        service: Duration::ZERO,
        card_cpu: Duration::ZERO,
        tries: 1,
    });
    Ok(signature)
}

/// CSFPPKS through the AP queues: suspends or blocks until the card has answered.
fn sign_on_card(
    context: &Context,
    key: &cex::Key,
    scheme: SignatureScheme,
    message: &[u8],
) -> Result<Vec<u8>, SigningFailure> {
    let pads = !context.offload.crypto.module_is_alone();
    let request = request(key, scheme, message, pads)?;
    if let Waiting::Blocks(bell) = &context.waiting {
        let completion = blocking::ask(context, bell, request).map_err(|f| card_failed(&f))?;
        return match completion {
            Some(completion) => finish(context, completion),
            None => Err(not_waited_for(&icsf::table::CANCELLED)),
        };
    }
    let offload = &context.offload;
    offload
        .crypto
        .cex()
        .submit(&offload.port, context.token, request)
        .map_err(|f| card_failed(&f))?;
    match fiber::suspend() {
        Some(Resume::Signed(completion)) => finish(context, completion),
        // The connection is being ended: the client left, or a deadline passed. The reply, when it
        // comes, finds nobody and is dropped.
        Some(Resume::Start | Resume::Agreed(_) | Resume::Cancelled) => {
            Err(not_waited_for(&icsf::table::CANCELLED))
        }
        // Not on a fiber, so there is nobody who could wait.
        None => Err(not_waited_for(&icsf::table::NO_FIBER)),
    }
}

/// The signature was given up on our side; the card is not to blame.
fn not_waited_for(code: &'static icsf::Code) -> SigningFailure {
    SigningFailure(ServiceFailure::new(Service::CSFPPKS, code))
}

fn card_failed(failure: &Failure) -> SigningFailure {
    SigningFailure(icsf::from_ap::failure(failure))
}

/// The digest, and for RSA the padded block that an accelerator needs, unless the module is to pad
/// by itself.
fn request(
    key: &cex::Key,
    scheme: SignatureScheme,
    message: &[u8],
    pads: bool,
) -> Result<SignRequest, SigningFailure> {
    let Some(scheme) = card_scheme(scheme) else {
        return Err(card_failed(&Failure::BadRequest));
    };
    let (Scheme::RsaPkcs1(hash) | Scheme::RsaPss(hash) | Scheme::Ecdsa(hash)) = scheme;
    let algorithm = digest_algorithm(hash);
    let digest = cpacf::digest::digest(algorithm, message)
        .map_err(|e| SigningFailure(icsf::from_cpacf::failure(&e)))?;
    let block = match key.kind() {
        KeyKind::Rsa { bits } if pads => Some(padded(scheme, algorithm, digest.as_ref(), bits)?),
        KeyKind::Rsa { .. } | KeyKind::Ec(_) => None,
    };
    let digest =
        cex::Digest::new(digest.as_ref()).ok_or_else(|| card_failed(&Failure::BadRequest))?;
    Ok(SignRequest { key: key.clone(), scheme, digest, block })
}

fn padded(
    scheme: Scheme,
    algorithm: cpacf::digest::Algorithm,
    digest: &[u8],
    bits: u32,
) -> Result<Vec<u8>, SigningFailure> {
    let bits = usize::try_from(bits).unwrap_or(usize::MAX);
    let mut block = vec![0; bits.div_ceil(8)];
    let padded = match scheme {
        Scheme::RsaPss(_) => pad::pss(algorithm, digest, bits, &mut block),
        Scheme::RsaPkcs1(_) | Scheme::Ecdsa(_) => pad::pkcs1(algorithm, digest, &mut block),
    };
    match padded {
        Ok(()) => Ok(block),
        Err(pad::Error::Crypto(e)) => Err(SigningFailure(icsf::from_cpacf::failure(&e))),
        Err(_) => Err(card_failed(&Failure::BadRequest)),
    }
}

fn finish(context: &Context, completion: Completion) -> Result<Vec<u8>, SigningFailure> {
    let trace = completion.trace;
    context.notes().key_operation = Some(KeyOperation {
        path: match trace.path {
            Path::Card => KeyPath::Cex,
            Path::Software => KeyPath::Software,
        },
        apqn: trace.apqn.map(|apqn| apqn.to_string()),
        queue: trace.queue,
        service: trace.service,
        card_cpu: trace.card_cpu,
        tries: trace.tries,
    });
    completion.result.map_err(|failure| card_failed(&failure))
}
