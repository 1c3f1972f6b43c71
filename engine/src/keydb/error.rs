//! What can be wrong with a key database or with what is asked of it.

/// The kind of a fault: decides the exit code of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A value that was asked for makes no sense.
    Argument,
    /// The password is wrong, has expired or is too weak.
    Password,
    /// Bytes that are no database, certificate or key, or not any more.
    Data,
    /// The HMAC-SHA-256 of a sidecar does not fit: the file or the sidecar was changed.
    Integrity,
    /// Written by a later version, or in a form that this one does not read.
    Future,
    /// There is nothing with this label.
    Missing,
    /// A rule forbids it: a label that is taken, others that depend on it, a mode.
    Policy,
    /// Random data, a function or a card failed.
    Internal,
}

/// A fault, in words for the person who gave the command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct Error {
    /// Its kind.
    pub class: Class,
    /// What is wrong, where and why.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Error {
    /// A fault of this kind.
    pub fn new(class: Class, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { class, what: what.into(), remedy: remedy.into() }
    }

    pub(super) fn data(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Class::Data, what, remedy)
    }

    pub(super) fn argument(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Class::Argument, what, remedy)
    }

    /// Something that cannot happen on a sound machine.
    pub(super) fn internal(what: impl std::fmt::Display) -> Self {
        Self::new(Class::Internal, what.to_string(), "try again; if it stays, please report it")
    }
}

impl From<cex::Error> for Error {
    fn from(error: cex::Error) -> Self {
        match error {
            cex::Error::PairwiseTest { .. } => Self::new(
                Class::Internal,
                error.to_string(),
                "do not trust this machine or this program: make the key on another one",
            ),
            cex::Error::Generation { .. } => Self::internal(error),
            other => Self::data(
                other.to_string(),
                "use RSA of 2048 to 4096 bits, or EC on P-256, P-384 or P-521",
            ),
        }
    }
}
