//! Reads log files into a [`Book`].
//!
//! Invariants: a line that cannot be used is counted and, among the first few, reported with its
//! place; it never ends the reading. A line is read up to 4 MiB, so that a file
//! without line ends costs no memory.

use std::io::{self, BufRead, Read as _};
use std::time::SystemTime;

use super::book::Book;
use super::observation::{Line, read};
use super::report::Reading;

/// Longest line that is looked at. The longest record of ours has a hello of 64 KiB in names.
const LINE_MAX: usize = 4 << 20;

/// Lines shown as examples of what could not be used.
const EXAMPLES: usize = 5;

/// What a gzip file begins with.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// Reads everything from `from`, called `name`, leaving out connections before `since`.
///
/// # Errors
///
/// What the system says; what was read before is in the book.
pub fn lines(
    from: &mut dyn BufRead,
    name: &str,
    since: Option<SystemTime>,
    book: &mut Book,
    reading: &mut Reading,
) -> io::Result<()> {
    if from.fill_buf()?.starts_with(&GZIP) {
        let reason = format!("it is compressed; write: zcat {name} | adjunct evidence -");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        line.clear();
        let length = (&mut *from).take(LINE_MAX as u64).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(());
        }
        number += 1;
        let whole = line.last() == Some(&b'\n') || from.fill_buf()?.is_empty();
        let place = format_args!("{name}:{number}");
        if whole {
            take(line.trim_ascii(), &place, since, book, reading);
        } else {
            skip_line(from)?;
            reading.lines += 1;
            reading.damaged += 1;
            example(reading, &place, "the line is longer than 4 MiB");
        }
    }
}

fn skip_line(from: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let buffer = from.fill_buf()?;
        let (taken, done) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        from.consume(taken);
        if done {
            return Ok(());
        }
    }
}

fn take(
    line: &[u8],
    place: &std::fmt::Arguments<'_>,
    since: Option<SystemTime>,
    book: &mut Book,
    reading: &mut Reading,
) {
    if line.is_empty() {
        return;
    }
    reading.lines += 1;
    match read(line) {
        Line::Connection(seen) => {
            reading.connections += 1;
            if since.is_some_and(|since| seen.time < since) {
                reading.before_since += 1;
            } else {
                book.add(&seen);
            }
        }
        Line::Event { lost } => {
            reading.events += 1;
            reading.lost = reading.lost.saturating_add(lost);
        }
        Line::Foreign(reason) => {
            reading.foreign += 1;
            example(reading, place, &format!("not a line of ours: {reason}"));
        }
        Line::Damaged(reason) => {
            reading.damaged += 1;
            example(reading, place, &format!("damaged: {reason}"));
        }
        Line::Text => {
            reading.text += 1;
            example(reading, place, "no JSON; only logs with log.format = \"json\" can be read");
        }
    }
}

fn example(reading: &mut Reading, place: &std::fmt::Arguments<'_>, what: &str) {
    if reading.examples.len() < EXAMPLES {
        reading.examples.push(format!("{place}: {what}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, ErrorKind};
    use std::time::{Duration, UNIX_EPOCH};

    use super::{LINE_MAX, lines};
    use crate::evidence::book::{Book, Limits};
    use crate::evidence::report::{Reading, Report};
    use crate::observe::json;
    use crate::observe::json::tests::{completed, refused};

    fn read(text: &[u8], since_ms: u64) -> (Report, Reading) {
        let (mut book, mut reading) = (Book::new(Limits::DAEMON), Reading::default());
        let since = (since_ms > 0).then(|| UNIX_EPOCH + Duration::from_millis(since_ms));
        let mut from = BufReader::with_capacity(64, text);
        lines(&mut from, "a.log", since, &mut book, &mut reading).unwrap();
        (book.report(None), reading)
    }

    fn log() -> String {
        let lines = [completed(), refused()].map(|record| json::record(&record).unwrap());
        format!("{}\n\n{}\n", lines[0], lines[1])
    }

    #[test]
    fn what_cannot_be_used_is_counted_and_shown_and_the_rest_is_read() {
        let text = format!(
            "{}{{\"time\":\"2026\nold text line\n{{\"x\":1}}\n{{\"time\":\"2026-11-21T00:00:00Z\",\
             \"event\":\"log-lost\",\"lost\":9}}\n",
            log()
        );
        let (report, reading) = read(text.as_bytes(), 0);
        assert_eq!((report.totals.established, report.totals.failed), (1, 1));
        assert_eq!((reading.lines, reading.connections, reading.events), (6, 2, 1));
        assert_eq!((reading.damaged, reading.text, reading.foreign), (1, 1, 1));
        assert_eq!(reading.lost, 9);
        assert!(reading.examples[0].starts_with("a.log:4: damaged: EOF"), "{reading:?}");
        assert!(reading.examples[1].starts_with("a.log:5: no JSON; only logs with log.format"));
        assert!(reading.examples[2].starts_with("a.log:6: not a line of ours: missing field"));
    }

    #[test]
    fn the_last_line_may_lack_its_end() {
        let text = log();
        let (report, reading) = read(text.trim_end().as_bytes(), 0);
        assert_eq!((report.totals.connections, reading.damaged), (2, 0));
    }

    #[test]
    fn connections_before_a_moment_are_left_out() {
        // One is of 1.5 s after the epoch, the other of the epoch itself.
        let (report, reading) = read(log().as_bytes(), 1500);
        assert_eq!((report.totals.connections, reading.before_since), (1, 1));
        assert_eq!(reading.connections, 2);
    }

    #[test]
    fn a_line_without_end_is_passed_over_in_pieces() {
        let mut text = vec![b'{'; LINE_MAX + 1000];
        text.push(b'\n');
        text.extend_from_slice(log().as_bytes());
        let (report, reading) = read(&text, 0);
        assert_eq!((report.totals.connections, reading.damaged), (2, 1));
        assert_eq!(reading.examples, ["a.log:1: the line is longer than 4 MiB"]);
    }

    #[test]
    fn a_compressed_file_is_named_as_such() {
        let (mut book, mut reading) = (Book::new(Limits::DAEMON), Reading::default());
        let mut from: &[u8] = &[0x1F, 0x8B, 8, 0];
        let error = lines(&mut from, "a.gz", None, &mut book, &mut reading).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.to_string().contains("zcat a.gz | adjunct evidence -"), "{error}");
    }
}
