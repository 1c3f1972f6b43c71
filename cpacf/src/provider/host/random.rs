//! Random data of provider `host`.

use core::cell::RefCell;

use aws_lc_rs::rand;
use zeroize::Zeroize;

use crate::provider::Failed;

pub(crate) fn fill(out: &mut [u8]) -> Result<(), Failed> {
    rand::fill(out).map_err(|_| Failed)
}

/// Bytes that a thread draws at once.
const AHEAD: usize = 256;

/// What a thread has drawn and not handed out: the last `left` bytes.
struct Ahead {
    bytes: [u8; AHEAD],
    left: usize,
}

thread_local! {
    static DRAWN: RefCell<Ahead> = const { RefCell::new(Ahead { bytes: [0; AHEAD], left: 0 }) };
}

impl Ahead {
    fn take(&mut self, out: &mut [u8]) -> Result<(), Failed> {
        if self.left < out.len() {
            // Nothing of a draw that failed is handed out.
            self.left = 0;
            fill(&mut self.bytes)?;
            self.left = AHEAD;
        }
        let from = AHEAD - self.left;
        let taken = &mut self.bytes[from..from + out.len()];
        out.copy_from_slice(taken);
        taken.zeroize();
        self.left -= out.len();
        Ok(())
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// The same from what the thread has drawn ahead, where it is little.
pub(crate) fn fill_ahead(out: &mut [u8]) -> Result<(), Failed> {
    if out.len() > AHEAD / 4 {
        return fill(out);
    }
    // A thread that is just ending has no store any more.
    let taken = DRAWN.try_with(|drawn| drawn.borrow_mut().take(out));
    taken.unwrap_or_else(|_| fill(out))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn nothing_that_was_drawn_ahead_is_handed_out_twice_or_kept() {
        let mut ahead = Ahead { bytes: [0; AHEAD], left: 0 };
        let mut seen = HashSet::new();
        for length in (8..=AHEAD / 4).cycle().take(1000) {
            let mut out = vec![0; length];
            ahead.take(&mut out).unwrap();
            for word in out.windows(8) {
                assert!(seen.insert(word.to_vec()), "{word:?} came twice");
            }
            let (used, left) = ahead.bytes.split_at(AHEAD - ahead.left);
            assert!(used.iter().all(|byte| *byte == 0));
            let repeats = |word: &[u8]| seen.contains(word);
            assert!(!left.windows(8).any(repeats), "what is left was handed out");
        }
    }

    #[test]
    fn threads_draw_for_themselves_and_much_is_drawn_at_once() {
        let draw = |length: usize| {
            let mut out = vec![0; length];
            fill_ahead(&mut out).unwrap();
            out
        };
        let left = || DRAWN.with(|drawn| drawn.borrow().left);
        let here = draw(32);
        assert_eq!(left(), AHEAD - 32);
        let there = std::thread::spawn(move || draw(32)).join().unwrap();
        assert_ne!(here, there);
        assert_ne!(draw(AHEAD), vec![0; AHEAD]);
        assert_eq!(left(), AHEAD - 32);
        assert!(draw(0).is_empty());
    }
}
