//! Sums of an hour, kept in the same transactions as the entries that they sum.

use super::{Books, Sums, json};
use crate::store::{
    StoreError, Tokens,
    engine::{Text, rows_of_parameter},
};
use serde::{Serialize, Serializer, ser::SerializeSeq};
use sqlx::FromRow;

/// What the entries of one row of sums have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, FromRow)]
pub struct RollupKey {
    /// Start of the hour in which the calls began.
    pub hour_ms: i64,
    /// `name=value`, or empty for the row that counts every entry once.
    pub tag: String,
    /// Who asked.
    pub user_id: String,
    /// With which key.
    pub key_id: String,
    /// The user's team at that time, or empty.
    pub team_id: String,
    /// Who answered.
    pub provider: String,
    /// Model that answered.
    pub model: String,
    /// The features that the calls used, in order, with commas between them.
    pub features: String,
}

/// The sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct RollupRow {
    /// Entries.
    pub requests: i64,
    /// Those that ended with an error.
    pub failed: i64,
    /// Those without a price.
    pub unpriced: i64,
    /// Those with an estimate in them.
    pub estimated: i64,
    /// Tokens by kind.
    #[sqlx(flatten)]
    pub tokens: Tokens,
    /// Nano-dollars.
    pub cost_nano_usd: i64,
    /// From admission to the end, of all entries together.
    pub latency_ms: i64,
    /// From admission to the first token, of all entries that had one.
    pub first_token_ms: i64,
    /// How many entries had one.
    pub first_tokens: i64,
}

impl RollupRow {
    /// Adds other sums.
    pub fn add(&mut self, other: &Self) {
        self.tokens.add(&other.tokens);
        for (mine, theirs) in [
            (&mut self.requests, other.requests),
            (&mut self.failed, other.failed),
            (&mut self.unpriced, other.unpriced),
            (&mut self.estimated, other.estimated),
            (&mut self.cost_nano_usd, other.cost_nano_usd),
            (&mut self.latency_ms, other.latency_ms),
            (&mut self.first_token_ms, other.first_token_ms),
            (&mut self.first_tokens, other.first_tokens),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }
}

/// Adds the rows to those that there are.
macro_rules! add_rollups {
    ($rows:expr) => {
        concat!(
            "insert into usage_rollups
                (hour_ms, tag, user_id, key_id, team_id, provider, model, features, requests,
                 failed, unpriced, estimated, input, cache_read, cache_write_5m, cache_write_1h,
                 audio_in, image_in, output, reasoning, audio_out, cost_nano_usd, latency_ms,
                 first_token_ms, first_tokens)
             select cast(e.value ->> 0 as bigint), e.value ->> 1, e.value ->> 2, e.value ->> 3,
                    e.value ->> 4, e.value ->> 5, e.value ->> 6, e.value ->> 7,
                    cast(e.value ->> 8 as bigint), cast(e.value ->> 9 as bigint),
                    cast(e.value ->> 10 as bigint), cast(e.value ->> 11 as bigint),
                    cast(e.value ->> 12 as bigint), cast(e.value ->> 13 as bigint),
                    cast(e.value ->> 14 as bigint), cast(e.value ->> 15 as bigint),
                    cast(e.value ->> 16 as bigint), cast(e.value ->> 17 as bigint),
                    cast(e.value ->> 18 as bigint), cast(e.value ->> 19 as bigint),
                    cast(e.value ->> 20 as bigint), cast(e.value ->> 21 as bigint),
                    cast(e.value ->> 22 as bigint), cast(e.value ->> 23 as bigint),
                    cast(e.value ->> 24 as bigint)
             from ",
            $rows,
            " e where true
             on conflict (hour_ms, tag, user_id, key_id, team_id, provider, model, features)
             do update set
                requests = usage_rollups.requests + excluded.requests,
                failed = usage_rollups.failed + excluded.failed,
                unpriced = usage_rollups.unpriced + excluded.unpriced,
                estimated = usage_rollups.estimated + excluded.estimated,
                input = usage_rollups.input + excluded.input,
                cache_read = usage_rollups.cache_read + excluded.cache_read,
                cache_write_5m = usage_rollups.cache_write_5m + excluded.cache_write_5m,
                cache_write_1h = usage_rollups.cache_write_1h + excluded.cache_write_1h,
                audio_in = usage_rollups.audio_in + excluded.audio_in,
                image_in = usage_rollups.image_in + excluded.image_in,
                output = usage_rollups.output + excluded.output,
                reasoning = usage_rollups.reasoning + excluded.reasoning,
                audio_out = usage_rollups.audio_out + excluded.audio_out,
                cost_nano_usd = usage_rollups.cost_nano_usd + excluded.cost_nano_usd,
                latency_ms = usage_rollups.latency_ms + excluded.latency_ms,
                first_token_ms = usage_rollups.first_token_ms + excluded.first_token_ms,
                first_tokens = usage_rollups.first_tokens + excluded.first_tokens"
        )
    };
}

pub(super) use add_rollups;

const ADD: Text = Text {
    sqlite: add_rollups!("jsonb_each($1)"),
    postgres: add_rollups!(rows_of_parameter!("$1")),
};

impl Books {
    /// Adds to the sums of hours, in the order of their keys, so that no two servers wait for each
    /// other.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn add_rollups(&mut self, sums: &Sums) -> Result<(), StoreError> {
        if sums.is_empty() {
            return Ok(());
        }
        let rows = rows_of(sums)?;
        self.link.run_with(ADD, rows).await
    }
}

/// Sums as they travel.
pub(super) fn rows_of(sums: &Sums) -> Result<String, StoreError> {
    json::text(sums.iter().map(|(key, row)| Line(key, row)).collect::<Vec<_>>())
}

/// A row as it travels: an array in the order of the columns.
struct Line<'k>(&'k RollupKey, &'k RollupRow);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(key, row) = self;
        let mut cells = serializer.serialize_seq(Some(25))?;
        cells.serialize_element(&key.hour_ms)?;
        for name in [
            &key.tag,
            &key.user_id,
            &key.key_id,
            &key.team_id,
            &key.provider,
            &key.model,
            &key.features,
        ] {
            cells.serialize_element(name)?;
        }
        for count in [row.requests, row.failed, row.unpriced, row.estimated] {
            cells.serialize_element(&count)?;
        }
        for count in row.tokens.in_order() {
            cells.serialize_element(&count)?;
        }
        for sum in [row.cost_nano_usd, row.latency_ms, row.first_token_ms, row.first_tokens] {
            cells.serialize_element(&sum)?;
        }
        cells.end()
    }
}
