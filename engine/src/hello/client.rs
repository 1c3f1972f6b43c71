//! What a client offers, as owned data.

use std::borrow::Cow;

use crate::iana;
use crate::record::Offer;

/// A server name that is no DNS name: kept for the record, never used to choose a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OddName {
    /// An IP address, which RFC 6066 forbids in the extension.
    Address(String),
    /// Anything else that is no DNS name, printable and cut to a bounded length.
    Illegal(String),
}

/// A decoded ClientHello. Lists are in the client's order, GREASE and signalling values removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// Version field of the message; TLS 1.3 clients freeze it at 0x0303.
    pub legacy_version: u16,
    /// Versions offered, highest first: `supported_versions`, else the version field alone (which
    /// means "up to").
    pub versions: Vec<u16>,
    /// Whether the client listed its versions instead of naming the highest.
    pub lists_versions: bool,
    /// Cipher suites.
    pub suites: Vec<u16>,
    /// Groups of `supported_groups`.
    pub groups: Vec<u16>,
    /// Groups the client sent a key share for.
    pub key_shares: Vec<u16>,
    /// `signature_algorithms`; none when the extension is missing.
    pub signature_algorithms: Option<Vec<u16>>,
    /// `signature_algorithms_cert`; none when the extension is missing.
    pub signature_algorithms_cert: Option<Vec<u16>>,
    /// Server name: a valid DNS name, lower case, without a trailing dot.
    pub sni: Option<String>,
    /// A server name that is no DNS name.
    pub odd_sni: Option<OddName>,
    /// ALPN protocols.
    pub alpn: Vec<Vec<u8>>,
    /// Length of the session ID.
    pub session_id_len: u8,
    /// `pre_shared_key` present: TLS 1.3 resumption is offered.
    pub pre_shared_key: bool,
    /// A non-empty `session_ticket`: TLS 1.2 resumption is offered.
    pub session_ticket: bool,
    /// `early_data` present.
    pub early_data: bool,
    /// `extended_master_secret` present (RFC 7627).
    pub extended_master_secret: bool,
    /// Secure renegotiation signalled, by extension or by suite value (RFC 5746).
    pub secure_renegotiation: bool,
    /// `TLS_FALLBACK_SCSV` present (RFC 7507).
    pub fallback_scsv: bool,
    /// Length of the message in bytes, its header included.
    pub len: usize,
}

impl ClientHello {
    /// Highest version the client offers; 0 when it lists none we know.
    #[must_use]
    pub fn best_version(&self) -> u16 {
        self.versions.iter().copied().filter(|v| *v <= iana::TLS13).max().unwrap_or(0)
    }

    /// Forgets the lists. Once a handshake is complete nobody asks for them, unless a mode judges.
    pub(crate) fn forget_lists(&mut self) {
        self.versions = Vec::new();
        self.suites = Vec::new();
        self.groups = Vec::new();
        self.key_shares = Vec::new();
        self.signature_algorithms = None;
        self.signature_algorithms_cert = None;
        self.alpn = Vec::new();
    }

    /// The server name as the client wrote it, whether it is one or not; safe to print.
    #[must_use]
    pub fn asked_name(&self) -> Option<&str> {
        match (&self.sni, &self.odd_sni) {
            (Some(name), _) | (None, Some(OddName::Address(name) | OddName::Illegal(name))) => {
                Some(name)
            }
            (None, None) => None,
        }
    }

    /// Whether the client can speak `version`.
    #[must_use]
    pub fn offers_version(&self, version: u16) -> bool {
        if self.lists_versions {
            self.versions.contains(&version)
        } else {
            self.versions.iter().any(|highest| version <= *highest)
        }
    }

    /// Schemes the client accepts in the signatures of certificates: `signature_algorithms_cert`,
    /// else `signature_algorithms` (RFC 8446 §4.2.3).
    #[must_use]
    pub fn cert_schemes(&self) -> Option<&[u16]> {
        self.signature_algorithms_cert.as_deref().or(self.signature_algorithms.as_deref())
    }

    /// Whether the client offers to resume a session, by whatever means.
    #[must_use]
    pub fn offers_resumption(&self) -> bool {
        // A TLS 1.3 client may fill the session ID only to look like TLS 1.2 (RFC 8446 D.4).
        let session_id = self.session_id_len > 0 && !self.versions.contains(&iana::TLS13);
        self.pre_shared_key || self.session_ticket || session_id
    }

    /// Whether the suites it offers are all of kinds the predicate names. False for an empty or
    /// wholly unknown list.
    #[must_use]
    pub fn offers_only(&self, kind: impl Fn(&iana::Suite) -> bool) -> bool {
        let mut known = self.suites.iter().filter_map(|id| iana::suite(*id)).peekable();
        known.peek().is_some() && known.all(|suite| kind(&suite))
    }

    /// Whether any suite it offers is of a kind we serve: AEAD with ephemeral keys.
    #[must_use]
    pub fn offers_servable_suite(&self) -> bool {
        self.suites.iter().filter_map(|id| iana::suite(*id)).any(|suite| suite.is_servable())
    }

    /// Whether every suite it offers encrypts with a block cipher in CBC.
    #[must_use]
    pub fn offers_only_cbc(&self) -> bool {
        use iana::Protection::{Cbc, Des, Rc2, TripleDes};
        self.offers_only(|suite| matches!(suite.protection, Cbc | TripleDes | Des | Rc2))
    }

    /// Whether every suite it offers encrypts with RC4.
    #[must_use]
    pub fn offers_only_rc4(&self) -> bool {
        self.offers_only(|suite| suite.protection == iana::Protection::Rc4)
    }

    /// What the client offers, in names, for the connection record.
    #[must_use]
    pub fn offer(&self) -> Offer {
        let names = |list: &[u16], name: fn(u16) -> Cow<'static, str>| {
            list.iter().map(|number| name(*number)).collect()
        };
        Offer {
            versions: names(&self.versions, iana::version_name),
            suites: names(&self.suites, iana::suite_name),
            groups: names(&self.groups, iana::group_name),
            signature_schemes: names(
                self.signature_algorithms.as_deref().unwrap_or_default(),
                iana::scheme_name,
            ),
            alpn: self.alpn.iter().map(|name| printable(name)).collect(),
        }
    }
}

/// Longest text kept of a name that a client made up.
const MAX_TEXT_LEN: usize = 255;

/// A client's bytes as text that is safe to print: everything but visible ASCII is escaped.
pub(super) fn printable(bytes: &[u8]) -> String {
    let bytes = bytes.get(..MAX_TEXT_LEN).unwrap_or(bytes);
    bytes.escape_ascii().to_string()
}
