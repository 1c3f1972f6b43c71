//! The Adjunct Processor layer: addresses, instructions, the simulated hardware and its driver.
//!
//! * [`response`]: status word and response codes of the AP instructions;
//! * [`message`]: what travels through a queue, and its message identifier (psmid);
//! * `card`: the *simulated* hardware, one queue of eight slots for each APQN;
//! * `queue`: the driver's state machine for one queue, without clock and without thread;
//! * `bus`: all cards, the only place where state machine and hardware meet.
//!
//! The instructions stand behind the trait `Instructions`, so that the state machine can be
//! driven by a script in a test, by the simulation, or one day by the real thing.
//!
//! Source: *z/Architecture* AP instructions as described by the Linux kernel's AP bus
//! documentation (codes and bit positions), IBM *System z Cryptographic Services* terms.

pub(crate) mod bus;
pub(crate) mod card;
pub mod message;
pub(crate) mod queue;
pub mod response;

use std::fmt;

use message::{Psmid, Reply};
use response::StatusWord;

/// Address of one AP queue: adapter (card) and usage domain.
///
/// It is displayed as `lszcrypt` does: two and four hexadecimal digits, `0a.0047`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Apqn {
    /// Adapter number.
    pub card: u8,
    /// Usage domain.
    pub domain: u8,
}

impl Apqn {
    /// The 16-bit form that stands in GR0 of every AP instruction.
    pub fn number(self) -> u16 {
        u16::from(self.card) << 8 | u16::from(self.domain)
    }
}

impl fmt::Display for Apqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}.{:04x}", self.card, self.domain)
    }
}

/// The AP instructions, already addressed to one queue. None of them blocks.
pub(crate) trait Instructions {
    /// Enqueue a message.
    fn nqap(&self, psmid: Psmid, message: &[u8]) -> StatusWord;
    /// Dequeue a reply, if there is one.
    fn dqap(&self) -> (StatusWord, Option<Reply>);
    /// Test the queue.
    fn tapq(&self) -> StatusWord;
    /// Start a reset of the queue.
    fn rapq(&self) -> StatusWord;
    /// Ask for interrupts of the queue.
    fn aqic(&self) -> StatusWord;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apqn_is_written_as_lszcrypt_writes_it() {
        assert_eq!(Apqn { card: 0, domain: 6 }.to_string(), "00.0006");
        assert_eq!(Apqn { card: 10, domain: 0x47 }.to_string(), "0a.0047");
        assert_eq!(Apqn { card: 10, domain: 0x47 }.number(), 0x0a47);
    }
}
