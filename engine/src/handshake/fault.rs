//! Panics on purpose, in the flights of clients that ask for a certain name.
//!
//! Only with the feature `fault-injection`, which no default build has. Purpose: prove from outside
//! that a panic below rustls ends one connection and nothing else, on a fiber and on a thread.

use std::sync::{Mutex, PoisonError};

use super::context::Context;

static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on the signer panics for clients that ask for `name`.
pub fn panic_for(name: &str) {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
}

/// Panics if it has to.
pub(crate) fn strike(context: &Context) {
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let struck = context.hello.sni.as_ref().is_some_and(|name| names.contains(name));
    drop(names);
    assert!(!struck, "a fault was injected");
}
