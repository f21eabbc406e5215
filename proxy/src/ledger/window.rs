//! Windows of budgets, aligned to the calendar of the owner's time zone.

use jiff::{RoundMode, Timestamp, ToSpan, Unit, Zoned, ZonedRound, civil::Weekday, tz::TimeZone};
use tollgate_types::Window;

/// A window: from `start_ms` up to, not including, `end_ms`; without end for `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Milliseconds since 1970 UTC.
    pub start_ms: i64,
    /// Milliseconds since 1970 UTC.
    pub end_ms: Option<i64>,
}

const ALWAYS: Bounds = Bounds { start_ms: 0, end_ms: None };

/// The window that a moment belongs to. It is computed when it is needed, never by a job, so no
/// budget starts again late. An unknown time zone counts as UTC.
pub fn bounds(window: Window, now_ms: i64, time_zone: &str) -> Bounds {
    let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
    let Ok(moment) = Timestamp::from_millisecond(now_ms) else { return ALWAYS };
    calendar(window, &moment.to_zoned(zone)).unwrap_or(ALWAYS)
}

/// `None` for `total`, and at the ends of the calendar.
fn calendar(window: Window, now: &Zoned) -> Option<Bounds> {
    let floor = |unit| now.round(ZonedRound::new().smallest(unit).mode(RoundMode::Floor)).ok();
    let (start, length) = match window {
        Window::Minute => (floor(Unit::Minute)?, 1.minute()),
        Window::Hour => (floor(Unit::Hour)?, 1.hour()),
        Window::Day => (now.start_of_day().ok()?, 1.day()),
        Window::Week => {
            let back = now.date().weekday().since(Weekday::Monday);
            (now.checked_sub(i64::from(back).days()).ok()?.start_of_day().ok()?, 1.week())
        }
        Window::Month => (now.first_of_month().ok()?.start_of_day().ok()?, 1.month()),
        Window::Total => return None,
    };
    let end = start.checked_add(length).ok()?;
    let ms = |moment: &Zoned| moment.timestamp().as_millisecond();
    Some(Bounds { start_ms: ms(&start), end_ms: Some(ms(&end)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn windows_follow_the_owners_calendar() {
        let now = ms("2026-11-21T23:30:15Z");
        for (window, zone, start, end) in [
            (Window::Minute, "UTC", "2026-11-21T23:30:00Z", "2026-11-21T23:31:00Z"),
            (Window::Hour, "UTC", "2026-11-21T23:00:00Z", "2026-11-22T00:00:00Z"),
            (Window::Day, "UTC", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
            // Already the 22nd in Berlin.
            (Window::Day, "Europe/Berlin", "2026-11-21T23:00:00Z", "2026-11-22T23:00:00Z"),
            (Window::Week, "UTC", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
            (Window::Month, "UTC", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            (Window::Month, "Asia/Tokyo", "2026-10-31T15:00:00Z", "2026-11-30T15:00:00Z"),
        ] {
            let expected = Bounds { start_ms: ms(start), end_ms: Some(ms(end)) };
            assert_eq!(bounds(window, now, zone), expected, "{window} in {zone}");
        }
        assert_eq!(bounds(Window::Total, now, "UTC"), ALWAYS);
    }

    #[test]
    fn days_of_clock_changes_and_short_months_have_their_true_length() {
        let hours = |window, now, zone| {
            let bounds = bounds(window, ms(now), zone);
            (bounds.end_ms.unwrap() - bounds.start_ms) / 3_600_000
        };
        assert_eq!(hours(Window::Day, "2026-03-29T12:00:00Z", "Europe/Berlin"), 23);
        assert_eq!(hours(Window::Day, "2026-10-25T12:00:00Z", "Europe/Berlin"), 25);
        assert_eq!(hours(Window::Month, "2028-02-10T12:00:00Z", "UTC"), 29 * 24);
        assert_eq!(hours(Window::Month, "2026-02-28T12:00:00Z", "UTC"), 28 * 24);
        // The hour that happens twice is two windows.
        let berlin = |now| bounds(Window::Hour, ms(now), "Europe/Berlin").start_ms;
        assert_ne!(berlin("2026-10-25T00:30:00Z"), berlin("2026-10-25T01:30:00Z"));
    }

    #[test]
    fn nonsense_time_does_not_panic() {
        for now in [i64::MIN, i64::MAX, 253_402_207_200_000] {
            for window in [Window::Minute, Window::Week, Window::Month] {
                bounds(window, now, "UTC");
            }
        }
        assert_eq!(bounds(Window::Day, 0, "Mars/Olympus"), bounds(Window::Day, 0, "UTC"));
    }
}
