//! Which unit of this machine does the work of a function.
//!
//! The answer is for people: it stands in the function table of `adjunct crypto` and in reports. It
//! is derived from the processor features that the standard library detects and from what the
//! library below provider `host` is known to choose; nothing is dispatched by it. The library can
//! be told by the environment variable `OPENSSL_ia32cap` to ignore features. What it then uses
//! cannot be seen from here, so the answer is [`HostUnit::Masked`], unless the mask is the known
//! one of provider `portable`.

use core::fmt;

use crate::Function;
use crate::choice::{Provider, VARIABLE};

/// A unit of the host's processor, or the lack of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostUnit {
    /// Vector AES and carry-less multiplication on 512-bit registers.
    Vaes,
    /// AES and carry-less multiplication instructions.
    AesPclmul,
    /// AES instructions.
    Aes,
    /// SHA-256 instructions.
    Sha256,
    /// SHA-512 instructions.
    Sha512,
    /// Multiplication with two carry chains (MULX, ADCX, ADOX).
    Adx,
    /// Vector integer code on 256-bit registers.
    Avx2,
    /// Vector integer code of the architecture's base level, or assembly without special units.
    Vector,
    /// Portable code of the library.
    Portable,
    /// Not known: `OPENSSL_ia32cap` masks features.
    Masked,
}

impl HostUnit {
    /// The name, as the function table shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vaes => "VAES+VPCLMULQDQ",
            Self::AesPclmul if cfg!(target_arch = "aarch64") => "AES+PMULL",
            Self::AesPclmul => "AES-NI+PCLMULQDQ",
            Self::Aes if cfg!(target_arch = "aarch64") => "AES",
            Self::Aes => "AES-NI",
            Self::Sha256 if cfg!(target_arch = "aarch64") => "SHA2",
            Self::Sha256 => "SHA-NI",
            Self::Sha512 => "SHA512",
            Self::Adx => "ADX integer code",
            Self::Avx2 => "AVX2 integer code",
            Self::Vector => "vector integer code",
            Self::Portable => "portable",
            Self::Masked => "masked by OPENSSL_ia32cap",
        }
    }
}

impl fmt::Display for HostUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What kind of arithmetic a function is made of.
#[derive(Clone, Copy)]
enum Work {
    Gcm,
    Ctr,
    Sha256,
    Sha512,
    ChaCha,
    Field,
    Lattice,
}

const fn work(function: Function) -> Work {
    use Function as F;
    match function {
        F::KmaGcmAes128 | F::KmaGcmAes256 => Work::Gcm,
        // Provider `host` has a CTR_DRBG under this name.
        F::PrnoSha512Drng => Work::Ctr,
        F::KimdSha256 | F::KlmdSha256 | F::KmacHmacSha256 | F::HkdfSha256 | F::Tls12PrfSha256 => {
            Work::Sha256
        }
        F::KimdSha384
        | F::KimdSha512
        | F::KlmdSha384
        | F::KlmdSha512
        | F::KmacHmacSha384
        | F::KmacHmacSha512
        | F::HkdfSha384
        | F::HkdfSha512
        | F::Tls12PrfSha384
        | F::Tls12PrfSha512 => Work::Sha512,
        F::ChaCha20Poly1305 => Work::ChaCha,
        F::MlKem768 => Work::Lattice,
        F::PccScalarMultiplyP256
        | F::PccScalarMultiplyP384
        | F::PccScalarMultiplyP521
        | F::PccScalarMultiplyX25519
        | F::KdsaEcdsaVerifyP256
        | F::KdsaEcdsaVerifyP384
        | F::KdsaEcdsaVerifyP521
        | F::KdsaEddsaVerifyEd25519
        | F::KdsaEcdsaSignP256
        | F::KdsaEcdsaSignP384
        | F::KdsaEcdsaSignP521
        | F::RsaPkcs1Verify
        | F::RsaPssVerify => Work::Field,
    }
}

/// The unit of this machine that does the work of `function` under provider `host`.
#[must_use]
pub fn host_unit(function: Function) -> HostUnit {
    let work = work(function);
    if Provider::in_force() == Provider::Portable {
        return match work {
            Work::Gcm | Work::Ctr | Work::Sha256 => HostUnit::Vector,
            _ => detect(work),
        };
    }
    if cfg!(any(target_arch = "x86_64", target_arch = "x86"))
        && std::env::var_os(VARIABLE).is_some()
    {
        return HostUnit::Masked;
    }
    detect(work)
}

#[cfg(target_arch = "x86_64")]
fn detect(work: Work) -> HostUnit {
    use std::arch::is_x86_feature_detected as has;
    let avx512 = has!("avx512f") && has!("avx512bw") && has!("avx512vl");
    match work {
        Work::Gcm if avx512 && has!("vaes") && has!("vpclmulqdq") => HostUnit::Vaes,
        Work::Gcm if has!("aes") && has!("pclmulqdq") => HostUnit::AesPclmul,
        Work::Ctr if has!("aes") => HostUnit::Aes,
        Work::Sha256 if has!("sha") => HostUnit::Sha256,
        Work::Field if has!("adx") && has!("bmi2") => HostUnit::Adx,
        Work::ChaCha | Work::Lattice if has!("avx2") => HostUnit::Avx2,
        Work::Lattice => HostUnit::Portable,
        _ => HostUnit::Vector,
    }
}

#[cfg(target_arch = "aarch64")]
fn detect(work: Work) -> HostUnit {
    use std::arch::is_aarch64_feature_detected as has;
    match work {
        Work::Gcm if has!("aes") && has!("pmull") => HostUnit::AesPclmul,
        Work::Ctr if has!("aes") => HostUnit::Aes,
        Work::Sha256 if has!("sha2") => HostUnit::Sha256,
        Work::Sha512 if has!("sha3") => HostUnit::Sha512,
        _ => HostUnit::Vector,
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect(_: Work) -> HostUnit {
    HostUnit::Portable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_one_kind_share_a_unit() {
        let unit = host_unit(Function::KmaGcmAes128);
        assert_eq!(host_unit(Function::KmaGcmAes256), unit);
        assert_eq!(host_unit(Function::KlmdSha256), host_unit(Function::KimdSha256));
        assert_eq!(host_unit(Function::RsaPssVerify), host_unit(Function::KdsaEcdsaSignP384));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_machine_with_aes_instructions_is_seen() {
        if std::env::var_os("OPENSSL_ia32cap").is_none() && is_x86_feature_detected!("aes") {
            let unit = host_unit(Function::KmaGcmAes256);
            assert!(matches!(unit, HostUnit::Vaes | HostUnit::AesPclmul), "{unit}");
        }
    }
}
