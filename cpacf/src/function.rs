//! The function table: every function of this crate under its hardware name.
//!
//! A CPACF function is an instruction plus a function code in general register 0, bits 57-63. Each
//! instruction has a query function (code 0) that stores a 128-bit mask with one bit per installed
//! function, bit 0 leftmost. [`query`] answers as the hardware would: it shows what the provider
//! installs, and a function that a self-test has blocked is still installed.
//!
//! CPACF has no ML-KEM, no ChaCha20-Poly1305, no RSA and no key derivation. Those functions have no
//! instruction and no code here; they are *software* and are counted so.
//!
//! SHA-384 is function code 3 (KIMD-SHA-512) with another initial hash value. It has rows of its
//! own because operators ask for it, and shares code and mask bit with SHA-512.
//!
//! Source: IBM z/Architecture Principles of Operation, chapter "Cryptographic Facilities"; the
//! codes are those of `arch/s390/include/asm/cpacf.h`.

use core::fmt;

/// An instruction of the message-security assist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Instruction {
    /// Cipher Message.
    Km,
    /// Cipher Message with Chaining.
    Kmc,
    /// Cipher Message with Counter.
    Kmctr,
    /// Compute Message Authentication Code.
    Kmac,
    /// Compute Intermediate Message Digest.
    Kimd,
    /// Compute Last Message Digest.
    Klmd,
    /// Cipher Message with Authentication.
    Kma,
    /// Perform Cryptographic Computation.
    Pcc,
    /// Compute Digital Signature Authentication.
    Kdsa,
    /// Perform Random Number Operation.
    Prno,
}

impl Instruction {
    /// Every instruction that [`query`] knows.
    pub const ALL: [Self; 10] = [
        Self::Km,
        Self::Kmc,
        Self::Kmctr,
        Self::Kmac,
        Self::Kimd,
        Self::Klmd,
        Self::Kma,
        Self::Pcc,
        Self::Kdsa,
        Self::Prno,
    ];

    /// The mnemonic.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Km => "KM",
            Self::Kmc => "KMC",
            Self::Kmctr => "KMCTR",
            Self::Kmac => "KMAC",
            Self::Kimd => "KIMD",
            Self::Klmd => "KLMD",
            Self::Kma => "KMA",
            Self::Pcc => "PCC",
            Self::Kdsa => "KDSA",
            Self::Prno => "PRNO",
        }
    }
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The status word of a query function: one bit per function code, bit 0 leftmost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask([u8; 16]);

impl Mask {
    /// Whether the function with this code is installed.
    ///
    /// Only the 7 bits of a function code count; the modifier bit (0x80) is ignored.
    #[must_use]
    pub const fn is_installed(&self, code: u8) -> bool {
        let code = code & 0x7f;
        self.0[(code >> 3) as usize] & (0x80 >> (code & 7)) != 0
    }

    /// The 16 bytes as the instruction stores them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    const fn install(&mut self, code: u8) {
        self.0[(code >> 3) as usize] |= 0x80 >> (code & 7);
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Executes the query function of `instruction`: which of its functions are installed.
///
/// Only the functions this crate uses are simulated, so an instruction of which it uses none has
/// the query bit alone, as an emulator without that facility would answer.
#[must_use]
pub fn query(instruction: Instruction) -> Mask {
    let mut mask = Mask([0; 16]);
    mask.install(0);
    for entry in &TABLE {
        if let Some((its, code)) = entry.hardware
            && its == instruction
        {
            mask.install(code);
        }
    }
    mask
}

/// One function. The order is that of the table which `adjunct crypto` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs, reason = "name() is the documentation: the hardware's own name")]
pub enum Function {
    KmaGcmAes128,
    KmaGcmAes256,
    KimdSha256,
    KimdSha384,
    KimdSha512,
    KlmdSha256,
    KlmdSha384,
    KlmdSha512,
    KmacHmacSha256,
    KmacHmacSha384,
    KmacHmacSha512,
    PrnoSha512Drng,
    PccScalarMultiplyP256,
    PccScalarMultiplyP384,
    PccScalarMultiplyP521,
    PccScalarMultiplyX25519,
    KdsaEcdsaVerifyP256,
    KdsaEcdsaVerifyP384,
    KdsaEcdsaVerifyP521,
    KdsaEddsaVerifyEd25519,
    KdsaEcdsaSignP256,
    KdsaEcdsaSignP384,
    KdsaEcdsaSignP521,
    HkdfSha256,
    HkdfSha384,
    HkdfSha512,
    Tls12PrfSha256,
    Tls12PrfSha384,
    Tls12PrfSha512,
    ChaCha20Poly1305,
    MlKem768,
    RsaPkcs1Verify,
    RsaPssVerify,
}

struct Entry {
    function: Function,
    name: &'static str,
    hardware: Option<(Instruction, u8)>,
    key_bits: Option<u16>,
}

const fn cpacf(
    function: Function,
    name: &'static str,
    instruction: Instruction,
    code: u8,
    key_bits: Option<u16>,
) -> Entry {
    Entry { function, name, hardware: Some((instruction, code)), key_bits }
}

const fn software(function: Function, name: &'static str, key_bits: Option<u16>) -> Entry {
    Entry { function, name, hardware: None, key_bits }
}

use Function as F;
use Instruction as I;

#[rustfmt::skip]
const TABLE: [Entry; Function::COUNT] = [
    cpacf(F::KmaGcmAes128, "KMA-GCM-AES-128", I::Kma, 18, Some(128)),
    cpacf(F::KmaGcmAes256, "KMA-GCM-AES-256", I::Kma, 20, Some(256)),
    cpacf(F::KimdSha256, "KIMD-SHA-256", I::Kimd, 2, None),
    cpacf(F::KimdSha384, "KIMD-SHA-512 (SHA-384)", I::Kimd, 3, None),
    cpacf(F::KimdSha512, "KIMD-SHA-512", I::Kimd, 3, None),
    cpacf(F::KlmdSha256, "KLMD-SHA-256", I::Klmd, 2, None),
    cpacf(F::KlmdSha384, "KLMD-SHA-512 (SHA-384)", I::Klmd, 3, None),
    cpacf(F::KlmdSha512, "KLMD-SHA-512", I::Klmd, 3, None),
    cpacf(F::KmacHmacSha256, "KMAC-HMAC-SHA-256", I::Kmac, 113, None),
    cpacf(F::KmacHmacSha384, "KMAC-HMAC-SHA-384", I::Kmac, 114, None),
    cpacf(F::KmacHmacSha512, "KMAC-HMAC-SHA-512", I::Kmac, 115, None),
    cpacf(F::PrnoSha512Drng, "PRNO-SHA-512-DRNG", I::Prno, 3, None),
    cpacf(F::PccScalarMultiplyP256, "PCC-Scalar-Multiply-P256", I::Pcc, 64, Some(256)),
    cpacf(F::PccScalarMultiplyP384, "PCC-Scalar-Multiply-P384", I::Pcc, 65, Some(384)),
    cpacf(F::PccScalarMultiplyP521, "PCC-Scalar-Multiply-P521", I::Pcc, 66, Some(521)),
    cpacf(F::PccScalarMultiplyX25519, "PCC-Scalar-Multiply-X25519", I::Pcc, 80, Some(255)),
    cpacf(F::KdsaEcdsaVerifyP256, "KDSA-ECDSA-Verify-P256", I::Kdsa, 1, Some(256)),
    cpacf(F::KdsaEcdsaVerifyP384, "KDSA-ECDSA-Verify-P384", I::Kdsa, 2, Some(384)),
    cpacf(F::KdsaEcdsaVerifyP521, "KDSA-ECDSA-Verify-P521", I::Kdsa, 3, Some(521)),
    cpacf(F::KdsaEddsaVerifyEd25519, "KDSA-EdDSA-Verify-Ed25519", I::Kdsa, 32, Some(255)),
    cpacf(F::KdsaEcdsaSignP256, "KDSA-ECDSA-Sign-P256 (protected)", I::Kdsa, 17, Some(256)),
    cpacf(F::KdsaEcdsaSignP384, "KDSA-ECDSA-Sign-P384 (protected)", I::Kdsa, 18, Some(384)),
    cpacf(F::KdsaEcdsaSignP521, "KDSA-ECDSA-Sign-P521 (protected)", I::Kdsa, 19, Some(521)),
    software(F::HkdfSha256, "HKDF-SHA-256", None),
    software(F::HkdfSha384, "HKDF-SHA-384", None),
    software(F::HkdfSha512, "HKDF-SHA-512", None),
    software(F::Tls12PrfSha256, "TLS12-PRF-SHA-256", None),
    software(F::Tls12PrfSha384, "TLS12-PRF-SHA-384", None),
    software(F::Tls12PrfSha512, "TLS12-PRF-SHA-512", None),
    software(F::ChaCha20Poly1305, "ChaCha20-Poly1305", Some(256)),
    software(F::MlKem768, "ML-KEM-768", None),
    software(F::RsaPkcs1Verify, "RSA-PKCS1-Verify", None),
    software(F::RsaPssVerify, "RSA-PSS-Verify", None),
];

// A function indexes the table with its own number.
const _: () = {
    let mut at = 0;
    while at < Function::COUNT {
        assert!(TABLE[at].function as usize == at && Function::ALL[at] as usize == at);
        at += 1;
    }
};

impl Function {
    /// How many functions there are.
    pub const COUNT: usize = F::RsaPssVerify as usize + 1;

    /// Every function, in table order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::KmaGcmAes128,
        Self::KmaGcmAes256,
        Self::KimdSha256,
        Self::KimdSha384,
        Self::KimdSha512,
        Self::KlmdSha256,
        Self::KlmdSha384,
        Self::KlmdSha512,
        Self::KmacHmacSha256,
        Self::KmacHmacSha384,
        Self::KmacHmacSha512,
        Self::PrnoSha512Drng,
        Self::PccScalarMultiplyP256,
        Self::PccScalarMultiplyP384,
        Self::PccScalarMultiplyP521,
        Self::PccScalarMultiplyX25519,
        Self::KdsaEcdsaVerifyP256,
        Self::KdsaEcdsaVerifyP384,
        Self::KdsaEcdsaVerifyP521,
        Self::KdsaEddsaVerifyEd25519,
        Self::KdsaEcdsaSignP256,
        Self::KdsaEcdsaSignP384,
        Self::KdsaEcdsaSignP521,
        Self::HkdfSha256,
        Self::HkdfSha384,
        Self::HkdfSha512,
        Self::Tls12PrfSha256,
        Self::Tls12PrfSha384,
        Self::Tls12PrfSha512,
        Self::ChaCha20Poly1305,
        Self::MlKem768,
        Self::RsaPkcs1Verify,
        Self::RsaPssVerify,
    ];

    const fn entry(self) -> &'static Entry {
        const ENTRIES: &[Entry; Function::COUNT] = &TABLE;
        &ENTRIES[self as usize]
    }

    /// The name: instruction, algorithm, key size. A software function has no instruction prefix.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The instruction, or `None` where CPACF has no such function.
    #[must_use]
    pub fn instruction(self) -> Option<Instruction> {
        self.entry().hardware.map(|(instruction, _)| instruction)
    }

    /// The function code, or `None` where CPACF has no such function.
    #[must_use]
    pub fn code(self) -> Option<u8> {
        self.entry().hardware.map(|(_, code)| code)
    }

    /// The key size in bits where the function fixes one.
    #[must_use]
    pub fn key_bits(self) -> Option<u16> {
        self.entry().key_bits
    }

    /// Whether CPACF has this function at all; if not it is software on every machine.
    #[must_use]
    pub fn is_cpacf(self) -> bool {
        self.entry().hardware.is_some()
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (at, function) in Function::ALL.iter().enumerate() {
            assert!(Function::ALL[..at].iter().all(|other| other.name() != function.name()));
        }
    }

    #[test]
    fn masks_are_numbered_from_the_left() {
        // KMA: query, GCM-AES-128 (18), GCM-AES-256 (20).
        assert_eq!(query(Instruction::Kma).to_string(), "80002800000000000000000000000000");
        // PRNO: query, SHA-512-DRNG (3).
        assert_eq!(query(Instruction::Prno).to_string(), "90000000000000000000000000000000");
        // KIMD: query, SHA-256 (2), SHA-512 (3).
        assert_eq!(query(Instruction::Kimd).to_string(), "b0000000000000000000000000000000");
        // PCC: query, P-256/384/521 (64-66), X25519 (80).
        assert_eq!(query(Instruction::Pcc).to_string(), "8000000000000000e000800000000000");
        // KLMD as KIMD.
        assert_eq!(query(Instruction::Klmd).to_string(), "b0000000000000000000000000000000");
        // KMAC: query, HMAC-SHA-256/384/512 (113-115).
        assert_eq!(query(Instruction::Kmac).to_string(), "80000000000000000000000000007000");
        // KDSA: query, verify (1-3), sign with a protected key (17-19), verify Ed25519 (32).
        assert_eq!(query(Instruction::Kdsa).to_string(), "f0007000800000000000000000000000");
        // An instruction without functions here has the query bit alone.
        assert_eq!(query(Instruction::Km).to_string(), "80000000000000000000000000000000");
    }

    #[test]
    fn a_mask_shows_exactly_the_functions_of_its_instruction() {
        for instruction in Instruction::ALL {
            let mask = query(instruction);
            for code in 1..128 {
                let listed = Function::ALL
                    .iter()
                    .any(|f| f.instruction() == Some(instruction) && f.code() == Some(code));
                assert_eq!(mask.is_installed(code), listed, "{instruction} {code}");
            }
            assert!(mask.is_installed(0x80), "the modifier bit is not part of the code");
        }
    }
}
