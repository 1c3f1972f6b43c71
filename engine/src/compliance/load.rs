//! Certificates against policies when they are read, and the functions of this process.

use std::time::SystemTime;

use cpacf::Function;
use cpacf::approval::{self, Approval};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::facts::{CertificateFacts, Role};
use super::set::{PolicySet, Violation};
use crate::certs::{CertFault, facts_of_file};

impl PolicySet {
    /// Everything that a chain of our own breaks, the leaf first.
    #[must_use]
    pub fn judge_chain(&self, chain: &[CertificateFacts], now: SystemTime) -> Vec<Violation> {
        let role = |position| if position == 0 { Role::Leaf } else { Role::Issuer };
        let judge = |(position, facts): (usize, &CertificateFacts)| {
            let outdated = self.validity(facts, now).err();
            self.violations(facts, role(position)).into_iter().chain(outdated)
        };
        chain.iter().enumerate().flat_map(judge).collect()
    }

    /// Everything that CAs which are trusted break.
    #[must_use]
    pub fn judge_anchors(&self, anchors: &[CertificateFacts], now: SystemTime) -> Vec<Violation> {
        let judge = |facts| {
            let outdated = self.validity(facts, now).err();
            self.violations(facts, Role::Anchor).into_iter().chain(outdated)
        };
        anchors.iter().flat_map(judge).collect()
    }

    /// What a PEM file with a chain of our own breaks. What cannot be read is for those to say who
    /// load it.
    #[must_use]
    pub fn judge_chain_file(&self, pem: &[u8], now: SystemTime) -> Vec<CertFault> {
        self.judge_chain(&facts(pem), now).into_iter().map(CertFault::from).collect()
    }

    /// What a PEM file of CAs breaks.
    #[must_use]
    pub fn judge_anchor_file(&self, pem: &[u8], now: SystemTime) -> Vec<CertFault> {
        self.judge_anchors(&facts(pem), now).into_iter().map(CertFault::from).collect()
    }

    /// What a file of revocation lists breaks.
    #[must_use]
    pub fn judge_revocation_file(&self, file: &[u8]) -> Vec<CertFault> {
        let lists = facts_of_file(file);
        let broken = lists.iter().flat_map(|facts| self.revocation_list(facts));
        broken.map(CertFault::from).collect()
    }

    /// Takes approval away from every function of this process that the policies do not approve.
    pub(crate) fn restrict_functions(&self) {
        for function in Function::ALL {
            let approval = match (self.function(function), self.hybrid_function(function)) {
                (direct, _) if direct.is_yes() => Approval::Full,
                (_, hybrid) if hybrid.is_yes() => Approval::Hybrid,
                _ => Approval::None,
            };
            approval::restrict(function, approval);
        }
    }
}

fn facts(pem: &[u8]) -> Vec<CertificateFacts> {
    let all = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    all.filter_map(|der| CertificateFacts::read(&der)).collect()
}
