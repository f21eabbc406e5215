//! Which tables the statements read, as the engines themselves say.

use super::{rows, sums};
use crate::store::{
    Store,
    engine::{Engine, Text},
    testing::{Kind, on_both_engines, store_on},
};
use sqlx::{AssertSqlSafe, Row};

on_both_engines!(sums_are_read_from_the_rollups_only, single_entries_are_found_by_an_index,);

/// How the engine would run a statement, with texts for its first parameters.
async fn plan(store: &Store, text: Text, parameters: &[Option<&str>]) -> String {
    let text = store.pool.text(text);
    match &store.pool {
        Engine::Sqlite(db) => {
            let explain = AssertSqlSafe(format!("explain query plan {text}"));
            let mut query = sqlx::query(explain);
            for parameter in parameters {
                query = query.bind(*parameter);
            }
            let lines = query.fetch_all(db).await.unwrap();
            let lines = lines.iter().map(|line| line.get::<String, _>("detail"));
            lines.collect::<Vec<_>>().join("\n")
        }
        Engine::Postgres(db) => {
            let literal = |value: &Option<&str>| match value {
                Some(value) => format!("'{value}'"),
                None => "null".to_owned(),
            };
            let mut text = text.to_owned();
            for (number, value) in parameters.iter().enumerate().rev() {
                text = text.replace(&format!("${}", number + 1), &literal(value));
            }
            let mut link = db.acquire().await.unwrap();
            sqlx::query("set enable_seqscan = off").execute(&mut *link).await.unwrap();
            let explain = AssertSqlSafe(format!("explain {text}"));
            let lines = sqlx::query(explain).fetch_all(&mut *link).await.unwrap();
            lines.iter().map(|line| line.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
        }
    }
}

async fn sums_are_read_from_the_rollups_only(kind: Kind) {
    let (_home, store) = store_on(kind).await;
    let parameters = |user| {
        [
            Some("[[0,9000000000000,0]]"),
            Some(r#"[["*"]]"#),
            Some("organisation"),
            Some("day"),
            None,
            None,
            None,
            None,
            None,
            None,
            Some("none"),
            Some(""),
            Some("100"),
            user,
        ]
    };
    for (text, user) in [(sums::OF_ALL, None), (sums::OF_USER, Some("u1"))] {
        let plan = plan(&store, text, &parameters(user)).await;
        // SQLite speaks of tables by their short names, and of none that it does not read.
        let reads = match kind {
            Kind::Sqlite => plan.contains("SEARCH r USING INDEX"),
            Kind::Postgres => plan.contains("usage_rollups"),
        };
        assert!(reads && !plan.contains("usage_entries") && !plan.contains(" e "), "{plan}");
        let all = store.pool.text(text);
        assert!(!all.contains("usage_entries"), "{all}");
        let by_user = plan.contains("usage_rollups_user");
        assert_eq!(by_user, user.is_some(), "a member's report reads the member's hours:\n{plan}");
    }
}

async fn single_entries_are_found_by_an_index(kind: Kind) {
    let (_home, store) = store_on(kind).await;
    let parameters = |who| {
        let mut all = vec![Some("0"), Some("9000000000000"), Some(""), Some("0")];
        all.extend([None; 8]);
        all.extend([Some("100"), who]);
        all
    };
    for (text, who, index) in [
        (rows::OF_ALL, None, "started"),
        (rows::OF_USER, Some("u1"), "user"),
        (rows::OF_KEY, Some("k1"), "user"),
    ] {
        let plan = plan(&store, text, &parameters(who)).await;
        assert!(plan.contains(index), "{index}:\n{plan}");
        assert!(!plan.contains("SCAN e\n"), "{plan}");
    }
}
