//! Usage entries: one immutable row per request that reached a provider.

mod new;

pub use new::{Kind, NewEntry};

use super::{
    StoreError, Tokens,
    books::{Booking, json, shares_text},
    engine::{Engine, Link, rows_of_parameter},
};
use serde::{Deserialize, Serialize, Serializer};
use sqlx::{AssertSqlSafe, FromRow, SqliteConnection};
use std::sync::Arc;

/// One request that reached a provider. Also the draft that an open hold carries, so that a
/// request whose server died still has its row; see [`NewEntry`].
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

pub(super) fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// JSON without a field.
fn nothing() -> String {
    "{}".to_owned()
}

fn is_nothing(json: &str) -> bool {
    json == "{}"
}

/// The columns, in the order of [`NewEntry::cells`].
macro_rules! columns {
    () => {
        "(request_id, attempt, user_id, key_id, team_id, provider, model, asked_model, dialect,
          features, streamed, disposition, finish, error, estimated, clamped, input, cache_read,
          cache_write_5m, cache_write_1h, audio_in, image_in, output, reasoning, audio_out,
          tool_fees, cost_nano_usd, price, price_version, started_ms, first_token_ms, latency_ms,
          upstream_request_id, tags, charges)"
    };
}

/// How many columns there are.
const COLUMNS: usize = 35;

/// Bare `on conflict`: partitioned entries have their time in the key too.
macro_rules! insert_entries {
    ($rows:expr) => {
        concat!(
            "insert into usage_entries ",
            $crate::store::entries::columns!(),
            "select e.value ->> 0, cast(e.value ->> 1 as bigint), e.value ->> 2, e.value ->> 3,
                    e.value ->> 4, e.value ->> 5, e.value ->> 6, e.value ->> 7, e.value ->> 8,
                    e.value ->> 9, cast(e.value ->> 10 as bigint), e.value ->> 11, e.value ->> 12,
                    e.value ->> 13, cast(e.value ->> 14 as bigint), cast(e.value ->> 15 as bigint),
                    cast(e.value ->> 16 as bigint), cast(e.value ->> 17 as bigint),
                    cast(e.value ->> 18 as bigint), cast(e.value ->> 19 as bigint),
                    cast(e.value ->> 20 as bigint), cast(e.value ->> 21 as bigint),
                    cast(e.value ->> 22 as bigint), cast(e.value ->> 23 as bigint),
                    cast(e.value ->> 24 as bigint), e.value ->> 25, cast(e.value ->> 26 as bigint),
                    e.value ->> 27, e.value ->> 28, cast(e.value ->> 29 as bigint),
                    cast(e.value ->> 30 as bigint), cast(e.value ->> 31 as bigint), e.value ->> 32,
                    e.value ->> 33, e.value ->> 34
             from ",
            $rows,
            " e on conflict do nothing"
        )
    };
}

pub(super) use {columns, insert_entries};

/// Rows of one statement in SQLite, the largest that there are enough rows for: a few sizes, so
/// that a few statements are compiled.
const SIZES: [usize; 4] = [64, 16, 4, 1];

impl NewEntry {
    /// Inserts entries. SQLite reads cells that are bound much faster than those of JSON.
    pub(super) async fn insert_all(
        bookings: &[Booking],
        link: &mut Link,
    ) -> Result<(), StoreError> {
        match link {
            Engine::Sqlite(link) => insert_bound(&lines_of(bookings)?, link).await,
            Engine::Postgres(link) => {
                sqlx::query(insert_entries!(rows_of_parameter!("$1")))
                    .bind(rows_of(bookings)?)
                    .execute(link)
                    .await?;
                Ok(())
            }
        }
    }

    fn cells<'e>(&'e self, charges: &'e str) -> impl Iterator<Item = Cell<'e>> {
        let kind = &*self.kind;
        let before: [Cell<'e>; 16] = [
            self.request_id.as_str().into(),
            kind.attempt.into(),
            (&*kind.user_id).into(),
            (&*kind.key_id).into(),
            kind.team_id.as_deref().into(),
            (&*kind.provider).into(),
            (&*kind.model).into(),
            (&*kind.asked_model).into(),
            (&*kind.dialect).into(),
            (&*kind.features).into(),
            kind.streamed.into(),
            (&*kind.disposition).into(),
            kind.finish.as_deref().into(),
            kind.error.as_deref().into(),
            kind.estimated.into(),
            kind.clamped.into(),
        ];
        let behind: [Cell<'e>; 10] = [
            (&*kind.tool_fees).into(),
            self.cost_nano_usd.into(),
            kind.price.as_deref().into(),
            kind.price_version.as_deref().into(),
            self.started_ms.into(),
            self.first_token_ms.into(),
            self.latency_ms.into(),
            self.upstream_request_id.as_deref().into(),
            (&*kind.tags).into(),
            charges.into(),
        ];
        let tokens = self.tokens.in_order().map(Cell::Number);
        before.into_iter().chain(tokens).chain(behind)
    }
}

fn lines_of(bookings: &[Booking]) -> Result<Vec<Line<'_>>, StoreError> {
    let mut lines = Vec::with_capacity(bookings.len());
    for booking in bookings {
        lines.push(Line { entry: &booking.entry, charges: shares_text(&booking.charges)? });
    }
    Ok(lines)
}

/// Entries as they travel to PostgreSQL.
pub(super) fn rows_of(bookings: &[Booking]) -> Result<String, StoreError> {
    json::text(lines_of(bookings)?)
}

async fn insert_bound(
    mut lines: &[Line<'_>],
    link: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let mut before = vec![Bound::default(); COLUMNS];
    while !lines.is_empty() {
        let size = SIZES.into_iter().find(|size| *size <= lines.len()).unwrap_or(1);
        let (these, later) = lines.split_at(size);
        let mut query = sqlx::query(AssertSqlSafe(insert_text(size)));
        for line in these {
            for (cell, before) in line.entry.cells(&line.charges).zip(&mut before) {
                query = match cell {
                    Cell::Number(number) => query.bind(number),
                    Cell::Text(text) => query.bind(before.or(text)),
                    Cell::Null => query.bind(None::<i64>),
                };
            }
        }
        query.execute(&mut *link).await?;
        lines = later;
    }
    Ok(())
}

/// What the row before had in a column: mostly what the next one has there.
#[derive(Clone, Default)]
struct Bound<'e> {
    text: &'e str,
    bound: Arc<str>,
}

impl<'e> Bound<'e> {
    fn or(&mut self, text: &'e str) -> Arc<str> {
        // Entries of one kind have the same text in the same place.
        if !std::ptr::eq(text, self.text) && text != self.text {
            *self = Self { text, bound: json::without_nul(text) };
        }
        Arc::clone(&self.bound)
    }
}

fn insert_text(rows: usize) -> String {
    let row = format!("({}?)", "?, ".repeat(COLUMNS - 1));
    let before = concat!("insert into usage_entries ", columns!(), " values ");
    let others = format!(", {row}").repeat(rows.saturating_sub(1));
    format!("{before}{row}{others} on conflict do nothing")
}

/// One cell of a row.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
enum Cell<'e> {
    Number(i64),
    Text(&'e str),
    Null,
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl<'e> From<&'e str> for Cell<'e> {
    fn from(text: &'e str) -> Self {
        Self::Text(text)
    }
}

impl<'e, T: Into<Cell<'e>>> From<Option<T>> for Cell<'e> {
    fn from(cell: Option<T>) -> Self {
        cell.map_or(Self::Null, Into::into)
    }
}

/// An entry as it travels: an array in the order of the columns.
struct Line<'e> {
    entry: &'e NewEntry,
    charges: String,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.entry.cells(&self.charges))
    }
}
