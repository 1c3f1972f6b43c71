//! Handshakes that wait for a card without holding up their event loop.
//!
//! A flight runs on a fiber (`fiber`) with a stack of our own ([`stack`]); the signer finds the
//! handshake it belongs to through `context`, queues the request and suspends. The event loop
//! does other work until the reply is there. Where fibers are not to be had a flight runs on a
//! thread (`pool`) and blocks there; [`execution`] is the seam between these.

pub(crate) mod blocking;
pub(crate) mod context;
pub mod execution;
#[cfg(feature = "fault-injection")]
pub mod fault;
#[cfg_attr(
    any(
        without_fibers,
        not(any(
            target_arch = "x86_64",
            target_arch = "x86",
            target_arch = "aarch64",
            target_arch = "arm",
            target_arch = "riscv64",
            target_arch = "riscv32",
            target_arch = "loongarch64",
            target_arch = "powerpc64"
        ))
    ),
    path = "without_fibers.rs"
)]
pub(crate) mod fiber;
pub(crate) mod flight;
pub(crate) mod gathering;
pub(crate) mod pool;
pub mod stack;
pub(crate) mod unbuffered;

/// Whether this build can run handshakes on fibers: the coroutine library knows the target.
pub const HAS_FIBERS: bool = fiber::AVAILABLE;
