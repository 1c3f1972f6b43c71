//! Points in time as RFC 3339 text in UTC, with milliseconds, and such text read back.
//!
//! The civil date follows from the number of days by the rule of the Gregorian calendar: years
//! counted from March, eras of 400 years of 146 097 days. No leap second exists in this count, as
//! in POSIX time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MILLIS_PER_DAY: i128 = 86_400_000;

/// `2026-11-21T01:58:03.007Z`.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    let millis = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_millis()).unwrap_or(i128::MAX),
        // Rounded away from the epoch, so that the text never lies after the moment.
        Err(before) => {
            let round_up = Duration::from_nanos(999_999);
            let before = before.duration().saturating_add(round_up);
            -i128::try_from(before.as_millis()).unwrap_or(i128::MAX)
        }
    };
    let (year, month, day) = civil(millis.div_euclid(MILLIS_PER_DAY));
    let of_day = millis.rem_euclid(MILLIS_PER_DAY);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1000 % 60, of_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Year, month and day of a number of days since 1970-01-01.
fn civil(days: i128) -> (i128, i128, i128) {
    // Days from 0000-03-01 to 1970-01-01; with March first, the leap day ends the year.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March have 31, 30, 31, 30, 31 days, twice and a rest: 153 days in five.
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i128::from(month <= 2), month, day)
}

/// Number of days since 1970-01-01 of a date; the inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

/// Reads `2026-11-21T01:58:03.007Z`, with any fraction or none, and with an offset instead of `Z`;
/// what is finer than a millisecond is cut off. None if it is anything else, or before 1970.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
        digits.parse::<i64>().ok()
    };
    let sign =
        |at: usize, expected: &[u8]| text.as_bytes().get(at).filter(|b| expected.contains(b));
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    for (at, expected) in [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')] {
        sign(at, &[expected])?;
    }
    sign(10, b"Tt ")?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *length.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    // A leap second is the first moment of the next minute, as in POSIX time.
    if !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut millis = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let shown: String = fraction.get(..digits.min(3)).filter(|shown| !shown.is_empty())?.into();
        millis = format!("{shown:0<3}").parse().ok()?;
        rest = fraction.get(digits..)?;
    }
    let day = days(year, month, day);
    let seconds = day * 86_400 + hour * 3600 + minute * 60 + second - offset(rest)?;
    UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(seconds * 1000 + millis).ok()?))
}

/// Seconds east of UTC: `Z`, `+01:00`.
fn offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (east, hours) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = hours.split_once(':').filter(|(h, m)| (h.len(), m.len()) == (2, 2))?;
    let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok()?);
    (hours < 24 && minutes < 60).then(|| east * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
}

#[cfg(test)]
mod tests {
    use super::{parse_rfc3339, rfc3339};
    use std::time::{Duration, UNIX_EPOCH};

    fn at(seconds: u64, millis: u32) -> String {
        rfc3339(UNIX_EPOCH + Duration::new(seconds, millis * 1_000_000))
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_399, 999), "2000-02-28T23:59:59.999Z");
        assert_eq!(at(951_782_400, 0), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(951_868_800, 0), "2000-03-01T00:00:00.000Z");
        assert_eq!(at(1_000_000_000, 1), "2001-09-09T01:46:40.001Z");
        assert_eq!(at(2_147_483_647, 0), "2038-01-19T03:14:07.000Z");
        // 2100 is not a leap year.
        assert_eq!(at(4_107_542_399, 0), "2100-02-28T23:59:59.000Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn moments_before_the_epoch_are_right_too() {
        let time = UNIX_EPOCH - Duration::from_millis(1);
        assert_eq!(rfc3339(time), "1969-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_nanos(1)), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn what_is_written_is_read_back() {
        for seconds in [0, 951_782_399, 951_782_400, 1_000_000_000, 4_107_542_400, 7_258_118_399] {
            let time = UNIX_EPOCH + Duration::new(seconds, 7_000_000);
            assert_eq!(parse_rfc3339(&rfc3339(time)), Some(time), "{seconds}");
        }
    }

    #[test]
    fn other_forms_of_the_same_moment_are_read() {
        let time = parse_rfc3339("2026-11-21T01:58:03Z").unwrap();
        assert_eq!(rfc3339(time), "2026-11-21T01:58:03.000Z");
        for text in ["2026-11-21 02:58:03+01:00", "2026-11-20t20:28:03.0004-05:30"] {
            assert_eq!(parse_rfc3339(text), Some(time), "{text}");
        }
        let half = parse_rfc3339("2026-11-21T01:58:03.5Z").unwrap();
        assert_eq!(half.duration_since(time).unwrap(), Duration::from_millis(500));
    }

    #[test]
    fn what_is_no_moment_is_not_read() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T01:58:03",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T01:58:03.Z",
            "2026-11-21T01:58:03+0100",
            "2026-11-21T01:58:03Zx",
            "+026-11-21T01:58:03Z",
            "1969-12-31T23:59:59Z",
            "2026-11-2\u{e9}T01:58:03Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
