//! What the clients saw beside what the daemon recorded, and what the daemon used meanwhile.
//!
//! Invariant: a client's port leads to its record. A port is used again only after the connection
//! that had it is gone, so for each port stories and records come in the same order.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::{self, Write as _};
use std::sync::Mutex;

use adjunct_tests::record::Record;
use adjunct_tests::rig::Rig;

use super::clients::Story;

/// Most faults that are kept; one is enough to end the run.
const KEPT: usize = 20;

#[derive(Debug, Default)]
pub(crate) struct Books(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    stories: HashMap<u16, VecDeque<Story>>,
    records: HashMap<u16, VecDeque<Record>>,
    /// How many of each kind of client met each word.
    met: BTreeMap<(&'static str, String), u64>,
    faults: Vec<String>,
    tried_again: u64,
    resumed: u64,
}

impl Books {
    /// Notes what a client saw.
    pub(crate) fn note(&self, story: Result<Story, String>) {
        let mut state = self.0.lock().unwrap();
        match story {
            Ok(story) => {
                let port = story.port;
                state.stories.entry(port).or_default().push_back(story);
                state.pair(port);
            }
            Err(fault) => state.fault(fault),
        }
    }

    /// Takes what the daemon recorded.
    pub(crate) fn take(&self, records: Vec<Record>) {
        let mut state = self.0.lock().unwrap();
        for record in records {
            let port = record.text("peer").rsplit(':').next().and_then(|port| port.parse().ok());
            let Some(port) = port else {
                state.fault(format!("a record without a peer: {}", record.to_text()));
                continue;
            };
            state.tried_again += u64::from(record.number("key_op.tries") > 1);
            state.resumed += u64::from(record.resumed());
            state.records.entry(port).or_default().push_back(record);
            state.pair(port);
        }
    }

    /// Nothing unexpected so far.
    pub(crate) fn calm(&self) -> bool {
        self.0.lock().unwrap().faults.is_empty()
    }

    /// Every story has its record and every record its story, or something is wrong already.
    pub(crate) fn settled(&self) -> bool {
        let state = self.0.lock().unwrap();
        !state.faults.is_empty() || (state.stories.is_empty() && state.records.is_empty())
    }

    #[track_caller]
    pub(crate) fn assert_explained(&self) {
        let state = self.0.lock().unwrap();
        let faults = state.faults.join("\n\n");
        assert!(state.faults.is_empty(), "{} unexplained:\n{faults}", state.faults.len());
        assert!(state.stories.is_empty(), "no record for {:?}", state.stories.values());
        assert!(state.records.is_empty(), "nobody made {:?}", state.records.values());
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
        let (again, resumed) = (state.tried_again, state.resumed);
        let _ =
            write!(out, "{total} connections, {resumed} resumed, {again} with more than one try");
        out
    }
}

impl State {
    fn pair(&mut self, port: u16) {
        let story = self.stories.get_mut(&port).and_then(VecDeque::pop_front);
        let record = self.records.get_mut(&port).and_then(VecDeque::pop_front);
        match (story, record) {
            (Some(story), Some(record)) => {
                let rule = record.text("rule");
                let word = if rule.is_empty() { record.outcome() } else { rule };
                if story.unexpected.is_some() || !story.allowed.contains(&word) {
                    self.fault(format!("{story:?}\n  record {}", record.to_text()));
                }
                *self.met.entry((story.kind, word.to_owned())).or_default() += 1;
                self.stories.retain(|_, stories| !stories.is_empty());
                self.records.retain(|_, records| !records.is_empty());
            }
            (story, record) => {
                if let Some(story) = story {
                    self.stories.entry(port).or_default().push_front(story);
                }
                if let Some(record) = record {
                    self.records.entry(port).or_default().push_front(record);
                }
            }
        }
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
