//! Limits: made, changed, deleted.

use super::{
    AdminError, Gone, Mandate, Office, Start, Work,
    amounts::given,
    names::{check_pattern, something},
};
use crate::{
    access::{LONGEST_QUEUE, MOST_REQUESTS, MOST_TOKENS},
    ids::new_id,
    store::LimitRow,
};
use serde::{Deserialize, Serialize};

/// A limit to be made. It has one owner.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitOrder {
    /// The user whose keys it counts together, by name or id.
    pub user: Option<String>,
    /// The team whose users it counts together, by name or id.
    pub team: Option<String>,
    /// The organisation that it counts together, by name or id.
    pub organisation: Option<String>,
    /// Id of the key that it limits, with those delegated from it.
    pub key: Option<String>,
    /// Pattern of the models whose calls it counts together, as `provider/model`.
    pub model: Option<String>,
    /// Requests a minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, in and out.
    pub tokens_per_minute: Option<u64>,
    /// Calls at once.
    pub concurrent: Option<u64>,
    /// How long a call may wait for its turn; 0: not at all.
    pub queue_ms: u64,
}

/// What is changed of a limit; what is absent stays, `null` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitPatch {
    /// Requests a minute.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<Option<u64>>,
    /// Tokens a minute, in and out.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<Option<u64>>,
    /// Calls at once.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<Option<u64>>,
    /// How long a call may wait for its turn; 0: not at all.
    pub queue_ms: Option<u64>,
}

/// A limit as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitView {
    /// ULID.
    pub id: String,
    /// `key`, `user`, `team`, `organisation` or `model`.
    pub owner_kind: String,
    /// Id of the owner, or the pattern of the models.
    pub owner_id: String,
    /// Name of the owner, or of the key's user.
    pub owner: String,
    /// Requests a minute; `null`: not limited.
    pub requests_per_minute: Option<i64>,
    /// Tokens a minute, in and out; `null`: not limited.
    pub tokens_per_minute: Option<i64>,
    /// Calls at once; `null`: not limited.
    pub concurrent: Option<i64>,
    /// How long a call may wait for its turn.
    pub queue_ms: i64,
    /// When it was made.
    pub created_ms: i64,
}

impl LimitView {
    /// Of a row.
    pub fn of(row: &LimitRow) -> Self {
        Self {
            id: row.id.clone(),
            owner_kind: row.owner_kind.clone(),
            owner_id: row.owner_id.clone(),
            owner: row.owner_name.clone(),
            requests_per_minute: row.requests_per_minute,
            tokens_per_minute: row.tokens_per_minute,
            concurrent: row.concurrent,
            queue_ms: row.queue_ms,
            created_ms: row.created_ms,
        }
    }
}

impl Office {
    /// Makes a limit. It counts within a second, on every server.
    ///
    /// # Errors
    /// When a value makes no sense or there is no such owner; any database failure.
    pub async fn create_limit(
        &self,
        mandate: &Mandate,
        order: LimitOrder,
    ) -> Result<LimitView, AdminError> {
        let mut row = LimitRow { id: new_id(self.clock()), ..LimitRow::default() };
        order.allowed().apply(&mut row)?;
        let mut work = match self.begin(mandate, "limit.create", &order).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        (row.owner_kind, row.owner_id, row.owner_name) = owner_of(&mut work, &order).await?;
        row.created_ms = work.now_ms;
        work.change.insert_limit(&row).await?;
        let view = LimitView::of(&row);
        let answer = view.clone();
        work.finish(format!("limit:{}", row.id), None::<&()>, Some(&view), answer).await
    }

    /// Every living limit, by owner.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn limits(&self) -> Result<Vec<LimitView>, AdminError> {
        Ok(self.store().limits().await?.iter().map(LimitView::of).collect())
    }

    /// A living limit.
    ///
    /// # Errors
    /// When there is none; any database failure.
    pub async fn limit(&self, id: &str) -> Result<LimitView, AdminError> {
        let found = self.limits().await?.into_iter().find(|limit| limit.id == id);
        found.ok_or_else(|| AdminError::unknown("limit", id))
    }

    /// Changes a limit. A changed rate starts afresh.
    ///
    /// # Errors
    /// When a value makes no sense or there is no such limit; any database failure.
    pub async fn update_limit(
        &self,
        mandate: &Mandate,
        id: &str,
        patch: LimitPatch,
    ) -> Result<LimitView, AdminError> {
        something(&patch)?;
        let mut work = match self.begin(mandate, "limit.update", &(id, &patch)).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        let row = work.change.limit(id).await?;
        let mut row = row.ok_or_else(|| AdminError::unknown("limit", id))?;
        let before = LimitView::of(&row);
        patch.apply(&mut row)?;
        let after = LimitView::of(&row);
        if before == after {
            return work.keep(after).await;
        }
        work.change.update_limit(&row).await?;
        let answer = after.clone();
        work.finish(format!("limit:{id}"), Some(&before), Some(&after), answer).await
    }

    /// Deletes a limit: within a second it no longer limits anything. Deleting it once more changes
    /// nothing.
    ///
    /// # Errors
    /// When there never was such a limit; any database failure.
    pub async fn delete_limit(&self, mandate: &Mandate, id: &str) -> Result<Gone, AdminError> {
        let mut work = match self.begin(mandate, "limit.delete", &id).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        let answer = |changed| Gone { id: id.to_owned(), changed };
        let Some(row) = work.change.limit(id).await? else {
            if work.change.limit_was_deleted(id).await? {
                return work.keep(answer(false)).await;
            }
            return Err(AdminError::unknown("limit", id));
        };
        work.change.delete_limit(id, work.now_ms).await?;
        let before = LimitView::of(&row);
        work.finish(format!("limit:{id}"), Some(&before), None::<&()>, answer(true)).await
    }
}

impl LimitOrder {
    fn allowed(&self) -> LimitPatch {
        LimitPatch {
            requests_per_minute: Some(self.requests_per_minute),
            tokens_per_minute: Some(self.tokens_per_minute),
            concurrent: Some(self.concurrent),
            queue_ms: Some(self.queue_ms),
        }
    }
}

impl LimitPatch {
    /// Changes a row.
    ///
    /// # Errors
    /// When a value is too large, or nothing would be limited.
    fn apply(&self, row: &mut LimitRow) -> Result<(), AdminError> {
        if let Some(number) = self.requests_per_minute {
            row.requests_per_minute =
                within("requests_per_minute", number, u64::from(MOST_REQUESTS))?;
        }
        if let Some(number) = self.tokens_per_minute {
            row.tokens_per_minute = within("tokens_per_minute", number, MOST_TOKENS)?;
        }
        if let Some(number) = self.concurrent {
            row.concurrent = within("concurrent", number, u64::from(u32::MAX))?;
        }
        let longest = u64::try_from(LONGEST_QUEUE.as_millis()).unwrap_or(u64::MAX);
        row.queue_ms = within("queue_ms", self.queue_ms, longest)?.unwrap_or(row.queue_ms);
        match (row.requests_per_minute, row.tokens_per_minute, row.concurrent) {
            (None, None, None) => Err(AdminError::invalid(
                "",
                "this would limit nothing: say how many requests, tokens or calls at once",
            )),
            _ => Ok(()),
        }
    }
}

fn within(field: &'static str, number: Option<u64>, most: u64) -> Result<Option<i64>, AdminError> {
    match number {
        Some(number) if number > most => {
            Err(AdminError::invalid(field, format!("{field} is {number}, at most {most} will do")))
        }
        number => Ok(number.and_then(|number| i64::try_from(number).ok())),
    }
}

/// Kind, id and name of the one owner.
async fn owner_of(
    work: &mut Work,
    order: &LimitOrder,
) -> Result<(String, String, String), AdminError> {
    let owners = [
        ("user", &order.user),
        ("team", &order.team),
        ("organisation", &order.organisation),
        ("key", &order.key),
        ("model", &order.model),
    ];
    let mut named = owners.into_iter().filter_map(|(kind, name)| Some((kind, name.as_deref()?)));
    let (Some((kind, name)), None) = (named.next(), named.next()) else {
        let one = "name one owner: a user, a team, an organisation, a key or a model";
        return Err(AdminError::invalid("user", one));
    };
    let id = match kind {
        "key" => {
            let key = work.change.key(name).await?.filter(|key| key.revoked_ms.is_none());
            key.map(|key| key.id)
        }
        "model" => {
            check_pattern("model", name)?;
            if name != "*" && !name.contains('/') {
                let message = format!("{name:?} is no model, write it like openai/*");
                return Err(AdminError::invalid("model", message));
            }
            Some(name.to_owned())
        }
        kind => work.change.limit_owner(kind, name).await?,
    };
    let id = id.ok_or_else(|| AdminError::unknown(kind, name))?;
    Ok((kind.to_owned(), id, name.to_owned()))
}
