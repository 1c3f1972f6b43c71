//! Where the commands meet the engine: narrow functions, so that everything else in the commands
//! works on plain values.

use std::sync::Arc;
use std::time::SystemTime;

use engine::certs;
use engine::compliance::ModeSet;
use engine::crypto::{Crypto, CryptoConfig, EngineChoice};
use engine::error::Error;

use crate::config::schema::{Card, Route};
use crate::config::{BuildFault, CertSummary, Config, Inspect};
use crate::daemon::StartError;
use crate::fips::facts::{Facts, module_alone};
use crate::runtime;
use crate::snapshot;
use crate::status::Fresh;

/// One answer of `adjunct explain`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Answer {
    /// The code in full, e.g. `ICSF 8/2B00 key-value-invalid`.
    pub title: String,
    /// What it means.
    pub meaning: String,
    /// What to do.
    pub action: String,
    /// Where the number comes from.
    pub source: String,
}

/// Judges certificates and builds services, with cards of its own for the keys.
#[derive(Debug)]
pub struct Inspector {
    crypto: Arc<Crypto>,
}

impl Inspector {
    /// Starts the cards.
    ///
    /// # Errors
    ///
    /// When they do not come up.
    pub fn start() -> Result<Self, Error> {
        let mut config = CryptoConfig::default();
        for card in &mut config.cex.cards {
            // No key signs in a batch here: none need be prepared and tried for it.
            card.engine = EngineChoice::Single;
        }
        Ok(Self { crypto: Crypto::start(&config)? })
    }
}

impl Inspect for Inspector {
    fn certificate(
        &self,
        cert: &[u8],
        key: &[u8],
        now: SystemTime,
    ) -> Result<CertSummary, Vec<certs::CertFault>> {
        let certificate = certs::load(&self.crypto, "", cert, key, now)?;
        Ok(CertSummary {
            key: certificate.key_name().into_owned(),
            subject: certificate.subject,
            names: certificate.names.iter().map(ToString::to_string).collect(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            advice: certificate.advice,
        })
    }

    fn build(&self, config: &Config, services: &[usize]) -> Vec<BuildFault> {
        let base = match runtime::Base::start(config) {
            Ok(base) => base,
            Err(error) => return vec![build_fault(None, error)],
        };
        let build = |index: &usize| {
            let built = config.services.get(*index).map(|service| base.service(config, service));
            built.and_then(Result::err).map(|error| build_fault(Some(*index), error))
        };
        let faults = services.iter().filter_map(build).collect();
        base.shutdown();
        faults
    }
}

fn build_fault(service: Option<usize>, error: Error) -> BuildFault {
    let class = StartError::exit_of_engine(&error);
    let (what, remedy) = match error {
        Error::Service { what, remedy, .. } => (what, remedy),
        Error::Certificate { fault, .. } => (fault.what, fault.remedy),
        other => (other.to_string(), "see `adjunct cards` and `adjunct crypto`".to_owned()),
    };
    BuildFault { service, class, what, remedy }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.crypto.shutdown();
    }
}

/// Everything a code, alert, rule or name may stand for.
///
/// # Errors
/// A sentence that says the code is not known and what is near it.
pub fn explain(code: &str) -> Result<Vec<Answer>, String> {
    let found = engine::explain::explain(code).map_err(|unknown| unknown.to_string())?;
    let answer = |e: engine::explain::Explanation| Answer {
        title: e.title,
        meaning: e.meaning,
        action: e.action,
        source: e.source.into(),
    };
    Ok(found.into_iter().map(answer).collect())
}

/// Starts cards and functions in this process, for a command that finds no daemon. An empty list
/// of cards means the default set.
///
/// # Errors
/// A sentence that says why they cannot be started.
pub fn fresh(
    cards: &[Card],
    route: Route,
    members: usize,
    modes: &ModeSet,
) -> Result<Box<dyn snapshot::Source>, String> {
    let mut config = runtime::crypto_config(cards, route, members);
    config.cex.module_alone = module_alone(modes);
    let crypto = Crypto::start(&config).map_err(|error| error.to_string())?;
    Ok(Box::new(Fresh::new(crypto, Facts::of(modes))))
}
