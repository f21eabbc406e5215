//! Stores for tests, each on either engine, and what tests do behind the ledger's back.

use super::{Patience, Place, Store, engine::on};
use sqlx::{AssertSqlSafe, Row};
pub(crate) use tollgate_bench::{
    on_both_engines,
    private::{Home, Kind},
};

/// A new store; it is gone with its home.
pub(crate) async fn store_on(kind: Kind) -> (Home, Store) {
    let home = Home::fresh(kind).await.unwrap();
    let store = open_again(&home).await;
    (home, store)
}

/// Another store over the same books, as another server would open.
pub(crate) async fn open_again(home: &Home) -> Store {
    Store::open(place_of(home), Patience::Server).await.unwrap()
}

pub(crate) fn place_of(home: &Home) -> Place {
    match home {
        Home::Sqlite(folder) => Place::File(folder.path().join("books.db")),
        Home::Postgres(database) => Place::Server { url: database.url(), connections: 8 },
    }
}

impl Store {
    /// Does what only somebody else's hand would do. Returns how many rows it changed.
    pub(crate) async fn tamper(&self, statement: &str) -> u64 {
        let statement = AssertSqlSafe(statement.to_owned());
        on!(&self.pool, db => sqlx::query(statement).execute(db).await.unwrap().rows_affected())
    }

    /// The one number that a statement comes to.
    pub(crate) async fn number(&self, statement: &str) -> i64 {
        let statement = AssertSqlSafe(statement.to_owned());
        on!(&self.pool, db => sqlx::query(statement).fetch_one(db).await.unwrap().get(0))
    }

    /// A server is taken for dead from now on, until it says that it lives.
    pub(crate) async fn declare_dead(&self, node: &str) {
        let statement = format!("update nodes set expires_ms = 1 where id = '{node}'");
        assert_eq!(self.tamper(&statement).await, 1, "no server {node}");
    }
}
