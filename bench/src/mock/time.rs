//! Points in time as the vendors write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// When every answer of the mock was made, seconds since 1970: always the same, so that two answers
/// to the same request are equal.
pub(super) const CREATED: u64 = 1_700_000_000;

/// The same moment in RFC 3339.
pub(super) const CREATED_AT: &str = "2023-11-14T22:13:20Z";

/// The moment so many seconds from now, in RFC 3339.
#[expect(clippy::disallowed_methods, reason = "a mock has no Clock; nobody moves its time")]
pub(super) fn in_seconds(seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    rfc3339(now.as_secs().saturating_add(seconds))
}

/// Seconds since 1970 in RFC 3339.
fn rfc3339(seconds: u64) -> String {
    // Nothing of a mock lies beyond the year 9999.
    let seconds = seconds.min(253_402_300_799);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years are counted from March, so that the leap day comes last.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, (month + 2) % 12 + 1);
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_fall_on_their_dates() {
        assert_eq!(rfc3339(CREATED), CREATED_AT);
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(rfc3339(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
