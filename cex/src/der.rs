//! Tells the three encodings of a private key apart by their first fields.
//!
//! Only as much DER as that needs; the key itself is parsed by aws-lc. Every read is bounded.
//!
//! | encoding | begins with |
//! | --- | --- |
//! | PKCS#8 (RFC 5958) | SEQUENCE { INTEGER, SEQUENCE { OID .. }, OCTET STRING .. } |
//! | PKCS#1 (RFC 8017) | SEQUENCE { INTEGER, INTEGER .. } |
//! | SEC 1 (RFC 5915) | SEQUENCE { INTEGER, OCTET STRING, [0] { OID } .. } |

use crate::Error;
use crate::key::Curve;

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const CONTEXT_0: u8 = 0xa0;

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const SECP256R1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const SECP384R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const SECP521R1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

/// What the encoding says about the key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Encoding<'a> {
    /// An `RSAPrivateKey`, taken out of its PKCS#8 wrapping if there was one.
    Rsa { pkcs1: &'a [u8] },
    /// An EC key in PKCS#8 or SEC 1; aws-lc reads both.
    Ec { curve: Curve },
}

/// Recognises the encoding.
pub(crate) fn recognise(der: &[u8]) -> Result<Encoding<'_>, Error> {
    let unknown = || Error::KeyEncoding;
    let mut outer = Reader(der);
    let mut body = Reader(outer.read(SEQUENCE).ok_or_else(unknown)?);
    if !outer.0.is_empty() {
        return Err(unknown());
    }
    body.read(INTEGER).ok_or_else(unknown)?;
    match body.peek() {
        Some(INTEGER) => Ok(Encoding::Rsa { pkcs1: der }),
        Some(SEQUENCE) => {
            let mut algorithm = Reader(body.read(SEQUENCE).ok_or_else(unknown)?);
            let oid = algorithm.read(OID).ok_or_else(unknown)?;
            let key = body.read(OCTET_STRING).ok_or_else(unknown)?;
            if oid == RSA_ENCRYPTION {
                Ok(Encoding::Rsa { pkcs1: key })
            } else if oid == EC_PUBLIC_KEY {
                let curve = algorithm.read(OID).ok_or(Error::KeyCurve)?;
                curve_of(curve).map(|curve| Encoding::Ec { curve })
            } else {
                Err(Error::KeyAlgorithm)
            }
        }
        Some(OCTET_STRING) => {
            body.read(OCTET_STRING).ok_or_else(unknown)?;
            let mut parameters = Reader(body.read(CONTEXT_0).ok_or(Error::KeyCurve)?);
            let curve = parameters.read(OID).ok_or(Error::KeyCurve)?;
            curve_of(curve).map(|curve| Encoding::Ec { curve })
        }
        _ => Err(unknown()),
    }
}

fn curve_of(oid: &[u8]) -> Result<Curve, Error> {
    match oid {
        SECP256R1 => Ok(Curve::P256),
        SECP384R1 => Ok(Curve::P384),
        SECP521R1 => Ok(Curve::P521),
        _ => Err(Error::KeyCurve),
    }
}

/// The numbers of a PKCS#1 `RSAPrivateKey`, big-endian, with a leading zero where DER has one.
#[derive(Clone, Copy)]
pub(crate) struct RsaParts<'a> {
    pub(crate) n: &'a [u8],
    pub(crate) e: &'a [u8],
    pub(crate) p: &'a [u8],
    pub(crate) q: &'a [u8],
    pub(crate) dp: &'a [u8],
    pub(crate) dq: &'a [u8],
    /// `1/q mod p`.
    pub(crate) q_inverse: &'a [u8],
}

/// Takes a PKCS#1 key apart. `None` if it is not one with two primes.
pub(crate) fn rsa_parts(pkcs1: &[u8]) -> Option<RsaParts<'_>> {
    let mut body = Reader(Reader(pkcs1).read(SEQUENCE)?);
    let version = body.read(INTEGER)?;
    let (n, e, _d) = (body.read(INTEGER)?, body.read(INTEGER)?, body.read(INTEGER)?);
    let (p, q) = (body.read(INTEGER)?, body.read(INTEGER)?);
    let (dp, dq, q_inverse) = (body.read(INTEGER)?, body.read(INTEGER)?, body.read(INTEGER)?);
    (version == [0]).then_some(RsaParts { n, e, p, q, dp, dq, q_inverse })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The contents of the next element if it has this tag.
    fn read(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (len, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |len, d| len << 8 | usize::from(*d)), rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(len)?;
        if found != tag {
            return None;
        }
        self.0 = rest;
        Some(contents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_encodings_are_told_apart() {
        let pkcs1 = [0x30, 6, 2, 1, 0, 2, 1, 5];
        assert_eq!(recognise(&pkcs1).unwrap(), Encoding::Rsa { pkcs1: &pkcs1 });
        let mut pkcs8 = vec![0x30, 19, 2, 1, 0, 0x30, 11, 6, 9];
        pkcs8.extend_from_slice(RSA_ENCRYPTION);
        pkcs8.extend_from_slice(&[4, 1, 7]);
        assert_eq!(recognise(&pkcs8).unwrap(), Encoding::Rsa { pkcs1: &[7] });
        let mut sec1 = vec![0x30, 15, 2, 1, 1, 4, 1, 9, 0xa0, 7, 6, 5];
        sec1.extend_from_slice(SECP384R1);
        sec1[1] = u8::try_from(sec1.len() - 2).unwrap();
        assert_eq!(recognise(&sec1).unwrap(), Encoding::Ec { curve: Curve::P384 });
    }

    #[test]
    fn anything_else_is_an_error_and_never_a_panic() {
        assert!(matches!(recognise(&[]), Err(Error::KeyEncoding)));
        assert!(matches!(recognise(b"-----BEGIN"), Err(Error::KeyEncoding)));
        // Ed25519 in PKCS#8.
        let ed = [0x30, 13, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 1, 0];
        assert!(matches!(recognise(&ed), Err(Error::KeyAlgorithm)));
        // SEC 1 without a curve.
        assert!(matches!(recognise(&[0x30, 6, 2, 1, 1, 4, 1, 9]), Err(Error::KeyCurve)));
        for cut in 0..ed.len() {
            assert!(recognise(&ed[..cut]).is_err());
        }
        for first in [0x80, 0x84, 0x85, 0xff] {
            assert!(recognise(&[0x30, first, 0xff, 0xff, 0xff, 0xff]).is_err());
        }
    }
}
