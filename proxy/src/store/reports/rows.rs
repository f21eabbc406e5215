//! Single entries, newest first, one page at a time.

use super::{UsageFilter, scope};
use crate::store::{
    EntryRow, Store, StoreError,
    engine::{Text, on},
};
use sqlx::FromRow;

/// An entry with the names of its owners.
#[derive(Clone, Debug, FromRow)]
pub struct NamedEntry {
    /// Name of the user; the id where nobody has it any more.
    pub user_name: String,
    /// Name of the user's team at that time.
    pub team_name: Option<String>,
    /// The entry.
    #[sqlx(flatten)]
    pub entry: EntryRow,
}

/// Where a page ends: the next one begins behind this entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryCursor {
    /// When it was admitted.
    pub started_ms: i64,
    /// Tollgate's id of the request.
    pub request_id: String,
    /// 1 for the first attempt.
    pub attempt: i64,
}

impl NamedEntry {
    /// Where this entry stands.
    pub fn cursor(&self) -> EntryCursor {
        EntryCursor {
            started_ms: self.entry.started_ms,
            request_id: self.entry.request_id.clone(),
            attempt: self.entry.attempt,
        }
    }
}

/// `$1` to `$4` are bounds that every statement has, so that each can use an index for them.
/// An entry whose user is not known is there too.
macro_rules! rows {
    ($rows:literal, $end:literal, $who:literal) => {
        concat!(
            "select coalesce(u.name, e.user_id) as user_name, t.name as team_name,
                    e.request_id, e.attempt, e.user_id, e.key_id, e.team_id,
                    e.provider, e.model, e.asked_model, e.dialect, e.features, e.streamed,
                    e.disposition, e.finish, e.error, e.estimated, e.clamped, e.input,
                    e.cache_read, e.cache_write_5m, e.cache_write_1h, e.audio_in, e.image_in,
                    e.output, e.reasoning, e.audio_out, e.tool_fees, e.cost_nano_usd, e.price,
                    e.price_version, e.started_ms, e.first_token_ms, e.latency_ms,
                    e.upstream_request_id, e.tags
             from usage_entries e left join users u on u.id = e.user_id
                  left join teams t on t.id = e.team_id
             where ",
            $who,
            " and e.started_ms >= $1 and e.started_ms <= $2
               and (e.started_ms, e.request_id, e.attempt) < ($2, $3, $4)
               and ($5 is null or e.user_id in (select v.value ->> 0 from ",
            $rows,
            "$5",
            $end,
            " v))
               and ($6 is null or e.team_id in (select v.value ->> 0 from ",
            $rows,
            "$6",
            $end,
            " v))
               and ($7 is null or e.key_id in (select v.value ->> 0 from ",
            $rows,
            "$7",
            $end,
            " v))
               and ($8 is null or e.provider = $8)
               and ($9 is null or e.model = $9 or e.provider || '/' || e.model = $9)
               and ($10 is null or ',' || e.features || ',' like '%,' || $10 || ',%')
               and ($11 is null or replace(e.tags, $11, '') <> e.tags)
               and ($12 is null or e.disposition = $12)
             order by e.started_ms desc, e.request_id desc, e.attempt desc limit $13"
        )
    };
    ($who:literal) => {
        Text {
            sqlite: rows!("jsonb_each(", ")", $who),
            postgres: rows!("jsonb_array_elements(cast(", " as jsonb))", $who),
        }
    };
}

pub(super) const OF_ALL: Text = rows!("$14 is null");
pub(super) const OF_USER: Text = rows!("e.user_id = $14");
// By the index of the key's user: one more index would cost every entry.
pub(super) const OF_KEY: Text =
    rows!("e.user_id = (select k.user_id from api_keys k where k.id = $14) and e.key_id = $14");

/// A label as it stands in the JSON of an entry's labels.
fn fragment(filter: &UsageFilter) -> Result<Option<String>, StoreError> {
    let Some(tag) = &filter.tag else { return Ok(None) };
    let name = serde_json::to_string(&tag.name)?;
    let value = tag.value.as_ref().map(serde_json::to_string).transpose()?;
    Ok(Some(format!("{name}:{}", value.as_deref().unwrap_or("\""))))
}

impl Store {
    /// The newest entries behind the filter's `before`.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn usage_rows(
        &self,
        filter: &UsageFilter,
        limit: u32,
    ) -> Result<Vec<NamedEntry>, StoreError> {
        self.catch_up().await?;
        let scope = self.scope(filter).await?;
        let [users, teams, keys] = [&scope.users, &scope.teams, &scope.keys];
        let (text, who) = match (scope::only(keys.as_ref()), scope::only(users.as_ref())) {
            (Some(key), _) => (OF_KEY, Some(key)),
            (None, Some(user)) => (OF_USER, Some(user)),
            (None, None) => (OF_ALL, None),
        };
        let (last_ms, id, attempt) = edge(filter);
        let lists = [users, teams, keys].map(|ids| scope::list(ids.as_ref()));
        let [users, teams, keys] = lists;
        let (users, teams, keys, tag) = (users?, teams?, keys?, fragment(filter)?);
        let text = self.pool.text(text);
        Ok(on!(&self.pool, db => sqlx::query_as(text)
            .bind(filter.since_ms.unwrap_or(i64::MIN))
            .bind(last_ms)
            .bind(id)
            .bind(attempt)
            .bind(users)
            .bind(teams)
            .bind(keys)
            .bind(filter.provider.as_deref())
            .bind(filter.model.as_deref())
            .bind(filter.feature.as_deref())
            .bind(tag)
            .bind(filter.disposition.as_deref())
            .bind(i64::from(limit))
            .bind(who)
            .fetch_all(db)
            .await)?)
    }
}

/// Entries stand before this: the filter's end, or its `before` where that is earlier.
fn edge(filter: &UsageFilter) -> (i64, &str, i64) {
    let end = (filter.until_ms.unwrap_or(i64::MAX), "", 0);
    match &filter.before {
        Some(before) if before.started_ms < end.0 => {
            (before.started_ms, &before.request_id, before.attempt)
        }
        _ => end,
    }
}
