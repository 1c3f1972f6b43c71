//! The certificates of a service: loading, checking, choosing.
//!
//! Invariants: a [`Certificate`] exists only with a key that matches it, in a backend; choosing
//! always answers with a certificate, the default one at worst, because a client that could not be
//! matched must see a name it can complain about.

mod choose;
mod client;
mod dn;
mod load;
mod names;

pub use choose::{ClientNeeds, Resolver, choose};
pub use client::ClientCertificate;
pub use load::{CertFault, Certificate, LOADING, LoadRule, load};
pub use names::{NameMatch, NamePattern};
