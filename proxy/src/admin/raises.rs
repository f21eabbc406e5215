//! Raises: what is added to a budget's cap for a time.

use super::{AdminError, Amount, BudgetView, Mandate, Office, Start, amounts::moment_to_come};
use crate::store::{BudgetRow, StoreError};
use serde::{Deserialize, Serialize};
use tollgate_types::Resource;

/// By how much, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RaiseOrder {
    /// Added to the cap.
    pub by: Amount,
    /// A span from now (`2h`), or RFC 3339.
    pub until: String,
}

impl Office {
    /// Raises a budget's cap for a time, in the place of a raise before; `None` ends one now. What
    /// was spent of a raise stays spent when it ends.
    ///
    /// # Errors
    /// When a value makes no sense or there is no such budget; any database failure.
    pub async fn raise_budget(
        &self,
        mandate: &Mandate,
        id: &str,
        raise: Option<RaiseOrder>,
    ) -> Result<BudgetView, AdminError> {
        let mut work = match self.begin(mandate, "budget.raise", &(id, &raise)).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        let before = work.change.budget(id).await?;
        let before = before.ok_or_else(|| AdminError::unknown("budget", id))?;
        let (raise_amount, raise_until_ms) = match &raise {
            Some(raise) => {
                (by(raise, &before)?, moment_to_come("until", &raise.until, work.now_ms)?)
            }
            None => (0, 0),
        };
        let row = BudgetRow { raise_amount, raise_until_ms, ..before.clone() };
        let (before, after) = (BudgetView::of(&before), BudgetView::of(&row));
        if before == after {
            return work.keep(after).await;
        }
        work.change.update_budget(&row).await?;
        let answer = after.clone();
        work.finish(format!("budget:{id}"), Some(&before), Some(&after), answer).await
    }
}

fn by(raise: &RaiseOrder, budget: &BudgetRow) -> Result<i64, AdminError> {
    let resource: Resource = budget.resource.parse().map_err(StoreError::Row)?;
    let by = raise.by.of(resource).map_err(|message| AdminError::invalid("by", message))?;
    if by == 0 {
        return Err(AdminError::invalid("by", "a raise is more than nothing"));
    }
    Ok(by)
}
