//! One test per function. They call what the product calls.

use std::borrow::Cow;

use super::vectors as v;
use super::{Failure, mlkem};
use crate::agreement::{Ephemeral, Group, respond};
use crate::digest::{self, Algorithm as Hash};
use crate::kdsa::{Curve, ProtectedKey};
use crate::verify::Algorithm as Signature;
use crate::{Error, Function, aead, hmac, kdf, prno, verify};

type Outcome = Result<(), Failure>;

const GCM: &str = "GCM specification (SP 800-38D), test cases 4 and 16";
const FIPS_180: &str = "FIPS 180 examples";
const RFC_4231: &str = "RFC 4231, test cases 2 and 6";
const CAVP_PRF: &str = "NIST CAVP, TLS 1.2 key derivation";
const CAVP_CDH: &str = "NIST CAVP, ECC CDH primitive";
const RFC_6979: &str = "RFC 6979, appendix A.2";
const PAIRWISE: &str = "pairwise consistency under the key of RFC 6979, appendix A.2";
const WYCHEPROOF: &str = "C2SP Wycheproof";

/// Where the vectors come from, and the test.
pub(super) fn of(function: Function) -> (&'static str, fn() -> Outcome) {
    use Function as F;
    match function {
        F::KmaGcmAes128 => (GCM, gcm_128),
        F::KmaGcmAes256 => (GCM, gcm_256),
        F::KimdSha256 => (FIPS_180, || kimd(Hash::Sha256, &v::SHA256_LONG)),
        F::KimdSha384 => (FIPS_180, || kimd(Hash::Sha384, &v::SHA384_LONG)),
        F::KimdSha512 => (FIPS_180, || kimd(Hash::Sha512, &v::SHA512_LONG)),
        F::KlmdSha256 => (FIPS_180, || klmd(Hash::Sha256, &v::SHA256_SHORT, &v::SHA256_LONG)),
        F::KlmdSha384 => (FIPS_180, || klmd(Hash::Sha384, &v::SHA384_SHORT, &v::SHA384_LONG)),
        F::KlmdSha512 => (FIPS_180, || klmd(Hash::Sha512, &v::SHA512_SHORT, &v::SHA512_LONG)),
        F::KmacHmacSha256 => (RFC_4231, || kmac(Hash::Sha256, &v::HMAC256_SHORT, &v::HMAC256_LONG)),
        F::KmacHmacSha384 => (RFC_4231, || kmac(Hash::Sha384, &v::HMAC384_SHORT, &v::HMAC384_LONG)),
        F::KmacHmacSha512 => (RFC_4231, || kmac(Hash::Sha512, &v::HMAC512_SHORT, &v::HMAC512_LONG)),
        F::PrnoSha512Drng => ("health test: repetition and balance", random),
        F::PccScalarMultiplyP256 => (CAVP_CDH, pcc_p256),
        F::PccScalarMultiplyP384 => (CAVP_CDH, pcc_p384),
        F::PccScalarMultiplyP521 => (CAVP_CDH, pcc_p521),
        F::PccScalarMultiplyX25519 => ("RFC 7748, section 5.2", pcc_x25519),
        F::KdsaEcdsaVerifyP256 => (RFC_6979, kdsa_p256),
        F::KdsaEcdsaVerifyP384 => (RFC_6979, kdsa_p384),
        F::KdsaEcdsaVerifyP521 => (RFC_6979, kdsa_p521),
        F::KdsaEddsaVerifyEd25519 => ("RFC 8032, section 7.1, test 2", kdsa_ed25519),
        F::KdsaEcdsaSignP256 => (PAIRWISE, sign_p256),
        F::KdsaEcdsaSignP384 => (PAIRWISE, sign_p384),
        F::KdsaEcdsaSignP521 => (PAIRWISE, sign_p521),
        F::HkdfSha256 => ("RFC 5869, appendix A.1", hkdf_256),
        F::HkdfSha384 => (WYCHEPROOF, hkdf_384),
        F::HkdfSha512 => (WYCHEPROOF, hkdf_512),
        F::Tls12PrfSha256 => (CAVP_PRF, prf_256),
        F::Tls12PrfSha384 => (CAVP_PRF, prf_384),
        F::Tls12PrfSha512 => (CAVP_PRF, prf_512),
        F::ChaCha20Poly1305 => ("RFC 8439, section 2.8.2", chacha),
        F::MlKem768 => ("C2SP Wycheproof (decapsulation), pairwise consistency", ml_kem),
        F::RsaPkcs1Verify => (WYCHEPROOF, rsa_pkcs1),
        F::RsaPssVerify => (WYCHEPROOF, rsa_pss),
    }
}

fn expect(actual: &[u8], published: &[u8]) -> Outcome {
    if *actual == *vector(published) { Ok(()) } else { Err(Failure::WrongResult) }
}

/// The published bytes, with one flipped if a test has asked for it.
fn vector(published: &[u8]) -> Cow<'_, [u8]> {
    #[cfg(any(test, feature = "fault-injection"))]
    if crate::fault::vector_is_flipped() {
        let mut bytes = published.to_vec();
        if let Some(last) = bytes.last_mut() {
            *last ^= 0x01;
        }
        return Cow::Owned(bytes);
    }
    Cow::Borrowed(published)
}

struct Aead {
    algorithm: aead::Algorithm,
    key: &'static [u8],
    nonce: &'static [u8; 12],
    aad: &'static [u8],
    plaintext: &'static [u8],
    /// Ciphertext and tag.
    sealed: &'static [u8],
}

/// Seals and opens; a changed tag must not open.
fn aead(t: &Aead) -> Outcome {
    let sealer = aead::Sealer::new(t.algorithm, t.key)?;
    let mut record = t.plaintext.to_vec();
    let tag = sealer.try_seal(t.nonce, t.aad, &mut record).map_err(|failure| match failure {
        aead::SealFailure::Untouched(error) | aead::SealFailure::Destroyed(error) => error,
    })?;
    record.extend_from_slice(&tag);
    expect(&record, t.sealed)?;

    let opener = aead::Opener::new(t.algorithm, t.key)?;
    expect(opener.open(t.nonce, t.aad, &mut record)?, t.plaintext)?;
    let mut forged = t.sealed.to_vec();
    if let Some(last) = forged.last_mut() {
        *last ^= 0x80;
    }
    match opener.open(t.nonce, t.aad, &mut forged) {
        Err(Error::Authentication { .. }) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(Failure::WrongResult),
    }
}

fn gcm(algorithm: aead::Algorithm, sealed: &'static [u8]) -> Outcome {
    aead(&Aead {
        algorithm,
        key: &v::GCM_KEY[..algorithm.key_len()],
        nonce: &v::GCM_NONCE,
        aad: &v::GCM_AAD,
        plaintext: &v::GCM_PLAINTEXT,
        sealed,
    })
}

fn gcm_128() -> Outcome {
    gcm(aead::Algorithm::Aes128Gcm, &v::GCM_128_SEALED)
}

fn gcm_256() -> Outcome {
    gcm(aead::Algorithm::Aes256Gcm, &v::GCM_256_SEALED)
}

fn chacha() -> Outcome {
    aead(&Aead {
        algorithm: aead::Algorithm::ChaCha20Poly1305,
        key: &v::CHACHA_KEY,
        nonce: &v::CHACHA_NONCE,
        aad: &v::CHACHA_AAD,
        plaintext: v::CHACHA_PLAINTEXT,
        sealed: &v::CHACHA_SEALED,
    })
}

/// Pieces that end inside and across blocks, and a clone taken between them.
fn kimd(hash: Hash, published: &[u8]) -> Outcome {
    let mut context = digest::Context::new(hash)?;
    let (front, back) = v::SHA_LONG.split_at(65);
    context.update(&front[..1]);
    context.update(&front[1..]);
    let mut fork = context.clone();
    context.update(back);
    expect(context.finish().as_ref(), published)?;
    fork.update(back);
    expect(fork.finish().as_ref(), published)
}

fn klmd(hash: Hash, short: &[u8], long: &[u8]) -> Outcome {
    expect(digest::digest(hash, v::SHA_SHORT)?.as_ref(), short)?;
    expect(digest::digest(hash, v::SHA_LONG)?.as_ref(), long)
}

fn kmac(hash: Hash, short: &[u8], long: &[u8]) -> Outcome {
    let tag = |key, text: &[u8]| -> Result<hmac::Tag, Error> {
        let mut context = hmac::Key::new(hash, key)?.try_begin()?;
        let (front, back) = text.split_at(text.len() / 2);
        context.update(front);
        context.update(back);
        Ok(context.finish())
    };
    // A message in one piece goes another way to the provider where that has one.
    let whole = |key, text: &[u8]| Ok::<_, Error>(hmac::Key::new(hash, key)?.sign(&[text]));
    expect(whole(v::HMAC_SHORT_KEY, v::HMAC_SHORT_TEXT)?.as_ref(), short)?;
    expect(whole(v::HMAC_LONG_KEY, v::HMAC_LONG_TEXT)?.as_ref(), long)?;
    expect(tag(v::HMAC_SHORT_KEY, v::HMAC_SHORT_TEXT)?.as_ref(), short)?;
    expect(tag(v::HMAC_LONG_KEY, v::HMAC_LONG_TEXT)?.as_ref(), long)?;
    // So does the first block of an expansion; its published answers are those of HKDF.
    let key = hmac::Key::new(hash, v::HMAC_SHORT_KEY)?;
    let block = key.sign(&[v::HMAC_SHORT_TEXT, &[1]]);
    key.first_block_with(&[v::HMAC_SHORT_TEXT], |first| expect(first, block.as_ref()))
}

/// The bounds are ten standard deviations away from the mean: no false alarm in practice.
fn random() -> Outcome {
    const BALANCED: core::ops::Range<u32> = 798..1251;
    let mut draws = [[0; 256]; 3];
    for draw in &mut draws[..2] {
        prno::fill(draw)?;
    }
    // What is drawn ahead is handed out in small pieces.
    draws[2].chunks_mut(32).try_for_each(prno::fill_public)?;
    for draw in &draws {
        let ones: u32 = draw.iter().map(|byte| byte.count_ones()).sum();
        if !BALANCED.contains(&ones) {
            return Err(Failure::WrongResult);
        }
    }
    let [a, b, c] = draws;
    if a == b || b == c || c == a { Err(Failure::WrongResult) } else { Ok(()) }
}

/// The published product, and that two fresh key pairs agree.
fn pcc(group: Group, private: &[u8], peer: &[u8], secret: &[u8]) -> Outcome {
    let known = Ephemeral::from_private_key(group, private)?;
    expect(known.agree(peer)?.as_ref(), secret)?;
    let client = Ephemeral::generate(group)?;
    let (share, servers) = respond(group, client.public())?;
    expect(client.agree(&share)?.as_ref(), servers.as_ref())
}

fn pcc_p256() -> Outcome {
    pcc(Group::P256, &v::ECDH256_PRIVATE, &v::ECDH256_PEER, &v::ECDH256_SECRET)
}

fn pcc_p384() -> Outcome {
    pcc(Group::P384, &v::ECDH384_PRIVATE, &v::ECDH384_PEER, &v::ECDH384_SECRET)
}

fn pcc_p521() -> Outcome {
    pcc(Group::P521, &v::ECDH521_PRIVATE, &v::ECDH521_PEER, &v::ECDH521_SECRET)
}

fn pcc_x25519() -> Outcome {
    pcc(Group::X25519, &v::X25519_PRIVATE, &v::X25519_PEER, &v::X25519_SECRET)
}

/// Runs inside the hybrid group, the only form in which the product uses ML-KEM.
fn ml_kem() -> Outcome {
    let group = Group::X25519MlKem768;
    let private = [&mlkem::DECAPSULATION_KEY[..], &v::X25519_PRIVATE].concat();
    let peer = [&mlkem::CIPHERTEXT[..], &v::X25519_PEER].concat();
    let secret = [&mlkem::SECRET[..], &v::X25519_SECRET].concat();
    pcc(group, &private, &peer, &secret)
}

/// Accepts the published signature and rejects it over another message.
fn verification(algorithm: Signature, key: &[u8], message: &[u8], signature: &[u8]) -> Outcome {
    verify::verify(algorithm, key, message, &vector(signature))?;
    let other = [message, b"!"].concat();
    match verify::verify(algorithm, key, &other, signature) {
        Err(Error::Authentication { .. }) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => Err(Failure::WrongResult),
    }
}

fn kdsa_p256() -> Outcome {
    let (key, signature) = (&v::ECDSA256_POINT, &v::ECDSA256_SIGNATURE);
    verification(Signature::EcdsaP256Sha256, key, v::ECDSA_MESSAGE, signature)
}

fn kdsa_p384() -> Outcome {
    let (key, signature) = (&v::ECDSA384_POINT, &v::ECDSA384_SIGNATURE);
    verification(Signature::EcdsaP384Sha384, key, v::ECDSA_MESSAGE, signature)
}

fn kdsa_p521() -> Outcome {
    let (key, signature) = (&v::ECDSA521_POINT, &v::ECDSA521_SIGNATURE);
    verification(Signature::EcdsaP521Sha512, key, v::ECDSA_MESSAGE, signature)
}

fn kdsa_ed25519() -> Outcome {
    let (key, signature) = (&v::ED25519_KEY, &v::ED25519_SIGNATURE);
    verification(Signature::Ed25519, key, v::ED25519_MESSAGE, signature)
}

fn rsa_pkcs1() -> Outcome {
    let (key, signature) = (&v::RSA_PKCS1_KEY, &v::RSA_PKCS1_SIGNATURE);
    verification(Signature::RsaPkcs1Sha256, key, v::RSA_MESSAGE, signature)
}

fn rsa_pss() -> Outcome {
    let (key, signature) = (&v::RSA_PSS_KEY, &v::RSA_PSS_SIGNATURE);
    verification(Signature::RsaPssSha256, key, v::RSA_MESSAGE, signature)
}

fn signing(curve: Curve, algorithm: Signature, scalar: &[u8], point: &[u8]) -> Outcome {
    let key = ProtectedKey::import(curve, scalar, point)?;
    let signature = key.sign(v::ECDSA_MESSAGE)?;
    verification(algorithm, point, v::ECDSA_MESSAGE, &signature)
}

fn sign_p256() -> Outcome {
    signing(Curve::P256, Signature::EcdsaP256Sha256, &v::ECDSA256_PRIVATE, &v::ECDSA256_POINT)
}

fn sign_p384() -> Outcome {
    signing(Curve::P384, Signature::EcdsaP384Sha384, &v::ECDSA384_PRIVATE, &v::ECDSA384_POINT)
}

fn sign_p521() -> Outcome {
    signing(Curve::P521, Signature::EcdsaP521Sha512, &v::ECDSA521_PRIVATE, &v::ECDSA521_POINT)
}

fn hkdf(hash: Hash, ikm: &[u8], salt: &[u8], info: &[u8], okm: &[u8]) -> Outcome {
    let mut out = vec![0; okm.len()];
    let (front, back) = info.split_at(info.len() / 2);
    kdf::hkdf_extract(hash, Some(salt), ikm)?.expand(&[front, back], &mut out)?;
    expect(&out, okm)
}

fn hkdf_256() -> Outcome {
    let (ikm, salt, info) = (&v::HKDF256_IKM, &v::HKDF256_SALT, &v::HKDF256_INFO);
    hkdf(Hash::Sha256, ikm, salt, info, &v::HKDF256_OKM)
}

fn hkdf_384() -> Outcome {
    let (ikm, salt, info) = (&v::HKDF384_IKM, &v::HKDF384_SALT, &v::HKDF384_INFO);
    hkdf(Hash::Sha384, ikm, salt, info, &v::HKDF384_OKM)
}

fn hkdf_512() -> Outcome {
    let (ikm, salt, info) = (&v::HKDF512_IKM, &v::HKDF512_SALT, &v::HKDF512_INFO);
    hkdf(Hash::Sha512, ikm, salt, info, &v::HKDF512_OKM)
}

fn prf(hash: Hash, secret: &[u8], seed: [&[u8]; 2], published: &[u8]) -> Outcome {
    let mut out = vec![0; published.len()];
    kdf::tls12_prf(hash, secret, b"master secret", &seed, &mut out)?;
    expect(&out, published)
}

fn prf_256() -> Outcome {
    prf(Hash::Sha256, &v::PRF256_SECRET, [&v::PRF256_SEED1, &v::PRF256_SEED2], &v::PRF256_OUT)
}

fn prf_384() -> Outcome {
    prf(Hash::Sha384, &v::PRF384_SECRET, [&v::PRF384_SEED1, &v::PRF384_SEED2], &v::PRF384_OUT)
}

fn prf_512() -> Outcome {
    prf(Hash::Sha512, &v::PRF512_SECRET, [&v::PRF512_SEED1, &v::PRF512_SEED2], &v::PRF512_OUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hybrid_with_p_256_has_its_halves_in_the_order_of_the_draft() {
        let private = [&mlkem::DECAPSULATION_KEY[..], &v::ECDH256_PRIVATE].concat();
        let peer = [&v::ECDH256_PEER[..], &mlkem::CIPHERTEXT].concat();
        let secret = [&v::ECDH256_SECRET[..], &mlkem::SECRET].concat();
        assert!(matches!(pcc(Group::P256MlKem768, &private, &peer, &secret), Ok(())));
        let swapped = [&mlkem::SECRET[..], &v::ECDH256_SECRET].concat();
        assert!(pcc(Group::P256MlKem768, &private, &peer, &swapped).is_err());
    }
}
