//! What can go wrong before a connection exists, grouped by fault.

use crate::certs::CertFault;

/// A failure to start or to configure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Device: the cards did not come up.
    #[error("the cards cannot be started: {0}")]
    Cards(#[source] cex::Error),
    /// Device: a cpacf function failed while something was set up.
    #[error("{what}: {error}")]
    Cpacf {
        /// What was being set up.
        what: &'static str,
        /// The failure.
        error: cpacf::Error,
    },
    /// Certificate: a service's certificate or key cannot be used.
    #[error("service `{service}`: {} ({}); {}", fault.what, fault.rule, fault.remedy)]
    Certificate {
        /// Name of the service.
        service: String,
        /// What is wrong and what to do.
        fault: CertFault,
    },
    /// Configuration: a combination that leaves nothing to negotiate.
    #[error("service `{service}`: {what}; {remedy}")]
    Service {
        /// Name of the service.
        service: String,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// System: the threads for `offload = "pool"` cannot be had.
    #[error("the threads for handshakes cannot be started: {0}; raise the limit of threads")]
    Threads(#[source] std::io::Error),
    /// Device: the handshake stacks failed their self-test.
    #[error(
        "the stack self-test failed: {what}; this is a fault of the program or of the machine, \
         please report it"
    )]
    StackSelfTest {
        /// What happened.
        what: String,
    },
}
