//! HMAC over `cpacf::hmac`; the TLS 1.2 PRF is built on it.

use cpacf::digest::Algorithm;
use rustls::crypto::hmac::{Hmac, Key, Tag};

pub(super) static SHA256: HmacSha = HmacSha(Algorithm::Sha256);
pub(super) static SHA384: HmacSha = HmacSha(Algorithm::Sha384);

/// HMAC with one hash function.
#[derive(Debug)]
pub(super) struct HmacSha(Algorithm);

impl Hmac for HmacSha {
    fn with_key(&self, key: &[u8]) -> Box<dyn Key> {
        let key = cpacf::hmac::Key::start(self.0, key);
        Box::new(HmacKey { key, tag_len: self.0.output_len() })
    }

    fn hash_output_len(&self) -> usize {
        self.0.output_len()
    }
}

struct HmacKey {
    key: cpacf::hmac::Key,
    tag_len: usize,
}

/// Most messages come in at most this many pieces; more are gathered on the heap.
const MAX_PIECES: usize = 8;

impl Key for HmacKey {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let count = middle.len() + 2;
        if count <= MAX_PIECES {
            let mut pieces: [&[u8]; MAX_PIECES] = [&[]; MAX_PIECES];
            pieces[0] = first;
            pieces[1..=middle.len()].copy_from_slice(middle);
            pieces[count - 1] = last;
            return self.key.sign_with(&pieces[..count], Tag::new);
        }
        let mut pieces = Vec::with_capacity(count);
        pieces.push(first);
        pieces.extend_from_slice(middle);
        pieces.push(last);
        self.key.sign_with(&pieces, Tag::new)
    }

    fn tag_len(&self) -> usize {
        self.tag_len
    }
}
