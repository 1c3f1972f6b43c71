//! New key pairs.
//!
//! A card's own generator would keep the private part; here it leaves as PKCS#8, in memory that is
//! overwritten, because it is going to be kept in a key database.
//!
//! Invariant: no pair is given out that has not signed something which its public part verified
//! (the pairwise consistency test of FIPS 140-3, IG 10.3.A).

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::EcdsaKeyPair;
use zeroize::Zeroizing;

use super::{KeyKind, KeyStore};
use crate::Error;

/// Makes a key pair and returns it as DER of PKCS#8.
///
/// # Errors
///
/// [`Error::KeySize`] for an RSA key of other than 2048, 3072 or 4096 bits, [`Error::Generation`]
/// if the library makes none, [`Error::PairwiseTest`] if the pair that it made is none.
pub fn generate(kind: KeyKind) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = || Error::Generation { kind };
    let der = match kind {
        KeyKind::Rsa { bits } => {
            let size = match bits {
                2048 => KeySize::Rsa2048,
                3072 => KeySize::Rsa3072,
                4096 => KeySize::Rsa4096,
                _ => return Err(Error::KeySize { bits }),
            };
            let pair = RsaKeyPair::generate(size).map_err(|_| failed())?;
            let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| failed())?;
            Zeroizing::new(der.as_ref().to_vec())
        }
        KeyKind::Ec(curve) => {
            let pair = EcdsaKeyPair::generate(curve.signing()).map_err(|_| failed())?;
            let der = pair.to_pkcs8v1().map_err(|_| failed())?;
            Zeroizing::new(der.as_ref().to_vec())
        }
    };
    #[cfg(feature = "fault-injection")]
    let der = broken::pair(der);
    pairwise_test(kind, &der)?;
    Ok(der)
}

/// Breaks every pair that is made from now on in this process, before its pairwise test. Not part
/// of a default build.
#[cfg(feature = "fault-injection")]
pub fn break_pairs() {
    broken::BROKEN.store(true, std::sync::atomic::Ordering::Relaxed);
}

#[cfg(feature = "fault-injection")]
mod broken {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use zeroize::Zeroizing;

    pub(super) static BROKEN: AtomicBool = AtomicBool::new(false);

    /// The last bit is one of the public point (EC), or of the coefficient (RSA).
    pub(super) fn pair(mut der: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
        if let Some(last) = der.last_mut().filter(|_| BROKEN.load(Relaxed)) {
            *last ^= 0x01;
        }
        der
    }
}

/// Signs with the private part and verifies with the public one, each the way a card does.
fn pairwise_test(kind: KeyKind, der: &Zeroizing<Vec<u8>>) -> Result<(), Error> {
    match Arc::<KeyStore>::default().load(der) {
        Ok(key) if key.kind() == kind => Ok(()),
        Ok(_) | Err(_) => Err(Error::PairwiseTest { kind }),
    }
}

/// What kind of key these bytes hold (PKCS#8, PKCS#1 or SEC 1), and its public part as DER
/// `SubjectPublicKeyInfo`. The private part is checked against it and not kept.
///
/// # Errors
///
/// Those of [`crate::Cex::load_key`].
pub fn inspect(der: &Zeroizing<Vec<u8>>) -> Result<(KeyKind, Vec<u8>), Error> {
    let key = Arc::<KeyStore>::default().load(der)?;
    Ok((key.kind(), key.public_key().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Curve;

    #[test]
    fn every_kind_is_generated_and_loads() {
        let curves = [Curve::P256, Curve::P384, Curve::P521].map(KeyKind::Ec);
        for kind in curves.into_iter().chain([KeyKind::Rsa { bits: 2048 }]) {
            let der = generate(kind).unwrap();
            let (found, spki) = inspect(&der).unwrap();
            assert_eq!(found, kind);
            assert_eq!(inspect(&der).unwrap().1, spki);
            assert_ne!(inspect(&generate(kind).unwrap()).unwrap().1, spki);
        }
    }

    #[test]
    fn a_weak_size_is_refused() {
        for bits in [512, 1024, 2047, 8192] {
            assert!(matches!(generate(KeyKind::Rsa { bits }), Err(Error::KeySize { .. })));
        }
    }

    #[test]
    fn a_pair_that_is_none_fails_the_pairwise_test() {
        let kind = KeyKind::Ec(Curve::P256);
        let (mut one, two) = (generate(kind).unwrap(), generate(kind).unwrap());
        // The public point is the last 64 bytes.
        let at = one.len() - 64;
        one[at..].copy_from_slice(&two[at..]);
        assert!(matches!(pairwise_test(kind, &one), Err(Error::PairwiseTest { .. })));
        let other = KeyKind::Ec(Curve::P384);
        assert!(matches!(pairwise_test(other, &two), Err(Error::PairwiseTest { .. })));
    }
}
