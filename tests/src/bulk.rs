//! Long byte streams that can be checked at any place.
//!
//! Purpose: prove that a gigabyte arrives intact, in order and complete, and name the first byte
//! that does not. A stream is a pure function of its seed, so no copy of it is kept; comparing
//! every byte says more than comparing one hash at the end.

use std::io::{self, Read, Write};

/// Bytes of a bulk transfer in each direction: `ADJUNCT_BULK_MIB`, else 1 GiB in a release build
/// or when `ADJUNCT_FULL=1`, else 64 MiB.
#[must_use]
pub fn size() -> u64 {
    let mib = std::env::var("ADJUNCT_BULK_MIB").ok().and_then(|text| text.parse().ok());
    let full = !cfg!(debug_assertions) || std::env::var("ADJUNCT_FULL").is_ok_and(|v| v == "1");
    mib.unwrap_or(if full { 1024 } else { 64 }) << 20
}

/// An endless pseudo-random stream (xorshift64*), eight bytes at a time.
#[derive(Debug, Clone)]
pub struct Pattern {
    state: u64,
    left_over: Vec<u8>,
    position: u64,
}

impl Pattern {
    /// The stream that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(2) | 1, left_over: Vec::new(), position: 0 }
    }

    /// Writes the next bytes of the stream.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.position += out.len() as u64;
        let kept = self.left_over.len().min(out.len());
        for (to, from) in out.iter_mut().zip(self.left_over.drain(..kept)) {
            *to = from;
        }
        let mut chunks = out[kept..].chunks_exact_mut(8);
        for chunk in &mut chunks {
            chunk.copy_from_slice(&next(&mut self.state));
        }
        let tail = chunks.into_remainder();
        if !tail.is_empty() {
            let word = next(&mut self.state);
            tail.copy_from_slice(&word[..tail.len()]);
            self.left_over = word[tail.len()..].to_vec();
        }
    }

    /// Compares with the next bytes of the stream.
    pub fn check(&mut self, bytes: &[u8]) {
        let start = self.position;
        let mut expected = vec![0; bytes.len()];
        self.fill(&mut expected);
        if let Some(at) = bytes.iter().zip(&expected).position(|(a, b)| a != b) {
            panic!("byte {} of the stream is wrong", start + at as u64);
        }
    }

    /// How many bytes have been made or compared.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }
}

fn next(state: &mut u64) -> [u8; 8] {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
}

/// Writes `length` bytes of the stream; `progress` learns the total after each piece.
///
/// # Errors
///
/// As the writer's.
pub fn send(
    to: &mut impl Write,
    seed: u64,
    length: u64,
    mut progress: impl FnMut(u64),
) -> io::Result<()> {
    let mut pattern = Pattern::new(seed);
    let mut buffer = vec![0; 64 << 10];
    while pattern.position() < length {
        let left = usize::try_from(length - pattern.position()).unwrap_or(usize::MAX);
        let piece = buffer.len().min(left);
        pattern.fill(&mut buffer[..piece]);
        to.write_all(&buffer[..piece])?;
        progress(pattern.position());
    }
    to.flush()
}

/// Reads and compares to the end of the stream; returns how many bytes arrived.
///
/// # Errors
///
/// As the reader's.
pub fn receive(from: &mut impl Read, seed: u64, mut progress: impl FnMut(u64)) -> io::Result<u64> {
    let mut pattern = Pattern::new(seed);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(pattern.position()),
            n => pattern.check(&buffer[..n]),
        }
        progress(pattern.position());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_does_not_depend_on_how_it_is_cut() {
        let mut whole = vec![0; 1000];
        Pattern::new(7).fill(&mut whole);
        let mut pieces = Pattern::new(7);
        for piece in whole.chunks(13) {
            pieces.check(piece);
        }
        assert_eq!(pieces.position(), 1000);
    }

    #[test]
    #[should_panic(expected = "byte 500 of the stream is wrong")]
    fn one_wrong_bit_is_found_and_placed() {
        let mut whole = vec![0; 1000];
        Pattern::new(7).fill(&mut whole);
        whole[500] ^= 1;
        Pattern::new(7).check(&whole);
    }

    #[test]
    fn what_is_sent_is_what_is_received() {
        let mut wire = Vec::new();
        send(&mut wire, 3, 200_001, |_| {}).unwrap();
        assert_eq!(receive(&mut wire.as_slice(), 3, |_| {}).unwrap(), 200_001);
    }
}
