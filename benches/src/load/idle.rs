//! Connections that say nothing.

use std::time::Duration;

use super::latency::{LatencyLoad, Pinging};
use super::lines::Target;
use super::pace::{Moment, Pace, Stop};
use super::pinned;
use crate::outcome::Outcome;
use crate::{Failure, cpu};

/// How long a server may take to let go of what is over.
const SETTLE: Duration = Duration::from_secs(1);
/// Connections that are there before the base is taken, and stay: what the first bring with them is
/// no cost of each, and what they let go would be memory for the others.
const WARM: usize = 64;

/// Connections that are held.
#[derive(Debug, Clone)]
pub struct IdleLoad {
    /// Where to.
    pub target: Target,
    /// Connections.
    pub connections: usize,
    /// How long nothing happens.
    pub hold: Duration,
    /// Server whose memory is told.
    pub pid: Option<u32>,
}

impl IdleLoad {
    /// Connects, sends a kilobyte to and fro on each, is silent between the moments, and looks
    /// whether each connection still carries data.
    ///
    /// # Errors
    /// A connection is not there at the end, or the process is not.
    pub fn run(&self, on: &mut dyn FnMut(Moment)) -> Result<Outcome, Failure> {
        pinned(&self.target.processors, || self.hold(on))
    }

    fn pings(&self, connections: usize) -> LatencyLoad {
        LatencyLoad {
            connections,
            pace: Pace::Closed,
            stop: Stop::Count(connections as u64),
            warmup: Duration::ZERO,
            ..LatencyLoad::new(self.target.clone())
        }
    }

    fn resident(&self) -> Result<Option<u64>, Failure> {
        self.pid.map(resident_of_tree).transpose()
    }

    fn hold(&self, on: &mut dyn FnMut(Moment)) -> Result<Outcome, Failure> {
        let warm = WARM.min(self.connections / 2);
        let loads = [warm, self.connections - warm].map(|connections| self.pings(connections));
        let mut first = match warm {
            0 => None,
            _ => Some(loads[0].prepare()?),
        };
        first.as_mut().map_or(Ok(()), Pinging::each)?;
        std::thread::sleep(SETTLE);
        let base = self.resident()?;
        let mut others = loads[1].prepare()?;
        others.each()?;
        std::thread::sleep(SETTLE);
        let used = self.resident()?;
        on(Moment::Begin);
        std::thread::sleep(self.hold);
        on(Moment::End);
        first.as_mut().map_or(Ok(()), Pinging::each)?;
        others.each()?;
        let mut outcome = Outcome::new("idle", "connections");
        outcome.units = self.connections as u64;
        outcome.elapsed = self.hold;
        outcome.note("address", self.target.address.to_string());
        if let (Some(base), Some(used)) = (base, used) {
            let each = used.saturating_sub(base) as f64 / (self.connections - warm) as f64;
            outcome.note("connections_before", warm as u64);
            outcome.note("rss_before_bytes", base);
            outcome.note("rss_with_them_bytes", used);
            outcome.note("rss_per_connection_bytes", each);
        }
        Ok(outcome)
    }
}

/// Memory in use by a process and its descendants.
fn resident_of_tree(pid: u32) -> Result<u64, Failure> {
    let mut bytes = 0;
    for process in cpu::tree(pid) {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"));
        // A child may have ended; a tree without memory is told of below.
        let Ok(status) = status else { continue };
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        bytes += kib.map_or(Ok(0), str::parse::<u64>)? * 1024;
    }
    match bytes {
        0 => Err(format!("--pid {pid}: there is no such process, or it has ended").into()),
        bytes => Ok(bytes),
    }
}
