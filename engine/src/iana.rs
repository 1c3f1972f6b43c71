//! Names of the TLS parameters, and what kind of cipher suite a number stands for.
//!
//! Purpose: records, refusals and `explain` say `TLS_RSA_WITH_RC4_128_SHA`, not 0x0005; a number
//! without a name is shown as `0xNNNN`, never dropped. Suites come from the registry table of
//! tls-parser; groups and signature schemes are few and stand here.
//!
//! Deliberately not here: what we support. A classification describes, it does not permit.
//!
//! Source: IANA "Transport Layer Security (TLS) Parameters"; RFC 8701 (GREASE).

use std::borrow::Cow;

use tls_parser::{TlsCipherAu, TlsCipherEnc, TlsCipherEncMode, TlsCipherKx, TlsCipherSuite};

/// TLS 1.2.
pub const TLS12: u16 = 0x0303;
/// TLS 1.3.
pub const TLS13: u16 = 0x0304;
/// `TLS_EMPTY_RENEGOTIATION_INFO_SCSV`.
pub const RENEGOTIATION_SCSV: u16 = 0x00FF;
/// `TLS_FALLBACK_SCSV`.
pub const FALLBACK_SCSV: u16 = 0x5600;

/// Named groups (RFC 8446 §4.2.7, RFC 8422, RFC 7919, ML-KEM drafts).
const GROUPS: &[(u16, &str)] = &[
    (0x0001, "sect163k1"),
    (0x0002, "sect163r1"),
    (0x0003, "sect163r2"),
    (0x0004, "sect193r1"),
    (0x0005, "sect193r2"),
    (0x0006, "sect233k1"),
    (0x0007, "sect233r1"),
    (0x0008, "sect239k1"),
    (0x0009, "sect283k1"),
    (0x000A, "sect283r1"),
    (0x000B, "sect409k1"),
    (0x000C, "sect409r1"),
    (0x000D, "sect571k1"),
    (0x000E, "sect571r1"),
    (0x000F, "secp160k1"),
    (0x0010, "secp160r1"),
    (0x0011, "secp160r2"),
    (0x0012, "secp192k1"),
    (0x0013, "secp192r1"),
    (0x0014, "secp224k1"),
    (0x0015, "secp224r1"),
    (0x0016, "secp256k1"),
    (0x0017, "secp256r1"),
    (0x0018, "secp384r1"),
    (0x0019, "secp521r1"),
    (0x001A, "brainpoolP256r1"),
    (0x001B, "brainpoolP384r1"),
    (0x001C, "brainpoolP512r1"),
    (0x001D, "x25519"),
    (0x001E, "x448"),
    (0x001F, "brainpoolP256r1tls13"),
    (0x0020, "brainpoolP384r1tls13"),
    (0x0021, "brainpoolP512r1tls13"),
    (0x0029, "curveSM2"),
    (0x0100, "ffdhe2048"),
    (0x0101, "ffdhe3072"),
    (0x0102, "ffdhe4096"),
    (0x0103, "ffdhe6144"),
    (0x0104, "ffdhe8192"),
    (0x0200, "MLKEM512"),
    (0x0201, "MLKEM768"),
    (0x0202, "MLKEM1024"),
    (0x11EB, "SecP256r1MLKEM768"),
    (0x11EC, "X25519MLKEM768"),
    (0x11ED, "SecP384r1MLKEM1024"),
    (0x6399, "X25519Kyber768Draft00"),
    (0xFF01, "arbitrary_explicit_prime_curves"),
    (0xFF02, "arbitrary_explicit_char2_curves"),
];

/// Signature schemes (RFC 8446 §4.2.3, RFC 5246 §7.4.1.4.1, RFC 8734, ML-DSA draft).
const SCHEMES: &[(u16, &str)] = &[
    (0x0101, "rsa_pkcs1_md5"),
    (0x0201, "rsa_pkcs1_sha1"),
    (0x0202, "dsa_sha1"),
    (0x0203, "ecdsa_sha1"),
    (0x0301, "rsa_pkcs1_sha224"),
    (0x0302, "dsa_sha224"),
    (0x0303, "ecdsa_sha224"),
    (0x0401, "rsa_pkcs1_sha256"),
    (0x0402, "dsa_sha256"),
    (0x0403, "ecdsa_secp256r1_sha256"),
    (0x0420, "rsa_pkcs1_sha256_legacy"),
    (0x0501, "rsa_pkcs1_sha384"),
    (0x0502, "dsa_sha384"),
    (0x0503, "ecdsa_secp384r1_sha384"),
    (0x0520, "rsa_pkcs1_sha384_legacy"),
    (0x0601, "rsa_pkcs1_sha512"),
    (0x0602, "dsa_sha512"),
    (0x0603, "ecdsa_secp521r1_sha512"),
    (0x0620, "rsa_pkcs1_sha512_legacy"),
    (0x0708, "sm2sig_sm3"),
    (0x0804, "rsa_pss_rsae_sha256"),
    (0x0805, "rsa_pss_rsae_sha384"),
    (0x0806, "rsa_pss_rsae_sha512"),
    (0x0807, "ed25519"),
    (0x0808, "ed448"),
    (0x0809, "rsa_pss_pss_sha256"),
    (0x080A, "rsa_pss_pss_sha384"),
    (0x080B, "rsa_pss_pss_sha512"),
    (0x081A, "ecdsa_brainpoolP256r1tls13_sha256"),
    (0x081B, "ecdsa_brainpoolP384r1tls13_sha384"),
    (0x081C, "ecdsa_brainpoolP512r1tls13_sha512"),
    (0x0904, "mldsa44"),
    (0x0905, "mldsa65"),
    (0x0906, "mldsa87"),
];

fn name_in(table: &[(u16, &'static str)], number: u16) -> Cow<'static, str> {
    match table.binary_search_by_key(&number, |(key, _)| *key) {
        Ok(at) => table.get(at).map_or_else(|| number_only(number), |row| Cow::Borrowed(row.1)),
        Err(_) => number_only(number),
    }
}

fn number_only(number: u16) -> Cow<'static, str> {
    Cow::Owned(format!("0x{number:04X}"))
}

fn code_in(table: &[(u16, &'static str)], name: &str) -> Option<u16> {
    table.iter().find(|row| row.1 == name).map(|row| row.0)
}

/// Number of a protocol version, by the name that [`version_name`] gives.
#[must_use]
pub fn version_code(name: &str) -> Option<u16> {
    [0x0300, 0x0301, 0x0302, TLS12, TLS13].into_iter().find(|code| version_name(*code) == name)
}

/// Number of a cipher suite, by its IANA name.
#[must_use]
pub fn suite_code(name: &str) -> Option<u16> {
    TlsCipherSuite::from_name(name).map(|row| row.id.0)
}

/// Number of a named group.
#[must_use]
pub fn group_code(name: &str) -> Option<u16> {
    code_in(GROUPS, name)
}

/// Number of a signature scheme.
#[must_use]
pub fn scheme_code(name: &str) -> Option<u16> {
    code_in(SCHEMES, name)
}

/// Name of a protocol version: `SSLv3`, `TLSv1.0` … `TLSv1.3`.
#[must_use]
pub fn version_name(version: u16) -> Cow<'static, str> {
    match version {
        0x0002 | 0x0200 => Cow::Borrowed("SSLv2"),
        0x0300 => Cow::Borrowed("SSLv3"),
        0x0301 => Cow::Borrowed("TLSv1.0"),
        0x0302 => Cow::Borrowed("TLSv1.1"),
        TLS12 => Cow::Borrowed("TLSv1.2"),
        TLS13 => Cow::Borrowed("TLSv1.3"),
        0x7F00..=0x7FFF => Cow::Owned(format!("TLSv1.3 draft {}", version & 0xFF)),
        other => number_only(other),
    }
}

/// IANA name of a cipher suite, or `0xNNNN`.
#[must_use]
pub fn suite_name(suite: u16) -> Cow<'static, str> {
    TlsCipherSuite::from_id(suite).map_or_else(|| number_only(suite), |row| row.name.into())
}

/// Name of a named group, or `0xNNNN`.
#[must_use]
pub fn group_name(group: u16) -> Cow<'static, str> {
    name_in(GROUPS, group)
}

/// Every name of a group, in order of number.
pub fn group_names() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().map(|row| row.1)
}

/// Every name of a signature scheme, in order of number.
pub fn scheme_names() -> impl Iterator<Item = &'static str> {
    SCHEMES.iter().map(|row| row.1)
}

/// Name of a signature scheme, or `0xNNNN`.
#[must_use]
pub fn scheme_name(scheme: u16) -> Cow<'static, str> {
    name_in(SCHEMES, scheme)
}

/// Reserved values that clients mix in at random, to be ignored wherever they appear (RFC 8701).
#[must_use]
pub fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0F == 0x0A
}

/// Signalling values in the suite list that name no cipher.
#[must_use]
pub fn is_signalling(suite: u16) -> bool {
    matches!(suite, RENEGOTIATION_SCSV | FALLBACK_SCSV)
}

/// How the premaster secret comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyExchange {
    /// TLS 1.3: chosen apart from the suite.
    Tls13,
    /// Ephemeral elliptic curve Diffie-Hellman.
    Ecdhe,
    /// Ephemeral Diffie-Hellman.
    Dhe,
    /// Diffie-Hellman with the key of the certificate, or anonymous: no forward secrecy.
    StaticDh,
    /// RSA key transport: no forward secrecy.
    Rsa,
    /// Pre-shared key, in any combination.
    Psk,
    /// Kerberos, SRP, password.
    Other,
}

/// What key the certificate must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// Any: TLS 1.3 chooses apart from the suite.
    Any,
    /// An RSA key.
    Rsa,
    /// An elliptic curve key.
    Ecdsa,
    /// A DSA key.
    Dss,
    /// No certificate.
    Anonymous,
    /// A pre-shared key or another secret.
    Secret,
}

/// How records are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// AES in GCM.
    AesGcm,
    /// AES in CCM.
    AesCcm,
    /// ChaCha20-Poly1305.
    ChaCha20,
    /// Another AEAD: ARIA, Camellia, SM4, AEGIS.
    OtherAead,
    /// A block cipher in CBC with a MAC.
    Cbc,
    /// Triple DES in CBC.
    TripleDes,
    /// Single DES.
    Des,
    /// RC2.
    Rc2,
    /// RC4.
    Rc4,
    /// No encryption.
    Null,
}

impl Protection {
    /// Whether it is authenticated encryption.
    #[must_use]
    pub fn is_aead(self) -> bool {
        matches!(self, Self::AesGcm | Self::AesCcm | Self::ChaCha20 | Self::OtherAead)
    }

    /// The word for it in a sentence.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::AesGcm => "AES-GCM",
            Self::AesCcm => "AES-CCM",
            Self::ChaCha20 => "ChaCha20-Poly1305",
            Self::OtherAead => "ARIA, Camellia, SM4 or AEGIS",
            Self::Cbc => "CBC",
            Self::TripleDes => "3DES",
            Self::Des => "DES",
            Self::Rc2 => "RC2",
            Self::Rc4 => "RC4",
            Self::Null => "NULL (unencrypted)",
        }
    }
}

/// What a cipher suite is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suite {
    /// IANA number.
    pub id: u16,
    /// IANA name.
    pub name: &'static str,
    /// Key exchange.
    pub key_exchange: KeyExchange,
    /// Key of the certificate.
    pub authentication: Authentication,
    /// Record protection.
    pub protection: Protection,
    /// Bits of the record key.
    pub key_bits: u16,
    /// A suite weakened for the export rules of the 1990s.
    pub export: bool,
}

impl Suite {
    /// Whether the kind of suite is one this product can serve: TLS 1.3, or TLS 1.2
    /// with ECDHE, a certificate and an AEAD of AES-GCM or ChaCha20-Poly1305.
    #[must_use]
    pub fn is_servable(&self) -> bool {
        let aead = matches!(self.protection, Protection::AesGcm | Protection::ChaCha20);
        match self.key_exchange {
            KeyExchange::Tls13 => aead,
            KeyExchange::Ecdhe => {
                aead && matches!(self.authentication, Authentication::Rsa | Authentication::Ecdsa)
            }
            _ => false,
        }
    }
}

/// The suite behind a number; none for unknown numbers and signalling values.
#[must_use]
pub fn suite(id: u16) -> Option<Suite> {
    if is_signalling(id) {
        return None;
    }
    let row = TlsCipherSuite::from_id(id)?;
    Some(Suite {
        id,
        name: row.name,
        key_exchange: key_exchange(row),
        authentication: authentication(row),
        protection: protection(row),
        // The registry table gives ChaCha20 the wrong size.
        key_bits: if row.enc == TlsCipherEnc::Chacha20_Poly1305 { 256 } else { row.enc_size },
        export: row.name.contains("_EXPORT"),
    })
}

fn key_exchange(row: &TlsCipherSuite) -> KeyExchange {
    match (row.kx, row.au) {
        (TlsCipherKx::Tls13, _) => KeyExchange::Tls13,
        (TlsCipherKx::Psk, _) | (_, TlsCipherAu::Psk) => KeyExchange::Psk,
        (TlsCipherKx::Ecdhe, _) => KeyExchange::Ecdhe,
        (TlsCipherKx::Dhe, _) => KeyExchange::Dhe,
        (TlsCipherKx::Dh | TlsCipherKx::Ecdh | TlsCipherKx::Aecdh, _) => KeyExchange::StaticDh,
        (TlsCipherKx::Rsa, _) => KeyExchange::Rsa,
        (TlsCipherKx::Null | TlsCipherKx::Krb5 | TlsCipherKx::Srp | TlsCipherKx::Eccpwd, _) => {
            KeyExchange::Other
        }
    }
}

fn authentication(row: &TlsCipherSuite) -> Authentication {
    match row.au {
        TlsCipherAu::Tls13 => Authentication::Any,
        TlsCipherAu::Rsa | TlsCipherAu::Srp_Rsa => Authentication::Rsa,
        TlsCipherAu::Ecdsa => Authentication::Ecdsa,
        TlsCipherAu::Dss | TlsCipherAu::Srp_Dss => Authentication::Dss,
        TlsCipherAu::Null => Authentication::Anonymous,
        TlsCipherAu::Psk
        | TlsCipherAu::Krb5
        | TlsCipherAu::Srp
        | TlsCipherAu::Dhe
        | TlsCipherAu::Eccpwd => Authentication::Secret,
    }
}

fn protection(row: &TlsCipherSuite) -> Protection {
    match (row.enc, row.enc_mode) {
        (TlsCipherEnc::Aes, TlsCipherEncMode::Gcm) => Protection::AesGcm,
        (TlsCipherEnc::Aes, TlsCipherEncMode::Ccm) => Protection::AesCcm,
        (TlsCipherEnc::Chacha20_Poly1305, _) => Protection::ChaCha20,
        (TlsCipherEnc::Aegis, _) | (_, TlsCipherEncMode::Gcm | TlsCipherEncMode::Ccm) => {
            Protection::OtherAead
        }
        (TlsCipherEnc::TripleDes, _) => Protection::TripleDes,
        (TlsCipherEnc::Des, _) => Protection::Des,
        (TlsCipherEnc::Rc2, _) => Protection::Rc2,
        (TlsCipherEnc::Rc4, _) => Protection::Rc4,
        (TlsCipherEnc::Null, _) => Protection::Null,
        (
            TlsCipherEnc::Aes
            | TlsCipherEnc::Aria
            | TlsCipherEnc::Camellia
            | TlsCipherEnc::Idea
            | TlsCipherEnc::Seed
            | TlsCipherEnc::Sm4,
            TlsCipherEncMode::Null | TlsCipherEncMode::Cbc,
        ) => Protection::Cbc,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        for table in [GROUPS, SCHEMES] {
            for pair in table.windows(2) {
                assert!(pair[0].0 < pair[1].0, "{}", pair[1].1);
            }
        }
    }

    #[test]
    fn names_of_the_registry() {
        assert_eq!(suite_name(0x1301), "TLS_AES_128_GCM_SHA256");
        assert_eq!(suite_name(0xC02F), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
        assert_eq!(suite_name(0xCCA9), "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256");
        assert_eq!(suite_name(0x0005), "TLS_RSA_WITH_RC4_128_SHA");
        assert_eq!(suite_name(0x00FF), "TLS_EMPTY_RENEGOTIATION_INFO_SCSV");
        assert_eq!(suite_name(0xFFFE), "0xFFFE");
        assert_eq!(group_name(0x11EC), "X25519MLKEM768");
        assert_eq!(group_name(0x0017), "secp256r1");
        assert_eq!(group_name(0x2A2A), "0x2A2A");
        assert_eq!(scheme_name(0x0804), "rsa_pss_rsae_sha256");
        assert_eq!(scheme_name(0x0403), "ecdsa_secp256r1_sha256");
        assert_eq!(version_name(0x0304), "TLSv1.3");
        assert_eq!(version_name(0x0301), "TLSv1.0");
        assert_eq!(version_name(0x0000), "0x0000");
    }

    #[test]
    fn every_suite_the_ssl_server_knows_has_a_name() {
        let codes = [
            0x009C, 0x009D, 0x009E, 0x009F, 0x00A2, 0x00A3, 0x003C, 0x003D, 0x0040, 0x0067, 0x006A,
            0x006B, 0x0035, 0x0038, 0x0039, 0x002F, 0x0032, 0x0033, 0x000A, 0x0016, 0x0013, 0x0009,
            0x0015, 0x0012, 0x00A0, 0x00A1, 0x00A4, 0x00A5, 0x003E, 0x003F, 0x0068, 0x0069, 0x0036,
            0x0037, 0x0030, 0x0031, 0x0010, 0x000D, 0x000F, 0x000C, 0x0005, 0x0004, 0x0003, 0x0006,
            0x003B, 0x0002, 0x0001, 0x0000, 0xC001, 0xC002, 0xC003, 0xC004, 0xC005, 0xC006, 0xC007,
            0xC008, 0xC009, 0xC00A, 0xC00B, 0xC00C, 0xC00D, 0xC00E, 0xC00F, 0xC010, 0xC011, 0xC012,
            0xC013, 0xC014, 0xC023, 0xC024, 0xC025, 0xC026, 0xC027, 0xC028, 0xC029, 0xC02A, 0xC02B,
            0xC02C, 0xC02D, 0xC02E, 0xC02F, 0xC030, 0xC031, 0xC032,
        ];
        for code in codes {
            assert!(suite(code).is_some(), "{code:04X}");
        }
    }

    #[test]
    fn kinds_of_suites() {
        let kind = |id| suite(id).map(|suite| (suite.key_exchange, suite.protection));
        assert_eq!(kind(0x1302), Some((KeyExchange::Tls13, Protection::AesGcm)));
        assert_eq!(kind(0xC02B), Some((KeyExchange::Ecdhe, Protection::AesGcm)));
        assert_eq!(kind(0xCCA8), Some((KeyExchange::Ecdhe, Protection::ChaCha20)));
        assert_eq!(kind(0x002F), Some((KeyExchange::Rsa, Protection::Cbc)));
        assert_eq!(kind(0x000A), Some((KeyExchange::Rsa, Protection::TripleDes)));
        assert_eq!(kind(0x0005), Some((KeyExchange::Rsa, Protection::Rc4)));
        assert_eq!(kind(0x003B), Some((KeyExchange::Rsa, Protection::Null)));
        assert_eq!(kind(0x009E), Some((KeyExchange::Dhe, Protection::AesGcm)));
        assert_eq!(kind(0xC0AC), Some((KeyExchange::Ecdhe, Protection::AesCcm)));
        assert_eq!(kind(0xC004), Some((KeyExchange::StaticDh, Protection::Cbc)));
        assert_eq!(kind(0x008C), Some((KeyExchange::Psk, Protection::Cbc)));
        assert_eq!(kind(0xC050), Some((KeyExchange::Rsa, Protection::OtherAead)));
        assert_eq!(kind(0x1306), Some((KeyExchange::Tls13, Protection::OtherAead)));
        assert!(suite(0x0003).is_some_and(|suite| suite.export));
        assert_eq!(suite(RENEGOTIATION_SCSV), None);
        assert_eq!(suite(0x1303).map(|suite| suite.key_bits), Some(256));
    }

    #[test]
    fn what_we_serve_is_servable_and_the_rest_is_not() {
        let served = [0x1301, 0x1302, 0x1303, 0xC02B, 0xC02C, 0xC02F, 0xC030, 0xCCA8, 0xCCA9];
        for id in served {
            assert!(suite(id).is_some_and(|suite| suite.is_servable()), "{id:04X}");
        }
        for id in [0x1304, 0x1306, 0x009C, 0x009E, 0xC013, 0x0005, 0xC0AC, 0xCCAC, 0xC05C] {
            assert!(!suite(id).is_some_and(|suite| suite.is_servable()), "{id:04X}");
        }
    }

    #[test]
    fn grease_values() {
        let grease: Vec<u16> = (0..=u16::MAX).filter(|value| is_grease(*value)).collect();
        assert_eq!(grease.len(), 16);
        assert_eq!((grease[0], grease[15]), (0x0A0A, 0xFAFA));
    }
}
