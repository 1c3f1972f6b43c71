//! Makes text from a peer harmless for a log and for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Longer text is cut; a server name has at most 253 bytes, an ALPN name 255.
const MAX_CHARS: usize = 256;

/// The text with control and formatting characters written as `\u{..}`, cut after
/// 256 characters; borrowed when nothing had to be changed.
///
/// A backslash is doubled, so that the result tells an escape from the same characters sent by the
/// peer.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_CHARS && text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().min(4 * MAX_CHARS));
    for (count, c) in text.chars().enumerate() {
        if count == MAX_CHARS {
            out.push('…');
            break;
        }
        match c {
            '\\' => out.push_str("\\\\"),
            c if c.is_control() || is_formatting(c) => {
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Text that the engine has made visible ASCII already, so that a backslash in it is an escape:
/// only its length is bounded. Anything else is treated as in [`printable`].
#[must_use]
pub fn shortened(text: &str) -> Cow<'_, str> {
    if !text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return printable(text);
    }
    match text.get(..MAX_CHARS) {
        Some(start) if text.len() > MAX_CHARS => Cow::Owned(format!("{start}…")),
        _ => Cow::Borrowed(text),
    }
}

/// Characters without a shape of their own that change how others are shown: bidirectional
/// controls (Unicode UAX #9), separators of lines, joiners, tags, the byte order mark.
fn is_formatting(c: char) -> bool {
    const RANGES: [(char, char); 9] = [
        ('\u{ad}', '\u{ad}'),
        ('\u{61c}', '\u{61c}'),
        ('\u{180e}', '\u{180e}'),
        ('\u{200b}', '\u{200f}'),
        ('\u{2028}', '\u{202e}'),
        ('\u{2060}', '\u{206f}'),
        ('\u{feff}', '\u{feff}'),
        ('\u{fff9}', '\u{fffb}'),
        ('\u{e0000}', '\u{e007f}'),
    ];
    RANGES.iter().any(|&(first, last)| (first..=last).contains(&c))
}

#[cfg(test)]
mod tests {
    use super::{printable, shortened};
    use std::borrow::Cow;

    #[test]
    fn ordinary_names_are_left_alone() {
        assert!(matches!(printable("mq.example.com"), Cow::Borrowed("mq.example.com")));
        assert_eq!(printable("bücher.example"), "bücher.example");
    }

    #[test]
    fn a_line_cannot_be_forged_nor_a_terminal_driven() {
        assert_eq!(printable("a\n{\"x\":1}"), "a\\u{a}{\"x\":1}");
        assert_eq!(printable("\u{1b}[2J\u{9b}2J"), "\\u{1b}[2J\\u{9b}2J");
        assert_eq!(printable("a\u{202e}b\u{2028}c"), "a\\u{202e}b\\u{2028}c");
        assert_eq!(printable("\\u{a}"), "\\\\u{a}");
    }

    #[test]
    fn what_is_escaped_already_is_not_escaped_again() {
        assert_eq!(shortened("h2\\x1b\\\\"), "h2\\x1b\\\\");
        assert_eq!(shortened("a\u{1b}\\"), "a\\u{1b}\\\\");
        assert_eq!(shortened(&"x".repeat(1000)).chars().count(), 257);
    }

    #[test]
    fn length_is_bounded() {
        assert_eq!(printable(&"x".repeat(1000)).chars().count(), 257);
    }
}
