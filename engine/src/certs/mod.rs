//! The certificates of a service: loading, checking, choosing.
//!
//! Invariants: a [`Certificate`] exists only with a key that matches it, in a backend; choosing
//! always answers with a certificate, the default one at worst, because a client that could not be
//! matched must see a name it can complain about.

mod advice;
mod authorities;
mod choose;
mod client;
mod client_auth;
mod dn;
mod load;
mod names;
mod revocation;

pub use advice::ADVICE;
pub use authorities::{AUTHORITY_LOADING, Authorities, load_authorities};
pub use choose::{ClientNeeds, Resolver, choose};
pub use client::ClientCertificate;
pub use client_auth::ClientAuth;
pub(crate) use client_auth::RefusedClient;
pub(crate) use dn::{common_name, text as dn_text};
pub(crate) use load::time;
pub use load::{CertFault, Certificate, LOADING, LoadRule, load};
pub use names::{NameMatch, NamePattern};
pub(crate) use revocation::facts_of_file;
pub use revocation::{
    Leniency, REVOCATION_LOADING, RevocationDepth, RevocationList, RevocationLists,
    RevocationRules, advise_revocation, load_revocation_lists,
};
