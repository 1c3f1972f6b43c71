//! Strict reading of length-prefixed vectors.
//!
//! tls-parser splits the message and its extensions; the lists inside the extensions are read here,
//! because its list parsers stop silently at the first malformed element and drop the rest. A list
//! that is not exactly as long as it says is an error here.

/// The vector is not exactly as long as its length field says, or an element is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A place in a body that is read from front to back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = tail;
        Ok(head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        let (byte, tail) = self.0.split_first().ok_or(Malformed)?;
        self.0 = tail;
        Ok(*byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        let (word, tail) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = tail;
        Ok(u16::from_be_bytes(*word))
    }

    /// The bytes behind a one-byte length.
    pub(super) fn vector8(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.u8()?;
        self.take(len.into())
    }

    /// The bytes behind a two-byte length.
    pub(super) fn vector16(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.u16()?;
        self.take(len.into())
    }

    /// Ends the reading: nothing may be left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// A list of two-byte numbers without its length field; it may not be empty.
pub(super) fn numbers(list: &[u8]) -> Result<Vec<u16>, Malformed> {
    let (pairs, rest) = list.as_chunks();
    if pairs.is_empty() || !rest.is_empty() {
        return Err(Malformed);
    }
    Ok(pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_end_where_they_say() {
        let mut cursor = Cursor::new(&[2, 7, 8, 0, 1, 9]);
        assert_eq!(cursor.vector8(), Ok(&[7, 8][..]));
        assert_eq!(cursor.vector16(), Ok(&[9][..]));
        assert_eq!(cursor.end(), Ok(()));
        assert_eq!(Cursor::new(&[3, 1, 2]).vector8(), Err(Malformed));
        assert_eq!(Cursor::new(&[0xFF, 0xFF]).vector16(), Err(Malformed));
        assert_eq!(Cursor::new(&[1]).end(), Err(Malformed));
    }

    #[test]
    fn odd_and_empty_lists_are_malformed() {
        assert_eq!(numbers(&[0, 1, 0, 2]), Ok(vec![1, 2]));
        assert_eq!(numbers(&[0, 1, 0]), Err(Malformed));
        assert_eq!(numbers(&[]), Err(Malformed));
    }
}
