//! Whether clients must show a certificate, and what becomes of those they show.
//!
//! Purpose: rustls' verifier walks the chain and checks the signatures, through cpacf; what is
//! added here is the reason. A verifier can tell rustls only what kind of error it met, and rustls
//! derives the alert from it. The rule, the sentence and the names in the certificate are left in
//! the [`Context`](crate::handshake::context::Context) of the handshake, where the connection finds
//! them, and the kind of error is chosen so that the alert is that of the rule.
//!
//! Invariants: nothing here lets a client in that rustls' verifier refuses. Revocation is checked
//! where the service has lists ([`super::revocation`]). Nothing suspends.
//!
//! Source: RFC 5280 §6, RFC 8446 §4.4.2.4 and §6.2, RFC 5246 §7.2.2 and §7.4.8.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientCertVerifierBuilder, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};

use super::revocation::{self, Leniency, RevocationDepth, RevocationLists, RevocationRules};
use super::{Authorities, ClientCertificate};
use crate::alert::Alert;
use crate::compliance::{Allowed, PolicySet, Violation, judge};
use crate::handshake::context::{self, NO_END};
use crate::iana;
use crate::record::Refusal;
use crate::rules::{self, Rule};

/// What a service wants of its clients.
#[derive(Debug, Clone, Default)]
pub enum ClientAuth {
    /// They are not asked for a certificate.
    #[default]
    None,
    /// They are asked; one that has none goes on, one that shows a bad one does not.
    Optional {
        /// Who may have issued them.
        roots: Authorities,
        /// Which of them count no more.
        revoked: Option<RevocationLists>,
    },
    /// They are asked, and only those with a good one go on.
    Required {
        /// Who may have issued them.
        roots: Authorities,
        /// Which of them count no more.
        revoked: Option<RevocationLists>,
    },
}

impl ClientAuth {
    /// `none`, `optional`, `required`.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Optional { .. } => "optional",
            Self::Required { .. } => "required",
        }
    }

    /// The CAs, if any are asked for.
    #[must_use]
    pub fn roots(&self) -> Option<&Authorities> {
        match self {
            Self::None => None,
            Self::Optional { roots, .. } | Self::Required { roots, .. } => Some(roots),
        }
    }

    /// The revocation lists, if there are any.
    #[must_use]
    pub fn revoked(&self) -> Option<&RevocationLists> {
        match self {
            Self::None => None,
            Self::Optional { revoked, .. } | Self::Required { revoked, .. } => revoked.as_ref(),
        }
    }

    /// What a ticket vouches for of this, in a stable form.
    pub(crate) fn rules(&self) -> Vec<u8> {
        let mut rules = format!("client_auth={};", self.mode()).into_bytes();
        rules.extend(self.roots().into_iter().flat_map(|roots| &roots.digest));
        rules.extend(self.revoked().into_iter().flat_map(RevocationLists::identity));
        rules
    }

    /// The verifier for rustls.
    ///
    /// # Errors
    ///
    /// Those of rustls, for a set of CAs that is empty or a list that cannot be read; ours never
    /// are.
    pub(crate) fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
        policy: &PolicySet,
    ) -> Result<Arc<dyn ClientCertVerifier>, Error> {
        let Some(authorities) = self.roots() else {
            return Ok(WebPkiClientVerifier::no_client_auth());
        };
        let roots = Arc::clone(&authorities.roots);
        let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
        if matches!(self, Self::Optional { .. }) {
            builder = builder.allow_unauthenticated();
        }
        if !authorities.are_announced() {
            builder = builder.clear_root_hint_subjects();
        }
        let revoked = self.revoked().cloned();
        if let Some(lists) = &revoked {
            builder = with_lists(builder, lists);
        }
        let inner = builder.build().map_err(|e| Error::General(e.to_string()))?;
        Ok(Arc::new(Verifier { inner, policy: policy.clone(), revoked }))
    }
}

fn with_lists(
    builder: ClientCertVerifierBuilder,
    lists: &RevocationLists,
) -> ClientCertVerifierBuilder {
    let RevocationRules { depth, unknown, expired } = lists.rules();
    let mut builder = builder.with_crls(lists.ders());
    if depth == RevocationDepth::Leaf {
        builder = builder.only_check_end_entity_revocation();
    }
    if unknown == Leniency::Accept {
        builder = builder.allow_unknown_revocation_status();
    }
    if expired == Leniency::Refuse {
        builder = builder.enforce_revocation_expiration();
    }
    builder
}

/// rustls' verifier, with words and with the policy of the service.
#[derive(Debug)]
struct Verifier {
    inner: Arc<dyn ClientCertVerifier>,
    policy: PolicySet,
    revoked: Option<RevocationLists>,
}

impl Verifier {
    /// Whether the modes of the service approve a chain that leads to one of its CAs.
    fn approve(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        if self.policy.is_empty() {
            return Ok(());
        }
        let broken = self.policy.chain(&judge::path(leaf, others)).into_iter().next();
        let Some(Violation { rule, what, .. }) = broken else { return Ok(()) };
        note_refusal(rule.rule(), &what, Shown { leaf, others });
        Err(error_with_alert_of(rule.rule()))
    }

    /// Whether the modes of the service approve how the client has signed.
    fn approve_scheme(&self, signature: &DigitallySignedStruct) -> Result<(), Error> {
        let scheme = u16::from(signature.scheme);
        let Allowed::No(rule) = self.policy.scheme(scheme) else { return Ok(()) };
        let name = iana::scheme_name(scheme);
        note(rule.rule(), &format!("the client signs with {name}"), None, Vec::new());
        Err(PeerIncompatible::NoSignatureSchemesInCommon.into())
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.inner.verify_client_cert(end_entity, intermediates, now) {
            Ok(verified) => {
                self.approve(end_entity, intermediates)?;
                let lists_end =
                    self.revoked.as_ref().and_then(|lists| lists.end(end_entity, intermediates));
                note_expiry(end_entity, intermediates, lists_end);
                Ok(verified)
            }
            Err(error) => {
                let leaf = ClientCertificate::read(end_entity, false);
                let rule = rule_of(&error, leaf.as_ref());
                let shown = Shown { leaf: end_entity, others: intermediates };
                note_refusal(rule, &reason(rule, &error, leaf.as_ref()), shown);
                Err(error_with_alert_of(rule))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.approve_scheme(signature)?;
        self.inner
            .verify_tls12_signature(message, certificate, signature)
            .map_err(|error| unproven(&error, certificate))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.approve_scheme(signature)?;
        self.inner
            .verify_tls13_signature(message, certificate, signature)
            .map_err(|error| unproven(&error, certificate))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.inner.supported_verify_schemes();
        schemes.retain(|scheme| self.policy.scheme(u16::from(*scheme)).is_yes());
        schemes
    }
}

/// Lets the sessions of this handshake end with the first of the certificates that ends, or with
/// the first of the lists that speak of them.
fn note_expiry(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    lists_end: Option<u64>,
) {
    let Some(context) = context::current() else { return };
    let ends = std::iter::once(end_entity).chain(intermediates).filter_map(|der| {
        let end = ClientCertificate::read(der, false)?.not_after.duration_since(UNIX_EPOCH);
        Some(end.map_or(0, |end| end.as_secs()))
    });
    context.set_session_end(ends.chain(lists_end).min().unwrap_or(NO_END));
}

/// The chain that a client has shown.
struct Shown<'a> {
    leaf: &'a CertificateDer<'a>,
    others: &'a [CertificateDer<'a>],
}

fn note_refusal(rule: &'static Rule, reason: &str, Shown { leaf, others }: Shown<'_>) {
    let chain = std::iter::once(leaf).chain(others).map(|der| der.as_ref().to_vec()).collect();
    note(rule, reason, ClientCertificate::read(leaf, false), chain);
}

fn note(rule: &'static Rule, reason: &str, leaf: Option<ClientCertificate>, chain: Vec<Vec<u8>>) {
    if let Some(context) = context::current() {
        let refused = RefusedClient { refusal: rule.refusal(reason.to_owned()), leaf, chain };
        context.notes().refused_client = Some(refused);
    }
}

/// Why a client's certificate was refused.
#[derive(Debug)]
pub(crate) struct RefusedClient {
    pub(crate) refusal: Refusal,
    /// The certificate, if it could be read.
    pub(crate) leaf: Option<ClientCertificate>,
    /// What was refused, the certificate first.
    pub(crate) chain: Vec<Vec<u8>>,
}

/// The client's own signature is wrong: it has a certificate, but not its key. Or it has a key of
/// which no signature is verified.
fn unproven(error: &Error, certificate: &CertificateDer<'_>) -> Error {
    let leaf = ClientCertificate::read(certificate, false);
    if let Some(why) = leaf.as_ref().and_then(|leaf| too_short(&leaf.key)) {
        let rule = &rules::CLIENT_CERT_UNSUPPORTED;
        note(rule, &refused(leaf.as_ref(), &why), leaf, Vec::new());
        return error_with_alert_of(rule);
    }
    let rule = &rules::CLIENT_CERT_UNPROVEN;
    note(rule, &reason(rule, error, leaf.as_ref()), leaf, Vec::new());
    match error {
        // A scheme we did not offer: rustls answers with illegal_parameter.
        Error::PeerMisbehaved(_) => error.clone(),
        _ => CertificateError::BadSignature.into(),
    }
}

/// Bits of the shortest RSA key whose signatures are verified.
const RSA_BITS_MIN: u32 = 2048;

/// What is wrong with a key, by its name, if it is shorter than any that is verified.
fn too_short(key: &str) -> Option<String> {
    let bits: u32 = key.strip_prefix("RSA ")?.parse().ok()?;
    (bits < RSA_BITS_MIN)
        .then(|| format!("its key ({key}) is too short; {RSA_BITS_MIN} bits are the least"))
}

fn rule_of(error: &Error, leaf: Option<&ClientCertificate>) -> &'static Rule {
    use CertificateError as E;
    let self_signed = leaf.is_some_and(|leaf| leaf.subject == leaf.issuer);
    let error = match error {
        Error::InvalidCertificate(error) => error,
        Error::InvalidCertRevocationList(_) => return &rules::CRL_UNUSABLE,
        _ => return &rules::CLIENT_CERT_UNACCEPTABLE,
    };
    match error {
        E::Revoked => &rules::CLIENT_CERT_REVOKED,
        E::UnknownRevocationStatus => &rules::CLIENT_CERT_STATUS_UNKNOWN,
        E::ExpiredRevocationList | E::ExpiredRevocationListContext { .. } => &rules::CRL_EXPIRED,
        E::UnknownIssuer if self_signed => &rules::CLIENT_CERT_SELF_SIGNED,
        E::UnknownIssuer => &rules::CLIENT_CERT_UNTRUSTED,
        E::Expired | E::ExpiredContext { .. } => &rules::CLIENT_CERT_EXPIRED,
        E::NotValidYet | E::NotValidYetContext { .. } => &rules::CLIENT_CERT_NOT_YET_VALID,
        E::BadSignature => &rules::CLIENT_CERT_BAD_SIGNATURE,
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => &rules::CLIENT_CERT_WRONG_USAGE,
        E::BadEncoding => &rules::CLIENT_CERT_MALFORMED,
        E::UnsupportedSignatureAlgorithmContext { .. }
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
        | E::UnhandledCriticalExtension => &rules::CLIENT_CERT_UNSUPPORTED,
        E::Other(other) => match other.0.downcast_ref::<webpki::Error>() {
            Some(webpki::Error::CaUsedAsEndEntity) if self_signed => {
                &rules::CLIENT_CERT_SELF_SIGNED
            }
            Some(
                webpki::Error::MalformedExtensions
                | webpki::Error::MalformedDnsIdentifier
                | webpki::Error::MalformedNameConstraint
                | webpki::Error::InvalidSerialNumber
                | webpki::Error::ExtensionValueInvalid,
            ) => &rules::CLIENT_CERT_MALFORMED,
            Some(
                webpki::Error::UnsupportedCriticalExtension | webpki::Error::UnsupportedCertVersion,
            ) => &rules::CLIENT_CERT_UNSUPPORTED,
            _ => &rules::CLIENT_CERT_UNACCEPTABLE,
        },
        _ => &rules::CLIENT_CERT_UNACCEPTABLE,
    }
}

/// The error from which rustls makes the alert of `rule`; its own choice differs from ours in one
/// case: a chain that does not verify is a bad certificate, and decrypt_error is left to the
/// client's own signature (RFC 8446 §6.2).
fn error_with_alert_of(rule: &Rule) -> Error {
    let kind = match rule.name {
        "client-cert-untrusted" | "client-cert-self-signed" => CertificateError::UnknownIssuer,
        "client-cert-revoked" => CertificateError::Revoked,
        "client-cert-expired" | "client-cert-not-yet-valid" => CertificateError::Expired,
        "client-cert-bad-signature" | "client-cert-malformed" => CertificateError::BadEncoding,
        "client-cert-wrong-usage" | "client-cert-unsupported" => CertificateError::InvalidPurpose,
        _ if rule.alert == Some(Alert::UNSUPPORTED_CERTIFICATE) => CertificateError::InvalidPurpose,
        _ => CertificateError::Other(rustls::OtherError(Arc::new(NotAcceptable))),
    };
    Error::InvalidCertificate(kind)
}

/// Stands for everything that has no error of its own in rustls.
#[derive(Debug, thiserror::Error)]
#[error("the certificate is not acceptable")]
struct NotAcceptable;

fn reason(rule: &'static Rule, error: &Error, leaf: Option<&ClientCertificate>) -> String {
    let why = match error {
        _ if *rule == rules::CLIENT_CERT_UNPROVEN => "its key did not make the signature".into(),
        Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
            format!("a certificate of its chain expired {} s ago", past(*not_after))
        }
        Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) => {
            format!("a certificate of its chain becomes valid in {} s", ahead(*not_before))
        }
        Error::InvalidCertificate(CertificateError::ExpiredRevocationListContext {
            next_update,
            ..
        }) => {
            let overdue = revocation::overdue(*next_update);
            format!("the revocation list that covers it is out of date since {overdue} s")
        }
        Error::InvalidCertRevocationList(why) => {
            format!("the revocation list that covers it cannot be used: {why:?}")
        }
        _ if *rule == rules::CLIENT_CERT_REVOKED => {
            "a certificate of its chain has been revoked".into()
        }
        _ if *rule == rules::CLIENT_CERT_STATUS_UNKNOWN => {
            "no revocation list covers a certificate of its chain".into()
        }
        _ if *rule == rules::CLIENT_CERT_UNTRUSTED => "no configured CA issued it".into(),
        _ if *rule == rules::CLIENT_CERT_SELF_SIGNED => "it is signed by itself".into(),
        _ if *rule == rules::CLIENT_CERT_BAD_SIGNATURE => {
            "a signature of its chain is wrong".into()
        }
        // rustls has numbers only, of which nobody can make anything.
        Error::InvalidCertificate(
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
        ) => "a certificate of its chain is signed in a way that is not accepted, SHA-1 for \
              instance"
            .into(),
        Error::InvalidCertificate(CertificateError::Other(other)) => other.0.to_string(),
        other => other.to_string(),
    };
    refused(leaf, &why)
}

fn refused(leaf: Option<&ClientCertificate>, why: &str) -> String {
    match leaf {
        Some(leaf) => format!(
            "the client's certificate `{}`, issued by `{}`, is refused: {why}",
            leaf.subject, leaf.issuer
        ),
        None => format!("the client's certificate is refused: {why}"),
    }
}

fn past(end: UnixTime) -> u64 {
    UnixTime::now().as_secs().saturating_sub(end.as_secs())
}

fn ahead(begin: UnixTime) -> u64 {
    begin.as_secs().saturating_sub(UnixTime::now().as_secs())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use rustls::server::ProducesTickets;

    use super::*;
    use crate::tickets::{ServiceTicketer, TicketRing};

    fn ca() -> Authorities {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Authorities::of(vec![certificate.der().clone()], SystemTime::now()).unwrap()
    }

    #[test]
    fn another_mode_and_another_ca_are_other_rules() {
        let (ours, theirs) = (ca(), ca());
        let demands = [
            ClientAuth::None,
            ClientAuth::Optional { roots: ours.clone(), revoked: None },
            ClientAuth::Required { roots: ours.clone(), revoked: None },
            ClientAuth::Required { roots: theirs, revoked: None },
        ];
        let hour = Duration::from_secs(3600);
        let ring = TicketRing::new(hour, hour, Instant::now()).unwrap();
        let ticketer = |demand: &ClientAuth| {
            ServiceTicketer::new(Arc::clone(&ring), "same", &demand.rules()).unwrap()
        };
        for (number, one) in demands.iter().enumerate() {
            let ticket = ticketer(one).encrypt(b"session").unwrap();
            for (other_number, other) in demands.iter().enumerate() {
                let opened = ticketer(other).decrypt(&ticket).is_some();
                assert_eq!(opened, number == other_number, "{number} {other_number}");
            }
        }
        let again = ClientAuth::Required { roots: ours, revoked: None };
        assert_eq!(again.rules(), demands[2].rules(), "a restart with the same file");
    }

    #[test]
    fn a_key_too_short_is_named_and_not_taken_for_a_stolen_one() {
        let expected = "its key (RSA 1024) is too short; 2048 bits are the least";
        assert_eq!(too_short("RSA 1024").unwrap(), expected);
        for fits in ["RSA 2048", "EC P-256", "Ed25519", "1.2.3"] {
            assert_eq!(too_short(fits), None, "{fits}");
        }
    }

    #[test]
    fn the_error_given_to_rustls_makes_the_alert_of_the_rule() {
        let rules = rules::ALL.iter().filter(|rule| {
            let theirs = [&rules::CLIENT_CERT_MISSING, &rules::CLIENT_CERT_UNPROVEN];
            rule.name.starts_with("client-cert-") && !theirs.contains(rule)
        });
        for rule in rules {
            let Error::InvalidCertificate(error) = error_with_alert_of(rule) else { panic!() };
            let alert = u8::from(rustls::AlertDescription::from(error));
            assert_eq!(Some(alert), rule.alert.map(|alert| alert.0), "{}", rule.name);
        }
    }
}
