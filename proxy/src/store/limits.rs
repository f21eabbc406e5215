//! Rates and places of keys, users, teams, organisations and models.

use super::{
    Store, StoreError,
    books::Owner,
    engine::{on, with_rows},
};
use crate::store::books::json;
use sqlx::FromRow;

/// A limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct LimitRow {
    /// ULID.
    pub id: String,
    /// `key`, `user`, `team`, `organisation` or `model`.
    pub owner_kind: String,
    /// Id of the owner, or the pattern of the models.
    pub owner_id: String,
    /// Name of the owner, for people; not written.
    pub owner_name: String,
    /// Requests a minute; absent: not limited.
    pub requests_per_minute: Option<i64>,
    /// Tokens a minute, in and out; absent: not limited.
    pub tokens_per_minute: Option<i64>,
    /// Calls at once; absent: not limited.
    pub concurrent: Option<i64>,
    /// How long a call may wait for its turn.
    pub queue_ms: i64,
    /// When it was made.
    pub created_ms: i64,
}

impl Store {
    /// Every living limit, by owner.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn limits(&self) -> Result<Vec<LimitRow>, StoreError> {
        let text = "select id, owner_kind, owner_id,
                        coalesce((select name from users where id = l.owner_id),
                            (select u.name from users u join api_keys k on k.user_id = u.id
                             where k.id = l.owner_id),
                            (select name from teams where id = l.owner_id),
                            (select name from organisations where id = l.owner_id),
                            l.owner_id) as owner_name,
                        requests_per_minute, tokens_per_minute, concurrent, queue_ms, created_ms
                    from limits l where deleted_ms is null order by owner_kind, owner_id, id";
        Ok(on!(&self.pool, db => sqlx::query_as(text).fetch_all(db).await)?)
    }

    /// Living limits of these owners, in their order, then those of models.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn limits_of(&self, owners: &[Owner]) -> Result<Vec<LimitRow>, StoreError> {
        let owners = owners.iter().map(|owner| (owner.kind, Some(&owner.id)));
        let asked: Vec<_> = owners.chain([("model", None)]).enumerate().collect();
        let asked = asked.into_iter().map(|(asked, (kind, id))| (asked, kind, id));
        let asked = json::text(asked.collect::<Vec<_>>())?;
        let text = self.pool.text(with_rows!(
            "select l.id, l.owner_kind, l.owner_id, l.owner_id as owner_name,
                    l.requests_per_minute, l.tokens_per_minute, l.concurrent, l.queue_ms,
                    l.created_ms
             from",
            "e cross join limits l
             where l.owner_kind = e.value ->> 1 and l.deleted_ms is null
               and (l.owner_kind = 'model' or l.owner_id = e.value ->> 2)
             order by cast(e.value ->> 0 as bigint), l.id"
        ));
        Ok(on!(&self.pool, db => sqlx::query_as(text).bind(&asked).fetch_all(db).await)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Patience, Place, UserRow};
    use tollgate_bench::private::Database;

    fn limit(id: &str, kind: &str, owner: &str) -> LimitRow {
        LimitRow {
            id: id.to_owned(),
            owner_kind: kind.to_owned(),
            owner_id: owner.to_owned(),
            requests_per_minute: Some(60),
            queue_ms: 250,
            created_ms: 1,
            ..LimitRow::default()
        }
    }

    async fn ids_of(store: &Store, owners: &[(&'static str, &str)]) -> Vec<String> {
        let owner = |(kind, id): &(&'static str, &str)| Owner { kind, id: (*id).to_owned() };
        let owners: Vec<_> = owners.iter().map(owner).collect();
        store.limits_of(&owners).await.unwrap().into_iter().map(|limit| limit.id).collect()
    }

    /// On either engine.
    async fn kept(store: &Store) {
        let user = UserRow {
            id: "u".to_owned(),
            name: "alice".to_owned(),
            role: "member".to_owned(),
            time_zone: "UTC".to_owned(),
            permissions: "{}".to_owned(),
            ..UserRow::default()
        };
        store.insert_user(&user, &[]).await.unwrap();
        for row in [
            limit("1", "user", "u"),
            limit("2", "key", "k"),
            limit("3", "model", "openai/*"),
            limit("4", "user", "somebody else"),
            limit("5", "key", "u"),
        ] {
            let mut change = store.change().await.unwrap();
            change.insert_limit(&row).await.unwrap();
            change.commit().await.unwrap();
        }
        assert_eq!(ids_of(store, &[("user", "u"), ("key", "k")]).await, ["1", "2", "3"]);
        assert_eq!(ids_of(store, &[]).await, ["3"]);
        let all = store.limits().await.unwrap();
        let mine = all.iter().find(|limit| limit.id == "1").unwrap();
        let expected = LimitRow { owner_name: "alice".to_owned(), ..limit("1", "user", "u") };
        assert_eq!(*mine, expected);
        let changed = LimitRow {
            requests_per_minute: None,
            tokens_per_minute: Some(5),
            concurrent: Some(6),
            queue_ms: 0,
            ..expected
        };
        let mut change = store.change().await.unwrap();
        change.update_limit(&changed).await.unwrap();
        assert_eq!(change.limit("1").await.unwrap(), Some(changed.clone()));
        assert_eq!(change.limit_owner("user", "alice").await.unwrap().as_deref(), Some("u"));
        assert_eq!(change.limit_owner("team", "alice").await.unwrap(), None);
        change.commit().await.unwrap();
        assert!(store.limits().await.unwrap().contains(&changed));
        let mut change = store.change().await.unwrap();
        change.delete_limit("1", 9).await.unwrap();
        assert_eq!(change.limit("1").await.unwrap(), None);
        assert!(change.limit_was_deleted("1").await.unwrap());
        assert!(!change.limit_was_deleted("2").await.unwrap());
        change.commit().await.unwrap();
        assert_eq!(ids_of(store, &[("user", "u"), ("key", "k")]).await, ["2", "3"]);
    }

    #[tokio::test]
    async fn limits_are_kept_in_sqlite() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("t.db"), Patience::Server).await.unwrap();
        kept(&store).await;
    }

    #[tokio::test]
    async fn limits_are_kept_in_postgresql() {
        let database = Database::fresh().await.unwrap();
        let place = Place::Server { url: database.url().to_owned(), connections: 4 };
        let store = Store::open(place, Patience::Server).await.unwrap();
        kept(&store).await;
        store.close().await;
    }
}
