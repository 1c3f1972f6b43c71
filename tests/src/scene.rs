//! The usual arrangement: a PKI, one or more services, the daemon in front of them.

use std::fmt::Display;

use crate::config::{Service, file};
use crate::daemon::{Daemon, Program};
use crate::pki::{Kind, Leaf, Pki};

/// The name every certificate of a scene is for, unless a test says otherwise.
pub const NAME: &str = "a.test";

/// A daemon and the PKI it uses.
#[derive(Debug)]
pub struct Scene<const N: usize> {
    /// The daemon; first, so that it ends before its files go away.
    pub daemon: Daemon<N>,
    /// The authorities and the files.
    pub pki: Pki,
}

/// One service `plain` with a P-256 certificate for [`NAME`], and more lines for it.
#[must_use]
pub fn one(program: &Program, backend: impl Display, lines: &[&str]) -> Scene<1> {
    with_kinds(program, backend, &[Kind::P256], lines)
}

/// One service `plain` with a certificate of each kind for [`NAME`], and more lines for it.
#[must_use]
pub fn with_kinds(
    program: &Program,
    backend: impl Display,
    kinds: &[Kind],
    lines: &[&str],
) -> Scene<1> {
    let pki = Pki::new();
    let issue = |kind: &Kind| pki.issue(&format!("{kind:?}"), &Leaf::new(*kind, &[NAME]));
    let leaves: Vec<_> = kinds.iter().map(issue).collect();
    let leaves: Vec<_> = leaves.iter().collect();
    let daemon = program.start(|[at]| {
        let service = Service::with_certs("plain", at, &[&backend], &leaves);
        file(&[lines.iter().fold(service, |service, line| service.with(line))])
    });
    Scene { daemon, pki }
}
