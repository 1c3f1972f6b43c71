//! What travels through an AP queue.
//!
//! A request is bytes plus a *psmid*, by which its reply is found again: the order of replies is
//! not promised. The `private` part never leaves the driver; it is the caller's business.

use std::time::{Duration, Instant};

/// Program-supplied message identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Psmid(pub u64);

/// A request in the hands of the driver.
#[derive(Debug)]
pub(crate) struct Message<P> {
    pub(crate) psmid: Psmid,
    /// Kept until the reply is there: a queue that forgot its work gets it again.
    pub(crate) bytes: Vec<u8>,
    /// When it came into the queue.
    pub(crate) since: Instant,
    /// One that came later has been answered.
    pub(crate) overtaken: bool,
    pub(crate) private: P,
}

/// A reply as DQAP delivers it.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Identifier of the request that it answers.
    pub psmid: Psmid,
    /// The reply message (type 80, 82, 86 or 88).
    pub bytes: Vec<u8>,
    /// The card has given its result to the public key and got the block back, and nothing has
    /// changed it since. A real card does not say this either; a simulated one saves the host from
    /// doing the same over again in the same process.
    pub checked: bool,
    /// When and at what cost it was made. A real card does not say this; a simulated one must,
    /// so that its CPU time can be reported apart from the host's.
    pub served: Served,
}

/// Times of one operation on a simulated card.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    /// The card took the request from its queue.
    pub began: Instant,
    /// The reply was put into the queue.
    pub ended: Instant,
    /// CPU time of the card's thread.
    pub cpu: Duration,
}
