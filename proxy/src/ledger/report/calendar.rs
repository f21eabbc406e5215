//! Hours in somebody's calendar: where its distance from UTC changes, and what its days are called.

use crate::store::{Dimension, HOUR_MS, Span, UsageFilter};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

const DAY_MS: i64 = 86_400_000;

/// The hours to be summed, cut where the zone's distance from UTC changes. An hour in which a day
/// of the calendar begins (where the distance is no whole number of hours) belongs to the day in
/// which the hour begins.
pub(super) fn spans(
    zone: &TimeZone,
    filter: &UsageFilter,
    covered: Option<(i64, i64)>,
) -> Vec<Span> {
    let Some((first, last)) = covered else { return vec![none()] };
    let from_ms = filter.since_ms.unwrap_or(first).max(first);
    let until_ms = filter.until_ms.unwrap_or(i64::MAX).min(last.saturating_add(HOUR_MS));
    let mut spans = Vec::new();
    let mut at_ms = from_ms;
    while at_ms < until_ms {
        let Ok(moment) = Timestamp::from_millisecond(at_ms) else { break };
        let change = zone.following(moment).next().map(|next| next.timestamp().as_millisecond());
        // The hour in which the clocks change belongs to what was before.
        let end_ms = change.map_or(until_ms, whole_hour).min(until_ms);
        let offset_ms = i64::from(zone.to_offset(moment).seconds()).saturating_mul(1000);
        spans.push(Span { from_ms: at_ms, until_ms: end_ms, offset_ms });
        at_ms = end_ms;
    }
    if spans.is_empty() { vec![none()] } else { spans }
}

/// The hour that begins then or next.
fn whole_hour(ms: i64) -> i64 {
    ms.saturating_add(ms.saturating_neg().rem_euclid(HOUR_MS))
}

/// No hour at all.
fn none() -> Span {
    Span { from_ms: 0, until_ms: 0, offset_ms: 0 }
}

/// What people call the group.
pub(super) fn label(dimension: Dimension, value: &str, zone: &TimeZone) -> String {
    let number = value.parse::<i64>().ok();
    let label = match dimension {
        Dimension::Hour => number.and_then(|ms| hour(ms, zone)),
        Dimension::Day => number.and_then(day),
        Dimension::Week => number.and_then(|week| day(week.checked_mul(7)?.checked_sub(3)?)),
        _ => None,
    };
    label.unwrap_or_else(|| value.to_owned())
}

/// With its distance from UTC: in autumn one hour comes twice.
fn hour(ms: i64, zone: &TimeZone) -> Option<String> {
    let moment = Timestamp::from_millisecond(ms).ok()?.to_zoned(zone.clone());
    Some(moment.strftime("%Y-%m-%dT%H:%M%:z").to_string())
}

/// The date of a day that is numbered since 1970-01-01.
fn day(number: i64) -> Option<String> {
    number.checked_mul(DAY_MS)?;
    let first = Date::constant(1970, 1, 1);
    first.checked_add(i32::try_from(number).ok()?.days()).ok().map(|date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn year(zone: &str) -> Vec<Span> {
        let zone = TimeZone::get(zone).unwrap();
        let filter = UsageFilter {
            since_ms: Some(ms("2026-01-01T00:00:00Z")),
            until_ms: Some(ms("2027-01-01T00:00:00Z")),
            ..UsageFilter::default()
        };
        spans(&zone, &filter, Some((0, ms("2030-01-01T00:00:00Z"))))
    }

    #[test]
    fn a_year_is_cut_where_the_clocks_change() {
        let hour = HOUR_MS;
        let [spring, autumn] = [ms("2026-03-29T01:00:00Z"), ms("2026-10-25T01:00:00Z")];
        let [begin, end] = [ms("2026-01-01T00:00:00Z"), ms("2027-01-01T00:00:00Z")];
        let span = |from_ms, until_ms, offset_ms| Span { from_ms, until_ms, offset_ms };
        assert_eq!(
            year("Europe/Berlin"),
            [span(begin, spring, hour), span(spring, autumn, 2 * hour), span(autumn, end, hour)]
        );
        assert_eq!(year("UTC"), [span(begin, end, 0)]);
        assert_eq!(year("Asia/Kolkata"), [span(begin, end, 5 * hour + hour / 2)]);
        // Lord Howe Island moves by half an hour.
        assert_eq!(year("Australia/Lord_Howe").len(), 3);
    }

    #[test]
    fn nothing_is_summed_where_nothing_is_and_the_ends_of_time_are_no_trap() {
        let filter = UsageFilter { since_ms: Some(i64::MAX - 5), ..UsageFilter::default() };
        assert_eq!(spans(&TimeZone::UTC, &filter, Some((0, HOUR_MS))), [none()]);
        assert_eq!(spans(&TimeZone::UTC, &UsageFilter::default(), None), [none()]);
        let wide = spans(&TimeZone::UTC, &UsageFilter::default(), Some((i64::MIN, i64::MAX)));
        assert_eq!(wide, [none()]);
    }

    #[test]
    fn groups_of_time_have_names_that_sort() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let hour = |text: &str| label(Dimension::Hour, &ms(text).to_string(), &berlin);
        assert_eq!(hour("2026-10-25T00:00:00Z"), "2026-10-25T02:00+02:00");
        assert_eq!(hour("2026-10-25T01:00:00Z"), "2026-10-25T02:00+01:00");
        assert_eq!(label(Dimension::Day, "20000", &berlin), "2024-10-04");
        assert_eq!(label(Dimension::Week, "0", &berlin), "1969-12-29");
        assert_eq!(label(Dimension::Week, "2857", &berlin), "2024-09-30");
        assert_eq!(label(Dimension::Month, "2026-01", &berlin), "2026-01");
        assert_eq!(label(Dimension::Day, "9223372036854775807", &berlin), "9223372036854775807");
    }
}
