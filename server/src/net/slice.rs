//! How long a kind of work may go on in a turn of an event loop.
//!
//! While connections converse, turns are short: a byte of theirs waits for one at most. Where there
//! are handshakes and short requests only, each of them waits for all that came before it anyway.
//! Short turns would gain nobody anything, and cost a poll each and key agreements their company:
//! turns are ten times as long then.

use std::time::{Duration, Instant};

/// After this much of a turn every kind of work gets one item only.
const TURN: Duration = Duration::from_micros(150);
/// How much longer turns are that no conversation waits for.
const STRETCH: u32 = 10;
/// How long turns stay short after the last step of a conversation: who types, or beats once a
/// second, is to find them so.
const ATTENTION: Duration = Duration::from_secs(3);

/// How long the turns of an event loop are at present.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    conversed: Option<Instant>,
}

impl Pace {
    /// A connection that goes on for a while had something to do in the turn that began at `turn`.
    pub(super) fn note_conversation(&mut self, turn: Instant) {
        self.conversed = Some(turn);
    }

    fn stretch(self, turn: Instant) -> u32 {
        let lasts = |at: Instant| turn.saturating_duration_since(at) < ATTENTION;
        if self.conversed.is_some_and(lasts) { 1 } else { STRETCH }
    }

    /// How long work may take that gets `length` of a short turn, in the turn that began at `turn`.
    pub(super) fn length(self, turn: Instant, length: Duration) -> Duration {
        length * self.stretch(turn)
    }

    /// A part of the turn that began at `turn`, from now on.
    pub(super) fn slice(self, turn: Instant, length: Duration) -> Slice {
        let whole = turn + self.length(turn, TURN);
        Slice { until: (Instant::now() + self.length(turn, length)).min(whole) }
    }
}

/// A part of a turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    until: Instant,
}

impl Slice {
    pub(super) fn is_spent(self) -> bool {
        Instant::now() >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_short_while_somebody_converses_and_for_a_while_after() {
        let (begin, work) = (Instant::now(), Duration::from_micros(50));
        let mut pace = Pace::default();
        assert_eq!(pace.length(begin, work), work * STRETCH);
        pace.note_conversation(begin);
        assert_eq!(pace.length(begin, work), work);
        assert_eq!(pace.length(begin + ATTENTION / 2, work), work);
        assert_eq!(pace.length(begin + ATTENTION, work), work * STRETCH);
    }

    #[test]
    fn nothing_goes_on_beyond_its_turn() {
        let hour = Duration::from_secs(3600);
        let begin = Instant::now();
        let slice = Pace::default().slice(begin, hour);
        assert_eq!(slice.until, begin + TURN * STRETCH);
        let slice = Pace::default().slice(begin + hour, Duration::ZERO);
        assert!(slice.is_spent());
    }
}
