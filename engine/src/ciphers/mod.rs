//! Cipher suites under all their names, and what becomes of each here.
//!
//! Purpose: an operator writes a suite as a manual, another server or a log has it: IANA's name,
//! OpenSSL's, the four hexadecimal digits, or the spelling of IBM's SSL server. [`find`] knows all
//! suites of that server and all that we serve under all four, and the others of the registry by
//! IANA name and code. A suite we do not serve has a reason and a nearest one that works.
//!
//! Invariants: no name belongs to two suites; what counts as served is what
//! [`crate::provider`] implements (a test compares them). Whether a mode permits a suite is said
//! elsewhere.
//!
//! Source: IANA "TLS Cipher Suites"; SSLADMIN QUERY STATUS DETAILS of the z/VM SSL server;
//! openssl-ciphers(1); RFC 9325 section 4.

pub mod reference;
mod table;

use std::fmt;

use crate::iana::{self, Authentication, KeyExchange, Protection, Suite};

/// Number of a suite in its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// SSL 3.0 and later: the two bytes of the registry.
    Tls(u16),
    /// SSL 2.0: the one-character code that System SSL gives it.
    Ssl2(u8),
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(code) => write!(f, "{code:04X}"),
            Self::Ssl2(code) => write!(f, "SSLv2-{code}"),
        }
    }
}

/// Name in the spelling of IBM's SSL server for z/VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IbmName {
    /// The name.
    pub name: &'static str,
    /// Whether a published sample shows it; otherwise it follows the pattern of those that do.
    pub shown: bool,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cipher {
    /// Number.
    pub code: Code,
    /// IANA name; for the suite of SSL 2.0 the name of its specification.
    pub iana: &'static str,
    /// Name in OpenSSL's lists.
    pub openssl: Option<&'static str>,
    /// Name in `ENABLE` and `EXEMPT` of the SSL server.
    pub ibm: Option<IbmName>,
}

/// Every suite of the SSL server and every one we serve, in order of code.
pub const TABLE: &[Cipher] = table::TABLE;

/// How a suite was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`.
    Iana,
    /// `ECDHE-RSA-AES128-GCM-SHA256`.
    OpenSsl,
    /// `ECDHE_RSA_AES_128_GCM_SHA256`.
    Ibm,
    /// `C02F`, `0xC02F`, or `2F` for 002F as System SSL writes it.
    Code,
}

/// A suite that was written in some spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Number.
    pub code: Code,
    /// IANA name.
    pub iana: &'static str,
    /// The spelling it was recognised by.
    pub spelling: Spelling,
}

/// What becomes of a suite here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is served.
    Implemented,
    /// It is known and never served.
    NotImplemented {
        /// Why.
        reason: String,
        /// The nearest suite that is served.
        nearest: u16,
    },
}

impl Cipher {
    /// Its name in a spelling; the IANA name where it has none in that.
    #[must_use]
    pub fn name(&self, spelling: Spelling) -> String {
        match spelling {
            Spelling::Code => self.code.to_string(),
            Spelling::Iana => self.iana.to_owned(),
            Spelling::OpenSsl => self.openssl.unwrap_or(self.iana).to_owned(),
            Spelling::Ibm => self.ibm.map_or(self.iana, |ibm| ibm.name).to_owned(),
        }
    }

    /// What becomes of it.
    #[must_use]
    pub fn state(&self) -> State {
        state(self.code)
    }

    /// First and last protocol version that has it.
    #[must_use]
    pub fn protocols(&self) -> (&'static str, &'static str) {
        let Code::Tls(code) = self.code else { return ("SSLv2", "SSLv2") };
        let Some(suite) = iana::suite(code) else { return ("SSLv3", "TLSv1.2") };
        if suite.key_exchange == KeyExchange::Tls13 {
            return ("TLSv1.3", "TLSv1.3");
        }
        let sha2 = suite.name.ends_with("_SHA256") || suite.name.ends_with("_SHA384");
        if suite.protection.is_aead() || sha2 {
            return ("TLSv1.2", "TLSv1.2");
        }
        // The numbers up to 001B are those of SSL 3.0.
        let first = if code <= 0x001B { "SSLv3" } else { "TLSv1.0" };
        let last = match suite.protection {
            _ if suite.export => "TLSv1.0",
            Protection::Des | Protection::Rc2 => "TLSv1.1",
            _ => "TLSv1.2",
        };
        (first, last)
    }

    /// Key exchange and key of the certificate in a word: `ECDHE-RSA`; `any` where the suite does
    /// not say.
    #[must_use]
    pub fn key_exchange(&self) -> String {
        let Code::Tls(code) = self.code else { return "RSA".to_owned() };
        let Some(suite) = iana::suite(code) else { return "-".to_owned() };
        let exchange = match suite.key_exchange {
            KeyExchange::Tls13 => return "any".to_owned(),
            KeyExchange::Rsa => return "RSA".to_owned(),
            KeyExchange::Psk => return "PSK".to_owned(),
            KeyExchange::Other => return "none".to_owned(),
            KeyExchange::Ecdhe => "ECDHE",
            KeyExchange::Dhe => "DHE",
            KeyExchange::StaticDh if suite.name.starts_with("TLS_ECDH") => "ECDH",
            KeyExchange::StaticDh => "DH",
        };
        let key = match suite.authentication {
            Authentication::Rsa => "RSA",
            Authentication::Ecdsa => "ECDSA",
            Authentication::Dss => "DSS",
            Authentication::Any | Authentication::Anonymous | Authentication::Secret => "none",
        };
        format!("{exchange}-{key}")
    }

    /// Every name it has, each once; the code is none of them.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let openssl = self.openssl.filter(|name| *name != self.iana);
        [Some(self.iana), openssl, self.ibm.map(|ibm| ibm.name)].into_iter().flatten()
    }
}

impl Found {
    /// What becomes of it.
    #[must_use]
    pub fn state(&self) -> State {
        state(self.code)
    }
}

/// The row with a code.
#[must_use]
pub fn by_code(code: u16) -> Option<&'static Cipher> {
    TABLE.iter().find(|cipher| cipher.code == Code::Tls(code))
}

/// The suite that is meant by a name or code; letters may be of either case.
#[must_use]
pub fn find(text: &str) -> Option<Found> {
    let text = text.trim().to_ascii_uppercase();
    let spellings = [Spelling::Iana, Spelling::OpenSsl, Spelling::Ibm];
    spellings
        .into_iter()
        .find_map(|spelling| in_table(&text, spelling))
        .or_else(|| registered(&text))
}

fn in_table(text: &str, spelling: Spelling) -> Option<Found> {
    // A session report of the SSL server puts the protocol in front of its name.
    let unprefixed = ["TLS1.0_", "TLS1.1_", "TLS1.2_"];
    let bare = unprefixed.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    let is_meant = |cipher: &&Cipher| match spelling {
        Spelling::Iana => cipher.iana == text,
        Spelling::OpenSsl => cipher.openssl.is_some_and(|name| is_openssl(name, text)),
        Spelling::Ibm => cipher.ibm.is_some_and(|ibm| ibm.name == bare),
        Spelling::Code => false,
    };
    let cipher = TABLE.iter().find(is_meant)?;
    Some(Found { code: cipher.code, iana: cipher.iana, spelling })
}

/// OpenSSL before 1.1.0 said EDH where it says DHE now.
fn is_openssl(name: &str, text: &str) -> bool {
    let tail = |name: &str| {
        ["DHE-", "EDH-"].iter().find_map(|start| name.strip_prefix(start).map(str::to_owned))
    };
    name == text || tail(name).is_some_and(|rest| tail(text) == Some(rest))
}

/// A code, or the IANA name of a suite outside the table.
fn registered(text: &str) -> Option<Found> {
    if let Some(found) = iana::suite_code(text).and_then(iana::suite) {
        return Some(Found {
            code: Code::Tls(found.id),
            iana: found.name,
            spelling: Spelling::Iana,
        });
    }
    let digits = text.strip_prefix("0X").unwrap_or(text);
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let code = u16::from_str_radix(digits, 16).ok()?;
    let suite = iana::suite(code)?;
    Some(Found { code: Code::Tls(code), iana: suite.name, spelling: Spelling::Code })
}

fn state(code: Code) -> State {
    let nearest_to_ssl2 = 0xC02F;
    let Code::Tls(code) = code else {
        let reason = "SSL 2.0 is forbidden (RFC 6176)".to_owned();
        return State::NotImplemented { reason, nearest: nearest_to_ssl2 };
    };
    match iana::suite(code) {
        Some(suite) if suite.is_servable() => State::Implemented,
        Some(suite) => {
            State::NotImplemented { reason: reasons(&suite).join("; "), nearest: nearest(&suite) }
        }
        None => State::NotImplemented {
            reason: "the registry has no suite of this number".to_owned(),
            nearest: nearest_to_ssl2,
        },
    }
}

/// Why a suite is not served: its key exchange, its certificate, its records.
fn reasons(suite: &Suite) -> Vec<&'static str> {
    let exchange = match suite.key_exchange {
        KeyExchange::Rsa if suite.protection == Protection::Null => None,
        KeyExchange::Rsa => Some("RSA key transport has no forward secrecy (RFC 9325)"),
        KeyExchange::Dhe => {
            Some("finite-field Diffie-Hellman is not implemented (RFC 9325: use ECDHE)")
        }
        KeyExchange::StaticDh => {
            Some("a Diffie-Hellman key fixed in the certificate has no forward secrecy (RFC 9325)")
        }
        KeyExchange::Psk => Some("pre-shared keys as authentication are not implemented"),
        KeyExchange::Other => Some("its key exchange is not implemented"),
        KeyExchange::Tls13 | KeyExchange::Ecdhe => None,
    };
    let key = match suite.authentication {
        Authentication::Dss => Some("DSA certificates are not accepted any more (FIPS 186-5)"),
        Authentication::Anonymous => Some("without a certificate nobody knows the server"),
        Authentication::Any
        | Authentication::Rsa
        | Authentication::Ecdsa
        | Authentication::Secret => None,
    };
    let records = match suite.protection {
        Protection::AesGcm | Protection::ChaCha20 => None,
        Protection::AesCcm => Some("AES-CCM is not implemented"),
        Protection::OtherAead => Some("its cipher is not implemented"),
        _ if suite.export => Some("40 bits of key are searched in seconds"),
        Protection::Cbc => Some("CBC with a MAC leaks through its padding (RFC 9325: use an AEAD)"),
        Protection::TripleDes => {
            Some("3DES has blocks of 64 bits and is not approved any more (SP 800-131A)")
        }
        Protection::Des => Some("56 bits of key are searched in hours"),
        Protection::Rc2 => Some("RC2 is obsolete"),
        Protection::Rc4 => Some("RC4 is forbidden (RFC 7465)"),
        Protection::Null => Some("it encrypts nothing"),
    };
    [exchange, key, records].into_iter().flatten().collect()
}

/// The served suite that comes nearest: the same protocol and certificate, records as strong.
fn nearest(suite: &Suite) -> u16 {
    let strong = suite.key_bits >= 256;
    match (suite.key_exchange, suite.authentication) {
        (KeyExchange::Tls13, _) if strong => 0x1302,
        (KeyExchange::Tls13, _) => 0x1301,
        (_, Authentication::Ecdsa) if suite.protection == Protection::ChaCha20 => 0xCCA9,
        (_, Authentication::Ecdsa) if strong => 0xC02C,
        (_, Authentication::Ecdsa) => 0xC02B,
        _ if suite.protection == Protection::ChaCha20 => 0xCCA8,
        _ if strong => 0xC030,
        _ => 0xC02F,
    }
}

#[cfg(test)]
mod tests;
