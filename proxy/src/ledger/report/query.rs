//! What somebody asks for, read and checked.

use super::{ReportError, row};
use crate::store::{Dimension, EntryCursor, HOUR_MS, TagFilter, UsageFilter, hour_of};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;
use tollgate_types::Feature;

/// No name is longer than this.
const LONGEST: usize = 1024;

/// What a report is about; names as in the query of `GET /api/v1/usage`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// Only this user's, by name or id.
    pub user: Option<String>,
    /// Only this user's, by id; never from the outside.
    #[serde(skip)]
    pub user_id: Option<String>,
    /// Only of users who were in this team at that time, by name or id.
    pub team: Option<String>,
    /// Only of teams of this organisation, by name or id.
    pub organisation: Option<String>,
    /// Only this key's, by id.
    pub key: Option<String>,
    /// With the key's, those of the keys that were delegated from it.
    pub delegated: bool,
    /// Only this provider's.
    pub provider: Option<String>,
    /// Only this model's, bare or as `provider/model`.
    pub model: Option<String>,
    /// Only those that used this feature.
    pub feature: Option<String>,
    /// Only those with this label: `name=value`, or `name` for any value.
    pub tag: Option<String>,
    /// Only those that ended like this; for `rows` alone.
    pub disposition: Option<String>,
    /// Started at or after, rounded down to an hour: RFC 3339, a date of the time zone, or a span
    /// back from now (`24h`, `7d`).
    pub since: Option<String>,
    /// Started before, rounded up to an hour; as `since`.
    pub until: Option<String>,
    /// One or two of the words of [`Dimension`], with a comma between.
    pub group_by: Option<String>,
    /// IANA name of the time zone of hours, days, weeks and months; UTC unless given.
    pub time_zone: Option<String>,
    /// How many of the newest requests to list.
    pub rows: Option<u32>,
    /// List those behind this one: `next` of the page before.
    pub before: Option<String>,
    /// How the answer is written.
    pub format: Option<Format>,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON value.
    Json,
    /// RFC 4180, with a header.
    Csv,
    /// One JSON value a line.
    Jsonl,
}

/// A query that makes sense.
#[derive(Debug)]
pub(super) struct Terms {
    pub filter: UsageFilter,
    pub group_by: Option<(Dimension, Option<Dimension>)>,
    pub zone: TimeZone,
}

impl Terms {
    pub(super) fn of(query: &Query, now_ms: i64) -> Result<Self, ReportError> {
        check_texts(query)?;
        let zone = zone(query.time_zone.as_deref())?;
        let moment = |param, text: &Option<String>| {
            text.as_deref().map(|text| moment_in(param, text, now_ms, &zone)).transpose()
        };
        let (since, until) = (moment("since", &query.since)?, moment("until", &query.until)?);
        if query.delegated && query.key.is_none() {
            return Err(ReportError::of("delegated", "delegated says more of a key: name the key"));
        }
        let filter = UsageFilter {
            user: query.user.clone(),
            user_id: query.user_id.clone(),
            team: query.team.clone(),
            organisation: query.organisation.clone(),
            key_id: query.key.clone(),
            delegated: query.delegated,
            provider: query.provider.clone(),
            model: query.model.clone(),
            feature: query.feature.as_deref().map(feature).transpose()?,
            tag: query.tag.as_deref().map(tag).transpose()?,
            since_ms: since.map(hour_of),
            until_ms: until.map(|ms| hour_of(ms.saturating_add(HOUR_MS - 1))),
            disposition: query.disposition.clone(),
            before: query.before.as_deref().map(before).transpose()?,
        };
        check_rows(query)?;
        let group_by = query.group_by.as_deref().filter(|text| !text.is_empty());
        Ok(Self { filter, group_by: group_by.map(dimensions).transpose()?, zone })
    }
}

/// Texts that no name can be are refused by name, and told back to nobody.
fn check_texts(query: &Query) -> Result<(), ReportError> {
    for (param, text) in [
        ("user", &query.user),
        ("team", &query.team),
        ("organisation", &query.organisation),
        ("key", &query.key),
        ("provider", &query.provider),
        ("model", &query.model),
        ("feature", &query.feature),
        ("tag", &query.tag),
        ("disposition", &query.disposition),
        ("since", &query.since),
        ("until", &query.until),
        ("group_by", &query.group_by),
        ("time_zone", &query.time_zone),
        ("before", &query.before),
    ] {
        let text = text.as_deref().unwrap_or_default();
        if text.len() > LONGEST {
            return Err(ReportError::of(param, format!("{param} is longer than {LONGEST} bytes")));
        }
        if text.contains('\0') {
            return Err(ReportError::of(param, format!("{param} has the character NUL in it")));
        }
    }
    Ok(())
}

/// What selects single requests makes no sense for sums: they do not know it.
fn check_rows(query: &Query) -> Result<(), ReportError> {
    let none = row::within(query.rows) == 0;
    for (param, given) in
        [("disposition", query.disposition.is_some()), ("before", query.before.is_some())]
    {
        if given && none {
            let message = format!("{param} selects single requests: ask for some with rows");
            return Err(ReportError::of(param, message));
        }
    }
    Ok(())
}

fn dimensions(text: &str) -> Result<(Dimension, Option<Dimension>), ReportError> {
    let one = |word: &str| {
        word.trim().parse::<Dimension>().map_err(|()| {
            let words: Vec<_> = Dimension::ALL.iter().map(|one| one.as_str()).collect();
            let message = format!(
                "group_by has {word:?}, use one or two of: {}, with a comma between",
                words.join(", ")
            );
            ReportError::of("group_by", message)
        })
    };
    let Some((first, second)) = text.split_once(',') else { return Ok((one(text)?, None)) };
    let (first, second) = (one(first)?, one(second)?);
    if first == second {
        return Err(ReportError::of("group_by", "group_by has the same word twice"));
    }
    Ok((first, Some(second)))
}

fn zone(name: Option<&str>) -> Result<TimeZone, ReportError> {
    let Some(name) = name else { return Ok(TimeZone::UTC) };
    TimeZone::get(name).map_err(|_| {
        let message = format!("time_zone is {name:?}, use an IANA name such as Europe/Berlin");
        ReportError::of("time_zone", message)
    })
}

fn feature(text: &str) -> Result<String, ReportError> {
    let feature: Feature =
        text.parse().map_err(|message: String| ReportError::of("feature", message))?;
    Ok(feature.as_str().to_owned())
}

fn tag(text: &str) -> Result<TagFilter, ReportError> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err(ReportError::of("tag", "tag has no name, write it like project=search"));
    }
    Ok(TagFilter { name: name.to_owned(), value })
}

fn before(text: &str) -> Result<EntryCursor, ReportError> {
    row::cursor_of(text).ok_or_else(|| {
        ReportError::of("before", "before is no cursor: use what the page before calls next")
    })
}

/// RFC 3339, a date in UTC, or a number with `m`, `h`, `d` or `w` back from now.
///
/// # Errors
/// When it is none of them.
pub fn moment(text: &str, now_ms: i64) -> Result<i64, ReportError> {
    moment_in("time", text, now_ms, &TimeZone::UTC)
}

/// As [`moment`], with dates of a zone. An error names `param`.
fn moment_in(
    param: &'static str,
    text: &str,
    now_ms: i64,
    zone: &TimeZone,
) -> Result<i64, ReportError> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment.as_millisecond());
    }
    if let Ok(date) = text.parse::<Date>()
        && let Ok(midnight) = date.to_zoned(zone.clone())
    {
        return Ok(midnight.timestamp().as_millisecond());
    }
    span_ms(text).map(|span| now_ms.saturating_sub(span)).ok_or_else(|| {
        let message = format!(
            "{text:?} is no time, write it like 2026-01-31, 2026-01-31T08:00:00Z, 24h or 7d"
        );
        ReportError::of(param, message)
    })
}

/// A number with `s`, `m`, `h`, `d` or `w`, in milliseconds.
pub fn span_ms(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok().filter(|number| *number >= 0)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    number.checked_mul(seconds)?.checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000_000_000;

    fn at(text: &str) -> Result<i64, ReportError> {
        moment_in("since", text, NOW, &TimeZone::UTC)
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, expected) in [
            ("24h", NOW - 86_400_000),
            ("7d", NOW - 7 * 86_400_000),
            ("1970-01-02", 86_400_000),
            ("1970-01-01T00:00:01Z", 1_000),
        ] {
            assert_eq!(at(text).unwrap(), expected, "{text}");
        }
        for wrong in ["", "yesterday", "-5d", "5y", "99999999999999999d", "ü"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        let date = moment_in("since", "1970-01-02", NOW, &tokyo).unwrap();
        assert_eq!(date, 86_400_000 - 9 * HOUR_MS, "a date begins where the asker lives");
    }

    #[test]
    fn times_are_rounded_outwards_to_whole_hours() {
        let query = Query {
            since: Some("2026-01-31T08:59:59Z".into()),
            until: Some("2026-01-31T10:00:00.001Z".into()),
            ..Query::default()
        };
        let filter = Terms::of(&query, NOW).unwrap().filter;
        let hours = |ms: Option<i64>| Timestamp::from_millisecond(ms.unwrap()).unwrap().to_string();
        assert_eq!(hours(filter.since_ms), "2026-01-31T08:00:00Z");
        assert_eq!(hours(filter.until_ms), "2026-01-31T11:00:00Z");
        let sharp = Query { until: Some("2026-01-31T10:00:00Z".into()), ..Query::default() };
        let filter = Terms::of(&sharp, NOW).unwrap().filter;
        assert_eq!(hours(filter.until_ms), "2026-01-31T10:00:00Z");
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_the_name_of_its_field() {
        let some = |text: &str| Some(text.to_owned());
        let long = "x".repeat(10_000_000);
        let cases = [
            ("group_by", Query { group_by: some("colour"), ..Query::default() }),
            ("group_by", Query { group_by: some("day,day"), ..Query::default() }),
            ("group_by", Query { group_by: some("day,user,key"), ..Query::default() }),
            ("time_zone", Query { time_zone: some("Mars/Olympus"), ..Query::default() }),
            ("time_zone", Query { time_zone: some("../../etc/passwd"), ..Query::default() }),
            ("feature", Query { feature: some("%"), ..Query::default() }),
            ("tag", Query { tag: some("=x"), ..Query::default() }),
            ("disposition", Query { disposition: some("failed"), ..Query::default() }),
            ("before", Query { before: some("1.1.x"), ..Query::default() }),
            ("before", Query { before: some("x"), rows: Some(1), ..Query::default() }),
            ("delegated", Query { delegated: true, ..Query::default() }),
            ("user", Query { user: some(&long), ..Query::default() }),
            ("model", Query { model: some("a\0b"), ..Query::default() }),
            ("until", Query { until: some("soon"), ..Query::default() }),
        ];
        for (expected, query) in cases {
            match Terms::of(&query, NOW) {
                Err(ReportError::Query { param, message }) => {
                    assert_eq!(param, expected);
                    assert!(message.len() < 2_000, "{} bytes", message.len());
                }
                other => panic!("{expected}: {other:?}"),
            }
        }
    }
}
