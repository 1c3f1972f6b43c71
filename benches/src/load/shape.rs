//! What is asked of a handshake, and whether that is what came.
//!
//! Invariant: a handshake of another kind than the one asked for is a fault and no figure. A
//! server that resumes when a full handshake was asked for looks ten times as fast as it is.

use std::fmt;
use std::str::FromStr;

use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, ALL_KX_GROUPS};
use rustls::{CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion};

pub use crate::pki::Kind as KeyKind;

/// Version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    #[default]
    Tls13,
}

impl Version {
    /// What rustls calls it.
    #[must_use]
    pub fn protocol(self) -> ProtocolVersion {
        match self {
            Self::Tls12 => ProtocolVersion::TLSv1_2,
            Self::Tls13 => ProtocolVersion::TLSv1_3,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        })
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "1.2" => Ok(Self::Tls12),
            "1.3" => Ok(Self::Tls13),
            _ => Err(format!("`{text}` is no version: 1.2 or 1.3")),
        }
    }
}

/// Whether a handshake proves who the server is, or goes on with an earlier session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// With certificate and signature.
    #[default]
    Full,
    /// From a ticket or a session of the server's cache.
    Resumed,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
        })
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "full" => Ok(Self::Full),
            "resumed" => Ok(Self::Resumed),
            _ => Err(format!("`{text}` is no kind of handshake: full or resumed")),
        }
    }
}

/// What every handshake of a run has to be. What is `None` is the server's to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    /// Version: the only one offered.
    pub version: Version,
    /// Full or resumed.
    pub kind: Kind,
    /// Cipher suite: the only one offered.
    pub suite: Option<CipherSuite>,
    /// Group of the key agreement: the only one offered.
    pub group: Option<NamedGroup>,
    /// Key of the certificate: expected, as a client cannot ask for a size.
    pub key: Option<KeyKind>,
}

/// What a handshake came to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Facts {
    /// Version.
    pub version: Option<ProtocolVersion>,
    /// Full, with another round, or resumed.
    pub kind: Option<HandshakeKind>,
    /// Cipher suite.
    pub suite: Option<CipherSuite>,
    /// Group; of a resumption in TLS 1.2 there is none.
    pub group: Option<NamedGroup>,
    /// Key of the certificate, when it is one of those known.
    pub key: Option<KeyKind>,
}

impl Shape {
    /// AES-128-GCM and X25519, whatever else is asked: so that no server and no cell gains by a
    /// choice of its own.
    #[must_use]
    pub fn fixed(version: Version, kind: Kind, key: KeyKind) -> Self {
        let suite = match (version, key) {
            (Version::Tls13, _) => CipherSuite::TLS13_AES_128_GCM_SHA256,
            (Version::Tls12, KeyKind::P256 | KeyKind::P384) => {
                CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            }
            (Version::Tls12, _) => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        };
        let group = Some(NamedGroup::X25519);
        Self { version, kind, suite: Some(suite), group, key: Some(key) }
    }

    /// Compares what came with what was asked.
    ///
    /// # Errors
    /// The first difference: what was expected and what came.
    pub fn judge(&self, facts: &Facts) -> Result<(), String> {
        let kind = match facts.kind {
            Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) => {
                Some(Kind::Full)
            }
            Some(HandshakeKind::Resumed) => Some(Kind::Resumed),
            _ => None,
        };
        same("version", Some(self.version.protocol()), facts.version)?;
        same("handshake", Some(self.kind), kind)?;
        same("suite", self.suite, facts.suite)?;
        // TLS 1.2 resumes without a key agreement.
        if kind == Some(Kind::Full) || self.version == Version::Tls13 {
            same("group", self.group, facts.group)?;
        }
        same("key", self.key, facts.key)
    }
}

fn same<T: PartialEq + fmt::Debug>(
    what: &str,
    asked: Option<T>,
    came: Option<T>,
) -> Result<(), String> {
    match (asked, came) {
        (None, _) => Ok(()),
        (asked, came) if asked == came => Ok(()),
        (Some(asked), Some(came)) => Err(format!("{what}: expected {asked:?}, came {came:?}")),
        (Some(asked), None) => Err(format!("{what}: expected {asked:?}, came none")),
    }
}

/// A suite by its name in the registry of IANA or in rustls.
///
/// # Errors
/// There is none of that name; the text lists those there are.
pub fn suite(text: &str) -> Result<CipherSuite, String> {
    let plain = |name: &str| name.to_uppercase().replace("TLS13_", "TLS_");
    let mut suites = ALL_CIPHER_SUITES.iter().map(|suite| suite.suite());
    suites.find(|suite| plain(&format!("{suite:?}")) == plain(text)).ok_or_else(|| {
        let all: Vec<_> = ALL_CIPHER_SUITES.iter().map(|s| format!("{:?}", s.suite())).collect();
        format!("`{text}` is no suite: {}", all.join(", "))
    })
}

/// A group by its name.
///
/// # Errors
/// There is none of that name; the text lists those there are.
pub fn group(text: &str) -> Result<NamedGroup, String> {
    let text = match text.to_lowercase().replace('-', "").as_str() {
        "p256" => "secp256r1".to_owned(),
        "p384" => "secp384r1".to_owned(),
        plain => plain.to_owned(),
    };
    let mut groups = ALL_KX_GROUPS.iter().map(|group| group.name());
    groups.find(|group| format!("{group:?}").to_lowercase() == text).ok_or_else(|| {
        let all: Vec<_> = ALL_KX_GROUPS.iter().map(|g| format!("{:?}", g.name())).collect();
        format!("`{text}` is no group: {}", all.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            version: Some(ProtocolVersion::TLSv1_3),
            kind: Some(HandshakeKind::Full),
            suite: Some(CipherSuite::TLS13_AES_128_GCM_SHA256),
            group: Some(NamedGroup::X25519),
            key: Some(KeyKind::P256),
        }
    }

    #[test]
    fn every_difference_is_told_with_both_sides() {
        let shape = Shape {
            suite: Some(CipherSuite::TLS13_AES_128_GCM_SHA256),
            group: Some(NamedGroup::X25519),
            key: Some(KeyKind::P256),
            ..Shape::default()
        };
        assert_eq!(shape.judge(&facts()), Ok(()));
        let wrong = |change: fn(&mut Facts)| {
            let mut facts = facts();
            change(&mut facts);
            shape.judge(&facts).unwrap_err()
        };
        assert_eq!(
            wrong(|f| f.kind = Some(HandshakeKind::Resumed)),
            "handshake: expected Full, came Resumed"
        );
        assert!(wrong(|f| f.version = Some(ProtocolVersion::TLSv1_2)).starts_with("version"));
        assert!(wrong(|f| f.suite = None).contains("came none"));
        assert!(wrong(|f| f.group = Some(NamedGroup::secp256r1)).contains("secp256r1"));
        assert!(wrong(|f| f.key = Some(KeyKind::P384)).contains("P384"));
    }

    #[test]
    fn a_full_handshake_is_no_resumed_one() {
        let shape = Shape { kind: Kind::Resumed, ..Shape::default() };
        assert!(shape.judge(&facts()).is_err());
        let retried = Facts { kind: Some(HandshakeKind::FullWithHelloRetryRequest), ..facts() };
        assert_eq!(Shape::default().judge(&retried), Ok(()));
    }

    #[test]
    fn names_are_those_of_the_registry_or_of_rustls() {
        let tls13 = CipherSuite::TLS13_AES_128_GCM_SHA256;
        assert_eq!(suite("TLS_AES_128_GCM_SHA256"), Ok(tls13));
        assert_eq!(suite("TLS13_AES_128_GCM_SHA256"), Ok(tls13));
        assert_eq!(group("x25519"), Ok(NamedGroup::X25519));
        assert_eq!(group("P-256"), Ok(NamedGroup::secp256r1));
        assert!(group("P-12").unwrap_err().contains("X25519"));
    }
}
