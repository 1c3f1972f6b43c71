//! What can go wrong with a connection, and whether the run can go on.

use std::fmt;
use std::io;

/// Why a connection ended before its work was done.
#[derive(Debug)]
pub enum Fault {
    /// It did what it must not: other data, less data, another handshake than asked for. The run
    /// ends at once: what it would measure is not what it is about.
    Wrong(String),
    /// It was refused, broke or was late. The run goes on, counts it, and is not valid.
    Broken(String),
}

impl Fault {
    /// The same of a named connection.
    #[must_use]
    pub fn of(self, name: &str) -> Self {
        match self {
            Self::Wrong(what) => Self::Wrong(format!("{name}: {what}")),
            Self::Broken(what) => Self::Broken(format!("{name}: {what}")),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(what) | Self::Broken(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Fault {}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<rustls::Error> for Fault {
    /// A record that does not open was changed on its way; an alert is the server's own word.
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::AlertReceived(alert) => {
                Self::Broken(format!("the server refuses: {alert:?}"))
            }
            rustls::Error::InvalidCertificate(why) => {
                Self::Wrong(format!("certificate: expected one of the given CA, came {why:?}"))
            }
            other => Self::Wrong(format!("TLS: {other}")),
        }
    }
}
