//! The thread of a *simulated* card.
//!
//! It serves the card's domains round robin, puts replies and then runs the interrupt handler of
//! the queue. With nothing to do it sleeps until the doorbell rings (NQAP and RAPQ ring it) or a
//! timer of a queue or a delayed reply is due; it never spins. It also plays the AP bus's poll
//! timers of its own queues. Its CPU time is published with every operation.
//!
//! A panic of an engine is a checkstop of the card: the driver sees response code 04, gives the
//! requests to other cards, and the thread is gone.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Engine, Job, accept, answer, courtesy, thread_cpu};
use crate::Error;
use crate::ap::bus::Place;
use crate::ap::card::{HwCard, HwQueue, HwRequest};
use crate::ap::message::{Psmid, Reply, Served};
use crate::fault::{QueueFaults, Swallowed};
use crate::msg;
use crate::zcrypt::Zcrypt;

/// How far a card's thread steps back behind the threads of the host. A real card takes no time of
/// the processor; a simulated one must not keep an event loop from it for longer than it has to.
/// The last step leaves it a sixtieth of a processor that event loops use up, and all that they do
/// not use.
const NICE: i32 = 19;

/// How long replies wait for those that come right behind them: one interrupt announces them all.
const SILENCE: Duration = Duration::from_micros(100);

/// Starts the thread of a card.
pub(crate) fn start(
    zcrypt: &Arc<Zcrypt>,
    card: usize,
    engine: Box<dyn Engine>,
) -> Result<JoinHandle<()>, Error> {
    let id = zcrypt.bus.cards[card].hw.id;
    let shared = Arc::clone(zcrypt);
    let body = move || {
        // Where the system refuses, the card competes with the host on equal terms.
        let _ = rustix::process::nice(NICE);
        let mut worker = Worker::new(&shared, card, engine);
        if catch_unwind(AssertUnwindSafe(|| worker.run())).is_err() {
            shared.bus.cards[card].hw.die();
            shared.scan();
            shared.pump();
        }
    };
    let thread = thread::Builder::new()
        .name(format!("cex-{id:02x}"))
        .spawn(body)
        .map_err(|source| Error::Thread { card: id, source })?;
    // Before anybody can submit: a bell that is not hung yet would swallow the ring.
    zcrypt.bus.cards[card].hw.attach(thread.thread().clone());
    Ok(thread)
}

/// What the thread holds of one queue.
#[derive(Default)]
struct Station {
    /// Taken from the hardware queue, waiting for a batch of its shape.
    staged: VecDeque<HwRequest>,
    /// Answered, held back until their time (fault "slow").
    delayed: Vec<Delayed>,
    poll_at: Option<Instant>,
}

struct Delayed {
    due: Instant,
    reply: Reply,
    generation: u32,
}

/// A request on the engine.
struct InService {
    psmid: Psmid,
    generation: u32,
    arrived: Instant,
}

/// What one request of a batch took.
#[derive(Clone, Copy)]
struct Share {
    began: Instant,
    busy: Duration,
    cpu: Duration,
    /// How much later the reply comes (fault "slow").
    late: Duration,
}

struct Worker<'a> {
    zcrypt: &'a Zcrypt,
    card: usize,
    hw: &'a HwCard,
    engine: Box<dyn Engine>,
    stations: Vec<Station>,
    first: usize,
    cpu: Duration,
}

impl<'a> Worker<'a> {
    fn new(zcrypt: &'a Zcrypt, card: usize, engine: Box<dyn Engine>) -> Self {
        let hw = &zcrypt.bus.cards[card].hw;
        let stations = hw.queues.iter().map(|_| Station::default()).collect();
        Self { zcrypt, card, hw, engine, stations, first: 0, cpu: thread_cpu() }
    }

    fn run(&mut self) {
        while !self.zcrypt.stopping() {
            let mut worked = false;
            for offset in 0..self.stations.len() {
                let queue = (self.first + offset) % self.stations.len();
                worked |= self.turn(queue);
            }
            self.first = (self.first + 1) % self.stations.len().max(1);
            if !worked {
                self.lap();
                match self.next_due() {
                    Some(due) => {
                        let now = Instant::now();
                        thread::park_timeout(due.saturating_duration_since(now));
                    }
                    None => thread::park(),
                }
            }
        }
        self.lap();
    }

    fn next_due(&self) -> Option<Instant> {
        let stations = self.stations.iter();
        stations.flat_map(|s| s.delayed.iter().map(|d| d.due).chain(s.poll_at)).min()
    }

    /// One round for one queue; says whether something was done.
    fn turn(&mut self, queue: usize) -> bool {
        let hw = &self.hw.queues[queue];
        let mut announce = false;
        if hw.reset_wanted() {
            self.drop_all(hw, queue);
            announce = true;
        }
        let begin = Instant::now();
        while self.hw.operational() && self.serve(hw, queue) {
            announce = true;
            if begin.elapsed() >= SILENCE {
                break;
            }
        }
        announce |= self.release_delayed(hw, queue);
        let now = Instant::now();
        let station = &mut self.stations[queue];
        let polled = station.poll_at.is_some_and(|at| at <= now);
        if announce || polled {
            station.poll_at = None;
            self.zcrypt.interrupt(Place { card: self.card, queue });
        }
        let wait = self.zcrypt.bus.cards[self.card].queues[queue].wait();
        let station = &mut self.stations[queue];
        match wait.timer() {
            Some(interval) if station.poll_at.is_none() => station.poll_at = Some(now + interval),
            Some(_) => {}
            None => station.poll_at = None,
        }
        let more = hw.has_requests() || !station.staged.is_empty();
        announce || (more && self.hw.operational())
    }

    fn drop_all(&mut self, hw: &HwQueue, queue: usize) {
        let station = &mut self.stations[queue];
        for _ in 0..station.staged.drain(..).count() + station.delayed.drain(..).count() {
            hw.forget();
        }
        hw.finish_reset();
    }

    /// Executes one batch; says whether a reply was put.
    fn serve(&mut self, hw: &HwQueue, queue: usize) -> bool {
        let station = &mut self.stations[queue];
        while station.staged.len() < self.engine.batch() {
            match hw.take() {
                Some(request) => station.staged.push_back(request),
                None => break,
            }
        }
        let Some(first) = station.staged.pop_front() else { return false };
        let began = Instant::now();
        let faults = hw.faults.active();
        if let Some(fate) = faults.and_then(QueueFaults::swallowed) {
            match fate {
                Swallowed::Lost => hw.lose(first.generation),
                Swallowed::Forgotten => hw.forget(),
            }
            return false;
        }
        let service = InService::of(&first);
        let late = faults.map_or(Duration::ZERO, QueueFaults::latency);
        let job = match faults.and_then(QueueFaults::error_reply) {
            Some(code) => Err(msg::encode_error(msg::ReplyCode(code))),
            None => accept(self.hw.kind, &self.zcrypt.keys, &first.bytes),
        };
        let job = match job {
            Ok(job) => job,
            Err(reply) => {
                let share = Share { began, busy: began.elapsed(), cpu: self.lap(), late };
                return self.put(hw, queue, &service, (reply, false), share);
            }
        };
        let (jobs, services) = self.gather(job, service, queue);
        let mut results = Vec::with_capacity(jobs.len());
        let began = {
            let _processor = self.zcrypt.processors.take();
            courtesy::offer();
            // What came before was time in the queue: a real card need not wait for a processor.
            let began = Instant::now();
            self.engine.execute(&jobs, &mut results);
            began
        };
        self.zcrypt.cards[self.card].queues[queue].stats.count_batch(jobs.len());
        let count = u32::try_from(services.len()).unwrap_or(u32::MAX);
        let share = Share { began, busy: began.elapsed() / count, cpu: self.lap() / count, late };
        let wrong = faults.is_some_and(QueueFaults::wrong_result);
        let mut announce = false;
        for (service, mut result) in services.into_iter().zip(results) {
            if let Ok(output) = &mut result
                && let Some(last) = output.bytes.last_mut().filter(|_| wrong)
            {
                *last ^= 1;
                output.checked = false;
            }
            let checked = result.as_ref().is_ok_and(|output| output.checked);
            let reply = answer(self.hw.kind, result.map(|output| output.bytes));
            announce |= self.put(hw, queue, &service, (reply, checked), share);
        }
        announce
    }

    /// CPU time of this thread since the last call; publishes the sum.
    fn lap(&mut self) -> Duration {
        let cpu = thread_cpu();
        let spent = cpu.checked_sub(self.cpu).unwrap_or(Duration::ZERO);
        self.cpu = cpu;
        self.zcrypt.cards[self.card].stats.set_cpu(cpu);
        spent
    }

    /// Adds staged requests of the same shape to a batch.
    fn gather(
        &mut self,
        first: Job,
        service: InService,
        queue: usize,
    ) -> (Vec<Job>, Vec<InService>) {
        let shape = first.shape();
        let (mut jobs, mut services) = (vec![first], vec![service]);
        let staged = &mut self.stations[queue].staged;
        let mut index = 0;
        while shape > 0 && jobs.len() < self.engine.batch() && index < staged.len() {
            let job = accept(self.hw.kind, &self.zcrypt.keys, &staged[index].bytes);
            match job {
                Ok(job) if job.shape() == shape => {
                    services.extend(staged.remove(index).map(|request| InService::of(&request)));
                    jobs.push(job);
                }
                // Another shape, or a fault: its own turn will tell.
                _ => index += 1,
            }
        }
        (jobs, services)
    }

    /// Puts a reply, now or when its time has come; says whether to announce it.
    fn put(
        &mut self,
        hw: &HwQueue,
        queue: usize,
        service: &InService,
        (bytes, checked): (Vec<u8>, bool),
        share: Share,
    ) -> bool {
        let now = Instant::now();
        let due = service.arrived + share.late;
        let served = Served { began: share.began, ended: now.max(due), cpu: share.cpu };
        let stats = &self.zcrypt.cards[self.card].queues[queue].stats;
        stats.record(served.ended.saturating_duration_since(served.began), share.busy);
        let reply = Reply { psmid: service.psmid, bytes, checked, served };
        if due > now {
            let delayed = Delayed { due, reply, generation: service.generation };
            self.stations[queue].delayed.push(delayed);
            return false;
        }
        hw.put(reply, service.generation);
        true
    }

    fn release_delayed(&mut self, hw: &HwQueue, queue: usize) -> bool {
        let delayed = &mut self.stations[queue].delayed;
        if delayed.is_empty() {
            return false;
        }
        let now = Instant::now();
        let mut announce = false;
        for entry in delayed.extract_if(.., |entry| entry.due <= now) {
            hw.put(entry.reply, entry.generation);
            announce = true;
        }
        announce
    }
}

impl InService {
    fn of(request: &HwRequest) -> Self {
        Self { psmid: request.psmid, generation: request.generation, arrived: request.arrived }
    }
}
