//! Orders to a running daemon about its cards, and what came of them.
//!
//! Purpose: the one list of what can be changed from outside. An order is a line of words, the same
//! on the admin socket and on the command line (`adjunct cards ORDER`).
//!
//! Invariants: who may give orders is decided by [`crate::admin`], before a word is read; faults
//! are injected only where the cards were started for it, which those of `adjunct run` are not
//! unless a test build is told so.

use std::fmt;

use engine::crypto::{CardError, CardTarget, Fault};
use serde::{Deserialize, Serialize};

/// Something that is to be done to a card or queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Let it take requests, as `chzcrypt -e`.
    Online(CardTarget),
    /// Let it take no requests, as `chzcrypt -d`.
    Offline(CardTarget),
    /// Break it.
    Fault(CardTarget, Fault),
    /// Take back every fault of it.
    Repair(CardTarget),
    /// Take back every fault.
    RepairAll,
}

/// The answer to an order, as it travels over the socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// It was carried out.
    Done(String),
    /// It was not; why, and what to do.
    Error(String),
}

impl Order {
    /// The order that a line of words gives; none if its verb is not that of an order.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the words behind the verb.
    #[must_use]
    pub fn read(line: &str) -> Option<Result<Self, String>> {
        let mut words = line.split_ascii_whitespace();
        let verb = words.next().filter(|v| ["online", "offline", "fault", "repair"].contains(v))?;
        let target = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        let order = || {
            if (verb, target, rest.as_slice()) == ("repair", "all", &[]) {
                return Ok(Self::RepairAll);
            }
            let target: CardTarget = target.parse().map_err(|e| format!("{target}: {e}"))?;
            match (verb, rest.as_slice()) {
                ("online", []) => Ok(Self::Online(target)),
                ("offline", []) => Ok(Self::Offline(target)),
                ("repair", []) => Ok(Self::Repair(target)),
                ("fault", [word, detail @ ..]) if detail.len() < 2 => {
                    let fault = Fault::from_words(word, detail.first().copied());
                    fault.map(|fault| Self::Fault(target, fault)).map_err(|e| e.to_string())
                }
                _ => Err(format!("{verb}: too few or too many words")),
            }
        };
        Some(order())
    }

    /// Does it, and says what was done.
    ///
    /// # Errors
    /// A sentence that says why it was not done.
    pub fn carry_out(&self, cards: &engine::crypto::Cards) -> Result<String, String> {
        let done = match *self {
            Self::Online(target) => {
                cards.set_online(target, true).map(|()| format!("{target} is online"))
            }
            Self::Offline(target) => {
                cards.set_online(target, false).map(|()| format!("{target} is offline"))
            }
            Self::Fault(target, fault) => {
                cards.inject(target, fault).map(|()| format!("{target} has the fault {fault}"))
            }
            Self::Repair(target) => cards.repair(target).map(|()| format!("{target} is repaired")),
            Self::RepairAll => cards.repair_all().map(|()| "all cards are repaired".to_owned()),
        };
        done.map_err(|error| match error {
            CardError::NoFaultInjection => {
                "this daemon does not inject faults; try it on `adjunct demo`, or in a test build \
                 with [server] fault_injection = true"
                    .to_owned()
            }
            other => other.to_string(),
        })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Online(target) => write!(f, "online {target}"),
            Self::Offline(target) => write!(f, "offline {target}"),
            Self::Fault(target, fault) => write!(f, "fault {target} {fault}"),
            Self::Repair(target) => write!(f, "repair {target}"),
            Self::RepairAll => f.write_str("repair all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Order;

    #[test]
    fn an_order_is_read_as_it_is_written() {
        for line in [
            "online 00",
            "offline 0a.0047",
            "fault 00.0006 wrong-result",
            "fault 01 slow 20ms",
            "fault 01 response 05",
            "repair 00.0006",
            "repair all",
        ] {
            assert_eq!(Order::read(line).unwrap().unwrap().to_string(), line);
        }
    }

    #[test]
    fn what_is_no_order_is_not_carried_out() {
        for line in ["", "cards", "stop", "Online 00"] {
            assert_eq!(Order::read(line), None, "{line}");
        }
        for line in ["online", "online all", "fault 00", "fault 00 slow", "fault 00 reset 1 2"] {
            assert!(Order::read(line).unwrap().is_err(), "{line}");
        }
    }
}
