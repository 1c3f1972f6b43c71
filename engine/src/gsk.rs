//! System SSL function return codes and CMS status codes.
//!
//! Purpose: the numbers an operator of AT-TLS or of the SSL server knows, with a meaning in our own
//! words and the TLS alert that goes with each. One mapping in both directions: [`GskCode::alert`]
//! and [`Alert::gsk`]; a row marked `both` is a bijection, which a test checks.
//!
//! Deliberately not here: ICSF return and reason codes ([`crate::icsf`]), our refusal rules
//! ([`crate::rules`]).
//!
//! Source: IBM "Cryptographic Services System SSL Programming" (`gskssl.h`), the GSK API binding of
//! IBM i, IBM MQ's table of GSKit codes. Rows marked `recalled` stand in none of the texts we could
//! read: their number, name and meaning are general knowledge, and `explain` says so.

mod codes;

use std::fmt;

use crate::alert::Alert;

pub use codes::{ATTLS_TABLE, TABLE};

/// A System SSL return code, e.g. 402 `GSK_ERR_NO_CIPHERS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GskCode(pub u16);

/// How sure we are of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Number and meaning stand in a published text.
    Published,
    /// General knowledge, not confirmed by a text we could read.
    Recalled,
}

/// The TLS alert that goes with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertLink {
    /// The code belongs to this alert and the alert to this code.
    Both(Alert),
    /// A session that ends with this code sends the alert; the alert belongs to another code.
    Sends(Alert),
    /// Local: nothing is sent for it.
    None,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The code.
    pub code: GskCode,
    /// Name in `gskssl.h`.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub action: &'static str,
    /// Alert that goes with it.
    pub alert: AlertLink,
    /// How sure we are.
    pub standing: Standing,
    /// Whether this product can report it; the others are known so that `explain` can tell.
    pub occurs: bool,
}

/// Alerts without a code of their own, and the code that stands for them.
const SHARED: &[(Alert, GskCode)] = &[
    (Alert::DECRYPTION_FAILED, GskCode::ERR_BAD_MAC),
    (Alert::ILLEGAL_PARAMETER, GskCode::ERR_BAD_PEER),
    (Alert::INSUFFICIENT_SECURITY, GskCode::ERR_NO_CIPHERS),
    (Alert::INAPPROPRIATE_FALLBACK, GskCode::ERR_BAD_PEER),
    (Alert::USER_CANCELED, GskCode::ERR_CONNECTION_CLOSED),
    (Alert::MISSING_EXTENSION, GskCode::ERR_BAD_PEER),
    (Alert::UNSUPPORTED_EXTENSION, GskCode::ERR_BAD_PEER),
];

/// The code a session ends with when `alert` was sent or received.
pub(crate) fn of_alert(alert: Alert) -> GskCode {
    let exact = TABLE.iter().find(|row| row.alert == AlertLink::Both(alert)).map(|row| row.code);
    let shared = || SHARED.iter().find(|(shared, _)| *shared == alert).map(|(_, code)| *code);
    exact.or_else(shared).unwrap_or(GskCode::ERR_UNKNOWN_ALERT)
}

impl GskCode {
    /// The table row, when the number is known.
    #[must_use]
    pub fn row(self) -> Option<&'static Row> {
        let table = if self.is_attls() { ATTLS_TABLE } else { TABLE };
        table.iter().find(|row| row.code == self)
    }

    /// Whether the number is one of AT-TLS (5001 and up) rather than of System SSL.
    #[must_use]
    pub fn is_attls(self) -> bool {
        self.0 >= 5000
    }

    /// Name in `gskssl.h`, or `GSK_UNKNOWN`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("GSK_UNKNOWN", |row| row.name)
    }

    /// What to do about it.
    #[must_use]
    pub fn action(self) -> &'static str {
        self.row().map_or("look it up in the manual of who reported it", |row| row.action)
    }

    /// What it means.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.row().map_or("a code that is not in our table", |row| row.meaning)
    }

    /// The alert that goes with it, if one does.
    #[must_use]
    pub fn alert(self) -> Option<Alert> {
        match self.row()?.alert {
            AlertLink::Both(alert) | AlertLink::Sends(alert) => Some(alert),
            AlertLink::None => None,
        }
    }

    /// The code with this name; the prefix `GSK_` may be missing, and IBM i's `ERROR` is accepted.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_uppercase().replace("GSK_ERROR_", "GSK_ERR_");
        let name = name.strip_prefix("GSK_").unwrap_or(&name);
        let bare = |row: &&Row| row.name.strip_prefix("GSK_").unwrap_or(row.name) == name;
        TABLE.iter().chain(ATTLS_TABLE).find(bare).map(|row| row.code)
    }
}

impl fmt::Display for GskCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.is_attls() { "AT-TLS" } else { "GSK" };
        write!(f, "{family} {} {}", self.0, self.name())
    }
}

/// A CMS status code: certificate management and the services below the TLS protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CmsStatus(pub u32);

/// CMS status codes whose number is published.
pub const CMS_TABLE: &[(CmsStatus, &str)] = &[
    (CmsStatus(0x0335_3003), "the cryptographic algorithm is not supported"),
    (CmsStatus(0x0335_3007), "an input/output request failed"),
    (CmsStatus(0x0335_3009), "the file or key ring was not found"),
    (CmsStatus(0x0335_3014), "a record is too big"),
    (CmsStatus(0x0335_3016), "the password is not correct"),
    (CmsStatus(0x0335_301A), "there is no private key"),
    (CmsStatus(0x0335_301C), "the record label is not unique"),
    (CmsStatus(0x0335_301F), "the Base64 text is not valid"),
    (CmsStatus(0x0335_3020), "the encoding of the file or message is not recognised"),
    (CmsStatus(0x0335_3022), "the certificate has expired (goes with GSK 401)"),
    (CmsStatus(0x0335_302F), "a self-signed certificate is in no trusted source (with GSK 8)"),
    (CmsStatus(0x0335_3034), "the key size is not supported"),
    (CmsStatus(0x0335_3041), "the certificate is revoked (goes with GSK 431)"),
    (CmsStatus(0x0335_3058), "a part of the RSA key is missing"),
    (CmsStatus(0x0335_3059), "a part of the RSA key is missing"),
    (CmsStatus(0x0335_305A), "a part of the RSA key is missing"),
    (CmsStatus(0x0335_305B), "a part of the RSA key is missing"),
    (CmsStatus(0x0335_305C), "a part of the RSA key is missing"),
    (CmsStatus(0x0335_305D), "a part of the RSA key is missing"),
    (CmsStatus(0x0335_307E), "the elliptic curve is not supported"),
    (CmsStatus(0x0335_307F), "elliptic curve parameters were not supplied"),
    (CmsStatus(0x0335_3082), "the elliptic curve is not supported in FIPS mode"),
    (CmsStatus::ICSF_SERVICE_FAILURE, "an ICSF callable service failed; see its RC and RSN"),
    (CmsStatus::NOT_IN_ICSF_FIPS, "ICSF in FIPS mode supports not this algorithm or key size"),
    (CmsStatus(0x0335_3093), "the key policy of ICSF forbids clear keys"),
];

impl CmsStatus {
    /// An ICSF callable service failed.
    pub const ICSF_SERVICE_FAILURE: Self = Self(0x0335_3084);
    /// The algorithm or key size is not supported by ICSF in FIPS mode.
    pub const NOT_IN_ICSF_FIPS: Self = Self(0x0335_308F);

    /// What it means, when the number is published.
    #[must_use]
    pub fn meaning(self) -> Option<&'static str> {
        CMS_TABLE.iter().find(|(status, _)| *status == self).map(|(_, meaning)| *meaning)
    }
}

impl fmt::Display for CmsStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CMS {:08X}", self.0)
    }
}

#[cfg(test)]
mod tests;
