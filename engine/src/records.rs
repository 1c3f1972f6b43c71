//! Showing rustls the input one record at a time.
//!
//! Purpose: rustls reads on until it has something to say, however many records that takes. Shown
//! one record more at a time, it comes back after each, so that records which bring nothing can be
//! counted, and so that what follows the last message of a handshake is left for the connection.
//!
//! Invariant: headers are read only behind what rustls has been shown. In front of that they may be
//! gone, since it moves the pieces of a message together in place.
//!
//! What it does not do: judge headers. An incomplete record is shown as it is, and rustls refuses
//! what can be no record.
//!
//! Source: RFC 8446 §5.1.

/// Type, version and length of a record.
const HEADER: usize = 5;

/// How much of an input buffer rustls is shown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// End of the whole records that it has been shown and that are still in the buffer.
    end: usize,
    /// Whether it may not have read all of them.
    unread: bool,
}

impl Window {
    /// How many of `bytes` to show now: one whole record more, or everything when none is there.
    pub(crate) fn show(&mut self, bytes: &[u8]) -> usize {
        if !self.unread {
            let Some(end) = record_end(bytes, self.end) else { return bytes.len() };
            self.end = end;
            self.unread = true;
        }
        self.end
    }

    /// The whole records that have been shown before: a call that may not read gets these.
    pub(crate) fn shown(&self) -> usize {
        self.end
    }

    /// Whether `bytes` hold a whole record that has not been shown yet.
    pub(crate) fn has_more(&self, bytes: &[u8]) -> bool {
        record_end(bytes, self.end).is_some()
    }

    /// Notes that everything shown has been read; says whether a whole record was among it.
    pub(crate) fn read(&mut self) -> bool {
        std::mem::take(&mut self.unread)
    }

    /// Notes that `count` bytes are taken away at the front.
    pub(crate) fn discard(&mut self, count: usize) {
        self.end = self.end.saturating_sub(count);
    }
}

/// Where the record that begins at `from` ends, if it is complete.
fn record_end(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let (&[_, _, _, high, low], payload) = rest.split_first_chunk::<HEADER>()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    (payload.len() >= length).then_some(from + HEADER + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = &[22, 3, 3, 0, 1, 7, 23, 3, 3, 0, 0, 23, 3];

    #[test]
    fn each_record_is_shown_after_the_one_before_it_was_read() {
        let mut window = Window::default();
        assert!(window.has_more(TWO));
        assert_eq!(window.show(TWO), 6);
        assert_eq!(window.show(TWO), 6, "not read yet");
        assert!(window.read());
        assert_eq!(window.show(TWO), 11);
        assert!(!window.has_more(TWO), "the third one is incomplete");
        assert!(window.read());
        assert_eq!(window.show(TWO), TWO.len(), "rustls looks at an incomplete one");
        assert!(!window.read(), "it is no whole record");
        assert_eq!(window.shown(), 11);
    }

    #[test]
    fn the_window_moves_with_the_bytes() {
        let mut window = Window::default();
        window.show(TWO);
        window.read();
        window.discard(6);
        assert_eq!(window.shown(), 0);
        assert_eq!(window.show(&TWO[6..]), 5);
        window.discard(100);
        assert_eq!(window.shown(), 0);
    }

    #[test]
    fn a_header_in_pieces_is_no_record() {
        for length in 0..6 {
            assert_eq!(record_end(&TWO[..length], 0), None);
        }
        assert_eq!(record_end(TWO, 6), Some(11));
        assert_eq!(record_end(TWO, 20), None);
    }
}
