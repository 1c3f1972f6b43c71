//! When an event loop lets streams gather before it reads on.
//!
//! Purpose: a loop that is faster than its clients falls asleep after every piece, and is woken for
//! the next. If it waits for a moment instead, there are pieces of several streams for one waking,
//! and larger ones; clients that encrypt on the same core are not disturbed meanwhile. Measured
//! with four to 128 uploads over TLS: 0.9 of the CPU time per byte and 1.14 of the bytes. A single
//! stream would only be held up, and two gain nothing.
//!
//! How: streams that had something to do are counted over a few turns. When they are several, the
//! poll at the end of a turn takes its moment ([`Watch`](super::watch::Watch)). Streams over a
//! network may be far slower than the loop: a moment in vain is one more sleep and waking, so after
//! each there are more polls without.
//!
//! Invariants: nothing but streams counts; a turn without them is followed by no moment of theirs.

use std::time::Duration;

/// The moment. A sleep takes longer than it should by 50 µs, the timer slack of a thread, and by
/// what a waking takes; 100 µs in all was the best, twice as long slows streams down.
const MOMENT: Duration = Duration::from_micros(20);

/// Streams that must flow at once.
const TOGETHER: u32 = 3;

/// In how many turns with streams they are counted.
const WINDOW: u32 = 8;

/// Most polls without a moment after moments in vain.
const PAUSE_MAX: u32 = 64;

/// Streams of one event loop.
#[derive(Debug)]
pub(super) struct Streams {
    /// Number of the window that lasts; sessions begin with none, 0.
    window: u32,
    /// Turns of it.
    turns: u32,
    /// Streams in it that had something to do.
    flowing: u32,
    /// The same in the one before.
    flowed: u32,
    /// Whether one of them was in this turn.
    in_this_turn: bool,
    /// Polls to go without a moment.
    pause: u32,
    /// How many they were to be after the last moment.
    paused: u32,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            window: 1,
            turns: 0,
            flowing: 0,
            flowed: 0,
            in_this_turn: false,
            pause: 0,
            paused: 0,
        }
    }
}

impl Streams {
    /// A stream had something to do in this turn; it was `seen` in that window.
    pub(super) fn note(&mut self, seen: &mut u32) {
        self.in_this_turn = true;
        if *seen != self.window {
            *seen = self.window;
            self.flowing += 1;
        }
    }

    /// Ends a turn: how long the poll behind it lets streams gather, which may be not at all. None
    /// when there were no streams in it.
    pub(super) fn moment(&mut self) -> Option<Duration> {
        if !std::mem::take(&mut self.in_this_turn) {
            return None;
        }
        let are_several = self.flowing.max(self.flowed) >= TOGETHER;
        self.turns += 1;
        if self.turns == WINDOW {
            self.turns = 0;
            self.window = self.window.wrapping_add(1);
            self.flowed = std::mem::take(&mut self.flowing);
        }
        let is_worth_it = are_several && self.pause == 0;
        Some(if is_worth_it { MOMENT } else { Duration::ZERO })
    }

    /// Notes a poll that could wait: whether something came in its moment, if it had one that
    /// nothing urgent cut short.
    pub(super) fn note_poll(&mut self, something_came: Option<bool>) {
        match something_came {
            None => self.pause = self.pause.saturating_sub(1),
            Some(true) => self.paused = 0,
            Some(false) => {
                self.paused = PAUSE_MAX.min(1 + 2 * self.paused);
                self.pause = self.paused;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has these streams flow in a turn; whether the poll behind it lets them gather.
    fn turn(streams: &mut Streams, seen: &mut [u32]) -> bool {
        seen.iter_mut().for_each(|seen| streams.note(seen));
        streams.moment() == Some(MOMENT)
    }

    #[test]
    fn several_streams_are_let_gather_and_a_few_are_not() {
        for (count, expected) in [(0, false), (1, false), (2, false), (3, true), (9, true)] {
            let (mut streams, mut seen) = (Streams::default(), vec![0; count]);
            for number in 0..100 {
                let found = turn(&mut streams, &mut seen);
                assert_eq!(found, expected, "{count} streams in turn {number}");
            }
        }
    }

    #[test]
    fn streams_that_take_turns_count_together() {
        let (mut streams, mut seen) = (Streams::default(), [0; 4]);
        let found: Vec<bool> =
            (0..40).map(|number| turn(&mut streams, &mut seen[number % 4..][..1])).collect();
        assert_eq!(found[..2], [false; 2]);
        assert_eq!(found[2..], [true; 38]);
        // One goes on alone: two windows later nothing is left of the others.
        let found: Vec<bool> = (0..40).map(|_| turn(&mut streams, &mut seen[..1])).collect();
        assert_eq!(found[2 * WINDOW as usize..], [false; 24]);
    }

    #[test]
    fn a_turn_without_streams_is_followed_by_no_moment() {
        let (mut streams, mut seen) = (Streams::default(), [0; 3]);
        assert_eq!(streams.moment(), None);
        assert!(turn(&mut streams, &mut seen));
        assert_eq!(streams.moment(), None);
    }

    #[test]
    fn moments_in_vain_become_rare_and_one_that_pays_brings_them_back() {
        let (mut streams, mut seen) = (Streams::default(), [0; 3]);
        let mut polls_before_one = |something_came| {
            let mut polls = 0;
            while !turn(&mut streams, &mut seen) {
                streams.note_poll(None);
                polls += 1;
                assert!(polls < 1000, "never again");
            }
            streams.note_poll(Some(something_came));
            polls
        };
        let in_vain: Vec<u32> = (0..9).map(|_| polls_before_one(false)).collect();
        assert_eq!(in_vain, [0, 1, 3, 7, 15, 31, 63, 64, 64]);
        assert_eq!(polls_before_one(true), 64);
        assert_eq!([polls_before_one(true), polls_before_one(false)], [0; 2]);
        assert_eq!(polls_before_one(true), 1);
    }
}
