//! Private operations without queue, thread and threshold, for measurements.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::key::BatchKey;
use super::operation::{REQUESTS, Request};
use super::{Unit, raw_rsa};
use crate::Error;
use crate::der::{self, Encoding};
use crate::key::{Key, KeyStore};

/// RSA keys of one size, used directly: by themselves and four together.
///
/// What a card does is [`crate::Cex`]'s business; here is what one operation costs.
#[derive(Debug)]
pub struct Trial {
    unit: Unit,
    keys: Vec<(BatchKey, raw_rsa::PrivateKey, Key)>,
}

impl Trial {
    /// Loads the keys. `None` if this processor does no batches, or one of the keys is not of a
    /// form for them.
    pub fn new(ders: &[Zeroizing<Vec<u8>>]) -> Result<Option<Self>, Error> {
        let Some(unit) = Unit::detect() else { return Ok(None) };
        let store = Arc::new(KeyStore::default());
        let mut keys = Vec::new();
        for der in ders {
            let Encoding::Rsa { pkcs1 } = der::recognise(der)? else { return Ok(None) };
            let key = der::rsa_parts(pkcs1).and_then(|parts| BatchKey::new(&parts));
            let raw = raw_rsa::PrivateKey::from_pkcs1(pkcs1).ok();
            let (Some(key), Some(raw)) = (key, raw) else { return Ok(None) };
            keys.push((key, raw, store.load(der)?));
        }
        let same = |pair: &[(BatchKey, _, _)]| pair[0].0.modulus_len() == pair[1].0.modulus_len();
        let one_size = !keys.is_empty() && keys.windows(2).all(same);
        Ok(one_size.then_some(Self { unit, keys }))
    }

    /// Length of a block in bytes.
    pub fn block_len(&self) -> usize {
        self.keys.first().map_or(0, |(key, _, _)| key.modulus_len())
    }

    /// One block by itself, by aws-lc.
    pub fn alone(&self, key: usize, block: &[u8]) -> Option<Vec<u8>> {
        self.keys.get(key)?.1.exponentiate(block).ok()
    }

    /// Up to four blocks together, each with the key of its number. Results that failed
    /// verification are missing.
    pub fn together<'a>(&'a self, blocks: &[(usize, &'a [u8])]) -> Vec<Option<Vec<u8>>> {
        let request = |(index, block): &(usize, &'a [u8])| {
            self.keys.get(*index).map(|(key, raw, _)| Request { key, raw, block })
        };
        let requests: Vec<_> = blocks.iter().take(REQUESTS).filter_map(request).collect();
        self.unit.execute(&requests).into_iter().map(Result::ok).collect()
    }

    /// Whether `signature` is the private operation of the key on the block.
    pub fn undoes(&self, key: usize, signature: &[u8], block: &[u8]) -> bool {
        self.keys.get(key).is_some_and(|(_, _, key)| key.undoes(signature, block))
    }
}
