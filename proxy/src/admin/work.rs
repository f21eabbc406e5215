//! One administrative operation as one transaction: the change, its record, its answer.

use super::{AdminError, Mandate, Office};
use crate::store::{Change, Deed, OperationRow};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// How long a repetition is recognised.
const REMEMBERED_MS: i64 = 24 * 3_600_000;

/// An answer that can be given again. It never holds a secret when it is remembered.
pub trait Repeatable: Serialize + DeserializeOwned {}

impl<T: Serialize + DeserializeOwned> Repeatable for T {}

/// How an operation begins.
#[derive(Debug)]
pub enum Start<A> {
    /// It was not done before.
    First(Box<Work>),
    /// It was done before, with this answer.
    Again(A),
}

/// An operation in progress; dropping it takes everything back.
#[derive(Debug)]
pub struct Work {
    /// Where the rows are changed.
    pub change: Change,
    /// When the operation takes place.
    pub now_ms: i64,
    actor: String,
    action: &'static str,
    /// How a repetition is recognised: its key, and what was asked for.
    once: Option<(String, String)>,
}

impl Office {
    /// Begins an operation: `action` is what is done (`user.create`), `order` everything that was
    /// asked for, the name of the thing included.
    ///
    /// # Errors
    /// `Reused` when the idempotency key belongs to another order; any database failure.
    pub async fn begin<A: Repeatable>(
        &self,
        mandate: &Mandate,
        action: &'static str,
        order: &impl Serialize,
    ) -> Result<Start<A>, AdminError> {
        let order = serde_json::to_value(order)?;
        if has_nul(&order) {
            return Err(AdminError::invalid("", "a text has the character NUL, which none may"));
        }
        let actor = mandate.actor().as_str().to_owned();
        let once = match mandate.idempotency_key() {
            Some(key) => {
                let order = order.to_string();
                Some((digest([&actor, key]), digest([action, &order])))
            }
            None => None,
        };
        let mut change = self.store().change().await?;
        // Read only now, when it is this change's turn: numbers and times of the trail agree.
        let now_ms = self.clock().now_ms();
        change.forget_operations(now_ms.saturating_sub(REMEMBERED_MS)).await?;
        if let Some((key, fingerprint)) = &once
            && let Some(before) = change.operation(key).await?
        {
            if before.fingerprint != *fingerprint {
                return Err(AdminError::Reused);
            }
            return Ok(Start::Again(serde_json::from_str(&before.answer)?));
        }
        Ok(Start::First(Box::new(Work { change, now_ms, actor, action, once })))
    }
}

impl Work {
    /// Records what was changed and makes all of it durable. `before` and `after` are what the
    /// thing was and is, `None` for nothing; neither holds a secret or the hash of one, and nor
    /// does the answer.
    ///
    /// # Errors
    /// Any database failure; then nothing was changed, or nobody knows.
    pub async fn finish<A: Repeatable>(
        mut self,
        subject: String,
        before: Option<&impl Serialize>,
        after: Option<&impl Serialize>,
        answer: A,
    ) -> Result<A, AdminError> {
        self.record(subject, before, after).await?;
        self.keep(answer).await
    }

    /// Records one of several changes of one operation; [`Work::finish`] or [`Work::keep`] follows.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn record(
        &mut self,
        subject: String,
        before: Option<&impl Serialize>,
        after: Option<&impl Serialize>,
    ) -> Result<(), AdminError> {
        let deed = Deed {
            at_ms: self.now_ms,
            actor: self.actor.clone(),
            action: self.action.to_owned(),
            subject,
            before: serde_json::to_string(&before)?,
            after: serde_json::to_string(&after)?,
        };
        Ok(self.change.record(deed).await?)
    }

    /// Remembers the answer for a repetition and makes everything durable, without a record: for
    /// requests that found everything as they want it.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn keep<A: Repeatable>(mut self, answer: A) -> Result<A, AdminError> {
        if let Some((idempotency_key, fingerprint)) = self.once.take() {
            let answer = serde_json::to_string(&answer)?;
            let at_ms = self.now_ms;
            let row = OperationRow { idempotency_key, fingerprint, answer, at_ms };
            self.change.insert_operation(&row).await?;
        }
        self.change.commit().await?;
        Ok(answer)
    }
}

/// Whether a text in it has the character NUL. PostgreSQL takes none, and names of things have none.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.values().any(has_nul),
        _ => false,
    }
}

/// A hash over texts, each told apart from the next.
fn digest(texts: [&str; 2]) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
