//! Which certificate a client gets.
//!
//! Purpose: RSA and ECDSA certificates stand side by side. The choice looks, in this order, at
//! whether the client can verify our signature at all, whether the certificate has the name it
//! asked for, whether it says it can verify the whole chain (`signature_algorithms_cert`, else
//! `signature_algorithms`), and then prefers ECDSA, which is the cheaper signature; the order of
//! the configuration decides the rest.
//!
//! Invariants: the answer is never "none" while there is a certificate.
//!
//! Source: RFC 8446 §4.2.3, §4.4.2.2; RFC 8422 §5.1.1 (curves of ECDSA certificates in TLS 1.2).

use std::sync::Arc;

use cex::{Curve, KeyKind};
use rustls::SignatureScheme;
use rustls::server::{ClientHello as RustlsHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::load::Certificate;
use super::names::{NameMatch, NamePattern};
use crate::handshake::context;
use crate::hello::ClientHello;
use crate::iana::{self, Authentication};
use crate::provider::sign::schemes;

/// What the choice needs to know of a client.
#[derive(Debug)]
pub struct ClientNeeds<'a> {
    /// Name it asked for, in lower case.
    pub server_name: Option<&'a str>,
    /// Schemes it accepts for our signature.
    pub signature_schemes: &'a [u16],
    /// Schemes it accepts inside the chain.
    pub certificate_schemes: &'a [u16],
    /// Whether TLS 1.3 can be negotiated.
    pub tls13: bool,
    /// Suites it offers; in TLS 1.2 they bind the type of the key.
    pub cipher_suites: &'a [u16],
    /// Suites of TLS 1.2 that the service offers.
    pub served_suites: &'a [u16],
    /// Groups it offers; in TLS 1.2 they bind the curve of an ECDSA certificate.
    pub groups: &'a [u16],
}

impl<'a> ClientNeeds<'a> {
    fn of(hello: &'a ClientHello, tls13: bool, served_suites: &'a [u16]) -> Self {
        Self {
            server_name: hello.sni.as_deref(),
            signature_schemes: hello.signature_algorithms.as_deref().unwrap_or_default(),
            certificate_schemes: hello.cert_schemes().unwrap_or_default(),
            tls13: tls13 && hello.offers_version(iana::TLS13),
            cipher_suites: &hello.suites,
            served_suites,
            groups: &hello.groups,
        }
    }

    fn accepts(offered: &[u16], scheme: SignatureScheme) -> bool {
        offered.contains(&u16::from(scheme))
    }

    /// Whether a handshake with a key of this kind can succeed.
    fn can_verify(&self, kind: KeyKind) -> bool {
        if !schemes(kind).iter().any(|&s| Self::accepts(self.signature_schemes, s)) {
            return false;
        }
        if self.tls13 {
            return true;
        }
        match kind {
            KeyKind::Rsa { .. } => self.has_tls12_suite(Authentication::Rsa),
            KeyKind::Ec(curve) => {
                self.has_tls12_suite(Authentication::Ecdsa)
                    && (self.groups.is_empty() || self.groups.contains(&group_of(curve)))
            }
        }
    }

    fn has_tls12_suite(&self, authentication: Authentication) -> bool {
        let mut common = self.cipher_suites.iter().filter(|id| self.served_suites.contains(id));
        common.any(|id| iana::suite(*id).is_some_and(|s| s.authentication == authentication))
    }

    fn can_verify_chain(&self, chain: &[&[SignatureScheme]]) -> bool {
        chain
            .iter()
            .all(|any_of| any_of.iter().any(|&s| Self::accepts(self.certificate_schemes, s)))
    }
}

fn group_of(curve: Curve) -> u16 {
    match curve {
        Curve::P256 => 23,
        Curve::P384 => 24,
        Curve::P521 => 25,
    }
}

/// The best certificate for a client; none only if there is none at all.
#[must_use]
pub fn choose<'c>(
    certificates: &'c [Certificate],
    client: &ClientNeeds<'_>,
) -> Option<&'c Certificate> {
    let rank = |certificate: &Certificate| {
        let name = client
            .server_name
            .map_or(NameMatch::None, |name| NamePattern::best(&certificate.names, name));
        (
            client.can_verify(certificate.kind),
            name,
            client.can_verify_chain(&certificate.chain_schemes),
            matches!(certificate.kind, KeyKind::Ec(_)),
        )
    };
    let mut best = certificates.first()?;
    for certificate in &certificates[1..] {
        // Only a strictly better one: among equals the configured order decides.
        if rank(certificate) > rank(best) {
            best = certificate;
        }
    }
    // A client that can verify none of them gets the default one, as a careful server does.
    if client.can_verify(best.kind) { Some(best) } else { certificates.first() }
}

/// The certificates of one service, as rustls asks for them.
#[derive(Debug)]
pub struct Resolver {
    certificates: Vec<Certificate>,
    tls13: bool,
    tls12_suites: Vec<u16>,
}

impl Resolver {
    /// A resolver over at least one certificate; the first is the default. `tls13` says whether
    /// the service speaks TLS 1.3, where no suite binds the type of the key; `tls12_suites` are
    /// those it offers in TLS 1.2, where they do.
    #[must_use]
    pub fn new(certificates: Vec<Certificate>, tls13: bool, tls12_suites: Vec<u16>) -> Self {
        Self { certificates, tls13, tls12_suites }
    }

    /// The certificates in the order of the configuration.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: RustlsHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Our own reader knows more of the hello than rustls shows here.
        let Some(context) = context::current() else {
            return self.certificates.first().map(|c| Arc::clone(&c.certified));
        };
        let needs = ClientNeeds::of(&context.hello, self.tls13, &self.tls12_suites);
        let chosen = choose(&self.certificates, &needs)?;
        context.notes().certificate = Some(chosen.label.clone());
        Some(Arc::clone(&chosen.certified))
    }
}
