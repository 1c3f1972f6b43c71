//! What the code below rustls needs to know about the handshake it serves.
//!
//! rustls calls the certificate resolver and the signer with no word about the connection. Both
//! find it here: a thread-local that is set while a flight runs on this thread, and only then (the
//! pattern of OpenSSL's `ASYNC_get_current_job`).
//!
//! Invariants: set by [`enter`] for the time of one resume, cleared when the guard drops, also when
//! a panic passes through. A context belongs to one connection. Its notes are locked for a moment
//! only, never across a wait; on a fiber the lock is always free, since loop and fiber share their
//! thread.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::SignatureScheme;

use super::blocking::Bell;
use crate::crypto::Offload;
use crate::hello::ClientHello;
use crate::icsf::ServiceFailure;
use crate::record::KeyOperation;

/// Why a signature could not be had: ICSF service and codes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SigningFailure(pub(crate) ServiceFailure);

/// What the resolver and the signer leave behind for the connection.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Label of the certificate that was chosen.
    pub(crate) certificate: Option<String>,
    /// Scheme of the signature that was made.
    pub(crate) scheme: Option<SignatureScheme>,
    /// Where and at what cost it was made.
    pub(crate) key_operation: Option<KeyOperation>,
    /// Why it could not be made.
    pub(crate) failure: Option<SigningFailure>,
}

/// How a signer waits for its card.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// It suspends its fiber; the reply comes to the event loop.
    Suspends,
    /// It blocks its thread; the reply comes there, or the bell says that nobody wants it.
    Blocks(Arc<Bell>),
}

/// One handshake, as the resolver and the signer see it.
#[derive(Debug)]
pub(crate) struct Context {
    /// What the client offered, from our own reader.
    pub(crate) hello: Arc<ClientHello>,
    /// Where signing requests go.
    pub(crate) offload: Arc<Offload>,
    /// Name of the connection in replies.
    pub(crate) token: u64,
    /// How to wait for them.
    pub(crate) waiting: Waiting,
    notes: Mutex<Notes>,
}

impl Context {
    pub(crate) fn new(
        hello: Arc<ClientHello>,
        offload: Arc<Offload>,
        token: u64,
        waiting: Waiting,
    ) -> Arc<Self> {
        Arc::new(Self { hello, offload, token, waiting, notes: Mutex::default() })
    }

    /// What was left behind so far.
    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody waits for the handshake any more: a thread that blocks for it shall go on.
    pub(crate) fn cancel(&self) {
        if let Waiting::Blocks(bell) = &self.waiting {
            bell.cancel();
        }
    }

    /// Whether [`Self::cancel`] was called.
    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(&self.waiting, Waiting::Blocks(bell) if bell.is_cancelled())
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Context>>> = const { RefCell::new(None) };
}

/// The handshake that runs on this thread now.
pub(crate) fn current() -> Option<Arc<Context>> {
    CURRENT.with_borrow(Option::clone)
}

/// Makes `context` the current one until the guard drops.
pub(crate) fn enter(context: &Arc<Context>) -> Entered {
    let previous = CURRENT.replace(Some(Arc::clone(context)));
    Entered { previous }
}

/// Restores what was current before.
#[derive(Debug)]
pub(crate) struct Entered {
    previous: Option<Arc<Context>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.previous.take());
    }
}
