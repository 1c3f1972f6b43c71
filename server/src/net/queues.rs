//! What the sessions of a member wait for their turn in.
//!
//! Purpose: data of established connections goes first; behind it the small steps (reading a hello,
//! resuming, the end of a handshake, dialing, closing) and the large ones (a full handshake up to
//! its signature) share what is left in a fixed ratio, so that neither kind can starve the other,
//! whatever the storm.
//!
//! Invariant: every queue is first in, first out; a session that has more to do goes to the end.

use std::collections::VecDeque;

/// What kind of work a session has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Records of an established connection.
    Data,
    /// A step that costs little, or that ends a handshake.
    Small,
    /// The beginning of a full handshake.
    Full,
}

/// Small steps for each full handshake that is begun, while there are both.
const SMALL_PER_FULL: u8 = 4;

/// The queues of one member, by the number it knows a session by.
#[derive(Debug, Default)]
pub struct RunQueues {
    data: VecDeque<usize>,
    small: VecDeque<usize>,
    full: VecDeque<usize>,
    /// Small steps since the last full one.
    small_in_a_row: u8,
}

impl RunQueues {
    /// Puts a session at the end of its queue.
    pub fn push(&mut self, kind: Kind, key: usize) {
        match kind {
            Kind::Data => self.data.push_back(key),
            Kind::Small => self.small.push_back(key),
            Kind::Full => self.full.push_back(key),
        }
    }

    /// How many sessions have data.
    #[must_use]
    pub fn data_len(&self) -> usize {
        self.data.len()
    }

    /// The next session with data.
    pub fn pop_data(&mut self) -> Option<usize> {
        self.data.pop_front()
    }

    /// How many sessions have other work.
    #[must_use]
    pub fn others_len(&self) -> usize {
        self.small.len() + self.full.len()
    }

    /// The next session with other work.
    pub fn pop_other(&mut self) -> Option<usize> {
        if (self.small_in_a_row < SMALL_PER_FULL || self.full.is_empty())
            && let Some(key) = self.small.pop_front()
        {
            self.small_in_a_row = self.small_in_a_row.saturating_add(1);
            return Some(key);
        }
        self.small_in_a_row = 0;
        self.full.pop_front()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty() && self.others_len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_steps_go_before_full_handshakes_and_do_not_starve_them() {
        let mut queues = RunQueues::default();
        for key in 0..10 {
            queues.push(Kind::Full, 100 + key);
            queues.push(Kind::Small, key);
        }
        let order: Vec<usize> = std::iter::from_fn(|| queues.pop_other()).collect();
        assert_eq!(order[..12], [0, 1, 2, 3, 100, 4, 5, 6, 7, 101, 8, 9]);
        assert_eq!(order.len(), 20);
        assert!(queues.is_empty());
    }

    #[test]
    fn one_kind_alone_has_everything() {
        let mut queues = RunQueues::default();
        for key in 0..9 {
            queues.push(Kind::Small, key);
        }
        queues.push(Kind::Data, 50);
        assert_eq!((queues.data_len(), queues.others_len()), (1, 9));
        for key in 0..9 {
            assert_eq!(queues.pop_other(), Some(key));
        }
        assert_eq!(
            (queues.pop_other(), queues.pop_data(), queues.pop_data()),
            (None, Some(50), None)
        );
    }
}
