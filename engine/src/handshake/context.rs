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
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::SignatureScheme;

use super::blocking::Bell;
use crate::certs::RefusedClient;
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
    /// Why the client's certificate was refused.
    pub(crate) refused_client: Option<RefusedClient>,
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
    /// When sessions of this handshake end because a certificate of the client does, in seconds
    /// since 1970; unlike the notes it outlasts the flight.
    session_end: AtomicU64,
}

/// Stands for a session that no certificate ends.
pub(crate) const NO_END: u64 = u64::MAX;

impl Context {
    pub(crate) fn new(
        hello: Arc<ClientHello>,
        offload: Arc<Offload>,
        token: u64,
        waiting: Waiting,
    ) -> Arc<Self> {
        Arc::new(Self {
            hello,
            offload,
            token,
            waiting,
            notes: Mutex::default(),
            session_end: AtomicU64::new(NO_END),
        })
    }

    /// When sessions of this handshake end; [`NO_END`] if no certificate ends them.
    pub(crate) fn session_end(&self) -> u64 {
        self.session_end.load(Relaxed)
    }

    /// Lets sessions of this handshake end at `end`.
    pub(crate) fn set_session_end(&self, end: u64) {
        self.session_end.store(end, Relaxed);
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
