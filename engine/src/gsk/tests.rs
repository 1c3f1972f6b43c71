//! The rows, pinned, and their alerts.

use super::*;
use crate::alert;

/// Numbers and names are what operators look for and scripts compare: they never change.
const PINNED: &[(u16, &str)] = &[
    (0, "GSK_OK"),
    (1, "GSK_INVALID_HANDLE"),
    (2, "GSK_API_NOT_AVAILABLE"),
    (3, "GSK_INTERNAL_ERROR"),
    (4, "GSK_INSUFFICIENT_STORAGE"),
    (5, "GSK_INVALID_STATE"),
    (6, "GSK_KEY_LABEL_NOT_FOUND"),
    (7, "GSK_CERTIFICATE_NOT_AVAILABLE"),
    (8, "GSK_ERR_CERT_VALIDATION"),
    (9, "GSK_ERR_CRYPTO"),
    (10, "GSK_ERR_ASN"),
    (11, "GSK_ERR_LDAP"),
    (12, "GSK_ERR_UNKNOWN_ERROR"),
    (13, "GSK_ERR_STRUCTURE_TOO_SMALL"),
    (14, "GSK_ERR_CIPHER_STRUCTURE_MISSING"),
    (101, "GSK_OPEN_CIPHER_ERROR"),
    (102, "GSK_KEYFILE_IO_ERROR"),
    (103, "GSK_KEYFILE_INVALID_FORMAT"),
    (104, "GSK_KEYFILE_DUPLICATE_KEY"),
    (105, "GSK_KEYFILE_DUPLICATE_LABEL"),
    (106, "GSK_BAD_FORMAT_OR_INVALID_PASSWORD"),
    (107, "GSK_KEYFILE_CERT_EXPIRED"),
    (108, "GSK_ERR_LOAD_GSKLIB"),
    (109, "GSK_NO_CA_CERTIFICATES"),
    (201, "GSK_NO_KEYFILE_PASSWORD"),
    (202, "GSK_KEYRING_OPEN_ERROR"),
    (203, "GSK_RSA_TEMP_KEY_PAIR"),
    (204, "GSK_KEYFILE_PASSWORD_EXPIRED"),
    (301, "GSK_CLOSE_FAILED"),
    (302, "GSK_CONNECTION_ACTIVE"),
    (401, "GSK_ERR_BAD_DATE"),
    (402, "GSK_ERR_NO_CIPHERS"),
    (403, "GSK_ERR_NO_CERTIFICATE"),
    (404, "GSK_ERR_BAD_CERTIFICATE"),
    (405, "GSK_ERR_UNSUPPORTED_CERTIFICATE_TYPE"),
    (406, "GSK_ERR_IO"),
    (407, "GSK_ERR_BAD_KEYFILE_LABEL"),
    (408, "GSK_ERR_BAD_KEYFILE_PASSWORD"),
    (409, "GSK_ERR_BAD_KEY_LEN_FOR_EXPORT"),
    (410, "GSK_ERR_BAD_MESSAGE"),
    (411, "GSK_ERR_BAD_MAC"),
    (412, "GSK_ERR_UNSUPPORTED"),
    (413, "GSK_ERR_BAD_CERT_SIG"),
    (414, "GSK_ERR_BAD_CERT"),
    (415, "GSK_ERR_BAD_PEER"),
    (416, "GSK_ERR_PERMISSION_DENIED"),
    (417, "GSK_ERR_SELF_SIGNED"),
    (418, "GSK_ERR_NO_READ_FUNCTION"),
    (419, "GSK_ERR_NO_WRITE_FUNCTION"),
    (420, "GSK_ERR_SOCKET_CLOSED"),
    (421, "GSK_ERR_BAD_V2_CIPHER"),
    (422, "GSK_ERR_BAD_V3_CIPHER"),
    (423, "GSK_ERR_BAD_SEC_TYPE"),
    (424, "GSK_ERR_BAD_SEC_TYPE_COMBINATION"),
    (425, "GSK_ERR_HANDLE_CREATION_FAILED"),
    (426, "GSK_ERR_INITIALIZATION_FAILED"),
    (427, "GSK_ERR_LDAP_NOT_AVAILABLE"),
    (428, "GSK_ERR_NO_PRIVATE_KEY"),
    (429, "GSK_ERR_INVALID_V2_HEADER"),
    (431, "GSK_ERR_CERTIFICATE_REVOKED"),
    (432, "GSK_ERR_NO_NEGOTIATION"),
    (433, "GSK_ERR_EXPORT_KEY_SIZE"),
    (434, "GSK_ERR_INCOMPATIBLE_KEY"),
    (435, "GSK_ERR_UNKNOWN_CA"),
    (436, "GSK_ERR_BAD_CRL"),
    (437, "GSK_ERR_CONNECTION_CLOSED"),
    (438, "GSK_ERR_INTERNAL_ERROR"),
    (439, "GSK_ERR_UNKNOWN_ALERT"),
    (440, "GSK_ERR_INCORRECT_KEY_USAGE"),
    (442, "GSK_ERR_MULTIPLE_LABEL"),
    (443, "GSK_ERR_MULTIPLE_DEFAULT"),
    (444, "GSK_ERR_RNG"),
    (445, "GSK_ERR_DATABASE_NOT_FIPS"),
    (446, "GSK_ERR_TLS_EXTENSION_MISMATCH"),
    (447, "GSK_ERR_REQUIRED_TLS_EXTENSION"),
    (448, "GSK_ERR_UNRECOGNIZED_NAME"),
    (449, "GSK_ERR_FRAGMENT_LENGTH"),
    (450, "GSK_ERR_BAD_MSG_LEN"),
    (451, "GSK_ERR_ECURVE_NOT_SUPPORTED"),
    (452, "GSK_ERR_BAD_EC_PARAMS"),
    (453, "GSK_ERR_SIGNATURE_NOT_SUPPLIED"),
    (454, "GSK_ERR_EC_PARAMETERS_NOT_VALID"),
    (455, "GSK_ERR_ICSF_NOT_AVAILABLE"),
    (456, "GSK_ERR_ICSF_SERVICE_FAILURE"),
    (457, "GSK_ERR_ICSF_NOT_FIPS"),
    (458, "GSK_ERR_BAD_V3_EXPANDED_CIPHER"),
    (459, "GSK_ERR_ECURVE_NOT_FIPS_APPROVED"),
    (460, "GSK_ERR_RENEGOTIATION_INDICATION"),
    (461, "GSK_ERR_EC_PARAMETERS_FORMAT"),
    (462, "GSK_ERR_EC_POINT_FORMAT"),
    (463, "GSK_ERR_HARDWARE_NOT_SUPPORTED"),
    (464, "GSK_ERR_BAD_ECURVE_LIST"),
    (465, "GSK_ERR_ICSF_PKCS11_DISABLED"),
    (466, "GSK_ERR_BAD_SIG_ALG_PAIR"),
    (467, "GSK_ERR_SIGNATURE_NOT_IN_PAIRS"),
    (468, "GSK_ERR_KEY_NOT_IN_PAIRS"),
    (469, "GSK_ERR_KEY_ATTRIBUTE"),
    (470, "GSK_ERR_NOT_SUITE_B"),
    (471, "GSK_ERR_SECURE_KEY_FIXED_ECDH"),
    (472, "GSK_ERR_ICSF_CLEAR_KEY"),
    (501, "GSK_INVALID_BUFFER_SIZE"),
    (502, "GSK_WOULD_BLOCK"),
    (503, "GSK_WOULD_BLOCK_READ"),
    (504, "GSK_WOULD_BLOCK_WRITE"),
    (505, "GSK_ERR_RECORD_OVERFLOW"),
    (516, "GSK_TLS13_HANDSHAKE_516"),
    (517, "GSK_TLS13_HANDSHAKE_517"),
    (542, "GSK_TLS13_HANDSHAKE_542"),
    (601, "GSK_ERR_NOT_SSLV3"),
    (602, "GSK_MISC_INVALID_ID"),
    (603, "GSK_MISC_INVALID_ENUMERATION"),
    (604, "GSK_SEQUENCE_NUMBER_NEAR_END"),
    (701, "GSK_ATTRIBUTE_INVALID_ID"),
    (702, "GSK_ATTRIBUTE_INVALID_LENGTH"),
    (703, "GSK_ATTRIBUTE_INVALID_ENUMERATION"),
    (704, "GSK_ATTRIBUTE_INVALID_SID_CACHE"),
    (705, "GSK_ATTRIBUTE_INVALID_NUMERIC_VALUE"),
    (5001, "ATTLS_NO_CLIENT_CERTIFICATE"),
    (5002, "ATTLS_NO_USER_FOR_CERTIFICATE"),
    (5003, "ATTLS_CLEAR_TEXT"),
    (5004, "ATTLS_HANDSHAKE_NOT_STARTED"),
    (5005, "ATTLS_HANDSHAKE_NOT_COMPLETED"),
    (5006, "ATTLS_ENVIRONMENT_UNUSABLE"),
    (5018, "ATTLS_GROUP_FAILED"),
];

#[test]
fn numbers_are_ascending_and_names_unique() {
    for pair in TABLE.windows(2) {
        assert!(pair[0].code < pair[1].code, "{:?}", pair[1]);
    }
    for row in TABLE.iter().chain(ATTLS_TABLE) {
        assert_eq!(row.code.row().map(|row| row.name), Some(row.name));
        assert_eq!(GskCode::from_name(row.name), Some(row.code), "{}", row.name);
        assert!(!row.meaning.ends_with('.') && !row.action.ends_with('.'), "{}", row.name);
        assert!(!row.meaning.is_empty() && !row.action.is_empty(), "{}", row.name);
    }
    for pair in CMS_TABLE.windows(2) {
        assert!(pair[0].0 < pair[1].0);
    }
}

#[test]
fn numbers_and_names_never_change() {
    let rows = TABLE.iter().chain(ATTLS_TABLE);
    let table: Vec<_> = rows.map(|row| (row.code.0, row.name)).collect();
    assert_eq!(table, PINNED);
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
