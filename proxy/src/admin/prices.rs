//! Prices: set from now on or from a moment to come, and taken back. What was used keeps its price.

use super::{AdminError, Mandate, Office, Start};
use crate::{
    config::PriceEntry,
    prices::changes::{self, PriceChangeError, PriceVersion},
};
use serde::{Deserialize, Serialize};

/// Prices to be set, all of them or none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPrices {
    /// As `[[prices]]` of the configuration.
    pub prices: Vec<PriceEntry>,
    /// From when on they count, milliseconds since 1970 UTC; absent: now.
    #[serde(default)]
    pub from_ms: Option<i64>,
}

/// What was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedPrices {
    /// The name that the prices were for.
    pub model: String,
    /// How many there were.
    pub ended: u64,
}

impl From<PriceChangeError> for AdminError {
    fn from(error: PriceChangeError) -> Self {
        match error {
            PriceChangeError::Past => Self::invalid("from_ms", error.to_string()),
            PriceChangeError::Text(error) => error.into(),
            error => Self::invalid("prices", error.to_string()),
        }
    }
}

impl Office {
    /// Sets prices. Entries keep what they were made with.
    ///
    /// # Errors
    /// When any of them is wrong: then none is set.
    pub async fn set_prices(
        &self,
        mandate: &Mandate,
        order: &SetPrices,
    ) -> Result<Vec<PriceVersion>, AdminError> {
        let mut work = match self.begin(mandate, "price.set", order).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        // Checked only now: a repetition may come when the moment that it names is past.
        let rows = changes::rows_of(&order.prices, order.from_ms, self.clock())?;
        if rows.is_empty() {
            return Err(AdminError::invalid("prices", "there is none to set"));
        }
        for row in &rows {
            let before = work.change.prices_of(&row.model).await?;
            let before = changes::versions(&before, work.now_ms);
            work.change.insert_price(row).await?;
            let after = changes::versions(std::slice::from_ref(row), work.now_ms);
            let subject = format!("price:{}", row.model);
            work.record(subject, before.last(), after.first()).await?;
        }
        let answer = changes::versions(&rows, work.now_ms);
        work.keep(answer).await
    }

    /// Takes back the prices that are set for a name, also those of the future: the configuration's
    /// or the vendor's count again.
    ///
    /// # Errors
    /// When there is none.
    pub async fn remove_prices(
        &self,
        mandate: &Mandate,
        model: &str,
    ) -> Result<RemovedPrices, AdminError> {
        let mut work = match self.begin(mandate, "price.remove", &model).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        let before = work.change.prices_of(model).await?;
        if before.is_empty() {
            return Err(AdminError::unknown("price", model));
        }
        work.change.end_prices(model, work.now_ms).await?;
        let ended = u64::try_from(before.len()).unwrap_or(u64::MAX);
        let before = changes::versions(&before, work.now_ms);
        let answer = RemovedPrices { model: model.to_owned(), ended };
        work.finish(format!("price:{model}"), Some(&before), None::<&()>, answer).await
    }
}
