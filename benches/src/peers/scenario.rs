//! What is compared: the rows of the table.
//!
//! Every scenario has one figure that counts, and for some rows there is a target: a ratio of ours
//! to a peer's, or to our own way without cards.

use std::str::FromStr;
use std::time::Duration;

use crate::load::{KeyKind, Kind, Shape, Version};

/// Established connections that ping during a storm.
pub const PINGING: usize = 8;
/// Pings a second in all: each connection has one every five milliseconds.
pub const PINGS_PER_SECOND: f64 = 1600.0;
/// Clients of a closed loop of handshakes. More than a queue of cards holds.
pub const CLIENTS: usize = 128;
/// Connections that carry bulk data at a time.
pub const BULK_CONNECTIONS: usize = 4;

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// What the command line and the files call it.
    pub id: &'static str,
    /// What the page calls it.
    pub title: &'static str,
    /// Key of the certificate.
    pub key: KeyKind,
    /// What the clients do.
    pub work: Work,
    /// Clients of a closed loop of handshakes.
    pub clients: usize,
    /// Name of the value that counts.
    pub figure: &'static str,
    /// Whether the short form has it.
    pub quick: bool,
}

/// What the clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Handshakes in a closed loop, each with a small request and its checked answer.
    Handshake(Version, Kind),
    /// Data from the backend to the clients.
    Down,
    /// Data from the clients to the backend.
    Up,
    /// Nothing, with many connections.
    Idle,
    /// Pings, calm and then during a closed loop of full handshakes.
    Storm,
}

/// Requests in a batch of the cards.
pub const FILL: &str = "batch_fill";
/// CPU time for a unit of work, cards included.
pub const TOTAL: &str = "total_us";
/// CPU time for a unit of work, threads of simulated cards left out.
pub const HOST: &str = "host_us";
/// CPU time over elapsed time: 1 is one processor.
pub const BUSY: &str = "busy_share";
/// Memory for a connection.
pub const RESIDENT: &str = "rss_kib";
/// Latency of a ping in a storm.
pub const STORM_P99: &str = "storm_p99_us";

const fn handshake(
    id: &'static str,
    title: &'static str,
    key: KeyKind,
    (version, kind): (Version, Kind),
    quick: bool,
) -> Scenario {
    let work = Work::Handshake(version, kind);
    Scenario { id, title, key, work, clients: CLIENTS, figure: TOTAL, quick }
}

/// Full handshakes of fewer clients: batches are as full as the load makes them.
const fn load(id: &'static str, title: &'static str, clients: usize) -> Scenario {
    let full = (Version::Tls13, Kind::Full);
    Scenario { clients, ..handshake(id, title, KeyKind::Rsa2048, full, false) }
}

/// All rows, in the order of the page.
pub const ALL: [Scenario; 17] = [
    handshake(
        "full13-rsa2048",
        "Full handshake, TLS 1.3, RSA-2048",
        KeyKind::Rsa2048,
        (Version::Tls13, Kind::Full),
        true,
    ),
    handshake(
        "full12-rsa2048",
        "Full handshake, TLS 1.2, RSA-2048",
        KeyKind::Rsa2048,
        (Version::Tls12, Kind::Full),
        true,
    ),
    handshake(
        "full13-rsa3072",
        "Full handshake, TLS 1.3, RSA-3072",
        KeyKind::Rsa3072,
        (Version::Tls13, Kind::Full),
        false,
    ),
    handshake(
        "full13-rsa4096",
        "Full handshake, TLS 1.3, RSA-4096",
        KeyKind::Rsa4096,
        (Version::Tls13, Kind::Full),
        false,
    ),
    handshake(
        "full13-p256",
        "Full handshake, TLS 1.3, ECDSA P-256",
        KeyKind::P256,
        (Version::Tls13, Kind::Full),
        true,
    ),
    handshake(
        "resumed13",
        "Resumed handshake, TLS 1.3",
        KeyKind::Rsa2048,
        (Version::Tls13, Kind::Resumed),
        true,
    ),
    Scenario {
        id: "bulk-down",
        title: "Bulk to clients, AES-128-GCM, per MiB",
        key: KeyKind::P256,
        work: Work::Down,
        clients: 0,
        figure: TOTAL,
        quick: true,
    },
    Scenario {
        id: "bulk-up",
        title: "Bulk from clients, AES-128-GCM, per MiB",
        key: KeyKind::P256,
        work: Work::Up,
        clients: 0,
        figure: TOTAL,
        quick: false,
    },
    Scenario {
        id: "idle",
        title: "Idle connection, memory",
        key: KeyKind::P256,
        work: Work::Idle,
        clients: 0,
        figure: RESIDENT,
        quick: false,
    },
    Scenario {
        id: "storm",
        title: "Pings in a storm of full TLS 1.3 handshakes, RSA-2048",
        key: KeyKind::Rsa2048,
        work: Work::Storm,
        clients: CLIENTS,
        figure: STORM_P99,
        quick: true,
    },
    load("load-1", "Full handshake, 1 client", 1),
    load("load-2", "Full handshake, 2 clients", 2),
    load("load-4", "Full handshake, 4 clients", 4),
    load("load-8", "Full handshake, 8 clients", 8),
    load("load-16", "Full handshake, 16 clients", 16),
    load("load-32", "Full handshake, 32 clients", 32),
    load("load-64", "Full handshake, 64 clients", 64),
];

impl Scenario {
    /// Whether it is one of a row of loads, in which Adjunct is compared with itself.
    #[must_use]
    pub fn is_load(&self) -> bool {
        self.id.starts_with("load-")
    }

    /// What every handshake of it has to be: the same suite and group for all servers, so that
    /// nobody gains by a choice of its own.
    #[must_use]
    pub fn shape(&self) -> Shape {
        let (version, kind) = match self.work {
            Work::Handshake(version, kind) => (version, kind),
            Work::Down | Work::Up | Work::Idle | Work::Storm => (Version::Tls13, Kind::Full),
        };
        Shape::fixed(version, kind, self.key)
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ALL.into_iter().find(|scenario| scenario.id == text).ok_or_else(|| {
            let known: Vec<&str> = ALL.iter().map(|scenario| scenario.id).collect();
            format!("`{text}` is no scenario: {}", known.join(", "))
        })
    }
}

/// A ratio that Adjunct is to reach: its figure over that of another server in the same round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// The row.
    pub scenario: &'static str,
    /// Whose figure it is divided by.
    pub against: &'static str,
    /// Whether only the host's part of ours counts.
    pub host_only: bool,
    /// At most this.
    pub must: f64,
    /// Where it is to go.
    pub aim: f64,
}

const fn target(scenario: &'static str, against: &'static str, must: f64, aim: f64) -> Target {
    Target { scenario, against, host_only: false, must, aim }
}

/// The ratios that Adjunct is to reach.
pub const TARGETS: [Target; 10] = [
    target("full13-rsa2048", "haproxy", 0.40, 0.34),
    Target { host_only: true, ..target("full13-rsa2048", "haproxy", 0.26, 0.22) },
    target("full12-rsa2048", "haproxy", 0.48, 0.41),
    target("full13-rsa3072", "adjunct-inline", 0.50, 0.45),
    target("full13-rsa4096", "adjunct-inline", 0.50, 0.45),
    target("full13-p256", "haproxy", 0.40, 0.30),
    target("resumed13", "haproxy", 0.42, 0.32),
    target("bulk-down", "nginx", 0.75, 0.55),
    target("bulk-up", "nginx", 0.75, 0.50),
    target("storm", "nginx", 0.50, 0.35),
];

/// Most KiB of an idle connection, and where it is to go.
pub const IDLE_KIB: (f64, f64) = (8.0, 6.0);

/// Most microseconds that TLS adds to a MiB, beside our own relay without it.
pub const TLS_ADDS_US: f64 = 160.0;

/// How much of everything there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Rounds through all servers.
    pub rounds: u32,
    /// The counted part of a run.
    pub time: Duration,
    /// What is done before and not counted.
    pub warmup: Duration,
    /// Idle connections.
    pub connections: usize,
}

impl Effort {
    /// What a claim needs, in half an hour with four peers.
    pub const FULL: Self = Self {
        rounds: 5,
        time: Duration::from_millis(2500),
        warmup: Duration::from_millis(400),
        connections: 2000,
    };
    /// What a trial needs, in four minutes with four peers.
    pub const QUICK: Self = Self {
        rounds: 3,
        time: Duration::from_millis(1000),
        warmup: Duration::from_millis(250),
        connections: 500,
    };
    /// What a test needs.
    pub const LEAST: Self = Self {
        rounds: 1,
        time: Duration::from_millis(200),
        warmup: Duration::ZERO,
        connections: 20,
    };
}

#[cfg(test)]
mod tests {
    use rustls::CipherSuite;

    use super::*;

    #[test]
    fn every_target_is_one_of_a_row_and_the_aim_is_beyond_it() {
        for target in TARGETS {
            assert!(Scenario::from_str(target.scenario).is_ok(), "{target:?}");
            assert!(target.aim < target.must, "{target:?}");
        }
        assert_eq!(ALL.iter().filter(|scenario| scenario.is_load()).count(), 7);
        let fault = Scenario::from_str("full").unwrap_err();
        assert!(fault.contains("full13-rsa2048, full12-rsa2048"), "{fault}");
    }

    #[test]
    fn the_certificate_fits_the_suite() {
        let shape = |id: &str| Scenario::from_str(id).unwrap().shape();
        let suite = CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256;
        assert_eq!(shape("full12-rsa2048").suite, Some(suite));
        assert_eq!(shape("resumed13").kind, Kind::Resumed);
        assert_eq!(shape("bulk-up").suite, Some(CipherSuite::TLS13_AES_128_GCM_SHA256));
    }
}
