//! Usage entries: one immutable row per request that reached a provider.

use super::{StoreError, Tokens};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, SqliteConnection};

/// One request that reached a provider. Also the draft that an open hold carries, so that a
/// request whose server died still has its row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, FromRow)]
pub struct EntryRow {
    /// Tollgate's id of the request.
    pub request_id: String,
    /// 1 for the first attempt.
    pub attempt: i64,
    /// Who asked.
    pub user_id: String,
    /// With which key.
    pub key_id: String,
    /// Provider that answered.
    pub provider: String,
    /// Model that answered, as the provider calls it.
    pub model: String,
    /// Model as the caller named it.
    pub asked_model: String,
    /// Wire format of the caller: `native`, `openai` ...
    pub dialect: String,
    /// 1 when the answer was streamed to the caller.
    pub streamed: i64,
    /// What ended it.
    pub disposition: String,
    /// Why the model stopped.
    pub finish: Option<String>,
    /// Kind of the error that ended it.
    pub error: Option<String>,
    /// 1 when tokens were counted by Tollgate because the provider said nothing.
    pub estimated: i64,
    /// 1 when the provider reported more than the hold and the charge was cut to it.
    pub clamped: i64,
    /// Tokens by kind.
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub tokens: Tokens,
    /// JSON: counted fees of tools that the provider ran.
    pub tool_fees: String,
    /// Exact cost; absent when the model had no price.
    pub cost_nano_usd: Option<i64>,
    /// JSON of the price that was applied.
    pub price: Option<String>,
    /// When it was admitted.
    pub started_ms: i64,
    /// From admission to the first token.
    pub first_token_ms: Option<i64>,
    /// From admission to the end.
    pub latency_ms: i64,
    /// The upstream's own id.
    pub upstream_request_id: Option<String>,
    /// JSON of the caller's tags.
    pub tags: String,
}

impl EntryRow {
    /// Inserts the entries of a JSON array; its members are named as the columns are.
    pub(super) async fn insert_all(
        entries: &str,
        connection: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "insert into usage_entries
                (request_id, attempt, user_id, key_id, provider, model, asked_model, dialect,
                 streamed, disposition, finish, error, estimated, clamped, input, cache_read,
                 cache_write_5m, cache_write_1h, audio_in, image_in, output, reasoning, audio_out,
                 tool_fees, cost_nano_usd, price, started_ms, first_token_ms, latency_ms,
                 upstream_request_id, tags)
             select e.value ->> 'request_id', cast(e.value ->> 'attempt' as bigint),
                    e.value ->> 'user_id', e.value ->> 'key_id', e.value ->> 'provider',
                    e.value ->> 'model', e.value ->> 'asked_model', e.value ->> 'dialect',
                    cast(e.value ->> 'streamed' as bigint), e.value ->> 'disposition',
                    e.value ->> 'finish', e.value ->> 'error',
                    cast(e.value ->> 'estimated' as bigint), cast(e.value ->> 'clamped' as bigint),
                    cast(e.value ->> 'input' as bigint), cast(e.value ->> 'cache_read' as bigint),
                    cast(e.value ->> 'cache_write_5m' as bigint),
                    cast(e.value ->> 'cache_write_1h' as bigint),
                    cast(e.value ->> 'audio_in' as bigint), cast(e.value ->> 'image_in' as bigint),
                    cast(e.value ->> 'output' as bigint), cast(e.value ->> 'reasoning' as bigint),
                    cast(e.value ->> 'audio_out' as bigint), e.value ->> 'tool_fees',
                    cast(e.value ->> 'cost_nano_usd' as bigint), e.value ->> 'price',
                    cast(e.value ->> 'started_ms' as bigint),
                    cast(e.value ->> 'first_token_ms' as bigint),
                    cast(e.value ->> 'latency_ms' as bigint), e.value ->> 'upstream_request_id',
                    e.value ->> 'tags'
             from jsonb_each($1) e
             where true on conflict (request_id, attempt) do nothing",
        )
        .bind(entries)
        .execute(connection)
        .await?;
        Ok(())
    }
}
