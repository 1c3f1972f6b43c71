//! Known-answer tests of the private-key operations, as cpacf has them for its functions.
//!
//! Purpose: prove, before a key is loaded, that what the cards compute with gives published
//! answers. The tests call what a card's thread calls (`key::Private`, the vector lanes), not
//! a way of their own. Keys that are loaded later are tried one by one as well, each private
//! operation against the public part (`key::check_pair`).
//!
//! Two operations choose their own random numbers and cannot have a known answer: RSA-PSS and ECDSA
//! are tested by verification under a published key. Whether a failure stops the program is the
//! caller's policy: in a FIPS mode it does.
//!
//! Source of the idea: FIPS 140-3 section 7.10; the sources of the vectors stand with them.

mod vectors;

use std::fmt;

use crate::device::batch;
use crate::key::{self, Curve, Private};
use crate::request::{Digest, Hash, Scheme};
use vectors as v;

/// A test of one private-key operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// Raw RSA on a block, what an accelerator does.
    RsaRaw,
    /// The same in the vector lanes of the batch engine.
    RsaBatch,
    /// RSASSA-PKCS1-v1_5, padded by the coprocessor.
    RsaPkcs1,
    /// RSASSA-PSS, padded by the coprocessor.
    RsaPss,
    /// ECDSA.
    Ecdsa(Curve),
}

impl Test {
    /// Every test.
    pub const ALL: [Self; 7] = [
        Self::RsaRaw,
        Self::RsaBatch,
        Self::RsaPkcs1,
        Self::RsaPss,
        Self::Ecdsa(Curve::P256),
        Self::Ecdsa(Curve::P384),
        Self::Ecdsa(Curve::P521),
    ];

    /// Name, e.g. `CEX-RSA-PKCS1-SIGN`.
    pub fn name(self) -> &'static str {
        match self {
            Self::RsaRaw => "CEX-RSA-RAW",
            Self::RsaBatch => "CEX-RSA-BATCH",
            Self::RsaPkcs1 => "CEX-RSA-PKCS1-SIGN",
            Self::RsaPss => "CEX-RSA-PSS-SIGN",
            Self::Ecdsa(Curve::P256) => "CEX-ECDSA-SIGN-P256",
            Self::Ecdsa(Curve::P384) => "CEX-ECDSA-SIGN-P384",
            Self::Ecdsa(Curve::P521) => "CEX-ECDSA-SIGN-P521",
        }
    }

    /// Where its answer comes from.
    pub fn source(self) -> &'static str {
        match self {
            Self::RsaRaw | Self::RsaBatch => "C2SP Wycheproof",
            Self::RsaPkcs1 => "OpenSSL under a key of C2SP Wycheproof",
            Self::RsaPss => "verification under a key of C2SP Wycheproof",
            Self::Ecdsa(_) => "verification under a key of RFC 6979, appendix A.2",
        }
    }

    /// Runs it. The batch engine passes where there is no vector unit: nothing will use it.
    pub fn passes(self) -> bool {
        match self {
            Self::RsaRaw => rsa_raw(self) == Some(true),
            Self::RsaBatch => rsa_batch(self) == Some(true),
            Self::RsaPkcs1 => rsa_pkcs1(self) == Some(true),
            Self::RsaPss => signs(self, &v::RSA_KEY, Scheme::RsaPss(Hash::Sha256)),
            Self::Ecdsa(curve) => {
                let key: &[u8] = match curve {
                    Curve::P256 => &v::EC_P256,
                    Curve::P384 => &v::EC_P384,
                    Curve::P521 => &v::EC_P521,
                };
                signs(self, key, Scheme::Ecdsa(Hash::Sha256))
            }
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn rsa_raw(test: Test) -> Option<bool> {
    let (private, ..) = key::read(&v::RSA_KEY).ok()?;
    let output = private.exponentiate(&v::RSA_INPUT).ok()?;
    Some(output == published(test, &v::RSA_OUTPUT))
}

fn rsa_batch(test: Test) -> Option<bool> {
    let Some(unit) = batch::Unit::detect() else { return Some(true) };
    let (private, ..) = key::read(&v::RSA_KEY).ok()?;
    let Private::Rsa { raw, .. } = &private else { return None };
    let outputs = batch::known_answer(unit, &v::RSA_KEY, raw, &v::RSA_INPUT)?;
    let published = published(test, &v::RSA_OUTPUT);
    Some(outputs.iter().all(|output| *output == published))
}

fn rsa_pkcs1(test: Test) -> Option<bool> {
    let (private, ..) = key::read(&v::RSA_KEY).ok()?;
    let digest = Digest::new(&v::DIGEST)?;
    let signature = private.sign(Scheme::RsaPkcs1(Hash::Sha256), &digest).ok()?;
    Some(signature == published(test, &v::RSA_PKCS1_SIGNATURE))
}

/// Signs the published digest; its signature verifies, and not for another digest.
fn signs(test: Test, der: &[u8], scheme: Scheme) -> bool {
    let verdict = || {
        let (private, kind, public) = key::read(der).ok()?;
        let digest = Digest::new(&v::DIGEST)?;
        let signature = private.sign(scheme, &digest).ok()?;
        let signed = Digest::new(&published(test, &v::DIGEST))?;
        let other = Digest::new(&[0x5a; 32])?;
        let right = public.verifies(kind, scheme, &signed, &signature);
        Some(right && !public.verifies(kind, scheme, &other, &signature))
    };
    verdict() == Some(true)
}

/// The published bytes, with a byte flipped if a test has asked for it.
fn published(test: Test, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if flipped::is(test)
        && let Some(first) = bytes.first_mut()
    {
        *first ^= 0x01;
    }
    bytes
}

/// Flips a byte of the vector of `test`, for the whole process: a proof that a broken vector is
/// noticed. Not part of a default build.
#[cfg(any(test, feature = "fault-injection"))]
pub fn flip_vector(test: Test) {
    flipped::set(test);
}

#[cfg(any(test, feature = "fault-injection"))]
mod flipped {
    use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

    use super::Test;

    static FLIPPED: AtomicU8 = AtomicU8::new(0);

    fn bit(test: Test) -> u8 {
        Test::ALL.iter().position(|it| *it == test).map_or(0, |position| 1 << position)
    }

    pub(super) fn set(test: Test) {
        FLIPPED.fetch_or(bit(test), Relaxed);
    }

    #[cfg(test)]
    pub(super) fn clear(test: Test) {
        FLIPPED.fetch_and(!bit(test), Relaxed);
    }

    pub(super) fn is(test: Test) -> bool {
        FLIPPED.load(Relaxed) & bit(test) != 0
    }
}

#[cfg(not(any(test, feature = "fault-injection")))]
mod flipped {
    pub(super) const fn is(_: super::Test) -> bool {
        false
    }
}

/// Reads a constant of `N` bytes; a mistake in the text stops the compilation.
const fn unhex<const N: usize>(text: &str) -> [u8; N] {
    let text = text.as_bytes();
    assert!(text.len() == 2 * N);
    let mut bytes = [0; N];
    let mut at = 0;
    while at < N {
        bytes[at] = digit(text[2 * at]) << 4 | digit(text[2 * at + 1]);
        at += 1;
    }
    bytes
}

const fn digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => {
            assert!(matches!(digit, b'a'..=b'f'));
            digit - b'a' + 10
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_gives_the_published_answer_and_a_flipped_byte_is_noticed() {
        for test in Test::ALL {
            assert!(test.passes(), "{test}");
            // Without a vector unit there is nothing to compare.
            if test == Test::RsaBatch && batch::Unit::detect().is_none() {
                continue;
            }
            flip_vector(test);
            assert!(!test.passes(), "{test} does not notice");
            flipped::clear(test);
            assert!(test.passes(), "{test} does not recover");
        }
    }
}
