//! The rows: every System SSL and AT-TLS code we know, with what to do about it.

use super::{AlertLink, GskCode, Row, Standing};
use crate::alert::Alert;

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
    ($($number:literal $name:ident $standing:ident $occurs:ident [$($link:tt)+]
        $meaning:literal => $action:literal;)*)
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
                action: $action,
                alert: link!($($link)+),
                standing: standing!($standing),
                occurs: occurs!($occurs),
            },
        )*];
    };
}

codes! {
    0 OK published occurs [local] "the function completed"
        => "nothing to do";
    1 INVALID_HANDLE published foreign [sends 80] "an environment or connection handle is not valid"
        => "open the environment and the connection before using them, never after closing";
    2 API_NOT_AVAILABLE recalled foreign [local] "the function is not available in this environment"
        => "look whether the library is loaded, and in the level that has the function";
    3 INTERNAL_ERROR published occurs [sends 80] "an internal error of the TLS implementation"
        => "keep the record and report it: this is a bug";
    4 INSUFFICIENT_STORAGE published occurs [sends 80] "no memory could be obtained"
        => "give the process more memory, or lower its limits of connections";
    5 INVALID_STATE published foreign [sends 80] "the handle is in a state that forbids the call"
        => "make the calls in their order: open, set attributes, initialize, use, close";
    6 KEY_LABEL_NOT_FOUND published occurs [sends 80]
        "the label is in no key ring, key database or token"
        => "list the labels and correct the one configured; untrusted certificates do not count";
    7 CERTIFICATE_NOT_AVAILABLE published occurs [sends 40]
        "no certificate of ours can serve this connection"
        => "configure a certificate whose key goes with the suites and schemes the client offers";
    8 ERR_CERT_VALIDATION published occurs [sends 46]
        "a certificate did not pass validation; the CMS status code says why"
        => "look up the CMS status code or the rule that stands next to it";
    9 ERR_CRYPTO published occurs [sends 80]
        "a cryptographic operation failed; the ICSF return and reason code say why"
        => "look up the return and reason code that stand next to it";
    10 ERR_ASN published occurs [sends 50] "ASN.1 data could not be read"
        => "make the certificate or key anew or export it again: its encoding is damaged";
    11 ERR_LDAP published foreign [sends 80] "the LDAP directory reported an error"
        => "look at the log of the directory server";
    12 ERR_UNKNOWN_ERROR published foreign [sends 80] "an error that has no code of its own"
        => "take a trace of the failing call";
    13 ERR_STRUCTURE_TOO_SMALL published foreign [local]
        "a structure passed to the API is too small"
        => "compile the application against the level of the library it runs with";
    14 ERR_CIPHER_STRUCTURE_MISSING published foreign [local]
        "the API was called without the cipher structure it needs"
        => "pass the structure for the list of suites";
    101 OPEN_CIPHER_ERROR recalled foreign [local] "the cipher could not be opened"
        => "look at the cryptographic provider: the cipher is not there or not started";
    102 KEYFILE_IO_ERROR published occurs [local] "the key database or ring could not be read"
        => "look at the file, its permissions and its disk";
    103 KEYFILE_INVALID_FORMAT published occurs [local]
        "a record of the key database has a bad format"
        => "restore the file from a copy, or export its certificates into a new one";
    104 KEYFILE_DUPLICATE_KEY published foreign [local] "the key database holds the same key twice"
        => "delete one of the two";
    105 KEYFILE_DUPLICATE_LABEL published foreign [local]
        "the key database holds the same label twice"
        => "rename or delete one of the two";
    106 BAD_FORMAT_OR_INVALID_PASSWORD published foreign [local]
        "the password of the key database is wrong, or its format is"
        => "give the right password or stash it again; if it is right, the file is damaged";
    107 KEYFILE_CERT_EXPIRED published occurs [sends 45]
        "the certificate in the key database has expired"
        => "renew the certificate";
    108 ERR_LOAD_GSKLIB published foreign [local] "a library that System SSL needs cannot be loaded"
        => "look whether the library is installed and in the search path";
    109 NO_CA_CERTIFICATES published foreign [local] "the key store holds no CA certificate"
        => "add the certificates of the CAs that issue the partners' certificates";
    201 NO_KEYFILE_PASSWORD published foreign [local] "no password was given for the key database"
        => "stash the password, or give it when asked";
    202 KEYRING_OPEN_ERROR published occurs [local]
        "the key database, ring or certificate file cannot be opened"
        => "look at its name and whether this user may read it";
    203 RSA_TEMP_KEY_PAIR published foreign [sends 80] "a temporary key pair could not be made"
        => "do without export suites: only they need one";
    204 KEYFILE_PASSWORD_EXPIRED published foreign [local]
        "the password of the key database has expired"
        => "change the password and stash it again";
    301 CLOSE_FAILED published foreign [local] "the environment or connection could not be closed"
        => "end its calls first; then close again";
    302 CONNECTION_ACTIVE published foreign [local]
        "the call is not possible while the connection is active"
        => "wait for the call that is under way on the connection";
    401 ERR_BAD_DATE published occurs [both 45] "a certificate has expired or is not valid yet"
        => "renew the certificate; look at the clocks of both hosts";
    402 ERR_NO_CIPHERS published occurs [both 40]
        "the two sides have no cipher suite, group or signature scheme in common"
        => "compare what the client offers with what the service has";
    403 ERR_NO_CERTIFICATE published occurs [both 116]
        "the partner sent no certificate although one is required (alert 40 before TLS 1.3)"
        => "give the client a certificate, or do not require one";
    404 ERR_BAD_CERTIFICATE published occurs [both 42] "the partner's certificate is corrupt"
        => "make or export the partner's certificate again";
    405 ERR_UNSUPPORTED_CERTIFICATE_TYPE published occurs [both 43]
        "a certificate is of a kind, or has a curve, the other side cannot use"
        => "use a certificate with an RSA key, or with one on P-256 or P-384";
    406 ERR_IO published occurs [local] "reading or writing the socket failed"
        => "look for a reset or a time-out on the network between the two hosts";
    407 ERR_BAD_KEYFILE_LABEL published foreign [sends 80] "the configured label does not exist"
        => "list the labels of the key database and correct the one configured";
    408 ERR_BAD_KEYFILE_PASSWORD published foreign [local]
        "the password of the key database is wrong"
        => "give the right password, or stash it again";
    409 ERR_BAD_KEY_LEN_FOR_EXPORT published foreign [both 60]
        "the key is longer than an export suite permits"
        => "do without export suites";
    410 ERR_BAD_MESSAGE published occurs [both 50] "the partner sent a malformed message"
        => "look at the partner's TLS software, and for something between that changes data";
    411 ERR_BAD_MAC published occurs [both 20] "a record failed authentication"
        => "look for something on the way that changes data; else for a fault of the partner";
    412 ERR_UNSUPPORTED published occurs [both 70]
        "the protocol version or certificate type is not supported"
        => "turn on TLS 1.2 or 1.3 at the partner";
    413 ERR_BAD_CERT_SIG published occurs [both 51]
        "a signature of a certificate or of the handshake does not verify"
        => "look whether the CA certificate is the one that issued it, not one of the same name";
    414 ERR_BAD_CERT published occurs [both 46] "a certificate is not valid for this use"
        => "the record says what is wrong with it; issue it anew without that";
    415 ERR_BAD_PEER published occurs [both 10] "the partner violated the protocol"
        => "look at the partner's TLS software; a port may be meant for another protocol";
    416 ERR_PERMISSION_DENIED published occurs [both 49] "access control refused the partner"
        => "permit the partner, or look who is meant to be kept out";
    417 ERR_SELF_SIGNED published occurs [sends 48]
        "the partner's certificate is self-signed and not among the trusted ones"
        => "add that certificate to the trusted ones, or have it issued by a CA";
    418 ERR_NO_READ_FUNCTION published foreign [local] "no read routine was given to the API"
        => "set the callback for reading";
    419 ERR_NO_WRITE_FUNCTION published foreign [local] "no write routine was given to the API"
        => "set the callback for writing";
    420 ERR_SOCKET_CLOSED published occurs [local]
        "the partner closed the TCP connection without ending the TLS session"
        => "look why the partner gave up: its log has the reason";
    421 ERR_BAD_V2_CIPHER published foreign [local] "an SSLv2 cipher specification is not valid"
        => "take SSL 2.0 out of the configuration";
    422 ERR_BAD_V3_CIPHER published foreign [local] "a cipher specification is not valid"
        => "write suites as the specification has them; `adjunct ciphers` lists all names";
    423 ERR_BAD_SEC_TYPE published foreign [local] "a protocol specification is not valid"
        => "write a protocol that exists";
    424 ERR_BAD_SEC_TYPE_COMBINATION published foreign [local]
        "the enabled protocols do not go together, or none is enabled"
        => "enable TLS 1.2 or 1.3 and nothing older";
    425 ERR_HANDLE_CREATION_FAILED published foreign [local] "a handle could not be made"
        => "look at the memory of the process";
    426 ERR_INITIALIZATION_FAILED published foreign [local] "the environment could not be set up"
        => "look at the messages before this one";
    427 ERR_LDAP_NOT_AVAILABLE published foreign [sends 80] "the LDAP directory cannot be reached"
        => "look whether the directory server runs and can be reached from here";
    428 ERR_NO_PRIVATE_KEY published occurs [local]
        "the certificate has no private key, or the key does not belong to it"
        => "import the certificate with its key, or receive it where its request was made";
    429 ERR_INVALID_V2_HEADER recalled foreign [sends 10] "an SSLv2 record header is not valid"
        => "look whether the partner speaks TLS on this port at all";
    431 ERR_CERTIFICATE_REVOKED published occurs [both 44] "the certificate has been revoked"
        => "have a new certificate issued";
    432 ERR_NO_NEGOTIATION published occurs [both 100]
        "the partner asked for renegotiation, which is not allowed"
        => "turn renegotiation off at the partner; TLS 1.3 has none";
    433 ERR_EXPORT_KEY_SIZE recalled foreign [sends 60]
        "the temporary key is too long for an export suite"
        => "do without export suites";
    434 ERR_INCOMPATIBLE_KEY recalled foreign [sends 40]
        "the certificate's key does not fit the cipher suite"
        => "use suites that go with the key: RSA or ECDSA";
    435 ERR_UNKNOWN_CA published occurs [both 48]
        "the chain leads to no certificate authority we trust"
        => "trust the CA of the partner's certificate; have the partner send intermediates";
    436 ERR_BAD_CRL recalled occurs [sends 46] "the certificate revocation list cannot be used"
        => "get a new list from its CA";
    437 ERR_CONNECTION_CLOSED recalled occurs [both 0]
        "the partner ended the session in order (close_notify)"
        => "nothing to do";
    438 ERR_INTERNAL_ERROR recalled occurs [both 80]
        "the partner reported an internal error of its own by alert"
        => "look at the log of the partner";
    439 ERR_UNKNOWN_ALERT recalled occurs [local]
        "the partner sent an alert that has no code of its own"
        => "look up the alert by its number";
    440 ERR_INCORRECT_KEY_USAGE published occurs [sends 43]
        "the certificate's key usage forbids this use"
        => "issue the certificate with key usage and extended key usage for its role";
    442 ERR_MULTIPLE_LABEL recalled foreign [local] "several certificates have the same label"
        => "rename all but one of them";
    443 ERR_MULTIPLE_DEFAULT recalled foreign [local] "several keys are marked as the default"
        => "mark one as the default";
    444 ERR_RNG recalled foreign [sends 80] "the random number generator failed"
        => "look at the source of random numbers of the host or card";
    445 ERR_DATABASE_NOT_FIPS recalled foreign [local]
        "a FIPS mode is on and the key database is not a FIPS one"
        => "create a FIPS database and import the certificates into it";
    446 ERR_TLS_EXTENSION_MISMATCH published foreign [sends 110]
        "a TLS extension contradicts what was asked for or agreed"
        => "look at the partner's TLS software: it answered an extension nobody sent";
    447 ERR_REQUIRED_TLS_EXTENSION recalled foreign [sends 109]
        "a TLS extension that is required was rejected or not sent"
        => "make the extension optional, or turn it on at the partner";
    448 ERR_UNRECOGNIZED_NAME recalled occurs [both 112]
        "no service answers to the server name the client asked for"
        => "add the name to the service, or correct it at the client";
    449 ERR_FRAGMENT_LENGTH recalled foreign [sends 47]
        "the maximum fragment length extension is not acceptable"
        => "ask for 512, 1024, 2048 or 4096 bytes, or leave the extension out";
    450 ERR_BAD_MSG_LEN recalled foreign [sends 50]
        "the length field of a TLS extension is not valid"
        => "look at the partner's TLS software";
    451 ERR_ECURVE_NOT_SUPPORTED recalled foreign [sends 40] "the elliptic curve is not supported"
        => "use P-256, P-384 or P-521";
    452 ERR_BAD_EC_PARAMS recalled foreign [sends 47] "elliptic curve parameters were not supplied"
        => "make the key on a named curve";
    453 ERR_SIGNATURE_NOT_SUPPLIED recalled foreign [sends 50] "a signature was not supplied"
        => "look at the partner's TLS software";
    454 ERR_EC_PARAMETERS_NOT_VALID recalled foreign [sends 47]
        "elliptic curve parameters are not valid"
        => "make the key on a named curve";
    455 ERR_ICSF_NOT_AVAILABLE recalled foreign [sends 80] "ICSF is not available"
        => "start ICSF before the applications that use it";
    456 ERR_ICSF_SERVICE_FAILURE recalled occurs [sends 80]
        "an ICSF callable service failed; see its return and reason code"
        => "look up the return and reason code that stand next to it";
    457 ERR_ICSF_NOT_FIPS recalled foreign [sends 80] "ICSF PKCS #11 does not run in FIPS mode"
        => "start ICSF with FIPSMODE YES or COMPAT";
    458 ERR_BAD_V3_EXPANDED_CIPHER recalled foreign [local]
        "a cipher specification of four characters is not valid"
        => "write four hexadecimal digits for each suite, as in C02F";
    459 ERR_ECURVE_NOT_FIPS_APPROVED recalled foreign [sends 40]
        "the elliptic curve is not supported in FIPS mode"
        => "use P-256, P-384 or P-521";
    460 ERR_RENEGOTIATION_INDICATION published foreign [sends 40]
        "the partner did not signal secure renegotiation although that is required"
        => "have the partner updated to RFC 5746, or make the signal optional";
    461 ERR_EC_PARAMETERS_FORMAT recalled foreign [sends 47]
        "the format of the elliptic curve parameters is not supported"
        => "make the key on a named curve";
    462 ERR_EC_POINT_FORMAT recalled foreign [sends 47]
        "the format of an elliptic curve point is not supported"
        => "use uncompressed points, as RFC 8422 wants them";
    463 ERR_HARDWARE_NOT_SUPPORTED recalled foreign [sends 80]
        "the cryptographic hardware does not support the service or algorithm"
        => "use another algorithm, or a card that has it";
    464 ERR_BAD_ECURVE_LIST recalled foreign [local] "the list of elliptic curves is not valid"
        => "write four decimal digits for each curve, as in 0023";
    465 ERR_ICSF_PKCS11_DISABLED recalled foreign [sends 80]
        "the PKCS #11 services of ICSF are disabled"
        => "let the known-answer tests of ICSF pass, and start it again";
    466 ERR_BAD_SIG_ALG_PAIR recalled foreign [local]
        "the list of signature algorithms is not valid"
        => "write four hexadecimal digits for each pair, as in 0403";
    467 ERR_SIGNATURE_NOT_IN_PAIRS published foreign [sends 43]
        "a certificate is signed with an algorithm that the partner does not take"
        => "issue the chain with SHA-256, or let the partner take its algorithm";
    468 ERR_KEY_NOT_IN_PAIRS recalled foreign [sends 43]
        "no signature algorithm that the partner takes goes with the certificate's key"
        => "use a certificate with another kind of key";
    469 ERR_KEY_ATTRIBUTE recalled foreign [sends 80] "an attribute of the key forbids this use"
        => "make or import the key with the attribute for signing";
    470 ERR_NOT_SUITE_B recalled foreign [sends 43]
        "a certificate does not meet the requirements of Suite B"
        => "use certificates with keys on P-256 or P-384, or turn Suite B off";
    471 ERR_SECURE_KEY_FIXED_ECDH recalled foreign [sends 40]
        "a secure key cannot be used with fixed Diffie-Hellman"
        => "use ephemeral key exchange (ECDHE)";
    472 ERR_ICSF_CLEAR_KEY recalled foreign [sends 80] "the key policy of ICSF forbids clear keys"
        => "permit clear keys, or use a secure key";
    501 INVALID_BUFFER_SIZE published foreign [local] "a buffer size is zero or negative"
        => "pass the size of the buffer";
    502 WOULD_BLOCK published foreign [local] "the socket would block; call again"
        => "wait until the socket is ready and call again";
    503 WOULD_BLOCK_READ recalled foreign [local] "reading would block; call again"
        => "wait until the socket can be read and call again";
    504 WOULD_BLOCK_WRITE recalled foreign [local] "writing would block; call again"
        => "wait until the socket can be written and call again";
    505 ERR_RECORD_OVERFLOW recalled occurs [both 22] "a record is longer than the protocol allows"
        => "look whether the partner speaks TLS on this port at all";
    516 TLS13_HANDSHAKE_516 recalled foreign [local]
        "a TLS 1.3 handshake failure named in CICS APARs; its meaning is not published"
        => "take a System SSL trace of the handshake";
    517 TLS13_HANDSHAKE_517 recalled foreign [local]
        "a TLS 1.3 handshake failure named in CICS APARs; its meaning is not published"
        => "take a System SSL trace of the handshake";
    542 TLS13_HANDSHAKE_542 recalled foreign [local]
        "a TLS 1.3 handshake failure named in CICS APARs; its meaning is not published"
        => "take a System SSL trace of the handshake";
    601 ERR_NOT_SSLV3 published foreign [local] "the session is not SSLv3 or later"
        => "do without the function: only SSLv3 and TLS have it";
    602 MISC_INVALID_ID published foreign [local] "an identifier passed to the API is not valid"
        => "pass an identifier that the function has";
    603 MISC_INVALID_ENUMERATION recalled foreign [local]
        "an enumerator passed to the API is not valid"
        => "pass an enumerator that the function has";
    604 SEQUENCE_NUMBER_NEAR_END published foreign [local]
        "the sequence number of records sent is about to wrap"
        => "start a new handshake on the connection, or a new connection";
    701 ATTRIBUTE_INVALID_ID published foreign [local] "an attribute identifier is not valid"
        => "set an attribute that exists at this level";
    702 ATTRIBUTE_INVALID_LENGTH published foreign [local]
        "an attribute has a length that is not valid"
        => "shorten the value, or pass its length";
    703 ATTRIBUTE_INVALID_ENUMERATION published foreign [local]
        "an attribute has an enumerated value that is not valid"
        => "set a value that the attribute has";
    704 ATTRIBUTE_INVALID_SID_CACHE published foreign [local]
        "the session cache attribute is not valid"
        => "give all callbacks of the session cache, or none";
    705 ATTRIBUTE_INVALID_NUMERIC_VALUE published foreign [local]
        "an attribute has a number out of range"
        => "set a number within the range of the attribute";
}

macro_rules! attls {
    ($($number:literal $name:ident $standing:ident $occurs:ident $meaning:literal
        => $action:literal;)*) => {
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
                action: $action,
                alert: AlertLink::None,
                standing: standing!($standing),
                occurs: occurs!($occurs),
            },
        )*];
    };
}

attls! {
    5001 ATTLS_NO_CLIENT_CERTIFICATE published foreign
        "a client certificate is required and none was sent"
        => "give the client a certificate, or do not require one";
    5002 ATTLS_NO_USER_FOR_CERTIFICATE published foreign
        "the client certificate belongs to no user of the security product"
        => "map the certificate to a user";
    5003 ATTLS_CLEAR_TEXT published occurs "clear text arrived where TLS was expected"
        => "turn TLS on at the client, or send it to the port without TLS";
    5004 ATTLS_HANDSHAKE_NOT_STARTED published occurs
        "the handshake timer expired before the client sent any TLS data"
        => "look whether the client waits for the server to speak first, and so has TLS off";
    5005 ATTLS_HANDSHAKE_NOT_COMPLETED recalled occurs
        "the handshake timer expired before the handshake was complete"
        => "look for a slow network or client, or allow more time";
    5006 ATTLS_ENVIRONMENT_UNUSABLE recalled foreign
        "the connection was rejected because of an earlier failure of its environment"
        => "look for the first message about that environment";
    5018 ATTLS_GROUP_FAILED published foreign
        "the AT-TLS group has failed and maps no further connection"
        => "correct the policy and install it again";
}
