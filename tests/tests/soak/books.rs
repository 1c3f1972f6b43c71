//! What the clients saw beside what the daemon recorded, and what the daemon used meanwhile.
//!
//! Invariant: the ports of a connection lead to its record. They are used again only after it is
//! gone, but by then neither its client nor its member need have written down what became of it: of
//! several stories and records with the same ports each must have one that fits.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use adjunct_tests::record::Record;
use adjunct_tests::rig::Rig;

use super::clients::{Ports, Story};

/// Most faults that are kept; one is enough to end the run.
const KEPT: usize = 20;
/// How long a story and a record with the same ports may wait for others that fit.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Books(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    open: HashMap<Ports, Open>,
    /// How many of each kind of client met each word.
    met: BTreeMap<(&'static str, String), u64>,
    faults: Vec<String>,
    tried_again: u64,
    handshakes: u64,
    resumed: u64,
}

/// What is known of connections with the same ports and has found no counterpart.
#[derive(Debug, Default)]
struct Open {
    stories: Vec<Story>,
    records: Vec<Record>,
    /// Since when there are both.
    at_odds: Option<Instant>,
}

impl Open {
    fn is_empty(&self) -> bool {
        self.stories.is_empty() && self.records.is_empty()
    }

    /// Takes out a story and the record that fits it.
    fn pair(&mut self) -> Option<(Story, Record)> {
        let found = self.stories.iter().enumerate().find_map(|(at, story)| {
            let fits = |record: &Record| story.unexpected.is_some() || story.allows(word(record));
            Some((at, self.records.iter().position(fits)?))
        });
        if let Some((story, record)) = found {
            return Some((self.stories.remove(story), self.records.remove(record)));
        }
        let both = !self.stories.is_empty() && !self.records.is_empty();
        self.at_odds = both.then(|| self.at_odds.unwrap_or_else(Instant::now));
        None
    }
}

/// What a record says in one word: the rule, or the outcome where there is none.
fn word(record: &Record) -> &str {
    let rule = record.text("rule");
    if rule.is_empty() { record.outcome() } else { rule }
}

/// The ports of a record: the client's and ours.
fn ports(record: &Record) -> Option<Ports> {
    let port = |field: &str| record.text(field).rsplit(':').next()?.parse().ok();
    Some((port("peer")?, port("local")?))
}

impl Books {
    /// Notes what a client saw.
    pub(crate) fn note(&self, story: Result<Story, String>) {
        let mut state = self.0.lock().unwrap();
        match story {
            Ok(story) => {
                let ports = story.ports;
                state.open.entry(ports).or_default().stories.push(story);
                state.pair(ports);
            }
            Err(fault) => state.fault(fault),
        }
    }

    /// Takes what the daemon recorded.
    pub(crate) fn take(&self, records: Vec<Record>) {
        let mut state = self.0.lock().unwrap();
        for record in records {
            let Some(ports) = ports(&record) else {
                state.fault(format!("a record without addresses: {}", record.to_text()));
                continue;
            };
            state.tried_again += u64::from(record.number("key_op.tries") > 1);
            state.handshakes += u64::from(!record.version().is_empty());
            state.resumed += u64::from(record.resumed());
            state.open.entry(ports).or_default().records.push(record);
            state.pair(ports);
        }
        state.look_for_odds();
    }

    /// Handshakes that were completed so far.
    pub(crate) fn handshakes(&self) -> u64 {
        self.0.lock().unwrap().handshakes
    }

    /// Nothing unexpected so far.
    pub(crate) fn calm(&self) -> bool {
        self.0.lock().unwrap().faults.is_empty()
    }

    /// Every story has its record and every record its story, or something is wrong already.
    pub(crate) fn settled(&self) -> bool {
        let state = self.0.lock().unwrap();
        !state.faults.is_empty() || state.open.is_empty()
    }

    #[track_caller]
    pub(crate) fn assert_explained(&self) {
        let state = self.0.lock().unwrap();
        let faults = state.faults.join("\n\n");
        assert!(state.faults.is_empty(), "{} unexplained:\n{faults}", state.faults.len());
        assert!(state.open.is_empty(), "without a counterpart: {:?}", state.open.values());
    }

    /// Kinds of clients and what became of them.
    pub(crate) fn table(&self) -> String {
        let state = self.0.lock().unwrap();
        let mut out =
            format!("{:<18} {:<18} {:>8}\n{}\n", "CLIENT", "RECORD", "COUNT", "-".repeat(46));
        let mut total = 0;
        for ((kind, word), count) in &state.met {
            let _ = writeln!(out, "{kind:<18} {word:<18} {count:>8}");
            total += count;
        }
        let State { handshakes, resumed, tried_again, .. } = &*state;
        let _ = write!(
            out,
            "{total} connections, {handshakes} handshakes, {resumed} of them resumed, \
             {tried_again} with more than one try"
        );
        out
    }
}

impl State {
    fn pair(&mut self, ports: Ports) {
        while let Some((story, record)) = self.open.get_mut(&ports).and_then(Open::pair) {
            if story.unexpected.is_some() {
                self.fault(format!("{story:?}\n  record {}", record.to_text()));
            }
            *self.met.entry((story.kind, word(&record).to_owned())).or_default() += 1;
        }
        if self.open.get(&ports).is_some_and(Open::is_empty) {
            self.open.remove(&ports);
        }
    }

    /// What does not fit by now will not.
    fn look_for_odds(&mut self) {
        let is_odd = |open: &&Open| open.at_odds.is_some_and(|since| since.elapsed() > PATIENCE);
        let tell = |open: &Open| {
            let records: Vec<String> = open.records.iter().map(Record::to_text).collect();
            format!("{:?}\n  records {}", open.stories, records.join("\n  "))
        };
        let odds: Vec<String> = self.open.values().filter(is_odd).map(tell).collect();
        odds.into_iter().for_each(|odd| self.fault(odd));
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < KEPT {
            self.faults.push(fault);
        }
    }
}

/// What the daemon uses at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: u64,
}

impl Sample {
    pub(crate) fn of(rig: &Rig) -> Self {
        Self {
            resident_kib: rig.daemon.resident_kib(),
            descriptors: rig.daemon.descriptors(),
            threads: rig.daemon.threads(),
        }
    }

    fn median(samples: &[Self]) -> Self {
        let middle = |mut values: Vec<u64>| {
            values.sort_unstable();
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        let of = |field: fn(&Self) -> u64| middle(samples.iter().map(field).collect());
        Self {
            resident_kib: of(|s| s.resident_kib),
            descriptors: of(|s| s.descriptors as u64) as usize,
            threads: of(|s| s.threads),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident_kib, descriptors, threads } = self;
        write!(f, "{resident_kib:>8} KiB {descriptors:>5} descriptors {threads:>3} threads")
    }
}

/// The run in five lines.
#[derive(Debug)]
pub(crate) struct Judgement {
    base: Sample,
    second: Sample,
    last: Sample,
    end: Sample,
}

/// Compares the second quarter of a run with the last one, and its end with its beginning.
pub(crate) fn judge(base: &Sample, samples: &[Sample], end: &Sample) -> Judgement {
    let quarter = samples.len() / 4;
    Judgement {
        base: *base,
        second: Sample::median(&samples[quarter..2 * quarter]),
        last: Sample::median(&samples[samples.len() - quarter..]),
        end: *end,
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "at the begin    {}", self.base)?;
        writeln!(f, "second quarter  {}", self.second)?;
        writeln!(f, "last quarter    {}", self.last)?;
        write!(f, "at the end      {}", self.end)
    }
}

impl Judgement {
    #[track_caller]
    pub(crate) fn assert_flat(&self) {
        let Self { base, second, last, end } = self;
        // A tenth and 4 MiB: buffers of the moment; a leak of 100 bytes each would show in minutes.
        let most = second.resident_kib + second.resident_kib / 10 + (4 << 10);
        assert!(last.resident_kib < most, "memory grows:\n{self}");
        assert!(last.descriptors < 2 * second.descriptors + 16, "descriptors grow:\n{self}");
        assert_eq!((second.threads, last.threads), (base.threads, base.threads), "\n{self}");
        assert_eq!(end.threads, base.threads, "threads are left:\n{self}");
        assert_eq!(end.descriptors, base.descriptors, "descriptors are left:\n{self}");
        let most = base.resident_kib + (24 << 10);
        assert!(end.resident_kib < most, "memory is left:\n{self}");
    }
}
