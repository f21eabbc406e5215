//! Windows of budgets, aligned to the calendar of the owner's time zone.

use jiff::{
    Timestamp, ToSpan, Zoned,
    civil::{Date, Weekday},
    tz::TimeZone,
};
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
    let today = now.date();
    let (first, next) = match window {
        Window::Minute => return clockwork(now, 60_000),
        Window::Hour => return clockwork(now, 3_600_000),
        Window::Day => (today, today.checked_add(1.day()).ok()?),
        Window::Week => {
            let back = i64::from(today.weekday().since(Weekday::Monday));
            let monday = today.checked_sub(back.days()).ok()?;
            (monday, monday.checked_add(1.week()).ok()?)
        }
        Window::Month => {
            let first = today.first_of_month();
            (first, first.checked_add(1.month()).ok()?)
        }
        Window::Total => return None,
    };
    // Where a day begins at one o'clock because midnight was skipped, the next one does not.
    let zone = now.time_zone();
    let begin =
        |date: Date| Some(date.to_zoned(zone.clone()).ok()?.start_of_day().ok()?.timestamp());
    Some(between(begin(first)?, begin(next)?))
}

/// Minutes and hours begin where the clock on the wall says so. A window in which that clock is
/// moved by less than its length ends there, and another one begins.
fn clockwork(now: &Zoned, length_ms: i64) -> Option<Bounds> {
    let (zone, offset) = (now.time_zone(), now.offset());
    let now = now.timestamp();
    let wall_ms = now.as_millisecond() + i64::from(offset.seconds()) * 1000;
    let start_ms = now.as_millisecond() - wall_ms.rem_euclid(length_ms);
    let mut start = Timestamp::from_millisecond(start_ms).ok()?;
    let mut end = Timestamp::from_millisecond(start_ms + length_ms).ok()?;
    let just_after = now.checked_add(1.nanosecond()).ok()?;
    if zone.to_offset(start) != offset
        && let Some(moved) = zone.preceding(just_after).next()
    {
        start = start.max(moved.timestamp());
    }
    let just_before = end.checked_sub(1.nanosecond()).ok()?;
    if zone.to_offset(just_before) != offset
        && let Some(moved) = zone.following(now).next()
    {
        end = end.min(moved.timestamp());
    }
    Some(between(start, end))
}

fn between(start: Timestamp, end: Timestamp) -> Bounds {
    Bounds { start_ms: start.as_millisecond(), end_ms: Some(end.as_millisecond()) }
}

#[cfg(test)]
mod tests;
