//! Keys of the tests, made at run time, once for each process.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{EcdsaKeyPair, KeyPair};
use zeroize::Zeroizing;

use crate::{Cex, Completion, Digest, Failure, Hash, Key, Port, Scheme, SignRequest};

/// An RSA key in its encodings.
pub(crate) struct RsaKey {
    pkcs8: Vec<u8>,
    public: Vec<u8>,
}

impl RsaKey {
    pub(crate) fn generate(size: KeySize) -> Self {
        let pair = RsaKeyPair::generate(size).unwrap();
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        Self { pkcs8: pkcs8.as_ref().to_vec(), public: pair.public_key().as_ref().to_vec() }
    }

    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    pub(crate) fn pkcs1(&self) -> &[u8] {
        match crate::der::recognise(&self.pkcs8).unwrap() {
            crate::der::Encoding::Rsa { pkcs1 } => pkcs1,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn public_pkcs1(&self) -> &[u8] {
        &self.public
    }
}

pub(crate) fn rsa_2048() -> &'static RsaKey {
    static KEY: LazyLock<RsaKey> = LazyLock::new(|| RsaKey::generate(KeySize::Rsa2048));
    &KEY
}

pub(crate) fn rsa_3072() -> &'static RsaKey {
    static KEY: LazyLock<RsaKey> = LazyLock::new(|| RsaKey::generate(KeySize::Rsa3072));
    &KEY
}

pub(crate) fn rsa_4096() -> &'static RsaKey {
    static KEY: LazyLock<RsaKey> = LazyLock::new(|| RsaKey::generate(KeySize::Rsa4096));
    &KEY
}

/// PKCS#8 of a fresh EC key.
pub(crate) fn ec_pkcs8(algorithm: &'static aws_lc_rs::signature::EcdsaSigningAlgorithm) -> Vec<u8> {
    EcdsaKeyPair::generate(algorithm).unwrap().to_pkcs8v1().unwrap().as_ref().to_vec()
}

pub(crate) fn p256_pkcs8() -> Vec<u8> {
    ec_pkcs8(&aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING)
}

pub(crate) fn load(cex: &Arc<Cex>, der: &[u8]) -> Key {
    cex.load_key(Zeroizing::new(der.to_vec())).unwrap()
}

/// Submits requests and drains until all are done, with a tick every few milliseconds.
pub(crate) struct Load<'a> {
    pub(crate) cex: &'a Arc<Cex>,
    pub(crate) port: Port,
    pub(crate) submitted: u64,
    pub(crate) completions: Vec<Completion>,
}

impl<'a> Load<'a> {
    pub(crate) fn new(cex: &'a Arc<Cex>) -> Self {
        let caller = std::thread::current();
        let port = cex.port(move || caller.unpark());
        Self { cex, port, submitted: 0, completions: Vec::new() }
    }

    pub(crate) fn submit(&mut self, request: &SignRequest) -> Result<(), Failure> {
        self.cex.submit(&self.port, self.submitted, request.clone())?;
        self.submitted += 1;
        Ok(())
    }

    pub(crate) fn submit_many(&mut self, request: &SignRequest, count: usize) {
        for _ in 0..count {
            self.submit(request).unwrap();
        }
    }

    /// Drains until every request is done. The limit is there so that a hang is a failure.
    pub(crate) fn finish(&mut self) -> &[Completion] {
        let begin = Instant::now();
        while (self.completions.len() as u64) < self.submitted {
            assert!(begin.elapsed() < Duration::from_secs(60), "requests hang: {self:?}");
            self.completions.extend(self.port.drain());
            if (self.completions.len() as u64) < self.submitted {
                std::thread::park_timeout(Duration::from_millis(5));
                self.cex.tick(Instant::now());
            }
        }
        let mut tokens: Vec<_> = self.completions.iter().map(|c| c.token).collect();
        tokens.sort_unstable();
        assert!(tokens.iter().copied().eq(0..self.submitted), "each exactly once");
        &self.completions
    }
}

impl std::fmt::Debug for Load<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let done = self.completions.len();
        write!(f, "{done} of {} done; {:#?}", self.submitted, self.cex.snapshot())
    }
}

/// A digest of that hash's length. Nothing here looks at what it is a digest of.
pub(crate) fn digest_of(hash: Hash) -> Digest {
    Digest::new(&[0x5a; 64][..hash.len()]).unwrap()
}

/// A request that an accelerator may take too, if the scheme is one of RSA. The padding is made
/// by the library's own signature, undone with the public key.
pub(crate) fn padded(key: &Key, scheme: Scheme, digest: Digest) -> SignRequest {
    let block = key.block_of(scheme, &digest);
    SignRequest { block, ..SignRequest::new(key, scheme, digest) }
}

/// A padded RSA-2048 request.
pub(crate) fn rsa_request(key: &Key) -> SignRequest {
    padded(key, Scheme::RsaPss(Hash::Sha256), digest_of(Hash::Sha256))
}
