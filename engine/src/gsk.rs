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
//! read: their number and meaning are general knowledge, and `explain` says so.

use std::fmt;

use crate::alert::Alert;

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
    /// Alert that goes with it.
    pub alert: AlertLink,
    /// How sure we are.
    pub standing: Standing,
    /// Whether this product can report it; the others are known so that `explain` can tell.
    pub occurs: bool,
}

macro_rules! standing {
    (published) => {
        Standing::Published
    };
    (recalled) => {
        Standing::Recalled
    };
}

macro_rules! occurs {
    (occurs) => {
        true
    };
    (foreign) => {
        false
    };
}

macro_rules! link {
    (both $number:literal) => {
        AlertLink::Both(Alert($number))
    };
    (sends $number:literal) => {
        AlertLink::Sends(Alert($number))
    };
    (local) => {
        AlertLink::None
    };
}

macro_rules! codes {
    ($($number:literal $name:ident $standing:ident $occurs:ident [$($link:tt)+] $meaning:literal;)*)
    => {
        impl GskCode {
            $(
                #[doc = concat!($meaning, ".")]
                pub const $name: Self = Self($number);
            )*
        }

        /// Every System SSL code we know, in order of number.
        pub const TABLE: &[Row] = &[$(
            Row {
                code: GskCode($number),
                name: concat!("GSK_", stringify!($name)),
                meaning: $meaning,
                alert: link!($($link)+),
                standing: standing!($standing),
                occurs: occurs!($occurs),
            },
        )*];
    };
}

codes! {
    0 OK published occurs [local] "the function completed";
    1 INVALID_HANDLE published foreign [sends 80]
        "an environment or connection handle is not valid";
    2 API_NOT_AVAILABLE recalled foreign [local]
        "the function is not available in this environment";
    3 INTERNAL_ERROR published occurs [sends 80] "an internal error of the TLS implementation";
    4 INSUFFICIENT_STORAGE published occurs [sends 80] "no memory could be obtained";
    5 INVALID_STATE published foreign [sends 80] "the handle is in a state that forbids the call";
    6 KEY_LABEL_NOT_FOUND published occurs [sends 80]
        "the label is in no key ring, key database or token";
    7 CERTIFICATE_NOT_AVAILABLE published occurs [sends 40]
        "no certificate of ours can serve this connection";
    8 ERR_CERT_VALIDATION published occurs [sends 46]
        "a certificate did not pass validation; the CMS status code says why";
    9 ERR_CRYPTO published occurs [sends 80]
        "a cryptographic operation failed; the ICSF return and reason code say why";
    10 ERR_ASN published occurs [sends 50] "ASN.1 data could not be read";
    11 ERR_LDAP published foreign [sends 80] "the LDAP directory reported an error";
    12 ERR_UNKNOWN_ERROR published foreign [sends 80] "an error that has no code of its own";
    13 ERR_STRUCTURE_TOO_SMALL published foreign [local]
        "a structure passed to the API is too small";
    14 ERR_CIPHER_STRUCTURE_MISSING published foreign [local]
        "the API was called without the cipher structure it needs";
    101 OPEN_CIPHER_ERROR recalled foreign [local] "the cipher could not be opened";
    102 KEYFILE_IO_ERROR published occurs [local] "the key database or ring could not be read";
    103 KEYFILE_INVALID_FORMAT published occurs [local]
        "a record of the key database has a bad format";
    104 KEYFILE_DUPLICATE_KEY published foreign [local] "the key database holds the same key twice";
    105 KEYFILE_DUPLICATE_LABEL published foreign [local]
        "the key database holds the same label twice";
    106 BAD_FORMAT_OR_INVALID_PASSWORD published foreign [local]
        "the password of the key database is wrong, or its format is";
    107 KEYFILE_CERT_EXPIRED published occurs [sends 45]
        "the certificate in the key database has expired";
    108 ERR_LOAD_GSKLIB published foreign [local]
        "a library that System SSL needs cannot be loaded";
    109 NO_CA_CERTIFICATES published foreign [local] "the key store holds no CA certificate";
    201 NO_KEYFILE_PASSWORD published foreign [local]
        "no password was given for the key database";
    202 KEYRING_OPEN_ERROR published occurs [local]
        "the key database, ring or certificate file cannot be opened";
    203 RSA_TEMP_KEY_PAIR published foreign [sends 80] "a temporary key pair could not be made";
    204 KEYFILE_PASSWORD_EXPIRED published foreign [local]
        "the password of the key database has expired";
    302 CONNECTION_ACTIVE published foreign [local]
        "the call is not possible while the connection is active";
    401 ERR_BAD_DATE published occurs [both 45] "a certificate has expired or is not valid yet";
    402 ERR_NO_CIPHERS published occurs [both 40]
        "the two sides have no cipher suite, group or signature scheme in common";
    403 ERR_NO_CERTIFICATE published occurs [both 116]
        "the partner sent no certificate although one is required (alert 40 before TLS 1.3)";
    404 ERR_BAD_CERTIFICATE published occurs [both 42] "the partner's certificate is corrupt";
    405 ERR_UNSUPPORTED_CERTIFICATE_TYPE published occurs [both 43]
        "a certificate is of a kind, or has a curve, the other side cannot use";
    406 ERR_IO published occurs [local] "reading or writing the socket failed";
    407 ERR_BAD_KEYFILE_LABEL published foreign [sends 80] "the configured label does not exist";
    408 ERR_BAD_KEYFILE_PASSWORD published foreign [local]
        "the password of the key database is wrong";
    409 ERR_BAD_KEY_LEN_FOR_EXPORT published foreign [both 60]
        "the key is longer than an export suite permits";
    410 ERR_BAD_MESSAGE published occurs [both 50] "the partner sent a malformed message";
    411 ERR_BAD_MAC published occurs [both 20] "a record failed authentication";
    412 ERR_UNSUPPORTED published occurs [both 70]
        "the protocol version or certificate type is not supported";
    413 ERR_BAD_CERT_SIG published occurs [both 51]
        "a signature of a certificate or of the handshake does not verify";
    414 ERR_BAD_CERT published occurs [both 46] "a certificate is not valid for this use";
    415 ERR_BAD_PEER published occurs [both 10] "the partner violated the protocol";
    416 ERR_PERMISSION_DENIED published occurs [both 49] "access control refused the partner";
    417 ERR_SELF_SIGNED published occurs [sends 48]
        "the partner's certificate is self-signed and not among the trusted ones";
    418 ERR_NO_READ_FUNCTION published foreign [local] "no read routine was given to the API";
    419 ERR_NO_WRITE_FUNCTION published foreign [local] "no write routine was given to the API";
    420 ERR_SOCKET_CLOSED published occurs [local]
        "the partner closed the TCP connection without ending the TLS session";
    421 ERR_BAD_V2_CIPHER published foreign [local] "an SSLv2 cipher specification is not valid";
    422 ERR_BAD_V3_CIPHER published foreign [local] "a cipher specification is not valid";
    423 ERR_BAD_SEC_TYPE published foreign [local] "a protocol specification is not valid";
    424 ERR_BAD_SEC_TYPE_COMBINATION published foreign [local]
        "the enabled protocols do not go together, or none is enabled";
    425 ERR_HANDLE_CREATION_FAILED published foreign [local] "a handle could not be made";
    426 ERR_INITIALIZATION_FAILED published foreign [local] "the environment could not be set up";
    427 ERR_LDAP_NOT_AVAILABLE published foreign [sends 80] "the LDAP directory cannot be reached";
    428 ERR_NO_PRIVATE_KEY published occurs [local]
        "the certificate has no private key, or the key does not belong to it";
    429 ERR_INVALID_V2_HEADER recalled foreign [sends 10] "an SSLv2 record header is not valid";
    431 ERR_CERTIFICATE_REVOKED published occurs [both 44] "the certificate has been revoked";
    432 ERR_RENEGOTIATION_INDICATION published occurs [both 100]
        "the partner asked for renegotiation, which is not allowed";
    433 ERR_EXPORT_KEY_SIZE recalled foreign [sends 60]
        "the temporary key is too long for an export suite";
    434 ERR_INCOMPATIBLE_KEY recalled foreign [sends 40]
        "the certificate's key does not fit the cipher suite";
    435 ERR_UNKNOWN_CA recalled occurs [both 48]
        "the chain leads to no certificate authority we trust";
    436 ERR_BAD_CRL recalled foreign [sends 46] "the certificate revocation list cannot be used";
    437 ERR_CONNECTION_CLOSED recalled occurs [both 0]
        "the partner ended the session in order (close_notify)";
    438 ERR_INTERNAL_ERROR recalled occurs [both 80]
        "the partner reported an internal error of its own by alert";
    439 ERR_UNKNOWN_ALERT recalled occurs [local]
        "the partner sent an alert that has no code of its own";
    440 ERR_INCORRECT_KEY_USAGE published occurs [sends 43]
        "the certificate's key usage forbids this use";
    442 ERR_MULTIPLE_LABEL recalled foreign [local] "several certificates have the same label";
    443 ERR_MULTIPLE_DEFAULT recalled foreign [local] "several keys are marked as the default";
    444 ERR_RNG recalled foreign [sends 80] "the random number generator failed";
    445 ERR_DATABASE_NOT_FIPS recalled foreign [local]
        "a FIPS mode is on and the key database is not a FIPS one";
    446 ERR_TLS_EXTENSION_MISMATCH recalled foreign [sends 110]
        "a TLS extension contradicts what was agreed";
    447 ERR_REQUIRED_TLS_EXTENSION recalled foreign [sends 109]
        "a TLS extension we require was not sent";
    448 ERR_UNRECOGNIZED_NAME recalled occurs [both 112]
        "no service answers to the server name the client asked for";
    449 ERR_FRAGMENT_LENGTH recalled foreign [sends 47]
        "the maximum fragment length extension is not acceptable";
    450 ERR_TRUNCATED_HMAC recalled foreign [sends 47]
        "the truncated HMAC extension is not acceptable";
    451 ERR_ECURVE_NOT_SUPPORTED recalled foreign [sends 40] "the elliptic curve is not supported";
    452 ERR_EC_PARAMETERS_NOT_SUPPLIED recalled foreign [sends 47]
        "the partner sent no elliptic curve parameters";
    453 ERR_EC_POINT_FORMAT recalled foreign [sends 47] "the point format is not supported";
    454 ERR_EC_SIGNATURE recalled foreign [sends 51] "an elliptic curve signature is not valid";
    455 ERR_ICSF_NOT_AVAILABLE recalled foreign [sends 80] "ICSF is not available";
    456 ERR_ICSF_SERVICE_FAILURE recalled occurs [sends 80]
        "an ICSF callable service failed; see its return and reason code";
    457 ERR_ICSF_NOT_FIPS recalled foreign [sends 80] "ICSF does not run in FIPS mode";
    458 ERR_ICSF_PKCS11_DISABLED recalled foreign [sends 80]
        "the PKCS #11 services of ICSF are disabled";
    459 ERR_ICSF_CLEAR_KEY recalled foreign [sends 80] "ICSF has no clear-key support here";
    501 INVALID_BUFFER_SIZE published foreign [local] "a buffer size is zero or negative";
    502 WOULD_BLOCK published foreign [local] "the socket would block; call again";
    503 WOULD_BLOCK_READ recalled foreign [local] "reading would block; call again";
    504 WOULD_BLOCK_WRITE recalled foreign [local] "writing would block; call again";
    505 ERR_RECORD_OVERFLOW recalled occurs [both 22] "a record is longer than the protocol allows";
    516 TLS13_HANDSHAKE_516 recalled foreign [local]
        "a TLS 1.3 handshake failure named in CICS APARs; its meaning is not published";
    517 TLS13_HANDSHAKE_517 recalled foreign [local]
        "a TLS 1.3 handshake failure named in CICS APARs; its meaning is not published";
    542 TLS13_HANDSHAKE_542 recalled foreign [local]
        "a TLS 1.3 handshake failure named in CICS APARs; its meaning is not published";
    601 ERR_NOT_SSLV3 published foreign [local] "the session is not SSLv3 or later";
    602 MISC_INVALID_ID published foreign [local] "an identifier passed to the API is not valid";
    701 ATTRIBUTE_INVALID_ID published foreign [local] "an attribute identifier is not valid";
    702 ATTRIBUTE_INVALID_LENGTH published foreign [local]
        "an attribute has a length that is not valid";
    703 ATTRIBUTE_INVALID_ENUMERATION published foreign [local]
        "an attribute has an enumerated value that is not valid";
    704 ATTRIBUTE_INVALID_SID_CACHE published foreign [local]
        "the session cache attribute is not valid";
    705 ATTRIBUTE_INVALID_NUMERIC_VALUE published foreign [local]
        "an attribute has a number out of range";
}

macro_rules! attls {
    ($($number:literal $name:ident $standing:ident $occurs:ident $meaning:literal;)*) => {
        impl GskCode {
            $(
                #[doc = concat!($meaning, ".")]
                pub const $name: Self = Self($number);
            )*
        }

        /// AT-TLS codes; they share one number space with System SSL (5001 and up). The names are
        /// ours: IBM gives these numbers no symbol. No alert goes with them.
        pub const ATTLS_TABLE: &[Row] = &[$(
            Row {
                code: GskCode($number),
                name: stringify!($name),
                meaning: $meaning,
                alert: AlertLink::None,
                standing: standing!($standing),
                occurs: occurs!($occurs),
            },
        )*];
    };
}

attls! {
    5001 ATTLS_NO_CLIENT_CERTIFICATE published foreign
        "a client certificate is required and none was sent";
    5002 ATTLS_NO_USER_FOR_CERTIFICATE published foreign
        "the client certificate belongs to no user of the security product";
    5003 ATTLS_CLEAR_TEXT published occurs "clear text arrived where TLS was expected";
    5004 ATTLS_HANDSHAKE_NOT_STARTED published occurs
        "the handshake timer expired before the client sent any TLS data";
    5005 ATTLS_HANDSHAKE_NOT_COMPLETED recalled occurs
        "the handshake timer expired before the handshake was complete";
    5006 ATTLS_ENVIRONMENT_UNUSABLE recalled foreign
        "the connection was rejected because of an earlier failure of its environment";
    5018 ATTLS_GROUP_FAILED published foreign
        "the AT-TLS group has failed and maps no further connection";
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
    (CmsStatus::ICSF_SERVICE_FAILURE, "an ICSF callable service failed; see its RC and RSN"),
    (CmsStatus::NOT_IN_ICSF_FIPS, "ICSF in FIPS mode supports not this algorithm or key size"),
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
mod tests {
    use super::*;
    use crate::alert;

    #[test]
    fn numbers_are_ascending_and_names_unique() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].code < pair[1].code, "{:?}", pair[1]);
        }
        for row in TABLE.iter().chain(ATTLS_TABLE) {
            assert_eq!(row.code.row().map(|row| row.name), Some(row.name));
            assert_eq!(GskCode::from_name(row.name), Some(row.code), "{}", row.name);
            assert!(!row.meaning.ends_with('.'), "{}", row.name);
        }
        for pair in CMS_TABLE.windows(2) {
            assert!(pair[0].0 < pair[1].0);
        }
    }

    #[test]
    fn codes_and_alerts_agree_in_both_directions() {
        let mut pairs = 0;
        for row in TABLE {
            if let AlertLink::Both(alert) = row.alert {
                assert_eq!(alert.gsk(), row.code, "{alert}");
                assert_eq!(row.code.alert(), Some(alert), "{}", row.name);
                pairs += 1;
            }
        }
        assert_eq!(pairs, 20);
        for row in alert::TABLE {
            let code = row.alert.gsk();
            if code.row().is_some_and(|code| code.alert == AlertLink::Both(row.alert)) {
                continue;
            }
            let shared = SHARED.iter().any(|(alert, _)| *alert == row.alert);
            assert!(shared || code == GskCode::ERR_UNKNOWN_ALERT, "{}", row.name);
        }
    }

    #[test]
    fn an_alert_without_a_name_is_an_unknown_alert() {
        assert_eq!(Alert(200).gsk(), GskCode::ERR_UNKNOWN_ALERT);
    }

    #[test]
    fn text_form() {
        assert_eq!(GskCode(402).to_string(), "GSK 402 GSK_ERR_NO_CIPHERS");
        assert_eq!(GskCode(5003).to_string(), "AT-TLS 5003 ATTLS_CLEAR_TEXT");
        assert_eq!(GskCode(999).to_string(), "GSK 999 GSK_UNKNOWN");
        assert_eq!(CmsStatus::ICSF_SERVICE_FAILURE.to_string(), "CMS 03353084");
    }

    #[test]
    fn names_of_other_platforms_are_understood() {
        assert_eq!(GskCode::from_name("GSK_ERROR_NO_CIPHERS"), Some(GskCode(402)));
        assert_eq!(GskCode::from_name("err_no_ciphers"), Some(GskCode(402)));
    }
}
