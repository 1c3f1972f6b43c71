//! Whether a backend that speaks TLS 1.2 has agreed to the extended master secret.
//!
//! rustls asks for it, can be told to insist on it, and does not say whether it was agreed. The
//! ServerHello comes in clear, so it is read in passing; nothing depends on the answer but records.
//!
//! Source: RFC 5246 §7.4.1.3, RFC 7627 §5.

/// Number of the extension.
const EXTENDED_MASTER_SECRET: u16 = 23;

/// Whether the ServerHello at the start of `input` agrees; none where it is not there as a whole,
/// in one record.
pub(super) fn agrees(input: &[u8]) -> Option<bool> {
    let mut record = Reader(input);
    let ([22], _version) = (record.take(1)?, record.take(2)?) else { return Some(false) };
    let mut record = Reader(record.prefixed(2)?);
    let [2] = record.take(1)? else { return Some(false) };
    let mut hello = Reader(record.prefixed(3)?);
    // Version and random; session; suite and compression.
    hello.take(34)?;
    hello.prefixed(1)?;
    hello.take(3)?;
    // A hello without extensions ends here.
    let Some(extensions) = hello.prefixed(2) else { return Some(false) };
    let mut extensions = Reader(extensions);
    while let (Some(&[high, low]), Some(_)) = (extensions.take(2), extensions.prefixed(2)) {
        if u16::from_be_bytes([high, low]) == EXTENDED_MASTER_SECRET {
            return Some(true);
        }
    }
    Some(false)
}

/// Bytes that are read from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// What follows a length of that many bytes.
    fn prefixed(&mut self, length_bytes: usize) -> Option<&'a [u8]> {
        let length = self.take(length_bytes)?;
        let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ServerHello in a record, with these extensions.
    fn hello(extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([2, 9, 9, 0xC0, 0x2F, 0]);
        if !extensions.is_empty() {
            body.extend([0, u8::try_from(extensions.len()).unwrap()]);
            body.extend(extensions);
        }
        let length = u8::try_from(body.len()).unwrap();
        [&[22, 3, 3, 0, length + 4, 2, 0, 0, length][..], &body].concat()
    }

    #[test]
    fn the_extension_is_found_wherever_it_stands() {
        let renegotiation = [0xFF, 1, 0, 1, 0];
        for (extensions, agreed) in [
            (&[][..], false),
            (&renegotiation, false),
            (&[0, 23, 0, 0], true),
            (&[&renegotiation[..], &[0, 23, 0, 0]].concat(), true),
            // Its number as the content of another one.
            (&[0, 11, 0, 2, 0, 23], false),
        ] {
            assert_eq!(agrees(&hello(extensions)), Some(agreed), "{extensions:?}");
        }
    }

    #[test]
    fn a_part_of_a_hello_says_nothing_and_something_else_does_not_agree() {
        let whole = hello(&[0, 23, 0, 0]);
        for end in 0..whole.len() {
            assert_eq!(agrees(&whole[..end]), None, "{end}");
        }
        assert_eq!(agrees(&[21, 3, 3, 0, 2, 2, 40]), Some(false), "an alert");
    }
}
