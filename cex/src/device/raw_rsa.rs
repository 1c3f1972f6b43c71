//! Raw RSA, without padding, over aws-lc-sys (aws-lc-fips-sys with the feature `fips`, so that
//! there is one library): what the accelerator form needs and aws-lc-rs does not offer, and
//! blinding factors for engines that do not leave the operation to the library. With the vector
//! kernels (`batch::ifma`) the only file of this crate with `unsafe`.
//!
//! Invariants:
//! * A pointer held here is never null and is freed once, on drop.
//! * After construction only functions that do not change the key are called, so a key may be
//!   used by several threads at once (aws-lc guards its blinding and Montgomery caches itself).
//! * Private operations are blinded (aws-lc's default; the flag that turns it off is not used).
//! * No secret is copied out; aws-lc overwrites the key's memory when it frees it.
//!
//! Deliberately absent: padding, sizes, policy. They are the caller's.
#![allow(unsafe_code, reason = "aws-lc-rs has no raw RSA private operation")]

use std::fmt;
use std::ptr::NonNull;

#[cfg(feature = "fips")]
use aws_lc_fips_sys as sys;
#[cfg(not(feature = "fips"))]
use aws_lc_sys as sys;
use zeroize::Zeroizing;

/// The operation or the key was refused by the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// An owned `RSA` object.
struct Rsa(NonNull<sys::RSA>);

// SAFETY: an `RSA` object has no tie to a thread; it may be freed by another thread than the one
// that made it.
unsafe impl Send for Rsa {}
// SAFETY: see the second invariant of the module.
unsafe impl Sync for Rsa {}

impl Drop for Rsa {
    fn drop(&mut self) {
        // SAFETY: the pointer came from a constructor of the library and we own one reference.
        unsafe { sys::RSA_free(self.0.as_ptr()) }
    }
}

impl Rsa {
    fn own(pointer: *mut sys::RSA) -> Result<Self, Refused> {
        NonNull::new(pointer).map(Rsa).ok_or_else(refused)
    }

    /// Length of the modulus in bytes.
    fn size(&self) -> usize {
        // SAFETY: the pointer is valid for the life of `self`.
        let size = unsafe { sys::RSA_size(self.0.as_ptr()) };
        usize::try_from(size).unwrap_or(0)
    }
}

type Raw = unsafe extern "C" fn(
    *mut sys::RSA,
    *mut usize,
    *mut u8,
    usize,
    *const u8,
    usize,
    std::os::raw::c_int,
) -> std::os::raw::c_int;

fn transform(rsa: &Rsa, function: Raw, input: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut out = vec![0; rsa.size()];
    let mut written = 0;
    // SAFETY: `function` is RSA_sign_raw or RSA_verify_raw, which write at most `out.len()` bytes
    // to `out` and one length to `written`, read `input.len()` bytes, and do not change the key.
    let done = unsafe {
        function(
            rsa.0.as_ptr(),
            &mut written,
            out.as_mut_ptr(),
            out.len(),
            input.as_ptr(),
            input.len(),
            sys::RSA_NO_PADDING,
        )
    };
    if done == 1 && written == out.len() { Ok(out) } else { Err(refused()) }
}

/// Empties the thread's error queue, so that no error of ours is taken for somebody else's.
fn refused() -> Refused {
    // SAFETY: no arguments, thread-local effect.
    unsafe { sys::ERR_clear_error() };
    Refused
}

/// A private key that takes a block of the length of its modulus.
pub(crate) struct PrivateKey(Rsa);

impl PrivateKey {
    /// Parses a PKCS#1 `RSAPrivateKey`. The library checks that its parts agree.
    pub(crate) fn from_pkcs1(der: &[u8]) -> Result<Self, Refused> {
        // SAFETY: the function reads `der.len()` bytes and keeps no pointer to them.
        Rsa::own(unsafe { sys::RSA_private_key_from_bytes(der.as_ptr(), der.len()) }).map(Self)
    }

    /// `block ^ d mod n`, by the Chinese remainder theorem.
    pub(crate) fn exponentiate(&self, block: &[u8]) -> Result<Vec<u8>, Refused> {
        transform(&self.0, sys::RSA_sign_raw, block)
    }
}

/// A big number of the library, overwritten when it is freed.
struct Big(NonNull<sys::BIGNUM>);

impl Drop for Big {
    fn drop(&mut self) {
        // SAFETY: the pointer came from a constructor of the library and is ours alone.
        unsafe { sys::BN_clear_free(self.0.as_ptr()) }
    }
}

impl Big {
    fn from_bytes(bytes: &[u8]) -> Result<Self, Refused> {
        // SAFETY: the function reads `bytes.len()` bytes; null asks for a new number.
        let number = unsafe { sys::BN_bin2bn(bytes.as_ptr(), bytes.len(), std::ptr::null_mut()) };
        NonNull::new(number).map(Self).ok_or_else(refused)
    }

    fn to_bytes(&self, len: usize) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let mut bytes = Zeroizing::new(vec![0; len]);
        // SAFETY: the function writes exactly `len` bytes or fails.
        let done = unsafe { sys::BN_bn2bin_padded(bytes.as_mut_ptr(), len, self.0.as_ptr()) };
        if done == 1 { Ok(bytes) } else { Err(refused()) }
    }
}

/// What the library needs for arithmetic modulo a public number.
struct Ring {
    scratch: NonNull<sys::BN_CTX>,
    modulus: NonNull<sys::BN_MONT_CTX>,
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: both pointers came from constructors of the library and are ours alone.
        unsafe {
            sys::BN_MONT_CTX_free(self.modulus.as_ptr());
            sys::BN_CTX_free(self.scratch.as_ptr());
        }
    }
}

impl Ring {
    fn new(n: &Big) -> Result<Self, Refused> {
        // SAFETY: no arguments.
        let scratch = NonNull::new(unsafe { sys::BN_CTX_new() }).ok_or_else(refused)?;
        // SAFETY: both pointers are valid; the number is copied.
        let modulus = unsafe { sys::BN_MONT_CTX_new_for_modulus(n.0.as_ptr(), scratch.as_ptr()) };
        match NonNull::new(modulus) {
            Some(modulus) => Ok(Self { scratch, modulus }),
            None => {
                // SAFETY: the context is ours and nothing refers to it.
                unsafe { sys::BN_CTX_free(scratch.as_ptr()) };
                Err(refused())
            }
        }
    }

    /// `1/x`. The library multiplies by a random number first: its algorithm is not constant-time.
    fn invert(&self, x: &Big) -> Result<Big, Refused> {
        let inverse = Big::from_bytes(&[])?;
        let mut none = 0;
        // SAFETY: all pointers are valid and distinct; the function writes to `inverse`, `none`
        // and the scratch context, which no other thread has.
        let done = unsafe {
            sys::BN_mod_inverse_blinded(
                inverse.0.as_ptr(),
                &mut none,
                x.0.as_ptr(),
                self.modulus.as_ptr(),
                self.scratch.as_ptr(),
            )
        };
        if done == 1 { Ok(inverse) } else { Err(refused()) }
    }
}

/// A random `r` below the modulus as `r^e` and `1/r`.
pub(crate) struct Blinding {
    pub(crate) factor: Zeroizing<Vec<u8>>,
    pub(crate) undo: Zeroizing<Vec<u8>>,
}

impl PrivateKey {
    /// Draws what hides the operand of a private operation: multiply by the factor before it, by
    /// the other after it. For engines that compute themselves; [`Self::exponentiate`] does it
    /// inside.
    pub(crate) fn blinding(&self) -> Result<Blinding, Refused> {
        let size = self.0.size();
        // SAFETY: the pointer is valid for the life of `self`; the number stays the key's.
        let n = unsafe { sys::RSA_get0_n(self.0.0.as_ptr()) };
        let n = NonNull::new(n.cast_mut()).ok_or_else(refused)?;
        let mut bytes = vec![0; size];
        // SAFETY: the function writes exactly `size` bytes or fails; the number is valid.
        let done = unsafe { sys::BN_bn2bin_padded(bytes.as_mut_ptr(), size, n.as_ptr()) };
        if done != 1 {
            return Err(refused());
        }
        let ring = Ring::new(&Big::from_bytes(&bytes)?)?;
        let mut r = Zeroizing::new(vec![0; size]);
        aws_lc_rs::rand::fill(&mut r).map_err(|_| Refused)?;
        // Below the modulus, whose first byte is not 0: without the highest bit of that byte.
        let top = 0x80u8 >> bytes.first().map_or(0, |byte| byte.leading_zeros());
        if let Some(first) = r.first_mut() {
            *first &= top.wrapping_sub(1);
        }
        let factor = Zeroizing::new(transform(&self.0, sys::RSA_verify_raw, &r)?);
        let undo = ring.invert(&Big::from_bytes(&r)?)?.to_bytes(size)?;
        Ok(Blinding { factor, undo })
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("raw_rsa::PrivateKey(..)")
    }
}

/// A public key, to check what a private one has done.
pub(crate) struct PublicKey(Rsa);

impl PublicKey {
    /// Parses a PKCS#1 `RSAPublicKey`.
    pub(crate) fn from_pkcs1(der: &[u8]) -> Result<Self, Refused> {
        // SAFETY: the function reads `der.len()` bytes and keeps no pointer to them.
        Rsa::own(unsafe { sys::RSA_public_key_from_bytes(der.as_ptr(), der.len()) }).map(Self)
    }

    /// Length of the modulus in bytes.
    pub(crate) fn modulus_len(&self) -> usize {
        self.0.size()
    }

    /// Length of the modulus in bits.
    pub(crate) fn modulus_bits(&self) -> u32 {
        // SAFETY: the pointer is valid for the life of `self`.
        unsafe { sys::RSA_bits(self.0.0.as_ptr()) }
    }

    /// `signature ^ e mod n`.
    pub(crate) fn exponentiate(&self, signature: &[u8]) -> Result<Vec<u8>, Refused> {
        transform(&self.0, sys::RSA_verify_raw, signature)
    }

    /// Whether `signature ^ e mod n` is `block`. Both are public: no need for constant time.
    pub(crate) fn undoes(&self, signature: &[u8], block: &[u8]) -> bool {
        self.exponentiate(signature).is_ok_and(|found| found == block)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "raw_rsa::PublicKey({} bits)", self.modulus_bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::rsa_2048;

    #[test]
    fn a_block_goes_through_both_keys_and_back() {
        let key = rsa_2048();
        let private = PrivateKey::from_pkcs1(key.pkcs1()).unwrap();
        let public = PublicKey::from_pkcs1(key.public_pkcs1()).unwrap();
        assert_eq!((public.modulus_bits(), public.modulus_len()), (2048, 256));
        let mut block = vec![0x5a; 256];
        block[0] = 0;
        let signature = private.exponentiate(&block).unwrap();
        assert!(public.undoes(&signature, &block));
        block[255] ^= 1;
        assert!(!public.undoes(&signature, &block));
    }

    #[test]
    fn one_key_serves_several_threads_at_once() {
        let key = rsa_2048();
        let private = PrivateKey::from_pkcs1(key.pkcs1()).unwrap();
        let public = PublicKey::from_pkcs1(key.public_pkcs1()).unwrap();
        let (private, public) = (&private, &public);
        std::thread::scope(|scope| {
            for n in 1..=4 {
                scope.spawn(move || {
                    // More often than a blinding factor is used before it is made anew.
                    for round in 0..40 {
                        let mut block = vec![n; 256];
                        (block[0], block[255]) = (0, round);
                        let signature = private.exponentiate(&block).unwrap();
                        assert!(public.undoes(&signature, &block));
                    }
                });
            }
        });
    }

    #[test]
    fn wrong_lengths_and_values_are_refused() {
        let key = rsa_2048();
        let private = PrivateKey::from_pkcs1(key.pkcs1()).unwrap();
        let public = PublicKey::from_pkcs1(key.public_pkcs1()).unwrap();
        assert_eq!(private.exponentiate(&[0; 255]), Err(Refused));
        assert_eq!(private.exponentiate(&[]), Err(Refused));
        // Not less than the modulus.
        assert_eq!(private.exponentiate(&[0xff; 256]), Err(Refused));
        assert!(!public.undoes(&[0; 3], &[0; 256]));
        assert!(PrivateKey::from_pkcs1(&[]).is_err());
        assert!(PublicKey::from_pkcs1(&key.public_pkcs1()[..20]).is_err());
    }
}
