//! Support of everything that crosses crates.
//!
//! Purpose: the tests of this package drive the daemon from outside, as its users do. What they
//! need for that lives here: a throwaway PKI, a writer of configurations, the daemon as a child
//! process, backends with good and bad manners, hand-made and stock clients, and the repository
//! checks ([`tidy`]).
//!
//! Invariants: only loopback is used and the kernel chooses every port; every wait is bounded; each
//! child process is ended by its own id; keys and certificates are made at run time.
//!
//! Deliberately no mocks of our own crates: a test that needs one belongs into that crate.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "test support: a broken precondition ends the test, and a skip is printed"
)]

pub mod backend;
pub mod bulk;
pub mod client;
pub mod client_pki;
pub mod config;
pub mod daemon;
pub mod fuzz;
pub mod hello;
pub mod need;
pub mod openssl_pki;
pub mod pki;
pub mod process;
pub mod proxies;
pub mod record;
pub mod revocation_pki;
pub mod rig;
pub mod scene;
pub mod siege;
pub mod swarm;
pub mod tidy;
pub mod tls_backend;
pub mod unix;
pub mod wild;

use std::time::{Duration, Instant};

/// Waits until `true_now` holds.
///
/// # Panics
///
/// When it does not within [`process::PATIENCE`]; `what` says what was waited for.
#[track_caller]
pub fn wait_until(what: &str, mut true_now: impl FnMut() -> bool) {
    let deadline = Instant::now() + process::PATIENCE;
    while !true_now() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a counter has stood still for a while, and returns it.
///
/// Purpose: find out where backpressure stops a stream. A slow machine makes the wait longer, never
/// the result wrong: the caller asserts an upper bound on the counter.
pub fn wait_still(mut counter: impl FnMut() -> u64) -> u64 {
    let deadline = Instant::now() + process::PATIENCE;
    let (mut last, mut since) = (counter(), Instant::now());
    while since.elapsed() < Duration::from_millis(500) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
        let now = counter();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}
