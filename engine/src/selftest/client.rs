//! The client of the self-test that shows a certificate: the longest verifications there are.
//!
//! Purpose: with client certificates a handshake verifies a chain and a signature on its stack, so
//! the check of stacks must include that for the largest keys. The certificates beside this file
//! are public and their keys were never kept; the "client" signs with bytes that are a signature
//! only in form. A handshake that reaches the refusal of exactly that signature has walked the
//! whole way.
//!
//! Invariants: the CAs of these certificates are trusted by services that the self-test makes for
//! itself and throws away, never by one that listens.

use std::sync::Arc;
use std::time::SystemTime;

use cpacf::Function;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use crate::certs::{self, Authorities, ClientAuth};

/// A chain of the largest keys of one type, leaf first, its CA last.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) name: &'static str,
    pem: &'static [u8],
    scheme: SignatureScheme,
    /// A signature in form.
    signature: fn() -> Vec<u8>,
    functions: &'static [Function],
}

pub(super) static CHAINS: [Chain; 2] = [
    Chain {
        name: "RSA 4096",
        pem: include_bytes!("rsa-4096.pem"),
        scheme: SignatureScheme::RSA_PSS_SHA512,
        signature: || vec![0x55; 512],
        functions: &[Function::RsaPkcs1Verify, Function::RsaPssVerify],
    },
    Chain {
        name: "EC P-521",
        pem: include_bytes!("p-521.pem"),
        scheme: SignatureScheme::ECDSA_NISTP521_SHA512,
        // r = s = 1
        signature: || vec![0x30, 6, 2, 1, 1, 2, 1, 1],
        functions: &[Function::KdsaEcdsaVerifyP521],
    },
];

impl Chain {
    /// Whether a power-on test has blocked what verifies it: then it cannot be walked, and no
    /// client with such a certificate is let in.
    pub(super) fn is_blocked(&self) -> bool {
        self.functions.iter().any(|function| cpacf::selftest::is_blocked(*function))
    }

    /// The demand that a client shows this chain.
    pub(super) fn demand(&self) -> Result<ClientAuth, String> {
        let certificates = self.certificates()?;
        let ca = certificates.last().ok_or("the chain is empty")?;
        let roots = Authorities::of(vec![ca.clone()], SystemTime::now())
            .map_err(|faults: Vec<certs::CertFault>| format!("{faults:?}"))?;
        Ok(ClientAuth::Required { roots, revoked: None })
    }

    /// The client's side of it.
    pub(super) fn client(&'static self) -> Result<Arc<dyn ResolvesClientCert>, String> {
        let key = Arc::new(CertifiedKey::new(self.certificates()?, Arc::new(Forger(self))));
        Ok(Arc::new(Always(key)))
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let all = CertificateDer::pem_slice_iter(self.pem).collect::<Result<Vec<_>, _>>();
        all.map_err(|error| error.to_string())
    }
}

/// Shows the chain to whoever asks.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Signs without a key.
#[derive(Debug, Clone, Copy)]
struct Forger(&'static Chain);

impl SigningKey for Forger {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.0.scheme).then(|| Box::new(*self) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.0.scheme {
            SignatureScheme::RSA_PSS_SHA512 => SignatureAlgorithm::RSA,
            _ => SignatureAlgorithm::ECDSA,
        }
    }
}

impl Signer for Forger {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
        Ok((self.0.signature)())
    }

    fn scheme(&self) -> SignatureScheme {
        self.0.scheme
    }
}
