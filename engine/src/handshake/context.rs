//! What the code below rustls needs to know about the handshake it serves.
//!
//! rustls calls the certificate resolver and the signer with no word about the connection. Both
//! find it here: a thread-local that is set while a flight runs on this thread, and only then (the
//! pattern of OpenSSL's `ASYNC_get_current_job`).
//!
//! Invariants: set by [`enter`] for the time of one resume, cleared when the guard drops, also when
//! a panic passes through. A context belongs to one connection and never leaves its event loop.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rustls::SignatureScheme;

use super::fiber::Yielding;
use crate::crypto::Offload;
use crate::hello::ClientHello;
use crate::icsf::ServiceFailure;
use crate::record::KeyOperation;

/// Why a signature could not be had: ICSF service and codes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SigningFailure(pub(crate) ServiceFailure);

/// One handshake, as the resolver and the signer see it.
#[derive(Debug)]
pub(crate) struct Context {
    /// What the client offered, from our own reader.
    pub(crate) hello: Rc<ClientHello>,
    /// Where signing requests go.
    pub(crate) offload: Rc<Offload>,
    /// Name of the connection in replies.
    pub(crate) token: u64,
    /// The fiber to suspend.
    pub(crate) yielding: Yielding,
    /// Label of the certificate that was chosen.
    pub(crate) certificate: RefCell<Option<String>>,
    /// Scheme of the signature that was made.
    pub(crate) scheme: Cell<Option<SignatureScheme>>,
    /// Where and at what cost it was made.
    pub(crate) key_operation: RefCell<Option<KeyOperation>>,
    /// Why it could not be made.
    pub(crate) failure: Cell<Option<SigningFailure>>,
}

impl Context {
    pub(crate) fn new(hello: Rc<ClientHello>, offload: Rc<Offload>, token: u64) -> Rc<Self> {
        Rc::new(Self {
            hello,
            offload,
            token,
            yielding: Yielding::default(),
            certificate: RefCell::default(),
            scheme: Cell::default(),
            key_operation: RefCell::default(),
            failure: Cell::default(),
        })
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Context>>> = const { RefCell::new(None) };
}

/// The handshake that runs on this thread now.
pub(crate) fn current() -> Option<Rc<Context>> {
    CURRENT.with_borrow(Option::clone)
}

/// Makes `context` the current one until the guard drops.
pub(crate) fn enter(context: &Rc<Context>) -> Entered {
    let previous = CURRENT.replace(Some(Rc::clone(context)));
    Entered { previous }
}

/// Restores what was current before.
#[derive(Debug)]
pub(crate) struct Entered {
    previous: Option<Rc<Context>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.previous.take());
    }
}
