//! Windows of every length in every zone.

use super::*;
use proptest::{prelude::*, test_runner::Config};

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

/// The windows of a zone follow each other without a gap and without an overlap: whatever moment
/// is taken, it is in its window, and the next one begins where that ends.
fn assert_tiles(window: Window, now: i64, zone: &str) {
    let found = bounds(window, now, zone);
    let Some(end) = found.end_ms else {
        assert_eq!(window, Window::Total, "{now} in {zone}");
        return;
    };
    let case = format!("{window} of {now} in {zone}: {found:?}");
    assert!(found.start_ms <= now && now < end, "{case}");
    assert_eq!(bounds(window, found.start_ms, zone), found, "{case}: its first moment");
    assert_eq!(bounds(window, end - 1, zone), found, "{case}: its last moment");
    assert_eq!(bounds(window, end, zone).start_ms, end, "{case}: the next one");
    assert_eq!(bounds(window, found.start_ms - 1, zone).end_ms, Some(found.start_ms), "{case}");
}

const ALL: [Window; 5] = [Window::Minute, Window::Hour, Window::Day, Window::Week, Window::Month];

proptest! {
    #![proptest_config(Config { cases: 2_000, failure_persistence: None, ..Config::default() })]

    /// `PAINS 4`.
    #[test]
    fn windows_of_any_zone_follow_each_other_without_gap_and_overlap(
        place in 0..1_000_usize,
        now in 0..4_102_444_800_000_i64,
    ) {
        let zones: Vec<_> = jiff::tz::db().available().collect();
        let zone = zones[place % zones.len()].as_str();
        for window in ALL {
            assert_tiles(window, now, zone);
        }
    }
}

/// The days on which the clock is moved, in zones that do it differently: by an hour at night, at
/// midnight, by half an hour, by two, and once by a whole day. `PAINS 4`.
#[test]
fn windows_follow_each_other_where_the_clock_is_moved() {
    for (zone, day) in [
        ("Europe/Berlin", "2026-03-29T00:00:00Z"),
        ("Europe/Berlin", "2026-10-25T00:00:00Z"),
        ("America/New_York", "2026-03-08T00:00:00Z"),
        ("America/New_York", "2026-11-01T00:00:00Z"),
        ("Africa/Cairo", "2026-04-24T00:00:00Z"),
        ("Africa/Cairo", "2026-10-30T00:00:00Z"),
        ("Asia/Beirut", "2026-03-29T00:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T00:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T00:00:00Z"),
        ("Antarctica/Troll", "2026-03-29T00:00:00Z"),
        ("Pacific/Apia", "2011-12-30T00:00:00Z"),
        ("Asia/Kathmandu", "1985-12-31T12:00:00Z"),
        ("America/Sao_Paulo", "2018-11-04T00:00:00Z"),
    ] {
        let day = ms(day);
        for minutes in (-36 * 60..36 * 60).step_by(7) {
            for window in ALL {
                assert_tiles(window, day + minutes * 60_000 + 1_234, zone);
            }
        }
    }
}

/// Midnight does not happen in Cairo on the day on which its summer begins. `PAINS 4`.
#[test]
fn a_day_without_a_midnight_ends_at_the_next_one() {
    let day = bounds(Window::Day, ms("2026-04-24T12:00:00Z"), "Africa/Cairo");
    assert_eq!(day.start_ms, ms("2026-04-23T22:00:00Z"));
    assert_eq!(day.end_ms, Some(ms("2026-04-24T21:00:00Z")));
}

/// `PAINS 4`.
#[test]
fn months_end_when_they_do_and_weeks_begin_on_monday() {
    for (window, now, start, end) in [
        (Window::Month, "2028-02-29T23:59:59Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        (Window::Month, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        (Window::Month, "2100-02-28T12:00:00Z", "2100-02-01T00:00:00Z", "2100-03-01T00:00:00Z"),
        (Window::Day, "2028-02-29T12:00:00Z", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"),
        (Window::Week, "2026-11-22T23:59:59Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
        (Window::Week, "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
        (Window::Week, "2027-01-01T00:00:00Z", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"),
    ] {
        let expected = Bounds { start_ms: ms(start), end_ms: Some(ms(end)) };
        assert_eq!(bounds(window, ms(now), "UTC"), expected, "{window} of {now}");
    }
}
