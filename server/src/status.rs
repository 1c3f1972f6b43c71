//! The engine's counters as plain rows, for the status socket and the commands.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::compliance::Mode;
use engine::crypto::{
    CardStatus, Crypto, Function, Gain, LanesStanding, Provider, SelfTest, lanes,
};

use crate::backend::Target;
use crate::evidence::Report;
use crate::fips::facts::{Facts, WHY_ALONE};
use crate::net::gauges::Gauges;
use crate::observe::{Event, Level, Log};
use crate::order::Order;
use crate::runtime::Runtime;
use crate::snapshot::{
    BackendRow, CardRow, EngineRow, FunctionRow, GainRow, LanesRow, MemberRow, SelfTestRow,
    ServiceStatus, Source, Status,
};

/// Cards and queues, each card before its queues.
#[must_use]
pub fn cards(crypto: &Crypto) -> Vec<CardRow> {
    let mut rows = Vec::new();
    let why = if crypto.module_is_alone() { WHY_ALONE } else { "" };
    for card in crypto.cards().cards {
        let row = CardRow {
            card: card.id,
            domain: None,
            kind: card.kind.name().to_owned(),
            mode: card.kind.mode().to_owned(),
            status: card.status.name().to_owned(),
            requests: card.requests,
            cpu_us: u64::try_from(card.cpu.as_micros()).ok(),
            pending: card.pending as u64,
            hwtype: card.hardware_type,
            qdepth: u8::try_from(card.depth).unwrap_or(u8::MAX),
            functions: card.kind.functions().to_owned(),
            driver: card.driver.to_owned(),
            fault: String::new(),
            engine: None,
        };
        rows.push(CardRow { engine: Some(engine_row(&card, why)), ..row.clone() });
        for queue in card.queues {
            let faults: Vec<String> = queue.faults.iter().map(ToString::to_string).collect();
            rows.push(CardRow {
                domain: Some(queue.apqn.domain),
                status: queue.status.name().to_owned(),
                requests: queue.requests,
                cpu_us: None,
                pending: queue.pending as u64,
                fault: faults.join(", "),
                ..row.clone()
            });
        }
    }
    rows
}

fn engine_row(card: &CardStatus, why: &str) -> EngineRow {
    let (name, why) = (card.engine.to_owned(), why.to_owned());
    let Some(batch) = &card.batch else {
        let (fill, alone, refused) = (0.0, 0, 0);
        let (batches, self_test, gains) = (Vec::new(), None, Vec::new());
        return EngineRow { name, why, batches, fill, alone, refused, self_test, gains };
    };
    let counts = batch.counts;
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    #[allow(clippy::cast_precision_loss, reason = "a mean for display")]
    let fill = counts.requests() as f64 / counts.batches().max(1) as f64;
    let gain = |gain: &Gain| GainRow {
        bits: gain.bits,
        single_us: us(gain.single),
        batch_us: us(gain.batch),
        factor: gain.factor(),
        break_even: gain.break_even(),
    };
    let SelfTest { passed, failed, unfit } = batch.self_test;
    EngineRow {
        name,
        why,
        batches: counts.fills.to_vec(),
        fill,
        alone: counts.alone,
        refused: counts.refused,
        self_test: Some(SelfTestRow { passed, failed, unfit }),
        gains: batch.gains.iter().map(gain).collect(),
    }
}

/// The function table with its counters.
#[must_use]
pub fn functions(crypto: &Crypto) -> Vec<FunctionRow> {
    let row = |row: engine::crypto::FunctionCounters| FunctionRow {
        function: row.function.name().to_owned(),
        instruction: row.function.instruction().map(|i| i.name().to_owned()),
        code: row.function.code(),
        key_bits: row.function.key_bits(),
        hardware: row.hardware,
        software: row.software,
        blocked: row.blocked,
        calls: row.calls,
        bytes: row.bytes,
        host_unit: engine::crypto::host_unit(row.function).name().to_owned(),
        provider: Provider::in_force().name().to_owned(),
        lanes: (row.function == Function::PccScalarMultiplyX25519).then(lanes_row),
    };
    crypto.functions().into_iter().map(row).collect()
}

fn lanes_row() -> LanesRow {
    let (used, why, gain) = match lanes::standing() {
        LanesStanding::Used(gain) => (true, "self-test passed", Some(gain)),
        LanesStanding::Slow(gain) => (false, "the library is as fast", Some(gain)),
        LanesStanding::Absent => (false, "the processor has no AVX-512 IFMA", None),
        LanesStanding::ModuleAlone => (false, "the module computes alone", None),
        LanesStanding::Disagrees => (false, "self-test FAILED: other results", None),
    };
    let counts = lanes::counts();
    LanesRow {
        used,
        why: why.to_owned(),
        single_us: gain.map(|gain| gain.single.as_secs_f64() * 1e6),
        together_us: gain.map(|gain| gain.single.as_secs_f64() * 1e6 / gain.factor()),
        factor: gain.map(|gain| gain.factor()),
        break_even: gain.and_then(|gain| gain.break_even()),
        batches: counts.batches,
        agreements: counts.agreements,
    }
}

/// A backend with its health.
fn backend(target: &Target) -> BackendRow {
    let view = target.health.view(Instant::now());
    BackendRow {
        backend: target.name.to_string(),
        address: target.address.to_string(),
        state: if view.up { "up" } else { "down" }.to_owned(),
        since_s: view.since.elapsed().unwrap_or_default().as_secs(),
        failures: view.failures,
        next_try_ms: view.next_try.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// A set started for one command.
pub struct Fresh {
    crypto: Arc<Crypto>,
    facts: Facts,
    started: Instant,
}

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").finish_non_exhaustive()
    }
}

impl Fresh {
    /// Takes the set over; it is shut down with this value.
    #[must_use]
    pub fn new(crypto: Arc<Crypto>, facts: Facts) -> Self {
        Self { crypto, facts, started: Instant::now() }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        self.crypto.shutdown();
    }
}

impl Source for Fresh {
    fn cards(&self) -> Vec<CardRow> {
        cards(&self.crypto)
    }

    fn functions(&self) -> Vec<FunctionRow> {
        functions(&self.crypto)
    }

    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn status(&self) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: self.started.elapsed().as_secs(),
            members: 0,
            draining: false,
            services: Vec::new(),
        }
    }
}

/// The running daemon.
#[derive(Debug)]
pub struct Running {
    runtime: Arc<Runtime>,
    members: Vec<Arc<Gauges>>,
    stack_bytes: usize,
    draining: Arc<AtomicBool>,
    started: Instant,
    log: Log,
}

impl Running {
    /// Looks at `runtime` and its members; `draining` is set by the supervisor, `stack_bytes` is
    /// what the self-test has found, and orders are noted in `log`.
    #[must_use]
    pub fn new(
        runtime: Arc<Runtime>,
        members: Vec<Arc<Gauges>>,
        stack_bytes: usize,
        draining: Arc<AtomicBool>,
        log: Log,
    ) -> Self {
        Self { runtime, members, stack_bytes, draining, started: Instant::now(), log }
    }
}

impl Source for Running {
    fn cards(&self) -> Vec<CardRow> {
        cards(&self.runtime.crypto)
    }

    fn functions(&self) -> Vec<FunctionRow> {
        functions(&self.runtime.crypto)
    }

    fn facts(&self) -> Facts {
        self.runtime.facts.clone()
    }

    fn members(&self) -> Vec<MemberRow> {
        self.members.iter().map(|gauges| gauges.row(self.stack_bytes)).collect()
    }

    fn status(&self) -> Status {
        let service = |service: &Arc<crate::runtime::ServiceRuntime>| ServiceStatus {
            name: service.name.clone(),
            open: service.open.load(Ordering::Relaxed) as u64,
            handshakes: service.handshakes.load(Ordering::Relaxed) as u64,
            accepted: service.accepted.load(Ordering::Relaxed),
            backends: service.targets.iter().map(backend).collect(),
        };
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: self.started.elapsed().as_secs(),
            members: self.members.len(),
            draining: self.draining.load(Ordering::Relaxed),
            services: self.runtime.services().map(service).collect(),
        }
    }

    fn evidence(&self, what_if: Option<Mode>) -> Report {
        self.log.evidence(what_if)
    }

    fn obey(&self, order: &Order) -> Result<String, String> {
        let done = order.carry_out(self.runtime.crypto.cex());
        let (level, text) = match &done {
            Ok(done) => (Level::Warn, format!("by order over the admin socket: {done}")),
            Err(reason) => (Level::Warn, format!("an order was refused: {reason}")),
        };
        self.log.event(Event::new(level, "cards-order", text).with("order", order.to_string()));
        done
    }
}
