//! Reports over usage entries: sums by group, and the newest rows themselves.

use super::{EntryRow, Store, StoreError, Tokens, engine::on};
use sqlx::FromRow;

/// Which entries a report is about; an absent field stands for any.
#[derive(Clone, Debug, Default)]
pub struct UsageFilter {
    /// Only this user's, by name.
    pub user: Option<String>,
    /// Only this user's, by id: the bound of a caller who is no administrator.
    pub user_id: Option<String>,
    /// Only this key's.
    pub key_id: Option<String>,
    /// Only this provider's.
    pub provider: Option<String>,
    /// Only this model's, bare or as `provider/model`.
    pub model: Option<String>,
    /// Started at or after.
    pub since_ms: Option<i64>,
    /// Started before.
    pub until_ms: Option<i64>,
}

/// An entry with its user's name.
#[derive(Clone, Debug, FromRow)]
pub struct NamedEntry {
    /// Name of the user.
    pub user_name: String,
    /// The entry.
    #[sqlx(flatten)]
    pub entry: EntryRow,
}

/// One line of a report: the entries that share a value.
#[derive(Clone, Debug, Default, FromRow)]
pub struct GroupRow {
    /// The value grouped by; days are numbered since 1970-01-01.
    pub group_value: String,
    /// How many requests.
    pub requests: i64,
    /// How many of them had no price.
    pub unpriced: i64,
    /// Cost of those that had one.
    pub cost_nano_usd: i64,
    /// 1 when any was estimated.
    pub estimated: i64,
    /// Tokens by kind.
    #[sqlx(flatten)]
    pub tokens: Tokens,
}

/// A query with `$1` to `$7` bound.
macro_rules! bind_filter {
    ($text:expr, $filter:expr) => {
        sqlx::query_as($text)
            .bind($filter.user.as_deref())
            .bind($filter.user_id.as_deref())
            .bind($filter.key_id.as_deref())
            .bind($filter.provider.as_deref())
            .bind($filter.model.as_deref())
            .bind($filter.since_ms)
            .bind($filter.until_ms)
    };
}

impl Store {
    /// Sums entries by `user`, `key`, `provider`, `model`, `day` (UTC) or, with any other word,
    /// all together. The dearest group comes first.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn usage_groups(
        &self,
        group_by: &str,
        filter: &UsageFilter,
    ) -> Result<Vec<GroupRow>, StoreError> {
        let text =
            "select case $8 when 'user' then u.name when 'key' then e.key_id
                            when 'provider' then e.provider
                            when 'model' then e.provider || '/' || e.model
                            when 'day' then cast(e.started_ms / 86400000 as text)
                            else '' end as group_value,
                    count(*) as requests,
                    cast(coalesce(sum(case when e.cost_nano_usd is null then 1 else 0 end), 0) as bigint)
                        as unpriced,
                    cast(coalesce(sum(e.cost_nano_usd), 0) as bigint) as cost_nano_usd,
                    coalesce(max(e.estimated), 0) as estimated,
                    cast(coalesce(sum(e.input), 0) as bigint) as input,
                    cast(coalesce(sum(e.cache_read), 0) as bigint) as cache_read,
                    cast(coalesce(sum(e.cache_write_5m), 0) as bigint) as cache_write_5m,
                    cast(coalesce(sum(e.cache_write_1h), 0) as bigint) as cache_write_1h,
                    cast(coalesce(sum(e.audio_in), 0) as bigint) as audio_in,
                    cast(coalesce(sum(e.image_in), 0) as bigint) as image_in,
                    cast(coalesce(sum(e.output), 0) as bigint) as output,
                    cast(coalesce(sum(e.reasoning), 0) as bigint) as reasoning,
                    cast(coalesce(sum(e.audio_out), 0) as bigint) as audio_out
             from usage_entries e join users u on u.id = e.user_id
             where ($1 is null or u.name = $1) and ($2 is null or e.user_id = $2)
               and ($3 is null or e.key_id = $3) and ($4 is null or e.provider = $4)
               and ($5 is null or e.model = $5 or e.provider || '/' || e.model = $5)
               and ($6 is null or e.started_ms >= $6) and ($7 is null or e.started_ms < $7)
             group by 1 order by 4 desc, 2 desc, 1";
        Ok(on!(&self.pool, db => bind_filter!(text, filter).bind(group_by).fetch_all(db).await)?)
    }

    /// The newest entries themselves.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn usage_rows(
        &self,
        filter: &UsageFilter,
        limit: u32,
    ) -> Result<Vec<NamedEntry>, StoreError> {
        let text =
            "select u.name as user_name, e.request_id, e.attempt, e.user_id, e.key_id, e.team_id,
                    e.provider, e.model, e.asked_model, e.dialect, e.features, e.streamed,
                    e.disposition, e.finish, e.error, e.estimated, e.clamped, e.input,
                    e.cache_read, e.cache_write_5m, e.cache_write_1h, e.audio_in, e.image_in,
                    e.output, e.reasoning, e.audio_out, e.tool_fees, e.cost_nano_usd, e.price,
                    e.price_version, e.started_ms, e.first_token_ms, e.latency_ms,
                    e.upstream_request_id, e.tags
             from usage_entries e join users u on u.id = e.user_id
             where ($1 is null or u.name = $1) and ($2 is null or e.user_id = $2)
               and ($3 is null or e.key_id = $3) and ($4 is null or e.provider = $4)
               and ($5 is null or e.model = $5 or e.provider || '/' || e.model = $5)
               and ($6 is null or e.started_ms >= $6) and ($7 is null or e.started_ms < $7)
             order by e.started_ms desc, e.request_id desc limit $8";
        let limit = i64::from(limit);
        Ok(on!(&self.pool, db => bind_filter!(text, filter).bind(limit).fetch_all(db).await)?)
    }
}
