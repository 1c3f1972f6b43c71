//! What happens to the daemon itself: start, listening, warnings, stop.

use std::time::SystemTime;

use engine::record::{Outcome, Record};
use serde::Serialize;
use serde_json::Value;

/// How much attention a line deserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Of no interest unless one looks for it: scanners, peers that left.
    Debug,
    /// In order.
    Info,
    /// Somebody was refused or cut off.
    Warn,
    /// The operator has to act.
    Error,
}

impl Level {
    /// `debug`, `info`, `warn`, `error`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// The level of a connection record: the fault class decides, so that scanners do not shout.
    #[must_use]
    pub fn of_record(record: &Record) -> Self {
        let fault = record.refusal.as_ref().map(|refusal| refusal.fault);
        match (record.outcome, fault) {
            (_, Some("device" | "bug")) => Self::Error,
            // Before a service was chosen, any stranger can bring it about.
            (_, Some("configuration")) if record.service.is_some() => Self::Error,
            (Outcome::Completed, _) => Self::Info,
            (Outcome::Refused | Outcome::Aborted, _) => Self::Warn,
            (Outcome::Abandoned | Outcome::Noise, _) => Self::Debug,
        }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When.
    pub time: SystemTime,
    /// How much attention it deserves.
    pub level: Level,
    /// Stable name, e.g. `start`, `listening`, `stop`, `card-offline`.
    pub name: &'static str,
    /// One sentence for a reader.
    pub message: String,
    /// Further fields, in order.
    pub fields: Vec<(&'static str, Value)>,
}

impl Event {
    /// An event of now.
    #[must_use]
    pub fn new(level: Level, name: &'static str, message: impl Into<String>) -> Self {
        Self { time: SystemTime::now(), level, name, message: message.into(), fields: Vec::new() }
    }

    /// The same event with one more field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Level;
    use engine::record::{Outcome, Record};
    use engine::rules;
    use std::time::SystemTime;

    #[test]
    fn a_stranger_cannot_raise_the_level_to_error() {
        let mut record = Record::new(1, "ADJ00001", SystemTime::UNIX_EPOCH);
        record.outcome = Outcome::Refused;
        record.refusal = Some(rules::PROXY_HEADER.refusal("x"));
        assert_eq!(Level::of_record(&record), Level::Warn);
        record.service = Some("a".into());
        record.refusal = Some(rules::NO_USABLE_CERTIFICATE.refusal("x"));
        assert_eq!(Level::of_record(&record), Level::Error);
    }
}
