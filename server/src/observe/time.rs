//! Points in time as RFC 3339 text in UTC, with milliseconds.
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

#[cfg(test)]
mod tests {
    use super::rfc3339;
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
}
