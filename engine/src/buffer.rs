//! Byte buffers of a connection, and the pool they come from.
//!
//! Purpose: a connection owns memory only while bytes are on their way. A buffer is taken from the
//! pool of the event loop when something arrives and goes back when it is empty, so that an idle
//! connection costs no buffer at all.
//!
//! Invariants: `start <= end <= capacity`; the memory is always initialised; the capacity changes
//! only where the owner asks for it and says the bound, so a peer cannot make us grow.

/// Room for four full TLS records with their overhead.
pub const BUFFER_BYTES: usize = 68 * 1024;

/// Room for what a flight of a handshake is as a rule: clients that stop in the middle of their
/// hello cost little, however many they are, and so do tickets that wait for company.
pub const SMALL_BUFFER_BYTES: usize = 4 * 1024;

/// A bounded queue of bytes: filled at the end, consumed at the front.
#[derive(Debug, Default)]
pub struct Buffer {
    memory: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// A buffer with memory of its own.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { memory: vec![0; bytes].into_boxed_slice(), start: 0, end: 0 }
    }

    /// The bytes that wait.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    /// The bytes that wait, to be worked on in place.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.end]
    }

    /// How many bytes wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether the buffer has memory; an empty one may have been given back to the pool.
    #[must_use]
    pub fn has_memory(&self) -> bool {
        !self.memory.is_empty()
    }

    /// Bytes that can still be added.
    #[must_use]
    pub fn room(&self) -> usize {
        self.memory.len() - self.len()
    }

    /// The whole free space, moved together at the end.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.memory.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.memory[self.end..]
    }

    /// Moves what waits to memory of `bytes`, if that is more than there is.
    pub fn grow_to(&mut self, bytes: usize) {
        if bytes > self.memory.len() {
            let mut larger = Self::with_capacity(bytes);
            larger.append(self.data());
            *self = larger;
        }
    }

    /// Forgets everything that waits, and lends the whole memory.
    pub fn whole(&mut self) -> &mut [u8] {
        self.clear();
        &mut self.memory
    }

    /// Says that `count` bytes were written to [`Self::space`].
    pub fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.memory.len());
    }

    /// Takes `count` bytes away at the front.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Appends as much of `bytes` as fits and says how much that was.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let space = self.space();
        let count = bytes.len().min(space.len());
        space[..count].copy_from_slice(&bytes[..count]);
        self.filled(count);
        count
    }

    /// Puts `bytes` in front of what waits behind the first `at` bytes, growing if need be.
    pub fn insert(&mut self, at: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.grow_to(self.len() + bytes.len());
        self.append(bytes);
        self.data_mut()[at..].rotate_right(bytes.len());
    }

    /// Keeps the first `count` bytes of what waits.
    pub fn truncate(&mut self, count: usize) {
        self.end = self.end.min(self.start + count);
    }

    /// Forgets everything that waits.
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}

/// Idle buffers of one event loop, of two sizes: to make and to zero one for each connection would
/// cost it several microseconds.
#[derive(Debug)]
pub struct BufferPool {
    whole: Vec<Buffer>,
    small: Vec<Buffer>,
    kept_max: usize,
}

impl BufferPool {
    /// A pool that keeps at most `kept_max` idle buffers of each size.
    #[must_use]
    pub fn new(kept_max: usize) -> Self {
        Self { whole: Vec::new(), small: Vec::new(), kept_max }
    }

    /// Gives `buffer` the memory of a whole one if it has none, or less; what waits moves along.
    pub fn supply(&mut self, buffer: &mut Buffer) {
        if buffer.memory.len() < BUFFER_BYTES {
            let mut whole = self.whole.pop().unwrap_or_else(|| Buffer::with_capacity(BUFFER_BYTES));
            whole.append(buffer.data());
            let mut smaller = std::mem::replace(buffer, whole);
            smaller.clear();
            self.reclaim(&mut smaller);
        }
    }

    /// Gives `buffer`, which has no memory, that of a small one, or of a whole one if `bytes` do
    /// not fit into that.
    pub fn supply_for(&mut self, buffer: &mut Buffer, bytes: usize) {
        if bytes > SMALL_BUFFER_BYTES {
            self.supply(buffer);
        } else if !buffer.has_memory() {
            let small = self.small.pop();
            *buffer = small.unwrap_or_else(|| Buffer::with_capacity(SMALL_BUFFER_BYTES));
        }
    }

    /// Takes the memory of `buffer` back if it is empty.
    ///
    /// What it held stays in the memory until it is overwritten: plaintext of one connection never
    /// reaches another, because a buffer only ever shows what was written to it.
    pub fn reclaim(&mut self, buffer: &mut Buffer) {
        if buffer.has_memory() && buffer.is_empty() {
            let buffer = std::mem::take(buffer);
            let kept = match buffer.memory.len() {
                BUFFER_BYTES => &mut self.whole,
                SMALL_BUFFER_BYTES => &mut self.small,
                // One that had to grow is not worth keeping.
                _ => return,
            };
            if kept.len() < self.kept_max {
                kept.push(buffer);
            }
        }
    }

    /// Idle buffers in the pool.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.whole.len() + self.small.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_the_order_they_went_in() {
        let mut buffer = Buffer::with_capacity(8);
        assert_eq!(buffer.append(b"abcdef"), 6);
        buffer.consume(4);
        assert_eq!(buffer.append(b"ghijkl"), 6);
        assert_eq!(buffer.data(), b"efghijkl");
        assert_eq!(buffer.append(b"x"), 0, "full");
        buffer.consume(100);
        assert!(buffer.is_empty());
        assert_eq!(buffer.room(), 8);
    }

    #[test]
    fn a_buffer_that_grows_keeps_its_bytes() {
        let mut buffer = Buffer::with_capacity(4);
        buffer.append(b"abcd");
        buffer.consume(1);
        buffer.grow_to(8);
        assert_eq!((buffer.data(), buffer.room()), (&b"bcd"[..], 5));
        buffer.grow_to(2);
        assert_eq!(buffer.room(), 5, "it never shrinks");
    }

    #[test]
    fn bytes_are_put_in_between_and_taken_off_at_the_end() {
        let mut buffer = Buffer::with_capacity(8);
        buffer.append(b"xxabcd");
        buffer.consume(2);
        buffer.insert(1, b"123456789");
        assert_eq!(buffer.data(), b"a123456789bcd");
        buffer.insert(13, b"");
        buffer.insert(13, b"e");
        assert_eq!(buffer.data(), b"a123456789bcde");
        buffer.truncate(20);
        buffer.truncate(3);
        assert_eq!(buffer.data(), b"a12");
        assert!(buffer.whole().len() >= 14);
        assert!(buffer.is_empty());
    }

    #[test]
    fn an_empty_buffer_gives_its_memory_back_and_a_used_one_keeps_it() {
        let mut pool = BufferPool::new(1);
        let mut buffer = Buffer::default();
        assert_eq!(buffer.append(b"x"), 0, "no memory, no bytes");
        pool.supply(&mut buffer);
        buffer.append(b"x");
        pool.reclaim(&mut buffer);
        assert!(buffer.has_memory());
        buffer.consume(1);
        pool.reclaim(&mut buffer);
        assert!(!buffer.has_memory());
        assert_eq!(pool.idle(), 1);
    }

    #[test]
    fn a_small_buffer_becomes_a_whole_one_of_the_pool() {
        let mut pool = BufferPool::new(1);
        let mut whole = Buffer::with_capacity(BUFFER_BYTES);
        pool.reclaim(&mut whole);
        let mut buffer = Buffer::with_capacity(4);
        buffer.append(b"abcd");
        buffer.consume(1);
        pool.supply(&mut buffer);
        assert_eq!((buffer.data(), buffer.room()), (&b"bcd"[..], BUFFER_BYTES - 3));
        assert_eq!(pool.idle(), 0, "it was not made anew");
    }

    #[test]
    fn a_buffer_is_as_large_as_what_comes() {
        let mut pool = BufferPool::new(1);
        let mut buffer = Buffer::default();
        pool.supply_for(&mut buffer, 100);
        assert_eq!(buffer.room(), SMALL_BUFFER_BYTES);
        buffer.append(b"tickets");
        pool.supply_for(&mut buffer, 100);
        assert_eq!((buffer.data(), buffer.room()), (&b"tickets"[..], SMALL_BUFFER_BYTES - 7));
        pool.supply(&mut buffer);
        assert_eq!((buffer.data(), buffer.room()), (&b"tickets"[..], BUFFER_BYTES - 7));
        assert_eq!(pool.idle(), 1, "the small one is kept");
        let mut other = Buffer::default();
        pool.supply_for(&mut other, 100);
        assert_eq!((other.is_empty(), pool.idle()), (true, 0), "and shows nothing of its past");
        let mut large = Buffer::default();
        pool.supply_for(&mut large, SMALL_BUFFER_BYTES + 1);
        assert_eq!(large.room(), BUFFER_BYTES);
    }
}
