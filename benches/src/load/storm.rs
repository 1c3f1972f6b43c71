//! Pings on established connections while others make handshakes.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::handshake::HandshakeLoad;
use super::latency::LatencyLoad;
use super::pace::Moment;
use crate::outcome::Outcome;
use crate::{Failure, clock};

/// How far the handshakes step back behind pings and backend, which share their processor.
const NICE: i32 = 19;

/// Both loads at once, each in a thread of its own.
#[derive(Debug, Clone)]
pub struct StormLoad {
    /// The pings.
    pub pings: LatencyLoad,
    /// The handshakes.
    pub handshakes: HandshakeLoad,
}

impl StormLoad {
    /// Runs both; outcome of the pings, outcome of the handshakes.
    ///
    /// Both begin when the connections of the pings are established and every client that is to
    /// resume has a session; the moments are those of the handshakes, so that CPU time between them
    /// belongs to their number.
    ///
    /// # Errors
    /// Those of either.
    pub fn run(&self, on: &mut (dyn FnMut(Moment) + Send)) -> Result<(Outcome, Outcome), Failure> {
        let (ready, called_off) = (Barrier::new(2), AtomicBool::new(false));
        std::thread::scope(|scope| {
            let (ready, called_off) = (&ready, &called_off);
            let storm = std::thread::Builder::new().name("storm".to_owned());
            let storm = storm.spawn_scoped(scope, move || {
                // It lasts as long as the pings, which count from the same moment.
                let handshakes = HandshakeLoad { extends: false, ..self.handshakes.clone() };
                let prepared = self.pin_behind().and_then(|()| handshakes.prepare());
                called_off.fetch_or(prepared.is_err(), Relaxed);
                ready.wait();
                let prepared = prepared?;
                if called_off.load(Relaxed) {
                    return Err("the pings did not begin".into());
                }
                prepared.run(on)
            })?;
            let pings = self.ahead(|| {
                let prepared = self.pings.prepare();
                called_off.fetch_or(prepared.is_err(), Relaxed);
                ready.wait();
                let prepared = prepared?;
                if called_off.load(Relaxed) {
                    return Err("the handshakes did not begin".into());
                }
                prepared.run(&mut |_| {})
            });
            let handshakes: Result<Outcome, Failure> =
                storm.join().map_err(|_| "the thread of the handshakes panicked")?;
            match (pings, handshakes) {
                (Ok(mut pings), Ok(mut handshakes)) => {
                    "storm: pings".clone_into(&mut pings.scenario);
                    "storm: handshakes".clone_into(&mut handshakes.scenario);
                    Ok((pings, handshakes))
                }
                // Who did not begin because of the other has nothing to say.
                (Err(why), Err(_)) if !why.to_string().ends_with("did not begin") => Err(why),
                (_, Err(why)) | (Err(why), _) => Err(why),
            }
        })
    }

    /// The pings alone, as they are in [`Self::run`]: what there is to compare with.
    ///
    /// # Errors
    /// Those of the pings.
    pub fn calm(&self, on: &mut (dyn FnMut(Moment) + Send)) -> Result<Outcome, Failure> {
        self.ahead(|| self.pings.prepare()?.run(on))
    }

    /// Does the work of the pings in a thread that asks for short slices: a ping does not wait for
    /// the slice of a handshake.
    ///
    /// In a thread of its own, because whatever a thread starts, the storm or a daemon with its
    /// cards, has slices as short as its own; and among equals nobody is let in.
    fn ahead<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("pings".to_owned());
            let thread = thread.spawn_scoped(scope, || {
                super::pinned(&self.pings.target.processors, || {
                    // Without them latencies are longer, and still what a client would see.
                    let _ = adjunct::scheduling::short_slices();
                    work()
                })
            })?;
            thread.join().map_err(|_| "the thread of the pings panicked")?
        })
    }

    fn pin_behind(&self) -> Result<(), Failure> {
        if !self.handshakes.processors.is_empty() {
            clock::pin(&self.handshakes.processors)?;
        }
        // Not nice is worse, but still a storm.
        let _ = rustix::process::setpriority_process(None, NICE);
        Ok(())
    }
}
