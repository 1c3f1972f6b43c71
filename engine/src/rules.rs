//! The rules that end a connection before its time, each with a stable name.
//!
//! Purpose: the record of a refused or broken connection names exactly one of these rules; from it
//! follow whose fault it was, what became of the connection, the System SSL code, the alert we send
//! and a hint. `adjunct explain RULE` and the reference page print the same rows.
//!
//! Invariant: a name never changes its meaning; dashboards and scripts match on it.
//!
//! Deliberately not here: the decision that a rule applies. The sentence with the particulars (what
//! the client offered, which name it asked for) is made where that is known.

use std::borrow::Cow;

use crate::alert::Alert;
use crate::gsk::GskCode;
use crate::record::{Outcome, Refusal};

/// Whose fault it is.
pub mod fault {
    /// The client or what it sent.
    pub const PEER: &str = "peer";
    /// A certificate, ours or the client's.
    pub const CERTIFICATE: &str = "certificate";
    /// The client is sound, a rule of ours refuses it.
    pub const POLICY: &str = "policy";
    /// A card, a queue or an instruction.
    pub const DEVICE: &str = "device";
    /// Our configuration.
    pub const CONFIGURATION: &str = "configuration";
    /// The service behind us.
    pub const BACKEND: &str = "backend";
    /// This program.
    pub const BUG: &str = "bug";
}

/// A rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Stable name, kebab-case.
    pub name: &'static str,
    /// Whose fault: one of [`fault`].
    pub fault: &'static str,
    /// What became of the connection.
    pub outcome: Outcome,
    /// When the rule applies.
    pub meaning: &'static str,
    /// What to do, in general; a refusal may carry a more exact one.
    pub hint: &'static str,
    /// System SSL or AT-TLS code.
    pub gsk: Option<GskCode>,
    /// Alert we send.
    pub alert: Option<Alert>,
}

impl Rule {
    /// A refusal by this rule with the rule's own code, alert and hint.
    #[must_use]
    pub fn refusal(&self, reason: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal {
            fault: self.fault,
            rule: self.name,
            reason: reason.into(),
            hint: Cow::Borrowed(self.hint),
            gsk: self.gsk,
            icsf: None,
            alert_sent: self.alert,
            alert_received: None,
        }
    }
}

impl PartialEq for Rule {
    /// The name is the rule's identity.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Rule {}

/// The rule with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Rule> {
    let all = ALL.iter().copied().chain(crate::compliance::rules());
    all.into_iter().find(|rule| rule.name.eq_ignore_ascii_case(name))
}

macro_rules! gsk {
    (none) => {
        None
    };
    ($name:ident) => {
        Some(GskCode::$name)
    };
}

macro_rules! alert {
    (none) => {
        None
    };
    ($name:ident) => {
        Some(Alert::$name)
    };
}

macro_rules! rules {
    ($($constant:ident $name:literal $fault:ident $outcome:ident $gsk:ident $alert:ident
        $meaning:literal $hint:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $meaning, ".")]
            pub static $constant: Rule = Rule {
                name: $name,
                fault: fault::$fault,
                outcome: Outcome::$outcome,
                meaning: $meaning,
                hint: $hint,
                gsk: gsk!($gsk),
                alert: alert!($alert),
            };
        )*

        /// Every rule, in the order in which a connection can meet them.
        pub static ALL: &[&Rule] = &[$(&$constant,)*];
    };
}

rules! {
    // Bytes that are no TLS.
    PLAIN_HTTP "plain-http" PEER Noise ATTLS_CLEAR_TEXT none
        "the first bytes are an HTTP request in clear text"
        "the client must use https: this address speaks TLS only";
    NOT_TLS "not-tls" PEER Noise ATTLS_CLEAR_TEXT none
        "the first bytes are no TLS record"
        "the client must start TLS at once; STARTTLS and clear text are not served here";
    PROXY_HEADER "proxy-header" CONFIGURATION Refused ATTLS_CLEAR_TEXT none
        "a PROXY protocol header stands where the TLS handshake should begin"
        "name the load balancer in `accept_proxy` of the service, or switch its header off";
    PROXY_HEADER_MISSING "proxy-header-missing" CONFIGURATION Refused none none
        "a peer that `accept_proxy` names sends something else than a PROXY protocol header"
        "switch the PROXY header on in that load balancer, or take it out of `accept_proxy`";
    PROXY_HEADER_MALFORMED "proxy-header-malformed" PEER Refused ERR_BAD_MESSAGE none
        "the PROXY protocol header is malformed, or the connection ends within it"
        "look at the load balancer: nothing of what follows the header was read";
    PROXY_HEADER_DEADLINE "proxy-header-deadline" PEER Abandoned ATTLS_HANDSHAKE_NOT_STARTED none
        "no complete PROXY protocol header came within timeouts.handshake"
        "usual for port checks; else switch the PROXY header on in the load balancer";
    // The ClientHello itself.
    SSLV2_HELLO "sslv2-hello" PEER Refused ERR_UNSUPPORTED PROTOCOL_VERSION
        "the client opens with an SSLv2 hello"
        "the client needs TLS 1.2 or later, and SSLv2 compatibility switched off";
    PROTOCOL_TOO_OLD "protocol-too-old" PEER Refused ERR_UNSUPPORTED PROTOCOL_VERSION
        "the newest protocol version the client offers is older than TLS 1.2"
        "update the client, or enable TLS 1.2 in it";
    UNDECODABLE_HELLO "undecodable-hello" PEER Refused ERR_BAD_MESSAGE DECODE_ERROR
        "the ClientHello is malformed"
        "the client or something on the way damages the handshake";
    HELLO_TOO_LARGE "hello-too-large" PEER Refused ERR_BAD_MESSAGE DECODE_ERROR
        "the ClientHello is longer than we read"
        "look for an oversized ticket or key share in the client";
    RECORD_OVERFLOW "record-overflow" PEER Refused ERR_RECORD_OVERFLOW RECORD_OVERFLOW
        "a record is longer than the protocol allows"
        "the client sends records that break the protocol";
    UNEXPECTED_MESSAGE "unexpected-message" PEER Refused ERR_BAD_PEER UNEXPECTED_MESSAGE
        "a message arrived that has no place at this point of the handshake"
        "the client breaks the protocol";
    // Choice of service and parameters.
    MISSING_SNI "missing-sni" PEER Refused ERR_UNRECOGNIZED_NAME UNRECOGNIZED_NAME
        "the client names no server although the service requires it"
        "make the client send SNI, or give the address a default service";
    UNKNOWN_SNI "unknown-sni" PEER Refused ERR_UNRECOGNIZED_NAME UNRECOGNIZED_NAME
        "no service of this address answers to the server name"
        "correct the name in the client, or add it to a service's sni";
    ALPN_MISMATCH "alpn-mismatch" PEER Refused ERR_UNSUPPORTED NO_APPLICATION_PROTOCOL
        "client and service have no ALPN protocol in common"
        "add the client's protocol to the service's alpn";
    NO_COMMON_CIPHER "no-common-cipher" PEER Refused ERR_NO_CIPHERS HANDSHAKE_FAILURE
        "client and service have no cipher suite in common"
        "the client needs an ECDHE suite with AES-GCM or ChaCha20-Poly1305, or TLS 1.3";
    NO_COMMON_GROUP "no-common-group" PEER Refused ERR_NO_CIPHERS HANDSHAKE_FAILURE
        "client and service have no key exchange group in common"
        "the client needs X25519, P-256, P-384 or P-521";
    NO_COMMON_SIGNATURE "no-common-signature" PEER Refused ERR_NO_CIPHERS HANDSHAKE_FAILURE
        "the client verifies no signature scheme our certificates' keys can make"
        "add a certificate with a key the client can verify: RSA and ECDSA side by side";
    NO_USABLE_CERTIFICATE "no-usable-certificate" CONFIGURATION Refused
        CERTIFICATE_NOT_AVAILABLE HANDSHAKE_FAILURE
        "the service has no certificate this client can verify"
        "add a certificate of the other key type to the service";
    INAPPROPRIATE_FALLBACK "inappropriate-fallback" PEER Refused
        ERR_BAD_PEER INAPPROPRIATE_FALLBACK
        "the client fell back to an older version although a newer one is possible"
        "something between client and service breaks newer versions";
    MISSING_EXTENSION "missing-extension" PEER Refused ERR_BAD_PEER MISSING_EXTENSION
        "the ClientHello lacks an extension that the policy or the protocol requires"
        "update the client (extended master secret, signature algorithms or groups)";
    ILLEGAL_PARAMETER "illegal-parameter" PEER Refused ERR_BAD_PEER ILLEGAL_PARAMETER
        "a field of the handshake contradicts the protocol"
        "the client breaks the protocol";
    // The handshake.
    TOO_MANY_HANDSHAKES "too-many-handshakes" POLICY Refused none none
        "the limit of handshakes in flight is reached"
        "raise limits.handshakes, or add cards: handshakes wait for signatures";
    RESUMPTION_ONLY "resumption-only" POLICY Refused none none
        "handshakes in flight are near their limit, and the client offers no session to resume"
        "raise limits.handshakes, or add cards; clients that resume are still served";
    TOO_MANY_CONNECTIONS "too-many-connections" POLICY Refused none none
        "the limit of connections is reached"
        "raise limits.connections of the service, or of [server] if the reason names it";
    TOO_MANY_FROM_PEER "too-many-from-peer" POLICY Refused none none
        "the limit of connections of one client address is reached"
        "look at what that client does, or raise limits.per_peer where the reason says";
    TOO_MANY_HELLOS "too-many-hellos" POLICY Refused none none
        "more clients than allowed had sent no complete ClientHello, and this was the oldest"
        "usual under a flood of silent connections; else raise server.limits.hello";
    HANDSHAKE_DEADLINE "handshake-deadline" PEER Refused ATTLS_HANDSHAKE_NOT_COMPLETED none
        "the handshake was not complete within timeouts.handshake"
        "the client or the network is too slow; see key_op for the cards' share";
    SIGNING_DEADLINE "signing-deadline" DEVICE Refused ERR_CRYPTO INTERNAL_ERROR
        "no card had made the signature when timeouts.handshake was over"
        "see `adjunct cards`; several silent queues in a row need cex.reply below the deadline";
    HELLO_DEADLINE "hello-deadline" PEER Abandoned ATTLS_HANDSHAKE_NOT_STARTED none
        "the client connected and sent no complete ClientHello within timeouts.handshake"
        "usual for port checks; a client that waits for us to speak first needs TLS switched on";
    SIGNING_FAILED "signing-failed" DEVICE Refused ERR_CRYPTO INTERNAL_ERROR
        "no card made the signature of the handshake"
        "see return and reason code; `adjunct cards` shows the state of the queues";
    CRYPTO_FAILED "crypto-failed" DEVICE Refused ERR_CRYPTO INTERNAL_ERROR
        "a crypto function other than the signature failed"
        "see return and reason code; `adjunct crypto` shows the state of the functions";
    MALFORMED_MESSAGE "malformed-message" PEER Refused ERR_BAD_MESSAGE DECODE_ERROR
        "a message of the handshake after the ClientHello is malformed or longer than 64 KiB"
        "the client breaks the protocol, or its certificate chain is far too long";
    CLIENT_CERT_MISSING "client-cert-missing" PEER Refused
        ERR_NO_CERTIFICATE CERTIFICATE_REQUIRED
        "the service requires a client certificate and the client sent none"
        "give the client a certificate of a CA in client_auth.ca, or write mode = optional";
    CLIENT_CERT_UNTRUSTED "client-cert-untrusted" CERTIFICATE Refused ERR_UNKNOWN_CA UNKNOWN_CA
        "no configured CA has issued the client's certificate"
        "add its CA to client_auth.ca, or let the client send its intermediate certificates too";
    CLIENT_CERT_SELF_SIGNED "client-cert-self-signed" CERTIFICATE Refused
        ERR_SELF_SIGNED UNKNOWN_CA
        "the client's certificate is signed by itself"
        "give the client a certificate of a CA in client_auth.ca";
    CLIENT_CERT_EXPIRED "client-cert-expired" CERTIFICATE Refused ERR_BAD_DATE CERTIFICATE_EXPIRED
        "the validity of a certificate in the client's chain has ended"
        "renew the client's certificate; if it is valid, check the clock of this machine";
    CLIENT_CERT_NOT_YET_VALID "client-cert-not-yet-valid" CERTIFICATE Refused
        ERR_BAD_DATE CERTIFICATE_EXPIRED
        "the validity of a certificate in the client's chain has not begun"
        "wait, or check the clock of this machine";
    CLIENT_CERT_REVOKED "client-cert-revoked" CERTIFICATE Refused
        ERR_CERTIFICATE_REVOKED CERTIFICATE_REVOKED
        "a certificate in the client's chain stands in a revocation list of client_auth.crl"
        "issue the client a new certificate, if its CA says so; its old one stays refused";
    CLIENT_CERT_STATUS_UNKNOWN "client-cert-status-unknown" CERTIFICATE Refused
        ERR_CERT_VALIDATION CERTIFICATE_UNKNOWN
        "no list of client_auth.crl covers a certificate in the client's chain"
        "add the list of its CA, or write crl_depth = \"leaf\" or crl_unknown = \"accept\"";
    CRL_EXPIRED "crl-expired" CONFIGURATION Refused ERR_BAD_CRL CERTIFICATE_UNKNOWN
        "the revocation list that covers the client's certificate is out of date"
        "get the new list from its CA and restart, or write crl_expired = \"accept\"";
    CRL_UNUSABLE "crl-unusable" CONFIGURATION Refused ERR_BAD_CRL CERTIFICATE_UNKNOWN
        "the revocation list that covers the client's certificate was not signed by its CA"
        "get the list from the CA again: it was altered, or another CA of that name issued it";
    CLIENT_CERT_BAD_SIGNATURE "client-cert-bad-signature" CERTIFICATE Refused
        ERR_BAD_CERT_SIG BAD_CERTIFICATE
        "a signature in the client's chain does not verify"
        "another CA of the same name has issued it, or it was altered";
    CLIENT_CERT_WRONG_USAGE "client-cert-wrong-usage" CERTIFICATE Refused
        ERR_INCORRECT_KEY_USAGE UNSUPPORTED_CERTIFICATE
        "the client's certificate is not for the authentication of clients"
        "issue it with the extended key usage clientAuth";
    CLIENT_CERT_MALFORMED "client-cert-malformed" CERTIFICATE Refused
        ERR_BAD_CERTIFICATE BAD_CERTIFICATE
        "what the client sent as its certificate is not one"
        "issue the client's certificate again";
    CLIENT_CERT_UNSUPPORTED "client-cert-unsupported" CERTIFICATE Refused
        ERR_UNSUPPORTED_CERTIFICATE_TYPE UNSUPPORTED_CERTIFICATE
        "the client's chain uses a version, extension, key or signature that is not supported"
        "use version 3 certificates with RSA, or EC on P-256, P-384 or P-521, and SHA-2";
    CLIENT_CERT_UNACCEPTABLE "client-cert-unacceptable" CERTIFICATE Refused
        ERR_BAD_CERT CERTIFICATE_UNKNOWN
        "the client's chain breaks a rule of path validation"
        "the reason names it: constraints of a CA, the length of the path, a CA used as client";
    CLIENT_CERT_UNPROVEN "client-cert-unproven" PEER Refused ERR_BAD_CERT_SIG DECRYPT_ERROR
        "the client has not proved that it holds the key of its certificate"
        "certificate and key of the client do not belong together, or it uses a stolen certificate";
    BAD_RECORD "bad-record" PEER Aborted ERR_BAD_MAC BAD_RECORD_MAC
        "a record failed authentication"
        "the data was altered on the way, or client and service disagree on the keys";
    MALFORMED_RECORD "malformed-record" PEER Aborted ERR_BAD_MESSAGE DECODE_ERROR
        "something that is no TLS record or message arrived after the handshake"
        "the client breaks the protocol, or something else writes to its socket";
    RECORD_FLOOD "record-flood" PEER Aborted ERR_BAD_PEER none
        "records without data came in numbers that no sound client sends"
        "the client floods us with key updates, warnings or empty records; look what it is";
    RENEGOTIATION "renegotiation" PEER Aborted
        ERR_NO_NEGOTIATION NO_RENEGOTIATION
        "the client asked for renegotiation, which is not served"
        "switch renegotiation off in the client, or use TLS 1.3";
    PEER_ALERT "peer-alert" PEER Refused ERR_UNKNOWN_ALERT none
        "the client refused us with an alert"
        "the alert says what the client did not accept, often our certificate";
    // Connections.
    PEER_CLOSED "peer-closed" PEER Abandoned ERR_SOCKET_CLOSED none
        "the client closed the connection before the handshake was complete"
        "usual for port checks and for clients that reject our certificate without an alert";
    PEER_RESET "peer-reset" PEER Aborted ERR_IO none
        "the client reset the connection"
        "the client ended abruptly; look there, or for a firewall between";
    TRUNCATED "truncated" PEER Aborted ERR_SOCKET_CLOSED none
        "the connection was closed without close_notify: data may be missing at the end"
        "the client should end its sessions with close_notify";
    CONNECT_DEADLINE "connect-deadline" BACKEND Aborted ERR_IO none
        "no backend accepted the connection, and completed TLS if it is to, within timeouts.connect"
        "look at the backend, or raise timeouts.connect";
    BACKEND_UNREACHABLE "backend-unreachable" BACKEND Aborted ERR_IO none
        "no backend of the service accepts connections"
        "start the backend, or correct its address";
    BACKEND_RESET "backend-reset" BACKEND Aborted ERR_IO none
        "the backend reset the connection"
        "look at the backend's own messages";
    BACKEND_NOT_TLS "backend-not-tls" BACKEND Aborted ATTLS_CLEAR_TEXT none
        "a backend that is to speak TLS answers in clear text"
        "name the TLS port of the backend, or write tls_backend = false";
    BACKEND_NAME "backend-name" BACKEND Aborted ERR_CERT_VALIDATION none
        "the backend's certificate is not for the name it is to have"
        "write the name of its certificate as tls_backend.server_name, or correct the backend";
    BACKEND_CA "backend-ca" BACKEND Aborted ERR_UNKNOWN_CA none
        "no CA of tls_backend.ca has issued the backend's certificate"
        "add its CA to tls_backend.ca, or let the backend send its intermediate certificates too";
    BACKEND_EXPIRED "backend-expired" BACKEND Aborted ERR_BAD_DATE none
        "a certificate of the backend's chain has expired or is not valid yet"
        "renew the backend's certificate; if it is valid, check the clock of this machine";
    BACKEND_CERTIFICATE "backend-certificate" BACKEND Aborted ERR_BAD_CERT none
        "the backend's certificate is not acceptable"
        "the reason names it: usage, signature, constraints, or a CA used as server";
    BACKEND_ALERT "backend-alert" BACKEND Aborted ERR_UNKNOWN_ALERT none
        "the backend refused us with an alert"
        "the alert says what it did not accept; look at the backend's own messages";
    BACKEND_TLS "backend-tls" BACKEND Aborted ERR_BAD_PEER none
        "TLS with the backend failed"
        "the reason says how; look at the backend's own messages";
    BACKEND_TRUNCATED "backend-truncated" BACKEND Aborted ERR_SOCKET_CLOSED none
        "the backend closed without close_notify: data may be missing at the end"
        "the backend should end its sessions with close_notify";
    IDLE_DEADLINE "idle-deadline" POLICY Aborted none none
        "nothing was sent in either direction for timeouts.idle"
        "raise timeouts.idle, or let client or service send keep-alives";
    SHUTDOWN "shutdown" POLICY Aborted none none
        "the program was told to stop and timeouts.drain passed"
        "raise timeouts.drain to give connections more time";
    INTERNAL_ERROR "internal-error" BUG Aborted INTERNAL_ERROR INTERNAL_ERROR
        "the program met a state it must not meet"
        "report it with this record";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable_kebab_case_and_unique() {
        for (at, rule) in ALL.iter().enumerate() {
            assert!(rule.name.bytes().all(|b| b.is_ascii_lowercase() || b"-2".contains(&b)));
            assert!(ALL[at + 1..].iter().all(|other| other.name != rule.name), "{}", rule.name);
            assert_eq!(find(rule.name), Some(*rule));
            assert!(!rule.meaning.ends_with('.') && !rule.hint.ends_with('.'), "{}", rule.name);
        }
        assert_eq!(find("no-such-rule"), None);
    }

    #[test]
    fn a_rule_reports_only_codes_marked_as_occurring() {
        for rule in ALL {
            if let Some(code) = rule.gsk {
                assert!(code.row().is_some_and(|row| row.occurs), "{}: {code}", rule.name);
            }
        }
    }

    #[test]
    fn the_alerts_the_design_promises() {
        let alert = |name: &str| find(name).and_then(|rule| rule.alert).map(|alert| alert.0);
        assert_eq!(alert("protocol-too-old"), Some(70));
        assert_eq!(alert("sslv2-hello"), Some(70));
        assert_eq!(alert("no-common-cipher"), Some(40));
        assert_eq!(alert("undecodable-hello"), Some(50));
        assert_eq!(alert("record-overflow"), Some(22));
        assert_eq!(alert("unknown-sni"), Some(112));
        assert_eq!(alert("signing-failed"), Some(80));
        assert_eq!(alert("client-cert-missing"), Some(116));
    }

    #[test]
    fn a_refusal_carries_what_the_rule_says() {
        let refusal = NO_COMMON_CIPHER.refusal("offers only RC4");
        assert_eq!(refusal.rule, "no-common-cipher");
        assert_eq!(refusal.gsk, Some(GskCode(402)));
        assert_eq!(refusal.alert_sent, Some(Alert(40)));
        assert_eq!(refusal.reason, "offers only RC4");
    }
}
