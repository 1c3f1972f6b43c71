//! The padding that a coprocessor makes inside: EMSA-PKCS1-v1_5 and EMSA-PSS.
//!
//! Only for requests in digest form that are executed in a batch: aws-lc pads by itself, the
//! vector kernels take blocks. The salt is as long as the digest; a block is as long as the
//! modulus, whose length is a multiple of eight bits.
//!
//! Source: RFC 8017 sections 9.1.1, 9.2 and B.2.1.

use aws_lc_rs::{digest, rand};

use crate::request::{Digest, Hash, Scheme};

/// DER of `DigestInfo` up to the digest (RFC 8017 section 9.2, note 1).
fn digest_info(hash: Hash) -> [u8; 19] {
    let (arc, len) = match hash {
        Hash::Sha256 => (1, 0x20),
        Hash::Sha384 => (2, 0x30),
        Hash::Sha512 => (3, 0x40),
    };
    let mut info = *b"\x30\x11\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\0\x05\0\x04\0";
    (info[1], info[14], info[18]) = (0x11 + len, arc, len);
    info
}

/// The block of `modulus_len` bytes to be exponentiated. `None` if the scheme is none of RSA, the
/// digest not of its hash, or no random salt to be had.
pub(crate) fn pad(scheme: Scheme, digest: &Digest, modulus_len: usize) -> Option<Vec<u8>> {
    let (hash, digest) = (scheme.hash(), digest.as_ref());
    if digest.len() != hash.len() || modulus_len < 2 * hash.len() + 62 {
        return None;
    }
    match scheme {
        Scheme::RsaPkcs1(_) => Some(pkcs1(hash, digest, modulus_len)),
        Scheme::RsaPss(_) => {
            let mut salt = [0; 64];
            let salt = salt.get_mut(..hash.len())?;
            rand::fill(salt).ok()?;
            Some(pss(hash, digest, salt, modulus_len))
        }
        Scheme::Ecdsa(_) => None,
    }
}

fn pkcs1(hash: Hash, digest: &[u8], modulus_len: usize) -> Vec<u8> {
    let info = digest_info(hash);
    let padding = modulus_len - 3 - info.len() - digest.len();
    let mut block = vec![0, 1];
    block.resize(2 + padding, 0xff);
    block.push(0);
    block.extend_from_slice(&info);
    block.extend_from_slice(digest);
    block
}

fn pss(hash: Hash, digest: &[u8], salt: &[u8], modulus_len: usize) -> Vec<u8> {
    let mut context = digest::Context::new(hash.algorithm());
    for part in [&[0; 8], digest, salt] {
        context.update(part);
    }
    let seal = context.finish();
    let mask_len = modulus_len - hash.len() - 1;
    let mut block = vec![0; mask_len - salt.len() - 1];
    block.push(1);
    block.extend_from_slice(salt);
    for (counter, chunk) in (0u32..).zip(block.chunks_mut(hash.len())) {
        let mut mask = digest::Context::new(hash.algorithm());
        mask.update(seal.as_ref());
        mask.update(&counter.to_be_bytes());
        for (byte, mask) in chunk.iter_mut().zip(mask.finish().as_ref()) {
            *byte ^= mask;
        }
    }
    // The encoded message has one bit less than the modulus.
    block[0] &= 0x7f;
    block.extend_from_slice(seal.as_ref());
    block.push(0xbc);
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::raw_rsa;
    use crate::tests_support::{digest_of, load, rsa_2048};
    use crate::{Cex, Config};

    #[test]
    fn padded_blocks_are_signatures_once_exponentiated() {
        let cex = Cex::start(&Config::default()).unwrap();
        let key = load(&cex, rsa_2048().pkcs8());
        let raw = raw_rsa::PrivateKey::from_pkcs1(rsa_2048().pkcs1()).unwrap();
        for hash in Hash::ALL {
            for scheme in [Scheme::RsaPkcs1(hash), Scheme::RsaPss(hash)] {
                let digest = digest_of(hash);
                let block = pad(scheme, &digest, 256).unwrap();
                assert_eq!(block.len(), 256);
                let signature = raw.exponentiate(&block).unwrap();
                assert!(key.verifies(scheme, &digest, &signature), "{scheme:?}");
                if let Scheme::RsaPkcs1(_) = scheme {
                    assert_eq!(Some(block), key.block_of(scheme, &digest));
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_not_padded() {
        let digest = digest_of(Hash::Sha256);
        assert_eq!(pad(Scheme::Ecdsa(Hash::Sha256), &digest, 256), None);
        assert_eq!(pad(Scheme::RsaPss(Hash::Sha384), &digest, 256), None);
        assert_eq!(pad(Scheme::RsaPkcs1(Hash::Sha256), &digest, 80), None);
    }
}
