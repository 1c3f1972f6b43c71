//! The integrity check of the program: HMAC-SHA-256 over its file, under a published key.
//!
//! Purpose: find a program that was damaged or exchanged by accident, before it serves anybody in a
//! FIPS mode. The value is compared with one that a build or install step has written.
//!
//! What it does not do: keep out somebody who may write the program. The key is published, as those
//! of OpenSSL's `fipsmodule.cnf` and libgcrypt's `.hmac` files are: whoever may exchange the
//! program may write a value that fits. Shared libraries and what is in memory are not looked at,
//! and no path is known here.
//!
//! Source of the idea: FIPS 140-3 section 7.5 (software/firmware security). The form of the file is
//! that of `openssl dgst -r`, so that a packager who cannot run the program can make it as well.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use cpacf::digest::Algorithm;
use cpacf::hmac::Key;

/// The key, published here and in the manual. It is no secret.
pub const KEY: &str = "adjunct-integrity-key-1-published-finds-accidents";

/// Bytes of the program that are read at once.
const PIECE: usize = 64 * 1024;

const LEN: usize = 32;

/// The value of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac([u8; LEN]);

/// Why there is no value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program cannot be read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// HMAC-SHA-256 itself is not to be trusted.
    #[error("HMAC-SHA-256 cannot be used: {0}")]
    Unusable(#[from] cpacf::Error),
}

/// Neither is this text a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not a line of 64 hexadecimal digits, a space, and the name of the program")]
pub struct Malformed;

impl Mac {
    /// The value of what `program` reads.
    ///
    /// # Errors
    /// It cannot be read to its end, or the function is blocked.
    pub fn of(mut program: impl Read) -> Result<Self, Error> {
        let mut mac = Key::new(Algorithm::Sha256, KEY.as_bytes())?.begin();
        let mut piece = vec![0; PIECE];
        loop {
            match program.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => mac.update(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        let tag = mac.finish();
        let mut bytes = [0; LEN];
        bytes.copy_from_slice(tag.as_ref());
        Ok(Self(bytes))
    }

    /// The text of the file beside a program called `name`.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        format!("{self} *{name}\n")
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Mac {
    type Err = Malformed;

    /// Reads the text of a file. The name in it is for people: a program may be renamed.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let (digits, name) = line.split_once(' ').ok_or(Malformed)?;
        let named = name.strip_prefix(['*', ' ']).is_some_and(|name| !name.is_empty());
        if !named || line.contains('\n') || digits.len() != 2 * LEN || !digits.is_ascii() {
            return Err(Malformed);
        }
        let mut bytes = [0; LEN];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            // A sign is a digit for `from_str_radix`.
            if !pair.iter().all(u8::is_ascii_hexdigit) {
                return Err(Malformed);
            }
            let pair = std::str::from_utf8(pair).map_err(|_| Malformed)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| Malformed)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_that_of_openssl() {
        // printf abc | openssl dgst -sha256 -hmac KEY
        let mac = Mac::of(&b"abc"[..]).unwrap();
        assert_eq!(
            mac.to_string(),
            "bc54bc350897f692b2935457203d081a0635b38ce2363614d9d1bd05332fa125"
        );
        // Across pieces.
        let long = vec![0x5a; 2 * PIECE + 1];
        assert_eq!(
            Mac::of(&long[..]).unwrap().to_string(),
            "29a35f3ff3c37dbf904706a9c76956dbd3ee65178ee0b231123ea48f4b4c578f"
        );
    }

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is() {
        let mac = Mac::of(&b"abc"[..]).unwrap();
        let text = mac.file("adjunct");
        assert_eq!(text.parse(), Ok(mac));
        assert_eq!(text.trim_end().parse(), Ok(mac), "an editor may have taken the line end");
        assert_eq!(text.to_uppercase().parse(), Ok(mac));
        assert_eq!(text.replace('*', " ").parse(), Ok(mac), "the form of sha256sum");
        let two = text.repeat(2);
        let short = &text[1..];
        let signed = format!("+{}", &text[1..]);
        let strange = format!("ä{}", &text[2..]);
        for wrong in ["", "\n", &text[..64], &two, short, &signed, &strange, &text[..66]] {
            assert_eq!(wrong.parse::<Mac>(), Err(Malformed), "{wrong:?}");
        }
    }
}
