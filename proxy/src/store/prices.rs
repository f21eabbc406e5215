//! Prices that were set in the database, every one that ever was.

use sqlx::FromRow;

/// A price from some moment on.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct PriceRow {
    /// Its id; later ones are larger.
    pub id: String,
    /// `provider/model`, or the beginning of such names and a `*`.
    pub model: String,
    /// JSON of the price, as in the configuration.
    pub entry: String,
    /// From when on it counts.
    pub effective_ms: i64,
    /// When it was set.
    pub created_ms: i64,
    /// When it was taken back; absent while it is not.
    pub ended_ms: Option<i64>,
}
