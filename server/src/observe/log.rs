//! Takes records and events from the event loops to a file or to standard error.
//!
//! One writer thread formats and writes, so that neither costs an event loop anything. The channel
//! is bounded: when it is full, or when the target cannot be written, lines are counted as lost and
//! the count is written as an event `log-lost` as soon as possible. A file is appended to, created
//! with mode 0640, and opened again on request (USR1), which is how log rotation is done.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use engine::compliance::Mode;
use engine::record::Record;

use super::event::{Event, Level};
use super::text::Color;
use super::time::rfc3339;
use super::{json, text};
use crate::config::schema::{self, ColorChoice, LogFormat, LogTarget};
use crate::evidence::observation::Observation;
use crate::evidence::{Book, Limits, Report};

/// Lines waiting for the writer; about 10 MiB of records at worst.
const CAPACITY: usize = 8192;

/// How long the writing thread waits for company of what it has just written. A thread that is
/// asleep on the clock need not be woken for each record, which costs the event loop more than the
/// record.
const GATHER: Duration = Duration::from_millis(10);

/// How far the writing thread steps back behind event loops. Less than the cards do: the tenth of
/// a processor that loops at their limit leave it is enough for a record of each connection.
const NICE: i32 = 10;

/// How long [`Writer::finish`] waits for room in the channel.
const FINISH_PATIENCE: Duration = Duration::from_secs(5);

/// How often the writer looks for requests that came without a line.
const IDLE: Duration = Duration::from_millis(500);

enum Entry {
    Record(Box<Record>),
    Event(Event),
    Wake,
    Finish,
}

#[derive(Debug, Default)]
struct Shared {
    lost: AtomicU64,
    reopen: AtomicBool,
    evidence: Mutex<Option<Counted>>,
}

/// What is known of the records that were written.
#[derive(Debug)]
struct Counted {
    book: Book,
    lost: u64,
    from: SystemTime,
}

impl Shared {
    /// Locked for one record, or for one report.
    fn evidence(&self) -> MutexGuard<'_, Option<Counted>> {
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the rest of the daemon holds; cheap to clone, never blocks.
#[derive(Clone)]
pub struct Log {
    sender: Sender<Entry>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("waiting", &self.sender.len()).finish_non_exhaustive()
    }
}

impl Log {
    /// Starts the writer.
    ///
    /// # Errors
    /// The log file cannot be opened, or no thread can be started.
    pub fn start(config: &schema::Log) -> io::Result<(Self, Writer)> {
        let target = Target::open(&config.target)?;
        Self::start_with(target, config.format, color(config))
    }

    /// A log whose records are taken by the caller; events are dropped.
    #[must_use]
    pub fn captured() -> (Self, Records) {
        let (sender, receiver) = bounded(CAPACITY);
        let log = Self { sender, shared: Arc::default() };
        (log, Records { receiver, seen: RefCell::default() })
    }

    fn start_with(target: Target, format: LogFormat, color: Color) -> io::Result<(Self, Writer)> {
        let (sender, receiver) = bounded(CAPACITY);
        let shared = Arc::new(Shared::default());
        let book = Book::new(Limits::DAEMON);
        *shared.evidence() = Some(Counted { book, lost: 0, from: SystemTime::now() });
        let log = Self { sender, shared: Arc::clone(&shared) };
        let job = Job { receiver, shared, target, format, color };
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || {
            // Who writes of connections does not keep connections waiting; the queue is bounded.
            let _ = rustix::process::nice(NICE);
            job.run();
        })?;
        Ok((log.clone(), Writer { log, thread: Some(thread) }))
    }

    /// Hands a connection record over.
    pub fn record(&self, record: Box<Record>) {
        self.push(Entry::Record(record));
    }

    /// Hands an event over.
    pub fn event(&self, event: Event) {
        self.push(Entry::Event(event));
    }

    /// What the records so far add up to, those that could not be written included; and what a mode
    /// would do.
    #[must_use]
    pub fn evidence(&self, what_if: Option<Mode>) -> Report {
        let counted = self.shared.evidence();
        let Some(counted) = counted.as_ref() else { return Report::default() };
        let mut report = counted.book.report(what_if);
        report.source.kind = "daemon".to_owned();
        report.source.counted_from = Some(rfc3339(counted.from));
        report.reading.connections = report.totals.connections;
        report.reading.lost = counted.lost;
        report
    }

    /// Asks for the file to be opened again, e.g. after it was renamed.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        let _ = self.sender.try_send(Entry::Wake);
    }

    fn push(&self, entry: Entry) {
        if self.sender.try_send(entry).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The taking side of [`Log::captured`].
pub struct Records {
    receiver: Receiver<Entry>,
    seen: RefCell<Vec<Record>>,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("waiting", &self.receiver.len()).finish_non_exhaustive()
    }
}

impl Records {
    /// The next record, if one comes within `patience`.
    #[must_use]
    pub fn next(&self, patience: Duration) -> Option<Record> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Entry::Record(record) = self.receiver.recv_timeout(left).ok()? {
                let mut seen = self.seen.borrow_mut();
                if seen.len() < CAPACITY {
                    seen.push((*record).clone());
                }
                return Some(*record);
            }
        }
    }

    /// The records taken so far; the first few thousand of them.
    #[must_use]
    pub fn seen(&self) -> Vec<Record> {
        self.seen.borrow().clone()
    }
}

/// Ends the writer when dropped, after everything handed over before was written.
#[derive(Debug)]
pub struct Writer {
    log: Log,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Writes what is waiting, then ends the thread.
    pub fn finish(self) {
        drop(self);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let sent = self.log.sender.send_timeout(Entry::Finish, FINISH_PATIENCE).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| sent) {
            // A panic of the writer has already been reported by its hook.
            let _ = thread.join();
        }
    }
}

/// Where the lines go.
enum Target {
    Stderr,
    File {
        path: std::path::PathBuf,
        file: BufWriter<File>,
    },
    #[cfg(test)]
    Memory(Arc<Mutex<Vec<u8>>>),
}

impl Target {
    fn open(target: &LogTarget) -> io::Result<Self> {
        match target {
            LogTarget::Stderr => Ok(Self::Stderr),
            LogTarget::File(path) => Ok(Self::File { path: path.clone(), file: open_file(path)? }),
        }
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        match self {
            Self::Stderr => io::stderr().lock().write_all(line.as_bytes()),
            Self::File { file, .. } => file.write_all(line.as_bytes()),
            #[cfg(test)]
            Self::Memory(bytes) => {
                bytes.lock().map_err(|_| io::Error::other("poisoned"))?.extend(line.bytes());
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File { file, .. } => file.flush(),
            _ => Ok(()),
        }
    }

    /// Opens the file again; the old one stays in use if that fails.
    fn reopen(&mut self) -> io::Result<()> {
        if let Self::File { path, file } = self {
            file.flush()?;
            *file = open_file(path)?;
        }
        Ok(())
    }
}

fn open_file(path: &Path) -> io::Result<BufWriter<File>> {
    let file = File::options().append(true).create(true).mode(0o640).open(path)?;
    Ok(BufWriter::with_capacity(64 * 1024, file))
}

/// The writer thread.
struct Job {
    receiver: Receiver<Entry>,
    shared: Arc<Shared>,
    target: Target,
    format: LogFormat,
    color: Color,
}

impl Job {
    fn run(mut self) {
        let mut gathering = false;
        loop {
            let entry = match self.receiver.try_recv() {
                Ok(entry) => Ok(entry),
                Err(_) => {
                    self.flush();
                    if std::mem::take(&mut gathering) {
                        std::thread::sleep(GATHER);
                        continue;
                    }
                    self.receiver.recv_timeout(IDLE)
                }
            };
            gathering = entry.is_ok();
            if self.shared.reopen.swap(false, Ordering::AcqRel) {
                self.reopen();
            }
            match entry {
                Ok(Entry::Record(record)) => {
                    if let Some(counted) = self.shared.evidence().as_mut() {
                        counted.book.add(&Observation::of(&record));
                    }
                    self.put(&self.line_of_record(&record));
                }
                Ok(Entry::Event(event)) => self.put(&self.line_of_event(&event)),
                Ok(Entry::Wake) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Entry::Finish) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.report_lost();
        }
        self.report_lost();
        self.flush();
    }

    fn line_of_record(&self, record: &Record) -> String {
        match self.format {
            LogFormat::Json => json::record(record).map(|line| line + "\n").unwrap_or_default(),
            LogFormat::Text => text::record(record, self.color),
        }
    }

    fn line_of_event(&self, event: &Event) -> String {
        match self.format {
            LogFormat::Json => json::event(event).map(|line| line + "\n").unwrap_or_default(),
            LogFormat::Text => text::event(event, self.color),
        }
    }

    fn put(&mut self, line: &str) {
        if self.target.write(line).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&mut self) {
        if self.target.flush().is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn reopen(&mut self) {
        let event = match self.target.reopen() {
            Ok(()) => Event::new(Level::Info, "log-reopened", "log file opened again"),
            Err(error) => {
                let message =
                    format!("log file cannot be opened again: {error}; the old one stays");
                Event::new(Level::Error, "log-reopen-failed", message)
            }
        };
        self.put(&self.line_of_event(&event));
    }

    fn report_lost(&mut self) {
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        if lost == 0 {
            return;
        }
        if let Some(counted) = self.shared.evidence().as_mut() {
            counted.lost = counted.lost.saturating_add(lost);
        }
        let message = "records were lost: the log target did not keep up or could not be written";
        let event = Event::new(Level::Error, "log-lost", message).with("lost", lost);
        if self.target.write(&self.line_of_event(&event)).is_err() {
            self.shared.lost.fetch_add(lost, Ordering::Relaxed);
        }
    }
}

/// Whether the text form is coloured; a file only if that was asked for.
fn color(config: &schema::Log) -> Color {
    match (&config.target, config.color) {
        (LogTarget::File(_), ColorChoice::Auto) => Color::Off,
        (_, choice) => Color::choose(choice, &io::stderr()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::event::{Event, Level};
    use super::super::json::tests::completed;
    use super::{CAPACITY, Log, Target};
    use crate::config::schema::{self, LogFormat, LogTarget};
    use crate::observe::text::Color;

    #[test]
    fn everything_handed_over_is_written_in_order_before_the_end() {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let target = Target::Memory(Arc::clone(&bytes));
        let (log, writer) = Log::start_with(target, LogFormat::Json, Color::Off).unwrap();
        log.event(Event::new(Level::Info, "start", "hello"));
        for conn_id in 0..100 {
            log.record(Box::new(engine::record::Record { conn_id, ..completed() }));
        }
        writer.finish();
        let text = String::from_utf8(bytes.lock().unwrap().clone()).unwrap();
        let ids: Vec<_> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter_map(|value| value.get("conn_id").and_then(serde_json::Value::as_u64))
            .collect();
        assert_eq!(ids, (0..100).collect::<Vec<u64>>());
    }

    #[test]
    fn a_full_channel_loses_lines_and_says_how_many() {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let target = Target::Memory(Arc::clone(&bytes));
        let (log, writer) = Log::start_with(target, LogFormat::Json, Color::Off).unwrap();
        // The writer is held up inside its target, with at most one line taken.
        let held = bytes.lock().unwrap();
        let sent = CAPACITY + 100;
        for _ in 0..sent {
            log.event(Event::new(Level::Info, "x", ""));
        }
        drop(held);
        writer.finish();
        let text = String::from_utf8(bytes.lock().unwrap().clone()).unwrap();
        let mut lost = 0;
        let mut written = 0;
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            match value["event"].as_str() {
                Some("log-lost") => lost += value["lost"].as_u64().unwrap(),
                _ => written += 1,
            }
        }
        assert!(lost >= 99, "{lost}");
        assert_eq!(written + lost, u64::try_from(sent).unwrap());
    }

    #[test]
    fn a_file_is_appended_to_and_opened_again() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        std::fs::write(&path, "before\n").unwrap();
        let target = LogTarget::File(path.clone());
        let config = schema::Log { format: LogFormat::Text, target, ..Default::default() };
        let (log, writer) = Log::start(&config).unwrap();
        log.event(Event::new(Level::Info, "first", ""));
        writer.finish();
        let (log, writer) = Log::start(&config).unwrap();
        let rotated = directory.path().join("a.log.1");
        std::fs::rename(&path, &rotated).unwrap();
        log.reopen();
        log.event(Event::new(Level::Info, "second", ""));
        writer.finish();
        let old = std::fs::read_to_string(&rotated).unwrap();
        assert!(old.starts_with("before\n") && old.contains("first") && !old.contains("second"));
        assert!(std::fs::read_to_string(&path).unwrap().contains("second"));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o137, 0, "at most 0640");
    }

    #[test]
    fn records_are_counted_in_whatever_form_they_are_written() {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let target = Target::Memory(bytes);
        let (log, writer) = Log::start_with(target, LogFormat::Text, Color::Off).unwrap();
        log.event(Event::new(Level::Info, "start", "hello"));
        log.record(Box::new(completed()));
        log.record(Box::new(completed()));
        writer.finish();
        let report = log.evidence(None);
        assert_eq!((report.totals.established, report.sessions.len()), (2, 1));
        assert_eq!((report.source.kind.as_str(), report.reading.lost), ("daemon", 0));
        assert!(report.source.counted_from.is_some());
    }

    #[test]
    fn a_target_that_cannot_be_opened_is_an_error() {
        let target = LogTarget::File("/nonexistent/a.log".into());
        let config = schema::Log { target, ..Default::default() };
        assert!(Log::start(&config).is_err());
    }
}
