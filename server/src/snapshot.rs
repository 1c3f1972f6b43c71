//! What a running set of cards and functions looks like at a moment, as plain rows.
//!
//! The rows travel over the admin socket as JSON and are printed by `adjunct cards` and `adjunct
//! crypto`. They hold words and numbers only, so that neither side needs the types of the engine.

use engine::compliance::Mode;
use serde::{Deserialize, Serialize};

use crate::evidence::Report;
use crate::fips::facts::Facts;
use crate::order::Order;

/// How a card executes requests, and what its batches gain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineRow {
    /// `single` or `batch`.
    pub name: String,
    /// Why it is not what the processor could do; empty if it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Executions of 1, 2, 3 and 4 RSA requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<u64>,
    /// RSA requests of an execution, mean; 0 without any.
    #[serde(default)]
    pub fill: f64,
    /// Of them, requests that were done one after the other by the library.
    #[serde(default)]
    pub alone: u64,
    /// Results of a batch that failed verification and were computed again.
    #[serde(default)]
    pub refused: u64,
    /// What became of the RSA keys when they were tried in a batch.
    pub self_test: Option<SelfTestRow>,
    /// What a full batch gains, for each size of key that was loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gains: Vec<GainRow>,
}

/// RSA keys by the outcome of their self-test in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTestRow {
    /// Agreed with the library.
    pub passed: u64,
    /// Did not; used one at a time.
    pub failed: u64,
    /// Of a form that batches do not do; used one at a time.
    pub unfit: u64,
}

/// What a full batch gains, measured at the start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GainRow {
    /// Length of the modulus.
    pub bits: u32,
    /// One operation by itself.
    pub single_us: f64,
    /// A batch of four.
    pub batch_us: f64,
    /// How many times cheaper an operation is in a full batch.
    pub factor: f64,
    /// Fewest requests that are done together; none if batches do not pay.
    pub break_even: Option<usize>,
}

/// One line of `cards`: a card, or a queue when `domain` is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CardRow {
    /// Card number.
    pub card: u8,
    /// Domain; none for the line of the card itself.
    pub domain: Option<u8>,
    /// Card type, e.g. `CEX8A`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `Accelerator` or `CCA-Coproc`.
    pub mode: String,
    /// `online`, `offline`, `deconfig`, `chkstop` or `-`.
    pub status: String,
    /// Requests completed.
    pub requests: u64,
    /// CPU time of the thread that stands in for the card, in microseconds since its start; on the
    /// line of the card only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Requests in the queue or in the card.
    pub pending: u64,
    /// Hardware type of the AP bus; 14 for CEX8.
    pub hwtype: u8,
    /// Queue depth.
    pub qdepth: u8,
    /// Function letters as lszcrypt shows them, or `-`.
    pub functions: String,
    /// Driver name; says that the card is simulated.
    pub driver: String,
    /// Faults that were injected into the queue; empty in production.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fault: String,
    /// How the card executes requests; on the line of the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineRow>,
}

/// Multiplications of X25519 in eight vector lanes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LanesRow {
    /// Whether they are used.
    pub used: bool,
    /// Why, or why not: the outcome of self-test and measurement.
    pub why: String,
    /// A key pair and an agreement by the library, as measured at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single_us: Option<f64>,
    /// The same in lanes when eight are done together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together_us: Option<f64>,
    /// How many times cheaper that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Fewest agreements that are done together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_even: Option<usize>,
    /// Times that agreements were done together.
    pub batches: u64,
    /// Agreements done in them.
    pub agreements: u64,
}

/// One line of `crypto`: a function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionRow {
    /// Name, e.g. `KMA-GCM-AES-256`.
    pub function: String,
    /// Instruction; none for functions that CPACF does not have.
    pub instruction: Option<String>,
    /// Function code of that instruction.
    pub code: Option<u8>,
    /// Key size, where there is one.
    pub key_bits: Option<u16>,
    /// Calls done as a CPACF function.
    pub hardware: u64,
    /// Calls done in software.
    pub software: u64,
    /// Calls refused because the function is blocked.
    pub blocked: u64,
    /// All calls.
    pub calls: u64,
    /// Bytes worked on.
    pub bytes: u64,
    /// Unit of the host that stands in for the instruction, e.g. `AES-NI, PCLMULQDQ`.
    pub host_unit: String,
    /// Provider of the process: `host`, or `portable` without the units for AES, PCLMUL and SHA.
    #[serde(default)]
    pub provider: String,
    /// Whether several calls are done together; of X25519.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lanes: Option<LanesRow>,
}

/// One line of `members`: a pool member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberRow {
    /// Name, e.g. `ADJ00001`.
    pub member: String,
    /// Connections it has, closing ones included.
    pub connections: u64,
    /// Handshakes in flight.
    pub handshakes: u64,
    /// Those of them that wait for a card (or, with a pool, for a thread).
    pub suspended: u64,
    /// Stacks that are mapped: in use, and kept for the next handshakes.
    pub stacks: u64,
    /// Bytes of a stack that the deepest handshake of the self-test has touched; with `stacks` it
    /// bounds what they have resident.
    pub stack_bytes: u64,
    /// Turns of the event loop.
    pub turns: u64,
    /// CPU time of a turn in microseconds, median.
    pub turn_cpu_p50_us: f64,
    /// The same, of 99 % of the turns.
    pub turn_cpu_p99_us: f64,
    /// The same, of 99.9 %.
    pub turn_cpu_p999_us: f64,
    /// The longest turn.
    pub turn_cpu_max_us: f64,
    /// CPU time of the thread since its start in microseconds, for connections that are not
    /// established.
    pub cpu_handshake_us: u64,
    /// The same, for records of established connections.
    pub cpu_relay_us: u64,
    /// The same, for everything else: poll, accept, connect, close, deadlines.
    pub cpu_overhead_us: u64,
    /// All three.
    pub cpu_total_us: u64,
}

/// State of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Process number.
    pub pid: u32,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// Pool members.
    pub members: usize,
    /// Whether it is ending.
    pub draining: bool,
    /// Services in the order of the configuration.
    pub services: Vec<ServiceStatus>,
}

/// State of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Name.
    pub name: String,
    /// Connections open.
    pub open: u64,
    /// Handshakes in flight.
    #[serde(default)]
    pub handshakes: u64,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Its backends in the order in which they are tried.
    #[serde(default)]
    pub backends: Vec<BackendRow>,
}

/// State of one address of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendRow {
    /// The backend, as configured.
    pub backend: String,
    /// Where it is: address and port, or `unix:` and the path.
    pub address: String,
    /// `up` or `down`: whether the last attempt to connect came to anything.
    pub state: String,
    /// Seconds for which that holds.
    pub since_s: u64,
    /// Failed attempts since the start.
    pub failures: u64,
    /// Milliseconds to the next attempt in the configured order; none when it is up.
    pub next_try_ms: Option<u64>,
}

/// Something that can be looked at: the daemon, or a set started for one command.
pub trait Source: Send + Sync {
    /// Cards and queues: each card before its queues, ascending.
    fn cards(&self) -> Vec<CardRow>;
    /// Functions, in the order of the function table.
    fn functions(&self) -> Vec<FunctionRow>;
    /// Pool members; none where nothing is served.
    fn members(&self) -> Vec<MemberRow> {
        Vec::new()
    }
    /// What the cryptographic module is, and which modes are enforced.
    fn facts(&self) -> Facts;
    /// State of the daemon.
    fn status(&self) -> Status;
    /// What its records add up to, and what a mode would do.
    fn evidence(&self, _what_if: Option<Mode>) -> Report {
        Report::default()
    }
    /// Carries out an order of somebody who may give it.
    ///
    /// # Errors
    /// A sentence that says why it is not carried out.
    fn obey(&self, _order: &Order) -> Result<String, String> {
        Err("orders are for a running daemon".to_owned())
    }
}
