//! Whose calls a filter is about: its names, looked up.

use super::UsageFilter;
use crate::store::{Store, StoreError, books::json, engine::on};
use std::collections::BTreeSet;

/// Ids that a report is bound to; absent where it is not.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub users: Option<BTreeSet<String>>,
    pub teams: Option<BTreeSet<String>>,
    pub keys: Option<BTreeSet<String>>,
}

/// As a parameter of a statement.
pub(super) fn list(ids: Option<&BTreeSet<String>>) -> Result<Option<String>, StoreError> {
    ids.map(|ids| json::text(ids.iter().map(|id| [id]).collect::<Vec<_>>())).transpose()
}

/// The only one, if there is one.
pub(super) fn only(ids: Option<&BTreeSet<String>>) -> Option<&str> {
    ids.filter(|ids| ids.len() == 1)?.first().map(String::as_str)
}

fn narrow(ids: &mut Option<BTreeSet<String>>, to: BTreeSet<String>) {
    *ids = Some(match ids.take() {
        Some(before) => before.intersection(&to).cloned().collect(),
        None => to,
    });
}

const KEYS: &str = "with recursive below (id, level) as (
        select cast($1 as text), cast(0 as bigint)
        union all
        select k.id, b.level + 1 from api_keys k join below b on k.parent_id = b.id
        where b.level < 16)
    select id from below";

impl Store {
    pub(super) async fn scope(&self, filter: &UsageFilter) -> Result<Scope, StoreError> {
        let mut scope = Scope::default();
        if let Some(user) = &filter.user {
            let ids = self.ids("select id from users where name = $1 or id = $1", user).await?;
            narrow(&mut scope.users, ids);
        }
        if let Some(id) = &filter.user_id {
            narrow(&mut scope.users, BTreeSet::from([id.clone()]));
        }
        if let Some(team) = &filter.team {
            let ids = self.ids("select id from teams where name = $1 or id = $1", team).await?;
            narrow(&mut scope.teams, ids);
        }
        if let Some(organisation) = &filter.organisation {
            let text = "select t.id from teams t join organisations o on o.id = t.organisation_id
                        where o.name = $1 or o.id = $1";
            narrow(&mut scope.teams, self.ids(text, organisation).await?);
        }
        if let Some(key) = &filter.key_id {
            scope.keys = Some(match filter.delegated {
                true => self.ids(KEYS, key).await?,
                false => BTreeSet::from([key.clone()]),
            });
            // A key's calls are its user's, and those there is an index for.
            let owner = self.ids("select user_id from api_keys where id = $1", key).await?;
            if !filter.delegated && !owner.is_empty() {
                narrow(&mut scope.users, owner);
            }
        }
        Ok(scope)
    }

    async fn ids(&self, text: &'static str, of: &str) -> Result<BTreeSet<String>, StoreError> {
        let ids: Vec<String> =
            on!(&self.pool, db => sqlx::query_scalar(text).bind(of).fetch_all(db).await)?;
        Ok(ids.into_iter().collect())
    }
}
