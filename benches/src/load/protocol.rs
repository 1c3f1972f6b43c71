//! What client and backend say to each other inside the connection.
//!
//! A connection whose first byte is not zero is echoed. One that begins with a [`Request`] is for
//! bulk data: *up*, the client sends the [pattern](super::pattern) without end; *down*, the backend
//! does. What comes down is cut into blocks, each followed by a [`Trailer`] that says how much of
//! what went up was found right; without data down there is a trailer for each block that came up.
//! Thus both ends check, and neither end needs a half-closed connection to know the other's
//! verdict: some servers cannot do that.

/// Bytes of a request and of a trailer.
pub const HEAD_BYTES: usize = 16;
const MAGIC: [u8; 3] = [0, b'A', b'B'];
const DOWN: u8 = 1;
const UP: u8 = 2;

/// First bytes of a connection for bulk data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The backend sends.
    pub down: bool,
    /// The client sends.
    pub up: bool,
    /// Where the pattern begins, both ways.
    pub seed: u32,
    /// Bytes of data between trailers.
    pub block: u32,
}

impl Request {
    /// As bytes.
    #[must_use]
    pub fn encode(self) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        head[..3].copy_from_slice(&MAGIC);
        head[3] = u8::from(self.down) * DOWN + u8::from(self.up) * UP;
        head[4..8].copy_from_slice(&self.seed.to_le_bytes());
        head[8..12].copy_from_slice(&self.block.to_le_bytes());
        head
    }

    /// From bytes; none when they are no request.
    #[must_use]
    pub fn decode(head: &[u8; HEAD_BYTES]) -> Option<Self> {
        let request = Self {
            down: head[3] & DOWN != 0,
            up: head[3] & UP != 0,
            seed: word(head, 4),
            block: word(head, 8),
        };
        (head[..3] == MAGIC && request.block > 0).then_some(request)
    }
}

/// What the backend says of the data that came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// Bytes found right, from the first on.
    pub right: u64,
    /// Whether the next one was wrong.
    pub wrong: bool,
}

impl Trailer {
    /// As bytes.
    #[must_use]
    pub fn encode(self) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        head[..3].copy_from_slice(&MAGIC);
        head[3] = u8::from(self.wrong);
        head[8..].copy_from_slice(&self.right.to_le_bytes());
        head
    }

    /// From bytes; none when they are no trailer.
    #[must_use]
    pub fn decode(head: &[u8; HEAD_BYTES]) -> Option<Self> {
        let right = u64::from(word(head, 8)) | u64::from(word(head, 12)) << 32;
        let fits = head[..3] == MAGIC && head[3] <= 1 && head[4..8] == [0; 4];
        fits.then_some(Self { right, wrong: head[3] == 1 })
    }
}

fn word(head: &[u8; HEAD_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let request = Request { down: true, up: false, seed: 1_000_000, block: 7 };
        assert_eq!(Request::decode(&request.encode()), Some(request));
        let trailer = Trailer { right: 5 << 40 | 3, wrong: true };
        assert_eq!(Trailer::decode(&trailer.encode()), Some(trailer));
        assert_eq!(Request::decode(b"GET / HTTP/1.0\r\n"), None);
        assert_eq!(Trailer::decode(&[0; HEAD_BYTES]), None);
    }
}
