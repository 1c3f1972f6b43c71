//! CPU time of a process and everything it has started, by class of thread.
//!
//! Purpose: cost of a server whatever it is made of: one thread, a pool of them, or processes that
//! a master starts. A reading is taken before and after; [`Usage::since`] is what the load cost.
//!
//! Invariants: the total is the sum of the classes, in nanoseconds of the scheduler (`schedstat` of
//! every thread). Clock ticks of 10 ms are used for two things only: to divide that total into user
//! and system, and to find what threads and processes that have ended had used (class
//! [`ENDED`]): the process's own clock keeps it, and the parent's that of children it has waited
//! for. So the error of a reading is a few ticks for each process that lost threads, and none else.
//!
//! Classes: a thread of our daemon has one by its name ([`HOST`], [`CARD`], [`FLIGHT`], …); a
//! thread of any other program has the name of its process, so that a proxy is one line of a table.
//!
//! [`Account`] is what our daemon says of itself: not by thread but by kind of work.
//!
//! What it does not do: it cannot see what a child used that the parent has not waited for.
//!
//! Source: `proc(5)`: `/proc/PID/stat`, `/proc/PID/task/TID/{comm,schedstat}`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::Failure;

/// Event loops of our daemon.
pub const HOST: &str = "host";
/// Simulated cards of our daemon: hardware, on the real machine.
pub const CARD: &str = "card";
/// Threads that run flights of handshakes with `offload = "pool"`: part of the host.
pub const FLIGHT: &str = "flight";
/// Threads and waited-for processes that have ended, whatever they were.
pub const ENDED: &str = "ended";

/// Ticks in a second of `/proc`: a constant of the kernel's interface on every architecture here.
const TICKS_PER_SECOND: u64 = 100;
/// Processes of a tree; more is taken for a loop.
const PROCESSES_MAX: usize = 4096;

/// CPU time of a process tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// In user mode.
    pub user: Duration,
    /// In the kernel.
    pub system: Duration,
    /// By class of thread.
    pub classes: BTreeMap<String, Duration>,
    /// User and system as the kernel counts them: precise in their relation over seconds only.
    ticks: [u64; 2],
}

impl Usage {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.classes.values().sum()
    }

    /// One class; zero when there is none of that name.
    #[must_use]
    pub fn class(&self, name: &str) -> Duration {
        self.classes.get(name).copied().unwrap_or_default()
    }

    /// What was used since `before`: the difference of the totals.
    ///
    /// A thread that lived then and has ended took all its time with it to [`ENDED`], what it had
    /// used before included: so much as its class lost, the ended have not used since.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut classes = BTreeMap::new();
        let mut moved = Duration::ZERO;
        for (name, now) in &self.classes {
            classes.insert(name.clone(), now.saturating_sub(before.class(name)));
        }
        for (name, then) in &before.classes {
            moved += then.saturating_sub(self.class(name));
        }
        if let Some(ended) = classes.get_mut(ENDED) {
            *ended = ended.saturating_sub(moved);
        }
        classes.retain(|_, spent| !spent.is_zero());
        let ticks = [0, 1].map(|mode| self.ticks[mode].saturating_sub(before.ticks[mode]));
        Self::of(classes, ticks)
    }

    /// Divides the sum of the classes as the ticks are divided; all is taken for user when there
    /// was no tick yet.
    fn of(classes: BTreeMap<String, Duration>, ticks: [u64; 2]) -> Self {
        let total: Duration = classes.values().sum();
        let all = ticks[0] + ticks[1];
        let system =
            if all == 0 { Duration::ZERO } else { total.mul_f64(ticks[1] as f64 / all as f64) };
        Self { user: total.saturating_sub(system), system, classes, ticks }
    }
}

/// CPU time so far of a process and all its descendants.
///
/// # Errors
/// The process has gone, or cannot be read.
pub fn usage_of_tree(pid: u32) -> Result<Usage, Failure> {
    let mut classes = BTreeMap::new();
    let mut ticks = [0, 0];
    if !Path::new(&format!("/proc/{pid}")).exists() {
        return Err(format!("process {pid} has gone; its CPU time cannot be read").into());
    }
    for process in tree(pid) {
        // A descendant may end meanwhile; once waited for, it is in its parent's clock.
        let Some(stat) = Stat::of(process) else { continue };
        let threads = threads_of(process);
        let living: Duration = threads.iter().map(|(_, spent)| *spent).sum();
        // The clock was read before its threads: none is counted here and as ended, too.
        let ended = stat.own().saturating_sub(living) + stat.of_waited();
        let ours = threads.iter().any(|(name, _)| name.starts_with("adj0"));
        for (name, spent) in &threads {
            let class = if ours { class_of(name) } else { &stat.name };
            *classes.entry(class.to_owned()).or_default() += *spent;
        }
        // Below that the difference is that of the two clocks.
        if ended > ticks_to_time(2) {
            *classes.entry(ENDED.to_owned()).or_default() += ended;
        }
        ticks[0] += stat.times[0] + stat.times[2];
        ticks[1] += stat.times[1] + stat.times[3];
    }
    Ok(Usage::of(classes, ticks))
}

/// What our daemon says its CPU time went to (`members` and `cards` of its admin socket), all
/// members and cards together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Connections that are not established.
    pub handshake: Duration,
    /// Records of established connections.
    pub relay: Duration,
    /// The rest of the event loops: poll, accept, connect, close, deadlines.
    pub overhead: Duration,
    /// Simulated cards.
    pub card: Duration,
}

impl Account {
    /// Reads the answers to the questions `members` and `cards`.
    ///
    /// # Errors
    /// They have no such figures; the daemon is of an older version.
    pub fn read(members: &Value, cards: &Value) -> Result<Self, Failure> {
        let rows = members.as_array().filter(|rows| !rows.is_empty()).ok_or("no member answers")?;
        let sum = |column: &str| -> Result<Duration, Failure> {
            let cells = rows.iter().map(|row| row.get(column).and_then(Value::as_u64));
            let us: Option<u64> = cells.sum();
            Ok(Duration::from_micros(us.ok_or_else(|| format!("members: no {column}"))?))
        };
        // Queues have no line of their own here: their card has it.
        let card = cards.as_array().into_iter().flatten().filter_map(|row| row["cpu_us"].as_u64());
        Ok(Self {
            handshake: sum("cpu_handshake_us")?,
            relay: sum("cpu_relay_us")?,
            overhead: sum("cpu_overhead_us")?,
            card: Duration::from_micros(card.sum()),
        })
    }

    /// All classes of the event loops together: what [`HOST`] counts, but for the last poll.
    #[must_use]
    pub fn host(&self) -> Duration {
        self.handshake + self.relay + self.overhead
    }

    /// What was used since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            handshake: self.handshake.saturating_sub(before.handshake),
            relay: self.relay.saturating_sub(before.relay),
            overhead: self.overhead.saturating_sub(before.overhead),
            card: self.card.saturating_sub(before.card),
        }
    }
}

/// The class of a thread of our daemon.
fn class_of(thread: &str) -> &str {
    let stem = thread.trim_end_matches(|c: char| c.is_ascii_digit());
    match stem {
        "adj" => HOST,
        // The number of a card is hexadecimal.
        _ if thread.starts_with("cex-") => CARD,
        "flight-" => FLIGHT,
        "log" | "admin" | "signals" => stem,
        _ => "other",
    }
}

/// A process and its descendants, in no order.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if let Some(stat) = Stat::of(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied()
        && found.len() < PROCESSES_MAX
    {
        found.extend(children.remove(&pid).unwrap_or_default());
        next += 1;
    }
    found
}

/// What `/proc/PID/stat` says.
struct Stat {
    name: String,
    parent: u32,
    /// utime, stime, cutime, cstime.
    times: [u64; 4],
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name stands in parentheses and may have any character, blanks and parentheses included.
    fn parse(text: &str) -> Option<Self> {
        let (before, after) = (text.find('(')?, text.rfind(')')?);
        let name = text.get(before + 1..after)?.to_owned();
        let fields: Vec<&str> = text.get(after + 1..)?.split_whitespace().collect();
        // The first field here is the third of the file.
        let parent = fields.get(1)?.parse().ok()?;
        let mut times = [0; 4];
        for (time, field) in times.iter_mut().zip(fields.get(11..15)?) {
            *time = field.parse().ok()?;
        }
        Some(Self { name, parent, times })
    }

    /// What all its threads have used, those that have ended included.
    fn own(&self) -> Duration {
        ticks_to_time(self.times[0] + self.times[1])
    }

    /// What children have used that ended and were waited for.
    fn of_waited(&self) -> Duration {
        ticks_to_time(self.times[2] + self.times[3])
    }
}

fn ticks_to_time(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// Every thread of a process by name; none when it has gone.
fn threads_of(pid: u32) -> Vec<(String, Duration)> {
    crate::clock::threads_of(pid).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::clock::{process_cpu, thread_cpu};

    fn burn(time: Duration) {
        let end = thread_cpu() + time;
        while thread_cpu() < end {
            std::hint::black_box(0);
        }
    }

    #[test]
    fn a_class_is_the_name_without_its_number() {
        for (thread, class) in [
            ("adj00001", HOST),
            ("adj00127", HOST),
            ("cex-00", CARD),
            ("cex-0a", CARD),
            ("flight-12", FLIGHT),
            ("log", "log"),
            ("adjunct", "other"),
        ] {
            assert_eq!(class_of(thread), class, "{thread}");
        }
    }

    #[test]
    fn a_name_with_blanks_and_parentheses_is_read() {
        let text = "7 (a) (b c) S 3 7 7 0 -1 4194560 92 0 0 0 11 22 33 44 20 0 1 0 5 0 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.name.as_str(), stat.parent), ("a) (b c", 3));
        assert_eq!(stat.times, [11, 22, 33, 44]);
        assert_eq!(stat.own(), Duration::from_millis(330));
        assert!(Stat::parse("7 (a) S 3 7 7").is_none());
    }

    #[test]
    fn a_difference_is_divided_as_its_ticks_are() {
        let reading = |host: u64, card: u64, ticks| {
            let classes = [(HOST, host), (CARD, card)]
                .map(|(name, ms)| (name.to_owned(), Duration::from_millis(ms)));
            Usage::of(classes.into_iter().collect(), ticks)
        };
        let spent = reading(900, 300, [90, 30]).since(&reading(500, 300, [80, 0]));
        assert_eq!(spent.total(), Duration::from_millis(400));
        assert_eq!(spent.user, Duration::from_millis(100));
        assert_eq!(spent.system, Duration::from_millis(300));
        assert_eq!(spent.classes.len(), 1, "a class without use is left out: {spent:?}");
        let none = Usage::default().since(&Usage::default());
        assert_eq!((none.total(), none.user), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn an_account_adds_up_members_and_cards() {
        let member = |us: u64| {
            serde_json::json!({
                "cpu_handshake_us": us, "cpu_relay_us": 2 * us, "cpu_overhead_us": 3 * us,
            })
        };
        let members = Value::Array(vec![member(10), member(20)]);
        let cards = serde_json::json!([{"card": 0, "cpu_us": 7}, {"card": 0, "domain": 6}]);
        let account = Account::read(&members, &cards).unwrap();
        assert_eq!(
            (account.relay, account.card),
            (Duration::from_micros(60), Duration::from_micros(7))
        );
        assert_eq!(account.host(), Duration::from_micros(180));
        let before = Account::read(&Value::Array(vec![member(10)]), &Value::Null).unwrap();
        assert_eq!(account.since(&before).handshake, Duration::from_micros(20));
        assert!(Account::read(&serde_json::json!([{"turns": 1}]), &cards).is_err());
        assert!(Account::read(&Value::Null, &cards).is_err());
    }

    #[test]
    fn threads_that_have_ended_are_counted() {
        let before = usage_of_tree(std::process::id()).unwrap();
        let exact = process_cpu();
        std::thread::spawn(|| burn(Duration::from_millis(200))).join().unwrap();
        let spent = usage_of_tree(std::process::id()).unwrap().since(&before).total();
        let exact = process_cpu().saturating_sub(exact);
        // Other tests of this process run meanwhile. Both clocks see them, and the tree what they
        // have started, too.
        assert!(spent + Duration::from_millis(150) > exact, "{spent:?} and {exact:?}");
    }

    #[test]
    fn what_a_thread_had_used_before_does_not_count_when_it_ends() {
        let reading = |classes: &[(&str, u64)]| {
            let classes = classes.iter();
            let classes = classes.map(|(n, ms)| ((*n).to_owned(), Duration::from_millis(*ms)));
            Usage::of(classes.collect(), [1, 0])
        };
        let before = reading(&[(HOST, 100), (FLIGHT, 700)]);
        let after = reading(&[(HOST, 150), (FLIGHT, 300), (ENDED, 460)]);
        let spent = after.since(&before);
        assert_eq!(spent.total(), Duration::from_millis(110));
        assert_eq!(spent.class(ENDED), Duration::from_millis(60));
        assert_eq!(spent.user, Duration::from_millis(110));
    }

    #[test]
    fn a_thread_that_lives_across_the_beginning_is_charged_for_the_rest_alone() {
        let (burnt, is_burnt) = std::sync::mpsc::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            burn(Duration::from_millis(500));
            burnt.send(()).unwrap();
            let _ = ends.recv();
        });
        is_burnt.recv().unwrap();
        let before = usage_of_tree(std::process::id()).unwrap();
        let exact = process_cpu();
        drop(end);
        thread.join().unwrap();
        let spent = usage_of_tree(std::process::id()).unwrap().since(&before).total();
        let exact = process_cpu().saturating_sub(exact);
        let (low, high) = (spent.min(exact), spent.max(exact));
        assert!(high - low < Duration::from_millis(250), "{spent:?} and {exact:?}");
    }

    #[test]
    fn a_child_of_a_child_belongs_to_the_tree_before_and_after_its_end() {
        let script = "sh -c 'i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; echo; read x'; \
                      echo; read x";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut line = [0];
        std::io::Read::read_exact(&mut stdout, &mut line).unwrap();
        let living = usage_of_tree(child.id()).unwrap();
        std::io::Write::write_all(&mut stdin, b"\n").unwrap();
        std::io::Read::read_exact(&mut stdout, &mut line).unwrap();
        let ended = usage_of_tree(child.id()).unwrap();
        drop(stdin);
        child.wait().unwrap();
        assert!(living.class("sh") > Duration::from_millis(20), "{living:?}");
        let lost = living.total().saturating_sub(ended.total());
        assert!(lost <= Duration::from_millis(40), "{living:?} became {ended:?}");
        assert!(usage_of_tree(child.id()).is_err(), "it has gone");
    }
}
