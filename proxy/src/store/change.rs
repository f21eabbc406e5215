//! Administrative changes: rows and their audit record in one transaction.

mod budgets;
mod keys;
mod organisations;
mod owners;
mod teams;
mod limits;
mod users;

use super::{
    Store, StoreError, Turn,
    audit::{Head, LOCKED_HEAD},
    engine::{Transaction, on},
};

/// Changes that happen together or not at all; dropping it takes everything back.
///
/// It holds the end of the audit trail, so that there is one administrative change at a time, on
/// all servers together: what is read in it stays true until it is committed.
#[derive(Debug)]
pub struct Change {
    pub(super) link: Transaction,
    pub(super) head: Head,
    _turn: Option<Turn>,
}

impl Store {
    /// Begins a change.
    ///
    /// # Errors
    /// `Busy` when another change takes too long; any database failure.
    pub async fn change(&self) -> Result<Change, StoreError> {
        let (mut link, turn) = self.begin().await?;
        let text = link.text(LOCKED_HEAD);
        let head: Option<Head> =
            on!(&mut link, db => sqlx::query_as(text).fetch_optional(&mut **db).await)?;
        let head = head.ok_or_else(|| StoreError::Row("the audit trail has no head".to_owned()))?;
        Ok(Change { link, head, _turn: turn })
    }
}

impl Change {
    /// Makes the change durable.
    ///
    /// # Errors
    /// Any database failure; then nothing was changed, or nobody knows.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.link.commit().await
    }
}
