//! Transcript hashes over `cpacf::digest` (KIMD/KLMD).
//!
//! rustls' trait cannot report an error; cpacf's `start` never has one: a function that is blocked
//! while connections are open goes on in software and is counted there.

use cpacf::digest::{self, Algorithm};
use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};

pub(super) static SHA256: Digest = Digest(Algorithm::Sha256);
pub(super) static SHA384: Digest = Digest(Algorithm::Sha384);

/// One hash function.
#[derive(Debug)]
pub(super) struct Digest(Algorithm);

impl Hash for Digest {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Running(digest::Context::start(self.0)))
    }

    fn hash(&self, data: &[u8]) -> Output {
        // One call and no context, unless the function is blocked.
        let digest = digest::digest(self.0, data).unwrap_or_else(|_| {
            let mut context = digest::Context::start(self.0);
            context.update(data);
            context.finish()
        });
        Output::new(digest.as_ref())
    }

    fn output_len(&self) -> usize {
        self.0.output_len()
    }

    fn algorithm(&self) -> HashAlgorithm {
        match self.0 {
            Algorithm::Sha256 => HashAlgorithm::SHA256,
            Algorithm::Sha384 => HashAlgorithm::SHA384,
            Algorithm::Sha512 => HashAlgorithm::SHA512,
        }
    }
}

struct Running(digest::Context);

impl Context for Running {
    fn fork_finish(&self) -> Output {
        Output::new(self.0.clone().finish().as_ref())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(self.0.finish().as_ref())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}
