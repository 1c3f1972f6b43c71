//! What one event loop has for itself.
//!
//! Purpose: a pool member (`ADJ00001` …) shares the backends with the others and nothing else: it
//! has its own completion queue, stacks and buffers. It is not `Send`, so that a fiber cannot leave
//! it by accident.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::buffer::{Buffer, BufferPool};
use crate::crypto::{Crypto, Offload};
use crate::handshake::context::Context;
use crate::handshake::execution::{Execution, News, Step};
use crate::handshake::flight::Flight;
use crate::handshake::gathering::{AHEAD, Gathering};
use crate::handshake::pool::Landings;
use crate::handshake::stack::{HandshakeStack, StackPool};
use crate::hello::ClientHello;

/// Idle stacks and buffers kept by a member; more are given back to the system.
const KEPT_STACKS: usize = 64;
const KEPT_BUFFERS: usize = 64;

/// Most flights of other threads that are taken back at once.
const REPLIES_MAX: usize = 64;

/// News for a connection: the reply of a card, a key agreement or the end of a flight, and what it
/// cost the host.
pub struct Reply {
    token: u64,
    pub(crate) news: News,
    pub(crate) host_cpu: Duration,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("token", &self.token).finish_non_exhaustive()
    }
}

impl Reply {
    /// The connection it is for.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }
}

/// CPU time of this thread.
#[must_use]
pub fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or_default(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

/// Work that took no longer is taken for work from its begin to its end: a step of a
/// connection takes 0.1 ms, and who is pushed aside waits for milliseconds.
const UNINTERRUPTED: Duration = Duration::from_micros(200);

/// Resources of one event loop.
pub struct Member {
    name: String,
    offload: Arc<Offload>,
    execution: Execution,
    landings: Arc<Landings<Flight>>,
    stacks: RefCell<StackPool>,
    buffers: RefCell<BufferPool>,
    suspended: Cell<usize>,
    suspended_max: usize,
    /// CPU time of the thread when the turn began.
    cpu: Cell<Duration>,
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
    /// `waker` is called from other threads when there are replies for it.
    pub fn new(
        name: String,
        crypto: Arc<Crypto>,
        execution: Execution,
        suspended_max: usize,
        waker: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let waker: Arc<dyn Fn() + Send + Sync> = Arc::new(waker);
        let for_cards = Arc::clone(&waker);
        let port = crypto.cex().port(move || for_cards());
        // A thread that stands still has no company.
        let gathering = matches!(execution, Execution::Fiber).then(Gathering::new).flatten();
        Self {
            name,
            offload: Arc::new(Offload { crypto, port, gathering }),
            execution,
            landings: Arc::new(Landings::new(waker)),
            stacks: RefCell::new(StackPool::new(KEPT_STACKS)),
            buffers: RefCell::new(BufferPool::new(KEPT_BUFFERS)),
            suspended: Cell::new(0),
            suspended_max,
            cpu: Cell::new(Duration::ZERO),
        }
    }

    /// Name of the member.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says what CPU time the thread has used when a turn begins.
    pub fn note_cpu(&self, cpu: Duration) {
        self.cpu.set(cpu);
    }

    /// CPU time of `work` on the thread of this member, and what came of it.
    ///
    /// The CPU clock of a thread is a system call, and a full handshake would make ten of them; the
    /// clock of the wall is read without one.
    pub(crate) fn measured<T>(&self, work: impl FnOnce() -> T) -> (T, Duration) {
        if matches!(self.execution, Execution::Inline) {
            // The thread waits for the card meanwhile, which is no work.
            let before = thread_cpu();
            let result = work();
            return (result, thread_cpu().saturating_sub(before));
        }
        let before = Instant::now();
        let result = work();
        (result, self.cpu_between(before, Instant::now()))
    }

    /// CPU time between two moments of a turn. Who may have been pushed aside between them is
    /// charged no more than the thread has used in the turn.
    fn cpu_between(&self, before: Instant, after: Instant) -> Duration {
        let wall = after.saturating_duration_since(before);
        if wall <= UNINTERRUPTED {
            return wall;
        }
        wall.min(thread_cpu().saturating_sub(self.cpu.get()))
    }

    /// Replies that have come, of about `budget` at most; each belongs to the connection
    /// with its token, if that still lives. When some are left the waker is called again.
    ///
    /// Taking the reply of a card is work of the host: the result is verified here, and a request
    /// that failed on one queue is sent to the next.
    #[must_use]
    pub fn replies(&self, budget: Duration) -> Vec<Reply> {
        let mut replies = Vec::new();
        let start = Instant::now();
        let mut before = start;
        for completion in self.offload.port.drain() {
            let after = Instant::now();
            replies.push(Reply {
                token: completion.token,
                news: News::Signed(completion),
                host_cpu: self.cpu_between(before, after),
            });
            if after.saturating_duration_since(start) >= budget {
                break;
            }
            before = after;
        }
        while replies.len() < REPLIES_MAX
            && let Some(landed) = self.landings.pop()
        {
            replies.push(Reply {
                token: landed.token,
                news: News::Landed(landed.result),
                host_cpu: landed.cpu,
            });
        }
        self.landings.wake_for_the_rest();
        replies
    }

    /// Says how many sessions have work, apart from the one that runs next: company for its key
    /// agreement.
    pub fn note_others(&self, others: usize) {
        if let Some(gathering) = &self.offload.gathering {
            gathering.note(others, self.signing());
        }
    }

    /// Handshakes that wait for a card.
    fn signing(&self) -> usize {
        let gathered = self.offload.gathering.as_ref().map_or(0, Gathering::len);
        self.suspended.get().saturating_sub(gathered)
    }

    /// Whether cards have so many signatures to make for this member that a handshake which is
    /// worked at a little later ends no later.
    #[must_use]
    pub fn has_much_to_sign(&self) -> bool {
        matches!(self.execution, Execution::Fiber) && self.signing() >= AHEAD
    }

    /// When key agreements that wait for each other are computed at the latest, from `now` on; for
    /// a loop in which no session has work.
    #[must_use]
    pub fn agreements_in(&self, now: Instant) -> Option<Duration> {
        let gathering = self.offload.gathering.as_ref()?;
        gathering.due_in(self.signing(), now)
    }

    /// What was computed for key agreements, if enough of them had been gathered or there is
    /// nothing to wait for; to be called once in a turn, with the number of sessions that have
    /// work. Each reply belongs to the connection with its token, if that still lives.
    #[must_use]
    pub fn agreements(&self, others: usize, now: Instant) -> Vec<Reply> {
        let Some(gathering) = &self.offload.gathering else { return Vec::new() };
        let signing = self.signing();
        let (computed, cpu) = self.measured(|| gathering.compute(others, signing, now));
        let host_cpu = cpu / u32::try_from(computed.len().max(1)).unwrap_or(1);
        let reply = |(token, result)| Reply { token, news: News::Agreed(result), host_cpu };
        computed.into_iter().map(reply).collect()
    }

    /// Handshakes that wait for a card, or for company.
    #[must_use]
    pub fn suspended(&self) -> usize {
        self.suspended.get()
    }

    /// Stacks that are mapped: in use by suspended handshakes, and kept for the next ones.
    #[must_use]
    pub fn stacks(&self) -> usize {
        let in_use =
            if matches!(self.execution, Execution::Fiber) { self.suspended.get() } else { 0 };
        in_use + self.stacks.borrow().idle()
    }

    /// Whether one more handshake may end up waiting for a card.
    pub(crate) fn may_start_handshake(&self) -> bool {
        self.suspended.get() < self.suspended_max
    }

    /// The context of a new handshake.
    pub(crate) fn context(&self, hello: Arc<ClientHello>, token: u64) -> Arc<Context> {
        Context::new(hello, Arc::clone(&self.offload), token, self.execution.waiting())
    }

    /// Starts a flight in the way of this process; `quick` says that it will hardly sign.
    pub(crate) fn start(&self, context: Arc<Context>, quick: bool, flight: Flight) -> Step {
        self.execution.start(self, context, quick, flight)
    }

    /// Where flights land that end on other threads.
    pub(crate) fn landings(&self) -> &Arc<Landings<Flight>> {
        &self.landings
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

    /// Gives `buffer` the memory of one of the pool if it has none, or less.
    pub fn supply(&self, buffer: &mut Buffer) {
        self.buffers.borrow_mut().supply(buffer);
    }

    /// Gives `buffer`, if it has no memory, as much as `bytes` need, and a small one's at least.
    pub(crate) fn supply_for(&self, buffer: &mut Buffer, bytes: usize) {
        self.buffers.borrow_mut().supply_for(buffer, bytes);
    }

    /// Takes the memory of `buffer` back if it is empty.
    pub fn reclaim(&self, buffer: &mut Buffer) {
        self.buffers.borrow_mut().reclaim(buffer);
    }
}
