//! The certificate revocation lists of a service, for the certificates its clients show.
//!
//! Purpose: read lists from PEM or DER, say everything that is wrong with a file at once, hold each
//! against the CAs of the service, and hand them to rustls' verifier together with what happens
//! where no list speaks of a certificate, or where the one that does is out of date.
//!
//! Invariants: a set has at least one list; each of them can be used by the verifier, and where its
//! issuer is one of the service's CAs, that CA has signed it. The verifier takes the first list
//! that covers a certificate, so newer lists (by date, then by number) stand before older ones: no
//! order of files can hide a revocation. What is not said is the stricter choice.
//!
//! What it does not do: fetch lists, OCSP, indirect and delta lists (refused when they are read). A
//! list of a CA that clients send along is verified when they do.
//!
//! Source: RFC 5280 §5 and §6.3.

use std::cmp::Reverse;
use std::time::{SystemTime, UNIX_EPOCH};

use cpacf::digest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::load::{CertFault, LoadRule, rule, time};
use super::{Authorities, dn};
use crate::compliance::{RevocationFacts, signature_name};
use crate::provider;

/// Every rule a file of revocation lists can break.
pub static REVOCATION_LOADING: &[LoadRule] = &[
    rule("crl-empty", "the file of revocation lists is empty", "get the list from its CA"),
    rule(
        "crl-missing",
        "the file holds no revocation list, in PEM or in DER",
        "name the file of the list; certificates go into `ca`",
    ),
    rule(
        "crl-unreadable",
        "a revocation list cannot be used: damaged, delta, indirect or of another version",
        "get a complete list of version 2 from its CA",
    ),
    rule(
        "crl-signature-unsupported",
        "a revocation list is signed by an algorithm that is not verified here",
        "let its CA issue it with RSA or ECDSA and SHA-256, SHA-384 or SHA-512",
    ),
    rule(
        "crl-not-yet-valid",
        "a revocation list begins in the future",
        "check the clock of this machine",
    ),
    rule(
        "crl-expired-at-start",
        "the next update of a revocation list is past, and expired lists are not accepted",
        "get a new list from its CA; crl_expired = \"accept\" lets old ones count",
    ),
    rule(
        "crl-foreign-signature",
        "a revocation list bears the name of a CA of the service, but that CA did not sign it",
        "get the list from the CA again; another CA of the same name may have issued it",
    ),
    rule(
        "crl-issuer-unfit",
        "the CA that has issued a revocation list may not sign any by its key usage",
        "let the CA have the key usage cRLSign",
    ),
    rule(
        "crl-none-for-ca",
        "a CA of the service has no revocation list, so the certificates it issued are refused",
        "add its list to `crl`; crl_unknown = \"accept\" lets in whom no list covers",
    ),
];

/// How far up the chain of a client is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RevocationDepth {
    /// The client's certificate and every CA below the one that is trusted.
    #[default]
    Chain,
    /// The client's certificate alone.
    Leaf,
}

/// What becomes of something that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leniency {
    /// The client is refused.
    #[default]
    Refuse,
    /// It is let in.
    Accept,
}

/// How lists are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RevocationRules {
    /// How far up.
    pub depth: RevocationDepth,
    /// Where no list covers a certificate.
    pub unknown: Leniency,
    /// Where the next update of the list that does is past.
    pub expired: Leniency,
}

/// One list.
#[derive(Debug, Clone)]
pub struct RevocationList {
    pub(crate) der: CertificateRevocationListDer<'static>,
    pub(crate) facts: RevocationFacts,
    /// Of its issuer, as it is encoded.
    issuer: Vec<u8>,
    /// Big-endian, without leading zeros; nothing where it has none.
    number: Vec<u8>,
    digest: Vec<u8>,
}

/// The lists of a service.
#[derive(Debug, Clone)]
pub struct RevocationLists {
    /// The newest first.
    lists: Vec<RevocationList>,
    rules: RevocationRules,
}

impl RevocationLists {
    /// These lists; none if there is no list.
    #[must_use]
    pub fn new(mut lists: Vec<RevocationList>, rules: RevocationRules) -> Option<Self> {
        let age = |list: &RevocationList| {
            Reverse((list.facts.this_update, list.number.len(), list.number.clone()))
        };
        lists.sort_by_key(age);
        lists.dedup_by(|one, other| one.digest == other.digest);
        (!lists.is_empty()).then_some(Self { lists, rules })
    }

    /// How they are applied.
    #[must_use]
    pub fn rules(&self) -> RevocationRules {
        self.rules
    }

    /// What policies judge.
    pub(crate) fn facts(&self) -> impl Iterator<Item = &RevocationFacts> {
        self.lists.iter().map(|list| &list.facts)
    }

    pub(super) fn ders(&self) -> impl Iterator<Item = CertificateRevocationListDer<'static>> + '_ {
        self.lists.iter().map(|list| list.der.clone())
    }

    /// What a ticket vouches for of this: the rules, and each list whatever the order of the files.
    pub(super) fn identity(&self) -> Vec<u8> {
        let mut digests: Vec<&[u8]> = self.lists.iter().map(|list| &*list.digest).collect();
        digests.sort_unstable();
        let mut identity = format!("crl={:?};", self.rules).into_bytes();
        identity.extend(digests.into_iter().flatten());
        identity
    }

    /// When the first of the lists that speak of this chain is out of date, in seconds since 1970;
    /// none where that is no matter.
    pub(super) fn end(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Option<u64> {
        if self.rules.expired == Leniency::Accept {
            return None;
        }
        let shown = std::iter::once(end_entity).chain(intermediates);
        let issuers: Vec<Vec<u8>> = shown.filter_map(|der| issuer_of(der)).collect();
        let speaking = self.lists.iter().filter(|list| issuers.contains(&list.issuer));
        speaking.filter_map(|list| list.facts.next_update).map(seconds).min()
    }
}

fn issuer_of(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.issuer().as_raw().to_vec())
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Reads the lists of a file, PEM with one or more of them or DER with one, for a service with
/// these CAs.
///
/// # Errors
///
/// Everything that is wrong with the file.
pub fn load_revocation_lists(
    file: &[u8],
    authorities: &Authorities,
    rules: RevocationRules,
    now: SystemTime,
) -> Result<Vec<RevocationList>, Vec<CertFault>> {
    let (mut lists, mut faults) = (Vec::new(), Vec::new());
    for (position, der) in sections(file).map_err(|fault| vec![fault])?.into_iter().enumerate() {
        match read(der, position + 1) {
            Ok(list) => {
                faults.extend(check(&list, authorities, rules, now));
                lists.push(list);
            }
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(lists) } else { Err(faults) }
}

/// What an operator should know of the lists of a service: CAs whose certificates they refuse.
#[must_use]
pub fn advise_revocation(
    lists: &[RevocationList],
    authorities: &Authorities,
    rules: RevocationRules,
) -> Vec<CertFault> {
    if rules.unknown == Leniency::Accept {
        return Vec::new();
    }
    let covered = |subject: &[u8]| lists.iter().any(|list| list.issuer == subject);
    let without = authorities.certificates.iter().filter_map(|der| {
        let (_, ca) = X509Certificate::from_der(der).ok()?;
        (!covered(ca.subject().as_raw())).then(|| dn::text(ca.subject()))
    });
    let fault = |subject| {
        CertFault::new(
            "crl-none-for-ca",
            format!(
                "the CA `{subject}` has no revocation list, so the certificates it issued are \
                 refused"
            ),
            "add its list to `crl`; crl_unknown = \"accept\" lets in whom no list covers",
        )
    };
    without.map(fault).collect()
}

/// What policies judge of the lists in a file; of those that can be read.
pub(crate) fn facts_of_file(file: &[u8]) -> Vec<RevocationFacts> {
    let ders = sections(file).unwrap_or_default().into_iter().enumerate();
    ders.filter_map(|(position, der)| Some(read(der, position + 1).ok()?.facts)).collect()
}

fn sections(file: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, CertFault> {
    if file.trim_ascii().is_empty() {
        return Err(CertFault::new(
            "crl-empty",
            "the file of revocation lists is empty",
            "get the list from its CA",
        ));
    }
    // DER of a list begins with a SEQUENCE, which no PEM does.
    if file.first() == Some(&0x30) {
        return Ok(vec![CertificateRevocationListDer::from(file.to_vec())]);
    }
    let all = CertificateRevocationListDer::pem_slice_iter(file).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| {
        let what = format!("the file of revocation lists is not valid PEM: {error}");
        CertFault::new("crl-missing", what, "get the list from its CA again")
    })?;
    if all.is_empty() {
        return Err(CertFault::new(
            "crl-missing",
            "the file holds no X509 CRL section",
            "name the file of the list; certificates go into `ca`",
        ));
    }
    Ok(all)
}

fn read(
    der: CertificateRevocationListDer<'static>,
    number: usize,
) -> Result<RevocationList, CertFault> {
    let unusable = |why: String| {
        CertFault::new(
            "crl-unreadable",
            format!("revocation list {number} of the file cannot be used: {why}"),
            "get a complete list of version 2 from its CA",
        )
    };
    // What the verifier will read is what is asked here.
    webpki::OwnedCertRevocationList::from_der(&der).map_err(|error| unusable(error.to_string()))?;
    let Ok(([], list)) = CertificateRevocationList::from_der(&der) else {
        return Err(unusable("it is not valid X.509".to_owned()));
    };
    let signature = signature_name(&list.signature_algorithm);
    let facts = RevocationFacts {
        issuer: dn::text(list.issuer()),
        // The value of an RSA signature is as long as the modulus.
        rsa_bits: signature
            .starts_with("RSA")
            .then(|| u32::try_from(list.signature_value.data.len()).unwrap_or(u32::MAX))
            .map(|bytes| bytes.saturating_mul(8)),
        signature,
        this_update: time(list.last_update().timestamp()),
        next_update: list.next_update().map(|next| time(next.timestamp())),
    };
    let issuer = list.issuer().as_raw().to_vec();
    let number = list.crl_number().map(|number| number.to_bytes_be()).unwrap_or_default();
    let digest = digest::digest(digest::Algorithm::Sha256, &der)
        .map_err(|error| unusable(format!("it cannot be hashed: {error}")))?;
    let digest = digest.as_ref().to_vec();
    Ok(RevocationList { der, facts, issuer, number, digest })
}

/// Holds a list against the clock and against the CAs of the service.
fn check(
    list: &RevocationList,
    authorities: &Authorities,
    rules: RevocationRules,
    now: SystemTime,
) -> Vec<CertFault> {
    let mut faults = Vec::new();
    let issuer = &list.facts.issuer;
    if list.facts.this_update > now {
        faults.push(CertFault::new(
            "crl-not-yet-valid",
            format!("the revocation list of `{issuer}` begins in the future"),
            "check the clock of this machine",
        ));
    }
    let expired = list.facts.next_update.is_some_and(|next| next < now);
    if expired && rules.expired == Leniency::Refuse {
        faults.push(CertFault::new(
            "crl-expired-at-start",
            format!("the revocation list of `{issuer}` is out of date: its next update is past"),
            "get a new list from its CA; crl_expired = \"accept\" lets old ones count",
        ));
    }
    if !VERIFIED.contains(&&*list.facts.signature) {
        let signature = &list.facts.signature;
        faults.push(CertFault::new(
            "crl-signature-unsupported",
            format!("the revocation list of `{issuer}` is signed with {signature}"),
            "let its CA issue it with RSA or ECDSA and SHA-256, SHA-384 or SHA-512",
        ));
        return faults;
    }
    let parse = |der| X509Certificate::from_der(der).ok().map(|(_, ca)| ca);
    let named: Vec<_> = authorities
        .certificates
        .iter()
        .filter_map(|der| Some((der, parse(der)?)))
        .filter(|(_, ca)| ca.subject().as_raw() == list.issuer.as_slice())
        .collect();
    if named.is_empty() {
        return faults;
    }
    match named.iter().find(|(der, _)| is_signed_by(list, der)) {
        None => faults.push(CertFault::new(
            "crl-foreign-signature",
            format!("the revocation list of `{issuer}` is not signed by the CA of that name"),
            "get the list from the CA again; another CA of the same name may have issued it",
        )),
        Some((_, ca)) if !may_sign_lists(ca) => faults.push(CertFault::new(
            "crl-issuer-unfit",
            format!("the CA `{issuer}` may not sign revocation lists: its key usage says so"),
            "let the CA have the key usage cRLSign",
        )),
        Some(_) => {}
    }
    faults
}

/// Signatures that [`provider::SUPPORTED`] verifies, by their names in [`RevocationFacts`].
const VERIFIED: [&str; 9] = [
    "RSA-SHA256",
    "RSA-SHA384",
    "RSA-SHA512",
    "RSASSA-PSS-SHA256",
    "RSASSA-PSS-SHA384",
    "RSASSA-PSS-SHA512",
    "ecdsa-with-SHA256",
    "ecdsa-with-SHA384",
    "ecdsa-with-SHA512",
];

fn may_sign_lists(ca: &X509Certificate<'_>) -> bool {
    ca.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.crl_sign()))
}

fn is_signed_by(list: &RevocationList, ca: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = CertificateRevocationList::from_der(&list.der) else { return false };
    let Ok(ca) = webpki::EndEntityCert::try_from(ca) else { return false };
    // Which of them the list names is for the verifier; here it matters whose key it is.
    provider::SUPPORTED.all.iter().any(|algorithm| {
        let (message, signature) = (parsed.tbs_cert_list.as_ref(), &*parsed.signature_value.data);
        ca.verify_signature(*algorithm, message, signature).is_ok()
    })
}

/// How long ago a list went out of date.
pub(super) fn overdue(next_update: UnixTime) -> u64 {
    UnixTime::now().as_secs().saturating_sub(next_update.as_secs())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
        KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    };
    use rustls::server::danger::ClientCertVerifier;
    use rustls::{CertificateError, Error};

    use super::*;
    use crate::certs::ClientAuth;
    use crate::compliance::PolicySet;

    const DAY: Duration = Duration::from_secs(86_400);

    /// A CA, its file and a client of it with the serial number 7.
    struct Pki {
        issuer: Issuer<'static, KeyPair>,
        roots: Authorities,
        client: CertificateDer<'static>,
    }

    impl Pki {
        fn new(name: &str, usages: Vec<KeyUsagePurpose>) -> Self {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            params.key_usages.extend(usages);
            let key = KeyPair::generate().unwrap();
            let ca = params.self_signed(&key).unwrap().der().clone();
            // What it may not do it does all the same, for the tests.
            params.key_usages.clear();
            let issuer = Issuer::new(params, key);
            let mut leaf = CertificateParams::default();
            leaf.serial_number = Some(SerialNumber::from(7_u64));
            let client = leaf.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
            let roots = Authorities::of(vec![ca], SystemTime::now()).unwrap();
            Self { issuer, roots, client: client.der().clone() }
        }

        fn usual() -> Self {
            Self::new("CA", vec![KeyUsagePurpose::CrlSign])
        }

        /// A list of that number, as old as `age`, good for two days.
        fn list(&self, number: u64, age: Duration, revoked: &[u64]) -> Vec<u8> {
            let begin = SystemTime::now() - age;
            let revoke = |serial: &u64| RevokedCertParams {
                serial_number: SerialNumber::from(*serial),
                revocation_time: begin.into(),
                reason_code: None,
                invalidity_date: None,
            };
            let params = CertificateRevocationListParams {
                this_update: begin.into(),
                next_update: (begin + 2 * DAY).into(),
                crl_number: SerialNumber::from(number),
                issuing_distribution_point: None,
                revoked_certs: revoked.iter().map(revoke).collect(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            params.signed_by(&self.issuer).unwrap().der().to_vec()
        }

        fn load(&self, file: &[u8], rules: RevocationRules) -> Result<Vec<RevocationList>, Rules> {
            load_revocation_lists(file, &self.roots, rules, SystemTime::now())
                .map_err(|faults| faults.into_iter().map(|fault| fault.rule).collect())
        }

        fn auth(&self, files: &[Vec<u8>], rules: RevocationRules) -> ClientAuth {
            let lists = files.iter().flat_map(|file| self.load(file, rules).unwrap());
            let revoked = RevocationLists::new(lists.collect(), rules);
            ClientAuth::Required { roots: self.roots.clone(), revoked }
        }

        fn verifier(&self, auth: &ClientAuth) -> Arc<dyn ClientCertVerifier> {
            let (suites, groups) = (provider::working_suites(), provider::working_groups());
            auth.verifier(&provider::provider(suites, groups), &PolicySet::default()).unwrap()
        }

        /// What becomes of the client in that many days, in rustls' words.
        fn meet(&self, auth: &ClientAuth, days: u32) -> Result<(), Error> {
            let now = SystemTime::now() + days * DAY;
            let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap());
            self.verifier(auth).verify_client_cert(&self.client, &[], now).map(|_| ())
        }
    }

    type Rules = Vec<&'static str>;

    fn lax() -> RevocationRules {
        RevocationRules { expired: Leniency::Accept, ..RevocationRules::default() }
    }

    #[test]
    fn the_newest_list_counts_whatever_the_order() {
        let pki = Pki::usual();
        let refused = Err(CertificateError::Revoked.into());
        let (old, new) = (pki.list(1, DAY, &[]), pki.list(2, Duration::ZERO, &[7]));
        // Made in the same second: the number decides.
        let third = pki.list(300, Duration::ZERO, &[]);
        for files in [[old.clone(), new.clone()], [new.clone(), old]] {
            assert_eq!(pki.meet(&pki.auth(&files, lax()), 0), refused);
        }
        for files in [[new.clone(), third.clone()], [third, new]] {
            let served = pki.meet(&pki.auth(&files, lax()), 0);
            // A second may have passed between the two; the later one has the higher number.
            assert_eq!(served, Ok(()));
        }
    }

    #[test]
    fn a_list_counts_until_its_next_update_unless_old_ones_are_accepted() {
        let pki = Pki::usual();
        let files = [pki.list(1, Duration::ZERO, &[])];
        let strict = pki.auth(&files, RevocationRules::default());
        assert_eq!(pki.meet(&strict, 1), Ok(()));
        // The words of a rule whose alert is certificate_unknown.
        let later = pki.meet(&strict, 3);
        assert!(matches!(later, Err(Error::InvalidCertificate(CertificateError::Other(_)))));
        assert_eq!(pki.meet(&pki.auth(&files, lax()), 3), Ok(()));
        let end = |auth: &ClientAuth| auth.revoked().unwrap().end(&pki.client, &[]);
        let now = UnixTime::now().as_secs();
        assert!(end(&strict).is_some_and(|end| (now..=now + 2 * 86_400).contains(&end)));
        assert_eq!(end(&pki.auth(&files, lax())), None);
        let other = Pki::new("another", vec![KeyUsagePurpose::CrlSign]);
        assert_eq!(strict.revoked().unwrap().end(&other.client, &[]), None, "it covers it not");
    }

    #[test]
    fn a_ticket_does_not_outlive_its_lists() {
        let pki = Pki::usual();
        let (one, two) = (pki.list(1, Duration::ZERO, &[]), pki.list(2, Duration::ZERO, &[7]));
        let rules = |files: &[Vec<u8>], rules| pki.auth(files, rules).rules();
        let both = rules(&[one.clone(), two.clone()], lax());
        assert_eq!(both, rules(&[two.clone(), one.clone()], lax()), "order is no matter");
        assert_eq!(both, rules(&[two.clone(), one.clone(), two.clone()], lax()));
        let others = [
            rules(&[], lax()),
            rules(std::slice::from_ref(&one), lax()),
            rules(&[two], lax()),
            rules(&[one], RevocationRules::default()),
        ];
        for (position, other) in others.iter().enumerate() {
            assert!(*other != both && !others[position + 1..].contains(other), "{position}");
        }
    }

    #[test]
    fn every_fault_of_a_file_has_its_rule() {
        let (pki, strict) = (Pki::usual(), RevocationRules::default());
        let load = |file: &[u8]| pki.load(file, strict).map(|lists| lists.len());
        let good = pki.list(1, Duration::ZERO, &[]);
        assert_eq!(load(&good), Ok(1));
        assert_eq!(load(b" \n"), Err(vec!["crl-empty"]));
        assert_eq!(load(b"x"), Err(vec!["crl-missing"]));
        assert_eq!(load(&good[..good.len() - 1]), Err(vec!["crl-unreadable"]));
        assert_eq!(load(&pki.list(1, 3 * DAY, &[])), Err(vec!["crl-expired-at-start"]));
        assert!(pki.load(&pki.list(1, 3 * DAY, &[]), lax()).is_ok());
        let namesake = Pki::usual().list(1, Duration::ZERO, &[]);
        assert_eq!(load(&namesake), Err(vec!["crl-foreign-signature"]));
        let unfit = Pki::new("CA", Vec::new());
        let list = unfit.list(1, Duration::ZERO, &[]);
        assert_eq!(unfit.load(&list, strict).map(|l| l.len()), Err(vec!["crl-issuer-unfit"]));
        // A list of a CA below is verified when a client shows that CA.
        let below = Pki::new("below", vec![KeyUsagePurpose::CrlSign]);
        assert_eq!(load(&below.list(1, Duration::ZERO, &[])), Ok(1));
    }

    #[test]
    fn every_rule_of_this_file_can_be_explained() {
        let source = include_str!("revocation.rs");
        let (source, _) = source.split_once("#[cfg(test)]").unwrap_or_default();
        let named = source.split("CertFault::new(").skip(1).filter_map(|rest| {
            let rest = rest.trim_start().strip_prefix('"')?;
            rest.split('"').next()
        });
        let named: Vec<&str> = named.collect();
        assert!(named.len() >= REVOCATION_LOADING.len(), "{named:?}");
        for name in named {
            assert!(REVOCATION_LOADING.iter().any(|rule| rule.name == name), "{name}");
        }
    }
}
