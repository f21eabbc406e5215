//! Usage entries: one immutable row per request that reached a provider.

use super::{
    StoreError, Tokens,
    books::{Booking, json, shares_text},
    engine::{Link, on, with_rows},
};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeSeq};
use sqlx::FromRow;

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
    /// The user's team at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<String>,
    /// Provider that answered.
    pub provider: String,
    /// Model that answered, as the provider calls it.
    pub model: String,
    /// Model as the caller named it.
    pub asked_model: String,
    /// Wire format of the caller: `native`, `openai` ...
    pub dialect: String,
    /// The features that the call used, in order, with commas between them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub features: String,
    /// 1 when the answer was streamed to the caller.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub streamed: i64,
    /// What ended it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub disposition: String,
    /// Why the model stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// Kind of the error that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// 1 when tokens were counted by Tollgate because the provider said nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub estimated: i64,
    /// 1 when the provider reported more than the hold and the charge was cut to it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clamped: i64,
    /// Tokens by kind.
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub tokens: Tokens,
    /// JSON: counted fees of tools that the provider ran.
    #[serde(default = "nothing", skip_serializing_if = "is_nothing")]
    pub tool_fees: String,
    /// Exact cost; absent when the model had no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_nano_usd: Option<i64>,
    /// JSON of the price that was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    /// Where that price came from, and which of its versions it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_version: Option<String>,
    /// When it was admitted.
    pub started_ms: i64,
    /// From admission to the first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<i64>,
    /// From admission to the end.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub latency_ms: i64,
    /// The upstream's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
    /// JSON of the caller's tags.
    #[serde(default = "nothing", skip_serializing_if = "is_nothing")]
    pub tags: String,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// JSON without a field.
fn nothing() -> String {
    "{}".to_owned()
}

fn is_nothing(json: &str) -> bool {
    json == "{}"
}

impl EntryRow {
    /// Inserts entries. Bare `on conflict`: partitioned entries have their time in the key too.
    pub(super) async fn insert_all(
        bookings: &[Booking],
        link: &mut Link,
    ) -> Result<(), StoreError> {
        let mut lines = Vec::with_capacity(bookings.len());
        for booking in bookings {
            lines.push(Line { entry: &booking.entry, charges: shares_text(&booking.charges)? });
        }
        let rows = json::text(lines)?;
        let text = link.text(with_rows!(
            "insert into usage_entries
                (request_id, attempt, user_id, key_id, team_id, provider, model, asked_model,
                 dialect, features, streamed, disposition, finish, error, estimated, clamped,
                 input, cache_read, cache_write_5m, cache_write_1h, audio_in, image_in, output,
                 reasoning, audio_out, tool_fees, cost_nano_usd, price, price_version, started_ms,
                 first_token_ms, latency_ms, upstream_request_id, tags, charges)
             select e.value ->> 0, cast(e.value ->> 1 as bigint), e.value ->> 2, e.value ->> 3,
                    e.value ->> 4, e.value ->> 5, e.value ->> 6, e.value ->> 7, e.value ->> 8,
                    e.value ->> 9, cast(e.value ->> 10 as bigint), e.value ->> 11, e.value ->> 12,
                    e.value ->> 13, cast(e.value ->> 14 as bigint),
                    cast(e.value ->> 15 as bigint), cast(e.value ->> 16 as bigint),
                    cast(e.value ->> 17 as bigint), cast(e.value ->> 18 as bigint),
                    cast(e.value ->> 19 as bigint), cast(e.value ->> 20 as bigint),
                    cast(e.value ->> 21 as bigint), cast(e.value ->> 22 as bigint),
                    cast(e.value ->> 23 as bigint), cast(e.value ->> 24 as bigint),
                    e.value ->> 25, cast(e.value ->> 26 as bigint), e.value ->> 27,
                    e.value ->> 28, cast(e.value ->> 29 as bigint),
                    cast(e.value ->> 30 as bigint), cast(e.value ->> 31 as bigint),
                    e.value ->> 32, e.value ->> 33, e.value ->> 34
             from",
            "e where true on conflict do nothing"
        ));
        on!(link, db => sqlx::query(text).bind(rows).execute(&mut *db).await.map(drop))?;
        Ok(())
    }
}

/// An entry as it travels: an array in the order of the columns.
struct Line<'e> {
    entry: &'e EntryRow,
    charges: String,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { entry, charges } = self;
        let mut cells = serializer.serialize_seq(Some(35))?;
        cells.serialize_element(&entry.request_id)?;
        cells.serialize_element(&entry.attempt)?;
        cells.serialize_element(&entry.user_id)?;
        cells.serialize_element(&entry.key_id)?;
        cells.serialize_element(&entry.team_id)?;
        cells.serialize_element(&entry.provider)?;
        cells.serialize_element(&entry.model)?;
        cells.serialize_element(&entry.asked_model)?;
        cells.serialize_element(&entry.dialect)?;
        cells.serialize_element(&entry.features)?;
        cells.serialize_element(&entry.streamed)?;
        cells.serialize_element(&entry.disposition)?;
        cells.serialize_element(&entry.finish)?;
        cells.serialize_element(&entry.error)?;
        cells.serialize_element(&entry.estimated)?;
        cells.serialize_element(&entry.clamped)?;
        for count in entry.tokens.in_order() {
            cells.serialize_element(&count)?;
        }
        cells.serialize_element(&entry.tool_fees)?;
        cells.serialize_element(&entry.cost_nano_usd)?;
        cells.serialize_element(&entry.price)?;
        cells.serialize_element(&entry.price_version)?;
        cells.serialize_element(&entry.started_ms)?;
        cells.serialize_element(&entry.first_token_ms)?;
        cells.serialize_element(&entry.latency_ms)?;
        cells.serialize_element(&entry.upstream_request_id)?;
        cells.serialize_element(&entry.tags)?;
        cells.serialize_element(charges)?;
        cells.end()
    }
}
