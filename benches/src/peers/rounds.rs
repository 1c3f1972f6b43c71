//! Rounds through all servers.
//!
//! Invariants: one server lives at a time, started anew for each run, so that no memory of an
//! earlier scenario is in it; the order is rotated by one in every round; ratios are taken within a
//! round, between runs a few seconds apart; a server that fails a scenario has the reason in place
//! of a figure, and is tried once more.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use super::contender::{Contender, Way};
use super::measure::{Measured, measure};
use super::scenario::{Effort, HOST, Scenario, TOTAL};
use super::server::Site;
use crate::Failure;
use crate::load::KeyKind;
use crate::pki::Issued;
use crate::report::Round;

/// How often a server may fail a scenario before it is left out of the further rounds.
const FAILURES_MAX: u32 = 2;

/// Everything but who and what.
#[derive(Debug)]
pub struct Arena {
    /// The certificates by kind of key: the same for all servers.
    pub certificates: BTreeMap<&'static str, Issued>,
    /// Where plaintext goes: the same for all servers.
    pub backend: SocketAddr,
    /// Workers of a server.
    pub workers: usize,
    /// Where servers run.
    pub server_processors: Vec<usize>,
    /// Where clients run.
    pub load_processors: Vec<usize>,
    /// How much.
    pub effort: Effort,
}

impl Arena {
    /// Certificates for some scenarios.
    ///
    /// # Errors
    /// The library cannot make one.
    pub fn certificates(scenarios: &[Scenario]) -> Result<BTreeMap<&'static str, Issued>, Failure> {
        let mut certificates = BTreeMap::new();
        for Scenario { key, .. } in scenarios {
            if !certificates.contains_key(key.word()) {
                certificates.insert(key.word(), Issued::new(*key)?);
            }
        }
        Ok(certificates)
    }

    fn site(&self, key: KeyKind) -> Result<Site<'_>, Failure> {
        let issued = self.certificates.get(key.word()).ok_or("no certificate of that kind")?;
        let (backend, workers) = (self.backend, self.workers);
        Ok(Site { issued, backend, workers, processors: &self.server_processors })
    }

    fn run(&self, contender: &Contender, scenario: &Scenario) -> Result<Measured, Failure> {
        let server = contender.start(&self.site(scenario.key)?)?;
        measure(&server, scenario, &self.effort, &self.load_processors)
    }
}

/// Name of a cell: a server in a scenario.
#[must_use]
pub fn cell(scenario: &Scenario, contender: &Contender) -> String {
    format!("{}.{}", scenario.id, contender.name())
}

/// Runs all rounds of a scenario; `tell` gets each run as soon as its round is complete.
///
/// # Errors
/// Those of `tell`; a server that fails is no error.
pub fn run(
    arena: &Arena,
    scenario: &Scenario,
    contenders: &[Contender],
    tell: &mut dyn FnMut(Round) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let taking_part: Vec<&Contender> =
        contenders.iter().filter(|contender| contender.takes_part(scenario)).collect();
    let mut failures: BTreeMap<String, u32> = BTreeMap::new();
    for round in 1..=arena.effort.rounds {
        let mut order = taking_part.clone();
        if !order.is_empty() {
            let first = usize::try_from(round - 1)? % order.len();
            order.rotate_left(first);
        }
        let mut runs = Vec::new();
        for contender in order {
            let cell = cell(scenario, contender);
            let failed = failures.entry(cell.clone()).or_default();
            if *failed >= FAILURES_MAX {
                continue;
            }
            let mut run = match arena.run(contender, scenario) {
                Ok(Measured { values, detail }) => {
                    Round { cell, round, values, detail, ..Round::default() }
                }
                Err(reason) => {
                    *failed += 1;
                    Round::failed(&cell, round, told(&reason.to_string()))
                }
            };
            run.unix_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
            runs.push(run);
        }
        add_ratios(scenario, &mut runs);
        for run in runs {
            tell(run)?;
        }
    }
    Ok(())
}

/// A reason as a report may have it: on one line, and without places of this machine.
#[must_use]
pub fn told(reason: &str) -> String {
    let lines: Vec<&str> = reason.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    crate::report::privacy::scrubbed(&lines.join("; "))
}

/// Ours over theirs, all of it.
pub const RATIO: &str = "adjunct_ratio";
/// Ours without the threads of simulated cards over theirs.
pub const HOST_RATIO: &str = "adjunct_host_ratio";

/// What ours has cost more than theirs.
pub const ADDS: &str = "adjunct_adds_us";

/// Gives each run the ratio of our run of the same round to it, and those of our relay without TLS
/// the difference too.
fn add_ratios(scenario: &Scenario, runs: &mut [Round]) {
    let name = format!("{}.{}", scenario.id, Way::Standard.name());
    let Some(ours) = runs.iter().find(|run| run.cell == name).map(|run| run.values.clone()) else {
        return;
    };
    for run in runs.iter_mut().filter(|run| run.cell != name) {
        for (ratio, figure, over) in
            [(RATIO, scenario.figure, scenario.figure), (HOST_RATIO, HOST, TOTAL)]
        {
            if let (Some(ours), Some(theirs)) = (ours.get(figure), run.values.get(over))
                && *theirs > 0.0
            {
                run.values.insert(ratio.to_owned(), ours / theirs);
            }
        }
        if Way::WITHOUT_TLS.iter().any(|way| run.cell == format!("{}.{}", scenario.id, way.name()))
            && let (Some(ours), Some(plain)) = (ours.get(TOTAL), run.values.get(TOTAL))
        {
            run.values.insert(ADDS.to_owned(), ours - plain);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    fn run(cell: &str, round: u32, values: &[(&str, f64)]) -> Round {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Round { cell: cell.to_owned(), round, values, ..Round::default() }
    }

    #[test]
    fn a_ratio_is_ours_over_theirs_with_and_without_cards() {
        let scenario = Scenario::from_str("full13-rsa2048").unwrap();
        let mut runs = [
            run("full13-rsa2048.haproxy", 1, &[(TOTAL, 800.0), (HOST, 800.0)]),
            run("full13-rsa2048.adjunct", 1, &[(TOTAL, 400.0), (HOST, 200.0)]),
            Round::failed("full13-rsa2048.hitch", 1, "it is away".to_owned()),
        ];
        add_ratios(&scenario, &mut runs);
        assert_eq!(runs[0].values[RATIO], 0.5);
        assert_eq!(runs[0].values[HOST_RATIO], 0.25);
        assert!(!runs[1].values.contains_key(RATIO));
        assert!(runs[2].values.is_empty());
    }

    #[test]
    fn what_tls_adds_is_told_beside_the_relay_without_it() {
        let scenario = Scenario::from_str("bulk-up").unwrap();
        let mut runs = [
            run("bulk-up.adjunct-plain", 1, &[(TOTAL, 300.0)]),
            run("bulk-up.adjunct-plain-busy", 1, &[(TOTAL, 350.0)]),
            run("bulk-up.adjunct", 1, &[(TOTAL, 420.0)]),
            run("bulk-up.nginx", 1, &[(TOTAL, 900.0)]),
        ];
        add_ratios(&scenario, &mut runs);
        assert_eq!(runs[0].values[ADDS], 120.0);
        assert_eq!(runs[1].values[ADDS], 70.0);
        assert!(!runs[2].values.contains_key(ADDS) && !runs[3].values.contains_key(ADDS));
    }

    #[test]
    fn a_row_that_is_not_about_cpu_time_has_one_ratio() {
        let scenario = Scenario::from_str("idle").unwrap();
        let mut runs = [
            run("idle.nginx", 1, &[(scenario.figure, 40.0)]),
            run("idle.adjunct", 1, &[(scenario.figure, 10.0)]),
        ];
        add_ratios(&scenario, &mut runs);
        assert_eq!(runs[0].values[RATIO], 0.25);
        assert!(!runs[0].values.contains_key(HOST_RATIO));
    }

    #[test]
    fn a_reason_is_one_line_without_places() {
        let path = ["/tm", "p/x/nginx.conf"].concat();
        let reason = format!("nginx does not start (1):\nin {path}:3\n\n  bad\n");
        assert_eq!(told(&reason), "nginx does not start (1):; in nginx.conf:3; bad");
    }
}
