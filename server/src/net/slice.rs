//! How long a kind of work may go on in a turn of an event loop.

use std::time::{Duration, Instant};

/// After this much of a turn every kind of work gets one item only.
const TURN: Duration = Duration::from_micros(150);

/// A part of a turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    until: Instant,
}

impl Slice {
    /// A part of `length` from now on of a turn that began at `turn`.
    pub(super) fn of(turn: Instant, length: Duration) -> Self {
        Self { until: (Instant::now() + length).min(turn + TURN) }
    }

    pub(super) fn is_spent(self) -> bool {
        Instant::now() >= self.until
    }
}
