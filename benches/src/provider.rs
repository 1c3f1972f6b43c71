//! The two sides of the comparison: our provider and the stock one, each with its own signer.
//!
//! Purpose: like with like. Both sides run the same rustls with one suite and one group; what
//! differs is who does the cryptography. Our signer works in place, in the thread of the
//! handshake: ECDSA with a protected key of cpacf, RSA on the host through cex with all cards
//! offline (`no_card = "software"`), which includes the check of every RSA signature.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use cex::{Cex, Hash, NoCard, Port, Scheme, SignRequest};
use cpacf::digest;
use cpacf::kdsa::ProtectedKey;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::ServerConfig;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{CipherSuite, ClientConfig, Error, NamedGroup, RootCertStore};
use rustls::{SignatureAlgorithm, SignatureScheme};

use crate::Failure;
use crate::pki::{Issued, Kind};

/// The stock provider with one suite and X25519 alone.
#[must_use]
pub fn stock(suite: CipherSuite) -> Arc<CryptoProvider> {
    Arc::new(narrowed(default_provider(), suite))
}

/// Our provider with one suite and X25519 alone.
#[must_use]
pub fn ours(suite: CipherSuite) -> Arc<CryptoProvider> {
    Arc::new(narrowed(engine::provider::full_provider().as_ref().clone(), suite))
}

fn narrowed(mut provider: CryptoProvider, suite: CipherSuite) -> CryptoProvider {
    provider.cipher_suites.retain(|s| s.suite() == suite);
    provider.kx_groups.retain(|g| g.name() == NamedGroup::X25519);
    provider
}

/// A client of the stock provider that trusts the CA of `issued` and never resumes.
///
/// # Errors
/// Those of rustls.
pub fn client(issued: &Issued, provider: Arc<CryptoProvider>) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(issued.ca.clone())?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// A server with the stock provider and its signer; no tickets.
///
/// # Errors
/// Those of rustls.
pub fn stock_server(issued: &Issued, suite: CipherSuite) -> Result<Arc<ServerConfig>, Failure> {
    let mut config = ServerConfig::builder_with_provider(stock(suite))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![issued.leaf.clone()], issued.private_key())?;
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// A server with our provider and a signer that works in place; no tickets.
///
/// # Errors
/// Those of rustls and of the backends.
pub fn our_server(issued: &Issued, suite: CipherSuite) -> Result<Arc<ServerConfig>, Failure> {
    let key = CertifiedKey::new(vec![issued.leaf.clone()], InPlace::load(issued)?);
    let mut config = ServerConfig::builder_with_provider(ours(suite))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// A key of one of our backends, used in the thread that asks.
#[derive(Clone)]
enum InPlace {
    Cpacf(Arc<ProtectedKey>),
    Cex(Arc<OnHost>),
}

/// Cards that are all offline: cex computes on the host, in the thread that drains the port.
struct OnHost {
    cex: Arc<Cex>,
    port: Mutex<Port>,
    key: cex::Key,
}

impl InPlace {
    fn load(issued: &Issued) -> Result<Arc<dyn SigningKey>, Failure> {
        Ok(Arc::new(match issued.kind {
            Kind::P256 | Kind::P384 => Self::Cpacf(Arc::new(ProtectedKey::load(issued.key())?)),
            Kind::Rsa2048 | Kind::Rsa3072 | Kind::Rsa4096 => {
                let config = cex::Config { no_card: NoCard::Software, ..cex::Config::default() };
                let cex = Cex::start(&config)?;
                for card in &config.cards {
                    cex.set_card_online(card.id, false)?;
                }
                let key = cex.load_key(issued.key())?;
                let port = Mutex::new(cex.port(|| {}));
                Self::Cex(Arc::new(OnHost { cex, port, key }))
            }
        }))
    }
}

impl fmt::Debug for InPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InPlace")
    }
}

impl OnHost {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |what: String| Error::General(what);
        let digest = digest::digest(digest::Algorithm::Sha256, message)
            .map_err(|e| failed(e.to_string()))?;
        let digest = cex::Digest::new(digest.as_ref())
            .ok_or_else(|| failed("a digest of SHA-256 is not longer than 64 bytes".to_owned()))?;
        let request = SignRequest::new(&self.key, Scheme::RsaPss(Hash::Sha256), digest);
        let port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        self.cex.submit(&port, 0, request).map_err(|e| failed(format!("{e:?}")))?;
        let completion = port.drain().next();
        completion
            .ok_or_else(|| failed("cex did not answer in place".to_owned()))?
            .result
            .map_err(|e| failed(format!("{e:?}")))
    }
}

impl SigningKey for InPlace {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.scheme()).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self {
            Self::Cpacf(_) => SignatureAlgorithm::ECDSA,
            Self::Cex(_) => SignatureAlgorithm::RSA,
        }
    }
}

impl Signer for InPlace {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match self {
            Self::Cpacf(key) => key.sign(message).map_err(|e| Error::General(e.to_string())),
            Self::Cex(key) => key.sign(message),
        }
    }

    fn scheme(&self) -> SignatureScheme {
        match self {
            Self::Cpacf(_) => SignatureScheme::ECDSA_NISTP256_SHA256,
            Self::Cex(_) => SignatureScheme::RSA_PSS_SHA256,
        }
    }
}
