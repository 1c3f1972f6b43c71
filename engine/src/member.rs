//! What one event loop has for itself.
//!
//! Purpose: a pool member (`ADJ00001` …) shares the backends with the others and nothing else: it
//! has its own completion queue, stacks and buffers. It is not `Send`, so that a fiber cannot leave
//! it by accident.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cex::Completion;
use rustix::time::{ClockId, clock_gettime};

use crate::buffer::{Buffer, BufferPool};
use crate::crypto::{Crypto, Offload};
use crate::handshake::stack::{HandshakeStack, StackPool};

/// Idle stacks and buffers kept by a member; more are given back to the system.
const KEPT_STACKS: usize = 64;
const KEPT_BUFFERS: usize = 64;

/// The reply of a card, and what it cost the host to take it.
#[derive(Debug)]
pub struct Reply {
    pub(crate) completion: Completion,
    pub(crate) host_cpu: Duration,
}

impl Reply {
    /// The connection it is for.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.completion.token
    }
}

/// CPU time of this thread.
pub(crate) fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or_default(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

/// Resources of one event loop.
pub struct Member {
    name: String,
    offload: Rc<Offload>,
    stacks: RefCell<StackPool>,
    buffers: RefCell<BufferPool>,
    suspended: Cell<usize>,
    suspended_max: usize,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("name", &self.name)
            .field("suspended", &self.suspended)
            .finish_non_exhaustive()
    }
}

impl Member {
    /// A member that lets at most `suspended_max` handshakes wait for cards.
    ///
    /// `waker` is called from a card's thread when replies have come for it.
    pub fn new(
        name: String,
        crypto: Arc<Crypto>,
        suspended_max: usize,
        waker: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let port = crypto.cex().port(waker);
        Self {
            name,
            offload: Rc::new(Offload { crypto, port }),
            stacks: RefCell::new(StackPool::new(KEPT_STACKS)),
            buffers: RefCell::new(BufferPool::new(KEPT_BUFFERS)),
            suspended: Cell::new(0),
            suspended_max,
        }
    }

    /// Name of the member.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Replies of cards; each belongs to the connection with its token, if that still lives.
    ///
    /// Taking a reply is work of the host: the result is verified here, and a request that failed
    /// on one queue is sent to the next.
    #[must_use]
    pub fn replies(&self) -> Vec<Reply> {
        let mut replies = Vec::new();
        let mut before = thread_cpu();
        for completion in self.offload.port.drain() {
            let after = thread_cpu();
            replies.push(Reply { completion, host_cpu: after.saturating_sub(before) });
            before = after;
        }
        replies
    }

    /// Handshakes that wait for a card.
    #[must_use]
    pub fn suspended(&self) -> usize {
        self.suspended.get()
    }

    /// Whether one more handshake may end up waiting for a card.
    pub(crate) fn may_start_handshake(&self) -> bool {
        self.suspended.get() < self.suspended_max
    }

    pub(crate) fn offload(&self) -> &Rc<Offload> {
        &self.offload
    }

    pub(crate) fn count_suspended(&self) {
        self.suspended.set(self.suspended.get() + 1);
    }

    pub(crate) fn count_resumed(&self) {
        self.suspended.set(self.suspended.get().saturating_sub(1));
    }

    pub(crate) fn take_stack(&self) -> std::io::Result<HandshakeStack> {
        self.stacks.borrow_mut().take()
    }

    pub(crate) fn give_back_stack(&self, stack: HandshakeStack) {
        self.stacks.borrow_mut().give_back(stack);
    }

    /// Puts a stack into the pool that shows how deep it will be used.
    pub(crate) fn paint_a_stack(&self) -> std::io::Result<()> {
        let mut stack = self.take_stack()?;
        stack.paint();
        self.give_back_stack(stack);
        Ok(())
    }

    /// Bytes used of the stack that was given back last.
    pub(crate) fn stack_bytes_used(&self) -> usize {
        self.stacks.borrow().last_used_bytes()
    }

    /// Gives `buffer` memory from the pool if it has none.
    pub fn supply(&self, buffer: &mut Buffer) {
        self.buffers.borrow_mut().supply(buffer);
    }

    /// Takes the memory of `buffer` back if it is empty.
    pub fn reclaim(&self, buffer: &mut Buffer) {
        self.buffers.borrow_mut().reclaim(buffer);
    }
}
