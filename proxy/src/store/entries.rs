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
    pub(super) async fn insert(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query(
            "insert into usage_entries
                 (request_id, attempt, user_id, key_id, provider, model, asked_model, dialect,
                  streamed, disposition, finish, error, estimated, clamped, input, cache_read,
                  cache_write_5m, cache_write_1h, audio_in, image_in, output, reasoning, audio_out,
                  tool_fees, cost_nano_usd, price, started_ms, first_token_ms, latency_ms,
                  upstream_request_id, tags)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                     $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31)
             on conflict (request_id, attempt) do nothing",
        )
        .bind(&self.request_id)
        .bind(self.attempt)
        .bind(&self.user_id)
        .bind(&self.key_id)
        .bind(&self.provider)
        .bind(&self.model)
        .bind(&self.asked_model)
        .bind(&self.dialect)
        .bind(self.streamed)
        .bind(&self.disposition)
        .bind(&self.finish)
        .bind(&self.error)
        .bind(self.estimated)
        .bind(self.clamped)
        .bind(self.tokens.input)
        .bind(self.tokens.cache_read)
        .bind(self.tokens.cache_write_5m)
        .bind(self.tokens.cache_write_1h)
        .bind(self.tokens.audio_in)
        .bind(self.tokens.image_in)
        .bind(self.tokens.output)
        .bind(self.tokens.reasoning)
        .bind(self.tokens.audio_out)
        .bind(&self.tool_fees)
        .bind(self.cost_nano_usd)
        .bind(&self.price)
        .bind(self.started_ms)
        .bind(self.first_token_ms)
        .bind(self.latency_ms)
        .bind(&self.upstream_request_id)
        .bind(&self.tags)
        .execute(connection)
        .await?;
        Ok(())
    }
}
