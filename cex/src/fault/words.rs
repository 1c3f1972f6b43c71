//! Faults and their targets as an administrator writes them: `00.0006`, `slow 20ms`.
//!
//! The words are the same on the command line, in a configuration and in the table of cards.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Fault, Target};
use crate::ap::Apqn;
use crate::ap::response::ResponseCode;

/// Longest latency of a slow card.
pub const LATENCY_MAX: Duration = Duration::from_secs(3600);

/// Every word that names a fault; the last three want a latency, a response or a reply code.
pub const WORDS: [&str; 11] = [
    "deconfigured",
    "checkstopped",
    "offline",
    "wrong-result",
    "lost-reply",
    "forgotten",
    "queue-full",
    "reset",
    "slow",
    "response",
    "error-reply",
];

/// Why words name no fault or no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// No such fault.
    #[error(
        "there is no such fault; write deconfigured, checkstopped, offline, wrong-result, \
         lost-reply, forgotten, queue-full, reset, slow 20ms, response 05 or error-reply 10"
    )]
    Fault,
    /// No latency, or one out of range.
    #[error("slow needs a latency of at most one hour, as in slow 20ms or slow 3s")]
    Latency,
    /// No response code.
    #[error("response needs a response code of AP other than 00 in hexadecimal, as in response 05")]
    Response,
    /// No reply code.
    #[error("error-reply needs a reply code other than 00 in hexadecimal, as in error-reply 10")]
    Reply,
    /// Something follows a fault that stands alone.
    #[error("nothing may follow this fault")]
    TooMuch,
    /// Neither a card nor a queue.
    #[error(
        "this is neither a card nor a queue; write a card as 00 or a queue as 00.0006, \
         both hexadecimal"
    )]
    Target,
}

impl Fault {
    /// The fault named by `word`, with what `slow`, `response` and `error-reply` want to know.
    ///
    /// # Errors
    /// The words name no fault.
    pub fn from_words(word: &str, argument: Option<&str>) -> Result<Self, WordError> {
        let fault = match (word, argument) {
            ("slow", given) => {
                return given.and_then(latency).map(Self::Slow).ok_or(WordError::Latency);
            }
            ("response", given) => {
                let code = given.and_then(code).and_then(ResponseCode::from_number);
                return code.map(Self::Response).ok_or(WordError::Response);
            }
            ("error-reply", given) => {
                return given.and_then(code).map(Self::ErrorReply).ok_or(WordError::Reply);
            }
            ("deconfigured", _) => Self::Deconfigured,
            ("checkstopped", _) => Self::Checkstopped,
            ("offline", _) => Self::Offline,
            ("wrong-result", _) => Self::WrongResult,
            ("lost-reply", _) => Self::LostReply,
            ("forgotten", _) => Self::Forgotten,
            ("queue-full", _) => Self::QueueFull,
            ("reset", _) => Self::Reset,
            _ => return Err(WordError::Fault),
        };
        if argument.is_some() { Err(WordError::TooMuch) } else { Ok(fault) }
    }
}

/// A whole number of milliseconds or seconds.
fn latency(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let number: u64 = number.parse().ok()?;
    let latency = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        _ => return None,
    };
    (!latency.is_zero() && latency <= LATENCY_MAX).then_some(latency)
}

/// Two hexadecimal digits that are not zero.
fn code(text: &str) -> Option<u8> {
    hex(text, 2).and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0)
}

fn hex(text: &str, digits: usize) -> Option<u16> {
    let sound = (1..=digits).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if sound { u16::from_str_radix(text, 16).ok() } else { None }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deconfigured => f.write_str("deconfigured"),
            Self::Checkstopped => f.write_str("checkstopped"),
            Self::Offline => f.write_str("offline"),
            Self::WrongResult => f.write_str("wrong-result"),
            Self::LostReply => f.write_str("lost-reply"),
            Self::Forgotten => f.write_str("forgotten"),
            Self::QueueFull => f.write_str("queue-full"),
            Self::Reset => f.write_str("reset"),
            Self::Slow(latency) => write!(f, "slow {}ms", latency.as_millis()),
            Self::Response(code) => write!(f, "response {:02x}", code.number()),
            Self::ErrorReply(code) => write!(f, "error-reply {code:02x}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Card(card) => write!(f, "{card:02x}"),
            Self::Queue(apqn) => apqn.fmt(f),
        }
    }
}

impl FromStr for Target {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let byte = |text, digits| hex(text, digits).and_then(|number| u8::try_from(number).ok());
        let target = match text.split_once('.') {
            None => byte(text, 2).map(Self::Card),
            Some((card, domain)) => byte(card, 2)
                .zip(byte(domain, 4))
                .map(|(card, domain)| Self::Queue(Apqn { card, domain })),
        };
        target.ok_or(WordError::Target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_as_it_is_written() {
        for word in WORDS {
            let argument = match word {
                "slow" => Some("20ms"),
                "response" => Some("05"),
                "error-reply" => Some("8a"),
                _ => None,
            };
            let fault = Fault::from_words(word, argument).unwrap();
            let written = argument.map_or(word.to_owned(), |text| format!("{word} {text}"));
            assert_eq!(fault.to_string(), written);
        }
        let slow = Fault::Slow(Duration::from_secs(3));
        assert_eq!(Fault::from_words("slow", Some("3s")), Ok(slow));
    }

    #[test]
    fn wrong_words_are_told_apart() {
        let error = |word, argument| Fault::from_words(word, argument).unwrap_err();
        assert_eq!(error("tired", None), WordError::Fault);
        for latency in [None, Some("20"), Some("0ms"), Some("2h"), Some("-1s"), Some("3601s")] {
            assert_eq!(error("slow", latency), WordError::Latency);
        }
        for code in [None, Some("00"), Some("0c"), Some("+5"), Some("105")] {
            assert_eq!(error("response", code), WordError::Response);
        }
        assert_eq!(error("error-reply", Some("00")), WordError::Reply);
        assert_eq!(error("reset", Some("now")), WordError::TooMuch);
    }

    #[test]
    fn targets_are_written_as_lszcrypt_does() {
        let queue = Target::Queue(Apqn { card: 10, domain: 0x47 });
        assert_eq!("0a.0047".parse(), Ok(queue));
        assert_eq!(queue.to_string(), "0a.0047");
        assert_eq!("0a".parse(), Ok(Target::Card(10)));
        for wrong in ["", "all", "100", "00.", "00.0100", ".0006", "00.0006.1", "+1"] {
            assert_eq!(wrong.parse::<Target>(), Err(WordError::Target), "{wrong}");
        }
    }
}
