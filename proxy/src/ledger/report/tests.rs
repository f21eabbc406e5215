//! Reports against a plain sum over the same entries.

use super::{Query, ReportError, export, report};
use crate::{
    ledger::tests::entries::{HOUR, nth, people, write},
    store::{
        Dimension, EntryRow, Store, UsageFilter,
        testing::{Home, Kind, on_both_engines, store_on},
    },
};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use std::collections::{BTreeMap, BTreeSet};
use tollgate_types::UsageReport;

on_both_engines!(
    every_group_is_the_plain_sum_of_its_entries,
    filters_count_exactly_what_they_name,
    rows_come_in_pages_that_miss_nothing_and_repeat_nothing,
    what_cannot_be_read_of_an_entry_still_leaves_a_row,
    a_member_sees_nobody_elses_usage_whatever_it_asks_for,
    hostile_texts_find_nothing_and_break_nothing,
);

/// Saturday before the clocks of Berlin are set back.
const BEGIN: &str = "2026-10-24T12:30:00Z";
const NOW: &str = "2026-12-24T00:00:00Z";

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

/// A month of entries, one every seven hours and a bit.
fn month() -> Vec<EntryRow> {
    (0..120).map(|n| nth(n, ms(BEGIN) + n * (7 * HOUR + 600_000))).collect()
}

async fn books(kind: Kind) -> (Home, Store) {
    let (home, store) = store_on(kind).await;
    people(&store).await;
    write(&store, &month(), &[]).await;
    (home, store)
}

async fn told(store: &Store, query: Query) -> UsageReport {
    report(store, &query, ms(NOW)).await.unwrap()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Requests, input, cost, failed, latency.
type Sum = (u64, u64, i64, u64, u64);

fn add(sum: &mut Sum, entry: &EntryRow) {
    sum.0 += 1;
    sum.1 += u64::try_from(entry.tokens.input + entry.tokens.cache_read).unwrap();
    sum.2 += entry.cost_nano_usd.unwrap_or_default();
    sum.3 += u64::from(entry.error.is_some());
    sum.4 += u64::try_from(entry.latency_ms).unwrap();
}

fn team(entry: &EntryRow) -> &str {
    match entry.team_id.as_deref() {
        Some("t1") => "red",
        Some("t2") => "blue",
        _ => "",
    }
}

/// The groups that an entry belongs to, by hand.
fn groups_of(entry: &EntryRow, by: Dimension, zone: &TimeZone) -> Vec<String> {
    let hour_ms = entry.started_ms - entry.started_ms % HOUR;
    let hour = Timestamp::from_millisecond(hour_ms).unwrap().to_zoned(zone.clone());
    let one = match by {
        Dimension::User => match entry.user_id.as_str() {
            "u1" => "alice".to_owned(),
            "u2" => "bob".to_owned(),
            "u3" => "carol".to_owned(),
            other => other.to_owned(),
        },
        Dimension::Team => team(entry).to_owned(),
        Dimension::Organisation => {
            if team(entry) == "red" {
                "acme".to_owned()
            } else {
                String::new()
            }
        }
        Dimension::Key => entry.key_id.clone(),
        Dimension::Provider => entry.provider.clone(),
        Dimension::Model => format!("{}/{}", entry.provider, entry.model),
        Dimension::Feature => return entry.features.split(',').map(str::to_owned).collect(),
        Dimension::Tag => {
            let tags: BTreeMap<String, String> = serde_json::from_str(&entry.tags).unwrap();
            return tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        }
        Dimension::Hour => hour.strftime("%Y-%m-%dT%H:%M%:z").to_string(),
        Dimension::Day => hour.date().to_string(),
        Dimension::Week => {
            let since = i64::from(hour.weekday().to_monday_zero_offset());
            hour.date().checked_sub(since.days()).unwrap().to_string()
        }
        Dimension::Month => hour.strftime("%Y-%m").to_string(),
    };
    vec![one]
}

fn by_hand(
    (first, second): (Dimension, Option<Dimension>),
    zone: &TimeZone,
) -> BTreeMap<(String, Option<String>), Sum> {
    let mut sums: BTreeMap<_, Sum> = BTreeMap::new();
    for entry in month() {
        for one in groups_of(&entry, first, zone) {
            let others = match second {
                None => vec![None],
                Some(second) => groups_of(&entry, second, zone).into_iter().map(Some).collect(),
            };
            for other in others {
                add(sums.entry((one.clone(), other)).or_default(), &entry);
            }
        }
    }
    sums
}

async fn every_group_is_the_plain_sum_of_its_entries(kind: Kind) {
    let (_home, store) = books(kind).await;
    let mut all = Sum::default();
    month().iter().for_each(|entry| add(&mut all, entry));
    for zone in ["UTC", "Europe/Berlin", "Asia/Kolkata", "Pacific/Auckland"] {
        let calendar = TimeZone::get(zone).unwrap();
        let seconds =
            [None, Some(Dimension::Day), Some(Dimension::Feature), Some(Dimension::Model)];
        for first in Dimension::ALL {
            for second in seconds.into_iter().filter(|second| *second != Some(first)) {
                let words = [Some(first), second].map(|one| one.map(Dimension::as_str));
                let words: Vec<_> = words.into_iter().flatten().collect();
                let query = Query {
                    group_by: Some(words.join(",")),
                    time_zone: some(zone),
                    ..Query::default()
                };
                let report = told(&store, query).await;
                let got: BTreeMap<_, Sum> = report
                    .groups
                    .iter()
                    .map(|g| {
                        let latency = g.average_latency_ms.unwrap() * g.requests;
                        let sum = (g.requests, g.usage.total_input(), g.cost.0, g.failed, latency);
                        ((g.group.clone(), g.subgroup.clone()), sum)
                    })
                    .collect();
                let mut expected = by_hand((first, second), &calendar);
                // Averages are whole milliseconds.
                expected.values_mut().for_each(|sum| sum.4 = sum.4 / sum.0 * sum.0);
                assert_eq!(got, expected, "{words:?} in {zone}");
                let total = &report.total;
                assert_eq!(
                    (total.requests, total.usage.total_input(), total.cost.0, total.failed),
                    (all.0, all.1, all.2, all.3),
                    "{words:?}"
                );
                assert!(report.groups.is_sorted_by(|a, b| a.cost >= b.cost));
            }
        }
    }
}

async fn filters_count_exactly_what_they_name(kind: Kind) {
    let (_home, store) = books(kind).await;
    type Check = fn(&EntryRow) -> bool;
    let cases: [(Query, Check); 20] = [
        (Query { user: some("alice"), ..Query::default() }, |e| e.user_id == "u1"),
        (Query { user: some("u2"), ..Query::default() }, |e| e.user_id == "u2"),
        (Query { user: some("nobody"), ..Query::default() }, |_| false),
        (Query { team: some("red"), ..Query::default() }, |e| e.team_id.as_deref() == Some("t1")),
        (Query { organisation: some("acme"), ..Query::default() }, |e| team(e) == "red"),
        (Query { organisation: some("acme"), team: some("blue"), ..Query::default() }, |_| false),
        (Query { key: some("k9"), ..Query::default() }, |_| false),
        (Query { key: some("k2"), delegated: true, ..Query::default() }, |e| e.key_id != "k1"),
        (Query { key: some("k1"), delegated: true, ..Query::default() }, |_| true),
        (Query { provider: some("p"), ..Query::default() }, |e| e.provider == "p"),
        (Query { model: some("m"), ..Query::default() }, |e| e.model == "m"),
        (Query { model: some("q/100%_"), ..Query::default() }, |e| {
            e.provider == "q" && e.model == "100%_"
        }),
        (Query { model: some("%"), ..Query::default() }, |_| false),
        (Query { feature: some("stream"), ..Query::default() }, |e| e.features.contains("stream")),
        (Query { tag: some("project=a"), ..Query::default() }, |e| e.tags.contains("\"a\"")),
        (Query { tag: some("project"), ..Query::default() }, |e| e.tags.contains("project")),
        (Query { tag: some("proj"), ..Query::default() }, |_| false),
        (Query { tag: some("project=%"), ..Query::default() }, |_| false),
        (Query { since: some("2026-11-01"), until: some("2026-11-05"), ..Query::default() }, |e| {
            e.started_ms >= ms("2026-11-01T00:00:00Z") && e.started_ms < ms("2026-11-05T00:00:00Z")
        }),
        (
            Query {
                since: some("2026-11-01T10:59:00Z"),
                until: some("2026-11-02T00:01:00Z"),
                ..Query::default()
            },
            |e| {
                e.started_ms >= ms("2026-11-01T10:00:00Z")
                    && e.started_ms < ms("2026-11-02T01:00:00Z")
            },
        ),
    ];
    for (query, check) in cases {
        let query = Query { rows: Some(1_000), ..query };
        let report = told(&store, query.clone()).await;
        let expected: BTreeSet<String> =
            month().into_iter().filter(check).map(|entry| entry.request_id).collect();
        let rows: BTreeSet<String> = report.rows.iter().map(|r| r.request_id.clone()).collect();
        assert_eq!(rows, expected, "{query:?}");
        assert_eq!(report.total.requests, u64::try_from(expected.len()).unwrap(), "{query:?}");
    }
    // The key's own user's index finds nothing of others that used the name of the key.
    let own = told(&store, Query { key: some("k1"), rows: Some(999), ..Query::default() }).await;
    assert!(own.rows.iter().all(|row| row.key_id == "k1"));
    let failed = Query { disposition: some("failed"), rows: Some(999), ..Query::default() };
    let failed = told(&store, failed).await.rows;
    assert!(failed.len() == 40 && failed.iter().all(|row| row.disposition == "failed"));
    let by_value = Query { tag: some("project"), group_by: some("tag"), ..Query::default() };
    let by_value = told(&store, by_value).await;
    let groups: Vec<_> = by_value.groups.iter().map(|g| (g.group.as_str(), g.requests)).collect();
    assert_eq!(groups, [("project=b", 40), ("project=a", 40)]);
}

async fn rows_come_in_pages_that_miss_nothing_and_repeat_nothing(kind: Kind) {
    let (_home, store) = books(kind).await;
    // Many that began in the same millisecond.
    let same: Vec<_> = (200..260).map(|n| nth(n, ms("2026-11-11T11:11:11Z"))).collect();
    write(&store, &same, &[]).await;
    let mut expected: Vec<_> = month().into_iter().chain(same).collect();
    expected.sort_by_key(|entry| (entry.started_ms, entry.request_id.clone()));
    let expected: Vec<_> = expected.into_iter().rev().map(|entry| entry.request_id).collect();
    for size in [1, 7, 60, 179, 180, 500] {
        let mut query = Query { rows: Some(size), ..Query::default() };
        let mut got = Vec::new();
        loop {
            let page = told(&store, query.clone()).await;
            got.extend(page.rows.into_iter().map(|row| row.request_id));
            let Some(next) = page.next else { break };
            query.before = Some(next);
        }
        assert_eq!(got, expected, "pages of {size}");
    }
    let mut all = export(&Query::default(), ms(NOW)).unwrap();
    let mut got = Vec::new();
    loop {
        let page = all.next(&store).await.unwrap();
        assert!(page.len() <= 500);
        if page.is_empty() {
            break;
        }
        got.extend(page.into_iter().map(|row| row.request_id));
    }
    assert_eq!(got, expected);
    let mut few = export(&Query { rows: Some(3), user: some("bob"), ..Query::default() }, ms(NOW));
    let few = few.as_mut().unwrap();
    assert_eq!(few.next(&store).await.unwrap().len(), 3);
    assert!(few.next(&store).await.unwrap().is_empty());
}

async fn what_cannot_be_read_of_an_entry_still_leaves_a_row(kind: Kind) {
    let (_home, store) = store_on(kind).await;
    let bad = EntryRow {
        request_id: "bad".into(),
        user_id: String::new(),
        features: ",,weird,".into(),
        tool_fees: "{broken".into(),
        tags: "[1".into(),
        finish: Some("\u{0}".into()),
        attempt: -5,
        started_ms: ms(BEGIN),
        cost_nano_usd: Some(7),
        ..EntryRow::default()
    };
    write(&store, &[bad], &[]).await;
    for group_by in
        Dimension::ALL.map(|one| Some(one.as_str().to_owned())).into_iter().chain([None])
    {
        let report = told(&store, Query { group_by, rows: Some(9), ..Query::default() }).await;
        assert_eq!((report.total.requests, report.total.cost.0, report.rows.len()), (1, 7, 1));
        assert_eq!(report.rows[0].request_id, "bad");
    }
    let mut all = export(&Query::default(), ms(NOW)).unwrap();
    let rows = all.next(&store).await.unwrap();
    assert_eq!(String::from_utf8(super::csv::rows(&rows).unwrap()).unwrap().lines().count(), 1);
}

async fn a_member_sees_nobody_elses_usage_whatever_it_asks_for(kind: Kind) {
    let (_home, store) = books(kind).await;
    let own: u64 = month().iter().map(|entry| u64::from(entry.user_id == "u2")).sum();
    let queries = [
        (Query::default(), own),
        (Query { user: some("bob"), ..Query::default() }, own),
        (Query { user: some("alice"), ..Query::default() }, 0),
        (Query { user: some("u1"), ..Query::default() }, 0),
        // The key is alice's; what it says is bob's own.
        (Query { key: some("k1"), ..Query::default() }, 0),
        (
            Query {
                organisation: some("acme"),
                key: some("k1"),
                delegated: true,
                ..Query::default()
            },
            8,
        ),
    ];
    for (query, expected) in queries {
        for group_by in [None, some("user"), some("tag,user"), some("team,user")] {
            let query = Query { user_id: some("u2"), rows: Some(999), group_by, ..query.clone() };
            let report = told(&store, query.clone()).await;
            assert_eq!(report.total.requests, expected, "{query:?}");
            assert!(report.rows.iter().all(|row| row.user == "bob"), "{query:?}");
            let names = report.groups.iter().map(|g| g.subgroup.as_ref().unwrap_or(&g.group));
            assert!(names.into_iter().all(|name| name == "bob"), "{query:?}");
        }
        let query = Query { user_id: some("u2"), ..query };
        let rows = export(&query, ms(NOW)).unwrap().next(&store).await.unwrap();
        assert!(rows.iter().all(|row| row.user == "bob"), "{query:?}");
    }
}

async fn hostile_texts_find_nothing_and_break_nothing(kind: Kind) {
    let (_home, store) = books(kind).await;
    let before = store.usage_rows(&UsageFilter::default(), 999).await.unwrap().len();
    for evil in ["' or 1=1 --", "%", "_", "\\", "\"", "'; drop table users; --", "\u{202e}", "k%"] {
        let text = || some(evil);
        for query in [
            Query { user: text(), ..Query::default() },
            Query { team: text(), ..Query::default() },
            Query { organisation: text(), ..Query::default() },
            Query { key: text(), ..Query::default() },
            Query { key: text(), delegated: true, ..Query::default() },
            Query { provider: text(), ..Query::default() },
            Query { model: text(), ..Query::default() },
            Query { tag: text(), ..Query::default() },
            Query { disposition: text(), ..Query::default() },
        ] {
            let sums = Query { disposition: None, ..query.clone() };
            let report = told(&store, sums.clone()).await;
            let all = query.disposition.is_some();
            assert_eq!(report.total.requests == 0, !all, "{sums:?}");
            let rows = told(&store, Query { rows: Some(9), ..query.clone() }).await.rows;
            assert!(rows.is_empty(), "{query:?}");
        }
    }
    let long = Query { user: Some("x".repeat(10_000_000)), ..Query::default() };
    let refused = report(&store, &long, ms(NOW)).await;
    assert!(matches!(refused, Err(ReportError::Query { param: "user", .. })), "{refused:?}");
    assert_eq!(store.usage_rows(&UsageFilter::default(), 999).await.unwrap().len(), before);
}
