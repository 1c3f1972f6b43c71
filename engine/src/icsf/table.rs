//! The one table of return and reason codes.
//!
//! Each row: constant, return code, reason code, where the number comes from, whether this program
//! reports it, what it means, what to do. The reference page, `adjunct explain` and the mappings of
//! card and instruction failures are all made from it; nothing else in the program spells a number.
//!
//! Invariant: a number is never changed and never reused; the tests pin every one.
//!
//! Source: IBM "z/OS ICSF Application Programmer's Guide" for the numbers of rows marked `ibm` and
//! `assumed` (of the latter the text we could read gives no return code; 8 or 12 is our reading).
//! All sentences are our own. Rows marked `ours` lie in the Adjunct range: IBM publishes no number
//! for these events, so we document our own rather than invent one of theirs.

use std::ops::RangeInclusive;

use super::{ReasonCode, ReturnCode};

/// Reason codes we assign ourselves.
pub const ADJUNCT_RANGE: RangeInclusive<u32> = 0xAD00..=0xADFF;

/// Where a number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// IBM publishes return and reason code.
    Published,
    /// IBM publishes the reason code; the return code is our reading.
    ReturnCodeAssumed,
    /// The Adjunct range.
    Adjunct,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Return code.
    pub return_code: ReturnCode,
    /// Reason code.
    pub reason_code: ReasonCode,
    /// Stable name of our own, e.g. `key-value-invalid`.
    pub name: &'static str,
    /// What it means, in our own words.
    pub meaning: &'static str,
    /// What to do about it.
    pub action: &'static str,
    /// Where the number comes from.
    pub origin: Origin,
    /// Whether this program reports it; the others are known so that `explain` can tell.
    pub reported: bool,
}

impl Code {
    /// Short form an operator types: `8/2B00`.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{}/{:X}", self.return_code.0, self.reason_code.0)
    }
}

/// Kebab-case form of a constant's name, at compile time; `N` is the length of the name.
const fn kebab<const N: usize>(name: &str) -> [u8; N] {
    let bytes = name.as_bytes();
    let mut out = [0; N];
    let mut at = 0;
    while at < N {
        out[at] = match bytes[at] {
            b'_' => b'-',
            other => other.to_ascii_lowercase(),
        };
        at += 1;
    }
    out
}

macro_rules! origin {
    (ibm) => {
        Origin::Published
    };
    (assumed) => {
        Origin::ReturnCodeAssumed
    };
    (ours) => {
        Origin::Adjunct
    };
}

macro_rules! reported {
    (used) => {
        true
    };
    (known) => {
        false
    };
}

macro_rules! codes {
    ($($name:ident $rc:literal $rsn:literal $origin:ident $reported:ident
        $meaning:literal $action:literal;)*) => {
        $(
            #[doc = concat!(stringify!($rc), "/", stringify!($rsn), ": ", $meaning, ".")]
            pub const $name: Code = Code {
                return_code: ReturnCode($rc),
                reason_code: ReasonCode($rsn),
                name: {
                    const NAME: &[u8] = &kebab::<{ stringify!($name).len() }>(stringify!($name));
                    match std::str::from_utf8(NAME) {
                        Ok(name) => name,
                        Err(_) => "",
                    }
                },
                meaning: $meaning,
                action: $action,
                origin: origin!($origin),
                reported: reported!($reported),
            };
        )*

        /// Every code, IBM's first, each part in order of return and reason code.
        pub const TABLE: &[Code] = &[$($name,)*];
    };
}

codes! {
    // Return code 0: done.
    SUCCESS 0 0x0 ibm used
        "the service completed"
        "nothing to do";
    KEY_PARITY_TSS 0 0x2 ibm known
        "a DES key has no odd parity (TSS form)"
        "nothing; the key was used as it is";
    KEY_PARITY 0 0x4 ibm known
        "a DES key has no odd parity"
        "nothing; the key was used as it is";
    // Return code 4: done, a comparison failed.
    VERIFICATION_FAILED 4 0x1F40 ibm used
        "a signature or HMAC does not verify"
        "look at the peer: wrong key, altered data, or the wrong certificate";
    MAC_MISMATCH 4 0x1F44 ibm used
        "the authentication tag does not match the text"
        "look at the peer or the line: the data was altered or made with another key";
    SIGNATURE_MISMATCH 4 0x2AF8 ibm known
        "a signature does not verify (older form of 4/1F40)"
        "as 4/1F40";
    // Return code 8: refused.
    TOKEN_ALTERED 8 0xC ibm known
        "the validation value of a key token is wrong: the token was altered"
        "import the key again";
    ID_FIELD 8 0x16 ibm known
        "an identifier or account number field is not valid"
        "correct the field";
    OFFSET_LENGTH 8 0x17 ibm known
        "an offset length is not valid"
        "correct the length";
    MASTER_KEY_UNKNOWN 8 0x18 ibm known
        "the key is enciphered under neither the current nor the old master key"
        "import the key again under the current master key";
    LENGTH_RANGE 8 0x19 ibm known
        "a length parameter is zero, negative or over its limit"
        "correct the length";
    SOURCE_TOKEN 8 0x2F assumed known
        "the source key token holds data that is not valid"
        "make the token again";
    KEY_TYPE_KEYWORD 8 0x3D assumed known
        "the key type keyword is not valid"
        "correct the keyword";
    LENGTH_INVALID 8 0x48 ibm used
        "the length of a key, token or text is not valid for the operation"
        "use a key size the card takes: RSA 2048, 3072 or 4096; P-256, P-384 or P-521";
    KEY_FORM_CONFLICT 8 0x9B assumed known
        "the generated key identifier contradicts the key form"
        "correct the key form";
    TOKEN_FORM 8 0xB5 assumed known
        "an internal token stands where an external one is wanted, or the reverse"
        "pass the other form";
    KEY_VALUE_STRUCTURE 8 0x2FA assumed known
        "a field of the key value structure is bad"
        "build the structure again";
    RULE_COUNT 8 0x7DC ibm known
        "the number of rule array keywords is not valid"
        "correct the count";
    RULE_KEYWORD 8 0x7E0 ibm known
        "a rule array keyword is wrong"
        "correct the keyword";
    WRAPPED_KEY 8 0x7EC ibm known
        "the wrapped key is not valid"
        "wrap the key again";
    KEY_KIND 8 0x7F8 ibm known
        "the key or token is of the wrong kind for the service"
        "use a key of the right kind";
    OAEP_PARAMETERS 8 0x806 ibm known
        "the OAEP parameters did not pass the checks"
        "use the key and parameters of the sender";
    RSA_KEY_TOO_SMALL 8 0x807 ibm known
        "the RSA key is too small for the payload"
        "use a longer key";
    KEK_ALGORITHM 8 0x829 ibm known
        "key-encrypting key and key are of different algorithms"
        "use a matching key-encrypting key";
    KEY_FORM_TYPE 8 0x82F ibm known
        "the key form does not go with the key type"
        "correct one of them";
    TOKEN_PAYLOAD 8 0x841 ibm known
        "the payload of the token is not valid"
        "make the token again";
    KEY_VERIFICATION_PATTERN 8 0x85D ibm known
        "the key verification pattern does not match: wrong key-encrypting key"
        "use the right key-encrypting key";
    KEY_TYPE_FUNCTION 8 0x86A ibm used
        "the key type is not allowed for the function"
        "route the key to a card that does this operation: CEX8A does RSA only";
    KEY_PAIR_MISMATCH 8 0x86E ibm used
        "public and private key do not belong together"
        "configure the key that belongs to the certificate";
    OUTPUT_TOO_SHORT 8 0xBBB ibm known
        "an output parameter is too short"
        "pass a longer buffer";
    TEMPLATE_INCONSISTENT 8 0xBC1 ibm known
        "the attribute list contradicts itself"
        "correct the attributes";
    TOKEN_HANDLE 8 0xBCB ibm known
        "the token or session handle is not valid"
        "open the token again";
    SESSION_HANDLE 8 0xBD3 ibm known
        "the token or session handle is not valid (second form)"
        "open the token again";
    ATTRIBUTE_TYPE 8 0xBD5 ibm known
        "an attribute type is not valid"
        "correct the attribute";
    ATTRIBUTE_VALUE 8 0xBD6 ibm known
        "an attribute value is not valid"
        "correct the attribute";
    TEMPLATE_INCOMPLETE 8 0xBD9 ibm known
        "a mandatory attribute is missing"
        "add the attribute";
    ATTRIBUTE_READ_ONLY 8 0xBDA ibm known
        "the attribute is read-only"
        "leave the attribute alone";
    ATTRIBUTE_READ_ONLY_2 8 0xBDB ibm known
        "the attribute is read-only (second form)"
        "leave the attribute alone";
    KEY_USAGE 8 0xBDE ibm known
        "the key's usage attributes do not permit the operation"
        "use a key made for it";
    KEY_TYPE_MECHANISM 8 0xBDF ibm used
        "the key type does not go with the mechanism"
        "use a signature scheme that fits the key";
    KEY_NOT_WRAPPABLE 8 0xBE1 ibm known
        "the key must not be wrapped"
        "use another key";
    KEY_HANDLE 8 0xBE3 ibm known
        "the key handle is not valid"
        "reload the configuration so that the key is loaded again";
    KEY_NOT_EXTRACTABLE 8 0xBE5 ibm known
        "the key must not be extracted"
        "use another key";
    TOKEN_NOT_AUTHORIZED 8 0xBF7 ibm known
        "the security product refused use of the PKCS #11 token"
        "give access to the token (CRYPTOZ class)";
    NOT_APPROVED 8 0xBFE ibm used
        "the algorithm, mode or key size is not approved in the FIPS mode that is on"
        "use an approved algorithm, or take the service out of the mode";
    DATE_RANGE 8 0xCFE assumed known
        "a date is out of range"
        "correct the date";
    ARCHIVE_PROHIBITED 8 0xD00 assumed known
        "a flag prohibits archiving the record"
        "clear the flag first";
    DATE_ORDER 8 0xD01 assumed known
        "the usage dates are in the wrong order"
        "correct the dates";
    DATE_INVALID 8 0xD05 assumed known
        "a date is not valid"
        "correct the date";
    METADATA_LENGTH 8 0xD08 assumed known
        "the length of the record's metadata is wrong"
        "correct the length";
    RECORD_NOT_ACTIVE 8 0xD0E ibm known
        "the key record is not active yet"
        "wait for its start date or change it";
    RECORD_DEACTIVATED 8 0xD0F ibm known
        "the key record is past its end date"
        "replace the key";
    RECORD_ARCHIVED 8 0xD10 ibm known
        "the key record is archived"
        "recall the record";
    RECORD_UPDATE 8 0xD12 assumed known
        "the key data set could not be updated"
        "see the data of each record";
    MASTER_KEY_NOT_INSTALLED 8 0x2714 ibm known
        "the key is enciphered under a master key that is not installed"
        "install the master key or import the key again";
    LABEL_NOT_FOUND 8 0x271C ibm known
        "the key label is not in the key data set"
        "correct the label or load the key";
    KEY_INVALID 8 0x2734 ibm used
        "the key is not valid"
        "load a sound key";
    KEY_VERSION 8 0x2738 ibm known
        "the version number of the key identifier is wrong"
        "make the key token again";
    KEY_TYPE_SERVICE 8 0x2740 ibm known
        "the key type is not valid for the service"
        "use a key of the right type";
    KEY_NOT_EXPORTABLE 8 0x278C ibm known
        "the key must not be exported"
        "use another key";
    RULE_CONFLICT 8 0x278E ibm known
        "rule array keywords contradict each other"
        "correct the keywords";
    LENGTH_OR_HARDWARE 8 0x2AF8 ibm known
        "the length of a key, token or text is not valid; in practice also: this hardware has not \
         the algorithm"
        "check the key size and what the card can do (`adjunct cards`)";
    KEY_VALUE_INVALID 8 0x2B00 ibm used
        "a public or private key value is not valid, or the key cannot have made the signature; \
         often simply the wrong key"
        "configure the key that belongs to the certificate";
    KEY_FLAGS 8 0x2B04 ibm known
        "the flags of the private key token are not valid"
        "make the token again";
    SIGNATURE_INVALID 8 0x2B14 ibm known
        "the signature is not valid"
        "look at the signer";
    PADDING_METHOD 8 0x2B20 ibm known
        "the padding method contradicts the data"
        "use the padding the signer used";
    PKA_TOKEN_LENGTH 8 0x2B30 ibm known
        "length fields of the PKA token are not valid"
        "make the token again";
    SERVICE_NOT_AUTHORIZED 8 0x3E80 ibm known
        "the security product refused use of the service"
        "give access to the service (CSFSERV class)";
    KEY_NOT_AUTHORIZED 8 0x3E84 ibm known
        "the security product refused use of the key"
        "give access to the label (CSFKEYS class)";
    TOKEN_INVALID 8 0x3E98 ibm known
        "the key token is not valid"
        "make the token again";
    LABEL_SYNTAX 8 0x3EA0 ibm known
        "the syntax of the label is not valid"
        "correct the label";
    RECORD_EXISTS 8 0x3EA4 ibm known
        "the record exists already"
        "use another label";
    // Return code 12: not processed.
    NOT_AVAILABLE 12 0x0 ibm known
        "ICSF is not started, a master key is missing, or the hardware is absent"
        "start the facility";
    DATA_SET_DISABLED 12 0x4 ibm known
        "the administrator disabled the key data set services"
        "enable them";
    NOT_ON_HARDWARE 12 0x8 ibm used
        "the service or algorithm is not available on this hardware"
        "see `adjunct crypto` and `adjunct cards`; choose an algorithm they list";
    EXIT_FAILED 12 0xC ibm known
        "the service is down because its installation exit failed"
        "repair the exit";
    SERVICE_NOT_FOUND 12 0x10 ibm known
        "the installation's service routine was not found"
        "install the routine";
    ASYNCHRONOUS_PROCESSOR_FAILED 12 0x1C ibm known
        "the crypto processor failed while working asynchronously"
        "look at the card with `adjunct cards`; the request was tried on the others";
    CALLABLE_SERVICE 12 0x28 ibm known
        "a problem of the callable service"
        "see the messages before it";
    EXTRA_DATA_1790 12 0x1790 ibm known
        "an environment error; the high halfword carries more data"
        "see the data in the high halfword";
    EXTRA_DATA_2738 12 0x2738 ibm known
        "dynamic allocation failed; the high halfword carries its error code"
        "see the data in the high halfword";
    EXTRA_DATA_273C 12 0x273C ibm known
        "an environment error; the high halfword carries more data"
        "see the data in the high halfword";
    EXTRA_DATA_2740 12 0x2740 ibm known
        "an environment error; the high halfword carries more data"
        "see the data in the high halfword";
    COPROCESSOR_FAILED 12 0x3EB8 assumed used
        "the coprocessor failed"
        "look at the card with `adjunct cards`; the request was tried on the others";
    // The Adjunct range: ours, in order of reason code.
    NO_CARD 12 0xAD00 ours used
        "no card with a usable queue can do this operation"
        "bring a card or domain online (`adjunct cards`), or set route.no_card = \"software\"";
    QUEUE_FULL 12 0xAD01 ours used
        "the AP queue holds as many requests as its depth allows"
        "add domains or cards, or lower limits.handshakes";
    FIFO_FULL 12 0xAD02 ours used
        "the waiting line in front of the AP queues is full"
        "add domains or cards, or lower limits.handshakes";
    SHED 12 0xAD03 ours used
        "the request waited longer than the allowed age and was given up"
        "add domains or cards: they are slower than the load";
    TIMED_OUT 12 0xAD04 ours used
        "the card did not answer within the request timeout"
        "look at the card with `adjunct cards`; its queue was reset";
    TRIES_EXHAUSTED 12 0xAD05 ours known
        "the request failed on as many queues as may be tried"
        "see the cards' states; each try left its own response code";
    QUEUE_NOT_AVAILABLE 12 0xAD06 ours used
        "the card has no such queue (APQN not valid)"
        "correct the domains of the card in the configuration";
    RESET_IN_PROGRESS 12 0xAD07 ours used
        "the queue is being reset"
        "none: the queue comes back by itself";
    DECONFIGURED 12 0xAD08 ours used
        "the card is deconfigured"
        "configure the card on again";
    CHECKSTOPPED 16 0xAD09 ours used
        "the card is checkstopped: it stopped itself after a hardware error"
        "replace or restart the card";
    BUSY 12 0xAD0A ours used
        "the queue or card is busy with another command"
        "none: the request was tried elsewhere";
    STATE_CHANGE 12 0xAD0B ours used
        "the state of the queue changed or is changing"
        "none: the request was tried elsewhere";
    BINDING 12 0xAD0C ours used
        "the queue is not bound or associated to this guest, or is bound to another"
        "bind the queue to this guest";
    OFFLINE 12 0xAD0D ours used
        "the card or queue was set offline by an operator"
        "set it online again";
    NOTHING_PENDING 12 0xAD0E ours known
        "the queue holds no reply although one is due: the card forgot the request"
        "none: the request was sent again";
    MESSAGE_TOO_LONG 8 0xAD0F ours used
        "the message is longer than the card accepts"
        "use a smaller key";
    MESSAGE_REJECTED 8 0xAD10 ours used
        "the card refused the form of the message"
        "report it: the program made a bad message";
    DOMAIN_NOT_VALID 12 0xAD11 ours used
        "the domain is not valid for this card or is filtered by the hypervisor"
        "correct the domains of the card in the configuration";
    TRANSPORT_FAILED 12 0xAD12 ours used
        "the message was lost on the way between queue and card"
        "look at the card with `adjunct cards`; the request was tried elsewhere";
    REPLY_TRUNCATED 12 0xAD13 ours used
        "the reply is incomplete or of an unknown type"
        "look at the card with `adjunct cards`; its queue was taken offline";
    WRONG_RESULT 16 0xAD14 ours used
        "the card's signature does not verify with the public key; it was not released"
        "treat the card as faulty: its queue is offline until an operator returns it";
    FACILITY_NOT_INSTALLED 12 0xAD15 ours used
        "the queue has not the facility the command needs"
        "see `adjunct cards`";
    INTERRUPT_SETUP 12 0xAD16 ours used
        "the queue's interrupts could not be set up"
        "report it: the program passed a bad indicator address";
    REPLY_UNKNOWN 12 0xAD17 ours used
        "the card answered with a reply code we do not know"
        "look at the card with `adjunct cards`; report the code in the record";
    PREEMPTED 12 0xAD18 ours used
        "the card gave up the request in favour of another, or at a checkpoint"
        "none: the request was tried elsewhere";
    COPROCESSOR_SERVICE 12 0xAD19 ours used
        "the coprocessor's own service failed with codes that have no counterpart here"
        "look at the card with `adjunct cards`; the record names both codes";
    SELF_TEST_FAILED 16 0xAD20 ours used
        "the known-answer test of the function failed; the function is blocked"
        "restart; if it fails again, the processor or the library is broken";
    CONDITION_CODE 16 0xAD21 ours used
        "an instruction ended with a condition code it must not give"
        "report it with the function's name";
    RANDOM_FAILED 16 0xAD22 ours used
        "the random number generator failed"
        "restart; if it fails again, take the host out of service";
    POINT_INVALID 8 0xAD23 ours used
        "the peer's key share is not a point of the group or gives the zero secret"
        "look at the peer: it sent a key share that is not valid";
    KEY_NOT_IN_CARD 8 0xAD30 ours known
        "the card does not hold the key the request names"
        "reload the configuration so that the key is loaded into all cards";
    NOT_ROUTED 8 0xAD31 ours known
        "the routing table refuses this operation for this key type"
        "change [route] or use a key of another type";
    CANCELLED 12 0xAD32 ours used
        "the request was given up: the client left, or a deadline passed"
        "see the record of the connection";
    SHUTTING_DOWN 12 0xAD33 ours used
        "the facility is shutting down and takes no more requests"
        "none";
    WORKER_FAILED 16 0xAD34 ours known
        "the card's worker ended unexpectedly"
        "restart; report the message before it";
    NO_FIBER 12 0xAD35 ours used
        "the operation would have to wait where waiting is not possible"
        "report it: the program asked for a signature outside a handshake's fiber";
    UNCLASSIFIED 16 0xAD3F ours used
        "a failure that has no code yet"
        "report it with the messages before it";
}

/// The row of a pair. With return code 12 the high halfword of the reason may carry extra data and
/// is ignored when the full number is not in the table.
#[must_use]
pub fn find(return_code: ReturnCode, reason_code: ReasonCode) -> Option<&'static Code> {
    let exact = |reason| {
        TABLE.iter().find(|row| row.return_code == return_code && row.reason_code == reason)
    };
    exact(reason_code).or_else(|| {
        let carries_data = return_code == ReturnCode::ENVIRONMENT && reason_code.0 > 0xFFFF;
        if carries_data { exact(ReasonCode(reason_code.0 & 0xFFFF)) } else { None }
    })
}

/// All rows with this reason code, whatever the return code.
pub fn with_reason(reason_code: ReasonCode) -> impl Iterator<Item = &'static Code> {
    TABLE.iter().filter(move |row| row.reason_code == reason_code)
}

/// The row with this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Code> {
    TABLE.iter().find(|row| row.name.eq_ignore_ascii_case(name))
}
