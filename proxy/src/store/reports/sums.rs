//! Sums by group, out of the hourly rollups alone.

use super::{UsageFilter, scope};
use crate::store::{
    RollupRow, Store, StoreError,
    books::json,
    engine::{Text, on},
};
use sqlx::FromRow;
use std::str::FromStr;
use tollgate_types::Feature;

/// What the lines of a report stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Users, by name.
    User,
    /// Teams, by name; empty for users who were in none.
    Team,
    /// Organisations, by name; empty for calls that were of none.
    Organisation,
    /// Keys, by id.
    Key,
    /// Providers.
    Provider,
    /// Models, as `provider/model`.
    Model,
    /// Features. A call counts under each that it used; empty for those that used none.
    Feature,
    /// Labels, as `name=value`. A call counts under each that it had.
    Tag,
    /// Hours, by the millisecond at which they begin.
    Hour,
    /// Days of the spans' calendar, numbered since 1970-01-01.
    Day,
    /// Weeks of the spans' calendar that begin on Mondays, numbered since 1969-12-29.
    Week,
    /// Months of the spans' calendar, as `2026-01`.
    Month,
}

impl Dimension {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::User,
        Self::Team,
        Self::Organisation,
        Self::Key,
        Self::Provider,
        Self::Model,
        Self::Feature,
        Self::Tag,
        Self::Hour,
        Self::Day,
        Self::Week,
        Self::Month,
    ];

    /// The one word for this in text and SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Team => "team",
            Self::Organisation => "organisation",
            Self::Key => "key",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Feature => "feature",
            Self::Tag => "tag",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Whether a call can be in several of the groups: then they do not add up to the total.
    pub fn overlaps(self) -> bool {
        matches!(self, Self::Feature | Self::Tag)
    }
}

impl FromStr for Dimension {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|dimension| dimension.as_str() == text).ok_or(())
    }
}

/// A time in which the calendar's distance from UTC stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first hour.
    pub from_ms: i64,
    /// The hour behind its last.
    pub until_ms: i64,
    /// Added to UTC for the calendar's time.
    pub offset_ms: i64,
}

/// How sums are grouped.
#[derive(Clone, Debug)]
pub struct Grouping {
    /// By this first; absent: all together.
    pub first: Option<Dimension>,
    /// And within it by this.
    pub second: Option<Dimension>,
    /// The hours to sum, by the calendar to be used. Empty: those of the filter, by UTC's.
    pub spans: Vec<Span>,
    /// The most groups; the dearest are told.
    pub limit: u32,
}

impl Default for Grouping {
    fn default() -> Self {
        Self { first: None, second: None, spans: Vec::new(), limit: u32::MAX }
    }
}

impl Grouping {
    fn is_by(&self, dimension: Dimension) -> bool {
        self.first == Some(dimension) || self.second == Some(dimension)
    }
}

/// One line of a report: what the calls that share a value come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct GroupRow {
    /// The value grouped by.
    pub group_value: String,
    /// The second one.
    pub subgroup_value: String,
    /// The sums.
    #[sqlx(flatten)]
    pub sums: RollupRow,
}

/// The value of a group, out of the rollup `r`, its span `s` and its feature `f`.
macro_rules! dimension {
    ($word:literal, $month:literal) => {
        concat!(
            "case ",
            $word,
            " when 'user' then r.user_id when 'key' then r.key_id when 'team' then r.team_id
              when 'organisation' then coalesce(
                   (select t.organisation_id from teams t where t.id = r.team_id), '')
              when 'provider' then r.provider when 'model' then r.provider || '/' || r.model
              when 'feature' then f.word when 'tag' then r.tag
              when 'hour' then cast(r.hour_ms as text)
              when 'day' then cast((r.hour_ms + s.offset_ms) / 86400000 as text)
              when 'week' then cast(((r.hour_ms + s.offset_ms) / 86400000 + 3) / 7 as text)
              when 'month' then ",
            $month,
            " else '' end"
        )
    };
}

/// The name of a group.
macro_rules! named {
    ($word:literal, $id:literal) => {
        concat!(
            "coalesce(case ",
            $word,
            " when 'user' then (select u.name from users u where u.id = ",
            $id,
            ") when 'team' then (select t.name from teams t where t.id = ",
            $id,
            ") when 'organisation' then (select o.name from organisations o where o.id = ",
            $id,
            ") end, ",
            $id,
            ")"
        )
    };
}

/// The joins keep SQLite to their order: the spans first, then their hours by an index.
macro_rules! sums {
    ($rows:literal, $end:literal, $month:literal, $who:literal) => {
        concat!(
            "with spans (from_ms, until_ms, offset_ms) as materialized (
                 select cast(v.value ->> 0 as bigint), cast(v.value ->> 1 as bigint),
                        cast(v.value ->> 2 as bigint) from ",
            $rows,
            "$1",
            $end,
            " v),
             features (word) as materialized (select v.value ->> 0 from ",
            $rows,
            "$2",
            $end,
            " v),
             grouped as materialized (select ",
            dimension!("$3", $month),
            " as one, ",
            dimension!("$4", $month),
            " as two,
                    cast(sum(r.requests) as bigint) as requests,
                    cast(sum(r.failed) as bigint) as failed,
                    cast(sum(r.unpriced) as bigint) as unpriced,
                    cast(sum(r.estimated) as bigint) as estimated,
                    cast(sum(r.input) as bigint) as input,
                    cast(sum(r.cache_read) as bigint) as cache_read,
                    cast(sum(r.cache_write_5m) as bigint) as cache_write_5m,
                    cast(sum(r.cache_write_1h) as bigint) as cache_write_1h,
                    cast(sum(r.audio_in) as bigint) as audio_in,
                    cast(sum(r.image_in) as bigint) as image_in,
                    cast(sum(r.output) as bigint) as output,
                    cast(sum(r.reasoning) as bigint) as reasoning,
                    cast(sum(r.audio_out) as bigint) as audio_out,
                    cast(sum(r.cost_nano_usd) as bigint) as cost_nano_usd,
                    cast(sum(r.latency_ms) as bigint) as latency_ms,
                    cast(sum(r.first_token_ms) as bigint) as first_token_ms,
                    cast(sum(r.first_tokens) as bigint) as first_tokens
             from spans s cross join usage_rollups r cross join features f
             where r.hour_ms >= s.from_ms and r.hour_ms < s.until_ms
               and ",
            $who,
            " and ($5 is null or r.user_id in (select v.value ->> 0 from ",
            $rows,
            "$5",
            $end,
            " v))
               and ($6 is null or r.team_id in (select v.value ->> 0 from ",
            $rows,
            "$6",
            $end,
            " v))
               and ($7 is null or r.key_id in (select v.value ->> 0 from ",
            $rows,
            "$7",
            $end,
            " v))
               and ($8 is null or r.provider = $8)
               and ($9 is null or r.model = $9 or r.provider || '/' || r.model = $9)
               and ($10 is null or ',' || r.features || ',' like '%,' || $10 || ',%')
               and case $11 when 'none' then r.tag = '' when 'any' then r.tag <> ''
                            when 'one' then r.tag = $12
                            else substr(r.tag, 1, length($12)) = $12 end
               and case f.word when '*' then true when '' then r.features = ''
                   else ',' || r.features || ',' like '%,' || f.word || ',%' end
             group by 1, 2
             order by 16 desc, 3 desc, 1, 2 limit $13)
             select ",
            named!("$3", "one"),
            " as group_value, ",
            named!("$4", "two"),
            " as subgroup_value, requests, failed, unpriced, estimated, input, cache_read,
                    cache_write_5m, cache_write_1h, audio_in, image_in, output, reasoning,
                    audio_out, cost_nano_usd, latency_ms, first_token_ms, first_tokens
             from grouped order by cost_nano_usd desc, requests desc, 1, 2"
        )
    };
    ($who:literal) => {
        Text {
            sqlite: sums!(
                "jsonb_each(",
                ")",
                "strftime('%Y-%m', (r.hour_ms + s.offset_ms) / 1000, 'unixepoch')",
                $who
            ),
            postgres: sums!(
                "jsonb_array_elements(cast(",
                " as jsonb))",
                "to_char(to_timestamp((r.hour_ms + s.offset_ms) / 1000) at time zone 'UTC',
                         'YYYY-MM')",
                $who
            ),
        }
    };
}

pub(super) const OF_ALL: Text = sums!("$14 is null");
pub(super) const OF_USER: Text = sums!("r.user_id = $14");

/// How a rollup's label must be.
fn tags(grouping: &Grouping, filter: &UsageFilter) -> (&'static str, String) {
    match &filter.tag {
        None if grouping.is_by(Dimension::Tag) => ("any", String::new()),
        None => ("none", String::new()),
        Some(tag) => match &tag.value {
            Some(value) => ("one", format!("{}={value}", tag.name)),
            None => ("named", format!("{}=", tag.name)),
        },
    }
}

/// Every feature where they are grouped by, else one line for any.
fn features(grouping: &Grouping) -> Vec<[&'static str; 1]> {
    if grouping.is_by(Dimension::Feature) {
        Feature::ALL.iter().map(|feature| [feature.as_str()]).chain([[""]]).collect()
    } else {
        vec![["*"]]
    }
}

impl Store {
    /// What calls come to, by group. The dearest group comes first.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn usage_sums(
        &self,
        grouping: &Grouping,
        filter: &UsageFilter,
    ) -> Result<Vec<GroupRow>, StoreError> {
        self.catch_up().await?;
        let scope = self.scope(filter).await?;
        let who = scope::only(scope.users.as_ref());
        let text = if who.is_some() { OF_USER } else { OF_ALL };
        let text = self.pool.text(text);
        let (since, until) = (filter.since_ms.unwrap_or(0), filter.until_ms.unwrap_or(i64::MAX));
        let mut spans: Vec<_> =
            grouping.spans.iter().map(|s| (s.from_ms, s.until_ms, s.offset_ms)).collect();
        if spans.is_empty() {
            spans.push((since, until, 0));
        }
        let word = |dimension: Option<Dimension>| dimension.map_or("", Dimension::as_str);
        let (tag_is, tag) = tags(grouping, filter);
        Ok(on!(&self.pool, db => sqlx::query_as(text)
            .bind(json::text(&spans)?)
            .bind(json::text(features(grouping))?)
            .bind(word(grouping.first))
            .bind(word(grouping.second))
            .bind(scope::list(scope.users.as_ref())?)
            .bind(scope::list(scope.teams.as_ref())?)
            .bind(scope::list(scope.keys.as_ref())?)
            .bind(filter.provider.as_deref())
            .bind(filter.model.as_deref())
            .bind(filter.feature.as_deref())
            .bind(tag_is)
            .bind(&tag)
            .bind(i64::from(grouping.limit))
            .bind(who)
            .fetch_all(db)
            .await)?)
    }

    /// The first and the last hour that have sums.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn usage_hours(&self) -> Result<Option<(i64, i64)>, StoreError> {
        self.catch_up().await?;
        let text = "select (select min(hour_ms) from usage_rollups),
                           (select max(hour_ms) from usage_rollups)";
        let (first, last): (Option<i64>, Option<i64>) =
            on!(&self.pool, db => sqlx::query_as(text).fetch_one(db).await)?;
        Ok(first.zip(last))
    }
}
