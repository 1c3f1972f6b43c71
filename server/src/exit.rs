//! The exit codes of the program: one enum, one mapping.
//!
//! The numbers are those of `sysexits.h`, so that systemd prints their names, plus 75 for a drain
//! whose deadline passed. A unit file may hold `RestartPreventExitStatus=64 65 66 77 78`: these are
//! the codes that a restart cannot mend.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// 0: everything in order.
    Ok,
    /// 1: a failure that has no class of its own.
    Failure,
    /// 64: the command line was wrong.
    Usage,
    /// 65: a certificate, key or revocation list is not usable.
    Data,
    /// 66: an input file is missing.
    NoInput,
    /// 69: an address cannot be bound, a name not be resolved, or the admin socket is absent.
    Unavailable,
    /// 70: an error of this program, or a self-test or integrity check of a FIPS mode that failed.
    Internal,
    /// 71: the operating system refused something.
    OsError,
    /// 75: the drain deadline passed with connections open.
    DrainDeadline,
    /// 77: a file may not be read or written.
    Permission,
    /// 78: the configuration is wrong, or a policy forbids what it asks for.
    Config,
}

impl Exit {
    /// Every code, in ascending order.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::Failure,
        Self::Usage,
        Self::Data,
        Self::NoInput,
        Self::Unavailable,
        Self::Internal,
        Self::OsError,
        Self::DrainDeadline,
        Self::Permission,
        Self::Config,
    ];

    /// Which code wins when several faults of different classes are found at once.
    ///
    /// What stands in the configuration itself comes first, since correcting it may change which
    /// files are read at all; then files that are not there, files that may not be read, and files
    /// whose content is wrong; then what only shows at run time.
    const PRECEDENCE: [Self; 11] = [
        Self::Usage,
        Self::Config,
        Self::NoInput,
        Self::Permission,
        Self::Data,
        Self::Unavailable,
        Self::OsError,
        Self::Internal,
        Self::DrainDeadline,
        Self::Failure,
        Self::Ok,
    ];

    /// The number given to the parent process.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Usage => 64,
            Self::Data => 65,
            Self::NoInput => 66,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::OsError => 71,
            Self::DrainDeadline => 75,
            Self::Permission => 77,
            Self::Config => 78,
        }
    }

    /// One line for `--help` and the manual.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "everything in order",
            Self::Failure => "unspecified failure",
            Self::Usage => "wrong command line",
            Self::Data => "certificate or key data not usable",
            Self::NoInput => "input file missing",
            Self::Unavailable => {
                "address not available, name not resolved, or no daemon at the admin socket"
            }
            Self::Internal => "internal error, or a failed self-test or integrity check",
            Self::OsError => "the operating system refused something",
            Self::DrainDeadline => "drain deadline passed with connections open",
            Self::Permission => "file may not be read or written",
            Self::Config => "configuration or policy violation",
        }
    }

    /// The code for a set of faults: the one of highest precedence, [`Exit::Ok`] for none.
    #[must_use]
    pub fn of(faults: impl IntoIterator<Item = Self>) -> Self {
        let rank = |exit: &Self| Self::PRECEDENCE.iter().position(|p| p == exit);
        faults.into_iter().min_by_key(rank).unwrap_or(Self::Ok)
    }

    /// The class of an error of the operating system met while reading or writing a file.
    #[must_use]
    pub fn of_io(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NoInput,
            std::io::ErrorKind::PermissionDenied => Self::Permission,
            _ => Self::OsError,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn numbers_are_those_of_sysexits() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 64, 65, 66, 69, 70, 71, 75, 77, 78]);
    }

    #[test]
    fn every_code_has_a_rank() {
        for exit in Exit::ALL {
            assert!(Exit::PRECEDENCE.contains(&exit), "{exit:?}");
        }
    }

    #[test]
    fn the_configuration_wins_over_the_files_it_names() {
        assert_eq!(Exit::of([Exit::Data, Exit::NoInput, Exit::Config]), Exit::Config);
        assert_eq!(Exit::of([Exit::Data, Exit::NoInput]), Exit::NoInput);
        assert_eq!(Exit::of([Exit::Ok, Exit::Data]), Exit::Data);
        assert_eq!(Exit::of([]), Exit::Ok);
    }
}
