//! The moment that `--since` names.

use std::time::SystemTime;

use crate::config::parse_duration;
use crate::observe::time::parse_rfc3339;

/// Reads a moment (`2026-11-21T08:00:00Z`, `2026-11-21`) or a time before `now` (`24h`, `7d`).
///
/// # Errors
///
/// A sentence with what is accepted.
pub fn since(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let midnight = || parse_rfc3339(&format!("{text}T00:00:00Z"));
    let ago = || now.checked_sub(parse_duration(text)?);
    parse_rfc3339(text).or_else(midnight).or_else(ago).ok_or_else(|| {
        format!(
            "\"{}\" is neither a moment nor a duration; write 2026-11-21T08:00:00Z, 2026-11-21, \
             24h or 7d",
            text.escape_default()
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::since;

    #[test]
    fn moments_days_and_durations_are_read() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let seconds =
            |text: &str| since(text, now).unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(seconds("2001-09-09T01:46:39Z"), 999_999_999);
        assert_eq!(seconds("2001-09-09T03:46:39+02:00"), 999_999_999);
        assert_eq!(seconds("2001-09-09"), 999_993_600);
        assert_eq!(seconds("1h"), 999_996_400);
        assert_eq!(seconds("7d"), 999_395_200);
    }

    #[test]
    fn anything_else_is_refused_with_what_is_accepted() {
        let now = UNIX_EPOCH + Duration::from_secs(1);
        for text in ["", "yesterday", "1y", "-1h", "99999999999999d", "2001-9-9"] {
            assert!(since(text, now).unwrap_err().contains("24h or 7d"), "{text}");
        }
    }
}
