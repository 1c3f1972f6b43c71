//! Chains that are valid and that real clients refuse all the same.
//!
//! Purpose: say at load what would otherwise be a riddle at the first handshake: "it works with
//! openssl, but not with the browser". Everything here is advice; nothing of it stops a start. What
//! a mode forbids is the business of [`crate::compliance`].
//!
//! What it does not do: guess at trust. Whether clients know the issuer cannot be told from a file,
//! so a leaf that stands alone is remarked on, whoever issued it.
//!
//! Source: RFC 5280 §4.2.1, RFC 9325 §4; CA/Browser Forum Baseline Requirements; the signature
//! algorithms that browsers offer (no `ecdsa_secp521r1_sha512` in Chrome, Edge and Safari).

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::load::{CertFault, LoadRule, rule};

/// Every rule an advice can name.
pub static ADVICE: &[LoadRule] = &[
    rule(
        "chain-mixed-keys",
        "the certificate has an EC key, and its issuer has signed it with RSA",
        "have it signed by an EC authority, or use an RSA key under this one",
    ),
    rule(
        "curve-not-offered",
        "a key of the chain is on P-521, and most browsers do not offer to verify with it",
        "use P-256 or P-384 for certificates that browsers shall accept",
    ),
    rule(
        "signature-outdated",
        "a certificate of the chain is signed with SHA-1 or MD5, which clients refuse",
        "have it issued anew with SHA-256 or better",
    ),
    rule(
        "name-missing",
        "the certificate has no subject alternative name, and clients ignore the common name",
        "have it issued anew with the names and addresses it is reached by",
    ),
    rule(
        "intermediate-missing",
        "the file holds the certificate alone, and somebody else issued it",
        "append the certificates of its issuers, up to one that every client has",
    ),
    rule(
        "key-usage-unfit",
        "key usage or extended key usage does not allow what a TLS server does with the key",
        "have it issued anew with digitalSignature, and serverAuth among the extended usages",
    ),
    rule(
        "leaf-is-ca",
        "the certificate is itself one of an authority, which some clients refuse from a server",
        "have it issued anew with basicConstraints CA:FALSE",
    ),
    rule(
        "issuer-not-ca",
        "an issuer in the chain may not issue certificates",
        "put the certificate of the real issuer there, one with CA:TRUE and keyCertSign",
    ),
];

/// What clients may stumble over in a chain, leaf first.
pub(super) fn advise(chain: &[CertificateDer<'_>]) -> Vec<CertFault> {
    let chain: Vec<X509Certificate<'_>> = chain
        .iter()
        .map_while(|der| X509Certificate::from_der(der).ok().map(|(_, parsed)| parsed))
        .collect();
    let Some((leaf, issuers)) = chain.split_first() else { return Vec::new() };
    let of_leaf: [fn(&X509Certificate<'_>) -> Option<CertFault>; 4] =
        [mixed_keys, name_missing, key_usage_unfit, leaf_is_ca];
    let mut advice: Vec<CertFault> = of_leaf.iter().filter_map(|look| look(leaf)).collect();
    if issuers.is_empty() {
        advice.extend(intermediate_missing(leaf));
    }
    advice.extend(curve_not_offered(&chain));
    advice.extend(chain.iter().find_map(signature_outdated));
    advice.extend(issuers.iter().find_map(issuer_not_ca));
    advice
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

const EC_KEY: &str = "1.2.840.10045.2.1";
const P521: &str = "1.3.132.0.35";
const RSA_SIGNATURES: &str = "1.2.840.113549.1.1.";
/// MD5 and SHA-1 with RSA, SHA-1 with ECDSA and with DSA.
const OUTDATED: [(&str, &str); 4] = [
    ("1.2.840.113549.1.1.4", "MD5"),
    ("1.2.840.113549.1.1.5", "SHA-1"),
    ("1.2.840.10045.4.1", "SHA-1"),
    ("1.2.840.10040.4.3", "SHA-1"),
];

fn mixed_keys(leaf: &X509Certificate<'_>) -> Option<CertFault> {
    let ec = leaf.public_key().algorithm.algorithm.to_id_string() == EC_KEY;
    let by_rsa = leaf.signature_algorithm.algorithm.to_id_string().starts_with(RSA_SIGNATURES);
    (ec && by_rsa).then(|| {
        CertFault::new(
            "chain-mixed-keys",
            format!(
                "the certificate has an EC key and an RSA signature of `{}`: a client that \
                 verifies ECDSA alone, or wants one kind of key in the whole chain, refuses it",
                leaf.issuer()
            ),
            "have it signed by an EC authority, or use an RSA key under this one",
        )
    })
}

fn name_missing(leaf: &X509Certificate<'_>) -> Option<CertFault> {
    let names = leaf.subject_alternative_name().ok().flatten();
    let named = names.is_some_and(|names| {
        let mut names = names.value.general_names.iter();
        names.any(|name| matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_)))
    });
    (!named).then(|| {
        CertFault::new(
            "name-missing",
            format!(
                "the certificate of `{}` names no host in a subject alternative name; clients \
                 ignore the common name",
                leaf.subject()
            ),
            "have it issued anew with the names and addresses it is reached by",
        )
    })
}

fn key_usage_unfit(leaf: &X509Certificate<'_>) -> Option<CertFault> {
    let usage = leaf.key_usage().ok().flatten();
    let extended = leaf.extended_key_usage().ok().flatten();
    let what = if usage.is_some_and(|usage| !usage.value.digital_signature()) {
        "its key usage lacks digitalSignature, which TLS 1.3 and every ECDHE suite need"
    } else if extended.is_some_and(|usage| !usage.value.server_auth && !usage.value.any) {
        "its extended key usage lacks serverAuth"
    } else {
        return None;
    };
    Some(CertFault::new(
        "key-usage-unfit",
        format!("clients will not take the certificate from a server: {what}"),
        "have it issued anew with digitalSignature, and serverAuth among the extended usages",
    ))
}

fn leaf_is_ca(leaf: &X509Certificate<'_>) -> Option<CertFault> {
    leaf.is_ca().then(|| {
        CertFault::new(
            "leaf-is-ca",
            format!(
                "the certificate of `{}` is one of an authority (CA:TRUE), which some clients \
                 refuse from a server",
                leaf.subject()
            ),
            "have it issued anew with basicConstraints CA:FALSE",
        )
    })
}

fn intermediate_missing(leaf: &X509Certificate<'_>) -> Option<CertFault> {
    (!is_self_issued(leaf)).then(|| {
        let fetched = fetched_from(leaf).map_or_else(String::new, |address| {
            format!(" (it is at {address}, and most clients do not fetch it)")
        });
        CertFault::new(
            "intermediate-missing",
            format!(
                "the file holds the certificate alone: clients that do not have `{}` itself find \
                 no way to a root{fetched}",
                leaf.issuer()
            ),
            "append the certificates of its issuers; if that is a root that all clients have, \
             nothing is missing",
        )
    })
}

/// Where the leaf says that the certificate of its issuer is.
fn fetched_from(leaf: &X509Certificate<'_>) -> Option<String> {
    const CA_ISSUERS: &str = "1.3.6.1.5.5.7.48.2";
    leaf.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => {
            access.accessdescs.iter().find_map(|found| match &found.access_location {
                GeneralName::URI(uri) if found.access_method.to_id_string() == CA_ISSUERS => {
                    Some(uri.escape_debug().to_string())
                }
                _ => None,
            })
        }
        _ => None,
    })
}

fn curve_not_offered(chain: &[X509Certificate<'_>]) -> Option<CertFault> {
    let on_p521 = |certificate: &&X509Certificate<'_>| {
        let parameters = certificate.public_key().algorithm.parameters.as_ref();
        let curve = parameters.and_then(|parameters| parameters.as_oid().ok());
        curve.is_some_and(|curve| curve.to_id_string() == P521)
    };
    chain.iter().find(on_p521).map(|certificate| {
        CertFault::new(
            "curve-not-offered",
            format!(
                "the key of `{}` is on P-521: Chrome, Edge and Safari do not offer to verify \
                 with it",
                certificate.subject()
            ),
            "use P-256 or P-384 for certificates that browsers shall accept",
        )
    })
}

/// A self-issued certificate is trusted or not, never by its signature.
fn signature_outdated(certificate: &X509Certificate<'_>) -> Option<CertFault> {
    let signature = certificate.signature_algorithm.algorithm.to_id_string();
    let (_, hash) = OUTDATED.iter().find(|(oid, _)| *oid == signature)?;
    (!is_self_issued(certificate)).then(|| {
        CertFault::new(
            "signature-outdated",
            format!(
                "the certificate of `{}` is signed with {hash}, which clients refuse",
                certificate.subject()
            ),
            "have it issued anew with SHA-256 or better",
        )
    })
}

fn issuer_not_ca(issuer: &X509Certificate<'_>) -> Option<CertFault> {
    let usage = issuer.key_usage().ok().flatten();
    let may_not_sign = usage.is_some_and(|usage| !usage.value.key_cert_sign());
    (!issuer.is_ca() || may_not_sign).then(|| {
        let lacks = if may_not_sign { "key usage keyCertSign" } else { "CA:TRUE" };
        CertFault::new(
            "issuer-not-ca",
            format!("`{}` of the chain issues certificates without {lacks}", issuer.subject()),
            "put the certificate of the real issuer there, one with CA:TRUE and keyCertSign",
        )
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose,
        IsCa, Issuer, KeyPair, KeyUsagePurpose, SignatureAlgorithm,
    };

    use super::*;

    fn named(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(vec![format!("{name}.test")]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params
    }

    fn ca(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
    }

    fn key(algorithm: &'static SignatureAlgorithm) -> KeyPair {
        KeyPair::generate_for(algorithm).unwrap()
    }

    fn rules(chain: &[CertificateDer<'static>]) -> Vec<&'static str> {
        advise(chain).iter().map(|fault| fault.rule).collect()
    }

    /// The leaf of `params` and its issuer of `ca`.
    fn chain(
        params: &CertificateParams,
        ca: CertificateParams,
        keys: [&'static SignatureAlgorithm; 2],
    ) -> Vec<CertificateDer<'static>> {
        let ca_key = key(keys[1]);
        let root = ca.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(ca, ca_key);
        let leaf = params.signed_by(&key(keys[0]), &issuer).unwrap();
        vec![leaf.der().clone(), root.der().clone()]
    }

    const P256: &SignatureAlgorithm = &rcgen::PKCS_ECDSA_P256_SHA256;
    const P521: &SignatureAlgorithm = &rcgen::PKCS_ECDSA_P521_SHA512;
    const RSA: &SignatureAlgorithm = &rcgen::PKCS_RSA_SHA256;

    #[test]
    fn an_ordinary_chain_gets_no_advice() {
        assert_eq!(rules(&chain(&named("a"), ca("CA"), [P256, P256])), [""; 0]);
        assert_eq!(rules(&chain(&named("a"), ca("CA"), [RSA, RSA])), [""; 0]);
        let alone = named("a").self_signed(&key(P256)).unwrap();
        assert_eq!(rules(&[alone.der().clone()]), [""; 0], "self-signed");
    }

    #[test]
    fn every_stumbling_block_has_its_rule() {
        assert_eq!(rules(&chain(&named("a"), ca("CA"), [P256, RSA])), ["chain-mixed-keys"]);
        assert_eq!(rules(&chain(&named("a"), ca("CA"), [RSA, P256])), [""; 0]);
        assert_eq!(rules(&chain(&named("a"), ca("CA"), [P521, P256])), ["curve-not-offered"]);
        assert_eq!(rules(&chain(&named("a"), ca("CA"), [P256, P521])), ["curve-not-offered"]);

        let mut unnamed = named("a");
        unnamed.subject_alt_names.clear();
        assert_eq!(rules(&chain(&unnamed, ca("CA"), [P256, P256])), ["name-missing"]);

        let mut for_clients = named("a");
        for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        assert_eq!(rules(&chain(&for_clients, ca("CA"), [P256, P256])), ["key-usage-unfit"]);
        let mut encipherment = named("a");
        encipherment.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
        assert_eq!(rules(&chain(&encipherment, ca("CA"), [P256, P256])), ["key-usage-unfit"]);
        let mut any = named("a");
        any.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
        any.key_usages.clear();
        assert_eq!(rules(&chain(&any, ca("CA"), [P256, P256])), [""; 0]);

        let mut authority = named("a");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        assert_eq!(rules(&chain(&authority, ca("CA"), [P256, P256])), ["leaf-is-ca"]);
        assert_eq!(rules(&chain(&named("a"), named("no CA"), [P256, P256])), ["issuer-not-ca"]);
        let mut signs_lists = ca("CA");
        signs_lists.key_usages = vec![KeyUsagePurpose::CrlSign];
        assert_eq!(rules(&chain(&named("a"), signs_lists, [P256, P256])), ["issuer-not-ca"]);
    }

    #[test]
    fn a_leaf_that_stands_alone_is_told_where_its_issuer_is() {
        let leaf = |params| chain(&params, ca("CA"), [P256, P256])[..1].to_vec();
        assert_eq!(rules(&leaf(named("a"))), ["intermediate-missing"]);
        let mut with_address = named("a");
        // AuthorityInfoAccessSyntax with one caIssuers of http://ca.test/.
        let mut access = vec![0x30, 0x20, 0x30, 0x1e, 0x06, 0x08];
        access.extend([0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02, 0x86, 0x12]);
        access.extend(*b"http://ca.test/ca/");
        let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
        with_address.custom_extensions = vec![CustomExtension::from_oid_content(&oid, access)];
        let advice = advise(&leaf(with_address));
        assert_eq!(advice.len(), 1);
        assert!(advice[0].what.contains("(it is at http://ca.test/ca/"), "{}", advice[0].what);
    }

    #[test]
    fn an_outdated_signature_is_told_except_on_a_self_issued_certificate() {
        let mut chain = chain(&named("a"), ca("CA"), [RSA, RSA]);
        // sha256WithRSAEncryption becomes sha1WithRSAEncryption; nobody verifies it here.
        for certificate in &mut chain {
            let mut der = certificate.to_vec();
            let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
            for at in 0..der.len() - oid.len() {
                if der[at..].starts_with(&oid) {
                    der[at + 8] = 0x05;
                }
            }
            *certificate = CertificateDer::from(der);
        }
        assert_eq!(rules(&chain), ["signature-outdated"]);
        assert!(!rules(&chain[1..]).contains(&"signature-outdated"));
    }

    #[test]
    fn every_rule_of_this_file_can_be_explained() {
        let (source, _) = include_str!("advice.rs").split_once("#[cfg(test)]").unwrap_or_default();
        let named: Vec<&str> = source
            .split("CertFault::new(")
            .skip(1)
            .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
            .collect();
        assert_eq!(named.len(), ADVICE.len(), "{named:?}");
        assert!(named.iter().all(|name| ADVICE.iter().any(|rule| rule.name == *name)));
    }
}
